//! Walking a plan's steps backwards: after a finished change, and after one that was interrupted anywhere.
//!
//! First everything is looked at that undoing needs: what is kept, by size and digest, and the files in place. Where
//! something is missing nothing is touched. Then the steps are taken back, what was brought back is read again, and only
//! then the undo data goes.

use std::path::Path;

use super::RepairError;
use super::journal::{Journal, Progress};
use super::kept::{Kept, Obstacle, Record};
use super::plan::{Fingerprint, NewFile, READ_AT_ONCE, Step, digest_of};
use crate::store::StoreError;
use crate::store::write::{FileId, Found, WriteStorage};

/// How the names of files begin that are on their way back; a step's number follows. Brokers pass over them.
const RESTORING_PREFIX: &str = ".kfsck-restoring-";

/// What the file of a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// As it was before the change.
    Before,
    /// What the step makes of it, or on the way between.
    Taken,
    /// Something else.
    Unknown,
}

/// Puts everything back as it was before the change whose undo data is `journal`, and removes that.
///
/// Can be interrupted and taken up again, any number of times.
///
/// Errors: [`RepairError::CannotUndo`] and [`RepairError::BadJournal`] before anything is touched;
/// [`RepairError::NotRestored`]; those of the storage.
pub fn undo(storage: &dyn WriteStorage, journal: &Journal) -> Result<(), RepairError> {
    let progress = journal.progress(storage)?;
    if let Some(record) = progress.record() {
        let states = states(storage, journal, &progress)?;
        if matches!(progress, Progress::Finished(..)) {
            journal.reopen(storage)?;
        }
        take_back(storage, journal, record, &states)?;
        check_restored(storage, journal, record, &states)?;
    }
    journal.discard(storage)
}

/// Whether the change can be undone: what it keeps is whole, and nothing has been changed since.
///
/// Errors: [`RepairError::CannotUndo`], those of the storage.
pub fn check(storage: &dyn WriteStorage, journal: &Journal, progress: &Progress) -> Result<(), RepairError> {
    states(storage, journal, progress).map(|_| ())
}

/// What the file of each step is, if all of them can be taken back.
fn states(storage: &dyn WriteStorage, journal: &Journal, progress: &Progress) -> Result<Vec<State>, RepairError> {
    let (record, ids) = match progress {
        Progress::Finished(record, ids) => (record, Some(ids)),
        Progress::Interrupted(record) => (record, None),
        Progress::Prepared | Progress::Discarding => return Ok(Vec::new()),
    };
    let (mut states, mut obstacles) = (Vec::new(), Vec::new());
    for (at, (step, kept)) in record.plan.steps.iter().zip(&record.kept).enumerate() {
        let path = journal.kept_file(at, step);
        let trouble = match kept {
            Some(kept) => kept.trouble(storage, &path)?,
            None => None,
        };
        let is_as_left = match (ids.and_then(|ids| ids.get(at)), storage.look(step.file())?) {
            (Some(Some(then)), Found::File(now)) => is_unchanged(then, &now),
            _ => false,
        };
        let between = if ids.is_none() && trouble.is_none() { Some(path.as_path()) } else { None };
        let state = match is_as_left {
            true => State::Taken,
            false => state_of(storage, step, kept.as_ref(), between)?,
        };
        match (state, trouble) {
            (State::Unknown, trouble) => {
                obstacles.push(newer_or_changed(storage, journal, step.file())?);
                obstacles.extend(trouble);
            }
            (State::Taken, trouble) => obstacles.extend(trouble),
            // Nothing has to be brought back.
            (State::Before, _) => {}
        }
        states.push(state);
    }
    obstacles.extend(record.written_since(storage)?);
    obstacles.sort_by_key(|obstacle| !matches!(obstacle, Obstacle::NewerChanges { .. }));
    match obstacles.is_empty() {
        true => Ok(states),
        false => Err(RepairError::CannotUndo { undo_dir: journal.dir.clone(), obstacles }),
    }
}

