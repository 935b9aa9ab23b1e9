//! `testdata/real` holds exactly the files that its MANIFEST lists, as they were written by real brokers.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use sha2::{Digest, Sha256};

/// Size and lower-case hexadecimal SHA-256 by path, `/` between the parts.
type Files = BTreeMap<String, (u64, String)>;

fn listed() -> Files {
    let manifest =
        fs::read_to_string(support::testdata().join("MANIFEST")).expect("testdata/real/MANIFEST is readable");
    let mut files = Files::new();
    for line in manifest.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [path, size, sha256, release, scenario, command] = fields[..] else {
            panic!("not six fields: {line}");
        };
        assert!(path.starts_with(&format!("{release}/{scenario}/")), "{path} is not of {release}/{scenario}");
        assert!(!command.is_empty(), "{path}: which command made it?");
        let earlier = files.insert(path.to_owned(), (size.parse().expect("a size"), sha256.to_owned()));
        assert!(earlier.is_none(), "{path} is listed twice");
    }
    files
}

fn collect(directory: &Path, prefix: &str, files: &mut Files) {
    for entry in fs::read_dir(directory).expect("readable") {
        let path = entry.expect("readable").path();
        let name = format!("{prefix}{}", support::file_name(&path));
        if path.is_dir() {
            collect(&path, &format!("{name}/"), files);
        } else if name != "MANIFEST" {
            let bytes = fs::read(&path).expect("readable");
            let digest = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            files.insert(name, (bytes.len() as u64, digest));
        }
    }
}

#[test]
fn the_manifest_lists_exactly_the_files_there_are_with_their_sizes_and_digests() {
    let listed = listed();
    let mut found = Files::new();
    collect(&support::testdata(), "", &mut found);

    let missing: Vec<&String> = listed.keys().filter(|path| !found.contains_key(*path)).collect();
    let unlisted: Vec<&String> = found.keys().filter(|path| !listed.contains_key(*path)).collect();
    let changed: Vec<&String> =
        found.keys().filter(|path| listed.get(*path).is_some_and(|l| *l != found[*path])).collect();
    assert!(missing.is_empty(), "listed, but not there (does version control ignore them?): {missing:#?}");
    assert!(unlisted.is_empty(), "there, but not listed: {unlisted:#?}");
    assert!(changed.is_empty(), "not as listed (were line ends changed at checkout?): {changed:#?}");
    assert!(!listed.is_empty());
}

#[test]
fn the_real_data_stay_small() {
    let total: u64 = listed().values().map(|(size, _)| size).sum();
    assert!(total < 3_000_000, "{total} bytes in testdata/real");
}
