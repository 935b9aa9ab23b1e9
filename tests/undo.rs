//! `kfsck undo` brings every byte back, or refuses before it touches anything and says what is missing; then it can be
//! repeated.

mod support;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use kfsck::repair::journal::Journal;
use kfsck::repair::plan::{Fingerprint, Plan, Step};
use kfsck::store::write::{Disk, WriteStorage};
use support::changing::{Said, log_dir_copy, loose_copy, run, tree, undo_dirs};
use support::{kfsck, scenario, set_modified};

const CUT: &str = "truncate-to-hw";
const MIXED: &str = "4.4.0/transactions/log-dir/txn-mixed-0";

/// Cuts a partition; the undo data.
fn cut(path: &Path, to: &str, more: &[&str]) -> PathBuf {
    let arguments = [&["--apply", "--allow-data-loss", "--to", to][..], more].concat();
    let done = run(CUT, &arguments, path);
    assert_eq!(done.status, Some(1), "{}", done.all());
    undo_dirs(path).pop().unwrap()
}

/// What kept files are called: whatever is no mark and no record.
fn kept_files(dir: &Path) -> Vec<PathBuf> {
    let is_kept = |path: &PathBuf| {
        let extension = path.extension().unwrap_or_default().to_string_lossy().into_owned();
        ["log", "index", "timeindex", "txnindex", "snapshot", "old"].contains(&&*extension)
    };
    let mut found: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).filter(is_kept).collect();
    found.sort();
    found
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// Undoing is refused, names `file`, and touches nothing, not even the undo data.
fn is_refused(path: &Path, file: &str) -> Said {
    let everything = |path: &Path| {
        let undo_data = undo_dirs(path).into_iter().map(|dir| tree(&dir));
        (tree(path), undo_data.collect::<Vec<_>>())
    };
    let before = everything(path);
    for arguments in [&[][..], &["--apply"]] {
        let said = run("undo", arguments, path);
        assert_eq!(said.status, Some(8), "{file} {arguments:?}: {}", said.all());
        assert!(said.stderr.contains(file), "{file}: {}", said.all());
        assert!(!said.all().contains("nothing was changed yet"), "{file}: {}", said.all());
        assert!(everything(path) == before, "{file}: something was touched");
    }
    run("undo", &["--apply"], path)
}

fn is_undone(path: &Path, before: &support::changing::Tree, context: &str) {
    let said = run("undo", &["--apply"], path);
    assert_eq!(said.status, Some(1), "{context}: {}", said.all());
    assert!(tree(path) == *before, "{context}: not as it was before");
    assert!(undo_dirs(path).is_empty(), "{context}");
}

fn append(file: &Path, bytes: &[u8]) {
    OpenOptions::new().append(true).open(file).unwrap().write_all(bytes).unwrap();
}

#[test]
fn undo_data_that_is_kept_elsewhere_and_gone_is_missed_before_anything_is_touched() {
    let (dir, path) = loose_copy(MIXED);
    let before = tree(&path);
    let (elsewhere, gone) = (dir.path().join("elsewhere"), dir.path().join("gone"));
    fs::create_dir(&elsewhere).unwrap();
    cut(&path, "33", &["--undo-dir", elsewhere.to_str().unwrap()]);
    fs::rename(&elsewhere, &gone).unwrap();
    let said = is_refused(&path, "00000000000000000025.log");
    assert!(said.stderr.contains("elsewhere") && said.stderr.contains("is missing"), "{}", said.all());
    fs::rename(&gone, &elsewhere).unwrap();
    let pointer = undo_dirs(&path).remove(0).join("tails");
    let place = fs::read(&pointer).unwrap();
    for altered in [None, Some(dir.path().join("elsewhere")), Some(dir.path().join(name(&undo_dirs(&path)[0])))] {
        fs::remove_file(&pointer).unwrap();
        if let Some(altered) = altered {
            fs::write(&pointer, altered.to_str().unwrap()).unwrap();
        }
        is_refused(&path, "tails");
        fs::write(&pointer, &place).unwrap();
    }
    is_undone(&path, &before, "back again");
}

