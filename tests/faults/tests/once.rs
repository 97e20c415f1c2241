//! A fault happens as often as the plan says, whatever becomes of the process.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use swictation_tests::programs::{built, runtime, toy};

#[test]
fn a_fault_happens_once_and_the_next_process_loads() {
    let Some(runtime) = runtime() else { return };
    let folder = tempfile::tempdir().unwrap();
    let plan = folder.path().join("plan");
    let life = |text: &str| {
        fs::write(&plan, text).unwrap();
        let mut worker = Command::new(built("faulty-worker"));
        worker.args(["--model", toy("att70_6-rnnt").to_str().unwrap()]);
        worker.env("SWICTATION_FAULTS", &plan).env("ORT_DYLIB_PATH", &runtime).stdin(Stdio::null());
        worker.stdout(Stdio::null()).status().unwrap()
    };
    let faults = "abort at load\nsegv at load\nexit at load times 2\n";
    assert_eq!(life(faults).signal(), Some(6));
    assert_eq!(life(faults).signal(), Some(11));
    assert_eq!((life(faults).code(), life(faults).code()), (Some(3), Some(3)));
    assert_eq!(fs::read_to_string(folder.path().join("fired")).unwrap(), "1\n2\n3\n3\n");
    assert!(life(faults).success());
    assert_eq!(life("abrot at load\n").code(), Some(101));
}
