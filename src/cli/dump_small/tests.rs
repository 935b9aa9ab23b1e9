use super::*;
use crate::report::reporter::Format;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::fs;

fn dump(path: &Path, format: Format) -> (Result<Seen, DumpError>, String) {
    let name = FileName::parse(path.file_name().unwrap().to_str().unwrap()).unwrap();
    let mut reporter = Reporter::new(format, TimeZone::UTC, None);
    let (mut out, mut flushed) = (Vec::new(), Vec::new());
    let mut flush = |out: &mut Vec<u8>| {
        flushed.append(out);
        Ok(())
    };
    let seen = dump_small(path, &name, &mut reporter, &mut out, &mut flush);
    reporter.flush(&mut out);
    flushed.append(&mut out);
    (seen, String::from_utf8(flushed).unwrap())
}

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if let Some(name) = FileName::parse(path.file_name().unwrap().to_str().unwrap())
            && limit(name.kind).is_some()
        {
            found.push(path);
        }
    }
}

#[test]
fn no_file_of_a_real_broker_is_damaged_and_every_line_is_json() {
    let mut found = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/real"), &mut found);
    let mut kinds = BTreeMap::new();
    for path in found {
        let (seen, lines) = dump(&path, Format::Json);
        let seen = seen.unwrap();
        assert!(!seen.damaged, "{}: {lines}", path.display());
        let lines: Vec<serde_json::Value> = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")))
            .collect();
        assert_eq!(lines.len() as u64, 1 + seen.entries, "{}", path.display());
        assert_eq!(lines[0]["type"], "file");
        assert_eq!(lines[0]["sizeInBytes"], fs::metadata(&path).unwrap().len());
        assert!(lines.iter().all(|line| line["file"] == path.to_str().unwrap()));
        *kinds.entry(lines[0]["kind"].as_str().unwrap().to_owned()).or_insert(0) += seen.entries;
        assert_eq!(dump(&path, Format::Text).0.unwrap(), seen);
    }
    assert_eq!(kinds.len(), 13, "{kinds:?}");
    assert!(kinds.values().all(|entries| *entries > 0), "{kinds:?}");
}

/// The numbers are those that the broker's own `kafka-dump-log` printed of these files.
#[test]
fn the_transactions_of_a_real_broker_are_shown() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/real/2.8.2/transactions/log-dir/txn-mixed-0");
    let path = dir.join("00000000000000000025.txnindex");
    let (_, lines) = dump(&path, Format::Text);
    let expected = "aborted transactions of the segment that starts at offset 25\n\
                    entry 0  producer 5  first offset 28  last offset 29  last stable offset 30\n\
                    entry 1  producer 1  first offset 34  last offset 35  last stable offset 32\n";
    assert_eq!(lines, format!("{}  {expected}", path.display()));
    let (_, lines) = dump(&dir.join("00000000000000000011.snapshot"), Format::Text);
    let lines: Vec<_> = lines.lines().skip(1).collect();
    assert_eq!(lines.len(), 4);
    assert_eq!(
        lines[1..3],
        [
            "producer 1 epoch 0  sequence 1..2  last offset 6  2026-11-21T23:19:20.349Z  coordinator epoch 0",
            "producer 2 epoch 0  sequence 0  last offset 8  2026-11-21T23:19:20.163Z  open transaction from offset 8"
        ]
    );
}

#[test]
fn a_file_is_named_with_its_kind_before_its_lines() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("00000000000000001000.timeindex.swap");
    fs::write(&path, [0, 0, 0, 0, 0, 0, 0, 60, 0, 0, 0, 3]).unwrap();
    let path_text = path.to_str().unwrap();
    let (seen, lines) = dump(&path, Format::Json);
    assert_eq!(seen.unwrap(), Seen { entries: 1, damaged: false });
    let expected = format!(
        "{{\"type\":\"file\",\"file\":\"{path_text}\",\"kind\":\"timeIndex\",\"baseOffset\":1000,\"sizeInBytes\":12}}\n\
         {{\"type\":\"timeIndexEntry\",\"file\":\"{path_text}\",\"slot\":0,\"timestamp\":60,\"offset\":1003}}\n"
    );
    assert_eq!(lines, expected);
    let path = dir.path().join("00000000000000000009.snapshot");
    fs::write(&path, b"\0\x01").unwrap();
    let (seen, lines) = dump(&path, Format::Json);
    assert!(seen.unwrap().damaged);
    assert!(
        lines.contains(r#""kind":"producerSnapshot","sizeInBytes":2}"#),
        "the end of a snapshot is no base: {lines}"
    );
}

#[test]
fn what_cannot_be_shown_is_an_error_and_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("00000000000000000000.index");
    fs::File::create(&path).unwrap().set_len(256 * MIB + 8).unwrap();
    let (seen, lines) = dump(&path, Format::Text);
    assert!(matches!(seen, Err(DumpError::Store(StoreError::TooLarge { limit: 268_435_456, .. }))));
    assert_eq!(lines, "");
    let missing = dir.path().join("quorum-state");
    assert!(matches!(dump(&missing, Format::Text).0, Err(DumpError::Store(StoreError::Io { .. }))));
    let lock = dir.path().join(".lock");
    let error = dump(&lock, Format::Text).0.unwrap_err();
    assert_eq!(error.to_string(), format!("{} has no entries to show (lock)", lock.display()));
}
