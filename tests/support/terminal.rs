//! `kfsck` on a terminal: at one end of a pseudo-terminal the program, at the other what a person would see.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// More lines than any run prints here: nothing scrolls away.
const LINES: u16 = 1000;

/// How long a run may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(300);

/// Which of its streams the program has on the terminal; the others are pipes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnTerminal {
    Both,
    Output,
    Errors,
}

/// What came of a run.
pub struct Shown {
    pub status: Option<i32>,
    /// Every byte that reached the terminal.
    pub bytes: Vec<u8>,
    /// What went into the pipe, if there was one.
    pub piped: String,
    columns: u16,
}

/// A terminal of so many columns, and what stands in the environment besides.
#[derive(Clone, Copy)]
pub struct Terminal<'a> {
    pub columns: u16,
    pub streams: OnTerminal,
    pub environment: &'a [(&'a str, &'a str)],
    /// Once this is seen, the run is interrupted as by Ctrl-C.
    pub interrupted_at: Option<&'a str>,
}

impl<'a> Terminal<'a> {
    /// A terminal for the streams named.
    pub fn new(columns: u16, streams: OnTerminal) -> Self {
        Self { columns, streams, environment: &[], interrupted_at: None }
    }

    /// The same with variables set.
    pub fn with(self, environment: &'a [(&'a str, &'a str)]) -> Self {
        Self { environment, ..self }
    }

    /// Runs `kfsck` to its end.
    pub fn kfsck(self, directory: &Path, arguments: &[&str]) -> Shown {
        let near = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&near).unwrap();
        unlockpt(&near).unwrap();
        tcsetwinsize(&near, Winsize { ws_row: LINES, ws_col: self.columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let far = || -> OwnedFd {
            ioctl_tiocgptpeer(&near, OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap()
        };
        let mut command = crate::support::program();
        command.args(arguments).current_dir(directory).stdin(Stdio::null()).env("TERM", "xterm-256color");
        command.envs(self.environment.iter().copied());
        let is_piped = |is: OnTerminal| self.streams == is;
        command.stdout(if is_piped(OnTerminal::Errors) { Stdio::piped() } else { far().into() });
        command.stderr(if is_piped(OnTerminal::Output) { Stdio::piped() } else { far().into() });
        self.watch(near, command)
    }

    fn watch(self, near: OwnedFd, mut command: Command) -> Shown {
        let mut process = command.spawn().unwrap();
        // It holds the far end too: without it, the end of the program is the end of what comes.
        drop(command);
        let (stdout, stderr) = (process.stdout.take(), process.stderr.take());
        let piped = thread::spawn(move || {
            let mut text = String::new();
            stdout.map(|mut pipe| pipe.read_to_string(&mut text).unwrap());
            stderr.map(|mut pipe| pipe.read_to_string(&mut text).unwrap());
            text
        });
        let (sender, pieces) = mpsc::channel();
        thread::spawn(move || {
            let (mut near, mut piece) = (File::from(near), [0; 4096]);
            loop {
                match near.read(&mut piece) {
                    // Nobody has the far end open any more.
                    Ok(0) => break,
                    Err(error) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => break,
                    Err(error) => panic!("{error}"),
                    Ok(length) if sender.send(piece[..length].to_vec()).is_err() => break,
                    Ok(_) => {}
                }
            }
        });
        let (until, mut bytes, mut interrupted_at) = (Instant::now() + PATIENCE, Vec::new(), self.interrupted_at);
        loop {
            match pieces.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(piece) => bytes.extend(piece),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    process.kill().unwrap();
                    panic!("no end after {PATIENCE:?}: {}", String::from_utf8_lossy(&bytes));
                }
            }
            if interrupted_at.is_some_and(|words| String::from_utf8_lossy(&bytes).contains(words)) {
                interrupted_at = None;
                kill_process(Pid::from_child(&process), Signal::INT).unwrap();
            }
        }
        let status = process.wait().unwrap().code();
        Shown { status, bytes, piped: piped.join().unwrap(), columns: self.columns }
    }
}

impl Shown {
    /// What came, as text.
    pub fn text(&self) -> String {
        String::from_utf8(self.bytes.clone()).unwrap()
    }

    /// What came, without colours. Nothing else that drives a terminal may be in it.
    pub fn plain(&self) -> String {
        without_colours(&self.text()).replace("\r\n", "\n")
    }

    /// What is on the screen in the end, colours included, and the line below it, on which the prompt comes.
    pub fn screen(&self) -> (String, String, String) {
        let mut parser = vt100::Parser::new(LINES.try_into().unwrap(), self.columns.try_into().unwrap(), 0);
        parser.process(&self.bytes);
        let screen = parser.screen();
        let (line, column) = screen.cursor_position();
        assert!(line < LINES - 1, "it has scrolled");
        assert_eq!(column, 0, "the prompt does not begin a line: {}", screen.contents());
        let prompt = screen.rows(0, self.columns).nth(line.into()).unwrap();
        (screen.contents_formatted(), screen.contents(), prompt)
    }

    /// What was wider than the terminal, as far as it is on the first line.
    pub fn wrapped(&self) -> Vec<String> {
        let mut parser = vt100::Parser::new(LINES.try_into().unwrap(), self.columns.try_into().unwrap(), 0);
        parser.process(&self.bytes);
        let screen = parser.screen();
        let rows = screen.rows(0, self.columns).enumerate();
        rows.filter(|(at, _)| screen.row_wrapped(*at as u16)).map(|(_, row)| row).collect()
    }

    /// The bars that were drawn, oldest first.
    pub fn bars(&self) -> Vec<String> {
        let text = self.text();
        let drawn = text.split(['\r', '\n']).filter(|line| line.contains("  ETA "));
        drawn.map(|line| line.strip_prefix("\u{1b}[2K").unwrap_or(line).to_owned()).collect()
    }
}

/// The text without sequences that choose a colour or a weight.
pub fn without_colours(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let mut plain = parts.next().unwrap().to_owned();
    for part in parts {
        let (codes, rest) = part.split_once('m').unwrap_or_else(|| panic!("no colour: {part:?}"));
        assert!(codes.chars().all(|code| code.is_ascii_digit() || code == ';'), "no colour: {part:?}");
        plain.push_str(rest);
    }
    assert!(!plain.contains('\u{1b}'), "{plain:?}");
    plain
}
