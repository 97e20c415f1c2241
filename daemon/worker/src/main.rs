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
use swictation_asr::graph::{Cuda, Device, Runtime, runtime_path};
use swictation_asr::manifest::Manifest;
use swictation_asr::stream::Stream;
use swictation_asr::vad::Vad;
use swictation_asr::{AsrError, Settings};
use swictation_core::engine::shares;
use swictation_core::wire::{EngineInfo, FromWorker, VERSION, write_frame};
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
    /// The most video memory of each graph, in MiB; 0 = no limit.
    #[arg(long, default_value_t = 0)]
    gpu_memory_mb: u32,
    /// Multiply FP32 as TF32 on a GPU.
    #[arg(long)]
    tf32: bool,
    /// Capture graphs with fixed shapes on a GPU and replay them.
    #[arg(long)]
    cuda_graph: bool,
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
        Ok((mut stream, info)) => {
            write_frame(&mut to, &FromWorker::Ready(info))?;
            serve(&mut from, &mut to, &mut stream)
        }
        Err(error) => {
            fault(&mut to, kind(&error), &error.to_string());
            to.flush().ok();
            Err(error.into())
        }
    }
}

fn load(args: &Args) -> Result<(Stream, EngineInfo), AsrError> {
    let threads = match args.threads {
        // More than two threads gain little at chunk size and take the cores
        // that the person is working with.
        0 => std::thread::available_parallelism().map_or(1, |n| n.get().min(2)),
        n => n,
    };
    let cuda = Cuda { number: 0, memory_mb: args.gpu_memory_mb, tf32: args.tf32, capture: args.cuda_graph };
    let device = Device::parse(&args.device, threads)?.tuned(cuda);
    let runtime = Runtime::open(&runtime_path())?;
    let settings =
        Settings { context_seconds: args.context_seconds, chunk_ms: args.chunk_ms, wait_k: args.wait_k };
    let manifest = Manifest::read(&args.model)?;
    let recognizer = swictation_asr::load(&runtime, &args.model, &manifest, device, &settings)?;
    let vad = Vad::load(&runtime, &args.model, &manifest)?;
    let info = recognizer.info();
    let (precision, weights) = (&info.precision, shares(&info.weight_shares()));
    tracing::info!(model = %info.model, provider = %info.provider, %precision, %weights, "ready");
    if let left @ 1.. = info.left_on_cpu().values().sum::<u32>() {
        tracing::info!("{left} operators are left on the processor; `swictation doctor` names them");
    }
    Ok((Stream::new(recognizer, vad, args.steps), info))
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