#[test]
fn each_kept_file_that_is_missing_short_or_altered_is_named_and_undoing_can_be_repeated() {
    let (_dir, path) = loose_copy(MIXED);
    let before = tree(&path);
    let undo_dir = cut(&path, "7", &[]);
    let kept = kept_files(&undo_dir);
    assert!(kept.len() > 8, "{kept:?}");
    for file in &kept {
        let (whole, aside) = (fs::read(file).unwrap(), undo_dir.join("aside"));
        fs::rename(file, &aside).unwrap();
        is_refused(&path, &format!("{} is missing", name(file)));
        if !whole.is_empty() {
            fs::write(file, &whole[..whole.len() / 2]).unwrap();
            let said = is_refused(&path, &name(file));
            assert!(said.stderr.contains(&format!("of {} bytes", whole.len())), "{}", said.all());
            let mut altered = whole.clone();
            altered[whole.len() / 2] ^= 1;
            fs::write(file, &altered).unwrap();
            is_refused(&path, &format!("{} has other bytes", name(file)));
        }
        fs::rename(&aside, file).unwrap();
    }
    is_undone(&path, &before, "all are there again");
}

#[test]
fn an_interrupted_undo_that_misses_something_can_be_repeated_once_it_is_back() {
    let (_dir, path) = loose_copy(MIXED);
    let before = tree(&path);
    let undo_dir = cut(&path, "7", &[]);
    // As if undoing had been stopped: the mark is gone, and one file is back.
    fs::remove_file(undo_dir.join("finished")).unwrap();
    let log = "00000000000000000011.log";
    fs::hard_link(undo_dir.join(log), path.join(log)).unwrap();
    for file in kept_files(&undo_dir) {
        let bytes = fs::read(&file).unwrap();
        let meta = Fingerprint::of(&Disk, &file).unwrap().unwrap().id.meta;
        fs::remove_file(&file).unwrap();
        match name(&file) == log {
            // What is back already is not needed any more.
            true => assert_eq!(run("undo", &[], &path).status, Some(4)),
            false => drop(is_refused(&path, &format!("{} is missing", name(&file)))),
        }
        fs::write(&file, bytes).unwrap();
        Disk.set_meta(&file, &meta).unwrap();
    }
    is_undone(&path, &before, "all are there again");
}

#[test]
fn an_interrupted_change_is_given_up_only_by_a_word() {
    let (_dir, path) = loose_copy(MIXED);
    let undo_dir = cut(&path, "7", &[]);
    let after = tree(&path);
    fs::remove_file(undo_dir.join("finished")).unwrap();
    fs::remove_file(undo_dir.join("00000000000000000011.log")).unwrap();
    is_refused(&path, "00000000000000000011.log is missing");
    let said = run("undo", &["--discard", "--apply"], &path);
    assert_eq!(said.status, Some(8), "{}", said.all());
    assert!(said.stderr.contains("only copy") && said.stderr.contains("00000000000000000025.log"), "{}", said.all());
    assert_eq!(run("undo", &["--discard", "--apply", "--allow-data-loss"], &path).status, Some(1));
    assert!(undo_dirs(&path).is_empty() && tree(&path) == after);
    assert_eq!(run("rebuild-index", &["--apply"], &path).status, Some(0));
}

/// Makes a file unusable.
type Spoil = fn(&Path);

#[test]
fn without_a_readable_plan_nothing_is_touched_and_giving_it_up_takes_a_word() {
    let spoil: [(&str, Spoil); 3] = [
        ("missing", |plan| fs::remove_file(plan).unwrap()),
        ("short", |plan| OpenOptions::new().write(true).open(plan).unwrap().set_len(300).unwrap()),
        ("altered", |plan| {
            let text = fs::read_to_string(plan).unwrap();
            let altered = text.replace("11.log", "12.log");
            fs::write(plan, altered).unwrap();
        }),
    ];
    for (what, spoil) in spoil {
        let (_dir, path) = loose_copy(MIXED);
        let before = tree(&path);
        let undo_dir = cut(&path, "7", &[]);
        let plan = undo_dir.join("plan");
        let whole = fs::read(&plan).unwrap();
        spoil(&plan);
        let said = is_refused(&path, "plan");
        assert!(said.stderr.contains("--discard") && said.stderr.contains("--allow-data-loss"), "{}", said.all());
        // Nothing else is changed as long as that is not decided.
        assert_eq!(run("rebuild-index", &["--apply", "--all"], &path).status, Some(8), "{what}");
        let kept = kept_files(&undo_dir);
        let discard = run("undo", &["--discard", "--apply"], &path);
        assert_eq!((discard.status, kept_files(&undo_dir)), (Some(8), kept.clone()), "{what}: {}", discard.all());
        let dry = run("undo", &["--discard", "--allow-data-loss"], &path);
        assert_eq!((dry.status, kept_files(&undo_dir)), (Some(4), kept.clone()), "{what}: {}", dry.all());
        for file in &kept {
            assert!(discard.stderr.contains(&name(file)), "{what} {file:?}: {}", discard.all());
        }
        fs::write(&plan, whole).unwrap();
        is_undone(&path, &before, what);
        let undo_dir = cut(&path, "7", &[]);
        spoil(&undo_dir.join("plan"));
        let after = tree(&path);
        let given_up = run("undo", &["--discard", "--apply", "--allow-data-loss"], &path);
        assert_eq!(given_up.status, Some(1), "{what}: {}", given_up.all());
        for file in &kept {
            assert!(given_up.all().contains(&name(file)), "{what} {file:?}: {}", given_up.all());
        }
        assert!(undo_dirs(&path).is_empty() && tree(&path) == after, "{what}");
    }
}

