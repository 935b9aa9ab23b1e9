//! What a stretch of a log says about its producers and their transactions, without knowing what came before.
//!
//! Facts of one stretch and of the next make those of both by [`ProducerFacts::join`]: whoever starts with the first
//! stretch of a log and joins the others in order ends with the state of its producers, and sees on the way what is
//! wrong with each. What was open before a stretch began, and so what its first markers ended, is filled in there.
//!
//! Memory: for each producer its latest batch and marker, one entry for each aborted transaction, and a few samples of
//! each thing that is wrong; all of them limited.
//!
//! Source: Kafka `ProducerAppendInfo`, `ProducerStateManager`.

mod join;

use std::collections::{BTreeSet, HashMap};

use super::batch_scan::ScannedBatch;
use super::segment_facts::BatchPlace;
use crate::format::Offset;
use crate::format::batch::{RecordBatchHeader, increment_sequence};
use crate::format::compression::Decompressor;
use crate::format::control::{ControlError, ControlRecord, name_of};
use crate::format::record::RecordError;

/// The most producers that are told apart.
const MOST_PRODUCERS: usize = 1 << 17;
/// The most aborted transactions that are kept.
const MOST_ABORTS: usize = 1 << 18;
/// The most samples that are kept of one thing that is wrong; more are counted.
const MOST_SAMPLES: usize = 64;
/// A larger control batch is no transaction marker (they take 78 bytes), in bytes.
pub(super) const LARGEST_MARKER: usize = 64 << 10;

/// What a stretch of a log says about its producers.
#[derive(Clone, Debug, Default)]
#[cfg_attr(test, derive(PartialEq))]
pub struct ProducerFacts {
    end_offset: Option<Offset>,
    /// How often batches were lost so far. What happened under different numbers may have had more in between.
    losses: u32,
    producers: Producers,
    /// First offset and producer of each open transaction.
    open: BTreeSet<(Offset, i64)>,
    aborts: Vec<AbortedTransaction>,
    waiting: Waiting,
    /// The first batch of transactional data, and the first of another producer.
    first_transactional: [Option<(i64, Offset)>; 2],
    is_complete: Complete,
    samples: Samples,
}

/// What is wrong with the batches of producers: the first of each kind.
#[derive(Clone, Debug, Default)]
#[cfg_attr(test, derive(PartialEq))]
pub struct Samples {
    /// Control batches that are no transaction marker, or no proper one.
    pub bad_markers: Few<BadMarker>,
    /// Batches that do not go on where the producer's previous one ended.
    pub sequence_steps: Few<SequenceStep>,
    /// Non-transactional data of a producer inside its open transaction.
    pub plain_inside: Few<PlainInside>,
}

/// The first of many.
#[derive(Clone, Debug)]
#[cfg_attr(test, derive(PartialEq))]
pub struct Few<T> {
    /// Those that are kept, in order.
    pub kept: Vec<T>,
    /// How many more there were.
    pub more: u64,
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self { kept: Vec::new(), more: 0 }
    }
}

impl<T> Few<T> {
    fn push(&mut self, one: T) {
        if self.kept.len() < MOST_SAMPLES {
            self.kept.push(one);
        } else {
            self.more += 1;
        }
    }

    fn append(&mut self, other: Self) {
        other.kept.into_iter().for_each(|one| self.push(one));
        self.more += other.more;
    }
}

/// Whether everything found room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Complete {
    producers: bool,
    aborts: bool,
}

impl Default for Complete {
    fn default() -> Self {
        Self { producers: true, aborts: true }
    }
}

/// A batch of data of a producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataBatch {
    /// Where it lies.
    pub place: BatchPlace,
    /// The epoch of the producer.
    pub producer_epoch: i16,
    /// The sequence number of its first record; −1 where it has none.
    pub base_sequence: i32,
    /// The sequence number of its last record; −1 where it has none.
    pub last_sequence: i32,
    /// Whether it is part of a transaction.
    pub is_transactional: bool,
    loss_number: u32,
}

/// The latest transaction marker of a producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LatestMarker {
    /// The base offset of its batch.
    pub offset: Offset,
    /// The epoch of the coordinator that wrote it.
    pub coordinator_epoch: i32,
    /// Whether it ended a transaction with data; `None` where that lies before the stretch.
    pub ended_a_transaction: Option<bool>,
}

/// The latest batch of a producer that changed its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LatestEvent {
    /// Its last offset.
    pub offset: Offset,
    /// The epoch of the producer in it.
    pub producer_epoch: i16,
    /// Its largest timestamp in milliseconds, as stored.
    pub timestamp: i64,
    /// Whether it is as it was written: the cleaner has taken no records out of it.
    pub is_whole: bool,
    loss_number: u32,
}

