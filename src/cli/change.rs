//! What commands that write have in common: dry by default, the broker's lock, plans shown and done, undo data.

use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::common::Run;
use super::progress::Progress;
use super::signals;
use crate::format::Offset;
use crate::format::file_name::FileKind;
use crate::repair::RepairError;
use crate::repair::apply::{apply, refuse_if_unfinished};
use crate::repair::journal::{Journal, UNDO_DIR_PREFIX};
use crate::repair::plan::Plan;
use crate::report::change::{self, PlanWords};
use crate::scan::checkpoints::Checkpoints;
use crate::store::StoreError;
use crate::store::broker_lock::HeldLock;
use crate::store::log_dir::log_dir_of;
use crate::store::partition::PartitionDir;
use crate::store::shell::quoted;
use crate::store::undo_dir::is_undo_dir;
use crate::store::write::{Disk, Found, WriteStorage};

/// Options of every command that writes.
#[derive(Args, Clone, Debug)]
pub(crate) struct ChangeArgs {
    /// Do it: without, the plan is printed and nothing is touched
    #[arg(long)]
    pub(crate) apply: bool,

    /// Do it only if the plan has this digest (repeatable)
    ///
    /// A dry run prints it
    #[arg(long, value_name = "DIGEST", requires = "apply")]
    expect: Vec<String>,

    /// Keep what is cut off logs in a directory made in DIR, for want of space in the partition
    #[arg(long, value_name = "DIR", hide_short_help = true)]
    undo_dir: Option<PathBuf>,
}

impl ChangeArgs {
    /// Those of a command that makes no plans itself.
    pub(crate) fn without_plan(apply: bool) -> Self {
        Self { apply, expect: Vec::new(), undo_dir: None }
    }
}

/// A partition that may be changed.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// Its absolute path.
    pub(crate) path: PathBuf,
    /// Its log dir; `None` for a loose copy, which no broker can be using.
    pub(crate) log_dir: Option<PathBuf>,
    /// Whether a broker is running on the log dir: never where something is to be applied.
    pub(crate) is_live: bool,
    /// Whether the log dir was closed in order.
    pub(crate) clean_shutdown: bool,
}

impl Place {
    /// The log start offset in the checkpoint of the log dir.
    pub(crate) fn log_start_offset(&self, dir: &PartitionDir) -> Option<Offset> {
        let (log_dir, name) = (self.log_dir.as_ref()?, dir.name.as_ref()?);
        Checkpoints::read(log_dir).of(name).log_start_offset
    }
}

/// What has become of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was shown.
    Planned,
    /// It was done.
    Applied,
    /// It was not done, or taken back; the user was told why.
    Refused,
}

/// A run of a command that writes. Locks are held until it goes.
pub(crate) struct Change<'a> {
    args: &'a ChangeArgs,
    locks: Vec<(PathBuf, HeldLock)>,
    /// The milliseconds that the last undo data is named after: of changes that share files the order must show.
    named: i64,
    /// What must be out of the way when something is said.
    pub(crate) progress: Progress,
}

impl<'a> Change<'a> {
    pub(crate) fn new(args: &'a ChangeArgs) -> Self {
        Self { args, locks: Vec::new(), named: i64::MIN, progress: Progress::default() }
    }

    /// Makes sure that the partition may be changed: takes the lock on its log dir, if something is to be applied, and
    /// refuses where an earlier change was interrupted.
    ///
    /// Errors: [`StoreError::LockHeld`] and [`RepairError::Unfinished`] in words of their own, those of the storage.
    pub(crate) fn open(&mut self, run: &mut Run, partition: &Path) -> Result<Place, RepairError> {
        let (path, log_dir) = at_home(partition)?;
        if is_undo_dir(&path) {
            return Err(StoreError::is_undo_data(partition).into());
        }
        let is_live = match &log_dir {
            Some(log_dir) if self.args.apply => {
                self.lock(log_dir)?;
                false
            }
            Some(log_dir) => run.broker_runs_in(log_dir),
            None => false,
        };
        match refuse_if_unfinished(&Disk, &path) {
            Err(error) if !self.args.apply => {
                run.remark(error.to_string());
                error.hint().into_iter().for_each(|hint| run.remark(hint));
            }
            refused_or_not => refused_or_not?,
        }
        let marker = FileKind::CleanShutdown.fixed_name().unwrap_or_default();
        let clean_shutdown = log_dir.as_ref().is_some_and(|log_dir| log_dir.join(marker).is_file());
        Ok(Place { path, log_dir, is_live, clean_shutdown })
    }

    /// Holds the lock on a log dir from now on.
    pub(crate) fn lock(&mut self, log_dir: &Path) -> Result<(), StoreError> {
        let log_dir = absolute(log_dir)?;
        if !self.locks.iter().any(|(held, _)| *held == log_dir) {
            let lock = HeldLock::take(&log_dir)?;
            self.locks.push((log_dir, lock));
        }
        Ok(())
    }

