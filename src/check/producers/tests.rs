use std::collections::HashMap;
use std::fs;

use super::*;
use crate::check::partition::{PartitionCheck, Surroundings};
use crate::check::segment::{SegmentTask, Worker};
use crate::format::batch::{RecordBatchBuilder, RecordBatchHeader, increment_sequence, write_batch};
use crate::format::compression::Compression;
use crate::format::control::{ControlKey, ControlRecord};
use crate::format::legacy::MessageFields;
use crate::format::producer_snapshot::{self, ProducerEntry};
use crate::format::record::RecordFields;
use crate::format::txn_index::AbortedTxn;
use crate::scan::checkpoints::Checkpointed;
use crate::store::ReadPolicy;

const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;

/// A partition that grows batch by batch, each of one record, as a leader would append them.
pub(in crate::check) struct Log {
    segments: Vec<(i64, Vec<u8>)>,
    files: Vec<(String, Vec<u8>)>,
    next_offset: i64,
    sequences: HashMap<i64, i32>,
    pub(in crate::check) leader_epoch: i32,
    pub(in crate::check) log_start_offset: Option<Offset>,
    pub(in crate::check) depth: Depth,
}

impl Log {
    pub(in crate::check) fn new() -> Self {
        Self {
            segments: vec![(0, Vec::new())],
            files: Vec::new(),
            next_offset: 0,
            sequences: HashMap::new(),
            leader_epoch: -1,
            log_start_offset: None,
            depth: Depth::Checksums,
        }
    }

    fn append(&mut self, producer_id: i64, attributes: i16, sequence: i32, record: Option<RecordFields<'_>>) {
        let plain = RecordBatchBuilder::plain_header(Offset(self.next_offset), 1000 + self.next_offset);
        let header = RecordBatchHeader {
            partition_leader_epoch: self.leader_epoch,
            producer_id,
            producer_epoch: if producer_id < 0 { -1 } else { 0 },
            attributes,
            base_sequence: sequence,
            ..plain
        };
        let out = &mut self.segments.last_mut().unwrap().1;
        match record {
            Some(record) => RecordBatchBuilder::new(header, Compression::None).push(&record).write(out).unwrap(),
            None => write_batch(header, b"", out),
        }
        self.next_offset += 1;
    }

    fn of_producer(&mut self, producer_id: i64, attributes: i16) -> &mut Self {
        let sequence = self.sequences.entry(producer_id).or_default();
        let base_sequence = *sequence;
        *sequence = increment_sequence(base_sequence, 1);
        let record = RecordFields { value: Some(b"value"), ..RecordFields::default() };
        self.append(producer_id, attributes, base_sequence, Some(record));
        self
    }

    /// A record of a transaction.
    pub(in crate::check) fn data(&mut self, producer_id: i64) -> &mut Self {
        self.of_producer(producer_id, TRANSACTIONAL)
    }

    /// A record of an idempotent producer.
    pub(in crate::check) fn plain(&mut self, producer_id: i64) -> &mut Self {
        self.of_producer(producer_id, 0)
    }

    fn marker(&mut self, producer_id: i64, control_type: i16, value: &[u8]) -> &mut Self {
        let mut key = Vec::new();
        ControlKey { version: 0, control_type }.write(&mut key);
        let record = RecordFields { key: Some(&key), value: Some(value), ..RecordFields::default() };
        self.append(producer_id, TRANSACTIONAL | CONTROL, -1, Some(record));
        self
    }

    fn end(&mut self, producer_id: i64, control_type: i16) -> &mut Self {
        let mut value = Vec::new();
        ControlRecord::Abort { version: 0, coordinator_epoch: 7 }.write_value(&mut value);
        self.marker(producer_id, control_type, &value)
    }

    pub(in crate::check) fn abort(&mut self, producer_id: i64) -> &mut Self {
        self.end(producer_id, 0)
    }

    fn commit(&mut self, producer_id: i64) -> &mut Self {
        self.end(producer_id, 1)
    }

    /// A message of magic 1, which has no leader epoch.
    pub(in crate::check) fn old_message(&mut self) -> &mut Self {
        let fields = MessageFields {
            offset: self.next_offset,
            magic: 1,
            attributes: 0,
            timestamp: 1000 + self.next_offset,
            key: None,
            value: Some(b"value"),
        };
        fields.write(&mut self.segments.last_mut().unwrap().1);
        self.next_offset += 1;
        self
    }

