//! The leader epochs of a partition: `leader-epoch-checkpoint` on its own, and held against the batches.

use std::path::PathBuf;

use super::finding::Finding;
use super::partition::PartitionReport;
use super::segment::JudgedSegment;
use super::{Depth, Id, Setting, Severity, disorder};
use crate::format::Offset;
use crate::format::file_name::{FileKind, FileState};
use crate::format::leader_epoch::{self, CheckpointError, LeaderEpochEntry};
use crate::scan::ScanEnd;
use crate::scan::segment_facts::{BatchPlace, SegmentFacts};
use crate::store::partition::PartitionDir;
use crate::store::{NamedFile, StoreError, read_small};

/// The largest epoch file that is read, in bytes.
const LARGEST_FILE: u64 = 64 << 20;
/// Facts of a segment hold that many runs of one epoch at most: what follows the last of them is not known.
const MOST_RUNS: usize = 1000;

/// The leader epochs of a partition that is being judged.
#[derive(Debug)]
pub struct EpochsCheck {
    path: PathBuf,
    file: EpochFile,
    /// The base offsets of the segments that have a log, in order.
    bases: Vec<Offset>,
    setting: Setting,
    /// The first offset that readers can get, where the log dir tells.
    log_start_offset: Option<Offset>,
    /// The latest run: what comes behind decides whether it is judged.
    held: Option<Run>,
    /// The epoch of the run before the held one.
    before_held: Option<i32>,
    /// The entry that was last found to contradict the log.
    told: Option<usize>,
    /// The first batch that readers can get and no entry covers.
    below_first: Option<(Run, BatchPlace)>,
    ends_in_epoch: bool,
    any_old_magic: bool,
    end_offset: Option<Offset>,
    end_is_known: bool,
    is_blind: bool,
}

/// What was read of the file.
#[derive(Debug)]
enum EpochFile {
    Missing,
    Unreadable(CheckpointError),
    Failed(StoreError),
    Entries(Vec<LeaderEpochEntry>),
}

/// Batches one behind the other that carry one epoch.
#[derive(Clone, Debug)]
struct Run {
    epoch: i32,
    first: BatchPlace,
    last: BatchPlace,
    log: String,
}

impl EpochsCheck {
    /// Of a partition whose log starts at `log_start_offset` as its log dir says; `None` where it says nothing.
    pub fn new(dir: &PartitionDir, log_start_offset: Option<Offset>, setting: Setting) -> Self {
        let is_live = |file: &&NamedFile| file.name.state == FileState::Live;
        let file = dir.file(FileKind::LeaderEpochCheckpoint).filter(is_live);
        let path = file.map_or_else(|| dir.path.join("leader-epoch-checkpoint"), NamedFile::path);
        let file = match file.map(|_| read_small(&path, LARGEST_FILE)) {
            None => EpochFile::Missing,
            Some(Err(error)) => EpochFile::Failed(error),
            Some(Ok(bytes)) => leader_epoch::parse(&bytes).map_or_else(EpochFile::Unreadable, EpochFile::Entries),
        };
        let logs = dir.segments().into_iter().filter(|segment| segment.log.is_some());
        Self {
            path,
            file,
            bases: logs.map(|segment| segment.base_offset).collect(),
            setting,
            log_start_offset,
            held: None,
            before_held: None,
            told: None,
            below_first: None,
            ends_in_epoch: false,
            any_old_magic: false,
            end_offset: None,
            end_is_known: true,
            is_blind: setting.depth == Depth::Quick,
        }
    }

    /// Takes in the next segment.
    pub fn take(&mut self, judged: &mut JudgedSegment, report: &mut PartitionReport) {
        self.is_blind |= judged.stopped || !judged.unreadable.is_empty();
        if self.is_blind {
            return;
        }
        self.name_raised_epochs(judged);
        let is_disordered = disorder::is_disordered(judged, self.next_base_offset(judged.facts.base_offset));
        let facts = &judged.facts;
        if self.end_offset.is_none() {
            // Only an orderly stop leaves both checkpoint and epoch file as they belong together.
            let is_known = self.setting.clean_shutdown && !self.setting.is_live();
            self.log_start_offset = is_known.then_some(self.log_start_offset.max(Some(facts.base_offset))).flatten();
        }
        if is_disordered {
            // By offsets that cannot be believed no epoch is found.
            (self.held, self.before_held) = (None, None);
            return self.note_end(facts);
        }
        let log = format!("{:020}.log", facts.base_offset.0);
        for (slot, run) in facts.epochs.iter().enumerate() {
            let last = match facts.epochs.get(slot + 1) {
                Some(next) => next.before,
                None if facts.epochs.len() < MOST_RUNS => facts.last,
                None => None,
            };
            let run = Run { epoch: run.epoch, first: run.first, last: last.unwrap_or(run.first), log: log.clone() };
            if slot == 0
                && let Some(finding) = self.decreases_between_segments(&run)
            {
                report.findings.push(finding);
            }
            self.hold(run, report);
        }
        self.note_end(facts);
    }

