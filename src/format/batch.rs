//! Record batches: the header of every entry of a `.log` file, and the three rungs of trust.
//!
//! A `.log` file is a plain concatenation of batches, without file header, footer or alignment. Since 0.11 an entry
//! is a record batch with magic 2; before, it was a single message with magic 0 or 1 (see [`super::legacy`]), and one
//! file may hold all three. In this crate, as in Kafka, *batch* means an entry of any magic.
//!
//! [`RecordBatch`] is *framed*: its header and its declared length fit the bytes. Show it, do not build on it.
//! [`VerifiedBatch`] is *checksummed*: only from it may index entries and cut points be derived.
//! A [`Record`](super::record::Record) is *decoded*: only then do keys, values and headers mean anything.
//!
//! Source: Kafka `RecordBatch`, `DefaultRecordBatch`, `AbstractLegacyRecordBatch`, `FileLogInputStream`.

use std::ops::Deref;

use super::Offset;
use super::bytes::{array_at, i8_at, i32_at};
use super::checksum::{Checksum, crc32, crc32c, crc32c_fetching_ahead};
use super::compression::{CompressError, Compression, Decompressor, compress};
use super::legacy::{MESSAGE_CRC_START, MessageHeader, wrapped_records};
use super::record::{RecordError, RecordFields, Records};

/// Offset and length, the 12 bytes before every batch; not counted by the length field.
pub const LOG_OVERHEAD: usize = 12;
/// How many bytes reach from the start of a batch to the end of its magic byte.
pub const HEADER_UP_TO_MAGIC: usize = 17;
/// The header of a batch with magic 2, offset and length included.
pub const RECORD_BATCH_OVERHEAD: usize = 61;
/// The smallest length field that Kafka's file iterator accepts, that of a magic-0 message.
pub const LEAST_LENGTH: i32 = 14;
/// The whole of the smallest message, offset and length included.
const LEAST_MESSAGE_SIZE: usize = LOG_OVERHEAD + LEAST_LENGTH as usize;
/// Where the bytes that the CRC of a magic-2 batch covers begin.
pub const RECORD_BATCH_CRC_START: usize = 21;
/// The length field of a magic-2 batch without records.
pub const LEAST_RECORD_BATCH_LENGTH: i32 = 49;

/// Why bytes are no batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The bytes end before the header, or before the end that the length field declares.
    #[error("the batch takes {needed} bytes and {left} are left")]
    Short {
        /// Size of the batch, or of as much of its header as is needed to know that size.
        needed: u64,
        /// How many bytes there are.
        left: u64,
    },
    /// The length field is smaller than the smallest batch of this magic.
    #[error("the length field says {length}, the smallest batch of this magic has {least}")]
    LengthTooSmall {
        /// The length field, as stored.
        length: i32,
        /// The smallest length that is possible.
        least: i32,
    },
    /// A magic that no release of Kafka has written.
    #[error("magic {0} does not exist")]
    UnknownMagic(i8),
}

/// What a record's timestamp means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampType {
    /// Magic 0: there is no timestamp.
    NoTimestampType,
    /// The producer's time.
    CreateTime,
    /// The broker's time of append.
    LogAppendTime,
}

impl TimestampType {
    /// Kafka's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoTimestampType => "NoTimestampType",
            Self::CreateTime => "CreateTime",
            Self::LogAppendTime => "LogAppendTime",
        }
    }

    pub(super) fn of_attributes(attributes: i16) -> Self {
        if attributes & 0x08 != 0 { Self::LogAppendTime } else { Self::CreateTime }
    }
}

/// `None` for Kafka's "not known" and "not there", which is −1 on disk. Any other value stays as it is stored.
#[inline]
pub(super) fn unless_minus_one<T: PartialEq + From<i8>>(stored: T) -> Option<T> {
    if stored == T::from(-1) { None } else { Some(stored) }
}

