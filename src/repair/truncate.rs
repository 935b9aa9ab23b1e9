//! The plan of `truncate-to-hw`: which bytes of which files go, and what is gone with them.
//!
//! What is left is what Kafka's own truncation leaves when it cuts at the offset where the last kept batch ends, and
//! closes the log: indexes filtered and closed, a producer snapshot at the new end (without it a start forgets open
//! transactions), leader epochs and checkpoints lowered. Checkpoints come before the log: a log start behind the log
//! end makes a broker delete every segment.
//!
//! Source: Kafka `UnifiedLog.truncateTo`, `LocalLog.truncateTo`, `LogSegment.truncateTo`, `ProducerStateManager`.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use super::RepairError;
use super::plan::{Fingerprint, NewFile, Plan, Step};
use crate::format::file_name::{DirState, FileKind, FileState, producer_snapshot_file_name, segment_file_name};
use crate::format::offset_index::OffsetIndex;
use crate::format::time_index::{TimeIndex, TimeIndexEntry};
use crate::format::txn_index::TxnIndex;
use crate::format::{Offset, Position, leader_epoch, offset_checkpoint, producer_snapshot};
use crate::scan::checkpoints::Checkpointed;
use crate::scan::recover::{LogRange, RecoverOptions, recover};
use crate::scan::start::{StartConditions, producers_at};
use crate::scan::{BatchScan, LogSoFar, ScanEnd, ScanOptions};
use crate::store::partition::{PartitionDir, SegmentFiles};
use crate::store::write::{FileMeta, WriteStorage};
use crate::store::{ReadPolicy, ReadStorage, StoreError, open, read_small};

/// What plans of this kind are called, which is the command's name.
pub const ACTION: &str = "truncate-to-hw";
/// The largest index, snapshot or checkpoint that is taken into a plan, in bytes.
const LARGEST_SMALL_FILE: u64 = 256 << 20;
/// The most producers that are counted among what is lost.
const MOST_PRODUCERS: usize = 1 << 20;

/// Where to cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// At the high watermark in the checkpoint.
    HighWatermark,
    /// Behind the last intact batch: only what is unreadable goes.
    IntactEnd,
    /// At this offset, which is to be the log end (exclusive).
    Offset(Offset),
}

/// What is known of the partition's surroundings.
#[derive(Clone, Debug)]
pub struct Around {
    /// The log dir, whose checkpoints are lowered too; `None` for a loose copy.
    pub log_dir: Option<PathBuf>,
    /// What its checkpoints say.
    pub checkpointed: Checkpointed,
    /// How files are read.
    pub policy: ReadPolicy,
    /// Now, in milliseconds since 1970: what new files are dated with.
    pub now_ms: i64,
}

/// A cut, planned.
#[derive(Clone, Debug)]
pub struct Truncation {
    /// What to do; no steps where there is nothing to do.
    pub plan: Plan,
    /// The log start.
    pub log_start_offset: Offset,
    /// The high watermark in the checkpoint, whatever was asked for.
    pub high_watermark: Option<Offset>,
    /// The end of the intact log before (exclusive).
    pub intact_end: Offset,
    /// Unreadable bytes behind it.
    pub unreadable_bytes: u64,
    /// The offset asked for, clamped to log start and end of the intact log.
    pub target: Offset,
    /// The log end afterwards (exclusive): lower than the target where that lies inside a batch, or behind a gap.
    pub log_end_offset: Offset,
    /// What goes with the records.
    pub toll: Toll,
}

/// What is lost beside bytes and offsets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Toll {
    /// The timestamp of the first lost batch, in milliseconds.
    pub first_timestamp: Option<i64>,
    /// The largest timestamp that is lost, in milliseconds.
    pub last_timestamp: Option<i64>,
    /// Producers with lost batches.
    pub producers: u64,
    /// Transactions whose end is lost: they are open again afterwards, or gone as a whole.
    pub ended_transactions: u64,
    /// Transactions that are open afterwards.
    pub open_transactions: u64,
    /// Whole segments that go.
    pub segments: u64,
}