    fn next_base_offset(&self, base_offset: Offset) -> Option<Offset> {
        self.bases.get(self.bases.partition_point(|base| *base <= base_offset)).copied()
    }

    /// Where epochs fall, the batch behind is named. If those before have an epoch that the file does not know, and that
    /// none behind reaches, it is theirs that is wrong: one batch whose epoch was raised.
    fn name_raised_epochs(&self, judged: &mut JudgedSegment) {
        let EpochFile::Entries(entries) = &self.file else { return };
        let JudgedSegment { facts, findings, .. } = judged;
        let runs = &facts.epochs;
        if runs.len() >= MOST_RUNS || !findings.iter().any(|finding| finding.id == Id::LogEpochDecreases) {
            return;
        }
        // The largest epoch from each run on.
        let mut largest: Vec<i32> = runs.iter().map(|run| run.epoch).collect();
        for slot in (1..largest.len()).rev() {
            if let [before, behind] = largest.get_mut(slot - 1..=slot).unwrap_or_default() {
                *before = (*before).max(*behind);
            }
        }
        findings.retain(|finding| {
            let is_decrease = finding.id == Id::LogEpochDecreases;
            let position = finding.place.position.filter(|_| is_decrease);
            let slot = runs.partition_point(|run| Some(run.first.position) < position);
            let Some(raised) = slot.checked_sub(1).filter(|_| is_decrease).and_then(|before| runs.get(before)) else {
                return true;
            };
            let is_known = entries.iter().any(|entry| entry.epoch == raised.epoch);
            let is_followed = largest.get(slot).is_some_and(|largest| *largest >= raised.epoch);
            let Some(next) = runs.get(slot).filter(|next| Some(next.first.position) == position) else { return true };
            if entries.is_empty() || is_known || is_followed {
                return true;
            }
            let length = next.first.position.0.saturating_sub(raised.first.position.0);
            let path = std::mem::take(&mut finding.path);
            *finding = Finding::new(Id::LogEpochDecreases, path)
                .at(raised.first.position, length)
                .offset(raised.first.base_offset)
                .with("raisedLeaderEpoch", raised.epoch)
                .with("nextLeaderEpoch", next.epoch)
                .with("nextOffset", next.first.base_offset);
            true
        });
    }

    fn note_end(&mut self, facts: &SegmentFacts) {
        if facts.batches > 0 {
            self.ends_in_epoch = facts.ends_in_epoch;
        }
        self.any_old_magic |= facts.has_old_magic;
        self.end_is_known = facts.end == ScanEnd::CleanEof;
        self.end_offset = self.end_offset.max(Some(facts.next_offset()));
    }

    /// Judges what is left when there are no more segments.
    pub fn finish(mut self, report: &mut PartitionReport) {
        if let Some(run) = self.held.take()
            && self.before_held.is_none_or(|before| before <= run.epoch)
        {
            self.contradicts_log(&run, report);
        }
        let finding = match &self.file {
            EpochFile::Failed(_) => None,
            EpochFile::Unreadable(error) => Some(self.unreadable(error)),
            EpochFile::Missing => self.missing(),
            EpochFile::Entries(entries) if entries.is_empty() => self.missing(),
            EpochFile::Entries(entries) => {
                for (slot, entry) in entries.iter().enumerate() {
                    let before = slot.checked_sub(1).and_then(|before| entries.get(before));
                    if let Some(finding) =
                        self.negative(slot, entry).or_else(|| self.not_increasing(slot, entry, before))
                    {
                        report.findings.push(finding);
                    }
                }
                if let Some(finding) = self.begins_behind_log_start(entries) {
                    report.findings.push(finding);
                }
                self.beyond_end(entries)
            }
        };
        if let Some(finding) = finding {
            report.findings.push(finding);
        }
        if let EpochFile::Failed(error) = self.file {
            report.unreadable.push(error);
        }
    }

