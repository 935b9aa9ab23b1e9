//! From the paths on a command line to what is to be looked at, in order.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use super::log_dir::{Directory, LogDir, identify};
use super::partition::{PartitionDir, PartitionName};
use super::strange::StrangeFile;
use super::{StoreError, file};
use crate::format::Offset;
use crate::format::file_name::{FileKind, FileName};

/// A pattern for `<topic>-<partition>`: `*` stands for any characters, `?` for one, all others for themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(String);

impl Glob {
    /// Every text is a pattern.
    pub fn new(pattern: impl Into<String>) -> Self {
        Self(pattern.into())
    }

    /// Whether all of `text` is what the pattern says.
    pub fn matches(&self, text: &str) -> bool {
        let (mut pattern, mut rest) = (self.0.chars(), text.chars());
        // Behind the last star, and what was left of the text when the star was taken to stand for nothing more.
        let mut star = None;
        loop {
            let (mut after_pattern, mut after_rest) = (pattern.clone(), rest.clone());
            match (after_pattern.next(), after_rest.next()) {
                (None, None) => return true,
                (Some('*'), _) => {
                    star = Some((after_pattern.clone(), rest.clone()));
                    pattern = after_pattern;
                }
                (Some(wanted), Some(found)) if wanted == '?' || wanted == found => {
                    (pattern, rest) = (after_pattern, after_rest);
                }
                _ => {
                    let Some((behind, mut longer)) = star else { return false };
                    if longer.next().is_none() {
                        return false;
                    }
                    (pattern, rest) = (behind.clone(), longer.clone());
                    star = Some((behind, longer));
                }
            }
        }
    }
}

/// What of the given paths is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only partitions that one of these matches; all if there are none.
    pub topic_partitions: Vec<Glob>,
    /// Only the segment with this base offset.
    pub segment: Option<Offset>,
}

impl Selection {
    /// Whether the partition is meant. One whose name is not known cannot be ruled out.
    pub fn takes(&self, name: Option<&PartitionName>) -> bool {
        self.topic_partitions.is_empty()
            || name.is_none_or(|name| {
                let name = name.topic_partition();
                self.topic_partitions.iter().any(|glob| glob.matches(&name))
            })
    }

    fn no_partition(&self, path: &Path, seen: &[&PartitionName]) -> StoreError {
        let patterns: Vec<_> = self.topic_partitions.iter().map(|glob| glob.0.as_str()).collect();
        let topic = self.topic_partitions.iter().find(|glob| seen.iter().any(|name| glob.matches(&name.topic)));
        StoreError::NothingSelected {
            path: path.to_owned(),
            wanted: format!("no partition matches {}", patterns.join(" or ")),
            instead: topic.map(|glob| format!("for all partitions of the topic: '{}-*'", glob.0)),
        }
    }

    fn no_segment(&self, path: &Path, base_offset: Offset) -> StoreError {
        StoreError::NothingSelected {
            path: path.to_owned(),
            wanted: format!("no segment starts at offset {base_offset}"),
            instead: Some("a segment is named by its first offset: see the names of the .log files".to_owned()),
        }
    }
}

/// Something to look at.
#[derive(Clone, Debug)]
pub enum Target {
    /// A file that was given itself.
    File {
        /// The path as given.
        path: PathBuf,
        /// What its name says, if it is a name of Kafka's.
        name: Option<FileName>,
    },
    /// A partition.
    Partition(PartitionTarget),
}

/// A partition to look at.
#[derive(Clone, Debug)]
pub struct PartitionTarget {
    /// Its directory.
    pub path: PathBuf,
    /// What it is called; `None` for a loose copy under a name of its own.
    pub name: Option<PartitionName>,
    /// Only this segment of it.
    pub segment: Option<Offset>,
    /// The listing, where it had to be made to find out what the directory is.
    listed: Option<PartitionDir>,
}

impl PartitionTarget {
    /// The names of all files in the directory, also where only one segment is meant. Listed at most once; of the
    /// partitions in a log dir not before this call, so that thousands of them do not fill the memory.
    ///
    /// Errors: [`StoreError::Io`].
    pub fn read(self) -> Result<PartitionDir, StoreError> {
        self.listed.map_or_else(|| PartitionDir::read(&self.path), Ok)
    }

    fn of(listed: PartitionDir, segment: Option<Offset>) -> Self {
        Self { path: listed.path.clone(), name: listed.name.clone(), segment, listed: Some(listed) }
    }
}

/// Everything that the paths and the selection mean: paths in the order given, within a log dir by topic and
/// partition. Whatever cannot be looked at stands as an error in its place and stops nothing else. A path that yields
/// nothing is an error too.
pub fn expand<P: AsRef<Path>>(paths: &[P], selection: &Selection) -> Vec<Result<Target, StoreError>> {
    let mut targets = Vec::new();
    for path in paths {
        let path = path.as_ref();
        match expand_one(path, selection) {
            Ok(found) => targets.extend(found),
            Err(error) => targets.push(Err(error)),
        }
    }
    targets
}

