//! The laws of the main crate's tests, compiled once for all targets.

#[path = "../../tests/laws/mod.rs"]
pub mod laws;
