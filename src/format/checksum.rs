//! The two checksums that protect batches, computed in one piece or piece by piece.
//!
//! Source: Kafka `DefaultRecordBatch.computeChecksum` (CRC-32C), `LegacyRecord.computeChecksum` (CRC-32).

use std::sync::LazyLock;

use crc_fast::{CrcAlgorithm, Digest};
use crc32c::crc32c_append;

use super::prefetch::prefetch;

/// From how many bytes on `crc-fast` is the faster of the two libraries for CRC-32C.
///
/// It multiplies without carry where `crc32c` uses the processor's own CRC instruction, three times at once. With
/// registers of 512 bits for that (VPCLMULQDQ) it is at least one and a half times as fast for any length; with smaller
/// ones, and on processors without either, from a few kilobytes on.
static LEAST_FOR_CRC_FAST: LazyLock<usize> = LazyLock::new(|| {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("vpclmulqdq") && std::arch::is_x86_feature_detected!("avx512vl") {
        return 0;
    }
    4 << 10
});

/// How many bytes are computed between two looks ahead.
const PIECE: usize = 1 << 10;
/// How far ahead of the bytes that are computed others are fetched.
const AHEAD: usize = 2 << 10;

/// A checksum over bytes that arrive in pieces, so that no batch has to fit into memory to be checked.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and it is nowhere kept")]
pub enum Checksum {
    /// CRC-32C (Castagnoli), of record batches with magic 2 and of producer snapshots.
    Crc32c(Digest),
    /// CRC-32 (zlib), of messages with magic 0 and 1.
    Crc32(crc32fast::Hasher),
}

impl Checksum {
    /// A CRC-32C of nothing yet.
    pub fn crc32c() -> Self {
        Self::Crc32c(Digest::new(CrcAlgorithm::Crc32Iscsi))
    }

    /// A CRC-32 of nothing yet.
    pub fn crc32() -> Self {
        Self::Crc32(crc32fast::Hasher::new())
    }

    /// Takes in the next piece.
    #[inline]
    pub fn update(&mut self, piece: &[u8]) {
        match self {
            Self::Crc32c(digest) => digest.update(piece),
            Self::Crc32(hasher) => hasher.update(piece),
        }
    }

    /// The checksum of all pieces so far.
    #[inline]
    pub fn value(&self) -> u32 {
        match self {
            Self::Crc32c(digest) => digest.finalize() as u32,
            Self::Crc32(hasher) => hasher.clone().finalize(),
        }
    }
}

/// The CRC-32C of `bytes`.
#[inline]
pub fn crc32c(bytes: &[u8]) -> u32 {
    match bytes.len() < *LEAST_FOR_CRC_FAST {
        true => crc32c_append(0, bytes),
        false => crc_fast::crc32_iscsi(bytes),
    }
}

/// The CRC-32C of the first `length` of `bytes`, which lie in memory and not in the processor's cache: a map of a file.
///
/// While one piece is computed another is fetched, also behind `length`: that is where the next batch lies. The
/// processor itself fetches ahead no further than to the end of a page, and does not see through the branches between
/// two batches. Bytes that were just copied are in the cache, where all this only costs.
#[inline]
pub fn crc32c_fetching_ahead(bytes: &[u8], length: usize) -> u32 {
    let (mut state, mut at) = (0, 0_usize);
    let length = length.min(bytes.len());
    while at < length {
        let end = at.saturating_add(PIECE).min(length);
        let ahead = at.saturating_add(AHEAD)..end.saturating_add(AHEAD).min(bytes.len());
        prefetch(bytes.get(ahead).unwrap_or_default());
        state = crc32c_append(state, bytes.get(at..end).unwrap_or_default());
        at = end;
    }
    state
}

/// The CRC-32 of `bytes`.
#[inline]
pub fn crc32(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_checksums_have_their_published_check_values() {
        assert_eq!(crc32c(b"123456789"), 0xE306_9283);
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn fetching_ahead_changes_no_checksum_and_what_lies_behind_does_not_count() {
        let bytes: Vec<u8> = (0..10_000_u32).map(|i| ((i * i) >> 5) as u8).collect();
        for length in [0, 1, 61, 884, 1023, 1024, 1025, 2048, 3000, 7999, 9_999, 10_000] {
            assert_eq!(crc32c_fetching_ahead(&bytes, length), crc32c(&bytes[..length]), "{length}");
            assert_eq!(crc32c_fetching_ahead(&bytes[..length], length), crc32c(&bytes[..length]), "{length}");
        }
        assert_eq!(crc32c_fetching_ahead(b"123456789", usize::MAX), 0xE306_9283);
    }

    #[test]
    fn pieces_give_the_checksum_of_the_whole() {
        let bytes: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        for (mut pieces, whole) in [(Checksum::crc32c(), crc32c(&bytes)), (Checksum::crc32(), crc32(&bytes))] {
            for piece in bytes.chunks(777) {
                pieces.update(piece);
            }
            assert_eq!(pieces.value(), whole);
        }
    }
}
