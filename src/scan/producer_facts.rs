//! What a stretch of a log says about its producers, without knowing what came before.

use super::batch_scan::ScannedBatch;
use crate::format::Offset;

/// What a stretch of a log says about its producers, without knowing what came before.
#[derive(Clone, Debug)]
pub struct ProducerFacts {
    end_offset: Option<Offset>,
}

impl ProducerFacts {
    /// Of a stretch that ends before `end_offset` (exclusive), or with the segment.
    pub fn until(end_offset: Option<Offset>) -> Self {
        Self { end_offset }
    }

    /// Where the stretch ends (exclusive); `None` where it ends with the segment.
    pub fn end_offset(&self) -> Option<Offset> {
        self.end_offset
    }

    /// Takes in the next batch of a producer.
    pub fn take(&mut self, scanned: &ScannedBatch<'_>) {
        let _ = scanned;
    }

    /// Says that batches are lost before the next one.
    pub fn batches_are_missing(&mut self) {}
}
