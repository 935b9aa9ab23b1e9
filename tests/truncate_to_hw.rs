//! `kfsck truncate-to-hw` cuts where it says, changes nothing without being told to, and everything can be taken back.
//!
//! That what is left is what Kafka leaves, byte for byte, is in `tests/truncated.rs`.

mod support;

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use kfsck::format::Offset;
use kfsck::format::file_name::DirState;
use kfsck::repair::apply::apply;
use kfsck::repair::journal::Journal;
use kfsck::repair::plan::Plan;
use kfsck::repair::truncate::{Around, To, plan};
use kfsck::scan::checkpoints::Checkpoints;
use kfsck::store::ReadPolicy;
use kfsck::store::partition::{PartitionDir, PartitionName};
use serde_json::Value;
use support::changing::{Tree, log_dir_copy, loose_copy, run, tree, undo_all, undo_dirs};
use support::kills::{Made, killed_at_any_moment};
use support::sim_disk::{SimDisk, faults_and_crashes};
use support::{Random, copy_partition, in_parallel, kfsck, report, scenario, scenarios, subdirectories, testdata};

const COMMAND: &str = "truncate-to-hw";
const MIXED: &str = "4.4.0/transactions/log-dir/txn-mixed-0";

/// All partitions of `testdata/real` that are in use and no metadata log.
fn partitions() -> Vec<PathBuf> {
    let is_cut = |path: &PathBuf| {
        let name = PartitionName::of_directory(path);
        let is_used = |name: PartitionName| name.state == DirState::Current && name.topic != "__cluster_metadata";
        name.is_some_and(is_used) && !bases(path).is_empty()
    };
    let mut found = Vec::new();
    for scenario in scenarios(&testdata()) {
        let mut dirs = vec![scenario.dir];
        while let Some(dir) = dirs.pop() {
            match is_cut(&dir) {
                true => found.push(dir),
                false => dirs.extend(subdirectories(&dir)),
            }
        }
    }
    found.sort();
    found
}

/// The batches that `dump-log` shows, as (base offset, last offset, file, position).
fn batches(path: &Path) -> Vec<(i64, i64)> {
    let said = run("dump-log", &["-f", "json"], path);
    let number = |row: &Value, name: &str| row[name].as_i64().unwrap_or(-1);
    let row = |row: Value| (number(&row, "baseOffset"), number(&row, "lastOffset"));
    said.rows("batch").into_iter().map(row).collect()
}

fn bases(path: &Path) -> Vec<i64> {
    PartitionDir::read(path).unwrap().segments().iter().map(|segment| segment.base_offset.0).collect()
}

/// The laws of a cut at one offset. What was planned, or nothing if there was nothing to do.
fn cut_and_undo(path: &Path, to: i64, before: &Tree) -> Result<Option<Value>, String> {
    let to = to.to_string();
    let dry = run(COMMAND, &["-f", "json", "--to", &to], path);
    let planned = dry.row("plan");
    if tree(path) != *before || !undo_dirs(path).is_empty() {
        return Err("a dry run has touched something".to_owned());
    }
    if planned["steps"].as_array().unwrap().is_empty() {
        let applied = run(COMMAND, &["--apply", "--allow-data-loss", "--to", &to], path);
        return match (dry.status, applied.status, tree(path) == *before) {
            (Some(0), Some(0), true) => Ok(None),
            _ => Err(format!("nothing to do, and yet: {}{}", dry.all(), applied.all())),
        };
    }
    let loses = planned["loses"]["bytes"].as_u64() > Some(0);
    let unallowed = run(COMMAND, &["--apply", "--to", &to], path);
    if loses && (unallowed.status != Some(12) || tree(path) != *before || !undo_dirs(path).is_empty()) {
        return Err(format!("without --allow-data-loss: {}", unallowed.all()));
    }
    let digest = planned["digest"].as_str().unwrap();
    let arguments = ["--apply", "--allow-data-loss", "--expect", digest, "--to", &to];
    let first = if loses { run(COMMAND, &arguments, path) } else { unallowed };
    let second = run(COMMAND, &arguments[..], path);
    let check = run("check", &[], path);
    if (dry.status, first.status, second.status, check.status) != (Some(4), Some(1), Some(0), Some(0)) {
        return Err([dry, first, second, check].map(|said| said.all()).join("\n"));
    }
    let end = run("ls", &["-f", "json"], path).row("partition")["logEndOffset"].clone();
    if end != planned["logEndOffset"] {
        return Err(format!("the log ends at {end}, planned was {}", planned["logEndOffset"]));
    }
    for (file, (bytes, ..)) in tree(path) {
        let is_log = file.extension().is_some_and(|extension| extension == "log");
        if is_log && !before[&file].0.starts_with(&bytes) {
            return Err(format!("{} is no beginning of what it was", file.display()));
        }
    }
    undo_all(path)?;
    match tree(path) == *before && undo_dirs(path).is_empty() {
        true => Ok(Some(planned)),
        false => Err("undo has not brought everything back".to_owned()),
    }
}

