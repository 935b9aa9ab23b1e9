//! Splitting a segment whose last offset does not fit into it.
//!
//! Source: Kafka `LogLoader.retryOnOffsetOverflow`, `LocalLog.splitOverflowedSegment`, `LogSegment.appendFromFile`.

use super::files::Content;
use super::load::Loader;
use super::outcome::{DeletedFor, RefusalReason, What};
use super::segment::Segment;
use super::snapshots::Snapshots;
use super::{Halt, refuse};
use crate::format::file_name::FileKind;
use crate::format::{Offset, Position};
use crate::scan::recover::{Escape, IndexWriter, LogBatches, RecoverOptions, fits};

/// A part of a log that becomes a segment of its own.
struct Part {
    base_offset: Offset,
    content: Content,
    offset_index: Vec<u8>,
    time_index: Vec<u8>,
}

impl Loader {
    /// Does `step` until no offset overflows.
    pub(super) fn retrying<T>(
        &mut self,
        snapshots: &mut Snapshots,
        step: impl Fn(&mut Self, &mut Snapshots) -> Result<T, Halt>,
    ) -> Result<T, Halt> {
        loop {
            match step(self, snapshots) {
                Err(Halt::Escapes { base_offset, escape: Escape::OffsetOverflow { offset, .. }, position }) => {
                    self.split(base_offset, offset, position, snapshots)?;
                }
                other => return other,
            }
        }
    }

    fn split(
        &mut self,
        base_offset: Offset,
        offset: Offset,
        position: Position,
        snapshots: &mut Snapshots,
    ) -> Result<(), Halt> {
        // While files are loaded, the segment is not among the others yet, and has its indexes half rebuilt.
        let half_recovered = self.half_recovered.take();
        let known = self.segments.get(&base_offset).cloned().or(half_recovered);
        let mut segment = known.unwrap_or_else(|| Segment::new(base_offset));
        let name = segment.file(FileKind::Log);
        let (next_offset, _) = segment.read_next_offset(&self.conditions, &mut self.files)?;
        if next_offset <= base_offset || fits(base_offset, Offset(next_offset.0.wrapping_sub(1))) {
            return Err(refuse(name, Some(position), RefusalReason::OverflowNotLast { offset }));
        }
        let parts = self.parts(&segment)?;
        let into: Vec<Offset> = parts.iter().map(|part| part.base_offset).collect();
        for kind in [FileKind::Log, FileKind::OffsetIndex, FileKind::TimeIndex, FileKind::TxnIndex] {
            let file = segment.file(kind);
            if into.contains(&base_offset) && kind != FileKind::TxnIndex {
                self.files.remove(&file);
            } else {
                self.files.delete(file, DeletedFor::Split);
            }
        }
        self.segments.remove(&base_offset);
        if !into.contains(&base_offset) {
            snapshots.drop_of_segment(base_offset, DeletedFor::Split, &mut self.files);
        }
        for part in parts {
            let mut segment = Segment::new(part.base_offset);
            segment.offset_entries = Some(part.offset_index.len() / crate::format::offset_index::ENTRY_SIZE);
            segment.time_entries = Some(part.time_index.len() / crate::format::time_index::ENTRY_SIZE);
            self.files.put(&segment.file(FileKind::Log), part.content);
            self.files.write(&segment.file(FileKind::OffsetIndex), part.offset_index)?;
            self.files.write(&segment.file(FileKind::TimeIndex), part.time_index)?;
            self.segments.insert(part.base_offset, segment);
        }
        self.files.event(name, What::Split { into });
        Ok(())
    }

    fn parts(&mut self, segment: &Segment) -> Result<Vec<Part>, Halt> {
        let name = segment.file(FileKind::Log);
        let log = segment.log(&self.files)?;
        let size = segment.size_in_bytes(&self.files);
        let mut batches = LogBatches::new(log.range(), 0, u64::MAX);
        let mut parts: Vec<(Part, IndexWriter, u64)> = Vec::new();
        let conditions = self.conditions;
        let mut at = 0;
        while let Some(batch) = segment.next(&mut batches)? {
            let (position, last_offset) = (batch.position.0, batch.header.last_offset());
            let is_in_part = parts.last().is_some_and(|(part, ..)| fits(part.base_offset, last_offset));
            if !is_in_part {
                let base_offset = batch.header.base_offset().unwrap_or(last_offset);
                if !fits(base_offset, last_offset) {
                    return Err(refuse(
                        name,
                        Some(batch.position),
                        RefusalReason::OverflowNotLast { offset: last_offset },
                    ));
                }
                let options = RecoverOptions {
                    base_offset,
                    index_interval_bytes: conditions.index_interval_bytes,
                    segment_index_bytes: conditions.segment_index_bytes,
                    release: conditions.release,
                };
                let content = Content::Disk { name: name.clone(), start: position, size_in_bytes: 0 };
                let part = Part { base_offset, content, offset_index: Vec::new(), time_index: Vec::new() };
                parts.push((part, IndexWriter::new(&options), position));
            }
            let Some((part, indexes, start)) = parts.last_mut() else { break };
            let escaped = |escape| refuse(name.clone(), Some(batch.position), RefusalReason::Escape(escape));
            indexes.batch(position - *start, &batch.header).map_err(escaped)?;
            at = position + batch.header.size_in_bytes();
            if let Content::Disk { size_in_bytes, .. } = &mut part.content {
                *size_in_bytes = at - *start;
            }
        }
        if at < size {
            return Err(refuse(name, Some(Position(at)), RefusalReason::Unsplittable(size - at)));
        }
        let mut closed = Vec::new();
        for (mut part, mut indexes, _) in parts {
            indexes.close().map_err(|escape| refuse(name.clone(), None, RefusalReason::Escape(escape)))?;
            part.offset_index = indexes.offset_index;
            part.time_index = indexes.time_index;
            closed.push(part);
        }
        Ok(closed)
    }
}
