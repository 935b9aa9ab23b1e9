use proptest::prelude::*;

use super::*;
use crate::format::Position;
use crate::format::batch::{RecordBatchBuilder, write_batch};
use crate::format::compression::Compression;
use crate::format::control::ControlKey;
use crate::format::record::RecordFields;
use crate::store::mem::MemoryStorage;
use Verdict::*;

const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;
const COMMIT: ControlRecord<'_> = ControlRecord::Commit { version: 0, coordinator_epoch: 0 };
const ABORT: ControlRecord<'_> = ControlRecord::Abort { version: 0, coordinator_epoch: 0 };

/// A log that grows batch by batch, as a leader would append them.
struct Log {
    segments: Vec<(Offset, Vec<u8>)>,
    next_offset: i64,
    epoch: i16,
}

impl Log {
    fn new() -> Self {
        Self { segments: vec![(Offset(0), Vec::new())], next_offset: 0, epoch: 0 }
    }

    fn append(&mut self, producer_id: i64, attributes: i16, records: &[RecordFields<'_>]) -> &mut Self {
        let mut header = RecordBatchBuilder::plain_header(Offset(self.next_offset), 1000);
        (header.producer_id, header.producer_epoch, header.attributes) = (producer_id, self.epoch, attributes);
        let out = &mut self.segments.last_mut().unwrap().1;
        if records.is_empty() {
            write_batch(header, b"", out);
        } else {
            let mut builder = RecordBatchBuilder::new(header, Compression::None);
            records.iter().for_each(|record| _ = builder.push(record));
            builder.write(out).unwrap();
        }
        self.next_offset += records.len().max(1) as i64;
        self
    }

    fn two_records(&mut self, producer_id: i64, attributes: i16) -> &mut Self {
        let record = RecordFields { value: Some(b"value"), ..RecordFields::default() };
        self.append(producer_id, attributes, &[record, RecordFields { offset_delta: 1, ..record }])
    }

    /// Two records of a transaction.
    fn data(&mut self, producer_id: i64) -> &mut Self {
        self.two_records(producer_id, TRANSACTIONAL)
    }

    /// Two records outside of any transaction.
    fn plain(&mut self) -> &mut Self {
        self.two_records(-1, 0)
    }

    fn marker(&mut self, producer_id: i64, record: ControlRecord<'_>) -> &mut Self {
        let (mut key, mut value) = (Vec::new(), Vec::new());
        ControlKey { version: 0, control_type: record.control_type() }.write(&mut key);
        record.write_value(&mut value);
        let fields = RecordFields { key: Some(&key), value: Some(&value), ..RecordFields::default() };
        self.append(producer_id, TRANSACTIONAL | CONTROL, &[fields])
    }

    fn emptied_marker(&mut self, producer_id: i64) -> &mut Self {
        self.append(producer_id, TRANSACTIONAL | CONTROL, &[])
    }

    fn roll(&mut self) -> &mut Self {
        self.segments.push((Offset(self.next_offset), Vec::new()));
        self
    }

    /// Flips a bit in the last byte so far: the latest batch is damaged.
    fn damage(&mut self) -> &mut Self {
        *self.segments.last_mut().unwrap().1.last_mut().unwrap() ^= 1;
        self
    }

    /// The end of the active segment in bytes.
    fn position(&self) -> Position {
        Position(self.segments.last().unwrap().1.len() as u64)
    }

    fn outcomes(&self) -> TransactionOutcomes {
        self.outcomes_between(0, None)
    }

    fn outcomes_between(&self, log_start_offset: i64, high_watermark: Option<i64>) -> TransactionOutcomes {
        let mut walk = TransactionWalk::new(Offset(log_start_offset), high_watermark.map(Offset), None);
        for (i, (base_offset, bytes)) in self.segments.iter().enumerate() {
            let next = self.segments.get(i + 1).map(|(base_offset, _)| *base_offset);
            walk.segment(&MemoryStorage::new("log", bytes.clone()), *base_offset, next).unwrap();
        }
        walk.finish().unwrap()
    }

    /// Segment, position and header of each intact batch.
    fn batches(&self) -> Vec<(usize, Position, BatchHeader)> {
        let mut batches = Vec::new();
        for (i, (base_offset, bytes)) in self.segments.iter().enumerate() {
            let storage = MemoryStorage::new("log", bytes.clone());
            let next = self.segments.get(i + 1).map(|(base_offset, _)| *base_offset);
            let so_far = LogSoFar::segment(*base_offset, next);
            let mut scan = BatchScan::new(&storage, so_far, ScanOptions::default());
            loop {
                while let Some(batch) = scan.next_batch().unwrap() {
                    batches.push((i, batch.position, *batch.header));
                }
                if !scan.skip_damage() {
                    break;
                }
            }
        }
        batches
    }

    /// The verdict on each intact data batch, the last stable offset, and whether anything is uncertain.
    fn verdicts(&self) -> (Vec<(i64, Verdict)>, i64, bool) {
        self.verdicts_by(&self.outcomes())
    }

    fn verdicts_by(&self, outcomes: &TransactionOutcomes) -> (Vec<(i64, Verdict)>, i64, bool) {
        let verdicts =
            self.batches().into_iter().map(|(.., header)| (header.last_offset().0 - 1, outcomes.verdict(&header)));
        let verdicts = verdicts.filter(|(_, verdict)| *verdict != Control).collect();
        (verdicts, outcomes.last_stable_offset().0, outcomes.is_uncertain())
    }
}

#[test]
fn interleaved_transactions_end_each_by_its_own_marker() {
    let mut log = Log::new();
    log.data(1).data(2).plain().data(1).marker(1, ABORT).data(2).data(1).marker(2, COMMIT).marker(1, COMMIT);
    let verdicts = [(0, Aborted), (2, Delivered), (4, Delivered), (6, Aborted), (9, Delivered), (11, Delivered)];
    assert_eq!(log.verdicts(), (verdicts.to_vec(), 15, false));
    let outcomes = log.outcomes();
    assert_eq!(
        (outcomes.outcome(1, Offset(7)), outcomes.outcome(2, Offset(3))),
        (Outcome::Aborted, Outcome::Committed)
    );
    assert_eq!(
        (outcomes.outcome(1, Offset(11)), outcomes.outcome(7, Offset(0))),
        (Outcome::Committed, Outcome::Committed)
    );
    assert_eq!(log.batches().iter().filter(|(.., header)| outcomes.verdict(header) == Control).count(), 3);
}

#[test]
fn an_aborted_transaction_reaches_over_segments() {
    let mut log = Log::new();
    log.plain().data(1).roll().data(1).plain().roll().roll().marker(1, ABORT).data(1).marker(1, COMMIT);
    let verdicts = [(0, Delivered), (2, Aborted), (4, Aborted), (6, Delivered), (9, Delivered)];
    assert_eq!(log.verdicts(), (verdicts.to_vec(), 12, false));
}

#[test]
fn a_marker_without_data_ends_nothing() {
    let mut log = Log::new();
    log.marker(1, ABORT).data(1).marker(2, ABORT).marker(1, COMMIT).marker(1, ABORT);
    assert_eq!(log.verdicts(), (vec![(1, Delivered)], 6, false));
}

#[test]
fn nothing_is_delivered_from_the_oldest_open_transaction_on() {
    let mut log = Log::new();
    log.plain().data(1).data(2).marker(2, ABORT).plain().data(3);
    let beyond = [2, 4, 7, 9].map(|offset| (offset, BeyondLastStableOffset));
    assert_eq!(log.verdicts(), ([vec![(0, Delivered)], beyond.to_vec()].concat(), 2, false));
    let outcomes = log.outcomes();
    assert_eq!((outcomes.outcome(1, Offset(2)), outcomes.outcome(3, Offset(10))), (Outcome::Open, Outcome::Open));
    assert_eq!(outcomes.outcome(2, Offset(4)), Outcome::Aborted);
    // What begins before the log start counts from there.
    assert_eq!(log.outcomes_between(3, None).last_stable_offset(), Offset(3));
    log.marker(1, COMMIT);
    assert_eq!(log.outcomes().last_stable_offset(), Offset(9));
}

#[test]
fn the_epoch_of_a_marker_may_be_above_that_of_its_data() {
    let mut log = Log::new();
    log.epoch = 4;
    log.data(1);
    log.epoch = 5;
    log.marker(1, ABORT).data(1);
    log.epoch = 6;
    log.marker(1, COMMIT);
    assert_eq!(log.verdicts(), (vec![(0, Aborted), (3, Delivered)], 6, false));
}

#[test]
fn a_marker_at_the_high_watermark_has_not_been_written_yet() {
    let mut log = Log::new();
    log.plain().data(1).plain().marker(1, ABORT).plain();
    let at = |high_watermark| log.outcomes_between(0, Some(high_watermark)).last_stable_offset().0;
    assert_eq!([2, 4, 6, 7, 9, 100].map(at), [2, 2, 2, 7, 9, 9]);
    assert_eq!(log.outcomes_between(0, Some(6)).outcome(1, Offset(2)), Outcome::Open);
}

#[test]
fn a_marker_lost_in_damage_leaves_the_records_before_it_unknown() {
    let mut log = Log::new();
    log.data(1).data(2).marker(1, ABORT).damage().data(1).plain().marker(1, COMMIT).marker(2, COMMIT);
    // Nobody knows whether the marker of producer 1 ends the transaction of its first records. Nor that of producer 2.
    let verdicts = [(0, Unknown), (2, Unknown), (5, Delivered), (7, Delivered)];
    assert_eq!(log.verdicts(), (verdicts.to_vec(), 11, true));
    // The same with the end of a segment lost.
    let mut log = Log::new();
    log.data(1).marker(1, ABORT).damage().roll().data(1).marker(1, ABORT);
    assert_eq!(log.verdicts(), (vec![(0, Unknown), (3, Aborted)], 6, true));
}

#[test]
fn a_base_offset_that_lies_does_not_hide_that_a_marker_is_lost() {
    let mut log = Log::new();
    log.data(1).marker(1, ABORT).damage().roll().plain().data(1).marker(1, COMMIT);
    log.segments[1].1[0] = 0x80;
    let (verdicts, _, uncertain) = log.verdicts();
    assert_eq!((verdicts[0], verdicts[2], uncertain), ((0, Unknown), (5, Delivered), true));
}

#[test]
fn without_a_later_marker_what_damage_has_hidden_stays_open() {
    let mut log = Log::new();
    log.plain().data(1).marker(1, COMMIT).damage().plain().data(1);
    let verdicts =
        [(0, Delivered), (2, BeyondLastStableOffset), (5, BeyondLastStableOffset), (7, BeyondLastStableOffset)];
    assert_eq!(log.verdicts(), (verdicts.to_vec(), 2, true));
}

#[test]
fn damage_without_missing_offsets_hides_no_marker() {
    let mut log = Log::new();
    let Position(torn) = log.data(1).position();
    log.data(1);
    // A broker that died while it wrote this batch, and after the restart wrote it again behind the torn one.
    let bytes = &mut log.segments[0].1;
    let written_again = bytes.split_off(torn as usize);
    bytes.extend_from_slice(&written_again[..70]);
    bytes.extend(written_again);
    log.marker(1, COMMIT).plain().damage();
    let (verdicts, last_stable_offset, uncertain) = log.verdicts();
    assert_eq!((verdicts.len(), last_stable_offset, uncertain), (2, 5, false));
    assert!(verdicts.iter().all(|(_, verdict)| *verdict == Delivered));
}

#[test]
fn a_missing_segment_can_be_told_from_outside() {
    let mut log = Log::new();
    log.data(1).roll().marker(1, ABORT).data(1).roll().marker(1, COMMIT);
    let mut walk = TransactionWalk::new(Offset(0), None, None);
    walk.segment(&MemoryStorage::new("log", log.segments[0].1.clone()), Offset(0), Some(Offset(5))).unwrap();
    walk.batches_are_missing();
    walk.segment(&MemoryStorage::new("log", log.segments[2].1.clone()), Offset(5), None).unwrap();
    let outcomes = walk.finish().unwrap();
    assert_eq!((outcomes.outcome(1, Offset(0)), outcomes.is_uncertain()), (Outcome::Unknown, true));
}

#[test]
fn a_marker_emptied_by_compaction_belongs_to_a_transaction_without_records() {
    let mut log = Log::new();
    log.emptied_marker(1).data(1).marker(1, COMMIT).emptied_marker(1).data(1).marker(1, ABORT);
    assert_eq!(log.verdicts(), (vec![(1, Delivered), (5, Aborted)], 8, false));
    // With records left it hides how they ended: no consumer may count on the next marker.
    let mut log = Log::new();
    log.data(1).emptied_marker(1);
    assert_eq!(log.verdicts(), (vec![(0, BeyondLastStableOffset)], 0, true));
    log.data(1).marker(1, COMMIT);
    assert_eq!(log.verdicts(), (vec![(0, Unknown), (3, Delivered)], 6, true));
}

#[test]
fn a_control_record_that_is_no_marker_ends_nothing_that_is_known() {
    let mut log = Log::new();
    log.data(1).marker(1, ControlRecord::SnapshotFooter { version: 0 }).marker(1, COMMIT);
    assert_eq!(log.verdicts(), (vec![(0, Unknown)], 4, true));
}

#[test]
fn a_walk_that_was_stopped_decides_nothing() {
    let stop = AtomicBool::new(true);
    let mut walk = TransactionWalk::new(Offset(0), None, Some(&stop));
    walk.segment(&MemoryStorage::new("log", Log::new().data(1).segments[0].1.clone()), Offset(0), None).unwrap();
    assert!(walk.finish().is_none());
}

#[test]
fn an_empty_log_is_stable_up_to_its_end() {
    let mut log = Log::new();
    assert_eq!(log.outcomes().last_stable_offset(), Offset(0));
    log.segments[0].0 = Offset(70);
    assert_eq!(log.outcomes_between(70, None).last_stable_offset(), Offset(70));
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Data(i64),
    Plain,
    Commit(i64),
    Abort(i64),
    Roll,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3_i64).prop_map(Step::Data),
        1 => Just(Step::Plain),
        2 => (0..3_i64).prop_map(Step::Commit),
        2 => (0..3_i64).prop_map(Step::Abort),
        1 => Just(Step::Roll),
    ]
}

