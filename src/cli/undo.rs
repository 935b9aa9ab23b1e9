//! `kfsck undo`: what a change has done is taken back, also one that was interrupted.

use std::path::{Path, PathBuf};

use clap::Args;

use super::change::{Change, ChangeArgs, absolute, at_home};
use super::common::{Common, Run, long_help};
use super::exit::Exit;
use super::signals;
use crate::repair::RepairError;
use crate::repair::journal::{Journal, Progress};
use crate::repair::kept::Obstacle;
use crate::repair::plan::Plan;
use crate::repair::undo::{check, undo};
use crate::report::change::{self, UndoWords};
use crate::store::StoreError;
use crate::store::expand::{Target, expand};
use crate::store::log_dir::{identify, log_dir_of};
use crate::store::undo_dir::is_undo_dir;
use crate::store::write::Disk;

/// Arguments of `undo`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = long_help(DETAILS, EXAMPLES))]
pub(crate) struct UndoArgs {
    /// Partition directories, log dirs, or directories with undo data
    #[arg(required = true)]
    paths: Vec<PathBuf>,

    /// Do it: without, what would be done is printed and nothing is touched
    #[arg(long)]
    apply: bool,

    /// List all undo data and change nothing
    #[arg(long, conflicts_with_all = ["apply", "discard"])]
    list: bool,

    /// Remove undo data of changes that are to stay; they cannot be taken back then
    #[arg(long)]
    discard: bool,

    /// With --discard: also where the undo data may be the only copy of what it keeps, because the change was
    /// interrupted or its plan cannot be read
    #[arg(long, requires = "discard")]
    allow_data_loss: bool,

    #[command(flatten)]
    common: Common,
}

const DETAILS: &str = "\
Every change of kfsck keeps undo data in the partition: .kfsck-undo-<time of the change>. Taking it back \
restores bytes, sizes, names, owners, modes and times of the files, and removes the undo data. Of several \
changes the newest is taken back; the next run takes back the one before.

A change that was interrupted (a crash, a full disk) is rolled back in the same way. As long as it is not, \
nothing else is changed in that partition.

Before anything is touched, size and digest of all that is kept are compared with what was recorded, and so are \
the files in place; after that what was brought back is read again. Refused, with the names of the files: undo \
data that is missing, short or altered; files that have changed since; after a cut also logs that have grown and \
new files of segments. Once the cause is removed undo can be repeated. Copies and moved partitions can be undone: \
inodes and times do not count where sizes and digests agree.

Exit status: 0 there is nothing to take back, 4 there is (dry run), 1 it was taken back or removed, 8 refused: a \
broker is running, a file has changed since, something of the undo data is missing.";

const EXAMPLES: &str = "\
Examples:
  kfsck undo --list /data                      all undo data of a log dir
  kfsck undo /data/orders-3                    what would be taken back
  kfsck undo --apply /data/orders-3            take the newest change back
  kfsck undo --discard --apply /data/orders-3  keep all changes, free the space";

/// Runs `undo`.
pub(crate) fn run(args: &UndoArgs) -> Exit {
    let change_args = ChangeArgs::without_plan(args.apply);
    let run = Run::start(&args.common, "undo");
    let mut work = Work { args, run, change: Change::new(&change_args), to_be_undone: Vec::new() };
    for path in &args.paths {
        if let Err(error) = work.path(path) {
            work.run.refused(&error.to_string(), error.hint().as_deref());
        }
        if signals::is_stopped() {
            work.run.interrupted();
            break;
        }
    }
    work.run.finish()
}

struct Work<'a> {
    args: &'a UndoArgs,
    run: Run,
    change: Change<'a>,
    /// The undo data of changes that would be taken back.
    to_be_undone: Vec<PathBuf>,
}

