//! Logs whose offsets cannot be believed, or whose batches were lost: what else looks wrong then is a consequence.

use super::Id;
use super::finding::{Findings, Severity};
use super::segment::JudgedSegment;
use crate::format::{Offset, Position};
use crate::scan::segment_facts::SegmentFacts;

/// Whether the offsets of the segment contradict each other, or the base of the next segment: then nothing can be told
/// by them.
pub(super) fn is_disordered(judged: &JudgedSegment, next_base_offset: Option<Offset>) -> bool {
    let disorder = [Id::LogOffsetsNotIncreasing, Id::LogOffsetBelowBase, Id::LogOffsetOverflow];
    let reaches_the_next = next_base_offset.is_some_and(|next| judged.facts.max_last_offset >= Some(next));
    reaches_the_next || judged.findings.iter().any(|finding| disorder.contains(&finding.id))
}

/// Whether batches of the segment are known to be lost, or to be others than they were: what the log does not show of
/// producers may have been there.
pub(super) fn lacks_batches(judged: &JudgedSegment) -> bool {
    let is_unreadable = |id| id == Id::LogRecordsUndecodable;
    let mut findings = judged.findings.iter();
    judged.batches_are_lost || findings.any(|finding| is_unreadable(finding.id) && finding.severity == Severity::Error)
}

/// How many batches lie below the base offset, where most of the `batches` do: the file as a whole is wrong.
pub(super) fn mostly_below_base(findings: &Findings, batches: u64) -> Option<u64> {
    let below = findings.iter().filter(|finding| finding.id == Id::LogOffsetBelowBase);
    let below = below.map(|finding| finding.more.saturating_add(1)).fold(0, u64::saturating_add);
    (below > 1 && below > batches / 2).then_some(below)
}

/// Leaves one finding for all batches below the base offset.
pub(super) fn fold_below_base(findings: &mut Findings, wrong: u64, batches: u64) {
    let mut is_told = false;
    findings.retain(|finding| {
        if finding.id != Id::LogOffsetBelowBase {
            return true;
        }
        if !is_told {
            finding.more = 0;
            finding.details.push(("wrongBatches", wrong.into()));
            finding.details.push(("batches", batches.into()));
        }
        !std::mem::replace(&mut is_told, true)
    });
}

/// Whether the file as a whole was found to be of another base offset.
pub(super) fn is_of_another_base(findings: &Findings) -> bool {
    findings.iter().any(|finding| finding.id == Id::LogOffsetBelowBase && finding.int("wrongBatches").is_some())
}

/// Whether the batch at `position` was found to have wrong offsets itself.
pub(super) fn is_wrong_batch(findings: &Findings, position: Position) -> bool {
    findings.iter().any(|finding| {
        let is_itself = finding.id == Id::LogOffsetsNotIncreasing && finding.int("nextOffset").is_some();
        is_itself && finding.place.position == Some(position)
    })
}

/// Whether a kind of finding is about the index file alone, whatever the log is like.
pub(super) fn is_of_the_file(id: Id) -> bool {
    matches!(id, Id::IndexPartialEntry | Id::IndexZeroPadding | Id::TimeIndexPartialEntry | Id::TimeIndexZeroPadding)
}

/// Whether index entries behind the first offsets that are left out point past batches: they were made when more bytes
/// lay before them. A compaction makes the indexes again.
pub(super) fn shows_loss(facts: &SegmentFacts, of_indexes: &Findings) -> bool {
    let Some((_, behind)) = facts.first_gap else { return false };
    let is_behind = |position| i64::try_from(behind.position.0).is_ok_and(|behind| position >= behind);
    let mut shifted = of_indexes.iter().filter(|finding| is_shifted(finding.id));
    shifted.any(|finding| finding.int("indexPosition").is_some_and(is_behind))
}

/// Whether a kind of finding is about an entry whose bytes of the log have moved.
fn is_shifted(id: Id) -> bool {
    matches!(id, Id::IndexPositionInsideBatch | Id::IndexPositionPastEnd | Id::IndexSkipsOffsets)
}

/// Leaves one finding for all entries of the offset index that point behind `damage` and to no batch.
pub(super) fn fold_behind(damage: Option<Position>, of_indexes: &mut Findings) {
    let Some(damage) = damage.and_then(|position| i64::try_from(position.0).ok()) else { return };
    let is_consequence = |finding: &super::finding::Finding| {
        is_shifted(finding.id) && finding.int("indexPosition").is_some_and(|position| position >= damage)
    };
    let all = of_indexes.iter().filter(|finding| is_consequence(finding));
    let more = all.map(|finding| finding.more.saturating_add(1)).fold(0, u64::saturating_add).saturating_sub(1);
    let mut is_told = false;
    of_indexes.retain(|finding| {
        if !is_consequence(finding) {
            return true;
        }
        finding.more = more;
        !std::mem::replace(&mut is_told, true)
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Finding;

    fn below(count: u64) -> Findings {
        (0..count).map(|_| Finding::new(Id::LogOffsetBelowBase, "x.log")).collect()
    }

    #[test]
    fn a_log_of_another_base_is_one_finding_with_a_count() {
        let mut findings = below(519);
        let wrong = mostly_below_base(&findings, 520);
        assert_eq!(wrong, Some(519));
        assert!(!is_of_another_base(&findings));
        fold_below_base(&mut findings, 519, 520);
        let all: Vec<_> = findings.iter().collect();
        assert_eq!((all.len(), all[0].more, all[0].int("wrongBatches")), (1, 0, Some(519)));
        assert!(is_of_another_base(&findings));
    }

    #[test]
    fn a_few_batches_below_the_base_stay_apart() {
        assert_eq!(mostly_below_base(&below(1), 1), None);
        assert_eq!(mostly_below_base(&below(4), 8), None);
    }
}
