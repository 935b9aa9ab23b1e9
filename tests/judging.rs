//! `verify-index` and `check`: what they look at, what they tell, and how they end.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use kfsck::format::Offset;
use kfsck::format::batch::RecordBatchBuilder;
use kfsck::format::compression::Compression;
use kfsck::format::record::RecordFields;
use serde_json::Value;
use support::{Finished, Random, json_output, kfsck, scenario, scenarios, subdirectories, testdata};

/// All log dirs of a collection.
fn log_dirs(collection: &Path) -> Vec<PathBuf> {
    let is_log_dir = |dir: &PathBuf| dir.join("meta.properties").is_file();
    let mut found = Vec::new();
    for scenario in scenarios(collection) {
        let mut next = vec![scenario.dir];
        while let Some(dir) = next.pop() {
            if is_log_dir(&dir) {
                found.push(dir);
            } else {
                next.extend(subdirectories(&dir));
            }
        }
    }
    found
}

fn lines(finished: &Finished, kind: &str) -> Vec<Value> {
    let lines = json_output(&finished.stdout).expect("JSON lines");
    lines.into_iter().filter(|line| line["type"] == kind).collect()
}

fn ids(finished: &Finished) -> BTreeSet<String> {
    lines(finished, "finding").iter().map(|line| line["id"].as_str().expect("an id").to_owned()).collect()
}

fn stderr(finished: &Finished) -> String {
    String::from_utf8_lossy(&finished.stderr).into_owned()
}

/// A copy of a log dir with three segments in one of its partitions, and the path of that.
fn copy(into: &Path) -> PathBuf {
    support::copy_log_dir(&scenario("4.4.0", "transactions").log_dir(None, None), into, SystemTime::now());
    into.join("txn-mixed-0")
}

/// The files with this suffix, in order.
fn files(dir: &Path, suffix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("readable").path());
    let mut files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|found| found == suffix)).collect();
    files.sort();
    files
}

fn patch(file: &Path, at: usize, bytes: &[u8]) {
    let mut content = fs::read(file).expect("readable");
    content[at..at + bytes.len()].copy_from_slice(bytes);
    fs::write(file, content).expect("written");
}

/// Damages a few files below `dir`, in ways that depend on the number only.
fn damage(dir: &Path, seed: u64) {
    let mut random = Random(seed);
    let mut all: Vec<PathBuf> = Vec::new();
    for partition in subdirectories(dir) {
        for suffix in ["log", "index", "timeindex", "txnindex", "snapshot"] {
            all.extend(files(&partition, suffix));
        }
    }
    for _ in 0..6 {
        let file = &all[random.below(all.len() as u64) as usize];
        let mut content = fs::read(file).expect("readable");
        match random.below(4) {
            0 if !content.is_empty() => content.truncate(random.below(content.len() as u64) as usize),
            1 => content.extend(random.bytes(40)),
            _ if !content.is_empty() => {
                let at = random.below(content.len() as u64) as usize;
                content[at] ^= 1 << random.below(8);
            }
            _ => content = vec![0; 48],
        }
        fs::write(file, content).expect("written");
    }
}

/// What MANIFEST says was left out of the copies here, because it is 10 MiB of zeros: seen, and no finding of ours.
fn is_left_out(finding: &Value) -> bool {
    let is_missing = finding["id"] == "index/missing" || finding["id"] == "timeindex/missing";
    is_missing && finding["file"] == "./__transaction_state-0/00000000000000000000.log"
}

#[test]
fn nothing_is_told_of_healthy_log_dirs_above_information() {
    for collection in support::collections() {
        let log_dirs = log_dirs(&collection);
        let outcomes = support::in_parallel(log_dirs, |log_dir| {
            let may_be_left_out = log_dir.ends_with("real/4.4.0/killed/log-dir");
            for arguments in [&["check"][..], &["check", "--deep"], &["check", "--quick"], &["verify-index"]] {
                let finished = kfsck(&log_dir, arguments.iter().chain(&["-f", "json", "."]));
                let mut findings = lines(&finished, "finding");
                findings.retain(|finding| !(may_be_left_out && is_left_out(finding)));
                if finished.status != Some(0) || !findings.is_empty() {
                    return Err(format!("== {} {arguments:?}\n{findings:?}{}", log_dir.display(), stderr(&finished)));
                }
            }
            Ok(())
        });
        support::report(&format!("log dirs in {}", collection.display()), &outcomes, "nothing found");
    }
}

