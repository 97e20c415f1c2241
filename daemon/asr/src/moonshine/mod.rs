//! Moonshine: an attention encoder-decoder run in chunks over a ring of audio.
//!
//! Every `chunk_ms` the window (the utterance, at most `context_seconds` of it)
//! is encoded anew and decoded greedily *after the words already committed*,
//! which are a forced prefix: what was typed can therefore never change. The
//! words behind the prefix are the tail; [`Agreement`] admits from it what two
//! steps agree on and what at least `wait_k` newer words follow. The policy sits
//! here and not in the daemon because its decision feeds the next step: a process
//! boundary inside that loop would make the text depend on scheduling.
//!
//! The model has no token times. A word's times are bounds: it ends no later
//! than the audio heard when it first appeared, and words that appeared in the
//! same step share the time since the step before by their lengths.

mod graphs;
mod tokens;

use crate::graph::{Device, Graph, Runtime};
use crate::manifest::{Manifest, Precision};
use crate::{AsrError, Belief, Recognizer, Settings};
use graphs::{Graphs, Token};
use std::path::Path;
use swictation_core::policy::Agreement;
use swictation_core::time::samples_in_ms;
use swictation_core::wire::EngineInfo;
use swictation_core::{SAMPLE_RATE, SamplePos, Word};
use tokens::Tokens;

const DEFAULT_CONTEXT_SECONDS: f32 = 20.0;
const DEFAULT_CHUNK_MS: u32 = 500;
const DEFAULT_WAIT_K: u32 = 1;

/// English speech stays under this; the models' own limit is 6.5 (Jeffries et
/// al., "Moonshine", 2024). More is a decoder that has lost the audio.
const MAX_TOKENS_PER_SECOND: f32 = 6.5;

/// Shorter audio than this makes the encoder fail: it has no frame.
const MIN_SAMPLES: usize = 1600;

/// One utterance of Moonshine on one device.
pub struct Moonshine {
    graphs: Graphs,
    tokens: Tokens,
    info: EngineInfo,
    chunk: u64,
    context: usize,
    policy: Agreement,
    utterance: Utterance,
}

/// The state of the current utterance.
#[derive(Default)]
struct Utterance {
    /// The window: the last `context` samples at most.
    audio: Vec<f32>,
    /// Position of `audio[0]`.
    start: SamplePos,
    /// Position after the last sample fed.
    end: SamplePos,
    /// Where the next step is due.
    due: SamplePos,
    /// Samples heard by the step before.
    heard: SamplePos,
    /// Committed words whose audio is still in the window: tokens and end.
    prefix: Vec<(Vec<u32>, SamplePos)>,
    /// Words behind the prefix as of the last step, with their tokens.
    tail: Vec<(Word, Vec<u32>)>,
}

impl Moonshine {
    /// Loads the graphs of a manifest of family `moonshine`.
    pub fn load(
        runtime: &Runtime,
        dir: &Path,
        manifest: &Manifest,
        device: Device,
        settings: &Settings,
    ) -> Result<Self, AsrError> {
        let context_seconds = settings.context_seconds.unwrap_or(DEFAULT_CONTEXT_SECONDS);
        let chunk_ms = settings.chunk_ms.unwrap_or(DEFAULT_CHUNK_MS);
        let wait_k = settings.wait_k.unwrap_or(DEFAULT_WAIT_K);
        let name = &manifest.name;
        if !(4.0..=60.0).contains(&context_seconds) {
            let reason =
                format!("context_seconds = {context_seconds} does not go with {name}: it takes 4 to 60");
            return Err(AsrError::Setting(reason));
        }
        if !(100..=4000).contains(&chunk_ms) {
            return Err(AsrError::Setting(format!(
                "chunk_ms = {chunk_ms} does not go with {name}: it takes 100 to 4000"
            )));
        }
        if wait_k > 20 {
            return Err(AsrError::Setting(format!(
                "wait_k = {wait_k} does not go with {name}: it takes 0 to 20"
            )));
        }
        let file = manifest.file(dir, "tokenizer")?;
        let tokens = Tokens::read(&file)?;
        let encoder = Graph::open(runtime, &manifest.file(dir, "encoder")?, device)?;
        let decoder = Graph::open(runtime, &manifest.file(dir, "decoder")?, device)?;
        let provider = encoder.provider(device);
        let graphs = Graphs::new(encoder, decoder, &tokens, &file)?;
        if graphs.is_quantised() != (manifest.precision == Precision::Int8) {
            let reason = format!(
                "model.toml says precision = {:?}, but its operators {} integers",
                manifest.precision.as_str(),
                if graphs.is_quantised() { "multiply" } else { "do not multiply" }
            );
            return Err(AsrError::Model { file: graphs.decoder().path().to_path_buf(), reason });
        }
        let info = EngineInfo {
            model: name.clone(),
            family: manifest.family.as_str().to_owned(),
            provider,
            precision: manifest.precision.as_str().to_owned(),
            context_seconds,
            chunk_ms,
            wait_k: Some(wait_k),
            unbounded: false,
        };
        Ok(Self {
            graphs,
            tokens,
            info,
            chunk: samples_in_ms(u64::from(chunk_ms)),
            context: (context_seconds * SAMPLE_RATE as f32) as usize,
            policy: Agreement::new(wait_k),
            utterance: Utterance::default(),
        })
    }

