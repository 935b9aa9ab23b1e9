//! Words for what a `.log` file holds: the file, its batches, their records, and damage.

use std::path::Path;

use super::bytes::{BytesFormat, header_key};
use super::reporter::{Format, Reporter, Tone};
use super::row::{Field, Row, Value, path_text};
use super::{json, row, text, time};
use crate::format::batch::BatchHeader;
use crate::format::control::ControlRecord;
use crate::format::record::Record;
use crate::format::{Offset, Position};
use crate::scan::{Damage, DamageReason, ScanEnd};

/// One file, named once before its lines. `words` tell people what the lines below are about.
pub fn file(
    reporter: &mut Reporter,
    out: &mut Vec<u8>,
    path: &Path,
    kind: &str,
    base_offset: Option<Offset>,
    size_in_bytes: u64,
    words: &str,
) {
    let mut line = Vec::new();
    row::path(&mut line, path);
    line.extend_from_slice(b"  ");
    line.extend_from_slice(words.as_bytes());
    if reporter.format() != Format::Json {
        reporter.words(out, Some(Tone::Heading), &line);
        return;
    }
    let path = path_text(path);
    let fields = [
        Field::json_only("file", Value::Word(&path)),
        Field::json_only("kind", Value::Word(kind)),
        Field::json_only("baseOffset", Value::or_absent(base_offset.map(|offset| offset.0))),
        Field::json_only("sizeInBytes", Value::Unsigned(size_in_bytes)),
    ];
    reporter.row(out, &Row::new("file", &fields));
}

/// One batch, whose checksum holds or not.
pub fn batch(
    reporter: &mut Reporter,
    clock: &mut time::Clock,
    out: &mut Vec<u8>,
    file: &str,
    position: Position,
    header: &BatchHeader,
    is_valid: bool,
) {
    if reporter.format() == Format::Text {
        batch_text(out, position, header, is_valid, reporter, clock);
        return;
    }
    let batch = header.as_record_batch();
    let number = |pick: fn(&crate::format::batch::RecordBatchHeader) -> i64| {
        Value::or_absent(batch.map(pick).filter(|&value| value != -1))
    };
    let flag = |value: bool| if batch.is_some() { Value::Bool(value) } else { Value::Absent };
    let compression = header.compression();
    let unknown_codec = compression.err().map(|id| format!("unknown({id})"));
    let is_narrow = reporter.is_narrow_table();
    let fields = [
        Field::json_only("file", Value::Word(file)),
        Field::new("position", "position", Value::Unsigned(position.0)),
        Field::new("sizeInBytes", "bytes", Value::Unsigned(header.size_in_bytes())),
        Field::new("baseOffset", "base offset", Value::or_absent(header.base_offset().map(|offset| offset.0))),
        Field::new("lastOffset", "last offset", Value::Int(header.last_offset().0)),
        Field::new("count", "records", Value::or_absent(header.records_count())),
        Field::if_roomy(is_narrow, "magic", "magic", Value::Int(header.magic().into())),
        Field::new(
            "compression",
            "codec",
            Value::Word(unknown_codec.as_deref().unwrap_or_else(|| compression.map_or("", |codec| codec.name()))),
        ),
        Field::json_only("timestampType", Value::Word(header.timestamp_type().name())),
        Field::json_only("baseTimestamp", number(|batch| batch.base_timestamp)),
        Field::if_roomy(is_narrow, "maxTimestamp", "max timestamp", Value::time_or_absent(header.max_timestamp())),
        Field::json_only("deleteHorizonMs", Value::or_absent(batch.and_then(|batch| batch.delete_horizon_ms()))),
        Field::json_only("crc", Value::Int(header.crc().into())),
        Field::new("isValid", "crc", Value::Bool(is_valid)),
        Field::if_roomy(is_narrow, "partitionLeaderEpoch", "epoch", Value::or_absent(header.partition_leader_epoch())),
        Field::if_roomy(is_narrow, "producerId", "producer", number(|batch| batch.producer_id)),
        Field::json_only("producerEpoch", number(|batch| batch.producer_epoch.into())),
        Field::json_only("baseSequence", number(|batch| batch.base_sequence.into())),
        Field::json_only("lastSequence", Value::or_absent(batch.and_then(|batch| batch.last_sequence()))),
        Field::json_only("isTransactional", flag(header.is_transactional())),
        Field::json_only("isControl", flag(header.is_control())),
    ];
    reporter.row(out, &Row::new("batch", &fields));
}

