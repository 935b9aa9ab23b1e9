//! `kfsck truncate-to-hw` over several partitions at once, and how often it reads a log.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use kfsck::format::batch::RecordBatchBuilder;
use kfsck::format::compression::Compression;
use kfsck::format::record::RecordFields;
use kfsck::format::{Offset, producer_snapshot};
use kfsck::repair::apply::apply;
use kfsck::repair::journal::Journal;
use kfsck::repair::truncate::verify::Before;
use kfsck::repair::truncate::{Around, To, plan};
use kfsck::scan::checkpoints::Checkpointed;
use kfsck::store::ReadPolicy;
use kfsck::store::partition::PartitionDir;
use kfsck::store::write::Disk;
use support::changing::{Said, log_dir_copy, run, tree, undo_all};
use support::scenario;

const COMMAND: &str = "truncate-to-hw";

/// A log dir with partitions to cut, to leave alone and to refuse.
fn log_dir() -> (tempfile::TempDir, PathBuf) {
    let (dir, path) = log_dir_copy(&scenario("4.4.0", "transactions").log_dir(None, None));
    fs::write(
        path.join("replication-offset-checkpoint"),
        "0\n4\ntxn-mixed 0 20\ntxn-other 0 4\n__consumer_offsets 0 4\n__transaction_state 0 46\n",
    )
    .unwrap();
    // A batch that was committed is wrong.
    let log = path.join("txn-other-0/00000000000000000000.log");
    let mut bytes = fs::read(&log).unwrap();
    bytes[100] ^= 1;
    fs::write(log, bytes).unwrap();
    (dir, path)
}

fn contents(path: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    tree(path).into_iter().map(|(file, facts)| (file, facts.0)).collect()
}

/// What is said without what is another each time: the name of undo data, and the digest of a plan.
fn timeless(said: &Said) -> (Option<i32>, String, String) {
    let without = |text: &str| {
        let mut parts = text.split(".kfsck-undo-");
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |text, part| text + &part[part.find('Z').map_or(0, |at| at + 1)..])
    };
    let stdout = said.stdout.lines().filter(|line| !line.starts_with("  plan ")).collect::<Vec<_>>().join("\n");
    let mut parts = stdout.split("\"digest\":\"");
    let first = parts.next().unwrap_or_default().to_owned();
    let stdout = parts.fold(first, |text, part| text + part.get(16..).unwrap_or_default());
    (said.status, without(&stdout), without(&said.stderr))
}

#[test]
fn one_job_and_eight_say_and_do_the_same() {
    let (_dir, path) = log_dir();
    let before = tree(&path);
    for format in ["text", "json"] {
        for more in [&[][..], &["--apply"], &["--apply", "--allow-data-loss"]] {
            let mut outcomes = ["1", "8"].map(|jobs| {
                let words = [&["--all-partitions", "-f", format, "--jobs", jobs], more].concat();
                let said = run(COMMAND, &words, &path);
                let after = contents(&path);
                if more.len() == 2 {
                    undo_all(&path).unwrap();
                }
                assert_eq!(tree(&path), before, "{words:?}");
                match more.len() {
                    2 => (timeless(&said), after),
                    _ => ((said.status, said.stdout, said.stderr), after),
                }
            });
            let (one, eight) = outcomes.split_at_mut(1);
            assert_eq!(one[0].0, eight[0].0, "{format} {more:?}");
            assert!(one[0].1 == eight[0].1, "{format} {more:?}");
            assert!(one[0].0.1.contains("txn-mixed-0") && one[0].0.2.contains("txn-open-from-start-0"), "{one:?}");
        }
    }
}

#[test]
fn a_partition_that_is_named_twice_is_cut_once() {
    let (_dir, path) = log_dir();
    let partition = path.join("txn-mixed-0");
    let again = path.join("txn-other-0/../txn-mixed-0");
    let said = run(COMMAND, &["--apply", "--allow-data-loss", again.to_str().unwrap()], &partition);
    assert_eq!(said.status, Some(1), "{}", said.all());
    assert_eq!(said.stdout.matches("  done; to take it back:").count(), 1, "{}", said.stdout);
}

/// How many bytes this thread has read so far; `None` where the system does not tell.
fn bytes_read() -> Option<u64> {
    let told = fs::read_to_string("/proc/thread-self/io").ok()?;
    told.lines().find_map(|line| line.strip_prefix("rchar: ")?.parse().ok())
}

