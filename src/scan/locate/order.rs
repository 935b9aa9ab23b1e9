//! Whether the offsets of a segment's batches rise, and which batches are to be believed where they do not.
//!
//! No checksum covers the base offset of a batch, and an intact batch may lie where it was copied to. What shows either
//! is that offsets go back from one batch to the next, or leave the segment. Of the batches that contradict one another
//! the longest rising sequence is believed.

use super::trace::{Step, Trace};
use super::view::{BatchPlace, PartitionView};
use crate::format::batch::{BatchHeader, RECORD_BATCH_OVERHEAD};
use crate::format::{Offset, Position};
use crate::scan::{BatchScan, ScanOptions};
use crate::store::window::Window;
use crate::store::{ReadStorage, StoreError};

/// The first offset of a batch, as far as the header tells: of a compressed message it tells only the last.
fn first_of(header: &BatchHeader) -> Offset {
    header.base_offset().unwrap_or(header.last_offset())
}

/// Watches the offsets of one segment, batch by batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    base: Offset,
    /// The first offset that does not belong to the segment any more.
    end: Offset,
    last: Option<Offset>,
    is_broken: bool,
}

impl Order {
    pub(super) fn of(view: &PartitionView<'_>, at: usize) -> Self {
        let so_far = view.so_far(at);
        Self { base: so_far.next_offset, end: so_far.end_offset, last: None, is_broken: false }
    }

    /// Whether a batch lies inside the segment with all its offsets.
    pub(super) fn is_inside(&self, header: &BatchHeader) -> bool {
        self.holds(first_of(header), header.last_offset())
    }

    fn holds(&self, first: Offset, last: Offset) -> bool {
        self.base <= first && first <= last && last < self.end
    }

    /// Takes in the next batch.
    pub(super) fn take(&mut self, header: &BatchHeader) {
        let is_inside = self.is_inside(header);
        self.is_broken |= !is_inside || self.last.is_some_and(|last| first_of(header) <= last);
        if is_inside {
            self.last = Some(header.last_offset());
        }
    }

    /// Whether some batch so far contradicts the others or the segment's name.
    pub(super) fn is_broken(&self) -> bool {
        self.is_broken
    }
}

/// An intact batch of a segment in which not all offsets rise.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    position: u64,
    size: u64,
    first: Offset,
    last: Offset,
    /// Whether bytes that are no intact batch lie directly before it.
    follows_damage: bool,
    is_believed: bool,
}

/// All intact batches of the segment at `at`, and which of them are believed.
pub(super) fn placed(view: &PartitionView<'_>, at: usize) -> Result<Vec<Placed>, StoreError> {
    let Some(segment) = view.segments().get(at) else { return Ok(Vec::new()) };
    let log = segment.log()?;
    let mut scan = BatchScan::new(log.as_ref(), view.so_far(at), ScanOptions::default());
    let (mut batches, mut follows_damage) = (Vec::new(), false);
    loop {
        while let Some(batch) = scan.next_batch()? {
            let (position, size) = (batch.position.0, batch.header.size_in_bytes());
            let (first, last) = (first_of(batch.header), batch.header.last_offset());
            batches.push(Placed { position, size, first, last, follows_damage, is_believed: false });
            follows_damage = false;
        }
        if !scan.skip_damage() {
            break;
        }
        follows_damage = true;
    }
    believe(&mut batches, &Order::of(view, at));
    Ok(batches)
}

/// Believes the longest sequence in which offsets rise, of the batches that lie inside the segment.
fn believe(batches: &mut [Placed], bounds: &Order) {
    // For each length of a sequence, the batch that ends it with the lowest offset.
    let mut ends: Vec<usize> = Vec::new();
    let mut before = vec![None; batches.len()];
    let mut longest: Option<(usize, Offset, usize)> = None;
    for (at, batch) in batches.iter().enumerate().filter(|(_, batch)| bounds.holds(batch.first, batch.last)) {
        let last_of = |end: &usize| batches.get(*end).map(|end| end.last);
        let length = ends.partition_point(|end| last_of(end) < Some(batch.first));
        if let Some(slot) = before.get_mut(at) {
            *slot = length.checked_sub(1).and_then(|length| ends.get(length)).copied();
        }
        // Of two that are equally long, the one that goes further.
        longest = longest.max(Some((length, batch.last, at)));
        match ends.get_mut(length) {
            None => ends.push(at),
            // Of two that end alike, the wider one holds more.
            Some(end) => {
                let is_better =
                    batches.get(*end).is_none_or(|known| (batch.last, batch.first) < (known.last, known.first));
                if is_better {
                    *end = at;
                }
            }
        }
    }
    let mut next = longest.map(|(_, _, at)| at);
    while let Some(at) = next {
        if let Some(batch) = batches.get_mut(at) {
            batch.is_believed = true;
        }
        next = before.get(at).copied().flatten();
    }
}

/// Where an offset is among batches that contradict one another.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Among {
    /// Where the batch begins that holds it, or the first one behind.
    pub(super) position: Option<Position>,
    /// Whether what is missing may be in unreadable bytes, or under another offset.
    pub(super) is_behind_damage: bool,
}

