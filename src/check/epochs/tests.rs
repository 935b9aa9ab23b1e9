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
