//! Files read through a memory map. The one file of this layer with `unsafe` in it.
//!
//! A map of a file that someone else cuts is a trap twice over: a page behind the new end kills the process with
//! SIGBUS when it is touched, and the rest of the last page silently reads as zeros. So each window is populated by
//! the kernel before it is lent, which turns the signal into an error code, and the size of the file is compared
//! afterwards. That narrows the race and does not close it: a file may still be cut while a window is out. Hence
//! `ReadPolicy::may_change`, [`ReadStorage::still_whole`] after the last window, and a handler for the signal in the
//! program.

#![allow(unsafe_code)]

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use memmap2::{Mmap, MmapOptions, UncheckedAdvice};

use super::{ReadStorage, StoreError, file, pread};

/// A multiple of every page size in use, in bytes: memory is given back in such pieces.
const LARGEST_PAGE: u64 = 64 * 1024;

/// A file read through a memory map.
#[derive(Debug)]
pub struct MappedFile {
    path: PathBuf,
    file: File,
    len: u64,
    map: Mmap,
}

impl MappedFile {
    /// Opens and maps a regular file. No byte of it is read yet.
    ///
    /// Errors: those of [`super::open`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let (file, len) = file::open_regular(path)?;
        Self::new(path, file, len)
    }

    pub(super) fn new(path: &Path, file: File, len: u64) -> Result<Self, StoreError> {
        let too_large =
            |_| StoreError::TooLarge { path: path.to_owned(), size_in_bytes: len, limit: usize::MAX as u64 };
        let mapped = usize::try_from(len).map_err(too_large)?;
        // SAFETY: the bytes behind a shared map can change under a `&[u8]` when another process writes to the file,
        // which Rust does not foresee. We map read-only and shared files that a broker only appends to or cuts; bytes
        // below `len` are never rewritten in place, and what a cut does is dealt with in `window`. Readers copy a
        // field out before they decide on it, and build nothing over the map whose validity depends on its bytes.
        let map = unsafe { MmapOptions::new().len(mapped).map(&file) };
        let map = map.map_err(|source| StoreError::io("map", path, source))?;
        Ok(Self { path: path.to_owned(), file, len, map })
    }

    /// Faults the pages of `range` in. `false` where the kernel could not: the file was cut, or the disk failed.
    fn populate(&self, range: &Range<usize>) -> bool {
        #[cfg(target_os = "linux")]
        if let Err(error) = self.map.advise_range(memmap2::Advice::PopulateRead, range.start, range.len()) {
            // Kernels before 5.14 do not know this advice. They leave us with the comparison of sizes.
            return error.raw_os_error() == Some(nix::libc::EINVAL);
        }
        true
    }
}

impl ReadStorage for MappedFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn len(&self) -> u64 {
        self.len
    }

    fn lend(&self, range: Range<u64>) -> Result<Option<&[u8]>, StoreError> {
        let mapped = super::in_memory(&self.path, &range, self.len)?;
        if mapped.is_empty() {
            return Ok(Some(&[]));
        }
        let populated = self.populate(&mapped);
        self.still_whole()?;
        // Where the file is as long as it was, the disk failed. A read says how, or gets the bytes after all.
        Ok(populated.then(|| self.map.get(mapped).unwrap_or_default()))
    }

    fn read_into(&self, range: Range<u64>, buffer: &mut Vec<u8>) -> Result<(), StoreError> {
        pread::read_range(&self.file, &self.path, range, self.len, buffer)
    }

    fn release(&self, range: Range<u64>) {
        // The page the range ends in is still being read; the one it starts in was left over the last time.
        let start = range.start / LARGEST_PAGE * LARGEST_PAGE;
        let end = range.end.min(self.len) / LARGEST_PAGE * LARGEST_PAGE;
        if let (Ok(start), Ok(end)) = (usize::try_from(start), usize::try_from(end))
            && start < end
        {
            // SAFETY: the map is shared, file-backed and never written through, so the kernel only forgets where the
            // pages are: touched again, they come back with the file's bytes. `start..end` lies within the map.
            // It is advice: where the kernel declines, memory stays in use and nothing is wrong.
            let _ = unsafe { self.map.unchecked_advise_range(UncheckedAdvice::DontNeed, start, end - start) };
        }
    }

    fn still_whole(&self) -> Result<(), StoreError> {
        let now = self.file.metadata().map_err(|source| StoreError::io("read", &self.path, source))?.len();
        if now < self.len {
            return Err(StoreError::Shrunk { path: self.path.clone(), expected: self.len, got: now });
        }
        Ok(())
    }
}
