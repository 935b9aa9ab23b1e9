//! `docs/findings.md` explains every kind of finding that there is, once, in the order of the catalogue, and says the same
//! as the program.

use std::fs;
use std::path::Path;

use kfsck::check::Id;
use kfsck::report::findings::{Mend, repair_name, severity_name, words};

/// The sections of the page: the name in the heading, and the text up to the next heading with all blanks as one.
fn sections() -> Vec<(String, String)> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/findings.md");
    let page = fs::read_to_string(page).expect("docs/findings.md can be read");
    let mut sections: Vec<(String, String)> = Vec::new();
    for part in page.split("\n### ").skip(1) {
        let (name, text) = part.split_once('\n').expect("a heading");
        let text = text.split("\n## ").next().unwrap_or_default();
        sections.push((name.to_owned(), text.split_whitespace().collect::<Vec<_>>().join(" ")));
    }
    sections
}

#[test]
fn every_id_has_one_section_in_the_order_of_the_catalogue() {
    let on_page: Vec<String> = sections().into_iter().map(|(name, _)| name).collect();
    let in_code: Vec<&str> = Id::ALL.iter().map(|id| id.name()).collect();
    assert_eq!(on_page, in_code);
}

#[test]
fn severity_and_repair_are_those_of_the_code() {
    for (name, text) in sections() {
        let id = Id::of(&name).expect("a known id");
        let expected = format!("Severity: {}. Repair: {}. ", severity_name(id.severity()), repair_name(id.repair()));
        assert!(text.starts_with(&expected), "{name}: {expected}");
    }
}

#[test]
fn every_section_says_what_the_program_says() {
    for (name, text) in sections() {
        let words = words(Id::of(&name).expect("a known id"));
        let mend = match words.mend {
            Mend::Command(command) => format!("**To mend it**: `kfsck {command} PARTITION`"),
            Mend::ByHand(how) => format!("**To mend it**: {how}."),
        };
        let (clean, unclean) = match words.clean == words.unclean {
            true => (format!("**At a clean start and at an unclean start**: {}.", words.clean), String::new()),
            false => (
                format!("**At a clean start**: {}.", words.clean),
                format!("**At an unclean start**: {}.", words.unclean),
            ),
        };
        for said in [format!("**Readers**: {}.", words.readers), clean, unclean, mend] {
            assert!(text.contains(&said), "{name}: the page does not say: {said}");
        }
        // What it is, with or without a capital.
        assert!(text.contains(&words.what[1..]), "{name}: {}", words.what);
    }
}
