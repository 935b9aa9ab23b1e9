//! A window that slides over a file: bounded memory, whatever the file's size.

use std::ops::Range;
use std::sync::Arc;

use super::{ReadStorage, StoreError};

/// How far a window over a memory map reaches at most.
const MOST_LENT: u64 = 4 << 20;
/// How many bytes one positional read takes at most: what fits a core's second-level cache.
const MOST_COPIED: u64 = 256 << 10;
/// What all windows of a program may hold together, as long as no batch is larger than they are.
const BUDGET: u64 = 16 << 20;
/// Windows do not get smaller than this, however many there are.
const LEAST_REACH: u64 = 16 << 10;

/// Memory for windows: made once for a thread, and used for one window after the other.
#[derive(Debug)]
pub struct Scratch {
    bytes: Vec<u8>,
    reach: Reach,
}

/// How far windows reach, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reach {
    lent: u64,
    copied: u64,
}

impl Scratch {
    /// Memory for a thread that has a window, one of `windows` in the program at the same time. The more there are the
    /// less each takes.
    pub fn one_of(windows: usize) -> Self {
        let share = BUDGET / (windows as u64).max(1);
        let reach = |most: u64| share.clamp(LEAST_REACH, most);
        Self { bytes: Vec::new(), reach: Reach { lent: reach(MOST_LENT), copied: reach(MOST_COPIED) } }
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::one_of(1)
    }
}

/// Bytes at hand.
#[derive(Clone, Copy, Debug)]
pub struct View<'w> {
    /// The bytes.
    pub bytes: &'w [u8],
    /// Whether they are the storage's own, which the processor may never have seen; bytes that were copied it has.
    pub is_lent: bool,
}

/// Bytes that stay as they are when the window they were in moves on. Any thread may look at them.
#[derive(Clone, Debug)]
pub struct Held {
    memory: Arc<Vec<u8>>,
    range: Range<usize>,
}

impl Held {
    /// The bytes.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        self.memory.get(self.range.clone()).unwrap_or_default()
    }
}

/// Bytes of a storage, at hand one window at a time.
pub struct Window<'s> {
    storage: &'s dyn ReadStorage,
    /// How many bytes the storage has.
    length: u64,
    /// The bytes at hand, where the storage lends them.
    lent: Option<&'s [u8]>,
    /// The bytes at hand, where it does not. What lies behind them is left over from earlier.
    copied: Arc<Vec<u8>>,
    /// Memory of earlier places that somebody held when the window moved on; it is used again once nobody does.
    elsewhere: Vec<Arc<Vec<u8>>>,
    range: Range<u64>,
    released: u64,
    /// A few bytes from elsewhere.
    aside: Vec<u8>,
    reach: Reach,
    /// Little of what lies from here on will be asked for.
    mostly_until: u64,
    /// Where the memory comes from and goes back to.
    home: Option<&'s mut Scratch>,
}

impl Drop for Window<'_> {
    fn drop(&mut self) {
        // One batch of unusual size must not pin its memory for the rest of the run.
        if let (Some(home), Some(copied)) = (&mut self.home, Arc::get_mut(&mut self.copied))
            && copied.len() as u64 <= MOST_COPIED
        {
            home.bytes = std::mem::take(copied);
        }
    }
}

impl<'s> Window<'s> {
    /// A window over `storage`; nothing is read yet.
    pub fn new(storage: &'s dyn ReadStorage) -> Self {
        Self::over(storage, Scratch::default(), None)
    }

    /// A window over `storage` that uses the memory of its thread.
    pub fn with_scratch(storage: &'s dyn ReadStorage, scratch: &'s mut Scratch) -> Self {
        let own = Scratch { bytes: std::mem::take(&mut scratch.bytes), reach: scratch.reach };
        Self::over(storage, own, Some(scratch))
    }

    fn over(storage: &'s dyn ReadStorage, memory: Scratch, home: Option<&'s mut Scratch>) -> Self {
        Self {
            storage,
            length: storage.len(),
            lent: None,
            copied: Arc::new(memory.bytes),
            elsewhere: Vec::new(),
            range: 0..0,
            released: 0,
            aside: Vec::new(),
            reach: memory.reach,
            mostly_until: u64::MAX,
            home,
        }
    }

    /// From here on no more than what is asked for, or little more, is read: somebody else reads there.
    pub fn mostly_until(&mut self, end: u64) {
        self.mostly_until = end;
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
        Ok(self.view(position, least)?.bytes)
    }

