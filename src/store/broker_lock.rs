//! The broker's lock on a log dir, as seen from outside.
//!
//! A running broker holds a POSIX record lock on `.lock`, which `flock(2)` and with it the standard library's
//! `File::try_lock` do not see. To look at it needs no right to write and changes nothing. [`HeldLock`] holds
//! it, with an OFD lock: a classic one goes away as soon as this process closes any descriptor of the file.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use rustix::fs::OFlags;

use super::{StoreError, file};

/// Whether a broker is running on a log dir.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LockState {
    /// There is no `.lock`: no broker is running (releases from 3.9 on delete it at an orderly stop).
    NoFile,
    /// Nobody holds it.
    Free,
    /// Somebody holds it.
    Held {
        /// The process. Unknown where it is in another pid namespace (a container), or holds an OFD lock.
        pid: Option<i32>,
    },
}

/// Who holds the lock on a log dir. Neither creates nor deletes the file, nor takes the lock even for a moment.
/// A lock held by this very process is not seen, unless it is an OFD lock.
///
/// Errors: [`StoreError::Io`] where `.lock` exists and cannot be opened or asked.
///
/// Source: Kafka `FileLock` (`FileChannel.tryLock`, on Linux `fcntl` over the whole file).
pub fn lock_state(log_dir: &Path) -> Result<LockState, StoreError> {
    let path = log_dir.join(".lock");
    let file = match file::open_regular(&path) {
        Ok((file, _)) => file,
        Err(StoreError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => return Ok(LockState::NoFile),
        Err(error) => return Err(error),
    };
    let failed = |source: nix::Error| StoreError::io("query the lock on", &path, source);
    // A lock for writing conflicts with every other, and asking about one does not need the right to write.
    let mut lock = whole_file();
    fcntl(&file, FcntlArg::F_GETLK(&mut lock)).map_err(failed)?;
    Ok(match lock.l_type == libc::F_UNLCK as libc::c_short {
        true => LockState::Free,
        false => LockState::Held { pid: Some(lock.l_pid).filter(|pid| *pid > 0) },
    })
}

/// The lock on a log dir, held: no broker starts on it as long as this lives.
#[derive(Debug)]
pub struct HeldLock {
    file: File,
    /// The path, where this made the file and takes it away again.
    made: Option<PathBuf>,
}

impl HeldLock {
    /// Takes the lock on a log dir. Releases from 3.9 on delete `.lock` at an orderly stop: it is then made, with the
    /// owner of the log dir so that the broker can open it, and removed in the end.
    ///
    /// Errors: [`StoreError::LockHeld`] where a broker holds it, [`StoreError::Io`].
    pub fn take(log_dir: &Path) -> Result<Self, StoreError> {
        let path = log_dir.join(".lock");
        let failed = |source: io::Error| StoreError::io("lock", &path, source);
        let open = |options: &mut OpenOptions| {
            let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
            options.read(true).write(true).custom_flags(flags.bits() as i32).open(&path)
        };
        let (file, made) = match open(OpenOptions::new().create_new(true).mode(0o644)) {
            Ok(file) => (file, Some(path.clone())),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                (open(&mut OpenOptions::new()).map_err(failed)?, None)
            }
            Err(error) => return Err(failed(error)),
        };
        let held = Self { file, made };
        if held.made.is_some() {
            let owner = std::fs::metadata(log_dir).map_err(failed)?;
            fchown(&held.file, Some(owner.uid()), Some(owner.gid())).map_err(failed)?;
        }
        match fcntl(&held.file, FcntlArg::F_OFD_SETLK(&whole_file())) {
            Ok(_) => Ok(held),
            Err(Errno::EAGAIN | Errno::EACCES) => {
                let pid = match lock_state(log_dir) {
                    Ok(LockState::Held { pid }) => pid,
                    _ => None,
                };
                Err(StoreError::LockHeld { path, pid })
            }
            Err(error) => Err(failed(error.into())),
        }
    }
}

impl Drop for HeldLock {
    fn drop(&mut self) {
        let Some(path) = &self.made else { return };
        // A broker that was refused the lock may have put a file of its own there.
        let is_ours = || Some(std::fs::symlink_metadata(path).ok()?.ino() == self.file.metadata().ok()?.ino());
        if is_ours() == Some(true) {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// A lock for writing on a whole file.
fn whole_file() -> libc::flock {
    libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Read};
    use std::process::{Command, Stdio};

    const HOLD: &str = "KFSCK_TEST_HOLD_LOCK";

    /// Does nothing on its own: the test below runs it in a second process, in place of a broker.
    #[test]
    fn holder_of_the_lock() {
        let Some(path) = std::env::var_os(HOLD) else { return };
        let file = File::options().write(true).open(path).unwrap();
        fcntl(&file, FcntlArg::F_SETLK(&whole_file())).unwrap();
        println!("\nheld");
        // Until the other side closes its end.
        let _ = std::io::stdin().read(&mut [0]);
    }

    #[test]
    fn a_lock_held_by_another_process_is_seen_with_its_pid() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(lock_state(dir.path()).unwrap(), LockState::NoFile);
        assert!(!dir.path().join(".lock").exists());
        let path = dir.path().join(".lock");
        File::create(&path).unwrap();
        assert_eq!(lock_state(dir.path()).unwrap(), LockState::Free);

        let mut holder = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::broker_lock::tests::holder_of_the_lock", "--nocapture"])
            .env(HOLD, &path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines().map_while(Result::ok);
        assert!(lines.any(|line| line == "held"));
        let seen = lock_state(dir.path());
        let seen_again = lock_state(dir.path());
        drop(holder.stdin.take());
        let pid = holder.id() as i32;
        holder.wait().unwrap();
        assert_eq!(seen.unwrap(), LockState::Held { pid: Some(pid) });
        assert_eq!(seen_again.unwrap(), LockState::Held { pid: Some(pid) });
        assert_eq!(lock_state(dir.path()).unwrap(), LockState::Free);
        assert!(path.exists());
    }

    #[test]
    fn an_ofd_lock_is_seen_without_a_pid() {
        let dir = tempfile::tempdir().unwrap();
        let file = File::create(dir.path().join(".lock")).unwrap();
        fcntl(&file, FcntlArg::F_OFD_SETLK(&whole_file())).unwrap();
        assert_eq!(lock_state(dir.path()).unwrap(), LockState::Held { pid: None });
    }

    #[test]
    fn a_lock_that_is_no_file_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(".lock")).unwrap();
        assert!(matches!(lock_state(dir.path()), Err(StoreError::NotAFile { .. })));
        assert!(matches!(lock_state(&dir.path().join("none")), Ok(LockState::NoFile)));
    }

    #[test]
    fn a_lock_that_is_held_is_seen_by_others_and_its_file_goes_if_it_was_made_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".lock");
        let held = HeldLock::take(dir.path()).unwrap();
        assert_eq!(lock_state(dir.path()).unwrap(), LockState::Held { pid: None });
        assert!(matches!(HeldLock::take(dir.path()), Err(StoreError::LockHeld { .. })));
        drop(held);
        assert!(!path.exists());
        File::create(&path).unwrap();
        drop(HeldLock::take(dir.path()).unwrap());
        assert_eq!(lock_state(dir.path()).unwrap(), LockState::Free);
    }
}
