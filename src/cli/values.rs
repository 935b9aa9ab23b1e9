//! Values as they are typed: times, offsets, bytes, sizes.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::format::Offset;

/// What a time may look like, for error messages.
const TIME_FORMS: &str = "a time is milliseconds since 1970 (1763629200000), RFC 3339 (2025-11-20T09:00:00Z), \
    a date (2025-11-20), a date and time (2025-11-20T09:00), or a duration back from now (-2h, -30m, -1d)";

/// Milliseconds since 1970, as typed in one of several forms. Dates and times without zone are UTC.
pub(crate) fn parse_time(text: &str) -> Result<i64, String> {
    parse_time_in(text, &TimeZone::UTC)
}

/// The same, where dates and times without zone are in `zone`.
pub(crate) fn parse_time_in(text: &str, zone: &TimeZone) -> Result<i64, String> {
    if let Ok(milliseconds) = text.parse::<i64>() {
        return Ok(milliseconds);
    }
    // As a time behind the year 9999 is printed.
    if let Some(milliseconds) = text.strip_suffix("ms").and_then(|digits| digits.parse::<u64>().ok())
        && let Ok(milliseconds) = milliseconds.try_into()
    {
        return Ok(milliseconds);
    }
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Ok(timestamp.as_millisecond());
    }
    // With a `Z` only the last day of the year 9999 gets here, on which somewhere the year 10000 has begun.
    let text_of_civil = text.strip_suffix(['Z', 'z']).unwrap_or(text);
    let civil = text_of_civil.parse::<DateTime>().or_else(|_| text.parse::<Date>().map(|date| date.at(0, 0, 0, 0)));
    if let Ok(civil) = civil {
        if text_of_civil == text
            && *zone != TimeZone::UTC
            && let Ok(zoned) = zone.to_ambiguous_zoned(civil).compatible()
        {
            return Ok(zoned.timestamp().as_millisecond());
        }
        let since = civil.duration_since(DateTime::constant(1970, 1, 1, 0, 0, 0, 0));
        let (seconds, ms) = (since.as_secs(), i64::from(since.subsec_nanos()).div_euclid(1_000_000));
        return Ok(seconds * 1000 + ms);
    }
    let days = |text: &str| text.strip_suffix('d').and_then(|days| days.parse::<i64>().ok());
    let back = text.strip_prefix('-').and_then(|text| match days(text) {
        Some(days) => days.checked_mul(86_400_000),
        None => text.parse::<SignedDuration>().ok().and_then(|back| i64::try_from(back.as_millis()).ok()),
    });
    back.and_then(|back| Timestamp::now().as_millisecond().checked_sub(back))
        .ok_or_else(|| format!("{text:?} is no time: {TIME_FORMS}"))
}

/// Bytes: text as it stands, `hex:…` or `base64:…`.
pub(crate) fn parse_bytes(text: &str) -> Result<Vec<u8>, String> {
    if let Some(digits) = text.strip_prefix("hex:") {
        return unhex(digits)
            .ok_or_else(|| format!("{text:?}: behind hex: an even number of hexadecimal digits is needed"));
    }
    if let Some(encoded) = text.strip_prefix("base64:") {
        return unbase64(encoded).ok_or_else(|| format!("{text:?}: what stands behind base64: is not base64"));
    }
    Ok(text.as_bytes().to_vec())
}

/// `KEY` or `KEY=VALUE` of a header.
pub(crate) fn parse_header(text: &str) -> Result<(Vec<u8>, Option<Vec<u8>>), String> {
    match text.split_once('=') {
        Some((key, value)) => Ok((parse_bytes(key)?, Some(parse_bytes(value)?))),
        None => Ok((parse_bytes(text)?, None)),
    }
}

/// A number of bytes: digits, or digits with `KiB`, `MiB` or `GiB` behind.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let units = [("KiB", 1u64 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("", 1)];
    units
        .iter()
        .find_map(|(unit, factor)| text.strip_suffix(unit)?.trim_end().parse::<u64>().ok()?.checked_mul(*factor))
        .ok_or_else(|| format!("{text:?} is no size: give bytes (1048576) or a unit (1MiB)"))
}

