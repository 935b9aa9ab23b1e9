//! Partitions and segments at a glance: what names, sizes, checkpoints and the headers at the ends of the logs say.
//!
//! Nothing here fails because something is damaged or cannot be read: the facts hold what can be known, and beside them
//! what was seen that is wrong, and what could not be looked at. Whether all else is sound is not judged.

use std::path::PathBuf;

use super::batch_scan::ScanEnd;
use super::checkpoints::{Checkpointed, Checkpoints};
use super::segment_ends::{Head, SegmentEnds, Tail, TimeEntries, first_timestamp};
use crate::format::Offset;
use crate::format::file_name::FileKind;
use crate::format::leader_epoch::{self, CheckpointError};
use crate::store::partition::{PartitionDir, SegmentFiles};
use crate::store::{IoMode, NamedFile, ReadPolicy, ReadStorage, StoreError, open, read_small};

/// The largest leader epoch file that is read, in bytes.
const LARGEST_EPOCH_FILE: u64 = 64 << 20;

/// One partition at a glance.
#[derive(Debug, Default)]
pub struct PartitionFacts {
    /// How many segments in use have a `.log` file.
    pub segments: u64,
    /// The sum of their `.log` files, in bytes.
    pub size_in_bytes: u64,
    /// The first offset that can be read: the first segment's base, or the checkpoint's where that is greater.
    pub log_start_offset: Option<Offset>,
    /// The high watermark in the log dir's checkpoint (exclusive).
    pub high_watermark: Option<Offset>,
    /// The recovery point in the log dir's checkpoint.
    pub recovery_point: Option<Offset>,
    /// The offset behind the last batch (exclusive), or the newest segment's base where that segment holds no batch.
    pub log_end_offset: Option<Offset>,
    /// The timestamp of the first batch that has records and reaches the log start offset, in milliseconds: see
    /// [`first_timestamp`].
    pub first_timestamp: Option<i64>,
    /// The largest timestamp in the last batch, in milliseconds. Not the largest of the partition, where producers give
    /// timestamps that do not rise.
    pub last_timestamp: Option<i64>,
    /// The leader epoch of the last batch, or a later one in the partition's `leader-epoch-checkpoint`.
    pub latest_epoch: Option<i32>,
    /// What was seen that is wrong.
    pub flaws: Vec<Flaw>,
    /// What could not be looked at.
    pub unreadable: Vec<StoreError>,
}

/// One segment at a glance.
#[derive(Debug, Default)]
pub struct SegmentFacts {
    /// The offset in its name.
    pub base_offset: Offset,
    /// The size of the `.log` file in bytes.
    pub size_in_bytes: u64,
    /// The last offset of the last batch, inclusive; `None` where it holds none.
    pub last_offset: Option<Offset>,
    /// The timestamp of the first batch that has records, in milliseconds: see [`first_timestamp`].
    pub first_timestamp: Option<i64>,
    /// The largest timestamp in milliseconds: see [`SegmentEnds::max_timestamp`].
    pub max_timestamp: Option<i64>,
    /// Entries in the offset index; `None` where there is no such file.
    pub offset_index_entries: Option<u64>,
    /// Entries in the time index; `None` where there is no such file.
    pub time_index_entries: Option<u64>,
    /// What was seen that is wrong.
    pub flaws: Vec<Flaw>,
    /// What could not be looked at.
    pub unreadable: Vec<StoreError>,
}

/// Something wrong that meets the eye.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Bytes in a log that are no intact batch, as far as headers show it.
    Log {
        /// The `.log` file.
        path: PathBuf,
        /// Whether it is the newest segment, which a running broker writes to.
        is_newest: bool,
        /// What was met.
        end: ScanEnd,
    },
    /// A segment has indexes and no `.log`: a broker deletes it when it starts.
    NoLog {
        /// The offset in its name.
        base_offset: Offset,
    },
    /// The log start offset in the checkpoint lies behind the log end: a broker deletes the whole log when it starts.
    LogStartBeyondEnd,
    /// The high watermark in the checkpoint lies behind the log end: the tail of the log was lost.
    HighWatermarkBeyondEnd,
    /// The `leader-epoch-checkpoint` cannot be read to its end.
    LeaderEpochs {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: CheckpointError,
    },
}

