//! Completions and man pages are made from the command line's definition; what is committed is what it makes today.
//!
//! `KFSCK_REGENERATE=1 cargo test --test generated` writes them anew.

mod support;

use std::fs;
use std::path::Path;

use support::kfsck;

const COMPLETIONS: [(&str, &str); 5] = [
    ("bash", "kfsck.bash"),
    ("zsh", "_kfsck"),
    ("fish", "kfsck.fish"),
    ("powershell", "_kfsck.ps1"),
    ("elvish", "kfsck.elv"),
];
const PAGES: [(&str, &str); 9] = [
    ("", "kfsck.1"),
    ("ls", "kfsck-ls.1"),
    ("dump-log", "kfsck-dump-log.1"),
    ("lookup", "kfsck-lookup.1"),
    ("verify-index", "kfsck-verify-index.1"),
    ("check", "kfsck-check.1"),
    ("rebuild-index", "kfsck-rebuild-index.1"),
    ("truncate-to-hw", "kfsck-truncate-to-hw.1"),
    ("undo", "kfsck-undo.1"),
];

fn check(directory: &str, file: &str, arguments: &[&str]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join(directory).join(file);
    let made = kfsck(root, arguments);
    assert_eq!(made.status, Some(0), "{arguments:?}");
    assert!(made.stdout.len() > 500, "{arguments:?} prints hardly anything");
    if std::env::var_os("KFSCK_REGENERATE").is_some() {
        fs::create_dir_all(root.join(directory)).unwrap();
        fs::write(&path, &made.stdout).unwrap();
    }
    let kept = fs::read(&path).unwrap_or_default();
    assert!(kept == made.stdout, "{} is not what `kfsck {}` prints", path.display(), arguments.join(" "));
}

#[test]
fn completions_are_those_of_the_command_line() {
    for (shell, file) in COMPLETIONS {
        check("completions", file, &["completions", shell]);
    }
}

#[test]
fn man_pages_are_those_of_the_command_line() {
    for (command, file) in PAGES {
        let arguments: Vec<_> = ["man", command].into_iter().filter(|argument| !argument.is_empty()).collect();
        check("docs/man", file, &arguments);
    }
}
