//! What `kfsck dump-log` costs: against `cat`, against decoding alone, against `serde_json`, and in memory.

mod support;

use std::hint::black_box;

use kfsck::format::compression::{Compression, Decompressor};
use kfsck::format::record::Record;
use kfsck::report::bytes::BytesFormat;
use kfsck::report::log::{RecordLines, RecordStyle};
use kfsck::scan::{BatchScan, LogSoFar, ScanOptions};
use kfsck::store::{ReadPolicy, open};
use serde::Serialize;
use support::data::{File, Segment};
use support::process::{KFSCK, run, run_to_file, run_to_wc};
use support::{Bench, Variant, Work};

fn main() {
    let bench = Bench::start();
    batches(&bench);
    records(&bench);
    two_threads(&bench);
    json_writer(&bench);
    decoding(&bench);
    pipe(&bench);
    memory(&bench);
}

fn batches(bench: &Bench) {
    for (title, segment, target) in [
        ("batches, 14 KB each, to /dev/null", Segment::LARGE_BATCHES, Some(0.5)),
        ("batches, 0.9 KB each, to /dev/null", Segment::SMALL_BATCHES, None),
    ] {
        if !bench.wants(title) {
            continue;
        }
        let file = bench.file(&segment);
        let dump = |options: &[&str]| run(&[&[KFSCK, "dump-log", &file.path], options].concat());
        let text = Variant::new("kfsck dump-log -j1 FILE", || dump(&["-j1"]));
        let variants = vec![
            Variant::new("cat FILE", || run(&["cat", &file.path])),
            match target {
                Some(target) => text.at_least(target),
                None => text,
            },
            Variant::new("kfsck dump-log -j1 -f json FILE", || dump(&["-j1", "-f", "json"])),
            Variant::new("kfsck dump-log -j1 --io mmap FILE", || dump(&["-j1", "--io", "mmap"])),
            Variant::new("kfsck dump-log -j2 FILE", || dump(&["-j2"])).on_two_cores(),
        ];
        bench.compare(title, Work::Bytes(file.bytes), variants);
    }
}

fn records(bench: &Bench) {
    for (title, segment) in [
        ("records, 14 KB batches, to /dev/null", Segment::LARGE_BATCHES),
        ("records, 0.9 KB batches, to /dev/null", Segment::SMALL_BATCHES),
    ] {
        if !bench.wants(title) {
            continue;
        }
        let file = bench.file(&segment);
        let dump = |format| run(&[KFSCK, "dump-log", "-j1", "-r", "-f", format, &file.path]);
        let variants = vec![
            Variant::new("every record decoded, nothing written (in this process)", || {
                each_record(&file, |record| {
                    black_box(record);
                });
            }),
            Variant::new("kfsck dump-log -r -j1 FILE", || dump("text")).at_least(0.33),
            Variant::new("kfsck dump-log -r -j1 -f json FILE", || dump("json")).at_least(0.15),
        ];
        bench.compare(title, Work::Records(file.records), variants);
    }
}

fn two_threads(bench: &Bench) {
    for (title, format) in
        [("dump records, 2 threads against 1: text", "text"), ("dump records, 2 threads against 1: JSON", "json")]
    {
        if !bench.wants(title) {
            continue;
        }
        let file = bench.file(&Segment::LARGE_BATCHES);
        let dump = |jobs| run(&[KFSCK, "dump-log", "-r", "-f", format, jobs, &file.path]);
        let variants = vec![
            Variant::new("kfsck dump-log -r -j1 FILE", || dump("-j1")),
            Variant::new("kfsck dump-log -r -j2 FILE", || dump("-j2")).on_two_cores().at_least(1.4),
        ];
        bench.compare(title, Work::Records(file.records), variants);
    }
}

fn json_writer(bench: &Bench) {
    let title = "JSON lines of records, into memory";
    if !bench.wants(title) {
        return;
    }
    let file = bench.file(&Segment::compressed(Compression::None));
    assert_equal_lines(&file);
    let variants = vec![
        Variant::new("serde_json with derive", || with_lines(&file, serde_line)),
        Variant::new("kfsck's writer", || with_lines(&file, own_line)).at_least(2.5),
    ];
    bench.compare(title, Work::Records(file.records), variants);
}

fn decoding(bench: &Bench) {
    for compression in Compression::ALL {
        let title = format!("every record decoded, {compression}, 55 KB batches");
        if !bench.wants(&title) {
            continue;
        }
        let file = bench.file(&Segment::compressed(compression));
        let bytes = bytes::Bytes::from(std::fs::read(&file.path).expect("the data can be read"));
        let own = Variant::new("kfsck", || {
            each_record(&file, |record| {
                black_box(record);
            });
        });
        let variants = vec![
            Variant::new("kafka-protocol", || {
                let mut rest = bytes.clone();
                while !rest.is_empty() {
                    let set = kafka_protocol::records::RecordBatchDecoder::decode(&mut rest).expect("valid data");
                    black_box(set.records.len());
                }
            }),
            if compression == Compression::None { own.at_least(3.0) } else { own },
        ];
        bench.compare(&title, Work::Records(file.records), variants);
    }
}

