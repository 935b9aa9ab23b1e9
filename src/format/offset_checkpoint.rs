//! The `*-offset-checkpoint` files of a log dir: recovery points, log starts, high watermarks, cleaner progress.
//!
//! | line | content                                   |
//! |------|-------------------------------------------|
//! | 1    | version, 0                                |
//! | 2    | number of entries                         |
//! | 3..  | topic, partition and offset, blank between |
//!
//! Source: Kafka `OffsetCheckpointFile`, `CheckpointFile`.

use super::Offset;
use super::checkpoint_text::{self, EntryLine};
pub use super::checkpoint_text::{CheckpointError, CheckpointProblem};

/// The offset of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetCheckpointEntry<'a> {
    /// The topic. Kafka allows no blank in its name.
    pub topic: &'a str,
    /// The partition; a negative one is read as it stands.
    pub partition: i32,
    /// The offset; what it means depends on the file. A negative one is read as it stands.
    pub offset: Offset,
}

impl<'a> EntryLine<'a, 3> for OffsetCheckpointEntry<'a> {
    fn from_fields([topic, partition, offset]: [&'a str; 3]) -> Result<Self, &'static str> {
        let partition = partition.parse().map_err(|_| "partition")?;
        let offset = offset.parse().map(Offset).map_err(|_| "offset")?;
        Ok(Self { topic, partition, offset })
    }
}

/// All entries, in the order of the file. Of two for the same partition the later one counts.
/// An empty file and one with only a version line have none.
pub fn parse(bytes: &[u8]) -> Result<Vec<OffsetCheckpointEntry<'_>>, CheckpointError> {
    checkpoint_text::parse(bytes)
}

/// The entries on all lines that can be read, whatever is wrong elsewhere, with their line numbers from 1.
pub fn lenient(bytes: &[u8]) -> impl Iterator<Item = (usize, OffsetCheckpointEntry<'_>)> {
    checkpoint_text::lenient(bytes)
}