#[test]
fn output_does_not_depend_on_the_number_of_jobs() {
    let dir = tempfile::tempdir().expect("a directory");
    let copies: Vec<PathBuf> = (0..4).map(|seed| dir.path().join(format!("damaged-{seed}"))).collect();
    for (seed, copy_dir) in copies.iter().enumerate() {
        copy(copy_dir);
        damage(copy_dir, seed as u64);
    }
    let paths: Vec<PathBuf> = log_dirs(&testdata()).into_iter().chain(copies).collect();
    let mut found = 0;
    for arguments in [
        &["check", "-f", "json"][..],
        &["check", "-f", "table"],
        &["check", "--deep"],
        &["verify-index"],
        &["check", "--quick"],
    ] {
        let run = |jobs: &str| {
            let arguments = arguments.iter().copied().chain(["--show", "info", "-j", jobs]).map(PathBuf::from);
            kfsck(dir.path(), arguments.chain(paths.iter().cloned()))
        };
        let (one, eight) = (run("1"), run("8"));
        assert!(one.stdout == eight.stdout, "{arguments:?}: standard output differs");
        assert!(one.stderr == eight.stderr, "{arguments:?}: standard error differs");
        assert_eq!((one.status, eight.status), (Some(4), Some(4)), "{arguments:?}: {}", stderr(&one));
        if arguments.contains(&"json") {
            found = lines(&one, "finding").iter().filter(|line| line["severity"] == "error").count();
        }
    }
    assert!(found > 5, "{found} errors are too few to show anything");
}

#[test]
fn a_large_log_that_is_looked_at_in_parts_is_told_of_alike() {
    let dir = tempfile::tempdir().expect("a directory");
    let partition = dir.path().join("large-0");
    fs::create_dir(&partition).expect("made");
    let log = partition.join("00000000000000000000.log");
    // 72 batches of 1 MiB, one of them broken, and half of another.
    let mut bytes = Vec::new();
    for at in 0..73_i64 {
        let mut builder = RecordBatchBuilder::new(
            RecordBatchBuilder::plain_header(Offset(at), 1_700_000_000_000 + at),
            Compression::None,
        );
        let value = vec![at as u8 + 1; 1 << 20];
        builder.push(&RecordFields { value: Some(&value), ..RecordFields::default() });
        builder.write(&mut bytes).expect("a batch");
    }
    bytes[30 << 20] ^= 1;
    bytes.truncate(bytes.len() - (1 << 19));
    fs::write(&log, &bytes).expect("written");
    for arguments in [&["check", "-f", "json"][..], &["check", "--deep"], &["verify-index"]] {
        let run = |jobs| kfsck(dir.path(), arguments.iter().copied().chain(["--show", "info", "-j", jobs, "large-0"]));
        let (one, two, many) = (run("1"), run("2"), run("50"));
        assert_eq!(one.status, Some(4), "{}", stderr(&one));
        for other in [two, many] {
            assert!(one.stdout == other.stdout && one.stderr == other.stderr, "{arguments:?}: {}", stderr(&other));
            assert_eq!(one.status, other.status);
        }
    }
}

