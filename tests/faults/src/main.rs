//! `faulty-worker`: the real worker, with the faults that a plan asks for.
//!
//! Tests put it where the daemon looks for `swictation-worker`. It loads and serves as
//! that does, because it is that, with [`Faulty`] around the recognizer. With a plan
//! that has no faults it is the real one, but for a GPU that is only a file beside the
//! plan: `--device cuda` then means the processor, which says it is a GPU.

#![allow(clippy::expect_used, reason = "a plan that cannot be followed is a mistake of the test")]

mod faulty;
mod gpu;
mod plan;

use clap::Parser;
use faulty::Faulty;
use gpu::Gpu;
use plan::Faults;
use std::path::PathBuf;
use std::process::ExitCode;
use swictation_worker::life::Args;
use swictation_worker::process::live;

/// Names the plan; see [`plan`] for what stands in it.
const PLAN: &str = "SWICTATION_FAULTS";

fn main() -> ExitCode {
    let mut args = Args::parse();
    let path = PathBuf::from(std::env::var_os(PLAN).expect("SWICTATION_FAULTS names a plan"));
    let gpu = args.device.starts_with("cuda").then(|| Gpu::beside(&path, &args.device));
    if gpu.is_some() {
        args.device = "cpu".to_owned();
    }
    let faults = Faults::open(&path, gpu.is_some());
    live(&args, |recognizer| Ok(Box::new(Faulty::load(recognizer, faults, gpu)?)))
}
