//! What the line of a control record says besides.

use crate::format::control::{self, ControlError, ControlKey, ControlRecord, LeaderChange, VoterId, Voters, name_of};
use crate::format::flexible::Array;
use crate::format::record::Record;

use super::Profile;
use super::text::{put, put_int, put_json_string};

/// Appends the description of a record of a control batch.
///
/// Errors: key or value are not those of a control record. Nothing is appended then.
pub(super) fn control_detail(out: &mut Vec<u8>, profile: Profile, record: &Record<'_>) -> Result<(), ControlError> {
    let control_type = ControlKey::parse(record.key)?.control_type;
    if let Some(name) = name_of_opaque(profile, control_type) {
        put(out, " controlType: ");
        put(out, name);
        put_int(out, "(", control_type);
        put(out, ")");
        return Ok(());
    }
    match ControlRecord::parse_value(control_type, record.value)? {
        ControlRecord::Abort { coordinator_epoch, .. } => end_marker(out, "ABORT", coordinator_epoch),
        ControlRecord::Commit { coordinator_epoch, .. } => end_marker(out, "COMMIT", coordinator_epoch),
        ControlRecord::LeaderChange(change) => leader_change(out, &change),
        ControlRecord::SnapshotHeader { version, last_contained_log_timestamp } => {
            put_int(out, " SnapshotHeader {\"version\":", version);
            put_int(out, ",\"lastContainedLogTimestamp\":", last_contained_log_timestamp);
            put(out, "}");
        }
        ControlRecord::SnapshotFooter { version } => {
            put_int(out, " SnapshotFooter {\"version\":", version);
            put(out, "}");
        }
        ControlRecord::KraftVersion { version, kraft_version } => {
            put_int(out, " KRaftVersion {\"version\":", version);
            put_int(out, ",\"kRaftVersion\":", kraft_version);
            put(out, "}");
        }
        ControlRecord::KraftVoters(voters) => kraft_voters(out, &voters),
        ControlRecord::Unknown { .. } => {}
    }
    Ok(())
}

/// The name of a type whose value the tool does not read.
fn name_of_opaque(profile: Profile, control_type: i16) -> Option<&'static str> {
    match control_type {
        control::ABORT | control::COMMIT => None,
        // 2.8 had another list of types.
        control::LEADER_CHANGE if profile < Profile::P33 => Some("QUORUM_REASSIGNMENT"),
        control::SNAPSHOT_HEADER if profile < Profile::P33 => Some("LEADER_CHANGE"),
        control::LEADER_CHANGE => (!profile.shows_leader_change()).then_some(name_of(control_type)),
        control::SNAPSHOT_HEADER | control::SNAPSHOT_FOOTER => (!profile.shows_snapshot_records()).then_some("UNKNOWN"),
        control::KRAFT_VERSION | control::KRAFT_VOTERS => (!profile.knows_kraft_records()).then_some("UNKNOWN"),
        _ => Some("UNKNOWN"),
    }
}

fn end_marker(out: &mut Vec<u8>, name: &str, coordinator_epoch: i32) {
    put(out, " endTxnMarker: ");
    put(out, name);
    put_int(out, " coordinatorEpoch: ", coordinator_epoch);
}

fn leader_change(out: &mut Vec<u8>, change: &LeaderChange<'_>) {
    put_int(out, " LeaderChange: {\"version\":", change.version);
    put_int(out, ",\"leaderId\":", change.leader_id);
    put(out, ",\"voters\":[");
    voter_ids(out, change.voters);
    put(out, "],\"grantingVoters\":[");
    voter_ids(out, change.granting_voters);
    put(out, "]}");
}

fn voter_ids(out: &mut Vec<u8>, voters: Array<'_, VoterId>) {
    for (index, VoterId(voter_id)) in voters.iter().enumerate() {
        put(out, if index > 0 { "," } else { "" });
        put_int(out, "{\"voterId\":", voter_id);
        put(out, "}");
    }
}

fn kraft_voters(out: &mut Vec<u8>, voters: &Voters<'_>) {
    put_int(out, " KRaftVoters {\"version\":", voters.version);
    put(out, ",\"voters\":[");
    for (index, voter) in voters.voters.iter().enumerate() {
        put(out, if index > 0 { "," } else { "" });
        put_int(out, "{\"voterId\":", voter.voter_id);
        put(out, &format!(",\"voterDirectoryId\":\"{}\",\"endpoints\":[", voter.voter_directory_id));
        for (index, endpoint) in voter.endpoints.iter().enumerate() {
            put(out, if index > 0 { ",{\"name\":" } else { "{\"name\":" });
            put_json_string(out, endpoint.name);
            put(out, ",\"host\":");
            put_json_string(out, endpoint.host);
            put_int(out, ",\"port\":", endpoint.port);
            put(out, "}");
        }
        put_int(out, "],\"kRaftVersionFeature\":{\"minSupportedVersion\":", voter.min_supported_version);
        put_int(out, ",\"maxSupportedVersion\":", voter.max_supported_version);
        put(out, "}}");
    }
    put(out, "]}");
}
