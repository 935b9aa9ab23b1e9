//! `kfsck rebuild-index` writes what Kafka's recovery writes, changes nothing else, and everything can be taken back.
//!
//! `testdata/start/recovered.jsonl.zst` is explained in `tests/recovered.rs`.

mod support;

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use kfsck::check::segment::Worker;
use kfsck::check::{Depth, Setting};
use kfsck::format::compression::DEFAULT_LIMIT;
use kfsck::format::file_name::{FileKind, FileState, segment_file_name};
use kfsck::format::{Offset, offset_index, time_index};
use kfsck::repair::RepairError;
use kfsck::repair::apply::apply;
use kfsck::repair::journal::Journal;
use kfsck::repair::plan::Plan;
use kfsck::repair::rebuild::{Partition, Planner, RebuildOptions, verify};
use kfsck::store::ReadPolicy;
use kfsck::store::partition::PartitionDir;
use kfsck::store::write::{Disk, WriteStorage};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use support::changing::{self, hold_lock, log_dir_copy, long_ago, loose_copy, tree, undo_dirs};
use support::kills::{Made, killed_at_any_moment};
use support::sim_disk::{SimDisk, faults_and_crashes};
use support::{in_parallel, json_output, kfsck, report, scenario, set_modified};

/// Base offset, size, exception, digests of the three indexes, and what tests elsewhere look at.
type Segment = (i64, u64, String, String, String, Option<String>, i64, i64, Vec<[i64; 8]>);

#[derive(Deserialize)]
struct Judged {
    partition: String,
    interval: u32,
    segments: Vec<Segment>,
}

fn run(command: &str, arguments: &[&str], path: &Path) -> (Option<i32>, String, String) {
    let said = changing::run(command, arguments, path);
    (said.status, said.stdout, said.stderr)
}

fn status(command: &str, arguments: &[&str], path: &Path) -> Option<i32> {
    run(command, arguments, path).0
}

fn row(kind: &str, stdout: &str) -> Value {
    let rows = json_output(stdout.as_bytes()).unwrap();
    rows.into_iter().find(|row| row["type"] == kind).unwrap_or_else(|| panic!("no {kind} in {stdout}"))
}

fn name(base_offset: i64, kind: FileKind) -> String {
    segment_file_name(Offset(base_offset), kind, FileState::Live)
}

fn short_digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

fn judged() -> Vec<Judged> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/start/recovered.jsonl.zst");
    let mut lines = String::new();
    zstd::Decoder::new(File::open(file).unwrap()).unwrap().read_to_string(&mut lines).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A copy of the log dir of a scenario.
fn log_dir(release: &str, name: &str) -> (tempfile::TempDir, PathBuf) {
    log_dir_copy(&scenario(release, name).log_dir(None, None))
}

#[test]
fn written_indexes_are_those_of_kafkas_recovery_and_undo_brings_every_byte_back() {
    let outcomes = in_parallel(judged(), |judged| {
        let (_dir, path) = loose_copy(&judged.partition);
        let before = tree(&path);
        let interval = judged.interval.to_string();
        let arguments = ["--all", "--apply", "-q", "--index-interval-bytes", &interval];
        let (exit, stdout, stderr) = run("rebuild-index", &arguments, &path);
        let context = format!("{} interval {interval}: exit {exit:?}\n{stdout}{stderr}", judged.partition);
        for (base_offset, _, exception, index, timeindex, txnindex, ..) in &judged.segments {
            if !exception.is_empty() {
                continue;
            }
            let wanted = [
                (FileKind::OffsetIndex, Some(index)),
                (FileKind::TimeIndex, Some(timeindex)),
                (FileKind::TxnIndex, txnindex.as_ref()),
            ];
            for (kind, wanted) in wanted {
                let file = path.join(name(*base_offset, kind));
                let got = fs::read(&file).ok().map(|bytes| short_digest(&bytes));
                if got.as_ref() != wanted {
                    return Err(format!("{}: {got:?} and Kafka {wanted:?}; {context}", file.display()));
                }
            }
        }
        let changed_nothing_else = tree(&path).iter().all(|(file, now)| {
            let extension = file.extension().unwrap_or_default();
            let is_index = ["index", "timeindex", "txnindex"].iter().any(|known| extension == *known);
            is_index || before.get(file) == Some(now)
        });
        if !changed_nothing_else {
            return Err(format!("something else was changed; {context}"));
        }
        if !matches!(exit, Some(0 | 1)) {
            return Err(context);
        }
        // By their own rules, the checks find nothing to do.
        let second = status("rebuild-index", &["--apply", "-q"], &path);
        if second != Some(0) {
            return Err(format!("the second run: {second:?}; {context}"));
        }
        while !undo_dirs(&path).is_empty() {
            let undone = run("undo", &["--apply", "-q"], &path);
            if undone.0 != Some(1) {
                return Err(format!("{undone:?}; {context}"));
            }
        }
        if tree(&path) == before { Ok(()) } else { Err(format!("undo left something; {context}")) }
    });
    let partitions = outcomes.len();
    assert!(partitions > 100, "{partitions} partitions");
    report("partitions rebuilt and undone", &outcomes, "two intervals");
}

