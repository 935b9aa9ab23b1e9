use proptest::prelude::*;

use super::*;
use crate::format::batch::{RecordBatchBuilder, write_batch};
use crate::format::compression::Compression;
use crate::format::control::ControlKey;
use crate::format::record::RecordFields;
use crate::scan::{BatchScan, LogSoFar, ScanOptions};
use crate::store::mem::MemoryStorage;

const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;

/// What happens in a log, in order.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Two records of a transaction.
    Data(i64),
    /// Two records outside of any.
    Plain(i64),
    Abort(i64),
    Commit(i64),
    /// What the cleaner leaves of a marker.
    Emptied(i64),
    /// A control batch that is no marker.
    Bad(i64),
    /// Batches that are lost.
    Loss,
    /// The producer's sequence numbers leave some out, or go back.
    Jump(i64, i32),
}
use Step::*;

/// The batches of these steps; `None` stands for a loss. Each batch begins at an offset that tells its step.
fn batches(steps: &[Step]) -> Vec<Option<Vec<u8>>> {
    let mut sequences = HashMap::<i64, i32>::new();
    let mut all = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        let mut header = RecordBatchBuilder::plain_header(Offset(10 * at as i64), 1000 + at as i64);
        header.producer_epoch = 0;
        let control = |kind: i16, mut header: RecordBatchHeader, producer_id| {
            let (mut key, mut value) = (Vec::new(), Vec::new());
            ControlKey { version: 0, control_type: kind }.write(&mut key);
            ControlRecord::Abort { version: 0, coordinator_epoch: at as i32 }.write_value(&mut value);
            (header.producer_id, header.attributes) = (producer_id, TRANSACTIONAL | CONTROL);
            let mut out = Vec::new();
            let record = RecordFields { key: Some(&key), value: Some(&value), ..RecordFields::default() };
            RecordBatchBuilder::new(header, Compression::None).push(&record).write(&mut out).unwrap();
            out
        };
        all.push(match *step {
            Loss => None,
            Jump(producer_id, by) => {
                let sequence = sequences.entry(producer_id).or_default();
                *sequence = sequence.wrapping_add(by) & i32::MAX;
                continue;
            }
            Data(producer_id) | Plain(producer_id) => {
                let sequence = sequences.entry(producer_id).or_default();
                (header.producer_id, header.base_sequence) = (producer_id, *sequence);
                *sequence = increment_sequence(*sequence, 2);
                header.attributes = if matches!(step, Data(_)) { TRANSACTIONAL } else { 0 };
                let mut out = Vec::new();
                let record = RecordFields { value: Some(b"value"), ..RecordFields::default() };
                let mut builder = RecordBatchBuilder::new(header, Compression::None);
                builder.push(&record).push(&RecordFields { offset_delta: 1, ..record }).write(&mut out).unwrap();
                Some(out)
            }
            Abort(producer_id) => Some(control(0, header, producer_id)),
            Commit(producer_id) => Some(control(1, header, producer_id)),
            Bad(producer_id) => Some(control(9, header, producer_id)),
            Emptied(producer_id) => {
                (header.producer_id, header.attributes) = (producer_id, TRANSACTIONAL | CONTROL);
                let mut out = Vec::new();
                write_batch(header, b"", &mut out);
                Some(out)
            }
        });
    }
    all
}

fn facts(batches: &[Option<Vec<u8>>]) -> ProducerFacts {
    let mut facts = ProducerFacts::default();
    for batch in batches {
        match batch {
            None => facts.batches_are_missing(),
            Some(bytes) => {
                let storage = MemoryStorage::new("x.log", bytes.clone());
                let options = ScanOptions { bodies: true, ..ScanOptions::default() };
                let mut scan = BatchScan::new(&storage, LogSoFar::segment(Offset(0), None), options);
                facts.take(&scan.next_batch().unwrap().unwrap());
            }
        }
    }
    facts
}

fn of(steps: &[Step]) -> ProducerFacts {
    facts(&batches(steps))
}

#[test]
fn an_abort_knows_its_transaction_and_what_else_is_open() {
    let mut facts = of(&[Data(1), Data(2), Data(1), Abort(2), Data(3), Commit(3), Abort(1), Data(1), Data(4)]);
    let (aborts, is_all) = facts.take_aborts();
    assert!(is_all);
    let told: Vec<_> = aborts
        .iter()
        .map(|a| (a.producer_id, a.first_offset, a.last_offset, a.oldest_open, a.next_transactional))
        .collect();
    assert_eq!(
        told,
        [
            (2, Some(Offset(10)), Offset(30), Some(Offset(0)), Some(Offset(40))),
            (1, Some(Offset(0)), Offset(60), None, Some(Offset(80))),
        ]
    );
    assert_eq!(facts.producer(1).unwrap().open_transaction(), Some(Offset(70)));
    assert!(facts.producer(3).unwrap().is_closed());
    assert_eq!(facts.producer(3).unwrap().last_marker.unwrap().ended_a_transaction, Some(true));
}

