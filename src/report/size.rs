//! Numbers of bytes as people read them.

use super::json::int;

const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// Appends `bytes` in the largest unit that gives at least 1, with one decimal below 10: `312 B`, `1.2 GiB`, `47 MiB`.
/// Rounded down: what is shown is there.
pub fn human(out: &mut Vec<u8>, bytes: u64) {
    let power = (bytes.max(1).ilog2() / 10) as usize;
    let Some(unit) = power.checked_sub(1).and_then(|at| UNITS.get(at)) else {
        int(out, bytes);
        out.extend_from_slice(b" B");
        return;
    };
    let tenths = (u128::from(bytes) * 10) >> (10 * power);
    int(out, (tenths / 10) as u64);
    if tenths < 100 {
        out.push(b'.');
        int(out, (tenths % 10) as u64);
    }
    out.push(b' ');
    out.extend_from_slice(unit.as_bytes());
}

/// [`human`] as text of its own.
pub fn human_text(bytes: u64) -> String {
    let mut out = Vec::new();
    human(&mut out, bytes);
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::human_text;

    #[test]
    fn sizes_have_the_largest_unit_that_fits_and_never_claim_more_than_there_is() {
        for (bytes, words) in [
            (0, "0 B"),
            (1, "1 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (10_239, "9.9 KiB"),
            (10_240, "10 KiB"),
            (1024 * 1024 - 1, "1023 KiB"),
            (1024 * 1024, "1.0 MiB"),
            (1_288_490_189, "1.2 GiB"),
            (u64::MAX, "15 EiB"),
        ] {
            assert_eq!(human_text(bytes), words);
        }
    }
}
