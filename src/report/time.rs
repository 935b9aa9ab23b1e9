//! Timestamps as people read them: RFC 3339 with milliseconds.
//!
//! Kafka's timestamps are any 64-bit number of milliseconds since 1970, RFC 3339 ends with the year 9999. What lies
//! outside of the years 0000 to 9999 is written as the number itself: `-9223372036854775808ms`.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::json::int;

const MS_PER_MINUTE: i64 = 60_000;
const MS_PER_DAY: i64 = 86_400_000;
/// 0000-01-01T00:00:00.000 and 9999-12-31T23:59:59.999.
const PRINTABLE: std::ops::RangeInclusive<i64> = -62_167_219_200_000..=253_402_300_799_999;

/// Appends `timestamp` (milliseconds since 1970) in UTC: `1970-01-01T00:00:00.050Z`.
#[inline]
pub fn utc(out: &mut Vec<u8>, timestamp: i64) {
    if PRINTABLE.contains(&timestamp) {
        out.extend_from_slice(&civil(timestamp));
    } else {
        number(out, timestamp);
    }
}

/// Appends `timestamp` (milliseconds since 1970) in `zone`: `1970-01-01T01:00:00.050+01:00`. UTC has a `Z` behind.
///
/// An offset that is no whole number of minutes, as in the 19th century, has its seconds too. Near the ends of the
/// years that can be written the time is given in UTC.
pub fn zoned(out: &mut Vec<u8>, timestamp: i64, zone: &TimeZone) {
    let Some((local, offset)) = local(timestamp, zone) else {
        return utc(out, timestamp);
    };
    out.extend_from_slice(&civil(local)[..23]);
    let seconds = offset.unsigned_abs();
    let [hour, minute, second] = [seconds / 3600, seconds / 60 % 60, seconds % 60].map(two_digits);
    out.push(if offset < 0 { b'-' } else { b'+' });
    out.extend_from_slice(&[hour[0], hour[1], b':', minute[0], minute[1]]);
    if second != *b"00" {
        out.extend_from_slice(&[b':', second[0], second[1]]);
    }
}

/// Writes one timestamp after the other, in one zone. Those of neighbouring records mostly lie in the same minute, whose
/// text is kept.
#[derive(Clone, Debug)]
pub struct Clock {
    zone: TimeZone,
    is_utc: bool,
    /// Minutes since 1970 in UTC.
    minute: Option<i64>,
    text: [u8; 24],
}

impl Clock {
    /// A clock of `zone`.
    pub fn new(zone: &TimeZone) -> Self {
        Self { zone: zone.clone(), is_utc: *zone == TimeZone::UTC, minute: None, text: [0; 24] }
    }

    /// As [`zoned`].
    #[inline]
    pub fn put(&mut self, out: &mut Vec<u8>, timestamp: i64) {
        if !PRINTABLE.contains(&timestamp) || !self.is_utc {
            return zoned(out, timestamp, &self.zone);
        }
        let minute = timestamp.div_euclid(MS_PER_MINUTE);
        if self.minute != Some(minute) {
            self.text = civil(timestamp);
            self.minute = Some(minute);
        }
        let start = out.len();
        out.extend_from_slice(&self.text);
        // Put in place there and not in `self.text`: a copy of what was just written in small pieces has to wait.
        if let Some(seconds) = out[start..].last_chunk_mut::<7>() {
            let ms = (timestamp - minute * MS_PER_MINUTE) as u32;
            let [second, hundredths] = [ms / 1000, ms % 1000 / 10].map(two_digits);
            *seconds = [second[0], second[1], b'.', hundredths[0], hundredths[1], b'0' + (ms % 10) as u8, b'Z'];
        }
    }
}

/// Milliseconds since 1970 on the clocks of `zone`, and how many seconds those are ahead of UTC. `None` for UTC, and
/// where the result cannot be written.
fn local(timestamp: i64, zone: &TimeZone) -> Option<(i64, i32)> {
    if *zone == TimeZone::UTC {
        return None;
    }
    let offset = zone.to_offset(Timestamp::from_millisecond(timestamp).ok()?).seconds();
    let local = timestamp + i64::from(offset) * 1000;
    (PRINTABLE.contains(&timestamp) && PRINTABLE.contains(&local)).then_some((local, offset))
}

#[cold]
fn number(out: &mut Vec<u8>, timestamp: i64) {
    int(out, timestamp);
    out.extend_from_slice(b"ms");
}

/// `timestamp`, which is within [`PRINTABLE`], with a `Z` behind.
#[inline]
#[rustfmt::skip] // The layout of the text as lines of it.
fn civil(timestamp: i64) -> [u8; 24] {
    // Days are counted from 0000-03-01, so that the leap day is the last day of a year; a year of that calendar starts
    // in March. Everything is positive after adding an era of 400 years.
    const DAYS_PER_ERA: u32 = 146_097;
    const DAYS_TO_1970: u32 = 719_468;
    const MS_TO_1970: i64 = (DAYS_TO_1970 + DAYS_PER_ERA) as i64 * MS_PER_DAY;
    let since = (timestamp + MS_TO_1970) as u64;
    let days = (since / MS_PER_DAY as u64) as u32;
    let ms = (since % MS_PER_DAY as u64) as u32;
    let (era, day_of_era) = (days / DAYS_PER_ERA, days % DAYS_PER_ERA);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Five months from March on always have 153 days.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let (month, next_year) = if month_from_march < 10 { (month_from_march + 3, 0) } else { (month_from_march - 9, 1) };
    let year = era * 400 + year_of_era + next_year - 400;

    let [century, year, month, day] = [year / 100, year % 100, month, day].map(two_digits);
    let (seconds, ms) = (ms / 1000, ms % 1000);
    let [hour, minute, second, hundredths] =
        [seconds / 3600, seconds / 60 % 60, seconds % 60, ms / 10].map(two_digits);
    let thousandths = b'0' + (ms % 10) as u8;
    [
        century[0], century[1], year[0], year[1], b'-', month[0], month[1], b'-', day[0], day[1], b'T',
        hour[0], hour[1], b':', minute[0], minute[1], b':', second[0], second[1], b'.',
        hundredths[0], hundredths[1], thousandths, b'Z',
    ]
}

