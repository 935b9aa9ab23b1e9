//! Where offsets, timestamps and keys are.
//!
//! [`offset`](mod@offset) and [`truth`] answer from the log: an index is no more than a hint there, which is checked. [`broker`] answers as a
//! broker does, which believes its indexes. [`start_for`] is the hint for walks over one segment.

pub mod broker;
mod epochs;
mod hint;
pub mod key;
#[cfg(test)]
#[path = "locate/tests.rs"]
mod lookup_tests;
pub mod offset;
mod order;
mod read;
pub mod trace;
pub mod truth;
mod view;

pub use offset::{LogEnd, OffsetAnswer};
pub use trace::{Step, Trace};
pub use truth::Reading;
pub use view::{BatchPlace, PartitionView, Reads, RecordPlace, Segment, each_record_from, first_offset, verify};

use super::batch_scan::intact_header;
use super::resync::{LEAST_ZERO_FILL, LONGEST_RUN_IN_A_VALUE, LogSoFar};
use crate::format::batch::{BatchHeader, RECORD_BATCH_OVERHEAD};
use crate::format::offset_index::OffsetIndex;
use crate::format::{Offset, Position};
use crate::store::window::Window;
use crate::store::{ReadStorage, StoreError};

/// How many entries are tried before the walk begins at the start of the segment.
const MOST_TRIES: usize = 8;

/// A position from which a walk meets every batch that reaches `offset` or goes beyond.
///
/// An entry is believed only where an intact batch begins at its position whose first offset is not above `offset`, and
/// where the headers lead on from there as those of this log do: a whole batch inside a value passes the first test. Since
/// offsets rise in a log, every batch before it then ends below. A wrong index costs time, never a batch.
///
/// Errors: the log could not be read.
pub fn start_for(log: &dyn ReadStorage, index: &OffsetIndex<'_>, offset: Offset) -> Result<Position, StoreError> {
    let used = index.zero_tail();
    let Some(floor) = index.floor(offset, used) else { return Ok(Position(0)) };
    let mut window = Window::new(log);
    for slot in (0..=floor).rev().take(MOST_TRIES) {
        let Some(position) = index.entry(slot).and_then(|entry| entry.position()) else { continue };
        if begins_at_or_below(&mut window, position, offset)? {
            // Where the headers do not lead on, those from an earlier entry will not either, or damage lies ahead.
            let leads_on = leads_on(&mut window, position)?;
            return Ok(if leads_on { position } else { Position(0) });
        }
    }
    Ok(Position(0))
}

/// Whether the headers lead from the batch at `position`, with rising offsets, to the end of the file, to nothing but
/// a fill of zeros, or further than any value reaches.
fn leads_on(window: &mut Window<'_>, position: Position) -> Result<bool, StoreError> {
    let end = window.storage().len();
    let mut so_far = LogSoFar::unknown();
    let mut at = position.0;
    while at < end && at - position.0 <= LONGEST_RUN_IN_A_VALUE {
        let header = BatchHeader::read(window.at(at, RECORD_BATCH_OVERHEAD as u64)?).ok();
        match header.filter(|header| so_far.continues_with(header) && header.size_in_bytes() <= end - at) {
            Some(header) => {
                so_far.take(&header);
                at += header.size_in_bytes();
            }
            None => return Ok(end - at >= LEAST_ZERO_FILL && window.is_zero(at..end)?),
        }
    }
    Ok(true)
}

