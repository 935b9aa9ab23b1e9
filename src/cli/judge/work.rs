//! What the threads do: one segment after the other.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use super::super::progress::Progress;
use super::super::signals;
use crate::check::partition::Surroundings;
use crate::check::segment::{JudgedSegment, LogPart, SegmentTask, Worker};
use crate::check::{Depth, Setting};
use crate::format::Offset;
use crate::format::file_name::{FileKind, FileState};
use crate::report::row::path_text;
use crate::scan::parts;
use crate::store::partition::{OwnedSegment, PartitionDir, SegmentFiles};
use crate::store::{NamedFile, StoreError};

/// The smallest log that is worth being looked at in parts, in bytes.
const WORTH_PARTS: u64 = 16 << 20;

/// A partition that is being looked at.
pub(super) struct Unit {
    pub(super) dir: PartitionDir,
    /// Only this segment of it.
    pub(super) only: Option<Offset>,
    pub(super) surroundings: Surroundings,
    pub(super) setting: Setting,
    /// Which of the log dirs that were given it is in.
    pub(super) given: Option<usize>,
    snapshot_offsets: Vec<Offset>,
}

impl Unit {
    pub(super) fn new(
        dir: PartitionDir,
        only: Option<Offset>,
        given: Option<usize>,
        surroundings: Surroundings,
        setting: Setting,
    ) -> Self {
        let is_snapshot =
            |file: &&NamedFile| file.name.kind == FileKind::ProducerSnapshot && file.name.state == FileState::Live;
        let snapshot_offsets = dir.files.iter().filter(is_snapshot).filter_map(|file| file.name.base_offset).collect();
        Self { dir, only, surroundings, setting, given, snapshot_offsets }
    }

    /// The question about one of its segments.
    pub(super) fn task<'a>(&'a self, segment: &'a OwnedSegment) -> SegmentTask<'a> {
        SegmentTask {
            files: segment.files(),
            next_base_offset: segment.next_base_offset,
            snapshot_offsets: &self.snapshot_offsets,
            setting: self.setting,
            stop: Some(signals::stop()),
        }
    }

    /// What people call it.
    pub(super) fn title(&self) -> String {
        self.dir.name.as_ref().map_or_else(|| path_text(&self.dir.path), ToString::to_string)
    }

    /// Its beginning, its segments, its end, for `threads` threads. The last large segments are cut into parts: there are
    /// no others that these threads could look at meanwhile.
    pub(super) fn tasks(self: Arc<Self>, threads: usize) -> Vec<Task> {
        let of_wanted = |segment: &OwnedSegment| self.only.is_none_or(|only| only == segment.files().base_offset);
        let wanted = self.dir.owned_segments().into_iter().filter(of_wanted);
        let wanted: Vec<_> = wanted.map(Arc::new).collect();
        let first_in_parts = if threads > 1 { wanted.len().saturating_sub(threads) } else { wanted.len() };
        let mut tasks = vec![Task::Begin(Arc::clone(&self))];
        for (at, segment) in wanted.into_iter().enumerate() {
            let parts = if at < first_in_parts { Vec::new() } else { self.parts(&segment, threads) };
            match parts.len() {
                0 => tasks.push(Task::Segment(Arc::clone(&self), segment)),
                count => {
                    tasks.push(Task::Parts(Arc::clone(&segment), count));
                    let part = |range| Task::Part(Arc::clone(&self), Arc::clone(&segment), range);
                    tasks.extend(parts.into_iter().map(part));
                }
            }
        }
        tasks.push(Task::End);
        tasks
    }

    /// The parts in which a segment is looked at; none where it is looked at as a whole. A log that a running broker may
    /// change is not a thing to be put together from parts.
    fn parts(&self, segment: &OwnedSegment, threads: usize) -> Vec<Range<u64>> {
        let size = segment.files().log.and_then(|log| log.facts().ok()).map_or(0, |facts| facts.size_in_bytes);
        match size >= WORTH_PARTS && self.setting.depth > Depth::Quick && !self.setting.is_live() {
            true => parts::ranges(0..size, threads).collect(),
            false => Vec::new(),
        }
    }
}

