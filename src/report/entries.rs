//! Words for the files beside the log: indexes and producer snapshots here, files of text in `texts`.
//!
//! One function a kind. It shows the entries in the order of the file, then what is not an entry: unused space in
//! words, damage as a row of its own. Damage is here what makes bytes unreadable as a file of that kind; whether
//! entries that can be read are also true is judged elsewhere.

mod texts;

use std::io;

use super::json;
use super::reporter::{Reporter, Tone};
use super::row::{Field, Row, Value};
use super::time;
use crate::format::Position;
use crate::format::file_name::{FileKind, FileName};
use crate::format::offset_index::{self, OffsetIndex};
use crate::format::producer_snapshot::{self, ProducerEntry, ProducerSnapshot, SnapshotError};
use crate::format::time_index::{self, TimeIndex};
use crate::format::txn_index::{self, AbortedTxn, TxnIndex};
use jiff::tz::TimeZone;
pub use texts::{clean_shutdown, leader_epochs, meta_properties, offset_checkpoint, partition_metadata, quorum_state};

/// How full the buffer may get before it is handed on.
const FLUSH_AT: usize = 256 * 1024;

/// Takes away what has been written to the buffer so far: an index can have more lines than memory.
pub type Flush<'a> = dyn FnMut(&mut Vec<u8>) -> io::Result<()> + 'a;

/// What was found in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// How many entries it has.
    pub entries: u64,
    /// Whether some of it cannot be read.
    pub damaged: bool,
}

/// Where the lines of one file go.
pub struct Lines<'a> {
    reporter: &'a mut Reporter,
    out: &'a mut Vec<u8>,
    file: &'a str,
    flush: &'a mut Flush<'a>,
    seen: Seen,
}

impl<'a> Lines<'a> {
    /// Lines about `file` that go to `out`, which `flush` empties whenever it is full.
    pub fn new(reporter: &'a mut Reporter, out: &'a mut Vec<u8>, file: &'a str, flush: &'a mut Flush<'a>) -> Self {
        Self { reporter, out, file, flush, seen: Seen::default() }
    }

    #[inline]
    fn entry(&mut self, row: &Row<'_>) -> io::Result<()> {
        self.seen.entries += 1;
        self.row(row)
    }

    #[inline]
    fn row(&mut self, row: &Row<'_>) -> io::Result<()> {
        self.reporter.row(self.out, row);
        if self.out.len() < FLUSH_AT { Ok(()) } else { (self.flush)(self.out) }
    }

    fn words(&mut self, words: &str) {
        self.reporter.words(self.out, None, words.as_bytes());
    }

    fn damaged(&mut self, position: Position, length: u64, reason: &str, words: &str) -> io::Result<()> {
        self.seen.damaged = true;
        let line = format!("damaged  position {position}  {length} B  {words}");
        let fields = [
            Field::json_only("file", Value::Word(self.file)),
            Field::new("position", "damaged at", Value::Unsigned(position.0)),
            Field::new("length", "bytes", Value::Unsigned(length)),
            Field::new("reason", "reason", Value::Word(reason)),
            Field::json_only("message", Value::Word(words)),
        ];
        self.row(&Row { kind: "damaged", fields: &fields, text: Some(line.as_bytes()), tone: Some(Tone::Bad) })
    }

    /// Preallocated entries that were never written.
    fn unused(&mut self, entries: usize) {
        match entries {
            0 => {}
            1 => self.words("1 unused entry (zeros)"),
            _ => self.words(&format!("{entries} unused entries (zeros)")),
        }
    }

    /// What is left at the end of a file of `entries` whole entries of `size` bytes.
    fn partial_entry(&mut self, entries: usize, size: usize, partial: &[u8]) -> io::Result<()> {
        if partial.is_empty() {
            return Ok(());
        }
        let words = format!("the last entry is cut: {} of {size} bytes", partial.len());
        self.damaged(Position((entries * size) as u64), partial.len() as u64, "partialEntry", &words)
    }

