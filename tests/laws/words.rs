//! Integers of variable length, flexible messages, control records, ids and names.

use kfsck::format::bytes::{Reader, put_uvarint, put_uvarlong, put_varint, put_varlong};
use kfsck::format::control::{ControlKey, ControlRecord};
use kfsck::format::file_name::{FileName, FileState, PartitionDirName};
use kfsck::format::flexible;
use kfsck::format::uuid::Uuid;

/// What `read` makes of the start of `bytes`; it moves only where it succeeds, and what `write` writes reads the same.
fn twin<T: Copy + PartialEq + std::fmt::Debug, E>(
    bytes: &[u8],
    read: impl Fn(&mut Reader<'_>) -> Result<T, E>,
    write: impl Fn(&mut Vec<u8>, T),
) -> Option<(T, usize)> {
    let mut reader = Reader::new(bytes);
    let value = match read(&mut reader) {
        Ok(value) => value,
        Err(_) => {
            assert_eq!(reader.position(), 0, "an error stays where it was");
            return None;
        }
    };
    assert!((1..=bytes.len()).contains(&reader.position()));
    let mut out = Vec::new();
    write(&mut out, value);
    assert!(out.len() <= reader.position(), "the shortest form is written");
    let mut again = Reader::new(&out);
    assert_eq!(read(&mut again).ok(), Some(value));
    assert_eq!(again.remaining(), 0);
    Some((value, reader.position()))
}

/// The plainest way to read a base-128 integer of at most `most` bytes.
fn slowly(bytes: &[u8], most: usize) -> Option<(u128, usize)> {
    let last = bytes.iter().take(most).position(|byte| byte & 0x80 == 0)?;
    let value = bytes[..=last].iter().rev().fold(0, |value, byte| value << 7 | u128::from(byte & 0x7f));
    Some((value, last + 1))
}

pub fn varint(bytes: &[u8]) {
    let short = slowly(bytes, 5).map(|(value, size)| (value as u32, size));
    let long = slowly(bytes, 10).map(|(value, size)| (value as u64, size));
    assert_eq!(twin(bytes, |reader| reader.uvarint(), put_uvarint), short);
    assert_eq!(twin(bytes, |reader| reader.uvarlong(), put_uvarlong), long);
    let zigzag = |n: u64| (n >> 1) as i64 ^ -((n & 1) as i64);
    let signed = twin(bytes, |reader| reader.varint(), put_varint);
    assert_eq!(signed, short.map(|(n, size)| (zigzag(n.into()) as i32, size)));
    assert_eq!(twin(bytes, |reader| reader.varlong(), put_varlong), long.map(|(n, size)| (zigzag(n), size)));
}

pub fn flexible(bytes: &[u8]) {
    for read in [flexible::string, flexible::bytes] {
        let mut reader = Reader::new(bytes);
        if let Ok(found) = read(&mut reader, "field") {
            assert!(bytes[..reader.position()].ends_with(found));
            let mut out = Vec::new();
            flexible::put_bytes(&mut out, found);
            assert_eq!(read(&mut Reader::new(&out), "field"), Ok(found));
        }
    }
    let mut reader = Reader::new(bytes);
    let mut tags = 0;
    let outcome = flexible::tags(&mut reader, |_, _| {
        tags += 1;
        Ok(false)
    });
    assert!(tags <= bytes.len() / 2, "every tag takes two bytes at least");
    assert!(reader.position() <= bytes.len());
    assert_eq!(flexible::skip_tags(&mut Reader::new(bytes)), outcome);
    let mut reader = Reader::new(bytes);
    assert_eq!(flexible::uuid(&mut reader).is_ok(), bytes.len() >= 16);
}

/// Any bytes as the value of every type of control record, and as a key.
pub fn control(bytes: &[u8]) {
    if let Ok(key) = ControlKey::parse(Some(bytes)) {
        let mut out = Vec::new();
        key.write(&mut out);
        assert!(bytes.starts_with(&out));
    }
    for control_type in -1..8 {
        let Ok(record) = ControlRecord::parse_value(control_type, Some(bytes)) else { continue };
        assert_eq!(record.control_type(), control_type);
        match record {
            ControlRecord::LeaderChange(change) => {
                assert_eq!(change.voters.iter().count(), change.voters.len());
                assert_eq!(change.granting_voters.iter().count(), change.granting_voters.len());
            }
            ControlRecord::KraftVoters(voters) => {
                assert_eq!(voters.voters.iter().count(), voters.voters.len());
                for voter in voters.voters.iter() {
                    assert_eq!(voter.endpoints.iter().count(), voter.endpoints.len());
                }
            }
            _ => {}
        }
        // Tags and bytes behind the value are not kept, so the first writing may be shorter than what was read.
        let mut out = Vec::new();
        record.write_value(&mut out);
        assert!(out.len() <= bytes.len());
        let again = ControlRecord::parse_value(control_type, Some(&out)).unwrap();
        let mut twice = Vec::new();
        again.write_value(&mut twice);
        assert_eq!(out, twice);
    }
}

pub fn uuid(bytes: &[u8]) {
    if let Some(id) = Uuid::parse(bytes) {
        let text = id.to_string();
        assert_eq!(text.len(), 22);
        // Four bits of the last character do not count.
        assert_eq!(&text.as_bytes()[..21], &bytes[..21]);
        assert_eq!(Uuid::parse(text.as_bytes()), Some(id));
    }
    if let Some(id) = bytes.first_chunk() {
        assert_eq!(Uuid::parse(Uuid(*id).to_string().as_bytes()), Some(Uuid(*id)));
    }
}

pub fn file_name(bytes: &[u8]) {
    let Ok(name) = std::str::from_utf8(bytes) else { return };
    if let Some(file) = FileName::parse(name) {
        let canonical = file.canonical_name();
        if file.canonical && file.state != FileState::Part {
            assert_eq!(canonical.as_deref(), Some(name));
        }
        if let Some(canonical) = canonical {
            assert_eq!(file.canonical, canonical == name);
            assert_eq!(FileName::parse(&canonical), Some(FileName { canonical: true, ..file }));
        }
    }
    if let Some(directory) = PartitionDirName::parse(name) {
        let written = directory.to_string();
        assert_eq!(PartitionDirName::parse(&written), Some(directory));
        assert!(written.len() <= name.len() && written.starts_with(directory.topic));
        assert_eq!(directory.unique_id.is_some(), !directory.state.suffix().is_empty());
    }
}