#[test]
fn at_every_offset_of_a_log_there_is_a_cut_and_a_way_back() {
    let (_dir, path) = loose_copy(MIXED);
    let (bases, batches) = (bases(&path), batches(&path));
    assert_eq!(bases.len(), 3);
    let end = batches.last().unwrap().1 + 1;
    let outcomes = in_parallel((bases[0]..end + 3).collect(), |to: i64| {
        let (_dir, path) = loose_copy(MIXED);
        let planned = cut_and_undo(&path, to, &tree(&path)).map_err(|why| format!("at {to}: {why}"))?;
        let kept = batches.iter().rfind(|(_, last)| *last < to).map_or(bases[0], |(_, last)| last + 1);
        let expected = match to >= end {
            true => None,
            // A segment that begins there is emptied and stays.
            false => Some(bases.iter().rfind(|base| **base <= to).map_or(kept, |base| kept.max(*base))),
        };
        match planned.as_ref().map(|planned| planned["logEndOffset"].as_i64().unwrap()) == expected {
            true => Ok(()),
            false => Err(format!("at {to}: {planned:?}, expected {expected:?}")),
        }
    });
    assert!(outcomes.len() > 35);
    report("cuts of one log", &outcomes, "every offset, before the end and behind");
}

#[test]
fn every_partition_is_cut_and_brought_back() {
    let mut random = Random(20_261_122);
    let mut tasks = Vec::new();
    for path in partitions() {
        let (bases, batches) = (bases(&path), batches(&path));
        let Some((_, last)) = batches.last().copied() else { continue };
        let base = bases[random.below(bases.len() as u64) as usize] + random.below(3) as i64 - 1;
        let (first, last_of_batch) = batches[random.below(batches.len() as u64) as usize];
        let inside = first + random.below((last_of_batch - first).max(0) as u64 + 1) as i64;
        let wanted = HashSet::from([base.clamp(bases[0], last + 1), inside.max(bases[0]), last]);
        tasks.extend(wanted.into_iter().map(|to| (path.clone(), to)));
    }
    let outcomes = in_parallel(tasks, |(partition, to)| {
        let dir = tempfile::tempdir().unwrap();
        let path = copy_partition(&partition, dir.path(), support::changing::long_ago()).canonicalize().unwrap();
        cut_and_undo(&path, to, &tree(&path)).map_err(|why| format!("{} at {to}: {why}", partition.display()))
    });
    let cut = outcomes.iter().filter(|outcome| matches!(outcome, Ok(Some(_)))).count();
    let outcomes: Vec<_> = outcomes.into_iter().map(|outcome| outcome.map(|_| ())).collect();
    report("cuts of real partitions", &outcomes, &format!("{cut} with something to do"));
    assert!(cut > 200, "{cut}");
}

