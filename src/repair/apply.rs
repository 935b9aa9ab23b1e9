//! Walking a plan's steps forwards.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::RepairError;
use super::journal::{Journal, Progress};
use super::plan::{Fingerprint, Plan, Step};
use super::undo;
use crate::store::StoreError;
use crate::store::write::{Found, WriteStorage};

/// What is left free beside what a change needs, in bytes: directory entries, the record of the plan.
const SPARE_BYTES: u64 = 1 << 20;

/// Does what `plan` says and keeps the undo data in `journal`. `verify` looks at the result before it counts as done and
/// says what is wrong with it. `stop` can be set from outside, to end it before the next step.
///
/// The caller holds the log dir's lock. Where anything fails, everything is taken back.
///
/// Errors: all of [`RepairError`]; but for [`RepairError::Stuck`] nothing is changed then.
pub fn apply(
    storage: &dyn WriteStorage,
    plan: &Plan,
    journal: &Journal,
    stop: Option<&AtomicBool>,
    verify: &mut dyn FnMut() -> Result<(), String>,
) -> Result<(), RepairError> {
    journal.is_about_its_partition(plan)?;
    refuse_if_unfinished(storage, &plan.partition)?;
    check_preconditions(storage, plan, journal)?;
    let done =
        journal.prepare(storage, plan, stop).and_then(|()| take_steps(storage, plan, journal, stop)).and_then(|()| {
            verify().map_err(|why| RepairError::TakenBack { why })?;
            let now = plan.steps.iter().map(|step| match storage.look(step.file())? {
                Found::File(id) => Ok(Some(id)),
                Found::Nothing | Found::Other => Ok(None),
            });
            let now = now.collect::<Result<Vec<_>, StoreError>>()?;
            journal.finish(storage, &now)
        });
    let Err(failure) = done else { return Ok(()) };
    match undo::undo(storage, journal) {
        Ok(()) => Err(failure),
        Err(taking_back) => Err(RepairError::Stuck { failure: Box::new(failure), taking_back: Box::new(taking_back) }),
    }
}

/// Refuses as long as an earlier change to the partition is half done.
///
/// Errors: [`RepairError::Unfinished`], [`RepairError::BadJournal`], those of the storage.
pub fn refuse_if_unfinished(storage: &dyn WriteStorage, partition: &Path) -> Result<(), RepairError> {
    for earlier in Journal::all_in(storage, partition)? {
        if matches!(earlier.progress(storage)?, Progress::Prepared | Progress::Interrupted(_)) {
            return Err(RepairError::Unfinished { undo_dir: earlier.dir });
        }
    }
    Ok(())
}

fn check_preconditions(storage: &dyn WriteStorage, plan: &Plan, journal: &Journal) -> Result<(), RepairError> {
    if plan.partition.to_str().is_none() {
        return Err(RepairError::Unnameable { path: plan.partition.clone() });
    }
    for source in &plan.made_from {
        if Fingerprint::of(storage, &source.file)?.as_ref() != Some(&source.was) {
            return Err(RepairError::Changed { path: source.file.clone() });
        }
    }
    let (mut new_bytes, mut cut_bytes) = (SPARE_BYTES, 0u64);
    for step in &plan.steps {
        let now = Fingerprint::of(storage, step.file())?;
        if now.as_ref() != step.old() {
            return Err(RepairError::Changed { path: step.file().to_owned() });
        }
        match step {
            Step::Replace { new, .. } => new_bytes = new_bytes.saturating_add(new.size_in_bytes),
            Step::Remove { .. } => {}
            Step::CutTail { file, old, to } => {
                if old.id.links > 1 {
                    return Err(RepairError::HardLinked { path: file.clone(), links: old.id.links });
                }
                cut_bytes = cut_bytes.saturating_add(old.id.size_in_bytes.saturating_sub(*to));
            }
        }
    }
    if journal.tails() == journal.dir {
        return has_room(storage, &journal.dir, new_bytes.saturating_add(cut_bytes));
    }
    has_room(storage, &journal.dir, new_bytes)?;
    has_room(storage, journal.tails(), cut_bytes)
}

/// Whether `needed` bytes can be written to `dir`, which is to be made.
fn has_room(storage: &dyn WriteStorage, dir: &Path, needed: u64) -> Result<(), RepairError> {
    let dir = dir.parent().unwrap_or(Path::new("."));
    let free = storage.free_bytes(dir)?;
    if free < needed {
        return Err(RepairError::NoSpace { dir: dir.to_owned(), needed, free });
    }
    Ok(())
}

fn take_steps(
    storage: &dyn WriteStorage,
    plan: &Plan,
    journal: &Journal,
    stop: Option<&AtomicBool>,
) -> Result<(), RepairError> {
    for (at, step) in plan.steps.iter().enumerate() {
        if stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
            return Err(RepairError::Stopped);
        }
        match step {
            Step::Replace { file, .. } => storage.rename(&journal.new_file(at), file)?,
            Step::Remove { file, .. } => storage.remove(file)?,
            Step::CutTail { file, old, to } => {
                storage.cut(file, *to)?;
                // When a log was last changed is data: brokers look records up by it where a time index is empty.
                storage.set_meta(file, &old.id.meta)?;
                storage.sync(file)?;
            }
        }
        // One step lasts before the next begins, so that the order of steps is the order on the disk.
        if let Some(dir) = step.file().parent() {
            storage.sync_dir(dir)?;
        }
    }
    Ok(())
}
