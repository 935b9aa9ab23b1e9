//! From templates and details to sentences, and from sentences to lines.

use jiff::tz::TimeZone;

use super::super::{text, time};
use super::words::words;
use crate::check::{Detail, Finding};

/// The widest lines of explanations, in characters: longer ones are hard to read.
const WIDEST: usize = 120;

/// A space at which no line ends.
pub(super) const TOGETHER: char = '\u{a0}';

/// What was seen, as a sentence without its place. Times are shown in `zone`.
pub fn message(finding: &Finding, zone: &TimeZone) -> String {
    let words = words(finding.id);
    words.says.iter().find_map(|template| filled(template, finding, zone)).unwrap_or_else(|| {
        let details: Vec<_> =
            finding.details.iter().map(|(name, detail)| format!("{name} {}", shown(name, detail, zone))).collect();
        match details.is_empty() {
            true => words.what.to_owned(),
            false => format!("{}: {}", words.what, details.join(", ")),
        }
    })
}

/// The template with everything put in; `None` where it needs what the finding has not.
fn filled(template: &str, finding: &Finding, zone: &TimeZone) -> Option<String> {
    let mut sentence = String::new();
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once('[') {
        let (optional, behind) = behind.split_once(']')?;
        sentence.push_str(&with_details(before, finding, zone)?);
        sentence.extend(with_details(optional, finding, zone));
        rest = behind;
    }
    sentence.push_str(&with_details(rest, finding, zone)?);
    Some(sentence)
}

fn with_details(template: &str, finding: &Finding, zone: &TimeZone) -> Option<String> {
    let mut sentence = String::new();
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once('{') {
        let (inside, behind) = behind.split_once('}')?;
        let (name, noun) = inside.split_once(':').map_or((inside, None), |(name, noun)| (name, Some(noun)));
        let value = value_of(finding, name)?;
        sentence.push_str(before);
        sentence.push_str(&shown(name, &value, zone));
        if let Some(noun) = noun {
            let is_one = matches!(value, Detail::Int(1) | Detail::Unsigned(1));
            sentence.push(' ');
            sentence.push_str(&if is_one { noun.to_owned() } else { plural(noun) });
        }
        rest = behind;
    }
    sentence.push_str(rest);
    Some(sentence)
}

fn value_of(finding: &Finding, name: &str) -> Option<Detail> {
    if let Some((_, detail)) = finding.details.iter().find(|(known, _)| *known == name) {
        return Some(detail.clone());
    }
    let place = &finding.place;
    match name {
        "position" => place.position.map(Detail::from),
        "length" => place.length.map(Detail::from),
        "slot" => place.slot.map(Detail::from),
        "offset" => place.offset.map(Detail::from),
        _ => None,
    }
}

fn shown(name: &str, detail: &Detail, zone: &TimeZone) -> String {
    match detail {
        // Checksums are compared digit by digit.
        Detail::Unsigned(value) if name.ends_with("Crc") => format!("{value:#010x}"),
        Detail::Int(value) => value.to_string(),
        Detail::Unsigned(value) => value.to_string(),
        Detail::Time(value) => {
            let mut out = Vec::new();
            time::zoned(&mut out, *value, zone);
            String::from_utf8_lossy(&out).into_owned()
        }
        Detail::Text(value) if name == "reason" => reason_words(value).unwrap_or(value).to_owned(),
        Detail::Text(value) => value.clone(),
    }
}

/// What starting brokers do, where a check has worked it out and given it a short name.
pub(super) fn at_start_words(name: &str) -> Option<&'static str> {
    Some(match name {
        "offline" => "the log dir goes offline; if it is the only one, the broker does not start",
        "noStart" => "the broker does not start",
        "noPartitionOnline" => "the broker starts and no partition comes online",
        "noCompaction" => "the log dir goes offline when the cleaner reads the file",
        "takenForEmpty" => "the file is taken for empty",
        _ => return None,
    })
}

/// The words for reasons that JSON gives a short name.
fn reason_words(name: &str) -> Option<&'static str> {
    Some(match name {
        "producerWithoutEpoch" => "a producer without an epoch",
        "producerWithoutSequence" => "a producer without a sequence number",
        "transactionWithoutProducer" => "a transaction without a producer",
        "notLookedAt" => "were not looked at",
        "undecodable" => "cannot be decoded",
        "oldMagic" => "a batch is older than magic 2",
        "offsets" => "its offsets do not follow each other from 0 on",
        "noHeader" => "it does not begin with a header",
        "noFooter" => "it does not end with a footer",
        "empty" => "it is empty",
        "tornTail" => "its last batch was not written to its end",
        "zeros" => "it ends in zeros",
        "checksumMismatch" => "the checksum of a batch does not hold",
        "unknownMagic" => "what stands there is no batch",
        "lengthTooSmall" | "tooShort" | "lengthBeyondEnd" => "the length of a batch cannot be right",
        _ => return None,
    })
}

fn plural(noun: &str) -> String {
    match noun.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None if noun.ends_with("ch") => format!("{noun}es"),
        None => format!("{noun}s"),
    }
}

/// Appends `words` and a line end. The first line goes on where `taken` characters stand already, the next ones are
/// indented; where there is no terminal, all is one line. [`TOGETHER`] becomes a space. What could drive a terminal is
/// escaped.
pub(super) fn wrapped(out: &mut Vec<u8>, words: &str, taken: usize, indent: usize, width: Option<u16>) {
    let mut escaped = Vec::new();
    text::sentence(&mut escaped, words.as_bytes());
    let escaped = String::from_utf8_lossy(&escaped);
    let Some(width) = width else {
        out.extend_from_slice(escaped.replace(TOGETHER, " ").as_bytes());
        out.push(b'\n');
        return;
    };
    let width = usize::from(width).clamp(indent + 24, WIDEST.max(indent + 24));
    let mut column = taken;
    // Two spaces set parts of a line off: they stay, but for the end of a line.
    for (at, word) in escaped.split(' ').enumerate() {
        let length = word.chars().count();
        if at > 0 {
            if column + 1 + length > width && !word.is_empty() {
                while out.last() == Some(&b' ') {
                    out.pop();
                }
                out.push(b'\n');
                out.resize(out.len() + indent, b' ');
                column = indent;
            } else {
                out.push(b' ');
                column += 1;
            }
        }
        out.extend_from_slice(word.replace(TOGETHER, " ").as_bytes());
        column += length;
    }
    out.push(b'\n');
}
