//! The files of a partition directory as they become, without touching those on disk.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::outcome::{DeletedFor, StartEvent, What};
use crate::format::Offset;
use crate::format::file_name::{FileKind, FileState, segment_file_name};
use crate::scan::recover::LogRange;
use crate::store::mem::MemoryStorage;
use crate::store::partition::PartitionDir;
use crate::store::window::Window;
use crate::store::{self, FileFacts, ReadPolicy, ReadStorage, StoreError};

/// How many bytes of written files are kept at most.
const KEPT_BYTES: u64 = 64 << 20;

/// What a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Bytes of a file as it lies on disk, zeros behind its end.
    Disk {
        /// The name of that file.
        name: String,
        /// The first byte.
        start: u64,
        /// How many bytes.
        size_in_bytes: u64,
    },
    /// Bytes that the broker writes, zeros behind them.
    Written {
        /// The bytes.
        bytes: Vec<u8>,
        /// How many there are with the zeros.
        size_in_bytes: u64,
    },
    /// Bytes that the broker writes, too many to be kept here.
    NotKept {
        /// How many there are.
        size_in_bytes: u64,
    },
}

impl Content {
    /// The size of the file in bytes.
    pub fn size_in_bytes(&self) -> u64 {
        match self {
            Self::Disk { size_in_bytes, .. }
            | Self::Written { size_in_bytes, .. }
            | Self::NotKept { size_in_bytes } => *size_in_bytes,
        }
    }

    pub(super) fn written(bytes: Vec<u8>) -> Self {
        let size_in_bytes = bytes.len() as u64;
        Self::Written { bytes, size_in_bytes }
    }
}

/// A log that has been opened.
pub(super) struct OpenLog {
    storage: Box<dyn ReadStorage>,
    start: u64,
    size_in_bytes: u64,
}

impl OpenLog {
    pub(super) fn range(&self) -> LogRange<'_> {
        LogRange { storage: self.storage.as_ref(), start: self.start, size_in_bytes: self.size_in_bytes }
    }
}

/// The files of a partition by name, in the order in which a broker goes through them.
pub(super) struct Files {
    dir: PathBuf,
    policy: ReadPolicy,
    on_disk: BTreeMap<String, u64>,
    now: BTreeMap<String, Content>,
    /// Those of the names that end as those of producer snapshots do.
    snapshots: BTreeSet<String>,
    kept: Cell<u64>,
    events: Vec<StartEvent>,
}

fn is_snapshot(name: &str) -> bool {
    name.ends_with(".snapshot")
}

/// What has become of a directory.
pub(super) struct Changes {
    pub(super) before: BTreeMap<String, u64>,
    pub(super) after: BTreeMap<String, Content>,
    pub(super) events: Vec<StartEvent>,
}

impl Files {
    pub(super) fn of(dir: &PartitionDir, policy: ReadPolicy) -> Result<Self, StoreError> {
        let mut on_disk = BTreeMap::new();
        for file in &dir.files {
            on_disk.insert(file.file_name().to_owned(), file.facts()?.size_in_bytes);
        }
        // A name that begins with a number can fall to a swap, whatever else it says.
        for name in dir.foreign.iter().filter_map(|name| name.to_str()) {
            if number_of(name).is_some()
                && let Ok(facts) = FileFacts::of(&dir.path.join(name))
            {
                on_disk.insert(name.to_owned(), facts.size_in_bytes);
            }
        }
        let now = on_disk.iter().map(|(name, size)| (name.clone(), unchanged(name, *size))).collect();
        let snapshots = on_disk.keys().filter(|name| is_snapshot(name)).cloned().collect();
        Ok(Self { dir: dir.path.clone(), policy, on_disk, now, snapshots, kept: Cell::new(0), events: Vec::new() })
    }

    /// The names that end as those of producer snapshots do.
    pub(super) fn snapshots(&self) -> &BTreeSet<String> {
        &self.snapshots
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.now.keys().cloned().collect()
    }

    pub(super) fn exists(&self, name: &str) -> bool {
        self.now.contains_key(name)
    }

    pub(super) fn size_in_bytes(&self, name: &str) -> u64 {
        self.now.get(name).map_or(0, Content::size_in_bytes)
    }

    /// Notes what is done to a file.
    pub(super) fn event(&mut self, file: String, what: What) {
        self.events.push(StartEvent { file, what });
    }

    /// Removes a file and notes why.
    pub(super) fn delete(&mut self, file: String, why: DeletedFor) {
        if self.remove(&file) {
            self.event(file, What::Deleted(why));
        }
    }

    /// Makes an empty file, unless there is one.
    pub(super) fn create(&mut self, name: &str) {
        if !self.exists(name) {
            self.put(name, Content::written(Vec::new()));
            self.event(name.to_owned(), What::Created);
        }
    }

    pub(super) fn remove(&mut self, name: &str) -> bool {
        self.snapshots.remove(name);
        self.now.remove(name).is_some()
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) {
        self.snapshots.remove(from);
        if let Some(content) = self.now.remove(from) {
            self.put(to, content);
        }
    }

    pub(super) fn put(&mut self, name: &str, content: Content) {
        if is_snapshot(name) {
            self.snapshots.insert(name.to_owned());
        }
        self.now.insert(name.to_owned(), content);
    }

