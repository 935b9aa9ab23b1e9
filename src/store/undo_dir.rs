//! Directories with undo data: how they are called, and what tells how far the change in them has come.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use super::read_small;

/// How the names of undo directories begin; the time in UTC follows.
pub const UNDO_DIR_PREFIX: &str = ".kfsck-undo-";
/// The plan: with it a change may have begun.
pub const PLAN: &str = "plan";
/// What is there until a change begins.
pub const PREPARING: &str = "preparing";
/// What is there once all of it is done.
pub const FINISHED: &str = "finished";
/// What is there once nothing of the undo data is needed any more.
pub const DISCARDING: &str = "discarding";

/// The largest plan that is read, in bytes.
const LARGEST_PLAN: u64 = 64 << 20;

/// How far a change has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UndoState {
    /// Nothing was changed: the undo data was not complete.
    Prepared,
    /// Some of it may be done, forwards or backwards.
    Interrupted,
    /// All of it was done.
    Finished,
    /// It was taken back, or is to stay: the undo data is being removed.
    Discarding,
    /// Nobody can tell: there is no plan.
    PlanMissing,
}

/// Whether `dir` is called like a directory with undo data, whichever way it is spelled.
pub fn is_undo_dir(dir: &Path) -> bool {
    let is_so = |dir: &Path| {
        dir.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(UNDO_DIR_PREFIX.as_bytes()))
    };
    // `.` and `..` have no name of their own.
    is_so(dir) || (dir.file_name().is_none() || dir.ends_with(".")) && dir.canonicalize().is_ok_and(|real| is_so(&real))
}

/// How far the change has come in whose undo data there are these files.
pub fn state_of(names: &[OsString]) -> UndoState {
    let has = |wanted: &str| names.iter().any(|name| name == wanted);
    match (has(PLAN), has(FINISHED)) {
        _ if has(DISCARDING) => UndoState::Discarding,
        _ if has(PREPARING) || names.is_empty() => UndoState::Prepared,
        (false, _) => UndoState::PlanMissing,
        (true, false) => UndoState::Interrupted,
        (true, true) => UndoState::Finished,
    }
}

/// How far the change has come whose undo data is in `dir`.
pub fn undo_state(dir: &Path) -> UndoState {
    let names = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.file_name());
    state_of(&names.collect::<Vec<_>>())
}

/// The command whose change it is, as far as that can be read.
pub fn undo_action(dir: &Path) -> Option<String> {
    let plan: serde_json::Value = serde_json::from_slice(&read_small(&dir.join(PLAN), LARGEST_PLAN).ok()?).ok()?;
    plan.get("change")?.get("plan")?.get("action")?.as_str().map(str::to_owned)
}
