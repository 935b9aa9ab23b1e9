//! The files beside the log: indexes, snapshots, checkpoints, identities.

use kfsck::format::checksum::crc32c;
use kfsck::format::clean_shutdown::CleanShutdown;
use kfsck::format::offset_index::{OffsetIndex, OffsetIndexEntry};
use kfsck::format::partition_metadata::PartitionMetadata;
use kfsck::format::producer_snapshot::{self, ProducerSnapshot};
use kfsck::format::properties::{self, MetaProperties, Properties};
use kfsck::format::quorum_state::QuorumState;
use kfsck::format::time_index::{TimeIndex, TimeIndexEntry};
use kfsck::format::txn_index::TxnIndex;
use kfsck::format::{Offset, leader_epoch, offset_checkpoint};

/// How many entries are compared one by one.
const MOST_SEARCHED: usize = 64;

/// What every array of entries of `N` bytes owes to its file. `written` are its entries, written one after another.
fn fixed_entries<const N: usize>(bytes: &[u8], len: usize, written: &[u8], partial: &[u8], zero_tail: usize) {
    assert_eq!(len, bytes.len() / N);
    assert_eq!([written, partial].concat(), bytes, "the entries and what is left are the file");
    assert!(written[zero_tail * N..].iter().all(|&byte| byte == 0));
    assert!(zero_tail == 0 || written[(zero_tail - 1) * N..zero_tail * N].iter().any(|&byte| byte != 0));
}

/// The base offset in the first eight bytes, and the index behind it.
fn based(bytes: &[u8]) -> Option<(Offset, &[u8])> {
    let (base, index) = bytes.split_first_chunk()?;
    Some((Offset(i64::from_be_bytes(*base)), index))
}

/// A search gives a slot below `slots`; on ascending keys, one that holds the last key not above the target.
fn floors<K: Ord + Copy>(keys: &[K], slots: usize, target: K, found: Option<usize>) {
    let slots = slots.min(keys.len());
    assert!(found.is_none_or(|slot| slot < slots));
    if keys[..slots].is_sorted() {
        let expected = keys[..slots].iter().rev().find(|key| **key <= target);
        assert!(found.map(|slot| keys[slot]) == expected.copied());
    }
}

pub fn offset_index(bytes: &[u8]) {
    let Some((base, bytes)) = based(bytes) else { return };
    let index = OffsetIndex::new(bytes, base);
    let mut written = Vec::new();
    index.iter().for_each(|entry| entry.write(&mut written));
    fixed_entries::<8>(bytes, index.len(), &written, index.partial_entry(), index.zero_tail());
    assert!(index.entry(index.len()).is_none());
    assert_eq!(index.is_empty(), index.iter().next().is_none());
    let keys: Vec<Offset> = index.iter().map(|entry| entry.offset).collect();
    for (slot, entry) in index.iter().enumerate().take(MOST_SEARCHED) {
        assert_eq!(index.entry(slot), Some(entry));
        // A base so high that offsets wrap holds no entry that could be built.
        if let Some(position) = entry.position().filter(|_| entry.relative_offset >= 0 && entry.offset >= base) {
            assert_eq!(OffsetIndexEntry::new(base, entry.offset, position), Some(entry));
        }
        for target in [entry.offset, Offset(entry.offset.0.wrapping_add(1)), Offset(entry.offset.0.wrapping_sub(1))] {
            floors(&keys, slot + 1, target, index.floor(target, slot + 1));
            floors(&keys, usize::MAX, target, index.floor(target, usize::MAX));
        }
    }
}

pub fn time_index(bytes: &[u8]) {
    let Some((base, bytes)) = based(bytes) else { return };
    let index = TimeIndex::new(bytes, base);
    let mut written = Vec::new();
    index.iter().for_each(|entry| entry.write(&mut written));
    fixed_entries::<12>(bytes, index.len(), &written, index.partial_entry(), index.zero_tail());
    assert!(index.entry(index.len()).is_none());
    assert_eq!(index.is_empty(), index.iter().next().is_none());
    let keys: Vec<i64> = index.iter().map(|entry| entry.timestamp).collect();
    for (slot, entry) in index.iter().enumerate().take(MOST_SEARCHED) {
        assert_eq!(index.entry(slot), Some(entry));
        if entry.relative_offset >= 0 && entry.offset >= base {
            assert_eq!(TimeIndexEntry::new(base, entry.timestamp, entry.offset), Some(entry));
        }
        for target in [entry.timestamp, entry.timestamp.wrapping_add(1), entry.timestamp.wrapping_sub(1)] {
            floors(&keys, slot + 1, target, index.floor(target, slot + 1));
            floors(&keys, usize::MAX, target, index.floor(target, usize::MAX));
        }
    }
}

pub fn txn_index(bytes: &[u8]) {
    let index = TxnIndex::new(bytes);
    let mut written = Vec::new();
    index.iter().for_each(|entry| entry.write(&mut written));
    fixed_entries::<34>(bytes, index.len(), &written, index.partial_entry(), index.zero_tail());
    assert!(index.entry(index.len()).is_none());
    assert_eq!(index.is_empty(), index.iter().next().is_none());
    assert!((0..index.len()).filter_map(|slot| index.entry(slot)).eq(index.iter()));
}

