//! A disk that forgets: what was not synced may be there after a crash, or not, each write and each name on its own.
//!
//! Every operation is counted; at one of them the disk can stop (a crash), or fail as a full or broken one does. After a
//! crash [`SimDisk::after_crash`] makes every disk that could be found then.

use std::cell::RefCell;
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::fs;
use std::hash::{Hash, Hasher};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use kfsck::repair::RepairError;
use kfsck::repair::journal::{Journal, Progress};
use kfsck::repair::undo::undo;
use kfsck::store::StoreError;
use kfsck::store::write::{FileId, FileMeta, Found, WriteStorage};

/// What happens at the operation whose number is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing more is done.
    Crash,
    /// The operation fails with this code of the system; a write has then been done half. All later ones work.
    Errno(i32),
    /// Other bytes are written than should be, and nobody says so.
    Garble,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Content {
    bytes: Vec<u8>,
    meta: FileMeta,
}

#[derive(Clone, Debug)]
enum Change {
    WriteAt(u64, Vec<u8>),
    Cut(u64),
    Meta(FileMeta),
}

#[derive(Clone, Debug)]
struct Inode {
    number: u64,
    /// How often it was changed.
    changes: i64,
    durable: Content,
    pending: Vec<Change>,
}

#[derive(Clone, Debug, Default)]
struct Directory {
    durable: BTreeMap<OsString, usize>,
    /// Names in the order in which they were given (an inode) or taken (none).
    pending: Vec<(OsString, Option<usize>)>,
}

#[derive(Clone, Debug, Default)]
struct State {
    inodes: Vec<Inode>,
    dirs: BTreeMap<PathBuf, Directory>,
    operations: usize,
}

/// The disk.
pub struct SimDisk {
    state: RefCell<State>,
    fault: Option<(usize, Fault)>,
    free_bytes: u64,
}

/// What a directory tree holds: bytes, owner, mode and time by path.
pub type Tree = BTreeMap<PathBuf, (Vec<u8>, FileMeta)>;

fn applied(mut content: Content, change: &Change) -> Content {
    match change {
        Change::WriteAt(at, bytes) => {
            let at = *at as usize;
            let end = at + bytes.len();
            if content.bytes.len() < end {
                content.bytes.resize(end, 0);
            }
            content.bytes[at..end].copy_from_slice(bytes);
        }
        Change::Cut(size) => content.bytes.resize(*size as usize, 0),
        Change::Meta(meta) => content.meta = *meta,
    }
    content
}

impl Inode {
    fn current(&self) -> Content {
        self.pending.iter().fold(self.durable.clone(), applied)
    }

    /// Every content that may be found after a crash: any subset of what was not synced, in order; of a write also
    /// its first half alone.
    fn possible(&self) -> Vec<Content> {
        let mut states = vec![self.durable.clone()];
        for change in &self.pending {
            let mut more = Vec::new();
            for state in &states {
                more.push(applied(state.clone(), change));
                if let Change::WriteAt(at, bytes) = change
                    && bytes.len() > 1
                {
                    let half = Change::WriteAt(*at, bytes[..bytes.len() / 2].to_vec());
                    more.push(applied(state.clone(), &half));
                }
            }
            for state in more {
                if !states.contains(&state) {
                    states.push(state);
                }
            }
        }
        states
    }
}

impl Directory {
    fn current(&self) -> BTreeMap<OsString, usize> {
        let mut names = self.durable.clone();
        for (name, inode) in &self.pending {
            match inode {
                Some(inode) => names.insert(name.clone(), *inode),
                None => names.remove(name),
            };
        }
        names
    }
}

impl SimDisk {
    /// A disk that holds what is in the directory trees `roots` of the real one.
    pub fn holding(roots: &[&Path]) -> Self {
        let disk = Self { state: RefCell::default(), fault: None, free_bytes: 1 << 40 };
        roots.iter().for_each(|root| disk.load(root));
        disk
    }

