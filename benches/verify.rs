//! What `kfsck verify-index` and `check` cost: beside `cat`, beside two threads that only read, beside another library
//! that decodes, and in memory.

mod support;

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use kfsck::cli::jobs::Jobs;
use kfsck::format::compression::Compression;
use support::data::{File, Partition, Segment};
use support::process::{KFSCK, run};
use support::{Bench, Variant, Work};

const SEGMENTS: u64 = 64;

/// What is wanted of one thread and of two where the page cache was filled by writing.
const AS_WRITTEN: [f64; 2] = [0.75, 1.3];

/// In the first argument: this process is one that is measured.
const READ: &str = "--read";
const DECODE: &str = "--decode";

fn main() {
    let args: Vec<_> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [READ, jobs, ref files @ ..] => return read(jobs, files),
        [DECODE, file] => return decode(file),
        _ => {}
    }
    let bench = Bench::start();
    in_64_segments(&bench);
    many_and_one(&bench);
    deep(&bench);
    quick(&bench);
    memory(&bench);
}

/// The command line that is measured.
fn verify<'a>(jobs: &'a str, io: &'a str, path: &'a str) -> Vec<&'a str> {
    vec![KFSCK, "verify-index", "-q", "--jobs", jobs, "--io", io, path]
}

fn in_64_segments(bench: &Bench) {
    let written = bench.with_written_files();
    for (title, segment, bench, targets) in [
        ("verify, 14 KB batches", Segment::LARGE_BATCHES, bench, [1.0, 1.7]),
        ("verify, 0.9 KB batches", Segment::SMALL_BATCHES, bench, [0.9, 1.6]),
        ("verify, 14 KB batches, page cache filled by writing", Segment::LARGE_BATCHES, &written, AS_WRITTEN),
        ("verify, 0.9 KB batches, page cache filled by writing", Segment::SMALL_BATCHES, &written, AS_WRITTEN),
    ] {
        if bench.wants(title) {
            let partition = bench.partition(&segment, SEGMENTS);
            compare(bench, title, &partition.path, &partition, targets);
        }
    }
}

/// Large and small segments in one directory, and the large one alone, which several threads share in parts.
fn many_and_one(bench: &Bench) {
    let (all, one) = ("verify, 1,000 segments of 1 MiB and one of 1 GiB", "verify, one segment of 1 GiB");
    if bench.wants(all) || bench.wants(one) {
        let mut partition = bench.many_and_one(&Segment::LARGE_BATCHES);
        if bench.wants(all) {
            compare(bench, all, &partition.path, &partition, [1.0, 1.7]);
        }
        if bench.wants(one) {
            partition.logs.drain(..partition.logs.len() - 1);
            let log = partition.logs[0].clone();
            partition.bytes = std::fs::metadata(&log).expect("the data are there").len();
            compare(bench, one, &log, &partition, [1.0, 1.7]);
        }
    }
}

/// `path` with threads and ways to read, beside the reading of the `.log` files that this is about.
fn compare(bench: &Bench, title: &str, path: &str, partition: &Partition, targets: [f64; 2]) {
    let [one, two] = if bench.is_written() { AS_WRITTEN } else { targets };
    let this = this();
    let verify = |jobs: &str, io: &str| run(&verify(jobs, io, path));
    let with_logs = |command: &[&str]| {
        let logs = partition.logs.iter().map(String::as_str);
        run(&command.iter().copied().chain(logs).collect::<Vec<_>>());
    };
    let variants = vec![
        Variant::new("cat *.log", || with_logs(&["cat"])),
        Variant::new("every byte read, 2 threads", || with_logs(&[&this, READ, "2"])).on_two_cores(),
        Variant::new("1 thread", || verify("1", "auto")).at_least(one),
        Variant::new("2 threads", || verify("2", "auto")).at_least(two).on_two_cores(),
        Variant::new("1 thread, --io mmap", || verify("1", "mmap")),
        Variant::new("2 threads, --io mmap", || verify("2", "mmap")).on_two_cores(),
    ];
    bench.compare(title, Work::Bytes(partition.bytes), variants);
}

/// Every record decompressed and decoded, beside the library that does it in a process of its own.
fn deep(bench: &Bench) {
    for (title, segment, target) in [
        ("deep scan, no compression, 14 KB batches", Segment::LARGE_BATCHES, Some(3.0)),
        ("deep scan, gzip, 55 KB batches", Segment::compressed(Compression::Gzip), Some(1.4)),
        ("deep scan, snappy, 55 KB batches", Segment::compressed(Compression::Snappy), None),
        ("deep scan, lz4, 55 KB batches", Segment::compressed(Compression::Lz4), Some(2.0)),
        ("deep scan, zstd, 55 KB batches", Segment::compressed(Compression::Zstd), Some(1.6)),
    ] {
        if bench.wants(title) {
            compare_deep(bench, title, &bench.file(&segment), target);
        }
    }
}

