use std::io::Write;

use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
use proptest::prelude::*;

use super::*;

const CODECS: [Compression; 4] = [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

/// The records section of one batch that a 4.4.0 broker stored without a codec: key `single`, value `record`.
const SINGLE_RECORD: &str = "240000000c73696e676c650c7265636f726400";
/// The same records as the broker stored them with each codec.
const SINGLE_RECORD_GZIP: &str = "1f8b08000000000000ff53616060e029cecc4bcf49e5294a4dce2f4a6100001cf388b513000000";
const SINGLE_RECORD_SNAPPY: &str = "82534e41505059000000000100000001000000151348240000000c73696e676c650c7265636f726400";
const SINGLE_RECORD_LZ4: &str = "04224d1860408213000080240000000c73696e676c650c7265636f72640000000000";
const SINGLE_RECORD_ZSTD: &str = "28b52ffd0058980000240000000c73696e676c650c7265636f726400010000";

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|d| d as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn decompressed(codec: Compression, magic: i8, input: &[u8]) -> Result<Vec<u8>, DecompressError> {
    Decompressor::default().decompress(codec, magic, input).map(<[u8]>::to_vec)
}

fn compressed(codec: Compression, magic: i8, input: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    compress(codec, magic, input, &mut out).unwrap();
    out
}

/// Text-like bytes, compressible but not trivially so.
fn sample(size: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut bytes = Vec::with_capacity(size + 32);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        write!(bytes, "{{\"id\":{},\"name\":\"user-{}\"}}", state % 1000, state >> 50).unwrap();
    }
    bytes.truncate(size);
    bytes
}

/// Bytes no codec makes smaller.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    (0..size).map(|_| next()).collect()
}

/// Asserts that `set` is whole legacy messages with good checksums and returns their offsets.
fn inner_offsets(mut set: &[u8]) -> Vec<i64> {
    let mut offsets = Vec::new();
    while !set.is_empty() {
        let size = u32::from_be_bytes(set[8..12].try_into().unwrap()) as usize;
        let message = &set[12..12 + size];
        assert_eq!(message[..4], crc32fast::hash(&message[4..]).to_be_bytes());
        offsets.push(i64::from_be_bytes(set[..8].try_into().unwrap()));
        set = &set[12 + size..];
    }
    offsets
}

#[test]
fn ids_and_names_are_those_of_kafka() {
    let names: Vec<_> = (0..=8).map(|id| Compression::from_id(id).map(Compression::name)).collect();
    assert_eq!(names[..5], [Some("none"), Some("gzip"), Some("snappy"), Some("lz4"), Some("zstd")]);
    assert!(names[5..].iter().all(Option::is_none));
    for codec in Compression::ALL {
        assert_eq!(Compression::from_id(codec.id()), Some(codec));
        assert_eq!(codec.to_string(), codec.name());
    }
}

#[test]
fn payloads_of_a_real_broker_decompress_to_what_it_stored_without_a_codec() {
    let expected = hex(SINGLE_RECORD);
    let mut decompressor = Decompressor::default();
    for (codec, stored) in [
        (Compression::None, SINGLE_RECORD),
        (Compression::Gzip, SINGLE_RECORD_GZIP),
        (Compression::Snappy, SINGLE_RECORD_SNAPPY),
        (Compression::Lz4, SINGLE_RECORD_LZ4),
        (Compression::Zstd, SINGLE_RECORD_ZSTD),
    ] {
        assert_eq!(decompressor.decompress(codec, 2, &hex(stored)).unwrap(), expected, "{codec}");
    }
}

#[test]
fn a_small_batch_is_written_byte_for_byte_as_the_broker_stored_it() {
    let records = hex(SINGLE_RECORD);
    assert_eq!(compressed(Compression::Snappy, 2, &records), hex(SINGLE_RECORD_SNAPPY));
    assert_eq!(compressed(Compression::Lz4, 2, &records), hex(SINGLE_RECORD_LZ4));
    assert_eq!(compressed(Compression::Zstd, 2, &records), hex(SINGLE_RECORD_ZSTD));
    assert_eq!(compressed(Compression::Gzip, 2, &records), hex(SINGLE_RECORD_GZIP));
}

