//! The indexes of one segment as they come out of its log, taken from its batches one after the other.

use std::collections::HashSet;
use std::sync::atomic::AtomicBool;

use super::producers::{KnownProducers, Start};
use crate::check::segment::LARGEST_CONTROL_BATCH;
use crate::format::compression::Decompressor;
use crate::format::txn_index::{self, AbortedTxn, TxnIndex};
use crate::format::{Offset, Position};
use crate::scan::ScannedBatch;
use crate::scan::producer_state::{ProducerError, end_marker};
use crate::scan::recover::{Escape, IndexWriter, KafkaRelease, RecoverOptions, fits};
use crate::store::StoreError;

/// Why indexes end before the last batch of their log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// What follows is damaged.
    Damage,
    /// The batch there cannot be told by an index.
    Batch(Escape),
    /// The control batch there is no transaction marker: recovery keeps it, and cuts off what follows.
    Marker(ProducerError),
}

/// Why the aborted transactions of a segment cannot be told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TxnTrouble {
    /// A batch does not go with what is known of its producer: a broker does not start with it.
    #[error(transparent)]
    Producer(#[from] ProducerError),
    /// Two aborted transactions whose markers do not follow each other.
    #[error("the transaction aborted at offset {offset} is to follow that aborted at {last}")]
    NotRising {
        /// Offset of the marker before.
        last: Offset,
        /// Offset of the marker that is not above it.
        offset: Offset,
    },
    /// A control batch that is too large to be looked at.
    #[error("the control batch at position {position} has more than {LARGEST_CONTROL_BATCH} bytes")]
    TooLarge {
        /// Where it begins.
        position: Position,
    },
}

/// The indexes of one segment, as far as its log was shown.
///
/// Source: Kafka `LogSegment.recover`.
#[derive(Debug)]
pub(super) struct Derived<'s> {
    base_offset: Offset,
    /// Offset and time index.
    pub indexes: IndexWriter,
    /// The aborted transactions; `None` where nobody wants to know.
    pub txns: Option<DerivedTxns<'s>>,
    /// Where the indexes end, if not behind the last batch: the position, the first offset that is not in them, and why.
    pub stop: Option<(Position, Offset, Stop)>,
    next_offset: Offset,
    end: Position,
}

/// The aborted transactions of one segment.
#[derive(Debug)]
pub(super) struct DerivedTxns<'s> {
    /// Tells what is known of the producers at the base offset.
    pub start: Start,
    /// What is known of the producers, so far; `None` until a batch of one is met.
    pub known: Option<Result<KnownProducers, StoreError>>,
    /// In the order of their markers.
    pub aborted: Vec<AbortedTxn>,
    /// Offset and producer of each marker that aborts, whether a transaction was open or not.
    pub markers: HashSet<(Offset, i64)>,
    /// Why there may be others.
    pub trouble: Option<TxnTrouble>,
    decompressor: Decompressor,
    interrupt: Option<&'s AtomicBool>,
}

impl<'s> Derived<'s> {
    /// Nothing shown yet. `start` tells what is known of the producers at the base offset, where transactions are
    /// wanted; `interrupt` ends the search for it.
    pub(super) fn new(options: &RecoverOptions, start: Option<Start>, interrupt: Option<&'s AtomicBool>) -> Self {
        Self {
            base_offset: options.base_offset,
            indexes: IndexWriter::new(options).leaving_out(),
            txns: start.map(|start| DerivedTxns {
                start,
                known: None,
                aborted: Vec::new(),
                markers: HashSet::new(),
                trouble: None,
                decompressor: Decompressor::default(),
                interrupt,
            }),
            stop: None,
            next_offset: options.base_offset,
            end: Position(0),
        }
    }

    /// Takes in the next batch. Behind damage nothing is taken in any more.
    #[inline]
    pub(super) fn batch(&mut self, scanned: &ScannedBatch<'_>, is_behind_damage: bool) {
        if self.stop.is_none() {
            if is_behind_damage {
                self.stop(Stop::Damage);
            } else if let Err(stop) = self.take(scanned) {
                self.stop(stop);
            }
        }
    }

    #[inline]
    fn take(&mut self, scanned: &ScannedBatch<'_>) -> Result<(), Stop> {
        let header = &scanned.header;
        let last_offset = header.last_offset();
        if !fits(self.base_offset, last_offset) {
            let (base_offset, offset) = (self.base_offset, last_offset);
            return Err(Stop::Batch(Escape::OffsetOverflow { base_offset, offset }));
        }
        self.indexes.batch(scanned.position.0, header).map_err(Stop::Batch)?;
        self.next_offset = Offset(last_offset.0.saturating_add(1));
        self.end = Position(scanned.position.0.saturating_add(header.size_in_bytes()));
        match &mut self.txns {
            Some(txns) if txns.trouble.is_none() => txns.take(scanned),
            _ => Ok(()),
        }
    }

