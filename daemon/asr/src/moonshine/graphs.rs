//! Moonshine's two graphs: audio to states, states and tokens to the next token.
//!
//! The encoder reads raw samples; the decoder is one graph with two branches, a
//! first pass of the start token and later passes that reuse keys and values. One
//! later pass can *verify a draft*, the tokens that the step before decoded: every
//! token the model confirms costs no pass of its own. A quantised decoder scales
//! its activations by the pass, so a drafted decode differs from the plain greedy
//! one in about one token of a hundred, most of all when the start token, whose
//! activations are the largest, is in the same pass: it never is.
//!
//! Tensors: encoder `input_values` f32 \[1, n\], `attention_mask` i64 \[1, n\] →
//! `last_hidden_state` f32 \[1, t, d\]; decoder `input_ids` i64 \[1, u\],
//! `encoder_hidden_states`, `encoder_attention_mask` (of the samples, thinned
//! inside), `use_cache_branch` bool \[1\], `past_key_values.L.{decoder,encoder}.
//! {key,value}` f32 \[1, heads, t, width\] → `logits` f32 \[1, u, V\], `present.…`.

use super::beam::{self, Ranked};
use super::tokens::{END, START, Tokens};
use crate::AsrError;
use crate::boost::{Boost, Walk};
use crate::graph::{Graph, Value};
use std::path::Path;
use std::rc::Rc;

/// A decoded token and the probability the model gave it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) id: u32,
    pub(super) probability: f32,
}

pub(super) struct Graphs {
    encoder: Graph,
    decoder: Graph,
    caches: Vec<Cache>,
    vocabulary: usize,
    boost: Boost,
}

/// Audio to tokens.
pub(super) trait Decode {
    /// At most `limit` tokens for `audio`, fewer when `accept` has had enough.
    /// With a draft, a guess at the result that saves time, the decode is greedy;
    /// without one it is the best of several rivals, see [`beam`].
    ///
    /// # Errors
    /// `Run` when the graphs fail or give no numbers.
    fn decode(
        &mut self,
        audio: &[f32],
        draft: Option<&[u32]>,
        limit: usize,
        accept: &dyn Fn(&[Token]) -> bool,
    ) -> Result<Vec<Token>, AsrError>;
}

/// An audio window as the decoder sees it.
struct Heard {
    states: Value,
    mask: Value,
}

/// The decoder's caches after some tokens; rivals share what they have in common.
type Past = Vec<Rc<Value>>;

/// One key or value cache of the decoder.
struct Cache {
    input: String,
    output: String,
    heads: usize,
    width: usize,
    /// Keys and values of the encoder states; they do not change after the first pass.
    fixed: bool,
}

impl Graphs {
    pub(super) fn new(
        encoder: Graph,
        decoder: Graph,
        tokens: &Tokens,
        file: &Path,
        boost: Boost,
    ) -> Result<Self, AsrError> {
        for name in ["input_values", "attention_mask"] {
            encoder.input(name)?;
        }
        encoder.output("last_hidden_state")?;
        for name in ["input_ids", "encoder_hidden_states", "encoder_attention_mask", "use_cache_branch"] {
            decoder.input(name)?;
        }
        let width = decoder.output("logits")?.shape.last().copied().unwrap_or(-1);
        let vocabulary = usize::try_from(width).unwrap_or(0);
        if vocabulary != tokens.len() {
            let reason = format!(
                "holds {} pieces, but the decoder {} has {width} outputs; the files belong to different models",
                tokens.len(),
                decoder.path().display()
            );
            return Err(AsrError::Model { file: file.to_path_buf(), reason });
        }
        let mut caches = Vec::new();
        for port in decoder.inputs.iter().filter(|p| p.name.starts_with("past_key_values.")) {
            let output = port.name.replacen("past_key_values", "present", 1);
            decoder.output(&output)?;
            let dim = |i: usize| port.shape.get(i).and_then(|d| usize::try_from(*d).ok()).unwrap_or(0);
            caches.push(Cache {
                fixed: port.name.contains(".encoder."),
                heads: dim(1),
                width: dim(3),
                input: port.name.clone(),
                output,
            });
        }
        if caches.is_empty() || caches.iter().any(|c| c.heads == 0 || c.width == 0) {
            let reason = "its past_key_values inputs are not [1, heads, t, width]".to_owned();
            return Err(AsrError::Model { file: decoder.path().to_path_buf(), reason });
        }
        Ok(Self { encoder, decoder, caches, vocabulary, boost })
    }

