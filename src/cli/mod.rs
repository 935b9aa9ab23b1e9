//! The user: arguments, streams, exit status. Knows all other layers; nobody knows it.

pub mod exit;
pub mod kafka_dump;

pub use exit::Exit;