#[test]
fn the_value_of_a_gzip_wrapper_written_by_kafka_decompresses_to_its_inner_messages() {
    let value =
        hex("1f8b08000000000000ff63608003094bb51e63462083b1fbfcd30c90086336882883ca83a424d9a66cbc0457c30e6430651b\
         81150100a0d7fc9749000000");
    let inner = hex("0000000000000000 00000018 39268c33 01 00 0000018bcfe56800 00000001 6b 00000001 76\
         0000000000000001 00000019 0694b1d2 01 00 0000018bcfe56807 00000002 6b32 00000001 76");
    assert_eq!(inner.len(), 73);
    assert_eq!(decompressed(Compression::Gzip, 1, &value).unwrap(), inner);
    assert_eq!(inner_offsets(&inner), [0, 1]);
}

/// The value of a magic 0 wrapper that a 2.8.2 broker stored: its header checksum covers the frame's magic.
const LZ4_MAGIC_0: &str = "04224d1860401a8600000012000100912a0000001c59afe6440f00f201066b65792d33300000000876616c7565\
     0c00000200102b280040f33e0f570d0003280017312800000c00000200102c280040d7fd32230d0003280017322800000c00000200102d\
     2800307d6cdb6c0004780017332800000c00000200102e2800409e7b48cb0d00035000133428005075652d333400000000";

#[test]
fn the_wrong_lz4_header_checksum_of_old_clients_is_accepted_in_magic_0_only() {
    let value = hex(LZ4_MAGIC_0);
    let inner = decompressed(Compression::Lz4, 0, &value).unwrap();
    assert_eq!(inner_offsets(&inner), [42, 43, 44, 45, 46]);
    for magic in [1, 2] {
        let error = decompressed(Compression::Lz4, magic, &value).unwrap_err();
        let (what, stored, computed) = ("lz4 header checksum", 0x1a, 0x82);
        assert_eq!(error, DecompressError::BadChecksum { what, at: 6, stored, computed });
    }
    assert_eq!(compressed(Compression::Lz4, 0, b"")[6], 0x1a);
    assert_eq!(compressed(Compression::Lz4, 1, b"")[6], 0x82);
    assert_eq!(compressed(Compression::Lz4, 2, b"")[6], 0x82);
}

#[test]
fn every_size_around_a_block_boundary_survives_every_codec() {
    let mut decompressor = Decompressor::default();
    for codec in Compression::ALL {
        for size in [0, 1, 12, 13, 32_767, 32_768, 32_769, 65_535, 65_536, 65_537, 1 << 20] {
            for data in [sample(size), noise(size), vec![0; size]] {
                let stored = compressed(codec, 2, &data);
                assert!(decompressor.decompress(codec, 2, &stored) == Ok(&data), "{codec} {size}");
            }
        }
    }
}

#[test]
fn without_a_codec_the_input_itself_comes_back_whatever_the_limit() {
    let input = [1, 2, 3];
    let mut decompressor = Decompressor::new(0);
    assert!(std::ptr::eq(decompressor.decompress(Compression::None, 2, &input).unwrap(), &input[..]));
}

#[test]
fn the_limit_is_inclusive_and_a_bomb_ends_there_without_keeping_its_memory() {
    let size = 9 * 1024 * 1024;
    for codec in CODECS {
        let bomb = compressed(codec, 2, &vec![0; size]);
        assert!(bomb.len() < size / 15);
        let mut decompressor = Decompressor::new(size);
        assert_eq!(decompressor.decompress(codec, 2, &bomb).unwrap().len(), size, "{codec}");
        decompressor.set_limit(size - 1);
        assert_eq!(
            decompressor.decompress(codec, 2, &bomb),
            Err(DecompressError::Limit { limit: size - 1 }),
            "{codec}"
        );
        assert!(decompressor.output.allocated() <= 4 * 1024 * 1024);
    }
}

#[test]
fn a_tiny_limit_holds_for_every_codec() {
    for codec in CODECS {
        for limit in [0, 1, 18] {
            let stored = compressed(codec, 2, &hex(SINGLE_RECORD));
            assert_eq!(
                Decompressor::new(limit).decompress(codec, 2, &stored),
                Err(DecompressError::Limit { limit }),
                "{codec}"
            );
        }
        let stored = compressed(codec, 2, &hex(SINGLE_RECORD));
        assert_eq!(Decompressor::new(19).decompress(codec, 2, &stored).unwrap().len(), 19, "{codec}");
        assert_eq!(Decompressor::new(0).decompress(codec, 2, &compressed(codec, 2, b"")), Ok(&[][..]), "{codec}");
    }
}

