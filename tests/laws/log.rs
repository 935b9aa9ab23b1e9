//! Batches, records and legacy messages.

use kfsck::format::Offset;
use kfsck::format::batch::{
    BatchHeader, FrameError, RECORD_BATCH_OVERHEAD, RecordBatch, RecordBatchBuilder, RecordBatchHeader, TimestampType,
    write_batch,
};
use kfsck::format::checksum::crc32;
use kfsck::format::compression::{Compression, Decompressor, compress};
use kfsck::format::legacy::{self, Message, MessageFields};
use kfsck::format::record::{Header, Record, RecordError, RecordFields, Records};

use super::LIMIT;

/// The largest batch whose records are written and read again.
const REWRITTEN: u64 = 64 << 10;

/// Any bytes as one batch, and once more with the right length and checksum.
pub fn batch(bytes: &[u8]) {
    framed(bytes);
    if let Some(repaired) = repaired(bytes) {
        let batch = RecordBatch::new(&repaired).map(RecordBatch::verify);
        assert!(!matches!(batch, Ok(None)), "the checksum that was written does not hold");
        framed(&repaired);
    }
}

/// A records section under a header that claims some number of records: byte 0 codec and claim, 1–2 claim, 3 attributes.
pub fn record(bytes: &[u8]) {
    let [codec, high, low, attributes, payload @ ..] = bytes else { return };
    let records_count = match codec >> 6 {
        0 => i32::MAX,
        1 => i32::MIN,
        _ => i32::from(i16::from_be_bytes([*high, *low])),
    };
    let plain = RecordBatchHeader {
        attributes: i16::from(attributes & 0x78),
        records_count,
        base_sequence: i32::MAX - 2,
        ..RecordBatchBuilder::plain_header(Offset(i64::MAX - 2), i64::MIN)
    };
    let mut uncompressed = Vec::new();
    write_batch(plain, payload, &mut uncompressed);
    framed(&uncompressed);

    let codec = Compression::ALL[usize::from(codec & 0x0f) % Compression::ALL.len()];
    let (mut section, mut compressed) = (Vec::new(), Vec::new());
    compress(codec, 2, payload, &mut section).unwrap();
    write_batch(
        RecordBatchHeader { attributes: plain.attributes | i16::from(codec.id()), ..plain },
        &section,
        &mut compressed,
    );
    let (mut none, mut some) = (Decompressor::new(LIMIT), Decompressor::new(payload.len()));
    let plain = RecordBatch::new(&uncompressed).unwrap().records(&mut none);
    let other = RecordBatch::new(&compressed).unwrap().records(&mut some);
    assert_same_records(plain, other);
}

/// Bytes as what a legacy message wraps: byte 0 magic, codec and attributes, 1–8 the wrapper's offset.
pub fn legacy(bytes: &[u8]) {
    let Some(([how, offset @ ..], inner)) = bytes.split_first_chunk::<9>() else { return };
    let (magic, attributes) = ((how & 1) as i8, (how & 8) as i8);
    let codec = Compression::ALL[usize::from(how >> 4) % 4];
    let offset = Offset(i64::from_be_bytes(*offset));
    let mut wrapper = Vec::new();
    legacy::write_wrapper(&mut wrapper, magic, codec, attributes, offset, 7, inner).unwrap();
    let batch = RecordBatch::new(&wrapper).unwrap();
    assert!(batch.is_valid());
    framed(&wrapper);

    let (mut one, mut two) = (Decompressor::new(LIMIT), Decompressor::new(LIMIT));
    let first_offset = legacy::first_offset(&batch, &mut one);
    match batch.records(&mut two).map(|mut records| records.next()) {
        Ok(Some(Ok(first))) => assert_eq!(first_offset, Ok(Some(first.offset))),
        Ok(Some(Err(error))) => assert!(first_offset == Err(error) || codec == Compression::None),
        Ok(None) => assert_eq!(first_offset, Ok(None)),
        Err(error) => assert_eq!(first_offset, Err(error)),
    }
}

/// The same bytes as one batch whose length and checksum are right; `None` where there is no header.
fn repaired(bytes: &[u8]) -> Option<Vec<u8>> {
    match BatchHeader::read(bytes).ok()? {
        BatchHeader::RecordBatch(header) => {
            let mut out = Vec::new();
            write_batch(RecordBatchHeader { magic: 2, ..header }, &bytes[RECORD_BATCH_OVERHEAD..], &mut out);
            Some(out)
        }
        BatchHeader::Message(_) => {
            let mut out = bytes.to_vec();
            let length = i32::try_from(bytes.len() - 12).ok()?;
            out[8..12].copy_from_slice(&length.to_be_bytes());
            let crc = crc32(&out[16..]);
            out[12..16].copy_from_slice(&crc.to_be_bytes());
            Some(out)
        }
    }
}

fn framed(bytes: &[u8]) {
    let header = match BatchHeader::read(bytes) {
        Ok(header) => header,
        Err(FrameError::Short { needed, left }) => {
            assert!(left == bytes.len() as u64 && needed > left);
            assert!(RecordBatch::new(bytes).is_err());
            return;
        }
        Err(other) => panic!("reading a header judges no field: {other}"),
    };
    let mut written = Vec::new();
    match &header {
        BatchHeader::RecordBatch(header) => header.write(&mut written),
        BatchHeader::Message(header) => header.write(&mut written),
    }
    assert!(bytes.starts_with(&written), "a header is written as it was read");

    let lenient = RecordBatch::with_header(header, bytes);
    match RecordBatch::new(bytes) {
        Ok(strict) => assert_eq!(lenient.map(|batch| batch.bytes()), Ok(strict.bytes())),
        Err(_) => assert!(header.check().is_err() || lenient.is_err()),
    }
    let Ok(batch) = lenient else { return };
    let size = batch.bytes().len();
    assert_eq!(size as u64, header.size_in_bytes());
    assert!(RecordBatch::with_header(header, &bytes[..size - 1]).is_err(), "a batch that is cut is no batch");

    let mut checksum = header.checksum();
    batch.bytes().get(header.checksum_start()..).unwrap_or_default().chunks(7).for_each(|piece| checksum.update(piece));
    assert_eq!(checksum.value(), batch.computed_crc(), "a checksum by pieces is that of the whole");
    assert_eq!(batch.is_valid(), batch.verify().is_some());
    decoded(&batch);
}

