//! Moonshine: an attention encoder-decoder run in chunks over a ring of audio.
//!
//! Every `chunk_ms` the window (the utterance, at most `context_seconds` of it)
//! is decoded anew and without regard to what is committed: a decoder that is
//! made to continue a committed mistake makes more of them. What is committed is
//! found again in the new hypothesis ([`align`]); the words behind it are the
//! tail, from which the policy ([`Admission`], evidence by default) admits. At the end
//! of the utterance the whole tail is committed. The policy sits here and not in the
//! daemon because its decision feeds the next step: a process boundary inside that loop
//! would make the text depend on scheduling.
//!
//! The model has no token times. A word's times are bounds: it ends no later
//! than the audio heard when it first appeared, and words that appeared in the
//! same step share the time since the step before by their lengths.

mod align;
mod beam;
mod graphs;
mod tokens;
mod utterance;

use crate::boost::Boost;
use crate::graph::{Device, Graph, Runtime};
use crate::manifest::Manifest;
use crate::precision::read_back;
use crate::{AsrError, Belief, Recognizer, Settings, state};
use graphs::{Decode, Graphs, Token};
use std::path::Path;
use swictation_core::policy::{Admission, Agreement, Candidate, Evidence, Policy, key};
use swictation_core::time::samples_in_ms;
use swictation_core::wire::EngineInfo;
use swictation_core::{SAMPLE_RATE, SamplePos, Word};
use tokens::Tokens;
use utterance::{Committed, Said, Utterance};

const DEFAULT_CONTEXT_SECONDS: f32 = 20.0;
const DEFAULT_CHUNK_MS: u32 = 500;
const DEFAULT_WAIT_K: u32 = 1;

/// English speech stays under this; the models' own limit is 6.5 (Jeffries et
/// al., "Moonshine", 2024). More is a decoder that has lost the audio.
const MAX_TOKENS_PER_SECOND: f32 = 6.5;

/// Shorter audio than this makes the encoder fail: it has no frame.
const MIN_SAMPLES: usize = 1600;

/// Audio of the utterance before that the next one begins with: a pause in the
/// middle of a sentence ends an utterance, and the model cannot make sense of
/// the second half alone.
const CARRIED: u64 = samples_in_ms(10_000);

/// After a longer pause the next utterance begins on its own.
const LONGEST_PAUSE: u64 = samples_in_ms(4_000);

/// How long a word takes about, where nothing is known of its times.
const USUAL_WORD: u64 = samples_in_ms(400);

/// One utterance of Moonshine on one device.
struct Moonshine<D> {
    graphs: D,
    tokens: Tokens,
    info: EngineInfo,
    chunk: u64,
    context: usize,
    policy: Admission,
    utterance: Utterance,
}

/// Loads the graphs of a manifest of family `moonshine`.
///
/// # Errors
/// `Model` when a file is not what the manifest says, `Setting` when the model
/// cannot do what is asked.
pub fn load(
    runtime: &Runtime,
    dir: &Path,
    manifest: &Manifest,
    device: Device,
    settings: &Settings,
) -> Result<Box<dyn Recognizer>, AsrError> {
    let context_seconds = settings.context_seconds.unwrap_or(DEFAULT_CONTEXT_SECONDS);
    let chunk_ms = settings.chunk_ms.unwrap_or(DEFAULT_CHUNK_MS);
    let name = &manifest.name;
    let (policy, wait_k) = policy(settings, name)?;
    if !(2.0..=60.0).contains(&context_seconds) {
        let reason = format!("context_seconds = {context_seconds} does not go with {name}: it takes 2 to 60");
        return Err(AsrError::Setting(reason));
    }
    if !(100..=4000).contains(&chunk_ms) {
        return Err(AsrError::Setting(format!(
            "chunk_ms = {chunk_ms} does not go with {name}: it takes 100 to 4000"
        )));
    }
    if let Some(wanted) = settings.latency_ms {
        return Err(AsrError::Setting(format!(
            "latency_ms = {wanted} does not go with {name}: how long a word waits depends on how sure the model is of it; use chunk_ms, 100 to 4000, and wait_k, 0 to 20"
        )));
    }
    let file = manifest.file(dir, "tokenizer")?;
    let tokens = Tokens::read(&file)?;
    let encoder = Graph::open(runtime, &manifest.file(dir, "encoder")?, device)?;
    let decoder = Graph::open(runtime, &manifest.file(dir, "decoder")?, device)?;
    let provider = encoder.provider(device);
    let boost = Boost::new(&settings.hotwords, &tokens.pieces());
    let hotwords = boost.used();
    let graphs = Graphs::new(encoder, decoder, &tokens, &file, boost)?;
    let read = read_back(&graphs.both(), manifest)?;
    let info = EngineInfo {
        model: name.clone(),
        family: manifest.family.as_str().to_owned(),
        provider,
        precision: manifest.precision.as_str().to_owned(),
        context_seconds,
        chunk_ms,
        latency_ms: None,
        wait_k,
        unbounded: false,
        hotwords,
        runtime: runtime.version().to_owned(),
        graphs: read,
    };
    Ok(Box::new(Moonshine {
        graphs,
        tokens,
        info,
        chunk: samples_in_ms(u64::from(chunk_ms)),
        context: (context_seconds * SAMPLE_RATE as f32) as usize,
        policy,
        utterance: Utterance::default(),
    }))
}

