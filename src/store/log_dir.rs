//! What a directory is, and a log dir with the partitions in it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::listing::Listing;
use super::partition::{PartitionDir, PartitionName};
use super::{NamedFile, StoreError};
use crate::format::file_name::{FileKind, Place, REMOTE_LOG_INDEX_CACHE};

/// What a directory turned out to be.
#[derive(Clone, Debug)]
pub enum Directory {
    /// One entry of a broker's `log.dirs`, or a folder with copies of partition directories.
    LogDir(LogDir),
    /// A partition's directory, possibly empty, possibly a copy under another name.
    Partition(PartitionDir),
    /// Nothing that Kafka made.
    Other,
}

/// A directory that holds partition directories: names only, none of them has been opened.
#[derive(Clone, Debug)]
pub struct LogDir {
    /// The path it was found under.
    pub path: PathBuf,
    /// The partition directories in it, by topic and partition.
    pub partitions: Vec<PartitionEntry>,
    /// Files with a name of Kafka's.
    pub files: Vec<NamedFile>,
    /// Names of other files, which a broker ignores.
    pub foreign: Vec<OsString>,
    /// Names of directories that are no partition's. A broker does not start with one of these.
    pub foreign_directories: Vec<OsString>,
    /// Whether there is a cache of tiered storage.
    pub has_remote_log_index_cache: bool,
}

/// A partition directory in a log dir.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionEntry {
    /// What its name says.
    pub name: PartitionName,
    /// Where it is.
    pub path: PathBuf,
}

impl LogDir {
    /// Whether a broker has used it: it holds some file of a log dir. Otherwise it is a folder with loose copies.
    pub fn is_formatted(&self) -> bool {
        self.files.iter().any(|file| file.name.kind.place() == Some(Place::LogDir))
    }

    fn from_listing(path: &Path, listing: Listing) -> Self {
        let Listing { files, foreign, directories } = listing;
        let mut log_dir = Self {
            path: path.to_owned(),
            partitions: Vec::new(),
            files,
            foreign,
            foreign_directories: Vec::new(),
            has_remote_log_index_cache: false,
        };
        for directory in directories {
            match directory.to_str().map(|name| (name, PartitionName::parse(name))) {
                Some((REMOTE_LOG_INDEX_CACHE, _)) => log_dir.has_remote_log_index_cache = true,
                Some((_, Some(name))) => {
                    log_dir.partitions.push(PartitionEntry { name, path: path.join(&directory) });
                }
                _ => log_dir.foreign_directories.push(directory),
            }
        }
        log_dir.partitions.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| a.path.cmp(&b.path)));
        log_dir
    }
}

/// Tells what a directory is, from its name and from the names of what is in it.
///
/// Content goes before name: a log dir may well be called `kafka-logs-1`. An empty directory with the name of a
/// partition is one. The cache of tiered storage has files with the suffixes of a partition's, and is none.
///
/// Errors: [`StoreError::Io`].
pub fn identify(path: &Path) -> Result<Directory, StoreError> {
    let listing = Listing::of(path)?;
    let holds = |place| listing.files.iter().any(|file| file.name.kind.place() == Some(place));
    let holds_partitions =
        || listing.directories.iter().any(|name| name.to_str().and_then(PartitionName::parse).is_some());
    let name = PartitionName::of_directory(path);
    let is_log_dir = match (holds(Place::LogDir), holds(Place::Partition)) {
        (true, false) => true,
        (true, true) | (false, false) => holds_partitions(),
        (false, true) => false,
    };
    Ok(if is_log_dir {
        Directory::LogDir(LogDir::from_listing(path, listing))
    } else if !is_remote_log_index_cache(path) && (name.is_some() || holds(Place::Partition)) {
        Directory::Partition(PartitionDir::from_listing(path, listing, name))
    } else {
        Directory::Other
    })
}

fn is_remote_log_index_cache(path: &Path) -> bool {
    let is_its_name = |path: &Path| path.file_name().is_some_and(|name| name == REMOTE_LOG_INDEX_CACHE);
    is_its_name(path) || path.canonicalize().is_ok_and(|path| is_its_name(&path))
}

/// The files of which any one makes the directory around a partition a log dir.
const MARKS: [FileKind; 5] = [
    FileKind::MetaProperties,
    FileKind::ReplicationOffsetCheckpoint,
    FileKind::RecoveryPointCheckpoint,
    FileKind::LogStartOffsetCheckpoint,
    FileKind::CleanerOffsetCheckpoint,
];

