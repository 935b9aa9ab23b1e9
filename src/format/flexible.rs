//! Kafka's "flexible" message encoding: compact strings, compact arrays, ids and sections of tagged fields.
//!
//! | type           | bytes                                                                         |
//! |----------------|-------------------------------------------------------------------------------|
//! | compact string | uvarint of length + 1 (0 = null), UTF-8                                       |
//! | compact array  | uvarint of count + 1 (0 = null), the elements                                 |
//! | id             | 16 bytes                                                                      |
//! | struct         | its fields in order, then its tags                                            |
//! | tags           | uvarint count, then for each: uvarint tag, uvarint size, as many bytes        |
//!
//! Lengths are 32-bit and signed, so a five-byte uvarint can come out negative and then means null, as in Kafka.
//!
//! Source: Kafka `ByteBufferAccessor`, `ByteUtils`, `MessageDataGenerator`.

use std::marker::PhantomData;

use super::bytes::{ReadError, Reader, put_uvarint};
use super::uuid::Uuid;

/// The longest compact string that Kafka reads.
const LONGEST_STRING: i32 = i16::MAX as i32;

/// Why a message could not be read. Each carries what Kafka's own message for the same thing names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlexibleError {
    /// A fixed-size field or a uvarint does not fit into what is left.
    #[error("the message is cut off: {0}")]
    Short(#[from] ReadError),
    /// A string, bytes or an unknown tagged field is longer than what is left.
    #[error("a field of {length} bytes has only {left} bytes left")]
    BytesTooLong {
        /// The length that is written there.
        length: i32,
        /// How many bytes are left.
        left: usize,
    },
    /// A uvarint whose fifth byte says that another follows.
    #[error("a variable-length integer does not end after 5 bytes (so far {converted:#x})")]
    VarintTooLong {
        /// What its five bytes hold.
        converted: u32,
    },
    /// A field that may not be null is.
    #[error("the field {field} is null")]
    Null {
        /// The field's name, in camel case.
        field: &'static str,
    },
    /// A string beyond Kafka's limit of 32767 bytes.
    #[error("the string {field} claims {length} bytes, more than a string may have")]
    StringTooLong {
        /// The field's name, in camel case.
        field: &'static str,
        /// The length that is written there.
        length: i32,
    },
    /// An array of more elements than bytes are left.
    #[error("an array claims {count} elements and {left} bytes are left")]
    ArrayTooLong {
        /// The number of elements that is written there.
        count: i32,
        /// How many bytes are left.
        left: usize,
    },
}

/// The next uvarint.
pub fn uvarint(reader: &mut Reader<'_>) -> Result<u32, FlexibleError> {
    reader.uvarint().map_err(|error| match error {
        ReadError::VarintTooLong { .. } => {
            let groups = reader.rest().iter().take(5).rev();
            let converted = groups.fold(0u64, |value, &byte| value << 7 | u64::from(byte & 0x7f));
            FlexibleError::VarintTooLong { converted: converted as u32 }
        }
        short => short.into(),
    })
}

/// The next length or count, negative for null.
fn length(reader: &mut Reader<'_>) -> Result<i32, FlexibleError> {
    Ok((uvarint(reader)? as i32).wrapping_sub(1))
}

/// The next `length` bytes.
fn bytes_of<'a>(reader: &mut Reader<'a>, length: i32) -> Result<&'a [u8], FlexibleError> {
    let left = reader.remaining();
    let too_long = FlexibleError::BytesTooLong { length, left };
    usize::try_from(length).ok().and_then(|length| reader.bytes(length).ok()).ok_or(too_long)
}

/// The next compact string, or `None` for null. Its bytes need not be UTF-8.
pub fn nullable_string<'a>(reader: &mut Reader<'a>, field: &'static str) -> Result<Option<&'a [u8]>, FlexibleError> {
    match length(reader)? {
        ..0 => Ok(None),
        length if length > LONGEST_STRING => Err(FlexibleError::StringTooLong { field, length }),
        length => bytes_of(reader, length).map(Some),
    }
}

/// The next compact string. Its bytes need not be UTF-8.
pub fn string<'a>(reader: &mut Reader<'a>, field: &'static str) -> Result<&'a [u8], FlexibleError> {
    nullable_string(reader, field)?.ok_or(FlexibleError::Null { field })
}

