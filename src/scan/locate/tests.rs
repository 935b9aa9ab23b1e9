use std::ops::Range;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;

use super::broker::Broker;
use super::{OffsetAnswer, PartitionView, Reading, RecordPlace, Segment, Step, Trace, offset, truth};
use crate::format::batch::RecordBatchBuilder;
use crate::format::compression::Compression;
use crate::format::offset_index::OffsetIndexEntry;
use crate::format::record::RecordFields;
use crate::format::time_index::TimeIndexEntry;
use crate::format::{Offset, Position};
use crate::scan::{BatchScan, LogSoFar, ScanOptions};
use crate::store::mem::MemoryStorage;
use crate::store::{ReadStorage, StoreError};

/// A batch as a test wants it.
#[derive(Clone, Debug)]
struct Made {
    base: i64,
    /// Deltas to the base offset and timestamps of the records.
    records: Vec<(i32, i64)>,
    last_delta: i32,
    /// Larger than the records' where compaction has removed those that had it.
    max_timestamp: i64,
    value: usize,
}

impl Made {
    fn write(&self, out: &mut Vec<u8>) {
        let mut header = RecordBatchBuilder::plain_header(Offset(self.base), 0);
        header.last_offset_delta = self.last_delta;
        header.max_timestamp = self.max_timestamp;
        let mut builder = RecordBatchBuilder::new(header, Compression::None);
        let value = vec![b'v'; self.value];
        for &(offset_delta, timestamp) in &self.records {
            let fields =
                RecordFields { offset_delta, timestamp_delta: timestamp, value: Some(&value), ..Default::default() };
            builder.push(&fields);
        }
        builder.write(out).unwrap();
    }

    fn last(&self) -> i64 {
        self.base + i64::from(self.last_delta)
    }
}

fn memory(bytes: Vec<u8>) -> Rc<dyn ReadStorage> {
    Rc::new(MemoryStorage::new("memory", bytes))
}

/// The segment of the specification's executed vectors: base 1000, eight batches of 97 bytes, recovered with an
/// interval of 200 bytes.
fn of_the_vectors() -> PartitionView<'static> {
    let mut log = Vec::new();
    for (at, most) in [50, 60, 55, 60, 70, 65, 80, 75].into_iter().enumerate() {
        let mut header = RecordBatchBuilder::plain_header(Offset(1000 + 2 * at as i64), most - 1);
        (header.max_timestamp, header.last_offset_delta) = (most, 1);
        let mut builder = RecordBatchBuilder::new(header, Compression::None);
        for delta in 0..2 {
            builder.push(&RecordFields {
                timestamp_delta: i64::from(delta),
                offset_delta: delta,
                key: Some(b"k"),
                value: Some(&[0; 10]),
                ..Default::default()
            });
        }
        builder.write(&mut log).unwrap();
    }
    assert_eq!(log.len(), 776);
    let (mut index, mut time_index) = (Vec::new(), Vec::new());
    for (offset, position) in [(1007, 291), (1013, 582)] {
        OffsetIndexEntry::new(Offset(1000), Offset(offset), Position(position)).unwrap().write(&mut index);
    }
    for (timestamp, offset) in [(60, 1003), (80, 1013)] {
        TimeIndexEntry::new(Offset(1000), timestamp, Offset(offset)).unwrap().write(&mut time_index);
    }
    let modified = UNIX_EPOCH + Duration::from_millis(1_000_000);
    let segment =
        Segment::of_storage(Offset(1000), memory(log), Some(memory(index)), Some(memory(time_index)), modified);
    PartitionView::of_segments(vec![segment], None)
}

fn point(found: Option<RecordPlace>) -> Option<(i64, i64)> {
    found.map(|record| (record.timestamp.unwrap(), record.offset.0))
}