/// The header of a batch with magic 2, every field as stored.
///
/// ```text
///  0        8      12           16    17   21         23              27
/// +--------+------+------------+-----+----+----------+---------------+
/// | base   |length|partition   |magic|crc |attributes|last offset    |
/// | offset |      |leader epoch|     |    |          |delta          |
/// +--------+------+------------+-----+----+----------+---------------+
///  27        35        43       51       53        57      61
/// +---------+---------+--------+--------+---------+-------+----------
/// |base     |max      |producer|producer|base     |records| records …
/// |timestamp|timestamp|id      |epoch   |sequence |count  |
/// +---------+---------+--------+--------+---------+-------+----------
/// ```
///
/// The CRC-32C covers byte 21 up to the end of the batch. A flipped base offset, leader epoch or magic
/// is invisible to it.
///
/// Source: Kafka `DefaultRecordBatch` (class comment).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordBatchHeader {
    /// Offset of the first record of the batch as it was first written (compaction keeps it).
    pub base_offset: i64,
    /// Bytes after this field: size of the batch − 12.
    pub length: i32,
    /// Epoch of the leader that appended the batch; −1 where unknown.
    pub partition_leader_epoch: i32,
    /// 2. Kafka's file iterator reads every magic above 1 with this layout.
    pub magic: i8,
    /// CRC-32C as stored.
    pub crc: u32,
    /// Bits 0–2 compression, 3 LogAppendTime, 4 transactional, 5 control, 6 delete horizon. Only the low byte means anything.
    pub attributes: i16,
    /// Last offset − base offset, as it was first written.
    pub last_offset_delta: i32,
    /// Milliseconds that the records' deltas are relative to; with attribute bit 6 also the delete horizon.
    pub base_timestamp: i64,
    /// Largest timestamp of the records, or time of append; milliseconds, −1 for none.
    pub max_timestamp: i64,
    /// −1 for none.
    pub producer_id: i64,
    /// −1 for none.
    pub producer_epoch: i16,
    /// Sequence number of the first record as first written; −1 for none.
    pub base_sequence: i32,
    /// How many records follow. Smaller than `last_offset_delta + 1` after compaction.
    pub records_count: i32,
}

impl RecordBatchHeader {
    /// The header in these bytes.
    #[inline]
    pub fn read(bytes: &[u8; RECORD_BATCH_OVERHEAD]) -> Self {
        // The offsets are constants inside a fixed-size array, so the defaults never come to be.
        macro_rules! field {
            ($ty:ty, $at:expr) => {
                <$ty>::from_be_bytes(array_at(bytes, $at).unwrap_or_default())
            };
        }
        Self {
            base_offset: field!(i64, 0),
            length: field!(i32, 8),
            partition_leader_epoch: field!(i32, 12),
            magic: field!(i8, 16),
            crc: field!(u32, 17),
            attributes: field!(i16, 21),
            last_offset_delta: field!(i32, 23),
            base_timestamp: field!(i64, 27),
            max_timestamp: field!(i64, 35),
            producer_id: field!(i64, 43),
            producer_epoch: field!(i16, 51),
            base_sequence: field!(i32, 53),
            records_count: field!(i32, 57),
        }
    }

    /// Appends the 61 bytes of this header.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.base_offset.to_be_bytes());
        out.extend_from_slice(&self.length.to_be_bytes());
        out.extend_from_slice(&self.partition_leader_epoch.to_be_bytes());
        out.extend_from_slice(&self.magic.to_be_bytes());
        out.extend_from_slice(&self.crc.to_be_bytes());
        out.extend_from_slice(&self.attributes.to_be_bytes());
        out.extend_from_slice(&self.last_offset_delta.to_be_bytes());
        out.extend_from_slice(&self.base_timestamp.to_be_bytes());
        out.extend_from_slice(&self.max_timestamp.to_be_bytes());
        out.extend_from_slice(&self.producer_id.to_be_bytes());
        out.extend_from_slice(&self.producer_epoch.to_be_bytes());
        out.extend_from_slice(&self.base_sequence.to_be_bytes());
        out.extend_from_slice(&self.records_count.to_be_bytes());
    }

    /// Sequence number of the last record as first written, wrapping after 2147483647; `None` without a base sequence.
    pub fn last_sequence(&self) -> Option<i32> {
        unless_minus_one(self.base_sequence).map(|base| increment_sequence(base, self.last_offset_delta))
    }

    /// Milliseconds at which tombstones and transaction markers of this batch may go; `None` without attribute bit 6.
    pub fn delete_horizon_ms(&self) -> Option<i64> {
        (self.attributes & 0x40 != 0).then_some(self.base_timestamp)
    }
}

