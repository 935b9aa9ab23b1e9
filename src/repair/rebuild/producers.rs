//! What is known of the producers at the base offset of a segment.

use std::sync::atomic::AtomicBool;

use super::derive::DerivedTxns;
use crate::check::segment::LARGEST_CONTROL_BATCH;
use crate::format::Offset;
use crate::format::compression::Decompressor;
use crate::format::file_name::{FileKind, FileState};
use crate::format::producer_snapshot::ProducerSnapshot;
use crate::scan::producer_state::{ProducerError, ProducerState, end_marker};
use crate::scan::{BatchScan, LogSoFar, ScanEnd, ScanOptions};
use crate::store::partition::{PartitionDir, SegmentFiles};
use crate::store::{NamedFile, ReadPolicy, StoreError, open, read_small};

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

/// The producers of a partition, followed from segment to segment.
#[derive(Debug)]
pub(super) struct ProducersOf<'a> {
    /// By offset.
    snapshots: Vec<(Offset, &'a NamedFile)>,
    segments: Vec<SegmentFiles<'a>>,
    policy: ReadPolicy,
    stop: Option<&'a AtomicBool>,
    /// What the segment before has left, and its base offset.
    carried: Option<(Offset, KnownProducers)>,
}

impl<'a> ProducersOf<'a> {
    /// Of the partition `dir`.
    pub(super) fn new(dir: &'a PartitionDir, policy: ReadPolicy, stop: Option<&'a AtomicBool>) -> Self {
        let is_snapshot =
            |file: &&NamedFile| file.name.kind == FileKind::ProducerSnapshot && file.name.state == FileState::Live;
        let snapshots = dir.files.iter().filter(is_snapshot);
        let snapshots = snapshots.filter_map(|file| Some((file.name.base_offset?, file))).collect();
        Self { snapshots, segments: dir.segments(), policy, stop, carried: None }
    }

    /// At the base offset of a segment: of the newest snapshot that can be read, and through the log from there on.
    ///
    /// Errors: a log could not be read.
    pub(super) fn at(&mut self, base_offset: Offset) -> Result<KnownProducers, StoreError> {
        let snapshot = self.newest_snapshot(base_offset);
        let carried = self.carried.take();
        if let Some((of, carried)) = carried
            && snapshot.as_ref().is_none_or(|(offset, _)| *offset <= of)
        {
            return Ok(carried);
        }
        let (from, mut known) = match snapshot {
            Some((offset, known)) if offset == base_offset => return Ok(known),
            Some((offset, known)) => (offset, known),
            None => {
                let first = self.segments.first().map_or(base_offset, |segment| segment.base_offset);
                (first, KnownProducers::none_known(first))
            }
        };
        for (at, segment) in self.segments.iter().enumerate() {
            let next = self.segments.get(at + 1).map(|next| next.base_offset);
            if segment.base_offset < base_offset && next.is_some_and(|next| next > from) {
                self.replay(segment, next, from, &mut known)?;
            }
        }
        Ok(known)
    }

    /// Takes over what the walk over the segment at `base_offset` has left; nothing where it came to no good end.
    pub(super) fn carry(
        &mut self,
        base_offset: Offset,
        left: Option<DerivedTxns>,
        came_to_the_end: bool,
        known_from: Offset,
    ) {
        let Some(left) = left else { return };
        let state = (came_to_the_end && left.trouble.is_none()).then_some(left.producers);
        self.carried = state.map(|state| (base_offset, KnownProducers { state, known_from }));
    }

    fn newest_snapshot(&self, offset: Offset) -> Option<(Offset, KnownProducers)> {
        let not_behind = self.snapshots.iter().rev().filter(|(of, _)| *of <= offset);
        not_behind.into_iter().find_map(|(of, file)| {
            let bytes = read_small(&file.path(), LARGEST_SNAPSHOT).ok()?;
            let snapshot = ProducerSnapshot::parse(&bytes).ok()?;
            let mut state = ProducerState::empty(*of);
            state.load(&snapshot, 0, i64::MAX);
            Some((*of, KnownProducers { state, known_from: Offset(i64::MIN) }))
        })
    }

    /// Applies the batches of a segment from `from` on.
    fn replay(
        &self,
        segment: &SegmentFiles<'_>,
        next_base_offset: Option<Offset>,
        from: Offset,
        known: &mut KnownProducers,
    ) -> Result<(), StoreError> {
        let Some(log) = segment.log else { return Ok(()) };
        let storage = open(&log.path(), self.policy)?;
        let options = ScanOptions {
            bodies: true,
            max_batch_bytes: LARGEST_CONTROL_BATCH,
            stop: self.stop,
            ..ScanOptions::default()
        };
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
