//! Java's `.properties` syntax, and what `meta.properties` says in it: which node and cluster a log dir belongs to.

use super::Position;
use super::uuid::Uuid;

/// The pairs of a `.properties` file, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    entries: Vec<(String, String)>,
}

/// Why a `.properties` file cannot be read: a `\u` that four hexadecimal digits do not follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed \\u escape in the line at byte {line_at}")]
pub struct PropertiesError {
    /// The byte at which the line begins, the first of those that backslashes join.
    pub line_at: Position,
}

impl Properties {
    /// Reads the whole content of a `.properties` file. Bytes are ISO 8859-1.
    ///
    /// Lines that begin with `#` or `!` are comments. A key ends at `=`, `:` or a blank; a backslash takes away the
    /// meaning of the next character, also that of a line end. Blanks at the end of a value belong to it.
    ///
    /// Source: `java.util.Properties.load`.
    pub fn parse(bytes: &[u8]) -> Result<Self, PropertiesError> {
        let mut entries = Vec::new();
        let mut lines = LogicalLines { bytes, at: 0 };
        while let Some((line_at, line)) = lines.next_line() {
            let (key, value) = split(&line);
            let malformed = PropertiesError { line_at };
            entries.push((unescape(key).ok_or(malformed)?, unescape(value).ok_or(malformed)?));
        }
        Ok(Self { entries })
    }

    /// The pairs, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The value of `key`: the last one if there are several.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter().filter(|(found, _)| *found == key).last().map(|(_, value)| value)
    }
}

/// The bytes of a `.properties` file: one `#` line for each of `comments`, then one line for each pair.
///
/// Kafka's own files begin with an empty comment and one with the date.
/// Source: `java.util.Properties.store`.
pub fn write<'a>(comments: &[&str], pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<u8> {
    let mut text = String::new();
    for comment in comments {
        // A line end inside would let the rest of the comment be read as a pair.
        text.push_str(&format!("#{}\n", comment.replace(['\n', '\r'], " ")));
    }
    for (key, value) in pairs {
        escape(&mut text, key, true);
        text.push('=');
        escape(&mut text, value, false);
        text.push('\n');
    }
    // What a comment holds beyond ASCII is of no consequence; pairs are all ASCII here.
    text.into_bytes()
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\x0c')
}

fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// Lines that are neither blank nor comments, those joined that a backslash joins.
struct LogicalLines<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// How a natural line ends.
enum LineEnd {
    /// With a line end or the file.
    Plain,
    /// With a backslash and a line end: the next line is part of this one.
    Joined,
    /// With a backslash that nothing follows, or nothing but a line end. Java counts this line even if it is empty.
    BackslashLast,
}

