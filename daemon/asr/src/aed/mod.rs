//! NeMo's attention encoder-decoders (Canary), streamed by Wait-k or AlignAtt.
//!
//! A step encodes the whole window anew, left context, chunk and right context
//! ([`crate::features::Ring`]), and lets the decoder go on where it was
//! (`policy`). What it says stays said, so a word is frozen when the next begins.
//! NeMo gives a stream up when its token buffer is full and when the decoder
//! repeats itself; a dictation must not end there, so here the decoder begins anew
//! on the audio that it has not put into words. Within those limits tokens and
//! steps are NeMo's (`speech_to_text_aed_streaming_infer.py`).

mod geometry;
mod graphs;
mod policy;

use crate::boost::{Boost, Walk};
use crate::decoder::Token;
use crate::features::{Ring, View};
use crate::graph::{Device, Runtime, Value};
use crate::manifest::{Manifest, Policy};
use crate::precision::read_back;
use crate::vocab::{Vocabulary, Words};
use crate::{AsrError, Belief, Recognizer, Settings, state};
use geometry::Geometry;
use graphs::Graphs;
use policy::{Decode, Outcome, Rules, Transcript, Window};
use serde::{Deserialize, Serialize};
use std::path::Path;
use swictation_core::wire::EngineInfo;
use swictation_core::{SamplePos, block};

/// An attention encoder-decoder that streams.
pub struct Aed {
    ring: Ring,
    graphs: Graphs,
    geometry: Geometry,
    rules: Rules,
    vocabulary: Vocabulary,
    transcript: Transcript<Value>,
    words: Words,
    tokens: Vec<Token>,
    place: Place,
    info: EngineInfo,
}

/// Where in the utterance the recognizer is.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Place {
    /// Samples of the utterance so far.
    heard: usize,
    /// Where in them the ring began.
    origin: usize,
    /// Windows since then.
    windows: usize,
    /// The frame of the newest token: times never go back.
    newest: u64,
    ended: bool,
}

/// What is held of an utterance.
#[derive(Serialize, Deserialize)]
struct Held {
    policy: Policy,
    hotwords: u64,
    #[serde(with = "block::bytes")]
    ring: Vec<u8>,
    #[serde(with = "block::bytes")]
    transcript: Vec<u8>,
    words: Words,
    place: Place,
}

impl Aed {
    /// Loads the model of `manifest`, whose files lie in `dir`, on `device`.
    ///
    /// # Errors
    /// `Setting` when `settings` ask for what cannot be, `Model` naming the file,
    /// key, tensor or piece that does not fit the rest, `Run` when the graphs fail
    /// on silence.
    pub fn load(
        runtime: &Runtime,
        dir: &Path,
        manifest: &Manifest,
        device: Device,
        settings: &Settings,
    ) -> Result<Self, AsrError> {
        let missing = |table: &str| AsrError::Model {
            file: dir.join("model.toml"),
            reason: format!("family {} needs a table [{table}]", manifest.family.as_str()),
        };
        let mut table = manifest.aed.clone().ok_or_else(|| missing("aed"))?;
        table.policy = policy(settings, table.policy, &manifest.name)?;
        let features = manifest.features.ok_or_else(|| missing("features"))?;
        let geometry = Geometry::new(&table, settings, (dir, &manifest.name))?;
        let vocabulary = Vocabulary::read_without_blank(&manifest.file(dir, "vocabulary")?)?;
        let rules = geometry.rules(&table, &vocabulary, dir)?;
        let ring = Ring::new(&features, geometry.parts())?;
        let files = (manifest.file(dir, "encoder")?, manifest.file(dir, "decoder")?);
        let mut graphs =
            Graphs::open(runtime, (&files.0, &files.1), device, ring.mels(), &vocabulary, rules.end)?;
        graphs.favour(Boost::new(&settings.hotwords, &vocabulary.pieces()));
        if rules.policy == Policy::AlignAtt {
            graphs.expect_attention()?;
        }
        let read = read_back(&graphs.both(), manifest)?;
        let info = EngineInfo {
            model: manifest.name.clone(),
            family: manifest.family.as_str().to_owned(),
            provider: graphs.encoder().provider(device),
            precision: manifest.precision.as_str().to_owned(),
            context_seconds: geometry.context_seconds(),
            chunk_ms: geometry.chunk_ms(),
            latency_ms: Some(geometry.latency_ms()),
            wait_k: Some(geometry.wait_k as u32),
            unbounded: false,
            hotwords: graphs.boost().used(),
            runtime: runtime.version().to_owned(),
            graphs: read,
        };
        let mut new = Self {
            transcript: Transcript::new(&rules),
            words: Words::new(SamplePos::default(), geometry.frame as u64, 0),
            tokens: Vec::new(),
            ring,
            graphs,
            geometry,
            rules,
            vocabulary,
            place: Place::default(),
            info,
        };
        new.rehearse()?;
        new.begin(SamplePos::default(), &[]);
        Ok(new)
    }

