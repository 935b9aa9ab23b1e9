//! Recipes of damage: what a healthy log dir holds, what is done to it, and what the check must say.
//!
//! `testdata/recipes/README.md` explains the keys.

// Each integration test compiles this module for itself and uses a part of it.
#![allow(dead_code)]

use std::fs::{self, File};
use std::ops::Range;
use std::path::{Component, Path, PathBuf};

use kfsck::format::batch::{RecordBatch, RecordBatchHeader, write_batch};
use kfsck::format::compression::{Compression, DEFAULT_LIMIT, Decompressor, compress};
use kfsck::format::record::RecordFields;
use serde::Deserialize;
use toml::{Table, Value};

use super::healthy::{Healthy, set_modified};

/// One damage to one healthy log dir.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What is wrong, as a sentence; no two are called the same.
    pub name: String,
    /// The rows of the catalogue of corruptions that this is an example of.
    #[serde(default)]
    pub row: Vec<u32>,
    /// What is damaged.
    #[serde(default)]
    pub healthy: Healthy,
    /// What is done to it, one after the other.
    pub damage: Vec<Damage>,
    /// Whether the check shall read no payload.
    #[serde(default)]
    pub quick: bool,
    /// Exactly what the check must find.
    #[serde(default)]
    pub expect: Vec<Expect>,
}

/// A finding that is expected. What is not given here is not compared, but for severity and repair: those are then
/// the usual ones of the id.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    pub id: String,
    /// Where, if it is not the first damaged file.
    pub file: Option<String>,
    pub slot: Option<u64>,
    /// The batch of the healthy log that begins at the finding's position, from 0.
    pub batch: Option<usize>,
    pub position: Option<u64>,
    pub length: Option<u64>,
    pub offset: Option<i64>,
    pub severity: Option<String>,
    pub repair: Option<String>,
}

impl std::fmt::Display for Expect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { id, file, slot, length, offset, severity, repair, .. } = self;
        write!(f, "{id}")?;
        let words = [("in", file), ("severity", severity), ("repair", repair)];
        let words = words.into_iter().filter_map(|(name, word)| word.as_ref().map(|word| (name, word.clone())));
        let numbers = [
            ("slot", slot.map(|slot| slot as i64)),
            ("length", length.map(|length| length as i64)),
            ("offset", *offset),
        ];
        let numbers = numbers.into_iter().filter_map(|(name, number)| number.map(|number| (name, number.to_string())));
        words.chain(numbers).try_for_each(|(name, said)| write!(f, " {name} {said}"))
    }
}

/// One change of one file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Damage {
    /// Which file.
    pub file: String,

    // Where in it; negative numbers count from the end.
    pub entry: Option<i64>,
    pub batch: Option<i64>,
    pub record: Option<usize>,
    pub at: Option<i64>,

    // What is done there.
    pub set: Option<Table>,
    pub put: Option<String>,
    pub flip: Option<u8>,
    pub drop: bool,
    pub repeat: Option<usize>,
    /// Makes the checksum of the batch or snapshot right again after `put` and `flip`; after `set` it always is.
    pub seal: bool,

    // What is done to the whole file.
    pub append: Option<String>,
    pub append_zeros: Option<u64>,
    pub append_entry: Option<Table>,
    pub cut: Option<usize>,
    pub resize: Option<u64>,
    pub text: Option<String>,
    pub replace: Option<[String; 2]>,
    pub text_mode: bool,
    pub modified: Option<i64>,
    pub remove: bool,
    pub rename: Option<String>,
    pub copy: Option<String>,
    pub create_dir: bool,
}

/// All recipes of a directory, in the order of the files and of the cases in them.
pub fn read_all(dir: &Path) -> Vec<Case> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Group {
        case: Vec<Case>,
    }
    let mut paths: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    let mut cases = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        let group: Group = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        cases.extend(group.case);
    }
    cases
}

/// A log dir that a case has damaged.
pub struct Damaged {
    /// The directory of partition 0.
    pub partition: PathBuf,
    /// Where the batches of each log lay before.
    batches: Vec<(PathBuf, Vec<usize>)>,
}

