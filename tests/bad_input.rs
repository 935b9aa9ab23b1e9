//! What no user should ever give `dump-log`, and what it then says: a clear message or a `damaged` line, the right exit
//! bit, and never a panic, an abort or memory out of proportion.

mod support;

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use kfsck::format::Offset;
use kfsck::format::batch::{RecordBatchBuilder, RecordBatchHeader, write_batch};
use kfsck::format::compression::Compression;
use kfsck::format::record::RecordFields;
use serde_json::Value;
use support::{Finished, Random, json_output, kfsck};

const NAME: &str = "00000000000000000000.log";

/// A directory with one segment of these bytes.
fn segment(bytes: &[u8]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(NAME), bytes).unwrap();
    dir
}

fn batch(base_offset: i64, compression: Compression, value: &[u8]) -> Vec<u8> {
    let mut builder = RecordBatchBuilder::new(RecordBatchBuilder::plain_header(Offset(base_offset), 0), compression);
    builder.push(&RecordFields { key: Some(b"k"), value: Some(value), ..RecordFields::default() });
    let mut out = Vec::new();
    builder.write(&mut out).unwrap();
    out
}

/// Both ways of reading must tell the same story.
fn dump(bytes: &[u8], more: &[&str]) -> Finished {
    let dir = segment(bytes);
    let run = |io: &'static str| {
        let arguments = ["dump-log", "--io", io].into_iter().chain(more.iter().copied()).chain([NAME]);
        kfsck(dir.path(), arguments)
    };
    let (mapped, read) = (run("mmap"), run("pread"));
    assert_eq!(mapped.stdout, read.stdout, "--io mmap and --io pread differ");
    assert_eq!((mapped.status, &mapped.stderr), (read.status, &read.stderr));
    assert!(!String::from_utf8_lossy(&mapped.stderr).contains("panicked"));
    mapped
}

fn lines_of(finished: &Finished, kind: &str) -> Vec<Value> {
    let lines = json_output(&finished.stdout).unwrap();
    lines.into_iter().filter(|line| line["type"] == kind).collect()
}

fn only_damage(bytes: &[u8]) -> Value {
    let finished = dump(bytes, &["-r", "-f", "json"]);
    assert_eq!(finished.status, Some(4));
    let mut damages = lines_of(&finished, "damaged");
    assert_eq!(damages.len(), 1, "{damages:?}");
    assert_eq!(lines_of(&finished, "summary")[0]["errorsLeft"], true);
    damages.remove(0)
}

fn stderr(finished: &Finished) -> String {
    String::from_utf8(finished.stderr.clone()).unwrap()
}

#[test]
fn an_empty_file_is_a_sound_log_without_batches() {
    let finished = dump(b"", &["-f", "json"]);
    assert_eq!(finished.status, Some(0));
    assert_eq!(lines_of(&finished, "summary")[0]["batches"], 0);
    assert!(lines_of(&finished, "damaged").is_empty());
}

#[test]
fn one_byte_is_a_torn_tail() {
    let damage = only_damage(b"x");
    assert_eq!((&damage["reason"], &damage["position"], &damage["length"]), (&"tornTail".into(), &0.into(), &1.into()));
}

#[test]
fn zeros_are_a_zero_fill_however_many() {
    for count in [1usize, 17, 18, 4096, 10_000_000] {
        let damage = only_damage(&vec![0; count]);
        assert_eq!((&damage["reason"], &damage["length"]), (&"zeroFill".into(), &count.into()));
    }
}

#[test]
fn random_bytes_are_damage_and_nothing_of_them_is_shown() {
    let mut random = Random(7);
    for count in [18, 100, 5000, 3_000_000] {
        let bytes: Vec<u8> = (0..count).map(|_| random.next() as u8).collect();
        let finished = dump(&bytes, &["-r", "-f", "json"]);
        assert_eq!(finished.status, Some(4));
        assert!(lines_of(&finished, "record").is_empty() && lines_of(&finished, "batch").is_empty());
        let damage = &lines_of(&finished, "damaged")[0];
        assert_eq!((&damage["position"], &damage["length"]), (&0.into(), &count.into()));
    }
}

