//! `kfsck` beside Kafka's own `kafka-dump-log`, as whole processes: batches, records, records with their contents, a
//! time index.
//!
//! Needs `java` and the jars of Kafka, in the directories that `KFSCK_KAFKA_JARS` lists: `libs` of an unpacked
//! release, separated by colons. Without them there is nothing to compare with, and a line says so.

mod support;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::data::Segment;
use support::process::{KFSCK, peak_in_bytes, run};
use support::{Bench, Variant, Work};

/// What the scripts of a Kafka release give to the JVM of a tool.
const JVM_OPTIONS: [&str; 7] = [
    "-Xmx256M",
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-Djava.awt.headless=true",
];
/// How long the slowest of them may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The segment whose time index is looked through.
const QUARTER: Segment = Segment { name: "quarter", raw_bytes: 256 << 20, ..Segment::LARGE_BATCHES };

fn main() {
    let bench = Bench::start();
    let jars = std::env::var("KFSCK_KAFKA_JARS").unwrap_or_default();
    if jars.is_empty() {
        println!("kafka-dump-log skipped: KFSCK_KAFKA_JARS does not name the directories of its jars");
    }
    for directory in jars.split(':').filter(|directory| !directory.is_empty()) {
        match Peer::find(directory) {
            Ok(peer) => compare(&bench, &peer),
            Err(reason) => println!("kafka-dump-log skipped: {reason}"),
        }
    }
}

/// A `kafka-dump-log`.
struct Peer {
    version: String,
    /// The command without its arguments.
    command: Vec<String>,
    /// Whether it is the one that looks from every entry of a time index at the whole rest of the log.
    is_rewritten: bool,
}

impl Peer {
    /// The one whose jars lie in `directory`; or why there is none.
    fn find(directory: &str) -> Result<Self, String> {
        let names = std::fs::read_dir(directory).map_err(|error| format!("{directory}: {error}"))?;
        let names: Vec<_> = names.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
        let version_of = |jar: &str| {
            let version = |name: &String| Some(name.strip_prefix(jar)?.strip_suffix(".jar")?.to_owned());
            names.iter().filter_map(version).find(|version| version.starts_with(|first: char| first.is_ascii_digit()))
        };
        let version = version_of("kafka-clients-").ok_or_else(|| format!("{directory}: no jars of Kafka"))?;
        let numbers: Vec<u32> = version.split('.').filter_map(|number| number.parse().ok()).collect();
        let is_rewritten = numbers >= vec![4, 3];
        let class = if is_rewritten { "org.apache.kafka.tools.DumpLogSegments" } else { "kafka.tools.DumpLogSegments" };
        let class_path = format!("{directory}/*");
        let words = ["java"].into_iter().chain(JVM_OPTIONS).chain(["-cp", &class_path, class]);
        let peer = Self { command: words.map(str::to_owned).collect(), version, is_rewritten };
        // Brings the JVM and the jars into the page cache as well.
        let status = peer.start(&["--version"]).and_then(|mut child| child.wait());
        match status {
            Ok(status) if status.success() => Ok(peer),
            Ok(_) => Err(format!("{directory}: no kafka-dump-log of Kafka {}", peer.version)),
            Err(error) => Err(format!("java: {error}")),
        }
    }

    fn start(&self, args: &[&str]) -> std::io::Result<std::process::Child> {
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]).args(args);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
    }

    /// Runs it to its end.
    fn run(&self, args: &[&str]) {
        assert!(self.start(args).and_then(|mut child| child.wait()).expect("java").success(), "{args:?}");
    }

    /// Runs it to its end, or stops it when patience does.
    fn run_with_patience(&self, args: &[&str]) {
        let mut child = self.start(args).expect("java");
        let start = Instant::now();
        loop {
            match child.try_wait().expect("java") {
                Some(status) => return assert!(status.success(), "{args:?}"),
                None if start.elapsed() > PATIENCE => break,
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
        child.kill().and_then(|()| child.wait()).expect("it can be stopped");
    }

    /// How many lines of its output begin with `prefix`.
    fn lines(&self, args: &[&str], prefix: &str) -> u64 {
        let output = Command::new(&self.command[0]).args(&self.command[1..]).args(args).output().expect("java");
        let is_such = |line: &&[u8]| line.starts_with(prefix.as_bytes());
        output.stdout.split(|byte| *byte == b'\n').filter(is_such).count() as u64
    }
}

/// One thing that both are asked to do.
struct Task {
    title: &'static str,
    segment: Segment,
    theirs: &'static [&'static str],
    ours: &'static [&'static str],
    /// In how many rounds theirs runs.
    rounds: usize,
    target: f64,
}

