//! Finding the log again behind damage.
//!
//! A checksum alone does not make a batch one of *this* log: the payload of a mirrored or backed-up topic may hold
//! whole valid batches of another. What counts is where a run of intact batches leads:
//!
//! 1. to the end of the file, to a fill of zeros, to a damaged batch whose own length leads back to an intact one, or
//!    further than any value reaches: such a run belongs to the log;
//! 2. to bytes that are none of this: a value that ends, or a second batch whose header is destroyed. Then the records of
//!    the damaged batch tell, as far as they can still be followed: one that covers the run makes it foreign, records that
//!    end where the run begins make it the log's. Where they tell nothing, the run must fit between the offsets before the
//!    damage and those of a run of the first kind behind it.
//!
//! The length of a damaged batch is believed only if no shorter way leads to the same place: a flipped length that happens
//! to end at a batch would hide all those before.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use super::batch_scan::{LEAST_HEADER, intact_header};
use crate::format::Offset;
use crate::format::batch::{BatchHeader, LEAST_LENGTH, RECORD_BATCH_OVERHEAD, RecordBatchHeader};
use crate::format::bytes::{Reader, i32_at, i64_at};
use crate::format::compression::Compression;
use crate::store::StoreError;
use crate::store::window::Window;

/// What is known of a log before the next batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSoFar {
    /// The offset behind the latest batch (or the first of the segment).
    pub next_offset: Offset,
    /// First offset that cannot be in this segment any more: the next segment's base, exclusive.
    pub end_offset: Offset,
    /// Leader epoch of the latest batch.
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

    /// Takes in the next batch. The latest batch counts, not the highest: no checksum covers base offset and epoch, and
    /// one that was changed must not speak against all that follow.
    pub(super) fn take(&mut self, header: &BatchHeader) {
        self.next_offset = Offset(header.last_offset().0.saturating_add(1));
        self.latest_epoch = header.partition_leader_epoch().or(self.latest_epoch);
        if header.last_offset() >= self.end_offset {
            // The neighbour that the bound comes from does not belong to this log.
            self.end_offset = Offset(i64::MAX);
        }
    }

    /// Whether a batch with this header can come next.
    pub(super) fn continues_with(&self, header: &BatchHeader) -> bool {
        header.check().is_ok() && self.continues_with_fields(header)
    }

    /// The same, whatever length and magic are.
    fn continues_with_fields(&self, header: &BatchHeader) -> bool {
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
        header.compression().is_ok()
            && fields_are_possible
            && self.next_offset <= first
            && first <= header.last_offset()
            && header.last_offset() < self.end_offset
            && header.partition_leader_epoch().is_none_or(|epoch| Some(epoch) >= self.latest_epoch)
    }
}

/// How many bytes a run of batches inside a value can take: sixteen times what a broker accepts unless told otherwise.
pub(super) const LONGEST_RUN_IN_A_VALUE: u64 = 16 << 20;
/// How many runs that lead nowhere are remembered.
const MOST_RUNS: usize = 64;
/// From how many zeros on they can only be preallocated space. A value without headers has one zero behind it, so a
/// few of them behind a batch do not show that it belongs to the log.
pub(super) const LEAST_ZERO_FILL: u64 = LEAST_HEADER + 1;
/// How many bytes may be checksummed for candidates: so many at once, and so many for each byte that was searched. Crafted
/// input, in which a batch seems to begin everywhere, then costs linear time; a candidate above that is passed over.
const WORK_AT_ONCE: u64 = 64 << 20;
const WORK_PER_BYTE: u64 = 4;

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
    let mut search = Search { window, so_far: *so_far, damaged, end, work: 0, stop };
    let found = search.behind(header)?;
    let bound = Offset(i64::MAX);
    if found.is_some() || so_far.end_offset == bound {
        return Ok(found);
    }
    // The next segment's name may be wrong, or that file no part of this log.
    search.so_far.end_offset = bound;
    search.behind(header)
}

/// The first position in `range` at which an intact batch begins that can belong to the segment `segment`, and behind
/// which the header of the next one lies, or the end of the file. It may be one inside a value: nothing more is asked about
/// where it leads.
pub(super) fn first_intact_in(
    window: &mut Window<'_>,
    range: Range<u64>,
    segment: &LogSoFar,
    stop: Option<&AtomicBool>,
) -> Result<Option<u64>, StoreError> {
    // A preallocated end may take gigabytes.
    if window.is_zero(range.clone())? {
        return Ok(None);
    }
    let (damaged, end) = (range.start.saturating_sub(1), window.storage().len());
    let mut search = Search { window, so_far: *segment, damaged, end, work: 0, stop };
    let mut position = range.start;
    while let Some(candidate) = search.next_candidate(position, range.end)? {
        // Where a batch begins the bytes before look like one of great length: what its checksum would cost is spared.
        if let Some(header) = search.affordable(candidate, range.start)?
            && search.leads_on(candidate, &header)?
            && search.intact(candidate)?.is_some()
        {
            return Ok(Some(candidate));
        }
        position = candidate + 1;
    }
    Ok(None)
}

