//! The metadata log of KRaft, `__cluster_metadata-0`: its snapshots beside its log, and what only this log demands.
//!
//! Brokers load it in a way of its own: always as after a crash, from the first segment on, without the checkpoints and
//! the marker of the log dir.

use std::path::Path;

use super::catalogue::Id;
use super::finding::{Finding, Findings, Severity};
use super::{Depth, Setting};
use crate::format::compression::{DEFAULT_LIMIT, Decompressor};
use crate::format::control::{ControlKey, SNAPSHOT_FOOTER, SNAPSHOT_HEADER};
use crate::format::file_name::{CLUSTER_METADATA_TOPIC, DirState, FileKind, FileState};
use crate::format::quorum_state::QuorumState;
use crate::format::uuid::Uuid;
use crate::format::{Offset, Position};
use crate::scan::segment_facts::SegmentFacts;
use crate::scan::{BatchScan, LogSoFar, ScanEnd, ScanOptions, ScannedBatch};
use crate::store::partition::{PartitionDir, PartitionName};
use crate::store::{NamedFile, ReadStorage, StoreError, open, read_small};

/// The directory of its only partition.
pub const METADATA_DIRECTORY: &str = "__cluster_metadata-0";

/// The largest `quorum-state` that is read, in bytes.
const LARGEST_QUORUM_STATE: u64 = 1 << 20;

/// Whether it is the metadata log, in use.
pub fn is_metadata_log(name: &PartitionName) -> bool {
    name.topic == CLUSTER_METADATA_TOPIC && name.state == DirState::Current
}

/// What is known of the log.
#[derive(Clone, Copy, Debug, Default)]
pub struct MetadataLog {
    /// The base offset of the first segment.
    pub log_start_offset: Option<Offset>,
    /// The offset behind the last batch (exclusive).
    pub log_end_offset: Option<Offset>,
    /// The latest leader epoch.
    pub latest_epoch: Option<i32>,
}

/// Judges the snapshots and `quorum-state`.
pub fn judge(
    dir: &PartitionDir,
    log: MetadataLog,
    topic_id: Option<Uuid>,
    setting: Setting,
    findings: &mut Findings,
    unreadable: &mut Vec<StoreError>,
) {
    topic_id_is_the_reserved_one(dir, topic_id, findings);
    let mut snapshots: Vec<_> = snapshots(dir).collect();
    snapshots.sort_unstable_by_key(|(id, _)| *id);
    snapshot_reaches_the_log_start(dir, log, &snapshots, findings);
    newest_snapshot_is_not_ahead(log, &snapshots, findings);
    if setting.depth > Depth::Quick {
        let newest = snapshots.last().map(|(id, _)| *id);
        for (id, file) in &snapshots {
            let is_newest = Some(*id) == newest;
            let judged = snapshot_is_whole(&file.path(), setting, is_newest, findings);
            unreadable.extend(judged.err());
        }
    }
    if let Some(file) = dir.file(FileKind::QuorumState) {
        unreadable.extend(quorum_state_is_readable(&file.path(), findings).err());
    }
}

/// Epoch and end offset (exclusive) of a snapshot: Kafka's order of snapshots.
type SnapshotId = (i32, Offset);

fn snapshots(dir: &PartitionDir) -> impl Iterator<Item = (SnapshotId, &NamedFile)> {
    let is_snapshot = |file: &&NamedFile| {
        file.name.kind == FileKind::KraftSnapshot && file.name.state == FileState::Live && file.name.canonical
    };
    dir.files.iter().filter(is_snapshot).filter_map(|file| Some(((file.name.epoch?, file.name.base_offset?), file)))
}

/// The log has batches of magic 2 only; its readers fail at others.
///
/// Source: Kafka `RecordsIterator`.
pub fn batches_are_of_magic_2(path: &Path, facts: &SegmentFacts, findings: &mut Findings) {
    if facts.has_old_magic {
        findings.push(Finding::new(Id::KraftOldMagic, path).with("baseOffset", facts.base_offset));
    }
}

/// `partition.metadata` holds the id that is reserved for this topic. Where the file is missing, it is made anew.
///
/// Source: Kafka `UnifiedLog` (topic ids must not differ).
fn topic_id_is_the_reserved_one(dir: &PartitionDir, topic_id: Option<Uuid>, findings: &mut Findings) {
    let Some(found) = topic_id.filter(|id| *id != Uuid::METADATA_TOPIC) else { return };
    let path = dir.path.join(FileKind::PartitionMetadata.fixed_name().unwrap_or_default());
    findings.push(
        Finding::new(Id::KraftTopicId, path)
            .with("topicId", found.to_string())
            .with("expectedTopicId", Uuid::METADATA_TOPIC.to_string()),
    );
}

