//! The walk over a log: every byte is accounted for once, and only intact batches are shown.

use std::ops::Range;
use std::path::Path;

use kfsck::format::Offset;
use kfsck::format::batch::{BatchHeader, RecordBatch};
use kfsck::scan::{BatchScan, LogSoFar, ScanEnd, ScanOptions, Verify};
use kfsck::store::mem::MemoryStorage;
use kfsck::store::{ReadStorage, StoreError};

/// Bytes in memory that are not lent, as a file that is not mapped.
struct Unlent(MemoryStorage);

impl ReadStorage for Unlent {
    fn path(&self) -> &Path {
        self.0.path()
    }

    fn len(&self) -> u64 {
        self.0.len()
    }

    fn read_into(&self, range: Range<u64>, buffer: &mut Vec<u8>) -> Result<(), StoreError> {
        self.0.read_into(range, buffer)
    }
}

/// What a walk has shown.
#[derive(Debug, Default, PartialEq)]
struct Shown {
    batches: Vec<(u64, BatchHeader)>,
    ends: Vec<ScanEnd>,
}

/// Any bytes as a log: byte 0 says what is known of the log. Once as they are, and once with checksums made right.
pub fn scan(bytes: &[u8]) {
    let Some((how, log)) = bytes.split_first() else { return };
    let so_far = if how & 1 == 0 { LogSoFar::unknown() } else { LogSoFar::segment(Offset(0), None) };
    walks(log, so_far);
    walks(&with_checksums(log), so_far);
}

fn walks(log: &[u8], so_far: LogSoFar) {
    let lent = MemoryStorage::new("log", log.to_vec());
    let unlent = Unlent(lent.clone());
    let plain = ScanOptions { max_batch_bytes: log.len() as u64, ..ScanOptions::default() };
    let shown = walk(&lent, log, so_far, plain);
    for options in [ScanOptions { bodies: true, ..plain }, ScanOptions { bodies: true, max_batch_bytes: 100, ..plain }]
    {
        assert_eq!(walk(&lent, log, so_far, options), shown, "what is asked of bodies changes what is found");
    }
    let options = ScanOptions { bodies: true, ..plain };
    assert_eq!(walk(&unlent, log, so_far, options), shown, "a map and a read find the same");
    // Up to the first damage, headers alone lead the same way.
    let framing = walk(&lent, log, so_far, ScanOptions { verify: Verify::Framing, ..plain });
    let sound = match shown.ends.first() {
        Some(ScanEnd::Damaged(damage)) => damage.position.0,
        _ => log.len() as u64,
    };
    let before = |shown: &Shown| shown.batches.iter().filter(|(at, _)| *at < sound).copied().collect::<Vec<_>>();
    assert_eq!(before(&framing), before(&shown));
}

fn walk(storage: &dyn ReadStorage, log: &[u8], so_far: LogSoFar, options: ScanOptions<'_>) -> Shown {
    let mut scan = BatchScan::new(storage, so_far, options);
    let mut shown = Shown::default();
    let mut expected = 0;
    loop {
        let after_damage = !shown.ends.is_empty();
        let mut first = true;
        while let Some(found) = scan.next_batch().unwrap() {
            let size = found.header.size_in_bytes();
            assert_eq!(found.position.0, expected, "batches follow one another");
            assert!(size >= 26 && expected + size <= log.len() as u64, "a batch lies within the log");
            let bytes = &log[expected as usize..][..size as usize];
            let batch = RecordBatch::new(bytes).expect("what is shown is a batch");
            assert_eq!(batch.header(), found.header);
            assert!(options.verify == Verify::Framing || batch.is_valid(), "what is shown holds its checksum");
            match found.batch() {
                Some(held) => assert_eq!(held.bytes(), bytes),
                None => assert!(!options.bodies || size > options.max_batch_bytes),
            }
            shown.batches.push((expected, *found.header));
            expected += size;
            first = false;
        }
        assert_eq!(scan.position().0, expected);
        assert!(!(after_damage && first), "an intact batch was promised behind the damage");
        let end = *scan.end().expect("a walk that is over says why");
        shown.ends.push(end);
        let left = log.len() as u64 - expected;
        match end {
            ScanEnd::CleanEof => assert_eq!(left, 0),
            ScanEnd::TornTail { position, length } => assert_eq!((position.0, length), (expected, left)),
            ScanEnd::ZeroFill { position, length } => {
                assert_eq!((position.0, length), (expected, left));
                assert!(log[expected as usize..].iter().all(|&byte| byte == 0));
            }
            ScanEnd::Damaged(damage) => {
                assert!(damage.length > 0 && damage.position.0 == expected);
                let next = damage.next_intact.map_or(log.len() as u64, |next| next.0);
                assert_eq!(expected + damage.length, next);
                expected = next;
            }
            ScanEnd::Stopped => panic!("nobody stopped it"),
        }
        let goes_on = matches!(end, ScanEnd::Damaged(damage) if damage.next_intact.is_some());
        assert_eq!(scan.skip_damage(), goes_on);
        if !goes_on {
            assert!(scan.next_batch().unwrap().is_none());
            return shown;
        }
    }
}

/// The log with the checksum made right in most of what could be a batch: one in eight stays damaged.
fn with_checksums(log: &[u8]) -> Vec<u8> {
    let mut out = log.to_vec();
    let mut at = 0;
    while let Some(rest) = out.get(at..).filter(|rest| !rest.is_empty()) {
        let Ok(batch) = RecordBatch::new(rest) else {
            at += 1;
            continue;
        };
        let (header, size, crc) = (*batch.header(), batch.bytes().len(), batch.computed_crc());
        if header.crc() & 7 != 7 {
            let crc_at = at + if header.as_record_batch().is_some() { 17 } else { 12 };
            out[crc_at..crc_at + 4].copy_from_slice(&crc.to_be_bytes());
        }
        at += size;
    }
    out
}
