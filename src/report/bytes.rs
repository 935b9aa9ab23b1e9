//! Keys and values in the form that was asked for.

use std::str::from_utf8;

use serde::de::IgnoredAny;

use super::text::{is_unsafe_to_show, left_out, quoted, quoted_if_ascii, shown};
use super::{base64, json};

/// How deep JSON may be nested to be embedded as it is. Most readers stop somewhere; what a record holds must not make
/// a whole line unreadable.
const DEEPEST: usize = 100;

/// How the bytes of a key or a value are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BytesFormat {
    /// Text where it is mostly printable UTF-8, else hexadecimal; in JSON `{"text":…}` or `{"base64":…}`.
    #[default]
    Auto,
    /// Text, with escapes for what is none; in JSON as `Auto`.
    Text,
    /// JSON as it stands, on one line; as `Auto` where it is not JSON, or nested deeper than 100.
    Json,
    /// Hexadecimal: `hex:6b31`, in JSON `{"hex":"6b31"}`.
    Hex,
    /// Standard base64: `base64:azE=`, in JSON `{"base64":"azE="}`.
    Base64,
    /// A big-endian signed integer of 4 bytes; hexadecimal where the length is another.
    Int,
    /// A big-endian signed integer of 8 bytes; hexadecimal where the length is another.
    Long,
    /// Not at all.
    None,
}

impl BytesFormat {
    /// Whether there is anything to write. Where there is not, no key is to be written either.
    pub fn is_shown(self) -> bool {
        self != Self::None
    }

    /// Appends `value` to a line of text: `null` for `None`, else of at most `most` of its bytes (JSON and integers
    /// are written whole) and a note of how many were left out. What `Auto` takes it for is decided by the bytes
    /// that are shown.
    #[inline]
    pub fn text(self, out: &mut Vec<u8>, value: Option<&[u8]>, most: usize) {
        let Some(value) = value else {
            if self.is_shown() {
                json::null(out);
            }
            return;
        };
        match self {
            Self::None => {}
            Self::Auto => auto_text(out, value, most),
            Self::Text => cut(out, value, most, quoted),
            Self::Hex => cut_anywhere(out, value, most, put_hex),
            Self::Base64 => cut_anywhere(out, value, most, |out, part| {
                out.extend_from_slice(b"base64:");
                base64::standard(out, part);
            }),
            Self::Json => match embeddable(value) {
                // A longer one would have to be cut, and were no JSON any more.
                Some(text) if text.len() <= most => one_line(out, text),
                _ => auto_text(out, value, most),
            },
            Self::Int | Self::Long => match self.integer(value) {
                Ok(number) => json::int(out, number),
                Err(expected) => {
                    cut_anywhere(out, value, most, put_hex);
                    out.extend_from_slice(b" (");
                    json::int(out, value.len());
                    out.extend_from_slice(if value.len() == 1 { b" byte, not " } else { b" bytes, not " });
                    json::int(out, expected);
                    out.push(b')');
                }
            },
        }
    }

    /// Appends `value` as a JSON value, whole; `null` for `None`. Nothing may be appended for [`BytesFormat::None`]:
    /// ask [`BytesFormat::is_shown`] first.
    #[inline]
    pub fn json(self, out: &mut Vec<u8>, value: Option<&[u8]>) {
        let Some(bytes) = value else {
            return json::null(out);
        };
        match self {
            Self::Auto | Self::Text => json::bytes(out, value),
            Self::Hex => json::hex_object(out, bytes),
            Self::Base64 => json::base64_object(out, bytes),
            Self::Json => match embeddable(bytes) {
                Some(text) => one_line(out, text),
                None => json::bytes(out, value),
            },
            Self::Int | Self::Long => match self.integer(bytes) {
                Ok(number) => json::int(out, number),
                Err(_) => json::hex_object(out, bytes),
            },
            Self::None => json::null(out),
        }
    }

    /// The number, or how many bytes it would have to have.
    fn integer(self, value: &[u8]) -> Result<i64, usize> {
        if self == Self::Int {
            value.try_into().map(|bytes| i32::from_be_bytes(bytes).into()).map_err(|_| 4)
        } else {
            value.try_into().map(i64::from_be_bytes).map_err(|_| 8)
        }
    }
}

#[inline]
fn auto_text(out: &mut Vec<u8>, value: &[u8], most: usize) {
    if value.len() <= most && quoted_if_ascii(out, value) {
        return;
    }
    if is_mostly_printable(shown(value, most)) {
        cut(out, value, most, quoted);
    } else {
        cut_anywhere(out, value, most, put_hex);
    }
}

fn put_hex(out: &mut Vec<u8>, value: &[u8]) {
    out.extend_from_slice(b"hex:");
    base64::hex(out, value);
}