/// A log that begins behind 0 has a snapshot of what came before. A broker does not start without.
///
/// Source: Kafka `KafkaMetadataLog.recoverSnapshots`.
fn snapshot_reaches_the_log_start(
    dir: &PartitionDir,
    log: MetadataLog,
    snapshots: &[(SnapshotId, &NamedFile)],
    findings: &mut Findings,
) {
    let Some(log_start) = log.log_start_offset.filter(|start| *start > Offset(0)) else { return };
    if snapshots.iter().any(|((_, end), _)| *end >= log_start) {
        return;
    }
    let greatest = snapshots.iter().map(|((_, end), _)| *end).max();
    let finding = Finding::new(Id::KraftSnapshotMissing, &dir.path).offset(log_start).with("logStartOffset", log_start);
    findings.push(match greatest {
        Some(end) => finding.with("greatestSnapshot", end),
        None => finding,
    });
}

/// The newest snapshot is not of a later epoch than the log, nor does it end behind it. Otherwise the whole log is
/// dropped and begins anew at the end of the snapshot.
///
/// Source: Kafka `KafkaMetadataLog.truncateToLatestSnapshot`.
fn newest_snapshot_is_not_ahead(log: MetadataLog, snapshots: &[(SnapshotId, &NamedFile)], findings: &mut Findings) {
    let (Some(((epoch, end), file)), Some(log_end)) = (snapshots.last(), log.log_end_offset) else { return };
    let is_ahead = match log.latest_epoch {
        Some(latest) => *epoch > latest || (*epoch == latest && *end > log_end),
        None => *end > log_end,
    };
    if is_ahead {
        let finding = Finding::new(Id::KraftSnapshotAhead, file.path())
            .offset(*end)
            .with("snapshotOffset", *end)
            .with("snapshotEpoch", *epoch)
            .with("logEndOffset", log_end);
        findings.push(match log.latest_epoch {
            Some(latest) => finding.with("latestEpoch", latest),
            None => finding,
        });
    }
}

/// A snapshot can be read to its end: magic 2, offsets from 0 on without a gap, a header first and a footer last.
/// Brokers read the newest only.
///
/// Source: Kafka `RecordsSnapshotReader`, `RecordsIterator`.
pub fn snapshot_is_whole(
    path: &Path,
    setting: Setting,
    is_newest: bool,
    findings: &mut Findings,
) -> Result<(), StoreError> {
    let storage = open(path, setting.policy)?;
    if let Some(flaw) = flaw_of_snapshot(storage.as_ref())? {
        let finding = Finding::new(Id::KraftSnapshotUnreadable, path)
            .at(flaw.position, storage.len().saturating_sub(flaw.position.0))
            .with("reason", flaw.reason)
            .with("isNewest", if is_newest { "yes" } else { "no" });
        findings.push(if is_newest { finding } else { finding.as_severity(Severity::Warning) });
    }
    Ok(())
}

struct Flaw {
    position: Position,
    reason: &'static str,
}

fn flaw_of_snapshot(storage: &dyn ReadStorage) -> Result<Option<Flaw>, StoreError> {
    let mut decompressor = Decompressor::new(DEFAULT_LIMIT);
    let options = ScanOptions { bodies: true, ..ScanOptions::default() };
    let mut scan = BatchScan::new(storage, LogSoFar::unknown(), options);
    let mut expected = Offset(0);
    let mut last = None;
    let flaw = |position, reason| Ok(Some(Flaw { position, reason }));
    while let Some(scanned) = scan.next_batch()? {
        let (position, header) = (scanned.position, scanned.header);
        if header.as_record_batch().is_none() {
            return flaw(position, "oldMagic");
        }
        if header.base_offset() != Some(expected) {
            return flaw(position, "offsets");
        }
        expected = Offset(header.last_offset().0.saturating_add(1));
        let control = control_types(&scanned, &mut decompressor);
        if last.is_none() && control.map(|(first, _)| first) != Some(SNAPSHOT_HEADER) {
            return flaw(position, "noHeader");
        }
        last = Some((position, control.map(|(_, last)| last)));
    }
    match (scan.end(), last) {
        (Some(ScanEnd::Damaged(damage)), _) => flaw(damage.position, damage.reason.name()),
        (Some(ScanEnd::TornTail { position, .. }), _) => flaw(*position, "tornTail"),
        (Some(ScanEnd::ZeroFill { position, .. }), _) => flaw(*position, "zeros"),
        (_, None) => flaw(Position(0), "empty"),
        (_, Some((position, control))) if control != Some(SNAPSHOT_FOOTER) => flaw(position, "noFooter"),
        _ => Ok(None),
    }
}

