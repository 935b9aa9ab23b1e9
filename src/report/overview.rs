//! Words for partitions and segments at a glance.

use std::path::Path;

use super::log::{self, Damaged, end_words};
use super::reporter::{Format, Reporter};
use super::row::{Field, Row, Value, path, path_text};
use super::size;
use crate::check::Severity;
use crate::check::partition::PartitionReport;
use crate::format::file_name::DirState;
use crate::format::{Offset, Position};
use crate::scan::ScanEnd;
use crate::scan::overview::{Flaw, PartitionFacts, SegmentFacts};
use crate::store::StoreError;
use crate::store::partition::PartitionName;

/// One partition: its directory and what is known of it.
pub fn partition(
    reporter: &mut Reporter,
    out: &mut Vec<u8>,
    dir: &Path,
    name: Option<&PartitionName>,
    facts: &PartitionFacts,
) {
    // The directory's own name, so that it can be found again; of `.` and of links, what they lead to.
    let shown = name.map_or_else(|| dir.file_name().map_or(dir, Path::new).to_owned(), |name| name.to_string().into());
    let mut title = Vec::new();
    path(&mut title, &shown);
    let title = String::from_utf8_lossy(&title);
    let mut notes = Vec::from_iter(name.and_then(|name| state_words(name.state)).map(str::to_owned));
    if facts.segments == 0 {
        notes.push("no segments".to_owned());
    }
    let is_narrow = reporter.is_narrow_table();
    // There is no room for names of files; `check` has them.
    notes.extend(facts.flaws.iter().map(|flaw| flaw_words(flaw, !is_narrow)));
    notes.extend(unreadable_words(&facts.unreadable));
    let notes = notes.join("; ");
    let dir = path_text(dir);
    let fields = [
        Field::json_only("dir", Value::Word(&dir)),
        Field::json_only("topic", name.map_or(Value::Absent, |name| Value::Word(&name.topic))),
        Field::json_only("partition", Value::or_absent(name.map(|name| name.partition))),
        Field::json_only("state", name.and_then(|name| state_name(name.state)).map_or(Value::Absent, Value::Word)),
        Field::people_only("partition", "", Value::Word(&title)),
        Field::if_roomy(is_narrow, "segments", "segments", Value::Unsigned(facts.segments)),
        Field::new("sizeInBytes", "size", Value::Size(facts.size_in_bytes)),
        Field::if_roomy(is_narrow, "logStartOffset", "log start", offset(facts.log_start_offset)),
        Field::new("highWatermark", "high watermark", offset(facts.high_watermark)),
        Field::json_only("recoveryPoint", offset(facts.recovery_point)),
        Field::new("logEndOffset", "log end", offset(facts.log_end_offset)),
        Field::if_roomy(is_narrow, "firstTimestamp", "first timestamp", Value::time_or_absent(facts.first_timestamp)),
        Field::if_roomy(is_narrow, "lastTimestamp", "last timestamp", Value::time_or_absent(facts.last_timestamp)),
        Field::if_roomy(is_narrow, "latestEpoch", "epoch", Value::or_absent(facts.latest_epoch)),
        Field::new("note", "note", note(&notes)),
    ];
    reporter.row(out, &Row::new("partition", &fields));
}

/// One partition that was checked: what is known of it, and how much is wrong. `by_path` says whether people need more
/// than its name to know which is meant.
pub fn judged_partition(
    reporter: &mut Reporter,
    out: &mut Vec<u8>,
    dir: &Path,
    name: Option<&PartitionName>,
    by_path: bool,
    report: &PartitionReport,
) {
    let title = match (by_path, name) {
        (false, Some(name)) => name.to_string(),
        _ => path_text(dir),
    };
    let dir = path_text(dir);
    let is_narrow = reporter.is_narrow_table();
    let fields = [
        Field::json_only("dir", Value::Word(&dir)),
        Field::json_only("topic", name.map_or(Value::Absent, |name| Value::Word(&name.topic))),
        Field::json_only("partition", Value::or_absent(name.map(|name| name.partition))),
        Field::json_only("state", name.and_then(|name| state_name(name.state)).map_or(Value::Absent, Value::Word)),
        Field::people_only("partition", "", Value::Text(&title)),
        Field::if_roomy(is_narrow, "segments", "segments", Value::Unsigned(report.segments)),
        Field::new("sizeInBytes", "size", Value::Size(report.size_in_bytes)),
        Field::new("logStartOffset", "log start", offset(report.log_start_offset)),
        Field::if_roomy(is_narrow, "highWatermark", "high watermark", offset(report.high_watermark)),
        Field::new("logEndOffset", "log end", offset(report.log_end_offset)),
        Field::if_roomy(is_narrow, "lastTimestamp", "last timestamp", Value::time_or_absent(report.last_timestamp)),
        Field::if_roomy(is_narrow, "latestEpoch", "epoch", Value::or_absent(report.latest_epoch)),
        Field::new("errors", "errors", Value::Unsigned(report.count(Severity::Error))),
        Field::new("warnings", "warnings", Value::Unsigned(report.count(Severity::Warning))),
    ];
    reporter.row(out, &Row::new("partition", &fields));
}

