//! Reading a log and its indexes in pieces as small as they can be.

use std::cmp::Ordering;
use std::rc::Rc;

use crate::format::batch::{BatchHeader, RECORD_BATCH_OVERHEAD, RecordBatch};
use crate::format::compression::DEFAULT_LIMIT;
use crate::format::fixed_entries::floor_slot_by;
use crate::format::offset_index::{self, OffsetIndex, OffsetIndexEntry};
use crate::format::time_index::{self, TimeIndex, TimeIndexEntry};
use crate::format::{Offset, Position};
use crate::scan::batch_scan::{Damage, DamageReason, streamed_crc};
use crate::store::window::Window;
use crate::store::{ReadStorage, StoreError};

/// So many headers are read one by one, which is more than an index interval of ordinary batches holds. A walk that is
/// longer will be long: then it reads ahead.
const SINGLE_READS: u32 = 64;
/// From one header to the next, in bytes: below this a read of everything in between is cheaper than one more read.
const NEAR: u64 = 4 << 10;
/// What is read ahead at first and at most, in bytes.
const LEAST_AHEAD: u64 = 16 << 10;
const MOST_AHEAD: u64 = 256 << 10;
/// A batch up to this size is held while its checksum is computed, in bytes.
const HELD_BATCH: u64 = 1 << 20;

/// The log of one segment, for reading headers here and there and a few batches.
pub(super) struct LogReader {
    storage: Rc<dyn ReadStorage>,
    piece: Vec<u8>,
    start: u64,
    end: u64,
    reads: u32,
    ahead: u64,
    /// The header that was asked for last.
    last: u64,
    /// The batch that was read last.
    batch: Vec<u8>,
    batch_at: Option<(u64, u64)>,
}

impl LogReader {
    pub(super) fn new(storage: Rc<dyn ReadStorage>) -> Self {
        let ahead = RECORD_BATCH_OVERHEAD as u64;
        let (piece, batch) = (Vec::new(), Vec::new());
        Self { storage, piece, start: 0, end: 0, reads: 0, ahead, last: 0, batch, batch_at: None }
    }

    /// The same for a walk that is known to be long: it reads ahead from the start.
    pub(super) fn for_a_long_walk(mut self) -> Self {
        self.reads = SINGLE_READS;
        self
    }

    pub(super) fn len(&self) -> u64 {
        self.storage.len()
    }

    pub(super) fn log(&self) -> &dyn ReadStorage {
        self.storage.as_ref()
    }

    /// The bytes of a header at `position`, fewer at the end of the log.
    pub(super) fn header_bytes(&mut self, position: u64) -> Result<&[u8], StoreError> {
        let length = self.storage.len();
        let header = RECORD_BATCH_OVERHEAD as u64;
        let wanted = position.saturating_add(header).min(length);
        if position < self.start || wanted > self.end {
            self.reads += 1;
            if self.reads > SINGLE_READS {
                // Reading ahead pays where the next header is near: where batches are small.
                let is_near = position.saturating_sub(self.last) < NEAR;
                self.ahead = if is_near { (self.ahead * 2).clamp(LEAST_AHEAD, MOST_AHEAD) } else { header };
            }
            let end = position.saturating_add(self.ahead.max(header)).min(length).max(position.min(length));
            let start = position.min(length);
            (self.start, self.end) = (0, 0);
            self.storage.read_into(start..end, &mut self.piece)?;
            (self.start, self.end) = (start, end);
        }
        self.last = position;
        let from = usize::try_from(position.saturating_sub(self.start)).unwrap_or(usize::MAX);
        let held = usize::try_from(self.end.saturating_sub(self.start)).unwrap_or(0);
        Ok(self.piece.get(..held).and_then(|piece| piece.get(from..)).unwrap_or_default())
    }

