//! The `leader-epoch-checkpoint` of a partition: at which offset each leader epoch began.
//!
//! | line | content                                      |
//! |------|----------------------------------------------|
//! | 1    | version, 0                                   |
//! | 2    | number of entries                            |
//! | 3..  | epoch and its start offset, blank between    |
//!
//! Source: Kafka `LeaderEpochCheckpointFile`, `CheckpointFile`.

use super::Offset;
use super::checkpoint_text::{self, EntryLine};
pub use super::checkpoint_text::{CheckpointError, CheckpointProblem};

/// The beginning of one leader epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaderEpochEntry {
    /// The epoch. A negative one is read as it stands, though brokers do not start with it.
    pub epoch: i32,
    /// The first offset written under it (inclusive), or the log end when its leader was elected.
    /// A negative one is read as it stands, though brokers do not start with it.
    pub start_offset: Offset,
}

impl EntryLine<'_, 2> for LeaderEpochEntry {
    fn from_fields([epoch, start_offset]: [&str; 2]) -> Result<Self, &'static str> {
        let epoch = epoch.parse().map_err(|_| "epoch")?;
        let start_offset = start_offset.parse().map(Offset).map_err(|_| "start offset")?;
        Ok(Self { epoch, start_offset })
    }
}

/// All entries, in the order of the file, also where they do not ascend.
/// An empty file and one with only a version line have none.
pub fn parse(bytes: &[u8]) -> Result<Vec<LeaderEpochEntry>, CheckpointError> {
    checkpoint_text::parse(bytes)
}

/// The entries on all lines that can be read, whatever is wrong elsewhere, with their line numbers from 1.
pub fn lenient(bytes: &[u8]) -> impl Iterator<Item = (usize, LeaderEpochEntry)> {
    checkpoint_text::lenient(bytes)
}

/// The bytes of a leader epoch file with these entries, in the order given.
pub fn write(entries: &[LeaderEpochEntry]) -> Vec<u8> {
    let mut text = checkpoint_text::header(entries.len());
    for LeaderEpochEntry { epoch, start_offset } in entries {
        text.push_str(&format!("{epoch} {start_offset}\n"));
    }
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::CheckpointProblem::*;
    use super::*;
    use proptest::prelude::*;

    fn entry(epoch: i32, start_offset: i64) -> LeaderEpochEntry {
        LeaderEpochEntry { epoch, start_offset: Offset(start_offset) }
    }

    /// Each text was given to Kafka's own `LeaderEpochCheckpointFile` (4.4.0), which read these entries.
    #[test]
    fn what_kafka_reads_is_read_alike() {
        let cases: &[(&str, &[LeaderEpochEntry])] = &[
            ("", &[]),
            ("0\n0\n", &[]),
            ("0\n2\n0 0\n3 1500\n", &[entry(0, 0), entry(3, 1500)]),
            ("0\r\n1\r\n0 5\r\n", &[entry(0, 5)]),
            ("0\n1\n0 5  \n", &[entry(0, 5)]),
            ("0\n1\n+0 +5\n", &[entry(0, 5)]),
            ("0\n1\n-1 -5\n", &[entry(-1, -5)]),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text.as_bytes()).as_deref(), Ok(*expected), "{text:?}");
        }
    }

    /// Kafka's `LeaderEpochCheckpointFile` (4.4.0) answered each with an `IOException` if `true`, else with another.
    #[test]
    fn what_kafka_refuses_is_refused_alike() {
        let fields = |found| FieldCount { expected: 2, found };
        let cases: &[(&str, bool, CheckpointProblem)] = &[
            ("0\n1\n 0 5\n", true, fields(3)),
            ("0\n1\n0\n", true, fields(1)),
            ("0\n1\n0 5\n\n", true, fields(1)),
            ("0\n2\n0 5\n", true, EntryCount { expected: 2, found: 1 }),
            ("0\n1\nx 5\n", false, NotANumber { field: "epoch" }),
            ("0\n1\nt\u{a0}0 5\n", false, NotANumber { field: "epoch" }),
            ("0\n1\n2147483648 5\n", false, NotANumber { field: "epoch" }),
            ("0\n1\n0 x\n", false, NotANumber { field: "start offset" }),
            ("0\n-1\n", false, NegativeCount { count: -1 }),
        ];
        for (text, is_io_exception, problem) in cases {
            let error = parse(text.as_bytes()).expect_err(text);
            assert_eq!((error.problem, error.is_io_exception()), (*problem, *is_io_exception), "{text:?}");
        }
    }

    #[test]
    fn a_blank_before_a_start_offset_alone_is_an_epoch_that_is_no_number() {
        let error = parse(b"0\n1\n 5\n").unwrap_err();
        assert_eq!(error.problem, NotANumber { field: "epoch" });
    }

    #[test]
    fn the_epochs_around_a_damaged_line_can_be_salvaged() {
        let damaged = b"0\n3\n0 0\n\x00\x01 7\n3 1500\n";
        assert_eq!(parse(damaged).unwrap_err().entries_before, 1);
        assert_eq!(lenient(damaged).collect::<Vec<_>>(), [(3, entry(0, 0)), (5, entry(3, 1500))]);
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_back(entries: Vec<(i32, i64)>) {
            let entries: Vec<_> = entries.into_iter().map(|(epoch, start)| entry(epoch, start)).collect();
            prop_assert_eq!(parse(&write(&entries)), Ok(entries));
        }
    }
}