    /// What was seen; says so where that is nothing.
    fn end(mut self, nothing: &str) -> Seen {
        if self.seen == Seen::default() {
            self.words(nothing);
        }
        self.seen
    }
}

/// The name of a kind of file in JSON.
pub fn kind_name(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Log => "log",
        FileKind::OffsetIndex => "offsetIndex",
        FileKind::TimeIndex => "timeIndex",
        FileKind::TxnIndex => "txnIndex",
        FileKind::ProducerSnapshot => "producerSnapshot",
        FileKind::KraftSnapshot | FileKind::BootstrapSnapshot => "kraftSnapshot",
        FileKind::LeaderEpochCheckpoint => "leaderEpochCheckpoint",
        FileKind::PartitionMetadata => "partitionMetadata",
        FileKind::QuorumState => "quorumState",
        FileKind::RecoveryPointCheckpoint => "recoveryPointCheckpoint",
        FileKind::LogStartOffsetCheckpoint => "logStartOffsetCheckpoint",
        FileKind::ReplicationOffsetCheckpoint => "replicationOffsetCheckpoint",
        FileKind::CleanerOffsetCheckpoint => "cleanerOffsetCheckpoint",
        FileKind::MetaProperties => "metaProperties",
        FileKind::CleanShutdown => "cleanShutdown",
        FileKind::Lock => "lock",
        FileKind::RemoteLogSnapshot => "remoteLogSnapshot",
        FileKind::Other => "other",
    }
}

/// What the lines of a file are about, for people.
pub fn file_words(name: &FileName) -> String {
    let words = match name.kind {
        FileKind::Log => return at_offset("starts at", name),
        FileKind::OffsetIndex => return at_offset("offset index of the segment that starts at", name),
        FileKind::TimeIndex => return at_offset("time index of the segment that starts at", name),
        FileKind::TxnIndex => return at_offset("aborted transactions of the segment that starts at", name),
        FileKind::ProducerSnapshot => return at_offset("producers as known below", name),
        FileKind::KraftSnapshot => return at_offset("snapshot of everything below", name),
        FileKind::BootstrapSnapshot => "the records this KRaft cluster started from",
        FileKind::LeaderEpochCheckpoint => "leader epochs and where they start",
        FileKind::PartitionMetadata => "the topic this partition belongs to",
        FileKind::QuorumState => "KRaft election state",
        FileKind::RecoveryPointCheckpoint => "recovery points: everything below is on disk",
        FileKind::LogStartOffsetCheckpoint => "log start offsets, where they are not those of the first segment",
        FileKind::ReplicationOffsetCheckpoint => "high watermarks",
        FileKind::CleanerOffsetCheckpoint => "first offsets not yet compacted",
        FileKind::MetaProperties => "whose log dir this is",
        FileKind::CleanShutdown => "the broker stopped in an orderly way",
        FileKind::Lock => "locked by a running broker",
        FileKind::RemoteLogSnapshot => "metadata of tiered storage",
        FileKind::Other => "of no known kind",
    };
    words.to_owned()
}

fn at_offset(words: &str, name: &FileName) -> String {
    match name.base_offset {
        Some(offset) => format!("{words} offset {offset}"),
        None => format!("{words} an offset that its name does not tell: shown as if it were 0"),
    }
}

/// The entries of an offset index.
///
/// Errors: those of the flush, here and below.
pub fn offset_index(mut lines: Lines<'_>, index: &OffsetIndex<'_>) -> io::Result<Seen> {
    let used = index.zero_tail();
    for (slot, entry) in index.iter().take(used).enumerate() {
        let fields = [
            Field::json_only("file", Value::Word(lines.file)),
            Field::new("slot", "entry", Value::Unsigned(slot as u64)),
            Field::new("offset", "offset", Value::Int(entry.offset.0)),
            Field::new("position", "position", Value::Int(entry.raw_position.into())),
        ];
        lines.entry(&Row::new("offsetIndexEntry", &fields))?;
    }
    lines.unused(index.len() - used);
    lines.partial_entry(index.len(), offset_index::ENTRY_SIZE, index.partial_entry())?;
    Ok(lines.end("no entries"))
}

