//! `kfsck ls` shows the offsets that the brokers told, the checkpoints as they stand, and the times that Kafka's own tool
//! prints; and it goes on showing them when indexes are wrong or missing and logs end in rubbish.
//!
//! Sources: `offsets` and `replica` lines of `truth.jsonl` (the brokers), `record` lines (the consumer), and the batch lines
//! that the release's `kafka-dump-log` printed (`expected.jsonl`).

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::Value;
use support::{Random, Scenario, Truth};

/// The lines of one type that `kfsck ls` printed, and how it ended.
fn ls(directory: &Path, arguments: &[&str]) -> (Vec<Value>, Option<i32>) {
    let finished = support::kfsck(directory, [&["ls", "--format=json"], arguments].concat());
    (support::json_output(&finished.stdout).expect("JSON lines"), finished.status)
}

fn of_type<'a>(lines: &'a [Value], name: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["type"] == name).collect()
}

fn partition_of(lines: &[Value]) -> &Value {
    let found = of_type(lines, "partition");
    assert_eq!(found.len(), 1, "{lines:?}");
    found[0]
}

/// All partition lines of a log dir by the name of their directory.
fn partitions(log_dir: &Path) -> Result<BTreeMap<String, Value>, String> {
    let (lines, status) = ls(log_dir, &["."]);
    if status != Some(0) {
        return Err(format!("{}: exit status {status:?}", log_dir.display()));
    }
    Ok(of_type(&lines, "partition")
        .into_iter()
        .map(|line| (support::file_name(Path::new(line["dir"].as_str().expect("dir"))), line.clone()))
        .collect())
}

fn same(what: &str, ours: &Value, theirs: Option<i64>) -> Result<(), String> {
    if ours.as_i64() == theirs && ours.is_null() == theirs.is_none() {
        Ok(())
    } else {
        Err(format!("{what} is {ours}, not {theirs:?}"))
    }
}

#[test]
fn offsets_are_those_the_brokers_told_and_checkpoints_those_on_disk() {
    for collection in support::collections() {
        let mut outcomes = Vec::new();
        for scenario in support::scenarios(&collection) {
            let truth = scenario.truth();
            let mut listed: BTreeMap<PathBuf, Result<BTreeMap<String, Value>, String>> = BTreeMap::new();
            let has_replicas = truth.iter().any(|line| matches!(line, Truth::Replica(_)));
            for line in &truth {
                let (log_dir, partition) = match line {
                    Truth::Offsets { partition, .. } if !has_replicas => (scenario.log_dir(None, None), partition),
                    Truth::Replica(replica) => {
                        (scenario.log_dir(replica.state.as_deref(), Some(replica.broker)), &replica.partition)
                    }
                    _ => continue,
                };
                let title = format!("== {} {partition}\n   ", log_dir.display());
                let partitions = listed.entry(log_dir.clone()).or_insert_with(|| partitions(&log_dir));
                let outcome = partitions.clone().and_then(|partitions| {
                    let ours = partitions.get(partition).ok_or("not listed")?;
                    match line {
                        Truth::Offsets { log_start_offset, end_offset, .. } => {
                            same("log start", &ours["logStartOffset"], Some(*log_start_offset))?;
                            same("log end", &ours["logEndOffset"], Some(*end_offset))
                        }
                        Truth::Replica(replica) => {
                            same("log start", &ours["logStartOffset"], Some(replica.log_start_offset))?;
                            same("log end", &ours["logEndOffset"], Some(replica.log_end_offset))?;
                            same("high watermark", &ours["highWatermark"], replica.high_watermark_checkpoint)?;
                            same("recovery point", &ours["recoveryPoint"], replica.recovery_point_checkpoint)?;
                            let epoch = replica.leader_epochs.last().map(|(epoch, _)| i64::from(*epoch));
                            same("epoch", &ours["latestEpoch"], epoch)?;
                            same("segments", &ours["segments"], Some(replica.segments.len() as i64))
                        }
                        _ => Ok(()),
                    }
                });
                outcomes.push(outcome.map_err(|why| format!("{title}{why}")));
            }
        }
        support::report(&format!("partitions in {}", collection.display()), &outcomes, "offsets");
    }
}

