//! The life of a worker: what it is told to be, loading that, and serving it.
//!
//! It is a function over a reader and a writer, and knows nothing of processes. What
//! a worker recognises with can be wrapped before it is served: the program itself
//! wraps it in nothing, and tests put their faults there, so that no fault is ever
//! part of the program that people run.

use crate::limit::Limit;
use crate::serve::{fault, kind, serve};
use anyhow::{Context, Result, anyhow};
use clap::Parser;
use std::io::{Read, Write};
use std::path::PathBuf;
use swictation_asr::graph::{Cuda, Device, Runtime, runtime_path};
use swictation_asr::manifest::Manifest;
use swictation_asr::stream::Stream;
use swictation_asr::vad::Vad;
use swictation_asr::{AsrError, Recognizer, Settings, self_test};
use swictation_core::engine::shares;
use swictation_core::hotwords::Hotword;
use swictation_core::policy::Policy;
use swictation_core::wire::{EngineInfo, Expect, FaultKind, FromWorker, VERSION, read_frame, write_frame};

/// A recognizer that was loaded and tested.
pub type Loaded = Box<dyn Recognizer>;

/// Recognises speech for swictationd, over stdin and stdout.
#[derive(Parser)]
#[command(version)]
pub struct Args {
    /// Folder with model.toml.
    #[arg(long)]
    pub model: PathBuf,
    /// cpu, cuda or cuda:N.
    #[arg(long, default_value = "cpu")]
    pub device: String,
    /// Processor threads of one model step; 0 = as many as help.
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
    /// The most video memory of each graph, in MiB; 0 = no limit.
    #[arg(long, default_value_t = 0)]
    pub gpu_memory_mb: u32,
    /// Multiply FP32 as TF32 on a GPU.
    #[arg(long)]
    pub tf32: bool,
    /// Capture graphs with fixed shapes on a GPU and replay them.
    #[arg(long)]
    pub cuda_graph: bool,
    /// Left context in seconds.
    #[arg(long)]
    pub context_seconds: Option<f32>,
    /// Audio per model step in milliseconds.
    #[arg(long)]
    pub chunk_ms: Option<u32>,
    /// How far behind the audio a word must be: words or chunks, as the family has it.
    #[arg(long)]
    pub wait_k: Option<u32>,
    /// The longest algorithmic latency: chunk and what is heard behind it, in milliseconds.
    #[arg(long)]
    pub latency_ms: Option<u32>,
    /// wait-k, alignatt, agreement or hold.
    #[arg(long)]
    pub policy: Option<Policy>,
    /// Take hotwords from the first message.
    #[arg(long)]
    pub hotwords: bool,
    /// Tell of every model step.
    #[arg(long)]
    pub steps: bool,
    /// Go without the confinement of files, sockets and programs.
    #[arg(long)]
    pub no_sandbox: bool,
    /// Be confined as for a dictation, say how on standard output, and end.
    #[arg(long)]
    pub confinement: bool,
}

/// Says hello, loads what `args` ask for, has it wrapped, and serves until `from` ends.
///
/// # Errors
/// What was also told to the other side, as far as it still listens.
pub fn run(
    args: &Args,
    from: &mut dyn Read,
    to: &mut dyn Write,
    wrap: impl FnOnce(Loaded) -> Result<Loaded, AsrError>,
) -> Result<()> {
    write_frame(to, &FromWorker::Hello { version: VERSION }).context("the daemon does not listen")?;
    let hotwords = match hotwords(args, from) {
        Ok(hotwords) => hotwords,
        Err(why) => {
            fault(to, FaultKind::Protocol, &why);
            return Err(anyhow!(why));
        }
    };
    match load(args, hotwords, wrap) {
        Ok((mut stream, info, step)) => {
            write_frame(to, &FromWorker::Ready(info, step))?;
            serve(from, to, &mut stream)
        }
        Err(error) => {
            fault(to, kind(&error), &error.to_string());
            Err(error.into())
        }
    }
}

/// The hotwords, where the command line announces them.
fn hotwords(args: &Args, from: &mut dyn Read) -> Result<Vec<Hotword>, String> {
    if !args.hotwords {
        return Ok(Vec::new());
    }
    let read = read_frame(from).map(|Expect(hotwords)| hotwords);
    read.map_err(|error| format!("the hotwords that were announced cannot be read: {error}"))
}

fn load(
    args: &Args,
    hotwords: Vec<Hotword>,
    wrap: impl FnOnce(Loaded) -> Result<Loaded, AsrError>,
) -> Result<(Stream, EngineInfo, u32), AsrError> {
    let threads = match args.threads {
        // More than two threads gain little at chunk size and take the cores
        // that the person is working with.
        0 => std::thread::available_parallelism().map_or(1, |n| n.get().min(2)),
        n => n,
    };
    let cuda = Cuda { number: 0, memory_mb: args.gpu_memory_mb, tf32: args.tf32, capture: args.cuda_graph };
    let device = Device::parse(&args.device, threads)?.tuned(cuda);
    let limit = matches!(device, Device::Cpu { .. }).then(Limit::to_what_is_free).flatten();
    let runtime = Runtime::open(&runtime_path())?;
    let &Args { context_seconds, chunk_ms, wait_k, latency_ms, policy, .. } = args;
    let settings = Settings { context_seconds, chunk_ms, wait_k, latency_ms, policy, hotwords };
    let manifest = Manifest::read(&args.model)?;
    runtime.examine(true);
    let mut recognizer = swictation_asr::load(&runtime, &args.model, &manifest, device, &settings)?;
    let mut vad = Vad::load(&runtime, &args.model, &manifest)?;
    let step = self_test::run(&runtime, recognizer.as_mut(), vad.as_mut())?;
    drop(limit);
    let recognizer = wrap(recognizer)?;
    let info = recognizer.info();
    let (precision, weights) = (&info.precision, shares(&info.weight_shares()));
    tracing::info!(
        model = %info.model, provider = %info.provider, %precision, %weights, step_ms = step.as_millis(), "ready"
    );
    if let left @ 1.. = info.left_on_cpu().values().sum::<u32>() {
        tracing::info!("{left} operators are left on the processor; `swictation doctor` names them");
    }
    let step = u32::try_from(step.as_micros()).unwrap_or(u32::MAX);
    Ok((Stream::new(recognizer, vad, args.steps), info, step))
}