    /// Writes a whole file. Bytes that lie on disk like this already are not kept twice.
    pub(super) fn write(&mut self, name: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        let size = bytes.len() as u64;
        let content = if self.on_disk.get(name) == Some(&size) && self.equals_disk(name, &bytes)? {
            unchanged(name, size)
        } else if self.kept.get() + size > KEPT_BYTES {
            Content::NotKept { size_in_bytes: size }
        } else {
            self.kept.set(self.kept.get() + size);
            Content::written(bytes)
        };
        self.put(name, content);
        Ok(())
    }

    /// Makes a file shorter, or longer by zeros.
    pub(super) fn set_size(&mut self, name: &str, size: u64) -> Result<(), StoreError> {
        let grows = size > self.size_in_bytes(name);
        let was_cut = matches!(self.now.get(name), Some(Content::Disk { name, start, size_in_bytes })
            if start + size_in_bytes < self.on_disk.get(name).copied().unwrap_or(0));
        if grows && was_cut {
            let bytes = self.read(name)?;
            self.put(name, Content::written(bytes));
        }
        match self.now.get_mut(name) {
            Some(Content::Disk { size_in_bytes, .. } | Content::NotKept { size_in_bytes }) => *size_in_bytes = size,
            Some(Content::Written { bytes, size_in_bytes }) => {
                bytes.truncate(usize::try_from(size).unwrap_or(usize::MAX));
                *size_in_bytes = size;
            }
            None => {}
        }
        Ok(())
    }

    /// The bytes of a small file. Of one that is not kept there are none.
    pub(super) fn read(&self, name: &str) -> Result<Vec<u8>, StoreError> {
        self.now.get(name).map_or(Ok(Vec::new()), |content| self.bytes(content))
    }

    pub(super) fn bytes(&self, content: &Content) -> Result<Vec<u8>, StoreError> {
        let (mut bytes, size) = match content {
            Content::Disk { name, start, size_in_bytes } => {
                let all = store::read_small(&self.dir.join(name), i32::MAX as u64)?;
                (all.get(usize::try_from(*start).unwrap_or(usize::MAX)..).unwrap_or_default().to_vec(), *size_in_bytes)
            }
            Content::Written { bytes, size_in_bytes } => (bytes.clone(), *size_in_bytes),
            Content::NotKept { .. } => (Vec::new(), 0),
        };
        bytes.resize(usize::try_from(size).unwrap_or(usize::MAX), 0);
        Ok(bytes)
    }

    pub(super) fn log(&self, name: &str) -> Result<OpenLog, StoreError> {
        match self.now.get(name) {
            Some(Content::Disk { name, start, size_in_bytes }) => {
                let storage = store::open(&self.dir.join(name), self.policy)?;
                Ok(OpenLog { storage, start: *start, size_in_bytes: *size_in_bytes })
            }
            _ => {
                let bytes = self.read(name)?;
                let size_in_bytes = bytes.len() as u64;
                let storage = Box::new(MemoryStorage::new(self.dir.join(name), bytes));
                Ok(OpenLog { storage, start: 0, size_in_bytes })
            }
        }
    }

    /// All files as they are now, and which of them lie on disk just like that.
    pub(super) fn into_changes(self) -> Result<Changes, StoreError> {
        let mut after = BTreeMap::new();
        for (name, content) in &self.now {
            let is_as_before = matches!(content, Content::Disk { name: of, start: 0, .. } if of == name);
            let is_known = !matches!(content, Content::NotKept { .. });
            let is_of_the_same_size = self.on_disk.get(name) == Some(&content.size_in_bytes());
            let mut content = content.clone();
            if !is_as_before && is_known && is_of_the_same_size && self.equals_disk(name, &self.bytes(&content)?)? {
                content = unchanged(name, content.size_in_bytes());
            }
            after.insert(name.clone(), content);
        }
        Ok(Changes { before: self.on_disk, after, events: self.events })
    }

    fn equals_disk(&self, name: &str, bytes: &[u8]) -> Result<bool, StoreError> {
        let storage = store::open(&self.dir.join(name), self.policy)?;
        let mut rest = bytes;
        let mut is_equal = storage.len() == bytes.len() as u64;
        Window::new(storage.as_ref()).stream(0..storage.len().min(bytes.len() as u64), |piece| {
            is_equal &= rest.get(..piece.len()) == Some(piece);
            rest = rest.get(piece.len()..).unwrap_or_default();
        })?;
        Ok(is_equal)
    }
}

pub(super) fn unchanged(name: &str, size_in_bytes: u64) -> Content {
    Content::Disk { name: name.to_owned(), start: 0, size_in_bytes }
}

/// The name of a segment's file, or of a producer snapshot.
pub(super) fn name_of(base_offset: Offset, kind: FileKind) -> String {
    match base_offset.0.checked_neg().filter(|positive| *positive > 0) {
        // Java pads the digits alone.
        Some(positive) => format!("-{}", segment_file_name(Offset(positive), kind, FileState::Live)),
        None => segment_file_name(base_offset, kind, FileState::Live),
    }
}

/// The number before the first dot of a file name.
pub(super) fn number_of(name: &str) -> Option<Offset> {
    let (number, _) = name.split_once('.')?;
    number.parse().ok().map(Offset)
}
