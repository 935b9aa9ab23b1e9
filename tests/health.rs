//! Nothing that a real broker has written is called wrong: no error and no warning about any log or index, at any depth.
//!
//! Among them are indexes of followers, of which Kafka's own tool calls many an entry a mismatch; logs that were
//! compacted, cut and followed; those of brokers that were killed, with preallocated indexes; and messages of old magics.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use kfsck::check::segment::{SegmentTask, Worker};
use kfsck::check::{Depth, Id, Setting, Severity};
use kfsck::store::ReadPolicy;
use kfsck::store::partition::PartitionDir;

/// What was looked at.
#[derive(Default)]
struct Looked {
    segments: u64,
    batches: u64,
    entries: u64,
    bytes: u64,
    not_canonical: u64,
}

#[test]
fn nothing_that_a_broker_has_written_is_called_wrong() {
    for collection in support::collections() {
        for depth in [Depth::Quick, Depth::Checksums, Depth::Records] {
            let mut partitions = Vec::new();
            for scenario in support::scenarios(&collection) {
                directories_with_logs(&scenario.dir, &mut partitions);
            }
            let outcomes = support::in_parallel(partitions, |path| look(&path, depth));
            let mut sum = Looked::default();
            for looked in outcomes.iter().flatten() {
                sum.segments += looked.segments;
                sum.batches += looked.batches;
                sum.entries += looked.entries;
                sum.bytes += looked.bytes;
            }
            let Looked { segments, batches, entries, bytes, .. } = sum;
            let aside = format!("{depth:?}: {segments} segments, {batches} batches, {entries} entries, {bytes} bytes");
            let outcomes: Vec<_> = outcomes.into_iter().map(|outcome| outcome.map(drop)).collect();
            support::report(&format!("partitions in {}", collection.display()), &outcomes, &aside);
            assert!(segments > 100 && batches >= segments && entries > segments && bytes > 100 * segments, "{aside}");
        }
    }
}

/// Of the entries of 2.8.2, 42 of 202 carry the last offset of a later batch than the one at their position; of those of
/// 3.9.0, 31 of 193; of those of 4.4.0 none. They are right.
#[test]
fn what_followers_of_old_releases_have_written_is_mentioned_and_no_more() {
    for collection in support::collections() {
        for (release, expected) in [("2.8.2", 42), ("3.9.0", 31), ("4.4.0", 0)] {
            let scenarios = support::scenarios(&collection);
            let is_meant =
                |scenario: &&support::Scenario| scenario.release == release && scenario.name == "replicas-steady";
            let Some(scenario) = scenarios.iter().find(is_meant) else { continue };
            let mut partitions = Vec::new();
            directories_with_logs(&scenario.dir, &mut partitions);
            let mentioned: u64 =
                partitions.iter().map(|path| look(path, Depth::Checksums).unwrap().not_canonical).sum();
            let is_whole = collection != support::testdata();
            assert!(if is_whole { mentioned == expected } else { mentioned <= expected }, "{release}: {mentioned}");
        }
    }
}

/// All directories below `path` that hold a log.
fn directories_with_logs(path: &Path, found: &mut Vec<PathBuf>) {
    let mut holds_logs = false;
    for entry in fs::read_dir(path).expect("readable") {
        let entry = entry.expect("readable").path();
        if entry.is_dir() {
            directories_with_logs(&entry, found);
        }
        holds_logs |= entry.extension().is_some_and(|extension| extension == "log");
    }
    if holds_logs {
        found.push(path.to_owned());
    }
}

fn look(path: &Path, depth: Depth) -> Result<Looked, String> {
    let partition = PartitionDir::read(path).map_err(|error| error.to_string())?;
    let segments = partition.segments();
    let clean_shutdown = path.parent().is_some_and(|log_dir| log_dir.join(".kafka_cleanshutdown").is_file());
    let setting = Setting { policy: ReadPolicy::default(), depth, clean_shutdown };
    let mut worker = Worker::new(kfsck::format::compression::DEFAULT_LIMIT);
    let mut looked = Looked::default();
    for (at, files) in segments.iter().enumerate() {
        let next_base_offset = segments.get(at + 1).map(|next| next.base_offset);
        let task = SegmentTask { files: *files, next_base_offset, snapshot_offsets: &[], setting, stop: None };
        let judged = worker.judge(&task);
        if let Some(error) = judged.unreadable.first() {
            return Err(error.to_string());
        }
        if let Some(finding) = judged.findings.iter().find(|finding| finding.severity > Severity::Info) {
            return Err(format!("{depth:?}: {finding:?}"));
        }
        // A batch that was not looked at would not be called wrong either.
        if let Some(finding) = judged.findings.iter().find(|finding| finding.id == Id::LogRecordsUndecodable) {
            return Err(format!("{depth:?}: {finding:?}"));
        }
        looked.segments += 1;
        looked.batches += judged.facts.batches;
        looked.entries += judged.entries;
        looked.bytes += judged.bytes;
        for finding in judged.findings.iter().filter(|finding| finding.id == Id::IndexNotCanonical) {
            let count = finding.details.iter().find(|(name, _)| *name == "notCanonicalEntries");
            looked.not_canonical += match count {
                Some((_, kfsck::check::Detail::Unsigned(count))) => *count,
                other => return Err(format!("no count: {other:?}")),
            };
        }
    }
    Ok(looked)
}