fn expand_one(path: &Path, selection: &Selection) -> Result<Vec<Result<Target, StoreError>>, StoreError> {
    let metadata = fs::metadata(path).map_err(|source| StoreError::io("open", path, source))?;
    if !metadata.is_dir() {
        file::regular(path, metadata.file_type())?;
        return Ok(vec![Ok(given_file(path, selection)?)]);
    }
    match identify(path)? {
        Directory::LogDir(log_dir) => in_log_dir(&log_dir, selection),
        Directory::Partition(partition) => Ok(vec![Ok(given_partition(partition, selection)?)]),
        Directory::Other => Err(StoreError::nothing_there(path)),
    }
}

fn given_file(path: &Path, selection: &Selection) -> Result<Target, StoreError> {
    let name = path.file_name().and_then(|name| FileName::parse(name.to_str()?)).filter(|name| {
        // What a broker, or any program, says about its work is called .log too.
        let may_be_text = name.kind == FileKind::Log && name.base_offset.is_none();
        !(may_be_text && StrangeFile::of(path) == Some(StrangeFile::Text))
    });
    if let (Some(wanted), Some(FileName { base_offset: Some(found), .. })) = (selection.segment, name)
        && wanted != found
    {
        return Err(selection.no_segment(path, wanted));
    }
    if !selection.topic_partitions.is_empty() {
        let partition = PartitionName::of_directory(path.parent().unwrap_or(Path::new("")));
        if !selection.takes(partition.as_ref()) {
            return Err(selection.no_partition(path, &Vec::from_iter(&partition)));
        }
    }
    Ok(Target::File { path: path.to_owned(), name })
}

fn given_partition(partition: PartitionDir, selection: &Selection) -> Result<Target, StoreError> {
    if !partition.holds_anything() {
        return Err(StoreError::nothing_there(partition.path));
    }
    if !selection.takes(partition.name.as_ref()) {
        return Err(selection.no_partition(&partition.path, &Vec::from_iter(&partition.name)));
    }
    if let Some(segment) = selection.segment
        && partition.files_of(Some(segment)).next().is_none()
    {
        return Err(selection.no_segment(&partition.path, segment));
    }
    Ok(Target::Partition(PartitionTarget::of(partition, selection.segment)))
}

fn in_log_dir(log_dir: &LogDir, selection: &Selection) -> Result<Vec<Result<Target, StoreError>>, StoreError> {
    // In a folder that no broker has used, a name with a dash and a number may be anything: look inside.
    let look_inside = !log_dir.is_formatted() || selection.segment.is_some();
    let mut targets = Vec::new();
    let mut ruled_out = Vec::new();
    for entry in &log_dir.partitions {
        if !selection.takes(Some(&entry.name)) {
            ruled_out.push(&entry.name);
            continue;
        }
        if !look_inside {
            let (path, name) = (entry.path.clone(), Some(entry.name.clone()));
            targets.push(Ok(Target::Partition(PartitionTarget { path, name, segment: None, listed: None })));
            continue;
        }
        match PartitionDir::read(&entry.path) {
            Ok(partition) => {
                let wanted = match selection.segment {
                    Some(_) => partition.files_of(selection.segment).next().is_some(),
                    None => partition.holds_anything(),
                };
                if wanted {
                    targets.push(Ok(Target::Partition(PartitionTarget {
                        listed: None,
                        ..PartitionTarget::of(partition, selection.segment)
                    })));
                }
            }
            Err(error) => targets.push(Err(error)),
        }
    }
    if selection.topic_partitions.is_empty() {
        let unnameable = log_dir.foreign_directories.iter().filter(|name| is_unnameable_partition(name));
        targets.extend(unnameable.map(|name| Err(StoreError::UnnameablePartition { path: log_dir.path.join(name) })));
    }
    if !targets.is_empty() {
        return Ok(targets);
    }
    Err(match selection.segment {
        _ if log_dir.partitions.is_empty() => StoreError::nothing_there(log_dir.path.clone()),
        _ if ruled_out.len() == log_dir.partitions.len() => selection.no_partition(&log_dir.path, &ruled_out),
        Some(segment) => selection.no_segment(&log_dir.path, segment),
        None => StoreError::nothing_there(log_dir.path.clone()),
    })
}

