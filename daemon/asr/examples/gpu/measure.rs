//! One model on one device: what it gives and what that costs.

use crate::memory::Memory;
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;
use swictation_asr::cache_aware::CacheAware;
use swictation_asr::encoder::CacheAwareEncoder;
use swictation_asr::features::LogMel;
use swictation_asr::graph::{Device, Runtime, runtime_path};
use swictation_asr::manifest::Manifest;
use swictation_asr::{Recognizer, Settings};
use swictation_core::engine::shares;
use swictation_core::{SAMPLE_RATE, SamplePos};

/// What is to be measured.
#[derive(Clone)]
pub(crate) struct Job {
    pub(crate) device: String,
    pub(crate) seconds: usize,
    pub(crate) passes: usize,
    pub(crate) audio: Option<PathBuf>,
}

impl Default for Job {
    fn default() -> Self {
        Self { device: "cuda:0".to_owned(), seconds: 20, passes: 3, audio: None }
    }
}

/// What was measured.
#[derive(Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) provider: String,
    pub(crate) precision: String,
    /// As read from the files.
    pub(crate) weights: String,
    /// As read back from the runtime.
    pub(crate) on_cpu: u32,
    /// Each step of all passes, in milliseconds.
    pub(crate) steps: Vec<f64>,
    /// MiB once the model is loaded and warm.
    pub(crate) baseline: f64,
    /// MiB, the most after any step.
    pub(crate) peak: f64,
    pub(crate) tokens: Vec<u32>,
    /// Encoder states, chunk after chunk; after the JSON, as they are.
    #[serde(skip)]
    pub(crate) states: Vec<f32>,
}

impl Measured {
    /// A line of JSON, then the encoder states in little-endian.
    pub(crate) fn write(&self, to: &mut impl Write) -> Result<(), Box<dyn Error>> {
        serde_json::to_writer(&mut *to, self)?;
        to.write_all(b"\n")?;
        let bytes: Vec<u8> = self.states.iter().flat_map(|state| state.to_le_bytes()).collect();
        to.write_all(&bytes)?;
        Ok(to.flush()?)
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Box<dyn Error>> {
        let end = bytes.iter().position(|b| *b == b'\n').ok_or("no line of JSON")?;
        let mut new: Self = serde_json::from_slice(&bytes[..end])?;
        let state = |b: &[u8]| f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
        new.states = bytes[end + 1..].chunks_exact(4).map(state).collect();
        Ok(new)
    }
}

/// The precision that a model declares.
pub(crate) fn precision(folder: &Path) -> Result<String, Box<dyn Error>> {
    Ok(Manifest::read(folder)?.precision.as_str().to_owned())
}

pub(crate) fn measure(job: &Job, folder: &Path) -> Result<Measured, Box<dyn Error>> {
    let (manifest, device) = (Manifest::read(folder)?, Device::parse(&job.device, 1)?);
    let pcm = audio(job)?;
    let runtime = Runtime::open(&runtime_path())?;
    let memory = Memory::of(&job.device)?;
    let mut model = CacheAware::load(&runtime, folder, &manifest, device, &Settings::default())?;
    let baseline = memory.used()?;
    let (mut steps, mut tokens, mut peak) = (Vec::new(), Vec::new(), baseline);
    for _ in 0..job.passes {
        tokens.clear();
        model.begin(SamplePos::default(), &[]);
        let mut step = |model: &mut CacheAware| -> Result<bool, Box<dyn Error>> {
            let began = Instant::now();
            let Some(belief) = model.step()? else { return Ok(false) };
            steps.push(began.elapsed().as_secs_f64() * 1000.0);
            tokens.extend(belief.tokens);
            peak = peak.max(memory.used()?);
            Ok(true)
        };
        for block in pcm.chunks(1600) {
            model.feed(block);
            while step(&mut model)? {}
        }
        model.end();
        while step(&mut model)? {}
        model.finish()?;
    }
    let info = model.info();
    drop(model);
    Ok(Measured {
        on_cpu: info.left_on_cpu().values().sum(),
        weights: shares(&info.weight_shares()),
        provider: info.provider,
        precision: info.precision,
        states: states(&runtime, folder, &manifest, device, &pcm)?,
        steps,
        baseline,
        peak,
        tokens,
    })
}

/// What the encoder gives, chunk after chunk.
fn states(
    runtime: &Runtime,
    folder: &Path,
    manifest: &Manifest,
    device: Device,
    pcm: &[f32],
) -> Result<Vec<f32>, Box<dyn Error>> {
    let tables = manifest.streaming.zip(manifest.features);
    let (streaming, features) = tables.ok_or("it is no cache-aware model")?;
    let path = manifest.file(folder, "encoder")?;
    let mut front = LogMel::new(&features)?;
    let mut encoder = CacheAwareEncoder::open(runtime, &path, device, streaming, front.mels())?;
    front.feed(pcm, encoder.pending());
    front.end(encoder.pending());
    encoder.end();
    let mut states = Vec::new();
    while let Some(encoded) = encoder.step()? {
        states.extend_from_slice(&encoded.value.floats()?);
    }
    Ok(states)
}

/// So many seconds of the recording, over and over, or of noise and tones in bursts.
fn audio(job: &Job) -> Result<Vec<f32>, Box<dyn Error>> {
    let samples = job.seconds * SAMPLE_RATE as usize;
    let Some(path) = &job.audio else {
        let mut dice = 1_u32;
        let sample = |i: usize| {
            dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = (dice >> 8) as f32 / (1 << 24) as f32 - 0.5;
            let at = i as f32 / SAMPLE_RATE as f32;
            let tone = (at * 700.0).sin() + (at * 2900.0).sin();
            // Four bursts a second, as syllables have them.
            (0.05 * noise + 0.1 * tone) * (at * 12.6).sin().max(0.05)
        };
        return Ok((0..samples).map(sample).collect());
    };
    let mut reader = hound::WavReader::open(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let spec = reader.spec();
    if (spec.channels, spec.sample_rate, spec.bits_per_sample) != (1, 16_000, 16) || reader.len() == 0 {
        return Err(format!("{}: a WAV file of 16 bits, 16 kHz, mono is needed", path.display()).into());
    }
    let heard: Vec<f32> =
        reader.samples::<i16>().map(|s| Ok(f32::from(s?) / 32768.0)).collect::<Result<_, hound::Error>>()?;
    Ok(heard.into_iter().cycle().take(samples).collect())
}
