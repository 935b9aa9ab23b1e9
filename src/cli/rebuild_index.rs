//! `kfsck rebuild-index`: indexes as Kafka's own recovery writes them, made from the log again.

mod tasks;

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use clap::{Args, ValueEnum};

use super::change::{Change, ChangeArgs, Outcome};
use super::common::{Common, Run, long_help};
use super::exit::Exit;
use super::jobs::JobsArg;
use super::progress::{Progress, ProgressArg};
use super::signals;
use super::values::parse_size;
use crate::check::Severity;
use crate::check::segment::Worker;
use crate::format::compression::DEFAULT_LIMIT;
use crate::format::file_name::FileKind;
use crate::repair::RepairError;
use crate::repair::rebuild::{self, MOST_BYTES_A_PLAN, Planner, Rebuild, RebuildOptions};
use crate::report::change::{self, PlanWords};
use crate::report::reporter::Format;
use crate::report::row::path_text;
use crate::store::shell::quoted;
use crate::store::write::Disk;
use tasks::{Answer, Targets, Unit};

/// Arguments of `rebuild-index`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = long_help(DETAILS, EXAMPLES))]
pub(crate) struct RebuildIndexArgs {
    /// Partition directories, log dirs (with -t for some of their partitions), or files of segments
    #[arg(required = true)]
    paths: Vec<PathBuf>,

    /// Make all indexes again, not only those that are wrong or missing
    #[arg(long)]
    all: bool,

    /// Only these kinds of index
    #[arg(long, value_enum, value_delimiter = ',', value_name = "KINDS")]
    only: Vec<Kind>,

    /// `index.interval.bytes` of the topic: how many bytes of log there are at least between two entries
    #[arg(long, value_name = "BYTES", default_value = "4096", value_parser = interval, hide_short_help = true)]
    index_interval_bytes: u32,

    /// `segment.index.bytes` of the topic: how large an index may become
    #[arg(long, value_name = "BYTES", default_value = "10485760", value_parser = interval, hide_short_help = true)]
    segment_index_bytes: u32,

    #[command(flatten)]
    change: ChangeArgs,

    #[command(flatten)]
    jobs: JobsArg,

    #[command(flatten)]
    progress: ProgressArg,

    #[command(flatten)]
    common: Common,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    Index,
    Timeindex,
    Txnindex,
}

const DETAILS: &str = "\
Made again are offset, time and transaction indexes, byte for byte as Kafka's own recovery writes them; by \
default only those that are wrong or missing. Each log is read once, several at the same time, and never changed. Where one is \
damaged its indexes end, and the plan says which offsets stay out of their reach.

Without --apply the plan is printed and nothing is touched. With it the lock on the log dir is held, so that no \
broker starts meanwhile; what was there before is kept in the partition, in a directory .kfsck-undo-<time>, and \
can be brought back with `kfsck undo`. A partition with more than 64 MiB of new indexes is done in several \
plans, one after the other.

Exit status: 0 nothing to do, 4 there is (dry run) or errors are left, 1 done and nothing is left, 8 refused or \
taken back: a broker is running, a file has changed meanwhile, no space.";

const EXAMPLES: &str = "\
Examples:
  kfsck rebuild-index /data/orders-3           what would be done
  kfsck rebuild-index --apply /data/orders-3   do it
  kfsck rebuild-index --apply --expect 1f0c91aa2b3c4d5e /data/orders-3
                                               only if the plan is still that one
  kfsck rebuild-index --all --only timeindex -t 'orders-*' /data";

fn interval(text: &str) -> Result<u32, String> {
    let bytes = parse_size(text)?;
    u32::try_from(bytes).ok().filter(|bytes| *bytes <= i32::MAX as u32).ok_or_else(|| format!("{text} is too large"))
}

/// Runs `rebuild-index`.
pub(crate) fn run(args: &RebuildIndexArgs) -> Exit {
    run_with(args, MOST_BYTES_A_PLAN)
}

