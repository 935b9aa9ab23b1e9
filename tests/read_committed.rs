//! Which records a `read_committed` consumer gets, found by walking over the log, is what the real one got.
//!
//! `truth.jsonl` says of each record that the release's own consumer read with `read_uncommitted`, whether it also got it
//! with `read_committed`, and what the last stable offset was. Compared is every record of every copy of a partition, as
//! far as the copy holds what the leader held: below the high watermark (what the brokers then said, not their
//! checkpoints) and below the point where it diverged. The `.txnindex` files are not looked at.

mod support;

use std::collections::BTreeMap;
use std::path::PathBuf;

use kfsck::format::Offset;
use kfsck::format::compression::Decompressor;
use kfsck::scan::{BatchScan, LogSoFar, ScanOptions, TransactionWalk, Verdict};
use kfsck::store::partition::PartitionDir;
use kfsck::store::{self, ReadPolicy, ReadStorage};
use support::{Scenario, Truth};

/// A copy of a partition, and what is known about it.
struct Case {
    title: String,
    directory: PathBuf,
    log_start_offset: i64,
    /// None: the log end, as there is but one replica.
    high_watermark: Option<i64>,
    /// None where the copy lacks something that the leader had.
    last_stable_offset: Option<i64>,
    /// Below it the copy holds `records`.
    common_end: i64,
    /// By offset.
    records: BTreeMap<i64, String>,
    /// Whether the cleaner may have left other records than on the leader.
    compacted_unlike_the_leader: bool,
}

#[derive(Default)]
struct Counts {
    by_class: BTreeMap<String, usize>,
    last_stable_offsets: usize,
}

#[test]
fn a_read_committed_consumer_gets_what_the_real_one_got() {
    for collection in support::collections() {
        let cases: Vec<Case> = support::scenarios(&collection).iter().flat_map(cases).collect();
        let results =
            support::in_parallel(cases, |case| compare(&case).map_err(|why| format!("== {}\n   {why}", case.title)));
        let (mut outcomes, mut sum) = (Vec::new(), Counts::default());
        for result in results {
            outcomes.push(result.map(|counts| {
                sum.last_stable_offsets += counts.last_stable_offsets;
                counts.by_class.into_iter().for_each(|(class, n)| *sum.by_class.entry(class).or_default() += n);
            }));
        }
        let what = format!("copies of partitions in {}", collection.display());
        let aside = format!("records: {:?}, last stable offsets: {}", sum.by_class, sum.last_stable_offsets);
        support::report(&what, &outcomes, &aside);
        for class in ["committed", "aborted", "beyond-last-stable-offset"] {
            assert!(sum.by_class.contains_key(class), "no record is {class}");
        }
    }
}

fn cases(scenario: &Scenario) -> Vec<Case> {
    let truth = scenario.truth();
    let mut records: BTreeMap<&str, BTreeMap<i64, String>> = BTreeMap::new();
    for line in &truth {
        if let Truth::Record(record) = line {
            let of_partition = records.entry(&record.partition).or_default();
            of_partition.insert(record.offset, record.read_committed.clone());
        }
    }
    let replicated = truth.iter().any(|line| matches!(line, Truth::Replica(_)));
    let mut cases = Vec::new();
    for line in &truth {
        match line {
            Truth::Offsets { partition, log_start_offset, end_offset, last_stable_offset, .. } if !replicated => {
                cases.push(Case {
                    title: format!("{}/{}/{partition}", scenario.release, scenario.name),
                    directory: scenario.log_dir(None, None).join(partition),
                    log_start_offset: *log_start_offset,
                    high_watermark: None,
                    last_stable_offset: Some(*last_stable_offset),
                    common_end: *end_offset,
                    records: records.get(partition.as_str()).cloned().unwrap_or_default(),
                    compacted_unlike_the_leader: false,
                });
            }
            Truth::Replica(replica) => {
                let records = records.get(replica.partition.as_str()).cloned().unwrap_or_default();
                cases.push(replica_case(scenario, replica, records, &truth));
            }
            _ => {}
        }
    }
    cases
}