#[inline]
fn cut(out: &mut Vec<u8>, value: &[u8], most: usize, put: fn(&mut Vec<u8>, &[u8])) {
    let part = shown(value, most);
    put(out, part);
    left_out(out, value.len() - part.len());
}

fn cut_anywhere(out: &mut Vec<u8>, value: &[u8], most: usize, put: impl Fn(&mut Vec<u8>, &[u8])) {
    let part = value.get(..most).unwrap_or(value);
    put(out, part);
    left_out(out, value.len() - part.len());
}

/// Whether `value` is UTF-8 and at most one byte in eight is a control character other than tab and line ends.
/// The big-endian integers that keys often are have more zeros than that.
fn is_mostly_printable(value: &[u8]) -> bool {
    let is_control = |&byte: &u8| (byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r')) || byte == 0x7f;
    from_utf8(value).is_ok() && value.iter().filter(|byte| is_control(byte)).count() * 8 <= value.len()
}

/// The text of `value`, if it is JSON and may stand in a line of ours.
fn embeddable(value: &[u8]) -> Option<&str> {
    let text = from_utf8(value).ok()?;
    serde_json::from_str::<IgnoredAny>(text).ok()?;
    is_shallow(value).then_some(text.trim_ascii())
}

/// Whether the JSON in `value` is nested no deeper than [`DEEPEST`].
fn is_shallow(value: &[u8]) -> bool {
    if value.iter().filter(|&&byte| byte == b'[' || byte == b'{').count() <= DEEPEST {
        return true;
    }
    let (mut depth, mut in_string, mut after_backslash) = (0usize, false, false);
    for &byte in value {
        match byte {
            _ if after_backslash => after_backslash = false,
            b'\\' => after_backslash = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            return false;
        }
    }
    true
}

/// Appends JSON on one line, and safe to look at. White space between tokens becomes blanks; other characters that a
/// terminal might obey can only be within strings, where an escape means the same.
fn one_line(out: &mut Vec<u8>, json: &str) {
    let mut from = 0;
    if !json.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        for (at, character) in json.char_indices().filter(|&(_, character)| is_unsafe_to_show(character)) {
            out.extend_from_slice(&json.as_bytes()[from..at]);
            from = at + character.len_utf8();
            if character < ' ' {
                out.push(b' ');
            } else {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    out.extend_from_slice(b"\\u");
                    base64::hex(out, &unit.to_be_bytes());
                }
            }
        }
    }
    out.extend_from_slice(&json.as_bytes()[from..]);
}

