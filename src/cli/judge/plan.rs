//! What is to be looked at, in order, and what its surroundings say.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::common::Run;
use super::work::{Task, Unit, is_gone};
use super::{GivenLogDir, Question};
use crate::check::Setting;
use crate::check::log_dir::LogDirFacts;
use crate::check::partition::Surroundings;
use crate::format::Offset;
use crate::format::file_name::{FileName, FileState};
use crate::report::entries;
use crate::store::expand::{PartitionTarget, Target, expand};
use crate::store::log_dir::log_dir_of;
use crate::store::partition::PartitionDir;
use crate::store::shell::quoted;
use crate::store::undo_dir::is_undo_dir;
use crate::store::{ReadPolicy, StoreError};

/// Everything that is to be looked at, in order.
pub(super) struct Plan {
    wanted: Vec<Wanted>,
}

enum Wanted {
    Partition(Box<Partition>),
    Failed(StoreError),
}

/// A partition, or a segment of one. Not listed before its turn comes: thousands of them must not fill the memory.
struct Partition {
    place: Place,
    segment: Option<Offset>,
    around: Option<Around>,
    setting: Setting,
}

enum Place {
    Target(Box<PartitionTarget>),
    /// That of a file which was named itself.
    Directory(PathBuf),
}

/// What is known of the log dir that a partition is in.
#[derive(Clone)]
struct Around {
    facts: Arc<LogDirFacts>,
    /// Whether a broker is running on it.
    is_live: bool,
    /// Which of the log dirs that were given it is.
    given: Option<usize>,
}

impl Plan {
    /// Expands the paths. What is remarkable about log dirs is said at once.
    pub(super) fn new(question: &Question<'_>, given: &[GivenLogDir<'_>], run: &mut Run) -> Self {
        let mut log_dirs = LogDirs::new(given);
        let mut seen = HashSet::new();
        let mut wanted = Vec::new();
        for target in expand(question.paths, &question.common.selection()) {
            let found = target.and_then(|target| match target {
                Target::Partition(target) => {
                    let segment = target.segment;
                    Ok((Place::Target(Box::new(target)), segment))
                }
                Target::File { path, name } => {
                    segment_of(&path, name).map(|(directory, segment)| (Place::Directory(directory), Some(segment)))
                }
            });
            let (place, segment) = match found {
                Ok(found) => found,
                Err(error) => {
                    wanted.push(Wanted::Failed(error));
                    continue;
                }
            };
            if is_undo_dir(place.path()) {
                wanted.push(Wanted::Failed(StoreError::is_undo_data(place.path())));
                continue;
            }
            if question.paths.len() > 1 && !is_new(&mut seen, place.path(), segment) {
                continue;
            }
            let around = log_dirs.around(place.path(), run);
            let policy = ReadPolicy {
                mode: question.common.io_mode(),
                may_change: around.as_ref().is_some_and(|around| around.is_live),
            };
            let setting = Setting { policy, depth: question.depth, clean_shutdown: false };
            wanted.push(Wanted::Partition(Box::new(Partition { place, segment, around, setting })));
        }
        Self { wanted }
    }

    /// The sum of all logs in bytes, as far as they can be listed now.
    pub(super) fn size_in_bytes(&self) -> u64 {
        let size_of = |wanted: &Wanted| {
            let Wanted::Partition(partition) = wanted else { return None };
            let dir = partition.place.list().ok()?;
            let segments = dir.segments();
            let segments =
                segments.iter().filter(|files| partition.segment.is_none_or(|only| only == files.base_offset));
            Some(segments.filter_map(|files| files.size_in_bytes().ok()).sum::<u64>())
        };
        self.wanted.iter().filter_map(size_of).sum()
    }

    /// The tasks for `threads` threads, in order. A partition is listed when its turn comes.
    pub(super) fn tasks(self, threads: usize) -> impl Iterator<Item = Task> + Send {
        self.wanted.into_iter().flat_map(move |wanted| match wanted {
            Wanted::Partition(partition) => partition.tasks(threads),
            Wanted::Failed(error) => vec![Task::Failed(error)],
        })
    }
}

