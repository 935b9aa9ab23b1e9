//! A partition directory and the files in it.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use super::listing::Listing;
use super::{NamedFile, StoreError};
use crate::format::Offset;
use crate::format::file_name::{CLUSTER_METADATA_TOPIC, DirState, FileKind, FileState, PartitionDirName, Place};

/// What the name of a partition directory says. Sorted by topic, then partition as a number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionName {
    /// The topic; see [`PartitionDirName::topic`] on when its end may be missing.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// Whether the partition is in use.
    pub state: DirState,
    /// What tells directories of one partition apart that are not in use.
    pub unique_id: Option<String>,
}

impl PartitionName {
    /// What the directory `path` is called, also where `path` itself does not tell (`.`, a symbolic link with a name
    /// of its own). `None` where that is not the name of a partition.
    pub fn of_directory(path: &Path) -> Option<Self> {
        Self::of_last_component(path).or_else(|| Self::of_last_component(&path.canonicalize().ok()?))
    }

    fn of_last_component(path: &Path) -> Option<Self> {
        Self::parse(path.file_name()?.to_str()?)
    }

    /// What `name` says, if it is a partition's.
    pub fn parse(name: &str) -> Option<Self> {
        PartitionDirName::parse(name).map(Self::from)
    }

    /// `<topic>-<partition>`, without any suffix.
    pub fn topic_partition(&self) -> String {
        format!("{}-{}", self.topic, self.partition)
    }
}

impl From<PartitionDirName<'_>> for PartitionName {
    fn from(name: PartitionDirName<'_>) -> Self {
        Self {
            topic: name.topic.to_owned(),
            partition: name.partition,
            state: name.state,
            unique_id: name.unique_id.map(str::to_owned),
        }
    }
}

/// The name as Kafka writes it.
impl fmt::Display for PartitionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic, partition, state, unique_id } = self;
        PartitionDirName { topic, partition: *partition, state: *state, unique_id: unique_id.as_deref() }.fmt(f)
    }
}

/// Whether a directory is called like the metadata log of KRaft, or a symbolic link that leads to one.
pub fn is_called_metadata_log(path: &Path) -> bool {
    let is_its =
        |path: &Path| PartitionName::of_last_component(path).is_some_and(|name| name.topic == CLUSTER_METADATA_TOPIC);
    is_its(path) || path.canonicalize().is_ok_and(|path| is_its(&path))
}

/// A directory that holds, or could hold, the files of one partition: names only, nothing in it has been opened.
#[derive(Clone, Debug)]
pub struct PartitionDir {
    /// The path it was found under.
    pub path: PathBuf,
    /// What it is called; `None` for a loose copy under a name of its own.
    pub name: Option<PartitionName>,
    /// All files with a name of Kafka's, in whatever state: by number, then kind; those without a number last.
    pub files: Vec<NamedFile>,
    /// Names of other files, which a broker ignores, and of links that lead nowhere.
    pub foreign: Vec<OsString>,
    /// Names of directories, which a broker ignores.
    pub directories: Vec<OsString>,
}

impl PartitionDir {
    /// Lists a directory that is known to be a partition's.
    ///
    /// Errors: [`StoreError::Io`].
    pub fn read(path: &Path) -> Result<Self, StoreError> {
        Ok(Self::from_listing(path, Listing::of(path)?, PartitionName::of_directory(path)))
    }

    pub(super) fn from_listing(path: &Path, listing: Listing, name: Option<PartitionName>) -> Self {
        let Listing { files, foreign, directories } = listing;
        Self { path: path.to_owned(), name, files, foreign, directories }
    }

    /// Whether it is the metadata log of KRaft, whatever it is called: by its name, by that of the directory to which a
    /// symbolic link leads, or by the `quorum-state` in it.
    pub fn is_metadata_log(&self) -> bool {
        is_called_metadata_log(&self.path) || self.file(FileKind::QuorumState).is_some()
    }

    /// Whether there is any file that belongs in a partition.
    pub fn holds_anything(&self) -> bool {
        self.files.iter().any(|file| file.name.kind.place() == Some(Place::Partition))
    }

