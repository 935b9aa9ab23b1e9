//! Reading a log in order: batches as they lie in the file, and the reason why there are no more.
//!
//! Consumes windows of a [`ReadStorage`](crate::store::ReadStorage); has no way to create or write anything.

pub mod batch_scan;
pub mod checkpoints;
pub mod kafka_walk;
pub mod locate;
pub mod overview;
pub mod parts;
pub mod producer_facts;
pub mod producer_state;
pub mod recover;
pub mod resync;
pub mod segment_ends;
pub mod segment_facts;
pub mod start;
pub mod transactions;

pub use batch_scan::{BatchScan, Damage, DamageReason, ScanEnd, ScanOptions, ScannedBatch, Verify};
pub use resync::LogSoFar;
pub use transactions::{Outcome, TransactionOutcomes, TransactionWalk, Verdict};

#[cfg(test)]
mod tests;