fn pipe(bench: &Bench) {
    for (title, format) in [("records as text, through a pipe", "text"), ("records as JSON, through a pipe", "json")] {
        if !bench.wants(title) {
            continue;
        }
        let file = bench.file(&Segment::LARGE_BATCHES);
        let command = [KFSCK, "dump-log", "-r", "-f", format, &file.path];
        let output = format!("{}.{format}", file.path.trim_end_matches(".log"));
        run_to_file(&command, &output);
        let bytes = std::fs::metadata(&output).expect("the output").len();
        let one = [&command[..], &["-j1"]].concat();
        let variants = vec![
            Variant::new("cat OUTPUT \\| wc -c", || run_to_wc(&["cat", &output])),
            Variant::new("kfsck dump-log -r FILE \\| wc -c", || run_to_wc(&command)).at_least(0.8),
            Variant::new("kfsck dump-log -r -j1 FILE \\| wc -c", || run_to_wc(&one)),
        ];
        bench.compare(title, Work::Bytes(bytes), variants);
        std::fs::remove_file(&output).expect("the output was there");
    }
}

fn memory(bench: &Bench) {
    let title = "memory of the whole process";
    if !bench.wants(title) {
        return;
    }
    let [large, huge] = [Segment::LARGE_BATCHES, Segment::HUGE].map(|segment| bench.file(&segment).path);
    let zstd = bench.file(&Segment::compressed(Compression::Zstd)).path;
    let commands = [
        ("kfsck dump-log, 1 GiB", vec![KFSCK, "dump-log", &large]),
        ("kfsck dump-log, 4 GiB", vec![KFSCK, "dump-log", &huge]),
        ("kfsck dump-log -r, 1 GiB", vec![KFSCK, "dump-log", "-r", &large]),
        ("kfsck dump-log -r, 4 GiB", vec![KFSCK, "dump-log", "-r", &huge]),
        ("kfsck dump-log -r -f json, 4 GiB", vec![KFSCK, "dump-log", "-r", "-f", "json", &huge]),
        ("kfsck dump-log -r -j1, 4 GiB", vec![KFSCK, "dump-log", "-r", "-j1", &huge]),
        ("kfsck dump-log -r -j16 -f json, 4 GiB", vec![KFSCK, "dump-log", "-r", "-j16", "-f", "json", &huge]),
        ("kfsck dump-log -r, zstd", vec![KFSCK, "dump-log", "-r", &zstd]),
    ];
    bench.peaks(title, 64 << 20, &commands);
}

/// Walks over the file, its checksums verified, and hands out every record.
fn each_record(file: &File, mut take: impl FnMut(&Record<'_>)) {
    let storage = open(file.path.as_ref(), ReadPolicy::default()).expect("the data can be opened");
    let options = ScanOptions { bodies: true, ..ScanOptions::default() };
    let mut scan = BatchScan::new(storage.as_ref(), LogSoFar::unknown(), options);
    let mut decompressor = Decompressor::default();
    let mut count = 0;
    while let Some(batch) = scan.next_batch().expect("the data can be read") {
        for record in batch.batch().expect("a batch of usual size").records(&mut decompressor).expect("valid data") {
            take(&record.expect("valid data"));
            count += 1;
        }
    }
    assert_eq!(count, file.records, "the walk ended before the file did");
}

/// Writes a line for each record of the file into a buffer that is emptied now and then.
fn with_lines(file: &File, mut line: impl FnMut(&mut Vec<u8>, &Record<'_>)) {
    let mut out = Vec::with_capacity(512 << 10);
    each_record(file, |record| {
        line(&mut out, record);
        if out.len() > 256 << 10 {
            black_box(&out);
            out.clear();
        }
    });
}

fn assert_equal_lines(file: &File) {
    let (mut own, mut serde) = (Vec::new(), Vec::new());
    each_record(file, |record| {
        own.clear();
        serde.clear();
        own_line(&mut own, record);
        serde_line(&mut serde, record);
        assert_eq!(own, serde, "{}", String::from_utf8_lossy(&own));
    });
}

const FILE: &str = "/data/orders-0/00000000000000000000.log";

fn own_line(out: &mut Vec<u8>, record: &Record<'_>) {
    thread_local! {
        static LINES: RecordLines = {
            let style = RecordStyle { key: BytesFormat::Auto, value: BytesFormat::Auto, most_in_text: 1024 };
            let mut lines = RecordLines::new(style, &jiff::tz::TimeZone::UTC);
            lines.batch(FILE, kfsck::format::Position(4711));
            lines
        };
    }
    LINES.with(|lines| lines.json(out, record, None));
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "record", rename_all = "camelCase")]
struct RecordLine<'a> {
    file: &'a str,
    position: u64,
    offset: i64,
    timestamp: Option<i64>,
    timestamp_type: &'a str,
    key: Option<Text<'a>>,
    value: Option<Text<'a>>,
    headers: Vec<HeaderLine<'a>>,
}

#[derive(Serialize)]
struct HeaderLine<'a> {
    key: &'a str,
    value: Option<Text<'a>>,
}

#[derive(Serialize)]
struct Text<'a> {
    text: &'a str,
}

fn serde_line(out: &mut Vec<u8>, record: &Record<'_>) {
    fn text(bytes: &[u8]) -> Text<'_> {
        Text { text: std::str::from_utf8(bytes).expect("the data are text") }
    }
    let line = RecordLine {
        file: FILE,
        position: 4711,
        offset: record.offset.0,
        timestamp: record.timestamp,
        timestamp_type: record.timestamp_type.name(),
        key: record.key.map(text),
        value: record.value.map(text),
        headers: record
            .headers
            .iter()
            .map(|header| HeaderLine { key: text(header.key).text, value: header.value.map(text) })
            .collect(),
    };
    serde_json::to_writer(&mut *out, &line).expect("JSON of valid text");
    out.push(b'\n');
}
