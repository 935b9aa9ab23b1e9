//! Control records: transaction markers, and what KRaft writes into its own log besides metadata.
//!
//! The key tells the type, the value has a layout for each type.
//!
//! | type | name            | value                                                                        |
//! |------|-----------------|------------------------------------------------------------------------------|
//! | 0    | ABORT           | i16 version, i32 coordinator epoch                                           |
//! | 1    | COMMIT          | the same                                                                     |
//! | 2    | LEADER_CHANGE   | i16 version, i32 leader, voters, granting voters, tags; a voter: i32 id, tags |
//! | 3    | SNAPSHOT_HEADER | i16 version, i64 timestamp, tags                                             |
//! | 4    | SNAPSHOT_FOOTER | i16 version, tags                                                            |
//! | 5    | KRAFT_VERSION   | i16 version, i16 `kraft.version`, tags                                       |
//! | 6    | KRAFT_VOTERS    | i16 version, [`Voter`]s, tags                                                |
//!
//! Types 2 to 6 are [flexible] and always read by the layout of schema version 0, whatever the
//! version field says: Kafka writes and reads no other. Bytes behind a key or a value are ignored.
//!
//! Source: Kafka `ControlRecordType`, `EndTransactionMarker`, `ControlRecordUtils` and the message definitions.

use super::bytes::{Reader, i16_at, i32_at};
use super::flexible::{self, Array, Element, FlexibleError};
use super::uuid::Uuid;

/// How many bytes the key of a control record has at least.
pub const KEY_SIZE_IN_BYTES: usize = 4;
/// How many bytes the value of a transaction marker has at least.
pub const END_MARKER_SIZE_IN_BYTES: usize = 6;

/// The type number of a marker that ends a transaction whose records are void.
pub const ABORT: i16 = 0;
/// The type number of a marker that ends a transaction whose records count.
pub const COMMIT: i16 = 1;
/// The type number of a [`LeaderChange`].
pub const LEADER_CHANGE: i16 = 2;
/// The type number of the first record of a KRaft snapshot.
pub const SNAPSHOT_HEADER: i16 = 3;
/// The type number of the last record of a KRaft snapshot.
pub const SNAPSHOT_FOOTER: i16 = 4;
/// The type number of the record that sets `kraft.version`.
pub const KRAFT_VERSION: i16 = 5;
/// The type number of a [`Voters`] record.
pub const KRAFT_VOTERS: i16 = 6;

/// Why a record of a control batch is not the control record it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// The key is null.
    #[error("a control record needs a key and has none")]
    NullKey,
    /// The key is shorter than [`KEY_SIZE_IN_BYTES`].
    #[error("the key of a control record needs at least {KEY_SIZE_IN_BYTES} bytes and has {length}")]
    KeyTooShort {
        /// How many bytes it has.
        length: usize,
    },
    /// The key's version is below 0.
    #[error("the key of a control record has the version {version}")]
    NegativeKeyVersion {
        /// The version it has.
        version: i16,
    },
    /// The value is null.
    #[error("a control record of type {} needs a value and has none", name_of(*control_type))]
    NullValue {
        /// The type that the key names.
        control_type: i16,
    },
    /// The value of a transaction marker is shorter than [`END_MARKER_SIZE_IN_BYTES`].
    #[error("the value of a transaction marker needs at least {END_MARKER_SIZE_IN_BYTES} bytes and has {length}")]
    EndMarkerTooShort {
        /// How many bytes it has.
        length: usize,
    },
    /// The version in the value of a transaction marker is below 0.
    #[error("the value of a transaction marker has the version {version}")]
    NegativeEndMarkerVersion {
        /// The version it has.
        version: i16,
    },
    /// The value of a KRaft control record does not have the layout of its type.
    #[error("the value of a control record of type {} is malformed: {error}", name_of(*control_type))]
    Malformed {
        /// The type that the key names.
        control_type: i16,
        /// What is wrong with the value.
        error: FlexibleError,
    },
}