struct Search<'w, 's> {
    window: &'w mut Window<'s>,
    so_far: LogSoFar,
    /// Where the broken batch begins.
    damaged: u64,
    end: u64,
    /// Bytes checksummed so far.
    work: u64,
    stop: Option<&'w AtomicBool>,
}

/// Where a run of intact batches leads.
enum Run {
    /// To where only this log can go on.
    BelongsToTheLog,
    LeadsNowhere {
        /// Where it ends.
        end: u64,
        /// The offset behind its last batch.
        next_offset: Offset,
        /// Whether the beginning of a torn batch follows.
        ends_torn: bool,
    },
}

/// Where the length of a damaged batch leads.
enum Claims {
    /// To an intact batch, or exactly to the end of the file.
    LeadTo(u64),
    LeadNowhere,
}

/// What the records of the damaged batch say about a position.
#[derive(PartialEq, Eq)]
enum Records {
    EndThere,
    CoverIt,
    TellNothing,
}

impl Search<'_, '_> {
    fn behind(&mut self, header: Option<&BatchHeader>) -> Result<Option<u64>, StoreError> {
        let header = match header {
            Some(header) => Some(*header),
            None => self.header_under_magic_2()?,
        };
        let Some(header) = header.filter(|header| self.so_far.continues_with_fields(header)) else {
            return self.from(self.damaged + 1);
        };
        let mut start = self.damaged + 1;
        if let BatchHeader::RecordBatch(batch) = &header {
            let (records_end, is_whole) = self.end_of_records(batch)?;
            if is_whole && (records_end == self.end || self.intact(records_end)?.is_some()) {
                return Ok((records_end < self.end).then_some(records_end));
            }
            start = records_end.max(start);
        }
        if self.fits(self.damaged, &header)
            && let Claims::LeadTo(next) = self.follow_claims(self.damaged, &header)?
        {
            let shorter = self.run_that_leads_to(start, next)?;
            return Ok(shorter.or((next < self.end).then_some(next)));
        }
        self.from(start)
    }

    /// The header of the damaged batch under the magic that it should have: the field that stops reading may be all
    /// that is wrong.
    fn header_under_magic_2(&mut self) -> Result<Option<BatchHeader>, StoreError> {
        let bytes = self.window.at(self.damaged, RECORD_BATCH_OVERHEAD as u64)?;
        let header = bytes.first_chunk().map(RecordBatchHeader::read);
        Ok(header.map(|header| BatchHeader::RecordBatch(RecordBatchHeader { magic: 2, ..header })))
    }

    /// The first position from `start` on at which this log goes on.
    fn from(&mut self, start: u64) -> Result<Option<u64>, StoreError> {
        let mut doubtful = Vec::new();
        let mut position = start;
        while let Some(candidate) = self.next_intact_from(position, start, self.end)? {
            match self.run_from(candidate)? {
                Run::BelongsToTheLog => {
                    let first = self.header_at(candidate)?.and_then(|header| header.base_offset());
                    return Ok(self.first_of_the_log(&doubtful, first)?.or(Some(candidate)));
                }
                Run::LeadsNowhere { end, next_offset, ends_torn } => {
                    if doubtful.len() < MOST_RUNS {
                        doubtful.push((candidate, next_offset, ends_torn));
                    }
                    position = end.max(candidate + 1);
                }
            }
        }
        self.first_of_the_log(&doubtful, None)
    }

    /// Of runs that lead nowhere, the first that is the log's all the same. `behind` is the first offset of the run that
    /// surely is, where there is one.
    fn first_of_the_log(
        &mut self,
        doubtful: &[(u64, Offset, bool)],
        behind: Option<Offset>,
    ) -> Result<Option<u64>, StoreError> {
        for &(position, next_offset, ends_torn) in doubtful {
            let fits = behind.map_or(ends_torn, |behind| next_offset <= behind);
            match self.records_about(position)? {
                Records::EndThere => return Ok(Some(position)),
                Records::TellNothing if fits => return Ok(Some(position)),
                Records::TellNothing | Records::CoverIt => {}
            }
        }
        Ok(None)
    }

    /// The first position from `start` on from which intact batches lead exactly to `next`.
    fn run_that_leads_to(&mut self, start: u64, next: u64) -> Result<Option<u64>, StoreError> {
        let before = self.so_far;
        let mut position = start;
        while let Some(candidate) = self.next_intact_from(position, start, next)? {
            let mut at = candidate;
            while at < next
                && let Some(header) = self.intact(at)?
            {
                self.so_far.take(&header);
                at += header.size_in_bytes();
            }
            self.so_far = before;
            if at == next && self.records_about(candidate)? != Records::CoverIt {
                return Ok(Some(candidate));
            }
            position = at.max(candidate + 1);
        }
        Ok(None)
    }

