//! The names in a partition directory, and the files that are not part of a segment: what a broker makes of them when
//! it starts, before it looks into any log.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Setting;
use super::catalogue::Id;
use super::finding::{Finding, Findings, Severity};
use super::partition::Surroundings;
use crate::format::Offset;
use crate::format::file_name::{DirState, FileKind, FileState};
use crate::format::partition_metadata::PartitionMetadata;
use crate::format::uuid::Uuid;
use crate::scan::{BatchScan, LogSoFar, ScanOptions, Verify};
use crate::store::partition::PartitionDir;
use crate::store::{NamedFile, StoreError, open, read_small};

/// The largest `partition.metadata` that is read, in bytes.
const LARGEST_METADATA: u64 = 1 << 20;

/// A partition directory whose names are judged.
#[derive(Clone, Copy, Debug)]
pub struct PartitionFiles<'a> {
    /// The directory.
    pub dir: &'a PartitionDir,
    /// What the log dir says.
    pub surroundings: &'a Surroundings,
    /// How to look.
    pub setting: Setting,
    /// Whether it is the metadata log of KRaft.
    pub is_metadata_log: bool,
}

/// What was seen.
#[derive(Debug, Default)]
pub struct JudgedFiles {
    /// What was seen.
    pub findings: Findings,
    /// The topic id in `partition.metadata`.
    pub topic_id: Option<Uuid>,
    /// Files that could not be looked at.
    pub unreadable: Vec<StoreError>,
}