/// Kafka's name for a control type, `UNKNOWN` for a number without one.
pub const fn name_of(control_type: i16) -> &'static str {
    match control_type {
        ABORT => "ABORT",
        COMMIT => "COMMIT",
        LEADER_CHANGE => "LEADER_CHANGE",
        SNAPSHOT_HEADER => "SNAPSHOT_HEADER",
        SNAPSHOT_FOOTER => "SNAPSHOT_FOOTER",
        KRAFT_VERSION => "KRAFT_VERSION",
        KRAFT_VOTERS => "KRAFT_VOTERS",
        _ => "UNKNOWN",
    }
}

/// The key of a control record.
///
/// | bytes | field   |
/// |-------|---------|
/// | 0..2  | version |
/// | 2..4  | type    |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlKey {
    /// The version of the key, 0 in all that is known.
    pub version: i16,
    /// The type number.
    pub control_type: i16,
}

impl ControlKey {
    /// Reads the key of a record of a control batch.
    ///
    /// Errors: a null key, one that is too short, a negative version.
    pub fn parse(key: Option<&[u8]>) -> Result<Self, ControlError> {
        let key = key.ok_or(ControlError::NullKey)?;
        let (Some(version), Some(control_type)) = (i16_at(key, 0), i16_at(key, 2)) else {
            return Err(ControlError::KeyTooShort { length: key.len() });
        };
        if version < 0 {
            return Err(ControlError::NegativeKeyVersion { version });
        }
        Ok(Self { version, control_type })
    }

    /// Kafka's name for the type.
    pub fn name(self) -> &'static str {
        name_of(self.control_type)
    }

    /// Appends the key's bytes.
    pub fn write(self, out: &mut Vec<u8>) {
        put_i16(out, self.version);
        put_i16(out, self.control_type);
    }
}

