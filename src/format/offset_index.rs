//! The offset index of a segment, `<base>.index`: where in the log to begin looking for an offset.

use super::fixed_entries::FixedEntries;
use super::{Offset, Position};

/// The bytes of one entry.
pub const ENTRY_SIZE: usize = 8;

/// The offset index of one segment: 8-byte entries, big-endian.
///
/// | bytes | field           | meaning                          |
/// |-------|-----------------|----------------------------------|
/// | 0..4  | relative offset | offset − base offset of segment  |
/// | 4..8  | position        | byte position in the `.log` file |
///
/// An active segment's file is preallocated, so a tail of zeros is normal: see [`zero_tail`](Self::zero_tail).
/// How many entries are valid is not stored.
///
/// Errors: none. A length that is no multiple of 8 shows in [`partial_entry`](Self::partial_entry).
/// Source: Kafka `OffsetIndex`, `AbstractIndex`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetIndex<'a> {
    entries: FixedEntries<'a, ENTRY_SIZE>,
    base_offset: Offset,
}

/// One entry of an offset index: every batch before `position` ends below `offset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetIndexEntry {
    /// The base offset plus the stored relative offset.
    pub offset: Offset,
    /// The stored offset relative to the base, negative only in a damaged file.
    pub relative_offset: i32,
    /// The stored byte position, negative only in a damaged file.
    pub raw_position: i32,
}

impl<'a> OffsetIndex<'a> {
    /// A view over the whole content of an index file of the segment that begins at `base_offset`.
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
    pub fn entry(&self, slot: usize) -> Option<OffsetIndexEntry> {
        self.entries.get(slot).map(|bytes| OffsetIndexEntry::read(bytes, self.base_offset))
    }

    /// All whole entries, in the order of the file.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = OffsetIndexEntry> + ExactSizeIterator + use<'a> {
        let base_offset = self.base_offset;
        self.entries.iter().map(move |bytes| OffsetIndexEntry::read(bytes, base_offset))
    }

    /// The bytes after the last whole entry: brokers pass over them, and the next append overwrites them.
    pub fn partial_entry(&self) -> &'a [u8] {
        self.entries.partial()
    }

    /// The first slot from which every entry to the end is all zero; [`len`](Self::len) where the last one is not.
    pub fn zero_tail(&self) -> usize {
        self.entries.zero_tail()
    }

    /// The slot a broker that believes in the first `slots` entries takes for the last offset not above `target`,
    /// `None` if it would begin at position 0. On entries out of order it errs exactly as a broker does.
    ///
    /// Source: Kafka `OffsetIndex.lookup`, `AbstractIndex.largestLowerBoundSlotFor`.
    pub fn floor(&self, target: Offset, slots: usize) -> Option<usize> {
        self.entries.floor_slot(slots, target, |bytes| OffsetIndexEntry::read(bytes, self.base_offset).offset)
    }
}

impl OffsetIndexEntry {
    /// The entry that says to look for `offset` from `position` on, in the segment that begins at `base_offset`.
    /// `None` if one of them does not fit into the 31 bits it has.
    pub fn new(base_offset: Offset, offset: Offset, position: Position) -> Option<Self> {
        Some(Self {
            offset,
            relative_offset: relative_offset(base_offset, offset)?,
            raw_position: position.0.try_into().ok()?,
        })
    }

    /// The byte position in the log, `None` if a negative number is stored.
    pub fn position(&self) -> Option<Position> {
        self.raw_position.try_into().ok().map(Position)
    }

    /// Appends the eight bytes of the entry.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.relative_offset.to_be_bytes());
        out.extend(self.raw_position.to_be_bytes());
    }

    #[inline]
    fn read(bytes: &[u8; ENTRY_SIZE], base_offset: Offset) -> Self {
        let [a, b, c, d, e, f, g, h] = *bytes;
        let relative_offset = i32::from_be_bytes([a, b, c, d]);
        Self {
            offset: absolute_offset(base_offset, relative_offset),
            relative_offset,
            raw_position: i32::from_be_bytes([e, f, g, h]),
        }
    }
}

