//! The command line of `lookup`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};
use jiff::tz::TimeZone;

use crate::cli::common::{Common, long_help};
use crate::cli::values::{parse_bytes, parse_offset, parse_time_in};
use crate::format::Offset;
use crate::report::lookup::Query;
use crate::scan::locate::Reading;

/// Arguments of `lookup`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = long_help(DETAILS, EXAMPLES))]
#[command(group = ArgGroup::new("query").required(true).multiple(true))]
#[command(override_usage = "kfsck lookup [OPTIONS] <--offset N|--timestamp TIME|--key KEY> <PATHS>...")]
pub(crate) struct LookupArgs {
    /// Partition directories, segments, or log dirs (an answer for each partition)
    #[arg(required = true)]
    pub(super) paths: Vec<PathBuf>,

    /// Where this offset is (repeatable)
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = parse_offset, group = "query")]
    pub(super) offset: Vec<Offset>,

    /// The first record at or after this time, or a name like latest (repeatable)
    ///
    /// A time is milliseconds, RFC 3339, a date, or back from now (-2h); dates and times without zone are in that of --tz.
    /// The names are latest, earliest, max-timestamp, earliest-local, latest-tiered, earliest-pending-upload, which are
    /// Kafka's -1 to -6; the last three are answered as by a broker without tiered storage
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = time_or_name, group = "query")]
    pub(super) timestamp: Vec<String>,

    /// The newest record with this key (repeatable)
    ///
    /// Text, hex:… or base64:…. Reads the records, newest segment first
    #[arg(long, value_parser = clap::builder::ValueParser::new(parse_bytes), group = "query")]
    pub(super) key: Vec<Bytes>,

    /// With --key: every record with the key, not only the newest
    #[arg(long, requires = "key")]
    pub(super) all: bool,

    /// How to find it
    #[arg(long, value_enum, default_value_t = Method::Auto)]
    pub(super) method: Method,

    /// Show each step: segments considered, index entries, batches read
    #[arg(long)]
    pub(super) explain: bool,

    /// Print so many records from the place that was found on
    #[arg(short = 'n', long, value_name = "N")]
    pub(super) limit: Option<u64>,

    #[command(flatten)]
    pub(super) common: Common,
}

type Bytes = Vec<u8>;

impl LookupArgs {
    /// What is asked for besides keys, with times in the zone of the command line.
    pub(super) fn queries(&self) -> Result<Vec<Query>, String> {
        let offsets = self.offset.iter().map(|offset| Ok(Query::Offset(*offset)));
        let times = self.timestamp.iter().map(|text| parse_timestamp(text, self.common.zone()));
        offsets.chain(times).collect()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Method {
    /// The true answer, by index where the log confirms what it says. For a timestamp all batches before the answer are
    /// read and checksummed, since no index can be proven right with less
    Auto,
    /// What a broker (4.4) answers after an orderly start: wrong indexes, modification times and all
    Broker,
    /// The true answer without any index: every batch is read and checksummed
    Scan,
    /// Broker against scan; a difference is a finding, and the exit status 4
    Both,
}

impl Method {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Broker => "broker",
            Self::Scan => "scan",
            Self::Both => "both",
        }
    }

    pub(super) fn reading(self) -> Reading {
        match self {
            Self::Auto => Reading::Checked,
            Self::Broker | Self::Scan | Self::Both => Reading::Scan,
        }
    }
}

const DETAILS: &str = "\
An offset that compaction has removed is answered with the next record. An offset equal to the log end, a time \
after the last record, or a key that is not there is `not found` with exit status 0; an offset outside of the \
log, or of the one segment that was named, is refused with exit status 8. Records below the log start offset are \
not found. Where segments overlap, an offset is looked for in the segment whose name says that it holds it, as \
brokers do. Control records (transaction markers) have offsets and timestamps, and are found by them.";

const EXAMPLES: &str = "\
Examples:
  kfsck lookup --offset 1010 /data/orders-3          one offset
  kfsck lookup --timestamp 2026-11-20T09:00:00Z -n 5 /data/orders-3
  kfsck lookup --timestamp -2h -t 'orders-*' /data   where was everybody then?
  kfsck lookup --timestamp latest /data              ends of all partitions
  kfsck lookup --key order-17 --all /data/orders-3   every version of a key
  kfsck lookup --offset 1010 --method both --explain /data/orders-3";

/// A time or a name, as typed: which zone is meant is known only with the whole command line.
fn time_or_name(text: &str) -> Result<String, String> {
    parse_timestamp(text, &TimeZone::UTC).map(|_| text.to_owned())
}

/// A time, or one of Kafka's names and numbers for special ones.
fn parse_timestamp(text: &str, zone: &TimeZone) -> Result<Query, String> {
    match text {
        "earliest" | "-2" => Ok(Query::Earliest),
        "latest" | "-1" => Ok(Query::Latest),
        "max-timestamp" | "-3" => Ok(Query::MaxTimestamp),
        "earliest-local" | "-4" => Ok(Query::EarliestLocal),
        "latest-tiered" | "-5" => Ok(Query::LatestTiered),
        "earliest-pending-upload" | "-6" => Ok(Query::EarliestPendingUpload),
        _ => match parse_time_in(text, zone) {
            Ok(timestamp) if timestamp >= 0 => Ok(Query::Timestamp(timestamp)),
            Ok(_) => Err(format!("{text:?} lies before 1970, and no record of Kafka's can be that old")),
            Err(forms) => Err(format!("{forms}, or earliest, latest, max-timestamp")),
        },
    }
}