#[test]
fn memory_of_an_unusually_large_batch_is_given_back_once_small_ones_follow() {
    let large = compressed(Compression::Zstd, 2, &vec![7; 20 << 20]);
    let small = hex(SINGLE_RECORD_ZSTD);
    let mut decompressor = Decompressor::default();
    decompressor.decompress(Compression::Zstd, 2, &large).unwrap();
    assert!(decompressor.output.allocated() >= 20 << 20);
    decompressor.decompress(Compression::Zstd, 2, &small).unwrap();
    decompressor.decompress(Compression::Zstd, 2, &small).unwrap();
    assert!(decompressor.output.allocated() <= 4 << 20);
}

#[test]
fn one_decompressor_serves_all_codecs_in_turn_and_recovers_from_damage() {
    let mut decompressor = Decompressor::default();
    for round in 0..3_usize {
        for codec in CODECS {
            let data = sample(1000 + 50_000 * round);
            let stored = compressed(codec, 2, &data);
            assert!(decompressor.decompress(codec, 2, &stored[..stored.len() / 2]).is_err());
            assert!(decompressor.decompress(codec, 2, &stored) == Ok(&data));
        }
    }
}

#[test]
fn every_strict_prefix_is_truncated() {
    let data = sample(3000);
    for codec in [Compression::Gzip, Compression::Lz4, Compression::Zstd] {
        let stored = compressed(codec, 2, &data);
        // No zstd frame at all is no data, as zstd-jni sees it.
        let shortest = if codec == Compression::Zstd { 1 } else { 0 };
        for end in shortest..stored.len() {
            let error = decompressed(codec, 2, &stored[..end]).unwrap_err();
            assert!(matches!(error, DecompressError::Truncated { .. }), "{codec} {end}: {error}");
        }
    }
    assert_eq!(decompressed(Compression::Zstd, 2, b""), Ok(Vec::new()));
    assert!(decompressed(Compression::Snappy, 2, b"").is_err());
}

#[test]
fn an_error_names_the_byte_it_is_about() {
    let mut stored = hex(SINGLE_RECORD_GZIP);
    stored[31] ^= 1;
    let error = decompressed(Compression::Gzip, 2, &stored).unwrap_err();
    assert_eq!(error.to_string(), "the gzip checksum at byte 31 is 0xb588f31d and the data give 0xb588f31c");
    stored[31] ^= 1;
    stored[35] = 20;
    let error = decompressed(Compression::Gzip, 2, &stored).unwrap_err();
    assert_eq!(error.to_string(), "the gzip length at byte 35 is 20, where 19 is possible");
    assert_eq!(
        decompressed(Compression::Gzip, 2, b"PK34567890").unwrap_err().to_string(),
        "there is no gzip header at byte 0"
    );
}

#[test]
fn optional_gzip_header_fields_are_skipped_and_their_checksum_verified() {
    let plain = hex(SINGLE_RECORD_GZIP);
    let mut stored = plain[..10].to_vec();
    stored[3] = 0x1e;
    stored.extend(b"\x03\x00abcname\0comment\0");
    let header_crc = crc32fast::hash(&stored) as u16;
    stored.extend(header_crc.to_le_bytes());
    let crc_at = stored.len() - 2;
    stored.extend(&plain[10..]);
    assert_eq!(decompressed(Compression::Gzip, 2, &stored).unwrap(), hex(SINGLE_RECORD));

    stored[crc_at] ^= 1;
    let error = decompressed(Compression::Gzip, 2, &stored).unwrap_err();
    assert!(matches!(error, DecompressError::BadChecksum { at, .. } if at == crc_at), "{error}");
}

#[test]
fn gzip_members_are_joined_and_garbage_after_them_is_ignored() {
    let member = hex(SINGLE_RECORD_GZIP);
    let twice = [hex(SINGLE_RECORD), hex(SINGLE_RECORD)].concat();
    let stored = [member.clone(), member.clone(), b"no gzip header".to_vec()].concat();
    assert_eq!(decompressed(Compression::Gzip, 2, &stored).unwrap(), twice);
    // A second header promises a member, so its data are missed, unless too few bytes are left to be one.
    assert_eq!(decompressed(Compression::Gzip, 2, &stored[..39 + 18]).unwrap(), hex(SINGLE_RECORD));
    let error = decompressed(Compression::Gzip, 2, &stored[..39 + 19]).unwrap_err();
    assert_eq!(error, DecompressError::Truncated { what: "deflate data", at: 49 });
}

