//! The plan of `truncate-to-hw`: which bytes of which files go, and what is gone with them.
//!
//! What is left is what Kafka's own truncation leaves when it cuts at the offset where the last kept batch ends, and
//! closes the log: indexes filtered and closed, a producer snapshot at the new end (without it a start forgets open
//! transactions), leader epochs and checkpoints lowered. Checkpoints come before the log: a log start behind the log
//! end makes a broker delete every segment.
//!
//! Source: Kafka `UnifiedLog.truncateTo`, `LocalLog.truncateTo`, `LogSegment.truncateTo`, `ProducerStateManager`.

mod steps;
pub mod verify;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use super::RepairError;
use super::plan::Plan;
use crate::format::compression::Decompressor;
use crate::format::file_name::{DirState, FileState};
use crate::format::{Offset, Position};
use crate::scan::checkpoints::Checkpointed;
use crate::scan::{BatchScan, LogSoFar, ScanEnd, ScanOptions, ScannedBatch};
use crate::store::partition::{PartitionDir, SegmentFiles};
use crate::store::shell::quoted;
use crate::store::write::WriteStorage;
use crate::store::{ReadPolicy, ReadStorage, StoreError, open};
use steps::Planner;

/// What plans of this kind are called, which is the command's name.
pub const ACTION: &str = "truncate-to-hw";
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
    /// Set from outside to end the planning.
    pub stop: Option<&'static AtomicBool>,
}

impl Around {
    fn scan_from(&self, start: Position) -> ScanOptions<'static> {
        ScanOptions { start, stop: self.stop, ..ScanOptions::default() }
    }
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
    /// The end of the log before the first damage (exclusive).
    pub intact_end: Offset,
    /// Unreadable bytes that go.
    pub unreadable_bytes: u64,
    /// The offset asked for; `None` for the end of the intact log.
    pub wanted: Option<Offset>,
    /// The same, clamped to log start and end of the intact log.
    pub target: Offset,
    /// The log end afterwards (exclusive): lower than the target where that lies inside a batch, or behind a gap.
    pub log_end_offset: Offset,
    /// The base offset of the last segment that stays.
    pub last_base_offset: Offset,
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
    /// A log that brokers do not open.
    #[error("{} is no name of a log that brokers open", .0.display())]
    NotCanonical(PathBuf),
    /// No checkpoint tells a high watermark.
    #[error("no high watermark is known of {}", .0.display())]
    NoHighWatermark(PathBuf),
    /// The checkpoint says what no broker writes.
    #[error("the checkpointed high watermark of {} is {offset}, which no broker writes", .path.display())]
    NegativeHighWatermark {
        /// The partition.
        path: PathBuf,
        /// What the checkpoint says.
        offset: Offset,
    },
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
        /// The end of the log before the damage (exclusive).
        offset: Offset,
    },
    /// The first damage is not at the end of the log.
    #[error("{} is damaged at position {position}, and intact batches follow", .path.display())]
    IntactBehindDamage {
        /// The log.
        path: PathBuf,
        /// Where the damage begins.
        position: Position,
        /// The end of the log before the damage (exclusive).
        offset: Offset,
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
    /// The user has stopped it.
    #[error("stopped; nothing was changed")]
    Stopped,
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
            Self::NotCanonical(_) => {
                "rename it to twenty digits, if there is no such file; else move it away".to_owned()
            }
            Self::NoHighWatermark(_) | Self::NegativeHighWatermark { .. } => {
                "say where to cut: --to OFFSET, --to intact-end or --replica DIR".to_owned()
            }
            Self::BeforeFirstSegment { first, .. } => format!("the lowest offset to cut at is {first}"),
            Self::DamagedBelow { offset, .. } | Self::IntactBehindDamage { offset, .. } => {
                format!("a copy of another replica is better; to cut before the damage: --to {offset}")
            }
            Self::BadFile { path, .. } => {
                format!("to see it: kfsck dump-log {}; then put a sound one in its place", quoted(path))
            }
            Self::NoProducerState { .. } => "kfsck check tells what is wrong with the producer data".to_owned(),
            Self::Stopped => return None,
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

/// Plans to cut the partition in `dir`. `storage` is asked for fingerprints only; `seen` is told how many more bytes of
/// logs were looked at.
///
/// Errors: [`TruncateError`].
pub fn plan(
    storage: &dyn WriteStorage,
    dir: &PartitionDir,
    around: &Around,
    to: To,
    seen: &dyn Fn(u64),
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
            let known = around.checkpointed.high_watermark;
            let offset = known.ok_or_else(|| TruncateError::NoHighWatermark(dir.path.clone()))?;
            if offset < Offset(0) {
                return Err(TruncateError::NegativeHighWatermark { path: dir.path.clone(), offset });
            }
            Some(offset)
        }
    };
    let asked = wanted;
    if let (To::Offset(target), true) = (to, wanted.is_some_and(|wanted| wanted < first)) {
        return Err(TruncateError::BeforeFirstSegment { target, first });
    }
    let wanted = wanted.map(|wanted| wanted.max(log_start));
    let intact = intact_end(&segments, wanted, around, seen)?;
    let target = wanted.map_or(intact.offset, |wanted| wanted.min(intact.offset).max(first));
    refuse_damage_in_the_way(&segments, &intact, wanted)?;
    let cut = cut_at(&segments, target, &intact, around)?;
    let mut truncation = Truncation {
        plan: Plan::new(ACTION, dir.path.clone()),
        log_start_offset: log_start,
        high_watermark: around.checkpointed.high_watermark,
        intact_end: intact.offset,
        unreadable_bytes: 0,
        wanted: asked,
        target,
        log_end_offset: cut.end_offset,
        last_base_offset: segments.get(cut.segment).map_or(first, |segment| segment.files.base_offset),
        toll: Toll::default(),
    };
    let nothing_behind = cut.segment + 1 == segments.len()
        && segments.get(cut.segment).is_some_and(|segment| segment.size_in_bytes == cut.position.0);
    if nothing_behind {
        return Ok(truncation);
    }
    take_toll(&segments, &cut, around, &mut truncation)?;
    seen(segments.iter().skip(intact.segment + 1).map(|segment| segment.size_in_bytes).sum());
    let planner = Planner { storage, dir, around, segments: &segments, cut: &cut, steps: Vec::new() };
    truncation.plan.steps = planner.all(&mut truncation.toll)?;
    Ok(truncation)
}

