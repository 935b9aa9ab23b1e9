//! The crate `kafka-protocol`, written by others, decodes the batches of real brokers to the same records as kfsck.
//!
//! Compared are all batches with magic 2; it knows no older ones. Not all of a record can be compared:
//!
//! * It keeps headers in a map, which loses all but the last of headers with the same key. So a record's headers are
//!   compared after kfsck's list has gone through the same loss.
//! * It knows no time of append: in such batches it shows the producer's. There kfsck's timestamps are compared with the
//!   header's maximum timestamp, which is what the format says they are.
//! * It decompresses before it counts, so a batch that compaction has emptied is compared by its header alone.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use kafka_protocol::records::{BatchDecodeInfo, Record as TheirRecord, RecordBatchDecoder, TimestampType as TheirType};
use kfsck::format::Position;
use kfsck::format::batch::{BatchHeader, RecordBatch, RecordBatchHeader, TimestampType};
use kfsck::format::compression::Decompressor;
use kfsck::format::record::Record;
use kfsck::scan::{BatchScan, LogSoFar, ScanEnd, ScanOptions};
use kfsck::store::mem::MemoryStorage;

/// What was compared.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    batches: usize,
    legacy: usize,
    emptied: usize,
    records: usize,
    headers: usize,
    repeated_headers: usize,
}

impl Counts {
    fn add(&mut self, other: &Counts) {
        self.batches += other.batches;
        self.legacy += other.legacy;
        self.emptied += other.emptied;
        self.records += other.records;
        self.headers += other.headers;
        self.repeated_headers += other.repeated_headers;
    }
}

#[test]
fn another_decoder_finds_the_same_records_in_every_batch_of_magic_2() {
    for collection in support::collections() {
        let mut logs = Vec::new();
        find_logs(&collection, &mut logs);
        let outcomes = support::in_parallel(logs, |log| {
            compare_log(&log)
                .map_err(|why| format!("== {}\n   {why}", log.strip_prefix(&collection).unwrap().display()))
        });
        let mut all = Counts::default();
        outcomes.iter().flatten().for_each(|counts| all.add(counts));
        let outcomes: Vec<Result<(), String>> = outcomes.into_iter().map(|outcome| outcome.map(|_| ())).collect();
        support::report(&format!("logs in {}", collection.display()), &outcomes, &format!("{all:?}"));
        assert!(all.batches > 0 && all.records > 0 && all.headers > 0, "too little was compared: {all:?}");
    }
}

/// Appends the `.log` files below `directory`, sorted.
fn find_logs(directory: &Path, logs: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(directory).expect("readable");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            find_logs(&path, logs);
        } else if path.extension().is_some_and(|extension| extension == "log") {
            logs.push(path);
        }
    }
}

fn compare_log(path: &Path) -> Result<Counts, String> {
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    let storage = MemoryStorage::new(path, bytes.clone());
    let options = ScanOptions { bodies: true, ..ScanOptions::default() };
    let mut scan = BatchScan::new(&storage, LogSoFar::unknown(), options);
    let mut decompressor = Decompressor::default();
    let mut counts = Counts::default();
    while let Some(found) = scan.next_batch().map_err(|error| error.to_string())? {
        let BatchHeader::RecordBatch(header) = found.header else {
            counts.legacy += 1;
            continue;
        };
        let batch = found.batch().ok_or("a batch is shown without its bytes")?;
        let at = |why: String| format!("batch at {}: {why}", found.position);
        let theirs = &bytes[found.position.0 as usize..][..batch.bytes().len()];
        counts.batches += 1;
        compare_batch(header, &batch, theirs, &mut decompressor, &mut counts).map_err(at)?;
    }
    match scan.end() {
        // A broker that was killed leaves these.
        Some(ScanEnd::CleanEof | ScanEnd::TornTail { .. } | ScanEnd::ZeroFill { .. }) => Ok(counts),
        end => Err(format!("the walk ended with {end:?} at {}", Position(bytes.len() as u64))),
    }
}

