//! gzip: RFC 1952 members, read as Java's `GZIPInputStream` reads them.
//!
//! | bytes | field                                                                      |
//! |-------|----------------------------------------------------------------------------|
//! | 0..2  | magic `1f 8b`                                                              |
//! | 2     | method, 8 = deflate                                                        |
//! | 3     | flags: which optional fields follow                                        |
//! | 4..10 | modification time, extra flags, operating system; ignored                  |
//! | 10..  | optional: extra field, file name, comment, CRC-16 of the header            |
//! | …     | raw deflate data                                                           |
//! | last 8| CRC-32 and length modulo 2^32 of the decompressed data, both little-endian |

use flate2::{Compress, Decompress, FlushCompress, FlushDecompress, Status};

use super::{CompressError, Compression, DecompressError, OutputBuffer};
use crate::format::bytes::array_at;

const MAGIC: [u8; 2] = [0x1f, 0x8b];
const DEFLATE: u8 = 8;
const FLAG_HEADER_CRC: u8 = 0x02;
const FLAG_EXTRA: u8 = 0x04;
const FLAG_NAME: u8 = 0x08;
const FLAG_COMMENT: u8 = 0x10;
const FIXED_HEADER_SIZE: usize = 10;
const TRAILER_SIZE: usize = 8;
/// Java takes at most this many bytes after a member for garbage without a look; the smallest member has two more.
const SURE_GARBAGE_SIZE: usize = 18;

/// What Java 16 and later write: no optional field, no time, operating system unknown (older ones end in 0).
const JAVA_HEADER: [u8; FIXED_HEADER_SIZE] = [0x1f, 0x8b, DEFLATE, 0, 0, 0, 0, 0, 0, 0xff];

/// The reused deflate state, made when first needed.
#[derive(Default)]
pub(super) struct Inflater(Option<Decompress>);

/// Decompresses members until one is not followed by another valid header. Whatever follows then is ignored, as Java does.
pub(super) fn decompress(inflater: &mut Inflater, input: &[u8], out: &mut OutputBuffer) -> Result<(), DecompressError> {
    let inflate = inflater.0.get_or_insert_with(|| Decompress::new(false));
    let mut data_at = header_end(input, 0)?;
    loop {
        let member_start = out.written().len();
        let trailer_at = inflate_member(inflate, input, data_at, out)?;
        let member = out.written().get(member_start..).unwrap_or_default();
        let next_at = check_trailer(input, trailer_at, member)?;
        if input.len().saturating_sub(next_at) <= SURE_GARBAGE_SIZE {
            return Ok(());
        }
        match header_end(input, next_at) {
            Ok(end) => data_at = end,
            Err(_) => return Ok(()),
        }
    }
}

/// Where the member header that begins at `start` ends.
fn header_end(input: &[u8], start: usize) -> Result<usize, DecompressError> {
    let truncated = DecompressError::Truncated { what: "gzip header", at: start };
    let header = input.get(start..).unwrap_or_default();
    let Some(fixed) = header.first_chunk::<FIXED_HEADER_SIZE>() else {
        return Err(truncated);
    };
    let [magic_0, magic_1, method, flags, ..] = *fixed;
    if [magic_0, magic_1] != MAGIC {
        return Err(DecompressError::BadMagic { codec: Compression::Gzip, at: start });
    }
    if method != DEFLATE {
        let what = "a method other than deflate";
        return Err(DecompressError::Unsupported { codec: Compression::Gzip, what, at: start.saturating_add(2) });
    }
    let mut end = FIXED_HEADER_SIZE;
    if flags & FLAG_EXTRA != 0 {
        let length = array_at(header, end).map(u16::from_le_bytes).ok_or(truncated.clone())?;
        end = end.saturating_add(2).saturating_add(usize::from(length));
    }
    for flag in [FLAG_NAME, FLAG_COMMENT] {
        if flags & flag != 0 {
            let text = header.get(end..).ok_or(truncated.clone())?;
            let length = memchr::memchr(0, text).ok_or(truncated.clone())?;
            end = end.saturating_add(length).saturating_add(1);
        }
    }
    let covered = header.get(..end).ok_or(truncated.clone())?;
    if flags & FLAG_HEADER_CRC != 0 {
        let stored = array_at(header, end).map(u16::from_le_bytes).ok_or(truncated)?;
        let computed = crc32fast::hash(covered) & 0xffff;
        check("gzip header checksum", start.saturating_add(end), u32::from(stored), computed)?;
        end = end.saturating_add(2);
    }
    Ok(start.saturating_add(end))
}

