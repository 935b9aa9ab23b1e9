//! Recovering one segment as a broker does: which batches it accepts, what it writes into the indexes, where it stops.
//!
//! A batch is accepted for its checksum alone: offsets need not rise, records are not decoded but for transaction
//! markers. The index bytes are those that Kafka's own recovery writes, byte for byte.
//!
//! Source: Kafka `LogSegment.recover`, `OffsetIndex.append`, `TimeIndex.maybeAppend`, `TransactionIndex.append`.

use super::batch_scan::streamed_crc;
use super::producer_state::{EndMarker, ProducerError, ProducerState, end_marker};
use crate::format::batch::{BatchHeader, FrameError, RECORD_BATCH_OVERHEAD, RecordBatch, RecordBatchHeader};
use crate::format::batch::{HEADER_UP_TO_MAGIC, LEAST_LENGTH, LOG_OVERHEAD, length_at};
use crate::format::compression::{DEFAULT_LIMIT, Decompressor};
use crate::format::offset_index::{self, OffsetIndexEntry};
use crate::format::time_index::{self, TimeIndexEntry};
use crate::format::txn_index::AbortedTxn;
use crate::format::{Offset, Position};
use crate::store::window::Window;
use crate::store::{ReadStorage, StoreError};

/// `index.interval.bytes` where a topic does not say otherwise.
pub const DEFAULT_INDEX_INTERVAL_BYTES: u32 = 4096;
/// `segment.index.bytes` where a topic does not say otherwise.
pub const DEFAULT_SEGMENT_INDEX_BYTES: u32 = 10 << 20;
/// A batch up to this size is held while its checksum is computed, in bytes.
const HELD_BATCH: u64 = 1 << 20;

/// Whose way to start is played.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum KafkaRelease {
    /// Release 3.9, checked with 3.9.2.
    V3_9,
    /// Release 4.4, checked with 4.4.0.
    #[default]
    V4_4,
}

impl KafkaRelease {
    /// Whether a marker that is too short is an exception that nobody expects.
    pub(super) fn marker_underflows(self) -> bool {
        self == Self::V4_4
    }
}

/// The bytes of a log between two positions of a file. Positions are counted from `start`.
#[derive(Clone, Copy)]
pub struct LogRange<'s> {
    /// The file.
    pub storage: &'s dyn ReadStorage,
    /// Where the log begins in it.
    pub start: u64,
    /// How many bytes it has. The file may go on behind them.
    pub size_in_bytes: u64,
}

impl<'s> LogRange<'s> {
    /// A whole file.
    pub fn whole(storage: &'s dyn ReadStorage) -> Self {
        Self { storage, start: 0, size_in_bytes: storage.len() }
    }
}

/// Why there is no batch where one is looked for, and Kafka has an exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchFault {
    /// The length field is smaller than that of any batch.
    #[error("the length field says {length}")]
    Length {
        /// The length field.
        length: i32,
    },
    /// The batch ends before its own header, and the file with it.
    #[error("{0}")]
    Header(FrameError),
    /// The checksum does not hold, or the batch is smaller than its header.
    #[error("the stored checksum is {stored}, that of the bytes {computed}")]
    Checksum {
        /// The checksum in the header.
        stored: u32,
        /// The checksum of the bytes.
        computed: u32,
    },
}

/// A batch as Kafka's iterator shows it: framed by its length field, nothing else looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogBatch {
    /// Where it begins.
    pub position: Position,
    /// Its header.
    pub header: BatchHeader,
}

/// The batches of a log as Kafka's iterator shows them.
///
/// Source: Kafka `FileLogInputStream`.
pub struct LogBatches<'s> {
    window: Window<'s>,
    log: LogRange<'s>,
    position: u64,
    end: u64,
}

impl<'s> LogBatches<'s> {
    /// The batches from `position` up to `end` (exclusive).
    pub fn new(log: LogRange<'s>, position: u64, end: u64) -> Self {
        Self { window: Window::new(log.storage), log, position, end: end.min(log.size_in_bytes) }
    }

