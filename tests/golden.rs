//! `kfsck dump-log --kafka-format` prints what the `kafka-dump-log` of the release printed, byte for byte.
//!
//! Every run of the real tool recorded in `expected.jsonl` is repeated. Runs with a decoder option are counted, not made.
//! Two things are not compared byte by byte:
//!
//! * The order of the groups under one kind of heading in stderr. It is the order of a hash map keyed by absolute paths,
//!   and the recording hides those; such groups are compared as a set.
//! * What follows after the point where the real tool crashed: ours goes on there, and its exit status says so.

mod support;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use support::Run;

/// Headings of stderr that are printed once a file; the path, if any, follows.
const HEADINGS: [&str; 6] = [
    "Mismatches in :",
    "Found timestamp mismatch in :",
    "Found out of order timestamp in :",
    "The following indexed offsets are not found in the log.",
    "The following indexed offsets are not found in :",
    "Non-consecutive offsets in ",
];

const CRASH: &str = "Exception in thread \"main\"";

struct Case {
    title: String,
    kafka_format: &'static str,
    partition: PathBuf,
    run: Run,
}

#[test]
fn dump_log_prints_what_kafka_dump_log_prints() {
    for collection in support::collections() {
        let mut cases = Vec::new();
        let mut decoders = 0;
        for scenario in support::scenarios(&collection) {
            for run in scenario.expected() {
                if run.decodes() {
                    decoders += 1;
                    continue;
                }
                let log_dir = scenario.log_dir(run.state.as_deref(), run.broker);
                let partition = log_dir.join(&run.partition);
                let partition = partition.canonicalize().unwrap_or_else(|e| panic!("{}: {e}", partition.display()));
                let title = partition.strip_prefix(collection.canonicalize().expect("is there")).expect("inside");
                let title = format!("{} {}", title.display(), run.arguments.join(" "));
                cases.push(Case { title, kafka_format: scenario.kafka_format(), partition, run });
            }
        }
        let outcomes = support::in_parallel(cases, |case| difference(&case));
        let what = format!("runs of kafka-dump-log in {}", collection.display());
        support::report(&what, &outcomes, &format!("{decoders} decoder runs left aside"));
    }
}

fn difference(case: &Case) -> Result<(), String> {
    let mut arguments = vec!["dump-log".to_owned(), format!("--kafka-format={}", case.kafka_format)];
    arguments.extend(case.run.arguments.iter().cloned());
    let ours = support::kfsck(&case.partition, &arguments);

    let directory = case.partition.to_str().expect("a path in UTF-8");
    let stdout = case.run.stdout.replace("@DIR@", directory);
    let stderr = case.run.stderr.replace("@DIR@", directory);
    let compared = if case.run.exit == 0 {
        let nothing_wrong =
            stderr.is_empty() && !stdout.contains("isvalid: false") && !stdout.contains("invalid bytes");
        equal("stdout", &stdout, &ours.stdout)
            .and_then(|()| equal("stderr", &sorted_groups(&stderr), sorted_groups_of(&ours.stderr).as_bytes()))
            .and_then(|()| match ours.status {
                Some(0) => Ok(()),
                Some(4) if !nothing_wrong => Ok(()),
                status => Err(format!("exit status {status:?}, Kafka's tool had {}", reports(nothing_wrong))),
            })
    } else {
        // The order of the lines before a crash is not hidden: the summary is printed only after all files.
        let before_crash = stderr.split_once(CRASH).map_or("", |(before, _)| before);
        starts_with("stdout", &stdout, &ours.stdout)
            .and_then(|()| starts_with("stderr", before_crash, &ours.stderr))
            .and_then(|()| match ours.status {
                // Every crash in the collections is over a healthy index that is preallocated.
                Some(0) => Ok(()),
                Some(8) if companion_missing(&case.partition, &case.run) => Ok(()),
                status => Err(format!("exit status {status:?} over healthy files where Kafka's tool crashed")),
            })
    };
    compared.map_err(|why| {
        let mut text = format!("== {}\n{why}", case.title);
        let said = String::from_utf8_lossy(&ours.stderr);
        if !said.is_empty() && !why.starts_with("stderr") {
            let _ = write!(text, "\n   our stderr: {}", shortened(&said));
        }
        text
    })
}

fn reports(nothing: bool) -> &'static str {
    if nothing { "nothing to report" } else { "something to report" }
}

fn equal(stream: &str, kafka: &str, ours: &[u8]) -> Result<(), String> {
    if kafka.as_bytes() == ours { Ok(()) } else { Err(first_difference(stream, kafka, ours)) }
}

