//! What `kfsck rebuild-index` costs: all indexes of a segment of a gigabyte beside `cat`, and two threads beside one.
//!
//! Dry runs: the plan is made whole, with the bytes of every index, and nothing is written.

mod support;

use std::fs;
use std::path::Path;

use support::data::{Partition, Segment};
use support::process::{KFSCK, run_with_status};
use support::{Bench, Variant, Work};

const SEGMENTS: u64 = 64;

/// A dry run that has found something to do ends with it.
const THERE_IS_WORK: i32 = 4;

fn main() {
    let bench = Bench::start();
    for (title, segment) in
        [("rebuild, 14 KB batches", Segment::LARGE_BATCHES), ("rebuild, 0.9 KB batches", Segment::SMALL_BATCHES)]
    {
        one_segment(&bench, title, &segment);
    }
    two_threads(&bench);
}

fn rebuild(jobs: &str, directory: &str) {
    run_with_status(&[KFSCK, "rebuild-index", "-q", "--all", "--jobs", jobs, directory], THERE_IS_WORK);
}

fn one_segment(bench: &Bench, title: &str, segment: &Segment) {
    if !bench.wants(title) {
        return;
    }
    let log = bench.file(segment);
    let directory = Path::new(&log.path).parent().and_then(Path::to_str).expect("a path that is text");
    let variants = vec![
        Variant::new("cat", || run_with_status(&["cat", &log.path], 0)),
        Variant::new("1 thread", || rebuild("1", directory)).at_least(0.8),
    ];
    bench.compare(title, Work::Bytes(log.bytes), variants);
}

fn two_threads(bench: &Bench) {
    let title = "rebuild, 64 segments";
    if !bench.wants(title) {
        return;
    }
    let partition = bench.partition(&Segment::LARGE_BATCHES, SEGMENTS);
    let bare = without_indexes(&partition);
    let variants = vec![
        Variant::new("1 thread", || rebuild("1", &bare)),
        Variant::new("2 threads", || rebuild("2", &bare)).at_least(1.6).on_two_cores(),
    ];
    bench.compare(title, Work::Bytes(partition.bytes), variants);
}

/// The same logs under second names in a directory where there is nothing else.
fn without_indexes(partition: &Partition) -> String {
    let bare = format!("{}-bare-0", partition.path.trim_end_matches("-0"));
    fs::create_dir_all(&bare).expect("room for names");
    for log in &partition.logs {
        let name = Path::new(log).file_name().expect("a log has a name");
        let second = Path::new(&bare).join(name);
        if !second.exists() {
            fs::hard_link(log, second).expect("the log can have a second name");
        }
    }
    bare
}
