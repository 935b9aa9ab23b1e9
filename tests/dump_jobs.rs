//! What `dump-log` prints does not depend on how many threads it has.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use kfsck::format::Offset;
use kfsck::format::batch::RecordBatchBuilder;
use kfsck::format::compression::Compression;
use kfsck::format::record::RecordFields;
use support::{Random, file_name, kfsck, subdirectories, testdata};

const LOG: &str = "00000000000000000000.log";

/// Every log of the real files, sorted.
fn real_logs(directory: &Path, logs: &mut Vec<PathBuf>) {
    let mut files: Vec<PathBuf> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    logs.extend(files.into_iter().filter(|file| file.extension().is_some_and(|it| it == "log") && file.is_file()));
    subdirectories(directory).iter().for_each(|inner| real_logs(inner, logs));
}

/// A partition whose log has what several real logs have, some of them many times over: more than one piece of
/// work for records and for batches.
///
/// Its first batch is compressed or not, on which it depends how the work is shared.
fn long_log(partition: &Path, logs: &[PathBuf], random: &mut Random, is_compressed: bool, broken_bits: usize) {
    let mut first = logs.iter().map(|log| fs::read(log).unwrap());
    let is_such = |log: &Vec<u8>| log.len() > 22 && log[16] == 2 && (log[22] & 7 != 0) == is_compressed;
    let mut bytes = first.find(is_such).unwrap();
    bytes.truncate(bytes.len().min(400_000));
    while bytes.len() < 2_300_000 {
        let log = fs::read(&logs[random.below(logs.len() as u64) as usize]).unwrap();
        // What was preallocated would take the place of everything else.
        let end = log.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
        let log = &log[..end.min(400_000)];
        let most = 500_000 / log.len().max(1);
        (0..most.clamp(1, 1 + random.below(30) as usize)).for_each(|_| bytes.extend_from_slice(log));
    }
    for _ in 0..broken_bits {
        let at = random.below(bytes.len() as u64) as usize;
        bytes[at] ^= 1 << random.below(8);
    }
    fs::create_dir_all(partition).unwrap();
    fs::write(partition.join(LOG), bytes).unwrap();
}

/// Runs `dump-log` with one job and with several; returns what it printed, and its status.
fn same_with_all_jobs(directory: &Path, options: &[&str]) -> (Vec<u8>, Option<i32>) {
    let run = |jobs| kfsck(directory, ["dump-log", "-j", jobs].iter().chain(options).chain(&["."]));
    let (one, several) = (run("1"), run("3"));
    let what = format!("{options:?} in {}", file_name(directory));
    assert_eq!(several.status, one.status, "{what}");
    assert!(several.stdout == one.stdout, "{what}: standard output differs");
    assert_eq!(String::from_utf8_lossy(&several.stderr), String::from_utf8_lossy(&one.stderr), "{what}");
    (one.stdout, one.status)
}

#[test]
fn output_does_not_depend_on_the_number_of_jobs() {
    let dir = tempfile::tempdir().unwrap();
    let mut logs = Vec::new();
    real_logs(&testdata(), &mut logs);
    assert!(logs.len() > 20, "{} logs", logs.len());
    let mut random = Random(8);
    let mut damaged = 0;
    for (number, (is_compressed, broken_bits)) in [(false, 0), (true, 30), (false, 30)].into_iter().enumerate() {
        let partition = dir.path().join(format!("orders-{number}"));
        long_log(&partition, &logs, &mut random, is_compressed, broken_bits);
        for options in [
            &[][..],
            &["-f", "json"],
            &["-r"],
            &["-r", "-f", "json", "--max-batch-bytes", "2KiB"],
            &["-r", "--isolation", "read-committed"],
            &["-r", "--from-offset", "20", "--to-offset", "90"],
            &["--from-time", "2020-01-01", "--key-prefix", "k", "-f", "json"],
            &["-r", "--control", "--color", "always"],
            &["-r", "--stop-at-damage", "--io", "mmap"],
            &["-r", "-n", "3000"],
            &["-r", "-n", "3000", "-f", "table"],
        ] {
            let (stdout, status) = same_with_all_jobs(&partition, options);
            assert!(!stdout.is_empty() && status.unwrap() < 16, "{options:?}: {status:?}");
            damaged += usize::from(status.unwrap() & 4 == 4);
        }
    }
    assert!(damaged > 10, "{damaged} runs that met damage are too few to show anything");
}

