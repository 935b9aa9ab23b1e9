//! What a start makes of a partition directory is predicted as Kafka's own classes do it.
//!
//! `testdata/start/judged.jsonl.zst` holds directories and what the classes of releases 4.4.0 and 3.9.2 made of them. A line
//! is either a directory, `{"base": name, "files": {name: [size, hex]}}` where zeros behind the hex are left out, or a
//! case:
//!
//! - `of`: the directory that was damaged; `name`: how.
//! - `damage`: `{name: null}` for a file removed, `{name: [size, position, hex]}` for one cut or extended by zeros to
//!   that size and then overwritten at that position.
//! - `start`: under which conditions the partition was loaded.
//! - `fails`: the class of the exception that loading ended in, `offline`: whether the log dir went offline.
//! - `state`: log start, log end, `[base offset, size]` of segments, `[epoch, start offset]` of leader epochs, and
//!   producers as a snapshot has them (sorted by id).
//! - `files`: what differs in the directory after an orderly stop and after delayed deletions, or after the failure:
//!   `null` for a file that is gone, else size and the first eight digits of its SHA-256.
//!
//! All of this is compared, the content of every file included. `KFSCK_STARTS` may name another file of this kind.

mod support;

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use kfsck::format::Offset;
use kfsck::scan::recover::KafkaRelease;
use kfsck::scan::start::{Content, Scope, StartConditions, StartOutcome, predict};
use kfsck::store::ReadPolicy;
use kfsck::store::partition::PartitionDir;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use support::{in_parallel, report};

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Base { base: String, files: BTreeMap<String, (u64, String)> },
    Case(Box<Case>),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    of: String,
    name: String,
    damage: BTreeMap<String, Option<(u64, u64, String)>>,
    start: Start,
    fails: Option<String>,
    offline: bool,
    state: Option<Value>,
    files: BTreeMap<String, Option<(u64, String)>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Start {
    clean: bool,
    release: String,
    now: i64,
    interval: u32,
    index_bytes: u32,
    log_start: i64,
    recovery_point: i64,
}

type Bases = Arc<HashMap<String, BTreeMap<String, Vec<u8>>>>;

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn read(mut text: impl Read) -> (Bases, Vec<Case>) {
    let mut lines = String::new();
    text.read_to_string(&mut lines).unwrap();
    let (mut bases, mut cases) = (HashMap::new(), Vec::new());
    for line in lines.lines() {
        match serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")) {
            Line::Case(case) => cases.push(*case),
            Line::Base { base, files } => {
                let whole = |(size, hex): &(u64, String)| {
                    let mut bytes = unhex(hex);
                    bytes.resize(*size as usize, 0);
                    bytes
                };
                let files = files.iter().map(|(name, content)| (name.clone(), whole(content))).collect();
                bases.insert(base, files);
            }
        }
    }
    (Arc::new(bases), cases)
}

fn damaged(base: &BTreeMap<String, Vec<u8>>, case: &Case) -> BTreeMap<String, Vec<u8>> {
    let mut files = base.clone();
    for (name, change) in &case.damage {
        match change {
            None => {
                files.remove(name);
            }
            Some((size, at, hex)) => {
                let file = files.entry(name.clone()).or_default();
                file.resize(*size as usize, 0);
                let bytes = unhex(hex);
                file[*at as usize..*at as usize + bytes.len()].copy_from_slice(&bytes);
            }
        }
    }
    files
}

/// Size and the first digits of the SHA-256. A preallocated index of nothing but zeros comes again and again.
fn digest(bytes: &[u8]) -> (u64, String) {
    static LARGE: Mutex<BTreeMap<(usize, Vec<u8>), String>> = Mutex::new(BTreeMap::new());
    let hash = || Sha256::digest(bytes).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let hash = match bytes.len() {
        ..1_000_000 => hash(),
        size => LARGE.lock().unwrap().entry((size, without_zeros(bytes).to_vec())).or_insert_with(hash).clone(),
    };
    (bytes.len() as u64, hash)
}

fn without_zeros(mut bytes: &[u8]) -> &[u8] {
    const BLOCK: [u8; 4096] = [0; 4096];
    while let Some(before) = bytes.strip_suffix(&BLOCK) {
        bytes = before;
    }
    bytes
}

fn content(content: &Content, before: &BTreeMap<String, Vec<u8>>) -> (u64, String) {
    let (mut bytes, size) = match content {
        Content::Disk { name, start, size_in_bytes } => (before[name][*start as usize..].to_vec(), *size_in_bytes),
        Content::Written { bytes, size_in_bytes } => (bytes.clone(), *size_in_bytes),
        Content::NotKept { size_in_bytes } => return (*size_in_bytes, "not kept".to_owned()),
    };
    bytes.resize(size as usize, 0);
    digest(&bytes)
}

