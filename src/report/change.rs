//! Words and rows for plans, for what was done, and for undo data.

use std::path::Path;

use super::reporter::{Reporter, Tone};
use super::row::{Field, Row, Value, path_text};
use super::{json, text};
use crate::repair::plan::{Loss, Plan, Step};
use crate::repair::rebuild::{Remark, Stop, Why};
use crate::store::partition::PartitionName;

/// How long lines of words are at most, in columns.
const LINE_WIDTH: usize = 80;

/// What a plan is shown with.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlanWords<'a> {
    /// What the change aims at, and what was found on the way, a line each.
    pub before: &'a [String],
    /// What is lost besides and what is left, a line each.
    pub after: &'a [String],
    /// The same for JSON.
    pub fields: &'a [Field<'a>],
    /// What is lost, as JSON, where that is more than the plan says.
    pub loses: Option<&'a str>,
    /// Why each step is taken, in the order of the steps; may be shorter.
    pub why: &'a [String],
    /// What is to be known besides, a sentence each.
    pub remarks: &'a [String],
}

/// Appends a plan: one object in JSON, a paragraph for people.
pub fn plan(reporter: &mut Reporter, out: &mut Vec<u8>, plan: &Plan, words: PlanWords<'_>) {
    let digest = plan.digest();
    let (steps, remarks) = (steps_json(plan, words.why), strings_json(words.remarks));
    let loses = words.loses.map_or_else(|| loss_json(&plan.loses), str::to_owned);
    let (partition, dir) = name_and_dir(&plan.partition);
    let mut fields = vec![
        Field::json_only("partition", Value::Text(&partition)),
        Field::json_only("dir", Value::Text(&dir)),
        Field::json_only("action", Value::Word(&plan.action)),
        Field::json_only("digest", Value::Word(&digest)),
        Field::json_only("steps", Value::Json(&steps)),
        Field::json_only("loses", Value::Json(&loses)),
        Field::json_only("remarks", Value::Json(&remarks)),
    ];
    fields.extend_from_slice(words.fields);
    if reporter.format() == super::reporter::Format::Json {
        return reporter.row(out, &Row::new("plan", &fields));
    }
    let mut line = Vec::new();
    super::row::path(&mut line, &plan.partition);
    reporter.words(out, Some(Tone::Heading), &line);
    words.before.iter().for_each(|line| reporter.words(out, None, line.as_bytes()));
    for (at, step) in plan.steps.iter().enumerate() {
        let why = words.why.get(at).map(String::as_str).unwrap_or_default();
        reporter.words(out, None, step_words(step, &plan.partition, why).as_bytes());
    }
    if !plan.loses.is_nothing() {
        reporter.words(out, Some(Tone::Bad), format!("  lost: {}", loss_words(&plan.loses)).as_bytes());
    }
    words.after.iter().for_each(|line| reporter.words(out, None, line.as_bytes()));
    for remark in words.remarks {
        note(reporter, out, remark);
    }
    reporter.words(out, None, format!("  plan {digest}: {}", counted(plan.steps.len(), "step")).as_bytes());
}

/// Appends a remark, in lines that fit into a terminal.
pub fn note(reporter: &mut Reporter, out: &mut Vec<u8>, remark: &str) {
    let mut escaped = Vec::new();
    text::escaped(&mut escaped, remark.as_bytes());
    reporter.words(out, None, wrapped("  note: ", &String::from_utf8_lossy(&escaped)).as_bytes());
}

/// Words in lines that fit into a terminal, as far as words can be parted; the first one begins with `label`.
pub(super) fn wrapped(label: &str, words: &str) -> String {
    let mut out = String::new();
    let mut line = label.to_owned();
    for (at, word) in words.split(' ').enumerate() {
        if at > 0 && line.chars().count() + 1 + word.chars().count() > LINE_WIDTH {
            out.push_str(&line);
            out.push('\n');
            line = " ".repeat(label.len());
        } else if at > 0 {
            line.push(' ');
        }
        line.push_str(word);
    }
    out + &line
}

