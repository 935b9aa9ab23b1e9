//! A partition as a lookup sees it: names, and files that are opened when they are needed.

use std::cell::{Cell, RefCell};
use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use super::offset::LogEnd;
use super::order::{self, Order};
use super::read::{IndexReader, LogReader};
use super::trace::{Step, Trace};
use super::truth::Reading;
use crate::format::batch::{BatchHeader, RecordBatch};
use crate::format::compression::{DEFAULT_LIMIT, Decompressor};
use crate::format::file_name::FileKind;
use crate::format::leader_epoch::{self, LeaderEpochEntry};
use crate::format::record::{Record, RecordError};
use crate::format::{Offset, Position};
use crate::scan::{BatchScan, LogSoFar, ScanEnd, ScanOptions};
use crate::store::partition::{PartitionDir, SegmentFiles};
use crate::store::{NamedFile, ReadPolicy, ReadStorage, StoreError, open, read_small};

/// The largest leader epoch file that is read, in bytes.
const LARGEST_EPOCH_FILE: u64 = 64 << 20;

/// A partition to look things up in.
///
/// Made from one listing of the directory. Files are opened at the first need and read by position, a few bytes at a
/// time: what a lookup costs must not depend on how much the partition holds.
pub struct PartitionView<'a> {
    segments: Vec<Segment<'a>>,
    /// The base offset of the segment behind the last one in view, where only some are.
    end: Option<Offset>,
    /// The base offset of the partition's first segment, in view or not.
    first: Option<Offset>,
    /// Whether there are segments that are not in view.
    is_part: bool,
    log_start_checkpoint: Option<Offset>,
    leader_epochs: Option<&'a NamedFile>,
    reads: Arc<Reads>,
    /// What the batch of the latest answer was read with, and its segment: so that it is not read once more.
    latest: RefCell<Option<(usize, LogReader)>>,
    /// Where the log ends, as it was found out.
    ends: RefCell<Vec<(Reading, LogEnd)>>,
}

/// What was read of the files of segments.
#[derive(Debug, Default)]
pub struct Reads {
    files: AtomicU64,
    bytes: AtomicU64,
}

impl Reads {
    /// How many files were opened, each counted once.
    pub fn files(&self) -> u64 {
        self.files.load(Ordering::Relaxed)
    }

    /// How many bytes were read, those that were read again counted again.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// A file whose reads are counted.
struct Counted {
    inner: Box<dyn ReadStorage>,
    reads: Arc<Reads>,
}

impl Counted {
    fn count(&self, range: &Range<u64>) {
        self.reads.bytes.fetch_add(range.end.saturating_sub(range.start), Ordering::Relaxed);
    }
}

impl ReadStorage for Counted {
    fn path(&self) -> &Path {
        self.inner.path()
    }

    fn len(&self) -> u64 {
        self.inner.len()
    }

    fn lend(&self, range: Range<u64>) -> Result<Option<&[u8]>, StoreError> {
        let lent = self.inner.lend(range.clone())?;
        if lent.is_some() {
            self.count(&range);
        }
        Ok(lent)
    }

    fn read_into(&self, range: Range<u64>, buffer: &mut Vec<u8>) -> Result<(), StoreError> {
        self.count(&range);
        self.inner.read_into(range, buffer)
    }

    fn release(&self, range: Range<u64>) {
        self.inner.release(range);
    }

    fn still_whole(&self) -> Result<(), StoreError> {
        self.inner.still_whole()
    }
}

impl<'a> PartitionView<'a> {
    /// All segments in use of `dir`, or only that with the base offset `segment`. Segments without a `.log` are none:
    /// a broker deletes what is left of them. `log_start_checkpoint` is what the log dir's checkpoint says.
    pub fn new(dir: &'a PartitionDir, segment: Option<Offset>, log_start_checkpoint: Option<Offset>) -> Self {
        Self::read_by(dir, segment, log_start_checkpoint, ReadPolicy::default())
    }

