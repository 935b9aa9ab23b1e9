//! Words for where something is: answers of a lookup, the steps that led to them, and answers that differ.

use super::reporter::{Format, Reporter, Tone};
use super::row::{Field, Row, Value};
use super::{json, text, time};
use crate::format::{Offset, Position};
use crate::scan::ScanEnd;
use crate::scan::locate::Step;
use jiff::tz::TimeZone;

/// What was looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// An offset.
    Offset(Offset),
    /// The first record at or after a time in milliseconds.
    Timestamp(i64),
    /// The log start offset.
    Earliest,
    /// The log end offset.
    Latest,
    /// The record with the largest timestamp.
    MaxTimestamp,
    /// The log start offset of the local log.
    EarliestLocal,
    /// The last offset in tiered storage.
    LatestTiered,
    /// The first offset that is still to go to tiered storage.
    EarliestPendingUpload,
    /// A record with this key.
    Key(Vec<u8>),
}

impl Query {
    /// The query as a JSON object.
    pub fn json(&self) -> String {
        let mut out = Vec::new();
        match self {
            Self::Offset(offset) => {
                out.extend_from_slice(b"{\"offset\":");
                json::int(&mut out, offset.0);
            }
            Self::Key(key) => {
                out.extend_from_slice(b"{\"key\":");
                json::bytes(&mut out, Some(key));
            }
            Self::Timestamp(timestamp) => {
                out.extend_from_slice(b"{\"timestamp\":");
                json::int(&mut out, *timestamp);
            }
            _ => out.extend_from_slice(format!("{{\"timestamp\":\"{}\"", self.name()).as_bytes()),
        }
        out.push(b'}');
        String::from_utf8_lossy(&out).into_owned()
    }

    /// The query for people.
    pub fn words(&self, zone: &TimeZone) -> String {
        let mut out = Vec::new();
        match self {
            Self::Offset(offset) => return format!("offset {offset}"),
            Self::Timestamp(timestamp) => {
                out.extend_from_slice(b"timestamp ");
                time::zoned(&mut out, *timestamp, zone);
            }
            Self::Key(key) => {
                out.extend_from_slice(b"key ");
                text::quoted(&mut out, key);
            }
            _ => return self.name().to_owned(),
        }
        String::from_utf8_lossy(&out).into_owned()
    }

    /// What has neither number nor text.
    fn name(&self) -> &'static str {
        match self {
            Self::Earliest => "earliest",
            Self::Latest => "latest",
            Self::MaxTimestamp => "max-timestamp",
            Self::EarliestLocal => "earliest-local",
            Self::LatestTiered => "latest-tiered",
            Self::EarliestPendingUpload => "earliest-pending-upload",
            Self::Offset(_) | Self::Timestamp(_) | Self::Key(_) => "",
        }
    }
}

/// Where something is, or why not. `None` is what does not apply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Whether there is something.
    pub found: bool,
    /// A short name for machines: why not, or what is odd about what was found.
    pub reason: Option<&'static str>,
    /// The same for people.
    pub words: Option<String>,
    /// Offset of the record found, or the offset asked for by "earliest" and "latest".
    pub offset: Option<Offset>,
    /// Timestamp of the record in milliseconds.
    pub timestamp: Option<i64>,
    /// Leader epoch of the record.
    pub leader_epoch: Option<i32>,
    /// The first offset that can be read, where that matters.
    pub log_start_offset: Option<Offset>,
    /// The log end offset, where that matters.
    pub log_end_offset: Option<Offset>,
    /// The checkpointed high watermark, where that matters.
    pub high_watermark: Option<Offset>,
    /// Base offset of the segment that the batch is in.
    pub segment: Option<Offset>,
    /// Where in the segment the batch begins.
    pub position: Option<u64>,
    /// How long the batch is.
    pub size_in_bytes: Option<u64>,
    /// First offset of the batch (`None` for a compressed message) and its last.
    pub batch: Option<(Option<Offset>, Offset)>,
    /// The record as a JSON object.
    pub record: Option<String>,
    /// The record as lines of text.
    pub record_text: Vec<u8>,
}

