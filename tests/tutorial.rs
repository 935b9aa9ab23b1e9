//! The commands of the tutorial and of the README are run as they stand there, and print what is said there.
//!
//! `KFSCK_REGENERATE=1 cargo test --test tutorial` writes what they print into the pages. To be read before it is kept.

mod support;

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use support::changing::long_ago;
use support::{copy_partition, scenario};

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
    /// Where the page works, and the directory of the test that stands in for it.
    shown_place: &'static str,
    place: PathBuf,
    /// The names of undo data and the digests of plans that the page shows, and those that were made.
    names: HashMap<String, String>,
}

impl Shell {
    fn start(shown_place: &'static str, place: &Path) -> Self {
        let program = Path::new(env!("CARGO_BIN_EXE_kfsck"));
        let mut path = OsString::from(program.parent().unwrap());
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap());
        let mut command = Command::new("sh");
        command
            .env("PATH", path)
            .env("HOME", place.parent().unwrap())
            .env("LC_ALL", "C")
            .env_remove("KFSCK_JOBS")
            .env_remove("KFSCK_IO");
        let mut process = command.current_dir(root()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (mut input, output) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        input.write_all(b"exec 2>&1\n").unwrap();
        Self { process, input, output, shown_place, place: place.to_owned(), names: HashMap::new() }
    }

    /// Runs what stands in the page behind a `$`; what it prints, in the words of the page.
    fn run(&mut self, shown: &str, expected: &str) -> String {
        let mut command = shown.replace(self.shown_place, self.place.to_str().unwrap());
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
        let mut printed = printed.replace(self.place.to_str().unwrap(), self.shown_place);
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

/// Runs the commands of a page that works in `shown_place`; how many they were. Those in a block of `console` print what
/// stands below them, those in a block of `sh` something that is not shown.
fn run_page(page: &str, shown_place: &'static str, place: &Path) -> usize {
    let has_jq = Command::new("jq").arg("--version").output().is_ok_and(|output| output.status.success());
    let text = fs::read_to_string(root().join(page)).unwrap();
    let mut shell = Shell::start(shown_place, place);
    let (mut made, mut commands, mut block) = (String::new(), 0, "");
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        made.push_str(line);
        made.push('\n');
        match (line.strip_prefix("```"), block) {
            (Some(of), _) => block = of,
            (None, "console") => {
                let command = line.strip_prefix("$ ").unwrap_or_else(|| panic!("{page}: {line}"));
                let mut expected = String::new();
                while let Some(line) = lines.next_if(|line| !line.starts_with("$ ") && *line != "```") {
                    expected.push_str(line);
                    expected.push('\n');
                }
                made.push_str(&shell.run(command, &expected));
                commands += 1;
            }
            // This is `cargo test`.
            (None, "sh") if line == "cargo test" => {}
            (None, "sh") if line.contains("| jq ") && !has_jq => println!("jq is not there, not run: {line}"),
            (None, "sh") => {
                let said = shell.run(&line.replace("cargo run --release --", "kfsck"), "");
                let status = shell.run("echo $?", "");
                // Sound, or something was found.
                assert!(matches!(status.trim_end(), "0" | "4"), "{line}: {status}{said}");
                commands += 1;
            }
            _ => {}
        }
    }
    if std::env::var_os("KFSCK_REGENERATE").is_some() {
        fs::write(root().join(page), &made).unwrap();
    }
    for (at, (printed, shown)) in made.lines().zip(text.lines()).enumerate() {
        assert_eq!(printed, shown, "{page}:{} shows something else than what is printed", at + 1);
    }
    assert_eq!(made.lines().count(), text.lines().count(), "{page}");
    commands
}

#[test]
fn the_tutorial_goes_as_it_says() {
    let place = tempfile::tempdir().unwrap();
    let commands = run_page("docs/tutorial.md", "/tmp/tutorial", &place.path().join("tutorial"));
    assert!(commands > 20, "{commands} commands");
}

#[test]
fn the_readme_shows_what_is_printed() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("log-dir");
    let real = scenario("3.9.2", "segments").log_dir(None, None);
    fs::create_dir(&data).unwrap();
    for (found, name) in
        [("tiny-batches-0", "orders-3"), ("rolled-by-time-0", "payments-0"), ("time-equal-0", "refunds-0")]
    {
        copy_partition(&real.join(found), &data, long_ago());
        fs::rename(data.join(found), data.join(name)).unwrap();
    }
    for name in ["meta.properties", ".kafka_cleanshutdown"] {
        fs::copy(real.join(name), data.join(name)).unwrap();
    }
    for name in ["replication-offset-checkpoint", "recovery-point-offset-checkpoint"] {
        fs::write(data.join(name), "0\n3\norders 3 500\npayments 0 120\nrefunds 0 24\n").unwrap();
    }
    // The same damage as in the tutorial.
    let (index, log) =
        (data.join("orders-3/00000000000000000000.index"), data.join("orders-3/00000000000000000000.log"));
    let mut entries = fs::read(&index).unwrap();
    entries[20..22].copy_from_slice(&[0xff, 0xff]);
    fs::write(&index, entries).unwrap();
    let log = fs::File::options().write(true).open(&log).unwrap();
    log.set_len(log.metadata().unwrap().len() - 30).unwrap();
    let commands = run_page("README.md", "/data", &data);
    assert!(commands > 15, "{commands} commands");
}

#[test]
fn every_page_is_reached_from_the_readme_and_every_link_leads_somewhere() {
    let mut linked = HashSet::new();
    for page in pages() {
        let text = fs::read_to_string(root().join(&page)).unwrap();
        for target in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if target.starts_with("https://") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let at = match file {
                "" => root().join(&page),
                file => root().join(&page).parent().unwrap().join(file),
            };
            let found = fs::read_to_string(&at).unwrap_or_else(|_| panic!("{page}: {target} leads nowhere"));
            let of_heading = |line: &str| {
                let words = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
                words.replace(|character: char| !character.is_alphanumeric() && !"-_".contains(character), "")
            };
            let is_heading = |line: &&str| line.starts_with('#');
            let has_anchor =
                anchor.is_empty() || found.lines().filter(is_heading).any(|line| of_heading(line) == anchor);
            assert!(has_anchor, "{page}: there is no {target}");
            if page == "README.md" {
                linked.insert(at.canonicalize().unwrap());
            }
        }
    }
    for page in pages().into_iter().filter(|page| page != "README.md" && page != "CHANGELOG.md") {
        assert!(linked.contains(&root().join(&page).canonicalize().unwrap()), "README.md has no link to {page}");
    }
}

/// The pages of the project that people read.
fn pages() -> Vec<String> {
    let mut found = Vec::new();
    for dir in ["", "docs/"] {
        for entry in fs::read_dir(root().join(dir)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".md") {
                found.push(format!("{dir}{name}"));
            }
        }
    }
    assert!(found.len() > 8, "{found:?}");
    found
}
