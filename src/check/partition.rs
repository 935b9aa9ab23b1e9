//! One partition: its files, the chain of its segments, its producers and leader epochs, and what its log dir's
//! checkpoints say of it. Takes the facts of the segments in order, one after the other, and keeps little of each.

use std::path::{Path, PathBuf};

use super::Setting;
use super::chain::{self, Chain};
use super::checkpointed::{self, Held};
use super::disorder;
use super::epochs::EpochsCheck;
use super::finding::{Findings, Severity};
use super::fold::{self, Circumstances};
use super::kraft::{self, MetadataLog};
use super::log_dir::LogDirFacts;
use super::partition_files::PartitionFiles;
use super::producers::ProducersCheck;
use super::segment::JudgedSegment;
use super::swapped::{self, Swapped};
use crate::format::Offset;
use crate::format::file_name::{DirState, FileKind};
use crate::format::leader_epoch;
use crate::format::uuid::Uuid;
use crate::scan::ScanEnd;
use crate::scan::checkpoints::Checkpointed;
use crate::store::partition::{PartitionDir, SegmentFiles};
use crate::store::{StoreError, read_small};

/// The largest leader epoch file that is read, in bytes.
const LARGEST_EPOCH_FILE: u64 = 64 << 20;

/// What the log dir says about a partition; nothing about a loose copy.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The log dir; `None` for a loose copy.
    pub log_dir: Option<PathBuf>,
    /// Its lines in the checkpoints.
    pub checkpointed: Checkpointed,
    /// Whether the log dir is one of KRaft.
    pub is_kraft: bool,
    /// Whether the log dir has a cleaner checkpoint that can be read and does not name the partition.
    pub was_never_compacted: bool,
}

impl Surroundings {
    /// What `log_dir` says about the partition in `dir`.
    pub fn of(dir: &PartitionDir, log_dir: &LogDirFacts) -> Self {
        // The metadata log has its own way of keeping such offsets.
        let name = dir.name.as_ref().filter(|name| !kraft::is_metadata_log(name));
        Self {
            log_dir: Some(log_dir.path.clone()),
            checkpointed: name.map(|name| log_dir.checkpoints.of(name)).unwrap_or_default(),
            is_kraft: log_dir.is_kraft(),
            was_never_compacted: name.is_some_and(|name| {
                let is_in_use = matches!(name.state, DirState::Current | DirState::Future);
                is_in_use && log_dir.checkpoints.tell_never_compacted(name)
            }),
        }
    }
}

/// A partition that is being judged: its segments are handed to it in order.
#[derive(Debug)]
pub struct PartitionCheck<'a> {
    dir: &'a PartitionDir,
    surroundings: Surroundings,
    setting: Setting,
    /// The segments that have a log.
    logs: Vec<SegmentFiles<'a>>,
    /// The offsets of its producer snapshots, in order.
    snapshot_offsets: Vec<Offset>,
    is_metadata_log: bool,
    chain: Chain,
    /// Whether the newest segment was taken in.
    is_complete: bool,
    tail_is_damaged: bool,
    producers: ProducersCheck<'a>,
    epochs: EpochsCheck,
    has_swapped: bool,
    /// Base offset and number of records of each segment, where others may take their place.
    records: Vec<(Offset, u64)>,
    report: PartitionReport,
}