/// Damages one index of a segment, in one of several ways. `false` where there is nothing to damage.
fn damage(partition: &Path, base_offset: i64, way: usize) -> bool {
    let [index, time_index, txn_index] = [FileKind::OffsetIndex, FileKind::TimeIndex, FileKind::TxnIndex]
        .map(|kind| partition.join(name(base_offset, kind)));
    let flip = |file: &Path, at: usize| {
        let mut bytes = fs::read(file).unwrap_or_default();
        let Some(byte) = bytes.get_mut(at) else { return false };
        *byte ^= 0x40;
        fs::write(file, bytes).unwrap();
        true
    };
    let append = |file: &Path| {
        let mut bytes = fs::read(file).unwrap_or_default();
        bytes.extend_from_slice(b"abc");
        fs::write(file, bytes).is_ok()
    };
    match way {
        0 => append(&index),
        1 => append(&time_index),
        2 => flip(&index, 4),
        3 => flip(&time_index, 1),
        4 => flip(&txn_index, 20),
        5 => fs::metadata(&txn_index).is_ok_and(|it| it.len() > 0) && fs::remove_file(&txn_index).is_ok(),
        6 => fs::metadata(&index).is_ok_and(|it| it.len() > 0) && fs::remove_file(&index).is_ok(),
        _ => append(&txn_index),
    }
}

const WAYS: usize = 8;

#[test]
fn a_dry_run_touches_nothing_the_first_run_repairs_and_the_second_finds_nothing() {
    let mut partitions: Vec<(String, i64)> =
        judged().into_iter().map(|judged| (judged.partition, judged.segments.first().map_or(0, |it| it.0))).collect();
    partitions.sort();
    partitions.dedup();
    // Every other way in every other partition.
    let some = |at: usize| (0..WAYS).filter(move |way| (at + way).is_multiple_of(2));
    let tasks = partitions.into_iter().enumerate();
    let tasks = tasks.flat_map(|(at, task)| some(at).map(move |way| (task.clone(), way))).collect();
    let outcomes = in_parallel(tasks, |((partition, base_offset), way): ((String, i64), usize)| {
        let (_dir, path) = loose_copy(&partition);
        if !damage(&path, base_offset, way) {
            return Ok(None);
        }
        for entry in fs::read_dir(&path).unwrap() {
            set_modified(&entry.unwrap().path(), long_ago());
        }
        let before = tree(&path);
        let dry = run("rebuild-index", &[], &path);
        if tree(&path) != before || !undo_dirs(&path).is_empty() {
            return Err(format!("{partition} {way}: a dry run has touched something"));
        }
        // The metadata log of a cluster has no index, of a cleaned log no data of the transactions may be left, and the
        // next start makes the indexes of an empty log that was not closed again.
        let is_no_damage = [("__cluster_metadata", 6), ("compact-", 5)]
            .iter()
            .any(|(part, other)| partition.contains(part) && way == *other)
            || partition.contains("killed-empty");
        if dry.0 == Some(0) && is_no_damage {
            return Ok(None);
        }
        if dry.0 != Some(4) {
            return Err(format!("{partition} {way}: dry {dry:?}"));
        }
        let first = run("rebuild-index", &["--apply"], &path);
        let verified = run("verify-index", &["-q"], &path);
        if verified.0 != Some(0) {
            return Err(format!("{partition} {way}: verify-index afterwards: {verified:?}"));
        }
        let second = run("rebuild-index", &["--apply"], &path);
        let undone = run("undo", &[], &path).0 == Some(4) && status("undo", &["--apply"], &path) == Some(1);
        match (first.0, second.0, undone, tree(&path) == before) {
            (Some(1), Some(0), true, true) => Ok(Some(())),
            other => Err(format!("{partition} {way}: {other:?} {first:?} {second:?}")),
        }
    });
    let damaged = outcomes.iter().filter(|outcome| matches!(outcome, Ok(Some(())))).count();
    assert!(damaged > 200, "{damaged} damaged partitions");
    let outcomes: Vec<_> = outcomes.into_iter().map(|outcome| outcome.map(|_| ())).collect();
    report("damaged indexes", &outcomes, &format!("{damaged} repaired and undone"));
}

