//! `kfsck lookup --method broker` on damaged logs and indexes answers, and fails, as Kafka's own classes do.
//!
//! A line of `testdata/lookup/damaged.jsonl.zst` is one partition of `testdata/real` with some bytes changed or a file
//! cut (`changes`), and what the classes of release 4.4.0 answered on it, started as after an orderly stop:
//!
//! - `offsets`: `[offset, answer]`: `[segment, position, size, base offset, last offset, epoch]`, `null` for an empty
//!   fetch, `"out"` for an OffsetOutOfRangeException, `"fails"` for any other.
//! - `timestamps` and `special` (-1 latest, -2 earliest, -3 largest timestamp, -4 earliest local, -5 latest tiered, -6
//!   earliest pending upload): `[timestamp, offset, epoch]`, `null` or `"fails"`.
//! - `loadFails`: the broker cannot load the partition at all.
//!
//! Changes that make a start rebuild producer state from a damaged log are left out: that is not played through.

mod support;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use serde::Deserialize;
use serde_json::{Value, json};
use support::{copy_partition, in_parallel, json_output, kfsck, report, testdata};

/// When the `.log` files that were judged had last been changed, in milliseconds: later than every record.
const MODIFIED: u64 = 1_900_000_000_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Judged {
    partition: String,
    log_start: i64,
    changes: Vec<Change>,
    offsets: Vec<(i64, Value)>,
    timestamps: Vec<(i64, Value)>,
    special: BTreeMap<String, Value>,
    load_fails: Option<String>,
}

/// Either other bytes at a place, or the size that a file is cut to.
#[derive(Deserialize, Debug)]
struct Change {
    file: String,
    at: Option<u64>,
    bytes: Option<String>,
    size: Option<u64>,
}

impl Change {
    fn apply(&self, partition: &Path) {
        let file = OpenOptions::new().write(true).open(partition.join(&self.file)).unwrap();
        let length = file.metadata().unwrap().len();
        if let Some(size) = self.size {
            file.set_len(size.min(length)).unwrap();
        } else if let (Some(at), Some(digits)) = (self.at, &self.bytes) {
            let bytes: Vec<u8> =
                (0..digits.len() / 2).map(|n| u8::from_str_radix(&digits[2 * n..2 * n + 2], 16).unwrap()).collect();
            if at + bytes.len() as u64 <= length {
                file.write_all_at(&bytes, at).unwrap();
            }
        }
    }
}

fn answer(line: &Value) -> Value {
    let epoch = |line: &Value| line["leaderEpoch"].as_i64().unwrap_or(-1);
    match (line["reason"].as_str(), line["found"] == true) {
        (Some("brokerFails"), _) => json!("fails"),
        (Some("outOfRange"), _) => json!("out"),
        // Kafka's answer to these two is no record but -1 for everything.
        (Some("noTieredStorage"), _) => json!([-1, -1, -1]),
        (_, false) => Value::Null,
        _ if line["query"].get("offset").is_some() => {
            let (batch, place) = (&line["batch"], [&line["segment"], &line["position"], &line["sizeInBytes"]]);
            json!([place[0], place[1], place[2], batch["baseOffset"], batch["lastOffset"], epoch(line)])
        }
        _ => json!([line["timestamp"].as_i64().unwrap_or(-1), line["offset"], epoch(line)]),
    }
}

fn is_same(line: &Value, ours: &Value, theirs: &Value) -> bool {
    let is_end = |name: &Value| ["earliest", "latest", "earliest-local"].iter().any(|end| *end == *name);
    match &line["query"]["timestamp"] {
        // We show the record that lies at the end of the log, Kafka answers no timestamp.
        name if is_end(name) && theirs.is_array() => ours[1] == theirs[1] && ours[2] == theirs[2],
        _ if line["query"].get("offset").is_some() && line["reason"] == "gap" => {
            // The epoch is that of the record, which may lie behind the batch.
            ours.as_array().map(|ours| &ours[..5]) == theirs.as_array().map(|theirs| &theirs[..5])
        }
        _ => ours == theirs,
    }
}

