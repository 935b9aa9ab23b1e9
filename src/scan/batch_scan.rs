//! The one walk over the batches of a log.

use std::sync::atomic::{AtomicBool, Ordering};

use super::resync::{self, LogSoFar};
use crate::format::Position;
use crate::format::batch::{
    BatchHeader, FrameError, HEADER_UP_TO_MAGIC, RECORD_BATCH_OVERHEAD, RecordBatch, RecordBatchHeader,
};
use crate::store::window::{Held, Scratch, View, Window};
use crate::store::{ReadStorage, StoreError};

/// How far the walk looks into a batch before it shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verify {
    /// Headers only: lengths and magics lead from batch to batch, payloads are not read.
    Framing,
    /// The checksum of every batch.
    Checksum,
}

/// What a walk shall do.
#[derive(Clone, Copy, Debug)]
pub struct ScanOptions<'s> {
    /// Where the walk begins, which must be the start of a batch.
    pub start: Position,
    /// How far it looks into each batch.
    pub verify: Verify,
    /// Whether the bytes of each batch are needed (for its records), or its header alone.
    pub bodies: bool,
    /// The largest batch that is held in memory; a larger one is checked piece by piece and shown without its bytes.
    pub max_batch_bytes: u64,
    /// Set from outside to end the walk before the next batch.
    pub stop: Option<&'s AtomicBool>,
}

impl Default for ScanOptions<'_> {
    fn default() -> Self {
        Self {
            start: Position(0),
            verify: Verify::Checksum,
            bodies: false,
            max_batch_bytes: crate::format::compression::DEFAULT_LIMIT as u64,
            stop: None,
        }
    }
}

/// Why a walk has come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanEnd {
    /// The last batch ends exactly where the file does.
    CleanEof,
    /// The last bytes are the beginning of a batch that was not written to its end.
    TornTail {
        /// Where the torn batch begins.
        position: Position,
        /// How many bytes of it there are.
        length: u64,
    },
    /// Everything from here to the end of the file is zero: preallocated, or lost in a power failure.
    ZeroFill {
        /// The first zero byte behind the last batch.
        position: Position,
        /// How many zeros there are.
        length: u64,
    },
    /// Bytes that are no intact batch.
    Damaged(Damage),
    /// The walk was told to stop.
    Stopped,
}

/// A stretch of a log that holds no intact batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where it begins: behind the last intact batch.
    pub position: Position,
    /// How many bytes it takes, up to the next intact batch or to the end of the file.
    pub length: u64,
    /// What is wrong with the batch that should begin here.
    pub reason: DamageReason,
    /// The header of that batch, where one could be read and its length is confirmed by what follows.
    pub header: Option<BatchHeader>,
    /// The next batch that is intact and can belong to this log.
    pub next_intact: Option<Position>,
}

/// What is wrong with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DamageReason {
    /// Length or magic cannot be those of a batch.
    Frame(FrameError),
    /// The length runs past the end of the file, and intact batches follow all the same.
    BeyondEnd {
        /// What the length field makes of it, in bytes.
        size_in_bytes: u64,
        /// How many bytes the file has left.
        left: u64,
    },
    /// The checksum does not hold.
    Checksum {
        /// The checksum in the header.
        stored: u32,
        /// The checksum of the bytes.
        computed: u32,
    },
}

impl DamageReason {
    /// A short name for machines.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Frame(FrameError::UnknownMagic(_)) => "unknownMagic",
            Self::Frame(FrameError::LengthTooSmall { .. }) => "lengthTooSmall",
            Self::Frame(FrameError::Short { .. }) => "tooShort",
            Self::BeyondEnd { .. } => "lengthBeyondEnd",
            Self::Checksum { .. } => "checksumMismatch",
        }
    }
}

/// One batch as the walk shows it.
#[derive(Clone, Copy, Debug)]
pub struct ScannedBatch<'a> {
    /// Where it begins.
    pub position: Position,
    /// Its header.
    pub header: &'a BatchHeader,
    /// Its bytes: only with [`ScanOptions::bodies`], and only up to [`ScanOptions::max_batch_bytes`].
    pub bytes: Option<&'a [u8]>,
}

impl<'a> ScannedBatch<'a> {
    /// The batch, where its bytes are at hand.
    #[inline]
    pub fn batch(&self) -> Option<RecordBatch<'a>> {
        RecordBatch::with_header(*self.header, self.bytes?).ok()
    }
}

/// A walk over the batches of one log, from a position to the end or to damage.
///
/// The batches are lent: each is gone when the next is asked for. With [`Verify::Checksum`] every batch that is shown
/// holds its checksum. Kafka's own iterator ends silently at a torn batch and looks at no checksum; this walk says why
/// it ended, and [`BatchScan::skip_damage`] goes on at the next intact batch.
///
/// Source: Kafka `FileLogInputStream`, `FileRecords`, `LogSegment.recover`.
pub struct BatchScan<'s> {
    window: Window<'s>,
    options: ScanOptions<'s>,
    position: u64,
    length: u64,
    so_far: LogSoFar,
    /// The header of the batch that was shown last: here, because to hand it on by value costs more than to read it.
    header: BatchHeader,
    end: Option<ScanEnd>,
}

