//! What brokers leave behind is sound: no error and no warning about names, segments, checkpoints and log dirs.

mod support;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use kfsck::check::log_dir::{LogDirCheck, LogDirFacts, several};
use kfsck::check::partition::{PartitionCheck, PartitionReport, Surroundings};
use kfsck::check::segment::{SegmentTask, Worker};
use kfsck::check::{Depth, Finding, Id, Setting, Severity};
use kfsck::format::Offset;
use kfsck::format::compression::DEFAULT_LIMIT;
use kfsck::store::ReadPolicy;
use kfsck::store::log_dir::{Directory, LogDir, identify};
use kfsck::store::partition::PartitionDir;
use support::Truth;

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

/// The log dirs of all collections.
fn all_log_dirs() -> Vec<PathBuf> {
    let scenarios = support::collections().into_iter().flat_map(|collection| support::scenarios(&collection));
    scenarios.flat_map(|scenario| log_dirs_below(&scenario.dir)).collect()
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
    for path in all_log_dirs() {
        for is_live in [false, true] {
            let (mut findings, _) = check(&log_dir_at(&path), is_live);
            findings.retain(|finding| finding.severity > Severity::Info);
            assert!(findings.is_empty(), "{}: {findings:#?}", path.display());
        }
        count += 1;
    }
    assert!(count >= 10, "only {count} log dirs were found");
}

#[test]
fn copies_of_partitions_give_no_error_and_no_warning() {
    for path in all_log_dirs() {
        for entry in log_dir_at(&path).partitions {
            let dir = PartitionDir::read(&entry.path).unwrap();
            let setting = Setting { policy: ReadPolicy::default(), depth: Depth::Quick, clean_shutdown: false };
            let report = judged(&dir, Surroundings::default(), setting);
            let is_wrong = |finding: &&Finding| is_about_names(finding.id) && finding.severity > Severity::Info;
            let findings: Vec<_> = report.findings.iter().filter(is_wrong).collect();
            assert!(findings.is_empty(), "{findings:#?}");
        }
    }
}

#[test]
fn log_dirs_of_several_brokers_may_be_given_together() {
    let mut beside: BTreeMap<PathBuf, Vec<LogDir>> = BTreeMap::new();
    for path in all_log_dirs() {
        beside.entry(path.parent().unwrap().to_owned()).or_default().push(log_dir_at(&path));
    }
    let policy = ReadPolicy::default();
    let setting = Setting { policy, depth: Depth::Checksums, clean_shutdown: false };
    let mut brokers = 0;
    for log_dirs in beside.values().filter(|log_dirs| log_dirs.len() > 1) {
        let facts: Vec<_> = log_dirs.iter().map(|log_dir| LogDirFacts::read(&log_dir.path)).collect();
        let given: Vec<_> = log_dirs.iter().zip(&facts).collect();
        let findings = several(&given, setting).into_vec();
        assert_eq!(findings.len(), log_dirs.len() - 1, "{findings:#?}");
        let differ =
            |finding: &Finding| (finding.id, finding.severity) == (Id::LogDirMetaPropertiesDiffer, Severity::Info);
        assert!(findings.iter().all(differ), "{findings:#?}");
        brokers += log_dirs.len();
    }
    assert!(brokers >= 4, "only {brokers} brokers were found");
}

#[test]
fn reports_hold_the_offsets_that_brokers_told() {
    let mut count = 0;
    for collection in support::collections() {
        for scenario in support::scenarios(&collection) {
            let truth = scenario.truth();
            let mut checked: BTreeMap<PathBuf, HashMap<String, PartitionReport>> = BTreeMap::new();
            let has_replicas = truth.iter().any(|line| matches!(line, Truth::Replica(_)));
            for line in &truth {
                let (path, partition) = match line {
                    Truth::Offsets { partition, .. } if !has_replicas => (scenario.log_dir(None, None), partition),
                    Truth::Replica(replica) => {
                        (scenario.log_dir(replica.state.as_deref(), Some(replica.broker)), &replica.partition)
                    }
                    _ => continue,
                };
                if !path.is_dir() {
                    continue;
                }
                let reports = checked
                    .entry(path.clone())
                    .or_insert_with(|| check(&log_dir_at(&path), false).1.into_iter().collect());
                let Some(report) = reports.get(partition) else { continue };
                let at = path.join(partition);
                match line {
                    Truth::Offsets { log_start_offset, end_offset, .. } => {
                        assert_eq!(report.log_start_offset, Some(Offset(*log_start_offset)), "{}", at.display());
                        assert_eq!(report.log_end_offset, Some(Offset(*end_offset)), "{}", at.display());
                    }
                    Truth::Replica(replica) => {
                        assert_eq!(report.log_start_offset, Some(Offset(replica.log_start_offset)), "{}", at.display());
                        assert_eq!(report.log_end_offset, Some(Offset(replica.log_end_offset)), "{}", at.display());
                        let high_watermark = replica.high_watermark_checkpoint.map(Offset);
                        assert_eq!(report.high_watermark, high_watermark, "{}", at.display());
                        let epoch = replica.leader_epochs.last().map(|(epoch, _)| *epoch);
                        assert_eq!(report.latest_epoch, epoch, "{}", at.display());
                        assert_eq!(report.segments, replica.segments.len() as u64, "{}", at.display());
                    }
                    _ => {}
                }
                count += 1;
            }
        }
    }
    assert!(count >= 20, "only {count} partitions were compared");
}