/// Whether a file has surely not been touched since: then it need not be read.
fn is_unchanged(then: &FileId, now: &FileId) -> bool {
    FileId { links: now.links, ..*then } == *now
}

/// What the file of a step is, by size and digest. `between` is the kept file where the change may have been interrupted:
/// then part of it may be back already.
fn state_of(
    storage: &dyn WriteStorage,
    step: &Step,
    kept: Option<&Kept>,
    between: Option<&Path>,
) -> Result<State, StoreError> {
    let file = step.file();
    let now = match storage.look(file)? {
        Found::File(now) => now,
        Found::Other => return Ok(State::Unknown),
        Found::Nothing => {
            return Ok(match step {
                Step::Remove { .. } => State::Taken,
                Step::Replace { old: None, .. } => State::Before,
                Step::Replace { .. } | Step::CutTail { .. } => State::Unknown,
            });
        }
    };
    let has = |from: u64, to: u64, digest: &str| -> Result<bool, StoreError> {
        Ok(now.size_in_bytes == to && digest_of(storage, file, from, to)? == digest)
    };
    match (step, kept) {
        (Step::Replace { new: NewFile { size_in_bytes, digest, .. }, .. }, kept) => {
            if let Some(kept) = kept
                && has(0, kept.size_in_bytes, &kept.digest)?
            {
                return Ok(State::Before);
            }
            Ok(if has(0, *size_in_bytes, digest)? { State::Taken } else { State::Unknown })
        }
        (Step::Remove { .. }, Some(kept)) => {
            Ok(if has(0, kept.size_in_bytes, &kept.digest)? { State::Before } else { State::Unknown })
        }
        (Step::CutTail { old, to, .. }, Some(kept)) => {
            let is_between = (*to..=old.id.size_in_bytes).contains(&now.size_in_bytes);
            if !is_between || kept.head_digest.as_ref() != Some(&digest_of(storage, file, 0, *to)?) {
                return Ok(State::Unknown);
            }
            if has(*to, old.id.size_in_bytes, &kept.digest)? {
                return Ok(State::Before);
            }
            let is_taken = match between {
                _ if now.size_in_bytes == *to => true,
                Some(kept_file) => is_partly_back(storage, file, *to, now.size_in_bytes, kept_file)?,
                None => false,
            };
            Ok(if is_taken { State::Taken } else { State::Unknown })
        }
        (Step::Remove { .. } | Step::CutTail { .. }, None) => Ok(State::Unknown),
    }
}

/// Whether behind `to` there is nothing but what is kept, and zeros where that has not been written yet.
fn is_partly_back(
    storage: &dyn WriteStorage,
    file: &Path,
    to: u64,
    size_in_bytes: u64,
    kept_file: &Path,
) -> Result<bool, StoreError> {
    let mut at = to;
    while at < size_in_bytes {
        let there = storage.read_at(file, at, READ_AT_ONCE)?;
        let kept = storage.read_at(kept_file, at - to, there.len())?;
        let is_of_both = |(there, kept): (&u8, &u8)| there == kept || *there == 0;
        if there.is_empty() || there.len() != kept.len() || !there.iter().zip(&kept).all(is_of_both) {
            return Ok(false);
        }
        at += there.len() as u64;
    }
    Ok(true)
}

