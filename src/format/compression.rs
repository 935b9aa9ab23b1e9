#![allow(missing_docs)]
//! stub
#[allow(missing_docs)]
pub const DEFAULT_LIMIT: usize = 128 << 20;
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}
#[allow(missing_docs)]
impl Compression {
    pub fn from_id(id: u8) -> Option<Self> {
        [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd].get(id as usize).copied()
    }
    pub fn id(self) -> u8 {
        self as u8
    }
}
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum DecompressError {
    #[error("x")]
    X,
}
#[allow(missing_docs)]
#[derive(Debug)]
pub struct Decompressor {
    out: Vec<u8>,
}
#[allow(missing_docs)]
impl Decompressor {
    pub fn new(_limit: usize) -> Self {
        Self { out: vec![] }
    }
    pub fn decompress<'d>(
        &'d mut self,
        codec: Compression,
        _magic: i8,
        input: &[u8],
    ) -> Result<&'d [u8], DecompressError> {
        use std::io::Read;
        self.out.clear();
        match codec {
            Compression::Gzip => {
                flate2::read::GzDecoder::new(input).read_to_end(&mut self.out).map_err(|_| DecompressError::X)?;
            }
            _ => self.out.extend_from_slice(input),
        }
        Ok(&self.out)
    }
}
#[allow(missing_docs)]
pub fn compress(codec: Compression, _magic: i8, input: &[u8], out: &mut Vec<u8>) {
    use std::io::Write;
    match codec {
        Compression::Gzip => {
            let mut e = flate2::write::GzEncoder::new(out, flate2::Compression::default());
            let _ = e.write_all(input);
            let _ = e.finish();
        }
        _ => out.extend_from_slice(input),
    }
}
