//! A segment looked at from its ends: what the headers of its first and last batches say, without a walk over all of it.
//!
//! The indexes lead there, as hints that are checked: a wrong index costs time, never a right answer about the log end.

use super::batch_scan::{BatchScan, ScanEnd, ScanOptions, Verify};
use super::locate::begins_at_or_below;
use super::resync::{LEAST_ZERO_FILL, LogSoFar};
use crate::format::batch::{BatchHeader, RECORD_BATCH_OVERHEAD, TimestampType};
use crate::format::offset_index::{self, OffsetIndex, OffsetIndexEntry};
use crate::format::time_index::{self, TimeIndex, TimeIndexEntry};
use crate::format::{Offset, Position};
use crate::store::window::Window;
use crate::store::{ReadStorage, StoreError};

/// How many of the last entries are tried before the walk begins at the start of the segment.
const MOST_TRIES: usize = 4;

/// A log and its offset index.
pub struct SegmentEnds<'s> {
    log: &'s dyn ReadStorage,
    index: Option<OffsetEntries<'s>>,
    so_far: LogSoFar,
}

/// The first batch of which something was wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Its header; `None` where there is no such batch.
    pub batch: Option<BatchHeader>,
    /// What was met on the way that is no intact header.
    pub damage: Vec<ScanEnd>,
}

/// The end of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tail {
    /// Where the walk began that led to the end.
    pub start: Position,
    /// The header of the last batch; `None` where the log holds none.
    pub last: Option<BatchHeader>,
    /// The largest timestamp of the batches from `start` on, in milliseconds.
    pub max_timestamp: Option<i64>,
    /// What was met between `start` and the end of the file that is no batch.
    pub damage: Vec<ScanEnd>,
}

impl<'s> SegmentEnds<'s> {
    /// The segment that begins at `base_offset` and ends before `next_base_offset`, where another follows.
    ///
    /// Errors: the index could not be read.
    pub fn new(
        base_offset: Offset,
        next_base_offset: Option<Offset>,
        log: &'s dyn ReadStorage,
        offset_index: Option<&'s dyn ReadStorage>,
    ) -> Result<Self, StoreError> {
        let index = offset_index.map(|storage| OffsetEntries::new(storage, base_offset)).transpose()?;
        Ok(Self { log, index, so_far: LogSoFar::segment(base_offset, next_base_offset) })
    }

    /// How many entries the offset index has, the zeros of a preallocated file left out; `None` without an index.
    pub fn offset_index_entries(&self) -> Option<u64> {
        self.index.as_ref().map(|index| index.entries.used)
    }

    /// The first batch that has records and reaches `offset` or goes beyond.
    ///
    /// Where it is not the very first, the headers before it are walked over: an index entry could only be believed after
    /// a walk over those behind it.
    ///
    /// Errors: the log could not be read.
    pub fn head(&self, offset: Offset) -> Result<Head, StoreError> {
        let is_wanted = |header: &BatchHeader| {
            header.last_offset() >= offset && header.records_count().is_none_or(|count| count > 0)
        };
        if let Some(header) = self.first_header()?.filter(is_wanted) {
            return Ok(Head { batch: Some(header), damage: Vec::new() });
        }
        let mut head = Head::default();
        let mut scan = self.scan(Position(0));
        loop {
            while let Some(batch) = scan.next_batch()? {
                if is_wanted(batch.header) {
                    head.batch = Some(*batch.header);
                    return Ok(head);
                }
            }
            head.damage.extend(scan.end().filter(|end| **end != ScanEnd::CleanEof));
            if !scan.skip_damage() {
                return Ok(head);
            }
        }
    }

    /// The last batch, and what lies behind it.
    ///
    /// The walk begins at one of the last index entries if an intact batch begins there that the entry can mean, and if
    /// the headers lead from it, with rising offsets, exactly to the end of the file (or to nothing but zeros). A batch
    /// inside a value of another cannot do that. Otherwise it begins at the start of the segment.
    ///
    /// Errors: the log or the index could not be read.
    ///
    /// Source: Kafka `LogSegment.readNextOffset`, which believes the index.
    pub fn tail(&self) -> Result<Tail, StoreError> {
        let used = self.index.as_ref().map_or(0, |index| index.entries.used);
        if let Some((position, offset)) = self.landing(used, None)? {
            let (tail, is_proven) = self.walk(position, |_| ())?;
            if is_proven && tail.last.is_some_and(|last| last.last_offset() >= offset) {
                return Ok(tail);
            }
        }
        Ok(self.walk(Position(0), |_| ())?.0)
    }

