//! `kfsck rebuild-index` on several threads: the same plans and the same files, each log read once, and a signal in the
//! middle of it leaves nothing half done.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kfsck::format::Offset;
use kfsck::format::batch::RecordBatchBuilder;
use kfsck::format::compression::Compression;
use kfsck::format::file_name::{FileKind, FileState, segment_file_name};
use kfsck::format::record::RecordFields;
use kfsck::repair::journal::{Journal, Progress};
use kfsck::store::write::Disk;
use support::changing::{log_dir_copy, run, tree, undo_all, undo_dirs};
use support::{Random, kfsck, subdirectories, testdata};

/// Copies of log dirs whose indexes are wrong in many ways; of every other partition the snapshots are gone, so that
/// what is known of producers comes from the segments before.
fn damaged(random: &mut Random) -> Vec<(tempfile::TempDir, PathBuf)> {
    let mut copies = Vec::new();
    for name in ["4.4.0/transactions", "4.4.0/coordinators", "4.4.0/compaction"] {
        let log_dir = testdata().join(name).join("log-dir");
        assert!(log_dir.is_dir(), "{}", log_dir.display());
        let copy = log_dir_copy(&log_dir);
        for (at, partition) in subdirectories(&copy.1).iter().enumerate() {
            for file in fs::read_dir(partition).unwrap().map(|entry| entry.unwrap().path()) {
                match file.extension().and_then(|extension| extension.to_str()) {
                    Some("snapshot") if at % 2 == 0 => fs::remove_file(file).unwrap(),
                    Some("index" | "timeindex" | "txnindex") => match random.below(4) {
                        0 => fs::remove_file(file).unwrap(),
                        1 => fs::write(file, b"wrong").unwrap(),
                        2 => fs::write(file, b"").unwrap(),
                        _ => {}
                    },
                    _ => {}
                }
            }
        }
        copies.push(copy);
    }
    copies
}

/// The bytes of each file by its name below `dir`.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let below = |path: PathBuf| path.strip_prefix(dir).unwrap().to_owned();
    tree(dir).into_iter().map(|(path, (bytes, ..))| (below(path), bytes)).collect()
}

#[test]
fn plans_and_files_do_not_depend_on_the_number_of_jobs() {
    let mut plans = 0;
    for seed in 0..4 {
        let (ones, eights) = (damaged(&mut Random(seed)), damaged(&mut Random(seed)));
        for arguments in [&["-f", "json"][..], &["-f", "json", "--all", "--index-interval-bytes", "1"], &["-v"]] {
            let run = |jobs: &str| {
                let arguments =
                    ["rebuild-index", "-j", jobs].into_iter().chain(arguments.iter().copied()).map(PathBuf::from);
                kfsck(Path::new("/"), arguments.chain(ones.iter().map(|(_, path)| path.clone())))
            };
            let (one, eight) = (run("1"), run("8"));
            assert!(one.stdout == eight.stdout && one.stderr == eight.stderr, "seed {seed}, {arguments:?}");
            assert_eq!((one.status, eight.status), (Some(4), Some(4)));
            plans += String::from_utf8_lossy(&one.stdout).matches("\"type\":\"plan\"").count();
        }
        for ((_one, one), (_eight, eight)) in ones.iter().zip(&eights) {
            let before = files(one);
            assert_eq!(before, files(eight));
            let said =
                [(one, "1"), (eight, "8")].map(|(path, jobs)| run("rebuild-index", &["--apply", "-j", jobs], path));
            assert_eq!(said[0].status, said[1].status, "{}{}", said[0].all(), said[1].all());
            assert!(files(one) == files(eight) && files(one) != before, "seed {seed}, {}", one.display());
            undo_all(eight).unwrap();
            assert!(files(eight) == before);
        }
    }
    assert!(plans > 40, "{plans} plans");
    println!("{plans} plans the same with 1 and 8 jobs");
}

/// Makes `orders-0` of so many segments of `batches` batches of 4 KiB in a log dir, without any index.
fn made(dir: &Path, segments: i64, batches: i64) -> PathBuf {
    let path = dir.canonicalize().unwrap().join("orders-0");
    fs::create_dir(&path).unwrap();
    let value = [0x5a; 4096];
    for segment in 0..segments {
        let base_offset = segment * batches;
        let mut bytes = Vec::new();
        for offset in base_offset..base_offset + batches {
            let header = RecordBatchBuilder::plain_header(Offset(offset), 1_700_000_000_000 + offset);
            let mut batch = RecordBatchBuilder::new(header, Compression::None);
            batch.push(&RecordFields { value: Some(&value), ..RecordFields::default() });
            batch.write(&mut bytes).unwrap();
        }
        fs::write(path.join(name(base_offset, FileKind::Log)), bytes).unwrap();
    }
    path
}

fn name(base_offset: i64, kind: FileKind) -> String {
    segment_file_name(Offset(base_offset), kind, FileState::Live)
}

