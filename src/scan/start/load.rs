//! The start itself, step by step.
//!
//! Source: Kafka `LogLoader`, `UnifiedLog`.

use std::collections::BTreeMap;

use super::epochs::Epochs;
use super::files::{Changes, Content, Files, name_of, number_of};
use super::outcome::{DeletedFor, RecoveredFor, Refusal, RefusalReason, StartConditions, StartOutcome, What};
use super::segment::{INDEXES, Segment, largest};
use super::snapshots::{Listing, Snapshots};
use super::{Halt, refusal_of, refuse};
use crate::format::file_name::{DirState, FileKind};
use crate::format::leader_epoch::LeaderEpochEntry;
use crate::format::partition_metadata::PartitionMetadata;
use crate::format::txn_index::TxnIndex;
use crate::format::{Offset, Position};
use crate::scan::recover::{self, Escape, KafkaRelease, RecoverEnd, RecoverOptions, Recovery};
use crate::store::partition::PartitionDir;
use crate::store::{ReadPolicy, StoreError};

const DELETED: &str = ".deleted";
const CLEANED: &str = ".cleaned";
const SWAP: &str = ".swap";
const PARTITION_METADATA: &str = "partition.metadata";

/// A broker in the middle of loading a partition.
pub(super) struct Loader {
    pub(super) conditions: StartConditions,
    pub(super) files: Files,
    pub(super) segments: BTreeMap<Offset, Segment>,
    /// A segment that has been opened, is not among the others yet, and could not be recovered.
    pub(super) half_recovered: Option<Segment>,
    epochs: Epochs,
    log_start: Offset,
    recovery_point: Offset,
    is_to_be_deleted: bool,
}

/// How far the broker came.
struct Loaded {
    snapshots: Snapshots,
    log_start_offset: Offset,
    log_end_offset: Offset,
}

impl Loader {
    pub(super) fn play(
        dir: &PartitionDir,
        conditions: StartConditions,
        policy: ReadPolicy,
    ) -> Result<StartOutcome, StoreError> {
        let mut loader = Self {
            conditions,
            files: Files::of(dir, policy)?,
            segments: BTreeMap::new(),
            half_recovered: None,
            epochs: Epochs::default(),
            log_start: conditions.log_start_offset.unwrap_or(Offset(0)),
            recovery_point: conditions.recovery_point.unwrap_or(Offset(0)),
            is_to_be_deleted: dir.name.as_ref().is_some_and(|name| name.state == DirState::Delete),
        };
        match loader.start() {
            Ok(loaded) => {
                loader.stop()?;
                loader.outcome(None, Some(loaded))
            }
            Err(Halt::Store(error)) => Err(error),
            Err(Halt::Refuses(refusal)) => loader.outcome(Some(*refusal), None),
            Err(Halt::Escapes { base_offset, escape, position }) => {
                let refusal = refusal_of(base_offset, escape, position);
                loader.outcome(Some(refusal), None)
            }
        }
    }

    fn outcome(self, refusal: Option<Refusal>, loaded: Option<Loaded>) -> Result<StartOutcome, StoreError> {
        let segments = self.segments.values().map(|segment| (segment.base_offset, segment.size_in_bytes(&self.files)));
        let segments = segments.collect();
        let Changes { before: files_before, after: files, events } = self.files.into_changes()?;
        let (log_start_offset, log_end_offset, producers) = match loaded {
            Some(loaded) => (loaded.log_start_offset, loaded.log_end_offset, loaded.snapshots.state.entries()),
            None => (self.log_start, self.log_start, Vec::new()),
        };
        Ok(StartOutcome {
            refusal,
            log_start_offset,
            log_end_offset,
            segments,
            leader_epochs: self.epochs.entries,
            producers,
            events,
            files,
            files_before,
        })
    }