    /// The largest timestamp of the segment in milliseconds, control batches included.
    ///
    /// That of the batch which the last time index entry names, if that batch has the entry's timestamp, or a larger one
    /// behind it; without such an entry, by a walk over all headers. What only a whole walk could show is a larger
    /// timestamp before that batch, which a sound time index would have had an entry for.
    ///
    /// Errors: one of the files could not be read.
    pub fn max_timestamp(
        &self,
        tail: &Tail,
        time_entries: Option<&TimeEntries<'_>>,
    ) -> Result<Option<i64>, StoreError> {
        if tail.start == Position(0) {
            return Ok(tail.max_timestamp);
        }
        if let (Some(index), Some(time_entries)) = (&self.index, time_entries)
            && let Some(entry) = time_entries.last()?
            && let Some((position, _)) = self.landing(index.up_to(entry.offset)?, Some(entry.offset))?
        {
            let mut named = None;
            let (walked, is_proven) = self.walk(position, |header| {
                if header.last_offset() >= entry.offset {
                    named.get_or_insert(*header);
                }
            })?;
            let has_its_timestamp = named.is_some_and(|named| {
                named.base_offset().is_none_or(|base| base <= entry.offset)
                    && named.max_timestamp() == Some(entry.timestamp)
            });
            if is_proven && has_its_timestamp {
                return Ok(walked.max_timestamp);
            }
        }
        Ok(self.walk(Position(0), |_| ())?.0.max_timestamp)
    }

    /// The header at the start of the file, read alone: a window would bring in much more.
    fn first_header(&self) -> Result<Option<BatchHeader>, StoreError> {
        let mut bytes = Vec::new();
        self.log.read_into(0..self.log.len().min(RECORD_BATCH_OVERHEAD as u64), &mut bytes)?;
        let header = BatchHeader::read(&bytes).ok();
        Ok(header.filter(|header| header.check().is_ok() && header.size_in_bytes() <= self.log.len()))
    }

    /// The last among the first `count` index entries, or one shortly before, at whose position an intact batch begins
    /// whose first offset is not above `most` (or else the entry's offset): that position, and the entry's offset.
    ///
    /// It may still be a batch inside a value of another: see [`Self::walk`].
    fn landing(&self, count: u64, most: Option<Offset>) -> Result<Option<(Position, Offset)>, StoreError> {
        let Some(index) = &self.index else { return Ok(None) };
        let mut window = Window::new(self.log);
        for slot in (0..count).rev().take(MOST_TRIES) {
            let entry = index.entry(slot)?;
            let Some(position) = entry.position() else { continue };
            if begins_at_or_below(&mut window, position, most.unwrap_or(entry.offset))? {
                return Ok(Some((position, entry.offset)));
            }
        }
        Ok(None)
    }

    fn scan(&self, start: Position) -> BatchScan<'s> {
        BatchScan::new(self.log, self.so_far, ScanOptions { start, verify: Verify::Framing, ..ScanOptions::default() })
    }

    /// Shows the headers from `start` to the end of the file to `see`, and says whether they prove that a batch of this
    /// log begins at `start`: they do if they lead, with rising offsets, exactly to the end.
    fn walk(&self, start: Position, mut see: impl FnMut(&BatchHeader)) -> Result<(Tail, bool), StoreError> {
        let mut tail = Tail { start, ..Tail::default() };
        let mut scan = self.scan(start);
        let mut next_offset = self.so_far.next_offset;
        let mut is_in_order = true;
        loop {
            while let Some(batch) = scan.next_batch()? {
                let (first, last) = (batch.header.base_offset(), batch.header.last_offset());
                is_in_order &= first.unwrap_or(last) >= next_offset && last < self.so_far.end_offset;
                next_offset = Offset(last.0.saturating_add(1));
                tail.max_timestamp = tail.max_timestamp.max(batch.header.max_timestamp());
                see(batch.header);
                tail.last = Some(*batch.header);
            }
            tail.damage.extend(scan.end().filter(|end| **end != ScanEnd::CleanEof));
            if !scan.skip_damage() {
                let reaches_the_end = match tail.damage[..] {
                    [] => true,
                    [ScanEnd::ZeroFill { length, .. }] => length >= LEAST_ZERO_FILL,
                    _ => false,
                };
                return Ok((tail, is_in_order && reaches_the_end));
            }
        }
    }
}

