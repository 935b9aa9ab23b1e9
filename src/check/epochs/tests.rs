use super::*;
use crate::check::producers::tests::Log;

fn log(batches: &[(i32, i64)]) -> Log {
    let mut log = Log::new();
    for (epoch, count) in batches {
        log.leader_epoch = *epoch;
        (0..*count).for_each(|_| _ = log.plain(-1));
    }
    log
}

fn told(mut log: Log, entries: &[(i32, i64)]) -> Vec<(&'static str, Severity)> {
    let entries: Vec<_> =
        entries.iter().map(|(epoch, start)| LeaderEpochEntry { epoch: *epoch, start_offset: Offset(*start) }).collect();
    log.file("leader-epoch-checkpoint", &leader_epoch::write(&entries)).told()
}

const CONTRADICTS: (&str, Severity) = ("epoch/contradicts-log", Severity::Error);

#[test]
fn epochs_are_held_against_the_batches() {
    let five = || log(&[(0, 4), (2, 3), (5, 3)]);
    assert_eq!(told(five(), &[(0, 0), (2, 4), (5, 7)]), []);
    assert_eq!(told(five(), &[(0, 0), (1, 4), (5, 7)]), [CONTRADICTS]);
    assert_eq!(told(five(), &[(0, 0), (2, 3), (5, 7)]), [CONTRADICTS]);
    assert_eq!(told(five(), &[(0, 0), (2, 5), (5, 7)]), [CONTRADICTS]);
    assert_eq!(told(five(), &[(0, 0), (2, 4)]), [CONTRADICTS]);
    assert_eq!(told(five(), &[(0, 0), (2, 4), (5, 7), (6, 10)]), [], "a leader that has written nothing");
    assert_eq!(told(five(), &[(0, 0), (2, 4), (5, 7), (6, 11)]), [("epoch/beyond-end", Severity::Info)]);
    assert_eq!(told(five(), &[(2, 4), (5, 7)]), [("epoch/contradicts-log", Severity::Warning)]);
    let mut deleted = five();
    deleted.log_start_offset = Some(Offset(5));
    assert_eq!(told(deleted, &[(2, 5), (5, 7)]), [], "DeleteRecords moves the first start offset");
}

#[test]
fn an_epoch_whose_first_batches_were_cleaned_away_is_in_order() {
    let mut gap = log(&[(0, 4)]);
    gap.gap(6).leader_epoch = 1;
    gap.plain(-1);
    assert_eq!(told(gap, &[(0, 0), (1, 7)]), []);
}

#[test]
fn a_single_batch_that_is_out_of_order_is_told_once() {
    let mut decreasing = log(&[(3, 2)]);
    decreasing.roll().leader_epoch = 2;
    decreasing.plain(-1).roll().leader_epoch = 3;
    decreasing.plain(-1);
    assert_eq!(told(decreasing, &[(3, 0)]), [("log/epoch-decreases", Severity::Error)]);
    assert_eq!(told(log(&[(3, 2), (9, 1)]), &[(3, 0)]), [CONTRADICTS]);
}

#[test]
fn a_file_that_brokers_cannot_use_is_told() {
    let three = || log(&[(0, 3)]);
    assert_eq!(told(three(), &[(0, 0), (-1, 3)])[0], ("epoch/negative", Severity::Error));
    assert_eq!(told(three(), &[(0, 0), (0, 3)]), [("epoch/not-increasing", Severity::Error)]);
    assert_eq!(told(three(), &[(0, 1), (1, 1)]), [("epoch/not-increasing", Severity::Error)]);
    assert_eq!(told(three(), &[]), [("epoch/missing", Severity::Warning)]);
    assert_eq!(three().told(), [("epoch/missing", Severity::Warning)]);
    assert_eq!(log(&[(-1, 3)]).told(), [], "batches from before there were epochs");
    assert_eq!(three().file("leader-epoch-checkpoint", b"0\n1\nx 5\n").names(), ["epoch/unreadable"]);
    let mut quick = three();
    quick.depth = Depth::Quick;
    assert_eq!(told(quick, &[(7, 0), (5, 9)]), [("epoch/not-increasing", Severity::Error)]);
}

#[test]
fn a_file_without_an_epoch_is_told_where_the_log_ends_in_batches_that_have_one() {
    const MISSING: [(&str, Severity); 1] = [("epoch/missing", Severity::Warning)];
    let old_then_new = || {
        let mut log = log(&[]);
        log.old_message().old_message().leader_epoch = 0;
        log
    };
    // In one segment, in the next, and where the newest is empty.
    assert_eq!(old_then_new().plain(-1).told(), MISSING);
    assert_eq!(old_then_new().roll().plain(-1).told(), MISSING);
    assert_eq!(old_then_new().plain(-1).roll().told(), MISSING);
    let mut without_again = old_then_new();
    without_again.plain(-1).leader_epoch = -1;
    assert_eq!(without_again.plain(-1).told(), MISSING, "a batch without an epoch takes none away");

    assert_eq!(old_then_new().told(), [], "old messages alone");
    assert_eq!(old_then_new().plain(-1).old_message().told(), [], "old messages clear the epochs");
    assert_eq!(old_then_new().plain(-1).roll().old_message().told(), []);
    let mut with_file = old_then_new();
    with_file.plain(-1).plain(-1);
    assert_eq!(told(with_file, &[(0, 2)]), [], "the first epoch begins behind old messages");
}

#[test]
fn each_of_two_lines_that_do_not_rise_is_told_at_the_second_with_what_the_first_says() {
    for (before, entry) in [((1, 0), (0, 2)), ((0, 0), (0, 2)), ((0, 2), (1, 2)), ((0, 2), (1, 1)), ((1, 2), (0, 1))] {
        let mut log = log(&[(0, 4)]);
        // What the batches have to say is not asked for.
        log.depth = Depth::Quick;
        let lines = [before, entry].map(|(epoch, start)| LeaderEpochEntry { epoch, start_offset: Offset(start) });
        log.file("leader-epoch-checkpoint", &leader_epoch::write(&lines));
        let of_epochs = |finding: &Finding| finding.id.name().starts_with("epoch/");
        let findings: Vec<_> = log.findings().into_iter().filter(of_epochs).collect();
        let [finding] = &findings[..] else { panic!("{before:?} {entry:?}: {findings:?}") };
        let numbers = ["line", "leaderEpoch", "startOffset", "previousLeaderEpoch", "previousStartOffset"];
        let told = numbers.map(|name| finding.int(name).unwrap());
        assert_eq!(finding.id, Id::EpochNotIncreasing);
        assert_eq!(told, [4, entry.0.into(), entry.1, before.0.into(), before.1]);
    }
    let mut rising = log(&[(0, 4)]);
    rising.depth = Depth::Quick;
    assert_eq!(told(rising, &[(0, 0), (1, 1), (5, 2)]), []);
}
