//! snappy: the stream of the snappy-java library, or one raw snappy block as other clients write it.
//!
//! | bytes  | field                                                                |
//! |--------|----------------------------------------------------------------------|
//! | 0..8   | magic `82 53 4e 41 50 50 59 00`                                      |
//! | 8..12  | version, big-endian, 1; looked at in a second header only            |
//! | 12..16 | oldest compatible version, big-endian, 1; ignored                    |
//! | 16..20 | length *n* of the first block, big-endian                            |
//! | 20..   | *n* bytes of raw snappy; more pairs of length and block to the end   |
//!
//! Concatenated streams are read as one: a header may stand where a length could.

use super::{CompressError, Compression, DecompressError, OutputBuffer};
use crate::format::bytes::{array_at, i32_at, u32_at};

const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const MAGIC_HEAD: u32 = u32::from_be_bytes([0x82, b'S', b'N', b'A']);
const VERSION: i32 = 1;
const HEADER_SIZE: usize = 16;
/// How many uncompressed bytes Java writes to a block.
const BLOCK_SIZE: usize = 32 * 1024;
/// A block cannot hold more than this many bytes for each of its own: the best element is a copy of 64 bytes in 3.
const MAX_RATIO: usize = 22;

/// Decompresses a stream or a single raw block.
///
/// One to three bytes after the last block are ignored, and so is everything after a length that looks like the start of
/// a second header but is none: snappy-java takes both for the end.
/// Source: snappy-java `SnappyInputStream`.
pub(super) fn decompress(
    decoder: &mut snap::raw::Decoder,
    input: &[u8],
    out: &mut OutputBuffer,
) -> Result<(), DecompressError> {
    if input.is_empty() {
        return Err(DecompressError::Truncated { what: "snappy stream", at: 0 });
    }
    if input.len() < HEADER_SIZE || !input.starts_with(&MAGIC) {
        return decompress_block(decoder, input, 0, out);
    }
    let mut at = HEADER_SIZE;
    while let Some(length) = u32_at(input, at) {
        if length == MAGIC_HEAD {
            let end = at.saturating_add(HEADER_SIZE);
            if end > input.len() {
                return Err(DecompressError::Truncated { what: "second snappy header", at });
            }
            if array_at(input, at) != Some(MAGIC) {
                return Ok(());
            }
            let version_at = at.saturating_add(MAGIC.len());
            if i32_at(input, version_at).is_some_and(|version| version < VERSION) {
                let what = "a second header of unknown version";
                return Err(DecompressError::Unsupported { codec: Compression::Snappy, what, at: version_at });
            }
            at = end;
            continue;
        }
        let start = at.saturating_add(4);
        let end = start.saturating_add(length as usize);
        let block = input.get(start..end).ok_or(DecompressError::Truncated { what: "snappy block", at })?;
        decompress_block(decoder, block, start, out)?;
        at = end;
    }
    Ok(())
}

/// Decompresses one raw block, which begins at byte `at` of the whole input.
fn decompress_block(
    decoder: &mut snap::raw::Decoder,
    block: &[u8],
    at: usize,
    out: &mut OutputBuffer,
) -> Result<(), DecompressError> {
    let corrupt =
        |error: snap::Error| DecompressError::Corrupt { codec: Compression::Snappy, at, reason: error.to_string() };
    let claimed = snap::raw::decompress_len(block).map_err(corrupt)?;
    let possible = block.len().saturating_mul(MAX_RATIO);
    if claimed > possible {
        let (stored, possible) = (claimed as u64, possible as u64);
        return Err(DecompressError::BadLength {
            what: "uncompressed length of the snappy block",
            at,
            stored,
            possible,
        });
    }
    let size = decoder.decompress(block, out.room(claimed)?).map_err(corrupt)?;
    out.advance(size);
    Ok(())
}

/// Writes a header and blocks of 32 KiB.
pub(super) fn compress(input: &[u8], out: &mut Vec<u8>) -> Result<(), CompressError> {
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_be_bytes());
    out.extend_from_slice(&VERSION.to_be_bytes());
    let mut encoder = snap::raw::Encoder::new();
    for chunk in input.chunks(BLOCK_SIZE) {
        let block = encoder
            .compress_vec(chunk)
            .map_err(|error| CompressError { codec: Compression::Snappy, reason: error.to_string() })?;
        out.extend_from_slice(&(block.len() as u32).to_be_bytes());
        out.extend_from_slice(&block);
    }
    Ok(())
}