/// The timestamp of the first record of a batch in milliseconds, as far as its header tells.
///
/// That is the base timestamp, unless the whole batch has the time of its append, or compaction has put the delete
/// horizon in its place, or the batch is older than magic 2: then the largest timestamp of the batch.
pub fn first_timestamp(header: &BatchHeader) -> Option<i64> {
    match header.as_record_batch() {
        Some(batch)
            if header.timestamp_type() == TimestampType::CreateTime
                && batch.delete_horizon_ms().is_none()
                && batch.base_timestamp != -1 =>
        {
            Some(batch.base_timestamp)
        }
        _ => header.max_timestamp(),
    }
}

/// The entries of a time index, read one by one.
pub struct TimeEntries<'s> {
    entries: Entries<'s, { time_index::ENTRY_SIZE }>,
    base_offset: Offset,
}

impl<'s> TimeEntries<'s> {
    /// The entries of the time index of the segment that begins at `base_offset`.
    ///
    /// Errors: it could not be read.
    pub fn new(storage: &'s dyn ReadStorage, base_offset: Offset) -> Result<Self, StoreError> {
        let mut entries = Entries::new(storage)?;
        // Timestamp 0 at the base offset is a real entry; only one among others of zeros is padding.
        entries.used = if entries.slots() == 1 { 1 } else { entries.used };
        Ok(Self { entries, base_offset })
    }

    /// How many entries there are, the zeros of a preallocated file left out.
    pub fn len(&self) -> u64 {
        self.entries.used
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn last(&self) -> Result<Option<TimeIndexEntry>, StoreError> {
        let Some(slot) = self.entries.used.checked_sub(1) else { return Ok(None) };
        let bytes = self.entries.at(slot)?;
        Ok(TimeIndex::new(&bytes, self.base_offset).entry(0))
    }
}

struct OffsetEntries<'s> {
    entries: Entries<'s, { offset_index::ENTRY_SIZE }>,
    base_offset: Offset,
}

impl<'s> OffsetEntries<'s> {
    fn new(storage: &'s dyn ReadStorage, base_offset: Offset) -> Result<Self, StoreError> {
        Ok(Self { entries: Entries::new(storage)?, base_offset })
    }

    fn entry(&self, slot: u64) -> Result<OffsetIndexEntry, StoreError> {
        let bytes = self.entries.at(slot)?;
        let none = OffsetIndexEntry { offset: self.base_offset, relative_offset: 0, raw_position: -1 };
        Ok(OffsetIndex::new(&bytes, self.base_offset).entry(0).unwrap_or(none))
    }

    /// How many entries come before the first that is above `offset`.
    fn up_to(&self, offset: Offset) -> Result<u64, StoreError> {
        first_not(self.entries.used, |slot| Ok(self.entry(slot)?.offset <= offset))
    }
}

/// An index file whose entries are read one by one: a look at its end must not cost its ten preallocated megabytes.
struct Entries<'s, const N: usize> {
    storage: &'s dyn ReadStorage,
    used: u64,
}

impl<'s, const N: usize> Entries<'s, N> {
    fn new(storage: &'s dyn ReadStorage) -> Result<Self, StoreError> {
        let mut entries = Self { storage, used: 0 };
        let is_zero = |slot: u64| Ok::<_, StoreError>(entries.at(slot)? == [0; N]);
        let slots = entries.slots();
        entries.used = match slots.checked_sub(1) {
            Some(last) if is_zero(last)? => first_not(slots, |slot| Ok(!is_zero(slot)?))?,
            _ => slots,
        };
        Ok(entries)
    }

