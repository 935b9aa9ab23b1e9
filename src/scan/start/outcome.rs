//! What a start comes to.

use std::collections::BTreeMap;

use super::files::Content;
use crate::format::leader_epoch::{CheckpointError, CheckpointProblem, LeaderEpochEntry};
use crate::format::partition_metadata::PartitionMetadataError;
use crate::format::producer_snapshot::{ProducerEntry, SnapshotError};
use crate::format::record::RecordError;
use crate::format::{Offset, Position};
use crate::scan::producer_state::{DEFAULT_EXPIRATION_MS, ProducerError};
use crate::scan::recover::{
    BatchFault, DEFAULT_INDEX_INTERVAL_BYTES, DEFAULT_SEGMENT_INDEX_BYTES, Escape, KafkaRelease, RecoverEnd,
};

/// Under which conditions a broker starts.
///
/// Those of `__cluster_metadata-0` are always the same: unclean, recovery point and log start 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartConditions {
    /// Whether the broker finds its `.kafka_cleanshutdown` and believes that it was stopped in an orderly way.
    pub clean: bool,
    /// The log start offset in the checkpoint of the log dir.
    pub log_start_offset: Option<Offset>,
    /// The recovery point in the checkpoint of the log dir.
    pub recovery_point: Option<Offset>,
    /// The broker's release.
    pub release: KafkaRelease,
    /// `index.interval.bytes` of the topic.
    pub index_interval_bytes: u32,
    /// `segment.index.bytes` of the topic.
    pub segment_index_bytes: u32,
    /// The time of the start in milliseconds since 1970: producers that are silent for long are forgotten.
    pub now_ms: i64,
    /// `producer.id.expiration.ms` of the broker.
    pub producer_expiration_ms: i64,
}

impl StartConditions {
    /// A start at time `now_ms` (milliseconds since 1970) with the settings of a topic that sets nothing itself, and
    /// without checkpoints.
    pub fn new(clean: bool, now_ms: i64) -> Self {
        Self {
            clean,
            log_start_offset: None,
            recovery_point: None,
            release: KafkaRelease::default(),
            index_interval_bytes: DEFAULT_INDEX_INTERVAL_BYTES,
            segment_index_bytes: DEFAULT_SEGMENT_INDEX_BYTES,
            now_ms,
            producer_expiration_ms: DEFAULT_EXPIRATION_MS,
        }
    }
}

/// What a broker's start makes of a partition directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartOutcome {
    /// Why the broker does not come up with this partition; what it did before lies in the other fields.
    pub refusal: Option<Refusal>,
    /// The log start offset afterwards.
    pub log_start_offset: Offset,
    /// The log end offset afterwards (exclusive).
    pub log_end_offset: Offset,
    /// Base offset and size in bytes of every segment afterwards.
    pub segments: Vec<(Offset, u64)>,
    /// The leader epochs that the broker knows afterwards.
    pub leader_epochs: Vec<LeaderEpochEntry>,
    /// The producers that the broker knows afterwards, in the order of a snapshot.
    pub producers: Vec<ProducerEntry>,
    /// What was done, in the order in which it was done.
    pub events: Vec<StartEvent>,
    /// The files after an orderly stop that follows the start without anything in between, when what was put aside for
    /// deletion has gone. Where the broker does not come up, the files as they are left.
    pub files: BTreeMap<String, Content>,
    /// The names and sizes of the files before.
    pub files_before: BTreeMap<String, u64>,
}

impl StartOutcome {
    /// Whether a file lies there afterwards just as it did before.
    pub fn is_unchanged(&self, name: &str) -> bool {
        match (self.files_before.get(name), self.files.get(name)) {
            (Some(before), Some(Content::Disk { name: of, start: 0, size_in_bytes })) => {
                of == name && size_in_bytes == before
            }
            _ => false,
        }
    }

    /// The files that are gone afterwards.
    pub fn deleted(&self) -> impl Iterator<Item = &str> {
        self.files_before.keys().filter(|name| !self.files.contains_key(*name)).map(String::as_str)
    }

