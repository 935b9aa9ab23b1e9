//! `kfsck lookup` where what it is given is not all of the log, or the files contradict one another: one segment of several,
//! base offsets that were changed, damage where the answer lies, checkpoints that do not fit.

mod support;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};
use support::{Finished, copy_log_dir, copy_partition, json_output, kfsck, testdata};

const SEGMENTS: &str = "3.9.2/segments/log-dir";
const FIRST: &str = "00000000000000000000.log";
const INDEX: &str = "00000000000000000000.index";

/// A loose copy of a real partition.
fn copy(name: &str) -> (tempfile::TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let modified = UNIX_EPOCH + Duration::from_millis(1_900_000_000_000);
    let dir = copy_partition(&testdata().join(SEGMENTS).join(name), root.path(), modified);
    (root, dir)
}

/// The same in a copy of its log dir.
fn copy_with_checkpoints(name: &str) -> (tempfile::TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let modified = UNIX_EPOCH + Duration::from_millis(1_900_000_000_000);
    copy_log_dir(&testdata().join(SEGMENTS), root.path(), modified);
    let dir = root.path().join(name);
    (root, dir)
}

fn write(file: &Path, at: usize, bytes: &[u8]) {
    let mut content = fs::read(file).unwrap();
    content[at..at + bytes.len()].copy_from_slice(bytes);
    fs::write(file, content).unwrap();
}