#[test]
fn the_executed_vectors_are_answered_as_kafka_answered_them() {
    let view = of_the_vectors();
    let mut trace = Trace::default();
    let broker = Broker::start(&view, &mut trace).unwrap().unwrap();
    assert_eq!((broker.log_start_offset(), broker.log_end_offset()), (Offset(1000), Offset(1016)));
    for (offset, position) in [(1010, 485), (1003, 97), (1000, 0), (1015, 679)] {
        let by_broker = broker.offset(Offset(offset), &mut trace).unwrap().unwrap();
        assert!(matches!(by_broker, OffsetAnswer::Batch { batch, .. } if batch.position == Position(position)));
        for reading in [Reading::Scan, Reading::Checked] {
            assert_eq!(offset::offset(&view, Offset(offset), reading, &mut trace).unwrap(), by_broker);
        }
    }
    let answers = [(62, Some((69, 1008))), (71, Some((79, 1012))), (81, None), (0, Some((49, 1000)))];
    for (timestamp, expected) in answers {
        assert_eq!(point(broker.timestamp(timestamp, &mut trace).unwrap().unwrap()), expected, "{timestamp}");
        for reading in [Reading::Scan, Reading::Checked] {
            assert_eq!(point(truth::timestamp(&view, timestamp, reading, &mut trace).unwrap()), expected);
        }
    }
    assert_eq!(point(broker.max_timestamp(&mut trace).unwrap().unwrap()), Some((80, 1013)));
    assert_eq!(point(truth::max_timestamp(&view, Reading::Checked, &mut trace).unwrap()), Some((80, 1013)));
}

#[test]
fn the_trace_tells_the_entry_and_the_batches() {
    let view = of_the_vectors();
    let mut trace = Trace::default();
    offset::offset(&view, Offset(1010), Reading::Checked, &mut trace).unwrap();
    assert_eq!(
        trace.steps,
        [
            Step::Segment { segment: Offset(1000) },
            Step::OffsetIndexEntry { segment: Offset(1000), slot: Some(0), offset: Offset(1007), position: 291 },
            // The fourth shows that the log goes on behind the third.
            Step::Batches { segment: Offset(1000), from: Position(291), count: 4, checksummed: false },
        ]
    );
    assert!(!trace.index_was_no_help());
}

/// Counts the bytes that are read from it.
struct Counting {
    inner: MemoryStorage,
    bytes: Arc<AtomicU64>,
}

impl ReadStorage for Counting {
    fn path(&self) -> &Path {
        self.inner.path()
    }

    fn len(&self) -> u64 {
        self.inner.len()
    }

    fn read_into(&self, range: Range<u64>, buffer: &mut Vec<u8>) -> Result<(), StoreError> {
        self.bytes.fetch_add(range.end - range.start, Ordering::Relaxed);
        self.inner.read_into(range, buffer)
    }
}

/// What a broker writes beside a log with the default interval: an entry for the batch after more than 4096 bytes.
fn right_index(base: i64, batches: &[Made], interval: usize) -> Vec<u8> {
    let (mut index, mut log, mut since) = (Vec::new(), Vec::new(), 0);
    for batch in batches {
        let position = log.len();
        if since > interval {
            let entry = OffsetIndexEntry::new(Offset(base), Offset(batch.last()), Position(position as u64));
            entry.unwrap().write(&mut index);
            since = 0;
        }
        batch.write(&mut log);
        since += log.len() - position;
    }
    index
}

#[test]
fn a_lookup_by_offset_reads_no_more_than_index_interval_and_batch() {
    const INTERVAL: usize = 4096;
    let sizes = [0usize, 100, 900, 300, 2000, 14_000];
    let batches: Vec<Made> = (0..3000)
        .map(|n| Made {
            base: 3 * n,
            records: vec![(0, n), (2, n)],
            last_delta: 2,
            max_timestamp: n,
            value: sizes[n as usize % sizes.len()] / 2,
        })
        .collect();
    let mut log = Vec::new();
    batches.iter().for_each(|batch| batch.write(&mut log));
    let index = right_index(0, &batches, INTERVAL);
    let index_bytes = index.len() as u64;
    let (of_log, of_index) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let counting = |bytes: Vec<u8>, count: &Arc<AtomicU64>| -> Rc<dyn ReadStorage> {
        Rc::new(Counting { inner: MemoryStorage::new("counted", bytes), bytes: Arc::clone(count) })
    };
    let segment =
        Segment::of_storage(Offset(0), counting(log, &of_log), Some(counting(index, &of_index)), None, UNIX_EPOCH);
    let view = PartitionView::of_segments(vec![segment], None);
    let largest_batch = 61 + 2 * (7000 + 20);
    let mut most = 0;
    for offset in (0..9000).step_by(7) {
        of_log.store(0, Ordering::Relaxed);
        of_index.store(0, Ordering::Relaxed);
        let mut trace = Trace::default();
        let answer = offset::offset(&view, Offset(offset), Reading::Checked, &mut trace).unwrap();
        assert!(matches!(answer, OffsetAnswer::Batch { batch, .. } if batch.header.last_offset().0 >= offset));
        let (log_read, index_read) = (of_log.load(Ordering::Relaxed), of_index.load(Ordering::Relaxed));
        assert!(log_read <= (INTERVAL + largest_batch) as u64, "{offset}: {log_read} bytes");
        assert!(index_read <= index_bytes.min(20 * 8 + 2 * 8), "{offset}: {index_read} bytes of the index");
        most = most.max(log_read);
    }
    assert!(most > 0);
}

