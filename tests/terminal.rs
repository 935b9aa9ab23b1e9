//! On a terminal there are colours, tables that fit and a bar that goes away; in a pipe there is none of it.

#[path = "support/terminal.rs"]
mod on_terminal;
mod support;

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::path::Path;

use on_terminal::{OnTerminal, Terminal, without_colours};
use support::changing::long_ago;
use support::{copy_partition, kfsck, scenario};

const WIDTHS: [u16; 2] = [80, 200];

/// What is shown of one damaged partition or more; all of it has colours.
const SHOWN: [&[&str]; 13] = [
    &["ls", "data"],
    &["ls", "data/orders-3"],
    &["check", "data"],
    &["check", "-f", "table", "data"],
    &["dump-log", "-n", "20", "data/orders-3"],
    &["dump-log", "-f", "table", "-n", "20", "data/orders-3"],
    &["dump-log", "-r", "-f", "table", "-n", "40", "data/__transaction_state-0"],
    &["dump-log", "-r", "-f", "table", "-n", "12", "data/codec-gzip-0"],
    &["verify-index", "data"],
    &["rebuild-index", "data"],
    &["truncate-to-hw", "--to", "intact-end", "data/orders-3"],
    &["--help"],
    &["check", "--help"],
];

/// The commands with a bar.
const WITH_A_BAR: [&[&str]; 4] = [
    &["check", "data"],
    &["verify-index", "data"],
    &["rebuild-index", "data"],
    &["truncate-to-hw", "--all-partitions", "--to", "intact-end", "data"],
];

/// A log dir `data` with so many sound partitions, one whose log and index are damaged, and two
/// with long keys, values and headers.
fn log_dir(sound: usize) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    fs::create_dir(&data).unwrap();
    let real = scenario("3.9.2", "segments").log_dir(None, None);
    let add = |name: &str| {
        copy_partition(&real.join("tiny-batches-0"), &data, long_ago());
        fs::rename(data.join("tiny-batches-0"), data.join(name)).unwrap();
    };
    add("orders-3");
    (0..sound).for_each(|at| add(&format!("orders-{}", 10 + at)));
    fs::copy(real.join("meta.properties"), data.join("meta.properties")).unwrap();
    for (release, of, wide) in [("3.9.2", "transactions", "__transaction_state-0"), ("4.4.0", "codecs", "codec-gzip-0")]
    {
        copy_partition(&scenario(release, of).log_dir(None, None).join(wide), &data, long_ago());
    }
    let index = data.join("orders-3/00000000000000000000.index");
    let mut entries = fs::read(&index).unwrap();
    entries[20..22].copy_from_slice(&[0xff, 0xff]);
    fs::write(&index, entries).unwrap();
    let log = File::options().write(true).open(data.join("orders-3/00000000000000000000.log")).unwrap();
    log.set_len(log.metadata().unwrap().len() - 30).unwrap();
    root
}

/// What goes into a pipe, both streams apart.
fn piped(directory: &Path, arguments: &[&str]) -> (String, String) {
    let finished = kfsck(directory, arguments);
    (String::from_utf8(finished.stdout).unwrap(), String::from_utf8(finished.stderr).unwrap())
}

#[test]
fn a_bar_goes_forward_on_the_terminal_and_leaves_nothing_behind() {
    let root = log_dir(30);
    for columns in WIDTHS {
        let terminal = Terminal::new(columns, OnTerminal::Both);
        for command in WITH_A_BAR {
            let shown = terminal.kfsck(root.path(), command);
            let bars = shown.bars();
            let percents: Vec<u32> =
                bars.iter().map(|bar| bar.split('%').next().unwrap().trim().parse().unwrap()).collect();
            assert!(percents.len() > 5 && percents.is_sorted(), "{command:?}: {percents:?}");
            assert!(
                percents.iter().collect::<HashSet<_>>().len() > 2 && percents.iter().all(|it| *it <= 100),
                "{percents:?}"
            );
            // How much of its path there is room for depends on the widths of speed and time.
            let names_what = |bar: &&String| bar.split("  ETA ").nth(1).unwrap().split_whitespace().count() == 2;
            assert!(bars.iter().filter(names_what).count() > 5, "{command:?}: {bars:?}");
            let wide = bars.iter().find(|bar| bar.chars().count() > usize::from(columns));
            assert_eq!(wide, None, "{command:?}");

            let without = terminal.kfsck(root.path(), &[command, &["--progress", "never"]].concat());
            assert_eq!(without.bars(), [""; 0], "{command:?}");
            assert_eq!(shown.status, without.status, "{command:?}");
            let (screen, text, prompt) = shown.screen();
            assert_eq!(text, without.screen().1, "{command:?}");
            assert!(screen == without.screen().0, "{command:?}: the colours differ");
            assert_eq!(prompt, "", "{command:?}");
            assert!(text.contains("orders"), "{command:?}: {text}");
        }
    }
}

