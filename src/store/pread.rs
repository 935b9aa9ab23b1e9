//! Files read by position: slower than a map by a copy, and every failure is an error code.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::{ReadStorage, StoreError, file};

/// A file read by position.
#[derive(Debug)]
pub struct PreadFile {
    path: PathBuf,
    file: File,
    len: u64,
}

impl PreadFile {
    /// Opens a regular file.
    ///
    /// Errors: those of [`super::open`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let (file, len) = file::open_regular(path)?;
        Ok(Self::new(path, file, len))
    }

    pub(super) fn new(path: &Path, file: File, len: u64) -> Self {
        Self { path: path.to_owned(), file, len }
    }
}

impl ReadStorage for PreadFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn len(&self) -> u64 {
        self.len
    }

    fn read_into(&self, range: Range<u64>, buffer: &mut Vec<u8>) -> Result<(), StoreError> {
        read_range(&self.file, &self.path, range, self.len, buffer)
    }
}

/// Reads `range` of a file that had `len` bytes to the start of `buffer`.
pub(super) fn read_range(
    file: &File,
    path: &Path,
    range: Range<u64>,
    len: u64,
    buffer: &mut Vec<u8>,
) -> Result<(), StoreError> {
    let wanted = super::in_memory(path, &range, len)?.len();
    // Only ever made longer: to shorten it would mean to clear it again for the next full window.
    if buffer.len() < wanted {
        buffer.resize(wanted, 0);
    }
    file::read_exact_at(file, path, buffer.get_mut(..wanted).unwrap_or_default(), range.start, len)
}
