//! The sentences for each kind of finding. `docs/findings.md` tells the same at greater length.

mod indexes;
mod log;
mod log_dir;
mod partition;

use crate::check::Id;

/// What is said of a kind of finding.
#[derive(Debug)]
pub struct Words {
    /// What was seen, in general.
    pub what: &'static str,
    /// What was seen, with the numbers. The first of these counts for which the finding has all details; where there is
    /// none, the details follow [`Words::what`].
    ///
    /// | in the template | stands for                                                       |
    /// |-----------------|------------------------------------------------------------------|
    /// | `{name}`        | a detail, or the position, length, slot or offset of the finding |
    /// | `{name:noun}`   | a number with its noun: `1 byte`, `2 bytes`                      |
    /// | `[…]`           | what is left out where a detail in it is not there               |
    pub says: &'static [&'static str],
    /// What readers suffer.
    pub readers: &'static str,
    /// What a broker makes of it when it starts after an orderly stop, in the usual case.
    pub clean: &'static str,
    /// What a broker makes of it when it starts after a crash, in the usual case.
    pub unclean: &'static str,
    /// What mends it.
    pub mend: Mend,
}

/// What mends something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mend {
    /// A command of ours, without the path.
    Command(&'static str),
    /// What a person can do.
    ByHand(&'static str),
}

/// What is said of `id`.
pub fn words(id: Id) -> &'static Words {
    let tables = [log::TABLE, indexes::TABLE, partition::TABLE, log_dir::TABLE];
    tables.into_iter().flatten().find(|(known, _)| *known == id).map_or(&UNKNOWN, |(_, words)| words)
}

/// For kinds that somebody has forgotten to word; a test sees to it that there is none.
static UNKNOWN: Words = Words {
    what: "something that is not as it should be",
    says: &[],
    readers: "unknown",
    clean: "unknown",
    unclean: "unknown",
    mend: Mend::ByHand("unknown"),
};
