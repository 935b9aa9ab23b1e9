//! Any bytes are read or refused: nothing panics, and memory follows the input, not what the input claims.

#[path = "laws/mod.rs"]
mod laws;

use proptest::prelude::*;

use kfsck::format::batch::{RecordBatch, VerifiedBatch};
use kfsck::format::compression::{Compression, DecompressError, Decompressor};
use kfsck::format::record::RecordError;
use kfsck::scan::{BatchScan, LogSoFar, ScanOptions};
use kfsck::store::mem::MemoryStorage;
use laws::{LIMIT, hostile, memory::peak_of};

/// The output at the limit and the state of one codec.
const MEMORY_OF_A_BOMB: usize = 2 * LIMIT;

#[test]
fn memory_that_is_taken_is_counted_though_it_is_given_back() {
    let (_, peak) = peak_of(|| drop((vec![0_u8; 1000], Vec::<u8>::with_capacity(500))));
    assert_eq!(peak, 1500);
    let (_, peak) = peak_of(|| vec![0_u8; 300].resize(400, 1));
    assert_eq!(peak, 600, "a buffer grows by doubling");
}

#[test]
fn hostile_inputs_uphold_every_law() {
    let inputs = hostile::inputs();
    for (target, name, bytes) in &inputs {
        println!("{target}/{name}");
        laws::uphold(target, bytes);
    }
    for (target, _) in laws::ALL {
        assert!(inputs.iter().any(|(other, ..)| other == target), "no hostile input for {target}");
        // Another target's bytes are as hostile as any.
        for (_, _, bytes) in &inputs {
            laws::uphold(target, bytes);
        }
    }
}

#[test]
fn a_claim_of_all_records_takes_no_memory() {
    for codec in Compression::ALL {
        let bytes = hostile::batch_of_all_records(codec, b"");
        let verified: VerifiedBatch<'_> = RecordBatch::new(&bytes).unwrap().verify().expect("the checksum is right");
        let mut decompressor = Decompressor::new(LIMIT);
        let (last, peak) = peak_of(|| verified.records(&mut decompressor).unwrap().last());
        assert_eq!(last.unwrap().unwrap_err(), RecordError::TooFewRecords { read: 0, count: i32::MAX });
        assert!(peak < 256 << 10, "{codec}: {peak} bytes");
    }
}

#[test]
fn reading_records_takes_no_memory() {
    let bytes = hostile::sound_batch(0, Compression::None);
    let mut decompressor = Decompressor::new(LIMIT);
    let (count, peak) = peak_of(|| {
        let batch = RecordBatch::new(&bytes).unwrap().verify().unwrap();
        let records = batch.records(&mut decompressor).unwrap();
        records.map(|record| record.unwrap().headers.iter().count()).sum::<usize>()
    });
    assert_eq!((count, peak), (4, 0));
}

#[test]
fn bombs_end_at_the_limit_and_take_no_more_memory_than_it() {
    for codec in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        for size in [LIMIT + 1, 64 * LIMIT] {
            let bomb = hostile::bomb(codec, size);
            let (outcome, peak) = peak_of(|| Decompressor::new(LIMIT).decompress(codec, 2, &bomb).map(<[u8]>::len));
            assert_eq!(outcome, Err(DecompressError::Limit { limit: LIMIT }), "{codec}, {size}");
            assert!(peak <= MEMORY_OF_A_BOMB, "{codec}: {peak} bytes of memory");
        }
        let whole = hostile::bomb(codec, LIMIT);
        let outcome = Decompressor::new(LIMIT).decompress(codec, 2, &whole).map(<[u8]>::len);
        assert_eq!(outcome, Ok(LIMIT), "{codec}");
    }
}

#[test]
fn a_walk_takes_memory_for_its_window_and_not_for_the_log() {
    let bytes: Vec<u8> = (0..20_000).flat_map(|at| hostile::sound_batch(2 * at, Compression::None)).collect();
    let storage = MemoryStorage::new("log", bytes);
    let (count, peak) = peak_of(|| {
        let mut scan = BatchScan::new(&storage, LogSoFar::unknown(), ScanOptions { bodies: true, ..<_>::default() });
        let mut count = 0;
        while scan.next_batch().unwrap().is_some() {
            count += 1;
        }
        count
    });
    // The storage lends its bytes; what is taken is the handle of a window that others may hold on to.
    assert!(count == 20_000 && peak <= 64, "{count} batches, {peak} bytes");
}

/// Bytes among which those that mean something in a file are more frequent than chance has it.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte =
        prop_oneof![4 => Just(0u8), 1 => 0u8..4, 1 => Just(0xff), 1 => Just(b'\n'), 1 => b' '..=b'9', 4 => any::<u8>()];
    prop_oneof![
        proptest::collection::vec(byte, 0..400),
        proptest::collection::vec(any::<u8>(), 0..2000),
        (0..hostile::inputs().len(), proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4))
            .prop_map(|(n, changes)| {
                let mut bytes = hostile::inputs().swap_remove(n).2;
                for (at, byte) in changes {
                    let at = at.index(bytes.len());
                    bytes[at] = byte;
                }
                bytes
            }),
    ]
}

proptest! {
    #[test]
    fn any_bytes_uphold_every_law(bytes in bytes()) {
        for (target, _) in laws::ALL {
            laws::uphold(target, &bytes);
        }
    }
}
