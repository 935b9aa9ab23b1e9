//! What follows from other damage is not told again, and what surrounds a partition makes findings matter less.

use super::catalogue::Id;
use super::finding::{Finding, Findings, Repair, Severity};
use crate::format::Offset;
use crate::format::file_name::{DirState, FileName};

/// What surrounds the findings of a partition.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    /// Whether the partition is in use.
    pub state: DirState,
    /// Whether a broker is running.
    pub is_live: bool,
    /// Whether the newest log ends with bytes that are no intact batch.
    pub tail_is_damaged: bool,
    /// Whether the log dir's cleaner checkpoint says that the partition was compacted.
    pub was_compacted: bool,
}

/// Takes consequences out, lowers what matters less, and sorts by file, position and kind.
pub fn fold(findings: &mut Findings, circumstances: Circumstances) {
    fold_a_lost_log(findings, circumstances.was_compacted);
    raise_a_gap_that_indexes_know(findings);
    fold_a_lost_tail(findings, circumstances.tail_is_damaged);
    if circumstances.state == DirState::Delete {
        lower(findings, |id| !stops_a_start(id));
    }
    if circumstances.is_live {
        lower(findings, changes_while_a_broker_runs);
    }
}

/// A log that is gone leaves its indexes, and a gap between the segments beside it: told once. Records are lost then, and
/// no index made again brings them back; a compaction may have taken them out.
fn fold_a_lost_log(findings: &mut Findings, was_compacted: bool) {
    let is_empty = findings.iter().any(|finding| finding.id == Id::PartitionEmpty);
    // Without any log, that is the news, and it counts the indexes.
    let follows = |id| matches!(id, Id::IndexOrphan | Id::SnapshotBeyondEnd | Id::EpochBeyondEnd);
    findings.retain(|finding| !(is_empty && follows(finding.id)));
    let mut orphans: Vec<Offset> =
        findings.iter().filter(|finding| finding.id == Id::IndexOrphan).filter_map(|it| it.place.offset).collect();
    orphans.sort_unstable();
    // In order, as the chain was walked.
    let mut gaps: Vec<(Offset, Offset)> = Vec::new();
    findings.retain(|finding| {
        if !matches!(finding.id, Id::SegmentsGap | Id::SegmentsEmptyJump) {
            return true;
        }
        let (Some(from), Some(until)) = (finding.int("expectedOffset"), finding.int("baseOffset")) else { return true };
        let (from, until) = (Offset(from), Offset(until));
        let after = orphans.partition_point(|orphan| *orphan < from);
        let explained = orphans.get(after).is_some_and(|orphan| *orphan < until);
        if explained {
            gaps.push((from, until));
        }
        !explained
    });
    findings.retain(|finding| {
        if finding.id == Id::IndexOrphan
            && let Some(base) = finding.place.offset
            && let Some((from, until)) = gaps.get(gaps.partition_point(|(_, until)| *until <= base))
            && *from <= base
        {
            finding.details.push(("lostFrom", (*from).into()));
            finding.details.push(("lostUntil", (*until).into()));
            if !was_compacted {
                (finding.severity, finding.repair) = (Severity::Error, Repair::None);
            }
        }
        true
    });
}

/// Where entries of indexes name offsets of a gap, the log was cut: a compaction writes the indexes anew. The entries stay,
/// since they mislead readers; but made again, the indexes no longer show what was there.
fn raise_a_gap_that_indexes_know(findings: &mut Findings) {
    let without_batch = |finding: &Finding| match finding.id {
        Id::IndexPositionPastEnd => finding.int("indexOffset"),
        Id::TimeIndexOffsetOutOfRange => finding.place.offset.map(|offset| offset.0),
        _ => None,
    };
    let known: Vec<i64> = findings.iter().filter_map(without_batch).collect();
    findings.retain(|finding| {
        if matches!(finding.id, Id::SegmentsGap | Id::SegmentsEmptyJump)
            && let (Some(from), Some(until)) = (finding.int("expectedOffset"), finding.int("baseOffset"))
        {
            let entries = known.iter().filter(|offset| (from..until).contains(*offset)).count() as u64;
            if entries > 0 {
                finding.severity = Severity::Error;
                finding.details.push(("indexEntriesThere", entries.into()));
            }
        }
        true
    });
}

