//! `kfsck lookup` as its user sees it: what real brokers answered, every way to ask, and everything one may get wrong.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use kfsck::format::batch::RecordBatchBuilder;
use kfsck::format::compression::Compression;
use kfsck::format::offset_index::OffsetIndexEntry;
use kfsck::format::record::RecordFields;
use kfsck::format::time_index::TimeIndexEntry;
use kfsck::format::{Offset, Position};
use serde_json::{Value, json};
use support::{Finished, Random, Scenario, Truth, collections, json_output, kfsck, report, scenarios, set_modified};

const LOG: &str = "00000000000000001000.log";
const INDEX: &str = "00000000000000001000.index";
const TIME_INDEX: &str = "00000000000000001000.timeindex";

/// A log dir with the partition `orders-3`: eight batches of two records, offsets 1000 to 1015, as a broker with an index
/// interval of 200 bytes writes them.
fn orders() -> (tempfile::TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("orders-3");
    fs::create_dir(&dir).unwrap();
    let mut log = Vec::new();
    for (at, most) in [50, 60, 55, 60, 70, 65, 80, 75].into_iter().enumerate() {
        let mut header = RecordBatchBuilder::plain_header(Offset(1000 + 2 * at as i64), most - 1);
        (header.max_timestamp, header.last_offset_delta) = (most, 1);
        let mut builder = RecordBatchBuilder::new(header, Compression::None);
        for delta in 0..2 {
            let key = if delta == 0 { format!("k{}", at % 3) } else { "k".to_owned() };
            builder.push(&RecordFields {
                timestamp_delta: i64::from(delta),
                offset_delta: delta,
                key: Some(key.as_bytes()),
                value: Some(b"ten bytes!"),
                ..Default::default()
            });
        }
        builder.write(&mut log).unwrap();
    }
    let size = log.len() as u64 / 8;
    fs::write(dir.join(LOG), &log).unwrap();
    let (mut index, mut time_index) = (Vec::new(), Vec::new());
    for (offset, batch) in [(1007, 3), (1013, 6)] {
        OffsetIndexEntry::new(Offset(1000), Offset(offset), Position(batch * size)).unwrap().write(&mut index);
    }
    for (timestamp, offset) in [(60, 1003), (80, 1013)] {
        TimeIndexEntry::new(Offset(1000), timestamp, Offset(offset)).unwrap().write(&mut time_index);
    }
    fs::write(dir.join(INDEX), index).unwrap();
    fs::write(dir.join(TIME_INDEX), time_index).unwrap();
    set_modified(&dir.join(LOG), UNIX_EPOCH + Duration::from_millis(1_000_000));
    (root, dir)
}

