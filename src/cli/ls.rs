//! `kfsck ls`: what is here?

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use clap::Args;

use super::common::{Common, Run, long_help};
use super::exit::Exit;
use super::signals;
use crate::format::Offset;
use crate::format::file_name::{FileName, FileState};
use crate::report::reporter::Format;
use crate::report::{entries, overview};
use crate::scan::checkpoints::Checkpoints;
use crate::scan::overview::{Flaw, PartitionFacts, SegmentFacts};
use crate::store::expand::{PartitionTarget, Target, expand};
use crate::store::log_dir::log_dir_of;
use crate::store::partition::PartitionDir;
use crate::store::{ReadPolicy, StoreError};

/// Arguments of `ls`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = long_help(DETAILS, EXAMPLES))]
pub(crate) struct LsArgs {
    /// Log dirs (a line a partition), one partition directory (a line a segment), or segment files
    #[arg(required = true)]
    paths: Vec<PathBuf>,

    #[command(flatten)]
    common: Common,
}

const DETAILS: &str = "\
What is shown is what file names, checkpoints, batch headers and indexes say; no record is read. Damage that \
meets the eye is noted, and the exit status is 4. Whether there is other damage, `check` tells.

  log end          found in the log itself, never believed from an index
  log start,
  high watermark   as last checkpointed; empty where no checkpoint tells
  first timestamp  of the first batch with records at or behind the log start
  last timestamp   the largest of the last batch
  max timestamp    the largest of a segment, by its time index if the log
                   confirms it
  size             of the .log files

A narrow terminal has room for some of these; a pipe, and JSON, get all.";

const EXAMPLES: &str = "\
Examples:
  kfsck ls /data                               every partition of a log dir
  kfsck ls -t 'orders-*' /data1 /data2         some of two log dirs
  kfsck ls /data/orders-3                      one partition by segments
  kfsck ls -f json /data | jq -r 'select(.highWatermark > .logEndOffset).dir'";

/// Runs `ls`.
pub(crate) fn run(args: &LsArgs) -> Exit {
    let mut run = Run::start(&args.common, "ls");
    if run.reporter.format() == Format::Text {
        // A list reads best in columns.
        run.reporter = run.reporter.in_format(Format::Table);
    }
    let mut list = List {
        args,
        run,
        log_dirs: Vec::new(),
        heading: None,
        shown: HashSet::new(),
        partitions: 0,
        segments: 0,
        size_in_bytes: 0,
    };
    for path in &args.paths {
        for target in expand(&[path], &args.common.selection()) {
            if signals::is_stopped() {
                list.run.interrupted();
                return list.run.finish();
            }
            let listed = match target {
                Ok(Target::Partition(target)) => list.partition(target, path),
                Ok(Target::File { path, name }) => list.file(&path, name),
                Err(error) => Err(error),
            };
            if let Err(error) = listed {
                list.run.failed(&error);
            }
            if let Err(error) = list.run.output.drain() {
                list.run.cannot_write(&error);
                return list.run.finish();
            }
        }
    }
    list.finish()
}

struct List<'a> {
    args: &'a LsArgs,
    run: Run,
    /// The log dirs met so far.
    log_dirs: Vec<(PathBuf, Rc<Checkpoints>)>,
    /// The directory that the lines at the end are in.
    heading: Option<PathBuf>,
    /// Segments of which a file was named: several files may be of one.
    shown: HashSet<(PathBuf, Offset, FileState)>,
    partitions: u64,
    segments: u64,
    size_in_bytes: u64,
}