/// Appends a header's key: its text where that is plain, else in quotes with escapes.
pub fn header_key(out: &mut Vec<u8>, key: &[u8]) {
    let is_plain = |&byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'/');
    if !key.is_empty() && key.iter().all(is_plain) { out.extend_from_slice(key) } else { quoted(out, key) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    const FORMATS: [BytesFormat; 8] = [
        BytesFormat::Auto,
        BytesFormat::Text,
        BytesFormat::Json,
        BytesFormat::Hex,
        BytesFormat::Base64,
        BytesFormat::Int,
        BytesFormat::Long,
        BytesFormat::None,
    ];

    fn text(format: BytesFormat, value: &[u8], most: usize) -> String {
        let mut out = Vec::new();
        format.text(&mut out, Some(value), most);
        String::from_utf8(out).unwrap()
    }

    fn json(format: BytesFormat, value: &[u8]) -> String {
        let mut out = Vec::new();
        format.json(&mut out, Some(value));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn auto_tells_text_from_numbers() {
        assert_eq!(text(BytesFormat::Auto, b"k1", 99), r#""k1""#);
        assert_eq!(text(BytesFormat::Auto, b"", 99), r#""""#);
        assert_eq!(text(BytesFormat::Auto, "日本\n".as_bytes(), 99), r#""日本\n""#);
        assert_eq!(text(BytesFormat::Auto, &[0, 0, 0, b'A'], 99), "hex:00000041");
        assert_eq!(text(BytesFormat::Auto, &[0xff, b'A'], 99), "hex:ff41");
        assert_eq!(text(BytesFormat::Auto, b"one bell\x07", 99), r#""one bell\x07""#);
        assert_eq!(json(BytesFormat::Auto, &[0, 0, 0, b'A']), r#"{"text":"\u0000\u0000\u0000A"}"#);
        assert_eq!(json(BytesFormat::Auto, &[0xff, 0xfe, 0xfd]), r#"{"base64":"//79"}"#);
    }

    #[test]
    fn null_is_told_from_empty_and_nothing_from_both() {
        for format in FORMATS {
            let mut out = Vec::new();
            format.text(&mut out, None, 99);
            assert_eq!(out, if format.is_shown() { &b"null"[..] } else { b"" });
            out.clear();
            format.json(&mut out, None);
            assert_eq!(out, b"null");
        }
        assert_eq!(text(BytesFormat::None, b"abc", 99), "");
    }

    #[test]
    fn long_values_are_cut_and_counted() {
        assert_eq!(text(BytesFormat::Auto, "aä日".as_bytes(), 2), "\"a\"… (+5 bytes)");
        assert_eq!(text(BytesFormat::Text, b"abc\xff", 3), "\"abc\"… (+1 byte)");
        assert_eq!(text(BytesFormat::Hex, &[1, 2, 0x80], 2), "hex:0102… (+1 byte)");
        assert_eq!(text(BytesFormat::Base64, b"k1234", 2), "base64:azE=… (+3 bytes)");
        assert_eq!(text(BytesFormat::Json, b"[1,2]", 3), "\"[1,\"… (+2 bytes)");
    }

    #[test]
    fn integers_are_big_endian_and_of_the_right_length() {
        assert_eq!(text(BytesFormat::Int, &[255, 255, 255, 254], 99), "-2");
        assert_eq!(text(BytesFormat::Long, &[0, 0, 0, 1, 0, 0, 0, 0], 99), "4294967296");
        assert_eq!(text(BytesFormat::Int, &[7], 99), "hex:07 (1 byte, not 4)");
        assert_eq!(text(BytesFormat::Long, &[0, 7], 99), "hex:0007 (2 bytes, not 8)");
        assert_eq!(json(BytesFormat::Int, &[0, 0, 1, 0]), "256");
        assert_eq!(json(BytesFormat::Long, &[0, 7]), r#"{"hex":"0007"}"#);
    }

    #[test]
    fn json_is_embedded_on_one_line() {
        assert_eq!(json(BytesFormat::Json, b" {\"a\":\n  [1, 2.50]}\r\n"), r#"{"a":   [1, 2.50]}"#);
        assert_eq!(
            json(BytesFormat::Json, "\"\u{202e}\u{7f}ä\u{e0001}\"".as_bytes()),
            r#""\u202e\u007fä\udb40\udc01""#
        );
        assert_eq!(json(BytesFormat::Json, b"{\"a\":1} {"), r#"{"text":"{\"a\":1} {"}"#);
        assert_eq!(json(BytesFormat::Json, b"[\"\xff\"]"), r#"{"base64":"WyL/Il0="}"#);
        assert_eq!(json(BytesFormat::Json, b""), r#"{"text":""}"#);
        assert_eq!(json(BytesFormat::Json, b"\"a\nb\""), r#"{"text":"\"a\nb\""}"#.replace('\n', "\\n"));
        assert_eq!(text(BytesFormat::Json, b"{\"a\":null}", 99), r#"{"a":null}"#);
        assert_eq!(text(BytesFormat::Json, b"plain", 99), r#""plain""#);
    }

    #[test]
    fn json_that_is_nested_too_deep_is_not_embedded() {
        let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth)).into_bytes();
        assert_eq!(json(BytesFormat::Json, &nested(100)).as_bytes(), nested(100));
        assert!(json(BytesFormat::Json, &nested(101)).starts_with("{\"text\":"));
        assert!(json(BytesFormat::Json, &nested(200_000)).starts_with("{\"text\":"));
        let wide = format!("[{}\"[[\\\"[\"]", "[],".repeat(500));
        assert_eq!(json(BytesFormat::Json, wide.as_bytes()), wide);
    }

    #[test]
    fn header_keys_are_quoted_where_they_could_be_misread() {
        let shown = |key: &[u8]| {
            let mut out = Vec::new();
            header_key(&mut out, key);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(shown(b"trace-id"), "trace-id");
        assert_eq!(shown(b""), r#""""#);
        assert_eq!(shown(b"a=b"), r#""a=b""#);
        assert_eq!(shown(b"\x1b"), r#""\x1b""#);
    }

    proptest! {
        #[test]
        fn every_form_of_any_bytes_is_json_or_safe_text(value: Vec<u8>, most in 0usize..200) {
            for format in FORMATS {
                let written = json(format, &value);
                prop_assert!(serde_json::from_str::<Value>(&written).is_ok(), "{:?} {}", format, written);
                prop_assert!(!text(format, &value, most).chars().any(is_unsafe_to_show));
            }
        }

        #[test]
        fn embedded_json_means_the_same(texts: Vec<String>, number: i64) {
            let value = serde_json::json!({ "list": texts, "n": number });
            let pretty = serde_json::to_vec_pretty(&value).unwrap();
            let embedded = json(BytesFormat::Json, &pretty);
            prop_assert!(!embedded.contains('\n'));
            prop_assert_eq!(serde_json::from_str::<Value>(&embedded).unwrap(), value);
        }
    }
}
