//! `docs/format.md` says what the code says: its layouts are those of the builders, its dump is that of a broker's file.

mod support;

use std::fs;
use std::ops::Range;
use std::path::Path;

use kfsck::format::batch::RecordBatchHeader;
use kfsck::format::compression::Compression;
use kfsck::format::control;
use kfsck::format::file_name::FileName;
use kfsck::format::legacy::MessageHeader;
use kfsck::format::offset_index::OffsetIndexEntry;
use kfsck::format::producer_snapshot::{self, ProducerEntry};
use kfsck::format::time_index::TimeIndexEntry;
use kfsck::format::txn_index::AbortedTxn;
use kfsck::format::{Offset, leader_epoch, offset_checkpoint};
use kfsck::report::entries::kind_name;
use support::{json_output, kfsck, testdata};

/// The file that the page explains.
const EXPLAINED: &str = "4.4.0/transactions/log-dir/txn-open-from-start-0/00000000000000000000.log";

fn page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/format.md")).unwrap()
}

/// The rows of the tables below a heading, without title and rule.
fn tables(page: &str, heading: &str) -> Vec<Vec<Vec<String>>> {
    let section = page.split(&format!("\n{heading}\n")).nth(1).unwrap_or_else(|| panic!("no {heading}"));
    let section = section.split("\n#").next().unwrap();
    let mut tables = vec![Vec::new()];
    for line in section.lines() {
        match line.strip_prefix("| ").and_then(|line| line.strip_suffix('|')) {
            Some(cells) => {
                tables.last_mut().unwrap().push(cells.split(" | ").map(|cell| cell.trim().to_owned()).collect())
            }
            None if line.starts_with("|--") => tables.last_mut().unwrap().clear(),
            None if !tables.last().unwrap().is_empty() => tables.push(Vec::new()),
            None => {}
        }
    }
    tables.retain(|table| !table.is_empty());
    tables
}

/// The fenced blocks with this word behind the fence.
fn blocks<'a>(page: &'a str, word: &str) -> Vec<&'a str> {
    page.split("\n```").skip(1).step_by(2).filter_map(|block| block.strip_prefix(word)?.strip_prefix('\n')).collect()
}

fn range(cell: &str) -> Range<usize> {
    let (start, end) = cell.split_once("..").unwrap_or_else(|| panic!("{cell}"));
    start.parse().unwrap()..end.parse().unwrap_or(usize::MAX)
}

