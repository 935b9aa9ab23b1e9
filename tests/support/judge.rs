//! Asking Kafka's own classes what they make of a partition directory.
//!
//! `KFSCK_JUDGE` names a program that reads commands, one a line (`load DIR …`, `lookup-law DIR …`), lets the Kafka that
//! `JUDGE_KAFKA` names carry them out on copies, and answers in JSON lines, `{"type":"done"}` after each command. It is
//! no part of this repository; what it said is kept beside the recipes and compared by every test run.

// Each integration test compiles this module for itself and uses a part of it.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::env;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The releases that are asked.
pub const RELEASES: [&str; 2] = ["3.9.2", "4.4.0"];

/// The program, where there is one to ask.
pub fn judge() -> Option<PathBuf> {
    env::var_os("KFSCK_JUDGE").filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// The answers of one release to each command.
pub fn ask(judge: &Path, release: &str, commands: &[String]) -> Vec<Vec<Value>> {
    let mut program = Command::new(judge)
        .arg("batch")
        .env("JUDGE_KAFKA", release)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", judge.display()));
    let mut stdin = program.stdin.take().unwrap();
    let text = commands.join("\n") + "\n";
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()).unwrap());
    let output = program.wait_with_output().unwrap();
    writer.join().unwrap();
    let mut answers = vec![Vec::new()];
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        match line["type"] == "done" {
            true => answers.push(Vec::new()),
            false => answers.last_mut().unwrap().push(line),
        }
    }
    answers.pop();
    assert_eq!(answers.len(), commands.len(), "answers of {release}");
    answers
}

/// What a broker makes of a partition when it starts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Start {
    /// The exception that ends the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exception: Option<String>,
    /// Whether the exception takes only the log dir offline.
    #[serde(default, skip_serializing_if = "is_false")]
    pub log_dir_offline: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_start_offset: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_end_offset: Option<i64>,
    /// Base offset and size of each segment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<(i64, u64)>,
    /// Epoch and start offset.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leader_epochs: Vec<(i64, i64)>,
    /// Files after the start and an orderly stop: `+` made, `-` removed, `~` changed, with their sizes; sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
}

fn is_false(value: &bool) -> bool {
    !value
}

impl Start {
    /// What the answer to a `load` says.
    pub fn of(answer: &[Value]) -> Self {
        let mut start = Self::default();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let pairs = |list: &Value, first: &str, second: &str| {
            let list = list.as_array().cloned().unwrap_or_default();
            list.iter().map(|one| (one[first].as_i64().unwrap(), one[second].as_i64().unwrap())).collect::<Vec<_>>()
        };
        for line in answer {
            match line["type"].as_str() {
                Some("state") => {
                    start.log_start_offset = line["logStartOffset"].as_i64();
                    start.log_end_offset = line["logEndOffset"].as_i64();
                    let segments = pairs(&line["segments"], "baseOffset", "size");
                    start.segments = segments.into_iter().map(|(base, size)| (base, size as u64)).collect();
                    start.leader_epochs = pairs(&line["leaderEpochs"], "epoch", "startOffset");
                }
                Some("outcome") => {
                    let exception = text(&line["exception"]);
                    start.exception = exception.map(|name| name.rsplit('.').next().unwrap().to_owned());
                    start.log_dir_offline = line["logDirOffline"] == true;
                }
                _ => {
                    let sign = match line["change"].as_str() {
                        Some("created") => '+',
                        Some("deleted") => '-',
                        Some("changed") => '~',
                        Some("renamed") => '>',
                        other => panic!("{other:?} in {line}"),
                    };
                    let size = line["size"].as_u64().map_or(String::new(), |size| format!(" {size}"));
                    start.files.push(format!("{sign}{}{size}", line["name"].as_str().unwrap()));
                }
            }
        }
        start.files.sort();
        start
    }
}

/// What each release does; `*` where both do the same.
pub fn by_release(starts: Vec<Start>) -> BTreeMap<String, Start> {
    match starts.windows(2).all(|pair| pair[0] == pair[1]) {
        true => starts.into_iter().take(1).map(|start| ("*".to_owned(), start)).collect(),
        false => RELEASES.iter().map(|release| (*release).to_owned()).zip(starts).collect(),
    }
}
