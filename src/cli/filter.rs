//! Which batches and records of a dump are wanted.

use clap::{Args, ValueEnum};

use super::values::{parse_bytes, parse_header, parse_time};
use crate::format::batch::BatchHeader;
use crate::format::record::Record;

/// Windows and filters of `dump-log`. All that are given must hold.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Windows and filters")]
pub(crate) struct Filter {
    /// Only offsets from here on
    #[arg(long, value_name = "OFFSET", allow_hyphen_values = true)]
    pub(crate) from_offset: Option<i64>,

    /// Only offsets below this one
    #[arg(long, value_name = "OFFSET", allow_hyphen_values = true)]
    pub(crate) to_offset: Option<i64>,

    /// Only timestamps from here on: RFC 3339, a date, back from now (-2h)
    ///
    /// Or milliseconds since 1970
    #[arg(long, value_name = "TIME", value_parser = parse_time, allow_hyphen_values = true)]
    from_time: Option<i64>,

    /// Only timestamps before this one
    #[arg(long, value_name = "TIME", value_parser = parse_time, allow_hyphen_values = true)]
    to_time: Option<i64>,

    /// At most so many records with --records, else batches
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) limit: Option<u64>,

    /// Only records with this key (repeatable: any of them)
    ///
    /// Text, hex:… or base64:…
    #[arg(long, value_parser = clap::builder::ValueParser::new(parse_bytes))]
    key: Vec<Bytes>,

    /// Only records whose key begins so
    #[arg(long, value_name = "PREFIX", value_parser = clap::builder::ValueParser::new(parse_bytes), hide_short_help = true)]
    key_prefix: Option<Bytes>,

    /// Only records with this header: KEY or KEY=VALUE (repeatable: all of them)
    #[arg(long, value_name = "KEY[=VALUE]", value_parser = clap::builder::ValueParser::new(parse_header), hide_short_help = true)]
    header: Vec<HeaderPattern>,

    /// Only batches of this producer (repeatable)
    #[arg(long, value_name = "ID", allow_hyphen_values = true, hide_short_help = true)]
    producer_id: Vec<i64>,

    /// Only batches of this partition leader epoch (repeatable)
    #[arg(long, value_name = "EPOCH", allow_hyphen_values = true, hide_short_help = true)]
    leader_epoch: Vec<i32>,

    /// Only control batches: transaction markers, KRaft control records
    #[arg(long, hide_short_help = true)]
    control: bool,

    /// What transactions may show
    ///
    /// read-committed shows what such a consumer gets: no aborted and no open transactions, no markers
    #[arg(long, value_enum, default_value_t = Isolation::ReadUncommitted, hide_short_help = true)]
    pub(crate) isolation: Isolation,
}

type Bytes = Vec<u8>;
type HeaderPattern = (Vec<u8>, Option<Vec<u8>>);

/// What transactions may show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Isolation {
    /// Only what is committed.
    ReadCommitted,
    /// Everything.
    #[default]
    ReadUncommitted,
}

impl Filter {
    /// Whether records have to be decoded to know if a batch is wanted.
    pub(crate) fn looks_into_records(&self) -> bool {
        self.from_time.is_some()
            || self.to_time.is_some()
            || !self.key.is_empty()
            || self.key_prefix.is_some()
            || !self.header.is_empty()
    }

    /// Whether every record of a batch that is wanted is wanted too.
    pub(crate) fn takes_whole_batches(&self) -> bool {
        !self.looks_into_records() && self.from_offset.is_none() && self.to_offset.is_none()
    }

    /// Whether no batch behind this one can be wanted.
    pub(crate) fn is_past(&self, header: &BatchHeader) -> bool {
        let first = header.base_offset().map_or(i64::MIN, |offset| offset.0);
        self.to_offset.is_some_and(|end| first >= end)
    }

    /// Whether the batch can hold anything that is wanted.
    pub(crate) fn takes_batch(&self, header: &BatchHeader) -> bool {
        self.from_offset.is_none_or(|from| header.last_offset().0 >= from)
            && !self.is_past(header)
            && (self.producer_id.is_empty() || header.producer_id().is_some_and(|id| self.producer_id.contains(&id)))
            && (self.leader_epoch.is_empty()
                || header.partition_leader_epoch().is_some_and(|epoch| self.leader_epoch.contains(&epoch)))
            && (!self.control || header.is_control())
            && self.from_time.is_none_or(|from| header.max_timestamp().is_some_and(|most| most >= from))
    }

    /// Whether the record, of a batch that was taken, is wanted.
    pub(crate) fn takes_record(&self, record: &Record<'_>) -> bool {
        let time = record.timestamp;
        self.from_offset.is_none_or(|from| record.offset.0 >= from)
            && self.to_offset.is_none_or(|end| record.offset.0 < end)
            && self.from_time.is_none_or(|from| time.is_some_and(|time| time >= from))
            && self.to_time.is_none_or(|end| time.is_some_and(|time| time < end))
            && (self.key.is_empty() || record.key.is_some_and(|key| self.key.iter().any(|wanted| wanted == key)))
            && self.key_prefix.as_ref().is_none_or(|prefix| record.key.is_some_and(|key| key.starts_with(prefix)))
            && self.header.iter().all(|(key, value)| {
                record.headers.iter().any(|header| {
                    header.key == key.as_slice() && value.as_ref().is_none_or(|value| header.value == Some(value))
                })
            })
    }
}