/// Why a cut is refused. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum TruncateError {
    /// Something could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something could not be looked at for writing.
    #[error(transparent)]
    Repair(#[from] RepairError),
    /// The metadata log of KRaft is cut by its quorum alone.
    #[error("{} is the metadata log of KRaft: only its quorum may cut it", .0.display())]
    MetadataLog(PathBuf),
    /// A directory that is not in use.
    #[error("{} is no partition in use ({state})", .path.display())]
    NotInUse {
        /// The directory.
        path: PathBuf,
        /// What its name says.
        state: &'static str,
    },
    /// There is not one segment.
    #[error("{} has no segment", .0.display())]
    NoSegment(PathBuf),
    /// A compaction was interrupted.
    #[error("{} was left by an interrupted compaction", .0.display())]
    Unsettled(PathBuf),
    /// No checkpoint tells a high watermark.
    #[error("no high watermark is known of {}", .0.display())]
    NoHighWatermark(PathBuf),
    /// The offset lies before everything that is there.
    #[error("offset {target} lies before the first segment, which begins at {first}")]
    BeforeFirstSegment {
        /// The offset.
        target: Offset,
        /// The first segment's base offset.
        first: Offset,
    },
    /// A damaged batch lies before the target.
    #[error("{} is damaged at position {position}, before offset {target}", .path.display())]
    DamagedBelow {
        /// The log.
        path: PathBuf,
        /// Where the damage begins.
        position: Position,
        /// The offset to cut at.
        target: Offset,
    },
    /// The first damage is not at the end of the log.
    #[error("{} is damaged at position {position}, and intact batches follow", .path.display())]
    IntactBehindDamage {
        /// The log.
        path: PathBuf,
        /// Where the damage begins.
        position: Position,
    },
    /// A checkpoint or the epoch file cannot be read, and must be changed.
    #[error("{} cannot be read: {why}", .path.display())]
    BadFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The producers at the new end cannot be told.
    #[error("what producers did up to offset {end} cannot be told: {why}")]
    NoProducerState {
        /// The new end.
        end: Offset,
        /// What stands against it.
        why: String,
    },
}

impl TruncateError {
    /// What to do next, where there is something to do.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Store(error) => return error.hint(),
            Self::Repair(error) => return error.hint(),
            Self::MetadataLog(_) => "copy the directory from another controller, or let this one catch up".to_owned(),
            Self::NotInUse { .. } => "only partitions in use are cut".to_owned(),
            Self::NoSegment(_) => return None,
            Self::Unsettled(_) => "let a broker start once: it completes or removes what was left".to_owned(),
            Self::NoHighWatermark(_) => "say where to cut: --to OFFSET, --to intact-end or --replica DIR".to_owned(),
            Self::BeforeFirstSegment { first, .. } => format!("the lowest offset to cut at is {first}"),
            Self::DamagedBelow { path, .. } | Self::IntactBehindDamage { path, .. } => format!(
                "a copy from another replica is better than a cut; to see all damage: kfsck check {}; to cut all the same, \
                 give an offset at or below the damage: --to OFFSET",
                path.parent().unwrap_or(path).display()
            ),
            Self::BadFile { path, .. } => format!("to see it: kfsck dump-log {}", path.display()),
            Self::NoProducerState { .. } => "kfsck check tells what is wrong with the producer data".to_owned(),
        })
    }
}

/// One segment as far as a walk has come.
struct Walked<'a> {
    files: SegmentFiles<'a>,
    path: PathBuf,
    size_in_bytes: u64,
}

/// Where the log is intact up to.
struct IntactEnd {
    segment: usize,
    position: Position,
    offset: Offset,
    damage: Option<ScanEnd>,
}

/// Where the cut falls.
struct Cut {
    segment: usize,
    position: Position,
    end_offset: Offset,
    /// Of the batches that stay in the segment, with the last offset of the first batch that has it.
    max_timestamp: Option<(i64, Offset)>,
}

