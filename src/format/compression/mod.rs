//! The codecs of record batches: what a producer compressed, decompressed as a broker would, within a fixed memory limit.
//!
//! The codec covers the records section of a magic 2 batch, or the value of a magic 0 or 1 wrapper message. This module
//! knows neither batches nor messages: compressed bytes in, decompressed bytes out. Which codec a magic allows is the
//! caller's business.
//!
//! Where Kafka's own readers are lenient (garbage after the last gzip member, anything after the lz4 end mark), this one
//! is as well; where they refuse, it refuses.
//!
//! Source: Kafka `CompressionType`, `GzipCompression`, `SnappyCompression`, `Lz4Compression`, `ZstdCompression`.

mod gzip;
mod lz4;
mod output;
mod snappy;
mod zstd;

#[cfg(test)]
mod tests;

use std::fmt;

use output::OutputBuffer;

/// The most bytes one batch may decompress to unless the caller says otherwise: 128 MiB.
pub const DEFAULT_LIMIT: usize = 128 * 1024 * 1024;

/// A codec, as bits 0–2 of a batch's attributes name it.
///
/// Source: Kafka `CompressionType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    /// 0: stored as it is.
    None,
    /// 1: RFC 1952 members.
    Gzip,
    /// 2: snappy-java's stream, or one raw snappy block.
    Snappy,
    /// 3: one LZ4 frame.
    Lz4,
    /// 4: zstd frames; magic 2 only, since Kafka 2.1.
    Zstd,
}

impl Compression {
    /// Every codec, in order of id.
    pub const ALL: [Compression; 5] =
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

    /// The codec with this id, or `None` for an id no Kafka release defines.
    pub fn from_id(id: u8) -> Option<Compression> {
        Compression::ALL.get(usize::from(id)).copied()
    }

    /// The id in a batch's attributes.
    pub fn id(self) -> u8 {
        match self {
            Compression::None => 0,
            Compression::Gzip => 1,
            Compression::Snappy => 2,
            Compression::Lz4 => 3,
            Compression::Zstd => 4,
        }
    }

    /// The name as Kafka's `compression.type` spells it.
    pub fn name(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Snappy => "snappy",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Why compressed bytes could not be decompressed. Every `at` is a byte position in the compressed input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecompressError {
    /// More data than the limit allows; whether the rest is intact is not known.
    #[error("the decompressed data exceed the limit of {limit} bytes")]
    Limit {
        /// The limit in bytes.
        limit: usize,
    },
    /// The input ends inside something that needs more bytes.
    #[error("the compressed data end inside the {what} that begins at byte {at}")]
    Truncated {
        /// What is cut off.
        what: &'static str,
        /// Where that begins.
        at: usize,
    },
    /// The bytes are not of the format the codec names.
    #[error("there is no {codec} header at byte {at}")]
    BadMagic {
        /// The codec expected.
        codec: Compression,
        /// Where its header should be.
        at: usize,
    },
    /// A valid feature of the format that Kafka's reader refuses.
    #[error("the {codec} stream has {what} at byte {at}, which Kafka refuses")]
    Unsupported {
        /// The codec.
        codec: Compression,
        /// The feature.
        what: &'static str,
        /// Where the feature is announced.
        at: usize,
    },
    /// An lz4 frame whose blocks refer to earlier blocks. Valid LZ4, but Kafka refuses it.
    #[error("the lz4 frame has dependent blocks, which Kafka refuses")]
    Lz4DependentBlocks,
    /// A stored checksum differs from that of the data.
    #[error("the {what} at byte {at} is {stored:#010x} and the data give {computed:#010x}")]
    BadChecksum {
        /// Which checksum.
        what: &'static str,
        /// Where the stored checksum is.
        at: usize,
        /// The stored value.
        stored: u32,
        /// The value the data give.
        computed: u32,
    },
    /// A stored length cannot be, or is not, the length of the data.
    #[error("the {what} at byte {at} is {stored}, where {possible} is possible")]
    BadLength {
        /// Which length.
        what: &'static str,
        /// Where the length is stored.
        at: usize,
        /// The stored value.
        stored: u64,
        /// The actual length, or the largest one possible.
        possible: u64,
    },
    /// The compressed data themselves make no sense.
    #[error("the {codec} data at byte {at} are corrupt: {reason}")]
    Corrupt {
        /// The codec.
        codec: Compression,
        /// Where the damaged member, block or frame begins, or more exactly where known.
        at: usize,
        /// What the codec says.
        reason: String,
    },
    /// The system gave no memory for a codec's state or for output within the limit.
    #[error("there is not enough memory to decompress")]
    OutOfMemory,
}

/// Decompresses one batch after another, keeping codec states and the output buffer from one to the next.
///
/// Meant to be owned by one worker. Memory grows with data really decompressed, never with what a header claims, and
/// at most to the limit; after a batch of unusual size it is given back.
pub struct Decompressor {
    gzip: gzip::Inflater,
    snappy: snap::raw::Decoder,
    zstd: zstd::Context,
    output: OutputBuffer,
    spent: u64,
}

impl Default for Decompressor {
    fn default() -> Decompressor {
        Decompressor::new(DEFAULT_LIMIT)
    }
}

impl fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decompressor").field("limit", &self.limit()).finish_non_exhaustive()
    }
}