    /// The first intact batch from `position` on, and before `until`, that can come next; the search began at `start`.
    fn next_intact_from(&mut self, mut position: u64, start: u64, until: u64) -> Result<Option<u64>, StoreError> {
        while position + LEAST_HEADER <= self.end {
            if self.stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
                return Ok(None);
            }
            let Some(candidate) = self.next_candidate(position, until)? else { return Ok(None) };
            position = candidate + 1;
            if self.affordable(candidate, start)?.is_some() && self.intact(candidate)?.is_some() {
                return Ok(Some(candidate));
            }
        }
        Ok(None)
    }

    /// The header at `candidate`, if the batch can come next and its checksum does not cost too much; the search began
    /// at `start`.
    fn affordable(&mut self, candidate: u64, start: u64) -> Result<Option<BatchHeader>, StoreError> {
        let most = WORK_AT_ONCE + candidate.saturating_sub(start) * WORK_PER_BYTE;
        let header = self.header_at(candidate)?.filter(|header| self.fits(candidate, header));
        Ok(header.filter(|header| self.work.saturating_add(header.size_in_bytes()) <= most))
    }

    /// Whether another header that can come next lies behind the batch at `position`, or the end of the file.
    fn leads_on(&mut self, position: u64, header: &BatchHeader) -> Result<bool, StoreError> {
        let next = position.saturating_add(header.size_in_bytes());
        let mut so_far = self.so_far;
        so_far.take(header);
        let behind = BatchHeader::read(self.window.aside(next, RECORD_BATCH_OVERHEAD as u64)?);
        Ok(next == self.end || behind.is_ok_and(|header| so_far.continues_with(&header)))
    }

    /// The next position before `until` whose first bytes are an offset that can come next and a length that a batch can
    /// have: the cheapest sieve there is.
    fn next_candidate(&mut self, start: u64, until: u64) -> Result<Option<u64>, StoreError> {
        let (least, most) = (self.so_far.next_offset.0, self.so_far.end_offset.0);
        let mut position = start;
        while position + LEAST_HEADER <= self.end && position < until {
            let bytes = self.window.at(position, LEAST_HEADER)?;
            let found = bytes.windows(LEAST_HEADER as usize).position(|bytes| {
                bytes[16] <= 2
                    && i64_at(bytes, 0).is_some_and(|offset| least <= offset && offset < most)
                    && i32_at(bytes, 8).is_some_and(|length| length >= LEAST_LENGTH)
            });
            match found {
                Some(skipped) => return Ok(Some(position + skipped as u64).filter(|found| *found < until)),
                None => position += (bytes.len() as u64).saturating_sub(LEAST_HEADER - 1).max(1),
            }
        }
        Ok(None)
    }

    fn header_at(&mut self, position: u64) -> Result<Option<BatchHeader>, StoreError> {
        Ok(BatchHeader::read(self.window.at(position, RECORD_BATCH_OVERHEAD as u64)?).ok())
    }

    fn fits(&self, position: u64, header: &BatchHeader) -> bool {
        self.so_far.continues_with(header) && header.size_in_bytes() <= self.end.saturating_sub(position)
    }

    /// The header of the batch at `position`, if it is intact and can belong to this log.
    fn intact(&mut self, position: u64) -> Result<Option<BatchHeader>, StoreError> {
        let (so_far, work) = (self.so_far, &mut self.work);
        intact_header(self.window, position, |header| {
            let fits = so_far.continues_with_fields(header);
            *work += if fits { header.size_in_bytes() } else { 0 };
            fits
        })
    }

    /// Follows the batches from `position` on, of which the first is intact, to where they end.
    fn run_from(&mut self, position: u64) -> Result<Run, StoreError> {
        let before = self.so_far;
        let mut at = position;
        let run = loop {
            if at - position > LONGEST_RUN_IN_A_VALUE {
                break Run::BelongsToTheLog;
            }
            match self.intact(at)? {
                Some(header) => {
                    self.so_far.take(&header);
                    at += header.size_in_bytes();
                }
                None => break self.end_of_run(at)?,
            }
        };
        self.so_far = before;
        Ok(run)
    }

    /// What the bytes at `position`, which are no intact batch, say about the run that ends there.
    fn end_of_run(&mut self, position: u64) -> Result<Run, StoreError> {
        let left = self.end.saturating_sub(position);
        if left == 0 || left >= LEAST_ZERO_FILL && self.window.is_zero(position..self.end)? {
            return Ok(Run::BelongsToTheLog);
        }
        let next_offset = self.so_far.next_offset;
        let can_come_next = next_offset.0..self.so_far.end_offset.0;
        let header = self.header_at(position)?.filter(|header| self.so_far.continues_with(header));
        let ends_torn = match header {
            Some(header) if header.size_in_bytes() > left => true,
            Some(header) => match self.follow_claims(position, &header)? {
                Claims::LeadTo(_) => return Ok(Run::BelongsToTheLog),
                Claims::LeadNowhere => false,
            },
            // A torn header must at least have an offset that can come next. Fewer bytes may as well end a value.
            None => {
                left < RECORD_BATCH_OVERHEAD as u64
                    && i64_at(self.window.at(position, left)?, 0).is_some_and(|offset| can_come_next.contains(&offset))
            }
        };
        Ok(Run::LeadsNowhere { end: position, next_offset, ends_torn })
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

    /// Where the records of the damaged batch, if it is not compressed, can be followed to, and whether that is the end
    /// of the last of them. No batch of the log begins before.
    fn end_of_records(&mut self, header: &RecordBatchHeader) -> Result<(u64, bool), StoreError> {
        if Compression::from_id(header.attributes as u8 & 0x07) != Some(Compression::None) {
            return Ok((self.damaged + 1, false));
        }
        let claimed = self.damaged.saturating_add(BatchHeader::RecordBatch(*header).size_in_bytes());
        let mut last_record = self.damaged;
        let mut at = self.damaged + RECORD_BATCH_OVERHEAD as u64;
        for index in 0..header.records_count {
            match self.record_size(at, index)?.map(|size| at.saturating_add(size)) {
                // Torn in the middle of a record, as the batch's own length says too.
                Some(record_end) if record_end > self.end && record_end <= claimed => return Ok((self.end, false)),
                Some(record_end) if record_end <= self.end => {
                    last_record = at;
                    at = record_end;
                }
                // Either this record is broken or the length of the one before.
                _ => return Ok((last_record + 1, false)),
            }
        }
        Ok((at, true))
    }

    /// Whether a record of the damaged batch, followed from behind its header without knowing how many there are, covers
    /// `position`, or whether they end there.
    fn records_about(&mut self, position: u64) -> Result<Records, StoreError> {
        let mut at = self.damaged + RECORD_BATCH_OVERHEAD as u64;
        for index in 0.. {
            if at >= position {
                return Ok(match (at == position, index) {
                    (true, _) => Records::EndThere,
                    // It begins where the header would be: there was no batch.
                    (false, 0) => Records::TellNothing,
                    (false, _) => Records::CoverIt,
                });
            }
            match self.record_size(at, index)?.map(|size| at.saturating_add(size)) {
                Some(record_end) if record_end <= self.end => at = record_end,
                _ => break,
            }
        }
        Ok(Records::TellNothing)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::batch::{RecordBatchBuilder, write_batch};
    use crate::store::mem::MemoryStorage;

    fn work_over(bytes: Vec<u8>, so_far: LogSoFar) -> u64 {
        let storage = MemoryStorage::new("log", bytes);
        let mut window = Window::new(&storage);
        let end = window.storage().len();
        let mut search = Search { window: &mut window, so_far, damaged: 0, end, work: 0, stop: None };
        assert_eq!(search.from(0).unwrap(), None);
        search.work
    }

    #[test]
    fn crafted_headers_that_each_claim_the_rest_of_the_file_cost_linear_work() {
        // 32,768 headers, each fitting and each claiming everything behind it: looked at naively, 32 GiB of checksums.
        let (headers, size) = (32_768, 64);
        let mut bytes = Vec::new();
        for at in 0..headers {
            let header = RecordBatchHeader { records_count: 1, ..RecordBatchBuilder::plain_header(Offset(5), 0) };
            let mut one = Vec::new();
            write_batch(header, &[0xaa; 3], &mut one);
            let length: i32 = (headers - at) * size - 12;
            one[8..12].copy_from_slice(&length.to_be_bytes());
            one[17] ^= 1;
            bytes.extend(&one);
        }
        let length = bytes.len() as u64;
        let work = work_over(bytes, LogSoFar::segment(Offset(0), None));
        assert!(work > WORK_AT_ONCE / 2 && work <= WORK_AT_ONCE + length * WORK_PER_BYTE, "{work}");
    }

    #[test]
    fn bytes_in_which_a_message_seems_to_begin_everywhere_cost_linear_work() {
        let bytes: Vec<u8> = [0, 0, 0xff, 0].into_iter().cycle().take(2 << 20).collect();
        let length = bytes.len() as u64;
        let work = work_over(bytes, LogSoFar::unknown());
        assert!(work <= WORK_AT_ONCE + length * WORK_PER_BYTE, "{work}");
    }
}