impl Case {
    /// Builds the healthy log dirs in `root` and damages them.
    pub fn build(&self, root: &Path) -> Damaged {
        let partition = self.healthy.build(root);
        let logs = super::healthy::files(root);
        let logs = logs.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "log"));
        let batches = logs.map(|path| (path.clone(), batches(&fs::read(&path).unwrap()))).collect();
        for damage in &self.damage {
            Target::new(&self.healthy, &partition, &damage.file).suffer(damage);
        }
        Damaged { partition, batches }
    }

    /// Whether loading the partition can show the damage: it is in the partition or in what the log dir says about it.
    /// Files of gigabytes are not shown around, and a checkpoint that cannot be read says nothing to the partition.
    pub fn is_seen_by_loading(&self) -> bool {
        let is_huge = self.damage.iter().any(|damage| damage.resize.is_some_and(|size| size > 1 << 30));
        let is_inside = |file: &str| !file.starts_with("../") || file.ends_with("-checkpoint");
        let is_unreadable = self.expect.iter().any(|expect| expect.id == "logdir/checkpoint-unreadable");
        !is_huge && !is_unreadable && self.damage.iter().any(|damage| is_inside(&damage.file))
    }

    /// The file that an expected finding is about.
    pub fn file_of(&self, damaged: &Damaged, expect: &Expect) -> PathBuf {
        let file = expect.file.as_ref().unwrap_or(&self.damage[0].file);
        path_of(&self.healthy, &damaged.partition, file)
    }

    /// The position of an expected finding.
    pub fn position_of(&self, damaged: &Damaged, expect: &Expect) -> Option<u64> {
        let Some(batch) = expect.batch else { return expect.position };
        let path = self.file_of(damaged, expect);
        let known = damaged.batches.iter().find(|(log, _)| *log == path);
        let (_, starts) = known.unwrap_or_else(|| panic!("{}: {} was no log", self.name, path.display()));
        Some(starts[batch] as u64)
    }
}

/// Resolves the short names of recipes: `log` is that of the first segment, `40.log` that of the segment with base
/// offset 40; anything else is a path as it stands, seen from the partition directory.
fn path_of(healthy: &Healthy, partition: &Path, name: &str) -> PathBuf {
    let first = healthy.start.to_string();
    let (number, kind) = name.split_once('.').unwrap_or((&first, name));
    let is_short = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) && layout_of(kind).is_some();
    let path = match is_short {
        true => partition.join(format!("{number:0>20}.{kind}")),
        false => partition.join(name),
    };
    let mut resolved = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => drop(resolved.pop()),
            Component::CurDir => {}
            other => resolved.push(other),
        }
    }
    resolved
}

/// Where a field lies.
type Field = (&'static str, Range<usize>);

/// A kind of file that consists of entries: bytes before the first, bytes of each, and their fields.
struct Layout {
    header: usize,
    size: usize,
    fields: &'static [Field],
}

const INDEX: Layout = Layout { header: 0, size: 8, fields: &[("offset", 0..4), ("position", 4..8)] };
const TIME_INDEX: Layout = Layout { header: 0, size: 12, fields: &[("timestamp", 0..8), ("offset", 8..12)] };
const TXN_INDEX: Layout = Layout {
    header: 0,
    size: 34,
    fields: &[
        ("version", 0..2),
        ("producer_id", 2..10),
        ("first_offset", 10..18),
        ("last_offset", 18..26),
        ("last_stable_offset", 26..34),
    ],
};
const SNAPSHOT: Layout = Layout {
    header: 10,
    size: 46,
    fields: &[
        ("producer_id", 0..8),
        ("producer_epoch", 8..10),
        ("last_sequence", 10..14),
        ("last_offset", 14..22),
        ("offset_delta", 22..26),
        ("timestamp", 26..34),
        ("coordinator_epoch", 34..38),
        ("current_txn_first_offset", 38..46),
    ],
};
const BATCH: &[Field] = &[
    ("base_offset", 0..8),
    ("length", 8..12),
    ("partition_leader_epoch", 12..16),
    ("magic", 16..17),
    ("crc", 17..21),
    ("attributes", 21..23),
    ("last_offset_delta", 23..27),
    ("base_timestamp", 27..35),
    ("max_timestamp", 35..43),
    ("producer_id", 43..51),
    ("producer_epoch", 51..53),
    ("base_sequence", 53..57),
    ("records_count", 57..61),
];

/// The entries of a kind of file, none for a log; nothing for other names.
fn layout_of(kind: &str) -> Option<Option<&'static Layout>> {
    match kind {
        "log" => Some(None),
        "index" => Some(Some(&INDEX)),
        "timeindex" => Some(Some(&TIME_INDEX)),
        "txnindex" => Some(Some(&TXN_INDEX)),
        "snapshot" => Some(Some(&SNAPSHOT)),
        _ => None,
    }
}

/// Where each batch of a log begins, as far as lengths lead; the end last.
fn batches(log: &[u8]) -> Vec<usize> {
    let mut starts = vec![0];
    let mut at = 0;
    while let Some(length) = log.get(at + 8..at + 12) {
        at += 12 + i32::from_be_bytes(length.try_into().unwrap()) as usize;
        if at > log.len() {
            break;
        }
        starts.push(at);
    }
    starts
}

