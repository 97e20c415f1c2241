//! Where a hypothesis goes on behind the words that are committed already.
//!
//! The decoder is free to change its mind about committed words; those stay as
//! they are typed, and the question is only how many words of the new hypothesis
//! stand for them. Usually the hypothesis begins with the very same words. When
//! it does not, the smallest edit distance decides, letter by letter across the
//! words: what sounds alike is written alike, also where one word has become two.

/// A letter that has no counterpart, or another one.
const LETTER: u32 = 2;
/// The same at the front of a window that begins within the committed words:
/// their times are bounds, so a few of them may or may not be in the audio.
const CUT_OFF: u32 = 1;
/// How many letters those are.
const CUT_OFF_LETTERS: usize = 24;
/// A word more or less.
const WORD: u32 = 1;

/// How many words of `hypothesis` stand for the `committed` ones; both as keys
/// of [`swictation_core::policy::key`]. With `cut_off`, the window begins within
/// the committed words.
pub(super) fn covered(committed: &[String], hypothesis: &[String], cut_off: bool) -> usize {
    if hypothesis.starts_with(committed) {
        return committed.len();
    }
    let cheap = if cut_off { CUT_OFF_LETTERS } else { 0 };
    let lead = |letters: usize| letters as u32 * LETTER - letters.min(cheap) as u32 * (LETTER - CUT_OFF);
    let said: Vec<char> = hypothesis.iter().flat_map(|word| word.chars()).collect();
    let mut row: Vec<u32> = (0..=said.len()).map(lead).collect();
    for (i, letter) in committed.iter().flat_map(|word| word.chars()).enumerate() {
        let mut next = vec![lead(i + 1)];
        for (j, other) in said.iter().enumerate() {
            let kept = row[j] + if letter == *other { 0 } else { LETTER };
            next.push(kept.min(row[j + 1] + LETTER).min(next[j] + LETTER));
        }
        row = next;
    }
    let mut letters = 0;
    let mut best = (row[0] + committed.len() as u32 * WORD, 0);
    for (i, word) in hypothesis.iter().enumerate() {
        letters += word.chars().count();
        let cost = row[letters] + (i + 1).abs_diff(committed.len()) as u32 * WORD;
        // The later of equals: a word said twice is worse than one left out.
        if cost <= best.0 {
            best = (cost, i + 1);
        }
    }
    best.1
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
    fn much_heard_otherwise_is_still_not_said_again() {
        let committed = "way to egypt the stories regarding joseph they have traditionally found their own headphones in minutes say";
        let hypothesis =
            "the stories regarding joseph their traditional fond their up room and minates say incline that";
        assert_eq!(rest(committed, hypothesis, true), ["incline", "that"]);
    }

    #[test]
    fn a_hypothesis_that_fell_silent_has_no_rest() {
        assert_eq!(rest("ever tried", "", false), [""; 0]);
        assert_eq!(rest("ever tried", "ever", false), [""; 0]);
    }
}
