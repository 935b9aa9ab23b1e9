//! The segment that a running broker is writing to.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::format::Offset;
use crate::format::file_name::{FileKind, FileName, FileState};
use crate::store::broker_lock::{LockState, lock_state};
use crate::store::log_dir::log_dir_of;
use crate::store::partition::PartitionDir;

/// Knows the live segment of the directory that was asked about last: files are mostly named directory by directory.
#[derive(Debug, Default)]
pub(super) struct LiveSegment {
    last: Option<(PathBuf, Option<Offset>)>,
}

impl LiveSegment {
    /// Whether the file is the log of the newest segment of a partition whose log dir a broker holds.
    pub(super) fn is(&mut self, path: &Path) -> bool {
        let name = path.file_name().and_then(OsStr::to_str).and_then(FileName::parse);
        let Some(name) = name.filter(|name| name.kind == FileKind::Log && name.state == FileState::Live) else {
            return false;
        };
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let newest = match &self.last {
            Some((known, newest)) if known == directory => *newest,
            _ => {
                let newest = newest_of_live(directory);
                self.last = Some((directory.to_owned(), newest));
                newest
            }
        };
        newest.is_some() && newest == name.base_offset
    }
}

/// The base offset of the newest segment, if a broker is running on the partition.
fn newest_of_live(partition: &Path) -> Option<Offset> {
    let log_dir = log_dir_of(partition)?;
    // Whoever cannot read the lock may still read the log.
    let Ok(LockState::Held { .. }) = lock_state(&log_dir) else { return None };
    PartitionDir::read(partition).ok()?.segments().last().map(|newest| newest.base_offset)
}