fn lookup(path: &Path, arguments: &[&str]) -> Finished {
    let mut all: Vec<&OsStr> = vec![OsStr::new("lookup"), path.as_os_str()];
    all.extend(arguments.iter().map(OsStr::new));
    let finished = kfsck(Path::new("/"), &all);
    assert!(!String::from_utf8_lossy(&finished.stderr).contains("panicked"), "{arguments:?}");
    finished
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The lines of one kind, and the exit status.
fn lines(path: &Path, kind: &str, arguments: &[&str]) -> (Vec<Value>, i32) {
    let finished = lookup(path, &[&["-f", "json"], arguments].concat());
    let lines = json_output(&finished.stdout).unwrap().into_iter().filter(|line| line["type"] == kind).collect();
    (lines, finished.status.unwrap())
}

/// The one answer, and the exit status.
fn answer(path: &Path, arguments: &[&str]) -> (Value, i32) {
    let (mut lines, status) = lines(path, "lookup", arguments);
    assert_eq!(lines.len(), 1, "{arguments:?}");
    (lines.remove(0), status)
}

#[test]
fn one_segment_of_several_is_not_taken_for_the_log() {
    let (_root, dir) = copy("rolled-by-size-0");
    let segment = dir.join(FIRST);
    for method in ["auto", "scan", "broker", "both"] {
        for (query, status) in [
            (["--offset", "28"], 8),
            (["--offset", "40"], 8),
            (["--timestamp", "latest"], 8),
            (["--timestamp", "1900000000000"], 0),
        ] {
            let arguments = ["--method", method, query[0], query[1]];
            let (line, exit) = answer(&segment, &arguments);
            assert_eq!((&line["found"], &line["reason"], exit), (&json!(false), &json!("notInSegment"), status));
            assert_eq!(line["logEndOffset"], Value::Null);
            let finished = lookup(&segment, &arguments);
            let said = text(&finished.stdout) + &text(&finished.stderr);
            assert!(said.contains(&format!("ask {}", dir.display())) && !said.contains("log end"), "{said}");
        }
        assert_eq!(answer(&segment, &["--method", method, "--offset", "27"]).0["offset"], 27);
        let (line, exit) = answer(&dir, &["--segment", "28", "--method", method, "--offset", "3"]);
        assert_eq!((&line["reason"], exit), (&json!("notInSegment"), 8));
        let (line, exit) = answer(&dir, &["--segment", "28", "--method", method, "--timestamp", "earliest"]);
        assert_eq!((&line["reason"], exit), (&json!("notInSegment"), 8));
    }
    let said = text(&lookup(&segment, &["--offset", "40"]).stderr);
    assert!(
        said.contains("offset 40 is not in this segment: this segment ends at 27; the partition goes on"),
        "{said}"
    );
    let (line, exit) = answer(&segment, &["--timestamp", "max-timestamp"]);
    assert_eq!((&line["offset"], exit), (&json!(27), 0));
    assert!(line["note"].as_str().unwrap().contains("only this segment"));
}

#[test]
fn a_batch_whose_base_offset_was_changed_hides_no_other_and_is_told() {
    let log = "00000000000000000024.log";
    let changed = |line: &Value| (line["position"].clone(), line["length"].clone(), line["reason"].clone());
    for with_index in [true, false] {
        // The batch of 39..41 at position 620 becomes one of 2147483687..2147483689.
        let (_root, dir) = copy("rolled-by-full-index-0");
        write(&dir.join(log), 624, &[0x80]);
        if !with_index {
            fs::remove_file(dir.join("00000000000000000024.index")).unwrap();
        }
        for method in ["auto", "scan"] {
            let (line, _) = answer(&dir, &["--method", method, "--offset", "46"]);
            assert_eq!((&line["offset"], &line["position"], &line["reason"]), (&json!(46), &json!(868), &Value::Null));
            let (line, exit) = answer(&dir, &["--method", method, "--offset", "40"]);
            assert_eq!((&line["offset"], &line["reason"], exit), (&json!(42), &json!("behindDamage"), 4));
            let (line, exit) = answer(&dir, &["--method", method, "--key", "key-40"]);
            assert_eq!((&line["reason"], exit), (&json!("offsetContradicts"), 4));
            let (line, exit) = answer(&dir, &["--method", method, "--timestamp", "1700000000040"]);
            assert_eq!((&line["reason"], exit), (&json!("offsetContradicts"), 4));
            for query in [["--offset", "40"], ["--key", "key-40"], ["--timestamp", "1700000000040"]] {
                let (damaged, _) = lines(&dir, "damaged", &["--method", method, query[0], query[1]]);
                let expected = [(json!(620), json!(124), json!("offsetsOutsideSegment"))];
                assert_eq!(damaged.iter().map(changed).collect::<Vec<_>>(), expected, "{query:?}");
            }
        }
        let (damaged, exit) = lines(&dir, "damaged", &["--offset", "38", "-n", "3"]);
        assert_eq!((damaged.len(), exit), (1, 4));
    }
    let (_root, dir) = copy("tiny-batches-0");
    write(&dir.join(FIRST), 18_780, &[0; 8]);
    for method in ["auto", "scan"] {
        let (line, exit) = answer(&dir, &["--method", method, "--offset", "250"]);
        assert_eq!((&line["offset"], &line["reason"], exit), (&json!(251), &json!("behindDamage"), 4));
        let (damaged, _) = lines(&dir, "damaged", &["--method", method, "--offset", "250"]);
        assert_eq!(changed(&damaged[0]), (json!(18_780), json!(76), json!("offsetsOutOfOrder")));
        assert_eq!(answer(&dir, &["--method", method, "--offset", "0"]).0["position"], 0);
        assert_eq!(answer(&dir, &["--method", method, "--timestamp", "latest"]).0["offset"], 500);
    }
}

#[test]
fn a_batch_that_lies_at_an_earlier_place_too_hides_none() {
    let (_root, dir) = copy("tiny-batches-0");
    let mut log = fs::read(dir.join(FIRST)).unwrap();
    // The batch of 33 in place of that of 5, whose bytes it takes and two of the next.
    let batch = log[2422..2496].to_vec();
    log.splice(360..432, batch);
    fs::write(dir.join(FIRST), log).unwrap();
    for method in ["auto", "scan"] {
        for (offset, found) in [(33, 33), (6, 6), (32, 32), (499, 499), (5, 6)] {
            let (line, _) = answer(&dir, &["--method", method, "--offset", &offset.to_string()]);
            let reason = if offset == 5 { json!("behindDamage") } else { Value::Null };
            assert_eq!((&line["offset"], &line["reason"]), (&json!(found), &reason), "{method} {offset}");
        }
        // Both are of offset 33: the one in the order of the log counts.
        assert_eq!(answer(&dir, &["--method", method, "--offset", "33"]).0["position"], 2424);
    }
}

#[test]
fn the_log_end_is_not_taken_from_a_batch_that_contradicts() {
    let (_root, dir) = copy("tiny-batches-0");
    write(&dir.join(FIRST), 37_708, &[0x80]);
    for method in ["auto", "scan"] {
        let (line, exit) = answer(&dir, &["--method", method, "--timestamp", "latest"]);
        assert_eq!((&line["offset"], exit), (&json!(499), 4));
        let (line, exit) = answer(&dir, &["--method", method, "--offset", "499"]);
        assert_eq!((&line["found"], &line["reason"], exit), (&json!(false), &json!("behindDamage"), 4));
        let (damaged, _) = lines(&dir, "damaged", &["--method", method, "--timestamp", "latest"]);
        assert_eq!((damaged.len(), &damaged[0]["position"]), (1, &json!(37_704)));
    }
    // A broker believes it.
    assert_eq!(answer(&dir, &["--method", "broker", "--timestamp", "latest"]).0["offset"], 2_147_484_148u64);
}

#[test]
fn a_changed_timestamp_is_no_reason_to_pass_over_a_batch() {
    let (_root, dir) = copy("tiny-batches-0");
    // The largest timestamp of the batch of 240.
    write(&dir.join(FIRST), 18_055, &[0; 8]);
    let by = |method: &str| {
        let arguments = ["--method", method, "--timestamp", "1700000002400"];
        let (damaged, _) = lines(&dir, "damaged", &arguments);
        (answer(&dir, &arguments), damaged)
    };
    let ((mut auto, status), damaged) = by("auto");
    let ((scan, of_scan), of_scan_damaged) = by("scan");
    assert_eq!((&auto["offset"], &auto["reason"], status), (&json!(241), &json!("behindDamage"), 4));
    auto["method"] = json!("scan");
    assert_eq!((auto, status, damaged), (scan, of_scan, of_scan_damaged));
}

#[test]
fn what_may_be_in_a_damaged_tail_is_not_called_unwritten() {
    let (_root, dir) = copy_with_checkpoints("tiny-batches-0");
    write(&dir.join(FIRST), 37_774, &[0xff]);
    for method in ["auto", "scan"] {
        for offset in ["499", "500"] {
            let (line, exit) = answer(&dir, &["--method", method, "--offset", offset]);
            assert_eq!((&line["found"], &line["reason"], exit), (&json!(false), &json!("behindDamage"), 4), "{offset}");
            let said = text(&lookup(&dir, &["--method", method, "--offset", offset]).stdout);
            assert!(said.contains(&format!("{offset} may be in damaged bytes")) && !said.contains("not yet"), "{said}");
        }
        let (_, exit) = answer(&dir, &["--method", method, "--offset", "501"]);
        assert_eq!(exit, 12);
        for query in [["--key", "k499"], ["--timestamp", "1700000004990"]] {
            let (line, exit) = answer(&dir, &["--method", method, query[0], query[1]]);
            assert_eq!((&line["found"], &line["reason"], exit), (&json!(false), &json!("behindDamage"), 4));
        }
        let (damaged, _) = lines(&dir, "damaged", &["--method", method, "--offset", "499"]);
        assert_eq!((damaged.len(), &damaged[0]["nextIntactPosition"]), (1, &Value::Null));
    }
    let (damaged, _) = lines(&dir, "damaged", &["--method", "broker", "--offset", "499"]);
    assert_eq!(damaged[0]["nextIntactPosition"], Value::Null);
}

#[test]
fn times_and_keys_behind_damage_say_so() {
    let (_root, dir) = copy("tiny-batches-0");
    write(&dir.join(FIRST), 18_845, &[0xff]);
    let reason = |query: [&str; 2]| answer(&dir, &query).0["reason"].clone();
    assert_eq!(reason(["--timestamp", "1700000002500"]), "behindDamage");
    assert_eq!(reason(["--key", "k250"]), "behindDamage");
    // A newer record with this key may have been there, and none with a key from behind it.
    assert_eq!(reason(["--key", "k249"]), "behindDamage");
    assert_eq!(reason(["--key", "k251"]), Value::Null);
    assert_eq!(reason(["--timestamp", "1700000002490"]), Value::Null);
}

#[test]
fn a_torn_tail_costs_a_look_at_the_end_of_the_segment() {
    let (_root, dir) = copy("tiny-batches-0");
    let log = dir.join(FIRST);
    fs::write(&log, &fs::read(&log).unwrap()[..37_770]).unwrap();
    let queries = ["--timestamp", "latest", "--timestamp", "latest", "--offset", "497", "--offset", "498"];
    let (answers, exit) = lines(&dir, "lookup", &queries);
    let offsets: Vec<_> = answers.iter().map(|line| line["offset"].clone()).collect();
    assert_eq!((offsets, exit), (vec![json!(497), json!(498), json!(499), json!(499)], 4));
    let (summary, _) = lines(&dir, "summary", &queries);
    let batches = summary[0]["batches"].as_u64().unwrap();
    // The last index entry is that of the batch of 490, the one before of 436; the log has 499 batches.
    assert!(batches < 100, "{batches}");
}

#[test]
fn a_brokers_own_way_is_no_fault_of_an_index() {
    let magic = testdata().join("2.8.2/magic/log-dir/compact-magic1-gzip-0");
    let emptied = testdata().join(SEGMENTS).join("retention-emptied-0");
    let cases = [
        (magic, "0", "modificationTime", "chosen by the modification time"),
        (emptied, "max-timestamp", "belowLogStart", "lies below the log start"),
    ];
    for (dir, time, cause, words) in cases {
        let arguments = ["--method", "both", "--timestamp", time];
        let (findings, exit) = lines(&dir, "finding", &arguments);
        let finding = &findings[0];
        assert_eq!((findings.len(), exit, &finding["severity"]), (1, 4, &json!("warning")));
        assert_eq!((&finding["details"]["cause"], &finding["repair"]), (&json!(cause), &json!("none")));
        assert!(finding["file"].as_str().unwrap().ends_with(".log"), "{finding}");
        let said = text(&lookup(&dir, &arguments).stdout);
        assert!(said.contains(words) && !said.contains("as new as that") && !said.contains("damaged"), "{said}");
    }
}

#[test]
fn checkpoints_that_do_not_fit_the_log_are_named() {
    let (root, dir) = copy_with_checkpoints("tiny-batches-0");
    fs::write(root.path().join("log-start-offset-checkpoint"), "0\n1\ntiny-batches 0 9999\n").unwrap();
    for method in ["auto", "scan", "broker"] {
        let finished = lookup(&dir, &["--method", method, "--offset", "40"]);
        let said = text(&finished.stderr);
        assert_eq!(finished.status, Some(8));
        assert!(said.contains("log start checkpoint says 9999") && said.contains("would delete the log"), "{said}");
    }
    let (root, dir) = copy_with_checkpoints("tiny-batches-0");
    fs::write(root.path().join("replication-offset-checkpoint"), "0\n1\ntiny-batches 0 900\n").unwrap();
    let (line, exit) = answer(&dir, &["--timestamp", "latest"]);
    assert_eq!((&line["offset"], exit), (&json!(500), 0));
    assert!(line["note"].as_str().unwrap().contains("high watermark 900 lies beyond the log end 500"), "{line}");
    fs::write(root.path().join("replication-offset-checkpoint"), "junk\n").unwrap();
    let (findings, exit) = lines(&dir, "finding", &["--timestamp", "latest"]);
    assert_eq!((findings.len(), exit, &findings[0]["id"]), (1, 4, &json!("logdir/checkpoint-unreadable")));
}

#[test]
fn an_index_that_was_no_help_is_in_the_answer() {
    let (_root, dir) = copy("tiny-batches-0");
    assert_eq!(answer(&dir, &["--offset", "100"]).0["indexTrusted"], Value::Null);
    fs::write(dir.join(INDEX), [0; 72]).unwrap();
    let (line, exit) = answer(&dir, &["--offset", "100"]);
    assert_eq!((&line["offset"], &line["indexTrusted"], exit), (&json!(100), &json!(false), 0));
    assert!(line["indexFile"].as_str().unwrap().ends_with(INDEX));
}

#[test]
fn damage_that_ends_a_brokers_reading_leaves_an_error() {
    let (_root, dir) = copy("tiny-batches-0");
    write(&dir.join(FIRST), 18_788, &[0x7f]);
    let (damaged, exit) = lines(&dir, "damaged", &["--method", "broker", "--offset", "250"]);
    assert_eq!((damaged.len(), exit), (1, 4));
    assert_eq!((&damaged[0]["position"], &damaged[0]["nextIntactPosition"]), (&json!(18_780), &json!(18_856)));
}

#[test]
fn the_ends_of_the_log_tell_what_lies_there() {
    let compacted = testdata().join("3.9.2/compaction/log-dir/compact-none-0");
    for method in ["auto", "scan", "broker"] {
        let (line, _) = answer(&compacted, &["--method", method, "--timestamp", "earliest"]);
        assert_eq!((&line["offset"], &line["reason"]), (&json!(0), &json!("gap")));
        assert!(line["record"]["offset"].as_i64().unwrap() > 0);
        let (line, _) = answer(&compacted, &["--method", method, "--timestamp", "latest"]);
        assert!(line["leaderEpoch"].is_i64(), "{method}: {line}");
    }
    let (_root, dir) = copy_with_checkpoints("tiny-batches-0");
    let said = text(&lookup(&dir, &["-f", "table", "--timestamp", "latest", "--offset", "4000"]).stdout);
    assert!(said.contains("hw 500") && said.contains("0..499"), "{said}");
    let said = text(&lookup(&dir, &["-f", "table", "--timestamp", "1700000002400"]).stdout);
    assert!(said.lines().all(|line| line.len() <= 80), "{said}");
}

#[test]
fn one_bad_batch_is_one_place() {
    let (_root, dir) = copy("tiny-batches-0");
    write(&dir.join(FIRST), 18_845, &[0xff]);
    for arguments in [
        &["--method", "both", "--offset", "250"][..],
        &["--method", "broker", "--offset", "250"],
        &["--method", "broker", "--timestamp", "1700000002500"],
        &["--key", "a", "--key", "k249", "--key", "k251"],
    ] {
        let (summary, exit) = lines(&dir, "summary", arguments);
        assert_eq!((&summary[0]["errors"], exit), (&json!(1), 4), "{arguments:?}");
        assert!(summary[0]["batches"].as_u64().unwrap() <= 500, "{arguments:?}: {}", summary[0]);
    }
}

#[test]
fn a_partition_directory_that_is_not_called_in_utf_8_is_said() {
    let (root, _) = copy_with_checkpoints("tiny-batches-0");
    fs::create_dir(root.path().join(OsStr::from_bytes(b"b\xffd-0"))).unwrap();
    let finished = lookup(root.path(), &["--timestamp", "latest"]);
    assert_eq!(finished.status, Some(8));
    let said = text(&finished.stderr);
    assert!(said.contains("b\\xFFd-0") && said.contains("not UTF-8"), "{said}");
    assert!(text(&finished.stdout).contains("tiny-batches-0 latest"));
    fs::remove_dir(root.path().join(OsStr::from_bytes(b"b\xffd-0"))).unwrap();
    fs::create_dir(root.path().join(OsStr::from_bytes(b"b\xff"))).unwrap();
    assert_eq!(lookup(root.path(), &["--timestamp", "latest"]).status, Some(0));
}

#[test]
fn times_without_zone_are_in_that_of_the_command_line() {
    let (_root, dir) = copy("tiny-batches-0");
    for (time, zone) in [
        ("2023-11-14T22:13:21", "UTC"),
        ("2023-11-14T23:13:21", "Europe/Vienna"),
        ("2023-11-14T22:13:21Z", "Asia/Tokyo"),
    ] {
        let (line, _) = answer(&dir, &["--timestamp", time, "--tz", zone]);
        assert_eq!((&line["query"], &line["offset"]), (&json!({"timestamp": 1_700_000_001_000u64}), &json!(100)));
    }
}
