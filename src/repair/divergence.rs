//! How far copies of a partition agree: the smallest of their log ends, and the first offset that two of them got
//! under different leaders.
//!
//! Which leader epoch an offset was written in, `leader-epoch-checkpoint` tells, and every batch by itself. Followers
//! find where to cut in the same way: an offset that two copies have from the same epoch is the same record in both.
//!
//! Source: Kafka `LeaderEpochFileCache`, `AbstractFetcherThread.truncateToEpochEndOffsets`.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use crate::format::file_name::{DirState, FileKind};
use crate::format::leader_epoch::{self, LeaderEpochEntry};
use crate::format::partition_metadata::PartitionMetadata;
use crate::format::uuid::Uuid;
use crate::format::{Offset, Position};
use crate::scan::{BatchScan, LogSoFar, ScanEnd, ScanOptions};
use crate::store::partition::PartitionDir;
use crate::store::shell::quoted;
use crate::store::{ReadPolicy, StoreError, open, read_small};

/// The largest epoch or metadata file that is read, in bytes.
const LARGEST_SMALL_FILE: u64 = 64 << 20;

/// One copy of a partition, as far as others can be compared with it.
#[derive(Clone, Debug)]
pub struct Copy {
    /// Its directory.
    pub path: PathBuf,
    /// The first offset that its log may hold.
    pub first_offset: Offset,
    /// The end of its intact log (exclusive).
    pub log_end_offset: Offset,
    /// Which epoch began where, ascending; what the batches tell is taken in.
    pub epochs: Vec<LeaderEpochEntry>,
    /// The topic id in `partition.metadata`.
    pub topic_id: Option<Uuid>,
}

/// How far all copies agree.
#[derive(Clone, Debug)]
pub struct Agreement {
    /// The first offset that not all of them have alike (exclusive end of what they have in common).
    pub target: Offset,
    /// The copy to be cut.
    pub own: Copy,
    /// The others, each with the first offset that it got under another leader.
    pub others: Vec<(Copy, Option<Offset>)>,
}

/// Why copies cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum DivergenceError {
    /// Something could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The copy is the partition itself.
    #[error("{} is the very partition that is to be cut", .0.display())]
    Same(PathBuf),
    /// The copy is one of another partition.
    #[error("{} is a copy of another partition than {}", .copy.display(), .own.display())]
    OtherPartition {
        /// The copy.
        copy: PathBuf,
        /// The partition that is to be cut.
        own: PathBuf,
    },
    /// The copy is not in use, or there is no log in it.
    #[error("{} is no copy in use: {why}", .path.display())]
    NotInUse {
        /// The copy.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The copy is damaged before its end.
    #[error("{} is damaged at position {position}: how far that copy reaches is not known", .path.display())]
    Damaged {
        /// The log.
        path: PathBuf,
        /// Where.
        position: Position,
    },
    /// Neither a file nor a batch tells an epoch.
    #[error("no leader epochs are known of {}", .0.display())]
    NoEpochs(PathBuf),
    /// The epoch file cannot be read.
    #[error("{} cannot be read: {why}", .path.display())]
    BadEpochs {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A batch has another epoch than the epoch file tells of its offset.
    #[error("{}: the batch at position {position} has epoch {found}, and offset {offset} is of epoch {told} by leader-epoch-checkpoint", .path.display())]
    Contradicted {
        /// The log.
        path: PathBuf,
        /// The batch.
        position: Position,
        /// Its base offset.
        offset: Offset,
        /// Its epoch.
        found: i32,
        /// The epoch of that offset.
        told: i32,
    },
    /// One begins where the other has ended already.
    #[error("{} and {} have no offset in common", .own.display(), .copy.display())]
    NothingInCommon {
        /// The partition that is to be cut.
        own: PathBuf,
        /// The copy.
        copy: PathBuf,
    },
    /// The user has stopped it.
    #[error("stopped; nothing was changed")]
    Stopped,
}

impl DivergenceError {
    /// What to do next, where there is something to do.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Store(error) => return error.hint(),
            Self::Same(_) => "name copies of other brokers only".to_owned(),
            Self::OtherPartition { .. } => "name copies of the same topic and partition".to_owned(),
            Self::Damaged { path, .. } | Self::Contradicted { path, .. } => {
                format!("kfsck check {}", quoted(path.parent().unwrap_or(path)))
            }
            Self::BadEpochs { path, .. } => format!("to see it: kfsck dump-log {}", quoted(path)),
            Self::NoEpochs(_) | Self::NothingInCommon { .. } => {
                "without epochs nobody can tell where copies diverge; to cut at an offset: --to OFFSET".to_owned()
            }
            Self::NotInUse { .. } | Self::Stopped => return None,
        })
    }
}