    /// Changes where the producer's sequence numbers go on.
    fn sequence(&mut self, producer_id: i64, next: i32) -> &mut Self {
        self.sequences.insert(producer_id, next);
        self
    }

    /// Leaves offsets out, as compaction does.
    pub(in crate::check) fn gap(&mut self, offsets: i64) -> &mut Self {
        self.next_offset += offsets;
        self
    }

    pub(in crate::check) fn roll(&mut self) -> &mut Self {
        self.segments.push((self.next_offset, Vec::new()));
        self
    }

    /// Flips a bit in the last byte so far: the latest batch is damaged.
    fn damage(&mut self) -> &mut Self {
        *self.segments.last_mut().unwrap().1.last_mut().unwrap() ^= 1;
        self
    }

    pub(in crate::check) fn file(&mut self, name: &str, content: &[u8]) -> &mut Self {
        self.files.push((name.to_owned(), content.to_owned()));
        self
    }

    fn snapshot(&mut self, offset: i64, entries: &[ProducerEntry]) -> &mut Self {
        self.file(&format!("{offset:020}.snapshot"), &producer_snapshot::write(entries))
    }

    /// Entries of producer, first offset, last offset, last stable offset.
    fn txn_index(&mut self, base_offset: i64, entries: &[(i64, i64, i64, i64)]) -> &mut Self {
        let mut bytes = Vec::new();
        for (producer_id, first_offset, last_offset, last_stable_offset) in entries.iter().copied() {
            let offsets = [first_offset, last_offset, last_stable_offset].map(Offset);
            let [first_offset, last_offset, last_stable_offset] = offsets;
            AbortedTxn { version: 0, producer_id, first_offset, last_offset, last_stable_offset }.write(&mut bytes);
        }
        self.file(&format!("{base_offset:020}.txnindex"), &bytes)
    }

    /// All findings.
    pub(in crate::check) fn findings(&self) -> Vec<Finding> {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("t-0");
        fs::create_dir(&path).unwrap();
        for (base_offset, bytes) in &self.segments {
            fs::write(path.join(format!("{base_offset:020}.log")), bytes).unwrap();
        }
        for (name, bytes) in &self.files {
            fs::write(path.join(name), bytes).unwrap();
        }
        let dir = PartitionDir::read(&path).unwrap();
        let setting = Setting { policy: ReadPolicy::default(), depth: self.depth, clean_shutdown: true };
        let checkpointed = Checkpointed { log_start_offset: self.log_start_offset, ..Checkpointed::default() };
        let mut check = PartitionCheck::new(&dir, Surroundings { checkpointed, ..Surroundings::default() }, setting);
        let is_snapshot = |file: &&NamedFile| file.name.kind == FileKind::ProducerSnapshot;
        let mut snapshots: Vec<_> =
            dir.files.iter().filter(is_snapshot).filter_map(|file| file.name.base_offset).collect();
        snapshots.sort();
        let segments = dir.segments();
        let mut worker = Worker::new(1 << 20);
        for (at, files) in segments.iter().enumerate() {
            let next_base_offset = segments.get(at + 1).map(|next| next.base_offset);
            let snapshot_offsets = &snapshots;
            check.take(worker.judge(&SegmentTask {
                files: *files,
                next_base_offset,
                snapshot_offsets,
                setting,
                stop: None,
            }));
        }
        let report = check.finish();
        assert!(report.unreadable.is_empty());
        report.findings.into_vec()
    }

    /// The findings of these kinds: name and what was stored or seen.
    pub(in crate::check) fn told(&self) -> Vec<(&'static str, Severity)> {
        let ours =
            ["log/sequence", "log/bad-control", "log/data-outside", "log/epoch", "txnindex/", "snapshot/", "epoch/"];
        let findings = self.findings().into_iter().map(|finding| (finding.id.name(), finding.severity));
        findings.filter(|(name, _)| ours.iter().any(|prefix| name.starts_with(prefix))).collect()
    }

