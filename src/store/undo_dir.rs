//! Directories with undo data: how they are called, and what tells how far the change in them has come.

use std::path::Path;

use super::read_small;

/// How the names of undo directories begin; the time in UTC follows.
pub const UNDO_DIR_PREFIX: &str = ".kfsck-undo-";
/// The plan: with it a change may have begun.
pub const PLAN: &str = "plan";
/// What is there once all of it is done.
pub const FINISHED: &str = "finished";

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
}

/// How far the change has come whose undo data is in `dir`.
pub fn undo_state(dir: &Path) -> UndoState {
    match (dir.join(PLAN).is_file(), dir.join(FINISHED).is_file()) {
        (false, _) => UndoState::Prepared,
        (true, false) => UndoState::Interrupted,
        (true, true) => UndoState::Finished,
    }
}

/// The command whose change it is, as far as that can be read.
pub fn undo_action(dir: &Path) -> Option<String> {
    let plan: serde_json::Value = serde_json::from_slice(&read_small(&dir.join(PLAN), LARGEST_PLAN).ok()?).ok()?;
    plan.get("plan")?.get("action")?.as_str().map(str::to_owned)
}