/// The next compact bytes, or `None` for null.
pub fn nullable_bytes<'a>(reader: &mut Reader<'a>) -> Result<Option<&'a [u8]>, FlexibleError> {
    match length(reader)? {
        ..0 => Ok(None),
        length => bytes_of(reader, length).map(Some),
    }
}

/// The next compact bytes.
pub fn bytes<'a>(reader: &mut Reader<'a>, field: &'static str) -> Result<&'a [u8], FlexibleError> {
    nullable_bytes(reader)?.ok_or(FlexibleError::Null { field })
}

/// The next id.
pub fn uuid(reader: &mut Reader<'_>) -> Result<Uuid, FlexibleError> {
    Ok(Uuid(reader.array()?))
}

/// Reads a section of tagged fields. `known` is asked for each tag; it reads the field and answers true, or leaves
/// the reader where it is and answers false, and the field is skipped by its size. The size of a known field is not
/// looked at, as in Kafka.
pub fn tags<'a>(
    reader: &mut Reader<'a>,
    mut known: impl FnMut(u32, &mut Reader<'a>) -> Result<bool, FlexibleError>,
) -> Result<(), FlexibleError> {
    for _ in 0..uvarint(reader)? as i32 {
        let tag = uvarint(reader)?;
        let size = uvarint(reader)? as i32;
        if !known(tag, reader)? {
            bytes_of(reader, size)?;
        }
    }
    Ok(())
}

/// Skips a section of tagged fields, none of which is known.
pub fn skip_tags(reader: &mut Reader<'_>) -> Result<(), FlexibleError> {
    tags(reader, |_, _| Ok(false))
}

/// Something an [`Array`] can hold.
pub trait Element<'a>: Sized {
    /// Reads one element, its tags included. Every element takes at least one byte.
    fn read(reader: &mut Reader<'a>) -> Result<Self, FlexibleError>;
}

/// A compact array, still as bytes. All its elements have been read once and were sound.
pub struct Array<'a, T> {
    count: usize,
    bytes: &'a [u8],
    element: PhantomData<T>,
}

impl<'a, T: Element<'a>> Array<'a, T> {
    /// Reads the array that comes next, or `None` for null.
    pub fn read_nullable(reader: &mut Reader<'a>) -> Result<Option<Self>, FlexibleError> {
        let claimed = length(reader)?;
        let Ok(count) = usize::try_from(claimed) else {
            return Ok(None);
        };
        if count > reader.remaining() {
            return Err(FlexibleError::ArrayTooLong { count: claimed, left: reader.remaining() });
        }
        let all = reader.rest();
        for _ in 0..count {
            T::read(reader)?;
        }
        let taken = all.len().saturating_sub(reader.remaining());
        Ok(Some(Self { count, bytes: all.get(..taken).unwrap_or_default(), element: PhantomData }))
    }

    /// Reads the array that comes next.
    pub fn read(reader: &mut Reader<'a>, field: &'static str) -> Result<Self, FlexibleError> {
        Self::read_nullable(reader)?.ok_or(FlexibleError::Null { field })
    }

    /// The elements in the order they are stored.
    pub fn iter(&self) -> Iter<'a, T> {
        Iter { left: self.count, reader: Reader::new(self.bytes), element: PhantomData }
    }
}

impl<T> Array<'_, T> {
    /// How many elements it has.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl<T> Clone for Array<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Array<'_, T> {}

impl<T> PartialEq for Array<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        self.count == other.count && self.bytes == other.bytes
    }
}

impl<T> Eq for Array<'_, T> {}

impl<'a, T: Element<'a> + std::fmt::Debug> std::fmt::Debug for Array<'a, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a, T: Element<'a>> IntoIterator for Array<'a, T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

/// The elements of an [`Array`].
#[derive(Clone, Debug)]
pub struct Iter<'a, T> {
    left: usize,
    reader: Reader<'a>,
    element: PhantomData<T>,
}

impl<'a, T: Element<'a>> Iterator for Iter<'a, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.left = self.left.checked_sub(1)?;
        T::read(&mut self.reader).ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<'a, T: Element<'a>> ExactSizeIterator for Iter<'a, T> {}

/// Appends the length or count `length`, at most 2³¹ − 2.
pub fn put_length(out: &mut Vec<u8>, length: usize) {
    put_uvarint(out, (length as u32).wrapping_add(1));
}