    fn load(&self, dir: &Path) {
        let mut directory = Directory::default();
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            if metadata.is_dir() {
                self.load(&path);
                continue;
            }
            let meta = FileMeta {
                uid: metadata.uid(),
                gid: metadata.gid(),
                mode: metadata.mode() & 0o7777,
                modified: (metadata.mtime(), metadata.mtime_nsec() as u32),
            };
            let mut state = self.state.borrow_mut();
            let at = state.inodes.len();
            let durable = Content { bytes: fs::read(&path).unwrap(), meta };
            state.inodes.push(Inode { number: at as u64 + 1, changes: 0, durable, pending: Vec::new() });
            directory.durable.insert(path.file_name().unwrap().to_owned(), at);
        }
        self.state.borrow_mut().dirs.insert(dir.to_owned(), directory);
    }

    /// The same, to stop or fail at the operation with this number.
    pub fn failing_at(&self, operation: usize, fault: Fault) -> Self {
        let mut state = self.state.borrow().clone();
        state.operations = 0;
        Self { state: RefCell::new(state), fault: Some((operation, fault)), free_bytes: self.free_bytes }
    }

    /// The same with so much space left.
    pub fn with_free_bytes(&self, free_bytes: u64) -> Self {
        Self { free_bytes, ..self.failing_at(usize::MAX, Fault::Crash) }
    }

    /// How many operations were done.
    pub fn operations(&self) -> usize {
        self.state.borrow().operations
    }

    /// All files as a program sees them now.
    pub fn tree(&self) -> Tree {
        let state = self.state.borrow();
        let mut tree = Tree::new();
        for (dir, directory) in &state.dirs {
            for (name, inode) in directory.current() {
                let Content { bytes, meta } = state.inodes[inode].current();
                tree.insert(dir.join(name), (bytes, meta));
            }
        }
        tree
    }

    /// The directories there are.
    pub fn dirs(&self) -> Vec<PathBuf> {
        self.state.borrow().dirs.keys().cloned().collect()
    }

    /// Whether nobody has seen this disk before: names, files, what they hold. Two names of one file are told from two
    /// files. `seen` keeps account.
    pub fn is_new(&self, seen: &mut HashSet<u64>) -> bool {
        let state = self.state.borrow();
        let mut hash = DefaultHasher::new();
        for (dir, directory) in &state.dirs {
            dir.hash(&mut hash);
            for (name, inode) in directory.current() {
                let Content { bytes, meta } = state.inodes[inode].current();
                (name, inode, bytes, meta.uid, meta.gid, meta.mode, meta.modified).hash(&mut hash);
            }
        }
        seen.insert(hash.finish())
    }

    /// Every disk that may be found after the power went now, each once: any subset of unsynced writes and names.
    pub fn after_crash(&self) -> Vec<Self> {
        let state = self.state.borrow();
        let mut found = vec![State { operations: 0, ..state.clone() }];
        let has_name = |at: usize| {
            state.dirs.values().any(|directory| {
                directory.durable.values().any(|inode| *inode == at)
                    || directory.pending.iter().any(|(_, inode)| *inode == Some(at))
            })
        };
        for at in (0..state.inodes.len()).filter(|at| has_name(*at)) {
            let possible = state.inodes[at].possible();
            let each = |old: &State, content: &Content| {
                let mut new = old.clone();
                new.inodes[at].durable = content.clone();
                new.inodes[at].pending.clear();
                new
            };
            found = found.iter().flat_map(|old| possible.iter().map(move |content| each(old, content))).collect();
        }
        for (dir, directory) in &state.dirs {
            let mut names: Vec<_> = directory.pending.iter().map(|(name, _)| name.clone()).collect();
            names.sort_unstable();
            names.dedup();
            for name in &names {
                let later = directory.pending.iter().filter(|(other, _)| other == name).map(|(_, inode)| *inode);
                let mut possible: Vec<_> = std::iter::once(directory.durable.get(name).copied()).chain(later).collect();
                possible.sort_unstable();
                possible.dedup();
                let each = |old: &State, inode: Option<usize>| {
                    let mut new = old.clone();
                    let durable = &mut new.dirs.get_mut(dir).unwrap().durable;
                    match inode {
                        Some(inode) => durable.insert(name.clone(), inode),
                        None => durable.remove(name),
                    };
                    new
                };
                let each = &each;
                found = found.iter().flat_map(|old| possible.iter().map(move |inode| each(old, *inode))).collect();
            }
        }
        for state in &mut found {
            state.dirs.values_mut().for_each(|directory| directory.pending.clear());
        }
        let free_bytes = self.free_bytes;
        let mut seen = HashSet::new();
        let found = found.into_iter().map(|state| Self { state: RefCell::new(state), fault: None, free_bytes });
        found.filter(|disk| disk.is_new(&mut seen)).collect()
    }

    fn begin(&self, path: &Path) -> Result<(), StoreError> {
        let number = self.state.borrow().operations;
        let failed = |code| StoreError::Io {
            operation: "change",
            path: path.to_owned(),
            source: io::Error::from_raw_os_error(code),
        };
        match self.fault {
            Some((at, Fault::Crash)) if number >= at => return Err(failed(nix::libc::EIO)),
            Some((at, Fault::Errno(code))) if number == at => {
                self.state.borrow_mut().operations += 1;
                return Err(failed(code));
            }
            _ => {}
        }
        self.state.borrow_mut().operations += 1;
        Ok(())
    }

    /// Begins an operation that writes `bytes`: where it is the one to fail, half of them are written.
    fn begin_write(&self, path: &Path, half: impl FnOnce()) -> Result<(), StoreError> {
        let number = self.state.borrow().operations;
        if matches!(self.fault, Some((at, Fault::Errno(_))) if at == number) {
            half();
        }
        self.begin(path)
    }

    fn missing(path: &Path) -> StoreError {
        StoreError::Io { operation: "find", path: path.to_owned(), source: io::Error::from(io::ErrorKind::NotFound) }
    }

    fn inode(&self, path: &Path) -> Result<usize, StoreError> {
        let state = self.state.borrow();
        let directory = state.dirs.get(path.parent().unwrap()).ok_or_else(|| Self::missing(path))?;
        directory.current().get(path.file_name().unwrap()).copied().ok_or_else(|| Self::missing(path))
    }

    fn name(&self, path: &Path, inode: Option<usize>) {
        let mut state = self.state.borrow_mut();
        let directory = state.dirs.get_mut(path.parent().unwrap()).expect("a directory");
        directory.pending.push((path.file_name().unwrap().to_owned(), inode));
    }

    fn change(&self, inode: usize, change: Change) {
        let inode = &mut self.state.borrow_mut().inodes[inode];
        inode.changes += 1;
        inode.pending.push(change);
    }

    fn make(&self, path: &Path, bytes: &[u8]) {
        let inode = {
            let mut state = self.state.borrow_mut();
            let number = state.inodes.len() as u64 + 1;
            let meta = FileMeta { uid: 0, gid: 0, mode: 0o600, modified: (number as i64, 0) };
            let durable = Content { bytes: Vec::new(), meta };
            state.inodes.push(Inode { number, changes: 0, durable, pending: vec![Change::WriteAt(0, bytes.to_vec())] });
            state.inodes.len() - 1
        };
        self.name(path, Some(inode));
    }
}