    pub(in crate::check) fn names(&self) -> Vec<&'static str> {
        self.told().into_iter().map(|(name, _)| name).collect()
    }
}

const NOTHING: [&str; 0] = [];

/// The entry of a producer whose latest data is the record at `last_offset`.
fn entry(producer_id: i64, last_sequence: i32, last_offset: i64) -> ProducerEntry {
    ProducerEntry {
        producer_id,
        producer_epoch: 0,
        last_sequence,
        last_offset,
        offset_delta: 0,
        timestamp: 1000 + last_offset,
        coordinator_epoch: -1,
        current_txn_first_offset: -1,
    }
}

#[test]
fn sequences_that_go_back_are_told_and_those_that_begin_again_or_were_cleaned_are_not() {
    let told = |change: &dyn Fn(&mut Log)| {
        let mut log = Log::new();
        log.plain(1).plain(1).plain(1);
        change(&mut log);
        log.told()
    };
    assert_eq!(told(&|log| _ = log.plain(1).roll().plain(1)), []);
    assert_eq!(told(&|log| _ = log.sequence(1, 1).plain(1)), [("log/sequence-backwards", Severity::Warning)]);
    assert_eq!(told(&|log| _ = log.roll().sequence(1, 1).plain(1)), [("log/sequence-backwards", Severity::Warning)]);
    assert_eq!(told(&|log| _ = log.sequence(1, 0).plain(1)), [("log/sequence-backwards", Severity::Info)]);
    assert_eq!(told(&|log| _ = log.sequence(1, 9).plain(1)), [("log/sequence-gap", Severity::Info)]);
    assert_eq!(told(&|log| _ = log.gap(6).sequence(1, 9).plain(1)), []);
    assert_eq!(told(&|log| _ = log.plain(1).damage().sequence(1, 9).plain(1)), []);
}

#[test]
fn what_stops_a_replay_is_told() {
    let mut log = Log::new();
    log.data(1).roll().plain(1);
    assert_eq!(log.names(), ["log/data-outside-transaction"]);
    let mut log = Log::new();
    log.data(1).commit(1).roll().plain(1);
    assert_eq!(log.names(), NOTHING);
    let mut log = Log::new();
    log.data(1).data(2).damage().plain(1);
    assert_eq!(log.names(), NOTHING, "the marker of 1 may have been lost");

    let mut log = Log::new();
    log.data(1).marker(1, 0, b"\0\0");
    assert_eq!(log.names(), ["log/bad-control-batch"]);
    let mut log = Log::new();
    log.data(1).append(1, CONTROL | TRANSACTIONAL, -1, None);
    assert_eq!(log.names(), NOTHING, "the cleaner empties markers");
}

/// Producer 1 aborts 0..=2 while 2 is open from 1 on, then 2 aborts 1..=4; the next transaction begins at 5.
fn aborted() -> Log {
    let mut log = Log::new();
    log.data(1).data(2).abort(1).data(2).abort(2).data(3).commit(3);
    log
}

#[test]
fn a_transaction_index_is_held_against_the_abort_markers() {
    let told = |entries: &[(i64, i64, i64, i64)]| aborted().txn_index(0, entries).told();
    let error = |id: Id| vec![(id.name(), Severity::Error)];
    assert_eq!(told(&[(1, 0, 2, 1), (2, 1, 4, 5)]), []);
    assert_eq!(told(&[(2, 1, 4, 5)]), error(Id::TxnIndexEntryMissing));
    assert_eq!(told(&[(1, 0, 2, 1), (2, 1, 4, 5), (3, 5, 6, 7)]), error(Id::TxnIndexEntryOfNothing), "a commit");
    assert_eq!(told(&[(1, 0, 2, 1), (2, 1, 4, 5), (3, 5, 60, 7)]), error(Id::TxnIndexEntryOfNothing));
    let other_id = [Id::TxnIndexEntryMissing, Id::TxnIndexEntryOfNothing].map(|id| (id.name(), Severity::Error));
    assert_eq!(told(&[(9, 0, 2, 1), (2, 1, 4, 5)]), other_id);
    assert_eq!(told(&[(1, 1, 2, 1), (2, 1, 4, 5)]), error(Id::TxnIndexFirstOffset));
    assert_eq!(told(&[(1, 0, 2, 1), (2, 0, 4, 5)]), error(Id::TxnIndexFirstOffset));
    assert_eq!(told(&[(1, 0, 2, 3), (2, 1, 4, 5)]), error(Id::TxnIndexStableOffset), "1 is still open");
    assert_eq!(told(&[(1, 0, 2, 1), (2, 1, 4, 99)]), error(Id::TxnIndexStableOffset));
    let low = vec![(Id::TxnIndexStableOffsetLow.name(), Severity::Info)];
    assert_eq!(told(&[(1, 0, 2, 0), (2, 1, 4, 5)]), low);
    assert_eq!(told(&[(2, 1, 4, 5), (1, 0, 2, 1)]), error(Id::TxnIndexNotIncreasing));
    assert_eq!(aborted().names(), ["txnindex/entry-missing"], "there is no file at all");
}

