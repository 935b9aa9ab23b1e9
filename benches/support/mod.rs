//! A small harness for comparisons: interleaved rounds, ratios inside each round, medians with their range.
//!
//! Absolute speeds drift on any machine that is shared or saves power, by a factor of two within an hour on some. So
//! nothing here is judged by its speed alone: every variant runs once in every round, in rotated order, its ratio to
//! the first variant is taken inside the round, and the median of those ratios is what counts. Nothing fails for being
//! slow: what is measured is printed, as one table for each benchmark.
//!
//! `cargo bench` measures; `cargo bench -- --test` runs everything once on small data, to see that it still runs.

#![allow(dead_code, reason = "every benchmark uses its own part of this")]

use std::sync::Once;

pub mod data;
pub mod plot;
pub mod process;

/// Rounds of a comparison, where nothing else is asked for.
const ROUNDS: usize = 9;

const HELP: &str = "\
Arguments behind `cargo bench --`:
  WORD          only comparisons whose title has this word (repeatable: any of them)
  --rounds N    how many rounds (default 9)
  --written     the files as their writer left them in the page cache, not as a reader did
  --cpu         processor time instead of time, on a machine that is busy with other things
  --test        everything once, on small data";

/// One run of a benchmark.
#[derive(Clone)]
pub struct Bench {
    rounds: usize,
    is_test: bool,
    is_written: bool,
    /// Seconds since some moment.
    clock: fn() -> f64,
    words: Vec<String>,
}

/// What one run of each variant of a comparison gets through.
#[derive(Clone, Copy)]
pub enum Work {
    Bytes(u64),
    Records(u64),
    /// Starts and ends of whole processes.
    Processes(u64),
    /// Something whose time itself is told, in seconds.
    Once,
}

/// One of the things that are compared.
pub struct Variant<'a> {
    name: &'a str,
    target: Option<f64>,
    seconds_at_most: Option<f64>,
    rounds_at_most: usize,
    needs_two_cores: bool,
    run: Box<dyn FnMut() + 'a>,
}

impl<'a> Variant<'a> {
    pub fn new(name: &'a str, run: impl FnMut() + 'a) -> Self {
        let (target, seconds_at_most, needs_two_cores) = (None, None, false);
        Self { name, target, seconds_at_most, rounds_at_most: usize::MAX, needs_two_cores, run: Box::new(run) }
    }

    /// Only in the first so many rounds, and without a run that does not count: for what takes very long. Where the
    /// first variant is one of these, the others have their ratio to its latest run.
    pub fn at_most_in(mut self, rounds: usize) -> Self {
        self.rounds_at_most = rounds;
        self
    }

    /// The time that is wanted at most, in seconds.
    pub fn within(mut self, seconds: f64) -> Self {
        self.seconds_at_most = Some(seconds);
        self
    }

    /// To be judged only in rounds in which two threads had two cores to themselves.
    pub fn on_two_cores(mut self) -> Self {
        self.needs_two_cores = true;
        self
    }

    /// The ratio to the first variant that is wanted at least.
    pub fn at_least(mut self, target: f64) -> Self {
        self.target = Some(target);
        self
    }
}