impl PartitionFiles<'_> {
    /// Judges all names, and `partition.metadata`.
    pub fn judge(&self) -> JudgedFiles {
        let mut judged = JudgedFiles::default();
        self.names_begin_with_an_offset(&mut judged.findings);
        self.offsets_have_twenty_digits(&mut judged.findings);
        self.no_compaction_was_interrupted(&mut judged);
        self.nothing_waits_for_removal(&mut judged.findings);
        self.no_file_was_half_written(&mut judged.findings);
        self.indexes_have_a_log(&mut judged.findings);
        self.there_is_a_segment(&mut judged.findings);
        self.all_files_are_kafkas(&mut judged.findings);
        self.metadata_names_the_topic(&mut judged);
        judged
    }

    fn state(&self) -> DirState {
        self.dir.name.as_ref().map_or(DirState::Current, |name| name.state)
    }

    /// Files whose names begin with a number, or should.
    fn numbered(&self) -> impl Iterator<Item = &NamedFile> {
        self.dir.files.iter().filter(|file| match file.name.kind {
            FileKind::KraftSnapshot => self.is_metadata_log,
            FileKind::Other => true,
            kind => kind.suffix().is_some(),
        })
    }

    /// What stands before the first dot of a segment's file or a snapshot is a number: a broker does not start
    /// otherwise. What waits for removal is removed without a look at its name.
    ///
    /// Source: Kafka `LogFileUtils.offsetFromFile`, `Snapshots.parse`.
    fn names_begin_with_an_offset(&self, findings: &mut Findings) {
        for file in self.numbered() {
            let is_snapshot = file.name.kind == FileKind::KraftSnapshot;
            let is_read = is_snapshot || file.name.state != FileState::Deleted;
            let is_number = file.name.base_offset.is_some() && (!is_snapshot || file.name.epoch.is_some());
            if is_read && !is_number {
                findings.push(Finding::new(Id::PartitionBadName, file.path()).with("name", file.file_name()));
            }
        }
    }

    /// The number is written with twenty digits. Of a log with another name the broker opens, or makes, the file of the
    /// right name, and passes over what this one holds. An index of another name is passed over or removed, and a
    /// producer snapshot is read all the same.
    ///
    /// Source: Kafka `LogFileUtils.logFile`, `LogLoader`.
    fn offsets_have_twenty_digits(&self, findings: &mut Findings) {
        let in_use = |file: &&NamedFile| matches!(file.name.state, FileState::Live | FileState::Swap);
        for file in self.numbered().filter(in_use) {
            let (false, Some(base_offset)) = (file.name.canonical, file.name.base_offset) else { continue };
            if matches!(file.name.kind, FileKind::Other) || !self.is_partitions(file) {
                continue;
            }
            let mut finding = Finding::new(Id::PartitionNameNotCanonical, file.path())
                .offset(base_offset)
                .with("name", file.file_name());
            if let Some(canonical) = file.name.canonical_name() {
                let is_there = self.dir.files.iter().any(|other| other.file_name() == canonical);
                finding = finding.with("openedInstead", canonical).with("isThere", if is_there { "yes" } else { "no" });
            }
            let severity = match (file.name.kind, self.state()) {
                (_, DirState::Delete) => Severity::Info,
                (FileKind::Log, _) => Severity::Error,
                _ => Severity::Warning,
            };
            findings.push(finding.as_severity(severity));
        }
    }

    /// No file is the output of a compaction or a split that was interrupted. What is not committed (`.cleaned`) is
    /// removed at the next start. What is committed (`.swap`) takes its final name, and segments with a base offset
    /// among the offsets it holds are deleted: they are what it was made of, unless it came from elsewhere.
    ///
    /// Source: Kafka `LogLoader.removeTempFilesAndCollectSwapFiles`.
    fn no_compaction_was_interrupted(&self, judged: &mut JudgedFiles) {
        let least_cleaned = self.grouped(FileState::Cleaned).into_keys().flatten().min();
        for group in self.grouped(FileState::Cleaned).into_values() {
            judged.findings.push(leftover(Id::PartitionCleanedFile, &group));
        }
        let is_kept = |base: Option<Offset>| least_cleaned.is_none_or(|least| base.is_some_and(|base| base < least));
        let swapped = self.grouped(FileState::Swap);
        let range = self.swapped_offsets(swapped.keys().copied().filter(|base| is_kept(*base)).flatten(), judged);
        let replaced = range.map_or(0, |(from, until)| {
            let is_replaced = |base: Offset| base >= from && base < until;
            self.dir.segments().iter().filter(|segment| is_replaced(segment.base_offset)).count() as u64
        });
        for (base, group) in swapped {
            let finding = leftover(Id::PartitionSwapFile, &group);
            if !is_kept(base) {
                // An uncommitted file of the same round shows that the commit was not finished: removed as well.
                judged.findings.push(finding.with("fate", "removed").as_severity(Severity::Info));
                continue;
            }
            let finding = finding.with("fate", "renamed");
            judged.findings.push(match range {
                Some((from, until)) => {
                    finding.with("replacesFrom", from).with("replacesUntil", until).with("replacedSegments", replaced)
                }
                None => finding,
            });
        }
    }

    /// From the smallest base offset (inclusive) to the largest end (exclusive) of the logs that will take the place of
    /// others, by their headers.
    fn swapped_offsets(
        &self,
        bases: impl Iterator<Item = Offset>,
        judged: &mut JudgedFiles,
    ) -> Option<(Offset, Offset)> {
        let bases: Vec<Offset> = bases.collect();
        let logs = self.dir.segments_in(FileState::Swap);
        let mut range: Option<(Offset, Offset)> = None;
        for segment in logs.iter().filter(|segment| bases.contains(&segment.base_offset)) {
            let Some(log) = segment.log else { continue };
            match next_offset(&log.path(), segment.base_offset, self.setting) {
                Ok(end) => {
                    let (from, until) = range.unwrap_or((segment.base_offset, end));
                    range = Some((from.min(segment.base_offset), until.max(end)));
                }
                Err(error) => judged.unreadable.push(error),
            }
        }
        range
    }

    /// No file waits for being removed.
    ///
    /// Source: Kafka `LogLoader.removeTempFilesAndCollectSwapFiles`, `KafkaMetadataLog.recoverSnapshots`.
    fn nothing_waits_for_removal(&self, findings: &mut Findings) {
        for state in [FileState::Deleted, FileState::Part] {
            for group in self.grouped(state).into_values() {
                findings.push(leftover(Id::PartitionDeletedFile, &group));
            }
        }
    }

    /// No small file was being replaced when the broker stopped.
    ///
    /// Source: Kafka `CheckpointFile.write`, `PartitionMetadataFile.write`.
    fn no_file_was_half_written(&self, findings: &mut Findings) {
        for file in self.dir.files.iter().filter(|file| file.name.state == FileState::Tmp && self.is_partitions(file)) {
            findings.push(Finding::new(Id::LogDirTemporaryFile, file.path()).with("name", file.file_name()));
        }
    }

    /// Every index has its log: a broker removes one that has none. It is what is left of a segment that was being
    /// deleted, or of one that was lost. One finding for all indexes of a segment.
    ///
    /// Source: Kafka `LogLoader.loadSegmentFiles`.
    fn indexes_have_a_log(&self, findings: &mut Findings) {
        for segment in self.dir.segments().iter().filter(|segment| segment.log.is_none()) {
            let indexes = [segment.offset_index, segment.time_index, segment.txn_index];
            // One of another name is passed over for its name.
            let indexes = indexes.map(|index| index.filter(|index| index.name.canonical));
            let Some(first) = indexes.into_iter().flatten().next() else { continue };
            findings.push(
                Finding::new(Id::IndexOrphan, first.path())
                    .offset(segment.base_offset)
                    .with("baseOffset", segment.base_offset)
                    .with("files", indexes.iter().flatten().count() as u64),
            );
        }
    }

    /// There is a log. Without one the broker makes an empty segment at the log start of the checkpoint, or at 0. That
    /// is an error where something says that there was data, and what a broker that died at once leaves where not.
    ///
    /// Source: Kafka `LogLoader.recoverLog`.
    fn there_is_a_segment(&self, findings: &mut Findings) {
        let segments = self.dir.segments();
        let is_being_removed = self.state() == DirState::Delete;
        if is_being_removed || segments.iter().any(|segment| segment.log.is_some()) {
            return;
        }
        let checkpointed = self.surroundings.checkpointed;
        let lines = [checkpointed.high_watermark, checkpointed.recovery_point, checkpointed.log_start_offset];
        let reached = lines.into_iter().flatten().max().unwrap_or_default();
        let named = self.dir.files.iter().filter_map(|file| file.name.base_offset).max().unwrap_or_default();
        let is_swapped_in = self.dir.segments_in(FileState::Swap).iter().any(|segment| segment.log.is_some());
        if self.is_metadata_log && named == Offset(0) && segments.is_empty() {
            return; // As `kafka-storage format` leaves it.
        }
        let held_data = reached.max(named) > Offset(0) || !segments.is_empty();
        let severity = if held_data && !is_swapped_in { Severity::Error } else { Severity::Warning };
        findings.push(
            Finding::new(Id::PartitionEmpty, &self.dir.path)
                .with("checkpointedOffset", reached)
                .with("newSegmentAt", checkpointed.log_start_offset.unwrap_or_default().max(Offset(0)))
                .with("orphanSegments", segments.len() as u64)
                .as_severity(severity),
        );
    }

    /// All files and directories are Kafka's. Others are passed over by brokers.
    fn all_files_are_kafkas(&self, findings: &mut Findings) {
        let mut foreign = |name: &std::ffi::OsStr, is: &str| {
            let finding = Finding::new(Id::PartitionForeignFile, self.dir.path.join(name));
            findings.push(finding.with("name", name.to_string_lossy().into_owned()).with("is", is));
        };
        self.dir.foreign.iter().for_each(|name| foreign(name, "file"));
        self.dir.directories.iter().for_each(|name| foreign(name, "directory"));
        for file in self.dir.files.iter().filter(|file| !self.is_partitions(file)) {
            foreign(file.file_name().as_ref(), "file");
        }
    }

    /// Whether a broker has a use for such a file in this directory.
    fn is_partitions(&self, file: &NamedFile) -> bool {
        match file.name.kind {
            FileKind::KraftSnapshot | FileKind::QuorumState => self.is_metadata_log,
            FileKind::Other => true,
            kind => kind.place() == Some(crate::format::file_name::Place::Partition),
        }
    }

    /// `partition.metadata` can be read, which every broker demands that finds it, and under KRaft it is there: without
    /// it a broker sets the whole directory aside (`-stray`) and the partition starts empty.
    ///
    /// The metadata log gets its file again. What was set aside already, or is being deleted, needs none.
    ///
    /// Source: Kafka `PartitionMetadataFile`, `UnifiedLog`, `LogManager.loadLog`.
    fn metadata_names_the_topic(&self, judged: &mut JudgedFiles) {
        let path = self.dir.path.join(FileKind::PartitionMetadata.fixed_name().unwrap_or_default());
        if self.dir.file(FileKind::PartitionMetadata).is_none() {
            return self.metadata_is_missing(&path, &mut judged.findings);
        }
        let bytes = match read_small(&path, LARGEST_METADATA) {
            Ok(bytes) => bytes,
            Err(error) => return judged.unreadable.push(error),
        };
        match PartitionMetadata::parse(&bytes) {
            Ok(metadata) => {
                judged.topic_id = Some(metadata.topic_id);
                let is_reserved = metadata.topic_id == Uuid::METADATA_TOPIC;
                if is_reserved && !self.is_metadata_log && self.is_assigned() {
                    let finding = Finding::new(Id::PartitionMetadataForeign, path);
                    judged.findings.push(
                        finding.with("topicId", metadata.topic_id.to_string()).with("idOf", "__cluster_metadata"),
                    );
                }
            }
            Err(error) => {
                let at_start = if error.is_io_exception() { "offline" } else { "noStart" };
                judged.findings.push(
                    Finding::new(Id::PartitionMetadataUnreadable, path)
                        .with("reason", error.to_string())
                        .with("atStart", at_start),
                );
            }
        }
    }

    fn metadata_is_missing(&self, path: &Path, findings: &mut Findings) {
        if !self.is_assigned() || self.is_metadata_log {
            return;
        }
        let sizes = self.dir.segments().iter().map(|segment| segment.size_in_bytes().unwrap_or(1)).sum::<u64>();
        let finding = Finding::new(Id::PartitionMetadataMissing, path).with("logBytes", sizes);
        findings.push(match (self.state(), sizes) {
            // A replica on its way to another log dir is a copy, and an empty partition has nothing to lose: a broker
            // that died at once after making it leaves it so.
            (DirState::Future, _) | (_, 0) => finding.as_severity(Severity::Warning),
            _ => finding,
        });
    }

    /// Whether it is in a log dir of KRaft and in use there.
    fn is_assigned(&self) -> bool {
        self.surroundings.is_kraft && matches!(self.state(), DirState::Current | DirState::Future)
    }

    /// The files in `state`, by the number in their names.
    fn grouped(&self, state: FileState) -> BTreeMap<Option<Offset>, Vec<&NamedFile>> {
        let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for file in self.dir.files.iter().filter(|file| file.name.state == state && self.is_partitions(file)) {
            groups.entry(file.name.base_offset).or_default().push(file);
        }
        groups
    }
}

/// One finding for all files of a segment that were left in the same state, about the first of them.
fn leftover(id: Id, group: &[&NamedFile]) -> Finding {
    let path = group.first().map_or_else(PathBuf::new, |file| file.path());
    let size: u64 = group.iter().filter_map(|file| file.facts().ok()).map(|facts| facts.size_in_bytes).sum();
    let finding = Finding::new(id, path).with("files", group.len() as u64).with("sizeInBytes", size);
    match group.first().and_then(|file| file.name.base_offset) {
        Some(base_offset) => finding.offset(base_offset).with("baseOffset", base_offset),
        None => finding,
    }
}

/// The offset behind the last batch of a log, by headers only; its base where there is none.
fn next_offset(path: &Path, base_offset: Offset, setting: Setting) -> Result<Offset, StoreError> {
    let storage = open(path, setting.policy)?;
    let options = ScanOptions { verify: Verify::Framing, ..ScanOptions::default() };
    let mut scan = BatchScan::new(storage.as_ref(), LogSoFar::segment(base_offset, None), options);
    let mut next = base_offset;
    while let Some(scanned) = scan.next_batch()? {
        next = next.max(Offset(scanned.header.last_offset().0.saturating_add(1)));
    }
    Ok(next)
}
