//! A large log that several threads walk over: each looks at parts of it, one puts the parts together.
//!
//! Where batches begin is known for sure only by walking from the start of the file. A part begins at the first intact
//! batch behind an arbitrary position instead, which may be one inside a value. So nothing of a part is believed before
//! the walk from the start has come to that very position; wherever it comes to none of a part it looks for itself.
//! The result is that of one walk, whatever the parts are.

use std::collections::VecDeque;
use std::ops::{ControlFlow, Range};

use super::batch_scan::{BatchScan, ScanOptions, ScannedBatch};
use super::producer_facts::LARGEST_MARKER;
use super::resync::LogSoFar;
use crate::format::Position;
use crate::format::batch::BatchHeader;
use crate::store::window::Scratch;
use crate::store::{ReadStorage, StoreError};

/// Parts are at most this long, in bytes: what is remembered of one is small, and its beginning is soon found.
const LONGEST: u64 = 4 << 20;
/// And no shorter than this.
const SHORTEST: u64 = 256 << 10;
/// What the parts that are at hand at one time take of a log together, if they may be so short.
const TOGETHER: u64 = 16 << 20;
/// How many bytes of log there must be for each batch that is remembered, on average: memory is bounded by it.
const BYTES_PER_BATCH: u64 = 128;

/// The parts of a `range` of a log, in order, of which so many are at hand `at_one_time`.
pub fn ranges(range: Range<u64>, at_one_time: usize) -> impl Iterator<Item = Range<u64>> + Send {
    let length = (TOGETHER / (at_one_time as u64).max(1)).clamp(SHORTEST, LONGEST);
    let count = range.end.saturating_sub(range.start).div_ceil(length);
    (0..count).map(move |at| {
        let start = range.start.saturating_add(at.saturating_mul(length));
        start..start.saturating_add(length).min(range.end)
    })
}

/// How many bytes may be decompressed for each byte of a part: several times what records of one kind come to.
const MOST_EXPANSION: u64 = 32;

/// How much may be decompressed for one part, which may have been begun inside a value.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// What the decompressor has done when there is no more to be done.
    end: u64,
}

impl Budget {
    /// The budget of the part `range`, for a decompressor that has decompressed `spent` bytes.
    pub fn of(range: &Range<u64>, spent: u64) -> Self {
        let length = range.end.saturating_sub(range.start);
        Self { end: spent.saturating_add(length.saturating_mul(MOST_EXPANSION)) }
    }

    /// Whether nothing more may be decompressed by a decompressor that has decompressed `spent` bytes.
    pub fn is_used_up(&self, spent: u64) -> bool {
        spent > self.end
    }
}

/// Intact batches one behind the other that were looked at ahead of the walk.
#[derive(Debug)]
pub struct Part<T> {
    /// Where the first of them begins.
    start: u64,
    headers: Vec<BatchHeader>,
    /// Small control batches whole, each with its number among the headers.
    control: VecDeque<(usize, Box<[u8]>)>,
    /// What was found about some of the batches, with their numbers.
    notes: VecDeque<(usize, T)>,
}

impl<T> Part<T> {
    /// No batch.
    pub fn none() -> Self {
        Self::new(0)
    }

    fn new(start: u64) -> Self {
        Self { start, headers: Vec::new(), control: VecDeque::new(), notes: VecDeque::new() }
    }