/// A batch as `kafka-dump-log` printed it.
#[derive(Clone, Debug)]
struct Batch {
    base_offset: Option<i64>,
    last_offset: i64,
    count: Option<i64>,
    timestamp: i64,
    is_control: bool,
    /// The header holds the timestamp of the first record.
    has_base_timestamp: bool,
}

/// What the real tool printed of the logs of a partition: batches by the file's name.
fn dumped(scenario: &Scenario) -> Vec<(PathBuf, BTreeMap<String, Vec<Batch>>)> {
    let mut found = Vec::new();
    for run in scenario.expected() {
        let is_of_logs = run.arguments.len() == 2 && run.arguments[0] == "--files" && run.arguments[1].contains(".log");
        if !is_of_logs {
            continue;
        }
        let mut files: BTreeMap<String, Vec<Batch>> = BTreeMap::new();
        let mut file = String::new();
        for line in run.stdout.lines() {
            if let Some(name) = line.strip_prefix("Dumping ") {
                file = name.to_owned();
                files.entry(file.clone()).or_default();
            } else if let Some(batch) = batch(line) {
                files.get_mut(&file).expect("a file before its batches").push(batch);
            }
        }
        files.retain(|name, _| name.ends_with(".log"));
        let directory = scenario.log_dir(run.state.as_deref(), run.broker).join(&run.partition);
        found.push((directory, files));
    }
    found
}

fn batch(line: &str) -> Option<Batch> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let after = |key: &str| words.iter().position(|word| *word == key).and_then(|at| words.get(at + 1)).copied();
    let number = |key: &str| after(key).and_then(|word| word.parse::<i64>().ok());
    if !line.starts_with("baseOffset:") && !line.starts_with("offset:") {
        return None;
    }
    Some(Batch {
        base_offset: number("baseOffset:"),
        last_offset: number("lastOffset:").or_else(|| number("offset:"))?,
        count: number("count:"),
        timestamp: ["CreateTime:", "LogAppendTime:", "NoTimestampType:"].into_iter().find_map(number)?,
        is_control: after("isControl:") == Some("true"),
        has_base_timestamp: number("CreateTime:").is_some()
            && number("baseOffset:").is_some()
            && after("deleteHorizonMs:").is_none_or(|horizon| horizon == "OptionalLong.empty"),
    })
}

fn known(timestamp: i64) -> Option<i64> {
    (timestamp != -1).then_some(timestamp)
}

#[test]
fn last_offsets_and_largest_timestamps_of_segments_are_those_that_kafkas_tool_prints() {
    for collection in support::collections() {
        let mut outcomes = Vec::new();
        for scenario in support::scenarios(&collection) {
            for (directory, files) in dumped(&scenario) {
                let (lines, status) = ls(&directory, &["."]);
                let partition = partition_of(&lines);
                let title = format!("== {}\n   ", directory.display());
                if status != Some(0) {
                    outcomes.push(Err(format!("{title}exit status {status:?}")));
                    continue;
                }
                let last = files.values().rev().find_map(|batches| batches.last());
                let last = last.and_then(|batch| known(batch.timestamp));
                let of_partition = same("last timestamp", &partition["lastTimestamp"], last);
                outcomes.push(of_partition.map_err(|why| format!("{title}{why}")));
                let segments = of_type(&lines, "segment");
                for (name, batches) in &files {
                    let base: i64 = name.trim_end_matches(".log").parse().expect("a base offset");
                    let ours = segments.iter().find(|segment| segment["baseOffset"] == base);
                    let outcome = ours.ok_or("not listed".to_owned()).and_then(|ours| {
                        same("last offset", &ours["lastOffset"], batches.last().map(|batch| batch.last_offset))?;
                        let most = batches.iter().filter_map(|batch| known(batch.timestamp)).max();
                        same("max timestamp", &ours["maxTimestamp"], most)
                    });
                    outcomes.push(outcome.map_err(|why| format!("{title}{name}: {why}")));
                }
            }
        }
        support::report(&format!("segments in {}", collection.display()), &outcomes, "times");
    }
}

