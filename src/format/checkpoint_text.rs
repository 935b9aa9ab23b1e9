//! The text frame that all checkpoint files share: a version line, a count line, and one line per entry.
//!
//! It follows Kafka's reader to the letter, because what it refuses takes a whole log dir offline.
//! One difference: Java also takes digits of other scripts for digits; here they are no number.

use super::Position;

/// The only version ever released.
const VERSION: i32 = 0;

/// Where and why a checkpoint file cannot be read.
///
/// Source: Kafka `CheckpointFile`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct CheckpointError {
    /// The line, counted from 1.
    pub line: usize,
    /// The byte at which the line begins.
    pub position: Position,
    /// How many entries on lines before it could be read.
    pub entries_before: usize,
    /// What is wrong.
    pub problem: CheckpointProblem,
}

/// What is wrong with a line of a checkpoint file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointProblem {
    /// The line is not UTF-8. Kafka finds this first, whatever else is wrong (in files of up to 8 KiB).
    #[error("not UTF-8")]
    NotUtf8,
    /// The first or second line is not a 32-bit decimal number and nothing else.
    #[error("not a number")]
    HeaderNotANumber,
    /// The version is not 0.
    #[error("version {version} is unknown")]
    UnknownVersion {
        /// The version found.
        version: i32,
    },
    /// The number of entries is below 0.
    #[error("the number of entries is {count}")]
    NegativeCount {
        /// The count found.
        count: i32,
    },
    /// An entry has too many or too few fields; a blank line is one, and a leading blank makes one more.
    #[error("{found} fields instead of {expected}")]
    FieldCount {
        /// The fields of an entry.
        expected: usize,
        /// The fields found.
        found: usize,
    },
    /// A field of an entry is not a decimal number in its range.
    #[error("the {field} is not a number")]
    NotANumber {
        /// Which field.
        field: &'static str,
    },
    /// There are more or fewer entries than announced.
    #[error("{expected} entries are announced and {found} found")]
    EntryCount {
        /// The count announced.
        expected: i32,
        /// The entries found.
        found: usize,
    },
}

impl CheckpointError {
    /// Whether Kafka answers with an `IOException`, which takes the log dir offline. If not, it is a number that
    /// cannot be read or a negative count: the exception goes past the handler that would take the dir offline.
    ///
    /// Source: Kafka `CheckpointFileWithFailureHandler`.
    pub fn is_io_exception(&self) -> bool {
        !matches!(self.problem, CheckpointProblem::NotANumber { .. } | CheckpointProblem::NegativeCount { .. })
    }
}

/// One entry, made of `N` fields of a line.
pub(super) trait EntryLine<'a, const N: usize>: Sized {
    /// The entry of these fields, or the name of the first that is no number.
    fn from_fields(fields: [&'a str; N]) -> Result<Self, &'static str>;
}

/// All entries of a checkpoint file. Memory grows with the lines that are there, not with the count announced.
pub(super) fn parse<'a, E: EntryLine<'a, N>, const N: usize>(bytes: &'a [u8]) -> Result<Vec<E>, CheckpointError> {
    check_utf8::<E, N>(bytes)?;
    let mut lines = Lines::new(bytes);
    let Some((first, version)) = lines.number()? else { return Ok(Vec::new()) };
    if version != VERSION {
        return Err(first.error(0, CheckpointProblem::UnknownVersion { version }));
    }
    let Some((second, count)) = lines.number()? else { return Ok(Vec::new()) };
    let expected = usize::try_from(count).map_err(|_| second.error(0, CheckpointProblem::NegativeCount { count }))?;
    let mut entries = Vec::new();
    for line in lines {
        entries.push(line.entry().map_err(|problem| line.error(entries.len(), problem))?);
    }
    if entries.len() != expected {
        let problem = CheckpointProblem::EntryCount { expected: count, found: entries.len() };
        return Err(second.error(0, problem));
    }
    Ok(entries)
}

/// The entries on all lines that are whole ones, whatever is wrong elsewhere, with their line numbers from 1.
/// The first two lines have one field and so are never mistaken for entries.
pub(super) fn lenient<'a, E: EntryLine<'a, N> + 'a, const N: usize>(
    bytes: &'a [u8],
) -> impl Iterator<Item = (usize, E)> + use<'a, E, N> {
    Lines::new(bytes).filter_map(|line| line.entry().ok().map(|entry| (line.number, entry)))
}

