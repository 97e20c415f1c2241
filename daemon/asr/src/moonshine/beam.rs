//! Beam search: the words of an utterance that is over.
//!
//! A greedy decoder takes the best token at every step and now and then walks
//! into a sentence that nobody would say; keeping a few rivals for a while mends
//! about one error in fifteen (docs/measurements). It takes two to three times
//! the passes, so it is for the one decode after which nothing is revised.
//! Scores are plain sums of log probabilities: with the end token among them
//! longer and shorter rivals compare well enough, and normalising by length
//! changed nothing that could be measured.

use super::graphs::Token;
use super::tokens::END;
use crate::AsrError;

/// Rivals kept at every step.
pub(super) const WIDTH: usize = 4;
/// A rival that is this much behind the best, in natural logarithms, is dropped.
const BEHIND: f32 = 2.0;

/// A token that may follow, and what it adds to the score of a sequence: the logarithm
/// of its probability, and what hotwords lend it or it has to give back.
#[derive(Clone, Copy)]
pub(super) struct Ranked {
    pub(super) token: Token,
    pub(super) score: f32,
    /// What of the sequence's score is then lent, and given back if its hotword is left.
    pub(super) lent: f32,
}

/// The [`WIDTH`] best tokens that may follow, best first, and the decoder's state that
/// they follow on.
pub(super) type Ahead<S> = (Vec<Ranked>, S);

struct Rival<S> {
    found: Vec<Token>,
    score: f32,
    ahead: Ahead<S>,
}

/// The best sequence of at most `limit` tokens, without the end token. `first`
/// is what may begin it, `pass` what follows a state and one token more; a
/// sequence that `accept` refuses is taken as complete.
///
/// # Errors
/// What `pass` said.
pub(super) fn search<S>(
    first: Ahead<S>,
    limit: usize,
    accept: impl Fn(&[Token]) -> bool,
    mut pass: impl FnMut(&S, Token) -> Result<Ahead<S>, AsrError>,
) -> Result<Vec<Token>, AsrError> {
    let mut rivals = vec![Rival { found: Vec::new(), score: 0.0, ahead: first }];
    let (mut best, mut bar) = (Vec::new(), f32::NEG_INFINITY);
    while !rivals.is_empty() {
        let mut longer: Vec<(f32, &Rival<S>, Ranked)> = Vec::new();
        for rival in &rivals {
            let ranked = rival.ahead.0.iter().take(WIDTH);
            longer.extend(ranked.map(|next| (rival.score + next.score, rival, *next)));
        }
        longer.sort_by(|a, b| b.0.total_cmp(&a.0));
        // A hotword that is only begun must not drop whoever is right in the end.
        let leading = longer.iter().map(|(score, _, next)| score - next.lent).fold(bar, f32::max);
        let mut kept = Vec::with_capacity(WIDTH);
        for (score, rival, Ranked { token, .. }) in longer.into_iter().take(WIDTH) {
            // Scores only fall, but for what a hotword lends: what is behind a complete
            // sequence stays behind, or would have to be held by hope alone.
            if score < leading - BEHIND || score <= bar {
                break;
            }
            let mut found = rival.found.clone();
            if token.id != END {
                found.push(token);
            }
            if token.id == END || found.len() >= limit || !accept(&found) {
                (best, bar) = (found, score);
            } else {
                kept.push(Rival { found, score, ahead: pass(&rival.ahead.1, token)? });
            }
        }
        rivals = kept;
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A decoder whose state is what was said; `after` gives what may follow.
    fn searched(
        limit: usize,
        accept: impl Fn(&[Token]) -> bool,
        after: impl Fn(&[u32]) -> Vec<(u32, f32)>,
    ) -> Vec<u32> {
        let ahead = |said: Vec<u32>| {
            let ranked = |(id, probability): (u32, f32)| Ranked {
                token: Token { id, probability },
                score: probability.ln(),
                lent: 0.0,
            };
            (after(&said).into_iter().map(ranked).collect(), said)
        };
        let found = search(ahead(Vec::new()), limit, accept, |said: &Vec<u32>, token| {
            Ok(ahead([said.as_slice(), &[token.id]].concat()))
        });
        found.unwrap().iter().map(|token| token.id).collect()
    }

    #[test]
    fn a_second_best_word_wins_when_the_best_leads_nowhere() {
        let after = |said: &[u32]| match said {
            [] => vec![(10, 0.6), (20, 0.4)],
            [10] => vec![(11, 0.3), (12, 0.3), (13, 0.3)],
            [20] => vec![(21, 1.0)],
            _ => vec![(END, 1.0)],
        };
        assert_eq!(searched(9, |_| true, after), [20, 21]);
    }

    #[test]
    fn a_rival_far_behind_is_dropped_though_it_would_have_won() {
        let after = |said: &[u32]| match said {
            [] => vec![(10, 0.9), (20, 0.1)],
            [10] => vec![(11, 0.05), (12, 0.05)],
            _ => vec![(END, 1.0)],
        };
        assert_eq!(searched(9, |_| true, after), [10, 11]);
    }

    #[test]
    fn a_hotword_that_is_begun_and_left_does_not_drop_its_rival() {
        let next = |id, probability: f32, gains: f32, lent| Ranked {
            token: Token { id, probability },
            score: probability.ln() + gains,
            lent,
        };
        // 20 begins a hotword and is lent 3 for it; 21 leaves it and gives them back.
        let ahead = |said: &[u32]| match said {
            [] => vec![next(20, 0.4, 3.0, 3.0), next(10, 0.6, 0.0, 0.0)],
            [20] => vec![next(21, 1.0, -3.0, 0.0)],
            _ => vec![next(END, 1.0, 0.0, 0.0)],
        };
        let first = (ahead(&[]), Vec::new());
        let found = search(
            first,
            9,
            |_| true,
            |said: &Vec<u32>, token| {
                let said = [said.as_slice(), &[token.id]].concat();
                Ok((ahead(&said), said))
            },
        );
        assert_eq!(found.unwrap().iter().map(|token| token.id).collect::<Vec<_>>(), [10]);
    }

    #[test]
    fn a_sequence_ends_at_the_limit_or_where_it_is_refused() {
        let endless = |_: &[u32]| vec![(7, 0.9), (END, 0.01)];
        assert_eq!(searched(5, |_| true, endless), [7; 5]);
        assert_eq!(searched(5, |found| found.len() < 3, endless), [7; 3]);
    }

    #[test]
    fn silence_is_no_word() {
        assert_eq!(searched(5, |_| true, |_| vec![(END, 0.9), (7, 0.1)]), [0; 0]);
    }
}
