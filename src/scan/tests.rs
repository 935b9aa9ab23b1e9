use proptest::prelude::*;

use super::*;
use crate::format::batch::RecordBatchBuilder;
use crate::format::compression::Compression;
use crate::format::legacy::MessageFields;
use crate::format::record::RecordFields;
use crate::format::{Offset, Position};
use crate::store::mem::MemoryStorage;
use crate::store::pread::PreadFile;

/// A batch of `count` records with values of `value`, from `base_offset` on.
fn batch(base_offset: i64, count: i32, value: &[u8]) -> Vec<u8> {
    let mut builder =
        RecordBatchBuilder::new(RecordBatchBuilder::plain_header(Offset(base_offset), 1000), Compression::None);
    for offset_delta in 0..count {
        builder.push(&RecordFields { offset_delta, key: Some(b"key"), value: Some(value), ..RecordFields::default() });
    }
    let mut out = Vec::new();
    builder.write(&mut out).unwrap();
    out
}

/// `n` batches of two records, from offset `base_offset` on, and where each begins.
fn log(base_offset: i64, n: usize) -> (Vec<u8>, Vec<usize>) {
    let (mut bytes, mut positions) = (Vec::new(), Vec::new());
    for at in 0..n {
        positions.push(bytes.len());
        bytes.extend(batch(base_offset + 2 * at as i64, 2, format!("value of batch {at}").as_bytes()));
    }
    (bytes, positions)
}

/// Base offsets of the batches shown, and every end that was met, damage passed over.
fn walk(bytes: &[u8]) -> (Vec<i64>, Vec<ScanEnd>) {
    walk_with(bytes, ScanOptions::default())
}

fn walk_with(bytes: &[u8], options: ScanOptions<'_>) -> (Vec<i64>, Vec<ScanEnd>) {
    let storage = MemoryStorage::new("log", bytes.to_vec());
    let mut scan = BatchScan::new(&storage, LogSoFar::segment(Offset(0), None), options);
    let (mut offsets, mut ends) = (Vec::new(), Vec::new());
    loop {
        while let Some(batch) = scan.next_batch().unwrap() {
            offsets.push(batch.header.last_offset().0 - 1);
        }
        ends.push(*scan.end().unwrap());
        if !scan.skip_damage() {
            return (offsets, ends);
        }
    }
}

fn damage(end: &ScanEnd) -> (u64, u64, &'static str, Option<u64>) {
    match end {
        ScanEnd::Damaged(damage) => {
            (damage.position.0, damage.length, damage.reason.name(), damage.next_intact.map(|next| next.0))
        }
        other => panic!("damage was expected, not {other:?}"),
    }
}

#[test]
fn a_whole_log_ends_cleanly() {
    let (bytes, positions) = log(0, 5);
    assert_eq!(walk(&bytes), (vec![0, 2, 4, 6, 8], vec![ScanEnd::CleanEof]));
    assert_eq!(walk(&[]), (vec![], vec![ScanEnd::CleanEof]));
    let options = ScanOptions { start: Position(positions[3] as u64), ..ScanOptions::default() };
    assert_eq!(walk_with(&bytes, options).0, [6, 8]);
}

#[test]
fn a_torn_last_batch_is_a_torn_tail_wherever_it_is_torn() {
    let (bytes, positions) = log(0, 3);
    for end in positions[2] + 1..bytes.len() {
        let (offsets, ends) = walk(&bytes[..end]);
        let length = (end - positions[2]) as u64;
        // The offset field of this log begins with zeros: so few of them are a zero fill.
        let expected = if length <= 7 {
            ScanEnd::ZeroFill { position: Position(positions[2] as u64), length }
        } else {
            ScanEnd::TornTail { position: Position(positions[2] as u64), length }
        };
        assert_eq!((offsets, ends), (vec![0, 2], vec![expected]), "cut to {end}");
    }
}

