//! The options of `kafka-dump-log`, parsed as that tool parses them.
//!
//! The rules are those of its option library: options may have one dash or two; a value follows as `=value` or as the
//! next word, whatever that looks like; an empty value counts as none; `--` ends the options. Words that are no options
//! are ignored, except where `--kafka-format` was given without `--files`: then they are paths. Options of all releases
//! are known in all profiles. Two options are ours, `--kafka-format[=RELEASE]` and `--max-batch-bytes`. Behind the first,
//! a next word that is a release, and not a file, is taken for its value.
//!
//! Source: Kafka `DumpLogSegments`, jopt-simple 5.0.4.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use crate::format::compression::DEFAULT_LIMIT;
use crate::report::kafka_format::{ClassDecoder, DecoderClass, Profile};
use crate::store::{IoMode, ReadPolicy};

/// A call that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// What a command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KafkaDumpCommand {
    /// Dump files.
    Dump(KafkaDumpArgs),
    /// `--help`: explain the options.
    Help,
    /// `--version`: say which release is imitated.
    Version(Profile),
}

/// What to dump, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaDumpArgs {
    /// The files, as written.
    pub files: Vec<OsString>,
    /// Whether the files came as plain words and not from `--files`: directories among them may be expanded.
    pub plain_paths: bool,
    /// The release to imitate.
    pub profile: Profile,
    /// Print keys and values.
    pub print_contents: bool,
    /// Print a line for each record.
    pub deep_iteration: bool,
    /// Leave out of these lines everything but keys and values.
    pub skip_record_metadata: bool,
    /// Check index entries without printing them.
    pub verify_index_only: bool,
    /// Check indexes as a broker does at its start.
    pub index_sanity_check: bool,
    /// How many bytes from an offset index entry's position on may hold its batch.
    pub max_message_size: LazyInt,
    /// How many bytes of a log are looked at.
    pub max_bytes: LazyInt,
    /// What prints keys and values.
    pub decoder: ClassDecoder,
    /// What the use of the decoders' names prints before each log.
    pub decoder_notices: Vec<String>,
    /// The most bytes of one batch that are held in memory, compressed or decompressed.
    pub max_batch_bytes: usize,
    /// How files are read.
    pub read_policy: ReadPolicy,
}

/// A number that is understood only where it is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LazyInt {
    option: &'static str,
    default: i32,
    given: Vec<OsString>,
}

impl LazyInt {
    /// The number.
    ///
    /// Errors: the option was given twice, or with something that is no 32-bit integer.
    pub fn get(&self) -> Result<i32, UsageError> {
        let option = self.option;
        let text = match self.given.as_slice() {
            [] => return Ok(self.default),
            [text] => text.to_string_lossy(),
            _ => return Err(twice(option)),
        };
        text.parse().map_err(|_| self.no_number(&text))
    }

    /// The number as a count of bytes.
    ///
    /// Errors: it is below 0.
    pub fn bytes_from(&self, number: i32) -> Result<u64, UsageError> {
        u64::try_from(number).map_err(|_| self.no_number(&number.to_string()))
    }

    fn no_number(&self, text: &str) -> UsageError {
        UsageError(format!("--{} {text:?} is no number of bytes up to 2147483647", self.option))
    }
}

/// An option and whether it takes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value {
    None,
    Required,
    /// A next word that looks like no option, or `=value`.
    Optional,
    /// `=value`, or a next word that is a release and no file.
    Release,
}

const OPTIONS: [(&str, Value); 19] = [
    ("files", Value::Required),
    ("print-data-log", Value::None),
    ("deep-iteration", Value::None),
    ("skip-record-metadata", Value::None),
    ("verify-index-only", Value::None),
    ("index-sanity-check", Value::None),
    ("max-message-size", Value::Required),
    ("max-bytes", Value::Required),
    ("key-decoder-class", Value::Optional),
    ("value-decoder-class", Value::Optional),
    ("offsets-decoder", Value::None),
    ("transaction-log-decoder", Value::None),
    ("cluster-metadata-decoder", Value::None),
    ("remote-log-metadata-decoder", Value::None),
    ("share-group-state-decoder", Value::None),
    ("help", Value::None),
    ("version", Value::None),
    ("kafka-format", Value::Release),
    ("max-batch-bytes", Value::Required),
];

