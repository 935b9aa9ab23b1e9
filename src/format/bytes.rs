//! Big-endian integers, Kafka's varints and a cursor over bytes: the words every other format file is spelled in.
//!
//! Source: Kafka `ByteUtils` (varints), `java.nio.ByteBuffer` (fixed-size integers).

/// Why bytes could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Fewer bytes are left than the field takes.
    #[error("{needed} bytes are needed at byte {at} and {left} are left")]
    Short {
        /// Where the field begins, counted from the start of the slice.
        at: usize,
        /// How many bytes the field takes.
        needed: usize,
        /// How many are left.
        left: usize,
    },
    /// A varint whose last allowed byte still says that more follow.
    #[error("a variable-length integer at byte {at} does not end")]
    VarintTooLong {
        /// Where the varint begins.
        at: usize,
    },
}

/// The `N` bytes at `at`, or `None` where the slice ends before.
#[inline(always)]
pub fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk::<N>().copied()
}

macro_rules! big_endian {
    ($($name:ident $read:ident $ty:ty;)*) => {$(
        #[doc = concat!("The big-endian `", stringify!($ty), "` at `at`, or `None` where the slice ends before.")]
        #[inline(always)]
        pub fn $name(bytes: &[u8], at: usize) -> Option<$ty> {
            array_at(bytes, at).map(<$ty>::from_be_bytes)
        }
    )*
    impl<'a> Reader<'a> {$(
        #[doc = concat!("The next big-endian `", stringify!($ty), "`.")]
        #[inline(always)]
        pub fn $read(&mut self) -> Result<$ty, ReadError> {
            self.array().map(<$ty>::from_be_bytes)
        }
    )*}
    };
}

big_endian! {
    i8_at i8 i8;
    u8_at u8 u8;
    i16_at i16 i16;
    u16_at u16 u16;
    i32_at i32 i32;
    u32_at u32 u32;
    i64_at i64 i64;
}

/// A cursor over bytes. Every call either returns a value and moves on, or returns an error and stays.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// A cursor at the first of `bytes`.
    #[inline(always)]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes have been read.
    #[inline(always)]
    pub fn position(&self) -> usize {
        self.at
    }

    /// What has not been read yet.
    #[inline(always)]
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// How many bytes have not been read yet.
    #[inline(always)]
    pub fn remaining(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    /// The next `N` bytes.
    #[inline(always)]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], ReadError> {
        match array_at(self.bytes, self.at) {
            Some(found) => {
                self.at = self.at.saturating_add(N);
                Ok(found)
            }
            None => Err(self.short(N)),
        }
    }

    /// The next `length` bytes, borrowed.
    #[inline(always)]
    pub fn bytes(&mut self, length: usize) -> Result<&'a [u8], ReadError> {
        match self.rest().get(..length) {
            Some(found) => {
                self.at = self.at.saturating_add(length);
                Ok(found)
            }
            None => Err(self.short(length)),
        }
    }

    /// The next unsigned base-128 integer, least significant group first, at most 5 bytes.
    /// Bits of the fifth byte that do not fit are dropped, as Kafka does.
    #[inline(always)]
    pub fn uvarint(&mut self) -> Result<u32, ReadError> {
        match *self.rest() {
            [a, ..] if a < 0x80 => {
                self.at = self.at.saturating_add(1);
                Ok(u32::from(a))
            }
            [a, b, ..] if b < 0x80 => {
                self.at = self.at.saturating_add(2);
                Ok(u32::from(a & 0x7f) | u32::from(b) << 7)
            }
            // The bits above 32 of five groups are cut off by the cast.
            _ => self.long_form::<5>().map(|value| value as u32),
        }
    }

    /// The next unsigned base-128 integer of at most 10 bytes.
    #[inline(always)]
    pub fn uvarlong(&mut self) -> Result<u64, ReadError> {
        match *self.rest() {
            [a, ..] if a < 0x80 => {
                self.at = self.at.saturating_add(1);
                Ok(u64::from(a))
            }
            [a, b, ..] if b < 0x80 => {
                self.at = self.at.saturating_add(2);
                Ok(u64::from(a & 0x7f) | u64::from(b) << 7)
            }
            _ => self.long_form::<10>(),
        }
    }

    /// The next zig-zag encoded 32-bit integer.
    #[inline(always)]
    pub fn varint(&mut self) -> Result<i32, ReadError> {
        self.uvarint().map(|n| (n >> 1) as i32 ^ ((n & 1) as i32).wrapping_neg())
    }

    /// The next zig-zag encoded 64-bit integer.
    #[inline(always)]
    pub fn varlong(&mut self) -> Result<i64, ReadError> {
        self.uvarlong().map(|n| (n >> 1) as i64 ^ ((n & 1) as i64).wrapping_neg())
    }

    #[cold]
    fn long_form<const MOST: usize>(&mut self) -> Result<u64, ReadError> {
        let mut value = 0u64;
        for (group, &byte) in self.rest().iter().take(MOST).enumerate() {
            let shift = (group as u32).saturating_mul(7);
            value |= u64::from(byte & 0x7f).wrapping_shl(shift);
            if byte < 0x80 {
                self.at = self.at.saturating_add(group.saturating_add(1));
                return Ok(value);
            }
        }
        if self.remaining() < MOST {
            Err(self.short(self.remaining().saturating_add(1)))
        } else {
            Err(ReadError::VarintTooLong { at: self.at })
        }
    }

    #[cold]
    fn short(&self, needed: usize) -> ReadError {
        ReadError::Short { at: self.at, needed, left: self.remaining() }
    }
}

