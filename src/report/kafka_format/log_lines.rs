//! The lines of a `.log` or `.checkpoint` file: its head, its batches, their records.

use crate::format::batch::{BatchHeader, LOG_OVERHEAD};
use crate::format::compression::Compression;
use crate::format::control::ControlError;
use crate::format::record::Record;
use crate::format::{Offset, Position};

use super::Profile;
use super::control_detail::control_detail;
use super::text::{put, put_bool, put_int, put_java_utf8};

/// The bits of the attributes name no codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownCodec {
    /// Bits 0–2 of the attributes.
    pub id: u8,
}

/// What the lines of a batch's records repeat of the batch.
#[derive(Clone, Copy, Debug)]
pub struct BatchContext<'b> {
    /// The batch's header.
    pub header: &'b BatchHeader,
    /// Where it begins in the file.
    pub position: Position,
    /// The offset of its first record; for a compressed legacy message only its content tells.
    pub base_offset: Offset,
}

/// Appends the line that says which offset a log begins at.
pub fn log_head(out: &mut Vec<u8>, profile: Profile, base_offset: Offset) {
    put(out, if profile.says_log_starting_offset() { "Log starting offset: " } else { "Starting offset: " });
    put_int(out, "", base_offset.0);
    put(out, "\n");
}

/// Appends the line that says where a KRaft snapshot ends.
pub fn snapshot_head(out: &mut Vec<u8>, end_offset: Offset, epoch: i32) {
    put_int(out, "Snapshot end offset: ", end_offset.0);
    put_int(out, ", epoch: ", epoch);
    put(out, "\n");
}

/// Appends the line of a batch of any magic.
///
/// Errors: a codec without a name. What stands before the codec is appended then, without line end.
pub fn batch_line(
    out: &mut Vec<u8>,
    profile: Profile,
    position: Position,
    header: &BatchHeader,
    is_valid: bool,
) -> Result<(), UnknownCodec> {
    match header {
        BatchHeader::RecordBatch(fields) => {
            put_int(out, "baseOffset: ", fields.base_offset);
            put_int(out, " lastOffset: ", header.last_offset().0);
            put_int(out, " count: ", fields.records_count);
            put_int(out, " baseSequence: ", fields.base_sequence);
            put_int(out, " lastSequence: ", fields.last_sequence().unwrap_or(-1));
            put_int(out, " producerId: ", fields.producer_id);
            put_int(out, " producerEpoch: ", fields.producer_epoch);
            put_int(out, " partitionLeaderEpoch: ", fields.partition_leader_epoch);
            put_bool(out, " isTransactional: ", header.is_transactional());
            put_bool(out, " isControl: ", header.is_control());
            if profile.has_horizon_and_last_timestamp() {
                put(out, " deleteHorizonMs: ");
                put_optional_long(out, fields.delete_horizon_ms());
            }
        }
        BatchHeader::Message(message) => put_int(out, "offset: ", message.offset),
    }
    let codec = header.compression().map_err(|id| UnknownCodec { id })?;
    put_int(out, " position: ", position.0);
    put(out, " ");
    put(out, header.timestamp_type().name());
    put_int(out, ": ", header.max_timestamp().unwrap_or(-1));
    put_int(out, " size: ", size_in_bytes(header));
    put_int(out, " magic: ", header.magic());
    put(out, " compresscodec: ");
    put(out, codec_name(profile, codec));
    put_int(out, " crc: ", header.crc());
    put_bool(out, " isvalid: ", is_valid);
    put(out, "\n");
    Ok(())
}

/// Appends what a record's line says of the record itself, control record or not; no line end.
///
/// Errors: a control record that is none. What stands before its description is appended then.
pub fn record_metadata(
    out: &mut Vec<u8>,
    profile: Profile,
    batch: &BatchContext<'_>,
    record: &Record<'_>,
) -> Result<(), ControlError> {
    let header = batch.header;
    if profile.repeats_batch_in_records() {
        old_record_metadata(out, profile, batch, record);
    } else {
        put_int(out, "| offset: ", record.offset.0);
        put_timestamp_and_sizes(out, batch, record, false);
        if let Some(message) = &record.message {
            put_bool(out, " isValid: ", message.is_valid());
            put_int(out, " crc: ", message.header().crc);
            put(out, if profile.has_stray_brace() { "}" } else { "" });
        }
    }
    if header.as_record_batch().is_some() {
        put_int(out, " sequence: ", record.sequence.unwrap_or(-1));
        put(out, " headerKeys: [");
        for (index, header) in record.headers.iter().enumerate() {
            put(out, if index > 0 { "," } else { "" });
            put_java_utf8(out, header.key);
        }
        put(out, "]");
    }
    if header.is_control() {
        control_detail(out, profile, record)?;
    }
    Ok(())
}

