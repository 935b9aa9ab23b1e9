//! A partition as a lookup sees it: names, and files that are opened when they are needed.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::read::{IndexReader, LogReader};
use crate::format::batch::{BatchHeader, RecordBatch};
use crate::format::compression::{DEFAULT_LIMIT, Decompressor};
use crate::format::file_name::FileKind;
use crate::format::leader_epoch::{self, LeaderEpochEntry};
use crate::format::record::{Record, RecordError};
use crate::format::{Offset, Position};
use crate::scan::{BatchScan, LogSoFar, ScanOptions};
use crate::store::partition::{PartitionDir, SegmentFiles};
use crate::store::pread::PreadFile;
use crate::store::{NamedFile, ReadStorage, StoreError, read_small};

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
    log_start_checkpoint: Option<Offset>,
    leader_epochs: Option<&'a NamedFile>,
}

impl<'a> PartitionView<'a> {
    /// All segments in use of `dir`, or only that with the base offset `segment`. Segments without a `.log` are none:
    /// a broker deletes what is left of them. `log_start_checkpoint` is what the log dir's checkpoint says.
    pub fn new(dir: &'a PartitionDir, segment: Option<Offset>, log_start_checkpoint: Option<Offset>) -> Self {
        let all: Vec<_> = dir.segments().into_iter().filter(|segment| segment.log.is_some()).collect();
        let end = segment.and_then(|only| all.iter().map(|segment| segment.base_offset).find(|base| *base > only));
        let is_meant = |files: &SegmentFiles<'_>| segment.is_none_or(|only| only == files.base_offset);
        let segments = all.into_iter().filter(is_meant).filter_map(Segment::of_files).collect();
        Self { segments, end, log_start_checkpoint, leader_epochs: dir.file(FileKind::LeaderEpochCheckpoint) }
    }

    /// A partition whose segments are given one by one, by base offset: in memory, for tests.
    pub fn of_segments(segments: Vec<Segment<'a>>, log_start_checkpoint: Option<Offset>) -> Self {
        Self { segments, end: None, log_start_checkpoint, leader_epochs: None }
    }

    /// The segments, by base offset.
    pub fn segments(&self) -> &[Segment<'a>] {
        &self.segments
    }

    /// The first offset that can be read: the checkpoint's, or the first base offset where that is greater.
    ///
    /// Source: Kafka `LogLoader` (without tiered storage).
    pub fn log_start_offset(&self) -> Offset {
        let first = self.segments.first().map_or(Offset(0), |segment| segment.base_offset);
        self.log_start_checkpoint.unwrap_or(Offset(0)).max(first)
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
    Named(&'a NamedFile),
    Opened(Rc<dyn ReadStorage>),
}

impl Source<'_> {
    fn open(&self) -> Result<Rc<dyn ReadStorage>, StoreError> {
        match self {
            Self::Named(file) => Ok(Rc::new(PreadFile::open(&file.path())?)),
            Self::Opened(storage) => Ok(Rc::clone(storage)),
        }
    }
}

impl<'a> Segment<'a> {
    /// `None` where there is no `.log`.
    fn of_files(files: SegmentFiles<'a>) -> Option<Self> {
        Some(Self {
            base_offset: files.base_offset,
            log: Source::Named(files.log?),
            offset_index: files.offset_index.map(Source::Named),
            time_index: files.time_index.map(Source::Named),
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
            Source::Named(file) => file.path(),
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
            (None, Source::Named(named)) => named.facts()?.modified,
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
    let mut decompressor = Decompressor::new(DEFAULT_LIMIT);
    let Some(batch) = reader.batch(place.position.0, &place.header)? else { return Ok(Ok(None)) };
    let records = match batch.records(&mut decompressor) {
        Ok(records) => records,
        Err(error) => return Ok(Err(error)),
    };
    for record in records {
        match record {
            Ok(record) if is_wanted(&record) => {
                return Ok(Ok(Some(RecordPlace { batch: place, offset: record.offset, timestamp: record.timestamp })));
            }
            Ok(_) => {}
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(None))
}

/// Hands out the records at or above `from`, from the batch `start` on through all later ones, until `take` breaks off.
/// Damage is skipped, and so are records that cannot be decoded.
///
/// Errors: a file could not be read.
pub fn each_record_from(
    view: &PartitionView<'_>,
    start: BatchPlace,
    from: Offset,
    mut take: impl FnMut(&BatchPlace, &Record<'_>) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let mut decompressor = Decompressor::new(DEFAULT_LIMIT);
    let mut show = |place: &BatchPlace, batch: &RecordBatch<'_>| -> ControlFlow<()> {
        let Ok(records) = batch.records(&mut decompressor) else { return ControlFlow::Continue(()) };
        records.map_while(Result::ok).filter(|record| record.offset >= from).try_for_each(|record| take(place, &record))
    };
    let mut next = start.position;
    if let Some(segment) = view.segments.get(start.segment) {
        // Most often the first batch is all that is wanted: no more than that is read.
        let mut reader = segment.reader()?;
        if reader.is_intact(start.position.0, &start.header)?
            && let Some(batch) = reader.batch(start.position.0, &start.header)?
        {
            next = Position(start.position.0 + start.header.size_in_bytes());
            if show(&start, &batch).is_break() {
                return Ok(());
            }
        }
    }
    for (at, segment) in view.segments.iter().enumerate().skip(start.segment) {
        let log = segment.log()?;
        let options = ScanOptions { start: next, bodies: true, ..ScanOptions::default() };
        next = Position(0);
        let mut scan = BatchScan::new(log.as_ref(), view.so_far(at), options);
        loop {
            while let Some(scanned) = scan.next_batch()? {
                let place = BatchPlace { segment: at, position: scanned.position, header: scanned.header };
                if scanned.header.last_offset() >= from
                    && let Some(batch) = scanned.batch
                    && show(&place, &batch).is_break()
                {
                    return Ok(());
                }
            }
            if !scan.skip_damage() {
                break;
            }
        }
    }
    Ok(())
}
