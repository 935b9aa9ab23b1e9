//! Files made by hand, and what the real `kafka-dump-log` of six releases prints for them.
//!
//! `testdata/kafka_format/files.jsonl` holds the files in hexadecimal, `expected-<release>.jsonl` the runs of the real
//! tool. `@DIR@` stands for the directory of the files. Where the real tool crashed, only the first line of its
//! standard error was kept, and what it had printed until then is what ours must begin with.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::*;
use crate::format::testing::unhex;

#[derive(Deserialize)]
struct TestFile {
    file: String,
    hex: String,
}

#[derive(Deserialize)]
struct Expected {
    arguments: Vec<String>,
    exit: i32,
    stdout: String,
    stderr: String,
}

fn json_lines<T: for<'d> Deserialize<'d>>(name: &str) -> Vec<T> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/kafka_format").join(name);
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The files of `files.jsonl`, and all bytes of the directory for later comparison.
fn test_files() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for TestFile { file, hex } in json_lines("files.jsonl") {
        let path = dir.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, unhex(&hex)).unwrap();
    }
    dir
}

fn contents(dir: &Path) -> BTreeMap<OsString, Vec<u8>> {
    let mut found = BTreeMap::new();
    for partition in fs::read_dir(dir).unwrap() {
        for file in fs::read_dir(partition.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            found.insert(path.clone().into_os_string(), fs::read(path).unwrap());
        }
    }
    found
}

/// Status, standard output and standard error, with `@DIR@` in place of `dir` everywhere.
fn dump(dir: &Path, profile: Profile, arguments: &[&str]) -> (u8, String, String) {
    let dir = dir.to_str().unwrap();
    let words = arguments.iter().map(|word| OsString::from(word.replace("@DIR@", dir)));
    let KafkaDumpCommand::Dump(args) =
        parse([format!("--kafka-format={profile}").into()].into_iter().chain(words)).unwrap()
    else {
        panic!("{arguments:?} is no dump");
    };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = run(&args, &mut out, &mut err).unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(dir, "@DIR@");
    (exit.status(), text(out), text(err))
}

fn compare(profile: Profile, release: &str) {
    let dir = test_files();
    let before = contents(dir.path());
    for expected in json_lines::<Expected>(&format!("expected-{release}.jsonl")) {
        let arguments: Vec<&str> = expected.arguments.iter().map(String::as_str).collect();
        let (status, out, err) = dump(dir.path(), profile, &arguments);
        if expected.exit == 0 {
            assert_eq!(out, expected.stdout, "{profile} {arguments:?}");
            assert_eq!(err, expected.stderr, "{profile} {arguments:?}");
            let nothing = out.lines().count() == 1 && err.starts_with("Ignoring unknown file ");
            let is_right = if nothing { status == 8 } else { matches!(status, 0 | 4) };
            assert!(is_right, "{profile} {arguments:?}: {status}");
        } else {
            let begins = out.starts_with(&expected.stdout);
            assert!(begins, "{profile} {arguments:?}\n{}\nis not the beginning of\n{out}", expected.stdout);
            assert!(out.ends_with('\n') && err.contains("kfsck: @DIR@"), "{profile} {arguments:?}: {err}");
            // Preallocated space ends the original too, and is no damage.
            let damaged = if err.contains("preallocated") { 0 } else { 4 };
            assert_eq!(status, damaged, "{profile} {arguments:?}: {err}");
        }
    }
    assert!(contents(dir.path()) == before, "a file was changed");
}

#[test]
fn lines_are_those_of_2_8() {
    compare(Profile::P28, "2.8.2");
}

#[test]
fn lines_are_those_of_3_7() {
    compare(Profile::P33, "3.7.0");
}

#[test]
fn lines_are_those_of_3_9() {
    compare(Profile::P38, "3.9.2");
}

#[test]
fn lines_are_those_of_4_0() {
    compare(Profile::P40, "4.0.0");
}

#[test]
fn lines_are_those_of_4_1() {
    compare(Profile::P41, "4.1.1");
}

