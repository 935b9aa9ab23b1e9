use super::*;
use crate::format::Offset;
use crate::format::testing::unhex;
use crate::report::reporter::Format;

/// What a function shows, all flushes put together.
fn shown(format: Format, show: impl FnOnce(Lines<'_>) -> io::Result<Seen>) -> (Seen, String) {
    let mut reporter = Reporter::new(format, TimeZone::UTC, None);
    let (mut out, mut flushed) = (Vec::new(), Vec::new());
    let mut flush = |out: &mut Vec<u8>| {
        assert!(out.len() < FLUSH_AT + 1000);
        flushed.append(out);
        Ok(())
    };
    let seen = show(Lines::new(&mut reporter, &mut out, "f", &mut flush)).unwrap();
    reporter.flush(&mut out);
    flushed.append(&mut out);
    (seen, String::from_utf8(flushed).unwrap())
}

fn text(show: impl FnOnce(Lines<'_>) -> io::Result<Seen>) -> (Seen, String) {
    shown(Format::Text, show)
}

/// The lines of JSON, each of which another reader of JSON must understand.
fn json_lines(show: impl FnOnce(Lines<'_>) -> io::Result<Seen>) -> (Seen, String) {
    let (seen, lines) = shown(Format::Json, show);
    for line in lines.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
    (seen, lines)
}

const fn healthy(entries: u64) -> Seen {
    Seen { entries, damaged: false }
}

const fn damaged(entries: u64) -> Seen {
    Seen { entries, damaged: true }
}

/// The reasons and ranges of the damage in lines of JSON.
fn damage(show: impl FnOnce(Lines<'_>) -> io::Result<Seen>) -> Vec<(String, u64, u64)> {
    let (seen, lines) = json_lines(show);
    let lines = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let damage: Vec<_> = lines
        .filter(|line| line["type"] == "damaged")
        .map(|line| {
            let number = |key: &str| line[key].as_u64().unwrap();
            (line["reason"].as_str().unwrap().to_owned(), number("position"), number("length"))
        })
        .collect();
    assert_eq!(seen.damaged, !damage.is_empty());
    damage
}

fn one(reason: &str, position: u64, length: u64) -> Vec<(String, u64, u64)> {
    vec![(reason.to_owned(), position, length)]
}

/// What Kafka's recovery wrote for a segment that starts at offset 1000.
const OFFSET_INDEX: &str = "00000007 00000123 0000000d 00000246";
const TIME_INDEX: &str = "000000000000003c 00000003 0000000000000050 0000000d";

#[test]
fn the_offset_index_of_a_recovery_is_shown() {
    let bytes = unhex(OFFSET_INDEX);
    let index = OffsetIndex::new(&bytes, Offset(1000));
    assert_eq!(
        text(|lines| offset_index(lines, &index)),
        (healthy(2), "entry 0  offset 1007  position 291\nentry 1  offset 1013  position 582\n".to_owned())
    );
    let expected = concat!(
        r#"{"type":"offsetIndexEntry","file":"f","slot":0,"offset":1007,"position":291}"#,
        "\n",
        r#"{"type":"offsetIndexEntry","file":"f","slot":1,"offset":1013,"position":582}"#,
        "\n"
    );
    assert_eq!(json_lines(|lines| offset_index(lines, &index)), (healthy(2), expected.to_owned()));
    let expected = "entry  offset  position\n    0    1007       291\n    1    1013       582\n";
    assert_eq!(shown(Format::Table, |lines| offset_index(lines, &index)), (healthy(2), expected.to_owned()));
}

#[test]
fn the_time_index_of_a_recovery_is_shown() {
    let bytes = unhex(TIME_INDEX);
    let index = TimeIndex::new(&bytes, Offset(1000));
    let expected = "entry 0  1970-01-01T00:00:00.060Z  offset 1003\nentry 1  1970-01-01T00:00:00.080Z  offset 1013\n";
    assert_eq!(text(|lines| time_index(lines, &index)), (healthy(2), expected.to_owned()));
    let expected = concat!(
        r#"{"type":"timeIndexEntry","file":"f","slot":0,"timestamp":60,"offset":1003}"#,
        "\n",
        r#"{"type":"timeIndexEntry","file":"f","slot":1,"timestamp":80,"offset":1013}"#,
        "\n"
    );
    assert_eq!(json_lines(|lines| time_index(lines, &index)), (healthy(2), expected.to_owned()));
}

#[test]
fn preallocated_zeros_are_counted_in_words_and_are_no_lines_of_json() {
    let mut bytes = unhex(OFFSET_INDEX);
    bytes.resize(10_485_760, 0);
    let index = OffsetIndex::new(&bytes, Offset(1000));
    let (seen, lines) = text(|lines| offset_index(lines, &index));
    assert_eq!(seen, healthy(2));
    assert!(lines.ends_with("position 582\n1310718 unused entries (zeros)\n"), "{lines}");
    assert_eq!(json_lines(|lines| offset_index(lines, &index)).1.lines().count(), 2);

    let bytes = vec![0; 10_485_756];
    let index = TimeIndex::new(&bytes, Offset(1000));
    let (seen, lines) = text(|lines| time_index(lines, &index));
    assert_eq!((seen, lines.as_str()), (healthy(0), "873813 unused entries (zeros)\nno entries\n"));
    let index = TimeIndex::new(&bytes[..12], Offset(1000));
    assert_eq!(text(|lines| time_index(lines, &index)).1, "1 unused entry (zeros)\nno entries\n");
    assert_eq!(json_lines(|lines| time_index(lines, &index)), (healthy(0), String::new()));
}

#[test]
fn a_cut_entry_of_an_index_is_damage() {
    let bytes = unhex(&format!("{OFFSET_INDEX} 000000"));
    let index = OffsetIndex::new(&bytes, Offset(1000));
    let (seen, lines) = text(|lines| offset_index(lines, &index));
    assert_eq!(seen, damaged(2));
    assert!(lines.ends_with("\ndamaged  position 16  3 B  the last entry is cut: 3 of 8 bytes\n"), "{lines}");
    let expected = r#"{"type":"damaged","file":"f","position":16,"length":3,"reason":"partialEntry","message":"the last entry is cut: 3 of 8 bytes"}"#;
    assert_eq!(json_lines(|lines| offset_index(lines, &index)).1.lines().last(), Some(expected));
    let bytes = unhex(TIME_INDEX);
    let index = TimeIndex::new(&bytes[..23], Offset(1000));
    assert_eq!(damage(|lines| time_index(lines, &index)), one("partialEntry", 12, 11));
    assert_eq!(damage(|lines| txn_index(lines, &TxnIndex::new(&[1; 33]))), one("partialEntry", 0, 33));
}

#[test]
fn stored_numbers_no_broker_writes_are_shown_as_they_are() {
    let bytes = unhex("ffffffff 80000000");
    let index = OffsetIndex::new(&bytes, Offset(1000));
    assert_eq!(text(|lines| offset_index(lines, &index)).1, "entry 0  offset 999  position -2147483648\n");
}

/// Two entries and a byte, of which Kafka's own tool printed:
/// `version: 0 producerId: 98324 firstOffset: 5 lastOffset: 8 lastStableOffset: 9`
/// `version: 0 producerId: 7 firstOffset: 1 lastOffset: 2 lastStableOffset: 3`
const TXN_INDEX: &str = "0000000000000001801400000000000000050000000000000008000000000000000900000000000000000007000000000000000100000000000000020000000000000003 01";

#[test]
fn aborted_transactions_are_shown_with_the_numbers_that_kafka_reads() {
    let bytes = unhex(TXN_INDEX);
    let index = TxnIndex::new(&bytes[..68]);
    let expected = "entry 0  producer 98324  first offset 5  last offset 8  last stable offset 9\n\
                    entry 1  producer 7  first offset 1  last offset 2  last stable offset 3\n";
    assert_eq!(text(|lines| txn_index(lines, &index)), (healthy(2), expected.to_owned()));
    let (seen, lines) = json_lines(|lines| txn_index(lines, &index));
    let expected = r#"{"type":"txnIndexEntry","file":"f","slot":0,"version":0,"producerId":98324,"firstOffset":5,"lastOffset":8,"lastStableOffset":9}"#;
    assert_eq!((seen, lines.lines().next()), (healthy(2), Some(expected)));
    assert_eq!(damage(|lines| txn_index(lines, &TxnIndex::new(&bytes))), one("partialEntry", 68, 1));
}

#[test]
fn zeros_and_unknown_versions_in_a_transaction_index_are_damage() {
    let mut bytes = unhex(TXN_INDEX);
    bytes.truncate(68);
    bytes.resize(4 * 34 + 5, 0);
    let expected = [one("zeros", 68, 68), one("partialEntry", 136, 5)].concat();
    assert_eq!(damage(|lines| txn_index(lines, &TxnIndex::new(&bytes))), expected);
    bytes.truncate(68);
    bytes[35] = 1;
    let index = TxnIndex::new(&bytes);
    assert_eq!(damage(|lines| txn_index(lines, &index)), one("unknownVersion", 34, 34));
    let (seen, lines) = text(|lines| txn_index(lines, &index));
    assert_eq!(seen, damaged(2));
    assert!(lines.ends_with("\ndamaged  position 34  34 B  entry 1 has version 1, which is unknown\n"), "{lines}");
}

/// One producer, written by Kafka.
const SNAPSHOT: &str = "0001 e1e4e3b1 00000001 0000000000000fa0 0003 00000029 00000000000000cd 00000001 0000018bcfe56809 0000000c ffffffffffffffff";
/// Two producers, written by Kafka: one with a batch and a marker, one with neither and an open transaction.
const TWO_PRODUCERS: &str = "000121c219cb00000002000000000001801300630000010b0000000000000006000000010000018bcfe5680600000064ffffffffffffffff00000000000000050003ffffffffffffffffffffffff000000000000018bcfe56800ffffffff000000000000002a";

#[test]
fn producers_are_shown_without_what_is_not_known_of_them() {
    let bytes = unhex(SNAPSHOT);
    let expected =
        "producer 4000 epoch 3  sequence 40..41  last offset 205  2023-11-14T22:13:20.009Z  coordinator epoch 12\n";
    assert_eq!(text(|lines| producer_snapshot(lines, &bytes)), (healthy(1), expected.to_owned()));
    let expected = r#"{"type":"producer","file":"f","producerId":4000,"producerEpoch":3,"lastSequence":41,"lastOffset":205,"offsetDelta":1,"lastTimestamp":1700000000009,"coordinatorEpoch":12}"#;
    assert_eq!(json_lines(|lines| producer_snapshot(lines, &bytes)), (healthy(1), format!("{expected}\n")));

    let bytes = unhex(TWO_PRODUCERS);
    let (seen, lines) = text(|lines| producer_snapshot(lines, &bytes));
    let expected = "producer 98323 epoch 99  sequence 266..267  last offset 6  2023-11-14T22:13:20.006Z  coordinator epoch 100\n\
                    producer 5 epoch 3  2023-11-14T22:13:20.000Z  open transaction from offset 42\n";
    assert_eq!((seen, lines.as_str()), (healthy(2), expected));
    let (_, lines) = json_lines(|lines| producer_snapshot(lines, &bytes));
    let expected = r#"{"type":"producer","file":"f","producerId":5,"producerEpoch":3,"lastTimestamp":1700000000000,"currentTxnFirstOffset":42}"#;
    assert_eq!(lines.lines().last(), Some(expected));
}

#[test]
fn a_snapshot_without_producers_says_so() {
    let bytes = unhex("00 01 48 67 4b c7 00 00 00 00");
    assert_eq!(text(|lines| producer_snapshot(lines, &bytes)), (healthy(0), "no producers\n".to_owned()));
    assert_eq!(json_lines(|lines| producer_snapshot(lines, &bytes)), (healthy(0), String::new()));
}

#[test]
fn each_damage_of_a_snapshot_has_its_reason_and_what_can_be_read_is_shown() {
    let whole = unhex(TWO_PRODUCERS);
    let changed = |at: usize, byte: u8| {
        let mut bytes = whole.clone();
        bytes[at] = byte;
        bytes
    };
    let longer = [&whole[..], b"x"].concat();
    for (bytes, reason, position, length, entries) in [
        (&changed(20, 9)[..], "crcMismatch", 0, 102, 2),
        (&longer, "crcMismatch", 0, 103, 2),
        (&changed(1, 2), "unknownVersion", 0, 2, 2),
        (&changed(6, 0xff), "negativeCount", 6, 4, 2),
        (&changed(6, 0x7f), "countTooLarge", 6, 4, 2),
        (&whole[..80], "tooShort", 56, 24, 1),
        (&whole[..8], "tooShort", 6, 2, 0),
        (&[], "tooShort", 0, 0, 0),
    ] {
        assert_eq!(damage(|lines| producer_snapshot(lines, bytes)), one(reason, position, length));
        assert_eq!(text(|lines| producer_snapshot(lines, bytes)).0, damaged(entries), "{reason}");
    }
    let (_, lines) = text(|lines| producer_snapshot(lines, &changed(20, 9)));
    let last = lines.lines().last().unwrap();
    assert!(last.starts_with("damaged  position 0  102 B  the stored checksum is 566368715, that of the "), "{last}");
}

#[test]
fn leader_epochs_are_shown() {
    let bytes = b"0\n2\n0 0\n3 1500\n";
    let expected = "epoch 0  start offset 0\nepoch 3  start offset 1500\n";
    assert_eq!(text(|lines| leader_epochs(lines, bytes)), (healthy(2), expected.to_owned()));
    let (_, lines) = json_lines(|lines| leader_epochs(lines, bytes));
    let expected = r#"{"type":"leaderEpoch","file":"f","epoch":3,"startOffset":1500}"#;
    assert_eq!(lines.lines().last(), Some(expected));
    assert_eq!(text(|lines| leader_epochs(lines, b"")), (healthy(0), "no entries\n".to_owned()));
}

#[test]
fn checkpointed_offsets_are_shown() {
    let bytes = b"0\n2\ntxn-mixed 0 36\n__transaction_state 14 51\n";
    let expected = "txn-mixed-0  offset 36\n__transaction_state-14  offset 51\n";
    assert_eq!(text(|lines| offset_checkpoint(lines, bytes)), (healthy(2), expected.to_owned()));
    let (_, lines) = json_lines(|lines| offset_checkpoint(lines, bytes));
    let expected = r#"{"type":"checkpoint","file":"f","topic":"txn-mixed","partition":0,"offset":36}"#;
    assert_eq!(lines.lines().next(), Some(expected));
    let (_, lines) = text(|lines| offset_checkpoint(lines, b"0\n1\na\x1b[31mb 0 5\n"));
    assert_eq!(lines, "a\\x1b[31mb-0  offset 5\n", "a name cannot drive the terminal");
}

#[test]
fn every_bad_line_of_a_checkpoint_is_named_between_those_that_can_be_read() {
    let bytes = b"0\r\n5\r\na 0 1\r\nb x 2\r\nc 1 3\r\n\r\nd 3 4\r\n";
    let expected = "a-0  offset 1\n\
                    damaged  position 13  5 B  line 4: the partition is not a number\n\
                    c-1  offset 3\n\
                    damaged  position 27  0 B  line 6 is no entry\n\
                    d-3  offset 4\n";
    assert_eq!(text(|lines| offset_checkpoint(lines, bytes)), (damaged(3), expected.to_owned()));
}

#[test]
fn each_damage_of_a_checkpoint_has_its_reason() {
    for (bytes, reason, position, length, entries) in [
        (&b"0\n1\nt 0 5\xff\n"[..], "notUtf8", 4, 6, 0),
        (b"x\n1\nt 0 5\n", "malformedHeader", 0, 1, 1),
        (b"1\n1\nt 0 5\n", "unknownVersion", 0, 1, 1),
        (b"0\n-1\nt 0 5\n", "negativeCount", 2, 2, 1),
        (b"0\n1\nt 0\n", "malformedLine", 4, 3, 0),
        (b"0\n1\nt 0 x", "malformedLine", 4, 5, 0),
        (b"0\n7\nt 0 5\n", "countMismatch", 2, 1, 1),
        (b"t 0 5\n", "malformedHeader", 0, 5, 1),
    ] {
        let name = bytes.escape_ascii().to_string();
        assert_eq!(damage(|lines| offset_checkpoint(lines, bytes)), one(reason, position, length), "{name}");
        assert_eq!(text(|lines| offset_checkpoint(lines, bytes)).0, damaged(entries), "{name}");
    }
    assert_eq!(damage(|lines| leader_epochs(lines, b"0\n2\n0 0\n\0\x01 7\n")), one("malformedLine", 8, 4));
}

#[test]
fn the_topic_of_a_partition_is_shown() {
    let bytes = b"version: 0\ntopic_id: AAAAAAAAAAEAAAAAAAAAAg";
    let expected = "version  0\ntopic_id  AAAAAAAAAAEAAAAAAAAAAg\n";
    assert_eq!(text(|lines| partition_metadata(lines, bytes)), (healthy(2), expected.to_owned()));
    let expected = concat!(
        r#"{"type":"property","file":"f","name":"version","value":0}"#,
        "\n",
        r#"{"type":"property","file":"f","name":"topic_id","value":"AAAAAAAAAAEAAAAAAAAAAg"}"#,
        "\n"
    );
    assert_eq!(json_lines(|lines| partition_metadata(lines, bytes)), (healthy(2), expected.to_owned()));
    for (bytes, reason, position, length, entries) in [
        (&b""[..], "missingLine", 0, 0, 0),
        (b"version: 0\n", "missingLine", 11, 0, 1),
        (b"version: 0\ntopic_id\n", "malformedLine", 11, 8, 1),
        (b"version: -1\ntopic_id: AAAAAAAAAAEAAAAAAAAAAg", "unknownVersion", 0, 11, 2),
        (b"version: 0\ntopic_id: AAA", "malformedTopicId", 11, 13, 2),
        (b"version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAA", "zeroTopicId", 11, 32, 2),
        (b"version: 0\ntopic_id: \xff", "notUtf8", 0, 22, 1),
    ] {
        assert_eq!(damage(|lines| partition_metadata(lines, bytes)), one(reason, position, length));
        assert_eq!(text(|lines| partition_metadata(lines, bytes)).0, damaged(entries), "{reason}");
    }
}

#[test]
fn the_properties_of_a_log_dir_are_shown() {
    let bytes = b"#\n#Sat Nov 21 23:22:03 UTC 2026\nnode.id=1\nversion=1\ncluster.id=kfsck0kfsck0kfsck0kfsA\n";
    let expected = "node.id  1\nversion  1\ncluster.id  kfsck0kfsck0kfsck0kfsA\n";
    assert_eq!(text(|lines| meta_properties(lines, bytes)), (healthy(3), expected.to_owned()));
    let (_, lines) = json_lines(|lines| meta_properties(lines, bytes));
    let expected = r#"{"type":"property","file":"f","name":"node.id","value":"1"}"#;
    assert_eq!(lines.lines().next(), Some(expected));
    for (bytes, reason, position, length, entries) in [
        (&b"version=2\n"[..], "unknownVersion", 0, 10, 1),
        (b"version=1\ncluster.id=c", "missingKey", 0, 22, 2),
        (b"broker.id=x", "notANumber", 0, 11, 1),
        (b"directory.id=x", "malformedDirectoryId", 0, 14, 1),
        (b"a=b\nc=\\u00e\nd=e\n", "malformedEscape", 4, 7, 2),
        (b"a=b\nc=\\\n \\u00e\\\nx\nd=e", "malformedEscape", 4, 13, 2),
    ] {
        assert_eq!(damage(|lines| meta_properties(lines, bytes)), one(reason, position, length));
        assert_eq!(text(|lines| meta_properties(lines, bytes)).0, damaged(entries), "{reason}");
    }
    let twice = [one("malformedEscape", 0, 6), one("malformedEscape", 11, 6)].concat();
    assert_eq!(damage(|lines| meta_properties(lines, b"a=\\u0x\nb=c\nd=\\uxx")), twice);
}

#[test]
fn the_election_state_is_shown() {
    let bytes = br#"{"clusterId":"","leaderId":100,"leaderEpoch":1,"votedId":-1,"appliedOffset":0,"currentVoters":[{"voterId":100},{"voterId":7}],"data_version":0}"#;
    let (seen, lines) = text(|lines| quorum_state(lines, bytes));
    let expected = "data_version  0\nclusterId  \nleaderId  100\nleaderEpoch  1\nvotedId  null\nappliedOffset  0\n\
                    currentVoters  [{\"voterId\":100},{\"voterId\":7}]\n";
    assert_eq!((seen, lines.as_str()), (healthy(7), expected));
    let (_, lines) = json_lines(|lines| quorum_state(lines, bytes));
    assert!(lines.contains(r#"{"type":"property","file":"f","name":"votedId","value":null}"#), "{lines}");
    assert!(lines.contains(r#""name":"currentVoters","value":[{"voterId":100},{"voterId":7}]}"#), "{lines}");
    assert_eq!(damage(|lines| quorum_state(lines, &bytes[..50])), one("malformedJson", 0, 50));
    let later = br#"{"leaderId":-1,"leaderEpoch":7,"votedId":3,"data_version":2}"#;
    assert_eq!(damage(|lines| quorum_state(lines, later)), one("unknownVersion", 0, 60));
}

#[test]
fn the_marker_of_a_clean_shutdown_is_never_damaged() {
    let shown = |bytes: &[u8]| text(|lines| clean_shutdown(lines, bytes));
    assert_eq!(shown(br#"{"version":0,"brokerEpoch":77}"#), (healthy(2), "version  0\nbrokerEpoch  77\n".to_owned()));
    assert_eq!(shown(br#"{"version":0,"brokerEpoch":-1}"#).1, "version  0\nbrokerEpoch  null\n");
    assert_eq!(shown(b""), (healthy(0), "nothing in it, as releases before 3.7 leave it\n".to_owned()));
    let (seen, words) = shown(b"\0\0\0");
    assert_eq!((seen, words.as_str()), (healthy(0), "no broker epoch can be read in it, which brokers do not mind\n"));
}

#[test]
fn an_index_with_more_lines_than_memory_is_handed_on_in_pieces() {
    let bytes: Vec<u8> = (1..30_000u64).flat_map(|n| ((n << 32) | (n * 100)).to_be_bytes()).collect();
    let index = OffsetIndex::new(&bytes, Offset(0));
    for format in [Format::Text, Format::Table, Format::Json] {
        let mut reporter = Reporter::new(format, TimeZone::UTC, None);
        let (mut out, mut flushes) = (Vec::new(), 0);
        let mut flush = |out: &mut Vec<u8>| {
            flushes += 1;
            out.clear();
            Ok(())
        };
        let seen = offset_index(Lines::new(&mut reporter, &mut out, "f", &mut flush), &index).unwrap();
        assert_eq!(seen, healthy(29_999));
        assert!(flushes > 1 && out.len() < FLUSH_AT, "{format:?}: {flushes}");
    }
    let mut reporter = Reporter::new(Format::Text, TimeZone::UTC, None);
    let mut closed = |_: &mut Vec<u8>| Err(io::ErrorKind::BrokenPipe.into());
    let error = offset_index(Lines::new(&mut reporter, &mut Vec::new(), "f", &mut closed), &index).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

#[test]
fn what_a_file_is_about_is_said_with_its_offset() {
    let words = |name| file_words(&FileName::parse(name).unwrap());
    assert_eq!(words("00000000000000001000.index"), "offset index of the segment that starts at offset 1000");
    assert_eq!(words("00000000000000000042.snapshot.deleted"), "producers as known below offset 42");
    assert_eq!(words("replication-offset-checkpoint"), "high watermarks");
    assert!(words("x.timeindex").ends_with("shown as if it were 0"));
}
