//! A driver that is there and does not work, as after an update without a reboot: the
//! recognizer goes to the processor, or says why it cannot go to the GPU.
//!
//! The driver is a library made here, whose every call fails. ONNX Runtime asks it when
//! it was built with CUDA and finds CUDA's libraries; the test says whether it did.

use crate::bad_input::{assert_says, desk};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use swictation_tests::bus::Bus;
use swictation_tests::programs::{Daemon, Follower, Home, runtime, toy};
use swictation_tests::{need, note, program};

/// What CUDA's runtime and the libraries beside it call before anything else; 100 is
/// "no CUDA-capable device is detected".
const DRIVER: &str = r#"
#include <unistd.h>
static int fails(void) {
    /* A worker may not write files. */
    if (write(2, "the driver fails\n", 17) < 0) _exit(9);
    return 100;
}
int cuTensorMapEncodeTiled(void) { return fails(); }
int cuInit(unsigned flags) { (void)flags; return fails(); }
int cuDriverGetVersion(int *version) { *version = 0; return fails(); }
int cuDeviceGetCount(int *count) { *count = 0; return fails(); }
int cuGetErrorName(int error, const char **name) { (void)error; *name = "CUDA_ERROR_NO_DEVICE"; return 0; }
int cuGetErrorString(int error, const char **text) { (void)error; *text = "no device"; return 0; }
int cuGetProcAddress(const char *name, void **at, int v, unsigned long f) { (void)name; (void)v; (void)f; *at = 0; return fails(); }
int cuGetProcAddress_v2(const char *name, void **at, int v, unsigned long f, int *s) { (void)s; return cuGetProcAddress(name, at, v, f); }
"#;

/// A daemon on that `device` beside the driver that fails.
fn beside_a_broken_driver(device: &str) -> Option<(Bus, Home, Follower, Daemon)> {
    if runtime().is_none() || !need("cc", program("cc")) {
        return None;
    }
    let (bus, home, status) = desk()?;
    let (source, library): (PathBuf, PathBuf) = (home.path("driver.c"), home.path("libcuda.so.1"));
    fs::write(&source, DRIVER).unwrap();
    let made = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status();
    assert!(made.unwrap().success());
    home.configure(&format!("model = {:?}\ndevice = {device:?}\n", toy("att70_6-rnnt")));
    let mut command = home.command("swictationd");
    let libraries = std::env::var("LD_LIBRARY_PATH").unwrap_or_default();
    command.env("LD_LIBRARY_PATH", format!("{}:{libraries}", home.path("").display()));
    command.env_remove("CUDA_VISIBLE_DEVICES");
    let daemon = Daemon::start(bus.give_to(&mut command).args(["--typist", "stdout"]));
    Some((bus, home, status, daemon))
}

#[test]
fn a_driver_that_fails_leaves_auto_on_the_processor() {
    let Some((_bus, _home, mut status, mut daemon)) = beside_a_broken_driver("auto") else { return };
    let ready = status.until("an engine", |line| line["engine"]["state"] == "ready");
    assert_eq!(ready["engine"]["provider"], "cpu");
    assert!(daemon.runs());
    let asked =
        if daemon.log().contains("the driver fails") { "asked" } else { "has no CUDA, and never asks" };
    note(&format!("the ONNX Runtime of this test {asked} the driver that fails"));
}

#[test]
fn a_driver_that_fails_is_said_where_only_the_gpu_may_be_used() {
    let Some((_bus, _home, mut status, mut daemon)) = beside_a_broken_driver("cuda") else { return };
    let trouble = status.trouble("CUDA");
    assert_says(&trouble, &["device cuda:0 cannot be used", "device = \"cpu\""]);
    if daemon.log().contains("the driver fails") {
        assert_says(&trouble, &["CUDA driver version is insufficient", "nvidia-smi"]);
    }
    assert!(daemon.runs());
}