    /// Takes in the next run; the one before is judged now that its surroundings are known. A batch whose epoch is
    /// higher than that of the next, or lower than that of the one before, is itself what is wrong, and told as such.
    fn hold(&mut self, run: Run, report: &mut PartitionReport) {
        let (epoch, before_held) = (run.epoch, self.before_held);
        if let Some(held) = self.held.replace(run) {
            self.before_held = Some(held.epoch);
            if held.epoch <= epoch && before_held.is_none_or(|before| before <= held.epoch) {
                self.contradicts_log(&held, report);
            }
        }
    }

    /// Whether leader epochs go on rising from the last batch of one segment to the first of the next.
    ///
    /// Source: Kafka `LeaderEpochFileCache.assign`.
    fn decreases_between_segments(&self, run: &Run) -> Option<Finding> {
        let held = self.held.as_ref().filter(|held| held.epoch > run.epoch)?;
        let mut finding = Finding::new(Id::LogEpochDecreases, self.path.with_file_name(&run.log))
            .offset(run.first.base_offset)
            .with("leaderEpoch", run.epoch)
            .with("previousLeaderEpoch", held.epoch);
        finding.place.position = Some(run.first.position);
        Some(finding)
    }

    /// Whether the batches of a run carry the epoch in which the file has them. Batches below the first start offset are
    /// of no entry: the log start may lie inside a segment.
    ///
    /// Source: Kafka `LeaderEpochFileCache.endOffsetFor`.
    fn contradicts_log(&mut self, run: &Run, report: &mut PartitionReport) {
        let EpochFile::Entries(entries) = &self.file else { return };
        let is_ordered = |pair: &[LeaderEpochEntry]| match pair {
            [a, b] => a.epoch < b.epoch && a.start_offset < b.start_offset,
            _ => true,
        };
        let is_negative = |entry: &LeaderEpochEntry| entry.epoch < 0 || entry.start_offset.0 < 0;
        // Of a file in disorder a broker drops entries: what is left is not what is written there. With a negative one it
        // does not start.
        let is_used = entries.windows(2).all(is_ordered) && !entries.iter().any(is_negative);
        let Some(newest) = entries.last().filter(|_| is_used) else { return };
        // A running broker may have gone on since the file was read.
        if self.setting.is_live() && run.epoch > newest.epoch {
            return;
        }
        let entry_of = |offset: Offset| entries.partition_point(|entry| entry.start_offset <= offset).checked_sub(1);
        let mut found = None;
        for batch in [&run.first, &run.last] {
            let slot = entry_of(batch.base_offset);
            let entry = slot.and_then(|slot| entries.get(slot));
            let is_wrong = match entry {
                Some(entry) => entry.epoch != run.epoch,
                None => self.log_start_offset.is_some_and(|start| batch.base_offset >= start),
            };
            if is_wrong && found.is_none() {
                found = Some((slot, batch));
            }
        }
        // A leader appends whole batches: only the first entry can be moved into one, by the log start.
        let behind = entry_of(run.last.last_offset).filter(|slot| *slot > 0);
        if let Some(slot) = behind.filter(|slot| Some(*slot) != entry_of(run.last.base_offset)) {
            found.get_or_insert((Some(slot), &run.last));
        }
        let Some((slot, batch)) = found else { return };
        let Some((slot, entry)) = slot.and_then(|slot| Some((slot, entries.get(slot)?))) else {
            self.below_first = self.below_first.take().or(Some((run.clone(), *batch)));
            return;
        };
        if self.told.replace(slot) == Some(slot) {
            return;
        }
        let finding = with_slot(Finding::new(Id::EpochContradictsLog, &self.path), slot);
        let finding = finding.with("leaderEpoch", entry.epoch).with("startOffset", entry.start_offset);
        report.findings.push(about_batch(finding, run, batch));
    }

