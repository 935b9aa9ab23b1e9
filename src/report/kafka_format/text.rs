//! Numbers and text as Java writes them.

/// Appends text.
#[inline]
pub fn put(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

/// Appends `label` and a number.
#[inline]
pub fn put_int(out: &mut Vec<u8>, label: &str, number: impl itoa::Integer) {
    put(out, label);
    put(out, itoa::Buffer::new().format(number));
}

/// Appends `label` and `true` or `false`.
#[inline]
pub(super) fn put_bool(out: &mut Vec<u8>, label: &str, value: bool) {
    put(out, label);
    put(out, if value { "true" } else { "false" });
}

/// Appends what Java makes of bytes that should be UTF-8: U+FFFD for each run of bytes that cannot be.
///
/// Runs are counted as the Unicode standard advises and as Rust does, with one exception: an encoded surrogate, whole
/// or cut off after its second byte, is one run.
///
/// Source: the `String(byte[], Charset)` constructor of Java.
#[inline]
pub fn put_java_utf8(out: &mut Vec<u8>, bytes: &[u8]) {
    let mut rest = bytes;
    loop {
        let error = match std::str::from_utf8(rest) {
            Ok(text) => return put(out, text),
            Err(error) => error,
        };
        let (valid, bad) = rest.split_at(error.valid_up_to());
        out.extend_from_slice(valid);
        put(out, "\u{fffd}");
        let run = match bad {
            [0xed, 0xa0..=0xbf, 0x80..=0xbf, ..] => 3,
            [0xed, 0xa0..=0xbf, ..] => 2,
            _ => error.error_len().unwrap_or(bad.len()),
        };
        rest = &bad[run..];
    }
}

/// Appends bytes that should be UTF-8 as a JSON string, escaped as Kafka's JSON library does it.
///
/// Source: Jackson `WriterBasedJsonGenerator` with its default escapes.
pub(super) fn put_json_string(out: &mut Vec<u8>, bytes: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let start = out.len();
    put_java_utf8(out, bytes);
    let text = out.split_off(start);
    out.push(b'"');
    for byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0x08 => put(out, "\\b"),
            b'\t' => put(out, "\\t"),
            b'\n' => put(out, "\\n"),
            0x0c => put(out, "\\f"),
            b'\r' => put(out, "\\r"),
            0..0x20 => {
                put(out, "\\u00");
                out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::testing::unhex;

    fn java(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        put_java_utf8(&mut out, bytes);
        String::from_utf8(out).unwrap()
    }

    /// What Java 17 makes of each: checked with `new String(bytes, UTF_8)`.
    #[test]
    fn broken_utf_8_becomes_as_many_marks_as_in_java() {
        for (hex, expected) in [
            ("62c3a90a", "bé\n"),
            ("edb080", "\u{fffd}"),
            ("eda0bdedb880", "\u{fffd}\u{fffd}"),
            ("eda080", "\u{fffd}"),
            ("eda0", "\u{fffd}"),
            ("ed", "\u{fffd}"),
            ("eda041", "\u{fffd}A"),
            ("eda0c3a9", "\u{fffd}é"),
            ("ed9fbf", "\u{d7ff}"),
            ("f4908080", "\u{fffd}\u{fffd}\u{fffd}\u{fffd}"),
            ("c080", "\u{fffd}\u{fffd}"),
            ("e08080", "\u{fffd}\u{fffd}\u{fffd}"),
            ("f09f98", "\u{fffd}"),
            ("f09f9841", "\u{fffd}A"),
            ("41ff42fe", "A\u{fffd}B\u{fffd}"),
            ("e282", "\u{fffd}"),
            ("e28241", "\u{fffd}A"),
        ] {
            assert_eq!(java(&unhex(hex)), expected, "{hex}");
        }
    }

    #[test]
    fn json_strings_have_upper_case_escapes_and_raw_text() {
        let mut out = Vec::new();
        put_json_string(&mut out, "a\"\\/\u{8}\t\n\u{c}\r\u{1f}\u{7f}é\u{1f600}".as_bytes());
        assert_eq!(String::from_utf8(out).unwrap(), "\"a\\\"\\\\/\\b\\t\\n\\f\\r\\u001F\u{7f}é\u{1f600}\"");
    }
}
