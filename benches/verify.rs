//! What it costs to look at every batch of a partition and at its checksum: beside `cat`, and beside two threads that
//! only read.

mod support;

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use kfsck::cli::jobs::Jobs;
use kfsck::scan::{BatchScan, LogSoFar, ScanEnd, ScanOptions};
use kfsck::store::window::Scratch;
use kfsck::store::{IoMode, ReadPolicy, open};
use support::data::{Partition, Segment};
use support::process::run;
use support::{Bench, Variant, Work};

const SEGMENTS: u64 = 64;

/// In the first argument: this process is one that is measured.
const WALK: &str = "--walk";
const READ: &str = "--read";

fn main() {
    let args: Vec<_> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [WALK, jobs, io, directory] => return walk(jobs, io, directory),
        [READ, jobs, directory] => return read(jobs, directory),
        _ => {}
    }
    let bench = Bench::start();
    for (title, segment, one, two) in [
        ("verify, 14 KB batches", Segment::LARGE_BATCHES, 1.0, 1.7),
        ("verify, 0.9 KB batches", Segment::SMALL_BATCHES, 0.9, 1.6),
    ] {
        if bench.wants(title) {
            compare(&bench, title, &bench.partition(&segment, SEGMENTS), [one, two]);
        }
    }
    memory(&bench);
}

/// The command line that is measured.
fn verify<'a>(this: &'a str, jobs: &'a str, io: &'a str, directory: &'a str) -> Vec<&'a str> {
    vec![this, WALK, jobs, io, directory]
}

fn compare(bench: &Bench, title: &str, partition: &Partition, [one, two]: [f64; 2]) {
    let this = this();
    let verify = |jobs: &str, io: &str| run(&verify(&this, jobs, io, &partition.path));
    let mut cat = vec!["cat"];
    cat.extend(partition.logs.iter().map(String::as_str));
    let variants = vec![
        Variant::new("cat *.log", || run(&cat)),
        Variant::new("every byte read, 2 threads", || run(&[&this, READ, "2", &partition.path])).on_two_cores(),
        Variant::new("1 thread", || verify("1", "auto")).at_least(one),
        Variant::new("2 threads", || verify("2", "auto")).at_least(two).on_two_cores(),
        Variant::new("1 thread, --io mmap", || verify("1", "mmap")),
        Variant::new("2 threads, --io mmap", || verify("2", "mmap")).on_two_cores(),
    ];
    bench.compare(title, Work::Bytes(partition.bytes), variants);
}

fn memory(bench: &Bench) {
    let title = "verify, memory of the whole process";
    if !bench.wants(title) {
        return;
    }
    let segments = bench.partition(&Segment::LARGE_BATCHES, SEGMENTS).path;
    let huge = bench.file(&Segment::HUGE).path;
    let huge = Path::new(&huge).parent().and_then(Path::to_str).expect("a path that is text");
    let this = this();
    let commands = [
        ("1 thread, 64 segments", verify(&this, "1", "auto", &segments)),
        ("2 threads, 64 segments", verify(&this, "2", "auto", &segments)),
        ("64 threads, 64 segments", verify(&this, "64", "auto", &segments)),
        ("64 threads, 64 segments, --io mmap", verify(&this, "64", "mmap", &segments)),
        ("1 thread, one segment of 4 GiB", verify(&this, "1", "auto", huge)),
        ("1 thread, one segment of 4 GiB, --io mmap", verify(&this, "1", "mmap", huge)),
    ];
    bench.peaks(title, 48 << 20, &commands);
}

fn this() -> String {
    std::env::current_exe().expect("the path of this program").to_str().expect("a path that is text").to_owned()
}

fn logs(directory: &str) -> Vec<std::path::PathBuf> {
    let names = std::fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("a name").path());
    let mut logs: Vec<_> = names.filter(|path| path.extension().is_some_and(|extension| extension == "log")).collect();
    logs.sort();
    logs
}

static NEVER: AtomicBool = AtomicBool::new(false);

fn jobs(count: &str) -> Jobs<'static> {
    Jobs::new(NonZeroUsize::new(count.parse().expect("a number")).expect("one thread at least"), &NEVER)
}

/// In a process of its own: every batch of every segment, its checksum verified.
fn walk(count: &str, io: &str, directory: &str) {
    let mode = match io {
        "mmap" => IoMode::Mmap,
        "pread" => IoMode::Pread,
        _ => IoMode::Auto,
    };
    let jobs = jobs(count);
    let batches = |scratch: &mut Scratch, path: std::path::PathBuf| {
        let storage = open(&path, ReadPolicy { mode, may_change: false }).expect("the data can be opened");
        let mut scan = BatchScan::with_scratch(storage.as_ref(), LogSoFar::unknown(), ScanOptions::default(), scratch);
        let mut batches = 0_u64;
        while let Some(batch) = scan.next_batch().expect("the data can be read") {
            black_box(batch.header);
            batches += 1;
        }
        assert_eq!(scan.end(), Some(&ScanEnd::CleanEof));
        batches
    };
    let mut sum = 0;
    let each = |batches| {
        sum += batches;
        ControlFlow::<()>::Continue(())
    };
    let scratch = || Scratch::one_of(jobs.count().get());
    assert!(jobs.run(logs(directory).into_iter(), scratch, batches, each).is_continue());
    assert!(sum > 0, "nothing was walked over");
}

/// In a process of its own: every byte read in pieces and dropped.
fn read(count: &str, directory: &str) {
    let read = |piece: &mut Vec<u8>, path: std::path::PathBuf| {
        let file = std::fs::File::open(path).expect("the data can be opened");
        let mut at = 0;
        loop {
            match file.read_at(piece, at).expect("the data can be read") {
                0 => return at,
                count => at += count as u64,
            }
        }
    };
    let each = |_| ControlFlow::<()>::Continue(());
    assert!(jobs(count).run(logs(directory).into_iter(), || vec![0; 128 << 10], read, each).is_continue());
}
