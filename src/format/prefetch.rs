//! Asking the processor for bytes before they are needed. With `unsafe` in it, because the instruction takes an
//! address.

#![allow(unsafe_code)]

/// Asks for `bytes`, which will be read shortly. It changes no result, and does nothing where it cannot be done.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn prefetch(bytes: &[u8]) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

    for line in bytes.chunks(64) {
        // SAFETY: every x86_64 processor has the instruction. It only is a hint, never faults, and the address lies in
        // a slice.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
}

/// Asks for `bytes`, which will be read shortly. It changes no result, and does nothing where it cannot be done.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
pub(super) fn prefetch(_: &[u8]) {}
