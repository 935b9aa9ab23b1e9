//! Bytes of unknown origin as text that is safe to look at.
//!
//! What a record holds must not be able to move the cursor, change colours, hide or reorder what is around it. So
//! control characters, and characters that change the direction or the lines of text, are shown as escapes:
//!
//! | what                                                                  | shown as             |
//! |-----------------------------------------------------------------------|----------------------|
//! | line feed, tab, carriage return, backslash, double quote              | `\n` `\t` `\r` `\\` `\"` |
//! | other characters below U+0020, U+007F                                 | `\x1b`               |
//! | U+0080–009F, line separators, characters without a look of their own  | `\u{202e}`           |
//! | bytes that are no UTF-8                                               | `\xff`               |
//!
//! Everything else is shown as it is. A text that was escaped can be told from one that was not, since backslashes
//! are escaped as well.

use super::base64::HEX;
use super::escape::{Stop, copy_escaped};
use super::json::int;

/// Appends `value` escaped and in double quotes.
#[inline]
pub fn quoted(out: &mut Vec<u8>, value: &[u8]) {
    out.push(b'"');
    escaped(out, value);
    out.push(b'"');
}

/// Appends `value` escaped, without quotes: for names within a line, such as those of topics and headers.
#[inline]
pub fn escaped(out: &mut Vec<u8>, value: &[u8]) {
    let taken = copy_escaped(out, value, Stop::ControlAndNonAscii);
    if taken < value.len() {
        escaped_slowly(out, &value[taken..]);
    }
}