/// Batches in the value of a record, as the payload of a mirrored topic may have them, and an index that leads there.
#[test]
fn a_run_of_batches_inside_a_value_is_no_part_of_the_log() {
    let batch = |base: i64, value: usize| Made { base, records: vec![(0, 5)], last_delta: 0, max_timestamp: 5, value };
    let mut foreign = Vec::new();
    (0..4).for_each(|n| batch(1 + n, 10).write(&mut foreign));
    let mut log = Vec::new();
    (0..3).for_each(|n| batch(n, 10).write(&mut log));
    let holds = log.len();
    let header = RecordBatchBuilder::plain_header(Offset(3), 5);
    let mut builder = RecordBatchBuilder::new(header, Compression::None);
    builder.push(&RecordFields { value: Some(&foreign), ..Default::default() });
    builder.write(&mut log).unwrap();
    let inside = log[holds..].windows(8).position(|bytes| bytes == &foreign[..8]).unwrap() + holds;
    let next = log.len();
    (4..9).for_each(|n| batch(n, 10).write(&mut log));
    for with_next in [true, false] {
        let mut index = Vec::new();
        let entries = [(1, inside), (4, next)];
        for (offset, position) in entries.into_iter().take(1 + usize::from(with_next)) {
            OffsetIndexEntry::new(Offset(0), Offset(offset), Position(position as u64)).unwrap().write(&mut index);
        }
        let segment = Segment::of_storage(Offset(0), memory(log.clone()), Some(memory(index)), None, UNIX_EPOCH);
        let view = PartitionView::of_segments(vec![segment], None);
        for offset in 0..9 {
            let mut trace = Trace::default();
            let checked = offset::offset(&view, Offset(offset), Reading::Checked, &mut trace).unwrap();
            let found = match checked {
                OffsetAnswer::Batch { batch, .. } => batch.header.base_offset(),
                _ => None,
            };
            assert_eq!(found, Some(Offset(offset)), "{with_next}");
            assert_eq!(checked, offset::offset(&view, Offset(offset), Reading::Scan, &mut trace).unwrap());
        }
    }
}

#[test]
fn a_log_without_timestamps_has_its_first_record_as_the_largest() {
    let mut log = Vec::new();
    for base in 0..3 {
        let records = vec![(0, -1)];
        Made { base, records, last_delta: 0, max_timestamp: -1, value: 5 }.write(&mut log);
    }
    let segment = Segment::of_storage(Offset(0), memory(log), Some(memory(vec![])), Some(memory(vec![])), UNIX_EPOCH);
    for (log_start, expected) in [(0, 0), (2, 2)] {
        let view = PartitionView::of_segments(
            vec![Segment::of_storage(Offset(0), segment.log().unwrap(), Some(memory(vec![])), None, UNIX_EPOCH)],
            Some(Offset(log_start)),
        );
        for reading in [Reading::Scan, Reading::Checked] {
            let found = truth::max_timestamp(&view, reading, &mut Trace::default()).unwrap().unwrap();
            assert_eq!((found.offset, found.timestamp), (Offset(expected), None));
        }
    }
}

