//! The undo data of one change: a directory with the plan, what the files were, and a mark once all is done.
//!
//! | name            | holds                                                          |
//! |-----------------|----------------------------------------------------------------|
//! | `plan`          | the plan as JSON; written last, so whatever has it is complete |
//! | `N.new`         | what step N puts in its place, until it does                   |
//! | `N.old`         | a second name of the file that step N replaces                 |
//! | the file's name | a second name of a file that is removed                        |
//! | the file's name | the bytes that are cut off a log                               |
//! | `tails`         | where these bytes are instead, if they are in another place    |
//! | `finished`      | what the files were when the change was done                   |
//!
//! Under its own name what is lost of a log can be read where it lies, like any partition: it is a log from a later
//! batch on.
//!
//! Without `plan` nothing has been changed yet. With it and without `finished` the change was interrupted, forwards or
//! backwards. Brokers pass over directories in a partition.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::RepairError;
use super::plan::{Fingerprint, Plan, Step};
pub use crate::store::undo_dir::UNDO_DIR_PREFIX;
use crate::store::undo_dir::{FINISHED, PLAN};
use crate::store::write::{Found, WriteStorage};

/// The number of this layout.
const LAYOUT: u32 = 1;

const PLAN_IN_THE_MAKING: &str = "plan.new";
const TAILS: &str = "tails";
const TAILS_IN_THE_MAKING: &str = "tails.new";
const FINISHED_IN_THE_MAKING: &str = "finished.new";

/// The undo data of one change.
#[derive(Clone, Debug)]
pub struct Journal {
    /// Its directory, in the partition.
    pub dir: PathBuf,
    /// The directory for what is cut off logs, which may be much: the same, or one on another disk.
    tails: PathBuf,
}

/// How far a change has come.
#[derive(Debug)]
pub enum Progress {
    /// Nothing was changed: the undo data was not complete.
    Prepared,
    /// Steps may have been taken, forwards or backwards.
    Interrupted(Box<Plan>),
    /// All steps were taken. The files then were these, in the order of the steps; `None` where there was none.
    Finished(Box<Plan>, Vec<Option<Fingerprint>>),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recorded {
    layout: u32,
    plan: Plan,
}

impl Journal {
    /// The undo data to be made in `dir`, a directory of the partition.
    pub fn at(dir: PathBuf) -> Self {
        Self { tails: dir.clone(), dir }
    }

    /// The same with what is cut off logs in a directory of its own, to be made in `place`.
    pub fn with_tails_in(self, place: &Path) -> Self {
        let name =
            |path: Option<&Path>| path.and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
        let (partition, dir) = (name(self.dir.parent()), name(Some(&self.dir)));
        Self { tails: place.join(format!("{partition}{dir}")), ..self }
    }

    /// The undo data that is in `dir`.
    ///
    /// Errors: those of the storage.
    pub fn open(storage: &dyn WriteStorage, dir: PathBuf) -> Result<Self, RepairError> {
        let pointer = dir.join(TAILS);
        let mut journal = Self::at(dir);
        if matches!(storage.look(&pointer)?, Found::File(_)) {
            let tails = PathBuf::from(OsString::from_vec(storage.read_from(&pointer, 0)?));
            let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            // What is in there is removed in the end: it must be a directory of ours.
            if !tails.is_absolute() || !name(&tails).ends_with(&name(&journal.dir)) {
                return Err(journal.bad(format!("{} is no place for undo data", tails.display())));
            }
            journal.tails = tails;
        }
        Ok(journal)
    }

    /// All in a partition directory, oldest first.
    ///
    /// Errors: those of the storage.
    pub fn all_in(storage: &dyn WriteStorage, partition: &Path) -> Result<Vec<Self>, RepairError> {
        let is_one = |name: &OsStr| name.as_encoded_bytes().starts_with(UNDO_DIR_PREFIX.as_bytes());
        let names = storage.list(partition)?;
        let dirs = names.into_iter().filter(|name| is_one(name)).map(|name| partition.join(name));
        dirs.map(|dir| Self::open(storage, dir)).collect()
    }

