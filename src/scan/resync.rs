//! Finding the log again behind damage.
//!
//! A checksum alone does not make a batch one of *this* log: the payload of a mirrored or backed-up topic may hold
//! whole valid batches of another. So a candidate counts only if
//! 1. it does not lie inside a record of the damaged batch, as far as that batch can still be read,
//! 2. header, offsets and leader epoch continue what was read before the damage, and
//! 3. so does what *follows* it: batch after batch up to the end of the file, or to bytes that are again the header of
//!    a (damaged) batch of this log. A batch inside a value is followed by the rest of a record.

use std::sync::atomic::{AtomicBool, Ordering};

use super::batch_scan::{LEAST_HEADER, streamed_crc};
use crate::format::Offset;
use crate::format::batch::{BatchHeader, RECORD_BATCH_OVERHEAD, RecordBatchHeader};
use crate::format::bytes::{Reader, i64_at};
use crate::format::compression::{Compression, DEFAULT_LIMIT};
use crate::store::StoreError;
use crate::store::window::Window;

/// What is known of a log before the next batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSoFar {
    /// Offsets below this one have been seen (or lie before the segment).
    pub next_offset: Offset,
    /// First offset that cannot be in this segment any more: the next segment's base, exclusive.
    pub end_offset: Offset,
    /// Highest leader epoch seen.
    pub latest_epoch: Option<i32>,
}

impl LogSoFar {
    /// The start of a segment. `next_base_offset` is that of the following segment, where there is one.
    pub fn segment(base_offset: Offset, next_base_offset: Option<Offset>) -> Self {
        // A segment holds relative offsets of 31 bits.
        let most = Offset(base_offset.0.saturating_add(1 << 31));
        Self { next_offset: base_offset, end_offset: next_base_offset.unwrap_or(most).min(most), latest_epoch: None }
    }

    /// A file of which nothing is known but that offsets are not negative.
    pub fn unknown() -> Self {
        Self { next_offset: Offset(0), end_offset: Offset(i64::MAX), latest_epoch: None }
    }

    /// Takes in the next batch.
    pub(super) fn take(&mut self, header: &BatchHeader) {
        self.next_offset = self.next_offset.max(Offset(header.last_offset().0.saturating_add(1)));
        self.latest_epoch = self.latest_epoch.max(header.partition_leader_epoch());
    }

    /// Whether a batch with this header can come next.
    pub(super) fn continues_with(&self, header: &BatchHeader) -> bool {
        let first = header.base_offset().unwrap_or(header.last_offset());
        let fields_are_possible = match header {
            BatchHeader::RecordBatch(batch) => {
                batch.last_offset_delta >= 0
                    && (0..=i64::from(batch.last_offset_delta) + 1).contains(&i64::from(batch.records_count))
                    && batch.attributes as u16 >> 7 == 0
                    && batch.partition_leader_epoch >= -1
                    && batch.producer_id >= -1
                    && batch.producer_epoch >= -1
                    && batch.base_sequence >= -1
            }
            BatchHeader::Message(message) => message.attributes as u8 >> 4 == 0 && message.timestamp >= -1,
        };
        header.check().is_ok()
            && header.compression().is_ok()
            && fields_are_possible
            && self.next_offset <= first
            && first <= header.last_offset()
            && header.last_offset() < self.end_offset
            && header.partition_leader_epoch().is_none_or(|epoch| Some(epoch) >= self.latest_epoch)
    }
}

/// How many bytes a false chain of batches can take: no value is larger than the largest batch.
const LONGEST_CHAIN_IN_A_VALUE: u64 = DEFAULT_LIMIT as u64;
/// From how many checksummed bytes on only small candidates are looked at, so that crafted input costs linear time.
const WORK_PER_BYTE: u64 = 4;
const WORK_AT_LEAST: u64 = 64 << 20;
const SMALL_CANDIDATE: u64 = 64 << 10;