    /// Looks at the batches that begin in `range`, as far as all are intact. `segment` is what is known of it.
    /// `look` sees each of them and says what is worth remembering, or breaks: the part then ends before that batch, and the
    /// walk looks at what follows itself. It must do so before it has done much more than the length of the part makes
    /// fair: a part that was begun inside a value is looked at in vain.
    ///
    /// Errors: the storage could not be read.
    pub fn walk(
        storage: &dyn ReadStorage,
        segment: LogSoFar,
        range: Range<u64>,
        options: ScanOptions<'_>,
        scratch: &mut Scratch,
        mut look: impl FnMut(&ScannedBatch<'_>) -> ControlFlow<(), Option<T>>,
    ) -> Result<Self, StoreError> {
        let options = ScanOptions { start: Position(range.start), ..options };
        let mut scan = BatchScan::with_scratch(storage, segment, options, scratch);
        scan.mostly_until(range.end);
        if range.start > 0 && !scan.go_to_intact(range.end)? {
            return Ok(Self::new(range.end));
        }
        let mut part = Self::new(scan.position().0);
        let most = usize::try_from((range.end - range.start) / BYTES_PER_BATCH).unwrap_or(usize::MAX).max(1);
        while scan.position().0 < range.end
            && part.headers.len() < most
            && let Some(scanned) = scan.next_before_damage()?
        {
            match look(&scanned) {
                ControlFlow::Continue(note) => part.push(&scanned, note),
                ControlFlow::Break(()) => break,
            }
        }
        scan.still_whole()?;
        Ok(part)
    }

    fn push(&mut self, scanned: &ScannedBatch<'_>, note: Option<T>) {
        let at = self.headers.len();
        self.headers.push(*scanned.header);
        let is_small = scanned.header.size_in_bytes() <= LARGEST_MARKER as u64;
        if let Some(bytes) = scanned.bytes.filter(|_| scanned.header.is_control() && is_small) {
            self.control.push_back((at, bytes.into()));
        }
        self.notes.extend(note.map(|note| (at, note)));
    }
}

/// When a batch was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookedAt<T> {
    /// By the walk itself, as it came by.
    Now,
    /// In a part, with what was found.
    Ahead(Option<T>),
}

/// One walk over a log, which takes over what was looked at ahead of it.
pub struct JoinedScan<'s, T> {
    scan: BatchScan<'s>,
    parts: &'s mut dyn Iterator<Item = Part<T>>,
    part: Part<T>,
    /// How many batches of the part the walk has passed.
    passed: usize,
    /// Where the next one begins.
    next: u64,
    /// The bytes of the batch that was shown last, if it is a control batch of a part.
    control: Box<[u8]>,
}

impl<'s, T> JoinedScan<'s, T> {
    /// The walk `scan` with `parts`, which come in the order in which they lie in the log.
    pub fn new(scan: BatchScan<'s>, parts: &'s mut dyn Iterator<Item = Part<T>>) -> Self {
        let start = scan.position().0;
        Self { scan, parts, part: Part::new(start), passed: 0, next: start, control: Box::default() }
    }

    /// The walk without the parts: why it ended, and where it is.
    pub fn walk(&self) -> &BatchScan<'s> {
        &self.scan
    }

    /// As [`BatchScan::skip_damage`].
    pub fn skip_damage(&mut self) -> bool {
        self.scan.skip_damage()
    }

    /// As [`BatchScan::next_batch`]. Of the bytes of a batch that was looked at ahead only those of a small control batch
    /// are at hand.
    #[inline]
    pub fn next_batch(&mut self) -> Result<Option<(ScannedBatch<'_>, LookedAt<T>)>, StoreError> {
        if !self.is_in_a_part() {
            return Ok(self.scan.next_batch()?.map(|scanned| (scanned, LookedAt::Now)));
        }
        let (at, position) = (self.passed, Position(self.next));
        let note = take_of(&mut self.part.notes, at);
        let bytes = take_of(&mut self.part.control, at);
        let header = &self.part.headers[at];
        self.scan.pass(header);
        self.passed += 1;
        self.next = self.scan.position().0;
        self.control = bytes.unwrap_or_default();
        let bytes = Some(&*self.control).filter(|bytes| !bytes.is_empty());
        Ok(Some((ScannedBatch { position, header, bytes }, LookedAt::Ahead(note))))
    }

    /// Whether the next batch of the part begins where the walk is.
    #[inline]
    fn is_in_a_part(&mut self) -> bool {
        let position = self.scan.position().0;
        loop {
            match self.part.headers.get(self.passed) {
                Some(_) if self.next == position => return self.scan.end().is_none(),
                // Nothing begins here: the part was begun inside a value, or the walk has passed over damage.
                Some(header) if self.next < position => {
                    self.next = self.next.saturating_add(header.size_in_bytes());
                    self.passed += 1;
                }
                Some(_) => return false,
                None => match self.parts.next() {
                    Some(part) => {
                        (self.next, self.passed) = (part.start, 0);
                        self.part = part;
                    }
                    None => return false,
                },
            }
        }
    }
}

