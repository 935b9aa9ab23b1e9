#![allow(missing_docs)]
//! stub
use std::ops::Range;
use std::path::{Path, PathBuf};
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum StoreError {
    #[error("io")]
    Io(#[from] std::io::Error),
}
#[allow(missing_docs)]
pub trait ReadStorage: Sync + Send {
    fn path(&self) -> &Path;
    fn len(&self) -> u64;
    fn lend(&self, range: Range<u64>) -> Result<Option<&[u8]>, StoreError>;
    fn read_into(&self, range: Range<u64>, scratch: &mut Vec<u8>) -> Result<(), StoreError>;
    fn release(&self, _range: Range<u64>) {}
    fn still_whole(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
pub mod mem {
    use super::*;
    #[allow(missing_docs)]
    #[derive(Clone)]
    pub struct MemoryStorage(pub Vec<u8>, pub PathBuf);
    impl MemoryStorage {
        pub fn new(p: impl Into<PathBuf>, b: Vec<u8>) -> Self {
            Self(b, p.into())
        }
    }
    impl ReadStorage for MemoryStorage {
        fn path(&self) -> &Path {
            &self.1
        }
        fn len(&self) -> u64 {
            self.0.len() as u64
        }
        fn lend(&self, range: Range<u64>) -> Result<Option<&[u8]>, StoreError> {
            let _ = range;
            Ok(None)
        }
        fn read_into(&self, range: Range<u64>, scratch: &mut Vec<u8>) -> Result<(), StoreError> {
            scratch.clear();
            scratch.extend_from_slice(&self.0[range.start as usize..range.end as usize]);
            Ok(())
        }
    }
}