/// A file that is about to suffer.
struct Target<'a> {
    healthy: &'a Healthy,
    partition: &'a Path,
    path: PathBuf,
    layout: Option<&'static Layout>,
}

impl<'a> Target<'a> {
    fn new(healthy: &'a Healthy, partition: &'a Path, file: &str) -> Self {
        let path = path_of(healthy, partition, file);
        let kind = path.extension().and_then(|kind| kind.to_str()).unwrap_or_default();
        Self { healthy, partition, layout: layout_of(kind).flatten(), path }
    }

    fn suffer(&self, damage: &Damage) {
        if damage.create_dir {
            return fs::create_dir_all(&self.path).unwrap();
        }
        if damage.remove {
            return fs::remove_file(&self.path).unwrap_or_else(|error| panic!("{}: {error}", self.path.display()));
        }
        if let Some(name) = &damage.rename {
            return fs::rename(&self.path, path_of(self.healthy, self.partition, name)).unwrap();
        }
        if let Some(name) = &damage.copy {
            return self.copy_to(&path_of(self.healthy, self.partition, name));
        }
        if let Some(size) = damage.resize {
            return File::options().write(true).open(&self.path).unwrap().set_len(size).unwrap();
        }
        if let Some(time) = damage.modified {
            return set_modified(&self.path, time);
        }
        // What is not there is made.
        let mut bytes = fs::read(&self.path).unwrap_or_default();
        self.change(damage, &mut bytes);
        fs::write(&self.path, bytes).unwrap();
        set_modified(&self.path, super::healthy::CLOSED_AT);
    }

    /// Copies a file, or a directory with the files in it.
    fn copy_to(&self, to: &Path) {
        if self.path.is_file() {
            fs::copy(&self.path, to).unwrap();
            return;
        }
        fs::create_dir(to).unwrap();
        for path in super::healthy::files(&self.path) {
            fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
        }
    }

    fn change(&self, damage: &Damage, bytes: &mut Vec<u8>) {
        if let Some(text) = &damage.text {
            *bytes = text.clone().into_bytes();
        }
        if let Some([from, to]) = &damage.replace {
            let text = String::from_utf8(bytes.clone()).unwrap();
            assert!(text.contains(from), "{}: no {from:?} in {text:?}", self.path.display());
            *bytes = text.replacen(from, to, 1).into_bytes();
        }
        if let Some(hex) = &damage.append {
            bytes.extend(unhex(hex));
        }
        if let Some(entry) = &damage.append_entry {
            let layout = self.layout.expect("a file with entries");
            let at = bytes.len();
            bytes.resize(at + layout.size, 0);
            self.set(entry, layout.fields, at, bytes);
            self.seal_snapshot(bytes);
        }
        if let Some(count) = damage.append_zeros {
            bytes.resize(bytes.len() + count as usize, 0);
        }
        if let Some(count) = damage.cut {
            bytes.truncate(bytes.len() - count);
        }
        if damage.text_mode {
            *bytes =
                bytes.iter().flat_map(|&byte| [Some(b'\r').filter(|_| byte == b'\n'), Some(byte)]).flatten().collect();
        }
        let range = self.range(damage, bytes);
        if let Some(set) = &damage.set {
            match (damage.record, self.layout) {
                (Some(record), _) => self.set_record(set, record, range.clone(), bytes),
                (None, Some(layout)) => self.set(set, layout.fields, range.start, bytes),
                (None, None) => self.set(set, BATCH, range.start, bytes),
            }
            self.seal_snapshot(bytes);
        }
        let at = match damage.at {
            Some(at) if at < 0 => range.end - at.unsigned_abs() as usize,
            at => range.start + at.unwrap_or(0) as usize,
        };
        if let Some(hex) = &damage.put {
            let put = unhex(hex);
            bytes[at..at + put.len()].copy_from_slice(&put);
        }
        if let Some(bits) = damage.flip {
            bytes[at] ^= bits;
        }
        if let Some(times) = damage.repeat {
            let block = bytes[range.clone()].repeat(times);
            bytes.splice(range.end..range.end, block);
        }
        let covered = damage.set.as_ref().is_some_and(|set| !set.contains_key("crc") && !set.contains_key("length"));
        if damage.batch.is_some() && damage.record.is_none() && (damage.seal || covered) {
            seal_batch(&mut bytes[range.clone()]);
        }
        if damage.seal {
            self.seal_snapshot(bytes);
        }
        if damage.drop {
            bytes.drain(range);
            self.seal_snapshot(bytes);
        }
    }