/// What is known of a partition once all its segments are judged.
#[derive(Debug, Default)]
pub struct PartitionReport {
    /// All that was seen, by file.
    pub findings: Findings,
    /// Segments with a log.
    pub segments: u64,
    /// The size of their logs in bytes.
    pub size_in_bytes: u64,
    /// Intact batches.
    pub batches: u64,
    /// Records that their headers count.
    pub records: u64,
    /// Index entries that were held against the log.
    pub entries: u64,
    /// Bytes that were looked at.
    pub bytes: u64,
    /// The first offset that can be read.
    pub log_start_offset: Option<Offset>,
    /// The high watermark in the log dir's checkpoint (exclusive).
    pub high_watermark: Option<Offset>,
    /// The offset behind the last batch (exclusive).
    pub log_end_offset: Option<Offset>,
    /// The largest timestamp of the newest segment that has any, in milliseconds.
    pub last_timestamp: Option<i64>,
    /// The leader epoch of the last batch, or a later one in `leader-epoch-checkpoint`.
    pub latest_epoch: Option<i32>,
    /// The topic id in `partition.metadata`.
    pub topic_id: Option<Uuid>,
    /// Files that could not be looked at.
    pub unreadable: Vec<StoreError>,
    /// Whether the check was stopped before its end.
    pub stopped: bool,
}

impl PartitionReport {
    /// How many findings there are of a severity.
    pub fn count(&self, severity: Severity) -> u64 {
        self.findings.count(severity)
    }
}

impl<'a> PartitionCheck<'a> {
    /// A partition of which no segment was judged yet.
    pub fn new(dir: &'a PartitionDir, surroundings: Surroundings, setting: Setting) -> Self {
        // Of a log that is not named as brokers do they open another one: that is told, and its content is not judged.
        let is_opened = |segment: &SegmentFiles<'_>| segment.log.is_some_and(|log| log.name.canonical);
        let logs = dir.segments().into_iter().filter(is_opened).collect();
        let is_metadata_log = dir.name.as_ref().is_some_and(kraft::is_metadata_log);
        let log_start_offset = surroundings.checkpointed.log_start_offset;
        let snapshots = dir.files.iter().filter(|file| file.name.kind == FileKind::ProducerSnapshot);
        let mut snapshot_offsets: Vec<Offset> = snapshots.filter_map(|file| file.name.base_offset).collect();
        snapshot_offsets.sort_unstable();
        Self {
            dir,
            surroundings,
            setting,
            logs,
            snapshot_offsets,
            is_metadata_log,
            chain: Chain::default(),
            is_complete: false,
            tail_is_damaged: false,
            producers: ProducersCheck::new(dir, log_start_offset, setting),
            epochs: EpochsCheck::new(dir, log_start_offset, setting),
            has_swapped: !setting.is_live() && swapped::has_any(dir),
            records: Vec::new(),
            report: PartitionReport::default(),
        }
    }

    /// Takes in the next segment.
    pub fn take(&mut self, mut judged: JudgedSegment) {
        let log = self.logs.binary_search_by_key(&judged.facts.base_offset, |log| log.base_offset).ok();
        if log.is_some() {
            self.producers.take(&mut judged, &mut self.report);
            self.epochs.take(&mut judged, &mut self.report);
        }
        let is_of_another_base = disorder::is_of_another_base(&judged.findings);
        let JudgedSegment { facts, findings, entries, bytes, stopped, mut unreadable, .. } = judged;
        self.report.batches += facts.batches;
        self.report.records += facts.records;
        self.report.entries += entries;
        self.report.bytes += bytes;
        self.report.stopped |= stopped;
        if log.is_some() {
            self.report.findings.append(findings);
        }
        let path = log.and_then(|at| self.logs.get(at)).and_then(|segment| segment.log).map(|log| log.path());
        let is_newest = log.is_some_and(|at| at + 1 == self.logs.len());
        self.is_complete |= is_newest;
        let of_log = |error: &StoreError| Some(path_of(error)) == path.as_deref();
        let is_gone = self.setting.is_live() && unreadable.iter().any(|error| of_log(error) && is_gone(error));
        // A log whose offsets are those of another segment does not say where it ends.
        let is_whole = !stopped && !is_of_another_base && !unreadable.iter().any(of_log);
        if self.setting.is_live() {
            // A running broker deletes and renames what was there when the directory was listed.
            unreadable.retain(|error| !self::is_gone(error));
        }
        self.report.unreadable.extend(unreadable);
        let Some(path) = path.filter(|_| !is_gone) else { return };
        self.report.segments += 1;
        if self.has_swapped {
            self.records.push((facts.base_offset, facts.records));
        }
        self.report.size_in_bytes += facts.size_in_bytes;
        self.report.last_timestamp = facts.max_timestamp.map(|(timestamp, _)| timestamp).or(self.report.last_timestamp);
        self.report.latest_epoch = facts.epochs.last().map(|run| run.epoch).or(self.report.latest_epoch);
        self.tail_is_damaged = !matches!(facts.end, ScanEnd::CleanEof | ScanEnd::Stopped);
        let context = chain::Context {
            is_metadata_log: self.is_metadata_log,
            was_compacted: self.surroundings.checkpointed.cleaner_offset.is_some(),
            was_never_compacted: self.surroundings.was_never_compacted,
            snapshot_offsets: &self.snapshot_offsets,
            log_start_offset: self.surroundings.checkpointed.log_start_offset,
        };
        self.chain.take(&path, &facts, is_whole, is_newest, context, &mut self.report.findings);
        if self.is_metadata_log {
            kraft::batches_are_of_magic_2(&path, &facts, &mut self.report.findings);
        }
    }