/// The position of the next intact batch behind `damaged`, where one that should begin there is broken.
///
/// `header` is what the damaged batch's header says, as far as it could be read.
pub(super) fn next_intact(
    window: &mut Window<'_>,
    damaged: u64,
    header: Option<&BatchHeader>,
    so_far: &LogSoFar,
    stop: Option<&AtomicBool>,
) -> Result<Option<u64>, StoreError> {
    let end = window.storage().len();
    let mut search = Search { window, so_far: *so_far, end, work: 0, stop };
    let Some(header) = header.filter(|header| so_far.continues_with(header)) else {
        return search.from(damaged + 1);
    };
    // The header can be believed, so the damage is inside the batch: what it covers holds no batch of this log.
    if let Claims::LeadTo(next) = search.follow_claims(damaged, header)? {
        return Ok((next < end).then_some(next));
    }
    let start = match header {
        BatchHeader::RecordBatch(batch) => search.end_of_records(damaged, batch)?,
        BatchHeader::Message(_) => damaged + 1,
    };
    search.from(start)
}

struct Search<'w, 's> {
    window: &'w mut Window<'s>,
    so_far: LogSoFar,
    end: u64,
    work: u64,
    stop: Option<&'w AtomicBool>,
}

impl Search<'_, '_> {
    /// The first position from `start` on at which this log goes on.
    fn from(&mut self, start: u64) -> Result<Option<u64>, StoreError> {
        let budget = WORK_AT_LEAST.saturating_add((self.end.saturating_sub(start)).saturating_mul(WORK_PER_BYTE));
        let mut position = start;
        while position + LEAST_HEADER <= self.end {
            if self.stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
                return Ok(None);
            }
            let Some(candidate) = self.next_candidate(position)? else { return Ok(None) };
            position = candidate + 1;
            let Some(size) = self.candidate_size(candidate)? else { continue };
            if self.work > budget && size > SMALL_CANDIDATE {
                continue;
            }
            if self.intact(candidate)?.is_some() {
                match self.chain_from(candidate)? {
                    Chain::BelongsToTheLog => return Ok(Some(candidate)),
                    Chain::EndsInForeignBytes { at } => position = at.max(position),
                }
            }
        }
        Ok(None)
    }

    /// The next position whose first eight bytes are an offset that can come next: the cheapest sieve there is.
    fn next_candidate(&mut self, start: u64) -> Result<Option<u64>, StoreError> {
        let (least, most) = (self.so_far.next_offset.0, self.so_far.end_offset.0);
        let mut position = start;
        while position + LEAST_HEADER <= self.end {
            let bytes = self.window.at(position, LEAST_HEADER)?;
            let found = bytes.windows(LEAST_HEADER as usize).position(|bytes| {
                bytes[16] <= 2 && i64_at(bytes, 0).is_some_and(|offset| least <= offset && offset < most)
            });
            match found {
                Some(skipped) => return Ok(Some(position + skipped as u64)),
                None => position += (bytes.len() as u64).saturating_sub(LEAST_HEADER - 1).max(1),
            }
        }
        Ok(None)
    }

    /// The size of the batch that could begin here, if one could.
    fn candidate_size(&mut self, position: u64) -> Result<Option<u64>, StoreError> {
        Ok(self.header_at(position)?.filter(|header| self.fits(position, header)).map(|header| header.size_in_bytes()))
    }

    fn header_at(&mut self, position: u64) -> Result<Option<BatchHeader>, StoreError> {
        Ok(BatchHeader::read(self.window.at(position, RECORD_BATCH_OVERHEAD as u64)?).ok())
    }

    fn fits(&self, position: u64, header: &BatchHeader) -> bool {
        self.so_far.continues_with(header) && header.size_in_bytes() <= self.end.saturating_sub(position)
    }

    /// The header of the batch at `position`, if it is intact and can belong to this log.
    fn intact(&mut self, position: u64) -> Result<Option<BatchHeader>, StoreError> {
        let Some(header) = self.header_at(position)?.filter(|header| self.fits(position, header)) else {
            return Ok(None);
        };
        self.work += header.size_in_bytes();
        let computed = streamed_crc(self.window, position, &header)?;
        Ok((computed == header.crc()).then_some(header))
    }

    /// Follows the batches from `position` on, of which the first is intact, to where they end.
    fn chain_from(&mut self, position: u64) -> Result<Chain, StoreError> {
        let before = self.so_far;
        let mut at = position;
        let chain = loop {
            match self.intact(at)? {
                Some(header) => {
                    self.so_far.take(&header);
                    at += header.size_in_bytes();
                    if at - position > LONGEST_CHAIN_IN_A_VALUE {
                        break Chain::BelongsToTheLog;
                    }
                }
                None if self.log_goes_on(at)? => break Chain::BelongsToTheLog,
                None => break Chain::EndsInForeignBytes { at },
            }
        };
        self.so_far = before;
        Ok(chain)
    }

    /// Whether the bytes at `position`, which are no intact batch, can be the end of this log or a damaged batch of it.
    fn log_goes_on(&mut self, position: u64) -> Result<bool, StoreError> {
        let left = self.end.saturating_sub(position);
        if left == 0 || self.window.is_zero(position..self.end)? {
            return Ok(true);
        }
        if left >= RECORD_BATCH_OVERHEAD as u64 {
            return Ok(self.header_at(position)?.is_some_and(|header| self.so_far.continues_with(&header)));
        }
        // The beginning of a torn header: as much as is there of an offset that can come next.
        let next = self.so_far.next_offset.0.to_be_bytes();
        let bytes = self.window.at(position, left)?;
        Ok(match i64_at(bytes, 0) {
            Some(first) => (self.so_far.next_offset.0..self.so_far.end_offset.0).contains(&first),
            None => next.starts_with(bytes),
        })
    }

    /// Goes from the damaged batch at `position` to where its length leads, and on over further damaged batches,
    /// as long as the headers continue the log.
    fn follow_claims(&mut self, position: u64, header: &BatchHeader) -> Result<Claims, StoreError> {
        let before = self.so_far;
        let (mut at, mut header) = (position, *header);
        let claims = loop {
            at = at.saturating_add(header.size_in_bytes());
            self.so_far.take(&header);
            if at == self.end {
                break Claims::LeadTo(at);
            }
            header = match self.header_at(at)?.filter(|header| self.fits(at, header)) {
                Some(header) => header,
                None => break Claims::LeadNowhere,
            };
            if self.intact(at)?.is_some() {
                break Claims::LeadTo(at);
            }
        };
        self.so_far = before;
        Ok(claims)
    }

    /// Where the records of a damaged, uncompressed batch end, as far as they can still be followed. No batch of the
    /// log begins before.
    fn end_of_records(&mut self, position: u64, header: &RecordBatchHeader) -> Result<u64, StoreError> {
        if Compression::from_id(header.attributes as u8 & 0x07) != Some(Compression::None) {
            return Ok(position + 1);
        }
        let claimed = position.saturating_add(BatchHeader::RecordBatch(*header).size_in_bytes());
        let mut last_record = position;
        let mut at = position + RECORD_BATCH_OVERHEAD as u64;
        for index in 0..header.records_count {
            match self.record_size(at, index)? {
                // Torn in the middle of a record, as the batch's own length says too.
                Some(size) if at.saturating_add(size) > self.end && at.saturating_add(size) <= claimed => {
                    return Ok(self.end);
                }
                Some(size) if at.saturating_add(size) <= self.end => {
                    last_record = at;
                    at += size;
                }
                // Either this record is broken or the length of the one before.
                _ => return Ok(last_record + 1),
            }
        }
        Ok(at)
    }

    /// The size of the record at `position`, its length field included, if record `index` of a batch can be there.
    fn record_size(&mut self, position: u64, index: i32) -> Result<Option<u64>, StoreError> {
        const ENOUGH: u64 = 32;
        let mut fields = Reader::new(self.window.at(position, ENOUGH)?);
        let mut read = || {
            let length = u64::try_from(fields.varint().ok()?).ok()?;
            let size = length.checked_add(fields.position() as u64)?;
            let attributes = fields.i8().ok()?;
            fields.varlong().ok()?;
            let offset_delta = fields.varint().ok()?;
            let key_length = i64::from(fields.varint().ok()?);
            let possible = attributes == 0 && offset_delta >= index && key_length < length as i64;
            possible.then_some(size)
        };
        Ok(read())
    }
}

enum Claims {
    /// To an intact batch, or exactly to the end of the file.
    LeadTo(u64),
    LeadNowhere,
}

enum Chain {
    BelongsToTheLog,
    EndsInForeignBytes { at: u64 },
}
