//! One segment on its own: its log, and its offset and time indexes held against the log. One walk over the log.

use std::iter;
use std::ops::{ControlFlow, Range};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use super::batch::{self, HeaderRules};
use super::damage;
use super::disorder;
use super::finding::{Finding, Findings, Severity};
use super::index_file::{self, SegmentState};
use super::offset_index::{self, OffsetIndexCheck};
use super::time_index::{self, TimeIndexCheck};
use super::{Depth, Id, Setting};
use crate::format::batch::{BatchHeader, RECORD_BATCH_OVERHEAD};
use crate::format::compression::Decompressor;
use crate::format::{Offset, Position};
use crate::scan::parts::{Budget, JoinedScan, LookedAt, Part};
use crate::scan::recover::fits;
use crate::scan::segment_ends::SegmentEnds;
use crate::scan::segment_facts::{BatchPlace, SegmentFacts};
use crate::scan::{BatchScan, LogSoFar, ScanEnd, ScanOptions, ScannedBatch, Verify};
use crate::store::mem::MemoryStorage;
use crate::store::partition::SegmentFiles;
use crate::store::window::Scratch;
use crate::store::{FileFacts, NamedFile, ReadStorage, StoreError, open};

/// The largest batch whose bytes are held where records are not looked at: control batches are small.
pub const LARGEST_CONTROL_BATCH: u64 = 64 << 10;
/// The largest log that a broker can open, in bytes.
const LARGEST_LOG: u64 = i32::MAX as u64;
/// How many of the last index entries may serve to find the end of a log.
const ENTRIES_THAT_LEAD: usize = 8;

/// What a worker owns and uses for one segment after the other.
#[derive(Debug)]
pub struct Worker {
    decompressor: Decompressor,
    scratch: Scratch,
}

/// One segment to be judged.
#[derive(Clone, Debug)]
pub struct SegmentTask<'a> {
    /// Its files.
    pub files: SegmentFiles<'a>,
    /// The base offset of the next segment; `None` for the newest.
    pub next_base_offset: Option<Offset>,
    /// The offsets of producer snapshots, in order.
    pub snapshot_offsets: &'a [Offset],
    /// How to look.
    pub setting: Setting,
    /// Set from outside to end the walk before the next batch.
    pub stop: Option<&'a AtomicBool>,
}

impl SegmentTask<'_> {
    fn log_so_far(&self) -> LogSoFar {
        LogSoFar::segment(self.files.base_offset, self.next_base_offset)
    }

    /// The offsets of producer snapshots that may lie inside the segment, or at its end.
    fn snapshots_inside(&self) -> &[Offset] {
        let all = self.snapshot_offsets;
        let start = all.partition_point(|offset| *offset <= self.files.base_offset);
        let end = self.next_base_offset.map_or(all.len(), |next| all.partition_point(|offset| *offset <= next));
        all.get(start..end).unwrap_or_default()
    }

    fn scan_options(&self, start: Position) -> ScanOptions<'_> {
        let options = ScanOptions { start, stop: self.stop, ..ScanOptions::default() };
        match self.setting.depth {
            Depth::Quick => ScanOptions { verify: Verify::Framing, ..options },
            Depth::Checksums => ScanOptions { bodies: true, max_batch_bytes: LARGEST_CONTROL_BATCH, ..options },
            Depth::Records => ScanOptions { bodies: true, ..options },
        }
    }
}

/// A part of a log that was looked at ahead, with what was found about the records of its batches.
pub type LogPart = Part<Findings>;

/// What one walk over a segment brought.
///
/// With [`Depth::Quick`] the facts are those of the ends of the log: the first batch and the last, the end offset, the
/// damage behind the last index entry. Batches and records are those whose headers were read, the largest timestamp
/// is theirs, and nothing is said about epochs, gaps and producers.
#[derive(Debug)]
pub struct JudgedSegment {
    /// What the partition's check needs of it.
    pub facts: SegmentFacts,
    /// What was seen.
    pub findings: Findings,
    /// Entries of indexes that were held against the log.
    pub entries: u64,
    /// Bytes of all its files that were looked at.
    pub bytes: u64,
    /// Whether the walk was stopped from outside before its end.
    pub stopped: bool,
    /// Whether its indexes show that the offsets left out in the log are those of batches that were lost.
    pub batches_are_lost: bool,
    /// Files that could not be looked at.
    pub unreadable: Vec<StoreError>,
}

