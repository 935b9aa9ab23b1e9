//! Every log of up to four batches from a small set, with every interval, its indexes damaged in every way there is:
//! through what `rebuild-index` makes of them Kafka's lookups find every offset and every time.
//!
//! `testdata/start/small_worlds.txt` holds what `LogSegment.recover` of 3.9.2 and 4.4.0 made of all logs of up to three
//! batches: the log's name, the interval, and the first digits of the SHA-256 of `.index`, `.timeindex` and `.txnindex`
//! (of an empty file where there is none) one behind the other. `KFSCK_JUDGE` asks again, with `KFSCK_REGENERATE=1` the
//! answers are kept.

#[path = "support/judge.rs"]
mod judge;
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use judge::{RELEASES, ask, judge};
use kfsck::check::segment::Worker;
use kfsck::check::{Depth, Setting};
use kfsck::format::Offset;
use kfsck::format::batch::RecordBatchBuilder;
use kfsck::format::compression::{Compression, DEFAULT_LIMIT};
use kfsck::format::record::RecordFields;
use kfsck::repair::plan::Step;
use kfsck::repair::rebuild::{Partition, Planner, RebuildOptions};
use kfsck::store::ReadPolicy;
use kfsck::store::partition::PartitionDir;
use kfsck::store::write::Disk;
use sha2::{Digest, Sha256};
use support::{in_parallel, report};

const SUFFIXES: [&str; 3] = ["index", "timeindex", "txnindex"];
const ENTRY_SIZES: [usize; 3] = [8, 12, 34];
/// About a batch each, a batch or two, and more than most logs have.
const INTERVALS: [u32; 3] = [1, 100, 250];
/// Where the log begins.
const BASE: i64 = 1_000_000;

/// What a log is made of. A letter each in its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    /// So many records, with values of so many bytes, at this time.
    Data(i32, usize, i64),
    /// A record of a transaction, and the marker that aborts it.
    Aborted,
}

const PIECES: [(char, Piece); 7] = [
    ('a', Piece::Data(1, 10, 1000)),
    ('b', Piece::Data(1, 10, 2000)),
    ('c', Piece::Data(1, 90, 1000)),
    ('d', Piece::Data(1, 90, 2000)),
    ('e', Piece::Data(3, 10, 1000)),
    ('f', Piece::Data(3, 10, 2000)),
    ('t', Piece::Aborted),
];

/// Those that every log of up to four is made of, unless `KFSCK_SMALL_WORLDS` is set: then it is all of them.
const FEW: &str = "acdft";

/// A batch as the test's own lookups see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Batch {
    position: usize,
    last_offset: i64,
    timestamp: i64,
}

/// A log of a world.
#[derive(Clone, Debug)]
struct Log {
    name: String,
    bytes: Vec<u8>,
    batches: Vec<Batch>,
}

impl Log {
    fn of(pieces: &[(char, Piece)]) -> Self {
        let mut log = Self { name: pieces.iter().map(|(letter, _)| letter).collect(), bytes: vec![], batches: vec![] };
        let mut sequence = 0;
        for (_, piece) in pieces {
            match *piece {
                Piece::Data(records, size, timestamp) => {
                    log.batch(timestamp, 0, -1, records, (None, &vec![b'v'; size]))
                }
                Piece::Aborted => {
                    log.batch(1500, 0x10, sequence, 1, (None, b"value"));
                    log.batch(1500, 0x30, -1, 1, (Some(&[0; 4]), &[0; 6]));
                    sequence += 1;
                }
            }
        }
        log
    }

    fn next_offset(&self) -> i64 {
        self.batches.last().map_or(BASE, |last| last.last_offset + 1)
    }

    fn batch(
        &mut self,
        timestamp: i64,
        attributes: i16,
        base_sequence: i32,
        records: i32,
        record: (Option<&[u8]>, &[u8]),
    ) {
        let base_offset = self.next_offset();
        let mut header = RecordBatchBuilder::plain_header(Offset(base_offset), timestamp);
        if attributes != 0 {
            (header.attributes, header.producer_id, header.producer_epoch) = (attributes, 7, 0);
            header.base_sequence = base_sequence;
        }
        let mut batch = RecordBatchBuilder::new(header, Compression::None);
        for offset_delta in 0..records {
            let (key, value) = (record.0, Some(record.1));
            batch.push(&RecordFields { offset_delta, key, value, ..RecordFields::default() });
        }
        let position = self.bytes.len();
        batch.write(&mut self.bytes).unwrap();
        self.batches.push(Batch { position, last_offset: base_offset + i64::from(records) - 1, timestamp });
    }
}

