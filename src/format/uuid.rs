//! Kafka's ids of topics, directories and clusters: 16 bytes that are written as 22 characters.

use std::fmt;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const CHARACTERS: usize = 22;

/// A 16-byte id. Its text form is URL-safe base64 without padding: 22 characters.
///
/// Source: Kafka `Uuid`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// Sixteen zeros: no id.
    pub const ZERO: Self = Self([0; 16]);

    /// The id of the topic `__cluster_metadata`.
    pub const METADATA_TOPIC: Self = Self([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);

    /// The id that `text` spells, `None` where Kafka would not read it: it takes 22 characters, with `==` behind
    /// them or without. The last character has four bits to spare, and what they are does not matter.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = if text.len() == CHARACTERS { text } else { text.strip_suffix(b"==")? };
        let characters: &[u8; CHARACTERS] = text.try_into().ok()?;
        // 22 characters are 132 bits, of which a u128 keeps those behind the first four: take these apart.
        let mut bits = 0u128;
        let (last, others) = characters.split_last()?;
        for &character in others {
            bits = bits << 6 | u128::from(value(character)?);
        }
        bits = bits << 2 | u128::from(value(*last)? >> 4);
        Some(Self(bits.to_be_bytes()))
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = u128::from_be_bytes(self.0);
        let sextets = (0..21u32).rev().map(|n| bits >> n.saturating_mul(6).saturating_add(2)).chain([bits << 4]);
        let text: String = sextets
            .filter_map(|bits| ALPHABET.get((bits & 0x3f) as usize))
            .map(|&character| char::from(character))
            .collect();
        f.pad(&text)
    }
}

fn value(character: u8) -> Option<u8> {
    let value = ALPHABET.iter().position(|&known| known == character)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Kafka's `Uuid.fromString` read the first three and refused the others.
    #[test]
    fn a_uuid_is_read_as_kafka_reads_it() {
        let mut known = [0; 16];
        (known[7], known[15]) = (1, 2);
        assert_eq!(Uuid::parse(b"AAAAAAAAAAEAAAAAAAAAAg"), Some(Uuid(known)));
        assert_eq!(Uuid::parse(b"AAAAAAAAAAEAAAAAAAAAAg=="), Some(Uuid(known)));
        assert_eq!(Uuid::parse(b"AAAAAAAAAAAAAAAAAAAAA_").unwrap().to_string(), "AAAAAAAAAAAAAAAAAAAAAw");
        for refused in [
            "",
            "AAAAAAAAAAEAAAAAAAAAA",
            "AAAAAAAAAAEAAAAAAAAAAg=",
            "AAAAAAAAAAEAAAAAAAAAAg ",
            "AAAAAAAAAAEAAAAAAAAAAgAA",
            "AAAAAAAAAAEAAAAAAAAAAgAAA",
            "+AAAAAAAAAEAAAAAAAAAAg",
            "AAAAAAAAAA=AAAAAAAAAAg",
        ] {
            assert_eq!(Uuid::parse(refused.as_bytes()), None, "{refused}");
        }
    }

    #[test]
    fn the_metadata_topic_has_the_id_that_its_partition_metadata_shows() {
        assert_eq!(Uuid::METADATA_TOPIC.to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
        assert_eq!(Uuid::ZERO.to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_back(bytes: [u8; 16]) {
            let text = Uuid(bytes).to_string();
            prop_assert_eq!(text.len(), CHARACTERS);
            prop_assert_eq!(Uuid::parse(text.as_bytes()), Some(Uuid(bytes)));
        }
    }
}
