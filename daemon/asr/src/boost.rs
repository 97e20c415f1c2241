//! Hotwords in the decoder: what of a phrase was said makes the rest of it likelier.
//!
//! The phrases are a tree over the model's own tokens, and a decoder walks through it
//! with every token that it says. Each step into a phrase earns a bonus, which is only
//! lent until the phrase is complete: whoever leaves it before gives everything back.
//! Phrases that begin inside of others are found by the links of Aho and Corasick
//! ("Efficient string matching", 1975), so that nothing is ever looked at twice.
//! NeMo's phrase boosting does the same (Andrusenko et al., "TurboBias", 2025).
//!
//! A greedy decoder cannot give back: what it said is said. There the debt counts for
//! the tokens that go on, so that a phrase holds the better the farther it came. And
//! whether anything is said at all stays the model's own decision: where its best token
//! is a blank, an end or a repetition, no phrase is put into the silence.

mod spelling;

pub(crate) use spelling::Pieces;

use crate::decoder::best;
use crate::{AsrError, state};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use swictation_core::hotwords::{Hotword, Used, digest};

/// What a token of a phrase of weight 1 is worth, in natural logarithms. Measured:
/// docs/measurements/2026-11-21-hotwords.md.
const BONUS: f32 = 1.5;

/// A tree of phrases; empty without any, and then every score is left as it is.
pub(crate) struct Boost {
    nodes: Vec<Node>,
    used: Used,
}

/// What was said of a phrase, from its beginning.
#[derive(Default)]
struct Node {
    children: BTreeMap<u32, u32>,
    /// The longest end of it that is itself the beginning of a phrase.
    suffix: u32,
    /// What the step to here earns.
    bonus: f32,
    /// What was lent up to here.
    debt: f32,
    /// A phrase is complete.
    ends: bool,
}

/// Where in a tree a decoder is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Walk(u32);

impl Default for Boost {
    fn default() -> Self {
        Self { nodes: vec![Node::default()], used: Used::default() }
    }
}

impl Boost {
    /// The tree of `hotwords` in the spellings that a model with these `pieces` may use.
    /// A phrase that it cannot spell is left out, and counted in the log.
    pub(crate) fn new(hotwords: &[Hotword], pieces: &Pieces) -> Self {
        let mut spelled = Vec::new();
        let mut phrases = 0;
        for hotword in hotwords {
            let spellings = pieces.spellings(&hotword.phrase);
            phrases += u32::from(!spellings.is_empty());
            spelled.extend(spellings.into_iter().map(|tokens| (tokens, hotword.weight * BONUS)));
        }
        let without = hotwords.len() - phrases as usize;
        if without > 0 {
            let of = hotwords.len();
            tracing::warn!("{without} of {of} hotwords have letters that the model does not know: left out");
        }
        Self { used: Used { phrases, digest: digest(hotwords) }, ..Self::of(&spelled) }
    }

    /// The tree of phrases in tokens, each with the bonus of a token.
    pub(crate) fn of(phrases: &[(Vec<u32>, f32)]) -> Self {
        let mut new = Self::default();
        for (tokens, bonus) in phrases.iter().filter(|(tokens, _)| !tokens.is_empty()) {
            let mut at = 0;
            for &token in tokens {
                let next = new.nodes.len() as u32;
                let child = *new.nodes[at].children.entry(token).or_insert(next);
                if child == next {
                    new.nodes.push(Node::default());
                }
                at = child as usize;
                new.nodes[at].bonus = new.nodes[at].bonus.max(*bonus);
            }
            new.nodes[at].ends = true;
        }
        new.link();
        new
    }

    /// Fills in suffixes and debts, the shorter beginnings first.
    fn link(&mut self) {
        // What is earned for good where a phrase ends inside of another.
        let mut settled = vec![0.0; self.nodes.len()];
        let mut queue = VecDeque::from([0]);
        while let Some(parent) = queue.pop_front() {
            let children: Vec<(u32, u32)> =
                self.nodes[parent].children.iter().map(|(token, child)| (*token, *child)).collect();
            for (token, child) in children {
                let suffix = match parent {
                    0 => Walk(0),
                    _ => self.advance(Walk(self.nodes[parent].suffix), token),
                };
                let lent = self.nodes[parent].debt + self.nodes[child as usize].bonus;
                let node = &mut self.nodes[child as usize];
                node.suffix = suffix.0;
                settled[child as usize] = if node.ends { lent } else { settled[suffix.0 as usize] };
                node.debt = (lent - settled[child as usize]).max(0.0);
                queue.push_back(child as usize);
            }
        }
    }

    /// Whether there is nothing to expect.
    pub(crate) fn is_empty(&self) -> bool {
        self.nodes.len() == 1
    }

    /// How many hotwords it holds, in whatever spellings, and of which list.
    pub(crate) fn used(&self) -> Used {
        self.used
    }

    /// The number of the list that this was made of.
    pub(crate) fn digest(&self) -> u64 {
        self.used.digest
    }

    /// Refuses to go on at `walk`, unless that is a place in a tree of the same list.
    ///
    /// # Errors
    /// `Checkpoint` with what does not fit.
    pub(crate) fn expect(&self, digest: u64, walk: Walk) -> Result<(), AsrError> {
        let fits = digest == self.used.digest && (walk.0 as usize) < self.nodes.len();
        state::expect(fits, "the list of hotwords")
    }

    /// Where a decoder is after `token`.
    pub(crate) fn advance(&self, walk: Walk, token: u32) -> Walk {
        let child = self.suffixes(walk).find_map(|node| node.children.get(&token));
        Walk(child.copied().unwrap_or(0))
    }

    /// What has to be given back by whoever leaves the phrase at `walk`.
    pub(crate) fn debt(&self, walk: Walk) -> f32 {
        self.nodes[walk.0 as usize].debt
    }

    /// What was said and its ends that begin phrases, the longest first, the empty one last.
    fn suffixes(&self, walk: Walk) -> impl Iterator<Item = &Node> {
        let shorter = |at: &usize| (*at > 0).then(|| self.nodes[*at].suffix as usize);
        std::iter::successors(Some(walk.0 as usize), shorter).map(|at| &self.nodes[at])
    }

    /// `scores` with what every token is favoured over leaving all phrases behind `walk`;
    /// never less than its own. Tokens of `silent` get nothing.
    pub(crate) fn favoured(&self, scores: &[f32], walk: Walk, silent: &[usize]) -> Vec<f32> {
        let mut scores = scores.to_vec();
        let longer: Vec<&Node> = self.suffixes(walk).collect();
        for (i, node) in longer.iter().enumerate() {
            for (token, child) in &node.children {
                let elsewhere = longer[..i].iter().any(|node| node.children.contains_key(token));
                let at = *token as usize;
                if let Some(score) = scores.get_mut(at).filter(|_| !elsewhere && !silent.contains(&at)) {
                    *score += node.debt + self.nodes[*child as usize].bonus;
                }
            }
        }
        scores
    }

    /// The token that a greedy decoder says behind `walk`, and its probability with
    /// what is expected; the model's own best where that is one of `silent`.
    ///
    /// # Errors
    /// `Run` when a score is not a number.
    pub(crate) fn best(
        &self,
        scores: &[f32],
        walk: Walk,
        silent: &[usize],
    ) -> Result<(usize, f32), AsrError> {
        let own = best(scores)?;
        if self.is_empty() || silent.contains(&own.0) {
            return Ok(own);
        }
        best(&self.favoured(scores, walk, silent))
    }
}

#[cfg(test)]
mod tests;
