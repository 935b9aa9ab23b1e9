//! Words for control records.

use super::{json, text};
use crate::format::control::{ControlKey, ControlRecord};

/// Appends a control record as a JSON object: its type, then the fields of its value.
pub fn json(out: &mut Vec<u8>, control: &ControlRecord<'_>) {
    out.extend_from_slice(b"{\"type\":\"");
    name(out, control);
    out.push(b'"');
    let start = out.len();
    fields(out, control);
    if out.len() > start {
        out.insert(start, b',');
    }
    out.push(b'}');
}

/// Appends the fields of a control record's value as members of a JSON object, in the order and under the names of
/// Kafka's own JSON; nothing for an unknown type.
pub fn fields(out: &mut Vec<u8>, control: &ControlRecord<'_>) {
    let version = |out: &mut Vec<u8>, version: i16| {
        out.extend_from_slice(b"\"version\":");
        json::int(out, version);
    };
    let member = |out: &mut Vec<u8>, name: &str, value: i64| {
        out.extend_from_slice(b",\"");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        json::int(out, value);
    };
    match control {
        ControlRecord::Abort { version: v, coordinator_epoch }
        | ControlRecord::Commit { version: v, coordinator_epoch } => {
            version(out, *v);
            member(out, "coordinatorEpoch", (*coordinator_epoch).into());
        }
        ControlRecord::LeaderChange(change) => {
            version(out, change.version);
            member(out, "leaderId", change.leader_id.into());
            for (name, voters) in
                [(&b",\"voters\":["[..], &change.voters), (b",\"grantingVoters\":[", &change.granting_voters)]
            {
                out.extend_from_slice(name);
                separated(out, voters.iter(), |out, voter| {
                    out.extend_from_slice(b"{\"voterId\":");
                    json::int(out, voter.0);
                    out.push(b'}');
                });
                out.push(b']');
            }
        }
        ControlRecord::SnapshotHeader { version: v, last_contained_log_timestamp } => {
            version(out, *v);
            member(out, "lastContainedLogTimestamp", *last_contained_log_timestamp);
        }
        ControlRecord::SnapshotFooter { version: v } => version(out, *v),
        ControlRecord::KraftVersion { version: v, kraft_version } => {
            version(out, *v);
            member(out, "kRaftVersion", (*kraft_version).into());
        }
        ControlRecord::KraftVoters(voters) => {
            version(out, voters.version);
            out.extend_from_slice(b",\"voters\":[");
            separated(out, voters.voters.iter(), |out, voter| {
                out.extend_from_slice(b"{\"voterId\":");
                json::int(out, voter.voter_id);
                out.extend_from_slice(
                    format!(",\"voterDirectoryId\":\"{}\",\"endpoints\":[", voter.voter_directory_id).as_bytes(),
                );
                separated(out, voter.endpoints.iter(), |out, endpoint| {
                    for (name, value) in [(&b"{\"name\":"[..], endpoint.name), (b",\"host\":", endpoint.host)] {
                        out.extend_from_slice(name);
                        json::string(out, &String::from_utf8_lossy(value));
                    }
                    out.extend_from_slice(b",\"port\":");
                    json::int(out, endpoint.port);
                    out.push(b'}');
                });
                out.extend_from_slice(b"],\"kRaftVersionFeature\":{\"minSupportedVersion\":");
                json::int(out, voter.min_supported_version);
                member(out, "maxSupportedVersion", voter.max_supported_version.into());
                out.extend_from_slice(b"}}");
            });
            out.push(b']');
        }
        ControlRecord::Unknown { .. } => {}
    }
}

fn separated<T>(out: &mut Vec<u8>, items: impl Iterator<Item = T>, mut write: impl FnMut(&mut Vec<u8>, T)) {
    for (at, item) in items.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write(out, item);
    }
}

/// Appends a control record in words: `COMMIT  coordinator epoch 5`.
pub fn text(out: &mut Vec<u8>, control: &ControlRecord<'_>) {
    name(out, control);
    match control {
        ControlRecord::Abort { coordinator_epoch, .. } | ControlRecord::Commit { coordinator_epoch, .. } => {
            out.extend_from_slice(b"  coordinator epoch ");
            json::int(out, *coordinator_epoch);
        }
        ControlRecord::Unknown { .. } => {}
        other => {
            let mut members = Vec::new();
            fields(&mut members, other);
            out.extend_from_slice(b"  {");
            text::escaped(out, &members);
            out.push(b'}');
        }
    }
}

fn name(out: &mut Vec<u8>, control: &ControlRecord<'_>) {
    let control_type = control.control_type();
    match control {
        ControlRecord::Unknown { .. } => out.extend_from_slice(format!("UNKNOWN({control_type})").as_bytes()),
        _ => out.extend_from_slice(ControlKey { version: 0, control_type }.name().as_bytes()),
    }
}