/// Appends `value` with only what could drive a terminal escaped; quotes and backslashes stay. For sentences, which are
/// read and not read back.
pub fn sentence(out: &mut Vec<u8>, value: &[u8]) {
    for chunk in value.utf8_chunks() {
        for character in chunk.valid().chars() {
            if is_unsafe_to_show(character) {
                escaped_char(out, character);
            } else {
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        chunk.invalid().iter().for_each(|&byte| escaped_byte(out, byte));
    }
}

/// Appends `value` as [`quoted`] does and returns true, if it is nothing but printable ASCII; else leaves `out` alone.
#[inline]
pub(super) fn quoted_if_ascii(out: &mut Vec<u8>, value: &[u8]) -> bool {
    let start = out.len();
    out.push(b'"');
    let is_ascii = copy_escaped(out, value, Stop::ControlAndNonAscii) == value.len();
    if is_ascii {
        out.push(b'"');
    } else {
        out.truncate(start);
    }
    is_ascii
}

fn escaped_slowly(out: &mut Vec<u8>, value: &[u8]) {
    match std::str::from_utf8(value) {
        Ok(text) => escaped_str(out, text),
        Err(_) => {
            for chunk in value.utf8_chunks() {
                escaped_str(out, chunk.valid());
                chunk.invalid().iter().for_each(|&byte| escaped_byte(out, byte));
            }
        }
    }
}

/// Which bytes can begin a character that is escaped: ASCII that is, and the first bytes of all that
/// [`is_unsafe_to_show`]. Most scripts have none of them and are copied in long runs.
const SUSPECT: [bool; 256] = {
    let mut table = [false; 256];
    let mut code = 0;
    while code <= 0x10_ffff {
        if let Some(character) = char::from_u32(code)
            && (is_unsafe_to_show(character) || matches!(character, '"' | '\\'))
        {
            let mut utf8 = [0; 4];
            character.encode_utf8(&mut utf8);
            table[utf8[0] as usize] = true;
        }
        // Between the BMP and the tags, and beyond them, nothing is escaped: a million steps that need not be taken.
        code = if code == 0xffff {
            0xe_0000
        } else if code == 0xe_007f {
            0x11_0000
        } else {
            code + 1
        };
    }
    table
};

fn escaped_str(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let (mut copied, mut at) = (0, 0);
    while at < bytes.len() {
        if !SUSPECT[usize::from(bytes[at])] {
            at += 1;
            continue;
        }
        // A suspect byte begins a character, since none is a continuation byte.
        let Some(character) = text[at..].chars().next() else { break };
        let end = at + character.len_utf8();
        if is_unsafe_to_show(character) || matches!(character, '"' | '\\') {
            out.extend_from_slice(&bytes[copied..at]);
            escaped_char(out, character);
            copied = end;
        }
        at = end;
    }
    out.extend_from_slice(&bytes[copied..]);
}

#[inline]
fn escaped_char(out: &mut Vec<u8>, character: char) {
    match character {
        '\n' => out.extend_from_slice(b"\\n"),
        '\t' => out.extend_from_slice(b"\\t"),
        '\r' => out.extend_from_slice(b"\\r"),
        '"' | '\\' => out.extend_from_slice(&[b'\\', character as u8]),
        '\0'..='\x7f' => escaped_byte(out, character as u8),
        _ => escaped_code_point(out, character),
    }
}

/// Whether a terminal or an editor may do something else with this character than show it: C1 controls, marks of
/// direction, invisible joiners and operators, line and paragraph separators, interlinear annotation, tags.
pub(super) const fn is_unsafe_to_show(character: char) -> bool {
    matches!(character,
        '\u{0}'..='\u{1f}'
        | '\u{7f}'..='\u{9f}'
        | '\u{ad}'
        | '\u{61c}'
        | '\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}')
}

fn escaped_byte(out: &mut Vec<u8>, byte: u8) {
    out.extend_from_slice(&[b'\\', b'x', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
}

#[cold]
fn escaped_code_point(out: &mut Vec<u8>, character: char) {
    let code = u32::from(character);
    let digits = (32 - code.leading_zeros()).div_ceil(4);
    out.extend_from_slice(b"\\u{");
    out.extend((0..digits).rev().map(|digit| HEX[(code >> (4 * digit) & 15) as usize]));
    out.push(b'}');
}

/// The part of `value` that is shown where at most `most` bytes may be: cut between two characters, if it is UTF-8.
pub fn shown(value: &[u8], most: usize) -> &[u8] {
    let Some(cut) = value.get(..most) else {
        return value;
    };
    if value.len() == most {
        return value;
    }
    // A character has at most three continuation bytes; more of them are no UTF-8 and may be cut anywhere.
    let is_continuation = |at: usize| value[at] & 0xc0 == 0x80;
    (0..=3.min(most)).map(|back| most - back).find(|&at| !is_continuation(at)).map_or(cut, |at| &value[..at])
}

/// Appends how much was not shown: `… (+1234 bytes)`. Nothing, if nothing was left out.
pub fn left_out(out: &mut Vec<u8>, bytes: usize) {
    if bytes > 0 {
        out.extend_from_slice("… (+".as_bytes());
        int(out, bytes);
        out.extend_from_slice(if bytes == 1 { b" byte)" } else { b" bytes)" });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::char::range;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn escape(value: &[u8]) -> String {
        let mut out = Vec::new();
        escaped(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    /// Reads the escapes back.
    fn unescape(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        let mut rest = text;
        while let Some(character) = rest.chars().next() {
            rest = &rest[character.len_utf8()..];
            if character != '\\' {
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            let (kind, behind) = rest.split_at(1);
            rest = behind;
            match kind {
                "n" => out.push(b'\n'),
                "t" => out.push(b'\t'),
                "r" => out.push(b'\r'),
                "x" => {
                    out.push(u8::from_str_radix(&rest[..2], 16).unwrap());
                    rest = &rest[2..];
                }
                "u" => {
                    let (digits, behind) = rest[1..].split_once('}').unwrap();
                    let character = char::from_u32(u32::from_str_radix(digits, 16).unwrap()).unwrap();
                    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                    rest = behind;
                }
                other => out.extend_from_slice(other.as_bytes()),
            }
        }
        out
    }

    #[test]
    fn what_could_drive_a_terminal_is_escaped() {
        assert_eq!(escape(b"bell\x07 escape\x1b[31m nul\x00 del\x7f"), r"bell\x07 escape\x1b[31m nul\x00 del\x7f");
        assert_eq!(escape(b"tab\tline\nreturn\r"), r"tab\tline\nreturn\r");
        assert_eq!(escape(br#"a "quote" and \"#), r#"a \"quote\" and \\"#);
        assert_eq!(escape("csi \u{9b}31m next \u{85}".as_bytes()), r"csi \u{9b}31m next \u{85}");
        assert_eq!(
            escape("\u{202e}\u{2066}\u{200f}\u{61c}\u{2028}".as_bytes()),
            r"\u{202e}\u{2066}\u{200f}\u{61c}\u{2028}"
        );
        assert_eq!(escape(b"bad \xff\xc3( \xed\xa0\x80"), r"bad \xff\xc3( \xed\xa0\x80");
        assert_eq!(escape("Wert mit Umlauten äöü, 日本語, 🎉".as_bytes()), "Wert mit Umlauten äöü, 日本語, 🎉");
        assert_eq!(escape(b""), "");
    }

    #[test]
    fn no_character_that_is_not_printable_gets_through() {
        for character in (0..=0x10_ffff).filter_map(char::from_u32) {
            let shown = escape(character.to_string().as_bytes());
            let named = matches!(character,
                '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}');
            assert!(is_unsafe_to_show(character) || !(character.is_control() || named), "{character:?}");
            if is_unsafe_to_show(character) || matches!(character, '"' | '\\') {
                assert!(shown.is_ascii() && shown.starts_with('\\'), "{character:?} {shown}");
            } else {
                assert_eq!(shown, character.to_string());
            }
            assert_eq!(escape(format!("ä{character}x").as_bytes()), format!("ä{shown}x"));
            assert_eq!(unescape(&shown), character.to_string().as_bytes());
        }
    }

    #[test]
    fn a_sentence_keeps_quotes_and_backslashes_and_nothing_that_drives_a_terminal() {
        let mut out = Vec::new();
        sentence(&mut out, "\"a\\b\" äöü \x1b[31m\n\u{202e}".as_bytes());
        sentence(&mut out, b"\xff");
        assert_eq!(String::from_utf8(out).unwrap(), r#""a\b" äöü \x1b[31m\n\u{202e}\xff"#);
    }

    #[test]
    fn a_cut_is_between_two_characters() {
        let value = "aä日🎉z".as_bytes();
        let lengths = [0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11];
        for (most, length) in lengths.into_iter().enumerate() {
            assert_eq!(shown(value, most).len(), length, "{most}");
        }
        assert_eq!(shown(&[0x80; 9], 5), [0x80; 5]);
        assert_eq!(shown(b"abc", usize::MAX), b"abc");
    }

    #[test]
    fn what_is_left_out_is_counted() {
        let note = |bytes| {
            let mut out = Vec::new();
            left_out(&mut out, bytes);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(note(1234), "… (+1234 bytes)");
        assert_eq!(note(1), "… (+1 byte)");
        assert_eq!(note(0), "");
    }

    proptest! {
        #[test]
        fn escaped_bytes_can_be_read_back(value: Vec<u8>) {
            prop_assert_eq!(unescape(&escape(&value)), value);
        }

        #[test]
        fn escaped_text_can_be_read_back_and_is_printable(
            text in vec(prop_oneof![Just('"'), range(' ', '~'), range('\0', '\u{a0}'), range('\u{2000}', '\u{2070}'), any::<char>()], 0..100),
        ) {
            let text: String = text.into_iter().collect();
            let shown = escape(text.as_bytes());
            prop_assert!(!shown.chars().any(|character| character.is_control() || is_unsafe_to_show(character)));
            prop_assert_eq!(unescape(&shown), text.as_bytes());
        }
    }
}