    /// Decodes the window up to `heard`; the tail behind the prefix, and whether
    /// it differs from the one before.
    fn decode(&mut self, heard: SamplePos) -> Result<Vec<Token>, AsrError> {
        let utterance = &mut self.utterance;
        let length = heard.since(utterance.start) as usize;
        if length < MIN_SAMPLES {
            return Ok(Vec::new());
        }
        let prefix: Vec<u32> = utterance.prefix.iter().flat_map(|(ids, _)| ids).copied().collect();
        let draft: Vec<u32> = utterance.tail.iter().flat_map(|(_, ids)| ids).copied().collect();
        let seconds = length as f32 / SAMPLE_RATE as f32;
        let limit = ((seconds * MAX_TOKENS_PER_SECOND) as usize + 2).saturating_sub(prefix.len());
        let mut padded = utterance.audio[..length].to_vec();
        let e = |n: &str, d: f32| std::env::var(n).ok().and_then(|v| v.parse().ok()).unwrap_or(d);
        padded.resize(length + (e("PAD", 0.0) * 16.0) as usize, 0.0);
        let mut found = self.graphs.decode(&padded, &prefix, &draft, limit, |found| {
            repeated(found.iter().map(|t| t.id)).is_none()
        })?;
        if let Some(once) = repeated(found.iter().map(|t| t.id)) {
            tracing::debug!(tokens = found.len(), "the decoder repeats itself; the repetition is dropped");
            found.truncate(once);
        }
        Ok(found)
    }

    /// Turns decoded tokens into the new tail, keeping the times of words that
    /// were there before.
    fn tail(&self, found: &[Token], heard: SamplePos) -> Vec<(Word, Vec<u32>)> {
        let ids: Vec<u32> = found.iter().map(|t| t.id).collect();
        let spelled = self.tokens.words(&ids);
        let before = &self.utterance.tail;
        let same = spelled.iter().zip(before).take_while(|(new, (old, _))| new.text == old.text).count();
        let mut tail: Vec<(Word, Vec<u32>)> = Vec::with_capacity(spelled.len());
        let mut at = 0;
        let fresh: u64 = spelled[same..].iter().map(|w| w.text.chars().count() as u64 + 1).sum();
        // New words share the time since the last known word, but no more than
        // a person needs to say them when the step before heard only silence.
        let known = match same.checked_sub(1) {
            Some(last) => before[last].0.end,
            None => self.utterance.prefix.last().map_or(self.utterance.start, |(_, end)| *end),
        };
        let since = known.max(self.utterance.heard.back(self.chunk)).min(heard);
        let mut passed = 0;
        for (i, word) in spelled.into_iter().enumerate() {
            let tokens = &found[at..at + word.tokens];
            at += word.tokens;
            let confidence = tokens.iter().map(|t| t.probability).fold(1.0, f32::min);
            let (start, end) = if i < same {
                (before[i].0.start, before[i].0.end)
            } else {
                let span = heard.since(since);
                let start = since + span * passed / fresh.max(1);
                passed += word.text.chars().count() as u64 + 1;
                (start, since + span * passed / fresh.max(1))
            };
            let ids = tokens.iter().map(|t| t.id).collect();
            // A marker alone is no word, but its token belongs to the sequence.
            match tail.last_mut() {
                Some((_, last)) if word.text.is_empty() => last.extend::<Vec<u32>>(ids),
                _ if word.text.is_empty() => {}
                _ => tail.push((Word { text: word.text, glued: word.glued, start, end, confidence }, ids)),
            }
        }
        tail
    }

