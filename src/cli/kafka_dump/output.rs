//! Standard output and standard error of a Kafka-compatible dump.

use std::io::{self, Write};

use crate::cli::Exit;
use crate::scan::kafka_walk::WalkError;
use crate::store::StoreError;

use super::options::UsageError;

/// How many bytes are gathered before they are written.
const ENOUGH: usize = 256 << 10;

/// Why a file, or a part of one, is not shown to its end.
pub(super) enum Stop {
    /// Our own streams fail: the end of the run.
    Stream(io::Error),
    /// Something is wrong with what is looked at; the run goes on.
    Trouble(Trouble),
}

/// What is wrong, in words that fit behind the file's name.
pub(super) struct Trouble {
    pub(super) bits: Exit,
    pub(super) text: String,
}

impl Trouble {
    /// Damage that ends Kafka's tool.
    pub(super) fn damage(text: impl Into<String>) -> Self {
        Self { bits: Exit::ERRORS_LEFT, text: text.into() }
    }

    /// Something that ends Kafka's tool and is no damage.
    pub(super) fn legal(text: impl Into<String>) -> Self {
        Self { bits: Exit::CLEAN, text: text.into() }
    }

    /// Something that could not be looked at.
    pub(super) fn operational(text: impl Into<String>) -> Self {
        Self { bits: Exit::OPERATIONAL, text: text.into() }
    }
}

impl From<UsageError> for Trouble {
    fn from(error: UsageError) -> Self {
        Self { bits: Exit::USAGE, text: error.to_string() }
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Stream(error)
    }
}

impl From<Trouble> for Stop {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        let hint = error.hint().map_or(String::new(), |hint| format!(" ({hint})"));
        Self::operational(format!("{error}{hint}"))
    }
}

impl From<UsageError> for Stop {
    fn from(error: UsageError) -> Self {
        Trouble::from(error).into()
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Trouble::from(error).into()
    }
}

impl From<WalkError> for Stop {
    fn from(error: WalkError) -> Self {
        match error {
            WalkError::Store(error) => error.into(),
            error => Trouble::damage(format!("{error}: what follows cannot be read")).into(),
        }
    }
}

/// The two streams.
pub(super) struct Output<'w> {
    out: &'w mut dyn Write,
    err: &'w mut dyn Write,
    /// What is to be printed. Written only at the end of a line, so that it always tells whether a line is unfinished.
    pub(super) buffer: Vec<u8>,
    /// The exit status so far.
    pub(super) bits: Exit,
}

impl<'w> Output<'w> {
    pub(super) fn new(out: &'w mut dyn Write, err: &'w mut dyn Write) -> Self {
        Self { out, err, buffer: Vec::with_capacity(2 * ENOUGH), bits: Exit::CLEAN }
    }

    /// To be called at the end of lines: writes what is gathered if that is enough.
    #[inline]
    pub(super) fn line_ended(&mut self) -> io::Result<()> {
        if self.buffer.len() < ENOUGH { Ok(()) } else { self.write_out() }
    }

    fn write_out(&mut self) -> io::Result<()> {
        let written = self.out.write_all(&self.buffer);
        self.buffer.clear();
        // A single huge value must not keep its memory for the rest of the run.
        self.buffer.shrink_to(2 * ENOUGH);
        written
    }

    /// Writes everything out.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.write_out()?;
        self.out.flush()?;
        self.err.flush()
    }

    /// Says something on standard error, after everything that comes before.
    pub(super) fn say(&mut self, text: &[u8]) -> io::Result<()> {
        if self.buffer.last().is_some_and(|&last| last != b'\n') {
            self.buffer.push(b'\n');
        }
        self.write_out()?;
        self.out.flush()?;
        self.err.write_all(text)
    }

    /// Says what is wrong with `file`, and remembers it for the exit status.
    pub(super) fn trouble(&mut self, file: &[u8], trouble: &Trouble) -> io::Result<()> {
        self.bits |= trouble.bits;
        let mut line = b"kfsck: ".to_vec();
        line.extend_from_slice(file);
        line.extend_from_slice(b": ");
        line.extend_from_slice(trouble.text.as_bytes());
        line.push(b'\n');
        self.say(&line)
    }
}