#[test]
fn lines_are_those_of_4_3() {
    compare(Profile::P43, "4.3.1");
}

const LOG: &str = "@DIR@/t-0/00000000000000000000.log";

#[test]
fn release_4_4_differs_from_4_3_only_in_the_version_of_aborted_transactions() {
    let dir = test_files();
    let both = |arguments: &[&str]| [Profile::P43, Profile::P44].map(|profile| dump(dir.path(), profile, arguments));
    let legacy = "@DIR@/legacy/00000000000000000100.log";
    let [old, new] = both(&["--print-data-log", "--files", &format!("{LOG},{legacy}")]);
    assert_eq!(old, new);
    // Version 1: only its first byte, which is 0, counted before.
    let [old, new] = both(&["--files", "@DIR@/txn/0.txnindex"]);
    assert!(old.0 == 0 && old.1.contains("\nversion: 0 "), "{old:?}");
    assert!(new.0 == 4 && !new.1.contains("version") && new.2.contains("version 1"), "{new:?}");
}

#[test]
fn after_a_batch_that_cannot_be_decoded_the_next_one_is_shown() {
    let dir = test_files();
    let (status, out, err) =
        dump(dir.path(), Profile::P40, &["--print-data-log", "--files", "@DIR@/codec6/00000000000000000000.log"]);
    let lines: Vec<&str> = out.lines().collect();
    assert!(
        lines[5].starts_with("baseOffset: 2 ") && lines[5].ends_with("deleteHorizonMs: OptionalLong.empty"),
        "{out}"
    );
    assert!(lines[6].starts_with("baseOffset: 4 ") && lines[8].starts_with("| offset: 5 "), "{out}");
    assert_eq!(err, "kfsck: @DIR@/codec6/00000000000000000000.log: the batch at position 81 has the unknown codec 6\n");
    assert_eq!(status, 4);
}

#[test]
fn what_is_missing_is_said_and_never_created() {
    let dir = test_files();
    let before = contents(dir.path());
    fs::remove_file(dir.path().join("t-0/00000000000000000000.index")).unwrap();
    let (status, out, err) = dump(
        dir.path(),
        Profile::P40,
        &[
            "--files",
            "@DIR@/t-0/00000000000000000000.timeindex,@DIR@/t-0/00000000000000000007.index,@DIR@/t-0/3.log,@DIR@/torn/quorum-state",
        ],
    );
    assert_eq!(
        out,
        "Dumping @DIR@/t-0/00000000000000000000.timeindex\nDumping @DIR@/t-0/00000000000000000007.index\n\
         Dumping @DIR@/t-0/3.log\nLog starting offset: 3\nDumping @DIR@/torn/quorum-state\n"
    );
    let lines: Vec<&str> = err.lines().collect();
    assert!(lines[0].contains("00000000000000000000.index is needed beside it: cannot open"), "{err}");
    assert!(lines[1].contains("00000000000000000007.log is needed beside it: cannot open"), "{err}");
    assert!(lines[2].contains("cannot open @DIR@/t-0/3.log"), "{err}");
    assert!(lines[3].contains("a name without a dot"), "{err}");
    assert_eq!((status, lines.len()), (8, 4));
    assert_eq!(contents(dir.path()).len(), before.len() - 1);
    let (status, _, err) = dump(dir.path(), Profile::P44, &["--files", "@DIR@/torn/quorum-state,@DIR@/a.swap"]);
    assert_eq!(
        (status, err.as_str()),
        (8, "Ignoring unknown file @DIR@/torn/quorum-state\nIgnoring unknown file @DIR@/a.swap\n")
    );
}

#[test]
fn numbers_that_are_none_are_complained_of_where_they_are_needed() {
    let dir = test_files();
    let files = format!("@DIR@/t-0/00000000000000000009.snapshot,{LOG}");
    let (status, out, err) = dump(dir.path(), Profile::P40, &["--max-bytes", "abc", "--files", &files]);
    assert!(out.contains("producerId: 98323") && out.ends_with("0.log\n"), "{out}");
    assert!(status == 16 && err.contains("--max-bytes \"abc\""), "{err}");
    let (status, out, _) = dump(dir.path(), Profile::P40, &["--max-bytes", "-1", "--files", LOG]);
    assert!(status == 16 && out.ends_with("Log starting offset: 0\n"), "{out}");
}

