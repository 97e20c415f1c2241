//! Where a hypothesis goes on behind the words that are committed already.
//!
//! The decoder is free to change its mind about committed words; those stay as
//! they are typed, and the question is only how many words of the new hypothesis
//! stand for them. Usually the hypothesis begins with the very same words. When
//! it does not, the cheapest alignment decides: words that sound alike are
//! written alike, so a substitution costs by the letters that differ.

/// A word that has no counterpart.
const GAP: u32 = 900;
/// The same at the beginning of a window whose first words may be cut off.
const CUT_OFF: u32 = 300;
/// A substitution, before the letters that differ.
const OTHER: u32 = 200;
/// All letters differ.
const LETTERS: u32 = 800;

/// How many words of `hypothesis` stand for the `committed` ones; both as keys
/// of [`swictation_core::policy::key`]. With `cut_off`, the window begins within
/// the committed words.
pub(super) fn covered(committed: &[String], hypothesis: &[String], cut_off: bool) -> usize {
    if hypothesis.starts_with(committed) {
        return committed.len();
    }
    let lead = if cut_off { CUT_OFF } else { GAP };
    let mut row: Vec<u32> = (0..=hypothesis.len() as u32).map(|j| j * lead).collect();
    for (i, word) in committed.iter().enumerate() {
        let mut next = vec![(i as u32 + 1) * lead];
        for (j, said) in hypothesis.iter().enumerate() {
            let substituted = row[j] + substitution(word, said);
            next.push(substituted.min(row[j + 1] + GAP).min(next[j] + GAP));
        }
        row = next;
    }
    let best = row.iter().enumerate().min_by_key(|(j, cost)| (**cost, j.abs_diff(committed.len())));
    best.map_or(0, |(j, _)| j)
}

fn substitution(a: &str, b: &str) -> u32 {
    if a == b {
        return 0;
    }
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut row: Vec<u32> = (0..=b.len() as u32).collect();
    for (i, x) in a.iter().enumerate() {
        let mut next = vec![i as u32 + 1];
        for (j, y) in b.iter().enumerate() {
            next.push((row[j] + u32::from(x != y)).min(row[j + 1] + 1).min(next[j] + 1));
        }
        row = next;
    }
    OTHER + LETTERS * row[b.len()] / a.len().max(b.len()).max(1) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn rest<'a>(committed: &str, hypothesis: &'a str, cut_off: bool) -> Vec<&'a str> {
        let covered = covered(&words(committed), &words(hypothesis), cut_off);
        hypothesis.split_whitespace().skip(covered).collect()
    }

    #[test]
    fn the_usual_case_goes_on_behind_the_same_words() {
        assert_eq!(rest("ever tried", "ever tried ever failed", false), ["ever", "failed"]);
        assert_eq!(rest("", "ever tried", false), ["ever", "tried"]);
        assert_eq!(rest("ever tried", "ever tried", false), [""; 0]);
    }

    #[test]
    fn a_word_heard_otherwise_is_not_said_again() {
        assert_eq!(rest("he resides in", "he resided in town", false), ["town"]);
        assert_eq!(rest("they are muzzles", "they are muscles that were", false), ["that", "were"]);
    }

    #[test]
    fn one_word_heard_as_two_and_two_as_one_are_both_covered() {
        assert_eq!(rest("he on account", "he unaccounted for", false), ["for"]);
        assert_eq!(rest("the everyone is", "the every one is here", false), ["here"]);
    }

    #[test]
    fn words_cut_off_at_the_front_do_not_shift_the_rest() {
        let committed = "so that he may go home tonight";
        assert_eq!(rest(committed, "he may go home tonight at last", true), ["at", "last"]);
        assert_eq!(rest("go home tonight", "he may go home tonight at last", true), ["at", "last"]);
    }

    #[test]
    fn a_hypothesis_that_fell_silent_has_no_rest() {
        assert_eq!(rest("ever tried", "", false), [""; 0]);
        assert_eq!(rest("ever tried", "ever", false), [""; 0]);
    }
}
