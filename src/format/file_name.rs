//! The names of files and directories: what a name says a file is, before anyone has opened it.
//!
//! Reading is lenient and says so: a name whose number is spelled in a way Kafka never writes, or is no number at
//! all, is still recognised for what it claims to be, because a broker trips over exactly such names. What to think
//! of it is decided elsewhere.

use std::fmt;

use super::Offset;

/// What a file holds, as far as its name tells.
///
/// The order is the one in which the files of one segment are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileKind {
    /// `<base>.log`: record batches.
    Log,
    /// `<base>.index`: from offsets to positions.
    OffsetIndex,
    /// `<base>.timeindex`: from timestamps to offsets.
    TimeIndex,
    /// `<base>.txnindex`: aborted transactions.
    TxnIndex,
    /// `<end>.snapshot`: the state of all producers below `end`.
    ProducerSnapshot,
    /// `<end>-<epoch>.checkpoint`: a snapshot of a KRaft log below `end`.
    KraftSnapshot,
    /// `bootstrap.checkpoint`: the records a KRaft cluster starts from.
    BootstrapSnapshot,
    /// `leader-epoch-checkpoint`: the first offset of each leader epoch.
    LeaderEpochCheckpoint,
    /// `partition.metadata`: the topic id.
    PartitionMetadata,
    /// `quorum-state`: the KRaft election state.
    QuorumState,
    /// `recovery-point-offset-checkpoint`: for each partition the first offset not known to be on disk.
    RecoveryPointCheckpoint,
    /// `log-start-offset-checkpoint`: log start offsets above the base offset of the first segment.
    LogStartOffsetCheckpoint,
    /// `replication-offset-checkpoint`: high watermarks.
    ReplicationOffsetCheckpoint,
    /// `cleaner-offset-checkpoint`: for each compacted partition the first offset not yet cleaned.
    CleanerOffsetCheckpoint,
    /// `meta.properties`: whose log dir this is.
    MetaProperties,
    /// `.kafka_cleanshutdown`: the broker stopped in an orderly way.
    CleanShutdown,
    /// `.lock`: locked by a running broker.
    Lock,
    /// `remote_log_snapshot`: metadata of tiered storage, written by releases 3.0 to 3.7.
    RemoteLogSnapshot,
    /// A name of no known kind that a broker nevertheless acts upon when it starts, because it ends in `.deleted`,
    /// `.cleaned` or `.swap`.
    Other,
}

/// Where a file of a kind belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// Directly in a log dir.
    LogDir,
    /// In a partition directory.
    Partition,
}

/// The suffix behind the number, for kinds that are named by a number.
const NUMBERED: [(FileKind, &str); 6] = [
    (FileKind::Log, ".log"),
    (FileKind::OffsetIndex, ".index"),
    (FileKind::TimeIndex, ".timeindex"),
    (FileKind::TxnIndex, ".txnindex"),
    (FileKind::ProducerSnapshot, ".snapshot"),
    (FileKind::KraftSnapshot, ".checkpoint"),
];

/// The name, for kinds of which a directory holds one.
const FIXED: [(FileKind, &str); 12] = [
    (FileKind::BootstrapSnapshot, "bootstrap.checkpoint"),
    (FileKind::LeaderEpochCheckpoint, "leader-epoch-checkpoint"),
    (FileKind::PartitionMetadata, "partition.metadata"),
    (FileKind::QuorumState, "quorum-state"),
    (FileKind::RecoveryPointCheckpoint, "recovery-point-offset-checkpoint"),
    (FileKind::LogStartOffsetCheckpoint, "log-start-offset-checkpoint"),
    (FileKind::ReplicationOffsetCheckpoint, "replication-offset-checkpoint"),
    (FileKind::CleanerOffsetCheckpoint, "cleaner-offset-checkpoint"),
    (FileKind::MetaProperties, "meta.properties"),
    (FileKind::CleanShutdown, ".kafka_cleanshutdown"),
    (FileKind::Lock, ".lock"),
    (FileKind::RemoteLogSnapshot, "remote_log_snapshot"),
];

