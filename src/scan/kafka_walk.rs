//! The walk over a log that Kafka's own tools make: only the length fields steer it.
//!
//! Kafka's dump tool reads a file batch by batch without looking at checksums, magic or fields; whatever a length
//! field says, it goes there. To see what that tool sees takes the same walk.
//!
//! Source: Kafka `FileLogInputStream`.

use super::batch_scan::crc_in;
use crate::format::Position;
use crate::format::batch::{BatchHeader, FrameError, HEADER_UP_TO_MAGIC, LEAST_LENGTH, LOG_OVERHEAD};
use crate::format::batch::{RECORD_BATCH_OVERHEAD, RecordBatch, length_at};
use crate::store::StoreError;
use crate::store::window::Window;

/// Why the walk cannot go on, where Kafka's tool ends in an exception.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    /// The bytes could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A length that no batch has: the end of what can be told apart.
    #[error("the length field at position {position} is {length}, smaller than that of any batch")]
    LengthTooSmall {
        /// Where the batch would begin.
        position: Position,
        /// The length field.
        length: i32,
    },
    /// A batch that is said to end before its own header, with which the file ends.
    #[error("the file ends within the header of the batch at position {position}: {left} bytes are left")]
    HeaderCut {
        /// Where the batch begins.
        position: Position,
        /// How many bytes the file has from there on.
        left: u64,
    },
}

/// A batch that Kafka's tool would see here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalkedBatch {
    /// Where it begins.
    pub position: Position,
    /// Its header. Where the batch is shorter than that, the rest is what follows in the file.
    pub header: BatchHeader,
}

/// A walk over the bytes between two positions of a file.
#[derive(Clone, Copy, Debug)]
pub struct KafkaWalk {
    position: u64,
    end: u64,
}

impl KafkaWalk {
    /// A walk from `start` to `end` (exclusive), which must not lie behind the end of the file.
    pub fn new(start: Position, end: Position) -> Self {
        Self { position: start.0, end: end.0 }
    }

    /// Where the next batch would begin: the end of the last one.
    pub fn position(&self) -> Position {
        Position(self.position)
    }

    /// Where the walk ends at the latest.
    pub fn end(&self) -> Position {
        Position(self.end)
    }

    /// The next batch, `None` where no whole one is left before the end.
    ///
    /// Errors: [`WalkError`]. A further call gives the same one again.
    #[inline]
    pub fn next_batch(&mut self, window: &mut Window<'_>) -> Result<Option<WalkedBatch>, WalkError> {
        // A batch that ends right after its magic is passed over by Kafka as well.
        if self.position.saturating_add(HEADER_UP_TO_MAGIC as u64) >= self.end {
            return Ok(None);
        }
        let position = Position(self.position);
        let bytes = window.at(self.position, RECORD_BATCH_OVERHEAD as u64)?;
        let left = bytes.len() as u64;
        let cut = |_: FrameError| WalkError::HeaderCut { position, left };
        let length = length_at(bytes).map_err(cut)?;
        if length < LEAST_LENGTH {
            return Err(WalkError::LengthTooSmall { position, length });
        }
        let end = self.position.saturating_add(LOG_OVERHEAD as u64).saturating_add(length as u64);
        if end > self.end {
            return Ok(None);
        }
        let header = BatchHeader::read(bytes).map_err(cut)?;
        self.position = end;
        Ok(Some(WalkedBatch { position, header }))
    }
}

impl WalkedBatch {
    /// Whether Kafka would call the batch valid. One larger than `at_once` bytes is not held in memory for that.
    pub fn is_valid(&self, window: &mut Window<'_>, at_once: u64) -> Result<bool, StoreError> {
        let (start, size) = (self.position.0, self.header.size_in_bytes());
        if size <= at_once {
            let view = window.view(start, size)?;
            let batch = RecordBatch::with_header(self.header, view.bytes);
            let computed = crc_in(&view, &self.header);
            return Ok(batch.ok().zip(computed).is_some_and(|(batch, computed)| batch.is_valid_with(computed)));
        }
        let mut checksum = self.header.checksum();
        let covered = start.saturating_add(self.header.checksum_start() as u64)..start.saturating_add(size);
        window.stream(covered, |piece| checksum.update(piece))?;
        Ok(checksum.value() == self.header.crc())
    }
}