const SEGMENTS: &str = "4.4.0/transactions/log-dir/txn-mixed-0";

#[test]
fn owner_and_mode_stay_and_a_new_file_gets_those_of_the_log() {
    let (_dir, path) = loose_copy(SEGMENTS);
    let (index, timeindex) = (path.join(name(0, FileKind::OffsetIndex)), path.join(name(0, FileKind::TimeIndex)));
    fs::set_permissions(path.join(name(0, FileKind::Log)), fs::Permissions::from_mode(0o640)).unwrap();
    fs::set_permissions(&index, fs::Permissions::from_mode(0o604)).unwrap();
    fs::write(&index, b"x").unwrap();
    fs::remove_file(&timeindex).unwrap();
    assert_eq!(status("rebuild-index", &["--apply"], &path), Some(1));
    assert_eq!(fs::metadata(&index).unwrap().mode() & 0o777, 0o604);
    assert_eq!(fs::metadata(&timeindex).unwrap().mode() & 0o777, 0o640);
}

#[test]
fn behind_damage_indexes_end_and_the_plan_says_what_they_do_not_reach() {
    let (_dir, path) = loose_copy(SEGMENTS);
    let base_offset = 11;
    let [log, index, timeindex, txnindex] =
        [FileKind::Log, FileKind::OffsetIndex, FileKind::TimeIndex, FileKind::TxnIndex]
            .map(|kind| path.join(name(base_offset, kind)));
    let all = ["--all", "--apply", "--index-interval-bytes", "1"];
    assert_eq!(status("rebuild-index", &all, &path), Some(1));
    let (whole, whole_txn) = (fs::read(&index).unwrap(), fs::read(&txnindex).unwrap());
    let entry = offset_index::OffsetIndex::new(&whole, Offset(base_offset)).entry(2).unwrap();
    let mut bytes = fs::read(&log).unwrap();
    bytes[entry.raw_position as usize + 61] ^= 1;
    fs::write(&log, &bytes).unwrap();
    fs::remove_file(&index).unwrap();
    fs::write(&timeindex, b"x").unwrap();
    let arguments = ["--apply", "-f", "json", "--index-interval-bytes", "1"];
    let (exit, stdout, _) = run("rebuild-index", &arguments, &path);
    assert_eq!(exit, Some(4), "{stdout}");
    assert_eq!(fs::read(&log).unwrap(), bytes);
    assert_eq!(fs::read(&index).unwrap(), whole[..16]);
    // Whoever reads behind the damage must still be told what was aborted there.
    assert_eq!(fs::read(&txnindex).unwrap(), whole_txn);
    let time_index = fs::read(&timeindex).unwrap();
    let last = time_index::TimeIndex::new(&time_index, Offset(base_offset)).iter().last().unwrap();
    let before = offset_index::OffsetIndex::new(&whole, Offset(base_offset)).entry(1).unwrap();
    assert!(last.offset <= before.offset, "{last:?}");
    let remark = row("plan", &stdout)["remarks"].to_string();
    let first_lost = before.offset.0 + 1;
    assert!(remark.contains(&format!("at position {}", entry.raw_position)), "{remark}");
    assert!(remark.contains(&format!("offsets {first_lost} to ")), "{remark}");
    // There is nothing more to do; the log is still damaged.
    assert_eq!(undo_dirs(&path).len(), 2);
    assert_eq!(status("rebuild-index", &["--apply", "--index-interval-bytes", "1"], &path), Some(4));
    assert_eq!(undo_dirs(&path).len(), 2);
}

