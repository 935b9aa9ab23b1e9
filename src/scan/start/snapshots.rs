//! Producer snapshots while a broker starts: which are used, written and deleted.
//!
//! Source: Kafka `ProducerStateManager`, `UnifiedLog.rebuildProducerState`.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound::{Excluded, Unbounded};

use super::files::{Files, name_of, number_of};
use super::outcome::{DeletedFor, RefusalReason, StartConditions, What};
use super::segment::Segment;
use super::{Halt, refuse};
use crate::format::batch::RecordBatchHeader;
use crate::format::compression::Decompressor;
use crate::format::file_name::FileKind;
use crate::format::producer_snapshot::{self, ProducerSnapshot};
use crate::format::{Offset, Position};
use crate::scan::producer_state::{CompletedTxn, ProducerAppend, ProducerError, ProducerState, in_hash_order};
use crate::scan::recover::{BatchTrouble, Escape, LogBatch, LogBatches};

/// The names of snapshots by their offset.
pub(super) type Listing = BTreeMap<Offset, String>;

/// The producers and the snapshots that one part of the broker knows. It may not know what another part has done.
#[derive(Debug)]
pub(super) struct Snapshots {
    files: Listing,
    pub(super) state: ProducerState,
    /// The newest snapshot that was loaded or written.
    last: Offset,
    /// Where the first transaction began that has ended.
    first_completed: Option<Offset>,
}

impl Snapshots {
    pub(super) fn load(files: &Files) -> Result<Self, Halt> {
        Ok(Self::of(listed(files)?))
    }

    /// The same as [`Self::load`], where nobody has touched a snapshot since a listing was handed back by
    /// [`Self::into_listing`]: the directory is only looked at again if that does not name all of them.
    pub(super) fn go_on(listing: Listing, files: &Files) -> Result<Self, Halt> {
        if listing.len() == files.snapshots().len() { Ok(Self::of(listing)) } else { Self::load(files) }
    }

    pub(super) fn into_listing(self) -> Listing {
        self.files
    }

    fn of(files: Listing) -> Self {
        Self { files, state: ProducerState::empty(Offset(0)), last: Offset(0), first_completed: None }
    }

    /// Where the first transaction begins that is open, or has ended and may not be replicated yet.
    pub(super) fn first_unstable_offset(&self) -> Option<Offset> {
        [self.first_completed, self.state.first_undecided_offset()].into_iter().flatten().min()
    }

    /// Writes a snapshot, if there has been none at this offset.
    pub(super) fn take(&mut self, files: &mut Files) -> Result<(), Halt> {
        let end = self.state.end_offset();
        if end > self.last {
            let name = name_of(end, FileKind::ProducerSnapshot);
            files.write(&name, producer_snapshot::write(&self.state.entries()))?;
            files.event(name.clone(), What::Written);
            self.files.insert(end, name);
            self.last = end;
        }
        Ok(())
    }

    /// Deletes the snapshot of a segment that goes.
    pub(super) fn drop_of_segment(&mut self, base_offset: Offset, why: DeletedFor, files: &mut Files) {
        self.delete(base_offset, why, files);
    }

    /// Forgets everything, with all snapshots.
    pub(super) fn start_at(&mut self, offset: Offset, files: &mut Files) {
        self.state.clear();
        self.first_completed = None;
        for known in self.files.keys().copied().collect::<Vec<_>>() {
            self.delete(known, DeletedFor::EndsBelowStart, files);
        }
        self.last = Offset(0);
        self.state.set_end_offset(offset);
    }

    /// Looks at the directory again, and deletes snapshots that belong to no segment, but for the newest.
    pub(super) fn remove_strays(
        &mut self,
        segments: &BTreeMap<Offset, Segment>,
        files: &mut Files,
    ) -> Result<(), Halt> {
        self.files = listed(files)?;
        let last_base = segments.last_key_value().map(|(base_offset, _)| *base_offset);
        let is_base = |offset: &Offset| segments.contains_key(offset);
        for stray in stray_snapshots(self.files.keys().copied(), is_base, last_base) {
            self.delete(stray, DeletedFor::Stray, files);
        }
        Ok(())
    }

    fn delete(&mut self, offset: Offset, why: DeletedFor, files: &mut Files) {
        if let Some(name) = self.files.remove(&offset)
            && files.remove(&name)
        {
            files.event(name, What::Deleted(why));
        }
    }

