//! The layers know only those that they may know, and what touches the world outside is where it belongs.
//!
//! `format ← store ← scan ← check ← repair`; `report` words their values; `cli` sees all and is seen by none but `main`.
//! Looked at is the text of every file in `src`: paths that begin with `crate`, `super` or `kfsck`, and a few names of
//! the standard library. A layer that is added must be added here.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Each layer, and the layers that it may name besides itself.
const LAYERS: &[(&str, &[&str])] = &[
    ("format", &[]),
    ("store", &["format"]),
    ("scan", &["format", "store"]),
    ("check", &["format", "store", "scan"]),
    ("repair", &["format", "store", "scan", "check"]),
    // Of `store` it words names and errors.
    ("report", &["format", "store", "scan", "check", "repair"]),
    ("cli", &["format", "store", "scan", "check", "repair", "report"]),
    // `main.rs` is not part of the library and only calls it.
    ("main", &["cli"]),
];

/// Paths of the world outside, and the layers whose code (not their tests) may name them.
const OUTSIDE: &[(&[&str], &[&str])] = &[
    (&["std", "fs"], &["store"]),
    (&["rustix", "fs"], &["store"]),
    (&["nix"], &["store"]),
    (&["memmap2"], &["store"]),
    (&["std", "env"], &["cli", "main"]),
    (&["std", "process"], &["cli", "main"]),
    (&["std", "net"], &[]),
    (&["anyhow"], &["cli"]),
    (&["clap"], &["cli"]),
    (&["signal_hook"], &["cli"]),
];

/// Output goes through a writer that is handed in.
const PRINTING: &[&str] = &["println", "eprintln", "print", "eprint", "dbg"];

/// The only files with unsafe code.
const UNSAFE: &[&str] = &[
    // To map a file is a promise that nobody else changes it.
    "store/map.rs",
    // To ask for memory ahead takes an address.
    "format/prefetch.rs",
    // Instructions that not every processor has.
    "report/escape_x86.rs",
    // What runs in a signal handler is restricted.
    "cli/signals.rs",
];

#[test]
fn no_layer_names_one_that_it_must_not_know() {
    let files = sources();
    let violations: Vec<String> = files.iter().flat_map(|(path, text)| violations(path, text)).collect();
    assert!(violations.is_empty(), "\n{}", violations.join("\n"));
    for path in UNSAFE {
        let text = files.iter().find(|(file, _)| file == path).map(|(_, text)| text);
        assert!(text.is_some_and(|text| tokens(text).contains(&"unsafe".to_owned())), "{path} needs no exception");
    }
    assert!(files.len() > 30, "only {} files were found", files.len());
}

#[test]
fn every_layer_there_is_is_in_the_table_and_the_table_has_no_cycle() {
    for (path, _) in sources() {
        let layer = layer_of(&path);
        assert!(layer == "lib" || LAYERS.iter().any(|(known, _)| *known == layer), "{path} belongs to no known layer");
    }
    let mut known: BTreeSet<&str> = BTreeSet::new();
    for (layer, may_know) in LAYERS {
        assert!(may_know.iter().all(|other| known.contains(other)), "{layer} knows a layer that comes after it");
        known.insert(layer);
    }
}

#[test]
fn what_is_forbidden_is_found() {
    for (path, text, found) in [
        ("format/batch.rs", "use crate::store::Window;", "format names store"),
        ("format/compression/gzip.rs", "fn f() { super::super::super::scan::walk() }", "format names scan"),
        ("store/mod.rs", "use crate::{\n    format::Offset,\n    scan::{self, BatchScan},\n};", "store names scan"),
        ("store/mod.rs", "use super::report;", "store names report"),
        ("scan/mod.rs", "mod inner { use super::super::{format::Offset, check}; }", "scan names check"),
        ("report/log.rs", "fn f(cli: &crate::cli::Cli) {}", "report names cli"),
        ("report/log.rs", "#[cfg(test)] mod tests { use crate::cli::run; }", "report names cli"),
        ("check/mod.rs", "use crate::*;", "check names everything"),
        ("main.rs", "fn main() { kfsck::store::open() }", "main names store"),
        ("format/batch.rs", "use std::{fmt, fs::File};", "format names std::fs"),
        ("scan/mod.rs", "fn f() { std::fs::read(\"x\"); }", "scan names std::fs"),
        ("store/open.rs", "use std::env;", "store names std::env"),
        ("repair/mod.rs", "std::process::exit(1)", "repair names std::process"),
        ("report/row.rs", "fn f() -> anyhow::Result<()> {}", "report names anyhow"),
        ("cli/mod.rs", "fn f() { println!(\"x\") }", "println! is called"),
        ("scan/mod.rs", "fn f() { unsafe { g() } }", "unsafe code"),
    ] {
        assert_eq!(violations(path, text), [format!("{path}: {found}")], "{text}");
    }
}