/// Decompresses the deflate data at `start` and returns where they end.
fn inflate_member(
    inflate: &mut Decompress,
    input: &[u8],
    start: usize,
    out: &mut OutputBuffer,
) -> Result<usize, DecompressError> {
    inflate.reset(false);
    let position =
        |inflate: &Decompress| start.saturating_add(usize::try_from(inflate.total_in()).unwrap_or(usize::MAX));
    loop {
        // At the limit the stream may still end without another byte of output.
        if out.spare().is_empty() && out.left() > 0 {
            out.grow()?;
        }
        let rest = input.get(position(inflate)..).unwrap_or_default();
        let total_out = inflate.total_out();
        let status = inflate.decompress(rest, out.spare(), FlushDecompress::None);
        let produced = usize::try_from(inflate.total_out().saturating_sub(total_out)).unwrap_or(usize::MAX);
        out.advance(produced);
        let at = position(inflate);
        match status {
            Ok(Status::StreamEnd) => return Ok(at),
            // Room is left and yet nothing more comes: the input ran dry.
            Ok(Status::Ok | Status::BufError) if !out.spare().is_empty() => {
                return Err(DecompressError::Truncated { what: "deflate data", at: start });
            }
            Ok(Status::Ok | Status::BufError) if out.left() == 0 => {
                return Err(DecompressError::Limit { limit: out.limit() });
            }
            Ok(Status::Ok | Status::BufError) => {}
            Err(error) => {
                let reason = error.message().unwrap_or("invalid deflate data").to_owned();
                return Err(DecompressError::Corrupt { codec: Compression::Gzip, at, reason });
            }
        }
    }
}

/// Compares the trailer at `at` with the decompressed member and returns where it ends.
fn check_trailer(input: &[u8], at: usize, member: &[u8]) -> Result<usize, DecompressError> {
    let length_at = at.saturating_add(4);
    let (Some(crc), Some(length)) = (array_at(input, at), array_at(input, length_at)) else {
        return Err(DecompressError::Truncated { what: "gzip trailer", at });
    };
    check("gzip checksum", at, u32::from_le_bytes(crc), crc32fast::hash(member))?;
    let stored = u64::from(u32::from_le_bytes(length));
    let actual = member.len() as u64 & u64::from(u32::MAX);
    if stored != actual {
        return Err(DecompressError::BadLength { what: "gzip length", at: length_at, stored, possible: actual });
    }
    Ok(at.saturating_add(TRAILER_SIZE))
}

fn check(what: &'static str, at: usize, stored: u32, computed: u32) -> Result<(), DecompressError> {
    if stored == computed { Ok(()) } else { Err(DecompressError::BadChecksum { what, at, stored, computed }) }
}

/// Writes one member at the default level, without optional header fields.
pub(super) fn compress(input: &[u8], out: &mut Vec<u8>) -> Result<(), CompressError> {
    out.extend_from_slice(&JAVA_HEADER);
    let mut deflate = Compress::new(flate2::Compression::default(), false);
    loop {
        let consumed = usize::try_from(deflate.total_in()).unwrap_or(usize::MAX);
        let rest = input.get(consumed..).unwrap_or_default();
        out.reserve((rest.len() / 2).max(1024));
        match deflate.compress_vec(rest, out, FlushCompress::Finish) {
            Ok(Status::StreamEnd) => break,
            Ok(_) => {}
            Err(error) => return Err(CompressError { codec: Compression::Gzip, reason: error.to_string() }),
        }
    }
    out.extend_from_slice(&crc32fast::hash(input).to_le_bytes());
    out.extend_from_slice(&(input.len() as u32).to_le_bytes());
    Ok(())
}
