//! What `kfsck truncate-to-hw` refuses, and that nothing is touched then.

mod support;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use support::changing::{Said, hold_lock, log_dir_copy, loose_copy, run, tree, undo_dirs};
use support::{kfsck, scenario};

const COMMAND: &str = "truncate-to-hw";
const APPLY: [&str; 2] = ["--apply", "--allow-data-loss"];
const HIGH_WATERMARKS: &str = "replication-offset-checkpoint";
const MIXED: &str = "txn-mixed-0";

/// A copy of a log dir with transactions in it, whose high watermarks lie before the ends of its logs.
fn log_dir() -> (tempfile::TempDir, PathBuf) {
    let (dir, path) = log_dir_copy(&scenario("4.4.0", "transactions").log_dir(None, None));
    fs::write(path.join(HIGH_WATERMARKS), "0\n2\ntxn-mixed 0 20\ntxn-other 0 4\n").unwrap();
    (dir, path)
}

/// Runs it dry and for good; both are refused with this status, in these words, and nothing is touched.
fn refused(root: &Path, path: &Path, arguments: &[&str], status: i32, words: &[&str]) -> Said {
    let before = tree(root);
    let dry = run(COMMAND, arguments, path);
    let applied = run(COMMAND, &[&APPLY[..], arguments].concat(), path);
    for said in [&dry, &applied] {
        assert_eq!(said.status, Some(status), "{arguments:?}: {}", said.all());
        for words in words {
            assert!(said.stderr.contains(words), "{words}: {}", said.all());
        }
    }
    assert_eq!(tree(root), before, "{arguments:?}");
    if path.join("leader-epoch-checkpoint").exists() {
        assert!(undo_dirs(path).is_empty());
    }
    applied
}

#[test]
fn without_a_high_watermark_there_is_no_target_never_zero() {
    let (_dir, path) = log_dir();
    let partition = path.join(MIXED);
    let unknown = ["no high watermark is known", "--to OFFSET"];
    fs::write(path.join(HIGH_WATERMARKS), "0\n1\ntxn-other 0 4\n").unwrap();
    refused(&path, &partition, &[], 8, &unknown);
    fs::remove_file(path.join(HIGH_WATERMARKS)).unwrap();
    refused(&path, &partition, &[], 8, &unknown);
    let (_dir, loose) = loose_copy("4.4.0/transactions/log-dir/txn-mixed-0");
    refused(&loose, &loose, &[], 8, &unknown);
    fs::write(path.join(HIGH_WATERMARKS), "0\n1\ntxn-mixed 0 -1\n").unwrap();
    refused(&path, &partition, &[], 8, &["high watermark of", "is -1, which no broker writes"]);
    for garbled in ["0\n3\ntxn-mixed 0 20\n", "0\n1\ntxn-mixed 0 twenty\n", "1\n1\ntxn-mixed 0 20\n"] {
        fs::write(path.join(HIGH_WATERMARKS), garbled).unwrap();
        refused(&path, &partition, &[], 8, &["replication-offset-checkpoint cannot be read", "kfsck dump-log"]);
    }
    // It would have to be lowered, and nobody can tell what it says.
    refused(&path, &partition, &["--to", "20"], 8, &["replication-offset-checkpoint cannot be read"]);
}

#[test]
fn damage_before_the_target_is_told_and_refused_and_behind_it_goes() {
    let (_dir, path) = log_dir();
    let partition = path.join(MIXED);
    let log = partition.join("00000000000000000011.log");
    let whole = fs::read(&log).unwrap();
    // The batch of offset 15.
    let mut bytes = whole.clone();
    bytes[360 + 70] ^= 1;
    fs::write(&log, &bytes).unwrap();
    let said =
        refused(&path, &partition, &["-f", "json"], 12, &["damaged at position 360, before offset 20", "--to 15"]);
    let finding = said.row("finding");
    assert_eq!((&finding["severity"], &finding["position"]), (&"error".into(), &360.into()), "{finding}");
    let said = refused(
        &path,
        &partition,
        &["--to", "intact-end", "-f", "json"],
        12,
        &["position 360", "intact batches follow"],
    );
    assert_eq!(said.rows("finding").len(), 1);
    refused(&path, &partition, &["--to", "16"], 12, &["before offset 16"]);
    // Behind the target it is no matter.
    for to in ["15", "14"] {
        let before = tree(&path);
        let done = run(COMMAND, &[&APPLY[..], &["--to", to]].concat(), &partition);
        assert_eq!(done.status, Some(1), "{}", done.all());
        assert_eq!(run("check", &["-t", "txn-mixed-0"], &path).status, Some(0));
        assert_eq!(run("undo", &["--apply"], &partition).status, Some(1));
        assert_eq!(tree(&path), before);
    }
    // A last batch that was written to its end may hold what was committed.
    fs::write(&log, &whole).unwrap();
    fs::write(path.join(HIGH_WATERMARKS), "0\n1\ntxn-mixed 0 36\n").unwrap();
    let last = partition.join("00000000000000000025.log");
    let mut bytes = fs::read(&last).unwrap();
    let size = bytes.len();
    bytes[size - 1] ^= 1;
    fs::write(&last, &bytes).unwrap();
    refused(&path, &partition, &[], 12, &["damaged at position 883, before offset 36", "--to 35"]);
    assert_eq!(run(COMMAND, &["--to", "intact-end"], &partition).status, Some(4));
}