/// Sets the high watermark of each partition in a log dir.
fn set_high_watermarks(log_dir: &Path, of: impl Fn(&str, i64) -> i64) {
    let file = log_dir.join("replication-offset-checkpoint");
    let text = fs::read_to_string(&file).unwrap();
    let line = |line: &str| match line.split(' ').collect::<Vec<_>>()[..] {
        [topic, partition, offset] => {
            format!("{topic} {partition} {}\n", of(&format!("{topic}-{partition}"), offset.parse().unwrap()))
        }
        _ => format!("{line}\n"),
    };
    fs::write(&file, text.lines().map(line).collect::<String>()).unwrap();
}

#[test]
fn a_whole_log_dir_is_cut_to_its_high_watermarks_as_reviewed_and_brought_back() {
    let (_dir, path) = log_dir_copy(&scenario("4.4.0", "transactions").log_dir(None, None));
    set_high_watermarks(&path, |_, offset| offset / 2);
    let before = tree(&path);
    let dry = run(COMMAND, &["-f", "json", "--all-partitions"], &path);
    let plans = dry.rows("plan");
    let changing: Vec<_> = plans.iter().filter(|plan| !plan["steps"].as_array().unwrap().is_empty()).collect();
    assert_eq!((dry.status, plans.len()), (Some(4), 5), "{}", dry.all());
    assert!(changing.len() >= 4);
    assert_eq!(tree(&path), before);
    // Each plan is still the one that was reviewed when those before it are done.
    let mut arguments = vec!["--apply", "--allow-data-loss", "--all-partitions", "-f", "json"];
    for plan in &changing {
        arguments.extend(["--expect", plan["digest"].as_str().unwrap()]);
    }
    let done = run(COMMAND, &arguments, &path);
    assert_eq!((done.status, done.rows("applied").len()), (Some(1), changing.len()), "{}", done.all());
    let checkpoints = Checkpoints::read(&path);
    for plan in &changing {
        let partition = Path::new(plan["dir"].as_str().unwrap());
        let checkpointed = checkpoints.of(&PartitionName::of_directory(partition).unwrap());
        let end = Offset(plan["logEndOffset"].as_i64().unwrap());
        assert_eq!((checkpointed.high_watermark, checkpointed.recovery_point), (Some(end), Some(end)));
        assert!(plan["target"].as_i64() >= Some(end.0) && plan["targetFrom"] == "highWatermark");
    }
    assert_eq!(run("check", &[], &path).status, Some(0));
    assert_eq!(run(COMMAND, &["--apply", "--all-partitions"], &path).status, Some(0));
    // Of partitions that share a checkpoint the one that was changed last is taken back first.
    assert_eq!(run("undo", &["--apply"], &path).status, Some(1));
    assert_eq!(tree(&path), before);
    assert!(!path.join(".lock").exists());
}

#[test]
fn a_file_with_offsets_says_where_each_partition_is_cut() {
    let (dir, path) = log_dir_copy(&scenario("4.4.0", "transactions").log_dir(None, None));
    let file = dir.path().join("ends");
    let told = |lines: &str, arguments: &[&str]| {
        fs::write(&file, lines).unwrap();
        let mut words = vec!["--offsets", file.to_str().unwrap(), "-f", "json"];
        words.extend(arguments);
        run(COMMAND, &words, &path)
    };
    let dry = told("txn-mixed-0 11\n# a remark\ntxn-other-0 3\n", &[]);
    let ends: Vec<_> = dry.rows("plan").iter().map(|plan| plan["logEndOffset"].as_i64().unwrap()).collect();
    assert_eq!((dry.status, ends), (Some(4), vec![11, 3]), "{}", dry.all());
    let before = tree(&path);
    assert_eq!(told("txn-mixed-0 11\nno-such-0 3\n", &[]).status, Some(12));
    for wrong in ["txn-mixed-0 eleven\n", "txn-mixed-0 11\ntxn-mixed-0 12\n", ""] {
        let said = told(wrong, &["--apply", "--allow-data-loss"]);
        assert_eq!((said.status, said.rows("plan").len()), (Some(16), 0), "{}", said.all());
    }
    assert_eq!(tree(&path), before);
    assert_eq!(told("txn-mixed-0 11\ntxn-other-0 3\n", &["--apply", "--allow-data-loss"]).status, Some(1));
    assert_eq!(run("check", &[], &path).status, Some(0));
    undo_all(&path).unwrap();
    assert_eq!(tree(&path), before);
}