#[test]
fn a_torn_tail_is_not_completed_by_what_an_earlier_window_has_left_in_the_buffer() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("00000000000000000000.log");
    let mut bytes = Vec::new();
    let mut offset = 0;
    // More than one buffer, and not a multiple of it.
    while bytes.len() < 300_000 {
        bytes.extend(batch(offset, 1, &[b'v'; 1009]));
        offset += 1;
    }
    let position = Position(bytes.len() as u64);
    for length in [8, 11, 12, 16, 17, 21, 60, 61, 62, 1000] {
        let mut torn = bytes.clone();
        torn.extend(&batch(offset, 1, &[b'v'; 1009])[..length]);
        std::fs::write(&path, &torn).unwrap();
        let storage = PreadFile::open(&path).unwrap();
        let mut scan = BatchScan::new(&storage, LogSoFar::segment(Offset(0), None), ScanOptions::default());
        while scan.next_batch().unwrap().is_some() {}
        assert_eq!(scan.end(), Some(&ScanEnd::TornTail { position, length: length as u64 }));
    }
}

#[test]
fn zeros_up_to_the_end_are_a_zero_fill_and_zeros_before_a_batch_are_damage() {
    let (mut bytes, _) = log(0, 2);
    let end = bytes.len();
    bytes.resize(end + 5000, 0);
    let zeros = ScanEnd::ZeroFill { position: Position(end as u64), length: 5000 };
    assert_eq!(walk(&bytes), (vec![0, 2], vec![zeros]));
    bytes.extend(batch(4, 2, b"v"));
    let (offsets, ends) = walk(&bytes);
    assert_eq!(offsets, [0, 2, 4]);
    assert_eq!(damage(&ends[0]), (end as u64, 5000, "lengthTooSmall", Some(end as u64 + 5000)));
    assert_eq!(ends[1], ScanEnd::CleanEof);
}

#[test]
fn every_flipped_bit_costs_one_batch_at_the_most_and_all_others_are_shown() {
    let (bytes, positions) = log(0, 4);
    for at in positions[1]..positions[2] {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            let (offsets, ends) = walk(&damaged);
            let relative = at - positions[1];
            if relative < 8 || (12..16).contains(&relative) {
                // Base offset and leader epoch are not covered by the checksum.
                assert_eq!((offsets.len(), ends), (4, vec![ScanEnd::CleanEof]), "byte {relative}, bit {bit}");
                continue;
            }
            assert_eq!(offsets, [0, 4, 6], "byte {relative}, bit {bit}");
            let (position, length, _, next) = damage(&ends[0]);
            assert_eq!(
                (position, next),
                (positions[1] as u64, Some(positions[2] as u64)),
                "byte {relative}, bit {bit}"
            );
            assert_eq!(length, (positions[2] - positions[1]) as u64);
            assert_eq!(ends[1], ScanEnd::CleanEof);
        }
    }
}

#[test]
fn damage_in_the_first_and_in_the_last_batch_is_found_at_its_place() {
    let (bytes, positions) = log(0, 3);
    let mut damaged = bytes.clone();
    damaged[70] ^= 1;
    let last = positions[2];
    damaged[last + 70] ^= 1;
    let (offsets, ends) = walk(&damaged);
    assert_eq!(offsets, [2]);
    assert_eq!(damage(&ends[0]), (0, positions[1] as u64, "checksumMismatch", Some(positions[1] as u64)));
    assert_eq!(damage(&ends[1]), (last as u64, (bytes.len() - last) as u64, "checksumMismatch", None));
}

#[test]
fn neighbouring_damaged_batches_are_one_stretch() {
    let (mut bytes, positions) = log(0, 5);
    bytes[positions[1] + 70] ^= 1;
    bytes[positions[2] + 70] ^= 1;
    let (offsets, ends) = walk(&bytes);
    assert_eq!(offsets, [0, 6, 8]);
    let length = (positions[3] - positions[1]) as u64;
    assert_eq!(damage(&ends[0]), (positions[1] as u64, length, "checksumMismatch", Some(positions[3] as u64)));
}

#[test]
fn a_length_that_runs_past_the_end_before_intact_batches_is_no_torn_tail() {
    let (mut bytes, positions) = log(0, 4);
    bytes[positions[1] + 9] = 0x40;
    let (offsets, ends) = walk(&bytes);
    assert_eq!(offsets, [0, 4, 6]);
    assert_eq!(damage(&ends[0]).2, "lengthBeyondEnd");
    assert_eq!(damage(&ends[0]).3, Some(positions[2] as u64));
}

