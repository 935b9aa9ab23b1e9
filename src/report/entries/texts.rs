//! Words for the small files of text: checkpoints, properties, and the little JSON that Kafka keeps.

use std::io;

use super::{Lines, Seen, known};
use crate::format::Position;
use crate::format::clean_shutdown::CleanShutdown;
use crate::format::leader_epoch::{self, LeaderEpochEntry};
use crate::format::offset_checkpoint::{self, CheckpointError, CheckpointProblem, OffsetCheckpointEntry};
use crate::format::partition_metadata::{PartitionMetadata, PartitionMetadataError};
use crate::format::properties::{MetaProperties, MetaPropertiesError, Properties};
use crate::format::quorum_state::{QuorumState, QuorumStateError};
use crate::report::row::{Field, Row, Value};
use crate::report::{json, text};

/// The entries of the content of a `leader-epoch-checkpoint`. Of a damaged one every line that can be read is shown.
pub fn leader_epochs(lines: Lines<'_>, bytes: &[u8]) -> io::Result<Seen> {
    let error = leader_epoch::parse(bytes).err();
    checkpoint(lines, bytes, error, leader_epoch::lenient(bytes), |lines, entry: LeaderEpochEntry| {
        let fields = [
            Field::json_only("file", Value::Word(lines.file)),
            Field::new("epoch", "epoch", Value::Int(entry.epoch.into())),
            Field::new("startOffset", "start offset", Value::Int(entry.start_offset.0)),
        ];
        lines.entry(&Row::new("leaderEpoch", &fields))
    })
}

/// The entries of the content of an offset checkpoint. Of a damaged one every line that can be read is shown.
pub fn offset_checkpoint(lines: Lines<'_>, bytes: &[u8]) -> io::Result<Seen> {
    let error = offset_checkpoint::parse(bytes).err();
    let mut line = Vec::new();
    checkpoint(lines, bytes, error, offset_checkpoint::lenient(bytes), |lines, entry: OffsetCheckpointEntry<'_>| {
        line.clear();
        text::escaped(&mut line, entry.topic.as_bytes());
        line.push(b'-');
        json::int(&mut line, entry.partition);
        line.extend_from_slice(b"  offset ");
        json::int(&mut line, entry.offset.0);
        let fields = [
            Field::json_only("file", Value::Word(lines.file)),
            Field::new("topic", "topic", Value::Text(entry.topic)),
            Field::new("partition", "partition", Value::Int(entry.partition.into())),
            Field::new("offset", "offset", Value::Int(entry.offset.0)),
        ];
        lines.entry(&Row { kind: "checkpoint", fields: &fields, text: Some(&line), tone: None })
    })
}

/// Goes through the lines of a checkpoint: entries are shown, the first two lines are the header, all else is damage.
fn checkpoint<E>(
    mut lines: Lines<'_>,
    bytes: &[u8],
    error: Option<CheckpointError>,
    entries: impl Iterator<Item = (usize, E)>,
    mut show: impl FnMut(&mut Lines<'_>, E) -> io::Result<()>,
) -> io::Result<Seen> {
    let mut entries = entries.peekable();
    for line in text_lines(bytes) {
        let error = error.filter(|error| error.line == line.number);
        if let Some(error) = error {
            line.damaged(&mut lines, reason(error.problem), &error.to_string())?;
        }
        if let Some((_, entry)) = entries.next_if(|(number, _)| *number == line.number) {
            show(&mut lines, entry)?;
        } else if error.is_none() && line.number > 2 {
            line.damaged(&mut lines, "malformedLine", &format!("line {} is no entry", line.number))?;
        }
    }
    Ok(lines.end("no entries"))
}

fn reason(problem: CheckpointProblem) -> &'static str {
    match problem {
        CheckpointProblem::NotUtf8 => "notUtf8",
        CheckpointProblem::HeaderNotANumber => "malformedHeader",
        CheckpointProblem::UnknownVersion { .. } => "unknownVersion",
        CheckpointProblem::NegativeCount { .. } => "negativeCount",
        CheckpointProblem::FieldCount { .. } | CheckpointProblem::NotANumber { .. } => "malformedLine",
        CheckpointProblem::EntryCount { .. } => "countMismatch",
    }
}