#[test]
fn what_is_no_file_is_named_with_its_cause_and_stops_nothing_else() {
    let dir = segment(&batch(0, Compression::None, b"v"));
    fs::create_dir(dir.path().join("00000000000000000007.log")).unwrap();
    fs::create_dir(dir.path().join("empty")).unwrap();
    fs::write(dir.path().join("notes.txt"), b"x").unwrap();
    let paths = ["missing.log", "00000000000000000007.log", "empty", "notes.txt", "/dev/null", NAME];
    let finished = kfsck(dir.path(), ["dump-log", "-r"].into_iter().chain(paths));
    assert_eq!(finished.status, Some(8));
    let said = stderr(&finished);
    for expected in [
        "cannot open missing.log: No such file or directory",
        "00000000000000000007.log",
        "nothing to look at in empty",
        "cannot tell what notes.txt is",
        "cannot read /dev/null: it is a device, not a file",
    ] {
        assert!(said.contains(expected), "{expected:?} is not in {said}");
    }
    assert!(String::from_utf8_lossy(&finished.stdout).contains("key \"k\"  value \"v\""));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 4, "nothing was created");
}

#[test]
fn a_file_that_may_not_be_read_is_refused_with_a_way_out() {
    const NOBODY: u32 = 65534;
    let dir = segment(b"");
    // A place that another user can reach, with a program that it can run.
    let program = dir.path().join("kfsck");
    fs::copy(env!("CARGO_BIN_EXE_kfsck"), &program).unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(dir.path().join(NAME), fs::Permissions::from_mode(0o000)).unwrap();
    let mut command = Command::new(program);
    command.current_dir(dir.path()).args(["dump-log", NAME]);
    if fs::read(dir.path().join(NAME)).is_ok() {
        // The superuser may read everything, so somebody else must try.
        command.uid(NOBODY).gid(NOBODY);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(8), "{said}");
    assert!(said.contains(&format!("cannot open {NAME}: Permission denied")), "{said}");
    assert!(said.contains("run it as the user the broker runs as"), "{said}");
}

#[test]
fn a_length_field_of_2_gib_is_damage_and_what_follows_is_shown() {
    let mut bytes = [batch(0, Compression::None, b"a"), batch(1, Compression::None, b"b")].concat();
    let third = bytes.len();
    bytes.extend(batch(2, Compression::None, b"c"));
    let second = batch(0, Compression::None, b"a").len();
    bytes[second + 8..second + 12].copy_from_slice(&i32::MAX.to_be_bytes());
    let damage = only_damage(&bytes);
    assert_eq!(damage["reason"], "lengthBeyondEnd");
    assert_eq!((&damage["position"], &damage["nextIntactPosition"]), (&second.into(), &third.into()));
    // As the last batch of the file it is a torn tail.
    bytes.truncate(third);
    assert_eq!(only_damage(&bytes)["reason"], "tornTail");
}

#[test]
fn a_codec_that_does_not_exist_is_damage_with_and_without_records() {
    let header =
        RecordBatchHeader { attributes: 7, records_count: 1, ..RecordBatchBuilder::plain_header(Offset(0), 0) };
    let mut bytes = Vec::new();
    write_batch(header, b"whatever", &mut bytes);
    for options in [&["-f", "json"][..], &["-r", "-f", "json"]] {
        let finished = dump(&bytes, options);
        assert_eq!((finished.status, lines_of(&finished, "damaged").len()), (Some(4), 1), "{options:?}");
    }
}

#[test]
fn a_batch_that_is_too_large_to_be_held_is_said_and_is_no_damage() {
    let finished = dump(&batch(0, Compression::None, &[7; 5000]), &["-r", "-f", "json", "--max-batch-bytes", "4000"]);
    assert_eq!((finished.status, lines_of(&finished, "damaged").len()), (Some(8), 0));
    assert!(stderr(&finished).contains("are not shown: it has 5"), "{}", stderr(&finished));
}

#[test]
fn a_directory_without_a_log_is_nothing_to_look_at() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("00000000000000000000.index"), b"").unwrap();
    let finished = kfsck(dir.path(), ["dump-log", "."]);
    assert_eq!(finished.status, Some(8));
    assert!(stderr(&finished).contains("nothing to look at"), "{}", stderr(&finished));
}

