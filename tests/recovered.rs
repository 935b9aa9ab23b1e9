//! A recovered segment has the index bytes that Kafka's own recovery writes.
//!
//! `testdata/start/recovered.jsonl.zst` holds what `LogSegment.recover` of 4.4.0 made of every segment of `testdata/real`,
//! each by itself with the files before it as they lie, with two settings of `index.interval.bytes`: per segment its base
//! offset, the size of the log afterwards, the exception (empty for none), the first digits of the SHA-256 of `.index`,
//! `.timeindex` and `.txnindex`, the largest timestamp with its offset, and the producers at its end by id.

mod support;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use kfsck::format::Offset;
use kfsck::format::file_name::FileKind;
use kfsck::scan::recover::{LogRange, RecoverEnd, RecoverOptions, recover};
use kfsck::scan::start::{StartConditions, producers_at};
use kfsck::store::partition::PartitionDir;
use kfsck::store::{self, ReadPolicy};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use support::{in_parallel, report, testdata};

#[derive(Deserialize)]
struct Judged {
    partition: String,
    interval: u32,
    segments: Vec<Segment>,
}

/// Base offset, size, exception, digests of the three indexes, largest timestamp and its offset, producers.
type Segment = (i64, u64, String, String, String, Option<String>, i64, i64, Vec<[i64; 8]>);

/// The time at which producers were looked at, in milliseconds since 1970.
const NOW_MS: i64 = 1_800_000_000_000;

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

fn compare(judged: &Judged) -> Result<usize, String> {
    let dir = PartitionDir::read(&testdata().join(&judged.partition)).unwrap();
    let files = dir.segments();
    for (base_offset, size, exception, offset_index, time_index, txn_index, timestamp, of_timestamp, producers) in
        &judged.segments
    {
        let base_offset = Offset(*base_offset);
        let segment = files.iter().find(|segment| segment.base_offset == base_offset).unwrap();
        let log = store::open(&segment.log.unwrap().path(), ReadPolicy::default()).unwrap();
        let conditions = StartConditions::new(false, NOW_MS);
        let mut state = producers_at(&dir, base_offset, None, conditions, ReadPolicy::default()).unwrap().unwrap();
        let options =
            RecoverOptions { index_interval_bytes: judged.interval, ..RecoverOptions::with_defaults(base_offset) };
        let recovery = recover(LogRange::whole(log.as_ref()), &options, &mut state, |_, _| ()).unwrap();
        let has_txn_index =
            dir.files_of(Some(base_offset)).any(|file| file.name.kind == FileKind::TxnIndex && file.name.canonical);
        let escaped = matches!(recovery.end, RecoverEnd::Escapes(_));
        let ours_txn = (has_txn_index || !recovery.txn_index.is_empty()).then(|| digest(&recovery.txn_index));
        let mut known = state.entries();
        known.sort_by_key(|it| it.producer_id);
        let known: Vec<_> = known
            .iter()
            .map(|it| {
                [
                    it.producer_id,
                    it.producer_epoch.into(),
                    it.last_sequence.into(),
                    it.last_offset,
                    it.offset_delta.into(),
                    it.timestamp,
                    it.coordinator_epoch.into(),
                    it.current_txn_first_offset,
                ]
            })
            .collect();
        let ours = (
            recovery.valid_bytes,
            escaped,
            digest(&recovery.offset_index),
            digest(&recovery.time_index),
            ours_txn,
            recovery.max_timestamp,
            known,
        );
        let theirs = (
            *size,
            !exception.is_empty(),
            offset_index.clone(),
            time_index.clone(),
            txn_index.clone(),
            (*timestamp, Offset(*of_timestamp)),
            producers.clone(),
        );
        if ours != theirs {
            return Err(format!(
                "{} segment {base_offset}, interval {}: {ours:?}, Kafka {theirs:?}",
                judged.partition, judged.interval
            ));
        }
    }
    Ok(judged.segments.len())
}

#[test]
fn the_indexes_of_every_segment_are_those_that_kafka_recovers() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/start/recovered.jsonl.zst");
    let mut lines = String::new();
    zstd::Decoder::new(File::open(file).unwrap()).unwrap().read_to_string(&mut lines).unwrap();
    let judged: Vec<Judged> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let outcomes = in_parallel(judged, |judged| compare(&judged));
    let segments: usize = outcomes.iter().flatten().sum();
    assert!(segments > 400, "{segments} segments");
    let outcomes: Vec<_> = outcomes.into_iter().map(|outcome| outcome.map(|_| ())).collect();
    report("recovered partitions", &outcomes, &format!("{segments} segments"));
}
