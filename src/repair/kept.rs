//! What is recorded of a change beside its plan, so that undoing can tell whether it brings back every byte before it
//! touches anything.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::RepairError;
use super::plan::{Plan, Step, digest_of};
use crate::format::file_name::{FileKind, FileName, FileState};
use crate::store::StoreError;
use crate::store::write::{Found, WriteStorage};

/// A change as it was recorded before its first step.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// What was to be done.
    pub plan: Plan,
    /// What each step takes away; `None` where there was no file.
    pub kept: Vec<Option<Kept>>,
    /// The files of the partition that no step changes.
    pub others: Vec<Other>,
    /// Where what is cut off logs is kept, if it is not with the rest.
    pub tails: Option<String>,
}

/// What tells whether what a step has taken away is whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    /// The size of the kept file, in bytes: of the file that was there, or of the end that was cut off it.
    pub size_in_bytes: u64,
    /// SHA-256 of it, in hexadecimal.
    pub digest: String,
    /// SHA-256 of the bytes before the cut, which stay where they are.
    pub head_digest: Option<String>,
}

/// A file of the partition that a change leaves as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Other {
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub size_in_bytes: u64,
    /// SHA-256 of it, of a file that tells to which leader each offset belongs.
    pub digest: Option<String>,
}

/// Why a change cannot be undone as things are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// Newer changes have changed the same file.
    #[error("{} was changed again by a newer change", .file.display())]
    NewerChanges {
        /// The file.
        file: PathBuf,
        /// The undo data of the newer changes, the newest first: the order in which they can be undone.
        undo_dirs: Vec<PathBuf>,
    },
    /// A file is neither what the change made of it nor what it was before.
    #[error("{} has changed since", .0.display())]
    Changed(PathBuf),
    /// A file that was not there before the change, and would not go with what is brought back.
    #[error("{} is new since", .0.display())]
    New(PathBuf),
    /// A file of the undo data is not there.
    #[error("{} is missing", .0.display())]
    Missing(PathBuf),
    /// A file of the undo data has another size.
    #[error("{} has {size_in_bytes} of {wanted} bytes", .path.display())]
    Size {
        /// The file.
        path: PathBuf,
        /// How many bytes it has.
        size_in_bytes: u64,
        /// How many it had.
        wanted: u64,
    },
    /// A file of the undo data has the right size and another content.
    #[error("{} has other bytes than were kept", .0.display())]
    Altered(PathBuf),
}

impl Record {
    /// What is there before the first step. What a step takes away is read once.
    ///
    /// Errors: [`RepairError::Stopped`] by `stop`, those of the storage.
    pub fn of(storage: &dyn WriteStorage, plan: &Plan, is_stopped: &dyn Fn() -> bool) -> Result<Self, RepairError> {
        let mut kept = Vec::new();
        for step in &plan.steps {
            if is_stopped() {
                return Err(RepairError::Stopped);
            }
            kept.push(Kept::of(storage, step)?);
        }
        Ok(Self { plan: plan.clone(), kept, others: Other::all_in(storage, plan)?, tails: None })
    }

    /// Whether bytes of logs go, so that what is brought back may contradict what was written since.
    fn cuts(&self) -> bool {
        self.plan.steps.iter().any(|step| !matches!(step, Step::Replace { .. }))
    }

    /// What was written to the partition since a cut, and would contradict what is brought back: logs that have grown,
    /// other leader epochs, files of segments that were not there.
    ///
    /// Errors: those of the storage.
    pub fn written_since(&self, storage: &dyn WriteStorage) -> Result<Vec<Obstacle>, StoreError> {
        let mut found = Vec::new();
        if !self.cuts() {
            return Ok(found);
        }
        let partition = &self.plan.partition;
        for other in &self.others {
            let path = partition.join(&other.name);
            if !other.is_still(storage, &path)? {
                found.push(Obstacle::Changed(path));
            }
        }
        for name in storage.list(partition)? {
            let path = partition.join(&name);
            let is_known = self.others.iter().any(|other| name == *other.name)
                || self.plan.steps.iter().any(|step| step.file() == path);
            if !is_known && name.to_str().and_then(FileName::parse).is_some_and(holds_records_or_tells_of_them) {
                found.push(Obstacle::New(path));
            }
        }
        Ok(found)
    }
}