impl FileKind {
    /// What follows the number in the name, with its dot; `None` for kinds that are not named by a number.
    pub fn suffix(self) -> Option<&'static str> {
        NUMBERED.iter().find(|(kind, _)| *kind == self).map(|(_, suffix)| *suffix)
    }

    /// The whole name, for kinds of which a directory holds one; `None` for the others.
    pub fn fixed_name(self) -> Option<&'static str> {
        FIXED.iter().find(|(kind, _)| *kind == self).map(|(_, name)| *name)
    }

    /// Whether it is one of the four files that make up a segment.
    pub fn is_segment_file(self) -> bool {
        matches!(self, Self::Log | Self::OffsetIndex | Self::TimeIndex | Self::TxnIndex)
    }

    /// Where such files belong; `None` for [`FileKind::Other`].
    pub fn place(self) -> Option<Place> {
        match self {
            Self::Log
            | Self::OffsetIndex
            | Self::TimeIndex
            | Self::TxnIndex
            | Self::ProducerSnapshot
            | Self::KraftSnapshot
            | Self::LeaderEpochCheckpoint
            | Self::PartitionMetadata
            | Self::QuorumState
            | Self::RemoteLogSnapshot => Some(Place::Partition),
            Self::BootstrapSnapshot
            | Self::RecoveryPointCheckpoint
            | Self::LogStartOffsetCheckpoint
            | Self::ReplicationOffsetCheckpoint
            | Self::CleanerOffsetCheckpoint
            | Self::MetaProperties
            | Self::CleanShutdown
            | Self::Lock => Some(Place::LogDir),
            Self::Other => None,
        }
    }

    /// Whether Kafka ever gives a file of this kind the suffix of `state`.
    fn is_written_in(self, state: FileState) -> bool {
        match state {
            FileState::Live => self != Self::Other,
            FileState::Deleted => {
                self.is_segment_file() || matches!(self, Self::ProducerSnapshot | Self::KraftSnapshot)
            }
            FileState::Cleaned | FileState::Swap => self.is_segment_file(),
            FileState::Part => self == Self::KraftSnapshot,
            FileState::Tmp => self.fixed_name().is_some() && !matches!(self, Self::CleanShutdown | Self::Lock),
        }
    }
}

/// Where in its life a file is, told by what is appended to its normal name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileState {
    /// Nothing appended: in use.
    Live,
    /// `.deleted`: to be removed, at the latest when the broker starts.
    Deleted,
    /// `.cleaned`: output of compaction or of a segment split, not committed.
    Cleaned,
    /// `.swap`: committed output of compaction or of a split that has yet to take its final name.
    Swap,
    /// `.part` behind `.checkpoint`: a KRaft snapshot being written.
    Part,
    /// `.tmp`: left over from replacing a small file.
    Tmp,
}

const STATES: [(FileState, &str); 5] = [
    (FileState::Deleted, ".deleted"),
    (FileState::Cleaned, ".cleaned"),
    (FileState::Swap, ".swap"),
    (FileState::Part, ".part"),
    (FileState::Tmp, ".tmp"),
];

impl FileState {
    /// What is appended to the normal name; empty for [`FileState::Live`].
    pub fn suffix(self) -> &'static str {
        STATES.iter().find(|(state, _)| *state == self).map_or("", |(_, suffix)| *suffix)
    }
}

/// What the name of a file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileName {
    /// What the file holds.
    pub kind: FileKind,
    /// Where in its life it is.
    pub state: FileState,
    /// The number in the name as a broker takes it: the base offset of a segment, or the end offset (exclusive) of a
    /// snapshot. May be negative. `None` where the kind has no number, or where there should be one and none can be
    /// read: a broker does not start with such a file.
    pub base_offset: Option<Offset>,
    /// The epoch in the name of a KRaft snapshot.
    pub epoch: Option<i32>,
    /// Whether the name is spelled as Kafka writes it. Where it is not, a broker opens the file of
    /// [`FileName::canonical_name`] instead and never reads this one.
    pub canonical: bool,
}