impl WriteStorage for SimDisk {
    fn look(&self, path: &Path) -> Result<Found, StoreError> {
        if self.state.borrow().dirs.contains_key(path) {
            return Ok(Found::Other);
        }
        let Ok(at) = self.inode(path) else { return Ok(Found::Nothing) };
        let state = self.state.borrow();
        let names = state.dirs.values().flat_map(Directory::current_inodes).filter(|inode| *inode == at).count();
        let content = state.inodes[at].current();
        Ok(Found::File(FileId {
            device: 1,
            inode: state.inodes[at].number,
            links: names as u64,
            size_in_bytes: content.bytes.len() as u64,
            meta: content.meta,
            changed: (state.inodes[at].changes, 0),
        }))
    }

    fn list(&self, dir: &Path) -> Result<Vec<OsString>, StoreError> {
        let state = self.state.borrow();
        let files = state.dirs.get(dir).map(|directory| directory.current().into_keys().collect::<Vec<_>>());
        let inside = state.dirs.keys().filter(|path| path.parent() == Some(dir));
        let mut names = files.unwrap_or_default();
        names.extend(inside.filter_map(|path| Some(path.file_name()?.to_owned())));
        names.sort_unstable();
        Ok(names)
    }

    fn read_from(&self, path: &Path, position: u64) -> Result<Vec<u8>, StoreError> {
        let at = self.inode(path)?;
        Ok(self.state.borrow().inodes[at].current().bytes.split_off(position as usize))
    }

    fn read_at(&self, path: &Path, position: u64, length: usize) -> Result<Vec<u8>, StoreError> {
        let bytes = self.inode(path).map(|at| self.state.borrow().inodes[at].current().bytes)?;
        let from = bytes.len().min(position as usize);
        Ok(bytes[from..bytes.len().min(from + length)].to_vec())
    }

    fn create_dir(&self, dir: &Path) -> Result<(), StoreError> {
        self.begin(dir)?;
        // A directory is there at once: whether its name is kept in a crash makes no difference to those in it.
        self.state.borrow_mut().dirs.insert(dir.to_owned(), Directory::default());
        Ok(())
    }

    fn create(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        self.begin_write(path, || self.make(path, &bytes[..bytes.len() / 2]))?;
        self.make(path, bytes);
        Ok(())
    }

    fn copy_tail(&self, from: &Path, position: u64, to: &Path) -> Result<(), StoreError> {
        let bytes = self.read_from(from, position)?;
        self.begin_write(to, || self.make(to, &bytes[..bytes.len() / 2]))?;
        self.make(to, &bytes);
        Ok(())
    }