#[test]
fn a_valid_batch_that_claims_two_billion_records_is_damage_and_costs_no_memory() {
    let header = RecordBatchHeader { records_count: i32::MAX, ..RecordBatchBuilder::plain_header(Offset(0), 0) };
    let mut bytes = Vec::new();
    write_batch(RecordBatchHeader { last_offset_delta: i32::MAX - 1, ..header }, b"", &mut bytes);
    let damage = only_damage(&bytes);
    assert_eq!(damage["reason"], "recordsUnreadable");
    assert!(damage["message"].as_str().unwrap().contains("0 of the 2147483647"), "{damage}");
    within_memory(&bytes, 32 << 10, &[], 4);
}

#[test]
fn a_compression_bomb_ends_at_the_limit() {
    let zeros = vec![0; 40 << 20];
    for codec in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        let bytes = [batch(0, codec, &zeros), batch(1, Compression::None, b"v")].concat();
        let finished = dump(&bytes, &["-r", "-f", "json", "--max-batch-bytes", "10MiB"]);
        // Nobody looked, so nobody can call it damaged.
        assert_eq!(finished.status, Some(8), "{codec}");
        assert!(lines_of(&finished, "damaged").is_empty(), "{codec}");
        let said = stderr(&finished);
        assert!(said.contains("at position 0 are not shown") && said.contains("limit of 10485760 bytes"), "{said}");
        assert!(said.contains("--max-batch-bytes"), "{said}");
        assert_eq!(lines_of(&finished, "record").len(), 1, "the batch behind it is shown");
        within_memory(&bytes, 64 << 10, &["--max-batch-bytes", "10MiB"], 8);
        // Within the limit it is a batch like any other.
        let finished = dump(&bytes, &["-r", "-f", "json", "--value-format", "none"]);
        assert_eq!((finished.status, lines_of(&finished, "record").len()), (Some(0), 2), "{codec}");
    }
}

/// The same run again with so many KiB of data memory at the most.
fn within_memory(bytes: &[u8], kib: u64, more: &[&str], status: i32) {
    let dir = segment(bytes);
    let script = format!("ulimit -d {kib} && exec \"$0\" dump-log -r \"$@\" {NAME}");
    let output = Command::new("sh")
        .current_dir(dir.path())
        .args(["-c", &script, env!("CARGO_BIN_EXE_kfsck")])
        .args(more)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "with {kib} KiB: {said}");
}

#[test]
fn a_huge_file_of_damage_is_read_in_bounded_memory() {
    let mut random = Random(11);
    let bytes: Vec<u8> = (0..48 << 20).map(|_| random.next() as u8).collect();
    within_memory(&bytes, 24 << 10, &["--io", "pread"], 4);
}

