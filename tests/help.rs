//! Help fits on a screen, and its examples are commands that work.

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use support::changing::long_ago;
use support::{copy_log_dir, copy_partition, scenario};

const COMMANDS: [&str; 8] =
    ["ls", "dump-log", "lookup", "verify-index", "check", "rebuild-index", "truncate-to-hw", "undo"];

/// What a command prints in a terminal of so many columns.
fn help(columns: usize, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kfsck"));
    let output = command.args(arguments).env("COLUMNS", columns.to_string()).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn help_fits_into_80_columns_and_the_short_one_on_a_screen() {
    let mut pages = vec![(vec![], 40), (vec!["-h"], 40), (vec!["--help"], 40)];
    for command in COMMANDS {
        pages.push((vec![command, "-h"], 40));
        pages.push((vec![command, "--help"], usize::MAX));
    }
    for (arguments, most) in pages {
        let text = help(80, &arguments);
        let lines: Vec<_> = text.lines().collect();
        assert!(lines.len() > 10 && lines.len() <= most, "{arguments:?}: {} lines\n{text}", lines.len());
        let wide: Vec<_> = lines.iter().filter(|line| line.chars().count() > 80).collect();
        assert!(wide.is_empty(), "{arguments:?}: {wide:#?}");
    }
}

/// The commands below `Examples:`, without what stands beside them.
fn examples(help: &str) -> Vec<&str> {
    let examples = help.split("\nExamples:\n").nth(1).unwrap_or_else(|| panic!("no examples: {help}"));
    let lines = examples.lines().filter_map(|line| line.strip_prefix("  ").filter(|line| line.starts_with("kfsck ")));
    lines.map(|line| line.split("  ").next().unwrap()).collect()
}

#[test]
fn the_examples_are_commands_that_work() {
    let has_jq = Command::new("jq").arg("--version").output().is_ok_and(|output| output.status.success());
    let mut run = 0;
    for command in [""].into_iter().chain(COMMANDS) {
        let arguments: Vec<_> = [command, "--help"].into_iter().filter(|argument| !argument.is_empty()).collect();
        let help = help(100, &arguments);
        let found = examples(&help);
        assert!(found.len() >= 4, "{command}: {found:?}");
        for example in found {
            if example.contains("| jq ") && !has_jq {
                println!("jq is not there, not run: {example}");
                continue;
            }
            assert!(is_understood(example), "{example}");
            run += 1;
        }
    }
    println!("{run} examples");
}

/// Runs an example where there are directories of its names, and tells whether the command line was right.
fn is_understood(example: &str) -> bool {
    let root = tempfile::tempdir().unwrap();
    let log_dir = scenario("4.4.0", "transactions").log_dir(None, None);
    for name in ["data", "data1", "data2", "mnt/b2", "mnt/b3"] {
        let into = root.path().join(name);
        copy_log_dir(&log_dir, &into, long_ago());
        copy_partition(&into.join("txn-mixed-0"), &root.path().join("made"), long_ago());
        fs::rename(root.path().join("made/txn-mixed-0"), into.join("orders-3")).unwrap();
    }
    fs::write(root.path().join("ends.txt"), "orders-3 20\n").unwrap();
    let at_root = example.replace(" /data", " data").replace(" /mnt", " mnt");
    let program = Path::new(env!("CARGO_BIN_EXE_kfsck")).parent().unwrap();
    let script = format!("PATH={}:$PATH; alert() {{ :; }}; {at_root}", program.display());
    let done = Command::new("sh").args(["-c", &script]).current_dir(root.path()).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    println!("{example}: {:?} {said}", done.status.code());
    // What clap says, what jq says, and a word that is no command.
    let complaints = ["error:", "Usage:", "not found\n", "is no "];
    done.status.code() != Some(16) && !complaints.iter().any(|complaint| said.contains(complaint))
}