/// The log dir that the partition directory `path` is in; `None` for a loose copy, which no broker can be using.
pub fn log_dir_of(path: &Path) -> Option<PathBuf> {
    let is_log_dir =
        |parent: &Path| MARKS.iter().filter_map(|kind| kind.fixed_name()).any(|mark| parent.join(mark).is_file());
    // As the path was given first: a link in a log dir is in that log dir, wherever it leads.
    let given = path.file_name().and_then(|_| path.parent());
    let given = given.map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent });
    if let Some(parent) = given.filter(|parent| is_log_dir(parent)) {
        return Some(parent.to_owned());
    }
    let canonical = path.canonicalize().ok()?;
    canonical.parent().filter(|parent| is_log_dir(parent)).map(Path::to_owned)
}

/// Whether one of the directories in `log_dir` holds a regular file of this name. What cannot be read holds none.
pub fn any_directory_holds(log_dir: &Path, file_name: &str) -> bool {
    let entries = std::fs::read_dir(log_dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.path().join(file_name)).any(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const SEGMENT: &str = "00000000000000000000.log";

    /// Makes a directory with files and (names that end in `/`) directories in it, and tells what it is.
    fn identified(name: &str, entries: &[&str]) -> Directory {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        fs::create_dir(&path).unwrap();
        for entry in entries {
            match entry.strip_suffix('/') {
                Some(directory) => fs::create_dir(path.join(directory)).unwrap(),
                None => fs::write(path.join(entry), "").unwrap(),
            }
        }
        identify(&path).unwrap()
    }

    #[track_caller]
    fn log_dir(name: &str, entries: &[&str]) -> LogDir {
        match identified(name, entries) {
            Directory::LogDir(log_dir) => log_dir,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn partition(name: &str, entries: &[&str]) -> PartitionDir {
        match identified(name, entries) {
            Directory::Partition(partition) => partition,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_log_dir_is_told_by_its_files_whatever_its_name() {
        for name in ["data", "kafka-logs-1"] {
            let found =
                log_dir(name, &["meta.properties", "x-10/", "x-2/", "lost+found/", "remote-log-index-cache/", "junk"]);
            let names: Vec<_> = found.partitions.iter().map(|entry| entry.name.to_string()).collect();
            assert_eq!(names, ["x-2", "x-10"]);
            assert_eq!(found.foreign_directories, ["lost+found"]);
            assert_eq!(found.foreign, ["junk"]);
            assert!(found.has_remote_log_index_cache && found.is_formatted());
        }
        assert!(log_dir("kafka-logs-1", &[".lock"]).partitions.is_empty());
        assert!(!log_dir("copies", &["x-1/"]).is_formatted());
        assert_eq!(log_dir("kafka-1", &["meta.properties", SEGMENT, "x-1/"]).partitions.len(), 1);
    }

    #[test]
    fn a_partition_is_told_by_its_files_or_else_by_its_name() {
        assert_eq!(partition("orders-3", &[SEGMENT]).name, PartitionName::parse("orders-3"));
        assert_eq!(partition("compact-and-delete-0", &[]).name.unwrap().topic, "compact-and-delete");
        assert_eq!(partition("a copy", &[SEGMENT, ".kfsck-undo-20260101T000000Z/"]).name, None);
        assert_eq!(partition("orders-3", &[SEGMENT, "meta.properties"]).segments().len(), 1);
        assert!(matches!(identified("data", &["junk", "etc/"]), Directory::Other));
        assert!(matches!(identified("data", &[]), Directory::Other));
    }

    #[test]
    fn the_cache_of_tiered_storage_is_no_partition() {
        let cached = ["23_aBcDeFgHiJkLmNoPqRsTuw.index", "23_aBcDeFgHiJkLmNoPqRsTuw.timeindex", SEGMENT];
        assert!(matches!(identified("remote-log-index-cache", &cached), Directory::Other));
        assert!(matches!(identified("remote-log-index-cache", &["meta.properties"]), Directory::LogDir(_)));
    }

    #[test]
    fn a_partition_knows_its_log_dir_unless_it_is_a_loose_copy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x-1");
        fs::create_dir(&path).unwrap();
        assert_eq!(log_dir_of(&path), None);
        fs::write(dir.path().join("replication-offset-checkpoint"), "0\n0\n").unwrap();
        assert_eq!(log_dir_of(&path).as_deref(), Some(dir.path()));
        let elsewhere = tempfile::tempdir().unwrap();
        let link = elsewhere.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(log_dir_of(&link), Some(dir.path().canonicalize().unwrap()));
    }
}