impl LogicalLines<'_> {
    fn next_line(&mut self) -> Option<(Position, Vec<u8>)> {
        let mut line = Vec::new();
        let mut line_at = self.skip(|byte| is_blank(byte) || is_line_end(byte));
        loop {
            let first = self.peek();
            let mut end = LineEnd::Plain;
            if line.is_empty() && matches!(first, Some(b'#' | b'!')) {
                self.skip(|byte| !is_line_end(byte));
            } else {
                end = self.take_line(&mut line);
            }
            match end {
                LineEnd::Joined => {
                    self.skip(is_blank);
                }
                LineEnd::Plain if line.is_empty() => {
                    first?;
                    line_at = self.skip(|byte| is_blank(byte) || is_line_end(byte));
                }
                LineEnd::Plain | LineEnd::BackslashLast => return Some((Position(line_at as u64), line)),
            }
        }
    }

    /// Appends what is left of a natural line, and passes its end.
    fn take_line(&mut self, line: &mut Vec<u8>) -> LineEnd {
        let mut after_backslash = false;
        let mut end = None;
        while let (None, Some(byte)) = (end, self.peek()) {
            self.at = self.at.saturating_add(1);
            if is_line_end(byte) {
                end = Some(byte);
            } else {
                line.push(byte);
                after_backslash = byte == b'\\' && !after_backslash;
            }
        }
        if !after_backslash {
            return LineEnd::Plain;
        }
        line.pop();
        match (end, self.peek()) {
            (_, None) => LineEnd::BackslashLast,
            (Some(b'\r'), Some(b'\n')) => {
                self.at = self.at.saturating_add(1);
                LineEnd::Joined
            }
            _ => LineEnd::Joined,
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Passes the bytes for which `unwanted` holds and says where it stopped.
    fn skip(&mut self, unwanted: impl Fn(u8) -> bool) -> usize {
        while self.peek().is_some_and(&unwanted) {
            self.at = self.at.saturating_add(1);
        }
        self.at
    }
}

/// Key and value of a logical line, escapes not yet undone.
fn split(line: &[u8]) -> (&[u8], &[u8]) {
    let mut escaped = false;
    let ends_key = |&byte: &u8| {
        let ends = !escaped && (is_blank(byte) || matches!(byte, b'=' | b':'));
        escaped = byte == b'\\' && !escaped;
        ends
    };
    let length = line.iter().position(ends_key).unwrap_or(line.len());
    let (key, rest) = line.split_at_checked(length).unwrap_or((line, &[]));
    let rest = skip_blanks(rest);
    let value = match rest {
        [b'=' | b':', value @ ..] => skip_blanks(value),
        _ => rest,
    };
    (key, value)
}

fn skip_blanks(bytes: &[u8]) -> &[u8] {
    let blanks = bytes.iter().take_while(|&&byte| is_blank(byte)).count();
    bytes.get(blanks..).unwrap_or_default()
}

/// The text that `bytes` stand for, `None` if four hexadecimal digits do not follow a `\u`.
/// Half a surrogate pair, which Java keeps, becomes U+FFFD.
fn unescape(bytes: &[u8]) -> Option<String> {
    let mut units: Vec<u16> = Vec::new();
    let mut rest = bytes.iter().copied();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            units.push(byte.into());
            continue;
        }
        let unit = match rest.next() {
            Some(b'u') => {
                let mut unit = 0u32;
                for _ in 0..4 {
                    unit = unit << 4 | char::from(rest.next()?).to_digit(16)?;
                }
                u16::try_from(unit).ok()?
            }
            Some(b't') => b'\t'.into(),
            Some(b'n') => b'\n'.into(),
            Some(b'r') => b'\r'.into(),
            Some(b'f') => 0x0c,
            Some(other) => other.into(),
            None => break,
        };
        units.push(unit);
    }
    Some(String::from_utf16_lossy(&units))
}

fn escape(out: &mut String, text: &str, is_key: bool) {
    for (n, unit) in text.encode_utf16().enumerate() {
        match char::from_u32(unit.into()) {
            Some('\t') => out.push_str("\\t"),
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\x0c') => out.push_str("\\f"),
            Some(' ') if n > 0 && !is_key => out.push(' '),
            Some(special @ (' ' | '\\' | '=' | ':' | '#' | '!')) => out.extend(['\\', special]),
            Some(plain @ ' '..='~') => out.push(plain),
            _ => out.push_str(&format!("\\u{unit:04X}")),
        }
    }
}

/// What `meta.properties` of a log dir says.
///
/// | key            | version 0 (ZooKeeper)   | version 1 (KRaft) |
/// |----------------|-------------------------|-------------------|
/// | `version`      | `0`, or absent          | `1`               |
/// | `cluster.id`   | optional                | required          |
/// | `broker.id`    | optional                | not looked at     |
/// | `node.id`      | not looked at           | required          |
/// | `directory.id` | optional                | optional          |
///
/// Source: Kafka `MetaProperties`, `MetaPropertiesVersion`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaProperties {
    /// 0 or 1.
    pub version: i32,
    /// The id of the cluster, any text.
    pub cluster_id: Option<String>,
    /// The id of the broker or node: `broker.id` in version 0, `node.id` in version 1.
    pub node_id: Option<i32>,
    /// The id of this log dir (from 3.7 on).
    pub directory_id: Option<Uuid>,
}

/// Why brokers would not use a log dir with such a `meta.properties`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetaPropertiesError {
    /// The file breaks the syntax.
    #[error(transparent)]
    Syntax(#[from] PropertiesError),
    /// The version is neither 0 nor 1.
    #[error("version {value:?} is unknown")]
    UnknownVersion {
        /// The text of the version.
        value: String,
    },
    /// A key is missing that the version demands.
    #[error("{key} is missing")]
    Missing {
        /// The key.
        key: &'static str,
    },
    /// The value is not a 32-bit decimal number.
    #[error("{key} is {value:?}, not a number")]
    NotANumber {
        /// The key.
        key: &'static str,
        /// The text found.
        value: String,
    },
    /// The value of `directory.id` is no id.
    #[error("directory.id is {value:?}, not 22 characters of URL-safe base64")]
    MalformedDirectoryId {
        /// The text found.
        value: String,
    },
}

