//! What the integration tests share: the real log dirs, what is known about them, and running `kfsck` on copies of them.
//!
//! The log dirs in `testdata/real` are enough for every test. `KFSCK_FIXTURES` may name a bigger collection, laid out the
//! same way (`<release>/<scenario>/log-dir` or `log-dirs/[<state>/]broker-<n>`), for the tests that then run over it too.

// Each integration test compiles this module for itself and uses a part of it.
#![allow(dead_code)]

pub mod changing;
pub mod kills;
pub mod sim_disk;

use std::collections::VecDeque;
use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::SystemTime;

use serde::Deserialize;
use serde_json::Value;

/// The real log dirs of this repository: `testdata/real`.
pub fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/real")
}

/// `testdata/real` and, if the environment names it, the collection of `KFSCK_FIXTURES`.
pub fn collections() -> Vec<PathBuf> {
    let more = env::var_os("KFSCK_FIXTURES").filter(|dir| !dir.is_empty()).map(|dir| {
        let dir = PathBuf::from(dir);
        assert!(dir.is_dir(), "KFSCK_FIXTURES: {} is not a directory", dir.display());
        dir
    });
    [testdata()].into_iter().chain(more).collect()
}

/// What one broker (or three) of one release left behind, with what that release's own tools say about it.
pub struct Scenario {
    pub release: String,
    pub name: String,
    /// Holds `log-dir` or `log-dirs`, and the `.jsonl` files.
    pub dir: PathBuf,
}

/// All scenarios of a collection, sorted by release and name.
pub fn scenarios(collection: &Path) -> Vec<Scenario> {
    let mut found = Vec::new();
    for release in subdirectories(collection) {
        for dir in subdirectories(&release) {
            if dir.join("log-dir").is_dir() || dir.join("log-dirs").is_dir() {
                found.push(Scenario { release: file_name(&release), name: file_name(&dir), dir });
            }
        }
    }
    assert!(!found.is_empty(), "no log dirs in {}", collection.display());
    found
}

/// The scenario of `testdata/real` with this release and name.
pub fn scenario(release: &str, name: &str) -> Scenario {
    let dir = testdata().join(release).join(name);
    assert!(dir.is_dir(), "{} is not there", dir.display());
    Scenario { release: release.to_owned(), name: name.to_owned(), dir }
}

impl Scenario {
    /// The log dir of `broker` (none where there was but one) in `state` (none where there is but one).
    pub fn log_dir(&self, state: Option<&str>, broker: Option<u32>) -> PathBuf {
        match broker {
            None => self.dir.join("log-dir"),
            Some(broker) => self.dir.join("log-dirs").join(state.unwrap_or("")).join(format!("broker-{broker}")),
        }
    }

    /// What the release's consumer and broker said about the partitions just before the stop.
    pub fn truth(&self) -> Vec<Truth> {
        json_lines(&self.dir, "truth.jsonl")
    }

    /// What `kafka-dump-log` printed; empty where it was not asked.
    pub fn expected(&self) -> Vec<Run> {
        json_lines(&self.dir, "expected.jsonl")
    }

    /// `2.8`, `3.9` or `4.3`: the `--kafka-format` of the tool that printed [`Scenario::expected`].
    pub fn kafka_format(&self) -> &'static str {
        match self.release.as_str() {
            "2.8.2" => "2.8",
            "3.9.0" | "3.9.2" => "3.9",
            // The tool of 4.4.0 had not been published when its log dirs were dumped: 4.3.1 did it.
            "4.4.0" => "4.3",
            other => panic!("which kafka-dump-log printed the goldens of {other}?"),
        }
    }
}

/// One run of the real `kafka-dump-log`, made inside the partition directory.
#[derive(Clone, Deserialize)]
pub struct Run {
    pub state: Option<String>,
    pub broker: Option<u32>,
    pub partition: String,
    pub arguments: Vec<String>,
    pub exit: i32,
    /// `@DIR@` stands for the absolute path of the partition directory, here and in `stderr`.
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    /// Whether an internal topic's records were to be decoded.
    pub fn decodes(&self) -> bool {
        self.arguments.iter().any(|argument| argument.ends_with("-decoder"))
    }
}