/// The log that the steps make, and for each data batch where it is and how its transaction ended, without any walk.
fn log_of(steps: &[Step]) -> (Log, HashMap<(usize, Position), Outcome>) {
    let (mut log, mut truth) = (Log::new(), HashMap::new());
    for (i, step) in steps.iter().enumerate() {
        let at = (log.segments.len() - 1, log.position());
        match *step {
            Step::Data(producer_id) => {
                let outcome = steps[i..].iter().find_map(|later| match *later {
                    Step::Commit(id) if id == producer_id => Some(Outcome::Committed),
                    Step::Abort(id) if id == producer_id => Some(Outcome::Aborted),
                    _ => None,
                });
                truth.insert(at, outcome.unwrap_or(Outcome::Open));
                log.data(producer_id);
            }
            Step::Plain => _ = log.plain(),
            Step::Commit(producer_id) => _ = log.marker(producer_id, COMMIT),
            Step::Abort(producer_id) => _ = log.marker(producer_id, ABORT),
            Step::Roll => _ = log.roll(),
        }
    }
    (log, truth)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_history_is_told_as_it_was(steps in prop::collection::vec(step(), 0..40)) {
        let (log, truth) = log_of(&steps);
        let outcomes = log.outcomes();
        prop_assert!(!outcomes.is_uncertain());
        let mut last_stable_offset = Offset(log.next_offset);
        for (segment, position, header) in log.batches() {
            let Some(expected) = truth.get(&(segment, position)) else { continue };
            let offset = header.base_offset().unwrap();
            prop_assert_eq!(outcomes.outcome(header.producer_id().unwrap(), offset), *expected);
            if *expected == Outcome::Open {
                last_stable_offset = last_stable_offset.min(offset);
            }
        }
        prop_assert_eq!(outcomes.last_stable_offset(), last_stable_offset);
    }

    #[test]
    fn whatever_is_damaged_no_record_is_delivered_that_was_not_committed(
        steps in prop::collection::vec(step(), 1..40),
        start in any::<prop::sample::Index>(),
        length in prop_oneof![Just(1_usize), 1..400_usize],
        mask in 1..=255_u8,
    ) {
        let (mut log, truth) = log_of(&steps);
        let total: usize = log.segments.iter().map(|(_, bytes)| bytes.len()).sum();
        prop_assume!(total > 0);
        let start = start.index(total);
        let bytes = log.segments.iter_mut().flat_map(|(_, bytes)| bytes);
        bytes.skip(start).take(length).for_each(|byte| *byte ^= mask);
        let outcomes = log.outcomes();
        for (segment, position, header) in log.batches() {
            if header.is_transactional() && outcomes.verdict(&header) == Delivered {
                prop_assert_eq!(truth.get(&(segment, position)), Some(&Outcome::Committed));
            }
        }
    }
}
