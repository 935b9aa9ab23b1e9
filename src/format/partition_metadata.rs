//! `partition.metadata`: the id of the topic that a partition directory belongs to.

use super::checkpoint_text::{Lines, is_blank};
use super::uuid::Uuid;

/// The only version ever released.
pub const VERSION: i32 = 0;

/// The content of `partition.metadata`: two lines, the second not terminated.
///
/// | line | content              |
/// |------|----------------------|
/// | 1    | `version: 0`         |
/// | 2    | `topic_id: ` and id  |
///
/// Source: Kafka `PartitionMetadataFile`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionMetadata {
    /// The version. Kafka reads any from 0 on.
    pub version: i32,
    /// The id of the topic, never all zero.
    pub topic_id: Uuid,
}

/// Why `partition.metadata` cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PartitionMetadataError {
    /// The file is not UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// A line is not there at all.
    #[error("line {line} is missing")]
    MissingLine {
        /// The line, counted from 1.
        line: usize,
    },
    /// A line is not a name, a colon, blanks and a value; or the version is no number.
    #[error("line {line} is malformed")]
    MalformedLine {
        /// The line, counted from 1.
        line: usize,
    },
    /// The version is below 0.
    #[error("version {version} is unknown")]
    UnknownVersion {
        /// The version found.
        version: i32,
    },
    /// The topic id is no id.
    #[error("the topic id is not 22 characters of URL-safe base64")]
    MalformedTopicId,
    /// The topic id is all zero.
    #[error("the topic id is zero")]
    ZeroTopicId,
}

impl PartitionMetadataError {
    /// Whether Kafka answers with an `IOException`, which takes the log dir offline.
    /// If not, the exception is one it does not expect, and the broker does not start.
    pub fn is_io_exception(&self) -> bool {
        !matches!(self, Self::MissingLine { .. } | Self::MalformedTopicId)
    }
}

impl PartitionMetadata {
    /// Reads the whole content of a `partition.metadata` file as Kafka does:
    /// the names before the colons are not looked at, nor is anything after the second line.
    pub fn parse(bytes: &[u8]) -> Result<Self, PartitionMetadataError> {
        if std::str::from_utf8(bytes).is_err() {
            return Err(PartitionMetadataError::NotUtf8);
        }
        let mut lines = Lines::new(bytes);
        let version = value(&mut lines, 1)?;
        let version = version.parse().map_err(|_| PartitionMetadataError::MalformedLine { line: 1 })?;
        if version < VERSION {
            return Err(PartitionMetadataError::UnknownVersion { version });
        }
        let topic_id = value(&mut lines, 2)?;
        let topic_id = Uuid::parse(topic_id.as_bytes()).ok_or(PartitionMetadataError::MalformedTopicId)?;
        if topic_id == Uuid::ZERO {
            return Err(PartitionMetadataError::ZeroTopicId);
        }
        Ok(Self { version, topic_id })
    }

    /// The bytes of the file, without a line end at their end, as Kafka writes it.
    pub fn write(&self) -> Vec<u8> {
        format!("version: {}\ntopic_id: {}", self.version, self.topic_id).into_bytes()
    }
}

/// The second of the two parts that Java's `String.split(":\\s+")` makes of the next line.
fn value<'a>(lines: &mut Lines<'a>, line: usize) -> Result<&'a str, PartitionMetadataError> {
    let bytes = lines.next().ok_or(PartitionMetadataError::MissingLine { line })?.bytes;
    let text = std::str::from_utf8(bytes).map_err(|_| PartitionMetadataError::NotUtf8)?;
    let malformed = PartitionMetadataError::MalformedLine { line };
    let (_name, mut value) = split_once(text).ok_or(malformed)?;
    // Java drops empty parts at the end, so any number of separators may follow the value.
    while let Some((before, after)) = split_once(value) {
        let only_separators_follow = std::iter::successors(Some(after), |rest| match split_once(rest) {
            Some(("", rest)) => Some(rest),
            _ => None,
        })
        .any(str::is_empty);
        if !only_separators_follow {
            return Err(malformed);
        }
        value = before;
    }
    if value.is_empty() { Err(malformed) } else { Ok(value) }
}

