//! What `verify-index` and `check` share: the selection is looked at in parallel and told in order.

mod plan;
mod tell;
mod work;

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use clap::{Args, ValueEnum};

use super::common::{Common, Run};
use super::exit::Exit;
use super::jobs::JobsArg;
use super::progress::{Progress, ProgressArg};
use super::signals;
use super::values::parse_size;
use crate::check::log_dir::{self, LogDirCheck};
use crate::check::partition::PartitionCheck;
use crate::check::segment::Worker;
use crate::check::{Depth, Findings, Setting, Severity};
use crate::report::reporter::Format;
use crate::store::ReadPolicy;
use crate::store::log_dir::{Directory, LogDir, identify};
use plan::Plan;
use tell::Telling;
use work::{Outcome, Unit, Workshop};

/// The options that the two commands share.
#[derive(Args, Debug)]
pub(crate) struct JudgeArgs {
    /// Decompress and decode every record too
    #[arg(long)]
    pub(crate) deep: bool,

    /// Let warnings set exit status 4 too
    #[arg(long)]
    strict: bool,

    /// The least severity that is shown; all are counted
    #[arg(long, value_enum, value_name = "SEVERITY", default_value_t = Show::Warning)]
    show: Show,

    /// With --deep: the most that a batch may decompress to
    #[arg(long, value_name = "BYTES", default_value = "128MiB", value_parser = parse_size, hide_short_help = true)]
    max_batch_bytes: u64,

    #[command(flatten)]
    jobs: JobsArg,

    #[command(flatten)]
    progress: ProgressArg,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Show {
    Error,
    Warning,
    Info,
}

impl From<Show> for Severity {
    fn from(show: Show) -> Self {
        match show {
            Show::Error => Self::Error,
            Show::Warning => Self::Warning,
            Show::Info => Self::Info,
        }
    }
}

/// What is asked.
pub(crate) struct Question<'a> {
    pub(crate) command: &'static str,
    pub(crate) paths: &'a [PathBuf],
    pub(crate) depth: Depth,
    pub(crate) scope: Scope,
    pub(crate) options: &'a JudgeArgs,
    pub(crate) common: &'a Common,
}

/// How much of a partition is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The indexes, and what of the logs they rest on.
    Indexes,
    /// Everything.
    All,
}

/// A log dir that was given itself.
pub(crate) struct GivenLogDir<'a> {
    check: LogDirCheck<'a>,
    dir: &'a LogDir,
    setting: Setting,
}

impl<'a> GivenLogDir<'a> {
    fn new(dir: &'a LogDir, question: &Question<'_>, run: &mut Run) -> Self {
        let policy = ReadPolicy { mode: question.common.io_mode(), may_change: run.broker_runs_in(&dir.path) };
        let setting = Setting { policy, depth: question.depth, clean_shutdown: false };
        let check = LogDirCheck::new(dir, setting);
        plan::cannot_be_read(&check.facts(), run);
        Self { check, dir, setting }
    }
}

/// The log dirs among the paths, each once. What is asked of some partitions only is not asked of their log dir.
fn log_dirs(question: &Question<'_>) -> Vec<LogDir> {
    if question.scope != Scope::All || question.common.is_narrowed() {
        return Vec::new();
    }
    let mut seen = HashSet::new();
    let is_new = |log_dir: &LogDir| seen.insert(log_dir.path.canonicalize().unwrap_or_else(|_| log_dir.path.clone()));
    let of_path = |path: &PathBuf| match identify(path) {
        Ok(Directory::LogDir(log_dir)) => Some(log_dir),
        // Whatever cannot be looked at is told when the paths are expanded.
        _ => None,
    };
    question.paths.iter().filter_map(of_path).filter(is_new).collect()
}

/// Looks at everything that is asked about and tells what was seen.
pub(crate) fn run(question: &Question<'_>) -> Exit {
    let options = question.options;
    let mut run = Run::start(question.common, question.command);
    let log_dirs = log_dirs(question);
    let mut given: Vec<GivenLogDir<'_>> =
        log_dirs.iter().map(|dir| GivenLogDir::new(dir, question, &mut run)).collect();
    let plan = Plan::new(question, &given, &mut run);
    let is_json = run.reporter.format() == Format::Json;
    let progress = match options.progress.is_wanted(is_json, question.common.is_quiet()) {
        true => Progress::start(|| plan.size_in_bytes()),
        false => Progress::default(),
    };
    let limit = usize::try_from(options.max_batch_bytes).unwrap_or(usize::MAX);
    let jobs = options.jobs.jobs();
    let workshop = Workshop { progress: progress.clone(), limit, threads: jobs.count().get() };
    let least = if question.common.is_verbose() { Severity::Info } else { options.show.into() };
    let mut judge = Judge {
        telling: Telling::new(question.scope, least, question.paths.len() > 1),
        run,
        progress,
        worker: workshop.worker(),
        is_interrupted: false,
    };
    // One thread draws and hands out the tasks, this one puts the results together: a partition is told while the
    // next is being looked at. The channel holds few, so that nobody runs far ahead.
    let (sender, results) = mpsc::sync_channel(4);
    thread::scope(|scope| {
        let (workshop, tasks) = (&workshop, plan.tasks(workshop.threads));
        scope.spawn(move || {
            jobs.run(
                tasks,
                || workshop.worker(),
                |worker, task| workshop.work(worker, task),
                |outcome| match sender.send(outcome) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(_) => ControlFlow::Break(()),
                },
            )
        });
        judge.all(results, &mut given);
    });
    judge.log_dirs(given);
    judge.finish(options.strict)
}

