//! A log dir: the directories and files in it, its checkpoints, and whether log dirs go together as those of one broker.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::catalogue::Id;
use super::finding::{Finding, Findings, Severity};
use super::kraft;
use super::partition::PartitionReport;
use super::{Depth, Setting};
use crate::format::file_name::{CLUSTER_METADATA_TOPIC, DirState, FileKind, FileState, Place};
use crate::format::properties::{MetaProperties, MetaPropertiesError, Properties};
use crate::format::uuid::Uuid;
use crate::scan::checkpoints::Checkpoints;
use crate::store::log_dir::{LogDir, any_directory_holds};
use crate::store::partition::PartitionName;
use crate::store::{FileFacts, NamedFile, StoreError, read_small};

/// What names the owner of a log dir in `meta.properties`, in either version.
const OWNER_KEYS: [&str; 3] = ["node.id", "broker.id", "cluster.id"];
/// The largest `meta.properties` that is read, in bytes.
const LARGEST_META_PROPERTIES: u64 = 1 << 20;

/// What the files of a log dir say about it and its partitions.
#[derive(Debug)]
pub struct LogDirFacts {
    /// The path it was found under.
    pub path: PathBuf,
    /// Its checkpoints.
    pub checkpoints: Checkpoints,
    /// What `meta.properties` says; `None` where it is not there or could not be looked at.
    pub meta_properties: Option<Result<MetaProperties, MetaPropertiesError>>,
    /// Whether `meta.properties` can be read and names neither node nor cluster: it is empty, or garbage that passes for keys.
    pub meta_names_nobody: bool,
    /// Whether the names in it are those of a log dir of KRaft, looked at only where `meta.properties` does not tell.
    looks_like_kraft: bool,
    /// Whether it was closed in order: `.kafka_cleanshutdown` is there.
    pub clean_shutdown: bool,
    /// Files that could not be looked at, besides those of [`Checkpoints::unreadable`].
    pub unreadable: Vec<StoreError>,
}

impl LogDirFacts {
    /// Reads the files of the log dir at `path`.
    pub fn read(path: &Path) -> Self {
        let file = |kind: FileKind| path.join(kind.fixed_name().unwrap_or_default());
        let mut unreadable = Vec::new();
        let mut meta_names_nobody = false;
        let meta_properties = match read_small(&file(FileKind::MetaProperties), LARGEST_META_PROPERTIES) {
            Ok(bytes) => {
                let named = |properties: &Properties| OWNER_KEYS.iter().any(|key| properties.get(key).is_some());
                meta_names_nobody = Properties::parse(&bytes).is_ok_and(|properties| !named(&properties));
                Some(MetaProperties::parse(&bytes))
            }
            Err(StoreError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                unreadable.push(error);
                None
            }
        };
        let is_told = !meta_names_nobody && matches!(meta_properties, Some(Ok(_)));
        Self {
            path: path.to_owned(),
            checkpoints: Checkpoints::read(path),
            meta_properties,
            meta_names_nobody,
            looks_like_kraft: !is_told && looks_like_kraft(path),
            clean_shutdown: FileFacts::of(&file(FileKind::CleanShutdown)).is_ok(),
            unreadable,
        }
    }

    /// Whether `meta.properties` is one of KRaft; where it does not tell, whether the log dir looks like one.
    pub fn is_kraft(&self) -> bool {
        self.known_meta().map_or(self.looks_like_kraft, |meta| meta.version == 1)
    }

    /// Whether the log of this partition was closed in order. The marker does not speak for the metadata log.
    pub fn was_closed(&self, name: &PartitionName) -> bool {
        self.clean_shutdown && !kraft::is_metadata_log(name)
    }

    fn known_meta(&self) -> Option<&MetaProperties> {
        self.meta_properties.as_ref()?.as_ref().ok().filter(|_| !self.meta_names_nobody)
    }

    /// Cluster and node that it belongs to; `None` where no node is known.
    fn owner(&self) -> Option<(Option<&str>, i32)> {
        self.known_meta().and_then(|meta| Some((meta.cluster_id.as_deref(), meta.node_id?)))
    }
}

