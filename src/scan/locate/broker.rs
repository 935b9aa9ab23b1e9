//! Where a broker finds offsets and timestamps: it believes its indexes, and looks at no checksum.
//!
//! What is played through is a broker of release 4.4.0 that starts on the directory as it lies there, believing that it
//! was stopped in an orderly way, and is then asked. Of what such a start changes, this is taken into account: a
//! segment without offset index is recovered, index files without a log do not count, a log that ends below the
//! checkpointed log start is emptied. Left-overs of an interrupted compaction (`.swap`, `.cleaned`) and damaged
//! transaction indexes, which can lead to more, are not.
//!
//! Other releases: before 4.1 the batch for an offset was chosen by last offsets alone, which makes no difference while
//! offsets rise; before 3.8 the largest timestamp was answered from the time index without a look at the log; before 3.0
//! nobody could ask for it.
//!
//! Source: Kafka `UnifiedLog`, `LocalLog`, `LogSegment`, `FileRecords`, `FileLogInputStream`, `LogLoader`.

use std::cell::OnceCell;

use super::epochs;
use super::offset::OffsetAnswer;
use super::read::LogReader;
use super::trace::{Step, Trace};
use super::view::{BatchPlace, PartitionView, RecordPlace, Segment, first_record, of_first_record};
use crate::format::batch::{
    BatchHeader, FrameError, HEADER_UP_TO_MAGIC, LEAST_LENGTH, LOG_OVERHEAD, RECORD_BATCH_OVERHEAD,
};
use crate::format::bytes::i32_at;
use crate::format::record::{Record, RecordError};
use crate::format::{Offset, Position};
use crate::scan::{BatchScan, LogSoFar, ScanOptions};
use crate::store::StoreError;

/// Why a broker has no answer but an exception.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The length field is smaller than any batch's (`CorruptRecordException`).
    #[error("no batch begins at position {position} of segment {segment}: its length field says {length}")]
    Length {
        /// Base offset of the segment.
        segment: Offset,
        /// Where the broker looked for a batch.
        position: Position,
        /// The length field.
        length: i32,
    },
    /// The log ends inside the header (`EOFException`).
    #[error("the header at position {position} of segment {segment} cannot be read: {cause}")]
    Header {
        /// Base offset of the segment.
        segment: Offset,
        /// Where the broker looked for a batch.
        position: Position,
        /// What is missing.
        cause: FrameError,
    },
    /// A magic below 0 stands where the timestamp or the wrapped messages are asked for (`IllegalArgumentException`,
    /// `InvalidRecordException`).
    #[error("the message at position {position} of segment {segment} has the magic {magic}")]
    Magic {
        /// Base offset of the segment.
        segment: Offset,
        /// Where the message begins.
        position: Position,
        /// Its magic.
        magic: i8,
    },
    /// An index entry has a negative position (`IllegalArgumentException`).
    #[error("an entry of the offset index of segment {segment} has the position {position}")]
    NegativePosition {
        /// Base offset of the segment.
        segment: Offset,
        /// The position, as stored.
        position: i64,
    },
    /// The records of a batch cannot be decoded.
    #[error("the records of the batch at position {position} of segment {segment} cannot be read: {cause}")]
    Records {
        /// Base offset of the segment.
        segment: Offset,
        /// Where the batch begins.
        position: Position,
        /// What is wrong with them.
        cause: RecordError,
    },
}

/// A broker's answer, or the exception that it has in its place.
pub type BrokerAnswer<T> = Result<Result<T, Failure>, StoreError>;

/// What ends a lookup before there is an answer.
enum Trouble {
    Store(StoreError),
    Kafka(Failure),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Kafka(failure)
    }
}

fn answer<T>(result: Result<T, Trouble>) -> BrokerAnswer<T> {
    match result {
        Ok(answer) => Ok(Ok(answer)),
        Err(Trouble::Kafka(failure)) => Ok(Err(failure)),
        Err(Trouble::Store(error)) => Err(error),
    }
}