fn compare(judged: &Judged) -> Result<usize, String> {
    let log_dir = tempfile::tempdir().unwrap();
    let partition = testdata().join(&judged.partition);
    let modified = UNIX_EPOCH + Duration::from_millis(MODIFIED);
    let copy = copy_partition(&partition, log_dir.path(), modified);
    judged.changes.iter().for_each(|change| change.apply(&copy));
    let logs = fs::read_dir(&copy).unwrap().map(|entry| entry.unwrap().path());
    logs.filter(|path| path.extension().is_some_and(|kind| kind == "log"))
        .for_each(|log| support::set_modified(&log, modified));
    if judged.log_start > 0 {
        let (topic, number) = copy.file_name().unwrap().to_str().unwrap().rsplit_once('-').unwrap();
        let line = format!("0\n1\n{topic} {number} {}\n", judged.log_start);
        fs::write(log_dir.path().join("log-start-offset-checkpoint"), line).unwrap();
    }
    let mut arguments = ["lookup", "--method", "broker", "-f", "json"].map(str::to_owned).to_vec();
    arguments.push(copy.display().to_string());
    let mut expected = Vec::new();
    for (offset, theirs) in &judged.offsets {
        arguments.extend(["--offset".to_owned(), offset.to_string()]);
        expected.push(theirs);
    }
    for (timestamp, theirs) in &judged.timestamps {
        arguments.extend(["--timestamp".to_owned(), timestamp.to_string()]);
        expected.push(theirs);
    }
    for (name, theirs) in &judged.special {
        arguments.extend(["--timestamp".to_owned(), name.clone()]);
        expected.push(theirs);
    }
    let fails = json!("fails");
    if judged.load_fails.is_some() {
        arguments.extend(["--timestamp", "0"].map(str::to_owned));
        expected.push(&fails);
    }
    let finished = kfsck(Path::new("/"), &arguments);
    let said = String::from_utf8_lossy(&finished.stderr);
    let lines = json_output(&finished.stdout).map_err(|error| format!("{error}: {said}"))?;
    let lines: Vec<_> = lines.into_iter().filter(|line| line["type"] == "lookup").collect();
    let failed = lines.iter().any(|line| line["reason"] == "brokerFails");
    let mut wrong = Vec::new();
    if lines.len() != expected.len() {
        wrong.push(format!("{} answers to {} questions: {said}", lines.len(), expected.len()));
    }
    if failed && finished.status.is_none_or(|status| status & 4 == 0) {
        wrong.push(format!("exit {:?} although a broker fails", finished.status));
    }
    for (line, theirs) in lines.iter().zip(&expected) {
        let ours = answer(line);
        if !is_same(line, &ours, theirs) {
            wrong.push(format!("{}: {ours}, Kafka: {theirs} ({})", line["query"], line["reason"]));
        }
    }
    match wrong.is_empty() {
        true => Ok(expected.len()),
        false => Err(format!("{} {:?}: {}", judged.partition, judged.changes, wrong.join("; "))),
    }
}

fn account(mut text: impl Read) -> usize {
    let mut lines = String::new();
    text.read_to_string(&mut lines).unwrap();
    let judged: Vec<Judged> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let outcomes = in_parallel(judged, |judged| compare(&judged));
    let questions: usize = outcomes.iter().flatten().sum();
    let outcomes: Vec<_> = outcomes.into_iter().map(|outcome| outcome.map(|_| ())).collect();
    report("damaged partitions", &outcomes, &format!("{questions} questions"));
    outcomes.len()
}

#[test]
fn a_broker_answers_over_damage_as_kafkas_classes_do() {
    let file = testdata().parent().unwrap().join("lookup/damaged.jsonl.zst");
    assert!(account(zstd::Decoder::new(File::open(file).unwrap()).unwrap()) > 100);
}

#[test]
fn so_it_does_over_those_that_the_environment_names() {
    let Some(file) = std::env::var_os("KFSCK_JUDGED_DAMAGED") else { return };
    account(File::open(file).unwrap());
}
