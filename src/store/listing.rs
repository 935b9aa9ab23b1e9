//! One pass over the names in a directory, without asking the file system about any single file.

use std::ffi::{OsStr, OsString};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir};
use rustix::io::Errno;

use super::{FileFacts, StoreError};
use crate::format::file_name::FileName;

/// A file whose name is one of Kafka's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedFile {
    dir: Arc<Path>,
    file_name: Box<str>,
    /// What the name says.
    pub name: FileName,
}

impl NamedFile {
    /// The name as it stands in the directory.
    pub fn file_name(&self) -> &str {
        &self.file_name
    }

    /// Directory and name.
    pub fn path(&self) -> PathBuf {
        self.dir.join(&*self.file_name)
    }

    /// Size and modification time, asked for now.
    ///
    /// Errors: [`StoreError::Io`], also where the file has gone since it was listed.
    pub fn facts(&self) -> Result<FileFacts, StoreError> {
        FileFacts::of(&self.path())
    }
}

/// What is in a directory, unsorted.
pub(super) struct Listing {
    pub(super) files: Vec<NamedFile>,
    /// Names of what is no directory and has no name of Kafka's, or is no regular file.
    pub(super) foreign: Vec<OsString>,
    pub(super) directories: Vec<OsString>,
}

impl Listing {
    pub(super) fn of(path: &Path) -> Result<Self, StoreError> {
        let failed = |errno: Errno| StoreError::io("list", path, errno);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(path, flags, Mode::empty()).map_err(failed)?;
        let dir = Arc::<Path>::from(path);
        let mut listing = Self { files: Vec::new(), foreign: Vec::new(), directories: Vec::new() };
        // The system's own records, without a copy of each name: a partition may have thousands of files, and a
        // lookup takes hardly longer than this loop.
        let mut buffer = vec![MaybeUninit::uninit(); 64 * 1024];
        let mut entries = RawDir::new(&directory, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(failed)?;
            let bytes = entry.file_name().to_bytes();
            if bytes == b"." || bytes == b".." {
                continue;
            }
            let name = OsStr::from_bytes(bytes);
            let file_type = match entry.file_type() {
                // As a broker does, links are followed; one that leads nowhere is nobody's file.
                FileType::Symlink | FileType::Unknown => rustix::fs::statat(&directory, name, AtFlags::empty())
                    .map_or(FileType::Unknown, |stat| FileType::from_raw_mode(stat.st_mode)),
                known => known,
            };
            match (file_type, name.to_str().and_then(|text| Some((text, FileName::parse(text)?)))) {
                (FileType::Directory, _) => listing.directories.push(name.to_owned()),
                (FileType::RegularFile, Some((text, name))) => {
                    listing.files.push(NamedFile { dir: Arc::clone(&dir), file_name: text.into(), name });
                }
                _ => listing.foreign.push(name.to_owned()),
            }
        }
        // Numbered files first, in the order of their numbers; those of one number in the order of their kinds.
        listing.files.sort_unstable_by(|a, b| {
            let key = |file: &NamedFile| {
                let FileName { kind, state, base_offset, .. } = file.name;
                (base_offset.is_none(), base_offset, kind, state)
            };
            key(a).cmp(&key(b)).then_with(|| a.file_name.cmp(&b.file_name))
        });
        listing.foreign.sort_unstable();
        listing.directories.sort_unstable();
        Ok(listing)
    }
}
