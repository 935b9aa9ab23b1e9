use super::*;
use crate::format::testing::unhex;
use proptest::prelude::*;

/// Two records, base offset 100, epoch 5, written by Kafka's own builder.
const TWO_RECORDS: &str = "0000000000000064 00000047 00000005 02 11b537f4 0000 00000001
    0000018bcfe56800 0000018bcfe56805 ffffffffffffffff ffff ffffffff 00000002
    1c 00 00 00 04 6b31 04 7631 02 02 68 02 78
    0c 00 0a 02 01 00 00";
const ABORT_MARKER: &str = "0000000000000007 00000042 00000000 02 93814fe7 0030 00000000
    0000018bcfe56800 0000018bcfe56800 0000000000000fa0 0003 ffffffff 00000001
    20 00 00 00 08 00000000 0c 000000 00000c 00";
const EMPTIED: &str = "00000000000000c8 00000031 00000005 02 5fa1ebe5 0010 00000009
    ffffffffffffffff 0000018bcfe56809 0000000000000fa0 0003 00000028 00000000";

fn decompressor() -> Decompressor {
    Decompressor::new(1 << 20)
}

#[test]
fn a_batch_by_kafkas_own_builder_reads_as_it_was_made() {
    let bytes = unhex(TWO_RECORDS);
    let batch = RecordBatch::new(&bytes).unwrap().verify().unwrap();
    let header = batch.header();
    assert_eq!((header.base_offset(), header.last_offset()), (Some(Offset(100)), Offset(101)));
    assert_eq!(header.partition_leader_epoch(), Some(5));
    assert_eq!(header.max_timestamp(), Some(1_700_000_000_005));
    assert_eq!((header.producer_id(), header.is_control(), header.size_in_bytes()), (None, false, 83));
    let mut decompressor = decompressor();
    let records: Vec<_> = batch.records(&mut decompressor).unwrap().map(Result::unwrap).collect();
    assert_eq!(records.len(), 2);
    assert_eq!((records[0].offset, records[0].timestamp), (Offset(100), Some(1_700_000_000_000)));
    assert_eq!((records[0].key, records[0].value), (Some(&b"k1"[..]), Some(&b"v1"[..])));
    let headers: Vec<_> = records[0].headers.iter().map(|header| (header.key, header.value)).collect();
    assert_eq!(headers, [(&b"h"[..], Some(&b"x"[..]))]);
    assert_eq!((records[1].offset, records[1].timestamp), (Offset(101), Some(1_700_000_000_005)));
    assert_eq!((records[1].key, records[1].value), (None, Some(&b""[..])));
}

#[test]
fn the_builder_writes_kafkas_bytes() {
    let mut builder = RecordBatchBuilder::new(
        RecordBatchHeader {
            partition_leader_epoch: 5,
            ..RecordBatchBuilder::plain_header(Offset(100), 1_700_000_000_000)
        },
        Compression::None,
    );
    builder.push(&RecordFields {
        key: Some(b"k1"),
        value: Some(b"v1"),
        headers: &[(b"h", Some(b"x"))],
        ..RecordFields::default()
    });
    builder.push(&RecordFields { timestamp_delta: 5, offset_delta: 1, value: Some(b""), ..RecordFields::default() });
    let mut out = Vec::new();
    builder.write(&mut out).unwrap();
    assert_eq!(out, unhex(TWO_RECORDS));
}

#[test]
fn a_marker_and_an_emptied_batch_read_as_kafka_wrote_them() {
    let bytes = unhex(ABORT_MARKER);
    let marker = RecordBatch::new(&bytes).unwrap().verify().unwrap();
    assert!(marker.header().is_control() && marker.header().is_transactional());
    assert_eq!((marker.header().producer_id(), bytes.len()), (Some(4000), 78));
    assert_eq!(marker.header().as_record_batch().unwrap().last_sequence(), None);

    let bytes = unhex(EMPTIED);
    let emptied = RecordBatch::new(&bytes).unwrap().verify().unwrap();
    assert_eq!((emptied.header().base_offset(), emptied.header().last_offset()), (Some(Offset(200)), Offset(209)));
    assert_eq!(emptied.header().as_record_batch().unwrap().last_sequence(), Some(49));
    assert_eq!(emptied.records(&mut decompressor()).unwrap().count(), 0);
}

#[test]
fn sequences_wrap_after_the_largest() {
    assert_eq!(increment_sequence(i32::MAX, 1), 0);
    assert_eq!(increment_sequence(i32::MAX - 1, 3), 1);
    assert_eq!(decrement_sequence(0, 1), i32::MAX);
    assert_eq!(decrement_sequence(5, 5), 0);
}

