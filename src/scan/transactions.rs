//! How the transactions of a partition ended, and so which records a `read_committed` consumer gets.
//!
//! A broker tells its consumers by the `.txnindex` files, which may be wrong. Here the log itself decides: a transaction
//! of a producer begins with its first transactional data batch and ends with its next marker, of whatever epoch (the
//! marker's may be one above the data's: since transaction version 2 the epoch rises with each transaction).
//!
//! What is missing at the front (retention, `DeleteRecords`) does not matter: the marker that ends a transaction lies
//! behind its data, and one without data says nothing. Compaction keeps a marker as long as data of its transaction is
//! there. But damage may have swallowed a marker. Then the records that its producer had written before the damage,
//! in a transaction still open there, are [`Outcome::Unknown`] as soon as a later marker comes (it may end a
//! transaction begun inside the damage), and open without one. No record that may be void is ever called committed.
//!
//! A segment that is missing as a whole, or cut at the end of a batch, looks as if compaction had left a gap. Whoever
//! knows better says so by [`TransactionWalk::batches_are_missing`].
//!
//! Source: Kafka `ProducerAppendInfo`, `ProducerStateManager`, `LogSegment.collectAbortedTxns`, `CompletedFetch`.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;

use super::{BatchScan, LogSoFar, ScanEnd, ScanOptions, ScannedBatch};
use crate::format::Offset;
use crate::format::batch::BatchHeader;
use crate::format::compression::Decompressor;
use crate::format::control::ControlRecord;
use crate::store::{ReadStorage, StoreError};

/// A larger control batch is no transaction marker (they take 78 bytes), in bytes.
const MARKER_AT_MOST: usize = 64 << 10;

/// How the transaction ended that a record belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Its records count.
    Committed,
    /// Its records are void.
    Aborted,
    /// There is no marker yet.
    Open,
    /// It has ended, but the marker that says how cannot be read.
    Unknown,
}

/// What a `read_committed` consumer makes of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It gets the records.
    Delivered,
    /// It passes over them: their transaction was aborted.
    Aborted,
    /// It is not given the batch yet.
    BeyondLastStableOffset,
    /// Control records, which no consumer gets, wherever they are.
    Control,
    /// Not to be shown as committed: how the transaction ended is [`Outcome::Unknown`].
    Unknown,
}

/// The walk that finds out how the transactions of a partition ended: its segments are handed to it one by one.
///
/// Takes memory for each aborted transaction and each producer with an open one, not for records or batches.
#[derive(Debug)]
pub struct TransactionWalk<'s> {
    log_start_offset: Offset,
    high_watermark: Option<Offset>,
    stop: Option<&'s AtomicBool>,
    stopped: bool,
    /// Behind the last batch seen; `None` before the first segment.
    next_offset: Option<Offset>,
    latest_segment: Offset,
    open: HashMap<i64, OpenTransaction>,
    ended: Vec<Span>,
    /// Batches may be missing before the next one.
    missing: bool,
    uncertain: bool,
    decompressor: Decompressor,
}

/// A transaction without a marker so far.
#[derive(Clone, Copy, Debug)]
struct OpenTransaction {
    /// The smallest base offset of its batches.
    first_offset: Offset,
    /// Behind the largest last offset of its batches.
    end_offset: Offset,
    /// Records below this one may belong to an earlier transaction, whose marker is lost.
    unknown_below: Option<Offset>,
}

/// Offsets (`end` exclusive) whose transactional records of one producer are void, or unknown.
///
/// Sorted by producer, then offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Span {
    producer_id: i64,
    start: Offset,
    end: Offset,
    known_aborted: bool,
}

impl<'s> TransactionWalk<'s> {
    /// A walk that has not seen a segment yet.
    ///
    /// `high_watermark` (exclusive): batches that reach or pass it are taken for not written yet, as consumers do not
    /// see them. `None`: the log end, which is right for the only replica.
    pub fn new(log_start_offset: Offset, high_watermark: Option<Offset>, stop: Option<&'s AtomicBool>) -> Self {
        Self {
            log_start_offset,
            high_watermark,
            stop,
            stopped: false,
            next_offset: None,
            latest_segment: Offset(0),
            open: HashMap::new(),
            ended: Vec::new(),
            missing: false,
            uncertain: false,
            decompressor: Decompressor::new(MARKER_AT_MOST),
        }
    }