/// An offset with the leader epoch that a broker gives with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetAndEpoch {
    /// The offset.
    pub offset: Offset,
    /// The leader epoch, where the broker knows one.
    pub leader_epoch: Option<i32>,
}

/// A broker that has started on a partition.
pub struct Broker<'v, 'a> {
    view: &'v PartitionView<'a>,
    /// Per segment, what recovery made of it where it has no offset index.
    recovered: Vec<OnceCell<Recovered>>,
    log_start_offset: Offset,
    log_end_offset: Offset,
    /// The log ended below the checkpointed log start, so that the broker has deleted it.
    is_emptied: bool,
}

/// What recovery keeps of a segment.
#[derive(Clone, Copy)]
struct Recovered {
    size_in_bytes: u64,
    max_timestamp: i64,
}

impl<'v, 'a> Broker<'v, 'a> {
    /// Starts a broker on the partition.
    ///
    /// Errors: a file could not be read. A [`Failure`] keeps the broker from loading the partition.
    pub fn start(view: &'v PartitionView<'a>, trace: &mut Trace) -> BrokerAnswer<Self> {
        let mut broker = Self {
            view,
            recovered: view.segments().iter().map(|_| OnceCell::new()).collect(),
            log_start_offset: view.log_start_offset(),
            log_end_offset: view.log_start_offset(),
            is_emptied: false,
        };
        answer(broker.load(trace)).map(|loaded| loaded.map(|()| broker))
    }

    fn load(&mut self, trace: &mut Trace) -> Result<(), Trouble> {
        if let Some(last) = self.view.segments().len().checked_sub(1) {
            self.log_end_offset = self.read_next_offset(last, trace)?;
        }
        if self.view.log_start_checkpoint().is_some_and(|start| self.log_end_offset < start) {
            self.is_emptied = true;
            self.log_end_offset = self.log_start_offset;
        }
        Ok(())
    }

    /// The first offset that can be read.
    pub fn log_start_offset(&self) -> Offset {
        self.log_start_offset
    }

    /// The offset that the next record will get.
    pub fn log_end_offset(&self) -> Offset {
        self.log_end_offset
    }

    /// The answer to "earliest": the log start offset.
    ///
    /// Errors: the leader epochs could not be read.
    pub fn earliest(&self) -> Result<OffsetAndEpoch, StoreError> {
        let epochs = self.leader_epochs()?;
        let first = epochs.first().filter(|entry| entry.start_offset <= self.log_start_offset);
        Ok(OffsetAndEpoch { offset: self.log_start_offset, leader_epoch: first.map(|entry| entry.epoch) })
    }

    /// The answer to "latest" of a replica: the log end offset.
    ///
    /// Errors: the leader epochs could not be read.
    pub fn latest(&self) -> Result<OffsetAndEpoch, StoreError> {
        let leader_epoch = self.leader_epochs()?.last().map(|entry| entry.epoch);
        Ok(OffsetAndEpoch { offset: self.log_end_offset, leader_epoch })
    }

    fn leader_epochs(&self) -> Result<Vec<crate::format::leader_epoch::LeaderEpochEntry>, StoreError> {
        if self.is_emptied {
            return Ok(Vec::new());
        }
        let start = self.view.log_start_checkpoint().unwrap_or(Offset(0));
        Ok(epochs::as_loaded(&self.view.leader_epochs()?, start, self.log_end_offset))
    }

    /// The batch that a fetch at `target` begins with.
    ///
    /// Errors: a file could not be read.
    pub fn offset(&self, target: Offset, trace: &mut Trace) -> BrokerAnswer<OffsetAnswer> {
        answer(self.read(target, trace))
    }