/// One line of `truth.jsonl`. Bytes are base64.
#[derive(Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Truth {
    Offsets {
        partition: String,
        log_start_offset: i64,
        end_offset: i64,
        last_stable_offset: i64,
        release: String,
    },
    Record(TruthRecord),
    Lookup {
        partition: String,
        timestamp: i64,
        found_offset: Option<i64>,
        found_timestamp: Option<i64>,
        leader_epoch: Option<i32>,
    },
    MaxTimestamp {
        partition: String,
        found_offset: Option<i64>,
        found_timestamp: Option<i64>,
        leader_epoch: Option<i32>,
    },
    Producer {
        partition: String,
        producer_id: i64,
        producer_epoch: i32,
        last_sequence: i32,
        last_timestamp: i64,
        current_transaction_start_offset: Option<i64>,
        coordinator_epoch: Option<i32>,
    },
    Leadership {
        partition: String,
        state: Option<String>,
        leader: u32,
        isr: Vec<u32>,
        replicas: Vec<u32>,
        high_watermark: i64,
    },
    Replica(TruthReplica),
    Acknowledged {
        partition: String,
        written: String,
        acks: Value,
        base_offset: i64,
        last_offset: i64,
        /// Of the values of the batch, one after the other.
        sha256_of_values: String,
    },
    Divergence {
        partition: String,
        brokers: Vec<u32>,
        divergent: bool,
        divergence_offset: i64,
        log_end_offsets: Vec<i64>,
        leader_epochs: Vec<Vec<(i32, i64)>>,
        truncated_to: Vec<i64>,
        lost_offsets: Option<(i64, i64)>,
        equal_afterwards: bool,
    },
    Lost {
        partition: String,
        offset: i64,
        leader_epoch: Option<i32>,
        key: Option<String>,
        value: Option<TruthValue>,
    },
}

/// A record as the release's consumer got it.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TruthRecord {
    pub partition: String,
    pub offset: i64,
    /// Milliseconds; -1 with `NoTimestampType`.
    pub timestamp: i64,
    pub timestamp_type: String,
    pub leader_epoch: Option<i32>,
    /// `committed`, `aborted` or `beyond-last-stable-offset`.
    pub read_committed: String,
    pub key: Option<String>,
    pub value: Option<TruthValue>,
    pub headers: Vec<TruthHeader>,
}

#[derive(Clone, Deserialize)]
pub struct TruthHeader {
    pub key: String,
    pub value: Option<String>,
}

/// A value in full, or what is left to compare of a long one.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub enum TruthValue {
    Base64(String),
    Digest { length: usize, sha256: String },
}

/// One broker's copy of a partition, as the broker and its checkpoints had it.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TruthReplica {
    pub partition: String,
    pub state: Option<String>,
    pub broker: u32,
    pub leader: bool,
    pub isr: bool,
    pub log_start_offset: i64,
    pub log_end_offset: i64,
    pub high_watermark_checkpoint: Option<i64>,
    pub recovery_point_checkpoint: Option<i64>,
    pub log_start_checkpoint: Option<i64>,
    pub cleaner_checkpoint: Option<i64>,
    pub leader_epochs: Vec<(i32, i64)>,
    pub segments: Vec<i64>,
    pub clean: bool,
}

/// What one process said and how it ended.
pub struct Finished {
    /// The exit status; none if a signal ended it.
    pub status: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

/// `kfsck`, with nothing in the environment that changes what it prints.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kfsck"));
    for name in ["KFSCK_JOBS", "KFSCK_IO", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "CI", "RUST_BACKTRACE"]
    {
        command.env_remove(name);
    }
    command
}

/// Runs `kfsck` in a directory, with an environment that cannot change what it prints, and with nothing on standard input.
pub fn kfsck<A: AsRef<OsStr>>(directory: &Path, arguments: impl IntoIterator<Item = A>) -> Finished {
    let output = program().args(arguments).current_dir(directory).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("kfsck cannot be started in {}: {error}", directory.display()));
    Finished { status: output.status.code(), stdout: output.stdout, stderr: output.stderr }
}

/// The JSON lines that a command printed with `--format json`.
pub fn json_output(stdout: &[u8]) -> Result<Vec<Value>, String> {
    let text = std::str::from_utf8(stdout).map_err(|error| format!("JSON output is not UTF-8: {error}"))?;
    text.lines()
        .map(|line| serde_json::from_str(line).map_err(|error| format!("not a JSON line ({error}): {line}")))
        .collect()
}

