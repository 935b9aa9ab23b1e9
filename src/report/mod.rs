//! Words: the values of the other layers as lines of text and of JSON.
//!
//! Everything appends to the caller's `Vec<u8>` and allocates nothing besides, because a dump writes millions of
//! lines a second. Nothing here knows arguments, files or storage.

/// Appends one of the fixed pieces of a JSON object, put together when the program is compiled.
///
/// | call                         | appends            |
/// |------------------------------|--------------------|
/// | `key!(out, type "record")`   | `{"type":"record"` |
/// | `key!(out, first "text")`    | `{"text":`         |
/// | `key!(out, "baseOffset")`    | `,"baseOffset":`   |
///
/// The value is appended next, by a function of [`json`]; [`json::end`] or [`json::end_line`] closes the object.
/// Since every line begins with its type, no key has to ask whether it is the first.
macro_rules! key {
    ($out:expr, type $name:literal) => {
        $out.extend_from_slice(concat!("{\"type\":\"", $name, "\"").as_bytes())
    };
    ($out:expr, first $name:literal) => {
        $out.extend_from_slice(concat!("{\"", $name, "\":").as_bytes())
    };
    ($out:expr, $name:literal) => {
        $out.extend_from_slice(concat!(",\"", $name, "\":").as_bytes())
    };
}

pub mod base64;
pub mod bytes;
pub mod change;
pub mod control;
pub mod cut;
pub mod entries;
mod escape;
mod escape_x86;
pub mod findings;
pub mod json;
pub mod kafka_format;
pub mod log;
pub mod lookup;
pub mod overview;
pub mod reporter;
pub mod row;
pub mod size;
pub mod text;
pub mod time;