/// A value that holds whole valid batches, as a backup or a mirrored topic has it.
fn batches_in_a_value(base_offset: i64, n: usize) -> Vec<u8> {
    log(base_offset, n).0
}

#[test]
fn valid_batches_inside_a_value_are_never_taken_for_this_logs() {
    // The foreign offsets fit as well as they can: between the damaged batch and the next one.
    for foreign in [1, 2, 9] {
        for foreign_offset in [3, 4, 5, 100] {
            let value = batches_in_a_value(foreign_offset, foreign);
            let next = batch(1000, 2, b"after");
            let holder = batch(2, 2, &value);
            let healthy = [batch(0, 2, b"v"), holder.clone(), next.clone(), batch(1002, 2, b"w")].concat();
            let start = batch(0, 2, b"v").len();
            let after = (start + holder.len()) as u64;
            assert_eq!(walk(&healthy).0, [0, 2, 1000, 1002]);
            // Every byte of the header, of the first record's head, and some bytes of the value and behind it.
            let interesting =
                (8..12).chain(16..90).chain((90..holder.len()).step_by(13)).chain(holder.len() - 5..holder.len());
            for at in interesting {
                let mut damaged = healthy.clone();
                damaged[start + at] ^= 0x41;
                let (offsets, ends) = walk(&damaged);
                assert!(
                    !offsets.contains(&foreign_offset),
                    "{foreign} foreign batches at {foreign_offset}, byte {at}: {offsets:?}"
                );
                if (12..16).contains(&at) {
                    continue;
                }
                assert_eq!(offsets, [0, 1000, 1002], "{foreign} foreign batches at {foreign_offset}, byte {at}");
                assert_eq!(damage(&ends[0]).3, Some(after));
            }
        }
    }
}

#[test]
fn a_valid_batch_at_the_very_end_of_the_last_value_is_not_taken_either() {
    let holder = batch(2, 1, &batches_in_a_value(4, 2));
    let healthy = [batch(0, 2, b"v"), holder.clone()].concat();
    let start = healthy.len() - holder.len();
    for at in (8..12).chain(16..90) {
        let mut damaged = healthy.clone();
        damaged[start + at] ^= 0x41;
        assert_eq!(walk(&damaged).0, [0], "byte {at}");
    }
}

#[test]
fn a_torn_tail_that_ends_with_a_whole_foreign_batch_is_a_torn_tail() {
    let value = batches_in_a_value(4, 2);
    let holder = batch(2, 2, &value);
    let first = batch(0, 2, b"v");
    let start_of_value = holder.windows(value.len()).position(|bytes| bytes == value).unwrap();
    for end in [start_of_value + value.len() / 2, start_of_value + value.len(), start_of_value + value.len() + 3] {
        let torn = [&first[..], &holder[..end]].concat();
        let (offsets, ends) = walk(&torn);
        assert_eq!(offsets, [0]);
        let expected = ScanEnd::TornTail { position: Position(first.len() as u64), length: end as u64 };
        assert_eq!(ends, [expected], "torn at {end} of {}", holder.len());
    }
}

/// `n` batches of one record and one size each.
fn even_log(n: usize, codec: Compression) -> (Vec<u8>, usize) {
    let mut bytes = Vec::new();
    for at in 0..n {
        let header = RecordBatchBuilder::plain_header(Offset(at as i64), 1000);
        let mut builder = RecordBatchBuilder::new(header, codec);
        builder.push(&RecordFields { value: Some(&[b'v'; 40]), ..RecordFields::default() });
        builder.write(&mut bytes).unwrap();
    }
    let size = bytes.len() / n;
    (bytes, size)
}

#[test]
fn a_flipped_length_that_ends_at_another_batch_or_at_the_end_hides_nothing() {
    for codec in [Compression::None, Compression::Lz4] {
        let (healthy, size) = even_log(40, codec);
        for covered in [2, 3, 17, 30] {
            let mut bytes = healthy.clone();
            let at = 10 * size + 8;
            bytes[at..at + 4].copy_from_slice(&((covered * size - 12) as i32).to_be_bytes());
            let (offsets, ends) = walk(&bytes);
            let expected: Vec<i64> = (0..40).filter(|&offset| offset != 10).map(|offset| offset - 1).collect();
            assert_eq!(offsets, expected, "{codec}: the length covers {covered} batches");
            assert_eq!(damage(&ends[0]).3, Some(11 * size as u64));
        }
    }
}