/// A log dir that is being judged: the reports of its partitions are handed to it.
#[derive(Debug)]
pub struct LogDirCheck<'a> {
    log_dir: &'a LogDir,
    facts: Arc<LogDirFacts>,
    setting: Setting,
    topic_ids: BTreeMap<(String, i32), (PathBuf, Uuid)>,
    findings: Findings,
}

impl<'a> LogDirCheck<'a> {
    /// Reads the files of `log_dir`; no partition was judged yet. What cannot be looked at stands in
    /// [`LogDirFacts::unreadable`].
    pub fn new(log_dir: &'a LogDir, setting: Setting) -> Self {
        let mut facts = LogDirFacts::read(&log_dir.path);
        let mut findings = Findings::new();
        if setting.depth > Depth::Quick
            && let Some(file) = log_dir.files.iter().find(|file| is(file, FileKind::BootstrapSnapshot))
        {
            // What a cluster starts from is a snapshot like those beside the metadata log.
            let judged = kraft::snapshot_is_whole(&file.path(), setting, true, &mut findings);
            facts.unreadable.extend(judged.err());
        }
        Self { log_dir, facts: Arc::new(facts), setting, topic_ids: BTreeMap::new(), findings }
    }

    /// What its files say.
    pub fn facts(&self) -> Arc<LogDirFacts> {
        Arc::clone(&self.facts)
    }

    /// Takes in what is known of one of its partitions.
    pub fn partition(&mut self, name: &PartitionName, report: &PartitionReport) {
        if let (DirState::Current, Some(topic_id)) = (name.state, report.topic_id) {
            let entries = &self.log_dir.partitions;
            let entry = entries.binary_search_by(|entry| entry.name.cmp(name)).ok().and_then(|at| entries.get(at));
            let Some(entry) = entry else { return };
            self.topic_ids.insert((name.topic.clone(), name.partition), (entry.path.clone(), topic_id));
        }
    }

    /// Judges the log dir itself. A folder with copies of partition directories, in which no file says that a broker
    /// used it, has nothing to be judged.
    pub fn finish(mut self) -> Findings {
        let mut findings = std::mem::take(&mut self.findings);
        if !self.log_dir.is_formatted() {
            return findings;
        }
        self.directories_are_partitions(&mut findings);
        self.files_are_kafkas(&mut findings);
        self.meta_properties_name_the_owner(&mut findings);
        self.checkpoints_are_readable(&mut findings);
        self.checkpoint_lines_are_single(&mut findings);
        self.checkpoint_lines_have_partitions(&mut findings);
        partitions_are_there_once(&[self.log_dir], &mut findings);
        self.topics_have_one_id(&mut findings);
        if self.setting.is_live() {
            lower_what_moves(&mut findings);
        }
        findings
    }

    /// Every directory is a partition's, or the cache of tiered storage: brokers do not start beside any other.
    ///
    /// Source: Kafka `LogManager.loadLogs`, `LocalLog.parseTopicPartitionName`.
    fn directories_are_partitions(&self, findings: &mut Findings) {
        for name in &self.log_dir.foreign_directories {
            let finding = Finding::new(Id::LogDirForeignDirectory, self.log_dir.path.join(name));
            findings.push(finding.with("name", name.to_string_lossy().into_owned()));
        }
    }

    /// Every file is one of a log dir's, and none was left by an interrupted replacement. Brokers pass over all others.
    fn files_are_kafkas(&self, findings: &mut Findings) {
        let path = &self.log_dir.path;
        for name in &self.log_dir.foreign {
            let finding = Finding::new(Id::LogDirForeignFile, path.join(name));
            findings.push(finding.with("name", name.to_string_lossy().into_owned()));
        }
        for file in &self.log_dir.files {
            let id = match (file.name.kind.place(), file.name.state) {
                (Some(Place::LogDir), FileState::Live) => continue,
                (Some(Place::LogDir), FileState::Tmp) => Id::LogDirTemporaryFile,
                _ => Id::LogDirForeignFile,
            };
            findings.push(Finding::new(id, file.path()).with("name", file.file_name()));
        }
    }

