//! Walking a plan's steps backwards: after a finished change, and after one that was interrupted anywhere.

use std::path::Path;

use super::RepairError;
use super::journal::{Journal, Progress};
use super::plan::{Fingerprint, NewFile, Plan, Step, digest};
use crate::store::write::{FileId, Found, WriteStorage};

/// How the names of files begin that are on their way back; a step's number follows. Brokers pass over them.
const RESTORING_PREFIX: &str = ".kfsck-restoring-";

/// Puts everything back as it was before the change whose undo data is `journal`, and removes that.
///
/// Can be interrupted and taken up again, any number of times.
///
/// Errors: [`RepairError::Changed`] where a file is neither what the change made of it nor what it was before: then
/// nothing is touched. Those of the storage.
pub fn undo(storage: &dyn WriteStorage, journal: &Journal) -> Result<(), RepairError> {
    match journal.progress(storage)? {
        Progress::Prepared => return journal.discard(storage),
        Progress::Finished(plan, after) => {
            check_untouched(storage, &plan, &after)?;
            journal.reopen(storage)?;
            take_back(storage, &plan, journal)?;
        }
        Progress::Interrupted(plan) => {
            for step in &plan.steps {
                if !is_known_state(storage, step)? {
                    return Err(RepairError::Changed { path: step.file().to_owned() });
                }
            }
            take_back(storage, &plan, journal)?;
        }
    }
    journal.discard(storage)
}

/// Whether the change can be undone: nothing has been changed since.
///
/// Errors: [`RepairError::Changed`], those of the storage.
pub fn check_untouched(
    storage: &dyn WriteStorage,
    plan: &Plan,
    after: &[Option<Fingerprint>],
) -> Result<(), RepairError> {
    for (step, after) in plan.steps.iter().zip(after) {
        let now = Fingerprint::of(storage, step.file())?;
        let is_same = match (after, &now) {
            (Some(after), Some(now)) => after.is_still(now),
            (None, None) => true,
            _ => false,
        };
        if !is_same {
            return Err(RepairError::Changed { path: step.file().to_owned() });
        }
    }
    Ok(())
}

/// Whether the file of a step is what it was before, or what the step makes of it, or on the way between.
fn is_known_state(storage: &dyn WriteStorage, step: &Step) -> Result<bool, RepairError> {
    let Found::File(now) = storage.look(step.file())? else {
        // A file that is not there: the step has removed it, or not made it yet.
        return Ok(match step {
            Step::Remove { .. } => true,
            Step::Replace { old, .. } => old.is_none(),
            Step::CutTail { .. } => false,
        });
    };
    if step.old().is_some_and(|old| is_same_inode(&old.id, &now)) {
        return Ok(match step {
            Step::CutTail { old, to, .. } => (*to..=old.id.size_in_bytes).contains(&now.size_in_bytes),
            _ => true,
        });
    }
    let is_new = |new: &NewFile| -> Result<bool, RepairError> {
        Ok(new.size_in_bytes == now.size_in_bytes && digest(&storage.read_from(step.file(), 0)?) == new.digest)
    };
    match step {
        Step::Replace { new, .. } => is_new(new),
        Step::Remove { .. } | Step::CutTail { .. } => Ok(false),
    }
}

fn is_same_inode(a: &FileId, b: &FileId) -> bool {
    (a.device, a.inode) == (b.device, b.inode)
}

fn take_back(storage: &dyn WriteStorage, plan: &Plan, journal: &Journal) -> Result<(), RepairError> {
    for (at, step) in plan.steps.iter().enumerate().rev() {
        let kept = journal.kept_file(at, step);
        match step {
            Step::Replace { file, old: Some(old), .. } | Step::Remove { file, old } => {
                let is_back = |found| matches!(found, Found::File(now) if is_same_inode(&old.id, &now));
                if storage.look(&kept)? != Found::Nothing && !is_back(storage.look(file)?) {
                    put_in_place(storage, &kept, file, at)?;
                }
                if !is_back(storage.look(file)?) {
                    return Err(RepairError::Changed { path: file.clone() });
                }
            }
            Step::Replace { file, old: None, .. } => {
                if storage.look(file)? != Found::Nothing {
                    storage.remove(file)?;
                }
            }
            Step::CutTail { file, old, to } => {
                if storage.look(&kept)? != Found::Nothing {
                    storage.paste_tail(&kept, file, *to)?;
                    storage.set_meta(file, &old.id.meta)?;
                    storage.sync(file)?;
                }
            }
        }
        if let Some(dir) = step.file().parent() {
            storage.sync_dir(dir)?;
        }
    }
    Ok(())
}

/// Puts the file `kept` in the place of `file`, and leaves its other name: a system that crashes may remember that a
/// name has gone from one directory and forget that it has come to another.
fn put_in_place(storage: &dyn WriteStorage, kept: &Path, file: &Path, at: usize) -> Result<(), RepairError> {
    let dir = file.parent().unwrap_or(Path::new("."));
    let beside = dir.join(format!("{RESTORING_PREFIX}{at}"));
    if storage.look(&beside)? != Found::Nothing {
        storage.remove(&beside)?;
    }
    storage.link(kept, &beside)?;
    storage.sync_dir(dir)?;
    Ok(storage.rename(&beside, file)?)
}