    /// Where the next batch would begin.
    pub fn position(&self) -> Position {
        Position(self.position)
    }

    /// The next batch, `None` where no whole one is left. After a [`BatchFault::Header`] the iterator can go on, as
    /// Kafka's does if nobody asks for the fields of that batch.
    ///
    /// Errors: the storage could not be read.
    pub fn next_batch(&mut self) -> Result<Option<Result<LogBatch, BatchFault>>, StoreError> {
        if self.position.saturating_add(HEADER_UP_TO_MAGIC as u64) >= self.end {
            return Ok(None);
        }
        // A header is read from the file, whatever end was asked for.
        let in_log = usize::try_from(self.log.size_in_bytes - self.position).unwrap_or(usize::MAX);
        let bytes = self.window.at(self.log.start + self.position, RECORD_BATCH_OVERHEAD as u64)?;
        let bytes = bytes.get(..in_log).unwrap_or(bytes);
        let length = length_at(bytes).unwrap_or_default();
        if length < LEAST_LENGTH {
            return Ok(Some(Err(BatchFault::Length { length })));
        }
        let end = self.position + LOG_OVERHEAD as u64 + length as u64;
        if end > self.end {
            return Ok(None);
        }
        let position = Position(self.position);
        let header = BatchHeader::read(bytes);
        self.position = end;
        Ok(Some(header.map(|header| LogBatch { position, header }).map_err(BatchFault::Header)))
    }

    /// Whether Kafka would call the batch valid; else what is wrong with it.
    pub fn validity(&mut self, batch: &LogBatch) -> Result<Result<(), BatchFault>, StoreError> {
        let LogBatch { position, header } = batch;
        let size = header.size_in_bytes();
        let at = self.log.start + position.0;
        let computed = if size <= HELD_BATCH {
            let bytes = self.window.at(at, size)?;
            RecordBatch::with_header(*header, bytes).map_or(!header.crc(), |batch| batch.computed_crc())
        } else {
            streamed_crc(&mut self.window, at, header)?
        };
        let is_too_small = header.as_record_batch().is_some() && size < RECORD_BATCH_OVERHEAD as u64;
        let stored = header.crc();
        Ok(if computed == stored && !is_too_small { Ok(()) } else { Err(BatchFault::Checksum { stored, computed }) })
    }

    /// The bytes of a batch, held in memory.
    ///
    /// Errors: [`StoreError::TooLarge`] where no reader takes so much at once.
    pub fn bytes(&mut self, batch: &LogBatch) -> Result<Option<RecordBatch<'_>>, StoreError> {
        let size = batch.header.size_in_bytes();
        if size > DEFAULT_LIMIT as u64 {
            let (path, limit) = (self.log.storage.path().to_owned(), DEFAULT_LIMIT as u64);
            return Err(StoreError::TooLarge { path, size_in_bytes: size, limit });
        }
        let bytes = self.window.at(self.log.start + batch.position.0, size)?;
        Ok(RecordBatch::with_header(batch.header, bytes).ok())
    }

    /// The marker in a control batch.
    pub fn end_marker(
        &mut self,
        batch: &LogBatch,
        decompressor: &mut Decompressor,
    ) -> Result<Option<EndMarker>, BatchTrouble> {
        let Some(batch) = self.bytes(batch)? else { return Ok(None) };
        Ok(end_marker(&batch, decompressor)?)
    }
}

