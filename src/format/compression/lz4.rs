//! lz4: one LZ4 frame of independent blocks, little-endian.
//!
//! | bytes | field                                                                                |
//! |-------|--------------------------------------------------------------------------------------|
//! | 0..4  | magic `04 22 4d 18`                                                                  |
//! | 4     | flags: version (bits 6–7), independent blocks, block checksums, content size, content checksum, 2 reserved |
//! | 5     | block size code in bits 4–6: 4 = 64 KiB, 5 = 256 KiB, 6 = 1 MiB, 7 = 4 MiB           |
//! | 6..14 | content size, where the flag says so; ignored                                        |
//! | +1    | header checksum: second byte of the XXH32 of what stands between magic and here      |
//! | …     | blocks: u32 length (bit 31 = stored, not compressed), data, XXH32 of the data if flagged |
//! | …     | end mark: a length of 0; then the XXH32 of the content if flagged                    |
//!
//! A streaming LZ4 library does not do: Kafka computed the header checksum of magic 0 wrappers over the magic too, and
//! accepts any there. The content checksum is not verified, as Kafka does not either.
//!
//! A match offset of 0 is refused here as the LZ4 format demands; Kafka's lz4-java lets it pass and makes up the bytes.
//!
//! Source: Kafka `Lz4BlockInputStream`, `Lz4BlockOutputStream` (`KafkaLZ4BlockInputStream` before).

use lz4_flex::block::{DecompressError as BlockError, compress_into, decompress_into, get_maximum_output_size};
use twox_hash::XxHash32;

use super::{CompressError, Compression, DecompressError, OutputBuffer};
use crate::format::bytes::array_at;

const MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];
const MIN_HEADER_SIZE: usize = 7;
const STORED: u32 = 1 << 31;
const END_MARK: u32 = 0;
/// A block cannot hold more than this many bytes for each of its own: one more length byte adds 255.
const MAX_RATIO: usize = 255;

const FLAGS_VERSION: u8 = 0xc0;
const VERSION_1: u8 = 0x40;
const FLAG_INDEPENDENT_BLOCKS: u8 = 0x20;
const FLAG_BLOCK_CHECKSUM: u8 = 0x10;
const FLAG_CONTENT_SIZE: u8 = 0x08;
const FLAG_CONTENT_CHECKSUM: u8 = 0x04;
const FLAGS_RESERVED: u8 = 0x03;

/// What Kafka writes: version 1, independent blocks of at most 64 KiB, no further field.
const KAFKA_FLAGS: u8 = VERSION_1 | FLAG_INDEPENDENT_BLOCKS;
const KAFKA_BLOCK_SIZE_CODE: u8 = 0x40;
const KAFKA_BLOCK_SIZE: usize = 64 * 1024;

/// What the header says of the blocks that follow it.
struct Header {
    size: usize,
    max_block_size: usize,
    has_block_checksums: bool,
    has_content_checksum: bool,
}

/// Decompresses the first frame. Everything after it is ignored.
pub(super) fn decompress(magic: i8, input: &[u8], out: &mut OutputBuffer) -> Result<(), DecompressError> {
    let header = read_header(magic, input)?;
    let mut at = header.size;
    loop {
        let word = u32_le_at(input, at, "lz4 block length")?;
        let start = at.saturating_add(4);
        let size = word & !STORED;
        if size == END_MARK {
            if header.has_content_checksum {
                u32_le_at(input, start, "lz4 content checksum")?;
            }
            return Ok(());
        }
        if size as usize > header.max_block_size {
            let (stored, possible) = (u64::from(size), header.max_block_size as u64);
            return Err(DecompressError::BadLength { what: "lz4 block length", at, stored, possible });
        }
        let end = start.saturating_add(size as usize);
        let block = input.get(start..end).ok_or(DecompressError::Truncated { what: "lz4 block", at })?;
        at = end;
        if header.has_block_checksums {
            let stored = u32_le_at(input, end, "lz4 block checksum")?;
            let computed = XxHash32::oneshot(0, block);
            if stored != computed {
                return Err(DecompressError::BadChecksum { what: "lz4 block checksum", at: end, stored, computed });
            }
            at = end.saturating_add(4);
        }
        if word & STORED != 0 {
            out.append(block)?;
        } else {
            decompress_block(block, start, header.max_block_size, out)?;
        }
    }
}

