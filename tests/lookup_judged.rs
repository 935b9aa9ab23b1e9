//! Offsets and timestamps are found as Kafka's own classes find them, and as a walk over all of Kafka's records finds them.
//!
//! `testdata/lookup/judged.jsonl.zst` holds what the classes of release 4.4.0 answered on the partitions of
//! `testdata/real`, started on them as after an orderly stop. A line is one partition:
//!
//! - `offsets`: `[offset, broker, truth]`. The broker's answer is `[segment, position, size, base offset, last offset,
//!   epoch]`, `null` for an empty fetch, `"out"` for an OffsetOutOfRangeException, `"fails"` for any other. The truth is
//!   `[segment, position]` of the batch that a walk over all batches finds, as Kafka's iterator shows them.
//! - `timestamps`: `[timestamp, broker, truth]`, each `[timestamp, offset, epoch]` or `null`.
//! - `special`: the same for -1 (latest), -2 (earliest) and -3 (largest timestamp).
//! - `violations`: how many lookups Kafka's own law (an index finds what a full scan finds) holds against the indexes.
//! - `explained`: how many answers differ from the walk by Kafka's own way to look, although the indexes are right.
//!
//! `KFSCK_JUDGED` may name another file of this kind, with absolute paths, whose partitions lie as they were judged.

mod support;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use kfsck::format::Offset;
use kfsck::scan::locate::broker::Broker;
use kfsck::scan::locate::{OffsetAnswer, PartitionView, Reading, RecordPlace, Trace, offset, truth};
use kfsck::store::partition::PartitionDir;
use serde::Deserialize;
use serde_json::{Value, json};
use support::{copy_partition, in_parallel, report, testdata};

/// When the `.log` files that were judged had last been changed, in milliseconds: later than every record.
const MODIFIED: u64 = 1_900_000_000_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Judged {
    partition: String,
    log_start: i64,
    offsets: Vec<(i64, Value, Value)>,
    timestamps: Vec<(i64, Value, Value)>,
    special: BTreeMap<String, (Value, Value)>,
    #[serde(default)]
    load_fails: Option<String>,
    #[serde(default)]
    violations: u64,
    #[serde(default)]
    explained: Option<BTreeMap<String, u64>>,
}

/// How much was compared.
#[derive(Default)]
struct Counts {
    offsets: usize,
    timestamps: usize,
    differing: usize,
}

