//! `kfsck lookup` as a whole process, in a directory of a thousand segments: beside a process that does nothing, and
//! beside one listing of that directory.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use kfsck::format::batch::RecordBatchBuilder;
use kfsck::format::compression::Compression;
use kfsck::format::file_name::{FileKind, FileState, segment_file_name};
use kfsck::format::offset_index::OffsetIndexEntry;
use kfsck::format::record::RecordFields;
use kfsck::format::time_index::TimeIndexEntry;
use kfsck::format::{Offset, Position};
use support::process::{KFSCK, run};
use support::{Bench, Variant, Work};

/// Rises when the generator writes other bytes than before.
const GENERATION: u32 = 1;
const BATCHES_A_SEGMENT: i64 = 300;
const RECORDS_A_BATCH: i64 = 6;
const INDEX_INTERVAL: usize = 4096;
/// The time of offset 0, in milliseconds; each offset is one later.
const START: i64 = 1_700_000_000_000;

fn main() {
    let bench = Bench::start();
    let segments = if bench.is_test() { 10 } else { 1000 };
    let processes = if bench.is_test() { 1 } else { 100 };
    let dir = partition(segments);
    let nothing = program("nothing", "fn main() {}");
    let list = "fn main() { let dir = std::env::args_os().nth(1).unwrap(); \
                let names = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()); \
                println!(\"{}\", names.filter(|name| name.len() > 7).count()); }";
    let list = program("list", list);
    let (dir, nothing, list) = (text(&dir), text(&nothing), text(&list));
    let end = segments * BATCHES_A_SEGMENT * RECORDS_A_BATCH;
    let (offset, time) = ((end / 2 + 1).to_string(), (START + end / 2).to_string());
    let by_offset = [KFSCK, "lookup", dir, "--offset", &offset];
    let of_a_broker = [KFSCK, "lookup", dir, "--method", "broker", "--timestamp", &time];
    let by_time = [KFSCK, "lookup", dir, "--timestamp", &time];
    let times = |command: &[&str], count: u64| (0..count).for_each(|_| run(command));

    let title = format!("lookup, whole process, {segments} segments");
    if bench.wants(&title) {
        let variants = vec![
            Variant::new("an empty Rust main", || times(&[nothing], processes)),
            Variant::new("one listing of the directory", || times(&[list, dir], processes)),
            Variant::new("kfsck --version", || times(&[KFSCK, "--version"], processes)),
            Variant::new("kfsck lookup --offset", || times(&by_offset, processes)).at_least(0.2),
            Variant::new("kfsck lookup --timestamp --method broker", || times(&of_a_broker, processes)),
        ];
        bench.compare(&title, Work::Processes(processes), variants);
    }
    let title = format!("lookup of a time that is checked, half of {segments} segments read");
    if bench.wants(&title) {
        let variants = vec![
            Variant::new("kfsck lookup --timestamp --method scan", || {
                times(&[KFSCK, "lookup", dir, "--method", "scan", "--timestamp", &time], 1)
            }),
            // It reads what a scan reads, and looks at the time index of one segment.
            Variant::new("kfsck lookup --timestamp", || times(&by_time, 1)).at_least(0.9),
        ];
        bench.compare(&title, Work::Processes(1), variants);
    }
    let title = "lookup, memory of the whole process";
    if bench.wants(title) {
        let commands = [
            ("an empty Rust main", vec![nothing]),
            ("kfsck lookup --offset", by_offset.to_vec()),
            ("kfsck lookup --timestamp --method broker", of_a_broker.to_vec()),
            ("kfsck lookup --timestamp", by_time.to_vec()),
        ];
        bench.peaks(title, 6 << 20, &commands);
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path that is text")
}

fn place() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("bench-data")
}

/// A partition of many segments with right indexes, made once.
fn partition(segments: i64) -> PathBuf {
    let dir = place().join(format!("v{GENERATION}-lookup-{segments}")).join("lookup-0");
    if dir.exists() {
        return dir;
    }
    eprintln!("making {}", dir.display());
    let unfinished = dir.with_extension("unfinished");
    let _ = fs::remove_dir_all(&unfinished);
    fs::create_dir_all(&unfinished).expect("a directory for data");
    for segment in 0..segments {
        write_segment(&unfinished, segment * BATCHES_A_SEGMENT * RECORDS_A_BATCH);
    }
    fs::rename(unfinished, &dir).expect("a directory for data");
    dir
}

fn write_segment(dir: &Path, base: i64) {
    let (mut log, mut index, mut time_index) = (Vec::new(), Vec::new(), Vec::new());
    let mut since = 0;
    for batch in 0..BATCHES_A_SEGMENT {
        let first = base + batch * RECORDS_A_BATCH;
        let last = first + RECORDS_A_BATCH - 1;
        let mut header = RecordBatchBuilder::plain_header(Offset(first), START + first);
        (header.last_offset_delta, header.max_timestamp) = (RECORDS_A_BATCH as i32 - 1, START + last);
        let mut builder = RecordBatchBuilder::new(header, Compression::None);
        for delta in 0..RECORDS_A_BATCH {
            let key = format!("k-{}", (first + delta) % 1009);
            builder.push(&RecordFields {
                offset_delta: delta as i32,
                timestamp_delta: delta,
                key: Some(key.as_bytes()),
                value: Some(&[b'v'; 130]),
                ..RecordFields::default()
            });
        }
        let position = log.len();
        if since > INDEX_INTERVAL {
            let entry = OffsetIndexEntry::new(Offset(base), Offset(last), Position(position as u64));
            entry.expect("an entry").write(&mut index);
            TimeIndexEntry::new(Offset(base), START + last, Offset(last)).expect("an entry").write(&mut time_index);
            since = 0;
        }
        builder.write(&mut log).expect("a batch");
        since += log.len() - position;
    }
    let last = base + BATCHES_A_SEGMENT * RECORDS_A_BATCH - 1;
    TimeIndexEntry::new(Offset(base), START + last, Offset(last)).expect("an entry").write(&mut time_index);
    for (kind, bytes) in [(FileKind::Log, log), (FileKind::OffsetIndex, index), (FileKind::TimeIndex, time_index)] {
        fs::write(dir.join(segment_file_name(Offset(base), kind, FileState::Live)), bytes).expect("room for data");
    }
}

/// A small program to compare with, compiled once.
fn program(name: &str, source: &str) -> PathBuf {
    let path = place().join(name);
    if !path.exists() {
        fs::create_dir_all(place()).expect("a directory for data");
        let file = path.with_extension("rs");
        fs::write(&file, source).expect("room for a program");
        let status = Command::new("rustc").args(["-O", "--edition", "2024", "-o"]).arg(&path).arg(&file).status();
        assert!(status.expect("rustc").success());
    }
    path
}