/// `sequence` + `increment`, where 0 comes after 2147483647.
///
/// Source: Kafka `DefaultRecordBatch.incrementSequence`.
#[inline]
pub fn increment_sequence(sequence: i32, increment: i32) -> i32 {
    if sequence > i32::MAX.wrapping_sub(increment) {
        increment.wrapping_sub(i32::MAX.wrapping_sub(sequence)).wrapping_sub(1)
    } else {
        sequence.wrapping_add(increment)
    }
}

/// `sequence` − `decrement`, where 2147483647 comes before 0.
///
/// Source: Kafka `DefaultRecordBatch.decrementSequence`.
#[inline]
pub fn decrement_sequence(sequence: i32, decrement: i32) -> i32 {
    if sequence < decrement {
        i32::MAX.wrapping_sub(decrement.wrapping_sub(sequence)).wrapping_add(1)
    } else {
        sequence.wrapping_sub(decrement)
    }
}

/// The header of a batch of any magic. A copy: what is decided once does not change under a live log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchHeader {
    /// Magic 2 (and, as Kafka's file iterator has it, any magic above).
    RecordBatch(RecordBatchHeader),
    /// Magic 0 or 1 (and any negative magic): one message, which may wrap compressed ones.
    Message(MessageHeader),
}

impl BatchHeader {
    /// The header at the start of `bytes`, read as Kafka's file iterator does: no field is judged.
    ///
    /// Errors: [`FrameError::Short`] where the bytes end before the header does.
    #[inline]
    pub fn read(bytes: &[u8]) -> Result<Self, FrameError> {
        let magic = i8_at(bytes, HEADER_UP_TO_MAGIC - 1).ok_or(short(HEADER_UP_TO_MAGIC, bytes))?;
        if magic < 2 {
            MessageHeader::read(bytes).map(Self::Message)
        } else {
            let header = bytes.first_chunk().ok_or(short(RECORD_BATCH_OVERHEAD, bytes))?;
            Ok(Self::RecordBatch(RecordBatchHeader::read(header)))
        }
    }

    /// Whether magic and length can belong to a batch at all.
    ///
    /// Errors: [`FrameError::UnknownMagic`], [`FrameError::LengthTooSmall`].
    #[inline]
    pub fn check(&self) -> Result<(), FrameError> {
        let least = match self.magic() {
            0 => LEAST_LENGTH,
            1 => LEAST_LENGTH + 8,
            2 => LEAST_RECORD_BATCH_LENGTH,
            unknown => return Err(FrameError::UnknownMagic(unknown)),
        };
        if self.length() < least {
            return Err(FrameError::LengthTooSmall { length: self.length(), least });
        }
        Ok(())
    }

    /// The length field: bytes after itself.
    #[inline]
    pub fn length(&self) -> i32 {
        match self {
            Self::RecordBatch(header) => header.length,
            Self::Message(header) => header.length,
        }
    }

    /// The whole batch in bytes, offset and length fields included. A negative length counts as 0.
    #[inline]
    pub fn size_in_bytes(&self) -> u64 {
        u64::try_from(self.length()).unwrap_or(0).saturating_add(LOG_OVERHEAD as u64)
    }

    /// The magic byte.
    #[inline]
    pub fn magic(&self) -> i8 {
        match self {
            Self::RecordBatch(header) => header.magic,
            Self::Message(header) => header.magic,
        }
    }

    /// The stored checksum.
    #[inline]
    pub fn crc(&self) -> u32 {
        match self {
            Self::RecordBatch(header) => header.crc,
            Self::Message(header) => header.crc,
        }
    }

    /// The first offset of the batch as first written; `None` for a compressed message, which must be decompressed to know.
    #[inline]
    pub fn base_offset(&self) -> Option<Offset> {
        match self {
            Self::RecordBatch(header) => Some(Offset(header.base_offset)),
            Self::Message(header) => (!header.is_compressed()).then_some(Offset(header.offset)),
        }
    }

