//! What a finding is: something that was looked at and seen. Its words are made in `report`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::catalogue::Id;
use crate::format::{Offset, Position};

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Legal, or of no consequence: shown on demand.
    Info,
    /// Nothing is lost or wrong yet, but something is not as a broker would leave it.
    Warning,
    /// Something is lost, gives wrong answers, or will do so at the next start.
    Error,
}

/// What mending takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Repair {
    /// Derived data only is made again; no record is touched.
    Safe,
    /// Bytes of a log have to go.
    Lossy,
    /// Nothing that this program can do; the page of the finding says what a person can.
    None,
}

/// Something that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub id: Id,
    /// How much it matters here; usually that of the [`Id`].
    pub severity: Severity,
    /// What mending takes here; usually that of the [`Id`].
    pub repair: Repair,
    /// The file it was seen in, or the directory where it is none of one file.
    pub path: PathBuf,
    /// Where in the file.
    pub place: Place,
    /// What was seen, under the names that JSON shows in `details`.
    pub details: Vec<(&'static str, Detail)>,
    /// How many more of the same kind were seen in this file, and counted only.
    pub more: u64,
}

/// Where in a file something was seen; whatever does not apply is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The first byte.
    pub position: Option<Position>,
    /// How many bytes from there on.
    pub length: Option<u64>,
    /// The entry of an index, snapshot or list, from 0.
    pub slot: Option<u64>,
    /// The offset it is about.
    pub offset: Option<Offset>,
}

/// One number or word of a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detail {
    /// A whole number.
    Int(i64),
    /// A size, position or count.
    Unsigned(u64),
    /// Milliseconds since 1970.
    Time(i64),
    /// A name or an error in words.
    Text(String),
}

impl From<i64> for Detail {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<i32> for Detail {
    fn from(value: i32) -> Self {
        Self::Int(value.into())
    }
}

impl From<u64> for Detail {
    fn from(value: u64) -> Self {
        Self::Unsigned(value)
    }
}

impl From<Offset> for Detail {
    fn from(value: Offset) -> Self {
        Self::Int(value.0)
    }
}

impl From<Position> for Detail {
    fn from(value: Position) -> Self {
        Self::Unsigned(value.0)
    }
}

impl From<String> for Detail {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<&str> for Detail {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl Finding {
    /// A finding of the usual severity, about `path` as a whole.
    pub fn new(id: Id, path: impl Into<PathBuf>) -> Self {
        let (severity, repair) = (id.severity(), id.repair());
        Self { id, severity, repair, path: path.into(), place: Place::default(), details: Vec::new(), more: 0 }
    }

    /// The same at a byte range of the file.
    pub fn at(mut self, position: Position, length: u64) -> Self {
        self.place.position = Some(position);
        self.place.length = Some(length);
        self
    }

    /// The same at an entry of `size` bytes, counted from 0, of a file that holds nothing but such entries.
    pub fn entry(mut self, slot: usize, size: usize) -> Self {
        self.place.slot = Some(slot as u64);
        self.at(Position((slot as u64).saturating_mul(size as u64)), size as u64)
    }

    /// The same about a record or batch.
    pub fn offset(mut self, offset: Offset) -> Self {
        self.place.offset = Some(offset);
        self
    }

    /// The same with one more number or word. The names are those of JSON: Kafka's camelCase.
    pub fn with(mut self, name: &'static str, value: impl Into<Detail>) -> Self {
        self.details.push((name, value.into()));
        self
    }

