//! Whole processes: what a user waits for.

use std::fs::File;
use std::hint::black_box;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// The program under test.
pub const KFSCK: &str = env!("CARGO_BIN_EXE_kfsck");

const PEAK_OF: &str = "--peak-of";

/// Seconds since this was first asked.
pub fn clock() -> f64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed().as_secs_f64()
}

/// Seconds that this process and the children it has waited for have kept a processor busy.
pub fn cpu_clock() -> f64 {
    let seconds = |who| {
        let usage = getrusage(who).expect("the usage of processes");
        [usage.user_time(), usage.system_time()].iter().map(|time| time.num_microseconds() as f64 / 1e6).sum::<f64>()
    };
    seconds(UsageWho::RUSAGE_SELF) + seconds(UsageWho::RUSAGE_CHILDREN)
}

/// Whether two threads that only calculate get through more than 1.6 times the work of one right now. They do not where
/// other processes run, or where two processors of a virtual machine are one core of the real one.
///
/// The best of a few short tries: a try that was disturbed says nothing.
pub fn two_cores_are_free() -> bool {
    fn calculate() -> u64 {
        (0..8_000_000_u64).fold(1, |x, i| black_box(x.rotate_left(5) ^ i.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }
    (0..4).any(|_| {
        let start = Instant::now();
        black_box(calculate());
        let one = start.elapsed();
        let start = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(calculate);
            black_box(calculate());
        });
        2.0 * one.as_secs_f64() / start.elapsed().as_secs_f64() > 1.6
    })
}

/// Runs a command, its output thrown away.
pub fn run(command: &[&str]) {
    run_into(command, Stdio::null());
}

/// Runs a command that ends with this status, its output thrown away.
pub fn run_with_status(command: &[&str], wanted: i32) {
    let (null, nothing) = (Stdio::null(), Stdio::null());
    let status = Command::new(command[0]).args(&command[1..]).stdin(null).stdout(nothing).status();
    assert_eq!(status.expect("the program starts").code(), Some(wanted), "{command:?}");
}

/// Runs a command, its output written to a file.
pub fn run_to_file(command: &[&str], file: &str) {
    run_into(command, File::create(file).expect("a file for output").into());
}

/// Runs a command into a pipe whose other end is `wc -c`.
pub fn run_to_wc(command: &[&str]) {
    let mut wc = Command::new("wc").arg("-c").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("wc");
    run_into(command, wc.stdin.take().expect("the pipe").into());
    assert!(wc.wait().expect("wc").success());
}

fn run_into(command: &[&str], output: Stdio) {
    let status = Command::new(command[0]).args(&command[1..]).stdin(Stdio::null()).stdout(output).status();
    assert!(status.expect("the program starts").success(), "{command:?}");
}

/// The most memory that a command has resident, in bytes.
///
/// It is run by a fresh process of this program, which has no other child and is small: the peak of a child begins
/// with the memory of the process that started it.
pub fn peak_in_bytes(command: &[&str]) -> u64 {
    let this = std::env::current_exe().expect("the path of this program");
    let output = Command::new(this).arg(PEAK_OF).args(command).output().expect("this program starts");
    let words = String::from_utf8_lossy(&output.stdout);
    let kib: u64 = words.trim().parse().unwrap_or_else(|_| panic!("{command:?}: {output:?}"));
    kib << 10
}

/// In the process that [`peak_in_bytes`] starts: runs the command, prints its peak and ends.
pub fn measure_peak_if_asked() {
    let args: Vec<_> = std::env::args().skip(1).collect();
    if let Some((PEAK_OF, command)) = args.split_first().map(|(first, command)| (first.as_str(), command)) {
        run(&command.iter().map(String::as_str).collect::<Vec<_>>());
        println!("{}", getrusage(UsageWho::RUSAGE_CHILDREN).expect("the usage of children").max_rss());
        std::process::exit(0);
    }
}
