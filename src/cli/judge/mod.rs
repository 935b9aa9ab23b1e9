//! What `verify-index` and `check` share: the selection is looked at in parallel and told in order.

mod plan;
mod tell;
mod work;

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
use crate::check::partition::PartitionCheck;
use crate::check::{Depth, Findings, Severity};
use crate::report::reporter::Format;
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
    #[arg(long, value_name = "BYTES", default_value = "128MiB", value_parser = parse_size)]
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

/// Looks at everything that is asked about and tells what was seen.
pub(crate) fn run(question: &Question<'_>) -> Exit {
    let options = question.options;
    let mut run = Run::start(question.common, question.command);
    let plan = Plan::new(question, &mut run);
    let is_json = run.reporter.format() == Format::Json;
    let progress = match options.progress.is_wanted(is_json, question.common.is_quiet()) {
        true => Progress::start(|| plan.size_in_bytes()),
        false => Progress::default(),
    };
    let limit = usize::try_from(options.max_batch_bytes).unwrap_or(usize::MAX);
    let jobs = options.jobs.jobs();
    let workshop = Workshop { progress: progress.clone(), limit, overviews: question.scope == Scope::All };
    let mut judge = Judge {
        telling: Telling::new(question.scope, options.show.into(), question.paths.len() > 1),
        run,
        progress,
        is_interrupted: false,
    };
    // One thread draws and hands out the tasks, this one puts the results together: a partition is told while the
    // next is being looked at. The channel holds few, so that nobody runs far ahead.
    let (sender, results) = mpsc::sync_channel(4);
    thread::scope(|scope| {
        let (workshop, tasks) = (&workshop, plan.tasks());
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
        judge.all(results);
    });
    judge.finish(options.strict)
}

/// What the results are put together by.
struct Judge {
    run: Run,
    telling: Telling,
    progress: Progress,
    is_interrupted: bool,
}

impl Judge {
    /// Takes all results, in order.
    fn all(&mut self, results: Receiver<Outcome>) {
        while let Ok(outcome) = results.recv() {
            match outcome {
                Outcome::Begin(unit) => {
                    self.progress.at(|| unit.title());
                    self.partition(&unit, &results);
                }
                Outcome::Failed(error) => self.progress.aside(|| self.run.failed(&error)),
                Outcome::Gone(path) => self.gone(&path),
                // What follows a beginning is taken there.
                Outcome::Judged(_) | Outcome::End(_) => {}
            }
            if let Err(error) = self.progress.aside(|| self.run.output.drain()) {
                self.run.cannot_write(&error);
                return;
            }
        }
        self.is_interrupted |= signals::is_stopped();
    }

    /// Takes the segments of one partition, and tells what was seen.
    fn partition(&mut self, unit: &Unit, results: &Receiver<Outcome>) {
        let mut check = PartitionCheck::new(&unit.dir, unit.surroundings, unit.setting);
        // What is told if the user stops it before the last segment.
        let mut so_far = Findings::new();
        loop {
            match results.recv() {
                Ok(Outcome::Judged(judged)) => {
                    so_far.append(judged.findings.clone());
                    check.take(*judged);
                }
                Ok(Outcome::Gone(path)) => self.gone(&path),
                Ok(Outcome::End(facts)) => {
                    let mut report = check.finish();
                    for error in std::mem::take(&mut report.unreadable) {
                        match unit.setting.is_live() && work::is_gone(&error) {
                            true => self.gone(work::path_of(&error).unwrap_or(&unit.dir.path)),
                            false => self.progress.aside(|| self.run.failed(&error)),
                        }
                    }
                    self.is_interrupted |= report.stopped;
                    self.telling.partition(&mut self.run, unit, report, facts);
                    return;
                }
                Ok(Outcome::Begin(_) | Outcome::Failed(_)) | Err(_) => {
                    self.telling.unfinished(&mut self.run, unit, so_far);
                    return;
                }
            }
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