/// A batch of `records` records with values of so many bytes each.
fn batch(base_offset: i64, records: i32, value_size: usize, compression: Compression, out: &mut Vec<u8>) {
    let mut header = RecordBatchBuilder::plain_header(Offset(base_offset), 1_700_000_000_000);
    header.last_offset_delta = records - 1;
    let mut builder = RecordBatchBuilder::new(header, compression);
    let value = vec![b'v'; value_size];
    for offset_delta in 0..records {
        let fields = RecordFields {
            attributes: 0,
            timestamp_delta: 0,
            offset_delta,
            key: None,
            value: Some(&value),
            headers: &[],
        };
        builder.push(&fields);
    }
    builder.write(out).unwrap();
}

#[test]
fn batches_that_take_much_memory_are_dumped_in_their_place() {
    let dir = tempfile::tempdir().unwrap();
    let partition = dir.path().join("orders-0");
    fs::create_dir_all(&partition).unwrap();
    let (mut bytes, mut offset) = (Vec::new(), 0);
    // Larger than what a thread is given; more than it decompresses; together more than it may hold back.
    for (count, records, value_size, compression) in [
        (300, 10, 100, Compression::None),
        (2, 3, 900_000, Compression::None),
        (30, 10, 100, Compression::Lz4),
        (2, 10, 900_000, Compression::Zstd),
        (300, 10, 100, Compression::None),
        (9, 30, 50_000, Compression::Zstd),
        (300, 10, 100, Compression::None),
    ] {
        for _ in 0..count {
            batch(offset, records, value_size, compression, &mut bytes);
            offset += i64::from(records);
        }
    }
    fs::write(partition.join(LOG), bytes).unwrap();
    for options in [&["-r"][..], &["-r", "-f", "json"], &["--from-offset", "100"]] {
        let (stdout, status) = same_with_all_jobs(&partition, options);
        assert_eq!(status, Some(0), "{options:?}");
        if options.contains(&"json") {
            let lines = support::json_output(&stdout).unwrap();
            let offsets = lines.iter().filter(|line| line["type"] == "record").map(|line| line["offset"].as_i64());
            assert!(offsets.eq((0..offset).map(Some)), "not every record is there, in order");
        }
    }
    // What is refused is refused once, whoever comes upon it.
    let (_, status) = same_with_all_jobs(&partition, &["-r", "--max-batch-bytes", "2500KiB"]);
    assert_eq!(status, Some(8));
}

#[test]
fn batches_inside_values_are_no_batches_of_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let partition = dir.path().join("orders-0");
    fs::create_dir_all(&partition).unwrap();
    // One value that holds as many batches as it can, each of which decompresses to more than a thread takes.
    let mut bomb = Vec::new();
    batch(0, 10, 1_000_000, Compression::Zstd, &mut bomb);
    let value = bomb.repeat(3_000_000 / bomb.len());
    let mut bytes = Vec::new();
    batch(0, 1, 10, Compression::None, &mut bytes);
    let mut builder = RecordBatchBuilder::new(RecordBatchBuilder::plain_header(Offset(1), 0), Compression::None);
    builder.push(&RecordFields { value: Some(&value), ..RecordFields::default() });
    builder.write(&mut bytes).unwrap();
    fs::write(partition.join(LOG), bytes).unwrap();
    let (_, status) = same_with_all_jobs(&partition, &["-r"]);
    assert_eq!(status, Some(0));
}
