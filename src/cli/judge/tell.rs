//! What is told of each partition, and at the end.

use std::path::Path;

use jiff::Timestamp;

use super::super::common::{Run, counted};
use super::Scope;
use super::work::Unit;
use crate::check::partition::PartitionReport;
use crate::check::{Depth, Finding, Findings, Id, Severity, fold, kraft};
use crate::format::Offset;
use crate::format::file_name::{DirState, FileName};
use crate::report::findings::{self, AtStart, Subject};
use crate::report::overview;
use crate::report::reporter::{Format, Tone};
use crate::report::row::path_text;
use crate::report::size::human_text;
use crate::scan::recover::KafkaRelease;
use crate::scan::start::{StartConditions, StartOutcome, predict};

/// The most findings that a table of partitions has below it; more begin the next one.
const FINDINGS_A_TABLE: usize = 10_000;

/// What starts of a broker, in order and after a crash, make of a partition in which something is wrong.
#[derive(Default)]
struct Starts {
    clean: Option<StartOutcome>,
    unclean: Option<StartOutcome>,
    log_end_offset: Option<Offset>,
}

impl Starts {
    /// Plays both starts through, if something was seen that a start may meet. This reads again what a start reads.
    fn of(unit: &Unit, report: &PartitionReport) -> Self {
        let state = unit.dir.name.as_ref().map_or(DirState::Current, |name| name.state);
        let matters = report.findings.iter().any(|finding| finding.severity > Severity::Info);
        let is_played = matches!(state, DirState::Current | DirState::Future)
            && matters
            && unit.setting.depth != Depth::Quick
            && !unit.setting.is_live()
            && !report.stopped;
        if !is_played {
            return Self::default();
        }
        let is_metadata_log = unit.dir.name.as_ref().is_some_and(kraft::is_metadata_log);
        let play = |clean: bool| {
            let mut conditions = StartConditions::new(clean && !is_metadata_log, Timestamp::now().as_millisecond());
            conditions.log_start_offset = unit.surroundings.checkpointed.log_start_offset;
            conditions.recovery_point = unit.surroundings.checkpointed.recovery_point;
            // What cannot be read was told already; then the words of the tables stand.
            predict(&unit.dir, conditions, unit.setting.policy).ok()
        };
        Self { clean: play(true), unclean: play(false), log_end_offset: report.log_end_offset }
    }

    fn words(&self, finding: &Finding) -> AtStart {
        let say = |outcome: &Option<StartOutcome>| {
            findings::start::words(outcome.as_ref()?, KafkaRelease::default(), finding, self.log_end_offset)
        };
        AtStart { clean: say(&self.clean), unclean: say(&self.unclean) }
    }
}

/// How findings are told.
pub(super) struct Telling {
    scope: Scope,
    least: Severity,
    /// Whether a partition's name alone does not tell which is meant.
    by_path: bool,
    /// Those that stand below the table of partitions.
    below: Vec<(String, Finding)>,
}

impl Telling {
    pub(super) fn new(scope: Scope, least: Severity, by_path: bool) -> Self {
        Self { scope, least, by_path, below: Vec::new() }
    }

    /// Tells what was seen of one partition.
    pub(super) fn partition(&mut self, run: &mut Run, unit: &Unit, mut report: PartitionReport) {
        *run.seen.partitions.get_or_insert(0) += 1;
        run.seen.files += unit.dir.files_of(unit.only).count() as u64;
        run.seen.segments += report.segments;
        run.seen.batches += report.batches;
        run.seen.records += report.records;
        run.seen.bytes += report.bytes;
        *run.seen.entries.get_or_insert(0) += report.entries;
        report.findings.retain(|finding| self.is_asked_for(unit, finding));
        count(run, &report.findings);
        if self.scope == Scope::All && run.reporter.format() != Format::Text {
            let name = unit.dir.name.as_ref();
            let out = &mut run.output.buffer;
            overview::judged_partition(&mut run.reporter, out, &unit.dir.path, name, self.by_path, &report);
        }
        let starts = Starts::of(unit, &report);
        self.tell(run, &unit.title(), &unit.dir.path, report.findings, &starts);
    }

    /// Tells what was seen of a log dir itself.
    pub(super) fn log_dir(&mut self, run: &mut Run, path: &Path, findings: Findings) {
        count(run, &findings);
        self.tell(run, "", path, fold::sorted(findings), &Starts::default());
    }

