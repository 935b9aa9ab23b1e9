//! Changes that are stopped anywhere leave what was there before, what was to come, or what `undo` makes of it.
//!
//! The disk is simulated: it forgets any subset of what was not synced, each write and each name on its own.

mod support;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use kfsck::repair::RepairError;
use kfsck::repair::apply::apply;
use kfsck::repair::journal::{Journal, Progress};
use kfsck::repair::kept::Obstacle;
use kfsck::repair::plan::{Fingerprint, NewFile, Plan, Step};
use kfsck::repair::undo::undo;
use kfsck::store::write::{FileMeta, WriteStorage};
use support::sim_disk::{Fault, SimDisk, Tree};

const META: FileMeta = FileMeta { uid: 7, gid: 8, mode: 0o640, modified: (1_700_000_000, 123_456_789) };

/// A partition with one file for each kind of step, and its log dir's checkpoint.
fn world() -> (tempfile::TempDir, SimDisk, Plan) {
    let dir = tempfile::tempdir().unwrap();
    let partition = dir.path().join("orders-3");
    std::fs::create_dir(&partition).unwrap();
    for (name, bytes) in
        [("0.log", &b"0123456789"[..]), ("0.index", b"wrong"), ("9.log", b"later"), ("0.txnindex", b"")]
    {
        std::fs::write(partition.join(name), bytes).unwrap();
    }
    std::fs::write(dir.path().join("checkpoint"), "0\n1\n").unwrap();
    let disk = SimDisk::holding(&[dir.path()]);
    let print = |path: &Path| Fingerprint::of(&disk, path).unwrap();
    let checkpoint = dir.path().join("checkpoint");
    let replace = |file: PathBuf, bytes: &[u8]| Step::Replace {
        old: print(&file),
        file,
        new: NewFile::new(bytes.to_vec(), META),
    };
    let steps = vec![
        replace(checkpoint, b"0\n0\n"),
        replace(partition.join("0.index"), b"right!"),
        replace(partition.join("0.timeindex"), b"made"),
        Step::Remove { file: partition.join("9.log"), old: print(&partition.join("9.log")).unwrap() },
        Step::CutTail { file: partition.join("0.log"), old: print(&partition.join("0.log")).unwrap(), to: 4 },
    ];
    let plan = Plan { steps, ..Plan::new("test", partition) };
    (dir, disk, plan)
}

/// The action of a plan whose cut-off bytes are kept in another directory.
const ELSEWHERE: &str = "test elsewhere";

/// The undo data to be made.
fn journal(plan: &Plan) -> Journal {
    let journal = Journal::at(plan.partition.join(".kfsck-undo-20261122T000000Z"));
    if plan.action == ELSEWHERE { journal.with_tails_in(plan.partition.parent().unwrap()) } else { journal }
}

/// The undo data that was found.
fn found_journal(disk: &SimDisk, plan: &Plan) -> Journal {
    Journal::open(disk, journal(plan).dir).unwrap()
}

fn is_undo_data(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str().to_string_lossy().contains(".kfsck-"))
}

/// The files of the partition, without what this program keeps beside them.
fn files(disk: &SimDisk) -> Tree {
    disk.tree().into_iter().filter(|(path, _)| !is_undo_data(path)).collect()
}

fn applied(disk: &SimDisk, plan: &Plan) -> Result<(), RepairError> {
    apply(disk, plan, &journal(plan), None, &mut || Ok(()))
}

