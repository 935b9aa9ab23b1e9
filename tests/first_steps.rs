//! Whoever gives the wrong thing learns what it is and what to give instead; whoever finds damage learns the next command;
//! and what is shown fits the terminal.

mod support;

use std::fs;
use std::path::Path;

use jiff::tz::TimeZone;
use kfsck::report::overview;
use kfsck::report::reporter::{Format, Reporter};
use kfsck::scan::checkpoints::Checkpoints;
use kfsck::scan::overview::{PartitionFacts, SegmentFacts};
use kfsck::store::ReadPolicy;
use kfsck::store::partition::PartitionDir;
use support::changing::long_ago;
use support::{copy_log_dir, copy_partition, scenario};

/// Status, standard output and standard error.
fn kfsck(directory: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let finished = support::kfsck(directory, arguments);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (finished.status, text(finished.stdout), text(finished.stderr))
}

/// A log dir with `count` copies of a partition, of which the first ones named are torn.
fn many(into: &Path, count: usize, torn: usize) {
    let real = scenario("3.9.2", "segments").log_dir(None, None);
    fs::create_dir(into).unwrap();
    fs::copy(real.join("meta.properties"), into.join("meta.properties")).unwrap();
    for at in 0..count {
        copy_partition(&real.join("rolled-by-time-0"), into, long_ago());
        let partition = into.join(format!("orders-{at}"));
        fs::rename(into.join("rolled-by-time-0"), &partition).unwrap();
        if at < torn {
            let log = fs::File::options().write(true).open(partition.join("00000000000000000090.log")).unwrap();
            log.set_len(log.metadata().unwrap().len() - 20).unwrap();
        }
    }
}

#[test]
fn what_is_not_kafkas_is_called_what_it_is() {
    let root = tempfile::tempdir().unwrap();
    let log_dir = scenario("4.4.0", "killed").log_dir(None, None);
    for name in ["disks/data1", "disks/data2"] {
        copy_log_dir(&log_dir, &root.path().join(name), long_ago());
    }
    for dir in ["nothing", "zookeeper/version-2", "conf"] {
        fs::create_dir_all(root.path().join(dir)).unwrap();
    }
    for (file, bytes) in [
        ("kafka-clients.jar", &b"PK\x03\x04\x14\0\x08\x08"[..]),
        ("segment.gz", b"\x1f\x8b\x08\0"),
        ("random.bin", b"\xa7\x01\xfe\x90"),
        ("server.log", b"[2026-11-22 03:00:00,000] INFO started (kafka.server.KafkaServer)\n"),
        ("conf/server.properties", b"log.dirs=/data\n"),
        ("zookeeper/myid", b"1\n"),
        ("zookeeper/version-2/log.1", b"ZKLG\0\0\0\x02\0\0\0\0"),
        ("zookeeper/version-2/snapshot.0", b"ZKSN\0\0\0\x02"),
    ] {
        fs::write(root.path().join(file), bytes).unwrap();
    }
    let log_dirs = "log.dirs names in the broker's server.properties";
    for (path, what, next) in [
        ("kafka-clients.jar", "it is packed (zip or jar)", "unpack it"),
        ("segment.gz", "it is packed (gzip)", "unpack it"),
        ("random.bin", "no file of Kafka's has such a name\n", "give a copy that name"),
        ("server.log", "it is text", log_dirs),
        ("conf/server.properties", "it is text", log_dirs),
        ("conf", "no partition directory, no segment", "give a log dir, a partition directory or a file in one"),
        ("nothing", "it is empty", "is its volume mounted?"),
        ("disks", "it is no log dir, but holds 2", "give what is in it: disks/data1 disks/data2"),
        ("zookeeper", "it is a directory of ZooKeeper's", log_dirs),
        ("zookeeper/version-2", "it is a directory of ZooKeeper's", log_dirs),
        ("zookeeper/version-2/log.1", "it is ZooKeeper's", log_dirs),
        ("zookeeper/version-2/snapshot.0", "it is ZooKeeper's", log_dirs),
    ] {
        for command in [&["ls"][..], &["check"], &["dump-log"], &["verify-index"], &["lookup", "--offset", "1"]] {
            let (status, stdout, stderr) = kfsck(root.path(), &[command, &[path]].concat());
            assert_eq!(
                (status, stdout.lines().next().unwrap_or("0 errors")),
                (Some(8), "0 errors"),
                "{command:?} {path}"
            );
            assert!(stderr.contains(what) && stderr.contains(next), "{command:?} {path}: {stderr}");
        }
    }
}