#[test]
fn bare_snappy_blocks_and_concatenated_snappy_streams_are_read() {
    let data = sample(100_000);
    let bare = snap::raw::Encoder::new().compress_vec(&data).unwrap();
    assert_eq!(decompressed(Compression::Snappy, 2, &bare).unwrap(), data);

    let stream = compressed(Compression::Snappy, 2, &data);
    let joined = [stream.clone(), stream.clone()].concat();
    assert_eq!(decompressed(Compression::Snappy, 2, &joined).unwrap(), [data.clone(), data.clone()].concat());

    // Only a second header's version is looked at.
    let mut version_0 = joined.clone();
    version_0[11] = 0;
    assert!(decompressed(Compression::Snappy, 2, &version_0).is_ok());
    version_0[stream.len() + 11] = 0;
    let error = decompressed(Compression::Snappy, 2, &version_0).unwrap_err();
    assert!(matches!(error, DecompressError::Unsupported { at, .. } if at == stream.len() + 8), "{error}");

    let with_rest = [stream.clone(), vec![1, 2, 3]].concat();
    assert_eq!(decompressed(Compression::Snappy, 2, &with_rest).unwrap(), data);

    let cut = &stream[..stream.len() - 1];
    assert!(matches!(decompressed(Compression::Snappy, 2, cut), Err(DecompressError::Truncated { .. })));
}

#[test]
fn a_snappy_length_beyond_what_the_block_can_hold_is_refused_without_taking_memory() {
    let claims_4_gib = [0xff, 0xff, 0xff, 0xff, 0x0f, 0x00, 0x41];
    let mut decompressor = Decompressor::new(usize::MAX);
    let error = decompressor.decompress(Compression::Snappy, 2, &claims_4_gib).unwrap_err();
    assert!(matches!(error, DecompressError::BadLength { stored: 0xffff_ffff, possible: 154, .. }), "{error}");
    assert_eq!(decompressor.output.allocated(), 0);
}

#[test]
fn lz4_frames_with_every_block_size_and_checksum_are_read() {
    for (block_size, size) in [
        (BlockSize::Max64KB, 64 << 10),
        (BlockSize::Max256KB, 256 << 10),
        (BlockSize::Max1MB, 1 << 20),
        (BlockSize::Max4MB, 4 << 20),
    ] {
        let data = sample(size + 1000);
        let info = FrameInfo::new()
            .block_size(block_size)
            .block_checksums(true)
            .content_checksum(true)
            .content_size(Some(data.len() as u64));
        let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(&data).unwrap();
        let mut stored = encoder.finish().unwrap();
        assert!(decompressed(Compression::Lz4, 2, &stored).unwrap() == data);

        // Kafka does not look at the content checksum, but expects it to be there.
        let last = stored.len() - 1;
        stored[last] ^= 1;
        assert!(decompressed(Compression::Lz4, 2, &stored).is_ok());
        assert!(matches!(decompressed(Compression::Lz4, 2, &stored[..last]), Err(DecompressError::Truncated { .. })));

        // The header is 15 bytes, the first block's length 4.
        stored[40] ^= 1;
        let error = decompressed(Compression::Lz4, 2, &stored).unwrap_err();
        assert!(matches!(error, DecompressError::BadChecksum { what: "lz4 block checksum", .. }), "{error}");
    }
}

#[test]
fn lz4_features_that_kafka_refuses_are_refused() {
    let mut encoder = FrameEncoder::with_frame_info(FrameInfo::new().block_mode(BlockMode::Linked), Vec::new());
    encoder.write_all(b"data").unwrap();
    let linked = encoder.finish().unwrap();
    assert_eq!(decompressed(Compression::Lz4, 2, &linked), Err(DecompressError::Lz4DependentBlocks));

    // Magic 0, so that the header checksum does not speak first.
    let refused = |flags: u8, block_size_code: u8| {
        let mut stored = compressed(Compression::Lz4, 0, b"data");
        stored[4] = flags;
        stored[5] = block_size_code;
        matches!(decompressed(Compression::Lz4, 0, &stored), Err(DecompressError::Unsupported { .. }))
    };
    assert!(!refused(0x60, 0x40));
    assert!(refused(0x61, 0x40), "dictionary");
    assert!(refused(0x62, 0x40), "reserved flag");
    assert!(refused(0xa0, 0x40), "version 2");
    assert!(refused(0x60, 0x30), "block size code 3");
    assert!(refused(0x60, 0x41), "reserved bit");
    assert!(refused(0x60, 0xc0), "reserved bit");
}

#[test]
fn an_lz4_block_larger_than_the_header_allows_is_refused_and_what_follows_the_end_mark_is_not_read() {
    let mut stored = hex(SINGLE_RECORD_LZ4);
    stored[7..11].copy_from_slice(&0x8001_0001_u32.to_le_bytes());
    let error = decompressed(Compression::Lz4, 2, &stored).unwrap_err();
    assert_eq!(error.to_string(), "the lz4 block length at byte 7 is 65537, where 65536 is possible");

    let twice = hex(SINGLE_RECORD_LZ4).repeat(2);
    assert_eq!(decompressed(Compression::Lz4, 2, &twice).unwrap(), hex(SINGLE_RECORD));
}

