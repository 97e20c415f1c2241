//! NeMo's cache-aware streaming models: mel, one encoder call per chunk, greedy tokens.
//!
//! Audio becomes mel frames at once ([`crate::features`]); a step is one chunk of
//! them through the encoder with its caches ([`crate::encoder`]) and the decoder
//! ([`crate::decoder`]). The model streams without bound: memory and the time of
//! a step do not grow with the utterance, and nothing said is ever taken back.
//! Context and chunk are constants of a graph, so settings choose among the exports
//! that the model has (`setting`). A model may say itself that an utterance is over
//! (`[end_of_utterance]`): the words before it are frozen, the caches go on.

mod setting;

use crate::boost::Boost;
use crate::decoder::{Ctc, Decoder, Rnnt, Token};
use crate::encoder::{CacheAwareEncoder, expect_pieces};
use crate::features::{HOP, LogMel, Taken};
use crate::graph::{Device, Runtime};
use crate::manifest::{Family, Manifest, Normalize};
use crate::precision::read_back;
use crate::vocab::{Vocabulary, Words};
use crate::{AsrError, Belief, Recognizer, Settings, state};
use serde::{Deserialize, Serialize};
use std::iter::repeat;
use std::path::Path;
use swictation_core::SamplePos;
use swictation_core::block;
use swictation_core::policy::Policy;
use swictation_core::wire::EngineInfo;

/// A cache-aware streaming recognizer with a CTC or an RNNT head.
pub struct CacheAware {
    features: LogMel,
    encoder: CacheAwareEncoder,
    decoder: Box<dyn Decoder>,
    vocabulary: Vocabulary,
    words: Words,
    /// Tokens that end an utterance.
    ends: Vec<u32>,
    tokens: Vec<Token>,
    frame_samples: u64,
    ended: bool,
    info: EngineInfo,
}

/// What is held of an utterance.
#[derive(Serialize, Deserialize)]
struct Held {
    features: Taken,
    #[serde(with = "block::bytes")]
    encoder: Vec<u8>,
    #[serde(with = "block::bytes")]
    decoder: Vec<u8>,
    words: Words,
    ended: bool,
}

impl CacheAware {
    /// Loads the model of `manifest`, whose files lie in `dir`, on `device`.
    ///
    /// # Errors
    /// `Setting` when `settings` ask for what the graph does not have, `Model`
    /// naming the file, tensor or line that does not fit the rest.
    pub fn load(
        runtime: &Runtime,
        dir: &Path,
        manifest: &Manifest,
        device: Device,
        settings: &Settings,
    ) -> Result<Self, AsrError> {
        let fail = |reason: String| AsrError::Model { file: dir.join("model.toml"), reason };
        let missing =
            |table: &str| fail(format!("family {} needs a table [{table}]", manifest.family.as_str()));
        let default = manifest.streaming.ok_or_else(|| missing("streaming"))?;
        let features = manifest.features.ok_or_else(|| missing("features"))?;
        let exports = setting::exports(manifest, &default);
        for (export, table) in exports.iter().zip(["[streaming]"].iter().chain(repeat(&"[[settings]]"))) {
            if let Some(fault) = export.streaming.fault() {
                return Err(fail(format!("{table} {fault}")));
            }
        }
        refuse_policies(settings, manifest)?;
        let setting::Export { streaming, encoder: role } =
            setting::choose(&exports, settings, &manifest.name)?;
        manifest.verify(dir, role)?;
        if features.normalize == Normalize::PerFeature {
            return Err(fail("[features] normalize = \"per_feature\" needs the whole window at once and does not go with a cache-aware model; such models say normalize = \"none\"".to_owned()));
        }
        let features = LogMel::new(&features)?;
        let vocabulary = Vocabulary::read(&manifest.file(dir, "vocabulary")?)?;
        let encoder =
            CacheAwareEncoder::open(runtime, &manifest.file(dir, role)?, device, streaming, features.mels())?;
        expect_pieces(encoder.graph(), &vocabulary)?;
        let ends = manifest.end_of_utterance.as_ref().map_or(&[][..], |table| &table.pieces);
        let ends = ends.iter().map(|piece| vocabulary.token(piece)).collect::<Result<Vec<_>, _>>()?;
        let reset = manifest.end_of_utterance.as_ref().is_some_and(|table| table.reset_decoder);
        let boost = Boost::new(&settings.hotwords, &vocabulary.pieces());
        let hotwords = boost.used();
        let decoder: Box<dyn Decoder> = match manifest.family {
            Family::CacheAwareCtc => {
                vocabulary.expect_width(encoder.classes()?, encoder.graph().path())?;
                Box::new(Ctc::new(vocabulary.blank(), boost))
            }
            Family::CacheAwareRnnt => {
                let encoded = encoder.encoded();
                let mut rnnt = Rnnt::load(runtime, dir, manifest, device, encoded, &vocabulary, &[])?;
                rnnt.favour(boost);
                rnnt.reset_behind(if reset { &ends } else { &[] });
                Box::new(rnnt)
            }
            other => return Err(fail(format!("family {} is not cache-aware", other.as_str()))),
        };
        let graphs = [vec![encoder.graph()], decoder.graphs()].concat();
        let info = EngineInfo {
            model: manifest.name.clone(),
            family: manifest.family.as_str().to_owned(),
            provider: encoder.graph().provider(device),
            precision: manifest.precision.as_str().to_owned(),
            context_seconds: streaming.context_seconds(),
            chunk_ms: streaming.chunk_ms(),
            latency_ms: Some(streaming.chunk_ms()),
            wait_k: None,
            unbounded: true,
            hotwords,
            runtime: runtime.version().to_owned(),
            graphs: read_back(&graphs, manifest)?,
        };
        let frame_samples = u64::from(streaming.subsampling) * HOP as u64;
        let words = Words::new(SamplePos::default(), frame_samples, 0);
        let tokens = Vec::new();
        let mut new = Self {
            features,
            encoder,
            decoder,
            vocabulary,
            words,
            ends,
            tokens,
            frame_samples,
            ended: false,
            info,
        };
        // One chunk of silence: the first chunk of a dictation finds the model
        // warm, and parts that do not fit each other show now.
        new.begin(SamplePos::default(), &[]);
        new.feed(&vec![0.0; (streaming.chunk_frames() + 2) * HOP]);
        new.step()?;
        new.begin(SamplePos::default(), &[]);
        Ok(new)
    }

