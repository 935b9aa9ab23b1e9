//! What is to be looked at, in order, and what the threads do with it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::change::{Change, Place};
use super::super::common::Run;
use super::super::progress::Progress;
use super::super::signals;
use super::RebuildIndexArgs;
use crate::check::segment::Worker;
use crate::check::{Depth, Setting};
use crate::format::Offset;
use crate::format::file_name::{FileName, FileState};
use crate::repair::RepairError;
use crate::repair::rebuild::{Looked, Partition, RebuildOptions, Segment};
use crate::store::expand::{Target, expand};
use crate::store::partition::PartitionDir;
use crate::store::write::Disk;
use crate::store::{ReadPolicy, StoreError};

/// Everything that is to be looked at, in order.
pub(super) struct Targets {
    wanted: Vec<Result<Wanted, RepairError>>,
}

/// A partition, or a segment of one. Not listed before its turn comes: thousands of them must not fill the memory.
struct Wanted {
    at_path: usize,
    given: PathBuf,
    place: Place,
    options: RebuildOptions,
    setting: Setting,
}

impl Targets {
    /// Expands the paths, and makes sure that what is there may be changed: from here on the locks are held.
    pub(super) fn new(
        args: &RebuildIndexArgs,
        options: &RebuildOptions,
        change: &mut Change<'_>,
        run: &mut Run,
    ) -> Self {
        let mut found = Vec::new();
        for (at_path, path) in args.paths.iter().enumerate() {
            for target in expand(&[path], &args.common.selection()) {
                found.push((at_path, target.and_then(partition_of)));
            }
        }
        let canonical = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let whole = |(_, found): &(usize, Result<(PathBuf, Option<Offset>), StoreError>)| {
            found.as_ref().ok().filter(|(_, segment)| segment.is_none()).map(|(path, _)| canonical(path))
        };
        let whole: HashSet<PathBuf> = found.iter().filter_map(whole).collect();
        let (mut seen, mut wanted) = (HashSet::new(), Vec::new());
        for (at_path, found) in found {
            let (given, segment) = match found {
                Ok(found) => found,
                Err(error) => {
                    wanted.push(Err(error.into()));
                    continue;
                }
            };
            // What is changed once is not what it was when it was looked at twice.
            let path = canonical(&given);
            if segment.is_some() && whole.contains(&path) || !seen.insert((path, segment)) {
                continue;
            }
            wanted.push(change.open(run, &given).map(|place| {
                let policy = ReadPolicy { mode: args.common.io_mode(), may_change: place.is_live };
                let setting = Setting { policy, depth: Depth::Checksums, clean_shutdown: place.clean_shutdown };
                Wanted { at_path, given, place, options: RebuildOptions { segment, ..options.clone() }, setting }
            }));
        }
        Self { wanted }
    }

    /// The sum of all logs in bytes, as far as they can be listed now.
    pub(super) fn size_in_bytes(&self) -> u64 {
        let size_of = |wanted: &Result<Wanted, RepairError>| {
            let wanted = wanted.as_ref().ok()?;
            let dir = PartitionDir::read(&wanted.place.path).ok()?;
            let segments = dir.segments();
            let is_meant = |only: Option<Offset>, base_offset| only.is_none_or(|only| only == base_offset);
            let segments = segments.iter().filter(|files| is_meant(wanted.options.segment, files.base_offset));
            Some(segments.filter_map(|files| files.size_in_bytes().ok()).sum::<u64>())
        };
        self.wanted.iter().filter_map(size_of).sum()
    }

    /// The tasks in order. A partition is listed when its turn comes.
    pub(super) fn tasks(self) -> impl Iterator<Item = Task> + Send {
        self.wanted.into_iter().flat_map(|wanted| match wanted.and_then(Wanted::tasks) {
            Ok(tasks) => tasks,
            Err(error) => vec![Task::Failed(error)],
        })
    }
}

impl Wanted {
    fn tasks(self) -> Result<Vec<Task>, RepairError> {
        let Self { at_path, given, place, options, setting } = self;
        let dir = PartitionDir::read(&place.path)?;
        let partition = Arc::new(Partition::new(dir, options, setting));
        let segments = partition.segments().into_iter().map(|segment| Task::Segment(Box::new(segment)));
        let unit = Box::new(Unit { at_path, given, place, partition: Arc::clone(&partition) });
        Ok([Task::Begin(unit)].into_iter().chain(segments).chain([Task::End]).collect())
    }
}

/// The partition that is meant, and the segment: a file that was named itself stands for its segment.
fn partition_of(target: Target) -> Result<(PathBuf, Option<Offset>), StoreError> {
    let (path, name): (PathBuf, Option<FileName>) = match target {
        Target::Partition(target) => return Ok((target.path, target.segment)),
        Target::File { path, name } => (path, name),
    };
    let segment = name.filter(|name| name.kind.is_segment_file() && name.state == FileState::Live);
    let base_offset = segment.and_then(|name| name.base_offset).ok_or_else(|| StoreError::NothingSelected {
        path: path.clone(),
        wanted: "indexes are made again for segments, and this is a file of another kind".to_owned(),
        instead: Some("give the partition's directory, or a .log file in it".to_owned()),
    })?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok((parent.to_owned(), Some(base_offset)))
}

/// A partition that is being looked at.
pub(super) struct Unit {
    /// Which of the paths it comes from.
    pub(super) at_path: usize,
    /// What it was called there.
    pub(super) given: PathBuf,
    pub(super) place: Place,
    pub(super) partition: Arc<Partition>,
}

/// One piece of work.
pub(super) enum Task {
    /// The tasks up to the end are those of this partition.
    Begin(Box<Unit>),
    Segment(Box<Segment>),
    /// All segments of this partition were handed out.
    End,
    /// Something cannot be looked at.
    Failed(RepairError),
}

/// What came of it.
pub(super) enum Answer {
    Begin(Box<Unit>),
    Looked(Box<Looked>),
    End,
    Failed(RepairError),
}

impl Task {
    /// Does it.
    pub(super) fn done(self, worker: &mut Worker, progress: &Progress) -> Answer {
        match self {
            Self::Begin(unit) => Answer::Begin(unit),
            Self::Segment(segment) => {
                let size = if progress.is_shown() { segment.size_in_bytes() } else { 0 };
                let looked = segment.look(worker, &Disk, Some(signals::stop()));
                progress.done(size);
                Answer::Looked(Box::new(looked))
            }
            Self::End => Answer::End,
            Self::Failed(error) => Answer::Failed(error),
        }
    }
}