    /// One window of silence: the first chunk of a dictation finds the model warm,
    /// and parts that do not fit each other show now.
    fn rehearse(&mut self) -> Result<(), AsrError> {
        let parts = self.geometry.parts();
        self.ring.begin();
        self.ring.feed(&vec![0.0; parts.chunk + parts.right + 1]);
        let Some(view) = self.ring.step() else { return Ok(()) };
        let encoded = self.graphs.encode(view)?;
        let mut decoder = self.graphs.listen(&encoded, encoded.length)?;
        let (_, cache) = decoder.next(&self.rules.prompt, None, Walk::default())?;
        decoder.next(&self.rules.prompt[..1], Some(&cache), Walk::default())?;
        Ok(())
    }

    /// One window and its tokens, which are appended to `self.tokens`.
    fn advance(&mut self) -> Result<bool, AsrError> {
        let Some(view) = self.ring.step() else { return Ok(false) };
        let Geometry { left, chunk, frame, .. } = self.geometry;
        let parts = self.geometry.parts();
        let size = view.parts.left + view.parts.chunk + view.parts.right;
        let end = match view.last {
            true => self.place.heard,
            false => self.place.origin + (self.place.windows + 1) * parts.chunk + parts.right,
        };
        let begin = end.saturating_sub(size);
        let (last, used) = (view.last, (view.parts.left + view.parts.chunk) / frame);
        let whole = self.place.windows * chunk <= left;
        self.place.windows += 1;
        // NeMo encodes these, too, and does nothing with them.
        if self.rules.waits(used, last) {
            return Ok(true);
        }
        let first = (begin / frame) as u64;
        let before = self.tokens.len();
        let outcome = self.decode(view, first, whole)?;
        for token in &mut self.tokens[before..] {
            self.place.newest = self.place.newest.max(token.frame);
            token.frame = self.place.newest;
            self.words.push(*token, &self.vocabulary);
        }
        if let Outcome::Anew(from) = outcome {
            let said = (from.saturating_sub(first) as usize * frame).min(size);
            self.ring.begin_after(said);
            (self.place.origin, self.place.windows) = (begin + said, 0);
            self.transcript.begin_anew(&self.rules);
            self.words.complete();
        }
        Ok(true)
    }

    /// Lets the decoder go on with a window that begins at the frame `first`.
    fn decode(&mut self, view: View, first: u64, whole: bool) -> Result<Outcome, AsrError> {
        let (last, parts) = (view.last, view.parts);
        let encoded = self.graphs.encode(view)?;
        let used = match last {
            true => encoded.length,
            false => ((parts.left + parts.chunk) / self.geometry.frame).min(encoded.frames),
        };
        let window = Window { frames: encoded.frames, used, first, whole, last };
        let mut decoder = self.graphs.listen(&encoded, used)?;
        let begins_word = |id| self.vocabulary.begins_word(id);
        self.rules.step(&mut decoder, &mut self.transcript, &window, begins_word, &mut self.tokens)
    }
}

/// The policy that is asked for, else the model's. Holding leaves the decoding as it is:
/// the window may be shorter than an utterance.
fn policy(settings: &Settings, own: Policy, name: &str) -> Result<Policy, AsrError> {
    use swictation_core::policy::Policy as Asked;
    let can = [Asked::WaitK, Asked::AlignAtt, Asked::Hold];
    settings.expect_policy(&can, name, "a token that came out is never taken back")?;
    Ok(match settings.policy {
        Some(Asked::WaitK) => Policy::WaitK,
        Some(Asked::AlignAtt) => Policy::AlignAtt,
        _ => own,
    })
}

impl Recognizer for Aed {
    fn info(&self) -> EngineInfo {
        self.info.clone()
    }

    fn begin(&mut self, at: SamplePos, typed: &[String]) {
        self.ring.begin();
        self.transcript = Transcript::new(&self.rules);
        self.words = Words::new(at, self.geometry.frame as u64, typed.len());
        self.place = Place::default();
    }

    fn feed(&mut self, pcm: &[f32]) {
        if !self.place.ended {
            self.ring.feed(pcm);
            self.place.heard += pcm.len();
        }
    }

    fn step(&mut self) -> Result<Option<Belief>, AsrError> {
        self.tokens.clear();
        Ok(self.advance()?.then(|| self.words.belief(&self.tokens)))
    }

    fn end(&mut self) {
        self.ring.end();
        self.place.ended = true;
    }

    fn finish(&mut self) -> Result<Belief, AsrError> {
        self.end();
        self.tokens.clear();
        while self.advance()? {}
        self.words.complete();
        Ok(self.words.belief(&self.tokens))
    }

    fn save(&self) -> Result<Vec<u8>, AsrError> {
        let held = Held {
            policy: self.rules.policy,
            hotwords: self.graphs.boost().digest(),
            ring: self.ring.save()?,
            transcript: state::write("transcript", &self.transcript)?,
            words: self.words.clone(),
            place: self.place,
        };
        state::write("attention decoder", &held)
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), AsrError> {
        let held: Held = state::read("attention decoder", state)?;
        state::expect(held.policy == self.rules.policy, "the policy")?;
        let transcript: Transcript<Value> = state::read("transcript", &held.transcript)?;
        self.graphs.boost().expect(held.hotwords, transcript.walk())?;
        let fits = transcript.fits(&self.rules, |cache, tokens| self.graphs.is_cache(cache, tokens));
        state::expect(fits, "the transcript")?;
        self.ring.restore(&held.ring)?;
        self.words.restore(held.words)?;
        (self.transcript, self.place) = (transcript, held.place);
        Ok(())
    }
}