/// A lost or damaged tail of the log shows in everything that remembers its end: told once, by the log itself or by the
/// checkpoint that matters most. A log start behind the end stays always, since brokers then delete the whole log.
fn fold_a_lost_tail(findings: &mut Findings, tail_is_damaged: bool) {
    let holds = |findings: &Findings, id| findings.iter().any(|finding| finding.id == id);
    let by_log_start = tail_is_damaged || holds(findings, Id::LogDirLogStartBeyondEnd);
    let by_high_watermark = by_log_start || holds(findings, Id::LogDirHighWatermarkBeyondEnd);
    // Without a proof of the loss, what leads a start astray stays.
    let proves =
        |finding: &&Finding| finding.id == Id::LogDirHighWatermarkBeyondEnd && finding.severity == Severity::Error;
    let log_end = findings.iter().find(proves);
    let log_end = log_end.and_then(|finding| finding.int("logEndOffset"));
    findings.retain(|finding| {
        if log_end.is_some_and(|log_end| is_of_the_lost_tail(finding, log_end)) {
            finding.severity = Severity::Info;
        }
        true
    });
    findings.retain(|finding| match finding.id {
        Id::LogDirHighWatermarkBeyondEnd => !by_log_start,
        Id::LogDirRecoveryPointBeyondEnd | Id::SnapshotBeyondEnd | Id::EpochBeyondEnd => !by_high_watermark,
        Id::LogDirCleanerOutOfRange => {
            !(by_high_watermark && finding.int("checkpointedOffset") > finding.int("logEndOffset"))
        }
        _ => true,
    });
}

/// Whether an index entry, or a timestamp, is about offsets from the log end on, which were there and are lost.
fn is_of_the_lost_tail(finding: &Finding, log_end: i64) -> bool {
    let is_behind = |name| finding.int(name).is_some_and(|offset| offset >= log_end);
    match finding.id {
        Id::IndexPositionPastEnd | Id::IndexOffsetPastEnd => is_behind("indexOffset"),
        Id::TimeIndexOffsetOutOfRange | Id::TimeIndexLastTooLarge => {
            finding.place.offset.is_some_and(|offset| offset.0 >= log_end)
        }
        Id::TxnIndexEntryOfNothing => is_behind("lastOffset"),
        _ => false,
    }
}

/// Whether a broker trips over it even in a directory that it only removes.
///
/// Source: Kafka `LogLoader.load`, which such a directory goes through but for the recovery.
fn stops_a_start(id: Id) -> bool {
    matches!(
        id,
        Id::PartitionBadName
            | Id::PartitionMetadataUnreadable
            | Id::EpochFileUnreadable
            | Id::EpochNegative
            | Id::TxnIndexVersion
            | Id::LogTooLarge
    )
}

/// Whether it may be seen because files appear, vanish and take other names while they are looked at one after the
/// other.
fn changes_while_a_broker_runs(id: Id) -> bool {
    matches!(
        id,
        Id::IndexOrphan
            | Id::PartitionEmpty
            | Id::PartitionSwapFile
            | Id::PartitionCleanedFile
            | Id::PartitionMetadataMissing
            | Id::SegmentsOverlap
            | Id::SegmentsGap
            | Id::SegmentsEmptyJump
            | Id::LogDirLogStartBeyondEnd
            | Id::LogDirHighWatermarkBeyondEnd
            | Id::SnapshotBeyondEnd
            | Id::KraftSnapshotMissing
            | Id::KraftSnapshotAhead
    )
}

