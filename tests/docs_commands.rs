//! The commands that documents show are run, and print what the documents say.
//!
//! `TRYCMD=overwrite cargo test --test docs_commands` writes what they print into `docs/coming-from-kafka-dump-log.md`.

mod support;

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

/// All options of Kafka's tool, of any release from 2.8 on.
const KAFKAS_OPTIONS: [&str; 17] = [
    "--files",
    "--print-data-log",
    "--deep-iteration",
    "--skip-record-metadata",
    "--verify-index-only",
    "--index-sanity-check",
    "--max-message-size",
    "--max-bytes",
    "--key-decoder-class",
    "--value-decoder-class",
    "--offsets-decoder",
    "--transaction-log-decoder",
    "--cluster-metadata-decoder",
    "--remote-log-metadata-decoder",
    "--share-group-state-decoder",
    "--help",
    "--version",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(page: &str) -> String {
    fs::read_to_string(root().join(page)).unwrap()
}

#[test]
fn the_page_about_kafka_dump_log_shows_what_is_printed() {
    trycmd::TestCases::new().case("docs/coming-from-kafka-dump-log.md").run();
}

#[test]
fn the_page_about_kafka_dump_log_names_every_option_once_in_its_table() {
    let page = read("docs/coming-from-kafka-dump-log.md");
    let section = page.split("\n## Flag by flag\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split(['`', ' ']).next());
    assert_eq!(rows.collect::<Vec<_>>(), KAFKAS_OPTIONS);
    for line in section.lines().filter(|line| line.starts_with("| `") && line.contains("not built yet")) {
        let option = line.strip_prefix("| `").unwrap().split('`').next().unwrap();
        let refused = support::kfsck(root(), ["dump-log", "--files", "x.log", option]);
        assert_eq!(refused.status, Some(16), "{option}");
    }
    for option in KAFKAS_OPTIONS.iter().filter(|option| section.contains(&format!("`{option}` | the same |"))) {
        let alone = support::kfsck(root(), ["dump-log", "x.log", option]);
        let said = String::from_utf8(alone.stderr).unwrap();
        let is_taken = ["--print-data-log", "--deep-iteration"].contains(option);
        assert!(is_taken || said.contains(&format!("{option} is an option of kafka-dump-log")), "{option}: {said}");
    }
    let version = support::kfsck(root(), ["dump-log", "--kafka-format=3.9", "--version"]);
    assert!(String::from_utf8(version.stdout).unwrap().ends_with("printing as kafka-dump-log of 3.8 and 3.9\n"));
}

/// The commands of a page with what it says that they print.
fn commands(page: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for block in page.split("\n```").skip(1).step_by(2).filter_map(|block| block.strip_prefix("console\n")) {
        let mut continues = false;
        for line in block.lines() {
            match (line.strip_prefix("$ "), found.last_mut()) {
                (Some(command), _) => found.push((format!("{command}\n"), String::new())),
                (None, Some((command, _))) if continues => command.push_str(&format!("{line}\n")),
                (None, Some((_, said))) => said.push_str(&format!("{line}\n")),
                (None, None) => panic!("output without a command: {line}"),
            }
            continues = line.ends_with('\\');
        }
    }
    found
}

#[test]
fn the_examples_with_jq_print_what_the_page_says() {
    let has_jq = Command::new("jq").arg("--version").output().is_ok_and(|output| output.status.success());
    if !has_jq {
        return println!("jq is not there: the examples with it were not run");
    }
    let program = Path::new(env!("CARGO_BIN_EXE_kfsck"));
    let mut path = OsString::from(program.parent().unwrap());
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap());
    let commands = commands(&read("docs/json.md"));
    assert!(commands.len() >= 8, "{} commands", commands.len());
    for (command, said) in &commands {
        assert!(command.contains("| jq "), "{command}");
        let done = Command::new("sh").args(["-c", command]).env("PATH", &path).current_dir(root()).output().unwrap();
        let printed = String::from_utf8(done.stdout).unwrap();
        assert_eq!(&printed, said, "{command}{}", String::from_utf8_lossy(&done.stderr));
        assert!(done.stderr.is_empty() && done.status.success(), "{command}");
        assert!(!printed.trim().is_empty(), "{command}");
    }
}

/// Commands in the middle of a sentence, with words in capitals for what the reader puts there.
#[test]
fn commands_in_running_text_are_understood() {
    let root = tempfile::tempdir().unwrap();
    support::copy_partition(
        &support::scenario("4.4.0", "killed").log_dir(None, None).join("killed-plain-0"),
        root.path(),
        support::changing::long_ago(),
    );
    let mut run = 0;
    for page in ["README.md", "SHORTCOMINGS.md", "CHANGELOG.md"].map(str::to_owned).into_iter().chain(docs()) {
        let text: String = read(&page).split("\n```").step_by(2).collect();
        let marked = text.split('`').skip(1).step_by(2);
        for command in marked.filter_map(|marked| marked.strip_prefix("kfsck ")) {
            let given = |word: &str| match word {
                "PARTITION" => "killed-plain-0".to_owned(),
                "OFFSET" => "1".to_owned(),
                "SHELL" => "fish".to_owned(),
                "COMMAND" => "check".to_owned(),
                word => word.to_owned(),
            };
            let mut words: Vec<String> = command.split_whitespace().map(given).collect();
            // The name of a command stands for all that it does.
            if words.len() == 1 {
                words.push("--help".to_owned());
            }
            let finished = support::kfsck(root.path(), &words);
            let said = String::from_utf8_lossy(&finished.stderr).into_owned();
            let is_name = words.last().is_some_and(|word| word.starts_with('-'));
            assert!(finished.status != Some(16) || is_name && said.contains("require"), "{page}: {command}: {said}");
            run += 1;
        }
    }
    assert!(run > 60, "{run} commands");
}

fn docs() -> Vec<String> {
    let names = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| format!("docs/{}", name.into_string().unwrap()));
    names.filter(|name| name.ends_with(".md") && name != "docs/performance.md").collect()
}
