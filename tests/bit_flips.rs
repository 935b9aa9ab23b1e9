//! Turn any one bit of any file of a log dir: `check` notices, or there is a reason why nobody can.
//!
//! A stride of bits in every `cargo test`; all of them with `KFSCK_ALL_BITS=1`. Prints how many flips were tried, noticed
//! in the file itself, noticed in the file that proves it, and passed over, by reason.

#[path = "support/healthy.rs"]
mod healthy;

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock};
use std::thread;

use healthy::Healthy;
use kfsck::check::log_dir::LogDirCheck;
use kfsck::check::partition::{PartitionCheck, Surroundings};
use kfsck::check::segment::{SegmentTask, Worker};
use kfsck::check::{Depth, Finding, Findings, Id, Place, Setting, Severity};
use kfsck::format::batch::RecordBatchHeader;
use kfsck::format::compression::DEFAULT_LIMIT;
use kfsck::format::file_name::{FileKind, FileState};
use kfsck::format::partition_metadata::PartitionMetadata;
use kfsck::format::properties::MetaProperties;
use kfsck::format::{Offset, leader_epoch, offset_checkpoint};
use kfsck::store::ReadPolicy;
use kfsck::store::log_dir::{Directory, identify};
use kfsck::store::partition::PartitionDir;
use tempfile::TempDir;

/// Every how many bits one is turned in `cargo test`: a prime, so that every bit of a byte has its turn.
const STRIDE: usize = 7;

/// Small, and with everything: two segments, transactions of two producers, aborted and open ones, two leader epochs.
fn small() -> Healthy {
    Healthy {
        batches: 10,
        segments: 2,
        records: 3,
        value_size: 8,
        index_interval: 200,
        epochs: 2,
        producers: 2,
        transactions: 2,
        ..Healthy::default()
    }
}

/// What is seen, so far as two sights can be told apart.
type Seen = (Id, Severity, PathBuf, Place);

/// Everything that `check --deep` says about a log dir, without its words.
fn check(log_dir: &Path, worker: &mut Worker) -> Vec<Seen> {
    let Directory::LogDir(listed) = identify(log_dir).unwrap() else { panic!("{} is no log dir", log_dir.display()) };
    let setting = Setting { policy: ReadPolicy::default(), depth: Depth::Records, clean_shutdown: true };
    let mut of_log_dir = LogDirCheck::new(&listed, setting);
    let facts = of_log_dir.facts();
    let mut all: Vec<Finding> = Vec::new();
    for entry in &listed.partitions {
        let dir = PartitionDir::read(&entry.path).unwrap();
        let setting = Setting { clean_shutdown: facts.was_closed(&entry.name), ..setting };
        let snapshots = dir
            .files
            .iter()
            .filter(|file| file.name.kind == FileKind::ProducerSnapshot && file.name.state == FileState::Live);
        let snapshot_offsets: Vec<Offset> = snapshots.filter_map(|file| file.name.base_offset).collect();
        let segments: Vec<_> = dir.segments().into_iter().filter(|files| files.log.is_some()).collect();
        let mut of_partition = PartitionCheck::new(&dir, Surroundings::of(&dir, &facts), setting);
        for (at, files) in segments.iter().enumerate() {
            let next_base_offset = segments.get(at + 1).map(|next| next.base_offset);
            let snapshot_offsets = &snapshot_offsets;
            let task = SegmentTask { files: *files, next_base_offset, snapshot_offsets, setting, stop: None };
            of_partition.take(worker.judge(&task));
        }
        let report = of_partition.finish();
        assert!(report.unreadable.is_empty(), "{:?}", report.unreadable);
        of_log_dir.partition(&entry.name, &report);
        all.extend(report.findings.into_vec());
    }
    all.extend(Findings::into_vec(of_log_dir.finish()));
    all.into_iter().map(|finding| (finding.id, finding.severity, finding.path, finding.place)).collect()
}

/// A file of the log dir whose bits are turned.
struct Victim {
    /// Seen from the log dir.
    name: PathBuf,
    bytes: Vec<u8>,
}

impl Victim {
    fn kind(&self) -> &str {
        let name = self.name.file_name().unwrap().to_str().unwrap();
        name.rsplit('.').next().filter(|kind| !kind.is_empty()).unwrap_or(name)
    }
}

/// One bit: the number of the victim, and the bit in it.
type Flip = (usize, usize);