#[test]
fn with_any_interval_the_checks_find_nothing_wrong() {
    for interval in ["0", "1", "100", "4096", "1000000"] {
        let (_dir, path) = log_dir("4.4.0", "transactions");
        let exit = status("rebuild-index", &["--all", "--apply", "-q", "--index-interval-bytes", interval], &path);
        assert!(matches!(exit, Some(0 | 1)), "interval {interval}: {exit:?}");
        assert_eq!(status("rebuild-index", &[], &path), Some(0), "interval {interval}");
    }
}

#[test]
fn an_index_does_not_outgrow_its_room() {
    let (_dir, path) = loose_copy(SEGMENTS);
    let arguments = ["--all", "--apply", "-f", "json", "--index-interval-bytes", "1", "--segment-index-bytes", "24"];
    let (exit, stdout, _) = run("rebuild-index", &arguments, &path);
    assert_eq!(exit, Some(1));
    assert_eq!(fs::metadata(path.join(name(11, FileKind::OffsetIndex))).unwrap().len(), 24);
    assert!(fs::metadata(path.join(name(11, FileKind::TimeIndex))).unwrap().len() <= 24);
    assert!(row("plan", &stdout)["remarks"].to_string().contains("no room"), "{stdout}");
    assert_eq!(status("rebuild-index", &[], &path), Some(0));
}

#[test]
fn a_transaction_that_began_where_nothing_is_known_stays_listed() {
    let (_dir, path) = loose_copy(SEGMENTS);
    let txnindex = path.join(name(11, FileKind::TxnIndex));
    let whole = fs::read(&txnindex).unwrap();
    // As if everything before had been deleted, and with it what was known of the producers.
    for entry in fs::read_dir(&path).unwrap() {
        let file = entry.unwrap().path();
        let is_before = file.file_name().unwrap().to_string_lossy().starts_with("00000000000000000000.");
        if is_before || file.extension().is_some_and(|it| it == "snapshot") {
            fs::remove_file(file).unwrap();
        }
    }
    assert_eq!(status("rebuild-index", &[], &path), Some(0));
    let mut broken = whole.clone();
    broken.extend_from_slice(b"more");
    fs::write(&txnindex, broken).unwrap();
    assert_eq!(status("rebuild-index", &["--apply"], &path), Some(1));
    assert_eq!(fs::read(&txnindex).unwrap(), whole);
}

