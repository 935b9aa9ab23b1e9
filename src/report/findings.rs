//! Findings in words: what was seen, what a broker makes of it, what readers suffer, what mends it.
//!
//! The sentences are in the tables of [`words`]; what differs from finding to finding comes from its details.

mod render;
pub mod start;
mod words;

use std::path::Path;

use jiff::tz::TimeZone;

use super::json;
use super::reporter::{Format, Reporter, Tone};
use super::row::{Field, Row, Value, path, path_text};
use crate::check::kraft::METADATA_DIRECTORY;
use crate::check::{Detail, Finding, Id, Place, Repair, Severity};
use crate::store::shell::quoted;
use render::TOGETHER;
pub use render::message;
pub use words::{Mend, Words, words};

/// What findings are about.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The partition's name, or its path where it has none; empty where it is the log dir.
    pub partition: &'a str,
    /// Its directory, for commands that are shown.
    pub dir: &'a str,
}

/// What a broker's start makes of the file that a finding is about, worked out for this very partition. Where it was not
/// worked out, the words of the tables stand, which are about the usual case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AtStart {
    /// After the broker was stopped in order.
    pub clean: Option<String>,
    /// After a crash.
    pub unclean: Option<String>,
}

/// The name of a severity.
pub fn severity_name(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "info",
    }
}

/// The name of what mending takes.
pub fn repair_name(repair: Repair) -> &'static str {
    match repair {
        Repair::Safe => "safe",
        Repair::Lossy => "lossy",
        Repair::None => "none",
    }
}

/// Tells the findings of one partition; those of one file stand one behind the other. `at_start` says what starting
/// brokers make of the file of a finding.
pub fn tell(
    reporter: &mut Reporter,
    out: &mut Vec<u8>,
    subject: &Subject<'_>,
    findings: &[Finding],
    at_start: impl Fn(&Finding) -> AtStart,
) {
    let mut told = Told::default();
    let is_cut = |finding: &Finding| finding.repair == Repair::Lossy && finding.severity > Severity::Info;
    let first_cut = findings.iter().position(is_cut);
    let magic = findings.iter().position(|finding| finding.id == Id::LogMagicChanged);
    let instead_of_a_cut = |at: usize| match magic {
        Some(magic) if magic < at => Some("mend the magic of the batch before it first, then check again"),
        _ if first_cut == Some(at) => None,
        _ => Some("the cut that is needed for the damage before it takes this too"),
    };
    for (at, finding) in findings.iter().enumerate() {
        let words = words(finding.id);
        let at_start = at_start(finding);
        let known = finding.details.iter().find_map(|(name, detail)| match detail {
            Detail::Text(at_start) if *name == "atStart" => render::at_start_words(at_start),
            _ => None,
        });
        let usual = words::of(finding);
        let mend = mend(finding, words, subject, instead_of_a_cut(at));
        let clean = at_start.clean.as_deref().or(known).unwrap_or(usual.clean);
        let unclean = at_start.unclean.as_deref().or(known).unwrap_or(usual.unclean);
        let mut lines = Vec::new();
        if reporter.format() == Format::Text {
            if at == 0 || findings.get(at - 1).is_none_or(|before| before.path != finding.path) {
                reporter.toned(&mut lines, Tone::Heading, |lines| path(lines, &finding.path));
                lines.push(b'\n');
            }
            first_lines(reporter, &mut lines, finding);
            let is_last_of_kind =
                findings.get(at + 1).is_none_or(|next| (next.id, &next.path) != (finding.id, &finding.path));
            if is_last_of_kind {
                // What a command mends is said once for the partition.
                let mend = if mend.starts_with("kfsck ") { "" } else { &mend };
                told.explain(reporter, &mut lines, words.what, &[usual.readers, clean, unclean, mend]);
            }
            lines.pop();
        }
        row(reporter, out, subject, finding, [usual.readers, clean, unclean, &mend], &lines);
    }
    if reporter.format() == Format::Text {
        for command in [REBUILD_INDEX, TRUNCATE] {
            let shown = format!("kfsck {command} {}", quoted(Path::new(subject.dir)));
            let is_mended_by = |(at, finding): (usize, &Finding)| {
                mend(finding, words(finding.id), subject, instead_of_a_cut(at)) == shown
            };
            if findings.iter().enumerate().any(is_mended_by) {
                let line = format!("To see the repair: {shown}");
                reporter.words(out, None, line.as_bytes());
            }
        }
        if !findings.is_empty() {
            reporter.words(out, None, b"");
        }
    }
}

