//! `dump-log` for everything beside the log that is small enough to be read whole.

use std::io;
use std::path::{Path, PathBuf};

use crate::format::Offset;
use crate::format::file_name::{FileKind, FileName};
use crate::format::offset_index::OffsetIndex;
use crate::format::time_index::TimeIndex;
use crate::format::txn_index::TxnIndex;
use crate::report::entries::{self, Flush, Lines, Seen};
use crate::report::log;
use crate::report::reporter::Reporter;
use crate::report::row::path_text;
use crate::store::{StoreError, read_small};

const MIB: u64 = 1024 * 1024;

/// Why the rest of a file was not shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DumpError {
    /// The file cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The lines cannot be written.
    #[error(transparent)]
    Output(#[from] io::Error),
    /// A file of batches, or one that says nothing: not for this function.
    #[error("{} has no entries to show ({})", .path.display(), entries::kind_name(*.kind))]
    OtherKind {
        /// The file.
        path: PathBuf,
        /// What it is.
        kind: FileKind,
    },
}

/// Shows one file of any kind that is neither a log nor a KRaft snapshot: its name, its entries, its damage.
///
/// `flush` is called whenever `out` is full; what is in `out` at the end is left to the caller, as are the last rows
/// that `reporter` may hold back for a table.
///
/// Errors: [`DumpError`]; damage is none, it is in the lines and in [`Seen::damaged`].
pub(crate) fn dump_small(
    path: &Path,
    name: &FileName,
    reporter: &mut Reporter,
    out: &mut Vec<u8>,
    flush: &mut Flush<'_>,
) -> Result<Seen, DumpError> {
    let Some(limit) = limit(name.kind) else {
        return Err(DumpError::OtherKind { path: path.to_owned(), kind: name.kind });
    };
    let bytes = read_small(path, limit)?;
    let kind = entries::kind_name(name.kind);
    // The number in the name of a snapshot is no base offset: it is where the snapshot ends.
    let base_offset = name.base_offset.filter(|_| name.kind.is_segment_file());
    log::file(reporter, out, path, kind, base_offset, bytes.len() as u64, &entries::file_words(name));
    let file = path_text(path);
    let lines = Lines::new(reporter, out, &file, flush);
    let base_offset = base_offset.unwrap_or(Offset(0));
    let seen = match name.kind {
        FileKind::OffsetIndex => entries::offset_index(lines, &OffsetIndex::new(&bytes, base_offset))?,
        FileKind::TimeIndex => entries::time_index(lines, &TimeIndex::new(&bytes, base_offset))?,
        FileKind::TxnIndex => entries::txn_index(lines, &TxnIndex::new(&bytes))?,
        FileKind::ProducerSnapshot => entries::producer_snapshot(lines, &bytes)?,
        FileKind::LeaderEpochCheckpoint => entries::leader_epochs(lines, &bytes)?,
        FileKind::RecoveryPointCheckpoint
        | FileKind::LogStartOffsetCheckpoint
        | FileKind::ReplicationOffsetCheckpoint
        | FileKind::CleanerOffsetCheckpoint => entries::offset_checkpoint(lines, &bytes)?,
        FileKind::PartitionMetadata => entries::partition_metadata(lines, &bytes)?,
        FileKind::MetaProperties => entries::meta_properties(lines, &bytes)?,
        FileKind::QuorumState => entries::quorum_state(lines, &bytes)?,
        FileKind::CleanShutdown => entries::clean_shutdown(lines, &bytes)?,
        _ => Seen::default(),
    };
    Ok(seen)
}

/// How many bytes such a file may have; `None` where it has nothing to show here.
fn limit(kind: FileKind) -> Option<u64> {
    match kind {
        // `segment.index.bytes` can be set far above its 10 MiB, and a snapshot has 46 bytes for each producer.
        FileKind::OffsetIndex | FileKind::TimeIndex | FileKind::TxnIndex | FileKind::ProducerSnapshot => {
            Some(256 * MIB)
        }
        // A line for each partition, with a topic of up to 249 characters.
        FileKind::RecoveryPointCheckpoint
        | FileKind::LogStartOffsetCheckpoint
        | FileKind::ReplicationOffsetCheckpoint
        | FileKind::CleanerOffsetCheckpoint
        | FileKind::LeaderEpochCheckpoint => Some(64 * MIB),
        FileKind::PartitionMetadata | FileKind::MetaProperties | FileKind::QuorumState | FileKind::CleanShutdown => {
            Some(MIB)
        }
        FileKind::Log
        | FileKind::KraftSnapshot
        | FileKind::BootstrapSnapshot
        | FileKind::Lock
        | FileKind::RemoteLogSnapshot
        | FileKind::Other => None,
    }
}

#[cfg(test)]
mod tests;
