//! What comes of files that take the place of others at the next start: whether they are sound, and what is lost.
//!
//! A compaction leaves fewer records and nothing else changed, and never touches the newest segment; a split leaves them
//! all. Such files were complete and on disk before they got their names.

use super::finding::{Findings, Severity};
use super::segment::{SegmentTask, Worker};
use super::{Depth, Id, Setting};
use crate::format::Offset;
use crate::format::compression::DEFAULT_LIMIT;
use crate::format::file_name::FileState;
use crate::scan::checkpoints::Checkpointed;
use crate::scan::start::{StartConditions, StartOutcome, predict};
use crate::store::StoreError;
use crate::store::partition::{PartitionDir, SegmentFiles};

/// What is known of the partition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Swapped<'a> {
    pub dir: &'a PartitionDir,
    pub checkpointed: &'a Checkpointed,
    pub setting: Setting,
    /// Base offset and number of records of each segment in use.
    pub records: &'a [(Offset, u64)],
}

/// Whether the partition has files that take the place of a log.
pub(super) fn has_any(dir: &PartitionDir) -> bool {
    dir.segments_in(FileState::Swap).iter().any(|segment| segment.log.is_some())
}

impl Swapped<'_> {
    /// Completes the findings about such files: what is wrong with them and what is lost. Where more than a compaction
    /// takes out would be lost, that is an error.
    ///
    /// Source: Kafka `LogLoader.removeTempFilesAndCollectSwapFiles`.
    pub(super) fn judge(&self, findings: &mut Findings, unreadable: &mut Vec<StoreError>) {
        let taken_in = self.dir.segments_in(FileState::Swap);
        let find = |base: Option<Offset>| taken_in.iter().find(|segment| Some(segment.base_offset) == base);
        let ends = self.log_ends();
        findings.retain(|finding| {
            let is_taken_in = finding.id == Id::PartitionSwapFile && finding.int("replacesFrom").is_some();
            let segment = find(finding.place.offset).filter(|segment| is_taken_in && segment.log.is_some());
            let Some(segment) = segment else { return true };
            let mut is_loss = false;
            let held = self.look_into(segment, unreadable);
            if let Some((damage, position)) = held.damage {
                is_loss = true;
                finding.details.push(("damage", damage.name().into()));
                finding.details.extend(position.map(|position| ("damagePosition", position)));
            }
            let range = finding.int("replacesFrom").zip(finding.int("replacesUntil"));
            let is_replaced = |base: Offset| {
                base == segment.base_offset || range.is_some_and(|(from, until)| (from..until).contains(&base.0))
            };
            let replaced = self.records.iter().filter(|(base, _)| is_replaced(*base));
            let replaced_records = replaced.clone().map(|(_, records)| records).sum::<u64>();
            if self.setting.depth > Depth::Quick {
                finding.details.push(("replacedRecords", replaced_records.into()));
                finding.details.push(("records", held.records.into()));
                let takes_newest = self.records.last().is_some_and(|(newest, _)| is_replaced(*newest));
                is_loss |= takes_newest && taken_in.len() == 1 && held.records < replaced_records;
            }
            if let Some((before, after)) = ends.filter(|(before, after)| after < before) {
                is_loss = true;
                finding.details.push(("logEndBefore", before.into()));
                finding.details.push(("logEndAfter", after.into()));
            }
            if is_loss {
                finding.severity = Severity::Error;
            }
            true
        });
    }

    /// What the segment holds that takes the place of others, and the first thing that is wrong with it.
    fn look_into(&self, segment: &SegmentFiles<'_>, unreadable: &mut Vec<StoreError>) -> Held {
        let behind = self.dir.segments().into_iter().filter(|other| other.log.is_some());
        let next_base_offset = behind.map(|other| other.base_offset).find(|base| *base > segment.base_offset);
        let task =
            SegmentTask { files: *segment, next_base_offset, snapshot_offsets: &[], setting: self.setting, stop: None };
        let judged = Worker::new(DEFAULT_LIMIT).judge(&task);
        unreadable.extend(judged.unreadable);
        // Where it reaches into the next segment, that is replaced too.
        let wrong = judged.findings.iter().find(|finding| finding.severity == Severity::Error);
        Held {
            records: judged.facts.records,
            damage: wrong.map(|finding| (finding.id, finding.place.position.map(Into::into))),
        }
    }

    /// Where the log ends after the next start if the files were not there, and as they are; `None` where that cannot be
    /// told.
    fn log_ends(&self) -> Option<(Offset, Offset)> {
        let mut without = self.dir.clone();
        without.files.retain(|file| file.name.state != FileState::Swap);
        let end = |dir: &PartitionDir| Some(self.start(dir)?.log_end_offset);
        Some((end(&without)?, end(self.dir)?))
    }

    fn start(&self, dir: &PartitionDir) -> Option<StartOutcome> {
        let conditions = StartConditions {
            log_start_offset: self.checkpointed.log_start_offset,
            recovery_point: self.checkpointed.recovery_point,
            ..StartConditions::new(self.setting.clean_shutdown, 0)
        };
        predict(dir, conditions, self.setting.policy).ok().filter(|start| start.refusal.is_none())
    }
}

/// What a segment holds that takes the place of others.
struct Held {
    records: u64,
    /// What is wrong with it, and where in the file.
    damage: Option<(Id, Option<super::Detail>)>,
}