/// The command that makes indexes again.
pub const REBUILD_INDEX: &str = "rebuild-index";
/// The command that cuts what cannot be read.
pub const TRUNCATE: &str = "truncate-to-hw --to intact-end";
/// The command that cuts a batch and all behind it off.
pub const CUT_BEFORE: &str = "truncate-to-hw --to OFFSET";

fn row(
    reporter: &mut Reporter,
    out: &mut Vec<u8>,
    subject: &Subject<'_>,
    finding: &Finding,
    [readers, clean, unclean, mend]: [&str; 4],
    lines: &[u8],
) {
    let Place { position, length, slot, offset } = finding.place;
    let unsigned = |value: Option<u64>| value.map_or(Value::Absent, Value::Unsigned);
    let is_json = reporter.format() == Format::Json;
    let message = if is_json { message(finding, &TimeZone::UTC) } else { message(finding, reporter.zone()) };
    let mut details = Vec::new();
    json_details(&mut details, finding);
    let details = String::from_utf8_lossy(&details);
    let file = path_text(&finding.path);
    let place = place_words(finding);
    let partition = if subject.partition.is_empty() { Value::Absent } else { Value::Text(subject.partition) };
    let more = finding.more;
    let is_narrow = reporter.is_narrow_table();
    let mut message_of_table = if more > 0 { format!("{message} (and {more} more)") } else { message.clone() };
    if is_narrow {
        // Where it is stands before what it is: a column of its own for each has no room.
        let place = if place.is_empty() { String::new() } else { format!(", {place}") };
        message_of_table = format!("{}{place}: {message_of_table}", short_path(finding));
    }
    let people = |key, label, value| match is_json {
        true => Field::json_only(key, Value::Absent),
        false => Field::people_only(key, label, value),
    };
    let if_roomy = |key, label, value| match is_narrow {
        true => Field::json_only(key, value),
        false => Field::new(key, label, value),
    };
    let fields = [
        people("severity", "severity", Value::Word(severity_name(finding.severity))),
        Field::new("id", "finding", Value::Word(finding.id.name())),
        Field::json_only("severity", Value::Word(severity_name(finding.severity))),
        Field::json_only("partition", partition),
        if_roomy("file", "file", Value::Text(&file)),
        match is_narrow {
            true => Field::json_only("place", Value::Absent),
            false => people("place", "place", if place.is_empty() { Value::Absent } else { Value::Word(&place) }),
        },
        Field::json_only("position", unsigned(position.map(|position| position.0))),
        Field::json_only("length", unsigned(length)),
        Field::json_only("slot", unsigned(slot)),
        Field::json_only("offset", Value::or_absent(offset.map(|offset| offset.0))),
        people("message", "what", Value::Text(&message_of_table)),
        if_roomy("repair", "repair", Value::Word(repair_name(finding.repair))),
        Field::json_only("message", Value::Text(&message)),
        Field::json_only("readers", Value::Text(readers)),
        Field::json_only("atCleanStart", Value::Text(clean)),
        Field::json_only("atUncleanStart", Value::Text(unclean)),
        Field::json_only("mend", Value::Text(mend)),
        Field::json_only("more", if more > 0 { Value::Unsigned(more) } else { Value::Absent }),
        Field::json_only("details", Value::Json(&details)),
    ];
    let mut row = Row::new("finding", &fields);
    row.text = (!is_json).then_some(lines);
    reporter.row(out, &row);
}

const NOTHING: &str = "nothing needs to be done";

/// What mends a finding. Where intact batches lie behind the damage, they go with it or the damage stays; and whatever
/// cuts the first damage of a partition takes all behind it too, so that something else may be advised instead of a cut.
fn mend(finding: &Finding, words: &Words, subject: &Subject<'_>, instead_of_a_cut: Option<&str>) -> String {
    let dir = quoted(Path::new(subject.dir));
    match words.mend {
        Mend::Command(_) if finding.repair == Repair::None || finding.severity == Severity::Info => NOTHING.to_owned(),
        Mend::Command(TRUNCATE | CUT_BEFORE) if subject.partition == METADATA_DIRECTORY => {
            format!("copy {METADATA_DIRECTORY} from another controller")
        }
        Mend::Command(TRUNCATE | CUT_BEFORE) if instead_of_a_cut.is_some() => {
            instead_of_a_cut.unwrap_or_default().to_owned()
        }
        Mend::Command(command) if command == CUT_BEFORE || (command == TRUNCATE && is_followed(finding)) => {
            let target = finding.place.offset.map_or("OFFSET".to_owned(), |offset| offset.to_string());
            format!(
                "copy the partition from a replica that has these bytes intact; else kfsck truncate-to-hw --to {target} \
                 {dir} cuts off everything from here on"
            )
        }
        Mend::Command(command) => format!("kfsck {command} {dir}"),
        Mend::ByHand(how) => words::by_hand(finding).unwrap_or(how).to_owned(),
    }
}