fn compare_batch(
    header: &RecordBatchHeader,
    batch: &RecordBatch<'_>,
    bytes: &[u8],
    decompressor: &mut Decompressor,
    counts: &mut Counts,
) -> Result<(), String> {
    let infos = RecordBatchDecoder::decode_batch_info(&mut &*bytes).map_err(|error| format!("{error:#}"))?;
    let [info] = &infos[..] else { return Err(format!("they see {} batches", infos.len())) };
    compare_header(header, batch.header(), info)?;
    let ours = batch.records(decompressor).map_err(|error| error.to_string())?;
    let ours: Vec<Record<'_>> = ours.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
    if header.records_count == 0 {
        counts.emptied += 1;
        return same("records of an emptied batch", ours.len(), 0);
    }
    let theirs = RecordBatchDecoder::decode(&mut &*bytes).map_err(|error| format!("{error:#}"))?.records;
    same("number of records", ours.len(), theirs.len())?;
    same("number of records claimed", ours.len(), header.records_count as usize)?;
    for (ours, theirs) in ours.iter().zip(&theirs) {
        compare_record(header, batch.header(), ours, theirs).map_err(|why| format!("offset {}: {why}", ours.offset))?;
        counts.records += 1;
        counts.headers += theirs.headers.len();
        counts.repeated_headers += ours.headers.len() - theirs.headers.len();
    }
    Ok(())
}

fn compare_header(stored: &RecordBatchHeader, ours: &BatchHeader, theirs: &BatchDecodeInfo) -> Result<(), String> {
    same("base offset", stored.base_offset, theirs.min_offset)?;
    same("base timestamp", stored.base_timestamp, theirs.min_timestamp)?;
    same("base sequence", stored.base_sequence, theirs.base_sequence)?;
    same("leader epoch", stored.partition_leader_epoch, theirs.partition_leader_epoch)?;
    same("producer id", stored.producer_id, theirs.producer_id)?;
    same("producer epoch", stored.producer_epoch, theirs.producer_epoch)?;
    same("records count", stored.records_count, theirs.record_count)?;
    same("transactional", ours.is_transactional(), theirs.transactional)?;
    same("control", ours.is_control(), theirs.control)?;
    same("delete horizon", stored.delete_horizon_ms().is_some(), theirs.delete_horizon)?;
    same("compression", ours.compression().ok().map(|codec| codec.id()), Some(theirs.compression as u8))?;
    same("append time", ours.timestamp_type() == TimestampType::LogAppendTime, append_time(theirs.timestamp_type))
}

fn compare_record(
    stored: &RecordBatchHeader,
    header: &BatchHeader,
    ours: &Record<'_>,
    theirs: &TheirRecord,
) -> Result<(), String> {
    same("offset", ours.offset.0, theirs.offset)?;
    let expected = if append_time(theirs.timestamp_type) { stored.max_timestamp } else { theirs.timestamp };
    same("timestamp", ours.timestamp.unwrap_or(-1), expected)?;
    same("timestamp type", ours.timestamp_type, header.timestamp_type())?;
    if let Some(sequence) = ours.sequence {
        same("sequence", sequence, theirs.sequence)?;
    }
    same("key", ours.key, theirs.key.as_deref())?;
    same("value", ours.value, theirs.value.as_deref())?;
    let mut in_a_map: Vec<(&[u8], Option<&[u8]>)> = Vec::new();
    for header in ours.headers.iter() {
        match in_a_map.iter_mut().find(|(key, _)| *key == header.key) {
            Some((_, value)) => *value = header.value,
            None => in_a_map.push((header.key, header.value)),
        }
    }
    let theirs: Vec<(&[u8], Option<&[u8]>)> =
        theirs.headers.iter().map(|(key, value)| (key.as_bytes(), value.as_deref())).collect();
    same("headers", in_a_map, theirs)
}

fn append_time(timestamp_type: TheirType) -> bool {
    timestamp_type == TheirType::LogAppend
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, ours: T, theirs: T) -> Result<(), String> {
    if ours == theirs { Ok(()) } else { Err(format!("{what}: {ours:?} here, {theirs:?} there")) }
}
