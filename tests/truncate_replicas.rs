//! `kfsck truncate-to-hw --replica`: as far as copies agree, told by the brokers that had them.
//!
//! `KFSCK_FIXTURES` may name more log dirs of this kind.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use kfsck::format::Offset;
use kfsck::format::leader_epoch::{self, LeaderEpochEntry, parse};
use kfsck::repair::divergence::Copy;
use support::changing::{Said, log_dir_copy, run, tree, undo_all, undo_dirs};
use support::{Scenario, Truth, collections, file_name, scenario, scenarios, subdirectories};

const COMMAND: &str = "truncate-to-hw";

fn told(partition: &Path, copies: &[PathBuf], more: &[&str]) -> Said {
    let mut arguments = vec!["-f", "json"];
    arguments.extend(more);
    for copy in copies {
        arguments.extend(["--replica", copy.to_str().unwrap()]);
    }
    run(COMMAND, &arguments, partition)
}

fn all(name: &str) -> Vec<Scenario> {
    let found = collections().iter().flat_map(|collection| scenarios(collection)).collect::<Vec<_>>();
    let found: Vec<_> = found.into_iter().filter(|scenario| scenario.name == name).collect();
    assert!(!found.is_empty());
    found
}

#[test]
fn the_target_is_the_smallest_log_end_of_the_copies_that_are_in_sync() {
    let mut compared = 0;
    for scenario in all("replicas-lagging") {
        for truth in scenario.truth() {
            // The high watermark that the leader told, and who was in sync.
            let Truth::Leadership { partition, leader, isr, high_watermark, .. } = truth else { continue };
            let log_dir = |broker| scenario.log_dir(None, Some(broker));
            let own = log_dir(leader).join(&partition);
            let copies: Vec<_> = isr.into_iter().filter(|broker| *broker != leader).map(log_dir).collect();
            if copies.is_empty() || copies.iter().any(|copy| !copy.is_dir()) {
                continue;
            }
            let said = told(&own, &copies, &[]);
            let plan = said.row("plan");
            assert_eq!(plan["target"].as_i64(), Some(high_watermark), "{partition}: {}", said.all());
            assert_eq!(plan["targetFrom"], "replicas");
            assert!(plan["remarks"].to_string().contains("taken for those in sync"), "{plan}");
            compared += 1;
        }
    }
    println!("{compared} partitions");
    assert!(compared >= 2);
}

#[test]
fn two_of_three_brokers_agree_further_than_all_three() {
    let lagging = scenario("3.9.0", "replicas-lagging");
    let [one, two] = [1, 2].map(|broker| lagging.log_dir(None, Some(broker)));
    let said = told(&one.join("lagging-0"), &[two.join("lagging-0")], &[]);
    assert_eq!(said.row("plan")["target"], 111, "{}", said.all());
    for scenario in all("replicas-lagging") {
        let [one, two, three] = [1, 2, 3].map(|broker| scenario.log_dir(None, Some(broker)));
        if three.is_dir() {
            let said = told(&one.join("lagging-1"), &[two, three], &[]);
            assert_eq!(said.row("plan")["target"], 72, "{}: {}", scenario.release, said.all());
        }
    }
}

#[test]
fn where_no_epochs_are_known_nothing_is_claimed_to_have_been_compared() {
    // Of its 120 offsets those before 60 have magic 0 and 1, and no leader epoch.
    let log_dir = scenario("2.8.2", "magic").log_dir(None, None);
    let (_dir, other) = log_dir_copy(&log_dir);
    let said = told(&log_dir.join("magic-mixed-0"), &[other], &[]);
    let plan = said.row("plan");
    assert_eq!((said.status, &plan["target"]), (Some(0), &120.into()), "{}", said.all());
    assert!(plan["remarks"].to_string().contains("offsets 0 up to 60 are taken to be alike"), "{plan}");
    let steady = scenario("3.9.0", "replicas-steady");
    let [one, two] = [1, 2].map(|broker| steady.log_dir(None, Some(broker)));
    let partitions = subdirectories(&one);
    assert!(!partitions.is_empty());
    for partition in partitions.iter().filter(|path| two.join(file_name(path)).is_dir()) {
        let said = told(partition, std::slice::from_ref(&two), &[]);
        assert!(!said.stdout.contains("taken to be alike"), "{}", said.all());
    }
}