impl<'s> BatchScan<'s> {
    /// A walk over `storage`. `so_far` tells what is known of the log before the first batch: it decides which batches
    /// behind damage can belong to this log.
    pub fn new(storage: &'s dyn ReadStorage, so_far: LogSoFar, options: ScanOptions<'s>) -> Self {
        Self::over(Window::new(storage), so_far, options)
    }

    /// As [`BatchScan::new`], with the memory of a thread that makes many walks.
    pub fn with_scratch(
        storage: &'s dyn ReadStorage,
        so_far: LogSoFar,
        options: ScanOptions<'s>,
        scratch: &'s mut Scratch,
    ) -> Self {
        Self::over(Window::with_scratch(storage, scratch), so_far, options)
    }

    fn over(window: Window<'s>, so_far: LogSoFar, options: ScanOptions<'s>) -> Self {
        let length = window.storage().len();
        let header = BatchHeader::RecordBatch(RecordBatchHeader::read(&[0; RECORD_BATCH_OVERHEAD]));
        Self { window, options, position: options.start.0, length, so_far, header, end: None }
    }

    /// Why the walk ended; `None` while it has not.
    pub fn end(&self) -> Option<&ScanEnd> {
        self.end.as_ref()
    }

    /// Where the walk is: behind the last batch shown.
    pub fn position(&self) -> Position {
        Position(self.position)
    }

    /// What the batches shown so far say about the log.
    pub fn so_far(&self) -> &LogSoFar {
        &self.so_far
    }

    /// The bytes of the batch that was shown last, which began at `position`, to be looked at when the walk is elsewhere.
    ///
    /// Errors: the storage could not be read.
    pub fn hold(&mut self, position: Position, header: &BatchHeader) -> Result<Held, StoreError> {
        self.window.hold(position.0, header.size_in_bytes())
    }

    /// After [`ScanEnd::Damaged`]: goes on at the next intact batch. `false` where there is none.
    pub fn skip_damage(&mut self) -> bool {
        let Some(ScanEnd::Damaged(Damage { next_intact: Some(next), .. })) = self.end else { return false };
        self.position = next.0;
        self.end = None;
        true
    }

