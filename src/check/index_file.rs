//! What the checks of offset and time indexes have in common.

use std::path::{Path, PathBuf};

use super::finding::{Finding, Findings};
use super::{Id, Setting};
use crate::format::Position;
use crate::format::file_name::DirState;
use crate::store::partition::{PartitionName, is_called_metadata_log};
use crate::store::{NamedFile, StoreError, read_small};

/// The largest index that is read, in bytes: no log of 2 GiB has batches for more offset index entries.
const LARGEST_INDEX: u64 = 256 << 20;
/// How many findings of one kind are kept.
const KEPT: usize = 50;
/// How many of one kind are kept where most entries are wrong: the file as a whole is.
const KEPT_OF_A_WRONG_FILE: usize = 1;
/// From how many wrong entries on the file as a whole may be called wrong.
const WRONG_FILE: usize = 8;

/// In what state the broker has left the segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct SegmentState {
    /// Whether no other segment follows.
    pub is_newest: bool,
    /// Whether a broker is running.
    pub is_live: bool,
    /// Whether its indexes may be as a broker has them while it appends: preallocated, without a closing entry, with
    /// entries behind the last valid one that a truncation has left. The next start makes them again.
    pub may_be_open: bool,
}

impl SegmentState {
    pub(super) fn new(setting: &Setting, log: &NamedFile, is_newest: bool) -> Self {
        let is_live = setting.is_live();
        let mut state = Self { is_newest, is_live, may_be_open: false };
        if is_newest {
            let path = log.path();
            // Its indexes are made again at every start, and not cut at the end.
            let is_metadata = path.parent().is_some_and(is_called_metadata_log);
            // A partition that waits for being deleted keeps the indexes that it had.
            let name = path.parent().and_then(PartitionName::of_directory);
            let is_deleted = name.is_some_and(|name| name.state == DirState::Delete);
            state.may_be_open = is_live || !setting.clean_shutdown || is_metadata || is_deleted;
        }
        state
    }
}

/// The content of an index.
///
/// Errors: it cannot be read, or is larger than an index can be.
pub(super) fn read(file: &NamedFile) -> Result<Vec<u8>, StoreError> {
    read_small(&file.path(), LARGEST_INDEX)
}

/// The wrong entries of an index: which they are, and what is wrong with the first of each kind.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// The slots, in no order.
    slots: Vec<u32>,
    /// Those of entries that could not be judged.
    not_judged: Vec<u32>,
    kinds: Vec<Kind>,
}

#[derive(Debug)]
struct Kind {
    id: Id,
    kept: Vec<Finding>,
    /// How many more there are.
    more: u64,
}

impl Faults {
    /// Takes in that the entry at `slot` is wrong. Of too many of one kind the rest is counted.
    pub(super) fn add(&mut self, slot: u32, id: Id, finding: impl FnOnce() -> Finding) {
        self.slots.push(slot);
        let at = self.kinds.iter().position(|kind| kind.id == id).unwrap_or_else(|| {
            self.kinds.push(Kind { id, kept: Vec::new(), more: 0 });
            self.kinds.len() - 1
        });
        let Some(kind) = self.kinds.get_mut(at) else { return };
        match kind.kept.len() < KEPT {
            true => kind.kept.push(finding()),
            false => kind.more += 1,
        }
    }

    /// Takes in that the entry at `slot` was not judged: it says nothing about others.
    pub(super) fn forget(&mut self, slot: u32) {
        self.not_judged.push(slot);
    }

    /// The slots among the first `used` of entries that are right on their own, in order.
    pub(super) fn others(&mut self, used: usize) -> Vec<u32> {
        self.not_judged.sort_unstable();
        let not_judged = std::mem::take(&mut self.not_judged);
        let mut wrong = self.slots().iter().copied().peekable();
        let mut unknown = not_judged.iter().copied().peekable();
        let mut others = Vec::new();
        for slot in 0..u32::try_from(used).unwrap_or(u32::MAX) {
            let is_wrong = wrong.next_if_eq(&slot).is_some();
            let is_unknown = unknown.next_if_eq(&slot).is_some();
            while unknown.next_if_eq(&slot).is_some() {}
            if !is_wrong && !is_unknown {
                others.push(slot);
            }
        }
        self.not_judged = not_judged;
        others
    }

    /// The wrong slots, in order.
    pub(super) fn slots(&mut self) -> &[u32] {
        self.slots.sort_unstable();
        self.slots.dedup();
        &self.slots
    }

    /// Hands over the findings about an index of `entries` entries. Where most of them are wrong, the file as a whole
    /// is, and one finding of each kind says so; answers whether that is so.
    pub(super) fn report(mut self, entries: usize, findings: &mut Findings) -> bool {
        let wrong = self.slots().len();
        let is_wrong_file = wrong >= WRONG_FILE && wrong > entries / 2;
        for mut kind in self.kinds {
            if is_wrong_file {
                kind.more += kind.kept.len().saturating_sub(KEPT_OF_A_WRONG_FILE) as u64;
                kind.kept.truncate(KEPT_OF_A_WRONG_FILE);
            }
            if let Some(last) = kind.kept.last_mut() {
                last.more = last.more.saturating_add(kind.more);
            }
            for finding in kind.kept {
                findings.push(match is_wrong_file {
                    true => finding.with("wrongEntries", wrong as u64).with("entries", entries as u64),
                    false => finding,
                });
            }
        }
        is_wrong_file
    }