#[inline]
fn two_digits(value: u32) -> [u8; 2] {
    [b'0' + (value / 10) as u8, b'0' + (value % 10) as u8]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn utc_of(timestamp: i64) -> String {
        let mut out = Vec::new();
        utc(&mut out, timestamp);
        String::from_utf8(out).unwrap()
    }

    fn zoned_of(timestamp: i64, zone: &TimeZone) -> String {
        let mut out = Vec::new();
        zoned(&mut out, timestamp, zone);
        String::from_utf8(out).unwrap()
    }

    fn by_jiff(timestamp: i64) -> String {
        Timestamp::from_millisecond(timestamp).unwrap().strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
    }

    #[test]
    fn times_in_utc_have_milliseconds() {
        assert_eq!(utc_of(50), "1970-01-01T00:00:00.050Z");
        assert_eq!(utc_of(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(utc_of(1_700_000_000_000), "2023-11-14T22:13:20.000Z");
        assert_eq!(utc_of(951_782_400_000), "2000-02-29T00:00:00.000Z");
    }

    #[test]
    fn years_that_rfc_3339_cannot_write_are_numbers() {
        assert_eq!(utc_of(*PRINTABLE.start()), "0000-01-01T00:00:00.000Z");
        assert_eq!(utc_of(*PRINTABLE.end()), "9999-12-31T23:59:59.999Z");
        assert_eq!(utc_of(*PRINTABLE.start() - 1), "-62167219200001ms");
        assert_eq!(utc_of(*PRINTABLE.end() + 1), "253402300800000ms");
        assert_eq!(utc_of(i64::MIN), "-9223372036854775808ms");
        assert_eq!(utc_of(i64::MAX), "9223372036854775807ms");
    }

    #[test]
    fn every_day_of_ten_thousand_years_is_the_day_that_jiff_says() {
        for day in (*PRINTABLE.start()..253_402_200_000_000).step_by(MS_PER_DAY as usize) {
            let civil = Timestamp::from_millisecond(day).unwrap().to_zoned(TimeZone::UTC).date();
            let expected = format!("{:04}-{:02}-{:02}", civil.year(), civil.month(), civil.day());
            assert_eq!(utc_of(day)[..10], expected);
        }
    }

    #[test]
    fn times_in_a_zone_have_its_offset() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        assert_eq!(zoned_of(50, &berlin), "1970-01-01T01:00:00.050+01:00");
        assert_eq!(zoned_of(1_720_000_000_000, &berlin), "2024-07-03T11:46:40.000+02:00");
        assert_eq!(zoned_of(-3_000_000_000_000, &berlin), "1874-12-07T19:33:28.000+00:53:28");
        let west = TimeZone::fixed(jiff::tz::Offset::from_seconds(-(3 * 3600 + 1800)).unwrap());
        assert_eq!(zoned_of(0, &west), "1969-12-31T20:30:00.000-03:30");
        assert_eq!(zoned_of(0, &TimeZone::UTC), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn a_zone_changes_nothing_where_no_local_time_can_be_written() {
        let east = TimeZone::fixed(jiff::tz::Offset::from_seconds(3600).unwrap());
        assert_eq!(zoned_of(*PRINTABLE.end(), &east), "9999-12-31T23:59:59.999Z");
        assert_eq!(zoned_of(i64::MAX, &east), "9223372036854775807ms");
        assert_eq!(zoned_of(i64::MIN, &east), "-9223372036854775808ms");
    }

    proptest! {
        #[test]
        fn any_time_is_what_jiff_says(timestamp in *PRINTABLE.start()..253_402_200_000_000) {
            prop_assert_eq!(utc_of(timestamp), by_jiff(timestamp));
        }

        #[test]
        fn any_time_in_a_zone_reads_back(timestamp in 0i64..4_000_000_000_000) {
            let zone = TimeZone::get("America/St_Johns").unwrap();
            let read: Timestamp = zoned_of(timestamp, &zone).parse().unwrap();
            prop_assert_eq!(read.as_millisecond(), timestamp);
        }

        #[test]
        fn a_clock_writes_what_is_written_without_it(
            start in any::<i64>(),
            steps in proptest::collection::vec(prop_oneof![-90_000i64..90_000, any::<i64>()], 0..20),
        ) {
            for zone in [TimeZone::UTC, TimeZone::get("America/St_Johns").unwrap()] {
                let (mut clock, mut timestamp) = (Clock::new(&zone), start % 4_000_000_000_000);
                for step in &steps {
                    timestamp = timestamp.wrapping_add(*step);
                    let mut out = Vec::new();
                    clock.put(&mut out, timestamp);
                    prop_assert_eq!(String::from_utf8(out).unwrap(), zoned_of(timestamp, &zone));
                }
            }
        }

        #[test]
        fn any_number_is_printed(timestamp: i64) {
            let _ = zoned_of(timestamp, &TimeZone::get("Asia/Tokyo").unwrap());
            let _ = utc_of(timestamp);
        }
    }
}
