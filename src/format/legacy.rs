//! Messages with magic 0 (Kafka 0.8, 0.9) and magic 1 (0.10): what brokers wrote before record batches.
//!
//! ```text
//!  0       8       12   16    17         18 (magic 1: 26)
//! +-------+-------+----+-----+----------+-----------+----------+-----+------------+-------+
//! |offset |length |crc |magic|attributes|[timestamp]|key length| key |value length| value |
//! +-------+-------+----+-----+----------+-----------+----------+-----+------------+-------+
//! ```
//!
//! The CRC-32 covers byte 16 up to the end. A message whose attributes name a codec is a *wrapper*: its value is a
//! compressed sequence of whole messages. Inner offsets are absolute in a magic-0 wrapper and relative in a magic-1
//! wrapper, whose own offset is that of its last inner message.
//!
//! Source: Kafka `LegacyRecord`, `AbstractLegacyRecordBatch`.

use super::Offset;
use super::batch::{FrameError, LEAST_LENGTH, LOG_OVERHEAD, RecordBatch, TimestampType, unless_minus_one};
use super::bytes::{Reader, i8_at, i32_at, i64_at, u32_at};
use super::checksum::crc32;
use super::compression::{CompressError, Compression, Decompressor, compress};
use super::record::{Headers, Record, RecordError, Records};

/// Where the bytes that a message's CRC covers begin.
pub const MESSAGE_CRC_START: usize = 16;

/// The header of one message, every field as stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageHeader {
    /// Offset of the message; of a wrapper, that of its last inner message; inside a magic-1 wrapper relative.
    pub offset: i64,
    /// Bytes after this field: size of the entry − 12.
    pub length: i32,
    /// CRC-32 as stored.
    pub crc: u32,
    /// 0 or 1; Kafka reads a negative magic with the layout of 1.
    pub magic: i8,
    /// Bits 0–2 compression, 3 LogAppendTime (magic 1).
    pub attributes: i8,
    /// Milliseconds; −1 for none and for magic 0.
    pub timestamp: i64,
}

impl MessageHeader {
    /// The header at the start of `bytes`. Errors: [`FrameError::Short`] where the bytes end before it does.
    pub fn read(bytes: &[u8]) -> Result<Self, FrameError> {
        let read = || {
            let magic = i8_at(bytes, 16)?;
            Some(Self {
                offset: i64_at(bytes, 0)?,
                length: i32_at(bytes, 8)?,
                crc: u32_at(bytes, 12)?,
                magic,
                attributes: i8_at(bytes, 17)?,
                timestamp: if magic == 0 { -1 } else { i64_at(bytes, 18)? },
            })
        };
        read().ok_or_else(|| FrameError::Short {
            needed: if i8_at(bytes, 16) == Some(0) { 18 } else { 26 },
            left: bytes.len() as u64,
        })
    }

    /// Appends the header's 18 (magic 0) or 26 bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.offset.to_be_bytes());
        out.extend_from_slice(&self.length.to_be_bytes());
        out.extend_from_slice(&self.crc.to_be_bytes());
        out.extend_from_slice(&[self.magic as u8, self.attributes as u8]);
        if self.magic != 0 {
            out.extend_from_slice(&self.timestamp.to_be_bytes());
        }
    }

    /// Whether the message wraps compressed ones.
    #[inline]
    pub fn is_compressed(&self) -> bool {
        self.attributes & 0x07 != 0
    }

    /// What the timestamp means.
    #[inline]
    pub fn timestamp_type(&self) -> TimestampType {
        match self.magic {
            0 => TimestampType::NoTimestampType,
            _ => TimestampType::of_attributes(i16::from(self.attributes)),
        }
    }

    fn size(&self) -> usize {
        if self.magic == 0 { 18 } else { 26 }
    }
}

/// One whole message with its 12 bytes of offset and length.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    header: MessageHeader,
    bytes: &'a [u8],
}

impl<'a> Message<'a> {
    /// The header as stored; inside a magic-1 wrapper its offset is relative.
    pub fn header(&self) -> &MessageHeader {
        &self.header
    }

    /// Whether the message's own checksum holds.
    pub fn is_valid(&self) -> bool {
        crc32(self.bytes.get(MESSAGE_CRC_START..).unwrap_or_default()) == self.header.crc
    }

    /// Key and value. Errors: [`RecordError::MessageField`] where one of them runs past the end.
    fn key_and_value(&self) -> Result<[Option<&'a [u8]>; 2], RecordError> {
        let mut fields = Reader::new(self.bytes.get(self.header.size()..).unwrap_or_default());
        Ok([sized(&mut fields, "key")?, sized(&mut fields, "value")?])
    }
}

