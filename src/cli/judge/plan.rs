//! What is to be looked at, in order, and what its surroundings say.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::common::Run;
use super::Question;
use super::work::{Task, Unit, is_gone};
use crate::check::Setting;
use crate::check::partition::Surroundings;
use crate::format::Offset;
use crate::format::file_name::{FileKind, FileName, FileState};
use crate::format::properties::MetaProperties;
use crate::report::entries;
use crate::scan::checkpoints::Checkpoints;
use crate::store::expand::{PartitionTarget, Target, expand};
use crate::store::log_dir::log_dir_of;
use crate::store::partition::PartitionDir;
use crate::store::{ReadPolicy, StoreError, read_small};

/// The largest `meta.properties` that is read, in bytes.
const LARGEST_META_PROPERTIES: u64 = 1 << 20;

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
    log_dir: Option<Arc<LogDirFacts>>,
    setting: Setting,
}

enum Place {
    Target(Box<PartitionTarget>),
    /// That of a file which was named itself.
    Directory(PathBuf),
}

/// What a log dir says about the partitions in it.
pub(super) struct LogDirFacts {
    pub(super) checkpoints: Checkpoints,
    is_kraft: bool,
    was_closed_in_order: bool,
    /// Whether a broker is running on it.
    is_live: bool,
}

impl Plan {
    /// Expands the paths. What is remarkable about log dirs is said at once.
    pub(super) fn new(question: &Question<'_>, run: &mut Run) -> Self {
        let mut log_dirs = LogDirs::default();
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
            if question.paths.len() > 1 && !is_new(&mut seen, place.path(), segment) {
                continue;
            }
            let log_dir = log_dirs.around(place.path(), run);
            let policy = ReadPolicy {
                mode: question.common.io_mode(),
                may_change: log_dir.as_ref().is_some_and(|log_dir| log_dir.is_live),
            };
            let clean_shutdown = log_dir.as_ref().is_some_and(|log_dir| log_dir.was_closed_in_order);
            let setting = Setting { policy, depth: question.depth, clean_shutdown };
            wanted.push(Wanted::Partition(Box::new(Partition { place, segment, log_dir, setting })));
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

    /// The tasks in order. A partition is listed when its turn comes.
    pub(super) fn tasks(self) -> impl Iterator<Item = Task> + Send {
        self.wanted.into_iter().flat_map(|wanted| match wanted {
            Wanted::Partition(partition) => partition.tasks(),
            Wanted::Failed(error) => vec![Task::Failed(error)],
        })
    }
}

impl Partition {
    fn tasks(self) -> Vec<Task> {
        match self.place.list() {
            Ok(dir) => {
                let mut surroundings = Surroundings::default();
                if let Some(log_dir) = &self.log_dir {
                    surroundings.is_kraft = log_dir.is_kraft;
                    surroundings.checkpointed =
                        dir.name.as_ref().map(|name| log_dir.checkpoints.of(name)).unwrap_or_default();
                }
                Arc::new(Unit::new(dir, self.segment, self.log_dir, surroundings, self.setting)).tasks()
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
    let name = name.ok_or_else(|| StoreError::NotKafkas { path: path.to_owned() })?;
    let is_of_segment = name.kind.is_segment_file() && name.state == FileState::Live;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let base_offset = name.base_offset.filter(|_| is_of_segment).ok_or_else(|| StoreError::NothingSelected {
        path: path.to_owned(),
        wanted: format!(
            "segments in use and whole partitions are judged, and this is {} ({})",
            if name.state == FileState::Live { "a file of another kind" } else { "a file that is not in use" },
            entries::kind_name(name.kind)
        ),
        instead: Some(format!("to have it judged with its partition: kfsck check {}", parent.display())),
    })?;
    Ok((parent.to_owned(), base_offset))
}

/// Whether the partition at `path`, or this segment of it, is not looked at already because of another path.
fn is_new(seen: &mut HashSet<(PathBuf, Option<Offset>)>, path: &Path, segment: Option<Offset>) -> bool {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    !seen.contains(&(path.clone(), None)) && seen.insert((path, segment))
}

/// The log dirs met so far.
#[derive(Default)]
struct LogDirs(HashMap<PathBuf, Arc<LogDirFacts>>);

impl LogDirs {
    /// What is known of the log dir that the partition at `path` is in; `None` for a loose copy.
    fn around(&mut self, path: &Path, run: &mut Run) -> Option<Arc<LogDirFacts>> {
        let log_dir = log_dir_of(path)?;
        if let Some(known) = self.0.get(&log_dir) {
            return Some(Arc::clone(known));
        }
        let checkpoints = Checkpoints::read(&log_dir);
        for error in &checkpoints.unreadable {
            run.failed(error);
        }
        let facts = Arc::new(LogDirFacts {
            checkpoints,
            is_kraft: is_kraft(&log_dir),
            was_closed_in_order: FileKind::CleanShutdown.fixed_name().is_some_and(|mark| log_dir.join(mark).is_file()),
            is_live: run.broker_runs_on(path),
        });
        self.0.insert(log_dir, Arc::clone(&facts));
        Some(facts)
    }
}

/// Whether `meta.properties` is one of KRaft. Where it cannot be read nothing is concluded from it.
fn is_kraft(log_dir: &Path) -> bool {
    let path = FileKind::MetaProperties.fixed_name().map(|name| log_dir.join(name));
    let bytes = path.and_then(|path| read_small(&path, LARGEST_META_PROPERTIES).ok());
    bytes.and_then(|bytes| MetaProperties::parse(&bytes).ok()).is_some_and(|properties| properties.version == 1)
}