    fn paste_tail(&self, tail: &Path, path: &Path, position: u64) -> Result<(), StoreError> {
        let (mut bytes, at) = (self.read_from(tail, 0)?, self.inode(path)?);
        if self.fault == Some((self.operations(), Fault::Garble)) {
            bytes.iter_mut().for_each(|byte| *byte ^= 0x55);
        }
        let half = bytes[..bytes.len() / 2].to_vec();
        self.begin_write(path, || self.change(at, Change::WriteAt(position, half)))?;
        self.change(at, Change::WriteAt(position, bytes));
        Ok(())
    }

    fn cut(&self, path: &Path, size_in_bytes: u64) -> Result<(), StoreError> {
        self.begin(path)?;
        self.change(self.inode(path)?, Change::Cut(size_in_bytes));
        Ok(())
    }

    fn set_meta(&self, path: &Path, meta: &FileMeta) -> Result<(), StoreError> {
        self.begin(path)?;
        self.change(self.inode(path)?, Change::Meta(*meta));
        Ok(())
    }

    fn sync(&self, path: &Path) -> Result<(), StoreError> {
        self.begin(path)?;
        let at = self.inode(path)?;
        let inode = &mut self.state.borrow_mut().inodes[at];
        inode.durable = inode.current();
        inode.pending.clear();
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> Result<(), StoreError> {
        self.begin(dir)?;
        let mut state = self.state.borrow_mut();
        let directory = state.dirs.get_mut(dir).ok_or_else(|| Self::missing(dir))?;
        directory.durable = directory.current();
        directory.pending.clear();
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), StoreError> {
        self.begin(to)?;
        let inode = self.inode(from)?;
        if self.inode(to).is_ok_and(|other| other == inode) {
            return Ok(());
        }
        self.name(to, Some(inode));
        self.name(from, None);
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> Result<(), StoreError> {
        self.begin(to)?;
        let inode = self.inode(from)?;
        assert!(self.inode(to).is_err(), "{} is there already", to.display());
        self.name(to, Some(inode));
        Ok(())
    }

    fn remove(&self, path: &Path) -> Result<(), StoreError> {
        self.begin(path)?;
        self.inode(path)?;
        self.name(path, None);
        Ok(())
    }

    fn remove_dir(&self, dir: &Path) -> Result<(), StoreError> {
        self.begin(dir)?;
        assert!(self.list(dir)?.is_empty(), "{} is not empty", dir.display());
        self.state.borrow_mut().dirs.remove(dir);
        Ok(())
    }

    fn free_bytes(&self, _: &Path) -> Result<u64, StoreError> {
        Ok(self.free_bytes)
    }
}

impl Directory {
    fn current_inodes(&self) -> impl Iterator<Item = usize> + use<> {
        self.current().into_values()
    }
}

/// How much [`faults_and_crashes`] has tried.
pub struct Tried {
    /// Different disks after a crash.
    pub disks: usize,
    /// Those on which the change was finished.
    pub finished: usize,
    /// Operations of the whole change.
    pub operations: usize,
}

/// Has `change`, whose undo data is `journal`, fail at each of its operations, and crash before each: then there is what
/// was before, or what is after, or what undoing makes the same as before.
pub fn faults_and_crashes(
    disk: &SimDisk,
    journal: &Journal,
    change: impl Fn(&SimDisk) -> Result<(), RepairError>,
) -> Tried {
    let without_undo_data = |disk: &SimDisk| {
        let is_other = |file: &PathBuf| !file.to_string_lossy().contains(".kfsck-");
        disk.tree().into_iter().filter(|(file, _)| is_other(file)).collect::<BTreeMap<_, _>>()
    };
    let before = disk.tree();
    let whole = disk.failing_at(usize::MAX, Fault::Crash);
    change(&whole).unwrap();
    let after = without_undo_data(&whole);
    let (mut seen, mut finished) = (HashSet::new(), 0);
    for at in 0..whole.operations() {
        for code in [nix::libc::ENOSPC, nix::libc::EIO, nix::libc::EROFS, nix::libc::EACCES] {
            let failing = disk.failing_at(at, Fault::Errno(code));
            let error = change(&failing).unwrap_err();
            assert!(!matches!(error, RepairError::Stuck { .. }), "{at}: {error}");
            assert_eq!(failing.tree(), before, "{at}: {error}");
        }
        let crashed = disk.failing_at(at, Fault::Crash);
        change(&crashed).unwrap_err();
        for found in crashed.after_crash().into_iter().filter(|found| found.is_new(&mut seen)) {
            match journal.progress(&found).unwrap() {
                Progress::Finished(..) => {
                    finished += 1;
                    assert_eq!(without_undo_data(&found), after);
                }
                Progress::Prepared | Progress::Interrupted(_) | Progress::Discarding => {
                    undo(&found, journal).unwrap();
                    assert_eq!(found.tree(), before, "crash before operation {at}");
                }
            }
        }
    }
    Tried { disks: seen.len(), finished, operations: whole.operations() }
}