    fn stop(&mut self, why: Stop) {
        self.stop = Some((self.end, self.next_offset, why));
    }

    /// Ends the indexes: behind the last batch shown, or before damage that reaches to the end of the log.
    pub(super) fn finish(&mut self, log_is_whole: bool) {
        if self.stop.is_none() && !log_is_whole {
            self.stop(Stop::Damage);
        }
        if let Err(escape) = self.indexes.close()
            && self.stop.is_none()
        {
            self.stop(Stop::Batch(escape));
        }
    }
}

impl DerivedTxns<'_> {
    fn take(&mut self, scanned: &ScannedBatch<'_>) -> Result<(), Stop> {
        let Some(header) = scanned.header.as_record_batch() else { return Ok(()) };
        if header.producer_id < 0 {
            return Ok(());
        }
        let (offset, producer_id) = (Offset(header.base_offset), header.producer_id);
        let known = self.known.get_or_insert_with(|| self.start.resolve(self.interrupt));
        let Ok(known) = known else { return Ok(()) };
        let (decompressor, markers) = (&mut self.decompressor, &mut self.markers);
        let applied = known.state.apply(header, || {
            let batch = scanned.batch().ok_or(TxnTrouble::TooLarge { position: scanned.position })?;
            let marker = end_marker(&batch, decompressor)?;
            if marker.is_some_and(|marker| marker.aborts) {
                markers.insert((offset, producer_id));
            }
            Ok(marker)
        });
        match applied {
            Ok(None) => {}
            Ok(Some(aborted)) => match self.aborted.last().filter(|last| last.last_offset >= aborted.last_offset) {
                Some(last) => {
                    let (last, offset) = (last.last_offset, aborted.last_offset);
                    self.trouble = Some(TxnTrouble::NotRising { last, offset });
                }
                None => self.aborted.push(aborted),
            },
            Err(TxnTrouble::Producer(error)) if error.ends_recovery(KafkaRelease::default()) => {
                return Err(Stop::Marker(error));
            }
            Err(trouble) => self.trouble = Some(trouble),
        }
        Ok(())
    }
}

/// The bytes of a transaction index with these entries.
pub(super) fn txn_index_bytes(entries: &[AbortedTxn]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(entries.len().saturating_mul(txn_index::ENTRY_SIZE));
    entries.iter().for_each(|entry| entry.write(&mut bytes));
    bytes
}

/// From where and up to where the log tells all about transactions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// Transactions that began before it may not be known.
    pub from: Offset,
    /// Markers from here on were not looked at (exclusive end); `None` for the end of the log.
    pub to: Option<Offset>,
}

impl Known {
    fn ended_behind(self, entry: &AbortedTxn) -> bool {
        self.to.is_some_and(|to| entry.last_offset >= to)
    }
}

impl DerivedTxns<'_> {
    /// The entries that there are to be: those of recovery, and of the ones that are there those about which the log, as
    /// far as it was followed, says nothing.
    pub(super) fn with_kept(&self, there: &[u8], known: Known) -> Vec<AbortedTxn> {
        let has_marker = |entry: &AbortedTxn| self.markers.contains(&(entry.last_offset, entry.producer_id));
        let is_kept = |entry: &AbortedTxn| {
            entry.version == txn_index::VERSION
                && entry.first_offset <= entry.last_offset
                && (known.ended_behind(entry) || entry.first_offset < known.from && has_marker(entry))
        };
        let kept = TxnIndex::new(there).iter().filter(is_kept);
        // Of two about one marker the one that begins earlier comes first, and stays.
        let mut entries: Vec<AbortedTxn> = kept.chain(self.aborted.iter().copied()).collect();
        entries.sort_by_key(|entry| (entry.last_offset, entry.first_offset));
        entries.dedup_by_key(|entry| entry.last_offset);
        // What was kept was open when the ones before it ended, and the log did not tell.
        let mut first_of_later = Offset(i64::MAX);
        for entry in entries.iter_mut().rev() {
            if first_of_later <= entry.last_offset {
                entry.last_stable_offset = entry.last_stable_offset.min(first_of_later);
            }
            first_of_later = first_of_later.min(entry.first_offset);
        }
        entries
    }
}
