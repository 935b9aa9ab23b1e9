//! Every JSON line that any command prints is as `docs/json-schema.json` says, and every type and field of it is printed.

#[path = "support/healthy.rs"]
mod healthy;
#[path = "support/recipe.rs"]
mod recipe;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use jsonschema::Validator;
use kfsck::format::Offset;
use kfsck::format::batch::RecordBatchBuilder;
use kfsck::format::compression::Compression;
use kfsck::format::control::{self, ControlKey, ControlRecord, Endpoint, Voter};
use kfsck::format::record::RecordFields;
use kfsck::format::uuid::Uuid;
use serde_json::{Value, json};
use support::changing::log_dir_copy;
use support::{in_parallel, json_output, kfsck, scenario, scenarios, testdata};

const COMMANDS: [&str; 8] =
    ["ls", "dump-log", "lookup", "verify-index", "check", "rebuild-index", "truncate-to-hw", "undo"];

/// A log larger than this is not looked at again and again.
const LARGE: u64 = 100 << 20;

/// The schema, and what of it was seen.
struct Schema {
    whole: Value,
    by_type: BTreeMap<String, Validator>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    words: BTreeSet<String>,
    commands: BTreeSet<String>,
    lines: u64,
}

impl Schema {
    fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/json-schema.json");
        let whole: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        jsonschema::meta::validate(&whole).unwrap_or_else(|error| panic!("not a schema: {error}"));
        let types = whole["oneOf"].as_array().unwrap().iter().map(|one| target(one).unwrap().to_owned());
        let by_type = types.map(|name| {
            let one =
                json!({ "$schema": whole["$schema"], "$ref": format!("#/$defs/{name}"), "$defs": whole["$defs"] });
            (name, jsonschema::validator_for(&one).unwrap())
        });
        let by_type = by_type.collect();
        Self { whole, by_type, seen: Mutex::default() }
    }

    /// Runs a command and holds all its lines against the schema.
    fn run<A: AsRef<std::ffi::OsStr>>(&self, arguments: impl IntoIterator<Item = A>) {
        let arguments: Vec<_> = arguments.into_iter().map(|argument| argument.as_ref().to_owned()).collect();
        let told = format!("{arguments:?}");
        let done = kfsck(Path::new("/"), arguments.into_iter().chain(["-f".into(), "json".into()]));
        let lines = json_output(&done.stdout).unwrap_or_else(|error| panic!("{told}: {error}"));
        let (first, last) = (lines.first(), lines.last());
        let first = first.unwrap_or_else(|| panic!("{told}: {}", String::from_utf8_lossy(&done.stderr)));
        assert_eq!(first["type"], "header", "{told}");
        assert_eq!(last.map(|last| &last["type"]), Some(&json!("summary")), "{told}");
        assert_eq!(last.map(|last| &last["exitStatus"]), Some(&json!(done.status)), "{told}");
        let mut words = BTreeSet::new();
        for line in &lines {
            let kind = line["type"].as_str().unwrap_or_else(|| panic!("{told}: {line}"));
            let validator = self.by_type.get(kind).unwrap_or_else(|| panic!("{told}: no such type: {line}"));
            if let Err(error) = validator.validate(line) {
                panic!("{told}: {error} at {}: {line}", error.instance_path());
            }
            self.note(&self.whole["$defs"][kind], kind, line, &mut words);
        }
        let mut seen = self.seen.lock().unwrap();
        seen.words.append(&mut words);
        seen.commands.insert(first["command"].as_str().unwrap().to_owned());
        seen.lines += lines.len() as u64;
    }

    /// Notes which words of the schema a value has.
    fn note(&self, schema: &Value, name: &str, value: &Value, seen: &mut BTreeSet<String>) {
        seen.insert(name.to_owned());
        if let Some(target) = target(schema) {
            return self.note(&self.whole["$defs"][target], target, value, seen);
        }
        for one in schema["anyOf"].as_array().into_iter().flatten() {
            self.note(one, name, value, seen);
        }
        for (key, property) in schema["properties"].as_object().into_iter().flatten() {
            if let Some(value) = value.get(key) {
                self.note(property, &format!("{name}.{key}"), value, seen);
            }
        }
        for item in value.as_array().into_iter().flatten().filter(|_| schema["items"].is_object()) {
            self.note(&schema["items"], name, item, seen);
        }
    }

    /// All words that the schema has.
    fn words(&self) -> BTreeSet<String> {
        fn collect(schema: &Value, name: &str, words: &mut BTreeSet<String>) {
            for (key, property) in schema["properties"].as_object().into_iter().flatten() {
                words.insert(format!("{name}.{key}"));
                collect(property, &format!("{name}.{key}"), words);
            }
            schema.get("items").into_iter().for_each(|items| collect(items, name, words));
            schema["anyOf"].as_array().into_iter().flatten().for_each(|one| collect(one, name, words));
        }
        let mut words = BTreeSet::new();
        for (name, schema) in self.whole["$defs"].as_object().unwrap() {
            words.insert(name.clone());
            collect(schema, name, &mut words);
        }
        words
    }
}