    /// `meta.properties` can be read. Where it is missing, a broker of KRaft does not start; one of ZooKeeper makes it
    /// anew. What tells them apart then is the metadata log, or topic ids.
    ///
    /// Source: Kafka `MetaPropertiesEnsemble`, `KafkaRaftServer.initializeLogDirs`.
    fn meta_properties_name_the_owner(&self, findings: &mut Findings) {
        let path = self.log_dir.path.join(FileKind::MetaProperties.fixed_name().unwrap_or_default());
        match &self.facts.meta_properties {
            // Whatever was in it is lost.
            _ if self.facts.meta_names_nobody => {
                let finding = Finding::new(Id::LogDirMetaProperties, path);
                findings.push(finding.with("state", "empty").with("reason", "it names neither node nor cluster"));
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                let finding = Finding::new(Id::LogDirMetaProperties, path);
                findings.push(finding.with("state", "unreadable").with("reason", error.to_string()));
            }
            // It is there and the system does not let us look at it.
            None if self.log_dir.files.iter().any(|file| is(file, FileKind::MetaProperties)) => {}
            None => {
                let is_kraft = self.log_dir.partitions.iter().any(|entry| kraft::is_metadata_log(&entry.name))
                    || self.log_dir.files.iter().any(|file| is(file, FileKind::BootstrapSnapshot));
                let severity = match (is_kraft, self.topic_ids.is_empty()) {
                    (true, _) => Severity::Error,
                    (false, false) => Severity::Warning,
                    (false, true) => Severity::Info,
                };
                let finding = Finding::new(Id::LogDirMetaProperties, path).with("state", "missing");
                findings.push(finding.as_severity(severity));
            }
        }
    }

    /// Every checkpoint can be read. What cannot takes the log dir offline where the lines are not as many or not of
    /// the form they should be; where a number is none, brokers from 3.0 on take the file for empty, and no partition
    /// comes online if it is the one of high watermarks.
    ///
    /// Source: Kafka `CheckpointFile`, `LogManager`, `LazyOffsetCheckpoints`.
    fn checkpoints_are_readable(&self, findings: &mut Findings) {
        for (path, error) in &self.facts.checkpoints.damaged {
            let flaw = if error.is_io_exception() { "framing" } else { "number" };
            findings.push(
                Finding::new(Id::LogDirCheckpointUnreadable, path)
                    .at(error.position, 0)
                    .with("line", error.line as u64)
                    .with("reason", error.problem.to_string())
                    .with("flaw", flaw)
                    .with("atStart", consequence(path, error.is_io_exception())),
            );
        }
    }

    /// A partition has one line in a checkpoint, and no offset is negative. Of two lines the last counts.
    ///
    /// Source: Kafka `OffsetCheckpointFile`.
    fn checkpoint_lines_are_single(&self, findings: &mut Findings) {
        let checkpoints = &self.facts.checkpoints;
        for odd in &checkpoints.odd_lines {
            let finding = Finding::new(Id::LogDirCheckpointLine, &odd.path)
                .offset(odd.offset)
                .with("line", odd.line as u64)
                .with("topic", odd.topic.clone())
                .with("partition", odd.partition)
                .with("checkpointedOffset", odd.offset);
            findings.push(match odd.instead_of {
                Some(earlier) => finding.with("flaw", "duplicate").with("earlierOffset", earlier),
                None => finding.with("flaw", "negative"),
            });
        }
    }

