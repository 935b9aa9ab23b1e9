//! `kfsck dump-log`: what is in these files?

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::common::{Common, Run, long_help};
use super::dump_small::{DumpError, dump_small};
use super::exit::Exit;
use super::filter::{Filter, Isolation};
use super::output::write_out;
use super::signals;
use super::values::parse_size;
use crate::format::batch::{BatchHeader, RecordBatch};
use crate::format::compression::{DEFAULT_LIMIT, DecompressError, Decompressor};
use crate::format::control::ControlRecord;
use crate::format::file_name::{FileKind, FileName, FileState};
use crate::format::offset_index::OffsetIndex;
use crate::format::record::RecordError;
use crate::format::{Offset, Position};
use crate::report::bytes::BytesFormat;
use crate::report::entries;
use crate::report::log::{self, Damaged, RecordLines, RecordStyle};
use crate::report::reporter::Format;
use crate::report::row::path_text;
use crate::scan::{
    BatchScan, Damage, LogSoFar, ScanEnd, ScanOptions, ScannedBatch, TransactionOutcomes, TransactionWalk, Verdict,
    Verify, locate,
};
use crate::store::expand::{PartitionTarget, Target, expand};
use crate::store::partition::{PartitionDir, SegmentFiles};
use crate::store::{ReadPolicy, ReadStorage, StoreError, open, read_small};

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
    let style = RecordStyle {
        key: args.rendering.key_format.into(),
        value: args.rendering.value_format.into(),
        most_in_text: usize::try_from(args.rendering.max_value_bytes).unwrap_or(usize::MAX),
    };
    let limit = usize::try_from(args.rendering.max_batch_bytes).unwrap_or(usize::MAX);
    let mut dump = Dump {
        args,
        run: Run::start(&args.common, "dump-log"),
        lines: RecordLines::new(style),
        decompressor: Decompressor::new(limit),
        left: args.filter.limit.unwrap_or(u64::MAX),
        transactions: None,
    };
    for target in expand(&args.paths, &args.common.selection()) {
        let done = match target {
            Ok(Target::File { path, name }) => dump.given_file(&path, name),
            Ok(Target::Partition(partition)) => dump.partition(partition),
            Err(error) => {
                dump.run.failed(&error);
                continue;
            }
        };
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
    lines: RecordLines,
    decompressor: Decompressor,
    /// How many more lines are wanted.
    left: u64,
    /// What became of the transactions of the partition being dumped, where that was asked for.
    transactions: Option<(PathBuf, TransactionOutcomes)>,
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

impl Dump<'_> {
    /// A file that was named itself: its neighbours tell where its segment ends.
    fn given_file(&mut self, path: &Path, name: Option<FileName>) -> Outcome {
        let Some(name) = name else {
            return Err(StoreError::NotKafkas { path: path.to_owned() }.into());
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
            return Err(StoreError::NothingThere { path: partition.path }.into());
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
            self.transactions = Some((partition.path.clone(), outcomes));
        }
        Ok(())
    }

    /// Whether a consumer with the wanted isolation is given the batch.
    fn is_delivered(&self, header: &BatchHeader) -> bool {
        self.args.filter.isolation == Isolation::ReadUncommitted
            || self.transactions.as_ref().is_none_or(|(_, outcomes)| outcomes.verdict(header) == Verdict::Delivered)
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
        let options = ScanOptions {
            start,
            verify: Verify::Checksum,
            bodies: self.args.records || self.args.filter.looks_into_records(),
            max_batch_bytes: self.args.rendering.max_batch_bytes,
            stop: Some(signals::stop()),
        };
        let mut scan = BatchScan::new(storage.as_ref(), so_far, options);
        let file = path_text(path);
        let outcome = self.walk(&mut scan, &file, around.may_change);
        self.run.seen.bytes += scan.position().0 - start.0;
        outcome
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

    fn walk(&mut self, scan: &mut BatchScan<'_>, file: &str, may_change: bool) -> Outcome {
        let mut is_past = false;
        loop {
            while let Some(batch) = scan.next_batch()? {
                // One batch past the window may have a changed base offset, which no checksum covers.
                let was_past = std::mem::replace(&mut is_past, self.args.filter.is_past(batch.header));
                if was_past && is_past {
                    return Ok(ControlFlow::Continue(()));
                }
                if self.args.filter.takes_batch(batch.header) && self.is_delivered(batch.header) {
                    self.batch(&batch, file)?;
                    self.run.output.drain()?;
                }
                if self.left == 0 {
                    return Ok(ControlFlow::Break(()));
                }
            }
            match scan.end() {
                Some(ScanEnd::Stopped) => return Ok(ControlFlow::Break(())),
                Some(end) => self.end(&end.clone(), file, may_change),
                None => {}
            }
            if self.args.stop_at_damage || !scan.skip_damage() {
                return Ok(ControlFlow::Continue(()));
            }
        }
    }

    /// One batch whose checksum holds, and its records.
    fn batch(&mut self, scanned: &ScannedBatch<'_>, file: &str) -> Result<(), Failure> {
        let (ScannedBatch { position, header, .. }, batch) = (scanned, scanned.batch());
        if !self.args.records {
            let is_wanted = !self.args.filter.looks_into_records()
                || batch.is_none_or(|batch| self.records(&batch, *position, file) > 0);
            if is_wanted {
                self.batch_line(file, *position, header, true);
                self.left -= 1;
            }
            return Ok(());
        }
        let before = self.run.output.buffer.len();
        // A table of records has a column for everything but their batches.
        if self.run.reporter.format() == Format::Table {
            self.run.seen.batches += 1;
        } else {
            self.batch_line(file, *position, header, true);
        }
        let Some(batch) = batch else {
            self.too_large(file, *position, &format!("it has {} bytes", header.size_in_bytes()));
            return Ok(());
        };
        if self.records(&batch, *position, file) == 0 && !self.args.filter.takes_whole_batches() {
            // Nothing of it was wanted: as if it had not been said.
            self.run.output.buffer.truncate(before);
            self.run.seen.batches -= 1;
        }
        Ok(())
    }

    fn batch_line(&mut self, file: &str, position: Position, header: &BatchHeader, is_valid: bool) {
        log::batch(&mut self.run.reporter, &mut self.run.output.buffer, file, position, header, is_valid);
        self.run.seen.batches += 1;
        if let (Err(id), false) = (header.compression(), self.args.records) {
            let words = format!("compression id {id} does not exist: nobody can read the records");
            self.damaged(file, position, header.size_in_bytes(), "unknownCodec", &words);
        }
    }

    /// The records of a batch; returns how many were wanted.
    fn records(&mut self, batch: &RecordBatch<'_>, position: Position, file: &str) -> u64 {
        let header = batch.header();
        self.lines.batch(file, position);
        let mut taken = 0;
        let mut broken_control = None;
        let problem = match batch.records(&mut self.decompressor) {
            Err(error) => Some(error),
            Ok(records) => {
                let mut problem = None;
                let takes_all = self.args.filter.takes_whole_batches();
                let is_control = header.is_control();
                let Run { reporter, output, .. } = &mut self.run;
                for record in records {
                    let record = match record {
                        Ok(record) => record,
                        Err(error) => {
                            problem = Some(error);
                            break;
                        }
                    };
                    if !takes_all && !self.args.filter.takes_record(&record) {
                        continue;
                    }
                    taken += 1;
                    if !self.args.records {
                        break;
                    }
                    let mut control = None;
                    if is_control {
                        match ControlRecord::parse(record.key, record.value) {
                            Ok(parsed) => control = Some(parsed),
                            Err(error) => broken_control = Some((record.offset, error)),
                        }
                    }
                    let out = &mut output.buffer;
                    match reporter.format() {
                        Format::Json => self.lines.json(out, &record, control.as_ref()),
                        Format::Text => self.lines.text(out, &record, control.as_ref(), reporter.zone()),
                        Format::Table => self.lines.table(reporter, out, &record, control.as_ref()),
                    }
                    if taken == self.left {
                        break;
                    }
                }
                problem
            }
        };
        if self.args.records {
            self.run.seen.records += taken;
            self.left -= taken;
        }
        let size = header.size_in_bytes();
        if let Some((offset, error)) = broken_control {
            let words = format!("the control record at offset {offset} cannot be read: {error}");
            self.damaged(file, position, size, "malformedControlRecord", &words);
            taken += 1;
        }
        if let Some(RecordError::Decompress(error @ (DecompressError::Limit { .. } | DecompressError::OutOfMemory))) =
            &problem
        {
            self.too_large(file, position, &error.to_string());
            taken += 1;
        } else if let Some(error) = problem {
            let words = format!("the checksum holds, but the records cannot be read: {error}");
            self.damaged(file, position, size, "recordsUnreadable", &words);
            taken += 1;
        }
        taken
    }

    /// Records that are not shown because they would take too much memory: not looked at, which is no damage.
    fn too_large(&mut self, file: &str, position: Position, why: &str) {
        let limit = self.args.rendering.max_batch_bytes;
        let words = format!("{file}: the records of the batch at position {position} are not shown: {why}");
        self.run
            .refused(&words, Some(&format!("--max-batch-bytes {limit} is the limit: give a larger one to see them")));
    }

    /// How a walk ended, where it did not end with the file.
    fn end(&mut self, end: &ScanEnd, file: &str, may_change: bool) {
        if let ScanEnd::Damaged(Damage { header: Some(header), position, .. }) = end {
            // Shown, and not built on: its records are not decoded.
            self.batch_line(file, *position, header, false);
        }
        let words = log::end_words(end);
        let Some(line) = Damaged::of_end(file, end, &words) else { return };
        let position = line.position;
        if may_change && line.next_intact.is_none() {
            self.run.remark(format!("{file}: {words} (position {position}); a running broker is writing to it"));
        } else {
            log::damaged(&mut self.run.reporter, &mut self.run.output.buffer, &line);
            self.run.damage();
        }
    }

    fn damaged(&mut self, file: &str, position: Position, length: u64, reason: &str, words: &str) {
        let next_intact = Some(Position(position.0 + length));
        let line = Damaged { file, position, length, reason, words, next_intact, next_step: None };
        log::damaged(&mut self.run.reporter, &mut self.run.output.buffer, &line);
        self.run.damage();
    }
}

/// A partition's dump shows its logs and KRaft snapshots; every other file is shown when it is named itself.
fn is_in_a_dump_of_a_partition(kind: FileKind) -> bool {
    matches!(kind, FileKind::Log | FileKind::KraftSnapshot)
}
