//! The records that a lookup by time finds where nothing is taken on trust: by a walk over the log with every checksum.
//!
//! No index shortens it. Timestamps may come in any order, and which batches have later ones only their headers tell,
//! which a checksum must confirm: a changed one would hide the answer. So a time index is only compared with the answer,
//! so that a wrong one does not go unnoticed. For offsets there are shorter ways: see `offset`.

use super::hint;
use super::order::{self, Order};
use super::read::LogReader;
use super::trace::{Step, Trace};
use super::view::{BatchPlace, PartitionView, RecordPlace, first_record};
use crate::format::batch::BatchHeader;
use crate::format::record::Record;
use crate::format::{Offset, Position};
use crate::scan::{BatchScan, ScanOptions};
use crate::store::StoreError;

/// How the truth is found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// By the indexes as far as the log confirms them, and by headers that a checksum confirms.
    Checked,
    /// By every batch with its checksum.
    Scan,
}

/// The first record, in the order of the log, at or above the log start offset and at or after `timestamp`
/// (milliseconds). Batches whose header rules that out are not opened.
///
/// Errors: a file could not be read.
pub fn timestamp(
    view: &PartitionView<'_>,
    timestamp: i64,
    reading: Reading,
    trace: &mut Trace,
) -> Result<Option<RecordPlace>, StoreError> {
    let log_start_offset = view.log_start_offset();
    let mut found = None;
    for at in 0..view.segments().len() {
        found = timestamp_in_segment(view, at, timestamp, log_start_offset, trace)?;
        if found.is_some() {
            break;
        }
    }
    // A record under an offset that it cannot have says nothing against an index.
    if let (Reading::Checked, Some(found), false) = (reading, found, trace.met_contradiction()) {
        hint::compare_time_index(view, found, timestamp, trace)?;
    }
    Ok(found)
}

/// The same in one segment, at or above `log_start_offset`.
pub(super) fn timestamp_in_segment(
    view: &PartitionView<'_>,
    at: usize,
    timestamp: i64,
    log_start_offset: Offset,
    trace: &mut Trace,
) -> Result<Option<RecordPlace>, StoreError> {
    let wants = |header: &BatchHeader| {
        header.max_timestamp().is_some_and(|most| most >= timestamp) && header.last_offset() >= log_start_offset
    };
    let base_offset = view.segments().get(at).map_or(Offset(0), |segment| segment.base_offset);
    let mut unreadable = Vec::new();
    let found = search(view, at, trace, wants, |reader, batch| {
        let reaches = |time: Option<i64>| time.is_some_and(|time| time >= timestamp);
        let found =
            first_record(reader, batch, |record| reaches(record.timestamp) && record.offset >= log_start_offset)?;
        Ok(found.unwrap_or_else(|_| {
            unreadable.push((batch.position, batch.header.size_in_bytes()));
            None
        }))
    })?;
    unreadable.dedup();
    for (position, size_in_bytes) in unreadable {
        trace.add(Step::Unreadable { segment: base_offset, position, size_in_bytes });
    }
    Ok(found)
}

/// What keeps the records of a segment from being found by a timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hidden {
    /// No batch has a timestamp.
    NoTimestamps,
    /// A batch reaches the timestamp, and no record does that can be seen: compaction has emptied the batch, or the
    /// records lie below the log start offset.
    BehindHeaders,
    /// Nothing: a record is there, or no batch reaches the timestamp.
    Nothing,
}

/// What keeps a record at or after `timestamp` (milliseconds) from being found in the segment at `at`.
///
/// Errors: a file could not be read.
pub fn hidden_in_segment(view: &PartitionView<'_>, at: usize, timestamp: i64) -> Result<Hidden, StoreError> {
    let mut trace = Trace::default();
    let mut most = None;
    each_batch_of_segment(view, at, &mut trace, |_, batch| {
        most = most.max(batch.header.max_timestamp());
        Ok(())
    })?;
    let start = view.log_start_offset();
    Ok(match most {
        None => Hidden::NoTimestamps,
        Some(most) if most < timestamp => Hidden::Nothing,
        Some(_) => match timestamp_in_segment(view, at, timestamp, start, &mut trace)? {
            Some(_) => Hidden::Nothing,
            None => Hidden::BehindHeaders,
        },
    })
}

