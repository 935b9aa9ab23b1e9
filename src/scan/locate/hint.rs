//! An offset index as a hint: where a walk may begin, once the log has confirmed it.

use super::trace::{Step, Trace};
use super::view::PartitionView;
use crate::format::batch::BatchHeader;
use crate::format::{Offset, Position};
use crate::store::StoreError;

/// How many entries are tried, further and further back, before the walk begins at the start of the segment.
const MOST_TRIES: usize = 8;

/// Where a walk for `target` through the segment at `at` may begin: at an intact batch that continues the segment and
/// begins at or below `target`. `None` where no entry leads to one.
///
/// A batch that begins above proves nothing about what lies before it, so earlier entries are tried.
///
/// Errors: a file could not be read. An index that cannot be read is none.
pub(super) fn landing(
    view: &PartitionView<'_>,
    at: usize,
    target: Offset,
    trace: &mut Trace,
) -> Result<Option<Position>, StoreError> {
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
            && reader.is_intact(start.0, &header)?
        {
            trace.add(Step::OffsetIndexEntry { segment: base, slot: Some(step_slot), offset, position });
            return Ok(Some(start));
        }
        trace.add(Step::EntryRefused { segment: base, slot: step_slot, offset, position });
        let Some(earlier) = slot.checked_sub(1 << tries) else { break };
        slot = earlier;
    }
    Ok(None)
}