    /// Takes in mel frames, one after the other, in the place of audio: those of
    /// another implementation, to compare everything behind them.
    pub fn feed_frames(&mut self, frames: &[f32]) {
        if !self.ended {
            self.encoder.pending().extend_from_slice(frames);
        }
    }

    /// One encoder chunk and its tokens, which are left in `self.tokens`.
    fn advance(&mut self) -> Result<bool, AsrError> {
        let Some(encoded) = self.encoder.step()? else { return Ok(false) };
        let before = self.tokens.len();
        self.decoder.decode(&encoded, &mut self.tokens)?;
        for token in &self.tokens[before..] {
            match self.ends.contains(&token.id) {
                true => self.words.end(token.frame + 1),
                false => self.words.push(*token, &self.vocabulary),
            }
        }
        Ok(true)
    }
}

impl Recognizer for CacheAware {
    fn info(&self) -> EngineInfo {
        self.info.clone()
    }

    fn begin(&mut self, at: SamplePos, typed: &[String]) {
        self.features.reset();
        self.encoder.begin();
        self.decoder.begin();
        self.words = Words::new(at, self.frame_samples, typed.len());
        self.ended = false;
    }

    fn feed(&mut self, pcm: &[f32]) {
        if !self.ended {
            self.features.feed(pcm, self.encoder.pending());
        }
    }

    fn step(&mut self) -> Result<Option<Belief>, AsrError> {
        self.tokens.clear();
        Ok(self.advance()?.then(|| self.words.belief(&self.tokens)))
    }

    fn end(&mut self) {
        if !self.ended {
            self.features.end(self.encoder.pending());
            self.encoder.end();
            self.ended = true;
        }
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
            features: self.features.taken().clone(),
            encoder: self.encoder.save()?,
            decoder: self.decoder.save()?,
            words: self.words.clone(),
            ended: self.ended,
        };
        state::write("cache-aware recognizer", &held)
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), AsrError> {
        let held: Held = state::read("cache-aware recognizer", state)?;
        self.features.restore(held.features)?;
        self.encoder.restore(&held.encoder)?;
        self.decoder.restore(&held.decoder)?;
        self.words.restore(held.words)?;
        self.ended = held.ended;
        Ok(())
    }
}

/// What these models cannot do whatever their contexts are.
fn refuse_policies(settings: &Settings, manifest: &Manifest) -> Result<(), AsrError> {
    let name = &manifest.name;
    let why = "its words never change once they are there, so none need to be held back";
    match manifest.end_of_utterance {
        Some(_) => settings.expect_policy(&[Policy::Hold], name, why)?,
        None if settings.policy == Some(Policy::Hold) => {
            let why = "it never says that an utterance is over, and its words never change";
            settings.expect_policy(&[], name, why)?;
        }
        None => settings.expect_policy(&[], name, why)?,
    }
    match settings.wait_k {
        Some(wanted) => Err(AsrError::Setting(format!(
            "wait_k = {wanted} does not go with {name}: {why}; leave the setting out"
        ))),
        None => Ok(()),
    }
}