impl MetaProperties {
    /// Reads the whole content of a `meta.properties` file.
    pub fn parse(bytes: &[u8]) -> Result<Self, MetaPropertiesError> {
        Self::from_properties(&Properties::parse(bytes)?)
    }

    /// Makes sense of pairs already read.
    pub fn from_properties(properties: &Properties) -> Result<Self, MetaPropertiesError> {
        let text = properties.get("version").unwrap_or("0");
        let version: i32 = text
            .parse()
            .ok()
            .filter(|version| matches!(version, 0 | 1))
            .ok_or_else(|| MetaPropertiesError::UnknownVersion { value: text.to_owned() })?;
        let node_id = number(properties, id_key(version))?;
        let cluster_id = properties.get("cluster.id").map(str::to_owned);
        let directory_id = match properties.get("directory.id") {
            None => None,
            Some(value) => Some(
                Uuid::parse(value.as_bytes())
                    .ok_or_else(|| MetaPropertiesError::MalformedDirectoryId { value: value.to_owned() })?,
            ),
        };
        if version == 1 && node_id.is_none() {
            return Err(MetaPropertiesError::Missing { key: "node.id" });
        }
        if version == 1 && cluster_id.is_none() {
            return Err(MetaPropertiesError::Missing { key: "cluster.id" });
        }
        Ok(Self { version, cluster_id, node_id, directory_id })
    }

    /// The bytes of a file that says the same, with one `#` line for each of `comments`.
    pub fn write(&self, comments: &[&str]) -> Vec<u8> {
        let mut pairs = Vec::new();
        let version = self.version.to_string();
        let node_id = self.node_id.map(|id| id.to_string());
        let directory_id = self.directory_id.map(|id| id.to_string());
        pairs.extend(node_id.as_deref().map(|id| (id_key(self.version), id)));
        pairs.extend(directory_id.as_deref().map(|id| ("directory.id", id)));
        pairs.push(("version", &version));
        pairs.extend(self.cluster_id.as_deref().map(|id| ("cluster.id", id)));
        write(comments, pairs)
    }
}

fn id_key(version: i32) -> &'static str {
    if version == 0 { "broker.id" } else { "node.id" }
}

