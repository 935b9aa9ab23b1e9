//! `.kafka_cleanshutdown`: that the file is there is the news; what it says is an extra.

/// What the marker of a clean shutdown says besides being there.
///
/// Releases before 3.7 leave it empty. Later ones write one line of JSON without an end:
/// `{"version":0,"brokerEpoch":77}`.
///
/// Errors: none. What cannot be read is not known, and no broker minds. An epoch that is a text or a fraction,
/// which Kafka would convert, is not known either: no Kafka writes one.
/// Source: Kafka `CleanShutdownFileHandler`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub struct CleanShutdown {
    /// The version of the content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i32>,
    /// The stored epoch of the broker that stopped, −1 if it did not know it.
    #[serde(default, rename = "brokerEpoch", skip_serializing_if = "Option::is_none")]
    pub raw_broker_epoch: Option<i64>,
}

impl CleanShutdown {
    /// Reads the whole content of the file.
    pub fn parse(bytes: &[u8]) -> Self {
        // Whatever follows the first value does not matter to Kafka, so the end is not looked for.
        let mut json = serde_json::Deserializer::from_slice(bytes);
        serde::Deserialize::deserialize(&mut json).unwrap_or_default()
    }

    /// The content as Kafka writes it: nothing, as before 3.7, where neither version nor epoch is given.
    pub fn write(&self) -> Vec<u8> {
        match *self {
            Self { version: None, raw_broker_epoch: None } => Vec::new(),
            // Two numbers always have a JSON form.
            known => serde_json::to_vec(&known).unwrap_or_default(),
        }
    }

    /// The epoch of the broker that stopped.
    pub fn broker_epoch(&self) -> Option<i64> {
        self.raw_broker_epoch.filter(|epoch| *epoch >= 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kafka's `CleanShutdownFileHandler` (4.4.0) read these epochs.
    #[test]
    fn the_broker_epoch_is_read_as_kafka_reads_it() {
        for (text, epoch) in [
            ("", None),
            (r#"{"version":0,"brokerEpoch":77}"#, Some(77)),
            (r#"{"version":0}"#, None),
            (r#"{"brokerEpoch":7}"#, Some(7)),
            ("{}", None),
            ("null", None),
            ("[]", None),
            (r#"{"version":0,"brokerEpoch":77,"x":[1]}"#, Some(77)),
            ("\n{\"version\":9,\"brokerEpoch\":77}\n", Some(77)),
            (r#"{"version":0,"brokerEpoch":77} x"#, Some(77)),
            (r#"{"version":0,"brokerEpoch":null}"#, None),
            (r#"{"version":0,"brokerEpoch":9223372036854775808}"#, None),
            (r#"{"version":0,"brokerEpoch":77"#, None),
            (r#"{"version":"a","brokerEpoch":77}"#, None),
        ] {
            assert_eq!(CleanShutdown::parse(text.as_bytes()).broker_epoch(), epoch, "{text}");
        }
    }

    #[test]
    fn a_marker_is_written_as_brokers_write_it() {
        for text in ["", r#"{"version":0,"brokerEpoch":77}"#, r#"{"version":0,"brokerEpoch":-1}"#] {
            assert_eq!(CleanShutdown::parse(text.as_bytes()).write(), text.as_bytes());
        }
    }

    #[test]
    fn an_epoch_of_minus_one_is_none() {
        let marker = CleanShutdown::parse(br#"{"version":0,"brokerEpoch":-1}"#);
        assert_eq!((marker.version, marker.broker_epoch()), (Some(0), None));
    }
}
