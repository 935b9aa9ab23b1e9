//! What `dump-log` shows of a partition when only some of it is wanted, held against what real consumers got.

mod support;

use std::fs;
use std::path::Path;

use serde_json::Value;
use support::{Truth, TruthRecord, base64, json_output, kfsck, scenario};

/// The records that consumers got of a partition, in order.
fn truth(release: &str, name: &str, partition: &str) -> Vec<TruthRecord> {
    let records = scenario(release, name).truth().into_iter().filter_map(|line| match line {
        Truth::Record(record) if record.partition == partition => Some(record),
        _ => None,
    });
    let mut records: Vec<_> = records.collect();
    records.sort_by_key(|record| record.offset);
    assert!(!records.is_empty(), "{release} {name} {partition}");
    records
}

fn records(partition: &Path, options: &[&str]) -> Vec<Value> {
    let finished = kfsck(partition, ["dump-log", "-r", "-f", "json"].iter().chain(options).chain(&["."]));
    assert_eq!(finished.status, Some(0), "{options:?}: {}", String::from_utf8_lossy(&finished.stderr));
    let lines = json_output(&finished.stdout).unwrap();
    lines.into_iter().filter(|line| line["type"] == "record").collect()
}

/// Offsets of the records that are no control records.
fn offsets(partition: &Path, options: &[&str]) -> Vec<i64> {
    let records = records(partition, options);
    records
        .iter()
        .filter(|record| record["control"].is_null())
        .map(|record| record["offset"].as_i64().unwrap())
        .collect()
}

fn those<'t>(truth: &'t [TruthRecord], wanted: impl Fn(&TruthRecord) -> bool + 't) -> Vec<i64> {
    truth.iter().filter(|record| wanted(record)).map(|record| record.offset).collect()
}

#[test]
fn read_committed_shows_what_such_a_consumer_got() {
    for (release, partition) in [("2.8.2", "txn-mixed-0"), ("3.9.2", "txn-mixed-0"), ("4.4.0", "txn-mixed-0")] {
        let truth = truth(release, "transactions", partition);
        let directory = scenario(release, "transactions").log_dir(None, None).join(partition);
        let committed = those(&truth, |record| record.read_committed == "committed");
        assert!(committed.len() < truth.len(), "{release}: some must be aborted or open");
        assert_eq!(offsets(&directory, &["--isolation", "read-committed"]), committed, "{release}");
        assert_eq!(offsets(&directory, &[]), those(&truth, |_| true), "{release}");
        // One file alone is judged by what the whole partition says.
        let file = directory.join("00000000000000000000.log");
        let finished =
            kfsck(&directory, ["dump-log", "-r", "-f", "json", "--isolation=read-committed", file.to_str().unwrap()]);
        let shown = json_output(&finished.stdout).unwrap();
        let shown: Vec<_> = shown.iter().filter_map(|line| line["offset"].as_i64()).collect();
        assert!(!shown.is_empty() && committed.starts_with(&shown), "{release}: {shown:?}");
    }
}

#[test]
fn windows_of_offsets_are_exact_whatever_the_indexes_say() {
    let truth = truth("4.4.0", "transactions", "txn-mixed-0");
    let real = scenario("4.4.0", "transactions").log_dir(None, None).join("txn-mixed-0");
    let copy = tempfile::tempdir().unwrap();
    let copy = copy.path().join("txn-mixed-0");
    fs::create_dir(&copy).unwrap();
    for entry in fs::read_dir(&real).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        // An index that leads astray, in order and out of it.
        let bytes = match path.extension().and_then(|extension| extension.to_str()) {
            Some("index") => (0..40u32).flat_map(|at| [at / 2, at * 97 % 1500]).flat_map(u32::to_be_bytes).collect(),
            _ => fs::read(&path).unwrap(),
        };
        fs::write(copy.join(name), bytes).unwrap();
    }
    for from in -1..40 {
        for to in [from, from + 1, from + 7, 100] {
            let window = [format!("--from-offset={from}"), format!("--to-offset={to}")];
            let window: Vec<_> = window.iter().map(String::as_str).collect();
            let expected = those(&truth, |record| from <= record.offset && record.offset < to);
            assert_eq!(offsets(&real, &window), expected, "{window:?}");
            assert_eq!(offsets(&copy, &window), expected, "{window:?} with wrong indexes");
        }
    }
}

