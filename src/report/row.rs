//! One line of output, whatever it is about: a list of named values that text, table and JSON each show in their way.
//!
//! The JSON lines *are* the wire format: each row is one object, `type` first, keys in Kafka's camelCase, bytes and
//! milliseconds as units. A value that does not apply is left out; one that is known to be null is `null`.

use super::bytes::BytesFormat;
use super::reporter::Tone;
use super::{json, size, text, time};
use jiff::tz::TimeZone;

/// One value of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// A whole number.
    Int(i64),
    /// A size, position or count beyond the signed range.
    Unsigned(u64),
    /// A number of bytes: exact in JSON, rounded to the next smaller unit elsewhere.
    Size(u64),
    /// A truth value.
    Bool(bool),
    /// Milliseconds since 1970: a number in JSON, RFC 3339 elsewhere.
    Time(i64),
    /// A word of ours or of Kafka's, shown as it stands.
    Word(&'a str),
    /// A text that came from outside: escaped.
    Text(&'a str),
    /// Bytes that came from outside.
    Bytes(Option<&'a [u8]>),
    /// JSON made by another function, shown as it stands.
    Json(&'a str),
    /// Known to be null.
    Null,
    /// Does not apply: not shown.
    Absent,
}

impl Value<'_> {
    /// A number, or not applicable.
    pub fn or_absent(value: Option<impl Into<i64>>) -> Self {
        value.map_or(Value::Absent, |value| Value::Int(value.into()))
    }

    /// A time, or not applicable.
    pub fn time_or_absent(value: Option<i64>) -> Self {
        value.map_or(Value::Absent, Value::Time)
    }
}

/// Where a field is shown besides JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    /// In text under this label, and in tables.
    Labelled(&'static str),
    /// In JSON only.
    JsonOnly,
    /// In text under this label, and in tables; not in JSON.
    PeopleOnly(&'static str),
}

/// One named value of a row.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    key: &'static str,
    shown: Shown,
    unit: &'static str,
    value: Value<'a>,
}

impl<'a> Field<'a> {
    /// A value under a JSON key and a label for people; an empty label shows the value alone.
    pub fn new(key: &'static str, label: &'static str, value: Value<'a>) -> Self {
        Self { key, shown: Shown::Labelled(label), unit: "", value }
    }

    /// A field as [`Field::new`] makes it; one of JSON alone where the table is too narrow for all.
    pub fn if_roomy(is_narrow: bool, key: &'static str, label: &'static str, value: Value<'a>) -> Self {
        if is_narrow { Self::json_only(key, value) } else { Self::new(key, label, value) }
    }

    /// A value that text and table leave out.
    pub fn json_only(key: &'static str, value: Value<'a>) -> Self {
        Self { key, shown: Shown::JsonOnly, unit: "", value }
    }

    /// A value that JSON leaves out.
    pub fn people_only(key: &'static str, label: &'static str, value: Value<'a>) -> Self {
        Self { key, shown: Shown::PeopleOnly(label), unit: "", value }
    }

    /// Words behind the value in text, a space included where one belongs.
    pub fn unit(mut self, unit: &'static str) -> Self {
        self.unit = unit;
        self
    }
}

/// One line of output.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// The `type` of the JSON object.
    pub kind: &'static str,
    /// What it says, in order.
    pub fields: &'a [Field<'a>],
    /// The line as people read it, where the fields one after the other would not read well.
    pub text: Option<&'a [u8]>,
    /// What the line is, for those who see colours.
    pub tone: Option<Tone>,
}