    /// The segments in use, by base offset; the last one is the newest.
    ///
    /// A segment is there as soon as one of its files is. Where two names mean the same file (`5.log` and the one with
    /// all its zeros), it is the one that a broker opens.
    pub fn segments(&self) -> Vec<SegmentFiles<'_>> {
        self.segments_in(FileState::Live)
    }

    /// The segments whose files are in `state`, by base offset: what compaction or deletion has left behind.
    pub fn segments_in(&self, state: FileState) -> Vec<SegmentFiles<'_>> {
        let mut segments: Vec<SegmentFiles<'_>> = Vec::new();
        for file in self.files.iter().filter(|file| file.name.state == state && file.name.kind.is_segment_file()) {
            let Some(base_offset) = file.name.base_offset else { continue };
            if segments.last().is_none_or(|last| last.base_offset != base_offset) {
                segments.push(SegmentFiles {
                    base_offset,
                    log: None,
                    offset_index: None,
                    time_index: None,
                    txn_index: None,
                });
            }
            if let Some(segment) = segments.last_mut() {
                segment.add(file);
            }
        }
        segments
    }

    /// The segments in use without a borrow, and which comes next.
    ///
    /// Indexes whose log is gone do not end the segment before them.
    pub fn owned_segments(&self) -> Vec<OwnedSegment> {
        let mut next_base_offset = None;
        let of_dir = self.segments();
        let mut segments: Vec<_> = of_dir
            .iter()
            .rev()
            .map(|files| {
                let segment = OwnedSegment::new(files, next_base_offset);
                next_base_offset = files.log.map(|_| files.base_offset).or(next_base_offset);
                segment
            })
            .collect();
        segments.reverse();
        segments
    }

    /// The one file of a kind that is in use, for kinds of which there is one.
    pub fn file(&self, kind: FileKind) -> Option<&NamedFile> {
        self.files.iter().find(|file| file.name.kind == kind && file.name.state == FileState::Live)
    }

    /// The files to look at: those of the segment that starts at `segment`, or all.
    pub fn files_of(&self, segment: Option<Offset>) -> impl Iterator<Item = &NamedFile> {
        self.files.iter().filter(move |file| {
            segment.is_none() || (file.name.base_offset == segment && file.name.kind.is_segment_file())
        })
    }
}

/// The files of one segment.
#[derive(Clone, Copy, Debug)]
pub struct SegmentFiles<'a> {
    /// The offset in the names.
    pub base_offset: Offset,
    /// The record batches.
    pub log: Option<&'a NamedFile>,
    /// From offsets to positions.
    pub offset_index: Option<&'a NamedFile>,
    /// From timestamps to offsets.
    pub time_index: Option<&'a NamedFile>,
    /// Aborted transactions.
    pub txn_index: Option<&'a NamedFile>,
}

impl<'a> SegmentFiles<'a> {
    /// The size of the `.log` file in bytes, asked for now; 0 where there is none.
    ///
    /// Errors: [`StoreError::Io`].
    pub fn size_in_bytes(&self) -> Result<u64, StoreError> {
        self.log.map_or(Ok(0), |log| Ok(log.facts()?.size_in_bytes))
    }

    fn add(&mut self, file: &'a NamedFile) {
        let slot = match file.name.kind {
            FileKind::Log => &mut self.log,
            FileKind::OffsetIndex => &mut self.offset_index,
            FileKind::TimeIndex => &mut self.time_index,
            FileKind::TxnIndex => &mut self.txn_index,
            _ => return,
        };
        if slot.is_none() || file.name.canonical {
            *slot = Some(file);
        }
    }
}

/// The files of one segment without a borrow, to be handed to another thread.
#[derive(Clone, Debug)]
pub struct OwnedSegment {
    base_offset: Offset,
    log: Option<NamedFile>,
    offset_index: Option<NamedFile>,
    time_index: Option<NamedFile>,
    txn_index: Option<NamedFile>,
    /// The base offset of the next segment that has a log; `None` for the newest.
    pub next_base_offset: Option<Offset>,
}

impl OwnedSegment {
    /// The same files, and where the next segment begins.
    pub fn new(files: &SegmentFiles<'_>, next_base_offset: Option<Offset>) -> Self {
        Self {
            base_offset: files.base_offset,
            log: files.log.cloned(),
            offset_index: files.offset_index.cloned(),
            time_index: files.time_index.cloned(),
            txn_index: files.txn_index.cloned(),
            next_base_offset,
        }
    }