#[test]
fn a_changed_base_offset_does_not_end_a_window() {
    let real = scenario("4.4.0", "transactions").log_dir(None, None).join("txn-mixed-0");
    let copy = tempfile::tempdir().unwrap();
    let name = "00000000000000000000.log";
    let mut bytes = fs::read(real.join(name)).unwrap();
    // The second batch, at position 99, says that it begins at offset 1026.
    bytes[99 + 6] = 4;
    fs::write(copy.path().join(name), bytes).unwrap();
    assert_eq!(offsets(copy.path(), &["--from-offset=3", "--to-offset=7"]), [3, 4, 5, 6]);
}

#[test]
fn windows_of_time_are_exact() {
    let truth = truth("3.9.2", "segments", "time-out-of-order-0");
    let directory = scenario("3.9.2", "segments").log_dir(None, None).join("time-out-of-order-0");
    let times: Vec<i64> = truth.iter().map(|record| record.timestamp).collect();
    assert!(!times.is_sorted());
    for from in times.iter().step_by(7) {
        for to in times.iter().step_by(11) {
            let window = [format!("--from-time={from}"), format!("--to-time={}", to + 1)];
            let window: Vec<_> = window.iter().map(String::as_str).collect();
            let expected = those(&truth, |record| (*from..to + 1).contains(&record.timestamp));
            assert_eq!(offsets(&directory, &window), expected, "{window:?}");
        }
    }
}

#[test]
fn keys_and_headers_are_matched_byte_for_byte() {
    let mut compared = 0;
    for partition in ["codec-none-0", "codec-zstd-0"] {
        let truth = truth("4.4.0", "codecs", partition);
        let directory = scenario("4.4.0", "codecs").log_dir(None, None).join(partition);
        let mut keys: Vec<_> = truth.iter().filter_map(|record| record.key.clone()).collect();
        keys.sort();
        keys.dedup();
        for key in keys.iter().step_by(1 + keys.len() / 20) {
            let expected = those(&truth, |record| record.key.as_ref() == Some(key));
            assert_eq!(offsets(&directory, &["--key", &format!("base64:{key}")]), expected, "{key}");
            let bytes = base64(key).unwrap();
            let prefix: String = bytes.iter().take(2).map(|byte| format!("{byte:02x}")).collect();
            let starts = |record: &TruthRecord| {
                record.key.as_deref().and_then(base64).is_some_and(|key| key.starts_with(&bytes[..bytes.len().min(2)]))
            };
            assert_eq!(offsets(&directory, &["--key-prefix", &format!("hex:{prefix}")]), those(&truth, starts));
            compared += 1;
        }
        for header in
            truth.iter().flat_map(|record| &record.headers).filter(|header| !header.key.contains('=')).take(30)
        {
            let with_key = |record: &TruthRecord| record.headers.iter().any(|other| other.key == header.key);
            let key = String::from_utf8(base64(&header.key).unwrap()).unwrap();
            assert_eq!(offsets(&directory, &["--header", &key]), those(&truth, with_key), "{key}");
            if let Some(value) = &header.value {
                let same = |record: &TruthRecord| {
                    record.headers.iter().any(|other| other.key == header.key && other.value.as_ref() == Some(value))
                };
                let pattern = format!("{key}=base64:{value}");
                assert_eq!(offsets(&directory, &["--header", &pattern]), those(&truth, same), "{pattern}");
            }
            compared += 1;
        }
    }
    assert!(compared > 40, "{compared}");
}

#[test]
fn batches_are_chosen_by_producer_epoch_and_kind() {
    let directory = scenario("4.4.0", "transactions").log_dir(None, None).join("txn-mixed-0");
    let batches = |options: &[&str]| -> Vec<Value> {
        let finished = kfsck(&directory, ["dump-log", "-f", "json"].iter().chain(options).chain(&["."]));
        let lines = json_output(&finished.stdout).unwrap();
        lines.into_iter().filter(|line| line["type"] == "batch").collect()
    };
    let all = batches(&[]);
    for (options, wanted) in [
        (&["--producer-id=1"][..], (|batch: &Value| batch["producerId"] == 1) as fn(&Value) -> bool),
        (&["--producer-id=1", "--producer-id=2"], |batch| batch["producerId"] == 1 || batch["producerId"] == 2),
        (&["--leader-epoch=0"], |batch| batch["partitionLeaderEpoch"] == 0),
        (&["--leader-epoch=1"], |_| false),
        (&["--control"], |batch| batch["isControl"] == true),
        (&["--control", "--producer-id=0"], |batch| batch["isControl"] == true && batch["producerId"] == 0),
    ] {
        let expected: Vec<_> = all.iter().filter(|batch| wanted(batch)).cloned().collect();
        assert_eq!(batches(options), expected, "{options:?}");
    }
    assert_eq!(batches(&["--limit=3"]), all[..3]);
    assert_eq!(records(&directory, &["-n", "4", "--from-offset=12"]).len(), 4);
}