/// One segment of the partition in `dir`.
pub fn segment(reporter: &mut Reporter, out: &mut Vec<u8>, dir: &Path, facts: &SegmentFacts) {
    let mut notes: Vec<_> = facts.flaws.iter().map(|flaw| flaw_words(flaw, false)).collect();
    notes.extend(unreadable_words(&facts.unreadable));
    let notes = notes.join("; ");
    let dir = path_text(dir);
    let entries = |count: Option<u64>| count.map_or(Value::Absent, Value::Unsigned);
    let is_narrow = reporter.is_narrow_table();
    let fields = [
        Field::json_only("dir", Value::Word(&dir)),
        Field::new("baseOffset", "base offset", Value::Int(facts.base_offset.0)),
        Field::new("lastOffset", "last offset", offset(facts.last_offset)),
        Field::new("sizeInBytes", "size", Value::Size(facts.size_in_bytes)),
        Field::if_roomy(is_narrow, "firstTimestamp", "first timestamp", Value::time_or_absent(facts.first_timestamp)),
        Field::new("maxTimestamp", "max timestamp", Value::time_or_absent(facts.max_timestamp)),
        Field::if_roomy(is_narrow, "offsetIndexEntries", "index entries", entries(facts.offset_index_entries)),
        Field::if_roomy(is_narrow, "timeIndexEntries", "time index entries", entries(facts.time_index_entries)),
        Field::new("note", "note", note(&notes)),
    ];
    reporter.row(out, &Row::new("segment", &fields));
}

/// For machines, what is wrong in the files: a line each. People have read it in the note.
pub fn flaws(reporter: &mut Reporter, out: &mut Vec<u8>, flaws: &[Flaw]) {
    if reporter.format() != Format::Json {
        return;
    }
    for flaw in flaws {
        match flaw {
            Flaw::Log { path, end, .. } => {
                let (file, words) = (path_text(path), end_words(end));
                if let Some(line) = Damaged::of_end(&file, end, &words) {
                    log::damaged(reporter, out, &line);
                }
            }
            Flaw::LeaderEpochs { path, error } => unreadable_lines(reporter, out, path, error.position, error),
            // What numbers of the partition's own line say.
            Flaw::NoLog { .. } | Flaw::LogStartBeyondEnd | Flaw::HighWatermarkBeyondEnd => {}
        }
    }
}

/// A checkpoint of which only some lines could be used.
pub fn damaged_checkpoint(
    reporter: &mut Reporter,
    out: &mut Vec<u8>,
    file: &Path,
    error: &crate::format::offset_checkpoint::CheckpointError,
) {
    let mut words = Vec::new();
    path(&mut words, file);
    words.extend_from_slice(format!(": {error}; the lines that can be read are used").as_bytes());
    reporter.words(out, None, &words);
    if reporter.format() == Format::Json {
        unreadable_lines(reporter, out, file, error.position, error);
    }
}

fn unreadable_lines(
    reporter: &mut Reporter,
    out: &mut Vec<u8>,
    file: &Path,
    position: Position,
    error: &crate::format::offset_checkpoint::CheckpointError,
) {
    let (file, words) = (path_text(file), error.to_string());
    let fields = [
        Field::json_only("file", Value::Word(&file)),
        Field::json_only("position", Value::Unsigned(position.0)),
        Field::json_only("reason", Value::Word("unreadableLine")),
        Field::json_only("message", Value::Text(&words)),
    ];
    reporter.row(out, &Row::new("damaged", &fields));
}

/// What was shown, in one line.
pub fn total(reporter: &mut Reporter, out: &mut Vec<u8>, partitions: u64, segments: u64, size_in_bytes: u64) {
    let mut line = String::new();
    if partitions > 0 {
        line = format!("{}, ", counted(partitions, "partition"));
    }
    line = format!("{line}{}, {}", counted(segments, "segment"), size::human_text(size_in_bytes));
    reporter.words(out, None, line.as_bytes());
}

fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn offset(offset: Option<Offset>) -> Value<'static> {
    Value::or_absent(offset.map(|offset| offset.0))
}

fn note(notes: &str) -> Value<'_> {
    if notes.is_empty() { Value::Absent } else { Value::Text(notes) }
}

fn state_name(state: DirState) -> Option<&'static str> {
    state.suffix().strip_prefix('-')
}

fn state_words(state: DirState) -> Option<&'static str> {
    match state {
        DirState::Current => None,
        DirState::Delete => Some("waits for deletion"),
        DirState::Future => Some("is being moved here"),
        DirState::Stray => Some("set aside as not this broker's"),
    }
}

/// What is wrong, in a few words; `names_segment` where the reader cannot know which segment is meant.
fn flaw_words(flaw: &Flaw, names_segment: bool) -> String {
    match flaw {
        Flaw::Log { path, end, .. } => {
            let mut words = match end {
                ScanEnd::TornTail { length, .. } => format!("torn tail of {length} B"),
                ScanEnd::ZeroFill { length, .. } => format!("{length} zero bytes at the end"),
                ScanEnd::Damaged(damage) => format!("damaged at {}", damage.position),
                ScanEnd::CleanEof | ScanEnd::Stopped => String::new(),
            };
            if let Some(file) = path.file_name().filter(|_| names_segment) {
                words = format!("{words} in {}", path_text(Path::new(file)));
            }
            words
        }
        Flaw::NoLog { .. } if !names_segment => "no .log file".to_owned(),
        Flaw::NoLog { base_offset } => format!("segment {base_offset} has no .log file"),
        Flaw::LogStartBeyondEnd => "log start beyond the log end".to_owned(),
        Flaw::HighWatermarkBeyondEnd => "high watermark beyond the log end".to_owned(),
        Flaw::LeaderEpochs { error, .. } => format!("leader-epoch-checkpoint {error}"),
    }
}

fn unreadable_words(errors: &[StoreError]) -> Option<String> {
    match errors {
        [] => None,
        [_] => Some("a file could not be read".to_owned()),
        more => Some(format!("{} files could not be read", more.len())),
    }
}