impl FileName {
    /// What `name` says, a file name without directories; `None` where Kafka has no such files and ignores them.
    ///
    /// Source: Kafka `LogFileUtils`, `UnifiedLog` (suffixes), `LogLoader`, `Snapshots.parse`.
    pub fn parse(name: &str) -> Option<Self> {
        let (stem, state) = STATES
            .iter()
            .find_map(|(state, suffix)| name.strip_suffix(suffix).map(|stem| (stem, *state)))
            .unwrap_or((name, FileState::Live));
        if let Some((kind, _)) = FIXED.iter().find(|(_, fixed)| *fixed == stem) {
            let canonical = kind.is_written_in(state);
            return (state != FileState::Part).then_some(Self {
                kind: *kind,
                state,
                base_offset: None,
                epoch: None,
                canonical,
            });
        }
        let numbered =
            NUMBERED.iter().find_map(|(kind, suffix)| stem.strip_suffix(suffix).map(|number| (*kind, number)));
        match (numbered, state) {
            (Some((FileKind::KraftSnapshot, number)), _) => Self::kraft_snapshot(number, state),
            // Neither suffix is ever given to these, and a broker looks at neither.
            (_, FileState::Part | FileState::Tmp) | (None, FileState::Live) => None,
            (Some((kind, number)), _) => Some(Self {
                kind,
                state,
                base_offset: number_before_first_dot(stem),
                epoch: None,
                canonical: is_padded(number, 20) && parse_i64(number).is_some() && kind.is_written_in(state),
            }),
            (None, _) => Some(Self {
                kind: FileKind::Other,
                state,
                base_offset: number_before_first_dot(stem),
                epoch: None,
                canonical: false,
            }),
        }
    }

    /// `number` is what stands before `.checkpoint`: `<end>-<epoch>`, with `-<random>` behind it while being written.
    fn kraft_snapshot(number: &str, state: FileState) -> Option<Self> {
        if state == FileState::Tmp {
            return None;
        }
        let (end, rest) = number.split_once('-').unwrap_or((number, ""));
        let (epoch, random) = match state {
            FileState::Part => rest.split_once('-').unwrap_or((rest, "")),
            _ => (rest, "-"),
        };
        let base_offset = parse_i64(end).map(Offset);
        let epoch_number = epoch.parse().ok();
        Some(Self {
            kind: FileKind::KraftSnapshot,
            state,
            base_offset,
            epoch: epoch_number,
            canonical: is_padded(end, 20)
                && is_padded(epoch, 10)
                && !random.is_empty()
                && base_offset.is_some()
                && epoch_number.is_some()
                && FileKind::KraftSnapshot.is_written_in(state),
        })
    }

    /// The name Kafka itself would give to such a file. `None` where it never writes one: the number is missing or
    /// negative, or the suffix of the state does not go with the kind. Also `None` for a KRaft snapshot being
    /// written, whose name has a random part.
    pub fn canonical_name(&self) -> Option<String> {
        if !self.kind.is_written_in(self.state) || self.state == FileState::Part {
            return None;
        }
        if let Some(fixed) = self.kind.fixed_name() {
            return Some(format!("{fixed}{}", self.state.suffix()));
        }
        let base_offset = self.base_offset.filter(|offset| offset.0 >= 0)?;
        match self.kind {
            FileKind::KraftSnapshot => {
                let epoch = self.epoch.filter(|epoch| *epoch >= 0)?;
                Some(kraft_snapshot_file_name(base_offset, epoch, self.state))
            }
            kind => Some(segment_file_name(base_offset, kind, self.state)),
        }
    }
}

/// The name of a file that belongs to the segment starting at `base_offset`, or of the producer snapshot ending there.
/// Kinds that are not named by an offset get their one name.
///
/// Source: Kafka `LogFileUtils.filenamePrefixFromOffset`.
pub fn segment_file_name(base_offset: Offset, kind: FileKind, state: FileState) -> String {
    let state = state.suffix();
    match (kind.suffix(), kind.fixed_name()) {
        (Some(suffix), _) => format!("{base_offset:020}{suffix}{state}"),
        (None, fixed) => format!("{}{state}", fixed.unwrap_or_default()),
    }
}

/// The name of the producer snapshot of everything below `end_offset`.
pub fn producer_snapshot_file_name(end_offset: Offset, state: FileState) -> String {
    segment_file_name(end_offset, FileKind::ProducerSnapshot, state)
}

