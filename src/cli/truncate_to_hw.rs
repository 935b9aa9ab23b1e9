//! `kfsck truncate-to-hw`: a partition is cut back, to its high watermark or just behind what can be read.

mod offsets;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;

use super::change::{Change, ChangeArgs, Outcome, Place};
use super::common::{Common, Run, long_help};
use super::exit::Exit;
use super::signals;
use crate::check::Finding;
use crate::format::Offset;
use crate::format::file_name::{CLUSTER_METADATA_TOPIC, DirState, FileKind};
use crate::repair::RepairError;
use crate::repair::divergence::{Agreement, Copy, DivergenceError, agreement, is_another_copy};
use crate::repair::truncate::verify::{self, Before};
use crate::repair::truncate::{self, Around, To, TruncateError, Truncation};
use crate::report::change::{self, PlanWords};
use crate::report::cut::{self, TargetFrom};
use crate::report::findings::{self, AtStart, Subject};
use crate::report::reporter::Format;
use crate::report::row::{Field, Value};
use crate::scan::checkpoints::{Checkpointed, Checkpoints};
use crate::store::expand::{PartitionTarget, Target, expand};
use crate::store::log_dir::{Directory, identify};
use crate::store::partition::{PartitionDir, PartitionName};
use crate::store::write::Disk;
use crate::store::{ReadPolicy, StoreError};
use offsets::OffsetsFile;

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
    #[arg(long, value_name = "WHERE", default_value = "hw", value_parser = parse_to)]
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
    common: Common,
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
    let mut work = Work {
        args,
        run: Run::start(&args.common, truncate::ACTION),
        change: Change::new(&args.change),
        offsets: None,
        checkpoints: None,
        found: HashSet::new(),
        has_said: false,
        done: false,
        left: false,
    };
    if args.common.selection().segment.is_some() {
        work.run.misused("--segment does not go with a cut", Some("a partition is cut as a whole: --to OFFSET"));
        return work.run.finish();
    }
    if let Some(path) = &args.offsets {
        match OffsetsFile::read(path) {
            Ok(offsets) => work.offsets = Some(offsets),
            Err(why) => {
                work.run.misused(&why, Some("a line is TOPIC-PARTITION OFFSET: orders-3 4711"));
                return work.run.finish();
            }
        }
    }
    for path in &args.paths {
        (work.done, work.left) = (false, false);
        work.path(path);
        match (work.left, work.done) {
            (true, _) => work.run.errors_left(),
            (false, true) => work.run.corrected(),
            (false, false) => {}
        }
        if signals::is_stopped() {
            work.run.interrupted();
            return work.run.finish();
        }
    }
    work.not_found();
    work.run.finish()
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

struct Work<'a> {
    args: &'a TruncateToHwArgs,
    run: Run,
    change: Change<'a>,
    offsets: Option<OffsetsFile>,
    /// Those of the log dir that was looked at last, as long as nothing was changed in it.
    checkpoints: Option<(PathBuf, Checkpoints)>,
    /// The partitions of the file with offsets that were found.
    found: HashSet<String>,
    /// Whether it was said what a cut is.
    has_said: bool,
    /// Whether something was done to the path.
    done: bool,
    /// Whether errors are left there, or there is something to do.
    left: bool,
}

