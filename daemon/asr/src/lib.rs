//! Streaming speech recognition as a library: audio in, words out.
//!
//! [`load`] opens a model folder on one device and gives a [`Recognizer`], one
//! utterance at a time; [`Stream`] puts voice activity and utterance ends around
//! it and is what the worker serves. There are no threads here, no desktop and
//! no daemon: everything can be run on a WAV file alone (`examples/transcribe.rs`).
//! Only [`graph`] knows ONNX Runtime.

pub mod aed;
mod boost;
pub mod buffered;
pub mod cache_aware;
pub mod decoder;
pub mod encoder;
pub mod features;
pub mod files;
pub mod graph;
mod hold;
mod latency;
pub mod manifest;
pub mod moonshine;
pub mod precision;
pub mod self_test;
mod state;
pub mod stream;
pub mod vad;
pub mod vocab;

use crate::aed::Aed;
use crate::cache_aware::CacheAware;
use crate::hold::Held;
use crate::manifest::{Family, Manifest};
use std::path::{Path, PathBuf};
use swictation_core::hotwords::Hotword;
use swictation_core::policy::Policy;
use swictation_core::wire::EngineInfo;
use swictation_core::{SamplePos, Word};

/// Why recognition is not possible, by what can be done about it.
#[derive(Debug, thiserror::Error)]
pub enum AsrError {
    /// ONNX Runtime is missing, too old or broken.
    #[error("{0}")]
    Runtime(String),
    /// The device cannot be used; another one may do.
    #[error("{0}")]
    Device(String),
    /// The device has no room for the model now: it may have later, another may now.
    #[error(
        "there is not enough memory on the device: {0}; close what else uses it, or take a smaller model"
    )]
    Memory(String),
    /// A file of the model is missing, damaged or not what its manifest says.
    #[error("{}: {reason}", file.display())]
    Model {
        /// The file that is wrong.
        file: PathBuf,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// A setting does not go with this model.
    #[error("{0}")]
    Setting(String),
    /// The model was loaded and then failed.
    #[error("the model failed: {0}")]
    Run(String),
    /// The state of another recognizer cannot be gone on from.
    #[error(
        "the checkpoint cannot be used: {0}; the dictation has to begin again from audio, or with the model and the release that made the checkpoint"
    )]
    Checkpoint(String),
}

/// What the person asked of the recognizer; `None` leaves it to the model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// Left context in seconds.
    pub context_seconds: Option<f32>,
    /// Audio per model step in milliseconds.
    pub chunk_ms: Option<u32>,
    /// How far behind the audio a word must be before it is committed: newer words
    /// (moonshine), chunks of right context (buffered) or of lagging (aed).
    pub wait_k: Option<u32>,
    /// The longest algorithmic latency, chunk and right context, in milliseconds.
    pub latency_ms: Option<u32>,
    /// When words are committed.
    pub policy: Option<Policy>,
    /// Names and terms to expect.
    pub hotwords: Vec<Hotword>,
}

impl Settings {
    /// Refuses `policy` for the model `name` unless it is among those that its family
    /// `can` do, with the reason `why` it can do no other.
    pub(crate) fn expect_policy(&self, can: &[Policy], name: &str, why: &str) -> Result<(), AsrError> {
        let Some(policy) = self.policy.filter(|policy| !can.contains(policy)) else { return Ok(()) };
        let names = can.iter().map(|policy| format!("{:?}", policy.as_str())).collect::<Vec<_>>();
        let instead = match names.as_slice() {
            [] => "leave the setting out".to_owned(),
            names => format!("it can do {}", names.join(", ")),
        };
        let policy = policy.as_str();
        Err(AsrError::Setting(format!("policy = {policy:?} does not go with {name}: {why}; {instead}")))
    }
}

/// What a recognizer believes about the current utterance after a step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Belief {
    /// Words that became frozen since the last belief, then the tail as a whole.
    pub words: Vec<Word>,
    /// `words[..frozen]` are the newly frozen ones: they are handed over here
    /// once and never change.
    pub frozen: usize,
    /// The tokens of this step, see [`swictation_core::wire::Step`].
    pub tokens: Vec<u32>,
    /// Their encoder frames, where the family has them.
    pub frames: Vec<u32>,
    /// Ends of utterances that the model itself told: how many of the frozen words
    /// stand before one, and where in the audio it is. The recognizer goes on.
    pub ends: Vec<(usize, SamplePos)>,
}

/// A streaming model on one device, decoding one utterance at a time.
///
/// Steps happen at fixed positions of the audio, so the same audio gives the
/// same words however it is cut into `feed`s.
pub trait Recognizer {
    /// What is loaded and where it runs.
    fn info(&self) -> EngineInfo;
    /// Begins an utterance whose first sample is at `at`; `typed` are words of
    /// it that are typed already, with the space before them, and are taken as given.
    fn begin(&mut self, at: SamplePos, typed: &[String]);
    /// Begins the utterance after the one that was finished, in the same
    /// dictation; what was said in that one may serve as context.
    fn follow(&mut self, at: SamplePos) {
        self.begin(at, &[]);
    }
    /// Takes in samples that follow those before, 16 kHz mono.
    fn feed(&mut self, pcm: &[f32]);
    /// Makes at most one model step; `None` when more audio is needed for one.
    fn step(&mut self) -> Result<Option<Belief>, AsrError>;
    /// Says that no audio follows, so that [`Recognizer::step`] gives the last
    /// steps one by one until it returns `None`. Without it `finish` makes them.
    fn end(&mut self) {}
    /// Decodes what is left of the utterance and freezes every word.
    fn finish(&mut self) -> Result<Belief, AsrError>;
    /// All that is held of the utterance and of what serves the next one as context.
    ///
    /// # Errors
    /// `Run` when the device does not give it.
    fn save(&self) -> Result<Vec<u8>, AsrError>;
    /// Goes on exactly as the recognizer that saved `state`, in the place of
    /// [`Recognizer::begin`]; both have the same model and settings.
    ///
    /// # Errors
    /// `Checkpoint` when `state` cannot be read or belongs to another model or setting;
    /// then only `begin` may follow. `Run` when the device does not take it.
    fn restore(&mut self, state: &[u8]) -> Result<(), AsrError>;
}

/// Opens the model in `dir` on `device`, as its `manifest` says. The caller reads
/// that, because reading it checks the sums of all files and is wanted once.
///
/// # Errors
/// Every [`AsrError`] but `Run`.
pub fn load(
    runtime: &graph::Runtime,
    dir: &Path,
    manifest: &Manifest,
    device: graph::Device,
    settings: &Settings,
) -> Result<Box<dyn Recognizer>, AsrError> {
    let recognizer: Box<dyn Recognizer> = match manifest.family {
        Family::Moonshine => moonshine::load(runtime, dir, manifest, device, settings)?,
        Family::CacheAwareCtc | Family::CacheAwareRnnt => {
            Box::new(CacheAware::load(runtime, dir, manifest, device, settings)?)
        }
        Family::BufferedCtc | Family::BufferedRnnt | Family::BufferedTdt => {
            buffered::load(runtime, dir, manifest, device, settings)?
        }
        Family::Aed => Box::new(Aed::load(runtime, dir, manifest, device, settings)?),
    };
    Ok(match settings.policy {
        // Moonshine holds by itself: it decodes everything once more at the end.
        Some(Policy::Hold) if manifest.family != Family::Moonshine => Box::new(Held::new(recognizer)),
        _ => recognizer,
    })
}