#[test]
fn a_batch_that_goes_need_not_be_decompressed() {
    let (_dir, path) = log_dir_copy(&scenario("2.8.2", "magic").log_dir(None, None));
    for topic in ["magic0-gzip-0", "magic1-lz4-0"] {
        let partition = path.join(topic);
        let log = partition.join("00000000000000000000.log");
        // The compressed messages up to offset 16: the header, with the last of their offsets only, stays whole.
        let batch = run("dump-log", &["-f", "json"], &log).rows("batch").swap_remove(1);
        let number = |name: &str| batch[name].as_u64().unwrap() as usize;
        assert_eq!(number("lastOffset"), 16, "{batch}");
        let mut bytes = fs::read(&log).unwrap();
        bytes[number("position") + 44..number("position") + number("sizeInBytes")].fill(0xff);
        fs::write(&log, bytes).unwrap();
        let cut = run(COMMAND, &[&APPLY[..], &["--to", "12"]].concat(), &partition);
        assert_eq!(cut.status, Some(1), "{}", cut.all());
        assert_eq!(fs::metadata(&log).unwrap().len() as usize, number("position"));
        assert_eq!(run("check", &["--deep", "-t", topic], &path).status, Some(0));
    }
}

#[test]
fn nothing_is_cut_that_cannot_be_told() {
    let (_dir, path) = log_dir();
    let before = tree(&path);
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_kfsck"));
    command.arg(COMMAND).args(APPLY).arg(path.join(MIXED)).stdout(full).stderr(Stdio::null());
    assert!(command.status().unwrap().code().is_some_and(|status| status & 8 != 0));
    assert_eq!(tree(&path), before);
}

#[test]
fn an_offset_before_everything_is_refused() {
    let (_dir, path) = log_dir();
    let partition = path.join(MIXED);
    for suffix in ["log", "index", "timeindex", "txnindex"] {
        fs::remove_file(partition.join(format!("00000000000000000000.{suffix}"))).unwrap();
    }
    refused(&path, &partition, &["--to", "10"], 8, &["lies before the first segment, which begins at 11"]);
    assert_eq!(run(COMMAND, &["--to", "11"], &partition).status, Some(4));
}

