//! Decompression: within the limit, the same in every state, the inverse of compression.

use std::io::Read;

use kfsck::format::compression::{Compression, DecompressError, Decompressor, compress};

/// Lower than elsewhere, for speed; the buffer still has to grow several times to reach it.
const LIMIT: usize = 256 << 10;

pub fn gzip(bytes: &[u8]) {
    codec(Compression::Gzip, bytes);
    if let (Some(ours), Some(theirs)) = (ours(Compression::Gzip, bytes), all(flate2::read::MultiGzDecoder::new(bytes)))
    {
        assert!(ours == theirs, "another gzip decoder gives other bytes");
    }
}

pub fn snappy(bytes: &[u8]) {
    codec(Compression::Snappy, bytes);
}

pub fn lz4(bytes: &[u8]) {
    codec(Compression::Lz4, bytes);
    let theirs = all(lz4_flex::frame::FrameDecoder::new(bytes));
    if let (Some(ours), Some(theirs)) = (ours(Compression::Lz4, bytes), theirs) {
        assert!(theirs.starts_with(&ours), "another lz4 decoder gives other bytes");
    }
}

pub fn zstd(bytes: &[u8]) {
    codec(Compression::Zstd, bytes);
}

fn ours(codec: Compression, bytes: &[u8]) -> Option<Vec<u8>> {
    Decompressor::new(LIMIT).decompress(codec, 2, bytes).ok().map(<[u8]>::to_vec)
}

/// What another decoder reads, if it is sound and within the limit.
fn all(decoder: impl Read) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    decoder.take(LIMIT as u64 + 1).read_to_end(&mut out).ok()?;
    (out.len() <= LIMIT).then_some(out)
}

fn codec(codec: Compression, bytes: &[u8]) {
    let mut reused = Decompressor::new(LIMIT);
    // Only lz4 depends on the magic.
    let magics = if codec == Compression::Lz4 { 0..=2 } else { 2..=2 };
    for magic in magics.clone() {
        let once = Decompressor::new(LIMIT).decompress(codec, magic, bytes).map(<[u8]>::to_vec);
        let again = reused.decompress(codec, magic, bytes).map(<[u8]>::to_vec);
        assert!(once == again, "a decompressor that was used before decides otherwise");
        let Ok(data) = once else { continue };
        assert!(data.len() <= LIMIT);
        let exact = Decompressor::new(data.len()).decompress(codec, magic, bytes).map(<[u8]>::to_vec);
        assert!(exact.as_ref() == Ok(&data), "the limit is inclusive, and {:?}", exact.err());
        if let Some(limit) = data.len().checked_sub(1) {
            let less = Decompressor::new(limit).decompress(codec, magic, bytes).map(<[u8]>::len);
            assert_eq!(less, Err(DecompressError::Limit { limit }));
        }
    }
    for magic in magics {
        let mut compressed = Vec::new();
        compress(codec, magic, bytes, &mut compressed).unwrap();
        let back = reused.decompress(codec, magic, &compressed);
        assert!(back == Ok(bytes) || bytes.len() > LIMIT, "what was compressed comes back");
    }
}
