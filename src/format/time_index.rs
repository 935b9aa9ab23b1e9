//! The time index of a segment, `<base>.timeindex`: from which offset on to look for a timestamp.

use super::Offset;
use super::fixed_entries::FixedEntries;
use super::offset_index::{absolute_offset, relative_offset};

/// The bytes of one entry.
pub const ENTRY_SIZE: usize = 12;

/// The time index of one segment: 12-byte entries, big-endian.
///
/// | bytes | field           | meaning                                                  |
/// |-------|-----------------|----------------------------------------------------------|
/// | 0..8  | timestamp       | largest timestamp so far, milliseconds since 1970        |
/// | 8..12 | relative offset | offset of the first batch that has it − base offset      |
///
/// An active segment's file is preallocated, so a tail of zeros is normal: see [`zero_tail`](Self::zero_tail).
/// An all-zero first entry may be a real one: timestamp 0 at the base offset.
///
/// Errors: none. A length that is no multiple of 12 shows in [`partial_entry`](Self::partial_entry).
/// Source: Kafka `TimeIndex`, `AbstractIndex`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeIndex<'a> {
    entries: FixedEntries<'a, ENTRY_SIZE>,
    base_offset: Offset,
}

/// One entry of a time index: every batch that lies wholly before `offset` is older than `timestamp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeIndexEntry {
    /// The stored timestamp in milliseconds since 1970, negative only in a damaged file.
    pub timestamp: i64,
    /// The base offset plus the stored relative offset.
    pub offset: Offset,
    /// The stored offset relative to the base, negative only in a damaged file.
    pub relative_offset: i32,
}

impl<'a> TimeIndex<'a> {
    /// A view over the whole content of a time index file of the segment that begins at `base_offset`.
    pub fn new(bytes: &'a [u8], base_offset: Offset) -> Self {
        Self { entries: FixedEntries::new(bytes), base_offset }
    }

    /// The number of whole entries, valid or not.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is not one whole entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entry at `slot`, counted from 0.
    pub fn entry(&self, slot: usize) -> Option<TimeIndexEntry> {
        self.entries.get(slot).map(|bytes| TimeIndexEntry::read(bytes, self.base_offset))
    }

    /// All whole entries, in the order of the file.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = TimeIndexEntry> + ExactSizeIterator + use<'a> {
        let base_offset = self.base_offset;
        self.entries.iter().map(move |bytes| TimeIndexEntry::read(bytes, base_offset))
    }

    /// The bytes after the last whole entry: brokers pass over them, and the next append overwrites them.
    pub fn partial_entry(&self) -> &'a [u8] {
        self.entries.partial()
    }

    /// The first slot from which every entry to the end is all zero; [`len`](Self::len) where the last one is not.
    pub fn zero_tail(&self) -> usize {
        self.entries.zero_tail()
    }

    /// The slot a broker that believes in the first `slots` entries takes for the last timestamp not above `target`,
    /// `None` if it would begin at the base offset. On entries out of order it errs exactly as a broker does.
    ///
    /// Source: Kafka `TimeIndex.lookup`, `AbstractIndex.largestLowerBoundSlotFor`.
    pub fn floor(&self, target: i64, slots: usize) -> Option<usize> {
        self.entries.floor_slot(slots, target, |bytes| TimeIndexEntry::read(bytes, self.base_offset).timestamp)
    }
}

impl TimeIndexEntry {
    /// The entry that says `timestamp` was first reached at `offset`, in the segment that begins at `base_offset`.
    /// `None` if the offset lies below the base or more than 2³¹ − 1 above it.
    pub fn new(base_offset: Offset, timestamp: i64, offset: Offset) -> Option<Self> {
        Some(Self { timestamp, offset, relative_offset: relative_offset(base_offset, offset)? })
    }

    /// Appends the twelve bytes of the entry.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.timestamp.to_be_bytes());
        out.extend(self.relative_offset.to_be_bytes());
    }

    #[inline]
    fn read(bytes: &[u8; ENTRY_SIZE], base_offset: Offset) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = *bytes;
        let relative_offset = i32::from_be_bytes([i, j, k, l]);
        Self {
            timestamp: i64::from_be_bytes([a, b, c, d, e, f, g, h]),
            offset: absolute_offset(base_offset, relative_offset),
            relative_offset,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_entry_is_read_as_timestamp_and_relative_offset() {
        let bytes = [0, 0, 1, 0x8b, 0xcf, 0xe5, 0x68, 9, 0, 0, 0, 3, 1, 2, 3];
        let index = TimeIndex::new(&bytes, Offset(40));
        assert_eq!(
            index.entry(0),
            Some(TimeIndexEntry { timestamp: 1_700_000_000_009, offset: Offset(43), relative_offset: 3 })
        );
        assert_eq!((index.len(), index.partial_entry()), (1, [1, 2, 3].as_slice()));
    }

    #[test]
    fn a_time_index_has_682_warm_entries() {
        // One entry too large at slot 1: of 684 entries it is the first that is looked at, of 683 it is not.
        let mut bytes = Vec::new();
        for slot in 0..684 {
            let timestamp = if slot == 1 { 99_999 } else { slot * 10 };
            TimeIndexEntry::new(Offset(0), timestamp, Offset(slot)).unwrap().write(&mut bytes);
        }
        let index = TimeIndex::new(&bytes, Offset(0));
        assert_eq!(index.floor(6825, 684), Some(0));
        assert_eq!(index.floor(6825, 683), Some(682));
    }

    proptest! {
        #[test]
        fn writing_what_was_read_gives_the_same_bytes(bytes: Vec<u8>, base: i64, target: i64) {
            let index = TimeIndex::new(&bytes, Offset(base));
            let mut out = Vec::new();
            index.iter().for_each(|entry| entry.write(&mut out));
            out.extend(index.partial_entry());
            prop_assert_eq!(&out, &bytes);
            index.floor(target, usize::MAX);
        }

        #[test]
        fn an_entry_that_fits_is_read_back(base in 0..i64::MAX / 2, relative in 0..=i32::MAX, timestamp: i64) {
            let entry = TimeIndexEntry::new(Offset(base), timestamp, Offset(base + i64::from(relative))).unwrap();
            let mut out = Vec::new();
            entry.write(&mut out);
            prop_assert_eq!(TimeIndex::new(&out, Offset(base)).entry(0), Some(entry));
        }
    }
}