/// The entries of a time index. A first entry of zeros with nothing but zeros behind it counts as unused: only the
/// log could tell whether it stands for a record of 1970.
pub fn time_index(mut lines: Lines<'_>, index: &TimeIndex<'_>) -> io::Result<Seen> {
    let used = index.zero_tail();
    for (slot, entry) in index.iter().take(used).enumerate() {
        let fields = [
            Field::json_only("file", Value::Word(lines.file)),
            Field::new("slot", "entry", Value::Unsigned(slot as u64)),
            Field::new("timestamp", "", Value::Time(entry.timestamp)),
            Field::new("offset", "offset", Value::Int(entry.offset.0)),
        ];
        lines.entry(&Row::new("timeIndexEntry", &fields))?;
    }
    lines.unused(index.len() - used);
    lines.partial_entry(index.len(), time_index::ENTRY_SIZE, index.partial_entry())?;
    Ok(lines.end("no entries"))
}

/// The entries of a transaction index. Zeros at its end are damage, since no Kafka allocates this file in advance.
pub fn txn_index(mut lines: Lines<'_>, index: &TxnIndex<'_>) -> io::Result<Seen> {
    let used = index.zero_tail();
    for (slot, entry) in index.iter().take(used).enumerate() {
        let fields = [
            Field::json_only("file", Value::Word(lines.file)),
            Field::new("slot", "entry", Value::Unsigned(slot as u64)),
            Field::json_only("version", Value::Int(entry.version.into())),
            Field::new("producerId", "producer", Value::Int(entry.producer_id)),
            Field::new("firstOffset", "first offset", Value::Int(entry.first_offset.0)),
            Field::new("lastOffset", "last offset", Value::Int(entry.last_offset.0)),
            Field::new("lastStableOffset", "last stable offset", Value::Int(entry.last_stable_offset.0)),
        ];
        lines.entry(&Row::new("txnIndexEntry", &fields))?;
        unknown_txn_version(&mut lines, slot, &entry)?;
    }
    if used < index.len() {
        let zeros = ((index.len() - used) * txn_index::ENTRY_SIZE) as u64;
        let position = Position((used * txn_index::ENTRY_SIZE) as u64);
        lines.damaged(position, zeros, "zeros", "zeros, which no broker writes here")?;
    }
    lines.partial_entry(index.len(), txn_index::ENTRY_SIZE, index.partial_entry())?;
    Ok(lines.end("no entries"))
}

fn unknown_txn_version(lines: &mut Lines<'_>, slot: usize, entry: &AbortedTxn) -> io::Result<()> {
    if entry.version == txn_index::VERSION {
        return Ok(());
    }
    let position = Position((slot * txn_index::ENTRY_SIZE) as u64);
    let words = format!("entry {slot} has version {}, which is unknown", entry.version);
    lines.damaged(position, txn_index::ENTRY_SIZE as u64, "unknownVersion", &words)
}