/// Bytes behind a 32-bit length; a negative length is null.
fn sized<'a>(fields: &mut Reader<'a>, field: &'static str) -> Result<Option<&'a [u8]>, RecordError> {
    let beyond = |length, left| RecordError::MessageField { field, length, left };
    let length = fields.i32().map_err(|_| beyond(4, fields.remaining()))?;
    match usize::try_from(length) {
        Ok(size) => fields.bytes(size).map(Some).map_err(|_| beyond(length, fields.remaining())),
        Err(_) => Ok(None),
    }
}

/// The records of one legacy entry: the message itself, or those that it wraps.
#[derive(Clone, Debug)]
pub struct Messages<'a> {
    rest: Reader<'a>,
    next_index: i32,
    /// Added to the stored offsets; 0 where they are absolute.
    base_offset: i64,
    /// Timestamp and type that the wrapper lends to its inner messages of magic 1.
    wrapper: Option<MessageHeader>,
}

/// The records of the entry `bytes` that begins with `header`.
pub(super) fn wrapped_records<'r>(
    header: &MessageHeader,
    bytes: &'r [u8],
    decompressor: &'r mut Decompressor,
) -> Result<Records<'r>, RecordError> {
    let single = |rest| Messages { rest: Reader::new(rest), next_index: 0, base_offset: 0, wrapper: None };
    if !header.is_compressed() {
        return Ok(Records::of_messages(single(bytes)));
    }
    let id = header.attributes as u8 & 0x07;
    let codec = Compression::from_id(id).filter(|codec| *codec != Compression::Zstd);
    let codec = codec.ok_or(RecordError::UnknownCompression { id })?;
    let [_, value] = Message { header: *header, bytes }.key_and_value()?;
    let value = value.ok_or(RecordError::WrapperWithoutValue)?;
    let inner = decompressor.decompress(codec, header.magic, value)?;

    let mut last_inner_offset = None;
    let mut walk = single(inner);
    while let Some(message) = walk.next_message() {
        last_inner_offset = Some(message?.header.offset);
    }
    let last_inner_offset = last_inner_offset.ok_or(RecordError::EmptyWrapper)?;
    let base_offset = match (header.magic, header.offset) {
        (0, _) => 0,
        // Old librdkafka producers left the wrapper's offset 0: the inner offsets count as they are.
        (_, 0) => 0,
        (_, wrapper) if wrapper < last_inner_offset => {
            return Err(RecordError::WrapperOffset { wrapper, inner: last_inner_offset });
        }
        (_, wrapper) => wrapper.wrapping_sub(last_inner_offset),
    };
    Ok(Records::of_messages(Messages { base_offset, wrapper: Some(*header), ..single(inner) }))
}

impl<'a> Messages<'a> {
    /// The next record; ends after the first error.
    pub(super) fn next(&mut self) -> Option<Result<Record<'a>, RecordError>> {
        let index = self.next_index;
        let record = self.next_message()?.and_then(|message| self.record_of(message, index));
        if record.is_err() {
            self.rest = Reader::new(&[]);
        }
        Some(record)
    }

    /// The next message. One that is cut off by the end of the bytes is silently left out, as Kafka does.
    fn next_message(&mut self) -> Option<Result<Message<'a>, RecordError>> {
        let index = self.next_index;
        let rest = self.rest.rest();
        let length = i32_at(rest, 8)?;
        if length < LEAST_LENGTH {
            self.rest = Reader::new(&[]);
            return Some(Err(RecordError::InnerLength { index, length }));
        }
        let bytes = self.rest.bytes((length as usize).saturating_add(LOG_OVERHEAD)).ok()?;
        self.next_index = index.wrapping_add(1);
        let header = MessageHeader::read(bytes).map_err(|_| RecordError::InnerLength { index, length });
        Some(header.map(|header| Message { header, bytes }))
    }

    fn record_of(&self, message: Message<'a>, index: i32) -> Result<Record<'a>, RecordError> {
        let header = message.header;
        if self.wrapper.is_some() && header.is_compressed() {
            return Err(RecordError::NestedWrapper { index });
        }
        let [key, value] = message.key_and_value()?;
        let (timestamp, timestamp_type) = match (header.magic, &self.wrapper) {
            (0, _) | (_, None) => (header.timestamp, header.timestamp_type()),
            (_, Some(wrapper)) => match wrapper.timestamp_type() {
                TimestampType::LogAppendTime => (wrapper.timestamp, TimestampType::LogAppendTime),
                of_wrapper => (header.timestamp, of_wrapper),
            },
        };
        Ok(Record {
            offset: Offset(header.offset.wrapping_add(self.base_offset)),
            timestamp: unless_minus_one(timestamp),
            timestamp_type,
            sequence: None,
            key,
            value,
            headers: Headers::default(),
            message: Some(message),
        })
    }
}

