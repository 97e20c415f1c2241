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
pub mod logind;
pub mod programs;
pub mod protobuf;
pub mod pulse;
pub mod terminal;
pub mod texts;
pub mod x11;

use std::fs::OpenOptions;
use std::io::Write;

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
        if let Err(e) = counted.and_then(|mut file| writeln!(file, "{line}")) {
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
