//! What follows from other damage is not told again, and what surrounds a partition makes findings matter less.

use super::catalogue::Id;
use super::finding::{Findings, Severity};
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
}

/// Takes consequences out, lowers what matters less, and sorts by file, position and kind.
pub fn fold(findings: &mut Findings, circumstances: Circumstances) {
    fold_a_lost_log(findings);
    fold_a_lost_tail(findings, circumstances.tail_is_damaged);
    if circumstances.state == DirState::Delete {
        lower(findings, |id| !stops_a_start(id));
    }
    if circumstances.is_live {
        lower(findings, changes_while_a_broker_runs);
    }
}

/// A log that is gone leaves its indexes, and a gap between the segments beside it: told once.
fn fold_a_lost_log(findings: &mut Findings) {
    let is_empty = findings.iter().any(|finding| finding.id == Id::PartitionEmpty);
    // Without any log, that is the news, and it counts the indexes.
    findings.retain(|finding| !(is_empty && finding.id == Id::IndexOrphan));
    let mut orphans: Vec<Offset> =
        findings.iter().filter(|finding| finding.id == Id::IndexOrphan).filter_map(|it| it.place.offset).collect();
    orphans.sort_unstable();
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
            && let Some((from, until)) = gaps.iter().find(|(from, until)| (*from..*until).contains(&base))
        {
            finding.details.push(("lostFrom", (*from).into()));
            finding.details.push(("lostUntil", (*until).into()));
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
    findings.retain(|finding| match finding.id {
        Id::LogDirHighWatermarkBeyondEnd => !by_log_start,
        Id::LogDirRecoveryPointBeyondEnd | Id::SnapshotBeyondEnd | Id::EpochBeyondEnd => !by_high_watermark,
        Id::LogDirCleanerOutOfRange => {
            !(by_high_watermark && finding.int("checkpointedOffset") > finding.int("logEndOffset"))
        }
        _ => true,
    });
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