impl JudgedSegment {
    /// The same once more, but for the files that could not be looked at.
    pub fn copied(&self) -> Self {
        Self { facts: self.facts.clone(), findings: self.findings.clone(), unreadable: Vec::new(), ..*self }
    }
}

/// What is known of a log once the walk has come to its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogEnd {
    pub size_in_bytes: u64,
    /// Whether the last batch ends where the file does.
    pub is_whole: bool,
    pub last: Option<BatchPlace>,
    pub max_last_offset: Option<Offset>,
    pub max_timestamp: Option<i64>,
    /// The largest before the first damage, or the first batch that is not of this segment, where there is such: an index
    /// made again ends there.
    pub before_damage: Option<Option<i64>>,
}

impl LogEnd {
    /// Whether a time index whose last timestamp is this goes as far as the log is intact.
    pub(super) fn is_reached_by(&self, timestamp: Option<i64>) -> bool {
        self.before_damage.is_some_and(|largest| timestamp >= largest)
    }
}

impl Worker {
    /// A worker that decompresses batches of up to `limit` bytes, the only one.
    pub fn new(limit: usize) -> Self {
        Self::one_of(1, limit)
    }

    /// The same, one of `workers` that share the memory for reading.
    pub fn one_of(workers: usize, limit: usize) -> Self {
        Self { decompressor: Decompressor::new(limit), scratch: Scratch::one_of(workers) }
    }

    /// Judges one segment.
    pub fn judge(&mut self, task: &SegmentTask<'_>) -> JudgedSegment {
        self.judge_all(task, &mut iter::empty(), &mut |_, _| ())
    }