#[test]
fn the_stable_offset_of_an_append_of_several_batches_is_legal() {
    let mut log = Log::new();
    log.data(1).abort(1).plain(7).plain(7).data(2).commit(2);
    assert_eq!(log.txn_index(0, &[(1, 0, 1, 4)]).names(), NOTHING);
    let mut log = Log::new();
    log.data(1).abort(1).plain(7).plain(7).data(2).commit(2);
    assert_eq!(log.txn_index(0, &[(1, 0, 1, 3)]).told(), [("txnindex/stable-offset", Severity::Warning)]);
}

#[test]
fn an_index_alone_tells_its_own_faults() {
    let told = |base_offset: i64, bytes: &[u8]| {
        let mut log = Log::new();
        log.depth = Depth::Quick;
        log.gap(base_offset).segments = vec![(base_offset, Vec::new())];
        log.file(&format!("{base_offset:020}.txnindex"), bytes).names()
    };
    let mut good = Vec::new();
    let offsets = [Offset(15), Offset(20), Offset(21)];
    let [first_offset, last_offset, last_stable_offset] = offsets;
    AbortedTxn { version: 0, producer_id: 1, first_offset, last_offset, last_stable_offset }.write(&mut good);
    let changed = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        bytes
    };
    assert_eq!(told(10, &good), NOTHING);
    assert_eq!(told(10, &changed(1, 1)), ["txnindex/version"]);
    assert_eq!(told(21, &good), ["txnindex/below-base"]);
    assert_eq!(told(10, &changed(17, 21)), ["txnindex/first-offset"]);
    assert_eq!(told(10, &[good.as_slice(), &[0; 5]].concat()), ["txnindex/partial-entry"]);
    assert_eq!(told(10, &[good.as_slice(), &[0; 3400]].concat()), ["txnindex/entry-of-nothing"]);
}

#[test]
fn what_is_gone_is_not_held_against_a_transaction_index() {
    let mut log = Log::new();
    log.gap(10).segments = vec![(10, Vec::new())];
    log.data(1).abort(1).abort(2).txn_index(10, &[(1, 3, 11, 5), (2, 4, 12, 13)]);
    assert_eq!(log.names(), NOTHING, "both began before the first segment, another one was open at 5");
    let mut log = Log::new();
    log.data(1).gap(5).data(2).abort(1).abort(2).txn_index(0, &[(1, 0, 7, 3), (2, 4, 8, 9)]);
    assert_eq!(log.names(), NOTHING, "the cleaner has left a gap");
    let mut log = Log::new();
    log.data(1).data(2).damage().data(3).abort(1).abort(3).txn_index(0, &[(3, 1, 4, 5)]);
    assert_eq!(log.names(), NOTHING, "the damage may have held the marker of 1 and data of 3");
    let mut log = Log::new();
    log.log_start_offset = Some(Offset(2));
    log.data(1).plain(7).data(7).abort(1);
    assert_eq!(log.names(), NOTHING, "a broker that recovered from the log start on saw no transaction");
}