#[test]
fn a_finding_tells_where_it_is_what_it_means_and_what_mends_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let partition = copy(dir.path());
    let index = &files(&partition, "index")[1];
    let base: i64 = index.file_stem().and_then(|stem| stem.to_str()?.parse().ok()).expect("a base offset");
    let mut entry = fs::read(index).expect("readable")[..8].to_vec();
    entry[4..].copy_from_slice(&99_000_000_i32.to_be_bytes());
    patch(index, 0, &entry);
    let finished = kfsck(dir.path(), ["verify-index", "-f", "json", "."]);
    assert_eq!(finished.status, Some(4), "{}", stderr(&finished));
    let findings = lines(&finished, "finding");
    assert_eq!(findings.len(), 1, "{findings:?}");
    let finding = &findings[0];
    let relative = i64::from(i32::from_be_bytes(entry[..4].try_into().expect("four bytes")));
    for (name, expected) in [
        ("id", Value::from("index/position-past-end")),
        ("severity", "error".into()),
        ("partition", "txn-mixed-0".into()),
        ("position", 0.into()),
        ("length", 8.into()),
        ("slot", 0.into()),
        ("offset", (base + relative).into()),
        ("repair", "safe".into()),
        ("mend", "kfsck rebuild-index ./txn-mixed-0".into()),
    ] {
        assert_eq!(finding[name], expected, "{name} of {finding}");
    }
    let file = finding["file"].as_str().expect("a path");
    assert_eq!(dir.path().join(file).canonicalize().ok(), index.canonicalize().ok());
    assert!(finding["message"].as_str().is_some_and(|message| message.contains("99000000")), "{finding}");
    assert_eq!(finding["details"]["indexPosition"], 99_000_000);
    for name in ["readers", "atCleanStart", "atUncleanStart"] {
        assert!(finding[name].as_str().is_some_and(|words| words.len() > 5), "{name} of {finding}");
    }
    let summary = &lines(&finished, "summary")[0];
    assert_eq!((&summary["errors"], &summary["exitStatus"]), (&1.into(), &4.into()));
    assert!(summary["entries"].as_u64() > Some(0) && summary["bytes"].as_u64() > Some(1000), "{summary}");

    let text = kfsck(dir.path(), ["verify-index", "."]);
    let text = String::from_utf8(text.stdout).expect("UTF-8");
    for part in ["\n  error  index/position-past-end  entry 0 (bytes 0..8): ", "  repair: safe\n", "\n1 error\n"] {
        assert!(text.contains(part), "{part:?} in\n{text}");
    }
    assert!(text.contains("\nTo see the repair: kfsck rebuild-index ./txn-mixed-0\n"), "{text}");
}

#[test]
fn a_file_that_is_named_stands_for_its_segment_and_nothing_else() {
    let dir = tempfile::tempdir().expect("a directory");
    let partition = copy(dir.path());
    let indexes = files(&partition, "index");
    patch(&indexes[1], 4, &99_000_000_i32.to_be_bytes());
    for command in ["verify-index", "check"] {
        let run = |paths: &[&Path]| {
            let arguments = [command, "-f", "json"].map(PathBuf::from).into_iter();
            kfsck(dir.path(), arguments.chain(paths.iter().map(|path| path.to_path_buf())))
        };
        let healthy = run(&[&indexes[0]]);
        assert_eq!(
            healthy.status,
            Some(0),
            "{command}: {}{}",
            String::from_utf8_lossy(&healthy.stdout),
            stderr(&healthy)
        );
        assert_eq!(lines(&healthy, "summary")[0]["segments"], 1);
        let damaged = run(&[&indexes[1]]);
        assert_eq!((damaged.status, ids(&damaged)), (Some(4), BTreeSet::from(["index/position-past-end".to_owned()])));
        // Two files of one segment, and its whole partition: nothing is looked at twice.
        let log = indexes[1].with_extension("log");
        assert_eq!(lines(&run(&[&indexes[1], &log]), "summary")[0]["segments"], 1);
        assert_eq!(lines(&run(&[&partition, &log, &partition]), "summary")[0]["segments"], 3);
        let by_offset = kfsck(dir.path(), [command, "-f", "json", "--segment", "0", "txn-mixed-0"]);
        assert_eq!((by_offset.status, lines(&by_offset, "summary")[0]["segments"].as_u64()), (Some(0), Some(1)));
    }
}

