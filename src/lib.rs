//! kfsck: the fsck for Kafka partition directories.
//!
//! The layers, each knowing only those to its left:
//! `format ← store ← scan ← check ← repair`; `report` words their values; `cli` sees all.
//! Bytes become views, views become facts, facts become findings, findings become a plan,
//! and a plan becomes a reviewed and undoable change.

#![deny(unsafe_code, missing_docs)]
#![warn(rust_2018_idioms, unreachable_pub)]

pub mod check;
pub mod cli;
pub mod format;
pub mod repair;
pub mod report;
pub mod scan;
pub mod store;