impl Answer {
    /// An answer that nothing was found, or that something was found out but no record.
    pub fn without_record(found: bool, reason: &'static str, words: String) -> Self {
        Self { found, reason: Some(reason), words: Some(words), ..Self::default() }
    }

    /// The place for people: where the batch is, or why there is none.
    ///
    /// `asked` is the offset that was asked for: it is not said again.
    pub fn place(&self, asked: Option<Offset>) -> String {
        let mut words = Vec::new();
        if let Some(offset) = self.offset.filter(|offset| self.found && Some(*offset) != asked) {
            words.push(format!("offset {offset}"));
        }
        if let (Some(segment), Some(position)) = (self.segment, self.position) {
            words.push(format!("segment {segment}, position {position}"));
        }
        match self.batch {
            Some((Some(first), last)) => words.push(format!("batch {first}..{last}")),
            Some((None, last)) => words.push(format!("batch ..{last}")),
            None => {}
        }
        words.extend(self.words.clone());
        words.extend(self.high_watermark.map(|offset| format!("high watermark {offset}")));
        words.join(", ")
    }

    /// What a table says of it in few words: a short name, and the ends of the log where they matter.
    fn remark(&self) -> String {
        let mut words: Vec<String> = self.reason.map(str::to_owned).into_iter().collect();
        if let (Some(start), Some(end)) = (self.log_start_offset, self.log_end_offset) {
            words.push(format!("{start}..{}", end.0.saturating_sub(1)));
        }
        words.extend(self.high_watermark.map(|offset| format!("hw {offset}")));
        words.join(" ")
    }

    /// What two answers are compared by, as a JSON object.
    fn brief_json(&self) -> String {
        let number = |key: &str, value: Option<i64>| value.map(|value| format!(",\"{key}\":{value}"));
        let mut out = format!("{{\"found\":{}", self.found);
        out.extend(self.reason.map(|reason| format!(",\"reason\":\"{reason}\"")));
        out.extend(number("offset", self.offset.map(|offset| offset.0)));
        out.extend(number("timestamp", self.timestamp));
        out.extend(number("leaderEpoch", self.leader_epoch.map(i64::from)));
        out.extend(number("segment", self.segment.map(|offset| offset.0)));
        out.extend(number("position", self.position.and_then(|position| i64::try_from(position).ok())));
        out.push('}');
        out
    }
}

/// What an answer is about.
pub struct About<'a> {
    /// The partition's name.
    pub partition: &'a str,
    /// Its directory.
    pub dir: &'a str,
    /// What was looked for.
    pub query: &'a Query,
    /// `auto`, `broker`, `scan` or `both`.
    pub method: &'static str,
    /// Whether nothing else is asked.
    pub is_only_query: bool,
}

/// What is to be said beside an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aside {
    /// What the one who asked should know.
    pub notes: Vec<String>,
    /// The index file that was no help, because it is missing, empty or wrong.
    pub distrusted_index: Option<String>,
}