/// The policy that is asked for and the words it holds back.
fn policy(settings: &Settings, name: &str) -> Result<(Admission, Option<u32>), AsrError> {
    let can = [Policy::WaitK, Policy::Agreement, Policy::Hold];
    settings.expect_policy(&can, name, "its graphs do not tell which audio a word comes from")?;
    let refused =
        |k: u32, why: &str| Err(AsrError::Setting(format!("wait_k = {k} does not go with {name}: {why}")));
    match (settings.policy, settings.wait_k) {
        (_, Some(k)) if k > 20 => refused(k, "it takes 0 to 20"),
        (Some(Policy::Hold), Some(k)) => {
            refused(k, "policy = \"hold\" holds every word until the utterance ends; leave one of them out")
        }
        (Some(Policy::Hold), None) => Ok((Admission::Hold, None)),
        // Agreement is the method; more is held back only where somebody asks.
        (Some(Policy::Agreement), k) => {
            let k = k.unwrap_or(0);
            Ok((Admission::Agreement(Agreement::new(k)), Some(k)))
        }
        (_, k) => {
            let k = k.unwrap_or(DEFAULT_WAIT_K);
            Ok((Admission::Evidence(Evidence::new(k)), Some(k)))
        }
    }
}

impl<D: Decode> Moonshine<D> {
    /// Decodes the window up to `heard`: with the step before as a draft, or with
    /// rivals the `last` time.
    fn decode(&mut self, heard: SamplePos, last: bool) -> Result<Vec<Token>, AsrError> {
        let utterance = &self.utterance;
        let length = heard.since(utterance.start) as usize;
        if length < MIN_SAMPLES {
            return Ok(Vec::new());
        }
        let seconds = length as f32 / SAMPLE_RATE as f32;
        let limit = (seconds * MAX_TOKENS_PER_SECOND) as usize + 2;
        let audio = &utterance.audio[..length];
        let accept = |found: &[Token]| repeated(found.iter().map(|t| t.id)).is_none();
        let draft = if last { None } else { Some(utterance.draft.as_slice()) };
        let mut found = self.graphs.decode(audio, draft, limit, &accept)?;
        if let Some(once) = repeated(found.iter().map(|t| t.id)) {
            tracing::debug!(tokens = found.len(), "the decoder repeats itself; the repetition is dropped");
            found.truncate(once);
        }
        Ok(found)
    }

    /// The words behind the committed ones, with the times of those that were
    /// there before.
    fn tail(&self, found: &[Token], heard: SamplePos) -> Vec<Word> {
        let ids: Vec<u32> = found.iter().map(|t| t.id).collect();
        let mut at = 0;
        let mut said: Vec<Said> = Vec::new();
        for word in self.tokens.words(&ids) {
            let tokens = &found[at..at + word.tokens];
            at += word.tokens;
            let confidence = tokens.iter().map(|t| t.probability).fold(1.0, f32::min);
            // Notes, dashes and markers alone are no words.
            if word.text.contains(char::is_alphanumeric) {
                let tokens = tokens.iter().map(|t| t.id).collect();
                said.push(Said { text: word.text, confidence, tokens });
            }
        }
        let keys: Vec<String> = said.iter().map(|word| key(&word.text)).collect();
        let committed: Vec<String> = self.utterance.committed.iter().map(|word| word.key.clone()).collect();
        let covered = align::covered(&committed, &keys, self.utterance.cut_off);
        self.utterance.timed(said.split_off(covered), self.chunk, heard)
    }