/// Whether an intact batch begins at `position` whose first offset is known and not above `offset`.
pub(super) fn begins_at_or_below(
    window: &mut Window<'_>,
    position: Position,
    offset: Offset,
) -> Result<bool, StoreError> {
    let begins_below = |header: &BatchHeader| header.base_offset().is_some_and(|base| base <= offset);
    Ok(intact_header(window, position.0, begins_below)?.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::batch::RecordBatchBuilder;
    use crate::format::compression::Compression;
    use crate::format::offset_index::OffsetIndexEntry;
    use crate::format::record::RecordFields;
    use crate::scan::{BatchScan, ScanOptions};
    use crate::store::mem::MemoryStorage;
    use proptest::prelude::*;

    const BASE: Offset = Offset(1000);

    fn log(batches: i64) -> (MemoryStorage, Vec<(i64, u64)>) {
        let (mut bytes, mut places) = (Vec::new(), Vec::new());
        for at in 0..batches {
            let header = RecordBatchBuilder::plain_header(Offset(BASE.0 + 2 * at), 1000);
            let mut builder = RecordBatchBuilder::new(header, Compression::None);
            builder.push(&RecordFields { value: Some(b"v"), ..RecordFields::default() });
            builder.push(&RecordFields { offset_delta: 1, value: Some(b"w"), ..RecordFields::default() });
            places.push((BASE.0 + 2 * at + 1, bytes.len() as u64));
            builder.write(&mut bytes).unwrap();
        }
        (MemoryStorage::new("log", bytes), places)
    }

    fn first_met(storage: &MemoryStorage, start: Position, offset: i64) -> Option<i64> {
        let options = ScanOptions { start, ..ScanOptions::default() };
        let mut scan = BatchScan::new(storage, LogSoFar::segment(BASE, None), options);
        while let Some(batch) = scan.next_batch().unwrap() {
            if batch.header.last_offset().0 >= offset {
                return Some(batch.header.last_offset().0);
            }
        }
        None
    }

    #[test]
    fn a_right_index_saves_the_way() {
        let (storage, places) = log(50);
        let mut index = Vec::new();
        for &(last_offset, position) in places.iter().skip(5).step_by(5) {
            OffsetIndexEntry::new(BASE, Offset(last_offset), Position(position)).unwrap().write(&mut index);
        }
        let index = OffsetIndex::new(&index, BASE);
        let start = start_for(&storage, &index, Offset(1042)).unwrap();
        assert_eq!(start, Position(places[20].1));
        assert_eq!(start_for(&storage, &index, Offset(1003)).unwrap(), Position(0));
    }

    #[test]
    fn a_batch_inside_a_value_is_no_landing() {
        let (foreign, _) = log(1);
        let foreign = foreign.lend(0..foreign.len()).unwrap().unwrap().to_vec();
        let mut bytes = Vec::new();
        let mut inside = Vec::new();
        for base in [1000, 1001, 1002] {
            let header = RecordBatchBuilder::plain_header(Offset(base), 1000);
            let mut builder = RecordBatchBuilder::new(header, Compression::None);
            builder.push(&RecordFields { value: Some(&foreign), ..RecordFields::default() });
            builder.write(&mut bytes).unwrap();
            inside.push(Position((bytes.len() - foreign.len() - 1) as u64));
        }
        let storage = MemoryStorage::new("log", bytes);
        // It says: offset 1001 is found from inside the last batch on.
        let mut index = Vec::new();
        OffsetIndexEntry::new(BASE, Offset(1001), inside[2]).unwrap().write(&mut index);
        let start = start_for(&storage, &OffsetIndex::new(&index, BASE), Offset(1001)).unwrap();
        assert_eq!(first_met(&storage, start, 1001), Some(1001));
        assert_eq!(start, Position(0));
    }

    proptest! {
        #[test]
        fn whatever_the_index_says_the_same_batch_is_met(
            entries in prop::collection::vec((0i32..120, prop_oneof![0i32..5000, any::<i32>()]), 0..30),
            offset in 995i64..1110,
        ) {
            let (storage, places) = log(50);
            let mut bytes = Vec::new();
            for (at, (relative_offset, position)) in entries.iter().enumerate() {
                // Every other entry points at a batch, though seldom the right one.
                let position = if at % 2 == 0 { places[*relative_offset as usize % 50].1 as i32 } else { *position };
                bytes.extend(relative_offset.to_be_bytes());
                bytes.extend(position.to_be_bytes());
            }
            let start = start_for(&storage, &OffsetIndex::new(&bytes, BASE), Offset(offset)).unwrap();
            prop_assert_eq!(first_met(&storage, start, offset), first_met(&storage, Position(0), offset));
        }
    }
}