/// Whether one of its files is not there any more.
fn is_segment_gone(segment: &OwnedSegment) -> bool {
    let SegmentFiles { log, offset_index, time_index, txn_index, .. } = segment.files();
    let files = [log, offset_index, time_index, txn_index];
    files.into_iter().flatten().any(|file| file.facts().is_err_and(|error| is_gone(&error)))
}

/// One piece of work.
pub(super) enum Task {
    /// The tasks up to the end are those of this partition.
    Begin(Arc<Unit>),
    Segment(Arc<Unit>, Arc<OwnedSegment>),
    /// A segment that is looked at in so many parts, which come next.
    Parts(Arc<OwnedSegment>, usize),
    Part(Arc<Unit>, Arc<OwnedSegment>, Range<u64>),
    /// All segments of this partition were handed out.
    End,
    /// Something cannot be looked at.
    Failed(StoreError),
    /// A directory that a running broker has removed.
    Gone(PathBuf),
}

/// What came of it.
pub(super) enum Outcome {
    Begin(Arc<Unit>),
    Judged(Box<JudgedSegment>),
    /// So many parts come next, of which this segment is put together.
    Parts(Arc<OwnedSegment>, usize),
    Part(LogPart),
    End,
    Failed(StoreError),
    Gone(PathBuf),
}

/// What all threads share.
pub(super) struct Workshop {
    pub(super) progress: Progress,
    /// The most that a batch may decompress to, in bytes.
    pub(super) limit: usize,
    /// How many threads there are at most.
    pub(super) threads: usize,
}

impl Workshop {
    /// What one thread owns.
    pub(super) fn worker(&self) -> Worker {
        Worker::one_of(self.threads, self.limit)
    }

    /// Does one piece of work.
    pub(super) fn work(&self, worker: &mut Worker, task: Task) -> Outcome {
        match task {
            Task::Begin(unit) => Outcome::Begin(unit),
            Task::Segment(unit, segment) => self.segment(worker, &unit, &segment),
            Task::Parts(segment, count) => Outcome::Parts(segment, count),
            Task::Part(unit, segment, range) => self.part(worker, &unit, &segment, range),
            Task::End => Outcome::End,
            Task::Failed(error) => Outcome::Failed(error),
            Task::Gone(path) => Outcome::Gone(path),
        }
    }

    /// Looks at a part of a log. What cannot be read is met again, and told, when the parts are put together.
    fn part(&self, worker: &mut Worker, unit: &Unit, segment: &OwnedSegment, range: Range<u64>) -> Outcome {
        let length = range.end - range.start;
        let part = worker.part(&unit.task(segment), range).unwrap_or_else(|_| LogPart::none());
        self.progress.done(length);
        Outcome::Part(part)
    }

    fn segment(&self, worker: &mut Worker, unit: &Unit, segment: &OwnedSegment) -> Outcome {
        let size = if self.progress.is_shown() { segment.files().size_in_bytes().unwrap_or(0) } else { 0 };
        let mut judged = judge(worker, unit, segment);
        // A running broker renames files when it compacts and deletes: what they are called now is asked once.
        if unit.setting.is_live() && (is_segment_gone(segment) || judged.unreadable.iter().any(is_gone)) {
            let listed = PartitionDir::read(&unit.dir.path).ok();
            let again = listed.as_ref().and_then(|dir| {
                let (now, base_offset) = (dir.segments(), segment.files().base_offset);
                let files = now.iter().find(|files| files.base_offset == base_offset && files.log.is_some())?;
                Some(judge(worker, unit, &OwnedSegment::new(files, segment.next_base_offset)))
            });
            match again {
                Some(again) => judged = again,
                None => {
                    let log = segment.files().log.map(NamedFile::path);
                    return Outcome::Gone(log.unwrap_or_else(|| unit.dir.path.clone()));
                }
            }
        }
        self.progress.done(size);
        Outcome::Judged(Box::new(judged))
    }
}

fn judge(worker: &mut Worker, unit: &Unit, segment: &OwnedSegment) -> JudgedSegment {
    worker.judge(&unit.task(segment))
}

/// Whether a file was there and is not any more, or was cut: what a running broker does to the files it deletes.
pub(super) fn is_gone(error: &StoreError) -> bool {
    match error {
        StoreError::Io { source, .. } => source.kind() == std::io::ErrorKind::NotFound,
        StoreError::Shrunk { .. } => true,
        _ => false,
    }
}