#[test]
fn an_unreadable_end_goes_and_nothing_else() {
    let whole = fs::read(testdata().join(MIXED).join("00000000000000000025.log")).unwrap();
    let mut wrong = whole.clone();
    *wrong.last_mut().unwrap() ^= 1;
    let last_batch = batches(&testdata().join(MIXED)).last().unwrap().0;
    let zeros = [&whole[..], &[0; 5000]].concat();
    let torn = whole[..whole.len() - 3].to_vec();
    let rubbish = [&whole[..], b"this is no batch at all, and there are enough bytes of it to be one of them"].concat();
    for (end, what) in [(zeros, "zeros"), (torn, "torn"), (wrong, "wrong"), (rubbish, "rubbish")] {
        let (_dir, path) = loose_copy(MIXED);
        let log = path.join("00000000000000000025.log");
        fs::write(&log, &end).unwrap();
        assert_eq!(run("check", &[], &path).status, Some(4), "{what}");
        let before = tree(&path);
        let dry = run(COMMAND, &["-f", "json", "--to", "intact-end"], &path);
        let planned = dry.row("plan");
        assert_eq!(dry.status, Some(4), "{what}: {}", dry.all());
        assert_eq!((&planned["loses"]["records"], &planned["targetFrom"]), (&0.into(), &"intactEnd".into()), "{what}");
        assert_eq!(planned["unreadableBytes"], planned["loses"]["bytes"], "{what}");
        assert_eq!(tree(&path), before, "{what}");
        assert_eq!(run(COMMAND, &["--apply", "--to", "intact-end"], &path).status, Some(12), "{what}");
        assert_eq!(tree(&path), before, "{what}");
        let done = run(COMMAND, &["--apply", "--allow-data-loss", "--to", "intact-end"], &path);
        assert_eq!(done.status, Some(1), "{what}: {}", done.all());
        let left = fs::read(&log).unwrap();
        assert!(whole.starts_with(&left), "{what}");
        let expected = if matches!(what, "torn" | "wrong") { last_batch } else { 36 };
        assert_eq!(planned["logEndOffset"], expected, "{what}");
        let check = run("check", &[], &path);
        assert_eq!(check.status, Some(0), "{what}: {}", check.all());
        assert_eq!(run(COMMAND, &["--to", "intact-end"], &path).status, Some(0), "{what}");
        undo_all(&path).unwrap();
        assert_eq!(tree(&path), before, "{what}");
    }
}