    /// Every partition with a line has a directory. Lines without one are left out at the next writing.
    ///
    /// Source: Kafka `LogManager.checkpointLogRecoveryOffsets`.
    fn checkpoint_lines_have_partitions(&self, findings: &mut Findings) {
        let in_use = self.log_dir.partitions.iter().map(|entry| &entry.name).filter(|name| is_in_use(name.state));
        let there: HashSet<_> = in_use.map(|name| (name.topic.as_str(), name.partition)).collect();
        for (topic, partition, checkpointed) in self.facts.checkpoints.partitions() {
            if there.contains(&(topic, partition)) {
                continue;
            }
            for (kind, offset) in [
                (FileKind::ReplicationOffsetCheckpoint, checkpointed.high_watermark),
                (FileKind::LogStartOffsetCheckpoint, checkpointed.log_start_offset),
                (FileKind::RecoveryPointCheckpoint, checkpointed.recovery_point),
                (FileKind::CleanerOffsetCheckpoint, checkpointed.cleaner_offset),
            ] {
                let (Some(offset), Some(name)) = (offset, kind.fixed_name()) else { continue };
                findings.push(
                    Finding::new(Id::LogDirCheckpointStale, self.log_dir.path.join(name))
                        .offset(offset)
                        .with("topic", topic)
                        .with("partition", partition)
                        .with("checkpointedOffset", offset),
                );
            }
        }
    }

    /// All partitions of a topic have one topic id, and no other topic has it. A broker of KRaft sets a directory with
    /// another id than the cluster's aside (`-stray`), and the partition starts empty.
    ///
    /// Which one is the cluster's is not known here: the one that most partitions of the topic have is believed. Where
    /// none is, all are told.
    ///
    /// Source: Kafka `LogManager.isStrayKraftReplica`.
    fn topics_have_one_id(&self, findings: &mut Findings) {
        if !self.facts.is_kraft() {
            return;
        }
        let mut counts: HashMap<(&str, Uuid), u64> = HashMap::new();
        for ((topic, _), (_, id)) in &self.topic_ids {
            *counts.entry((topic.as_str(), *id)).or_default() += 1;
        }
        let mut of_topic: HashMap<&str, Rivals<Uuid>> = HashMap::new();
        let mut of_id: HashMap<Uuid, Rivals<&str>> = HashMap::new();
        for ((topic, id), count) in &counts {
            of_topic.entry(topic).or_default().take(*id, *count);
            of_id.entry(*id).or_default().take(*topic, *count);
        }
        for ((topic, _), (path, id)) in &self.topic_ids {
            // Only the metadata log may have the reserved id, and what else has it was told with the partition.
            if *id == Uuid::METADATA_TOPIC || topic == CLUSTER_METADATA_TOPIC {
                continue;
            }
            let other_id = of_topic.get(topic.as_str()).and_then(|rivals| rivals.doubt(id));
            let other_topic = of_id.get(id).and_then(|rivals| rivals.doubt(&topic.as_str()));
            if other_id.is_none() && other_topic.is_none() {
                continue;
            }
            let metadata = path.join(FileKind::PartitionMetadata.fixed_name().unwrap_or_default());
            let mut finding = Finding::new(Id::PartitionMetadataForeign, metadata).with("topicId", id.to_string());
            if let Some(other) = other_id {
                finding = finding.with("otherPartitionsHave", other.to_string());
            } else if let Some(other) = other_topic {
                finding = finding.with("idOf", other);
            }
            findings.push(finding);
        }
    }
}

/// Whether a log dir whose `meta.properties` does not tell is one of KRaft: it holds the metadata log or what a cluster
/// starts from, or it is formatted and some partition has a topic id.
fn looks_like_kraft(path: &Path) -> bool {
    let fixed = |kind: FileKind| kind.fixed_name().unwrap_or_default();
    let is_there = |name: &str| path.join(name).symlink_metadata().is_ok();
    if is_there(fixed(FileKind::BootstrapSnapshot)) || is_there(kraft::METADATA_DIRECTORY) {
        return true;
    }
    let of_a_broker = [
        FileKind::MetaProperties,
        FileKind::ReplicationOffsetCheckpoint,
        FileKind::RecoveryPointCheckpoint,
        FileKind::CleanerOffsetCheckpoint,
        FileKind::LogStartOffsetCheckpoint,
    ];
    if !of_a_broker.into_iter().any(|kind| is_there(fixed(kind))) {
        return false;
    }
    any_directory_holds(path, fixed(FileKind::PartitionMetadata))
}