#[test]
fn what_is_allowed_is_not_found() {
    for (path, text) in [
        ("scan/mod.rs", "use crate::{format::Offset, store::{ReadStorage, StoreError}};"),
        ("scan/mod.rs", "// use crate::report;\n/* std::fs /* nested */ unsafe */ const A: &str = \"crate::cli::x\";"),
        (
            "scan/mod.rs",
            "const A: &str = r#\"std::env \" println!\"#; fn f<'a>(c: char) -> bool { c == '\"' || c == '\\'' }",
        ),
        ("scan/tests.rs", "use std::fs;"),
        ("store/lock.rs", "#[cfg(test)]\nmod tests { fn f() { println!(); std::env::args(); mod deeper {} } }"),
        ("format/mod.rs", "pub(in crate::format) mod a { mod b { use super::super::Offset; } }\n#![deny(unsafe_code)]"),
        ("store/map.rs", "fn f() { unsafe { g() } }"),
        ("store/open.rs", "use std::fs::{self, File}; use std::io;"),
        ("main.rs", "fn main() -> std::process::ExitCode { kfsck::cli::run() }"),
    ] {
        assert_eq!(violations(path, text), [""; 0], "{text}");
    }
}

/// Path below `src` and text of every source file, sorted.
fn sources() -> Vec<(String, String)> {
    fn collect(directory: &Path, prefix: &str, files: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(directory).expect("readable") {
            let path = entry.expect("readable").path();
            let name = format!("{prefix}{}", path.file_name().expect("a name").to_string_lossy());
            if path.is_dir() {
                collect(&path, &format!("{name}/"), files);
            } else if name.ends_with(".rs") {
                files.push((name, fs::read_to_string(&path).expect("UTF-8")));
            }
        }
    }
    let mut files = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut files);
    files.sort();
    files
}

fn layer_of(path: &str) -> &str {
    path.split(['/', '.']).next().unwrap_or_default()
}

/// What the file at `path` (below `src`) must not do and does, each once.
fn violations(path: &str, text: &str) -> Vec<String> {
    let layer = layer_of(path);
    let may_know = LAYERS.iter().find(|(known, _)| *known == layer).map_or(&[][..], |(_, may_know)| *may_know);
    let all = tokens(text);
    let mut found = BTreeSet::new();
    for name in paths(&all, &module_path(path)).iter().filter_map(|path| path.first()) {
        let is_layer = LAYERS.iter().any(|(known, _)| known == name);
        if name == "*" {
            found.insert(format!("{path}: {layer} names everything"));
        } else if is_layer && name != layer && !may_know.contains(&name.as_str()) {
            found.insert(format!("{path}: {layer} names {name}"));
        }
    }
    if all.iter().any(|token| token == "unsafe") && !UNSAFE.contains(&path) {
        found.insert(format!("{path}: unsafe code"));
    }
    if !path.ends_with("/tests.rs") {
        let code = without_tests(&all);
        for path_of_code in outside_paths(&code) {
            for (outside, allowed) in OUTSIDE {
                if path_of_code.iter().map(String::as_str).take(outside.len()).eq(outside.iter().copied())
                    && !allowed.contains(&layer)
                {
                    found.insert(format!("{path}: {layer} names {}", outside.join("::")));
                }
            }
        }
        for macro_call in code.windows(2).filter(|pair| pair[1] == "!" && PRINTING.contains(&pair[0].as_str())) {
            found.insert(format!("{path}: {}! is called", macro_call[0]));
        }
    }
    found.into_iter().collect()
}

/// The module that a file is, from the root of the crate: none for `lib.rs` and `main.rs`.
fn module_path(path: &str) -> Vec<String> {
    let mut parts: Vec<String> = path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if parts.len() == 1 || parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    parts
}

/// Every path in the code that begins with `crate`, `kfsck` or `super`, from the root of the crate.
fn paths(tokens: &[String], module: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    // The modules inside the file, each with the depth of braces at which it ends.
    let mut inline: Vec<(usize, String)> = Vec::new();
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        let begins_path = at == 0 || tokens[at - 1] != "::";
        match token.as_str() {
            "{" => {
                depth += 1;
                if at >= 2 && tokens[at - 2] == "mod" {
                    inline.push((depth, tokens[at - 1].clone()));
                }
            }
            "}" => {
                inline.pop_if(|(its_depth, _)| *its_depth == depth);
                depth = depth.saturating_sub(1);
            }
            "crate" | "kfsck" if begins_path => follow(tokens, at + 1, Vec::new(), &mut found),
            "super" if begins_path => {
                let mut base: Vec<String> = module.to_vec();
                base.extend(inline.iter().map(|(_, name)| name.clone()));
                base.pop();
                follow(tokens, at + 1, base, &mut found);
            }
            _ => {}
        }
    }
    found
}