/// The table gives each field the bytes into which the builder puts the value it was given.
fn check(table: &[Vec<String>], bytes: &[u8], values: &[(&str, i64)]) {
    let rows: Vec<_> = table.iter().filter(|row| range(&row[0]).end != usize::MAX).collect();
    let names: Vec<_> = rows.iter().map(|row| row[1].as_str()).collect();
    assert_eq!(names, values.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    let mut end = 0;
    for (row, (name, value)) in rows.iter().zip(values) {
        let range = range(&row[0]);
        assert_eq!(range.start, end, "{name}");
        end = range.end;
        let stored = &bytes[range.clone()];
        assert_eq!(stored, &value.to_be_bytes()[8 - stored.len()..], "{name}");
        assert!(*value != 0 || *name == "version", "{name}: a value that can be told from others");
    }
    assert_eq!(end, bytes.len());
}

#[test]
fn the_layouts_are_those_of_the_builders() {
    let page = page();
    let header = RecordBatchHeader {
        base_offset: 0x0102_0304_0506_0708,
        length: 0x1112_1314,
        partition_leader_epoch: 0x2122_2324,
        magic: 2,
        crc: 0x3132_3334,
        attributes: 0x41,
        last_offset_delta: 0x5152_5354,
        base_timestamp: 0x6162_6364_6566_6768,
        max_timestamp: 0x7172_7374_7576_7778,
        producer_id: 0x0a0b_0c0d_0e0f_1011,
        producer_epoch: 0x1a1b,
        base_sequence: 0x2a2b_2c2d,
        records_count: 0x3a3b_3c3d,
    };
    let mut bytes = Vec::new();
    header.write(&mut bytes);
    let values = [
        ("base offset", header.base_offset),
        ("length", header.length.into()),
        ("partition leader epoch", header.partition_leader_epoch.into()),
        ("magic", header.magic.into()),
        ("crc", header.crc.into()),
        ("attributes", header.attributes.into()),
        ("last offset delta", header.last_offset_delta.into()),
        ("base timestamp", header.base_timestamp),
        ("max timestamp", header.max_timestamp),
        ("producer id", header.producer_id),
        ("producer epoch", header.producer_epoch.into()),
        ("base sequence", header.base_sequence.into()),
        ("records count", header.records_count.into()),
    ];
    check(&tables(&page, "## Record batches, magic 2")[0], &bytes, &values);

    let message = MessageHeader { offset: 1 << 40, length: 7, crc: 9, magic: 1, attributes: 3, timestamp: 1 << 41 };
    let mut bytes = Vec::new();
    message.write(&mut bytes);
    bytes.extend_from_slice(&5_i32.to_be_bytes());
    let names = ["offset", "length", "crc", "magic", "attributes", "timestamp", "key length"];
    let values = [1 << 40, 7, 9, 1, 3, 1 << 41, 5];
    check(&tables(&page, "## Messages, magic 0 and 1")[0], &bytes, &Vec::from_iter(names.into_iter().zip(values)));

    let mut bytes = Vec::new();
    OffsetIndexEntry { offset: Offset(1007), relative_offset: 7, raw_position: 291 }.write(&mut bytes);
    check(&tables(&page, "## Offset index")[0], &bytes, &[("relative offset", 7), ("position", 291)]);

    let mut bytes = Vec::new();
    TimeIndexEntry { timestamp: 1 << 40, offset: Offset(1007), relative_offset: 7 }.write(&mut bytes);
    check(&tables(&page, "## Time index")[0], &bytes, &[("timestamp", 1 << 40), ("relative offset", 7)]);

    let [first_offset, last_offset, last_stable_offset] = [5, 8, 9].map(Offset);
    let mut bytes = Vec::new();
    AbortedTxn { version: 0, producer_id: 4, first_offset, last_offset, last_stable_offset }.write(&mut bytes);
    let names = ["version", "producer id", "first offset", "last offset", "last stable offset"];
    let values = Vec::from_iter(names.into_iter().zip([0, 4, 5, 8, 9]));
    check(&tables(&page, "## Index of aborted transactions")[0], &bytes, &values);

    let entry = ProducerEntry {
        producer_id: 1,
        producer_epoch: 2,
        last_sequence: 3,
        last_offset: 4,
        offset_delta: 5,
        timestamp: 6,
        coordinator_epoch: 7,
        current_txn_first_offset: 8,
    };
    let snapshot = producer_snapshot::write(&[entry]);
    let (head, bytes) = snapshot.split_at(producer_snapshot::HEADER_SIZE);
    let crc = u32::from_be_bytes(head[2..6].try_into().unwrap());
    let both = tables(&page, "## Producer snapshot");
    check(&both[0], head, &[("version", 1), ("crc", crc.into()), ("entries", 1)]);
    assert!(both[0][3][2].starts_with(&format!("{} bytes", bytes.len())));
    let names = [
        "producer id",
        "producer epoch",
        "last sequence",
        "last offset",
        "offset delta",
        "timestamp",
        "coordinator epoch",
        "current transaction first offset",
    ];
    check(&both[1], bytes, &Vec::from_iter(names.into_iter().zip(1..)));
}

#[test]
fn names_and_numbers_are_those_of_the_code() {
    let page = page();
    for row in &tables(&page, "## A partition and its segments")[0] {
        let [name, kind] = [&row[0], &row[2]].map(|cell| cell.trim_matches('`'));
        let parsed = FileName::parse(name).unwrap_or_else(|| panic!("{name}"));
        assert!(parsed.canonical, "{name}");
        assert_eq!(kind_name(parsed.kind), kind, "{name}");
    }
    let types = &tables(&page, "### Control records")[0];
    for (number, row) in (0..).zip(types) {
        assert_eq!((row[0].as_str(), row[1].as_str()), (number.to_string().as_str(), control::name_of(number)));
    }
    assert_eq!(types.len(), 1 + control::KRAFT_VOTERS as usize);
    let codecs: Vec<_> = Compression::ALL.iter().map(|codec| format!("{} {}", *codec as u8, codec.name())).collect();
    assert_eq!(tables(&page, "## Record batches, magic 2")[1][0][1], format!("codec: {}", codecs.join(", ")));
    let checkpoints: Vec<_> = blocks(&page, "").into_iter().filter(|block| block.starts_with("0\n2\n")).collect();
    assert_eq!(checkpoints.len(), 2);
    let with_end = |block: &str| format!("{block}\n").into_bytes();
    assert_eq!(offset_checkpoint::parse(&with_end(checkpoints[0])).unwrap().len(), 2);
    assert_eq!(leader_epoch::parse(&with_end(checkpoints[1])).unwrap().len(), 2);
}

#[test]
fn the_dump_is_that_of_the_file_and_each_byte_of_the_batch_is_explained_as_dump_log_does() {
    let page = page();
    assert!(page.contains(EXPLAINED));
    let file = fs::read(testdata().join(EXPLAINED)).unwrap();
    let mut shown = Vec::new();
    for line in blocks(&page, "hexdump")[0].lines() {
        let (at, rest) = line.split_once(": ").unwrap();
        assert_eq!(usize::from_str_radix(at, 16).unwrap(), shown.len());
        let (hex, text) = rest.split_once("  ").unwrap();
        let row = unhex(&hex.replace(' ', ""));
        let printable = |byte: &u8| if (0x20..0x7f).contains(byte) { char::from(*byte) } else { '.' };
        assert_eq!(row.iter().map(printable).collect::<String>(), text);
        shown.extend(row);
    }
    assert!(file.starts_with(&shown));

    let said = kfsck(&testdata(), ["dump-log", "-r", "-n", "1", "-f", "json", EXPLAINED]);
    let lines = json_output(&said.stdout).unwrap();
    let line = |kind: &str| lines.iter().find(|line| line["type"] == kind).unwrap();
    let (batch, record) = (line("batch"), line("record"));
    let mut end = 0;
    for row in &tables(&page, "### A batch byte by byte")[0] {
        let (range, field) = (range(&row[0]), row[2].as_str());
        assert_eq!(range.start, end, "{field}");
        end = range.end;
        assert_eq!(unhex(&row[1]), file[range], "{field}");
        let value = match field {
            "base offset" => &batch["baseOffset"],
            "partition leader epoch" => &batch["partitionLeaderEpoch"],
            "magic" => &batch["magic"],
            "crc" => &batch["crc"],
            "base timestamp" => &batch["baseTimestamp"],
            "max timestamp" => &batch["maxTimestamp"],
            "producer id" => &batch["producerId"],
            "producer epoch" => &batch["producerEpoch"],
            "base sequence" => &batch["baseSequence"],
            "records count" => &batch["count"],
            "record: key" => &record["key"]["text"],
            "record: value" => &record["value"]["text"],
            _ => continue,
        };
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        assert_eq!(row[3], value, "{field}");
    }
    assert_eq!(batch["sizeInBytes"], end);
    assert!(batch["isTransactional"] == true && batch["isControl"] == false);

    let said = kfsck(&testdata(), ["dump-log", "-r", "-n", "1", EXPLAINED]);
    let said = String::from_utf8(said.stdout).unwrap();
    let (_, said) = said.split_once('\n').unwrap();
    assert_eq!(blocks(&page, "console")[0], said.trim_end());
}

fn unhex(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}
