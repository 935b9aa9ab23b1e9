//! One batch on its own, and beside the one before: what its header says, and (deep) its records.

use std::path::Path;

use super::finding::{Finding, Findings, Severity};
use super::{Depth, Detail, Id};
use crate::format::batch::{BatchHeader, RECORD_BATCH_OVERHEAD, RecordBatchHeader, TimestampType};
use crate::format::compression::{Compression, DecompressError, Decompressor};
use crate::format::legacy::MessageHeader;
use crate::format::record::{RecordError, Records};
use crate::format::{Offset, Position};
use crate::scan::ScannedBatch;

/// Codec ids of magic 2: none, gzip, snappy, lz4, zstd.
const MOST_CODEC: i16 = 4;
/// The attribute bits of magic 2 that mean something: codec, timestamp type, transactional, control, delete horizon.
const KNOWN_ATTRIBUTES: i16 = 0x7f;
const LOG_APPEND_TIME: i16 = 0x08;
const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;
const DELETE_HORIZON: i16 = 0x40;

/// The rules for headers, over the batches of one segment in order.
///
/// The batch before is the last one whose offsets can be those of the segment, so that one changed base offset, which no
/// checksum covers, is not held against all the batches behind it.
#[derive(Debug)]
pub struct HeaderRules<'p> {
    path: &'p Path,
    base_offset: i64,
    /// Whether records are held against their headers as well.
    is_deep: bool,
    previous: Previous,
}

/// What is remembered of the batch before.
#[derive(Clone, Copy, Debug)]
struct Previous {
    last_offset: i64,
    epoch: i32,
    position: Option<Position>,
    is_in_order: bool,
    /// Its first offset.
    first_offset: i64,
    /// Its size in bytes.
    size_in_bytes: u64,
    /// The last offset before it.
    last_offset_before: i64,
}

impl Previous {
    /// Whether this batch is the one out of order where the next one begins at `next`: it leaves offsets out before it,
    /// and would end below `next` if it did not.
    fn contradicts_both_neighbours(&self, next: i64) -> bool {
        let expected = self.last_offset_before.saturating_add(1);
        let moved_last = expected.saturating_add(self.last_offset.saturating_sub(self.first_offset));
        self.position.is_some() && self.first_offset > expected && moved_last < next
    }
}

/// How a batch stands to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The last offset before it (inclusive); before the first batch, the one before the segment's base.
    pub last_offset_before: Offset,
    /// Whether its offsets and those of the batch before are in order, and of this segment.
    pub is_in_order: bool,
}

impl<'p> HeaderRules<'p> {
    /// The rules for the log at `path`, whose segment begins at `base_offset`.
    pub fn new(path: &'p Path, base_offset: Offset, depth: Depth) -> Self {
        let last_offset = base_offset.0.saturating_sub(1);
        let previous = Previous {
            last_offset,
            epoch: -1,
            position: None,
            is_in_order: true,
            first_offset: last_offset,
            size_in_bytes: 0,
            last_offset_before: last_offset,
        };
        Self { path, base_offset: base_offset.0, is_deep: depth == Depth::Records, previous }
    }

    /// Holds a header against itself and against what came before it.
    #[inline]
    pub fn judge(&mut self, scanned: &ScannedBatch<'_>, findings: &mut Findings) -> Standing {
        let header = scanned.header;
        let last = header.last_offset().0;
        let (first, epoch, is_odd) = match header {
            BatchHeader::RecordBatch(batch) => (batch.base_offset, batch.partition_leader_epoch, is_odd(batch)),
            BatchHeader::Message(message) => (message.offset, -1, is_odd_message(message)),
        };
        let before = self.previous;
        // Below the base, the difference is negative and thus a very large number.
        let is_inside = (last.wrapping_sub(self.base_offset) as u64 <= i32::MAX as u64) & (first >= self.base_offset);
        let is_in_order = is_inside & (first > before.last_offset);
        if !is_in_order | is_odd | ((epoch != -1) & (epoch < before.epoch.max(0))) {
            self.name_what_is_odd(scanned, is_inside, findings);
        }
        if is_inside {
            self.previous.last_offset_before = before.last_offset;
            self.previous.first_offset = first;
            self.previous.last_offset = last;
            self.previous.position = Some(scanned.position);
            self.previous.size_in_bytes = header.size_in_bytes();
        }
        self.previous.is_in_order = is_in_order;
        if epoch >= 0 {
            self.previous.epoch = epoch;
        }
        Standing { last_offset_before: Offset(before.last_offset), is_in_order: is_in_order & before.is_in_order }
    }

