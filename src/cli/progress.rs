//! One bar for a whole run, in bytes, on a terminal's standard error.

use std::time::Duration;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::is_dumb;

/// The option of the commands that may take long.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct ProgressArg {
    /// When a bar shows how far it is: auto is on a terminal, but for -q; it is never shown with JSON
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = When::Auto, hide_short_help = true)]
    progress: When,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum When {
    Auto,
    Always,
    Never,
}

impl ProgressArg {
    /// Whether a bar is wanted where there is a terminal for it.
    pub(crate) fn is_wanted(self, is_json: bool, is_quiet: bool) -> bool {
        !is_json
            && match self.progress {
                When::Auto => !is_quiet,
                When::Always => true,
                When::Never => false,
            }
    }
}

/// A bar, or nothing where none is to be seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress(Option<ProgressBar>);

impl Progress {
    /// A bar on standard error, if that is a terminal that can take it back; `total` says how many bytes there are to look at.
    pub(crate) fn start(total: impl FnOnce() -> u64) -> Self {
        let target = ProgressDrawTarget::stderr();
        if target.is_hidden() || is_dumb() {
            return Self(None);
        }
        let bar = ProgressBar::with_draw_target(Some(total()), target);
        let template = "{percent:>3}% {bar:24} {binary_bytes_per_sec}  ETA {eta}  {wide_msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(Some(bar))
    }

    /// Whether there is a bar.
    pub(crate) fn is_shown(&self) -> bool {
        self.0.is_some()
    }

    /// Says what is looked at now.
    pub(crate) fn at(&self, what: impl FnOnce() -> String) {
        if let Some(bar) = &self.0 {
            bar.set_message(what());
        }
    }

    /// So many more bytes were looked at.
    pub(crate) fn done(&self, bytes: u64) {
        if let Some(bar) = &self.0 {
            bar.inc(bytes);
        }
    }

    /// Does what writes to the terminal while the bar is out of the way.
    pub(crate) fn aside<R>(&self, write: impl FnOnce() -> R) -> R {
        match &self.0 {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
