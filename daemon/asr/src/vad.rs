//! Voice activity: how likely somebody speaks in a frame of 32 ms.
//!
//! Silero's graph, behind a gain that only the detector hears. The detector
//! depends on level and misses quiet microphones; the gain lifts the loudest
//! frame heard lately to a usual level, but never what is quietest above the
//! noise of a good room, so that a fan is not lifted into speech. What the
//! scores mean is not decided here ([`swictation_core::endpoint`] does).
//!
//! Tensors: `input` f32 \[1, 576\] (64 samples of the frame before, then 512),
//! `state` f32 \[2, 1, 128\], `sr` i64 → `output` f32 \[1, 1\], `stateN`. Without the
//! 64 samples the graph runs as well and scores wrongly.

use crate::graph::{Device, Graph, Runtime, Value};
use crate::manifest::Manifest;
use crate::{AsrError, state};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::path::Path;
use swictation_core::endpoint::FRAME as FRAME_SAMPLES;
use swictation_core::{SAMPLE_RATE, block};

/// Samples per frame.
pub const FRAME: usize = FRAME_SAMPLES as usize;

const CONTEXT: usize = 64;
const STATE: [usize; 3] = [2, 1, 128];

/// A voice-activity detector in the middle of a stream.
pub struct Vad {
    graph: Graph,
    rate: Value,
    heard: Heard,
}

/// What is held of the stream.
#[derive(Serialize, Deserialize)]
struct Heard {
    /// What the graph hands on; none before the first frame.
    state: Option<Value>,
    #[serde(with = "block::floats")]
    context: Vec<f32>,
    gain: Gain,
}

impl Default for Heard {
    fn default() -> Self {
        Self { state: None, context: vec![0.0; CONTEXT], gain: Gain::default() }
    }
}

impl Vad {
    /// Loads the file with the role `vad`; `None` when the model has none.
    ///
    /// # Errors
    /// `Model` when the file is no such detector.
    pub fn load(runtime: &Runtime, dir: &Path, manifest: &Manifest) -> Result<Option<Self>, AsrError> {
        if !manifest.files.contains_key("vad") {
            return Ok(None);
        }
        Self::open(runtime, &manifest.file(dir, "vad")?).map(Some)
    }

    /// Loads the detector at `path`, always on the processor: it takes 60 µs a frame.
    ///
    /// # Errors
    /// `Model` when the file cannot be read or is no such detector.
    pub fn open(runtime: &Runtime, path: &Path) -> Result<Self, AsrError> {
        let graph = Graph::open(runtime, path, Device::Cpu { threads: 1 })?;
        for name in ["input", "state", "sr"] {
            graph.input(name)?;
        }
        for name in ["output", "stateN"] {
            graph.output(name)?;
        }
        let mut vad =
            Self { graph, rate: Value::i64(&[], vec![i64::from(SAMPLE_RATE)])?, heard: Heard::default() };
        // Scoring silence once warms the graph up and shows a graph that
        // declares the right names and is something else.
        let score = vad.score(&[0.0; FRAME])?;
        if !(0.0..0.5).contains(&score) {
            let reason = format!(
                "as a voice-activity detector it scores silence {score}; use Silero's silero_vad_16k_op15.onnx, version 6"
            );
            return Err(AsrError::Model { file: path.to_path_buf(), reason });
        }
        vad.reset();
        Ok(vad)
    }

    /// Forgets what was heard, for a new capture; not needed between utterances.
    pub fn reset(&mut self) {
        self.heard = Heard::default();
    }

    /// All that is held of the stream.
    ///
    /// # Errors
    /// `Run` when a tensor cannot be read.
    pub fn save(&self) -> Result<Vec<u8>, AsrError> {
        state::write("voice-activity detector", &self.heard)
    }

    /// Goes on as the detector that saved `state`.
    ///
    /// # Errors
    /// `Checkpoint` when `state` is of no such detector.
    pub fn restore(&mut self, state: &[u8]) -> Result<(), AsrError> {
        let heard: Heard = state::read("voice-activity detector", state)?;
        let first = Value::f32(&STATE, vec![0.0; STATE.iter().product()])?;
        let fits = heard.state.as_ref().is_none_or(|state| state.is_like(&first));
        let bounded = heard.context.len() == CONTEXT && heard.gain.recent.len() <= Gain::MEMORY;
        state::expect(fits && bounded, "the state of its voice-activity detector")?;
        self.heard = heard;
        Ok(())
    }