/// Files of segments, also such as the next start of a broker puts in their place, and what is derived from records.
fn holds_records_or_tells_of_them(name: FileName) -> bool {
    let is_there = matches!(name.state, FileState::Live | FileState::Swap | FileState::Cleaned);
    let tells_of_them = matches!(name.kind, FileKind::ProducerSnapshot | FileKind::LeaderEpochCheckpoint);
    is_there && (name.kind.is_segment_file() || tells_of_them)
}

impl Kept {
    fn of(storage: &dyn WriteStorage, step: &Step) -> Result<Option<Self>, StoreError> {
        let file = step.file();
        Ok(match step {
            Step::Replace { old: None, .. } => None,
            Step::Replace { old: Some(old), .. } | Step::Remove { old, .. } => {
                let size_in_bytes = old.id.size_in_bytes;
                let digest = match &old.digest {
                    Some(digest) => digest.clone(),
                    None => digest_of(storage, file, 0, size_in_bytes)?,
                };
                Some(Self { size_in_bytes, digest, head_digest: None })
            }
            Step::CutTail { old, to, .. } => Some(Self {
                size_in_bytes: old.id.size_in_bytes.saturating_sub(*to),
                digest: digest_of(storage, file, *to, old.id.size_in_bytes)?,
                head_digest: Some(digest_of(storage, file, 0, *to)?),
            }),
        })
    }

    /// What is wrong with the kept file `path`.
    ///
    /// Errors: those of the storage.
    pub fn trouble(&self, storage: &dyn WriteStorage, path: &Path) -> Result<Option<Obstacle>, StoreError> {
        let Found::File(now) = storage.look(path)? else { return Ok(Some(Obstacle::Missing(path.to_owned()))) };
        let (size_in_bytes, wanted) = (now.size_in_bytes, self.size_in_bytes);
        if size_in_bytes != wanted {
            return Ok(Some(Obstacle::Size { path: path.to_owned(), size_in_bytes, wanted }));
        }
        let is_whole = digest_of(storage, path, 0, wanted)? == self.digest;
        Ok((!is_whole).then(|| Obstacle::Altered(path.to_owned())))
    }
}

impl Other {
    fn all_in(storage: &dyn WriteStorage, plan: &Plan) -> Result<Vec<Self>, StoreError> {
        let mut others = Vec::new();
        for name in storage.list(&plan.partition)? {
            let path = plan.partition.join(&name);
            let (Some(name), Found::File(id)) = (name.to_str(), storage.look(&path)?) else { continue };
            if plan.steps.iter().any(|step| step.file() == path) {
                continue;
            }
            let size_in_bytes = id.size_in_bytes;
            let digest = match is_of_kind(name, FileKind::LeaderEpochCheckpoint) {
                true => Some(digest_of(storage, &path, 0, size_in_bytes)?),
                false => None,
            };
            others.push(Self { name: name.to_owned(), size_in_bytes, digest });
        }
        Ok(others)
    }

    /// Whether it is what it was, or gone, or of a kind that does not matter: brokers give indexes other sizes without
    /// writing to them, and delete the oldest segments.
    fn is_still(&self, storage: &dyn WriteStorage, path: &Path) -> Result<bool, StoreError> {
        let Found::File(now) = storage.look(path)? else { return Ok(true) };
        Ok(match &self.digest {
            Some(digest) => digest_of(storage, path, 0, now.size_in_bytes)? == *digest,
            None => now.size_in_bytes == self.size_in_bytes || !is_of_kind(&self.name, FileKind::Log),
        })
    }
}

fn is_of_kind(name: &str, kind: FileKind) -> bool {
    FileName::parse(name).is_some_and(|name| name.kind == kind && name.state == FileState::Live)
}