/// One answer. `explain` is whether every step is told.
pub fn answer(
    reporter: &mut Reporter,
    out: &mut Vec<u8>,
    about: &About<'_>,
    answer: &Answer,
    aside: &Aside,
    steps: &[Step],
    explain: bool,
) {
    let query_json = about.query.json();
    let query_words = about.query.words(reporter.zone());
    let offset = |offset: Option<Offset>| Value::or_absent(offset.map(|offset| offset.0));
    let unsigned = |value: Option<u64>| value.map_or(Value::Absent, Value::Unsigned);
    let batch = answer.batch.map(|(first, last)| match first {
        Some(first) => format!("{{\"baseOffset\":{first},\"lastOffset\":{last}}}"),
        None => format!("{{\"lastOffset\":{last}}}"),
    });
    let steps_json = explain.then(|| {
        let steps: Vec<String> = steps.iter().map(step_json).collect();
        format!("[{}]", steps.join(","))
    });
    let is_json = reporter.format() == Format::Json;
    let people = |key, label, value| match is_json {
        true => Field::json_only(key, Value::Absent),
        false => Field::new(key, label, value),
    };
    let note = aside.notes.join("; ");
    let remark = answer.remark();
    // A column that says the same in every row says nothing.
    let query_field = match about.is_only_query {
        true => Field::json_only("query", Value::Absent),
        false => people("query", "query", Value::Word(query_words.trim_start_matches("timestamp "))),
    };
    let fields = [
        Field::new("partition", "partition", Value::Text(about.partition)),
        Field::json_only("dir", Value::Text(about.dir)),
        query_field,
        Field::json_only("query", Value::Json(&query_json)),
        Field::json_only("method", Value::Word(about.method)),
        Field::json_only("found", Value::Bool(answer.found)),
        Field::json_only("reason", answer.reason.map_or(Value::Absent, Value::Word)),
        Field::json_only("note", if note.is_empty() { Value::Absent } else { Value::Text(&note) }),
        Field::new("offset", "offset", offset(answer.offset)),
        Field::new("timestamp", "timestamp", Value::time_or_absent(answer.timestamp)),
        Field::json_only("leaderEpoch", Value::or_absent(answer.leader_epoch)),
        Field::json_only("logStartOffset", offset(answer.log_start_offset)),
        Field::json_only("logEndOffset", offset(answer.log_end_offset)),
        Field::json_only("highWatermark", offset(answer.high_watermark)),
        Field::new("segment", "segment", offset(answer.segment)),
        Field::new("position", "position", unsigned(answer.position)),
        people("remark", "remark", Value::Word(&remark)),
        Field::json_only("sizeInBytes", unsigned(answer.size_in_bytes)),
        Field::json_only("batch", batch.as_deref().map_or(Value::Absent, Value::Json)),
        Field::json_only("record", answer.record.as_deref().map_or(Value::Absent, Value::Json)),
        Field::json_only("indexTrusted", aside.distrusted_index.as_ref().map_or(Value::Absent, |_| Value::Bool(false))),
        Field::json_only("indexFile", aside.distrusted_index.as_deref().map_or(Value::Absent, Value::Text)),
        Field::json_only("steps", steps_json.as_deref().map_or(Value::Absent, Value::Json)),
    ];
    let mut lines = Vec::new();
    text::escaped(&mut lines, about.partition.as_bytes());
    let arrow = if answer.found { "→ " } else { "→  not found:" };
    let asked = if let Query::Offset(asked) = about.query { Some(*asked) } else { None };
    lines.extend_from_slice(format!(" {query_words}  {arrow} {}", answer.place(asked)).as_bytes());
    for note in &aside.notes {
        lines.extend_from_slice(b"; ");
        text::escaped(&mut lines, note.as_bytes());
    }
    if !answer.record_text.is_empty() {
        lines.push(b'\n');
        lines.extend_from_slice(answer.record_text.trim_ascii_end());
    }
    if explain {
        for step in steps {
            lines.extend_from_slice(b"\n  - ");
            lines.extend_from_slice(step_words(step, reporter.zone()).as_bytes());
        }
    } else if let Some(via) = via(steps) {
        lines.extend_from_slice(b"\n  ");
        lines.extend_from_slice(via.as_bytes());
    }
    let mut row = Row::new("lookup", &fields);
    row.text = Some(&lines);
    reporter.row(out, &row);
}

/// Why a broker answers otherwise than the log demands.
pub struct Why<'a> {
    /// The file at fault, or that the broker went by.
    pub file: &'a str,
    /// A short name, where Kafka's own way to look is the reason.
    pub cause: Option<&'a str>,
    /// What to do.
    pub next_step: Option<&'a str>,
}

