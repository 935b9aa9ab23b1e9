//! The producer snapshot, `<offset>.snapshot`: what the broker knew of every producer at that offset.

use super::Offset;
use super::bytes::{ReadError, Reader, i16_at, i32_at, u32_at};
use super::checksum::crc32c;

/// The only version ever released.
pub const VERSION: i16 = 1;
/// The bytes before the first entry.
pub const HEADER_SIZE: usize = 10;
/// The bytes of one entry.
pub const ENTRY_SIZE: usize = 46;

const CRC_AT: usize = 2;
const COUNT_AT: usize = 6;

/// The fields of an entry with their sizes, called as in the schema that releases up to 3.9 cite in errors.
const ENTRY_FIELDS: [(&str, usize); 8] = [
    ("producer_id", 8),
    ("epoch", 2),
    ("last_sequence", 4),
    ("last_offset", 8),
    ("offset_delta", 4),
    ("timestamp", 8),
    ("coordinator_epoch", 4),
    ("current_txn_first_offset", 8),
];

/// Why a broker would throw a producer snapshot away and take the next older one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// The file ends before the field.
    #[error("the field {field} is missing at byte {at}: the file has {size_in_bytes} bytes")]
    TooShort {
        /// The schema name of the field: `version`, `crc`, `producer_entries` (the count), or a field of an entry.
        field: &'static str,
        /// Whether it is a field of an entry.
        in_entry: bool,
        /// Where the field should begin.
        at: usize,
        /// The size of the file.
        size_in_bytes: usize,
    },
    /// The version is not 1.
    #[error("version {version} is unknown")]
    UnknownVersion {
        /// The stored version.
        version: i16,
    },
    /// The number of entries is below 0.
    #[error("the number of entries is {count}")]
    NegativeCount {
        /// The stored number of entries.
        count: i32,
    },
    /// The number of entries is larger than that of the bytes after it.
    #[error("{count} entries are announced in {remaining} bytes")]
    CountTooLarge {
        /// The stored number of entries.
        count: i32,
        /// The bytes after the count.
        remaining: usize,
    },
    /// The checksum does not fit the bytes, or bytes follow the last entry that it does not know of.
    #[error("the stored checksum is {stored}, that of the bytes {computed}")]
    Crc {
        /// The stored CRC-32C.
        stored: u32,
        /// The CRC-32C of everything from byte 6 to the end.
        computed: u32,
    },
}

/// The state of all producers at one offset, in the order of the file.
///
/// | bytes   | field             | meaning                                  |
/// |---------|-------------------|------------------------------------------|
/// | 0..2    | version           | 1                                        |
/// | 2..6    | crc               | CRC-32C of byte 6 to the end of the file |
/// | 6..10   | number of entries | n                                        |
/// | 10..    | entries           | 46 bytes each, see [`ProducerEntry`]     |
///
/// The order of entries is that of a Java hash map: it means nothing.
///
/// Source: Kafka `ProducerStateManager.readSnapshot`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerSnapshot<'a> {
    bytes: &'a [u8],
    entries: &'a [[u8; ENTRY_SIZE]],
}

