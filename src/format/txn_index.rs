//! The aborted-transaction index of a segment, `<base>.txnindex`: what a read-committed consumer must pass over.

use super::Offset;
use super::bytes::Reader;
use super::fixed_entries::FixedEntries;

/// The bytes of one entry.
pub const ENTRY_SIZE: usize = 34;

/// The version that Kafka writes.
pub const VERSION: i16 = 0;

/// The aborted transactions of one segment: 34-byte entries, big-endian, never preallocated.
///
/// | bytes  | field              | meaning                                                           |
/// |--------|--------------------|-------------------------------------------------------------------|
/// | 0..2   | version            | 0                                                                 |
/// | 2..10  | producer id        |                                                                   |
/// | 10..18 | first offset       | first offset of the transaction, maybe in an earlier segment      |
/// | 18..26 | last offset        | offset of the abort marker, always in this segment                |
/// | 26..34 | last stable offset | first offset still undecided right after this abort (exclusive)   |
///
/// Errors: none. A length that is no multiple of 34 shows in [`partial_entry`](Self::partial_entry).
/// Source: Kafka `TransactionIndex`, `AbortedTxn`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxnIndex<'a> {
    entries: FixedEntries<'a, ENTRY_SIZE>,
}

/// One aborted transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTxn {
    /// The stored version, 0 in every healthy file.
    pub version: i16,
    /// Whose transaction it was.
    pub producer_id: i64,
    /// The base offset of the first data batch of the transaction.
    pub first_offset: Offset,
    /// The offset of the abort marker.
    pub last_offset: Offset,
    /// The last stable offset right after this abort: nothing below it is undecided.
    pub last_stable_offset: Offset,
}

impl<'a> TxnIndex<'a> {
    /// A view over the whole content of a transaction index file.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { entries: FixedEntries::new(bytes) }
    }

    /// The number of whole entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is not one whole entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entry at `slot`, counted from 0.
    pub fn entry(&self, slot: usize) -> Option<AbortedTxn> {
        self.entries.get(slot).and_then(AbortedTxn::read)
    }

    /// All whole entries, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = AbortedTxn> + use<'a> {
        self.entries.iter().filter_map(AbortedTxn::read)
    }

    /// The bytes after the last whole entry: readers pass over them, but the next append goes *behind* them, so
    /// that every entry from there on is read at the wrong place.
    pub fn partial_entry(&self) -> &'a [u8] {
        self.entries.partial()
    }

    /// The first slot from which every entry to the end is all zero; [`len`](Self::len) where the last one is not.
    /// No Kafka pads this file: zeros come from elsewhere.
    pub fn zero_tail(&self) -> usize {
        self.entries.zero_tail()
    }
}

impl AbortedTxn {
    /// The first of the two version bytes, the only one that releases before 4.4 look at (they refuse it above 0).
    pub fn version_byte(&self) -> i8 {
        let [first, _] = self.version.to_be_bytes();
        first as i8
    }

    /// Appends the 34 bytes of the entry.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.version.to_be_bytes());
        for field in [self.producer_id, self.first_offset.0, self.last_offset.0, self.last_stable_offset.0] {
            out.extend(field.to_be_bytes());
        }
    }

    fn read(bytes: &[u8; ENTRY_SIZE]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let mut read = || {
            Ok::<_, super::bytes::ReadError>(Self {
                version: reader.i16()?,
                producer_id: reader.i64()?,
                first_offset: Offset(reader.i64()?),
                last_offset: Offset(reader.i64()?),
                last_stable_offset: Offset(reader.i64()?),
            })
        };
        read().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn two_aborts_that_a_broker_wrote_are_read_as_kafka_reads_them() {
        // The file a 2.8.2 broker left for a segment with base offset 25.
        let bytes = [
            0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 28, 0, 0, 0, 0, 0, 0, 0, 29, 0, 0, 0, 0, 0, 0, 0,
            30, //
            0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 34, 0, 0, 0, 0, 0, 0, 0, 35, 0, 0, 0, 0, 0, 0, 0, 32,
        ];
        let read: Vec<_> = TxnIndex::new(&bytes)
            .iter()
            .map(|txn| (txn.producer_id, txn.first_offset.0, txn.last_offset.0, txn.last_stable_offset.0))
            .collect();
        assert_eq!(read, [(5, 28, 29, 30), (1, 34, 35, 32)]);
    }

    #[test]
    fn the_version_has_two_bytes_of_which_old_readers_see_the_first() {
        let mut bytes = [0u8; 70];
        bytes[1] = 1;
        bytes[34] = 0xff;
        bytes[35 + 8] = 9;
        let index = TxnIndex::new(&bytes);
        let first = index.entry(0).unwrap();
        assert_eq!((first.version, first.version_byte()), (1, 0));
        let second = index.entry(1).unwrap();
        assert_eq!((second.version, second.version_byte(), second.producer_id), (-256, -1, 9));
        assert_eq!((index.len(), index.partial_entry()), (2, [0, 0].as_slice()));
    }

    proptest! {
        #[test]
        fn writing_what_was_read_gives_the_same_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let index = TxnIndex::new(&bytes);
            let mut out = Vec::new();
            index.iter().for_each(|entry| entry.write(&mut out));
            out.extend(index.partial_entry());
            prop_assert_eq!(&out, &bytes);
            prop_assert_eq!(index.iter().count(), index.len());
        }

        #[test]
        fn an_entry_is_read_back(version: i16, fields: [i64; 4]) {
            let [producer_id, first, last, stable] = fields;
            let entry = AbortedTxn {
                version,
                producer_id,
                first_offset: Offset(first),
                last_offset: Offset(last),
                last_stable_offset: Offset(stable),
            };
            let mut out = Vec::new();
            entry.write(&mut out);
            prop_assert_eq!(TxnIndex::new(&out).entry(0), Some(entry));
        }
    }
}
