//! Judgement: what is seen is held against what must hold, and every difference becomes a [`Finding`].
//!
//! One rule is one function, named after what it asks. Phases: each segment on its own ([`segment`], the unit of
//! parallel work), then each partition ([`partition`]), which takes the facts of its segments in order, then the log
//! dirs ([`log_dir`]). Corruption is a finding, never an error; an error says that something could not be looked at.
//! What follows from other damage is folded into it.

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::unreachable)
)]

pub mod batch;
pub mod catalogue;
pub mod chain;
pub mod checkpointed;
mod damage;
mod disorder;
pub mod epochs;
pub mod finding;
pub mod fold;
mod index_file;
pub mod kraft;
pub mod log_dir;
mod offset_index;
pub mod partition;
pub mod partition_files;
pub mod producers;
pub mod segment;
pub mod snapshots;
mod swapped;
mod time_index;
pub mod txn_index;

pub use catalogue::Id;
pub use finding::{Detail, Finding, Findings, Place, Repair, Severity};

use crate::store::ReadPolicy;

/// How far a check looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// Names, sizes, indexes, checkpoints and the headers at the ends of logs: no payload.
    Quick,
    /// The checksum of every batch.
    Checksums,
    /// Every record.
    Records,
}

/// What is known of the surroundings of a partition, and how to look at it.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// How files are read; [`ReadPolicy::may_change`] tells whether a broker is running on the log dir.
    pub policy: ReadPolicy,
    /// How far to look.
    pub depth: Depth,
    /// Whether the log dir was closed in order: its `.kafka_cleanshutdown` is there. A loose copy counts as not.
    pub clean_shutdown: bool,
}

impl Setting {
    /// Whether a broker is running on the log dir.
    pub fn is_live(&self) -> bool {
        self.policy.may_change
    }
}
