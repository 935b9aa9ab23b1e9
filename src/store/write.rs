//! Changing files: the few operations that repairs are made of, and the file system that does them.
//!
//! Each is one call of the system, so that a test can stop between any two of them and forget what was not synced.
//! A name that is a symbolic link is never followed: what a link leads to may be no part of the partition.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::OFlags;

use super::{StoreError, file};

/// Who owns a file, who may do what with it, and when it was last changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FileMeta {
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
    /// When its content was last changed: seconds since 1970, and nanoseconds.
    pub modified: (i64, u32),
}

/// What a name in a directory stands for, a symbolic link not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// A regular file.
    File(FileId),
    /// Anything else: a link, a directory, a device.
    Other,
}

/// What tells one state of one file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FileId {
    /// The device.
    pub device: u64,
    /// The inode.
    pub inode: u64,
    /// How many names it has.
    pub links: u64,
    /// The size in bytes.
    pub size_in_bytes: u64,
    /// Owner, mode and time of the last change of the content.
    pub meta: FileMeta,
    /// When the inode was last changed: seconds since 1970, and nanoseconds.
    pub changed: (i64, u32),
}

/// The operations that repairs are made of. What was written lasts only once it is synced, a name only once its
/// directory is.
pub trait WriteStorage {
    /// What `path` stands for.
    fn look(&self, path: &Path) -> Result<Found, StoreError>;
    /// The names in a directory; none where there is no such directory.
    fn list(&self, dir: &Path) -> Result<Vec<OsString>, StoreError>;
    /// All bytes of a regular file from `position` on.
    fn read_from(&self, path: &Path, position: u64) -> Result<Vec<u8>, StoreError>;
    /// The bytes of a regular file from `position` on, `length` of them or as many as there are.
    fn read_at(&self, path: &Path, position: u64, length: usize) -> Result<Vec<u8>, StoreError>;
    /// Makes a directory, with the owner and the permissions of the one that it is in.
    fn create_dir(&self, dir: &Path) -> Result<(), StoreError>;
    /// Makes a file that is not there yet, with all its bytes. An incomplete one may be left where it fails.
    fn create(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError>;
    /// Makes a file that is not there yet, with the bytes of `from` from `position` on.
    fn copy_tail(&self, from: &Path, position: u64, to: &Path) -> Result<(), StoreError>;
    /// Writes all bytes of the file `tail` to `path` from `position` on.
    fn paste_tail(&self, tail: &Path, path: &Path, position: u64) -> Result<(), StoreError>;
    /// Cuts a file to `size_in_bytes`.
    fn cut(&self, path: &Path, size_in_bytes: u64) -> Result<(), StoreError>;
    /// Sets owner, mode and modification time of a file.
    fn set_meta(&self, path: &Path, meta: &FileMeta) -> Result<(), StoreError>;
    /// Makes content and metadata of a file last.
    fn sync(&self, path: &Path) -> Result<(), StoreError>;
    /// Makes the names in a directory last.
    fn sync_dir(&self, dir: &Path) -> Result<(), StoreError>;
    /// Gives a file another name, in one moment; a file that had it before loses it.
    fn rename(&self, from: &Path, to: &Path) -> Result<(), StoreError>;
    /// Gives a file a second name, which must be free.
    fn link(&self, from: &Path, to: &Path) -> Result<(), StoreError>;
    /// Takes a name from a file.
    fn remove(&self, path: &Path) -> Result<(), StoreError>;
    /// Removes an empty directory.
    fn remove_dir(&self, dir: &Path) -> Result<(), StoreError>;
    /// How many bytes can still be written where `dir` is.
    fn free_bytes(&self, dir: &Path) -> Result<u64, StoreError>;
}

/// The file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

/// How many bytes are copied at once.
const COPIED_AT_ONCE: usize = 1 << 20;

fn system_time((seconds, nanoseconds): (i64, u32)) -> SystemTime {
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let second = if seconds >= 0 { UNIX_EPOCH + whole } else { UNIX_EPOCH - whole };
    second + Duration::from_nanos(nanoseconds.into())
}

impl FileId {
    /// Whether this and `other` are names of one file.
    pub fn is_same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }

    fn of(metadata: &fs::Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            links: metadata.nlink(),
            size_in_bytes: metadata.len(),
            meta: FileMeta {
                uid: metadata.uid(),
                gid: metadata.gid(),
                mode: metadata.mode() & 0o7777,
                modified: (metadata.mtime(), metadata.mtime_nsec() as u32),
            },
            changed: (metadata.ctime(), metadata.ctime_nsec() as u32),
        }
    }
}

/// Opens the regular file that `path` itself is.
fn open_itself(path: &Path, options: &mut OpenOptions, operation: &'static str) -> Result<File, StoreError> {
    let failed = |source| StoreError::io(operation, path, source);
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = options.custom_flags(flags.bits() as i32).open(path).map_err(failed)?;
    file::regular(path, file.metadata().map_err(failed)?.file_type())?;
    Ok(file)
}

fn copy(
    from: &File,
    mut position: u64,
    from_path: &Path,
    to: &File,
    to_path: &Path,
    mut at: u64,
) -> Result<(), StoreError> {
    let mut buffer = vec![0; COPIED_AT_ONCE];
    loop {
        let read = match from.read_at(&mut buffer, position) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(source) => return Err(StoreError::io("read", from_path, source)),
        };
        let bytes = buffer.get(..read).unwrap_or_default();
        to.write_all_at(bytes, at).map_err(|source| StoreError::io("write", to_path, source))?;
        position += read as u64;
        at += read as u64;
    }
}

