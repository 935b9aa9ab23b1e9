//! The time index of a segment, held against its log while that is walked over.
//!
//! An entry is right if the first batch that reaches its offset holds it and has its timestamp as the largest, and if all
//! batches before are older. The last entry of a segment that is not appended to has the largest timestamp of all.
//!
//! Source: Kafka `TimeIndex`, `LogSegment` (`append`, `onBecomeInactiveSegment`, `findOffsetByTimestamp`).

use std::path::{Path, PathBuf};

use super::finding::{Detail, Finding, Findings, Severity};
use super::index_file::{Faults, SegmentState, Shape, first_stale, out_of_order};
use super::segment::LogEnd;
use super::{Depth, Id};
use crate::format::Offset;
use crate::format::batch::BatchHeader;
use crate::format::time_index::{ENTRY_SIZE, TimeIndex, TimeIndexEntry};

/// A time index that is being held against its log.
#[derive(Debug)]
pub(super) struct TimeIndexCheck {
    bytes: Vec<u8>,
    base_offset: Offset,
    shape: Shape,
    /// The slots in the order of their offsets, where that is not the order of the file.
    order: Option<Vec<u32>>,
    /// How many entries, in the order of their offsets, are judged.
    judged: usize,
    /// The offset of the next one, or the largest there is.
    next_offset: i64,
    /// The batch that was the first to reach that offset and begins behind it. Only the batch after it tells whether
    /// the entry is wrong or this batch is out of order.
    doubtful: Option<SeenBatch>,
    faults: Faults,
    /// The entry at the end of the file, if it names a batch that does not have its timestamp.
    wrong_last: Option<Finding>,
    /// Entries that lie in damage, since last asked.
    behind: u64,
}

/// What a batch says about the entries that it is the first to reach.
#[derive(Clone, Copy, Debug)]
struct SeenBatch {
    first_offset: Offset,
    last_offset: Offset,
    timestamp: i64,
    /// The largest timestamp before it; −1 for none.
    timestamp_before: i64,
    is_behind_damage: bool,
}