    /// Judges what needs all segments, and folds consequences into their causes.
    pub fn finish(mut self) -> PartitionReport {
        self.judge_files();
        self.judge_offsets();
        if self.is_metadata_log {
            let log = MetadataLog {
                log_start_offset: self.chain.first_base_offset(),
                log_end_offset: self.report.log_end_offset,
                latest_epoch: self.report.latest_epoch,
            };
            let mut unreadable = Vec::new();
            let (topic_id, findings) = (self.report.topic_id, &mut self.report.findings);
            kraft::judge(self.dir, log, topic_id, self.setting, findings, &mut unreadable);
            self.cannot_read(unreadable);
        }
        self.producers.finish(&mut self.report);
        self.epochs.finish(&mut self.report);
        let mut report = self.report;
        if self.setting.is_live() {
            report.unreadable.retain(|error| !is_gone(error));
        }
        let circumstances = Circumstances {
            state: self.dir.name.as_ref().map_or(DirState::Current, |name| name.state),
            is_live: self.setting.is_live(),
            tail_is_damaged: self.tail_is_damaged,
            was_compacted: self.surroundings.checkpointed.cleaner_offset.is_some(),
        };
        fold::fold(&mut report.findings, circumstances);
        report.findings = fold::sorted(report.findings);
        report
    }

    fn judge_files(&mut self) {
        let Self { dir, setting, is_metadata_log, .. } = *self;
        let judged = PartitionFiles { dir, surroundings: &self.surroundings, setting, is_metadata_log }.judge();
        self.report.findings.append(judged.findings);
        self.report.topic_id = judged.topic_id;
        self.cannot_read(judged.unreadable);
        if self.has_swapped {
            let checkpointed = &self.surroundings.checkpointed;
            let mut unreadable = Vec::new();
            let swapped = Swapped { dir, checkpointed, setting, records: &self.records };
            swapped.judge(&mut self.report.findings, &mut unreadable);
            self.cannot_read(unreadable);
        }
        if let Some(file) = self.dir.file(FileKind::LeaderEpochCheckpoint)
            && let Ok(bytes) = read_small(&file.path(), LARGEST_EPOCH_FILE)
        {
            // Whether the file is sound is judged elsewhere.
            let latest = leader_epoch::lenient(&bytes).last().map(|(_, entry)| entry.epoch);
            self.report.latest_epoch = self.report.latest_epoch.max(latest);
        }
    }