    /// The score, 0 to 1, of the [`FRAME`] samples that follow those before;
    /// fewer are taken as followed by silence.
    pub fn score(&mut self, frame: &[f32]) -> Result<f32, AsrError> {
        let gain = self.heard.gain.of(frame);
        let mut input = std::mem::take(&mut self.heard.context);
        input.extend(frame.iter().take(FRAME).map(|v| (v * gain).clamp(-1.0, 1.0)));
        input.resize(CONTEXT + FRAME, 0.0);
        self.heard.context = input[FRAME..].to_vec();
        let input = Value::f32(&[1, CONTEXT + FRAME], input)?;
        let state = match self.heard.state.take() {
            Some(state) => state,
            None => Value::f32(&STATE, vec![0.0; STATE.iter().product()])?,
        };
        let inputs = vec![("input", &input), ("state", &state), ("sr", &self.rate)];
        let outputs: [Value; 2] = self
            .graph
            .run(inputs, &["output", "stateN"])?
            .try_into()
            .map_err(|_| AsrError::Run("the voice-activity detector gave no state".to_owned()))?;
        let [output, state] = outputs;
        self.heard.state = Some(state);
        let score = output.floats()?.first().copied().unwrap_or(f32::NAN);
        match score.is_finite() {
            true => Ok(score),
            false => Err(AsrError::Run("the voice-activity detector gave no number".to_owned())),
        }
    }
}

/// What a frame is multiplied by before the detector hears it; levels in dB of
/// full scale.
#[derive(Serialize, Deserialize)]
struct Gain {
    loudest: f32,
    #[serde(with = "block::floats")]
    recent: VecDeque<f32>,
}

impl Default for Gain {
    fn default() -> Self {
        Self { loudest: Self::NOTHING, recent: VecDeque::with_capacity(Self::MEMORY) }
    }
}

impl Gain {
    /// Before anything was heard.
    const NOTHING: f32 = -90.0;
    /// The level of usual speech at its loudest.
    const TARGET: f32 = -23.0;
    /// The most that is added.
    const MOST: f32 = 24.0;
    /// The quietest frame is not lifted above this.
    const FLOOR: f32 = -55.0;
    /// What the loudest frame loses per frame: 1 dB a second.
    const FADE: f32 = 0.032;
    /// Frames in which the quietest is looked for: 3 s.
    const MEMORY: usize = 94;

    fn of(&mut self, frame: &[f32]) -> f32 {
        let power = frame.iter().map(|v| v * v).sum::<f32>() / frame.len().max(1) as f32;
        let level = 10.0 * (power + 1e-12).log10();
        self.loudest = level.max(self.loudest - Self::FADE);
        if self.recent.len() == Self::MEMORY {
            self.recent.pop_front();
        }
        self.recent.push_back(level);
        let quietest = self.recent.iter().copied().fold(f32::INFINITY, f32::min);
        let room = Self::MOST.min(Self::FLOOR - quietest);
        10f32.powf((Self::TARGET - self.loudest).min(room).max(0.0) / 20.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(gain: &mut Gain, level: f32, frames: usize) -> f32 {
        let frame = vec![10f32.powf(level / 20.0); FRAME];
        let last = (0..frames).map(|_| gain.of(&frame)).last().unwrap();
        20.0 * last.log10()
    }

    #[test]
    fn quiet_speech_after_a_quiet_room_is_lifted_to_the_usual_level() {
        let mut gain = Gain::default();
        after(&mut gain, -80.0, 30);
        assert!((after(&mut gain, -40.0, 1) - 17.0).abs() < 0.1);
    }

    #[test]
    fn a_fan_is_not_lifted_into_speech() {
        assert!(after(&mut Gain::default(), -40.0, 94) < 0.01);
    }

    #[test]
    fn loud_speech_is_left_alone_and_the_gain_is_bounded() {
        assert!(after(&mut Gain::default(), -10.0, 1).abs() < 0.01);
        let mut gain = Gain::default();
        after(&mut gain, -100.0, 1);
        assert!(after(&mut gain, -90.0, 1) <= 24.01);
    }
}
