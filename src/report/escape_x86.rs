//! [`copy_escaped`](super::escape::copy_escaped) with SSSE3 (and POPCNT) instructions: where `pshufb` spreads eight bytes so that
//! there is room for backslashes, no branch and no loop depends on where the quotes are.

#![allow(unsafe_code)]

use super::escape::Stop;

#[cfg(not(target_arch = "x86_64"))]
pub(super) fn copy_escaped(_: &mut Vec<u8>, _: &[u8], _: Stop) -> Option<usize> {
    None
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86_64::copy_escaped;

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use std::arch::x86_64::*;
    use std::mem::MaybeUninit;

    use super::Stop;
    use crate::report::escape::{BLOCK, last_block};

    /// For each set of bytes to escape among eight, where each byte of the result comes from: 0..8 are the eight,
    /// 8 is a backslash, 0x80 is nothing.
    static SPREAD: [[u8; 16]; 256] = spread();

    const fn spread() -> [[u8; 16]; 256] {
        let mut table = [[0x80; 16]; 256];
        let mut set = 0;
        while set < 256 {
            let (mut from, mut to) = (0, 0);
            while from < 8 {
                if set >> from & 1 == 1 {
                    table[set][to] = 8;
                    to += 1;
                }
                table[set][to] = from as u8;
                to += 1;
                from += 1;
            }
            set += 1;
        }
        table
    }

    /// How many blocks are given room at a time: a long value must not ask for twice its length at once.
    const BLOCKS: usize = 64;

    /// `None` where the processor has not got the instructions, as before 2008.
    #[inline]
    pub(in crate::report) fn copy_escaped(out: &mut Vec<u8>, bytes: &[u8], stop: Stop) -> Option<usize> {
        if !(is_x86_feature_detected!("ssse3") && is_x86_feature_detected!("popcnt")) {
            return None;
        }
        // SAFETY: the only condition is that the processor has SSSE3 and POPCNT, which has just been asked.
        Some(unsafe {
            match stop {
                Stop::Control => with_ssse3::<false>(out, bytes),
                Stop::ControlAndNonAscii => with_ssse3::<true>(out, bytes),
            }
        })
    }

    #[target_feature(enable = "ssse3,popcnt")]
    fn with_ssse3<const ASCII: bool>(out: &mut Vec<u8>, bytes: &[u8]) -> usize {
        let mut taken = 0;
        for piece in bytes.chunks(BLOCKS * BLOCK) {
            let taken_of_it = one_piece::<ASCII>(out, piece);
            taken += taken_of_it;
            if taken_of_it < piece.len() {
                break;
            }
        }
        taken
    }

    #[inline]
    #[target_feature(enable = "ssse3,popcnt")]
    fn one_piece<const ASCII: bool>(out: &mut Vec<u8>, bytes: &[u8]) -> usize {
        // Each block becomes two at most, and what is stored last may reach one further.
        out.reserve(2 * bytes.len() + 3 * BLOCK);
        let mut room = Room { bytes: out.spare_capacity_mut(), written: 0 };
        // JSON inside JSON: nearly every block has something to escape, and to ask each costs more than it saves.
        let taken = match bytes {
            [b'{' | b'[' | b'"', ..] => blocks::<ASCII, true>(&mut room, bytes),
            _ => blocks::<ASCII, false>(&mut room, bytes),
        };
        let written = room.written;
        // SAFETY: `written` bytes behind the old length are within the capacity and have been written (see `Room`).
        unsafe { out.set_len(out.len() + written) };
        taken
    }

    #[inline]
    #[target_feature(enable = "ssse3,popcnt")]
    fn blocks<const ASCII: bool, const MANY: bool>(room: &mut Room<'_>, bytes: &[u8]) -> usize {
        let (blocks, rest) = bytes.as_chunks::<BLOCK>();
        for (at, block) in blocks.iter().enumerate() {
            if !one_block::<ASCII, MANY>(room, block, BLOCK) {
                return at * BLOCK;
            }
        }
        if !rest.is_empty() && !one_block::<ASCII, MANY>(room, &last_block(bytes, rest.len()), rest.len()) {
            return bytes.len() - rest.len();
        }
        bytes.len()
    }

    #[inline]
    #[target_feature(enable = "ssse3,popcnt")]
    fn one_block<const ASCII: bool, const MANY: bool>(room: &mut Room<'_>, block: &[u8; BLOCK], length: usize) -> bool {
        let bytes = load(block);
        let backslash = _mm_set1_epi8(b'\\' as i8);
        // The first comparison is signed, so that bytes from 0x80 on count as below 0x20; the second is not.
        let mut stop = if ASCII {
            _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20))
        } else {
            _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes)
        };
        if ASCII {
            stop = _mm_or_si128(stop, _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f)));
        }
        let special = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'"' as i8)), _mm_cmpeq_epi8(bytes, backslash));
        if !MANY && _mm_movemask_epi8(_mm_or_si128(stop, special)) == 0 {
            room.put(bytes, length);
            return true;
        }
        if _mm_movemask_epi8(stop) != 0 {
            return false;
        }
        let set = _mm_movemask_epi8(special) as usize;
        let (low, high) = (set & 0xff, set >> 8);
        // Each half of the block goes into the lower half of a register, with backslashes in the upper half.
        let first = _mm_shuffle_epi8(_mm_unpacklo_epi64(bytes, backslash), load(&SPREAD[low]));
        let second = _mm_shuffle_epi8(_mm_unpackhi_epi64(bytes, backslash), load(&SPREAD[high]));
        let before = room.written;
        room.put(first, 8 + low.count_ones() as usize);
        room.put(second, 8 + high.count_ones() as usize);
        // Of the last block, only the first `length` bytes are meant; those behind are blanks.
        room.written = before + length + set.count_ones() as usize;
        true
    }

    /// Room behind what a vector holds. The first `written` bytes of it have been written: each store begins where
    /// they end, and they grow by no more than what it has stored.
    struct Room<'a> {
        bytes: &'a mut [MaybeUninit<u8>],
        written: usize,
    }

    impl Room<'_> {
        /// Stores 16 bytes, of which the first `length` are meant.
        #[inline(always)]
        fn put(&mut self, value: __m128i, length: usize) {
            let to = &mut self.bytes[self.written..self.written + BLOCK];
            // SAFETY: the slice is 16 writable bytes; the instruction asks for no alignment. SSE2 is part of x86-64.
            unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), value) };
            self.written += length.min(BLOCK);
        }
    }

    #[inline(always)]
    fn load(bytes: &[u8; 16]) -> __m128i {
        // SAFETY: the reference proves 16 readable bytes; the instruction asks for no alignment. SSE2 is part of x86-64.
        unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
    }
}