    fn judge_offsets(&mut self) {
        let checkpointed = self.surroundings.checkpointed;
        self.report.high_watermark = checkpointed.high_watermark;
        self.report.log_end_offset = self.chain.log_end_offset().filter(|_| self.is_complete);
        let first_base_offset = self.logs.first().map(|first| first.base_offset);
        self.report.log_start_offset = checkpointed.log_start_offset.max(first_base_offset);
        if let (Some(log_dir), Some(first_base_offset), Some(log_end_offset)) =
            (&self.surroundings.log_dir, first_base_offset, self.report.log_end_offset)
        {
            let held = Held { first_base_offset, log_end_offset };
            let is_closed = self.setting.clean_shutdown && !self.setting.is_live();
            checkpointed::judge(log_dir, &checkpointed, held, is_closed, &mut self.report.findings);
        }
    }

    fn cannot_read(&mut self, errors: Vec<StoreError>) {
        let is_news = |error: &StoreError| !(self.setting.is_live() && is_gone(error));
        self.report.unreadable.extend(errors.into_iter().filter(is_news));
    }
}

/// Whether the file has gone since the directory was listed.
fn is_gone(error: &StoreError) -> bool {
    matches!(error, StoreError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
}

/// The file or directory that could not be looked at.
fn path_of(error: &StoreError) -> &Path {
    match error {
        StoreError::Io { path, .. }
        | StoreError::NotAFile { path, .. }
        | StoreError::Shrunk { path, .. }
        | StoreError::BeyondEnd { path, .. }
        | StoreError::TooLarge { path, .. }
        | StoreError::LockHeld { path, .. }
        | StoreError::NotItselfAFile { path }
        | StoreError::NotKafkas { path, .. }
        | StoreError::NothingThere { path, .. }
        | StoreError::UnnameablePartition { path }
        | StoreError::NothingSelected { path, .. } => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::segment::{SegmentTask, Worker};
    use crate::check::{Depth, Id};
    use crate::format::batch::RecordBatchBuilder;
    use crate::format::compression::{Compression, DEFAULT_LIMIT};
    use crate::format::record::RecordFields;
    use crate::store::ReadPolicy;
    use crate::store::log_dir::log_dir_of;
    use std::fs;

    /// A batch of ten records.
    fn batch(base_offset: i64) -> Vec<u8> {
        let header = RecordBatchBuilder::plain_header(Offset(base_offset), 1000 + base_offset);
        let mut batch = RecordBatchBuilder::new(header, Compression::None);
        for offset_delta in 0..10 {
            batch.push(&RecordFields { offset_delta, ..RecordFields::default() });
        }
        let mut bytes = Vec::new();
        batch.write(&mut bytes).unwrap();
        bytes
    }

    /// `orders-3` of three segments, 0, 10 and 20, in a log dir that was closed in order.
    fn made() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("orders-3");
        fs::create_dir(&path).unwrap();
        for base in [0, 10, 20] {
            fs::write(path.join(format!("{base:020}.log")), batch(base)).unwrap();
            fs::write(path.join(format!("{base:020}.index")), b"").unwrap();
            fs::write(path.join(format!("{base:020}.timeindex")), b"").unwrap();
        }
        for name in ["replication-offset-checkpoint", "recovery-point-offset-checkpoint"] {
            fs::write(dir.path().join(name), "0\n1\norders 3 30\n").unwrap();
        }
        fs::write(path.join("leader-epoch-checkpoint"), "0\n1\n4 30\n").unwrap();
        (dir, path)
    }

    fn judged(path: &Path, is_live: bool, between: impl Fn()) -> PartitionReport {
        let policy = ReadPolicy { may_change: is_live, ..ReadPolicy::default() };
        let setting = Setting { policy, depth: Depth::Checksums, clean_shutdown: true };
        let facts = LogDirFacts::read(&log_dir_of(path).unwrap());
        let dir = PartitionDir::read(path).unwrap();
        between();
        let mut check = PartitionCheck::new(&dir, Surroundings::of(&dir, &facts), setting);
        let segments = dir.segments();
        for (at, files) in segments.iter().enumerate() {
            let next_base_offset = segments.get(at + 1).map(|next| next.base_offset);
            let task = SegmentTask { files: *files, next_base_offset, snapshot_offsets: &[], setting, stop: None };
            check.take(Worker::new(DEFAULT_LIMIT).judge(&task));
        }
        check.finish()
    }

    /// The findings that are about more than one file.
    fn ids(report: &PartitionReport) -> Vec<Id> {
        let is_ours = |id: &Id| ["partition", "segments", "logdir"].contains(&id.name().split('/').next().unwrap());
        report.findings.iter().map(|finding| finding.id).filter(is_ours).collect()
    }

    #[test]
    fn a_partition_is_reported_with_its_offsets() {
        let (_dir, path) = made();
        let report = judged(&path, false, || {});
        assert_eq!(ids(&report), []);
        assert_eq!((report.segments, report.batches, report.records), (3, 3, 30));
        assert_eq!(report.size_in_bytes, 3 * batch(0).len() as u64);
        assert_eq!((report.log_start_offset, report.high_watermark), (Some(Offset(0)), Some(Offset(30))));
        assert_eq!((report.log_end_offset, report.latest_epoch), (Some(Offset(30)), Some(4)));
        assert_eq!(report.last_timestamp, Some(1020));
    }

    #[test]
    fn a_lost_newest_segment_shows_in_the_high_watermark_only() {
        let (_dir, path) = made();
        for suffix in ["log", "index", "timeindex"] {
            fs::remove_file(path.join(format!("{:020}.{suffix}", 20))).unwrap();
        }
        let report = judged(&path, false, || {});
        assert_eq!(ids(&report), [Id::LogDirHighWatermarkBeyondEnd]);
        assert_eq!(report.log_end_offset, Some(Offset(20)));
    }

    #[test]
    fn a_damaged_tail_is_not_told_by_the_checkpoints_again() {
        let (_dir, path) = made();
        fs::write(path.join(format!("{:020}.log", 20)), &batch(20)[..50]).unwrap();
        let report = judged(&path, false, || {});
        assert_eq!((ids(&report), report.log_end_offset), (vec![], Some(Offset(20))));
    }

    #[test]
    fn a_segment_lost_between_others_is_a_gap() {
        let (_dir, path) = made();
        for suffix in ["log", "index", "timeindex"] {
            fs::remove_file(path.join(format!("{:020}.{suffix}", 10))).unwrap();
        }
        assert_eq!(ids(&judged(&path, false, || {})), [Id::SegmentsGap]);
    }

    #[test]
    fn segments_that_vanish_beside_a_running_broker_are_no_news() {
        let (_dir, path) = made();
        let remove = || fs::remove_file(path.join(format!("{:020}.log", 0))).unwrap();
        let report = judged(&path, true, remove);
        assert!(report.unreadable.is_empty(), "{:?}", report.unreadable);
        assert_eq!((ids(&report), report.segments), (vec![], 2));
    }

    #[test]
    fn of_a_log_that_cannot_be_read_the_end_is_not_known() {
        let (_dir, path) = made();
        let remove = || fs::remove_file(path.join(format!("{:020}.log", 20))).unwrap();
        let report = judged(&path, false, remove);
        assert_eq!((report.unreadable.len(), report.log_end_offset), (1, None));
        assert_eq!(ids(&report), []);
    }

    #[test]
    fn the_metadata_log_has_no_lines_in_the_checkpoints() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("__cluster_metadata-0");
        fs::create_dir(&path).unwrap();
        fs::write(dir.path().join("recovery-point-offset-checkpoint"), "0\n1\n__cluster_metadata 0 9\n").unwrap();
        let facts = LogDirFacts::read(dir.path());
        let surroundings = Surroundings::of(&PartitionDir::read(&path).unwrap(), &facts);
        assert_eq!(surroundings.checkpointed, Checkpointed::default());
    }
}