/// All logs of so many pieces of these.
fn logs(count: usize, letters: &str) -> Vec<Log> {
    let pieces: Vec<_> = PIECES.into_iter().filter(|(letter, _)| letters.contains(*letter)).collect();
    let mut chosen: Vec<Vec<(char, Piece)>> = vec![Vec::new()];
    for _ in 0..count {
        let longer = |log: &Vec<_>| {
            let with = |piece: &_| log.iter().chain([piece]).copied().collect::<Vec<_>>();
            pieces.iter().map(with).collect::<Vec<_>>()
        };
        chosen = chosen.iter().flat_map(longer).collect();
    }
    chosen.iter().map(|pieces| Log::of(pieces)).collect()
}

fn file(dir: &Path, suffix: &str) -> PathBuf {
    dir.join(format!("{BASE:020}.{suffix}"))
}

/// The indexes; `None` where there is no such file.
type Indexes = [Option<Vec<u8>>; 3];

/// What the indexes in `dir` are once `rebuild-index` has done its work, and how many it would write.
fn rebuilt(dir: &Path, interval: u32, there: &Indexes, worker: &mut Worker) -> (Indexes, usize) {
    for (suffix, bytes) in SUFFIXES.iter().zip(there) {
        let path = file(dir, suffix);
        match bytes {
            Some(bytes) => fs::write(path, bytes).unwrap(),
            None => drop(fs::remove_file(path)),
        }
    }
    let setting = Setting { policy: ReadPolicy::default(), depth: Depth::Checksums, clean_shutdown: true };
    let options = RebuildOptions { index_interval_bytes: interval, ..RebuildOptions::default() };
    let partition = Arc::new(Partition::new(PartitionDir::read(dir).unwrap(), options, setting));
    let mut planner = Planner::new(&partition, None);
    for segment in partition.segments() {
        assert!(planner.take(segment.look(worker, &Disk, None)).unwrap().is_none());
    }
    let (mut indexes, plan) = (there.clone(), planner.rest().plan);
    for step in &plan.steps {
        let Step::Replace { file: changed, new, .. } = step else { panic!("{step:?}") };
        let at = SUFFIXES.iter().position(|suffix| *changed == file(dir, suffix)).unwrap();
        indexes[at] = Some(new.bytes.clone());
    }
    (indexes, plan.steps.len())
}

const DAMAGES: [&str; 9] = [
    "missing",
    "empty",
    "zeroed",
    "cut inside an entry",
    "first entry garbled",
    "last entry garbled",
    "in another order",
    "of another segment",
    "too many entries",
];

/// An index with damage of one kind; `other` is that of another segment.
fn damaged(right: &[u8], other: &[u8], entry_size: usize, way: usize) -> Option<Vec<u8>> {
    let mut bytes = right.to_vec();
    let garble = |entry: &mut [u8]| entry.iter_mut().for_each(|byte| *byte ^= 0x35);
    match way {
        0 => return None,
        1 => bytes.clear(),
        2 => bytes = vec![0; right.len().max(entry_size)],
        3 if bytes.is_empty() => bytes = vec![1; 3],
        3 => bytes.truncate(right.len() - 3),
        4 => bytes.chunks_mut(entry_size).take(1).for_each(garble),
        5 => bytes.chunks_mut(entry_size).rev().take(1).for_each(garble),
        6 => bytes = right.chunks(entry_size).rev().flatten().copied().collect(),
        7 => bytes = other.to_vec(),
        _ => {
            let mut more = right.chunks(entry_size).last().map_or(vec![0; entry_size], <[u8]>::to_vec);
            // A little behind the last one.
            more[entry_size - 1] = more[entry_size - 1].wrapping_add(1);
            bytes.extend(more);
        }
    }
    Some(bytes)
}

fn number(bytes: &[u8]) -> i64 {
    bytes.iter().fold(0, |number, byte| number << 8 | i64::from(*byte))
}