#[test]
fn an_index_alone_and_a_producer_snapshot_lead_to_what_they_belong_to() {
    let root = tempfile::tempdir().unwrap();
    let from = scenario("4.4.0", "killed").log_dir(None, None).join("killed-plain-0");
    let find = |end: &str| {
        let mut names = fs::read_dir(&from).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.find(|name| name.ends_with(end)).unwrap()
    };
    let (index, snapshot) = (find(".index"), find(".snapshot"));
    for name in [&index, &snapshot] {
        fs::copy(from.join(name), root.path().join(name)).unwrap();
    }
    let (status, _, stderr) = kfsck(root.path(), &["check", &index]);
    assert_eq!(status, Some(8));
    assert!(stderr.contains("indexes are judged by the log beside them"), "{stderr}");
    assert!(kfsck(root.path(), &["ls", &snapshot]).2.contains("kfsck dump-log"));
    assert!(kfsck(root.path(), &["check", &snapshot]).2.contains("kfsck check ."));
}

#[test]
fn a_mistyped_command_is_answered_with_the_nearest_and_a_path_with_commands() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("orders-3")).unwrap();
    for (typed, meant) in [
        ("chek", "check"),
        ("lst", "ls"),
        ("dump", "dump-log"),
        ("verify", "verify-index"),
        ("rebuild", "rebuild-index"),
        ("truncate", "truncate-to-hw"),
        ("undu", "undo"),
        ("lokup", "lookup"),
    ] {
        let (status, _, stderr) = kfsck(root.path(), &[typed, "orders-3"]);
        assert_eq!(status, Some(16), "{typed}");
        assert!(stderr.contains(&format!("'{meant}'")), "{typed}: {stderr}");
    }
    let (status, _, stderr) = kfsck(root.path(), &["repair", "orders-3"]);
    assert_eq!(status, Some(16));
    assert!(stderr.contains("repair is no command") && stderr.contains("kfsck check PATH"), "{stderr}");
    let (status, _, stderr) = kfsck(root.path(), &["orders-3"]);
    assert_eq!(status, Some(16));
    assert!(stderr.contains("orders-3 is no command") && stderr.contains("kfsck check orders-3"), "{stderr}");
    for (typed, meant) in [("--offset", "--from-offset begins"), ("--timestamp", "--from-time begins")] {
        let (status, _, stderr) = kfsck(root.path(), &["dump-log", typed, "5", "orders-3"]);
        assert_eq!(status, Some(16));
        assert!(stderr.contains(meant) && stderr.contains(&format!("kfsck lookup {typed}")), "{stderr}");
    }
}

#[test]
fn damage_that_ls_and_dump_log_meet_leads_to_check_for_some_partitions_by_name() {
    let root = tempfile::tempdir().unwrap();
    many(&root.path().join("data"), 8, 7);
    let (status, listed, _) = kfsck(root.path(), &["ls", "data"]);
    assert_eq!(status, Some(4));
    let lead = "To see what is wrong: kfsck check data/orders-";
    assert_eq!(listed.matches(lead).count(), 5, "{listed}");
    assert!(listed.ends_with("… and 2 more\n"), "{listed}");
    let log = "data/orders-2/00000000000000000090.log";
    let (_, dumped, _) = kfsck(root.path(), &["dump-log", log]);
    assert!(dumped.ends_with(&format!("To see what is wrong: kfsck check {log}\n")), "{dumped}");
    assert!(!kfsck(root.path(), &["dump-log", "data/orders-7"]).1.contains("To see"));
    assert!(!kfsck(root.path(), &["ls", "-f", "json", "data"]).1.contains("To see"));
}

#[test]
fn a_table_of_many_sound_partitions_shows_those_that_are_not() {
    let root = tempfile::tempdir().unwrap();
    many(&root.path().join("data"), 30, 1);
    let (status, table, _) = kfsck(root.path(), &["check", "-f", "table", "data"]);
    assert_eq!(status, Some(4));
    let rows = |table: &str| table.lines().filter(|line| line.starts_with("orders-")).count();
    assert_eq!(rows(&table), 1, "{table}");
    assert!(table.contains("29 sound partitions, not shown (-v)\n"), "{table}");
    assert_eq!(rows(&kfsck(root.path(), &["check", "-v", "-f", "table", "data"]).1), 30);
}