    fn slots(&self) -> u64 {
        self.storage.len() / N as u64
    }

    fn at(&self, slot: u64) -> Result<[u8; N], StoreError> {
        let start = slot * N as u64;
        let mut bytes = Vec::with_capacity(N);
        self.storage.read_into(start..start + N as u64, &mut bytes)?;
        Ok(bytes.first_chunk().copied().unwrap_or([0; N]))
    }
}

/// The first of `count` slots for which `holds` does not, if it holds for all before and for none behind.
fn first_not(count: u64, holds: impl Fn(u64) -> Result<bool, StoreError>) -> Result<u64, StoreError> {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle)? {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::batch::RecordBatchBuilder;
    use crate::format::compression::Compression;
    use crate::format::record::RecordFields;
    use crate::store::mem::MemoryStorage;
    use proptest::prelude::*;

    const BASE: Offset = Offset(1000);
    const BATCHES: i64 = 40;
    /// Where in a batch of the log the value of its first record begins: behind two lengths of two bytes and four fields.
    const IN_FIRST_VALUE: i32 = 61 + 8;

    /// The last offset, timestamp and position of each batch of a log.
    type Places = Vec<(i64, i64, u64)>;

    /// A log in which the value of each record is a whole batch, whose offsets would come next.
    fn log() -> (Vec<u8>, Places) {
        let (mut bytes, mut places) = (Vec::new(), Vec::new());
        for at in 0..BATCHES {
            let (base, timestamp) = (BASE.0 + 2 * at, 50_000 + 10 * at);
            let mut inner = Vec::new();
            let mut builder =
                RecordBatchBuilder::new(RecordBatchBuilder::plain_header(Offset(base + 2), 9), Compression::None);
            builder.push(&RecordFields { value: Some(b"v"), ..RecordFields::default() });
            builder.write(&mut inner).unwrap();
            let header = RecordBatchBuilder::plain_header(Offset(base), timestamp);
            let mut builder = RecordBatchBuilder::new(header, Compression::None);
            builder.push(&RecordFields { value: Some(&inner), ..RecordFields::default() });
            builder.push(&RecordFields { offset_delta: 1, value: Some(&inner), ..RecordFields::default() });
            places.push((base + 1, timestamp, bytes.len() as u64));
            builder.write(&mut bytes).unwrap();
        }
        (bytes, places)
    }

    fn index(entries: &[(i32, i32)]) -> MemoryStorage {
        let bytes = entries.iter().flat_map(|(offset, position)| [offset.to_be_bytes(), position.to_be_bytes()]);
        MemoryStorage::new("index", bytes.flatten().collect())
    }

    fn time_index(entries: &[(i64, i32)]) -> MemoryStorage {
        let mut bytes = Vec::new();
        for (timestamp, offset) in entries {
            bytes.extend(timestamp.to_be_bytes());
            bytes.extend(offset.to_be_bytes());
        }
        MemoryStorage::new("timeindex", bytes)
    }

    #[test]
    fn a_batch_inside_a_value_is_not_taken_for_the_last_one() {
        let (bytes, places) = log();
        let inner = places[39].2 as i32 + IN_FIRST_VALUE;
        let header = BatchHeader::read(&bytes[inner as usize..]).unwrap();
        assert_eq!(header.base_offset(), Some(Offset(1080)));
        let log = MemoryStorage::new("log", bytes);
        let index = index(&[(80, inner)]);
        let tail = SegmentEnds::new(BASE, None, &log, Some(&index)).unwrap().tail().unwrap();
        assert_eq!((tail.start, tail.last.unwrap().last_offset()), (Position(0), Offset(1079)));
    }

    #[test]
    fn right_indexes_save_the_way() {
        let (bytes, places) = log();
        let log = MemoryStorage::new("log", bytes);
        let entries: Vec<_> =
            (5..40).step_by(5).map(|at| ((places[at].0 - BASE.0) as i32, places[at].2 as i32)).collect();
        // As in an active segment, preallocated.
        let index = index(&[entries, vec![(0, 0); 1000]].concat());
        let time_index = time_index(&[(places[35].1, (places[35].0 - BASE.0) as i32), (0, 0), (0, 0)]);
        let ends = SegmentEnds::new(BASE, None, &log, Some(&index)).unwrap();
        assert_eq!(ends.offset_index_entries(), Some(7));
        let tail = ends.tail().unwrap();
        assert_eq!(tail.start, Position(places[35].2));
        assert_eq!(tail.last.unwrap().last_offset(), Offset(1079));
        let time_entries = TimeEntries::new(&time_index, BASE).unwrap();
        assert_eq!(time_entries.len(), 1);
        assert_eq!(ends.max_timestamp(&tail, Some(&time_entries)).unwrap(), Some(50_390));
        let head = ends.head(Offset(1042)).unwrap().batch.unwrap();
        assert_eq!(head.base_offset(), Some(Offset(1042)));
        assert_eq!(first_timestamp(&head), Some(50_210));
    }

    #[test]
    fn a_time_index_that_the_log_does_not_confirm_is_not_believed() {
        let (bytes, places) = log();
        let log = MemoryStorage::new("log", bytes);
        let index = index(&[((places[35].0 - BASE.0) as i32, places[35].2 as i32)]);
        let ends = SegmentEnds::new(BASE, None, &log, Some(&index)).unwrap();
        let tail = ends.tail().unwrap();
        for wrong in [(i64::MAX, 10), (places[9].1 + 1, 19), (60_000, 5000), (60_000, -5)] {
            let time_index = time_index(&[wrong]);
            let time_entries = TimeEntries::new(&time_index, BASE).unwrap();
            assert_eq!(ends.max_timestamp(&tail, Some(&time_entries)).unwrap(), Some(50_390), "{wrong:?}");
        }
        assert_eq!(ends.max_timestamp(&tail, None).unwrap(), Some(50_390));
    }

    #[test]
    fn the_only_entry_of_a_time_index_may_be_zero() {
        let [one, three] = [1, 3].map(|count| time_index(&vec![(0, 0); count]));
        assert_eq!(TimeEntries::new(&one, BASE).unwrap().len(), 1);
        assert!(TimeEntries::new(&three, BASE).unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn whatever_the_indexes_say_the_ends_are_the_same(
            entries in prop::collection::vec((0i32..100, 0usize..40, 0u32..200, any::<i32>()), 0..20),
            times in prop::collection::vec((any::<i64>(), any::<i32>()), 0..3),
            cut in 0usize..600,
            tail in prop_oneof![Just(vec![]), Just(vec![0; 100]), prop::collection::vec(any::<u8>(), 0..200)],
            wanted in 990i64..1090,
        ) {
            let (mut bytes, places) = log();
            bytes.truncate(bytes.len() - cut);
            bytes.extend(tail);
            let log = MemoryStorage::new("log", bytes);
            let entries: Vec<_> = entries
                .into_iter()
                .map(|(offset, at, skipped, random)| match skipped {
                    // A batch, the batch in its first value, something inside, anything.
                    0..60 => (offset, places[at].2 as i32),
                    60..110 => (offset, places[at].2 as i32 + IN_FIRST_VALUE),
                    110..150 => (offset, (places[at].2 + u64::from(skipped)) as i32),
                    _ => (random, random.rotate_left(16)),
                })
                .collect();
            let (index, time_index) = (index(&entries), time_index(&times));
            let time_entries = TimeEntries::new(&time_index, BASE).unwrap();
            let told = SegmentEnds::new(BASE, None, &log, Some(&index)).unwrap();
            let alone = SegmentEnds::new(BASE, None, &log, None).unwrap();
            let (with, without) = (told.tail().unwrap(), alone.tail().unwrap());
            prop_assert_eq!(with.last, without.last);
            prop_assert_eq!(&with.damage, &without.damage);
            prop_assert_eq!(
                told.max_timestamp(&with, Some(&time_entries)).unwrap(),
                alone.max_timestamp(&without, None).unwrap()
            );
            let (with, without) = (told.head(Offset(wanted)).unwrap(), alone.head(Offset(wanted)).unwrap());
            prop_assert_eq!(with.batch, without.batch);
        }
    }
}
