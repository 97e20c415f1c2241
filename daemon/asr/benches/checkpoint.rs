//! What checkpoints cost beside the dictation that they are of.
//!
//! `cargo bench -p swictation-asr --bench checkpoint -- [--rounds N] MODEL_FOLDER WAV`
//! has a stream hear the recording (16 kHz mono) in pieces of 100 ms, as often as there
//! are rounds, and write every checkpoint as the worker does. The time in them and that
//! of everything are of the same run, in processor time, so a busy machine disturbs both
//! alike. Without a model nothing is measured, so that `cargo test --benches` passes.

#![allow(clippy::print_stdout)]

#[path = "step/clock.rs"]
mod clock;

use clock::{Runs, peak_megabytes, processor_time};
use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;
use swictation_asr::graph::{Device, Runtime, runtime_path};
use swictation_asr::manifest::Manifest;
use swictation_asr::stream::Stream;
use swictation_asr::vad::Vad;
use swictation_asr::{Settings, load};
use swictation_core::wire::{Checkpoint, FromWorker, write_frame};
use swictation_core::{DictationId, SAMPLE_RATE, SamplePos, UtteranceId};

/// Samples per feed: what the daemon sends at once.
const PIECE: usize = 1600;

fn main() -> Result<(), Box<dyn Error>> {
    let mut rounds = 3;
    let mut paths: Vec<PathBuf> = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--rounds" => rounds = args.next().ok_or("--rounds needs a value")?.parse()?,
            // cargo says this to every bench.
            "--bench" => {}
            _ => paths.push(arg.into()),
        }
    }
    let [model, wav] = paths.as_slice() else {
        println!("usage: checkpoint [--rounds N] MODEL_FOLDER WAV; nothing measured");
        return Ok(());
    };
    let wav = hound::WavReader::open(wav)?;
    if (wav.spec().sample_rate, wav.spec().channels, wav.spec().bits_per_sample) != (SAMPLE_RATE, 1, 16) {
        return Err(format!("{:?}; convert it to 16 kHz mono, 16 bits", wav.spec()).into());
    }
    let samples = wav.into_samples::<i16>().map(|sample| sample.map(|s| f32::from(s) / 32768.0));
    let pcm: Vec<f32> = samples.collect::<Result<_, _>>()?;

    // What `stream` calls the span around a checkpoint, with the writing of it.
    let inside = Runs::watch("checkpoint")?;
    let runtime = Runtime::open(&runtime_path())?;
    let manifest = Manifest::read(model)?;
    let vad = Vad::load(&runtime, model, &manifest)?;
    let recognizer = load(&runtime, model, &manifest, Device::Cpu { threads: 1 }, &Settings::default())?;
    let mut stream = Stream::new(recognizer, vad, false);
    println!("{}, {:.1} s of audio", manifest.name, pcm.len() as f64 / f64::from(SAMPLE_RATE));
    println!("checkpoints   KB each  largest   ms each   % of all   ms to go on   peak MB");
    // The first round finds everything cold.
    for round in 0..=rounds {
        inside.reset();
        let before = processor_time();
        let written = hear(&mut stream, &pcm)?;
        let all = processor_time() - before;
        let (times, count) = inside.read();
        let Some(last) = &written.last else { return Err("the recording is too short".into()) };
        let began = Instant::now();
        stream.restore(last.dictation, last)?;
        let restored = began.elapsed();
        if round > 0 {
            let spent = times.processor.as_secs_f64();
            println!(
                "{count:11} {:9.1} {:8.1} {:9.3} {:10.3} {:13.3} {:9}",
                written.bytes as f64 / 1000.0 / count.max(1) as f64,
                written.largest as f64 / 1000.0,
                spent * 1000.0 / count.max(1) as f64,
                spent / all.as_secs_f64() * 100.0,
                restored.as_secs_f64() * 1000.0,
                peak_megabytes(),
            );
        }
    }
    Ok(())
}

/// The checkpoints of a dictation.
#[derive(Default)]
struct Written {
    bytes: usize,
    largest: usize,
    last: Option<Checkpoint>,
}

fn hear(stream: &mut Stream, pcm: &[f32]) -> Result<Written, Box<dyn Error>> {
    let mut to = std::fs::OpenOptions::new().write(true).open("/dev/null")?;
    let mut written = Written::default();
    let mut failed = None;
    let mut out = |message: FromWorker| {
        if let Err(error) = write_frame(&mut to, &message) {
            failed = Some(error);
        }
        if let FromWorker::Checkpoint(checkpoint) = message {
            written.bytes += checkpoint.state.len();
            written.largest = written.largest.max(checkpoint.state.len());
            written.last = Some(checkpoint);
        }
    };
    stream.begin(DictationId(0), UtteranceId(0), SamplePos(0), &[]);
    for (i, piece) in pcm.chunks(PIECE).enumerate() {
        stream.feed(SamplePos((i * PIECE) as u64), piece, &mut out)?;
    }
    stream.finish(SamplePos(pcm.len() as u64), &mut out)?;
    to.flush()?;
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(written),
    }
}
