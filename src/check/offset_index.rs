//! The offset index of a segment, held against its log while that is walked over.
//!
//! An entry is right if every lookup through it finds what it should, whoever wrote it: a batch begins at its position,
//! all batches before end below its offset, and some batch from there on reaches it. Leaders, followers, cleaners and
//! recovery, of old releases and new, write different entries of which all are right. Each entry is judged on its own, so
//! that one wrong entry is one finding.
//!
//! Source: Kafka `OffsetIndex`, `AbstractIndex`, `LogSegment` (`append`, `recover`, `translateOffset`).

use std::path::{Path, PathBuf};

use super::Id;
use super::batch::Standing;
use super::finding::{Finding, Findings, Severity};
use super::index_file::{Faults, SegmentState, Shape, first_stale, out_of_order};
use super::segment::LogEnd;
use crate::format::batch::BatchHeader;
use crate::format::offset_index::{ENTRY_SIZE, OffsetIndex, OffsetIndexEntry};
use crate::format::{Offset, Position};
use crate::scan::segment_facts::BatchPlace;

/// From which size on a log is worth being indexed: sixteen intervals, in bytes.
const WORTH_AN_ENTRY: u64 = 64 << 10;

/// How many entries of the kind that older releases write are told apart from wrong ones.
const REMEMBERED: usize = 1000;

/// An offset index that is being held against its log.
#[derive(Debug)]
pub(super) struct OffsetIndexCheck {
    bytes: Vec<u8>,
    base_offset: Offset,
    shape: Shape,
    /// The slots in the order of their positions, where that is not the order of the file.
    order: Option<Vec<u32>>,
    /// How many entries, in the order of their positions, are judged.
    judged: usize,
    /// The position of the next one; no entry: a number that no batch reaches.
    next_position: u64,
    faults: Faults,
    not_canonical: u64,
    /// The first of them, with the last offset of the batch at the position.
    first_not_canonical: Vec<(u32, Offset)>,
}

impl OffsetIndexCheck {
    /// The index at `path` with the content `bytes`, of the segment that begins at `base_offset`.
    pub(super) fn new(path: PathBuf, bytes: Vec<u8>, base_offset: Offset) -> Self {
        let index = OffsetIndex::new(&bytes, base_offset);
        let (used, partial) = (index.zero_tail(), index.partial_entry().len());
        let shape = Shape { path, size: ENTRY_SIZE, slots: index.len(), used, partial };
        let position = |slot: usize| index.entry(slot).map_or(0, |entry| entry.raw_position);
        let is_in_order = (1..used).all(|slot| position(slot - 1) <= position(slot));
        let order = (!is_in_order).then(|| {
            let mut slots: Vec<u32> = (0..used as u32).collect();
            slots.sort_by_key(|&slot| position(slot as usize));
            slots
        });
        let mut check = Self {
            bytes,
            base_offset,
            shape,
            order,
            judged: 0,
            next_position: u64::MAX,
            faults: Faults::default(),
            not_canonical: 0,
            first_not_canonical: Vec::new(),
        };
        check.name_negative_positions();
        check
    }

    /// No index: nothing is ever met.
    pub(super) fn none(base_offset: Offset) -> Self {
        Self::new(PathBuf::new(), Vec::new(), base_offset)
    }

    /// How many entries it has, padding left out.
    pub(super) fn entries(&self) -> usize {
        self.shape.used
    }

    /// How many bytes it has.
    pub(super) fn size_in_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Its last entries alone, as a file of their own.
    pub(super) fn last_entries(&self, count: usize) -> Vec<u8> {
        let end = self.shape.used.saturating_mul(ENTRY_SIZE);
        let start = end.saturating_sub(count.saturating_mul(ENTRY_SIZE));
        self.bytes.get(start..end).unwrap_or_default().to_vec()
    }

    /// Passes over the entries that lie before `position`, where the walk begins.
    pub(super) fn skip_to(&mut self, position: Position) {
        while self.next_position < position.0 {
            self.advance();
        }
    }