    /// Encoder and decoder.
    pub(super) fn both(&self) -> [&Graph; 2] {
        [&self.encoder, &self.decoder]
    }

    /// Takes the best token every time; `draft` only saves time.
    fn greedy(
        &mut self,
        heard: &Heard,
        draft: &[u32],
        limit: usize,
        accept: &dyn Fn(&[Token]) -> bool,
    ) -> Result<Vec<Token>, AsrError> {
        let (logits, mut past) = self.begin(heard)?;
        let mut walk = Walk::default();
        let mut next = self.best(&logits, 0, walk)?;
        let mut found: Vec<Token> = Vec::new();

        let draft = &draft[..draft.len().min(limit)];
        if draft.first() == Some(&next.id) {
            let logits;
            (logits, past) = self.pass(draft, heard, &past, true)?;
            for (i, drafted) in draft.iter().enumerate() {
                if next.id != *drafted {
                    break;
                }
                found.push(next);
                walk = self.boost.advance(walk, next.id);
                next = self.best(&logits, i, walk)?;
            }
            if found.len() < draft.len() {
                self.truncate(&mut past, 1 + found.len())?;
            }
        }
        while next.id != END && found.len() < limit {
            found.push(next);
            if !accept(&found) {
                break;
            }
            let logits;
            (logits, past) = self.pass(&[next.id], heard, &past, true)?;
            walk = self.boost.advance(walk, next.id);
            next = self.best(&logits, 0, walk)?;
        }
        Ok(found)
    }

    /// The best of several rivals.
    fn rivals(
        &mut self,
        heard: &Heard,
        limit: usize,
        accept: &dyn Fn(&[Token]) -> bool,
    ) -> Result<Vec<Token>, AsrError> {
        let (logits, past) = self.begin(heard)?;
        let walk = Walk::default();
        let first = (self.ahead(&logits, walk)?, (past, walk));
        beam::search(first, limit, accept, |(past, walk), token| {
            let (logits, past) = self.pass(&[token.id], heard, past, true)?;
            let walk = self.boost.advance(*walk, token.id);
            Ok((self.ahead(&logits, walk)?, (past, walk)))
        })
    }

    fn encode(&mut self, audio: &[f32]) -> Result<Heard, AsrError> {
        let mask = Value::i64(&[1, audio.len()], vec![1; audio.len()])?;
        let samples = Value::f32(&[1, audio.len()], audio)?;
        let inputs = vec![("input_values", &samples), ("attention_mask", &mask)];
        let states = self.encoder.run(inputs, &["last_hidden_state"])?.into_iter().next();
        let states = states.ok_or_else(|| AsrError::Run("the encoder gave no states".to_owned()))?;
        Ok(Heard { states, mask })
    }

    /// The pass of the start token.
    fn begin(&mut self, heard: &Heard) -> Result<(Value, Past), AsrError> {
        let empty =
            self.caches.iter().map(|c| Value::f32(&[1, c.heads, 0, c.width], Vec::new()).map(Rc::new));
        let past = empty.collect::<Result<Past, _>>()?;
        self.pass(&[START], heard, &past, false)
    }

    /// One decoder pass of `ids` behind `past`: logits, and the caches with `ids` in them.
    fn pass(
        &mut self,
        ids: &[u32],
        heard: &Heard,
        past: &Past,
        cached: bool,
    ) -> Result<(Value, Past), AsrError> {
        let ids: Vec<i64> = ids.iter().map(|id| i64::from(*id)).collect();
        let ids = Value::i64(&[1, ids.len()], ids)?;
        let branch = Value::bool(&[1], [cached])?;
        let mut inputs = vec![
            ("input_ids", &ids),
            ("encoder_hidden_states", &heard.states),
            ("encoder_attention_mask", &heard.mask),
            ("use_cache_branch", &branch),
        ];
        inputs.extend(self.caches.iter().zip(past).map(|(c, v)| (c.input.as_str(), v.as_ref())));
        // The cached branch hands back empty encoder caches: the first ones stay.
        let stays = |cache: &Cache| cached && cache.fixed;
        let mut wanted = vec!["logits"];
        wanted.extend(self.caches.iter().filter(|c| !stays(c)).map(|c| c.output.as_str()));
        let mut outputs = self.decoder.run(inputs, &wanted)?.into_iter();
        let mut output =
            || outputs.next().ok_or_else(|| AsrError::Run("the decoder gave too few outputs".to_owned()));
        let logits = output()?;
        let next = self.caches.iter().zip(past).map(|(cache, old)| match stays(cache) {
            true => Ok(Rc::clone(old)),
            false => output().map(Rc::new),
        });
        Ok((logits, next.collect::<Result<Past, _>>()?))
    }