const SEGMENTS: i64 = 12;
/// More than is taken into a fingerprint.
const SEGMENT_BYTES: u64 = 3 << 19;

/// A partition of several segments, of one batch of 4 KiB after the other, with the snapshots that brokers take.
fn large_partition(path: &Path) -> u64 {
    fs::create_dir(path).unwrap();
    let mut offset = 0;
    for _ in 0..SEGMENTS {
        let (base, mut log) = (offset, Vec::new());
        while (log.len() as u64) < SEGMENT_BYTES {
            let header = RecordBatchBuilder::plain_header(Offset(offset), 1000 + offset);
            let mut batch = RecordBatchBuilder::new(header, Compression::None);
            batch.push(&RecordFields { value: Some(&[b'x'; 4096]), ..RecordFields::default() });
            batch.write(&mut log).unwrap();
            offset += 1;
        }
        fs::write(path.join(format!("{base:020}.log")), &log).unwrap();
        fs::write(path.join(format!("{base:020}.snapshot")), producer_snapshot::write(&[])).unwrap();
    }
    fs::write(path.join("leader-epoch-checkpoint"), "0\n0\n").unwrap();
    offset as u64
}

/// What is known of a partition without a log dir.
fn around() -> Around {
    Around {
        log_dir: None,
        checkpointed: Checkpointed::default(),
        policy: ReadPolicy::default(),
        now_ms: 1_700_000_000_000,
        stop: None,
    }
}

#[test]
fn a_log_is_read_once_for_the_plan_once_before_the_cut_and_then_only_where_it_was_cut() {
    if bytes_read().is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().canonicalize().unwrap().join("orders-3");
    let end = large_partition(&path);
    let run = |arguments: &[&str]| run("rebuild-index", arguments, &path);
    assert_eq!(run(&["--apply"]).status, Some(1));
    let around = around();
    let size = SEGMENTS as u64 * SEGMENT_BYTES;
    let mut last = bytes_read().unwrap();
    let mut segments_read = |most: u64, what: &str| {
        let (before, now) = (last, bytes_read().unwrap());
        last = now;
        let read = now - before;
        assert!(read <= most * SEGMENT_BYTES, "{what}: {read} bytes of {size}");
    };
    let to = To::Offset(Offset(end as i64 - 10));
    let cut = plan(&Disk, &PartitionDir::read(&path).unwrap(), &around, to, &|_| ()).unwrap();
    // The segment that is cut is gone through some more times, the last one for its index, which is not trusted.
    segments_read(SEGMENTS as u64 + 5, "the plan");
    let mut before = Before::look(&Disk, &cut, &around, false, &|_| ()).unwrap();
    segments_read(SEGMENTS as u64 + 2, "the look before");
    let journal = Journal::at(path.join(".kfsck-undo-20261122T000000.000Z"));
    apply(&Disk, &cut.plan, &journal, None, &mut || {
        before.hold_against(&Disk, &cut, &around).map(|left| assert!(left.is_empty()))
    })
    .unwrap();
    segments_read(5, "the cut and the look afterwards");
}

#[test]
fn what_was_changed_meanwhile_is_looked_at_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().canonicalize().unwrap().join("orders-3");
    let end = large_partition(&path);
    assert_eq!(run("rebuild-index", &["--apply"], &path).status, Some(1));
    let around = around();
    let to = To::Offset(Offset(end as i64 - 10));
    let cut = plan(&Disk, &PartitionDir::read(&path).unwrap(), &around, to, &|_| ()).unwrap();
    let mut before = Before::look(&Disk, &cut, &around, false, &|_| ()).unwrap();
    // A segment that the cut leaves alone.
    let log = path.join("00000000000000000000.log");
    let mut bytes = fs::read(&log).unwrap();
    bytes[500] ^= 1;
    fs::write(&log, bytes).unwrap();
    let journal = Journal::at(path.join(".kfsck-undo-20261122T000000.000Z"));
    let applied =
        apply(&Disk, &cut.plan, &journal, None, &mut || before.hold_against(&Disk, &cut, &around).map(|_| ()));
    let why = applied.unwrap_err().to_string();
    assert!(why.contains("taken back") && why.contains("00000000000000000000.log"), "{why}");
}