#[test]
fn a_snapshot_is_held_against_the_batches_below_it() {
    let told = |entries: &[ProducerEntry]| {
        let mut log = Log::new();
        log.plain(1).data(2).plain(1).data(3).commit(3).roll().commit(2);
        log.snapshot(5, entries).told()
    };
    let (one, two) = (entry(1, 1, 2), ProducerEntry { current_txn_first_offset: 1, ..entry(2, 0, 1) });
    let three = ProducerEntry { timestamp: 1004, coordinator_epoch: 7, ..entry(3, 0, 3) };
    assert_eq!(told(&[one, two, three]), []);
    for wrong in [
        ProducerEntry { producer_epoch: 1, ..three },
        ProducerEntry { last_sequence: 7, ..three },
        ProducerEntry { last_offset: 2, ..three },
        ProducerEntry { offset_delta: 1, ..three },
        ProducerEntry { timestamp: 1003, ..three },
        ProducerEntry { coordinator_epoch: 6, ..three },
        ProducerEntry { coordinator_epoch: -1, ..three },
        ProducerEntry { last_offset: -1, last_sequence: -1, ..three },
    ] {
        assert_eq!(told(&[one, two, wrong]), [("snapshot/contradicts-log", Severity::Error)], "{wrong:?}");
    }
    let phantom = ProducerEntry { current_txn_first_offset: 3, ..three };
    assert_eq!(told(&[one, two, phantom]), [("snapshot/phantom-transaction", Severity::Error)]);
    let forgetful = ProducerEntry { current_txn_first_offset: -1, ..two };
    assert_eq!(told(&[one, forgetful, three]), [("snapshot/forgets-transaction", Severity::Error)]);
    assert_eq!(told(&[one, three]), [("snapshot/forgets-transaction", Severity::Error)]);
    let late = ProducerEntry { current_txn_first_offset: 2, ..two };
    assert_eq!(told(&[one, late, three]), [("snapshot/contradicts-log", Severity::Error)]);
    assert_eq!(told(&[two, three]), [("snapshot/producer-missing", Severity::Info)]);
    assert_eq!(told(&[one, two, three, entry(9, 0, 2)]), [("snapshot/contradicts-log", Severity::Error)]);
    for impossible in [
        ProducerEntry { producer_epoch: -1, ..three },
        ProducerEntry { last_offset: 5, ..three },
        ProducerEntry { current_txn_first_offset: 5, ..three },
        ProducerEntry { offset_delta: -1, ..three },
        one,
    ] {
        let names: Vec<_> = told(&[one, two, three, impossible]).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["snapshot/entry"], "{impossible:?}");
    }
}

#[test]
fn what_is_gone_is_not_held_against_a_snapshot() {
    let mut log = Log::new();
    log.gap(10).segments = vec![(10, Vec::new())];
    log.plain(1).roll().plain(1);
    let gone = ProducerEntry { current_txn_first_offset: 4, ..entry(2, 5, 7) };
    assert_eq!(log.snapshot(11, &[entry(1, 0, 10), gone]).names(), NOTHING, "a producer known from before");
    let mut log = Log::new();
    log.plain(1).gap(5).plain(2).roll();
    assert_eq!(log.snapshot(7, &[entry(1, 3, 3), entry(2, 0, 6)]).names(), NOTHING, "cleaned away");
    let mut log = Log::new();
    log.data(1).plain(2).damage().plain(2).roll();
    let closed = ProducerEntry { timestamp: 1001, coordinator_epoch: 7, ..entry(1, 0, 0) };
    assert_eq!(log.snapshot(3, &[closed, entry(2, 1, 2)]).names(), NOTHING, "the marker may have been lost");
}

#[test]
fn snapshots_that_cannot_be_read_or_are_where_none_belongs_are_told() {
    let mut log = Log::new();
    log.plain(1).plain(1).roll().plain(1).plain(1);
    log.snapshot(1, &[entry(1, 0, 0)]).snapshot(2, &[entry(1, 1, 1)]).snapshot(4, &[entry(1, 3, 3)]);
    assert_eq!(log.names(), ["snapshot/stray"]);
    log.snapshot(9, &[]).file("00000000000000000003.snapshot", b"\0\x01");
    let mut names = log.names();
    names.sort_unstable();
    assert_eq!(
        names,
        ["snapshot/beyond-end", "snapshot/stray", "snapshot/stray", "snapshot/stray", "snapshot/unreadable"]
    );
}

