//! Change: plans are plain data, applied and undone by one interpreter that walks their steps forwards or backwards.
//!
//! [`plan`] says what a change is, [`journal`] keeps the undo data, [`apply`] and [`undo`] walk the steps.
//! Only here is anything handed a [`WriteStorage`](crate::store::write::WriteStorage).

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::unreachable)
)]

pub mod apply;
pub mod divergence;
pub mod journal;
pub mod plan;
pub mod rebuild;
pub mod truncate;
pub mod undo;

use std::path::PathBuf;

use crate::store::StoreError;

/// Why nothing was changed, or not everything.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// The storage refused or failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file is not what it was when the plan was made, or when the change was finished.
    #[error("{} has changed since", .path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A log that is to be cut has a second name, so that cutting would change that copy too.
    #[error("{} has {links} names (hard links): cutting it would change them all", .path.display())]
    HardLinked {
        /// The file.
        path: PathBuf,
        /// How many names it has.
        links: u64,
    },
    /// The undo data does not fit.
    #[error("{needed} bytes are needed for undo data and new files in {}, {free} are free", .dir.display())]
    NoSpace {
        /// Where.
        dir: PathBuf,
        /// How many bytes are needed.
        needed: u64,
        /// How many there are.
        free: u64,
    },
    /// No broker starts with another directory in its log dir.
    #[error("{} is a log dir: no broker would start with undo data in it", .dir.display())]
    UndoDirInLogDir {
        /// The directory.
        dir: PathBuf,
    },
    /// An earlier change was interrupted.
    #[error("an earlier change was interrupted: {}", .undo_dir.display())]
    Unfinished {
        /// Its undo data.
        undo_dir: PathBuf,
    },
    /// The undo data cannot be read.
    #[error("the undo data in {} cannot be read: {why}", .undo_dir.display())]
    BadJournal {
        /// The undo data.
        undo_dir: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// What was done did not bring what it should; it was taken back.
    #[error("taken back: {why}")]
    TakenBack {
        /// What was seen.
        why: String,
    },
    /// The user has stopped it.
    #[error("stopped; what was done is taken back")]
    Stopped,
    /// It failed, and so did taking it back.
    #[error("{failure}; taking it back failed too: {taking_back}")]
    Stuck {
        /// Why it failed.
        failure: Box<RepairError>,
        /// Why it could not be taken back.
        taking_back: Box<RepairError>,
    },
}

impl RepairError {
    /// What to do next, where there is something to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Store(error) => error.hint(),
            Self::Changed { .. } => Some("nothing was touched; look at it again and make a new plan".to_owned()),
            Self::HardLinked { path, .. } => Some(format!(
                "give the partition a log of its own first: cp it aside and rename it over {}",
                path.display()
            )),
            Self::UndoDirInLogDir { .. } => Some("give a directory elsewhere with --undo-dir".to_owned()),
            Self::NoSpace { .. } => Some("free some, or give another place with --undo-dir".to_owned()),
            Self::Unfinished { undo_dir } | Self::BadJournal { undo_dir, .. } => {
                Some(format!("roll it back first: kfsck undo --apply {}", undo_dir.display()))
            }
            Self::Stopped => None,
            Self::TakenBack { .. } => Some("everything is as it was before".to_owned()),
            Self::Stuck { .. } => Some("try kfsck undo --apply once the cause is mended".to_owned()),
        }
    }
}