/// Where `target` is: in a batch that is believed, in one that is not, or in front of one that is believed.
pub(super) fn find(batches: &[Placed], target: Offset) -> Among {
    let holds = |batch: &&Placed| batch.first <= target && target <= batch.last;
    let mut believed = batches.iter().filter(|batch| batch.is_believed);
    if let Some(holder) = believed.find(holds).or_else(|| batches.iter().find(holds)) {
        return Among { position: Some(Position(holder.position)), is_behind_damage: false };
    }
    let mut is_behind_damage = false;
    for batch in batches {
        is_behind_damage |= batch.follows_damage || !batch.is_believed;
        if batch.is_believed {
            if batch.last >= target {
                return Among { position: Some(Position(batch.position)), is_behind_damage };
            }
            is_behind_damage = false;
        }
    }
    Among { position: None, is_behind_damage }
}

/// The header of the last batch that is believed.
pub(super) fn last_believed(log: &dyn ReadStorage, batches: &[Placed]) -> Result<Option<BatchHeader>, StoreError> {
    let last = batches.iter().rev().find(|batch| batch.is_believed);
    Ok(match last {
        Some(last) => header_at(log, Position(last.position))?,
        None => None,
    })
}

/// Whether the last batch is one that is not believed.
pub(super) fn ends_in_doubt(batches: &[Placed]) -> bool {
    batches.last().is_some_and(|last| !last.is_believed)
}

/// The batch that begins at `position` of the segment at `at`.
pub(super) fn place_at(
    view: &PartitionView<'_>,
    at: usize,
    position: Position,
) -> Result<Option<BatchPlace>, StoreError> {
    let Some(segment) = view.segments().get(at) else { return Ok(None) };
    let header = header_at(segment.log()?.as_ref(), position)?;
    Ok(header.map(|header| BatchPlace { segment: at, position, header }))
}

fn header_at(log: &dyn ReadStorage, position: Position) -> Result<Option<BatchHeader>, StoreError> {
    Ok(BatchHeader::read(Window::new(log).at(position.0, RECORD_BATCH_OVERHEAD as u64)?).ok())
}

/// Tells which batches of the segment at `at` that begin before `until` are not believed, neighbours in one.
///
/// Errors: a file could not be read.
pub(super) fn tell(view: &PartitionView<'_>, at: usize, until: Position, trace: &mut Trace) -> Result<(), StoreError> {
    let batches = placed(view, at)?;
    tell_of(view, at, &batches, until, trace);
    Ok(())
}

/// The same where the batches are known.
pub(super) fn tell_of(view: &PartitionView<'_>, at: usize, batches: &[Placed], until: Position, trace: &mut Trace) {
    let Some(segment) = view.segments().get(at).map(|segment| segment.base_offset) else { return };
    let bounds = Order::of(view, at);
    let mut stretch: Option<Step> = None;
    for (number, batch) in batches.iter().enumerate().filter(|(_, batch)| !batch.is_believed) {
        if batch.position >= until.0 {
            break;
        }
        let behind = batch.position.saturating_add(batch.size);
        let follows = batches.get(number + 1).is_some_and(|next| next.position == behind).then_some(Position(behind));
        if let Some(Step::Contradiction { size_in_bytes, last_offset, next, count, .. }) = &mut stretch
            && *next == Some(Position(batch.position))
        {
            *size_in_bytes += batch.size;
            (*last_offset, *next, *count) = (batch.last, follows, *count + 1);
            continue;
        }
        stretch.take().into_iter().for_each(|step| trace.add(step));
        stretch = Some(Step::Contradiction {
            segment,
            position: Position(batch.position),
            size_in_bytes: batch.size,
            count: 1,
            first_offset: batch.first,
            last_offset: batch.last,
            is_outside: !bounds.holds(batch.first, batch.last),
            next: follows,
        });
    }
    stretch.into_iter().for_each(|step| trace.add(step));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn believed(offsets: &[(i64, i64)]) -> Vec<usize> {
        let place = |(at, &(first, last)): (usize, &(i64, i64))| Placed {
            position: 100 * at as u64,
            size: 100,
            first: Offset(first),
            last: Offset(last),
            follows_damage: false,
            is_believed: false,
        };
        let mut batches: Vec<_> = offsets.iter().enumerate().map(place).collect();
        believe(&mut batches, &Order { base: Offset(0), end: Offset(1000), last: None, is_broken: false });
        (0..batches.len()).filter(|at| batches[*at].is_believed).collect()
    }

    #[test]
    fn the_longest_rising_sequence_is_believed() {
        assert_eq!(believed(&[(0, 1), (2, 3), (4, 5)]), [0, 1, 2]);
        // One base offset that rose, one that fell, one that left the segment at either end.
        assert_eq!(believed(&[(0, 1), (700, 701), (4, 5), (6, 7)]), [0, 2, 3]);
        assert_eq!(believed(&[(0, 1), (2, 3), (0, 1), (6, 7)]), [0, 1, 3]);
        assert_eq!(believed(&[(0, 1), (2, 3), (4, 1005)]), [0, 1]);
        assert_eq!(believed(&[(-1, 1), (2, 3), (4, 5)]), [1, 2]);
        // Two batches that were copied to an earlier place.
        assert_eq!(believed(&[(0, 1), (8, 9), (10, 11), (6, 7), (8, 9), (10, 11), (12, 12)]), [0, 3, 4, 5, 6]);
        // Where nothing follows that could tell, the one that goes further.
        assert_eq!(believed(&[(0, 1), (7, 9), (3, 4)]), [0, 1]);
        assert_eq!(believed(&[(0, 1), (2, 4), (3, 5)]), [0, 2]);
        assert_eq!(believed(&[]), [0usize; 0]);
    }
}
