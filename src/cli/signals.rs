//! Ctrl-C stops a run between two batches; a mapped file that fails ends it with a line instead of a core dump.

#![allow(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGBUS, SIGINT, SIGTERM};
use signal_hook::{flag, low_level};

static STOP: AtomicBool = AtomicBool::new(false);

const BUS_ERROR: &[u8] =
    b"kfsck: a file changed or failed while it was being read; run again with --io pread to see which and why\n";

/// Set once the user wants the run to stop.
pub(crate) fn stop() -> &'static AtomicBool {
    &STOP
}

/// Whether the user wants the run to stop.
pub(crate) fn is_stopped() -> bool {
    STOP.load(Ordering::Relaxed)
}

/// Installs the handlers.
pub(crate) fn install() -> std::io::Result<()> {
    let second = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // The second Ctrl-C ends the process at once, the first asks it to stop.
        flag::register_conditional_shutdown(signal, 8, Arc::clone(&second))?;
        flag::register(signal, Arc::clone(&second))?;
        // SAFETY: the handler only stores to an atomic.
        unsafe { low_level::register(signal, || STOP.store(true, Ordering::Relaxed)) }?;
    }
    // SAFETY: the handler calls nothing but write(2) and _exit(2), both safe in a signal handler. Returning would
    // raise the signal again, and unwinding from here is impossible: to end the process is all that can be done.
    unsafe {
        low_level::register(SIGBUS, || {
            let _ = rustix::io::write(rustix::stdio::stderr(), BUS_ERROR);
            low_level::exit(8);
        })
    }?;
    Ok(())
}
