//! The program killed at random moments of a change: what is left is before, after, or can be taken back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kfsck::repair::journal::{Journal, Progress};
use kfsck::store::write::Disk;

use super::Random;
use super::changing::{run, tree, undo_dirs};

/// A partition that needs the change.
pub struct Made {
    /// What keeps it there.
    pub _dir: tempfile::TempDir,
    /// Everything that the change may touch: the partition, or the log dir that it is in.
    pub root: PathBuf,
    /// The partition itself.
    pub partition: PathBuf,
}

/// Kills `command arguments… PARTITION` at random moments, on a partition that is made anew each time, and undoing too.
/// `KFSCK_KILLS` says how often (20 times without).
pub fn killed_at_any_moment(make: impl Fn() -> Made, command: &str, arguments: &[&str]) {
    let kills: usize = std::env::var("KFSCK_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(20);
    let mut random = Random(20_261_122);
    let reference = make();
    let started = Instant::now();
    assert_eq!(run(command, arguments, &reference.partition).status, Some(1));
    let takes = started.elapsed().as_nanos() as u64;
    let after = contents(&reference.root);
    // How it was found: before, done, prepared, interrupted; and how often undoing was killed too.
    let mut counts = [0; 5];
    let mut killed = 0;
    while killed < kills {
        let Made { _dir, root, partition: path } = make();
        let before = tree(&root);
        let words = [&[command], arguments, &[path.to_str().unwrap()]].concat();
        // Most of the time is gone before the first write: three of four times that is waited for.
        let is_killed = match killed % 4 {
            0 => killed_after(random.below(takes), || true, &words),
            _ => killed_after(random.below(takes / 2), || !undo_dirs(&path).is_empty(), &words),
        };
        if !is_killed {
            continue;
        }
        killed += 1;
        let journals = Journal::all_in(&Disk, &path).unwrap();
        let Some(journal) = journals.first() else {
            assert!(tree(&root) == before);
            counts[0] += 1;
            continue;
        };
        let progress = journal.progress(&Disk).unwrap();
        match progress {
            Progress::Finished(..) => counts[1] += 1,
            Progress::Prepared => counts[2] += 1,
            Progress::Interrupted(_) => counts[3] += 1,
        }
        if matches!(progress, Progress::Finished(..)) {
            assert!(contents(&root) == after);
        } else {
            assert_eq!(run(command, arguments, &path).status, Some(8));
        }
        if killed_after(random.below(takes), || true, &["undo", "--apply", path.to_str().unwrap()]) {
            counts[4] += 1;
        }
        let undone = run("undo", &["--apply"], &path);
        assert!(matches!(undone.status, Some(0 | 1)), "{}", undone.all());
        assert!(tree(&root) == before && undo_dirs(&path).is_empty());
        assert_eq!(run(command, arguments, &path).status, Some(1));
        assert!(contents(&root) == after);
    }
    let [as_before, done, prepared, interrupted, undoing] = counts;
    println!(
        "{killed} killed: {as_before} before anything, {prepared} while preparing, {interrupted} between, {done} done; \
         {undoing} killed again while undoing"
    );
}

/// Every file and what is in it.
fn contents(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let relative = |file: PathBuf| file.strip_prefix(root).unwrap().to_owned();
    tree(root).into_iter().map(|(file, facts)| (relative(file), facts.0)).collect()
}

/// Runs the program and kills it after `nanoseconds`, counted from when `begins` is there, if it has not ended by then.
fn killed_after(nanoseconds: u64, begins: impl Fn() -> bool, arguments: &[&str]) -> bool {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kfsck"));
    let mut child = command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while !begins() {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
    }
    let until = Instant::now() + Duration::from_nanos(nanoseconds);
    while Instant::now() < until {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        std::hint::spin_loop();
    }
    child.kill().unwrap();
    child.wait().unwrap().code().is_none()
}