/// Appends that a plan was done, the command that takes it back, and that which shows the records that were cut off.
pub fn applied(
    reporter: &mut Reporter,
    out: &mut Vec<u8>,
    plan: &Plan,
    undo_command: &str,
    read_command: Option<&str>,
) {
    let ((partition, dir), digest) = (name_and_dir(&plan.partition), plan.digest());
    let fields = [
        Field::json_only("partition", Value::Text(&partition)),
        Field::json_only("dir", Value::Text(&dir)),
        Field::json_only("digest", Value::Word(&digest)),
        Field::json_only("steps", Value::Unsigned(plan.steps.len() as u64)),
        Field::json_only("undoCommand", Value::Word(undo_command)),
    ];
    if reporter.format() == super::reporter::Format::Json {
        return reporter.row(out, &Row::new("applied", &fields));
    }
    reporter.words(out, None, format!("  done; to take it back:\n    {undo_command}").as_bytes());
    if let Some(command) = read_command {
        reporter.words(out, None, format!("  to read what was cut off:\n    {command}").as_bytes());
    }
}

/// Appends the commands that take several changes back, the newest first: they may share files.
pub fn how_to_take_back(reporter: &mut Reporter, out: &mut Vec<u8>, undo_commands: &[String]) {
    if undo_commands.len() < 2 || reporter.format() == super::reporter::Format::Json {
        return;
    }
    reporter.words(out, None, b"to take all of it back, newest first:");
    undo_commands.iter().rev().for_each(|command| reporter.words(out, None, format!("  {command}").as_bytes()));
}

/// What is known of undo data.
#[derive(Clone, Copy, Debug)]
pub struct UndoWords<'a> {
    /// The partition.
    pub partition: &'a Path,
    /// The directory with the undo data.
    pub undo_dir: &'a Path,
    /// `finished`, `interrupted`, `prepared`, `discarding`, or `unreadable`.
    pub state: &'a str,
    /// The change, where it was begun.
    pub plan: Option<&'a Plan>,
    /// What comes of it now: `kept`, `restores`, `restored`, `discards`, `discarded`.
    pub outcome: &'a str,
}

/// Appends a line about undo data.
pub fn undo(reporter: &mut Reporter, out: &mut Vec<u8>, undo: UndoWords<'_>) {
    let ((partition, dir), undo_dir) = (name_and_dir(undo.partition), path_text(undo.undo_dir));
    let digest = undo.plan.map(Plan::digest);
    let steps = undo.plan.map(|plan| steps_json(plan, &[]));
    let fields = [
        Field::json_only("partition", Value::Text(&partition)),
        Field::json_only("dir", Value::Text(&dir)),
        Field::new("undoDir", "", Value::Word(&undo_dir)),
        Field::new("state", "", Value::Word(undo.state)),
        Field::new("action", "", undo.plan.map_or(Value::Absent, |plan| Value::Word(&plan.action))),
        Field::json_only("digest", digest.as_deref().map_or(Value::Absent, Value::Word)),
        Field::json_only("steps", steps.as_deref().map_or(Value::Absent, Value::Json)),
        Field::new("outcome", "", Value::Word(undo.outcome)),
    ];
    let mut words = Vec::new();
    super::row::path(&mut words, undo.undo_dir);
    let files = undo.plan.map(|plan| format!("{} of {}, ", counted(plan.steps.len(), "file"), plan.action));
    words.extend_from_slice(format!(": {}{}", files.unwrap_or_default(), undo_sentence(&undo)).as_bytes());
    let row = Row { kind: "undo", fields: &fields, text: Some(&words), tone: None };
    reporter.row(out, &row);
}

