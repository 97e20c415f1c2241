//! NeMo's offline models over a moving window: left context, chunk, right context.
//!
//! Every step encodes the whole window and decodes the frames of its chunk; the
//! decoder's state goes on from one chunk to the next, so no words are merged or
//! found again (NeMo: `speech_to_text_streaming_infer_rnnt.py`). The right context
//! is what a word is behind the audio, and nothing said is ever taken back. The
//! cost of a step is that of the window, however long somebody speaks.

use crate::boost::Boost;
use crate::decoder::{Ctc, Decoder, Rnnt, Token};
use crate::encoder::{Encoded, OfflineEncoder, expect_pieces};
use crate::features::{HOP, Parts, Ring, View};
use crate::graph::{Device, Runtime};
use crate::latency::split;
use crate::manifest::{Buffered, Family, Manifest};
use crate::precision::read_back;
use crate::vocab::{Vocabulary, Words};
use crate::{AsrError, Belief, Recognizer, Settings, state};
use serde::{Deserialize, Serialize};
use std::path::Path;
use swictation_core::block;
use swictation_core::policy::Policy;
use swictation_core::wire::EngineInfo;
use swictation_core::{SAMPLE_RATE, SamplePos};

const DEFAULT_CONTEXT_SECONDS: f32 = 20.0;

/// A recognizer over a moving window.
struct OverWindow {
    ring: Ring,
    encoder: OfflineEncoder,
    decoder: Box<dyn Decoder>,
    scores: bool,
    vocabulary: Vocabulary,
    words: Words,
    tokens: Vec<Token>,
    /// Samples per encoder frame.
    frame: usize,
    info: EngineInfo,
}

/// What is held of an utterance.
#[derive(Serialize, Deserialize)]
struct Held {
    #[serde(with = "block::bytes")]
    ring: Vec<u8>,
    #[serde(with = "block::bytes")]
    decoder: Vec<u8>,
    words: Words,
}

/// Loads a model of one of the `buffered` families.
///
/// # Errors
/// `Setting` when `settings` ask for what makes no window, `Model` naming the
/// file, tensor or line that does not fit the rest.
pub fn load(
    runtime: &Runtime,
    dir: &Path,
    manifest: &Manifest,
    device: Device,
    settings: &Settings,
) -> Result<Box<dyn Recognizer>, AsrError> {
    let fail = |reason: String| AsrError::Model { file: dir.join("model.toml"), reason };
    let missing = |what: &str| fail(format!("family {} needs {what}", manifest.family.as_str()));
    let buffered = manifest.buffered.ok_or_else(|| missing("a table [buffered]"))?;
    let features = manifest.features.ok_or_else(|| missing("a table [features]"))?;
    if !(1..=64).contains(&buffered.subsampling) {
        return Err(fail(format!(
            "[buffered] subsampling = {} is not between 1 and 64",
            buffered.subsampling
        )));
    }
    let frame = buffered.subsampling as usize * HOP;
    let parts = parts(settings, &buffered, frame, &manifest.name)?;
    let vocabulary = Vocabulary::read(&manifest.file(dir, "vocabulary")?)?;
    let path = manifest.file(dir, "encoder")?;
    let encoder = OfflineEncoder::open(runtime, &path, device, &features, buffered.subsampling as usize)?;
    expect_pieces(encoder.graph(), &vocabulary)?;
    let boost = Boost::new(&settings.hotwords, &vocabulary.pieces());
    let hotwords = boost.used();
    let transducer = |durations: &[u32], boost: Boost| -> Result<Box<dyn Decoder>, AsrError> {
        let encoded = encoder.encoded();
        let mut rnnt = Rnnt::load(runtime, dir, manifest, device, encoded, &vocabulary, durations)?;
        rnnt.favour(boost);
        Ok(Box::new(rnnt))
    };
    let decoder: Box<dyn Decoder> = match manifest.family {
        Family::BufferedCtc => {
            vocabulary.expect_width(encoder.classes()?, encoder.graph().path())?;
            Box::new(Ctc::new(vocabulary.blank(), boost))
        }
        Family::BufferedRnnt => transducer(&[], boost)?,
        Family::BufferedTdt => {
            let durations = manifest.durations.as_deref().filter(|durations| !durations.is_empty());
            let durations = durations.ok_or_else(|| missing("a line durations = [0, 1, 2, 3, 4]"))?;
            transducer(durations, boost)?
        }
        other => return Err(fail(format!("family {} hears no window", other.as_str()))),
    };
    let graphs = [vec![encoder.graph()], decoder.graphs()].concat();
    let info = EngineInfo {
        model: manifest.name.clone(),
        family: manifest.family.as_str().to_owned(),
        provider: encoder.graph().provider(device),
        precision: manifest.precision.as_str().to_owned(),
        context_seconds: parts.left as f32 / SAMPLE_RATE as f32,
        chunk_ms: milliseconds(parts.chunk),
        latency_ms: Some(milliseconds(parts.chunk + parts.right)),
        wait_k: settings.wait_k,
        unbounded: true,
        hotwords,
        runtime: runtime.version().to_owned(),
        graphs: read_back(&graphs, manifest)?,
    };
    let mut new = OverWindow {
        ring: Ring::new(&features, parts)?,
        encoder,
        decoder,
        scores: manifest.family == Family::BufferedCtc,
        vocabulary,
        words: Words::new(SamplePos::default(), frame as u64, 0),
        tokens: Vec::new(),
        frame,
        info,
    };
    // One window of silence: the first step of a dictation finds the model warm,
    // and parts that do not fit each other show now.
    new.begin(SamplePos::default(), &[]);
    new.feed(&vec![0.0; parts.chunk + parts.right + 1]);
    new.step()?;
    new.begin(SamplePos::default(), &[]);
    Ok(Box::new(new))
}