    /// Takes in the next batch of the log, `before` being the batch before it.
    #[inline]
    pub(super) fn batch(
        &mut self,
        position: Position,
        header: &BatchHeader,
        standing: Standing,
        before: Option<BatchPlace>,
    ) {
        if position.0 >= self.next_position {
            self.meet(position, header, standing, before);
        }
    }

    #[cold]
    fn meet(&mut self, position: Position, header: &BatchHeader, standing: Standing, before: Option<BatchPlace>) {
        self.nothing_begins_before(position, before);
        while self.next_position == position.0 {
            let Some((slot, entry)) = self.current() else { return };
            self.advance();
            if entry.relative_offset <= 0 {
                self.is_of_the_start(slot, entry);
            } else if entry.offset <= standing.last_offset_before {
                // Where the batches themselves are out of order, so are entries that were right.
                if standing.is_in_order {
                    self.faults.add(slot, Id::IndexSkipsOffsets, || {
                        described(&self.shape, Id::IndexSkipsOffsets, slot, entry)
                            .with("lastOffsetBefore", standing.last_offset_before)
                    });
                }
            } else if entry.offset != header.last_offset() && standing.is_in_order {
                self.not_canonical += 1;
                if self.first_not_canonical.len() < REMEMBERED {
                    self.first_not_canonical.push((slot, header.last_offset()));
                }
            }
        }
    }

    /// Takes in that no intact batch lies in the `length` bytes from `position` on. Answers how many entries point there,
    /// which follows from that and is not their fault.
    pub(super) fn damage(&mut self, position: Position, length: u64, before: Option<BatchPlace>) -> u64 {
        self.nothing_begins_before(position, before);
        let end = position.0.saturating_add(length);
        let mut behind = 0;
        while self.next_position < end {
            let Some((slot, _)) = self.current() else { break };
            self.advance();
            self.faults.forget(slot);
            behind += 1;
        }
        behind
    }

    /// The entries not judged yet that lie before `position` point between batches.
    fn nothing_begins_before(&mut self, position: Position, before: Option<BatchPlace>) {
        while self.next_position < position.0 {
            let Some((slot, entry)) = self.current() else { return };
            self.advance();
            self.faults.add(slot, Id::IndexPositionInsideBatch, || {
                let finding = described(&self.shape, Id::IndexPositionInsideBatch, slot, entry)
                    .with("nextBatchPosition", position);
                match before {
                    Some(before) => finding.with("batchPosition", before.position),
                    None => finding,
                }
            });
        }
    }

    /// Judges the rest at the end of the log. Answers how many more entries lie behind damage that reaches to the end.
    pub(super) fn finish(&mut self, end: &LogEnd, findings: &mut Findings, state: &SegmentState) -> u64 {
        if end.is_whole {
            self.nothing_begins_before(Position(end.size_in_bytes), end.last);
        }
        let mut behind = 0;
        while let Some((slot, entry)) = self.current() {
            self.advance();
            match end.is_whole {
                true => self.faults.add(slot, Id::IndexPositionPastEnd, || {
                    described(&self.shape, Id::IndexPositionPastEnd, slot, entry).with("logSize", end.size_in_bytes)
                }),
                false => {
                    behind += 1;
                    // Not judged, and no ground for others to be.
                    self.faults.forget(slot);
                }
            }
        }
        let is_sound = self.is_sound(end);
        if !is_sound {
            behind += self.offsets_are_reached(end);
        }
        self.report(end, is_sound, findings, state);
        behind
    }

    /// Whether no entry is wrong on its own, all rise, and the last is reached: then there is nothing to look for.
    fn is_sound(&self, end: &LogEnd) -> bool {
        let index = OffsetIndex::new(&self.bytes, self.base_offset);
        let mut before = (0, 0);
        let rises = |entry: OffsetIndexEntry| {
            let key = (entry.relative_offset, entry.raw_position);
            let rises = key.0 > before.0 && key.1 > before.1;
            before = key;
            rises
        };
        let last = self.shape.used.checked_sub(1).and_then(|slot| index.entry(slot));
        self.faults.is_empty()
            && last.is_none_or(|last| Some(last.offset) <= end.max_last_offset)
            && index.iter().take(self.shape.used).all(rises)
    }