/// Why a file is not what the change has left: newer changes of the partition, or of others in the log dir, have changed
/// it again, or somebody else has.
fn newer_or_changed(storage: &dyn WriteStorage, journal: &Journal, file: &Path) -> Result<Obstacle, RepairError> {
    let partition = journal.dir.parent().unwrap_or(Path::new(""));
    let mut partitions = vec![partition.to_owned()];
    if file.parent() != Some(partition)
        && let Some(log_dir) = file.parent()
    {
        partitions.extend(storage.list(log_dir)?.into_iter().map(|name| log_dir.join(name)));
    }
    let mut newer: Vec<Journal> = Vec::new();
    for dir in partitions {
        if storage.look(&dir)? == Found::Other {
            newer.extend(Journal::all_in(storage, &dir).unwrap_or_default());
        }
    }
    let changes_it = |record: &Record| record.plan.steps.iter().any(|step| step.file() == file);
    newer.retain(|other| {
        other.dir.file_name() > journal.dir.file_name()
            && other.progress(storage).is_ok_and(|progress| progress.record().is_some_and(changes_it))
    });
    let mut undo_dirs: Vec<_> = newer.into_iter().map(|other| other.dir).collect();
    undo_dirs.sort_by(|a, b| b.file_name().cmp(&a.file_name()));
    undo_dirs.dedup();
    Ok(match undo_dirs.is_empty() {
        true => Obstacle::Changed(file.to_owned()),
        false => Obstacle::NewerChanges { file: file.to_owned(), undo_dirs },
    })
}

fn take_back(
    storage: &dyn WriteStorage,
    journal: &Journal,
    record: &Record,
    states: &[State],
) -> Result<(), RepairError> {
    for (at, (step, state)) in record.plan.steps.iter().zip(states).enumerate().rev() {
        let kept = journal.kept_file(at, step);
        match step {
            Step::Replace { file, old: Some(old), .. } | Step::Remove { file, old } => {
                put_in_place(storage, &kept, file, at, *state)?;
                set_meta(storage, file, old)?;
            }
            Step::Replace { file, old: None, .. } => {
                if storage.look(file)? != Found::Nothing {
                    storage.remove(file)?;
                }
            }
            Step::CutTail { file, old, to } => {
                if *state == State::Taken {
                    storage.paste_tail(&kept, file, *to)?;
                }
                storage.set_meta(file, &old.id.meta)?;
                storage.sync(file)?;
            }
        }
        if let Some(dir) = step.file().parent() {
            storage.sync_dir(dir)?;
        }
    }
    Ok(())
}

/// Puts the file `kept` in the place of `file`, if it is not there already, and leaves its other name: a system that
/// crashes may remember that a name has gone from one directory and forget that it has come to another.
fn put_in_place(
    storage: &dyn WriteStorage,
    kept: &Path,
    file: &Path,
    at: usize,
    state: State,
) -> Result<(), RepairError> {
    let dir = file.parent().unwrap_or(Path::new("."));
    let beside = dir.join(format!("{RESTORING_PREFIX}{at}"));
    if storage.look(&beside)? != Found::Nothing {
        storage.remove(&beside)?;
    }
    if state == State::Before {
        return Ok(());
    }
    storage.link(kept, &beside)?;
    storage.sync_dir(dir)?;
    Ok(storage.rename(&beside, file)?)
}

/// A kept file that was copied may have lost owner, mode and time.
fn set_meta(storage: &dyn WriteStorage, file: &Path, old: &Fingerprint) -> Result<(), RepairError> {
    if matches!(storage.look(file)?, Found::File(now) if now.meta != old.id.meta) {
        storage.set_meta(file, &old.id.meta)?;
        storage.sync(file)?;
    }
    Ok(())
}

/// Reads what was brought back: it must be what it was.
fn check_restored(
    storage: &dyn WriteStorage,
    journal: &Journal,
    record: &Record,
    states: &[State],
) -> Result<(), RepairError> {
    for ((step, kept), state) in record.plan.steps.iter().zip(&record.kept).zip(states) {
        if state_of(storage, step, kept.as_ref(), None)? != State::Before {
            if let (Step::CutTail { file, to, .. }, State::Taken) = (step, state) {
                // What was written wrongly must not be taken for somebody's records the next time.
                storage.cut(file, *to)?;
                storage.sync(file)?;
            }
            let (path, undo_dir) = (step.file().to_owned(), journal.dir.clone());
            return Err(RepairError::NotRestored { path, undo_dir });
        }
    }
    Ok(())
}
