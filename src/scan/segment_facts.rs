//! What one walk over a segment says about it: everything that is asked about segments once the bytes are gone.
//!
//! A value of bounded size, whatever the segment's. Facts of neighbouring stretches of one log can be joined, so that
//! several workers can walk over one segment; what looks across segments takes them in order.

use super::batch_scan::{Damage, ScanEnd, ScannedBatch};
use super::producer_facts::ProducerFacts;
use crate::format::{Offset, Position};

/// The most damaged stretches and changes of epoch that are told apart; more are counted.
const MOST_KEPT: usize = 1000;

/// Where a batch lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchPlace {
    /// Where it begins.
    pub position: Position,
    /// Its first offset; of a compressed message before magic 2 the last one.
    pub base_offset: Offset,
    /// Its last offset, inclusive.
    pub last_offset: Offset,
}

/// Batches one behind the other that carry one leader epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochRun {
    /// The epoch.
    pub epoch: i32,
    /// The first of these batches.
    pub first: BatchPlace,
    /// The batch before it in the segment: with it the run before has ended.
    pub before: Option<BatchPlace>,
}

/// What one walk over a segment says about it.
#[derive(Clone, Debug)]
pub struct SegmentFacts {
    /// The offset in its name.
    pub base_offset: Offset,
    /// The size of the `.log` file in bytes.
    pub size_in_bytes: u64,
    /// How many intact batches there are.
    pub batches: u64,
    /// How many records their headers count (a message before magic 2 is one).
    pub records: u64,
    /// The first intact batch.
    pub first: Option<BatchPlace>,
    /// The last intact batch, damage before it or not.
    pub last: Option<BatchPlace>,
    /// The largest last offset, inclusive: that of the last batch, unless offsets go backwards.
    pub max_last_offset: Option<Offset>,
    /// The largest timestamp, in milliseconds, with the last offset of the first batch that has it.
    pub max_timestamp: Option<(i64, Offset)>,
    /// Whether there are batches with records before magic 2.
    pub has_old_magic: bool,
    /// Whether a batch with a leader epoch comes behind all batches before magic 2, which make a broker forget epochs.
    pub ends_in_epoch: bool,
    /// Where the leader epoch changes, in order; at most a thousand of them.
    pub epochs: Vec<EpochRun>,
    /// How often offsets were left out between two batches.
    pub gaps: u64,
    /// The first time it happened: behind the one, before the other.
    pub first_gap: Option<(Offset, BatchPlace)>,
    /// Stretches without an intact batch that intact ones follow, or that reach the end; at most a thousand of them.
    pub damage: Vec<Damage>,
    /// How many more stretches there are.
    pub more_damage: u64,
    /// Where the first damage begins, else the end of the last batch: what a broker's recovery would keep at most.
    pub intact_end: Position,
    /// How the walk ended behind the last batch.
    pub end: ScanEnd,
    /// What it says about producers: one for each stretch between the offsets at which producer snapshots were taken.
    pub producers: Vec<ProducerFacts>,
}

impl SegmentFacts {
    /// The facts of a segment of which nothing was seen yet. `snapshots_inside`, in order, are the offsets of producer
    /// snapshots that lie behind its base offset, and may lie inside it.
    pub fn new(base_offset: Offset, size_in_bytes: u64, snapshots_inside: &[Offset]) -> Self {
        let ends = snapshots_inside.iter().map(|offset| Some(*offset)).chain([None]);
        Self {
            base_offset,
            size_in_bytes,
            batches: 0,
            records: 0,
            first: None,
            last: None,
            max_last_offset: None,
            max_timestamp: None,
            has_old_magic: false,
            ends_in_epoch: false,
            epochs: Vec::new(),
            gaps: 0,
            first_gap: None,
            damage: Vec::new(),
            more_damage: 0,
            intact_end: Position(0),
            end: ScanEnd::CleanEof,
            producers: ends.map(ProducerFacts::until).collect(),
        }
    }

    /// The offset behind the last batch (exclusive), or the base where there is none.
    pub fn next_offset(&self) -> Offset {
        self.last.map_or(self.base_offset, |last| Offset(last.last_offset.0.saturating_add(1)))
    }

    /// Whether every byte belongs to an intact batch.
    pub fn is_intact(&self) -> bool {
        self.damage.is_empty() && self.end == ScanEnd::CleanEof
    }

    /// Takes in the next intact batch.
    #[inline]
    pub fn take(&mut self, scanned: &ScannedBatch<'_>) {
        let header = &scanned.header;
        let last_offset = header.last_offset();
        let place = BatchPlace {
            position: scanned.position,
            base_offset: header.base_offset().unwrap_or(last_offset),
            last_offset,
        };
        self.batches += 1;
        self.records += header.records_count().map_or(1, |count| u64::try_from(count).unwrap_or(0));
        let expected = self.next_offset();
        if header.base_offset().is_some() && place.base_offset > expected {
            self.gaps += 1;
            self.first_gap.get_or_insert((expected, place));
        }
        if let Some(epoch) = header.partition_leader_epoch()
            && self.epochs.last().is_none_or(|run| run.epoch != epoch)
            && self.epochs.len() < MOST_KEPT
        {
            self.epochs.push(EpochRun { epoch, first: place, before: self.last });
        }
        self.has_old_magic |= header.as_record_batch().is_none();
        self.ends_in_epoch =
            header.partition_leader_epoch().is_some() || (self.ends_in_epoch && header.as_record_batch().is_some());
        self.first.get_or_insert(place);
        self.last = Some(place);
        self.max_last_offset = self.max_last_offset.max(Some(last_offset));
        if let Some(timestamp) = header.max_timestamp()
            && self.max_timestamp.is_none_or(|(largest, _)| timestamp > largest)
        {
            self.max_timestamp = Some((timestamp, last_offset));
        }
        if self.damage.is_empty() {
            self.intact_end = Position(scanned.position.0.saturating_add(header.size_in_bytes()));
        }
        self.take_producers(scanned);
    }

    /// Takes in why the walk ended, here or before going on behind damage.
    pub fn ended(&mut self, end: &ScanEnd) {
        self.end = *end;
        if let ScanEnd::Damaged(damage) = end {
            match self.damage.len() < MOST_KEPT {
                true => self.damage.push(*damage),
                false => self.more_damage += 1,
            }
            // What ends at or before the last batch is not affected.
            let next_offset = self.next_offset();
            let affected = |part: &&mut ProducerFacts| part.end_offset().is_none_or(|end| end > next_offset);
            self.producers.iter_mut().filter(affected).for_each(ProducerFacts::batches_are_missing);
        }
    }

    #[inline]
    fn take_producers(&mut self, scanned: &ScannedBatch<'_>) {
        if scanned.header.producer_id().is_none() {
            return;
        }
        let last_offset = scanned.header.last_offset();
        let part = self.producers.iter_mut().find(|part| part.end_offset().is_none_or(|end| last_offset < end));
        if let Some(part) = part {
            part.take(scanned);
        }
    }
}