fn lower(findings: &mut Findings, which: impl Fn(Id) -> bool) {
    findings.retain(|finding| {
        if which(finding.id) {
            finding.severity = Severity::Info;
        }
        true
    });
}

/// The findings by file (base offset, then kind; those without a number last), position and kind.
pub fn sorted(findings: Findings) -> Findings {
    let mut all = findings.into_vec();
    all.sort_by_cached_key(|finding| {
        let name = finding.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let named =
            FileName::parse(name).map(|name| (name.base_offset.is_none(), name.base_offset, name.kind, name.state));
        (named.is_none(), named, finding.path.clone(), finding.place.position, finding.id, finding.place.offset)
    });
    all.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Position;

    const IN_USE: Circumstances =
        Circumstances { state: DirState::Current, is_live: false, tail_is_damaged: false, was_compacted: false };

    fn folded(findings: impl IntoIterator<Item = Finding>, circumstances: Circumstances) -> Vec<(Id, Severity)> {
        let mut findings: Findings = findings.into_iter().collect();
        fold(&mut findings, circumstances);
        findings.iter().map(|finding| (finding.id, finding.severity)).collect()
    }

    fn of(ids: &[Id]) -> Vec<Finding> {
        ids.iter().map(|id| Finding::new(*id, "x")).collect()
    }

    fn beyond_end(id: Id) -> Finding {
        Finding::new(id, "x").with("checkpointedOffset", 50i64).with("logEndOffset", 40i64)
    }

    fn usual(id: Id) -> (Id, Severity) {
        (id, id.severity())
    }

    #[test]
    fn a_lost_tail_is_told_once_by_what_matters_most() {
        let of_tail = [
            Id::LogDirLogStartBeyondEnd,
            Id::LogDirHighWatermarkBeyondEnd,
            Id::LogDirRecoveryPointBeyondEnd,
            Id::LogDirCleanerOutOfRange,
            Id::SnapshotBeyondEnd,
            Id::EpochBeyondEnd,
        ]
        .map(beyond_end);
        assert_eq!(folded(of_tail.clone(), IN_USE), [usual(Id::LogDirLogStartBeyondEnd)]);
        let without_log_start = of_tail[1..].to_vec();
        assert_eq!(folded(without_log_start.clone(), IN_USE), [usual(Id::LogDirHighWatermarkBeyondEnd)]);
        let damaged = Circumstances { tail_is_damaged: true, ..IN_USE };
        assert_eq!(folded(without_log_start, damaged), []);
        // A log start behind the end has a consequence of its own.
        assert_eq!(folded(of_tail.clone(), damaged), [usual(Id::LogDirLogStartBeyondEnd)]);
        assert_eq!(folded(of_tail[2..].to_vec(), IN_USE).len(), 4);
        let below =
            Finding::new(Id::LogDirCleanerOutOfRange, "x").with("checkpointedOffset", 1i64).with("logEndOffset", 4i64);
        assert_eq!(folded([below], damaged), [usual(Id::LogDirCleanerOutOfRange)]);
    }

    #[test]
    fn a_lost_log_is_told_by_its_indexes_and_not_by_the_gap() {
        let gap = |from: i64, until: i64| {
            Finding::new(Id::SegmentsGap, "x")
                .offset(Offset(from))
                .with("expectedOffset", from)
                .with("baseOffset", until)
        };
        let orphan = Finding::new(Id::IndexOrphan, "x").offset(Offset(20));
        let mut findings: Findings = [gap(5, 10), gap(20, 30), gap(40, 50), orphan].into_iter().collect();
        fold(&mut findings, IN_USE);
        let ids: Vec<_> = findings.iter().map(|finding| finding.id).collect();
        assert_eq!(ids, [Id::SegmentsGap, Id::SegmentsGap, Id::IndexOrphan]);
        let orphan = findings.iter().last().unwrap();
        assert_eq!((orphan.int("lostFrom"), orphan.int("lostUntil")), (Some(20), Some(30)));
        assert_eq!((orphan.severity, orphan.repair), (Severity::Error, Repair::None));
        let compacted = Circumstances { was_compacted: true, ..IN_USE };
        let orphan = Finding::new(Id::IndexOrphan, "x").offset(Offset(20));
        assert_eq!(folded([gap(20, 30), orphan], compacted), [usual(Id::IndexOrphan)]);
        let empty = of(&[Id::PartitionEmpty, Id::IndexOrphan]);
        assert_eq!(folded(empty, IN_USE), [usual(Id::PartitionEmpty)]);
    }

    #[test]
    fn a_gap_whose_offsets_an_index_names_is_a_loss_and_no_compaction() {
        for id in [Id::SegmentsGap, Id::SegmentsEmptyJump] {
            let gap = || Finding::new(id, "x").with("expectedOffset", 30i64).with("baseOffset", 60i64);
            let entry = |offset: i64| Finding::new(Id::IndexPositionPastEnd, "x").with("indexOffset", offset);
            let time_entry = |offset| Finding::new(Id::TimeIndexOffsetOutOfRange, "x").offset(Offset(offset));
            let severity = |entries: Vec<Finding>| {
                let mut findings: Findings = entries.into_iter().chain([gap()]).collect();
                fold(&mut findings, IN_USE);
                let gap = findings.iter().find(|finding| finding.id == id).unwrap();
                (gap.severity, gap.int("indexEntriesThere"))
            };
            assert_eq!(severity(vec![entry(29), entry(60), time_entry(60)]), (id.severity(), None));
            assert_eq!(severity(vec![entry(30)]), (Severity::Error, Some(1)));
            assert_eq!(severity(vec![entry(-1), time_entry(38), time_entry(59)]), (Severity::Error, Some(2)));
        }
    }

    #[test]
    fn in_a_directory_that_is_removed_only_what_stops_a_start_matters() {
        let removed = Circumstances { state: DirState::Delete, ..IN_USE };
        let findings = of(&[Id::LogChecksumMismatch, Id::PartitionBadName, Id::SegmentsOverlap]);
        let expected = [
            (Id::LogChecksumMismatch, Severity::Info),
            (Id::PartitionBadName, Severity::Error),
            (Id::SegmentsOverlap, Severity::Info),
        ];
        assert_eq!(folded(findings, removed), expected);
    }

    #[test]
    fn beside_a_running_broker_what_moves_is_information() {
        let live = Circumstances { is_live: true, ..IN_USE };
        let findings = of(&[Id::SegmentsOverlap, Id::PartitionSwapFile, Id::LogChecksumMismatch]);
        let expected = [
            (Id::SegmentsOverlap, Severity::Info),
            (Id::PartitionSwapFile, Severity::Info),
            usual(Id::LogChecksumMismatch),
        ];
        assert_eq!(folded(findings, live), expected);
    }

    #[test]
    fn findings_are_sorted_by_file_and_position() {
        let at = |name: &str, position| {
            Finding::new(Id::LogChecksumMismatch, format!("/d/{name}")).at(Position(position), 1)
        };
        let findings: Findings = [
            at("leader-epoch-checkpoint", 0),
            at("notes.txt", 0),
            at("00000000000000000100.log", 7),
            at("00000000000000000020.index", 0),
            at("00000000000000000100.log", 3),
            at("00000000000000000020.log", 9),
        ]
        .into_iter()
        .collect();
        let seen: Vec<_> = sorted(findings)
            .iter()
            .map(|finding| (finding.path.display().to_string(), finding.place.position.unwrap().0))
            .collect();
        let expected = [
            ("/d/00000000000000000020.log", 9),
            ("/d/00000000000000000020.index", 0),
            ("/d/00000000000000000100.log", 3),
            ("/d/00000000000000000100.log", 7),
            ("/d/leader-epoch-checkpoint", 0),
            ("/d/notes.txt", 0),
        ];
        assert_eq!(seen, expected.map(|(path, position)| (path.to_owned(), position)));
    }
}
