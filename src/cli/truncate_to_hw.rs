//! `kfsck truncate-to-hw`: a partition is cut back, to its high watermark or just behind what can be read.

mod offsets;
mod planning;

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::change::{Change, ChangeArgs, Outcome, Place};
use super::common::{Common, Run, long_help};
use super::exit::Exit;
use super::jobs::JobsArg;
use super::progress::{Progress, ProgressArg};
use super::signals;
use crate::check::Finding;
use crate::format::Offset;
use crate::format::file_name::{CLUSTER_METADATA_TOPIC, DirState};
use crate::repair::RepairError;
use crate::repair::divergence::DivergenceError;
use crate::repair::truncate::{self, To, TruncateError, Truncation};
use crate::report::change::{self, PlanWords, note};
use crate::report::cut::{self, TargetFrom};
use crate::report::findings::{self, AtStart, Subject};
use crate::report::reporter::Format;
use crate::report::row::{Field, Value, path_text};
use crate::scan::checkpoints::Checkpoints;
use crate::store::StoreError;
use crate::store::expand::{PartitionTarget, Target, expand};
use crate::store::log_dir::{Directory, identify};
use crate::store::partition::{PartitionDir, PartitionName};
use crate::store::write::Disk;
use offsets::OffsetsFile;
use planning::{Cutting, Planned, Replica, Task, Workshop};

/// Arguments of `truncate-to-hw`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = long_help(DETAILS, EXAMPLES))]
pub(crate) struct TruncateToHwArgs {
    /// Partition directories, or log dirs (with -t, --all-partitions or --offsets)
    #[arg(required = true)]
    paths: Vec<PathBuf>,

    /// Where to cut: hw, intact-end or an offset
    ///
    /// hw is the checkpointed high watermark, intact-end is behind the last batch that can be read, OFFSET is the log end
    /// to be
    #[arg(long, value_name = "WHERE", default_value = "hw", value_parser = parse_to, allow_hyphen_values = true)]
    to: To,

    /// Cut each partition at its own offset, by lines `TOPIC-PARTITION OFFSET`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["to", "replicas"])]
    offsets: Option<PathBuf>,

    /// Cut where this copy ends or has other records (repeatable)
    ///
    /// A partition's directory or a log dir; the copy is taken to be in sync
    #[arg(long = "replica", value_name = "DIR", conflicts_with = "to")]
    replicas: Vec<PathBuf>,

    /// All partitions of a log dir
    #[arg(long)]
    all_partitions: bool,

    /// Do it although bytes of logs are lost, but for the undo data
    #[arg(long, requires = "apply")]
    allow_data_loss: bool,

    #[command(flatten)]
    change: ChangeArgs,

    #[command(flatten)]
    jobs: JobsArg,

    #[command(flatten)]
    progress: ProgressArg,

    #[command(flatten)]
    common: Common,
}

impl TruncateToHwArgs {
    /// Whether a cut may be made: what is lost must be meant.
    fn allows(&self, cut: &Truncation) -> bool {
        self.allow_data_loss || cut.plan.loses.is_nothing()
    }
}

const DETAILS: &str = "\
Unreadable bytes behind the target always go too: with --to intact-end they are all that goes, which is the \
repair of a log whose end is torn or full of zeros. A batch goes as a whole, so the log may end before the \
target. What is left is what Kafka's own truncation leaves: logs, indexes, producer snapshot, leader epochs, and \
the log dir's checkpoints.

Without --apply it is only told what would be lost. With --apply --allow-data-loss the lock on the log dir is \
held, so that no broker starts meanwhile; what was there is kept in the partition, in a directory \
.kfsck-undo-<time>. `kfsck undo` brings it back, and dump-log and lookup read in that directory what was cut off. \
Afterwards the partition is checked.

Exit status: 0 nothing to do, 4 there is (dry run) or errors are left, 1 done, 8 refused: a broker is running, \
damage before the target, no high watermark known, a directory that is not in use, the metadata log of KRaft.";

const EXAMPLES: &str = "\
Examples:
  kfsck truncate-to-hw --to intact-end /data/orders-3   an unreadable end
  kfsck truncate-to-hw --to intact-end --apply --allow-data-loss /data/orders-3
  kfsck truncate-to-hw /data/orders-3                   to the high watermark
  kfsck truncate-to-hw --to 4711 /data/orders-3         offsets from 4711 on
  kfsck truncate-to-hw --replica /mnt/b2 --replica /mnt/b3 -t 'orders-*' /data
  kfsck truncate-to-hw --offsets ends.txt /data         one each: orders-3 4711";

fn parse_to(text: &str) -> Result<To, String> {
    match text {
        "hw" => Ok(To::HighWatermark),
        "intact-end" => Ok(To::IntactEnd),
        number => match number.parse() {
            Ok(offset) if offset >= 0 => Ok(To::Offset(Offset(offset))),
            _ => Err("hw, intact-end or an offset from 0 on is expected".to_owned()),
        },
    }
}

