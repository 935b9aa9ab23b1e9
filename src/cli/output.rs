//! Standard output and standard error of a run.

use std::io::{self, IsTerminal, Write};

use rustix::stdio;

/// How many bytes are gathered before they are written.
const ENOUGH_TO_WRITE: usize = 256 << 10;
/// The size asked for where standard output is a pipe: the usual 64 KiB cost a third of the speed.
const PIPE_SIZE: usize = 1 << 20;

/// Standard output, gathered into large writes.
pub(crate) struct Output {
    /// What has not been written yet; everything appends here.
    pub(crate) buffer: Vec<u8>,
}

impl Output {
    /// Standard output.
    pub(crate) fn new() -> Self {
        Stdout::new();
        Self { buffer: Vec::with_capacity(ENOUGH_TO_WRITE + (64 << 10)) }
    }

    /// Writes what has gathered, if it is enough.
    #[inline]
    pub(crate) fn drain(&mut self) -> io::Result<()> {
        if self.buffer.len() < ENOUGH_TO_WRITE { Ok(()) } else { self.flush() }
    }

    /// Writes `lines` behind what has gathered, or gathers them too where there are few.
    pub(crate) fn pass(&mut self, lines: &[u8]) -> io::Result<()> {
        if lines.len() < ENOUGH_TO_WRITE {
            self.buffer.extend_from_slice(lines);
            return self.drain();
        }
        self.flush()?;
        Stdout.write_all(lines)
    }

    /// Writes everything.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        write_out(&mut self.buffer)
    }
}

/// Standard output without the standard library's line buffer, which costs a copy.
pub(crate) struct Stdout;

impl Stdout {
    /// Standard output; a pipe is made larger.
    pub(crate) fn new() -> Self {
        // It is advice: where standard output is no pipe, or may not grow, nothing is lost.
        let _ = rustix::pipe::fcntl_setpipe_size(stdio::stdout(), PIPE_SIZE);
        Self
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(stdio::stdout(), bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Says a line on standard output where nothing else is said.
pub(crate) fn say(line: &[u8]) {
    // Whoever has closed it does not want to know.
    let _ = Stdout.write_all(line);
}

/// Writes all of `buffer` to standard output and empties it.
pub(crate) fn write_out(buffer: &mut Vec<u8>) -> io::Result<()> {
    Stdout.write_all(buffer)?;
    buffer.clear();
    // One huge record must not pin its size for the rest of the run.
    buffer.shrink_to(4 * ENOUGH_TO_WRITE);
    Ok(())
}

/// Whether the terminal, if there is one, understands nothing but text.
pub(crate) fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|kind| kind == "dumb")
}

/// Columns that a table may take: those of the terminal, or none where standard output is no terminal.
pub(crate) fn terminal_width() -> Option<u16> {
    io::stdout().is_terminal().then(|| rustix::termios::tcgetwinsize(stdio::stdout()).ok()).flatten().and_then(|size| {
        match size.ws_col {
            0 => None,
            columns => Some(columns),
        }
    })
}

/// Says something on standard error: what, and on a second line what to do about it.
pub(crate) fn complain(what: &dyn std::fmt::Display, hint: Option<&str>) {
    let mut line = b"kfsck: ".to_vec();
    crate::report::text::sentence(&mut line, what.to_string().as_bytes());
    line.push(b'\n');
    if let Some(hint) = hint {
        line.extend_from_slice(b"  ");
        crate::report::text::sentence(&mut line, hint.as_bytes());
        line.push(b'\n');
    }
    // There is nobody left to tell that standard error is closed.
    let _ = io::stderr().lock().write_all(&line);
}