    #[cold]
    fn name_what_is_odd(&self, scanned: &ScannedBatch<'_>, is_inside: bool, findings: &mut Findings) {
        let odd = Odd { path: self.path, scanned };
        match is_inside {
            true => odd.begins_behind_the_batch_before(&self.previous, findings),
            false => odd.offsets_belong_to_the_segment(self.base_offset, findings),
        }
        match &scanned.header {
            BatchHeader::RecordBatch(batch) => {
                odd.epoch_does_not_fall(batch, &self.previous, findings);
                odd.count_fits_the_offsets(batch, findings);
                odd.codec_exists(batch.attributes & 0x07, MOST_CODEC, findings);
                odd.attributes_are_known(batch.attributes, KNOWN_ATTRIBUTES, findings);
                odd.append_time_is_there(batch, findings);
                odd.producer_fields_agree(batch, findings);
                odd.empty_batch_is_a_bare_header(batch, self.is_deep, findings);
                odd.delete_horizon_has_records(batch, findings);
            }
            BatchHeader::Message(message) => {
                let attributes = i16::from(message.attributes as u8);
                odd.codec_exists(attributes & 0x07, MOST_MESSAGE_CODEC, findings);
                odd.attributes_are_known(attributes, known_message_attributes(message), findings);
            }
        }
    }
}

/// Whether one of the rules about a header of magic 2 alone may be broken: few instructions and no branch, because it
/// is asked for every batch.
#[inline]
fn is_odd(batch: &RecordBatchHeader) -> bool {
    let attributes = batch.attributes;
    let is_append_time = attributes & LOG_APPEND_TIME != 0;
    let has_producer = batch.producer_id >= 0;
    let lacks_sequence = (attributes & CONTROL == 0) & (batch.base_sequence < 0);
    (batch.last_offset_delta < 0)
        | (batch.records_count <= 0)
        | (i64::from(batch.records_count) > i64::from(batch.last_offset_delta) + 1)
        | (attributes & !KNOWN_ATTRIBUTES != 0)
        | (attributes & 0x07 > MOST_CODEC)
        | (is_append_time & (batch.max_timestamp < 0))
        | (has_producer & ((batch.producer_epoch < 0) | lacks_sequence))
        | (!has_producer & (attributes & TRANSACTIONAL != 0))
}

/// Codec ids of messages: zstd came later.
const MOST_MESSAGE_CODEC: i16 = 3;

#[inline]
fn is_odd_message(message: &MessageHeader) -> bool {
    let attributes = i16::from(message.attributes as u8);
    (attributes & 0x07 > MOST_MESSAGE_CODEC) | (attributes & !known_message_attributes(message) != 0)
}

/// Codec, and with magic 1 the timestamp type.
#[inline]
fn known_message_attributes(message: &MessageHeader) -> i16 {
    if message.magic == 0 { 0x07 } else { 0x0f }
}

/// A batch with something odd about it.
struct Odd<'a> {
    path: &'a Path,
    scanned: &'a ScannedBatch<'a>,
}