/// A control record. Every `version` is that of the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlRecord<'a> {
    /// The transaction ends and its records are void.
    Abort {
        /// The version of the value.
        version: i16,
        /// The epoch of the transaction coordinator that wrote the marker.
        coordinator_epoch: i32,
    },
    /// The transaction ends and its records count.
    Commit {
        /// The version of the value.
        version: i16,
        /// The epoch of the transaction coordinator that wrote the marker.
        coordinator_epoch: i32,
    },
    /// A KRaft leader begins its epoch.
    LeaderChange(LeaderChange<'a>),
    /// The first record of a KRaft snapshot.
    SnapshotHeader {
        /// The version of the value.
        version: i16,
        /// The timestamp of the last record that went into the snapshot, in milliseconds since 1970.
        last_contained_log_timestamp: i64,
    },
    /// The last record of a KRaft snapshot.
    SnapshotFooter {
        /// The version of the value.
        version: i16,
    },
    /// `kraft.version` is set.
    KraftVersion {
        /// The version of the value.
        version: i16,
        /// The new `kraft.version`.
        kraft_version: i16,
    },
    /// The voters of the KRaft quorum are set.
    KraftVoters(Voters<'a>),
    /// A type that has no name.
    Unknown {
        /// The type number.
        control_type: i16,
    },
}

impl<'a> ControlRecord<'a> {
    /// Reads a record of a control batch.
    ///
    /// Errors: those of [`ControlKey::parse`] and [`ControlRecord::parse_value`].
    pub fn parse(key: Option<&'a [u8]>, value: Option<&'a [u8]>) -> Result<Self, ControlError> {
        Self::parse_value(ControlKey::parse(key)?.control_type, value)
    }

    /// Reads the value that goes with `control_type`. That of an unknown type is not looked at.
    ///
    /// Errors: a null value, one that is too short, a negative version of a transaction marker.
    pub fn parse_value(control_type: i16, value: Option<&'a [u8]>) -> Result<Self, ControlError> {
        if !(ABORT..=KRAFT_VOTERS).contains(&control_type) {
            return Ok(Self::Unknown { control_type });
        }
        let value = value.ok_or(ControlError::NullValue { control_type })?;
        match control_type {
            ABORT => end_marker(value).map(|(version, coordinator_epoch)| Self::Abort { version, coordinator_epoch }),
            COMMIT => end_marker(value).map(|(version, coordinator_epoch)| Self::Commit { version, coordinator_epoch }),
            _ => Self::kraft(control_type, &mut Reader::new(value))
                .map_err(|error| ControlError::Malformed { control_type, error }),
        }
    }

    fn kraft(control_type: i16, reader: &mut Reader<'a>) -> Result<Self, FlexibleError> {
        let version = reader.i16()?;
        let record = match control_type {
            LEADER_CHANGE => Self::LeaderChange(LeaderChange {
                version,
                leader_id: reader.i32()?,
                voters: Array::read(reader, "voters")?,
                granting_voters: Array::read(reader, "grantingVoters")?,
            }),
            SNAPSHOT_HEADER => Self::SnapshotHeader { version, last_contained_log_timestamp: reader.i64()? },
            SNAPSHOT_FOOTER => Self::SnapshotFooter { version },
            KRAFT_VERSION => Self::KraftVersion { version, kraft_version: reader.i16()? },
            KRAFT_VOTERS => Self::KraftVoters(Voters { version, voters: Array::read(reader, "voters")? }),
            _ => return Ok(Self::Unknown { control_type }),
        };
        flexible::skip_tags(reader)?;
        Ok(record)
    }

    /// The type number that the key of this record has.
    pub fn control_type(&self) -> i16 {
        match self {
            Self::Abort { .. } => ABORT,
            Self::Commit { .. } => COMMIT,
            Self::LeaderChange(_) => LEADER_CHANGE,
            Self::SnapshotHeader { .. } => SNAPSHOT_HEADER,
            Self::SnapshotFooter { .. } => SNAPSHOT_FOOTER,
            Self::KraftVersion { .. } => KRAFT_VERSION,
            Self::KraftVoters(_) => KRAFT_VOTERS,
            Self::Unknown { control_type } => *control_type,
        }
    }

    /// Appends the value's bytes, without tagged fields; nothing for an unknown type.
    /// [`put_leader_change`] and [`put_voters`] write the two with lists from values.
    pub fn write_value(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Abort { version, coordinator_epoch } | Self::Commit { version, coordinator_epoch } => {
                put_i16(out, version);
                put_i32(out, coordinator_epoch);
                return;
            }
            Self::LeaderChange(change) => {
                let (voters, granting) = (change.voters.iter(), change.granting_voters.iter());
                put_leader_change(out, change.version, change.leader_id, voters, granting);
                return;
            }
            Self::KraftVoters(Voters { version, voters }) => {
                put_voters(out, version, voters.iter());
                return;
            }
            Self::SnapshotHeader { version, last_contained_log_timestamp } => {
                put_i16(out, version);
                out.extend_from_slice(&last_contained_log_timestamp.to_be_bytes());
            }
            Self::SnapshotFooter { version } => put_i16(out, version),
            Self::KraftVersion { version, kraft_version } => {
                put_i16(out, version);
                put_i16(out, kraft_version);
            }
            Self::Unknown { .. } => return,
        }
        flexible::put_no_tags(out);
    }
}

/// Version and coordinator epoch of a transaction marker.
fn end_marker(value: &[u8]) -> Result<(i16, i32), ControlError> {
    let (Some(version), Some(coordinator_epoch)) = (i16_at(value, 0), i32_at(value, 2)) else {
        return Err(ControlError::EndMarkerTooShort { length: value.len() });
    };
    if version < 0 {
        return Err(ControlError::NegativeEndMarkerVersion { version });
    }
    Ok((version, coordinator_epoch))
}