/// Those that show the records of an internal topic.
const TOPIC_DECODERS: [&str; 5] = [
    "offsets-decoder",
    "transaction-log-decoder",
    "cluster-metadata-decoder",
    "remote-log-metadata-decoder",
    "share-group-state-decoder",
];

/// Whether the words after `dump-log` are meant for this parser: `--files` or `--kafka-format` is among them.
pub fn speaks_kafka<'a>(words: impl IntoIterator<Item = &'a OsStr>) -> bool {
    let options = words.into_iter().map(OsStr::as_bytes).take_while(|word| *word != b"--");
    let mut names = options.map(|word| word.split(|&byte| byte == b'=').next().unwrap_or_default());
    names.any(|name| matches!(name, b"--files" | b"-files" | b"--kafka-format"))
}

/// Whether `word` is an option of Kafka's tool, and so belongs to this parser.
pub fn is_kafkas_option(word: &str) -> bool {
    word.strip_prefix("--").is_some_and(|name| OPTIONS.iter().any(|(known, _)| *known == name))
}

/// The command that the words after `dump-log` make.
///
/// Errors: those in which Kafka's tool ends, except for numbers, which are looked at where they are used.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<KafkaDumpCommand, UsageError> {
    let given = Given::parse(words)?;
    if given.has("help") {
        return Ok(KafkaDumpCommand::Help);
    }
    let profile = match given.value("kafka-format")? {
        Some(release) => release.to_string_lossy().parse().map_err(|error| UsageError(format!("{error}")))?,
        None => Profile::default(),
    };
    if given.has("version") {
        return Ok(KafkaDumpCommand::Version(profile));
    }
    let plain_paths = !given.has("files");
    let files = match given.value("files")? {
        Some(list) => split_list(list),
        None if given.has("kafka-format") && !given.words.is_empty() => given.words.clone(),
        None => return Err(UsageError("files are missing: --files FILE[,FILE…]".to_owned())),
    };
    if let Some(name) = TOPIC_DECODERS.into_iter().find(|name| given.has(name)) {
        return Err(UsageError(format!("--{name} is not built yet; without it the records are shown undecoded")));
    }
    let mut decoder_notices = Vec::new();
    let mut class = |option| decoder_class(&given, profile, option, &mut decoder_notices);
    // The original makes the decoder of values first, which shows in the order of the notices.
    let value = class("value-decoder-class")?;
    let decoder = ClassDecoder { key: class("key-decoder-class")?, value };
    let print_contents = ["print-data-log", "key-decoder-class", "value-decoder-class"].iter().any(|o| given.has(o));
    let max_batch_bytes = match given.value("max-batch-bytes")? {
        None => DEFAULT_LIMIT,
        Some(text) => text
            .to_string_lossy()
            .parse()
            .map_err(|_| UsageError(format!("--max-batch-bytes {:?} is no number of bytes", text.to_string_lossy())))?,
    };
    let lazy = |option, default| LazyInt { option, default, given: given.values(option) };
    Ok(KafkaDumpCommand::Dump(KafkaDumpArgs {
        files,
        plain_paths,
        profile,
        print_contents,
        deep_iteration: print_contents || given.has("deep-iteration"),
        skip_record_metadata: given.has("skip-record-metadata"),
        verify_index_only: given.has("verify-index-only"),
        index_sanity_check: given.has("index-sanity-check"),
        max_message_size: lazy("max-message-size", 5 * 1024 * 1024),
        max_bytes: lazy("max-bytes", i32::MAX),
        decoder,
        decoder_notices,
        max_batch_bytes,
        read_policy: ReadPolicy { mode: IoMode::Auto, may_change: false },
    }))
}

fn decoder_class(
    given: &Given,
    profile: Profile,
    option: &'static str,
    notices: &mut Vec<String>,
) -> Result<DecoderClass, UsageError> {
    let Some(name) = given.value(option)? else {
        return Ok(DecoderClass::default());
    };
    let name = name.to_string_lossy();
    let (class, notice) = DecoderClass::by_name(profile, &name).ok_or_else(|| {
        UsageError(format!(
            "--{option} {name:?}: Java classes cannot be loaded; StringDecoder, IntegerDecoder, LongDecoder and \
             DefaultDecoder of org.apache.kafka.tools.api are known"
        ))
    })?;
    notices.extend(notice);
    Ok(class)
}