    /// How many bytes of `.log` files are gone afterwards.
    pub fn lost_bytes(&self) -> u64 {
        let logs = |name: &String| name.ends_with(".log");
        let before: u64 = self.files_before.iter().filter(|(name, _)| logs(name)).map(|(_, size)| size).sum();
        let after: u64 = self.files.iter().filter(|(name, _)| logs(name)).map(|(_, file)| file.size_in_bytes()).sum();
        before.saturating_sub(after)
    }
}

/// How far a refusal reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The broker does not start.
    Broker,
    /// The log dir goes offline with all its partitions; without another one the broker does not start.
    LogDir,
}

/// Why a broker does not come up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The file that it is about.
    pub file: String,
    /// Where in that file.
    pub position: Option<Position>,
    /// What is wrong.
    pub why: RefusalReason,
}

/// What keeps a broker from coming up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusalReason {
    /// There is no number where the name should begin with one.
    #[error("its name does not begin with a number")]
    NameWithoutNumber,
    /// The epoch file cannot be read.
    #[error("{0}")]
    LeaderEpochs(CheckpointError),
    /// An epoch or its start offset is negative.
    #[error("epoch {} begins at offset {}", .0.epoch, .0.start_offset)]
    NegativeEpoch(LeaderEpochEntry),
    /// The topic id cannot be read.
    #[error("{0}")]
    PartitionMetadata(PartitionMetadataError),
    /// A log that is larger than 2³¹ − 1 bytes.
    #[error("it has {size_in_bytes} bytes")]
    LogTooLarge {
        /// Its size in bytes.
        size_in_bytes: u64,
    },
    /// There is no batch where the broker looks for one.
    #[error("{0}")]
    Batch(BatchFault),
    /// The index of the newest segment holds more than `segment.index.bytes` allows.
    #[error("its entries take {used} bytes, of which segment.index.bytes leaves {limit}")]
    IndexTooLarge {
        /// How many bytes the entries take.
        used: u64,
        /// How many there may be.
        limit: u64,
    },
    /// What is to be read ends before it begins.
    #[error("what is to be read ends {bytes} bytes before it begins")]
    NegativeSize {
        /// By how many bytes.
        bytes: u64,
    },
    /// An entry of a transaction index has a version that does not exist.
    #[error("an entry has the version {version}")]
    TxnIndexVersion {
        /// The version.
        version: i16,
    },
    /// Recovery, or the replay of producer data, ends in an exception.
    #[error("{0}")]
    Escape(Escape),
    /// A batch that does not fit into its segment is not the last one.
    #[error("offset {offset} does not fit into the segment, and it is not the last one")]
    OverflowNotLast {
        /// The offset.
        offset: Offset,
    },
    /// A segment cannot be split into others.
    #[error("the segment cannot be split: {0} bytes at its end are no batch")]
    Unsplittable(u64),
    /// The compressed messages of a batch cannot be read.
    #[error("{0}")]
    Records(RecordError),
}

impl Refusal {
    /// Whether the broker does not start, or one log dir goes offline.
    pub fn scope(&self) -> Scope {
        match &self.why {
            RefusalReason::LeaderEpochs(error) if error.is_io_exception() => Scope::LogDir,
            RefusalReason::PartitionMetadata(error) if error.is_io_exception() => Scope::LogDir,
            _ => Scope::Broker,
        }
    }