impl Copy {
    /// Reads the log of a copy as far as it is intact, and its epochs.
    ///
    /// Errors: [`DivergenceError`].
    pub fn read(dir: &PartitionDir, policy: ReadPolicy, stop: Option<&AtomicBool>) -> Result<Self, DivergenceError> {
        let not_in_use = |why: &str| DivergenceError::NotInUse { path: dir.path.clone(), why: why.to_owned() };
        if let Some(name) = dir.name.as_ref().filter(|name| name.state != DirState::Current) {
            return Err(not_in_use(name.state.suffix()));
        }
        let segments: Vec<_> = dir.segments().into_iter().filter_map(|files| Some((files, files.log?))).collect();
        let first = segments.first().ok_or_else(|| not_in_use("it has no segment"))?.0.base_offset;
        let mut copy = Self {
            path: dir.path.clone(),
            first_offset: first,
            log_end_offset: first,
            epochs: epochs_in_file(dir)?,
            topic_id: topic_id(dir),
        };
        for (at, (files, log)) in segments.iter().enumerate() {
            let next = segments.get(at + 1).map(|(next, _)| next.base_offset);
            let storage = open(&log.path(), policy)?;
            let so_far = LogSoFar::segment(files.base_offset, next);
            let mut scan = BatchScan::new(storage.as_ref(), so_far, ScanOptions { stop, ..ScanOptions::default() });
            copy.log_end_offset = copy.log_end_offset.max(files.base_offset);
            while let Some(batch) = scan.next_batch()? {
                let last_offset = batch.header.last_offset();
                copy.log_end_offset = copy.log_end_offset.max(Offset(last_offset.0.saturating_add(1)));
                let (Some(epoch), Some(offset)) = (batch.header.partition_leader_epoch(), batch.header.base_offset())
                else {
                    continue;
                };
                if epoch >= 0 {
                    copy.take_epoch(epoch, offset).map_err(|told| DivergenceError::Contradicted {
                        path: log.path(),
                        position: batch.position,
                        offset,
                        found: epoch,
                        told,
                    })?;
                }
            }
            let mut later = segments.iter().skip(at + 1).map(|(later, _)| later.size_in_bytes());
            match scan.end() {
                Some(ScanEnd::CleanEof) | None => {}
                Some(ScanEnd::Stopped) => return Err(DivergenceError::Stopped),
                Some(ScanEnd::TornTail { position, .. } | ScanEnd::ZeroFill { position, .. }) => {
                    // What was not written to its end, a start cuts off.
                    if later.try_fold(true, |empty, size| Ok::<_, StoreError>(empty && size? == 0))? {
                        break;
                    }
                    return Err(DivergenceError::Damaged { path: log.path(), position: *position });
                }
                Some(ScanEnd::Damaged(damage)) => {
                    return Err(DivergenceError::Damaged { path: log.path(), position: damage.position });
                }
            }
        }
        // The epoch of a leader that has written nothing begins at the log end.
        if copy.epochs.is_empty() {
            return Err(DivergenceError::NoEpochs(dir.path.clone()));
        }
        Ok(copy)
    }

    /// A batch has this epoch. An epoch that is newer than all that are known is one that the file has missed, as
    /// recovery takes it.
    ///
    /// Errors: the epoch that the offset is of instead.
    fn take_epoch(&mut self, epoch: i32, offset: Offset) -> Result<(), i32> {
        if self.epochs.last().is_none_or(|last| epoch > last.epoch) {
            assign(&mut self.epochs, LeaderEpochEntry { epoch, start_offset: offset });
            return Ok(());
        }
        match self.epoch_at(offset) {
            Some(told) if told != epoch => Err(told),
            _ => Ok(()),
        }
    }

    /// The epoch in which `offset` was written; `None` before the first that is known.
    pub fn epoch_at(&self, offset: Offset) -> Option<i32> {
        let at = self.epochs.partition_point(|entry| entry.start_offset <= offset);
        self.epochs.get(at.checked_sub(1)?).map(|entry| entry.epoch)
    }