#[test]
fn the_first_timestamp_is_that_of_the_first_record_a_consumer_got() {
    for collection in support::collections() {
        let mut outcomes = Vec::new();
        for scenario in support::scenarios(&collection) {
            let truth = scenario.truth();
            for (directory, files) in dumped(&scenario) {
                let name = support::file_name(&directory);
                let first = truth.iter().find_map(|line| match line {
                    Truth::Record(record) if record.partition == name => Some(record),
                    _ => None,
                });
                let (Some(first), Some(log_dir)) = (first, directory.parent()) else { continue };
                // The batch that the consumer's first record is in, if it is the batch's first.
                let mut batches = files.values().flatten();
                let ours = partitions(log_dir).map(|partitions| partitions[&name].clone());
                let log_start = ours.as_ref().ok().and_then(|ours| ours["logStartOffset"].as_i64()).unwrap_or(0);
                let batch = batches.find(|batch| batch.last_offset >= log_start && batch.count != Some(0));
                let Some(batch) = batch.filter(|batch| !batch.is_control && batch.last_offset >= first.offset) else {
                    continue;
                };
                let expected = if batch.has_base_timestamp && batch.base_offset == Some(first.offset) {
                    known(first.timestamp)
                } else if !batch.has_base_timestamp {
                    known(batch.timestamp)
                } else {
                    continue;
                };
                let outcome = ours.and_then(|ours| same("first timestamp", &ours["firstTimestamp"], expected));
                outcomes.push(outcome.map_err(|why| format!("== {}\n   {why}", directory.display())));
            }
        }
        support::report(&format!("partitions in {}", collection.display()), &outcomes, "first timestamps");
    }
}

/// A copy of a real partition of several segments, and what is true of it.
struct Copy {
    _dir: tempfile::TempDir,
    partition: PathBuf,
    newest: String,
    whole: Vec<Value>,
}

impl Copy {
    fn new() -> Self {
        let original = support::scenario("3.9.2", "segments").log_dir(None, None).join(PARTITION);
        let dir = tempfile::tempdir().expect("a directory");
        let partition = support::copy_partition(&original, dir.path(), SystemTime::UNIX_EPOCH);
        let mut logs: Vec<String> = fs::read_dir(&partition)
            .expect("readable")
            .map(|entry| support::file_name(&entry.expect("readable").path()))
            .filter_map(|name| name.strip_suffix(".log").map(str::to_owned))
            .collect();
        logs.sort();
        let (whole, status) = ls(&partition, &["."]);
        assert_eq!(status, Some(0));
        Self { _dir: dir, newest: logs.pop().expect("a segment"), partition, whole }
    }

    fn path(&self, suffix: &str) -> PathBuf {
        self.partition.join(format!("{}.{suffix}", self.newest))
    }

    fn listed(&self) -> (Vec<Value>, Option<i32>) {
        ls(&self.partition, &["."])
    }

    /// Everything but what is said about indexes is as in the sound partition.
    #[track_caller]
    fn shows_the_same_log(&self, lines: &[Value]) {
        let without_indexes = |lines: &[Value]| {
            let mut lines: Vec<Value> =
                lines.iter().filter(|line| line["type"] == "partition" || line["type"] == "segment").cloned().collect();
            for line in &mut lines {
                let line = line.as_object_mut().expect("an object");
                // The note is what is said of the end, and asked for by itself.
                for key in ["offsetIndexEntries", "timeIndexEntries", "sizeInBytes", "note"] {
                    line.remove(key);
                }
            }
            lines
        };
        assert_eq!(without_indexes(lines), without_indexes(&self.whole));
    }
}

const PARTITION: &str = "index-every-batch-0";