/// What became of one flip.
enum Outcome {
    Noticed,
    NoticedElsewhere,
    Excused(&'static str),
    Missed,
}

/// Why nobody can notice that this file was `before` and is `after`.
fn excuse(victim: &Victim, after: &[u8], log_dir: &Path) -> Option<&'static str> {
    let before = &victim.bytes;
    match victim.kind() {
        "kafka_cleanshutdown" => Some("that the marker is there is all that counts"),
        "properties" => match (MetaProperties::parse(before), MetaProperties::parse(after)) {
            (Ok(one), Ok(other)) if one == other => Some("comments mean nothing"),
            (Ok(one), Ok(other)) if one.version == other.version => {
                Some("nothing else in a single log dir names cluster, node and directory")
            }
            (Ok(_), Ok(_)) => Some("meta.properties of version 0 needs nothing that is not there"),
            _ => None,
        },
        "metadata" => match (PartitionMetadata::parse(before), PartitionMetadata::parse(after)) {
            (Ok(one), Ok(other)) if one == other => Some("what stands before a colon is not read"),
            (Ok(one), Ok(other)) if one.topic_id == other.topic_id => Some("brokers read every version from 0 on"),
            (Ok(_), Ok(_)) => Some("nothing else in a log dir names the id of a topic"),
            _ => None,
        },
        "leader-epoch-checkpoint" => {
            let (one, other) = (leader_epoch::parse(before).ok()?, leader_epoch::parse(after).ok()?);
            if one == other {
                return Some("white space at the end of a line means nothing");
            }
            let changed = one.iter().zip(&other).find(|(one, other)| one != other)?;
            let log = fs::read(log_dir.join("orders-0/00000000000000000000.log")).ok()?;
            let [from, until] = [changed.1.start_offset, changed.0.start_offset].map(|offset| Offset(offset.0 - 1));
            let is_of_same_batch = from <= until && batch_with(&log, from) == batch_with(&log, until);
            (one.len() == other.len() && changed.0.epoch == changed.1.epoch && is_of_same_batch)
                .then_some("no batch begins between the start offsets of an epoch")
        }
        name if name.ends_with("-checkpoint") => {
            let (one, other) = (offset_checkpoint::parse(before).ok()?, offset_checkpoint::parse(after).ok()?);
            if one == other {
                return Some("white space at the end of a line means nothing");
            }
            let falls = one.len() == other.len()
                && one.iter().zip(&other).all(|(one, other)| {
                    (one.topic, one.partition) == (other.topic, other.partition) && other.offset <= one.offset
                });
            match name {
                "replication-offset-checkpoint" if falls => Some("a high watermark may lag behind"),
                "recovery-point-offset-checkpoint" if falls => Some("a recovery point may lag behind"),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The base offset of the batch that holds `offset`.
fn batch_with(log: &[u8], offset: Offset) -> Option<i64> {
    let mut rest = log;
    while let Some(header) = rest.first_chunk().map(RecordBatchHeader::read) {
        let last_offset = header.base_offset + i64::from(header.last_offset_delta);
        if (header.base_offset..=last_offset).contains(&offset.0) {
            return Some(header.base_offset);
        }
        rest = rest.get(header.length as usize + 12..)?;
    }
    None
}

/// Turns one bit in a copy of the log dir, looks, and turns it back.
fn flip(victim: &Victim, bit: usize, log_dir: &Path, worker: &mut Worker, usual: &HashSet<PathlessSeen>) -> Outcome {
    let mut bytes = victim.bytes.clone();
    bytes[bit / 8] ^= 1 << (bit % 8);
    let path = log_dir.join(&victim.name);
    fs::write(&path, &bytes).unwrap();
    let seen = check(log_dir, worker);
    let outcome =
        match seen.iter().filter(|seen| !usual.contains(&without_dir(seen, log_dir))).map(|seen| seen.2 == path) {
            mut new if new.clone().next().is_some() => match new.any(|is_here| is_here) {
                true => Outcome::Noticed,
                false => Outcome::NoticedElsewhere,
            },
            _ => match excuse(victim, &bytes, log_dir) {
                Some(reason) => Outcome::Excused(reason),
                None => Outcome::Missed,
            },
        };
    fs::write(&path, &victim.bytes).unwrap();
    outcome
}

/// What is seen, with a path seen from the log dir.
type PathlessSeen = (Id, Severity, PathBuf, Option<(Option<u64>, Option<u64>, Option<i64>)>);

fn without_dir((id, severity, path, place): &Seen, log_dir: &Path) -> PathlessSeen {
    let place = (place.position.map(|at| at.0), place.slot, place.offset.map(|offset| offset.0));
    (*id, *severity, path.strip_prefix(log_dir).unwrap_or(path).to_owned(), Some(place))
}

#[test]
fn no_bit_is_turned_unnoticed_without_a_reason() {
    let stride = if std::env::var_os("KFSCK_ALL_BITS").is_some() { 1 } else { STRIDE };
    let next = AtomicUsize::new(0);
    let flips: OnceLock<(Vec<Victim>, Vec<Flip>)> = OnceLock::new();
    let results: Mutex<Vec<(usize, usize, Outcome)>> = Mutex::default();
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                let root = TempDir::new().unwrap();
                small().build(root.path());
                let log_dir = root.path().join("data");
                let (victims, flips) = flips.get_or_init(|| all_flips(&log_dir, stride));
                let mut worker = Worker::new(DEFAULT_LIMIT);
                let usual = check(&log_dir, &mut worker);
                assert!(usual.iter().all(|seen| seen.1 == Severity::Info), "{usual:?}");
                let usual = usual.iter().map(|seen| without_dir(seen, &log_dir)).collect();
                while let Some(&(victim, bit)) = flips.get(next.fetch_add(1, Relaxed)) {
                    let outcome = flip(&victims[victim], bit, &log_dir, &mut worker, &usual);
                    results.lock().unwrap().push((victim, bit, outcome));
                }
            });
        }
    });
    let (victims, _) = flips.into_inner().unwrap();
    let mut results = results.into_inner().unwrap();
    results.sort_by_key(|(victim, bit, _)| (*victim, *bit));
    tell(&victims, &results);
    let missed: Vec<String> = results
        .iter()
        .filter(|(.., outcome)| matches!(outcome, Outcome::Missed))
        .map(|(victim, bit, _)| {
            let (victim, byte) = (&victims[*victim], bit / 8);
            let (before, after) = (victim.bytes[byte], victim.bytes[byte] ^ 1 << (bit % 8));
            format!("{} byte {byte}: {before:#04x} to {after:#04x}", victim.name.display())
        })
        .collect();
    let shown = &missed[..missed.len().min(100)];
    assert!(missed.is_empty(), "{} flips were not noticed:\n{}", missed.len(), shown.join("\n"));
}