/// Whether intact batches lie behind the damage, in the same log or in a later one.
fn is_followed(finding: &Finding) -> bool {
    finding.int("isNewest") == Some(0) || finding.details.iter().any(|(name, _)| *name == "nextIntactPosition")
}

/// `error  index/position-past-end  entry 3 (bytes 24..32): position 99000000, the log ends at 65536  repair: safe`
fn first_lines(reporter: &Reporter, lines: &mut Vec<u8>, finding: &Finding) {
    let severity = severity_name(finding.severity);
    let mut head = Vec::new();
    match finding.severity {
        Severity::Error => reporter.toned(&mut head, Tone::Bad, |head| head.extend_from_slice(severity.as_bytes())),
        Severity::Warning => {
            reporter.toned(&mut head, Tone::Caution, |head| head.extend_from_slice(severity.as_bytes()));
        }
        Severity::Info => head.extend_from_slice(severity.as_bytes()),
    }
    let place = place_words(finding);
    let colon = if place.is_empty() { "" } else { ": " };
    let mut words = format!("{}  {place}{colon}{}", finding.id.name(), message(finding, reporter.zone()));
    if finding.more > 0 {
        words.push_str(&format!(", and {} more like it", finding.more));
    }
    words.push_str(&format!("  repair:{TOGETHER}{}", repair_name(finding.repair)));
    lines.extend_from_slice(b"  ");
    lines.extend_from_slice(&head);
    lines.extend_from_slice(b"  ");
    let taken = 4 + severity.len();
    render::wrapped(lines, &words, taken, 9, reporter.width());
}

/// What of the explanations was said already: a reader of a partition's findings needs each once.
#[derive(Default)]
struct Told(std::collections::HashSet<(&'static str, String)>);

impl Told {
    fn explain(&mut self, reporter: &Reporter, lines: &mut Vec<u8>, what: &'static str, said: &[&str; 4]) {
        let [readers, clean, unclean, mend] = *said;
        let explanation = [
            ("readers", readers),
            (if clean == unclean { "at a start" } else { "clean start" }, clean),
            ("unclean start", if clean == unclean { "" } else { unclean }),
            ("mend", mend),
        ];
        let all = explanation.map(|(_, said)| said).join("\n");
        if !self.0.insert((what, all)) {
            return;
        }
        for (label, said) in explanation.iter().filter(|(_, said)| !said.is_empty()) {
            lines.extend_from_slice(format!("         {label:<13}  ").as_bytes());
            render::wrapped(lines, said, 24, 24, reporter.width());
        }
    }
}

/// The file with its directory's name.
fn short_path(finding: &Finding) -> String {
    let last = |path: &Path| path.file_name().map(Path::new).map(path_text).unwrap_or_default();
    match finding.path.parent().map(last) {
        Some(dir) if !dir.is_empty() => format!("{dir}/{}", last(&finding.path)),
        _ => last(&finding.path),
    }
}

/// Where in the file: `entry 3 (bytes 24..32)`.
fn place_words(finding: &Finding) -> String {
    let Place { position, length, slot, offset } = finding.place;
    let bytes = match (position, length) {
        (Some(position), Some(length)) if length > 0 => {
            Some(format!("bytes {position}..{}", position.0.saturating_add(length)))
        }
        (Some(position), _) => Some(format!("byte {position}")),
        _ => None,
    };
    let offset = offset.map(|offset| format!("offset {offset}"));
    match (slot, bytes, offset) {
        (Some(slot), Some(bytes), _) => format!("entry {slot} ({bytes})"),
        (Some(slot), None, _) => format!("entry {slot}"),
        (None, Some(bytes), Some(offset)) => format!("{offset} ({bytes})"),
        (None, Some(bytes), None) => bytes,
        (None, None, offset) => offset.unwrap_or_default(),
    }
}

fn json_details(out: &mut Vec<u8>, finding: &Finding) {
    out.push(b'{');
    for (at, (name, detail)) in finding.details.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        json::string(out, name);
        out.push(b':');
        match detail {
            Detail::Int(value) | Detail::Time(value) => json::int(out, *value),
            Detail::Unsigned(value) => json::int(out, *value),
            Detail::Text(value) => json::string(out, value),
        }
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests;