/// What can be the matter with a batch that is applied.
#[derive(Debug, thiserror::Error)]
pub enum BatchTrouble {
    /// The storage could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It does not go with what is known of its producer.
    #[error(transparent)]
    Producer(#[from] ProducerError),
}

/// What a recovery depends on besides the log.
#[derive(Clone, Copy, Debug)]
pub struct RecoverOptions {
    /// The base offset of the segment.
    pub base_offset: Offset,
    /// `index.interval.bytes` of the topic.
    pub index_interval_bytes: u32,
    /// `segment.index.bytes` of the topic.
    pub segment_index_bytes: u32,
    /// Whose recovery it is.
    pub release: KafkaRelease,
}

impl RecoverOptions {
    /// With the settings of a topic that sets nothing itself.
    pub fn with_defaults(base_offset: Offset) -> Self {
        Self {
            base_offset,
            index_interval_bytes: DEFAULT_INDEX_INTERVAL_BYTES,
            segment_index_bytes: DEFAULT_SEGMENT_INDEX_BYTES,
            release: KafkaRelease::default(),
        }
    }
}

/// Why recovery came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecoverEnd {
    /// Behind the last batch is the end of the file.
    EndOfLog,
    /// The last bytes are the beginning of a batch at most.
    Torn,
    /// What follows is no batch. Everything from here on is cut off.
    NoBatch(BatchFault),
    /// The batch before this position is kept, although its producer data cannot be read. Everything behind it is cut off.
    BadMarker(ProducerError),
    /// The recovery does not come to an end: the broker has an exception. Nothing is cut.
    Escapes(Escape),
}

/// An exception that comes out of a recovery.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Escape {
    /// An offset that does not fit into the index of its segment (`LogSegmentOffsetOverflowException`).
    #[error("offset {offset} does not fit into the segment with base offset {base_offset}")]
    OffsetOverflow {
        /// The base offset of the segment.
        base_offset: Offset,
        /// The last offset of the batch.
        offset: Offset,
    },
    /// An index entry for an offset that is not above the one before it (`InvalidOffsetException`).
    #[error("offset {offset} is to follow {last} in an index")]
    OffsetNotRising {
        /// The offset of the last entry.
        last: Offset,
        /// The offset that is not above it.
        offset: Offset,
    },
    /// An index has no room left (`IllegalArgumentException`).
    #[error("there is no room for more than {entries} entries in an index")]
    IndexFull {
        /// How many entries there are.
        entries: usize,
    },
    /// Two aborted transactions whose markers do not follow each other (`IllegalArgumentException`).
    #[error("the transaction aborted at offset {offset} is to follow that aborted at {last}")]
    AbortNotRising {
        /// Offset of the last marker in the index.
        last: Offset,
        /// Offset of the marker that is not above it.
        offset: Offset,
    },
    /// A batch does not go with what is known of its producer.
    #[error(transparent)]
    Producer(ProducerError),
}

impl Escape {
    /// The exception that a broker has for it, by the short name of its class.
    pub fn exception(&self, release: KafkaRelease) -> &'static str {
        match self {
            Self::OffsetOverflow { .. } => "LogSegmentOffsetOverflowException",
            Self::OffsetNotRising { .. } => "InvalidOffsetException",
            Self::IndexFull { .. } | Self::AbortNotRising { .. } => "IllegalArgumentException",
            Self::Producer(error) => error.exception(release),
        }
    }
}

/// The two indexes that come from batch headers, as they are being written.
///
/// Source: Kafka `LogSegment.append`, `LogSegment.recover`.
#[derive(Clone, Debug)]
pub struct IndexWriter {
    base_offset: Offset,
    interval: u64,
    capacity: [usize; 2],
    /// The bytes of the offset index.
    pub offset_index: Vec<u8>,
    /// The bytes of the time index.
    pub time_index: Vec<u8>,
    last_offset: Option<Offset>,
    last_time: Option<(i64, Offset)>,
    max_timestamp: (i64, Offset),
    last_indexed: u64,
    /// How many entries were left out for want of room; `None` where that ends it.
    left_out: Option<u64>,
}

impl IndexWriter {
    /// No entries yet.
    pub fn new(options: &RecoverOptions) -> Self {
        let bytes = options.segment_index_bytes as usize;
        Self {
            base_offset: options.base_offset,
            interval: u64::from(options.index_interval_bytes),
            capacity: [bytes / offset_index::ENTRY_SIZE, bytes / time_index::ENTRY_SIZE],
            offset_index: Vec::new(),
            time_index: Vec::new(),
            last_offset: None,
            last_time: None,
            max_timestamp: (-1, options.base_offset),
            last_indexed: 0,
            left_out: None,
        }
    }

