//! What becomes of keys and values: the decoders that options name.

use crate::format::record::Record;

use super::Profile;
use super::log_lines::ContentsWriter;
use super::text::{put, put_int, put_java_utf8};

/// Why a record has no text, where the original tool ends in an exception.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// The bytes are fewer than the number takes.
    #[error("the {part} has {length} bytes, the decoder needs {needed}")]
    TooShort {
        /// `key` or `value`.
        part: &'static str,
        /// How many bytes the decoder takes.
        needed: usize,
        /// How many there are.
        length: usize,
    },
}

/// Turns one record into the texts for key and payload.
///
/// Errors: the original dies of such a record; the caller throws away what was written of its contents.
pub trait PayloadDecoder {
    /// Writes the texts that the record's line shows, none, one or both.
    fn write(&mut self, record: &Record<'_>, line: &mut ContentsWriter<'_>) -> Result<(), PayloadError>;
}

/// A decoder class that comes with Kafka.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DecoderClass {
    /// UTF-8.
    #[default]
    String,
    /// A big-endian 32-bit integer; further bytes are ignored.
    Integer,
    /// A big-endian 64-bit integer; further bytes are ignored.
    Long,
    /// Java's name for the byte array. Its number is another in each run of the original; here it is 0.
    Default,
}

const PACKAGE: &str = "org.apache.kafka.tools.api.";
const OLD_PACKAGE: &str = "kafka.serializer.";

impl DecoderClass {
    /// The class of that name in the releases of `profile`, and the notice that using the name prints, if any.
    /// `None` for any other name: classes of Java cannot be loaded.
    pub fn by_name(profile: Profile, name: &str) -> Option<(Self, Option<String>)> {
        let (simple_name, old) = match name.strip_prefix(PACKAGE) {
            Some(simple_name) => (simple_name, false),
            None if profile.knows_old_decoder_classes() => (name.strip_prefix(OLD_PACKAGE)?, true),
            None => return None,
        };
        let class = match simple_name {
            "StringDecoder" => Self::String,
            "IntegerDecoder" => Self::Integer,
            "LongDecoder" => Self::Long,
            "DefaultDecoder" => Self::Default,
            _ => return None,
        };
        let notice = (old && profile.calls_old_decoder_classes_deprecated())
            .then(|| format!("{name} is deprecated. Please use {PACKAGE}{simple_name} instead\n"));
        Some((class, notice))
    }

    fn check(self, part: &'static str, bytes: Option<&[u8]>) -> Result<(), PayloadError> {
        let needed = match self {
            Self::String | Self::Default => 0,
            Self::Integer => 4,
            Self::Long => 8,
        };
        match bytes {
            Some(bytes) if bytes.len() < needed => Err(PayloadError::TooShort { part, needed, length: bytes.len() }),
            _ => Ok(()),
        }
    }

    fn put(self, out: &mut Vec<u8>, bytes: &[u8]) {
        match self {
            Self::String => put_java_utf8(out, bytes),
            Self::Integer => put_int(out, "", bytes.first_chunk().map_or(0, |bytes| i32::from_be_bytes(*bytes))),
            Self::Long => put_int(out, "", bytes.first_chunk().map_or(0, |bytes| i64::from_be_bytes(*bytes))),
            Self::Default => put(out, "[B@0"),
        }
    }
}

/// The decoder of `--key-decoder-class` and `--value-decoder-class`: null keys and values are not shown at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassDecoder {
    /// Decodes keys.
    pub key: DecoderClass,
    /// Decodes values.
    pub value: DecoderClass,
}

impl PayloadDecoder for ClassDecoder {
    #[inline]
    fn write(&mut self, record: &Record<'_>, line: &mut ContentsWriter<'_>) -> Result<(), PayloadError> {
        self.key.check("key", record.key)?;
        self.value.check("value", record.value)?;
        if let Some(key) = record.key {
            line.key(|out| self.key.put(out, key));
        }
        if let Some(value) = record.value {
            line.payload(|out| self.value.put(out, value));
        }
        Ok(())
    }
}
