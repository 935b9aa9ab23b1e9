//! The buffer decompressed bytes are written to, reused from batch to batch and limited in size.

use super::DecompressError;

/// The first allocation, large enough for the whole of most batches.
const FIRST_SIZE: usize = 64 * 1024;
/// What is kept after a batch of unusual size: several times the 1 MiB that Kafka allows a batch by default.
const KEPT_SIZE: usize = 4 * 1024 * 1024;

/// A byte buffer that grows geometrically up to a limit.
///
/// All of `bytes` is initialised and stays so; only growth fills bytes with zeros, each once. `length` says how many are
/// of the current batch.
pub(super) struct OutputBuffer {
    bytes: Vec<u8>,
    length: usize,
    limit: usize,
}

impl OutputBuffer {
    /// An empty buffer without memory.
    pub(super) fn new(limit: usize) -> OutputBuffer {
        OutputBuffer { bytes: Vec::new(), length: 0, limit }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// How much memory there is.
    pub(super) fn size(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Begins a new batch. A buffer of unusual size is kept only while batches of unusual size follow one another.
    pub(super) fn begin(&mut self) {
        if self.length <= KEPT_SIZE {
            self.shrink();
        }
        self.length = 0;
    }

    /// Forgets the current batch and gives back memory beyond the usual.
    pub(super) fn discard(&mut self) {
        self.length = 0;
        self.shrink();
    }

    fn shrink(&mut self) {
        if self.bytes.len() > KEPT_SIZE {
            self.bytes.truncate(KEPT_SIZE);
            self.bytes.shrink_to_fit();
        }
    }

    /// What the current batch has been decompressed to so far.
    pub(super) fn written(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// How many bytes may still be written before the limit.
    pub(super) fn left(&self) -> usize {
        self.limit.saturating_sub(self.length)
    }

    /// The free part of the buffer as it is, perhaps empty, never beyond the limit.
    pub(super) fn spare(&mut self) -> &mut [u8] {
        let end = self.bytes.len().min(self.limit);
        self.bytes.get_mut(self.length..end).unwrap_or_default()
    }

    /// Exactly `size` free bytes. Errors: `Limit` where they would go beyond it.
    ///
    /// The caller must have seen input in proportion to `size`.
    pub(super) fn room(&mut self, size: usize) -> Result<&mut [u8], DecompressError> {
        let limit = self.limit;
        let end = self.length.checked_add(size).filter(|end| *end <= limit).ok_or(DecompressError::Limit { limit })?;
        if end > self.bytes.len() {
            self.grow_to(end)?;
        }
        Ok(self.bytes.get_mut(self.length..end).unwrap_or_default())
    }

    /// Makes the buffer larger, for data known to be more than fit. Errors: `Limit` where it is at the limit already.
    pub(super) fn grow(&mut self) -> Result<(), DecompressError> {
        if self.bytes.len() >= self.limit {
            return Err(DecompressError::Limit { limit: self.limit });
        }
        self.grow_to(0)
    }

    /// Doubles the buffer, within the limit and at least to `end`.
    fn grow_to(&mut self, end: usize) -> Result<(), DecompressError> {
        let doubled = self.bytes.len().saturating_mul(2).max(FIRST_SIZE).min(self.limit).max(end);
        let additional = doubled.saturating_sub(self.bytes.len());
        self.bytes.try_reserve_exact(additional).map_err(|_| DecompressError::OutOfMemory)?;
        self.bytes.resize(doubled, 0);
        Ok(())
    }

    /// Counts `size` bytes written to the front of the free part.
    pub(super) fn advance(&mut self, size: usize) {
        self.length = self.length.saturating_add(size).min(self.bytes.len());
    }

    /// Appends `data`. Errors: `Limit`.
    pub(super) fn append(&mut self, data: &[u8]) -> Result<(), DecompressError> {
        self.room(data.len())?.copy_from_slice(data);
        self.advance(data.len());
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn allocated(&self) -> usize {
        self.bytes.capacity()
    }
}