/// What is known of the batch with this number; the numbers before are passed.
#[inline]
fn take_of<V>(known: &mut VecDeque<(usize, V)>, at: usize) -> Option<V> {
    while let Some((number, _)) = known.front().filter(|(number, _)| *number <= at) {
        let is_this = *number == at;
        let taken = known.pop_front();
        if is_this {
            return taken.map(|(_, value)| value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::format::Offset;
    use crate::format::batch::{RecordBatchBuilder, RecordBatchHeader};
    use crate::format::compression::Compression;
    use crate::format::record::RecordFields;
    use crate::store::mem::MemoryStorage;

    fn batch(base_offset: i64, value: &[u8], attributes: i16) -> Vec<u8> {
        let header = RecordBatchHeader { attributes, ..RecordBatchBuilder::plain_header(Offset(base_offset), 1000) };
        let mut builder = RecordBatchBuilder::new(header, Compression::None);
        builder.push(&RecordFields { value: Some(value), ..RecordFields::default() });
        let mut out = Vec::new();
        builder.write(&mut out).unwrap();
        out
    }

    /// What a walk shows: batches, and in their place the ends that it met. Bytes only of control batches.
    type Shown = Vec<Result<(u64, BatchHeader, Option<Vec<u8>>), super::super::ScanEnd>>;

    const OPTIONS: ScanOptions<'_> = ScanOptions {
        start: Position(0),
        verify: super::super::Verify::Checksum,
        bodies: true,
        max_batch_bytes: 1 << 20,
        stop: None,
    };

    fn segment() -> LogSoFar {
        LogSoFar::segment(Offset(0), None)
    }

    /// A part that ends before a batch whose position leaves the largest rest.
    fn part(storage: &MemoryStorage, range: Range<u64>, ends_before: u64) -> Part<u64> {
        let note = |scanned: &ScannedBatch<'_>| match scanned.position.0 {
            position if position % ends_before == ends_before - 1 => ControlFlow::Break(()),
            position => ControlFlow::Continue(Some(position).filter(|position| position % 3 == 0)),
        };
        Part::walk(storage, segment(), range, OPTIONS, &mut Scratch::default(), note).unwrap()
    }

    /// What the walk with these parts shows; and how many batches it took from them.
    fn joined(storage: &MemoryStorage, parts: Vec<Part<u64>>) -> (Shown, usize) {
        let mut parts = parts.into_iter();
        let mut scan = JoinedScan::new(BatchScan::new(storage, segment(), OPTIONS), &mut parts);
        let (mut shown, mut taken) = (Vec::new(), 0);
        loop {
            while let Some((batch, note)) = scan.next_batch().unwrap() {
                let position = batch.position.0;
                if let LookedAt::Ahead(note) = note {
                    assert_eq!(note, Some(position).filter(|position| position % 3 == 0), "a note of another batch");
                    taken += 1;
                }
                let bytes = batch.bytes.filter(|_| batch.header.is_control()).map(<[u8]>::to_vec);
                shown.push(Ok((position, *batch.header, bytes)));
            }
            shown.push(Err(*scan.walk().end().unwrap()));
            if !scan.skip_damage() {
                return (shown, taken);
            }
        }
    }

    fn in_pieces(length: u64, of: u64) -> Vec<Range<u64>> {
        (0..length.div_ceil(of)).map(|at| at * of..((at + 1) * of).min(length)).collect()
    }

    /// A log of batches of which every seventh is a control batch, and every fifth holds batches of another log.
    fn log(batches: i64) -> Vec<u8> {
        let mut bytes = Vec::new();
        for at in 0..batches {
            let foreign: Vec<u8> = (0..3).flat_map(|foreign| batch(at + foreign, b"foreign", 0)).collect();
            let value = if at % 5 == 0 { &foreign[..] } else { b"value" };
            bytes.extend(batch(at, value, if at % 7 == 0 { 0x20 } else { 0 }));
        }
        bytes
    }

    #[test]
    fn every_batch_of_an_intact_log_is_taken_from_the_parts_wherever_these_are_cut() {
        let plain: Vec<u8> = (0..40).flat_map(|at| batch(at, &[b'v'; 300], 0)).collect();
        let storage = MemoryStorage::new("log", plain.clone());
        for length in [100, 500, 1000, 100_000] {
            let parts = in_pieces(plain.len() as u64, length)
                .into_iter()
                .map(|range| part(&storage, range, u64::MAX))
                .collect();
            let (shown, taken) = joined(&storage, parts);
            assert_eq!((shown.len(), taken), (41, 40), "{length}");
            assert!(shown == joined(&storage, Vec::new()).0);
        }
    }

    #[test]
    fn a_part_that_begins_inside_a_value_brings_nothing() {
        let bytes = log(2);
        let storage = MemoryStorage::new("log", bytes.clone());
        let inside = part(&storage, 1..bytes.len() as u64 / 2, u64::MAX);
        assert!(inside.start > 1 && inside.start < 200 && !inside.headers.is_empty(), "{inside:?}");
        let (shown, taken) = joined(&storage, vec![inside]);
        assert_eq!((shown, taken), (joined(&storage, Vec::new()).0, 0));
    }

    #[test]
    fn what_is_decompressed_for_a_part_is_bounded_by_its_length() {
        let budget = Budget::of(&(100..200), 7000);
        assert!(!budget.is_used_up(7000) && !budget.is_used_up(7000 + 3200) && budget.is_used_up(7000 + 3201));
        assert!(!Budget::of(&(0..u64::MAX), 5).is_used_up(u64::MAX));
    }

    #[test]
    fn a_log_is_cut_into_parts_without_a_gap() {
        let mib = |count: u64| count << 20;
        for (range, at_one_time, parts) in [
            (0..0, 2, 0),
            (5..5, 2, 0),
            (0..1, 2, 1),
            (0..mib(100), 2, 25),
            (7..mib(100), 2, 25),
            (mib(4)..mib(100), 2, 24),
            (0..mib(100), 64, 400),
            (0..7, 100_000, 1),
        ] {
            let ranges: Vec<_> = ranges(range.clone(), at_one_time).collect();
            assert_eq!(ranges.len(), parts, "{range:?} {at_one_time}");
            assert_eq!(ranges.first().map_or(range.start, |first| first.start), range.start);
            assert_eq!(ranges.last().map_or(range.end, |last| last.end), range.end);
            assert!(ranges.iter().zip(ranges.iter().skip(1)).all(|(one, next)| one.end == next.start));
        }
    }

    proptest! {
        #[test]
        fn the_joined_walk_shows_what_one_walk_shows(
            batches in 1_i64..40,
            flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            cut in any::<prop::sample::Index>(),
            is_cut in any::<bool>(),
            piece in 30_u64..5000,
            left_out in any::<u64>(),
            ends_before in 1_u64..12,
        ) {
            let mut bytes = log(batches);
            for (at, with) in flips {
                let at = at.index(bytes.len());
                bytes[at] ^= with;
            }
            if is_cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            let storage = MemoryStorage::new("log", bytes.clone());
            let ranges = in_pieces(bytes.len() as u64, piece).into_iter().enumerate();
            let here = ranges.filter(|(at, _)| left_out >> (at % 64) & 1 == 0);
            let parts = here.map(|(_, range)| part(&storage, range, ends_before)).collect();
            prop_assert_eq!(joined(&storage, parts).0, joined(&storage, Vec::new()).0);
        }
    }
}
