//! What is known of the producers at the base offset of a segment.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, TryRecvError};

use super::segment::Partition;
use crate::check::segment::LARGEST_CONTROL_BATCH;
use crate::format::Offset;
use crate::format::compression::Decompressor;
use crate::format::producer_snapshot::ProducerSnapshot;
use crate::scan::producer_state::{ProducerError, ProducerState, end_marker};
use crate::scan::{BatchScan, LogSoFar, ScanEnd, ScanOptions};
use crate::store::partition::SegmentFiles;
use crate::store::{StoreError, open, read_small};

/// The largest snapshot that is read, in bytes: more producers than a broker remembers.
const LARGEST_SNAPSHOT: u64 = 256 << 20;

/// Producers at an offset, and from which offset on all transactions are known.
#[derive(Clone, Debug)]
pub(super) struct KnownProducers {
    /// The producers. All that are in a snapshot: the time at which a broker would start does not matter.
    pub state: ProducerState,
    /// Transactions that began before it may not be known.
    pub known_from: Offset,
}

impl KnownProducers {
    fn none_known(offset: Offset) -> Self {
        // What begins at the very first offset has nothing before it.
        let known_from = if offset <= Offset(0) { Offset(i64::MIN) } else { offset };
        Self { state: ProducerState::empty(offset), known_from }
    }
}

/// What is known of the producers at the base offset of a segment, not asked for yet: where no batch of a producer is
/// met, nobody needs to know, and nobody waits for the segment before.
#[derive(Debug)]
pub(super) struct Start {
    partition: Arc<Partition>,
    base_offset: Offset,
    /// The base offset of the segment looked at before, and where what its walk has left will come from.
    before: Option<(Offset, Receiver<Carried>)>,
}

/// What the walk over a segment leaves for the next. None is sent where it came to no good end.
#[derive(Debug)]
pub(super) enum Carried {
    /// What it knows at its end.
    Known(KnownProducers),
    /// It has met no producer: what is known is what was known here.
    AsAt(Box<Start>),
}

impl Start {
    /// Of the segment at `base_offset`.
    pub(super) fn new(
        partition: Arc<Partition>,
        base_offset: Offset,
        before: Option<(Offset, Receiver<Carried>)>,
    ) -> Self {
        Self { partition, base_offset, before }
    }

    /// The producers: of the newest snapshot that can be read, and through the log from there on. What the segment
    /// before has left is waited for, unless a snapshot was taken since it began.
    ///
    /// Errors: a log could not be read.
    pub(super) fn resolve(&mut self, stop: Option<&AtomicBool>) -> Result<KnownProducers, StoreError> {
        loop {
            let snapshot = self.partition.newest_snapshot(self.base_offset);
            let left = self.waits_for(&snapshot).and_then(|before| before.recv().ok());
            match left {
                Some(Carried::Known(known)) => return Ok(known),
                Some(Carried::AsAt(start)) => *self = *start,
                None => return self.partition.replayed(self.base_offset, snapshot, stop),
            }
        }
    }

    /// The same to be handed on, without those before it that have answered already: so no chain of them grows.
    pub(super) fn settled(mut self) -> Carried {
        loop {
            let snapshot = self.partition.newest_snapshot(self.base_offset);
            let of = self.before.as_ref().map(|(of, _)| *of);
            let left = self.waits_for(&snapshot).map(|before| (before.try_recv(), before));
            match left {
                Some((Ok(Carried::Known(known)), _)) => return Carried::Known(known),
                Some((Ok(Carried::AsAt(start)), _)) => self = *start,
                Some((Err(TryRecvError::Empty), before)) => {
                    self.before = of.map(|of| (of, before));
                    return Carried::AsAt(Box::new(self));
                }
                Some((Err(TryRecvError::Disconnected), _)) | None => return Carried::AsAt(Box::new(self)),
            }
        }
    }