impl Decompressor {
    /// A decompressor that gives up on a batch of more than `limit` decompressed bytes. Takes no memory before it is used.
    pub fn new(limit: usize) -> Decompressor {
        Decompressor {
            gzip: gzip::Inflater::default(),
            snappy: snap::raw::Decoder::new(),
            zstd: zstd::Context::default(),
            output: OutputBuffer::new(limit),
            spent: 0,
        }
    }

    /// The most bytes one batch may decompress to, inclusive.
    pub fn limit(&self) -> usize {
        self.output.limit()
    }

    /// Sets the most bytes one batch may decompress to, inclusive, for the batches to come.
    pub fn set_limit(&mut self, limit: usize) {
        self.output.set_limit(limit);
    }

    /// How many bytes all batches so far came to. One that was given up counts with the memory that was at hand for it.
    pub fn spent(&self) -> u64 {
        self.spent
    }

    /// Decompresses one batch's records section, or the value of a magic 0 or 1 wrapper message.
    ///
    /// `magic` is the magic of the batch or wrapper; only lz4 depends on it. The result lives in the reused buffer, or,
    /// for [`Compression::None`], is `input` itself, to which the limit does not apply.
    ///
    /// Errors: any damage a broker would notice, and more data than the limit. The memory an oversized batch took is
    /// given back before the error returns.
    /// Source: Kafka `Compression.wrapForInput` of each codec.
    pub fn decompress<'d>(
        &'d mut self,
        codec: Compression,
        magic: i8,
        input: &'d [u8],
    ) -> Result<&'d [u8], DecompressError> {
        self.output.begin();
        let outcome = match codec {
            Compression::None => return Ok(input),
            Compression::Gzip => gzip::decompress(&mut self.gzip, input, &mut self.output),
            Compression::Snappy => snappy::decompress(&mut self.snappy, input, &mut self.output),
            Compression::Lz4 => lz4::decompress(magic, input, &mut self.output),
            Compression::Zstd => zstd::decompress(&mut self.zstd, input, &mut self.output),
        };
        match outcome {
            Ok(()) => {
                self.spent = self.spent.saturating_add(self.output.written().len() as u64);
                Ok(self.output.written())
            }
            Err(error) => {
                // Where one gives up at its limit, the memory was the work.
                self.spent = self.spent.saturating_add(self.output.size() as u64);
                self.output.discard();
                Err(error)
            }
        }
    }
}

/// A codec's encoder failed, which only lack of memory can cause.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {codec} encoder failed: {reason}")]
pub struct CompressError {
    /// The codec.
    pub codec: Compression,
    /// What the encoder says.
    pub reason: String,
}

/// Appends to `out` what Kafka's Java client would write for `input`: the builder twin of [`Decompressor::decompress`].
///
/// Headers, block sizes and trailers are those of Kafka; the compressed bits inside them depend on the encoder and
/// differ from those of Java's. Only lz4 depends on `magic`, that of the batch or wrapper.
///
/// Errors: only lack of memory. Nothing sensible is in `out` then.
/// Source: Kafka `Compression.wrapForOutput` of each codec.
pub fn compress(codec: Compression, magic: i8, input: &[u8], out: &mut Vec<u8>) -> Result<(), CompressError> {
    match codec {
        Compression::None => {
            out.extend_from_slice(input);
            Ok(())
        }
        Compression::Gzip => gzip::compress(input, out),
        Compression::Snappy => snappy::compress(input, out),
        Compression::Lz4 => lz4::compress(magic, input, out),
        Compression::Zstd => zstd::compress(input, out),
    }
}
