//! What the checkpoints of the log dir say about a partition, held against the offsets it has.

use std::path::{Path, PathBuf};

use super::catalogue::Id;
use super::finding::{Finding, Findings, Severity};
use crate::format::Offset;
use crate::format::file_name::FileKind;
use crate::scan::checkpoints::Checkpointed;

/// The offsets of a partition as its segments have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// The base offset of the first segment.
    pub first_base_offset: Offset,
    /// The offset behind the last batch (exclusive).
    pub log_end_offset: Offset,
}

/// Holds the lines for one partition against the offsets it has. `is_closed`: its log dir was closed in order.
pub fn judge(log_dir: &Path, checkpointed: &Checkpointed, held: Held, is_closed: bool, findings: &mut Findings) {
    log_start_is_in_the_log(log_dir, checkpointed, held, findings);
    high_watermark_is_in_the_log(log_dir, checkpointed, held, is_closed, findings);
    recovery_point_is_in_the_log(log_dir, checkpointed, held, findings);
    cleaner_offset_is_in_the_log(log_dir, checkpointed, held, findings);
}

/// A log start behind the log end makes a broker delete every segment and begin anew there. Before the first segment
/// it has no effect; with tiered storage it is usual.
///
/// Source: Kafka `LogLoader`.
fn log_start_is_in_the_log(log_dir: &Path, checkpointed: &Checkpointed, held: Held, findings: &mut Findings) {
    let Some(log_start) = checkpointed.log_start_offset else { return };
    let path = path_of(log_dir, FileKind::LogStartOffsetCheckpoint);
    if log_start > held.log_end_offset {
        findings.push(about(Id::LogDirLogStartBeyondEnd, path, log_start, held));
    } else if log_start < held.first_base_offset && log_start >= Offset(0) {
        findings.push(about(Id::LogDirLogStartBelowFirst, path, log_start, held));
    }
}

/// A high watermark behind the log end is lowered in silence; what was acknowledged there is lost. One before the log
/// start is raised to it and says nothing. A crash may take what was not flushed; a broker that was stopped in order has
/// flushed all of it.
///
/// Source: Kafka `UnifiedLog.updateHighWatermark`, `LogManager.shutdown`.
fn high_watermark_is_in_the_log(
    log_dir: &Path,
    checkpointed: &Checkpointed,
    held: Held,
    is_closed: bool,
    findings: &mut Findings,
) {
    let Some(high_watermark) = checkpointed.high_watermark else { return };
    if high_watermark > held.log_end_offset {
        let path = path_of(log_dir, FileKind::ReplicationOffsetCheckpoint);
        let finding = about(Id::LogDirHighWatermarkBeyondEnd, path, high_watermark, held);
        findings.push(if is_closed { finding.as_severity(Severity::Error) } else { finding });
    }
}

/// A recovery point behind the log end is lowered in silence. It was on disk once up to there.
///
/// Source: Kafka `LogLoader`.
fn recovery_point_is_in_the_log(log_dir: &Path, checkpointed: &Checkpointed, held: Held, findings: &mut Findings) {
    let Some(recovery_point) = checkpointed.recovery_point else { return };
    if recovery_point > held.log_end_offset {
        let path = path_of(log_dir, FileKind::RecoveryPointCheckpoint);
        findings.push(about(Id::LogDirRecoveryPointBeyondEnd, path, recovery_point, held));
    }
}

/// A cleaner offset outside the log is put back to the log start, and all is compacted again.
///
/// Source: Kafka `LogCleanerManager.cleanableOffsets`.
fn cleaner_offset_is_in_the_log(log_dir: &Path, checkpointed: &Checkpointed, held: Held, findings: &mut Findings) {
    let Some(cleaner_offset) = checkpointed.cleaner_offset else { return };
    let log_start = held.first_base_offset.max(checkpointed.log_start_offset.unwrap_or_default());
    if cleaner_offset > held.log_end_offset || cleaner_offset < log_start {
        let path = path_of(log_dir, FileKind::CleanerOffsetCheckpoint);
        findings.push(about(Id::LogDirCleanerOutOfRange, path, cleaner_offset, held));
    }
}

