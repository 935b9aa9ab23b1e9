//! What the threads do: one segment after the other.

use std::path::PathBuf;
use std::sync::Arc;

use super::super::progress::Progress;
use super::super::signals;
use crate::check::Setting;
use crate::check::partition::Surroundings;
use crate::check::segment::{JudgedSegment, SegmentTask, Worker};
use crate::format::Offset;
use crate::format::file_name::{FileKind, FileState};
use crate::report::row::path_text;
use crate::store::partition::{OwnedSegment, PartitionDir, SegmentFiles};
use crate::store::{NamedFile, StoreError};

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

    /// What people call it.
    pub(super) fn title(&self) -> String {
        self.dir.name.as_ref().map_or_else(|| path_text(&self.dir.path), ToString::to_string)
    }

    /// Its beginning, its segments, its end.
    pub(super) fn tasks(self: Arc<Self>) -> Vec<Task> {
        let of_wanted = |segment: &OwnedSegment| self.only.is_none_or(|only| only == segment.files().base_offset);
        let wanted = self.dir.owned_segments().into_iter().filter(of_wanted);
        let segments = wanted.map(|segment| Task::Segment(Arc::clone(&self), Box::new(segment)));
        [Task::Begin(Arc::clone(&self))].into_iter().chain(segments).chain([Task::End]).collect()
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
    Segment(Arc<Unit>, Box<OwnedSegment>),
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
            Task::End => Outcome::End,
            Task::Failed(error) => Outcome::Failed(error),
            Task::Gone(path) => Outcome::Gone(path),
        }
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
    worker.judge(&SegmentTask {
        files: segment.files(),
        next_base_offset: segment.next_base_offset,
        snapshot_offsets: &unit.snapshot_offsets,
        setting: unit.setting,
        stop: Some(signals::stop()),
    })
}

/// Whether a file was there and is not any more, or was cut: what a running broker does to the files it deletes.
pub(super) fn is_gone(error: &StoreError) -> bool {
    match error {
        StoreError::Io { source, .. } => source.kind() == std::io::ErrorKind::NotFound,
        StoreError::Shrunk { .. } => true,
        _ => false,
    }
}