#[test]
fn preallocated_zeros_behind_the_entries_cost_a_few_probes_and_mislead_nobody() {
    let batches: Vec<Made> = (0..500)
        .map(|n| Made { base: n, records: vec![(0, n)], last_delta: 0, max_timestamp: n, value: 100 })
        .collect();
    let mut log = Vec::new();
    batches.iter().for_each(|batch| batch.write(&mut log));
    let mut index = right_index(0, &batches, 1000);
    index.resize(10 << 20, 0);
    let segment = Segment::of_storage(Offset(0), memory(log), Some(memory(index)), None, UNIX_EPOCH);
    let view = PartitionView::of_segments(vec![segment], None);
    for offset in 0..500 {
        let mut trace = Trace::default();
        let checked = offset::offset(&view, Offset(offset), Reading::Checked, &mut trace).unwrap();
        assert!(!trace.index_was_no_help());
        assert_eq!(checked, offset::offset(&view, Offset(offset), Reading::Scan, &mut trace).unwrap());
    }
}

/// What is done to the bytes of a log.
#[derive(Clone, Debug)]
enum Damage {
    None,
    Truncate(usize),
    Flip(usize, u8),
    Zero(usize, usize),
    Append(Vec<u8>),
    /// Another base offset, which no checksum covers, for one of the batches.
    Base(usize, i64),
    /// One of the batches once more, before another.
    Repeat(usize, usize),
}

/// One batch whose offsets contradict the others.
fn contradictions() -> impl Strategy<Value = Damage> {
    prop_oneof![
        2 => (any::<usize>(), -5i64..150).prop_map(|(at, base)| Damage::Base(at, base)),
        1 => (any::<usize>(), any::<i64>()).prop_map(|(at, base)| Damage::Base(at, base)),
        1 => (any::<usize>(), any::<usize>()).prop_map(|(from, to)| Damage::Repeat(from, to)),
    ]
}

fn damages() -> impl Strategy<Value = Damage> {
    prop_oneof![
        6 => Just(Damage::None),
        1 => any::<usize>().prop_map(Damage::Truncate),
        2 => (any::<usize>(), 1u8..).prop_map(|(at, bits)| Damage::Flip(at, bits)),
        1 => (any::<usize>(), 1usize..300).prop_map(|(at, len)| Damage::Zero(at, len)),
        1 => prop::collection::vec(any::<u8>(), 1..200).prop_map(Damage::Append),
        1 => (1usize..300).prop_map(|len| Damage::Append(vec![0; len])),
    ]
}

impl Damage {
    /// Fields that no checksum covers (offset, epoch) are left alone: what they then say cannot be told from the truth.
    fn apply(&self, log: &mut Vec<u8>, starts: &[usize]) {
        let is_uncovered = |at: usize| {
            let start = starts[starts.partition_point(|start| *start <= at) - 1];
            (0..8).contains(&(at - start)) || (12..16).contains(&(at - start))
        };
        match self {
            _ if log.is_empty() => {}
            Self::None => {}
            Self::Truncate(at) => log.truncate(at % log.len()),
            Self::Flip(at, bits) => {
                let at = at % log.len();
                if !is_uncovered(at) {
                    log[at] ^= bits;
                }
            }
            Self::Zero(at, len) => {
                let at = at % log.len();
                // Zeros that end inside the part of a header that no checksum covers go on to where one does.
                let covered =
                    |end: usize| starts.iter().find(|&&start| start < end && end < start + 22).map(|start| start + 22);
                let end = at + len;
                let end = covered(end).unwrap_or(end).min(log.len());
                log[at..end].fill(0);
            }
            Self::Append(bytes) => log.extend(bytes),
            Self::Base(at, base) => {
                let start = starts[at % starts.len()];
                log[start..start + 8].copy_from_slice(&base.to_be_bytes());
            }
            Self::Repeat(from, to) => {
                let (from, to) = (from % starts.len(), starts[to % starts.len()]);
                let end = starts.get(from + 1).copied().unwrap_or(log.len());
                let batch = log[starts[from]..end].to_vec();
                log.splice(to..to, batch);
            }
        }
    }
}