/// The window that is asked for, in whole encoder frames.
fn parts(settings: &Settings, model: &Buffered, frame: usize, name: &str) -> Result<Parts, AsrError> {
    let why = match settings.policy {
        Some(Policy::AlignAtt) => "its decoder has no attention",
        Some(Policy::Hold) => "it never says that an utterance is over, and its words never change",
        _ => "its words never change once they are there",
    };
    settings.expect_policy(&[Policy::WaitK], name, why)?;
    let context = settings.context_seconds.unwrap_or(DEFAULT_CONTEXT_SECONDS);
    let frame_ms = milliseconds(frame);
    let (chunk_ms, right_ms) = sizes(settings, model, frame_ms, name)?;
    let refused = |reason: String| Err(AsrError::Setting(reason));
    if !(2.0..=60.0).contains(&context) {
        return refused(format!("context_seconds = {context} does not go with {name}: it takes 2 to 60"));
    }
    if !(frame_ms..=30_000).contains(&chunk_ms) {
        return refused(format!(
            "chunk_ms = {chunk_ms} does not go with {name}: it takes {frame_ms} to 30000"
        ));
    }
    if right_ms > 30_000 {
        return refused(format!(
            "a right context of {right_ms} ms does not go with {name}: 30000 is the most; wait_k is the number of chunks in it"
        ));
    }
    let whole = |seconds: f32| (seconds * SAMPLE_RATE as f32) as usize / frame * frame;
    let samples = |ms: u32| ms as usize * (SAMPLE_RATE as usize / 1000) / frame * frame;
    Ok(Parts { left: whole(context), chunk: samples(chunk_ms), right: samples(right_ms) })
}

/// Chunk and right context in milliseconds. The right context is `wait_k` chunks; with
/// a latency it is what the chunk leaves of that.
fn sizes(settings: &Settings, model: &Buffered, frame: u32, name: &str) -> Result<(u32, u32), AsrError> {
    let Some(latency) = settings.latency_ms else {
        let chunk = settings.chunk_ms.unwrap_or(model.chunk_ms);
        return Ok((chunk, settings.wait_k.map_or(model.right_ms, |k| k.saturating_mul(chunk))));
    };
    let usual = settings.wait_k.map_or((model.chunk_ms, model.right_ms), |k| (1, k));
    let (chunk, right) = split(latency, settings.chunk_ms, usual, frame, name)?;
    match settings.wait_k.map(|k| k.saturating_mul(chunk)) {
        Some(wanted) if wanted > right => Err(AsrError::Setting(format!(
            "chunk_ms = {chunk}, wait_k = {} and latency_ms = {latency} do not go together with {name}: its latency is the chunk and wait_k more of them; leave one of them out",
            wanted / chunk.max(1)
        ))),
        wanted => Ok((chunk, wanted.unwrap_or(right))),
    }
}

fn milliseconds(samples: usize) -> u32 {
    (samples * 1000 / SAMPLE_RATE as usize) as u32
}

impl OverWindow {
    /// One window's words.
    fn hear(&mut self, view: View) -> Result<(), AsrError> {
        let (from, frames) = (view.parts.left / self.frame, view.parts.chunk / self.frame);
        let encoded = self.encoder.encode(view)?;
        let frames = frames.min(encoded.frames.saturating_sub(from));
        let chunk: Encoded = match self.scores {
            true => self.encoder.scores(&encoded, from, frames)?,
            false => self.encoder.states(&encoded, from, frames)?,
        };
        let before = self.tokens.len();
        self.decoder.decode(&chunk, &mut self.tokens)?;
        for token in &self.tokens[before..] {
            self.words.push(*token, &self.vocabulary);
        }
        Ok(())
    }
}

impl Recognizer for OverWindow {
    fn info(&self) -> EngineInfo {
        self.info.clone()
    }

    fn begin(&mut self, at: SamplePos, typed: &[String]) {
        self.ring.begin();
        self.decoder.begin();
        self.words = Words::new(at, self.frame as u64, typed.len());
    }

    fn feed(&mut self, pcm: &[f32]) {
        self.ring.feed(pcm);
    }

    fn step(&mut self) -> Result<Option<Belief>, AsrError> {
        self.tokens.clear();
        let Some(view) = self.ring.step() else { return Ok(None) };
        self.hear(view)?;
        Ok(Some(self.words.belief(&self.tokens)))
    }

    fn end(&mut self) {
        self.ring.end();
    }

    fn finish(&mut self) -> Result<Belief, AsrError> {
        self.end();
        self.tokens.clear();
        while let Some(view) = self.ring.step() {
            self.hear(view)?;
        }
        self.words.complete();
        Ok(self.words.belief(&self.tokens))
    }

    fn save(&self) -> Result<Vec<u8>, AsrError> {
        let (ring, decoder) = (self.ring.save()?, self.decoder.save()?);
        let held = Held { ring, decoder, words: self.words.clone() };
        state::write("buffered recognizer", &held)
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), AsrError> {
        let held: Held = state::read("buffered recognizer", state)?;
        self.ring.restore(&held.ring)?;
        self.decoder.restore(&held.decoder)?;
        self.words.restore(held.words)
    }
}