#[test]
fn data_never_drives_the_terminal() {
    let escapes = "\u{1b}[2J\u{1b}]0;owned\u{7}\r\n\u{9b}31m\u{202e}\u{8}";
    let mut builder = RecordBatchBuilder::new(RecordBatchBuilder::plain_header(Offset(0), 0), Compression::None);
    let headers = [(escapes.as_bytes(), Some(escapes.as_bytes()))];
    builder.push(&RecordFields {
        key: Some(escapes.as_bytes()),
        value: Some(escapes.as_bytes()),
        headers: &headers,
        ..RecordFields::default()
    });
    let mut bytes = Vec::new();
    builder.write(&mut bytes).unwrap();
    for format in ["text", "table", "json"] {
        for form in ["auto", "text", "json", "hex", "base64", "int", "long"] {
            let finished = dump(&bytes, &["-r", "-f", format, "--value-format", form, "--key-format", form]);
            assert_eq!(finished.status, Some(0));
            let text = String::from_utf8(finished.stdout.clone()).unwrap();
            let harmful = |c: char| match format {
                // Whoever prints JSON prints it through something that reads JSON.
                "json" => c.is_ascii_control() && c != '\n',
                _ => c.is_control() && c != '\n' || c == '\u{202e}',
            };
            assert!(!text.contains(harmful), "{format} {form}: {text:?}");
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let name = dir.path().join("\u{1b}[2Jx-0");
    fs::create_dir(&name).unwrap();
    fs::write(name.join(NAME), &bytes).unwrap();
    for paths in [vec![name.clone()], vec![name.join("missing.log")]] {
        let finished = kfsck(dir.path(), [Path::new("dump-log")].into_iter().chain(paths.iter().map(PathBuf::as_path)));
        assert!(!finished.stdout.contains(&0x1b) && !finished.stderr.contains(&0x1b));
    }
}

#[test]
fn a_file_that_is_cut_while_it_is_read_is_an_error_that_says_so() {
    let mut bytes = Vec::new();
    for offset in 0..1500 {
        bytes.extend(batch(offset, Compression::None, &[b'x'; 10_000]));
    }
    for io in ["mmap", "pread"] {
        let dir = segment(&bytes);
        let path = dir.path().join(NAME);
        let mut child = Command::new(env!("CARGO_BIN_EXE_kfsck"))
            .args(["dump-log", "-r", "--max-value-bytes", "20000", "--io", io])
            .arg(&path)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let mut some = [0; 1000];
        stdout.read_exact(&mut some).unwrap();
        // It is waiting for us to read on: far less than the file fits into the pipe.
        std::thread::sleep(Duration::from_millis(50));
        fs::File::options().write(true).open(&path).unwrap().set_len(70_000).unwrap();
        let mut rest = Vec::new();
        stdout.read_to_end(&mut rest).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(8), "--io {io}: {said}");
        assert!(said.contains("shrank") || said.contains("changed or failed"), "--io {io}: {said}");
        assert!(!String::from_utf8_lossy(&rest).contains("damaged"), "--io {io}: a cut file is not a damaged one");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let bytes: Vec<u8> = (0..3000).flat_map(|offset| batch(offset, Compression::None, &[b'x'; 1000])).collect();
    let dir = segment(&bytes);
    let mut child = Command::new(env!("CARGO_BIN_EXE_kfsck"))
        .args(["dump-log", "-r"])
        .arg(dir.path().join(NAME))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut some = [0; 100];
    child.stdout.take().unwrap().read_exact(&mut some).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap()), (Some(0), String::new()));
}

#[test]
fn ctrl_c_stops_between_batches_and_says_so() {
    // Far more than the pipe and all threads hold together.
    const BATCHES: i64 = 20_000;
    let bytes: Vec<u8> = (0..BATCHES).flat_map(|offset| batch(offset, Compression::None, &[b'x'; 1000])).collect();
    let dir = segment(&bytes);
    let mut child = Command::new(env!("CARGO_BIN_EXE_kfsck"))
        .args(["dump-log", "-r", "-f", "json"])
        .arg(dir.path().join(NAME))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut text = vec![0; 100];
    stdout.read_exact(&mut text).unwrap();
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    std::thread::sleep(Duration::from_millis(50));
    stdout.read_to_end(&mut text).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(8));
    assert!(String::from_utf8(output.stderr).unwrap().contains("stopped before everything was looked at"));
    let lines = json_output(&text).expect("what was printed are whole lines");
    let summary = lines.last().unwrap();
    assert_eq!((&summary["type"], &summary["operationalError"]), (&"summary".into(), &true.into()));
    assert!(summary["records"].as_u64().unwrap() < BATCHES as u64);
}

#[test]
fn a_command_line_that_makes_no_sense_is_answered_with_status_16() {
    let dir = segment(b"");
    for (arguments, expected) in [
        (&["dmup-log"][..], "a similar subcommand exists: 'dump-log'"),
        (&["dump-log"], "required arguments were not provided"),
        (&["dump-log", "--record", NAME], "a similar argument exists: '--records'"),
        (&["dump-log", "--from-time", "yesterday", NAME], "RFC 3339"),
        (&["dump-log", "--key", "hex:1", NAME], "hexadecimal"),
        (&["dump-log", "-n", "0", NAME], "0 is not in 1.."),
        (&["dump-log", "--tz", "Nowhere/Land", NAME], "is no time zone"),
    ] {
        let finished = kfsck(dir.path(), arguments);
        assert_eq!(finished.status, Some(16), "{arguments:?}");
        assert!(stderr(&finished).contains(expected), "{arguments:?}: {}", stderr(&finished));
    }
    let finished = kfsck(dir.path(), [] as [&str; 0]);
    assert_eq!(finished.status, Some(16));
    assert!(String::from_utf8(finished.stdout).unwrap().contains("Examples:"));
}
