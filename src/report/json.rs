//! Pieces of JSON lines, appended to a buffer. Strings are escaped byte for byte as `serde_json` does it.
//!
//! Keys come from the `key!` macro of this module's parent; what is here are the values.

use super::base64::{self, HEX};
use super::escape::{BLOCK, Stop, copy_escaped};

/// Appends an integer.
#[inline]
pub fn int(out: &mut Vec<u8>, value: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends an integer, or `null`.
#[inline]
pub fn optional_int(out: &mut Vec<u8>, value: Option<impl itoa::Integer>) {
    match value {
        Some(value) => int(out, value),
        None => null(out),
    }
}

/// Appends `true` or `false`.
#[inline]
pub fn bool(out: &mut Vec<u8>, value: bool) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

/// Appends `null`.
#[inline]
pub fn null(out: &mut Vec<u8>) {
    out.extend_from_slice(b"null");
}

/// Appends a string with its quotes.
#[inline]
pub fn string(out: &mut Vec<u8>, value: &str) {
    out.push(b'"');
    string_part(out, value);
    out.push(b'"');
}

/// Appends a name of Kafka's or ours that has nothing to escape, with quotes.
#[inline]
pub fn name(out: &mut Vec<u8>, name: &'static str) {
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.push(b'"');
}

/// Appends a part of a string: escaped, without quotes.
#[inline]
pub fn string_part(out: &mut Vec<u8>, value: &str) {
    let mut rest = value.as_bytes();
    loop {
        rest = &rest[copy_escaped(out, rest, Stop::Control)..];
        if rest.is_empty() {
            return;
        }
        let (block, behind) = rest.split_at(rest.len().min(BLOCK));
        escaped_block(out, block);
        rest = behind;
    }
}

/// What follows the backslash for a byte: 0 where no backslash is needed, `u` for the long form.
const ESCAPES: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = b'u';
        byte += 1;
    }
    table[0x08] = b'b';
    table[b'\t' as usize] = b't';
    table[b'\n' as usize] = b'n';
    table[0x0c] = b'f';
    table[b'\r' as usize] = b'r';
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table
};

/// Appends a block of at most [`BLOCK`] bytes that holds control characters: line ends, as a rule, since JSON is often
/// written on many lines. Only the long form takes a branch.
fn escaped_block(out: &mut Vec<u8>, block: &[u8]) {
    let mut escaped = [b'\\'; 2 * BLOCK];
    let mut end = 0;
    let mut has_long_form = false;
    for &byte in block {
        let letter = ESCAPES[usize::from(byte)];
        has_long_form |= letter == b'u';
        end += usize::from(letter != 0);
        escaped[end % (2 * BLOCK)] = if letter == 0 { byte } else { letter };
        end += 1;
    }
    if has_long_form {
        return block.iter().for_each(|&byte| escaped_byte(out, byte));
    }
    let start = out.len();
    out.extend_from_slice(&escaped);
    out.truncate(start + end);
}

fn escaped_byte(out: &mut Vec<u8>, byte: u8) {
    match ESCAPES[usize::from(byte)] {
        0 => out.push(byte),
        b'u' => {
            let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&digits);
        }
        letter => out.extend_from_slice(&[b'\\', letter]),
    }
}

/// Appends bytes that need not be text: `{"text":"…"}` where they are UTF-8, else `{"base64":"…"}`; `null` for `None`.
#[inline]
pub fn bytes(out: &mut Vec<u8>, value: Option<&[u8]>) {
    let Some(value) = value else {
        return null(out);
    };
    let start = out.len();
    out.extend_from_slice(b"{\"text\":\"");
    // What is ASCII needs no proof that it is UTF-8.
    let ascii = copy_escaped(out, value, Stop::ControlAndNonAscii);
    if ascii < value.len() {
        match std::str::from_utf8(&value[ascii..]) {
            Ok(rest) => string_part(out, rest),
            Err(_) => {
                out.truncate(start);
                return base64_object(out, value);
            }
        }
    }
    out.extend_from_slice(b"\"}");
}