#[test]
fn a_change_does_what_its_plan_says_and_undo_brings_back_every_byte() {
    let (_dir, disk, plan) = world();
    let before = disk.tree();
    applied(&disk, &plan).unwrap();
    let after = files(&disk);
    let bytes = |name: &str| after.get(&plan.partition.join(name)).map(|(bytes, _)| bytes.as_slice());
    assert_eq!(bytes("0.log"), Some(&b"0123"[..]));
    assert_eq!(bytes("0.index"), Some(&b"right!"[..]));
    assert_eq!(bytes("0.timeindex"), Some(&b"made"[..]));
    assert_eq!(bytes("9.log"), None);
    assert_eq!(after[&plan.partition.join("0.index")].1, META);
    assert_eq!(after[&plan.partition.join("0.log")].1, before[&plan.partition.join("0.log")].1);
    undo(&disk, &journal(&plan)).unwrap();
    assert_eq!(disk.tree(), before);
    assert!(!disk.dirs().iter().any(|dir| is_undo_data(dir)));
}

#[test]
fn after_a_crash_anywhere_undo_brings_back_every_byte_or_all_is_done() {
    let (_dir, disk, plan) = world();
    crash_anywhere(&disk, &plan);
}

#[test]
fn after_a_crash_anywhere_what_is_kept_elsewhere_is_found_again() {
    let (_dir, disk, plan) = world();
    crash_anywhere(&disk, &Plan { action: ELSEWHERE.to_owned(), ..plan });
}

fn crash_anywhere(disk: &SimDisk, plan: &Plan) {
    let before = disk.tree();
    let whole = disk.failing_at(usize::MAX, Fault::Crash);
    applied(&whole, plan).unwrap();
    let (operations, after) = (whole.operations(), files(&whole));
    let (mut seen, mut undone) = (HashSet::new(), HashSet::new());
    for at in 0..operations {
        let crashed = disk.failing_at(at, Fault::Crash);
        assert!(applied(&crashed, plan).is_err());
        for found in crashed.after_crash().into_iter().filter(|found| found.is_new(&mut seen)) {
            let context = format!("crash before operation {at}");
            match found_journal(&found, plan).progress(&found).unwrap() {
                Progress::Finished(..) => assert_eq!(files(&found), after, "{context}"),
                _ => {
                    assert!(apply_refuses_or_nothing_was_begun(&found, plan, &before), "{context}");
                    undo_with_crashes(&found, plan, &before, &context, &mut undone);
                }
            }
        }
    }
    let (states, undone) = (seen.len(), undone.len());
    assert!(operations > 30 && states > operations && undone > states, "{states} states after {operations} operations");
    println!("{states} disks after a crash before each of {operations} operations, {undone} more after one in undoing");
}

fn apply_refuses_or_nothing_was_begun(found: &SimDisk, plan: &Plan, before: &Tree) -> bool {
    let again = found.failing_at(usize::MAX, Fault::Crash);
    match applied(&again, plan) {
        Err(RepairError::Unfinished { .. }) => again.tree() == found.tree(),
        Ok(()) => &found.tree() == before,
        Err(_) => false,
    }
}

/// Undoes; and undoes again after a crash at each operation of that.
fn undo_with_crashes(found: &SimDisk, plan: &Plan, before: &Tree, context: &str, seen: &mut HashSet<u64>) {
    let whole = found.failing_at(usize::MAX, Fault::Crash);
    undo(&whole, &found_journal(&whole, plan)).unwrap_or_else(|error| panic!("{context}: {error}"));
    assert_eq!(&whole.tree(), before, "{context}");
    for at in 0..whole.operations() {
        let crashed = found.failing_at(at, Fault::Crash);
        assert!(undo(&crashed, &found_journal(&crashed, plan)).is_err());
        for found in crashed.after_crash().into_iter().filter(|found| found.is_new(seen)) {
            undo(&found, &found_journal(&found, plan))
                .unwrap_or_else(|error| panic!("{context}, undo crashed at {at}: {error}"));
            assert_eq!(files(&found), *before, "{context}, undo crashed at {at}");
        }
    }
}

#[test]
fn a_finished_change_is_undone_whole_also_after_a_crash_in_that() {
    let (_dir, disk, plan) = world();
    let before = disk.tree();
    applied(&disk, &plan).unwrap();
    let mut seen = HashSet::new();
    undo_with_crashes(&disk, &plan, &before, "finished", &mut seen);
    println!("{} disks after a crash in undoing", seen.len());
}

