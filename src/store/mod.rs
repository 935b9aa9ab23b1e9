//! Where bytes live: files, directories and the broker's lock. The only layer that touches the file system.
//!
//! It knows names and sizes, never what the bytes mean. Nothing here creates, changes or deletes anything; opening a
//! file never blocks and never follows a name into a device or a pipe.
//!
//! Reading goes through [`ReadStorage`], which has no way to write. Changing files will be another trait,
//! `WriteStorage`, in a file of its own beside [`map`] and [`pread`]: replace a file as a whole, cut its tail, move it
//! away, each followed by the sync that makes it last. Only `repair` will be handed one, and only together with the
//! log dir's lock (see [`broker_lock`]).

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::unreachable)
)]

pub mod broker_lock;
mod error;
pub mod expand;
mod file;
mod listing;
pub mod log_dir;
pub mod map;
pub mod mem;
pub mod partition;
pub mod pread;
pub mod shell;
pub mod strange;
pub mod undo_dir;
pub mod window;
pub mod write;

pub use error::{FoundType, StoreError};
pub use file::{FileFacts, read_small};
pub use listing::NamedFile;

use std::ops::Range;
use std::path::Path;

/// The bytes of one file, to be read in windows.
///
/// One value may be shared by several threads, each with its own scratch buffer.
pub trait ReadStorage: Send + Sync {
    /// The path under which the file was opened.
    fn path(&self) -> &Path;

    /// How many bytes the file had when it was opened. A file that grows afterwards keeps this length.
    fn len(&self) -> u64;

    /// Whether the file was empty when it was opened.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of `range` (start inclusive, end exclusive) where the storage has them in memory; `None` where they
    /// must be read by [`ReadStorage::read_into`].
    ///
    /// Errors: as for [`ReadStorage::read_into`].
    fn lend(&self, range: Range<u64>) -> Result<Option<&[u8]>, StoreError> {
        let _ = range;
        Ok(None)
    }

    /// Reads the bytes of `range` (start inclusive, end exclusive) to the start of `buffer`, which is made longer where
    /// it is too short. What it held before, and what it holds behind them, means nothing.
    ///
    /// Errors: [`StoreError::BeyondEnd`] where `range` is not within [`ReadStorage::len`], [`StoreError::Shrunk`]
    /// where the file has lost bytes since it was opened, [`StoreError::Io`] for everything the system reports.
    fn read_into(&self, range: Range<u64>, buffer: &mut Vec<u8>) -> Result<(), StoreError>;

    /// The bytes of `range`, lent or read into `scratch`.
    ///
    /// Errors: as for [`ReadStorage::read_into`].
    fn window<'a>(&'a self, range: Range<u64>, scratch: &'a mut Vec<u8>) -> Result<&'a [u8], StoreError> {
        if let Some(bytes) = self.lend(range.clone())? {
            return Ok(bytes);
        }
        let wanted = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        self.read_into(range, scratch)?;
        Ok(scratch.get(..wanted).unwrap_or_default())
    }

    /// Says that nobody will read `range` again soon, so that its memory can serve others.
    fn release(&self, range: Range<u64>) {
        let _ = range;
    }

    /// Whether the windows lent so far held the file's own bytes. To be asked after the last one: in a map, what
    /// a file loses while it is being read turns into zeros, which must not be taken for its content.
    ///
    /// Errors: [`StoreError::Shrunk`].
    fn still_whole(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// How files are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IoMode {
    /// By positional reads: measured no slower than a map in any use (`docs/performance.md`), and every failure is an
    /// error code.
    #[default]
    Auto,
    /// By map, but for files that a running broker may still write to.
    Mmap,
    /// By positional reads.
    Pread,
}

/// What decides how a file is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ReadPolicy {
    /// What the user asked for.
    pub mode: IoMode,
    /// Whether a running broker may still write to the file, or cut it.
    pub may_change: bool,
}

/// Opens a regular file for reading.
///
/// Errors: [`StoreError::NotAFile`] for anything but a regular file (a symbolic link to one will do),
/// [`StoreError::Io`] for everything the system reports.
pub fn open(path: &Path, policy: ReadPolicy) -> Result<Box<dyn ReadStorage>, StoreError> {
    let (file, len) = file::open_regular(path)?;
    let by_map = match policy.mode {
        IoMode::Mmap => !policy.may_change,
        IoMode::Auto | IoMode::Pread => false,
    };
    Ok(if by_map {
        Box::new(map::MappedFile::new(path, file, len)?)
    } else {
        Box::new(pread::PreadFile::new(path, file, len))
    })
}