    /// The file that step `at` is to bring.
    pub fn new_file(&self, at: usize) -> PathBuf {
        self.dir.join(format!("{at}.new"))
    }

    /// Where step `at` keeps what it takes away: the file, or the end of it.
    pub fn kept_file(&self, at: usize, step: &Step) -> PathBuf {
        let name = step.file().file_name().unwrap_or_default();
        match step {
            Step::Replace { .. } => self.dir.join(format!("{at}.old")),
            Step::Remove { .. } => self.dir.join(name),
            Step::CutTail { .. } => self.tails.join(name),
        }
    }

    /// Where what is cut off is kept.
    pub fn tails(&self) -> &Path {
        &self.tails
    }

    /// Writes down and makes last what undoing needs: from here on the change counts as begun.
    ///
    /// Errors: those of the storage.
    pub fn prepare(&self, storage: &dyn WriteStorage, plan: &Plan) -> Result<(), RepairError> {
        storage.create_dir(&self.dir)?;
        let cuts = plan.steps.iter().any(|step| matches!(step, Step::CutTail { .. }));
        if cuts && self.tails != self.dir {
            // Whole or not at all, and before what it leads to.
            self.write_bytes(storage, self.tails.as_os_str().as_encoded_bytes(), TAILS_IN_THE_MAKING, TAILS)?;
            storage.sync_dir(&plan.partition)?;
            storage.create_dir(&self.tails)?;
            storage.sync_dir(self.tails.parent().unwrap_or(Path::new(".")))?;
        }
        for (at, step) in plan.steps.iter().enumerate() {
            match step {
                Step::Replace { new, old, file } => {
                    let path = self.new_file(at);
                    storage.create(&path, &new.bytes)?;
                    storage.set_meta(&path, &new.meta)?;
                    storage.sync(&path)?;
                    if old.is_some() {
                        storage.link(file, &self.kept_file(at, step))?;
                    }
                }
                Step::Remove { file, .. } => storage.link(file, &self.kept_file(at, step))?,
                Step::CutTail { file, to, .. } => {
                    let path = self.kept_file(at, step);
                    storage.copy_tail(file, *to, &path)?;
                    storage.sync(&path)?;
                }
            }
        }
        if cuts && self.tails != self.dir {
            storage.sync_dir(&self.tails)?;
        }
        let recorded = Recorded { layout: LAYOUT, plan: plan.clone() };
        self.write(storage, &recorded, PLAN_IN_THE_MAKING, PLAN)?;
        if let Some(parent) = self.dir.parent() {
            storage.sync_dir(parent)?;
        }
        Ok(())
    }

    /// Says that all steps are taken, and what the files are now.
    ///
    /// Errors: those of the storage.
    pub fn finish(&self, storage: &dyn WriteStorage, now: &[Option<Fingerprint>]) -> Result<(), RepairError> {
        self.write(storage, &now, FINISHED_IN_THE_MAKING, FINISHED)
    }

    /// Takes the mark away before steps are undone: they may be interrupted too.
    ///
    /// Errors: those of the storage.
    pub fn reopen(&self, storage: &dyn WriteStorage) -> Result<(), RepairError> {
        storage.remove(&self.dir.join(FINISHED))?;
        Ok(storage.sync_dir(&self.dir)?)
    }

    /// How far the change has come.
    ///
    /// Errors: those of the storage, [`RepairError::BadJournal`].
    pub fn progress(&self, storage: &dyn WriteStorage) -> Result<Progress, RepairError> {
        let names = storage.list(&self.dir)?;
        let has = |wanted: &str| names.iter().any(|name| name == wanted);
        if !has(PLAN) {
            return Ok(Progress::Prepared);
        }
        let Recorded { layout, mut plan } = self.read(storage, PLAN)?;
        if layout != LAYOUT {
            return Err(self.bad(format!("it has layout {layout}, this release knows {LAYOUT}")));
        }
        self.locate(&mut plan)?;
        let plan = Box::new(plan);
        Ok(match has(FINISHED) {
            true => Progress::Finished(plan, self.read(storage, FINISHED)?),
            false => Progress::Interrupted(plan),
        })
    }

