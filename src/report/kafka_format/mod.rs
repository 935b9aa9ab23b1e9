//! The lines that Apache Kafka's own `kafka-dump-log` prints, byte for byte.
//!
//! What is printed differs from release to release; [`Profile`] knows all the differences. Everything else here turns
//! values of the `format` layer into lines in the caller's `Vec<u8>`. Nothing here knows files, arguments or streams.
//!
//! Source: Kafka `DumpLogSegments` of the releases that [`Profile`] names.

mod control_detail;
pub mod decoder;
pub mod file_lines;
mod hash_order;
pub mod log_lines;
mod profile;
pub mod summary;
pub mod text;

pub use decoder::{ClassDecoder, DecoderClass, PayloadDecoder, PayloadError};
pub use profile::{Profile, UnknownRelease};
pub use summary::Summary;