/// All files of the log dir, and which bit of which of them is turned.
fn all_flips(log_dir: &Path, stride: usize) -> (Vec<Victim>, Vec<Flip>) {
    let read = |path: PathBuf| (path.strip_prefix(log_dir).unwrap().to_owned(), fs::read(&path).unwrap());
    let victims = healthy::files(log_dir).into_iter().map(read).map(|(name, bytes)| Victim { name, bytes });
    let victims: Vec<Victim> = victims.collect();
    let bits =
        victims.iter().enumerate().flat_map(|(at, victim)| (0..victim.bytes.len() * 8).map(move |bit| (at, bit)));
    let flips = bits.step_by(stride).collect();
    (victims, flips)
}

fn tell(victims: &[Victim], results: &[(usize, usize, Outcome)]) {
    let (mut files, mut excused) = (BTreeMap::<_, [usize; 5]>::new(), BTreeMap::<_, usize>::new());
    for (victim, _, outcome) in results {
        let counts = files.entry(&victims[*victim].name).or_default();
        counts[0] += 1;
        counts[match outcome {
            Outcome::Noticed => 1,
            Outcome::NoticedElsewhere => 2,
            Outcome::Excused(reason) => {
                *excused.entry(reason).or_default() += 1;
                3
            }
            Outcome::Missed => 4,
        }] += 1;
    }
    println!("{:<48} {:>7} {:>8} {:>14} {:>8} {:>7}", "file", "flips", "noticed", "in other file", "excused", "missed");
    for (name, [flips, noticed, elsewhere, excused, missed]) in &files {
        println!("{:<48} {flips:>7} {noticed:>8} {elsewhere:>14} {excused:>8} {missed:>7}", name.display());
    }
    for (reason, count) in excused {
        println!("{count:>7} {reason}");
    }
}