#[test]
fn zstd_frames_are_joined_and_skippable_ones_skipped() {
    let data = sample(200_000);
    let mut checked = ::zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    checked.include_checksum(true).unwrap();
    checked.write_all(&data).unwrap();
    let mut checked = checked.finish().unwrap();
    let skippable = hex("502a4d18 03000000 aabbcc");
    let with_size = ::zstd::bulk::compress(&data, 3).unwrap();
    let stored = [hex(SINGLE_RECORD_ZSTD), skippable, with_size, checked.clone()].concat();
    let expected = [hex(SINGLE_RECORD), data.clone(), data.clone()].concat();
    assert!(decompressed(Compression::Zstd, 2, &stored).unwrap() == expected);

    let garbage = [hex(SINGLE_RECORD_ZSTD), b"garbage".to_vec()].concat();
    let error = decompressed(Compression::Zstd, 2, &garbage).unwrap_err();
    assert_eq!(error, DecompressError::BadMagic { codec: Compression::Zstd, at: 31 });

    *checked.last_mut().unwrap() ^= 1;
    let error = decompressed(Compression::Zstd, 2, &checked).unwrap_err();
    assert!(error.to_string().contains("checksum"), "{error}");
}

#[test]
fn a_zstd_window_of_128_mib_takes_no_memory_and_a_larger_one_is_refused() {
    let mut stored = hex(SINGLE_RECORD_ZSTD);
    stored[5] = 0x88;
    let mut decompressor = Decompressor::default();
    assert_eq!(decompressor.decompress(Compression::Zstd, 2, &stored).unwrap(), hex(SINGLE_RECORD));
    assert!(decompressor.output.allocated() <= 1 << 20);
    stored[5] = 0x89;
    let error = decompressor.decompress(Compression::Zstd, 2, &stored).unwrap_err();
    assert!(matches!(error, DecompressError::Unsupported { at: 5, .. }), "{error}");
}

fn any_codec() -> impl Strategy<Value = Compression> {
    proptest::sample::select(&CODECS[..])
}

/// The first bytes of each format, so that random bytes get past the first check.
fn prefix(codec: Compression) -> Vec<u8> {
    match codec {
        Compression::None => Vec::new(),
        Compression::Gzip => hex("1f8b0800000000000000"),
        Compression::Snappy => hex("82534e41505059000000000100000001000000"),
        Compression::Lz4 => hex("04224d18604082"),
        Compression::Zstd => hex("28b52ffd0058"),
    }
}

proptest! {
    #[test]
    fn what_is_compressed_decompresses_to_the_same(
        codec in any_codec(),
        magic in 0_i8..=2,
        data in proptest::collection::vec(prop_oneof![Just(0_u8), any::<u8>()], 0..5000),
    ) {
        prop_assert_eq!(decompressed(codec, magic, &compressed(codec, magic, &data)), Ok(data));
    }

    #[test]
    fn any_bytes_give_a_result_within_the_limit(
        codec in any_codec(),
        magic in 0_i8..=2,
        with_prefix: bool,
        bytes in proptest::collection::vec(any::<u8>(), 0..2000),
    ) {
        let input = if with_prefix { [prefix(codec), bytes].concat() } else { bytes };
        let mut decompressor = Decompressor::new(100_000);
        if let Ok(data) = decompressor.decompress(codec, magic, &input) {
            prop_assert!(data.len() <= 100_000);
        }
        prop_assert!(decompressor.output.allocated() <= 100_000);
    }

    #[test]
    fn a_damaged_stream_gives_a_result_within_the_limit_and_the_next_one_is_read(
        codec in any_codec(),
        size in 0_usize..80_000,
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        keep in any::<proptest::sample::Index>(),
    ) {
        let data = sample(size);
        let intact = compressed(codec, 2, &data);
        let mut damaged = intact.clone();
        for (position, byte) in damage {
            let position = position.index(damaged.len());
            damaged[position] = byte;
        }
        let mut decompressor = Decompressor::new(100_000);
        for input in [&damaged[..], &damaged[..keep.index(damaged.len())]] {
            if let Ok(data) = decompressor.decompress(codec, 2, input) {
                prop_assert!(data.len() <= 100_000);
            }
        }
        prop_assert!(decompressor.decompress(codec, 2, &intact) == Ok(&data));
    }
}