    /// Tells what was seen of a partition before the user stopped it.
    pub(super) fn unfinished(&mut self, run: &mut Run, unit: &Unit, mut findings: Findings) {
        findings.retain(|finding| self.is_asked_for(unit, finding));
        count(run, &findings);
        self.tell(run, &unit.title(), &unit.dir.path, findings, &Starts::default());
    }

    fn is_asked_for(&self, unit: &Unit, finding: &Finding) -> bool {
        // Also of a file that is missing, so not by the list of those that are there.
        let is_of = |segment| {
            let name = finding.path.file_name().and_then(|name| FileName::parse(name.to_str()?));
            name.is_some_and(|name| name.kind.is_segment_file() && name.base_offset == Some(segment))
        };
        unit.only.is_none_or(is_of) && (self.scope == Scope::All || is_about_indexes(finding.id))
    }

    fn tell(&mut self, run: &mut Run, partition: &str, dir: &Path, findings: Findings, starts: &Starts) {
        let mut findings = findings.into_vec();
        findings.retain(|finding| finding.severity >= self.least);
        if self.scope == Scope::All && run.reporter.format() == Format::Table {
            self.below.extend(findings.into_iter().map(|finding| (partition.to_owned(), finding)));
            if self.below.len() > FINDINGS_A_TABLE {
                self.tell_below(run);
            }
            return;
        }
        let dir = path_text(dir);
        let subject = Subject { partition, dir: &dir };
        findings::tell(&mut run.reporter, &mut run.output.buffer, &subject, &findings, |finding| starts.words(finding));
    }

    fn tell_below(&mut self, run: &mut Run) {
        let (reporter, out) = (&mut run.reporter, &mut run.output.buffer);
        if !self.below.is_empty() {
            reporter.words(out, None, b"");
        }
        for (partition, finding) in self.below.drain(..) {
            let subject = Subject { partition: &partition, dir: "" };
            findings::tell(reporter, out, &subject, &[finding], |_| Default::default());
        }
    }

    /// The last lines.
    pub(super) fn finish(&mut self, run: &mut Run) {
        self.tell_below(run);
        let seen = run.seen;
        let Some(partitions) = seen.partitions else { return };
        let shown = |severity: Severity| match severity {
            severity if severity >= self.least => "",
            Severity::Error => "",
            Severity::Warning => ", not shown (--show warning)",
            Severity::Info => ", not shown (--show info)",
        };
        let lines = [
            (counted(seen.errors, "error"), (seen.errors > 0).then_some(Tone::Bad), shown(Severity::Error)),
            (counted(seen.warnings, "warning"), (seen.warnings > 0).then_some(Tone::Caution), shown(Severity::Warning)),
            (counted(seen.infos, "info"), None, shown(Severity::Info)),
        ];
        for (words, tone, shown) in lines {
            let shown = if words.starts_with("0 ") { "" } else { shown };
            run.reporter.words(&mut run.output.buffer, tone, format!("{words}{shown}").as_bytes());
        }
        let looked_at = format!(
            "looked at: {}, {}, {}, {}, {}",
            counted(partitions, "partition"),
            counted(seen.segments, "segment"),
            counted(seen.batches, "batch"),
            counted(seen.entries.unwrap_or(0), "index entry"),
            human_text(seen.bytes),
        );
        run.reporter.words(&mut run.output.buffer, None, looked_at.as_bytes());
    }
}

fn count(run: &mut Run, findings: &Findings) {
    run.seen.errors += findings.count(Severity::Error);
    run.seen.warnings += findings.count(Severity::Warning);
    run.seen.infos += findings.count(Severity::Info);
}

/// Whether a finding is about an index, or about what indexes rest on: the frames and checksums of the batches.
fn is_about_indexes(id: Id) -> bool {
    let (subject, _) = id.name().split_once('/').unwrap_or_default();
    match id {
        Id::LogTornTail
        | Id::LogZeroTail
        | Id::LogChecksumMismatch
        | Id::LogBadLength
        | Id::LogUnknownMagic
        | Id::LogMagicChanged
        | Id::LogTooLarge
        | Id::LogOffsetBelowBase
        | Id::LogOffsetOverflow
        | Id::LogOffsetsNotIncreasing
        | Id::LogRecordsUndecodable
        | Id::LogRecordOffsets
        | Id::LogMaxTimestamp
        | Id::LogBadControlBatch => true,
        _ => matches!(subject, "index" | "timeindex" | "txnindex"),
    }
}
