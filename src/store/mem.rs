//! Bytes in memory in place of a file, for tests and for fuzzing.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::{ReadStorage, StoreError};

/// Bytes in memory that are read like a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryStorage {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl MemoryStorage {
    /// `bytes` under the name `path`, which need not exist.
    pub fn new(path: impl Into<PathBuf>, bytes: Vec<u8>) -> Self {
        Self { path: path.into(), bytes }
    }
}

impl ReadStorage for MemoryStorage {
    fn path(&self) -> &Path {
        &self.path
    }

    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn lend(&self, range: Range<u64>) -> Result<Option<&[u8]>, StoreError> {
        let range = super::in_memory(&self.path, &range, self.len())?;
        Ok(Some(self.bytes.get(range).unwrap_or_default()))
    }

    fn read_into(&self, range: Range<u64>, buffer: &mut Vec<u8>) -> Result<(), StoreError> {
        let range = super::in_memory(&self.path, &range, self.len())?;
        buffer.clear();
        buffer.extend_from_slice(self.bytes.get(range).unwrap_or_default());
        Ok(())
    }
}