/// Appends `value` as an unsigned base-128 integer.
pub fn put_uvarint(out: &mut Vec<u8>, value: u32) {
    put_uvarlong(out, u64::from(value));
}

/// Appends `value` as an unsigned base-128 integer of at most 10 bytes.
pub fn put_uvarlong(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends `value` zig-zag encoded.
pub fn put_varint(out: &mut Vec<u8>, value: i32) {
    put_uvarint(out, (value.wrapping_shl(1) ^ (value >> 31)) as u32);
}

/// Appends `value` zig-zag encoded.
pub fn put_varlong(out: &mut Vec<u8>, value: i64) {
    put_uvarlong(out, (value.wrapping_shl(1) ^ (value >> 63)) as u64);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn varints_have_the_bytes_that_kafka_writes() {
        let known: [(i32, &[u8]); 8] = [
            (0, &[0x00]),
            (-1, &[0x01]),
            (63, &[0x7e]),
            (-64, &[0x7f]),
            (64, &[0x80, 0x01]),
            (-8192, &[0xff, 0x7f]),
            (i32::MAX, &[0xfe, 0xff, 0xff, 0xff, 0x0f]),
            (i32::MIN, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
        ];
        for (value, bytes) in known {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert_eq!(out, bytes, "{value}");
            assert_eq!(Reader::new(bytes).varint(), Ok(value));
        }
    }

    #[test]
    fn a_varint_that_goes_on_after_its_last_byte_is_refused() {
        assert_eq!(Reader::new(&[0xff; 5]).varint(), Err(ReadError::VarintTooLong { at: 0 }));
        assert_eq!(Reader::new(&[0xff; 10]).varlong(), Err(ReadError::VarintTooLong { at: 0 }));
        assert_eq!(Reader::new(&[0xff; 4]).varint(), Err(ReadError::Short { at: 0, needed: 5, left: 4 }));
    }

    #[test]
    fn bits_of_the_fifth_byte_that_do_not_fit_are_dropped() {
        assert_eq!(Reader::new(&[0xff, 0xff, 0xff, 0xff, 0x7f]).uvarint(), Ok(u32::MAX));
    }

    proptest! {
        #[test]
        fn varint_and_varlong_read_what_they_wrote(a: i32, b: i64, c: u32, d: u64) {
            let mut out = Vec::new();
            put_varint(&mut out, a);
            put_varlong(&mut out, b);
            put_uvarint(&mut out, c);
            put_uvarlong(&mut out, d);
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.varint(), Ok(a));
            prop_assert_eq!(reader.varlong(), Ok(b));
            prop_assert_eq!(reader.uvarint(), Ok(c));
            prop_assert_eq!(reader.uvarlong(), Ok(d));
            prop_assert_eq!(reader.remaining(), 0);
        }

        #[test]
        fn a_failed_read_moves_nothing(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            while reader.varlong().is_ok() {}
            let at = reader.position();
            let _ = reader.array::<9>().is_err() && reader.bytes(usize::MAX).is_err();
            prop_assert!(reader.position() == at || reader.position() == at + 9);
        }
    }
}
