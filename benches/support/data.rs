//! Segments to measure with: made once, from a seed, with valid checksums, and kept under `target/bench-data`.
//!
//! Each segment has a partition directory of its own, so that indexes can lie beside it.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use kfsck::format::Offset;
use kfsck::format::batch::RecordBatchBuilder;
use kfsck::format::compression::Compression;
use kfsck::format::record::RecordFields;
use rustix::fs::{Advice, fadvise};

/// Bytes of an average record, its share of the batch header not counted.
const RECORD_BYTES: u64 = 138;
/// Rises when the generator writes other bytes than before.
const GENERATION: u32 = 1;

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

    pub(super) fn file(&self, is_test: bool, is_written: bool) -> File {
        let scale = if is_test { 250 } else { 1 };
        let batches = self.raw_bytes / scale / RECORD_BYTES / self.records_per_batch;
        let size = if is_test { "few" } else { "all" };
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("bench-data");
        let directory = directory.join(format!("v{GENERATION}-{size}")).join(format!("{}-0", self.name));
        let path = directory.join("00000000000000000000.log");
        if !path.exists() {
            eprintln!("making {}", path.display());
            fs::create_dir_all(&directory).expect("a directory for data");
            self.write(batches, &path).expect("room for data");
        }
        if is_written {
            rewrite(&path).expect("room for a copy");
        } else {
            read_anew(&path).expect("the data can be read");
        }
        let bytes = path.metadata().expect("the data are there").len();
        File {
            path: path.to_str().expect("a path that is text").to_owned(),
            bytes,
            records: batches * self.records_per_batch,
        }
    }

    fn write(&self, batches: u64, path: &Path) -> io::Result<()> {
        let unfinished = path.with_extension("unfinished");
        let mut file = io::BufWriter::with_capacity(1 << 20, fs::File::create(&unfinished)?);
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        let mut batch = Vec::new();
        for number in 0..batches {
            let base_offset = number * self.records_per_batch;
            let header =
                RecordBatchBuilder::plain_header(Offset(base_offset as i64), 1_700_000_000_000 + base_offset as i64);
            let mut builder = RecordBatchBuilder::new(header, self.compression);
            for record in 0..self.records_per_batch {
                push_record(&mut builder, record as i32, base_offset + record, &mut random);
            }
            batch.clear();
            builder.write(&mut batch).map_err(io::Error::other)?;
            file.write_all(&batch)?;
        }
        file.into_inner()?.sync_all()?;
        fs::rename(unfinished, path)
    }
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