impl<'a> ProducerSnapshot<'a> {
    /// Reads the whole content of a snapshot file and checks it in the order of Kafka 4.0 and later:
    /// version, layout, checksum. Bytes after the last entry are legal if the checksum covers them.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, SnapshotError> {
        known_version(read_i16(bytes)?)?;
        let snapshot = Self::layout(bytes)?;
        snapshot.check_crc()?;
        Ok(snapshot)
    }

    /// As [`parse`](Self::parse), but checks in the order of releases up to 3.9: layout, version, checksum.
    /// Both accept the same files and differ in what they say of a file with two faults.
    pub fn parse_layout_first(bytes: &'a [u8]) -> Result<Self, SnapshotError> {
        let snapshot = Self::layout(bytes)?;
        known_version(read_i16(bytes)?)?;
        snapshot.check_crc()?;
        Ok(snapshot)
    }

    /// What can be read of a file that may be damaged, whatever its version and checksum say: as many entries as it
    /// announces, or all whole ones if it announces more than there are or fewer than 0.
    pub fn lenient(bytes: &'a [u8]) -> Self {
        let (whole, _) = bytes.get(HEADER_SIZE..).unwrap_or_default().as_chunks::<ENTRY_SIZE>();
        let announced = i32_at(bytes, COUNT_AT).and_then(|count| usize::try_from(count).ok());
        let entries = announced.and_then(|count| whole.get(..count)).unwrap_or(whole);
        Self { bytes, entries }
    }

    /// The stored version: `None` only where a lenient reading found less than two bytes.
    pub fn version(&self) -> Option<i16> {
        i16_at(self.bytes, 0)
    }

    /// The stored checksum: `None` only where a lenient reading found less than six bytes.
    pub fn stored_crc(&self) -> Option<u32> {
        u32_at(self.bytes, CRC_AT)
    }

    /// The checksum that fits the bytes: the CRC-32C of everything from byte 6 to the end.
    pub fn computed_crc(&self) -> u32 {
        crc32c(self.bytes.get(COUNT_AT..).unwrap_or_default())
    }

    /// The stored number of entries: `None` only where a lenient reading found less than ten bytes.
    pub fn stored_count(&self) -> Option<i32> {
        i32_at(self.bytes, COUNT_AT)
    }

    /// The number of entries that can be read.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no producer is known.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entry at `slot`, counted from 0.
    pub fn entry(&self, slot: usize) -> Option<ProducerEntry> {
        self.entries.get(slot).and_then(ProducerEntry::read)
    }

    /// All entries, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = ProducerEntry> + use<'a> {
        self.entries.iter().filter_map(ProducerEntry::read)
    }

    /// The bytes after the last entry: empty in every file Kafka writes.
    pub fn trailing_bytes(&self) -> &'a [u8] {
        let end = HEADER_SIZE.saturating_add(self.entries.as_flattened().len());
        self.bytes.get(end..).unwrap_or_default()
    }

    fn layout(bytes: &'a [u8]) -> Result<Self, SnapshotError> {
        read_i16(bytes)?;
        u32_at(bytes, CRC_AT).ok_or_else(|| too_short(bytes, "crc", CRC_AT))?;
        let count = i32_at(bytes, COUNT_AT).ok_or_else(|| too_short(bytes, "producer_entries", COUNT_AT))?;
        let wanted = usize::try_from(count).map_err(|_| SnapshotError::NegativeCount { count })?;
        let rest = bytes.get(HEADER_SIZE..).unwrap_or_default();
        if wanted > rest.len() {
            return Err(SnapshotError::CountTooLarge { count, remaining: rest.len() });
        }
        let (whole, partial) = rest.as_chunks::<ENTRY_SIZE>();
        match whole.get(..wanted) {
            Some(entries) => Ok(Self { bytes, entries }),
            None => Err(cut_entry(bytes, partial.len())),
        }
    }

    fn check_crc(&self) -> Result<(), SnapshotError> {
        let computed = self.computed_crc();
        match self.stored_crc() {
            Some(stored) if stored != computed => Err(SnapshotError::Crc { stored, computed }),
            _ => Ok(()),
        }
    }
}

fn read_i16(bytes: &[u8]) -> Result<i16, SnapshotError> {
    i16_at(bytes, 0).ok_or_else(|| too_short(bytes, "version", 0))
}

fn known_version(version: i16) -> Result<(), SnapshotError> {
    if version == VERSION { Ok(()) } else { Err(SnapshotError::UnknownVersion { version }) }
}

fn too_short(bytes: &[u8], field: &'static str, at: usize) -> SnapshotError {
    SnapshotError::TooShort { field, in_entry: false, at, size_in_bytes: bytes.len() }
}

/// The error of a file that ends `left` bytes into an entry: it names the first field that is not whole.
fn cut_entry(bytes: &[u8], left: usize) -> SnapshotError {
    let entry_at = bytes.len().saturating_sub(left);
    let mut into = 0usize;
    let mut missing = "producer_id";
    for (field, size) in ENTRY_FIELDS {
        missing = field;
        let end = into.saturating_add(size);
        if end > left {
            break;
        }
        into = end;
    }
    let at = entry_at.saturating_add(into);
    SnapshotError::TooShort { field: missing, in_entry: true, at, size_in_bytes: bytes.len() }
}