fn compare_deep(bench: &Bench, title: &str, file: &File, target: Option<f64>) {
    let this = this();
    let deep = |jobs: &str| run(&[KFSCK, "verify-index", "-q", "--deep", "--jobs", jobs, &file.path]);
    let one = Variant::new("verify-index --deep, 1 thread", || deep("1"));
    let variants = vec![
        Variant::new("kafka-protocol, 1 thread", || run(&[&this, DECODE, &file.path])),
        match target {
            Some(target) => one.at_least(target),
            None => one,
        },
        Variant::new("verify-index --deep, 2 threads", || deep("2")).on_two_cores(),
    ];
    bench.compare(title, Work::Records(file.records), variants);
}

/// Without the payload: what a look costs that opens every file and reads a little of it.
fn quick(bench: &Bench) {
    let partitions = if bench.is_test() { 20 } else { 2000 };
    let check = |path: &str| run(&[KFSCK, "check", "-q", "--quick", path]);
    let list = |path: &str| run(&["find", path, "-size", "+0"]);
    let title = "check --quick, 2,000 partitions";
    if bench.wants(title) {
        let log_dir = bench.log_dir(&Segment::LARGE_BATCHES, partitions);
        let variants = vec![
            Variant::new("find LOG_DIR -size +0", || list(&log_dir)),
            Variant::new("check --quick LOG_DIR", || check(&log_dir)).within(0.5),
        ];
        bench.compare(title, Work::Once, variants);
    }
    let title = "check --quick, 1,001 segments";
    if bench.wants(title) {
        let partition = bench.many_and_one(&Segment::LARGE_BATCHES).path;
        let variants = vec![
            Variant::new("find PARTITION -size +0", || list(&partition)),
            Variant::new("check --quick PARTITION", || check(&partition)).within(0.1),
        ];
        bench.compare(title, Work::Once, variants);
    }
}

fn memory(bench: &Bench) {
    let title = "verify, memory of the whole process";
    if !bench.wants(title) {
        return;
    }
    let segments = bench.partition(&Segment::LARGE_BATCHES, SEGMENTS).path;
    let many = bench.many_and_one(&Segment::LARGE_BATCHES).path;
    let huge = bench.file(&Segment::HUGE).path;
    let huge = Path::new(&huge).parent().and_then(Path::to_str).expect("a path that is text");
    let commands = [
        ("1 thread, 64 segments", verify("1", "auto", &segments)),
        ("2 threads, 64 segments", verify("2", "auto", &segments)),
        ("64 threads, 64 segments", verify("64", "auto", &segments)),
        ("64 threads, 64 segments, --io mmap", verify("64", "mmap", &segments)),
        ("2 threads, 1,001 segments", verify("2", "auto", &many)),
        ("2 threads, one segment of 4 GiB", verify("2", "auto", huge)),
        ("64 threads, one segment of 4 GiB", verify("64", "auto", huge)),
        ("1 thread, one segment of 4 GiB", verify("1", "auto", huge)),
        ("1 thread, one segment of 4 GiB, --io mmap", verify("1", "mmap", huge)),
    ];
    bench.peaks(title, 48 << 20, &commands);
}

fn this() -> String {
    std::env::current_exe().expect("the path of this program").to_str().expect("a path that is text").to_owned()
}

static NEVER: AtomicBool = AtomicBool::new(false);

fn jobs(count: &str) -> Jobs<'static> {
    Jobs::new(NonZeroUsize::new(count.parse().expect("a number")).expect("one thread at least"), &NEVER)
}

/// In a process of its own: every byte read in pieces and dropped, a piece of 16 MiB a task.
fn read(count: &str, paths: &[&str]) {
    const TASK: u64 = 16 << 20;
    let files: Vec<_> = paths.iter().map(|path| std::fs::File::open(path).expect("the data can be opened")).collect();
    let tasks = files.iter().flat_map(|file| {
        let length = file.metadata().expect("the data are there").len();
        (0..length).step_by(TASK as usize).map(move |start| (file, start..length.min(start + TASK)))
    });
    let read = |piece: &mut Vec<u8>, (file, range): (&std::fs::File, std::ops::Range<u64>)| {
        let mut at = range.start;
        while at < range.end {
            let wanted = piece.len().min((range.end - at) as usize);
            at += file.read_at(&mut piece[..wanted], at).expect("the data can be read") as u64;
        }
    };
    let each = |_| ControlFlow::<()>::Continue(());
    assert!(jobs(count).run(tasks, || vec![0; 128 << 10], read, each).is_continue());
}

/// In a process of its own: every record decoded by `kafka-protocol`.
fn decode(path: &str) {
    let mut rest = bytes::Bytes::from(std::fs::read(path).expect("the data can be read"));
    while !rest.is_empty() {
        let set = kafka_protocol::records::RecordBatchDecoder::decode(&mut rest).expect("valid data");
        std::hint::black_box(set.records.len());
    }
}
