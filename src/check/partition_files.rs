//! The names in a partition directory, and the files that are not part of a segment: what a broker makes of them when
//! it starts, before it looks into any log.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use super::Setting;
use super::catalogue::Id;
use super::finding::{Detail, Finding, Findings, Severity};
use super::partition::Surroundings;
use crate::format::Offset;
use crate::format::file_name::{CLUSTER_METADATA_TOPIC, DirState, FileKind, FileState, Place, segment_file_name};
use crate::format::partition_metadata::PartitionMetadata;
use crate::format::uuid::Uuid;
use crate::scan::{BatchScan, LogSoFar, ScanOptions, Verify};
use crate::store::partition::PartitionDir;
use crate::store::undo_dir::{UNDO_DIR_PREFIX, UndoState, undo_action, undo_state};
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
        self.dir.files.iter().filter(|file| match (file.name.kind, file.name.state) {
            (FileKind::KraftSnapshot, _) => self.is_metadata_log,
            // Whatever the name is otherwise.
            (_, FileState::Swap | FileState::Cleaned) => true,
            (kind, _) => kind.suffix().is_some(),
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
        let names: HashSet<&str> = self.dir.files.iter().map(NamedFile::file_name).collect();
        for file in self.numbered().filter(in_use) {
            let (false, Some(base_offset)) = (file.name.canonical, file.name.base_offset) else { continue };
            if file.name.kind.suffix().is_none() {
                continue;
            }
            let mut finding = Finding::new(Id::PartitionNameNotCanonical, file.path())
                .offset(base_offset)
                .with("name", file.file_name());
            if opened_name(file).is_some_and(|opened| opened == file.file_name()) {
                finding = finding.with("openedAs", base_offset);
            } else if let Some(canonical) = opened_name(file) {
                let is_there = names.contains(canonical.as_str());
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
            // One of the same name goes whatever the range.
            let is_replaced = |base: Offset| (base >= from && base < until) || swapped.contains_key(&Some(base));
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
        let bases: BTreeSet<Offset> = bases.collect();
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
        let orphans = (!segments.is_empty()).then_some(("orphanSegments", Detail::from(segments.len() as u64)));
        let mut finding = Finding::new(Id::PartitionEmpty, &self.dir.path)
            .with("checkpointedOffset", reached)
            .with("newSegmentAt", checkpointed.log_start_offset.unwrap_or_default().max(Offset(0)))
            .as_severity(severity);
        finding.details.extend(orphans);
        findings.push(finding);
    }

    /// All files and directories are Kafka's. Others are passed over by brokers.
    fn all_files_are_kafkas(&self, findings: &mut Findings) {
        let mut foreign = |name: &std::ffi::OsStr, is: &str| {
            let finding = Finding::new(Id::PartitionForeignFile, self.dir.path.join(name));
            findings.push(finding.with("name", name.to_string_lossy().into_owned()).with("is", is));
        };
        self.dir.foreign.iter().for_each(|name| foreign(name, "file"));
        let is_undo_data = |name: &&std::ffi::OsString| name.as_encoded_bytes().starts_with(UNDO_DIR_PREFIX.as_bytes());
        let (undo_data, others): (Vec<_>, Vec<_>) = self.dir.directories.iter().partition(is_undo_data);
        others.into_iter().for_each(|name| foreign(name, "directory"));
        for file in self.dir.files.iter().filter(|file| !self.is_partitions(file)) {
            foreign(file.file_name().as_ref(), "file");
        }
        undo_data.into_iter().for_each(|name| findings.push(undo_data_finding(&self.dir.path.join(name))));
    }

    /// Whether a broker has a use for such a file in this directory.
    fn is_partitions(&self, file: &NamedFile) -> bool {
        match (file.name.kind, file.name.state) {
            (FileKind::KraftSnapshot | FileKind::QuorumState, _) => self.is_metadata_log,
            (_, FileState::Deleted | FileState::Cleaned | FileState::Swap) => true,
            (kind, _) => kind.place() == Some(Place::Partition),
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
                        finding.with("topicId", metadata.topic_id.to_string()).with("idOf", CLUSTER_METADATA_TOPIC),
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

/// The name of the file that a broker opens for the number in this one's name.
///
/// Source: Kafka `LogFileUtils.filenamePrefixFromOffset`.
fn opened_name(file: &NamedFile) -> Option<String> {
    // Java pads the digits alone.
    let digits = file.name.base_offset.filter(|offset| offset.0 < 0).and_then(|offset| offset.0.checked_neg());
    match digits {
        Some(digits) => Some(format!("-{}", segment_file_name(Offset(digits), file.name.kind, file.name.state))),
        None => file.name.canonical_name(),
    }
}

/// Says from which change the undo data in `dir` is, and how far that has come.
fn undo_data_finding(dir: &Path) -> Finding {
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    let time = name.strip_prefix(UNDO_DIR_PREFIX).unwrap_or_default().to_owned();
    let action = undo_action(dir).unwrap_or_else(|| "kfsck".to_owned());
    let (state, severity) = match undo_state(dir) {
        UndoState::Prepared => ("not begun", Severity::Info),
        UndoState::Interrupted => ("interrupted", Severity::Warning),
        UndoState::Finished => ("done", Severity::Info),
        UndoState::Discarding => ("not needed any more", Severity::Info),
        UndoState::PlanMissing => ("without its plan", Severity::Warning),
    };
    let finding = Finding::new(Id::PartitionUndoData, dir.to_owned()).as_severity(severity);
    finding.with("action", action).with("time", time).with("state", state)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Depth, Detail};
    use crate::format::batch::RecordBatchBuilder;
    use crate::format::compression::Compression;
    use crate::format::record::RecordFields;
    use crate::store::ReadPolicy;
    use std::fs;

    const LOG: &str = "00000000000000000000.log";

    /// A partition directory in a temporary one.
    struct Made {
        _dir: tempfile::TempDir,
        dir: PartitionDir,
        surroundings: Surroundings,
    }

    fn made(name: &str, files: &[(&str, &[u8])]) -> Made {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        fs::create_dir(&path).unwrap();
        for (file, bytes) in files {
            match file.strip_suffix('/') {
                Some(directory) => fs::create_dir(path.join(directory)).unwrap(),
                None => fs::write(path.join(file), bytes).unwrap(),
            }
        }
        Made { dir: PartitionDir::read(&path).unwrap(), _dir: dir, surroundings: Surroundings::default() }
    }

    impl Made {
        fn in_kraft(mut self) -> Self {
            self.surroundings.is_kraft = true;
            self
        }

        fn judge(&self) -> JudgedFiles {
            let setting = Setting { policy: ReadPolicy::default(), depth: Depth::Checksums, clean_shutdown: true };
            let is_metadata_log = self.dir.name.as_ref().is_some_and(crate::check::kraft::is_metadata_log);
            PartitionFiles { dir: &self.dir, surroundings: &self.surroundings, setting, is_metadata_log }.judge()
        }

        /// Kind, severity and file name of each finding.
        fn seen(&self) -> Vec<(Id, Severity, String)> {
            let judged = self.judge();
            assert!(judged.unreadable.is_empty());
            let name = |finding: &Finding| finding.path.file_name().unwrap().to_str().unwrap().to_owned();
            judged.findings.iter().map(|finding| (finding.id, finding.severity, name(finding))).collect()
        }
    }

    /// What is seen where these files, empty, are beside a log at 0.
    fn beside_a_log(name: &str, files: &[&str]) -> Vec<(Id, Severity, String)> {
        let files: Vec<(&str, &[u8])> = files.iter().copied().chain([LOG]).map(|file| (file, &b""[..])).collect();
        made(name, &files).seen()
    }

    fn seen(id: Id, severity: Severity, name: &str) -> (Id, Severity, String) {
        (id, severity, name.to_owned())
    }

    fn log(base_offset: i64, records: i32) -> Vec<u8> {
        let header = RecordBatchBuilder::plain_header(Offset(base_offset), 0);
        let mut batch = RecordBatchBuilder::new(header, Compression::None);
        for offset_delta in 0..records {
            batch.push(&RecordFields { offset_delta, ..RecordFields::default() });
        }
        let mut bytes = Vec::new();
        batch.write(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn the_files_of_a_partition_are_no_news() {
        let files = [
            "00000000000000000000.index",
            "00000000000000000000.timeindex",
            "00000000000000000000.txnindex",
            "00000000000000000007.snapshot",
            "leader-epoch-checkpoint",
            "remote_log_snapshot",
        ];
        assert_eq!(beside_a_log("orders-3", &files), []);
        let bytes = b"version: 0\ntopic_id: 0ZqNoWA8TPWK5FISrGvanw";
        let files = [(LOG, &b""[..]), ("partition.metadata", bytes)];
        let with_id = made("orders-3", &files).in_kraft();
        assert_eq!(with_id.seen(), []);
        assert_eq!(with_id.judge().topic_id.unwrap().to_string(), "0ZqNoWA8TPWK5FISrGvanw");
        let metadata = ["00000000000000000000-0000000000.checkpoint", "quorum-state"];
        assert_eq!(beside_a_log("__cluster_metadata-0", &metadata), []);
    }

    #[test]
    fn a_name_without_an_offset_stops_a_broker_unless_the_file_waits_for_removal() {
        let bad = |name| seen(Id::PartitionBadName, Severity::Error, name);
        let files = ["abc.log", "abc.index", "x.snapshot"];
        assert_eq!(beside_a_log("orders-3", &files), ["abc.log", "abc.index", "x.snapshot"].map(bad));
        assert_eq!(beside_a_log("orders-3", &["abc.log.deleted"])[0].0, Id::PartitionDeletedFile);
        let swap = beside_a_log("orders-3", &["leader-epoch-checkpoint.swap"]);
        assert!(swap.contains(&bad("leader-epoch-checkpoint.swap")), "{swap:?}");
        assert_eq!(beside_a_log("__cluster_metadata-0", &["abc.checkpoint"]), [bad("abc.checkpoint")]);
    }

    #[test]
    fn a_log_whose_offset_has_not_twenty_digits_is_passed_over() {
        let id = Id::PartitionNameNotCanonical;
        assert_eq!(beside_a_log("orders-3", &["5.log"]), [seen(id, Severity::Error, "5.log")]);
        assert_eq!(beside_a_log("orders-3", &["-5.log"]), [seen(id, Severity::Error, "-5.log")]);
        assert_eq!(beside_a_log("orders-3", &["0.index"]), [seen(id, Severity::Warning, "0.index")]);
        let name = "orders-3.0123456789abcdef0123456789abcdef-delete";
        assert_eq!(beside_a_log(name, &["5.log"]), [seen(id, Severity::Info, "5.log")]);
        let both = made("orders-3", &[("0.log", b""), (LOG, b"")]).judge().findings.into_vec();
        assert!(both[0].details.contains(&("openedInstead", Detail::from(LOG))));
        assert!(both[0].details.contains(&("isThere", Detail::from("yes"))));
    }

    #[test]
    fn what_a_compaction_left_is_told_once_for_each_segment() {
        let cleaned = ["00000000000000000000.log.cleaned", "00000000000000000000.index.cleaned"];
        let expected = [seen(Id::PartitionCleanedFile, Severity::Info, cleaned[0])];
        assert_eq!(beside_a_log("orders-3", &cleaned), expected);
        let deleted = ["00000000000000000000.log.deleted", "00000000000000000000.index.deleted"];
        let expected = [seen(Id::PartitionDeletedFile, Severity::Info, deleted[0])];
        assert_eq!(beside_a_log("orders-3", &deleted), expected);
    }

    #[test]
    fn a_swap_file_says_which_segments_it_replaces() {
        let swapped = log(0, 20);
        let files: [(&str, &[u8]); 4] = [
            (LOG, b""),
            ("00000000000000000010.log", b""),
            ("00000000000000000020.log", b""),
            ("00000000000000000000.log.swap", &swapped),
        ];
        let made = made("orders-3", &files);
        assert_eq!(made.seen(), [seen(Id::PartitionSwapFile, Severity::Warning, "00000000000000000000.log.swap")]);
        let findings = made.judge().findings.into_vec();
        let int = |name| findings[0].int(name).unwrap();
        assert_eq!((int("replacesFrom"), int("replacesUntil"), int("replacedSegments")), (0, 20, 2));
    }

    #[test]
    fn a_swap_file_of_a_commit_that_was_not_finished_is_only_removed() {
        let files = ["00000000000000000005.log.swap", "00000000000000000000.log.cleaned"];
        let expected = [
            seen(Id::PartitionCleanedFile, Severity::Info, files[1]),
            seen(Id::PartitionSwapFile, Severity::Info, files[0]),
        ];
        assert_eq!(beside_a_log("orders-3", &files), expected);
    }

    #[test]
    fn a_file_half_written_is_information() {
        let name = "leader-epoch-checkpoint.tmp";
        assert_eq!(beside_a_log("orders-3", &[name]), [seen(Id::LogDirTemporaryFile, Severity::Info, name)]);
    }

    #[test]
    fn indexes_without_a_log_are_told_once_for_each_segment() {
        let indexes = ["00000000000000000010.index", "00000000000000000010.timeindex"];
        let expected = [seen(Id::IndexOrphan, Severity::Warning, indexes[0])];
        assert_eq!(beside_a_log("orders-3", &indexes), expected);
    }

    #[test]
    fn a_partition_without_a_segment_is_an_error_where_it_held_data() {
        let empty = |severity| [seen(Id::PartitionEmpty, severity, "orders-3")];
        assert_eq!(made("orders-3", &[]).seen(), empty(Severity::Warning));
        let snapshot = ("00000000000000000040.snapshot", &b""[..]);
        assert_eq!(made("orders-3", &[snapshot]).seen(), empty(Severity::Error));
        let mut checkpointed = made("orders-3", &[]);
        checkpointed.surroundings.checkpointed.high_watermark = Some(Offset(7));
        assert_eq!(checkpointed.seen(), empty(Severity::Error));
        let swapped = log(0, 20);
        let in_time = made("orders-3", &[snapshot, ("00000000000000000000.log.swap", &swapped)]).seen();
        assert!(in_time.contains(&empty(Severity::Warning)[0]), "{in_time:?}");
        assert_eq!(made("orders-3.0123456789abcdef0123456789abcdef-delete", &[]).seen(), []);
        let formatted = ("00000000000000000000-0000000000.checkpoint", &b""[..]);
        assert_eq!(made("__cluster_metadata-0", &[formatted]).seen(), []);
    }

    #[test]
    fn what_is_none_of_kafkas_files_is_information() {
        let foreign = |name| seen(Id::PartitionForeignFile, Severity::Info, name);
        for name in ["notes.txt", "meta.properties", "quorum-state"] {
            assert_eq!(beside_a_log("orders-3", &[name]), [foreign(name)]);
        }
        assert_eq!(beside_a_log("orders-3", &["backup/"]), [foreign("backup")]);
    }

    #[test]
    fn undo_data_is_told_with_its_change_and_an_interrupted_one_is_a_warning() {
        let name = ".kfsck-undo-20261122T080910.123Z";
        for (files, state, severity) in [
            (&[][..], "not begun", Severity::Info),
            (&["plan", "preparing"], "not begun", Severity::Info),
            (&["plan", "discarding"], "not needed any more", Severity::Info),
            (&["finished"], "without its plan", Severity::Warning),
            (&["plan"], "interrupted", Severity::Warning),
            (&["plan", "finished"], "done", Severity::Info),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let undo_dir = dir.path().join(name);
            std::fs::create_dir(&undo_dir).unwrap();
            for file in files {
                std::fs::write(undo_dir.join(file), r#"{"layout":2,"change":{"plan":{"action":"rebuild-index"}}}"#)
                    .unwrap();
            }
            let finding = undo_data_finding(&undo_dir);
            assert_eq!((finding.id, finding.severity), (Id::PartitionUndoData, severity));
            let action = if files.contains(&"plan") { "rebuild-index" } else { "kfsck" };
            let wanted = [("action", action), ("time", "20261122T080910.123Z"), ("state", state)];
            let said = finding.details.iter().map(|(name, detail)| (*name, format!("{detail:?}")));
            for ((name, said), (wanted_name, wanted)) in said.zip(wanted) {
                assert!(name == wanted_name && said.contains(wanted), "{name} {said}");
            }
        }
        let undo_data = |name| seen(Id::PartitionUndoData, Severity::Info, name);
        assert_eq!(beside_a_log("orders-3", &[".kfsck-undo-20261122T080910.123Z/"]), [undo_data(name)]);
    }

    #[test]
    fn a_partition_of_kraft_without_its_topic_id_is_an_error_if_it_holds_data() {
        let missing = |severity| [seen(Id::PartitionMetadataMissing, severity, "partition.metadata")];
        let data = log(0, 3);
        let files = [(LOG, &data[..])];
        assert_eq!(made("orders-3", &files).in_kraft().seen(), missing(Severity::Error));
        assert_eq!(made("orders-3", &[(LOG, b"")]).in_kraft().seen(), missing(Severity::Warning));
        let future = "orders-3.0123456789abcdef0123456789abcdef-future";
        assert_eq!(made(future, &files).in_kraft().seen(), missing(Severity::Warning));
        // Without KRaft it is not always written, what was set aside needs none, and the metadata log gets its own.
        assert_eq!(made("orders-3", &files).seen(), []);
        assert_eq!(made("orders-3.0123456789abcdef0123456789abcdef-stray", &files).in_kraft().seen(), []);
        assert_eq!(made("__cluster_metadata-0", &files).in_kraft().seen(), []);
    }

    #[test]
    fn a_topic_id_that_cannot_be_read_stops_every_broker() {
        for (bytes, at_start) in [(&b""[..], "noStart"), (b"version: 0\ntopic_id: ", "offline")] {
            let made = made("orders-3", &[(LOG, b""), ("partition.metadata", bytes)]);
            let findings = made.judge().findings.into_vec();
            assert_eq!(findings.len(), 1);
            assert_eq!((findings[0].id, findings[0].severity), (Id::PartitionMetadataUnreadable, Severity::Error));
            assert!(findings[0].details.contains(&("atStart", Detail::from(at_start))));
        }
    }

    #[test]
    fn the_id_of_the_metadata_topic_is_no_other_topics() {
        let bytes = b"version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ";
        let files = [(LOG, &b""[..]), ("partition.metadata", bytes)];
        let expected = [seen(Id::PartitionMetadataForeign, Severity::Error, "partition.metadata")];
        assert_eq!(made("orders-3", &files).in_kraft().seen(), expected);
        assert_eq!(made("__cluster_metadata-0", &files).in_kraft().seen(), []);
    }
}