/// What is known of one producer. The fields are as stored; the methods of the same names know the sentinels.
///
/// | bytes  | field                    | meaning                                                      |
/// |--------|--------------------------|--------------------------------------------------------------|
/// | 0..8   | producer id              |                                                              |
/// | 8..10  | producer epoch           |                                                              |
/// | 10..14 | last sequence            | of its last data batch, −1 if there was none                 |
/// | 14..22 | last offset              | of its last data batch, −1 if there was none                 |
/// | 22..26 | offset delta             | last − first offset of that batch, 0 if there was none       |
/// | 26..34 | timestamp                | of its last batch or marker, milliseconds since 1970         |
/// | 34..38 | coordinator epoch        | of its last marker, −1 if there was none                     |
/// | 38..46 | current txn first offset | where its open transaction begins, −1 if it has none         |
///
/// Source: Kafka `ProducerStateManager` (`readSnapshot`, `writeSnapshot`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerEntry {
    /// Whose state this is.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i16,
    /// The last sequence number of its last data batch.
    pub last_sequence: i32,
    /// The last offset of its last data batch (inclusive).
    pub last_offset: i64,
    /// The last minus the first offset of that batch.
    pub offset_delta: i32,
    /// The time of its last batch or marker, milliseconds since 1970.
    pub timestamp: i64,
    /// The epoch of the coordinator that wrote its last marker.
    pub coordinator_epoch: i32,
    /// Where its open transaction begins.
    pub current_txn_first_offset: i64,
}

impl ProducerEntry {
    /// The last offset of the last data batch, `None` if the stored one is below 0: no batch is known.
    pub fn last_offset(&self) -> Option<Offset> {
        (self.last_offset >= 0).then_some(Offset(self.last_offset))
    }

    /// The first offset of the last data batch, `None` if no batch is known.
    pub fn first_offset(&self) -> Option<Offset> {
        self.last_offset().map(|last| Offset(last.0.wrapping_sub(i64::from(self.offset_delta))))
    }

    /// The last sequence number of the last data batch, `None` if no batch is known.
    pub fn last_sequence(&self) -> Option<i32> {
        self.last_offset().map(|_| self.last_sequence)
    }

    /// The first sequence number of the last data batch, `None` if no batch is known.
    ///
    /// Sequence numbers go from 2³¹ − 1 on to 0, and so back from 0 to 2³¹ − 1.
    /// Source: Kafka `DefaultRecordBatch.decrementSequence`.
    pub fn first_sequence(&self) -> Option<i32> {
        let (last, delta) = (self.last_sequence()?, self.offset_delta);
        Some(if last < delta {
            i32::MAX.wrapping_sub(delta.wrapping_sub(last)).wrapping_add(1)
        } else {
            last.wrapping_sub(delta)
        })
    }

    /// The time of the last batch or marker in milliseconds since 1970, `None` if the stored one is below 0.
    pub fn timestamp(&self) -> Option<i64> {
        (self.timestamp >= 0).then_some(self.timestamp)
    }

    /// The epoch of the coordinator that wrote the last marker, `None` if the stored one is below 0: no marker seen.
    pub fn coordinator_epoch(&self) -> Option<i32> {
        (self.coordinator_epoch >= 0).then_some(self.coordinator_epoch)
    }

    /// Where the open transaction begins, `None` if the stored offset is below 0: none is open.
    pub fn current_txn_first_offset(&self) -> Option<Offset> {
        (self.current_txn_first_offset >= 0).then_some(Offset(self.current_txn_first_offset))
    }

    /// Appends the 46 bytes of the entry.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.producer_id.to_be_bytes());
        out.extend(self.producer_epoch.to_be_bytes());
        out.extend(self.last_sequence.to_be_bytes());
        out.extend(self.last_offset.to_be_bytes());
        out.extend(self.offset_delta.to_be_bytes());
        out.extend(self.timestamp.to_be_bytes());
        out.extend(self.coordinator_epoch.to_be_bytes());
        out.extend(self.current_txn_first_offset.to_be_bytes());
    }

    fn read(bytes: &[u8; ENTRY_SIZE]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let mut read = || {
            Ok::<_, ReadError>(Self {
                producer_id: reader.i64()?,
                producer_epoch: reader.i16()?,
                last_sequence: reader.i32()?,
                last_offset: reader.i64()?,
                offset_delta: reader.i32()?,
                timestamp: reader.i64()?,
                coordinator_epoch: reader.i32()?,
                current_txn_first_offset: reader.i64()?,
            })
        };
        read().ok()
    }
}

