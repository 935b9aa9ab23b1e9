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
/// Bytes of a brief record, the batch header around it counted: each has a batch of its own.
const BRIEF_RECORD_BYTES: u64 = 100;
/// Rises when the generator writes other bytes than before.
const GENERATION: u32 = 2;
/// The time of offset 0, in milliseconds; each offset is one later.
const START: i64 = 1_700_000_000_000;
/// The seed of the content.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;
/// Of each partition in a log dir of many.
const BATCHES_IN_A_LOG_DIR: u64 = 4;
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
    /// Records of a few bytes instead of the usual ones.
    pub is_brief: bool,
}

impl Segment {
    /// 14 KB a batch, as a busy producer with the default `batch.size` makes them.
    pub const LARGE_BATCHES: Self = Self {
        name: "large",
        raw_bytes: 1 << 30,
        records_per_batch: 100,
        compression: Compression::None,
        is_brief: false,
    };
    /// 0.9 KB a batch, as a quiet producer makes them.
    pub const SMALL_BATCHES: Self = Self {
        name: "small",
        raw_bytes: 1 << 30,
        records_per_batch: 6,
        compression: Compression::None,
        is_brief: false,
    };
    /// More than a broker puts into one segment: what is flat up to here is flat.
    pub const HUGE: Self = Self { name: "huge", raw_bytes: 4 << 30, ..Self::LARGE_BATCHES };

    /// 200 MB of 55 KB batches.
    pub fn compressed(compression: Compression) -> Self {
        Self { name: compression.name(), raw_bytes: 200_000_000, records_per_batch: 400, compression, is_brief: false }
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
        let name = format!("{}-in-{segments}-0", self.name);
        self.partition_of(&name, &vec![batches_each; segments as usize], is_test, is_written)
    }

    /// A thousand segments of 1 MiB, behind them one of the usual size, with indexes.
    pub(super) fn many_and_one(&self, is_test: bool, is_written: bool) -> Partition {
        let small = Self { raw_bytes: 1 << 20, ..*self }.batches(is_test);
        let mut batches = vec![small; if is_test { 10 } else { 1000 }];
        batches.push(self.batches(is_test));
        self.partition_of(&format!("{}-in-many-and-one-0", self.name), &batches, is_test, is_written)
    }

    /// A partition of segments with so many batches each.
    fn partition_of(&self, name: &str, batches: &[u64], is_test: bool, is_written: bool) -> Partition {
        let directory = data_directory(is_test).join(name);
        if !directory.exists() {
            make(&directory, |directory| self.write_partition(batches, directory)).expect("room for data");
        }
        let files = warm_directory(&directory, is_written).expect("the data can be read");
        let mut logs: Vec<_> = files.iter().filter(|file| file.extension().is_some_and(|end| end == "log")).collect();
        logs.sort();
        let logs: Vec<_> = logs.into_iter().map(|log| text(log)).collect();
        let bytes = logs.iter().map(|log| fs::metadata(log).expect("the data are there").len()).sum();
        Partition { path: text(&directory), logs, bytes, batches: batches.iter().sum() }
    }

    /// A log dir as a broker leaves it that was stopped in order, its partitions of one segment with a few batches.
    pub(super) fn log_dir(&self, partitions: u64, is_test: bool, is_written: bool) -> String {
        let directory = data_directory(is_test).join(format!("{}-log-dir-of-{partitions}", self.name));
        if !directory.exists() {
            make(&directory, |directory| self.write_log_dir(partitions, directory)).expect("room for data");
        }
        for partition in 0..partitions {
            warm_directory(&directory.join(format!("orders-{partition}")), is_written).expect("the data can be read");
        }
        text(&directory)
    }

    fn batches(&self, is_test: bool) -> u64 {
        let scale = if is_test { 250 } else { 1 };
        let record = if self.is_brief { BRIEF_RECORD_BYTES } else { RECORD_BYTES };
        (self.raw_bytes / scale / record / self.records_per_batch).max(1)
    }

    fn write(&self, batches: u64, directory: &Path) -> io::Result<()> {
        let mut file = create(directory, 0, FileKind::Log)?;
        let mut random = Random(SEED);
        let mut batch = Vec::new();
        for number in 0..batches {
            self.batch(number * self.records_per_batch, &mut random, &mut batch)?;
            file.write_all(&batch)?;
        }
        file.into_inner()?;
        Ok(())
    }