/// Reads and judges the header. The checksum of a magic 0 wrapper is not looked at.
fn read_header(magic: i8, input: &[u8]) -> Result<Header, DecompressError> {
    let unsupported = |what, at| Err(DecompressError::Unsupported { codec: Compression::Lz4, what, at });
    let truncated = DecompressError::Truncated { what: "lz4 header", at: 0 };
    let Some([m0, m1, m2, m3, flags, block_size_code, _]) = input.first_chunk::<MIN_HEADER_SIZE>().copied() else {
        return Err(truncated);
    };
    if [m0, m1, m2, m3] != MAGIC {
        return Err(DecompressError::BadMagic { codec: Compression::Lz4, at: 0 });
    }
    if flags & FLAGS_RESERVED != 0 {
        return unsupported("reserved flags or a dictionary", 4);
    }
    if flags & FLAG_INDEPENDENT_BLOCKS == 0 {
        return Err(DecompressError::Lz4DependentBlocks);
    }
    if flags & FLAGS_VERSION != VERSION_1 {
        return unsupported("a version other than 1", 4);
    }
    let max_block_size = match block_size_code {
        0x40 => 64 * 1024,
        0x50 => 256 * 1024,
        0x60 => 1024 * 1024,
        0x70 => 4 * 1024 * 1024,
        _ => return unsupported("an undefined block size", 5),
    };
    let checksum_at: usize = if flags & FLAG_CONTENT_SIZE != 0 { 14 } else { 6 };
    let [stored] = array_at(input, checksum_at).ok_or(truncated)?;
    let computed = header_checksum(input.get(MAGIC.len()..checksum_at).unwrap_or_default());
    if magic != 0 && stored != computed {
        let (what, stored, computed) = ("lz4 header checksum", u32::from(stored), u32::from(computed));
        return Err(DecompressError::BadChecksum { what, at: checksum_at, stored, computed });
    }
    Ok(Header {
        size: checksum_at.saturating_add(1),
        max_block_size,
        has_block_checksums: flags & FLAG_BLOCK_CHECKSUM != 0,
        has_content_checksum: flags & FLAG_CONTENT_CHECKSUM != 0,
    })
}

fn header_checksum(descriptor: &[u8]) -> u8 {
    let [_, second, ..] = XxHash32::oneshot(0, descriptor).to_le_bytes();
    second
}

fn u32_le_at(input: &[u8], at: usize, what: &'static str) -> Result<u32, DecompressError> {
    array_at(input, at).map(u32::from_le_bytes).ok_or(DecompressError::Truncated { what, at })
}

/// Decompresses one block, which begins at byte `at` of the whole input.
fn decompress_block(
    block: &[u8],
    at: usize,
    max_block_size: usize,
    out: &mut OutputBuffer,
) -> Result<(), DecompressError> {
    let possible = max_block_size.min(block.len().saturating_mul(MAX_RATIO));
    let room = possible.min(out.left());
    match decompress_into(block, out.room(room)?) {
        Ok(size) => {
            out.advance(size);
            Ok(())
        }
        Err(BlockError::OutputTooSmall { .. }) if room < possible => Err(DecompressError::Limit { limit: out.limit() }),
        Err(error) => Err(DecompressError::Corrupt { codec: Compression::Lz4, at, reason: error.to_string() }),
    }
}

/// Writes one frame as Kafka does: blocks of 64 KiB, stored raw where compression does not make them smaller.
pub(super) fn compress(magic: i8, input: &[u8], out: &mut Vec<u8>) -> Result<(), CompressError> {
    let descriptor = [KAFKA_FLAGS, KAFKA_BLOCK_SIZE_CODE];
    let header_start = out.len();
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&descriptor);
    // The first releases hashed the magic too, and for magic 0 Kafka has kept to that.
    let covered = if magic == 0 { out.get(header_start..).unwrap_or_default() } else { &descriptor };
    out.push(header_checksum(covered));

    let mut buffer = vec![0; get_maximum_output_size(KAFKA_BLOCK_SIZE)];
    for chunk in input.chunks(KAFKA_BLOCK_SIZE) {
        let size = compress_into(chunk, &mut buffer)
            .map_err(|error| CompressError { codec: Compression::Lz4, reason: error.to_string() })?;
        let (word, block) = match buffer.get(..size) {
            Some(block) if size < chunk.len() => (size as u32, block),
            _ => (chunk.len() as u32 | STORED, chunk),
        };
        out.extend_from_slice(&word.to_le_bytes());
        out.extend_from_slice(block);
    }
    out.extend_from_slice(&END_MARK.to_le_bytes());
    Ok(())
}
