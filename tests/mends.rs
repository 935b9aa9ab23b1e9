//! What is said to mend a damage does: every command that is shown plans something, and what is advised about producer
//! snapshots brings back what a broker knew of its producers.
//!
//! With `KFSCK_JUDGE=PROGRAM` Kafka's own classes start on the directories that were treated as advised.

#[path = "support/healthy.rs"]
mod healthy;
#[path = "support/judge.rs"]
mod judge;
#[path = "support/recipe.rs"]
mod recipe;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use healthy::CLOSED_AT;
use judge::RELEASES;
use kfsck::format::producer_snapshot::ProducerEntry;
use kfsck::scan::start::{StartConditions, predict};
use kfsck::store::ReadPolicy;
use kfsck::store::partition::PartitionDir;
use recipe::Case;
use serde_json::{Value, json};
use tempfile::TempDir;

fn cases() -> Vec<Case> {
    recipe::read_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/recipes"))
}

fn kfsck(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kfsck")).args(arguments).output().unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))).collect()
}

/// The findings that `check` tells of all log dirs in `root`.
fn findings(root: &Path, case: &Case) -> Vec<Value> {
    let mut log_dirs: Vec<_> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    log_dirs.sort();
    let depth = if case.quick { "--quick" } else { "--deep" };
    let paths = log_dirs.iter().map(|path| path.to_str().unwrap());
    let arguments: Vec<_> = ["check", depth, "--show", "info", "-f", "json"].into_iter().chain(paths).collect();
    lines(&kfsck(&arguments)).into_iter().filter(|line| line["type"] == "finding").collect()
}

/// The command in a sentence, without the program's name.
fn command_in(mend: &str) -> Option<Vec<&str>> {
    let (_, command) =
        mend.split_once("kfsck ").filter(|(before, _)| before.is_empty() || before.ends_with("else "))?;
    Some(command.split(" cuts off").next()?.split(' ').collect())
}

#[test]
fn every_command_that_is_shown_plans_something() {
    let mut wrong = Vec::new();
    let mut commands = 0;
    // Gigabytes are not read for this.
    let is_huge = |case: &Case| case.damage.iter().any(|damage| damage.resize.is_some_and(|size| size > 1 << 30));
    for case in cases().into_iter().filter(|case| !is_huge(case)) {
        let root = TempDir::new().unwrap();
        case.build(root.path());
        let findings = findings(root.path(), &case);
        let mends: BTreeSet<&str> = findings.iter().map(|finding| finding["mend"].as_str().unwrap()).collect();
        for command in mends.iter().filter_map(|mend| command_in(mend)) {
            commands += 1;
            let output = kfsck(&[command.as_slice(), &["-f", "json"]].concat());
            let plans =
                lines(&output).iter().any(|line| line["steps"].as_array().is_some_and(|steps| !steps.is_empty()));
            // 4: there is something to be done. A refusal adds 8.
            if output.status.code() != Some(4) || !plans {
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                wrong.push(format!("{:?}: {} exits with {}: {said}", case.name, command.join(" "), output.status));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {commands} commands:\n{}", wrong.len(), wrong.join("\n"));
    assert!(commands > 50, "{commands}");
}

/// The log end that Kafka's classes came to after a crash, and base offset and size of the segments, by case.
fn after_a_crash() -> BTreeMap<String, (i64, Value)> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/recipes/judged.jsonl");
    let judged = fs::read_to_string(file).unwrap();
    let of_all_releases = judged.lines().filter_map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        let start = &line["unclean"]["*"];
        Some((line["case"].as_str()?.to_owned(), (start["logEndOffset"].as_i64()?, start["segments"].clone())))
    });
    of_all_releases.collect()
}

#[test]
fn a_cut_that_is_advised_where_a_broker_cuts_too_leaves_the_segments_that_the_broker_leaves() {
    let after_a_crash = after_a_crash();
    let mut cuts = BTreeSet::new();
    for case in cases() {
        let Some((log_end, segments)) = after_a_crash.get(&case.name) else { continue };
        let root = TempDir::new().unwrap();
        let partition = case.build(root.path()).partition;
        let findings = findings(root.path(), &case);
        let commands = findings.iter().filter_map(|finding| command_in(finding["mend"].as_str().unwrap()));
        let there = log_end.to_string();
        let mut commands = commands.filter(|command| command.windows(2).any(|to| to == ["--to", there.as_str()]));
        let Some(command) = commands.next() else { continue };
        let output = kfsck(&[command.as_slice(), &["--apply", "--allow-data-loss"]].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(output.status.code(), Some(1 | 5)), "{} {}: {said}", case.name, output.status);
        let dir = PartitionDir::read(&partition).unwrap();
        let left = dir.segments().into_iter().map(|it| json!([it.base_offset.0, it.size_in_bytes().unwrap()]));
        assert_eq!(&Value::Array(left.collect()), segments, "{}", case.name);
        cuts.insert(case.name);
    }
    assert!(cuts.contains("length of a batch negative"), "{cuts:?}");
    assert!(cuts.len() > 5, "{cuts:?}");
}

