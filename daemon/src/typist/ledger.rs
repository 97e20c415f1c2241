//! What one dictation has typed, edit by edit, and whether it can be erased exactly.
//!
//! A BackSpace erases one character in a terminal and one grapheme (what a person takes
//! for one character) in most other windows. A window does not tell which, so a text is
//! erased only where both are the same. Nor does it tell what Return did: it may have run
//! a command or sent a message. The module is pure: it neither types nor erases.

use unicode_segmentation::UnicodeSegmentation;

/// The text that may be taken back.
#[derive(Default)]
pub(super) struct Ledger {
    /// What was typed since the dictation began; none while no dictation runs.
    text: Option<String>,
    /// Where in it each edit begins, by its number.
    edits: Vec<(u64, usize)>,
    /// Why it must not be taken back.
    broken: Option<&'static str>,
}

impl Ledger {
    /// A dictation begins, or none runs any more.
    pub(super) fn renew(&mut self, dictating: bool) {
        *self = Self { text: dictating.then(String::new), ..Self::default() };
    }

    /// Whether a dictation runs.
    pub(super) fn is_open(&self) -> bool {
        self.text.is_some()
    }

    /// Whether a dictation runs that has typed nothing.
    pub(super) fn is_fresh(&self) -> bool {
        self.text.as_ref().is_some_and(String::is_empty)
    }

    /// Notes what arrived in the window of an edit.
    pub(super) fn note(&mut self, edit: u64, typed: impl Iterator<Item = char>) {
        if let Some(text) = &mut self.text {
            if self.edits.last().is_none_or(|(last, _)| *last < edit) {
                self.edits.push((edit, text.len()));
            }
            text.extend(typed);
        }
    }

    /// From now on nobody knows exactly what is in the window, unless it is nothing yet.
    pub(super) fn doubt(&mut self, why: &'static str) {
        if self.text.as_ref().is_some_and(|text| !text.is_empty()) {
            self.broken.get_or_insert(why);
        }
    }

    /// How many characters are to be erased so that nothing is left of this edit and those
    /// behind it, or why none must be. With 0, it is all of the dictation.
    pub(super) fn erasable(&self, edit: u64) -> Result<usize, &'static str> {
        let text = self.text.as_deref().unwrap_or_default();
        let (before, text) = text.split_at(self.begin_of(edit));
        match self.broken {
            _ if text.is_empty() => Ok(0),
            Some(why) => Err(why),
            None if text.contains('\n') => Err("it has a line break, and nobody knows what Return did there"),
            None if alone(before, text) => Ok(text.chars().count()),
            None => Err(
                "it has characters that one BackSpace erases in some windows and only a part of in others",
            ),
        }
    }

    /// What this edit and those behind it typed.
    pub(super) fn since(&self, edit: u64) -> &str {
        self.text.as_deref().unwrap_or_default().split_at(self.begin_of(edit)).1
    }

    /// What this edit and those behind it typed was erased.
    pub(super) fn erased_from(&mut self, edit: u64) {
        let begin = self.begin_of(edit);
        if let Some(text) = &mut self.text {
            text.truncate(begin);
        }
        self.edits.retain(|(number, _)| *number < edit);
    }

    fn begin_of(&self, edit: u64) -> usize {
        let end = self.text.as_ref().map_or(0, String::len);
        self.edits.iter().find(|(number, _)| *number >= edit).map_or(end, |(_, begin)| *begin)
    }
}

/// Whether each character is a grapheme of its own, behind this text and, where that is
/// all that is known, behind any.
fn alone(before: &str, text: &str) -> bool {
    let graphemes = |text: &str| text.graphemes(true).count() == text.chars().count();
    // A combining mark at the very beginning would join the letter before it, and so
    // would the second half of a flag.
    let joins = |last: char| !graphemes(&format!("{last}{}", text.chars().next().unwrap_or('a')));
    graphemes(text) && !joins(before.chars().next_back().unwrap_or('a'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(edits: &[&str]) -> Ledger {
        let mut ledger = Ledger::default();
        ledger.renew(true);
        (1..).zip(edits).for_each(|(id, edit)| ledger.note(id, edit.chars()));
        ledger
    }

    #[test]
    fn as_many_characters_are_erased_as_the_dictation_typed() {
        assert_eq!(after(&["Grüße ", "你好 ", "😀"]).erasable(0), Ok(10));
        assert_eq!(after(&[]).erasable(0), Ok(0));
    }

    #[test]
    fn text_with_graphemes_of_several_characters_is_not_erased() {
        for edits in
            [&["a\u{301}"][..], &["a", "\u{301}"], &["\u{301}a"], &["👩\u{200d}💻"], &["🇩🇪"], &["❤\u{fe0f}"]]
        {
            assert!(after(edits).erasable(0).is_err(), "{edits:?}");
        }
    }

    #[test]
    fn a_doubt_lasts_until_the_next_dictation_and_needs_something_in_the_window() {
        let mut ledger = after(&[]);
        ledger.doubt("nothing was typed yet");
        assert_eq!(ledger.erasable(0), Ok(0));
        ledger.note(1, "abc".chars());
        ledger.doubt("the connection was lost");
        assert_eq!(ledger.erasable(0), Err("the connection was lost"));
        ledger.renew(true);
        assert_eq!(ledger.erasable(0), Ok(0));
    }

    #[test]
    fn of_some_edits_as_many_characters_are_erased_as_they_typed() {
        let mut ledger = after(&["Grüße ", "", "you", " all"]);
        assert_eq!([1, 2, 3, 4, 5].map(|edit| ledger.erasable(edit)), [Ok(13), Ok(7), Ok(7), Ok(4), Ok(0)]);
        ledger.erased_from(3);
        assert_eq!((ledger.erasable(0), ledger.erasable(3)), (Ok(6), Ok(0)));
        ledger.note(6, "them".chars());
        assert_eq!(ledger.erasable(4), Ok(4));
        ledger.doubt("the connection was lost");
        assert_eq!((ledger.erasable(6), ledger.erasable(7)), (Err("the connection was lost"), Ok(0)));
    }

    #[test]
    fn behind_a_line_break_text_is_erased_and_the_line_break_is_not() {
        let ledger = after(&["one\n", "two"]);
        assert!(ledger.erasable(0).is_err());
        assert_eq!(ledger.erasable(2), Ok(3));
        assert!(after(&["🇩", "🇪"]).erasable(2).is_err(), "half a flag");
        assert!(after(&["e", "\u{301}"]).erasable(2).is_err(), "an accent");
    }

    #[test]
    fn text_of_no_dictation_is_not_noted() {
        let mut ledger = after(&["abc"]);
        ledger.renew(false);
        ledger.note(2, "late".chars());
        assert_eq!((ledger.is_open(), ledger.erasable(0)), (false, Ok(0)));
    }
}
