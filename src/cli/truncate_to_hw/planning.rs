//! What the threads do: one partition after the other is looked at and its cut planned.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::super::change::Place;
use super::super::progress::Progress;
use super::super::signals;
use super::offsets::OffsetsFile;
use super::{Refusal, TruncateToHwArgs};
use crate::check::Finding;
use crate::format::file_name::FileKind;
use crate::repair::divergence::{Agreement, Copy, agreement, is_another_copy};
use crate::repair::truncate::verify::{self, Before};
use crate::repair::truncate::{self, Around, To, TruncateError, Truncation};
use crate::report::cut::TargetFrom;
use crate::scan::checkpoints::{Checkpointed, Checkpoints};
use crate::store::log_dir::{Directory, identify};
use crate::store::partition::{PartitionDir, PartitionName};
use crate::store::write::Disk;
use crate::store::{ReadPolicy, StoreError};

/// A partition that is to be cut.
pub(super) struct Task {
    /// Which of the paths that were given it is in.
    pub(super) given: usize,
    /// Where it is, or why it may not be changed.
    pub(super) place: Result<Place, Refusal>,
    /// Those of its log dir.
    pub(super) checkpoints: Option<Arc<Checkpoints>>,
}

/// What came of it.
pub(super) struct Planned {
    pub(super) given: usize,
    /// What was looked at.
    pub(super) seen: Seen,
    /// The errors of a log whose damage is in the way.
    pub(super) in_the_way: Vec<Finding>,
    pub(super) place: Option<Place>,
    pub(super) cutting: Result<Box<Cutting>, Refusal>,
}

/// How much there is of a partition.
#[derive(Clone, Copy, Default)]
pub(super) struct Seen {
    pub(super) segments: u64,
    pub(super) bytes: u64,
}

/// A cut, planned, with what is needed to do it.
pub(super) struct Cutting {
    pub(super) around: Around,
    pub(super) cut: Truncation,
    pub(super) from: From,
    /// What the checks said, if it is to be done.
    pub(super) before: Option<Before>,
}

/// Where the target comes from.
pub(super) enum From {
    To(To),
    OffsetsFile,
    Replicas(Box<Agreement>),
}

impl From {
    /// The same in words.
    pub(super) fn words(&self) -> TargetFrom<'_> {
        match self {
            Self::To(To::HighWatermark) => TargetFrom::HighWatermark,
            Self::To(To::IntactEnd) => TargetFrom::IntactEnd,
            Self::To(To::Offset(_)) => TargetFrom::Offset,
            Self::OffsetsFile => TargetFrom::OffsetsFile,
            Self::Replicas(agreement) => TargetFrom::Replicas(agreement),
        }
    }
}

/// A directory of `--replica`, and whether a broker is running there.
pub(super) struct Replica {
    pub(super) given: PathBuf,
    pub(super) is_live: bool,
}

/// What all threads share.
pub(super) struct Workshop<'a> {
    pub(super) args: &'a TruncateToHwArgs,
    pub(super) offsets: Option<&'a OffsetsFile>,
    pub(super) replicas: Vec<Replica>,
    pub(super) progress: Progress,
}