impl TimeIndexCheck {
    /// The index at `path` with the content `bytes`, of the segment that begins at `base_offset`.
    pub(super) fn new(path: PathBuf, bytes: Vec<u8>, base_offset: Offset) -> Self {
        let index = TimeIndex::new(&bytes, base_offset);
        let (used, partial) = (index.zero_tail(), index.partial_entry().len());
        let shape = Shape { path, size: ENTRY_SIZE, slots: index.len(), used, partial };
        let offset = |slot: usize| index.entry(slot).map_or(base_offset, |entry| entry.offset);
        let is_in_order = (1..used).all(|slot| offset(slot - 1) <= offset(slot));
        let order = (!is_in_order).then(|| {
            let mut slots: Vec<u32> = (0..used as u32).collect();
            slots.sort_by_key(|&slot| offset(slot as usize));
            slots
        });
        let mut check = Self {
            bytes,
            base_offset,
            shape,
            order,
            judged: 0,
            next_offset: i64::MAX,
            doubtful: None,
            faults: Faults::default(),
            wrong_last: None,
            behind: 0,
        };
        check.load_next();
        while let Some((slot, entry)) = check.current().filter(|(_, entry)| entry.relative_offset < 0) {
            check.advance();
            check.is_out_of_range(slot, entry, None);
        }
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

    /// Takes in the next batch of the log. `timestamp_before` is the largest timestamp before it, `is_behind_damage` says
    /// that batches may be missing or out of order before it.
    #[inline]
    pub(super) fn batch(
        &mut self,
        header: &BatchHeader,
        last_offset_before: Offset,
        timestamp_before: Option<i64>,
        is_behind_damage: bool,
    ) {
        if header.last_offset().0 >= self.next_offset {
            self.meet(header, last_offset_before, timestamp_before, is_behind_damage);
        }
    }

    #[cold]
    fn meet(
        &mut self,
        header: &BatchHeader,
        last_offset_before: Offset,
        timestamp_before: Option<i64>,
        is_behind_damage: bool,
    ) {
        let last_offset = header.last_offset();
        // What a compressed message begins with is not known; it holds all offsets that no batch before it does.
        // Behind damage it may hold no more than its last one.
        let behind_the_last = match is_behind_damage {
            true => last_offset,
            false => Offset(last_offset_before.0.saturating_add(1)).min(last_offset),
        };
        let batch = SeenBatch {
            first_offset: header.base_offset().unwrap_or(behind_the_last),
            last_offset,
            timestamp: header.max_timestamp().unwrap_or(-1),
            timestamp_before: timestamp_before.unwrap_or(-1),
            is_behind_damage,
        };
        if let Some(doubtful) = self.doubtful.take()
            && batch.first_offset > doubtful.last_offset
        {
            self.judge(&doubtful, true);
        }
        self.judge(&batch, false);
    }

    /// Judges the entries up to the last offset of `batch`. Of those before its first offset nothing is said unless the
    /// batch `is_sure` to be where it belongs.
    fn judge(&mut self, batch: &SeenBatch, is_sure: bool) {
        while let Some((slot, entry)) = self.current().filter(|(_, entry)| entry.offset <= batch.last_offset) {
            let is_between_batches = entry.offset < batch.first_offset;
            if is_between_batches && batch.is_behind_damage {
                self.advance();
                self.faults.forget(slot);
                self.behind += 1;
                continue;
            }
            if is_between_batches && !is_sure {
                self.doubtful = Some(*batch);
                return;
            }
            self.advance();
            let is_right = !is_between_batches
                && entry.timestamp == batch.timestamp
                && entry.timestamp > batch.timestamp_before
                && entry.timestamp >= 0;
            if !is_right {
                self.has_wrong_timestamp(slot, entry, batch);
            }
        }
    }

    fn has_wrong_timestamp(&mut self, slot: u32, entry: TimeIndexEntry, batch: &SeenBatch) {
        let describe = |shape: &Shape| {
            described(shape, Id::TimeIndexWrongTimestamp, slot, entry)
                .with("batchBaseOffset", batch.first_offset)
                .with("batchLastOffset", batch.last_offset)
                .with("batchMaxTimestamp", Detail::Time(batch.timestamp))
                .with("largestTimestampBefore", Detail::Time(batch.timestamp_before))
        };
        if slot as usize + 1 == self.shape.used {
            // What to call it is known at the end of the log.
            self.wrong_last = Some(describe(&self.shape));
            self.faults.forget(slot);
        } else {
            self.faults.add(slot, Id::TimeIndexWrongTimestamp, || describe(&self.shape));
        }
    }

    fn is_out_of_range(&mut self, slot: u32, entry: TimeIndexEntry, last_offset: Option<Offset>) {
        self.faults.add(slot, Id::TimeIndexOffsetOutOfRange, || {
            let finding = described(&self.shape, Id::TimeIndexOffsetOutOfRange, slot, entry);
            match last_offset {
                Some(last) => finding.with("lastOffset", last),
                None => finding,
            }
        });
    }

    /// How many entries lay in damage since this was last asked.
    pub(super) fn take_behind(&mut self) -> u64 {
        std::mem::take(&mut self.behind)
    }

    /// Judges the rest at the end of the log.
    pub(super) fn finish(&mut self, end: &LogEnd, depth: Depth, findings: &mut Findings, state: &SegmentState) {
        if let Some(doubtful) = self.doubtful.take() {
            self.judge(&doubtful, true);
        }
        while let Some((slot, entry)) = self.current() {
            self.advance();
            let is_in_the_log = end.max_last_offset.is_some_and(|last| entry.offset <= last);
            match (is_in_the_log, end.is_whole) {
                // A walk that begins in the middle says nothing about entries before.
                (true, _) => {}
                (false, true) => self.is_out_of_range(slot, entry, end.max_last_offset),
                (false, false) => {
                    self.behind += 1;
                    self.faults.forget(slot);
                }
            }
        }
        if self.shape.used == 0 && end.max_timestamp == Some(0) && depth > Depth::Quick {
            // Timestamp 0 at the base offset looks like padding.
            self.shape.used = self.shape.slots.min(1);
        }
        self.report(end, depth, findings, state);
    }

    fn report(&mut self, end: &LogEnd, depth: Depth, findings: &mut Findings, state: &SegmentState) {
        if self.shape.path().as_os_str().is_empty() {
            return;
        }
        self.shape.has_whole_entries(Id::TimeIndexPartialEntry, findings);
        let is_sound = self.is_sound();
        if state.may_be_open {
            let may_have_stale = self.shape.is_preallocated() && !is_sound;
            if let Some(slot) = if may_have_stale { self.first_stale() } else { None } {
                let stale = self.shape.used.saturating_sub(slot as usize) as u64;
                let finding = self.shape.rest(Id::TimeIndexStaleEntries, slot as usize).with("staleEntries", stale);
                findings.push(finding.as_severity(Severity::Info));
                return;
            }
        } else {
            self.shape.has_no_padding(Id::TimeIndexZeroPadding, findings);
        }
        if !is_sound {
            self.entries_rise();
            self.wrong_last_is_named(end);
        }
        if !state.may_be_open && self.shape.used == self.shape.slots {
            self.last_is_the_largest(end, depth, findings);
        }
        std::mem::take(&mut self.faults).report(self.shape.used, findings);
    }

    /// Whether no entry is wrong on its own and all rise: then there is nothing to look for.
    fn is_sound(&self) -> bool {
        let index = TimeIndex::new(&self.bytes, self.base_offset);
        let mut before = (i64::MIN, Offset(i64::MIN));
        self.faults.is_empty()
            && index.iter().take(self.shape.used).all(|entry| {
                let rises = entry.timestamp > before.0 && entry.offset >= before.1;
                before = (entry.timestamp, entry.offset);
                rises
            })
    }

    /// Where an index that may be open has its end, if entries are left behind it.
    fn first_stale(&mut self) -> Option<u32> {
        if self.wrong_last.take().is_some() {
            return Some(self.first_wrong().map_or(self.last_slot(), |wrong| wrong.min(self.last_slot())));
        }
        let index = TimeIndex::new(&self.bytes, self.base_offset);
        let mut before: Option<TimeIndexEntry> = None;
        let falls = self.faults.others(self.shape.used).into_iter().find(|&slot| {
            let Some(entry) = index.entry(slot as usize) else { return false };
            let rises = before.is_none_or(|before| entry.timestamp > before.timestamp && entry.offset >= before.offset);
            before = Some(entry);
            !rises
        });
        match (self.first_wrong(), falls) {
            (Some(wrong), Some(falls)) => Some(wrong.min(falls)),
            (wrong, falls) => wrong.or(falls),
        }
    }

    fn first_wrong(&mut self) -> Option<u32> {
        first_stale(self.faults.slots(), self.shape.used)
    }

    fn last_slot(&self) -> u32 {
        self.shape.used.saturating_sub(1) as u32
    }

    /// Searches halve the entries, by timestamp and, when a log is cut, by offset. Of entries that are each right, as few
    /// as possible are named. Source: Kafka `TimeIndex` (`lookup`, `truncateTo`).
    fn entries_rise(&mut self) {
        for (id, strictly) in [(Id::TimeIndexTimestampsNotIncreasing, true), (Id::TimeIndexOffsetsDecreasing, false)] {
            let index = TimeIndex::new(&self.bytes, self.base_offset);
            let key = |slot: u32| {
                index.entry(slot as usize).map_or(0, |entry| if strictly { entry.timestamp } else { entry.offset.0 })
            };
            let slots = self.faults.others(self.shape.used);
            let rises = |pair: &[u32]| match *pair {
                [a, b] if strictly => key(a) < key(b),
                [a, b] => key(a) <= key(b),
                _ => true,
            };
            if slots.windows(2).all(rises) {
                continue;
            }
            let keys: Vec<i64> = slots.iter().map(|&slot| key(slot)).collect();
            for odd in out_of_order(&keys, strictly) {
                let Some(&slot) = slots.get(odd) else { continue };
                let Some(entry) = index.entry(slot as usize) else { continue };
                let before = odd.checked_sub(1).and_then(|before| index.entry(*slots.get(before)? as usize));
                self.faults.add(slot, id, || {
                    let finding = described(&self.shape, id, slot, entry);
                    match before {
                        Some(before) => finding
                            .with("previousTimestamp", Detail::Time(before.timestamp))
                            .with("previousOffset", before.offset),
                        None => finding,
                    }
                });
            }
        }
    }

    /// The last entry says how old the segment is, to lookups and to retention: too large a timestamp keeps both there, too
    /// small a one lets both pass over it.
    fn wrong_last_is_named(&mut self, end: &LogEnd) {
        let Some(mut finding) = self.wrong_last.take() else { return };
        let index = TimeIndex::new(&self.bytes, self.base_offset);
        let timestamp = index.entry(self.last_slot() as usize).map_or(-1, |entry| entry.timestamp);
        match end.max_timestamp {
            Some(largest) if timestamp == largest || end.before_damage == Some(Some(timestamp)) => {}
            Some(largest) => {
                let is_too_small = timestamp < largest;
                finding.id = if is_too_small { Id::TimeIndexLastTooSmall } else { Id::TimeIndexLastTooLarge };
                finding = finding.with("maxTimestamp", Detail::Time(largest));
            }
            None => finding.id = Id::TimeIndexLastTooLarge,
        }
        let (slot, id) = (self.last_slot(), finding.id);
        self.faults.add(slot, id, || finding);
    }

    /// Lookups pass over a segment whose last entry is older than what they look for, and retention deletes it. Where the
    /// log is damaged the index cannot go on, and the damage is the news.
    /// Source: Kafka `LogSegment.largestTimestamp`, `UnifiedLog` (`deleteRetentionMsBreachedSegments`).
    fn last_is_the_largest(&mut self, end: &LogEnd, depth: Depth, findings: &mut Findings) {
        let Some(largest) = end.max_timestamp else { return };
        let last_slot = self.last_slot();
        let index = TimeIndex::new(&self.bytes, self.base_offset);
        let last = index.entry(last_slot as usize).filter(|_| self.shape.used > 0);
        if end.is_reached_by(last.map(|last| last.timestamp)) {
            return;
        }
        let Some(last) = last else {
            let finding = Finding::new(Id::TimeIndexEmpty, self.shape.path());
            findings.push(finding.with("maxTimestamp", Detail::Time(largest)));
            return;
        };
        // A walk that began in the middle has seen one such timestamp, perhaps not the largest.
        let name = if depth == Depth::Quick { "laterTimestamp" } else { "maxTimestamp" };
        if last.timestamp < largest && self.faults.slots().last() != Some(&last_slot) {
            self.faults.add(last_slot, Id::TimeIndexLastTooSmall, || {
                described(&self.shape, Id::TimeIndexLastTooSmall, last_slot, last).with(name, Detail::Time(largest))
            });
        }
    }

    fn current(&self) -> Option<(u32, TimeIndexEntry)> {
        let slot = match &self.order {
            Some(order) => *order.get(self.judged)?,
            None => u32::try_from(self.judged).ok().filter(|_| self.judged < self.shape.used)?,
        };
        Some((slot, TimeIndex::new(&self.bytes, self.base_offset).entry(slot as usize)?))
    }

    fn advance(&mut self) {
        self.judged += 1;
        self.load_next();
    }

    fn load_next(&mut self) {
        self.next_offset = self.current().map_or(i64::MAX, |(_, entry)| entry.offset.0);
    }
}

fn described(shape: &Shape, id: Id, slot: u32, entry: TimeIndexEntry) -> Finding {
    shape
        .entry(id, slot)
        .offset(entry.offset)
        .with("indexTimestamp", Detail::Time(entry.timestamp))
        .with("indexOffset", entry.offset)
        .with("entry", u64::from(slot))
}

/// There is no time index beside a log with timestamps. A broker makes an empty one, and then goes by the time at which
/// the file was last modified. Source: Kafka `LogSegment` (`sanityCheck`, `largestTimestamp`).
pub(super) fn is_missing(log: &Path, max_timestamp: Option<i64>, state: &SegmentState, findings: &mut Findings) {
    let Some(largest) = max_timestamp else { return };
    let finding = Finding::new(Id::TimeIndexMissing, log).with("maxTimestamp", Detail::Time(largest));
    findings.push(if state.may_be_open { finding.as_severity(Severity::Info) } else { finding });
}
