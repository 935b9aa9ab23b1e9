//! What a broker knows of the producers of a partition, and how every batch of the log changes that.
//!
//! This is Kafka's own replay, with its blind spots: sequence numbers are not checked, and an epoch that goes backwards
//! is taken as it comes. What a broker dies of when it replays a log is a [`ProducerError`].
//!
//! Source: Kafka `ProducerStateManager`, `ProducerAppendInfo`, `ProducerStateEntry`, `EndTransactionMarker`.

use std::collections::{BTreeMap, HashMap};

use super::recover::KafkaRelease;
use crate::format::Offset;
use crate::format::batch::{RecordBatch, RecordBatchHeader};
use crate::format::compression::Decompressor;
use crate::format::control::{self, ControlError, ControlKey, ControlRecord};
use crate::format::producer_snapshot::{ProducerEntry, ProducerSnapshot};
use crate::format::record::RecordError;
use crate::format::txn_index::{AbortedTxn, VERSION};

/// How long a producer without open transaction is remembered, in milliseconds, unless `producer.id.expiration.ms` says
/// otherwise.
pub const DEFAULT_EXPIRATION_MS: i64 = 86_400_000;

/// Why a batch cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProducerError {
    /// A batch outside any transaction, of a producer whose transaction is open.
    #[error("producer {producer_id} writes outside its transaction, which is open since offset {first_offset}")]
    NotInTransaction {
        /// The producer.
        producer_id: i64,
        /// Where its open transaction begins.
        first_offset: Offset,
    },
    /// The records of a control batch cannot be read.
    #[error("the records of a control batch cannot be read: {0}")]
    Records(#[from] RecordError),
    /// The first record of a control batch is no transaction marker.
    #[error("no transaction marker: {0}")]
    Marker(#[from] ControlError),
    /// The first record of a control batch is of a type that ends no transaction.
    #[error("a control record of type {} does not end a transaction", control::name_of(*control_type))]
    NotAMarker {
        /// The type number.
        control_type: i16,
    },
    /// A marker ends a transaction that no batch is known to have begun.
    #[error("the transaction of producer {producer_id} from offset {first_offset} on ends without having begun")]
    NotBegun {
        /// The producer.
        producer_id: i64,
        /// Where the transaction would have begun.
        first_offset: Offset,
    },
}

impl ProducerError {
    /// The exception that a broker has for it, by the short name of its class.
    pub fn exception(&self, release: KafkaRelease) -> &'static str {
        match self {
            Self::NotInTransaction { .. } => "InvalidTxnStateException",
            Self::Records(RecordError::Decompress(_)) => "KafkaException",
            Self::Records(RecordError::UnknownCompression { .. }) => "IllegalArgumentException",
            Self::Records(_) => "InvalidRecordException",
            Self::Marker(ControlError::NullKey | ControlError::NullValue { .. }) => "NullPointerException",
            Self::Marker(ControlError::EndMarkerTooShort { .. }) if release.marker_underflows() => {
                "BufferUnderflowException"
            }
            Self::Marker(_) => "InvalidRecordException",
            Self::NotAMarker { .. } | Self::NotBegun { .. } => "IllegalArgumentException",
        }
    }

    /// Whether recovery takes it for the end of what can be read, and not for the end of the broker.
    pub fn ends_recovery(&self, release: KafkaRelease) -> bool {
        self.exception(release) == "InvalidRecordException"
    }
}

/// A transaction marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndMarker {
    /// Whether the records of the transaction are void.
    pub aborts: bool,
    /// The epoch of the transaction coordinator.
    pub coordinator_epoch: i32,
    /// The record's timestamp in milliseconds, −1 for none.
    pub timestamp: i64,
}