#[test]
fn a_foreign_segment_that_is_cut_inside_a_value_is_not_taken_whatever_is_left_of_the_header() {
    let foreign = log(500, 6).0;
    for cut in [foreign.len(), foreign.len() - 1, foreign.len() - 30, foreign.len() / 2] {
        let holder = batch(2, 2, &foreign[..cut]);
        let first = batch(0, 2, b"v");
        let healthy = [first.clone(), holder.clone(), log(4, 3).0].concat();
        let start = first.len();
        for destroyed in [8..12, 8..16, 16..17, 23..27, 57..61, 0..17, 0..61] {
            for fill in [0u8, 0xff] {
                let mut bytes = healthy.clone();
                bytes[start + destroyed.start..start + destroyed.end].fill(fill);
                let (offsets, ends) = walk(&bytes);
                let after = (start + holder.len()) as u64;
                let what = format!("cut to {cut}, {destroyed:?} filled with {fill}");
                if destroyed == (8..16) && fill == 0xff || !matches!(ends[0], ScanEnd::Damaged(_)) {
                    continue;
                }
                assert_eq!(offsets, [0, 4, 6, 8], "{what}");
                assert_eq!(damage(&ends[0]).3, Some(after), "{what}");
            }
        }
    }
}

#[test]
fn a_changed_offset_or_epoch_does_not_speak_against_what_follows() {
    let (healthy, positions) = log(0, 12);
    for at in [0, 1, 4, 12, 13] {
        let mut bytes = healthy.clone();
        bytes[positions[2] + at] ^= 0x10;
        bytes[positions[5] + 70] ^= 1;
        let (offsets, ends) = walk(&bytes);
        assert_eq!(offsets.len(), 11, "byte {at}: {offsets:?}");
        assert_eq!(damage(&ends[0]).3, Some(positions[6] as u64), "byte {at}");
    }
}

#[test]
fn a_neighbour_that_is_none_of_this_log_does_not_hide_what_follows() {
    let (mut bytes, positions) = log(100, 6);
    bytes[positions[1] + 70] ^= 1;
    for (base, next) in [(100, Some(101)), (100, Some(105)), (0, Some(50))] {
        let storage = MemoryStorage::new("log", bytes.clone());
        let so_far = LogSoFar::segment(Offset(base), next.map(Offset));
        let mut scan = BatchScan::new(&storage, so_far, ScanOptions::default());
        let mut shown = 0;
        loop {
            while scan.next_batch().unwrap().is_some() {
                shown += 1;
            }
            if !scan.skip_damage() {
                break;
            }
        }
        assert_eq!(shown, 5, "base {base}, next {next:?}");
    }
}

#[test]
fn what_lies_between_two_destroyed_headers_is_shown() {
    let (healthy, positions) = log(0, 60);
    for destroyed in [17, 61, 70] {
        for fill in [0u8, 0xee] {
            let mut bytes = healthy.clone();
            for at in [positions[5], positions[50]] {
                bytes[at..at + destroyed].fill(fill);
            }
            let (offsets, ends) = walk(&bytes);
            assert_eq!(offsets.len(), 58, "{destroyed} bytes of {fill}");
            assert_eq!(damage(&ends[0]).3, Some(positions[6] as u64));
            assert_eq!(damage(&ends[1]).3, Some(positions[51] as u64));
        }
    }
}

#[test]
fn a_batch_whose_offsets_lie_before_what_was_read_does_not_end_the_damage() {
    let (mut bytes, positions) = log(10, 3);
    let stale = batch(2, 2, b"an old block that the file system brought back");
    let stale_at = positions[1];
    bytes.truncate(stale_at);
    bytes.extend([0xee; 100]);
    bytes.extend(&stale);
    let after = bytes.len();
    bytes.extend(batch(12, 2, b"v"));
    let (offsets, ends) = walk(&bytes);
    assert_eq!(offsets, [10, 12]);
    assert_eq!(damage(&ends[0]).3, Some(after as u64));
}