    /// The bytes that `entry` or `batch` names, else all.
    fn range(&self, damage: &Damage, bytes: &[u8]) -> Range<usize> {
        let from_end = |number: i64, count: usize| match number {
            0.. => number as usize,
            _ => count - number.unsigned_abs() as usize,
        };
        if let Some(entry) = damage.entry {
            let layout = self.layout.expect("a file with entries");
            let start = layout.header + from_end(entry, (bytes.len() - layout.header) / layout.size) * layout.size;
            return start..start + layout.size;
        }
        if let Some(batch) = damage.batch {
            let starts = batches(bytes);
            let batch = from_end(batch, starts.len() - 1);
            return starts[batch]..starts[batch + 1];
        }
        0..bytes.len()
    }

    fn set(&self, set: &Table, fields: &[Field], start: usize, bytes: &mut [u8]) {
        for (name, value) in set {
            let field = fields.iter().find(|(known, _)| known == name);
            let (_, range) = field.unwrap_or_else(|| panic!("{}: no field {name}", self.path.display()));
            let mut value = self.number(value);
            // Indexes hold offsets as distances from the base of their segment.
            if name == "offset" {
                value -= self.base_offset();
            }
            let stored = &value.to_be_bytes()[8 - range.len()..];
            bytes[start + range.start..start + range.end].copy_from_slice(stored);
        }
    }

    /// A number, or `batch 7` or `batch 7 + 5` for a position in the log of the segment.
    fn number(&self, value: &Value) -> i64 {
        match value {
            Value::Integer(number) => *number,
            Value::String(text) => {
                let (batch, more) = text.split_once(" + ").unwrap_or((text, "0"));
                let batch: usize = batch.strip_prefix("batch ").and_then(|number| number.parse().ok()).unwrap();
                let log = fs::read(self.path.with_extension("log")).unwrap();
                batches(&log)[batch] as i64 + more.parse::<i64>().unwrap()
            }
            other => panic!("{other:?} is no number"),
        }
    }

    fn base_offset(&self) -> i64 {
        self.path.file_stem().unwrap().to_str().unwrap().parse().unwrap()
    }

    /// Writes the records of a batch again, one of them with other fields.
    fn set_record(&self, set: &Table, wanted: usize, range: Range<usize>, bytes: &mut Vec<u8>) {
        let batch = RecordBatch::new(&bytes[range.clone()]).unwrap();
        let header = *batch.header().as_record_batch().unwrap();
        let mut decompressor = Decompressor::new(DEFAULT_LIMIT);
        let mut plain = Vec::new();
        for (number, record) in batch.records(&mut decompressor).unwrap().enumerate() {
            let record = record.unwrap();
            let mut fields = RecordFields {
                timestamp_delta: record.timestamp.unwrap() - header.base_timestamp,
                offset_delta: (record.offset.0 - header.base_offset) as i32,
                key: record.key,
                value: record.value,
                ..RecordFields::default()
            };
            let hex = |name: &str| set.get(name).map(|value| unhex(value.as_str().unwrap()));
            let (key, value) = (hex("key"), hex("value"));
            if number == wanted {
                let number = |name: &str| set.get(name).map(|value| value.as_integer().unwrap());
                fields.timestamp_delta = number("timestamp_delta").unwrap_or(fields.timestamp_delta);
                fields.offset_delta = number("offset_delta").map_or(fields.offset_delta, |delta| delta as i32);
                fields.key = key.as_deref().or(fields.key);
                fields.value = value.as_deref().or(fields.value);
            }
            fields.write(&mut plain);
        }
        let (mut payload, mut changed) = (Vec::new(), Vec::new());
        let codec = Compression::from_id(header.attributes as u8 & 7).unwrap();
        compress(codec, 2, &plain, &mut payload).unwrap();
        write_batch(header, &payload, &mut changed);
        bytes.splice(range, changed);
    }

    /// Makes count and checksum of a producer snapshot right again.
    fn seal_snapshot(&self, bytes: &mut [u8]) {
        if self.path.extension().is_some_and(|kind| kind == "snapshot") {
            let count = (bytes.len() - SNAPSHOT.header) / SNAPSHOT.size;
            bytes[6..10].copy_from_slice(&(count as i32).to_be_bytes());
            let crc = kfsck::format::checksum::crc32c(&bytes[6..]);
            bytes[2..6].copy_from_slice(&crc.to_be_bytes());
        }
    }
}

/// Makes the checksum of a batch with magic 2 right again.
fn seal_batch(bytes: &mut [u8]) {
    let crc = kfsck::format::checksum::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
}

/// The bytes that hexadecimal digits stand for; blanks are passed over.
fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// The header of a batch, for tests that look at one.
pub fn header_of(log: &[u8], batch: usize) -> RecordBatchHeader {
    let start = batches(log)[batch];
    RecordBatchHeader::read(log[start..start + 61].try_into().unwrap())
}
