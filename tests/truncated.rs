//! A partition that was cut has the files that Kafka's own truncation leaves.
//!
//! `testdata/truncate/judged.jsonl.zst` holds what the classes of release 4.4.0 made of the partitions of
//! `testdata/real`: loaded as after an orderly stop with the log start of their checkpoint, cut at `end` (an offset at
//! which a batch ends) with the largest timestamps of their segments in memory, closed, producers not dropped for their
//! age. Per cut: the digests of files that are other than before, the names of those that are gone, and the log end that
//! the next start tells. A target inside the batch that begins there has to lead to the same cut. `KFSCK_TRUNCATIONS` may name another file of this kind, with absolute paths.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use kfsck::format::Offset;
use kfsck::format::batch::BatchHeader;
use kfsck::format::file_name::{FileKind, FileState};
use kfsck::repair::plan::{Step, digest};
use kfsck::repair::truncate::{Around, To, Truncation, plan};
use kfsck::scan::checkpoints::Checkpointed;
use kfsck::store::ReadPolicy;
use kfsck::store::partition::PartitionDir;
use kfsck::store::write::Disk;
use serde::Deserialize;
use support::testdata;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Judged {
    partition: String,
    log_start: i64,
    end: i64,
    changed: BTreeMap<String, String>,
    deleted: BTreeSet<String>,
    exc: Option<String>,
    reloaded: Option<i64>,
}

