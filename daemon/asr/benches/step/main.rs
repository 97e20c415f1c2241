//! What a step costs beside what ONNX Runtime needs for the graphs in it.
//!
//! `cargo bench -p swictation-asr --bench step -- [--threads N] [--rounds N] [--json]
//! MODEL_FOLDER WAV` feeds the recording (16 kHz mono) in blocks of 32 ms, as often as
//! there are rounds, and after one that does not count. Every time span inside a call
//! of a graph is ONNX Runtime's own, everything else in `feed`, `step` and `finish` is
//! ours; both are of the same steps, so a busy machine disturbs them alike. Without a
//! model nothing is measured, so that `cargo test --benches` passes.

#![allow(clippy::print_stdout)]

mod clock;

use clock::{Runs, Times, processor_time};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use swictation_asr::graph::{Device, Runtime, runtime_path};
use swictation_asr::manifest::Manifest;
use swictation_asr::{Recognizer, Settings, load};
use swictation_core::{SAMPLE_RATE, SamplePos};

/// Samples per feed: what a microphone brings at once.
const BLOCK: usize = 512;

fn main() -> Result<(), Box<dyn Error>> {
    let (mut threads, mut rounds, mut json) = (1, 3, false);
    let mut paths: Vec<PathBuf> = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value"));
        match arg.as_str() {
            "--threads" => threads = value()?.parse()?,
            "--rounds" => rounds = value()?.parse()?,
            "--json" => json = true,
            // cargo says this to every bench.
            "--bench" => {}
            _ => paths.push(arg.into()),
        }
    }
    let [model, wav] = paths.as_slice() else {
        println!("usage: step [--threads N] [--rounds N] [--json] MODEL_FOLDER WAV; nothing measured");
        return Ok(());
    };
    let pcm = read(wav)?;
    // What `graph` calls the span around every call of ONNX Runtime.
    let runs = Runs::watch("run")?;
    let runtime = Runtime::open(&runtime_path())?;
    let manifest = Manifest::read(model)?;
    let device = Device::parse("cpu", threads)?;
    let mut recognizer = load(&runtime, model, &manifest, device, &Settings::default())?;
    let _warm = Pass::make(recognizer.as_mut(), &pcm, &runs)?;
    let passes = (0..rounds).map(|_| Pass::make(recognizer.as_mut(), &pcm, &runs));
    let passes = passes.collect::<Result<Vec<Pass>, _>>()?;
    let seconds = pcm.len() as f64 / SAMPLE_RATE as f64;
    report(&passes, seconds, json);
    Ok(())
}

/// What one pass over the recording took.
struct Pass {
    /// Everything.
    whole: Times,
    /// Inside calls of graphs.
    inside: Times,
    /// Wall time of every step that encoded something.
    steps: Vec<Duration>,
    /// Calls of graphs.
    calls: u64,
    tokens: usize,
}

impl Pass {
    fn make(recognizer: &mut dyn Recognizer, pcm: &[f32], runs: &Runs) -> Result<Self, Box<dyn Error>> {
        runs.reset();
        let (mut steps, mut tokens) = (Vec::new(), 0);
        let (began, processor) = (Instant::now(), processor_time());
        recognizer.begin(SamplePos(0), &[]);
        for block in pcm.chunks(BLOCK) {
            recognizer.feed(block);
            loop {
                let began = Instant::now();
                let Some(belief) = recognizer.step()? else { break };
                steps.push(began.elapsed());
                tokens += belief.tokens.len();
            }
        }
        tokens += recognizer.finish()?.tokens.len();
        let whole = Times { wall: began.elapsed(), processor: processor_time() - processor };
        let (inside, calls) = runs.read();
        Ok(Self { whole, inside, steps, calls, tokens })
    }

    /// Our whole time over ONNX Runtime's.
    fn ratio(&self) -> f64 {
        self.whole.processor.as_secs_f64() / self.inside.processor.as_secs_f64()
    }
}

fn report(passes: &[Pass], seconds: f64, json: bool) {
    let of = |value: fn(&Pass) -> f64| {
        let mut values: Vec<f64> = passes.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        (values.first().copied().unwrap_or(0.0), percentile(&values, 0.5))
    };
    let mut steps: Vec<f64> =
        passes.iter().flat_map(|pass| &pass.steps).map(|step| step.as_secs_f64() * 1000.0).collect();
    steps.sort_by(f64::total_cmp);
    let (p50, p95) = (percentile(&steps, 0.5), percentile(&steps, 0.95));
    let (ratio_min, ratio) = of(Pass::ratio);
    let (processor_min, processor) = of(|pass| pass.whole.processor.as_secs_f64());
    let (wall_min, wall) = of(|pass| pass.whole.wall.as_secs_f64());
    let (inside_min, inside) = of(|pass| pass.inside.processor.as_secs_f64());
    let (calls, tokens) = passes.last().map_or((0, 0), |pass| (pass.calls, pass.tokens));
    let peak = clock::peak_megabytes();
    if json {
        println!(
            "{{\"seconds\": {seconds:.2}, \"tokens\": {tokens}, \"calls\": {calls}, \
             \"processor\": {:?}, \"wall\": {:?}, \"ratio\": {:?}, \"step_ms\": [{p50:.2}, {p95:.2}], \"peak_mb\": {peak}}}",
            passes.iter().map(|pass| pass.whole.processor.as_secs_f64()).collect::<Vec<_>>(),
            passes.iter().map(|pass| pass.whole.wall.as_secs_f64()).collect::<Vec<_>>(),
            passes.iter().map(Pass::ratio).collect::<Vec<_>>(),
        );
        return;
    }
    println!("{seconds:.1} s of audio, {tokens} tokens, {calls} calls of graphs, {} rounds", passes.len());
    println!("                             best   median");
    println!("whole step / ONNX Runtime  {ratio_min:6.4}   {ratio:6.4}");
    println!("processor s per audio s    {:6.4}   {:6.4}", processor_min / seconds, processor / seconds);
    println!("  of it in ONNX Runtime    {:6.4}   {:6.4}", inside_min / seconds, inside / seconds);
    println!("wall s per audio s         {:6.4}   {:6.4}", wall_min / seconds, wall / seconds);
    println!("ms per step                {p50:6.2} (p50) {p95:6.2} (p95)");
    println!("peak memory                {peak} MB");
}

/// The value below which `share` of the sorted `values` are.
fn percentile(values: &[f64], share: f64) -> f64 {
    let at = (values.len().saturating_sub(1)) as f64 * share;
    values.get(at.round() as usize).copied().unwrap_or(0.0)
}

/// Samples of a 16 kHz mono WAV file, -1 to 1.
fn read(file: &Path) -> Result<Vec<f32>, Box<dyn Error>> {
    let wav = hound::WavReader::open(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let spec = wav.spec();
    if (spec.sample_rate, spec.channels, spec.bits_per_sample) != (SAMPLE_RATE, 1, 16) {
        return Err(format!("{}: {spec:?}; convert it to 16 kHz mono, 16 bits", file.display()).into());
    }
    Ok(wav.into_samples::<i16>().map(|s| s.map(|s| f32::from(s) / 32768.0)).collect::<Result<_, _>>()?)
}
