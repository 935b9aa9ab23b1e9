//! Records with a key: nothing leads to them but a look at every record.

use std::sync::atomic::AtomicBool;

use memchr::memmem;

use super::order::{self, Order};
use super::trace::{Step, Trace};
use super::view::{BatchPlace, PartitionView, RecordPlace};
use crate::format::batch::{BatchHeader, RecordBatch};
use crate::format::compression::{Compression, DEFAULT_LIMIT, Decompressor};
use crate::scan::{BatchScan, ScanOptions, Verify};
use crate::store::StoreError;

/// Which of the records with a key are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matches {
    /// The one with the highest place in the log.
    Newest,
    /// All, in the order of the log.
    All,
}

/// The records at or above the log start offset that have one of `keys`: for each key those that are wanted. Control
/// records have none. Newer segments are read first where only the newest record is wanted.
///
/// Once `stop` is set, what was found so far is handed out.
///
/// Errors: a file could not be read.
pub fn records_with(
    view: &PartitionView<'_>,
    keys: &[Vec<u8>],
    matches: Matches,
    stop: Option<&AtomicBool>,
    trace: &mut Trace,
) -> Result<Vec<Vec<RecordPlace>>, StoreError> {
    let mut found: Vec<Vec<RecordPlace>> = keys.iter().map(|_| Vec::new()).collect();
    let count = view.segments().len();
    for turn in 0..count {
        let at = if matches == Matches::Newest { count - 1 - turn } else { turn };
        let missing: Vec<usize> = match matches {
            Matches::All => (0..keys.len()).collect(),
            Matches::Newest => (0..keys.len()).filter(|key| found.get(*key).is_some_and(Vec::is_empty)).collect(),
        };
        if missing.is_empty() {
            break;
        }
        let wanted: Vec<_> =
            missing.iter().filter_map(|&key| Some((key, memmem::Finder::new(keys.get(key)?.as_slice())))).collect();
        in_segment(view, at, &wanted, stop, trace, |key, place| {
            let Some(places) = found.get_mut(key) else { return };
            if matches == Matches::Newest {
                places.clear();
            }
            places.push(place);
        })?;
    }
    Ok(found)
}

fn in_segment(
    view: &PartitionView<'_>,
    at: usize,
    wanted: &[(usize, memmem::Finder<'_>)],
    stop: Option<&AtomicBool>,
    trace: &mut Trace,
    mut take: impl FnMut(usize, RecordPlace),
) -> Result<(), StoreError> {
    let Some(segment) = view.segments().get(at) else { return Ok(()) };
    let log_start_offset = view.log_start_offset();
    let log = segment.log()?;
    let options = ScanOptions { verify: Verify::Checksum, bodies: true, stop, ..ScanOptions::default() };
    let mut scan = BatchScan::new(log.as_ref(), view.so_far(at), options);
    let mut decompressor = Decompressor::new(DEFAULT_LIMIT);
    let mut order = Order::of(view, at);
    let (mut count, mut unreadable) = (0, Vec::new());
    loop {
        while let Some(scanned) = scan.next_batch()? {
            count += 1;
            let header = scanned.header;
            order.take(header);
            if header.is_control() || header.last_offset() < log_start_offset {
                continue;
            }
            let Some(batch) = scanned.batch().filter(|batch| may_hold(header, batch, wanted)) else {
                if scanned.bytes.is_none() {
                    unreadable.push((scanned.position, header.size_in_bytes()));
                }
                continue;
            };
            let place = BatchPlace { segment: at, position: scanned.position, header: *header };
            let records = match batch.records(&mut decompressor) {
                Ok(records) => records,
                Err(_) => {
                    unreadable.push((scanned.position, header.size_in_bytes()));
                    continue;
                }
            };
            for record in records {
                let Ok(record) = record else {
                    unreadable.push((scanned.position, header.size_in_bytes()));
                    break;
                };
                let Some(key) = record.key.filter(|_| record.offset >= log_start_offset) else { continue };
                for (which, finder) in wanted {
                    if finder.needle() == key {
                        take(*which, RecordPlace { batch: place, offset: record.offset, timestamp: record.timestamp });
                    }
                }
            }
        }
        trace.ended(segment.base_offset, scan.end());
        if !scan.skip_damage() {
            break;
        }
    }
    if order.is_broken() {
        order::tell(view, at, scan.position(), trace)?;
    }
    let segment = segment.base_offset;
    trace.add(Step::Batches { segment, from: crate::format::Position(0), count, checksummed: true });
    for (position, size_in_bytes) in unreadable {
        trace.add(Step::Unreadable { segment, position, size_in_bytes });
    }
    Ok(())
}

/// Whether the batch can have a record with one of the keys, as far as its bytes tell without decoding.
fn may_hold(header: &BatchHeader, batch: &RecordBatch<'_>, wanted: &[(usize, memmem::Finder<'_>)]) -> bool {
    header.compression() != Ok(Compression::None)
        || wanted.iter().any(|(_, finder)| finder.find(batch.bytes()).is_some())
}
