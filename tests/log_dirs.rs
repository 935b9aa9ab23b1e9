//! What brokers leave behind is sound: no error and no warning about names, segments, checkpoints and log dirs.

mod support;

use std::path::{Path, PathBuf};

use kfsck::check::log_dir::LogDirCheck;
use kfsck::check::partition::{PartitionCheck, PartitionReport, Surroundings};
use kfsck::check::segment::{SegmentTask, Worker};
use kfsck::check::{Depth, Finding, Id, Setting, Severity};
use kfsck::format::compression::DEFAULT_LIMIT;
use kfsck::store::ReadPolicy;
use kfsck::store::log_dir::{Directory, LogDir, identify};
use kfsck::store::partition::PartitionDir;

/// The kinds of findings that are looked for here; those about the content of logs and indexes have tests of their own.
fn is_about_names(id: Id) -> bool {
    let kind = id.name().split('/').next().unwrap();
    ["partition", "segments", "logdir", "kraft"].contains(&kind) || id == Id::IndexOrphan
}

fn log_dir_at(path: &Path) -> LogDir {
    match identify(path).unwrap() {
        Directory::LogDir(log_dir) => log_dir,
        other => panic!("{}: {other:?}", path.display()),
    }
}

/// The log dirs somewhere below `dir`.
fn log_dirs_below(dir: &Path) -> Vec<PathBuf> {
    if dir.join("recovery-point-offset-checkpoint").is_file() {
        return vec![dir.to_owned()];
    }
    support::subdirectories(dir).iter().flat_map(|dir| log_dirs_below(dir)).collect()
}

/// All of a partition, segment after segment.
fn judged(dir: &PartitionDir, surroundings: Surroundings, setting: Setting) -> PartitionReport {
    let mut worker = Worker::new(DEFAULT_LIMIT);
    let segments = dir.segments();
    let mut check = PartitionCheck::new(dir, surroundings, setting);
    for (at, files) in segments.iter().enumerate() {
        let next_base_offset = segments.get(at + 1).map(|next| next.base_offset);
        let task = SegmentTask { files: *files, next_base_offset, snapshot_offsets: &[], setting, stop: None };
        check.take(worker.judge(&task));
    }
    check.finish()
}

/// All findings about a log dir and, below it, its partitions, with the reports of these.
fn check(log_dir: &LogDir, is_live: bool) -> (Vec<Finding>, Vec<(String, PartitionReport)>) {
    let policy = ReadPolicy { may_change: is_live, ..ReadPolicy::default() };
    let setting = Setting { policy, depth: Depth::Checksums, clean_shutdown: false };
    let mut of_log_dir = LogDirCheck::new(log_dir, setting);
    let facts = of_log_dir.facts();
    let (mut findings, mut reports) = (Vec::new(), Vec::new());
    for entry in &log_dir.partitions {
        let dir = PartitionDir::read(&entry.path).unwrap();
        let setting = Setting { clean_shutdown: facts.was_closed(&entry.name), ..setting };
        let report = judged(&dir, Surroundings::of(&dir, &facts), setting);
        assert!(report.unreadable.is_empty(), "{:?}", report.unreadable);
        of_log_dir.partition(&entry.name, &report);
        findings.extend(report.findings.iter().cloned());
        reports.push((entry.name.to_string(), report));
    }
    findings.extend(of_log_dir.finish().into_vec());
    findings.retain(|finding| is_about_names(finding.id));
    (findings, reports)
}

#[test]
fn what_brokers_leave_behind_gives_no_error_and_no_warning() {
    let mut count = 0;
    for collection in support::collections() {
        for scenario in support::scenarios(&collection) {
            for path in log_dirs_below(&scenario.dir) {
                let (mut findings, _) = check(&log_dir_at(&path), false);
                findings.retain(|finding| finding.severity > Severity::Info);
                assert!(findings.is_empty(), "{}: {findings:#?}", path.display());
                count += 1;
            }
        }
    }
    assert!(count >= 10, "only {count} log dirs were found");
}