#[test]
fn copies_that_diverge_are_cut_where_a_real_follower_cut() {
    let (mut compared, mut divergent, mut named) = (0, 0, 0);
    for scenario in all("replicas-diverged") {
        for truth in scenario.truth() {
            let Truth::Divergence { partition, brokers, divergence_offset, divergent: diverges, .. } = truth else {
                continue;
            };
            let log_dirs = [brokers[0], brokers[1]].map(|broker| scenario.log_dir(Some("before"), Some(broker)));
            let (_dir, own_log_dir) = log_dir_copy(&log_dirs[0]);
            let own = own_log_dir.join(&partition);
            let context = format!("{} {partition}", scenario.release);
            let copies = [log_dirs[1].clone()];
            let said = told(&own, &copies, &[]);
            let plan = said.row("plan");
            compared += 1;
            assert_eq!(plan["target"].as_i64(), Some(divergence_offset), "{context}: {}", said.all());
            if !diverges {
                assert_eq!((said.status, plan["copies"][0].get("divergenceOffset")), (Some(0), None), "{context}");
                continue;
            }
            divergent += 1;
            assert_eq!(plan["copies"][0]["divergenceOffset"].as_i64(), Some(divergence_offset), "{context}");
            // The checkpoint alone would have kept all that is not what the leader has.
            let high_watermark = plan["highWatermark"].as_i64();
            let known = [("plain", 162), ("short", 150), ("twice", 116)];
            let known = known.iter().find(|(kind, _)| partition == format!("diverged-{kind}-0") && brokers == [1, 2]);
            assert!(known.is_none_or(|(_, offset)| high_watermark == Some(*offset)), "{context}: {plan}");
            assert!(high_watermark > Some(divergence_offset), "{context}");
            for words in ["would have kept", "could not reveal where they diverge"] {
                assert!(plan["remarks"].to_string().contains(words), "{context}: {plan}");
            }
            named += usize::from(known.is_some());
            let before = tree(&own_log_dir);
            let done = told(&own, &copies, &["--apply", "--allow-data-loss"]);
            assert_eq!(done.status, Some(1), "{context}: {}", done.all());
            let after = scenario.log_dir(Some("after"), Some(brokers[0])).join(&partition);
            for name in ["00000000000000000000.log", "00000000000000000000.index"] {
                let cut = fs::read(own.join(name)).unwrap();
                assert!(!cut.is_empty());
                if let Ok(of_follower) = fs::read(after.join(name)) {
                    assert!(of_follower.starts_with(&cut), "{context} {name}");
                }
                let of_leader = fs::read(log_dirs[1].join(&partition).join(name)).unwrap();
                assert!(!name.ends_with("log") || of_leader.starts_with(&cut), "{context} {name}");
            }
            assert_eq!(told(&own, &copies, &["--apply"]).status, Some(0), "{context}");
            assert_eq!(run("check", &["-t", &partition], &own_log_dir).status, Some(0), "{context}");
            undo_all(&own).unwrap();
            assert_eq!(tree(&own_log_dir), before, "{context}");
        }
    }
    println!("{divergent} of {compared} pairs of copies diverge");
    assert!(compared >= 4 && divergent >= 3 && named >= 3);
}

/// Two log dirs of a partition whose copies diverge at 60, to be changed.
fn pair() -> ([tempfile::TempDir; 2], PathBuf, PathBuf) {
    let diverged = scenario("3.9.0", "replicas-diverged");
    let [(a, own), (b, copy)] = [1, 2].map(|broker| log_dir_copy(&diverged.log_dir(Some("before"), Some(broker))));
    ([a, b], own.join("diverged-plain-0"), copy.join("diverged-plain-0"))
}