fn batch_text(
    out: &mut Vec<u8>,
    position: Position,
    header: &BatchHeader,
    is_valid: bool,
    reporter: &Reporter,
    clock: &mut time::Clock,
) {
    out.extend_from_slice(b"offset ");
    match header.base_offset() {
        Some(base) if base == header.last_offset() => {}
        base => {
            if let Some(base) = base {
                json::int(out, base.0);
            }
            out.extend_from_slice(b"..");
        }
    }
    json::int(out, header.last_offset().0);
    out.extend_from_slice(b"  position ");
    json::int(out, position.0);
    out.extend_from_slice(b"  ");
    json::int(out, header.size_in_bytes());
    out.extend_from_slice(b" B  ");
    if let Some(count) = header.records_count() {
        json::int(out, count);
        out.extend_from_slice(if count == 1 { b" record  " } else { b" records  " });
    }
    out.extend_from_slice(b"magic ");
    json::int(out, header.magic());
    out.extend_from_slice(b"  ");
    match header.compression() {
        Ok(codec) => out.extend_from_slice(codec.name().as_bytes()),
        Err(id) => {
            out.extend_from_slice(b"codec ");
            json::int(out, id);
            out.extend_from_slice(b" (unknown)");
        }
    }
    if let Some(epoch) = header.partition_leader_epoch() {
        out.extend_from_slice(b"  epoch ");
        json::int(out, epoch);
    }
    if let Some(timestamp) = header.max_timestamp() {
        out.extend_from_slice(b"  ");
        out.extend_from_slice(header.timestamp_type().name().as_bytes());
        out.push(b' ');
        clock.put(out, timestamp);
    }
    if let Some(batch) = header.as_record_batch() {
        if batch.producer_id != -1 {
            out.extend_from_slice(b"  producer ");
            json::int(out, batch.producer_id);
            out.extend_from_slice(b" epoch ");
            json::int(out, batch.producer_epoch);
        }
        if let Some(last) = batch.last_sequence() {
            out.extend_from_slice(b"  sequence ");
            json::int(out, batch.base_sequence);
            if last != batch.base_sequence {
                out.extend_from_slice(b"..");
                json::int(out, last);
            }
        }
        for (is_so, word) in [(header.is_transactional(), &b"  transactional"[..]), (header.is_control(), b"  control")]
        {
            if is_so {
                out.extend_from_slice(word);
            }
        }
        if let Some(horizon) = batch.delete_horizon_ms() {
            out.extend_from_slice(b"  delete horizon ");
            time::zoned(out, horizon, reporter.zone());
        }
    }
    if is_valid {
        out.extend_from_slice(b"  crc ok\n");
    } else {
        reporter.toned(out, Tone::Bad, |out| out.extend_from_slice(b"  crc WRONG"));
        out.push(b'\n');
    }
}

/// How records are shown.
#[derive(Clone, Copy, Debug)]
pub struct RecordStyle {
    /// The form of keys.
    pub key: BytesFormat,
    /// The form of values.
    pub value: BytesFormat,
    /// How many bytes of a value are shown in text.
    pub most_in_text: usize,
}

/// Writes the records of one batch: what is the same for all of them is put together once.
pub struct RecordLines {
    style: RecordStyle,
    /// The start of every line of JSON.
    head: Vec<u8>,
    clock: time::Clock,
}

impl RecordLines {
    /// Lines for records in the given style, with the times of text in `zone`.
    pub fn new(style: RecordStyle, zone: &jiff::tz::TimeZone) -> Self {
        Self { style, head: Vec::new(), clock: time::Clock::new(zone) }
    }

    /// From here on the records are those of the batch at `position` of `file`.
    pub fn batch(&mut self, file: &str, position: Position) {
        self.head.clear();
        key!(self.head, type "record");
        key!(self.head, "file");
        json::string(&mut self.head, file);
        key!(self.head, "position");
        json::int(&mut self.head, position.0);
        key!(self.head, "offset");
    }