/// The offset that `relative` stands for. Overflow wraps, as Java's addition does.
#[inline]
pub(super) fn absolute_offset(base_offset: Offset, relative: i32) -> Offset {
    Offset(base_offset.0.wrapping_add(i64::from(relative)))
}

/// What to store for `offset`: `None` below the base and more than 2³¹ − 1 above it.
pub(super) fn relative_offset(base_offset: Offset, offset: Offset) -> Option<i32> {
    let relative = offset.0.checked_sub(base_offset.0)?;
    i32::try_from(relative).ok().filter(|relative| *relative >= 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_entry_is_read_as_relative_offset_and_position() {
        let bytes = [0, 0, 0, 9, 0, 0, 0x10, 0x51, 0xff, 0xff, 0xff, 0xff, 0x80, 0, 0, 0, 7];
        let index = OffsetIndex::new(&bytes, Offset(100));
        assert_eq!(index.len(), 2);
        let first = index.entry(0).unwrap();
        assert_eq!((first.offset, first.position()), (Offset(109), Some(Position(4177))));
        let second = index.entry(1).unwrap();
        assert_eq!((second.offset, second.relative_offset), (Offset(99), -1));
        assert_eq!((second.position(), second.raw_position), (None, i32::MIN));
        assert_eq!(index.partial_entry(), [7]);
        assert_eq!(index.entry(2), None);
    }

    #[test]
    fn what_does_not_fit_into_31_bits_is_no_entry() {
        let most = i64::from(i32::MAX);
        assert!(OffsetIndexEntry::new(Offset(5), Offset(5 + most), Position(most as u64)).is_some());
        assert_eq!(OffsetIndexEntry::new(Offset(5), Offset(6 + most), Position(0)), None);
        assert_eq!(OffsetIndexEntry::new(Offset(5), Offset(4), Position(0)), None);
        assert_eq!(OffsetIndexEntry::new(Offset(5), Offset(5), Position(1 << 31)), None);
        assert_eq!(OffsetIndexEntry::new(Offset(i64::MIN), Offset(i64::MAX), Position(0)), None);
    }

    #[test]
    fn the_padding_of_an_active_segment_leads_a_search_to_position_0() {
        // Entries (10, 500) and (20, 900), then preallocated zeros that a search over all slots takes for offset 0.
        let mut bytes = Vec::new();
        for (offset, position) in [(10, 500), (20, 900)] {
            OffsetIndexEntry::new(Offset(0), Offset(offset), Position(position)).unwrap().write(&mut bytes);
        }
        bytes.resize(10_485_760, 0);
        let index = OffsetIndex::new(&bytes, Offset(0));
        assert_eq!(index.zero_tail(), 2);
        assert_eq!(index.floor(Offset(25), index.zero_tail()), Some(1));
        let misled = index.floor(Offset(25), index.len()).unwrap();
        assert_eq!(index.entry(misled).unwrap().position(), Some(Position(0)));
    }

    proptest! {
        #[test]
        fn writing_what_was_read_gives_the_same_bytes(bytes: Vec<u8>, base: i64) {
            let index = OffsetIndex::new(&bytes, Offset(base));
            let mut out = Vec::new();
            index.iter().for_each(|entry| entry.write(&mut out));
            out.extend(index.partial_entry());
            prop_assert_eq!(&out, &bytes);
            index.floor(Offset(base), usize::MAX);
        }

        #[test]
        fn an_entry_that_fits_is_read_back(base in 0..i64::MAX / 2, relative in 0..=i32::MAX, position in 0..=i32::MAX) {
            let offset = Offset(base + i64::from(relative));
            let entry = OffsetIndexEntry::new(Offset(base), offset, Position(position as u64)).unwrap();
            let mut out = Vec::new();
            entry.write(&mut out);
            prop_assert_eq!(OffsetIndex::new(&out, Offset(base)).entry(0), Some(entry));
        }
    }
}
