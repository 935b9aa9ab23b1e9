//! The producers of a partition: their sequences and transactions, held together over all segments, and held against the
//! transaction indexes and producer snapshots.
//!
//! Retention, `DeleteRecords` and compaction take batches away, the broker forgets producers for their age, and each
//! snapshot stands on the one before: a replay of what is left does not give what a healthy snapshot holds. So only what
//! batches that are there prove is held against it, and what lost batches may explain is left alone.

use super::finding::{Finding, Findings};
use super::partition::PartitionReport;
use super::segment::JudgedSegment;
use super::{Depth, Id, Setting, Severity, disorder, snapshots, txn_index};
use crate::format::Offset;
use crate::format::file_name::{FileKind, FileState, segment_file_name};
use crate::scan::ScanEnd;
use crate::scan::producer_facts::{BadMarker, PlainInside, ProducerFacts, SequenceStep};
use crate::scan::segment_facts::SegmentFacts;
use crate::scan::start::{StartConditions, predict};
use crate::store::NamedFile;
use crate::store::partition::{PartitionDir, SegmentFiles};

/// The offsets of which no batch is there any more: deleted, cleaned away or lost. Some that are there may be among them.
#[derive(Clone, Debug, Default)]
pub struct HiddenOffsets {
    /// Start (inclusive) and end (exclusive), in order, without overlaps.
    ranges: Vec<(Offset, Offset)>,
}

impl HiddenOffsets {
    /// Adds a range (end exclusive) that does not begin before the last one.
    pub fn push(&mut self, start: Offset, end: Offset) {
        match self.ranges.last_mut() {
            _ if start >= end => {}
            Some((_, last_end)) if start <= *last_end => *last_end = end.max(*last_end),
            _ => self.ranges.push((start, end)),
        }
    }

    /// Whether this offset is among them.
    pub fn contains(&self, offset: Offset) -> bool {
        self.any_in(offset, Offset(offset.0.saturating_add(1)))
    }

    /// Whether any offset from `start` on and before `end` is.
    pub fn any_in(&self, start: Offset, end: Offset) -> bool {
        let at = self.ranges.partition_point(|(_, range_end)| *range_end <= start);
        start < end && self.ranges.get(at).is_some_and(|(range_start, _)| *range_start < end)
    }
}

impl LogSoFar {
    /// Whether a transaction may have begun at an offset without a trace. `begins_here`: an earlier control batch of
    /// its producer is there.
    pub fn may_begin_at(&self, offset: Offset, begins_here: bool) -> bool {
        self.hidden.contains(offset) && !(begins_here && self.first_offset.is_some_and(|first| offset < first))
    }
}

/// The producers of a partition that is being judged.
#[derive(Debug)]
pub struct ProducersCheck<'a> {
    dir: &'a PartitionDir,
    log: LogSoFar,
    setting: Setting,
    segments: Vec<SegmentFiles<'a>>,
    next_segment: usize,
    /// By offset.
    snapshots: Vec<&'a NamedFile>,
    next_snapshot: usize,
    damaged_end: bool,
    /// Whether a part of the log could not be looked at: from there on nothing is known of it.
    is_blind: bool,
}

/// What the log says up to the place that has been reached.
#[derive(Debug)]
pub struct LogSoFar {
    /// Its producers.
    pub producers: ProducerFacts,
    /// Which offsets are not there.
    pub hidden: HiddenOffsets,
    /// The first offset that readers can get: a broker that had to rebuild state did so from here on.
    pub log_start_offset: Offset,
    /// The offset of the first batch, or the base of the first segments where these are empty.
    pub first_offset: Option<Offset>,
    /// The offset behind the last batch; `None` before the first segment.
    pub end_offset: Option<Offset>,
}

impl<'a> ProducersCheck<'a> {
    /// Of a partition whose log starts at `log_start_offset` as its log dir says; `None` where it says nothing.
    pub fn new(dir: &'a PartitionDir, log_start_offset: Option<Offset>, setting: Setting) -> Self {
        let is_snapshot = |file: &&NamedFile| {
            file.name.kind == FileKind::ProducerSnapshot
                && file.name.state == FileState::Live
                && file.name.base_offset.is_some()
        };
        let mut snapshots: Vec<&NamedFile> = dir.files.iter().filter(is_snapshot).collect();
        snapshots.sort_by_key(|file| file.name.base_offset);
        Self {
            dir,
            log: LogSoFar {
                producers: ProducerFacts::default(),
                hidden: HiddenOffsets::default(),
                log_start_offset: log_start_offset.unwrap_or(Offset(i64::MIN)),
                first_offset: None,
                end_offset: None,
            },
            setting,
            segments: dir.segments(),
            next_segment: 0,
            snapshots,
            next_snapshot: 0,
            damaged_end: false,
            is_blind: setting.depth == Depth::Quick,
        }
    }