fn judged(mut text: impl Read) -> Vec<Judged> {
    let mut lines = String::new();
    text.read_to_string(&mut lines).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

fn compare(judged: &Judged, dir: &Path) -> Result<Counts, String> {
    let dir = PartitionDir::read(dir).unwrap();
    let view = PartitionView::new(&dir, None, Some(Offset(judged.log_start)));
    let mut trace = Trace::default();
    let broker = match (Broker::start(&view, &mut trace).unwrap(), &judged.load_fails) {
        (Ok(broker), None) => broker,
        (Err(_), Some(_)) => return Ok(Counts::default()),
        (ours, theirs) => return Err(format!("loading: {:?}, Kafka: {theirs:?}", ours.map(|_| ()))),
    };
    let mut counts = Counts::default();
    let mut wrong = Vec::new();
    let mut check = |what: String, ours: Value, theirs: &Value| {
        if ours != *theirs {
            wrong.push(format!("{what}: {ours}, expected {theirs}"));
        }
    };
    for (offset, by_broker, by_walk) in &judged.offsets {
        let ours = match broker.offset(Offset(*offset), &mut trace).unwrap() {
            Ok(answer) => fetched(&view, &answer),
            Err(_) => json!("fails"),
        };
        check(format!("broker, offset {offset}"), ours, by_broker);
        for reading in [Reading::Scan, Reading::Checked] {
            let ours = match offset::offset(&view, Offset(*offset), reading, &mut trace).unwrap() {
                OffsetAnswer::Batch { batch, .. } => json!([base(&view, batch.segment), batch.position.0]),
                OffsetAnswer::OutOfRange { .. } => json!("out"),
                OffsetAnswer::NotYetWritten { .. } | OffsetAnswer::NothingBehind { .. } => Value::Null,
            };
            check(format!("{reading:?}, offset {offset}"), ours, by_walk);
        }
        counts.offsets += 1;
    }
    for (timestamp, by_broker, by_walk) in &judged.timestamps {
        let ours = match broker.timestamp(*timestamp, &mut trace).unwrap() {
            Ok(answer) => found(answer),
            Err(_) => json!("fails"),
        };
        check(format!("broker, timestamp {timestamp}"), ours, by_broker);
        for reading in [Reading::Scan, Reading::Checked] {
            let ours = found(truth::timestamp(&view, *timestamp, reading, &mut trace).unwrap());
            check(format!("{reading:?}, timestamp {timestamp}"), ours, by_walk);
        }
        counts.timestamps += 1;
        counts.differing += usize::from(by_broker != by_walk);
        trace.steps.clear();
    }
    if let Some((by_broker, by_walk)) = judged.special.get("-3") {
        let ours = match broker.max_timestamp(&mut trace).unwrap() {
            Ok(answer) => found(answer),
            Err(_) => json!("fails"),
        };
        check("broker, largest timestamp".to_owned(), ours, by_broker);
        for reading in [Reading::Scan, Reading::Checked] {
            let ours = found(truth::max_timestamp(&view, reading, &mut trace).unwrap());
            check(format!("{reading:?}, largest timestamp"), ours, by_walk);
        }
    }
    if let Some((by_broker, by_walk)) = judged.special.get("-1") {
        let end = broker.latest().unwrap();
        check("broker, latest".to_owned(), json!([-1, end.offset.0, end.leader_epoch.unwrap_or(-1)]), by_broker);
        for reading in [Reading::Scan, Reading::Checked] {
            let end = offset::log_end(&view, reading, &mut trace).unwrap().offset;
            check(format!("{reading:?}, latest"), json!(end.0), by_walk);
        }
    }
    if let Some((by_broker, by_walk)) = judged.special.get("-2") {
        let start = broker.earliest().unwrap();
        check("broker, earliest".to_owned(), json!([-1, start.offset.0, start.leader_epoch.unwrap_or(-1)]), by_broker);
        check("log start".to_owned(), json!(view.log_start_offset().0), by_walk);
    }
    let explained: u64 = judged.explained.iter().flat_map(BTreeMap::values).sum();
    if judged.violations == 0 && explained == 0 && counts.differing > 0 {
        wrong.push(format!("{} answers differ although Kafka's law holds", counts.differing));
    }
    match wrong.is_empty() {
        true => Ok(counts),
        false => Err(format!(
            "{}: {} wrong, as {}",
            judged.partition,
            wrong.len(),
            wrong.iter().take(4).cloned().collect::<Vec<_>>().join("; ")
        )),
    }
}

fn base(view: &PartitionView<'_>, segment: usize) -> i64 {
    view.segments()[segment].base_offset.0
}

fn fetched(view: &PartitionView<'_>, answer: &OffsetAnswer) -> Value {
    match answer {
        OffsetAnswer::Batch { batch, .. } => {
            let header = batch.header;
            let last = header.last_offset().0;
            json!([
                base(view, batch.segment),
                batch.position.0,
                header.size_in_bytes(),
                header.base_offset().map(|base| base.0),
                last,
                header.partition_leader_epoch().unwrap_or(-1)
            ])
        }
        OffsetAnswer::OutOfRange { .. } => json!("out"),
        OffsetAnswer::NotYetWritten { .. } | OffsetAnswer::NothingBehind { .. } => Value::Null,
    }
}

fn found(record: Option<RecordPlace>) -> Value {
    record.map_or(Value::Null, |record| {
        let epoch = record.batch.header.partition_leader_epoch().unwrap_or(-1);
        json!([record.timestamp.unwrap_or(-1), record.offset.0, epoch])
    })
}

/// A compressed message does not tell its first offset, so a broker's answer is compared without it.
fn without_hidden_base_offsets(mut judged: Judged, dir: &Path) -> Judged {
    let dir = PartitionDir::read(dir).unwrap();
    let view = PartitionView::new(&dir, None, Some(Offset(judged.log_start)));
    for (offset, by_broker, _) in &mut judged.offsets {
        let answer = offset::offset(&view, Offset(*offset), Reading::Checked, &mut Trace::default()).unwrap();
        if let (OffsetAnswer::Batch { batch, .. }, Some(fields)) = (answer, by_broker.as_array_mut())
            && batch.header.base_offset().is_none()
        {
            fields[3] = Value::Null;
        }
    }
    judged
}

fn account(outcomes: Vec<Result<Counts, String>>) {
    let sum = |pick: fn(&Counts) -> usize| outcomes.iter().flatten().map(pick).sum::<usize>();
    let aside = format!(
        "{} offsets, {} timestamps; for {} of them a broker's answer is not the truth",
        sum(|counts| counts.offsets),
        sum(|counts| counts.timestamps),
        sum(|counts| counts.differing)
    );
    let outcomes: Vec<_> = outcomes.into_iter().map(|outcome| outcome.map(|_| ())).collect();
    report("partitions", &outcomes, &aside);
}

#[test]
fn every_answer_is_kafkas_and_every_truth_is_that_of_its_records() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/lookup/judged.jsonl.zst");
    let judged = judged(zstd::Decoder::new(File::open(file).unwrap()).unwrap());
    assert!(judged.len() > 50, "{} partitions", judged.len());
    account(in_parallel(judged, |judged| {
        let copies = tempfile::tempdir().unwrap();
        let modified = UNIX_EPOCH + Duration::from_millis(MODIFIED);
        let copy = copy_partition(&testdata().join(&judged.partition), copies.path(), modified);
        compare(&without_hidden_base_offsets(judged, &copy), &copy)
    }));
}

#[test]
fn so_are_those_of_a_collection_that_the_environment_names() {
    let Some(file) = std::env::var_os("KFSCK_JUDGED") else { return };
    let judged = judged(fs::File::open(file).unwrap());
    account(in_parallel(judged, |judged| {
        let dir = judged.partition.clone();
        let dir = Path::new(&dir);
        compare(&without_hidden_base_offsets(judged, dir), dir)
    }));
}
