//! The exit status: bits as in fsck(8).

use std::ops::BitOrAssign;
use std::process::ExitCode;

/// What has become of everything that was asked for; bits of several paths are or-ed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exit(u8);

impl Exit {
    /// Everything asked was looked at and is sound.
    pub const CLEAN: Self = Self(0);
    /// Errors were corrected.
    pub const CORRECTED: Self = Self(1);
    /// Errors are left.
    pub const ERRORS_LEFT: Self = Self(4);
    /// Something could not be looked at or was refused.
    pub const OPERATIONAL: Self = Self(8);
    /// The command line was wrong.
    pub const USAGE: Self = Self(16);

    /// The status as a number.
    pub fn status(self) -> u8 {
        self.0
    }

    /// Whether all bits of `bit` are set.
    pub fn has(self, bit: Self) -> bool {
        self.0 & bit.0 == bit.0
    }
}

impl BitOrAssign for Exit {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.0)
    }
}
