//! Every kind of finding there is: its name, how much it matters, what mending takes, and which of Kafka's unwritten
//! rules it is about. Names are only ever added, never used again for something else; `docs/findings.md` explains each.

use super::finding::{Repair, Severity};

/// Writes the enum, the list of all, and what is known of each.
macro_rules! catalogue {
    ($($(#[doc = $doc:literal])+ $id:ident = $name:literal, $severity:ident, $repair:ident;)+) => {
        /// A kind of finding.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Id {
            $($(#[doc = $doc])+ $id,)+
        }

        impl Id {
            /// All of them, in the order of the pages.
            pub const ALL: &[Self] = &[$(Self::$id),+];

            /// The name: what it is in, a slash, what it is.
            pub fn name(self) -> &'static str {
                match self { $(Self::$id => $name),+ }
            }

            /// How much it matters, where nothing makes it matter less.
            pub fn severity(self) -> Severity {
                match self { $(Self::$id => Severity::$severity),+ }
            }

            /// What mending takes.
            pub fn repair(self) -> Repair {
                match self { $(Self::$id => Repair::$repair),+ }
            }

            /// The kind with this name.
            pub fn of(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$id),)+ _ => None }
            }
        }
    };
}

catalogue! {
    // The log of one segment.
    /// The last batch was not written to its end.
    LogTornTail = "log/torn-tail", Error, Lossy;
    /// Zeros behind the last batch.
    LogZeroTail = "log/zero-tail", Error, Lossy;
    /// A batch whose checksum does not hold.
    LogChecksumMismatch = "log/checksum-mismatch", Error, Lossy;
    /// A length field that cannot be that of a batch, or leads past the end of the file.
    LogBadLength = "log/bad-length", Error, Lossy;
    /// A magic that no release has written, on a batch that is otherwise none.
    LogUnknownMagic = "log/unknown-magic", Error, Lossy;
    /// Only the magic of a batch is wrong: with magic 2 its checksum holds.
    LogMagicChanged = "log/magic-changed", Error, None;
    /// The file is larger than a broker can open.
    LogTooLarge = "log/too-large", Error, None;
    /// An offset below the base offset of the segment.
    LogOffsetBelowBase = "log/offset-below-base", Error, None;
    /// An offset further from the base than an index can say.
    LogOffsetOverflow = "log/offset-overflow", Error, None;
    /// A batch that does not begin behind the one before.
    LogOffsetsNotIncreasing = "log/offsets-not-increasing", Error, None;
    /// Offsets that no batch holds: compaction leaves them, and so does loss.
    LogOffsetGap = "log/offset-gap", Info, None;
    /// A batch whose count of records and range of offsets contradict each other.
    LogRecordCount = "log/record-count", Error, None;
    /// A codec that does not exist, or not for this magic.
    LogUnknownCodec = "log/unknown-codec", Error, None;
    /// Attribute bits that no release sets.
    LogUnknownAttributes = "log/unknown-attributes", Warning, None;
    /// Records that cannot be decoded as the header says (deep only).
    LogRecordsUndecodable = "log/records-undecodable", Error, None;
    /// Records whose offsets do not rise or leave the batch (deep only).
    LogRecordOffsets = "log/record-offsets", Error, None;
    /// The largest timestamp in the header is not that of the records (deep only).
    LogMaxTimestamp = "log/max-timestamp", Warning, None;
    /// A batch stamped by the broker without a timestamp.
    LogAppendTimeMissing = "log/append-time-missing", Warning, None;
    /// A leader epoch lower than one before it.
    LogEpochDecreases = "log/epoch-decreases", Error, None;
    /// Producer id, epoch, sequence or transactional flag that cannot be together.
    LogProducerFields = "log/producer-fields", Warning, None;
    /// Sequence numbers of a producer that go backwards.
    LogSequenceBackwards = "log/sequence-backwards", Warning, None;
    /// Sequence numbers of a producer that leave some out.
    LogSequenceGap = "log/sequence-gap", Info, None;
    /// A control batch that is no transaction marker.
    LogBadControlBatch = "log/bad-control-batch", Error, Lossy;
    /// Data of a producer outside its open transaction.
    LogDataOutsideTransaction = "log/data-outside-transaction", Error, Lossy;
    /// A batch without records whose fields are not those of one that the cleaner has emptied.
    LogEmptyBatch = "log/empty-batch", Warning, None;
    /// A delete horizon on a batch that cannot have one.
    LogDeleteHorizon = "log/delete-horizon", Warning, None;

    // The offset index.
    /// There is a log and no offset index.
    IndexMissing = "index/missing", Warning, Safe;
    /// An index, of whatever kind, whose log is not there.
    IndexOrphan = "index/orphan", Warning, None;
    /// Bytes behind the last whole entry.
    IndexPartialEntry = "index/partial-entry", Error, Safe;
    /// Offsets that do not rise from entry to entry.
    IndexOffsetsNotIncreasing = "index/offsets-not-increasing", Error, Safe;
    /// Positions that do not rise from entry to entry.
    IndexPositionsNotIncreasing = "index/positions-not-increasing", Error, Safe;
    /// A position past the end of the log.
    IndexPositionPastEnd = "index/position-past-end", Error, Safe;
    /// A position where no batch begins.
    IndexPositionInsideBatch = "index/position-inside-batch", Error, Safe;
    /// An entry that makes readers pass over offsets.
    IndexSkipsOffsets = "index/skips-offsets", Error, Safe;
    /// An offset that the log does not reach.
    IndexOffsetPastEnd = "index/offset-past-end", Error, Safe;
    /// An entry for the start of the segment, which never has one.
    IndexEntryOfStart = "index/entry-of-start", Error, Safe;
    /// Zeros behind the last entry.
    IndexZeroPadding = "index/zero-padding", Warning, Safe;
    /// Old entries behind the last valid one of a preallocated index.
    IndexStaleEntries = "index/stale-entries", Warning, Safe;
    /// No entry at all for a log that is longer than one interval.
    IndexEmpty = "index/empty", Info, Safe;
    /// Entries as followers and cleaners of older releases write them; right all the same.
    IndexNotCanonical = "index/not-canonical", Info, Safe;

    // The time index.
    /// There is a log with timestamps and no time index.
    TimeIndexMissing = "timeindex/missing", Warning, Safe;
    /// Bytes behind the last whole entry.
    TimeIndexPartialEntry = "timeindex/partial-entry", Error, Safe;
    /// Timestamps that do not rise from entry to entry.
    TimeIndexTimestampsNotIncreasing = "timeindex/timestamps-not-increasing", Error, Safe;
    /// Offsets that fall from entry to entry.
    TimeIndexOffsetsDecreasing = "timeindex/offsets-decreasing", Error, Safe;
    /// An offset that is not in the segment.
    TimeIndexOffsetOutOfRange = "timeindex/offset-out-of-range", Error, Safe;
    /// A timestamp that is not the largest so far at its offset.
    TimeIndexWrongTimestamp = "timeindex/wrong-timestamp", Error, Safe;
    /// The last timestamp is larger than any in the segment.
    TimeIndexLastTooLarge = "timeindex/last-too-large", Error, Safe;
    /// The last timestamp is smaller than the largest in the segment.
    TimeIndexLastTooSmall = "timeindex/last-too-small", Error, Safe;
    /// Zeros behind the last entry.
    TimeIndexZeroPadding = "timeindex/zero-padding", Error, Safe;
    /// Old entries behind the last valid one of a preallocated index.
    TimeIndexStaleEntries = "timeindex/stale-entries", Warning, Safe;
    /// No entry at all for a log with timestamps.
    TimeIndexEmpty = "timeindex/empty", Warning, Safe;

    // The transaction index.
    /// Bytes behind the last whole entry.
    TxnIndexPartialEntry = "txnindex/partial-entry", Error, Safe;
    /// An entry of a version that brokers do not know.
    TxnIndexVersion = "txnindex/version", Error, Safe;
    /// An entry that ends before the segment begins.
    TxnIndexBelowBase = "txnindex/below-base", Error, Safe;
    /// Entries that are not in the order of their last offsets.
    TxnIndexNotIncreasing = "txnindex/not-increasing", Error, Safe;
    /// An aborted transaction that is not listed.
    TxnIndexEntryMissing = "txnindex/entry-missing", Error, Safe;
    /// An entry for which the log has no aborted transaction.
    TxnIndexEntryOfNothing = "txnindex/entry-of-nothing", Error, Safe;
    /// An entry whose first offset is not that of its transaction.
    TxnIndexFirstOffset = "txnindex/first-offset", Error, Safe;
    /// A last stable offset that makes readers stop looking too early.
    TxnIndexStableOffset = "txnindex/stable-offset", Error, Safe;
    /// A last stable offset that only makes readers look longer.
    TxnIndexStableOffsetLow = "txnindex/stable-offset-low", Info, Safe;

    // Producer snapshots.
    /// No snapshot that a start would find, in a log dir that was closed in order: it forgets the producers of the log.
    SnapshotMissing = "snapshot/missing", Warning, Safe;
    /// A snapshot that cannot be read: version, checksum or length.
    SnapshotUnreadable = "snapshot/unreadable", Error, Safe;
    /// A snapshot of an offset that the log has not reached.
    SnapshotBeyondEnd = "snapshot/beyond-end", Warning, Safe;
    /// A snapshot between segment bases.
    SnapshotStray = "snapshot/stray", Info, Safe;
    /// An entry that contradicts itself or the name of the file.
    SnapshotEntry = "snapshot/entry", Error, Safe;
    /// An entry that the log contradicts.
    SnapshotContradictsLog = "snapshot/contradicts-log", Error, Safe;
    /// A transaction that is open in the log and not in the snapshot.
    SnapshotForgetsTransaction = "snapshot/forgets-transaction", Error, Safe;
    /// A transaction that is open in the snapshot and not in the log.
    SnapshotPhantomTransaction = "snapshot/phantom-transaction", Error, Safe;
    /// A producer of the log that the snapshot does not know: forgotten for its age, or lost.
    SnapshotProducerMissing = "snapshot/producer-missing", Info, Safe;

    // Leader epochs.
    /// The file cannot be read.
    EpochFileUnreadable = "epoch/unreadable", Error, Safe;
    /// A negative epoch or start offset.
    EpochNegative = "epoch/negative", Error, Safe;
    /// Epochs or start offsets that do not rise.
    EpochNotIncreasing = "epoch/not-increasing", Error, Safe;
    /// An epoch that begins behind the log end.
    EpochBeyondEnd = "epoch/beyond-end", Info, Safe;
    /// Batches that are not of the epoch which the file says.
    EpochContradictsLog = "epoch/contradicts-log", Error, Safe;
    /// Batches have epochs and there is no file, or it is empty.
    EpochFileMissing = "epoch/missing", Warning, Safe;

    // The partition directory.
    /// Not one segment.
    PartitionEmpty = "partition/no-segment", Error, None;
    /// A file whose name must begin with an offset and does not.
    PartitionBadName = "partition/bad-name", Error, None;
    /// A file whose offset is not written with twenty digits: brokers open another file instead.
    PartitionNameNotCanonical = "partition/name-not-canonical", Error, None;
    /// A file that an interrupted compaction or split has left; brokers complete or remove it.
    PartitionSwapFile = "partition/swap-file", Warning, None;
    /// A file that an interrupted compaction has left; brokers remove it.
    PartitionCleanedFile = "partition/cleaned-file", Info, None;
    /// A file that waits for being removed.
    PartitionDeletedFile = "partition/deleted-file", Info, None;
    /// A file or directory that is none of Kafka's; brokers ignore it.
    PartitionForeignFile = "partition/foreign-file", Info, None;
    /// What a change by this program keeps to be taken back; a warning where the change was interrupted.
    PartitionUndoData = "partition/undo-data", Info, None;
    /// No `partition.metadata` although the log dir is one of KRaft.
    PartitionMetadataMissing = "partition/metadata-missing", Error, None;
    /// `partition.metadata` cannot be read.
    PartitionMetadataUnreadable = "partition/metadata-unreadable", Error, None;
    /// `partition.metadata` holds an id that cannot be this topic's.
    PartitionMetadataForeign = "partition/metadata-foreign", Error, None;

    // The chain of segments.
    /// Offsets that two segments hold.
    SegmentsOverlap = "segments/overlap", Error, None;
    /// Offsets that no segment holds: compaction leaves them, and so does loss.
    SegmentsGap = "segments/gap", Info, None;
    /// An empty newest segment whose base offset lies behind the end of the one before.
    SegmentsEmptyJump = "segments/empty-jump", Warning, None;

    // The log dir.
    /// A directory that is no partition's: brokers do not start.
    LogDirForeignDirectory = "logdir/foreign-directory", Error, None;
    /// A partition that is there twice.
    LogDirDuplicatePartition = "logdir/duplicate-partition", Error, None;
    /// A checkpoint that cannot be read.
    LogDirCheckpointUnreadable = "logdir/checkpoint-unreadable", Error, None;
    /// A checkpoint with two lines for one partition, or a negative offset.
    LogDirCheckpointLine = "logdir/checkpoint-line", Warning, None;
    /// A checkpoint line for a partition that is not there.
    LogDirCheckpointStale = "logdir/checkpoint-stale", Info, None;
    /// A checkpoint half written.
    LogDirTemporaryFile = "logdir/temporary-file", Info, None;
    /// A file that is none of Kafka's; brokers ignore it.
    LogDirForeignFile = "logdir/foreign-file", Info, None;
    /// `meta.properties` cannot be read, or is missing.
    LogDirMetaProperties = "logdir/meta-properties", Error, None;
    /// Log dirs of different clusters or brokers, or with the same directory id.
    LogDirMetaPropertiesDiffer = "logdir/meta-properties-differ", Error, None;
    /// A recovery point behind the log end.
    LogDirRecoveryPointBeyondEnd = "logdir/recovery-point-beyond-end", Info, None;
    /// A log start offset behind the log end: brokers delete the whole log.
    LogDirLogStartBeyondEnd = "logdir/log-start-beyond-end", Error, None;
    /// A log start offset before the first segment.
    LogDirLogStartBelowFirst = "logdir/log-start-below-first", Info, None;
    /// A high watermark behind the log end: the tail of the log was lost.
    LogDirHighWatermarkBeyondEnd = "logdir/high-watermark-beyond-end", Warning, None;
    /// A cleaner checkpoint outside the log.
    LogDirCleanerOutOfRange = "logdir/cleaner-out-of-range", Info, None;

    // The metadata log of KRaft.
    /// The log begins behind 0 and no snapshot reaches its start.
    KraftSnapshotMissing = "kraft/snapshot-missing", Error, None;
    /// The newest snapshot is ahead of the log.
    KraftSnapshotAhead = "kraft/snapshot-ahead", Warning, None;
    /// A snapshot that cannot be read to its end.
    KraftSnapshotUnreadable = "kraft/snapshot-unreadable", Error, None;
    /// A batch of a magic that this log never holds.
    KraftOldMagic = "kraft/old-magic", Error, None;
    /// `partition.metadata` does not hold the id of the metadata topic.
    KraftTopicId = "kraft/topic-id", Error, None;
    /// `quorum-state` cannot be read.
    KraftQuorumState = "kraft/quorum-state", Error, None;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_told_apart_and_found_again() {
        let names: HashSet<_> = Id::ALL.iter().map(|id| id.name()).collect();
        assert_eq!(names.len(), Id::ALL.len());
        for id in Id::ALL {
            assert_eq!(Id::of(id.name()), Some(*id));
            assert!(id.name().bytes().all(|byte| byte.is_ascii_lowercase() || b"/-".contains(&byte)), "{}", id.name());
        }
        assert_eq!(Id::of("log/nothing"), None);
    }
}