/// Any bytes as a snapshot, and once more with version and checksum made right.
pub fn producer_snapshot(bytes: &[u8]) {
    snapshot(bytes);
    if bytes.len() >= 10 {
        let mut repaired = bytes.to_vec();
        repaired[..2].copy_from_slice(&producer_snapshot::VERSION.to_be_bytes());
        let crc = crc32c(&repaired[6..]);
        repaired[2..6].copy_from_slice(&crc.to_be_bytes());
        snapshot(&repaired);
    }
}

fn snapshot(bytes: &[u8]) {
    let lenient = ProducerSnapshot::lenient(bytes);
    let mut entries = Vec::new();
    lenient.iter().for_each(|entry| entry.write(&mut entries));
    let header = bytes.len().min(producer_snapshot::HEADER_SIZE);
    assert_eq!([&bytes[..header], &entries, lenient.trailing_bytes()].concat(), bytes);
    assert_eq!(lenient.iter().count(), lenient.len());
    assert!(lenient.entry(lenient.len()).is_none());
    let (strict, layout_first) = (ProducerSnapshot::parse(bytes), ProducerSnapshot::parse_layout_first(bytes));
    assert_eq!(strict.ok(), layout_first.ok(), "both orders of checks accept the same files");
    if let Ok(strict) = strict {
        assert_eq!(strict, lenient);
        assert_eq!(strict.stored_count(), i32::try_from(strict.len()).ok());
        let entries: Vec<_> = strict.iter().collect();
        let written = producer_snapshot::write(&entries);
        assert_eq!(written == bytes, strict.trailing_bytes().is_empty());
    }
}

pub fn leader_epoch(bytes: &[u8]) {
    let lenient: Vec<_> = leader_epoch::lenient(bytes).collect();
    match leader_epoch::parse(bytes) {
        Ok(entries) => {
            assert!(
                lenient.iter().map(|(_, entry)| *entry).eq(entries.iter().copied()),
                "lenient reading finds as much"
            );
            assert_eq!(leader_epoch::parse(&leader_epoch::write(&entries)), Ok(entries));
        }
        Err(error) => {
            assert!(error.entries_before <= lenient.len() && error.line >= 1);
            assert!(error.position.0 < bytes.len() as u64);
        }
    }
}

pub fn offset_checkpoint(bytes: &[u8]) {
    let lenient: Vec<_> = offset_checkpoint::lenient(bytes).collect();
    match offset_checkpoint::parse(bytes) {
        Ok(entries) => {
            assert!(
                lenient.iter().map(|(_, entry)| *entry).eq(entries.iter().copied()),
                "lenient reading finds as much"
            );
            assert_eq!(offset_checkpoint::parse(&offset_checkpoint::write(&entries)), Ok(entries));
        }
        Err(error) => {
            assert!(error.entries_before <= lenient.len() && error.line >= 1);
            assert!(error.position.0 < bytes.len() as u64);
        }
    }
}

pub fn properties(bytes: &[u8]) {
    if let Ok(pairs) = Properties::parse(bytes) {
        for (key, value) in pairs.iter() {
            assert!(key.len() + value.len() <= 3 * bytes.len(), "text grows out of its bytes");
        }
        if let Some((key, _)) = pairs.iter().last() {
            assert_eq!(pairs.get(key), pairs.iter().last().map(|(_, value)| value));
        }
        let written = properties::write(&["", "a\nb"], pairs.iter());
        assert_eq!(Properties::parse(&written), Ok(pairs));
    }
    if let Ok(meta) = MetaProperties::parse(bytes) {
        assert_eq!(MetaProperties::parse(&meta.write(&[""])), Ok(meta));
    }
}

pub fn partition_metadata(bytes: &[u8]) {
    if let Ok(metadata) = PartitionMetadata::parse(bytes) {
        assert_eq!(PartitionMetadata::parse(&metadata.write()), Ok(metadata));
    }
}

pub fn quorum_state(bytes: &[u8]) {
    if let Ok(state) = QuorumState::parse(bytes) {
        assert!(std::str::from_utf8(bytes).is_ok());
        // Fields that are passed over may hold half a surrogate pair, which Java minds as little.
        if let Ok(json) = serde_json::from_slice::<serde_json::Value>(bytes) {
            assert_eq!(json.get("leaderId").and_then(serde_json::Value::as_i64), Some(state.leader_id.into()));
            assert_eq!(json.get("leaderEpoch").and_then(serde_json::Value::as_i64), Some(state.leader_epoch.into()));
        }
        assert!(state.leader_id().is_none_or(|id| id >= 0) && state.voted_id().is_none_or(|id| id >= 0));
        let _ = state.voted_directory_id();
    }
}

pub fn clean_shutdown(bytes: &[u8]) {
    let marker = CleanShutdown::parse(bytes);
    assert!(marker.broker_epoch().is_none_or(|epoch| epoch >= 0));
    if let (Some(epoch), Ok(json)) = (marker.raw_broker_epoch, serde_json::from_slice::<serde_json::Value>(bytes)) {
        assert_eq!(json.get("brokerEpoch").and_then(serde_json::Value::as_i64), Some(epoch));
    }
}
