//! What one dictation has typed, and whether it can be erased exactly.
//!
//! A BackSpace erases one character in a terminal and one grapheme (what a person takes
//! for one character) in most other windows. A window does not tell which, so a text is
//! erased only where both are the same. The module is pure: it neither types nor erases.

use unicode_segmentation::UnicodeSegmentation;

/// The text that may be taken back.
#[derive(Default)]
pub(super) struct Ledger {
    /// What was typed since the dictation began; none while no dictation runs.
    text: Option<String>,
    /// Why it must not be taken back.
    broken: Option<&'static str>,
}

impl Ledger {
    /// A dictation begins, or none runs any more.
    pub(super) fn renew(&mut self, dictating: bool) {
        *self = Self { text: dictating.then(String::new), broken: None };
    }

    /// Whether a dictation runs.
    pub(super) fn is_open(&self) -> bool {
        self.text.is_some()
    }

    /// Notes what arrived in the window.
    pub(super) fn note(&mut self, typed: impl Iterator<Item = char>) {
        if let Some(text) = &mut self.text {
            text.extend(typed);
        }
    }

    /// From now on nobody knows exactly what is in the window, unless it is nothing yet.
    pub(super) fn doubt(&mut self, why: &'static str) {
        if self.text.as_ref().is_some_and(|text| !text.is_empty()) {
            self.broken.get_or_insert(why);
        }
    }

    /// How many characters are to be erased, or why none must be.
    pub(super) fn erasable(&self) -> Result<usize, &'static str> {
        let text = self.text.as_deref().unwrap_or_default();
        match self.broken {
            Some(why) => Err(why),
            None if alone(text) => Ok(text.chars().count()),
            None => Err(
                "it has characters that one BackSpace erases in some windows and only a part of in others",
            ),
        }
    }
}

/// Whether each character is a grapheme of its own, whatever stands before the text.
fn alone(text: &str) -> bool {
    let graphemes = |text: &str| text.graphemes(true).count() == text.chars().count();
    // A combining mark at the very beginning would join the person's last letter.
    graphemes(text) && graphemes(&format!("a{text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(edits: &[&str]) -> Ledger {
        let mut ledger = Ledger::default();
        ledger.renew(true);
        edits.iter().for_each(|edit| ledger.note(edit.chars()));
        ledger
    }

    #[test]
    fn as_many_characters_are_erased_as_the_dictation_typed() {
        assert_eq!(after(&["Grüße ", "你好 ", "😀"]).erasable(), Ok(10));
        assert_eq!(after(&[]).erasable(), Ok(0));
    }

    #[test]
    fn text_with_graphemes_of_several_characters_is_not_erased() {
        for edits in
            [&["a\u{301}"][..], &["a", "\u{301}"], &["\u{301}a"], &["👩\u{200d}💻"], &["🇩🇪"], &["❤\u{fe0f}"]]
        {
            assert!(after(edits).erasable().is_err(), "{edits:?}");
        }
    }

    #[test]
    fn a_doubt_lasts_until_the_next_dictation_and_needs_something_in_the_window() {
        let mut ledger = after(&[]);
        ledger.doubt("nothing was typed yet");
        assert_eq!(ledger.erasable(), Ok(0));
        ledger.note("abc".chars());
        ledger.doubt("the connection was lost");
        assert_eq!(ledger.erasable(), Err("the connection was lost"));
        ledger.renew(true);
        assert_eq!(ledger.erasable(), Ok(0));
    }

    #[test]
    fn text_of_no_dictation_is_not_noted() {
        let mut ledger = after(&["abc"]);
        ledger.renew(false);
        ledger.note("late".chars());
        assert_eq!((ledger.is_open(), ledger.erasable()), (false, Ok(0)));
    }
}
