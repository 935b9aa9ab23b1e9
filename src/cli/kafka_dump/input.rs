//! The names of the files that are dumped, as Java's `File` sees them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::format::Offset;

use super::output::Trouble;

/// One argument and what its name says.
pub(super) struct Input {
    /// As it is printed: runs of slashes are one, none is at the end. Nothing else is changed.
    pub(super) shown: Vec<u8>,
    /// What is opened.
    pub(super) path: PathBuf,
    /// In front of it the working directory. Links and `..` stay.
    pub(super) absolute: PathBuf,
}

impl Input {
    pub(super) fn new(argument: &OsStr, working_directory: &Path) -> Self {
        let mut shown = argument.as_bytes().to_vec();
        shown.dedup_by(|a, b| *a == b'/' && *b == b'/');
        if shown.len() > 1 && shown.last() == Some(&b'/') {
            shown.pop();
        }
        let path = PathBuf::from(OsStr::from_bytes(&shown));
        let absolute = if shown.is_empty() { working_directory.to_owned() } else { working_directory.join(&path) };
        Self { shown, path, absolute }
    }

    /// The last part of the path.
    pub(super) fn name(&self) -> &[u8] {
        self.shown.rsplit(|&byte| byte == b'/').next().unwrap_or_default()
    }

    /// From the last dot of the name on; `None` without a dot.
    pub(super) fn suffix(&self) -> Option<&[u8]> {
        let name = self.name();
        name.iter().rposition(|&byte| byte == b'.').and_then(|at| name.get(at..))
    }

    /// What comes before the first dot of the name.
    fn stem(&self) -> &[u8] {
        self.name().split(|&byte| byte == b'.').next().unwrap_or_default()
    }

    /// The base offset of the segment, which the name begins with.
    pub(super) fn base_offset(&self) -> Result<Offset, Trouble> {
        number(self.stem()).map(Offset).ok_or_else(|| Trouble::damage("the name does not begin with a base offset"))
    }

    /// End offset and epoch of a KRaft snapshot.
    pub(super) fn snapshot_id(&self) -> Result<(Offset, i32), Trouble> {
        let name = self.name();
        let end_offset = name.get(..20).and_then(number).map(Offset);
        let epoch = name.get(21..31).and_then(number);
        end_offset.zip(epoch).ok_or_else(|| Trouble::damage("the name does not begin with an end offset and an epoch"))
    }

    /// The file beside this one that has the same base offset and another suffix.
    pub(super) fn companion(&self, suffix: &str) -> PathBuf {
        let mut name = self.stem().to_vec();
        name.extend_from_slice(suffix.as_bytes());
        self.path.with_file_name(OsStr::from_bytes(&name))
    }
}

fn number<N: std::str::FromStr>(digits: &[u8]) -> Option<N> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_shown_as_java_shows_them() {
        for (argument, shown, absolute) in [
            ("a.log", "a.log", "/base/a.log"),
            ("./x//a.log/", "./x/a.log", "/base/./x/a.log"),
            ("../a.log", "../a.log", "/base/../a.log"),
            ("//x///a.log//", "/x/a.log", "/x/a.log"),
            ("/", "/", "/"),
            ("", "", "/base"),
        ] {
            let input = Input::new(OsStr::new(argument), Path::new("/base"));
            assert_eq!(String::from_utf8_lossy(&input.shown), shown);
            assert_eq!(input.absolute.as_os_str(), OsStr::new(absolute));
        }
    }

    #[test]
    fn names_tell_suffix_base_offset_and_companions() {
        let input = |argument: &str| Input::new(OsStr::new(argument), Path::new("/"));
        let index = input("p.d/00000000000000000042.index");
        assert_eq!(index.suffix(), Some(&b".index"[..]));
        assert_eq!(index.base_offset().ok(), Some(Offset(42)));
        assert_eq!(index.companion(".log"), Path::new("p.d/00000000000000000042.log"));
        assert_eq!(input("42.log.deleted").suffix(), Some(&b".deleted"[..]));
        assert_eq!(input("p.d/quorum-state").suffix(), None);
        assert!(input("abc.log").base_offset().is_err() && input(".log").base_offset().is_err());
        let snapshot = input("00000000000000000123-0000000007.checkpoint");
        assert_eq!(snapshot.snapshot_id().ok(), Some((Offset(123), 7)));
        assert!(input("123-7.checkpoint").snapshot_id().is_err());
    }
}
