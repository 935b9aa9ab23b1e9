//! Words for what is seen in indexes.

use super::super::REBUILD_INDEX;
use super::{Mend, Words};
use crate::check::Id;

pub(super) const TABLE: &[(Id, Words)] = &[
    (
        Id::IndexMissing,
        Words {
            what: "there is a log and no offset index",
            says: &["there is no offset index beside this log of {logSize:byte}"],
            readers: "none once the broker has started",
            clean: "the segment is recovered: all its indexes are made again. If the log is damaged in the middle it is cut there, later segments stay, and what lies between is gone",
            unclean: "made again from the log",
            mend: Mend::Command(REBUILD_INDEX),
        },
    ),
    (
        Id::IndexOrphan,
        Words {
            what: "an index without its log",
            says: &[
                "{files:index file} of segment {baseOffset} without its log: offsets {lostFrom} up to {lostUntil} are lost",
                "{files:index file} of segment {baseOffset} without its log",
            ],
            readers: "none; but if a gap between the segments shows that the log was lost, its records are gone",
            clean: "the file is deleted",
            unclean: "the file is deleted",
            mend: Mend::ByHand(
                "nothing needs to be done; if the log was lost, copy the partition from a replica that has it",
            ),
        },
    ),
    (
        Id::IndexPartialEntry,
        Words {
            what: "bytes behind the last whole entry",
            says: &["{length:byte} behind the last whole entry of {entrySize:byte}"],
            readers: "none: they are ignored",
            clean: "they stay in an older segment, and are trimmed in the newest when the broker stops",
            unclean: "made again from the log if the segment is at or above the recovery point; else it stays",
            mend: Mend::Command(REBUILD_INDEX),
        },
    ),
    (
        Id::IndexOffsetsNotIncreasing,
        Words {
            what: "offsets that do not rise from entry to entry",
            says: &[
                "offset {indexOffset} at position {indexPosition}: an offset that is {problem}[; {wrongEntries} of {entries} entries are wrong]",
                "offset {indexOffset} at position {indexPosition}[, behind offset {previousOffset}][; {wrongEntries} of {entries} entries are wrong]",
            ],
            readers: "lookups by offset take a wrong turn: fetches fail, skip records or take long",
            clean: "not noticed",
            unclean: "made again from the log if the segment is at or above the recovery point; else it stays",
            mend: Mend::Command(REBUILD_INDEX),
        },
    ),
    (
        Id::IndexPositionsNotIncreasing,
        Words {
            what: "positions that do not rise from entry to entry",
            says: &[
                "offset {indexOffset} at position {indexPosition}[, behind position {previousPosition}][; {wrongEntries} of {entries} entries are wrong]",
            ],
            readers: "consumers with isolation read-committed may be given aborted records; fetches may skip records",
            clean: "not noticed",
            unclean: "made again from the log if the segment is at or above the recovery point; else it stays",
            mend: Mend::Command(REBUILD_INDEX),
        },
    ),
    (
        Id::IndexPositionPastEnd,
        Words {
            what: "a position past the end of the log",
            says: &[
                "position {indexPosition} for offset {indexOffset}, which is none in a log: it is {problem}[; {wrongEntries} of {entries} entries are wrong]",
                "position {indexPosition} for offset {indexOffset}, the log ends at {logSize}[; {wrongEntries} of {entries} entries are wrong]",
            ],
            readers: "fetches of the offsets behind the entry go on in the next segment without a word: these records are skipped",
            clean: "in the newest segment the log end falls back to the base offset: leader epochs are cut, offsets are given out a second time, records are lost. In an older one it is not noticed",
            unclean: "made again from the log if the segment is at or above the recovery point; else it stays",
            mend: Mend::Command(REBUILD_INDEX),
        },
    ),
    (
        Id::IndexPositionInsideBatch,
        Words {
            what: "a position where no batch begins",
            says: &[
                "position {indexPosition} for offset {indexOffset}, where no batch begins[: the next one does at {nextBatchPosition}][; {wrongEntries} of {entries} entries are wrong]",
            ],
            readers: "fetches through the entry fail with CorruptRecordException",
            clean: "as last entry of the newest segment: the broker does not start, or takes a wrong log end. Else it is not noticed",
            unclean: "made again from the log if the segment is at or above the recovery point; else it stays",
            mend: Mend::Command(REBUILD_INDEX),
        },
    ),
    (
        Id::IndexSkipsOffsets,
        Words {
            what: "an entry that makes readers pass over offsets",
            says: &[
                "position {indexPosition} for offset {indexOffset}, but offset {lastOffsetBefore} lies before it[; {wrongEntries} of {entries} entries are wrong]",
            ],
            readers: "fetches of the offsets that lie before the position never find them",
            clean: "not noticed",
            unclean: "made again from the log if the segment is at or above the recovery point; else it stays",
            mend: Mend::Command(REBUILD_INDEX),
        },
    ),
    (
        Id::IndexOffsetPastEnd,
        Words {
            what: "an offset that the log does not reach",
            says: &[
                "offset {indexOffset} at position {indexPosition}, the log ends with offset {lastOffset}[; {wrongEntries} of {entries} entries are wrong]",
            ],
            readers: "none, unless offsets rise behind it",
            clean: "as last entry of the newest segment: the log end falls back to the base offset, and offsets are given out a second time. Else it is not noticed",
            unclean: "made again from the log if the segment is at or above the recovery point; else it stays",
            mend: Mend::Command(REBUILD_INDEX),
        },
    ),
    (
        Id::IndexEntryOfStart,
        Words {
            what: "an entry for the start of the segment",
            says: &[
                "offset {indexOffset} at position {indexPosition}: the start of the segment needs no entry[; {wrongEntries} of {entries} entries are wrong]",
            ],
            readers: "at position 0 none, lookups begin there anyway; at any other, fetches of the offsets before it skip records",
            clean: "not noticed",
            unclean: "made again from the log if the segment is at or above the recovery point; else it stays",
            mend: Mend::Command(REBUILD_INDEX),
        },
    ),
    (
        Id::IndexZeroPadding,
        Words {
            what: "zeros behind the last entry",
            says: &["zeros behind the {entries:entry}: room for {zeroEntries} more was not given back"],
            readers: "none; lookups by offset may begin at the start of the segment and take long",
            clean: "the index of the newest segment counts as full: the next append begins a new segment",
            unclean: "trimmed or made again, unless the segment lies below the recovery point",
            mend: Mend::Command(REBUILD_INDEX),
        },
    ),
    (
        Id::IndexStaleEntries,
        Words {
            what: "old entries behind the last valid one of a preallocated index",
            says: &["{staleEntries} of {entries:entry} are left over from before a truncation"],
            readers: "none: they lie behind what is used",
            clean: "the log end falls back to the base offset of the segment, if the last of them leads past the end of the log",
            unclean: "made again from the log if the segment is at or above the recovery point; else it stays",
            mend: Mend::Command(REBUILD_INDEX),
        },
    ),
    (
        Id::IndexEmpty,
        Words {
            what: "no entry at all",
            says: &["no entry at all for a log of {logSize:byte}"],
            readers: "none; lookups read the segment from its start",
            clean: "not noticed",
            unclean: "made again from the log if the segment is at or above the recovery point; else it stays",
            mend: Mend::Command(REBUILD_INDEX),
        },
    ),
    (
        Id::IndexNotCanonical,
        Words {
            what: "entries that are right and not as a broker writes them today",
            says: &[
                "offset {indexOffset}, where the batch at position {indexPosition} ends with {batchLastOffset}: right, and not as brokers write it today[; so are {notCanonicalEntries} of {entries:entry}]",
            ],
            readers: "none",
            clean: "not noticed",
            unclean: "made again from the log if the segment is at or above the recovery point; else it stays",
            mend: Mend::Command(REBUILD_INDEX),
        },
    ),
    (
        Id::TimeIndexMissing,
        Words {
            what: "there is a log with timestamps and no time index",
            says: &["there is no time index beside this log with timestamps up to {maxTimestamp}"],
            readers: "searches by time and retention.ms go by the modification time of the file",
            clean: "an empty one is created and stays empty: brokers do not make it again",
            unclean: "made again if the segment is recovered for another reason; else it stays empty",
            mend: Mend::Command(REBUILD_INDEX),
        },
    ),
    (
        Id::TimeIndexPartialEntry,
        Words {
            what: "bytes behind the last whole entry",
            says: &["{length:byte} behind the last whole entry of {entrySize:byte}"],
            readers: "none: they are ignored",
            clean: "they stay in an older segment, and are trimmed in the newest when the broker stops",
            unclean: "made again from the log if the segment is at or above the recovery point; else it stays",
            mend: Mend::Command(REBUILD_INDEX),
        },
    ),
    (
        Id::TimeIndexTimestampsNotIncreasing,
        Words {
            what: "timestamps that do not rise from entry to entry",
            says: &[
                "{indexTimestamp} at offset {indexOffset}[, behind {previousTimestamp}][; {wrongEntries} of {entries} entries are wrong]",
            ],
            readers: "searches by time take a wrong turn and find the wrong record, or none",
            clean: "not noticed",
            unclean: "made again from the log if the segment is at or above the recovery point; else it stays",
            mend: Mend::Command(REBUILD_INDEX),
        },
    ),
    (
        Id::TimeIndexOffsetsDecreasing,
        Words {
            what: "offsets that fall from entry to entry",
            says: &[
                "{indexTimestamp} at offset {indexOffset}[, behind offset {previousOffset}][; {wrongEntries} of {entries} entries are wrong]",
            ],
            readers: "none; a truncation keeps or drops the wrong entries",
            clean: "not noticed",
            unclean: "made again from the log if the segment is at or above the recovery point; else it stays",
            mend: Mend::Command(REBUILD_INDEX),
        },
    ),
    (
        Id::TimeIndexOffsetOutOfRange,
        Words {
            what: "an offset that is not in the segment",
            says: &[
                "offset {indexOffset}, which is not in the segment[: it ends with {lastOffset}][; {wrongEntries} of {entries} entries are wrong]",
            ],
            readers: "searches by time find the wrong record, or none",
            clean: "not noticed; in the newest segment the next entry cannot be written: producing fails (InvalidOffsetException)",
            unclean: "made again from the log if the segment is at or above the recovery point; else it stays",
            mend: Mend::Command(REBUILD_INDEX),
        },
    ),
    (
        Id::TimeIndexWrongTimestamp,
        Words {
            what: "a timestamp that is not the largest so far at its offset",
            says: &[
                "{indexTimestamp} at offset {indexOffset}, whose batch has {batchMaxTimestamp} as its largest timestamp and {largestTimestampBefore} before it[; {wrongEntries} of {entries} entries are wrong]",
            ],
            readers: "searches by time begin too late and miss records, or take longer",
            clean: "not noticed",
            unclean: "made again from the log if the segment is at or above the recovery point; else it stays",
            mend: Mend::Command(REBUILD_INDEX),
        },
    ),
    (
        Id::TimeIndexLastTooLarge,
        Words {
            what: "the last timestamp is larger than any in the segment",
            says: &[
                "the last timestamp is {indexTimestamp}, the largest in the segment {maxTimestamp}[; {wrongEntries} of {entries} entries are wrong]",
                "the last timestamp is {indexTimestamp}, larger than any in the segment[; {wrongEntries} of {entries} entries are wrong]",
            ],
            readers: "searches by time stop in this segment and find nothing; retention.ms keeps it too long",
            clean: "not noticed",
            unclean: "made again from the log if the segment is at or above the recovery point; else it stays",
            mend: Mend::Command(REBUILD_INDEX),
        },
    ),
    (
        Id::TimeIndexLastTooSmall,
        Words {
            what: "the last timestamp is smaller than the largest in the segment",
            says: &[
                "the last timestamp is {indexTimestamp}, the largest in the segment {maxTimestamp}[; {wrongEntries} of {entries} entries are wrong]",
                "the last timestamp is {indexTimestamp}, and the segment has {laterTimestamp}[; {wrongEntries} of {entries} entries are wrong]",
            ],
            readers: "searches by time skip the segment; retention.ms deletes it too early",
            clean: "not noticed",
            unclean: "made again from the log if the segment is at or above the recovery point; else it stays",
            mend: Mend::Command(REBUILD_INDEX),
        },
    ),
    (
        Id::TimeIndexZeroPadding,
        Words {
            what: "zeros behind the last entry",
            says: &["zeros behind the {entries:entry}: room for {zeroEntries} more was not given back"],
            readers: "searches by time skip the segment; retention.ms deletes it, because its age reads as 1970",
            clean: "not noticed",
            unclean: "made again from the log if the segment is at or above the recovery point; else it stays",
            mend: Mend::Command(REBUILD_INDEX),
        },
    ),
    (
        Id::TimeIndexStaleEntries,
        Words {
            what: "old entries behind the last valid one of a preallocated index",
            says: &["{staleEntries} of {entries:entry} are left over from before a truncation"],
            readers: "searches by time may find nothing or the wrong record",
            clean: "not noticed",
            unclean: "made again from the log if the segment is at or above the recovery point; else it stays",
            mend: Mend::Command(REBUILD_INDEX),
        },
    ),
    (
        Id::TimeIndexEmpty,
        Words {
            what: "no entry at all for a log with timestamps",
            says: &["no entry at all for a log with timestamps up to {maxTimestamp}"],
            readers: "searches by time and retention.ms go by the modification time of the file, which copying changes",
            clean: "not noticed",
            unclean: "made again from the log if the segment is at or above the recovery point; else it stays",
            mend: Mend::Command(REBUILD_INDEX),
        },
    ),
    (
        Id::TxnIndexPartialEntry,
        Words {
            what: "bytes behind the last whole entry",
            says: &["{length:byte} behind the last whole entry"],
            readers: "none yet; the next entry is written behind them and all later ones are read wrong",
            clean: "they stay",
            unclean: "made again from the log if the segment is at or above the recovery point; else it stays",
            mend: Mend::Command(REBUILD_INDEX),
        },
    ),
    (
        Id::TxnIndexVersion,
        Words {
            what: "an entry of a version that brokers do not know",
            says: &[
                "version {version}, which brokers do not know (producer {producerId}, offsets {firstOffset} to {lastOffset})",
            ],
            readers: "the partition is not available",
            clean: "the broker does not start (KafkaException)",
            unclean: "the broker does not start (KafkaException)",
            mend: Mend::Command(REBUILD_INDEX),
        },
    ),
    (
        Id::TxnIndexBelowBase,
        Words {
            what: "an entry that ends before the segment begins",
            says: &[
                "producer {producerId}, offsets {firstOffset} to {lastOffset}, which is before the segment begins at {baseOffset}",
            ],
            readers: "none once the broker has started",
            clean: "the segment is recovered: all its indexes are made again",
            unclean: "the segment is recovered: all its indexes are made again",
            mend: Mend::Command(REBUILD_INDEX),
        },
    ),
    (
        Id::TxnIndexNotIncreasing,
        Words {
            what: "entries that are not in the order of their last offsets",
            says: &[
                "producer {producerId}, offsets {firstOffset} to {lastOffset}, behind an entry with last offset {previousLastOffset}",
            ],
            readers: "aborted records may be delivered; the next abort cannot be written, a truncation cuts the wrong entries",
            clean: "not noticed",
            unclean: "made again from the log if the segment is at or above the recovery point; else it stays",
            mend: Mend::Command(REBUILD_INDEX),
        },
    ),
    (
        Id::TxnIndexEntryMissing,
        Words {
            what: "an aborted transaction that is not listed",
            says: &[
                "there is no transaction index beside this log with {transactions:aborted transaction}; the first is that of producer {producerId} which ends with offset {lastOffset}",
                "the aborted transaction of producer {producerId} with offsets {firstOffset} to {lastOffset} is not listed",
                "the aborted transaction of producer {producerId} that ends with offset {lastOffset} is not listed",
            ],
            readers: "consumers with isolation read-committed are given records of an aborted transaction",
            clean: "not noticed",
            unclean: "made again from the log if the segment is at or above the recovery point; else it stays",
            mend: Mend::Command(REBUILD_INDEX),
        },
    ),
    (
        Id::TxnIndexEntryOfNothing,
        Words {
            what: "an entry for which the log has no aborted transaction",
            says: &[
                "{zeroEntries:entry} of zeros",
                "the log has no aborted transaction of producer {producerId} with offsets {firstOffset} to {lastOffset}[: the one that ends there is producer {producerIdOfMarker}'s]",
            ],
            readers: "consumers with isolation read-committed may not get records that were committed",
            clean: "not noticed",
            unclean: "made again from the log if the segment is at or above the recovery point; else it stays",
            mend: Mend::Command(REBUILD_INDEX),
        },
    ),
    (
        Id::TxnIndexFirstOffset,
        Words {
            what: "an entry whose first offset is not that of its transaction",
            says: &[
                "producer {producerId}, offsets {firstOffset} to {lastOffset}, and its transaction begins at {expectedFirstOffset}",
                "producer {producerId}, offsets {firstOffset} to {lastOffset}, which cannot be",
            ],
            readers: "consumers with isolation read-committed are given aborted records, or miss committed ones",
            clean: "not noticed",
            unclean: "made again from the log if the segment is at or above the recovery point; else it stays",
            mend: Mend::Command(REBUILD_INDEX),
        },
    ),
    (
        Id::TxnIndexStableOffset,
        Words {
            what: "a last stable offset that makes readers stop looking too early",
            says: &[
                "producer {producerId}, offsets {firstOffset} to {lastOffset}, last stable offset {lastStableOffset} where {expectedLastStableOffset} is right",
            ],
            readers: "consumers with isolation read-committed may be given records of aborted transactions",
            clean: "not noticed",
            unclean: "made again from the log if the segment is at or above the recovery point; else it stays",
            mend: Mend::Command(REBUILD_INDEX),
        },
    ),
    (
        Id::TxnIndexStableOffsetLow,
        Words {
            what: "a last stable offset lower than recovery would write",
            says: &[
                "producer {producerId}, offsets {firstOffset} to {lastOffset}, last stable offset {lastStableOffset} where {expectedLastStableOffset} would do",
            ],
            readers: "none; brokers look at some more entries",
            clean: "not noticed",
            unclean: "made again from the log if the segment is at or above the recovery point; else it stays",
            mend: Mend::Command(REBUILD_INDEX),
        },
    ),
];