#[test]
fn a_run_that_is_interrupted_takes_its_bar_away() {
    let root = log_dir(100);
    for command in WITH_A_BAR {
        let terminal = Terminal { interrupted_at: Some("  ETA "), ..Terminal::new(80, OnTerminal::Both) };
        let shown = terminal.kfsck(root.path(), command);
        assert!(!shown.bars().is_empty(), "{command:?}");
        let (_, text, prompt) = shown.screen();
        assert!(!text.contains("  ETA ") && prompt.is_empty(), "{command:?}: {text}");
        // It may have come to its end before.
        assert!(matches!(shown.status, Some(4 | 8 | 12)), "{command:?}: {:?} {text}", shown.status);
        println!("{command:?}: {:?}", shown.status);
    }
}

#[test]
fn a_bar_is_only_on_the_terminal_of_standard_error() {
    let root = log_dir(3);
    for command in WITH_A_BAR {
        let (stdout, stderr) = piped(root.path(), command);
        let always = [command, &["--progress", "always"]].concat();
        assert_eq!(piped(root.path(), &always), (stdout.clone(), stderr.clone()), "{command:?}");

        let shown = Terminal::new(80, OnTerminal::Output).kfsck(root.path(), &always);
        assert_eq!(shown.piped, stderr, "{command:?}");
        assert_eq!(shown.bars(), [""; 0], "{command:?}");

        let shown = Terminal::new(80, OnTerminal::Errors).kfsck(root.path(), command);
        assert_eq!(shown.piped, stdout, "{command:?}");
        assert!(!shown.bars().is_empty(), "{command:?}");
        let (_, text, prompt) = shown.screen();
        let joined = |text: &str| text.split_whitespace().collect::<String>();
        assert_eq!((joined(&text), prompt), (joined(&stderr), String::new()), "{command:?}");

        for no_bar in [&["-q"][..], &["--progress", "never"], &["-f", "json"], &["-f", "json", "--progress", "always"]]
        {
            let shown = Terminal::new(80, OnTerminal::Errors).kfsck(root.path(), &[command, no_bar].concat());
            assert_eq!(shown.bars(), [""; 0], "{command:?} {no_bar:?}");
        }
        let shown = Terminal::new(80, OnTerminal::Errors).kfsck(root.path(), &[&always[..], &["-q"]].concat());
        assert!(!shown.bars().is_empty(), "{command:?}");
    }
}

#[test]
fn colours_are_on_a_terminal_and_only_where_they_are_wanted() {
    let root = log_dir(2);
    let terminal = Terminal::new(80, OnTerminal::Output);
    let has_colours = |text: &str| {
        without_colours(text);
        text.contains("\u{1b}[")
    };
    for command in SHOWN {
        let with = |more: &[&str], environment| {
            has_colours(&terminal.with(environment).kfsck(root.path(), &[command, more].concat()).text())
        };
        assert!(with(&[], &[]), "{command:?}: none on a terminal");
        assert!(with(&[], &[("NO_COLOR", "")]), "{command:?}: an empty NO_COLOR means nothing");
        assert!(!with(&[], &[("NO_COLOR", "1")]), "{command:?}: NO_COLOR=1");
        assert!(!with(&[], &[("TERM", "dumb")]), "{command:?}: TERM=dumb");
        // The option belongs to the commands.
        if command != ["--help"] {
            assert!(!with(&["--color", "never"], &[]), "{command:?}: --color never");
            assert!(!with(&["--color=never"], &[]), "{command:?}: --color=never");
            assert!(with(&["--color", "always"], &[("NO_COLOR", "1")]), "{command:?}: --color always");
        }
        let (stdout, stderr) = piped(root.path(), command);
        assert!(!has_colours(&stdout) && !has_colours(&stderr), "{command:?}: in a pipe");
        assert!(!stdout.is_empty(), "{command:?}");
    }
}

#[test]
fn no_line_is_wider_than_the_terminal_and_none_says_anything_else_than_in_a_pipe() {
    let root = log_dir(2);
    for command in SHOWN {
        let (stdout, stderr) = piped(root.path(), command);
        for columns in WIDTHS {
            let shown = Terminal::new(columns, OnTerminal::Output).kfsck(root.path(), command);
            let text = shown.plain();
            // The lines of a dump that is no table are for grep: the terminal wraps them.
            let wrapped = shown.wrapped();
            assert!(
                wrapped.is_empty() || command[..2] == ["dump-log", "-n"],
                "{command:?} in {columns} columns: {wrapped:?}"
            );
            assert_eq!(shown.piped, stderr, "{command:?}");
            if command[0] == "ls" || command.contains(&"table") {
                // Cells are broken, and where it is narrow some columns are left out.
                let (shown, all) = (characters(&text), characters(&stdout));
                let more: Vec<_> = shown.iter().filter(|(it, count)| *count > all.get(it).unwrap_or(&0)).collect();
                assert!(more.is_empty(), "{command:?} in {columns} columns: {more:?}");
                assert!(columns == 80 || shown == all, "{command:?} in {columns} columns: {text}");
            } else {
                let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
                assert_eq!(words(&text), words(&stdout), "{command:?} in {columns} columns");
            }
        }
    }
}

/// How often each character is there, but for spaces and for what stands between columns that are put together.
fn characters(text: &str) -> HashMap<char, usize> {
    let mut counts = HashMap::new();
    for character in text.chars().filter(|character| !character.is_whitespace() && !",:".contains(*character)) {
        *counts.entry(character).or_default() += 1;
    }
    counts
}
