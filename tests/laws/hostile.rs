//! Inputs made to hurt: claims without bytes behind them, bombs, numbers that do not end.

use kfsck::format::Offset;
use kfsck::format::batch::{RecordBatchBuilder, RecordBatchHeader, write_batch};
use kfsck::format::compression::{Compression, compress};
use kfsck::format::legacy::{MessageFields, write_wrapper};
use kfsck::format::record::RecordFields;

use super::LIMIT;

/// A batch with a valid checksum that claims 2³¹ − 1 records and has `payload` for them.
pub fn batch_of_all_records(codec: Compression, payload: &[u8]) -> Vec<u8> {
    let header = RecordBatchHeader {
        records_count: i32::MAX,
        last_offset_delta: i32::MAX - 1,
        attributes: i16::from(codec.id()),
        ..RecordBatchBuilder::plain_header(Offset(0), 1000)
    };
    let mut section = Vec::new();
    compress(codec, 2, payload, &mut section).unwrap();
    let mut out = Vec::new();
    write_batch(header, &section, &mut out);
    out
}

/// `size` zeros, compressed.
pub fn bomb(codec: Compression, size: usize) -> Vec<u8> {
    let mut out = Vec::new();
    compress(codec, 2, &vec![0; size], &mut out).unwrap();
    out
}

/// A whole batch of two records.
pub fn sound_batch(base_offset: i64, codec: Compression) -> Vec<u8> {
    let mut builder = RecordBatchBuilder::new(RecordBatchBuilder::plain_header(Offset(base_offset), 1000), codec);
    let headers: [(&[u8], Option<&[u8]>); 2] = [(b"a", Some(b"1")), (b"a", None)];
    for offset_delta in 0..2 {
        builder.push(&RecordFields {
            offset_delta,
            key: Some(b"key"),
            value: None,
            headers: &headers,
            ..<_>::default()
        });
    }
    let mut out = Vec::new();
    builder.write(&mut out).unwrap();
    out
}