/// A KRaft leader begins its epoch.
///
/// Source: Kafka `LeaderChangeMessage`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaderChange<'a> {
    /// The version of the value.
    pub version: i16,
    /// The node that leads.
    pub leader_id: i32,
    /// All voters of the quorum.
    pub voters: Array<'a, VoterId>,
    /// The voters that voted for the leader.
    pub granting_voters: Array<'a, VoterId>,
}

/// A voter of a [`LeaderChange`]: the id of its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VoterId(pub i32);

impl<'a> Element<'a> for VoterId {
    fn read(reader: &mut Reader<'a>) -> Result<Self, FlexibleError> {
        let voter_id = reader.i32()?;
        flexible::skip_tags(reader)?;
        Ok(Self(voter_id))
    }
}

/// The voters of the KRaft quorum.
///
/// Source: Kafka `VotersRecord`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Voters<'a> {
    /// The version of the value.
    pub version: i16,
    /// The voters.
    pub voters: Array<'a, Voter<Array<'a, Endpoint<'a>>>>,
}

/// A voter of a [`Voters`] record. `E` holds its [`Endpoint`]s.
///
/// | field                 | encoding                         |
/// |-----------------------|----------------------------------|
/// | voter id              | i32                              |
/// | voter directory id    | id                               |
/// | endpoints             | compact array of [`Endpoint`]    |
/// | kraft version feature | i16 lowest, i16 highest, tags    |
/// | tags                  |                                  |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Voter<E> {
    /// The node's id.
    pub voter_id: i32,
    /// The id of the log dir that holds the voter's metadata log.
    pub voter_directory_id: Uuid,
    /// Where the voter listens.
    pub endpoints: E,
    /// The lowest `kraft.version` that the voter supports.
    pub min_supported_version: i16,
    /// The highest `kraft.version` that the voter supports.
    pub max_supported_version: i16,
}

impl<'a> Element<'a> for Voter<Array<'a, Endpoint<'a>>> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, FlexibleError> {
        let voter_id = reader.i32()?;
        let voter_directory_id = flexible::uuid(reader)?;
        let endpoints = Array::read(reader, "endpoints")?;
        let (min_supported_version, max_supported_version) = (reader.i16()?, reader.i16()?);
        flexible::skip_tags(reader)?;
        flexible::skip_tags(reader)?;
        Ok(Self { voter_id, voter_directory_id, endpoints, min_supported_version, max_supported_version })
    }
}

/// Where a voter listens: compact string name, compact string host, u16 port, tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint<'a> {
    /// The listener's name, as stored: it should be UTF-8.
    pub name: &'a [u8],
    /// The host, as stored: it should be UTF-8.
    pub host: &'a [u8],
    /// The TCP port.
    pub port: u16,
}

impl<'a> Element<'a> for Endpoint<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, FlexibleError> {
        let name = flexible::string(reader, "name")?;
        let host = flexible::string(reader, "host")?;
        let port = reader.u16()?;
        flexible::skip_tags(reader)?;
        Ok(Self { name, host, port })
    }
}

/// Appends the value of a LEADER_CHANGE record.
pub fn put_leader_change(
    out: &mut Vec<u8>,
    version: i16,
    leader_id: i32,
    voters: impl ExactSizeIterator<Item = VoterId>,
    granting_voters: impl ExactSizeIterator<Item = VoterId>,
) {
    put_i16(out, version);
    put_i32(out, leader_id);
    put_voter_ids(out, voters);
    put_voter_ids(out, granting_voters);
    flexible::put_no_tags(out);
}

fn put_voter_ids(out: &mut Vec<u8>, voters: impl ExactSizeIterator<Item = VoterId>) {
    flexible::put_length(out, voters.len());
    for VoterId(voter_id) in voters {
        put_i32(out, voter_id);
        flexible::put_no_tags(out);
    }
}