/// Plans to cut the partition in `dir`. `storage` is asked for fingerprints only.
///
/// Errors: [`TruncateError`].
pub fn plan(
    storage: &dyn WriteStorage,
    dir: &PartitionDir,
    around: &Around,
    to: To,
) -> Result<Truncation, TruncateError> {
    refuse_what_is_not_to_be_cut(dir)?;
    let segments = dir.segments().into_iter().filter_map(|files| Some((files, files.log?.path())));
    let segments = segments.map(|(files, path)| {
        let size_in_bytes = files.size_in_bytes()?;
        Ok(Walked { files, path, size_in_bytes })
    });
    let segments = segments.collect::<Result<Vec<_>, StoreError>>()?;
    let first = segments.first().ok_or_else(|| TruncateError::NoSegment(dir.path.clone()))?.files.base_offset;
    let log_start = around.checkpointed.log_start_offset.unwrap_or(first).max(first);
    let wanted = match to {
        To::IntactEnd => None,
        To::Offset(offset) => Some(offset),
        To::HighWatermark => {
            Some(around.checkpointed.high_watermark.ok_or_else(|| TruncateError::NoHighWatermark(dir.path.clone()))?)
        }
    };
    if let (To::Offset(target), true) = (to, wanted.is_some_and(|wanted| wanted < first)) {
        return Err(TruncateError::BeforeFirstSegment { target, first });
    }
    let wanted = wanted.map(|wanted| wanted.max(log_start));
    let intact = intact_end(&segments, wanted, around.policy)?;
    let target = wanted.map_or(intact.offset, |wanted| wanted.min(intact.offset).max(first));
    refuse_damage_in_the_way(&segments, &intact, wanted)?;
    let cut = cut_at(&segments, target, &intact, around.policy)?;
    let mut truncation = Truncation {
        plan: Plan::new(ACTION, dir.path.clone()),
        log_start_offset: log_start,
        high_watermark: around.checkpointed.high_watermark,
        intact_end: intact.offset,
        unreadable_bytes: 0,
        target,
        log_end_offset: cut.end_offset,
        toll: Toll::default(),
    };
    let nothing_behind = cut.segment + 1 == segments.len()
        && segments.get(cut.segment).is_some_and(|segment| segment.size_in_bytes == cut.position.0);
    if nothing_behind {
        return Ok(truncation);
    }
    take_toll(&segments, &cut, around.policy, &mut truncation)?;
    let mut planner = Planner { storage, dir, around, segments: &segments, cut: &cut, steps: Vec::new() };
    planner.snapshot(&mut truncation.toll)?;
    planner.checkpoints()?;
    planner.epochs()?;
    planner.later_segments()?;
    planner.indexes()?;
    planner.log()?;
    planner.later_snapshots()?;
    truncation.plan.steps = planner.steps;
    Ok(truncation)
}

fn refuse_what_is_not_to_be_cut(dir: &PartitionDir) -> Result<(), TruncateError> {
    if let Some(name) = &dir.name {
        if name.topic == "__cluster_metadata" {
            return Err(TruncateError::MetadataLog(dir.path.clone()));
        }
        if name.state != DirState::Current {
            return Err(TruncateError::NotInUse { path: dir.path.clone(), state: name.state.suffix() });
        }
    }
    let unsettled = |state| matches!(state, FileState::Swap | FileState::Cleaned);
    match dir.files.iter().find(|file| unsettled(file.name.state)) {
        Some(file) => Err(TruncateError::Unsettled(file.path())),
        None => Ok(()),
    }
}

fn open_log(segment: &Walked<'_>, policy: ReadPolicy) -> Result<Box<dyn ReadStorage>, StoreError> {
    open(&segment.path, policy)
}