    /// Walks over the next segment. They must be given in order and up to the last one: whether a record counts is
    /// decided behind it. Every checksum is verified, as a header that cannot be believed decides nothing.
    ///
    /// Errors: the storage could not be read.
    pub fn segment(
        &mut self,
        log: &dyn ReadStorage,
        base_offset: Offset,
        next_base_offset: Option<Offset>,
    ) -> Result<(), StoreError> {
        self.latest_segment = base_offset;
        self.next_offset.get_or_insert(base_offset);
        let options =
            ScanOptions { bodies: true, max_batch_bytes: MARKER_AT_MOST as u64, stop: self.stop, ..Default::default() };
        let mut scan = BatchScan::new(log, LogSoFar::segment(base_offset, next_base_offset), options);
        loop {
            while let Some(scanned) = scan.next_batch()? {
                self.take(&scanned);
            }
            match scan.end() {
                Some(ScanEnd::TornTail { .. } | ScanEnd::ZeroFill { .. } | ScanEnd::Damaged(_)) => {
                    self.batches_are_missing();
                }
                Some(ScanEnd::Stopped) => self.stopped = true,
                Some(ScanEnd::CleanEof) | None => {}
            }
            if !scan.skip_damage() {
                return Ok(());
            }
        }
    }

    /// Says that batches are lost between what was walked over and what comes next. Walking over damage says so itself.
    ///
    /// Nothing is lost after all if the offsets go on without a gap, or if nothing follows: then the log ends here.
    pub fn batches_are_missing(&mut self) {
        self.missing = true;
    }

    /// What all segments together say. `None` where the walk was stopped: half a log decides nothing.
    pub fn finish(mut self) -> Option<TransactionOutcomes> {
        if self.stopped {
            return None;
        }
        // Where offsets go backwards, spans may overlap: a search must find one for each offset that any covers.
        self.ended.sort_unstable();
        self.ended.dedup_by(|later, earlier| {
            let overlap = later.producer_id == earlier.producer_id && later.start < earlier.end;
            if overlap {
                earlier.end = earlier.end.max(later.end);
                earlier.known_aborted &= later.known_aborted;
            }
            overlap
        });
        let log_end_offset = self.next_offset.unwrap_or(self.log_start_offset).max(self.latest_segment);
        let end_offset = self.high_watermark.unwrap_or(log_end_offset).min(log_end_offset);
        let open: HashMap<_, _> = self.open.iter().map(|(id, open)| (*id, open.first_offset)).collect();
        let first_unstable = open.values().min().copied().unwrap_or(end_offset);
        Some(TransactionOutcomes {
            last_stable_offset: first_unstable.min(end_offset).max(self.log_start_offset),
            open,
            ended: self.ended,
            uncertain: self.uncertain,
        })
    }

    fn take(&mut self, scanned: &ScannedBatch<'_>) {
        let header = &scanned.header;
        let last_offset = header.last_offset();
        if self.high_watermark.is_some_and(|high_watermark| last_offset >= high_watermark) {
            return;
        }
        let expected = self.next_offset.unwrap_or_default();
        // A base offset below the expected one is no proof that nothing is lost: the checksum does not cover it.
        let goes_on = header.base_offset() == Some(expected);
        self.uncertain |= header.base_offset().is_some_and(|base_offset| base_offset < expected);
        if std::mem::take(&mut self.missing) && !goes_on {
            self.uncertain = true;
            self.open.values_mut().for_each(|open| open.unknown_below = Some(expected.max(open.end_offset)));
        }
        let end_offset = Offset(last_offset.0.saturating_add(1));
        self.next_offset = Some(expected.max(end_offset));

        let (Some(base_offset), Some(producer_id)) = (header.base_offset(), transactional_producer(header)) else {
            return;
        };
        if header.is_control() {
            self.end_transaction(producer_id, base_offset, scanned);
        } else {
            let open = self.open.entry(producer_id).or_insert(OpenTransaction {
                first_offset: base_offset,
                end_offset,
                unknown_below: None,
            });
            open.first_offset = open.first_offset.min(base_offset);
            open.end_offset = open.end_offset.max(end_offset);
        }
    }