const NO_CONTENTS: [&str; 4] = ["--key-format", "none", "--value-format", "none"];
const WITHOUT: &[&str] = &["dump-log", "-r", NO_CONTENTS[0], NO_CONTENTS[1], NO_CONTENTS[2], NO_CONTENTS[3]];

const TASKS: [Task; 4] = [
    Task {
        title: "batches, 14 KB each, 1 GiB",
        segment: Segment::LARGE_BATCHES,
        theirs: &[],
        ours: &["dump-log"],
        rounds: usize::MAX,
        target: 15.0,
    },
    Task {
        title: "batches, 0.9 KB each, 1 GiB",
        segment: Segment::SMALL_BATCHES,
        theirs: &[],
        ours: &["dump-log"],
        rounds: 3,
        target: 25.0,
    },
    Task {
        title: "a line a record, 1 GiB",
        segment: Segment::LARGE_BATCHES,
        theirs: &["--deep-iteration"],
        ours: WITHOUT,
        rounds: 2,
        target: 45.0,
    },
    Task {
        title: "records with keys and values, 1 GiB",
        segment: Segment::LARGE_BATCHES,
        theirs: &["--print-data-log"],
        ours: &["dump-log", "-r"],
        rounds: 2,
        target: 70.0,
    },
];

fn compare(bench: &Bench, peer: &Peer) {
    for task in &TASKS {
        compare_dumps(bench, peer, task);
    }
    compare_index(bench, peer);
    compare_memory(bench, peer);
}

fn compare_dumps(bench: &Bench, peer: &Peer, task: &Task) {
    let title = format!("kafka-dump-log {}: {}", peer.version, task.title);
    if !bench.wants(&title) {
        return;
    }
    let file = bench.file(&task.segment);
    let theirs = [task.theirs, &["--files", &file.path]].concat();
    let ours = [&[KFSCK], task.ours, &[file.path.as_str()]].concat();
    if bench.is_test() && !task.theirs.is_empty() {
        assert_eq!(peer.lines(&theirs, "| offset:"), file.records, "{theirs:?}");
    }
    let name = ["kafka-dump-log", task.theirs.first().unwrap_or(&"")].join(" ");
    let own_name = ["kfsck", &task.ours.join(" ")].join(" ");
    let variants = vec![
        Variant::new(name.trim_end(), || peer.run(&theirs)).at_most_in(task.rounds),
        Variant::new(&own_name, || run(&ours)).at_least(task.target).on_two_cores(),
    ];
    bench.compare(&title, Work::Once, variants);
}

fn compare_index(bench: &Bench, peer: &Peer) {
    let title = format!("kafka-dump-log {}: the time index of a segment of 256 MiB", peer.version);
    if !bench.wants(&title) {
        return;
    }
    let partition = bench.partition(&QUARTER, 1);
    let index = partition.logs[0].replace(".log", ".timeindex");
    assert!(Path::new(&index).exists());
    let theirs = ["--verify-index-only", "--files", &index];
    let own = Variant::new("kfsck verify-index", || run(&[KFSCK, "verify-index", "-q", &index])).on_two_cores();
    let name = format!("kafka-dump-log --verify-index-only, stopped after {} s", PATIENCE.as_secs());
    let variants = vec![
        Variant::new(&name, || peer.run_with_patience(&theirs)).at_most_in(if peer.is_rewritten { 1 } else { 3 }),
        if peer.is_rewritten { own.at_least(500.0) } else { own },
    ];
    bench.compare(&title, Work::Once, variants);
}

fn compare_memory(bench: &Bench, peer: &Peer) {
    let title = format!("kafka-dump-log {}: memory, records with keys and values, 1 GiB", peer.version);
    if !bench.wants(&title) {
        return;
    }
    let file = bench.file(&Segment::LARGE_BATCHES).path;
    let theirs: Vec<_> =
        peer.command.iter().map(String::as_str).chain(["--print-data-log", "--files", &file]).collect();
    let most = peak_in_bytes(&theirs);
    let title = format!("{title}; theirs has {} MiB, the target is a fifth", most >> 20);
    bench.peaks(&title, most / 5, &[("kfsck dump-log -r", vec![KFSCK, "dump-log", "-r", &file])]);
}