/// A zone: `UTC`, `local` or a name like `Europe/Vienna`.
pub(crate) fn parse_zone(text: &str) -> Result<TimeZone, String> {
    match text {
        "UTC" | "utc" => Ok(TimeZone::UTC),
        "local" => Ok(TimeZone::system()),
        name => TimeZone::get(name)
            .map_err(|_| format!("{name:?} is no time zone: UTC, local, or a name like Europe/Vienna")),
    }
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let value = |digit: u8| (digit as char).to_digit(16);
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|&[high, low]| Some((value(high)? << 4 | value(low)?) as u8)).collect())?
}

fn unbase64(encoded: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let (mut bits, mut count) = (0u32, 0);
    for digit in encoded.trim_end_matches('=').bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    (count < 6).then_some(out)
}

/// An offset, as typed.
pub(crate) fn parse_offset(text: &str) -> Result<Offset, String> {
    text.parse().map(Offset).map_err(|_| format!("{text:?} is no offset: offsets go from 0 to {}", i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_taken_in_every_form_that_the_help_names() {
        assert_eq!(parse_time("1763629200000"), Ok(1_763_629_200_000));
        assert_eq!(parse_time("2025-11-20T09:00:00Z"), Ok(1_763_629_200_000));
        assert_eq!(parse_time("2025-11-20T10:00:00+01:00"), Ok(1_763_629_200_000));
        assert_eq!(parse_time("2025-11-20T09:00"), Ok(1_763_629_200_000));
        assert_eq!(parse_time("2025-11-20"), Ok(1_763_596_800_000));
        assert_eq!(parse_time("1969-12-31T23:59:59.999"), Ok(-1));
        // What `date --utc +%s` says; times that are printed like this are taken like this.
        assert_eq!(parse_time("9999-12-30T22:00:00.001Z"), Ok(253_402_207_200_001));
        assert_eq!(parse_time("9999-12-31T23:59:59.999Z"), Ok(253_402_300_799_999));
        assert_eq!(parse_time("9999-12-31"), Ok(253_402_214_400_000));
        assert_eq!(parse_time("253402300800000ms"), Ok(253_402_300_800_000));
        assert_eq!(parse_time("-1"), Ok(-1));
        let now = Timestamp::now().as_millisecond();
        for (text, back) in [("-2h", 7_200_000), ("-30m", 1_800_000), ("-1d", 86_400_000), ("-1h30m", 5_400_000)] {
            let got = parse_time(text).unwrap();
            assert!((got - (now - back)).abs() < 60_000, "{text}");
        }
        for text in ["", "yesterday", "2h", "2025-13-01", "-d"] {
            assert!(parse_time(text).unwrap_err().contains("RFC 3339"), "{text}");
        }
    }

    #[test]
    fn bytes_are_text_hex_or_base64() {
        assert_eq!(parse_bytes("k1"), Ok(b"k1".to_vec()));
        assert_eq!(parse_bytes("hex:6b31ff"), Ok(vec![0x6b, 0x31, 0xff]));
        assert_eq!(parse_bytes("base64:azH/"), Ok(vec![0x6b, 0x31, 0xff]));
        assert_eq!(parse_bytes("base64:azE="), Ok(b"k1".to_vec()));
        assert_eq!(parse_bytes("base64:"), Ok(vec![]));
        for text in ["hex:6", "hex:zz", "base64:a", "base64:*"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
        assert_eq!(parse_header("h=v=w"), Ok((b"h".to_vec(), Some(b"v=w".to_vec()))));
        assert_eq!(parse_header("h"), Ok((b"h".to_vec(), None)));
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(parse_size("17"), Ok(17));
        assert_eq!(parse_size("2MiB"), Ok(2 << 20));
        assert!(parse_size("2 parsecs").is_err() && parse_size("99999999999GiB").is_err());
    }
}
