//! The ends of a log, and those of a segment that was chosen: what lies beyond them, and what checkpoints say of them.

use super::{Found, Place};
use crate::format::Offset;
use crate::report::lookup::{Answer, Query};
use crate::scan::ScanEnd;
use crate::scan::locate::offset::log_end;
use crate::scan::locate::{LogEnd, Reading, Trace};
use crate::store::StoreError;

/// The answer lies in a segment that was not chosen.
pub(super) const NOT_IN_SEGMENT: &str = "notInSegment";

/// Where what was looked for lies beyond the ends of the segments that were chosen, and the partition goes on there.
pub(super) fn beyond_the_segment(place: &Place<'_>, query: &Query) -> Result<Option<Found>, StoreError> {
    let view = &place.view;
    let Some(base) = view.segments().first().map(|first| first.base_offset).filter(|_| view.is_part()) else {
        return Ok(None);
    };
    let wanted = match (query, view.goes_on_at()) {
        (Query::Offset(offset), _) => *offset,
        (Query::Earliest | Query::EarliestLocal, _) => view.log_start_offset(),
        (Query::Latest, Some(end)) => end,
        _ => return Ok(None),
    };
    let words = if wanted < base {
        format!("this segment begins at {base}, and the partition before: ask {}", place.quoted_dir)
    } else if view.goes_on_at().is_some_and(|end| end <= wanted) {
        ends_here(place)?
    } else {
        return Ok(None);
    };
    Ok(Some(not_in_segment(words, Trace::default())))
}

/// The same once it was looked for.
pub(super) fn not_in_segment(words: String, trace: Trace) -> Found {
    Found { answer: Answer::without_record(false, NOT_IN_SEGMENT, words), trace, start: None }
}

/// Where the segment ends that was chosen, and what to ask instead.
pub(super) fn ends_here(place: &Place<'_>) -> Result<String, StoreError> {
    let view = &place.view;
    let base = view.segments().last().map(|last| last.base_offset);
    let end = log_end(view, Reading::Checked, &mut Trace::default())?.offset;
    let ends = match end.0.checked_sub(1) {
        Some(last) if base.is_some_and(|base| base < end) => format!("this segment ends at {last}"),
        _ => "this segment is empty".to_owned(),
    };
    Ok(format!("{ends}; the partition goes on: ask {}", place.quoted_dir))
}

/// Whether `target`, at or above the log end, may be in bytes at the end of the log that are no intact batch.
pub(super) fn may_be_in_the_tail(place: &Place<'_>, target: Offset, end: &LogEnd) -> bool {
    let high_watermark = place.checkpointed.high_watermark.filter(|offset| *offset > end.offset);
    match end.tail {
        _ if end.is_contradicted => end.offset <= target && target <= high_watermark.unwrap_or(end.offset),
        None => false,
        // A running broker may just be writing it.
        Some(_) if place.may_change => false,
        // Zeros are no record, unless one is known to have been there.
        Some(ScanEnd::ZeroFill { .. }) => high_watermark.is_some_and(|most| end.offset <= target && target <= most),
        Some(_) => end.offset <= target && target <= high_watermark.unwrap_or(end.offset),
    }
}

/// What is odd about what the checkpoints say of a log that ends at `end`.
pub(super) fn odd_checkpoint(place: &Place<'_>, end: Offset) -> Option<String> {
    if let Some(start) = place.view.log_start_checkpoint().filter(|start| *start > end) {
        return Some(format!(
            "the log start checkpoint says {start}, and the log ends at {end}: a broker would delete the log when it starts"
        ));
    }
    let high_watermark = place.checkpointed.high_watermark.filter(|offset| *offset > end)?;
    Some(format!("the checkpointed high watermark {high_watermark} lies beyond the log end {end}"))
}