/// The two header lines for `count` entries.
pub(super) fn header(count: usize) -> String {
    format!("{VERSION}\n{count}\n")
}

fn check_utf8<'a, E: EntryLine<'a, N>, const N: usize>(bytes: &'a [u8]) -> Result<(), CheckpointError> {
    let mut entries_before = 0usize;
    // Line ends are ASCII and so never part of a longer character: lines can be looked at one by one.
    for line in Lines::new(bytes) {
        if std::str::from_utf8(line.bytes).is_err() {
            return Err(line.error(entries_before, CheckpointProblem::NotUtf8));
        }
        entries_before = entries_before.saturating_add(usize::from(line.entry::<E, N>().is_ok()));
    }
    Ok(())
}

/// A line without its end: LF, CR LF, or CR alone, as Java's readers have it.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    number: usize,
    position: usize,
    pub(super) bytes: &'a [u8],
}

impl<'a> Line<'a> {
    fn entry<E: EntryLine<'a, N>, const N: usize>(&self) -> Result<E, CheckpointProblem> {
        let text = std::str::from_utf8(self.bytes).map_err(|_| CheckpointProblem::NotUtf8)?;
        let mut fields = [""; N];
        let mut found = 0usize;
        for field in split(text) {
            if let Some(slot) = fields.get_mut(found) {
                *slot = field;
            }
            found = found.saturating_add(1);
        }
        if found != N {
            return Err(CheckpointProblem::FieldCount { expected: N, found });
        }
        E::from_fields(fields).map_err(|field| CheckpointProblem::NotANumber { field })
    }

    fn error(&self, entries_before: usize, problem: CheckpointProblem) -> CheckpointError {
        CheckpointError { line: self.number, position: Position(self.position as u64), entries_before, problem }
    }
}

/// The lines of a file. A last line need not be terminated; an empty one after the last end is no line.
pub(super) struct Lines<'a> {
    bytes: &'a [u8],
    position: usize,
    number: usize,
}

impl<'a> Lines<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0, number: 0 }
    }

    fn number(&mut self) -> Result<Option<(Line<'a>, i32)>, CheckpointError> {
        let Some(line) = self.next() else { return Ok(None) };
        let number = std::str::from_utf8(line.bytes).ok().and_then(|text| text.parse().ok());
        let number = number.ok_or_else(|| line.error(0, CheckpointProblem::HeaderNotANumber))?;
        Ok(Some((line, number)))
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        let rest = self.bytes.get(self.position..).filter(|rest| !rest.is_empty())?;
        let length = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        let (bytes, end) = rest.split_at_checked(length)?;
        self.number = self.number.saturating_add(1);
        let line = Line { number: self.number, position: self.position, bytes };
        let end = match end {
            [b'\r', b'\n', ..] => 2,
            [] => 0,
            _ => 1,
        };
        self.position = self.position.saturating_add(length).saturating_add(end);
        Some(line)
    }
}

/// The fields of a line as Java's `String.split("\\s+")` gives them: a leading blank makes an empty first field,
/// trailing ones make none, and an empty line is one empty field.
fn split(line: &str) -> impl Iterator<Item = &str> {
    let before =
        (line.is_empty() || line.starts_with(is_blank) && !line.trim_start_matches(is_blank).is_empty()).then_some("");
    before.into_iter().chain(line.split(is_blank).filter(|field| !field.is_empty()))
}

/// What `\s` matches in Java.
pub(super) fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r')
}