/// Appends the value of a KRAFT_VOTERS record.
pub fn put_voters<'e, E>(out: &mut Vec<u8>, version: i16, voters: impl ExactSizeIterator<Item = Voter<E>>)
where
    E: IntoIterator<Item = Endpoint<'e>, IntoIter: ExactSizeIterator>,
{
    put_i16(out, version);
    flexible::put_length(out, voters.len());
    for voter in voters {
        put_i32(out, voter.voter_id);
        out.extend_from_slice(&voter.voter_directory_id.0);
        let endpoints = voter.endpoints.into_iter();
        flexible::put_length(out, endpoints.len());
        for endpoint in endpoints {
            flexible::put_bytes(out, endpoint.name);
            flexible::put_bytes(out, endpoint.host);
            out.extend_from_slice(&endpoint.port.to_be_bytes());
            flexible::put_no_tags(out);
        }
        put_i16(out, voter.min_supported_version);
        put_i16(out, voter.max_supported_version);
        flexible::put_no_tags(out);
        flexible::put_no_tags(out);
    }
    flexible::put_no_tags(out);
}

fn put_i16(out: &mut Vec<u8>, value: i16) {
    out.extend_from_slice(&value.to_be_bytes());
}

fn put_i32(out: &mut Vec<u8>, value: i32) {
    out.extend_from_slice(&value.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::bytes::ReadError;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// A LEADER_CHANGE value of Kafka's: leader 1, voters 1 and 2, granted by 1.
    const LEADER_CHANGE_VALUE: &[u8] = &[0, 0, 0, 0, 0, 1, 3, 0, 0, 0, 1, 0, 0, 0, 0, 2, 0, 2, 0, 0, 0, 1, 0, 0];
    /// A SNAPSHOT_HEADER value of Kafka's, at 1700000000000.
    const SNAPSHOT_HEADER_VALUE: &[u8] = &[0, 0, 0, 0, 0x01, 0x8b, 0xcf, 0xe5, 0x68, 0, 0];
    const SNAPSHOT_FOOTER_VALUE: &[u8] = &[0, 0, 0];
    const KRAFT_VERSION_VALUE: &[u8] = &[0, 0, 0, 1, 0];
    /// The KRAFT_VOTERS value of a checkpoint that Kafka wrote: one voter with one endpoint.
    const KRAFT_VOTERS_VALUE: &[u8] =
        b"\x00\x00\x02\x00\x00\x00\x01\x52\x3e\x70\x9f\xf1\x6a\x4d\x78\xab\x10\x04\xaf\x55\x94\x58\xd7\
        \x02\x0bCONTROLLER\x0alocalhost\x23\x85\x00\x00\x00\x00\x01\x00\x00\x00";
    /// The value of an ABORT marker that Kafka wrote, at coordinator epoch 12.
    const ABORT_VALUE: &[u8] = &[0, 0, 0, 0, 0, 12];

    fn key(control_type: i16) -> Vec<u8> {
        let mut out = Vec::new();
        ControlKey { version: 0, control_type }.write(&mut out);
        out
    }

    fn written(record: &ControlRecord<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        record.write_value(&mut out);
        out
    }

    #[test]
    fn values_that_kafka_wrote_are_understood_and_written_again() {
        let parse = |control_type, value| {
            let record = ControlRecord::parse_value(control_type, Some(value)).unwrap();
            assert_eq!(record.control_type(), control_type);
            assert_eq!(written(&record), value, "{record:?}");
            record
        };
        assert_eq!(parse(ABORT, ABORT_VALUE), ControlRecord::Abort { version: 0, coordinator_epoch: 12 });
        assert_eq!(parse(COMMIT, ABORT_VALUE), ControlRecord::Commit { version: 0, coordinator_epoch: 12 });
        let last_contained_log_timestamp = 1_700_000_000_000;
        assert_eq!(
            parse(SNAPSHOT_HEADER, SNAPSHOT_HEADER_VALUE),
            ControlRecord::SnapshotHeader { version: 0, last_contained_log_timestamp }
        );
        assert_eq!(parse(SNAPSHOT_FOOTER, SNAPSHOT_FOOTER_VALUE), ControlRecord::SnapshotFooter { version: 0 });
        assert_eq!(
            parse(KRAFT_VERSION, KRAFT_VERSION_VALUE),
            ControlRecord::KraftVersion { version: 0, kraft_version: 1 }
        );

        let ControlRecord::LeaderChange(change) = parse(LEADER_CHANGE, LEADER_CHANGE_VALUE) else { panic!() };
        assert_eq!((change.version, change.leader_id), (0, 1));
        assert!(change.voters.iter().eq([VoterId(1), VoterId(2)]));
        assert!(change.granting_voters.iter().eq([VoterId(1)]));

        let ControlRecord::KraftVoters(voters) = parse(KRAFT_VOTERS, KRAFT_VOTERS_VALUE) else { panic!() };
        let [voter] = voters.voters.iter().collect::<Vec<_>>()[..] else { panic!() };
        assert_eq!(voter.voter_id, 1);
        assert_eq!(voter.voter_directory_id.to_string(), "Uj5wn_FqTXirEASvVZRY1w");
        assert_eq!((voter.min_supported_version, voter.max_supported_version), (0, 1));
        let endpoint = Endpoint { name: b"CONTROLLER", host: b"localhost", port: 9093 };
        assert!(voter.endpoints.iter().eq([endpoint]));
    }

    #[test]
    fn the_key_tells_the_type() {
        let record = ControlRecord::parse(Some(&[0, 0, 0, 4]), Some(SNAPSHOT_FOOTER_VALUE));
        assert_eq!(record, Ok(ControlRecord::SnapshotFooter { version: 0 }));
        let key = ControlKey::parse(Some(&[0, 1, 0, 42, 9, 9])).unwrap();
        assert_eq!(key, ControlKey { version: 1, control_type: 42 });
        assert_eq!(key.name(), "UNKNOWN");
        assert_eq!(ControlRecord::parse_value(42, None), Ok(ControlRecord::Unknown { control_type: 42 }));
        assert_eq!(ControlRecord::parse_value(-1, None), Ok(ControlRecord::Unknown { control_type: -1 }));
    }

    #[test]
    fn a_bad_key_or_marker_is_refused_with_its_numbers() {
        assert_eq!(ControlKey::parse(None), Err(ControlError::NullKey));
        assert_eq!(ControlKey::parse(Some(&[0, 0, 0])), Err(ControlError::KeyTooShort { length: 3 }));
        assert_eq!(ControlKey::parse(Some(&[255, 255, 0, 0])), Err(ControlError::NegativeKeyVersion { version: -1 }));
        assert_eq!(
            ControlRecord::parse(Some(&key(COMMIT)), None),
            Err(ControlError::NullValue { control_type: COMMIT })
        );
        assert_eq!(
            ControlRecord::parse(Some(&key(COMMIT)), Some(&[0; 5])),
            Err(ControlError::EndMarkerTooShort { length: 5 })
        );
        assert_eq!(
            ControlRecord::parse(Some(&key(ABORT)), Some(&[255, 254, 0, 0, 0, 0])),
            Err(ControlError::NegativeEndMarkerVersion { version: -2 })
        );
    }

    #[test]
    fn a_cut_value_is_malformed_at_every_length() {
        for (control_type, value) in [
            (LEADER_CHANGE, LEADER_CHANGE_VALUE),
            (SNAPSHOT_HEADER, SNAPSHOT_HEADER_VALUE),
            (SNAPSHOT_FOOTER, SNAPSHOT_FOOTER_VALUE),
            (KRAFT_VERSION, KRAFT_VERSION_VALUE),
            (KRAFT_VOTERS, KRAFT_VOTERS_VALUE),
        ] {
            for length in 0..value.len() {
                let parsed = ControlRecord::parse_value(control_type, Some(&value[..length]));
                assert!(matches!(parsed, Err(ControlError::Malformed { .. })), "type {control_type} cut to {length}");
            }
        }
        let error = FlexibleError::Short(ReadError::Short { at: 2, needed: 1, left: 0 });
        assert_eq!(
            ControlRecord::parse_value(SNAPSHOT_FOOTER, Some(&[0, 0])),
            Err(ControlError::Malformed { control_type: SNAPSHOT_FOOTER, error })
        );
    }

    #[test]
    fn bytes_behind_a_value_and_unknown_tags_are_ignored() {
        for value in [&[0, 0, 0, 9, 9][..], &[0, 0, 1, 7, 2, 8, 8]] {
            let record = ControlRecord::parse_value(SNAPSHOT_FOOTER, Some(value));
            assert_eq!(record, Ok(ControlRecord::SnapshotFooter { version: 0 }));
        }
    }

    proptest! {
        #[test]
        fn voters_read_back(
            voters in vec((any::<i32>(), any::<[u8; 16]>(), vec((".{0,5}", ".{0,5}", any::<u16>()), 0..4), any::<i16>()), 0..4),
        ) {
            let voters: Vec<Voter<Vec<Endpoint<'_>>>> = voters
                .iter()
                .map(|(voter_id, directory, endpoints, version)| Voter {
                    voter_id: *voter_id,
                    voter_directory_id: Uuid(*directory),
                    endpoints: endpoints
                        .iter()
                        .map(|(name, host, port)| Endpoint { name: name.as_bytes(), host: host.as_bytes(), port: *port })
                        .collect(),
                    min_supported_version: *version,
                    max_supported_version: !version,
                })
                .collect();
            let mut out = Vec::new();
            put_voters(&mut out, 0, voters.clone().into_iter());
            let record = ControlRecord::parse_value(KRAFT_VOTERS, Some(&out)).unwrap();
            prop_assert_eq!(&written(&record), &out);
            let ControlRecord::KraftVoters(read) = record else { panic!() };
            prop_assert_eq!(read.voters.len(), voters.len());
            for (read, voter) in read.voters.into_iter().zip(&voters) {
                prop_assert_eq!(
                    (read.voter_id, read.voter_directory_id, read.min_supported_version, read.max_supported_version),
                    (voter.voter_id, voter.voter_directory_id, voter.min_supported_version, voter.max_supported_version)
                );
                prop_assert!(read.endpoints.iter().eq(voter.endpoints.iter().copied()));
            }
        }

        #[test]
        fn a_leader_change_reads_back(version: i16, leader_id: i32, voters: Vec<i32>, granting: Vec<i32>) {
            let ids = |ids: &[i32]| ids.iter().map(|&id| VoterId(id)).collect::<Vec<_>>().into_iter();
            let mut out = Vec::new();
            put_leader_change(&mut out, version, leader_id, ids(&voters), ids(&granting));
            let record = ControlRecord::parse_value(LEADER_CHANGE, Some(&out)).unwrap();
            let ControlRecord::LeaderChange(change) = record else { panic!() };
            prop_assert_eq!((change.version, change.leader_id), (version, leader_id));
            prop_assert!(change.voters.iter().eq(ids(&voters)));
            prop_assert!(change.granting_voters.iter().eq(ids(&granting)));
        }

        #[test]
        fn any_bytes_are_read_or_refused(control_type in -1i16..8, value: Vec<u8>, at in 0usize..64, byte: u8) {
            let _ = ControlRecord::parse_value(control_type, Some(&value));
            let mut broken = KRAFT_VOTERS_VALUE.to_vec();
            if let Some(target) = broken.get_mut(at) {
                *target = byte;
            }
            let _ = ControlRecord::parse_value(control_type, Some(&broken));
        }
    }
}
