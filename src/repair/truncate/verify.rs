//! Whether a cut has brought what it should: the checks find nothing new, and the next start reports the planned end.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Around, TruncateError, Truncation};
use crate::check::log_dir::LogDirFacts;
use crate::check::partition::{PartitionCheck, Surroundings};
use crate::check::segment::{JudgedSegment, SegmentTask, Worker};
use crate::check::{Depth, Finding, Id, Setting, Severity};
use crate::format::Offset;
use crate::format::compression::DEFAULT_LIMIT;
use crate::format::file_name::{FileKind, FileState};
use crate::repair::plan::Step;
use crate::scan::checkpoints::Checkpoints;
use crate::scan::start::{StartConditions, predict};
use crate::store::partition::PartitionDir;
use crate::store::write::{Found, WriteStorage};
use crate::store::{NamedFile, StoreError};

/// The errors that the checks find in the partition at `path`.
///
/// Errors: something could not be looked at.
pub fn errors(path: &Path, around: &Around, clean_shutdown: bool) -> Result<Vec<Finding>, StoreError> {
    errors_by(path, around, clean_shutdown, |worker, task| worker.judge(task))
}

/// The same; `judge` looks at each segment, in order.
fn errors_by(
    path: &Path,
    around: &Around,
    clean_shutdown: bool,
    mut judge: impl FnMut(&mut Worker, &SegmentTask<'_>) -> JudgedSegment,
) -> Result<Vec<Finding>, StoreError> {
    let dir = PartitionDir::read(path)?;
    let facts = around.log_dir.as_deref().map(LogDirFacts::read);
    let surroundings = facts.as_ref().map(|facts| Surroundings::of(&dir, facts)).unwrap_or_default();
    let setting = Setting { policy: around.policy, depth: Depth::Checksums, clean_shutdown };
    let snapshots = dir.files.iter().filter(|file| file.name.kind == FileKind::ProducerSnapshot);
    let snapshots = snapshots.filter(|file| file.name.state == FileState::Live);
    let snapshot_offsets: Vec<_> = snapshots.filter_map(|file| file.name.base_offset).collect();
    let segments = dir.segments();
    let mut check = PartitionCheck::new(&dir, surroundings, setting);
    let mut worker = Worker::new(DEFAULT_LIMIT);
    for (at, files) in segments.iter().enumerate() {
        let mut later = segments.iter().skip(at + 1).filter(|later| later.log.is_some());
        let next_base_offset = later.next().map(|next| next.base_offset);
        let task = SegmentTask {
            files: *files,
            next_base_offset,
            snapshot_offsets: &snapshot_offsets,
            setting,
            stop: around.stop,
        };
        check.take(judge(&mut worker, &task));
    }
    let report = check.finish();
    if let Some(error) = report.unreadable.into_iter().next() {
        return Err(error);
    }
    Ok(report.findings.into_vec().into_iter().filter(|finding| finding.severity == Severity::Error).collect())
}

/// A segment that the cut leaves alone, as it was judged before.
#[derive(Debug)]
struct Kept {
    next_base_offset: Option<Offset>,
    /// What its log and its indexes were.
    files: Vec<Found>,
    judged: JudgedSegment,
}

/// What is known of a partition before it is cut, to hold against it what is there afterwards.
#[derive(Debug)]
pub struct Before {
    known: Vec<(Id, PathBuf)>,
    clean_shutdown: bool,
    kept: BTreeMap<Offset, Kept>,
}

impl Before {
    /// Looks at the partition that is to be cut, and tells `seen` how many bytes of logs that were.
    ///
    /// Errors: something could not be looked at; [`TruncateError::Stopped`].
    pub fn look(
        storage: &dyn WriteStorage,
        cut: &Truncation,
        around: &Around,
        clean_shutdown: bool,
        seen: &dyn Fn(u64),
    ) -> Result<Self, TruncateError> {
        let mut kept = BTreeMap::new();
        let mut stopped = false;
        let known = errors_by(&cut.plan.partition, around, clean_shutdown, |worker, task| {
            let files = found(storage, task);
            let judged = worker.judge(task);
            stopped |= judged.stopped;
            seen(judged.facts.size_in_bytes);
            let is_changed = |file: PathBuf| cut.plan.steps.iter().any(|step| step.file() == file);
            if let Ok(files) = files
                && !paths(task).any(is_changed)
            {
                let next_base_offset = task.next_base_offset;
                kept.insert(task.files.base_offset, Kept { next_base_offset, files, judged: judged.copied() });
            }
            judged
        })?;
        if stopped {
            return Err(TruncateError::Stopped);
        }
        let known = known.into_iter().map(|finding| (finding.id, finding.path)).collect();
        Ok(Self { known, clean_shutdown, kept })
    }

    /// Looks at the partition that was cut: at what was changed, and at what is another file than before. What is
    /// returned are errors that were there before.
    ///
    /// Errors: what is wrong, in words.
    pub fn hold_against(
        &mut self,
        storage: &dyn WriteStorage,
        cut: &Truncation,
        around: &Around,
    ) -> Result<Vec<Finding>, String> {
        let Self { known, clean_shutdown, kept } = self;
        // What is left is short, and half a look would tell nothing.
        let around = &Around { stop: None, ..around.clone() };
        let left = errors_by(&cut.plan.partition, around, *clean_shutdown, |worker, task| {
            let before = kept.remove(&task.files.base_offset);
            let is_still = |before: &Kept| {
                before.next_base_offset == task.next_base_offset
                    && found(storage, task).is_ok_and(|files| files == before.files)
            };
            match before.filter(is_still) {
                Some(before) => before.judged,
                None => worker.judge(task),
            }
        });
        let left = left.map_err(|error| error.to_string())?;
        let is_new = |finding: &&Finding| !known.iter().any(|known| *known == (finding.id, finding.path.clone()));
        if let Some(finding) = left.iter().find(is_new) {
            return Err(format!("the cut would leave {} in {}", finding.id.name(), finding.path.display()));
        }
        start_reports(cut, around)?;
        Ok(left)
    }
}

/// The files that a segment is judged by.
fn paths<'a>(task: &SegmentTask<'a>) -> impl Iterator<Item = PathBuf> + use<'a> {
    let files = task.files;
    [files.log, files.offset_index, files.time_index, files.txn_index].into_iter().flatten().map(NamedFile::path)
}