impl WriteStorage for Disk {
    fn look(&self, path: &Path) -> Result<Found, StoreError> {
        match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_file() => Ok(Found::File(FileId::of(&metadata))),
            Ok(_) => Ok(Found::Other),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Found::Nothing),
            Err(source) => Err(StoreError::io("look at", path, source)),
        }
    }

    fn list(&self, dir: &Path) -> Result<Vec<OsString>, StoreError> {
        let failed = |source| StoreError::io("list", dir, source);
        let entries = match fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(failed(source)),
        };
        let mut names = entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>().map_err(failed)?;
        names.sort_unstable();
        Ok(names)
    }

    fn read_from(&self, path: &Path, position: u64) -> Result<Vec<u8>, StoreError> {
        let file = open_itself(path, OpenOptions::new().read(true), "open")?;
        let len = file.metadata().map_err(|source| StoreError::io("read", path, source))?.len();
        let mut bytes = vec![0; usize::try_from(len.saturating_sub(position)).unwrap_or(usize::MAX)];
        file::read_exact_at(&file, path, &mut bytes, position, len)?;
        Ok(bytes)
    }

    fn read_at(&self, path: &Path, position: u64, length: usize) -> Result<Vec<u8>, StoreError> {
        let file = open_itself(path, OpenOptions::new().read(true), "open")?;
        let len = file.metadata().map_err(|source| StoreError::io("read", path, source))?.len();
        let there = usize::try_from(len.saturating_sub(position)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; length.min(there)];
        file::read_exact_at(&file, path, &mut bytes, position, len)?;
        Ok(bytes)
    }

    fn create_dir(&self, dir: &Path) -> Result<(), StoreError> {
        let failed = |source| StoreError::io("create", dir, source);
        let parent = fs::metadata(dir.parent().unwrap_or(Path::new("."))).map_err(failed)?;
        fs::DirBuilder::new().mode(parent.mode() & 0o7777).create(dir).map_err(failed)?;
        let made = File::open(dir).map_err(failed)?;
        let metadata = made.metadata().map_err(failed)?;
        if (metadata.uid(), metadata.gid()) != (parent.uid(), parent.gid()) {
            fchown(&made, Some(parent.uid()), Some(parent.gid())).map_err(failed)?;
        }
        Ok(())
    }

    fn create(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        let mut file = open_itself(path, OpenOptions::new().write(true).create_new(true).mode(0o600), "create")?;
        file.write_all(bytes).map_err(|source| StoreError::io("write", path, source))
    }

    fn copy_tail(&self, from: &Path, position: u64, to: &Path) -> Result<(), StoreError> {
        let source = open_itself(from, OpenOptions::new().read(true), "open")?;
        let target = open_itself(to, OpenOptions::new().write(true).create_new(true).mode(0o600), "create")?;
        copy(&source, position, from, &target, to, 0)
    }

    fn paste_tail(&self, tail: &Path, path: &Path, position: u64) -> Result<(), StoreError> {
        let source = open_itself(tail, OpenOptions::new().read(true), "open")?;
        let target = open_itself(path, OpenOptions::new().write(true), "open")?;
        copy(&source, 0, tail, &target, path, position)
    }

    fn cut(&self, path: &Path, size_in_bytes: u64) -> Result<(), StoreError> {
        let file = open_itself(path, OpenOptions::new().write(true), "open")?;
        file.set_len(size_in_bytes).map_err(|source| StoreError::io("cut", path, source))
    }

    fn set_meta(&self, path: &Path, meta: &FileMeta) -> Result<(), StoreError> {
        let failed = |source| StoreError::io("set owner and times of", path, source);
        let file = open_itself(path, OpenOptions::new().read(true), "open")?;
        let now = FileId::of(&file.metadata().map_err(failed)?).meta;
        if (now.uid, now.gid) != (meta.uid, meta.gid) {
            fchown(&file, Some(meta.uid), Some(meta.gid)).map_err(failed)?;
        }
        if now.mode != meta.mode {
            let mode = rustix::fs::Mode::from_raw_mode(meta.mode);
            rustix::fs::fchmod(&file, mode).map_err(|error| failed(error.into()))?;
        }
        file.set_modified(system_time(meta.modified)).map_err(failed)
    }

    fn sync(&self, path: &Path) -> Result<(), StoreError> {
        let file = open_itself(path, OpenOptions::new().read(true), "open")?;
        file.sync_all().map_err(|source| StoreError::io("sync", path, source))
    }

    fn sync_dir(&self, dir: &Path) -> Result<(), StoreError> {
        let failed = |source| StoreError::io("sync", dir, source);
        File::open(dir).map_err(failed)?.sync_all().map_err(failed)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), StoreError> {
        fs::rename(from, to).map_err(|source| StoreError::io("put a file in the place of", to, source))
    }

    fn link(&self, from: &Path, to: &Path) -> Result<(), StoreError> {
        fs::hard_link(from, to).map_err(|source| StoreError::io("keep the old state of", from, source))
    }

    fn remove(&self, path: &Path) -> Result<(), StoreError> {
        fs::remove_file(path).map_err(|source| StoreError::io("remove", path, source))
    }

    fn remove_dir(&self, dir: &Path) -> Result<(), StoreError> {
        fs::remove_dir(dir).map_err(|source| StoreError::io("remove", dir, source))
    }

    fn free_bytes(&self, dir: &Path) -> Result<u64, StoreError> {
        let facts = rustix::fs::statvfs(dir).map_err(|error| StoreError::io("ask for free space in", dir, error))?;
        Ok(facts.f_bavail.saturating_mul(facts.f_frsize))
    }
}