/// Appends a compact string, or compact bytes.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_length(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// Appends a section of no tagged fields.
pub fn put_no_tags(out: &mut Vec<u8>) {
    out.push(0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    impl<'a> Element<'a> for &'a [u8] {
        fn read(reader: &mut Reader<'a>) -> Result<Self, FlexibleError> {
            string(reader, "element")
        }
    }

    fn read_string(bytes: &[u8]) -> Result<Option<&[u8]>, FlexibleError> {
        nullable_string(&mut Reader::new(bytes), "name")
    }

    #[test]
    fn a_string_has_its_length_plus_one_in_front() {
        assert_eq!(read_string(b"\x03abc"), Ok(Some(&b"ab"[..])));
        assert_eq!(read_string(b"\x01"), Ok(Some(&b""[..])));
        assert_eq!(read_string(b"\x00"), Ok(None));
        assert_eq!(string(&mut Reader::new(b"\x00"), "name"), Err(FlexibleError::Null { field: "name" }));
        assert_eq!(read_string(b"\x04ab"), Err(FlexibleError::BytesTooLong { length: 3, left: 2 }));
    }

    #[test]
    fn lengths_are_signed_as_in_kafka() {
        // -1, which minus one is -2: null.
        assert_eq!(read_string(b"\xff\xff\xff\xff\x0f"), Ok(None));
        // The smallest i32 minus one wraps to the largest.
        let length = i32::MAX;
        assert_eq!(read_string(b"\x80\x80\x80\x80\x08"), Err(FlexibleError::StringTooLong { field: "name", length }));
        assert_eq!(read_string(b"\x81\x80\x02"), Err(FlexibleError::StringTooLong { field: "name", length: 32768 }));
    }

    #[test]
    fn a_varint_that_does_not_end_shows_what_it_held() {
        let error = uvarint(&mut Reader::new(&[0xff; 5])).unwrap_err();
        assert_eq!(error, FlexibleError::VarintTooLong { converted: u32::MAX });
    }

    #[test]
    fn an_array_cannot_claim_more_elements_than_bytes() {
        let bytes = [0xff, 0xff, 0xff, 0xff, 0x07, 0, 0];
        let error = Array::<&[u8]>::read(&mut Reader::new(&bytes), "list").unwrap_err();
        assert_eq!(error, FlexibleError::ArrayTooLong { count: i32::MAX - 1, left: 2 });
    }

    #[test]
    fn known_tags_are_read_and_others_skipped() {
        let section = [3, 0, 2, 0, 7, 1, 3, 9, 9, 9, 5, 0, 0xaa];
        let mut reader = Reader::new(&section);
        let mut found = None;
        tags(&mut reader, |tag, reader| {
            if tag == 0 {
                found = Some(reader.i16()?);
            }
            Ok(tag == 0)
        })
        .unwrap();
        assert_eq!((found, reader.rest()), (Some(7), &[0xaa][..]));

        let mut reader = Reader::new(&section);
        skip_tags(&mut reader).unwrap();
        assert_eq!(reader.rest(), [0xaa]);
        assert_eq!(skip_tags(&mut Reader::new(&[1, 0, 4, 1])), Err(FlexibleError::BytesTooLong { length: 4, left: 1 }));
    }

    proptest! {
        #[test]
        fn an_array_of_strings_reads_back(strings in vec(vec(any::<u8>(), 0..300), 0..9), behind: Vec<u8>) {
            let mut out = Vec::new();
            put_length(&mut out, strings.len());
            strings.iter().for_each(|string| put_bytes(&mut out, string));
            put_no_tags(&mut out);
            out.extend_from_slice(&behind);
            let mut reader = Reader::new(&out);
            let array = Array::<&[u8]>::read(&mut reader, "list").unwrap();
            prop_assert_eq!(array.len(), strings.len());
            prop_assert!(array.iter().eq(strings.iter().map(Vec::as_slice)));
            skip_tags(&mut reader).unwrap();
            prop_assert_eq!(reader.rest(), &behind[..]);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = Array::<&[u8]>::read(&mut Reader::new(&bytes), "list");
            let _ = skip_tags(&mut Reader::new(&bytes));
            let _ = nullable_bytes(&mut Reader::new(&bytes));
        }
    }
}
