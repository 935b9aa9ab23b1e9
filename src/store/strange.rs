//! What files and directories are that are not Kafka's, as far as their first bytes and the names in them tell.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::log_dir::{Directory, identify};

/// What a file seems to be that has no name of Kafka's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StrangeFile {
    /// It has no bytes.
    Empty,
    /// A packed file or an archive of them; the word says which.
    Packed(&'static str),
    /// A program.
    Program,
    /// A transaction log or a snapshot of ZooKeeper.
    ZooKeeper,
    /// Lines of text.
    Text,
}

/// The bytes that a file begins with, at which position.
const BEGINNINGS: [(usize, &[u8], StrangeFile); 9] = [
    (0, b"PK\x03\x04", StrangeFile::Packed("zip or jar")),
    (0, b"\x1f\x8b", StrangeFile::Packed("gzip")),
    (0, b"\x28\xb5\x2f\xfd", StrangeFile::Packed("zstd")),
    (0, b"BZh", StrangeFile::Packed("bzip2")),
    (0, b"\xfd7zXZ\0", StrangeFile::Packed("xz")),
    (257, b"ustar", StrangeFile::Packed("tar")),
    (0, b"\x7fELF", StrangeFile::Program),
    (0, b"ZKLG", StrangeFile::ZooKeeper),
    (0, b"ZKSN", StrangeFile::ZooKeeper),
];

impl StrangeFile {
    /// What the file seems to be; `None` if nothing is known that begins like that, or it cannot be read.
    pub fn of(path: &Path) -> Option<Self> {
        let mut bytes = Vec::new();
        File::open(path).ok()?.take(512).read_to_end(&mut bytes).ok()?;
        Self::of_bytes(&bytes)
    }

    fn of_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() {
            return Some(Self::Empty);
        }
        let begins_so = |at: usize, with: &[u8]| bytes.get(at..).is_some_and(|rest| rest.starts_with(with));
        let known = BEGINNINGS.iter().find(|(at, with, _)| begins_so(*at, with)).map(|(.., what)| *what);
        let is_text = || bytes.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t' | b'\n' | b'\r' | 0x80..));
        known.or_else(|| (is_text() && std::str::from_utf8(bytes).is_ok()).then_some(Self::Text))
    }

    /// What it is, in words.
    pub(super) fn words(self) -> String {
        match self {
            Self::Empty => "it is empty".to_owned(),
            Self::Packed(how) => format!("it is packed ({how})"),
            Self::Program => "it is a program".to_owned(),
            Self::ZooKeeper => "it is ZooKeeper's".to_owned(),
            Self::Text => "it is text".to_owned(),
        }
    }

    /// What to do next; `None` where the bytes may be a segment's.
    pub(super) fn hint(self) -> Option<&'static str> {
        match self {
            Self::Empty => None,
            Self::Packed(_) => Some("unpack it, and give a directory or a file that was in it"),
            Self::Program | Self::ZooKeeper | Self::Text => Some(WHERE_PARTITIONS_ARE),
        }
    }
}

/// What a directory holds instead of partitions or segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StrangeDirectory {
    /// Nothing at all.
    Empty,
    /// Log dirs, a level too deep.
    AboveLogDirs(Vec<PathBuf>),
    /// What ZooKeeper keeps.
    ZooKeeper,
    /// Something else.
    Unknown,
}

/// The most log dirs that are named.
const MOST_NAMED: usize = 4;
const WHERE_PARTITIONS_ARE: &str =
    "Kafka's partitions are in the directories that log.dirs names in the broker's server.properties";

impl StrangeDirectory {
    /// What is in the directory. What cannot be read is [`StrangeDirectory::Unknown`].
    pub fn of(path: &Path) -> Self {
        let Ok(entries) = fs::read_dir(path) else { return Self::Unknown };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        if paths.is_empty() {
            return Self::Empty;
        }
        let is_zookeepers = |path: &PathBuf| path.is_file() && StrangeFile::of(path) == Some(StrangeFile::ZooKeeper);
        let version_2 = paths.iter().find(|path| path.ends_with("version-2")).and_then(|path| fs::read_dir(path).ok());
        let below = version_2.into_iter().flatten().flatten().map(|entry| entry.path());
        if paths.iter().cloned().chain(below).any(|path| is_zookeepers(&path)) {
            return Self::ZooKeeper;
        }
        let is_log_dir = |path: &PathBuf| {
            path.is_dir() && matches!(identify(path), Ok(Directory::LogDir(log_dir)) if log_dir.is_formatted())
        };
        paths.retain(is_log_dir);
        if paths.is_empty() { Self::Unknown } else { Self::AboveLogDirs(paths) }
    }

    /// What it is, in words.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Empty => "it is empty".to_owned(),
            Self::AboveLogDirs(dirs) if dirs.len() == 1 => "it is no log dir, but holds one".to_owned(),
            Self::AboveLogDirs(dirs) => format!("it is no log dir, but holds {}", dirs.len()),
            Self::ZooKeeper => "it is a directory of ZooKeeper's".to_owned(),
            Self::Unknown => "no partition directory, no segment".to_owned(),
        }
    }

    /// What to do next.
    pub(super) fn hint(&self) -> String {
        match self {
            Self::Empty => format!("is its volume mounted? {WHERE_PARTITIONS_ARE}"),
            Self::AboveLogDirs(dirs) => {
                let named: Vec<_> = dirs.iter().take(MOST_NAMED).map(|dir| dir.display().to_string()).collect();
                let more = if dirs.len() > MOST_NAMED { " …" } else { "" };
                format!("give what is in it: {}{more}", named.join(" "))
            }
            Self::ZooKeeper => WHERE_PARTITIONS_ARE.to_owned(),
            Self::Unknown => format!(
                "give a log dir, a partition directory or a file in one; {}",
                WHERE_PARTITIONS_ARE.replacen("Kafka's", "a broker's", 1).replacen("the broker's", "its", 1)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_by_their_first_bytes() {
        let mut tar = vec![0; 512];
        tar[257..262].copy_from_slice(b"ustar");
        for (bytes, expected) in [
            (&b""[..], Some(StrangeFile::Empty)),
            (b"PK\x03\x04\x14\0", Some(StrangeFile::Packed("zip or jar"))),
            (&tar, Some(StrangeFile::Packed("tar"))),
            (b"\x7fELF\x02", Some(StrangeFile::Program)),
            (b"ZKSN\0\0\0\x02", Some(StrangeFile::ZooKeeper)),
            ("[2026-11-22] naïve\n".as_bytes(), Some(StrangeFile::Text)),
            // A segment begins with its base offset.
            (&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 75], None),
            (b"\xff\xfe", None),
        ] {
            assert_eq!(StrangeFile::of_bytes(bytes), expected, "{bytes:?}");
        }
    }
}
