//! `swictation-worker`: one recognizer on one device for one life.
//!
//! It speaks [`swictation_core::wire`] on stdin and stdout, loads exactly one
//! model on exactly the device it is told, and ends when its stdin closes. It
//! opens no microphone, no window and no bus.

use anyhow::{Context, Result};
use clap::Parser;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::os::fd::{FromRawFd, OwnedFd};
use std::path::PathBuf;
use std::process::ExitCode;
use swictation_asr::graph::{Device, Runtime, runtime_path};
use swictation_asr::manifest::Manifest;
use swictation_asr::self_test;
use swictation_asr::stream::Stream;
use swictation_asr::vad::Vad;
use swictation_asr::{AsrError, Settings};
use swictation_core::wire::{EngineInfo, FromWorker, VERSION, write_frame};
use swictation_worker::limit::Limit;
use swictation_worker::serve::{fault, kind, serve};

/// Recognises speech for swictationd, over stdin and stdout.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Folder with model.toml.
    #[arg(long)]
    model: PathBuf,
    /// cpu, cuda or cuda:N.
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Processor threads of one model step; 0 = as many as help.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Left context in seconds.
    #[arg(long)]
    context_seconds: Option<f32>,
    /// Audio per model step in milliseconds.
    #[arg(long)]
    chunk_ms: Option<u32>,
    /// Words held back behind the newest.
    #[arg(long)]
    wait_k: Option<u32>,
    /// Tell of every model step.
    #[arg(long)]
    steps: bool,
}

fn main() -> ExitCode {
    // Native libraries print to stdout when it pleases them, and one stray line
    // would break the protocol: the pipe moves away before anything is loaded.
    let Ok((from, to)) = take_stdio() else { return ExitCode::FAILURE };
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("SWICTATION_LOG")
                .unwrap_or_else(|_| "warn,swictation=info".into()),
        )
        .with_writer(std::io::stderr)
        .with_target(false)
        .without_time()
        .init();
    match run(&Args::parse(), from, to) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The daemon was told, and it knows whether that matters: on the way
            // down the device ladder it does not.
            tracing::debug!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args, from: File, to: File) -> Result<()> {
    let (mut from, mut to) = (BufReader::new(from), BufWriter::new(to));
    write_frame(&mut to, &FromWorker::Hello { version: VERSION }).context("the daemon does not listen")?;
    match load(args) {
        Ok((mut stream, info, step)) => {
            write_frame(&mut to, &FromWorker::Ready(info, step))?;
            serve(&mut from, &mut to, &mut stream)
        }
        Err(error) => {
            fault(&mut to, kind(&error), &error.to_string());
            to.flush().ok();
            Err(error.into())
        }
    }
}

fn load(args: &Args) -> Result<(Stream, EngineInfo, u32), AsrError> {
    let threads = match args.threads {
        // More than two threads gain little at chunk size and take the cores
        // that the person is working with.
        0 => std::thread::available_parallelism().map_or(1, |n| n.get().min(2)),
        n => n,
    };
    let device = Device::parse(&args.device, threads)?;
    let limit = matches!(device, Device::Cpu { .. }).then(Limit::to_what_is_free).flatten();
    let runtime = Runtime::open(&runtime_path())?;
    let settings =
        Settings { context_seconds: args.context_seconds, chunk_ms: args.chunk_ms, wait_k: args.wait_k };
    let manifest = Manifest::read(&args.model)?;
    runtime.examine(true);
    let mut recognizer = swictation_asr::load(&runtime, &args.model, &manifest, device, &settings)?;
    let mut vad = Vad::load(&runtime, &args.model, &manifest)?;
    let step = self_test::run(&runtime, recognizer.as_mut(), vad.as_mut())?;
    drop(limit);
    let info = recognizer.info();
    tracing::info!(model = %info.model, provider = %info.provider, precision = %info.precision, step_ms = step.as_millis(), "ready");
    let step = u32::try_from(step.as_micros()).unwrap_or(u32::MAX);
    Ok((Stream::new(recognizer, vad, args.steps), info, step))
}

/// Moves stdin and stdout to descriptors of our own; what anybody else reads
/// from stdin is empty, and what anybody else prints goes to stderr.
fn take_stdio() -> std::io::Result<(File, File)> {
    // SAFETY: plain descriptor calls on 0, 1 and 2 before any thread exists; the
    // results are checked and owned exactly once.
    unsafe {
        let from = owned(libc::fcntl(0, libc::F_DUPFD_CLOEXEC, 3))?;
        let to = owned(libc::fcntl(1, libc::F_DUPFD_CLOEXEC, 3))?;
        let null = owned(libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC))?;
        use std::os::fd::AsRawFd;
        if libc::dup2(null.as_raw_fd(), 0) < 0 || libc::dup2(2, 1) < 0 {
            return Err(std::io::Error::last_os_error());
        }
        Ok((File::from(from), File::from(to)))
    }
}

/// # Safety
/// `fd` must be negative or a descriptor that nobody else owns.
unsafe fn owned(fd: i32) -> std::io::Result<OwnedFd> {
    if fd < 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: promised by the caller.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
