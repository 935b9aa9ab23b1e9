//! Paths as a shell takes them, for commands that are shown to be typed.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The path as one word of a shell: as it is, in quotes, or, where it holds what no terminal should be given, in `$'…'`.
/// One that begins like an option has `./` before it.
pub fn quoted(path: &Path) -> String {
    if path.as_os_str().as_bytes().starts_with(b"-") {
        return quoted(&Path::new(".").join(path));
    }
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "/._-+,:=@%".contains(character);
    let is_shown = |character: char| character.is_alphanumeric() || character.is_ascii_graphic() || character == ' ';
    match path.to_str() {
        Some(text) if !text.is_empty() && text.chars().all(is_plain) => text.to_owned(),
        Some(text) if text.chars().all(is_shown) => format!("'{}'", text.replace('\'', r"'\''")),
        _ => {
            let escaped = path.as_os_str().as_bytes().iter().map(|&byte| match byte {
                b'\\' | b'\'' => format!("\\{}", char::from(byte)),
                b' '..=b'~' => char::from(byte).to_string(),
                _ => format!("\\x{byte:02x}"),
            });
            format!("$'{}'", escaped.collect::<String>())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn a_shell_reads_every_name_as_it_is() {
        for name in
            [&b"/data/orders-3"[..], b"", b"/my data/it's", b"a\x1b[31m", b"bad\xffdir it's\\x", "größe $x".as_bytes()]
        {
            let line = format!("printf %s {}", quoted(Path::new(OsStr::from_bytes(name))));
            assert!(line.chars().all(|character| !character.is_control()), "{line}");
            let Ok(said) = std::process::Command::new("bash").args(["-c", &line]).output() else { return };
            assert_eq!(said.stdout, name, "{line}");
        }
        assert_eq!([Path::new("-l"), Path::new("-l d")].map(quoted), ["./-l", "'./-l d'"]);
    }
}