/// The definition that a reference leads to.
fn target(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix("#/$defs/")
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split_whitespace()
}

fn on(schema: &Schema, command: &str, paths: &[PathBuf]) {
    schema.run(words(command).map(Into::into).chain(paths.iter().map(|path| path.as_os_str().to_owned())));
}

/// Everything that writes nothing, on a log dir with its partitions.
fn look(schema: &Schema, log_dir: &Path) {
    for command in [
        "check --deep --show info",
        "check --quick",
        "verify-index -v",
        "ls",
        "rebuild-index --all",
        "truncate-to-hw --all-partitions --to intact-end",
        "truncate-to-hw --all-partitions --to 3",
        "undo --list",
        "lookup --explain --offset 1 --timestamp 0 --timestamp latest --timestamp max-timestamp --key k",
        "lookup --explain --offset 1 --timestamp 0 --timestamp max-timestamp --method broker",
        "lookup --timestamp 0 --timestamp max-timestamp --method both",
    ] {
        on(schema, command, &[log_dir.to_owned()]);
    }
    on(schema, "dump-log -r", &Vec::from_iter(healthy::files(log_dir)));
    for partition in fs::read_dir(log_dir).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        on(schema, "ls", &[partition]);
    }
}

/// What tells of damage.
fn look_at_damage(schema: &Schema, log_dir: &Path) {
    on(schema, "check --deep --show info", &[log_dir.to_owned()]);
    let files = Vec::from_iter(healthy::files(log_dir));
    if files.iter().any(|file| fs::metadata(file).unwrap().len() > LARGE) {
        return;
    }
    on(schema, "ls", &[log_dir.to_owned()]);
    for partition in fs::read_dir(log_dir).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        on(schema, "ls", &[partition]);
    }
    on(schema, "dump-log", &files);
    let both = "lookup --explain --offset 1 --timestamp 1700000009000 --timestamp max-timestamp --method both";
    on(schema, both, &[log_dir.to_owned()]);
    on(schema, "truncate-to-hw --all-partitions --to intact-end", &[log_dir.to_owned()]);
}

/// Changes and their undoing, on copies.
fn change(schema: &Schema) {
    let transactions = scenario("4.4.0", "transactions").log_dir(None, None);
    let (_keep, log_dir) = log_dir_copy(&transactions);
    let partition = log_dir.join("txn-mixed-0");
    let on = |command: &str, path: &Path| on(schema, command, &[path.to_owned()]);
    fs::remove_file(partition.join("00000000000000000011.timeindex")).unwrap();
    for command in
        ["rebuild-index", "rebuild-index --apply", "undo --list", "undo", "undo --apply", "rebuild-index --apply"]
    {
        on(command, &partition);
    }
    for command in ["undo --discard", "undo --discard --apply", "truncate-to-hw --to 20 --apply --allow-data-loss"] {
        on(command, &partition);
    }
    on("undo --apply", &log_dir);
    let ends = log_dir.parent().unwrap().join("ends");
    fs::write(&ends, "txn-mixed-0 7\n").unwrap();
    on(&format!("truncate-to-hw --offsets {}", ends.display()), &log_dir);
    let diverged = scenario("3.9.0", "replicas-diverged");
    let [one, two] = [1, 2].map(|broker| diverged.log_dir(Some("before"), Some(broker)));
    on(&format!("truncate-to-hw --all-partitions --replica {}", two.display()), &one);
}