/// Reads `<name>` or `<name>.zst` in `directory`, one value a line. No lines if neither is there.
fn json_lines<T: for<'de> Deserialize<'de>>(directory: &Path, name: &str) -> Vec<T> {
    let plain = directory.join(name);
    let compressed = directory.join(format!("{name}.zst"));
    let mut text = String::new();
    if plain.is_file() {
        text = fs::read_to_string(&plain).expect("readable");
    } else if compressed.is_file() {
        let file = File::open(&compressed).expect("readable");
        zstd::Decoder::new(file).expect("a zstd frame").read_to_string(&mut text).expect("compressed UTF-8");
    }
    text.lines()
        .enumerate()
        .map(|(i, line)| {
            serde_json::from_str(line).unwrap_or_else(|e| panic!("{} line {}: {e}", plain.display(), i + 1))
        })
        .collect()
}

/// Copies the files of a partition directory into `log_dir`, under its own name, all last modified at `modified`.
///
/// Version control keeps no modification times, and a broker's answer can depend on them: a test sets those it relies on.
pub fn copy_partition(partition: &Path, log_dir: &Path, modified: SystemTime) -> PathBuf {
    let copy = log_dir.join(partition.file_name().expect("a partition has a name"));
    fs::create_dir_all(&copy).expect("the copy can be made");
    for entry in fs::read_dir(partition).expect("a partition directory") {
        let file = entry.expect("readable").path();
        if file.is_file() {
            let into = copy.join(file.file_name().expect("a file has a name"));
            // Not fs::copy: the original's mode (a checkout may be read-only) is not wanted.
            fs::write(&into, fs::read(&file).expect("readable")).expect("the copy can be written");
            set_modified(&into, modified);
        }
    }
    copy
}

/// Copies a log dir, its own files (checkpoints, `meta.properties`, the clean shutdown mark) and all its partitions.
pub fn copy_log_dir(log_dir: &Path, into: &Path, modified: SystemTime) {
    fs::create_dir_all(into).expect("the copy can be made");
    for entry in fs::read_dir(log_dir).expect("a log dir") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            copy_partition(&path, into, modified);
        } else {
            let copy = into.join(path.file_name().expect("a file has a name"));
            fs::write(&copy, fs::read(&path).expect("readable")).expect("the copy can be written");
            set_modified(&copy, modified);
        }
    }
}

/// Sets a file's last modification.
pub fn set_modified(file: &Path, modified: SystemTime) {
    let file = File::options().write(true).open(file).expect("the file can be opened");
    file.set_modified(modified).expect("the time can be set");
}

/// `work` on every item, in as many threads as there are cores; results in the order of the items.
pub fn in_parallel<T: Send, R: Send>(items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let queue: Mutex<VecDeque<(usize, T)>> = Mutex::new(items.into_iter().enumerate().collect());
    let results = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().expect("no thread panicked").pop_front();
                    let Some((i, item)) = next else { break };
                    let result = work(item);
                    results.lock().expect("no thread panicked").push((i, result));
                }
            });
        }
    });
    let mut results = results.into_inner().expect("no thread panicked");
    results.sort_by_key(|(i, _)| *i);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Fails with how many agree and the first few that do not, each explained; prints the count otherwise.
pub fn report(what: &str, outcomes: &[Result<(), String>], aside: &str) {
    let failures: Vec<&String> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
    let agree = outcomes.len() - failures.len();
    let aside = if aside.is_empty() { String::new() } else { format!(" ({aside})") };
    let count = format!("{agree} of {} {what} agree{aside}", outcomes.len());
    println!("{count}");
    assert!(!outcomes.is_empty(), "no {what} found");
    if !failures.is_empty() {
        let shown = 8;
        let first: Vec<String> = failures.iter().take(shown).map(|failure| format!("\n{failure}")).collect();
        let rest = failures.len().saturating_sub(shown);
        let rest = if rest > 0 { format!("\n… and {rest} more") } else { String::new() };
        panic!("{count}\n{}{rest}", first.concat());
    }
}

/// The bytes that padded standard base64 (RFC 4648) stands for; none if the text is no such thing.
pub fn base64(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let digits = text.trim_end_matches('=');
    if text.len() - digits.len() > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0_u32, 0);
    for digit in digits.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    (bits == 0).then_some(bytes)
}

/// Random numbers that are the same in every run (SplitMix64).
pub struct Random(pub u64);

impl Random {
    /// The next number, of all that there are.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// That many bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}

/// The directories in a directory, sorted.
pub fn subdirectories(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap_or_else(|e| panic!("{}: {e}", directory.display()));
    let mut found: Vec<PathBuf> = entries.map(|e| e.expect("readable").path()).filter(|path| path.is_dir()).collect();
    found.sort();
    found
}

/// The last part of a path, as text.
pub fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
