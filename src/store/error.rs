//! Why something could not be looked at.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::strange::{StrangeDirectory, StrangeFile};

/// Why something could not be looked at. Damage is none of these: it is seen by looking.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system refused or failed.
    #[error("cannot {operation} {path}: {}", cause(.source), path = .path.display())]
    Io {
        /// What was tried, a verb that fits between "cannot" and the path.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file was expected and it is something else.
    #[error("cannot read {}: it is {found}, not a file", .path.display())]
    NotAFile {
        /// What was to be read.
        path: PathBuf,
        /// What it is.
        found: FoundType,
    },
    /// A broker, or another run of this program, is working on the log dir.
    #[error("{} is held by {}", .path.display(), holder(*.pid))]
    LockHeld {
        /// The lock's file.
        path: PathBuf,
        /// The process that holds it, where that can be told.
        pid: Option<i32>,
    },
    /// A file was to be changed, and its name stands for a link, a directory or a device.
    #[error("{} is not itself a file: nothing is changed through a link", .path.display())]
    NotItselfAFile {
        /// What was to be changed.
        path: PathBuf,
    },
    /// A file has become shorter since it was opened.
    #[error("{} shrank from {expected} to {got} bytes while being read", .path.display())]
    Shrunk {
        /// The file.
        path: PathBuf,
        /// Its size in bytes when it was opened.
        expected: u64,
        /// Its size in bytes now.
        got: u64,
    },
    /// Bytes were asked for that the file does not have.
    #[error("bytes {start}..{end} of {} were asked for, which has {len}", .path.display())]
    BeyondEnd {
        /// The file.
        path: PathBuf,
        /// The first byte asked for.
        start: u64,
        /// The end of what was asked for, exclusive.
        end: u64,
        /// The size of the file in bytes when it was opened.
        len: u64,
    },
    /// A file that is read as a whole is larger than any such file can be.
    #[error("{} has {size_in_bytes} bytes, more than the {limit} that such a file can have", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        size_in_bytes: u64,
        /// The greatest size accepted, in bytes.
        limit: u64,
    },
    /// A file whose name is none that Kafka gives.
    #[error("cannot tell what {} is: no file of Kafka's has such a name{}", .path.display(), and_seems(*.seems))]
    NotKafkas {
        /// The file.
        path: PathBuf,
        /// What it seems to be.
        seems: Option<StrangeFile>,
    },
    /// A directory with the name of a partition, but for bytes that are not UTF-8.
    #[error("cannot look into {path:?}: its name is not UTF-8, so no topic can be called that")]
    UnnameablePartition {
        /// The directory.
        path: PathBuf,
    },
    /// A directory holds nothing that Kafka wrote.
    #[error("nothing to look at in {}: {}", .path.display(), .holds.words())]
    NothingThere {
        /// The directory.
        path: PathBuf,
        /// What it holds instead.
        holds: StrangeDirectory,
    },
    /// There is something, and none of it is what was selected.
    #[error("nothing to look at in {}: {wanted}", .path.display())]
    NothingSelected {
        /// Where it was looked for.
        path: PathBuf,
        /// What was not found, in words.
        wanted: String,
        /// A selection that would have found something.
        instead: Option<String>,
    },
}

impl StoreError {
    /// What to do next, where there is something to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotKafkas { seems, .. } => Some(
                seems
                    .and_then(StrangeFile::hint)
                    .unwrap_or(
                        "a segment is called by its first offset, like 00000000000000004711.log: give a copy that name",
                    )
                    .to_owned(),
            ),
            Self::Io { source, .. } => match (source.kind(), source.raw_os_error()) {
                (io::ErrorKind::PermissionDenied, _) => {
                    Some("run it as the user the broker runs as, or as root".to_owned())
                }
                (_, Some(EIO)) => Some(
                    "the disk failed to deliver these bytes: see the kernel's log, and work on a copy of what can still \
                     be read"
                        .to_owned(),
                ),
                _ => None,
            },
            Self::LockHeld { .. } => Some("nothing was changed; stop the broker first".to_owned()),
            Self::NotItselfAFile { .. } => Some("put the file itself in the place of the link".to_owned()),
            Self::NotAFile { .. } | Self::BeyondEnd { .. } | Self::TooLarge { .. } => None,
            Self::Shrunk { .. } => {
                Some("something is writing to it: run this again when the broker is stopped, or on a copy".to_owned())
            }
            Self::NothingThere { holds, .. } => Some(holds.hint()),
            Self::UnnameablePartition { .. } => {
                Some("give a copy of it the name of a partition, like orders-3, and look at that".to_owned())
            }
            Self::NothingSelected { instead, .. } => instead.clone(),
        }
    }

    /// The error for a file without a name of Kafka's. Its first bytes are looked at.
    pub fn not_kafkas(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self::NotKafkas { seems: StrangeFile::of(&path), path }
    }

    /// The error for a directory without anything of Kafka's. What is in it is looked at.
    pub fn nothing_there(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self::NothingThere { holds: StrangeDirectory::of(&path), path }
    }

    /// The error for undo data where only a partition can be looked at or changed.
    pub fn is_undo_data(path: impl Into<PathBuf>) -> Self {
        Self::NothingSelected {
            path: path.into(),
            wanted: "it is undo data, the end of a log that was cut or files as they were before, and no partition"
                .to_owned(),
            instead: Some(
                "kfsck dump-log and lookup read it, kfsck undo brings it back; give the partition it is in".to_owned(),
            ),
        }
    }

    /// The error for a name that does not itself stand for a file.
    pub(crate) fn not_itself_a_file(path: impl Into<PathBuf>) -> Self {
        Self::NotItselfAFile { path: path.into() }
    }

    /// An error of the system while doing `operation` (a verb) on `path`.
    pub(super) fn io(operation: &'static str, path: impl Into<PathBuf>, source: impl Into<io::Error>) -> Self {
        Self::Io { operation, path: path.into(), source: source.into() }
    }
}

const EIO: i32 = nix::libc::EIO;

/// What the system said, without the number that the standard library appends.
fn cause(error: &io::Error) -> String {
    let mut words = error.to_string();
    if let Some(code) = error.raw_os_error() {
        let tail = format!(" (os error {code})");
        if words.ends_with(&tail) {
            words.truncate(words.len() - tail.len());
        }
    }
    words
}

/// What a file seems to be, behind what it is not.
fn and_seems(seems: Option<StrangeFile>) -> String {
    seems.map_or(String::new(), |seems| format!(", and {}", seems.words()))
}

/// Who holds a lock.
fn holder(pid: Option<i32>) -> String {
    pid.map_or("a broker or another run of kfsck".to_owned(), |pid| format!("process {pid}"))
}

/// What was found where a file was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FoundType {
    /// A directory.
    Directory,
    /// A named pipe.
    Pipe,
    /// A socket.
    Socket,
    /// A block or character device.
    Device,
}

impl fmt::Display for FoundType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Directory => "a directory",
            Self::Pipe => "a pipe",
            Self::Socket => "a socket",
            Self::Device => "a device",
        })
    }
}
