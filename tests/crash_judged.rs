//! Whatever a crash in the middle of `rebuild-index`, or of its undoing, leaves on the disk: a broker that starts on it
//! loses nothing that it would not have lost before the change.
//!
//! The states are enumerated in every run. `KFSCK_JUDGE` has Kafka's own classes start on each, after an orderly stop and
//! after none; without it what they hold is all that is looked at.

#[path = "support/judge.rs"]
mod judge;
mod support;

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use judge::{RELEASES, Start, ask};
use kfsck::check::segment::Worker;
use kfsck::check::{Depth, Setting};
use kfsck::format::compression::DEFAULT_LIMIT;
use kfsck::repair::apply::apply;
use kfsck::repair::journal::Journal;
use kfsck::repair::plan::Plan;
use kfsck::repair::rebuild::{Partition, Planner, RebuildOptions, verify};
use kfsck::repair::undo::undo;
use kfsck::store::ReadPolicy;
use kfsck::store::partition::PartitionDir;
use support::changing::loose_copy;
use support::set_modified;
use support::sim_disk::{Fault, SimDisk};

/// Partitions, and the segment of each whose indexes are wrong.
const PARTITIONS: [(&str, &str); 3] = [
    ("4.4.0/transactions/log-dir/txn-mixed-0", "00000000000000000011"),
    ("4.4.0/transactions/log-dir/txn-mixed-0", "00000000000000000000"),
    ("4.4.0/transactions/log-dir/__consumer_offsets-0", "00000000000000000000"),
];

/// What a broker sees of a partition: each file with its bytes. Directories it passes over.
type Seen = BTreeMap<OsString, Vec<u8>>;

fn seen(disk: &SimDisk, partition: &Path) -> Seen {
    let files = disk.tree().into_iter().filter(|(path, _)| path.parent() == Some(partition));
    files.map(|(path, (bytes, _))| (path.file_name().unwrap().to_owned(), bytes)).collect()
}

/// Makes the indexes of a segment wrong, and says what is to be done.
fn planned(partition: &Path, segment: &str) -> (SimDisk, Plan) {
    let file = |suffix| partition.join(format!("{segment}.{suffix}"));
    fs::write(file("index"), b"wrong").unwrap();
    fs::remove_file(file("timeindex")).unwrap();
    fs::write(file("txnindex"), b"wrong too").unwrap();
    let disk = SimDisk::holding(&[partition]);
    let setting = Setting { policy: ReadPolicy::default(), depth: Depth::Checksums, clean_shutdown: true };
    let dir = PartitionDir::read(partition).unwrap();
    let partition = Arc::new(Partition::new(dir, RebuildOptions::default(), setting));
    let (mut planner, mut worker) = (Planner::new(&partition, None), Worker::new(DEFAULT_LIMIT));
    for segment in partition.segments() {
        assert!(planner.take(segment.look(&mut worker, &disk, None)).unwrap().is_none());
    }
    let plan = planner.rest().plan;
    assert_eq!(plan.steps.len(), 3);
    (disk, plan)
}

/// What a broker may see after a crash before any operation of the change, and of undoing what is left then. How many
/// different disks that were, too.
fn states(disk: &SimDisk, plan: &Plan) -> (HashSet<Seen>, usize) {
    let journal = Journal::at(plan.partition.join(".kfsck-undo-20261122T000000.000Z"));
    let applied = |disk: &SimDisk| apply(disk, plan, &journal, None, &mut || verify(disk, plan));
    let whole = disk.failing_at(usize::MAX, Fault::Crash);
    applied(&whole).unwrap();
    let (mut disks, mut undone, mut found) = (HashSet::new(), HashSet::new(), HashSet::new());
    found.insert(seen(&whole, &plan.partition));
    for at in 0..whole.operations() {
        let crashed = disk.failing_at(at, Fault::Crash);
        assert!(applied(&crashed).is_err());
        for left in crashed.after_crash().into_iter().filter(|left| left.is_new(&mut disks)) {
            found.insert(seen(&left, &plan.partition));
            let undoing = left.failing_at(usize::MAX, Fault::Crash);
            undo(&undoing, &journal).unwrap();
            for at in 0..undoing.operations() {
                let crashed = left.failing_at(at, Fault::Crash);
                assert!(undo(&crashed, &journal).is_err());
                let again = crashed.after_crash().into_iter().filter(|left| left.is_new(&mut undone));
                found.extend(again.map(|left| seen(&left, &plan.partition)));
            }
        }
    }
    (found, disks.len() + undone.len())
}

fn write(state: &Seen, name: &str, root: &Path) -> PathBuf {
    let partition = root.join(name);
    fs::create_dir_all(&partition).unwrap();
    fs::create_dir(partition.join(".kfsck-undo-20261122T000000.000Z")).unwrap();
    for (name, bytes) in state {
        fs::write(partition.join(name), bytes).unwrap();
        set_modified(&partition.join(name), UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    }
    partition
}

#[test]
fn after_a_crash_anywhere_a_broker_loses_nothing_that_it_had_before() {
    for (name, segment) in PARTITIONS {
        let (_dir, path) = loose_copy(name);
        let (disk, plan) = planned(&path, segment);
        let before = seen(&disk, &path);
        let (states, disks) = states(&disk, &plan);
        let is_log = |(name, _): &(&OsString, &Vec<u8>)| name.to_string_lossy().ends_with(".log");
        for state in &states {
            assert!(state.iter().filter(is_log).eq(before.iter().filter(is_log)), "a log has changed");
        }
        assert!(states.len() >= 4 && disks > 100);
        println!("{name}, segment {segment}: {disks} disks, {} ways that a broker may see it", states.len());
        let Some(judge) = judge::judge() else {
            println!("KFSCK_JUDGE is not set: no broker was asked");
            continue;
        };
        let root = tempfile::tempdir().unwrap();
        let partition_name = path.file_name().unwrap().to_str().unwrap();
        let all = [&before].into_iter().chain(&states).enumerate();
        let places: Vec<_> =
            all.map(|(at, state)| write(state, partition_name, &root.path().join(at.to_string()))).collect();
        let load = |place: &PathBuf| ["", " --unclean"].map(|how| format!("load {}{how}", place.display()));
        let commands: Vec<_> = places.iter().flat_map(load).collect();
        for release in RELEASES {
            let starts: Vec<_> = ask(&judge, release, &commands).iter().map(|answer| Start::of(answer)).collect();
            let mut changed = 0;
            for (at, start) in starts.iter().enumerate() {
                let untouched = &starts[at % 2];
                let context = format!("{release}, {name}, {}: {start:?}, untouched {untouched:?}", commands[at]);
                assert!(start.log_end_offset >= untouched.log_end_offset, "{context}");
                assert_eq!(start.exception, untouched.exception, "{context}");
                assert_eq!(start.segments, untouched.segments, "{context}");
                changed += usize::from(start.files != untouched.files);
            }
            println!(
                "  {release}: {} starts, none ends below {:?} and {:?} of the untouched ones; {changed} mend other files",
                starts.len() - 2,
                starts[0].log_end_offset,
                starts[1].log_end_offset
            );
        }
    }
}