    /// The last offset of the batch, inclusive.
    #[inline]
    pub fn last_offset(&self) -> Offset {
        match self {
            Self::RecordBatch(header) => Offset(header.base_offset.wrapping_add(i64::from(header.last_offset_delta))),
            Self::Message(header) => Offset(header.offset),
        }
    }

    /// The largest timestamp in the batch in milliseconds, or its time of append.
    #[inline]
    pub fn max_timestamp(&self) -> Option<i64> {
        match self {
            Self::RecordBatch(header) => unless_minus_one(header.max_timestamp),
            Self::Message(header) => unless_minus_one(header.timestamp),
        }
    }

    /// What the timestamps of the batch mean.
    #[inline]
    pub fn timestamp_type(&self) -> TimestampType {
        match self {
            Self::RecordBatch(header) => TimestampType::of_attributes(header.attributes),
            Self::Message(header) => header.timestamp_type(),
        }
    }

    /// The compression of the records. Errors: the codec id, where no codec has it.
    #[inline]
    pub fn compression(&self) -> Result<Compression, u8> {
        let id = match self {
            Self::RecordBatch(header) => header.attributes as u8 & 0x07,
            Self::Message(header) => header.attributes as u8 & 0x07,
        };
        Compression::from_id(id).ok_or(id)
    }

    /// The fields that only magic 2 has.
    #[inline]
    pub fn as_record_batch(&self) -> Option<&RecordBatchHeader> {
        match self {
            Self::RecordBatch(header) => Some(header),
            Self::Message(_) => None,
        }
    }

    /// How many records the header claims; `None` for a compressed message, which must be decompressed to know.
    #[inline]
    pub fn records_count(&self) -> Option<i32> {
        match self {
            Self::RecordBatch(header) => Some(header.records_count),
            Self::Message(header) => (!header.is_compressed()).then_some(1),
        }
    }

    /// Epoch of the leader that appended the batch.
    #[inline]
    pub fn partition_leader_epoch(&self) -> Option<i32> {
        self.as_record_batch().and_then(|header| unless_minus_one(header.partition_leader_epoch))
    }

    /// Id of the producer.
    #[inline]
    pub fn producer_id(&self) -> Option<i64> {
        self.as_record_batch().and_then(|header| unless_minus_one(header.producer_id))
    }

    /// Whether the batch is part of a transaction, its markers included.
    #[inline]
    pub fn is_transactional(&self) -> bool {
        self.as_record_batch().is_some_and(|header| header.attributes & 0x10 != 0)
    }

    /// Whether the batch holds control records, which no consumer is given.
    #[inline]
    pub fn is_control(&self) -> bool {
        self.as_record_batch().is_some_and(|header| header.attributes & 0x20 != 0)
    }

    /// Where the bytes that the checksum covers begin, counted from the start of the batch.
    #[inline]
    pub fn checksum_start(&self) -> usize {
        match self {
            Self::RecordBatch(_) => RECORD_BATCH_CRC_START,
            Self::Message(_) => MESSAGE_CRC_START,
        }
    }

    /// The checksum of the batch that `bytes` begin with; compare with [`Self::crc`]. `None` where they end before it does.
    #[inline]
    pub fn computed_crc(&self, bytes: &[u8]) -> Option<u32> {
        let size = usize::try_from(self.size_in_bytes()).ok()?;
        // A message may be too small for its own checksum: then that is one of nothing.
        let covered = bytes.get(..size)?.get(self.checksum_start()..).unwrap_or_default();
        Some(match self {
            Self::RecordBatch(_) => crc32c(covered),
            Self::Message(_) => crc32(covered),
        })
    }

