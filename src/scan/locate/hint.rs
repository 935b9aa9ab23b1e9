//! An offset index as a hint: where a walk may begin, once the log has confirmed it.

use super::trace::{Step, Trace};
use super::view::{PartitionView, RecordPlace};
use crate::format::batch::BatchHeader;
use crate::format::time_index::TimeIndexEntry;
use crate::format::{Offset, Position};
use crate::store::StoreError;

/// How many entries are tried, further and further back, before the walk begins at the start of the segment.
const MOST_TRIES: usize = 8;

/// Where a walk may begin, as an entry says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Landing {
    /// Where a header lies that continues the segment.
    pub(super) start: Position,
    /// Where the next entry says that a batch begins: a walk from `start` that does not meet it is not in the log, but
    /// in a value that holds batches of another.
    pub(super) leads_to: Option<Position>,
    /// Where the entry before says that a batch begins, or else the start of the segment.
    pub(super) before: Position,
    /// The offset in the entry: the batch that it was made for, at `start` or behind, reaches it.
    pub(super) offset: Offset,
}

/// Where a walk for `target` through the segment at `at` may begin: at a header that continues the segment and begins at
/// or below `target`. `None` where no entry leads to one. The walk must show that the log goes on from there.
///
/// A batch that begins above proves nothing about what lies before it, so earlier entries are tried.
///
/// Errors: a file could not be read. An index that cannot be read is none.
pub(super) fn landing(
    view: &PartitionView<'_>,
    at: usize,
    target: Offset,
    trace: &mut Trace,
) -> Result<Option<Landing>, StoreError> {
    let Some(segment) = view.segments().get(at) else { return Ok(None) };
    let base = segment.base_offset;
    let mut reader = segment.reader()?;
    let exists = segment.has_offset_index();
    let mut no_index = || {
        if reader.len() > 0 {
            trace.add(Step::NoIndex { segment: base, exists });
        }
        Ok(None)
    };
    let Ok(Some(mut index)) = segment.offset_index() else { return no_index() };
    let slots = index.offset_slots_in_use()?;
    if slots == 0 {
        // An empty file is what a short segment has; zeros are what a crash leaves, or damage.
        return if index.offset_slots() > 0 { no_index() } else { Ok(None) };
    }
    let Some(floor) = index.offset_floor(target, slots)? else { return Ok(None) };
    let mut slot = floor;
    for tries in 0..MOST_TRIES {
        let Some(entry) = index.offset_entry(slot)? else { break };
        let position = i64::from(entry.raw_position);
        let (step_slot, offset) = (slot, entry.offset);
        if let Some(start) = entry.position()
            && start.0 < reader.len()
            && let Ok(header) = BatchHeader::read(reader.header_bytes(start.0)?)
            && view.so_far(at).continues_with(&header)
            && header.base_offset().unwrap_or(header.last_offset()) <= target
            && header.size_in_bytes() <= reader.len() - start.0
        {
            trace.add(Step::OffsetIndexEntry { segment: base, slot: Some(step_slot), offset, position });
            let next = if slot + 1 < slots { index.offset_entry(slot + 1)? } else { None };
            let leads_to = next.and_then(|next| next.position()).filter(|next| start < *next && next.0 < reader.len());
            let before = match slot.checked_sub(1) {
                Some(before) => index.offset_entry(before)?.and_then(|entry| entry.position()),
                None => None,
            };
            view.keep(at, reader);
            return Ok(Some(Landing { start, leads_to, before: before.unwrap_or_default(), offset }));
        }
        trace.add(Step::EntryRefused { segment: base, slot: step_slot, offset, position });
        let Some(earlier) = slot.checked_sub(1 << tries) else { break };
        slot = earlier;
    }
    Ok(None)
}

/// Compares the time index of the segment that `found` is in with what was found for `timestamp` (milliseconds) without
/// it: `trace` tells where a broker that believes the index would pass over the segment or begin behind the record.
///
/// Errors: a file could not be read. An index that cannot be read is none.
pub(super) fn compare_time_index(
    view: &PartitionView<'_>,
    found: RecordPlace,
    timestamp: i64,
    trace: &mut Trace,
) -> Result<(), StoreError> {
    let Some(segment) = view.segments().get(found.batch.segment) else { return Ok(()) };
    let (base, exists) = (segment.base_offset, segment.has_time_index());
    let Ok(Some(mut index)) = segment.time_index() else {
        trace.add(Step::NoTimeIndex { segment: base, exists });
        return Ok(());
    };
    let Some(last) = index.time_slots().checked_sub(1) else {
        trace.add(Step::NoTimeIndex { segment: base, exists });
        return Ok(());
    };
    let mut refuse = |slot: usize, entry: TimeIndexEntry| {
        let TimeIndexEntry { timestamp, offset, .. } = entry;
        trace.add(match (slot, timestamp) {
            // Preallocated, or all zero.
            (_, 0) => Step::NoTimeIndex { segment: base, exists },
            _ => Step::TimeEntryRefused { segment: base, slot, offset, timestamp },
        });
    };
    if let Some(entry) = index.time_entry(last)?.filter(|entry| entry.timestamp < timestamp) {
        refuse(last, entry);
    } else if let Some(slot) = index.time_floor(timestamp)?
        && let Some(entry) = index.time_entry(slot)?.filter(|entry| entry.offset > found.batch.header.last_offset())
    {
        refuse(slot, entry);
    }
    Ok(())
}