/// The transaction of a producer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Neither transactional data nor a marker.
    #[default]
    Unseen,
    Open(OpenTransaction),
    Closed,
}

impl State {
    fn open(self) -> Option<OpenTransaction> {
        match self {
            Self::Open(open) => Some(open),
            Self::Unseen | Self::Closed => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OpenTransaction {
    /// The base offset of its first batch of data.
    first_offset: Offset,
    /// The last offset of its latest batch of data.
    last_data_offset: Offset,
    /// Whether none was open before that batch: unknown at the beginning of a stretch.
    begins_here: bool,
    /// How often batches had been lost before its first batch.
    begin_loss_number: u32,
    /// How often before its latest one.
    latest_loss_number: u32,
}

/// What is known of one producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Producer {
    /// Its id.
    pub producer_id: i64,
    first_data: Option<DataBatch>,
    /// Its latest data.
    pub last_data: Option<DataBatch>,
    /// Its latest marker.
    pub last_marker: Option<LatestMarker>,
    /// Its latest data or marker.
    pub last_event: Option<LatestEvent>,
    /// The offset of its latest control batch that the cleaner has emptied.
    pub emptied_marker: Option<Offset>,
    /// How many transactions had been aborted before its first control batch.
    first_control: Option<usize>,
    /// Its first non-transactional data, if that came first.
    first_plain: Option<(BatchPlace, u32)>,
    state: State,
}

/// An abort marker, and the transaction that it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTransaction {
    /// The producer.
    pub producer_id: i64,
    /// The base offset of the first batch of data that is there; `None` where there is none.
    pub first_offset: Option<Offset>,
    /// The last offset of its last data, where there is any.
    pub last_data_offset: Option<Offset>,
    /// The base offset of the marker's batch.
    pub last_offset: Offset,
    /// Whether no batch was lost between the two.
    pub is_sure: bool,
    /// Where the oldest transaction of other producers that was open at the marker begins.
    pub oldest_open: Option<Offset>,
    /// Whether no batch was lost between that one and the marker.
    pub is_oldest_open_sure: bool,
    /// The base offset of the next transactional data of another producer behind the marker.
    pub next_transactional: Option<Offset>,
    /// Whether an earlier control batch of the producer is there: then the transaction does not begin before it.
    pub begins_here: bool,
    loss_number: u32,
}

/// A control batch that is no transaction marker, or no proper one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadMarker {
    /// Where it lies.
    pub place: BatchPlace,
    /// Its size in bytes.
    pub size_in_bytes: u64,
    /// The producer.
    pub producer_id: i64,
    /// What is wrong with it.
    pub fault: MarkerFault,
}

/// What is wrong with a transaction marker.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MarkerFault {
    /// The batch is far larger than a marker.
    #[error("it takes {0} bytes, far more than a marker")]
    TooLarge(u64),
    /// The batch cannot be decoded.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Its record is no control record.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// It is a control record of another type.
    #[error("it is a control record of type {}", name_of(*.0))]
    OtherType(i16),
    /// It is a marker and not marked as transactional.
    #[error("it is not marked as transactional")]
    NotTransactional,
    /// More than one record.
    #[error("it has {0} records instead of one")]
    SeveralRecords(i32),
}

impl MarkerFault {
    /// Whether a broker that reads it is in no trouble: it looks at the first record only.
    pub fn is_harmless(&self) -> bool {
        matches!(self, Self::NotTransactional | Self::SeveralRecords(_))
    }
}

/// A batch that does not go on where the producer's previous one ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequenceStep {
    /// The producer.
    pub producer_id: i64,
    /// The batch before.
    pub before: DataBatch,
    /// The batch.
    pub batch: DataBatch,
}

impl SequenceStep {
    /// The sequence number that should be next: 0 after the largest.
    pub fn expected_sequence(&self) -> i32 {
        increment_sequence(self.before.last_sequence, 1)
    }

    /// How many sequence numbers are left out; `None` where they go backwards.
    pub fn left_out(&self) -> Option<i32> {
        // Numbers go round in a circle of 2³¹: the shorter way is the direction.
        let ahead = self.batch.base_sequence.wrapping_sub(self.expected_sequence()) & i32::MAX;
        (ahead < 1 << 30).then_some(ahead)
    }

    fn between(producer_id: i64, before: &DataBatch, batch: &DataBatch) -> Option<Self> {
        let step = Self { producer_id, before: *before, batch: *batch };
        let comparable = before.producer_epoch == batch.producer_epoch
            && before.loss_number == batch.loss_number
            && before.base_sequence >= 0
            && batch.base_sequence >= 0;
        (comparable && step.left_out() != Some(0)).then_some(step)
    }
}