impl Odd<'_> {
    fn finding(&self, id: Id) -> Finding {
        let header = &self.scanned.header;
        let first = header.base_offset().unwrap_or(header.last_offset());
        Finding::new(id, self.path)
            .at(self.scanned.position, header.size_in_bytes())
            .offset(first)
            .with("baseOffset", first)
            .with("lastOffset", header.last_offset())
    }

    /// Indexes say offsets relative to the base in 31 bits, and a search for an offset begins in the segment whose base
    /// is not above it. Source: Kafka `LogSegment.recover`, `OffsetIndex`, `LocalLog.splitOverflowedSegment`.
    fn offsets_belong_to_the_segment(&self, base_offset: i64, findings: &mut Findings) {
        let header = &self.scanned.header;
        let is_below = header.last_offset().0 < base_offset || header.base_offset().is_some_and(|o| o.0 < base_offset);
        let id = if is_below { Id::LogOffsetBelowBase } else { Id::LogOffsetOverflow };
        findings.push(self.finding(id).with("segmentBaseOffset", base_offset));
    }

    /// Readers stop at the first batch that reaches the offset they look for, and recovery refuses an index entry that
    /// does not rise. Source: Kafka `LogSegment.translateOffset`, `OffsetIndex.append`.
    fn begins_behind_the_batch_before(&self, before: &Previous, findings: &mut Findings) {
        let header = &self.scanned.header;
        let first = header.base_offset().unwrap_or(header.last_offset());
        if first.0 > before.last_offset {
            return;
        }
        if let Some(position) = before.position
            && before.contradicts_both_neighbours(first.0)
        {
            findings.push(
                Finding::new(Id::LogOffsetsNotIncreasing, self.path)
                    .at(position, before.size_in_bytes)
                    .offset(Offset(before.first_offset))
                    .with("baseOffset", before.first_offset)
                    .with("lastOffset", before.last_offset)
                    .with("lastOffsetBefore", before.last_offset_before)
                    .with("nextOffset", first),
            );
            return;
        }
        let mut finding = self.finding(Id::LogOffsetsNotIncreasing).with("previousLastOffset", before.last_offset);
        if let Some(position) = before.position {
            finding = finding.with("previousPosition", position);
        }
        findings.push(finding);
    }

    /// Followers cut where leader epochs tell them. Source: Kafka `LeaderEpochFileCache.assign`.
    fn epoch_does_not_fall(&self, batch: &RecordBatchHeader, before: &Previous, findings: &mut Findings) {
        let epoch = batch.partition_leader_epoch;
        // Below 0 only -1 is one that a broker writes: not known.
        if epoch != -1 && epoch < before.epoch.max(0) {
            let finding = self.finding(Id::LogEpochDecreases).with("partitionLeaderEpoch", epoch);
            findings.push(finding.with("previousPartitionLeaderEpoch", before.epoch));
        }
    }

    /// Compaction takes records out of a batch and leaves its offsets; there are never more records than offsets.
    /// Source: Kafka `DefaultRecordBatch`, `LogValidator`.
    fn count_fits_the_offsets(&self, batch: &RecordBatchHeader, findings: &mut Findings) {
        let offsets = i64::from(batch.last_offset_delta) + 1;
        if batch.last_offset_delta < 0 || batch.records_count < 0 || i64::from(batch.records_count) > offsets {
            let finding = self.finding(Id::LogRecordCount).with("count", batch.records_count);
            findings.push(finding.with("lastOffsetDelta", batch.last_offset_delta));
        }
    }

    /// Source: Kafka `CompressionType.forId`.
    fn codec_exists(&self, codec: i16, most: i16, findings: &mut Findings) {
        if codec > most {
            let finding = self.finding(Id::LogUnknownCodec).with("codec", i32::from(codec));
            findings.push(finding.with("magic", i32::from(self.scanned.header.magic())));
        }
    }

    /// Kafka writes the other bits as zeros and does not look at them. Source: Kafka `DefaultRecordBatch`,
    /// `LegacyRecord`.
    fn attributes_are_known(&self, attributes: i16, known: i16, findings: &mut Findings) {
        if attributes & !known != 0 {
            let finding = self.finding(Id::LogUnknownAttributes).with("attributes", i64::from(attributes as u16));
            findings.push(finding.with("unknownBits", i64::from((attributes & !known) as u16)));
        }
    }

    /// Retention and lookups by time go by it. Source: Kafka `LogSegment`.
    fn append_time_is_there(&self, batch: &RecordBatchHeader, findings: &mut Findings) {
        if batch.attributes & LOG_APPEND_TIME != 0 && batch.max_timestamp < 0 {
            findings.push(self.finding(Id::LogAppendTimeMissing).with("maxTimestamp", batch.max_timestamp));
        }
    }

    /// A producer has an epoch, its data have sequence numbers, and only producers have transactions. Coordinators write
    /// sequence 0 without a producer. Source: Kafka `ProducerStateManager`, `DefaultRecordBatch`.
    fn producer_fields_agree(&self, batch: &RecordBatchHeader, findings: &mut Findings) {
        let (is_control, is_transactional) = (batch.attributes & CONTROL != 0, batch.attributes & TRANSACTIONAL != 0);
        let reason = match batch.producer_id >= 0 {
            true if batch.producer_epoch < 0 => "producerWithoutEpoch",
            true if !is_control && batch.base_sequence < 0 => "producerWithoutSequence",
            false if is_transactional => "transactionWithoutProducer",
            _ => return,
        };
        findings.push(
            self.finding(Id::LogProducerFields)
                .with("reason", reason)
                .with("producerId", batch.producer_id)
                .with("producerEpoch", i32::from(batch.producer_epoch))
                .with("baseSequence", batch.base_sequence),
        );
    }

    /// The cleaner keeps the header of a batch for what it says about its producer, and nothing else of it. Nobody looks
    /// at the base timestamp it leaves. Source: Kafka `MemoryRecords.filterTo`, `DefaultRecordBatch.writeEmptyHeader`.
    fn empty_batch_is_a_bare_header(&self, batch: &RecordBatchHeader, is_deep: bool, findings: &mut Findings) {
        if batch.records_count != 0 {
            return;
        }
        let (codec, size) = (batch.attributes & 0x07, self.scanned.header.size_in_bytes());
        let is_bare = codec == 0 && size == RECORD_BATCH_OVERHEAD as u64;
        // The base timestamp of one with a delete horizon has a rule of its own.
        if is_bare && (batch.base_timestamp == -1 || batch.attributes & DELETE_HORIZON != 0) {
            return;
        }
        if let Some(left) = self.uncounted_bytes(batch) {
            if !is_deep {
                findings.push(self.finding(Id::LogRecordCount).with("count", 0i64).with("recordBytes", left));
            }
            return;
        }
        let finding = self
            .finding(Id::LogEmptyBatch)
            .with("codec", i32::from(codec))
            .with("sizeInBytes", size)
            .with("baseTimestamp", batch.base_timestamp);
        findings.push(if is_bare { finding.as_severity(Severity::Info) } else { finding });
    }

    /// The bytes of records behind a header that counts none.
    fn uncounted_bytes(&self, batch: &RecordBatchHeader) -> Option<u64> {
        let left = self.scanned.header.size_in_bytes().saturating_sub(RECORD_BATCH_OVERHEAD as u64);
        (batch.records_count == 0 && batch.attributes & 0x07 == 0 && left > 0).then_some(left)
    }

    /// The cleaner sets a delete horizon for the tombstones and markers in a batch. Source: Kafka
    /// `MemoryRecords.filterTo`, `LogCleaner`.
    fn delete_horizon_has_records(&self, batch: &RecordBatchHeader, findings: &mut Findings) {
        if batch.attributes & DELETE_HORIZON != 0 && batch.records_count == 0 {
            findings
                .push(self.finding(Id::LogDeleteHorizon).with("deleteHorizonMs", Detail::Time(batch.base_timestamp)));
        }
    }

    fn undecodable(&self, reason: &'static str, error: String) -> Finding {
        self.finding(Id::LogRecordsUndecodable).with("reason", reason).with("error", error)
    }
}

