//! Healthy log dirs, written by the project's own writers by the rules of a current broker that was closed in order.
//!
//! Whatever this makes was shown to Kafka's own classes: loading it changes nothing and every lookup finds what it
//! should (see `tests/recipes.rs`). A recipe damages one of these.

// Each integration test compiles this module for itself and uses a part of it.
#![allow(dead_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use kfsck::format::batch::{RecordBatchBuilder, RecordBatchHeader, write_batch};
use kfsck::format::clean_shutdown::CleanShutdown;
use kfsck::format::compression::Compression;
use kfsck::format::control::{self, ControlKey, ControlRecord, VoterId, put_leader_change};
use kfsck::format::legacy::{MessageFields, write_wrapper};
use kfsck::format::offset_checkpoint::{self, OffsetCheckpointEntry};
use kfsck::format::offset_index::OffsetIndexEntry;
use kfsck::format::partition_metadata::PartitionMetadata;
use kfsck::format::producer_snapshot::{self, ProducerEntry};
use kfsck::format::properties::MetaProperties;
use kfsck::format::record::RecordFields;
use kfsck::format::time_index::TimeIndexEntry;
use kfsck::format::txn_index::AbortedTxn;
use kfsck::format::uuid::Uuid;
use kfsck::format::{Offset, Position, leader_epoch};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The time of the first batch, in milliseconds; each batch is a second later.
pub const FIRST_TIMESTAMP: i64 = 1_700_000_000_000;

/// The time at which the broker was closed, in milliseconds.
pub const CLOSED_AT: i64 = FIRST_TIMESTAMP + 1_000_000;

/// The topic of KRaft's metadata log, which is built with what belongs to it.
pub const METADATA_TOPIC: &str = "__cluster_metadata";

/// What a healthy log dir holds: the keys that a recipe may give.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Healthy {
    /// The name of the topic; its partition 0 is built.
    pub topic: String,
    /// How many log dirs: `data`, `data-2`, …; the second holds partition 1 and so on.
    pub log_dirs: i32,
    /// The first offset.
    pub start: i64,
    /// How many batches of data, in all segments together; transaction markers are batches besides.
    pub batches: usize,
    /// How many segments, of equally many batches of data.
    pub segments: usize,
    /// Records in each batch.
    pub records: i32,
    /// Bytes in the value of each record.
    pub value_size: usize,
    /// `none`, `gzip`, `snappy`, `lz4` or `zstd`.
    pub codec: String,
    /// 0, 1 or 2.
    pub magic: i8,
    /// `index.interval.bytes`.
    pub index_interval: u64,
    /// How many leader epochs, from 0 on, of equally many batches of data.
    pub epochs: usize,
    /// How many idempotent producers take turns; 0 for producers without an id.
    pub producers: usize,
    /// How many batches of data make a transaction of a producer; the first is aborted, the next committed, and so on.
    pub transactions: usize,
    /// Whether brokers stamp the batches (`LogAppendTime`).
    pub append_time: bool,
    /// Whether a cleaner went over all segments but the last.
    pub compacted: bool,
}

impl Default for Healthy {
    fn default() -> Self {
        Self {
            topic: "orders".to_owned(),
            log_dirs: 1,
            start: 0,
            batches: 40,
            segments: 1,
            records: 10,
            value_size: 100,
            codec: "none".to_owned(),
            magic: 2,
            index_interval: 4096,
            epochs: 1,
            producers: 0,
            transactions: 0,
            append_time: false,
            compacted: false,
        }
    }
}

impl Healthy {
    /// Writes the log dirs into `root` and returns the directory of partition 0.
    pub fn build(&self, root: &Path) -> PathBuf {
        for number in (0..self.log_dirs).rev() {
            self.build_log_dir(root, number);
        }
        set_times(root);
        root.join("data").join(format!("{}-0", self.topic))
    }

    /// The keys that differ from the default, as JSON.
    pub fn name(&self) -> String {
        let Ok(Value::Object(mut keys)) = serde_json::to_value(self) else { unreachable!() };
        let default = serde_json::to_value(Self::default()).unwrap();
        keys.retain(|key, value| default[key.as_str()] != *value);
        Value::Object(keys).to_string()
    }

    fn is_kraft(&self) -> bool {
        self.topic == METADATA_TOPIC
    }