fn undo_sentence(undo: &UndoWords<'_>) -> &'static str {
    match (undo.outcome, undo.state) {
        ("restored" | "discarded", "discarding") => "the rest of it is removed",
        ("restores" | "discards", "discarding") => "not needed any more; to be removed",
        ("restored", _) => "as it was before",
        ("discarded", "prepared") => "removed: nothing had been changed",
        ("discarded", "interrupted") => "removed: what was done of the change stays",
        ("discarded", "unreadable") => "removed: what it kept is gone",
        ("discarded", _) => "removed: the change stays",
        ("restores", "prepared") => "nothing was changed yet; to be removed",
        ("restores", "interrupted") => "interrupted; to be rolled back",
        ("restores", _) => "to be brought back as it was before",
        ("discards", "prepared") => "nothing was changed yet; to be removed",
        ("discards", "interrupted") => "to be removed: what was done of the change stays for good",
        ("discards", "unreadable") => "to be removed: what it keeps is gone for good",
        ("discards", _) => "to be removed: the change stays for good",
        (_, "prepared") => "nothing was changed yet",
        (_, "interrupted") => "interrupted",
        (_, "discarding") => "not needed any more",
        (_, "unreadable") => "cannot be read",
        _ => "done, kept to be taken back",
    }
}

/// What a partition is called (its path, where that is no partition's name), and the path.
pub fn name_and_dir(partition: &Path) -> (String, String) {
    let dir = path_text(partition);
    let name = PartitionName::of_directory(partition).map_or_else(|| dir.clone(), |name| name.to_string());
    (name, dir)
}

/// Why a file is made again, in words.
pub fn why(why: &Why) -> String {
    match why {
        Why::Missing => "is not there".to_owned(),
        Why::Found(ids) if ids.is_empty() => String::new(),
        Why::Found(ids) => ids.iter().map(|id| id.name()).collect::<Vec<_>>().join(", "),
    }
}

/// A remark about a rebuild, in words.
pub fn remark(remark: &Remark) -> String {
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    match remark {
        Remark::Stops { log, position, first_offset, last_offset, why } => {
            let why = match why {
                Stop::Damage => "the log is damaged there".to_owned(),
                Stop::Batch(escape) => escape.to_string(),
                Stop::Marker(error) => format!("a control batch cannot be read: {error}"),
            };
            let reach = match last_offset {
                Some(last) => format!("offsets {first_offset} to {last} stay out of their reach"),
                None => "no intact batch follows".to_owned(),
            };
            format!("indexes of {} end at position {position} ({why}); {reach}. The log is not cut", name(log))
        }
        Remark::Full { log, left_out } => format!(
            "indexes of {} have no room for {}: offsets there are found by reading on; see --segment-index-bytes",
            name(log),
            counted(usize::try_from(*left_out).unwrap_or(usize::MAX), "more entry")
        ),
        Remark::TxnsUnknown { log, why } => {
            format!("the transaction index of {} stays as it is: {why}", name(log))
        }
        Remark::TxnsKept { log, entries } => format!(
            "the log does not say all about the transactions of {}: {} of the old index kept",
            name(log),
            counted(usize::try_from(*entries).unwrap_or(usize::MAX), "entry")
        ),
        Remark::Live { log } => format!("{} is left alone: a broker is writing to it", name(log)),
        Remark::NotCanonical { log } => {
            format!("{} is left alone: brokers open no log of that name", name(log))
        }
    }
}

/// What is lost, in words.
pub fn loss_words(loss: &Loss) -> String {
    let offsets = match (loss.first_offset, loss.last_offset) {
        (Some(first), Some(last)) => format!(", offsets {first} to {last}"),
        _ => String::new(),
    };
    let count = |number: u64, noun| counted(usize::try_from(number).unwrap_or(usize::MAX), noun);
    if loss.batches == 0 {
        return format!("no record that can be read, {}", count(loss.bytes, "byte"));
    }
    let (records, batches) = (count(loss.records, "record"), count(loss.batches, "batch"));
    format!("{records} in {batches}, {}{offsets}", count(loss.bytes, "byte"))
}

fn step_words(step: &Step, partition: &Path, why: &str) -> String {
    let file = step.file().strip_prefix(partition).unwrap_or(step.file());
    let mut words = match step {
        Step::Replace { old: None, .. } => "  make     ",
        Step::Replace { .. } => "  replace  ",
        Step::Remove { .. } => "  remove   ",
        Step::CutTail { .. } => "  cut      ",
    }
    .to_owned();
    let mut name = Vec::new();
    super::row::path(&mut name, file);
    words.push_str(&String::from_utf8_lossy(&name));
    let sizes = match step {
        Step::Replace { old: None, new, .. } => format!("{} bytes", new.size_in_bytes),
        Step::Replace { old: Some(old), new, .. } if old.id.size_in_bytes == new.size_in_bytes => {
            format!("{} bytes", new.size_in_bytes)
        }
        Step::Replace { old: Some(old), new, .. } => format!("{} -> {} bytes", old.id.size_in_bytes, new.size_in_bytes),
        Step::Remove { old, .. } => format!("{} bytes", old.id.size_in_bytes),
        Step::CutTail { old, to, .. } => format!("{} -> {to} bytes", old.id.size_in_bytes),
    };
    words.push_str(&format!("  {sizes}"));
    if !why.is_empty() {
        words.push_str(&format!("  ({why})"));
    }
    words
}

fn steps_json(plan: &Plan, why: &[String]) -> String {
    let mut out = b"[".to_vec();
    for (at, step) in plan.steps.iter().enumerate() {
        let size = |step: &Step| step.old().map(|old| old.id.size_in_bytes);
        let (op, new_size) = match step {
            Step::Replace { old: None, new, .. } => ("make", Some(new.size_in_bytes)),
            Step::Replace { new, .. } => ("replace", Some(new.size_in_bytes)),
            Step::Remove { .. } => ("remove", None),
            Step::CutTail { to, .. } => ("cut", Some(*to)),
        };
        out.extend_from_slice(if at == 0 { b"{\"op\":" } else { b",{\"op\":" });
        json::string(&mut out, op);
        out.extend_from_slice(b",\"file\":");
        json::string(&mut out, &path_text(step.file()));
        for (key, value) in [("oldSizeInBytes", size(step)), ("newSizeInBytes", new_size)] {
            if let Some(value) = value {
                out.extend_from_slice(format!(",\"{key}\":{value}").as_bytes());
            }
        }
        if let Some(why) = why.get(at).filter(|why| !why.is_empty()) {
            out.extend_from_slice(b",\"why\":");
            json::string(&mut out, why);
        }
        out.push(b'}');
    }
    out.push(b']');
    String::from_utf8(out).unwrap_or_default()
}

pub(super) fn loss_json(loss: &Loss) -> String {
    serde_json::to_string(loss).unwrap_or_default()
}

fn strings_json(strings: &[String]) -> String {
    serde_json::to_string(strings).unwrap_or_default()
}

pub(super) fn counted(number: usize, noun: &str) -> String {
    match (number, noun.strip_suffix('y'), noun.ends_with("ch")) {
        (1, ..) => format!("1 {noun}"),
        (number, Some(stem), _) => format!("{number} {stem}ies"),
        (number, None, true) => format!("{number} {noun}es"),
        (number, None, false) => format!("{number} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_parted_where_a_line_is_full_and_a_long_word_has_a_line_of_its_own() {
        assert_eq!(wrapped("  note: ", "short"), "  note: short");
        let (a, b) = ("a".repeat(35), "b".repeat(36));
        assert_eq!(wrapped("  note: ", &format!("{a} {b}")), format!("  note: {a} {b}"));
        assert_eq!(wrapped("  note: ", &format!("{a} {b}b")), format!("  note: {a}\n        {b}b"));
        let long = "c".repeat(200);
        assert_eq!(wrapped("  ", &format!("{long} {a}")), format!("  {long}\n  {a}"));
    }
}