/// Where Kafka begins to read on for an offset: at the position of the last entry that is not behind it.
fn position_of(index: &[u8], offset: i64) -> usize {
    let mut entries = index.chunks_exact(8).map(|entry| (BASE + number(&entry[..4]), number(&entry[4..]) as usize));
    entries.rfind(|(of, _)| *of <= offset).map_or(0, |(_, position)| position)
}

/// What lookups do not find, in words.
fn not_found(log: &Log, indexes: &Indexes) -> Option<String> {
    let [index, time_index, _] = indexes.each_ref().map(|bytes| bytes.as_deref().unwrap_or_default());
    let from = |position: usize| log.batches.iter().filter(move |batch| batch.position >= position);
    let is_start = |position: usize| log.batches.iter().any(|batch| batch.position == position);
    for offset in BASE..log.next_offset() {
        let position = position_of(index, offset);
        let found = from(position).find(|batch| batch.last_offset >= offset);
        let wanted = log.batches.iter().find(|batch| batch.last_offset >= offset);
        if found != wanted || !is_start(position) {
            return Some(format!("offset {offset}: from {position} {found:?} and not {wanted:?}"));
        }
    }
    let entries = || time_index.chunks_exact(12).map(|entry| (number(&entry[..8]), BASE + number(&entry[8..])));
    for timestamp in [0, 999, 1000, 1001, 1499, 1500, 1501, 1999, 2000, 2001] {
        let offset = entries().rfind(|(of, _)| *of <= timestamp).map_or(BASE, |(_, offset)| offset);
        let found = from(position_of(index, offset)).find(|batch| batch.timestamp >= timestamp);
        let wanted = log.batches.iter().find(|batch| batch.timestamp >= timestamp);
        if found != wanted {
            return Some(format!("time {timestamp}: {found:?} and not {wanted:?}"));
        }
    }
    // By the last entry a broker tells whether a segment has anything so young.
    let youngest = log.batches.iter().map(|batch| batch.timestamp).max();
    let last = entries().next_back().map(|(timestamp, _)| timestamp);
    (last != youngest).then(|| format!("the time index ends with {last:?}, the youngest record is of {youngest:?}"))
}

fn digest(indexes: &Indexes) -> String {
    let each = |bytes: &Option<Vec<u8>>| {
        let digest = Sha256::digest(bytes.as_deref().unwrap_or_default());
        digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    indexes.iter().map(each).collect()
}

fn worker() -> Worker {
    Worker::new(DEFAULT_LIMIT)
}

/// A directory for the partitions of a thread.
fn partition() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().canonicalize().unwrap().join("orders-0");
    fs::create_dir(&path).unwrap();
    (dir, path)
}

#[test]
fn in_every_small_world_every_offset_and_every_time_is_found() {
    let letters = if std::env::var_os("KFSCK_SMALL_WORLDS").is_some() { "abcdeft" } else { FEW };
    let logs: Vec<Log> = (1..=4).flat_map(|count| logs(count, letters)).collect();
    let worlds = logs.len() * INTERVALS.len() * DAMAGES.len();
    let others: Vec<Log> = logs.iter().cycle().skip(100).take(logs.len()).cloned().collect();
    let pairs: Vec<_> = logs.into_iter().zip(others).collect();
    let outcomes = in_parallel(pairs.chunks(50).map(<[_]>::to_vec).collect(), |pairs: Vec<(Log, Log)>| {
        let ((_dir, path), mut worker, mut counts) = (partition(), worker(), [0; 2]);
        for (log, other) in &pairs {
            for interval in INTERVALS {
                fs::write(file(&path, "log"), &other.bytes).unwrap();
                let (others, _) = rebuilt(&path, interval, &[None, None, None], &mut worker);
                fs::write(file(&path, "log"), &log.bytes).unwrap();
                let (right, _) = rebuilt(&path, interval, &[None, None, None], &mut worker);
                let bytes = |indexes: &Indexes, at: usize| indexes[at].clone().unwrap_or_default();
                for (way, damage) in DAMAGES.iter().enumerate() {
                    let there =
                        [0, 1, 2].map(|at| damaged(&bytes(&right, at), &bytes(&others, at), ENTRY_SIZES[at], way));
                    let (indexes, steps) = rebuilt(&path, interval, &there, &mut worker);
                    let context = format!("{} with interval {interval}, {damage}", log.name);
                    if let Some(lost) = not_found(log, &indexes) {
                        return Err(format!("{context}: {lost}"));
                    }
                    if bytes(&indexes, 2) != bytes(&right, 2) {
                        return Err(format!("{context}: other aborted transactions"));
                    }
                    if steps > 0 && log.name.len() < 3 && rebuilt(&path, interval, &indexes, &mut worker).1 > 0 {
                        return Err(format!("{context}: there is something to do again"));
                    }
                    counts[0] += 1;
                    counts[1] += usize::from(steps > 0);
                }
            }
        }
        Ok(counts)
    });
    let counts = outcomes.iter().flatten().fold([0, 0], |sum, counts| [sum[0] + counts[0], sum[1] + counts[1]]);
    let outcomes: Vec<_> = outcomes.into_iter().map(|outcome| outcome.map(|_| ())).collect();
    report("parts of all worlds", &outcomes, &format!("{} worlds, in {} something was rebuilt", counts[0], counts[1]));
    assert!(counts[0] == worlds && worlds > 20_000);
}