/// The bytes of a snapshot file with these entries, in the order given.
pub fn write(entries: &[ProducerEntry]) -> Vec<u8> {
    let mut body = Vec::new();
    // 2³¹ entries would be 98 GB, more than a slice of them can hold next to their bytes.
    body.extend(i32::try_from(entries.len()).unwrap_or(i32::MAX).to_be_bytes());
    entries.iter().for_each(|entry| entry.write(&mut body));
    let mut out = Vec::new();
    out.extend(VERSION.to_be_bytes());
    out.extend(crc32c(&body).to_be_bytes());
    out.append(&mut body);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What Kafka's `ProducerStateManager` wrote for no producers at all.
    const EMPTY: [u8; 10] = [0, 1, 0x48, 0x67, 0x4b, 0xc7, 0, 0, 0, 0];

    /// What it wrote for one producer.
    const ONE: [u8; 56] = [
        0, 1, 0xe1, 0xe4, 0xe3, 0xb1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x0f, 0xa0, 0, 3, 0, 0, 0, 0x29, 0, 0, 0, 0, 0, 0,
        0, 0xcd, 0, 0, 0, 1, 0, 0, 1, 0x8b, 0xcf, 0xe5, 0x68, 9, 0, 0, 0, 12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff,
    ];

    const PRODUCER: ProducerEntry = ProducerEntry {
        producer_id: 4000,
        producer_epoch: 3,
        last_sequence: 41,
        last_offset: 205,
        offset_delta: 1,
        timestamp: 1_700_000_000_009,
        coordinator_epoch: 12,
        current_txn_first_offset: -1,
    };

    fn with(version: i16, crc: Option<u32>, body: &[u8]) -> Vec<u8> {
        let crc = crc.unwrap_or_else(|| crc32c(body));
        [&version.to_be_bytes()[..], &crc.to_be_bytes(), body].concat()
    }

    fn too_short(field: &'static str, in_entry: bool, at: usize, size_in_bytes: usize) -> SnapshotError {
        SnapshotError::TooShort { field, in_entry, at, size_in_bytes }
    }

    #[test]
    fn snapshots_of_kafka_are_read_and_written_byte_for_byte() {
        assert!(ProducerSnapshot::parse(&EMPTY).unwrap().is_empty());
        assert_eq!(write(&[]), EMPTY);
        let one = ProducerSnapshot::parse(&ONE).unwrap();
        assert_eq!(one.iter().collect::<Vec<_>>(), [PRODUCER]);
        assert_eq!((one.version(), one.stored_count(), one.trailing_bytes()), (Some(1), Some(1), [].as_slice()));
        assert_eq!(write(&[PRODUCER]), ONE);
        assert_eq!(PRODUCER.first_sequence(), Some(40));
        assert_eq!(PRODUCER.first_offset(), Some(Offset(204)));
        assert_eq!(PRODUCER.current_txn_first_offset(), None);
    }

    /// Expectations are what `kafka-dump-log` of 4.4.0 (first) and of 3.9.2 (second) said of the same files.
    #[test]
    fn faults_are_found_in_the_order_in_which_each_release_looks() {
        use SnapshotError::{CountTooLarge, Crc, NegativeCount, UnknownVersion};
        let count = |n: i32, fill: usize| [&n.to_be_bytes()[..], &vec![b'x'; fill]].concat();
        let same = |error| (error, error);
        let trailing = [&ONE[..], b"zz"].concat();
        let cases: Vec<(Vec<u8>, (SnapshotError, SnapshotError))> = vec![
            (vec![], same(too_short("version", false, 0, 0))),
            (vec![0], same(too_short("version", false, 0, 1))),
            (vec![0, 1], same(too_short("crc", false, 2, 2))),
            (vec![0, 2], (UnknownVersion { version: 2 }, too_short("crc", false, 2, 2))),
            (vec![255, 255], (UnknownVersion { version: -1 }, too_short("crc", false, 2, 2))),
            (EMPTY[..9].to_vec(), same(too_short("producer_entries", false, 6, 9))),
            (with(2, Some(5), &ONE[6..]), same(UnknownVersion { version: 2 })),
            (with(2, Some(5), &count(-1, 0)), (UnknownVersion { version: 2 }, NegativeCount { count: -1 })),
            (with(1, Some(5), &count(-1, 0)), same(NegativeCount { count: -1 })),
            (with(1, None, &count(-7, 0)), same(NegativeCount { count: -7 })),
            (with(1, Some(5), &count(100, 99)), same(CountTooLarge { count: 100, remaining: 99 })),
            (with(1, None, &count(100, 100)), same(too_short("epoch", true, 110, 110))),
            (with(1, None, &ONE[6..55]), same(too_short("current_txn_first_offset", true, 48, 55))),
            (trailing, same(Crc { stored: 3_789_874_097, computed: 3_059_541_553 })),
            (with(1, Some(u32::MAX), &ONE[6..]), same(Crc { stored: u32::MAX, computed: 3_789_874_097 })),
        ];
        for (bytes, (from_4_0, up_to_3_9)) in cases {
            assert_eq!(ProducerSnapshot::parse(&bytes), Err(from_4_0), "{bytes:?}");
            assert_eq!(ProducerSnapshot::parse_layout_first(&bytes), Err(up_to_3_9), "{bytes:?}");
        }
    }

    #[test]
    fn trailing_bytes_that_the_checksum_covers_are_passed_over() {
        let bytes = with(1, None, &[&ONE[6..], b"zz"].concat());
        let snapshot = ProducerSnapshot::parse(&bytes).unwrap();
        assert_eq!((snapshot.len(), snapshot.trailing_bytes()), (1, b"zz".as_slice()));
    }

    #[test]
    fn the_first_sequence_goes_back_over_zero() {
        // kafka-dump-log printed firstSequence 2147483644 for this one.
        let entry = ProducerEntry { last_sequence: 5, last_offset: 7, offset_delta: 9, ..PRODUCER };
        assert_eq!(entry.first_sequence(), Some(2_147_483_644));
        assert_eq!(ProducerEntry { last_offset: -1, ..entry }.first_sequence(), None);
    }

    #[test]
    fn a_lenient_reading_gives_the_entries_of_a_file_that_brokers_refuse() {
        let mut damaged = ONE;
        damaged[2] ^= 1;
        assert_eq!(ProducerSnapshot::lenient(&damaged).iter().collect::<Vec<_>>(), [PRODUCER]);
        damaged[6] = 0x80;
        assert_eq!(ProducerSnapshot::lenient(&damaged).len(), 1, "a negative count tells nothing");
        assert_eq!(ProducerSnapshot::lenient(&ONE[..55]).len(), 0);
        assert_eq!(ProducerSnapshot::lenient(&[]).version(), None);
        let longer_before = [&ONE[..], &ONE[10..]].concat();
        assert_eq!(ProducerSnapshot::lenient(&longer_before).len(), 1, "what an older, longer file left is no entry");
    }

    fn entry() -> impl Strategy<Value = ProducerEntry> {
        any::<(i64, i16, i32, i64, i32, i64, i32, i64)>().prop_map(|fields| ProducerEntry {
            producer_id: fields.0,
            producer_epoch: fields.1,
            last_sequence: fields.2,
            last_offset: fields.3,
            offset_delta: fields.4,
            timestamp: fields.5,
            coordinator_epoch: fields.6,
            current_txn_first_offset: fields.7,
        })
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_back(entries in proptest::collection::vec(entry(), 0..20)) {
            let bytes = write(&entries);
            let snapshot = ProducerSnapshot::parse(&bytes).unwrap();
            prop_assert_eq!(snapshot.iter().collect::<Vec<_>>(), entries);
            prop_assert_eq!(ProducerSnapshot::lenient(&bytes), snapshot);
            for entry in snapshot.iter() {
                let _ = (entry.first_sequence(), entry.first_offset());
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused_alike_by_both_orders(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(
                ProducerSnapshot::parse(&bytes).ok(),
                ProducerSnapshot::parse_layout_first(&bytes).ok()
            );
            let lenient = ProducerSnapshot::lenient(&bytes);
            prop_assert_eq!(lenient.iter().count(), lenient.len());
        }
    }
}