/// The parts between commas, as Java splits: empty ones at the end are dropped, a lone empty one stays.
fn split_list(list: &OsStr) -> Vec<OsString> {
    let bytes = list.as_bytes();
    let mut parts: Vec<&[u8]> = bytes.split(|&byte| byte == b',').collect();
    while parts.last().is_some_and(|part| part.is_empty()) && !bytes.is_empty() {
        parts.pop();
    }
    parts.into_iter().map(|part| OsString::from_vec(part.to_vec())).collect()
}

fn twice(option: &str) -> UsageError {
    UsageError(format!("--{option} was given more than once"))
}

/// What was found on the command line.
#[derive(Debug, Default)]
struct Given {
    options: Vec<(&'static str, Option<OsString>)>,
    words: Vec<OsString>,
}

impl Given {
    fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Self, UsageError> {
        let mut given = Self::default();
        let mut words = words.into_iter().peekable();
        while let Some(word) = words.next() {
            let bytes = word.as_bytes();
            if bytes == b"--" {
                given.words.extend(words);
                break;
            }
            if !looks_like_option(bytes) {
                given.words.push(word);
                continue;
            }
            let body = bytes.strip_prefix(b"--").or_else(|| bytes.strip_prefix(b"-")).unwrap_or_default();
            let (name, attached) = match body.iter().position(|&byte| byte == b'=') {
                Some(at) => (&body[..at], Some(&body[at + 1..])),
                None => (body, None),
            };
            let known = OPTIONS.iter().find(|(known, _)| known.as_bytes() == name);
            let &(name, takes) = known.ok_or_else(|| {
                UsageError(format!("{} is not a recognized option", OsStr::from_bytes(name).to_string_lossy()))
            })?;
            let attached = attached.filter(|value| !value.is_empty()).map(|value| OsString::from_vec(value.to_vec()));
            let value = match (takes, attached) {
                (Value::None, _) => None,
                (_, Some(value)) => Some(value),
                (Value::Required, None) => {
                    Some(words.next().ok_or_else(|| UsageError(format!("--{name} requires an argument")))?)
                }
                (Value::Optional, None) => words.next_if(|next| !looks_like_option(next.as_bytes())),
                (Value::Release, None) => words.next_if(|next| is_release(next)),
            };
            given.options.push((name, value));
        }
        Ok(given)
    }

    fn has(&self, name: &str) -> bool {
        self.options.iter().any(|(option, _)| *option == name)
    }

    fn values(&self, name: &str) -> Vec<OsString> {
        self.options.iter().filter(|(option, _)| *option == name).filter_map(|(_, value)| value.clone()).collect()
    }

    /// The one value of an option. Errors: there are several.
    fn value(&self, name: &str) -> Result<Option<&OsStr>, UsageError> {
        let mut values =
            self.options.iter().filter(|(option, _)| *option == name).filter_map(|(_, value)| value.as_deref());
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(twice(name)),
            (value, None) => Ok(value),
        }
    }
}

/// Whether the word is meant as a release. A file of that name is more likely to be meant itself.
fn is_release(word: &OsStr) -> bool {
    word.to_string_lossy().parse::<Profile>().is_ok() && !Path::new(word).exists()
}