    fn read(&self, target: Offset, trace: &mut Trace) -> Result<OffsetAnswer, Trouble> {
        let (log_start_offset, log_end_offset) = (self.log_start_offset, self.log_end_offset);
        if target < log_start_offset || target > log_end_offset {
            return Ok(OffsetAnswer::OutOfRange { log_start_offset, log_end_offset });
        }
        if target == log_end_offset {
            return Ok(OffsetAnswer::NotYetWritten { log_end_offset });
        }
        let Some(floor) = self.view.floor_segment(target) else {
            return Ok(OffsetAnswer::OutOfRange { log_start_offset, log_end_offset });
        };
        for at in floor..self.view.segments().len() {
            if let Some(batch) = self.translate_offset(at, target, trace)? {
                return Ok(OffsetAnswer::Batch { batch, is_behind_damage: false });
            }
        }
        Ok(OffsetAnswer::NothingBehind { log_end_offset, is_behind_damage: false })
    }

    /// What `pick` makes of the first record that it takes, in the order in which a broker sends records from the batch
    /// `start` on: its checksums are for those who receive them.
    ///
    /// Errors: a file could not be read.
    pub fn of_first_record<T>(
        &self,
        start: BatchPlace,
        mut pick: impl FnMut(&BatchPlace, &Record<'_>) -> Option<T>,
    ) -> BrokerAnswer<Option<T>> {
        let mut from = start.position.0;
        let mut search = || {
            for at in start.segment..self.view.segments().len() {
                let mut batches = self.batches_from(at, from, &mut Trace::default())?;
                from = 0;
                while let Some(place) = batches.next()? {
                    let picked = of_first_record(&mut batches.reader, place, |record| pick(&place, record))?;
                    let (segment, position) = (batches.segment, place.position);
                    let picked = picked.map_err(|cause| Failure::Records { segment, position, cause })?;
                    if picked.is_some() {
                        return Ok(picked);
                    }
                }
            }
            Ok(None)
        };
        answer(search())
    }

    /// The first record at or after `timestamp` (milliseconds, not negative) in the first segment whose largest timestamp
    /// reaches it. Later segments are not tried.
    ///
    /// Errors: a file could not be read.
    pub fn timestamp(&self, timestamp: i64, trace: &mut Trace) -> BrokerAnswer<Option<RecordPlace>> {
        answer(self.find_offset_by_timestamp(timestamp, trace))
    }

    /// The segment that the broker looks into for `timestamp`, and whether it was chosen by its modification time.
    ///
    /// Errors: a file could not be read.
    pub fn segment_for(&self, timestamp: i64, trace: &mut Trace) -> Result<Option<(usize, bool)>, StoreError> {
        if self.is_emptied {
            return Ok(None);
        }
        for (at, segment) in self.view.segments().iter().enumerate() {
            let (in_index, _) = self.max_timestamp_so_far(at, trace)?;
            let is_modification_time = in_index < 0;
            let largest = if is_modification_time { segment.modified()? } else { in_index };
            let is_chosen = largest >= timestamp;
            let segment = segment.base_offset;
            trace.add(Step::LargestTimestamp { segment, timestamp: largest, is_modification_time, is_chosen });
            if is_chosen {
                return Ok(Some((at, is_modification_time)));
            }
        }
        Ok(None)
    }

    fn find_offset_by_timestamp(&self, timestamp: i64, trace: &mut Trace) -> Result<Option<RecordPlace>, Trouble> {
        let Some((at, _)) = self.segment_for(timestamp, trace)? else { return Ok(None) };
        let Some(segment) = self.view.segments().get(at) else { return Ok(None) };
        let mut from = segment.base_offset;
        if segment.has_offset_index()
            && let Some(mut index) = segment.time_index()?
        {
            let slot = index.time_floor(timestamp)?;
            let entry = slot.map(|slot| index.time_entry(slot)).transpose()?.flatten();
            from = entry.map_or(from, |entry| entry.offset);
            let segment = segment.base_offset;
            let timestamp = entry.map(|entry| entry.timestamp);
            trace.add(Step::TimeIndexEntry { segment, slot, offset: from, timestamp });
        }
        let mut batches = self.batches(at, from.max(self.log_start_offset), trace)?;
        let found = loop {
            let Some(place) = batches.next()? else { break None };
            if stored(batches.max_timestamp(place)?) < timestamp {
                continue;
            }
            let record = batches
                .first_record(place, |time, offset| stored(time) >= timestamp && offset >= self.log_start_offset)?;
            if record.is_some() {
                break record;
            }
        };
        batches.tell(trace)?;
        Ok(found)
    }

    /// The record with the largest timestamp, as the time indexes have it and the log confirms it. The timestamp is
    /// `None` where no record of the log has one.
    ///
    /// Errors: a file could not be read.
    pub fn max_timestamp(&self, trace: &mut Trace) -> BrokerAnswer<Option<RecordPlace>> {
        answer(self.find_max_timestamp(trace))
    }

    fn find_max_timestamp(&self, trace: &mut Trace) -> Result<Option<RecordPlace>, Trouble> {
        let mut largest: Option<(usize, i64, Offset)> = None;
        if !self.is_emptied {
            for at in 0..self.view.segments().len() {
                let (timestamp, offset) = self.max_timestamp_so_far(at, trace)?;
                if largest.is_none_or(|(_, most, _)| timestamp > most) {
                    largest = Some((at, timestamp, offset));
                }
            }
        }
        let Some((at, timestamp, offset)) = largest else { return Ok(None) };
        let segment = self.view.segments().get(at).map_or(Offset(0), |segment| segment.base_offset);
        let is_modification_time = false;
        trace.add(Step::LargestTimestamp { segment, timestamp, is_modification_time, is_chosen: true });
        let mut batches = self.batches(at, offset, trace)?;
        let found = loop {
            let Some(place) = batches.next()? else { break None };
            if stored(batches.max_timestamp(place)?) == timestamp {
                break match place.header.magic() {
                    0 => None,
                    _ => batches.first_record(place, |time, _| stored(time) == timestamp)?,
                };
            }
        };
        batches.tell(trace)?;
        Ok(found)
    }

    /// The largest timestamp of a segment as the last entry of its time index has it, with its offset; −1 and the base
    /// offset where there is no entry.
    fn max_timestamp_so_far(&self, at: usize, trace: &mut Trace) -> Result<(i64, Offset), StoreError> {
        let Some(segment) = self.view.segments().get(at) else { return Ok((-1, Offset(0))) };
        if !segment.has_offset_index() {
            return Ok((self.recovered(at, segment, trace)?.max_timestamp, segment.base_offset));
        }
        let Some(mut index) = segment.time_index()? else { return Ok((-1, segment.base_offset)) };
        let last = index.time_slots().checked_sub(1).map(|slot| index.time_entry(slot)).transpose()?.flatten();
        Ok(last.map_or((-1, segment.base_offset), |entry| (entry.timestamp, entry.offset)))
    }

    /// The offset behind the last batch of a segment: from the batch of the last index entry on, to the end.
    fn read_next_offset(&self, at: usize, trace: &mut Trace) -> Result<Offset, Trouble> {
        let Some(segment) = self.view.segments().get(at) else { return Ok(Offset(0)) };
        let base_offset = segment.base_offset;
        let last_in_index = match segment.offset_index()? {
            Some(mut index) => {
                let last = index.offset_slots().checked_sub(1).map(|slot| index.offset_entry(slot)).transpose()?;
                last.flatten().map_or(base_offset, |entry| entry.offset)
            }
            None => base_offset,
        };
        let Some(start) = self.translate_offset(at, last_in_index, &mut Trace::default())? else {
            return Ok(base_offset);
        };
        let mut batches = self.batches_from(at, start.position.0, trace)?;
        let mut end = base_offset;
        while let Some(place) = batches.next()? {
            end = Offset(place.header.last_offset().0.saturating_add(1));
        }
        Ok(end)
    }

    /// The batch of the segment that `target` is in, or the first one behind.
    ///
    /// Source: Kafka `LogSegment.translateOffset`, `FileRecords.searchForOffsetFromPosition`.
    fn translate_offset(&self, at: usize, target: Offset, trace: &mut Trace) -> Result<Option<BatchPlace>, Trouble> {
        // Only here does Kafka take a negative position for the start of the file.
        let start = self.start_by_index(at, target, trace)?.max(0).unsigned_abs();
        let mut batches = self.batches_from(at, start, trace)?;
        let mut before: Option<BatchPlace> = None;
        let found = loop {
            let Some(place) = batches.next()? else {
                break before.filter(|before| before.header.last_offset() >= target);
            };
            let base_offset = batches.base_offset(place)?;
            if base_offset == target {
                break Some(place);
            }
            if base_offset > target {
                break before.filter(|before| before.header.last_offset() >= target).or(Some(place));
            }
            before = Some(place);
        };
        batches.tell(trace)?;
        Ok(found)
    }

    /// The batches of a segment from where its offset index leads for `target`.
    fn batches(&self, at: usize, target: Offset, trace: &mut Trace) -> Result<Batches, Trouble> {
        let position = self.start_by_index(at, target, trace)?;
        let segment = self.view.segments().get(at).map_or(Offset(0), |segment| segment.base_offset);
        let start = u64::try_from(position).map_err(|_| Failure::NegativePosition { segment, position })?;
        Ok(self.batches_from(at, start, trace)?)
    }

    /// Where the offset index of a segment leads for `target`, as stored.
    fn start_by_index(&self, at: usize, target: Offset, trace: &mut Trace) -> Result<i64, StoreError> {
        let Some(segment) = self.view.segments().get(at) else { return Ok(0) };
        let (mut offset, mut position, mut slot) = (segment.base_offset, 0, None);
        if let Some(mut index) = segment.offset_index()? {
            slot = index.offset_floor(target, index.offset_slots())?;
            if let Some(entry) = slot.map(|slot| index.offset_entry(slot)).transpose()?.flatten() {
                (offset, position) = (entry.offset, i64::from(entry.raw_position));
            }
        }
        trace.add(Step::OffsetIndexEntry { segment: segment.base_offset, slot, offset, position });
        Ok(position)
    }

    fn batches_from(&self, at: usize, start: u64, trace: &mut Trace) -> Result<Batches, StoreError> {
        let Some(segment) = self.view.segments().get(at) else {
            return Err(StoreError::nothing_there(std::path::PathBuf::new()));
        };
        let reader = segment.reader()?;
        let end = match segment.has_offset_index() {
            true => reader.len(),
            false => self.recovered(at, segment, trace)?.size_in_bytes,
        };
        let from = Position(start);
        Ok(Batches {
            reader,
            at,
            segment: segment.base_offset,
            from,
            position: start,
            end,
            count: 0,
            is_torn: false,
            so_far: self.view.so_far(at),
        })
    }

    /// What recovery makes of a segment: it keeps the batches before the first that is not intact.
    fn recovered(&self, at: usize, segment: &Segment<'_>, trace: &mut Trace) -> Result<Recovered, StoreError> {
        if let Some(known) = self.recovered.get(at).and_then(OnceCell::get) {
            return Ok(*known);
        }
        let log = segment.log()?;
        let mut scan = BatchScan::new(log.as_ref(), self.view.so_far(at), ScanOptions::default());
        let mut max_timestamp = -1;
        while let Some(batch) = scan.next_batch()? {
            max_timestamp = max_timestamp.max(stored(batch.header.max_timestamp()));
        }
        let recovered = Recovered { size_in_bytes: scan.position().0, max_timestamp };
        trace.add(Step::Recovered { segment: segment.base_offset, size_in_bytes: recovered.size_in_bytes });
        if let Some(cell) = self.recovered.get(at) {
            let _ = cell.set(recovered);
        }
        Ok(recovered)
    }
}

/// Kafka compares timestamps as they are stored: none is −1.
fn stored(timestamp: Option<i64>) -> i64 {
    timestamp.unwrap_or(-1)
}

/// The batches of a log as a broker iterates over them.
///
/// Source: Kafka `FileLogInputStream`.
struct Batches {
    reader: LogReader,
    at: usize,
    segment: Offset,
    from: Position,
    position: u64,
    end: u64,
    count: u64,
    /// Whether the iteration came to a batch that does not lie inside the log, which ends it without a word.
    is_torn: bool,
    so_far: LogSoFar,
}

impl Batches {
    fn next(&mut self) -> Result<Option<BatchPlace>, Trouble> {
        let position = Position(self.position);
        let left = self.end.saturating_sub(self.position);
        if left <= HEADER_UP_TO_MAGIC as u64 {
            self.is_torn = left > 0;
            return Ok(None);
        }
        let bytes = self.reader.header_bytes(self.position)?;
        let length = i32_at(bytes, 8).unwrap_or_default();
        if length < LEAST_LENGTH {
            return Err(Failure::Length { segment: self.segment, position, length }.into());
        }
        if length as u64 + LOG_OVERHEAD as u64 > left {
            self.is_torn = true;
            return Ok(None);
        }
        let header =
            BatchHeader::read(bytes).map_err(|cause| Failure::Header { segment: self.segment, position, cause })?;
        self.position += header.size_in_bytes();
        self.count += 1;
        Ok(Some(BatchPlace { segment: self.at, position, header }))
    }

