//! The two checksums that protect batches, computed in one piece or piece by piece.
//!
//! Source: Kafka `DefaultRecordBatch.computeChecksum` (CRC-32C), `LegacyRecord.computeChecksum` (CRC-32).

/// A checksum over bytes that arrive in pieces, so that no batch has to fit into memory to be checked.
#[derive(Clone, Debug)]
pub enum Checksum {
    /// CRC-32C (Castagnoli), of record batches with magic 2 and of producer snapshots.
    Crc32c(u32),
    /// CRC-32 (zlib), of messages with magic 0 and 1.
    Crc32(crc32fast::Hasher),
}

impl Checksum {
    /// A CRC-32C of nothing yet.
    pub fn crc32c() -> Self {
        Self::Crc32c(0)
    }

    /// A CRC-32 of nothing yet.
    pub fn crc32() -> Self {
        Self::Crc32(crc32fast::Hasher::new())
    }

    /// Takes in the next piece.
    #[inline]
    pub fn update(&mut self, piece: &[u8]) {
        match self {
            Self::Crc32c(state) => *state = crc32c::crc32c_append(*state, piece),
            Self::Crc32(hasher) => hasher.update(piece),
        }
    }

    /// The checksum of all pieces so far.
    #[inline]
    pub fn value(&self) -> u32 {
        match self {
            Self::Crc32c(state) => *state,
            Self::Crc32(hasher) => hasher.clone().finalize(),
        }
    }
}

/// The CRC-32C of `bytes`.
#[inline]
pub fn crc32c(bytes: &[u8]) -> u32 {
    ::crc32c::crc32c(bytes)
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
