//! Reading a log in order: batches as they lie in the file, and the reason why there are no more.
//!
//! Consumes windows of a [`ReadStorage`](crate::store::ReadStorage); has no way to create or write anything.

pub mod batch_scan;
pub mod checkpoints;
pub mod locate;
pub mod resync;

pub use batch_scan::{BatchScan, Damage, DamageReason, ScanEnd, ScanOptions, ScannedBatch, Verify};
pub use resync::LogSoFar;

#[cfg(test)]
mod tests;