/// Appends `{"base64":"…"}`.
pub fn base64_object(out: &mut Vec<u8>, value: &[u8]) {
    key!(out, first "base64");
    out.push(b'"');
    base64::standard(out, value);
    out.extend_from_slice(b"\"}");
}

/// Appends `{"hex":"…"}`.
pub fn hex_object(out: &mut Vec<u8>, value: &[u8]) {
    key!(out, first "hex");
    out.push(b'"');
    base64::hex(out, value);
    out.extend_from_slice(b"\"}");
}

/// Closes an object.
#[inline]
pub fn end(out: &mut Vec<u8>) {
    out.push(b'}');
}

/// Closes the object that is a line.
#[inline]
pub fn end_line(out: &mut Vec<u8>) {
    out.extend_from_slice(b"}\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::char::range;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn check(text: &str) {
        let mut out = Vec::new();
        string(&mut out, text);
        assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string(text).unwrap());
    }

    #[test]
    fn every_character_below_0x3000_is_escaped_as_serde_json_does() {
        for character in (0..0x3000).filter_map(char::from_u32) {
            check(&character.to_string());
            check(&format!("fifteen letters{character}\"and\\more behind it"));
        }
    }

    #[test]
    fn every_string_of_one_control_character_at_any_place_is_escaped_as_serde_json_does() {
        for length in 0..50 {
            for at in 0..length {
                for byte in [0x00, 0x08, 0x0a, 0x1f, 0x22, 0x5c, 0x7f] {
                    let mut bytes = vec![b'x'; length];
                    bytes[at] = byte;
                    check(std::str::from_utf8(&bytes).unwrap());
                }
            }
        }
    }

    #[test]
    fn a_line_is_an_object_that_serde_json_reads() {
        let mut out = Vec::new();
        key!(out, type "record");
        key!(out, "offset");
        int(&mut out, i64::MIN);
        key!(out, "isControl");
        bool(&mut out, false);
        key!(out, "sequence");
        optional_int(&mut out, None::<i32>);
        key!(out, "key");
        bytes(&mut out, None);
        key!(out, "value");
        bytes(&mut out, Some(b"a\"b"));
        key!(out, "raw");
        bytes(&mut out, Some(&[0xff, 0xfe, 0xfd]));
        key!(out, "id");
        hex_object(&mut out, &[0, 255]);
        end_line(&mut out);
        let line = r#"{"type":"record","offset":-9223372036854775808,"isControl":false,"sequence":null,"key":null,"value":{"text":"a\"b"},"raw":{"base64":"//79"},"id":{"hex":"00ff"}}"#;
        assert_eq!(std::str::from_utf8(&out).unwrap().strip_suffix('\n'), Some(line));
        assert!(serde_json::from_slice::<serde_json::Value>(&out).is_ok());
    }

    proptest! {
        #[test]
        fn any_string_is_escaped_as_serde_json_does(text: String) {
            check(&text);
        }

        #[test]
        fn any_bytes_are_text_where_they_are_utf8_and_base64_where_not(
            pieces in vec(prop_oneof!["[ -~]{0,40}", "\\PC{0,3}"].prop_map(String::into_bytes), 0..4),
            invalid in prop::option::of((any::<prop::sample::Index>(), 0x80u8..)),
        ) {
            let mut value = pieces.concat();
            if let Some((at, byte)) = invalid {
                value.insert(at.index(value.len() + 1), byte);
            }
            let mut out = Vec::new();
            bytes(&mut out, Some(&value));
            let expected = match std::str::from_utf8(&value) {
                Ok(text) => format!("{{\"text\":{}}}", serde_json::to_string(text).unwrap()),
                Err(_) => {
                    let mut expected = Vec::new();
                    base64_object(&mut expected, &value);
                    String::from_utf8(expected).unwrap()
                }
            };
            prop_assert_eq!(String::from_utf8(out).unwrap(), expected);
        }

        #[test]
        fn any_string_of_awkward_characters_is_escaped_as_serde_json_does(
            text in vec(prop_oneof![Just('"'), Just('\\'), Just('a'), range('\0', '0'), range('\u{70}', '\u{a0}'), any::<char>()], 0..120),
        ) {
            check(&text.into_iter().collect::<String>());
        }
    }
}
