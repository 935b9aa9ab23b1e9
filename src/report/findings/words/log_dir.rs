//! Words for what is seen in log dirs, and in the metadata log.

use super::{Mend, Words};
use crate::check::Id;

pub(super) const TABLE: &[(Id, Words)] = &[
    (
        Id::LogDirForeignDirectory,
        Words {
            what: "a directory that is no partition's",
            says: &["the directory {name} is no partition's"],
            readers: "no partition of the broker is available",
            clean: "the broker does not start (KafkaException)",
            unclean: "the broker does not start (KafkaException)",
            mend: Mend::ByHand(
                "move it out of the log dir; lost+found: let log.dirs name a directory below the mount point",
            ),
        },
    ),
    (
        Id::LogDirDuplicatePartition,
        Words {
            what: "a partition that is there twice",
            says: &["{topic}-{partition} is in {other} too"],
            readers: "no partition of the broker is available",
            clean: "the broker does not start (IllegalStateException)",
            unclean: "the broker does not start (IllegalStateException)",
            mend: Mend::ByHand("compare the two (kfsck ls) and move one out of its log dir"),
        },
    ),
    (
        Id::LogDirCheckpointUnreadable,
        Words {
            what: "the checkpoint cannot be read",
            says: &["line {line}: {reason}"],
            readers: "no partition of the log dir is available",
            clean: "the log dir goes offline; if it is the only one, the broker does not start",
            unclean: "the log dir goes offline; if it is the only one, the broker does not start",
            mend: Mend::ByHand(
                "stop the broker and delete the file: it is written anew; without recovery points the start reads more, without log start offsets deleted records come back",
            ),
        },
    ),
    (
        Id::LogDirCheckpointLine,
        Words {
            what: "a checkpoint with two lines for one partition, or a negative offset",
            says: &[
                "line {line} is a second one for {topic}-{partition}, with {checkpointedOffset} instead of {earlierOffset}",
                "line {line} has a negative offset for {topic}-{partition}: {checkpointedOffset}",
            ],
            readers: "none",
            clean: "the last line counts",
            unclean: "the last line counts",
            mend: Mend::ByHand("nothing needs to be done: it is written anew"),
        },
    ),
    (
        Id::LogDirCheckpointStale,
        Words {
            what: "a checkpoint line for a partition that is not there",
            says: &["a line for {topic}-{partition}, with {checkpointedOffset}, and no such partition is there"],
            readers: "none",
            clean: "it is dropped when the file is written",
            unclean: "it is dropped when the file is written",
            mend: Mend::ByHand("nothing needs to be done"),
        },
    ),
    (
        Id::LogDirTemporaryFile,
        Words {
            what: "a checkpoint half written",
            says: &["{name} was left half written"],
            readers: "none",
            clean: "it is overwritten",
            unclean: "it is overwritten",
            mend: Mend::ByHand("nothing needs to be done"),
        },
    ),
    (
        Id::LogDirForeignFile,
        Words {
            what: "a file that is none of Kafka's",
            says: &["the file {name} is none of Kafka's"],
            readers: "none",
            clean: "it is ignored",
            unclean: "it is ignored",
            mend: Mend::ByHand("nothing needs to be done"),
        },
    ),
    (
        Id::LogDirMetaProperties,
        Words {
            what: "meta.properties is missing or cannot be read",
            says: &["meta.properties cannot be read: {reason}", "meta.properties is {state}"],
            readers: "no partition of the log dir is available",
            clean: "the broker does not start, or the log dir goes offline",
            unclean: "the broker does not start, or the log dir goes offline",
            mend: Mend::ByHand(
                "write it again with the ids of the cluster and the node; the broker's other log dirs have the same but for directory.id",
            ),
        },
    ),
    (
        Id::LogDirMetaPropertiesDiffer,
        Words {
            what: "log dirs of different clusters or nodes, or with the same directory id",
            says: &["{key} is {value}, and in {other} it is {otherValue}"],
            readers: "no partition of the broker is available",
            clean: "the broker does not start",
            unclean: "the broker does not start",
            mend: Mend::ByHand("find out which log dir does not belong here"),
        },
    ),
    (
        Id::LogDirRecoveryPointBeyondEnd,
        Words {
            what: "a recovery point behind the log end",
            says: &["the recovery point is {checkpointedOffset}, the log ends at {logEndOffset}"],
            readers: "none; but what is damaged below it is never noticed at a start",
            clean: "it is lowered to the log end",
            unclean: "it is lowered to the log end: nothing is recovered but the newest segment",
            mend: Mend::ByHand("nothing needs to be done"),
        },
    ),
    (
        Id::LogDirLogStartBeyondEnd,
        Words {
            what: "a log start offset behind the log end",
            says: &[
                "the log start offset is {checkpointedOffset}, the log ends at {logEndOffset}: the next start deletes everything",
            ],
            readers: "all records of the partition are deleted at the next start",
            clean: "all segments are deleted, the log begins again at the checkpointed offset",
            unclean: "all segments are deleted, the log begins again at the checkpointed offset",
            mend: Mend::ByHand(
                "before the broker starts, correct or remove the partition's line in log-start-offset-checkpoint",
            ),
        },
    ),
    (
        Id::LogDirLogStartBelowFirst,
        Words {
            what: "a log start offset before the first segment",
            says: &["the log start offset is {checkpointedOffset}, the first segment begins at {firstBaseOffset}"],
            readers: "none",
            clean: "the base offset of the first segment counts",
            unclean: "the base offset of the first segment counts",
            mend: Mend::ByHand("nothing needs to be done"),
        },
    ),
    (
        Id::LogDirHighWatermarkBeyondEnd,
        Words {
            what: "a high watermark behind the log end",
            says: &["the high watermark is {checkpointedOffset}, the log ends at {logEndOffset}"],
            readers: "records that consumers may have seen are gone",
            clean: "it is lowered to the log end",
            unclean: "it is lowered to the log end",
            mend: Mend::ByHand("copy the partition from a replica that has it: it must not become leader before"),
        },
    ),
    (
        Id::LogDirCleanerOutOfRange,
        Words {
            what: "a cleaner checkpoint outside the log",
            says: &[
                "the cleaner has come to {checkpointedOffset}, the log goes from {firstBaseOffset} to {logEndOffset}",
            ],
            readers: "none",
            clean: "the cleaner begins at the log start",
            unclean: "the cleaner begins at the log start",
            mend: Mend::ByHand("nothing needs to be done"),
        },
    ),
    (
        Id::KraftSnapshotMissing,
        Words {
            what: "the log begins behind 0 and no snapshot reaches its start",
            says: &[
                "the log begins at {logStartOffset}, and no snapshot reaches that[: the newest ends at {greatestSnapshot}]",
            ],
            readers: "the node cannot know the state of the cluster",
            clean: "the broker does not start (IllegalStateException)",
            unclean: "the broker does not start (IllegalStateException)",
            mend: Mend::ByHand("copy __cluster_metadata-0 from another controller"),
        },
    ),
    (
        Id::KraftSnapshotAhead,
        Words {
            what: "the newest snapshot is ahead of the log",
            says: &[
                "the snapshot ends at offset {snapshotOffset} in epoch {snapshotEpoch}, the log at {logEndOffset}[ in epoch {latestEpoch}]",
            ],
            readers: "none",
            clean: "the log is emptied and begins at the end of the snapshot",
            unclean: "the log is emptied and begins at the end of the snapshot",
            mend: Mend::ByHand(
                "nothing needs to be done on a follower; on the only controller: the records between the two are lost",
            ),
        },
    ),
    (
        Id::KraftSnapshotUnreadable,
        Words {
            what: "a snapshot that cannot be read to its end",
            says: &["the snapshot cannot be read to its end: {reason}"],
            readers: "the node may not know the state of the cluster",
            clean: "the node fails when it loads the snapshot",
            unclean: "the node fails when it loads the snapshot",
            mend: Mend::ByHand("copy __cluster_metadata-0 from another controller"),
        },
    ),
    (
        Id::KraftOldMagic,
        Words {
            what: "a batch of a magic that this log never holds",
            says: &["a batch before magic 2 in the segment that begins at {baseOffset}"],
            readers: "the node fails when it reads the batch",
            clean: "the node fails when it reads the batch",
            unclean: "the node fails when it reads the batch",
            mend: Mend::ByHand("copy __cluster_metadata-0 from another controller"),
        },
    ),
    (
        Id::KraftTopicId,
        Words {
            what: "partition.metadata does not hold the id of the metadata topic",
            says: &["the topic id is {topicId}, and that of the metadata topic is {expectedTopicId}"],
            readers: "the node does not start",
            clean: "the node does not start",
            unclean: "the node does not start",
            mend: Mend::ByHand("write topic_id: AAAAAAAAAAAAAAAAAAAAAQ"),
        },
    ),
    (
        Id::KraftQuorumState,
        Words {
            what: "quorum-state cannot be read",
            says: &["quorum-state cannot be read: {reason}"],
            readers: "the node does not start",
            clean: "the node does not start",
            unclean: "the node does not start",
            mend: Mend::ByHand(
                "let the node join anew, like a controller that has lost its disk; never copy the file of another node",
            ),
        },
    ),
];