/// The finding that a broker answers otherwise than the log demands.
pub fn broker_differs(
    reporter: &mut Reporter,
    out: &mut Vec<u8>,
    about: &About<'_>,
    broker: &Answer,
    truth: &Answer,
    why: &Why<'_>,
) {
    let Why { file, cause, next_step } = *why;
    let says = |answer: &Answer| match answer.found {
        true => answer.place(None),
        false => format!("not found ({})", answer.words.as_deref().unwrap_or("nothing there")),
    };
    let is_json = reporter.format() == Format::Json;
    let query = if is_json { about.query.words(&TimeZone::UTC) } else { about.query.words(reporter.zone()) };
    let message = format!("for {query} a broker answers: {}; the log holds: {}", says(broker), says(truth));
    let cause_json = cause.map(|cause| format!(",\"cause\":\"{cause}\"")).unwrap_or_default();
    let details = format!(
        "{{\"query\":{},\"broker\":{},\"truth\":{}{cause_json}}}",
        about.query.json(),
        broker.brief_json(),
        truth.brief_json()
    );
    // What follows from Kafka's own way to look is not mended by other indexes.
    let (repair, severity) = if cause.is_some() { ("none", "warning") } else { ("safe", "error") };
    let mut line = format!("  {severity}  ").into_bytes();
    line.extend_from_slice(format!("{BROKER_DIFFERS}  ").as_bytes());
    text::escaped(&mut line, file.as_bytes());
    line.extend_from_slice(format!("  {message}").as_bytes());
    if let Some(cause) = cause {
        line.extend_from_slice(format!("  ({})", cause_words(cause)).as_bytes());
    }
    if let Some(next_step) = next_step {
        line.extend_from_slice(b"; ");
        text::escaped(&mut line, next_step.as_bytes());
    }
    let fields = [
        Field::new("id", "finding", Value::Word(BROKER_DIFFERS)),
        Field::new("severity", "severity", Value::Word(severity)),
        Field::new("partition", "partition", Value::Text(about.partition)),
        Field::new("file", "file", Value::Text(file)),
        Field::new("repair", "repair", Value::Word(repair)),
        Field::new("message", "message", Value::Text(&message)),
        Field::json_only("mend", next_step.map_or(Value::Absent, Value::Text)),
        Field::json_only("details", Value::Json(&details)),
    ];
    let mut row = Row::new("finding", &fields);
    row.text = Some(&line);
    row.tone = Some(Tone::Bad);
    reporter.row(out, &row);
}

/// The finding that a checkpoint of the log dir cannot be read as a whole.
pub fn checkpoint_damaged(reporter: &mut Reporter, out: &mut Vec<u8>, file: &str, error: &str) {
    let message = format!("the checkpoint is damaged, and only the lines that can be read count: {error}");
    let mut line = format!("  error  {CHECKPOINT_UNREADABLE}  ").into_bytes();
    text::escaped(&mut line, file.as_bytes());
    line.extend_from_slice(b"  ");
    text::escaped(&mut line, message.as_bytes());
    let fields = [
        Field::new("id", "finding", Value::Word(CHECKPOINT_UNREADABLE)),
        Field::new("severity", "severity", Value::Word("error")),
        Field::new("file", "file", Value::Text(file)),
        Field::new("repair", "repair", Value::Word("none")),
        Field::new("message", "message", Value::Text(&message)),
    ];
    let mut row = Row::new("finding", &fields);
    row.text = Some(&line);
    row.tone = Some(Tone::Bad);
    reporter.row(out, &row);
}

/// The id of the finding that a checkpoint cannot be read.
const CHECKPOINT_UNREADABLE: &str = "logdir/checkpoint-unreadable";
/// The id of the finding that a broker's answer is not the truth.
pub const BROKER_DIFFERS: &str = "lookup/broker-differs";
/// The segment was chosen by its modification time, because no record in it has a timestamp in its time index.
pub const MODIFICATION_TIME: &str = "modificationTime";
/// The segment was chosen by a timestamp that none of its visible records has: compaction or the log start hides them.
pub const NO_VISIBLE_RECORD: &str = "noVisibleRecord";

/// The record that a broker answers lies below the log start offset: no consumer can read it.
pub const BELOW_LOG_START: &str = "belowLogStart";

fn cause_words(cause: &str) -> &'static str {
    match cause {
        MODIFICATION_TIME => "the segment was chosen by the modification time of its file",
        BELOW_LOG_START => "the newest record lies below the log start, and a broker's answer does not heed that",
        _ => "the segment was chosen by a timestamp that none of its visible records has",
    }
}

