//! `kfsck dump-log`: what is in these files?

mod ahead;
mod lines;
mod threads;
mod walk;

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};

use super::common::{Common, Run, long_help};
use super::dump_small::{DumpError, dump_small};
use super::exit::Exit;
use super::filter::{Filter, Isolation};
use super::jobs::{Jobs, JobsArg};
use super::output::write_out;
use super::signals;
use super::values::parse_size;
use crate::format::compression::DEFAULT_LIMIT;
use crate::format::file_name::{FileKind, FileName, FileState};
use crate::format::offset_index::OffsetIndex;
use crate::format::{Offset, Position};
use crate::report::bytes::BytesFormat;
use crate::report::entries;
use crate::report::log;
use crate::report::row::path_text;
use crate::scan::{LogSoFar, TransactionOutcomes, TransactionWalk, locate};
use crate::store::expand::{PartitionTarget, Target, expand};
use crate::store::partition::{PartitionDir, SegmentFiles};
use crate::store::{ReadPolicy, ReadStorage, StoreError, open, read_small};
use lines::Lines;
use walk::{Log, Wanted};

/// The largest index that is read to find a starting point: the most that 31 bits of position can need.
const LARGEST_INDEX: u64 = 256 << 20;

/// Arguments of `dump-log`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = long_help(DETAILS, EXAMPLES))]
pub(crate) struct DumpLogArgs {
    /// Files, partition directories or log dirs
    #[arg(required = true)]
    paths: Vec<PathBuf>,

    /// Print the records too, not only their batches
    ///
    /// Kafka's names for it, --deep-iteration and --print-data-log, are taken too
    #[arg(short, long, aliases = ["deep-iteration", "print-data-log"])]
    records: bool,

    /// End each file at its first damage instead of going on at the next intact batch
    #[arg(long, hide_short_help = true)]
    stop_at_damage: bool,

    #[command(flatten)]
    filter: Filter,

    #[command(flatten)]
    rendering: Rendering,

    #[command(flatten)]
    jobs: JobsArg,

    #[command(flatten)]
    common: Common,
}

const DETAILS: &str = "\
Damage does not end a dump: it becomes a line with position, length and reason, and the dump goes on at the next \
intact batch that belongs to this log. The exit status is 4 then.

Kafka's own spelling works too and prints what kafka-dump-log prints, byte for byte: --files selects it, \
--kafka-format=RELEASE says as which release. docs/coming-from-kafka-dump-log.md has each option side by side.

  kfsck dump-log --files a.log,b.index --print-data-log
  kfsck dump-log --kafka-format=3.9 --print-data-log /data/orders-3";

const EXAMPLES: &str = "\
Examples:
  kfsck dump-log /data/orders-3              every batch of a partition
  kfsck dump-log -r -n 10 --from-offset 4711 /data/orders-3
                                             ten records from an offset on
  kfsck dump-log -r --key order-17 --from-time -2h /data/orders-3
  kfsck dump-log -r -f json /data/orders-3 | jq 'select(.offset == 7).value'
  kfsck dump-log /data/orders-3/00000000000000004711.timeindex";

#[derive(Args, Debug)]
#[command(next_help_heading = "Rendering")]
struct Rendering {
    /// How keys are shown
    #[arg(long, value_enum, value_name = "FORM", default_value_t = BytesArg::Auto, hide_short_help = true)]
    key_format: BytesArg,

    /// How values are shown
    #[arg(long, value_enum, value_name = "FORM", default_value_t = BytesArg::Auto, hide_short_help = true)]
    value_format: BytesArg,

    /// How much of a key, value or header text shows; the rest is counted. JSON always has everything
    #[arg(long, value_name = "BYTES", default_value = "1KiB", value_parser = parse_size, hide_short_help = true)]
    max_value_bytes: u64,

    /// The largest batch that is taken into memory and the most that it may decompress to
    #[arg(long, value_name = "BYTES", default_value = "128MiB", value_parser = parse_size, hide_short_help = true)]
    max_batch_bytes: u64,
}

const _: () = assert!(DEFAULT_LIMIT == 128 << 20, "the default of --max-batch-bytes is spelled out in the help");