fn looks_like_option(word: &[u8]) -> bool {
    word.len() > 1 && word.starts_with(b"-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dump(line: &[&str]) -> KafkaDumpArgs {
        match parse(line.iter().map(OsString::from)) {
            Ok(KafkaDumpCommand::Dump(args)) => args,
            other => panic!("{line:?}: {other:?}"),
        }
    }

    fn error(line: &[&str]) -> String {
        parse(line.iter().map(OsString::from)).unwrap_err().to_string()
    }

    #[test]
    fn files_may_be_named_in_three_ways_and_other_words_are_ignored() {
        for line in
            [&["--files", "a.log,b.log"][..], &["--files=a.log,b.log", "c.log"], &["x", "-files", "a.log,b.log"]]
        {
            let args = dump(line);
            assert_eq!(args.files, ["a.log", "b.log"], "{line:?}");
            assert!(!args.plain_paths && !args.deep_iteration);
        }
        // Not trimmed; empty parts are dropped at the end only.
        assert_eq!(dump(&["--files", ",a, b,,"]).files, ["", "a", " b"]);
        assert_eq!(dump(&["--files", ","]).files, [""; 0]);
        assert_eq!(dump(&["--files", "--deep-iteration"]).files, ["--deep-iteration"]);
        assert_eq!(dump(&["--files=", "a"]).files, ["a"]);
    }

    #[test]
    fn plain_paths_need_the_format_and_are_not_split() {
        let args = dump(&["--kafka-format=3.9", "a,b.log", "dir", "--deep-iteration"]);
        assert_eq!((args.files.len(), args.plain_paths, args.profile), (2, true, Profile::P38));
        assert!(error(&["a.log"]).contains("--files"));
        assert!(error(&["--kafka-format=3.1", "a.log"]).contains("3.1"));
    }

    #[test]
    fn a_release_may_follow_the_format_as_a_word_of_its_own() {
        let args = dump(&["--kafka-format", "3.9", "a.log"]);
        assert_eq!((args.files, args.profile), (vec![OsString::from("a.log")], Profile::P38));
        assert_eq!(dump(&["--kafka-format", "P28", "--files", "a"]).profile, Profile::P28);
        // No release: a path, as ever.
        for word in ["a.log", "3.1", "src"] {
            let args = dump(&["--kafka-format", word]);
            assert_eq!((args.files, args.profile), (vec![OsString::from(word)], Profile::default()));
        }
        assert!(error(&["--kafka-format", "2.8"]).contains("files are missing"));
    }

    #[test]
    fn what_kafkas_tool_refuses_is_refused() {
        assert_eq!(error(&["--files", "a", "--bogus"]), "bogus is not a recognized option");
        assert_eq!(error(&["--files", "a", "--print"]), "print is not a recognized option");
        assert_eq!(error(&["--files"]), "--files requires an argument");
        assert_eq!(error(&["--files", "a", "--files", "b"]), "--files was given more than once");
        assert!(error(&["--files", "a", "--value-decoder-class", "com.example.Mine"]).contains("com.example.Mine"));
        assert!(error(&["--files", "a", "--offsets-decoder"]).contains("--offsets-decoder is not built yet"));
    }

    #[test]
    fn numbers_are_judged_where_they_are_used() {
        let args = dump(&["--files", "a", "--max-bytes", "abc", "--max-message-size=-1"]);
        assert!(args.max_bytes.get().unwrap_err().to_string().contains("abc"));
        let max_message_size = args.max_message_size.get().unwrap();
        assert!(args.max_message_size.bytes_from(max_message_size).unwrap_err().to_string().contains("-1"));
        let args = dump(&["--files", "a", "--max-bytes", "1", "--max-bytes", "2"]);
        assert!(args.max_bytes.get().unwrap_err().to_string().contains("more than once"));
        assert_eq!(args.max_message_size.get(), Ok(5_242_880));
    }

    #[test]
    fn decoder_classes_turn_printing_on_and_may_go_without_a_name() {
        let args = dump(&["--key-decoder-class", "--files", "a"]);
        assert!(args.print_contents && args.deep_iteration);
        let args = dump(&["--files", "a", "--value-decoder-class", "org.apache.kafka.tools.api.LongDecoder"]);
        assert_eq!((args.decoder.key, args.decoder.value), (DecoderClass::String, DecoderClass::Long));
        let old = ["--files", "a", "--key-decoder-class", "kafka.serializer.IntegerDecoder", "--kafka-format=3.9"];
        let args = dump(&old);
        assert_eq!(args.decoder.key, DecoderClass::Integer);
        assert_eq!(
            args.decoder_notices,
            [
                "kafka.serializer.IntegerDecoder is deprecated. Please use org.apache.kafka.tools.api.IntegerDecoder instead\n"
            ]
        );
        assert!(error(&old[..4]).contains("kafka.serializer.IntegerDecoder"));
    }

    #[test]
    fn kafkas_spelling_is_told_from_ours() {
        let speaks = |line: &[&str]| speaks_kafka(line.iter().map(OsStr::new));
        assert!(
            speaks(&["--deep-iteration", "--files=a"]) && speaks(&["-files", "a"]) && speaks(&["--kafka-format=2.8"])
        );
        assert!(!speaks(&["--deep-iteration", "a.log"]) && !speaks(&["--", "--files"]));
    }
}