/// The producers of the content of a producer snapshot. Of a damaged one whatever can be read is shown.
pub fn producer_snapshot(mut lines: Lines<'_>, bytes: &[u8]) -> io::Result<Seen> {
    let error = ProducerSnapshot::parse(bytes).err();
    let snapshot = ProducerSnapshot::lenient(bytes);
    let mut text = Vec::new();
    for entry in snapshot.iter() {
        text.clear();
        producer_text(&mut text, &entry, lines.reporter.zone());
        let fields = [
            Field::json_only("file", Value::Word(lines.file)),
            Field::new("producerId", "producer", Value::Int(entry.producer_id)),
            Field::new("producerEpoch", "epoch", known(entry.producer_epoch)),
            Field::new("lastSequence", "last sequence", known(entry.last_sequence)),
            Field::new("lastOffset", "last offset", known(entry.last_offset)),
            Field::new("offsetDelta", "offset delta", offset_delta(&entry)),
            Field::new("lastTimestamp", "last timestamp", time_known(entry.timestamp)),
            Field::new("coordinatorEpoch", "coordinator epoch", known(entry.coordinator_epoch)),
            Field::new("currentTxnFirstOffset", "open transaction from", known(entry.current_txn_first_offset)),
        ];
        lines.entry(&Row { kind: "producer", fields: &fields, text: Some(&text), tone: None })?;
    }
    if let Some(error) = error {
        snapshot_damage(&mut lines, bytes, &snapshot, error)?;
    } else if !snapshot.trailing_bytes().is_empty() {
        lines.words(&format!("{} bytes more that the checksum covers", snapshot.trailing_bytes().len()));
    }
    Ok(lines.end("no producers"))
}

fn snapshot_damage(
    lines: &mut Lines<'_>,
    bytes: &[u8],
    snapshot: &ProducerSnapshot<'_>,
    error: SnapshotError,
) -> io::Result<()> {
    let size = bytes.len();
    let (reason, at, length) = match error {
        SnapshotError::TooShort { in_entry: true, .. } => {
            let at = producer_snapshot::HEADER_SIZE + snapshot.len() * producer_snapshot::ENTRY_SIZE;
            ("tooShort", at, size.saturating_sub(at))
        }
        SnapshotError::TooShort { at, .. } => ("tooShort", at, size.saturating_sub(at)),
        SnapshotError::UnknownVersion { .. } => ("unknownVersion", 0, 2),
        SnapshotError::NegativeCount { .. } => ("negativeCount", 6, 4),
        SnapshotError::CountTooLarge { .. } => ("countTooLarge", 6, 4),
        SnapshotError::Crc { .. } => ("crcMismatch", 0, size),
    };
    lines.damaged(Position(at as u64), length as u64, reason, &error.to_string())
}

/// A stored number, or nothing where it is the one that stands for nothing.
fn known(stored: impl Into<i64>) -> Value<'static> {
    Value::or_absent(Some(stored.into()).filter(|stored| *stored != -1))
}

fn time_known(stored: i64) -> Value<'static> {
    Value::time_or_absent(Some(stored).filter(|stored| *stored != -1))
}

/// Of a producer without a batch the delta says nothing: it is 0.
fn offset_delta(entry: &ProducerEntry) -> Value<'static> {
    let says_nothing = entry.last_offset == -1 && entry.offset_delta == 0;
    if says_nothing { Value::Absent } else { Value::Int(entry.offset_delta.into()) }
}

fn producer_text(out: &mut Vec<u8>, entry: &ProducerEntry, zone: &TimeZone) {
    out.extend_from_slice(b"producer ");
    json::int(out, entry.producer_id);
    labelled(out, " epoch ", entry.producer_epoch);
    match entry.first_sequence() {
        Some(first) if first != entry.last_sequence => {
            labelled(out, "  sequence ", first);
            labelled(out, "..", entry.last_sequence);
        }
        _ => labelled(out, "  sequence ", entry.last_sequence),
    }
    labelled(out, "  last offset ", entry.last_offset);
    if entry.timestamp != -1 {
        out.extend_from_slice(b"  ");
        time::zoned(out, entry.timestamp, zone);
    }
    labelled(out, "  coordinator epoch ", entry.coordinator_epoch);
    labelled(out, "  open transaction from offset ", entry.current_txn_first_offset);
}

/// Appends a stored number with its label, unless it is the one that stands for nothing.
fn labelled(out: &mut Vec<u8>, label: &str, stored: impl Into<i64>) {
    let stored = stored.into();
    if stored != -1 {
        out.extend_from_slice(label.as_bytes());
        json::int(out, stored);
    }
}

#[cfg(test)]
mod tests;