impl Partition {
    fn tasks(self, threads: usize) -> Vec<Task> {
        match self.place.list() {
            Ok(dir) => {
                let facts = self.around.as_ref().map(|around| &*around.facts);
                let setting = Setting {
                    clean_shutdown: facts.zip(dir.name.as_ref()).is_some_and(|(facts, name)| facts.was_closed(name)),
                    ..self.setting
                };
                let surroundings = facts.map(|facts| Surroundings::of(&dir, facts)).unwrap_or_default();
                let given = self.around.as_ref().and_then(|around| around.given);
                Arc::new(Unit::new(dir, self.segment, given, surroundings, setting)).tasks(threads)
            }
            Err(error) if self.setting.is_live() && is_gone(&error) => {
                vec![Task::Gone(self.place.path().to_owned())]
            }
            Err(error) => vec![Task::Failed(error)],
        }
    }
}

impl Place {
    /// The names of all files.
    fn list(&self) -> Result<PartitionDir, StoreError> {
        match self {
            Self::Target(target) => PartitionTarget::clone(target).read(),
            Self::Directory(path) => PartitionDir::read(path),
        }
    }

    /// The partition directory.
    fn path(&self) -> &Path {
        match self {
            Self::Target(target) => &target.path,
            Self::Directory(path) => path,
        }
    }
}

/// The directory and the segment that a file which was named itself stands for.
fn segment_of(path: &Path, name: Option<FileName>) -> Result<(PathBuf, Offset), StoreError> {
    let name = name.ok_or_else(|| StoreError::not_kafkas(path))?;
    let is_of_segment = name.kind.is_segment_file() && name.state == FileState::Live;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let base_offset = name.base_offset.filter(|_| is_of_segment).ok_or_else(|| StoreError::NothingSelected {
        path: path.to_owned(),
        wanted: format!(
            "segments in use and whole partitions are judged, and this is {} ({})",
            if name.state == FileState::Live { "a file of another kind" } else { "a file that is not in use" },
            entries::kind_name(name.kind)
        ),
        instead: Some(format!("to have it judged with its partition: kfsck check {}", quoted(parent))),
    })?;
    Ok((parent.to_owned(), base_offset))
}

/// Whether the partition at `path`, or this segment of it, is not looked at already because of another path.
fn is_new(seen: &mut HashSet<(PathBuf, Option<Offset>)>, path: &Path, segment: Option<Offset>) -> bool {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    !seen.contains(&(path.clone(), None)) && seen.insert((path, segment))
}

/// The log dirs met so far.
struct LogDirs(HashMap<PathBuf, Around>);

impl LogDirs {
    fn new(given: &[GivenLogDir<'_>]) -> Self {
        let around = |(at, given): (usize, &GivenLogDir<'_>)| {
            let facts = given.check.facts();
            (facts.path.clone(), Around { facts, is_live: given.setting.is_live(), given: Some(at) })
        };
        Self(given.iter().enumerate().map(around).collect())
    }

    /// What is known of the log dir that the partition at `path` is in; `None` for a loose copy.
    fn around(&mut self, path: &Path, run: &mut Run) -> Option<Around> {
        let log_dir = log_dir_of(path)?;
        if let Some(known) = self.0.get(&log_dir) {
            return Some(known.clone());
        }
        let facts = Arc::new(LogDirFacts::read(&log_dir));
        cannot_be_read(&facts, run);
        let around = Around { facts, is_live: run.broker_runs_in(&log_dir), given: None };
        self.0.insert(log_dir, around.clone());
        Some(around)
    }
}

/// Says which files of a log dir could not be looked at.
pub(super) fn cannot_be_read(facts: &LogDirFacts, run: &mut Run) {
    for error in facts.unreadable.iter().chain(&facts.checkpoints.unreadable) {
        run.failed(error);
    }
}
