//! A small harness for comparisons: interleaved rounds, ratios inside each round, medians with their range.
//!
//! Absolute speeds drift on any machine that is shared or saves power, by a factor of two within an hour on some. So
//! nothing here is judged by its speed alone: every variant runs once in every round, in rotated order, its ratio to
//! the first variant is taken inside the round, and the median of those ratios is what counts. Nothing fails for being
//! slow: what is measured is printed, as a table.
//!
//! `cargo bench` measures; `cargo bench -- --test` runs everything once on small data, to see that it still runs.

#![allow(dead_code, reason = "every benchmark uses its own part of this")]

pub mod data;
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
}

/// One of the things that are compared.
pub struct Variant<'a> {
    name: &'a str,
    target: Option<f64>,
    needs_two_cores: bool,
    run: Box<dyn FnMut() + 'a>,
}

impl<'a> Variant<'a> {
    pub fn new(name: &'a str, run: impl FnMut() + 'a) -> Self {
        Self { name, target: None, needs_two_cores: false, run: Box::new(run) }
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

    /// Makes the file of a segment where there is none, and brings it into the page cache.
    pub fn file(&self, segment: &data::Segment) -> data::File {
        segment.file(self.is_test, self.is_written)
    }

    /// Makes a partition of that many segments, with the records of one, and brings it into the page cache.
    pub fn partition(&self, segment: &data::Segment, segments: u64) -> data::Partition {
        segment.partition(segments, self.is_test, self.is_written)
    }

    /// Whether the arguments ask for the comparison of this title.
    pub fn wants(&self, title: &str) -> bool {
        self.words.is_empty() || self.words.iter().any(|word| title.contains(word.as_str()))
    }

    /// Runs the variants against each other and prints a table. Each must get through the same work.
    pub fn compare(&self, title: &str, work: Work, mut variants: Vec<Variant<'_>>) {
        if !self.is_test {
            variants.iter_mut().for_each(|variant| (variant.run)());
        }
        let mut seconds = vec![Vec::with_capacity(self.rounds); variants.len()];
        let asks_for_cores = !self.is_test && variants.iter().any(|variant| variant.needs_two_cores);
        let mut had_two_cores = Vec::with_capacity(self.rounds);
        for round in 0..self.rounds {
            had_two_cores.push(!asks_for_cores || process::two_cores_are_free());
            for turn in 0..variants.len() {
                let at = (round + turn) % variants.len();
                let start = (self.clock)();
                (variants[at].run)();
                seconds[at].push((self.clock)() - start);
            }
        }
        let (amount, unit) = match work {
            Work::Bytes(bytes) => (bytes as f64 / 1e9, "GB/s"),
            Work::Records(records) => (records as f64 / 1e6, "M records/s"),
            Work::Processes(processes) => (processes as f64, "processes/s"),
        };
        println!("\n### {title}\n");
        println!("| {} rounds | {unit} | ratio | target |", self.rounds);
        println!("|---|---|---|---|");
        for (variant, own) in variants.iter().zip(&seconds) {
            let is_judged = |round: &usize| !variant.needs_two_cores || had_two_cores[*round];
            let rounds: Vec<_> = (0..self.rounds).filter(is_judged).collect();
            if rounds.is_empty() {
                println!("| {} | two cores were never free | | |", variant.name);
                continue;
            }
            let speed = Spread::of(rounds.iter().map(|round| amount / own[*round]));
            let ratio = Spread::of(rounds.iter().map(|round| seconds[0][*round] / own[*round]));
            let target = match variant.target {
                // On so little data the start of the process decides.
                _ if self.is_test => String::new(),
                Some(target) if ratio.median >= target => format!("≥ {target}"),
                Some(target) => format!("≥ {target}: **missed**"),
                None => String::new(),
            };
            println!("| {} | {speed} | {ratio} | {target} |", variant.name);
        }
        let shared = had_two_cores.iter().filter(|had| !**had).count();
        if shared > 0 {
            println!("\nRows of two threads leave {shared} rounds out in which the two had not a core each.");
        }
    }

    /// Runs each command once and prints how much memory it had at its peak.
    pub fn peaks(&self, title: &str, limit: u64, commands: &[(&str, Vec<&str>)]) {
        const MIB: f64 = (1 << 20) as f64;
        println!("\n### {title}\n\n| | MiB at the peak | target |\n|---|---|---|");
        for (name, command) in commands {
            let peak = process::peak_in_bytes(command);
            let word = if peak <= limit { "" } else { ": **missed**" };
            println!("| {name} | {:.1} | ≤ {}{word} |", peak as f64 / MIB, limit >> 20);
        }
    }
}

/// A median with the range around it.
struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<_> = values.collect();
        values.sort_by(f64::total_cmp);
        let (below, above) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        Self { median: (below + above) / 2.0, least: values[0], most: values[values.len() - 1] }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2} [{:.2}–{:.2}]", self.median, self.least, self.most)
    }
}