#[test]
fn without_the_mark_of_the_end_or_with_a_garbled_one_everything_comes_back() {
    for garbled in [None, Some(&b"[{"[..]), Some(b"")] {
        let (_dir, path) = loose_copy(MIXED);
        let before = tree(&path);
        let finished = cut(&path, "7", &[]).join("finished");
        match garbled {
            Some(bytes) => fs::write(finished, bytes).unwrap(),
            None => fs::remove_file(finished).unwrap(),
        }
        is_undone(&path, &before, &format!("{garbled:?}"));
    }
}

/// Copies a directory as `cp` does with these options, and puts the copy in its place: other inodes, other times of change.
fn replaced_by_a_copy(path: &Path, options: &str) {
    let copy = path.with_extension("copy");
    let done = Command::new("cp").arg(options).arg(path).arg(&copy).status().unwrap();
    assert!(done.success());
    fs::remove_dir_all(path).unwrap();
    fs::rename(&copy, path).unwrap();
}

#[test]
fn a_copy_of_a_partition_can_be_undone_whatever_its_inodes_and_times_are() {
    for options in ["-a", "-r"] {
        for interrupted in [false, true] {
            let (_dir, path) = loose_copy(MIXED);
            let before = tree(&path);
            let undo_dir = cut(&path, "7", &[]);
            if interrupted {
                fs::remove_file(undo_dir.join("finished")).unwrap();
            }
            replaced_by_a_copy(&path, options);
            let said = run("undo", &["--apply"], &path);
            assert_eq!(said.status, Some(1), "{options} {interrupted}: {}", said.all());
            let changed = if options == "-a" { before.clone() } else { tree(&path) };
            // Times of files that the change has not touched are those of the copy.
            let bytes = |tree: &support::changing::Tree| {
                tree.iter().map(|(file, facts)| (file.clone(), facts.0.clone())).collect::<Vec<_>>()
            };
            assert!(tree(&path) == changed && bytes(&changed) == bytes(&before), "{options} {interrupted}");
            assert!(undo_dirs(&path).is_empty());
        }
    }
}

#[test]
fn the_same_size_and_time_are_no_proof() {
    let (_dir, path) = loose_copy(MIXED);
    let log = path.join("00000000000000000000.log");
    let undo_dir = cut(&path, "7", &[]);
    let modified = fs::metadata(&log).unwrap().modified().unwrap();
    OpenOptions::new().write(true).open(&log).unwrap().write_all_at(b"X", 70).unwrap();
    set_modified(&log, modified);
    is_refused(&path, "00000000000000000000.log");
    fs::remove_file(undo_dir.join("finished")).unwrap();
    is_refused(&path, "00000000000000000000.log");
}

#[test]
fn what_was_written_behind_an_interrupted_cut_is_not_overwritten() {
    let (_dir, path) = loose_copy(MIXED);
    let undo_dir = cut(&path, "7", &[]);
    fs::remove_file(undo_dir.join("finished")).unwrap();
    append(&path.join("00000000000000000000.log"), b"a record of a broker");
    is_refused(&path, "00000000000000000000.log");
}

#[test]
fn files_that_are_new_since_a_cut_are_in_the_way_and_named() {
    for new in ["00000000000000000008.log", "00000000000000000008.index", "00000000000000000009.snapshot"] {
        let (_dir, path) = loose_copy(MIXED);
        let before = tree(&path);
        cut(&path, "7", &[]);
        fs::write(path.join(new), b"").unwrap();
        is_refused(&path, new);
        fs::remove_file(path.join(new)).unwrap();
        is_undone(&path, &before, new);
    }
    // What holds no records stays beside what is brought back.
    let (_dir, path) = loose_copy(MIXED);
    let before = tree(&path);
    cut(&path, "7", &[]);
    fs::write(path.join("notes.txt"), b"mine").unwrap();
    assert_eq!(run("undo", &["--apply"], &path).status, Some(1));
    fs::remove_file(path.join("notes.txt")).unwrap();
    assert!(tree(&path) == before);
}