    /// Whether some batch from the position on reaches the offset: the last one of the log does, or none.
    fn offsets_are_reached(&mut self, end: &LogEnd) -> u64 {
        let Some(last_offset) = end.max_last_offset else { return 0 };
        let index = OffsetIndex::new(&self.bytes, self.base_offset);
        let mut behind = 0;
        for slot in self.faults.others(self.shape.used) {
            let Some(entry) = index.entry(slot as usize).filter(|entry| entry.offset > last_offset) else { continue };
            if !end.is_whole {
                behind += 1;
                self.faults.forget(slot);
                continue;
            }
            self.faults.add(slot, Id::IndexOffsetPastEnd, || {
                described(&self.shape, Id::IndexOffsetPastEnd, slot, entry).with("lastOffset", last_offset)
            });
        }
        behind
    }

    fn report(&mut self, end: &LogEnd, is_sound: bool, findings: &mut Findings, state: &SegmentState) {
        self.shape.has_whole_entries(Id::IndexPartialEntry, findings);
        if !state.may_be_open {
            self.shape.has_no_padding(Id::IndexZeroPadding, findings);
        }
        let stale =
            if state.may_be_open && self.shape.is_preallocated() && !is_sound { self.first_stale() } else { None };
        match stale {
            _ if is_sound => {}
            Some(slot) => {
                let stale = self.shape.used.saturating_sub(slot as usize) as u64;
                let finding = self.shape.rest(Id::IndexStaleEntries, slot as usize).with("staleEntries", stale);
                findings.push(finding.as_severity(Severity::Info));
            }
            None => {
                self.entries_rise();
                self.wrong_entries_have_no_kind();
                if std::mem::take(&mut self.faults).report(self.shape.used, findings) {
                    return;
                }
            }
        }
        if let Some((slot, last_offset)) = self.first_not_canonical.first().copied()
            && let Some(entry) = OffsetIndex::new(&self.bytes, self.base_offset).entry(slot as usize)
        {
            let finding = described(&self.shape, Id::IndexNotCanonical, slot, entry)
                .with("batchLastOffset", last_offset)
                .with("notCanonicalEntries", self.not_canonical)
                .with("entries", self.shape.used as u64);
            findings.push(finding);
        }
        let last_position = end.last.map_or(0, |last| last.position.0);
        if self.shape.used == 0 && last_position >= WORTH_AN_ENTRY && !state.is_live && !self.has_no_file() {
            let finding = Finding::new(Id::IndexEmpty, self.shape.path()).with("logSize", end.size_in_bytes);
            findings.push(finding);
        }
    }

    /// Entries that are called wrong are not called unusual too.
    fn wrong_entries_have_no_kind(&mut self) {
        let (before, wrong) = (self.first_not_canonical.len(), self.faults.slots());
        self.first_not_canonical.retain(|(slot, _)| wrong.binary_search(slot).is_err());
        self.not_canonical -= (before - self.first_not_canonical.len()) as u64;
    }

    fn has_no_file(&self) -> bool {
        self.shape.path().as_os_str().is_empty()
    }

    /// Where an index that may be open has its end, if entries are left behind it.
    fn first_stale(&mut self) -> Option<u32> {
        let index = OffsetIndex::new(&self.bytes, self.base_offset);
        let mut before: Option<OffsetIndexEntry> = None;
        let falls = self.faults.others(self.shape.used).into_iter().find(|&slot| {
            let Some(entry) = index.entry(slot as usize) else { return false };
            let rises =
                before.is_none_or(|before| entry.offset > before.offset && entry.raw_position > before.raw_position);
            before = Some(entry);
            !rises
        });
        let wrong = first_stale(self.faults.slots(), self.shape.used);
        match (wrong, falls) {
            (Some(wrong), Some(falls)) => Some(wrong.min(falls)),
            (wrong, falls) => wrong.or(falls),
        }
    }