/// What lies before and after the first colon that a blank follows, without the blanks.
fn split_once(text: &str) -> Option<(&str, &str)> {
    text.match_indices(':').find_map(|(at, colon)| {
        let (before, after) = text.split_at_checked(at)?;
        let after = after.strip_prefix(colon)?;
        after.starts_with(is_blank).then(|| (before, after.trim_start_matches(is_blank)))
    })
}

#[cfg(test)]
mod tests {
    use super::PartitionMetadataError::*;
    use super::*;
    use proptest::prelude::*;

    const ID: &str = "AAAAAAAAAAEAAAAAAAAAAg";

    /// Each text was given to Kafka's own `PartitionMetadataFile` (4.4.0), which read this version and id 1/2.
    #[test]
    fn what_kafka_reads_is_read_alike() {
        for (text, version) in [
            ("version: 0\ntopic_id: {}", 0),
            ("version: 0\r\ntopic_id: {}\r\n", 0),
            ("x: 3\ny:\t\t{}\nmore\n", 3),
            (": 0\n: {}", 0),
            ("version: 0: \ntopic_id: {}: ", 0),
            ("version: 0\ntopic_id: {}==", 0),
            (" version: 0\n topic_id:  {}", 0),
            ("\u{feff}version: 0\ntopic_id: {}", 0),
        ] {
            let text = text.replace("{}", ID);
            let read = PartitionMetadata::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text:?}: {error}"));
            assert_eq!((read.version, read.topic_id.to_string().as_str()), (version, ID), "{text:?}");
        }
    }

    /// Kafka's `PartitionMetadataFile` (4.4.0) answered each with an `IOException` if `true`, else with another.
    #[test]
    fn what_kafka_refuses_is_refused_alike() {
        let cases: &[(&[u8], bool, PartitionMetadataError)] = &[
            (b"", false, MissingLine { line: 1 }),
            (b"version: 0", false, MissingLine { line: 2 }),
            (b"version: 0\n", false, MissingLine { line: 2 }),
            (b"version: 0\n\n", true, MalformedLine { line: 2 }),
            (b"version:0\ntopic_id: AAAAAAAAAAEAAAAAAAAAAg", true, MalformedLine { line: 1 }),
            (b"version: x\ntopic_id: AAAAAAAAAAEAAAAAAAAAAg", true, MalformedLine { line: 1 }),
            (b"version: 0 \ntopic_id: AAAAAAAAAAEAAAAAAAAAAg", true, MalformedLine { line: 1 }),
            (b"version: 0: 0\ntopic_id: AAAAAAAAAAEAAAAAAAAAAg", true, MalformedLine { line: 1 }),
            (b"version: : 0\ntopic_id: AAAAAAAAAAEAAAAAAAAAAg", true, MalformedLine { line: 1 }),
            (b"version: 0\ntopic_id: ", true, MalformedLine { line: 2 }),
            (b"version: -1\ntopic_id: AAAAAAAAAAEAAAAAAAAAAg", true, UnknownVersion { version: -1 }),
            (b"version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAA", true, ZeroTopicId),
            (b"version: 0\ntopic_id: \xff", true, NotUtf8),
            (b"version: 0\ntopic_id: AAAAAAAAAAEAAAAAAAAAAg ", false, MalformedTopicId),
            (b"version: 0\ntopic_id: AAAAAAAAAAEAAAAAAAAAAgAA", false, MalformedTopicId),
        ];
        for (bytes, is_io_exception, expected) in cases {
            let error = PartitionMetadata::parse(bytes).expect_err(&bytes.escape_ascii().to_string());
            assert_eq!((error, error.is_io_exception()), (*expected, *is_io_exception), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_file_of_a_broker_is_written_byte_for_byte() {
        let bytes = b"version: 0\ntopic_id: 0ZqNoWA8TPWK5FISrGvanw";
        assert_eq!(PartitionMetadata::parse(bytes).unwrap().write(), bytes);
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_back(version in 0..=i32::MAX, id: [u8; 16]) {
            prop_assume!(id != [0; 16]);
            let metadata = PartitionMetadata { version, topic_id: Uuid(id) };
            prop_assert_eq!(PartitionMetadata::parse(&metadata.write()), Ok(metadata));
        }

        #[test]
        fn any_two_lines_are_read_or_refused(text in "[a: \\t0]{0,12}\\n?[a: A]{0,30}") {
            let _ = PartitionMetadata::parse(text.as_bytes());
        }
    }
}
