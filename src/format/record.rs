//! Records: what is inside a batch.
//!
//! Every record of a magic-2 batch starts with its own length. Keys, values and headers are borrowed from the batch,
//! or from the buffer that it was decompressed into; nothing is copied and nothing is allocated.
//!
//! | order | type    | field           |                                              |
//! |-------|---------|-----------------|----------------------------------------------|
//! | 1     | varint  | length          | bytes after this field                       |
//! | 2     | i8      | attributes      | unused                                       |
//! | 3     | varlong | timestamp delta | to the base timestamp of the batch           |
//! | 4     | varint  | offset delta    | to the base offset of the batch              |
//! | 5     | varint  | key length      | below 0: the key is null                     |
//! | 6     | bytes   | key             |                                              |
//! | 7     | varint  | value length    | below 0: the value is null (a tombstone)     |
//! | 8     | bytes   | value           |                                              |
//! | 9     | varint  | header count    | then per header: varint key length, key, varint value length (below 0: null), value |
//!
//! Source: Kafka `DefaultRecord`, `DefaultRecordBatch.RecordIterator`.

use super::Offset;
use super::batch::{RecordBatchHeader, TimestampType, increment_sequence, unless_minus_one};
use super::bytes::{ReadError, Reader, put_varint, put_varlong};
use super::compression::DecompressError;
use super::legacy::{Message, Messages};

/// Why a batch or one of its records cannot be decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The codec id of the batch belongs to no codec, or to none that its magic knows.
    #[error("compression id {id} does not exist for this magic")]
    UnknownCompression {
        /// Bits 0–2 of the attributes.
        id: u8,
    },
    /// The records cannot be decompressed.
    #[error("cannot be decompressed: {0}")]
    Decompress(#[from] DecompressError),
    /// The header claims a negative number of records.
    #[error("the header claims {count} records")]
    NegativeCount {
        /// The claimed number.
        count: i32,
    },
    /// The bytes end before the claimed number of records.
    #[error("the records end after {read} of the {count} that the header claims")]
    TooFewRecords {
        /// How many records were there.
        read: i32,
        /// How many the header claims.
        count: i32,
    },
    /// Bytes are left behind the claimed number of records.
    #[error("{left} bytes are left behind the {count} records that the header claims")]
    TrailingBytes {
        /// How many bytes are left.
        left: usize,
        /// How many records the header claims.
        count: i32,
    },
    /// A record's length runs past the end of the batch.
    #[error("record {index} takes {length} bytes and the batch has {left} left")]
    RecordBeyondEnd {
        /// Number of the record in the batch, from 0.
        index: i32,
        /// The record's length field.
        length: i32,
        /// How many bytes the batch has left.
        left: usize,
    },
    /// A record's fields take another number of bytes than its length says.
    #[error("the fields of record {index} take {read} bytes, its length says {length}")]
    RecordLengthMismatch {
        /// Number of the record in the batch, from 0.
        index: i32,
        /// The record's length field.
        length: i32,
        /// How many bytes its fields take.
        read: usize,
    },
    /// A number of headers that is negative or larger than the bytes left.
    #[error("record {index} claims {count} headers")]
    HeaderCount {
        /// Number of the record in the batch, from 0.
        index: i32,
        /// The claimed number of headers.
        count: i32,
    },
    /// A header whose key is null, which Kafka never writes.
    #[error("record {index} has a header whose key length is {length}")]
    HeaderKeyLength {
        /// Number of the record in the batch, from 0.
        index: i32,
        /// The header's key length.
        length: i32,
    },
    /// A field of a record runs past the record's end, or a varint does not end.
    #[error("record {index}: {cause}")]
    Structure {
        /// Number of the record in the batch, from 0.
        index: i32,
        /// What could not be read, counted from the start of the record's body.
        cause: ReadError,
    },
    /// A legacy message whose key or value runs past its end.
    #[error("the message's {field} takes {length} bytes and {left} are left")]
    MessageField {
        /// `key` or `value`.
        field: &'static str,
        /// The length field.
        length: i32,
        /// How many bytes are left.
        left: usize,
    },
    /// A compressed legacy message without value.
    #[error("a compressed message has no value")]
    WrapperWithoutValue,
    /// A compressed legacy message without messages inside.
    #[error("a compressed message holds no messages")]
    EmptyWrapper,
    /// A compressed message inside a compressed message.
    #[error("message {index} inside a compressed message is itself compressed")]
    NestedWrapper {
        /// Number of the inner message, from 0.
        index: i32,
    },
    /// An inner message whose length field is impossible.
    #[error("message {index} inside a compressed message has the length {length}")]
    InnerLength {
        /// Number of the inner message, from 0.
        index: i32,
        /// The length field.
        length: i32,
    },
    /// The relative offset of the last inner message is larger than the offset of the message around it.
    #[error("the last inner message has the relative offset {inner}, the message around it the offset {wrapper}")]
    WrapperOffset {
        /// Offset of the compressed message.
        wrapper: i64,
        /// Offset stored in its last inner message.
        inner: i64,
    },
}