#[test]
fn what_is_lost_is_told_before_and_can_be_read_afterwards() {
    let (_dir, path) = loose_copy(MIXED);
    let all = batches(&path);
    let records = |path: &Path| {
        let said = run("dump-log", &["-r", "-f", "json"], path);
        let of = |row: &Value| (row["offset"].clone(), row["timestamp"].clone(), row["value"].clone());
        said.rows("record").iter().map(of).collect::<Vec<_>>()
    };
    let all_records = records(&path);
    let done = run(COMMAND, &["--apply", "--allow-data-loss", "-f", "json", "--to", "7"], &path);
    let loses = done.row("plan")["loses"].clone();
    let undo_dir = undo_dirs(&path).remove(0);
    let lost = batches(&undo_dir);
    let kept = batches(&path);
    assert_eq!([kept.clone(), lost.clone()].concat(), all);
    assert_eq!([records(&path), records(&undo_dir)].concat(), all_records);
    assert_eq!(loses["batches"], lost.len());
    assert_eq!(loses["segments"], 2);
    assert_eq!((&loses["firstOffset"], &loses["lastOffset"]), (&lost[0].0.into(), &35.into()));
    assert!(loses["producers"].as_u64() > Some(1) && loses["endedTransactions"].as_u64() > Some(1), "{loses}");
    let lost_timestamps: Vec<_> = run("dump-log", &["-f", "json"], &undo_dir)
        .rows("batch")
        .iter()
        .map(|row| row["maxTimestamp"].as_i64())
        .collect();
    assert_eq!(loses["firstTimestamp"].as_i64(), lost_timestamps[0]);
    assert_eq!(loses["lastTimestamp"].as_i64(), lost_timestamps.iter().copied().max().unwrap());
    for offset in lost[0].0..36 {
        let said = run("lookup", &["-f", "json", "--offset", &offset.to_string()], &undo_dir);
        assert_eq!((said.status, &said.row("lookup")["found"]), (Some(0), &true.into()), "{}", said.all());
    }
    let told = run(COMMAND, &["--to", "5"], &path);
    for words in ["lost:", "offsets 5 to 6", "left: log end 5", "plan "] {
        assert!(told.stdout.contains(words), "{words}: {}", told.stdout);
    }
    assert!(told.stderr.contains("nothing was touched; to do it: --apply --allow-data-loss"), "{}", told.stderr);
    let told = run(COMMAND, &["--to", "99"], &path);
    assert_eq!((told.status, told.stderr.as_str()), (Some(0), ""));
}

#[test]
fn of_compressed_old_messages_each_one_is_counted_as_lost() {
    let log_dir = scenario("2.8.2", "magic").log_dir(None, None);
    for topic in ["magic0-gzip-0", "magic1-lz4-0"] {
        let partition = log_dir.join(topic);
        let whole = run(COMMAND, &["-f", "json", "--to", "12"], &partition).row("plan");
        let log_end = whole["intactEnd"].as_i64().unwrap();
        // Every offset is taken: no cleaner has been there.
        assert_eq!(whole["loses"]["records"].as_i64(), Some(log_end - 12), "{whole}");
        assert_eq!(whole["loses"]["firstOffset"], 12);
        // Offset 14 is in the messages from 12 to 16.
        let inside = run(COMMAND, &["--to", "14"], &partition);
        assert!(inside.stdout.contains("which the batch of offset 12 holds"), "{}", inside.all());
    }
}

#[test]
fn an_index_that_leads_into_a_batch_is_not_taken_over() {
    let (_dir, path) = loose_copy(MIXED);
    let index = path.join("00000000000000000011.index");
    let whole = fs::read(&index).unwrap();
    // The position of each of the two entries that stay when it is cut at 20.
    for place in [7, 15] {
        let mut bytes = whole.clone();
        bytes[place] += 7;
        fs::write(&index, bytes).unwrap();
        let done = run(COMMAND, &["--to", "20", "--apply", "--allow-data-loss"], &path);
        assert_eq!(done.status, Some(1), "{}", done.all());
        assert_eq!(run("check", &["--deep"], &path).status, Some(0));
        undo_all(&path).unwrap();
    }
}

#[test]
fn a_snapshot_at_the_new_end_that_cannot_be_read_is_written_anew() {
    let (_dir, path) = loose_copy(MIXED);
    let snapshot = path.join("00000000000000000025.snapshot");
    let by_a_broker = fs::read(&snapshot).unwrap();
    fs::write(&snapshot, &by_a_broker[..by_a_broker.len() - 1]).unwrap();
    let done = run(COMMAND, &["--to", "25", "--apply", "--allow-data-loss"], &path);
    assert_eq!(done.status, Some(1), "{}", done.all());
    assert_eq!(fs::read(&snapshot).unwrap(), by_a_broker);
}

