//! `kfsck dump-log --records` finds the records that the real consumer got, no more and no fewer, each one equal.
//!
//! `truth.jsonl` holds what the release's own consumer read just before the broker was stopped, whatever became of the
//! records' transactions. Compared are all records that are neither control records nor below the log start offset
//! (segments keep such records until the whole segment goes). What each copy of a partition must hold:
//!
//! * One broker: exactly the records of `truth`, also after SIGKILL: nothing was written after the consumer had read.
//! * One of three brokers: a consumer reads from the leader, up to the high watermark. Below its own log end, the high
//!   watermark and the point where it diverged from the leader, a replica holds exactly the records of `truth`.
//!   - At or above the divergence it holds the `lost` records.
//!   - At or above the high watermark (not yet replicated everywhere) it holds whole acknowledged batches, which
//!     are known by the digest of their values.
//! * A replica that was compacted less or more than its leader: what both hold is equal, and so is the
//!   latest record of each key (a tombstone counts as no record).

mod support;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;
use sha2::{Digest, Sha256};
use support::{Scenario, Truth, TruthRecord, TruthReplica, TruthValue};

/// A copy of a partition, and what is known about it.
struct Case {
    title: String,
    directory: PathBuf,
    log_start_offset: i64,
    log_end_offset: i64,
    /// Below it the copy holds `records`. None: it ends before it or there.
    common_end: Option<i64>,
    records: Vec<TruthRecord>,
    compacted_unlike_the_leader: bool,
    beyond: Beyond,
}

/// What a copy holds at and above `common_end`.
enum Beyond {
    Nothing,
    Lost(Vec<Lost>),
    Acknowledged(Vec<Acknowledged>),
}

#[derive(Clone)]
struct Lost {
    offset: i64,
    leader_epoch: Option<i64>,
    key: Option<TruthValue>,
    value: Option<TruthValue>,
}

#[derive(Clone)]
struct Acknowledged {
    base_offset: i64,
    last_offset: i64,
    sha256_of_values: String,
}