#[test]
fn copies_that_cannot_be_compared_are_refused() {
    let refused = |change: &dyn Fn(&Path, &Path), words: &str| {
        let (_dirs, own, copy) = pair();
        change(&own, &copy);
        let before = tree(own.parent().unwrap());
        let copies = [copy];
        let said = told(&own, &copies, &["--apply", "--allow-data-loss"]);
        assert_eq!((said.status, said.rows("plan").len()), (Some(8), 0), "{words}: {}", said.all());
        assert!(said.stderr.contains(words), "{words}: {}", said.stderr);
        assert_eq!(tree(own.parent().unwrap()), before);
        assert!(undo_dirs(&own).is_empty());
    };
    let epochs = |copy: &Path, entries: &[(i32, i64)]| {
        let entry = |(epoch, offset): &(i32, i64)| LeaderEpochEntry { epoch: *epoch, start_offset: Offset(*offset) };
        let entries: Vec<_> = entries.iter().map(entry).collect();
        fs::write(copy.join("leader-epoch-checkpoint"), leader_epoch::write(&entries)).unwrap();
    };
    refused(&|_, copy| fs::write(copy.join("leader-epoch-checkpoint"), "0\nmany\n").unwrap(), "cannot be read");
    // The batches from 60 on have a later epoch.
    refused(&|_, copy| epochs(copy, &[(0, 0), (2, 50), (4, 171)]), "is of epoch 2 by leader-epoch-checkpoint");
    refused(&|_, copy| epochs(copy, &[(0, 0), (1, 30), (2, 60), (4, 171)]), "is of epoch 1 by leader-epoch-checkpoint");
    refused(
        &|_, copy| {
            fs::write(copy.join("partition.metadata"), "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ\n").unwrap()
        },
        "another partition",
    );
    refused(
        &|_, copy| {
            let log = copy.join("00000000000000000000.log");
            let mut bytes = fs::read(&log).unwrap();
            bytes[300] ^= 1;
            fs::write(log, bytes).unwrap();
        },
        "how far that copy reaches is not known",
    );
    let (_dirs, own, copy) = pair();
    let other = copy.with_file_name("diverged-short-0");
    for (copy, words) in [(&own, "the very partition"), (&other, "another partition")] {
        let said = told(&own, std::slice::from_ref(copy), &[]);
        assert_eq!(said.status, Some(8));
        assert!(said.stderr.contains(words), "{}", said.stderr);
    }
    for log_dir in [Path::new("/nowhere"), own.parent().unwrap()] {
        assert_eq!(told(&own, &[log_dir.to_owned()], &[]).status, Some(8), "{}", log_dir.display());
    }
    let said = told(&own, &[copy], &["--to", "5"]);
    assert_eq!(said.status, Some(16), "{}", said.all());
}

#[test]
fn without_epochs_there_is_nothing_to_compare_by() {
    let (_dir, log_dir) = log_dir_copy(&scenario("2.8.2", "magic").log_dir(None, None));
    let own = log_dir.join("compact-magic0-none-0");
    let copies = tempfile::tempdir().unwrap();
    let copy = support::copy_partition(&own, copies.path(), support::changing::long_ago());
    let said = told(&own, &[copy], &[]);
    assert_eq!(said.status, Some(8), "{}", said.all());
    assert!(said.stderr.contains("no leader epochs are known"), "{}", said.stderr);
}

#[test]
fn epochs_that_the_file_has_missed_are_taken_from_the_batches() {
    let (_dirs, own, copy) = pair();
    let file = copy.join("leader-epoch-checkpoint");
    let known = parse(&fs::read(&file).unwrap()).unwrap();
    assert!(known.len() >= 2);
    for kept in 0..known.len() {
        fs::write(&file, leader_epoch::write(&known[..kept])).unwrap();
        let said = told(&own, std::slice::from_ref(&copy), &[]);
        assert_eq!(said.row("plan")["target"], 60, "{kept}: {}", said.all());
    }
}

fn copy(first: i64, end: i64, epochs: &[(i32, i64)]) -> Copy {
    let entry = |(epoch, offset): &(i32, i64)| LeaderEpochEntry { epoch: *epoch, start_offset: Offset(*offset) };
    Copy {
        path: PathBuf::new(),
        first_offset: Offset(first),
        log_end_offset: Offset(end),
        epochs: epochs.iter().map(entry).collect(),
        topic_id: None,
    }
}

#[test]
fn divergence_is_the_first_offset_below_both_ends_with_different_epochs() {
    let diverges = |a: &Copy, b: &Copy| {
        assert_eq!(a.diverges_from(b), b.diverges_from(a));
        a.diverges_from(b).map(|offset| offset.0)
    };
    let own = copy(0, 162, &[(0, 0)]);
    assert_eq!(diverges(&own, &copy(0, 171, &[(0, 0), (2, 60), (4, 171)])), Some(60));
    assert_eq!(diverges(&own, &copy(0, 60, &[(0, 0), (4, 60)])), None);
    assert_eq!(diverges(&own, &copy(0, 61, &[(0, 0), (4, 60)])), Some(60));
    // Each has an epoch that the other has not.
    assert_eq!(diverges(&copy(0, 116, &[(0, 0), (4, 60)]), &copy(0, 106, &[(0, 0), (2, 60), (6, 79)])), Some(60));
    // What lies before the larger first start is not compared.
    assert_eq!(diverges(&own, &copy(50, 171, &[(0, 50), (2, 60)])), Some(60));
    assert_eq!(diverges(&own, &copy(50, 171, &[(3, 50)])), Some(50));
    assert_eq!(diverges(&copy(0, 100, &[(0, 0), (1, 20)]), &copy(30, 100, &[(1, 30)])), None);
    // The same epochs in other places.
    assert_eq!(diverges(&copy(0, 100, &[(0, 0), (1, 20)]), &copy(0, 100, &[(0, 0), (1, 25)])), Some(20));
}