    fn build_log_dir(&self, root: &Path, partition: i32) {
        let log_dir = root.join(if partition == 0 { "data".to_owned() } else { format!("data-{}", partition + 1) });
        let dir = log_dir.join(format!("{}-{partition}", self.topic));
        fs::create_dir_all(&dir).unwrap();
        let end = Builder::new(self).write(&dir);

        let topic_id = if self.is_kraft() { Uuid::METADATA_TOPIC } else { Uuid(*b"kfsck-topic-id-0") };
        write(&dir.join("partition.metadata"), &PartitionMetadata { version: 0, topic_id }.write());
        let mut directory_id = *b"kfsck-directory0";
        directory_id[15] += partition as u8;
        let meta = MetaProperties {
            version: 1,
            cluster_id: Some("kfsck0kfsck0kfsck0kfsA".to_owned()),
            node_id: Some(1),
            directory_id: Some(Uuid(directory_id)),
        };
        write(&log_dir.join("meta.properties"), &meta.write(&["", "Sat Nov 21 23:18:40 UTC 2026"]));
        let closed = CleanShutdown { version: Some(0), raw_broker_epoch: Some(7) };
        write(&log_dir.join(".kafka_cleanshutdown"), &closed.write());
        // The metadata log takes no part in the checkpoints.
        let ends = [OffsetCheckpointEntry { topic: &self.topic, partition, offset: Offset(end) }];
        let ends = if self.is_kraft() { &ends[..0] } else { &ends[..] };
        write(&log_dir.join("recovery-point-offset-checkpoint"), &offset_checkpoint::write(ends));
        write(&log_dir.join("replication-offset-checkpoint"), &offset_checkpoint::write(ends));
        write(&log_dir.join("log-start-offset-checkpoint"), &offset_checkpoint::write(&[]));
        write(&log_dir.join("cleaner-offset-checkpoint"), &offset_checkpoint::write(&[]));
    }
}

/// One segment as it grows.
struct Segment {
    base: i64,
    log: Vec<u8>,
    index: Vec<u8>,
    time_index: Vec<u8>,
    txn_index: Vec<u8>,
    since_entry: u64,
    max_timestamp: (i64, i64),
    last_time_entry: i64,
}

impl Segment {
    fn new(base: i64) -> Self {
        let (log, index, time_index, txn_index) = Default::default();
        let (since_entry, max_timestamp, last_time_entry) = (0, (-1, base), -1);
        Self { base, log, index, time_index, txn_index, since_entry, max_timestamp, last_time_entry }
    }

    /// Appends a batch, and index entries for it where one interval is over.
    fn append(&mut self, batch: &[u8], last_offset: i64, max_timestamp: i64, interval: u64) {
        if max_timestamp > self.max_timestamp.0 {
            self.max_timestamp = (max_timestamp, last_offset);
        }
        if self.since_entry > interval {
            let position = Position(self.log.len() as u64);
            OffsetIndexEntry::new(Offset(self.base), Offset(last_offset), position).unwrap().write(&mut self.index);
            self.put_time_entry();
            self.since_entry = 0;
        }
        self.log.extend_from_slice(batch);
        self.since_entry += batch.len() as u64;
    }

    fn put_time_entry(&mut self) {
        let (timestamp, offset) = self.max_timestamp;
        if timestamp > self.last_time_entry {
            TimeIndexEntry::new(Offset(self.base), timestamp, Offset(offset)).unwrap().write(&mut self.time_index);
            self.last_time_entry = timestamp;
        }
    }

    /// Writes the files, closed in order.
    fn close(mut self, dir: &Path) {
        self.put_time_entry();
        let file = |kind: &str| dir.join(format!("{:020}.{kind}", self.base));
        write(&file("log"), &self.log);
        write(&file("index"), &self.index);
        write(&file("timeindex"), &self.time_index);
        if !self.txn_index.is_empty() {
            write(&file("txnindex"), &self.txn_index);
        }
    }
}

/// A partition as it grows.
struct Builder<'a> {
    of: &'a Healthy,
    codec: Compression,
    next_offset: i64,
    producers: BTreeMap<i64, ProducerEntry>,
    /// How many batches of data the open transaction of each producer has.
    open: BTreeMap<i64, usize>,
    finished: usize,
    epochs: Vec<leader_epoch::LeaderEpochEntry>,
}

