//! What the checkpoints of a log dir say about its partitions.

use std::collections::{BTreeMap, HashMap};
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
    /// Whether the cleaner's checkpoint is there, and whole.
    cleaner_is_whole: bool,
    /// Files that are damaged, and their first error.
    pub damaged: Vec<(PathBuf, CheckpointError)>,
    /// Lines that can be read and say what no broker writes; at most a thousand of them.
    pub odd_lines: Vec<OddLine>,
    /// How many more of these there are.
    pub more_odd_lines: u64,
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
    /// The first offset that compaction has not looked at yet; only partitions that were compacted have one.
    pub cleaner_offset: Option<Offset>,
}

/// A line of a checkpoint that no broker writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OddLine {
    /// The file.
    pub path: PathBuf,
    /// The line, counted from 1.
    pub line: usize,
    /// Its topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: Offset,
    /// The offset of an earlier line for the same partition, which this one takes the place of; where there is none,
    /// the offset is negative.
    pub instead_of: Option<Offset>,
}

/// The most odd lines that are told apart; more are counted.
const MOST_ODD_LINES: usize = 1000;

impl Checkpoints {
    /// Reads the checkpoints in `log_dir`.
    pub fn read(log_dir: &Path) -> Self {
        let mut checkpoints = Self::default();
        checkpoints.take(log_dir, FileKind::ReplicationOffsetCheckpoint, |of| &mut of.high_watermark);
        checkpoints.take(log_dir, FileKind::LogStartOffsetCheckpoint, |of| &mut of.log_start_offset);
        checkpoints.take(log_dir, FileKind::RecoveryPointCheckpoint, |of| &mut of.recovery_point);
        checkpoints.take(log_dir, FileKind::CleanerOffsetCheckpoint, |of| &mut of.cleaner_offset);
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

    /// Whether the cleaner's checkpoint can be read and has no line for the partition.
    pub fn tell_never_compacted(&self, name: &PartitionName) -> bool {
        self.cleaner_is_whole && self.of(name).cleaner_offset.is_none()
    }

    /// All partitions that have a line in any of the files, by topic and partition.
    pub fn partitions(&self) -> Vec<(&str, i32, Checkpointed)> {
        let topics: BTreeMap<_, _> = self.of_topics.iter().map(|(topic, of)| (topic.as_str(), of)).collect();
        let mut all = Vec::new();
        for (topic, partitions) in topics {
            let sorted: BTreeMap<_, _> = partitions.iter().collect();
            all.extend(sorted.into_iter().map(|(partition, checkpointed)| (topic, *partition, *checkpointed)));
        }
        all
    }

    fn take(&mut self, log_dir: &Path, kind: FileKind, slot: impl Fn(&mut Checkpointed) -> &mut Option<Offset>) {
        let Some(name) = kind.fixed_name() else { return };
        let is_cleaners = kind == FileKind::CleanerOffsetCheckpoint;
        let path = log_dir.join(name);
        let bytes = match read_small(&path, LARGEST_CHECKPOINT) {
            Ok(bytes) => bytes,
            Err(StoreError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => return,
            Err(error) => return self.unreadable.push(error),
        };
        match offset_checkpoint::parse(&bytes) {
            Ok(_) => self.cleaner_is_whole |= is_cleaners,
            Err(error) => self.damaged.push((path.clone(), error)),
        }
        for (line, entry) in offset_checkpoint::lenient(&bytes) {
            if !self.of_topics.contains_key(entry.topic) {
                self.of_topics.insert(entry.topic.to_owned(), HashMap::new());
            }
            let Some(topic) = self.of_topics.get_mut(entry.topic) else { continue };
            let slot = slot(topic.entry(entry.partition).or_default());
            let instead_of = slot.replace(entry.offset);
            if instead_of.is_none() && entry.offset >= Offset(0) {
                continue;
            }
            if self.odd_lines.len() >= MOST_ODD_LINES {
                self.more_odd_lines += 1;
                continue;
            }
            let (topic, partition, offset) = (entry.topic.to_owned(), entry.partition, entry.offset);
            self.odd_lines.push(OddLine { path: path.clone(), line, topic, partition, offset, instead_of });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_four_files_are_read_and_odd_lines_are_told_with_their_numbers() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("replication-offset-checkpoint"), "0\n3\nb 0 7\na 10 5\nb 0 9\n").unwrap();
        fs::write(dir.path().join("recovery-point-offset-checkpoint"), "0\n1\na 10 -4\n").unwrap();
        fs::write(dir.path().join("log-start-offset-checkpoint"), "0\n2\na 2 1\n").unwrap();
        fs::write(dir.path().join("cleaner-offset-checkpoint"), "0\n1\na 10 3\n").unwrap();
        let checkpoints = Checkpoints::read(dir.path());
        let of = |name| checkpoints.of(&PartitionName::parse(name).unwrap());
        assert_eq!(of("b-0").high_watermark, Some(Offset(9)));
        assert_eq!(
            of("a-10"),
            Checkpointed {
                high_watermark: Some(Offset(5)),
                log_start_offset: None,
                recovery_point: Some(Offset(-4)),
                cleaner_offset: Some(Offset(3)),
            }
        );
        assert_eq!(of("a-10.0123-delete"), Checkpointed::default());
        let partitions: Vec<_> = checkpoints.partitions().iter().map(|(t, p, _)| format!("{t}-{p}")).collect();
        assert_eq!(partitions, ["a-2", "a-10", "b-0"]);
        let odd: Vec<_> = checkpoints.odd_lines.iter().map(|odd| (odd.line, odd.offset.0, odd.instead_of)).collect();
        assert_eq!(odd, [(5, 9, Some(Offset(7))), (3, -4, None)]);
        assert_eq!(checkpoints.damaged.len(), 1);
        assert!(checkpoints.damaged[0].0.ends_with("log-start-offset-checkpoint"));
    }
}