    /// Searches halve the entries, by offset and by position. Of entries that are each right, as few as possible are
    /// named. Source: Kafka `OffsetIndex` (`lookup`, `fetchUpperBoundOffset`).
    fn entries_rise(&mut self) {
        for id in [Id::IndexOffsetsNotIncreasing, Id::IndexPositionsNotIncreasing] {
            let index = OffsetIndex::new(&self.bytes, self.base_offset);
            let key = |slot: u32| {
                index.entry(slot as usize).map_or(0, |entry| match id {
                    Id::IndexOffsetsNotIncreasing => i64::from(entry.relative_offset),
                    _ => i64::from(entry.raw_position),
                })
            };
            let slots = self.faults.others(self.shape.used);
            if slots.windows(2).all(|pair| matches!(pair, [a, b] if key(*a) < key(*b))) {
                continue;
            }
            let keys: Vec<i64> = slots.iter().map(|&slot| key(slot)).collect();
            for odd in out_of_order(&keys, true) {
                let Some(&slot) = slots.get(odd) else { continue };
                let Some(entry) = index.entry(slot as usize) else { continue };
                let before = odd.checked_sub(1).and_then(|before| index.entry(*slots.get(before)? as usize));
                self.faults.add(slot, id, || {
                    let finding = described(&self.shape, id, slot, entry);
                    match before {
                        Some(before) => finding
                            .with("previousOffset", before.offset)
                            .with("previousPosition", i64::from(before.raw_position)),
                        None => finding,
                    }
                });
            }
        }
    }

    /// Entries whose position is no position are before all others in the order.
    fn name_negative_positions(&mut self) {
        self.load_next();
        while let Some((slot, entry)) = self.current().filter(|(_, entry)| entry.raw_position <= 0) {
            self.advance();
            self.is_of_the_start(slot, entry);
        }
    }

    /// An entry that lies before all that an entry can be about, or for the very start.
    fn is_of_the_start(&mut self, slot: u32, entry: OffsetIndexEntry) {
        let impossible = match (entry.raw_position < 0, entry.relative_offset < 0) {
            (true, _) => Some((Id::IndexPositionPastEnd, "negative")),
            (_, true) => Some((Id::IndexOffsetsNotIncreasing, "below the base offset")),
            (false, false) => None,
        };
        if let Some((id, problem)) = impossible {
            return self.faults.add(slot, id, || described(&self.shape, id, slot, entry).with("problem", problem));
        }
        self.faults.add(slot, Id::IndexEntryOfStart, || described(&self.shape, Id::IndexEntryOfStart, slot, entry));
    }

    fn current(&self) -> Option<(u32, OffsetIndexEntry)> {
        let slot = match &self.order {
            Some(order) => *order.get(self.judged)?,
            None => u32::try_from(self.judged).ok().filter(|_| self.judged < self.shape.used)?,
        };
        Some((slot, OffsetIndex::new(&self.bytes, self.base_offset).entry(slot as usize)?))
    }

    fn advance(&mut self) {
        self.judged += 1;
        self.load_next();
    }

    fn load_next(&mut self) {
        self.next_position = self.current().map_or(u64::MAX, |(_, entry)| entry.position().map_or(0, |at| at.0));
    }
}

fn described(shape: &Shape, id: Id, slot: u32, entry: OffsetIndexEntry) -> Finding {
    shape
        .entry(id, slot)
        .offset(entry.offset)
        .with("indexOffset", entry.offset)
        .with("indexPosition", i64::from(entry.raw_position))
        .with("entry", u64::from(slot))
}

/// There is no offset index beside a log. A broker makes it again, and recovers the newest segment anyway if it did not
/// close it. Source: Kafka `LogSegment.sanityCheck`.
pub(super) fn is_missing(log: &Path, size_in_bytes: u64, state: &SegmentState, findings: &mut Findings) {
    if size_in_bytes == 0 {
        return;
    }
    let finding = Finding::new(Id::IndexMissing, log).with("logSize", size_in_bytes);
    findings.push(if state.may_be_open { finding.as_severity(Severity::Info) } else { finding });
}
