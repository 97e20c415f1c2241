//! WAV files in, words with their times out, as a dictation would have them.
//!
//! `transcribe [--chunk-ms N] [--wait-k N] [--context-seconds S] [--latency-ms N]
//! [--policy NAME] [--no-vad] [--threads N] [--device cpu|cuda:N] MODEL_FOLDER WAV...`
//! prints a line per word: file, audio heard when the word was committed, the
//! word's beginning and end (seconds), utterance, word; and a line `total` per
//! file with seconds of audio, processor seconds, steps, words held back in all
//! of them and the longest step in milliseconds. Files are 16 kHz mono.

#![allow(clippy::print_stdout)]

use std::error::Error;
use std::path::{Path, PathBuf};
use swictation_asr::graph::{Device, Runtime, runtime_path};
use swictation_asr::manifest::Manifest;
use swictation_asr::stream::Stream;
use swictation_asr::vad::Vad;
use swictation_asr::{Settings, load};
use swictation_core::wire::FromWorker;
use swictation_core::{DictationId, SAMPLE_RATE, SamplePos, UtteranceId};

/// Samples per feed, as a microphone would bring them.
const BLOCK: usize = 1600;

fn main() -> Result<(), Box<dyn Error>> {
    let mut settings = Settings::default();
    let (mut vad, mut threads, mut device) = (true, 1, "cpu".to_owned());
    let mut paths: Vec<PathBuf> = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value"));
        match arg.as_str() {
            "--chunk-ms" => settings.chunk_ms = Some(value()?.parse()?),
            "--wait-k" => settings.wait_k = Some(value()?.parse()?),
            "--context-seconds" => settings.context_seconds = Some(value()?.parse()?),
            "--latency-ms" => settings.latency_ms = Some(value()?.parse()?),
            "--policy" => settings.policy = Some(value()?.parse()?),
            "--threads" => threads = value()?.parse()?,
            "--device" => device = value()?,
            "--no-vad" => vad = false,
            _ => paths.push(arg.into()),
        }
    }
    let [model, files @ ..] = paths.as_slice() else {
        return Err("usage: transcribe [OPTION VALUE]... MODEL_FOLDER WAV...".into());
    };
    let runtime = Runtime::open(&runtime_path())?;
    let manifest = Manifest::read(model)?;
    let recognizer = load(&runtime, model, &manifest, Device::parse(&device, threads)?, &settings)?;
    let vad = match vad {
        true => Vad::load(&runtime, model, &manifest)?,
        false => None,
    };
    let mut stream = Stream::new(recognizer, vad, false);
    for (number, file) in (0..).zip(files) {
        transcribe(&mut stream, DictationId(number), file)?;
    }
    Ok(())
}

fn transcribe(stream: &mut Stream, dictation: DictationId, file: &Path) -> Result<(), Box<dyn Error>> {
    let pcm = read(file)?;
    let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let (mut steps, mut held, mut longest) = (0u32, 0usize, 0u32);
    let mut say = |message: FromWorker| {
        let FromWorker::Hypothesis(hypothesis) = message else { return };
        let frozen = hypothesis.frozen as usize;
        for word in &hypothesis.words[..frozen] {
            let (heard, utterance) = (hypothesis.heard_to.seconds(), hypothesis.utterance.0);
            let (start, end) = (word.start.seconds(), word.end.seconds());
            let glued = if word.glued { "+" } else { "" };
            println!("{name}\t{heard:.2}\t{start:.2}\t{end:.2}\t{utterance}\t{glued}{}", word.text);
        }
        longest = longest.max(hypothesis.step_us);
        if !hypothesis.last {
            steps += 1;
            held += hypothesis.words.len() - frozen;
        }
    };
    let began = processor_seconds();
    stream.begin(dictation, UtteranceId(0), SamplePos(0), &[]);
    for (i, block) in pcm.chunks(BLOCK).enumerate() {
        stream.feed(SamplePos((i * BLOCK) as u64), block, &mut say)?;
    }
    stream.finish(SamplePos(pcm.len() as u64), &mut say)?;
    let (seconds, took) = (SamplePos(pcm.len() as u64).seconds(), processor_seconds() - began);
    println!("{name}\ttotal\t{seconds:.2}\t{took:.3}\t{steps}\t{held}\t{}", longest / 1000);
    Ok(())
}

/// Samples of a 16 kHz mono WAV file, -1 to 1.
fn read(file: &Path) -> Result<Vec<f32>, Box<dyn Error>> {
    let wav = hound::WavReader::open(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let spec = wav.spec();
    if (spec.sample_rate, spec.channels) != (SAMPLE_RATE, 1) {
        let found = format!("{} Hz, {} channels", spec.sample_rate, spec.channels);
        return Err(format!("{}: {found}; convert it to 16 kHz mono", file.display()).into());
    }
    let scale = (1i64 << (spec.bits_per_sample - 1)) as f32;
    Ok(match spec.sample_format {
        hound::SampleFormat::Float => wav.into_samples::<f32>().collect::<Result<_, _>>()?,
        hound::SampleFormat::Int => {
            wav.into_samples::<i32>().map(|s| s.map(|s| s as f32 / scale)).collect::<Result<_, _>>()?
        }
    })
}

/// Time this process spent on processors, user mode, where the system tells it.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default();
    fields.split_whitespace().nth(11).and_then(|ticks| ticks.parse::<f64>().ok()).map_or(0.0, |t| t / 100.0)
}
