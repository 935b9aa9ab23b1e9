//! How the time and the memory of `kfsck verify-index` and `check` grow with what they look at: bytes, segments,
//! partitions, batches. Prints tables and draws them into `docs/performance/`.

mod support;

use std::sync::Once;

use support::data::{Segment, remove};
use support::plot::{Line, Panel, draw};
use support::process::{KFSCK, peak_in_bytes, run};
use support::{Bench, Spread};

const MIB: f64 = 1024.0 * 1024.0;

const VERIFY: &[&str] = &["verify-index", "-q"];
const CHECK: &[&str] = &["check", "-q"];
const QUICK: &[&str] = &["check", "-q", "--quick"];

/// A thing that grows.
struct Growth<'a> {
    title: &'a str,
    /// The name of the plot's file.
    file: &'a str,
    /// What grows, as the head of a column and below the horizontal axes.
    of: &'a str,
    /// What is divided by: the time for one of these is told.
    unit: &'a str,
    /// Whether time should grow in proportion to it.
    is_proportional: bool,
}

/// One size of it.
struct Step {
    /// How much of what grows.
    amount: f64,
    /// How much of the unit.
    units: f64,
    path: String,
    /// What is removed afterwards.
    data: String,
}

impl Step {
    /// So many of the unit itself.
    fn each(count: u64, path: String) -> Self {
        Self { amount: count as f64, units: count as f64, data: path.clone(), path }
    }
}

fn main() {
    let bench = Bench::start();
    sizes(&bench);
    segments(&bench);
    partitions(&bench);
    batches(&bench);
}

/// A partition whose segments have 1 GiB at most, which is what a broker makes of it.
fn sizes(bench: &Bench) {
    let growth = Growth {
        title: "growth with size",
        file: "growth-size",
        of: "log of a partition, MiB",
        unit: "GiB",
        is_proportional: true,
    };
    let step = |mib: u64| {
        let segment = Segment { name: "growth-size", raw_bytes: mib << 20, ..Segment::LARGE_BATCHES };
        let partition = bench.partition(&segment, mib.div_ceil(1024));
        let mib = partition.bytes as f64 / MIB;
        Step { amount: mib, units: mib / 1024.0, data: partition.path.clone(), path: partition.path }
    };
    measure(bench, &growth, &[VERIFY], &[64, 128, 256, 512, 1024, 2048, 4096], step);
}

fn segments(bench: &Bench) {
    let growth = Growth {
        title: "growth with segments",
        file: "growth-segments",
        of: "segments of 64 KiB",
        unit: "segment",
        is_proportional: true,
    };
    let step = |segments: u64| {
        let segment = Segment { name: "growth-segments", raw_bytes: segments << 16, ..Segment::LARGE_BATCHES };
        let path = bench.partition(&segment, segments).path;
        Step::each(segments, path)
    };
    measure(bench, &growth, &[VERIFY, CHECK, QUICK], &[1, 10, 100, 1000, 10_000], step);
}

fn partitions(bench: &Bench) {
    let growth = Growth {
        title: "growth with partitions",
        file: "growth-partitions",
        of: "partitions of 56 KB in a log dir",
        unit: "partition",
        is_proportional: true,
    };
    let step = |partitions: u64| {
        let segment = Segment { name: "growth", ..Segment::LARGE_BATCHES };
        let path = bench.log_dir(&segment, partitions);
        Step::each(partitions, path)
    };
    measure(bench, &growth, &[VERIFY, CHECK, QUICK], &[1, 10, 100, 500, 2000], step);
}

/// The same 256 MiB in ever larger batches.
fn batches(bench: &Bench) {
    let growth = Growth {
        title: "growth with the size of batches",
        file: "growth-batches",
        of: "size of a batch, bytes (256 MiB in all)",
        unit: "GiB",
        is_proportional: false,
    };
    let step = |records_per_batch: u64| {
        let segment = Segment {
            name: "growth-batches",
            raw_bytes: 256 << 20,
            is_brief: records_per_batch == 0,
            records_per_batch: records_per_batch.max(1),
            ..Segment::LARGE_BATCHES
        };
        let partition = bench.partition(&segment, 1);
        let amount = partition.bytes as f64 / partition.batches as f64;
        let units = partition.bytes as f64 / MIB / 1024.0;
        Step { amount, units, data: partition.path.clone(), path: partition.path }
    };
    // None stands for one brief record: about 100 bytes.
    measure(bench, &growth, &[VERIFY], &[0, 1, 7, 75, 750, 7600], step);
}

/// Runs each command on every size, one size after the other since their data do not fit beside each other; prints a
/// table of each command and draws all.
fn measure(
    bench: &Bench,
    growth: &Growth<'_>,
    commands: &[&'static [&str]],
    sizes: &[u64],
    step: impl Fn(u64) -> Step,
) {
    if !bench.wants(growth.title) {
        return;
    }
    let sizes = if bench.is_test() { &sizes[..2] } else { sizes };
    let mut tables: Vec<Vec<String>> = vec![Vec::new(); commands.len()];
    let name = |command: &[&str]| command.iter().filter(|word| **word != "-q").copied().collect::<Vec<_>>().join(" ");
    let lines = || commands.iter().map(|command| Line { name: name(command), points: Vec::new() }).collect::<Vec<_>>();
    let (mut times, mut peaks) = (lines(), lines());
    for size in sizes {
        let step = step(*size);
        for (at, command) in commands.iter().enumerate() {
            let command = [&[KFSCK], *command, &[&step.path]].concat();
            let time = time(bench, &command);
            let peak = peak_in_bytes(&command) as f64 / MIB;
            let each = 1e3 * time.median / step.units;
            tables[at].push(format!("| {} | {time} | {each:.3} | {peak:.1} |", amount(step.amount)));
            times[at].points.push((step.amount, time.median));
            peaks[at].points.push((step.amount, peak));
        }
        remove(&step.data);
    }
    static HEAD: Once = Once::new();
    HEAD.call_once(|| println!("| {} rounds | time | time for one | memory |\n|---|---|---|---|", bench.rounds()));
    for (command, rows) in commands.iter().zip(tables) {
        let title = format!("**{}: {}**, {}", growth.title, name(command), growth.of);
        println!("| {title} | seconds | ms a {} | MiB at the peak |\n{}", growth.unit, rows.join("\n"));
    }
    let panels = [
        Panel { title: "time", axis: "seconds", lines: times, with_proportion: growth.is_proportional },
        Panel { title: "memory at the peak", axis: "MiB", lines: peaks, with_proportion: false },
    ];
    draw(&plot_path(bench, growth.file), &format!("kfsck: {}", growth.title), growth.of, &panels);
}

/// Seconds of a command, after a run that does not count.
fn time(bench: &Bench, command: &[&str]) -> Spread {
    if !bench.is_test() {
        run(command);
    }
    Spread::of((0..bench.rounds()).map(|_| bench.seconds(|| run(command))))
}

fn amount(amount: f64) -> String {
    if amount < 1000.0 {
        format!("{amount:.0}")
    } else {
        format!("{:.0},{:03.0}", (amount / 1000.0).floor(), amount % 1000.0)
    }
}

/// In the documentation, but for a test.
fn plot_path(bench: &Bench, file: &str) -> String {
    let directory = match bench.is_test() {
        true => env!("CARGO_TARGET_TMPDIR").to_owned(),
        false => concat!(env!("CARGO_MANIFEST_DIR"), "/docs/performance").to_owned(),
    };
    std::fs::create_dir_all(&directory).expect("a directory for plots");
    format!("{directory}/{file}.svg")
}