#[derive(Clone, Copy, Debug, ValueEnum)]
enum BytesArg {
    /// Text where it is printable UTF-8, else hexadecimal; in JSON {"text":…} or {"base64":…}
    Auto,
    /// Text, with escapes for what is none
    Text,
    /// JSON as it stands
    Json,
    /// Hexadecimal
    Hex,
    /// Base64
    Base64,
    /// A big-endian 32-bit integer
    Int,
    /// A big-endian 64-bit integer
    Long,
    /// Not at all
    None,
}

impl Rendering {
    /// The most that a batch may decompress to.
    fn decompression_limit(&self) -> usize {
        usize::try_from(self.max_batch_bytes).unwrap_or(usize::MAX)
    }
}

impl DumpLogArgs {
    /// Whether the bytes of batches are needed, or their headers alone.
    fn looks_into_batches(&self) -> bool {
        self.records || self.filter.looks_into_records()
    }

    /// The threads of this dump. A limit is counted down line by line, and the rows of a table are aligned together:
    /// these are left to one.
    fn jobs(&self) -> Jobs<'static> {
        let most = if self.filter.limit.is_some() || self.common.is_table() { 1 } else { threads::MOST_JOBS };
        self.jobs.jobs().at_most(most)
    }
}

impl From<BytesArg> for BytesFormat {
    fn from(arg: BytesArg) -> Self {
        match arg {
            BytesArg::Auto => Self::Auto,
            BytesArg::Text => Self::Text,
            BytesArg::Json => Self::Json,
            BytesArg::Hex => Self::Hex,
            BytesArg::Base64 => Self::Base64,
            BytesArg::Int => Self::Int,
            BytesArg::Long => Self::Long,
            BytesArg::None => Self::None,
        }
    }
}

/// Runs `dump-log`.
pub(crate) fn run(args: &DumpLogArgs) -> Exit {
    let limit = args.rendering.decompression_limit();
    let run = Run::start(&args.common, "dump-log");
    let mut dump = Dump {
        args,
        lines: Lines::new(args, run.reporter.zone(), limit),
        run,
        jobs: args.jobs(),
        left: args.filter.limit.unwrap_or(u64::MAX),
        transactions: None,
    };
    for target in expand(&args.paths, &args.common.selection()) {
        let (errors_before, to_check) = (dump.run.seen.errors, target.as_ref().ok().map(to_check));
        let done = match target {
            Ok(Target::File { path, name }) => dump.given_file(&path, name),
            Ok(Target::Partition(partition)) => dump.partition(partition),
            Err(error) => {
                dump.run.failed(&error);
                continue;
            }
        };
        if let Some(path) = to_check.filter(|_| dump.run.seen.errors > errors_before) {
            dump.run.lead_to_check(&path);
        }
        match done {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(())) => break,
            Err(Failure::Look(error)) => dump.run.failed(&error),
            Err(Failure::NothingToShow(words)) => dump.run.refused(&words, None),
            Err(Failure::Say(error)) => {
                dump.run.cannot_write(&error);
                break;
            }
        }
    }
    if signals::is_stopped() {
        dump.run.interrupted();
    }
    dump.run.finish()
}

/// What `check` takes to judge what was dumped: of a file that is no segment's, the directory it is in.
fn to_check(target: &Target) -> PathBuf {
    match target {
        Target::Partition(partition) => partition.path.clone(),
        Target::File { path, name: Some(name) } if name.kind.is_segment_file() && name.base_offset.is_some() => {
            path.clone()
        }
        Target::File { path, .. } => {
            path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
        }
    }
}

/// What ends the dump of a file before its end.
enum Failure {
    /// The file could not be read; others may be.
    Look(StoreError),
    /// Nothing is known of the inside of such a file.
    NothingToShow(String),
    /// Nobody reads what is said.
    Say(io::Error),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Look(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Say(error)
    }
}

impl From<DumpError> for Failure {
    fn from(error: DumpError) -> Self {
        match error {
            DumpError::Store(error) => Self::Look(error),
            DumpError::Output(error) => Self::Say(error),
            other => Self::NothingToShow(other.to_string()),
        }
    }
}

/// `Break` once nothing more is wanted.
type Outcome = Result<ControlFlow<()>, Failure>;

struct Dump<'a> {
    args: &'a DumpLogArgs,
    run: Run,
    lines: Lines<'a>,
    jobs: Jobs<'static>,
    /// How many more lines are wanted.
    left: u64,
    /// What became of the transactions of the partition being dumped, where that was asked for.
    transactions: Option<(PathBuf, Arc<TransactionOutcomes>)>,
}

