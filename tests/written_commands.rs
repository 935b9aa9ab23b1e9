//! Every command in the pages can be run as it stands: a test does it, or what it names is there.
//!
//! Pages whose commands are run are in [`RUN`]. Of the other commands, and of those in the middle of a sentence, the test
//! target, benchmark, option and variable that they name are looked for. What cannot be looked for is in [`NOT_RUN`].

use std::fs;
use std::path::Path;
use std::process::Command;

/// Pages whose blocks are run line by line, and the test that does it.
const RUN: [(&str, &str); 4] = [
    ("README.md", "tests/tutorial.rs"),
    ("docs/tutorial.md", "tests/tutorial.rs"),
    ("docs/coming-from-kafka-dump-log.md", "tests/docs_commands.rs"),
    ("docs/json.md", "tests/docs_commands.rs"),
];

/// Commands that no test runs, and why.
const NOT_RUN: [(&str, &str); 3] = [
    ("rustup target add x86_64-unknown-linux-musl", "it changes the machine, and needs the net"),
    ("apt-get install musl-tools", "it changes the machine, and needs the net"),
    (".ci/run", "it runs this test"),
];

/// Programs of which a block or a span of code is a command.
const PROGRAMS: [&str; 5] = ["cargo", "kfsck", "rustup", "apt-get", ".ci/run"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The pages that people read, with their texts.
fn pages() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for dir in ["", "docs/", "testdata/recipes/"] {
        for entry in fs::read_dir(root().join(dir)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".md") {
                let page = format!("{dir}{name}");
                found.push((page.clone(), read(&page)));
            }
        }
    }
    assert!(found.len() > 9, "{}", found.len());
    found
}

/// The sources of a directory, one behind the other.
fn sources(dir: &str) -> String {
    let mut all = String::new();
    for entry in fs::read_dir(root().join(dir)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            all.push_str(&sources(&name));
        } else if name.ends_with(".rs") {
            all.push_str(&read(&name));
        }
    }
    all
}

/// The words of a command, as a shell takes them apart. What stands behind two spaces says what it does.
fn words(command: &str) -> Vec<String> {
    let (mut words, mut quote) = (vec![String::new()], None);
    for character in command.split("   ").next().unwrap().trim().chars() {
        match (quote, character) {
            (None, ' ') => words.push(String::new()),
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), close) if open == close => quote = None,
            _ => words.last_mut().unwrap().push(character),
        }
    }
    words
}

/// Variables that are set before a command, and the command.
fn parted(command: &str) -> (Vec<String>, Vec<String>) {
    let is_name = |name: &str| !name.is_empty() && name.chars().all(|it| it.is_ascii_uppercase() || it == '_');
    let mut words = words(command);
    let is_set = |word: &String| word.split_once('=').is_some_and(|(name, _)| is_name(name));
    let count = words.iter().take_while(|word| is_set(word)).count();
    let rest = words.split_off(count);
    (words.iter().map(|word| word.split('=').next().unwrap().to_owned()).collect(), rest)
}

/// The commands of a page: lines of its blocks, unless these are run, and code in sentences.
fn commands(page: &str, text: &str) -> Vec<String> {
    let is_run = RUN.iter().any(|(run, _)| *run == page);
    let (mut found, mut block, mut sentences) = (Vec::new(), None, String::new());
    for line in text.lines() {
        match (line.strip_prefix("```"), block) {
            (Some(kind), None) => block = Some(kind),
            (Some(_), Some(_)) => block = None,
            (None, None) => sentences.push_str(&format!("{line}\n")),
            (None, Some("console")) if !line.starts_with("$ ") => {}
            (None, Some("toml" | "hexdump")) => {}
            (None, Some(_)) if !is_run || line.starts_with("cargo ") => {
                found.push(line.strip_prefix("$ ").unwrap_or(line).to_owned());
            }
            (None, Some(_)) => {}
        }
    }
    assert_eq!(block, None, "{page}: a block has no end");
    found.extend(sentences.split('`').skip(1).step_by(2).map(str::to_owned));
    found.retain(|command| {
        let (variables, rest) = parted(command);
        let is_program = rest.first().is_some_and(|word| PROGRAMS.contains(&word.as_str()));
        is_program || (rest.is_empty() && !variables.is_empty())
    });
    found
}