fn replica_case(
    scenario: &Scenario,
    replica: &support::TruthReplica,
    records: BTreeMap<i64, String>,
    truth: &[Truth],
) -> Case {
    let of_this = |name: &String| *name == replica.partition;
    let last_stable_offset = truth.iter().find_map(|line| match line {
        Truth::Offsets { partition, last_stable_offset, .. } if of_this(partition) => Some(*last_stable_offset),
        _ => None,
    });
    let high_watermark = truth.iter().find_map(|line| match line {
        Truth::Leadership { partition, state, high_watermark, .. } if of_this(partition) && *state == replica.state => {
            Some(*high_watermark)
        }
        _ => None,
    });
    // The first of the two brokers named is the one whose log was truncated afterwards.
    let divergence = truth.iter().find_map(|line| match line {
        Truth::Divergence { partition, brokers, divergent: true, divergence_offset, .. }
            if of_this(partition)
                && brokers.first() == Some(&replica.broker)
                && replica.state.as_deref() == Some("before") =>
        {
            Some(*divergence_offset)
        }
        _ => None,
    });
    let leader = truth.iter().find_map(|line| match line {
        Truth::Replica(other) if other.leader && of_this(&other.partition) && other.state == replica.state => {
            Some(other)
        }
        _ => None,
    });
    let high_watermark = high_watermark.expect("every replicated partition has its leadership told");
    let common_end = divergence.unwrap_or(high_watermark).min(high_watermark).min(replica.log_end_offset);
    let state = replica.state.as_deref();
    Case {
        title: format!(
            "{}/{}/{} broker {} {}",
            scenario.release,
            scenario.name,
            state.unwrap_or_default(),
            replica.broker,
            replica.partition
        ),
        directory: scenario.log_dir(state, Some(replica.broker)).join(&replica.partition),
        log_start_offset: replica.log_start_offset,
        high_watermark: Some(high_watermark),
        last_stable_offset: last_stable_offset.filter(|_| common_end == high_watermark),
        common_end,
        records,
        compacted_unlike_the_leader: leader
            .is_some_and(|leader| leader.cleaner_checkpoint != replica.cleaner_checkpoint),
    }
}

fn compare(case: &Case) -> Result<Counts, String> {
    let logs = logs(case)?;
    let bases: Vec<Offset> = logs.iter().map(|(base_offset, _)| *base_offset).collect();
    let mut walk = TransactionWalk::new(Offset(case.log_start_offset), case.high_watermark.map(Offset), None);
    for (i, (base_offset, log)) in logs.iter().enumerate() {
        walk.segment(&**log, *base_offset, bases.get(i + 1).copied()).map_err(|error| error.to_string())?;
    }
    let outcomes = walk.finish().ok_or("the walk was stopped")?;
    if outcomes.is_uncertain() {
        return Err("a whole log is uncertain".to_owned());
    }
    let mut counts = Counts::default();
    if let Some(expected) = case.last_stable_offset {
        if outcomes.last_stable_offset() != Offset(expected) {
            return Err(format!("last stable offset {}, expected {expected}", outcomes.last_stable_offset()));
        }
        counts.last_stable_offsets = 1;
    }
    let mut found = BTreeMap::new();
    let mut decompressor = Decompressor::default();
    for (base_offset, log) in &logs {
        let options = ScanOptions { bodies: true, ..ScanOptions::default() };
        let mut scan = BatchScan::new(&**log, LogSoFar::segment(*base_offset, None), options);
        while let Some(scanned) = scan.next_batch().map_err(|error| error.to_string())? {
            let class = match outcomes.verdict(scanned.header) {
                Verdict::Control => continue,
                Verdict::Delivered => "committed",
                Verdict::Aborted => "aborted",
                Verdict::BeyondLastStableOffset => "beyond-last-stable-offset",
                Verdict::Unknown => "unknown",
            };
            let batch = scanned.batch().ok_or("a batch is too large")?;
            for record in batch.records(&mut decompressor).map_err(|error| error.to_string())? {
                let Offset(offset) = record.map_err(|error| error.to_string())?.offset;
                if (case.log_start_offset..case.common_end).contains(&offset) {
                    found.insert(offset, class.to_owned());
                }
            }
        }
    }
    let mut expected = case.records.clone();
    expected.retain(|offset, _| *offset < case.common_end);
    if case.compacted_unlike_the_leader {
        expected.retain(|offset, _| found.contains_key(offset));
        found.retain(|offset, _| expected.contains_key(offset));
    }
    if found != expected {
        let wrong = |offset: &&i64| found.get(*offset) != expected.get(*offset);
        let first = found.keys().chain(expected.keys()).filter(wrong).min().copied().unwrap_or_default();
        return Err(format!("offset {first}: {:?}, expected {:?}", found.get(&first), expected.get(&first)));
    }
    found.into_values().for_each(|class| *counts.by_class.entry(class).or_default() += 1);
    Ok(counts)
}

/// The base offset of a segment, and its log.
type Log = (Offset, Box<dyn ReadStorage>);

/// The logs of the partition's segments, in order.
fn logs(case: &Case) -> Result<Vec<Log>, String> {
    let partition = PartitionDir::read(&case.directory).map_err(|error| error.to_string())?;
    let mut logs = Vec::new();
    for segment in partition.segments() {
        let log = segment.log.ok_or("a segment without .log")?;
        let log = store::open(&log.path(), ReadPolicy::default()).map_err(|error| error.to_string())?;
        logs.push((segment.base_offset, log));
    }
    Ok(logs)
}