/// The marker in a control batch, `None` where compaction has left none in it.
///
/// Errors: the first record cannot be read, or is no marker.
pub fn end_marker(
    batch: &RecordBatch<'_>,
    decompressor: &mut Decompressor,
) -> Result<Option<EndMarker>, ProducerError> {
    let is_compressed = batch.header().compression() != Ok(crate::format::compression::Compression::None);
    let is_empty = batch.header().records_count() == Some(0);
    if is_empty {
        return Ok(None);
    }
    let mut records = batch.records(decompressor)?;
    let Some(first) = records.next().transpose()? else { return Ok(None) };
    // Kafka decodes all of a compressed batch, and notices what is left behind the last record when it has read that.
    if is_compressed {
        records.find_map(Result::err).map_or(Ok(()), Err)?;
    } else if let Some(Err(error @ RecordError::TrailingBytes { .. })) = records.next() {
        return Err(error.into());
    }
    let control_type = ControlKey::parse(first.key)?.control_type;
    if control_type != control::ABORT && control_type != control::COMMIT {
        return Err(ProducerError::NotAMarker { control_type });
    }
    let timestamp = first.timestamp.unwrap_or(-1);
    Ok(match ControlRecord::parse_value(control_type, first.value)? {
        ControlRecord::Abort { coordinator_epoch, .. } => {
            Some(EndMarker { aborts: true, coordinator_epoch, timestamp })
        }
        ControlRecord::Commit { coordinator_epoch, .. } => {
            Some(EndMarker { aborts: false, coordinator_epoch, timestamp })
        }
        _ => return Err(ProducerError::NotAMarker { control_type }),
    })
}

/// A transaction that a marker has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompletedTxn {
    /// Whose transaction it was.
    pub producer_id: i64,
    /// The base offset of its first data batch.
    pub first_offset: Offset,
    /// The base offset of the marker's batch.
    pub last_offset: Offset,
    /// Whether its records are void.
    pub is_aborted: bool,
}

/// What batches of one producer add to what is known of it: prepared apart, then taken over.
///
/// Source: Kafka `ProducerAppendInfo`.
#[derive(Clone, Debug)]
pub struct ProducerAppend {
    entry: ProducerEntry,
    started: Vec<Offset>,
}

impl ProducerAppend {
    /// Whose batches they are.
    pub fn producer_id(&self) -> i64 {
        self.entry.producer_id
    }

