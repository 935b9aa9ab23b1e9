//! The `kfsck` program: parses, runs, exits.

fn main() -> std::process::ExitCode {
    kfsck::cli::run(std::env::args_os()).into()
}
