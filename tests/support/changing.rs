//! What tests of commands that write have in common: what a directory holds in every respect, and runs of the program.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::{copy_log_dir, copy_partition, json_output, kfsck, testdata};

/// Content, owner, group, mode, time of modification.
pub type Tree = BTreeMap<PathBuf, (Vec<u8>, u32, u32, u32, (i64, i64))>;

/// When all files of a copy were last modified.
pub fn long_ago() -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(1_700_000_000_123)
}

/// All files below a directory, but for undo data, and for the lock: to open and close it would let go of it.
pub fn tree(dir: &Path) -> Tree {
    let mut found = Tree::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let is_undo_data = path.file_name().unwrap().to_string_lossy().contains(".kfsck-");
        if path.is_dir() && !is_undo_data {
            found.extend(tree(&path));
        } else if path.is_file() && path.file_name().unwrap() != ".lock" {
            let it = fs::metadata(&path).unwrap();
            let facts = (fs::read(&path).unwrap(), it.uid(), it.gid(), it.mode(), (it.mtime(), it.mtime_nsec()));
            found.insert(path, facts);
        }
    }
    found
}

/// The undo data of a partition, oldest first.
pub fn undo_dirs(partition: &Path) -> Vec<PathBuf> {
    let dirs = fs::read_dir(partition).unwrap().map(|entry| entry.unwrap().path());
    let mut dirs: Vec<_> = dirs.filter(|path| path.to_string_lossy().contains(".kfsck-undo-")).collect();
    dirs.sort();
    dirs
}

/// What a command says and how it ends.
pub struct Said {
    pub status: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Said {
    /// The rows of a type.
    pub fn rows(&self, kind: &str) -> Vec<Value> {
        let rows = json_output(self.stdout.as_bytes()).unwrap();
        rows.into_iter().filter(|row| row["type"] == kind).collect()
    }

    /// The first row of a type.
    pub fn row(&self, kind: &str) -> Value {
        self.rows(kind).into_iter().next().unwrap_or_else(|| panic!("no {kind} in {}{}", self.stdout, self.stderr))
    }

    /// All of it, for the message of a failed test.
    pub fn all(&self) -> String {
        format!("exit {:?}\n{}{}", self.status, self.stdout, self.stderr)
    }
}

/// Runs the program on a path.
pub fn run(command: &str, arguments: &[&str], path: &Path) -> Said {
    let mut words = vec![command];
    words.extend(arguments);
    words.push(path.to_str().unwrap());
    let done = kfsck(Path::new("/"), words);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said { status: done.status, stdout: text(done.stdout), stderr: text(done.stderr) }
}

/// A loose copy of a partition of `testdata/real`.
pub fn loose_copy(partition: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = copy_partition(&testdata().join(partition), dir.path(), long_ago());
    (dir, path.canonicalize().unwrap())
}

/// A copy of a log dir.
pub fn log_dir_copy(log_dir: &Path) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().canonicalize().unwrap().join("data");
    copy_log_dir(log_dir, &path, long_ago());
    (dir, path)
}

/// Takes back all changes there are.
///
/// Errors: what the command said.
pub fn undo_all(path: &Path) -> Result<(), String> {
    for _ in 0..20 {
        let undone = run("undo", &["--apply"], path);
        match undone.status {
            Some(0) => return Ok(()),
            Some(1) => {}
            _ => return Err(undone.all()),
        }
    }
    Err("there is always something to undo".to_owned())
}

/// Holds the lock on a log dir, as a broker does, until the file is closed.
pub fn hold_lock(log_dir: &Path) -> File {
    let lock = File::create(log_dir.join(".lock")).unwrap();
    let whole_file = nix::libc::flock {
        l_type: nix::libc::F_WRLCK as _,
        l_whence: nix::libc::SEEK_SET as _,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    nix::fcntl::fcntl(&lock, nix::fcntl::FcntlArg::F_SETLK(&whole_file)).unwrap();
    lock
}