/// What tells whether these files are still the same, with the same content.
fn found(storage: &dyn WriteStorage, task: &SegmentTask<'_>) -> Result<Vec<Found>, StoreError> {
    paths(task).map(|path| storage.look(&path)).collect()
}

/// Whether the next start after an orderly stop reports the planned log end. Where it is kept from starting by a file
/// that the cut has not written, it would have been before as well.
fn start_reports(cut: &Truncation, around: &Around) -> Result<(), String> {
    let dir = PartitionDir::read(&cut.plan.partition).map_err(|error| error.to_string())?;
    let mut conditions = StartConditions::new(true, around.now_ms);
    if let (Some(log_dir), Some(name)) = (&around.log_dir, &dir.name) {
        let checkpointed = Checkpoints::read(log_dir).of(name);
        conditions.log_start_offset = checkpointed.log_start_offset;
        conditions.recovery_point = checkpointed.recovery_point;
    }
    let outcome = predict(&dir, conditions, around.policy).map_err(|error| error.to_string())?;
    match outcome.refusal {
        Some(refusal) => {
            let file = dir.path.join(&refusal.file);
            let is_ours = |step: &Step| matches!(step, Step::Replace { .. }) && step.file() == file;
            match cut.plan.steps.iter().any(is_ours) {
                true => Err(format!("a broker would not start: {}: {}", file.display(), refusal.why)),
                false => Ok(()),
            }
        }
        None if outcome.log_end_offset != cut.log_end_offset => {
            let (planned, told) = (cut.log_end_offset, outcome.log_end_offset);
            Err(format!("a broker would report the log end {told}, planned is {planned}"))
        }
        None => Ok(()),
    }
}