#[test]
fn wrong_and_missing_indexes_cost_no_right_answer() {
    let copy = Copy::new();
    let log_size = fs::metadata(copy.path("log")).expect("a log").len();
    let mut random = Random(4711);
    for round in 0..60 {
        for suffix in ["index", "timeindex"] {
            let entry = if suffix == "index" { 8 } else { 12 };
            let count = random.below(40) as usize;
            let mut bytes = random.bytes(count * entry + round % 3);
            if suffix == "index" && round % 2 == 0 {
                // Plausible numbers: rising offsets, positions within the log.
                for (at, entry) in bytes.chunks_exact_mut(8).enumerate() {
                    entry[..4].copy_from_slice(&(at as u32 + 1).to_be_bytes());
                    entry[4..].copy_from_slice(&(random.below(log_size) as u32).to_be_bytes());
                }
            }
            fs::write(copy.path(suffix), &bytes).expect("written");
        }
        let (lines, status) = copy.listed();
        assert_eq!(status, Some(0), "an index is not judged here");
        copy.shows_the_same_log(&lines);
    }
    for suffix in ["index", "timeindex"] {
        fs::remove_file(copy.path(suffix)).expect("removed");
    }
    let (lines, status) = copy.listed();
    assert_eq!(status, Some(0));
    copy.shows_the_same_log(&lines);
    let newest = of_type(&lines, "segment").pop().expect("a segment").clone();
    assert!(newest.get("offsetIndexEntries").is_none() && newest.get("timeIndexEntries").is_none());
}

#[test]
fn what_follows_the_last_batch_is_noted_and_the_rest_shown() {
    let copy = Copy::new();
    let whole = fs::read(copy.path("log")).expect("readable");
    let tails: [(&[u8], &str); 3] =
        [(&[0; 5000], "zeroFill"), (&whole[..61], "tornTail"), (&[0xab; 300], "unknownMagic")];
    for (tail, reason) in tails {
        fs::write(copy.path("log"), [&whole, tail].concat()).expect("written");
        let (lines, status) = copy.listed();
        assert_eq!(status, Some(4), "{reason}");
        copy.shows_the_same_log(&lines);
        let damaged = of_type(&lines, "damaged");
        assert_eq!(damaged.len(), 1, "{damaged:?}");
        assert_eq!(damaged[0]["position"], whole.len());
        assert_eq!(damaged[0]["length"], tail.len());
        assert_eq!(damaged[0]["reason"], reason);
        let noted = of_type(&lines, "segment").pop().expect("a segment")["note"].clone();
        let noted = noted.as_str().expect("a note");
        let names = |number: usize| noted.contains(&number.to_string());
        assert!(names(tail.len()) || names(whole.len()), "neither its length nor its position: {noted}");
        // The same, when a log dir is listed, and in words.
        let text = support::kfsck(&copy.partition, ["ls", ".."]);
        let text = String::from_utf8(text.stdout).expect("UTF-8");
        let note = match reason {
            "zeroFill" => "5000 zero bytes at the end in ".to_owned(),
            "tornTail" => "torn tail of 61 B in ".to_owned(),
            _ => format!("damaged at {} in ", whole.len()),
        };
        assert!(text.contains(&note), "{text}");
    }
}

#[test]
fn an_empty_newest_segment_ends_the_log_at_its_base() {
    let copy = Copy::new();
    fs::write(copy.path("log"), b"").expect("written");
    for suffix in ["index", "timeindex"] {
        // Zeros, as in a segment that was just begun.
        fs::write(copy.path(suffix), vec![0; 10_485_760 / 12 * 12]).expect("written");
    }
    let (lines, status) = copy.listed();
    assert_eq!(status, Some(0));
    let base: i64 = copy.newest.parse().expect("a base offset");
    let partition = partition_of(&lines);
    assert_eq!(partition["logEndOffset"], base);
    let newest = of_type(&lines, "segment").pop().expect("a segment");
    assert_eq!(newest["offsetIndexEntries"], 0);
    assert_eq!(newest["timeIndexEntries"], 0);
    assert!(newest.get("lastOffset").is_none() && newest.get("maxTimestamp").is_none());
}