    /// Keeps the first `length` positions of the caches that grow.
    fn truncate(&self, past: &mut Past, length: usize) -> Result<(), AsrError> {
        for (cache, value) in self.caches.iter().zip(past) {
            if cache.fixed {
                continue;
            }
            let rows = value.shape().get(2).copied().unwrap_or(0);
            let data = value.floats()?;
            let mut kept = Vec::with_capacity(cache.heads * length * cache.width);
            for head in data.chunks_exact(rows * cache.width) {
                kept.extend_from_slice(&head[..length * cache.width]);
            }
            let shorter = Value::f32(&[1, cache.heads, length, cache.width], kept)?;
            *value = Rc::new(shorter);
        }
        Ok(())
    }

    /// The token to say behind `walk`, by row `row` of the logits.
    fn best(&self, logits: &Value, row: usize, walk: Walk) -> Result<Token, AsrError> {
        let all = logits.floats()?;
        let row = self.row(&all, row)?;
        let own = top(row, 1)?;
        let best = match own.first() {
            // Whether anything is said stays the model's own decision.
            Some(token) if self.boost.is_empty() || token.id == END => own,
            _ => top(&self.boost.favoured(row, walk, &[]), 1)?,
        };
        best.first().copied().ok_or_else(|| AsrError::Run("the decoder gave no logits".to_owned()))
    }

    /// What may be said behind `walk`, for a search that weighs whole sequences.
    fn ahead(&self, logits: &Value, walk: Walk) -> Result<Vec<Ranked>, AsrError> {
        let all = logits.floats()?;
        let row = self.row(&all, 0)?;
        let plain = |token: Token| Ranked { token, score: token.probability.ln(), lent: 0.0 };
        if self.boost.is_empty() {
            return Ok(top(row, beam::WIDTH)?.into_iter().map(plain).collect());
        }
        let favoured = self.boost.favoured(row, walk, &[]);
        let tokens = top(&favoured, beam::WIDTH)?;
        // What the favours and the debt make of a sequence adds up over its tokens only
        // beside the model's own probabilities, which sum to one without them.
        let sum = log_sum(row);
        let ranked = |token: Token| Ranked {
            token,
            score: favoured[token.id as usize] - sum - self.boost.debt(walk),
            lent: self.boost.debt(self.boost.advance(walk, token.id)),
        };
        Ok(tokens.into_iter().map(ranked).collect())
    }

    /// Row `row` of the logits.
    fn row<'l>(&self, all: &'l [f32], row: usize) -> Result<&'l [f32], AsrError> {
        all.get(row * self.vocabulary..(row + 1) * self.vocabulary)
            .ok_or_else(|| AsrError::Run("the decoder gave fewer logits than tokens".to_owned()))
    }
}

/// The `count` most probable tokens by these logits, best first; of equals the one
/// with the lower id.
fn top(row: &[f32], count: usize) -> Result<Vec<Token>, AsrError> {
    let mut top: Vec<(f32, usize)> = Vec::with_capacity(count + 1);
    for (id, logit) in row.iter().enumerate() {
        if top.len() < count || top.last().is_some_and(|(least, _)| logit > least) {
            let at = top.partition_point(|(better, _)| better >= logit);
            top.insert(at, (*logit, id));
            top.truncate(count);
        }
    }
    let best = top.first().map_or(f32::NAN, |(logit, _)| *logit);
    let sum: f32 = row.iter().map(|logit| (logit - best).exp()).sum();
    if !sum.is_finite() {
        return Err(AsrError::Run("the decoder gave numbers that are not finite".to_owned()));
    }
    let token = |(logit, id): (f32, usize)| Token { id: id as u32, probability: (logit - best).exp() / sum };
    Ok(top.into_iter().map(token).collect())
}

/// What is to be subtracted from logits to make logarithms of probabilities of them.
fn log_sum(row: &[f32]) -> f32 {
    let best = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    best + row.iter().map(|logit| (logit - best).exp()).sum::<f32>().ln()
}

impl Decode for Graphs {
    fn decode(
        &mut self,
        audio: &[f32],
        draft: Option<&[u32]>,
        limit: usize,
        accept: &dyn Fn(&[Token]) -> bool,
    ) -> Result<Vec<Token>, AsrError> {
        let heard = self.encode(audio)?;
        match draft {
            Some(draft) => self.greedy(&heard, draft, limit, accept),
            None => self.rivals(&heard, limit, accept),
        }
    }
}