fn lookup(directory: &Path, arguments: &[&str]) -> Finished {
    let finished = kfsck(directory, ["lookup"].iter().chain(arguments));
    assert!(!String::from_utf8_lossy(&finished.stderr).contains("panicked"), "{arguments:?}");
    finished
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn lines_of(finished: &Finished, kind: &str) -> Vec<Value> {
    json_output(&finished.stdout).unwrap().into_iter().filter(|line| line["type"] == kind).collect()
}

/// Offsets that were found, `null` for what was not.
fn offsets(finished: &Finished) -> Vec<Value> {
    lines_of(finished, "lookup")
        .iter()
        .map(|line| if line["found"] == true { line["offset"].clone() } else { Value::Null })
        .collect()
}

/// The copy of a partition that its consumers read from: that of the leader.
fn leaders_copy(scenario: &Scenario, truth: &[Truth], partition: &str) -> PathBuf {
    let leader = truth.iter().find_map(|line| match line {
        Truth::Leadership { partition: named, leader, state, .. }
            if named == partition && state.as_deref().is_none_or(|state| state == "before") =>
        {
            Some(*leader)
        }
        _ => None,
    });
    let state = scenario.dir.join("log-dirs/before").is_dir().then_some("before");
    match scenario.dir.join("log-dir").is_dir() {
        true => scenario.log_dir(None, None),
        false => scenario.log_dir(state, leader.or(Some(2))),
    }
    .join(partition)
}

/// What a broker answers consumers although the log holds something else.
fn is_a_brokers_own_way(line: &Value, ours: &Value, theirs: &Value, visible_end: i64) -> bool {
    let partition = line["partition"].as_str().unwrap();
    // Consumers see nothing at or above the high watermark.
    let hidden = |offset: Option<i64>| offset.is_some_and(|offset| offset >= visible_end);
    (line["query"]["timestamp"] == "latest" && *theirs == visible_end && hidden(ours.as_i64()))
        || (theirs.is_null() && hidden(ours[0].as_i64()))
        // There is no record at all; the broker may remember one that it has deleted.
        || (ours.is_null() && line["query"]["timestamp"] == "max-timestamp" && (theirs[0] == -1 || partition == "retention-emptied-0"))
        // A first segment without timestamps was chosen by the modification time that it had then.
        || (theirs.is_null() && partition.starts_with("compact-magic1"))
}

/// How many answers differ by a broker's own way.
fn agrees(dir: &Path, asked: &[&Truth]) -> Result<usize, String> {
    let visible_end = asked.iter().find_map(|line| match line {
        Truth::Offsets { end_offset, .. } => Some(*end_offset),
        _ => None,
    });
    let visible_end = visible_end.unwrap_or(i64::MAX);
    let mut arguments = vec!["lookup".to_owned(), "-f".to_owned(), "json".to_owned(), dir.display().to_string()];
    let mut expected = Vec::new();
    let point = |offset: &Option<i64>, timestamp: &Option<i64>, epoch: &Option<i32>| match offset {
        Some(offset) => json!([offset, timestamp, epoch]),
        None => Value::Null,
    };
    let mut ask = |what: String| {
        arguments.push("--timestamp".to_owned());
        arguments.push(what);
    };
    for line in asked {
        match line {
            Truth::Offsets { log_start_offset, end_offset, .. } => {
                ask("earliest".to_owned());
                ask("latest".to_owned());
                expected.push(json!(log_start_offset));
                expected.push(json!(end_offset));
            }
            Truth::Lookup { timestamp, found_offset, found_timestamp, leader_epoch, .. } => {
                ask(timestamp.to_string());
                expected.push(point(found_offset, found_timestamp, leader_epoch));
            }
            Truth::MaxTimestamp { found_offset, found_timestamp, leader_epoch, .. } => {
                ask("max-timestamp".to_owned());
                expected.push(point(found_offset, found_timestamp, leader_epoch));
            }
            _ => {}
        }
    }
    let finished = kfsck(Path::new("/"), &arguments);
    if finished.status != Some(0) {
        return Err(format!("{}: exit {:?}: {}", dir.display(), finished.status, text(&finished.stderr)));
    }
    let lines = lines_of(&finished, "lookup");
    let mut own_ways = 0;
    for (line, expected) in lines.iter().zip(&expected) {
        let ours = match (line["found"].as_bool(), expected) {
            (Some(true), Value::Number(_)) => line["offset"].clone(),
            (Some(true), _) => json!([line["offset"], line["timestamp"], line["leaderEpoch"]]),
            _ => Value::Null,
        };
        if ours != *expected && is_a_brokers_own_way(line, &ours, expected, visible_end) {
            own_ways += 1;
        } else if ours != *expected {
            return Err(format!("{}: {}: {ours}, the broker said {expected}", dir.display(), line["query"]));
        }
    }
    match lines.len() == expected.len() {
        true => Ok(own_ways),
        false => Err(format!("{}: {} answers to {} questions", dir.display(), lines.len(), expected.len())),
    }
}

#[test]
fn times_lead_where_the_brokers_themselves_said() {
    let (mut outcomes, mut questions) = (Vec::new(), 0);
    for scenario in collections().iter().flat_map(|collection| scenarios(collection)) {
        let truth = scenario.truth();
        let mut of_partitions: BTreeMap<&str, Vec<&Truth>> = BTreeMap::new();
        for line in &truth {
            if let Truth::Offsets { partition, .. }
            | Truth::Lookup { partition, .. }
            | Truth::MaxTimestamp { partition, .. } = line
            {
                of_partitions.entry(partition).or_default().push(line);
            }
        }
        for (partition, asked) in of_partitions {
            let dir = leaders_copy(&scenario, &truth, partition);
            if dir.is_dir() {
                questions += asked.len();
                outcomes.push(agrees(&dir, &asked));
            }
        }
    }
    let own_ways: usize = outcomes.iter().flatten().sum();
    let outcomes: Vec<_> = outcomes.into_iter().map(|outcome| outcome.map(|_| ())).collect();
    report("partitions", &outcomes, &format!("{questions} questions, {own_ways} answered in a broker's own way"));
}

#[test]
fn an_offset_is_shown_with_its_place_its_record_and_the_way_there() {
    let (root, _) = orders();
    let finished = lookup(root.path(), &["orders-3", "--offset", "1010"]);
    assert_eq!(
        text(&finished.stdout),
        "orders-3 offset 1010  →  segment 1000, position 490, batch 1010..1011\n  \
         offset 1010  1970-01-01T00:00:00.064Z  key \"k2\"  value \"ten bytes!\"\n  \
         via index entry 0 (offset 1007 → position 294), 4 batches read\n"
    );
    assert_eq!((finished.status, text(&finished.stderr)), (Some(0), String::new()));
}

#[test]
fn several_questions_of_every_kind_are_answered_in_one_run() {
    let (root, _) = orders();
    let arguments = ["orders-3", "-f", "json", "--offset", "1003", "--offset", "1000", "--timestamp", "62"];
    let more = [
        "--timestamp",
        "1970-01-01T00:00:00.071Z",
        "--timestamp",
        "81",
        "--key",
        "k1",
        "--key",
        "hex:6b",
        "--key",
        "x",
    ];
    let finished = lookup(root.path(), &[&arguments[..], &more[..]].concat());
    assert_eq!(finished.status, Some(0));
    assert_eq!(
        offsets(&finished),
        [json!(1003), json!(1000), json!(1008), json!(1012), Value::Null, json!(1014), json!(1015), Value::Null]
    );
    let lines = lines_of(&finished, "lookup");
    assert_eq!(lines[0]["query"], json!({"offset": 1003}));
    assert_eq!(lines[2]["query"], json!({"timestamp": 62}));
    assert_eq!(lines[5]["query"], json!({"key": {"text": "k1"}}));
    assert_eq!((&lines[4]["reason"], &lines[7]["reason"]), (&json!("noneAtOrAfter"), &json!("noSuchKey")));
    assert_eq!(lines[0]["batch"], json!({"baseOffset": 1002, "lastOffset": 1003}));
    assert_eq!(
        (&lines[0]["segment"], &lines[0]["position"], &lines[0]["sizeInBytes"]),
        (&json!(1000), &json!(98), &json!(98))
    );
    assert_eq!((&lines[0]["record"]["key"], &lines[0]["record"]["offset"]), (&json!({"text": "k"}), &json!(1003)));
    let all = lookup(root.path(), &["orders-3", "-f", "json", "--key", "k1", "--all"]);
    assert_eq!(offsets(&all), [1002, 1008, 1014]);
}

#[test]
fn the_ends_of_the_log_have_names_and_kafkas_numbers() {
    let (root, _) = orders();
    fs::write(root.path().join("replication-offset-checkpoint"), "0\n1\norders 3 1013\n").unwrap();
    for names in [["earliest", "latest", "max-timestamp"], ["-2", "-1", "-3"]] {
        let arguments: Vec<_> = names.iter().flat_map(|name| ["--timestamp", name]).collect();
        for method in ["auto", "scan", "broker", "both"] {
            let finished =
                lookup(root.path(), &[&["orders-3", "-f", "json", "--method", method], &arguments[..]].concat());
            assert_eq!((offsets(&finished), finished.status), (vec![json!(1000), json!(1016), json!(1013)], Some(0)));
            assert_eq!(lines_of(&finished, "lookup")[1]["highWatermark"], 1013);
        }
    }
}

#[test]
fn records_are_printed_from_the_place_on() {
    let (root, _) = orders();
    let finished = lookup(root.path(), &["orders-3", "-f", "json", "--offset", "1003", "-n", "5"]);
    let shown: Vec<_> = lines_of(&finished, "record").iter().map(|line| line["offset"].clone()).collect();
    assert_eq!(shown, [1003, 1004, 1005, 1006, 1007]);
    let finished = lookup(root.path(), &["orders-3", "--timestamp", "80", "-n", "9"]);
    assert_eq!(text(&finished.stdout).matches("value \"ten bytes!\"").count(), 3);
}

#[test]
fn every_step_is_explained() {
    let (root, _) = orders();
    let arguments = ["orders-3", "--method", "broker", "--explain", "--timestamp", "62"];
    let finished = lookup(root.path(), &arguments);
    let said = text(&finished.stdout);
    for step in [
        "segment 1000: largest timestamp 1970-01-01T00:00:00.080Z, taken",
        "segment 1000: time index entry 0 (1970-01-01T00:00:00.060Z → offset 1003)",
        "no offset index entry is low enough, so from the start",
        "segment 1000: 5 batches read from position 0 on",
    ] {
        assert!(said.contains(step), "{step:?} is not in {said}");
    }
    let finished = lookup(root.path(), &["orders-3", "-f", "json", "--explain", "--offset", "1010"]);
    let steps = lines_of(&finished, "lookup")[0]["steps"].clone();
    assert_eq!(
        steps[1],
        json!({"step": "offsetIndexEntry", "segment": 1000, "slot": 0, "offset": 1007, "position": 294})
    );
}

#[test]
fn a_log_dir_is_answered_partition_by_partition() {
    let (root, dir) = orders();
    fs::write(root.path().join("meta.properties"), "version=1\n").unwrap();
    let other = root.path().join("audit-0");
    fs::create_dir(&other).unwrap();
    fs::copy(dir.join(LOG), other.join(LOG)).unwrap();
    let finished = lookup(root.path(), &[".", "-f", "json", "--timestamp", "62"]);
    let names: Vec<_> = lines_of(&finished, "lookup").iter().map(|line| line["partition"].clone()).collect();
    assert_eq!(
        (names, offsets(&finished)),
        (vec![json!("audit-0"), json!("orders-3")], vec![json!(1008), json!(1008)])
    );
    let finished =
        lookup(root.path(), &[".", "-f", "table", "-t", "orders-*", "--timestamp", "62", "--offset", "1001"]);
    assert_eq!(text(&finished.stdout).lines().count(), 3);
}

#[test]
fn what_lies_below_the_log_start_is_out_of_reach() {
    let (root, _) = orders();
    fs::write(root.path().join("log-start-offset-checkpoint"), "0\n1\norders 3 1005\n").unwrap();
    let finished =
        lookup(root.path(), &["orders-3", "-f", "json", "--timestamp", "0", "--timestamp", "earliest", "--key", "k0"]);
    assert_eq!(offsets(&finished), [1005, 1005, 1012]);
    let finished = lookup(root.path(), &["orders-3", "--offset", "1004"]);
    assert_eq!(finished.status, Some(8));
    assert!(text(&finished.stderr).contains("offset 1004 is out of range: the log holds offsets 1005 to 1015"));
}

#[test]
fn an_offset_outside_of_the_log_is_refused_with_the_valid_range() {
    let (root, _) = orders();
    for offset in ["999", "1017", "0", "-1", "-9223372036854775808", "9223372036854775807"] {
        for method in ["auto", "scan", "broker", "both"] {
            let finished = lookup(root.path(), &["orders-3", "--method", method, "--offset", offset]);
            assert_eq!((finished.status, text(&finished.stdout)), (Some(8), String::new()), "{offset}");
            let expected =
                format!("kfsck: orders-3: offset {offset} is out of range: the log holds offsets 1000 to 1015\n");
            assert_eq!(text(&finished.stderr), expected);
        }
    }
    let finished = lookup(root.path(), &["orders-3", "-f", "json", "--offset", "999"]);
    let line = lines_of(&finished, "lookup").remove(0);
    assert_eq!((&line["found"], &line["reason"]), (&json!(false), &json!("outOfRange")));
    assert_eq!((&line["logStartOffset"], &line["logEndOffset"]), (&json!(1000), &json!(1016)));
}

#[test]
fn the_log_end_is_not_yet_written() {
    let (root, _) = orders();
    for method in ["auto", "scan", "broker", "both"] {
        let finished = lookup(root.path(), &["orders-3", "--method", method, "--offset", "1016"]);
        assert_eq!(finished.status, Some(0), "{method}");
        assert!(text(&finished.stdout).contains("not found: 1016 is the log end: not written yet"));
    }
}

#[test]
fn what_cannot_be_read_is_a_usage_error_that_shows_the_accepted_forms() {
    let (root, _) = orders();
    for (arguments, expected) in [
        (vec!["--offset", "9223372036854775808"], "is no offset: offsets go from 0 to 9223372036854775807"),
        (vec!["--offset", "ten"], "is no offset"),
        (vec!["--timestamp", "yesterday"], "RFC 3339 (2025-11-20T09:00:00Z)"),
        (vec!["--timestamp", "yesterday"], "earliest, latest, max-timestamp"),
        (vec!["--timestamp", "-7"], "lies before 1970"),
        (vec!["--key", "hex:6"], "hexadecimal"),
        (vec![], "<--offset <N>|--timestamp <TIME>|--key <KEY>>"),
        (vec!["--key", "k", "--method", "broker"], "no broker can look for a key"),
        (vec!["--offset", "1001", "--key", "k", "--method", "both"], "--key and --method both do not go together"),
        (vec!["--offset", "1", "--all"], "--key"),
    ] {
        let finished = lookup(root.path(), &[&["orders-3"], &arguments[..]].concat());
        assert_eq!(finished.status, Some(16), "{arguments:?}");
        assert!(text(&finished.stderr).contains(expected), "{arguments:?}: {}", text(&finished.stderr));
    }
}

#[test]
fn empty_partitions_and_other_directories_are_told_apart() {
    let root = tempfile::tempdir().unwrap();
    for dir in ["empty-0", "nothing-0", "stuff"] {
        fs::create_dir(root.path().join(dir)).unwrap();
    }
    fs::write(root.path().join("empty-0").join(LOG), "").unwrap();
    fs::write(root.path().join("stuff/notes"), "x").unwrap();
    fs::write(root.path().join("stuff/leader-epoch-checkpoint"), "0\n0\n").unwrap();
    for method in ["auto", "scan", "broker", "both"] {
        let arguments =
            ["empty-0", "--method", method, "--offset", "1000", "--timestamp", "0", "--timestamp", "max-timestamp"];
        let finished = lookup(root.path(), &arguments);
        assert_eq!(finished.status, Some(0), "{method}: {}", text(&finished.stderr));
        assert_eq!(text(&finished.stdout).matches("not found").count(), 3);
        let finished = lookup(root.path(), &["empty-0", "--method", method, "--offset", "0"]);
        assert_eq!(finished.status, Some(8));
        assert!(text(&finished.stderr).contains("the log is empty, its next offset is 1000"));
    }
    for (path, expected) in
        [("nothing-0", "nothing to look at"), ("missing-0", "No such file"), ("stuff/notes", "notes")]
    {
        let finished = lookup(root.path(), &[path, "--offset", "0"]);
        assert_eq!(finished.status, Some(8), "{path}");
        assert!(text(&finished.stderr).contains(expected), "{path}: {}", text(&finished.stderr));
    }
    let finished = lookup(root.path(), &["stuff/leader-epoch-checkpoint", "--offset", "0"]);
    assert!(text(&finished.stderr).contains("kfsck dump-log"));
}

#[test]
fn one_bad_path_does_not_stop_the_others() {
    let (root, _) = orders();
    let finished = lookup(root.path(), &["missing-0", "orders-3", "-f", "json", "--offset", "1010"]);
    assert_eq!((finished.status, offsets(&finished)), (Some(8), vec![json!(1010)]));
}

#[test]
fn a_segment_or_its_index_may_be_named_instead() {
    let (root, dir) = orders();
    for file in [LOG, INDEX, TIME_INDEX] {
        let finished = lookup(&dir, &[file, "-f", "json", "--offset", "1010", "--timestamp", "latest"]);
        assert_eq!(offsets(&finished), [1010, 1016]);
    }
    let finished = lookup(root.path(), &["orders-3", "--segment", "1000", "-f", "json", "--offset", "1010"]);
    assert_eq!(offsets(&finished), [1010]);
}

#[test]
fn bad_indexes_cost_nothing_but_time_and_a_note_and_both_shows_what_a_broker_would_say() {
    let mut random = Random(11);
    let random_bytes: Vec<u8> = (0..160).map(|_| random.next() as u8 | 0x80).collect();
    let past_end: Vec<u8> =
        (0..8).flat_map(|at: i32| [at.to_be_bytes(), (99_000 + at).to_be_bytes()].concat()).collect();
    let zeros = vec![0; 960];
    let bad_times = |bytes: &[u8]| bytes.repeat(4)[..240].to_vec();
    for (what, index, note) in
        [("zeros", zeros, true), ("random bytes", random_bytes, false), ("positions past the end", past_end, true)]
    {
        let (root, dir) = orders();
        fs::write(dir.join(INDEX), &index).unwrap();
        fs::write(dir.join(TIME_INDEX), bad_times(&index)).unwrap();
        for offset in 1000..1016 {
            let finished = lookup(root.path(), &["orders-3", "-f", "json", "--offset", &offset.to_string()]);
            assert_eq!((offsets(&finished), finished.status), (vec![json!(offset)], Some(0)), "{what}");
            if note {
                let said = text(&finished.stderr);
                assert!(said.contains("kfsck verify-index orders-3 has more"), "{what}: {said}");
            }
        }
        for (timestamp, expected) in [("62", 1008), ("71", 1012), ("0", 1000)] {
            let finished = lookup(root.path(), &["orders-3", "-f", "json", "--timestamp", timestamp]);
            assert_eq!((offsets(&finished), finished.status), (vec![json!(expected)], Some(0)), "{what}");
        }
        let arguments = ["orders-3", "-f", "json", "--method", "both", "--timestamp", "62", "--offset", "1014"];
        let finished = lookup(root.path(), &arguments);
        assert_eq!((offsets(&finished), finished.status), (vec![json!(1014), json!(1008)], Some(4)), "{what}");
        let findings = lines_of(&finished, "finding");
        assert!(!findings.is_empty() && findings.iter().all(|finding| finding["id"] == "lookup/broker-differs"));
    }
}

#[test]
fn a_difference_tells_both_answers_and_why() {
    let (root, dir) = orders();
    // Cut to its first entry, which a truncation leaves where the maximum was never looked up.
    fs::write(dir.join(TIME_INDEX), "").unwrap();
    let finished =
        lookup(root.path(), &["orders-3", "--method", "both", "--timestamp", "1000000", "--timestamp", "62"]);
    assert_eq!(finished.status, Some(0), "{}", text(&finished.stdout));
    set_modified(&dir.join(LOG), UNIX_EPOCH + Duration::from_millis(61));
    let finished = lookup(root.path(), &["orders-3", "-f", "json", "--method", "both", "--timestamp", "62"]);
    assert_eq!(finished.status, Some(4));
    let finding = lines_of(&finished, "finding").remove(0);
    assert_eq!((&finding["severity"], &finding["repair"]), (&json!("error"), &json!("safe")));
    assert_eq!(finding["details"]["broker"], json!({"found": false, "reason": "noneAtOrAfter"}));
    assert_eq!(finding["details"]["truth"]["offset"], 1008);
    assert!(finding["message"].as_str().unwrap().contains("a broker answers: not found"));
}

#[test]
fn damage_before_the_answer_is_told() {
    let (root, dir) = orders();
    let mut log = fs::read(dir.join(LOG)).unwrap();
    log[490 + 80] ^= 1;
    fs::write(dir.join(LOG), log).unwrap();
    for method in ["auto", "scan"] {
        let finished = lookup(root.path(), &["orders-3", "-f", "json", "--method", method, "--offset", "1010"]);
        let line = lines_of(&finished, "lookup").remove(0);
        assert_eq!((&line["offset"], &line["reason"]), (&json!(1012), &json!("behindDamage")));
    }
    let finished = lookup(root.path(), &["orders-3", "--method", "both", "--offset", "1010"]);
    assert_eq!(finished.status, Some(4));
}

/// The copy of `orders` with a flipped bit in the value of the batch at position 392: offsets 1008 and 1009, the first
/// with a timestamp above 60.
fn damaged_orders() -> (tempfile::TempDir, PathBuf) {
    let (root, dir) = orders();
    let mut log = fs::read(dir.join(LOG)).unwrap();
    log[392 + 80] ^= 1;
    fs::write(dir.join(LOG), log).unwrap();
    (root, dir)
}

#[test]
fn damage_that_was_passed_over_is_said_with_its_place_and_what_to_do() {
    let (root, _) = damaged_orders();
    let queries: [(&[&str], Value); 5] = [
        (&["--timestamp", "62"], json!(1010)),
        (&["--timestamp", "62", "--method", "scan"], json!(1010)),
        (&["--timestamp", "max-timestamp", "--method", "scan"], json!(1013)),
        (&["--key", "k1", "--all"], json!(1002)),
        (&["--offset", "1006", "-n", "3"], json!(1006)),
    ];
    for (query, expected) in queries {
        let finished = lookup(root.path(), &[&["orders-3"], query].concat());
        assert_eq!(finished.status, Some(4), "{query:?}: {}", text(&finished.stdout));
        let said = text(&finished.stdout);
        let line = said.lines().find(|line| line.starts_with("damaged")).unwrap();
        for part in [&format!("orders-3/{LOG}"), "position 392", "98 B", "kfsck check orders-3 has more"] {
            assert!(line.contains(part), "{line}");
        }
        assert_eq!(said.matches("damaged  ").count(), 1, "{said}");
        let finished = lookup(root.path(), &[&["orders-3", "-f", "json"], query].concat());
        assert_eq!(offsets(&finished)[0], expected);
        let damaged = lines_of(&finished, "damaged").remove(0);
        assert_eq!((&damaged["position"], &damaged["length"]), (&json!(392), &json!(98)));
        assert_eq!(lines_of(&finished, "summary")[0]["errors"], 1);
    }
    // Where it is not in the way nobody looks at it.
    let finished = lookup(root.path(), &["orders-3", "--offset", "1012"]);
    assert_eq!((finished.status, text(&finished.stderr)), (Some(0), String::new()));
    // For a time it always is: what its header says of its timestamps cannot be believed.
    let finished = lookup(root.path(), &["orders-3", "-f", "json", "--timestamp", "75"]);
    let line = lines_of(&finished, "lookup").remove(0);
    assert_eq!((finished.status, &line["offset"], &line["reason"]), (Some(4), &json!(1012), &json!("behindDamage")));
}

#[test]
fn the_summary_counts_the_files_and_bytes_that_were_read() {
    let (root, _) = orders();
    let summary = |arguments: &[&str]| {
        let finished = lookup(root.path(), &[&["orders-3", "-f", "json"], arguments].concat());
        lines_of(&finished, "summary").remove(0)
    };
    let one = summary(&["--offset", "1010"]);
    // A few entries of the index, four headers, and the batch of the answer once.
    assert_eq!((&one["files"], &one["bytes"]), (&json!(2), &json!(5 * 8 + 4 * 61 + 98)));
    let both = summary(&["--offset", "1010", "--io", "mmap"]);
    assert_eq!((&both["files"], &both["bytes"]), (&one["files"], &one["bytes"]));
    let scanned = summary(&["--timestamp", "99", "--method", "scan"]);
    assert_eq!(scanned["files"], 1);
    assert!(scanned["bytes"].as_u64().unwrap() >= 8 * 98);
}

#[test]
fn a_time_index_that_was_no_help_is_noted() {
    let time_entry = |timestamp: i64, offset: i64| {
        let mut bytes = Vec::new();
        TimeIndexEntry::new(Offset(1000), timestamp, Offset(offset)).unwrap().write(&mut bytes);
        bytes
    };
    let (root, dir) = orders();
    let right = fs::read(dir.join(TIME_INDEX)).unwrap();
    let cases = [
        ("right", Some(right), false),
        ("missing", None, true),
        ("empty", Some(Vec::new()), true),
        ("zeros", Some(vec![0; 120]), true),
        ("cut", Some(time_entry(60, 1003)), true),
        ("too far", Some([time_entry(61, 1013), time_entry(80, 1013)].concat()), true),
    ];
    for (what, bytes, is_noted) in cases {
        match bytes {
            Some(bytes) => fs::write(dir.join(TIME_INDEX), bytes).unwrap(),
            None => fs::remove_file(dir.join(TIME_INDEX)).unwrap(),
        }
        let finished = lookup(root.path(), &["orders-3", "-f", "json", "--timestamp", "62"]);
        assert_eq!((offsets(&finished), finished.status), (vec![json!(1008)], Some(0)), "{what}");
        let said = text(&finished.stderr);
        assert_eq!(said.contains("kfsck verify-index orders-3 has more"), is_noted, "{what}: {said}");
        let finished = lookup(root.path(), &["orders-3", "--timestamp", "62", "--method", "both"]);
        assert_eq!(text(&finished.stderr).contains("kfsck verify-index orders-3 has more"), is_noted, "{what}");
    }
    let finished = lookup(root.path(), &["orders-3", "-f", "json", "--method", "both", "--timestamp", "62"]);
    let finding = lines_of(&finished, "finding").remove(0);
    assert_eq!(finding["file"], format!("orders-3/{TIME_INDEX}"));
    let finished = lookup(root.path(), &["orders-3", "--method", "both", "--timestamp", "62"]);
    let said = text(&finished.stdout);
    let finding = said.lines().find(|line| line.contains("lookup/broker-differs")).unwrap();
    assert!(finding.contains(TIME_INDEX) && finding.ends_with("kfsck verify-index orders-3 has more"), "{finding}");
}

#[test]
fn a_broker_that_fails_leaves_an_error() {
    let (root, dir) = orders();
    let mut log = fs::read(dir.join(LOG)).unwrap();
    log[8..12].fill(0);
    fs::write(dir.join(LOG), log).unwrap();
    let finished = lookup(root.path(), &["orders-3", "--method", "broker", "--offset", "1001"]);
    assert_eq!(finished.status, Some(4));
    assert!(text(&finished.stdout).contains("a broker fails here"));
}

#[test]
fn a_log_that_is_no_file_is_an_error_that_names_it() {
    for kind in ["directory", "pipe", "dangling link"] {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("orders-3");
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join(INDEX), "").unwrap();
        let log = dir.join(LOG);
        match kind {
            "directory" => fs::create_dir(&log).unwrap(),
            "pipe" => rustix::fs::mknodat(rustix::fs::CWD, &log, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap(),
            _ => std::os::unix::fs::symlink("nowhere", &log).unwrap(),
        }
        for method in ["auto", "broker"] {
            let finished = lookup(root.path(), &["orders-3", "--method", method, "--offset", "1000"]);
            let said = text(&finished.stderr);
            assert_eq!(finished.status, Some(8), "{kind}: {said}");
            assert!(said.contains(&format!("orders-3/{LOG}")) && !said.contains("empty"), "{kind}: {said}");
        }
    }
}

#[test]
fn a_log_without_timestamps_has_its_first_record_as_the_largest() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("orders-3");
    fs::create_dir(&dir).unwrap();
    let mut log = Vec::new();
    for base in 1000..1003 {
        let mut header = RecordBatchBuilder::plain_header(Offset(base), -1);
        header.partition_leader_epoch = 4;
        let mut builder = RecordBatchBuilder::new(header, Compression::None);
        builder.push(&RecordFields { value: Some(b"v"), ..Default::default() });
        builder.write(&mut log).unwrap();
    }
    fs::write(dir.join(LOG), log).unwrap();
    fs::write(dir.join(INDEX), "").unwrap();
    fs::write(dir.join(TIME_INDEX), "").unwrap();
    for method in ["auto", "scan", "broker", "both"] {
        let arguments = ["orders-3", "-f", "json", "--timestamp", "max-timestamp", "--method", method];
        let finished = lookup(root.path(), &arguments);
        assert_eq!(finished.status, Some(0), "{method}");
        let line = lines_of(&finished, "lookup").remove(0);
        // Kafka's classes answer the timestamp -1 with offset 1000 and epoch 4.
        assert_eq!((&line["found"], &line["offset"], &line["leaderEpoch"]), (&json!(true), &json!(1000), &json!(4)));
        assert_eq!((&line["timestamp"], &line["reason"]), (&Value::Null, &json!("noTimestamp")));
    }
}

#[test]
fn times_of_tiered_storage_are_answered_as_without_it() {
    let (root, _) = orders();
    for [name, number] in [["earliest-local", "-4"], ["latest-tiered", "-5"], ["earliest-pending-upload", "-6"]] {
        for asked in [name, number] {
            for method in ["auto", "scan", "broker", "both"] {
                let arguments = ["orders-3", "-f", "json", "--method", method, "--timestamp", asked];
                let finished = lookup(root.path(), &arguments);
                assert_eq!(finished.status, Some(0), "{asked}");
                let expected = if number == "-4" { json!(1000) } else { Value::Null };
                assert_eq!(offsets(&finished), [expected], "{asked}");
                assert_eq!(lines_of(&finished, "lookup")[0]["query"], json!({"timestamp": name}));
            }
        }
    }
}