/// Non-transactional data of a producer inside its open transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlainInside {
    /// The producer.
    pub producer_id: i64,
    /// Where the open transaction begins.
    pub first_offset: Offset,
    /// The batch.
    pub place: BatchPlace,
}

impl Producer {
    fn new(producer_id: i64) -> Self {
        Self {
            producer_id,
            first_data: None,
            last_data: None,
            last_marker: None,
            last_event: None,
            emptied_marker: None,
            first_control: None,
            first_plain: None,
            state: State::Unseen,
        }
    }

    /// The data whose sequence numbers a broker remembers: the latest, unless the epoch has changed since.
    pub fn remembered_data(&self) -> Option<&DataBatch> {
        let epoch = self.last_event?.producer_epoch;
        self.last_data.as_ref().filter(|data| data.producer_epoch == epoch)
    }

    /// Where its open transaction begins, by the batches that are there.
    pub fn open_transaction(&self) -> Option<Offset> {
        self.state.open().map(|open| open.first_offset)
    }

    /// The last offset of the latest data of its open transaction.
    pub fn last_open_data(&self) -> Option<Offset> {
        self.state.open().map(|open| open.last_data_offset)
    }

    /// Whether an earlier control batch is there than its open transaction: then that does not begin before it.
    pub fn begins_here(&self) -> bool {
        self.state.open().is_some_and(|open| open.begins_here)
    }

    /// Whether its latest transaction has ended.
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }
}

/// Producers by id. Batches of one producer often come one behind the other: the latest is at hand.
#[derive(Clone, Debug, Default)]
struct Producers {
    slots: HashMap<i64, usize>,
    all: Vec<Producer>,
    latest: usize,
}

#[cfg(test)]
impl PartialEq for Producers {
    fn eq(&self, other: &Self) -> bool {
        self.all == other.all
    }
}

impl Producers {
    #[inline]
    fn get(&self, producer_id: i64) -> Option<&Producer> {
        self.slots.get(&producer_id).and_then(|slot| self.all.get(*slot))
    }

    /// The producer with this id, new where it was not known; `None` where there is no room for it.
    #[inline]
    fn entry(&mut self, producer_id: i64) -> Option<&mut Producer> {
        if self.all.get(self.latest).is_none_or(|latest| latest.producer_id != producer_id) {
            self.latest = match self.slots.get(&producer_id) {
                Some(slot) => *slot,
                None if self.all.len() >= MOST_PRODUCERS => return None,
                None => {
                    self.slots.insert(producer_id, self.all.len());
                    self.all.push(Producer::new(producer_id));
                    self.all.len() - 1
                }
            };
        }
        self.all.get_mut(self.latest)
    }
}

/// Aborted transactions, by index, behind which no other producer has written transactional data yet.
#[derive(Clone, Debug, Default)]
#[cfg_attr(test, derive(PartialEq))]
struct Waiting {
    /// Those of the one producer that has written any since.
    of_writer: Vec<usize>,
    /// Those behind which there is none at all.
    recent: Vec<usize>,
}

impl Waiting {
    /// Takes in a batch of transactional data. Each abort changes its list once at most, however many there are.
    #[inline]
    fn transactional(&mut self, producer_id: i64, offset: Offset, aborts: &mut [AbortedTransaction]) {
        let writer = self.of_writer.first().and_then(|slot| aborts.get(*slot)).map(|abort| abort.producer_id);
        if self.recent.is_empty() && writer.is_none_or(|writer| writer == producer_id) {
            return;
        }
        let old = if writer == Some(producer_id) { Vec::new() } else { std::mem::take(&mut self.of_writer) };
        for slot in old.into_iter().chain(std::mem::take(&mut self.recent)) {
            match aborts.get_mut(slot) {
                Some(abort) if abort.producer_id != producer_id => abort.next_transactional = Some(offset),
                _ => self.of_writer.push(slot),
            }
        }
    }
}

impl ProducerFacts {
    /// Of a stretch that ends before `end_offset` (exclusive), or with the segment.
    pub fn until(end_offset: Option<Offset>) -> Self {
        Self { end_offset, ..Self::default() }
    }

    /// Where the stretch ends (exclusive); `None` where it ends with the segment.
    pub fn end_offset(&self) -> Option<Offset> {
        self.end_offset
    }

    /// What is known of a producer.
    pub fn producer(&self, producer_id: i64) -> Option<&Producer> {
        self.producers.get(producer_id)
    }