impl PartitionFacts {
    /// Looks at the partition in `dir`, whose log dir has `checkpoints`; a loose copy has none.
    ///
    /// Opens the segment that holds the log start, the newest one, and those beside them only where these hold no batch.
    pub fn read(dir: &PartitionDir, checkpoints: Option<&Checkpoints>, policy: ReadPolicy) -> Self {
        let checkpointed = match (checkpoints, &dir.name) {
            (Some(checkpoints), Some(name)) => checkpoints.of(name),
            _ => Checkpointed::default(),
        };
        let mut facts = Self {
            high_watermark: checkpointed.high_watermark,
            recovery_point: checkpointed.recovery_point,
            ..Self::default()
        };
        let (mut segments, without_log): (Vec<_>, Vec<_>) =
            dir.segments().into_iter().partition(|segment| segment.log.is_some());
        facts.flaws.extend(without_log.iter().map(|segment| Flaw::NoLog { base_offset: segment.base_offset }));
        facts.segments = segments.len() as u64;
        for segment in &mut segments {
            match segment.size_in_bytes() {
                // A preallocated index leads nowhere yet, and it takes a search to see that.
                Ok(0) => segment.offset_index = None,
                Ok(size) => facts.size_in_bytes += size,
                Err(error) => facts.unreadable.push(error),
            }
        }
        let first_base = segments.first().map(|segment| segment.base_offset);
        facts.log_start_offset = checkpointed.log_start_offset.max(first_base);
        facts.read_tail(&segments, policy);
        facts.read_head(&segments, policy);
        facts.read_epochs(dir);
        if let Some(end) = facts.log_end_offset {
            facts.flaws.extend(
                [
                    (checkpointed.log_start_offset, Flaw::LogStartBeyondEnd),
                    (checkpointed.high_watermark, Flaw::HighWatermarkBeyondEnd),
                ]
                .into_iter()
                .filter_map(|(offset, flaw)| (offset > Some(end)).then_some(flaw)),
            );
        }
        facts
    }