    /// Where the two can be compared from: the epochs of both are known from there on.
    pub fn comparable_from(&self, other: &Self) -> Option<Offset> {
        let first = |copy: &Self| copy.epochs.first().map(|entry| entry.start_offset.max(copy.first_offset));
        Some(first(self)?.max(first(other)?))
    }

    /// The first offset, below both ends, that the two have from different epochs. Compared is from where the epochs of
    /// both are known.
    pub fn diverges_from(&self, other: &Self) -> Option<Offset> {
        let from = self.comparable_from(other)?;
        let end = self.log_end_offset.min(other.log_end_offset);
        let starts = self.epochs.iter().chain(&other.epochs).map(|entry| entry.start_offset.max(from));
        let differs = |offset: &Offset| *offset < end && self.epoch_at(*offset) != other.epoch_at(*offset);
        starts.filter(differs).min()
    }
}

/// How far `own` agrees with all of `others`, which are taken for what is in sync.
///
/// Errors: [`DivergenceError`].
pub fn agreement(own: Copy, others: Vec<Copy>) -> Result<Agreement, DivergenceError> {
    let mut target = own.log_end_offset;
    let mut compared = Vec::new();
    for other in others {
        if own.topic_id.zip(other.topic_id).is_some_and(|(own, other)| own != other) {
            return Err(DivergenceError::OtherPartition { copy: other.path, own: own.path });
        }
        if other.first_offset > own.log_end_offset || own.first_offset > other.log_end_offset {
            return Err(DivergenceError::NothingInCommon { own: own.path, copy: other.path });
        }
        let divergence = own.diverges_from(&other);
        target = target.min(other.log_end_offset).min(divergence.unwrap_or(target));
        compared.push((other, divergence));
    }
    Ok(Agreement { target, own, others: compared })
}

/// Whether `copy` may be held against `own`: the same partition in another place.
///
/// Errors: [`DivergenceError::Same`], [`DivergenceError::OtherPartition`].
pub fn is_another_copy(own: &PartitionDir, copy: &PartitionDir) -> Result<(), DivergenceError> {
    let is = |path: &Path| path.canonicalize().ok();
    if is(&own.path).is_some_and(|own| is(&copy.path) == Some(own)) {
        return Err(DivergenceError::Same(copy.path.clone()));
    }
    match (&own.name, &copy.name) {
        (Some(a), Some(b)) if (&a.topic, a.partition) != (&b.topic, b.partition) => {
            Err(DivergenceError::OtherPartition { copy: copy.path.clone(), own: own.path.clone() })
        }
        _ => Ok(()),
    }
}

/// Takes in the beginning of an epoch, as brokers do with each line of the file and each batch.
fn assign(epochs: &mut Vec<LeaderEpochEntry>, entry: LeaderEpochEntry) {
    if epochs.last().is_some_and(|last| entry.epoch == last.epoch && entry.start_offset >= last.start_offset) {
        return;
    }
    epochs.retain(|known| known.epoch < entry.epoch && known.start_offset < entry.start_offset);
    epochs.push(entry);
}

fn epochs_in_file(dir: &PartitionDir) -> Result<Vec<LeaderEpochEntry>, DivergenceError> {
    let mut epochs = Vec::new();
    let Some(file) = dir.file(FileKind::LeaderEpochCheckpoint) else { return Ok(epochs) };
    let bytes = read_small(&file.path(), LARGEST_SMALL_FILE)?;
    let bad = |why: String| DivergenceError::BadEpochs { path: file.path(), why };
    for entry in leader_epoch::parse(&bytes).map_err(|error| bad(error.to_string()))? {
        if entry.epoch < 0 || entry.start_offset < Offset(0) {
            return Err(bad(format!("epoch {} begins at offset {}", entry.epoch, entry.start_offset)));
        }
        assign(&mut epochs, entry);
    }
    Ok(epochs)
}

fn topic_id(dir: &PartitionDir) -> Option<Uuid> {
    let file = dir.file(FileKind::PartitionMetadata)?;
    let bytes = read_small(&file.path(), LARGEST_SMALL_FILE).ok()?;
    PartitionMetadata::parse(&bytes).ok().map(|metadata| metadata.topic_id)
}