/// What no broker here has left behind: a quorum that knows its voters; bytes that are no text; misuse.
fn odd(schema: &Schema) {
    let dir = tempfile::tempdir().unwrap();
    let mut value = Vec::new();
    let endpoint = Endpoint { name: b"CONTROLLER", host: b"node-1", port: 9093 };
    let voter = |endpoints| Voter {
        voter_id: 1,
        voter_directory_id: Uuid(*b"kfsck-directory0"),
        endpoints,
        min_supported_version: 0,
        max_supported_version: 1,
    };
    control::put_voters(&mut value, 0, [voter([endpoint])].into_iter());
    let mut header = RecordBatchBuilder::plain_header(Offset(0), 1_700_000_000_000);
    // A control batch.
    header.attributes |= 0x20;
    let mut batch = RecordBatchBuilder::new(header, Compression::None);
    let mut level = Vec::new();
    ControlRecord::KraftVersion { version: 0, kraft_version: 1 }.write_value(&mut level);
    for (control_type, value) in [(control::KRAFT_VERSION, &level), (control::KRAFT_VOTERS, &value)] {
        let mut key = Vec::new();
        ControlKey { version: 0, control_type }.write(&mut key);
        batch.push(&RecordFields { key: Some(&key), value: Some(value), ..RecordFields::default() });
    }
    let mut bytes = Vec::new();
    batch.write(&mut bytes).unwrap();
    let snapshot = dir.path().join("00000000000000000001-0000000001.checkpoint");
    fs::write(&snapshot, bytes).unwrap();
    let codecs = testdata().join("4.4.0/codecs/log-dir/codec-zstd-0");
    for form in ["hex", "base64", "int", "long", "json", "none"] {
        let path = codecs.to_str().unwrap();
        schema.run(["dump-log", "-r", "-n", "3", "--key-format", form, "--value-format", form, path]);
    }
    schema.run(["dump-log", "-r", snapshot.to_str().unwrap()]);
    let nowhere = dir.path().join("nowhere");
    let nowhere = nowhere.to_str().unwrap();
    for command in COMMANDS {
        let more: &[&str] = if command == "lookup" { &["--offset", "1"] } else { &[] };
        schema.run([command, nowhere].iter().chain(more));
    }
    schema.run(["truncate-to-hw", testdata().join("4.4.0/codecs/log-dir").to_str().unwrap()]);
}

#[test]
fn every_line_is_as_the_schema_says_and_every_word_of_the_schema_is_said() {
    let schema = Schema::read();
    let mut log_dirs = Vec::new();
    for scenario in scenarios(&testdata()) {
        let meta = healthy::files(&scenario.dir).into_iter().filter(|file| file.ends_with("meta.properties"));
        log_dirs.extend(meta.map(|file| file.parent().unwrap().to_owned()));
    }
    assert!(log_dirs.len() > 10, "{log_dirs:?}");
    in_parallel(log_dirs, |log_dir| look(&schema, &log_dir));
    let cases = recipe::read_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/recipes"));
    in_parallel(cases, |case| {
        let root = tempfile::tempdir().unwrap();
        look_at_damage(&schema, case.build(root.path()).partition.parent().unwrap());
    });
    change(&schema);
    odd(&schema);
    let seen = schema.seen.lock().unwrap();
    println!("{} lines", seen.lines);
    assert_eq!(seen.commands, COMMANDS.map(str::to_owned).into());
    let unsaid: Vec<_> = schema.words().difference(&seen.words).cloned().collect();
    assert!(unsaid.is_empty(), "in the schema, and never said: {unsaid:#?}");
}

#[test]
fn the_schema_refuses_what_is_not_said() {
    let schema = Schema::read();
    let whole = jsonschema::validator_for(&schema.whole).unwrap();
    let good = json!({ "type": "leaderEpoch", "file": "f", "epoch": 3, "startOffset": 1500 });
    assert!(whole.is_valid(&good));
    for (key, value) in [("more", json!(1)), ("epoch", json!("3")), ("epoch", json!(3.5)), ("type", json!("epoch"))] {
        let mut bad = good.clone();
        bad[key] = value;
        assert!(!whole.is_valid(&bad), "{bad}");
    }
    for key in ["type", "file", "epoch", "startOffset"] {
        let mut bad = good.clone();
        bad.as_object_mut().unwrap().remove(key);
        assert!(!whole.is_valid(&bad), "{bad}");
    }
}

/// The names that scripts build on are written down where renaming one is noticed.
#[test]
fn the_changelog_records_every_field_name() {
    let changelog = Path::new(env!("CARGO_MANIFEST_DIR")).join("CHANGELOG.md");
    let changelog = fs::read_to_string(changelog).unwrap();
    let section = changelog.split("### Field names of the JSON lines").nth(1).expect("the section");
    let section = section.split("\n##").next().unwrap();
    let recorded: BTreeMap<&str, BTreeSet<&str>> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |")?.split_once("` | "))
        .map(|(name, fields)| (name, fields.split(", ").map(|field| field.trim_matches('`')).collect()))
        .collect();
    let schema = Schema::read();
    let fields =
        |schema: &Value| schema["properties"].as_object().map(|all| all.keys().cloned().collect::<BTreeSet<_>>());
    let defined = schema.whole["$defs"].as_object().unwrap();
    let defined = defined.iter().filter_map(|(name, one)| Some((name.as_str(), fields(one)?)));
    let defined: BTreeMap<&str, BTreeSet<String>> = defined.collect();
    assert_eq!(recorded.keys().collect::<Vec<_>>(), defined.keys().collect::<Vec<_>>());
    for (name, fields) in &defined {
        assert_eq!(recorded[name], fields.iter().map(String::as_str).collect(), "{name}");
    }
}
