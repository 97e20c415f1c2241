//! What is done to the focused window.

/// A change at the caret: erase some characters, then insert text.
///
/// The dictation itself only ever inserts; `erase` is for cancelling.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edit {
    /// Characters (Unicode scalar values) to remove before the caret.
    pub erase: usize,
    /// Text to insert. Of control characters it holds line breaks alone, which a person
    /// has asked for: `\n` is the Return key.
    pub insert: String,
}

/// The text without anything that a window would take for a command: control
/// characters, line and paragraph separators, bidirectional overrides and
/// zero-width marks other than the joiners that emoji and some scripts need.
pub fn typeable(text: &str) -> String {
    text.chars().filter(|c| !is_unsafe(*c)).collect()
}

/// The same for text that was made of [`typeable`] ones and of line breaks that a person
/// has asked for, which stay.
pub fn insertable(text: &str) -> String {
    text.chars().filter(|c| *c == '\n' || !is_unsafe(*c)).collect()
}

fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{FEFF}')
        || ('\u{202A}'..='\u{202E}').contains(&c)
        || ('\u{2066}'..='\u{2069}').contains(&c)
        || ('\u{FFF0}'..='\u{FFFF}').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_never_typed() {
        assert_eq!(typeable("a\nb\tc\x1b[2J\r\u{202e}d\u{7f}\u{85}"), "abc[2Jd");
        assert_eq!(insertable("a\nb\tc\x1b[2J\r\n\u{202e}d\u{7f}\u{85}"), "a\nbc[2J\nd");
    }

    #[test]
    fn every_script_and_joined_emoji_pass_unchanged() {
        let text = "é ß € 你好 😀 👩\u{200d}💻 क\u{94d}ष";
        assert_eq!(typeable(text), text);
    }
}
