use super::*;
use crate::check::{Depth, Detail};
use crate::store::ReadPolicy;
use crate::store::log_dir::{Directory, identify};
use std::fs;

const KRAFT: &str = "version=1\nnode.id=1\ncluster.id=c\ndirectory.id=AAAAAAAAAAEAAAAAAAAAAg\n";
const EMPTY: &str = "0\n0\n";

/// Makes a log dir in `dir` of files with their content, and directories (names that end in `/`).
fn made(dir: &Path, entries: &[(&str, &str)]) -> LogDir {
    fs::create_dir_all(dir).unwrap();
    for (entry, content) in entries {
        match entry.strip_suffix('/') {
            Some(directory) => fs::create_dir(dir.join(directory)).unwrap(),
            None => fs::write(dir.join(entry), content).unwrap(),
        }
    }
    match identify(dir).unwrap() {
        Directory::LogDir(log_dir) => log_dir,
        other => panic!("{other:?}"),
    }
}

fn setting(is_live: bool) -> Setting {
    let policy = ReadPolicy { may_change: is_live, ..ReadPolicy::default() };
    Setting { policy, depth: Depth::Checksums, clean_shutdown: true }
}

fn id_of(number: u8) -> Uuid {
    Uuid([number; 16])
}

/// The findings about a log dir whose partitions have these topic ids.
fn findings_of(entries: &[(&str, &str)], topic_ids: &[(&str, Uuid)], is_live: bool) -> Vec<Finding> {
    let dir = tempfile::tempdir().unwrap();
    let log_dir = made(dir.path(), entries);
    let mut check = LogDirCheck::new(&log_dir, setting(is_live));
    for (name, topic_id) in topic_ids {
        let report = PartitionReport { topic_id: Some(*topic_id), ..PartitionReport::default() };
        check.partition(&PartitionName::parse(name).unwrap(), &report);
    }
    check.finish().into_vec()
}

/// Kind, severity and file name of each finding.
fn brief(findings: &[Finding]) -> Vec<(Id, Severity, &str)> {
    fn name(finding: &Finding) -> &str {
        finding.path.file_name().unwrap().to_str().unwrap()
    }
    findings.iter().map(|finding| (finding.id, finding.severity, name(finding))).collect()
}

/// Holds what is seen of a log dir of KRaft with these entries besides its `meta.properties` against what is expected.
#[track_caller]
fn assert_seen(entries: &[(&str, &str)], expected: &[(Id, Severity, &str)]) {
    let entries: Vec<_> = entries.iter().copied().chain([("meta.properties", KRAFT)]).collect();
    assert_eq!(brief(&findings_of(&entries, &[], false)), expected);
}