#[test]
fn a_path_a_log_and_a_checkpoint_line_that_are_missing_stop_nothing_else() {
    let dir = tempfile::tempdir().expect("a directory");
    let log_dir = dir.path().join("log-dir");
    let original = support::scenario("3.9.2", "segments").log_dir(None, None);
    support::copy_log_dir(&original, &log_dir, SystemTime::UNIX_EPOCH);
    let sound = partitions(&log_dir).expect("listed");
    let log = log_dir.join(PARTITION).join("00000000000000000000.log");
    fs::remove_file(&log).expect("removed");
    fs::write(log_dir.join("replication-offset-checkpoint"), "0\n2\ntime-gaps 0 5\nrubbish\n").expect("written");
    fs::remove_dir_all(log_dir.join("empty-topic-0")).expect("removed");
    let finished = support::kfsck(&log_dir, ["ls", "-f", "json", ".", "missing"]);
    assert_eq!(finished.status, Some(4 | 8));
    let stderr = String::from_utf8(finished.stderr).expect("UTF-8");
    assert!(stderr.contains("cannot open missing"), "{stderr}");
    let lines = support::json_output(&finished.stdout).expect("JSON");
    let listed = of_type(&lines, "partition");
    assert_eq!(listed.len(), sound.len() - 1);
    let gaps = listed.iter().find(|line| line["topic"] == "time-gaps").expect("listed");
    assert_eq!(gaps["highWatermark"], 5, "the readable lines of a damaged checkpoint count");
    let without_log = listed.iter().find(|line| line["topic"] == "index-every-batch").expect("listed");
    assert_eq!(without_log["sizeInBytes"], 0);
    assert_eq!(of_type(&lines, "damaged").len(), 1);
}

#[test]
fn a_log_end_below_the_checkpoints_is_noted() {
    let dir = tempfile::tempdir().expect("a directory");
    let original = support::scenario("3.9.2", "segments").log_dir(None, None);
    support::copy_log_dir(&original, dir.path(), SystemTime::UNIX_EPOCH);
    fs::write(dir.path().join("replication-offset-checkpoint"), "0\n1\ntime-gaps 0 1000\n").expect("written");
    fs::write(dir.path().join("log-start-offset-checkpoint"), "0\n1\ntime-gaps 0 900\n").expect("written");
    let finished = support::kfsck(dir.path(), ["ls", "-t", "time-*", "."]);
    assert_eq!(finished.status, Some(4));
    let text = String::from_utf8(finished.stdout).expect("UTF-8");
    let line = text.lines().find(|line| line.starts_with("time-gaps-0")).expect("listed");
    assert!(line.contains("log start beyond the log end; high watermark beyond the log end"), "{text}");
}

#[test]
fn directories_that_are_not_in_use_are_shown_with_their_state() {
    let dir = tempfile::tempdir().expect("a directory");
    let original = support::scenario("3.9.2", "segments").log_dir(None, None);
    support::copy_log_dir(&original, dir.path(), SystemTime::UNIX_EPOCH);
    for (partition, state) in [("time-gaps-0", "delete"), ("time-equal-0", "future"), ("index-dense-0", "stray")] {
        let id = "0123456789abcdef0123456789abcdef";
        let aside = dir.path().join(format!("{partition}.{id}-{state}"));
        fs::rename(dir.path().join(partition), aside).expect("renamed");
    }
    let listed = partitions(dir.path()).expect("listed");
    let line = |start: &str| listed.values().find(|line| line["topic"] == start).expect("listed").clone();
    assert_eq!(line("time-gaps")["state"], "delete");
    assert!(line("time-gaps").get("highWatermark").is_none(), "the checkpoint speaks of its successor");
    assert_eq!(line("time-equal")["state"], "future");
    assert!(line("time-equal").get("highWatermark").is_some());
    assert_eq!(line("index-dense")["state"], "stray");
    assert!(line("time-log-append").get("state").is_none());
}

#[test]
fn a_named_segment_file_is_listed_and_another_file_is_answered_with_the_command_that_reads_it() {
    let copy = Copy::new();
    let name = format!("{}.log", copy.newest);
    let (lines, status) = ls(&copy.partition, &[&name, &format!("{}.index", copy.newest)]);
    assert_eq!(status, Some(0));
    let segments = of_type(&lines, "segment");
    assert_eq!(segments.len(), 1);
    let mut expected = of_type(&copy.whole, "segment").pop().expect("a segment").clone();
    expected["dir"] = segments[0]["dir"].clone();
    assert_eq!(*segments[0], expected);
    let other = support::kfsck(&copy.partition, ["ls", "leader-epoch-checkpoint"]);
    assert_eq!(other.status, Some(8));
    assert!(String::from_utf8_lossy(&other.stderr).contains("kfsck dump-log"));
}