    /// One model step over everything before `heard`; the `last` commits the tail.
    fn advance(&mut self, heard: SamplePos, last: bool) -> Result<Belief, AsrError> {
        let found = self.decode(heard, last)?;
        let words = self.tail(&found, heard);
        let candidates: Vec<Candidate> = words
            .iter()
            .map(|word| Candidate { key: key(&word.text), confidence: word.confidence })
            .collect();
        let mut frozen = self.policy.admit(&candidates, heard);
        // Words whose audio is about to leave the window cannot wait any longer.
        let leaving = self.utterance.next_start(heard, self.context);
        let lost = words.iter().take_while(|word| leaving.is_some_and(|start| word.end <= start)).count();
        if lost > frozen {
            self.policy.force(lost - frozen);
            frozen = lost;
        }
        if last {
            frozen = words.len();
        }
        let utterance = &mut self.utterance;
        utterance
            .committed
            .extend(words[..frozen].iter().map(|word| Committed { key: key(&word.text), end: word.end }));
        utterance.spoken |= frozen > 0;
        utterance.tail = words[frozen..].to_vec();
        let tokens: Vec<u32> = found.iter().map(|t| t.id).collect();
        utterance.draft.clone_from(&tokens);
        utterance.heard = heard;
        if let Some(start) = leaving {
            utterance.trim(start);
        }
        Ok(Belief { words, frozen, tokens, ..Belief::default() })
    }
}

impl<D: Decode> Recognizer for Moonshine<D> {
    fn info(&self) -> EngineInfo {
        self.info.clone()
    }

    fn begin(&mut self, at: SamplePos, typed: &[String]) {
        self.policy.begin(at);
        self.utterance = Utterance {
            start: at,
            own: at,
            end: at,
            heard: at,
            due: at + self.chunk,
            ..Utterance::default()
        };
        for (word, number) in typed.iter().zip(1..) {
            let (key, end) = (key(word), at + number * USUAL_WORD);
            self.utterance.spoken = true;
            match self.utterance.committed.last_mut() {
                // Typed without a space before it: the end of the word before.
                Some(last) if !word.starts_with(' ') => last.key.push_str(&key),
                _ => self.utterance.committed.push(Committed { key, end }),
            }
        }
    }

    fn follow(&mut self, at: SamplePos) {
        let pause = at.since(self.utterance.end);
        if self.utterance.audio.is_empty() || pause > LONGEST_PAUSE {
            return self.begin(at, &[]);
        }
        self.policy.begin(at);
        let carried = CARRIED.min(self.context as u64 / 2);
        let utterance = &mut self.utterance;
        if utterance.audio.len() as u64 > carried {
            utterance.trim(utterance.end.back(carried));
        }
        // Nobody spoke in the pause and nothing of it was fed: what is carried
        // over is taken as said right before.
        utterance.start = utterance.start + pause;
        for word in &mut utterance.committed {
            word.end = word.end + pause;
        }
        utterance.tail.clear();
        utterance.draft.clear();
        (utterance.own, utterance.spoken, utterance.end) = (at, false, at);
        (utterance.heard, utterance.due) = (at, at + self.chunk);
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
        let belief = self.advance(self.utterance.end, true)?;
        let utterance = &mut self.utterance;
        if utterance.spoken || utterance.start >= utterance.own {
            return Ok(belief);
        }
        // Somebody spoke and the decoder, pleased with the sentence carried over,
        // adds nothing to it: a short last word must not go missing.
        utterance.forget_carried();
        self.advance(self.utterance.end, true)
    }

    fn save(&self) -> Result<Vec<u8>, AsrError> {
        state::write("moonshine", &(self.info.hotwords.digest, &self.utterance, &self.policy))
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), AsrError> {
        let (hotwords, utterance, policy): (u64, Utterance, Admission) = state::read("moonshine", state)?;
        // Every step decodes its window anew, so there is no place in them to go on from.
        state::expect(hotwords == self.info.hotwords.digest, "the list of hotwords")?;
        state::expect(self.policy.is_like(&policy), "the policy")?;
        state::expect(utterance.fits(self.chunk), "the utterance")?;
        (self.utterance, self.policy) = (utterance, policy);
        Ok(())
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
mod tests;