impl<'a> Row<'a> {
    /// A row whose text is its fields.
    pub fn new(kind: &'static str, fields: &'a [Field<'a>]) -> Self {
        Self { kind, fields, text: None, tone: None }
    }

    /// Appends the row as a line of JSON.
    pub fn json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"type\":\"");
        out.extend_from_slice(self.kind.as_bytes());
        out.push(b'"');
        let is_shown =
            |field: &&Field<'_>| field.value != Value::Absent && !matches!(field.shown, Shown::PeopleOnly(_));
        for field in self.fields.iter().filter(is_shown) {
            out.extend_from_slice(b",\"");
            out.extend_from_slice(field.key.as_bytes());
            out.extend_from_slice(b"\":");
            field.value.json(out);
        }
        json::end_line(out);
    }

    /// Appends the row as a line of text.
    pub fn text(&self, out: &mut Vec<u8>, zone: &TimeZone) {
        if let Some(text) = self.text {
            out.extend_from_slice(text);
            out.push(b'\n');
            return;
        }
        let mut separator: &[u8] = b"";
        for field in self.fields.iter().filter(|field| field.value != Value::Absent) {
            let (Shown::Labelled(label) | Shown::PeopleOnly(label)) = field.shown else { continue };
            out.extend_from_slice(separator);
            separator = b"  ";
            if !label.is_empty() {
                out.extend_from_slice(label.as_bytes());
                out.push(b' ');
            }
            field.value.text(out, zone);
            out.extend_from_slice(field.unit.as_bytes());
        }
        out.push(b'\n');
    }

    /// Titles of the columns.
    pub fn titles(&self) -> impl Iterator<Item = &'static str> + use<'a> {
        self.columns().map(|field| match field.shown {
            Shown::Labelled("") | Shown::PeopleOnly("") | Shown::JsonOnly => field.key,
            Shown::Labelled(label) | Shown::PeopleOnly(label) => label,
        })
    }

    /// The cells under the titles.
    pub fn cells<'z>(&self, zone: &'z TimeZone) -> impl Iterator<Item = Cell> + use<'a, 'z> {
        self.columns().map(move |field| {
            let mut cell = Vec::new();
            field.value.text(&mut cell, zone);
            Cell {
                text: String::from_utf8_lossy(&cell).into_owned(),
                is_number: matches!(field.value, Value::Int(_) | Value::Unsigned(_) | Value::Size(_)),
                is_time: matches!(field.value, Value::Time(_)),
            }
        })
    }

    fn columns(&self) -> impl Iterator<Item = Field<'a>> + use<'a> {
        self.fields.iter().copied().filter(|field| !matches!(field.shown, Shown::JsonOnly))
    }
}

/// One cell of a table.
pub struct Cell {
    /// What it shows.
    pub text: String,
    /// Whether it is to stand at the right.
    pub is_number: bool,
    /// Whether it is a time.
    pub is_time: bool,
}

impl Value<'_> {
    fn json(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Int(value) | Self::Time(value) => json::int(out, value),
            Self::Unsigned(value) | Self::Size(value) => json::int(out, value),
            Self::Bool(value) => json::bool(out, value),
            Self::Word(value) | Self::Text(value) => json::string(out, value),
            Self::Bytes(value) => json::bytes(out, value),
            Self::Json(value) => out.extend_from_slice(value.as_bytes()),
            Self::Null | Self::Absent => json::null(out),
        }
    }

    fn text(&self, out: &mut Vec<u8>, zone: &TimeZone) {
        match *self {
            Self::Int(value) => json::int(out, value),
            Self::Unsigned(value) => json::int(out, value),
            Self::Size(value) => size::human(out, value),
            Self::Bool(value) => json::bool(out, value),
            Self::Time(value) => time::zoned(out, value, zone),
            Self::Word(value) | Self::Json(value) => out.extend_from_slice(value.as_bytes()),
            Self::Text(value) => text::escaped(out, value.as_bytes()),
            Self::Bytes(value) => BytesFormat::Auto.text(out, value, usize::MAX),
            Self::Null => out.extend_from_slice(b"null"),
            Self::Absent => {}
        }
    }
}

/// Appends a path of a file: escaped, so that a name cannot drive the terminal.
pub fn path(out: &mut Vec<u8>, path: &std::path::Path) {
    use std::os::unix::ffi::OsStrExt;
    text::escaped(out, path.as_os_str().as_bytes());
}

/// A path as JSON can hold it: names that are no UTF-8 keep their bytes as `\xNN`.
pub fn path_text(path: &std::path::Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    match path.to_str() {
        Some(text) => text.to_owned(),
        None => {
            let mut out = Vec::new();
            text::escaped(&mut out, path.as_os_str().as_bytes());
            String::from_utf8_lossy(&out).into_owned()
        }
    }
}