    /// As [`Self::computed_crc`], for bytes of a map that the processor has not seen yet: it is told to fetch them ahead,
    /// and those of the next batch too.
    #[inline]
    pub fn computed_crc_fetching_ahead(&self, bytes: &[u8]) -> Option<u32> {
        let size = usize::try_from(self.size_in_bytes()).ok()?;
        match self {
            Self::RecordBatch(_) if size <= bytes.len() => {
                let start = self.checksum_start();
                Some(crc32c_fetching_ahead(bytes.get(start..).unwrap_or_default(), size.saturating_sub(start)))
            }
            Self::RecordBatch(_) => None,
            Self::Message(_) => self.computed_crc(bytes),
        }
    }

    /// A checksum of the right kind, to be fed with the bytes from [`Self::checksum_start`] on.
    #[inline]
    pub fn checksum(&self) -> Checksum {
        match self {
            Self::RecordBatch(_) => Checksum::crc32c(),
            Self::Message(_) => Checksum::crc32(),
        }
    }
}

fn short(needed: usize, bytes: &[u8]) -> FrameError {
    FrameError::Short { needed: needed as u64, left: bytes.len() as u64 }
}

/// The length field of the batch that begins at `bytes`.
///
/// Errors: [`FrameError::Short`] where the bytes end before.
#[inline]
pub fn length_at(bytes: &[u8]) -> Result<i32, FrameError> {
    i32_at(bytes, 8).ok_or(short(LOG_OVERHEAD, bytes))
}

/// A framed batch: header and declared length fit. Nothing is known of its checksum.
#[derive(Clone, Copy, Debug)]
pub struct RecordBatch<'a> {
    header: BatchHeader,
    bytes: &'a [u8],
}

impl<'a> RecordBatch<'a> {
    /// The batch at the start of `bytes`; what follows it is not looked at.
    ///
    /// Errors: the bytes end before the batch does, or length or magic are impossible.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Result<Self, FrameError> {
        let header = BatchHeader::read(bytes)?;
        header.check()?;
        Self::with_header(header, bytes)
    }

    /// The batch at the start of `bytes` under a header that was read from there, however odd that header is.
    ///
    /// Errors: [`FrameError::Short`] where the bytes end before the batch does.
    #[inline]
    pub fn with_header(header: BatchHeader, bytes: &'a [u8]) -> Result<Self, FrameError> {
        let needed = header.size_in_bytes();
        let framed = usize::try_from(needed).ok().and_then(|size| bytes.get(..size));
        let framed = framed.ok_or(FrameError::Short { needed, left: bytes.len() as u64 })?;
        Ok(Self { header, bytes: framed })
    }

    /// The header, copied out when the batch was framed.
    #[inline]
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The whole batch.
    #[inline]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The checksum that the bytes have; compare with [`BatchHeader::crc`].
    #[inline]
    pub fn computed_crc(&self) -> u32 {
        self.header.computed_crc(self.bytes).unwrap_or_default()
    }

    /// Whether the batch is as large as the smallest of its magic.
    #[inline]
    fn is_large_enough(&self) -> bool {
        let least = match self.header {
            BatchHeader::RecordBatch(_) => RECORD_BATCH_OVERHEAD,
            BatchHeader::Message(_) => LEAST_MESSAGE_SIZE,
        };
        self.bytes.len() >= least
    }

    /// Whether Kafka would call the batch valid: large enough for its magic, and the checksum holds.
    #[inline]
    pub fn is_valid(&self) -> bool {
        self.is_valid_with(self.computed_crc())
    }

    /// Whether Kafka would call the batch valid if this is the checksum of its bytes.
    #[inline]
    pub fn is_valid_with(&self, computed_crc: u32) -> bool {
        self.is_large_enough() && computed_crc == self.header.crc()
    }

    /// The same batch one rung higher, or `None` where the checksum does not hold.
    #[inline]
    pub fn verify(self) -> Option<VerifiedBatch<'a>> {
        self.is_valid().then_some(VerifiedBatch(self))
    }

    /// The bytes between header and end of a magic-2 batch, compressed as they are; empty for legacy messages.
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        match self.header {
            BatchHeader::RecordBatch(_) => self.bytes.get(RECORD_BATCH_OVERHEAD..).unwrap_or_default(),
            BatchHeader::Message(_) => &[],
        }
    }

    /// The records, decompressed into `decompressor` where the batch is compressed.
    ///
    /// Errors: those that concern the batch as a whole (codec, decompression, count, wrapper); those of single
    /// records come from the iterator.
    #[inline]
    pub fn records<'r>(&self, decompressor: &'r mut Decompressor) -> Result<Records<'r>, RecordError>
    where
        'a: 'r,
    {
        match &self.header {
            BatchHeader::RecordBatch(header) => {
                let codec = self.header.compression().map_err(|id| RecordError::UnknownCompression { id })?;
                let payload = match codec {
                    Compression::None => self.payload(),
                    // A batch emptied by compaction keeps no payload, whatever its codec bits say.
                    _ if header.records_count == 0 => &[],
                    _ => decompressor.decompress(codec, header.magic, self.payload())?,
                };
                Records::of_batch(header, payload)
            }
            BatchHeader::Message(header) => wrapped_records(header, self.bytes, decompressor),
        }
    }
}