impl<'a> Builder<'a> {
    fn new(of: &'a Healthy) -> Self {
        let codec = Compression::ALL.into_iter().find(|codec| codec.name() == of.codec);
        let (producers, open, epochs) = Default::default();
        Self {
            of,
            codec: codec.unwrap_or_else(|| panic!("codec {:?}", of.codec)),
            next_offset: of.start,
            producers,
            open,
            finished: 0,
            epochs,
        }
    }

    /// Writes everything that a partition directory holds but its metadata; returns the log end offset.
    fn write(mut self, dir: &Path) -> i64 {
        let mut segment = Segment::new(self.of.start);
        let mut number = 0;
        if self.of.is_kraft() {
            self.begin_epoch(0);
            self.put_leader_change(&mut segment);
            self.write_kraft_snapshot(dir);
        }
        for batch in 0..self.of.batches {
            let its_segment = batch * self.of.segments / self.of.batches;
            if its_segment != number {
                segment.close(dir);
                self.write_snapshot(dir);
                (segment, number) = (Segment::new(self.next_offset), its_segment);
            }
            if self.of.magic == 2 {
                self.begin_epoch(batch * self.of.epochs / self.of.batches);
            }
            let cleaned = self.of.compacted && number + 1 < self.of.segments;
            match self.of.magic {
                2 => self.put_data(&mut segment, batch, cleaned),
                _ => self.put_messages(&mut segment, batch),
            }
        }
        segment.close(dir);
        if self.next_offset > self.of.start {
            self.write_snapshot(dir);
        }
        // Brokers make the file whatever is in the log, and clear it where batches have no epochs.
        let epochs = Some(leader_epoch::write(&self.epochs)).filter(|_| !self.epochs.is_empty());
        write(&dir.join("leader-epoch-checkpoint"), &epochs.unwrap_or_default());
        self.next_offset
    }

    fn begin_epoch(&mut self, epoch: usize) {
        let epoch = epoch as i32 + i32::from(self.of.is_kraft());
        if self.epochs.last().is_none_or(|last| last.epoch < epoch) {
            let start_offset = Offset(self.next_offset);
            self.epochs.push(leader_epoch::LeaderEpochEntry { epoch, start_offset });
        }
    }

    fn header(&self, timestamp: i64) -> RecordBatchHeader {
        let mut header = RecordBatchBuilder::plain_header(Offset(self.next_offset), timestamp);
        header.partition_leader_epoch = self.epochs.last().map_or(0, |last| last.epoch);
        header
    }

    fn write_snapshot(&self, dir: &Path) {
        let entries: Vec<_> = self.producers.values().copied().collect();
        write(&dir.join(format!("{:020}.snapshot", self.next_offset)), &producer_snapshot::write(&entries));
    }

    fn put_data(&mut self, segment: &mut Segment, batch: usize, cleaned: bool) {
        let timestamp = FIRST_TIMESTAMP + batch as i64 * 1000;
        let mut header = self.header(timestamp);
        if self.of.append_time {
            header.attributes |= 0x08;
            header.max_timestamp = timestamp;
        }
        let producer_id = (self.of.producers > 0).then(|| 4000 + (batch % self.of.producers) as i64);
        if let Some(id) = producer_id {
            header.producer_id = id;
            header.producer_epoch = 3;
            header.base_sequence = self.producers.get(&id).map_or(0, |known| known.last_sequence + 1);
            header.attributes |= if self.of.transactions > 0 { 0x10 } else { 0 };
        }
        let last_offset = self.next_offset + i64::from(self.of.records) - 1;
        header.last_offset_delta = self.of.records - 1;
        let mut builder = RecordBatchBuilder::new(header, self.codec);
        // A cleaner leaves every second record, and nothing of every fourth batch.
        let kept = (0..self.of.records).filter(|delta| !cleaned || delta % 2 == 1);
        for offset_delta in kept.clone() {
            let offset = self.next_offset + i64::from(offset_delta);
            let (key, value) = (format!("key-{offset}"), text(offset, self.of.value_size));
            let value = if self.of.is_kraft() { b"\x01\x14\x00\x00".to_vec() } else { value };
            builder.push(&RecordFields {
                timestamp_delta: i64::from(offset_delta),
                offset_delta,
                key: (!self.of.is_kraft()).then_some(key.as_bytes()),
                value: Some(&value),
                ..RecordFields::default()
            });
        }
        let max_timestamp = match self.of.append_time {
            true => timestamp,
            false => timestamp + i64::from(kept.max().unwrap_or(0)),
        };
        if !cleaned || batch % 4 != 1 {
            let mut bytes = Vec::new();
            builder.write(&mut bytes).unwrap();
            segment.append(&bytes, last_offset, max_timestamp, self.of.index_interval);
        }
        let first_offset = std::mem::replace(&mut self.next_offset, last_offset + 1);
        if let Some(id) = producer_id {
            self.note_data(&header, first_offset, last_offset, max_timestamp);
            self.end_transaction(segment, id, timestamp + 500);
        }
    }

