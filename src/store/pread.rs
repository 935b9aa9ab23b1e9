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

    fn window<'a>(&'a self, range: Range<u64>, scratch: &'a mut Vec<u8>) -> Result<&'a [u8], StoreError> {
        read_window(&self.file, &self.path, range, self.len, scratch)
    }
}

/// Reads `range` of a file that had `len` bytes into `scratch`.
pub(super) fn read_window<'a>(
    file: &File,
    path: &Path,
    range: Range<u64>,
    len: u64,
    scratch: &'a mut Vec<u8>,
) -> Result<&'a [u8], StoreError> {
    let wanted = super::in_memory(path, &range, len)?.len();
    // Only ever made longer: to shorten it would mean to clear it again for the next full window.
    if scratch.len() < wanted {
        scratch.resize(wanted, 0);
    }
    let bytes = scratch.get_mut(..wanted).unwrap_or_default();
    file::read_exact_at(file, path, bytes, range.start, len)?;
    Ok(bytes)
}