/// The same with another bound for a plan, in bytes of new files.
fn run_with(args: &RebuildIndexArgs, most_bytes_a_plan: u64) -> Exit {
    let kind = |kind: &Kind| match kind {
        Kind::Index => FileKind::OffsetIndex,
        Kind::Timeindex => FileKind::TimeIndex,
        Kind::Txnindex => FileKind::TxnIndex,
    };
    let mut options = RebuildOptions {
        all: args.all,
        index_interval_bytes: args.index_interval_bytes,
        segment_index_bytes: args.segment_index_bytes,
        most_bytes_a_plan,
        ..RebuildOptions::default()
    };
    if !args.only.is_empty() {
        options.kinds = args.only.iter().map(kind).collect();
    }
    let mut run = Run::start(&args.common, rebuild::ACTION);
    let mut change = Change::new(&args.change);
    let targets = Targets::new(args, &options, &mut change, &mut run);
    let is_json = run.reporter.format() == Format::Json;
    if args.progress.is_wanted(is_json, args.common.is_quiet()) {
        change.progress = Progress::start(|| targets.size_in_bytes());
    }
    let progress = change.progress.clone();
    let jobs = args.jobs.jobs();
    let threads = jobs.count().get();
    let mut work =
        Work { run, change, marks: vec![Marks::default(); args.paths.len()], is_planned: false, has_said: false };
    // One thread draws and hands out the tasks, this one makes plans of the results in order, and carries them out: a
    // partition is changed while the next is being looked at. The channel holds few, so that nobody runs far ahead.
    let (sender, results) = mpsc::sync_channel(1);
    thread::scope(|scope| {
        let tasks = targets.tasks();
        scope.spawn(move || {
            jobs.run(
                tasks,
                || Worker::one_of(threads, DEFAULT_LIMIT),
                |worker, task| task.done(worker, &progress),
                |outcome| match sender.send(outcome) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(_) => ControlFlow::Break(()),
                },
            )
        });
        work.all(results);
    });
    work.finish()
}

/// What is to be said of a path in the end.
#[derive(Clone, Copy, Debug, Default)]
struct Marks {
    /// Whether something was done.
    done: bool,
    /// Whether errors are left there, or there is something to do.
    left: bool,
}

/// What plans are made and carried out by.
struct Work<'a> {
    run: Run,
    change: Change<'a>,
    /// By path.
    marks: Vec<Marks>,
    /// Whether a plan was shown that can be done.
    is_planned: bool,
    /// Whether anything was said.
    has_said: bool,
}