fn state(outcome: &StartOutcome) -> Value {
    let mut producers = outcome.producers.clone();
    producers.sort_by_key(|producer| producer.producer_id);
    json!([
        outcome.log_start_offset.0,
        outcome.log_end_offset.0,
        outcome.segments.iter().map(|(base, size)| json!([base.0, size])).collect::<Vec<_>>(),
        outcome.leader_epochs.iter().map(|entry| json!([entry.epoch, entry.start_offset.0])).collect::<Vec<_>>(),
        producers
            .iter()
            .map(|it| json!([
                it.producer_id,
                it.producer_epoch,
                it.last_sequence,
                it.last_offset,
                it.offset_delta,
                it.timestamp,
                it.coordinator_epoch,
                it.current_txn_first_offset
            ]))
            .collect::<Vec<_>>(),
    ])
}

fn compare(bases: &Bases, case: &Case) -> Result<(), String> {
    let before = damaged(&bases[&case.of], case);
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("t-0");
    fs::create_dir(&dir).unwrap();
    for (name, bytes) in &before {
        let file = File::create(dir.join(name)).unwrap();
        file.write_all_at(without_zeros(bytes), 0).unwrap();
        file.set_len(bytes.len() as u64).unwrap();
    }
    let start = &case.start;
    let release = if start.release.starts_with("3.9") { KafkaRelease::V3_9 } else { KafkaRelease::V4_4 };
    let conditions = StartConditions {
        log_start_offset: Some(Offset(start.log_start)),
        recovery_point: Some(Offset(start.recovery_point)),
        release,
        index_interval_bytes: start.interval,
        segment_index_bytes: start.index_bytes,
        ..StartConditions::new(start.clean, start.now)
    };
    let outcome = predict(&PartitionDir::read(&dir).unwrap(), conditions, ReadPolicy::default()).unwrap();

    let mut wrong = Vec::new();
    let fails = outcome.refusal.as_ref().map(|refusal| refusal.exception(release));
    if fails != case.fails.as_deref() {
        wrong.push(format!("fails with {fails:?} ({:?}), Kafka with {:?}", outcome.refusal, case.fails));
    }
    let offline = outcome.refusal.as_ref().is_some_and(|refusal| refusal.scope() == Scope::LogDir);
    if offline != case.offline {
        wrong.push(format!("offline {offline}"));
    }
    if let (Some(theirs), None) = (&case.state, &outcome.refusal) {
        let ours = state(&outcome);
        if ours != *theirs {
            wrong.push(format!("state {ours}, Kafka {theirs}"));
        }
    }
    if wrong.is_empty() {
        let mut expected: BTreeMap<&str, (u64, String)> =
            before.iter().map(|(name, bytes)| (name.as_str(), digest(bytes))).collect();
        for (name, change) in &case.files {
            match change {
                Some(change) => expected.insert(name, change.clone()),
                None => expected.remove(name.as_str()),
            };
        }
        let ours: BTreeMap<&str, _> =
            outcome.files.iter().map(|(name, file)| (name.as_str(), content(file, &before))).collect();
        for (name, file) in &ours {
            if expected.get(name) != Some(file) {
                wrong.push(format!("{name} {file:?}, Kafka {:?}", expected.get(name)));
            }
            if outcome.is_unchanged(name) != (before.get(*name).map(|bytes| digest(bytes)).as_ref() == Some(file)) {
                wrong.push(format!("{name} counts as {}", outcome.is_unchanged(name)));
            }
        }
        for name in expected.keys().filter(|name| !ours.contains_key(*name)) {
            wrong.push(format!("{name} is gone, with Kafka it is not"));
        }
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "{} {:?} {} {}: {}",
            case.of,
            case.name,
            start.release,
            if start.clean { "clean" } else { "unclean" },
            wrong.join("; ")
        )),
    }
}

fn compare_all(file: impl Read) {
    let (bases, cases) = read(file);
    assert!(cases.len() > 100, "{} cases", cases.len());
    let (all, refused) = (cases.len(), cases.iter().filter(|case| case.fails.is_some()).count());
    let outcomes = in_parallel(cases, |case| compare(&bases, &case));
    for o in outcomes.iter().filter_map(|o| o.as_ref().err()) {
        eprintln!("FAIL {o}");
    }
    report("starts", &outcomes, &format!("{all} starts, {refused} of which Kafka refuses"));
}

#[test]
fn a_start_makes_of_a_directory_what_is_predicted() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/start/judged.jsonl.zst");
    compare_all(zstd::Decoder::new(File::open(file).unwrap()).unwrap());
}

#[test]
fn so_it_does_with_a_collection_that_the_environment_names() {
    let Some(file) = std::env::var_os("KFSCK_STARTS") else { return };
    compare_all(File::open(file).unwrap());
}
