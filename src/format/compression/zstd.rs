//! zstd: standard frames, one after another, skippable ones among them.
//!
//! Kafka writes frames without content size, so the size of the output is not known beforehand. Each frame is decoded in
//! one go straight into the output buffer, and again from its start after growing the buffer where it does not fit. A
//! streaming decoder would instead allocate, and copy through, a window of whatever size the frame claims; here a window
//! takes no memory, the output itself serves as one.

use std::io::Write;

use zstd::stream::write::Encoder;
use zstd::zstd_safe::{self, DCtx, zstd_sys::ZSTD_ErrorCode};

use super::{CompressError, Compression, DecompressError, OutputBuffer};
use crate::format::bytes::array_at;

const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const FLAG_SINGLE_SEGMENT: u8 = 0x20;
/// The largest window libzstd's streaming decoder, and so Kafka, accepts by default: 128 MiB.
const MAX_WINDOW_LOG: u8 = 27;
/// Kafka's default level.
const LEVEL: i32 = 3;

/// The reused decoder state, made when first needed.
#[derive(Default)]
pub(super) struct Context(Option<DCtx<'static>>);

/// Decompresses every frame of the input; an empty input is an empty result. Anything that is not a whole frame is an error.
///
/// That is stricter than Kafka in one case, which no writer produces: zstd-jni overlooks that a second or later frame
/// is cut off if it read it together with the end of the one before.
pub(super) fn decompress(context: &mut Context, input: &[u8], out: &mut OutputBuffer) -> Result<(), DecompressError> {
    if context.0.is_none() {
        context.0 = DCtx::try_create();
    }
    let decoder = context.0.as_mut().ok_or(DecompressError::OutOfMemory)?;
    let mut at = 0_usize;
    while let Some(rest) = input.get(at..).filter(|rest| !rest.is_empty()) {
        let size = zstd_safe::find_frame_compressed_size(rest).map_err(|code| frame_error(code, at))?;
        let frame = rest.get(..size).ok_or(DecompressError::Truncated { what: "zstd frame", at })?;
        check_window(frame, at)?;
        loop {
            match decoder.decompress(out.spare(), frame) {
                Ok(written) => {
                    out.advance(written);
                    break;
                }
                Err(code) if is(code, ZSTD_ErrorCode::ZSTD_error_dstSize_tooSmall) => out.grow()?,
                Err(code) => return Err(frame_error(code, at)),
            }
        }
        at = at.saturating_add(size);
    }
    Ok(())
}

/// Refuses a frame whose window is larger than Kafka's reader accepts.
///
/// A frame that is its own window (single segment) needs no check: as large a content is beyond any sensible limit.
fn check_window(frame: &[u8], at: usize) -> Result<(), DecompressError> {
    let Some([m0, m1, m2, m3, flags, window]) = array_at(frame, 0) else {
        return Ok(());
    };
    if [m0, m1, m2, m3] != MAGIC || flags & FLAG_SINGLE_SEGMENT != 0 {
        return Ok(());
    }
    // Bits 3–7 are the power of two above 1 KiB, bits 0–2 add eighths of it.
    let largest = MAX_WINDOW_LOG.saturating_sub(10) << 3;
    if window > largest {
        let (what, at) = ("a window of more than 128 MiB", at.saturating_add(5));
        return Err(DecompressError::Unsupported { codec: Compression::Zstd, what, at });
    }
    Ok(())
}

/// What libzstd's error `code` for the frame at `at` means.
fn frame_error(code: usize, at: usize) -> DecompressError {
    if is(code, ZSTD_ErrorCode::ZSTD_error_srcSize_wrong) {
        DecompressError::Truncated { what: "zstd frame", at }
    } else if is(code, ZSTD_ErrorCode::ZSTD_error_prefix_unknown) {
        DecompressError::BadMagic { codec: Compression::Zstd, at }
    } else {
        let reason = zstd_safe::get_error_name(code).to_owned();
        DecompressError::Corrupt { codec: Compression::Zstd, at, reason }
    }
}

/// Whether a returned `code` is this error: libzstd returns errors as negative sizes.
fn is(code: usize, error: ZSTD_ErrorCode) -> bool {
    code.wrapping_neg() == error as usize
}

/// Writes one frame as zstd-jni's stream does: no content size, no checksum, an empty last block.
pub(super) fn compress(input: &[u8], out: &mut Vec<u8>) -> Result<(), CompressError> {
    write_frame(input, out).map_err(|error| CompressError { codec: Compression::Zstd, reason: error.to_string() })
}

fn write_frame(input: &[u8], out: &mut Vec<u8>) -> std::io::Result<()> {
    let mut encoder = Encoder::new(out, LEVEL)?;
    encoder.write_all(input)?;
    encoder.flush()?;
    encoder.finish().map(|_| ())
}