#[test]
fn only_what_was_asked_for_is_written() {
    let (_dir, path) = log_dir("4.4.0", "transactions");
    let [mixed, other] = ["txn-mixed-0", "txn-other-0"].map(|name| path.join(name));
    for partition in [&mixed, &other] {
        for kind in [FileKind::OffsetIndex, FileKind::TimeIndex] {
            fs::write(partition.join(name(0, kind)), b"x").unwrap();
        }
    }
    let before = tree(&other);
    // Seen, and not to be mended: the offset index.
    assert_eq!(status("rebuild-index", &["--apply", "-t", "txn-m*", "--only", "timeindex"], &path), Some(4));
    assert_eq!(tree(&other), before);
    assert_eq!(fs::read(mixed.join(name(0, FileKind::OffsetIndex))).unwrap(), b"x");
    assert_ne!(fs::read(mixed.join(name(0, FileKind::TimeIndex))).unwrap(), b"x");
    // A file stands for its segment.
    assert_eq!(status("rebuild-index", &["--apply"], &mixed.join(name(11, FileKind::Log))), Some(0));
    assert_eq!(status("rebuild-index", &["--apply"], &mixed.join(name(0, FileKind::Log))), Some(1));
    assert_eq!(status("rebuild-index", &[], &path), Some(4));
    assert_eq!(status("rebuild-index", &["--apply"], &path), Some(1));
    assert_eq!(status("rebuild-index", &["--apply"], &path), Some(0));
    assert!(!path.join(".lock").exists());
}

#[test]
fn a_plan_is_done_only_if_it_is_the_one_that_was_reviewed() {
    let (_dir, path) = loose_copy(SEGMENTS);
    fs::write(path.join(name(0, FileKind::OffsetIndex)), b"x").unwrap();
    let digest = row("plan", &run("rebuild-index", &["-f", "json"], &path).1)["digest"].as_str().unwrap().to_owned();
    let before = tree(&path);
    assert_eq!(status("rebuild-index", &["--apply", "--expect", "0123456789abcdef"], &path), Some(12));
    assert_eq!(tree(&path), before);
    let (exit, stdout, _) = run("rebuild-index", &["--apply", "--expect", &digest, "-f", "json"], &path);
    assert_eq!(exit, Some(1));
    assert_eq!(row("applied", &stdout)["digest"].as_str(), Some(&*digest));
    let undo = row("applied", &stdout)["undoCommand"].as_str().unwrap().to_owned();
    let words: Vec<&str> = undo.split(' ').skip(1).collect();
    assert_eq!(kfsck(Path::new("/"), words).status, Some(1));
    assert_eq!(tree(&path), before);
}

#[test]
fn nothing_is_done_while_someone_holds_the_lock() {
    let (_dir, path) = log_dir("4.4.0", "transactions");
    let partition = path.join("txn-mixed-0");
    fs::write(partition.join(name(0, FileKind::OffsetIndex)), b"x").unwrap();
    let lock = hold_lock(&path);
    let before = tree(&path);
    for (command, arguments) in [("rebuild-index", &["--apply"][..]), ("rebuild-index", &["--apply", "--all"])] {
        let (exit, stdout, stderr) = run(command, arguments, &partition);
        assert_eq!((exit, stdout.as_str()), (Some(8), ""), "{stderr}");
        assert!(stderr.contains(&format!("is held by process {}", std::process::id())), "{stderr}");
    }
    assert_eq!(tree(&path), before);
    // A dry run looks all the same.
    assert_eq!(status("rebuild-index", &[], &partition), Some(4));
    assert_eq!(tree(&path), before);
    drop(lock);
    assert_eq!(status("rebuild-index", &["--apply"], &partition), Some(1));
    assert!(path.join(".lock").exists());
}

#[test]
fn nothing_is_written_through_a_link_and_a_second_name_keeps_what_it_had() {
    let (dir, path) = loose_copy(SEGMENTS);
    let index = path.join(name(0, FileKind::OffsetIndex));
    let elsewhere = dir.path().join("elsewhere");
    fs::write(&elsewhere, b"x").unwrap();
    fs::remove_file(&index).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &index).unwrap();
    let before = tree(dir.path());
    for arguments in [&["--apply"][..], &["--apply", "--all"], &[]] {
        let (exit, _, stderr) = run("rebuild-index", arguments, &path);
        assert_eq!(exit, Some(8), "{stderr}");
        assert!(stderr.contains("is not itself a file"), "{stderr}");
        assert_eq!(tree(dir.path()), before);
    }
    fs::remove_file(&index).unwrap();
    fs::hard_link(&elsewhere, &index).unwrap();
    assert_eq!(status("rebuild-index", &["--apply"], &path), Some(1));
    assert_eq!(fs::read(&elsewhere).unwrap(), b"x");
    assert_ne!(fs::read(&index).unwrap(), b"x");
}

