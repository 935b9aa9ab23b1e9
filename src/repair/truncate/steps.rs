//! The steps of a cut: which files get other bytes, which go, and in which order.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{Around, Cut, Toll, TruncateError, Truncation, Walked, open_log};
use crate::format::file_name::{FileKind, FileState, producer_snapshot_file_name, segment_file_name};
use crate::format::offset_checkpoint::{self, OffsetCheckpointEntry};
use crate::format::offset_index::OffsetIndex;
use crate::format::producer_snapshot::ProducerSnapshot;
use crate::format::time_index::{TimeIndex, TimeIndexEntry};
use crate::format::txn_index::TxnIndex;
use crate::format::{Offset, Position, leader_epoch, producer_snapshot};
use crate::repair::RepairError;
use crate::repair::plan::{Fingerprint, NewFile, Step};
use crate::scan::producer_state::ProducerState;
use crate::scan::recover::{LogRange, RecoverOptions, recover};
use crate::scan::start::{StartConditions, producers_at};
use crate::scan::{BatchScan, LogSoFar, ScanEnd, ScanOptions, Verify};
use crate::store::partition::{PartitionDir, PartitionName};
use crate::store::write::{FileMeta, WriteStorage};
use crate::store::{NamedFile, StoreError, read_small};

/// The largest index, snapshot or checkpoint that is taken into a plan, in bytes.
const LARGEST_SMALL_FILE: u64 = 256 << 20;

/// A file with these bytes, dated now, otherwise like its model.
fn new_file(bytes: Vec<u8>, model: FileMeta, around: &Around) -> NewFile {
    let seconds = around.now_ms.div_euclid(1000);
    let nanoseconds = u32::try_from(around.now_ms.rem_euclid(1000)).unwrap_or(0) * 1_000_000;
    NewFile::new(bytes, FileMeta { modified: (seconds, nanoseconds), ..model })
}

/// Log start, recovery point and high watermark, none of which may lie behind the new `end`, and the cleaner checkpoint,
/// which may not lie behind the `base` offset of the last segment.
fn lowered_checkpoints(
    storage: &dyn WriteStorage,
    around: &Around,
    name: &PartitionName,
    end: Offset,
    base: Offset,
) -> Result<Vec<Step>, TruncateError> {
    let Some(log_dir) = &around.log_dir else { return Ok(Vec::new()) };
    let mut steps = Vec::new();
    for (kind, most) in [
        (FileKind::LogStartOffsetCheckpoint, end),
        (FileKind::RecoveryPointCheckpoint, end),
        (FileKind::ReplicationOffsetCheckpoint, end),
        (FileKind::CleanerOffsetCheckpoint, base),
    ] {
        let Some(file_name) = kind.fixed_name() else { continue };
        let file = log_dir.join(file_name);
        let Some(old) = Fingerprint::of(storage, &file)? else { continue };
        let bytes = read_small(&file, LARGEST_SMALL_FILE)?;
        let mut entries = offset_checkpoint::parse(&bytes)
            .map_err(|error| TruncateError::BadFile { path: file.clone(), why: error.to_string() })?;
        let is_ours = |entry: &&mut OffsetCheckpointEntry<'_>| {
            entry.topic == name.topic && entry.partition == name.partition && entry.offset > most
        };
        let mut changed = false;
        for entry in entries.iter_mut().filter(is_ours) {
            entry.offset = most;
            changed = true;
        }
        if changed {
            let new = new_file(offset_checkpoint::write(&entries), old.id.meta, around);
            steps.push(Step::Replace { file, old: Some(old), new });
        }
    }
    Ok(steps)
}

/// Makes the steps that lower checkpoints once more, from what is in them now.
pub(super) fn renew_checkpoints(
    cut: &mut Truncation,
    storage: &dyn WriteStorage,
    around: &Around,
) -> Result<(), TruncateError> {
    let is_of_log_dir = |step: &Step| step.file().parent() == around.log_dir.as_deref();
    let steps = &mut cut.plan.steps;
    let (Some(at), Some(name)) =
        (steps.iter().position(is_of_log_dir), PartitionName::of_directory(&cut.plan.partition))
    else {
        return Ok(());
    };
    let lowered = lowered_checkpoints(storage, around, &name, cut.log_end_offset, cut.last_base_offset)?;
    steps.retain(|step| !is_of_log_dir(step));
    steps.splice(at..at, lowered);
    Ok(())
}