    /// Takes a batch of records.
    ///
    /// Errors: [`ProducerError::NotInTransaction`].
    pub fn data(&mut self, header: &RecordBatchHeader) -> Result<(), ProducerError> {
        self.meet_epoch(header.producer_epoch);
        let last_offset = header.base_offset.wrapping_add(i64::from(header.last_offset_delta));
        self.entry.last_sequence = header.last_sequence().unwrap_or(-1);
        self.entry.last_offset = last_offset;
        self.entry.offset_delta = header.last_offset_delta;
        self.entry.timestamp = header.max_timestamp;
        let is_transactional = header.attributes & 0x10 != 0;
        match (self.entry.current_txn_first_offset(), is_transactional) {
            (Some(first_offset), false) => {
                return Err(ProducerError::NotInTransaction { producer_id: self.entry.producer_id, first_offset });
            }
            (None, true) => {
                self.entry.current_txn_first_offset = header.base_offset;
                self.started.push(Offset(header.base_offset));
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes a marker in a batch with this header; the transaction that it ends, if one was open.
    pub fn marker(&mut self, header: &RecordBatchHeader, marker: EndMarker) -> Option<CompletedTxn> {
        let completed = self.entry.current_txn_first_offset().map(|first_offset| CompletedTxn {
            producer_id: self.entry.producer_id,
            first_offset,
            last_offset: Offset(header.base_offset),
            is_aborted: marker.aborts,
        });
        self.meet_epoch(header.producer_epoch);
        self.entry.coordinator_epoch = marker.coordinator_epoch;
        self.entry.timestamp = marker.timestamp;
        self.entry.current_txn_first_offset = -1;
        completed
    }

    fn meet_epoch(&mut self, producer_epoch: i16) {
        if self.entry.producer_epoch != producer_epoch {
            self.entry = without_batch(ProducerEntry { producer_epoch, ..self.entry });
        }
    }
}

/// What is known of a producer whose batches are forgotten.
fn without_batch(entry: ProducerEntry) -> ProducerEntry {
    ProducerEntry { last_sequence: -1, last_offset: -1, offset_delta: 0, ..entry }
}

/// All producers of a partition at one offset.
#[derive(Clone, Debug, Default)]
pub struct ProducerState {
    producers: HashMap<i64, Known>,
    /// Open transactions by their first offset.
    ongoing: BTreeMap<Offset, i64>,
    /// Behind the last batch that was applied.
    end_offset: Offset,
    order: JavaHashOrder,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    entry: ProducerEntry,
    /// How many producers were known before this one.
    age: u64,
}

impl ProducerState {
    /// No producers, at `end_offset`.
    pub fn empty(end_offset: Offset) -> Self {
        Self { end_offset, ..Self::default() }
    }

    /// Behind the last batch that was applied.
    pub fn end_offset(&self) -> Offset {
        self.end_offset
    }

    /// Says that everything below `end_offset` has been applied.
    pub fn set_end_offset(&mut self, end_offset: Offset) {
        self.end_offset = end_offset;
    }

    /// Whether no producer is known.
    pub fn is_empty(&self) -> bool {
        self.producers.is_empty()
    }

    /// Forgets all producers and transactions.
    pub fn clear(&mut self) {
        self.producers.clear();
        self.ongoing.clear();
    }

    /// Where the first transaction begins that is still open.
    pub fn first_undecided_offset(&self) -> Option<Offset> {
        self.ongoing.first_key_value().map(|(offset, _)| *offset)
    }

    /// The producers in the order in which Kafka writes them into a snapshot.
    ///
    /// Buckets of more than eight producers, which Java may turn into trees, are not imitated.
    pub fn entries(&self) -> Vec<ProducerEntry> {
        let mut known: Vec<&Known> = self.producers.values().collect();
        known.sort_unstable_by_key(|known| (self.order.bucket(known.entry.producer_id), known.age));
        known.into_iter().map(|known| known.entry).collect()
    }

    /// Takes the producers of a snapshot, but for those without open transaction that have not written for
    /// `expiration_ms` milliseconds at time `now_ms`.
    pub fn load(&mut self, snapshot: &ProducerSnapshot<'_>, now_ms: i64, expiration_ms: i64) {
        for stored in snapshot.iter() {
            let mut entry = stored;
            if stored.last_offset < 0 {
                entry = without_batch(entry);
            }
            if stored.current_txn_first_offset < 0 {
                entry.current_txn_first_offset = -1;
                if now_ms.wrapping_sub(stored.timestamp) >= expiration_ms {
                    continue;
                }
            }
            self.insert(entry);
            if let Some(first_offset) = entry.current_txn_first_offset() {
                self.ongoing.insert(first_offset, entry.producer_id);
            }
        }
    }

    /// A place to apply batches of a producer to.
    pub fn prepare(&self, producer_id: i64) -> ProducerAppend {
        let unknown = ProducerEntry {
            producer_id,
            producer_epoch: -1,
            last_sequence: -1,
            last_offset: -1,
            offset_delta: 0,
            timestamp: -1,
            coordinator_epoch: -1,
            current_txn_first_offset: -1,
        };
        let entry = self.producers.get(&producer_id).map_or(unknown, |known| without_batch(known.entry));
        ProducerAppend { entry, started: Vec::new() }
    }

    /// Takes over what was prepared.
    pub fn update(&mut self, append: &ProducerAppend) {
        let mut entry = append.entry;
        if let Some(known) = self.producers.get(&entry.producer_id)
            && known.entry.producer_epoch == entry.producer_epoch
            && !has_batch(&entry)
        {
            let ProducerEntry { last_sequence, last_offset, offset_delta, .. } = known.entry;
            entry = ProducerEntry { last_sequence, last_offset, offset_delta, ..entry };
        }
        self.insert(entry);
        for first_offset in &append.started {
            self.ongoing.insert(*first_offset, entry.producer_id);
        }
    }

    /// Where the first transaction of another producer begins that is still open when `completed` ends; else the offset
    /// behind the marker.
    pub fn last_stable_offset(&self, completed: &CompletedTxn) -> Offset {
        let other = self.ongoing.iter().find(|(_, producer_id)| **producer_id != completed.producer_id);
        other.map_or(Offset(completed.last_offset.0.wrapping_add(1)), |(first_offset, _)| *first_offset)
    }

    /// Closes a transaction.
    ///
    /// Errors: [`ProducerError::NotBegun`].
    pub fn complete(&mut self, completed: &CompletedTxn) -> Result<(), ProducerError> {
        let &CompletedTxn { producer_id, first_offset, .. } = completed;
        self.ongoing.remove(&first_offset).map(|_| ()).ok_or(ProducerError::NotBegun { producer_id, first_offset })
    }

    /// Applies one batch by itself, as recovery does; the entry for the transaction index, where it aborts a transaction.
    ///
    /// `batch` is asked for only if it holds a marker.
    ///
    /// Errors: [`ProducerError`], and those of `batch`. Then nothing has changed.
    pub fn apply<E: From<ProducerError>>(
        &mut self,
        header: &RecordBatchHeader,
        marker: impl FnOnce() -> Result<Option<EndMarker>, E>,
    ) -> Result<Option<AbortedTxn>, E> {
        let mut aborted = None;
        if header.producer_id >= 0 {
            let mut append = self.prepare(header.producer_id);
            let completed = if header.attributes & 0x20 == 0 {
                append.data(header)?;
                None
            } else {
                marker()?.and_then(|marker| append.marker(header, marker))
            };
            self.update(&append);
            if let Some(completed) = completed {
                aborted = completed.is_aborted.then(|| AbortedTxn {
                    version: VERSION,
                    producer_id: completed.producer_id,
                    first_offset: completed.first_offset,
                    last_offset: completed.last_offset,
                    last_stable_offset: self.last_stable_offset(&completed),
                });
                self.complete(&completed)?;
            }
        }
        let last_offset = header.base_offset.wrapping_add(i64::from(header.last_offset_delta));
        self.end_offset = Offset(last_offset.wrapping_add(1));
        Ok(aborted)
    }

    fn insert(&mut self, entry: ProducerEntry) {
        let age = self.producers.len() as u64;
        match self.producers.get_mut(&entry.producer_id) {
            Some(known) => known.entry = entry,
            None => {
                self.producers.insert(entry.producer_id, Known { entry, age });
                self.order.grow_for(self.producers.len());
            }
        }
    }
}

fn has_batch(entry: &ProducerEntry) -> bool {
    (entry.last_sequence, entry.last_offset, entry.offset_delta) != (-1, -1, 0)
}

/// Brings what was put into a `java.util.HashMap` in this order, under the producers' ids, into the order in which that
/// hands it out.
pub(super) fn in_hash_order<T>(items: &mut [T], producer_id: impl Fn(&T) -> i64) {
    let mut order = JavaHashOrder::default();
    order.grow_for(items.len());
    items.sort_by_key(|item| order.bucket(producer_id(item)));
}

/// In which order a `java.util.HashMap` with numbers as keys hands them out.
#[derive(Clone, Copy, Debug)]
struct JavaHashOrder {
    buckets: u32,
}

impl Default for JavaHashOrder {
    fn default() -> Self {
        Self { buckets: 16 }
    }
}

impl JavaHashOrder {
    fn grow_for(&mut self, size: usize) {
        while size as u64 * 4 > u64::from(self.buckets) * 3 && self.buckets < 1 << 30 {
            self.buckets *= 2;
        }
    }

    fn bucket(self, key: i64) -> u32 {
        let hash = (key as u64 ^ (key as u64 >> 32)) as u32;
        (hash ^ (hash >> 16)) & (self.buckets - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As OpenJDK 17 hands the same keys out of a `HashMap`, put in in this order.
    #[test]
    fn keys_of_one_bucket_keep_their_order_and_buckets_grow_with_the_number_of_keys() {
        let mut few = [32, 1, 16, 0];
        in_hash_order(&mut few, |id| *id);
        assert_eq!(few, [32, 16, 0, 1]);
        let mut many: Vec<i64> = [16].into_iter().chain(0..12).collect();
        in_hash_order(&mut many, |id| *id);
        assert_eq!(many, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 16]);
    }
}