#[test]
fn a_flip_that_the_checksum_covers_is_noticed_and_one_before_it_is_not() {
    let healthy = unhex(TWO_RECORDS);
    for (at, noticed) in [(0, false), (15, false), (20, true), (21, true), (60, true), (82, true)] {
        let mut bytes = healthy.clone();
        bytes[at] ^= 1;
        assert_eq!(RecordBatch::new(&bytes).unwrap().verify().is_none(), noticed, "byte {at}");
    }
}

#[test]
fn a_batch_that_claims_two_billion_records_costs_nothing() {
    let mut out = Vec::new();
    let header = RecordBatchHeader { records_count: i32::MAX, ..RecordBatchBuilder::plain_header(Offset(0), 0) };
    write_batch(header, &[], &mut out);
    let mut decompressor = decompressor();
    let mut records = RecordBatch::new(&out).unwrap().verify().unwrap().records(&mut decompressor).unwrap();
    assert_eq!(records.next().unwrap().unwrap_err(), RecordError::TooFewRecords { read: 0, count: i32::MAX });
    assert!(records.next().is_none());
}

#[test]
fn magic_and_length_that_cannot_be_are_refused_with_their_numbers() {
    let mut bytes = unhex(TWO_RECORDS);
    bytes[16] = 3;
    assert_eq!(RecordBatch::new(&bytes).unwrap_err(), FrameError::UnknownMagic(3));
    bytes[16] = 2;
    bytes[11] = 48;
    assert_eq!(RecordBatch::new(&bytes).unwrap_err(), FrameError::LengthTooSmall { length: 48, least: 49 });
    bytes[11] = 72;
    assert_eq!(RecordBatch::new(&bytes).unwrap_err(), FrameError::Short { needed: 84, left: 83 });
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..300), magic in -1i8..4) {
        if let Some(place) = bytes.get_mut(16) {
            *place = magic as u8;
        }
        for fitting in [false, true] {
            if fitting && bytes.len() > 12 {
                let length = (bytes.len() - 12) as i32;
                bytes[8..12].copy_from_slice(&length.to_be_bytes());
            }
            if let Ok(batch) = RecordBatch::new(&bytes) {
                let _ = batch.is_valid();
                let mut decompressor = decompressor();
                if let Ok(records) = batch.records(&mut decompressor) {
                    for record in records.flatten() {
                        let _ = (record.headers.iter().count(), record.message.map(|message| message.is_valid()));
                    }
                }
            }
        }
    }

    #[test]
    fn a_header_that_is_read_and_written_stays_the_same(bytes in prop::array::uniform32(any::<u8>()), more in prop::array::uniform29(any::<u8>())) {
        let mut whole = [0; RECORD_BATCH_OVERHEAD];
        whole[..32].copy_from_slice(&bytes);
        whole[32..].copy_from_slice(&more);
        let mut out = Vec::new();
        RecordBatchHeader::read(&whole).write(&mut out);
        prop_assert_eq!(out, whole);
    }

    #[test]
    fn records_read_as_they_were_written(
        records in prop::collection::vec((
            prop::option::of(prop::collection::vec(any::<u8>(), 0..20)),
            prop::option::of(prop::collection::vec(any::<u8>(), 0..200)),
            prop::collection::vec((prop::collection::vec(any::<u8>(), 0..5), prop::option::of(prop::collection::vec(any::<u8>(), 0..5))), 0..4),
            any::<i32>(),
        ), 0..20),
        codec in 0u8..5,
    ) {
        let codec = Compression::from_id(codec).unwrap();
        let mut builder = RecordBatchBuilder::new(RecordBatchBuilder::plain_header(Offset(7), 1000), codec);
        for (at, (key, value, headers, delta)) in records.iter().enumerate() {
            let headers: Vec<_> = headers.iter().map(|(key, value)| (key.as_slice(), value.as_deref())).collect();
            builder.push(&RecordFields {
                attributes: 0, timestamp_delta: i64::from(*delta), offset_delta: at as i32,
                key: key.as_deref(), value: value.as_deref(), headers: &headers,
            });
        }
        let mut out = Vec::new();
        builder.write(&mut out).unwrap();
        let mut decompressor = decompressor();
        let batch = RecordBatch::new(&out).unwrap().verify().unwrap();
        let read: Vec<_> = batch.records(&mut decompressor).unwrap().map(Result::unwrap).collect();
        prop_assert_eq!(read.len(), records.len());
        for (at, (read, (key, value, headers, delta))) in read.iter().zip(&records).enumerate() {
            prop_assert_eq!(read.offset, Offset(7 + at as i64));
            prop_assert_eq!(read.timestamp.unwrap_or(-1), 1000 + i64::from(*delta));
            prop_assert_eq!((read.key, read.value), (key.as_deref(), value.as_deref()));
            let read: Vec<_> = read.headers.iter().map(|header| (header.key.to_vec(), header.value.map(<[u8]>::to_vec))).collect();
            prop_assert_eq!(&read, headers);
        }
    }
}