/// What lies where an index should.
#[derive(Clone, Debug)]
enum Index {
    Missing,
    Right(usize),
    /// A right one with zeros behind it.
    Preallocated(usize, usize),
    /// A right one and then entries of a longer log that was cut.
    Stale(usize, Vec<(i32, i32)>),
    /// Entries that point to batches, though seldom to the right ones.
    Shuffled(Vec<(usize, usize)>),
    Bytes(Vec<u8>),
}

fn indexes() -> impl Strategy<Value = Index> {
    prop_oneof![
        1 => Just(Index::Missing),
        3 => (0usize..600).prop_map(Index::Right),
        1 => (0usize..600, 1usize..100).prop_map(|(interval, zeros)| Index::Preallocated(interval, zeros)),
        2 => (0usize..600, prop::collection::vec((0i32..400, 0i32..20_000), 1..10)).prop_map(|(i, s)| Index::Stale(i, s)),
        2 => prop::collection::vec((any::<usize>(), any::<usize>()), 1..30).prop_map(Index::Shuffled),
        1 => prop::collection::vec(any::<u8>(), 0..200).prop_map(Index::Bytes),
    ]
}

impl Index {
    fn bytes(&self, base: i64, batches: &[Made], starts: &[usize]) -> Option<Vec<u8>> {
        let raw = |offset: i32, position: i32| [offset.to_be_bytes(), position.to_be_bytes()].concat();
        Some(match self {
            Self::Missing => return None,
            Self::Right(interval) => right_index(base, batches, *interval),
            Self::Preallocated(interval, zeros) => {
                let mut bytes = right_index(base, batches, *interval);
                bytes.resize(bytes.len() + 8 * zeros, 0);
                bytes
            }
            Self::Stale(interval, entries) => {
                let mut bytes = right_index(base, batches, *interval);
                entries.iter().for_each(|&(offset, position)| bytes.extend(raw(offset, position)));
                bytes
            }
            Self::Shuffled(_) if batches.is_empty() => Vec::new(),
            Self::Shuffled(entries) => entries
                .iter()
                .flat_map(|&(offset, at)| {
                    let offset = batches[offset % batches.len()].last() - base;
                    raw(offset as i32, starts[at % starts.len()] as i32)
                })
                .collect(),
            Self::Bytes(bytes) => bytes.clone(),
        })
    }
}

prop_compose! {
    fn batches()(
        parts in prop::collection::vec((0i64..4, 0usize..4, 0i32..3, 0i64..60, 0usize..120), 0..25)
    ) -> Vec<Made> {
        let mut next = 0;
        parts
            .into_iter()
            .map(|(gap, records, more, time, value)| {
                let base = next + gap;
                let records: Vec<_> = (0..records as i32).map(|n| (n * 2 % 7 / 2 + n, time - i64::from(n * 7 % 3))).collect();
                let last_delta = records.iter().map(|(delta, _)| *delta).max().unwrap_or(0) + more;
                next = base + i64::from(last_delta) + 1;
                Made { base, records, last_delta, max_timestamp: time, value }
            })
            .collect()
    }
}

/// What lies where a time index should.
#[derive(Clone, Debug)]
enum Times {
    Missing,
    /// An entry for every batch that raises the maximum.
    Right,
    /// Entries that name batches with their timestamps, though not in the order of anything.
    Shuffled(Vec<usize>),
    Bytes(Vec<u8>),
}

fn times() -> impl Strategy<Value = Times> {
    prop_oneof![
        1 => Just(Times::Missing),
        2 => Just(Times::Right),
        2 => prop::collection::vec(any::<usize>(), 0..20).prop_map(Times::Shuffled),
        1 => prop::collection::vec(any::<u8>(), 0..100).prop_map(Times::Bytes),
    ]
}

