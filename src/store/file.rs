//! Opening regular files, and reading small ones whole.

use std::fs::{self, File, FileType, OpenOptions};
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::time::SystemTime;

use rustix::fs::{OFlags, SeekFrom};

use super::{FoundType, StoreError};

/// What the file system says about a file without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileFacts {
    /// Its size in bytes.
    pub size_in_bytes: u64,
    /// When its content was last changed.
    pub modified: SystemTime,
}

impl FileFacts {
    /// What the file system says about `path`, links followed.
    ///
    /// Errors: [`StoreError::Io`].
    pub fn of(path: &Path) -> Result<Self, StoreError> {
        let failed = |source| StoreError::io("look at", path, source);
        let metadata = fs::metadata(path).map_err(failed)?;
        Ok(Self { size_in_bytes: metadata.len(), modified: metadata.modified().map_err(failed)? })
    }
}

/// Opens a regular file for reading and says how many bytes it has.
pub(super) fn open_regular(path: &Path) -> Result<(File, u64), StoreError> {
    let failed = |source| StoreError::io("open", path, source);
    // Looked at before it is opened, because to open a device can set it going.
    regular(path, fs::metadata(path).map_err(failed)?.file_type())?;
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    // Without blocking, in case the name has come to mean a pipe since; for regular files the flag has no meaning.
    let file = OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    regular(path, metadata.file_type())?;
    Ok((file, metadata.len()))
}

pub(super) fn regular(path: &Path, file_type: FileType) -> Result<(), StoreError> {
    let found = if file_type.is_file() {
        return Ok(());
    } else if file_type.is_dir() {
        FoundType::Directory
    } else if file_type.is_fifo() {
        FoundType::Pipe
    } else if file_type.is_socket() {
        FoundType::Socket
    } else {
        FoundType::Device
    };
    Err(StoreError::NotAFile { path: path.to_owned(), found })
}

/// The whole content of a file that has at most `limit` bytes: an index, a checkpoint, a snapshot.
///
/// An active segment's index is preallocated (10 MiB by default) and nearly all hole; holes cost no reading.
///
/// Errors: [`StoreError::TooLarge`] above the limit, [`StoreError::Shrunk`] where the file loses bytes meanwhile,
/// [`StoreError::NotAFile`] and [`StoreError::Io`] as with [`super::open`].
pub fn read_small(path: &Path, limit: u64) -> Result<Vec<u8>, StoreError> {
    let (file, len) = open_regular(path)?;
    let too_large = || StoreError::TooLarge { path: path.to_owned(), size_in_bytes: len, limit };
    if len > limit {
        return Err(too_large());
    }
    // Zeroed memory comes from the system as it is, untouched where the file has a hole.
    let mut bytes = vec![0; usize::try_from(len).map_err(|_| too_large())?];
    let mut at = 0;
    while let Some((start, end)) = next_data(&file, at, len) {
        let wanted = bytes.get_mut(start as usize..end as usize).unwrap_or_default();
        read_exact_at(&file, path, wanted, start, len)?;
        at = end;
    }
    // A file that lost its tail has fewer data regions: not seen as a short read.
    let now = file.metadata().map_err(|source| StoreError::io("read", path, source))?.len();
    if now < len {
        return Err(StoreError::Shrunk { path: path.to_owned(), expected: len, got: now });
    }
    Ok(bytes)
}

/// The next region at or after `at` that is no hole. All the rest, where the file system cannot tell.
fn next_data(file: &File, at: u64, len: u64) -> Option<(u64, u64)> {
    if at >= len {
        return None;
    }
    match rustix::fs::seek(file, SeekFrom::Data(at)) {
        Ok(start) if start >= len => None,
        Ok(start) => match rustix::fs::seek(file, SeekFrom::Hole(start)) {
            Ok(end) if end > start => Some((start, end.min(len))),
            _ => Some((start, len)),
        },
        Err(rustix::io::Errno::NXIO) => None,
        Err(_) => Some((at, len)),
    }
}

/// Fills `bytes` from position `at` of a file that had `len` bytes.
pub(super) fn read_exact_at(
    file: &File,
    path: &Path,
    mut bytes: &mut [u8],
    mut at: u64,
    len: u64,
) -> Result<(), StoreError> {
    while !bytes.is_empty() {
        match file.read_at(bytes, at) {
            Ok(0) => return Err(StoreError::Shrunk { path: path.to_owned(), expected: len, got: at }),
            Ok(read) => {
                bytes = bytes.get_mut(read..).unwrap_or_default();
                at += read as u64;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(source) => return Err(StoreError::io("read", path, source)),
        }
    }
    Ok(())
}