#[test]
fn what_cannot_be_looked_at_is_said_and_stops_nothing_else() {
    let dir = tempfile::tempdir().expect("a directory");
    let partition = copy(dir.path());
    let snapshot = &files(&partition, "snapshot")[0];
    for command in ["verify-index", "check"] {
        let finished = kfsck(dir.path(), [command, "missing", "-f", "json", "txn-mixed-0"]);
        assert_eq!(finished.status, Some(8), "{command}");
        assert!(stderr(&finished).contains("cannot open missing: No such file or directory"), "{}", stderr(&finished));
        assert_eq!(lines(&finished, "summary")[0]["segments"], 3);
        assert_eq!(lines(&finished, "summary")[0]["operationalError"], true);

        let finished = kfsck(dir.path(), [Path::new(command), snapshot]);
        assert_eq!(finished.status, Some(8), "{command}");
        assert!(stderr(&finished).contains("kfsck check"), "{}", stderr(&finished));

        fs::create_dir_all(dir.path().join("nothing")).expect("made");
        assert_eq!(kfsck(dir.path(), [command, "nothing"]).status, Some(8));
        assert_eq!(kfsck(dir.path(), [command, "-t", "other-*", "."]).status, Some(8));
        assert_eq!(kfsck(dir.path(), [command]).status, Some(16));
        assert_eq!(kfsck(dir.path(), [command, "-j", "0", "."]).status, Some(16));
    }
    assert_eq!(kfsck(dir.path(), ["check", "--quick", "--deep", "."]).status, Some(16));
}

#[test]
fn warnings_count_when_asked_and_severities_are_shown_as_asked() {
    let dir = tempfile::tempdir().expect("a directory");
    let partition = copy(dir.path());
    // An older segment without its time index is a warning.
    fs::remove_file(&files(&partition, "timeindex")[0]).expect("removed");
    let run = |options: &[&str]| kfsck(dir.path(), ["verify-index"].iter().chain(options).chain(&["txn-mixed-0"]));
    let (plain, strict) = (run(&["-f", "json"]), run(&["-f", "json", "--strict"]));
    assert_eq!((plain.status, strict.status), (Some(0), Some(4)));
    assert_eq!(ids(&plain), BTreeSet::from(["timeindex/missing".to_owned()]));
    assert_eq!(lines(&strict, "summary")[0]["errorsLeft"], true);
    let errors_only = run(&["-f", "json", "--show", "error"]);
    assert!(ids(&errors_only).is_empty());
    assert_eq!(lines(&errors_only, "summary")[0]["warnings"], 1);
    let text = String::from_utf8(run(&["--show", "error"]).stdout).expect("UTF-8");
    assert!(text.contains("0 errors\n1 warning, not shown (--show warning)\n"), "{text}");
}

#[test]
fn a_table_has_a_line_a_partition_and_the_findings_below() {
    let dir = tempfile::tempdir().expect("a directory");
    let partition = copy(dir.path());
    patch(&files(&partition, "index")[1], 4, &99_000_000_i32.to_be_bytes());
    let short = kfsck(dir.path(), ["check", "-f", "table", "."]);
    let short = String::from_utf8(short.stdout).expect("UTF-8");
    assert!(short.contains("txn-mixed-0") && !short.contains("txn-other-0"), "sound partitions are counted: {short}");
    let finished = kfsck(dir.path(), ["check", "-f", "table", "-v", "."]);
    let text = String::from_utf8(finished.stdout).expect("UTF-8");
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    let titles = "partition segments size log start high watermark log end last timestamp epoch errors warnings";
    assert_eq!(lines[0].join(" "), titles);
    let row = lines.iter().find(|line| line.first() == Some(&"txn-mixed-0")).expect("a row");
    assert_eq!((row[1], row[row.len() - 2], row[row.len() - 1]), ("3", "1", "0"), "{text}");
    let last_partition = lines.iter().rposition(|line| line.first() == Some(&"txn-other-0")).expect("a row");
    let finding = lines.iter().position(|line| line.get(1) == Some(&"index/position-past-end")).expect("a row");
    assert!(finding > last_partition, "{text}");
    let json = kfsck(dir.path(), ["check", "-f", "json", "."]);
    let rows = self::lines(&json, "partition");
    assert_eq!(rows.len(), subdirectories(dir.path()).len());
    let row = rows.iter().find(|row| row["topic"] == "txn-mixed").expect("a row");
    assert_eq!((&row["errors"], &row["logEndOffset"], &row["segments"]), (&1.into(), &36.into(), &3.into()));
}