    /// Whether no entry is wrong, and each was judged.
    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty() && self.not_judged.is_empty()
    }
}

/// Which of `slots`, in order, begins what is left over behind the last valid entry of an index that may be open: the
/// first wrong one, unless most of the entries behind it are right.
pub(super) fn first_stale(wrong: &[u32], used: usize) -> Option<u32> {
    let first = *wrong.first()?;
    let behind = used.saturating_sub(first as usize);
    (wrong.len() >= behind.div_ceil(2)).then_some(first)
}

/// The places of as few `keys` as possible without which the others rise (strictly, or else never fall).
pub(super) fn out_of_order(keys: &[i64], strictly: bool) -> Vec<usize> {
    let rises = |pair: &[i64]| matches!(pair, [a, b] if if strictly { a < b } else { a <= b });
    if keys.windows(2).all(rises) {
        return Vec::new();
    }
    // A longest rising subsequence: `ends[n]` is where the one of n + 1 keys with the smallest end ends.
    let key = |at: usize| keys.get(at).copied().unwrap_or_default();
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(keys.len());
    for at in 0..keys.len() {
        let length = ends.partition_point(|&end| if strictly { key(end) < key(at) } else { key(end) <= key(at) });
        before.push(length.checked_sub(1).and_then(|shorter| ends.get(shorter).copied()));
        match ends.get_mut(length) {
            Some(end) => *end = at,
            None => ends.push(at),
        }
    }
    let mut kept = vec![false; keys.len()];
    let mut next = ends.last().copied();
    while let Some(at) = next {
        if let Some(kept) = kept.get_mut(at) {
            *kept = true;
        }
        next = before.get(at).copied().flatten();
    }
    kept.iter().enumerate().filter_map(|(at, kept)| (!kept).then_some(at)).collect()
}

/// An index with entries of `size` bytes that has `slots` of them, of which `used` are not padding.
#[derive(Debug)]
pub(super) struct Shape {
    pub path: PathBuf,
    pub size: usize,
    pub slots: usize,
    pub used: usize,
    /// Bytes behind the last whole entry.
    pub partial: usize,
}

impl Shape {
    /// Whether zeros lie behind the last entry, as in an index that a broker has open.
    pub(super) fn is_preallocated(&self) -> bool {
        self.used < self.slots
    }

    /// The file holds whole entries. Source: Kafka `AbstractIndex`, which passes over the rest.
    pub(super) fn has_whole_entries(&self, id: Id, findings: &mut Findings) {
        if self.partial > 0 {
            let position = (self.slots as u64).saturating_mul(self.size as u64);
            let finding = Finding::new(id, &self.path)
                .at(Position(position), self.partial as u64)
                .with("entries", self.slots as u64)
                .with("entrySize", self.size as u64);
            findings.push(finding);
        }
    }

    /// Brokers take all of a file that they open for entries. Source: Kafka `AbstractIndex`, `LogSegment`.
    pub(super) fn has_no_padding(&self, id: Id, findings: &mut Findings) {
        if self.used < self.slots {
            findings.push(self.rest(id, self.used).with("zeroEntries", (self.slots - self.used) as u64));
        }
    }

    /// A finding about all entries from `slot` on.
    pub(super) fn rest(&self, id: Id, slot: usize) -> Finding {
        let mut finding = Finding::new(id, &self.path).entry(slot, self.size);
        finding.place.length = Some((self.slots.saturating_sub(slot) as u64).saturating_mul(self.size as u64));
        finding.with("entries", self.used as u64)
    }

    pub(super) fn entry(&self, id: Id, slot: u32) -> Finding {
        Finding::new(id, &self.path).entry(slot as usize, self.size)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_odd_one_is_named_and_not_its_neighbours() {
        assert_eq!(out_of_order(&[1, 2, 99, 3, 4], true), [2]);
        assert_eq!(out_of_order(&[10, 20, 1, 30, 40], true), [2]);
        assert_eq!(out_of_order(&[1, 2, 2, 3], true).len(), 1);
        assert_eq!(out_of_order(&[1, 2, 2, 3], false), [0; 0]);
        assert_eq!(out_of_order(&[], true), [0; 0]);
    }

    proptest! {
        #[test]
        fn what_is_left_rises_and_no_fewer_could_go(keys in proptest::collection::vec(0i64..20, 0..40), strictly: bool) {
            let odd = out_of_order(&keys, strictly);
            let left: Vec<i64> =
                keys.iter().enumerate().filter(|(at, _)| !odd.contains(at)).map(|(_, key)| *key).collect();
            let rises = |pair: &[i64]| if strictly { pair[0] < pair[1] } else { pair[0] <= pair[1] };
            prop_assert!(left.windows(2).all(rises), "{left:?}");
            // The longest subsequence, counted in the plainest way.
            let mut longest = vec![1; keys.len()];
            for at in 0..keys.len() {
                for before in 0..at {
                    if keys[before] < keys[at] || !strictly && keys[before] == keys[at] {
                        longest[at] = longest[at].max(longest[before] + 1);
                    }
                }
            }
            prop_assert_eq!(left.len(), longest.iter().copied().max().unwrap_or(0));
        }
    }

    #[test]
    fn what_a_truncation_has_left_is_told_from_one_changed_entry() {
        assert_eq!(first_stale(&[5, 6, 7, 8], 9), Some(5));
        assert_eq!(first_stale(&[5], 9), None);
        assert_eq!(first_stale(&[8], 9), Some(8));
        assert_eq!(first_stale(&[], 9), None);
    }
}