#[test]
fn a_batch_larger_than_the_limit_is_judged_but_not_shown() {
    let dir = test_files();
    let (status, out, err) =
        dump(dir.path(), Profile::P40, &["--max-batch-bytes", "90", "--deep-iteration", "--files", LOG]);
    assert!(
        out.contains("size: 93 magic: 2 compresscodec: none crc: 2177485474 isvalid: true\nbaseOffset: 2 "),
        "{out}"
    );
    assert!(out.contains("\n| offset: 4 "), "{out}");
    assert!(
        err.starts_with("kfsck: @DIR@/t-0/00000000000000000000.log: the batch at position 0 has 93 bytes"),
        "{err}"
    );
    assert_eq!(status, 8);
}

#[test]
fn the_exit_status_tells_damage_from_false_alarms() {
    let dir = test_files();
    let status = |files: &str| dump(dir.path(), Profile::P44, &["--deep-iteration", "--files", files]).0;
    assert_eq!(status("@DIR@/torn/00000000000000000000.log"), 4);
    assert_eq!(status("@DIR@/flip/00000000000000000000.log"), 4);
    assert_eq!(status("@DIR@/snapshots/00000000000000000001.snapshot"), 4);
    assert_eq!(status("@DIR@/bad/00000000000000000000.timeindex"), 4);
    // Gaps and entries that lead to a batch with another last offset are legal.
    assert_eq!(status("@DIR@/gaps/00000000000000000000.log"), 0);
    assert_eq!(status("@DIR@/bad/00000000000000000000.index"), 0);
}

#[test]
fn nothing_to_look_at_is_never_success() {
    let dir = test_files();
    assert_eq!(dump(dir.path(), Profile::P44, &["--files", ","]), (8, String::new(), String::new()));
    let unknown = "@DIR@/torn/quorum-state";
    assert_eq!(dump(dir.path(), Profile::P44, &["--files", unknown]).0, 8);
    assert_eq!(dump(dir.path(), Profile::P44, &["--files", &format!("{unknown},{LOG}")]).0, 0);
}

#[test]
fn the_end_of_the_segment_that_a_running_broker_writes_to_is_no_damage() {
    use nix::fcntl::{FcntlArg, fcntl};
    use nix::libc;

    let dir = test_files();
    let log = dir.path().join("t-0/00000000000000000000.log");
    let whole = fs::read(&log).unwrap();
    let torn = whole[..whole.len() - 1].to_vec();
    let zeros = [whole.as_slice(), &[0; 100]].concat();
    let mut rubbish = zeros.clone();
    rubbish.push(1);
    let outcome = |content: &[u8]| {
        fs::write(&log, content).unwrap();
        dump(dir.path(), Profile::P44, &["--files", LOG])
    };
    let without_broker = [&torn, &zeros, &rubbish].map(|content| outcome(content));
    assert_eq!(without_broker.each_ref().map(|outcome| outcome.0), [4, 4, 4]);

    fs::write(dir.path().join("replication-offset-checkpoint"), "0\n0\n").unwrap();
    let lock = fs::File::create(dir.path().join(".lock")).unwrap();
    let whole_file = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    fcntl(&lock, FcntlArg::F_OFD_SETLK(&whole_file)).unwrap();
    let with_broker = [&torn, &zeros, &rubbish].map(|content| outcome(content));
    assert_eq!(with_broker.each_ref().map(|outcome| outcome.0), [0, 0, 4]);
    for (with, without) in with_broker.iter().zip(&without_broker) {
        assert_eq!(with.1, without.1, "what is printed is the same");
    }
    // Only the newest segment is being written to.
    fs::write(dir.path().join("t-0/00000000000000000999.log"), "").unwrap();
    assert_eq!([&torn, &zeros].map(|content| outcome(content).0), [4, 4]);
}