#[test]
fn a_directory_that_cannot_be_written_to_stays_as_it_is() {
    let (_dir, path) = loose_copy(SEGMENTS);
    fs::write(path.join(name(0, FileKind::OffsetIndex)), b"x").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o555)).unwrap();
    let may_write_anyway = File::create(path.join("probe")).is_ok();
    let (exit, stdout, stderr) = run("rebuild-index", &["--apply"], &path);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    if may_write_anyway {
        // The superuser may: nothing to see here.
        return;
    }
    assert_eq!(exit, Some(12), "{stdout}{stderr}");
    assert!(stderr.contains("Permission denied"), "{stderr}");
    assert_eq!(fs::read(path.join(name(0, FileKind::OffsetIndex))).unwrap(), b"x");
}

/// Setting, options and a worker for the library's own planner.
fn plans(path: &Path, options: &RebuildOptions, disk: &dyn WriteStorage) -> Vec<Plan> {
    let setting = Setting { policy: ReadPolicy::default(), depth: Depth::Checksums, clean_shutdown: false };
    let partition = Arc::new(Partition::new(PartitionDir::read(path).unwrap(), options.clone(), setting));
    let mut planner = Planner::new(&partition, None);
    let mut worker = Worker::new(DEFAULT_LIMIT);
    let looked = partition.segments().into_iter().map(|segment| segment.look(&mut worker, disk, None));
    let mut plans: Vec<Plan> = looked.filter_map(|looked| Some(planner.take(looked).unwrap()?.plan)).collect();
    plans.extend(Some(planner.rest().plan).filter(|plan| !plan.steps.is_empty()));
    plans
}

fn journal(plan: &Plan) -> Journal {
    Journal::at(plan.partition.join(".kfsck-undo-20261122T000000.000Z"))
}

#[test]
fn a_file_that_is_replaced_after_the_plan_was_made_stops_it() {
    for kind in [FileKind::Log, FileKind::OffsetIndex] {
        let (_dir, path) = loose_copy(SEGMENTS);
        fs::write(path.join(name(0, FileKind::OffsetIndex)), b"x").unwrap();
        let plan = plans(&path, &RebuildOptions::default(), &Disk).remove(0);
        let file = path.join(name(0, kind));
        let bytes = fs::read(&file).unwrap();
        fs::remove_file(&file).unwrap();
        fs::write(&file, bytes).unwrap();
        let before = tree(&path);
        let error = apply(&Disk, &plan, &journal(&plan), None, &mut || Ok(())).unwrap_err();
        assert!(matches!(&error, RepairError::Changed { path } if *path == file), "{error}");
        assert_eq!(tree(&path), before);
        assert!(undo_dirs(&path).is_empty());
    }
}

#[test]
fn a_stop_between_two_steps_takes_everything_back() {
    let (_dir, path) = loose_copy(SEGMENTS);
    let options = RebuildOptions { all: true, index_interval_bytes: 1, ..RebuildOptions::default() };
    let plan = plans(&path, &options, &Disk).remove(0);
    assert!(plan.steps.len() > 2);
    let before = tree(&path);
    let stop = AtomicBool::new(true);
    let error = apply(&Disk, &plan, &journal(&plan), Some(&stop), &mut || Ok(())).unwrap_err();
    assert!(matches!(error, RepairError::Stopped), "{error}");
    assert_eq!(tree(&path), before);
    assert!(undo_dirs(&path).is_empty());
}

#[test]
fn a_large_partition_is_done_in_several_plans() {
    let (_dir, path) = loose_copy(SEGMENTS);
    let all = RebuildOptions { all: true, index_interval_bytes: 1, ..RebuildOptions::default() };
    let whole = plans(&path, &all, &Disk);
    let parts = plans(&path, &RebuildOptions { most_bytes_a_plan: 1, ..all }, &Disk);
    assert_eq!((whole.len(), whole[0].steps.len()), (1, parts.iter().map(|part| part.steps.len()).sum()));
    assert!(parts.len() > 1);
}