/// Every path that begins with a name and `::`, groups resolved, and the names before a lone `::`.
fn outside_paths(tokens: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let begins_path = at == 0 || tokens[at - 1] != "::" || at < 2 || !is_name(&tokens[at - 2]);
        if begins_path && is_name(token) && tokens.get(at + 1).is_some_and(|next| next == "::") {
            follow(tokens, at + 1, vec![token.clone()], &mut found);
        }
    }
    found
}

/// Goes on along a path from `base`, `at` being where a `::` may stand, and into every branch of a group.
fn follow(tokens: &[String], mut at: usize, mut base: Vec<String>, found: &mut Vec<Vec<String>>) {
    while tokens.get(at).is_some_and(|token| token == "::") {
        let Some(next) = tokens.get(at + 1) else { break };
        match next.as_str() {
            "super" => drop(base.pop()),
            "{" => {
                let mut depth = 0_usize;
                for (inner, token) in tokens.iter().enumerate().skip(at + 1) {
                    match token.as_str() {
                        "{" => depth += 1,
                        "}" => depth -= 1,
                        _ => {}
                    }
                    let begins_branch = matches!(tokens[inner - 1].as_str(), "{" | ",");
                    if depth == 1 && begins_branch && (is_name(token) || token == "*") {
                        let mut branch = base.clone();
                        if token == "super" {
                            drop(branch.pop())
                        } else {
                            branch.push(token.clone())
                        }
                        follow(tokens, inner + 1, branch, found);
                    }
                    if depth == 0 {
                        return;
                    }
                }
                return;
            }
            name if is_name(name) || name == "*" => base.push(next.clone()),
            _ => break,
        }
        at += 2;
    }
    found.push(base);
}

fn is_name(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// The tokens outside of modules under `#[cfg(test)]`.
fn without_tests(tokens: &[String]) -> Vec<String> {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut code = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let marked = tokens[at..].iter().map(String::as_str).take(MARK.len()).eq(MARK);
        let body = tokens[at..].iter().position(|token| token == "{" || token == ";");
        if let Some(body) = body.filter(|_| marked) {
            let mut depth = 0_usize;
            at += body;
            while at < tokens.len() {
                match tokens[at].as_str() {
                    "{" => depth += 1,
                    "}" => depth -= 1,
                    _ => {}
                }
                at += 1;
                if depth == 0 {
                    break;
                }
            }
        } else {
            code.push(tokens[at].clone());
            at += 1;
        }
    }
    code
}

/// Names, `::` and single other characters; comments, texts and characters are left out.
fn tokens(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let starts = |at: usize, with: &str| with.chars().enumerate().all(|(n, c)| chars.get(at + n) == Some(&c));
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        if starts(at, "//") {
            at += chars[at..].iter().position(|&c| c == '\n').unwrap_or(chars.len() - at);
        } else if starts(at, "/*") {
            let mut depth = 0_usize;
            loop {
                if starts(at, "/*") {
                    depth += 1;
                    at += 2;
                } else if starts(at, "*/") {
                    depth -= 1;
                    at += 2;
                } else {
                    at += 1;
                }
                if depth == 0 || at >= chars.len() {
                    break;
                }
            }
        } else if c == '"' {
            at += 1;
            while at < chars.len() && chars[at] != '"' {
                at += if chars[at] == '\\' { 2 } else { 1 };
            }
            at += 1;
        } else if c == '\'' {
            // Either a character or a lifetime, of which the name is left.
            at += match chars.get(at + 1) {
                Some('\\') => 3 + chars[at + 3..].iter().position(|&c| c == '\'').unwrap_or(0) + 1,
                _ if chars.get(at + 2) == Some(&'\'') => 3,
                _ => 1,
            };
        } else if c.is_alphanumeric() || c == '_' {
            let length = chars[at..].iter().take_while(|c| c.is_alphanumeric() || **c == '_').count();
            let word: String = chars[at..at + length].iter().collect();
            at += length;
            let hashes = chars[at..].iter().take_while(|&&c| c == '#').count();
            if matches!(word.as_str(), "r" | "br" | "cr") && chars.get(at + hashes) == Some(&'"') {
                let end = format!("\"{}", "#".repeat(hashes));
                at += hashes + 1;
                while at < chars.len() && !starts(at, &end) {
                    at += 1;
                }
                at += end.len();
            } else {
                tokens.push(word);
            }
        } else if starts(at, "::") {
            tokens.push("::".to_owned());
            at += 2;
        } else {
            if !c.is_whitespace() {
                tokens.push(c.to_string());
            }
            at += 1;
        }
    }
    tokens
}