/// The steps in one line: where the reading began and how much was read.
fn via(steps: &[Step]) -> Option<String> {
    let mut words = Vec::new();
    let entry = steps.iter().rev().find(|step| matches!(step, Step::OffsetIndexEntry { slot: Some(_), .. }));
    if let Some(Step::OffsetIndexEntry { slot: Some(slot), offset, position, .. }) = entry {
        words.push(format!("via index entry {slot} (offset {offset} → position {position})"));
    }
    let read: u64 = steps.iter().map(|step| if let Step::Batches { count, .. } = step { *count } else { 0 }).sum();
    match read {
        0 => {}
        1 => words.push("1 batch read".to_owned()),
        read => words.push(format!("{read} batches read")),
    }
    (!words.is_empty()).then(|| words.join(", "))
}

fn place_of(end: &ScanEnd) -> (Position, u64) {
    match end {
        ScanEnd::CleanEof | ScanEnd::Stopped => (Position(0), 0),
        ScanEnd::TornTail { position, length } | ScanEnd::ZeroFill { position, length } => (*position, *length),
        ScanEnd::Damaged(damage) => (damage.position, damage.length),
    }
}

fn step_json(step: &Step) -> String {
    let slot = |slot: Option<usize>| slot.map_or("null".to_owned(), |slot| slot.to_string());
    match *step {
        Step::Segment { segment } => format!("{{\"step\":\"segment\",\"segment\":{segment}}}"),
        Step::LargestTimestamp { segment, timestamp, is_modification_time, is_chosen } => format!(
            "{{\"step\":\"largestTimestamp\",\"segment\":{segment},\"timestamp\":{timestamp},\
             \"isModificationTime\":{is_modification_time},\"isChosen\":{is_chosen}}}"
        ),
        Step::TimeIndexEntry { segment, slot: at, offset, timestamp } => format!(
            "{{\"step\":\"timeIndexEntry\",\"segment\":{segment},\"slot\":{},\"offset\":{offset},\"timestamp\":{}}}",
            slot(at),
            timestamp.map_or("null".to_owned(), |timestamp| timestamp.to_string())
        ),
        Step::OffsetIndexEntry { segment, slot: at, offset, position } => format!(
            "{{\"step\":\"offsetIndexEntry\",\"segment\":{segment},\"slot\":{},\"offset\":{offset},\
             \"position\":{position}}}",
            slot(at)
        ),
        Step::EntryRefused { segment, slot, offset, position } => format!(
            "{{\"step\":\"entryRefused\",\"segment\":{segment},\"slot\":{slot},\"offset\":{offset},\
             \"position\":{position}}}"
        ),
        Step::NoIndex { segment, exists } => {
            format!("{{\"step\":\"noIndex\",\"segment\":{segment},\"exists\":{exists}}}")
        }
        Step::Batches { segment, from, count, checksummed } => format!(
            "{{\"step\":\"batches\",\"segment\":{segment},\"position\":{from},\"count\":{count},\
             \"checksummed\":{checksummed}}}"
        ),
        Step::OddHeader { segment, position } => {
            format!("{{\"step\":\"oddHeader\",\"segment\":{segment},\"position\":{position}}}")
        }
        Step::Recovered { segment, size_in_bytes } => {
            format!("{{\"step\":\"recovered\",\"segment\":{segment},\"sizeInBytes\":{size_in_bytes}}}")
        }
        Step::Unreadable { segment, position, size_in_bytes } => format!(
            "{{\"step\":\"unreadable\",\"segment\":{segment},\"position\":{position},\"sizeInBytes\":{size_in_bytes}}}"
        ),
        Step::Damaged { segment, ref end } => {
            let (position, length) = place_of(end);
            format!("{{\"step\":\"damaged\",\"segment\":{segment},\"position\":{position},\"length\":{length}}}")
        }
        Step::Contradiction { segment, position, size_in_bytes, count, first_offset, last_offset, .. } => format!(
            "{{\"step\":\"contradiction\",\"segment\":{segment},\"position\":{position},\
             \"sizeInBytes\":{size_in_bytes},\"count\":{count},\"baseOffset\":{first_offset},\
             \"lastOffset\":{last_offset}}}"
        ),
        Step::TimeEntryRefused { segment, slot, offset, timestamp } => format!(
            "{{\"step\":\"timeEntryRefused\",\"segment\":{segment},\"slot\":{slot},\"offset\":{offset},\
             \"timestamp\":{timestamp}}}"
        ),
        Step::NoTimeIndex { segment, exists } => {
            format!("{{\"step\":\"noTimeIndex\",\"segment\":{segment},\"exists\":{exists}}}")
        }
    }
}

