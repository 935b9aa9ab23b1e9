//! One segment as a broker has it open: finding batches by its offset index, whatever that says.
//!
//! Source: Kafka `LogSegment`, `FileRecords`, `LazyIndex`, `AbstractIndex`.

use super::files::{Content, Files, OpenLog, name_of};
use super::outcome::{RefusalReason, StartConditions};
use super::{Halt, refuse};
use crate::format::batch::BatchHeader;
use crate::format::compression::Decompressor;
use crate::format::file_name::FileKind;
use crate::format::legacy;
use crate::format::offset_index::{self, OffsetIndex};
use crate::format::time_index;
use crate::format::{Offset, Position};
use crate::scan::recover::{BatchFault, KafkaRelease, LogBatch, LogBatches};
use crate::store::StoreError;

/// A segment, and how many entries the broker believes that its indexes have, where it has opened them.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) base_offset: Offset,
    /// What is appended to the names of its files.
    suffix: &'static str,
    pub(super) offset_entries: Option<usize>,
    pub(super) time_entries: Option<usize>,
}

impl Segment {
    pub(super) fn new(base_offset: Offset) -> Self {
        Self::with_suffix(base_offset, "")
    }

    /// A segment that is read from its beginning, whatever its indexes say.
    pub(super) fn without_indexes(base_offset: Offset) -> Self {
        Self { offset_entries: Some(0), time_entries: Some(0), ..Self::new(base_offset) }
    }

    pub(super) fn with_suffix(base_offset: Offset, suffix: &'static str) -> Self {
        Self { base_offset, suffix, offset_entries: None, time_entries: None }
    }

    pub(super) fn file(&self, kind: FileKind) -> String {
        format!("{}{}", name_of(self.base_offset, kind), self.suffix)
    }

    pub(super) fn log(&self, files: &Files) -> Result<OpenLog, Halt> {
        Ok(files.log(&self.file(FileKind::Log))?)
    }

    pub(super) fn size_in_bytes(&self, files: &Files) -> u64 {
        files.size_in_bytes(&self.file(FileKind::Log))
    }

    pub(super) fn open_offset_index(&mut self, conditions: &StartConditions, files: &mut Files) -> usize {
        let name = self.file(FileKind::OffsetIndex);
        *self.offset_entries.get_or_insert_with(|| open(files, &name, conditions, offset_index::ENTRY_SIZE))
    }

    pub(super) fn open_time_index(&mut self, conditions: &StartConditions, files: &mut Files) -> usize {
        let name = self.file(FileKind::TimeIndex);
        *self.time_entries.get_or_insert_with(|| open(files, &name, conditions, time_index::ENTRY_SIZE))
    }

    /// Makes the files of both indexes as large as they may become.
    pub(super) fn enlarge_indexes(&mut self, conditions: &StartConditions, files: &mut Files) -> Result<(), Halt> {
        let entries = [self.open_offset_index(conditions, files), self.open_time_index(conditions, files)];
        for ((kind, entry_size), entries) in INDEXES.into_iter().zip(entries) {
            let name = self.file(kind);
            let (used, limit) = ((entries * entry_size) as u64, largest(conditions, entry_size));
            let is_too_large = used > limit && files.size_in_bytes(&name) != limit;
            files.set_size(&name, limit)?;
            if is_too_large {
                return Err(refuse(name, None, RefusalReason::IndexTooLarge { used, limit }));
            }
        }
        Ok(())
    }

    /// Cuts the files of the indexes that are open to their entries.
    pub(super) fn trim_indexes(&self, files: &mut Files) -> Result<(), StoreError> {
        for ((kind, entry_size), entries) in INDEXES.into_iter().zip([self.offset_entries, self.time_entries]) {
            if let Some(entries) = entries {
                files.set_size(&self.file(kind), (entries * entry_size) as u64)?;
            }
        }
        Ok(())
    }

    /// Where the offset index leads for `target`, and the offset of its last entry.
    fn floor(
        &mut self,
        conditions: &StartConditions,
        files: &mut Files,
        target: Option<Offset>,
    ) -> Result<(Position, Offset), Halt> {
        let entries = self.open_offset_index(conditions, files);
        if entries == 0 {
            return Ok((Position(0), self.base_offset));
        }
        let bytes = files.read(&self.file(FileKind::OffsetIndex))?;
        let index = OffsetIndex::new(&bytes, self.base_offset);
        let last = entries.checked_sub(1).and_then(|slot| index.entry(slot));
        let last_offset = last.map_or(self.base_offset, |entry| entry.offset);
        let slot = index.floor(target.unwrap_or(last_offset), entries);
        // A negative position counts as the start.
        let position = slot.and_then(|slot| index.entry(slot)).and_then(|entry| entry.position());
        Ok((position.unwrap_or_default(), last_offset))
    }

