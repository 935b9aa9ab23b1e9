//! Segments to measure with: made once, from a seed, with valid checksums, and kept under `target/bench-data`.
//!
//! Each segment has a partition directory of its own, so that indexes can lie beside it.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use kfsck::format::batch::RecordBatchBuilder;
use kfsck::format::compression::Compression;
use kfsck::format::file_name::{FileKind, FileState, segment_file_name};
use kfsck::format::offset_index::OffsetIndexEntry;
use kfsck::format::record::RecordFields;
use kfsck::format::time_index::TimeIndexEntry;
use kfsck::format::{Offset, Position};
use rustix::fs::{Advice, fadvise};

/// Bytes of an average record, its share of the batch header not counted.
const RECORD_BYTES: u64 = 138;
/// Rises when the generator writes other bytes than before.
const GENERATION: u32 = 2;
/// The time of offset 0, in milliseconds; each offset is one later.
const START: i64 = 1_700_000_000_000;
/// The seed of the content.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;
/// Kafka's `index.interval.bytes`.
const INDEX_INTERVAL: u64 = 4096;

/// What a segment is made of.
#[derive(Clone, Copy)]
pub struct Segment {
    pub name: &'static str,
    /// Bytes of all records before compression, about.
    pub raw_bytes: u64,
    pub records_per_batch: u64,
    pub compression: Compression,
}

impl Segment {
    /// 14 KB a batch, as a busy producer with the default `batch.size` makes them.
    pub const LARGE_BATCHES: Self =
        Self { name: "large", raw_bytes: 1 << 30, records_per_batch: 100, compression: Compression::None };
    /// 0.9 KB a batch, as a quiet producer makes them.
    pub const SMALL_BATCHES: Self =
        Self { name: "small", raw_bytes: 1 << 30, records_per_batch: 6, compression: Compression::None };
    /// More than a broker puts into one segment: what is flat up to here is flat.
    pub const HUGE: Self = Self { name: "huge", raw_bytes: 4 << 30, ..Self::LARGE_BATCHES };

    /// 200 MB of 55 KB batches.
    pub fn compressed(compression: Compression) -> Self {
        Self { name: compression.name(), raw_bytes: 200_000_000, records_per_batch: 400, compression }
    }

    /// This segment as the only one of its partition, without indexes.
    pub(super) fn file(&self, is_test: bool, is_written: bool) -> File {
        let batches = self.batches(is_test);
        let directory = data_directory(is_test).join(format!("{}-0", self.name));
        let path = directory.join("00000000000000000000.log");
        if !path.exists() {
            make(&directory, |directory| self.write(batches, directory)).expect("room for data");
        }
        warm(&path, is_written).expect("the data can be read");
        let bytes = path.metadata().expect("the data are there").len();
        File { path: text(&path), bytes, records: batches * self.records_per_batch }
    }

    /// The same records in a partition of `segments` segments with indexes.
    pub(super) fn partition(&self, segments: u64, is_test: bool, is_written: bool) -> Partition {
        let batches_each = self.batches(is_test).div_ceil(segments);
        let directory = data_directory(is_test).join(format!("{}-in-{segments}-0", self.name));
        if !directory.exists() {
            make(&directory, |directory| self.write_partition(segments, batches_each, directory))
                .expect("room for data");
        }
        let mut logs = Vec::new();
        for name in fs::read_dir(&directory).expect("the data are there").map(|entry| entry.expect("a name").path()) {
            warm(&name, is_written).expect("the data can be read");
            if name.extension().is_some_and(|extension| extension == "log") {
                logs.push(text(&name));
            }
        }
        logs.sort();
        let bytes = logs.iter().map(|log| fs::metadata(log).expect("the data are there").len()).sum();
        Partition { path: text(&directory), logs, bytes, batches: segments * batches_each }
    }

    fn batches(&self, is_test: bool) -> u64 {
        let scale = if is_test { 250 } else { 1 };
        self.raw_bytes / scale / RECORD_BYTES / self.records_per_batch
    }

    fn write(&self, batches: u64, directory: &Path) -> io::Result<()> {
        let mut file = create(directory, 0, FileKind::Log)?;
        let mut random = Random(SEED);
        let mut batch = Vec::new();
        for number in 0..batches {
            self.batch(number * self.records_per_batch, &mut random, &mut batch)?;
            file.write_all(&batch)?;
        }
        file.into_inner()?.sync_all()
    }

    /// Segments and their indexes as a broker writes them that gets one batch at a time: before a batch, an entry is
    /// due where more than the interval was written since the last one; a rolled segment's time index ends with its
    /// greatest timestamp.
    fn write_partition(&self, segments: u64, batches_each: u64, directory: &Path) -> io::Result<()> {
        let mut random = Random(SEED);
        let mut batch = Vec::new();
        for segment in 0..segments {
            let base = segment * batches_each * self.records_per_batch;
            let mut log = create(directory, base, FileKind::Log)?;
            let (mut offset_index, mut time_index) = (Vec::new(), Vec::new());
            let (mut position, mut since_entry, mut last) = (0, 0, base);
            let time_entry = |last: u64| {
                let timestamp = START + last as i64;
                TimeIndexEntry::new(Offset(base as i64), timestamp, Offset(last as i64)).expect("a near offset")
            };
            for number in 0..batches_each {
                let first = base + number * self.records_per_batch;
                last = first + self.records_per_batch - 1;
                self.batch(first, &mut random, &mut batch)?;
                log.write_all(&batch)?;
                if since_entry > INDEX_INTERVAL {
                    OffsetIndexEntry::new(Offset(base as i64), Offset(last as i64), Position(position))
                        .expect("a near offset")
                        .write(&mut offset_index);
                    time_entry(last).write(&mut time_index);
                    since_entry = 0;
                }
                position += batch.len() as u64;
                since_entry += batch.len() as u64;
            }
            let mut closing = Vec::new();
            time_entry(last).write(&mut closing);
            if !time_index.ends_with(&closing) {
                time_index.extend_from_slice(&closing);
            }
            log.into_inner()?.sync_all()?;
            create(directory, base, FileKind::OffsetIndex)?.write_all(&offset_index)?;
            create(directory, base, FileKind::TimeIndex)?.write_all(&time_index)?;
        }
        Ok(())
    }

