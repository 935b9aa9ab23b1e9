//! Each damage that has a recipe is found, exactly, and what is healthy is passed over in silence.
//!
//! `testdata/recipes/*.toml` are the recipes; `judged.jsonl` beside them holds what Kafka's own classes make of the
//! healthy and the damaged directories. `KFSCK_JUDGE=PROGRAM` asks them again and compares, with `KFSCK_REGENERATE=1` it
//! writes the record anew.

#[path = "support/healthy.rs"]
mod healthy;
#[path = "support/judge.rs"]
mod judge;
#[path = "support/recipe.rs"]
mod recipe;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

use healthy::{CLOSED_AT, Healthy};
use judge::{RELEASES, Start};
use kfsck::check::{Id, Repair, Severity};
use kfsck::scan::checkpoints::Checkpoints;
use kfsck::scan::recover::KafkaRelease;
use kfsck::scan::start::{Content, Scope, StartConditions, predict};
use kfsck::store::ReadPolicy;
use kfsck::store::partition::{PartitionDir, PartitionName};
use recipe::{Case, Damaged, Expect};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// Healthy log dirs besides those that the recipes damage.
const MORE_HEALTHY: &[&str] = &[
    "batches = 0",
    "batches = 1",
    "segments = 4\nepochs = 4",
    "start = 1000\nsegments = 2",
    "codec = 'gzip'",
    "codec = 'snappy'",
    "codec = 'lz4'",
    "codec = 'zstd'",
    "append_time = true",
    "index_interval = 0",
    "index_interval = 1000000",
    "magic = 0",
    "magic = 1\nsegments = 2",
    "magic = 0\ncodec = 'gzip'",
    "magic = 1\ncodec = 'lz4'",
    "magic = 1\nappend_time = true",
    "magic = 1\ncodec = 'snappy'\nappend_time = true",
    "producers = 3\nsegments = 2",
    "producers = 1\ntransactions = 2",
    "producers = 3\ntransactions = 3\nsegments = 3\nepochs = 3\ncodec = 'zstd'",
    "compacted = true\nsegments = 3",
    "compacted = true\nsegments = 3\ncodec = 'lz4'\nindex_interval = 500",
    "topic = '__cluster_metadata'\nrecords = 3",
    "topic = '__cluster_metadata'\nrecords = 3\nstart = 500",
];

fn recipes() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/recipes")
}

/// All healthy log dirs by name: those of the recipes and more.
fn all_healthy() -> BTreeMap<String, Healthy> {
    let more = MORE_HEALTHY.iter().map(|text| toml::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}")));
    let damaged = recipe::read_all(&recipes()).into_iter().map(|case| case.healthy);
    more.chain(damaged).map(|healthy: Healthy| (healthy.name(), healthy)).collect()
}

/// One line of the record.
#[derive(Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged, deny_unknown_fields)]
enum Judged {
    /// Both releases changed no file of it at a clean start and found every offset and timestamp.
    Healthy { healthy: String, sha256: String },
    /// What each release makes of it at a start after an orderly stop, and after a crash with nothing flushed.
    Case { case: String, clean: BTreeMap<String, Start>, unclean: BTreeMap<String, Start> },
}