/// One message to be written.
#[derive(Clone, Copy, Debug)]
pub struct MessageFields<'a> {
    /// Offset as it shall be stored.
    pub offset: i64,
    /// 0 or 1.
    pub magic: i8,
    /// Bits 0–2 compression, 3 LogAppendTime.
    pub attributes: i8,
    /// Milliseconds; left out for magic 0.
    pub timestamp: i64,
    /// `None` is null.
    pub key: Option<&'a [u8]>,
    /// `None` is null.
    pub value: Option<&'a [u8]>,
}

impl MessageFields<'_> {
    /// Appends the whole message with the right length and checksum.
    pub fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let header = MessageHeader {
            offset: self.offset,
            length: 0,
            crc: 0,
            magic: self.magic,
            attributes: self.attributes,
            timestamp: self.timestamp,
        };
        header.write(out);
        for field in [self.key, self.value] {
            out.extend_from_slice(&field.map_or(-1, |bytes| bytes.len() as i32).to_be_bytes());
            out.extend_from_slice(field.unwrap_or_default());
        }
        let Some(message) = out.get_mut(start..) else { return };
        let length = (message.len().saturating_sub(LOG_OVERHEAD)) as i32;
        let crc = crc32(message.get(MESSAGE_CRC_START..).unwrap_or_default());
        for (at, field) in [(8usize, length.to_be_bytes()), (12, crc.to_be_bytes())] {
            if let Some(place) = message.get_mut(at..at.saturating_add(4)) {
                place.copy_from_slice(&field);
            }
        }
    }
}

/// Appends a wrapper with the given codec around `messages`, which are whole messages.
///
/// `last_offset` is the absolute offset of the last one; `attributes` may carry bit 3 (LogAppendTime).
///
/// Errors: the messages could not be compressed.
pub fn write_wrapper(
    out: &mut Vec<u8>,
    magic: i8,
    codec: Compression,
    attributes: i8,
    last_offset: Offset,
    timestamp: i64,
    messages: &[u8],
) -> Result<(), CompressError> {
    let mut value = Vec::new();
    compress(codec, magic, messages, &mut value)?;
    let attributes = attributes | codec.id() as i8;
    let value = Some(value.as_slice());
    MessageFields { offset: last_offset.0, magic, attributes, timestamp, key: None, value }.write(out);
    Ok(())
}