#[test]
fn legacy_messages_and_batches_of_all_magics_are_walked_alike() {
    let mut bytes = Vec::new();
    for (offset, magic) in [(0, 0), (1, 1), (2, 0)] {
        MessageFields { offset, magic, attributes: 0, timestamp: 5, key: None, value: Some(b"legacy") }
            .write(&mut bytes);
    }
    let start = bytes.len();
    bytes.extend(batch(3, 2, b"v"));
    let mut damaged = bytes.clone();
    damaged[20] ^= 1;
    for (bytes, batches, damages) in [(&bytes, 4, 0), (&damaged, 3, 1)] {
        let (offsets, ends) = walk(bytes);
        assert_eq!((offsets.len(), ends.len()), (batches, damages + 1));
        assert_eq!(*offsets.last().unwrap(), 3);
    }
    bytes[start - 3] ^= 1;
    assert_eq!(damage(&walk(&bytes).1[0]).3, Some(start as u64));
}

#[test]
fn a_batch_larger_than_allowed_is_checked_but_not_held() {
    let large = batch(0, 1, &vec![7; 3 << 20]);
    let bytes = [large.clone(), batch(1, 2, b"v")].concat();
    let storage = MemoryStorage::new("log", bytes);
    let options = ScanOptions { bodies: true, max_batch_bytes: 1 << 20, ..ScanOptions::default() };
    let mut scan = BatchScan::new(&storage, LogSoFar::segment(Offset(0), None), options);
    let first = scan.next_batch().unwrap().unwrap();
    assert_eq!((first.header.size_in_bytes(), first.bytes.is_none()), (large.len() as u64, true));
    let second = scan.next_batch().unwrap().unwrap();
    assert_eq!(second.bytes.unwrap(), batch(1, 2, b"v"));
}

#[test]
fn a_walk_that_is_told_to_stop_stops_before_the_next_batch() {
    let (bytes, _) = log(0, 3);
    let storage = MemoryStorage::new("log", bytes);
    let stop = std::sync::atomic::AtomicBool::new(false);
    let options = ScanOptions { stop: Some(&stop), ..ScanOptions::default() };
    let mut scan = BatchScan::new(&storage, LogSoFar::segment(Offset(0), None), options);
    assert!(scan.next_batch().unwrap().is_some());
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(scan.next_batch().unwrap().is_none());
    assert_eq!(scan.end(), Some(&ScanEnd::Stopped));
}

proptest! {
    #[test]
    fn any_bytes_come_to_an_end_and_every_byte_is_accounted_for(
        mut bytes in prop::collection::vec(any::<u8>(), 0..2000),
        before in 0usize..4, after in 0usize..4, zeros in 0usize..40,
    ) {
        let (head, _) = log(0, before);
        let tail = log(1000, after).0;
        bytes.extend(std::iter::repeat_n(0, zeros));
        let whole = [head, bytes, tail].concat();
        let storage = MemoryStorage::new("log", whole.clone());
        let mut scan = BatchScan::new(&storage, LogSoFar::segment(Offset(0), None), ScanOptions::default());
        let mut position = 0;
        loop {
            while let Some(batch) = scan.next_batch().unwrap() {
                prop_assert_eq!(batch.position.0, position);
                position += batch.header.size_in_bytes();
            }
            match *scan.end().unwrap() {
                ScanEnd::CleanEof => break,
                ScanEnd::TornTail { position: at, length } | ScanEnd::ZeroFill { position: at, length } => {
                    prop_assert_eq!(at.0, position);
                    position += length;
                    break;
                }
                ScanEnd::Damaged(damage) => {
                    prop_assert_eq!(damage.position.0, position);
                    prop_assert!(damage.length > 0);
                    position += damage.length;
                    prop_assert_eq!(damage.next_intact.map(|next| next.0).unwrap_or(whole.len() as u64), position);
                    if !scan.skip_damage() {
                        break;
                    }
                }
                ScanEnd::Stopped => prop_assert!(false),
            }
        }
        prop_assert_eq!(position, whole.len() as u64);
    }
}