fn text<'a>(finding: &'a Finding, name: &str) -> &'a str {
    match finding.details.iter().find(|(found, _)| *found == name) {
        Some((_, Detail::Text(text))) => text,
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn a_log_dir_as_brokers_leave_it_is_no_news() {
    let entries = [
        (".kafka_cleanshutdown", ""),
        (".lock", ""),
        ("cleaner-offset-checkpoint", ""),
        ("log-start-offset-checkpoint", EMPTY),
        ("recovery-point-offset-checkpoint", "0\n2\na 0 5\na 1 7\n"),
        ("replication-offset-checkpoint", "0\r\n2\r\na 0 5\r\na 1 7\r\n"),
        ("a-0/", ""),
        ("a-1.0123456789abcdef0123456789abcdef-future/", ""),
        ("b-0.0123456789abcdef0123456789abcdef-delete/", ""),
        ("b-0.1123456789abcdef0123456789abcdef-delete/", ""),
        ("c-0.0123456789abcdef0123456789abcdef-stray/", ""),
        ("remote-log-index-cache/", ""),
    ];
    assert_seen(&entries, &[]);
}

#[test]
fn a_folder_of_copies_is_not_judged() {
    assert_eq!(findings_of(&[("a-0/", ""), ("etc/", "")], &[], false), []);
}

#[test]
fn a_directory_that_is_no_partitions_stops_a_broker() {
    let expected = [(Id::LogDirForeignDirectory, Severity::Error, "lost+found")];
    assert_seen(&[("lost+found/", "")], &expected);
}

#[test]
fn files_that_are_not_a_log_dirs_are_information() {
    assert_seen(&[("notes", "")], &[(Id::LogDirForeignFile, Severity::Info, "notes")]);
    let half_written = "replication-offset-checkpoint.tmp";
    assert_seen(&[(half_written, "0\n")], &[(Id::LogDirTemporaryFile, Severity::Info, half_written)]);
}

#[test]
fn meta_properties_that_cannot_be_read_are_an_error() {
    let expected = |severity| [(Id::LogDirMetaProperties, severity, "meta.properties")];
    for content in ["version=7\n", "version=1\nnode.id=1\n", "version=1\nnode.id=x\ncluster.id=c\n"] {
        let findings = findings_of(&[("meta.properties", content)], &[], false);
        assert_eq!(brief(&findings), expected(Severity::Error), "{content}");
    }
    for sound in ["version=1\nnode.id=1\ncluster.id=c\n", "broker.id=1\n", "version=0\ncluster.id=c\n"] {
        assert_eq!(findings_of(&[("meta.properties", sound)], &[], false), [], "{sound}");
    }
}

#[test]
fn missing_meta_properties_matter_as_far_as_it_must_be_kraft() {
    let expected = |severity| [(Id::LogDirMetaProperties, severity, "meta.properties")];
    let point = ("recovery-point-offset-checkpoint", EMPTY);
    let findings = findings_of(&[point, ("a-0/", "")], &[], false);
    assert_eq!(brief(&findings), expected(Severity::Info));
    let findings = findings_of(&[point, ("a-0/", "")], &[("a-0", id_of(1))], false);
    assert_eq!(brief(&findings), expected(Severity::Warning));
    let findings = findings_of(&[point, ("__cluster_metadata-0/", "")], &[], false);
    assert_eq!(brief(&findings), expected(Severity::Error));
}

#[test]
fn a_checkpoint_that_cannot_be_read_tells_what_a_broker_does() {
    for (file, content, flaw, at_start) in [
        ("recovery-point-offset-checkpoint", "0\n2\na 0 5\n", "framing", "offline"),
        ("recovery-point-offset-checkpoint", "0\n1\na 0 x\n", "number", "takenForEmpty"),
        ("replication-offset-checkpoint", "0\n1\na 0 x\n", "number", "noPartitionOnline"),
        ("cleaner-offset-checkpoint", "0\n1\na 0 x\n", "number", "noCompaction"),
        ("log-start-offset-checkpoint", "x\n", "framing", "offline"),
    ] {
        let findings = findings_of(&[("meta.properties", KRAFT), (file, content), ("a-0/", "")], &[], false);
        assert_eq!(brief(&findings), [(Id::LogDirCheckpointUnreadable, Severity::Error, file)]);
        assert_eq!((text(&findings[0], "flaw"), text(&findings[0], "atStart")), (flaw, at_start), "{file}");
    }
}

#[test]
fn two_lines_for_a_partition_and_negative_offsets_are_warnings() {
    let file = "log-start-offset-checkpoint";
    let content = "0\n3\na 0 5\na 0 7\na 1 -1\n";
    let entries = [("meta.properties", KRAFT), (file, content), ("a-0/", ""), ("a-1/", "")];
    let findings = findings_of(&entries, &[], false);
    let expected = (Id::LogDirCheckpointLine, Severity::Warning, file);
    assert_eq!(brief(&findings), [expected, expected]);
    assert_eq!(
        (text(&findings[0], "flaw"), findings[0].int("line"), findings[0].int("earlierOffset")),
        ("duplicate", Some(4), Some(5))
    );
    assert_eq!((text(&findings[1], "flaw"), findings[1].int("line")), ("negative", Some(5)));
}

#[test]
fn a_line_whose_partition_is_gone_is_information() {
    let file = "cleaner-offset-checkpoint";
    let entries = [(file, "0\n2\na 0 5\nb 0 5\n"), ("a-0/", ""), ("b-0.0123456789abcdef0123456789abcdef-delete/", "")];
    assert_seen(&entries, &[(Id::LogDirCheckpointStale, Severity::Info, file)]);
}

#[test]
fn a_partition_is_in_a_log_dir_once() {
    let expected = [(Id::LogDirDuplicatePartition, Severity::Error, "a-00")];
    assert_seen(&[("a-0/", ""), ("a-00/", "")], &expected);
}

#[test]
fn a_topic_has_one_id_in_kraft() {
    let entries = [("meta.properties", KRAFT), ("a-0/", ""), ("a-1/", ""), ("a-2/", ""), ("b-0/", ""), ("c-0/", "")];
    let foreign = |ids: &[(&str, Uuid)], is_live| {
        let findings = findings_of(&entries, ids, is_live);
        let of = |finding: &Finding| finding.path.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
        findings.iter().map(|finding| (finding.id, finding.severity, of(finding))).collect::<Vec<_>>()
    };
    let seen = |severity, partition: &str| (Id::PartitionMetadataForeign, severity, partition.to_owned());
    let sound = [("a-0", id_of(1)), ("a-1", id_of(1)), ("a-2", id_of(1)), ("b-0", id_of(2)), ("c-0", id_of(3))];
    assert_eq!(foreign(&sound, false), []);
    // One against two.
    let (mut differs, mut copied) = (sound, sound);
    differs[1].1 = id_of(9);
    assert_eq!(foreign(&differs, false), [seen(Severity::Error, "a-1")]);
    assert_eq!(foreign(&differs, true), [seen(Severity::Info, "a-1")]);
    // The id of another topic, which has more partitions.
    copied[3].1 = id_of(1);
    assert_eq!(foreign(&copied, false), [seen(Severity::Error, "b-0")]);
    // One against one: nobody knows which.
    let equal = [("b-0", id_of(2)), ("c-0", id_of(2))];
    assert_eq!(foreign(&equal, false), [seen(Severity::Error, "b-0"), seen(Severity::Error, "c-0")]);
}

#[test]
fn what_a_cluster_starts_from_must_be_whole() {
    let expected = [(Id::KraftSnapshotUnreadable, Severity::Error, "bootstrap.checkpoint")];
    assert_seen(&[("bootstrap.checkpoint", "")], &expected);
}

/// The findings about log dirs with these `meta.properties` and partitions, given together.
fn together(log_dirs: &[(&str, &[&str])]) -> Vec<(Id, Severity, String)> {
    let dir = tempfile::tempdir().unwrap();
    let made: Vec<_> = log_dirs
        .iter()
        .enumerate()
        .map(|(at, (meta, partitions))| {
            let entries: Vec<_> =
                partitions.iter().map(|name| (*name, "")).chain([("meta.properties", *meta)]).collect();
            let path = dir.path().join(at.to_string());
            (made(&path, &entries), LogDirFacts::read(&path))
        })
        .collect();
    let given: Vec<_> = made.iter().map(|(log_dir, facts)| (log_dir, facts)).collect();
    let below = |finding: &Finding| finding.path.strip_prefix(dir.path()).unwrap().display().to_string();
    let findings = several(&given, setting(false));
    findings.iter().map(|finding| (finding.id, finding.severity, below(finding))).collect()
}

const FIRST: &str = "version=1\nnode.id=1\ncluster.id=c\ndirectory.id=AAAAAAAAAAEAAAAAAAAAAg\n";
const SECOND: &str = "version=1\nnode.id=1\ncluster.id=c\ndirectory.id=AAAAAAAAAAEAAAAAAAAAAw\n";
const FUTURE: &str = "a-0.0123456789abcdef0123456789abcdef-future/";

#[test]
fn log_dirs_of_one_broker_hold_a_partition_once_and_once_on_its_way() {
    assert_eq!(together(&[(FIRST, &["a-0/", "b-0/"]), (SECOND, &["a-1/", FUTURE])]), []);
    let twice = |path: &str| [(Id::LogDirDuplicatePartition, Severity::Error, path.to_owned())];
    assert_eq!(together(&[(FIRST, &["a-0/"]), (SECOND, &["a-0/"])]), twice("1/a-0"));
    let path = format!("1/{}", FUTURE.trim_end_matches('/'));
    assert_eq!(together(&[(FIRST, &[FUTURE]), (SECOND, &[FUTURE])]), twice(&path));
    let deleted = "a-0.0123456789abcdef0123456789abcdef-delete/";
    assert_eq!(together(&[(FIRST, &["a-0/"]), (SECOND, &[deleted])]), []);
}

#[test]
fn log_dirs_with_one_directory_id_are_an_error() {
    let expected = [(Id::LogDirMetaPropertiesDiffer, Severity::Error, "1/meta.properties".to_owned())];
    assert_eq!(together(&[(FIRST, &["a-0/"]), (FIRST, &["a-1/"])]), expected);
    let without = "version=1\nnode.id=1\ncluster.id=c\n";
    assert_eq!(together(&[(without, &["a-0/"]), (without, &["a-1/"])]), []);
}

#[test]
fn log_dirs_of_several_brokers_are_told_by_their_replicas() {
    let other = "version=1\nnode.id=2\ncluster.id=c\ndirectory.id=AAAAAAAAAAEAAAAAAAAABA\n";
    let differ = |severity| [(Id::LogDirMetaPropertiesDiffer, severity, "1/meta.properties".to_owned())];
    assert_eq!(together(&[(FIRST, &["a-0/"]), (other, &["a-1/"])]), differ(Severity::Error));
    assert_eq!(together(&[(FIRST, &["a-0/", "a-1/"]), (other, &["a-1/"])]), differ(Severity::Info));
    let elsewhere = "version=1\nnode.id=1\ncluster.id=d\ndirectory.id=AAAAAAAAAAEAAAAAAAAABA\n";
    assert_eq!(together(&[(FIRST, &["a-0/"]), (elsewhere, &["a-1/"])]), differ(Severity::Error));
    // What cannot be read says nothing.
    assert_eq!(together(&[(FIRST, &["a-0/"]), ("version=9\n", &["a-0/"])]), []);
}