/// What brokers do with a checkpoint that they cannot read.
fn consequence(path: &Path, is_io_exception: bool) -> &'static str {
    let is = |kind: FileKind| kind.fixed_name().is_some_and(|name| path.ends_with(name));
    if is_io_exception {
        "offline"
    } else if is(FileKind::ReplicationOffsetCheckpoint) {
        "noPartitionOnline"
    } else if is(FileKind::CleanerOffsetCheckpoint) {
        "noCompaction"
    } else {
        "takenForEmpty"
    }
}

/// Whether the file is the one of a kind of which a directory holds one.
fn is(file: &NamedFile, kind: FileKind) -> bool {
    file.name.kind == kind && file.name.state == FileState::Live
}

fn is_in_use(state: DirState) -> bool {
    matches!(state, DirState::Current | DirState::Future)
}

/// Values that exclude each other, with how often each was seen: the most frequent is believed.
#[derive(Debug)]
struct Rivals<T> {
    most: Option<(T, u64)>,
    /// Another one that was seen as often.
    equal: Option<T>,
}

impl<T> Default for Rivals<T> {
    fn default() -> Self {
        Self { most: None, equal: None }
    }
}

impl<T: Copy + PartialEq + Ord> Rivals<T> {
    fn take(&mut self, value: T, count: u64) {
        match self.most {
            Some((_, most)) if count < most => {}
            // The smallest of equals, whatever the order in which they come.
            Some((first, most)) if count == most => {
                let second = self.equal.map_or(first.max(value), |second| second.min(first.max(value)));
                (self.most, self.equal) = (Some((first.min(value), most)), Some(second));
            }
            _ => (self.most, self.equal) = (Some((value, count)), None),
        }
    }

    /// What speaks against `value`: the value that is believed instead, or one that is as frequent.
    fn doubt(&self, value: &T) -> Option<T> {
        let (most, _) = self.most?;
        if most != *value { Some(most) } else { self.equal }
    }
}

/// Judges log dirs that were given together: those of one broker hold a partition once, and all that are no other
/// broker's belong to the same.
///
/// Two log dirs that hold replicas of a common partition and say that they are of different nodes are two brokers'.
pub fn several(log_dirs: &[(&LogDir, &LogDirFacts)], setting: Setting) -> Findings {
    let mut findings = Findings::new();
    let formatted: Vec<_> = log_dirs.iter().filter(|(log_dir, _)| log_dir.is_formatted()).copied().collect();
    directory_ids_differ(&formatted, &mut findings);
    log_dirs_are_of_one_broker(&formatted, &mut findings);
    let mut of_one: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let mut unowned = Vec::new();
    for (log_dir, facts) in formatted {
        if let Some(owner) = facts.owner() {
            of_one.entry(owner).or_default().push(log_dir);
        } else if facts.meta_properties.is_none() && facts.unreadable.is_empty() {
            unowned.push(log_dir);
        }
    }
    for group in of_one.values().filter(|group| group.len() > 1) {
        partitions_are_there_once(group, &mut findings);
    }
    // Whose they are nobody tells: perhaps one broker's, as all that are given together should be.
    let mut of_nobody = Findings::new();
    if unowned.len() > 1 {
        partitions_are_there_once(&unowned, &mut of_nobody);
    }
    findings.append(of_nobody.into_vec().into_iter().map(|it| it.as_severity(Severity::Warning)).collect());
    if setting.is_live() {
        lower_what_moves(&mut findings);
    }
    findings
}

/// Replicas that a running broker moves from log dir to log dir, and topics that are made anew, may be seen in both
/// places or with both ids, since one directory is looked at after the other.
fn lower_what_moves(findings: &mut Findings) {
    findings.retain(|finding| {
        if matches!(finding.id, Id::LogDirDuplicatePartition | Id::PartitionMetadataForeign) {
            finding.severity = Severity::Info;
        }
        true
    });
}

