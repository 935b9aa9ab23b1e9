//! The chain of segments: whether each goes on where the one before ends.
//!
//! Segments are taken in order and one is kept: memory does not grow with their number.

use std::path::{Path, PathBuf};

use super::catalogue::Id;
use super::finding::{Finding, Findings, Severity};
use crate::format::Offset;
use crate::scan::segment_facts::{BatchPlace, SegmentFacts};

/// What is known of the segments so far.
#[derive(Debug, Default)]
pub struct Chain {
    before: Option<Before>,
    first_base_offset: Option<Offset>,
    /// Whether offsets are left out inside segments, as compaction leaves them.
    has_gaps: bool,
}

/// The segment before, and what all before it lead to.
#[derive(Debug)]
struct Before {
    path: PathBuf,
    base_offset: Offset,
    last: Option<BatchPlace>,
    size_in_bytes: u64,
    /// The offset behind the last batch of all segments so far, or the base of the first where there is none;
    /// `None` where the last bytes of that log are damaged or could not be read, so that it may go on.
    expected: Option<Offset>,
    next_offset: Offset,
    is_whole: bool,
}

/// What surrounds the chain and explains what is seen in it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context<'a> {
    /// Whether it is the metadata log of KRaft, which is never compacted.
    pub is_metadata_log: bool,
    /// Whether the log dir's cleaner checkpoint says that the partition was compacted.
    pub was_compacted: bool,
    /// Whether the log dir's cleaner checkpoint can be read and does not name the partition.
    pub was_never_compacted: bool,
    /// The offsets of producer snapshots, in order: one is taken where a segment begins.
    pub snapshot_offsets: &'a [Offset],
    /// The log start offset in the log dir's checkpoint.
    pub log_start_offset: Option<Offset>,
}

impl Chain {
    /// Takes in the next segment, which has a log. `is_whole`: its log was read to its end, or to damage.
    pub fn take(
        &mut self,
        path: &Path,
        facts: &SegmentFacts,
        is_whole: bool,
        is_newest: bool,
        context: Context<'_>,
        findings: &mut Findings,
    ) {
        let is_empty = facts.batches == 0;
        if let Some(before) = &self.before {
            ends_before_the_next(before, facts, findings);
            match (is_empty, is_newest) {
                (false, _) => {
                    let shows_compaction = self.has_gaps || has_gaps(facts);
                    let context = Context {
                        was_compacted: context.was_compacted || shows_compaction,
                        was_never_compacted: context.was_never_compacted && !shows_compaction,
                        ..context
                    };
                    follows_without_a_gap(before, facts, path, context, findings);
                }
                (true, true) if facts.size_in_bytes == 0 => {
                    let was_compacted = context.was_compacted || self.has_gaps;
                    newest_begins_at_the_end(before, facts, path, Context { was_compacted, ..context }, findings);
                }
                (true, _) => {}
            }
        }
        self.first_base_offset.get_or_insert(facts.base_offset);
        // Nothing but compaction empties a segment: one that holds nothing is never rolled.
        self.has_gaps |= has_gaps(facts) || (is_empty && facts.size_in_bytes == 0);
        let is_sound = is_whole && facts.is_intact();
        let expected = match &self.before {
            // An empty segment between others changes nothing: compaction leaves them.
            Some(before) if is_empty && is_sound => before.expected,
            _ => is_sound.then(|| facts.next_offset()),
        };
        self.before = Some(Before {
            path: path.to_owned(),
            base_offset: facts.base_offset,
            last: facts.last,
            size_in_bytes: facts.size_in_bytes,
            expected,
            next_offset: facts.next_offset(),
            is_whole,
        });
    }

    /// The base offset of the first segment.
    pub fn first_base_offset(&self) -> Option<Offset> {
        self.first_base_offset
    }

    /// The offset behind the last batch of the newest segment (exclusive), or its base where it holds none.
    /// `None` where there is no segment, or where its log could not be read to its end.
    pub fn log_end_offset(&self) -> Option<Offset> {
        self.before.as_ref().filter(|newest| newest.is_whole).map(|newest| newest.next_offset)
    }
}

/// Whether offsets are missing in the segment. Of compressed messages before magic 2 only the last offset is known.
fn has_gaps(facts: &SegmentFacts) -> bool {
    let held = facts.first.zip(facts.last).map(|(first, last)| {
        u64::try_from(last.last_offset.0.saturating_sub(first.base_offset.0)).unwrap_or(0).saturating_add(1)
    });
    facts.gaps > 0 || (!facts.has_old_magic && held.is_some_and(|held| facts.records < held))
}