    fn truncate_and_reload(
        &mut self,
        conditions: &StartConditions,
        log_start_offset: Offset,
        end_offset: Offset,
        files: &mut Files,
    ) -> Result<(), Halt> {
        let below = self.files.range(..=log_start_offset);
        let above = self.files.range((Excluded(end_offset), Unbounded));
        for offset in below.chain(above).map(|(offset, _)| *offset).collect::<Vec<_>>() {
            self.delete(offset, DeletedFor::OutOfRange, files);
        }
        if end_offset != self.state.end_offset() {
            self.state.clear();
            self.first_completed = None;
            return self.load_newest(conditions, log_start_offset, files);
        }
        if self.state.end_offset() < log_start_offset {
            self.state.set_end_offset(log_start_offset);
        }
        self.last = self.files.last_key_value().map_or(log_start_offset, |(offset, _)| *offset);
        Ok(())
    }

    fn load_newest(
        &mut self,
        conditions: &StartConditions,
        log_start_offset: Offset,
        files: &mut Files,
    ) -> Result<(), Halt> {
        while let Some((offset, name)) = self.files.last_key_value().map(|(offset, name)| (*offset, name.clone())) {
            let bytes = files.read(&name)?;
            match ProducerSnapshot::parse(&bytes) {
                Ok(snapshot) => {
                    self.state.load(&snapshot, conditions.now_ms, conditions.producer_expiration_ms);
                    self.last = offset;
                    self.state.set_end_offset(offset);
                    return Ok(());
                }
                Err(error) => self.delete(offset, DeletedFor::Corrupt(error), files),
            }
        }
        self.last = log_start_offset;
        self.state.set_end_offset(log_start_offset);
        Ok(())
    }

    /// Brings the producers to `end_offset`: from the newest snapshot on, through the log.
    pub(super) fn rebuild(
        &mut self,
        conditions: &StartConditions,
        segments: &mut BTreeMap<Offset, Segment>,
        log_start_offset: Offset,
        end_offset: Offset,
        clean: bool,
        files: &mut Files,
    ) -> Result<(), Halt> {
        let mut last_two: Vec<Offset> = segments.keys().rev().take(2).copied().collect();
        last_two.reverse();
        if clean && self.files.is_empty() {
            for offset in last_two.into_iter().chain([end_offset]) {
                self.state.set_end_offset(offset);
                self.take(files)?;
            }
            return Ok(());
        }
        let was_empty =
            self.state.is_empty() && self.first_completed.is_none() && self.state.end_offset() >= end_offset;
        self.truncate_and_reload(conditions, log_start_offset, end_offset, files)?;
        if end_offset > self.state.end_offset() && !was_empty {
            let from = self.state.end_offset();
            let first = segments.range(..=from).next_back().or_else(|| segments.iter().next()).map(|(base, _)| *base);
            let to_replay: Vec<Offset> = match first {
                Some(first) if first < end_offset => segments.range(first..end_offset).map(|(base, _)| *base).collect(),
                _ => Vec::new(),
            };
            let last = segments.range(..=end_offset).next_back().map(|(base, _)| *base);
            for base_offset in to_replay {
                let start = base_offset.max(self.state.end_offset()).max(log_start_offset);
                self.state.set_end_offset(start);
                if last_two.contains(&base_offset) {
                    self.take(files)?;
                }
                let Some(segment) = segments.get_mut(&base_offset) else { continue };
                let mut end = Position(segment.size_in_bytes(files));
                if last == Some(base_offset) {
                    end = segment.translate_offset(conditions, files, end_offset)?.unwrap_or(end);
                }
                if let Some(from) = segment.translate_offset(conditions, files, start)? {
                    self.replay(segment, from, end, files)?;
                }
            }
        }
        self.state.set_end_offset(end_offset);
        self.take(files)
    }