fn judged(mut text: impl Read) -> Vec<Judged> {
    let mut lines = String::new();
    text.read_to_string(&mut lines).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn what_is_left_is_what_kafka_leaves() {
    let recorded =
        File::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/truncate/judged.jsonl.zst")).unwrap();
    compare(judged(zstd::Decoder::new(recorded).unwrap()), &testdata(), 800);
}

#[test]
fn what_is_left_is_what_kafka_leaves_elsewhere_too() {
    let Some(path) = std::env::var_os("KFSCK_TRUNCATIONS") else { return };
    compare(judged(File::open(path).unwrap()), Path::new("/"), 1);
}

fn compare(judged: Vec<Judged>, root: &Path, least: usize) {
    let (mut cuts, mut strays, mut inside, mut differences) = (0, 0, 0, Vec::new());
    for one in &judged {
        if one.exc.is_some() {
            continue;
        }
        let dir = PartitionDir::read(&root.join(&one.partition)).unwrap();
        if is_padded(&dir) {
            continue;
        }
        cuts += 1;
        // A start removes all snapshots but the latest of those between segments, and tells producers from the others.
        let has_strays = has_strays(&dir);
        strays += usize::from(has_strays);
        match as_judged(&dir, one, !has_strays) {
            Ok(targets) => inside += targets,
            Err(difference) => differences.push(format!("{} at {}: {difference}", one.partition, one.end)),
        }
    }
    println!(
        "{} of {cuts} cuts as Kafka's own, {strays} of them without a look at snapshots; {inside} targets inside batches \
         cut there too",
        cuts - differences.len()
    );
    let shown: Vec<_> = differences.iter().take(40).cloned().collect();
    assert!(differences.is_empty(), "{} of {cuts} differ:\n{}", differences.len(), shown.join("\n"));
    assert!(cuts >= least, "{cuts}");
}

/// Whether there is a producer snapshot of no segment's base offset that a start removes: all but the last, and those
/// before the newest segment.
fn has_strays(dir: &PartitionDir) -> bool {
    let bases: BTreeSet<_> = dir.segments().iter().map(|segment| segment.base_offset).collect();
    let snapshots = dir.files.iter().filter(|file| file.name.kind == FileKind::ProducerSnapshot);
    let strays = snapshots.filter_map(|file| file.name.base_offset).filter(|offset| !bases.contains(offset));
    let strays: Vec<_> = strays.collect();
    strays.len() > 1 || strays.iter().any(|stray| bases.last().is_some_and(|last| stray < last))
}

/// Whether an index is preallocated: the classes, told that the log was closed, take its zeros for entries.
fn is_padded(dir: &PartitionDir) -> bool {
    let kinds = [(FileKind::OffsetIndex, 8), (FileKind::TimeIndex, 12)];
    let is_index = |kind| kinds.iter().find(|(index, _)| *index == kind).map(|(_, size)| *size);
    dir.files.iter().filter(|file| file.name.state == FileState::Live).any(|file| {
        let Some(size) = is_index(file.name.kind) else { return false };
        let bytes = fs::read(file.path()).unwrap();
        bytes.len() >= size && bytes[bytes.len() - size..].iter().all(|byte| *byte == 0)
    })
}

/// Holds the plan against what was judged. How many targets inside the batch behind the end lead to it too.
fn as_judged(dir: &PartitionDir, one: &Judged, with_snapshots: bool) -> Result<usize, String> {
    let checkpointed = Checkpointed { log_start_offset: Some(Offset(one.log_start)), ..Checkpointed::default() };
    let around =
        Around { log_dir: None, checkpointed, policy: ReadPolicy::default(), now_ms: 1_700_000_000_000, stop: None };
    let cut = plan(&Disk, dir, &around, To::Offset(Offset(one.end)), &|_| ()).map_err(|error| error.to_string())?;
    if one.reloaded != Some(cut.log_end_offset.0) {
        return Err(format!("log end {}, the next start says {:?}", cut.log_end_offset, one.reloaded));
    }
    if cut.plan.steps.is_empty() {
        // What the classes change then is what any start changes.
        return Ok(0);
    }
    let name = |step: &Step| step.file().file_name().unwrap().to_str().unwrap().to_owned();
    let mut changed = BTreeMap::new();
    let mut deleted = BTreeSet::new();
    for step in &cut.plan.steps {
        match step {
            Step::Replace { new, .. } => drop(changed.insert(name(step), new.digest[..16].to_owned())),
            Step::Remove { .. } => drop(deleted.insert(name(step))),
            Step::CutTail { file, to, .. } => {
                let bytes = fs::read(file).unwrap();
                changed.insert(name(step), digest(&bytes[..*to as usize])[..16].to_owned());
            }
        }
    }
    // Files marked as deleted go with the start that comes before.
    let is_compared = |name: &&String| !name.ends_with(".deleted") && (with_snapshots || !name.ends_with(".snapshot"));
    let mut differences = Vec::new();
    for (name, wanted) in one.changed.iter().filter(|(name, _)| is_compared(name)) {
        let unchanged = || fs::read(dir.path.join(name)).ok().map(|bytes| digest(&bytes)[..16].to_owned());
        let found = changed.remove(name).or_else(unchanged);
        // Where no epoch is left, the classes leave a file without a byte in place of one without a line.
        let no_epochs = name == "leader-epoch-checkpoint"
            && *wanted == digest(b"")[..16]
            && found.as_deref().is_none_or(|found| *found == digest(b"0\n0\n")[..16]);
        if found.as_ref() != Some(wanted) && !no_epochs {
            differences.push(format!("{name} is another"));
        }
    }
    differences.extend(changed.keys().filter(is_compared).map(|name| format!("{name} is changed, Kafka leaves it")));
    for name in one.deleted.difference(&deleted).filter(is_compared) {
        // Snapshots before the end are removed by the start that comes before: at or below the log start, and strays.
        let offset = name.strip_suffix(".snapshot").and_then(|offset| offset.parse::<i64>().ok());
        if offset.is_none_or(|offset| offset > one.end) {
            differences.push(format!("{name} is left"));
        }
    }
    differences.extend(
        deleted.difference(&one.deleted).filter(is_compared).map(|name| format!("{name} is gone, Kafka leaves it")),
    );
    if !differences.is_empty() {
        return Err(differences.join(", "));
    }
    let targets = inside_the_batch_behind(&cut);
    for target in &targets {
        let same = plan(&Disk, dir, &around, To::Offset(*target), &|_| ()).map_err(|error| error.to_string())?;
        if (same.plan.digest(), same.log_end_offset) != (cut.plan.digest(), cut.log_end_offset) {
            return Err(format!("at {target}, inside the next batch, the log is cut to {}", same.log_end_offset));
        }
    }
    Ok(targets.len())
}

/// Offsets in the batch that the log is cut before: behind its first one, in the middle, and its last.
fn inside_the_batch_behind(cut: &Truncation) -> BTreeSet<Offset> {
    let cut_tail = cut.plan.steps.iter().find_map(|step| match step {
        Step::CutTail { file, to, .. } => Some((file, *to)),
        _ => None,
    });
    let Some((log, position)) = cut_tail else { return BTreeSet::new() };
    let bytes = fs::read(log).unwrap();
    let (end, last) = (cut.log_end_offset.0, BatchHeader::read(&bytes[position as usize..]).unwrap().last_offset().0);
    BTreeSet::from([end + 1, end + (last - end) / 2, last].map(Offset))
        .into_iter()
        .filter(|at| at.0 > end && at.0 <= last)
        .collect()
}