impl Work<'_> {
    fn path(&mut self, path: &Path) {
        let is_log_dir = matches!(identify(path), Ok(Directory::LogDir(_)));
        let is_narrowed = self.args.all_partitions || self.args.common.is_narrowed() || self.offsets.is_some();
        if is_log_dir && !is_narrowed {
            let why = format!("{} is a log dir with all its partitions", path.display());
            self.run.misused(&why, Some("say which ones are meant: -t GLOB, or --all-partitions"));
            return;
        }
        for target in expand(&[path], &self.args.common.selection()) {
            if signals::is_stopped() {
                return;
            }
            let done = match target {
                Ok(Target::Partition(target)) if is_log_dir && !self.is_meant(&target) => Ok(()),
                Ok(Target::Partition(target)) => self.partition(&target.path),
                Ok(Target::File { path, .. }) => Err(StoreError::NothingSelected {
                    path,
                    wanted: "partitions are cut as a whole, and this is a file".to_owned(),
                    instead: Some("give the partition's directory".to_owned()),
                }
                .into()),
                Err(error) => Err(error.into()),
            };
            if let Err(refusal) = done {
                self.run.refused(&refusal.why, refusal.hint.as_deref());
            }
            if let Err(error) = self.run.output.flush() {
                self.run.cannot_write(&error);
                return;
            }
        }
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

    /// Tells which lines of the file with offsets have no partition.
    fn not_found(&mut self) {
        let Some(offsets) = &self.offsets else { return };
        let lost: Vec<_> = offsets.names().filter(|name| !self.found.contains(*name)).map(str::to_owned).collect();
        for name in lost {
            let why = format!("{name} of the file with offsets is in none of the paths");
            self.run.refused(&why, Some("nothing was done about it"));
        }
    }

    fn partition(&mut self, path: &Path) -> Result<(), Refusal> {
        let place = self.change.open(&mut self.run, path)?;
        let dir = PartitionDir::read(&place.path)?;
        truncate::refuse_what_is_not_to_be_cut(&dir)?;
        let policy = ReadPolicy { mode: self.args.common.io_mode(), may_change: place.is_live };
        let around = Around {
            checkpointed: self.checkpointed(&place, dir.name.as_ref())?,
            log_dir: place.log_dir.clone(),
            policy,
            now_ms: Timestamp::now().as_millisecond(),
            stop: Some(signals::stop()),
        };
        let agreed = match self.args.replicas.is_empty() {
            true => None,
            false => Some(self.agreement(&dir, policy)?),
        };
        let (to, from) = match (&agreed, &self.offsets) {
            (Some(agreed), _) => (To::Offset(agreed.target), TargetFrom::Replicas(agreed)),
            (None, Some(offsets)) => {
                let name = dir.name.as_ref().map(PartitionName::topic_partition).unwrap_or_default();
                let offset = offsets.get(&name).ok_or_else(|| Refusal {
                    why: format!("the file with offsets has no line for {}", path.display()),
                    hint: None,
                    damaged: None,
                })?;
                self.found.insert(name);
                (To::Offset(offset), TargetFrom::OffsetsFile)
            }
            (None, None) => match self.args.to {
                To::HighWatermark => (self.args.to, TargetFrom::HighWatermark),
                To::IntactEnd => (self.args.to, TargetFrom::IntactEnd),
                To::Offset(_) => (self.args.to, TargetFrom::Offset),
            },
        };
        match truncate::plan(&Disk, &dir, &around, to) {
            Ok(cut) => self.cut(&place, &dir, &around, &cut, from),
            Err(error) => {
                let refusal = Refusal::from(error);
                if let Some(damaged) = &refusal.damaged {
                    self.tell_damage(&place, damaged, &around)?;
                }
                Err(refusal)
            }
        }
    }

    /// What the checkpoints of the log dir say about the partition.
    fn checkpointed(&mut self, place: &Place, name: Option<&PartitionName>) -> Result<Checkpointed, Refusal> {
        let (Some(log_dir), Some(name)) = (&place.log_dir, name) else { return Ok(Checkpointed::default()) };
        if self.checkpoints.as_ref().is_none_or(|(of, _)| of != log_dir) {
            self.checkpoints = Some((log_dir.clone(), Checkpoints::read(log_dir)));
        }
        let Some((_, checkpoints)) = &self.checkpoints else { return Ok(Checkpointed::default()) };
        if let Some(error) = checkpoints.unreadable.first() {
            return Err(Refusal { why: error.to_string(), hint: error.hint(), damaged: None });
        }
        let replication = FileKind::ReplicationOffsetCheckpoint.fixed_name().unwrap_or_default();
        let by_high_watermark =
            matches!(self.args.to, To::HighWatermark) && self.args.replicas.is_empty() && self.offsets.is_none();
        let garbled = checkpoints.damaged.iter().find(|(path, _)| path.ends_with(replication));
        if let Some((path, error)) = garbled.filter(|_| by_high_watermark) {
            return Err(TruncateError::BadFile { path: path.clone(), why: error.to_string() }.into());
        }
        Ok(checkpoints.of(name))
    }

    /// How far the copies that were given agree with the partition.
    fn agreement(&mut self, dir: &PartitionDir, policy: ReadPolicy) -> Result<Agreement, Refusal> {
        let own = Copy::read(dir, policy, Some(signals::stop()))?;
        let mut others = Vec::new();
        for given in &self.args.replicas {
            let copy = copy_in(given, dir.name.as_ref())?;
            is_another_copy(dir, &copy)?;
            let policy = ReadPolicy { may_change: self.run.broker_runs_on(&copy.path), ..policy };
            others.push(Copy::read(&copy, policy, Some(signals::stop()))?);
        }
        Ok(agreement(own, others)?)
    }

    /// Shows the plan and, if that is wanted, does it.
    fn cut(
        &mut self,
        place: &Place,
        dir: &PartitionDir,
        around: &Around,
        cut: &Truncation,
        from: TargetFrom<'_>,
    ) -> Result<(), Refusal> {
        self.account(dir)?;
        let mut remarks = cut::remarks(cut, from);
        self.say_what_a_cut_is(from, &mut remarks);
        let is_text = self.run.reporter.format() != Format::Json;
        if cut.plan.steps.is_empty() && is_text {
            let mut line = Vec::new();
            crate::report::row::path(&mut line, &place.path);
            line.extend_from_slice(format!(": nothing to do, the log ends at {}", cut.log_end_offset).as_bytes());
            remarks.iter().for_each(|remark| line.extend_from_slice(format!("\n  note: {remark}").as_bytes()));
            self.run.reporter.words(&mut self.run.output.buffer, None, &line);
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
        let is_allowed = self.args.allow_data_loss || cut.plan.loses.is_nothing();
        if self.args.change.apply && !cut.plan.steps.is_empty() && !is_allowed {
            self.change.show(&mut self.run, place, &cut.plan, words);
            self.left = true;
            let hint = Some("nothing was changed; if that is meant: --apply --allow-data-loss".to_owned());
            let why = format!("{} would lose bytes of its log", place.path.display());
            return Err(Refusal { why, hint, damaged: None });
        }
        let before = match self.args.change.apply && !cut.plan.steps.is_empty() {
            true => Some(Before::look(&place.path, around, place.clean_shutdown)?),
            false => None,
        };
        let mut left = Vec::new();
        let mut verify = || {
            if let Some(before) = &before {
                left = before.hold_against(cut, around)?;
            }
            Ok(())
        };
        match self.change.carry_out(&mut self.run, place, &cut.plan, words, &mut verify) {
            Outcome::Planned => self.left |= !cut.plan.steps.is_empty(),
            Outcome::Applied => {
                self.done = true;
                self.checkpoints = None;
                self.tell(place, &left);
            }
            Outcome::Refused => self.left = true,
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

    /// Tells what the checks say about the log that is damaged.
    fn tell_damage(&mut self, place: &Place, damaged: &Path, around: &Around) -> Result<(), Refusal> {
        let mut errors = verify::errors(&place.path, around, place.clean_shutdown)?;
        errors.retain(|finding| finding.path == damaged);
        self.tell(place, &errors);
        Ok(())
    }

    fn tell(&mut self, place: &Place, errors: &[Finding]) {
        if errors.is_empty() {
            return;
        }
        self.left = true;
        self.run.seen.errors += errors.iter().map(|finding| finding.more + 1).sum::<u64>();
        let (partition, dir) = change::name_and_dir(&place.path);
        let subject = Subject { partition: &partition, dir: &dir };
        findings::tell(&mut self.run.reporter, &mut self.run.output.buffer, &subject, errors, |_| AtStart::default());
    }

    fn account(&mut self, dir: &PartitionDir) -> Result<(), StoreError> {
        for segment in dir.segments() {
            self.run.seen.files += 1;
            self.run.seen.segments += 1;
            self.run.seen.bytes += segment.size_in_bytes().unwrap_or(0);
        }
        Ok(())
    }
}

/// The copy of the partition `name` that `given` is, or that is in the log dir `given`.
fn copy_in(given: &Path, name: Option<&PartitionName>) -> Result<PartitionDir, StoreError> {
    let nothing = |wanted: String| StoreError::NothingSelected { path: given.to_owned(), wanted, instead: None };
    match identify(given)? {
        Directory::Partition(copy) => Ok(copy),
        Directory::LogDir(log_dir) => {
            let name =
                name.ok_or_else(|| nothing("it is a log dir, and the partition's name is not known".to_owned()))?;
            let entry = log_dir.partitions.iter().find(|entry| entry.name == *name);
            let entry = entry.ok_or_else(|| nothing(format!("there is no copy of {name}")))?;
            PartitionDir::read(&entry.path)
        }
        Directory::Other => Err(StoreError::NothingThere { path: given.to_owned() }),
    }
}
