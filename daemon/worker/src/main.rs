//! `swictation-worker`: one recognizer on one device for one life.
//!
//! It speaks [`swictation_core::wire`] on stdin and stdout, loads exactly one
//! model on exactly the device it is told, and ends when its stdin closes. It
//! opens no microphone, no window and no bus.

use clap::Parser;
use std::process::ExitCode;
use swictation_worker::life::Args;
use swictation_worker::process::live;

fn main() -> ExitCode {
    live(&Args::parse(), Ok)
}