fn number(properties: &Properties, key: &'static str) -> Result<Option<i32>, MetaPropertiesError> {
    let Some(value) = properties.get(key) else { return Ok(None) };
    match value.parse() {
        Ok(number) => Ok(Some(number)),
        Err(_) => Err(MetaPropertiesError::NotANumber { key, value: value.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pairs(bytes: &[u8]) -> Result<Vec<(String, String)>, PropertiesError> {
        Properties::parse(bytes).map(|properties| properties.entries)
    }

    /// `java.util.Properties.load` (JDK 17) made these pairs of each text.
    #[test]
    fn pairs_are_read_as_java_reads_them() {
        type Pairs = &'static [(&'static str, &'static str)];
        let cases: &[(&[u8], Pairs)] = &[
            (b"", &[]),
            (b"# a=b\n  ! c=d\n\n \t\n", &[]),
            (b"a=b\r\nc:d\re f", &[("a", "b"), ("c", "d"), ("e", "f")]),
            (b"  a  =  b  \n", &[("a", "b  ")]),
            (b"a\n=\n=b\n", &[("a", ""), ("", ""), ("", "b")]),
            (b"a = = b\n", &[("a", "= b")]),
            (b"a\\ b\\=c=d\\\\\n", &[("a b=c", "d\\")]),
            (b"a=b\\\r\n   c\nd=e\\", &[("a", "bc"), ("d", "e")]),
            (b"a=b\\\n#c\n", &[("a", "b#c")]),
            (b"a=b\\\n\nc=d", &[("a", "b"), ("c", "d")]),
            (b"\\\n#x\n", &[]),
            (b"\\\n", &[("", "")]),
            (b"\\\r\n", &[]),
            (b"# a\\\nb=c", &[("b", "c")]),
            (b"a=\\t\\n\\r\\f\\q\\u0041\\u00e9\xe9", &[("a", "\t\n\r\x0cqA\u{e9}\u{e9}")]),
            (b"a=\\ud83d\\ude00", &[("a", "\u{1f600}")]),
            (b"\xef\xbb\xbfa=b", &[("\u{ef}\u{bb}\u{bf}a", "b")]),
        ];
        for (bytes, expected) in cases {
            let read = pairs(bytes).unwrap_or_else(|error| panic!("{}: {error}", bytes.escape_ascii()));
            let read: Vec<_> = read.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            assert_eq!(read, *expected, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_cut_unicode_escape_is_refused_and_its_line_named() {
        assert_eq!(pairs(b"a=b\nc=\\u00e\n"), Err(PropertiesError { line_at: Position(4) }));
        assert_eq!(pairs(b"a=\\u00eg"), Err(PropertiesError { line_at: Position(0) }));
    }

    #[test]
    fn the_files_of_real_brokers_are_read_and_written_byte_for_byte() {
        let zookeeper =
            b"#\n#Sat Nov 21 23:19:18 UTC 2026\nbroker.id=1\nversion=0\ncluster.id=kfsck0kfsck0kfsck0kfsA\n";
        let read = MetaProperties::parse(zookeeper).unwrap();
        assert_eq!((read.version, read.node_id, read.directory_id), (0, Some(1), None));
        assert_eq!(read.write(&["", "Sat Nov 21 23:19:18 UTC 2026"]), zookeeper);

        let kraft = b"#\n#Sat Nov 21 23:22:03 UTC 2026\nnode.id=1\ndirectory.id=ws1qG1ssZD33gTkEkOpsKw\nversion=1\ncluster.id=kfsck0kfsck0kfsck0kfsA\n";
        let read = MetaProperties::parse(kraft).unwrap();
        assert_eq!((read.version, read.node_id), (1, Some(1)));
        assert_eq!(read.directory_id.unwrap().to_string(), "ws1qG1ssZD33gTkEkOpsKw");
        assert_eq!(read.cluster_id.as_deref(), Some("kfsck0kfsck0kfsck0kfsA"));
        assert_eq!(read.write(&["", "Sat Nov 21 23:22:03 UTC 2026"]), kraft);
    }

    #[test]
    fn what_each_version_demands_is_demanded() {
        use MetaPropertiesError::{MalformedDirectoryId, Missing, NotANumber, UnknownVersion};
        let value = || "x".to_owned();
        for (text, error) in [
            ("version=2", UnknownVersion { value: "2".to_owned() }),
            ("version=1 ", UnknownVersion { value: "1 ".to_owned() }),
            ("version=1\ncluster.id=c", Missing { key: "node.id" }),
            ("version=1\nbroker.id=1\ncluster.id=c", Missing { key: "node.id" }),
            ("version=1\nnode.id=1", Missing { key: "cluster.id" }),
            ("version=1\nnode.id=x\ncluster.id=c", NotANumber { key: "node.id", value: value() }),
            ("broker.id=x", NotANumber { key: "broker.id", value: value() }),
            ("directory.id=x", MalformedDirectoryId { value: value() }),
        ] {
            assert_eq!(MetaProperties::parse(text.as_bytes()), Err(error), "{text}");
        }
        let nothing = MetaProperties { version: 0, cluster_id: None, node_id: None, directory_id: None };
        assert_eq!(MetaProperties::parse(b""), Ok(nothing));
        let twice = MetaProperties::parse(b"broker.id=1\nbroker.id=2").unwrap();
        assert_eq!(twice.node_id, Some(2), "the later one counts");
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_back(entries: Vec<(String, String)>, comment: String) {
            let pairs_in = entries.iter().map(|(key, value)| (key.as_str(), value.as_str()));
            let bytes = write(&["", &comment], pairs_in);
            prop_assert_eq!(pairs(&bytes), Ok(entries));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in "[a=: #!\\\\u0\\r\\n\\t]{0,30}", more: Vec<u8>) {
            let _ = MetaProperties::parse(&[bytes.as_bytes(), &more].concat());
        }
    }
}
