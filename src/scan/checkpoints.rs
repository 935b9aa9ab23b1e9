//! What the checkpoints of a log dir say about its partitions.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::format::Offset;
use crate::format::file_name::{DirState, FileKind};
use crate::format::offset_checkpoint::{self, CheckpointError};
use crate::store::partition::PartitionName;
use crate::store::{StoreError, read_small};

/// The largest checkpoint that is read, in bytes: a line for each of millions of partitions.
const LARGEST_CHECKPOINT: u64 = 256 << 20;

/// The offset checkpoints of one log dir.
///
/// A file that is not there has no lines. Of one that is damaged the readable lines count, which is more than a broker
/// makes of it.
///
/// Source: Kafka `OffsetCheckpointFile`, `LogManager`, `ReplicaManager`.
#[derive(Debug, Default)]
pub struct Checkpoints {
    of_topics: HashMap<String, HashMap<i32, Checkpointed>>,
    /// Files that are damaged, and their first error.
    pub damaged: Vec<(PathBuf, CheckpointError)>,
    /// Files that could not be read.
    pub unreadable: Vec<StoreError>,
}

/// What the checkpoints say about one partition; `None` where a file has no line for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checkpointed {
    /// The high watermark when it was last written: a lower bound of the real one.
    pub high_watermark: Option<Offset>,
    /// The log start offset, which stands there only where it lies behind the first segment's base.
    pub log_start_offset: Option<Offset>,
    /// The first offset that is not known to be on disk.
    pub recovery_point: Option<Offset>,
}

impl Checkpoints {
    /// Reads the checkpoints in `log_dir`.
    pub fn read(log_dir: &Path) -> Self {
        let mut checkpoints = Self::default();
        checkpoints.take(log_dir, FileKind::ReplicationOffsetCheckpoint, |of| &mut of.high_watermark);
        checkpoints.take(log_dir, FileKind::LogStartOffsetCheckpoint, |of| &mut of.log_start_offset);
        checkpoints.take(log_dir, FileKind::RecoveryPointCheckpoint, |of| &mut of.recovery_point);
        checkpoints
    }

    /// What they say about a partition. Nothing about a directory that waits for deletion or was set aside: the
    /// lines are those of its successor.
    pub fn of(&self, name: &PartitionName) -> Checkpointed {
        if matches!(name.state, DirState::Delete | DirState::Stray) {
            return Checkpointed::default();
        }
        self.of_topics.get(&name.topic).and_then(|topic| topic.get(&name.partition)).copied().unwrap_or_default()
    }

    fn take(&mut self, log_dir: &Path, kind: FileKind, slot: impl Fn(&mut Checkpointed) -> &mut Option<Offset>) {
        let Some(name) = kind.fixed_name() else { return };
        let path = log_dir.join(name);
        let bytes = match read_small(&path, LARGEST_CHECKPOINT) {
            Ok(bytes) => bytes,
            Err(StoreError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => return,
            Err(error) => return self.unreadable.push(error),
        };
        let entries = offset_checkpoint::parse(&bytes).unwrap_or_else(|error| {
            self.damaged.push((path, error));
            offset_checkpoint::lenient(&bytes).map(|(_, entry)| entry).collect()
        });
        for entry in entries {
            if !self.of_topics.contains_key(entry.topic) {
                self.of_topics.insert(entry.topic.to_owned(), HashMap::new());
            }
            if let Some(topic) = self.of_topics.get_mut(entry.topic) {
                *slot(topic.entry(entry.partition).or_default()) = Some(entry.offset);
            }
        }
    }
}