    /// Segments and their indexes as a broker writes them that gets one batch at a time: before a batch, an entry is
    /// due where more than the interval was written since the last one; a rolled segment's time index ends with its
    /// greatest timestamp.
    fn write_partition(&self, segments: &[u64], directory: &Path) -> io::Result<()> {
        let mut random = Random(SEED);
        let mut batch = Vec::new();
        let mut base = 0;
        for &batches in segments {
            let mut log = create(directory, base, FileKind::Log)?;
            let (mut offset_index, mut time_index) = (Vec::new(), Vec::new());
            let (mut position, mut since_entry, mut last) = (0, 0, base);
            let time_entry = |last: u64| {
                let timestamp = START + last as i64;
                TimeIndexEntry::new(Offset(base as i64), timestamp, Offset(last as i64)).expect("a near offset")
            };
            for number in 0..batches {
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
            log.into_inner()?;
            create(directory, base, FileKind::OffsetIndex)?.write_all(&offset_index)?;
            create(directory, base, FileKind::TimeIndex)?.write_all(&time_index)?;
            base = last + 1;
        }
        Ok(())
    }

    fn write_log_dir(&self, partitions: u64, directory: &Path) -> io::Result<()> {
        let end = BATCHES_IN_A_LOG_DIR * self.records_per_batch;
        let mut ends = format!("0\n{partitions}\n");
        for number in 0..partitions {
            let name = format!("orders-{number}");
            let partition = directory.join(&name);
            fs::create_dir(&partition)?;
            self.write_partition(&[BATCHES_IN_A_LOG_DIR], &partition)?;
            fs::write(partition.join("partition.metadata"), "version: 0\ntopic_id: 0ZqNoWA8TPWK5FISrGvanw")?;
            fs::write(partition.join("leader-epoch-checkpoint"), "0\n1\n0 0\n")?;
            ends.push_str(&format!("orders {number} {end}\n"));
        }
        fs::write(directory.join("recovery-point-offset-checkpoint"), &ends)?;
        fs::write(directory.join("replication-offset-checkpoint"), &ends)?;
        fs::write(directory.join("log-start-offset-checkpoint"), "0\n0\n")?;
        fs::write(directory.join("cleaner-offset-checkpoint"), "0\n0\n")?;
        fs::write(directory.join("meta.properties"), "version=0\nbroker.id=2\ncluster.id=bjcj0_tFRleeUohiC56Utg\n")?;
        fs::write(directory.join(".kafka_cleanshutdown"), "")
    }

    /// The batch that begins at `base_offset`.
    fn batch(&self, base_offset: u64, random: &mut Random, batch: &mut Vec<u8>) -> io::Result<()> {
        let first_timestamp = START + base_offset as i64;
        let mut header = RecordBatchBuilder::plain_header(Offset(base_offset as i64), first_timestamp);
        header.last_offset_delta = self.records_per_batch as i32 - 1;
        header.max_timestamp = first_timestamp + i64::from(header.last_offset_delta);
        let mut builder = RecordBatchBuilder::new(header, self.compression);
        for record in 0..self.records_per_batch {
            if self.is_brief {
                push_brief_record(&mut builder, record as i32, random);
            } else {
                push_record(&mut builder, record as i32, base_offset + record, random);
            }
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
    // All at once: file by file takes minutes where there are ten thousands of them.
    rustix::fs::sync();
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

/// A key and a value of a few bytes.
fn push_brief_record(builder: &mut RecordBatchBuilder, offset_delta: i32, random: &mut Random) {
    let user = random.below(100_000);
    builder.push(&RecordFields {
        timestamp_delta: i64::from(offset_delta),
        offset_delta,
        key: Some(format!("user-{user:05}").as_bytes()),
        value: Some(format!("{:020x}", random.next()).as_bytes()),
        ..RecordFields::default()
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

/// Removes a directory of data that is needed once only.
pub fn remove(directory: &str) {
    fs::remove_dir_all(directory).expect("the data were there");
}

/// Brings every file of a directory into the page cache; their paths.
fn warm_directory(directory: &Path, is_written: bool) -> io::Result<Vec<PathBuf>> {
    let files: Vec<_> = fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    files.iter().try_for_each(|file| warm(file, is_written))?;
    Ok(files)
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