    /// Shows a plan and, if that is wanted, does it. `verify` looks at the result and says what is wrong with it: then
    /// everything is taken back.
    pub(crate) fn carry_out(
        &mut self,
        run: &mut Run,
        place: &Place,
        plan: &Plan,
        words: PlanWords<'_>,
        verify: &mut dyn FnMut() -> Result<(), String>,
    ) -> Outcome {
        self.show(run, place, plan, words);
        // Before anything is done, and before what may be said about that on standard error.
        if let Err(error) = self.progress.aside(|| run.output.flush()) {
            run.cannot_write(&error);
            // Who has not been told what is done could not take it back.
            if error.kind() != std::io::ErrorKind::BrokenPipe {
                return Outcome::Refused;
            }
        }
        if plan.steps.is_empty() || !self.args.apply {
            return Outcome::Planned;
        }
        let digest = plan.digest();
        if !self.args.expect.is_empty() && !self.args.expect.contains(&digest) {
            let why = format!("the plan for {} is another one now: {digest}", plan.partition.display());
            self.progress.aside(|| run.refused(&why, Some("nothing was changed; look at the plan again")));
            return Outcome::Refused;
        }
        let done = self.journal(plan).and_then(|journal| {
            apply(&Disk, plan, &journal, Some(signals::stop()), verify)?;
            Ok(journal)
        });
        match done {
            Ok(journal) => {
                let command = format!("kfsck undo --apply {}", quoted(&journal.dir));
                // Of a log that was cut, the undo data are the end.
                let cut_off = plan.loses.records > 0 && self.args.undo_dir.is_none();
                let read_command = cut_off.then(|| format!("kfsck dump-log -r {}", quoted(&journal.dir)));
                change::applied(&mut run.reporter, &mut run.output.buffer, plan, &command, read_command.as_deref());
                run.undo_commands.push(command);
                Outcome::Applied
            }
            Err(error) => {
                let is_as_before = !matches!(error, RepairError::Stuck { .. });
                let path = plan.partition.display();
                let as_before = if is_as_before { format!("; {path} is as it was before") } else { String::new() };
                let why = format!("{error}{as_before}");
                self.progress.aside(|| run.refused(&why, error.hint().as_deref()));
                Outcome::Refused
            }
        }
    }

    /// Shows a plan.
    pub(crate) fn show(&self, run: &mut Run, place: &Place, plan: &Plan, words: PlanWords<'_>) {
        let loose = "a loose copy: there is no lock that would keep a broker away".to_owned();
        let mut remarks = words.remarks.to_vec();
        remarks.extend(place.log_dir.is_none().then_some(loose));
        let words = PlanWords { remarks: &remarks, ..words };
        change::plan(&mut run.reporter, &mut run.output.buffer, plan, words);
    }

    fn journal(&mut self, plan: &Plan) -> Result<Journal, RepairError> {
        let mut millisecond = Timestamp::now().as_millisecond().max(self.named.saturating_add(1));
        loop {
            let now = Timestamp::from_millisecond(millisecond).unwrap_or_default().to_zoned(TimeZone::UTC);
            let name = format!("{UNDO_DIR_PREFIX}{}", now.strftime("%Y%m%dT%H%M%S.%3fZ"));
            let dir = plan.partition.join(name);
            if Disk.look(&dir)? == Found::Nothing {
                self.named = millisecond;
                let journal = Journal::at(dir);
                let Some(place) = &self.args.undo_dir else { return Ok(journal) };
                let place = absolute(place)?;
                if place.ancestors().any(|dir| log_dir_of(&dir.join("any")).is_some()) {
                    return Err(RepairError::UndoDirInLogDir { dir: place });
                }
                return Ok(journal.with_tails_in(&place));
            }
            millisecond += 1;
        }
    }
}

/// Where a partition is, and its log dir, if it has one: then the partition is in there, also for a link from elsewhere.
pub(crate) fn at_home(partition: &Path) -> Result<(PathBuf, Option<PathBuf>), StoreError> {
    let path = absolute(partition)?;
    let log_dir = log_dir_of(&path);
    if log_dir.is_none() || log_dir.as_deref() == path.parent() {
        return Ok((path, log_dir));
    }
    let failed = |source| StoreError::Io { operation: "find", path: path.clone(), source };
    Ok((path.canonicalize().map_err(failed)?, log_dir))
}

/// Where `path` is, whatever directory the command is run in. A link at the end of it stays: a partition may be one.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, StoreError> {
    let canonical = |path: &Path| {
        let failed = |source| StoreError::Io { operation: "find", path: path.to_owned(), source };
        path.canonicalize().map_err(failed)
    };
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) if parent.as_os_str().is_empty() => Ok(canonical(Path::new("."))?.join(name)),
        (Some(parent), Some(name)) => Ok(canonical(parent)?.join(name)),
        _ => canonical(path),
    }
}
