//! Words for what is seen in partition directories besides logs and indexes.

use super::{Mend, Words};
use crate::check::Id;

/// For snapshots that a start believes although they are wrong.
const BELIEVED_WRONGLY: &str = "stop the broker and delete the file; if no other snapshot is left at the base of a segment or behind it, delete .kafka_cleanshutdown too, because a clean start without any snapshot does not read the log";

pub(super) const TABLE: &[(Id, Words)] = &[
    (
        Id::SnapshotMissing,
        Words {
            what: "no snapshot, although the log dir was closed in order and the log holds producers",
            says: &[
                "there is no snapshot: a clean start forgets {producers:producer} of the log, and with {openTransactions:open transaction} the last stable offset moves from {lastStableOffset} to {logEndOffset}",
                "there is no snapshot: a clean start forgets {producers:producer} of the log",
            ],
            readers: "with an open transaction, consumers with isolation read-committed are given records that are not decided; else none, but a duplicate from these producers would not be noticed",
            clean: "empty ones are written: no producer and no transaction of the log is known",
            unclean: "producers and transactions are read from the log",
            mend: Mend::ByHand(
                "put the snapshots back if they were moved away; else delete .kafka_cleanshutdown before the broker starts: without that marker it reads the log",
            ),
        },
    ),
    (
        Id::SnapshotUnreadable,
        Words {
            what: "the snapshot cannot be read",
            says: &["the snapshot of {sizeInBytes:byte} cannot be read: {problem}"],
            readers: "none",
            clean: "it is deleted, an older one is used and the log behind it is read",
            unclean: "it is deleted, an older one is used and the log behind it is read",
            mend: Mend::ByHand(
                "nothing needs to be done: a start deletes the file itself; do not delete it before, because without any snapshot a clean start does not read the log",
            ),
        },
    ),
    (
        Id::SnapshotBeyondEnd,
        Words {
            what: "a snapshot of an offset that the log has not reached",
            says: &["a snapshot of offset {snapshotOffset}, the log ends at {logEndOffset}"],
            readers: "none",
            clean: "it is deleted",
            unclean: "it is deleted",
            mend: Mend::ByHand(
                "nothing needs to be done: a start deletes the file itself; do not delete it before, because without any snapshot a clean start does not read the log",
            ),
        },
    ),
    (
        Id::SnapshotStray,
        Words {
            what: "a snapshot between the base offsets of segments",
            says: &["a snapshot of offset {snapshotOffset}, at which no segment begins"],
            readers: "none",
            clean: "it is deleted",
            unclean: "it is deleted",
            mend: Mend::ByHand("nothing needs to be done"),
        },
    ),
    (
        Id::SnapshotEntry,
        Words {
            what: "an entry that contradicts itself or the name of the file",
            says: &[
                "producer {producerId}: {field} is {stored}, which cannot be in a snapshot of offset {snapshotOffset}[; {wrongEntries:entry} of the file are wrong: {fields}]",
            ],
            readers: "idempotent producers may fail or write twice",
            clean: "taken as it stands",
            unclean: "taken as it stands, unless a recovery writes it anew",
            mend: Mend::ByHand(BELIEVED_WRONGLY),
        },
    ),
    (
        Id::SnapshotContradictsLog,
        Words {
            what: "an entry that the log contradicts",
            says: &[
                "producer {producerId}: {field} is {stored}, and {expected} by the log[; {wrongEntries:entry} of the file are wrong: {fields}]",
                "producer {producerId} is absent from the log[; {wrongEntries:entry} of the file are wrong: {fields}]",
            ],
            readers: "idempotent producers may fail (OutOfOrderSequenceException) or write twice",
            clean: "taken as it stands",
            unclean: "taken as it stands, unless a recovery writes it anew",
            mend: Mend::ByHand(BELIEVED_WRONGLY),
        },
    ),
    (
        Id::SnapshotForgetsTransaction,
        Words {
            what: "a transaction that is open in the log and not in the snapshot",
            says: &[
                "the transaction of producer {producerId} that is open since offset {firstOffset} is not there[; {wrongEntries:entry} of the file are wrong: {fields}]",
            ],
            readers: "consumers with isolation read-committed are given records of a transaction that is not decided",
            clean: "taken as it stands: the last stable offset is too high",
            unclean: "taken as it stands, unless a recovery writes it anew",
            mend: Mend::ByHand(BELIEVED_WRONGLY),
        },
    ),
    (
        Id::SnapshotPhantomTransaction,
        Words {
            what: "a transaction that is open in the snapshot and not in the log",
            says: &[
                "producer {producerId}: a transaction open since offset {firstOffset}, which the log has not[: it ended at offset {markerOffset}]",
            ],
            readers: "consumers with isolation read-committed never get past it",
            clean: "taken as it stands: the last stable offset stays where it is",
            unclean: "taken as it stands, unless a recovery writes it anew",
            mend: Mend::ByHand(BELIEVED_WRONGLY),
        },
    ),
    (
        Id::SnapshotProducerMissing,
        Words {
            what: "a producer of the log that the snapshot does not know",
            says: &["producers of the log that it does not know: {producers}, the first is {producerId}"],
            readers: "none; a duplicate from this producer would not be noticed",
            clean: "taken as it stands",
            unclean: "taken as it stands, unless a recovery writes it anew",
            mend: Mend::ByHand("nothing needs to be done"),
        },
    ),
    (
        Id::EpochFileUnreadable,
        Words {
            what: "the file cannot be read",
            says: &["line {line}: {problem}"],
            readers: "the partition is not available",
            clean: "the broker does not start, or its log dir goes offline",
            unclean: "the broker does not start, or its log dir goes offline",
            mend: Mend::ByHand(
                "stop the broker and write the epochs of the log into the file (kfsck dump-log shows them)",
            ),
        },
    ),
    (
        Id::EpochNegative,
        Words {
            what: "a negative epoch or start offset",
            says: &["line {line}: epoch {leaderEpoch} begins at offset {startOffset}"],
            readers: "the partition is not available",
            clean: "the broker does not start",
            unclean: "the broker does not start",
            mend: Mend::ByHand(
                "stop the broker and write the epochs of the log into the file (kfsck dump-log shows them)",
            ),
        },
    ),
    (
        Id::EpochNotIncreasing,
        Words {
            what: "epochs or start offsets that do not rise",
            says: &[
                "line {line}: epoch {leaderEpoch} begins at offset {startOffset}, behind epoch {previousLeaderEpoch} at {previousStartOffset}",
            ],
            readers: "none; as a follower it may cut too much or too little",
            clean: "of entries that contradict each other the older are dropped, of two of one epoch the later",
            unclean: "of entries that contradict each other the older are dropped, of two of one epoch the later",
            mend: Mend::ByHand(
                "stop the broker and write the epochs of the log into the file (kfsck dump-log shows them)",
            ),
        },
    ),
    (
        Id::EpochBeyondEnd,
        Words {
            what: "an epoch that begins behind the log end",
            says: &["epoch {leaderEpoch} begins at offset {startOffset}, the log ends at {logEndOffset}"],
            readers: "none",
            clean: "the entry is dropped",
            unclean: "the entry is dropped",
            mend: Mend::ByHand("nothing needs to be done"),
        },
    ),
    (
        Id::EpochContradictsLog,
        Words {
            what: "batches that are not of the epoch which the file says",
            says: &[
                "by line {line}, offsets from {startOffset} on are of epoch {leaderEpoch}; the batch at offset {offset} in {log} is of epoch {batchLeaderEpoch}",
                "the first epoch begins at offset {startOffset}; the batch at offset {offset} in {log} is before that, of epoch {batchLeaderEpoch}",
            ],
            readers: "none; as a follower it may cut too much, or keep what the leader has not",
            clean: "not noticed",
            unclean: "not noticed",
            mend: Mend::ByHand(
                "stop the broker and write the epochs of the log into the file (kfsck dump-log shows them)",
            ),
        },
    ),
    (
        Id::EpochFileMissing,
        Words {
            what: "batches have leader epochs, and the file is missing or empty",
            says: &["batches have leader epochs, and the file is {fileMissing}"],
            readers: "none; as a follower it cuts its log to the high watermark, which may lose records",
            clean: "it stays empty until the broker becomes leader",
            unclean: "filled in part, from the segments that are recovered",
            mend: Mend::ByHand(
                "stop the broker and write the epochs of the log into the file (kfsck dump-log shows them)",
            ),
        },
    ),
    (
        Id::PartitionEmpty,
        Words {
            what: "there is not one segment",
            says: &[
                "there is not one segment, and the checkpoints reach offset {checkpointedOffset}; a broker begins one at {newSegmentAt}[; of {orphanSegments:segment} there are files without the log]",
            ],
            readers: "all records of the partition are gone",
            clean: "an empty segment is made at the log start offset: the log end falls back to it",
            unclean: "an empty segment is made at the log start offset: the log end falls back to it",
            mend: Mend::ByHand("copy the partition from a replica that has it"),
        },
    ),
    (
        Id::PartitionBadName,
        Words {
            what: "a file whose name must begin with an offset and does not",
            says: &["{name} does not begin with an offset"],
            readers: "the partition is not available",
            clean: "the broker does not start (NumberFormatException)",
            unclean: "the broker does not start (NumberFormatException)",
            mend: Mend::ByHand("move the file out of the partition directory"),
        },
    ),
    (
        Id::PartitionNameNotCanonical,
        Words {
            what: "an offset that is not written with twenty digits",
            says: &[
                "{name} is opened as segment {openedAs}, before the first offset that there can be",
                "{name} is passed over: a broker opens or makes {openedInstead}[, {isThere}]",
                "{name} is not the name that a broker opens",
            ],
            readers: "what is in the file cannot be read",
            clean: "the file with twenty digits is opened or made instead, and this one ignored",
            unclean: "the file with twenty digits is opened or made instead, and this one ignored",
            mend: Mend::ByHand("rename it to twenty digits, if there is no such file; else move it away"),
        },
    ),
    (
        Id::PartitionSwapFile,
        Words {
            what: "a file that an interrupted compaction or split has left",
            says: &[
                "{files:file} of segment {baseOffset} with {sizeInBytes:byte} that an interrupted compaction has left, to be {fate}[; in the place of {replacedSegments:segment} with offsets {replacesFrom} up to {replacesUntil}][; {records:record} in the place of {replacedRecords}][; it is damaged: {damage}][ at position {damagePosition}][; the log end falls from {logEndBefore} to {logEndAfter}]",
            ],
            readers: "none",
            clean: "it takes the place of the segments it was made of, which are deleted; with a .cleaned file beside it, it is deleted itself",
            unclean: "it takes the place of the segments it was made of, which are deleted; with a .cleaned file beside it, it is deleted itself",
            mend: Mend::ByHand(
                "nothing needs to be done if the broker left it; one that is damaged, or came from elsewhere, must be moved away before a broker starts, because segments in its range are deleted",
            ),
        },
    ),
    (
        Id::PartitionCleanedFile,
        Words {
            what: "a file that an interrupted compaction has left",
            says: &[
                "{files:file} of segment {baseOffset} with {sizeInBytes:byte} that an interrupted compaction has left",
            ],
            readers: "none",
            clean: "it is deleted",
            unclean: "it is deleted",
            mend: Mend::ByHand("nothing needs to be done"),
        },
    ),
    (
        Id::PartitionDeletedFile,
        Words {
            what: "a file that waits for being deleted",
            says: &[
                "{files:file} of segment {baseOffset} with {sizeInBytes:byte} to be deleted",
                "{files:file} with {sizeInBytes:byte} to be deleted",
            ],
            readers: "none",
            clean: "it is deleted",
            unclean: "it is deleted",
            mend: Mend::ByHand("nothing needs to be done"),
        },
    ),
    (
        Id::PartitionForeignFile,
        Words {
            what: "a file or directory that is none of Kafka's",
            says: &["the {is} {name} is none of Kafka's"],
            readers: "none",
            clean: "it is ignored",
            unclean: "it is ignored",
            mend: Mend::ByHand("nothing needs to be done"),
        },
    ),
    (
        Id::PartitionUndoData,
        Words {
            what: "undo data of a change that kfsck has made, or was making when it was interrupted",
            says: &["undo data of {action} of {time}, which is {state}"],
            readers: "none; where the change was interrupted, as long as it is not taken back some files may be old and some new",
            clean: "it is ignored",
            unclean: "it is ignored",
            mend: Mend::ByHand(
                "`kfsck undo PARTITION` shows what would be taken back, and `kfsck undo --discard PARTITION` what would be freed if the change is to stay; an interrupted change must be taken back",
            ),
        },
    ),
    (
        Id::PartitionMetadataMissing,
        Words {
            what: "no partition.metadata, although the log dir is one of KRaft",
            says: &[
                "there is no partition.metadata, although the log dir is one of KRaft; the logs hold {logBytes:byte}",
            ],
            readers: "all records of the partition disappear from readers' sight",
            clean: "the directory is renamed to -stray and the partition begins again, empty",
            unclean: "the directory is renamed to -stray and the partition begins again, empty",
            mend: Mend::ByHand(
                "before the broker starts, put a partition.metadata with the topic's id there; a replica's is the same",
            ),
        },
    ),
    (
        Id::PartitionMetadataUnreadable,
        Words {
            what: "partition.metadata cannot be read",
            says: &["partition.metadata cannot be read: {reason}"],
            readers: "the partition is not available",
            clean: "the broker does not start, or its log dir goes offline",
            unclean: "the broker does not start, or its log dir goes offline",
            mend: Mend::ByHand("replace it with that of a replica, which is the same"),
        },
    ),
    (
        Id::PartitionMetadataForeign,
        Words {
            what: "partition.metadata holds an id that cannot be this topic's",
            says: &[
                "the topic id is {topicId}, and other partitions of the topic have {otherPartitionsHave}",
                "the topic id {topicId} is that of {idOf}",
            ],
            readers: "all records of the partition disappear from readers' sight",
            clean: "the directory is renamed to -stray and the partition begins again, empty",
            unclean: "the directory is renamed to -stray and the partition begins again, empty",
            mend: Mend::ByHand("before the broker starts, replace it with that of a replica"),
        },
    ),
    (
        Id::SegmentsOverlap,
        Words {
            what: "offsets that two segments hold",
            says: &[
                "the segment that begins at {baseOffset} ends with offset {lastOffset}, and the next one begins at {nextBaseOffset}",
            ],
            readers: "records are delivered twice, some cannot be found by their offsets",
            clean: "not noticed",
            unclean: "not noticed",
            mend: Mend::ByHand(
                "find out which of the segments is right and move the files of the other away; or copy the partition from a replica that has it",
            ),
        },
    ),
    (
        Id::SegmentsGap,
        Words {
            what: "offsets that no segment holds",
            says: &[
                "no segment holds offsets {expectedOffset} up to {baseOffset}[; index entries that name some of them: {indexEntriesThere}]",
            ],
            readers: "none; if the topic was never compacted, the records are lost",
            clean: "not noticed",
            unclean: "not noticed",
            mend: Mend::ByHand("nothing to mend after compaction; else copy the partition from a replica that has it"),
        },
    ),
    (
        Id::SegmentsEmptyJump,
        Words {
            what: "an empty newest segment whose base offset lies behind the end of the one before",
            says: &[
                "the newest segment is empty and begins at {baseOffset}, the log before it ends at {expectedOffset}[; index entries that name offsets between: {indexEntriesThere}]",
            ],
            readers: "fetches between the two get nothing",
            clean: "the log end is the base offset of the empty segment",
            unclean: "the log end is the base offset of the empty segment",
            mend: Mend::ByHand("if the records before it are not lost, delete the files of the empty segment"),
        },
    ),
];