    /// The batch that begins at `base_offset`.
    fn batch(&self, base_offset: u64, random: &mut Random, batch: &mut Vec<u8>) -> io::Result<()> {
        let first_timestamp = START + base_offset as i64;
        let mut header = RecordBatchBuilder::plain_header(Offset(base_offset as i64), first_timestamp);
        header.last_offset_delta = self.records_per_batch as i32 - 1;
        header.max_timestamp = first_timestamp + i64::from(header.last_offset_delta);
        let mut builder = RecordBatchBuilder::new(header, self.compression);
        for record in 0..self.records_per_batch {
            push_record(&mut builder, record as i32, base_offset + record, random);
        }
        batch.clear();
        builder.write(batch).map_err(io::Error::other)
    }
}

/// Where the data are kept; a place of its own for the small ones of a test.
fn data_directory(is_test: bool) -> PathBuf {
    let size = if is_test { "few" } else { "all" };
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("bench-data");
    directory.join(format!("v{GENERATION}-{size}"))
}

/// Makes a directory and what is in it, or nothing.
fn make(directory: &Path, write: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    eprintln!("making {}", directory.display());
    let unfinished = directory.with_extension("unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)?;
    }
    fs::create_dir_all(&unfinished)?;
    write(&unfinished)?;
    if directory.exists() {
        fs::remove_dir_all(directory)?;
    }
    fs::rename(unfinished, directory)
}

fn create(directory: &Path, base: u64, kind: FileKind) -> io::Result<io::BufWriter<fs::File>> {
    let name = segment_file_name(Offset(base as i64), kind, FileState::Live);
    Ok(io::BufWriter::with_capacity(1 << 20, fs::File::create(directory.join(name))?))
}

fn warm(path: &Path, is_written: bool) -> io::Result<()> {
    if is_written { rewrite(path) } else { read_anew(path) }
}

fn text(path: &Path) -> String {
    path.to_str().expect("a path that is text").to_owned()
}

/// A key, a JSON object of six strings as value, and one header on every fourth record.
fn push_record(builder: &mut RecordBatchBuilder, offset_delta: i32, number: u64, random: &mut Random) {
    const STATES: [&str; 4] = ["created", "paid", "shipped", "returned"];
    let user = random.below(100_000);
    let key = format!("user-{user}");
    let value = format!(
        r#"{{"order":{},"user":"user-{user}","item":"item-{}","state":"{}","total":"{}.{:02}","at":"2026-11-{:02}T12:30"}}"#,
        10_000_000 + number,
        random.below(10_000),
        STATES[random.below(4) as usize],
        random.below(1000),
        random.below(100),
        1 + random.below(30),
    );
    let trace = format!("{:016x}", random.next());
    let header = [("trace-id".as_bytes(), Some(trace.as_bytes()))];
    builder.push(&RecordFields {
        attributes: 0,
        timestamp_delta: i64::from(offset_delta),
        offset_delta,
        key: Some(key.as_bytes()),
        value: Some(value.as_bytes()),
        headers: if number.is_multiple_of(4) { &header } else { &[] },
    });
}

/// A segment's file.
pub struct File {
    pub path: String,
    pub bytes: u64,
    pub records: u64,
}

/// A partition directory of many segments.
pub struct Partition {
    pub path: String,
    /// Its `.log` files in order.
    pub logs: Vec<String>,
    /// Of all `.log` files.
    pub bytes: u64,
    pub batches: u64,
}

/// Brings the file into the page cache the way a reader does (a copy, a backup, an earlier look): in large pieces.
fn read_anew(path: &Path) -> io::Result<()> {
    let mut file = fs::File::open(path)?;
    file.sync_all()?;
    fadvise(&file, 0, None, Advice::DontNeed)?;
    let mut piece = vec![0; 1 << 20];
    while file.read(&mut piece)? > 0 {}
    Ok(())
}

/// Brings the file into the page cache the way a broker does that has just written it: in small pieces.
fn rewrite(path: &Path) -> io::Result<()> {
    let copy: PathBuf = path.with_extension("unfinished");
    let (mut from, mut to) = (fs::File::open(path)?, fs::File::create(&copy)?);
    let mut piece = vec![0; 16 << 10];
    loop {
        match from.read(&mut piece)? {
            0 => break,
            count => to.write_all(&piece[..count])?,
        }
    }
    // The disk must not be busy with it while something is measured.
    to.sync_all()?;
    fs::rename(copy, path)
}

/// Xorshift: numbers that are the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}