/// Runs `truncate-to-hw`.
pub(crate) fn run(args: &TruncateToHwArgs) -> Exit {
    let mut run = Run::start(&args.common, truncate::ACTION);
    if args.common.selection().segment.is_some() {
        run.misused("--segment does not go with a cut", Some("a partition is cut as a whole: --to OFFSET"));
        return run.finish();
    }
    let offsets = match args.offsets.as_deref().map(OffsetsFile::read).transpose() {
        Ok(offsets) => offsets,
        Err(why) => {
            run.misused(&why, Some("a line is TOPIC-PARTITION OFFSET: orders-3 4711"));
            return run.finish();
        }
    };
    let mut work = Work {
        args,
        run,
        change: Change::new(&args.change),
        offsets: offsets.as_ref(),
        found: HashSet::new(),
        progress: Progress::default(),
        has_said: false,
        planned_loss: None,
        came_of: vec![CameOf::default(); args.paths.len()],
    };
    let tasks = work.tasks();
    let is_json = work.run.reporter.format() == Format::Json;
    if args.progress.is_wanted(is_json, args.common.is_quiet()) {
        work.progress = Progress::start(|| work.size_in_bytes(&tasks));
    }
    let replicas = args.replicas.iter().map(|given| work.replica(given)).collect();
    let workshop = Workshop { args, offsets: work.offsets, replicas, progress: work.progress.clone() };
    // Several are looked at at once, and changed one after the other: they share the checkpoints.
    let jobs = args.jobs.jobs();
    let _ = jobs.run(tasks.into_iter(), || (), |(), task| workshop.work(task), |planned| work.take(planned));
    work.progress.finish();
    work.finish()
}

/// Why a partition is not cut.
struct Refusal {
    why: String,
    hint: Option<String>,
    /// The log that is damaged, if that is why.
    damaged: Option<PathBuf>,
}

macro_rules! refusal_from {
    ($($error:ty),*) => {$(
        impl From<$error> for Refusal {
            fn from(error: $error) -> Self {
                Self { why: error.to_string(), hint: error.hint(), damaged: None }
            }
        }
    )*};
}
refusal_from!(StoreError, RepairError, DivergenceError);

impl From<TruncateError> for Refusal {
    fn from(error: TruncateError) -> Self {
        let (why, hint) = (error.to_string(), error.hint());
        let damaged = match error {
            TruncateError::DamagedBelow { path, .. } | TruncateError::IntactBehindDamage { path, .. } => Some(path),
            _ => None,
        };
        Self { why, hint, damaged }
    }
}

/// What has come of a path that was given.
#[derive(Clone, Copy, Default)]
struct CameOf {
    /// Whether something was done.
    done: bool,
    /// Whether errors are left there, or there is something to do.
    left: bool,
}

struct Work<'a> {
    args: &'a TruncateToHwArgs,
    run: Run,
    change: Change<'a>,
    offsets: Option<&'a OffsetsFile>,
    /// The partitions of the file with offsets that were found.
    found: HashSet<String>,
    progress: Progress,
    /// Whether it was said what a cut is.
    has_said: bool,
    /// Whether a plan that was shown, and can be done, loses anything.
    planned_loss: Option<bool>,
    /// What has come of each path.
    came_of: Vec<CameOf>,
}