/// One record, of whatever magic.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The record's offset.
    pub offset: Offset,
    /// Milliseconds; `None` where there is no timestamp (−1 on disk).
    pub timestamp: Option<i64>,
    /// What the timestamp means.
    pub timestamp_type: TimestampType,
    /// Sequence number of an idempotent producer's record.
    pub sequence: Option<i32>,
    /// The key; `None` is null, which differs from empty.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is null (a tombstone), which differs from empty.
    pub value: Option<&'a [u8]>,
    /// The headers, in order, repeated keys kept. Always empty before magic 2.
    pub headers: Headers<'a>,
    /// The message that a record of magic 0 or 1 is, with its own checksum; `None` for magic 2.
    pub message: Option<Message<'a>>,
}

/// One header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Kafka writes UTF-8; nothing checks that.
    pub key: &'a [u8],
    /// `None` is null, which differs from empty.
    pub value: Option<&'a [u8]>,
}

/// The headers of a record: a list, not a map. Checked when the record was decoded.
#[derive(Clone, Copy, Debug, Default)]
pub struct Headers<'a> {
    count: i32,
    bytes: &'a [u8],
}

impl<'a> Headers<'a> {
    /// How many headers there are.
    pub fn len(&self) -> usize {
        usize::try_from(self.count).unwrap_or(0)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The headers in the order in which the producer gave them.
    pub fn iter(&self) -> impl Iterator<Item = Header<'a>> + use<'a> {
        let mut reader = Reader::new(self.bytes);
        (0..self.count).map_while(move |_| read_header(&mut reader, 0).ok())
    }
}

#[inline]
fn read_header<'a>(reader: &mut Reader<'a>, index: i32) -> Result<Header<'a>, RecordError> {
    let structure = |cause| RecordError::Structure { index, cause };
    let length = reader.varint().map_err(structure)?;
    let key_length = usize::try_from(length).map_err(|_| RecordError::HeaderKeyLength { index, length })?;
    let key = reader.bytes(key_length).map_err(structure)?;
    let value = nullable(reader).map_err(structure)?;
    Ok(Header { key, value })
}

/// Bytes behind a varint length; a negative length is null.
#[inline(always)]
fn nullable<'a>(reader: &mut Reader<'a>) -> Result<Option<&'a [u8]>, ReadError> {
    match usize::try_from(reader.varint()?) {
        Ok(length) => reader.bytes(length).map(Some),
        Err(_) => Ok(None),
    }
}

/// The records of one batch, in order. Ends after the first error.
#[derive(Clone, Debug)]
pub struct Records<'a>(Source<'a>);

#[derive(Clone, Debug)]
enum Source<'a> {
    Batch(BatchRecords<'a>),
    Messages(Messages<'a>),
}

#[derive(Clone, Debug)]
struct BatchRecords<'a> {
    rest: Reader<'a>,
    next_index: i32,
    count: i32,
    base_offset: i64,
    base_timestamp: i64,
    /// Every record's timestamp where the broker set it.
    append_time: Option<i64>,
    base_sequence: Option<i32>,
    ended: bool,
}

impl<'a> Records<'a> {
    /// The records in `payload`, the decompressed records section of a magic-2 batch.
    pub(super) fn of_batch(header: &RecordBatchHeader, payload: &'a [u8]) -> Result<Self, RecordError> {
        if header.records_count < 0 {
            return Err(RecordError::NegativeCount { count: header.records_count });
        }
        let append_time = match TimestampType::of_attributes(header.attributes) {
            TimestampType::LogAppendTime => Some(header.max_timestamp),
            _ => None,
        };
        Ok(Self(Source::Batch(BatchRecords {
            rest: Reader::new(payload),
            next_index: 0,
            count: header.records_count,
            base_offset: header.base_offset,
            base_timestamp: header.base_timestamp,
            append_time,
            base_sequence: (header.base_sequence >= 0).then_some(header.base_sequence),
            // The rule against trailing bytes does not reach a batch that claims no records.
            ended: header.records_count == 0,
        })))
    }