    /// The same with a choice how files are read.
    pub fn read_by(
        dir: &'a PartitionDir,
        segment: Option<Offset>,
        log_start_checkpoint: Option<Offset>,
        policy: ReadPolicy,
    ) -> Self {
        let reads = Arc::<Reads>::default();
        let all: Vec<_> = dir.segments().into_iter().filter(|segment| segment.log.is_some()).collect();
        let end = segment.and_then(|only| all.iter().map(|segment| segment.base_offset).find(|base| *base > only));
        let is_meant = |files: &SegmentFiles<'_>| segment.is_none_or(|only| only == files.base_offset);
        let of_files = |files| Segment::of_files(files, policy, &reads);
        let (first, count) = (all.first().map(|first| first.base_offset), all.len());
        let segments: Vec<_> = all.into_iter().filter(is_meant).filter_map(of_files).collect();
        let is_part = segments.len() < count;
        let leader_epochs = dir.file(FileKind::LeaderEpochCheckpoint);
        let (latest, ends) = (RefCell::default(), RefCell::default());
        Self { segments, end, first, is_part, log_start_checkpoint, leader_epochs, reads, latest, ends }
    }

    /// A partition whose segments are given one by one, by base offset: in memory, for tests.
    pub fn of_segments(segments: Vec<Segment<'a>>, log_start_checkpoint: Option<Offset>) -> Self {
        Self {
            end: None,
            first: segments.first().map(|first| first.base_offset),
            is_part: false,
            segments,
            log_start_checkpoint,
            leader_epochs: None,
            reads: Arc::default(),
            latest: RefCell::default(),
            ends: RefCell::default(),
        }
    }

    /// Keeps what a batch of the segment at `at` was read with.
    pub(super) fn keep(&self, at: usize, reader: LogReader) {
        *self.latest.borrow_mut() = Some((at, reader));
    }

    /// What the segment at `at` was read with, if that was the latest, or else the same anew.
    pub(super) fn reader(&self, at: usize, segment: &Segment<'_>) -> Result<LogReader, StoreError> {
        let kept = self.latest.take().filter(|(of, _)| *of == at);
        kept.map_or_else(|| segment.reader(), |(_, reader)| Ok(reader))
    }

    /// Hands `read` what the segment at `at` was read with, if that was the latest, or else the same anew.
    fn with_reader<T>(
        &self,
        at: usize,
        read: impl FnOnce(&mut LogReader) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let Some(segment) = self.segments.get(at) else { return Ok(None) };
        let mut reader = self.reader(at, segment)?;
        let done = read(&mut reader)?;
        self.keep(at, reader);
        Ok(Some(done))
    }

    /// What was read so far.
    pub fn reads(&self) -> &Reads {
        &self.reads
    }

    /// The segments, by base offset.
    pub fn segments(&self) -> &[Segment<'a>] {
        &self.segments
    }

    /// The first offset that can be read: the checkpoint's, or the first base offset where that is greater.
    ///
    /// Source: Kafka `LogLoader` (without tiered storage).
    pub fn log_start_offset(&self) -> Offset {
        let first = self.first.unwrap_or(Offset(0));
        self.log_start_checkpoint.unwrap_or(Offset(0)).max(first)
    }

    /// Whether the partition has segments that are not in view.
    pub fn is_part(&self) -> bool {
        self.is_part
    }

    /// The base offset of the segment behind the last one in view: the log goes on there. `None` where the last one in
    /// view is the partition's last.
    pub fn goes_on_at(&self) -> Option<Offset> {
        self.end
    }

    /// Where the log ends, if that is known.
    pub(super) fn known_end(&self, reading: Reading) -> Option<LogEnd> {
        self.ends.borrow().iter().find(|(known, _)| *known == reading).map(|(_, end)| *end)
    }

    /// Keeps where the log ends.
    pub(super) fn keep_end(&self, reading: Reading, end: LogEnd) {
        self.ends.borrow_mut().push((reading, end));
    }

    /// What the log dir's checkpoint says about the log start.
    pub fn log_start_checkpoint(&self) -> Option<Offset> {
        self.log_start_checkpoint
    }