impl Times {
    fn bytes(&self, base: i64, batches: &[Made]) -> Option<Vec<u8>> {
        let entry = |out: &mut Vec<u8>, batch: &Made| {
            TimeIndexEntry::new(Offset(base), batch.max_timestamp, Offset(batch.last())).unwrap().write(out);
        };
        let (mut bytes, mut most) = (Vec::new(), -1);
        match self {
            Self::Missing => return None,
            Self::Right => batches.iter().for_each(|batch| {
                if batch.max_timestamp > most {
                    most = batch.max_timestamp;
                    entry(&mut bytes, batch);
                }
            }),
            Self::Shuffled(_) if batches.is_empty() => {}
            Self::Shuffled(slots) => slots.iter().for_each(|slot| entry(&mut bytes, &batches[slot % batches.len()])),
            Self::Bytes(raw) => bytes.extend(raw),
        }
        Some(bytes)
    }
}

/// A segment's batches (offsets relative to its base), what was done to its log, and its indexes.
type Part = (Vec<Made>, Damage, Index, Times);

struct Partition {
    view: PartitionView<'static>,
    healthy: bool,
    made: Vec<(i64, Vec<Made>)>,
    end: i64,
}

fn partition(parts: &[Part], log_start: i64) -> Partition {
    let (mut segments, mut made, mut base, mut healthy) = (Vec::new(), Vec::new(), 0, true);
    let mut end = 0;
    for (batches, damage, index, time_index) in parts {
        let batches: Vec<Made> =
            batches.iter().map(|batch| Made { base: batch.base + base, ..batch.clone() }).collect();
        let (mut log, mut starts) = (Vec::new(), Vec::new());
        for batch in &batches {
            starts.push(log.len());
            batch.write(&mut log);
        }
        let index = index.bytes(base, &batches, &starts);
        damage.apply(&mut log, &starts);
        healthy &= matches!(damage, Damage::None);
        let time_index = time_index.bytes(base, &batches);
        let (log, index, time_index) = (memory(log), index.map(memory), time_index.map(memory));
        segments.push(Segment::of_storage(Offset(base), log, index, time_index, UNIX_EPOCH));
        end = batches.last().map_or(base, |last| last.last() + 1);
        made.push((base, batches));
        base = end + 1;
    }
    Partition { view: PartitionView::of_segments(segments, Some(Offset(log_start))), healthy, made, end }
}

/// What a broker may have left, none of it made for another log.
fn sound_indexes() -> impl Strategy<Value = Index> {
    prop_oneof![
        1 => Just(Index::Missing),
        3 => (0usize..600).prop_map(Index::Right),
        1 => (0usize..600, 1usize..100).prop_map(|(interval, zeros)| Index::Preallocated(interval, zeros)),
    ]
}

