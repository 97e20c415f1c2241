//! Committed words to typed text.
//!
//! The text only ever grows: a word is typed with the space before it, except
//! the first of a dictation and what is glued to the word before. A space at the
//! very end keeps two dictations apart. Nothing here knows how text is typed.

use crate::edit::typeable;
use crate::hypothesis::Word;

/// The spacing state of one dictation.
#[derive(Clone, Debug, Default)]
pub struct Composer {
    begun: bool,
}

impl Composer {
    /// For a dictation of which something is typed already, or nothing.
    pub fn going_on(begun: bool) -> Self {
        Self { begun }
    }

    /// Something was typed.
    pub fn begun(&self) -> bool {
        self.begun
    }

    /// The text to type for `word`, with the space that separates it from what
    /// this dictation typed before; empty when nothing of it can be typed.
    pub fn word(&mut self, word: &Word) -> String {
        let text = typeable(&word.text);
        if text.is_empty() {
            return text;
        }
        let spaced = self.begun && !word.glued;
        self.begun = true;
        if spaced { format!(" {text}") } else { text }
    }

    /// What ends the dictation: a space when anything was typed and one is wanted.
    pub fn end(&self, trailing_space: bool) -> &'static str {
        if self.begun && trailing_space { " " } else { "" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SamplePos;

    fn word(text: &str, glued: bool) -> Word {
        Word {
            text: text.into(),
            glued,
            start: SamplePos(0),
            end: SamplePos(0),
            confidence: 1.0,
            tokens: Vec::new(),
        }
    }

    #[test]
    fn words_are_separated_and_late_punctuation_is_not() {
        let mut composer = Composer::default();
        let typed: String = [word("Hello", false), word(",", true), word("world.", false)]
            .iter()
            .map(|w| composer.word(w))
            .collect();
        assert_eq!(typed, "Hello, world.");
        assert_eq!((composer.end(true), composer.end(false)), (" ", ""));
    }

    #[test]
    fn a_dictation_without_words_types_nothing_at_all() {
        let mut composer = Composer::default();
        assert_eq!(composer.word(&word("\u{1b}", false)), "");
        assert_eq!(composer.end(true), "");
    }
}