/// The absolute offset of the first message of a legacy entry, which for a wrapper takes decompression.
///
/// Errors: those of [`RecordBatch::records`]. `None` where the first message is cut off.
pub fn first_offset(batch: &RecordBatch<'_>, decompressor: &mut Decompressor) -> Result<Option<Offset>, RecordError> {
    match batch.header().base_offset() {
        Some(offset) => Ok(Some(offset)),
        None => batch.records(decompressor)?.next().map(|first| first.map(|record| record.offset)).transpose(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::testing::unhex;
    use proptest::prelude::*;

    /// All three by Kafka's own classes.
    const V0: &str = "000000000000002a 00000010 1fecd70a 00 00 00000001 6b 00000001 76";
    const V1: &str = "000000000000002b 00000017 c1672ac5 01 00 0000018bcfe56800 ffffffff 00000001 76";
    const V1_GZIP: &str = "0000000000000033 00000054 a55b044b 01 01 0000018bcfe56807 ffffffff 0000003e
        1f8b08000000000000ff63608003094bb51e63462083b1fbfcd30c90086336882883ca83a424d9a66cbc0457c30e6430651b81150100a0d7fc9749000000";

    /// Offset, timestamp, key, value.
    type Owned = (i64, Option<i64>, Option<Vec<u8>>, Option<Vec<u8>>);

    fn records_of(bytes: &[u8]) -> Vec<Owned> {
        let mut decompressor = Decompressor::new(1 << 20);
        let batch = RecordBatch::new(bytes).unwrap().verify().unwrap();
        let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
        let records = batch.records(&mut decompressor).unwrap();
        records
            .map(|record| record.unwrap())
            .inspect(|record| assert!(record.message.unwrap().is_valid()))
            .map(|record| (record.offset.0, record.timestamp, owned(record.key), owned(record.value)))
            .collect()
    }

    #[test]
    fn messages_by_kafkas_own_classes_read_as_they_were_made() {
        let bytes = |text: &str| Some(text.as_bytes().to_vec());
        assert_eq!(records_of(&unhex(V0)), [(42, None, bytes("k"), bytes("v"))]);
        assert_eq!(records_of(&unhex(V1)), [(43, Some(1_700_000_000_000), None, bytes("v"))]);
        assert_eq!(
            records_of(&unhex(V1_GZIP)),
            [
                (50, Some(1_700_000_000_000), bytes("k"), bytes("v")),
                (51, Some(1_700_000_000_007), bytes("k2"), bytes("v"))
            ]
        );
    }

    #[test]
    fn messages_are_written_with_kafkas_bytes() {
        let mut out = Vec::new();
        let v0 =
            MessageFields { offset: 42, magic: 0, attributes: 0, timestamp: -1, key: Some(b"k"), value: Some(b"v") };
        v0.write(&mut out);
        let v1 = MessageFields { offset: 43, magic: 1, timestamp: 1_700_000_000_000, key: None, ..v0 };
        v1.write(&mut out);
        assert_eq!(out, [unhex(V0), unhex(V1)].concat());
    }

    fn wrapper(magic: i8, wrapper_offset: i64, attributes: i8, inner_offsets: &[i64]) -> Vec<u8> {
        let mut inner = Vec::new();
        for &offset in inner_offsets {
            MessageFields { offset, magic, attributes: 0, timestamp: offset, key: None, value: Some(b"v") }
                .write(&mut inner);
        }
        let mut out = Vec::new();
        write_wrapper(&mut out, magic, Compression::Gzip, attributes, Offset(wrapper_offset), 99, &inner).unwrap();
        out
    }

    fn offsets_and_times(bytes: &[u8]) -> Vec<(i64, Option<i64>)> {
        records_of(bytes).into_iter().map(|(offset, timestamp, ..)| (offset, timestamp)).collect()
    }

    #[test]
    fn inner_offsets_are_absolute_in_a_magic_0_wrapper_and_relative_in_a_magic_1_wrapper() {
        assert_eq!(offsets_and_times(&wrapper(0, 12, 0, &[11, 12])), [(11, None), (12, None)]);
        assert_eq!(offsets_and_times(&wrapper(1, 12, 0, &[0, 3])), [(9, Some(0)), (12, Some(3))]);
        // Compaction leaves holes; an offset of 0 on the wrapper is that of old librdkafka.
        assert_eq!(offsets_and_times(&wrapper(1, 0, 0, &[0, 1])), [(0, Some(0)), (1, Some(1))]);
    }

    #[test]
    fn a_wrapper_with_append_time_lends_it_to_every_inner_message() {
        assert_eq!(offsets_and_times(&wrapper(1, 12, 8, &[0, 1])), [(11, Some(99)), (12, Some(99))]);
    }

    #[test]
    fn wrappers_that_kafka_refuses_are_refused() {
        let error = |bytes: &[u8]| {
            let mut decompressor = Decompressor::new(1 << 20);
            match RecordBatch::new(bytes).unwrap().records(&mut decompressor) {
                Err(error) => error,
                Ok(mut records) => records.find_map(Result::err).unwrap(),
            }
        };
        assert_eq!(error(&wrapper(1, 2, 0, &[0, 5])), RecordError::WrapperOffset { wrapper: 2, inner: 5 });
        assert_eq!(error(&wrapper(1, 2, 0, &[])), RecordError::EmptyWrapper);
        let mut out = Vec::new();
        let fields = MessageFields { offset: 1, magic: 1, attributes: 1, timestamp: 1, key: None, value: None };
        fields.write(&mut out);
        assert_eq!(error(&out), RecordError::WrapperWithoutValue);
        let mut nested = Vec::new();
        write_wrapper(&mut nested, 1, Compression::Gzip, 0, Offset(9), 1, &wrapper(1, 2, 0, &[2])).unwrap();
        assert_eq!(error(&nested), RecordError::NestedWrapper { index: 0 });
        out.clear();
        MessageFields { attributes: 4, ..fields }.write(&mut out);
        assert_eq!(error(&out), RecordError::UnknownCompression { id: 4 });
    }

    #[test]
    fn a_last_inner_message_that_is_cut_off_is_left_out() {
        let mut inner = Vec::new();
        for offset in 0..2 {
            MessageFields { offset, magic: 1, attributes: 0, timestamp: 5, key: None, value: Some(b"v") }
                .write(&mut inner);
        }
        inner.truncate(inner.len() - 1);
        let mut out = Vec::new();
        write_wrapper(&mut out, 1, Compression::Gzip, 0, Offset(7), 5, &inner).unwrap();
        assert_eq!(offsets_and_times(&out), [(7, Some(5))]);
    }

    proptest! {
        #[test]
        fn a_message_that_is_written_reads_the_same(
            offset: i64, magic in 0i8..2, timestamp in -1i64..i64::MAX,
            key: Option<Vec<u8>>, value: Option<Vec<u8>>,
        ) {
            let mut out = Vec::new();
            let fields = MessageFields { offset, magic, attributes: 0, timestamp, key: key.as_deref(), value: value.as_deref() };
            fields.write(&mut out);
            let timestamp = if magic == 0 || timestamp == -1 { None } else { Some(timestamp) };
            prop_assert_eq!(records_of(&out), vec![(offset, timestamp, key, value)]);
        }
    }
}