    /// The `length` bytes from `position` on, or as many as there are; the window stays where it is.
    pub fn aside(&mut self, position: u64, length: u64) -> Result<&[u8], StoreError> {
        let range = position.min(self.length)..position.saturating_add(length).min(self.length);
        if self.range.start <= range.start && range.end <= self.range.end {
            return self.at(position, length);
        }
        self.storage.window(range, &mut self.aside)
    }

    /// As [`Window::at`], and where the bytes are.
    #[inline]
    pub fn view(&mut self, position: u64, least: u64) -> Result<View<'_>, StoreError> {
        let wanted = position.saturating_add(least).min(self.length);
        if position < self.range.start || wanted > self.range.end {
            self.refill(position, least)?;
        }
        let held = self.lent.unwrap_or(&self.copied);
        let at = |position: u64| usize::try_from(position.saturating_sub(self.range.start)).unwrap_or(usize::MAX);
        let bytes = held.get(at(position)..at(self.range.end)).unwrap_or_default();
        Ok(View { bytes, is_lent: self.lent.is_some() })
    }

    #[cold]
    fn refill(&mut self, position: u64, least: u64) -> Result<(), StoreError> {
        let length = self.length;
        let reach = |step: u64| position.min(length)..position.saturating_add(least.max(step)).min(length);
        let range = reach(self.reach.lent);
        self.lent = self.storage.lend(range.clone())?;
        if self.lent.is_some() {
            self.range = range;
            // What lies behind is not needed again; keeping it mapped would count as memory of ours.
            if position > self.released {
                self.storage.release(self.released..position);
                self.released = position;
            }
            return Ok(());
        }
        let range = reach(match self.mostly_until.saturating_sub(position) {
            0 => LEAST_REACH,
            left => self.reach.copied.min(left),
        });
        self.range = 0..0;
        self.storage.read_into(range.clone(), self.memory())?;
        self.range = range;
        Ok(())
    }

    /// Memory to copy into that nobody else looks at.
    fn memory(&mut self) -> &mut Vec<u8> {
        if Arc::get_mut(&mut self.copied).is_none() {
            let free = self.elsewhere.iter().position(|memory| Arc::strong_count(memory) == 1);
            let next = free.map(|at| self.elsewhere.swap_remove(at)).unwrap_or_default();
            self.elsewhere.push(std::mem::replace(&mut self.copied, next));
        }
        // Nobody else has it: nothing is cloned.
        Arc::make_mut(&mut self.copied)
    }

    /// The `size` bytes from `position` on, or as many as there are, to be looked at after the window has moved on.
    /// Bytes that the storage lends are copied, so that what lies behind the window can be released.
    pub fn hold(&mut self, position: u64, size: u64) -> Result<Held, StoreError> {
        let view = self.view(position, size)?;
        let length = view.bytes.len().min(usize::try_from(size).unwrap_or(usize::MAX));
        if view.is_lent {
            let memory = Arc::new(view.bytes.get(..length).unwrap_or_default().to_vec());
            return Ok(Held { memory, range: 0..length });
        }
        let start = usize::try_from(position.saturating_sub(self.range.start)).unwrap_or(usize::MAX);
        Ok(Held { memory: Arc::clone(&self.copied), range: start..start.saturating_add(length) })
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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::store::map::MappedFile;
    use crate::store::pread::PreadFile;

    fn numbered_bytes(len: usize) -> Vec<u8> {
        (0..len).map(|i| (i / 7 % 251) as u8).collect()
    }

    fn file(len: usize) -> (tempfile::TempDir, PathBuf, Vec<u8>) {
        let dir = tempfile::tempdir().unwrap();
        let (path, bytes) = (dir.path().join("x"), numbered_bytes(len));
        std::fs::write(&path, &bytes).unwrap();
        (dir, path, bytes)
    }

    /// Walks over the storage in steps of some bytes and compares what is at hand with what the file holds.
    fn assert_all_seen(mut window: Window<'_>, bytes: &[u8], most: usize) {
        for position in (0..=bytes.len()).step_by(4099) {
            let view = window.view(position as u64, 61).unwrap();
            let there = &bytes[position..];
            assert!(view.bytes.len() >= there.len().min(61), "{position}");
            assert!(view.bytes.len() <= most, "{} bytes are at hand", view.bytes.len());
            assert!(there.starts_with(view.bytes), "at {position} there are bytes that the file does not have");
        }
    }

    #[test]
    fn no_window_shows_what_an_earlier_one_has_left_behind_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let mut scratch = Scratch::one_of(3);
        for len in [700_000, 300_000, 10, 0, 262_144, 262_145] {
            let path = dir.path().join(len.to_string());
            let bytes = numbered_bytes(len);
            std::fs::write(&path, &bytes).unwrap();
            let (read, mapped) = (PreadFile::open(&path).unwrap(), MappedFile::open(&path).unwrap());
            for storage in [&read as &dyn ReadStorage, &mapped] {
                let most = if storage.lend(0..0).unwrap().is_some() { MOST_LENT } else { MOST_COPIED } as usize;
                assert_all_seen(Window::new(storage), &bytes, most);
                assert_all_seen(Window::with_scratch(storage, &mut scratch), &bytes, most);
            }
        }
    }

    #[test]
    fn the_more_windows_there_are_the_less_each_takes() {
        let (_dir, path, bytes) = file(5 << 20);
        let (read, mapped) = (PreadFile::open(&path).unwrap(), MappedFile::open(&path).unwrap());
        for (windows, lent, copied) in [(1, 4 << 20, 256 << 10), (8, 2 << 20, 256 << 10), (256, 64 << 10, 64 << 10)] {
            let mut scratch = Scratch::one_of(windows);
            assert_all_seen(Window::with_scratch(&mapped, &mut scratch), &bytes, lent);
            assert_all_seen(Window::with_scratch(&read, &mut scratch), &bytes, copied);
            assert_eq!(scratch.bytes.len(), copied);
        }
        assert_eq!(Scratch::one_of(usize::MAX).reach.lent, LEAST_REACH);
        assert_eq!(Scratch::one_of(0).reach.copied, MOST_COPIED);
    }

    #[test]
    fn what_lies_aside_is_seen_while_the_window_stays() {
        let (_dir, path, bytes) = file(1 << 20);
        let (read, mapped) = (PreadFile::open(&path).unwrap(), MappedFile::open(&path).unwrap());
        for storage in [&read as &dyn ReadStorage, &mapped] {
            let mut window = Window::new(storage);
            window.at(300_000, 1).unwrap();
            let range = window.range.clone();
            for (position, length) in [(0, 61), (300_000, 61), (900_000, 61), ((1 << 20) - 5, 5), (1 << 20, 0)] {
                let seen = window.aside(position as u64, 61).unwrap();
                assert!(seen.starts_with(&bytes[position..position + length]), "{position}");
            }
            assert_eq!(window.aside(u64::MAX, 61).unwrap(), b"");
            assert_eq!(window.range, range);
        }
    }

    #[test]
    fn behind_the_end_of_what_is_wanted_little_is_read() {
        let (_dir, path, bytes) = file(1 << 20);
        let read = PreadFile::open(&path).unwrap();
        let mut window = Window::new(&read);
        window.mostly_until(300_000);
        for (position, least, length) in [
            (0, 1, 262_144),
            (262_000, 1000, 38_000),
            (299_990, 61, 61),
            (300_000, 61, LEAST_REACH as usize),
            (310_000, 100_000, 100_000),
        ] {
            let at_hand = window.at(position, least).unwrap();
            assert_eq!(at_hand, &bytes[position as usize..position as usize + length], "{position}");
        }
    }

    #[test]
    fn what_is_held_stays_while_the_window_moves_on_and_its_memory_is_used_again_afterwards() {
        let (_dir, path, bytes) = file(3 << 20);
        let (read, mapped) = (PreadFile::open(&path).unwrap(), MappedFile::open(&path).unwrap());
        for storage in [&read as &dyn ReadStorage, &mapped] {
            let mut window = Window::new(storage);
            let mut held = std::collections::VecDeque::new();
            for position in (0..bytes.len()).step_by(100_003) {
                held.push_back((position, window.hold(position as u64, 5000).unwrap()));
                for (position, held) in &held {
                    let end = bytes.len().min(position + 5000);
                    assert_eq!(held.bytes(), &bytes[*position..end], "{position}");
                }
                if held.len() > 6 {
                    held.pop_front();
                }
            }
            assert!(window.elsewhere.len() <= 4, "{}", window.elsewhere.len());
            assert_eq!(window.hold(bytes.len() as u64, 5).unwrap().bytes(), b"");
        }
    }

    #[test]
    fn what_one_large_batch_took_is_given_back() {
        let (_dir, path, _) = file(3 << 20);
        let read = PreadFile::open(&path).unwrap();
        let mut scratch = Scratch::default();
        let mut window = Window::with_scratch(&read, &mut scratch);
        assert_eq!(window.at(5, 2 << 20).unwrap().len(), 2 << 20);
        drop(window);
        assert_eq!(scratch.bytes.capacity(), 0);
    }
}