/// The name of the KRaft snapshot of everything below `end_offset`, whose last record is of `epoch`.
///
/// Source: Kafka `Snapshots.filenameFromSnapshotId`.
pub fn kraft_snapshot_file_name(end_offset: Offset, epoch: i32, state: FileState) -> String {
    format!("{end_offset:020}-{epoch:010}.checkpoint{}", state.suffix())
}

/// A number as Java's `Long.parseLong` takes it, ASCII digits only.
fn parse_i64(digits: &str) -> Option<i64> {
    digits.parse().ok()
}

fn number_before_first_dot(name: &str) -> Option<Offset> {
    parse_i64(name.split('.').next()?).map(Offset)
}

fn is_padded(digits: &str, width: usize) -> bool {
    digits.len() == width && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// What the suffix of a partition directory's name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DirState {
    /// No suffix: in use.
    Current,
    /// `.<id>-delete`: waiting for deletion.
    Delete,
    /// `.<id>-future`: a replica being moved into this log dir from another.
    Future,
    /// `.<id>-stray`: not assigned to this broker, set aside (from 3.7 on).
    Stray,
}

const DIR_STATES: [(DirState, &str); 3] =
    [(DirState::Delete, "-delete"), (DirState::Future, "-future"), (DirState::Stray, "-stray")];

/// The longest name a broker gives a directory when it appends `-delete` or `-stray`; the topic is cut to fit.
const LONGEST_DIR_NAME: usize = 255;

impl DirState {
    /// What the name ends in; empty for [`DirState::Current`].
    pub fn suffix(self) -> &'static str {
        DIR_STATES.iter().find(|(state, _)| *state == self).map_or("", |(_, suffix)| *suffix)
    }
}

/// The name of a partition directory: `<topic>-<partition>`, or `<topic>-<partition>.<id>-<state>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionDirName<'a> {
    /// The topic. Behind `-delete` and `-stray` it may have lost its end: see [`PartitionDirName::topic_may_be_cut`].
    pub topic: &'a str,
    /// The partition.
    pub partition: i32,
    /// What the suffix says.
    pub state: DirState,
    /// What stands between the last dot and the suffix (32 hexadecimal digits if a broker wrote it); `None` without
    /// a suffix.
    pub unique_id: Option<&'a str>,
}

impl<'a> PartitionDirName<'a> {
    /// What `name` says, a directory name without its parents; `None` where a broker would not take it for a
    /// partition directory. In a log dir a broker does not start then, unless it is [`REMOTE_LOG_INDEX_CACHE`].
    ///
    /// Source: Kafka `LocalLog.parseTopicPartitionName`.
    pub fn parse(name: &'a str) -> Option<Self> {
        let suffixed =
            DIR_STATES.iter().find_map(|(state, suffix)| name.strip_suffix(suffix).map(|body| (body, *state)));
        let (topic_partition, state, unique_id) = match suffixed {
            None => (name, DirState::Current, None),
            Some((body, state)) if is_suffixed_body(body) => {
                let (topic_partition, id) = body.rsplit_once('.')?;
                (topic_partition, state, Some(id))
            }
            Some(_) => return None,
        };
        let (topic, partition) = topic_partition.rsplit_once('-')?;
        if topic.is_empty() {
            return None;
        }
        Some(Self { topic, partition: partition.parse().ok()?, state, unique_id })
    }

    /// Whether the name is so long that a broker may have cut the topic to make room for the suffix.
    pub fn topic_may_be_cut(&self) -> bool {
        matches!(self.state, DirState::Delete | DirState::Stray) && self.to_string().len() >= LONGEST_DIR_NAME
    }
}

/// The name as Kafka writes it, without cutting the topic. It differs from the name that was read where the partition
/// has a sign or leading zeros.
impl fmt::Display for PartitionDirName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)?;
        match self.unique_id {
            Some(id) => write!(f, ".{id}{}", self.state.suffix()),
            None => Ok(()),
        }
    }
}

/// The name of the directory of a partition in use.
pub fn partition_dir_name(topic: &str, partition: i32) -> String {
    format!("{topic}-{partition}")
}