impl Truncation {
    /// Takes the log dir's checkpoints as they are now: those of other partitions may have been lowered since.
    ///
    /// Errors: one of them cannot be read any more.
    pub fn renew_checkpoints(&mut self, storage: &dyn WriteStorage, around: &Around) -> Result<(), TruncateError> {
        steps::renew_checkpoints(self, storage, around)
    }
}

/// Refuses a directory that nobody uses, the metadata log of KRaft, logs that no broker opens, and what an interrupted
/// compaction has left.
///
/// Errors: [`TruncateError`].
pub fn refuse_what_is_not_to_be_cut(dir: &PartitionDir) -> Result<(), TruncateError> {
    if dir.is_metadata_log() {
        return Err(TruncateError::MetadataLog(dir.path.clone()));
    }
    if let Some(name) = dir.name.as_ref().filter(|name| name.state != DirState::Current) {
        return Err(TruncateError::NotInUse { path: dir.path.clone(), state: name.state.suffix() });
    }
    if let Some(log) = dir.segments().into_iter().filter_map(|segment| segment.log).find(|log| !log.name.canonical) {
        return Err(TruncateError::NotCanonical(log.path()));
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
fn intact_end(
    segments: &[Walked<'_>],
    enough: Option<Offset>,
    around: &Around,
    seen: &dyn Fn(u64),
) -> Result<IntactEnd, TruncateError> {
    let mut found = IntactEnd { segment: 0, position: Position(0), offset: Offset(0), damage: None };
    for (at, segment) in segments.iter().enumerate() {
        let base_offset = segment.files.base_offset;
        if let Some(enough) = enough.filter(|enough| *enough < base_offset) {
            // What compaction has removed before that segment is missing, not the end of the log.
            found.offset = found.offset.max(enough);
            break;
        }
        found = IntactEnd { segment: at, position: Position(0), offset: base_offset, damage: None };
        let log = open_log(segment, around.policy)?;
        let mut scan = BatchScan::new(log.as_ref(), so_far(segments, at), around.scan_from(Position(0)));
        while let Some(scanned) = scan.next_batch()? {
            let end = Position(scanned.position.0.saturating_add(scanned.header.size_in_bytes()));
            let last_offset = scanned.header.last_offset();
            (found.position, found.offset) = (end, Offset(last_offset.0.saturating_add(1)).max(found.offset));
            if enough.is_some_and(|enough| last_offset >= enough) {
                seen(segment.size_in_bytes);
                return Ok(found);
            }
        }
        seen(segment.size_in_bytes);
        match scan.end() {
            Some(ScanEnd::CleanEof) | None => {}
            Some(ScanEnd::Stopped) => return Err(TruncateError::Stopped),
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
    let (path, position, offset) = (segment.path.clone(), intact.position, intact.offset);
    let is_at_end = segments.get(intact.segment + 1..).unwrap_or_default().iter().all(|later| later.size_in_bytes == 0);
    let (is_last, was_whole) = match end {
        ScanEnd::Damaged(damage) => (is_at_end && damage.next_intact.is_none(), true),
        _ => (is_at_end, false),
    };
    match wanted {
        // A batch that was written to its end, and may hold what is to stay.
        Some(target) if target > intact.offset && (was_whole || !is_last) => {
            Err(TruncateError::DamagedBelow { path, position, target, offset })
        }
        None if !is_last => Err(TruncateError::IntactBehindDamage { path, position, offset }),
        _ => Ok(()),
    }
}

/// The position of the first batch that reaches `target`, in the last segment that begins at or below it.
fn cut_at(segments: &[Walked<'_>], target: Offset, intact: &IntactEnd, around: &Around) -> Result<Cut, TruncateError> {
    let at = segments.iter().rposition(|segment| segment.files.base_offset <= target).unwrap_or(0);
    let at = at.min(intact.segment);
    let base_offset = segments.get(at).map_or(Offset(0), |segment| segment.files.base_offset);
    let mut cut = Cut { segment: at, position: Position(0), end_offset: base_offset, max_timestamp: None };
    let Some(segment) = segments.get(at) else { return Ok(cut) };
    let log = open_log(segment, around.policy)?;
    let mut scan = BatchScan::new(log.as_ref(), so_far(segments, at), around.scan_from(Position(0)));
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
    if scan.end() == Some(&ScanEnd::Stopped) {
        return Err(TruncateError::Stopped);
    }
    Ok(cut)
}

/// How many records a batch holds, and the first offset of it. Compressed messages of magic 0 and 1 have to be looked
/// into for that; what cannot be read counts as one record.
fn records_of(scanned: &ScannedBatch<'_>, decompressor: &mut Decompressor) -> (u64, Offset) {
    let header = scanned.header;
    if let (Some(count), Some(first_offset)) = (header.records_count(), header.base_offset()) {
        return (u64::try_from(count).unwrap_or(0), first_offset);
    }
    let batch = scanned.batch();
    let records = batch.as_ref().and_then(|batch| batch.records(decompressor).ok()).into_iter().flatten();
    let (mut count, mut first_offset) = (0, header.last_offset());
    for record in records.map_while(Result::ok) {
        first_offset = first_offset.min(record.offset);
        count += 1;
    }
    (count.max(1), first_offset)
}

/// Counts what lies behind the cut.
fn take_toll(
    segments: &[Walked<'_>],
    cut: &Cut,
    around: &Around,
    truncation: &mut Truncation,
) -> Result<(), TruncateError> {
    let mut producers = HashSet::new();
    let mut decompressor = Decompressor::default();
    let mut is_intact = true;
    truncation.intact_end = cut.end_offset;
    for (at, segment) in segments.iter().enumerate().skip(cut.segment) {
        let start = if at == cut.segment { cut.position } else { Position(0) };
        let log = open_log(segment, around.policy)?;
        let options = ScanOptions { bodies: true, ..around.scan_from(start) };
        let mut scan = BatchScan::new(log.as_ref(), so_far(segments, at), options);
        let mut intact_bytes = 0;
        loop {
            while let Some(scanned) = scan.next_batch()? {
                let header = &scanned.header;
                let last_offset = header.last_offset();
                let (records, first_offset) = records_of(&scanned, &mut decompressor);
                let offsets = (first_offset, last_offset);
                truncation.plan.loses.add(1, records, header.size_in_bytes(), Some(offsets));
                intact_bytes += header.size_in_bytes();
                if is_intact {
                    truncation.intact_end = truncation.intact_end.max(Offset(last_offset.0.saturating_add(1)));
                }
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
            match scan.end() {
                Some(ScanEnd::CleanEof) | None => {}
                Some(ScanEnd::Stopped) => return Err(TruncateError::Stopped),
                Some(_) => is_intact = false,
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