    fn end_transaction(&mut self, producer_id: i64, marker_offset: Offset, scanned: &ScannedBatch<'_>) {
        let Some(open) = self.open.get_mut(&producer_id) else { return };
        let Some(marker) = marker(scanned, &mut self.decompressor) else {
            // The cleaner empties a marker only when all batches of its transaction are gone. This one has some left.
            open.unknown_below = Some(marker_offset.max(open.end_offset));
            self.uncertain = true;
            return;
        };
        let OpenTransaction { first_offset, end_offset, unknown_below } = *open;
        self.open.remove(&producer_id);
        let known_from = unknown_below.unwrap_or(first_offset);
        let mut add = |start: Offset, end: Offset, known_aborted| {
            if start < end {
                self.ended.push(Span { producer_id, start, end, known_aborted });
            }
        };
        add(first_offset, known_from, false);
        if marker == Marker::Abort {
            // The marker lies behind its data, unless offsets go backwards.
            add(known_from, end_offset.max(marker_offset), true);
        }
    }
}

/// The producer whose transaction this batch is part of, or ends.
fn transactional_producer(header: &BatchHeader) -> Option<i64> {
    let in_transaction = header.is_transactional() || header.is_control();
    header.producer_id().filter(|producer_id| in_transaction && *producer_id >= 0)
}

#[derive(PartialEq, Eq)]
enum Marker {
    Abort,
    Commit,
}

/// What the first record of a control batch says. `None` where compaction has emptied the batch, or it is no marker.
fn marker(scanned: &ScannedBatch<'_>, decompressor: &mut Decompressor) -> Option<Marker> {
    let record = scanned.batch()?.records(decompressor).ok()?.next()?.ok()?;
    match ControlRecord::parse(record.key, record.value).ok()? {
        ControlRecord::Abort { .. } => Some(Marker::Abort),
        ControlRecord::Commit { .. } => Some(Marker::Commit),
        _ => None,
    }
}

/// How the transactions of a partition ended.
#[derive(Clone, Debug)]
pub struct TransactionOutcomes {
    last_stable_offset: Offset,
    /// First offset of the open transaction of a producer.
    open: HashMap<i64, Offset>,
    /// Sorted, without overlaps.
    ended: Vec<Span>,
    uncertain: bool,
}

impl TransactionOutcomes {
    /// How the transaction ended that the *transactional* record of `producer_id` at `offset` belongs to.
    pub fn outcome(&self, producer_id: i64, offset: Offset) -> Outcome {
        let behind = self.ended.partition_point(|span| (span.producer_id, span.start) <= (producer_id, offset));
        let span = behind.checked_sub(1).and_then(|at| self.ended.get(at));
        match span.filter(|span| span.producer_id == producer_id && offset < span.end) {
            Some(Span { known_aborted: true, .. }) => Outcome::Aborted,
            Some(_) => Outcome::Unknown,
            None if self.open.get(&producer_id).is_some_and(|first_offset| *first_offset <= offset) => Outcome::Open,
            None => Outcome::Committed,
        }
    }

    /// The first offset that a `read_committed` consumer does not get (exclusive end): that of the oldest open
    /// transaction, else the high watermark, where one was given, or the log end. Never below the log start.
    ///
    /// A transaction whose marker lies at or above the high watermark counts as open. A broker forgets such
    /// transactions in a restart and may then say more, up to the high watermark.
    pub fn last_stable_offset(&self) -> Offset {
        self.last_stable_offset
    }

    /// What a `read_committed` consumer makes of the batch with this header.
    pub fn verdict(&self, header: &BatchHeader) -> Verdict {
        if header.is_control() {
            return Verdict::Control;
        }
        if header.last_offset() >= self.last_stable_offset {
            return Verdict::BeyondLastStableOffset;
        }
        let (Some(base_offset), Some(producer_id)) = (header.base_offset(), transactional_producer(header)) else {
            return Verdict::Delivered;
        };
        match self.outcome(producer_id, base_offset) {
            Outcome::Committed => Verdict::Delivered,
            Outcome::Aborted => Verdict::Aborted,
            Outcome::Open => Verdict::BeyondLastStableOffset,
            Outcome::Unknown => Verdict::Unknown,
        }
    }

    /// Whether something that decides could not be read: damage has swallowed batches, a transaction's marker makes no
    /// sense, or offsets go backwards. Some outcomes are unknown then, or open although the transaction has ended, so that the last stable
    /// offset may be too low; it is too high where a transaction's beginning was swallowed and its end not yet written.
    pub fn is_uncertain(&self) -> bool {
        self.uncertain
    }
}

#[cfg(test)]
mod tests;