#[test]
fn a_log_that_has_grown_where_whole_segments_went_is_not_undone_over() {
    let (_dir, path) = loose_copy(MIXED);
    let log = path.join("00000000000000000011.log");
    // A change that takes the last segment and leaves the one before as it is.
    let last = ["log", "index", "timeindex"].map(|kind| path.join(format!("00000000000000000025.{kind}")));
    let remove = |file: PathBuf| Step::Remove { old: Fingerprint::of(&Disk, &file).unwrap().unwrap(), file };
    let plan = Plan { steps: last.into_iter().map(remove).collect(), ..Plan::new("test", path.clone()) };
    let journal = Journal::at(path.join(".kfsck-undo-20261122T000000.000Z"));
    let before = tree(&path);
    kfsck::repair::apply::apply(&Disk, &plan, &journal, None, &mut || Ok(())).unwrap();
    let whole = fs::metadata(&log).unwrap();
    append(&log, b"a record of a broker");
    is_refused(&path, "00000000000000000011.log");
    OpenOptions::new().write(true).open(&log).unwrap().set_len(whole.len()).unwrap();
    set_modified(&log, whole.modified().unwrap());
    let epochs = path.join("leader-epoch-checkpoint");
    let text = fs::read(&epochs).unwrap();
    let modified = fs::metadata(&epochs).unwrap().modified().unwrap();
    fs::write(&epochs, b"0\n1\n7 25\n").unwrap();
    is_refused(&path, "leader-epoch-checkpoint");
    fs::write(&epochs, text).unwrap();
    set_modified(&epochs, modified);
    is_undone(&path, &before, "as the change left it");
}

/// Cuts some partitions of one log dir in one run.
fn several_cut() -> (tempfile::TempDir, PathBuf, Said) {
    let (dir, path) = log_dir_copy(&scenario("4.4.0", "transactions").log_dir(None, None));
    let ends = dir.path().join("ends");
    fs::write(&ends, "txn-mixed-0 11\ntxn-other-0 3\n").unwrap();
    let done = run(CUT, &["--apply", "--allow-data-loss", "--offsets", ends.to_str().unwrap()], &path);
    assert_eq!(done.status, Some(1), "{}", done.all());
    (dir, path, done)
}

#[test]
fn of_partitions_that_share_a_checkpoint_the_older_change_names_the_newer_one_to_undo_first() {
    let (_dir, path, _) = several_cut();
    let [mixed, other] = ["txn-mixed-0", "txn-other-0"].map(|name| undo_dirs(&path.join(name)).pop().unwrap());
    let (older, newer) = if mixed.file_name() < other.file_name() { (mixed, other) } else { (other, mixed) };
    let before = tree(&path);
    let said = run("undo", &["--apply"], &older);
    assert_eq!(said.status, Some(8), "{}", said.all());
    assert!(said.stderr.contains(&format!("kfsck undo --apply {}", newer.display())), "{}", said.all());
    assert!(said.stderr.contains("newer") && tree(&path) == before, "{}", said.all());
    // Of the whole log dir they are taken back in the right order.
    let dry = run("undo", &["-f", "json"], &path);
    let dirs: Vec<_> = dry.rows("undo").iter().map(|row| PathBuf::from(row["undoDir"].as_str().unwrap())).collect();
    assert_eq!((dry.status, dirs), (Some(4), vec![newer.clone(), older.clone()]), "{}", dry.all());
    assert_eq!(run("undo", &["--apply"], &newer).status, Some(1));
    assert_eq!(run("undo", &["--apply"], &older).status, Some(1));
}

#[test]
fn the_commands_told_at_the_end_take_everything_back_in_the_order_in_which_they_are_told() {
    let (_dir, original) = log_dir_copy(&scenario("4.4.0", "transactions").log_dir(None, None));
    let (_dir, path, done) = several_cut();
    let bytes = |path: &Path| {
        let files = tree(path).into_iter();
        files.map(|(file, facts)| (file.strip_prefix(path).unwrap().to_owned(), facts.0)).collect::<Vec<_>>()
    };
    let last = done.stdout.rsplit("newest first").next().unwrap();
    let commands: Vec<_> = last.lines().filter_map(|line| line.trim().strip_prefix("kfsck ")).collect();
    assert_eq!(commands.len(), 2, "{}", done.all());
    for command in commands {
        let said = kfsck(Path::new("/"), command.split(' '));
        assert_eq!(said.status, Some(1), "{command}: {}", String::from_utf8_lossy(&said.stderr));
    }
    assert!(bytes(&path) == bytes(&original));
}
