//! What a broker's start makes of the file that a finding is about, where that was worked out.

use crate::check::Finding;
use crate::format::Offset;
use crate::format::file_name::{FileKind, FileName};
use crate::scan::recover::KafkaRelease;
use crate::scan::start::{DeletedFor, Scope, StartOutcome, What};

/// How words for the usual case begin that also fit where a start does nothing.
const FIT_NOTHING_DONE: [&str; 5] =
    ["not noticed", "the bytes stay", "they stay", "it is ignored", "taken as it stands"];

/// What a start does with the file of a finding, or with its segment. `None` where that is not known better than by
/// `usual`, the words for the usual case.
///
/// `log_end_offset` is where the log really ends.
pub fn words(
    outcome: &StartOutcome,
    release: KafkaRelease,
    finding: &Finding,
    usual: &str,
    log_end_offset: Option<Offset>,
) -> Option<String> {
    let name = finding.path.file_name()?.to_str()?;
    let segment = segment_of(name);
    let mut said = Vec::new();
    let is_about_it = |file: &str| file == name || (segment.is_some() && segment_of(file) == segment);
    for event in outcome.events.iter().filter(|event| is_about_it(&event.file)) {
        let is_itself = event.file == name;
        let words = match &event.what {
            What::Deleted(DeletedFor::BehindCut) => {
                "it is deleted with its segment: batches before it are lost".to_owned()
            }
            What::Deleted(DeletedFor::EndsBelowStart) => "it is deleted with the whole log".to_owned(),
            What::Deleted(_) if is_itself => "it is deleted".to_owned(),
            What::Recovered(_) if is_index(name) => "it is made again from the log".to_owned(),
            What::Cut { to, lost_bytes, .. } => {
                format!("the log is cut at position {to}, {lost_bytes} bytes are lost{}", later_segments(outcome))
            }
            What::Emptied { lost_bytes, .. } => {
                format!("the segment is emptied, {lost_bytes} bytes are lost{}", later_segments(outcome))
            }
            What::Split { into } => format!("the segment is split in {}", into.len()),
            What::EndNotFound => format!(
                "the broker takes offset {} for the end of the log and gives the offsets behind it out again",
                outcome.log_end_offset
            ),
            What::EndsBelowStart { .. } => {
                format!("all segments are deleted, the log begins again at {}", outcome.log_start_offset)
            }
            What::EpochsDropped(epochs) => format!("{} of its entries are dropped", epochs.len()),
            What::EpochAdded(epoch) => {
                format!("an entry for epoch {} at offset {} is added", epoch.epoch, epoch.start_offset)
            }
            _ => continue,
        };
        if !said.contains(&words) {
            said.push(words);
        }
    }
    if let Some(refusal) = &outcome.refusal {
        let consequence = match refusal.scope() {
            Scope::Broker => "the broker does not start",
            Scope::LogDir => "the log dir goes offline; if it is the only one, the broker does not start",
        };
        let exception = refusal.exception(release);
        said.push(match is_about_it(&refusal.file) {
            true => format!("{consequence} ({exception})"),
            false => format!("{consequence} ({exception} over {})", refusal.file),
        });
    } else if !said.is_empty() && log_end_offset.is_some_and(|end| end != outcome.log_end_offset) {
        said.push(format!("the log then ends at offset {}", outcome.log_end_offset));
    }
    if !said.is_empty() {
        return Some(said.join("; "));
    }
    let is_untouched = !outcome.events.iter().any(|event| is_about_it(&event.file));
    let nothing_is_done = is_untouched && !FIT_NOTHING_DONE.iter().any(|words| usual.starts_with(words));
    nothing_is_done.then(|| "not noticed".to_owned())
}

/// The segments that go because a cut is before them.
fn later_segments(outcome: &StartOutcome) -> String {
    let gone = outcome
        .events
        .iter()
        .filter(|event| event.what == What::Deleted(DeletedFor::BehindCut) && event.file.ends_with(".log"));
    match gone.count() {
        0 => String::new(),
        1 => ", and the segment behind it is deleted".to_owned(),
        several => format!(", and the {several} segments behind it are deleted"),
    }
}

fn segment_of(name: &str) -> Option<Offset> {
    FileName::parse(name).filter(|name| name.kind.is_segment_file())?.base_offset
}

fn is_index(name: &str) -> bool {
    let kind = FileName::parse(name).map(|name| name.kind);
    matches!(kind, Some(FileKind::OffsetIndex | FileKind::TimeIndex | FileKind::TxnIndex))
}