    /// The first offset of a batch; a compressed message must be opened to know it.
    fn base_offset(&mut self, place: BatchPlace) -> Result<Offset, Trouble> {
        if let Some(base_offset) = place.header.base_offset() {
            return Ok(base_offset);
        }
        let first = self.first_record(place, |_, _| true)?;
        Ok(first.map_or(place.header.last_offset(), |first| first.offset))
    }

    fn max_timestamp(&self, place: BatchPlace) -> Result<Option<i64>, Trouble> {
        self.has_magic(place)?;
        Ok(place.header.max_timestamp())
    }

    fn has_magic(&self, place: BatchPlace) -> Result<(), Failure> {
        match place.header.magic() {
            magic @ ..0 => Err(Failure::Magic { segment: self.segment, position: place.position, magic }),
            _ => Ok(()),
        }
    }

    fn first_record(
        &mut self,
        place: BatchPlace,
        is_wanted: impl Fn(Option<i64>, Offset) -> bool,
    ) -> Result<Option<RecordPlace>, Trouble> {
        if let (BatchHeader::Message(message), Some(offset)) = (&place.header, place.header.base_offset()) {
            // A message that wraps none is its own record, and its key and value are not looked at.
            let timestamp = if message.magic > 0 { place.header.max_timestamp() } else { None };
            return Ok(is_wanted(timestamp, offset).then_some(RecordPlace { batch: place, offset, timestamp }));
        }
        self.has_magic(place)?;
        let least = RECORD_BATCH_OVERHEAD as u64;
        if matches!(place.header, BatchHeader::RecordBatch(_)) && place.header.size_in_bytes() < least {
            let (segment, position, length) = (self.segment, place.position, place.header.length());
            let cause = FrameError::LengthTooSmall { length, least: (RECORD_BATCH_OVERHEAD - LOG_OVERHEAD) as i32 };
            return Err(Failure::Header { segment, position, cause }.into());
        }
        let found = first_record(&mut self.reader, place, |record| is_wanted(record.timestamp, record.offset))?;
        let (segment, position) = (self.segment, place.position);
        Ok(found.map_err(|cause| Failure::Records { segment, position, cause })?)
    }

    fn tell(&self, trace: &mut Trace) -> Result<(), StoreError> {
        trace.add(Step::Batches { segment: self.segment, from: self.from, count: self.count, checksummed: false });
        if self.is_torn {
            // Whether anything intact follows is more than a broker knows.
            let options = ScanOptions { start: Position(self.position), ..ScanOptions::default() };
            let mut scan = BatchScan::new(self.reader.log(), self.so_far, options);
            scan.next_batch()?;
            trace.ended(self.segment, scan.end());
        }
        Ok(())
    }
}