#[test]
fn whatever_operation_of_undoing_fails_it_can_be_repeated() {
    let (_dir, disk, plan) = world();
    let before = disk.tree();
    applied(&disk, &plan).unwrap();
    let whole = disk.failing_at(usize::MAX, Fault::Crash);
    undo(&whole, &journal(&plan)).unwrap();
    let (operations, mut garbled) = (whole.operations(), 0);
    assert!(operations > 20, "{operations}");
    for at in 0..operations {
        for code in [nix::libc::ENOSPC, nix::libc::EIO, nix::libc::EROFS, nix::libc::EACCES] {
            let failing = disk.failing_at(at, Fault::Errno(code));
            assert!(undo(&failing, &journal(&plan)).is_err(), "{at}");
            undo(&failing, &journal(&plan)).unwrap_or_else(|error| panic!("{at}: {error}"));
            assert_eq!(failing.tree(), before, "{at}");
        }
        let lying = disk.failing_at(at, Fault::Garble);
        if let Err(error) = undo(&lying, &journal(&plan)) {
            assert!(matches!(error, RepairError::NotRestored { .. }), "{error}");
            garbled += 1;
            undo(&lying, &journal(&plan)).unwrap_or_else(|error| panic!("garbled at {at}: {error}"));
        }
        assert_eq!(lying.tree(), before, "garbled at {at}");
    }
    assert_eq!(garbled, 1);
}

#[test]
fn whatever_is_missing_or_altered_undoing_brings_everything_back_or_touches_nothing() {
    let (_dir, disk, plan) = world();
    let before = files(&disk);
    let whole = disk.failing_at(usize::MAX, Fault::Crash);
    applied(&whole, &plan).unwrap();
    let finished = whole.failing_at(usize::MAX, Fault::Crash);
    undo(&whole, &journal(&plan)).unwrap();
    let (mut seen, mut refused, mut undone) = (HashSet::new(), 0, 0);
    // After a crash at any operation of the change, or of undoing it.
    for at in 0..whole.operations() {
        let crashed = disk.failing_at(at, Fault::Crash);
        let in_undoing = finished.failing_at(at, Fault::Crash);
        let _ = (applied(&crashed, &plan), undo(&in_undoing, &journal(&plan)));
        let disks = [crashed.after_crash(), in_undoing.after_crash()].into_iter().flatten();
        // Neither all of them, nor all alike.
        for found in disks.filter(|found| found.is_new(&mut seen)).step_by(3) {
            for (path, (bytes, _)) in found.tree().into_iter().filter(|(path, _)| is_undo_data(path)) {
                for way in ["remove", "cut", "alter"] {
                    let spoilt = found.failing_at(usize::MAX, Fault::Crash);
                    if !spoil(&spoilt, &path, &bytes, way) {
                        continue;
                    }
                    let as_spoilt = spoilt.tree();
                    // Before anything was changed, and once all is back and was read again, two names of one file are
                    // only that.
                    let progress = found_journal(&spoilt, &plan).progress(&spoilt);
                    let expected = match progress {
                        Ok(Progress::Prepared | Progress::Discarding) => files(&spoilt),
                        _ => before.clone(),
                    };
                    let context = format!("{way} {} at {at}", path.display());
                    match undo(&spoilt, &found_journal(&spoilt, &plan)) {
                        Ok(()) => {
                            undone += 1;
                            assert_eq!(files(&spoilt), expected, "{context}");
                        }
                        Err(RepairError::CannotUndo { .. } | RepairError::BadJournal { .. }) => {
                            refused += 1;
                            assert_eq!(spoilt.tree(), as_spoilt, "{context}");
                        }
                        Err(error) => panic!("{context}: {error}"),
                    }
                }
            }
        }
    }
    println!("{} disks, spoilt: {refused} refused, {undone} undone all the same", seen.len());
    assert!(refused > 500 && undone > 500, "{refused} {undone}");
}