#[test]
fn what_an_interrupted_change_has_left_blocks_others_until_it_is_rolled_back() {
    let (_dir, path) = loose_copy(SEGMENTS);
    fs::write(path.join(name(0, FileKind::OffsetIndex)), b"x").unwrap();
    let before = tree(&path);
    let plan = plans(&path, &RebuildOptions::default(), &Disk).remove(0);
    let journal = journal(&plan);
    journal.prepare(&Disk, &plan).unwrap();
    Disk.rename(&journal.new_file(0), plan.steps[0].file()).unwrap();
    let (exit, _, stderr) = run("rebuild-index", &["--apply"], &path);
    assert_eq!(exit, Some(8), "{stderr}");
    assert!(stderr.contains("was interrupted") && stderr.contains("kfsck undo --apply"), "{stderr}");
    assert!(run("undo", &["--list"], &path).1.contains("interrupted"));
    assert_eq!(status("undo", &["--discard", "--apply"], &path), Some(8));
    // The partition may have been moved since.
    let moved = path.with_file_name("moved-0");
    fs::rename(&path, &moved).unwrap();
    assert_eq!(status("undo", &["--apply"], &moved), Some(1));
    fs::rename(&moved, &path).unwrap();
    assert_eq!(tree(&path), before);
    assert_eq!(status("rebuild-index", &["--apply"], &path), Some(1));
    assert_eq!(status("undo", &["--discard"], &path), Some(4));
    assert_eq!(status("undo", &["--discard", "--apply"], &path), Some(1));
    assert!(undo_dirs(&path).is_empty());
    assert_eq!(status("undo", &["--apply"], &path), Some(0));
}

#[test]
fn what_was_changed_since_is_not_undone_over() {
    let (_dir, path) = loose_copy(SEGMENTS);
    let index = path.join(name(0, FileKind::OffsetIndex));
    fs::write(&index, b"x").unwrap();
    assert_eq!(status("rebuild-index", &["--apply"], &path), Some(1));
    fs::write(&index, b"later").unwrap();
    let before = tree(&path);
    assert_eq!(status("undo", &["--apply"], &path), Some(8));
    assert_eq!(tree(&path), before);
    assert_eq!(undo_dirs(&path).len(), 1);
}

#[test]
fn on_a_full_or_broken_disk_and_after_every_crash_there_is_before_or_after_and_nothing_between() {
    let (_dir, path) = loose_copy("4.4.0/transactions/log-dir/__consumer_offsets-0");
    fs::write(path.join(name(0, FileKind::OffsetIndex)), b"x").unwrap();
    fs::remove_file(path.join(name(0, FileKind::TxnIndex))).unwrap();
    let disk = SimDisk::holding(&[&path]);
    let plan = plans(&path, &RebuildOptions::default(), &disk).remove(0);
    assert_eq!(plan.steps.len(), 2);
    let journal = journal(&plan);
    let tried =
        faults_and_crashes(&disk, &journal, |disk| apply(disk, &plan, &journal, None, &mut || verify(disk, &plan)));
    println!("{} disks after a crash before each of {} operations", tried.disks, tried.operations);
    assert!(tried.disks > 90);
}

#[test]
fn killed_at_any_moment_what_is_left_can_be_taken_back_or_is_done() {
    let made = || {
        let (dir, path) = loose_copy(SEGMENTS);
        for base_offset in [0, 11, 28] {
            fs::remove_file(path.join(name(base_offset, FileKind::TimeIndex))).ok();
            if path.join(name(base_offset, FileKind::Log)).exists() {
                fs::write(path.join(name(base_offset, FileKind::OffsetIndex)), b"x").unwrap();
            }
        }
        Made { _dir: dir, root: path.clone(), partition: path }
    };
    killed_at_any_moment(made, "rebuild-index", &["--apply"]);
}