    /// Judges one segment, and shows each batch of its log with whether there is damage somewhere before it.
    pub fn judge_and_show(
        &mut self,
        task: &SegmentTask<'_>,
        show: &mut dyn FnMut(&ScannedBatch<'_>, bool),
    ) -> JudgedSegment {
        self.judge_all(task, &mut iter::empty(), show)
    }

    /// Judges one segment of whose log `parts`, in order, were looked at already. The result is that of [`Self::judge`].
    pub fn judge_joined(&mut self, task: &SegmentTask<'_>, parts: &mut dyn Iterator<Item = LogPart>) -> JudgedSegment {
        self.judge_all(task, parts, &mut |_, _| ())
    }

    /// Looks at the batches of a log that begin in `range`, for [`Self::judge_joined`].
    ///
    /// Errors: the log could not be read.
    pub fn part(&mut self, task: &SegmentTask<'_>, range: Range<u64>) -> Result<LogPart, StoreError> {
        let Some(log) = task.files.log else { return Ok(LogPart::none()) };
        let path = log.path();
        let storage = open(&path, task.setting.policy)?;
        let Self { decompressor, scratch } = self;
        let budget = Budget::of(&range, decompressor.spent());
        Part::walk(storage.as_ref(), task.log_so_far(), range, task.scan_options(Position(0)), scratch, |scanned| {
            let mut findings = Findings::new();
            if task.setting.depth == Depth::Records {
                if budget.is_used_up(decompressor.spent()) {
                    return ControlFlow::Break(());
                }
                batch::records(scanned, &path, decompressor, &mut findings);
            }
            ControlFlow::Continue((!findings.is_empty()).then_some(findings))
        })
    }

    fn judge_all(
        &mut self,
        task: &SegmentTask<'_>,
        parts: &mut dyn Iterator<Item = LogPart>,
        show: &mut dyn FnMut(&ScannedBatch<'_>, bool),
    ) -> JudgedSegment {
        let mut judged = JudgedSegment {
            facts: SegmentFacts::new(task.files.base_offset, 0, task.snapshots_inside()),
            findings: Findings::new(),
            entries: 0,
            bytes: 0,
            stopped: false,
            batches_are_lost: false,
            unreadable: Vec::new(),
        };
        let Some(log) = task.files.log else { return judged };
        let state = SegmentState::new(&task.setting, log, task.next_base_offset.is_none());
        let before = file_facts(task, &state);
        // Before the log is opened: a running broker writes the log first.
        let mut indexes = Indexes::read(task, &state, &mut judged);
        match open(&log.path(), task.setting.policy) {
            Ok(storage) => {
                let walk = Walk { task, path: log.path(), storage: storage.as_ref(), state };
                if let Err(error) = walk.run(&mut indexes, self, &mut judged, parts, show) {
                    judged.unreadable.push(error);
                }
            }
            // Whether a log that is gone is news, the check of the partition decides: its segment is gone too.
            Err(error) => judged.unreadable.push(error),
        }
        if !judged.findings.is_empty() && file_facts(task, &state) != before {
            // A running broker has put other files in their place meanwhile: they were no set.
            judged.findings = Findings::new();
        }
        judged
    }
}

/// Size and time of modification of the files of a segment that a running broker appends to no more, but may still
/// compact or delete; nothing of others.
fn file_facts(task: &SegmentTask<'_>, state: &SegmentState) -> Vec<Option<FileFacts>> {
    let files = [task.files.log, task.files.offset_index, task.files.time_index];
    let settled = files.into_iter().flatten().filter(|_| state.is_live && !state.is_newest);
    settled.map(|file| file.facts().ok()).collect()
}

/// Notes that an index could not be looked at. Under a running broker files go: that is no failure.
fn cannot_look(judged: &mut JudgedSegment, error: StoreError, state: &SegmentState) {
    let is_gone = matches!(&error, StoreError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound);
    if !(state.is_live && is_gone) {
        judged.unreadable.push(error);
    }
}

/// The indexes of a segment; one that is not there meets no batch.
struct Indexes {
    offset: OffsetIndexCheck,
    time: TimeIndexCheck,
}

impl Indexes {
    fn read(task: &SegmentTask<'_>, state: &SegmentState, judged: &mut JudgedSegment) -> Self {
        let base_offset = task.files.base_offset;
        let mut content = |file: Option<&NamedFile>| {
            let file = file?;
            let bytes = index_file::read(file).map_err(|error| cannot_look(judged, error, state)).ok()?;
            Some((file.path(), bytes))
        };
        let (offset, time) = (content(task.files.offset_index), content(task.files.time_index));
        let offset = match offset {
            Some((path, bytes)) => OffsetIndexCheck::new(path, bytes, base_offset),
            None => OffsetIndexCheck::none(base_offset),
        };
        let time = match time {
            Some((path, bytes)) => TimeIndexCheck::new(path, bytes, base_offset),
            None => TimeIndexCheck::none(base_offset),
        };
        Self { offset, time }
    }
}

/// One walk over a log.
struct Walk<'w> {
    task: &'w SegmentTask<'w>,
    path: PathBuf,
    storage: &'w dyn ReadStorage,
    state: SegmentState,
}

impl Walk<'_> {
    fn run(
        &self,
        indexes: &mut Indexes,
        worker: &mut Worker,
        judged: &mut JudgedSegment,
        parts: &mut dyn Iterator<Item = LogPart>,
        show: &mut dyn FnMut(&ScannedBatch<'_>, bool),
    ) -> Result<(), StoreError> {
        judged.facts.size_in_bytes = self.storage.len();
        self.can_be_opened(&mut judged.findings);
        let is_quick = self.task.setting.depth == Depth::Quick;
        let head = if is_quick { self.head()? } else { None };
        let start = match &head {
            Some(_) => self.start_of_the_tail(&indexes.offset)?,
            None => Position(0),
        };
        if is_quick {
            indexes.offset.skip_to(start);
            // A stretch of a log says nothing about producers without what comes before.
            judged.facts.producers.clear();
        }
        let gaps_of_damage = self.batches(start, indexes, worker, judged, parts, show)?;
        judged.entries = indexes.offset.entries() as u64 + indexes.time.entries() as u64;
        judged.bytes += indexes.offset.size_in_bytes() + indexes.time.size_in_bytes();
        if judged.stopped {
            return Ok(());
        }
        self.indexes_are_there(judged);
        if is_quick {
            let facts = &mut judged.facts;
            facts.first = head.or(facts.first);
            (facts.gaps, facts.first_gap) = (0, None);
            facts.epochs.clear();
        } else {
            self.offsets_are_left_out(judged, gaps_of_damage);
        }
        Ok(())
    }

    /// Walks over the batches from `start` on, and judges the indexes by them. Answers how often offsets are left out
    /// because of damage.
    fn batches(
        &self,
        start: Position,
        indexes: &mut Indexes,
        worker: &mut Worker,
        judged: &mut JudgedSegment,
        parts: &mut dyn Iterator<Item = LogPart>,
        show: &mut dyn FnMut(&ScannedBatch<'_>, bool),
    ) -> Result<u64, StoreError> {
        let depth = self.task.setting.depth;
        let mut rules = HeaderRules::new(&self.path, self.task.files.base_offset, depth);
        let Worker { decompressor, scratch } = worker;
        let (so_far, options) = (self.task.log_so_far(), self.task.scan_options(start));
        let mut scan = JoinedScan::new(BatchScan::with_scratch(self.storage, so_far, options, scratch), parts);
        // Damage of which it is not known yet what comes behind, and how many index entries point there.
        let mut damage: Option<(Finding, u64)> = None;
        let mut before_damage = None;
        let mut gaps_of_damage = 0;
        let (facts, findings) = (&mut judged.facts, &mut judged.findings);
        loop {
            while let Some((scanned, looked_at)) = scan.next_batch()? {
                let header = scanned.header;
                let standing = rules.judge(&scanned, findings);
                match looked_at {
                    LookedAt::Ahead(of_records) => findings.append(of_records.unwrap_or_default()),
                    LookedAt::Now if depth == Depth::Records => {
                        batch::records(&scanned, &self.path, decompressor, findings);
                    }
                    LookedAt::Now => {}
                }
                indexes.offset.batch(scanned.position, header, standing, facts.last);
                if depth > Depth::Quick {
                    let timestamp_before = facts.max_timestamp.map(|(timestamp, _)| timestamp);
                    let may_be_missing = damage.is_some() | !standing.is_in_order;
                    indexes.time.batch(header, standing.last_offset_before, timestamp_before, may_be_missing);
                }
                show(&scanned, !facts.damage.is_empty());
                if !fits(facts.base_offset, header.last_offset()) {
                    before_damage.get_or_insert(facts.max_timestamp.map(|(timestamp, _)| timestamp));
                }
                let gaps = facts.gaps;
                facts.take(&scanned);
                if let Some((finding, behind)) = damage.take() {
                    gaps_of_damage += facts.gaps - gaps;
                    let first = header.base_offset().unwrap_or(header.last_offset());
                    let finding = finding.with("nextIntactOffset", first);
                    findings.push(with_entries_behind(finding, behind, indexes.time.take_behind()));
                }
            }
            let end = scan.walk().end().copied().unwrap_or(ScanEnd::CleanEof);
            facts.ended(&end);
            judged.bytes = match depth {
                Depth::Quick => facts.batches.saturating_mul(RECORD_BATCH_OVERHEAD as u64),
                Depth::Checksums | Depth::Records => scan.walk().position().0,
            };
            if end == ScanEnd::Stopped {
                judged.stopped = true;
                return Ok(gaps_of_damage);
            }
            let next_offset = facts.next_offset();
            if let Some(stretch) = damage::stretch(self.storage, &self.path, &end, next_offset, &self.state)? {
                let behind = indexes.offset.damage(stretch.position, stretch.length, facts.last);
                damage = Some((stretch.finding, behind));
                before_damage.get_or_insert(facts.max_timestamp.map(|(timestamp, _)| timestamp));
                judged.bytes = judged.bytes.saturating_add(if depth > Depth::Quick { stretch.length } else { 0 });
            }
            if !scan.skip_damage() {
                break;
            }
        }
        let end = LogEnd {
            size_in_bytes: facts.size_in_bytes,
            is_whole: facts.end == ScanEnd::CleanEof,
            last: facts.last,
            max_last_offset: facts.max_last_offset,
            max_timestamp: facts.max_timestamp.map(|(timestamp, _)| timestamp),
            before_damage,
        };
        let mut of_indexes = Findings::new();
        let behind_end = indexes.offset.finish(&end, &mut of_indexes, &self.state);
        indexes.time.finish(&end, depth, &mut of_indexes, &self.state);
        if let Some((finding, behind)) = damage {
            findings.push(with_entries_behind(finding, behind + behind_end, indexes.time.take_behind()));
        }
        let lost = facts.damage.first().map(|damage| damage.position);
        if let Some(wrong) = disorder::mostly_below_base(findings, facts.batches) {
            disorder::fold_below_base(findings, wrong, facts.batches);
            // By offsets of another segment no index is right.
            of_indexes.retain(|finding| disorder::is_of_the_file(finding.id));
        }
        if self.task.next_base_offset.is_some_and(|next| facts.max_last_offset >= Some(next)) {
            // The entry for the last batch stands at the offset that it had.
            of_indexes.retain(|finding| finding.id != Id::TimeIndexWrongTimestamp);
        }
        if depth > Depth::Quick && facts.gaps > gaps_of_damage && disorder::shows_loss(facts, &of_indexes) {
            judged.batches_are_lost = true;
            disorder::fold_behind(facts.first_gap.map(|(_, behind)| behind.position), &mut of_indexes);
        } else {
            disorder::fold_behind(lost, &mut of_indexes);
        }
        findings.append(of_indexes);
        Ok(gaps_of_damage)
    }

    /// The first batch, by its header alone; `None` where the file does not begin with one.
    fn head(&self) -> Result<Option<BatchPlace>, StoreError> {
        let size = self.storage.len();
        let mut scratch = Vec::new();
        let bytes = self.storage.window(0..size.min(RECORD_BATCH_OVERHEAD as u64), &mut scratch)?;
        let header =
            BatchHeader::read(bytes).ok().filter(|header| header.check().is_ok() && header.size_in_bytes() <= size);
        Ok(header.map(|header| {
            let last_offset = header.last_offset();
            let base_offset = header.base_offset().unwrap_or(last_offset);
            BatchPlace { position: Position(0), base_offset, last_offset }
        }))
    }

    /// From where the headers lead to the end of the log: one of the last index entries, if it is right.
    fn start_of_the_tail(&self, index: &OffsetIndexCheck) -> Result<Position, StoreError> {
        let last_entries = MemoryStorage::new("", index.last_entries(ENTRIES_THAT_LEAD));
        let files = &self.task.files;
        let ends = SegmentEnds::new(files.base_offset, self.task.next_base_offset, self.storage, Some(&last_entries))?;
        Ok(ends.tail()?.start)
    }

    /// Positions have 31 bits. Source: Kafka `FileRecords`.
    fn can_be_opened(&self, findings: &mut Findings) {
        let size = self.storage.len();
        if size > LARGEST_LOG {
            let finding = Finding::new(Id::LogTooLarge, &self.path).with("logSize", size);
            findings.push(finding.with("largestSize", LARGEST_LOG));
        }
    }

    /// A log has indexes beside it, unless it is empty: they are made when they are first used.
    fn indexes_are_there(&self, judged: &mut JudgedSegment) {
        let findings = &mut judged.findings;
        if self.task.files.offset_index.is_none() {
            offset_index::is_missing(&self.path, self.storage.len(), &self.state, findings);
        }
        if self.task.files.time_index.is_none() {
            let max_timestamp = judged.facts.max_timestamp.map(|(timestamp, _)| timestamp);
            time_index::is_missing(&self.path, max_timestamp, &self.state, findings);
        }
    }

    /// Compaction leaves offsets out, and so does a segment that was begun late; so does loss.
    /// Source: Kafka `LogCleaner`, `UnifiedLog.roll`.
    fn offsets_are_left_out(&self, judged: &mut JudgedSegment, gaps_of_damage: u64) {
        let facts = &judged.facts;
        let Some((expected, behind)) = facts.first_gap else { return };
        // A batch whose own offsets are wrong leaves none out; below the base nothing is known of them.
        let next_base_offset = self.task.next_base_offset;
        let is_odd = disorder::is_wrong_batch(&judged.findings, behind.position)
            || next_base_offset.is_some_and(|next| behind.last_offset >= next);
        let gaps = facts.gaps.saturating_sub(gaps_of_damage).saturating_sub(u64::from(is_odd));
        if gaps > 0 && !disorder::is_of_another_base(&judged.findings) {
            let mut finding = Finding::new(Id::LogOffsetGap, &self.path).offset(expected);
            if judged.batches_are_lost {
                finding = finding.as_severity(Severity::Warning);
            }
            judged.findings.push(
                finding
                    .with("gaps", gaps)
                    .with("firstMissingOffset", expected)
                    .with("nextOffset", behind.base_offset)
                    .with("nextPosition", behind.position),
            );
        }
    }
}

/// The finding about damage with how many entries of the indexes point there.
fn with_entries_behind(mut finding: Finding, of_offset_index: u64, of_time_index: u64) -> Finding {
    for (name, behind) in [("indexEntriesBehind", of_offset_index), ("timeIndexEntriesBehind", of_time_index)] {
        if behind > 0 {
            finding = finding.with(name, behind);
        }
    }
    finding
}

#[cfg(test)]
mod tests;