/// Spoils a file. `false` where that changes nothing.
fn spoil(disk: &SimDisk, path: &Path, bytes: &[u8], way: &str) -> bool {
    let middle = bytes.len() as u64 / 2;
    match way {
        "remove" => disk.remove(path).unwrap(),
        _ if bytes.is_empty() => return false,
        "cut" => disk.cut(path, middle).unwrap(),
        _ => {
            let other = path.with_extension("other");
            disk.create(&other, b"~").unwrap();
            disk.paste_tail(&other, path, middle).unwrap();
            disk.remove(&other).unwrap();
        }
    }
    true
}

#[test]
fn whatever_operation_fails_everything_is_taken_back() {
    let (_dir, disk, plan) = world();
    let before = disk.tree();
    let whole = disk.failing_at(usize::MAX, Fault::Crash);
    applied(&whole, &plan).unwrap();
    for at in 0..whole.operations() {
        for code in [nix::libc::ENOSPC, nix::libc::EIO, nix::libc::EROFS, nix::libc::EACCES] {
            let failing = disk.failing_at(at, Fault::Errno(code));
            let error = applied(&failing, &plan).expect_err("an operation failed");
            assert!(!matches!(error, RepairError::Stuck { .. }), "{at}: {error}");
            assert_eq!(failing.tree(), before, "operation {at}: {error}");
            assert!(!failing.dirs().iter().any(|dir| is_undo_data(dir)), "operation {at}");
        }
    }
}

#[test]
fn what_does_not_bring_what_it_should_is_taken_back() {
    let (_dir, disk, plan) = world();
    let before = disk.tree();
    let error = apply(&disk, &plan, &journal(&plan), None, &mut || Err("an entry is wrong".to_owned())).unwrap_err();
    assert!(matches!(error, RepairError::TakenBack { .. }), "{error}");
    assert_eq!(disk.tree(), before);
}

#[test]
fn a_file_that_has_changed_since_the_plan_was_made_stops_it_before_anything_is_touched() {
    for changed in ["0.log", "0.index", "9.log"] {
        let (_dir, disk, plan) = world();
        let path = plan.partition.join(changed);
        disk.cut(&path, 1).unwrap();
        let before = disk.tree();
        let error = applied(&disk, &plan).unwrap_err();
        assert!(matches!(&error, RepairError::Changed { path: found } if *found == path), "{error}");
        assert_eq!(disk.tree(), before);
    }
}

#[test]
fn what_was_changed_after_a_change_is_not_undone_over() {
    let (_dir, disk, plan) = world();
    applied(&disk, &plan).unwrap();
    disk.cut(&plan.partition.join("0.index"), 1).unwrap();
    let before = disk.tree();
    let index = Obstacle::Changed(plan.partition.join("0.index"));
    let refused = undo(&disk, &journal(&plan)).unwrap_err();
    assert!(matches!(&refused, RepairError::CannotUndo { obstacles, .. } if *obstacles == [index]), "{refused}");
    assert_eq!(disk.tree(), before);
}

#[test]
fn a_full_disk_is_seen_before_the_first_byte() {
    let (_dir, disk, plan) = world();
    let full = disk.with_free_bytes(1000);
    assert!(matches!(applied(&full, &plan), Err(RepairError::NoSpace { .. })));
    assert_eq!((full.operations(), full.tree()), (0, disk.tree()));
}

#[test]
fn a_log_with_a_second_name_is_not_cut() {
    let (_dir, disk, mut plan) = world();
    let log = plan.partition.join("0.log");
    disk.link(&log, &plan.partition.join("backup")).unwrap();
    plan.steps = vec![Step::CutTail { old: Fingerprint::of(&disk, &log).unwrap().unwrap(), file: log, to: 4 }];
    assert!(matches!(applied(&disk, &plan), Err(RepairError::HardLinked { links: 2, .. })));
}