fn starts_with(stream: &str, kafka: &str, ours: &[u8]) -> Result<(), String> {
    if ours.starts_with(kafka.as_bytes()) { Ok(()) } else { Err(first_difference(stream, kafka, ours)) }
}

/// The first line that differs, both ways, from a little before the column where they part.
fn first_difference(stream: &str, kafka: &str, ours: &[u8]) -> String {
    let ours = String::from_utf8_lossy(ours);
    let (mut theirs, mut mine) = (kafka.split_inclusive('\n'), ours.split_inclusive('\n'));
    let mut number = 0;
    loop {
        number += 1;
        let (k, o) = (theirs.next(), mine.next());
        if k == o && k.is_some() {
            continue;
        }
        let column = match (k, o) {
            (Some(k), Some(o)) => k.chars().zip(o.chars()).take_while(|(k, o)| k == o).count(),
            _ => 0,
        };
        let show = |line: Option<&str>| match line {
            None => "(ends)".to_owned(),
            Some(line) => {
                let skipped = column.saturating_sub(40);
                let mark = if skipped > 0 { "…" } else { "" };
                format!("{mark}{}", shortened(&line.chars().skip(skipped).collect::<String>()))
            }
        };
        return format!(
            "{stream} differs in line {number}, column {}\n   kafka: {}\n   kfsck: {}",
            column + 1,
            show(k),
            show(o)
        );
    }
}

fn shortened(text: &str) -> String {
    let start: String = text.chars().take(160).collect();
    let more = if start.len() < text.len() { "…" } else { "" };
    format!("{start:?}{more}")
}

/// The text with each series of groups under one kind of heading sorted.
fn sorted_groups(text: &str) -> String {
    let mut groups: Vec<(Option<usize>, String)> = Vec::new();
    for line in text.split_inclusive('\n') {
        let heading = HEADINGS.iter().position(|heading| line.starts_with(heading));
        let continues = line.starts_with("  ") || line.starts_with("Indexed offset:");
        match groups.last_mut() {
            Some((Some(_), group)) if heading.is_none() && continues => group.push_str(line),
            _ => groups.push((heading, line.to_owned())),
        }
    }
    let mut sorted = String::with_capacity(text.len());
    for series in groups.chunk_by_mut(|a, b| a.0.is_some() && a.0 == b.0) {
        series.sort();
        sorted.extend(series.iter().map(|(_, group)| group.as_str()));
    }
    sorted
}

fn sorted_groups_of(stderr: &[u8]) -> String {
    sorted_groups(&String::from_utf8_lossy(stderr))
}

/// Whether an index was to be read whose `.log`, or a time index whose `.index`, is not there.
fn companion_missing(partition: &Path, run: &Run) -> bool {
    let files = run.arguments.iter().flat_map(|argument| argument.split(','));
    let mut needed = files.flat_map(|file| match file.rsplit_once('.') {
        Some((base, "index")) => vec![format!("{base}.log")],
        Some((base, "timeindex")) => vec![format!("{base}.log"), format!("{base}.index")],
        _ => Vec::new(),
    });
    needed.any(|companion| !partition.join(companion).exists())
}

#[test]
fn groups_under_one_heading_are_compared_as_a_set_and_everything_else_in_order() {
    let one = "Mismatches in :/a\n  Index offset: 5, log offset: 6\n  Index offset: 2, log offset: 3\nMismatches in :/b\n  Index offset: 1, log offset: 2\n\
               Non-consecutive offsets in /a\n  10 is followed by 25\n";
    let other = "Mismatches in :/b\n  Index offset: 1, log offset: 2\nMismatches in :/a\n  Index offset: 5, log offset: 6\n  Index offset: 2, log offset: 3\n\
                 Non-consecutive offsets in /a\n  10 is followed by 25\n";
    assert_eq!(sorted_groups(one), sorted_groups(other));
    let lines_swapped = one.replace(
        "  Index offset: 5, log offset: 6\n  Index offset: 2, log offset: 3\n",
        "  Index offset: 2, log offset: 3\n  Index offset: 5, log offset: 6\n",
    );
    assert_ne!(sorted_groups(one), sorted_groups(&lines_swapped));
    let headings_swapped = "Non-consecutive offsets in /a\n  10 is followed by 25\nMismatches in :/b\n  Index offset: 1, log offset: 2\nMismatches in :/a\n  Index offset: 5, log offset: 6\n  Index offset: 2, log offset: 3\n";
    assert_ne!(sorted_groups(one), sorted_groups(headings_swapped));
}
