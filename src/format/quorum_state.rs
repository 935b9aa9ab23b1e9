//! `quorum-state` of the metadata partition: whom this node voted for and follows.

use super::uuid::Uuid;
use serde::{Deserialize, Serialize};

/// The content of `quorum-state`: one line of JSON, in one of two versions.
///
/// | `data_version` | fields                                                                               |
/// |----------------|--------------------------------------------------------------------------------------|
/// | 0              | `clusterId leaderId leaderEpoch votedId appliedOffset currentVoters[{voterId}]`       |
/// | 1              | `leaderId leaderEpoch votedId votedDirectoryId`                                       |
///
/// Unknown fields are passed over. The fields are as stored; the methods of the same names know the sentinels.
///
/// Source: Kafka `FileQuorumStateStore` (schema `QuorumStateData`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QuorumState {
    /// The id of the cluster. Version 0, where Kafka leaves it empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_id: Option<String>,
    /// The id of the leader, −1 if none is known.
    pub leader_id: i32,
    /// The newest leader epoch this node has seen.
    pub leader_epoch: i32,
    /// The id of the node it voted for in that epoch, −1 if it did not vote.
    pub voted_id: i32,
    /// The directory of the node it voted for, as 22 characters. Version 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voted_directory_id: Option<String>,
    /// Version 0, where Kafka leaves it 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied_offset: Option<i64>,
    /// The voters of the quorum. Version 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_voters: Option<Vec<Voter>>,
    /// Which fields there are: 0 or 1.
    #[serde(rename = "data_version")]
    pub data_version: i16,
}

/// A voter of the quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Voter {
    /// Its node id.
    pub voter_id: i32,
}

/// Why `quorum-state` cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuorumStateError {
    /// The content is not the JSON that is expected.
    #[error("not the expected JSON at line {line}, column {column}")]
    Json {
        /// The line, counted from 1.
        line: usize,
        /// The column, counted in bytes from 1; 0 before the first.
        column: usize,
    },
    /// `data_version` is neither 0 nor 1.
    #[error("data version {version} is unknown")]
    UnknownVersion {
        /// The version found.
        version: i16,
    },
}

impl QuorumState {
    /// Reads the whole content of a `quorum-state` file.
    pub fn parse(bytes: &[u8]) -> Result<Self, QuorumStateError> {
        // Java decodes the file before it looks at the JSON, so text in fields that are passed over counts too.
        let text = std::str::from_utf8(bytes).map_err(|error| not_utf8(bytes, error.valid_up_to()))?;
        let state: Self = serde_json::from_str(text)
            .map_err(|error| QuorumStateError::Json { line: error.line(), column: error.column() })?;
        match state.data_version {
            0 | 1 => Ok(state),
            version => Err(QuorumStateError::UnknownVersion { version }),
        }
    }

    /// The content as Kafka writes it: one line without an end, fields in Kafka's order.
    pub fn write(&self) -> Vec<u8> {
        // Numbers, texts and lists of numbers always have a JSON form.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The id of the leader.
    pub fn leader_id(&self) -> Option<i32> {
        Some(self.leader_id).filter(|id| *id >= 0)
    }

    /// The id of the node it voted for.
    pub fn voted_id(&self) -> Option<i32> {
        Some(self.voted_id).filter(|id| *id >= 0)
    }

    /// The directory of the node it voted for.
    pub fn voted_directory_id(&self) -> Option<Uuid> {
        let text = self.voted_directory_id.as_deref()?;
        Uuid::parse(text.as_bytes()).filter(|id| *id != Uuid::ZERO)
    }
}

/// The error for the byte at `at`, the first that is not UTF-8.
fn not_utf8(bytes: &[u8], at: usize) -> QuorumStateError {
    let (mut line, mut column) = (1usize, 1usize);
    for &byte in bytes.iter().take(at) {
        (line, column) = if byte == b'\n' { (line.saturating_add(1), 1) } else { (line, column.saturating_add(1)) };
    }
    QuorumStateError::Json { line, column }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_0_of_a_broker_is_read() {
        let text = br#"{"clusterId":"","leaderId":100,"leaderEpoch":1,"votedId":-1,"appliedOffset":0,"currentVoters":[{"voterId":100}],"data_version":0}"#;
        let state = QuorumState::parse(text).unwrap();
        assert_eq!((state.leader_id(), state.leader_epoch, state.voted_id()), (Some(100), 1, None));
        assert_eq!(state.current_voters, Some(vec![Voter { voter_id: 100 }]));
        assert_eq!(state.voted_directory_id(), None);
        assert_eq!(state.write(), text);
    }

    #[test]
    fn version_1_is_read_and_unknown_fields_are_passed_over() {
        let text = br#"{"leaderId":-1,"leaderEpoch":7,"votedId":3,"votedDirectoryId":"AAAAAAAAAAEAAAAAAAAAAg","later":[{}],"data_version":1}"#;
        let state = QuorumState::parse(text).unwrap();
        assert_eq!((state.leader_id(), state.leader_epoch, state.voted_id()), (None, 7, Some(3)));
        assert_eq!(state.voted_directory_id(), Uuid::parse(b"AAAAAAAAAAEAAAAAAAAAAg"));
        assert_eq!(state.current_voters, None);
    }

    #[test]
    fn a_file_that_is_not_utf8_is_refused_also_where_the_field_is_passed_over() {
        let text = b"{\"leaderId\":-1,\"leaderEpoch\":7,\"votedId\":3,\"data_version\":1,\n\"x\":\"\xff\"}";
        assert_eq!(QuorumState::parse(text), Err(QuorumStateError::Json { line: 2, column: 6 }));
    }

    #[test]
    fn a_cut_file_and_a_later_version_are_refused() {
        assert_eq!(QuorumState::parse(b"{\"leaderId\":1,"), Err(QuorumStateError::Json { line: 1, column: 14 }));
        assert_eq!(QuorumState::parse(b""), Err(QuorumStateError::Json { line: 1, column: 0 }));
        let later = br#"{"leaderId":-1,"leaderEpoch":7,"votedId":3,"data_version":2}"#;
        assert_eq!(QuorumState::parse(later), Err(QuorumStateError::UnknownVersion { version: 2 }));
    }
}