#[test]
fn offsets_that_are_gone_are_found_among_ranges() {
    let mut hidden = HiddenOffsets::default();
    for (start, end) in [(i64::MIN, 3), (7, 9), (8, 12), (20, 20), (30, 31)] {
        hidden.push(Offset(start), Offset(end));
    }
    assert_eq!(hidden.ranges.len(), 3);
    let contained: Vec<i64> = (0..40).filter(|offset| hidden.contains(Offset(*offset))).collect();
    assert_eq!(contained, [0, 1, 2, 7, 8, 9, 10, 11, 30]);
    assert!(hidden.any_in(Offset(12), Offset(31)) && !hidden.any_in(Offset(12), Offset(30)));
    assert!(!hidden.any_in(Offset(9), Offset(9)));
}

#[test]
fn without_any_snapshot_a_clean_start_forgets_what_the_log_holds() {
    let closed = |change: &dyn Fn(&mut Log)| {
        let mut log = Log::new();
        change(&mut log);
        // Without an index a start recovers the segment, and reads the log for that.
        log.file(&format!("{:020}.index", 0), b"").findings()
    };
    let open = closed(&|log| _ = log.plain(7).data(1).data(2).commit(1));
    let ours: Vec<_> = open.iter().filter(|finding| finding.id == Id::SnapshotMissing).collect();
    assert_eq!((ours.len(), ours[0].severity), (1, Severity::Error));
    let numbers = ["producers", "openTransactions", "lastStableOffset", "logEndOffset"].map(|name| ours[0].int(name));
    assert_eq!(numbers, [Some(3), Some(1), Some(2), Some(4)]);
    let severity = |change: &dyn Fn(&mut Log)| {
        let findings = closed(change);
        findings.iter().find(|finding| finding.id == Id::SnapshotMissing).map(|finding| finding.severity)
    };
    assert_eq!(severity(&|log| _ = log.data(1).commit(1)), Some(Severity::Warning), "nothing is open");
    assert_eq!(severity(&|log| _ = log.plain(-1)), None, "there is no producer");
    assert_eq!(severity(&|log| _ = log.data(1).snapshot(1, &[])), None, "there is a snapshot");
    assert_eq!(severity(&|log| _ = log.data(1).file(&format!("{:020}.snapshot", 1), b"x")), None, "it reads the log");
    let is_stray = |log: &mut Log| {
        let index = format!("{:020}.index", 2);
        log.data(1).data(1).snapshot(1, &[]).roll().plain(-1).file(&index, b"");
    };
    assert_eq!(severity(&is_stray), Some(Severity::Error), "the start deletes it, for no segment begins there");
    let deleted = |log: &mut Log| {
        log.log_start_offset = Some(Offset(2));
        log.data(1).data(1);
    };
    assert_eq!(severity(&deleted), None, "nothing of it is left for readers");
    let mut recovered = Log::new();
    recovered.data(1);
    assert!(recovered.findings().iter().all(|finding| finding.id != Id::SnapshotMissing));
}

#[test]
fn whoever_deletes_a_wrong_snapshot_is_told_how_many_are_left() {
    let others = |change: &dyn Fn(&mut Log)| {
        let mut log = Log::new();
        log.plain(1).plain(1).roll().plain(1);
        change(&mut log);
        let findings = log.findings();
        findings.iter().filter(|it| it.id == Id::SnapshotContradictsLog).map(|it| it.int("otherSnapshots")).collect()
    };
    let none: Vec<Option<i64>> = others(&|log| _ = log.snapshot(3, &[entry(1, 9, 2)]));
    assert_eq!(none, [Some(0)]);
    assert_eq!(others(&|log| _ = log.snapshot(3, &[entry(1, 9, 2)]).snapshot(2, &[entry(1, 1, 1)])), [Some(1)]);
    let both = others(&|log| _ = log.snapshot(3, &[entry(1, 9, 2)]).snapshot(2, &[entry(1, 8, 1)]));
    assert_eq!(both, [Some(0), Some(0)], "all that are wrong have to go");
    let stray = others(&|log| _ = log.snapshot(3, &[entry(1, 9, 2)]).snapshot(1, &[entry(1, 0, 0)]));
    assert_eq!(stray, [Some(0)], "a start deletes the other one");
}