    /// The same with another severity than the usual one.
    pub fn as_severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// The same where mending takes something else than usual.
    pub fn mended_by(mut self, repair: Repair) -> Self {
        self.repair = repair;
        self
    }
}

impl Finding {
    /// The whole number that was seen under this name.
    pub fn int(&self, name: &str) -> Option<i64> {
        let (_, detail) = self.details.iter().find(|(found, _)| *found == name)?;
        match detail {
            Detail::Int(value) | Detail::Time(value) => Some(*value),
            Detail::Unsigned(value) => i64::try_from(*value).ok(),
            Detail::Text(_) => None,
        }
    }
}

/// How many findings of one kind are kept for one file; more are counted. A log of a million bad batches must not
/// take memory for a million findings.
const KEPT_PER_FILE: usize = 50;

/// The findings of one piece of work, in the order in which they were made.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    kept: Vec<Finding>,
    /// How many of `kept` are of one kind in one file, and where the last of them stands.
    of_file: HashMap<(Id, PathBuf), (usize, usize)>,
}

impl Findings {
    /// None so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in one more; of too many of one kind in one file the rest is counted in the last one kept.
    pub fn push(&mut self, finding: Finding) {
        let (count, last) = self.of_file.entry((finding.id, finding.path.clone())).or_default();
        match self.kept.get_mut(*last) {
            Some(last) if *count >= KEPT_PER_FILE => {
                last.more = last.more.saturating_add(1).saturating_add(finding.more);
            }
            _ => {
                (*count, *last) = (count.saturating_add(1), self.kept.len());
                self.kept.push(finding);
            }
        }
    }

    /// Takes in all of another piece of work.
    pub fn append(&mut self, other: Self) {
        other.kept.into_iter().for_each(|finding| self.push(finding));
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.kept.iter()
    }

    /// All of them, to be changed: those that turn out to be consequences of others go, and severities sink where
    /// what surrounds them explains them.
    pub fn retain(&mut self, keep: impl FnMut(&mut Finding) -> bool) {
        self.kept.retain_mut(keep);
        *self = std::mem::take(&mut self.kept).into_iter().collect();
    }

    /// Whether there is one of this kind about `path`.
    pub fn holds(&self, id: Id, path: &Path) -> bool {
        self.kept.iter().any(|kept| kept.id == id && kept.path == path)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// How many there are of a severity, those included that were only counted.
    pub fn count(&self, severity: Severity) -> u64 {
        self.kept.iter().filter(|kept| kept.severity == severity).map(|kept| kept.more.saturating_add(1)).sum()
    }

    /// The findings.
    pub fn into_vec(self) -> Vec<Finding> {
        self.kept
    }
}

/// As they come: nothing is counted away.
impl FromIterator<Finding> for Findings {
    fn from_iter<T: IntoIterator<Item = Finding>>(findings: T) -> Self {
        let kept: Vec<Finding> = findings.into_iter().collect();
        let mut of_file: HashMap<_, (usize, usize)> = HashMap::new();
        for (at, finding) in kept.iter().enumerate() {
            let (count, last) = of_file.entry((finding.id, finding.path.clone())).or_default();
            (*count, *last) = (count.saturating_add(1), at);
        }
        Self { kept, of_file }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_of_one_kind_the_rest_is_counted() {
        let mut findings = Findings::new();
        for slot in 0..200 {
            findings.push(Finding::new(Id::IndexPositionPastEnd, "a.index").entry(slot, 8));
        }
        findings.push(Finding::new(Id::IndexPositionPastEnd, "b.index"));
        assert_eq!(findings.iter().count(), KEPT_PER_FILE + 1);
        assert_eq!(findings.count(Severity::Error), 201);
        assert_eq!(findings.iter().nth(KEPT_PER_FILE - 1).unwrap().more, 150);
        assert_eq!(findings.iter().nth(3).unwrap().place.position, Some(Position(24)));
        findings.retain(|finding| finding.path != Path::new("b.index"));
        findings.push(Finding::new(Id::IndexPositionPastEnd, "a.index"));
        assert_eq!(findings.iter().count(), KEPT_PER_FILE);
        assert_eq!(findings.iter().last().unwrap().more, 151);
    }

    #[test]
    fn one_finding_in_each_of_many_files_takes_no_time() {
        let mut findings = Findings::new();
        for file in 0..200_000 {
            findings.push(Finding::new(Id::PartitionForeignFile, format!("orders-3/{file}")));
        }
        assert_eq!(findings.count(Severity::Info), 200_000);
    }
}