#[test]
fn ls_fits_into_80_columns_and_keeps_all_columns_where_there_is_room() {
    let root = tempfile::tempdir().unwrap();
    many(&root.path().join("data"), 1, 1);
    let dir = PartitionDir::read(&root.path().join("data/orders-0")).unwrap();
    let policy = ReadPolicy::default();
    let facts = PartitionFacts::read(&dir, Some(&Checkpoints::read(&root.path().join("data"))), policy);
    let shown = |width: u16| {
        let mut reporter = Reporter::new(Format::Table, TimeZone::UTC, Some(width));
        let mut out = Vec::new();
        overview::partition(&mut reporter, &mut out, &dir.path, dir.name.as_ref(), &facts);
        for segment in dir.segments() {
            let facts = SegmentFacts::read(&segment, None, policy);
            overview::segment(&mut reporter, &mut out, &dir.path, &facts);
        }
        reporter.flush(&mut out);
        String::from_utf8(out).unwrap()
    };
    let narrow = shown(80);
    assert!(narrow.lines().all(|line| line.chars().count() <= 80), "{narrow}");
    assert!(narrow.contains("torn tail of 110 B") && narrow.contains("max timestamp"), "{narrow}");
    assert!(!narrow.contains("first timestamp"), "{narrow}");
    let wide = shown(200);
    for column in ["segments", "log start", "first timestamp", "last timestamp", "epoch", "time index entries"] {
        assert!(wide.contains(column), "{wide}");
    }
}

#[test]
fn records_that_are_missing_in_the_middle_are_told_where_an_index_knows_of_them() {
    let root = tempfile::tempdir().unwrap();
    let partition = root.path().join("data/orders-0");
    many(&root.path().join("data"), 1, 0);
    let log = partition.join("00000000000000000030.log");
    fs::File::options().write(true).open(&log).unwrap().set_len(0).unwrap();
    let (status, told, _) = kfsck(root.path(), &["check", "data/orders-0"]);
    assert_eq!(status, Some(4));
    let gap =
        "error  segments/gap  offset 30: no segment holds offsets 30 up to 60; index entries that name some of them: ";
    assert!(told.contains(gap), "{told}");
    assert!(told.contains("copy the partition from a replica that has these records"), "{told}");
}

#[test]
fn a_meta_properties_that_names_nobody_is_an_error() {
    let root = tempfile::tempdir().unwrap();
    many(&root.path().join("data"), 1, 0);
    fs::write(root.path().join("data/meta.properties"), "garbage\n").unwrap();
    let (status, told, _) = kfsck(root.path(), &["check", "data"]);
    assert_eq!(status, Some(4));
    assert!(told.contains("meta.properties cannot be read: it names neither node nor cluster"), "{told}");
}

#[test]
fn undo_data_is_read_and_given_back_and_never_judged_or_mended() {
    let root = tempfile::tempdir().unwrap();
    let log_dir = root.path().join("data dir");
    many(&log_dir, 1, 1);
    let cut = ["truncate-to-hw", "--to", "100", "--apply", "--allow-data-loss", "data dir/orders-0"];
    assert_eq!(kfsck(root.path(), &cut).0, Some(1));
    let names = fs::read_dir(log_dir.join("orders-0")).unwrap().map(|entry| entry.unwrap().file_name());
    let name = names.map(|name| name.into_string().unwrap()).find(|name| name.starts_with(".kfsck-undo-")).unwrap();
    let undo_data = format!("data dir/orders-0/{name}");
    for command in [
        &["check"][..],
        &["verify-index"],
        &["rebuild-index"],
        &["rebuild-index", "--apply"],
        &["truncate-to-hw", "--to", "intact-end"],
        &["truncate-to-hw", "--to", "intact-end", "--apply", "--allow-data-loss"],
    ] {
        let (status, _, stderr) = kfsck(root.path(), &[command, &[&undo_data]].concat());
        assert_eq!(status, Some(8), "{command:?}");
        assert!(stderr.contains("it is undo data") && stderr.contains("kfsck undo brings it back"), "{stderr}");
    }
    for command in [&["ls"][..], &["dump-log"], &["lookup", "--key", "none"]] {
        let (status, stdout, stderr) = kfsck(root.path(), &[command, &[&undo_data]].concat());
        assert_eq!(status, Some(4), "{command:?} {stderr}");
        assert!(!stdout.contains("kfsck check") && !stderr.contains("kfsck check"), "{stdout}{stderr}");
    }
    assert_eq!(kfsck(root.path(), &["undo", "--apply", &undo_data]).0, Some(1));
}