impl Work<'_> {
    fn path(&mut self, path: &Path) -> Result<(), RepairError> {
        let path_is = absolute(path)?;
        if is_undo_dir(&path_is) {
            let partition = path_is.parent().unwrap_or(Path::new("/")).to_owned();
            // What is not there has no undo data that is empty.
            identify(&path_is)?;
            let journal = Journal::open(&Disk, path_is)?;
            return self.partition(&partition, vec![journal]);
        }
        let mut selection = self.args.common.selection();
        selection.segment = None;
        let mut changed = Vec::new();
        for target in expand(&[path], &selection) {
            let looked = match target {
                Ok(Target::Partition(target)) => at_home(&target.path)
                    .map_err(RepairError::from)
                    .and_then(|(partition, _)| Journal::all_in(&Disk, &partition))
                    .map(|journals| changed.push((target.path, journals))),
                Ok(Target::File { path, .. }) => Err(StoreError::NothingSelected {
                    path,
                    wanted: "changes are those of a partition, and this is a file".to_owned(),
                    instead: Some("give the partition's directory".to_owned()),
                }
                .into()),
                Err(error) => Err(error.into()),
            };
            if let Err(error) = looked {
                self.run.refused(&error.to_string(), error.hint().as_deref());
            }
        }
        // Partitions share the checkpoints of their log dir: what was changed last is taken back first.
        let when = |journals: &[Journal]| journals.last().and_then(|newest| Some(newest.dir.file_name()?.to_owned()));
        changed.sort_by_key(|(_, journals)| std::cmp::Reverse(when(journals)));
        if !changed.is_empty() && changed.iter().all(|(_, journals)| journals.is_empty()) {
            self.run.remark(format!("{}: no undo data, nothing to take back", path.display()));
        }
        for (partition, journals) in changed {
            if signals::is_stopped() {
                break;
            }
            if let Err(error) = self.partition(&partition, journals) {
                self.run.refused(&error.to_string(), error.hint().as_deref());
            }
        }
        Ok(())
    }

    /// The changes of one partition, oldest first.
    fn partition(&mut self, partition: &Path, mut journals: Vec<Journal>) -> Result<(), RepairError> {
        journals.reverse();
        if journals.is_empty() {
            return Ok(());
        }
        if self.args.apply
            && let Some(log_dir) = log_dir_of(partition)
        {
            self.change.lock(&log_dir)?;
        }
        match (self.args.list, self.args.discard) {
            (true, _) => journals.iter().for_each(|journal| self.list(partition, journal)),
            (_, true) => {
                for journal in &journals {
                    self.discard(partition, journal)?;
                }
            }
            (false, false) => {
                if let Some(newest) = journals.first() {
                    self.take_back(partition, newest)?;
                }
                if journals.len() > 1 {
                    let (older, path) = (journals.len() - 1, partition.display());
                    self.run.remark(format!("{path}: changes before that one, which can be taken back next: {older}"));
                }
            }
        }
        Ok(())
    }

    fn list(&mut self, partition: &Path, journal: &Journal) {
        match journal.progress(&Disk) {
            Ok(progress) => self.say(partition, journal, &progress, "kept"),
            Err(error) => {
                self.run.refused(&error.to_string(), error.hint().as_deref());
                let words =
                    UndoWords { partition, undo_dir: &journal.dir, state: "unreadable", plan: None, outcome: "kept" };
                change::undo(&mut self.run.reporter, &mut self.run.output.buffer, words);
            }
        }
    }

    fn take_back(&mut self, partition: &Path, journal: &Journal) -> Result<(), RepairError> {
        let progress = journal.progress(&Disk)?;
        if !self.args.apply {
            match check(&Disk, journal, &progress) {
                Err(RepairError::CannotUndo { obstacles, .. }) if self.go_before(&obstacles) => {}
                checked => checked?,
            }
            self.to_be_undone.push(journal.dir.clone());
            self.say(partition, journal, &progress, "restores");
            self.run.errors_left();
            return Ok(());
        }
        undo(&Disk, journal)?;
        self.say(partition, journal, &progress, "restored");
        self.run.corrected();
        Ok(())
    }

    /// Whether nothing is in the way but changes that this run would take back before.
    fn go_before(&self, obstacles: &[Obstacle]) -> bool {
        obstacles.iter().all(|obstacle| match obstacle {
            Obstacle::NewerChanges { undo_dirs, .. } => undo_dirs.iter().all(|dir| self.to_be_undone.contains(dir)),
            _ => false,
        })
    }

    fn discard(&mut self, partition: &Path, journal: &Journal) -> Result<(), RepairError> {
        let progress = journal.progress(&Disk);
        if matches!(progress, Err(RepairError::BadJournal { .. }) | Ok(Progress::Interrupted(_))) {
            let (undo_dir, files) = (journal.dir.clone(), journal.kept_files(&Disk)?);
            let only_copy = RepairError::OnlyCopy { undo_dir, files };
            if !self.args.allow_data_loss {
                return Err(only_copy);
            }
            self.run.remark(only_copy.to_string());
        }
        let (state, plan) = match &progress {
            Ok(progress) => state_of(progress),
            Err(RepairError::BadJournal { .. }) => ("unreadable", None),
            Err(_) => return progress.map(|_| ()),
        };
        if self.args.apply {
            journal.discard(&Disk)?;
            self.run.corrected();
        } else {
            self.run.errors_left();
        }
        let outcome = if self.args.apply { "discarded" } else { "discards" };
        let words = UndoWords { partition, undo_dir: &journal.dir, state, plan, outcome };
        change::undo(&mut self.run.reporter, &mut self.run.output.buffer, words);
        Ok(())
    }

    fn say(&mut self, partition: &Path, journal: &Journal, progress: &Progress, outcome: &str) {
        let (state, plan) = state_of(progress);
        let words = UndoWords { partition, undo_dir: &journal.dir, state, plan, outcome };
        change::undo(&mut self.run.reporter, &mut self.run.output.buffer, words);
    }
}

/// How a change stands, in a word, and its plan.
fn state_of(progress: &Progress) -> (&'static str, Option<&Plan>) {
    let state = match progress {
        Progress::Prepared => "prepared",
        Progress::Interrupted(_) => "interrupted",
        Progress::Finished(..) => "finished",
        Progress::Discarding => "discarding",
    };
    (state, progress.record().map(|record| &record.plan))
}
