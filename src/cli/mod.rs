//! What the user meets: arguments, streams and exit status.

#[cfg_attr(not(test), allow(dead_code))]
mod dump_small;