/// Up to 2.8 a record's line was that of its batch as well.
fn old_record_metadata(out: &mut Vec<u8>, profile: Profile, batch: &BatchContext<'_>, record: &Record<'_>) {
    let header = batch.header;
    put_int(out, "| offset: ", record.offset.0);
    put_bool(out, " isValid: ", record.message.is_none_or(|message| message.is_valid()));
    match &record.message {
        Some(message) => put_int(out, " crc: ", message.header().crc),
        None => put(out, " crc: null"),
    }
    put_timestamp_and_sizes(out, batch, record, true);
    put_int(out, " baseOffset: ", batch.base_offset.0);
    put_int(out, " lastOffset: ", header.last_offset().0);
    let fields = header.as_record_batch();
    put_int(out, " baseSequence: ", fields.map_or(-1, |fields| fields.base_sequence));
    put_int(out, " lastSequence: ", fields.and_then(|fields| fields.last_sequence()).unwrap_or(-1));
    put_int(out, " producerEpoch: ", fields.map_or(-1, |fields| fields.producer_epoch));
    put_int(out, " partitionLeaderEpoch: ", fields.map_or(-1, |fields| fields.partition_leader_epoch));
    put_int(out, " batchSize: ", size_in_bytes(header));
    put_int(out, " magic: ", header.magic());
    put(out, " compressType: ");
    put(out, header.compression().map_or("", |codec| codec_name(profile, codec)));
    put_int(out, " position: ", batch.position.0);
    if let Some(message) = &record.message {
        put_int(out, " crc: ", message.header().crc);
        put_bool(out, " isvalid: ", message.is_valid());
    }
}

fn put_timestamp_and_sizes(out: &mut Vec<u8>, batch: &BatchContext<'_>, record: &Record<'_>, sizes_first: bool) {
    let put_timestamp = |out: &mut Vec<u8>| {
        put(out, " ");
        put(out, batch.header.timestamp_type().name());
        put_int(out, ": ", record.timestamp.unwrap_or(-1));
    };
    if !sizes_first {
        put_timestamp(out);
    }
    put_size(out, " keySize: ", record.key);
    put_size(out, " valueSize: ", record.value);
    if sizes_first {
        put_timestamp(out);
    }
}

fn put_size(out: &mut Vec<u8>, label: &str, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => put_int(out, label, bytes.len()),
        None => put_int(out, label, -1),
    }
}

/// `OptionalLong.empty` or `OptionalLong[5]`.
pub(super) fn put_optional_long(out: &mut Vec<u8>, value: Option<i64>) {
    match value {
        Some(value) => {
            put_int(out, "OptionalLong[", value);
            put(out, "]");
        }
        None => put(out, "OptionalLong.empty"),
    }
}

/// The whole batch in bytes; Java adds with wrapping.
fn size_in_bytes(header: &BatchHeader) -> i32 {
    header.length().wrapping_add(LOG_OVERHEAD as i32)
}

fn codec_name(profile: Profile, codec: Compression) -> &'static str {
    match (profile.names_codecs_in_upper_case(), codec) {
        (false, codec) => codec.name(),
        (true, Compression::None) => "NONE",
        (true, Compression::Gzip) => "GZIP",
        (true, Compression::Snappy) => "SNAPPY",
        (true, Compression::Lz4) => "LZ4",
        (true, Compression::Zstd) => "ZSTD",
    }
}

/// Writes key and payload of one record with what belongs before them.
pub struct ContentsWriter<'o> {
    out: &'o mut Vec<u8>,
    profile: Profile,
    after_metadata: bool,
}

impl<'o> ContentsWriter<'o> {
    /// A writer for one record's line, `after_metadata` if [`record_metadata`] has begun that line.
    pub fn new(out: &'o mut Vec<u8>, profile: Profile, after_metadata: bool) -> Self {
        Self { out, profile, after_metadata }
    }

    /// Writes a key, whose text `text` appends.
    pub fn key(&mut self, text: impl FnOnce(&mut Vec<u8>)) {
        put(self.out, if self.after_metadata { " key: " } else { "| key: " });
        self.after_metadata = true;
        text(self.out);
    }

    /// Writes a payload, whose text `text` appends. A key, if any, comes before.
    pub fn payload(&mut self, text: impl FnOnce(&mut Vec<u8>)) {
        let bar = !self.after_metadata && self.profile.has_bar_before_lone_payload();
        put(self.out, if bar { "| payload: " } else { " payload: " });
        text(self.out);
    }
}
