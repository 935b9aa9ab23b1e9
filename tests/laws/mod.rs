//! What holds for every input, whatever its bytes: one law for each kind of input, and one about memory for all.
//!
//! The fuzz targets, the replay of what they found and the property tests all call the same functions.

// Each user compiles this module for itself and uses a part of it.
#![allow(dead_code)]

mod beside;
mod codec;
pub mod hostile;
mod log;
pub mod memory;
mod scan;
mod words;

/// The most bytes that a batch may decompress to here.
pub const LIMIT: usize = 1 << 20;

/// Panics where it is broken.
pub type Law = fn(&[u8]);

/// Every law under the name of its fuzz target.
pub const ALL: &[(&str, Law)] = &[
    ("batch", log::batch),
    ("record", log::record),
    ("legacy", log::legacy),
    ("gzip", codec::gzip),
    ("snappy", codec::snappy),
    ("lz4", codec::lz4),
    ("zstd", codec::zstd),
    ("scan", scan::scan),
    ("control", words::control),
    ("flexible", words::flexible),
    ("varint", words::varint),
    ("uuid", words::uuid),
    ("file_name", words::file_name),
    ("offset_index", beside::offset_index),
    ("time_index", beside::time_index),
    ("txn_index", beside::txn_index),
    ("producer_snapshot", beside::producer_snapshot),
    ("leader_epoch", beside::leader_epoch),
    ("offset_checkpoint", beside::offset_checkpoint),
    ("properties", beside::properties),
    ("partition_metadata", beside::partition_metadata),
    ("quorum_state", beside::quorum_state),
    ("clean_shutdown", beside::clean_shutdown),
];

/// The memory that any law may take, for the limit on decompression and for copies that the laws compare with.
const MEMORY_AT_LEAST: usize = 8 << 20;
/// The memory that each byte of input may add.
const MEMORY_PER_BYTE: usize = 128;

/// Applies the law of `target` to `bytes`, and the one that memory follows input and not what the input claims.
pub fn uphold(target: &str, bytes: &[u8]) {
    let (_, law) = ALL.iter().find(|(name, _)| *name == target).unwrap_or_else(|| panic!("no law for {target}"));
    let ((), peak) = memory::peak_of(|| law(bytes));
    let allowed = MEMORY_AT_LEAST + MEMORY_PER_BYTE * bytes.len();
    assert!(peak <= allowed, "{target} took {peak} bytes of memory for {} bytes of input", bytes.len());
}