fn message(magic: i8, attributes: i8, value: Option<&[u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    MessageFields { offset: 1, magic, attributes, timestamp: 1, key: None, value }.write(&mut out);
    out
}

fn wrapper(magic: i8, messages: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_wrapper(&mut out, magic, Compression::Gzip, 0, Offset(9), 1, messages).unwrap();
    out
}

/// The input of the target `record` with this claim: `payload` uncompressed and compressed.
fn records(codec: Compression, claim: &[u8; 2], payload: &[u8]) -> Vec<u8> {
    [&[0x80 | codec.id()][..], claim, &[0], payload].concat()
}

/// Target, name and bytes of every hostile input.
pub fn inputs() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    const UNENDING: &[u8] = &[0xff; 12];
    let sound = |at| sound_batch(at, Compression::None);
    let mut flipped = [sound(0), sound(2), sound(4)].concat();
    let second = sound(0).len();
    flipped[second + 70] ^= 1;
    let mut linked_lz4 = bomb(Compression::Lz4, 100);
    linked_lz4[4] &= !0x20;
    let mut huge_snappy = bomb(Compression::Snappy, 10);
    huge_snappy.splice(20.., [0xff, 0xff, 0xff, 0xff, 0x0f]);
    let mut in_a_value = RecordBatchBuilder::new(RecordBatchBuilder::plain_header(Offset(0), 1), Compression::None);
    let foreign = sound(1);
    in_a_value.push(&RecordFields { value: Some(&foreign), ..RecordFields::default() });
    let mut damaged_around = Vec::new();
    in_a_value.write(&mut damaged_around).unwrap();
    damaged_around[17] ^= 1;

    vec![
        ("batch", "claims-all-records", batch_of_all_records(Compression::None, b"")),
        ("batch", "claims-all-records-in-gzip", batch_of_all_records(Compression::Gzip, &[0; 1000])),
        ("batch", "sound-zstd", sound_batch(i64::MAX - 1, Compression::Zstd)),
        ("batch", "length-of-2-gib", [&[0; 8][..], &i32::MAX.to_be_bytes(), &[0, 0, 0, 0, 2], &[0; 44]].concat()),
        ("batch", "negative-length", [&[0; 8][..], &[0xff; 4], &[0, 0, 0, 0, 2], &[0; 44]].concat()),
        ("record", "unending-length", records(Compression::None, &[0, 1], UNENDING)),
        ("record", "length-beyond-the-end", records(Compression::Lz4, &[0, 1], &[0xfe, 0xff, 0xff, 0xff, 0x0f])),
        (
            "record",
            "claims-2-31-headers",
            records(Compression::None, &[0, 1], b"\x16\0\0\0\x01\x01\xfe\xff\xff\xff\x0f\0"),
        ),
        ("record", "claims-all-records", [&[0][..], &[0, 0, 0], &[0x0c, 0, 0, 0, 1, 1, 0]].concat()),
        ("legacy", "nested-wrapper", [&[0x11][..], &[0; 8], &wrapper(1, &message(1, 0, Some(b"v")))].concat()),
        ("legacy", "cut-inner-message", [&[0x11][..], &[0; 8], &message(1, 0, Some(b"v"))[..30]].concat()),
        ("legacy", "inner-length-of-0", [&[0x20][..], &[0; 8], &[0; 64]].concat()),
        ("legacy", "value-beyond-the-end", [&[0x01][..], &[0xff; 8], &message(0, 0, None)].concat()),
        ("legacy", "wrapper-without-value", [&[0x31][..], &[0; 8], &message(1, 1, None)].concat()),
        ("gzip", "bomb", bomb(Compression::Gzip, LIMIT + 1)),
        ("gzip", "name-without-end", b"\x1f\x8b\x08\x08\0\0\0\0\0\xffnever ends".to_vec()),
        ("snappy", "bomb", bomb(Compression::Snappy, LIMIT + 1)),
        ("snappy", "block-claims-4-gib", huge_snappy),
        ("lz4", "bomb", bomb(Compression::Lz4, LIMIT + 1)),
        ("lz4", "linked-blocks", linked_lz4),
        ("zstd", "bomb", bomb(Compression::Zstd, LIMIT + 1)),
        ("zstd", "window-of-1-tib", b"\x28\xb5\x2f\xfd\0\xf0\x01\0\0".to_vec()),
        ("zstd", "content-size-of-16-eib", b"\x28\xb5\x2f\xfd\xe0\xff\xff\xff\xff\xff\xff\xff\xff\x01\0\0".to_vec()),
        ("scan", "flipped-bit", [&[1][..], &flipped].concat()),
        ("scan", "torn-behind-zeros", [&[0][..], &sound(0), &[0; 100], &sound(2)[..50]].concat()),
        ("scan", "batch-inside-a-damaged-value", [&[1][..], &damaged_around, &sound(5)].concat()),
        ("scan", "overlapping-claims", [&[0][..], &[0, 0, 0x20, 0].repeat(256)].concat()),
        ("control", "claims-2-31-voters", vec![0, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 7]),
        ("control", "voter-with-tags", b"\0\0\x02\0\0\0\x01aaaaaaaaaaaaaaaa\x01\0\0\0\0\x01\x05\x02xx\0\0".to_vec()),
        ("flexible", "negative-length", vec![0xff, 0xff, 0xff, 0xff, 0x0f, 1, 2]),
        ("flexible", "claims-2-31-tags", vec![0xff, 0xff, 0xff, 0xff, 0x07, 0, 0]),
        ("varint", "unending", UNENDING.to_vec()),
        ("varint", "overlong-zero", vec![0x80, 0x80, 0x80, 0x80, 0x00]),
        ("varint", "bits-beyond-the-type", vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
        ("uuid", "spare-bits", b"AAAAAAAAAAAAAAAAAAAAAP==".to_vec()),
        ("file_name", "number-beyond-the-type", b"99999999999999999999.log.swap".to_vec()),
        ("file_name", "signed-partition", "ü-+07.0123456789abcdef-delete".as_bytes().to_vec()),
        ("offset_index", "wrapping-base", [&i64::MAX.to_be_bytes()[..], &[0x7f; 20], &[0; 16]].concat()),
        ("time_index", "negative", [&[0; 8][..], &[0xff; 24], &[0; 30]].concat()),
        ("txn_index", "partial-entry", [&[0xff; 34][..], &[0; 34], &[1; 20]].concat()),
        (
            "producer_snapshot",
            "claims-2-31-entries",
            [&[0, 1][..], &[0; 4], &i32::MAX.to_be_bytes(), &[0; 50]].concat(),
        ),
        ("leader_epoch", "claims-2-31-entries", b"0\n2147483647\n0 0\r1 5\r\n".to_vec()),
        ("leader_epoch", "not-utf8", b"0\n1\n\xff 1\n".to_vec()),
        ("offset_checkpoint", "blank-topic", b"0\n2\n 0 1\nt\x0b3 -7".to_vec()),
        ("properties", "joined-lines", b"a\\\r\n  b : \\u00e9\\\n\n!x\n = \\ud800\\".to_vec()),
        ("partition_metadata", "colons", b"version: +1: \ntopic_id:\t: ".to_vec()),
        ("partition_metadata", "sound", b"version: 0\ntopic_id: Uj5wn_FqTXirEASvVZRY1w".to_vec()),
        ("quorum_state", "deep", [&br#"{"data_version":1,"x":"#[..], &[b'['; 4000]].concat()),
        (
            "quorum_state",
            "sound",
            br#"{"leaderId":-1,"leaderEpoch":3,"votedId":1,"votedDirectoryId":"AA","data_version":1}"#.to_vec(),
        ),
        ("clean_shutdown", "repeated-key", br#"{"brokerEpoch":1,"brokerEpoch":2}"#.to_vec()),
        ("clean_shutdown", "deep", [b'['; 4000].to_vec()),
    ]
}