/// The record with the largest timestamp at or above the log start offset, the first of them in the order of the log.
/// Where no record has a timestamp, it is the first that could have one, which is a record of magic 1 or 2, and its
/// timestamp is `None`. `None` where there is no such record.
///
/// Errors: a file could not be read.
pub fn max_timestamp(
    view: &PartitionView<'_>,
    reading: Reading,
    trace: &mut Trace,
) -> Result<Option<RecordPlace>, StoreError> {
    let log_start_offset = view.log_start_offset();
    let Some(place) = most_in_headers(view, trace)? else { return without_timestamp(view, trace) };
    let Some(most) = place.header.max_timestamp() else { return Ok(None) };
    // Most often a record has the largest timestamp that any header names.
    if let Some(segment) = view.segments().get(place.segment) {
        let mut reader = segment.reader()?;
        let has_it = |record: &Record<'_>| record.timestamp == Some(most) && record.offset >= log_start_offset;
        if reader.damage_of(place.position.0, &place.header)?.is_none()
            && let Ok(Some(found)) = first_record(&mut reader, place, has_it)?
        {
            if reading == Reading::Checked {
                hint::compare_time_index(view, found, most, trace)?;
            }
            return Ok(Some(found));
        }
    }
    // The batch that had it is damaged or was emptied by compaction, or its records lie below the log start.
    let mut best: Option<RecordPlace> = None;
    each_batch(view, trace, |reader, batch| {
        loop {
            let least = best.and_then(|best| best.timestamp);
            if batch.header.last_offset() < log_start_offset || batch.header.max_timestamp() <= least {
                return Ok(());
            }
            let larger =
                first_record(reader, batch, |record| record.timestamp > least && record.offset >= log_start_offset)?;
            match larger {
                Ok(Some(larger)) => best = Some(larger),
                _ => return Ok(()),
            }
        }
    })?;
    match best {
        Some(best) => Ok(Some(best)),
        None => without_timestamp(view, trace),
    }
}

/// The first record of magic 1 or 2 at or above the log start, in a log where none has a timestamp.
fn without_timestamp(view: &PartitionView<'_>, trace: &mut Trace) -> Result<Option<RecordPlace>, StoreError> {
    let log_start_offset = view.log_start_offset();
    for at in 0..view.segments().len() {
        let can_have = |header: &BatchHeader| header.magic() > 0 && header.last_offset() >= log_start_offset;
        let found = search(view, at, trace, can_have, |reader, batch| {
            Ok(first_record(reader, batch, |record| record.offset >= log_start_offset)?.ok().flatten())
        })?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The first batch whose header names the largest timestamp that any header names, if one does: no record at or above the
/// log start exceeds it.
fn most_in_headers(view: &PartitionView<'_>, trace: &mut Trace) -> Result<Option<BatchPlace>, StoreError> {
    let log_start_offset = view.log_start_offset();
    let mut most: Option<BatchPlace> = None;
    each_batch(view, trace, |_, place| {
        let known = most.and_then(|most| most.header.max_timestamp());
        if place.header.last_offset() >= log_start_offset && place.header.max_timestamp() > known {
            most = Some(place);
        }
        Ok(())
    })?;
    Ok(most)
}

/// Every intact batch of the partition.
fn each_batch(
    view: &PartitionView<'_>,
    trace: &mut Trace,
    mut take: impl FnMut(&mut LogReader, BatchPlace) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    (0..view.segments().len()).try_for_each(|at| each_batch_of_segment(view, at, trace, &mut take))
}

fn each_batch_of_segment(
    view: &PartitionView<'_>,
    at: usize,
    trace: &mut Trace,
    mut take: impl FnMut(&mut LogReader, BatchPlace) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    search(
        view,
        at,
        trace,
        |_| true,
        |reader, batch| {
            take(reader, batch)?;
            Ok(None::<()>)
        },
    )?;
    Ok(())
}

/// Hands out the intact batches of the segment at `at` that it `wants`, in order, until `take` has found something.
/// Damage is skipped, and told; so are batches whose offsets cannot be right.
fn search<T>(
    view: &PartitionView<'_>,
    at: usize,
    trace: &mut Trace,
    wants: impl Fn(&BatchHeader) -> bool,
    mut take: impl FnMut(&mut LogReader, BatchPlace) -> Result<Option<T>, StoreError>,
) -> Result<Option<T>, StoreError> {
    let Some(segment) = view.segments().get(at) else { return Ok(None) };
    let log = segment.log()?;
    let mut reader = LogReader::new(segment.log()?);
    let mut scan = BatchScan::new(log.as_ref(), view.so_far(at), ScanOptions::default());
    let (mut order, mut found, mut count) = (Order::of(view, at), None, 0);
    'segment: loop {
        while let Some(batch) = scan.next_batch()? {
            count += 1;
            order.take(batch.header);
            if wants(batch.header) {
                let place = BatchPlace { segment: at, position: batch.position, header: *batch.header };
                found = take(&mut reader, place)?;
                if found.is_some() {
                    break 'segment;
                }
            }
        }
        trace.ended(segment.base_offset, scan.end());
        if !scan.skip_damage() {
            break;
        }
    }
    let until = scan.position();
    // A base offset that has risen is only told by the batch behind.
    if found.is_some()
        && let Some(behind) = scan.next_batch()?
    {
        order.take(behind.header);
    }
    trace.add(Step::Batches { segment: segment.base_offset, from: Position(0), count, checksummed: true });
    if order.is_broken() {
        order::tell(view, at, until, trace)?;
    }
    Ok(found)
}