    fn note_data(&mut self, header: &RecordBatchHeader, first_offset: i64, last_offset: i64, timestamp: i64) {
        let known = self.producers.entry(header.producer_id).or_insert(ProducerEntry {
            producer_id: header.producer_id,
            producer_epoch: header.producer_epoch,
            last_sequence: -1,
            last_offset: -1,
            offset_delta: 0,
            timestamp: -1,
            coordinator_epoch: -1,
            current_txn_first_offset: -1,
        });
        known.last_sequence = header.base_sequence + header.last_offset_delta;
        known.last_offset = last_offset;
        known.offset_delta = header.last_offset_delta;
        known.timestamp = timestamp;
        if self.of.transactions > 0 {
            *self.open.entry(header.producer_id).or_default() += 1;
            if known.current_txn_first_offset < 0 {
                known.current_txn_first_offset = first_offset;
            }
        }
    }

    /// Writes a marker if the transaction of the producer has all its batches.
    fn end_transaction(&mut self, segment: &mut Segment, id: i64, timestamp: i64) {
        if self.of.transactions == 0 || self.open.get(&id) != Some(&self.of.transactions) {
            return;
        }
        self.open.remove(&id);
        let coordinator_epoch = 5;
        let is_abort = self.finished.is_multiple_of(2);
        self.finished += 1;
        let marker = match is_abort {
            true => ControlRecord::Abort { version: 0, coordinator_epoch },
            false => ControlRecord::Commit { version: 0, coordinator_epoch },
        };
        let mut value = Vec::new();
        marker.write_value(&mut value);
        let mut header = self.header(timestamp);
        header.attributes = 0x30;
        header.producer_id = id;
        header.producer_epoch = 3;
        let offset = self.next_offset;
        self.put_control(segment, header, marker.control_type(), &value);

        let known = self.producers.get_mut(&id).unwrap();
        let first_offset = std::mem::replace(&mut known.current_txn_first_offset, -1);
        known.coordinator_epoch = coordinator_epoch;
        known.timestamp = timestamp;
        if is_abort {
            let undecided =
                self.producers.values().map(|known| known.current_txn_first_offset).filter(|first| *first >= 0);
            let last_stable_offset = Offset(undecided.min().unwrap_or(offset + 1));
            let (first_offset, last_offset) = (Offset(first_offset), Offset(offset));
            AbortedTxn { version: 0, producer_id: id, first_offset, last_offset, last_stable_offset }
                .write(&mut segment.txn_index);
        }
    }

    fn put_control(&mut self, segment: &mut Segment, header: RecordBatchHeader, control_type: i16, value: &[u8]) {
        let bytes = control_batch(header, control_type, value);
        segment.append(&bytes, self.next_offset, header.max_timestamp, self.of.index_interval);
        self.next_offset += 1;
    }