/// What a program says of itself.
fn help(program: &str, command: &str) -> String {
    let output = Command::new(program).args([command, "--help"]).output().unwrap();
    assert!(output.status.success(), "{program} {command} is no command");
    String::from_utf8(output.stdout).unwrap()
}

/// Whether a help names an option.
fn has_option(help: &str, option: &str) -> bool {
    let option = option.split('=').next().unwrap();
    help.split(|it: char| !it.is_ascii_alphanumeric() && it != '-').any(|word| word == option)
}

/// What is wrong with a command that is not run.
fn wrong_with(command: &str, tests: &str, benches: &str) -> Result<(), String> {
    let (variables, words) = parted(command);
    for name in variables {
        // That one belongs to a library.
        let is_known =
            name == "TRYCMD" || tests.contains(&format!("\"{name}\"")) || benches.contains(&format!("\"{name}\""));
        if !is_known {
            return Err(format!("nothing asks for {name}"));
        }
    }
    let split = words.iter().position(|word| word == "--").unwrap_or(words.len());
    let (before, behind) = (&words[..split], &words[(split + 1).min(words.len())..]);
    match before.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Ok(()),
        ["kfsck"] | ["kfsck", "COMMAND", _] | ["kfsck", "--version"] => Ok(()),
        ["kfsck", subcommand, ref options @ ..] => {
            let help = help(env!("CARGO_BIN_EXE_kfsck"), subcommand);
            match options.iter().find(|option| option.starts_with('-') && !has_option(&help, option)) {
                Some(option) => Err(format!("there is no {option}")),
                None => Ok(()),
            }
        }
        ["cargo", subcommand, ref options @ ..] => {
            let help = help(env!("CARGO"), subcommand);
            for (at, option) in options.iter().enumerate() {
                let value = options.get(at + 1).unwrap_or(&"");
                let place = match *option {
                    "--test" => format!("tests/{value}.rs"),
                    "--bench" => format!("benches/{value}.rs"),
                    "--path" => (*value).to_owned(),
                    option if option.starts_with('-') && !has_option(&help, option) => {
                        return Err(format!("cargo {subcommand} has no {option}"));
                    }
                    _ => continue,
                };
                if !root().join(&place).exists() {
                    return Err(format!("there is no {place}"));
                }
            }
            let is_known = |word: &String| match word.starts_with("--") {
                true => benches.contains(&format!("\"{word}\" =>")),
                // A count, or words of the title of a comparison.
                false => word.parse::<u32>().is_ok() || benches.contains(word.as_str()),
            };
            match behind.iter().find(|word| subcommand == "bench" && !is_known(word)) {
                Some(word) => Err(format!("no benchmark knows {word}")),
                None => Ok(()),
            }
        }
        _ => Err("nothing is known of it".to_owned()),
    }
}