fn so_far(segments: &[Walked<'_>], at: usize) -> LogSoFar {
    let base_offset = segments.get(at).map_or(Offset(0), |segment| segment.files.base_offset);
    LogSoFar::segment(base_offset, segments.get(at + 1).map(|next| next.files.base_offset))
}

/// Walks over the log from its start to the first damage, or past `enough`: behind the batch that reaches it, intact
/// or not does not matter.
fn intact_end(segments: &[Walked<'_>], enough: Option<Offset>, policy: ReadPolicy) -> Result<IntactEnd, StoreError> {
    let mut found = IntactEnd { segment: 0, position: Position(0), offset: Offset(0), damage: None };
    for (at, segment) in segments.iter().enumerate() {
        let base_offset = segment.files.base_offset;
        if enough.is_some_and(|enough| enough < base_offset) {
            break;
        }
        found = IntactEnd { segment: at, position: Position(0), offset: base_offset, damage: None };
        let log = open_log(segment, policy)?;
        let mut scan = BatchScan::new(log.as_ref(), so_far(segments, at), ScanOptions::default());
        while let Some(scanned) = scan.next_batch()? {
            let end = Position(scanned.position.0.saturating_add(scanned.header.size_in_bytes()));
            let last_offset = scanned.header.last_offset();
            (found.position, found.offset) = (end, Offset(last_offset.0.saturating_add(1)).max(found.offset));
            if enough.is_some_and(|enough| last_offset >= enough) {
                return Ok(found);
            }
        }
        match scan.end() {
            Some(ScanEnd::CleanEof) | None => {}
            Some(end) => {
                found.damage = Some(*end);
                return Ok(found);
            }
        }
    }
    Ok(found)
}

/// Damage that lies before the target, or in the middle of the log where only its end is to go.
fn refuse_damage_in_the_way(
    segments: &[Walked<'_>],
    intact: &IntactEnd,
    wanted: Option<Offset>,
) -> Result<(), TruncateError> {
    let (Some(end), Some(segment)) = (&intact.damage, segments.get(intact.segment)) else { return Ok(()) };
    let (path, position) = (segment.path.clone(), intact.position);
    let more_follows = matches!(end, ScanEnd::Damaged(damage) if damage.next_intact.is_some())
        || segments.get(intact.segment + 1..).unwrap_or_default().iter().any(|later| later.size_in_bytes > 0);
    match wanted {
        // Behind the intact end there is nothing that an intact log could still hold.
        Some(target) if target > intact.offset && more_follows => {
            Err(TruncateError::DamagedBelow { path, position, target })
        }
        None if more_follows => Err(TruncateError::IntactBehindDamage { path, position }),
        _ => Ok(()),
    }
}

/// The position of the first batch that reaches `target`, in the last segment that begins at or below it.
fn cut_at(segments: &[Walked<'_>], target: Offset, intact: &IntactEnd, policy: ReadPolicy) -> Result<Cut, StoreError> {
    let at = segments.iter().rposition(|segment| segment.files.base_offset <= target).unwrap_or(0);
    let at = at.min(intact.segment);
    let base_offset = segments.get(at).map_or(Offset(0), |segment| segment.files.base_offset);
    let mut cut = Cut { segment: at, position: Position(0), end_offset: base_offset, max_timestamp: None };
    let Some(segment) = segments.get(at) else { return Ok(cut) };
    let log = open_log(segment, policy)?;
    let mut scan = BatchScan::new(log.as_ref(), so_far(segments, at), ScanOptions::default());
    while let Some(scanned) = scan.next_batch()? {
        let last_offset = scanned.header.last_offset();
        if last_offset >= target {
            break;
        }
        cut.position = Position(scanned.position.0.saturating_add(scanned.header.size_in_bytes()));
        cut.end_offset = Offset(last_offset.0.saturating_add(1));
        if let Some(timestamp) = scanned.header.max_timestamp()
            && cut.max_timestamp.is_none_or(|(largest, _)| timestamp > largest)
        {
            cut.max_timestamp = Some((timestamp, last_offset));
        }
    }
    Ok(cut)
}

/// Counts what lies behind the cut.
fn take_toll(
    segments: &[Walked<'_>],
    cut: &Cut,
    policy: ReadPolicy,
    truncation: &mut Truncation,
) -> Result<(), StoreError> {
    let mut producers = HashSet::new();
    for (at, segment) in segments.iter().enumerate().skip(cut.segment) {
        let start = if at == cut.segment { cut.position } else { Position(0) };
        let log = open_log(segment, policy)?;
        let options = ScanOptions { start, ..ScanOptions::default() };
        let mut scan = BatchScan::new(log.as_ref(), so_far(segments, at), options);
        let mut intact_bytes = 0;
        loop {
            while let Some(scanned) = scan.next_batch()? {
                let header = &scanned.header;
                let records = header.records_count().map_or(1, |count| u64::try_from(count).unwrap_or(0));
                let last_offset = header.last_offset();
                let offsets = (header.base_offset().unwrap_or(last_offset), last_offset);
                truncation.plan.loses.add(1, records, header.size_in_bytes(), Some(offsets));
                intact_bytes += header.size_in_bytes();
                let toll = &mut truncation.toll;
                if let Some(timestamp) = header.max_timestamp().filter(|timestamp| *timestamp >= 0) {
                    toll.first_timestamp.get_or_insert(timestamp);
                    toll.last_timestamp = toll.last_timestamp.max(Some(timestamp));
                }
                if let Some(producer_id) = header.producer_id().filter(|id| *id >= 0) {
                    toll.ended_transactions += u64::from(header.is_control());
                    if producers.len() < MOST_PRODUCERS {
                        producers.insert(producer_id);
                    }
                }
            }
            if !scan.skip_damage() {
                break;
            }
        }
        let unreadable = segment.size_in_bytes.saturating_sub(start.0).saturating_sub(intact_bytes);
        truncation.unreadable_bytes += unreadable;
        truncation.plan.loses.bytes += unreadable;
    }
    truncation.toll.producers = producers.len() as u64;
    truncation.toll.segments = (segments.len() - cut.segment - 1) as u64;
    Ok(())
}

struct Planner<'a> {
    storage: &'a dyn WriteStorage,
    dir: &'a PartitionDir,
    around: &'a Around,
    segments: &'a [Walked<'a>],
    cut: &'a Cut,
    steps: Vec<Step>,
}

impl Planner<'_> {
    fn fingerprint(&self, path: &Path) -> Result<Option<Fingerprint>, TruncateError> {
        Ok(Fingerprint::of(self.storage, path)?)
    }

    /// Other bytes in the place of `path`; nothing where they are there already.
    fn replace(&mut self, path: PathBuf, bytes: Vec<u8>) -> Result<(), TruncateError> {
        let old = self.fingerprint(&path)?;
        let model = match &old {
            Some(old) => old.id.meta,
            None => self.meta_of_a_neighbour()?,
        };
        if old.is_some() && read_small(&path, LARGEST_SMALL_FILE)? == bytes {
            return Ok(());
        }
        let seconds = self.around.now_ms.div_euclid(1000);
        let nanoseconds = u32::try_from(self.around.now_ms.rem_euclid(1000)).unwrap_or(0) * 1_000_000;
        let meta = FileMeta { modified: (seconds, nanoseconds), ..model };
        self.steps.push(Step::Replace { file: path, old, new: NewFile::new(bytes, meta) });
        Ok(())
    }

    /// Owner and mode of the log that is cut: a new file beside it gets the same.
    fn meta_of_a_neighbour(&self) -> Result<FileMeta, TruncateError> {
        let log = self.segments.get(self.cut.segment).map(|segment| segment.path.clone()).unwrap_or_default();
        let print = self.fingerprint(&log)?;
        Ok(print.map(|print| print.id.meta).ok_or(RepairError::Changed { path: log })?)
    }

    fn remove(&mut self, path: PathBuf) -> Result<(), TruncateError> {
        if let Some(old) = self.fingerprint(&path)? {
            self.steps.push(Step::Remove { file: path, old });
        }
        Ok(())
    }

    /// The snapshot at the new end, which keeps open transactions open.
    fn snapshot(&mut self, toll: &mut Toll) -> Result<(), TruncateError> {
        let end = self.cut.end_offset;
        let mut conditions = StartConditions::new(true, self.around.now_ms);
        conditions.log_start_offset = self.around.checkpointed.log_start_offset;
        // A producer is not forgotten because of the hour at which somebody repairs its log.
        conditions.producer_expiration_ms = i64::MAX;
        let state = producers_at(self.dir, end, conditions, self.around.policy)?;
        let state =
            state.map_err(|refusal| TruncateError::NoProducerState { end, why: format!("{:?}", refusal.why) })?;
        let entries = state.entries();
        toll.open_transactions =
            entries.iter().filter(|entry| entry.current_txn_first_offset().is_some()).count() as u64;
        // A snapshot at or below the log start is one that every start removes.
        let log_start = self.around.checkpointed.log_start_offset.unwrap_or_default();
        let log_start = self.segments.first().map_or(log_start, |first| first.files.base_offset.max(log_start));
        if end > log_start && !self.snapshots().any(|(offset, _)| offset == end) {
            let name = producer_snapshot_file_name(end, FileState::Live);
            self.replace(self.dir.path.join(name), producer_snapshot::write(&entries))?;
        }
        Ok(())
    }

    fn snapshots(&self) -> impl Iterator<Item = (Offset, PathBuf)> + '_ {
        let live = self.dir.files.iter().filter(|file| file.name.state == FileState::Live);
        let snapshots = live.filter(|file| file.name.kind == FileKind::ProducerSnapshot);
        snapshots.filter_map(|file| Some((file.name.base_offset?, file.path())))
    }

    fn later_snapshots(&mut self) -> Result<(), TruncateError> {
        let later: BTreeSet<_> = self.snapshots().filter(|(offset, _)| *offset > self.cut.end_offset).collect();
        later.into_iter().rev().try_for_each(|(_, path)| self.remove(path))
    }

    /// Log start, recovery point, high watermark and cleaner checkpoint, none of which may lie behind the new end.
    fn checkpoints(&mut self) -> Result<(), TruncateError> {
        let Some(log_dir) = self.around.log_dir.clone() else { return Ok(()) };
        let Some(name) = self.dir.name.clone() else { return Ok(()) };
        let end = self.cut.end_offset;
        let base = self.segments.get(self.cut.segment).map_or(end, |segment| segment.files.base_offset);
        for (kind, most) in [
            (FileKind::LogStartOffsetCheckpoint, end),
            (FileKind::RecoveryPointCheckpoint, end),
            (FileKind::ReplicationOffsetCheckpoint, end),
            (FileKind::CleanerOffsetCheckpoint, base),
        ] {
            let Some(file_name) = kind.fixed_name() else { continue };
            let path = log_dir.join(file_name);
            if self.fingerprint(&path)?.is_none() {
                continue;
            }
            let bytes = read_small(&path, LARGEST_SMALL_FILE)?;
            let mut entries = offset_checkpoint::parse(&bytes)
                .map_err(|error| TruncateError::BadFile { path: path.clone(), why: error.to_string() })?;
            let mut changed = false;
            for entry in &mut entries {
                if entry.topic == name.topic && entry.partition == name.partition && entry.offset > most {
                    entry.offset = most;
                    changed = true;
                }
            }
            if changed {
                self.replace(path, offset_checkpoint::write(&entries))?;
            }
        }
        Ok(())
    }

    fn epochs(&mut self) -> Result<(), TruncateError> {
        let Some(file) = self.dir.file(FileKind::LeaderEpochCheckpoint) else { return Ok(()) };
        let path = file.path();
        let bytes = read_small(&path, LARGEST_SMALL_FILE)?;
        let mut entries = leader_epoch::parse(&bytes)
            .map_err(|error| TruncateError::BadFile { path: path.clone(), why: error.to_string() })?;
        let before = entries.len();
        entries.retain(|entry| entry.start_offset < self.cut.end_offset);
        match entries.len() < before {
            true => self.replace(path, leader_epoch::write(&entries)),
            false => Ok(()),
        }
    }

    /// The segments behind the cut, the last one first: what is left is always the beginning of the log.
    fn later_segments(&mut self) -> Result<(), TruncateError> {
        let later: Vec<_> =
            self.segments.iter().skip(self.cut.segment + 1).rev().map(|segment| segment.files).collect();
        for files in later {
            for file in [files.log, files.offset_index, files.time_index, files.txn_index].into_iter().flatten() {
                self.remove(file.path())?;
            }
        }
        Ok(())
    }

    fn indexes(&mut self) -> Result<(), TruncateError> {
        let Some(segment) = self.segments.get(self.cut.segment) else { return Ok(()) };
        let (files, base_offset) = (segment.files, segment.files.base_offset);
        let read = |file: Option<&crate::store::NamedFile>| -> Result<Option<Vec<u8>>, StoreError> {
            file.map(|file| read_small(&file.path(), LARGEST_SMALL_FILE)).transpose()
        };
        let offset_entries = read(files.offset_index)?.and_then(|bytes| self.kept_offset_entries(&bytes, base_offset));
        let time_entries = read(files.time_index)?.and_then(|bytes| self.kept_time_entries(&bytes, base_offset));
        let rebuilt = match (&offset_entries, &time_entries) {
            (Some(_), Some(_)) => None,
            // Where one is missing or makes no sense both are made again.
            _ => {
                let log = open_log(segment, self.around.policy)?;
                let range = LogRange { storage: log.as_ref(), start: 0, size_in_bytes: self.cut.position.0 };
                let mut producers = crate::scan::producer_state::ProducerState::empty(base_offset);
                Some(recover(range, &RecoverOptions::with_defaults(base_offset), &mut producers, |_, _| {})?)
            }
        };
        let (offset_bytes, time_bytes) = match (rebuilt, offset_entries, time_entries) {
            (Some(rebuilt), _, _) => (rebuilt.offset_index, rebuilt.time_index),
            (None, offset_entries, time_entries) => {
                (offset_entries.unwrap_or_default(), time_entries.unwrap_or_default())
            }
        };
        // A time index that is missing is never made again by a broker, and an offset index costs a recovery.
        for (file, kind, bytes) in [
            (files.offset_index, FileKind::OffsetIndex, offset_bytes),
            (files.time_index, FileKind::TimeIndex, time_bytes),
        ] {
            let name = segment_file_name(base_offset, kind, FileState::Live);
            self.replace(file.map_or_else(|| self.dir.path.join(name), |file| file.path()), bytes)?;
        }
        if let Some(file) = files.txn_index
            && let Some(bytes) = read(Some(file))?
        {
            let mut kept = Vec::new();
            let entries = TxnIndex::new(&bytes);
            let below = entries.iter().take_while(|entry| entry.last_offset < self.cut.end_offset);
            below.for_each(|entry| entry.write(&mut kept));
            self.replace(file.path(), kept)?;
        }
        Ok(())
    }

    /// The entries before the cut, as they are; `None` where they are not in order, or zeros follow: then nobody has
    /// closed the index since entries were last taken from it.
    fn kept_offset_entries(&self, bytes: &[u8], base_offset: Offset) -> Option<Vec<u8>> {
        let index = OffsetIndex::new(bytes, base_offset);
        if index.zero_tail() < index.len() {
            return None;
        }
        let mut kept = Vec::new();
        let mut last = (base_offset, Position(0));
        for entry in index.iter() {
            let position = entry.position()?;
            if entry.offset >= self.cut.end_offset || position >= self.cut.position {
                break;
            }
            if entry.offset <= last.0 || position <= last.1 {
                return None;
            }
            last = (entry.offset, position);
            entry.write(&mut kept);
        }
        Some(kept)
    }

    /// The entries before the cut and the closing one; `None` as above.
    fn kept_time_entries(&self, bytes: &[u8], base_offset: Offset) -> Option<Vec<u8>> {
        let index = TimeIndex::new(bytes, base_offset);
        if index.zero_tail() < index.len() {
            return None;
        }
        let mut kept = Vec::new();
        let mut last = (-1, base_offset);
        for entry in index.iter() {
            if entry.offset >= self.cut.end_offset {
                break;
            }
            if entry.timestamp <= last.0 || entry.offset < last.1 {
                return None;
            }
            last = (entry.timestamp, entry.offset);
            entry.write(&mut kept);
        }
        if let Some((timestamp, offset)) = self.cut.max_timestamp.filter(|(timestamp, _)| *timestamp > last.0) {
            TimeIndexEntry::new(base_offset, timestamp, offset)?.write(&mut kept);
        }
        Some(kept)
    }

    fn log(&mut self) -> Result<(), TruncateError> {
        let Some(segment) = self.segments.get(self.cut.segment) else { return Ok(()) };
        if segment.size_in_bytes == self.cut.position.0 {
            return Ok(());
        }
        let file = segment.path.clone();
        let old = self.fingerprint(&file)?.ok_or(RepairError::Changed { path: file.clone() })?;
        self.steps.push(Step::CutTail { file, old, to: self.cut.position.0 });
        Ok(())
    }
}
