//! Copying text while putting a backslash before quotes and backslashes: what escaped JSON and quoted text share.
//!
//! Kafka's values are JSON more often than not, and JSON inside JSON has a quote every few bytes, so this decides the
//! speed of a dump. Two ways are kept: this portable one, and one with SSSE3 instructions, which is three times as
//! fast on such values.

/// What is copied as it is and what is left to the caller.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// Stop before bytes below 0x20.
    Control,
    /// Stop before bytes below 0x20 and above 0x7e.
    ControlAndNonAscii,
}

/// How many bytes are looked at together.
pub(super) const BLOCK: usize = 16;

/// Appends `bytes` with a backslash before each `"` and `\`, up to the first block of [`BLOCK`] bytes that holds a byte
/// to stop at. Returns how many bytes were taken: a multiple of [`BLOCK`], or all.
#[inline]
pub(super) fn copy_escaped(out: &mut Vec<u8>, bytes: &[u8], stop: Stop) -> usize {
    super::escape_x86::copy_escaped(out, bytes, stop).unwrap_or_else(|| portable(out, bytes, stop))
}

fn portable(out: &mut Vec<u8>, bytes: &[u8], stop: Stop) -> usize {
    let (blocks, rest) = bytes.as_chunks::<BLOCK>();
    for (at, block) in blocks.iter().enumerate() {
        if !portable_block(out, block, BLOCK, stop) {
            return at * BLOCK;
        }
    }
    if !rest.is_empty() && !portable_block(out, &last_block(bytes, rest.len()), rest.len(), stop) {
        return bytes.len() - rest.len();
    }
    bytes.len()
}

fn portable_block(out: &mut Vec<u8>, block: &[u8; BLOCK], length: usize, stop: Stop) -> bool {
    // No branch inside the loops, so that they become vector instructions.
    let is_special = |byte: u8| byte == b'"' || byte == b'\\';
    let is_stop = |byte: u8| byte < 0x20 || (stop == Stop::ControlAndNonAscii && byte > 0x7e);
    if block.iter().fold(false, |found, &byte| found | is_stop(byte)) {
        return false;
    }
    let start = out.len();
    if !block.iter().fold(false, |found, &byte| found | is_special(byte)) {
        out.extend_from_slice(block);
        out.truncate(start + length);
        return true;
    }
    let mut escaped = [b'\\'; 2 * BLOCK];
    let mut end = 0;
    for &byte in block {
        // A backslash is there already: a special byte only leaves it in front of itself.
        end += usize::from(is_special(byte));
        escaped[end % (2 * BLOCK)] = byte;
        end += 1;
    }
    out.extend_from_slice(&escaped);
    out.truncate(start + end - (BLOCK - length));
    true
}

/// The last `length` (1..16) of `bytes`, filled up with spaces. Without loops, which would make the later read of the
/// whole block wait for single-byte writes.
#[inline(always)]
pub(super) fn last_block(bytes: &[u8], length: usize) -> [u8; BLOCK] {
    let bits = length as u32 * 8;
    let value = if let Some(last) = bytes.last_chunk::<16>() {
        u128::from_le_bytes(*last) >> (128 - bits)
    } else if let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        u128::from(u64::from_le_bytes(*first)) | u128::from(u64::from_le_bytes(*last)) << (bits - 64)
    } else if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        u128::from(u32::from_le_bytes(*first)) | u128::from(u32::from_le_bytes(*last)) << (bits - 32)
    } else {
        bytes.iter().rev().fold(0, |value, &byte| value << 8 | u128::from(byte))
    };
    (value | u128::from_le_bytes([b' '; BLOCK]) << bits).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// One byte at a time.
    fn plainly(bytes: &[u8], stop: Stop) -> (Vec<u8>, usize) {
        let mut out = Vec::new();
        let mut taken = 0;
        for block in bytes.chunks(BLOCK) {
            if block.iter().any(|&byte| byte < 0x20 || (stop == Stop::ControlAndNonAscii && byte > 0x7e)) {
                break;
            }
            taken += block.len();
            for &byte in block {
                if byte == b'"' || byte == b'\\' {
                    out.push(b'\\');
                }
                out.push(byte);
            }
        }
        (out, taken)
    }

    fn check(bytes: &[u8]) {
        for stop in [Stop::Control, Stop::ControlAndNonAscii] {
            let (expected, taken) = plainly(bytes, stop);
            let mut out = Vec::new();
            assert_eq!(portable(&mut out, bytes, stop), taken, "{bytes:?}");
            assert_eq!(out, expected, "{bytes:?}");
            out.clear();
            assert_eq!(copy_escaped(&mut out, bytes, stop), taken, "{bytes:?}");
            assert_eq!(out, expected, "{bytes:?}");
        }
    }

    #[test]
    fn every_byte_at_every_place_of_every_length_is_treated_alike_by_both_ways() {
        for length in 0..=40 {
            for at in 0..length {
                for byte in 0..=255 {
                    let mut bytes = b"abcdefghijklmnopqrstuvwxyz\"\\'/ABCDEFGHIJKLMN"[..length].to_vec();
                    bytes[at] = byte;
                    check(&bytes);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_mix_of_quotes_and_letters_is_treated_alike_by_both_ways(
            bytes in vec(prop_oneof![Just(b'"'), Just(b'\\'), b' '..b'~'], 0..100),
        ) {
            check(&bytes);
        }

        #[test]
        fn any_bytes_are_treated_alike_by_both_ways(bytes: Vec<u8>) {
            check(&bytes);
        }
    }
}