    /// The same, to leave out entries for which there is no room, in place of ending there as Kafka does.
    pub fn leaving_out(self) -> Self {
        Self { left_out: Some(0), ..self }
    }

    /// How many entries were left out for want of room.
    pub fn left_out(&self) -> u64 {
        self.left_out.unwrap_or(0)
    }

    fn is_full(&mut self, entries: usize) -> Result<(), Escape> {
        let left_out = self.left_out.as_mut().ok_or(Escape::IndexFull { entries })?;
        *left_out += 1;
        Ok(())
    }

    /// The largest timestamp so far in milliseconds (−1 for none), and the last offset of the first batch that has it.
    pub fn max_timestamp(&self) -> (i64, Offset) {
        self.max_timestamp
    }

    /// Takes a batch that begins at `position`, and writes entries where they are due.
    ///
    /// Errors: [`Escape`].
    pub fn batch(&mut self, position: u64, header: &BatchHeader) -> Result<(), Escape> {
        let last_offset = header.last_offset();
        let timestamp = header.max_timestamp().unwrap_or(-1);
        if timestamp > self.max_timestamp.0 {
            self.max_timestamp = (timestamp, last_offset);
        }
        if position - self.last_indexed > self.interval {
            self.offset_entry(last_offset, Position(position))?;
            self.time_entry(false)?;
            self.last_indexed = position;
        }
        Ok(())
    }

    /// Writes the last entry of the time index.
    ///
    /// Errors: [`Escape::OffsetNotRising`].
    pub fn close(&mut self) -> Result<(), Escape> {
        self.time_entry(true)
    }

    fn offset_entry(&mut self, offset: Offset, position: Position) -> Result<(), Escape> {
        let entries = self.offset_index.len() / offset_index::ENTRY_SIZE;
        if entries >= self.capacity[0] {
            return self.is_full(entries);
        }
        if let Some(last) = self.last_offset.filter(|last| offset <= *last) {
            return Err(Escape::OffsetNotRising { last, offset });
        }
        let Some(entry) = OffsetIndexEntry::new(self.base_offset, offset, position) else {
            return Err(Escape::OffsetOverflow { base_offset: self.base_offset, offset });
        };
        entry.write(&mut self.offset_index);
        self.last_offset = Some(offset);
        Ok(())
    }

    fn time_entry(&mut self, is_last: bool) -> Result<(), Escape> {
        let (timestamp, offset) = self.max_timestamp;
        let entries = self.time_index.len() / time_index::ENTRY_SIZE;
        if !is_last && entries + 1 >= self.capacity[1] {
            return self.is_full(entries);
        }
        if let Some((_, last)) = self.last_time.filter(|(_, last)| offset < *last) {
            return Err(Escape::OffsetNotRising { last, offset });
        }
        if timestamp <= self.last_time.map_or(-1, |(timestamp, _)| timestamp) {
            return Ok(());
        }
        let Some(entry) = TimeIndexEntry::new(self.base_offset, timestamp, offset) else {
            return Err(Escape::OffsetOverflow { base_offset: self.base_offset, offset });
        };
        entry.write(&mut self.time_index);
        self.last_time = Some((timestamp, offset));
        Ok(())
    }
}

/// What recovery makes of a segment.
#[derive(Clone, Debug)]
pub struct Recovery {
    /// How many bytes of the log are kept, unless the recovery [escapes](RecoverEnd::Escapes).
    pub valid_bytes: u64,
    /// How many batches those are.
    pub batches: u64,
    /// Why it came to its end.
    pub end: RecoverEnd,
    /// The bytes of the `.index`.
    pub offset_index: Vec<u8>,
    /// The bytes of the `.timeindex`.
    pub time_index: Vec<u8>,
    /// The bytes of the `.txnindex`: Kafka makes that file only where there is an entry, or the file already.
    pub txn_index: Vec<u8>,
    /// The largest timestamp in milliseconds (−1 for none), and the last offset of the first batch that has it.
    pub max_timestamp: (i64, Offset),
}