#[test]
fn each_log_is_read_once_for_the_plan_and_once_to_apply_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = made(dir.path(), 3, 700);
    let size = |kind: &str| -> u64 {
        let files = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path());
        files
            .filter(|file| file.extension().is_some_and(|it| it == kind))
            .map(|it| fs::metadata(it).unwrap().len())
            .sum()
    };
    let logs = size("log");
    assert!(logs > 8 << 20);
    for arguments in ["", "--apply"] {
        // The shell's own account takes in that of the children it has waited for.
        let script = format!("\"$0\" rebuild-index -q -j 2 --io pread {arguments} \"$1\" >/dev/null; cat /proc/$$/io");
        let output = Command::new("sh").args(["-c", &script, env!("CARGO_BIN_EXE_kfsck")]).arg(&path).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let Some(read) = text.lines().find_map(|line| line.strip_prefix("rchar: ")) else {
            println!("skipped: this system keeps no account of what is read");
            return;
        };
        let read: u64 = read.parse().unwrap();
        let more = read.checked_sub(logs).expect("the logs are read");
        assert!(more < logs / 10, "{read} bytes are read, {logs} are in the logs: {arguments}");
        println!("{arguments}: {read} bytes read, {logs} in the logs");
    }
    assert!(size("index") > 0 && size("timeindex") > 0);
}

#[test]
fn a_partition_or_segment_that_is_named_twice_is_done_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = made(dir.path(), 2, 3);
    let log = path.join(name(0, FileKind::Log));
    let paths = [&log, &log, &path.join("."), &path];
    let arguments = ["rebuild-index", "--apply", "-j", "2"].iter().map(PathBuf::from);
    let done = kfsck(Path::new("/"), arguments.chain(paths.into_iter().cloned()));
    assert_eq!(done.status, Some(1), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(undo_dirs(&path).len(), 1);
}

/// Sends a signal to a run that applies, once `begins`; how it ended.
fn signalled(signal: &str, path: &Path, delay: Duration) -> Option<i32> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kfsck"));
    command.args(["rebuild-index", "--apply", "-j", "2"]).arg(path);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while undo_dirs(path).is_empty() && child.try_wait().unwrap().is_none() {}
    let until = Instant::now() + delay;
    while Instant::now() < until && child.try_wait().unwrap().is_none() {}
    if child.try_wait().unwrap().is_none() {
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().is_ok());
    }
    child.wait().unwrap().code()
}

#[test]
fn a_signal_in_the_middle_of_a_change_leaves_what_was_before_or_all_of_it() {
    let (mut random, mut taken_back, mut done) = (Random(7), 0, 0);
    for at in 0..12 {
        let dir = tempfile::tempdir().unwrap();
        let path = made(dir.path(), 30, 3);
        let before = tree(&path);
        let signal = if at % 2 == 0 { "-INT" } else { "-TERM" };
        let status =
            signalled(signal, &path, Duration::from_micros(random.below(if at % 4 == 3 { 3_000_000 } else { 60_000 })));
        let journals = Journal::all_in(&Disk, &path).unwrap();
        match journals.first().map(|journal| journal.progress(&Disk).unwrap()) {
            None => {
                assert_eq!(status.map(|status| status & 8), Some(8), "{status:?}");
                assert!(tree(&path) == before);
                taken_back += 1;
            }
            Some(Progress::Finished(..)) => {
                // It came too late, or when all was done.
                assert!(matches!(status, Some(1 | 9)), "{status:?}");
                assert_eq!(run("rebuild-index", &[], &path).status, Some(0));
                done += 1;
            }
            other => panic!("{signal} has left {other:?} behind"),
        }
        undo_all(&path).unwrap();
        assert!(tree(&path) == before && undo_dirs(&path).is_empty());
        assert_eq!(run("rebuild-index", &["--apply"], &path).status, Some(1));
    }
    println!("12 signals: {taken_back} times taken back, {done} times done");
    assert!(taken_back > 0);
}

#[test]
fn an_index_stays_with_the_owner_it_had_and_a_new_one_gets_that_of_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let path = made(dir.path(), 1, 3);
    let [log, index, time_index] =
        [FileKind::Log, FileKind::OffsetIndex, FileKind::TimeIndex].map(|kind| path.join(name(0, kind)));
    fs::write(&index, b"wrong").unwrap();
    let owned = [(&log, 4001, 4002), (&index, 4003, 4004)];
    for (file, uid, gid) in owned {
        if std::os::unix::fs::chown(file, Some(uid), Some(gid)).is_err() {
            println!("skipped: only the superuser can give files away");
            return;
        }
    }
    let before = tree(&path);
    assert_eq!(run("rebuild-index", &["--apply"], &path).status, Some(1));
    for (file, uid, gid) in [owned[0], owned[1], (&time_index, 4001, 4002)] {
        let it = fs::metadata(file).unwrap();
        assert_eq!((it.uid(), it.gid()), (uid, gid), "{}", file.display());
    }
    undo_all(&path).unwrap();
    assert!(tree(&path) == before);
}

#[test]
fn check_tells_from_which_change_undo_data_is_until_it_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let path = made(dir.path(), 1, 3);
    let told = || {
        let findings = run("check", &["-f", "json", "--show", "info"], &path).rows("finding");
        findings.into_iter().filter(|finding| finding["id"] == "partition/undo-data").collect::<Vec<_>>()
    };
    assert!(told().is_empty());
    assert_eq!(run("rebuild-index", &["--apply"], &path).status, Some(1));
    let [finding] = &told()[..] else { panic!("{:?}", told()) };
    assert_eq!((&finding["severity"], &finding["details"]["action"]), (&"info".into(), &"rebuild-index".into()));
    let undo_dir = &undo_dirs(&path)[0];
    fs::remove_file(undo_dir.join("finished")).unwrap();
    let [finding] = &told()[..] else { panic!("{:?}", told()) };
    assert_eq!((&finding["severity"], &finding["details"]["state"]), (&"warning".into(), &"interrupted".into()));
    undo_all(&path).unwrap();
    assert!(told().is_empty());
}
