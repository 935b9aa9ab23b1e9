//! A file with the offset of each of many partitions.

use std::collections::BTreeMap;
use std::path::Path;

use crate::format::Offset;
use crate::store::partition::PartitionName;
use crate::store::read_small;

/// The largest such file, in bytes.
const LARGEST_FILE: u64 = 256 << 20;

/// The offsets, by topic and partition.
pub(super) struct OffsetsFile(BTreeMap<String, Offset>);

impl OffsetsFile {
    /// Reads a file with lines `TOPIC-PARTITION OFFSET`; blank lines and those that begin with `#` are passed over.
    ///
    /// Errors: what is wrong with it, in words.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let bytes = read_small(path, LARGEST_FILE).map_err(|error| error.to_string())?;
        Self::parse(&bytes).map_err(|why| format!("{}: {why}", path.display()))
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|error| format!("it is no text: {error}"))?;
        let mut offsets = BTreeMap::new();
        for (at, line) in text.lines().enumerate() {
            let number = at + 1;
            let words: Vec<_> = line.split_whitespace().collect();
            let [name, offset] = match words.as_slice() {
                [] => continue,
                [first, ..] if first.starts_with('#') => continue,
                [name, offset] => [*name, *offset],
                _ => return Err(format!("line {number} has not two words: {line:?}")),
            };
            let name = PartitionName::parse(name)
                .filter(|parsed| parsed.to_string() == name && parsed.topic_partition() == name)
                .ok_or_else(|| format!("line {number}: {name:?} is no TOPIC-PARTITION"))?;
            let offset = offset.parse::<i64>().ok().filter(|offset| *offset >= 0).map(Offset);
            let offset = offset.ok_or_else(|| format!("line {number} has no offset from 0 on: {line:?}"))?;
            if offsets.insert(name.topic_partition(), offset).is_some() {
                return Err(format!("line {number}: {} for the second time", name.topic_partition()));
            }
        }
        if offsets.is_empty() {
            return Err("there is no line in it".to_owned());
        }
        Ok(Self(offsets))
    }

    /// The offset of a partition.
    pub(super) fn get(&self, topic_partition: &str) -> Option<Offset> {
        self.0.get(topic_partition).copied()
    }

    /// All partitions.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_partition_and_its_offset() {
        let offsets = OffsetsFile::parse(b"# ends\norders-3 4711\r\n\n  a-b-10\t0\n").unwrap();
        assert_eq!(offsets.get("orders-3"), Some(Offset(4711)));
        assert_eq!(offsets.get("a-b-10"), Some(Offset(0)));
        assert_eq!(offsets.get("orders-4"), None);
        assert_eq!(offsets.names().collect::<Vec<_>>(), ["a-b-10", "orders-3"]);
    }

    #[test]
    fn whatever_else_a_line_is_is_refused_with_its_number() {
        for line in
            ["orders-3", "orders-3 -1", "orders-3 x", "orders 5", "orders-3 5 6", "orders-3.0123-delete 5", "\u{1}"]
        {
            let why = OffsetsFile::parse(format!("a-0 1\n{line}\n").as_bytes()).err().unwrap_or_default();
            assert!(why.contains("line 2"), "{line}: {why}");
        }
        assert!(OffsetsFile::parse(b"a-0 1\na-0 1\n").is_err_and(|why| why.contains("second time")));
        assert!(OffsetsFile::parse(b"# nothing\n").is_err());
        assert!(OffsetsFile::parse(b"a-0 \xff\n").is_err());
    }
}