/// Whether a directory would be taken for a partition's if its name were text.
fn is_unnameable_partition(name: &OsStr) -> bool {
    name.to_str().is_none() && PartitionName::parse(&name.to_string_lossy().replace('\u{fffd}', "x")).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::file_name::{FileState, segment_file_name};

    fn make(root: &Path, files: &[&str]) {
        for file in files {
            let path = root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
    }

    fn log(base: i64) -> String {
        segment_file_name(Offset(base), FileKind::Log, FileState::Live)
    }

    fn select(globs: &[&str], segment: Option<i64>) -> Selection {
        let topic_partitions = globs.iter().map(|glob| Glob::new(*glob)).collect();
        Selection { topic_partitions, segment: segment.map(Offset) }
    }

    /// The last component of each target's path, or the error in words without the path of the temporary directory.
    fn words(root: &Path, paths: &[&str], selection: &Selection) -> Vec<String> {
        let paths: Vec<_> = paths.iter().map(|path| root.join(path)).collect();
        let word = |target: Result<Target, StoreError>| match target {
            Ok(Target::File { path, .. } | Target::Partition(PartitionTarget { path, .. })) => {
                path.strip_prefix(root).unwrap().display().to_string()
            }
            Err(error) => error.to_string().replace(&format!("{}/", root.display()), ""),
        };
        expand(&paths, selection).into_iter().map(word).collect()
    }

    #[test]
    fn a_glob_stands_for_the_whole_text() {
        for (pattern, text, expected) in [
            ("orders-*", "orders-12", true),
            ("orders-*", "my-orders-1", false),
            ("*orders-*", "my-orders-1", true),
            ("__consumer_offsets-1?", "__consumer_offsets-12", true),
            ("__consumer_offsets-1?", "__consumer_offsets-1", false),
            ("*", "", true),
            ("", "", true),
            ("", "x", false),
            ("?", "é", true),
            ("*a*b", "aXbaYb", true),
            ("*a*b", "aXbaYc", false),
            ("a**", "a", true),
            ("[a]-1", "[a]-1", true),
            ("orders", "orders-1", false),
        ] {
            assert_eq!(Glob::new(pattern).matches(text), expected, "{pattern} {text}");
        }
        assert!(!Glob::new("*a".repeat(100)).matches(&"a".repeat(99)));
    }

    #[test]
    fn a_log_dir_becomes_its_partitions_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let (zero, nine) = (log(0), log(9));
        let in_use = ["d/x-10/", "d/x-2/", "d/a.b-0/", "d/compact-and-delete-0/"].map(|path| format!("{path}{zero}"));
        make(root, &in_use.each_ref().map(String::as_str));
        make(root, &[&format!("d/x-2/{nine}"), "d/meta.properties", "d/etc/x", &format!("d/x-2.01-delete/{zero}")]);
        let all = ["d/a.b-0", "d/compact-and-delete-0", "d/x-2", "d/x-2.01-delete", "d/x-10"];
        assert_eq!(words(root, &["d"], &Selection::default()), all);
        assert_eq!(
            words(root, &["d"], &select(&["x-*", "a.?-0"], None)),
            ["d/a.b-0", "d/x-2", "d/x-2.01-delete", "d/x-10"]
        );
        assert_eq!(words(root, &["d"], &select(&["x-*"], Some(9))), ["d/x-2"]);
        assert_eq!(words(root, &["d/x-2"], &select(&[], Some(9))), ["d/x-2"]);
        let file = format!("d/x-2/{nine}");
        assert_eq!(words(root, &[&file, "d/x-10"], &Selection::default()), [file.as_str(), "d/x-10"]);
    }

    #[test]
    fn what_yields_nothing_is_an_error_in_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let file = format!("d/orders-0/{}", log(0));
        make(root, &[&file, "d/meta.properties", "empty/meta.properties", "stuff/x", "copies/x-1/junk", "x-7/junk"]);
        let all = Selection::default();
        assert_eq!(
            words(root, &["missing", "empty", "d", "stuff", "copies", "x-7", "stuff/x"], &all),
            [
                "cannot open missing: No such file or directory",
                "nothing to look at in empty: no partition directory, no segment",
                "d/orders-0",
                "nothing to look at in stuff: no partition directory, no segment",
                "nothing to look at in copies: no partition directory, no segment",
                "nothing to look at in x-7: no partition directory, no segment",
                "stuff/x",
            ]
        );
        let topic = select(&["orders", "y-?"], None);
        for path in ["d", "d/orders-0", &file] {
            let expected = format!("nothing to look at in {path}: no partition matches orders or y-?");
            assert_eq!(words(root, &[path], &topic), [expected]);
        }
        let error = expand(&[root.join("d")], &topic).remove(0).unwrap_err();
        assert_eq!(error.hint().unwrap(), "for all partitions of the topic: 'orders-*'");
        for path in ["d", "d/orders-0", &file] {
            let expected = format!("nothing to look at in {path}: no segment starts at offset 5");
            assert_eq!(words(root, &[path], &select(&[], Some(5))), [expected]);
        }
    }

    #[test]
    fn a_partition_given_itself_is_listed_once() {
        let dir = tempfile::tempdir().unwrap();
        make(dir.path(), &[&format!("a copy/{}", log(3))]);
        let path = dir.path().join("a copy");
        let Ok(Target::Partition(target)) = expand(&[&path], &select(&["x-*"], None)).remove(0) else { panic!() };
        assert_eq!(target.name, None);
        fs::remove_file(path.join(log(3))).unwrap();
        assert_eq!(target.read().unwrap().segments()[0].base_offset, Offset(3));
    }
}