    /// The records that legacy messages are.
    pub(super) fn of_messages(messages: Messages<'a>) -> Self {
        Self(Source::Messages(messages))
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, RecordError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Source::Batch(records) => records.next(),
            Source::Messages(messages) => messages.next(),
        }
    }
}

impl<'a> BatchRecords<'a> {
    #[inline]
    fn next(&mut self) -> Option<Result<Record<'a>, RecordError>> {
        if self.ended {
            return None;
        }
        if self.next_index == self.count {
            self.ended = true;
            return match self.rest.remaining() {
                0 => None,
                left => Some(Err(RecordError::TrailingBytes { left, count: self.count })),
            };
        }
        let record = self.read();
        match record {
            Ok(_) => self.next_index = self.next_index.wrapping_add(1),
            Err(_) => self.ended = true,
        }
        Some(record)
    }

    #[inline]
    fn read(&mut self) -> Result<Record<'a>, RecordError> {
        let index = self.next_index;
        let structure = |cause| RecordError::Structure { index, cause };
        if self.rest.remaining() == 0 {
            return Err(RecordError::TooFewRecords { read: index, count: self.count });
        }
        let length = self.rest.varint().map_err(structure)?;
        let left = self.rest.remaining();
        let body = usize::try_from(length).ok().and_then(|length| self.rest.bytes(length).ok());
        let body = body.ok_or(RecordError::RecordBeyondEnd { index, length, left })?;

        let mut fields = Reader::new(body);
        fields.i8().map_err(structure)?;
        let timestamp_delta = fields.varlong().map_err(structure)?;
        let offset_delta = fields.varint().map_err(structure)?;
        let key = nullable(&mut fields).map_err(structure)?;
        let value = nullable(&mut fields).map_err(structure)?;
        let headers = read_headers(&mut fields, index)?;
        if fields.remaining() != 0 {
            return Err(RecordError::RecordLengthMismatch { index, length, read: fields.position() });
        }
        let timestamp = self.append_time.unwrap_or(self.base_timestamp.wrapping_add(timestamp_delta));
        Ok(Record {
            offset: Offset(self.base_offset.wrapping_add(i64::from(offset_delta))),
            timestamp: unless_minus_one(timestamp),
            timestamp_type: match self.append_time {
                Some(_) => TimestampType::LogAppendTime,
                None => TimestampType::CreateTime,
            },
            sequence: self.base_sequence.map(|base| increment_sequence(base, offset_delta)),
            key,
            value,
            headers,
            message: None,
        })
    }
}

/// Reads the headers once, so that iterating over them later cannot fail.
#[inline]
fn read_headers<'a>(fields: &mut Reader<'a>, index: i32) -> Result<Headers<'a>, RecordError> {
    let count = fields.varint().map_err(|cause| RecordError::Structure { index, cause })?;
    if count == 0 {
        return Ok(Headers::default());
    }
    if count < 0 || count as usize > fields.remaining() {
        return Err(RecordError::HeaderCount { index, count });
    }
    let bytes = fields.rest();
    for _ in 0..count {
        read_header(fields, index)?;
    }
    Ok(Headers { count, bytes })
}

/// The fields of one record of a magic-2 batch, to be written.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecordFields<'a> {
    /// Unused by Kafka, written as it is.
    pub attributes: i8,
    /// Milliseconds after the base timestamp of the batch.
    pub timestamp_delta: i64,
    /// Offset − base offset of the batch.
    pub offset_delta: i32,
    /// `None` is null.
    pub key: Option<&'a [u8]>,
    /// `None` is null.
    pub value: Option<&'a [u8]>,
    /// Key and value of each header.
    pub headers: &'a [(&'a [u8], Option<&'a [u8]>)],
}

impl RecordFields<'_> {
    /// Appends the record, its length first.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut body = vec![self.attributes as u8];
        put_varlong(&mut body, self.timestamp_delta);
        put_varint(&mut body, self.offset_delta);
        put_nullable(&mut body, self.key);
        put_nullable(&mut body, self.value);
        put_varint(&mut body, self.headers.len() as i32);
        for (key, value) in self.headers {
            put_nullable(&mut body, Some(key));
            put_nullable(&mut body, *value);
        }
        put_nullable(out, Some(&body));
    }
}

fn put_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => {
            put_varint(out, bytes.len() as i32);
            out.extend_from_slice(bytes);
        }
        None => put_varint(out, -1),
    }
}
