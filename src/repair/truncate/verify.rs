//! Whether a cut has brought what it should: the checks find nothing new, and the next start reports the planned end.

use std::path::{Path, PathBuf};

use super::{Around, Truncation};
use crate::check::log_dir::LogDirFacts;
use crate::check::partition::{PartitionCheck, Surroundings};
use crate::check::segment::{SegmentTask, Worker};
use crate::check::{Depth, Finding, Id, Setting, Severity};
use crate::format::compression::DEFAULT_LIMIT;
use crate::format::file_name::{FileKind, FileState};
use crate::repair::plan::Step;
use crate::scan::checkpoints::Checkpoints;
use crate::scan::start::{StartConditions, predict};
use crate::store::StoreError;
use crate::store::partition::PartitionDir;

/// The errors that the checks find in the partition at `path`.
///
/// Errors: something could not be looked at.
pub fn errors(path: &Path, around: &Around, clean_shutdown: bool) -> Result<Vec<Finding>, StoreError> {
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
        check.take(worker.judge(&SegmentTask {
            files: *files,
            next_base_offset: later.next().map(|next| next.base_offset),
            snapshot_offsets: &snapshot_offsets,
            setting,
            stop: None,
        }));
    }
    let report = check.finish();
    if let Some(error) = report.unreadable.into_iter().next() {
        return Err(error);
    }
    Ok(report.findings.into_vec().into_iter().filter(|finding| finding.severity == Severity::Error).collect())
}

/// What is known of a partition before it is cut, to hold against it what is there afterwards.
#[derive(Debug)]
pub struct Before {
    known: Vec<(Id, PathBuf)>,
    clean_shutdown: bool,
}

impl Before {
    /// Looks at the partition that is to be cut.
    ///
    /// Errors: something could not be looked at.
    pub fn look(path: &Path, around: &Around, clean_shutdown: bool) -> Result<Self, StoreError> {
        let known = errors(path, around, clean_shutdown)?.into_iter().map(|finding| (finding.id, finding.path));
        Ok(Self { known: known.collect(), clean_shutdown })
    }

    /// Looks at the partition that was cut. What is returned are errors that were there before.
    ///
    /// Errors: what is wrong, in words.
    pub fn hold_against(&self, cut: &Truncation, around: &Around) -> Result<Vec<Finding>, String> {
        let path = &cut.plan.partition;
        let left = errors(path, around, self.clean_shutdown).map_err(|error| error.to_string())?;
        let is_new = |finding: &&Finding| !self.known.iter().any(|known| *known == (finding.id, finding.path.clone()));
        if let Some(finding) = left.iter().find(is_new) {
            return Err(format!("the cut would leave {} in {}", finding.id.name(), finding.path.display()));
        }
        start_reports(cut, around)?;
        Ok(left)
    }
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