    /// All producers, in the order in which they came.
    pub fn producers(&self) -> impl Iterator<Item = &Producer> {
        self.producers.all.iter()
    }

    /// Whether all producers found room; if not, nothing is certain about any.
    pub fn is_complete(&self) -> bool {
        self.is_complete.producers
    }

    /// Whether no batch has been lost since what was last known of a producer.
    pub fn is_up_to_date(&self, producer: &Producer) -> bool {
        producer.last_event.is_some_and(|event| event.loss_number == self.losses)
    }

    /// Whether no batch has been lost since the open transaction of a producer began.
    pub fn is_open_for_sure(&self, producer: &Producer) -> bool {
        producer.state.open().is_some_and(|open| open.begin_loss_number == self.losses)
    }

    /// Takes out the transactions aborted so far, in log order, and whether these are all. What others are joined to may
    /// be emptied like this; it must not be joined to others afterwards.
    pub fn take_aborts(&mut self) -> (Vec<AbortedTransaction>, bool) {
        self.waiting = Waiting::default();
        let all = std::mem::replace(&mut self.is_complete.aborts, true) && self.is_complete.producers;
        (std::mem::take(&mut self.aborts), all)
    }

    /// Takes out what was found wrong so far.
    pub fn take_samples(&mut self) -> Samples {
        std::mem::take(&mut self.samples)
    }

    /// Says that batches are lost before the next one.
    pub fn batches_are_missing(&mut self) {
        self.losses = self.losses.saturating_add(1);
    }

    /// Takes in the next batch of a producer.
    pub fn take(&mut self, scanned: &ScannedBatch<'_>) {
        let Some(header) = scanned.header.as_record_batch().filter(|header| header.producer_id >= 0) else { return };
        let last_offset = scanned.header.last_offset();
        let place = BatchPlace { position: scanned.position, base_offset: Offset(header.base_offset), last_offset };
        if scanned.header.is_control() {
            self.take_control(scanned, header, place);
        } else {
            self.take_data(header, place, scanned.header.is_transactional());
        }
    }

    fn take_data(&mut self, header: &RecordBatchHeader, place: BatchPlace, is_transactional: bool) {
        let (producer_id, losses) = (header.producer_id, self.losses);
        let Some(producer) = self.producers.entry(producer_id) else {
            self.is_complete.producers = false;
            return;
        };
        let last_sequence = match header.base_sequence {
            -1 => -1,
            base_sequence => increment_sequence(base_sequence, header.last_offset_delta),
        };
        let batch = DataBatch {
            place,
            producer_epoch: header.producer_epoch,
            base_sequence: header.base_sequence,
            last_sequence,
            is_transactional,
            loss_number: losses,
        };
        let before = producer.last_data.replace(batch);
        if let Some(step) = before.and_then(|before| SequenceStep::between(producer_id, &before, &batch)) {
            self.samples.sequence_steps.push(step);
        }
        producer.first_data.get_or_insert(batch);
        producer.last_event = Some(LatestEvent {
            offset: place.last_offset,
            producer_epoch: header.producer_epoch,
            timestamp: header.max_timestamp,
            is_whole: header.last_offset_delta.checked_add(1) == Some(header.records_count),
            loss_number: losses,
        });
        match (&mut producer.state, is_transactional) {
            (State::Open(open), true) => {
                open.last_data_offset = place.last_offset;
                open.latest_loss_number = losses;
            }
            (state, true) => {
                *state = State::Open(OpenTransaction {
                    first_offset: place.base_offset,
                    last_data_offset: place.last_offset,
                    begins_here: *state == State::Closed,
                    begin_loss_number: losses,
                    latest_loss_number: losses,
                });
                self.open.insert((place.base_offset, producer_id));
            }
            (State::Open(open), false) if open.latest_loss_number == losses => {
                let first_offset = open.first_offset;
                self.samples.plain_inside.push(PlainInside { producer_id, first_offset, place });
            }
            (State::Unseen, false) => _ = producer.first_plain.get_or_insert((place, losses)),
            (State::Open(_) | State::Closed, false) => {}
        }
        if is_transactional {
            self.transactional(producer_id, place.base_offset);
        }
    }

    #[inline]
    fn transactional(&mut self, producer_id: i64, base_offset: Offset) {
        self.waiting.transactional(producer_id, base_offset, &mut self.aborts);
        match &mut self.first_transactional {
            [first @ None, _] => *first = Some((producer_id, base_offset)),
            [Some((first, _)), second @ None] if *first != producer_id => *second = Some((producer_id, base_offset)),
            _ => {}
        }
    }