    /// Takes in the next segment.
    pub fn take(&mut self, judged: &mut JudgedSegment, report: &mut PartitionReport) {
        let base_offset = judged.facts.base_offset;
        let behind = self.segments.partition_point(|segment| segment.base_offset <= base_offset);
        let behind = self.segments.iter().skip(behind).find(|segment| segment.log.is_some());
        let next_base_offset = behind.map(|next| next.base_offset);
        let is_disordered = disorder::is_disordered(judged, next_base_offset);
        let lacks_batches = disorder::lacks_batches(judged);
        let facts = &mut judged.facts;
        let Some(files) = self.files(facts.base_offset) else { return };
        self.is_blind |= judged.stopped || !judged.unreadable.is_empty();
        if self.is_blind {
            txn_index::judge_file(&files, &self.setting, report);
            return;
        }
        if let Some(end) = self.log.end_offset {
            self.judge_snapshots_until(end, report);
        }
        self.go_on_behind_gap(facts);
        self.judge_snapshots_until(facts.base_offset, report);

        let mut next_offset = facts.max_last_offset.map_or(facts.base_offset, |last| Offset(last.0.saturating_add(1)));
        if let Some(next) = next_base_offset.filter(|_| is_disordered) {
            next_offset = next_offset.min(next);
        }
        match facts.first_gap {
            _ if is_disordered || lacks_batches => self.log.hidden.push(facts.base_offset, next_offset),
            Some((start, _)) => self.log.hidden.push(start, next_offset),
            None if !facts.is_intact() => self.log.hidden.push(facts.base_offset, next_offset),
            None => {}
        }
        for mut part in std::mem::take(&mut facts.producers) {
            if is_disordered || lacks_batches {
                part.batches_are_missing();
            }
            let part_end = part.end_offset().filter(|end| *end <= next_offset);
            self.log.producers.join(part);
            self.log.end_offset = self.log.end_offset.max(Some(part_end.unwrap_or(next_offset)));
            self.tell_samples(&files, &mut report.findings);
            if let Some(end) = part_end {
                self.judge_snapshots_until(end, report);
            }
        }
        let aborts = self.log.producers.take_aborts();
        if self.log.producers.is_complete() && !is_disordered && !lacks_batches {
            txn_index::judge(&files, facts, &aborts, &self.log, &self.setting, report);
        } else {
            txn_index::judge_file(&files, &self.setting, report);
        }
        self.damaged_end = is_disordered || facts.end != ScanEnd::CleanEof;
        self.log.end_offset = self.log.end_offset.max(Some(next_offset));
    }

    /// Judges what is left when there are no more segments.
    pub fn finish(mut self, report: &mut PartitionReport) {
        let end_offset = self.log.end_offset.unwrap_or_default();
        if !self.is_blind {
            self.judge_snapshots_until(end_offset, report);
        }
        let may_be_beyond = !self.is_blind && !self.damaged_end && !self.setting.is_live();
        for file in self.snapshots.get(self.next_snapshot..).unwrap_or_default() {
            if may_be_beyond {
                snapshots::beyond_end(file, end_offset, &mut report.findings);
            }
            snapshots::judge(file, None, &self.setting, report);
        }
        let bases: Vec<Offset> = self.segments.iter().map(|segment| segment.base_offset).collect();
        snapshots::stray(&self.snapshots, &bases, &mut report.findings);
        let with_log = self.segments.iter().filter(|segment| segment.log.is_some());
        let bases: Vec<Offset> = with_log.map(|segment| segment.base_offset).collect();
        snapshots::count_others(&self.snapshots, &bases, &mut report.findings);
        report.findings.append(self.a_clean_start_knows_the_producers(&bases).into_iter().collect());
    }

    /// Whether a start that trusts the log dir knows the producers of the log. Where it finds no snapshot at all it takes
    /// the log for one without producers and does not read it; an older release leaves such logs when it is upgraded.
    ///
    /// Source: Kafka `UnifiedLog.rebuildProducerState`.
    fn a_clean_start_knows_the_producers(&self, bases: &[Offset]) -> Option<Finding> {
        let is_trusted = self.setting.clean_shutdown && !self.setting.is_live() && !self.is_blind;
        let has_none = snapshots::found_by_a_start(&self.snapshots, bases).is_empty();
        if !is_trusted || !has_none || self.log.producers.producers().next().is_none() {
            return None;
        }
        let mut conditions = StartConditions::new(true, 0);
        conditions.log_start_offset = Some(self.log.log_start_offset).filter(|start| *start >= Offset(0));
        // What cannot be read was told already; and a segment that is recovered gets a snapshot first.
        let start = predict(self.dir, conditions, self.setting.policy).ok()?;
        if start.refusal.is_some() || !start.producers.is_empty() {
            return None;
        }
        let name = segment_file_name(start.log_end_offset, FileKind::ProducerSnapshot, FileState::Live);
        snapshots::missing(self.dir.path.join(name), &self.log, start.log_end_offset)
    }

