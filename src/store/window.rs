//! A window that slides over a file: bounded memory, whatever the file's size.

use std::ops::Range;

use super::{ReadStorage, StoreError};

/// How far a window over a memory map reaches at a time.
const LENT_STEP: u64 = 4 << 20;
/// How many bytes one positional read takes: what fits a core's second-level cache.
const COPIED_STEP: u64 = 256 << 10;

/// Bytes of a storage, at hand one window at a time.
pub struct Window<'s> {
    storage: &'s dyn ReadStorage,
    held: Held<'s>,
    range: Range<u64>,
    released: u64,
}

enum Held<'s> {
    Lent(&'s [u8]),
    Copied(Vec<u8>),
}

impl<'s> Window<'s> {
    /// A window over `storage`; nothing is read yet.
    pub fn new(storage: &'s dyn ReadStorage) -> Self {
        Self { storage, held: Held::Copied(Vec::new()), range: 0..0, released: 0 }
    }

    /// The storage below.
    pub fn storage(&self) -> &'s dyn ReadStorage {
        self.storage
    }

    /// The bytes from `position` on: at least `least` of them, or as many as there are before the end of the storage.
    ///
    /// `least` bytes are really held in memory where the storage is not mapped, so the caller bounds it.
    #[inline]
    pub fn at(&mut self, position: u64, least: u64) -> Result<&[u8], StoreError> {
        let wanted = position.saturating_add(least).min(self.storage.len());
        if position < self.range.start || wanted > self.range.end {
            self.refill(position, least)?;
        }
        let held = match &self.held {
            Held::Lent(bytes) => bytes,
            Held::Copied(bytes) => bytes.as_slice(),
        };
        let skipped = usize::try_from(position.saturating_sub(self.range.start)).unwrap_or(usize::MAX);
        Ok(held.get(skipped..).unwrap_or_default())
    }

    #[cold]
    fn refill(&mut self, position: u64, least: u64) -> Result<(), StoreError> {
        let length = self.storage.len();
        let reach = |step: u64| position.min(length)..position.saturating_add(least.max(step)).min(length);
        if let Some(bytes) = self.storage.lend(reach(LENT_STEP))? {
            self.held = Held::Lent(bytes);
            self.range = reach(LENT_STEP);
            // What lies behind is not needed again; keeping it mapped would count as memory of ours.
            if position > self.released {
                self.storage.release(self.released..position);
                self.released = position;
            }
            return Ok(());
        }
        let mut buffer = match std::mem::replace(&mut self.held, Held::Copied(Vec::new())) {
            Held::Copied(buffer) => buffer,
            Held::Lent(_) => Vec::new(),
        };
        self.range = 0..0;
        self.storage.read_into(reach(COPIED_STEP), &mut buffer)?;
        self.held = Held::Copied(buffer);
        self.range = reach(COPIED_STEP);
        Ok(())
    }

    /// Hands the bytes of `range` to `take` piece by piece, in order, without holding them all.
    pub fn stream(&mut self, range: Range<u64>, mut take: impl FnMut(&[u8])) -> Result<(), StoreError> {
        self.pieces(range, |piece| {
            take(piece);
            true
        })?;
        Ok(())
    }

    /// Whether every byte of `range` is zero. Stops at the first that is not.
    pub fn is_zero(&mut self, range: Range<u64>) -> Result<bool, StoreError> {
        self.pieces(range, |piece| piece.iter().all(|&byte| byte == 0))
    }

    /// Hands out the bytes of `range` piece by piece until `take` says no; whether it never did.
    fn pieces(&mut self, range: Range<u64>, mut take: impl FnMut(&[u8]) -> bool) -> Result<bool, StoreError> {
        let mut position = range.start;
        while position < range.end {
            let wanted = usize::try_from(range.end - position).unwrap_or(usize::MAX);
            let held = self.at(position, 1)?;
            let piece = held.get(..wanted).unwrap_or(held);
            if piece.is_empty() {
                break;
            }
            position += piece.len() as u64;
            if !take(piece) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether the bytes lent so far were the file's own: to be asked after the last of them.
    ///
    /// Errors: [`StoreError::Shrunk`] where the file has lost bytes meanwhile.
    pub fn still_whole(&self) -> Result<(), StoreError> {
        self.storage.still_whole()
    }
}
