//! `kfsck rebuild-index`: indexes as Kafka's own recovery writes them, made from the log again.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::change::{Change, ChangeArgs, Outcome};
use super::common::{Common, Run, long_help};
use super::exit::Exit;
use super::signals;
use super::values::parse_size;
use crate::check::{Depth, Setting, Severity};
use crate::format::Offset;
use crate::format::file_name::{FileKind, FileName, FileState};
use crate::repair::RepairError;
use crate::repair::rebuild::{self, Rebuild, RebuildOptions, Rebuilder};
use crate::report::change::{self, PlanWords};
use crate::store::expand::{Target, expand};
use crate::store::partition::PartitionDir;
use crate::store::write::Disk;
use crate::store::{ReadPolicy, StoreError};

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
default only those that are wrong or missing. The log is read once and never changed. Where it is damaged its \
indexes end, and the plan says which offsets stay out of their reach.

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
    let kind = |kind: &Kind| match kind {
        Kind::Index => FileKind::OffsetIndex,
        Kind::Timeindex => FileKind::TimeIndex,
        Kind::Txnindex => FileKind::TxnIndex,
    };
    let mut options = RebuildOptions {
        all: args.all,
        index_interval_bytes: args.index_interval_bytes,
        segment_index_bytes: args.segment_index_bytes,
        ..RebuildOptions::default()
    };
    if !args.only.is_empty() {
        options.kinds = args.only.iter().map(kind).collect();
    }
    let mut work = Work {
        args,
        options,
        run: Run::start(&args.common, rebuild::ACTION),
        change: Change::new(&args.change),
        planned: false,
        done: false,
        left: false,
    };
    for path in &args.paths {
        (work.done, work.left) = (false, false);
        for target in expand(&[path], &args.common.selection()) {
            if signals::is_stopped() {
                work.run.interrupted();
                return work.run.finish();
            }
            let worked = match target {
                Ok(Target::Partition(target)) => work.partition(&target.path, target.segment),
                Ok(Target::File { path, name }) => work.file(&path, name),
                Err(error) => Err(error.into()),
            };
            if let Err(error) = worked {
                work.run.refused(&error.to_string(), error.hint().as_deref());
            }
            if let Err(error) = work.run.output.flush() {
                work.run.cannot_write(&error);
                return work.run.finish();
            }
        }
        if work.planned {
            work.run.remark("nothing was touched: --apply does it".to_owned());
        }
        match (work.left, work.done) {
            (true, _) => work.run.errors_left(),
            (false, true) => work.run.corrected(),
            (false, false) => {}
        }
    }
    work.run.finish()
}

struct Work<'a> {
    args: &'a RebuildIndexArgs,
    options: RebuildOptions,
    run: Run,
    change: Change<'a>,
    /// Whether a plan was shown that can be done.
    planned: bool,
    /// Whether something was done to the path.
    done: bool,
    /// Whether errors are left there, or there is something to do.
    left: bool,
}

impl Work<'_> {
    /// A file that was named itself: the segment that it belongs to.
    fn file(&mut self, path: &Path, name: Option<FileName>) -> Result<(), RepairError> {
        let segment = name.filter(|name| name.kind.is_segment_file() && name.state == FileState::Live);
        let base_offset = segment.and_then(|name| name.base_offset).ok_or_else(|| StoreError::NothingSelected {
            path: path.to_owned(),
            wanted: "indexes are made again for segments, and this is a file of another kind".to_owned(),
            instead: Some("give the partition's directory, or a .log file in it".to_owned()),
        })?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        self.partition(parent, Some(base_offset))
    }

    fn partition(&mut self, path: &Path, segment: Option<Offset>) -> Result<(), RepairError> {
        let place = self.change.open(&mut self.run, path)?;
        let dir = PartitionDir::read(&place.path)?;
        let setting = Setting {
            policy: ReadPolicy { mode: self.args.common.io_mode(), may_change: place.is_live },
            depth: Depth::Checksums,
            clean_shutdown: place.clean_shutdown,
        };
        let options = RebuildOptions { segment, ..self.options.clone() };
        let mut rebuilder =
            Rebuilder::new(&dir, place.log_start_offset(&dir), &options, setting, Some(signals::stop()));
        let mut errors_left = 0;
        while let Some(part) = rebuilder.next_part(&Disk)? {
            self.account(&part);
            errors_left += part.left.count(Severity::Error);
            if part.stopped {
                self.run.interrupted();
                break;
            }
            if part.plan.steps.is_empty() && part.remarks.is_empty() {
                continue;
            }
            let why: Vec<String> = part.why.iter().map(change::why).collect();
            let remarks: Vec<String> = part.remarks.iter().map(change::remark).collect();
            let words = PlanWords { why: &why, remarks: &remarks, ..PlanWords::default() };
            let mut verify = || rebuild::verify(&Disk, &part.plan);
            match self.change.carry_out(&mut self.run, &place, &part.plan, words, &mut verify) {
                Outcome::Planned => {
                    self.planned |= !part.plan.steps.is_empty();
                    self.left |= self.planned;
                }
                Outcome::Applied => self.done = true,
                Outcome::Refused => {
                    self.left = true;
                    break;
                }
            }
        }
        if errors_left > 0 {
            self.left = true;
            self.run.seen.errors += errors_left;
            self.run.remark(format!("{}: errors are left that were not to be mended here", path.display()));
        }
        Ok(())
    }

    fn account(&mut self, part: &Rebuild) {
        for error in &part.unreadable {
            self.run.failed(error);
        }
        let seen = &mut self.run.seen;
        seen.files += part.segments;
        seen.segments += part.segments;
        seen.batches += part.batches;
        seen.records += part.records;
        seen.bytes += part.bytes;
    }
}