    /// One model step over everything before `heard`; `all` commits the tail.
    fn advance(&mut self, heard: SamplePos, all: bool) -> Result<Belief, AsrError> {
        let found = self.decode(heard)?;
        let mut tail = self.tail(&found, heard);
        let frozen = match all {
            true => tail.len(),
            false => self
                .policy
                .admit(&tail.iter().map(|(w, _)| (w.text.as_str(), w.confidence)).collect::<Vec<_>>()),
        };
        let words = tail.iter().map(|(word, _)| word.clone()).collect();
        let utterance = &mut self.utterance;
        utterance.prefix.extend(tail.drain(..frozen).map(|(word, ids)| (ids, word.end)));
        utterance.tail = tail;
        utterance.heard = heard;
        utterance.trim(self.context);
        Ok(Belief { words, frozen, tokens: found.iter().map(|t| t.id).collect(), frames: Vec::new() })
    }
}

impl Recognizer for Moonshine {
    fn info(&self) -> EngineInfo {
        self.info.clone()
    }

    fn begin(&mut self, at: SamplePos, typed: &[String]) {
        self.policy.reset();
        self.utterance =
            Utterance { start: at, end: at, heard: at, due: at + self.chunk, ..Utterance::default() };
        self.utterance.prefix = typed.iter().map(|word| (self.tokens.encode(word), at)).collect();
    }

    fn feed(&mut self, pcm: &[f32]) {
        self.utterance.audio.extend_from_slice(pcm);
        self.utterance.end = self.utterance.end + pcm.len() as u64;
    }

    fn step(&mut self) -> Result<Option<Belief>, AsrError> {
        let due = self.utterance.due;
        if self.utterance.end < due {
            return Ok(None);
        }
        self.utterance.due = due + self.chunk;
        self.advance(due, false).map(Some)
    }

    fn finish(&mut self) -> Result<Belief, AsrError> {
        self.advance(self.utterance.end, true)
    }
}

impl Utterance {
    /// Keeps the last `context` samples before `heard`, and the committed words
    /// that end in them.
    fn trim(&mut self, context: usize) {
        let surplus = (self.heard.since(self.start) as usize).saturating_sub(context);
        if surplus > 0 {
            self.audio.drain(..surplus);
            self.start = self.start + surplus as u64;
            self.prefix.retain(|(_, end)| *end > self.start);
        }
    }
}

/// Where a sequence begins to repeat itself beyond what people say: the length
/// up to and including the first of the equal groups at its end. Single tokens
/// must repeat most often, because people do say "no, no, no, no".
fn repeated(ids: impl Iterator<Item = u32>) -> Option<usize> {
    let ids: Vec<u32> = ids.collect();
    (1..=12).find_map(|group| {
        let times = (12 / group).max(4);
        let tail = ids.len().checked_sub(group * times)?;
        let all_equal = ids[tail..].windows(group + 1).all(|w| w[0] == w[group]);
        all_equal.then_some(tail + group)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_repeat_is_kept_and_what_a_lost_decoder_repeats_is_not() {
        let cycle = |period: u32, length: usize| (0..length as u32).map(move |i| 5 + i % period);
        assert_eq!(repeated(cycle(1, 11)), None);
        assert_eq!(repeated(cycle(1, 12)), Some(1));
        assert_eq!(repeated([9].into_iter().chain(cycle(2, 11))), None);
        assert_eq!(repeated([9].into_iter().chain(cycle(2, 12))), Some(3));
        assert_eq!(repeated(cycle(5, 19)), None);
        assert_eq!(repeated(cycle(5, 20)), Some(5));
    }
}
