//! Words for what is seen in logs.

use super::super::{CUT_BEFORE, TRUNCATE};
use super::{Mend, Words};
use crate::check::Id;

pub(super) const TABLE: &[(Id, Words)] = &[
    (
        Id::LogTornTail,
        Words {
            what: "the last batch was not written to its end",
            says: &[
                "the last batch has {sizeInBytes:byte}, of which {length} are there[; the next intact batch begins at position {nextIntactPosition}][ with offset {nextIntactOffset}][; index entries that lead there: {indexEntriesBehind}][; time index entries: {timeIndexEntriesBehind}]",
                "the last batch was not written to its end: {length:byte} are there[; the next intact batch begins at position {nextIntactPosition}][ with offset {nextIntactOffset}][; index entries that lead there: {indexEntriesBehind}][; time index entries: {timeIndexEntriesBehind}]",
            ],
            readers: "none yet: they end before it; but what is appended behind it can never be read",
            clean: "the bytes stay and the next append goes behind them: every later record is unreadable. If the last index entry leads to the lost batch, the log end falls back to the base offset of the segment and offsets are given out a second time",
            unclean: "the newest segment is cut behind its last whole batch; in an older segment above the recovery point all later segments are deleted too",
            mend: Mend::Command(TRUNCATE),
        },
    ),
    (
        Id::LogZeroTail,
        Words {
            what: "zeros behind the last batch",
            says: &[
                "{length:byte} of zeros behind the last batch[; the next intact batch begins at position {nextIntactPosition}][ with offset {nextIntactOffset}][; index entries that lead there: {indexEntriesBehind}][; time index entries: {timeIndexEntriesBehind}]",
            ],
            readers: "in an older segment, fetches that reach the zeros fail; in the newest none yet",
            clean: "more than 17 bytes of zeros at the end of the newest segment keep the broker from starting (CorruptRecordException); fewer stay, and what is appended behind them is unreadable. In an older segment: not noticed",
            unclean: "the newest segment is cut behind its last batch; in an older segment above the recovery point all later segments are deleted too",
            mend: Mend::Command(TRUNCATE),
        },
    ),
    (
        Id::LogChecksumMismatch,
        Words {
            what: "the checksum of a batch does not hold",
            says: &[
                "the checksum does not hold: {storedCrc} is stored, the bytes give {computedCrc}[; the next intact batch begins at position {nextIntactPosition}][ with offset {nextIntactOffset}][; index entries that lead there: {indexEntriesBehind}][; time index entries: {timeIndexEntriesBehind}]",
            ],
            readers: "consumers stop at this batch with CorruptRecordException, followers cannot copy it, the cleaner gives the partition up",
            clean: "not noticed",
            unclean: "from here on the log is cut if the segment is the newest; in an older one above the recovery point it is cut and all later segments are deleted; below the recovery point it is not noticed",
            mend: Mend::Command(TRUNCATE),
        },
    ),
    (
        Id::LogBadLength,
        Words {
            what: "a length that cannot be that of a batch",
            says: &[
                "a batch of {sizeInBytes:byte} is claimed, {bytesLeft} are left[; the next intact batch begins at position {nextIntactPosition}][ with offset {nextIntactOffset}][; index entries that lead there: {indexEntriesBehind}][; time index entries: {timeIndexEntriesBehind}]",
                "a length of {lengthField} is claimed, {leastLength} is the least[; the next intact batch begins at position {nextIntactPosition}][ with offset {nextIntactOffset}][; index entries that lead there: {indexEntriesBehind}][; time index entries: {timeIndexEntriesBehind}]",
            ],
            readers: "fetches that reach it fail; where the length leads past the end of an older segment, readers jump to the next segment without a word",
            clean: "in the newest segment as with a torn tail, or the broker does not start (CorruptRecordException, KafkaException); in an older one it is not noticed",
            unclean: "from here on the log is cut if the segment is the newest; in an older one above the recovery point it is cut and all later segments are deleted; below the recovery point it is not noticed",
            mend: Mend::Command(TRUNCATE),
        },
    ),
    (
        Id::LogUnknownMagic,
        Words {
            what: "no batch: its magic is none that a release has written",
            says: &[
                "no batch begins here: its magic would be {magic}[; the next intact batch begins at position {nextIntactPosition}][ with offset {nextIntactOffset}][; index entries that lead there: {indexEntriesBehind}][; time index entries: {timeIndexEntriesBehind}]",
            ],
            readers: "fetches that reach it fail",
            clean: "not noticed",
            unclean: "from here on the log is cut if the segment is the newest; in an older one above the recovery point it is cut and all later segments are deleted; below the recovery point it is not noticed",
            mend: Mend::Command(TRUNCATE),
        },
    ),
    (
        Id::LogMagicChanged,
        Words {
            what: "only the magic of the batch is wrong: as one of magic 2 its checksum holds",
            says: &[
                "only the magic of the batch is wrong: it is {magic}, and as one of magic 2 its checksum holds[; the next intact batch begins at position {nextIntactPosition}][ with offset {nextIntactOffset}][; index entries that lead there: {indexEntriesBehind}][; time index entries: {timeIndexEntriesBehind}]",
            ],
            readers: "consumers fail at this batch, although nothing in it is lost",
            clean: "not noticed",
            unclean: "a magic above 2 is not noticed; with one below 2 the log is cut here, as if the batch were damaged",
            mend: Mend::ByHand(
                "write the byte 2 over the magic, the 17th byte of the batch: the checksum shows that nothing else is wrong; and make a copy of the file first",
            ),
        },
    ),
    (
        Id::LogTooLarge,
        Words {
            what: "the file is larger than a broker can open",
            says: &["the file has {logSize:byte}, and a broker can open {largestSize}"],
            readers: "the partition is not available",
            clean: "the broker does not start",
            unclean: "the broker does not start",
            mend: Mend::ByHand(
                "move the partition directory out of the log dir and let the broker copy the partition from a replica",
            ),
        },
    ),
    (
        Id::LogOffsetBelowBase,
        Words {
            what: "an offset below the base offset of the segment",
            says: &[
                "a batch with offsets {baseOffset} to {lastOffset} in the segment that begins at {segmentBaseOffset}[, and {wrongBatches} of {batches} batches are below it]",
            ],
            readers: "these records cannot be found by their offsets, but are delivered when the segment is read from its start",
            clean: "not noticed",
            unclean: "the broker does not start (IllegalArgumentException)",
            mend: Mend::ByHand(
                "the file probably has the wrong name: give the segment's files the offset that its first batch holds, if no other segment has it; else copy the partition from a replica that has it",
            ),
        },
    ),
    (
        Id::LogOffsetOverflow,
        Words {
            what: "an offset too far from the base offset for an index",
            says: &[
                "a batch with offsets {baseOffset} to {lastOffset} is too far from the base offset {segmentBaseOffset} for an index",
            ],
            readers: "none that is known; the next index entry cannot be written",
            clean: "not noticed",
            unclean: "if it is the last batch only, the segment is split in two; else the broker does not start (IllegalArgumentException)",
            mend: Mend::ByHand(
                "if it is the last batch only, an unclean start mends it; else copy the partition from a replica that has it",
            ),
        },
    ),
    (
        Id::LogOffsetsNotIncreasing,
        Words {
            what: "a batch that does not begin behind the one before",
            says: &[
                "a batch with offsets {baseOffset} to {lastOffset} behind offset {previousLastOffset}",
                "a batch with offsets {baseOffset} to {lastOffset} between offsets {lastOffsetBefore} and {nextOffset}",
            ],
            readers: "records are delivered twice or out of order; followers refuse to copy the batch",
            clean: "not noticed",
            unclean: "if an index entry falls due at this batch, the whole segment is emptied and all later ones are deleted; else it is not noticed",
            mend: Mend::ByHand(
                "copy the partition from a replica that has it; no cut helps where batches are there twice (a file system that replayed a block), because one at their offset takes both",
            ),
        },
    ),
    (
        Id::LogOffsetGap,
        Words {
            what: "offsets that no batch holds",
            says: &[
                "no batch holds offsets {firstMissingOffset} up to {nextOffset}[; offsets are left out in {gaps:place}]",
            ],
            readers: "none; if the topic was never compacted, the records are lost",
            clean: "not noticed",
            unclean: "not noticed",
            mend: Mend::ByHand("nothing to mend after compaction; else copy the partition from a replica that has it"),
        },
    ),
    (
        Id::LogRecordCount,
        Words {
            what: "the count of records and the range of offsets contradict each other",
            says: &[
                "{count:record} are claimed, and the last offset is the first plus {lastOffsetDelta}",
                "{count:record} are claimed, and {recordBytes:byte} of records follow",
            ],
            readers: "consumers fail at this batch or miss records",
            clean: "not noticed",
            unclean: "not noticed",
            mend: Mend::ByHand("copy the partition from a replica that has it"),
        },
    ),
    (
        Id::LogUnknownCodec,
        Words {
            what: "a compression that does not exist, or not for this magic",
            says: &["compression {codec} does not exist for magic {magic}"],
            readers: "consumers and the cleaner fail at this batch",
            clean: "not noticed",
            unclean: "not noticed",
            mend: Mend::ByHand("copy the partition from a replica that has it"),
        },
    ),
    (
        Id::LogUnknownAttributes,
        Words {
            what: "attribute bits that no release sets",
            says: &["attributes {attributes} with bits that no release sets ({unknownBits})"],
            readers: "none today; a later release may give the bits a meaning",
            clean: "not noticed",
            unclean: "not noticed",
            mend: Mend::ByHand(
                "nothing needs to be done; copy the partition from a replica that has it, if it differs",
            ),
        },
    ),
    (
        Id::LogRecordsUndecodable,
        Words {
            what: "the records cannot be decoded as the header says",
            says: &["the records {reason}: {error}"],
            readers: "consumers and the cleaner fail at this batch",
            clean: "not noticed",
            unclean: "not noticed",
            mend: Mend::ByHand("copy the partition from a replica that has it"),
        },
    ),
    (
        Id::LogRecordOffsets,
        Words {
            what: "records whose offsets do not rise, or leave the batch",
            says: &[
                "a record with offset {recordOffset}[ behind offset {previousRecordOffset}] in a batch with offsets {baseOffset} to {lastOffset}",
            ],
            readers: "records are delivered twice, out of order or not at all",
            clean: "not noticed",
            unclean: "not noticed",
            mend: Mend::ByHand("copy the partition from a replica that has it"),
        },
    ),
    (
        Id::LogMaxTimestamp,
        Words {
            what: "the largest timestamp in the header is not that of the records",
            says: &[
                "the largest timestamp of the batch is said to be {maxTimestamp}, and that of its records is {largestRecordTimestamp}",
            ],
            readers: "searches by time find the wrong record; retention.ms keeps or deletes by the wrong time",
            clean: "not noticed",
            unclean: "not noticed",
            mend: Mend::ByHand(
                "nothing in the log can be changed; copy the partition from a replica that has it, if it differs",
            ),
        },
    ),
    (
        Id::LogAppendTimeMissing,
        Words {
            what: "a batch stamped by the broker without a timestamp",
            says: &["a batch stamped by the broker has timestamp {maxTimestamp}"],
            readers: "searches by time pass the records over",
            clean: "not noticed",
            unclean: "not noticed",
            mend: Mend::ByHand("copy the partition from a replica that has it"),
        },
    ),
    (
        Id::LogEpochDecreases,
        Words {
            what: "a leader epoch lower than one before it",
            says: &[
                "leader epoch {partitionLeaderEpoch} behind epoch {previousPartitionLeaderEpoch}",
                "leader epoch {leaderEpoch} behind epoch {previousLeaderEpoch} in the segment before",
                "leader epoch {raisedLeaderEpoch}, which leader-epoch-checkpoint does not know, before epoch {nextLeaderEpoch} at offset {nextOffset}",
            ],
            readers: "none; but followers that compare epochs cut the wrong records",
            clean: "not noticed",
            unclean: "the wrong epoch goes into leader-epoch-checkpoint",
            mend: Mend::ByHand("copy the partition from a replica that has it"),
        },
    ),
    (
        Id::LogProducerFields,
        Words {
            what: "producer id, epoch, sequence or transactional flag that cannot be together",
            says: &["{reason}: producer id {producerId}, epoch {producerEpoch}, base sequence {baseSequence}"],
            readers: "none",
            clean: "not noticed",
            unclean: "not noticed",
            mend: Mend::ByHand(
                "nothing needs to be done; copy the partition from a replica that has it, if it differs",
            ),
        },
    ),
    (
        Id::LogSequenceBackwards,
        Words {
            what: "sequence numbers of a producer that go backwards",
            says: &[
                "producer {producerId} in epoch {producerEpoch} goes on with sequence {baseSequence} where {expectedSequence} would follow offset {previousOffset}",
            ],
            readers: "records may be there twice",
            clean: "not noticed",
            unclean: "not noticed",
            mend: Mend::ByHand(
                "nothing in the log can be changed; the producer's application can tell what is there twice",
            ),
        },
    ),
    (
        Id::LogSequenceGap,
        Words {
            what: "sequence numbers of a producer that leave some out",
            says: &[
                "producer {producerId} in epoch {producerEpoch} goes on with sequence {baseSequence} where {expectedSequence} would follow offset {previousOffset}",
            ],
            readers: "none; if the topic was never compacted, records are lost",
            clean: "not noticed",
            unclean: "not noticed",
            mend: Mend::ByHand("nothing to mend after compaction; else copy the partition from a replica that has it"),
        },
    ),
    (
        Id::LogBadControlBatch,
        Words {
            what: "a control batch that is no transaction marker",
            says: &["a control batch of producer {producerId} that is no transaction marker: {problem}"],
            readers: "with isolation read-committed, consumers fail or hang here",
            clean: "if no producer snapshot lies behind it, the broker does not start",
            unclean: "the broker does not start; up to 3.9 it cuts the log behind the marker first",
            mend: Mend::Command(CUT_BEFORE),
        },
    ),
    (
        Id::LogDataOutsideTransaction,
        Words {
            what: "data of a producer that is not part of its open transaction",
            says: &[
                "a batch of producer {producerId} that is not transactional, in its transaction that is open since offset {firstOffset}",
            ],
            readers: "none",
            clean: "if no producer snapshot lies behind it, the broker does not start",
            unclean: "the broker does not start (InvalidTxnStateException)",
            mend: Mend::Command(CUT_BEFORE),
        },
    ),
    (
        Id::LogEmptyBatch,
        Words {
            what: "a batch without records that is not like those which the cleaner leaves",
            says: &[
                "a batch without records has {sizeInBytes:byte}, compression {codec} and base timestamp {baseTimestamp}, and is not like those which the cleaner leaves",
            ],
            readers: "none",
            clean: "not noticed",
            unclean: "not noticed",
            mend: Mend::ByHand("nothing needs to be done"),
        },
    ),
    (
        Id::LogDeleteHorizon,
        Words {
            what: "a delete horizon on a batch that cannot have one",
            says: &["a delete horizon, {deleteHorizonMs}, on a batch without records"],
            readers: "none; tombstones may be kept too long or dropped too early",
            clean: "not noticed",
            unclean: "not noticed",
            mend: Mend::ByHand(
                "nothing needs to be done; copy the partition from a replica that has it, if it differs",
            ),
        },
    ),
];
