//! Walking through a file in windows of bounded size, whatever its own size.

use std::ops::Range;

use super::{ReadStorage, StoreError};
use crate::format::Position;

/// The usual size of a window in bytes: large enough for the cost of a step to vanish, small enough that several
/// workers together stay within a few tens of MiB.
pub const WINDOW_SIZE: usize = 4 * 1024 * 1024;

/// A range of a file, lent window by window. Memory behind the walk is given back.
///
/// The caller says where each window begins, usually behind the last whole batch of the one before; what was left of
/// it is then lent again at the front of the next. What does not fit into one window has to be taken in pieces.
pub struct Windows<'s> {
    storage: &'s dyn ReadStorage,
    scratch: &'s mut Vec<u8>,
    range: Range<u64>,
    size: u64,
    released: u64,
}

impl<'s> Windows<'s> {
    /// Windows of at most `size` bytes (at least one) within `range` of `storage`, end exclusive.
    ///
    /// Errors: [`StoreError::BeyondEnd`].
    pub fn new(
        storage: &'s dyn ReadStorage,
        range: Range<u64>,
        size: usize,
        scratch: &'s mut Vec<u8>,
    ) -> Result<Self, StoreError> {
        super::within(storage.path(), &range, storage.len())?;
        let released = range.start;
        Ok(Self { storage, scratch, range, size: size.max(1) as u64, released })
    }

    /// The bytes from `position` on: a full window, fewer only where the range ends, none at its end.
    ///
    /// Errors: those of [`ReadStorage::window`]; a `position` outside the range is [`StoreError::BeyondEnd`].
    pub fn at(&mut self, position: Position) -> Result<&[u8], StoreError> {
        let start = position.0;
        let end = start.saturating_add(self.size).min(self.range.end);
        if start < self.range.start || start > end {
            return Err(StoreError::BeyondEnd {
                path: self.storage.path().to_owned(),
                start,
                end: start.saturating_add(self.size),
                len: self.range.end,
            });
        }
        if start > self.released {
            self.storage.release(self.released..start);
            self.released = start;
        }
        self.storage.window(start..end, self.scratch)
    }

    /// The end of the walk: says whether all windows held the file's own bytes, and gives back the memory.
    ///
    /// Errors: [`StoreError::Shrunk`].
    pub fn finish(self) -> Result<(), StoreError> {
        self.storage.release(self.released..self.range.end);
        self.storage.still_whole()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::mem::MemoryStorage;
    use crate::store::{IoMode, ReadPolicy, open};

    #[test]
    fn windows_of_any_size_and_overlap_give_every_byte_once() {
        let bytes: Vec<u8> = (0..100_000u32).map(|i| (i % 253) as u8).collect();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        std::fs::write(&path, &bytes).unwrap();
        let storages: [Box<dyn ReadStorage>; 3] = [
            Box::new(MemoryStorage::new("x", bytes.clone())),
            open(&path, ReadPolicy { mode: IoMode::Mmap, may_change: false }).unwrap(),
            open(&path, ReadPolicy { mode: IoMode::Pread, may_change: false }).unwrap(),
        ];
        for storage in storages {
            for size in [1000, 4096, 10_000, 1 << 20] {
                let mut scratch = Vec::new();
                let mut windows = Windows::new(storage.as_ref(), 100..99_000, size, &mut scratch).unwrap();
                let (mut position, mut got) = (100, Vec::new());
                loop {
                    let window = windows.at(Position(position)).unwrap();
                    assert!(window.len() <= size);
                    if window.is_empty() {
                        break;
                    }
                    // A tail of each window is left for the next, as an incomplete batch would be.
                    let used = window.len().saturating_sub(17).max(1);
                    got.extend_from_slice(&window[..used]);
                    position += used as u64;
                }
                assert!(got == bytes[100..99_000]);
                assert!(windows.at(Position(99)).is_err());
                assert!(windows.at(Position(99_001)).is_err());
                windows.finish().unwrap();
                assert!(scratch.len() <= size.min(99_000));
            }
        }
    }

    #[test]
    fn a_range_beyond_the_file_is_refused() {
        let storage = MemoryStorage::new("x", vec![0; 10]);
        assert!(Windows::new(&storage, 0..11, 4, &mut Vec::new()).is_err());
        let mut scratch = Vec::new();
        assert_eq!(Windows::new(&storage, 10..10, 0, &mut scratch).unwrap().at(Position(10)).unwrap(), b"");
    }
}