impl List<'_> {
    /// A partition that was `given` itself or is in a log dir that was.
    fn partition(&mut self, target: PartitionTarget, given: &Path) -> Result<(), StoreError> {
        let segment = target.segment;
        let by_segment = segment.is_some() || (self.args.paths.len() == 1 && target.path == given);
        let dir = target.read()?;
        let policy = self.policy(&dir.path);
        let checkpoints = self.checkpoints(&dir.path);
        self.head(dir.path.parent().unwrap_or(Path::new("")));
        let facts = PartitionFacts::read(&dir, checkpoints.as_deref(), policy);
        self.partitions += 1;
        self.run.seen.files += dir.files_of(segment).count() as u64;
        let out = &mut self.run.output.buffer;
        overview::partition(&mut self.run.reporter, out, &dir.path, dir.name.as_ref(), &facts);
        self.account(&facts.flaws, &facts.unreadable, policy, &dir.path);
        if !by_segment {
            self.segments += facts.segments;
            self.size_in_bytes += facts.size_in_bytes;
            return Ok(());
        }
        self.run.reporter.words(&mut self.run.output.buffer, None, b"");
        let segments = dir.segments();
        for (at, files) in segments.iter().enumerate() {
            if signals::is_stopped() {
                break;
            }
            if segment.is_none_or(|wanted| wanted == files.base_offset) {
                let next = segments.get(at + 1).map(|next| next.base_offset);
                let mut segment = SegmentFacts::read(files, next, policy);
                self.segment(&dir.path, &segment);
                // What the partition's line has told is not told again.
                segment.flaws.retain(|flaw| !facts.flaws.contains(flaw));
                self.account(&segment.flaws, &segment.unreadable, policy, &dir.path);
            }
        }
        Ok(())
    }

    /// A file that was named itself.
    fn file(&mut self, path: &Path, name: Option<FileName>) -> Result<(), StoreError> {
        let name = name.ok_or_else(|| StoreError::not_kafkas(path))?;
        let not_listed = || StoreError::NothingSelected {
            path: path.to_owned(),
            wanted: format!(
                "ls lists partitions and segments, and this is a file of another kind ({})",
                entries::kind_name(name.kind)
            ),
            instead: Some("to see what is in it: kfsck dump-log".to_owned()),
        };
        let base_offset = name.base_offset.filter(|_| name.kind.is_segment_file()).ok_or_else(not_listed)?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !self.shown.insert((parent.to_owned(), base_offset, name.state)) {
            return Ok(());
        }
        let dir = PartitionDir::read(parent)?;
        let of_its_state = dir.segments_in(name.state);
        self.run.seen.files += dir.files_of(Some(base_offset)).count() as u64;
        let files = of_its_state.iter().find(|files| files.base_offset == base_offset).ok_or_else(not_listed)?;
        let next = dir.segments().iter().map(|files| files.base_offset).filter(|next| *next > base_offset).min();
        let policy = self.policy(&dir.path);
        self.head(parent);
        let facts = SegmentFacts::read(files, next, policy);
        self.segment(parent, &facts);
        self.account(&facts.flaws, &facts.unreadable, policy, parent);
        Ok(())
    }

    fn segment(&mut self, dir: &Path, facts: &SegmentFacts) {
        self.segments += 1;
        self.size_in_bytes += facts.size_in_bytes;
        overview::segment(&mut self.run.reporter, &mut self.run.output.buffer, dir, facts);
    }

    /// Names the directory of the lines that follow, where there are several.
    fn head(&mut self, directory: &Path) {
        if self.args.paths.len() < 2 || self.heading.as_deref() == Some(directory) {
            return;
        }
        let mut words = if self.heading.is_some() { b"\n".to_vec() } else { Vec::new() };
        crate::report::row::path(&mut words, if directory.as_os_str().is_empty() { Path::new(".") } else { directory });
        words.push(b':');
        self.run.reporter.words(&mut self.run.output.buffer, None, &words);
        self.heading = Some(directory.to_owned());
    }

    fn policy(&mut self, dir: &Path) -> ReadPolicy {
        ReadPolicy { mode: self.args.common.io_mode(), may_change: self.run.broker_runs_on(dir) }
    }

    /// The checkpoints of the log dir that `partition` is in, read once; `None` for a loose copy.
    fn checkpoints(&mut self, partition: &Path) -> Option<Rc<Checkpoints>> {
        let log_dir = log_dir_of(partition)?;
        if let Some((_, known)) = self.log_dirs.iter().find(|(known, _)| *known == log_dir) {
            return Some(Rc::clone(known));
        }
        let checkpoints = Rc::new(Checkpoints::read(&log_dir));
        for error in &checkpoints.unreadable {
            self.run.failed(error);
        }
        for (path, error) in &checkpoints.damaged {
            overview::damaged_checkpoint(&mut self.run.reporter, &mut self.run.output.buffer, path, error);
            self.run.damage();
            self.run.lead_to_check(&log_dir);
        }
        self.log_dirs.push((log_dir, Rc::clone(&checkpoints)));
        Some(checkpoints)
    }

    /// What flaws and errors in `path` mean for the run.
    fn account(&mut self, flaws: &[Flaw], unreadable: &[StoreError], policy: ReadPolicy, path: &Path) {
        for error in unreadable {
            self.run.failed(error);
        }
        overview::flaws(&mut self.run.reporter, &mut self.run.output.buffer, flaws);
        for flaw in flaws {
            // A batch that is just being written, or the zeros it will be written to.
            let is_being_written = policy.may_change && matches!(flaw, Flaw::Log { is_newest: true, .. });
            if !is_being_written {
                self.run.damage();
                self.run.lead_to_check(path);
            }
        }
    }

    fn finish(mut self) -> Exit {
        self.run.seen.partitions = Some(self.partitions);
        self.run.seen.segments = self.segments;
        self.run.seen.bytes = self.size_in_bytes;
        if self.segments > 0 || self.partitions > 0 {
            let out = &mut self.run.output.buffer;
            overview::total(&mut self.run.reporter, out, self.partitions, self.segments, self.size_in_bytes);
        }
        self.run.finish()
    }
}