#[test]
fn a_transaction_over_a_loss_is_not_sure() {
    let mut facts = of(&[Data(1), Data(2), Loss, Data(3), Abort(1), Abort(3), Abort(2)]);
    let (aborts, _) = facts.take_aborts();
    let told: Vec<_> = aborts.iter().map(|a| (a.producer_id, a.is_sure, a.is_oldest_open_sure)).collect();
    assert_eq!(told, [(1, false, false), (3, true, false), (2, false, true)]);
}

#[test]
fn sequences_are_followed_over_the_largest_number_and_lost_batches_excuse_everything() {
    let steps = |steps: &[Step]| {
        let kept = of(steps).samples.sequence_steps.kept;
        kept.iter()
            .map(|step| (step.expected_sequence(), step.batch.base_sequence, step.left_out()))
            .collect::<Vec<_>>()
    };
    assert_eq!(steps(&[Jump(1, i32::MAX - 3), Data(1), Data(1), Commit(1), Data(1)]), []);
    assert_eq!(steps(&[Jump(1, i32::MAX - 1), Data(1), Data(1)]), [], "0 comes behind 2147483647");
    assert_eq!(steps(&[Data(1), Jump(1, 5), Data(1)]), [(2, 7, Some(5))]);
    assert_eq!(steps(&[Data(1), Data(1), Jump(1, -2), Data(1)]), [(4, 2, None)]);
    assert_eq!(steps(&[Data(1), Jump(1, 5), Loss, Data(1)]), []);
}

#[test]
fn data_outside_a_transaction_and_what_is_no_marker_are_seen() {
    let facts = of(&[Plain(1), Data(2), Plain(1), Plain(2), Commit(2), Plain(2), Bad(7)]);
    let inside: Vec<_> = facts.samples.plain_inside.kept.iter().map(|plain| plain.place.base_offset).collect();
    assert_eq!(inside, [Offset(30)]);
    let bad: Vec<_> = facts.samples.bad_markers.kept.iter().map(|bad| bad.fault.clone()).collect();
    assert_eq!(bad, [MarkerFault::OtherType(9)]);
}

#[test]
fn many_aborts_wait_without_taking_quadratic_time() {
    let mut facts = ProducerFacts::default();
    for n in 0..200_000 {
        facts.transactional(7, Offset(2 * n));
        facts.abort(7, Offset(2 * n + 1), State::Closed);
    }
    facts.transactional(8, Offset(1_000_000));
    assert!(facts.aborts.iter().all(|abort| abort.next_transactional == Some(Offset(1_000_000))));
}

fn any_step() -> impl Strategy<Value = Step> {
    let producer = 0i64..4;
    prop_oneof![
        4 => producer.clone().prop_map(Data),
        1 => producer.clone().prop_map(Plain),
        2 => producer.clone().prop_map(Abort),
        1 => producer.clone().prop_map(Commit),
        1 => producer.clone().prop_map(Emptied),
        1 => producer.clone().prop_map(Bad),
        1 => Just(Loss),
        1 => (producer, -2i32..3).prop_map(|(id, by)| Jump(id, by * 2)),
    ]
}

/// Without the order in which samples were found, and with one of those that several stretches see.
fn comparable(mut facts: ProducerFacts) -> ProducerFacts {
    let samples = &mut facts.samples;
    samples.sequence_steps.kept.iter_mut().for_each(|step| {
        (step.before.loss_number, step.batch.loss_number) = (0, 0);
    });
    samples.sequence_steps.kept.sort_by_key(|step| step.batch.place.base_offset);
    samples.plain_inside.kept.sort_by_key(|plain| plain.producer_id);
    samples.plain_inside.kept.dedup_by_key(|plain| plain.producer_id);
    facts.producers.all.sort_by_key(|producer| producer.producer_id);
    samples.plain_inside.kept.iter_mut().for_each(|plain| {
        plain.place.base_offset = Offset(0);
        plain.place.last_offset = Offset(0);
        plain.first_offset = Offset(0);
    });
    facts
}

proptest! {
    #[test]
    fn joined_facts_are_those_of_the_whole(
        steps in proptest::collection::vec(any_step(), 0..40),
        cuts in proptest::collection::vec(0usize..40, 0..5),
        from_behind: bool,
    ) {
        let batches = batches(&steps);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(batches.len())).chain([0, batches.len()]).collect();
        cuts.sort_unstable();
        let mut parts: Vec<ProducerFacts> = cuts.windows(2).map(|cut| facts(&batches[cut[0]..cut[1]])).collect();
        let mut joined = ProducerFacts::default();
        if from_behind {
            while let Some(mut earlier) = parts.pop() {
                earlier.join(joined);
                joined = earlier;
            }
        } else {
            parts.into_iter().for_each(|part| joined.join(part));
        }
        prop_assert_eq!(comparable(joined), comparable(facts(&batches)));
    }
}
