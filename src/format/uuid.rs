//! The 128-bit ids that Kafka gives to topics, directories and voters.

use std::fmt::{self, Write};

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// How many characters a [`Uuid`] is written with.
const TEXT_LENGTH: usize = 22;

/// A 128-bit id, most significant byte first. Shown as Kafka shows it: 22 characters of URL-safe base64.
///
/// Source: Kafka `Uuid`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// The id that `text` spells: 22 characters of URL-safe base64, with or without the two `=` of padding.
    ///
    /// The four bits of the last character that no byte takes may have any value, as in Kafka.
    pub fn parse(text: &str) -> Option<Uuid> {
        let text = text.strip_suffix("==").unwrap_or(text);
        if text.len() != TEXT_LENGTH {
            return None;
        }
        let mut value = 0u128;
        let mut digits = text.bytes().map(|byte| DIGITS.iter().position(|&digit| digit == byte));
        for _ in 1..TEXT_LENGTH {
            value = value << 6 | digits.next()?? as u128;
        }
        // 21 characters hold 126 bits; the last holds the other two in front of four spare ones.
        value = value << 2 | digits.next()?? as u128 >> 4;
        Some(Uuid(value.to_be_bytes()))
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = u128::from_be_bytes(self.0);
        let sextets = (0..21u32).map(|at| value >> 122u32.saturating_sub(at.saturating_mul(6)));
        for sextet in sextets.chain([value << 4]) {
            f.write_char(DIGITS.get((sextet & 63) as usize).copied().unwrap_or_default().into())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_id_is_shown_as_kafka_shows_it() {
        let bytes = 0x523e_709f_f16a_4d78_ab10_04af_5594_58d7_u128.to_be_bytes();
        assert_eq!(Uuid(bytes).to_string(), "Uj5wn_FqTXirEASvVZRY1w");
        assert_eq!(Uuid([0; 16]).to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(Uuid::parse("Uj5wn_FqTXirEASvVZRY1w"), Some(Uuid(bytes)));
        assert_eq!(Uuid::parse("Uj5wn_FqTXirEASvVZRY1w=="), Some(Uuid(bytes)));
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in
            ["", "Uj5wn_FqTXirEASvVZRY1", "Uj5wn_FqTXirEASvVZRY1ww", "Uj5wn+FqTXirEASvVZRY1w", "Uj5wn_FqTXirEASvVZRé"]
        {
            assert_eq!(Uuid::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_id_reads_back(bytes: [u8; 16]) {
            let text = Uuid(bytes).to_string();
            prop_assert_eq!(text.len(), 22);
            prop_assert_eq!(Uuid::parse(&text), Some(Uuid(bytes)));
        }
    }
}