impl Work<'_> {
    /// All partitions that are meant, in order, each once. Those that may be changed are locked from now on.
    fn tasks(&mut self) -> Vec<Task> {
        let mut tasks = Vec::new();
        let mut seen = HashSet::new();
        let mut checkpoints = HashMap::new();
        for (given, path) in self.args.paths.iter().enumerate() {
            let is_log_dir = matches!(identify(path), Ok(Directory::LogDir(_)));
            let is_narrowed = self.args.all_partitions || self.args.common.is_narrowed() || self.offsets.is_some();
            if is_log_dir && !is_narrowed {
                let why = format!("{} is a log dir with all its partitions", path.display());
                self.run.misused(&why, Some("say which ones are meant: -t GLOB, or --all-partitions"));
                continue;
            }
            for target in expand(&[path], &self.args.common.selection()) {
                let place = match target {
                    Ok(Target::Partition(target)) if is_log_dir && !self.is_meant(&target) => continue,
                    Ok(Target::Partition(target)) => {
                        let path = target.path.canonicalize().unwrap_or_else(|_| target.path.clone());
                        if !seen.insert(path) {
                            continue;
                        }
                        self.place(&target.path)
                    }
                    Ok(Target::File { path, .. }) => Err(StoreError::NothingSelected {
                        path,
                        wanted: "partitions are cut as a whole, and this is a file".to_owned(),
                        instead: Some("give the partition's directory".to_owned()),
                    }
                    .into()),
                    Err(error) => Err(error.into()),
                };
                let log_dir = place.as_ref().ok().and_then(|place| place.log_dir.clone());
                let checkpoints = log_dir.map(|log_dir| {
                    let read = || Arc::new(Checkpoints::read(&log_dir));
                    Arc::clone(checkpoints.entry(log_dir.clone()).or_insert_with(read))
                });
                tasks.push(Task { given, place, checkpoints });
            }
        }
        tasks
    }

    /// A partition that may be cut.
    fn place(&mut self, path: &Path) -> Result<Place, Refusal> {
        let place = self.change.open(&mut self.run, path)?;
        let name = PartitionName::of_directory(&place.path);
        self.found.extend(name.as_ref().map(PartitionName::topic_partition));
        Ok(place)
    }

    /// Whether a partition of a log dir is one of those to cut. What nobody uses, and the metadata log, are not.
    fn is_meant(&mut self, target: &PartitionTarget) -> bool {
        let Some(name) = &target.name else { return true };
        if let Some(offsets) = &self.offsets {
            return name.state == DirState::Current && offsets.get(&name.topic_partition()).is_some();
        }
        if self.args.common.is_narrowed() {
            return true;
        }
        let is_left_alone = name.state != DirState::Current || name.topic == CLUSTER_METADATA_TOPIC;
        if is_left_alone {
            self.run.remark(format!("{} is left alone", target.path.display()));
        }
        !is_left_alone
    }

    fn replica(&mut self, given: &Path) -> Replica {
        let is_live = match identify(given) {
            Ok(Directory::LogDir(log_dir)) => self.run.broker_runs_in(&log_dir.path),
            _ => self.run.broker_runs_on(given),
        };
        Replica { given: given.to_owned(), is_live }
    }

    /// How many bytes of logs there are to look at: twice where something is to be applied.
    fn size_in_bytes(&self, tasks: &[Task]) -> u64 {
        let listed = tasks.iter().filter_map(|task| PartitionDir::read(&task.place.as_ref().ok()?.path).ok());
        let size = |dir: PartitionDir| -> u64 {
            dir.segments().iter().map(|segment| segment.size_in_bytes().unwrap_or(0)).sum()
        };
        let once: u64 = listed.map(size).sum();
        once * if self.args.change.apply { 2 } else { 1 }
    }

    /// Tells what was planned for a partition, and does it.
    fn take(&mut self, planned: Planned) -> ControlFlow<()> {
        if signals::is_stopped() {
            return ControlFlow::Break(());
        }
        let progress = self.progress.clone();
        progress.at(|| planned.place.as_ref().map(|place| path_text(&place.path)).unwrap_or_default());
        progress.aside(|| {
            let given = planned.given;
            self.run.seen.files += planned.seen.segments;
            self.run.seen.segments += planned.seen.segments;
            self.run.seen.bytes += planned.seen.bytes;
            if let Some(place) = &planned.place {
                self.tell(place, &planned.in_the_way, given);
            }
            let done = match (planned.cutting, &planned.place) {
                (Ok(cutting), Some(place)) => self.cut(place, *cutting, given),
                (Ok(_), None) => Ok(()),
                (Err(refusal), _) => Err(refusal),
            };
            // What was found comes before why nothing is done about it.
            let flushed = self.run.output.flush();
            if let Err(refusal) = done {
                self.run.refused(&refusal.why, refusal.hint.as_deref());
            }
            match flushed {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    self.run.cannot_write(&error);
                    ControlFlow::Break(())
                }
            }
        })
    }

    /// Tells what was not found, and what has come of everything.
    fn finish(mut self) -> Exit {
        for came_of in &self.came_of {
            match (came_of.left, came_of.done) {
                (true, _) => self.run.errors_left(),
                (false, true) => self.run.corrected(),
                (false, false) => {}
            }
        }
        if signals::is_stopped() {
            self.run.interrupted();
            return self.run.finish();
        }
        // A program that reads JSON lines knows how to go on.
        if let Some(loses) = self.planned_loss.filter(|_| self.run.reporter.format() != Format::Json) {
            let allow = if loses { " --allow-data-loss" } else { "" };
            self.run.remark(format!("nothing was touched; to do it: --apply{allow}"));
        }
        for name in self.offsets.iter().flat_map(|offsets| offsets.names()) {
            if !self.found.contains(name) {
                let why = format!("{name} of the file with offsets is not among the partitions given");
                self.run.refused(&why, Some("nothing was done about it"));
            }
        }
        self.run.finish()
    }

    /// Shows the plan and, if that is wanted, does it.
    fn cut(&mut self, place: &Place, cutting: Cutting, given: usize) -> Result<(), Refusal> {
        let Cutting { around, mut cut, from, before: mut known } = cutting;
        let from = from.words();
        if self.args.change.apply {
            cut.renew_checkpoints(&Disk, &around)?;
        }
        let cut = &cut;
        let mut remarks = cut::remarks(cut, from);
        let is_text = self.run.reporter.format() != Format::Json;
        if !cut.plan.steps.is_empty() || !is_text {
            self.say_what_a_cut_is(from, &mut remarks);
        }
        if cut.plan.steps.is_empty() && is_text {
            let mut line = Vec::new();
            crate::report::row::path(&mut line, &place.path);
            line.extend_from_slice(format!(": nothing to do, the log ends at {}", cut.log_end_offset).as_bytes());
            self.run.reporter.words(&mut self.run.output.buffer, None, &line);
            remarks.iter().for_each(|remark| note(&mut self.run.reporter, &mut self.run.output.buffer, remark));
            return Ok(());
        }
        let offset = |offset: Option<Offset>| Value::or_absent(offset.map(|offset| offset.0));
        let copies = match from {
            TargetFrom::Replicas(agreement) => Some(cut::copies_json(agreement)),
            _ => None,
        };
        let fields = [
            Field::json_only("target", Value::Int(cut.target.0)),
            Field::json_only("targetFrom", Value::Word(from.name())),
            Field::json_only("logStartOffset", Value::Int(cut.log_start_offset.0)),
            Field::json_only("highWatermark", offset(cut.high_watermark)),
            Field::json_only("intactEnd", Value::Int(cut.intact_end.0)),
            Field::json_only("unreadableBytes", Value::Unsigned(cut.unreadable_bytes)),
            Field::json_only("logEndOffset", Value::Int(cut.log_end_offset.0)),
            Field::json_only("openTransactions", Value::Unsigned(cut.toll.open_transactions)),
            Field::json_only("copies", copies.as_deref().map_or(Value::Absent, Value::Json)),
        ];
        let (before, after) = (cut::before(cut, from), cut::after(cut, self.run.reporter.zone()));
        let loses = cut::loses_json(cut);
        let words = PlanWords {
            before: &before,
            after: &after,
            fields: &fields,
            loses: Some(&loses),
            remarks: &remarks,
            ..PlanWords::default()
        };
        if self.args.change.apply && !cut.plan.steps.is_empty() && !self.args.allows(cut) {
            self.change.show(&mut self.run, place, &cut.plan, words);
            self.mark(given).left = true;
            let hint = Some("nothing was changed; if that is meant: --apply --allow-data-loss".to_owned());
            let why = format!("{} would lose bytes of its log", place.path.display());
            return Err(Refusal { why, hint, damaged: None });
        }
        let mut left = Vec::new();
        let mut verify = || {
            if let Some(known) = &mut known {
                left = known.hold_against(&Disk, cut, &around)?;
            }
            Ok(())
        };
        match self.change.carry_out(&mut self.run, place, &cut.plan, words, &mut verify) {
            Outcome::Planned if cut.plan.steps.is_empty() => {}
            Outcome::Planned => {
                self.mark(given).left = true;
                self.planned_loss = Some(self.planned_loss.unwrap_or(false) | !cut.plan.loses.is_nothing());
            }
            Outcome::Applied => {
                self.mark(given).done = true;
                self.tell(place, &left, given);
            }
            Outcome::Refused => self.mark(given).left = true,
        }
        Ok(())
    }

    /// Says once what it means to cut, in JSON with each plan.
    fn say_what_a_cut_is(&mut self, from: TargetFrom<'_>, remarks: &mut Vec<String>) {
        let words = match from {
            TargetFrom::HighWatermark => cut::WHAT_A_HIGH_WATERMARK_IS,
            TargetFrom::Replicas(_) => cut::WHAT_COPIES_ARE,
            TargetFrom::IntactEnd | TargetFrom::Offset | TargetFrom::OffsetsFile => return,
        };
        if self.run.reporter.format() == Format::Json {
            remarks.push(words.replace('\n', " "));
        } else if !std::mem::replace(&mut self.has_said, true) {
            self.run.reporter.words(&mut self.run.output.buffer, None, words.as_bytes());
            self.run.reporter.words(&mut self.run.output.buffer, None, b"");
        }
    }

    fn tell(&mut self, place: &Place, errors: &[Finding], given: usize) {
        if errors.is_empty() {
            return;
        }
        self.mark(given).left = true;
        self.run.seen.errors += errors.iter().map(|finding| finding.more + 1).sum::<u64>();
        let (partition, dir) = change::name_and_dir(&place.path);
        let subject = Subject { partition: &partition, dir: &dir };
        findings::tell(&mut self.run.reporter, &mut self.run.output.buffer, &subject, errors, |_| AtStart::default());
    }

    fn mark(&mut self, given: usize) -> &mut CameOf {
        &mut self.came_of[given]
    }
}