/// What the results are put together by.
struct Judge {
    run: Run,
    telling: Telling,
    progress: Progress,
    /// What puts segments together from their parts.
    worker: Worker,
    is_interrupted: bool,
}

impl Judge {
    /// Takes all results, in order.
    fn all(&mut self, results: Receiver<Outcome>, given: &mut [GivenLogDir<'_>]) {
        while let Ok(outcome) = results.recv() {
            match outcome {
                Outcome::Begin(unit) => {
                    self.progress.at(|| unit.title());
                    self.partition(&unit, &results, given);
                }
                Outcome::Failed(error) => self.progress.aside(|| self.run.failed(&error)),
                Outcome::Gone(path) => self.gone(&path),
                // What follows a beginning is taken there.
                Outcome::Judged(_) | Outcome::Parts(..) | Outcome::Part(_) | Outcome::End => {}
            }
            if let Err(error) = self.progress.aside(|| self.run.output.drain()) {
                self.run.cannot_write(&error);
                return;
            }
        }
        self.is_interrupted |= signals::is_stopped();
    }

    /// Takes the segments of one partition, and tells what was seen.
    fn partition(&mut self, unit: &Unit, results: &Receiver<Outcome>, given: &mut [GivenLogDir<'_>]) {
        let mut check = PartitionCheck::new(&unit.dir, unit.surroundings.clone(), unit.setting);
        // What is told if the user stops it before the last segment.
        let mut so_far = Findings::new();
        loop {
            match results.recv() {
                Ok(Outcome::Judged(judged)) => {
                    so_far.append(judged.findings.clone());
                    check.take(*judged);
                }
                Ok(Outcome::Parts(segment, count)) => {
                    let mut parts = (0..count).map_while(|_| match results.recv() {
                        Ok(Outcome::Part(part)) => Some(part),
                        _ => None,
                    });
                    let judged = self.worker.judge_joined(&unit.task(&segment), &mut parts);
                    // Those that the walk did not come to.
                    parts.for_each(drop);
                    so_far.append(judged.findings.clone());
                    check.take(judged);
                }
                Ok(Outcome::Part(_)) => {}
                Ok(Outcome::Gone(path)) => self.gone(&path),
                Ok(Outcome::End) => {
                    let mut report = check.finish();
                    for error in std::mem::take(&mut report.unreadable) {
                        self.progress.aside(|| self.run.failed(&error));
                    }
                    self.is_interrupted |= report.stopped;
                    if let (Some(log_dir), Some(name)) = (unit.given.and_then(|at| given.get_mut(at)), &unit.dir.name) {
                        log_dir.check.partition(name, &report);
                    }
                    self.telling.partition(&mut self.run, unit, report);
                    return;
                }
                Ok(Outcome::Begin(_) | Outcome::Failed(_)) | Err(_) => {
                    self.telling.unfinished(&mut self.run, unit, so_far);
                    return;
                }
            }
        }
    }

    /// Tells what was seen of the log dirs themselves, now that all their partitions are known.
    fn log_dirs(&mut self, given: Vec<GivenLogDir<'_>>) {
        if self.is_interrupted {
            return;
        }
        let facts: Vec<_> = given.iter().map(|given| (given.dir, given.check.facts())).collect();
        let setting = given.iter().map(|given| given.setting).reduce(|all, one| if one.is_live() { one } else { all });
        for GivenLogDir { check, dir, .. } in given {
            self.telling.log_dir(&mut self.run, &dir.path, check.finish());
        }
        let facts: Vec<_> = facts.iter().map(|(dir, facts)| (*dir, &**facts)).collect();
        if let (Some((first, _)), Some(setting)) = (facts.first(), setting) {
            self.telling.log_dir(&mut self.run, &first.path, log_dir::several(&facts, setting));
        }
    }

    /// A file or directory that a running broker has deleted or renamed while it was being looked at.
    fn gone(&mut self, path: &std::path::Path) {
        let words = format!("{} has gone while it was being looked at: the broker has removed it", path.display());
        self.progress.aside(|| self.run.remark(words));
    }

    fn finish(mut self, strict: bool) -> Exit {
        self.progress.finish();
        self.telling.finish(&mut self.run);
        if self.is_interrupted {
            self.run.interrupted();
        }
        self.run.close_judged(strict)
    }
}