    /// Appends one record as a line of JSON. `control` is what its key and value mean in a control batch.
    #[inline]
    pub fn json(&self, out: &mut Vec<u8>, record: &Record<'_>, control: Option<&ControlRecord<'_>>) {
        out.extend_from_slice(&self.head);
        json::int(out, record.offset.0);
        key!(out, "timestamp");
        json::optional_int(out, record.timestamp);
        key!(out, "timestampType");
        json::name(out, record.timestamp_type.name());
        if let Some(sequence) = record.sequence {
            key!(out, "sequence");
            json::int(out, sequence);
        }
        if self.style.key.is_shown() {
            key!(out, "key");
            self.style.key.json(out, record.key);
        }
        if self.style.value.is_shown() {
            key!(out, "value");
            self.style.value.json(out, record.value);
        }
        key!(out, "headers");
        out.push(b'[');
        let mut separator: &[u8] = b"";
        for header in record.headers.iter() {
            out.extend_from_slice(separator);
            separator = b",";
            key!(out, first "key");
            match std::str::from_utf8(header.key) {
                Ok(key) => json::string(out, key),
                Err(_) => json::base64_object(out, header.key),
            }
            key!(out, "value");
            json::bytes(out, header.value);
            out.push(b'}');
        }
        out.push(b']');
        if let Some(control) = control {
            key!(out, "control");
            super::control::json(out, control);
        }
        json::end_line(out);
    }

    /// Appends one record as a line of text, indented below its batch.
    #[inline]
    pub fn text(&mut self, out: &mut Vec<u8>, record: &Record<'_>, control: Option<&ControlRecord<'_>>) {
        out.extend_from_slice(b"  offset ");
        json::int(out, record.offset.0);
        if let Some(timestamp) = record.timestamp {
            out.extend_from_slice(b"  ");
            self.clock.put(out, timestamp);
        }
        if let Some(sequence) = record.sequence {
            out.extend_from_slice(b"  sequence ");
            json::int(out, sequence);
        }
        if let Some(control) = control {
            out.extend_from_slice(b"  ");
            super::control::text(out, control);
        } else {
            if self.style.key.is_shown() {
                out.extend_from_slice(b"  key ");
                self.style.key.text(out, record.key, self.style.most_in_text);
            }
            if self.style.value.is_shown() {
                out.extend_from_slice(b"  value ");
                self.style.value.text(out, record.value, self.style.most_in_text);
            }
        }
        let mut separator: &[u8] = b"  headers ";
        for header in record.headers.iter() {
            out.extend_from_slice(separator);
            separator = b", ";
            header_key(out, header.key);
            out.push(b'=');
            BytesFormat::Auto.text(out, header.value, self.style.most_in_text);
        }
        out.push(b'\n');
    }

    /// One record as a row of a table.
    pub fn table(
        &self,
        reporter: &mut Reporter,
        out: &mut Vec<u8>,
        record: &Record<'_>,
        control: Option<&ControlRecord<'_>>,
    ) {
        let (mut key, mut value, mut headers) = (Vec::new(), Vec::new(), Vec::new());
        match control {
            Some(control) => super::control::text(&mut value, control),
            None => {
                self.style.key.text(&mut key, record.key, self.style.most_in_text);
                self.style.value.text(&mut value, record.value, self.style.most_in_text);
            }
        }
        for header in record.headers.iter() {
            if !headers.is_empty() {
                headers.extend_from_slice(b", ");
            }
            header_key(&mut headers, header.key);
            headers.push(b'=');
            BytesFormat::Auto.text(&mut headers, header.value, self.style.most_in_text);
        }
        let [key, value, headers] = [key, value, headers].map(|cell| String::from_utf8_lossy(&cell).into_owned());
        let fields = [
            Field::new("offset", "offset", Value::Int(record.offset.0)),
            Field::new("timestamp", "timestamp", Value::time_or_absent(record.timestamp)),
            Field::new("key", "key", Value::Word(&key)),
            Field::new("value", "value", Value::Word(&value)),
            Field::new("headers", "headers", Value::Word(&headers)),
        ];
        reporter.row(out, &Row::new("record", &fields));
    }
}