    /// The exception, by the short name of its class.
    pub fn exception(&self, release: KafkaRelease) -> &'static str {
        match &self.why {
            RefusalReason::NameWithoutNumber => "NumberFormatException",
            RefusalReason::LeaderEpochs(error) if error.is_io_exception() => "KafkaStorageException",
            RefusalReason::LeaderEpochs(error) => match error.problem {
                CheckpointProblem::NegativeCount { .. } => "IllegalArgumentException",
                _ => "NumberFormatException",
            },
            RefusalReason::NegativeEpoch(_) => "IllegalArgumentException",
            RefusalReason::PartitionMetadata(error) if error.is_io_exception() => "KafkaStorageException",
            RefusalReason::PartitionMetadata(PartitionMetadataError::MissingLine { .. }) => "NullPointerException",
            RefusalReason::PartitionMetadata(_) => "IllegalArgumentException",
            RefusalReason::LogTooLarge { .. } => "KafkaException",
            RefusalReason::Batch(BatchFault::Length { .. } | BatchFault::Checksum { .. }) => "CorruptRecordException",
            RefusalReason::Batch(BatchFault::Header(_)) => "KafkaException",
            RefusalReason::NegativeSize { .. } | RefusalReason::IndexTooLarge { .. } => "IllegalArgumentException",
            RefusalReason::TxnIndexVersion { .. } => "KafkaException",
            RefusalReason::Escape(escape) => escape.exception(release),
            RefusalReason::OverflowNotLast { .. } => "IllegalArgumentException",
            RefusalReason::Unsplittable(_) => "NoSuchElementException",
            RefusalReason::Records(error) => match error {
                RecordError::MessageField { field: "key", .. } => "IndexOutOfBoundsException",
                RecordError::MessageField { .. } => "IllegalArgumentException",
                RecordError::InnerLength { .. } => "CorruptRecordException",
                _ => ProducerError::Records(error.clone()).exception(release),
            },
        }
    }
}

/// One thing that a start does to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartEvent {
    /// The file. A segment is meant where it is a `.log`.
    pub file: String,
    /// What is done to it.
    pub what: What,
}

/// What a start does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The file is deleted.
    Deleted(DeletedFor),
    /// The file takes its final name.
    Renamed {
        /// The name that it had.
        from: String,
    },
    /// An empty file is made.
    Created,
    /// The file is written anew, or for the first time.
    Written,
    /// The segment is recovered: all batches are checked, and its indexes written anew.
    Recovered(RecoveredFor),
    /// The end of the log is cut off.
    Cut {
        /// Where it ends now.
        to: Position,
        /// How many bytes are lost.
        lost_bytes: u64,
        /// What is at this place.
        why: RecoverEnd,
    },
    /// All of the log is cut off.
    Emptied {
        /// How many bytes are lost.
        lost_bytes: u64,
        /// Why recovery failed.
        why: Escape,
    },
    /// The segment is split because an offset does not fit into it.
    Split {
        /// The base offsets of the new segments.
        into: Vec<Offset>,
    },
    /// The broker finds no batch by the last entry of the offset index and believes that the segment is empty.
    EndNotFound,
    /// The log is believed to end below its start: all of it is deleted.
    EndsBelowStart {
        /// Where it is believed to end (exclusive).
        log_end_offset: Offset,
    },
    /// Leader epochs are dropped.
    EpochsDropped(Vec<LeaderEpochEntry>),
    /// A leader epoch is added for a batch.
    EpochAdded(LeaderEpochEntry),
}

/// Why a file is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeletedFor {
    /// It was put aside for that, or belongs to a compaction that came to no end.
    LeftOver,
    /// A compaction that had come to its end replaces it.
    Replaced,
    /// It is an index without a log.
    Orphan,
    /// Batches before it are lost.
    BehindCut,
    /// The log is believed to end below its start.
    EndsBelowStart,
    /// It is a producer snapshot between two segments, or behind the last one and not the newest.
    Stray,
    /// It is a producer snapshot below the start or above the end of the log.
    OutOfRange,
    /// It is a producer snapshot that cannot be read.
    Corrupt(SnapshotError),
    /// Its segment is split.
    Split,
}

/// Why a segment is recovered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecoveredFor {
    /// It has no offset index.
    NoOffsetIndex,
    /// Its transaction index has an entry that is below its base offset.
    TxnIndexBelowBase,
    /// The broker was not stopped in an orderly way.
    UncleanStart,
}