/// The name a broker gives a partition directory that it sets aside, with the topic cut where it has to be.
/// Cuts nothing for [`DirState::Future`]; ignores `unique_id` for [`DirState::Current`].
///
/// Source: Kafka `LocalLog.logDirNameWithSuffixCappedLength`, `logFutureDirName`.
pub fn suffixed_partition_dir_name(topic: &str, partition: i32, unique_id: &str, state: DirState) -> String {
    let tail = match state {
        DirState::Current => return partition_dir_name(topic, partition),
        _ => format!("-{partition}.{unique_id}{}", state.suffix()),
    };
    let room = match state {
        DirState::Future => usize::MAX,
        _ => LONGEST_DIR_NAME.saturating_sub(tail.len()),
    };
    topic.chars().take(room).chain(tail.chars()).collect()
}

/// The topic of the metadata of a KRaft cluster: its log is read, recovered and cut by rules of its own.
pub const CLUSTER_METADATA_TOPIC: &str = "__cluster_metadata";

/// The one directory in a log dir that is no partition: a cache of tiered storage.
pub const REMOTE_LOG_INDEX_CACHE: &str = "remote-log-index-cache";

/// Whether `body` is `A-B.C` with none of the three empty and no white space anywhere, split at any dash and any later
/// dot: what Kafka's pattern for suffixed names asks of the part before the suffix.
fn is_suffixed_body(body: &str) -> bool {
    // Java's white space, to which Rust's `is_ascii_whitespace` lacks the vertical tab.
    if body.contains([' ', '\t', '\n', '\u{b}', '\u{c}', '\r']) {
        return false;
    }
    let mut after_topic = body.chars();
    // The first dash that has something before it leaves the most room for the rest.
    if after_topic.next().is_none() || !after_topic.any(|c| c == '-') {
        return false;
    }
    let mut before_id = after_topic;
    // Likewise the last dot that has something behind it.
    before_id.next_back().is_some() && before_id.rfind(|c| *c == '.').is_some() && before_id.next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(name: &str) -> FileName {
        FileName::parse(name).unwrap_or_else(|| panic!("{name} is not recognised"))
    }

    fn named(kind: FileKind, state: FileState, base_offset: Option<i64>) -> FileName {
        FileName { kind, state, base_offset: base_offset.map(Offset), epoch: None, canonical: true }
    }

    #[test]
    fn every_name_of_the_specification_is_recognised() {
        use FileKind::*;
        use FileState::*;
        let base = Some(42);
        let known = [
            ("00000000000000000042.log", Log, Live, base),
            ("00000000000000000042.index", OffsetIndex, Live, base),
            ("00000000000000000042.timeindex", TimeIndex, Live, base),
            ("00000000000000000042.txnindex", TxnIndex, Live, base),
            ("00000000000000000042.snapshot", ProducerSnapshot, Live, base),
            ("00000000000000000042.log.deleted", Log, Deleted, base),
            ("00000000000000000042.index.swap", OffsetIndex, Swap, base),
            ("00000000000000000042.timeindex.cleaned", TimeIndex, Cleaned, base),
            ("00000000000000000042.txnindex.swap", TxnIndex, Swap, base),
            ("00000000000000000042.snapshot.deleted", ProducerSnapshot, Deleted, base),
            ("leader-epoch-checkpoint", LeaderEpochCheckpoint, Live, None),
            ("leader-epoch-checkpoint.tmp", LeaderEpochCheckpoint, Tmp, None),
            ("partition.metadata", PartitionMetadata, Live, None),
            ("partition.metadata.tmp", PartitionMetadata, Tmp, None),
            ("quorum-state", QuorumState, Live, None),
            ("recovery-point-offset-checkpoint", RecoveryPointCheckpoint, Live, None),
            ("log-start-offset-checkpoint.tmp", LogStartOffsetCheckpoint, Tmp, None),
            ("replication-offset-checkpoint", ReplicationOffsetCheckpoint, Live, None),
            ("cleaner-offset-checkpoint", CleanerOffsetCheckpoint, Live, None),
            ("meta.properties", MetaProperties, Live, None),
            ("meta.properties.tmp", MetaProperties, Tmp, None),
            (".kafka_cleanshutdown", CleanShutdown, Live, None),
            (".lock", Lock, Live, None),
            ("bootstrap.checkpoint", BootstrapSnapshot, Live, None),
            ("remote_log_snapshot", RemoteLogSnapshot, Live, None),
        ];
        for (name, kind, state, base_offset) in known {
            assert_eq!(read(name), named(kind, state, base_offset), "{name}");
            assert_eq!(read(name).canonical_name().as_deref(), Some(name));
        }
    }

    #[test]
    fn a_kraft_snapshot_names_its_end_and_epoch() {
        let live = read("00000000000000000091-0000000003.checkpoint");
        assert_eq!(live, FileName { epoch: Some(3), ..named(FileKind::KraftSnapshot, FileState::Live, Some(91)) });
        assert_eq!(live.canonical_name().as_deref(), Some("00000000000000000091-0000000003.checkpoint"));
        assert_eq!(read("00000000000000000091-0000000003.checkpoint.deleted").state, FileState::Deleted);
        let part = read("00000000000000000091-0000000003-8837261514.checkpoint.part");
        assert_eq!(part, FileName { state: FileState::Part, ..live });
        assert_eq!(part.canonical_name(), None);
        let odd = read("91-3.checkpoint");
        assert_eq!((odd.base_offset, odd.epoch, odd.canonical), (Some(Offset(91)), Some(3), false));
        let none = read("backup.checkpoint");
        assert_eq!((none.kind, none.base_offset, none.canonical), (FileKind::KraftSnapshot, None, false));
        assert!(!read("00000000000000000091-0000000003-1.checkpoint").canonical);
    }

    #[test]
    fn an_odd_number_keeps_its_kind_and_is_taken_as_a_broker_takes_it() {
        for (name, base_offset) in [
            ("5.log", Some(5)),
            ("+5.log", Some(5)),
            ("-5.log", Some(-5)),
            ("-0000000000000000005.log", Some(-5)),
            ("0000000000000000000005.log", Some(5)),
            ("00000000000000000005.copy.log", Some(5)),
            ("99999999999999999999.log", None),
            ("abc.log", None),
            (".log", None),
            ("٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠٥.log", None),
            ("00000000000000000005 (1).log", None),
        ] {
            let read = read(name);
            assert_eq!((read.kind, read.state), (FileKind::Log, FileState::Live), "{name}");
            assert_eq!(read.base_offset, base_offset.map(Offset), "{name}");
            assert!(!read.canonical, "{name}");
        }
        assert_eq!(read("5.log").canonical_name().as_deref(), Some("00000000000000000005.log"));
        assert_eq!(read("-5.log").canonical_name(), None);
    }

    #[test]
    fn what_a_broker_acts_upon_by_its_suffix_alone_is_not_foreign() {
        let read_other = |name| {
            let read = read(name);
            assert!(!read.canonical);
            (read.kind, read.state, read.base_offset)
        };
        assert_eq!(read_other("README.deleted"), (FileKind::Other, FileState::Deleted, None));
        assert_eq!(read_other("42.swap"), (FileKind::Other, FileState::Swap, Some(Offset(42))));
        assert_eq!(read_other("x.cleaned"), (FileKind::Other, FileState::Cleaned, None));
        assert_eq!(read_other("42.snapshot.swap"), (FileKind::ProducerSnapshot, FileState::Swap, Some(Offset(42))));
        for name in ["README.txt", "", "log", "42.log.bak", "42.log.tmp", "42.log.part", "x.tmp", "log.1", "00042"] {
            assert_eq!(FileName::parse(name), None, "{name}");
        }
    }

    #[test]
    fn a_partition_is_what_follows_the_last_dash() {
        for (name, topic, partition) in [
            ("orders-3", "orders", 3),
            ("compact-and-delete-0", "compact-and-delete", 0),
            ("dotted.name-with_hyphen-7-1", "dotted.name-with_hyphen-7", 1),
            ("__consumer_offsets-49", "__consumer_offsets", 49),
            ("orders-007", "orders", 7),
            ("orders--1", "orders-", 1),
            ("a.b-future-0", "a.b-future", 0),
        ] {
            let read = PartitionDirName::parse(name).unwrap();
            assert_eq!(read, PartitionDirName { topic, partition, state: DirState::Current, unique_id: None });
        }
        for name in ["lost+found", "orders", "-3", "orders-", "orders-x", "orders-2147483648", "", "-", "x-0.index"] {
            assert_eq!(PartitionDirName::parse(name), None, "{name}");
        }
    }

    #[test]
    fn a_suffixed_directory_needs_a_dotted_id() {
        let id = "3f1c0a5f9be24c1aa9d1c5c0ddb1e7f2";
        for (suffix, state) in [("delete", DirState::Delete), ("future", DirState::Future), ("stray", DirState::Stray)]
        {
            let name = format!("dotted.name-4.{id}-{suffix}");
            let read = PartitionDirName::parse(&name).unwrap();
            assert_eq!(read, PartitionDirName { topic: "dotted.name", partition: 4, state, unique_id: Some(id) });
            assert_eq!(read.to_string(), name);
            for bad in ["orders-4-", "orders-4.-", "orders.x-", "-4.x-", "orders-.x-", "or ders-4.x-", "a-0.x.-"] {
                assert_eq!(PartitionDirName::parse(&format!("{bad}{suffix}")), None, "{bad}{suffix}");
            }
        }
    }

    #[test]
    fn the_topic_is_cut_where_the_suffix_needs_the_room() {
        let id = "3f1c0a5f9be24c1aa9d1c5c0ddb1e7f2";
        let topic = "t".repeat(249);
        let cut = suffixed_partition_dir_name(&topic, 12, id, DirState::Delete);
        assert_eq!(cut.len(), 255);
        let read = PartitionDirName::parse(&cut).unwrap();
        assert!(read.topic_may_be_cut() && read.partition == 12 && topic.starts_with(read.topic));
        assert_eq!(suffixed_partition_dir_name(&topic, 12, id, DirState::Future).len(), 249 + 3 + 1 + 32 + 7);
    }

    fn states() -> impl Strategy<Value = FileState> {
        prop::sample::select(vec![FileState::Live, FileState::Deleted, FileState::Cleaned, FileState::Swap])
    }

    proptest! {
        #[test]
        fn segment_names_read_back(base in 0..=i64::MAX, kind in prop::sample::select(&NUMBERED[..4]), state in states()) {
            let name = segment_file_name(Offset(base), kind.0, state);
            prop_assert_eq!(read(&name), named(kind.0, state, Some(base)));
            prop_assert_eq!(read(&name).canonical_name(), Some(name));
        }

        #[test]
        fn snapshot_names_read_back(end in 0..=i64::MAX, epoch in 0..=i32::MAX) {
            let name = kraft_snapshot_file_name(Offset(end), epoch, FileState::Deleted);
            let expected = named(FileKind::KraftSnapshot, FileState::Deleted, Some(end));
            prop_assert_eq!(read(&name), FileName { epoch: Some(epoch), ..expected });
            let name = producer_snapshot_file_name(Offset(end), FileState::Live);
            prop_assert_eq!(read(&name), named(FileKind::ProducerSnapshot, FileState::Live, Some(end)));
        }

        #[test]
        fn partition_names_read_back(topic in "[a-zA-Z0-9._-]{1,100}", partition in 0..=i32::MAX, id in "[0-9a-f]{32}") {
            let name = partition_dir_name(&topic, partition);
            let expected = PartitionDirName { topic: &topic, partition, state: DirState::Current, unique_id: None };
            prop_assert_eq!(PartitionDirName::parse(&name), Some(expected));
            for (state, _) in DIR_STATES {
                let name = suffixed_partition_dir_name(&topic, partition, &id, state);
                let expected = PartitionDirName { state, unique_id: Some(&id), ..expected };
                prop_assert_eq!(PartitionDirName::parse(&name), Some(expected));
                prop_assert_eq!(expected.to_string(), name);
            }
        }

        #[test]
        fn no_name_panics_and_a_canonical_one_is_its_own_canonical_name(name in "\\PC{0,40}|[0-9.a-z-]{0,60}|[0-9]{20}[.a-z-]{0,20}") {
            let _ = PartitionDirName::parse(&name);
            if let Some(read) = FileName::parse(&name)
                && read.canonical && read.state != FileState::Part
            {
                prop_assert_eq!(read.canonical_name(), Some(name));
            }
        }
    }
}