fn record() -> Vec<Judged> {
    let text = fs::read_to_string(recipes().join("judged.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))).collect()
}

/// The digest of all files below a directory and of their names.
fn digest(root: &Path) -> String {
    let mut digest = Sha256::new();
    for path in healthy::files(root) {
        digest.update(path.strip_prefix(root).unwrap().to_str().unwrap());
        digest.update(fs::read(&path).unwrap());
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The command that loads a partition as its log dir says, at the time when it was closed.
fn load(partition: &Path, healthy: &Healthy) -> String {
    format!("load {} --root --now {CLOSED_AT} --index-interval {}", partition.display(), healthy.index_interval)
}

#[test]
fn what_is_built_healthy_is_what_kafka_accepted() {
    let record = record();
    for (name, healthy) in all_healthy() {
        let root = TempDir::new().unwrap();
        healthy.build(root.path());
        let judged = Judged::Healthy { healthy: name, sha256: digest(root.path()) };
        assert!(record.contains(&judged), "not what was judged, or never judged: {judged:?}");
    }
}

#[test]
fn the_record_is_what_kafka_does() {
    let Some(judge) = judge::judge() else { return println!("KFSCK_JUDGE is not set: the record stands unasked") };
    let mut lines = judge_healthy(&judge);
    lines.extend(judge_cases(&judge));
    if std::env::var_os("KFSCK_REGENERATE").is_some() {
        let text: String = lines.iter().map(|line| serde_json::to_string(line).unwrap() + "\n").collect();
        fs::write(recipes().join("judged.jsonl"), text).unwrap();
    }
    for (said, recorded) in lines.iter().zip(&record()) {
        assert_eq!(said, recorded);
    }
    assert_eq!(lines.len(), record().len());
}

fn judge_healthy(judge: &Path) -> Vec<Judged> {
    let built: Vec<_> = all_healthy()
        .into_iter()
        .map(|(name, healthy)| {
            let root = TempDir::new().unwrap();
            let partition = healthy.build(root.path());
            (name, healthy, root, partition)
        })
        .collect();
    let commands: Vec<String> = built
        .iter()
        .flat_map(|(_, healthy, _, partition)| {
            [load(partition, healthy), format!("lookup-law {}", partition.display())]
        })
        .collect();
    let mut refused = Vec::new();
    for release in RELEASES {
        for (answers, (name, ..)) in judge::ask(judge, release, &commands).chunks(2).zip(&built) {
            let start = Start::of(&answers[0]);
            if start.exception.is_some() || !start.files.is_empty() {
                refused.push(format!("{release} {name}: {start:?}"));
            }
            if !answers[1].iter().any(|line| line["type"] == "law" && line["violations"] == 0) {
                refused.push(format!("{release} {name}: {:?}", answers[1]));
            }
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
    built.into_iter().map(|(healthy, _, root, _)| Judged::Healthy { healthy, sha256: digest(root.path()) }).collect()
}

fn judge_cases(judge: &Path) -> Vec<Judged> {
    let mut built = Vec::new();
    let mut commands = Vec::new();
    for case in recipe::read_all(&recipes()) {
        if !case.is_seen_by_loading() {
            continue;
        }
        let root = TempDir::new().unwrap();
        let [clean, unclean] = ["clean", "unclean"].map(|name| {
            let root = root.path().join(name);
            fs::create_dir(&root).unwrap();
            case.build(&root).partition
        });
        let log_dir = unclean.parent().unwrap();
        let _ = fs::remove_file(log_dir.join(".kafka_cleanshutdown"));
        fs::write(log_dir.join("recovery-point-offset-checkpoint"), "0\n0\n").unwrap();
        commands.extend([load(&clean, &case.healthy), load(&unclean, &case.healthy)]);
        built.push((case, root));
    }
    let answers = RELEASES.map(|release| judge::ask(judge, release, &commands));
    let starts = |at: usize| judge::by_release(answers.iter().map(|answers| Start::of(&answers[at])).collect());
    built
        .iter()
        .enumerate()
        .map(|(at, (case, _))| Judged::Case {
            case: case.name.clone(),
            clean: starts(2 * at),
            unclean: starts(2 * at + 1),
        })
        .collect()
}

#[test]
fn starts_are_predicted_as_kafka_recorded_them() {
    let cases: BTreeMap<_, _> =
        recipe::read_all(&recipes()).into_iter().map(|case| (case.name.clone(), case)).collect();
    let recorded: Vec<_> = record()
        .into_iter()
        .filter_map(|line| match line {
            Judged::Case { case, clean, unclean } => Some((case, clean, unclean)),
            Judged::Healthy { .. } => None,
        })
        .collect();
    let wrong = on_all_processors(&recorded, |(name, clean, unclean)| {
        let case = cases.get(name).unwrap_or_else(|| panic!("{name:?} was judged and has no recipe"));
        let mut wrong = String::new();
        for (is_clean, by_release) in [(true, clean), (false, unclean)] {
            let root = TempDir::new().unwrap();
            let partition = case.build(root.path()).partition;
            for (at, release) in RELEASES.into_iter().enumerate() {
                let kafka = by_release.get("*").unwrap_or_else(|| &by_release[release]);
                let ours = predicted(&partition, &case.healthy, is_clean, [KafkaRelease::V3_9, KafkaRelease::V4_4][at]);
                if put_in_place(ours.clone()) != put_in_place(kafka.clone()) {
                    wrong += &format!("{name:?} {release} clean {is_clean}\n  kafka {kafka:?}\n  ours  {ours:?}\n");
                }
            }
        }
        wrong
    });
    assert!(wrong.iter().all(String::is_empty), "{}", wrong.concat());
    let judged: BTreeSet<_> = recorded.iter().map(|(name, ..)| name).collect();
    let missing: Vec<_> =
        cases.values().filter(|case| case.is_seen_by_loading() && !judged.contains(&case.name)).collect();
    assert!(missing.is_empty(), "not judged: {:?}", missing.iter().map(|case| &case.name).collect::<Vec<_>>());
}

/// The same where a `.swap` file that takes the place of another counts as a change of that one.
fn put_in_place(mut start: Start) -> Start {
    start.files.retain(|file| !(file.starts_with('-') && file.ends_with(".swap")));
    start.files.iter_mut().for_each(|file| *file = file.replacen('>', "~", 1));
    start.files.sort();
    start
}

/// What a start is said to make of a partition, in the form of the record.
fn predicted(partition: &Path, healthy: &Healthy, is_clean: bool, release: KafkaRelease) -> Start {
    let log_dir = partition.parent().unwrap();
    let name = PartitionName::of_directory(partition).unwrap();
    let checkpointed = Checkpoints::read(log_dir).of(&name);
    let conditions = StartConditions {
        log_start_offset: checkpointed.log_start_offset,
        recovery_point: checkpointed.recovery_point.filter(|_| is_clean),
        release,
        index_interval_bytes: healthy.index_interval as u32,
        ..StartConditions::new(is_clean && log_dir.join(".kafka_cleanshutdown").exists(), CLOSED_AT)
    };
    let outcome = predict(&PartitionDir::read(partition).unwrap(), conditions, ReadPolicy::default()).unwrap();
    let mut start = Start::default();
    if let Some(refusal) = &outcome.refusal {
        start.exception = Some(refusal.exception(release).to_owned());
        start.log_dir_offline = refusal.scope() == Scope::LogDir;
    } else {
        start.log_start_offset = Some(outcome.log_start_offset.0);
        start.log_end_offset = Some(outcome.log_end_offset.0);
        start.segments = outcome.segments.iter().map(|(base, size)| (base.0, *size)).collect();
        start.leader_epochs =
            outcome.leader_epochs.iter().map(|entry| (i64::from(entry.epoch), entry.start_offset.0)).collect();
    }
    let names: BTreeSet<_> = outcome.files.keys().chain(outcome.files_before.keys()).collect();
    for name in names {
        let (before, after) = (outcome.files_before.get(name), outcome.files.get(name));
        match (before, after) {
            (None, Some(after)) => start.files.push(format!("+{name} {}", after.size_in_bytes())),
            (Some(_), None) => start.files.push(format!("-{name}")),
            (Some(_), Some(after)) if !is_same(&partition.join(name), name, after) => {
                start.files.push(format!("~{name} {}", after.size_in_bytes()));
            }
            _ => {}
        }
    }
    start.files.sort();
    start
}

/// Whether the file holds what is predicted.
fn is_same(path: &Path, name: &str, content: &Content) -> bool {
    match content {
        Content::Disk { name: of, start: 0, size_in_bytes } if of == name => {
            *size_in_bytes == fs::metadata(path).unwrap().len()
        }
        Content::Written { bytes, size_in_bytes } => {
            let mut bytes = bytes.clone();
            bytes.resize(*size_in_bytes as usize, 0);
            fs::read(path).unwrap() == bytes
        }
        _ => false,
    }
}

/// What `check` says of all log dirs in a directory: the findings, and the exit status.
fn check(root: &Path, depth: &str) -> (Vec<Seen>, i32) {
    let mut log_dirs: Vec<_> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    log_dirs.sort();
    let output = Command::new(env!("CARGO_BIN_EXE_kfsck"))
        .args(["check", depth, "--show", "info", "-f", "json"])
        .args(&log_dirs)
        .output()
        .unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let findings =
        lines.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")));
    let findings = findings.filter(|line: &Value| line["type"] == "finding").map(|line| Seen::of(&line)).collect();
    let status = output.status.code().unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    (findings, status)
}

/// A finding as `check` says it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    id: String,
    file: PathBuf,
    severity: String,
    repair: String,
    position: Option<u64>,
    length: Option<u64>,
    slot: Option<u64>,
    offset: Option<i64>,
}

impl Seen {
    fn of(line: &Value) -> Self {
        let text = |name: &str| line[name].as_str().unwrap_or_else(|| panic!("no {name} in {line}")).to_owned();
        Self {
            id: text("id"),
            file: PathBuf::from(text("file")),
            severity: text("severity"),
            repair: text("repair"),
            position: line["position"].as_u64(),
            length: line["length"].as_u64(),
            slot: line["slot"].as_u64(),
            offset: line["offset"].as_i64(),
        }
    }

    /// Whether this is what a recipe expects: all that the recipe says must be so.
    fn is(&self, expect: &Expect, case: &Case, damaged: &Damaged) -> bool {
        fn allows<T: PartialEq>(wanted: Option<T>, seen: Option<T>) -> bool {
            wanted.is_none() || wanted == seen
        }
        let id = Id::of(&expect.id).unwrap_or_else(|| panic!("{}: {} is no finding", case.name, expect.id));
        let severity = expect.severity.as_deref().unwrap_or(severity_name(id.severity()));
        let repair = expect.repair.as_deref().unwrap_or(repair_name(id.repair()));
        (self.id == expect.id && self.file == case.file_of(damaged, expect))
            && (self.severity == severity && self.repair == repair)
            && allows(case.position_of(damaged, expect), self.position)
            && (allows(expect.length, self.length) && allows(expect.slot, self.slot))
            && allows(expect.offset, self.offset)
    }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let file = self.file.components().rev().take(2).collect::<Vec<_>>();
        let file: PathBuf = file.into_iter().rev().collect();
        write!(f, "{} {} {} {}", self.severity, self.id, file.display(), self.repair)?;
        let places = [("position", self.position), ("length", self.length), ("slot", self.slot)];
        let places = places.into_iter().filter_map(|(name, value)| value.map(|value| (name, value as i64)));
        places
            .chain(self.offset.map(|offset| ("offset", offset)))
            .try_for_each(|(name, value)| write!(f, " {name} {value}"))
    }
}

fn severity_name(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "info",
    }
}

fn repair_name(repair: Repair) -> &'static str {
    match repair {
        Repair::Safe => "safe",
        Repair::Lossy => "lossy",
        Repair::None => "none",
    }
}

/// Builds, damages and checks one case; what was seen and not expected, or expected and not seen.
fn differences(case: &Case) -> Vec<String> {
    let root = TempDir::new().unwrap();
    let damaged = case.build(root.path());
    let (seen, status) = check(root.path(), if case.quick { "--quick" } else { "--deep" });
    let mut wrong = Vec::new();
    let mut unmet: Vec<_> = case.expect.iter().collect();
    for finding in &seen {
        match unmet.iter().position(|expect| finding.is(expect, case, &damaged)) {
            Some(at) => drop(unmet.remove(at)),
            None => wrong.push(format!("  not expected: {finding}")),
        }
    }
    wrong.extend(unmet.iter().map(|expect| {
        let place = case.position_of(&damaged, expect).map_or(String::new(), |position| format!(" at {position}"));
        format!("  not seen: {expect}{place}")
    }));
    let is_wrong = seen.iter().any(|finding| finding.severity == "error");
    if wrong.is_empty() && status != if is_wrong { 4 } else { 0 } {
        wrong.push(format!("  exit status {status}"));
    }
    if !wrong.is_empty() {
        wrong.insert(0, format!("{:?}", case.name));
    }
    wrong
}

/// Runs `work` on every item, on as many threads as there are processors; the results in order.
fn on_all_processors<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Relaxed);
                    let Some(item) = items.get(at) else { break };
                    let result = work(item);
                    results.lock().unwrap().push((at, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap();
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

#[test]
fn every_damage_is_found_exactly() {
    // `KFSCK_RECIPE` picks those whose name holds it.
    let wanted = std::env::var("KFSCK_RECIPE").unwrap_or_default();
    let mut cases = recipe::read_all(&recipes());
    cases.retain(|case| case.name.contains(&wanted));
    let wrong = on_all_processors(&cases, differences);
    let count = wrong.iter().filter(|wrong| !wrong.is_empty()).count();
    let lines: Vec<String> = wrong.into_iter().flatten().collect();
    assert!(lines.is_empty(), "{count} of {} recipes:\n{}", cases.len(), lines.join("\n"));
}

#[test]
fn nothing_is_wrong_with_what_is_healthy() {
    let healthy: Vec<_> = all_healthy().into_iter().collect();
    let seen = on_all_processors(&healthy, |(name, healthy)| {
        let root = TempDir::new().unwrap();
        healthy.build(root.path());
        let (seen, status) = check(root.path(), "--deep");
        let seen: Vec<_> =
            seen.iter().filter(|finding| finding.severity != "info").map(|finding| format!("  {finding}")).collect();
        if seen.is_empty() && status == 0 {
            String::new()
        } else {
            format!("{name}: exit {status}\n{}\n", seen.join("\n"))
        }
    });
    assert!(seen.iter().all(String::is_empty), "{}", seen.concat());
}

#[test]
fn every_kind_of_finding_has_a_recipe_and_every_known_corruption_too() {
    let cases = recipe::read_all(&recipes());
    let found: BTreeSet<_> = cases.iter().flat_map(|case| &case.expect).map(|expect| expect.id.as_str()).collect();
    let missing: Vec<_> = Id::ALL.iter().map(|id| id.name()).filter(|name| !found.contains(name)).collect();
    assert!(missing.is_empty(), "without a recipe: {missing:?}");
    let rows: BTreeSet<_> = cases.iter().flat_map(|case| case.row.iter().copied()).collect();
    assert_eq!(rows, (1..=56).collect());
    let names: BTreeSet<_> = cases.iter().map(|case| &case.name).collect();
    assert_eq!(names.len(), cases.len(), "two recipes have the same name");
}