    /// The base offset of the segment behind the one at `at`.
    pub fn next_base_offset(&self, at: usize) -> Option<Offset> {
        self.segments.get(at.saturating_add(1)).map_or(self.end, |next| Some(next.base_offset))
    }

    /// The segment that owns `offset`, which is the last whose base offset is not above it.
    ///
    /// Where segments overlap, names decide, as they do for a broker: what an earlier segment holds at or above the
    /// base offset of a later one cannot be read by offset.
    ///
    /// Source: Kafka `LogSegments.floorSegment`.
    pub fn floor_segment(&self, offset: Offset) -> Option<usize> {
        self.segments.partition_point(|segment| segment.base_offset <= offset).checked_sub(1)
    }

    /// What is known of the segment at `at` before its first batch.
    pub(super) fn so_far(&self, at: usize) -> LogSoFar {
        let base_offset = self.segments.get(at).map_or(Offset(0), |segment| segment.base_offset);
        LogSoFar::segment(base_offset, self.next_base_offset(at))
    }

    /// The lines of the `leader-epoch-checkpoint` that can be read.
    ///
    /// Errors: the file could not be read.
    pub fn leader_epochs(&self) -> Result<Vec<LeaderEpochEntry>, StoreError> {
        let Some(file) = self.leader_epochs else { return Ok(Vec::new()) };
        let bytes = read_small(&file.path(), LARGEST_EPOCH_FILE)?;
        Ok(leader_epoch::parse(&bytes)
            .unwrap_or_else(|_| leader_epoch::lenient(&bytes).map(|(_, entry)| entry).collect()))
    }
}

/// One segment with the files that a lookup may need. They are opened for each use: of a partition with thousands of
/// segments only a few may be open at a time.
pub struct Segment<'a> {
    /// The offset in its name.
    pub base_offset: Offset,
    log: Source<'a>,
    offset_index: Option<Source<'a>>,
    time_index: Option<Source<'a>>,
    modified: Option<SystemTime>,
}

enum Source<'a> {
    Named { file: &'a NamedFile, policy: ReadPolicy, reads: Arc<Reads>, was_opened: Cell<bool> },
    Opened(Rc<dyn ReadStorage>),
}

impl<'a> Source<'a> {
    fn named(file: &'a NamedFile, policy: ReadPolicy, reads: &Arc<Reads>) -> Self {
        Self::Named { file, policy, reads: Arc::clone(reads), was_opened: Cell::new(false) }
    }

    fn open(&self) -> Result<Rc<dyn ReadStorage>, StoreError> {
        match self {
            Self::Named { file, policy, reads, was_opened } => {
                let inner = open(&file.path(), *policy)?;
                if !was_opened.replace(true) {
                    reads.files.fetch_add(1, Ordering::Relaxed);
                }
                Ok(Rc::new(Counted { inner, reads: Arc::clone(reads) }))
            }
            Self::Opened(storage) => Ok(Rc::clone(storage)),
        }
    }
}

impl<'a> Segment<'a> {
    /// `None` where there is no `.log`.
    fn of_files(files: SegmentFiles<'a>, policy: ReadPolicy, reads: &Arc<Reads>) -> Option<Self> {
        let named = |file| Source::named(file, policy, reads);
        Some(Self {
            base_offset: files.base_offset,
            log: named(files.log?),
            offset_index: files.offset_index.map(named),
            time_index: files.time_index.map(named),
            modified: None,
        })
    }

    /// A segment that lies elsewhere than in files: its log, its two indexes where there are any, and when the log was
    /// last changed.
    pub fn of_storage(
        base_offset: Offset,
        log: Rc<dyn ReadStorage>,
        offset_index: Option<Rc<dyn ReadStorage>>,
        time_index: Option<Rc<dyn ReadStorage>>,
        modified: SystemTime,
    ) -> Self {
        Self {
            base_offset,
            log: Source::Opened(log),
            offset_index: offset_index.map(Source::Opened),
            time_index: time_index.map(Source::Opened),
            modified: Some(modified),
        }
    }

    /// The path of the `.log` file.
    pub fn path(&self) -> PathBuf {
        match &self.log {
            Source::Named { file, .. } => file.path(),
            Source::Opened(storage) => storage.path().to_owned(),
        }
    }