/// What the content of `partition.metadata` says. Of a damaged one the lines that name a value are shown.
pub fn partition_metadata(mut lines: Lines<'_>, bytes: &[u8]) -> io::Result<Seen> {
    match PartitionMetadata::parse(bytes) {
        Ok(metadata) => {
            property(&mut lines, "version", Value::Int(metadata.version.into()))?;
            property(&mut lines, "topic_id", Value::Text(&metadata.topic_id.to_string()))?;
        }
        Err(error) => {
            for line in text_lines(bytes).take(2) {
                let text = std::str::from_utf8(line.bytes).ok();
                if let Some((name, value)) = text.and_then(|text| text.split_once(": ")) {
                    property(&mut lines, name, Value::Text(value))?;
                }
            }
            let (reason, at_line) = match error {
                PartitionMetadataError::NotUtf8 => ("notUtf8", None),
                PartitionMetadataError::MissingLine { line } => ("missingLine", Some(line)),
                PartitionMetadataError::MalformedLine { line } => ("malformedLine", Some(line)),
                PartitionMetadataError::UnknownVersion { .. } => ("unknownVersion", Some(1)),
                PartitionMetadataError::MalformedTopicId => ("malformedTopicId", Some(2)),
                PartitionMetadataError::ZeroTopicId => ("zeroTopicId", Some(2)),
            };
            let end = Line { number: 0, position: bytes.len(), bytes: &[] };
            let line = match at_line {
                Some(number) => text_lines(bytes).find(|line| line.number == number).unwrap_or(end),
                None => Line { number: 0, position: 0, bytes },
            };
            line.damaged(&mut lines, reason, &error.to_string())?;
        }
    }
    Ok(lines.end("nothing in it"))
}

/// The pairs of the content of `meta.properties`, in their order, and what keeps a broker from using them.
pub fn meta_properties(mut lines: Lines<'_>, bytes: &[u8]) -> io::Result<Seen> {
    let mut at = 0;
    // Behind a line that breaks the syntax the reading begins anew, so that one bad line hides no other.
    while let Some(rest) = bytes.get(at..) {
        let error = match Properties::parse(rest) {
            Ok(properties) => {
                pairs(&mut lines, &properties)?;
                break;
            }
            Err(error) => error,
        };
        let line_at = error.line_at.0 as usize;
        if let Ok(before) = Properties::parse(&rest[..line_at]) {
            pairs(&mut lines, &before)?;
        }
        let length = joined_length(&rest[line_at..]);
        at += line_at;
        let line = Line { number: 0, position: at, bytes: &bytes[at..at + length] };
        line.damaged(&mut lines, "malformedEscape", "four hexadecimal digits do not follow \\u")?;
        at += length;
    }
    if let Err(error) = MetaProperties::parse(bytes) {
        let reason = match &error {
            MetaPropertiesError::Syntax(_) => return Ok(lines.seen),
            MetaPropertiesError::UnknownVersion { .. } => "unknownVersion",
            MetaPropertiesError::Missing { .. } => "missingKey",
            MetaPropertiesError::NotANumber { .. } => "notANumber",
            MetaPropertiesError::MalformedDirectoryId { .. } => "malformedDirectoryId",
        };
        lines.damaged(Position(0), bytes.len() as u64, reason, &error.to_string())?;
    }
    Ok(lines.end("nothing in it"))
}

/// How many bytes the first line of `.properties` has with the lines that backslashes join to it, but for the last end.
fn joined_length(bytes: &[u8]) -> usize {
    let mut length = 0;
    for line in text_lines(bytes) {
        length = line.position + line.bytes.len();
        let backslashes = line.bytes.iter().rev().take_while(|byte| **byte == b'\\').count();
        if backslashes % 2 == 0 {
            break;
        }
    }
    length
}