    fn files(&mut self, base_offset: Offset) -> Option<SegmentFiles<'a>> {
        let behind = self.segments.get(self.next_segment..).unwrap_or_default();
        let found = behind.iter().position(|segment| segment.base_offset == base_offset)?;
        self.next_segment += found + 1;
        behind.get(found).copied()
    }

    /// Between segments a gap may be compaction's, or a segment that was lost with the markers in it.
    fn go_on_behind_gap(&mut self, facts: &SegmentFacts) {
        let end = self.log.end_offset.unwrap_or(Offset(i64::MIN));
        let start = facts.first.map_or(facts.base_offset, |first| first.base_offset);
        self.log.first_offset.get_or_insert(start);
        if start > end {
            self.log.hidden.push(end, start);
            self.log.producers.batches_are_missing();
        }
    }

    /// Judges the snapshots up to `offset` (inclusive) that are still to be judged, by the state that is reached.
    ///
    /// The state is that of `offset`; it is that of an earlier one too if no batch lies in between.
    fn judge_snapshots_until(&mut self, offset: Offset, report: &mut PartitionReport) {
        while let Some(file) = self.snapshots.get(self.next_snapshot)
            && let Some(at) = file.name.base_offset.filter(|at| *at <= offset)
        {
            self.next_snapshot += 1;
            let is_state_of = at == offset || self.log.end_offset.is_some_and(|end| end <= at);
            let log = Some(&self.log).filter(|log| is_state_of && log.producers.is_complete());
            snapshots::judge(file, log, &self.setting, report);
        }
    }

    fn tell_samples(&mut self, files: &SegmentFiles<'_>, findings: &mut Findings) {
        let samples = self.log.producers.take_samples();
        let Some(log) = files.log else { return };
        let bad_markers = samples.bad_markers.kept.iter().map(|marker| bad_control_batch(log, marker));
        push_all(findings, bad_markers, samples.bad_markers.more);
        let inside = samples.plain_inside.kept.iter().map(|plain| data_outside_transaction(log, plain));
        push_all(findings, inside, samples.plain_inside.more);
        let steps = samples.sequence_steps.kept.iter().filter_map(|step| {
            let before = step.before.place.last_offset;
            sequence_step(log, step, self.log.hidden.any_in(before, step.batch.place.base_offset))
        });
        push_all(findings, steps, samples.sequence_steps.more);
    }
}

/// Adds all of these; the last one stands for `more` that were not kept.
fn push_all(findings: &mut Findings, all: impl Iterator<Item = Finding>, more: u64) {
    let mut all = all.peekable();
    while let Some(mut finding) = all.next() {
        finding.more = if all.peek().is_none() { more } else { 0 };
        findings.push(finding);
    }
}

/// Whether a control batch of a producer is a transaction marker: its first record says ABORT or COMMIT. A broker that
/// replays it and finds something else does not start.
///
/// Source: Kafka `ProducerAppendInfo.append`, `EndTransactionMarker.deserialize`.
fn bad_control_batch(log: &NamedFile, marker: &BadMarker) -> Finding {
    let finding = Finding::new(Id::LogBadControlBatch, log.path())
        .at(marker.place.position, marker.size_in_bytes)
        .offset(marker.place.base_offset)
        .with("producerId", marker.producer_id)
        .with("problem", marker.fault.to_string());
    if marker.fault.is_harmless() {
        return finding.as_severity(Severity::Warning).mended_by(super::Repair::None);
    }
    finding
}

/// Whether data of a producer inside its open transaction belongs to it. A broker that replays a batch that does not
/// answers with `InvalidTxnStateException` and does not start.
///
/// Source: Kafka `ProducerAppendInfo.appendDataBatch`.
fn data_outside_transaction(log: &NamedFile, plain: &PlainInside) -> Finding {
    let mut finding = Finding::new(Id::LogDataOutsideTransaction, log.path())
        .offset(plain.place.base_offset)
        .with("producerId", plain.producer_id)
        .with("firstOffset", plain.first_offset);
    finding.place.position = Some(plain.place.position);
    finding
}

/// Whether the sequence numbers of a producer go on from batch to batch under one epoch. They begin again at 0 where
/// a producer of old was told that the broker no longer knew it; what compaction or damage took away may have been
/// anything.
///
/// Source: Kafka `ProducerAppendInfo.checkSequence`.
fn sequence_step(log: &NamedFile, step: &SequenceStep, explained: bool) -> Option<Finding> {
    let (batch, before) = (&step.batch, &step.before);
    let begins_again = batch.base_sequence == 0;
    let finding = match step.left_out() {
        Some(_) if explained => return None,
        Some(left_out) if !begins_again => Finding::new(Id::LogSequenceGap, log.path()).with("missing", left_out),
        _ => Finding::new(Id::LogSequenceBackwards, log.path()),
    };
    let mut finding = finding
        .offset(batch.place.base_offset)
        .with("producerId", step.producer_id)
        .with("producerEpoch", i32::from(batch.producer_epoch))
        .with("expectedSequence", step.expected_sequence())
        .with("baseSequence", batch.base_sequence)
        .with("previousOffset", before.place.last_offset);
    finding.place.position = Some(batch.place.position);
    Some(if explained || begins_again { finding.as_severity(Severity::Info) } else { finding })
}

#[cfg(test)]
pub(super) mod tests;
