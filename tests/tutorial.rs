//! The commands of the tutorial and of the README are run as they stand there, and print what is said there.
//!
//! `KFSCK_REGENERATE=1 cargo test --test tutorial` writes what they print into the pages. To be read before it is kept.

mod support;

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use support::changing::long_ago;
use support::{copy_log_dir, scenario};

/// Where the pages work. The tests put a directory of their own in its place.
const SHOWN_PLACE: &str = "/tmp/tutorial";
/// A line that no command prints.
const END: &str = "\u{1}end of the output\u{1}";
/// What is new each time: behind which words, and an example of it.
const NEW_EACH_TIME: [(&str, &str); 2] = [(".kfsck-undo-", "20261122T055248.942Z"), ("  plan ", "0a8b5c1cd20ad974")];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// One shell in which the commands of a page run one after the other, standard error among the output.
struct Shell {
    process: Child,
    input: ChildStdin,
    output: ChildStdout,
    place: PathBuf,
    /// The names of undo data and the digests of plans that the page shows, and those that were made.
    names: HashMap<String, String>,
}

impl Shell {
    fn start(place: &Path) -> Self {
        let program = Path::new(env!("CARGO_BIN_EXE_kfsck"));
        let mut path = OsString::from(program.parent().unwrap());
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap());
        let mut command = Command::new("sh");
        command.env("PATH", path).env("HOME", place).env("LC_ALL", "C").env_remove("KFSCK_JOBS").env_remove("KFSCK_IO");
        let mut process = command.current_dir(root()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (mut input, output) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        input.write_all(b"exec 2>&1\n").unwrap();
        Self { process, input, output, place: place.to_owned(), names: HashMap::new() }
    }

    /// Runs what stands in the page behind a `$`; what it prints, in the words of the page.
    fn run(&mut self, shown: &str, expected: &str) -> String {
        let mut command = shown.replace(SHOWN_PLACE, self.place.to_str().unwrap());
        for (shown, made) in &self.names {
            command = command.replace(shown, made);
        }
        // The shell reads its commands from standard input: they may not. `$?` is what the command before has left.
        let script = format!("{{ {command}\n}} </dev/null; s=$?; echo '{END}'; (exit $s)\n");
        self.input.write_all(script.as_bytes()).unwrap();
        let mut printed = Vec::new();
        let mut byte = [0];
        while !printed.ends_with(format!("{END}\n").as_bytes()) {
            assert_eq!(self.output.read(&mut byte).unwrap(), 1, "{shown}: {}", String::from_utf8_lossy(&printed));
            printed.push(byte[0]);
        }
        let printed = String::from_utf8(printed).unwrap();
        let printed = printed.strip_suffix(&format!("{END}\n")).unwrap();
        let mut printed = printed.replace(self.place.to_str().unwrap(), SHOWN_PLACE);
        for (shown, made) in new_names(expected).into_iter().zip(new_names(&printed)) {
            self.names.entry(shown).or_insert(made);
        }
        for (shown, made) in &self.names {
            printed = printed.replace(made, shown);
        }
        printed
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The names in a text that are new each time, each once, in order.
fn new_names(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (before, example) in NEW_EACH_TIME {
        for (at, _) in text.match_indices(before) {
            let name = &text[at + before.len()..][..example.len()];
            assert!(name.chars().all(|character| character.is_ascii_alphanumeric() || character == '.'), "{text}");
            if !found.iter().any(|known| known == name) {
                found.push(name.to_owned());
            }
        }
    }
    found
}

/// Runs the commands of a page; how many they were. A block that begins with `…` shows only the end of what is printed.
fn run_page(page: &str, place: &Path) -> usize {
    let text = fs::read_to_string(root().join(page)).unwrap();
    let mut shell = Shell::start(place);
    let mut made = String::new();
    let mut commands = 0;
    let mut in_block = false;
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        made.push_str(line);
        made.push('\n');
        if line.starts_with("```") {
            in_block = line == "```console";
        }
        let Some(command) = line.strip_prefix("$ ").filter(|_| in_block) else { continue };
        let mut command = format!("{command}\n");
        while command.ends_with("\\\n") {
            let more = lines.next().unwrap();
            made.push_str(more);
            made.push('\n');
            command.push_str(more);
            command.push('\n');
        }
        let mut expected = String::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with("$ ") && *line != "```") {
            expected.push_str(line);
            expected.push('\n');
        }
        let printed = shell.run(without_remark(&command), &expected);
        made.push_str(&as_shown(&printed, &expected));
        commands += 1;
    }
    if std::env::var_os("KFSCK_REGENERATE").is_some() {
        fs::write(root().join(page), &made).unwrap();
    }
    assert_eq!(made, text, "{page} shows something else than what is printed");
    commands
}

/// A command of the page without the remark behind it, and without what only stands there for those who have not
/// installed the program.
fn without_remark(command: &str) -> &str {
    let command = command.split("    #").next().unwrap().trim_end();
    command.strip_prefix("cargo run --release -- ").map_or(command, |_| panic!("{command}: put it as `kfsck`"))
}

/// What was printed, left out where the page leaves it out: a line `…` stands for any lines.
fn as_shown(printed: &str, expected: &str) -> String {
    let Some((before, behind)) = expected.split_once("…\n") else { return printed.to_owned() };
    let is_so =
        printed.len() >= before.len() + behind.len() && printed.starts_with(before) && printed.ends_with(behind);
    if is_so { expected.to_owned() } else { printed.to_owned() }
}

#[test]
fn the_tutorial_goes_as_it_says() {
    let place = tempfile::tempdir().unwrap();
    let commands = run_page("docs/tutorial.md", place.path());
    assert!(commands > 20, "{commands} commands");
}