#[test]
fn what_is_no_partition_in_use_is_refused() {
    let (_dir, path) = log_dir();
    refused(&path, &path.join("__cluster_metadata-0"), &["--to", "intact-end"], 8, &["only its quorum may cut it"]);
    refused(&path, &path, &["-t", "__cluster_metadata-0", "--to", "0"], 8, &["only its quorum may cut it"]);
    // The same under other names: a link in a log dir, and a copy.
    let link = path.join("orders-7");
    symlink("__cluster_metadata-0", &link).unwrap();
    refused(&path, &link, &["--to", "intact-end"], 8, &["orders-7 is the metadata log of KRaft"]);
    refused(&path, &path, &["-t", "orders-7", "--to", "3"], 8, &["orders-7 is the metadata log of KRaft"]);
    let said = run("rebuild-index", &[], &link);
    assert_eq!((said.status, said.stdout.as_str()), (Some(0), ""), "{}", said.stderr);
    fs::remove_file(link).unwrap();
    let copy = tempfile::tempdir().unwrap();
    let quorum_state = path.join("__cluster_metadata-0/quorum-state");
    fs::copy(quorum_state, copy.path().join("quorum-state")).unwrap();
    let log = path.join("__cluster_metadata-0/00000000000000000000.log");
    fs::copy(log, copy.path().join("00000000000000000000.log")).unwrap();
    refused(copy.path(), copy.path(), &["--to", "3"], 8, &["only its quorum may cut it"]);
    for state in ["future", "delete", "stray"] {
        let name = path.join(format!("txn-mixed-0.0123456789abcdef0123456789abcdef-{state}"));
        fs::rename(path.join(MIXED), &name).unwrap();
        refused(&path, &name, &["--to", "5"], 8, &["is no partition in use", state]);
        refused(&path, &name, &["--to", "intact-end"], 8, &["is no partition in use", state]);
        fs::rename(name, path.join(MIXED)).unwrap();
    }
    let partition = path.join(MIXED);
    refused(&path, &partition.join("00000000000000000000.log"), &[], 8, &["partitions are cut as a whole"]);
    refused(&path, &path.join("nothing-0"), &[], 8, &["nothing-0"]);
    // Left by a compaction that was interrupted.
    let swap = partition.join("00000000000000000011.log.swap");
    fs::copy(partition.join("00000000000000000011.log"), &swap).unwrap();
    refused(&path, &partition, &["--to", "20"], 8, &["interrupted compaction"]);
    fs::remove_file(swap).unwrap();
    // A log that no broker opens.
    let log = partition.join("00000000000000000011.log");
    fs::rename(&log, partition.join("11.log")).unwrap();
    refused(&path, &partition, &["--to", "20"], 8, &["11.log is no name of a log", "twenty digits"]);
    fs::rename(partition.join("11.log"), &log).unwrap();
    // Of a whole log dir these are passed over.
    fs::write(path.join(HIGH_WATERMARKS), "0\n5\ntxn-mixed 0 20\ntxn-other 0 4\ntxn-open-from-start 0 2\n__consumer_offsets 0 4\n__transaction_state 0 46\n").unwrap();
    let said = run(COMMAND, &["--all-partitions"], &path);
    assert_eq!(said.status, Some(4), "{}", said.all());
    assert!(said.stderr.contains("__cluster_metadata-0 is left alone"), "{}", said.stderr);
}

#[test]
fn a_log_dir_as_a_whole_must_be_meant() {
    let (_dir, path) = log_dir();
    refused(&path, &path, &[], 16, &["--all-partitions", "-t GLOB"]);
    refused(&path, &path, &["--to", "intact-end"], 16, &["--all-partitions"]);
    refused(&path, &path, &["-t", "no-such-*"], 8, &["no partition matches"]);
    refused(&path, &path.join(MIXED), &["--segment", "11", "--to", "20"], 16, &["--segment"]);
    for wrong in ["-1", "high-watermark", ""] {
        refused(&path, &path.join(MIXED), &[&format!("--to={wrong}")], 16, &["hw, intact-end or an offset"]);
    }
    refused(&path, &path.join(MIXED), &["--to", "-1"], 16, &["hw, intact-end or an offset"]);
    let said = run(COMMAND, &["--allow-data-loss"], &path.join(MIXED));
    assert_eq!(said.status, Some(16), "{}", said.all());
}

#[test]
fn nothing_is_cut_while_someone_holds_the_lock() {
    let (_dir, path) = log_dir();
    let partition = path.join(MIXED);
    let _lock = hold_lock(&path);
    let before = tree(&path);
    let said = run(COMMAND, &APPLY, &partition);
    assert_eq!((said.status, said.stdout.as_str()), (Some(8), ""), "{}", said.stderr);
    assert!(said.stderr.contains(&format!("is held by process {}", std::process::id())), "{}", said.stderr);
    assert_eq!(run(COMMAND, &[], &partition).status, Some(4));
    assert_eq!(tree(&path), before);
    assert!(undo_dirs(&partition).is_empty());
}

#[test]
fn a_directory_whose_name_undo_data_could_not_hold_is_not_touched() {
    let (_dir, path) = log_dir();
    let renamed = path.with_file_name(OsStr::from_bytes(b"data\xff"));
    fs::rename(&path, &renamed).unwrap();
    let before = tree(&renamed);
    let done = kfsck(&renamed, [COMMAND, APPLY[0], APPLY[1], MIXED]);
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status, Some(12), "{said}");
    assert!(said.contains("is no UTF-8") && said.contains("rename the directory"), "{said}");
    assert_eq!(tree(&renamed), before);
}

#[test]
fn a_log_with_a_second_name_is_not_cut() {
    let (dir, path) = log_dir();
    let partition = path.join(MIXED);
    let backup = dir.path().join("backup.log");
    fs::hard_link(partition.join("00000000000000000011.log"), &backup).unwrap();
    let before = tree(&path);
    let said = run(COMMAND, &APPLY, &partition);
    assert_eq!(said.status, Some(12), "{}", said.all());
    assert!(said.stderr.contains("hard links"), "{}", said.stderr);
    assert_eq!(tree(&path), before);
    assert!(undo_dirs(&partition).is_empty());
}
