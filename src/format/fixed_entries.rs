//! What the three index files have in common: an array of entries of one size, without header or checksum.

use std::cmp::Ordering;

/// How many bytes at the end of an index Kafka searches first, because they are likely to be in the page cache.
const WARM_SECTION: usize = 8192;

/// A file read as entries of `N` bytes, with whatever is left after the last whole one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FixedEntries<'a, const N: usize> {
    entries: &'a [[u8; N]],
    partial: &'a [u8],
}

impl<'a, const N: usize> FixedEntries<'a, N> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let (entries, partial) = bytes.as_chunks::<N>();
        Self { entries, partial }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    #[inline]
    pub(super) fn get(&self, slot: usize) -> Option<&'a [u8; N]> {
        self.entries.get(slot)
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'a, [u8; N]> {
        self.entries.iter()
    }

    pub(super) fn partial(&self) -> &'a [u8] {
        self.partial
    }

    /// The first slot from which every entry to the end is all zero: `len()` if the last entry is not.
    pub(super) fn zero_tail(&self) -> usize {
        // Preallocated files are 10 MB of zeros. Joining the bits of a whole chunk lets the compiler use wide
        // registers, which a search that may stop at each byte does not.
        const ENTRIES_AT_ONCE: usize = 512;
        let mut slot = self.len();
        for chunk in self.entries.rchunks(ENTRIES_AT_ONCE) {
            let bits = chunk.as_flattened().iter().fold(0, |bits, byte| bits | byte);
            if bits != 0 {
                let zeros = chunk.iter().rev().take_while(|entry| entry.iter().all(|&byte| byte == 0)).count();
                return slot.saturating_sub(zeros);
            }
            slot = slot.saturating_sub(chunk.len());
        }
        slot
    }

    /// The slot that [`floor_slot_by`] takes among the first `slots` for the last key that is not above `target`.
    pub(super) fn floor_slot<K: Ord>(&self, slots: usize, target: K, key: impl Fn(&[u8; N]) -> K) -> Option<usize> {
        let compare = |slot| self.get(slot).map(|entry| key(entry).cmp(&target)).ok_or(());
        floor_slot_by(slots.min(self.len()), N, compare).ok().flatten()
    }
}

/// The slot that Kafka's search takes among the first `slots`, each of `entry_size` bytes, for the last key that is not
/// above the target. `compare` says how the key in a slot compares with the target; it is asked for few of them.
///
/// On ascending keys that is what any search finds. On keys out of order the answer depends on which
/// entries are looked at, so this looks at the same ones in the same order as a broker: first the oldest of
/// the warm section, then either the warm section or what lies before it, by halving.
///
/// Errors: those of `compare`.
///
/// Source: Kafka `AbstractIndex` (`indexSlotRangeFor`, `binarySearch`).
pub(crate) fn floor_slot_by<E>(
    slots: usize,
    entry_size: usize,
    mut compare: impl FnMut(usize) -> Result<Ordering, E>,
) -> Result<Option<usize>, E> {
    let Some(last) = slots.checked_sub(1) else { return Ok(None) };
    let first_warm = last.saturating_sub(WARM_SECTION.checked_div(entry_size).unwrap_or(WARM_SECTION));
    let (mut low, mut high) = if compare(first_warm)?.is_lt() {
        (first_warm, last)
    } else if compare(0)?.is_gt() {
        return Ok(None);
    } else {
        (0, first_warm)
    };
    while low < high {
        let middle = low.saturating_add(high.saturating_sub(low).div_ceil(2));
        match compare(middle)? {
            Ordering::Greater => high = middle.saturating_sub(1),
            Ordering::Less => low = middle,
            Ordering::Equal => return Ok(Some(middle)),
        }
    }
    Ok(Some(low))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys(keys: &[u32]) -> Vec<u8> {
        keys.iter().flat_map(|key| u64::from(*key).to_be_bytes()).collect()
    }

    fn floor(keys_in_order: &[u32], slots: usize, target: u32) -> Option<usize> {
        let bytes = keys(keys_in_order);
        FixedEntries::<8>::new(&bytes).floor_slot(slots, u64::from(target), |entry| u64::from_be_bytes(*entry))
    }

    #[test]
    fn the_warm_section_decides_what_a_search_over_disorder_finds() {
        // 1024 entries of 8 bytes are warm, so with 1025 the search starts at entry 0 and never looks elsewhere first;
        // with 1027 it starts at entry 2.
        let mut disordered: Vec<u32> = (0..1027).map(|n| n * 10).collect();
        disordered[2] = 9_000_000;
        assert_eq!(floor(&disordered, 1027, 10_260), Some(1), "entry 2 is above: only 0..=2 is searched");
        assert_eq!(floor(&disordered, 1026, 10_250), Some(1025), "entry 1 is the one looked at first");
    }

    #[test]
    fn equal_keys_are_found_where_the_halving_meets_them() {
        assert_eq!(floor(&[5, 5, 5, 5], 4, 5), Some(0), "the oldest warm entry is not below: 0..=0 is searched");
        assert_eq!(floor(&[1, 5, 5, 5], 4, 5), Some(2));
    }

    proptest! {
        #[test]
        fn on_ascending_keys_the_search_finds_the_last_that_is_not_above(
            mut values in proptest::collection::btree_set(1u32..9000, 0..2500),
            target in 0u32..9010,
            cut in 0usize..2500,
        ) {
            let ascending: Vec<u32> = std::mem::take(&mut values).into_iter().collect();
            let kept = &ascending[..cut.min(ascending.len())];
            let plain = kept.iter().rposition(|key| *key <= target);
            prop_assert_eq!(floor(&ascending, cut, target), plain);
        }

        #[test]
        fn the_zero_tail_begins_after_the_last_entry_with_a_bit_set(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..200),
            zeros in 0usize..20_000,
        ) {
            bytes.resize(bytes.len() + zeros, 0);
            let view = FixedEntries::<12>::new(&bytes);
            let plain = view.iter().rposition(|entry| entry != &[0; 12]).map_or(0, |slot| slot + 1);
            prop_assert_eq!(view.zero_tail(), plain);
        }
    }
}