/// Holds the records of a batch against its header: they can be decoded, their offsets rise and lie inside the batch,
/// and the largest timestamp is theirs. A batch that takes more memory than was allowed is named as not looked at.
///
/// Source: Kafka `DefaultRecordBatch`, `DefaultRecord`, `AbstractLegacyRecordBatch`.
pub fn records(scanned: &ScannedBatch<'_>, path: &Path, decompressor: &mut Decompressor, findings: &mut Findings) {
    let header = scanned.header;
    let odd = Odd { path, scanned };
    let codec_is_known = match header {
        BatchHeader::RecordBatch(_) => header.compression().is_ok(),
        BatchHeader::Message(_) => header.compression().is_ok_and(|codec| codec != Compression::Zstd),
    };
    // The rules for headers have named these.
    let count_fits = header
        .as_record_batch()
        .is_none_or(|batch| (0..=i64::from(batch.last_offset_delta) + 1).contains(&i64::from(batch.records_count)));
    if !codec_is_known || !count_fits {
        return;
    }
    if let Some(left) = header.as_record_batch().and_then(|batch| odd.uncounted_bytes(batch)) {
        let words = format!("{left} bytes are left behind the 0 records of the batch");
        return findings.push(odd.undecodable("undecodable", words));
    }
    let Some(batch) = scanned.batch() else {
        let words = format!("a batch of {} bytes was not held in memory", header.size_in_bytes());
        findings.push(odd.undecodable("notLookedAt", words).as_severity(Severity::Info));
        return;
    };
    let seen = match batch.records(decompressor) {
        Ok(records) => look_at(records, header),
        Err(error) => Err(error),
    };
    match seen {
        Ok(seen) => {
            if let Some((offset, after)) = seen.misplaced {
                let finding = odd.finding(Id::LogRecordOffsets).offset(offset).with("recordOffset", offset);
                findings.push(match after {
                    Some(after) => finding.with("previousRecordOffset", after),
                    None => finding,
                });
            }
            if let BatchHeader::RecordBatch(batch) = header
                && header.timestamp_type() == TimestampType::CreateTime
                && let Some(largest) = seen.max_timestamp.filter(|largest| *largest != batch.max_timestamp)
            {
                let finding = odd.finding(Id::LogMaxTimestamp).with("maxTimestamp", Detail::Time(batch.max_timestamp));
                findings.push(finding.with("largestRecordTimestamp", Detail::Time(largest)));
            }
        }
        Err(RecordError::Decompress(error @ (DecompressError::Limit { .. } | DecompressError::OutOfMemory))) => {
            findings.push(odd.undecodable("notLookedAt", error.to_string()).as_severity(Severity::Info));
        }
        Err(error) => findings.push(odd.undecodable("undecodable", error.to_string())),
    }
}

/// What the records of one batch are like.
#[derive(Default)]
struct Seen {
    /// The largest timestamp; −1 where all records lack one.
    max_timestamp: Option<i64>,
    /// The first record that is not where it must be, and the offset before it if it does not lie behind that.
    misplaced: Option<(Offset, Option<Offset>)>,
}

fn look_at(records: Records<'_>, header: &BatchHeader) -> Result<Seen, RecordError> {
    let (first, last) = (header.base_offset(), header.last_offset());
    // What wraps messages at offset 0 was written by an old client, and holds relative offsets.
    let last = if header.records_count().is_none() && last == Offset(0) { Offset(i64::MAX) } else { last };
    let mut seen = Seen::default();
    let mut before = None;
    for record in records {
        let record = record?;
        let rises = before.is_none_or(|before| record.offset > before);
        if seen.misplaced.is_none()
            && (!rises || record.offset > last || first.is_some_and(|first| record.offset < first))
        {
            seen.misplaced = Some((record.offset, before.filter(|_| !rises)));
        }
        before = Some(record.offset);
        seen.max_timestamp = seen.max_timestamp.max(Some(record.timestamp.unwrap_or(-1)));
    }
    Ok(seen)
}
