//! What Kafka writes: every file of a log dir as views over bytes, and builders that write the same bytes.
//!
//! Pure: `&[u8]` in, views out. This module knows no path, file, clock or printing. Nothing here panics on any
//! input, and no length field decides how much memory is taken.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::unreachable,
        clippy::arithmetic_side_effects
    )
)]

pub mod batch;
pub mod bytes;
mod checkpoint_text;
pub mod checksum;
pub mod clean_shutdown;
pub mod compression;
pub mod control;
pub mod file_name;
pub(crate) mod fixed_entries;
pub mod flexible;
pub mod leader_epoch;
pub mod legacy;
pub mod offset_checkpoint;
pub mod offset_index;
pub mod partition_metadata;
mod prefetch;
pub mod producer_snapshot;
pub mod properties;
pub mod quorum_state;
pub mod record;
pub mod time_index;
pub mod txn_index;
pub mod uuid;

use std::fmt;

/// A logical Kafka offset: the number of a record in its partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset(pub i64);

/// A byte position in a file, counted from its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
pub(crate) mod testing {
    /// The bytes that a readable hex dump stands for.
    pub(crate) fn unhex(text: &str) -> Vec<u8> {
        let digits: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
    }
}