/// The types of the first and the last record of a control batch; `None` for other batches, and for those that cannot
/// be decoded.
fn control_types(scanned: &ScannedBatch<'_>, decompressor: &mut Decompressor) -> Option<(i16, i16)> {
    let batch = scanned.batch().filter(|_| scanned.header.is_control())?;
    let mut types = None;
    for record in batch.records(decompressor).ok()? {
        let control = ControlKey::parse(record.ok()?.key).ok()?.control_type;
        types = Some((types.map_or(control, |(first, _)| first), control));
    }
    types
}

/// `quorum-state` can be read: a node that cannot does not start.
///
/// Source: Kafka `FileQuorumStateStore`.
fn quorum_state_is_readable(path: &Path, findings: &mut Findings) -> Result<(), StoreError> {
    let bytes = read_small(path, LARGEST_QUORUM_STATE)?;
    if let Err(error) = QuorumState::parse(&bytes) {
        findings.push(Finding::new(Id::KraftQuorumState, path).with("reason", error.to_string()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::batch::{RecordBatchBuilder, RecordBatchHeader};
    use crate::format::compression::Compression;
    use crate::format::record::RecordFields;
    use crate::store::ReadPolicy;
    use std::fs;

    const CONTROL: i16 = 0x20;

    fn batch(base_offset: i64, records: &[(Option<&[u8]>, &[u8])], attributes: i16) -> Vec<u8> {
        let header = RecordBatchHeader { attributes, ..RecordBatchBuilder::plain_header(Offset(base_offset), 0) };
        let mut batch = RecordBatchBuilder::new(header, Compression::None);
        for ((key, value), offset_delta) in records.iter().zip(0..) {
            batch.push(&RecordFields { offset_delta, key: *key, value: Some(*value), ..RecordFields::default() });
        }
        let mut bytes = Vec::new();
        batch.write(&mut bytes).unwrap();
        bytes
    }

    fn control(base_offset: i64, control_type: i16) -> Vec<u8> {
        let mut key = Vec::new();
        ControlKey { version: 0, control_type }.write(&mut key);
        batch(base_offset, &[(Some(&key), &[0; 11])], CONTROL)
    }

    fn data(base_offset: i64) -> Vec<u8> {
        batch(base_offset, &[(None, b"a"), (None, b"b")], 0)
    }

    /// A whole snapshot: header, two records, footer.
    fn snapshot() -> Vec<u8> {
        [control(0, SNAPSHOT_HEADER), data(1), control(3, SNAPSHOT_FOOTER)].concat()
    }

    /// What is seen of a log from `log_start` to `log_end` in epoch 1 beside these files.
    fn seen(log_start: i64, log_end: i64, files: &[(&str, &[u8])]) -> Vec<(Id, Severity, String)> {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            fs::write(dir.path().join(name), bytes).unwrap();
        }
        let log = MetadataLog {
            log_start_offset: Some(Offset(log_start)),
            log_end_offset: Some(Offset(log_end)),
            latest_epoch: Some(1),
        };
        let setting = Setting { policy: ReadPolicy::default(), depth: Depth::Checksums, clean_shutdown: false };
        let (mut findings, mut unreadable) = (Findings::new(), Vec::new());
        let partition = PartitionDir::read(dir.path()).unwrap();
        judge(&partition, log, Some(Uuid::METADATA_TOPIC), setting, &mut findings, &mut unreadable);
        assert!(unreadable.is_empty());
        let reason = |finding: &Finding| match finding.details.iter().find(|(name, _)| *name == "reason") {
            Some((_, crate::check::Detail::Text(reason))) => reason.clone(),
            _ => String::new(),
        };
        findings.iter().map(|finding| (finding.id, finding.severity, reason(finding))).collect()
    }

    const AT_20: &str = "00000000000000000020-0000000001.checkpoint";

    #[test]
    fn whole_snapshots_that_the_log_has_reached_are_no_news() {
        assert_eq!(seen(0, 40, &[]), []);
        assert_eq!(seen(0, 40, &[(AT_20, &snapshot())]), []);
        assert_eq!(seen(20, 40, &[(AT_20, &snapshot())]), []);
        assert_eq!(seen(10, 20, &[(AT_20, &snapshot())]), []);
        // One of an earlier epoch may end further on: that end was overruled.
        assert_eq!(seen(0, 40, &[("00000000000000000050-0000000000.checkpoint", &snapshot())]), []);
    }

    #[test]
    fn a_log_start_behind_all_snapshots_is_an_error() {
        let missing = [(Id::KraftSnapshotMissing, Severity::Error, String::new())];
        assert_eq!(seen(30, 40, &[]), missing);
        assert_eq!(seen(30, 40, &[(AT_20, &snapshot())]), missing);
    }

    #[test]
    fn a_newest_snapshot_ahead_of_the_log_is_a_warning() {
        let ahead = [(Id::KraftSnapshotAhead, Severity::Warning, String::new())];
        assert_eq!(seen(0, 19, &[(AT_20, &snapshot())]), ahead);
        assert_eq!(seen(0, 40, &[("00000000000000000020-0000000002.checkpoint", &snapshot())]), ahead);
    }

    #[test]
    fn a_snapshot_that_is_not_whole_is_told_with_the_reason() {
        let (header, footer) = (control(0, SNAPSHOT_HEADER), control(3, SNAPSHOT_FOOTER));
        let mut flipped = snapshot();
        let at = header.len() + 70;
        flipped[at] ^= 1;
        let cases: [(&str, Vec<u8>); 7] = [
            ("empty", Vec::new()),
            ("noFooter", [header.clone(), data(1)].concat()),
            ("noHeader", [data(0), control(2, SNAPSHOT_FOOTER)].concat()),
            ("offsets", [header.clone(), data(2), control(4, SNAPSHOT_FOOTER)].concat()),
            ("checksumMismatch", flipped),
            ("tornTail", snapshot()[..snapshot().len() - 5].to_vec()),
            ("zeros", [header, data(1), footer, vec![0; 100]].concat()),
        ];
        for (reason, bytes) in cases {
            let expected = |severity| (Id::KraftSnapshotUnreadable, severity, reason.to_owned());
            assert_eq!(seen(0, 40, &[(AT_20, &bytes)]), [expected(Severity::Error)], "{reason}");
            let later = ("00000000000000000030-0000000001.checkpoint", &snapshot()[..]);
            assert_eq!(seen(0, 40, &[(AT_20, &bytes), later]), [expected(Severity::Warning)], "{reason}");
        }
    }

    #[test]
    fn a_quorum_state_that_is_no_json_is_an_error() {
        let sound = br#"{"leaderId":1,"leaderEpoch":1,"votedId":-1,"data_version":1}"#;
        assert_eq!(seen(0, 40, &[("quorum-state", sound)]), []);
        let findings = seen(0, 40, &[("quorum-state", b"{")]);
        assert_eq!((findings.len(), findings[0].0), (1, Id::KraftQuorumState));
    }

    #[test]
    fn the_topic_id_is_the_reserved_one() {
        let dir = tempfile::tempdir().unwrap();
        let partition = PartitionDir::read(dir.path()).unwrap();
        let mut findings = Findings::new();
        topic_id_is_the_reserved_one(&partition, Some(Uuid::METADATA_TOPIC), &mut findings);
        topic_id_is_the_reserved_one(&partition, None, &mut findings);
        assert!(findings.is_empty());
        topic_id_is_the_reserved_one(&partition, Some(Uuid([7; 16])), &mut findings);
        assert_eq!(findings.iter().next().unwrap().id, Id::KraftTopicId);
    }

    #[test]
    fn messages_before_magic_2_are_an_error() {
        let mut facts = SegmentFacts::new(Offset(0), 100, &[]);
        let mut findings = Findings::new();
        batches_are_of_magic_2(Path::new("a.log"), &facts, &mut findings);
        assert!(findings.is_empty());
        facts.has_old_magic = true;
        batches_are_of_magic_2(Path::new("a.log"), &facts, &mut findings);
        assert_eq!(findings.iter().next().unwrap().id, Id::KraftOldMagic);
    }
}