    /// The record batches.
    ///
    /// Errors: the file could not be opened.
    pub fn log(&self) -> Result<Rc<dyn ReadStorage>, StoreError> {
        self.log.open()
    }

    /// Whether there is an offset index.
    pub(super) fn has_offset_index(&self) -> bool {
        self.offset_index.is_some()
    }

    /// Whether there is a time index.
    pub(super) fn has_time_index(&self) -> bool {
        self.time_index.is_some()
    }

    pub(super) fn offset_index(&self) -> Result<Option<IndexReader>, StoreError> {
        let index = self.offset_index.as_ref().map(Source::open).transpose()?;
        Ok(index.map(|index| IndexReader::new(index, self.base_offset)))
    }

    pub(super) fn time_index(&self) -> Result<Option<IndexReader>, StoreError> {
        let index = self.time_index.as_ref().map(Source::open).transpose()?;
        Ok(index.map(|index| IndexReader::new(index, self.base_offset)))
    }

    /// When the `.log` file was last changed, in milliseconds since 1970.
    ///
    /// Errors: the file system could not say.
    pub(super) fn modified(&self) -> Result<i64, StoreError> {
        let modified = match (self.modified, &self.log) {
            (Some(modified), _) => modified,
            (None, Source::Named { file, .. }) => file.facts()?.modified,
            (None, Source::Opened(_)) => UNIX_EPOCH,
        };
        Ok(match modified.duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
        })
    }

    pub(super) fn reader(&self) -> Result<LogReader, StoreError> {
        Ok(LogReader::new(self.log()?))
    }
}

/// One batch and where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchPlace {
    /// Which of the [`PartitionView::segments`] it is in.
    pub segment: usize,
    /// Where it begins.
    pub position: Position,
    /// Its header.
    pub header: BatchHeader,
}

/// One record and where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordPlace {
    /// The batch that it is in.
    pub batch: BatchPlace,
    /// Its offset.
    pub offset: Offset,
    /// Its timestamp in milliseconds.
    pub timestamp: Option<i64>,
}