#[test]
fn the_commands_that_are_told_can_be_typed_also_where_a_path_has_blanks() {
    let root = tempfile::tempdir().unwrap();
    many(&root.path().join("my data"), 1, 1);
    for command in [
        &["ls", "my data"][..],
        &["check", "my data/orders-0"],
        &["check", "my data/orders-0/partition.metadata"],
        &["dump-log", "my data/orders-0"],
        &["lookup", "--offset", "118", "my data/orders-0"],
        &["rebuild-index", "my data/orders-0"],
    ] {
        let (_, stdout, stderr) = kfsck(root.path(), command);
        let told: Vec<&str> =
            stdout.lines().chain(stderr.lines()).filter(|line| line.contains("kfsck check ")).collect();
        assert!(told.iter().all(|line| line.contains("'my data")), "{command:?} {told:?}");
        assert!(!told.is_empty() || command[0] == "check", "{command:?}: {stdout}{stderr}");
    }
}

#[test]
fn whoever_asks_for_what_need_not_be_done_is_told_so() {
    let root = tempfile::tempdir().unwrap();
    many(&root.path().join("data"), 1, 0);
    for (command, says) in [
        (&["undo"][..], "data: no undo data, nothing to take back"),
        (&["undo", "--list"], "data: no undo data, nothing to take back"),
        (&["undo", "--discard", "--apply"], "data: no undo data, nothing to take back"),
        (&["rebuild-index"], "nothing to do: no index is wrong or missing"),
    ] {
        let (status, _, stderr) = kfsck(root.path(), &[command, &["data"]].concat());
        assert_eq!((status, stderr), (Some(0), format!("kfsck: {says}\n")), "{command:?}");
        assert_eq!(kfsck(root.path(), &[command, &["-q", "data"]].concat()).2, "");
    }
    let gone = kfsck(root.path(), &["undo", "data/orders-0/.kfsck-undo-20261122T104052.647Z"]);
    assert_eq!(gone.0, Some(8));
    assert!(gone.2.ends_with("647Z: No such file or directory\n"), "{}", gone.2);
}

#[test]
fn each_mend_that_is_advised_can_be_done_and_is_not_advised_again() {
    let advised = |told: &str| -> Vec<String> {
        let repairs = told.lines().filter_map(|line| line.strip_prefix("To see the repair: kfsck "));
        let cuts =
            told.lines().filter_map(|line| line.split_once("; else kfsck ")?.1.split_once(" cuts off everything"));
        repairs.chain(cuts.map(|(cut, _)| cut)).map(str::to_owned).collect()
    };
    // What stands in the log of a segment with base offset 0, and how much of the time index is left.
    for (at, bytes, entries) in [(708 + 8, [0; 4], 3), (708 + 8, [0xff; 4], 3), (708 + 60, [0xff; 4], 1)] {
        let root = tempfile::tempdir().unwrap();
        let partition = root.path().join("data/time-gaps-0");
        fs::create_dir(root.path().join("data")).unwrap();
        let real = scenario("3.9.2", "segments").log_dir(None, None);
        fs::copy(real.join("meta.properties"), root.path().join("data/meta.properties")).unwrap();
        copy_partition(&real.join("time-gaps-0"), &root.path().join("data"), long_ago());
        let log = partition.join("00000000000000000000.log");
        let mut log_bytes = fs::read(&log).unwrap();
        log_bytes[at..at + 4].copy_from_slice(&bytes);
        fs::write(&log, log_bytes).unwrap();
        let index = fs::File::options().write(true).open(partition.join("00000000000000000000.timeindex")).unwrap();
        index.set_len(entries * 12 - 1).unwrap();
        let mut done: Vec<String> = Vec::new();
        loop {
            let (_, told, _) = kfsck(root.path(), &["check", "data"]);
            let Some(command) = advised(&told).into_iter().next() else { break };
            assert!(!done.contains(&command), "again: {command}: {told}");
            let mut words: Vec<&str> = command.split(' ').collect();
            let plan = kfsck(root.path(), &words);
            assert!(plan.0 == Some(4) && plan.1.contains("  plan "), "{command}: {plan:?}");
            words.push("--apply");
            words.extend(command.starts_with("truncate").then_some("--allow-data-loss"));
            let (status, told, stderr) = kfsck(root.path(), &words);
            assert!(told.contains("done; to take it back"), "{command}: {status:?} {told}{stderr}");
            done.push(command);
        }
        assert_eq!(done.len(), 2, "{done:?}");
        assert_eq!(kfsck(root.path(), &["check", "data"]).0, Some(0), "{done:?}");
    }
}