#[test]
fn what_a_start_is_said_not_to_notice_is_what_kafka_leaves_alone() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/recipes/judged.jsonl");
    let text = fs::read_to_string(file).unwrap();
    let judged = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let judged: BTreeMap<_, _> = judged.filter_map(|it| Some((it["case"].as_str()?.to_owned(), it))).collect();
    let (mut files, mut wrong) = (0, Vec::new());
    for case in cases() {
        let Some(judged) = judged.get(&case.name) else { continue };
        for (said, start) in [("atCleanStart", "clean"), ("atUncleanStart", "unclean")] {
            let root = TempDir::new().unwrap();
            let partition = case.build(root.path()).partition;
            let log_dir = partition.parent().unwrap();
            let marker = log_dir.join(".kafka_cleanshutdown");
            if start == "unclean" {
                // As it was judged: after a crash with nothing flushed.
                let _ = fs::remove_file(marker);
                fs::write(log_dir.join("recovery-point-offset-checkpoint"), "0\n0\n").unwrap();
            } else if !marker.exists() {
                continue;
            }
            let findings = findings(root.path(), &case);
            let mut unnoticed: BTreeMap<&str, bool> = BTreeMap::new();
            for finding in &findings {
                let path = Path::new(finding["file"].as_str().unwrap());
                let name = path.file_name().unwrap().to_str().unwrap();
                *unnoticed.entry(name).or_insert(true) &= finding[said] == "not noticed";
            }
            let is_all = unnoticed.values().all(|unnoticed| *unnoticed);
            unnoticed.retain(|_, unnoticed| *unnoticed);
            files += unnoticed.len();
            for (release, kafka) in judged[start].as_object().unwrap() {
                let changes = kafka["files"].as_array().into_iter().flatten().map(|change| change.as_str().unwrap());
                for change in changes.filter(|change| !change.starts_with('+')) {
                    if change[1..].split(' ').next().is_some_and(|name| unnoticed.contains_key(name)) {
                        wrong.push(format!("{:?} {said} {release}: {change}", case.name));
                    }
                }
                if let (true, Some(exception)) = (is_all && !findings.is_empty(), kafka["exception"].as_str()) {
                    wrong.push(format!("{:?} {said} {release}: {exception}", case.name));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {files} files:\n{}", wrong.len(), wrong.join("\n"));
    assert!(files > 100, "{files}");
}

#[test]
fn where_readers_are_said_to_suffer_nothing_kafka_finds_every_offset_and_every_time() {
    let Some(judge) = judge::judge() else { return println!("KFSCK_JUDGE is not set: Kafka was not asked") };
    let mut asked = Vec::new();
    for case in cases().into_iter().filter(Case::is_seen_by_loading) {
        let root = TempDir::new().unwrap();
        let partition = case.build(root.path()).partition;
        let findings = findings(root.path(), &case);
        let is_of_index =
            |finding: &Value| finding["id"].as_str().unwrap().split('/').next().unwrap().ends_with("index");
        // After a crash readers get what the start has made of the indexes.
        let is_as_it_is = partition.parent().unwrap().join(".kafka_cleanshutdown").exists();
        if is_as_it_is && !findings.is_empty() && findings.iter().all(is_of_index) {
            let is_harmless = findings.iter().all(|finding| finding["readers"].as_str().unwrap().starts_with("none"));
            asked.push((case.name, is_harmless, root, partition));
        }
    }
    let commands: Vec<_> = asked.iter().map(|(.., partition)| format!("lookup-law {}", partition.display())).collect();
    let mut wrong = Vec::new();
    for release in RELEASES {
        for (answers, (name, is_harmless, ..)) in judge::ask(&judge, release, &commands).iter().zip(&asked) {
            let violations = answers.iter().find(|line| line["type"] == "law").map(|line| line["violations"].clone());
            if *is_harmless && violations != Some(json!(0)) {
                wrong.push(format!("{release} {name:?}: {violations:?}"));
            }
            if name == "an entry for the start of the segment that leads away from it" {
                assert!(!is_harmless && violations.is_some_and(|violations| violations != 0), "{release} {name}");
            }
        }
    }
    let harmless = asked.iter().filter(|(_, is_harmless, ..)| *is_harmless).count();
    assert!(wrong.is_empty(), "{} of {harmless}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(harmless > 10, "{harmless}");
}

/// Does what is advised about a snapshot.
fn follow(mend: &str, file: &Path, log_dir: &Path) {
    let marker = log_dir.join(".kafka_cleanshutdown");
    let (deletes_file, deletes_marker) = match mend {
        _ if mend.starts_with("nothing needs to be done") => (false, false),
        _ if mend.starts_with("put the snapshots back") => (false, true),
        _ if mend.starts_with("stop the broker and delete the file together with") => (true, true),
        _ if mend.starts_with("stop the broker and delete the file:") => (true, false),
        other => panic!("nobody knows how to: {other}"),
    };
    if deletes_file && file.exists() {
        fs::remove_file(file).unwrap();
    }
    if deletes_marker && marker.exists() {
        fs::remove_file(marker).unwrap();
    }
}

/// What a broker knows of the producers once it has started on the partition.
fn producers_after_a_start(partition: &Path) -> Vec<ProducerEntry> {
    let is_clean = partition.parent().unwrap().join(".kafka_cleanshutdown").exists();
    let conditions = StartConditions::new(is_clean, CLOSED_AT);
    predict(&PartitionDir::read(partition).unwrap(), conditions, ReadPolicy::default()).unwrap().producers
}

/// The cases in which a snapshot is wrong in a way that matters: what is advised was done.
fn treated() -> Vec<(Case, TempDir, PathBuf)> {
    let mut treated = Vec::new();
    for case in cases() {
        let is_meant =
            |id: &str| id.starts_with("snapshot/") && !["stray", "producer-missing"].iter().any(|it| id.ends_with(it));
        if !case.expect.iter().any(|expect| is_meant(&expect.id)) {
            continue;
        }
        let root = TempDir::new().unwrap();
        let partition = case.build(root.path()).partition;
        for finding in findings(root.path(), &case).iter().filter(|finding| is_meant(finding["id"].as_str().unwrap())) {
            let file = Path::new(finding["file"].as_str().unwrap());
            follow(finding["mend"].as_str().unwrap(), file, partition.parent().unwrap());
        }
        treated.push((case, root, partition));
    }
    assert!(treated.len() > 10);
    treated
}

#[test]
fn what_is_advised_about_snapshots_brings_the_producers_back() {
    for (case, _root, partition) in treated() {
        let healthy = TempDir::new().unwrap();
        let expected = producers_after_a_start(&case.healthy.build(healthy.path()));
        assert_eq!(producers_after_a_start(&partition), expected, "{}", case.name);
    }
}

#[test]
fn kafka_starts_with_the_producers_of_the_undamaged_log_once_the_advice_was_followed() {
    let Some(judge) = judge::judge() else { return println!("KFSCK_JUDGE is not set: Kafka was not asked") };
    let treated = treated();
    let healthy: Vec<_> = treated
        .iter()
        .map(|(case, ..)| {
            let root = TempDir::new().unwrap();
            let partition = case.healthy.build(root.path());
            (root, partition)
        })
        .collect();
    let load = |partition: &PathBuf| format!("load {} --root --now {CLOSED_AT}", partition.display());
    let pairs = treated.iter().zip(&healthy);
    let commands: Vec<_> = pairs.flat_map(|((.., treated), (_, healthy))| [load(treated), load(healthy)]).collect();
    for release in RELEASES {
        for (answers, (case, ..)) in judge::ask(&judge, release, &commands).chunks(2).zip(&treated) {
            let [treated, healthy] = [0, 1].map(|at| {
                let state = answers[at].iter().find(|line| line["type"] == "state");
                let state = state.unwrap_or_else(|| panic!("{release} {}: {:?}", case.name, answers[at]));
                ["logEndOffset", "lastStableOffset", "producers"].map(|key| state[key].clone())
            });
            assert_eq!(treated, healthy, "{release} {}", case.name);
        }
    }
}
