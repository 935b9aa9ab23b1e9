//! Writes one directory of inputs for each fuzz target: `seed <corpus> [<log dirs>]`.
//!
//! From the log dirs of real brokers, whole small files, batches, and what is inside them, each shaped as its target
//! takes it. Without log dirs, only the inputs made by hand.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

use kfsck::format::batch::{BatchHeader, RecordBatch};
use kfsck::format::compression::{Compression, Decompressor};
use kfsck::format::legacy::MessageHeader;
use kfsck_fuzz::laws;

/// No seed is larger: small inputs are fuzzed faster and say as much.
const LARGEST: usize = 4096;

fn main() {
    let mut arguments = std::env::args_os().skip(1);
    let corpus = PathBuf::from(arguments.next().expect("usage: seed <corpus> [<log dirs>]"));
    for (target, name, bytes) in laws::hostile::inputs() {
        put(&corpus, target, name, &bytes);
    }
    if let Some(log_dirs) = arguments.next() {
        visit(&corpus, Path::new(&log_dirs));
    }
}

fn put(corpus: &Path, target: &str, name: &str, bytes: &[u8]) {
    let directory = corpus.join(target);
    fs::create_dir_all(&directory).expect("the corpus can be written");
    fs::write(directory.join(name), bytes).expect("the corpus can be written");
}

/// A seed named by its content, so that equal ones are kept once.
fn seed(corpus: &Path, target: &str, bytes: &[u8]) {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    if bytes.len() <= LARGEST {
        put(corpus, target, &format!("real-{:016x}", hasher.finish()), bytes);
    }
}

fn visit(corpus: &Path, directory: &Path) {
    for entry in fs::read_dir(directory).expect("readable") {
        let path = entry.expect("readable").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        seed(corpus, "file_name", name.as_bytes());
        if path.is_dir() {
            visit(corpus, &path);
            continue;
        }
        let bytes = fs::read(&path).expect("readable");
        // The base offset that the target takes before the index.
        let based =
            [&name.split('.').next().and_then(|n| n.parse::<i64>().ok()).unwrap_or(0).to_be_bytes(), &bytes[..]];
        match name.rsplit('.').next().unwrap_or_default() {
            "log" | "checkpoint" => log(corpus, &bytes),
            "index" => seed(corpus, "offset_index", &based.concat()),
            "timeindex" => seed(corpus, "time_index", &based.concat()),
            "txnindex" => seed(corpus, "txn_index", &bytes),
            "snapshot" => seed(corpus, "producer_snapshot", &bytes),
            "leader-epoch-checkpoint" => seed(corpus, "leader_epoch", &bytes),
            "metadata" => {
                seed(corpus, "partition_metadata", &bytes);
                seed(corpus, "uuid", bytes.rsplit(|&byte| byte == b' ').next().unwrap_or_default());
            }
            "properties" => seed(corpus, "properties", &bytes),
            "quorum-state" => seed(corpus, "quorum_state", &bytes),
            "kafka_cleanshutdown" => seed(corpus, "clean_shutdown", &bytes),
            name if name.ends_with("-offset-checkpoint") => seed(corpus, "offset_checkpoint", &bytes),
            _ => {}
        }
    }
}

fn log(corpus: &Path, bytes: &[u8]) {
    seed(corpus, "scan", &[&[0], &bytes[..bytes.len().min(LARGEST - 1)]].concat());
    let mut rest = bytes;
    while let Ok(found) = RecordBatch::new(rest) {
        seed(corpus, "batch", found.bytes());
        inside(corpus, &found);
        rest = &rest[found.bytes().len()..];
    }
}

fn inside(corpus: &Path, found: &RecordBatch<'_>) {
    let Ok(codec) = found.header().compression() else { return };
    let mut decompressor = Decompressor::default();
    let (magic, section) = match found.header() {
        BatchHeader::RecordBatch(_) => (2, found.payload()),
        BatchHeader::Message(header) => (header.magic, value(header, found.bytes())),
    };
    if codec != Compression::None {
        seed(corpus, codec.name(), section);
    }
    let Ok(plain) = decompressor.decompress(codec, magic, section) else { return };
    match found.header() {
        BatchHeader::RecordBatch(header) => {
            let [high, low] = (header.records_count as i16).to_be_bytes();
            seed(corpus, "record", &[&[0x80 | codec.id(), high, low, header.attributes as u8], plain].concat());
            seed(corpus, "varint", &plain[..plain.len().min(10)]);
        }
        BatchHeader::Message(header) => {
            let how = header.magic as u8 & 1 | header.attributes as u8 & 8 | codec.id() << 4;
            seed(corpus, "legacy", &[&[how], &header.offset.to_be_bytes()[..], plain].concat());
        }
    }
    if found.header().is_control()
        && let Ok(records) = found.records(&mut decompressor)
    {
        for record in records.flatten() {
            seed(corpus, "control", record.value.unwrap_or_default());
            seed(corpus, "flexible", record.value.and_then(|value| value.get(2..)).unwrap_or_default());
        }
    }
}

/// The value of a message without key, as wrappers have none.
fn value<'a>(header: &MessageHeader, bytes: &'a [u8]) -> &'a [u8] {
    bytes.get(if header.magic == 0 { 26 } else { 34 }..).unwrap_or_default()
}
