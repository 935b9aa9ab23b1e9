//! Which release of `kafka-dump-log` is imitated, and all that it does differently from the others.

use std::fmt;
use std::str::FromStr;

/// A span of Kafka releases whose `kafka-dump-log` prints the same.
///
/// | profile | releases  |
/// |---------|-----------|
/// | `P28`   | 2.8       |
/// | `P33`   | 3.3 – 3.7 |
/// | `P38`   | 3.8, 3.9  |
/// | `P40`   | 4.0       |
/// | `P41`   | 4.1, 4.2  |
/// | `P43`   | 4.3       |
/// | `P44`   | 4.4       |
///
/// Up to 4.2 the tool is written in Scala, from 4.3 on in Java. The methods are the differences, one each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // The table above says what they are.
pub enum Profile {
    P28,
    P33,
    P38,
    P40,
    P41,
    P43,
    #[default]
    P44,
}

impl Profile {
    /// Every profile, oldest first.
    pub const ALL: [Profile; 7] = [Self::P28, Self::P33, Self::P38, Self::P40, Self::P41, Self::P43, Self::P44];

    /// The profile of Kafka `major.minor`, or `None` for a release whose output is not known.
    pub fn of_release(major: u32, minor: u32) -> Option<Self> {
        Some(match (major, minor) {
            (2, 8) => Self::P28,
            (3, 3..=7) => Self::P33,
            (3, 8..=9) => Self::P38,
            (4, 0) => Self::P40,
            (4, 1..=2) => Self::P41,
            (4, 3) => Self::P43,
            (4, 4) => Self::P44,
            _ => return None,
        })
    }

    /// The releases it stands for, in words.
    pub fn releases(self) -> &'static str {
        match self {
            Self::P28 => "2.8",
            Self::P33 => "3.3 to 3.7",
            Self::P38 => "3.8 and 3.9",
            Self::P40 => "4.0",
            Self::P41 => "4.1 and 4.2",
            Self::P43 => "4.3",
            Self::P44 => "4.4",
        }
    }

    /// Whether the header of a log begins with `Log`.
    pub(super) fn says_log_starting_offset(self) -> bool {
        self >= Self::P33
    }

    /// Whether `.checkpoint` files are known.
    pub fn knows_checkpoints(self) -> bool {
        self >= Self::P33
    }

    /// Whether batch lines have a delete horizon, and snapshot lines a last timestamp.
    pub(super) fn has_horizon_and_last_timestamp(self) -> bool {
        self >= Self::P33
    }

    /// Whether codecs are named in upper case.
    pub(super) fn names_codecs_in_upper_case(self) -> bool {
        self < Self::P33
    }

    /// Whether every record line repeats the fields of its batch, in an order of its own.
    pub(super) fn repeats_batch_in_records(self) -> bool {
        self < Self::P33
    }

    /// Whether an absent offset is written `None` and a present one `Some(5)`.
    pub(super) fn writes_scala_options(self) -> bool {
        self < Self::P33
    }

    /// Whether the record lines of legacy messages have a stray `}` behind the checksum.
    pub(super) fn has_stray_brace(self) -> bool {
        (Self::P33..Self::P43).contains(&self)
    }

    /// Whether the line of a producer without batch ends in a space.
    pub(super) fn pads_producers_without_batch(self) -> bool {
        self < Self::P43
    }

    /// Whether a payload without metadata and key before it has a bar in front.
    pub(super) fn has_bar_before_lone_payload(self) -> bool {
        self >= Self::P43
    }

    /// Whether SNAPSHOT_HEADER and SNAPSHOT_FOOTER records are shown with their values.
    pub(super) fn shows_snapshot_records(self) -> bool {
        self >= Self::P33
    }

    /// Whether KRAFT_VERSION and KRAFT_VOTERS records are known.
    pub(super) fn knows_kraft_records(self) -> bool {
        self >= Self::P38
    }

    /// Whether LEADER_CHANGE records are shown with their values.
    pub(super) fn shows_leader_change(self) -> bool {
        self >= Self::P41
    }

    /// Whether the first record of a file is taken to follow an offset −1.
    pub fn compares_first_record(self) -> bool {
        self >= Self::P43
    }

    /// Whether the summary keeps its pairs in sorted maps, and its files in a Java hash map.
    pub(super) fn has_java_maps(self) -> bool {
        self >= Self::P43
    }

    /// Whether the heading of offsets that were not found names the file.
    pub(super) fn names_file_of_lost_offsets(self) -> bool {
        self >= Self::P43
    }

    /// Whether a file name without a dot is a file of unknown kind, and not the end of the run.
    pub fn bears_names_without_dot(self) -> bool {
        self >= Self::P43
    }

    /// Whether every look-up of a time index entry reads the log to its end, and so meets all damage there.
    pub fn reads_log_to_its_end(self) -> bool {
        self >= Self::P43
    }

    /// Whether both bytes of a transaction index entry's version count, not only the first.
    pub fn reads_whole_txn_version(self) -> bool {
        self >= Self::P44
    }

    /// Whether a producer snapshot is checked for its layout before its version, and errors name the fields.
    pub fn checks_snapshot_layout_first(self) -> bool {
        self < Self::P40
    }

    /// Whether decoder classes may be named `kafka.serializer.…`.
    pub(super) fn knows_old_decoder_classes(self) -> bool {
        self < Self::P40
    }

    /// Whether the use of such a name is remarked on.
    pub(super) fn calls_old_decoder_classes_deprecated(self) -> bool {
        self == Self::P38
    }
}

/// A name that is neither a release nor a profile whose output is known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no release whose kafka-dump-log is known: 2.8, 3.3 to 3.9 and 4.0 to 4.4 are")]
pub struct UnknownRelease(pub String);

impl FromStr for Profile {
    type Err = UnknownRelease;

    /// A release as `2.8` or `3.9.2`, or a profile as `P38`.
    fn from_str(name: &str) -> Result<Self, UnknownRelease> {
        let unknown = || UnknownRelease(name.to_owned());
        if let Some(profile) = Self::ALL.into_iter().find(|profile| profile.to_string().eq_ignore_ascii_case(name)) {
            return Ok(profile);
        }
        let mut numbers = name.split('.').map(|part| part.parse::<u32>().map_err(|_| unknown()));
        let mut number = || numbers.next().ok_or_else(unknown)?;
        let (major, minor) = (number()?, number()?);
        let _patch = numbers.next().transpose()?;
        if numbers.next().is_some() {
            return Err(unknown());
        }
        Self::of_release(major, minor).ok_or_else(unknown)
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_known_by_their_first_two_numbers() {
        for (name, profile) in [
            ("2.8", Profile::P28),
            ("2.8.2", Profile::P28),
            ("3.3.0", Profile::P33),
            ("3.7", Profile::P33),
            ("3.9", Profile::P38),
            ("3.9.2", Profile::P38),
            ("4.0.0", Profile::P40),
            ("4.2", Profile::P41),
            ("4.3.1", Profile::P43),
            ("4.4", Profile::P44),
            ("P38", Profile::P38),
            ("p44", Profile::P44),
        ] {
            assert_eq!(name.parse(), Ok(profile), "{name}");
        }
        for name in ["", "2", "2.7", "3.0", "3.2.1", "4.5", "5.0", "3.9.x", "3.9.2.1", "P29", "x", "-3.9", "3."] {
            assert_eq!(name.parse::<Profile>(), Err(UnknownRelease(name.to_owned())), "{name}");
        }
    }
}
