//! One partition: its files, the chain of its segments, its producers and leader epochs, and what its log dir's
//! checkpoints say of it. Takes the facts of the segments in order, one after the other, and keeps little of each.

use super::Setting;
use super::epochs::EpochsCheck;
use super::finding::Findings;
use super::producers::ProducersCheck;
use super::segment::JudgedSegment;
use crate::format::Offset;
use crate::scan::checkpoints::Checkpointed;
use crate::store::StoreError;
use crate::store::partition::PartitionDir;

/// What the log dir says about a partition; nothing about a loose copy.
#[derive(Clone, Copy, Debug, Default)]
pub struct Surroundings {
    /// Its lines in the checkpoints.
    pub checkpointed: Checkpointed,
    /// Whether the log dir's `meta.properties` is one of KRaft.
    pub is_kraft: bool,
}

/// A partition that is being judged: its segments are handed to it in order.
#[derive(Debug)]
pub struct PartitionCheck<'a> {
    dir: &'a PartitionDir,
    surroundings: Surroundings,
    setting: Setting,
    producers: ProducersCheck<'a>,
    epochs: EpochsCheck,
    report: PartitionReport,
}

/// What is known of a partition once all its segments are judged.
#[derive(Debug, Default)]
pub struct PartitionReport {
    /// All that was seen, by file.
    pub findings: Findings,
    /// Segments with a log.
    pub segments: u64,
    /// Intact batches.
    pub batches: u64,
    /// Records that their headers count.
    pub records: u64,
    /// Index entries that were held against the log.
    pub entries: u64,
    /// Bytes that were looked at.
    pub bytes: u64,
    /// The first offset that can be read.
    pub log_start_offset: Option<Offset>,
    /// The offset behind the last batch (exclusive).
    pub log_end_offset: Option<Offset>,
    /// Files that could not be looked at.
    pub unreadable: Vec<StoreError>,
    /// Whether the check was stopped before its end.
    pub stopped: bool,
}

impl<'a> PartitionCheck<'a> {
    /// A partition of which no segment was judged yet.
    pub fn new(dir: &'a PartitionDir, surroundings: Surroundings, setting: Setting) -> Self {
        let log_start_offset = surroundings.checkpointed.log_start_offset;
        Self {
            dir,
            surroundings,
            setting,
            producers: ProducersCheck::new(dir, log_start_offset, setting),
            epochs: EpochsCheck::new(dir, log_start_offset, setting),
            report: PartitionReport::default(),
        }
    }

    /// Takes in the next segment.
    pub fn take(&mut self, mut judged: JudgedSegment) {
        self.producers.take(&mut judged, &mut self.report);
        self.epochs.take(&judged, &mut self.report);
        self.report.segments += 1;
        self.report.batches += judged.facts.batches;
        self.report.records += judged.facts.records;
        self.report.entries += judged.entries;
        self.report.bytes += judged.bytes;
        self.report.stopped |= judged.stopped;
        self.report.unreadable.extend(judged.unreadable);
        self.report.findings.append(judged.findings);
    }

    /// Judges what needs all segments, and folds consequences into their causes.
    pub fn finish(mut self) -> PartitionReport {
        self.producers.finish(&mut self.report);
        self.epochs.finish(&mut self.report);
        let _ = (self.dir, self.surroundings, self.setting);
        self.report
    }
}