/// Whether `range` lies within a file of `len` bytes.
fn within(path: &Path, range: &Range<u64>, len: u64) -> Result<(), StoreError> {
    if range.start <= range.end && range.end <= len {
        Ok(())
    } else {
        Err(StoreError::BeyondEnd { path: path.to_owned(), start: range.start, end: range.end, len })
    }
}

/// `range`, which lies within a file of `len` bytes, as indexes into memory.
fn in_memory(path: &Path, range: &Range<u64>, len: u64) -> Result<Range<usize>, StoreError> {
    within(path, range, len)?;
    match (usize::try_from(range.start), usize::try_from(range.end)) {
        (Ok(start), Ok(end)) => Ok(start..end),
        _ => Err(StoreError::TooLarge { path: path.to_owned(), size_in_bytes: len, limit: usize::MAX as u64 }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File, OpenOptions};
    use std::io::Write;
    use std::os::unix::fs::FileExt;

    const MODES: [IoMode; 3] = [IoMode::Auto, IoMode::Mmap, IoMode::Pread];

    fn policy(mode: IoMode) -> ReadPolicy {
        ReadPolicy { mode, may_change: false }
    }

    fn numbered_bytes(len: usize) -> Vec<u8> {
        (0..len).map(|i| (i / 7 % 251) as u8).collect()
    }

    fn error_of<T>(result: Result<T, StoreError>) -> StoreError {
        match result {
            Err(error) => error,
            Ok(_) => panic!("an error was expected"),
        }
    }

    #[test]
    fn every_mode_lends_the_same_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        for len in [0, 1, 4095, 4096, 300_000] {
            let bytes = numbered_bytes(len);
            fs::write(&path, &bytes).unwrap();
            for mode in MODES {
                let storage = open(&path, policy(mode)).unwrap();
                let mut scratch = Vec::new();
                assert_eq!((storage.len(), storage.path()), (len as u64, path.as_path()));
                assert_eq!(storage.window(0..len as u64, &mut scratch).unwrap(), bytes);
                let middle = len / 3..len / 2;
                storage.release(0..middle.start as u64);
                let lent = storage.window(middle.start as u64..middle.end as u64, &mut scratch).unwrap();
                assert_eq!(lent, &bytes[middle]);
                assert_eq!(storage.window(len as u64..len as u64, &mut scratch).unwrap(), b"");
                storage.release(0..u64::MAX);
                storage.still_whole().unwrap();
            }
        }
    }

    #[test]
    #[expect(clippy::reversed_empty_ranges, reason = "the caller may get it wrong, and must get an error")]
    fn a_window_that_is_not_in_the_file_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        fs::write(&path, b"0123456789").unwrap();
        let mut scratch = Vec::new();
        for storage in [
            open(&path, policy(IoMode::Mmap)).unwrap(),
            open(&path, policy(IoMode::Pread)).unwrap(),
            Box::new(mem::MemoryStorage::new(&path, b"0123456789".to_vec())),
        ] {
            for range in [0..11, 10..11, 11..11, 5..4, 0..u64::MAX, u64::MAX..u64::MAX] {
                let error = error_of(storage.window(range.clone(), &mut scratch));
                assert!(matches!(error, StoreError::BeyondEnd { len: 10, .. }), "{range:?}: {error}");
            }
        }
    }

    #[test]
    fn a_file_that_shrinks_while_it_is_read_is_an_error_and_no_signal() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let bytes = numbered_bytes(64 * 4096);
        for mode in [IoMode::Mmap, IoMode::Pread] {
            // To a page border, and into the middle of a page, whose rest would read as zeros without any signal.
            for left in [8 * 4096, 8 * 4096 + 100, 0] {
                fs::write(&path, &bytes).unwrap();
                let storage = open(&path, policy(mode)).unwrap();
                let mut scratch = Vec::new();
                assert_eq!(storage.window(0..4096, &mut scratch).unwrap(), &bytes[..4096]);
                OpenOptions::new().write(true).open(&path).unwrap().set_len(left).unwrap();
                for range in [0..bytes.len() as u64, 8 * 4096..8 * 4096 + 200, 16 * 4096..16 * 4096 + 1] {
                    let error = error_of(storage.window(range.clone(), &mut scratch));
                    match error {
                        StoreError::Shrunk { expected, got, .. } => {
                            assert!(got <= left.max(range.start) && got < expected)
                        }
                        other => panic!("{mode:?} {left} {range:?}: {other}"),
                    }
                }
            }
        }
    }

    #[test]
    fn a_map_whose_file_shrank_behind_the_last_window_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        fs::write(&path, numbered_bytes(8192)).unwrap();
        let storage = open(&path, policy(IoMode::Mmap)).unwrap();
        storage.window(0..8192, &mut Vec::new()).unwrap();
        storage.still_whole().unwrap();
        OpenOptions::new().write(true).open(&path).unwrap().set_len(8191).unwrap();
        let error = error_of(storage.still_whole());
        assert_eq!(error.to_string(), format!("{} shrank from 8192 to 8191 bytes while being read", path.display()));
        let hint = error.hint().unwrap();
        assert!(hint.contains("something is writing to it") && !hint.contains("--io"), "{hint}");
    }

    #[test]
    fn a_file_that_grows_keeps_the_length_it_was_opened_with() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        for mode in MODES {
            fs::write(&path, b"abc").unwrap();
            let storage = open(&path, policy(mode)).unwrap();
            OpenOptions::new().append(true).open(&path).unwrap().write_all(b"def").unwrap();
            assert_eq!(storage.len(), 3);
            assert_eq!(storage.window(0..3, &mut Vec::new()).unwrap(), b"abc");
            assert!(storage.window(0..4, &mut Vec::new()).is_err());
        }
    }

    #[test]
    fn what_is_no_regular_file_is_refused_without_blocking() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("00000000000000000000.log");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        let socket = dir.path().join("s");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        for (path, found) in [
            (fifo.as_path(), "a pipe"),
            (dir.path(), "a directory"),
            (socket.as_path(), "a socket"),
            (Path::new("/dev/null"), "a device"),
        ] {
            let expected = format!("cannot read {}: it is {found}, not a file", path.display());
            for mode in MODES {
                assert_eq!(error_of(open(path, policy(mode))).to_string(), expected);
            }
            assert_eq!(error_of(read_small(path, 100)).to_string(), expected);
        }
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named_with_its_cause_and_never_created() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("missing.log");
        let error = error_of(open(&missing, ReadPolicy::default()));
        assert_eq!(error.to_string(), format!("cannot open {}: No such file or directory", missing.display()));
        assert!(!missing.exists());
        let file = dir.path().join("file");
        fs::write(&file, b"x").unwrap();
        let inside = file.join("x.log");
        let error = error_of(open(&inside, ReadPolicy::default()));
        assert_eq!(error.to_string(), format!("cannot open {}: Not a directory", inside.display()));
    }

    #[test]
    fn a_file_one_may_not_read_is_refused_with_a_hint() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret.log");
        fs::write(&path, b"x").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
        if File::open(&path).is_ok() {
            return; // The superuser may read everything: nothing to see here.
        }
        let error = error_of(open(&path, ReadPolicy::default()));
        assert_eq!(error.to_string(), format!("cannot open {}: Permission denied", path.display()));
        assert!(error.hint().unwrap().contains("user"));
    }

    #[test]
    fn a_small_file_is_read_whole_with_its_holes_and_never_beyond_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.index");
        let file = File::create(&path).unwrap();
        file.set_len(10 * 1024 * 1024).unwrap();
        file.write_all_at(b"head", 0).unwrap();
        file.write_all_at(b"middle", 5_000_000).unwrap();
        let bytes = read_small(&path, 10 * 1024 * 1024).unwrap();
        assert_eq!(bytes.len(), 10 * 1024 * 1024);
        assert_eq!((&bytes[..4], &bytes[5_000_000..5_000_006]), (&b"head"[..], &b"middle"[..]));
        assert_eq!(bytes.iter().filter(|byte| **byte != 0).count(), 10);
        assert!(bytes == fs::read(&path).unwrap());
        let error = error_of(read_small(&path, 1000));
        assert!(matches!(error, StoreError::TooLarge { size_in_bytes: 10_485_760, limit: 1000, .. }));
        fs::write(&path, b"").unwrap();
        assert_eq!(read_small(&path, 0).unwrap(), b"");
        let all_hole = File::create(&path).unwrap();
        all_hole.set_len(100_000).unwrap();
        assert_eq!(read_small(&path, 100_000).unwrap(), vec![0; 100_000]);
    }
}
