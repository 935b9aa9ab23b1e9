//! What is to be changed, as plain data: made by a dry run, shown to the user, and taken by [`apply`](super::apply).

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::format::Offset;
use crate::store::StoreError;
use crate::store::write::{FileId, FileMeta, Found, WriteStorage};

/// Up to this size the content of a file belongs to its fingerprint, in bytes.
const SMALL: u64 = 1 << 20;

/// How many bytes of a large file are read at once.
pub(super) const READ_AT_ONCE: usize = 1 << 20;

/// A change to one partition: what must hold before, the steps, and what is lost.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The command that made it.
    pub action: String,
    /// The partition's directory, where the undo data goes: absolute, as all paths of a plan are.
    pub partition: PathBuf,
    /// Files that are not changed, and that must still be what they were when the plan was made from them.
    pub made_from: Vec<Source>,
    /// In order. Each can be taken again after it was interrupted.
    pub steps: Vec<Step>,
    /// What is gone afterwards, but for the undo data.
    pub loses: Loss,
}

/// A file that a plan was made from.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// The file.
    pub file: PathBuf,
    /// What it was.
    pub was: Fingerprint,
}

/// One change to one file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "op")]
pub enum Step {
    /// Other content in the place of a file, or a file where there was none.
    Replace {
        /// The file.
        file: PathBuf,
        /// What was there; `None` for nothing.
        old: Option<Fingerprint>,
        /// What comes.
        new: NewFile,
    },
    /// A file goes.
    Remove {
        /// The file.
        file: PathBuf,
        /// What was there.
        old: Fingerprint,
    },
    /// The end of a file goes.
    CutTail {
        /// The file.
        file: PathBuf,
        /// What was there.
        old: Fingerprint,
        /// The size afterwards, in bytes.
        to: u64,
    },
}

/// The content of a file to come.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewFile {
    /// Its bytes; not part of the record of what was done.
    #[serde(skip)]
    pub bytes: Vec<u8>,
    /// How many there are.
    pub size_in_bytes: u64,
    /// SHA-256 of them, in hexadecimal.
    pub digest: String,
    /// Owner, mode and modification time it gets.
    pub meta: FileMeta,
}

/// What tells whether a file is still what it was when the plan was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fingerprint {
    /// What the file system says.
    #[serde(flatten)]
    pub id: FileId,
    /// SHA-256 of a small file, in hexadecimal.
    pub digest: Option<String>,
}

/// What a plan takes away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Loss {
    /// Batches.
    pub batches: u64,
    /// Records that their headers count.
    pub records: u64,
    /// Bytes of logs.
    pub bytes: u64,
    /// The first offset that is lost.
    pub first_offset: Option<i64>,
    /// The last offset that is lost, inclusive.
    pub last_offset: Option<i64>,
}

impl Loss {
    /// Whether records are lost.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Takes in more that is lost.
    pub fn add(&mut self, batches: u64, records: u64, bytes: u64, offsets: Option<(Offset, Offset)>) {
        self.batches += batches;
        self.records += records;
        self.bytes += bytes;
        if let Some((first, last)) = offsets {
            self.first_offset = Some(self.first_offset.map_or(first.0, |known| known.min(first.0)));
            self.last_offset = self.last_offset.max(Some(last.0));
        }
    }
}

/// SHA-256 in hexadecimal.
pub fn digest(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// SHA-256 of the bytes of a file from `from` up to `to` (exclusive), or to its end, in hexadecimal.
///
/// Errors: those of the storage.
pub fn digest_of(storage: &dyn WriteStorage, path: &Path, from: u64, to: u64) -> Result<String, StoreError> {
    let mut hash = Sha256::new();
    let mut at = from;
    while at < to {
        let length = usize::try_from(to - at).unwrap_or(usize::MAX).min(READ_AT_ONCE);
        let bytes = storage.read_at(path, at, length)?;
        if bytes.is_empty() {
            break;
        }
        at += bytes.len() as u64;
        hash.update(&bytes);
    }
    Ok(hexadecimal(&hash.finalize()))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl NewFile {
    /// A file with these bytes.
    pub fn new(bytes: Vec<u8>, meta: FileMeta) -> Self {
        Self { size_in_bytes: bytes.len() as u64, digest: digest(&bytes), bytes, meta }
    }
}

impl Fingerprint {
    /// That of `path` as it is now; `None` where there is nothing.
    ///
    /// Errors: those of the storage; [`StoreError::NotAFile`] for links, directories and the like.
    pub fn of(storage: &dyn WriteStorage, path: &Path) -> Result<Option<Self>, StoreError> {
        match storage.look(path)? {
            Found::Nothing => Ok(None),
            Found::Other => Err(StoreError::not_itself_a_file(path)),
            Found::File(id) => {
                let small = id.size_in_bytes <= SMALL;
                let digest = if small { Some(digest(&storage.read_from(path, 0)?)) } else { None };
                Ok(Some(Self { id, digest }))
            }
        }
    }
}

impl Step {
    /// The file that it changes.
    pub fn file(&self) -> &Path {
        match self {
            Self::Replace { file, .. } | Self::Remove { file, .. } | Self::CutTail { file, .. } => file,
        }
    }

    pub(super) fn file_mut(&mut self) -> &mut PathBuf {
        match self {
            Self::Replace { file, .. } | Self::Remove { file, .. } | Self::CutTail { file, .. } => file,
        }
    }

    /// What was there before; `None` for nothing.
    pub fn old(&self) -> Option<&Fingerprint> {
        match self {
            Self::Replace { old, .. } => old.as_ref(),
            Self::Remove { old, .. } | Self::CutTail { old, .. } => Some(old),
        }
    }
}

impl Plan {
    /// A plan of the command `action` that does nothing so far to the partition in `partition`.
    pub fn new(action: &str, partition: PathBuf) -> Self {
        let (made_from, steps, loses) = (Vec::new(), Vec::new(), Loss::default());
        Self { action: action.to_owned(), partition, made_from, steps, loses }
    }

    /// How many bytes the new files have.
    pub fn new_bytes(&self) -> u64 {
        let size = |step: &Step| match step {
            Step::Replace { new, .. } => new.size_in_bytes,
            Step::Remove { .. } | Step::CutTail { .. } => 0,
        };
        self.steps.iter().map(size).sum()
    }

    /// What tells this plan from every other: what it does, to which state of which files.
    ///
    /// Files of the log dir count by their names alone: other partitions have lines in them too, and what becomes of
    /// this partition's follows from the rest. So does the time that new files are dated with.
    pub fn digest(&self) -> String {
        let mut told = serde_json::to_value(self).unwrap_or_default();
        let steps = told.get_mut("steps").and_then(serde_json::Value::as_array_mut);
        for (step, told) in self.steps.iter().zip(steps.into_iter().flatten()) {
            let Some(told) = told.as_object_mut() else { continue };
            if step.file().parent() != Some(self.partition.as_path()) {
                told.remove("old");
                told.remove("new");
            }
            if let Some(meta) = told.get_mut("new").and_then(|new| new.get_mut("meta")?.as_object_mut()) {
                meta.remove("modified");
            }
        }
        digest(told.to_string().as_bytes()).chars().take(16).collect()
    }
}
