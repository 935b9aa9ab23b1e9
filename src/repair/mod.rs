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
pub mod kept;
pub mod plan;
pub mod rebuild;
pub mod truncate;
pub mod undo;

use std::path::{Path, PathBuf};

use kept::Obstacle;

use crate::store::StoreError;
use crate::store::shell::quoted;

/// The most obstacles that a message names.
const MOST_TOLD: usize = 8;

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
    /// The partition's path is no UTF-8, as the names in undo data are.
    #[error("the name of {} is no UTF-8, and undo data could not name it", .path.display())]
    Unnameable {
        /// The partition.
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
    /// A change cannot be undone as things are. Nothing was touched.
    #[error("{} cannot be undone: {}", .undo_dir.display(), some(.obstacles))]
    CannotUndo {
        /// Its undo data.
        undo_dir: PathBuf,
        /// All that stands against it.
        obstacles: Vec<Obstacle>,
    },
    /// Everything was put back, and some of it is not what it was. The undo data stays.
    #[error("{} is not what it was", .path.display())]
    NotRestored {
        /// The file.
        path: PathBuf,
        /// The undo data.
        undo_dir: PathBuf,
    },
    /// What undo data keeps may be the only copy.
    #[error("{} may keep the only copy of {}", .undo_dir.display(), sizes(.files))]
    OnlyCopy {
        /// The undo data.
        undo_dir: PathBuf,
        /// The files that it keeps, with their sizes in bytes.
        files: Vec<(PathBuf, u64)>,
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
            Self::Unnameable { .. } => {
                Some("nothing was touched; rename the directory, or mount it elsewhere".to_owned())
            }
            Self::HardLinked { path, .. } => Some(format!(
                "give the partition a log of its own first: cp it aside and rename it over {}",
                path.display()
            )),
            Self::UndoDirInLogDir { .. } => Some("give a directory elsewhere with --undo-dir".to_owned()),
            Self::NoSpace { .. } => Some("free some, or give another place with --undo-dir".to_owned()),
            Self::Unfinished { undo_dir } => {
                Some(format!("roll it back first: kfsck undo --apply {}", quoted(undo_dir)))
            }
            Self::BadJournal { undo_dir, .. } => Some(format!(
                "nothing was touched; bring the file back from a copy of the undo data and try again. {}",
                giving_up(undo_dir)
            )),
            Self::CannotUndo { undo_dir, obstacles } => Some(what_to_do(undo_dir, obstacles)),
            Self::NotRestored { .. } => Some(
                "the undo data is kept; look for what is wrong with the disk, then kfsck undo --apply again".to_owned(),
            ),
            Self::OnlyCopy { undo_dir, .. } => Some(format!("nothing was removed. {}", giving_up(undo_dir))),
            Self::Stopped => None,
            Self::TakenBack { .. } => Some("everything is as it was before".to_owned()),
            Self::Stuck { .. } => Some("try kfsck undo --apply once the cause is mended".to_owned()),
        }
    }
}

/// The first obstacles, in words.
fn some(obstacles: &[Obstacle]) -> String {
    let mut words: Vec<_> = obstacles.iter().take(MOST_TOLD).map(Obstacle::to_string).collect();
    let more = obstacles.len().saturating_sub(MOST_TOLD);
    words.extend((more > 0).then(|| format!("{more} more")));
    words.join("; ")
}

fn sizes(files: &[(PathBuf, u64)]) -> String {
    if files.is_empty() {
        return "what was there before".to_owned();
    }
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let words: Vec<_> = files.iter().map(|(path, bytes)| format!("{} ({bytes} bytes)", name(path))).collect();
    words.join(", ")
}

fn giving_up(undo_dir: &Path) -> String {
    let dir = quoted(undo_dir);
    format!(
        "What it keeps of logs can be read: kfsck dump-log {dir}. To give all of it up for good: \
         kfsck undo --discard --apply --allow-data-loss {dir}"
    )
}

/// What removes the obstacles, so that undoing can be tried again.
fn what_to_do(undo_dir: &Path, obstacles: &[Obstacle]) -> String {
    let newer = |obstacle: &Obstacle| match obstacle {
        Obstacle::NewerChanges { undo_dirs, .. } => undo_dirs.clone(),
        _ => Vec::new(),
    };
    let mut newer: Vec<_> = obstacles.iter().flat_map(newer).collect();
    if !newer.is_empty() {
        newer.sort_by(|a, b| b.file_name().cmp(&a.file_name()));
        newer.dedup();
        let commands: Vec<_> = newer.iter().map(|dir| format!("kfsck undo --apply {}", quoted(dir))).collect();
        return format!("nothing was touched; undo what is newer first: {}", commands.join(", then "));
    }
    let is_about_undo_data =
        |it: &Obstacle| matches!(it, Obstacle::Missing(_) | Obstacle::Size { .. } | Obstacle::Altered(_));
    let is_new = |it: &Obstacle| matches!(it, Obstacle::New(_));
    let has_changed = |it: &Obstacle| matches!(it, Obstacle::Changed(_));
    let mut ways = Vec::new();
    if obstacles.iter().any(is_about_undo_data) {
        ways.push("bring back what is wrong in the undo data");
    }
    if obstacles.iter().any(is_new) {
        ways.push("move away what is new");
    }
    if obstacles.iter().any(has_changed) {
        ways.push("bring back what the change had left");
    }
    format!("nothing was touched; {} and try again. {}", ways.join(", "), giving_up(undo_dir))
}
