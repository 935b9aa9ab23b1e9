//! What is said and with which status where a command line means something else than it seems to, or nothing.

mod support;

use std::fs;
use std::path::Path;

/// Status, standard output and standard error.
fn kfsck(directory: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let finished = support::kfsck(directory, arguments);
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (finished.status, text(finished.stdout), text(finished.stderr))
}

#[test]
fn a_word_behind_kafka_format_is_the_release_unless_a_file_has_that_name() {
    let dir = tempfile::tempdir().expect("a directory");
    let name = "00000000000000000005.log";
    fs::write(dir.path().join(name), "").expect("written");
    let expected = format!("Dumping {name}\nLog starting offset: 5\n");
    assert_eq!(kfsck(dir.path(), &["dump-log", "--kafka-format", "3.9", name]), (Some(0), expected, String::new()));
    fs::write(dir.path().join("3.9"), "").expect("written");
    let (status, stdout, stderr) = kfsck(dir.path(), &["dump-log", "--kafka-format", "3.9", name]);
    assert!(stdout.starts_with("Dumping 3.9\n") && stderr == "Ignoring unknown file 3.9\n", "{stdout}{stderr}");
    assert_eq!(status, Some(0));
    // Nothing but a file that Kafka's tool does not know.
    assert_eq!(kfsck(dir.path(), &["dump-log", "--kafka-format", "3.9"]).0, Some(8));
}

#[test]
fn a_directory_without_logs_is_not_passed_over_in_silence() {
    let dir = tempfile::tempdir().expect("a directory");
    let (status, stdout, stderr) = kfsck(dir.path(), &["dump-log", "--kafka-format", "."]);
    assert_eq!((status, stdout.as_str()), (Some(8), ""));
    assert!(stderr.contains("nothing to look at"), "{stderr}");
}

#[test]
fn the_cache_of_tiered_storage_is_nothing_to_look_at() {
    let dir = tempfile::tempdir().expect("a directory");
    let cache = dir.path().join("remote-log-index-cache");
    fs::create_dir(&cache).expect("made");
    fs::write(cache.join("23_aBcDeFgHiJkLmNoPqRsTuw.index"), [0; 8]).expect("written");
    for command in ["ls", "dump-log"] {
        let (status, _, stderr) = kfsck(dir.path(), &[command, "remote-log-index-cache"]);
        assert_eq!(status, Some(8), "{command}: {stderr}");
        assert!(stderr.contains("nothing to look at in remote-log-index-cache"), "{command}: {stderr}");
    }
}

#[test]
fn messages_show_quotes_as_they_are_and_control_characters_escaped() {
    let dir = tempfile::tempdir().expect("a directory");
    let (status, _, stderr) = kfsck(dir.path(), &["ls", "no \"such\" \x1b[31mfile"]);
    assert_eq!(status, Some(8));
    assert!(stderr.contains(r#"no "such" \x1b[31mfile"#), "{stderr}");
}