#[test]
fn what_is_cut_off_may_be_kept_elsewhere_and_be_read_there() {
    let (dir, path) = loose_copy(MIXED);
    let before = tree(&path);
    let elsewhere = dir.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let place = elsewhere.to_str().unwrap();
    let done = run(COMMAND, &["--apply", "--allow-data-loss", "--to", "33", "--undo-dir", place], &path);
    assert_eq!(done.status, Some(1), "{}", done.all());
    let kept = subdirectories(&elsewhere).remove(0);
    assert_eq!(batches(&kept).first().map(|(base, _)| *base), Some(33));
    undo_all(&path).unwrap();
    assert_eq!(tree(&path), before);
    assert!(subdirectories(&elsewhere).is_empty());
    // No broker starts with such a directory in its log dir.
    let (_dir, log_dir) = log_dir_copy(&scenario("4.4.0", "transactions").log_dir(None, None));
    let before = tree(&log_dir);
    for place in [log_dir.clone(), log_dir.join("txn-mixed-0"), log_dir.join("txn-other-0")] {
        let arguments = ["--apply", "--allow-data-loss", "--to", "33", "--undo-dir", place.to_str().unwrap()];
        let done = run(COMMAND, &arguments, &log_dir.join("txn-mixed-0"));
        assert_eq!(done.status, Some(12), "{}", done.all());
        assert_eq!(tree(&log_dir), before);
    }
}

#[test]
fn a_target_is_clamped_and_that_is_said() {
    let (_dir, path) = log_dir_copy(&scenario("4.4.0", "transactions").log_dir(None, None));
    let partition = path.join("txn-mixed-0");
    let told = |arguments: &[&str]| {
        let words = [&["-f", "json"][..], arguments].concat();
        let said = run(COMMAND, &words, &partition);
        let plan = said.row("plan");
        (said.status, plan["target"].as_i64().unwrap(), plan["remarks"].to_string())
    };
    // What compaction has taken from between two segments is not the end of the log.
    let first_log = partition.join("00000000000000000000.log");
    let whole = fs::read(&first_log).unwrap();
    let last = run("dump-log", &["-f", "json"], &first_log).rows("batch").pop().unwrap();
    fs::write(&first_log, &whole[..last["position"].as_u64().unwrap() as usize]).unwrap();
    let in_the_gap = last["lastOffset"].as_i64().unwrap();
    let high_watermarks = path.join("replication-offset-checkpoint");
    let as_they_were = fs::read(&high_watermarks).unwrap();
    set_high_watermarks(&path, |_, _| in_the_gap);
    let (status, target, remarks) = told(&[]);
    assert_eq!((status, target), (Some(4), in_the_gap));
    assert!(!remarks.contains("lost already"), "{remarks}");
    let (_, target, remarks) = told(&["--to", &in_the_gap.to_string()]);
    assert_eq!((target, remarks.contains("behind the end")), (in_the_gap, false), "{remarks}");
    fs::write(&first_log, &whole).unwrap();
    fs::write(&high_watermarks, as_they_were).unwrap();
    set_high_watermarks(&path, |_, offset| offset + 5);
    let (status, target, remarks) = told(&[]);
    assert_eq!((status, target), (Some(0), 36));
    assert!(remarks.contains("high watermark is 41") && remarks.contains("lost already"), "{remarks}");
    assert!(remarks.contains("No broker since release 0.11"), "{remarks}");
    let (status, target, remarks) = told(&["--to", "99"]);
    assert_eq!((status, target), (Some(0), 36));
    assert!(remarks.contains("offset 99 lies behind the end of the intact log, 36"), "{remarks}");
    // Below the log start nothing is left to cut.
    let first_segment = "00000000000000000000.";
    for entry in fs::read_dir(&partition).unwrap() {
        let file = entry.unwrap().path();
        if file.file_name().unwrap().to_str().unwrap().starts_with(first_segment) {
            fs::remove_file(file).unwrap();
        }
    }
    set_high_watermarks(&path, |_, _| 4);
    let (status, target, remarks) = told(&[]);
    assert_eq!((status, target), (Some(4), 11));
    assert!(remarks.contains("high watermark 4 lies before the log start"), "{remarks}");
}