/// No offset of a segment is the base of the next one or lies behind it. A broker seeks such offsets in the next
/// segment only; who reads on from before gets them twice.
///
/// Only the last batch counts: one in the middle with such an offset is out of order in its own log.
///
/// Source: Kafka `LogSegments.floorSegment`, `LocalLog.read`.
fn ends_before_the_next(before: &Before, next: &SegmentFacts, findings: &mut Findings) {
    let Some(last) = before.last.filter(|last| last.last_offset >= next.base_offset) else { return };
    findings.push(
        Finding::new(Id::SegmentsOverlap, &before.path)
            .at(last.position, before.size_in_bytes.saturating_sub(last.position.0))
            .offset(next.base_offset)
            .with("baseOffset", before.base_offset)
            .with("lastOffset", last.last_offset)
            .with("nextBaseOffset", next.base_offset),
    );
}

/// The next segment with data begins where the data before ends. Compaction, and a leader whose log has gaps, leave
/// some out; so does the loss of a segment. The metadata log is never compacted. Where a segment once began at the gap,
/// or nothing shows a compaction, a loss is likely.
///
/// Source: none in Kafka: brokers do not look.
fn follows_without_a_gap(
    before: &Before,
    next: &SegmentFacts,
    path: &Path,
    context: Context<'_>,
    findings: &mut Findings,
) {
    let Some(expected) = before.expected.filter(|expected| *expected < next.base_offset) else { return };
    let began_here = !context.was_compacted && context.snapshot_offsets.binary_search(&expected).is_ok();
    let finding = Finding::new(Id::SegmentsGap, path)
        .offset(expected)
        .with("expectedOffset", expected)
        .with("baseOffset", next.base_offset)
        .with("missingOffsets", next.base_offset.0.saturating_sub(expected.0));
    let is_read = context.log_start_offset.is_none_or(|log_start| log_start < next.base_offset);
    findings.push(match is_read {
        true if context.is_metadata_log => finding.as_severity(Severity::Error),
        true if began_here || context.was_never_compacted => finding.as_severity(Severity::Warning),
        _ => finding,
    });
}