/// A stretch of a log that holds no intact batch, or bytes behind the last one.
pub struct Damaged<'a> {
    /// The file.
    pub file: &'a str,
    /// Where it begins.
    pub position: Position,
    /// How many bytes it takes.
    pub length: u64,
    /// A short name for machines.
    pub reason: &'a str,
    /// The same for people, with numbers.
    pub words: &'a str,
    /// Where the log goes on.
    pub next_intact: Option<Position>,
    /// Whether the line must name the file, because none before it does, and what to do then.
    pub next_step: Option<&'a str>,
}

impl<'a> Damaged<'a> {
    /// What a walk over `file` ended at; `words` is [`end_words`] of the same.
    pub fn of_end(file: &'a str, end: &ScanEnd, words: &'a str) -> Option<Self> {
        let (position, length, reason, next_intact) = match end {
            ScanEnd::CleanEof | ScanEnd::Stopped => return None,
            ScanEnd::TornTail { position, length } => (*position, *length, "tornTail", None),
            ScanEnd::ZeroFill { position, length } => (*position, *length, "zeroFill", None),
            ScanEnd::Damaged(damage) => (damage.position, damage.length, damage.reason.name(), damage.next_intact),
        };
        Some(Self { file, position, length, reason, words, next_intact, next_step: None })
    }
}

/// How a walk ended, for people.
pub fn end_words(end: &ScanEnd) -> String {
    match end {
        ScanEnd::CleanEof | ScanEnd::Stopped => String::new(),
        ScanEnd::TornTail { .. } => "the last batch was not written to its end".to_owned(),
        ScanEnd::ZeroFill { .. } => {
            "zeros up to the end of the file: preallocated, or lost in a power failure".to_owned()
        }
        ScanEnd::Damaged(damage) => damage_words(damage),
    }
}

/// Damage as a line of its own.
pub fn damaged(reporter: &mut Reporter, out: &mut Vec<u8>, damaged: &Damaged<'_>) {
    let goes_on = match damaged.next_intact {
        Some(next) => format!("goes on at position {next}"),
        None => "nothing intact follows".to_owned(),
    };
    let mut line = b"damaged  ".to_vec();
    if damaged.next_step.is_some() {
        text::escaped(&mut line, damaged.file.as_bytes());
        line.extend_from_slice(b"  ");
    }
    let words = format!("position {}  {} B  {}; {goes_on}", damaged.position, damaged.length, damaged.words);
    line.extend_from_slice(words.as_bytes());
    if let Some(next_step) = damaged.next_step {
        line.extend_from_slice(b"; ");
        text::escaped(&mut line, next_step.as_bytes());
    }
    let fields = [
        Field::json_only("file", Value::Word(damaged.file)),
        Field::new("position", "damaged at", Value::Unsigned(damaged.position.0)),
        Field::new("length", "bytes", Value::Unsigned(damaged.length)),
        Field::new("reason", "reason", Value::Word(damaged.reason)),
        Field::json_only("message", Value::Word(damaged.words)),
        Field::new(
            "nextIntactPosition",
            "next intact",
            damaged.next_intact.map_or(Value::Null, |next| Value::Unsigned(next.0)),
        ),
    ];
    let mut row = Row::new("damaged", &fields);
    row.text = Some(&line);
    row.tone = Some(Tone::Bad);
    reporter.row(out, &row);
}

/// What is wrong, for people.
fn damage_words(damage: &Damage) -> String {
    match damage.reason {
        DamageReason::Frame(error) => format!("no batch begins here: {error}"),
        DamageReason::BeyondEnd { size_in_bytes, left } => {
            format!("the length field says {size_in_bytes} bytes and the file has {left} left")
        }
        DamageReason::Checksum { stored, computed } => {
            format!("checksum mismatch: {stored:#010x} is stored, the bytes give {computed:#010x}")
        }
    }
}

/// Appends bytes from outside in quotes.
pub fn quoted(out: &mut Vec<u8>, bytes: &[u8]) {
    text::quoted(out, bytes);
}