    fn start(&mut self) -> Result<Loaded, Halt> {
        self.epochs = Epochs::load(&mut self.files)?;
        let mut snapshots = Snapshots::load(&self.files)?;
        self.finish_swaps()?;
        self.retrying(&mut snapshots, |loader, _| {
            loader.segments.clear();
            loader.load_segments()
        })?;
        let log_end_offset = if self.is_to_be_deleted {
            if self.segments.is_empty() {
                self.add_segment(Offset(0));
            }
            Offset(0)
        } else {
            let end = self.retrying(&mut snapshots, Self::recover_log)?;
            if let Some(last) = self.segments.values_mut().next_back() {
                last.enlarge_indexes(&self.conditions, &mut self.files)?;
            }
            end
        };
        self.epochs.truncate_from_end(log_end_offset, &mut self.files)?;
        let first = self.segments.keys().next().copied().unwrap_or(self.log_start);
        let log_start_offset = self.log_start.max(first);
        self.epochs.truncate_from_start(self.log_start, &mut self.files)?;
        snapshots.remove_strays(&self.segments, &mut self.files)?;
        let clean = self.conditions.clean;
        self.rebuild(&mut snapshots, log_start_offset, log_end_offset, clean)?;
        self.read_partition_metadata()?;
        self.find_unstable_offset(&snapshots, log_start_offset, log_end_offset)?;
        Ok(Loaded { snapshots, log_start_offset, log_end_offset })
    }

    fn rebuild(
        &mut self,
        snapshots: &mut Snapshots,
        log_start_offset: Offset,
        end_offset: Offset,
        clean: bool,
    ) -> Result<(), Halt> {
        let Self { conditions, segments, files, .. } = self;
        snapshots.rebuild(conditions, segments, log_start_offset, end_offset, clean, files)
    }

    /// Removes temporary files, and ends what a compaction or a split has begun.
    fn finish_swaps(&mut self) -> Result<(), Halt> {
        let without_number = |name: &str| refuse(name.to_owned(), None, RefusalReason::NameWithoutNumber);
        let (mut cleaned, mut swaps) = (Vec::new(), Vec::new());
        for name in self.files.names() {
            if name.ends_with(DELETED) && !name.ends_with(".checkpoint.deleted") {
                self.files.delete(name, DeletedFor::LeftOver);
            } else if name.ends_with(CLEANED) {
                let number = number_of(&name).ok_or_else(|| without_number(&name))?;
                cleaned.push((number, name));
            } else if name.ends_with(SWAP) {
                swaps.push(name);
            }
        }
        let first_cleaned = cleaned.iter().map(|(number, _)| *number).min();
        let mut valid = Vec::new();
        for name in swaps {
            let number = number_of(&name).ok_or_else(|| without_number(&name))?;
            if first_cleaned.is_some_and(|first| number >= first) {
                self.files.delete(name, DeletedFor::LeftOver);
            } else {
                valid.push((number, name));
            }
        }
        for (_, name) in cleaned {
            self.files.delete(name, DeletedFor::LeftOver);
        }
        let (mut low, mut high) = (Offset(i64::MAX), Offset(i64::MIN));
        for (number, name) in valid {
            if !name.ends_with(".log.swap") {
                continue;
            }
            let mut segment = Segment::with_suffix(number, SWAP);
            self.check_size(&segment)?;
            low = low.min(number);
            high = high.max(segment.read_next_offset(&self.conditions, &mut self.files)?.0);
        }
        for name in self.files.names() {
            let is_replaced = number_of(&name).is_some_and(|number| number >= low && number < high);
            if is_replaced && !name.ends_with(SWAP) {
                self.files.delete(name, DeletedFor::Replaced);
            }
        }
        for name in self.files.names() {
            if let Some(to) = name.strip_suffix(SWAP) {
                self.files.rename(&name, to);
                self.files.event(to.to_owned(), What::Renamed { from: name.clone() });
            }
        }
        Ok(())
    }

    fn check_size(&mut self, segment: &Segment) -> Result<(), Halt> {
        let name = segment.file(FileKind::Log);
        self.files.create(&name);
        let size_in_bytes = self.files.size_in_bytes(&name);
        match i32::try_from(size_in_bytes) {
            Ok(_) => Ok(()),
            Err(_) => Err(refuse(name, None, RefusalReason::LogTooLarge { size_in_bytes })),
        }
    }