/// A record as kfsck printed it.
#[derive(Debug, PartialEq)]
struct Printed {
    offset: i64,
    timestamp: i64,
    timestamp_type: String,
    leader_epoch: Option<i64>,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

#[test]
fn dump_log_finds_every_record_that_a_consumer_got_and_no_other() {
    for collection in support::collections() {
        let scenarios = support::scenarios(&collection);
        let cases: Vec<Case> = scenarios.iter().flat_map(cases).collect();
        let records: usize = cases.iter().map(|case| case.records.len()).sum();
        let outcomes =
            support::in_parallel(cases, |case| compare(&case).map_err(|why| format!("== {}\n   {why}", case.title)));
        let what = format!("copies of partitions in {}", collection.display());
        support::report(&what, &outcomes, &format!("{records} records"));
    }
}

fn cases(scenario: &Scenario) -> Vec<Case> {
    let truth = scenario.truth();
    let mut offsets = BTreeMap::new();
    let mut records: BTreeMap<String, Vec<TruthRecord>> = BTreeMap::new();
    let mut replicas = Vec::new();
    let mut others = Vec::new();
    for line in truth {
        match line {
            Truth::Offsets { partition, log_start_offset, end_offset, .. } => {
                offsets.insert(partition, (log_start_offset, end_offset));
            }
            Truth::Record(record) => records.entry(record.partition.clone()).or_default().push(record),
            Truth::Replica(replica) => replicas.push(replica),
            other => others.push(other),
        }
    }
    if replicas.is_empty() {
        return offsets
            .into_iter()
            .map(|(partition, (log_start_offset, log_end_offset))| Case {
                title: format!("{}/{}/{partition}", scenario.release, scenario.name),
                directory: scenario.log_dir(None, None).join(&partition),
                log_start_offset,
                log_end_offset,
                common_end: None,
                records: records.remove(&partition).unwrap_or_default(),
                compacted_unlike_the_leader: false,
                beyond: Beyond::Nothing,
            })
            .collect();
    }
    replicas
        .iter()
        .map(|replica| {
            let leader = replicas
                .iter()
                .find(|other| other.leader && other.partition == replica.partition && other.state == replica.state);
            let records = records.get(&replica.partition).cloned().unwrap_or_default();
            replica_case(scenario, replica, leader, records, &others)
        })
        .collect()
}

fn replica_case(
    scenario: &Scenario,
    replica: &TruthReplica,
    leader: Option<&TruthReplica>,
    mut records: Vec<TruthRecord>,
    others: &[Truth],
) -> Case {
    let of_this = |partition: &String| *partition == replica.partition;
    let high_watermark = others.iter().find_map(|line| match line {
        Truth::Leadership { partition, state, high_watermark, .. } if of_this(partition) && *state == replica.state => {
            Some(*high_watermark)
        }
        _ => None,
    });
    let high_watermark = high_watermark.expect("every replicated partition has its leadership told");
    // The first of the two brokers named is the one whose log was truncated afterwards.
    let divergence = others.iter().find_map(|line| match line {
        Truth::Divergence { partition, brokers, divergent: true, divergence_offset, .. }
            if of_this(partition)
                && brokers.first() == Some(&replica.broker)
                && replica.state.as_deref() == Some("before") =>
        {
            Some(*divergence_offset)
        }
        _ => None,
    });
    let common_end = divergence.unwrap_or(high_watermark).min(high_watermark).min(replica.log_end_offset);
    let beyond = if divergence.is_some() {
        let lost = others.iter().filter_map(|line| match line {
            Truth::Lost { partition, offset, leader_epoch, key, value } if of_this(partition) => Some(Lost {
                offset: *offset,
                leader_epoch: leader_epoch.map(i64::from),
                key: key.clone().map(TruthValue::Base64),
                value: value.clone(),
            }),
            _ => None,
        });
        Beyond::Lost(lost.collect())
    } else if replica.log_end_offset > high_watermark {
        let batches = others.iter().filter_map(|line| match line {
            Truth::Acknowledged { partition, base_offset, last_offset, sha256_of_values, .. }
                if of_this(partition) && *base_offset >= high_watermark && *last_offset < replica.log_end_offset =>
            {
                Some(Acknowledged {
                    base_offset: *base_offset,
                    last_offset: *last_offset,
                    sha256_of_values: sha256_of_values.clone(),
                })
            }
            _ => None,
        });
        Beyond::Acknowledged(batches.collect())
    } else {
        Beyond::Nothing
    };
    records.retain(|record| record.offset < common_end);
    let state = replica.state.as_deref();
    Case {
        title: format!(
            "{}/{}/{}broker-{}/{}",
            scenario.release,
            scenario.name,
            state.map_or(String::new(), |state| format!("{state}/")),
            replica.broker,
            replica.partition
        ),
        directory: scenario.log_dir(state, Some(replica.broker)).join(&replica.partition),
        log_start_offset: replica.log_start_offset,
        log_end_offset: replica.log_end_offset,
        common_end: Some(common_end),
        records,
        compacted_unlike_the_leader: leader
            .is_some_and(|leader| leader.cleaner_checkpoint != replica.cleaner_checkpoint),
        beyond,
    }
}

fn compare(case: &Case) -> Result<(), String> {
    let (printed, log_end) = dump(case)?;
    if let Some(end) = log_end
        && end != case.log_end_offset
    {
        return Err(format!("the last batch ends before {end}, the broker's log end is {}", case.log_end_offset));
    }
    let split = case.common_end.map_or(printed.len(), |end| printed.partition_point(|record| record.offset < end));
    let (common, beyond) = printed.split_at(split);
    if case.compacted_unlike_the_leader {
        common_and_latest_agree(common, &case.records)?;
    } else {
        all_agree(common, &case.records)?;
    }
    match &case.beyond {
        Beyond::Nothing => match beyond.first() {
            None => Ok(()),
            Some(record) => Err(format!("offset {}: nothing is known of such a record", record.offset)),
        },
        Beyond::Lost(lost) => lost_agree(beyond, lost),
        Beyond::Acknowledged(batches) => acknowledged_agree(beyond, batches),
    }
}

/// The records printed for a partition, control records and those below the log start left out, and the log end.
fn dump(case: &Case) -> Result<(Vec<Printed>, Option<i64>), String> {
    // Raw keys and values, also of internal topics.
    let arguments = ["dump-log", "--records", "--format=json", "."];
    let ours = support::kfsck(&case.directory, arguments);
    let stderr = String::from_utf8_lossy(&ours.stderr);
    if ours.status != Some(0) {
        return Err(format!("exit status {:?}, stderr: {}", ours.status, stderr.trim_end()));
    }
    let mut records: Vec<Printed> = Vec::new();
    let mut log_end = None;
    let mut batch = Value::Null;
    for line in support::json_output(&ours.stdout)? {
        match line["type"].as_str() {
            Some("batch") => {
                log_end = log_end.max(line["lastOffset"].as_i64().map(|last| last.saturating_add(1)));
                batch = line;
            }
            Some("record") => {
                if line["file"] != batch["file"] || line["position"] != batch["position"] {
                    return Err(format!("a record that does not follow its batch: {line}"));
                }
                if batch["isControl"] == true || line.get("control").is_some_and(|control| !control.is_null()) {
                    continue;
                }
                let record = printed(&line, &batch).map_err(|why| format!("{why}: {line}"))?;
                if record.offset >= case.log_start_offset {
                    if records.last().is_some_and(|last| last.offset >= record.offset) {
                        return Err(format!("offset {} is out of order", record.offset));
                    }
                    records.push(record);
                }
            }
            Some("damaged") => return Err(format!("no file here is damaged: {line}")),
            _ => {}
        }
    }
    Ok((records, log_end))
}

fn printed(line: &Value, batch: &Value) -> Result<Printed, String> {
    let headers = match line.get("headers") {
        None => Vec::new(),
        Some(headers) => {
            headers.as_array().ok_or("headers are not an array")?.iter().map(header).collect::<Result<_, _>>()?
        }
    };
    Ok(Printed {
        offset: line["offset"].as_i64().ok_or("no offset")?,
        timestamp: line["timestamp"].as_i64().unwrap_or(-1),
        timestamp_type: line["timestampType"].as_str().unwrap_or("NoTimestampType").to_owned(),
        leader_epoch: batch["partitionLeaderEpoch"].as_i64().filter(|epoch| *epoch >= 0),
        key: bytes(line.get("key").ok_or("no key")?)?,
        value: bytes(line.get("value").ok_or("no value")?)?,
        headers,
    })
}

fn header(header: &Value) -> Result<(Vec<u8>, Option<Vec<u8>>), String> {
    // A header's key is text by its type, so it may come as a plain string.
    let key = match &header["key"] {
        Value::String(text) => Some(text.clone().into_bytes()),
        key => bytes(key)?,
    };
    let value = bytes(header.get("value").ok_or("a header without value")?)?;
    Ok((key.ok_or("a header without key")?, value))
}

/// `null`, or the bytes of `{"text":…}` or `{"base64":…}`.
fn bytes(value: &Value) -> Result<Option<Vec<u8>>, String> {
    if value.is_null() {
        return Ok(None);
    }
    if let Some(text) = value["text"].as_str() {
        return Ok(Some(text.as_bytes().to_vec()));
    }
    let decoded = value["base64"].as_str().and_then(support::base64);
    let decoded = decoded.ok_or_else(|| format!("neither null, text nor base64: {value}"))?;
    if std::str::from_utf8(&decoded).is_ok() {
        return Err(format!("valid UTF-8 given as base64: {value}"));
    }
    Ok(Some(decoded))
}

fn all_agree(printed: &[Printed], truth: &[TruthRecord]) -> Result<(), String> {
    for (ours, theirs) in printed.iter().zip(truth) {
        if ours.offset != theirs.offset {
            return Err(format!(
                "offset {} is followed by no {} but {}",
                theirs.offset - 1,
                theirs.offset,
                ours.offset
            ));
        }
        record_agrees(ours, theirs)?;
    }
    if printed.len() == truth.len() {
        Ok(())
    } else {
        Err(format!("{} records, the consumer got {}", printed.len(), truth.len()))
    }
}

fn common_and_latest_agree(printed: &[Printed], truth: &[TruthRecord]) -> Result<(), String> {
    let ours: BTreeMap<i64, &Printed> = printed.iter().map(|record| (record.offset, record)).collect();
    for theirs in truth {
        if let Some(ours) = ours.get(&theirs.offset) {
            record_agrees(ours, theirs)?;
        }
    }
    let mut latest_printed = BTreeMap::new();
    for record in printed {
        let key = record.key.clone().ok_or("a compacted topic has no record without key")?;
        latest_printed.insert(key, (record.offset, record.value.is_some()));
    }
    let mut latest_true = BTreeMap::new();
    for record in truth {
        let key = record.key.as_deref().and_then(support::base64).expect("a key");
        latest_true.insert(key, (record.offset, record.value.is_some()));
    }
    latest_printed.retain(|_, (_, live)| *live);
    latest_true.retain(|_, (_, live)| *live);
    if latest_printed == latest_true {
        Ok(())
    } else {
        Err("the latest records of the keys are not those of the leader".to_owned())
    }
}

fn lost_agree(printed: &[Printed], lost: &[Lost]) -> Result<(), String> {
    for (ours, theirs) in printed.iter().zip(lost) {
        same("offset", &ours.offset, &theirs.offset).map_err(|why| format!("lost record: {why}"))?;
        let compared = same("leaderEpoch", &ours.leader_epoch, &theirs.leader_epoch)
            .and_then(|()| bytes_agree("key", &ours.key, &theirs.key))
            .and_then(|()| bytes_agree("value", &ours.value, &theirs.value));
        compared.map_err(|why| format!("lost offset {}: {why}", ours.offset))?;
    }
    same("number of lost records", &printed.len(), &lost.len())
}

fn acknowledged_agree(printed: &[Printed], batches: &[Acknowledged]) -> Result<(), String> {
    let mut rest = printed;
    for batch in batches {
        let count = usize::try_from(batch.last_offset - batch.base_offset + 1).expect("a count");
        let (records, after) = rest.split_at_checked(count).ok_or("fewer records than were acknowledged")?;
        let offsets: Vec<i64> = records.iter().map(|record| record.offset).collect();
        same("offsets", &offsets, &(batch.base_offset..=batch.last_offset).collect())?;
        let mut digest = Sha256::new();
        for record in records {
            digest.update(record.value.as_deref().unwrap_or_default());
        }
        same(
            &format!("digest of the values from {} on", batch.base_offset),
            &hex(&digest.finalize()),
            &batch.sha256_of_values,
        )?;
        rest = after;
    }
    match rest.first() {
        None => Ok(()),
        Some(record) => Err(format!("offset {} was never acknowledged", record.offset)),
    }
}

fn record_agrees(ours: &Printed, theirs: &TruthRecord) -> Result<(), String> {
    let mut headers = Vec::new();
    for header in &theirs.headers {
        let key = support::base64(&header.key).expect("base64");
        headers.push((key, header.value.as_deref().map(|value| support::base64(value).expect("base64"))));
    }
    let compared = same("timestamp", &ours.timestamp, &theirs.timestamp)
        .and_then(|()| same("timestampType", &ours.timestamp_type, &theirs.timestamp_type))
        .and_then(|()| same("leaderEpoch", &ours.leader_epoch, &theirs.leader_epoch.map(i64::from)))
        .and_then(|()| bytes_agree("key", &ours.key, &theirs.key.clone().map(TruthValue::Base64)))
        .and_then(|()| bytes_agree("value", &ours.value, &theirs.value))
        .and_then(|()| same("headers", &ours.headers, &headers));
    compared.map_err(|why| format!("offset {}: {why}", theirs.offset))
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, ours: &T, theirs: &T) -> Result<(), String> {
    if ours == theirs { Ok(()) } else { Err(format!("{what} is {ours:?}, not {theirs:?}")) }
}

fn bytes_agree(what: &str, ours: &Option<Vec<u8>>, theirs: &Option<TruthValue>) -> Result<(), String> {
    match (ours, theirs) {
        (None, None) => Ok(()),
        (Some(ours), Some(TruthValue::Base64(text))) => same(what, ours, &support::base64(text).expect("base64")),
        (Some(ours), Some(TruthValue::Digest { length, sha256 })) => {
            same(&format!("length of the {what}"), &ours.len(), length)
                .and_then(|()| same(&format!("digest of the {what}"), &hex(&Sha256::digest(ours)), sha256))
        }
        (None, Some(_)) => Err(format!("{what} is null, where the consumer got one")),
        (Some(_), None) => Err(format!("{what} is not null, where the consumer got null")),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn base64_is_read_and_everything_else_refused() {
    let read = |text| support::base64(text);
    assert_eq!(read(""), Some(vec![]));
    assert_eq!(read("AP+A"), Some(vec![0x00, 0xff, 0x80]));
    assert_eq!(read("0LrQu9GO0Yc="), Some("ключ".as_bytes().to_vec()));
    assert_eq!(read("b25l"), Some(b"one".to_vec()));
    assert_eq!(read("Zg=="), Some(b"f".to_vec()));
    for wrong in ["A", "Zg=", "Zh==", "A===", "Z g=", "_-AA"] {
        assert_eq!(read(wrong), None, "{wrong}");
    }
}