/// The first record of the batch at `place` that `is_wanted`, as far as its records can be decoded.
pub(super) fn first_record(
    reader: &mut LogReader,
    place: BatchPlace,
    mut is_wanted: impl FnMut(&Record<'_>) -> bool,
) -> Result<Result<Option<RecordPlace>, RecordError>, StoreError> {
    of_first_record(reader, place, |record| {
        is_wanted(record).then_some(RecordPlace { batch: place, offset: record.offset, timestamp: record.timestamp })
    })
}

/// What `pick` makes of the first record of the batch at `place` that it takes.
pub(super) fn of_first_record<T>(
    reader: &mut LogReader,
    place: BatchPlace,
    mut pick: impl FnMut(&Record<'_>) -> Option<T>,
) -> Result<Result<Option<T>, RecordError>, StoreError> {
    let mut decompressor = Decompressor::new(DEFAULT_LIMIT);
    let Some(batch) = reader.batch(place.position.0, &place.header)? else { return Ok(Ok(None)) };
    let records = match batch.records(&mut decompressor) {
        Ok(records) => records,
        Err(error) => return Ok(Err(error)),
    };
    for record in records {
        match record.map(|record| pick(&record)) {
            Ok(None) => {}
            Ok(picked) => return Ok(Ok(picked)),
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(None))
}

/// Hands out the records at or above `from`, from the batch `start` on through all later ones, until `take` breaks off.
/// Damage is skipped, and so are records that cannot be decoded: `trace` tells which.
///
/// Errors: a file could not be read.
pub fn each_record_from(
    view: &PartitionView<'_>,
    start: BatchPlace,
    from: Offset,
    trace: &mut Trace,
    mut take: impl FnMut(&BatchPlace, &Record<'_>) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let mut decompressor = Decompressor::new(DEFAULT_LIMIT);
    let mut unreadable = Vec::new();
    let mut show = |place: &BatchPlace, batch: &RecordBatch<'_>| -> ControlFlow<()> {
        let Ok(mut records) = batch.records(&mut decompressor) else {
            unreadable.push(*place);
            return ControlFlow::Continue(());
        };
        records.try_for_each(|record| match record {
            Ok(record) if record.offset >= from => take(place, &record),
            Ok(_) => ControlFlow::Continue(()),
            Err(_) => {
                unreadable.push(*place);
                ControlFlow::Continue(())
            }
        })
    };
    let walked = each_batch_from(view, start, from, trace, &mut show);
    for place in unreadable {
        let segment = view.segments.get(place.segment).map_or(Offset(0), |segment| segment.base_offset);
        let (position, size_in_bytes) = (place.position, place.header.size_in_bytes());
        trace.add(Step::Unreadable { segment, position, size_in_bytes });
    }
    walked
}

fn each_batch_from(
    view: &PartitionView<'_>,
    start: BatchPlace,
    from: Offset,
    trace: &mut Trace,
    show: &mut impl FnMut(&BatchPlace, &RecordBatch<'_>) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let mut next = start.position;
    let mut order = Order::of(view, start.segment);
    order.take(&start.header);
    if order.is_broken() {
        order::tell(view, start.segment, Position(start.position.0.saturating_add(1)), trace)?;
    }
    // Most often the first batch is all that is wanted: no more than that is read.
    let is_enough = view.with_reader(start.segment, |reader| {
        if reader.damage_of(start.position.0, &start.header)?.is_none()
            && let Some(batch) = reader.batch(start.position.0, &start.header)?
        {
            next = Position(start.position.0 + start.header.size_in_bytes());
            return Ok(show(&start, &batch).is_break());
        }
        Ok(false)
    })?;
    if is_enough == Some(true) {
        return Ok(());
    }
    for (at, segment) in view.segments.iter().enumerate().skip(start.segment) {
        let log = segment.log()?;
        let options = ScanOptions { start: next, bodies: true, ..ScanOptions::default() };
        next = Position(0);
        let mut scan = BatchScan::new(log.as_ref(), view.so_far(at), options);
        let mut order = Order::of(view, at);
        let mut is_enough = false;
        'segment: loop {
            while let Some(scanned) = scan.next_batch()? {
                order.take(scanned.header);
                let place = BatchPlace { segment: at, position: scanned.position, header: *scanned.header };
                if scanned.header.last_offset() >= from
                    && let Some(batch) = scanned.batch()
                    && show(&place, &batch).is_break()
                {
                    is_enough = true;
                    break 'segment;
                }
            }
            trace.ended(segment.base_offset, scan.end());
            if !scan.skip_damage() {
                break;
            }
        }
        if order.is_broken() {
            order::tell(view, at, scan.position(), trace)?;
        }
        if is_enough {
            break;
        }
    }
    Ok(())
}

/// The first offset of a batch: of a compressed message it is only known once that is opened. `None` where it cannot be.
///
/// Errors: a file could not be read.
pub fn first_offset(view: &PartitionView<'_>, place: BatchPlace) -> Result<Option<Offset>, StoreError> {
    if let Some(base_offset) = place.header.base_offset() {
        return Ok(Some(base_offset));
    }
    let first = view.with_reader(place.segment, |reader| first_record(reader, place, |_| true))?;
    Ok(first.and_then(Result::ok).flatten().map(|record| record.offset))
}

/// Looks at the checksum of the batch at `place`, and whether it lies inside its segment; `trace` tells if not.
///
/// Errors: a file could not be read.
pub fn verify(view: &PartitionView<'_>, place: BatchPlace, trace: &mut Trace) -> Result<(), StoreError> {
    let Some(segment) = view.segments.get(place.segment) else { return Ok(()) };
    let damage = view.with_reader(place.segment, |reader| reader.damage_of(place.position.0, &place.header))?;
    trace.ended(segment.base_offset, damage.flatten().map(ScanEnd::Damaged).as_ref());
    let mut order = Order::of(view, place.segment);
    order.take(&place.header);
    if order.is_broken() {
        order::tell(view, place.segment, Position(place.position.0.saturating_add(1)), trace)?;
    }
    Ok(())
}