    /// Finds the last batch, from the newest segment back.
    fn read_tail(&mut self, segments: &[SegmentFiles<'_>], policy: ReadPolicy) {
        for at in (0..segments.len()).rev() {
            let Some(tail) = self.look(segments, at, policy, |ends| ends.tail()) else { return };
            self.seen(segments, at, tail.damage);
            if at + 1 == segments.len() {
                self.log_end_offset = Some(match &tail.last {
                    Some(last) => Offset(last.last_offset().0.saturating_add(1)),
                    None => segments[at].base_offset,
                });
            }
            if let Some(last) = tail.last {
                self.last_timestamp = last.max_timestamp();
                self.latest_epoch = last.partition_leader_epoch();
                return;
            }
        }
    }

    /// Finds the first batch, from the segment on that holds the log start.
    fn read_head(&mut self, segments: &[SegmentFiles<'_>], policy: ReadPolicy) {
        let log_start = self.log_start_offset.unwrap_or_default();
        let first = segments.iter().rposition(|segment| segment.base_offset <= log_start).unwrap_or(0);
        for at in first..segments.len() {
            let Some(head) = self.look(segments, at, policy, |ends| ends.head(log_start)) else { return };
            self.seen(segments, at, head.damage);
            if let Some(batch) = head.batch {
                self.first_timestamp = first_timestamp(&batch);
                return;
            }
        }
    }

    fn look<T>(
        &mut self,
        segments: &[SegmentFiles<'_>],
        at: usize,
        policy: ReadPolicy,
        look: impl Fn(&SegmentEnds<'_>) -> Result<T, StoreError>,
    ) -> Option<T> {
        let segment = segments.get(at)?;
        let files = OpenSegment::open(segment, policy, &mut self.unreadable)?;
        let next = segments.get(at + 1).map(|next| next.base_offset);
        let looked = files.ends(segment.base_offset, next).and_then(|ends| look(&ends));
        looked.map_err(|error| self.unreadable.push(error)).ok()
    }

    fn seen(&mut self, segments: &[SegmentFiles<'_>], at: usize, damage: Vec<ScanEnd>) {
        let Some(path) = segments.get(at).and_then(|segment| segment.log).map(NamedFile::path) else { return };
        let is_newest = at + 1 == segments.len();
        add(&mut self.flaws, &path, is_newest, damage);
    }

    fn read_epochs(&mut self, dir: &PartitionDir) {
        let Some(file) = dir.file(FileKind::LeaderEpochCheckpoint) else { return };
        let path = file.path();
        let bytes = match read_small(&path, LARGEST_EPOCH_FILE) {
            Ok(bytes) => bytes,
            Err(error) => return self.unreadable.push(error),
        };
        let entries = leader_epoch::parse(&bytes).unwrap_or_else(|error| {
            self.flaws.push(Flaw::LeaderEpochs { path, error });
            leader_epoch::lenient(&bytes).map(|(_, entry)| entry).collect()
        });
        self.latest_epoch = self.latest_epoch.max(entries.last().map(|entry| entry.epoch));
    }
}

impl SegmentFacts {
    /// Looks at one segment, which ends before `next_base_offset` where another follows.
    pub fn read(files: &SegmentFiles<'_>, next_base_offset: Option<Offset>, policy: ReadPolicy) -> Self {
        let mut facts = Self { base_offset: files.base_offset, ..Self::default() };
        let Some(log) = files.log else {
            facts.flaws.push(Flaw::NoLog { base_offset: files.base_offset });
            return facts;
        };
        match files.size_in_bytes() {
            Ok(size) => facts.size_in_bytes = size,
            Err(error) => facts.unreadable.push(error),
        }
        let time_index = files.time_index.and_then(|file| open_index(file, &mut facts.unreadable));
        let time_entries = time_index.as_deref().and_then(|storage| {
            TimeEntries::new(storage, files.base_offset).map_err(|error| facts.unreadable.push(error)).ok()
        });
        facts.time_index_entries = time_entries.as_ref().map(TimeEntries::len);
        let Some(open) = OpenSegment::open(files, policy, &mut facts.unreadable) else { return facts };
        let looked = open.ends(files.base_offset, next_base_offset).and_then(|ends| {
            facts.offset_index_entries = ends.offset_index_entries();
            let tail = ends.tail()?;
            let head = ends.head(files.base_offset)?;
            facts.max_timestamp = ends.max_timestamp(&tail, time_entries.as_ref())?;
            Ok((head, tail))
        });
        match looked {
            Ok((Head { batch, damage: in_head }, Tail { last, damage: in_tail, .. })) => {
                facts.first_timestamp = batch.as_ref().and_then(first_timestamp);
                facts.last_offset = last.map(|last| last.last_offset());
                let (path, is_newest) = (log.path(), next_base_offset.is_none());
                add(&mut facts.flaws, &path, is_newest, in_tail);
                add(&mut facts.flaws, &path, is_newest, in_head);
            }
            Err(error) => facts.unreadable.push(error),
        }
        facts
    }
}

/// Adds what was met in a log, once however often it was met.
fn add(flaws: &mut Vec<Flaw>, path: &std::path::Path, is_newest: bool, damage: Vec<ScanEnd>) {
    for end in damage {
        let flaw = Flaw::Log { path: path.to_owned(), is_newest, end };
        if !flaws.contains(&flaw) {
            flaws.push(flaw);
        }
    }
}

/// The files of a segment, opened.
struct OpenSegment {
    log: Box<dyn ReadStorage>,
    offset_index: Option<Box<dyn ReadStorage>>,
}

impl OpenSegment {
    /// `None` where the log cannot be opened; without its index it is only slower.
    fn open(files: &SegmentFiles<'_>, policy: ReadPolicy, unreadable: &mut Vec<StoreError>) -> Option<Self> {
        let log = open(&files.log?.path(), policy).map_err(|error| unreadable.push(error)).ok()?;
        let offset_index = files.offset_index.and_then(|file| open_index(file, unreadable));
        Some(Self { log, offset_index })
    }

    /// Errors: the index could not be read.
    fn ends(&self, base_offset: Offset, next_base_offset: Option<Offset>) -> Result<SegmentEnds<'_>, StoreError> {
        SegmentEnds::new(base_offset, next_base_offset, self.log.as_ref(), self.offset_index.as_deref())
    }
}

/// Opens an index, of which a few entries will be read: no map pays for that.
fn open_index(file: &NamedFile, unreadable: &mut Vec<StoreError>) -> Option<Box<dyn ReadStorage>> {
    let policy = ReadPolicy { mode: IoMode::Pread, may_change: true };
    open(&file.path(), policy).map_err(|error| unreadable.push(error)).ok()
}