/// Makes the steps of a cut.
pub(super) struct Planner<'a> {
    pub(super) storage: &'a dyn WriteStorage,
    pub(super) dir: &'a PartitionDir,
    pub(super) around: &'a Around,
    pub(super) segments: &'a [Walked<'a>],
    pub(super) cut: &'a Cut,
    pub(super) steps: Vec<Step>,
}

impl Planner<'_> {
    /// All steps, in the order in which a crash does least.
    pub(super) fn all(mut self, toll: &mut Toll) -> Result<Vec<Step>, TruncateError> {
        self.snapshot(toll)?;
        self.checkpoints()?;
        self.epochs()?;
        self.later_segments()?;
        self.indexes()?;
        self.log()?;
        self.later_snapshots()?;
        Ok(self.steps)
    }

    fn fingerprint(&self, path: &Path) -> Result<Option<Fingerprint>, TruncateError> {
        Ok(Fingerprint::of(self.storage, path)?)
    }

    /// Other bytes in the place of `path`; nothing where they are there already.
    fn replace(&mut self, path: PathBuf, bytes: Vec<u8>) -> Result<(), TruncateError> {
        let old = self.fingerprint(&path)?;
        let model = match &old {
            Some(old) => old.id.meta,
            None => self.meta_of_a_neighbour()?,
        };
        if old.is_some() && read_small(&path, LARGEST_SMALL_FILE)? == bytes {
            return Ok(());
        }
        self.steps.push(Step::Replace { file: path, old, new: new_file(bytes, model, self.around) });
        Ok(())
    }

    /// Owner and mode of the log that is cut: a new file beside it gets the same.
    fn meta_of_a_neighbour(&self) -> Result<FileMeta, TruncateError> {
        let log = self.segments.get(self.cut.segment).map(|segment| segment.path.clone()).unwrap_or_default();
        let print = self.fingerprint(&log)?;
        Ok(print.map(|print| print.id.meta).ok_or(RepairError::Changed { path: log })?)
    }

    fn remove(&mut self, path: PathBuf) -> Result<(), TruncateError> {
        if let Some(old) = self.fingerprint(&path)? {
            self.steps.push(Step::Remove { file: path, old });
        }
        Ok(())
    }

    /// The snapshot at the new end, which keeps open transactions open.
    fn snapshot(&mut self, toll: &mut Toll) -> Result<(), TruncateError> {
        let end = self.cut.end_offset;
        let mut conditions = StartConditions::new(true, self.around.now_ms);
        conditions.log_start_offset = self.around.checkpointed.log_start_offset;
        // A producer is not forgotten because of the hour at which somebody repairs its log.
        conditions.producer_expiration_ms = i64::MAX;
        let log = self.segments.get(self.cut.segment);
        let cut = log.map(|log| (log.files.base_offset, self.cut.position));
        let state = producers_at(self.dir, end, cut, conditions, self.around.policy)?;
        let state = state.map_err(|refusal| {
            let why = format!("{}: {}", self.dir.path.join(refusal.file).display(), refusal.why);
            TruncateError::NoProducerState { end, why }
        })?;
        let entries = state.entries();
        toll.open_transactions =
            entries.iter().filter(|entry| entry.current_txn_first_offset().is_some()).count() as u64;
        // A snapshot at or below the log start is one that every start removes.
        let log_start = self.around.checkpointed.log_start_offset.unwrap_or_default();
        let log_start = self.segments.first().map_or(log_start, |first| first.files.base_offset.max(log_start));
        if end > log_start && !self.has_readable_snapshot(end)? {
            let name = producer_snapshot_file_name(end, FileState::Live);
            self.replace(self.dir.path.join(name), producer_snapshot::write(&entries))?;
        }
        Ok(())
    }

    fn snapshots(&self) -> impl Iterator<Item = (Offset, PathBuf)> + '_ {
        let live = self.dir.files.iter().filter(|file| file.name.state == FileState::Live);
        let snapshots = live.filter(|file| file.name.kind == FileKind::ProducerSnapshot);
        snapshots.filter_map(|file| Some((file.name.base_offset?, file.path())))
    }

    fn has_readable_snapshot(&self, at: Offset) -> Result<bool, StoreError> {
        let Some((_, path)) = self.snapshots().find(|(offset, _)| *offset == at) else { return Ok(false) };
        Ok(ProducerSnapshot::parse(&read_small(&path, LARGEST_SMALL_FILE)?).is_ok())
    }

    fn later_snapshots(&mut self) -> Result<(), TruncateError> {
        let later: BTreeSet<_> = self.snapshots().filter(|(offset, _)| *offset > self.cut.end_offset).collect();
        later.into_iter().rev().try_for_each(|(_, path)| self.remove(path))
    }

    fn checkpoints(&mut self) -> Result<(), TruncateError> {
        let Some(name) = &self.dir.name else { return Ok(()) };
        let end = self.cut.end_offset;
        let base = self.segments.get(self.cut.segment).map_or(end, |segment| segment.files.base_offset);
        self.steps.extend(lowered_checkpoints(self.storage, self.around, name, end, base)?);
        Ok(())
    }

    fn epochs(&mut self) -> Result<(), TruncateError> {
        let Some(file) = self.dir.file(FileKind::LeaderEpochCheckpoint) else { return Ok(()) };
        let path = file.path();
        let bytes = read_small(&path, LARGEST_SMALL_FILE)?;
        let mut entries = leader_epoch::parse(&bytes)
            .map_err(|error| TruncateError::BadFile { path: path.clone(), why: error.to_string() })?;
        let before = entries.len();
        entries.retain(|entry| entry.start_offset < self.cut.end_offset);
        match entries.len() < before {
            true => self.replace(path, leader_epoch::write(&entries)),
            false => Ok(()),
        }
    }

    /// The segments behind the cut, the last one first: what is left is always the beginning of the log.
    fn later_segments(&mut self) -> Result<(), TruncateError> {
        let later: Vec<_> =
            self.segments.iter().skip(self.cut.segment + 1).rev().map(|segment| segment.files).collect();
        for files in later {
            for file in [files.log, files.offset_index, files.time_index, files.txn_index].into_iter().flatten() {
                self.remove(file.path())?;
            }
        }
        Ok(())
    }

    fn indexes(&mut self) -> Result<(), TruncateError> {
        let Some(segment) = self.segments.get(self.cut.segment) else { return Ok(()) };
        let (files, base_offset) = (segment.files, segment.files.base_offset);
        let read = |file: Option<&NamedFile>| -> Result<Option<Vec<u8>>, StoreError> {
            file.map(|file| read_small(&file.path(), LARGEST_SMALL_FILE)).transpose()
        };
        let offset_entries = read(files.offset_index)?.and_then(|bytes| self.kept_offset_entries(&bytes, base_offset));
        let offset_entries = match offset_entries {
            Some(entries) => self.leads_to_batches(segment, &entries)?.then_some(entries),
            None => None,
        };
        let time_entries = read(files.time_index)?.and_then(|bytes| self.kept_time_entries(&bytes, base_offset));
        let rebuilt = match (&offset_entries, &time_entries) {
            (Some(_), Some(_)) => None,
            // Where one is missing or leads astray both are made again.
            _ => {
                let log = open_log(segment, self.around.policy)?;
                let range = LogRange { storage: log.as_ref(), start: 0, size_in_bytes: self.cut.position.0 };
                let mut producers = ProducerState::empty(base_offset);
                Some(recover(range, &RecoverOptions::with_defaults(base_offset), &mut producers, |_, _| {})?)
            }
        };
        let (offset_bytes, time_bytes) = match (rebuilt, offset_entries, time_entries) {
            (Some(rebuilt), _, _) => (rebuilt.offset_index, rebuilt.time_index),
            (None, offset_entries, time_entries) => {
                (offset_entries.unwrap_or_default(), time_entries.unwrap_or_default())
            }
        };
        // A time index that is missing is never made again by a broker, and an offset index costs a recovery.
        for (file, kind, bytes) in [
            (files.offset_index, FileKind::OffsetIndex, offset_bytes),
            (files.time_index, FileKind::TimeIndex, time_bytes),
        ] {
            let name = segment_file_name(base_offset, kind, FileState::Live);
            self.replace(file.map_or_else(|| self.dir.path.join(name), |file| file.path()), bytes)?;
        }
        if let Some(file) = files.txn_index
            && let Some(bytes) = read(Some(file))?
        {
            let mut kept = Vec::new();
            let entries = TxnIndex::new(&bytes);
            let below = entries.iter().take_while(|entry| entry.last_offset < self.cut.end_offset);
            below.for_each(|entry| entry.write(&mut kept));
            self.replace(file.path(), kept)?;
        }
        Ok(())
    }

    /// The entries before the cut, as they are; `None` where they are not in order, or zeros follow: then nobody has
    /// closed the index since entries were last taken from it.
    fn kept_offset_entries(&self, bytes: &[u8], base_offset: Offset) -> Option<Vec<u8>> {
        let index = OffsetIndex::new(bytes, base_offset);
        if index.zero_tail() < index.len() {
            return None;
        }
        let mut kept = Vec::new();
        let mut last = (base_offset, Position(0));
        for entry in index.iter() {
            let position = entry.position()?;
            if entry.offset >= self.cut.end_offset || position >= self.cut.position {
                break;
            }
            if entry.offset <= last.0 || position <= last.1 {
                return None;
            }
            last = (entry.offset, position);
            entry.write(&mut kept);
        }
        Some(kept)
    }

    /// Whether a batch begins where each entry leads, and none before it reaches the entry's offset. The segment becomes
    /// the newest, in which a broker looks for the log end from the last entry on.
    fn leads_to_batches(&self, segment: &Walked<'_>, entries: &[u8]) -> Result<bool, TruncateError> {
        let base_offset = segment.files.base_offset;
        let index = OffsetIndex::new(entries, base_offset);
        let mut entries = index.iter().peekable();
        let log = open_log(segment, self.around.policy)?;
        let options = ScanOptions { verify: Verify::Framing, ..self.around.scan_from(Position(0)) };
        let mut scan = BatchScan::new(log.as_ref(), LogSoFar::segment(base_offset, None), options);
        let mut before = None;
        while let Some(entry) = entries.peek() {
            let Some(batch) = scan.next_batch()? else { break };
            match entry.position().cmp(&Some(batch.position)) {
                Ordering::Less => return Ok(false),
                Ordering::Equal if before >= Some(entry.offset) => return Ok(false),
                Ordering::Equal => drop(entries.next()),
                Ordering::Greater => {}
            }
            before = Some(batch.header.last_offset());
        }
        match scan.end() {
            Some(ScanEnd::Stopped) => Err(TruncateError::Stopped),
            _ => Ok(entries.peek().is_none()),
        }
    }

    /// The entries before the cut and the closing one; `None` as above.
    fn kept_time_entries(&self, bytes: &[u8], base_offset: Offset) -> Option<Vec<u8>> {
        let index = TimeIndex::new(bytes, base_offset);
        if index.zero_tail() < index.len() {
            return None;
        }
        let mut kept = Vec::new();
        let mut last = (-1, base_offset);
        for entry in index.iter() {
            if entry.offset >= self.cut.end_offset {
                break;
            }
            if entry.timestamp <= last.0 || entry.offset < last.1 {
                return None;
            }
            last = (entry.timestamp, entry.offset);
            entry.write(&mut kept);
        }
        if let Some((timestamp, offset)) = self.cut.max_timestamp.filter(|(timestamp, _)| *timestamp > last.0) {
            TimeIndexEntry::new(base_offset, timestamp, offset)?.write(&mut kept);
        }
        Some(kept)
    }

    fn log(&mut self) -> Result<(), TruncateError> {
        let Some(segment) = self.segments.get(self.cut.segment) else { return Ok(()) };
        if segment.size_in_bytes == self.cut.position.0 {
            return Ok(());
        }
        let file = segment.path.clone();
        let old = self.fingerprint(&file)?.ok_or(RepairError::Changed { path: file.clone() })?;
        self.steps.push(Step::CutTail { file, old, to: self.cut.position.0 });
        Ok(())
    }
}