/// First and last offsets of the intact batches of a segment, as they are stored.
fn headers(view: &PartitionView<'_>, at: usize) -> Vec<(i64, i64)> {
    let log = view.segments()[at].log().unwrap();
    let mut scan = BatchScan::new(log.as_ref(), LogSoFar::unknown(), ScanOptions::default());
    let mut offsets = Vec::new();
    while let Some(batch) = scan.next_batch().unwrap() {
        offsets.push((batch.header.base_offset().unwrap().0, batch.header.last_offset().0));
    }
    offsets
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn auto_is_scan_always(
        parts in prop::collection::vec((batches(), damages(), indexes(), times()), 1..4),
        log_start in prop_oneof![3 => Just(0i64), 1 => 0i64..60],
    ) {
        let Partition { view, healthy, made, end } = partition(&parts, log_start);
        let mut trace = Trace::default();
        for offset in -1..=end + 2 {
            let scanned = offset::offset(&view, Offset(offset), Reading::Scan, &mut trace).unwrap();
            let checked = offset::offset(&view, Offset(offset), Reading::Checked, &mut trace).unwrap();
            prop_assert_eq!(scanned, checked, "offset {}", offset);
            if healthy && offset >= log_start.max(0) && offset < end {
                let expected = made.iter().flat_map(|(_, batches)| batches).find(|batch| batch.last() >= offset);
                let found = match scanned {
                    OffsetAnswer::Batch { batch, is_behind_damage: false } => batch.header.base_offset(),
                    _ => None,
                };
                prop_assert_eq!(found, expected.map(|batch| Offset(batch.base)), "offset {}", offset);
            }
        }
        for timestamp in (0..62).step_by(3) {
            let scanned = truth::timestamp(&view, timestamp, Reading::Scan, &mut trace).unwrap();
            let checked = truth::timestamp(&view, timestamp, Reading::Checked, &mut trace).unwrap();
            prop_assert_eq!(scanned, checked, "timestamp {}", timestamp);
            if healthy {
                let records = made.iter().flat_map(|(_, batches)| batches).flat_map(|batch| {
                    batch.records.iter().map(|(delta, time)| (*time, batch.base + i64::from(*delta)))
                });
                let expected = records.into_iter().find(|(time, offset)| *time >= timestamp && *offset >= log_start);
                prop_assert_eq!(point(scanned), expected, "timestamp {}", timestamp);
            }
        }
        let scanned = truth::max_timestamp(&view, Reading::Scan, &mut trace).unwrap();
        prop_assert_eq!(scanned, truth::max_timestamp(&view, Reading::Checked, &mut trace).unwrap());
        if healthy {
            let records = made.iter().flat_map(|(_, batches)| batches).flat_map(|batch| {
                batch.records.iter().map(|(delta, time)| (*time, batch.base + i64::from(*delta)))
            });
            let visible = records.filter(|(_, offset)| *offset >= log_start).collect::<Vec<_>>();
            let most = visible.iter().map(|(time, _)| *time).max();
            let first = visible.into_iter().find(|(time, _)| Some(*time) == most);
            let first = first.map(|(time, offset)| ((time != -1).then_some(time), offset));
            prop_assert_eq!(scanned.map(|found| (found.timestamp, found.offset.0)), first);
        }
        let ends = [Reading::Scan, Reading::Checked].map(|r| offset::log_end(&view, r, &mut trace).unwrap());
        prop_assert_eq!(ends[0], ends[1]);
    }

    #[test]
    fn auto_is_scan_where_one_batch_contradicts_the_others(
        parts in prop::collection::vec((batches(), contradictions(), sound_indexes(), times()), 1..3),
    ) {
        let Partition { view, end, .. } = partition(&parts, 0);
        let mut trace = Trace::default();
        for target in 0..=end + 2 {
            let scanned = offset::offset(&view, Offset(target), Reading::Scan, &mut trace).unwrap();
            let checked = offset::offset(&view, Offset(target), Reading::Checked, &mut trace).unwrap();
            let owner = view.floor_segment(Offset(target)).unwrap();
            let holds = |&(first, last): &(i64, i64)| first <= target && target <= last;
            let holders: Vec<_> = headers(&view, owner).into_iter().filter(holds).collect();
            // Where two hold it there is no telling which is meant.
            if holders.len() > 1 {
                continue;
            }
            prop_assert_eq!(scanned, checked, "offset {}", target);
            // A batch that holds the offset, where it belongs, is no gap.
            if let OffsetAnswer::Batch { batch, is_behind_damage: false } = scanned
                && batch.header.base_offset().is_some_and(|base| base.0 > target)
            {
                prop_assert_eq!(holders, [], "offset {}", target);
            }
        }
        let ends = [Reading::Scan, Reading::Checked].map(|r| offset::log_end(&view, r, &mut trace).unwrap());
        prop_assert_eq!(ends[0], ends[1]);
        prop_assert!(ends[0].offset.0 <= end.max(160) + 200);
    }

    #[test]
    fn a_broker_answers_or_fails_whatever_its_files_hold(
        log: Vec<u8>,
        parts in prop::collection::vec((batches(), damages(), indexes(), times()), 1..3),
        time_index in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let partition = partition(&parts, 0);
        let random = Segment::of_storage(Offset(0), memory(log), None, Some(memory(time_index)), UNIX_EPOCH);
        for view in [partition.view, PartitionView::of_segments(vec![random], None)] {
            let mut trace = Trace::default();
            let Ok(broker) = Broker::start(&view, &mut trace).unwrap() else { continue };
            for offset in 0..partition.end + 2 {
                let _ = broker.offset(Offset(offset), &mut trace).unwrap();
            }
            for timestamp in [0, 30, i64::MAX] {
                let _ = broker.timestamp(timestamp, &mut trace).unwrap();
            }
            let _ = broker.max_timestamp(&mut trace).unwrap();
        }
    }
}