    /// The whole batch at `position`; `None` where it does not lie inside the log or is larger than any reader takes.
    pub(super) fn batch(&mut self, position: u64, header: &BatchHeader) -> Result<Option<RecordBatch<'_>>, StoreError> {
        let size = header.size_in_bytes();
        if size > DEFAULT_LIMIT as u64 || position.saturating_add(size) > self.storage.len() {
            return Ok(None);
        }
        if self.batch_at != Some((position, size)) {
            self.batch_at = None;
            self.storage.read_into(position..position + size, &mut self.batch)?;
            self.batch_at = Some((position, size));
        }
        let bytes = self.batch.get(..usize::try_from(size).unwrap_or(usize::MAX)).unwrap_or_default();
        Ok(RecordBatch::with_header(*header, bytes).ok())
    }

    /// What is wrong with the batch at `position`, which must lie inside the log: `None` where its checksum holds.
    pub(super) fn damage_of(&mut self, position: u64, header: &BatchHeader) -> Result<Option<Damage>, StoreError> {
        let size = header.size_in_bytes();
        let held = if size <= HELD_BATCH { self.batch(position, header)? } else { None };
        let computed = match held {
            Some(batch) => batch.computed_crc(),
            None => streamed_crc(&mut Window::new(self.storage.as_ref()), position, header)?,
        };
        let behind = position.saturating_add(size);
        Ok((computed != header.crc()).then(|| Damage {
            position: Position(position),
            length: size,
            reason: DamageReason::Checksum { stored: header.crc(), computed },
            header: Some(*header),
            next_intact: (behind < self.len()).then_some(Position(behind)),
        }))
    }
}

/// An index that is asked for single entries.
pub(super) struct IndexReader {
    storage: Rc<dyn ReadStorage>,
    base_offset: Offset,
    entry: Vec<u8>,
}

impl IndexReader {
    pub(super) fn new(storage: Rc<dyn ReadStorage>, base_offset: Offset) -> Self {
        Self { storage, base_offset, entry: Vec::new() }
    }

    fn slots(&self, entry_size: usize) -> usize {
        usize::try_from(self.storage.len() / entry_size as u64).unwrap_or(usize::MAX)
    }

    fn bytes(&mut self, slot: usize, entry_size: usize) -> Result<&[u8], StoreError> {
        let start = (slot as u64).saturating_mul(entry_size as u64);
        self.storage.read_into(start..start.saturating_add(entry_size as u64), &mut self.entry)?;
        Ok(self.entry.get(..entry_size).unwrap_or_default())
    }

    /// How many whole entries the offset index has, valid or not.
    pub(super) fn offset_slots(&self) -> usize {
        self.slots(offset_index::ENTRY_SIZE)
    }

    pub(super) fn offset_entry(&mut self, slot: usize) -> Result<Option<OffsetIndexEntry>, StoreError> {
        let base_offset = self.base_offset;
        Ok(OffsetIndex::new(self.bytes(slot, offset_index::ENTRY_SIZE)?, base_offset).entry(0))
    }

    /// The slot that a broker that believes in the first `slots` entries takes for `target`: see [`OffsetIndex::floor`].
    pub(super) fn offset_floor(&mut self, target: Offset, slots: usize) -> Result<Option<usize>, StoreError> {
        floor_slot_by(slots, offset_index::ENTRY_SIZE, |slot| {
            Ok(self.offset_entry(slot)?.map_or(Ordering::Greater, |entry| entry.offset.cmp(&target)))
        })
    }

    /// How many entries of the offset index come before the zeros at its end, if zeros are only there.
    pub(super) fn offset_slots_in_use(&mut self) -> Result<usize, StoreError> {
        let (mut low, mut high) = (0, self.offset_slots());
        if high == 0 || !self.is_zero(high - 1)? {
            return Ok(high);
        }
        while low < high {
            let middle = low + (high - low) / 2;
            if self.is_zero(middle)? { high = middle } else { low = middle + 1 }
        }
        Ok(low)
    }

    fn is_zero(&mut self, slot: usize) -> Result<bool, StoreError> {
        Ok(self.bytes(slot, offset_index::ENTRY_SIZE)?.iter().all(|byte| *byte == 0))
    }

    /// How many whole entries the time index has, valid or not.
    pub(super) fn time_slots(&self) -> usize {
        self.slots(time_index::ENTRY_SIZE)
    }

    pub(super) fn time_entry(&mut self, slot: usize) -> Result<Option<TimeIndexEntry>, StoreError> {
        let base_offset = self.base_offset;
        Ok(TimeIndex::new(self.bytes(slot, time_index::ENTRY_SIZE)?, base_offset).entry(0))
    }

    /// The slot that a broker that believes in all entries takes for `target`: see [`TimeIndex::floor`].
    pub(super) fn time_floor(&mut self, target: i64) -> Result<Option<usize>, StoreError> {
        floor_slot_by(self.time_slots(), time_index::ENTRY_SIZE, |slot| {
            Ok(self.time_entry(slot)?.map_or(Ordering::Greater, |entry| entry.timestamp.cmp(&target)))
        })
    }
}
