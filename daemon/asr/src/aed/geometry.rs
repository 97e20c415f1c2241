//! Sizes of the window, from `model.toml` and the person's settings.

use super::policy::Rules;
use crate::features::{HOP, Parts};
use crate::latency::split;
use crate::manifest::{self, Policy};
use crate::vocab::Vocabulary;
use crate::{AsrError, Settings};
use std::ops::RangeInclusive;
use std::path::Path;

/// Left context where nobody asks for another, in seconds.
const CONTEXT_SECONDS: f32 = 20.0;
/// Left context that can be asked for: less is too little to understand, more
/// takes too long, as every step encodes the whole window.
const CONTEXTS: RangeInclusive<f32> = 2.0..=60.0;
/// The longest chunk and the longest right context, in milliseconds.
const LONGEST_MS: u32 = 30_000;
/// NeMo's bound on the tokens of an AlignAtt step, per second of chunk and right context.
const TOKENS_PER_SECOND: u32 = 10;

/// Left context, chunk and right context in whole encoder frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Geometry {
    pub(super) left: usize,
    pub(super) chunk: usize,
    pub(super) right: usize,
    pub(super) wait_k: usize,
    /// Tokens that AlignAtt lets out in a step at most.
    pub(super) most_per_step: usize,
    /// Samples of an encoder frame.
    pub(super) frame: usize,
}

impl Geometry {
    /// What `table` of the model in `dir` says and `settings` change.
    ///
    /// # Errors
    /// `Model` for a value of `table`, `Setting` for one of `settings`, that cannot
    /// be; both name it.
    pub(super) fn new(
        table: &manifest::Aed,
        settings: &Settings,
        (dir, name): (&Path, &str),
    ) -> Result<Self, AsrError> {
        let fault = |key: &str, asked: bool, reason: String| match asked {
            true => AsrError::Setting(format!("{key} {reason}")),
            false => {
                AsrError::Model { file: dir.join("model.toml"), reason: format!("[aed] {key} {reason}") }
            }
        };
        let &manifest::Aed { subsampling, alignatt_frames, .. } = table;
        let wait_k = settings.wait_k.unwrap_or(table.wait_k);
        let context = settings.context_seconds.unwrap_or(CONTEXT_SECONDS);
        if !(1..=64).contains(&subsampling) {
            return Err(fault("subsampling", false, format!("= {subsampling} is not between 1 and 64")));
        }
        if !CONTEXTS.contains(&context) {
            let (least, most) = (CONTEXTS.start(), CONTEXTS.end());
            let reason = format!("= {context} is not between {least} and {most}");
            return Err(fault("context_seconds", true, reason));
        }
        let frame_ms = 10 * subsampling;
        let (chunk_ms, right_ms) = match settings.latency_ms {
            Some(ms) => split(ms, settings.chunk_ms, (table.chunk_ms, table.right_ms), frame_ms, name)?,
            None => (settings.chunk_ms.unwrap_or(table.chunk_ms), table.right_ms),
        };
        if !(frame_ms..=LONGEST_MS).contains(&chunk_ms) {
            let reason =
                format!("= {chunk_ms} is not between {frame_ms} (one encoder frame) and {LONGEST_MS}");
            return Err(fault("chunk_ms", settings.chunk_ms.is_some(), reason));
        }
        if right_ms > LONGEST_MS {
            return Err(fault("right_ms", false, format!("= {right_ms} is more than {LONGEST_MS}")));
        }
        let new = Self {
            left: (context * 100.0 / subsampling as f32) as usize,
            chunk: (chunk_ms / frame_ms) as usize,
            right: (right_ms / frame_ms) as usize,
            wait_k: wait_k as usize,
            most_per_step: (TOKENS_PER_SECOND * ((chunk_ms + right_ms) / 1000)).max(1) as usize,
            frame: subsampling as usize * HOP,
        };
        let window = new.left + new.chunk;
        if !(1..=window / new.chunk).contains(&new.wait_k) {
            let most = window / new.chunk;
            let reason = format!("= {wait_k} is not between 1 and {most}, the chunks of a window");
            return Err(fault("wait_k", settings.wait_k.is_some(), reason));
        }
        if table.policy == Policy::AlignAtt && alignatt_frames as usize >= window {
            let reason = format!("= {alignatt_frames} is not less than the {window} frames of a window");
            return Err(fault("alignatt_frames", false, reason));
        }
        Ok(new)
    }

    /// The parts of a full window.
    pub(super) fn parts(&self) -> Parts {
        let Self { left, chunk, right, frame, .. } = *self;
        Parts { left: left * frame, chunk: chunk * frame, right: right * frame }
    }

    /// New audio per step, in milliseconds.
    pub(super) fn chunk_ms(&self) -> u32 {
        (self.chunk * self.frame / 16) as u32
    }

    /// New audio and what is heard behind it, NeMo's theoretical latency, in milliseconds.
    pub(super) fn latency_ms(&self) -> u32 {
        ((self.chunk + self.right) * self.frame / 16) as u32
    }

    /// Left context in seconds.
    pub(super) fn context_seconds(&self) -> f32 {
        (self.left * self.frame) as f32 / 16_000.0
    }

    /// The policy's rules, with the tokens of its pieces.
    ///
    /// # Errors
    /// `Model` when a piece is not in the vocabulary or the prompt is of no use.
    pub(super) fn rules(
        &self,
        table: &manifest::Aed,
        vocabulary: &Vocabulary,
        dir: &Path,
    ) -> Result<Rules, AsrError> {
        let prompt =
            table.prompt.iter().map(|piece| vocabulary.token(piece)).collect::<Result<Vec<_>, _>>()?;
        if !(1..=64).contains(&prompt.len()) {
            let reason = format!("[aed] prompt has {} pieces; 1 to 64 make sense", prompt.len());
            return Err(AsrError::Model { file: dir.join("model.toml"), reason });
        }
        Ok(Rules {
            policy: table.policy,
            chunk: self.chunk,
            wait_k: self.wait_k,
            alignatt_frames: table.alignatt_frames as usize,
            most_per_step: self.most_per_step,
            end: vocabulary.token(&table.end)?,
            prompt,
        })
    }
}