    /// The files.
    pub fn files(&self) -> SegmentFiles<'_> {
        SegmentFiles {
            base_offset: self.base_offset,
            log: self.log.as_ref(),
            offset_index: self.offset_index.as_ref(),
            time_index: self.time_index.as_ref(),
            txn_index: self.txn_index.as_ref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn files_are_grouped_by_base_offset_in_numeric_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("orders-10");
        fs::create_dir(&path).unwrap();
        for name in [
            "00000000000000000100.log",
            "00000000000000000100.index",
            "00000000000000000100.timeindex",
            "00000000000000000100.snapshot",
            "00000000000000000000.log",
            "00000000000000000000.txnindex",
            "00000000000000000000.index.deleted",
            "00000000000000000050.log.cleaned",
            "20.log",
            "00000000000000000020.log",
            "7.log",
            "abc.log",
            "leader-epoch-checkpoint",
            "partition.metadata",
            "README.txt",
        ] {
            fs::write(path.join(name), name).unwrap();
        }
        fs::create_dir(path.join("00000000000000000200.log")).unwrap();
        std::os::unix::fs::symlink("nowhere", path.join("00000000000000000300.log")).unwrap();
        std::os::unix::fs::symlink("7.log", path.join("00000000000000000400.log")).unwrap();

        let partition = PartitionDir::read(&path).unwrap();
        assert_eq!(partition.name, PartitionName::parse("orders-10"));
        assert_eq!(partition.foreign, ["00000000000000000300.log", "README.txt"]);
        assert_eq!(partition.directories, ["00000000000000000200.log"]);
        let segments = partition.segments();
        let name = |file: Option<&NamedFile>| file.map_or("-".to_owned(), |file| file.file_name().to_owned());
        let logs: Vec<_> = segments.iter().map(|segment| (segment.base_offset.0, name(segment.log))).collect();
        assert_eq!(
            logs,
            [
                (0, "00000000000000000000.log".to_owned()),
                (7, "7.log".to_owned()),
                (20, "00000000000000000020.log".to_owned()),
                (100, "00000000000000000100.log".to_owned()),
                (400, "00000000000000000400.log".to_owned()),
            ]
        );
        assert!(segments[0].txn_index.is_some() && segments[0].offset_index.is_none());
        assert!(segments[3].offset_index.is_some() && segments[3].time_index.is_some());
        assert_eq!(segments[3].size_in_bytes().unwrap(), 24);
        assert_eq!(partition.segments_in(FileState::Cleaned)[0].base_offset, Offset(50));
        let of_100: Vec<_> = partition.files_of(Some(Offset(100))).map(NamedFile::file_name).collect();
        assert_eq!(
            of_100,
            ["00000000000000000100.log", "00000000000000000100.index", "00000000000000000100.timeindex"]
        );
        assert_eq!(partition.file(FileKind::PartitionMetadata).unwrap().path(), path.join("partition.metadata"));
        // Those without a number are the last.
        assert_eq!(partition.files.last().unwrap().file_name(), "partition.metadata");
    }

    #[test]
    fn a_directory_is_called_what_it_is_called_however_one_gets_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("orders-3");
        fs::create_dir(&path).unwrap();
        std::os::unix::fs::symlink(&path, dir.path().join("link")).unwrap();
        let name = PartitionName::parse("orders-3");
        assert!(name.is_some());
        assert_eq!(PartitionName::of_directory(&path.join(".")), name);
        assert_eq!(PartitionName::of_directory(&path.join("../orders-3/")), name);
        assert_eq!(PartitionName::of_directory(&dir.path().join("link")), name);
        assert_eq!(PartitionName::of_directory(&dir.path().join("orders-3/../link/..")), None);
    }

    #[test]
    fn the_metadata_log_is_known_by_its_name_by_where_a_link_leads_and_by_its_quorum_state() {
        let dir = tempfile::tempdir().unwrap();
        let is_metadata_log = |name: &str| PartitionDir::read(&dir.path().join(name)).unwrap().is_metadata_log();
        for name in ["__cluster_metadata-0", "orders-3", "copy"] {
            fs::create_dir(dir.path().join(name)).unwrap();
            std::os::unix::fs::symlink(name, dir.path().join(format!("{name}-7"))).unwrap();
        }
        assert!(is_metadata_log("__cluster_metadata-0") && is_metadata_log("__cluster_metadata-0-7"));
        for name in ["orders-3", "orders-3-7", "copy", "copy-7"] {
            assert!(!is_metadata_log(name), "{name}");
        }
        fs::write(dir.path().join("copy/quorum-state"), "{}").unwrap();
        assert!(is_metadata_log("copy") && is_metadata_log("copy-7"));
    }

    #[test]
    fn partitions_sort_by_number() {
        let mut names: Vec<_> =
            ["x-10", "x-2", "a.b-1", "x-2.0123-delete", "a-100"].map(|name| PartitionName::parse(name).unwrap()).into();
        names.sort();
        let names: Vec<_> = names.iter().map(PartitionName::to_string).collect();
        assert_eq!(names, ["a-100", "a.b-1", "x-2", "x-2.0123-delete", "x-10"]);
    }
}