    fn add_segment(&mut self, base_offset: Offset) {
        let segment = Segment::new(base_offset);
        self.files.create(&segment.file(FileKind::Log));
        self.segments.insert(base_offset, segment);
    }

    fn load_segments(&mut self) -> Result<(), Halt> {
        let mut listing = Listing::new();
        for name in self.files.names() {
            let is_index = [".index", ".timeindex", ".txnindex"].iter().any(|suffix| name.ends_with(suffix));
            if !is_index && !name.ends_with(".log") {
                continue;
            }
            let number = number_of(&name);
            let number = number.ok_or_else(|| refuse(name.clone(), None, RefusalReason::NameWithoutNumber))?;
            if !is_index {
                self.open_segment(number, &mut listing)?;
            } else if !self.files.exists(&name_of(number, FileKind::Log)) {
                self.files.delete(name, DeletedFor::Orphan);
            }
        }
        Ok(())
    }

    fn open_segment(&mut self, base_offset: Offset, listing: &mut Listing) -> Result<(), Halt> {
        let mut segment = Segment::new(base_offset);
        let has_time_index = self.files.exists(&segment.file(FileKind::TimeIndex));
        self.check_size(&segment)?;
        let why = if !self.files.exists(&segment.file(FileKind::OffsetIndex)) {
            Some(RecoveredFor::NoOffsetIndex)
        } else {
            if !has_time_index {
                self.files.create(&segment.file(FileKind::TimeIndex));
                segment.time_entries = Some(0);
            }
            self.is_txn_index_below(&segment)?.then_some(RecoveredFor::TxnIndexBelowBase)
        };
        if let Some(why) = why {
            let recovered = self.recover_segment(&mut segment, why, listing);
            if recovered.is_err() {
                self.half_recovered = Some(segment.clone());
            }
            recovered?;
        }
        self.segments.insert(base_offset, segment);
        Ok(())
    }