    /// Whether all files are of the partition or its log dir. No others are touched, now or when it is undone.
    ///
    /// Errors: [`RepairError::BadJournal`].
    pub fn is_about_its_partition(&self, plan: &Plan) -> Result<(), RepairError> {
        plan.steps.iter().try_for_each(|step| self.place_of(step, &plan.partition).map(|_| ()))
    }

    /// Says where the files are now: the partition may have been moved with its undo data.
    fn locate(&self, plan: &mut Plan) -> Result<(), RepairError> {
        let was = std::mem::take(&mut plan.partition);
        for step in &mut plan.steps {
            let place = self.place_of(step, &was)?;
            *step.file_mut() = place;
        }
        plan.partition = self.partition().to_owned();
        Ok(())
    }

    fn partition(&self) -> &Path {
        self.dir.parent().unwrap_or(Path::new(""))
    }

    /// Where the file of a step is now, whose partition was `was`.
    fn place_of(&self, step: &Step, was: &Path) -> Result<PathBuf, RepairError> {
        let file = step.file();
        let place = match file.parent() {
            Some(dir) if dir == was => Some(self.partition()),
            Some(dir) if Some(dir) == was.parent() => self.partition().parent(),
            _ => None,
        };
        match (place, file.file_name()) {
            (Some(place), Some(name)) => Ok(place.join(name)),
            _ => Err(self.bad(format!("{} is no file of the partition or its log dir", file.display()))),
        }
    }

    /// Removes the undo data. What it kept is gone then.
    ///
    /// Errors: those of the storage.
    pub fn discard(&self, storage: &dyn WriteStorage) -> Result<(), RepairError> {
        if storage.look(&self.dir)? == Found::Nothing {
            return Ok(());
        }
        if self.tails != self.dir && storage.look(&self.tails)? != Found::Nothing {
            for name in storage.list(&self.tails)? {
                storage.remove(&self.tails.join(name))?;
            }
            storage.remove_dir(&self.tails)?;
            storage.sync_dir(self.tails.parent().unwrap_or(Path::new(".")))?;
        }
        // The plan goes last: as long as it is there, the rest may be asked for.
        let names = storage.list(&self.dir)?;
        let (plan, rest): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| name == PLAN);
        for name in rest {
            storage.remove(&self.dir.join(name))?;
        }
        storage.sync_dir(&self.dir)?;
        for name in plan {
            storage.remove(&self.dir.join(name))?;
        }
        storage.remove_dir(&self.dir)?;
        if let Some(parent) = self.dir.parent() {
            storage.sync_dir(parent)?;
        }
        Ok(())
    }

    fn write(
        &self,
        storage: &dyn WriteStorage,
        value: &impl Serialize,
        making: &str,
        name: &str,
    ) -> Result<(), RepairError> {
        let bytes = serde_json::to_vec_pretty(value).map_err(|error| self.bad(error.to_string()))?;
        self.write_bytes(storage, &bytes, making, name)
    }

    fn write_bytes(
        &self,
        storage: &dyn WriteStorage,
        bytes: &[u8],
        making: &str,
        name: &str,
    ) -> Result<(), RepairError> {
        let making = self.dir.join(making);
        storage.create(&making, bytes)?;
        storage.sync(&making)?;
        storage.rename(&making, &self.dir.join(name))?;
        Ok(storage.sync_dir(&self.dir)?)
    }

    fn read<T: for<'de> Deserialize<'de>>(&self, storage: &dyn WriteStorage, name: &str) -> Result<T, RepairError> {
        let bytes = storage.read_from(&self.dir.join(name), 0)?;
        serde_json::from_slice(&bytes).map_err(|error| self.bad(format!("{name}: {error}")))
    }

    fn bad(&self, why: String) -> RepairError {
        RepairError::BadJournal { undo_dir: self.dir.clone(), why }
    }
}