impl Work<'_> {
    /// Takes all results, in order.
    fn all(&mut self, results: Receiver<Answer>) {
        while let Ok(outcome) = results.recv() {
            match outcome {
                Answer::Begin(unit) => {
                    self.change.progress.at(|| path_text(&unit.place.path));
                    if let Err(error) = self.partition(&unit, &results) {
                        self.refused(&error);
                    }
                }
                Answer::Failed(error) => self.refused(&error),
                // Of a partition that was given up.
                Answer::Looked(_) | Answer::End => {}
            }
            let progress = self.change.progress.clone();
            if let Err(error) = progress.aside(|| self.run.output.flush()) {
                self.run.cannot_write(&error);
                return;
            }
        }
    }

    fn refused(&mut self, error: &RepairError) {
        self.has_said = true;
        self.change.progress.aside(|| self.run.refused(&error.to_string(), error.hint().as_deref()));
    }

    /// Takes what was seen of the segments of one partition, and changes it.
    fn partition(&mut self, unit: &Unit, results: &Receiver<Answer>) -> Result<(), RepairError> {
        let mut planner = Planner::new(&unit.partition, unit.place.log_start_offset(&unit.partition.dir));
        let mut errors_left = 0;
        loop {
            let (part, is_last) = match results.recv() {
                Ok(Answer::Looked(looked)) => (planner.take(*looked)?, false),
                Ok(Answer::End) => (Some(planner.rest()), true),
                // The user has stopped it: what was not seen to its end is not changed.
                Ok(Answer::Begin(_) | Answer::Failed(_)) | Err(_) => return Ok(()),
            };
            let Some(part) = part else { continue };
            errors_left += part.left.count(Severity::Error);
            if !self.part(unit, &part) || is_last {
                break;
            }
        }
        if errors_left > 0 {
            self.has_said = true;
            self.marks[unit.at_path].left = true;
            self.run.seen.errors += errors_left;
            let given = quoted(&unit.given);
            let words = format!("errors are left that no index mends; to see them and what does: kfsck check {given}");
            // What was done is said before what is left.
            self.change.progress.aside(|| {
                if let Err(error) = self.run.output.flush() {
                    self.run.cannot_write(&error);
                }
                self.run.remark(words);
            });
        }
        Ok(())
    }

    /// Shows what is to be done, and does it; whether there may be more.
    fn part(&mut self, unit: &Unit, part: &Rebuild) -> bool {
        self.account(part);
        if part.stopped {
            return false;
        }
        if part.is_silent() {
            return true;
        }
        self.has_said = true;
        let why: Vec<String> = part.why.iter().map(change::why).collect();
        let remarks: Vec<String> = part.remarks.iter().map(change::remark).collect();
        let words = PlanWords { why: &why, remarks: &remarks, ..PlanWords::default() };
        let mut verify = || rebuild::verify(&Disk, &part.plan);
        let outcome = self.change.carry_out(&mut self.run, &unit.place, &part.plan, words, &mut verify);
        let marks = &mut self.marks[unit.at_path];
        match outcome {
            Outcome::Planned => {
                let is_something = !part.plan.steps.is_empty();
                marks.left |= is_something;
                self.is_planned |= is_something;
            }
            Outcome::Applied => marks.done = true,
            Outcome::Refused => marks.left = true,
        }
        outcome != Outcome::Refused
    }

    fn account(&mut self, part: &Rebuild) {
        for error in &part.unreadable {
            self.has_said = true;
            self.change.progress.aside(|| self.run.failed(error));
        }
        let seen = &mut self.run.seen;
        seen.files += part.segments;
        seen.segments += part.segments;
        seen.batches += part.batches;
        seen.records += part.records;
        seen.bytes += part.bytes;
    }

    fn finish(mut self) -> Exit {
        self.change.progress.finish();
        if signals::is_stopped() {
            self.run.interrupted();
        }
        if !self.has_said && !signals::is_stopped() {
            self.run.remark("nothing to do: no index is wrong or missing".to_owned());
        }
        if self.is_planned {
            self.run.remark("nothing was touched: --apply does it".to_owned());
        }
        for marks in &self.marks {
            match (marks.left, marks.done) {
                (true, _) => self.run.errors_left(),
                (false, true) => self.run.corrected(),
                (false, false) => {}
            }
        }
        self.run.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use std::fs;
    use std::path::Path;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: RebuildIndexArgs,
    }

    fn names(path: &Path) -> Vec<String> {
        let names = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn a_partition_with_many_new_indexes_is_done_in_several_plans_each_with_undo_data() {
        let real = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/real/4.4.0/transactions/log-dir/txn-mixed-0");
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("txn-mixed-0");
        fs::create_dir(&path).unwrap();
        for name in names(&real).iter().filter(|name| !name.ends_with("index")) {
            fs::write(path.join(name), fs::read(real.join(name)).unwrap()).unwrap();
        }
        let before = names(&path);
        let logs = before.iter().filter(|name| name.ends_with(".log")).count();
        let words = ["rebuild-index", "--apply", "--jobs", "2", path.to_str().unwrap()];
        let status = run_with(&Line::parse_from(words).args, 1).status();
        assert_eq!(status, 1);
        let plans = names(&path).iter().filter(|name| name.starts_with(".kfsck-undo-")).count();
        assert!(logs > 1 && plans == logs, "{plans} plans for {logs} segments");
        let indexes = names(&path).iter().filter(|name| name.ends_with(".timeindex")).count();
        assert_eq!(indexes, logs);
        let words = ["rebuild-index", path.to_str().unwrap()];
        assert_eq!(run_with(&Line::parse_from(words).args, 1).status(), 0);
    }
}