    fn put_messages(&mut self, segment: &mut Segment, batch: usize) {
        let magic = self.of.magic;
        let base_timestamp = FIRST_TIMESTAMP + batch as i64 * 1000;
        let is_wrapped = self.codec != Compression::None;
        let attributes = if self.of.append_time && magic == 1 { 0x08 } else { 0 };
        let mut inner = Vec::new();
        for delta in 0..self.of.records {
            let offset = self.next_offset + i64::from(delta);
            let (key, value) = (format!("key-{offset}"), text(offset, self.of.value_size));
            let timestamp = base_timestamp + i64::from(if self.of.append_time { 0 } else { delta });
            let fields = MessageFields {
                // Inside a wrapper of magic 1 offsets count from 0.
                offset: if is_wrapped && magic == 1 { delta.into() } else { offset },
                magic,
                attributes: if is_wrapped { 0 } else { attributes },
                timestamp,
                key: Some(key.as_bytes()),
                value: Some(&value),
            };
            if is_wrapped {
                fields.write(&mut inner);
            } else {
                let mut message = Vec::new();
                fields.write(&mut message);
                let timestamp = if magic == 1 { timestamp } else { -1 };
                segment.append(&message, offset, timestamp, self.of.index_interval);
            }
        }
        let last_offset = self.next_offset + i64::from(self.of.records) - 1;
        if is_wrapped {
            let timestamp = base_timestamp + i64::from(if self.of.append_time { 0 } else { self.of.records - 1 });
            let mut wrapper = Vec::new();
            write_wrapper(&mut wrapper, magic, self.codec, attributes, Offset(last_offset), timestamp, &inner).unwrap();
            let timestamp = if magic == 1 { timestamp } else { -1 };
            segment.append(&wrapper, last_offset, timestamp, self.of.index_interval);
        }
        self.next_offset = last_offset + 1;
    }

    fn put_leader_change(&mut self, segment: &mut Segment) {
        let mut value = Vec::new();
        let voters = || std::iter::once(VoterId(1));
        put_leader_change(&mut value, 0, 1, voters(), voters());
        let mut header = self.header(FIRST_TIMESTAMP);
        header.attributes = 0x20;
        self.put_control(segment, header, control::LEADER_CHANGE, &value);
    }

    /// A snapshot of the metadata up to the start of the log, where that is not 0; and the state of the quorum.
    fn write_kraft_snapshot(&self, dir: &Path) {
        let state = r#"{"leaderId":1,"leaderEpoch":1,"votedId":-1,"votedDirectoryId":"AAAAAAAAAAAAAAAAAAAAAA","data_version":1}"#;
        write(&dir.join("quorum-state"), state.as_bytes());
        if self.of.start == 0 {
            return;
        }
        let control = |offset: i64, record: ControlRecord<'_>| {
            let mut value = Vec::new();
            record.write_value(&mut value);
            let mut header = RecordBatchBuilder::plain_header(Offset(offset), FIRST_TIMESTAMP);
            header.attributes = 0x20;
            control_batch(header, record.control_type(), &value)
        };
        let last_contained_log_timestamp = FIRST_TIMESTAMP;
        let mut bytes = control(0, ControlRecord::SnapshotHeader { version: 0, last_contained_log_timestamp });
        let header = RecordBatchBuilder::plain_header(Offset(1), FIRST_TIMESTAMP);
        let mut data = RecordBatchBuilder::new(header, Compression::None);
        for offset_delta in 0..5 {
            let value = Some(&b"\x01\x14\x00\x00"[..]);
            data.push(&RecordFields { offset_delta, value, ..RecordFields::default() });
        }
        data.write(&mut bytes).unwrap();
        bytes.extend(control(6, ControlRecord::SnapshotFooter { version: 0 }));
        write(&dir.join(format!("{:020}-{:010}.checkpoint", self.of.start, 1)), &bytes);
    }
}

/// A batch with one control record.
fn control_batch(header: RecordBatchHeader, control_type: i16, value: &[u8]) -> Vec<u8> {
    let mut key = Vec::new();
    ControlKey { version: 0, control_type }.write(&mut key);
    let mut payload = Vec::new();
    RecordFields { key: Some(&key), value: Some(value), ..RecordFields::default() }.write(&mut payload);
    let mut bytes = Vec::new();
    write_batch(RecordBatchHeader { records_count: 1, ..header }, &payload, &mut bytes);
    bytes
}

/// Letters that differ from record to record and compress a little.
fn text(seed: i64, size: usize) -> Vec<u8> {
    let mut state = (seed as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let letters = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        b"abcdefghijklmnop"[(state >> 40) as usize % 16]
    });
    letters.take(size).collect()
}

fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// Gives every file the time at which the broker was closed: brokers take it where a time index is empty.
fn set_times(root: &Path) {
    for path in files(root) {
        set_modified(&path, CLOSED_AT);
    }
}

/// Sets when a file was last changed, in milliseconds since 1970.
pub fn set_modified(path: &Path, milliseconds: i64) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds as u64);
    File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

/// All files below a directory, in order.
pub fn files(root: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path);
        }
    }
    found
}