#[test]
fn what_the_commands_of_the_pages_name_is_there() {
    let (tests, benches) = (sources("tests"), sources("benches"));
    let (mut wrong, mut not_run, mut count) = (Vec::new(), Vec::new(), 0);
    for (page, text) in pages() {
        for command in commands(&page, &text) {
            count += 1;
            match NOT_RUN.iter().find(|(known, _)| *known == command) {
                Some((known, _)) => not_run.push(*known),
                None => wrong.extend(
                    wrong_with(&command, &tests, &benches).err().map(|why| format!("{page}: {command}: {why}")),
                ),
            }
        }
    }
    println!("{count} commands, {} of them listed as not run", not_run.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(count > 60, "{count}");
    let gone: Vec<_> = NOT_RUN.iter().filter(|(known, why)| !not_run.contains(known) || why.is_empty()).collect();
    assert!(gone.is_empty(), "no page has {gone:?} any more");
    for (page, test) in RUN {
        assert!(read(test).contains(&format!("\"{page}\"")), "{test} does not run {page}");
    }
}

#[test]
fn commands_that_name_what_is_not_there_are_found() {
    let (tests, benches) = (sources("tests"), sources("benches"));
    for (command, is_wrong) in [
        ("cargo test --test undo", false),
        ("cargo test --test undone", true),
        ("cargo bench --bench verify", false),
        ("cargo bench --bench verifies", true),
        ("cargo bench -- \"records, 14 KB\" --rounds 15    in more rounds", false),
        ("cargo bench -- \"records, 14 GB\" --rounds 15", true),
        ("cargo bench -- --written", false),
        ("cargo bench -- --wet", true),
        ("cargo install --path .", false),
        ("cargo install --way .", true),
        ("cargo fly", true),
        ("KFSCK_ALL_BITS=1 cargo test --test bit_flips", false),
        ("KFSCK_NO_BITS=1 cargo test --test bit_flips", true),
        ("kfsck check --deep", false),
        ("kfsck check --deeper", true),
        ("make all", true),
    ] {
        let found = std::panic::catch_unwind(|| wrong_with(command, &tests, &benches));
        assert_eq!(!matches!(found, Ok(Ok(()))), is_wrong, "{command}: {found:?}");
    }
}

#[test]
fn variables_and_files_that_the_pages_name_are_there() {
    let all = [sources("src"), sources("tests"), sources("benches")].concat();
    let contributing = read("CONTRIBUTING.md");
    let mut variables = Vec::new();
    for (page, text) in pages() {
        for at in text.match_indices("KFSCK_").map(|(at, _)| at) {
            let name = text[at..].split(|it: char| !it.is_ascii_uppercase() && it != '_').next().unwrap();
            let asks = [format!("\"{name}\""), format!("env = \"{name}\"")];
            assert!(asks.iter().any(|ask| all.contains(ask)), "{page}: nothing asks for {name}");
            variables.push(name.to_owned());
        }
    }
    assert!(variables.len() > 8, "{variables:?}");
    let switches = [sources("tests"), sources("benches")].concat();
    for asked in switches.split("var_os(\"").chain(switches.split("env::var(\"")).skip(1) {
        let name = asked.split('"').next().unwrap();
        if name.starts_with("KFSCK_") {
            let is_said = contributing.contains(name) || read("docs/performance.md").contains(name);
            assert!(is_said, "CONTRIBUTING.md does not tell of {name}");
        }
    }
    let is_path = |span: &&str| span.contains('/') && !span.contains([' ', '<', '\n', '#']);
    // What a build makes is there only behind that build.
    let is_source = |path: &&str| !path.starts_with("target/");
    for path in contributing.split('`').filter(is_path).filter(is_source) {
        let is_there = [path.to_owned(), format!("src/{path}")].iter().any(|path| root().join(path).exists());
        assert!(is_there, "CONTRIBUTING.md: there is no {path}");
    }
}

#[test]
fn the_package_holds_what_users_need_and_no_data_of_tests() {
    let output = Command::new(env!("CARGO"))
        .args(["package", "--list", "--allow-dirty", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    let listed = String::from_utf8(output.stdout).unwrap();
    let files: Vec<&str> = listed.lines().collect();
    assert!(output.status.success() && files.len() > 200, "{}", String::from_utf8_lossy(&output.stderr));
    for wanted in [
        "Cargo.lock",
        "LICENSE",
        "README.md",
        "CHANGELOG.md",
        "src/main.rs",
        "docs/tutorial.md",
        "docs/man/kfsck.1",
        "completions/kfsck.bash",
    ] {
        assert!(files.contains(&wanted), "{wanted} is left out");
    }
    let places = ["src/", "docs/", "completions/"];
    let other: Vec<_> =
        files.iter().filter(|file| file.contains('/') && !places.iter().any(|it| file.starts_with(it))).collect();
    assert!(other.is_empty(), "{other:?}");
}
