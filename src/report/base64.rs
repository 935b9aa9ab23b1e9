//! Base64 and hexadecimal, appended to a buffer.

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
pub(super) const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends `bytes` in standard base64 (`+`, `/`), padded with `=`.
pub fn standard(out: &mut Vec<u8>, bytes: &[u8]) {
    encode(out, bytes, STANDARD);
    out.extend_from_slice(match bytes.len() % 3 {
        0 => b"",
        1 => b"==",
        _ => b"=",
    });
}

/// Appends `bytes` in URL-safe base64 (`-`, `_`) without padding.
pub fn url_safe(out: &mut Vec<u8>, bytes: &[u8]) {
    encode(out, bytes, URL_SAFE);
}

/// Appends `bytes` as two lower-case hexadecimal digits each.
pub fn hex(out: &mut Vec<u8>, bytes: &[u8]) {
    out.reserve(bytes.len() * 2);
    for &byte in bytes {
        out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
}

fn encode(out: &mut Vec<u8>, bytes: &[u8], digits: &[u8; 64]) {
    out.reserve(bytes.len().div_ceil(3) * 4);
    let four = |a: u8, b: u8, c: u8| {
        let bits = u32::from_be_bytes([0, a, b, c]);
        [18, 12, 6, 0].map(|shift| digits[(bits >> shift & 63) as usize])
    };
    let (threes, rest) = bytes.as_chunks::<3>();
    for &[a, b, c] in threes {
        out.extend_from_slice(&four(a, b, c));
    }
    match *rest {
        [a] => out.extend_from_slice(&four(a, 0, 0)[..2]),
        [a, b] => out.extend_from_slice(&four(a, b, 0)[..3]),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(put: fn(&mut Vec<u8>, &[u8]), bytes: &[u8]) -> String {
        let mut out = Vec::new();
        put(&mut out, bytes);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn base64_is_that_of_rfc_4648() {
        let examples = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, encoded) in examples {
            assert_eq!(text_of(standard, plain.as_bytes()), encoded);
            assert_eq!(text_of(url_safe, plain.as_bytes()), encoded.trim_end_matches('='));
        }
        assert_eq!(text_of(standard, &[0xff, 0xfe, 0xfd]), "//79");
        assert_eq!(text_of(standard, &[0xfb, 0xff]), "+/8=");
        assert_eq!(text_of(url_safe, &[0xfb, 0xff]), "-_8");
    }

    #[test]
    fn a_kafka_id_has_22_characters() {
        let bytes = 0x523e_709f_f16a_4d78_ab10_04af_5594_58d7_u128.to_be_bytes();
        assert_eq!(text_of(url_safe, &bytes), "Uj5wn_FqTXirEASvVZRY1w");
    }

    #[test]
    fn hexadecimal_has_two_digits_a_byte() {
        assert_eq!(text_of(hex, &[0, 0x0f, 0xa0, 0xff]), "000fa0ff");
    }
}