    /// Applies the batches between two positions, all at once as Kafka does.
    fn replay(&mut self, segment: &Segment, from: Position, end: Position, files: &Files) -> Result<(), Halt> {
        let name = segment.file(FileKind::Log);
        let Some(_) = end.0.checked_sub(from.0) else {
            return Err(refuse(name, Some(from), RefusalReason::NegativeSize { bytes: from.0 - end.0 }));
        };
        let log = segment.log(files)?;
        let mut batches = LogBatches::new(log.range(), from.0, end.0);
        let mut decompressor = Decompressor::default();
        let mut appends: Vec<ProducerAppend> = Vec::new();
        let mut places: HashMap<i64, usize> = HashMap::new();
        let mut completed = Vec::new();
        while let Some(batch) = segment.next(&mut batches)? {
            let Some(header) = batch.header.as_record_batch().filter(|header| header.producer_id >= 0) else {
                continue;
            };
            let place = *places.entry(header.producer_id).or_insert_with(|| {
                appends.push(self.state.prepare(header.producer_id));
                appends.len() - 1
            });
            let Some(append) = appends.get_mut(place) else { continue };
            match add(append, header, &batch, &mut batches, &mut decompressor) {
                Ok(txn) => completed.extend(txn),
                Err(BatchTrouble::Store(error)) => return Err(error.into()),
                Err(BatchTrouble::Producer(error)) => {
                    return Err(refuse(name, Some(batch.position), dies_of(error)));
                }
            }
        }
        in_hash_order(&mut appends, ProducerAppend::producer_id);
        for append in &appends {
            self.state.update(append);
        }
        for txn in &completed {
            self.state.complete(txn).map_err(|error| refuse(name.clone(), None, dies_of(error)))?;
            self.first_completed = Some(self.first_completed.map_or(txn.first_offset, |it| it.min(txn.first_offset)));
        }
        Ok(())
    }
}

fn add(
    append: &mut ProducerAppend,
    header: &RecordBatchHeader,
    batch: &LogBatch,
    batches: &mut LogBatches<'_>,
    decompressor: &mut Decompressor,
) -> Result<Option<CompletedTxn>, BatchTrouble> {
    if !batch.header.is_control() {
        append.data(header)?;
        return Ok(None);
    }
    let marker = batches.end_marker(batch, decompressor)?;
    Ok(marker.and_then(|marker| append.marker(header, marker)))
}

fn dies_of(error: ProducerError) -> RefusalReason {
    RefusalReason::Escape(Escape::Producer(error))
}

/// Of the snapshots at `offsets` those that a start deletes, in order: where no segment begins, but for the newest such
/// behind the last segment.
///
/// Source: Kafka `ProducerStateManager.removeStraySnapshots`.
pub fn stray_snapshots(
    offsets: impl Iterator<Item = Offset>,
    is_base: impl Fn(&Offset) -> bool,
    last_base: Option<Offset>,
) -> Vec<Offset> {
    let mut strays: Vec<_> = offsets.filter(|offset| !is_base(offset)).collect();
    strays.sort_unstable();
    if strays.last() > last_base.as_ref() {
        strays.pop();
    }
    strays
}

fn listed(files: &Files) -> Result<Listing, Halt> {
    let mut found = Listing::new();
    for name in files.snapshots() {
        let offset = number_of(name);
        let offset = offset.ok_or_else(|| refuse(name.clone(), None, RefusalReason::NameWithoutNumber))?;
        found.insert(offset, name.clone());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::ReadPolicy;
    use crate::store::partition::PartitionDir;

    #[test]
    fn a_listing_that_went_through_a_recovery_names_what_lies_in_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        for offset in [0, 10, 20] {
            std::fs::write(dir.path().join(name_of(Offset(offset), FileKind::ProducerSnapshot)), "").unwrap();
        }
        let files = || Files::of(&PartitionDir::read(dir.path()).unwrap(), ReadPolicy::default());
        let after_recovery = |first: &mut Files| {
            let mut snapshots = Snapshots::load(first).ok().unwrap();
            snapshots.delete(Offset(20), DeletedFor::OutOfRange, first);
            snapshots.state.set_end_offset(Offset(15));
            snapshots.take(first).ok().unwrap();
            let listing = snapshots.into_listing();
            (listing.clone(), Snapshots::go_on(listing, first).ok().unwrap().files, listed(first).ok().unwrap())
        };
        let (listing, goes_on, on_disk) = after_recovery(&mut files().unwrap());
        assert_eq!(listing.keys().map(|offset| offset.0).collect::<Vec<_>>(), [0, 10, 15]);
        assert_eq!([&listing, &goes_on], [&on_disk; 2]);

        // Of two names for one offset the second is known; once its file is gone, the next recovery finds the first.
        std::fs::write(dir.path().join("20.snapshot"), "").unwrap();
        let (listing, goes_on, on_disk) = after_recovery(&mut files().unwrap());
        assert_eq!(listing.keys().map(|offset| offset.0).collect::<Vec<_>>(), [0, 10, 15]);
        assert_eq!(on_disk.keys().map(|offset| offset.0).collect::<Vec<_>>(), [0, 10, 15, 20]);
        assert_eq!(goes_on, on_disk);
    }
}