    /// The segment before, if it knows more than the snapshot.
    fn waits_for(&mut self, snapshot: &Option<Snapshot>) -> Option<Receiver<Carried>> {
        let (of, before) = self.before.take()?;
        snapshot.as_ref().is_none_or(|(offset, _)| *offset <= of).then_some(before)
    }
}

/// What a snapshot says, and at which offset.
type Snapshot = (Offset, KnownProducers);

impl Partition {
    fn newest_snapshot(&self, offset: Offset) -> Option<Snapshot> {
        let not_behind = self.snapshots.iter().rev().filter(|(of, _)| *of <= offset);
        not_behind.into_iter().find_map(|(of, path)| {
            let bytes = read_small(path, LARGEST_SNAPSHOT).ok()?;
            let snapshot = ProducerSnapshot::parse(&bytes).ok()?;
            let mut state = ProducerState::empty(*of);
            state.load(&snapshot, 0, i64::MAX);
            Some((*of, KnownProducers { state, known_from: Offset(i64::MIN) }))
        })
    }

    /// What is known at `base_offset` by the log behind the snapshot, or by all of it where there is none.
    fn replayed(
        &self,
        base_offset: Offset,
        snapshot: Option<Snapshot>,
        stop: Option<&AtomicBool>,
    ) -> Result<KnownProducers, StoreError> {
        let segments = self.dir.segments();
        let (from, mut known) = match snapshot {
            Some((offset, known)) if offset == base_offset => return Ok(known),
            Some((offset, known)) => (offset, known),
            None => {
                let first = segments.first().map_or(base_offset, |segment| segment.base_offset);
                (first, KnownProducers::none_known(first))
            }
        };
        for (at, segment) in segments.iter().enumerate() {
            let next = segments.get(at + 1).map(|next| next.base_offset);
            if segment.base_offset < base_offset && next.is_some_and(|next| next > from) {
                self.replay(segment, next, from, &mut known, stop)?;
            }
        }
        Ok(known)
    }

    /// Applies the batches of a segment from `from` on.
    fn replay(
        &self,
        segment: &SegmentFiles<'_>,
        next_base_offset: Option<Offset>,
        from: Offset,
        known: &mut KnownProducers,
        stop: Option<&AtomicBool>,
    ) -> Result<(), StoreError> {
        let Some(log) = segment.log else { return Ok(()) };
        let storage = open(&log.path(), self.setting.policy)?;
        let options =
            ScanOptions { bodies: true, max_batch_bytes: LARGEST_CONTROL_BATCH, stop, ..ScanOptions::default() };
        let so_far = LogSoFar::segment(segment.base_offset, next_base_offset);
        let mut scan = BatchScan::new(storage.as_ref(), so_far, options);
        let mut decompressor = Decompressor::default();
        let mut is_behind_damage = false;
        loop {
            while let Some(scanned) = scan.next_batch()? {
                let next_offset = Offset(scanned.header.last_offset().0.saturating_add(1));
                let Some(header) = scanned.header.as_record_batch().filter(|_| next_offset > from) else { continue };
                if std::mem::take(&mut is_behind_damage) {
                    *known = KnownProducers::none_known(Offset(header.base_offset));
                }
                let marker = || match scanned.batch() {
                    Some(batch) => end_marker(&batch, &mut decompressor),
                    None => Ok(None),
                };
                if known.state.apply::<ProducerError>(header, marker).is_err() {
                    *known = KnownProducers::none_known(next_offset);
                }
            }
            if matches!(scan.end(), Some(ScanEnd::CleanEof | ScanEnd::Stopped) | None) {
                return Ok(());
            }
            // Markers may be lost: transactions that seem open may long have ended.
            is_behind_damage = true;
            if !scan.skip_damage() {
                *known = KnownProducers::none_known(next_base_offset.unwrap_or(known.state.end_offset()));
                return Ok(());
            }
        }
    }
}