    /// Whether an entry of the transaction index lies below the segment.
    fn is_txn_index_below(&self, segment: &Segment) -> Result<bool, Halt> {
        let name = segment.file(FileKind::TxnIndex);
        let bytes = self.files.read(&name)?;
        for entry in TxnIndex::new(&bytes).iter() {
            let version = match self.conditions.release {
                KafkaRelease::V3_9 => i16::from(entry.version_byte()),
                KafkaRelease::V4_4 => entry.version,
            };
            let is_known = match self.conditions.release {
                KafkaRelease::V3_9 => version <= 0,
                KafkaRelease::V4_4 => version == 0,
            };
            if !is_known {
                return Err(refuse(name, None, RefusalReason::TxnIndexVersion { version }));
            }
            if entry.last_offset < segment.base_offset {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Recovers one segment; how many bytes that cuts off. `listing` is that of the recovery before, if there was one,
    /// and becomes that of this one.
    fn recover_segment(
        &mut self,
        segment: &mut Segment,
        why: RecoveredFor,
        listing: &mut Listing,
    ) -> Result<u64, Halt> {
        let name = segment.file(FileKind::Log);
        let base_offset = segment.base_offset;
        let mut snapshots = Snapshots::go_on(std::mem::take(listing), &self.files)?;
        self.rebuild(&mut snapshots, self.log_start, base_offset, false)?;
        self.files.event(name.clone(), What::Recovered(why));
        let conditions = &self.conditions;
        let options = RecoverOptions {
            base_offset,
            index_interval_bytes: conditions.index_interval_bytes,
            segment_index_bytes: conditions.segment_index_bytes,
            release: conditions.release,
        };
        let log = self.files.log(&name)?;
        let mut newest = self.epochs.entries.last().map_or(-1, |last| last.epoch);
        let mut found = Vec::new();
        let recovery = recover::recover(log.range(), &options, &mut snapshots.state, |epoch, start_offset| {
            if epoch > newest {
                newest = epoch;
                found.push(LeaderEpochEntry { epoch, start_offset });
            }
        })?;
        for entry in found {
            self.epochs.offer(entry, &mut self.files)?;
        }
        let valid_bytes = recovery.valid_bytes;
        if let Some(escape) = self.write_indexes(segment, &recovery)? {
            return Err(Halt::Escapes { base_offset, escape, position: Position(valid_bytes) });
        }
        let lost_bytes = self.files.size_in_bytes(&name).saturating_sub(valid_bytes);
        if lost_bytes > 0 {
            self.files.set_size(&name, valid_bytes)?;
            self.files.event(name, What::Cut { to: Position(valid_bytes), lost_bytes, why: recovery.end });
        }
        snapshots.take(&mut self.files)?;
        *listing = snapshots.into_listing();
        Ok(lost_bytes)
    }

    /// Writes what recovery makes of the indexes; the exception that it ends in.
    fn write_indexes(&mut self, segment: &mut Segment, recovery: &Recovery) -> Result<Option<Escape>, Halt> {
        let escape = match &recovery.end {
            RecoverEnd::Escapes(escape) => Some(escape.clone()),
            _ => None,
        };
        let entries = [&recovery.offset_index, &recovery.time_index];
        for ((kind, entry_size), bytes) in INDEXES.into_iter().zip(entries) {
            let name = segment.file(kind);
            match escape {
                None => self.files.write(&name, bytes.clone())?,
                // The file is not cut: what it held before is still behind the new entries.
                Some(_) => {
                    let mut all = self.files.read(&name)?;
                    all.resize(all.len().max(bytes.len()), 0);
                    if let Some(start) = all.get_mut(..bytes.len()) {
                        start.copy_from_slice(bytes);
                    }
                    self.files.put(&name, Content::written(all));
                    self.files.set_size(&name, largest(&self.conditions, entry_size))?;
                }
            }
            let count = Some(bytes.len() / entry_size);
            match kind {
                FileKind::OffsetIndex => segment.offset_entries = count,
                _ => segment.time_entries = count,
            }
        }
        let name = segment.file(FileKind::TxnIndex);
        if self.files.exists(&name) || !recovery.txn_index.is_empty() {
            self.files.write(&name, recovery.txn_index.clone())?;
        }
        Ok(escape)
    }

    /// Recovers what may not be on disk, and finds the end of the log.
    fn recover_log(&mut self, main: &mut Snapshots) -> Result<Offset, Halt> {
        if !self.conditions.clean {
            let first = self.segments.range(..=self.recovery_point).next_back().or(self.segments.iter().next());
            let first = first.map_or(self.recovery_point, |(base_offset, _)| *base_offset);
            let unflushed: Vec<Offset> = self.segments.range(first..).map(|(base_offset, _)| *base_offset).collect();
            let mut listing = Listing::new();
            for base_offset in unflushed {
                let Some(mut segment) = self.segments.get(&base_offset).cloned() else { continue };
                let cut = match self.recover_segment(&mut segment, RecoveredFor::UncleanStart, &mut listing) {
                    Err(Halt::Escapes { escape: escape @ Escape::OffsetNotRising { .. }, .. }) => {
                        self.empty(&mut segment, escape)
                    }
                    other => other,
                };
                self.segments.insert(base_offset, segment);
                if cut? > 0 {
                    self.drop_segments_behind(base_offset, main)?;
                    break;
                }
            }
        }
        let mut end = None;
        if let Some(last) = self.segments.values_mut().next_back() {
            let file = last.file(FileKind::Log);
            let (log_end_offset, is_found) = last.read_next_offset(&self.conditions, &mut self.files)?;
            if !is_found {
                self.files.event(file.clone(), What::EndNotFound);
            }
            if log_end_offset >= self.log_start {
                end = Some(log_end_offset);
            } else {
                self.files.event(file, What::EndsBelowStart { log_end_offset });
                for base_offset in self.segments.keys().copied().collect::<Vec<_>>() {
                    self.drop_segment(base_offset, DeletedFor::EndsBelowStart, main);
                }
                self.epochs.clear(&mut self.files)?;
                main.start_at(self.log_start, &mut self.files);
            }
        }
        if self.segments.is_empty() {
            self.add_segment(self.log_start);
        }
        match (end, self.segments.values_mut().next_back()) {
            (None, Some(last)) => Ok(last.read_next_offset(&self.conditions, &mut self.files)?.0),
            (end, _) => Ok(end.unwrap_or(self.log_start)),
        }
    }

    /// Cuts a segment to nothing, as far as the broker finds its first batch.
    fn empty(&mut self, segment: &mut Segment, why: Escape) -> Result<u64, Halt> {
        let name = segment.file(FileKind::Log);
        let found = segment.translate_offset(&self.conditions, &mut self.files, segment.base_offset)?;
        segment.offset_entries = Some(0);
        segment.time_entries = Some(0);
        for (kind, entry_size) in INDEXES {
            self.files.set_size(&segment.file(kind), largest(&self.conditions, entry_size))?;
        }
        let txn_index = segment.file(FileKind::TxnIndex);
        if self.files.exists(&txn_index) {
            self.files.write(&txn_index, Vec::new())?;
        }
        let Some(to) = found else { return Ok(0) };
        let lost_bytes = self.files.size_in_bytes(&name).saturating_sub(to.0);
        self.files.set_size(&name, to.0)?;
        self.files.event(name, What::Emptied { lost_bytes, why });
        Ok(lost_bytes)
    }

    fn drop_segments_behind(&mut self, base_offset: Offset, main: &mut Snapshots) -> Result<(), Halt> {
        let behind: Vec<_> = self.segments.keys().copied().filter(|base| *base > base_offset).collect();
        for base_offset in behind {
            self.drop_segment(base_offset, DeletedFor::BehindCut, main);
        }
        Ok(())
    }

    fn drop_segment(&mut self, base_offset: Offset, why: DeletedFor, main: &mut Snapshots) {
        if let Some(segment) = self.segments.remove(&base_offset) {
            for kind in [FileKind::Log, FileKind::OffsetIndex, FileKind::TimeIndex, FileKind::TxnIndex] {
                self.files.delete(segment.file(kind), why);
            }
            main.drop_of_segment(base_offset, why, &mut self.files);
        }
    }

    fn read_partition_metadata(&mut self) -> Result<(), Halt> {
        if self.files.exists(PARTITION_METADATA) {
            let bytes = self.files.read(PARTITION_METADATA)?;
            PartitionMetadata::parse(&bytes).map_err(|error| {
                refuse(PARTITION_METADATA.to_owned(), None, RefusalReason::PartitionMetadata(error))
            })?;
        }
        Ok(())
    }

    /// Looks the first unstable offset up, which can fail.
    fn find_unstable_offset(
        &mut self,
        snapshots: &Snapshots,
        log_start_offset: Offset,
        log_end_offset: Offset,
    ) -> Result<(), Halt> {
        let Some(first_offset) = snapshots.first_unstable_offset() else { return Ok(()) };
        let offset = first_offset.max(log_start_offset);
        let first = self.segments.range(..=offset).next_back().map(|(base_offset, _)| *base_offset);
        let Some(first) = first.filter(|_| offset < log_end_offset) else { return Ok(()) };
        for (_, segment) in self.segments.range_mut(first..) {
            if segment.translate_offset(&self.conditions, &mut self.files, offset)?.is_some() {
                break;
            }
        }
        Ok(())
    }

    /// What an orderly stop right after the start does to the indexes.
    fn stop(&mut self) -> Result<(), StoreError> {
        let active = self.segments.keys().next_back().copied();
        for (base_offset, segment) in &mut self.segments {
            if Some(*base_offset) == active {
                segment.open_offset_index(&self.conditions, &mut self.files);
                segment.open_time_index(&self.conditions, &mut self.files);
            } else if self.conditions.release == KafkaRelease::V4_4 {
                continue;
            }
            segment.trim_indexes(&mut self.files)?;
        }
        Ok(())
    }
}