/// Records are within the batch and as many as claimed, or there is one error at their end.
fn decoded(batch: &RecordBatch<'_>) {
    let mut decompressor = Decompressor::new(LIMIT);
    let Ok(mut records) = batch.records(&mut decompressor) else { return };
    let (mut count, mut size, mut failed) = (0, 0, false);
    for record in records.by_ref() {
        assert!(!failed, "a record behind an error");
        match record {
            Ok(record) => {
                count += 1;
                size += size_within(&record, batch);
                message_reads_back(&record);
            }
            Err(_) => failed = true,
        }
    }
    assert!(records.next().is_none(), "records behind the end");
    assert!(size <= batch.bytes().len().max(LIMIT), "records overlap");
    if let Some(header) = batch.header().as_record_batch() {
        assert!(count <= header.records_count);
        assert!(failed || count == header.records_count);
        if !failed && header.magic == 2 && size as u64 <= REWRITTEN && batch.header().size_in_bytes() <= REWRITTEN {
            written_again(batch, header);
        }
    }
}

/// The bytes of the fields; where the batch is not compressed, they are its own.
fn size_within(record: &Record<'_>, batch: &RecordBatch<'_>) -> usize {
    let whole = batch.bytes().as_ptr_range();
    let uncompressed = batch.header().compression() == Ok(Compression::None);
    let size = |bytes: Option<&[u8]>| {
        let Some(bytes) = bytes else { return 0 };
        let range = bytes.as_ptr_range();
        assert!(!uncompressed || whole.start <= range.start && range.end <= whole.end, "a field outside the batch");
        bytes.len()
    };
    assert_eq!(record.headers.iter().count(), record.headers.len());
    let headers: usize = record.headers.iter().map(|header| size(Some(header.key)) + size(header.value)).sum();
    size(record.key) + size(record.value) + headers
}

/// A batch of the same records, written by the builder, reads the same.
fn written_again(batch: &RecordBatch<'_>, header: &RecordBatchHeader) {
    let codec = batch.header().compression().unwrap();
    let (mut one, mut two) = (Decompressor::new(LIMIT), Decompressor::new(LIMIT));
    let mut builder = RecordBatchBuilder::new(*header, codec);
    for record in batch.records(&mut one).unwrap() {
        let record = record.unwrap();
        let headers: Vec<(&[u8], Option<&[u8]>)> =
            record.headers.iter().map(|Header { key, value }| (key, value)).collect();
        let timestamp_delta = match record.timestamp_type {
            TimestampType::LogAppendTime => 0,
            _ => record.timestamp.unwrap_or(-1).wrapping_sub(header.base_timestamp),
        };
        builder.push(&RecordFields {
            attributes: 0,
            timestamp_delta,
            offset_delta: record.offset.0.wrapping_sub(header.base_offset) as i32,
            key: record.key,
            value: record.value,
            headers: &headers,
        });
    }
    let mut out = Vec::new();
    builder.write(&mut out).unwrap();
    let again = RecordBatch::new(&out).unwrap().verify().expect("the builder writes the right checksum");
    assert_same_records(batch.records(&mut one), again.records(&mut two));
}

/// The message that a record is reads the same once written.
fn message_reads_back(record: &Record<'_>) {
    let Some(message) = record.message else { return };
    let header = Message::header(&message);
    if !matches!(header.magic, 0 | 1) || header.is_compressed() {
        return;
    }
    let mut out = Vec::new();
    MessageFields {
        offset: header.offset,
        magic: header.magic,
        attributes: header.attributes,
        timestamp: header.timestamp,
        key: record.key,
        value: record.value,
    }
    .write(&mut out);
    let mut decompressor = Decompressor::new(LIMIT);
    let again = RecordBatch::new(&out).unwrap().verify().expect("a message is written with the right checksum");
    let mut again = again.records(&mut decompressor).unwrap();
    let first = again.next().unwrap().unwrap();
    assert_eq!((first.key, first.value), (record.key, record.value));
    assert!(again.next().is_none());
}

/// Both fail alike or give the same records up to the same end.
fn assert_same_records(one: Result<Records<'_>, RecordError>, two: Result<Records<'_>, RecordError>) {
    let (mut one, mut two) = match (one, two) {
        (Ok(one), Ok(two)) => (one, two),
        (one, two) => {
            assert_eq!(one.err(), two.err());
            return;
        }
    };
    loop {
        match (one.next(), two.next()) {
            (None, None) => return,
            (Some(Err(one)), Some(Err(two))) => assert_eq!(one, two),
            (Some(Ok(one)), Some(Ok(two))) => {
                let fields = |r: &Record<'_>| (r.offset, r.timestamp, r.timestamp_type, r.sequence);
                assert_eq!(fields(&one), fields(&two));
                assert_eq!((one.key, one.value), (two.key, two.value));
                assert!(one.headers.iter().eq(two.headers.iter()));
            }
            (one, two) => panic!("{one:?} here, {two:?} there"),
        }
    }
}
