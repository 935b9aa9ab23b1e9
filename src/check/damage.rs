//! Stretches of a log that hold no intact batch.

use std::path::Path;

use super::Id;
use super::finding::{Finding, Repair, Severity};
use super::index_file::SegmentState;
use crate::format::batch::{
    BatchHeader, FrameError, HEADER_UP_TO_MAGIC, LEAST_RECORD_BATCH_LENGTH, LOG_OVERHEAD, RECORD_BATCH_CRC_START,
    RECORD_BATCH_OVERHEAD, RecordBatchHeader, length_at,
};
use crate::format::checksum::Checksum;
use crate::format::{Offset, Position};
use crate::scan::{Damage, DamageReason, ScanEnd};
use crate::store::window::Window;
use crate::store::{ReadStorage, StoreError};

/// A damaged stretch: where it is, and what it is.
#[derive(Debug)]
pub(super) struct Stretch {
    pub position: Position,
    pub length: u64,
    pub finding: Finding,
}

/// What the end of a walk says about the log at `path`; `None` where it is no damage. `next_offset` is the one that was
/// expected next.
///
/// Errors: the log cannot be read.
pub(super) fn stretch(
    storage: &dyn ReadStorage,
    path: &Path,
    end: &ScanEnd,
    next_offset: Offset,
    state: &SegmentState,
) -> Result<Option<Stretch>, StoreError> {
    let (position, length, finding) = match *end {
        ScanEnd::CleanEof | ScanEnd::Stopped => return Ok(None),
        ScanEnd::TornTail { position, length } => {
            let torn = Finding::new(Id::LogTornTail, path);
            let finding = match (too_small(storage, path, position, length)?, header_at(storage, position)?) {
                (Some(too_small), _) => too_small,
                (None, Some(header)) => torn.with("sizeInBytes", header.size_in_bytes()),
                (None, None) => torn,
            };
            (position, length, finding)
        }
        ScanEnd::ZeroFill { position, length } => (position, length, Finding::new(Id::LogZeroTail, path)),
        ScanEnd::Damaged(damage) => (damage.position, damage.length, damaged(storage, path, &damage)?),
    };
    let goes_on = matches!(end, ScanEnd::Damaged(Damage { next_intact: Some(_), .. }));
    let mut finding = finding.at(position, length).offset(next_offset).with("nextOffset", next_offset);
    if finding.repair == Repair::Lossy {
        // Nothing is appended to an older segment, and readers go on in the next one.
        finding = finding.with("isNewest", u64::from(state.is_newest));
    }
    if state.is_live && state.is_newest && !goes_on {
        // A broker is about to write on.
        finding = finding.as_severity(Severity::Info);
    }
    Ok(Some(Stretch { position, length, finding }))
}

/// What ends before a header would is not torn if its length says that it is all there.
///
/// Source: Kafka `FileLogInputStream.nextBatch`, `DefaultRecordBatch`.
fn too_small(
    storage: &dyn ReadStorage,
    path: &Path,
    position: Position,
    left: u64,
) -> Result<Option<Finding>, StoreError> {
    let mut scratch = Vec::new();
    let end = position.0.saturating_add(left.min(RECORD_BATCH_OVERHEAD as u64));
    let bytes = storage.window(position.0..end, &mut scratch)?;
    let is_record_batch = bytes.get(HEADER_UP_TO_MAGIC - 1) == Some(&2);
    let Some(length) = length_at(bytes).ok().filter(|_| is_record_batch) else { return Ok(None) };
    let is_whole = u64::try_from(length).is_ok_and(|length| LOG_OVERHEAD as u64 + length <= left);
    let is_too_small = is_whole && length < LEAST_RECORD_BATCH_LENGTH;
    Ok(is_too_small.then(|| {
        let finding = Finding::new(Id::LogBadLength, path);
        finding.with("lengthField", length).with("leastLength", LEAST_RECORD_BATCH_LENGTH)
    }))
}

fn damaged(storage: &dyn ReadStorage, path: &Path, damage: &Damage) -> Result<Finding, StoreError> {
    if let Some(magic) = changed_magic(storage, damage)? {
        return Ok(with_next(Finding::new(Id::LogMagicChanged, path).with("magic", i32::from(magic)), damage));
    }
    let finding = match damage.reason {
        DamageReason::Checksum { stored, computed } => Finding::new(Id::LogChecksumMismatch, path)
            .with("storedCrc", u64::from(stored))
            .with("computedCrc", u64::from(computed)),
        DamageReason::BeyondEnd { size_in_bytes, left } => {
            Finding::new(Id::LogBadLength, path).with("sizeInBytes", size_in_bytes).with("bytesLeft", left)
        }
        DamageReason::Frame(FrameError::LengthTooSmall { length, least }) => {
            Finding::new(Id::LogBadLength, path).with("lengthField", length).with("leastLength", least)
        }
        DamageReason::Frame(FrameError::Short { needed, left }) => {
            Finding::new(Id::LogBadLength, path).with("sizeInBytes", needed).with("bytesLeft", left)
        }
        DamageReason::Frame(FrameError::UnknownMagic(magic)) => {
            Finding::new(Id::LogUnknownMagic, path).with("magic", i32::from(magic))
        }
    };
    let finding = match &damage.header {
        Some(header) => finding
            .with("baseOffset", header.base_offset().unwrap_or(header.last_offset()))
            .with("lastOffset", header.last_offset()),
        None => finding,
    };
    Ok(with_next(finding, damage))
}

fn with_next(finding: Finding, damage: &Damage) -> Finding {
    match damage.next_intact {
        Some(next) => finding.with("nextIntactPosition", next),
        None => finding,
    }
}

/// The magic of a batch of which nothing else is wrong: the checksum of magic 2, which does not cover it, holds. Only
/// what lies within the damage is read, so that no length costs more than the file has.
fn changed_magic(storage: &dyn ReadStorage, damage: &Damage) -> Result<Option<i8>, StoreError> {
    if damage.length < RECORD_BATCH_OVERHEAD as u64 {
        return Ok(None);
    }
    let mut window = Window::new(storage);
    let bytes = window.at(damage.position.0, RECORD_BATCH_OVERHEAD as u64)?;
    let Some(header) = bytes.first_chunk().map(RecordBatchHeader::read) else { return Ok(None) };
    let size = BatchHeader::RecordBatch(header).size_in_bytes();
    if header.magic == 2 || size < RECORD_BATCH_OVERHEAD as u64 || size > damage.length {
        return Ok(None);
    }
    let mut checksum = Checksum::crc32c();
    let start = damage.position.0 + RECORD_BATCH_CRC_START as u64;
    window.stream(start..damage.position.0 + size, |piece| checksum.update(piece))?;
    Ok((checksum.value() == header.crc).then_some(header.magic))
}

fn header_at(storage: &dyn ReadStorage, position: Position) -> Result<Option<BatchHeader>, StoreError> {
    let end = position.0.saturating_add(RECORD_BATCH_OVERHEAD as u64).min(storage.len());
    let mut scratch = Vec::new();
    let bytes = storage.window(position.0.min(end)..end, &mut scratch)?;
    Ok(BatchHeader::read(bytes).ok().filter(|header| header.check().is_ok()))
}