fn path_of(log_dir: &Path, kind: FileKind) -> PathBuf {
    log_dir.join(kind.fixed_name().unwrap_or_default())
}

fn about(id: Id, path: PathBuf, checkpointed: Offset, held: Held) -> Finding {
    Finding::new(id, path)
        .offset(checkpointed)
        .with("checkpointedOffset", checkpointed)
        .with("firstBaseOffset", held.first_base_offset)
        .with("logEndOffset", held.log_end_offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELD: Held = Held { first_base_offset: Offset(10), log_end_offset: Offset(40) };

    fn seen(set: impl Fn(&mut Checkpointed)) -> Vec<(Id, String)> {
        let mut checkpointed = Checkpointed::default();
        set(&mut checkpointed);
        let mut findings = Findings::new();
        judge(Path::new("/data"), &checkpointed, HELD, false, &mut findings);
        let file_name = |finding: &Finding| finding.path.file_name().unwrap().to_str().unwrap().to_owned();
        findings.iter().map(|finding| (finding.id, file_name(finding))).collect()
    }

    #[test]
    fn offsets_within_the_log_are_no_news() {
        for offset in [10, 11, 40] {
            let all = Some(Offset(offset));
            let seen = seen(|of| {
                *of = Checkpointed {
                    high_watermark: all,
                    log_start_offset: Some(Offset(10)),
                    recovery_point: all,
                    cleaner_offset: all,
                }
            });
            assert_eq!(seen, []);
        }
        assert_eq!(seen(|of| of.log_start_offset = Some(Offset(40))), []);
        // Raised to the log start by the broker, and so after every retention while it was down.
        assert_eq!(seen(|of| of.high_watermark = Some(Offset(0))), []);
        assert_eq!(seen(|of| of.recovery_point = Some(Offset(0))), []);
    }

    #[test]
    fn a_log_start_behind_the_log_end_is_an_error_and_one_before_the_first_segment_is_not() {
        let file = "log-start-offset-checkpoint".to_owned();
        let beyond = seen(|of| of.log_start_offset = Some(Offset(41)));
        assert_eq!(beyond, [(Id::LogDirLogStartBeyondEnd, file.clone())]);
        assert_eq!(Id::LogDirLogStartBeyondEnd.severity(), Severity::Error);
        assert_eq!(seen(|of| of.log_start_offset = Some(Offset(9))), [(Id::LogDirLogStartBelowFirst, file)]);
    }

    #[test]
    fn a_high_watermark_or_recovery_point_behind_the_log_end_is_seen() {
        let seen = seen(|of| {
            of.high_watermark = Some(Offset(41));
            of.recovery_point = Some(Offset(50));
        });
        let expected = [
            (Id::LogDirHighWatermarkBeyondEnd, "replication-offset-checkpoint".to_owned()),
            (Id::LogDirRecoveryPointBeyondEnd, "recovery-point-offset-checkpoint".to_owned()),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_high_watermark_behind_the_log_end_is_an_error_where_all_was_flushed() {
        let checkpointed = Checkpointed { high_watermark: Some(Offset(41)), ..Checkpointed::default() };
        for (is_closed, severity) in [(false, Severity::Warning), (true, Severity::Error)] {
            let mut findings = Findings::new();
            judge(Path::new("/data"), &checkpointed, HELD, is_closed, &mut findings);
            assert_eq!(findings.iter().map(|finding| finding.severity).collect::<Vec<_>>(), [severity]);
        }
    }

    #[test]
    fn a_cleaner_offset_outside_the_log_is_seen() {
        let expected = [(Id::LogDirCleanerOutOfRange, "cleaner-offset-checkpoint".to_owned())];
        assert_eq!(seen(|of| of.cleaner_offset = Some(Offset(41))), expected);
        assert_eq!(seen(|of| of.cleaner_offset = Some(Offset(9))), expected);
    }
}