    /// The batch with `target` in it, or the first one behind.
    pub(super) fn translate_offset(
        &mut self,
        conditions: &StartConditions,
        files: &mut Files,
        target: Offset,
    ) -> Result<Option<Position>, Halt> {
        let (position, _) = self.floor(conditions, files, Some(target))?;
        self.search(conditions, files, target, position)
    }

    fn search(
        &self,
        conditions: &StartConditions,
        files: &Files,
        target: Offset,
        position: Position,
    ) -> Result<Option<Position>, Halt> {
        let log = self.log(files)?;
        let mut batches = LogBatches::new(log.range(), position.0, u64::MAX);
        let mut decompressor = Decompressor::default();
        let mut before: Option<LogBatch> = None;
        let reaches = |batch: &LogBatch| batch.header.last_offset() >= target;
        while let Some(batch) = self.next(&mut batches)? {
            if conditions.release == KafkaRelease::V3_9 {
                if reaches(&batch) {
                    return Ok(Some(batch.position));
                }
                continue;
            }
            let base_offset = match batch.header.base_offset() {
                Some(base_offset) => base_offset,
                None => self.hidden_base_offset(&mut batches, &batch, &mut decompressor)?,
            };
            if base_offset == target {
                return Ok(Some(batch.position));
            }
            if base_offset > target {
                return Ok(Some(before.filter(reaches).unwrap_or(batch).position));
            }
            before = Some(batch);
        }
        Ok(before.filter(reaches).map(|batch| batch.position))
    }

    fn hidden_base_offset(
        &self,
        batches: &mut LogBatches<'_>,
        batch: &LogBatch,
        decompressor: &mut Decompressor,
    ) -> Result<Offset, Halt> {
        let last_offset = batch.header.last_offset();
        let Some(bytes) = batches.bytes(batch)? else { return Ok(last_offset) };
        let first = legacy::first_offset(&bytes, decompressor);
        let first = first
            .map_err(|error| refuse(self.file(FileKind::Log), Some(batch.position), RefusalReason::Records(error)))?;
        Ok(first.unwrap_or(last_offset))
    }

    /// The offset behind the last batch, from the batch of the last index entry on; `false` where no batch is found
    /// although the log is not empty.
    pub(super) fn read_next_offset(
        &mut self,
        conditions: &StartConditions,
        files: &mut Files,
    ) -> Result<(Offset, bool), Halt> {
        let (position, last_offset) = self.floor(conditions, files, None)?;
        let is_empty = self.size_in_bytes(files) == 0;
        let Some(start) = self.search(conditions, files, last_offset, position)? else {
            return Ok((self.base_offset, is_empty));
        };
        let log = self.log(files)?;
        let mut batches = LogBatches::new(log.range(), start.0, u64::MAX);
        let mut last = None;
        loop {
            let position = batches.position();
            last = match batches.next_batch()? {
                None => break,
                // Only the header of the last batch is read.
                Some(Err(fault @ BatchFault::Header(_))) => Some(Err(self.refuse_batch(position, fault))),
                Some(Err(fault)) => return Err(self.refuse_batch(position, fault)),
                Some(Ok(batch)) => Some(Ok(behind(&batch.header))),
            };
        }
        let end = last.transpose()?;
        Ok((end.unwrap_or(self.base_offset), end.is_some()))
    }

    pub(super) fn next(&self, batches: &mut LogBatches<'_>) -> Result<Option<LogBatch>, Halt> {
        let position = batches.position();
        batches.next_batch()?.transpose().map_err(|fault| self.refuse_batch(position, fault))
    }

    fn refuse_batch(&self, position: Position, fault: BatchFault) -> Halt {
        refuse(self.file(FileKind::Log), Some(position), RefusalReason::Batch(fault))
    }
}

/// The two indexes that are mapped into memory, and the size of their entries in bytes.
pub(super) const INDEXES: [(FileKind, usize); 2] =
    [(FileKind::OffsetIndex, offset_index::ENTRY_SIZE), (FileKind::TimeIndex, time_index::ENTRY_SIZE)];

/// The size of an index that has all the room it may have.
pub(super) fn largest(conditions: &StartConditions, entry_size: usize) -> u64 {
    let bytes = conditions.segment_index_bytes as usize;
    (bytes - bytes % entry_size) as u64
}

fn open(files: &mut Files, name: &str, conditions: &StartConditions, entry_size: usize) -> usize {
    if !files.exists(name) {
        let size_in_bytes = largest(conditions, entry_size);
        files.put(name, Content::Written { bytes: Vec::new(), size_in_bytes });
        return 0;
    }
    usize::try_from(files.size_in_bytes(name)).unwrap_or(usize::MAX) / entry_size
}

/// The offset behind a batch.
pub(super) fn behind(header: &BatchHeader) -> Offset {
    Offset(header.last_offset().0.wrapping_add(1))
}