#[test]
fn after_a_crash_anywhere_there_is_the_log_before_or_the_log_after() {
    let (_dir, path) = log_dir_copy(&scenario("4.4.0", "transactions").log_dir(None, None));
    let partition = path.join("txn-mixed-0");
    for other in subdirectories(&path).into_iter().filter(|other| *other != partition) {
        fs::remove_dir_all(other).unwrap();
    }
    let disk = SimDisk::holding(&[&path]);
    let around = Around {
        checkpointed: Checkpoints::read(&path).of(&PartitionName::of_directory(&partition).unwrap()),
        log_dir: Some(path.clone()),
        policy: ReadPolicy::default(),
        now_ms: 1_700_000_000_000,
        stop: None,
    };
    let dir = PartitionDir::read(&partition).unwrap();
    // With more steps there are many more disks: KFSCK_CUT_AT=24 for hundreds of thousands.
    let end = std::env::var("KFSCK_CUT_AT").ok().and_then(|text| text.parse().ok()).unwrap_or(33);
    let cut = plan(&disk, &dir, &around, To::Offset(Offset(end)), &|_| ()).unwrap();
    assert!(cut.plan.steps.len() >= 6, "{} steps", cut.plan.steps.len());
    crash_anywhere(&disk, &cut.plan);
}

fn crash_anywhere(disk: &SimDisk, plan: &Plan) {
    let journal = Journal::at(plan.partition.join(".kfsck-undo-20261122T000000.000Z"));
    let tried = faults_and_crashes(disk, &journal, |disk| apply(disk, plan, &journal, None, &mut || Ok(())));
    println!(
        "{} disks after a crash before each of {} operations of {} steps, {} of them done",
        tried.disks,
        tried.operations,
        plan.steps.len(),
        tried.finished
    );
    assert!(tried.disks > 300);
}

#[test]
fn killed_at_any_moment_what_is_left_can_be_taken_back_or_is_done() {
    let made = || {
        let (dir, root) = log_dir_copy(&scenario("4.4.0", "transactions").log_dir(None, None));
        let partition = root.join("txn-mixed-0");
        Made { _dir: dir, root, partition }
    };
    // Two segments go, indexes and checkpoints are written anew, one log is cut.
    killed_at_any_moment(made, COMMAND, &["--apply", "--allow-data-loss", "--to", "7"]);
}

#[test]
fn however_a_partition_is_named_its_change_can_be_taken_back() {
    let (dir, path) = log_dir_copy(&scenario("4.4.0", "transactions").log_dir(None, None));
    let before = tree(&path);
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(path.join("txn-mixed-0"), &link).unwrap();
    let inside = path.join("txn-mixed-0");
    for (directory, name) in
        [(&path, "txn-mixed-0"), (&inside, "."), (&inside, "../txn-mixed-0/"), (&inside, "../../link")]
    {
        let cut = kfsck(directory, [COMMAND, "--to", "20", "--apply", "--allow-data-loss", name]);
        assert_eq!(cut.status, Some(1), "{name}: {}", String::from_utf8_lossy(&cut.stderr));
        let checkpoints = fs::read_to_string(path.join("replication-offset-checkpoint")).unwrap();
        assert!(checkpoints.contains("txn-mixed 0 20"), "{name}: {checkpoints}");
        let undone = kfsck(directory, ["undo", "--apply", name]);
        assert_eq!(undone.status, Some(1), "{name}: {}", String::from_utf8_lossy(&undone.stderr));
        assert_eq!(tree(&path), before, "{name}");
    }
}

#[test]
fn the_help_shows_how_it_is_used() {
    let help = kfsck(Path::new("/"), [COMMAND, "--help"]);
    let text = String::from_utf8(help.stdout).unwrap();
    for words in ["--allow-data-loss", "--replica", "--jobs", "Examples:", "Exit status:", "intact-end"] {
        assert!(text.contains(words), "{words}");
    }
}