impl Workshop<'_> {
    /// Does one piece of work.
    pub(super) fn work(&self, task: Task) -> Planned {
        let given = task.given;
        let mut planned = Planned {
            given,
            seen: Seen::default(),
            in_the_way: Vec::new(),
            place: None,
            cutting: Err(TruncateError::Stopped.into()),
        };
        planned.cutting = match task.place {
            Ok(place) => {
                let cutting = self.partition(&place, task.checkpoints.as_deref(), &mut planned);
                planned.place = Some(place);
                cutting.map(Box::new)
            }
            Err(refusal) => Err(refusal),
        };
        planned
    }

    fn partition(
        &self,
        place: &Place,
        checkpoints: Option<&Checkpoints>,
        planned: &mut Planned,
    ) -> Result<Cutting, Refusal> {
        let dir = PartitionDir::read(&place.path)?;
        truncate::refuse_what_is_not_to_be_cut(&dir)?;
        planned.seen = Seen::of(&dir);
        let policy = ReadPolicy { mode: self.args.common.io_mode(), may_change: place.is_live };
        let around = Around {
            checkpointed: self.checkpointed(checkpoints, dir.name.as_ref())?,
            log_dir: place.log_dir.clone(),
            policy,
            now_ms: Timestamp::now().as_millisecond(),
            stop: Some(signals::stop()),
        };
        let (to, from) = self.target(place, &dir, policy)?;
        let seen = |bytes| self.progress.done(bytes);
        let cut = match truncate::plan(&Disk, &dir, &around, to, &seen) {
            Ok(cut) => cut,
            Err(error) => {
                let refusal = Refusal::from(error);
                if let Some(damaged) = &refusal.damaged {
                    planned.in_the_way = verify::errors(&place.path, &around, place.clean_shutdown)?;
                    planned.in_the_way.retain(|finding| finding.path == *damaged);
                }
                return Err(refusal);
            }
        };
        let is_to_be_done = self.args.change.apply && self.args.allows(&cut) && !cut.plan.steps.is_empty();
        let before = match is_to_be_done {
            true => Some(Before::look(&Disk, &cut, &around, place.clean_shutdown, &seen)?),
            false => None,
        };
        Ok(Cutting { around, cut, from, before })
    }

    /// Where to cut, and why there.
    fn target(&self, place: &Place, dir: &PartitionDir, policy: ReadPolicy) -> Result<(To, From), Refusal> {
        if !self.replicas.is_empty() {
            let agreed = self.agreement(dir, policy)?;
            return Ok((To::Offset(agreed.target), From::Replicas(Box::new(agreed))));
        }
        let Some(offsets) = self.offsets else { return Ok((self.args.to, From::To(self.args.to))) };
        let name = dir.name.as_ref().map(PartitionName::topic_partition).unwrap_or_default();
        let offset = offsets.get(&name).ok_or_else(|| Refusal {
            why: format!("the file with offsets has no line for {}", place.path.display()),
            hint: None,
            damaged: None,
        })?;
        Ok((To::Offset(offset), From::OffsetsFile))
    }

    /// What the checkpoints of the log dir say about the partition.
    fn checkpointed(
        &self,
        checkpoints: Option<&Checkpoints>,
        name: Option<&PartitionName>,
    ) -> Result<Checkpointed, Refusal> {
        let (Some(checkpoints), Some(name)) = (checkpoints, name) else { return Ok(Checkpointed::default()) };
        if let Some(error) = checkpoints.unreadable.first() {
            return Err(Refusal { why: error.to_string(), hint: error.hint(), damaged: None });
        }
        let replication = FileKind::ReplicationOffsetCheckpoint.fixed_name().unwrap_or_default();
        let by_high_watermark =
            matches!(self.args.to, To::HighWatermark) && self.replicas.is_empty() && self.offsets.is_none();
        let garbled = checkpoints.damaged.iter().find(|(path, _)| path.ends_with(replication));
        if let Some((path, error)) = garbled.filter(|_| by_high_watermark) {
            return Err(TruncateError::BadFile { path: path.clone(), why: error.to_string() }.into());
        }
        Ok(checkpoints.of(name))
    }

    /// How far the copies that were given agree with the partition.
    fn agreement(&self, dir: &PartitionDir, policy: ReadPolicy) -> Result<Agreement, Refusal> {
        let own = Copy::read(dir, policy, Some(signals::stop()))?;
        let mut others = Vec::new();
        for replica in &self.replicas {
            let copy = copy_in(&replica.given, dir.name.as_ref())?;
            is_another_copy(dir, &copy)?;
            let policy = ReadPolicy { may_change: replica.is_live, ..policy };
            others.push(Copy::read(&copy, policy, Some(signals::stop()))?);
        }
        Ok(agreement(own, others)?)
    }
}

impl Seen {
    fn of(dir: &PartitionDir) -> Self {
        let segments = dir.segments();
        let bytes = segments.iter().map(|segment| segment.size_in_bytes().unwrap_or(0)).sum();
        Self { segments: segments.len() as u64, bytes }
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