/// A partition is there once as the one in use, and once as the one on its way to another log dir (`-future`), in all
/// log dirs of a broker together: it does not start otherwise.
///
/// Source: Kafka `LogManager.loadLog`.
fn partitions_are_there_once(log_dirs: &[&LogDir], findings: &mut Findings) {
    let mut there: HashMap<(&str, i32, DirState), (usize, &Path)> = HashMap::new();
    let entries = log_dirs.iter().enumerate();
    let entries = entries.flat_map(|(at, log_dir)| log_dir.partitions.iter().map(move |entry| (at, entry)));
    for (at, entry) in entries.filter(|(_, entry)| is_in_use(entry.name.state)) {
        let key = (entry.name.topic.as_str(), entry.name.partition, entry.name.state);
        let Some((other_at, other)) = there.insert(key, (at, &entry.path)) else { continue };
        // What is twice in one log dir was told when that was judged.
        if log_dirs.len() > 1 && other_at == at {
            continue;
        }
        findings.push(
            Finding::new(Id::LogDirDuplicatePartition, &entry.path)
                .with("topic", entry.name.topic.clone())
                .with("partition", entry.name.partition)
                .with("other", other.display().to_string())
                .with("state", if entry.name.state == DirState::Future { "future" } else { "current" }),
        );
    }
}

/// No two log dirs have the same directory id.
///
/// Source: Kafka `MetaPropertiesEnsemble.verify`.
fn directory_ids_differ(log_dirs: &[(&LogDir, &LogDirFacts)], findings: &mut Findings) {
    let mut seen: HashMap<Uuid, &Path> = HashMap::new();
    for (log_dir, facts) in log_dirs {
        let Some(id) = facts.known_meta().and_then(|meta| meta.directory_id) else { continue };
        if let Some(other) = seen.insert(id, &log_dir.path) {
            findings.push(differ(&log_dir.path, other, "directory.id", id.to_string(), id.to_string()));
        }
    }
}

/// Cluster and node are the same in all log dirs, but for those that must be another broker's because they hold
/// replicas of the same partitions.
///
/// Source: Kafka `MetaPropertiesEnsemble.verify`.
fn log_dirs_are_of_one_broker(log_dirs: &[(&LogDir, &LogDirFacts)], findings: &mut Findings) {
    for (at, (log_dir, facts)) in log_dirs.iter().enumerate() {
        let Some((cluster, node)) = facts.owner() else { continue };
        let others = log_dirs.iter().take(at).filter_map(|(other, facts)| Some((*other, facts.owner()?)));
        let mut others = others.filter(|(_, owner)| *owner != (cluster, node)).peekable();
        let Some((first, (other_cluster, other_node))) = others.peek().copied() else { continue };
        let finding = if cluster != other_cluster {
            let text = |cluster: Option<&str>| cluster.unwrap_or_default().to_owned();
            differ(&log_dir.path, &first.path, "cluster.id", text(cluster), text(other_cluster))
        } else {
            differ(&log_dir.path, &first.path, "node.id", node.to_string(), other_node.to_string())
        };
        let is_another_brokers = others.any(|(other, _)| have_a_partition_in_common(log_dir, other));
        findings.push(if is_another_brokers { finding.as_severity(Severity::Info) } else { finding });
    }
}

fn differ(path: &Path, other: &Path, key: &'static str, value: String, other_value: String) -> Finding {
    let file = FileKind::MetaProperties.fixed_name().unwrap_or_default();
    Finding::new(Id::LogDirMetaPropertiesDiffer, path.join(file))
        .with("key", key)
        .with("value", value)
        .with("other", other.join(file).display().to_string())
        .with("otherValue", other_value)
}

fn have_a_partition_in_common(a: &LogDir, b: &LogDir) -> bool {
    let in_use = |log_dir: &'_ LogDir| -> HashSet<(String, i32)> {
        let entries = log_dir.partitions.iter().filter(|entry| entry.name.state == DirState::Current);
        entries.map(|entry| (entry.name.topic.clone(), entry.name.partition)).collect()
    };
    !in_use(a).is_disjoint(&in_use(b))
}

#[cfg(test)]
mod tests;