#[test]
fn names_cannot_drive_the_terminal() {
    let dir = tempfile::tempdir().expect("a directory");
    let original = copy(&dir.path().join("from"));
    let partition = dir.path().join("x\x1b[31m'y-0");
    fs::rename(original, &partition).expect("renamed");
    patch(&files(&partition, "index")[1], 4, &99_000_000_i32.to_be_bytes());
    for format in ["text", "table", "json"] {
        let finished = kfsck(dir.path(), [Path::new("check"), Path::new("-f"), Path::new(format), &partition]);
        assert_eq!(finished.status, Some(4));
        assert!(!finished.stdout.contains(&0x1b), "{format}");
    }
}

/// Holds the lock of a log dir as a running broker does, for as long as it lives.
fn broker_on(log_dir: &Path) -> fs::File {
    use nix::fcntl::{FcntlArg, fcntl};
    let file = fs::File::create(log_dir.join(".lock")).expect("made");
    let lock = nix::libc::flock {
        l_type: nix::libc::F_WRLCK as nix::libc::c_short,
        l_whence: nix::libc::SEEK_SET as nix::libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    fcntl(&file, FcntlArg::F_SETLK(&lock)).expect("locked");
    file
}

#[test]
fn beside_a_running_broker_what_is_being_written_is_no_error() {
    let dir = tempfile::tempdir().expect("a directory");
    let partition = copy(dir.path());
    let newest = files(&partition, "log").pop().expect("a log");
    let mut content = fs::read(&newest).expect("readable");
    let batch = content[..70].to_vec();
    content.extend(&batch[..30]);
    fs::write(&newest, content).expect("written");
    for command in ["check", "verify-index"] {
        let stopped = kfsck(dir.path(), [command, "-f", "json", "."]);
        assert_eq!(stopped.status, Some(4), "{command}");
        let lock = broker_on(dir.path());
        let running = kfsck(dir.path(), [command, "-f", "json", "--strict", "."]);
        assert_eq!(running.status, Some(0), "{command}: {}", String::from_utf8_lossy(&running.stdout));
        assert_eq!(stderr(&running).matches("the newest segments may still change").count(), 1, "{command}");
        let quiet = kfsck(dir.path(), [command, "-q", "."]);
        assert_eq!(stderr(&quiet), "", "{command}");
        drop(lock);
        fs::remove_file(dir.path().join(".lock")).expect("removed");
    }
}

#[test]
fn segments_that_a_running_broker_deletes_meanwhile_are_no_error() {
    let dir = tempfile::tempdir().expect("a directory");
    let original = copy(&dir.path().join("original"));
    let log_dir = dir.path().join("log-dir");
    fs::create_dir(&log_dir).expect("made");
    let meta_properties = dir.path().join("original/meta.properties");
    fs::copy(meta_properties, log_dir.join("meta.properties")).expect("copied");
    let partitions: Vec<PathBuf> = (0..60).map(|number| log_dir.join(format!("x-{number}"))).collect();
    for partition in &partitions {
        fs::create_dir(partition).expect("made");
        for file in fs::read_dir(&original).expect("a directory").map(|entry| entry.expect("readable").path()) {
            fs::write(partition.join(file.file_name().expect("a name")), fs::read(&file).expect("readable"))
                .expect("written");
        }
    }
    let _lock = broker_on(&log_dir);
    // From the last partition to the first, so that somewhere in the middle both are at the same.
    let delete = || {
        for partition in partitions.iter().rev() {
            std::thread::sleep(std::time::Duration::from_micros(500));
            let first = format!("{:020}", 0);
            for suffix in ["log", "index", "timeindex", "txnindex", "snapshot"] {
                let from = partition.join(format!("{first}.{suffix}"));
                let _ = fs::rename(&from, from.with_extension(format!("{suffix}.deleted")));
            }
        }
    };
    let finished = std::thread::scope(|scope| {
        let run = scope.spawn(|| kfsck(&log_dir, ["check", "-f", "json", "--strict", "."]));
        delete();
        run.join().expect("ended")
    });
    assert_eq!(finished.status, Some(0), "{}{}", String::from_utf8_lossy(&finished.stdout), stderr(&finished));
    let deleted = lines(&kfsck(&log_dir, ["check", "-f", "json", "--show", "info", "."]), "finding");
    assert!(deleted.iter().all(|finding| finding["severity"] == "info"), "{deleted:?}");
    assert!(deleted.iter().filter(|finding| finding["id"] == "partition/deleted-file").count() >= partitions.len());
}