/// A newest segment without data begins where the data before ends: its base offset is the log end. If it is too high,
/// the offsets before it are never written and who reads there waits for them.
///
/// Where records were compacted away at the end of the segment before, it is legal.
///
/// Source: Kafka `LogSegment.readNextOffset`.
fn newest_begins_at_the_end(
    before: &Before,
    newest: &SegmentFacts,
    path: &Path,
    context: Context<'_>,
    findings: &mut Findings,
) {
    let Some(expected) = before.expected.filter(|expected| *expected < newest.base_offset) else { return };
    let finding = Finding::new(Id::SegmentsEmptyJump, path)
        .offset(expected)
        .with("expectedOffset", expected)
        .with("baseOffset", newest.base_offset)
        .with("missingOffsets", newest.base_offset.0.saturating_sub(expected.0));
    let is_read = context.log_start_offset.is_none_or(|log_start| log_start < newest.base_offset);
    findings.push(match context.was_compacted || !is_read {
        true => finding.as_severity(Severity::Info),
        false => finding,
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Position;
    use crate::scan::ScanEnd;

    /// A segment of one batch with offsets up to `last`, or of none.
    fn segment(base: i64, last: Option<i64>) -> SegmentFacts {
        let mut facts = SegmentFacts::new(Offset(base), last.map_or(0, |_| 100), &[]);
        if let Some(last) = last {
            let place = BatchPlace { position: Position(0), base_offset: Offset(base), last_offset: Offset(last) };
            facts.batches = 1;
            facts.records = (last - base + 1) as u64;
            (facts.first, facts.last) = (Some(place), Some(place));
            facts.max_last_offset = Some(Offset(last));
        }
        facts
    }

    fn torn(mut facts: SegmentFacts) -> SegmentFacts {
        facts.end = ScanEnd::TornTail { position: Position(100), length: 7 };
        facts
    }

    fn chain_of(segments: &[SegmentFacts], context: Context<'_>) -> (Chain, Vec<(Id, Severity, i64)>) {
        let (mut chain, mut findings) = (Chain::default(), Findings::new());
        for (at, facts) in segments.iter().enumerate() {
            let is_newest = at + 1 == segments.len();
            chain.take(Path::new("x.log"), facts, true, is_newest, context, &mut findings);
        }
        let seen = |finding: Finding| (finding.id, finding.severity, finding.place.offset.unwrap().0);
        (chain, findings.into_vec().into_iter().map(seen).collect())
    }

    fn seen(segments: &[SegmentFacts]) -> Vec<(Id, Severity, i64)> {
        chain_of(segments, Context::default()).1
    }

    #[test]
    fn segments_that_go_on_where_the_one_before_ends_are_no_news() {
        let segments = [segment(0, Some(9)), segment(10, Some(19)), segment(20, None)];
        let (chain, seen) = chain_of(&segments, Context::default());
        assert_eq!(seen, []);
        assert_eq!((chain.first_base_offset(), chain.log_end_offset()), (Some(Offset(0)), Some(Offset(20))));
        assert_eq!(chain_of(&[], Context::default()).0.log_end_offset(), None);
    }

    #[test]
    fn offsets_in_two_segments_are_an_error() {
        let expected = [(Id::SegmentsOverlap, Severity::Error, 10)];
        assert_eq!(seen(&[segment(0, Some(10)), segment(10, Some(19))]), expected);
    }

    #[test]
    fn an_offset_out_of_order_inside_a_segment_is_no_overlap() {
        let mut facts = segment(0, Some(9));
        facts.max_last_offset = Some(Offset(1 << 40));
        assert_eq!(seen(&[facts, segment(10, Some(19))]), []);
    }

    #[test]
    fn offsets_between_segments_that_none_holds_are_information() {
        let expected = [(Id::SegmentsGap, Severity::Info, 10)];
        assert_eq!(seen(&[segment(0, Some(9)), segment(15, Some(19))]), expected);
        // Also over empty segments, once.
        assert_eq!(seen(&[segment(0, Some(9)), segment(15, None), segment(20, Some(29))]), expected);
    }

    #[test]
    fn the_metadata_log_has_no_gaps() {
        let context = Context { is_metadata_log: true, ..Context::default() };
        let seen = chain_of(&[segment(0, Some(9)), segment(15, Some(19))], context).1;
        assert_eq!(seen, [(Id::SegmentsGap, Severity::Error, 10)]);
    }

    #[test]
    fn a_gap_where_a_segment_began_or_nothing_was_compacted_is_a_warning() {
        let segments = [segment(0, Some(9)), segment(15, Some(19))];
        let severity = |context, segments: &[SegmentFacts]| {
            let seen = chain_of(segments, context).1;
            assert_eq!((seen.len(), seen[0].0, seen[0].2), (1, Id::SegmentsGap, 10));
            seen[0].1
        };
        let at_start = [Offset(0), Offset(10), Offset(15)];
        let began = Context { snapshot_offsets: &at_start, ..Context::default() };
        assert_eq!(severity(began, &segments), Severity::Warning);
        // Segments that a compaction has emptied lie there still.
        let emptied = [segment(0, Some(9)), segment(10, None), segment(12, None), segment(15, Some(19))];
        assert_eq!(severity(began, &emptied), Severity::Info);
        let elsewhere = Context { snapshot_offsets: &[Offset(0), Offset(12)], ..Context::default() };
        assert_eq!(severity(elsewhere, &segments), Severity::Info);
        let never = Context { was_never_compacted: true, ..Context::default() };
        assert_eq!(severity(never, &segments), Severity::Warning);
        let deleted = Context { log_start_offset: Some(Offset(15)), ..never };
        assert_eq!(severity(deleted, &segments), Severity::Info);
        // A follower gets the gaps of a compacted leader before its own cleaner has come by.
        let mut with_gaps = segment(0, Some(9));
        with_gaps.gaps = 1;
        assert_eq!(severity(never, &[with_gaps, segment(15, Some(19))]), Severity::Info);
    }

    #[test]
    fn a_gap_behind_damage_is_not_told_again() {
        assert_eq!(seen(&[torn(segment(0, Some(9))), segment(15, Some(19)), segment(20, Some(29))]), []);
        assert_eq!(seen(&[torn(segment(0, Some(9))), segment(15, None)]), []);
        assert_eq!(seen(&[torn(segment(0, None)), segment(15, None), segment(20, Some(22))]), []);
    }

    #[test]
    fn an_empty_newest_segment_too_far_on_is_a_warning_unless_compaction_explains_it() {
        let segments = [segment(0, Some(9)), segment(30, None)];
        assert_eq!(seen(&segments), [(Id::SegmentsEmptyJump, Severity::Warning, 10)]);
        let legal = [(Id::SegmentsEmptyJump, Severity::Info, 10)];
        let compacted = Context { was_compacted: true, ..Context::default() };
        assert_eq!(chain_of(&segments, compacted).1, legal);
        let deleted = Context { log_start_offset: Some(Offset(30)), ..Context::default() };
        assert_eq!(chain_of(&segments, deleted).1, legal);
        let mut with_gaps = segment(0, Some(9));
        with_gaps.records = 4;
        assert_eq!(seen(&[with_gaps, segment(30, None)]), legal);
    }

    #[test]
    fn the_end_of_a_log_that_could_not_be_read_is_not_known() {
        let mut chain = Chain::default();
        chain.take(Path::new("x.log"), &segment(0, Some(9)), false, true, Context::default(), &mut Findings::new());
        assert_eq!(chain.log_end_offset(), None);
    }
}