fn step_words(step: &Step, zone: &TimeZone) -> String {
    let zoned = |timestamp: i64| {
        let mut out = Vec::new();
        time::zoned(&mut out, timestamp, zone);
        String::from_utf8_lossy(&out).into_owned()
    };
    match *step {
        Step::Segment { segment } => format!("segment {segment} is looked at"),
        Step::LargestTimestamp { segment, timestamp: -1, .. } => format!("segment {segment} has no timestamp"),
        Step::LargestTimestamp { segment, timestamp, is_modification_time, is_chosen } => format!(
            "segment {segment}: largest timestamp {}{}{}",
            zoned(timestamp),
            if is_modification_time { " (the file's modification time)" } else { "" },
            if is_chosen { ", taken" } else { ", too small" },
        ),
        Step::TimeIndexEntry { segment, slot: Some(slot), offset, timestamp } => format!(
            "segment {segment}: time index entry {slot} ({} → offset {offset})",
            timestamp.map_or("no time".to_owned(), zoned)
        ),
        Step::TimeIndexEntry { segment, slot: None, .. } => {
            format!("segment {segment}: no time index entry is old enough")
        }
        Step::OffsetIndexEntry { segment, slot: Some(slot), offset, position } => {
            format!("segment {segment}: offset index entry {slot} (offset {offset} → position {position})")
        }
        Step::OffsetIndexEntry { segment, slot: None, .. } => {
            format!("segment {segment}: no offset index entry is low enough, so from the start")
        }
        Step::EntryRefused { segment, slot, offset, position } => format!(
            "segment {segment}: offset index entry {slot} (offset {offset} → position {position}) is refused by the log"
        ),
        Step::NoIndex { segment, exists: true } => format!("segment {segment}: the offset index is all zero"),
        Step::NoIndex { segment, exists: false } => format!("segment {segment} has no offset index"),
        Step::Batches { segment, from, count, checksummed } => format!(
            "segment {segment}: {count} {} read from position {from} on{}",
            if count == 1 { "batch" } else { "batches" },
            if checksummed { ", each with its checksum" } else { "" },
        ),
        Step::OddHeader { segment, position } => {
            format!("segment {segment}: at position {position} the log does not go on, so every checksum is looked at")
        }
        Step::Recovered { segment, size_in_bytes } => format!(
            "segment {segment} has no offset index: a broker recovers it when it starts, and keeps {size_in_bytes} bytes"
        ),
        Step::Unreadable { segment, position, .. } => {
            format!("segment {segment}: the records of the batch at position {position} cannot be read")
        }
        Step::Damaged { segment, ref end } => {
            let (position, length) = place_of(end);
            format!("segment {segment}: {length} bytes at position {position} are no intact batch")
        }
        Step::Contradiction { segment, position, first_offset, last_offset, .. } => format!(
            "segment {segment}: the offsets {first_offset}..{last_offset} at position {position} contradict the log"
        ),
        Step::TimeEntryRefused { segment, slot, offset, timestamp } => format!(
            "segment {segment}: time index entry {slot} ({} → offset {offset}) does not lead to the answer",
            zoned(timestamp)
        ),
        Step::NoTimeIndex { segment, exists: true } => format!("segment {segment}: the time index has no entry"),
        Step::NoTimeIndex { segment, exists: false } => format!("segment {segment} has no time index"),
    }
}