fn pairs(lines: &mut Lines<'_>, properties: &Properties) -> io::Result<()> {
    properties.iter().try_for_each(|(name, value)| property(lines, name, Value::Text(value)))
}

/// What the content of `quorum-state` says.
pub fn quorum_state(mut lines: Lines<'_>, bytes: &[u8]) -> io::Result<Seen> {
    let state = match QuorumState::parse(bytes) {
        Ok(state) => state,
        Err(error) => {
            let reason = match error {
                QuorumStateError::Json { .. } => "malformedJson",
                QuorumStateError::UnknownVersion { .. } => "unknownVersion",
            };
            lines.damaged(Position(0), bytes.len() as u64, reason, &error.to_string())?;
            return Ok(lines.seen);
        }
    };
    property(&mut lines, "data_version", Value::Int(state.data_version.into()))?;
    if let Some(cluster_id) = &state.cluster_id {
        property(&mut lines, "clusterId", Value::Text(cluster_id))?;
    }
    property(&mut lines, "leaderId", known_or_null(state.leader_id))?;
    property(&mut lines, "leaderEpoch", Value::Int(state.leader_epoch.into()))?;
    property(&mut lines, "votedId", known_or_null(state.voted_id))?;
    if let Some(directory_id) = &state.voted_directory_id {
        property(&mut lines, "votedDirectoryId", Value::Text(directory_id))?;
    }
    if let Some(offset) = state.applied_offset {
        property(&mut lines, "appliedOffset", Value::Int(offset))?;
    }
    if let Some(voters) = &state.current_voters {
        let voters: Vec<_> = voters.iter().map(|voter| format!("{{\"voterId\":{}}}", voter.voter_id)).collect();
        property(&mut lines, "currentVoters", Value::Json(&format!("[{}]", voters.join(","))))?;
    }
    Ok(lines.end("nothing in it"))
}

/// What the content of `.kafka_cleanshutdown` says. It is never damaged: that the file is there is what counts.
pub fn clean_shutdown(mut lines: Lines<'_>, bytes: &[u8]) -> io::Result<Seen> {
    let marker = CleanShutdown::parse(bytes);
    if let Some(version) = marker.version {
        property(&mut lines, "version", Value::Int(version.into()))?;
    }
    if let Some(epoch) = marker.raw_broker_epoch {
        property(&mut lines, "brokerEpoch", known_or_null(epoch))?;
    }
    Ok(lines.end(if bytes.is_empty() {
        "nothing in it, as releases before 3.7 leave it"
    } else {
        "no broker epoch can be read in it, which brokers do not mind"
    }))
}

/// A stored number, or `null` where it is the one that stands for nothing.
fn known_or_null(stored: impl Into<i64>) -> Value<'static> {
    match known(stored) {
        Value::Absent => Value::Null,
        value => value,
    }
}

fn property(lines: &mut Lines<'_>, name: &str, value: Value<'_>) -> io::Result<()> {
    let fields = [
        Field::json_only("file", Value::Word(lines.file)),
        Field::new("name", "", Value::Text(name)),
        Field::new("value", "", value),
    ];
    lines.entry(&Row::new("property", &fields))
}

/// A line without its end.
#[derive(Clone, Copy)]
struct Line<'a> {
    /// Counted from 1.
    number: usize,
    position: usize,
    bytes: &'a [u8],
}

impl Line<'_> {
    fn damaged(&self, lines: &mut Lines<'_>, reason: &str, words: &str) -> io::Result<()> {
        lines.damaged(Position(self.position as u64), self.bytes.len() as u64, reason, words)
    }
}

/// The lines of a file as Java's readers have them: they end with LF, CR LF, or CR alone.
fn text_lines(bytes: &[u8]) -> impl Iterator<Item = Line<'_>> {
    let mut position = 0;
    let mut number = 0;
    std::iter::from_fn(move || {
        let rest = bytes.get(position..).filter(|rest| !rest.is_empty())?;
        let length = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        number += 1;
        let line = Line { number, position, bytes: &rest[..length] };
        position += length + if rest[length..].starts_with(b"\r\n") { 2 } else { 1 };
        Some(line)
    })
}