/// The partition that a file is in, its segments grouped once for all of them.
struct Neighbours<'p> {
    partition: &'p PartitionDir,
    /// In order of base offset.
    segments: Vec<SegmentFiles<'p>>,
}

impl<'p> Neighbours<'p> {
    fn of(partition: &'p PartitionDir) -> Self {
        Self { partition, segments: partition.segments() }
    }
}

/// What is known of a file of batches from its surroundings.
struct Surroundings {
    next_base_offset: Option<Offset>,
    index: Option<PathBuf>,
    /// A running broker may be writing to it.
    may_change: bool,
}

impl<'a> Dump<'a> {
    /// A file that was named itself: its neighbours tell where its segment ends.
    fn given_file(&mut self, path: &Path, name: Option<FileName>) -> Outcome {
        let Some(name) = name else {
            return Err(StoreError::not_kafkas(path).into());
        };
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let partition = match name.kind {
            FileKind::Log => PartitionDir::read(parent).ok(),
            _ => None,
        };
        let neighbours = partition.as_ref().map(Neighbours::of);
        self.file(path, name, neighbours.as_ref())
    }

    fn partition(&mut self, target: PartitionTarget) -> Outcome {
        let segment = target.segment;
        let partition = target.read()?;
        let mut files: Vec<_> = partition
            .files_of(segment)
            .filter(|file| file.name.state == FileState::Live && is_in_a_dump_of_a_partition(file.name.kind))
            .map(|file| (file.path(), file.name))
            .collect();
        if files.is_empty() {
            return Err(StoreError::nothing_there(partition.path).into());
        }
        files.sort_by_key(|(_, name)| (name.kind != FileKind::Log, name.base_offset, name.epoch));
        let neighbours = Neighbours::of(&partition);
        for (path, name) in files {
            match self.file(&path, name, Some(&neighbours)) {
                Err(Failure::Look(error)) => self.run.failed(&error),
                Ok(ControlFlow::Continue(())) => {}
                ended => return ended,
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn file(&mut self, path: &Path, name: FileName, neighbours: Option<&Neighbours<'_>>) -> Outcome {
        let done = match name.kind {
            FileKind::Log | FileKind::KraftSnapshot | FileKind::BootstrapSnapshot => {
                let around = self.surroundings(path, &name, neighbours);
                if name.kind == FileKind::Log && !self.is_wanted(&name, &around) {
                    return Ok(ControlFlow::Continue(()));
                }
                if self.args.filter.isolation == Isolation::ReadCommitted
                    && let Some(neighbours) = neighbours
                {
                    self.learn_transactions(neighbours)?;
                }
                self.batches(path, &name, &around)
            }
            _ => self.entries(path, &name),
        };
        self.run.reporter.flush(&mut self.run.output.buffer);
        done
    }

    fn entries(&mut self, path: &Path, name: &FileName) -> Outcome {
        let Run { reporter, output, .. } = &mut self.run;
        let seen = dump_small(path, name, reporter, &mut output.buffer, &mut write_out)?;
        self.run.seen.files += 1;
        if seen.damaged {
            self.run.damage();
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Walks over the whole partition once to learn which transactions were committed.
    fn learn_transactions(&mut self, Neighbours { partition, segments }: &Neighbours<'_>) -> Result<(), Failure> {
        if self.transactions.as_ref().is_some_and(|(path, _)| *path == partition.path) {
            return Ok(());
        }
        let bases: Vec<Offset> = segments.iter().map(|segment| segment.base_offset).collect();
        let log_start_offset = bases.first().copied().unwrap_or_default();
        let mut walk = TransactionWalk::new(log_start_offset, None, Some(signals::stop()));
        for (at, segment) in segments.iter().enumerate() {
            let Some(log) = segment.log else { continue };
            let policy = ReadPolicy { mode: self.args.common.io_mode(), may_change: at + 1 == bases.len() };
            walk.segment(open(&log.path(), policy)?.as_ref(), segment.base_offset, bases.get(at + 1).copied())?;
        }
        if let Some(outcomes) = walk.finish() {
            if outcomes.is_uncertain() {
                self.run.remark(format!(
                    "{}: damage may have swallowed transaction markers; what is not known to be committed is not shown",
                    partition.path.display()
                ));
            }
            self.transactions = Some((partition.path.clone(), Arc::new(outcomes)));
        }
        Ok(())
    }

    fn wanted(&self) -> Wanted<'a> {
        let filter = &self.args.filter;
        let outcomes = match filter.isolation {
            Isolation::ReadUncommitted => None,
            Isolation::ReadCommitted => self.transactions.as_ref().map(|(_, outcomes)| Arc::clone(outcomes)),
        };
        Wanted { filter, outcomes, is_past: false }
    }

    /// Whether a segment can hold wanted offsets, as far as its name and its neighbour's tell.
    fn is_wanted(&self, name: &FileName, around: &Surroundings) -> bool {
        let filter = &self.args.filter;
        let ends_below = |from| around.next_base_offset.is_some_and(|next| next.0 <= from);
        !(filter.from_offset.is_some_and(ends_below)
            || filter.to_offset.is_some_and(|end| name.base_offset.is_some_and(|base| base.0 >= end)))
    }

    fn surroundings(&mut self, path: &Path, name: &FileName, neighbours: Option<&Neighbours<'_>>) -> Surroundings {
        let nothing = Surroundings { next_base_offset: None, index: None, may_change: false };
        let neighbours = neighbours.filter(|_| name.kind == FileKind::Log);
        let (Some(Neighbours { segments, .. }), Some(base)) = (neighbours, name.base_offset) else {
            return nothing;
        };
        let next = segments.get(segments.partition_point(|segment| segment.base_offset <= base));
        let next = next.map(|segment| segment.base_offset);
        let own = segments.binary_search_by_key(&base, |segment| segment.base_offset).ok();
        let own = own.filter(|_| name.state == FileState::Live).and_then(|at| segments.get(at));
        let index = own.and_then(|segment| segment.offset_index).map(|index| index.path());
        let may_change = next.is_none() && self.run.broker_runs_on(path.parent().unwrap_or(path));
        Surroundings { next_base_offset: next, index, may_change }
    }

    fn batches(&mut self, path: &Path, name: &FileName, around: &Surroundings) -> Outcome {
        let policy = ReadPolicy { mode: self.args.common.io_mode(), may_change: around.may_change };
        let storage = open(path, policy)?;
        self.run.seen.files += 1;
        self.run.seen.segments += u64::from(name.kind == FileKind::Log);
        let base = name.base_offset.filter(|_| name.kind == FileKind::Log);
        let so_far = base.map_or_else(LogSoFar::unknown, |base| LogSoFar::segment(base, around.next_base_offset));
        let (kind, words) = (entries::kind_name(name.kind), entries::file_words(name));
        let out = &mut self.run.output.buffer;
        log::file(&mut self.run.reporter, out, path, kind, base, storage.len(), &words);

        let start = self.start(storage.as_ref(), base, around)?;
        let log = Log { storage: storage.as_ref(), path: path_text(path), may_change: around.may_change };
        let (has_threads, is_large) = (self.jobs.count().get() > 1, storage.len() - start.0 >= ahead::WORTH_PARTS);
        let is_compressed = || self.args.looks_into_batches() && log.is_compressed(start);
        if has_threads && is_large && !around.may_change && !is_compressed() {
            self.looking_ahead(&log, start, so_far)
        } else if has_threads && self.args.looks_into_batches() {
            self.in_threads(&log, start, so_far)
        } else {
            self.walk_alone(&log, start, so_far, None)
        }
    }

    /// Where the walk begins: at the first batch, or where the index leads to the first offset that is wanted.
    fn start(
        &self,
        storage: &dyn ReadStorage,
        base: Option<Offset>,
        around: &Surroundings,
    ) -> Result<Position, Failure> {
        match (self.args.filter.from_offset, base, &around.index) {
            (Some(from), Some(base), Some(index)) if from > base.0 => {
                // An index that cannot be read costs time, nothing else.
                let Ok(index) = read_small(index, LARGEST_INDEX) else { return Ok(Position(0)) };
                Ok(locate::start_for(storage, &OffsetIndex::new(&index, base), Offset(from))?)
            }
            _ => Ok(Position(0)),
        }
    }
}

/// A partition's dump shows its logs and KRaft snapshots; every other file is shown when it is named itself.
fn is_in_a_dump_of_a_partition(kind: FileKind) -> bool {
    matches!(kind, FileKind::Log | FileKind::KraftSnapshot)
}