    /// The next batch, or `None` at the end; then [`BatchScan::end`] says why.
    ///
    /// Errors: the storage could not be read.
    #[inline]
    pub fn next_batch(&mut self) -> Result<Option<ScannedBatch<'_>>, StoreError> {
        if self.end.is_some() {
            return Ok(None);
        }
        let end = match self.step()? {
            Step::Batch { position, held } => return self.shown(position, held).map(Some),
            Step::End(end) => end,
            Step::None(error) => self.no_batch(error)?,
            Step::Broken(reason) => self.damage(reason, Some(self.header))?,
        };
        // What a map lost meanwhile reads as zeros, which must not pass for damage.
        self.window.still_whole()?;
        self.end = Some(end);
        Ok(None)
    }

    /// The next batch, or `None` where there is no intact one at the very position where the walk is: what comes behind
    /// is not looked for.
    #[inline]
    pub(super) fn next_before_damage(&mut self) -> Result<Option<ScannedBatch<'_>>, StoreError> {
        match self.step()? {
            Step::Batch { position, held } => self.shown(position, held).map(Some),
            Step::End(_) | Step::None(_) | Step::Broken(_) => Ok(None),
        }
    }

    /// Goes to the first intact batch that can belong to this log, from where the walk is and before `until`; `false` where
    /// there is none. It may be one inside a value.
    pub(super) fn go_to_intact(&mut self, until: u64) -> Result<bool, StoreError> {
        let range = self.position..until;
        let found = resync::first_intact_in(&mut self.window, range, &self.so_far, self.options.stop)?;
        self.position = found.unwrap_or(self.position);
        Ok(found.is_some())
    }

    /// Goes on behind the batch with this header, which begins where the walk is and was looked at elsewhere.
    #[inline]
    pub(super) fn pass(&mut self, header: &BatchHeader) {
        self.position = self.position.saturating_add(header.size_in_bytes());
        self.so_far.take(header);
    }

    /// As [`Window::mostly_until`].
    pub(super) fn mostly_until(&mut self, end: u64) {
        self.window.mostly_until(end);
    }

    /// As [`Window::still_whole`].
    pub(super) fn still_whole(&self) -> Result<(), StoreError> {
        self.window.still_whole()
    }

    #[inline]
    fn shown(&mut self, position: u64, held: Option<usize>) -> Result<ScannedBatch<'_>, StoreError> {
        let bytes = match held {
            Some(size) => self.window.at(position, size as u64)?.get(..size),
            None => None,
        };
        Ok(ScannedBatch { position: Position(position), header: &self.header, bytes })
    }

    #[inline]
    fn step(&mut self) -> Result<Step, StoreError> {
        if self.options.stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
            return Ok(Step::End(ScanEnd::Stopped));
        }
        let position = self.position;
        let left = self.length.saturating_sub(position);
        if left == 0 {
            return Ok(Step::End(ScanEnd::CleanEof));
        }
        let view = self.window.view(position, RECORD_BATCH_OVERHEAD as u64)?;
        match BatchHeader::read(view.bytes).and_then(|header| header.check().map(|()| header)) {
            Ok(header) => self.header = header,
            Err(error) => return Ok(Step::None(error)),
        }
        let header = &self.header;
        let size = header.size_in_bytes();
        if size > left {
            return Ok(Step::Broken(DamageReason::BeyondEnd { size_in_bytes: size, left }));
        }
        let held = self.options.bodies && size <= self.options.max_batch_bytes;
        // A batch that is to be shown whole is held before it is looked at, so that none is read twice.
        let view = if held { self.window.view(position, size)? } else { view };
        if self.options.verify == Verify::Checksum {
            let computed = match crc_in(&view, header) {
                Some(computed) => computed,
                None => streamed_crc(&mut self.window, position, header)?,
            };
            if computed != header.crc() {
                return Ok(Step::Broken(DamageReason::Checksum { stored: header.crc(), computed }));
            }
        }
        self.position = position + size;
        self.so_far.take(&self.header);
        Ok(Step::Batch { position, held: usize::try_from(size).ok().filter(|_| held) })
    }

    /// The end that a header which is none stands for.
    #[cold]
    fn no_batch(&mut self, error: FrameError) -> Result<ScanEnd, StoreError> {
        let rest = self.position..self.length;
        if self.window.is_zero(rest.clone())? {
            return Ok(ScanEnd::ZeroFill { position: Position(rest.start), length: rest.end - rest.start });
        }
        match error {
            FrameError::Short { .. } => {
                Ok(ScanEnd::TornTail { position: Position(rest.start), length: rest.end - rest.start })
            }
            _ => self.damage(DamageReason::Frame(error), None),
        }
    }

    #[cold]
    fn damage(&mut self, reason: DamageReason, header: Option<BatchHeader>) -> Result<ScanEnd, StoreError> {
        let (start, length) = (self.position, self.length);
        let next_intact =
            resync::next_intact(&mut self.window, start, header.as_ref(), &self.so_far, self.options.stop)?;
        if self.options.stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
            return Ok(ScanEnd::Stopped);
        }
        if next_intact.is_none() && matches!(reason, DamageReason::BeyondEnd { .. }) {
            return Ok(ScanEnd::TornTail { position: Position(start), length: length - start });
        }
        let end = next_intact.unwrap_or(length);
        let confirmed = header.filter(|header| start.saturating_add(header.size_in_bytes()) == end);
        Ok(ScanEnd::Damaged(Damage {
            position: Position(start),
            length: end - start,
            reason,
            header: confirmed,
            next_intact: next_intact.map(Position),
        }))
    }
}

/// What lies where the walk is.
enum Step {
    /// An intact batch. The size is that of one that is held.
    Batch {
        position: u64,
        held: Option<usize>,
    },
    /// Nothing that can be a batch.
    None(FrameError),
    /// A batch that is not intact.
    Broken(DamageReason),
    End(ScanEnd),
}

/// The header of the batch at `position`, if one begins there that `fits`, lies inside the file and holds its checksum.
pub(super) fn intact_header(
    window: &mut Window<'_>,
    position: u64,
    fits: impl FnOnce(&BatchHeader) -> bool,
) -> Result<Option<BatchHeader>, StoreError> {
    let Some(left) = window.storage().len().checked_sub(position) else { return Ok(None) };
    let Ok(header) = BatchHeader::read(window.at(position, RECORD_BATCH_OVERHEAD as u64)?) else { return Ok(None) };
    if header.check().is_err() || header.size_in_bytes() > left || !fits(&header) {
        return Ok(None);
    }
    Ok((streamed_crc(window, position, &header)? == header.crc()).then_some(header))
}

/// The checksum of the batch with this header that the view begins with; `None` where it ends behind the view.
#[inline]
pub(super) fn crc_in(view: &View<'_>, header: &BatchHeader) -> Option<u32> {
    match view.is_lent {
        true => header.computed_crc_fetching_ahead(view.bytes),
        false => header.computed_crc(view.bytes),
    }
}

/// The checksum of the batch at `position`, which must lie inside the file, without holding it.
pub(super) fn streamed_crc(window: &mut Window<'_>, position: u64, header: &BatchHeader) -> Result<u32, StoreError> {
    let mut checksum = header.checksum();
    let start = position + header.checksum_start() as u64;
    window.stream(start..position + header.size_in_bytes(), |piece| checksum.update(piece))?;
    Ok(checksum.value())
}

/// The shortest run of bytes that a magic can be read from.
pub(super) const LEAST_HEADER: u64 = HEADER_UP_TO_MAGIC as u64;