/// The bytes of a checkpoint file with these entries, in the order given.
pub fn write(entries: &[OffsetCheckpointEntry<'_>]) -> Vec<u8> {
    let mut text = checkpoint_text::header(entries.len());
    for OffsetCheckpointEntry { topic, partition, offset } in entries {
        text.push_str(&format!("{topic} {partition} {offset}\n"));
    }
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::CheckpointProblem::*;
    use super::*;
    use proptest::prelude::*;

    /// Each text was given to Kafka's own `OffsetCheckpointFile` (4.4.0), which read these entries.
    #[test]
    fn what_kafka_reads_is_read_alike() {
        let zeros = format!("0\n1\nt 0 {}5\n", "0".repeat(50));
        type Entries = &'static [(&'static str, i32, i64)];
        let cases: &[(&str, Entries)] = &[
            ("", &[]),
            ("0", &[]),
            ("0\n", &[]),
            ("0\n0", &[]),
            ("0\n0\n", &[]),
            ("+0\n0\n", &[]),
            ("-0\n00\n", &[]),
            ("0\r\n1\r\nt 0 5\r\n", &[("t", 0, 5)]),
            ("0\r1\rt 0 5\r", &[("t", 0, 5)]),
            ("0\n1\nt 0 5", &[("t", 0, 5)]),
            ("0\n1\nt 0 5  \n", &[("t", 0, 5)]),
            ("0\n1\nt  0\t5\n", &[("t", 0, 5)]),
            ("0\n1\nt\x0b0\x0c5\n", &[("t", 0, 5)]),
            ("0\n1\n 0 5\n", &[("", 0, 5)]),
            ("0\n+1\nt +0 +5\n", &[("t", 0, 5)]),
            ("0\n1\nt -1 -5\n", &[("t", -1, -5)]),
            ("0\n1\nt -0 -0\n", &[("t", 0, 0)]),
            ("0\n1\nt -2147483648 -9223372036854775808\n", &[("t", i32::MIN, i64::MIN)]),
            ("0\n2\nt 0 5\nt 0 7\n", &[("t", 0, 5), ("t", 0, 7)]),
            (&zeros, &[("t", 0, 5)]),
        ];
        for (text, expected) in cases {
            let read = parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text:?}: {error}"));
            let read: Vec<_> = read.iter().map(|entry| (entry.topic, entry.partition, entry.offset.0)).collect();
            assert_eq!(read, *expected, "{text:?}");
        }
    }

    /// Kafka's `OffsetCheckpointFile` (4.4.0) answered each with an `IOException` if `true`, else with another.
    #[test]
    fn what_kafka_refuses_is_refused_alike() {
        let fields = |found| FieldCount { expected: 3, found };
        let count = |expected, found| EntryCount { expected, found };
        let partition = NotANumber { field: "partition" };
        let offset = NotANumber { field: "offset" };
        let cases: &[(&[u8], bool, usize, CheckpointProblem)] = &[
            (b"0\n1\n t 0 5\n", true, 3, fields(4)),
            (b"0\n1\nt 0 5\n\n", true, 4, fields(1)),
            (b"0\n1\nt 0 5\r\r\n", true, 4, fields(1)),
            (b"0\n1\n   \n", true, 3, fields(0)),
            (b"0\n1\nt 0\n", true, 3, fields(2)),
            (b"0\n1\nt\xc2\xa00 5\n", true, 3, fields(2)),
            (b"0\n1\nt\x1c0\x1d5\n", true, 3, fields(1)),
            (b"0\n2\nt 0 5\n", true, 2, count(2, 1)),
            (b"0\n0\nt 0 5\n", true, 2, count(0, 1)),
            (b"0\n1\n", true, 2, count(1, 0)),
            (b"0\n300000000\nt 0 5\n", true, 2, count(300_000_000, 1)),
            (b"1\n0\n", true, 1, UnknownVersion { version: 1 }),
            (b"1", true, 1, UnknownVersion { version: 1 }),
            (b"x\n0\n", true, 1, HeaderNotANumber),
            (b"\n0\n", true, 1, HeaderNotANumber),
            (b"0 \n0\n", true, 1, HeaderNotANumber),
            (b" 0\n0\n", true, 1, HeaderNotANumber),
            (b"\xef\xbb\xbf0\n0\n", true, 1, HeaderNotANumber),
            (b"0\nx\n", true, 2, HeaderNotANumber),
            (b"0\n\n", true, 2, HeaderNotANumber),
            (b"0\n2147483648\n", true, 2, HeaderNotANumber),
            (b"0\n1\nt 0 5\xff\n", true, 3, NotUtf8),
            (b"0\n-1\n", false, 2, NegativeCount { count: -1 }),
            (b"0\n1\nt x 5\n", false, 3, partition),
            (b"0\n1\nt - 5\n", false, 3, partition),
            (b"0\n1\nt 2147483648 5\n", false, 3, partition),
            (b"0\n1\nt -2147483649 0\n", false, 3, partition),
            (b"0\n1\nt 0 x\n", false, 3, offset),
            (b"0\n1\nt 0 +\n", false, 3, offset),
            (b"0\n1\nt 0 +-5\n", false, 3, offset),
            (b"0\n1\nt 0 9223372036854775808\n", false, 3, offset),
            (b"0\n2\nt x 5\nt\n", false, 3, partition),
            (b"0\n5\nt x 5\n", false, 3, partition),
        ];
        for (bytes, is_io_exception, line, problem) in cases {
            let error = parse(bytes).expect_err(&bytes.escape_ascii().to_string());
            assert_eq!((error.line, error.problem), (*line, *problem), "{}", bytes.escape_ascii());
            assert_eq!(error.is_io_exception(), *is_io_exception, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn an_error_says_where_it_is_and_what_could_be_read_before() {
        let bytes = b"0\r\n4\r\na 0 1\r\nb 1 2\r\nc x 3\r\nd 3 4\r\n";
        let error = parse(bytes).unwrap_err();
        assert_eq!((error.line, error.position, error.entries_before), (5, super::super::Position(20), 2));
        let left: Vec<_> = lenient(bytes).map(|(line, entry)| (line, entry.topic)).collect();
        assert_eq!(left, [(3, "a"), (4, "b"), (6, "d")]);
        let error = parse(b"0\n2\na 0 1\n\xff 0 1\n").unwrap_err();
        assert_eq!((error.line, error.position, error.entries_before), (4, super::super::Position(10), 1));
    }

    #[test]
    fn entries_are_written_as_kafka_writes_them() {
        let entry = |topic, partition, offset| OffsetCheckpointEntry { topic, partition, offset: Offset(offset) };
        let entries = [entry("txn-mixed", 0, 36), entry("__transaction_state", 0, 51)];
        assert_eq!(write(&entries), b"0\n2\ntxn-mixed 0 36\n__transaction_state 0 51\n");
        assert_eq!(write(&[]), b"0\n0\n");
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_back(entries in proptest::collection::vec(("[a-zA-Z0-9._-]{1,20}", any::<(i32, i64)>()), 0..9)) {
            let entries: Vec<_> = entries
                .iter()
                .map(|(topic, (partition, offset))| OffsetCheckpointEntry { topic, partition: *partition, offset: Offset(*offset) })
                .collect();
            let bytes = write(&entries);
            prop_assert_eq!(parse(&bytes), Ok(entries.clone()));
            prop_assert_eq!(lenient(&bytes).map(|(_, entry)| entry).collect::<Vec<_>>(), entries);
        }

        #[test]
        fn any_text_is_read_or_refused_with_a_line_of_it(text in "[0-3 \\r\\n\\ta+-]{0,40}", cut in any::<Vec<u8>>()) {
            let bytes = [b"0\n1\n", text.as_bytes(), &cut].concat();
            if let Err(error) = parse(&bytes) {
                prop_assert!(error.position.0 <= bytes.len() as u64);
                prop_assert!(error.entries_before <= lenient(&bytes).count());
            }
        }
    }
}