    fn take_control(&mut self, scanned: &ScannedBatch<'_>, header: &RecordBatchHeader, place: BatchPlace) {
        let producer_id = header.producer_id;
        // The cleaner empties a marker only when all data of its transaction is gone: it says that nothing is open.
        let marker = if header.records_count == 0 { Ok(None) } else { marker(scanned).map(Some) };
        let fault = match &marker {
            Err(fault) => Some(fault.clone()),
            Ok(Some(_)) if !scanned.header.is_transactional() => Some(MarkerFault::NotTransactional),
            Ok(Some(_)) if header.records_count > 1 => Some(MarkerFault::SeveralRecords(header.records_count)),
            Ok(_) => None,
        };
        if let Some(fault) = fault {
            let size_in_bytes = scanned.header.size_in_bytes();
            self.samples.bad_markers.push(BadMarker { place, size_in_bytes, producer_id, fault });
        }
        let Ok(marker) = marker else { return self.batches_are_missing() };

        let aborts_before = self.aborts.len();
        let Some(producer) = self.producers.entry(producer_id) else {
            self.is_complete.producers = false;
            return;
        };
        let state = std::mem::replace(&mut producer.state, State::Closed);
        producer.first_control.get_or_insert(aborts_before);
        let Some(marker) = marker else {
            producer.emptied_marker = Some(place.base_offset);
            self.close(producer_id, state);
            return;
        };
        let ended_a_transaction = match state {
            State::Unseen => None,
            State::Open(_) => Some(true),
            State::Closed => Some(false),
        };
        producer.last_marker = Some(LatestMarker {
            offset: place.base_offset,
            coordinator_epoch: marker.coordinator_epoch,
            ended_a_transaction,
        });
        producer.last_event = Some(LatestEvent {
            offset: place.last_offset,
            producer_epoch: header.producer_epoch,
            timestamp: marker.timestamp,
            is_whole: true,
            loss_number: self.losses,
        });
        self.close(producer_id, state);
        if marker.is_abort {
            self.abort(producer_id, place.base_offset, state);
        }
    }

    fn close(&mut self, producer_id: i64, state: State) {
        if let State::Open(open) = state {
            self.open.remove(&(open.first_offset, producer_id));
        }
    }

    fn abort(&mut self, producer_id: i64, last_offset: Offset, state: State) {
        if self.aborts.len() >= MOST_ABORTS {
            self.is_complete.aborts = false;
            return;
        }
        let (open, begins_here) = match state {
            State::Unseen => (None, false),
            State::Open(open) => (Some(open), open.begins_here),
            State::Closed => (None, true),
        };
        let oldest = self.open.first();
        let is_oldest_open_sure =
            oldest.and_then(|(_, other)| self.producers.get(*other)).is_none_or(|other| self.is_open_for_sure(other));
        self.waiting.recent.push(self.aborts.len());
        self.aborts.push(AbortedTransaction {
            producer_id,
            first_offset: open.map(|open| open.first_offset),
            last_data_offset: open.map(|open| open.last_data_offset),
            last_offset,
            is_sure: open.is_none_or(|open| open.begin_loss_number == self.losses),
            oldest_open: oldest.map(|(first_offset, _)| *first_offset),
            is_oldest_open_sure,
            next_transactional: None,
            begins_here,
            loss_number: self.losses,
        });
    }
}

/// What a transaction marker says.
struct Marker {
    is_abort: bool,
    coordinator_epoch: i32,
    timestamp: i64,
}

/// What the first record of a control batch says.
fn marker(scanned: &ScannedBatch<'_>) -> Result<Marker, MarkerFault> {
    let size_in_bytes = scanned.header.size_in_bytes();
    let batch = scanned.batch().filter(|_| size_in_bytes <= LARGEST_MARKER as u64);
    let batch = batch.ok_or(MarkerFault::TooLarge(size_in_bytes))?;
    // Nobody compresses markers: the decompressor takes no memory.
    let mut decompressor = Decompressor::new(LARGEST_MARKER);
    let record = batch.records(&mut decompressor)?.next().ok_or(ControlError::NullKey)??;
    let timestamp = record.timestamp.unwrap_or(-1);
    match ControlRecord::parse(record.key, record.value)? {
        ControlRecord::Abort { coordinator_epoch, .. } => Ok(Marker { is_abort: true, coordinator_epoch, timestamp }),
        ControlRecord::Commit { coordinator_epoch, .. } => Ok(Marker { is_abort: false, coordinator_epoch, timestamp }),
        other => Err(MarkerFault::OtherType(other.control_type())),
    }
}

#[cfg(test)]
mod tests;
