//! The lines of the files beside the log: indexes and producer snapshots.

use crate::format::offset_index::OffsetIndexEntry;
use crate::format::producer_snapshot::{ProducerEntry, SnapshotError};
use crate::format::time_index::TimeIndexEntry;
use crate::format::txn_index::AbortedTxn;

use super::Profile;
use super::log_lines::put_optional_long;
use super::text::{put, put_int};

/// Appends the line of an offset index entry.
pub fn offset_index_line(out: &mut Vec<u8>, entry: &OffsetIndexEntry) {
    put_int(out, "offset: ", entry.offset.0);
    put_int(out, " position: ", entry.raw_position);
    put(out, "\n");
}

/// Appends the line of a time index entry.
pub fn time_index_line(out: &mut Vec<u8>, entry: &TimeIndexEntry) {
    put_int(out, "timestamp: ", entry.timestamp);
    put_int(out, " offset: ", entry.offset.0);
    put(out, "\n");
}

/// Whether the tool dies of this version of a transaction index entry.
pub fn refuses_txn_version(profile: Profile, entry: &AbortedTxn) -> bool {
    if profile.reads_whole_txn_version() { entry.version != 0 } else { entry.version_byte() > 0 }
}

/// Appends the line of a transaction index entry. Releases before 4.4 show the first byte of the version.
pub fn txn_index_line(out: &mut Vec<u8>, profile: Profile, entry: &AbortedTxn) {
    let version = if profile.reads_whole_txn_version() { 0 } else { entry.version_byte() };
    put_int(out, "version: ", version);
    put_int(out, " producerId: ", entry.producer_id);
    put_int(out, " firstOffset: ", entry.first_offset.0);
    put_int(out, " lastOffset: ", entry.last_offset.0);
    put_int(out, " lastStableOffset: ", entry.last_stable_offset.0);
    put(out, "\n");
}

/// Appends the line of a producer.
pub fn producer_line(out: &mut Vec<u8>, profile: Profile, entry: &ProducerEntry) {
    put_int(out, "producerId: ", entry.producer_id);
    put_int(out, " producerEpoch: ", entry.producer_epoch);
    put_int(out, " coordinatorEpoch: ", entry.coordinator_epoch);
    put(out, " currentTxnFirstOffset: ");
    let first_offset = entry.current_txn_first_offset().map(|offset| offset.0);
    match first_offset {
        _ if !profile.writes_scala_options() => put_optional_long(out, first_offset),
        Some(offset) => {
            put_int(out, "Some(", offset);
            put(out, ")");
        }
        None => put(out, "None"),
    }
    if profile.has_horizon_and_last_timestamp() {
        put_int(out, " lastTimestamp: ", entry.timestamp);
    }
    match entry.first_sequence() {
        Some(first_sequence) => {
            put_int(out, " firstSequence: ", first_sequence);
            put_int(out, " lastSequence: ", entry.last_sequence);
            put_int(out, " lastOffset: ", entry.last_offset);
            put_int(out, " offsetDelta: ", entry.offset_delta);
            put_int(out, " timestamp: ", entry.timestamp);
        }
        None => put(out, if profile.pads_producers_without_batch() { " " } else { "" }),
    }
    put(out, "\n");
}

/// Appends the line that stands for a producer snapshot which cannot be trusted.
pub fn snapshot_error_line(out: &mut Vec<u8>, profile: Profile, error: &SnapshotError) {
    let old = profile.checks_snapshot_layout_first();
    let prefix = "Snapshot failed schema validation: ";
    let line = match *error {
        SnapshotError::Crc { stored, computed } => {
            format!("Snapshot is corrupt (CRC is no longer valid). Stored crc: {stored}. Computed crc: {computed}")
        }
        SnapshotError::UnknownVersion { version } => {
            let prefix = if old { "" } else { prefix };
            format!("{prefix}Snapshot contained an unknown file version {version}")
        }
        SnapshotError::TooShort { field, in_entry, .. } if old => {
            let parent = if in_entry { "Error reading field 'producer_entries': " } else { "" };
            format!("{prefix}{parent}Error reading field '{field}': java.nio.BufferUnderflowException")
        }
        SnapshotError::TooShort { .. } => format!("{prefix}null"),
        SnapshotError::NegativeCount { count } if old => {
            format!("{prefix}Error reading field 'producer_entries': Array size {count} cannot be negative")
        }
        SnapshotError::NegativeCount { .. } => {
            format!("{prefix}non-nullable field producerEntries was serialized as null")
        }
        SnapshotError::CountTooLarge { count, remaining } if old => format!(
            "{prefix}Error reading field 'producer_entries': Error reading array of size {count}, only {remaining} bytes available"
        ),
        SnapshotError::CountTooLarge { count, remaining } => format!(
            "{prefix}Tried to allocate a collection of size {count}, but there are only {remaining} bytes remaining."
        ),
    };
    put(out, &line);
    put(out, "\n");
}