/// A batch whose checksum holds.
#[derive(Clone, Copy, Debug)]
pub struct VerifiedBatch<'a>(RecordBatch<'a>);

impl<'a> Deref for VerifiedBatch<'a> {
    type Target = RecordBatch<'a>;

    fn deref(&self) -> &RecordBatch<'a> {
        &self.0
    }
}

/// Writes batches with magic 2: the twin of [`RecordBatch`].
///
/// Length, checksum, number of records and the compression bits are filled in; every other field is written as the
/// header given to [`RecordBatchBuilder::new`] has it.
#[derive(Clone, Debug)]
pub struct RecordBatchBuilder {
    header: RecordBatchHeader,
    compression: Compression,
    records: Vec<u8>,
    count: i32,
}

impl RecordBatchBuilder {
    /// A batch without records so far.
    pub fn new(header: RecordBatchHeader, compression: Compression) -> Self {
        Self { header, compression, records: Vec::new(), count: 0 }
    }

    /// A plain header: base offset and time given, one leader epoch, no producer.
    pub fn plain_header(base_offset: Offset, base_timestamp: i64) -> RecordBatchHeader {
        RecordBatchHeader {
            base_offset: base_offset.0,
            length: 0,
            partition_leader_epoch: 0,
            magic: 2,
            crc: 0,
            attributes: 0,
            last_offset_delta: 0,
            base_timestamp,
            max_timestamp: base_timestamp,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            records_count: 0,
        }
    }

    /// Adds a record. The header's last offset delta and (but for LogAppendTime) its maximum timestamp follow.
    pub fn push(&mut self, record: &RecordFields<'_>) -> &mut Self {
        record.write(&mut self.records);
        self.count = self.count.saturating_add(1);
        self.header.last_offset_delta = self.header.last_offset_delta.max(record.offset_delta);
        if TimestampType::of_attributes(self.header.attributes) == TimestampType::CreateTime {
            let timestamp = self.header.base_timestamp.wrapping_add(record.timestamp_delta);
            self.header.max_timestamp = self.header.max_timestamp.max(timestamp);
        }
        self
    }

    /// Appends the batch.
    ///
    /// Errors: the records could not be compressed.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), CompressError> {
        let mut payload = Vec::new();
        compress(self.compression, self.header.magic, &self.records, &mut payload)?;
        let mut header = self.header;
        header.attributes = header.attributes & !0x07 | i16::from(self.compression.id());
        header.records_count = self.count;
        write_batch(header, &payload, out);
        Ok(())
    }
}

/// Appends a batch with this payload, as it is, under this header with the right length and checksum.
pub fn write_batch(mut header: RecordBatchHeader, payload: &[u8], out: &mut Vec<u8>) {
    header.length = payload.len().saturating_add(RECORD_BATCH_OVERHEAD - LOG_OVERHEAD) as i32;
    let mut covered = Vec::with_capacity(RECORD_BATCH_OVERHEAD);
    header.write(&mut covered);
    let mut checksum = Checksum::crc32c();
    checksum.update(covered.get(RECORD_BATCH_CRC_START..).unwrap_or_default());
    checksum.update(payload);
    header.crc = checksum.value();
    header.write(out);
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests;