    /// Whether the first epoch begins at the log start or before: a broker moves it there with the log start. Messages
    /// of the old formats make a broker begin anew.
    ///
    /// Source: Kafka `LeaderEpochFileCache.truncateFromStart`.
    fn begins_behind_log_start(&self, entries: &[LeaderEpochEntry]) -> Option<Finding> {
        let (run, batch) = self.below_first.as_ref().filter(|_| !self.any_old_magic)?;
        let finding = Finding::new(Id::EpochContradictsLog, &self.path).as_severity(Severity::Warning);
        let finding = with_slot(finding, 0).with("startOffset", entries.first()?.start_offset);
        Some(about_batch(finding, run, batch))
    }

    /// Whether the file can be read. If not, the log dir goes offline, or the broker does not start.
    ///
    /// Source: Kafka `CheckpointFile.read`, `LeaderEpochCheckpointFile`.
    fn unreadable(&self, error: &CheckpointError) -> Finding {
        Finding::new(Id::EpochFileUnreadable, &self.path)
            .at(error.position, 0)
            .with("line", error.line as u64)
            .with("problem", error.problem.to_string())
            .with("isIoException", u64::from(error.is_io_exception()))
    }

    /// Whether there is a file where batches have epochs; one that is empty is as good as none. Messages of the old
    /// formats make a broker clear it, and the next batch with an epoch begins it anew.
    ///
    /// Source: Kafka `LeaderEpochFileCache`, `UnifiedLog.append`.
    fn missing(&self) -> Option<Finding> {
        let is_wanted = self.ends_in_epoch && !self.setting.is_live();
        let file_missing = u64::from(matches!(self.file, EpochFile::Missing));
        is_wanted.then(|| Finding::new(Id::EpochFileMissing, &self.path).with("fileMissing", file_missing))
    }

    /// Whether epoch and start offset are not negative. A broker does not start with one that is.
    ///
    /// Source: Kafka `LeaderEpochFileCache.assign`.
    fn negative(&self, slot: usize, entry: &LeaderEpochEntry) -> Option<Finding> {
        (entry.epoch < 0 || entry.start_offset.0 < 0).then(|| self.about(Id::EpochNegative, slot, entry))
    }

    /// Whether epochs and start offsets rise. Of two entries in conflict a broker drops the older one without a word, of two
    /// of one epoch the later.
    ///
    /// Source: Kafka `LeaderEpochFileCache.assign`.
    fn not_increasing(
        &self,
        slot: usize,
        entry: &LeaderEpochEntry,
        before: Option<&LeaderEpochEntry>,
    ) -> Option<Finding> {
        let before =
            before.filter(|before| before.epoch >= entry.epoch || before.start_offset >= entry.start_offset)?;
        let finding = self.about(Id::EpochNotIncreasing, slot, entry);
        Some(finding.with("previousLeaderEpoch", before.epoch).with("previousStartOffset", before.start_offset))
    }

    /// Whether the last epoch begins at the log end at most: there it does if its leader has written nothing yet.
    ///
    /// Source: Kafka `LeaderEpochFileCache.truncateFromEnd`.
    fn beyond_end(&self, entries: &[LeaderEpochEntry]) -> Option<Finding> {
        let end_offset = self.end_offset.filter(|_| self.end_is_known && !self.is_blind && !self.setting.is_live())?;
        let slot = entries.iter().position(|entry| entry.start_offset > end_offset)?;
        let finding = self.about(Id::EpochBeyondEnd, slot, entries.get(slot)?);
        Some(finding.with("logEndOffset", end_offset))
    }

    fn about(&self, id: Id, slot: usize, entry: &LeaderEpochEntry) -> Finding {
        let finding = with_slot(Finding::new(id, &self.path), slot).offset(entry.start_offset);
        finding.with("leaderEpoch", entry.epoch).with("startOffset", entry.start_offset)
    }
}

fn about_batch(finding: Finding, run: &Run, batch: &BatchPlace) -> Finding {
    finding
        .offset(batch.base_offset)
        .with("batchLeaderEpoch", run.epoch)
        .with("log", run.log.clone())
        .with("logPosition", batch.position)
}

/// An entry of the file: its lines come behind two others, and are counted from 1.
fn with_slot(mut finding: Finding, slot: usize) -> Finding {
    finding.place.slot = Some(slot as u64);
    finding.with("line", slot as u64 + 3)
}

#[cfg(test)]
mod tests;