impl Bench {
    /// Reads the arguments and says what is about to be measured.
    pub fn start() -> Self {
        process::measure_peak_if_asked();
        let mut bench =
            Self { rounds: ROUNDS, is_test: true, is_written: false, clock: process::clock, words: Vec::new() };
        let (mut is_bench, mut is_test) = (false, false);
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--bench" => is_bench = true,
                "--test" => is_test = true,
                "--written" => bench.is_written = true,
                "--cpu" => bench.clock = process::cpu_clock,
                "--rounds" => bench.rounds = args.next().and_then(|count| count.parse().ok()).expect("--rounds N"),
                "--help" => {
                    println!("{HELP}");
                    std::process::exit(0);
                }
                option if option.starts_with('-') => {
                    eprintln!("there is no option {option}\n\n{HELP}");
                    std::process::exit(2);
                }
                word => bench.words.push(word.to_owned()),
            }
        }
        // `cargo bench` says `--bench`, `cargo test --benches` says nothing.
        bench.is_test = is_test || !is_bench;
        if bench.is_test {
            bench.rounds = 1;
        }
        bench
    }

    /// Whether everything is only tried, on small data.
    pub fn is_test(&self) -> bool {
        self.is_test
    }

    /// Whether files are as their writer left them in the page cache.
    pub fn is_written(&self) -> bool {
        self.is_written
    }

    /// Makes the file of a segment where there is none, and brings it into the page cache.
    pub fn file(&self, segment: &data::Segment) -> data::File {
        segment.file(self.is_test, self.is_written)
    }

    /// Makes a partition of that many segments, with the records of one, and brings it into the page cache.
    pub fn partition(&self, segment: &data::Segment, segments: u64) -> data::Partition {
        segment.partition(segments, self.is_test, self.is_written)
    }

    /// Makes a partition of a thousand small segments and one with the records of `segment`, and brings it into the page
    /// cache.
    pub fn many_and_one(&self, segment: &data::Segment) -> data::Partition {
        segment.many_and_one(self.is_test, self.is_written)
    }

    /// Makes a log dir of so many small partitions and brings it into the page cache; its path.
    pub fn log_dir(&self, segment: &data::Segment, partitions: u64) -> String {
        segment.log_dir(partitions, self.is_test, self.is_written)
    }

    /// The same, with files as their writer left them in the page cache.
    pub fn with_written_files(&self) -> Self {
        Self { is_written: true, ..self.clone() }
    }

    /// Seconds of `run` by the clock that was asked for.
    pub fn seconds(&self, run: impl FnOnce()) -> f64 {
        let start = (self.clock)();
        run();
        (self.clock)() - start
    }

    /// How many rounds a comparison has.
    pub fn rounds(&self) -> usize {
        self.rounds
    }

    /// Whether the arguments ask for the comparison of this title.
    pub fn wants(&self, title: &str) -> bool {
        self.words.is_empty() || self.words.iter().any(|word| title.contains(word.as_str()))
    }

    /// Runs the variants against each other and prints their rows. Each must get through the same work.
    pub fn compare(&self, title: &str, work: Work, mut variants: Vec<Variant<'_>>) {
        if !self.is_test {
            let often = variants.iter_mut().filter(|variant| variant.rounds_at_most >= self.rounds);
            often.for_each(|variant| (variant.run)());
        }
        let mut seconds = vec![Vec::with_capacity(self.rounds); variants.len()];
        let asks_for_cores = !self.is_test && variants.iter().any(|variant| variant.needs_two_cores);
        let mut had_two_cores = Vec::with_capacity(self.rounds);
        for round in 0..self.rounds {
            had_two_cores.push(!asks_for_cores || process::two_cores_are_free());
            for turn in 0..variants.len() {
                let at = (round + turn) % variants.len();
                if round < variants[at].rounds_at_most {
                    seconds[at].push(self.seconds(&mut variants[at].run));
                }
            }
        }
        let (amount, unit) = match work {
            Work::Bytes(bytes) => (bytes as f64 / 1e9, "GB/s"),
            Work::Records(records) => (records as f64 / 1e6, "M records/s"),
            Work::Processes(processes) => (processes as f64, "processes/s"),
            Work::Once => (1.0, "seconds"),
        };
        let without = match had_two_cores.iter().filter(|had| !**had).count() {
            0 => String::new(),
            some => format!(", {some} of them without two free cores left out for two threads"),
        };
        group(&format!("**{title}**, {}{without}", rounds(self.rounds)), unit);
        for (variant, own) in variants.iter().zip(&seconds) {
            let is_judged = |round: &usize| !variant.needs_two_cores || had_two_cores[*round];
            let judged: Vec<_> = (0..own.len()).filter(is_judged).collect();
            let rarely = if own.len() < self.rounds { format!(", {}", rounds(own.len())) } else { String::new() };
            if judged.is_empty() {
                println!("| {} | two cores were never free | | |", variant.name);
                continue;
            }
            let first = |round: usize| seconds[0][round.min(seconds[0].len() - 1)];
            let shown = Spread::of(judged.iter().map(|&round| match work {
                Work::Once => own[round],
                _ => amount / own[round],
            }));
            let ratio = Spread::of(judged.iter().map(|&round| first(round) / own[round]));
            let median = Spread::of(judged.iter().map(|&round| own[round])).median;
            let target = self.target(variant, ratio.median, median);
            println!("| {}{rarely} | {shown} | {ratio} | {target} |", variant.name);
        }
    }

    /// What is wanted of a variant, and whether its ratio and its seconds are that.
    fn target(&self, variant: &Variant<'_>, ratio: f64, seconds: f64) -> String {
        let (wanted, is_met) = match (variant.target, variant.seconds_at_most) {
            // On so little data the start of the process decides.
            _ if self.is_test => return String::new(),
            (Some(target), _) => (format!("≥ {target}"), ratio >= target),
            (None, Some(most)) => (format!("≤ {most} s"), seconds <= most),
            (None, None) => return String::new(),
        };
        if is_met { wanted } else { format!("{wanted}: **missed**") }
    }

    /// Runs each command once and prints how much memory it had at its peak.
    pub fn peaks(&self, title: &str, limit: u64, commands: &[(&str, Vec<&str>)]) {
        const MIB: f64 = (1 << 20) as f64;
        group(&format!("**{title}**"), "MiB at the peak");
        for (name, command) in commands {
            let peak = process::peak_in_bytes(command);
            let word = if peak <= limit { "" } else { ": **missed**" };
            println!("| {name} | {:.1} | | ≤ {}{word} |", peak as f64 / MIB, limit >> 20);
        }
    }
}

/// Begins what belongs together in the one table that a benchmark prints.
fn group(title: &str, unit: &str) {
    static HEAD: Once = Once::new();
    HEAD.call_once(|| println!("| | median [least–most] | ratio | target |\n|---|---|---|---|"));
    println!("| {title} | {unit} | | |");
}

fn rounds(count: usize) -> String {
    if count == 1 { "1 round".to_owned() } else { format!("{count} rounds") }
}

/// A median with the range around it.
pub struct Spread {
    pub median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    pub fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<_> = values.collect();
        values.sort_by(f64::total_cmp);
        let (below, above) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        Self { median: (below + above) / 2.0, least: values[0], most: values[values.len() - 1] }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = if self.median < 0.1 { 4 } else { 2 };
        write!(f, "{:.digits$} [{:.digits$}–{:.digits$}]", self.median, self.least, self.most)
    }
}