fn recorded_worlds() -> Vec<(Log, u32)> {
    let logs = (1..=3).flat_map(|count| logs(count, "abcdeft"));
    logs.flat_map(|log| INTERVALS.map(|interval| (log.clone(), interval))).collect()
}

fn record() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/start/small_worlds.txt")
}

#[test]
fn what_is_rebuilt_is_what_kafkas_recovery_wrote() {
    let text = fs::read_to_string(record()).unwrap();
    let lines = text.lines().map(|line| line.rsplit_once(' ').unwrap());
    let recorded: BTreeMap<&str, &str> = lines.collect();
    let ((_dir, path), mut worker) = (partition(), worker());
    let mut outcomes = Vec::new();
    for (log, interval) in recorded_worlds() {
        fs::write(file(&path, "log"), &log.bytes).unwrap();
        let ours = digest(&rebuilt(&path, interval, &[None, None, None], &mut worker).0);
        let world = format!("{} {interval}", log.name);
        let theirs = recorded.get(world.as_str()).copied();
        let is_same = theirs == Some(&ours);
        outcomes.push(if is_same { Ok(()) } else { Err(format!("{world}: {ours}, Kafka {theirs:?}")) });
    }
    assert_eq!(outcomes.len(), recorded.len());
    report("recoveries", &outcomes, "recorded of 3.9.2 and 4.4.0");
}

#[test]
fn the_record_is_what_kafkas_recovery_writes() {
    let Some(judge) = judge() else { return println!("KFSCK_JUDGE is not set: the record stands unasked") };
    let dir = tempfile::tempdir().unwrap();
    let worlds = recorded_worlds();
    let place = |at: usize| dir.path().join(at.to_string()).join("orders-0");
    let mut commands = Vec::new();
    for (at, (log, interval)) in worlds.iter().enumerate() {
        fs::create_dir_all(place(at)).unwrap();
        fs::write(file(&place(at), "log"), &log.bytes).unwrap();
        let out = place(at).with_file_name("out");
        commands.push(format!("recover {} --index-interval {interval} --out {}", place(at).display(), out.display()));
    }
    let [first, second] = RELEASES.map(|release| {
        let answers = ask(&judge, release, &commands);
        let lines = answers.iter().zip(&worlds).enumerate().map(|(at, (answer, (log, interval)))| {
            assert!(answer[0]["exception"].is_null() && answer[0]["bytesTruncated"] == 0, "{}: {answer:?}", log.name);
            let out = place(at).with_file_name("out");
            let read = |suffix| fs::read(file(&out, suffix)).or_else(|_| fs::read(file(&out.join("orders-0"), suffix)));
            let indexes = SUFFIXES.map(|suffix| read(suffix).ok());
            assert!(indexes[0].is_some() && indexes[1].is_some(), "{}", out.display());
            fs::remove_dir_all(&out).unwrap();
            format!("{} {interval} {}\n", log.name, digest(&indexes))
        });
        lines.collect::<String>()
    });
    assert!(first == second, "the releases differ");
    if std::env::var_os("KFSCK_REGENERATE").is_some() {
        fs::write(record(), &first).unwrap();
    }
    assert!(first == fs::read_to_string(record()).unwrap(), "the record is another");
}