/// Recovers a segment: `producers` must be what is known at its base offset, and is what is known at its end afterwards.
/// `new_epoch` is told of every batch with its leader epoch and base offset.
///
/// Errors: the storage could not be read.
pub fn recover(
    log: LogRange<'_>,
    options: &RecoverOptions,
    producers: &mut ProducerState,
    mut epoch_of_batch: impl FnMut(i32, Offset),
) -> Result<Recovery, StoreError> {
    let mut batches = LogBatches::new(log, 0, log.size_in_bytes);
    let mut indexes = IndexWriter::new(options);
    let mut decompressor = Decompressor::default();
    let (mut valid_bytes, mut count) = (0, 0);
    let mut txn_index = Vec::new();
    let mut last_abort = None;
    let mut end = loop {
        let batch = match batches.next_batch()? {
            None if valid_bytes == log.size_in_bytes => break RecoverEnd::EndOfLog,
            None => break RecoverEnd::Torn,
            Some(Err(fault)) => break RecoverEnd::NoBatch(fault),
            Some(Ok(batch)) => batch,
        };
        if let Err(fault) = batches.validity(&batch)? {
            break RecoverEnd::NoBatch(fault);
        }
        let header = &batch.header;
        if !fits(options.base_offset, header.last_offset()) {
            let (base_offset, offset) = (options.base_offset, header.last_offset());
            break RecoverEnd::Escapes(Escape::OffsetOverflow { base_offset, offset });
        }
        if let Err(escape) = indexes.batch(valid_bytes, header) {
            break RecoverEnd::Escapes(escape);
        }
        valid_bytes += header.size_in_bytes();
        count += 1;
        let Some(header) = header.as_record_batch() else { continue };
        if header.partition_leader_epoch >= 0 {
            epoch_of_batch(header.partition_leader_epoch, Offset(header.base_offset));
        }
        match apply(&mut batches, &batch, header, producers, &mut decompressor) {
            Ok(None) => {}
            Ok(Some(aborted)) => {
                if let Some(last) = last_abort.filter(|last| *last >= aborted.last_offset) {
                    break RecoverEnd::Escapes(Escape::AbortNotRising { last, offset: aborted.last_offset });
                }
                last_abort = Some(aborted.last_offset);
                aborted.write(&mut txn_index);
            }
            Err(BatchTrouble::Store(error)) => return Err(error),
            Err(BatchTrouble::Producer(error)) if error.ends_recovery(options.release) => {
                break RecoverEnd::BadMarker(error);
            }
            Err(BatchTrouble::Producer(error)) => break RecoverEnd::Escapes(Escape::Producer(error)),
        }
    };
    if !matches!(end, RecoverEnd::Escapes(_))
        && let Err(escape) = indexes.close()
    {
        end = RecoverEnd::Escapes(escape);
    }
    let max_timestamp = indexes.max_timestamp();
    let IndexWriter { offset_index, time_index, .. } = indexes;
    Ok(Recovery { valid_bytes, batches: count, end, offset_index, time_index, txn_index, max_timestamp })
}

fn apply(
    batches: &mut LogBatches<'_>,
    batch: &LogBatch,
    header: &RecordBatchHeader,
    producers: &mut ProducerState,
    decompressor: &mut Decompressor,
) -> Result<Option<AbortedTxn>, BatchTrouble> {
    producers.apply(header, || batches.end_marker(batch, decompressor))
}

/// Whether an offset can be told by an index of the segment.
pub fn fits(base_offset: Offset, offset: Offset) -> bool {
    offset.0.checked_sub(base_offset.0).is_some_and(|relative| (0..=i64::from(i32::MAX)).contains(&relative))
}
