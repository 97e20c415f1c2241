//! What whole-program tests stand on: real servers, started for one test and ended
//! with it.
//!
//! A fixture is a value that owns its processes and kills them when dropped. Each
//! says what it needs through [`need`], the only place where a test may be skipped.

#![allow(clippy::print_stderr)]

pub mod babble;
pub mod bus;
pub mod copied;
pub mod desktop;
pub mod entry;
pub mod input_method;
pub mod keyboard;
pub mod logind;
pub mod programs;
pub mod protobuf;
pub mod pulse;
pub mod terminal;
pub mod texts;
pub mod x11;

use std::fs::OpenOptions;
use std::io::Write;
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Whether a test whose need `what` is `present` can run.
///
/// When it is not, prints `needs {what}: skipped`, and appends that line to the
/// file that SWICTATION_SKIPS names, so that skipped tests are counted.
///
/// # Panics
/// When SWICTATION_REQUIRE is "all", or lists `what` (separated by commas), and
/// it is not present.
pub fn need(what: &str, present: bool) -> bool {
    if present {
        return true;
    }
    let line = format!("needs {what}: skipped");
    note(&line);
    if let Some(path) = std::env::var_os("SWICTATION_SKIPS") {
        let counted = OpenOptions::new().create(true).append(true).open(&path);
        if let Err(e) = counted.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes())) {
            eprintln!("{}: {e}", path.display());
        }
    }
    let required = std::env::var("SWICTATION_REQUIRE").unwrap_or_default();
    assert!(
        !required.split(',').any(|name| name == "all" || name == what),
        "this test needs {what}, and SWICTATION_REQUIRE={required} promises it"
    );
    false
}

/// Says something in a test's output.
pub fn note(line: &str) {
    eprintln!("{line}");
}

/// Whether a program of that name is on the PATH.
pub fn program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

/// A program that is ended when this is dropped.
pub struct Ended(pub Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Does something so often, and says how long that took.
pub fn measure(what: &str, times: usize, mut work: impl FnMut()) {
    let mut took: Vec<Duration> = (0..times)
        .map(|_| {
            let begun = Instant::now();
            work();
            begun.elapsed()
        })
        .collect();
    took.sort_unstable();
    let at = |percent: usize| took[(times * percent).div_ceil(100).max(1) - 1];
    note(&format!("{what}: median {:?}, p95 {:?}, worst {:?}", at(50), at(95), at(100)));
}

/// Does something while more threads than there are processors want to run.
pub fn busy(work: impl FnOnce()) {
    let idle = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..=std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while !idle.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        // The scope waits for its threads also when the work fails.
        let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        idle.store(true, Ordering::Relaxed);
        worked.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}
