//! Words as they are compared: without case, and without the punctuation around them.

/// Punctuation that a model writes around words. Symbols such as + and # are not in it:
/// they tell one word from another.
fn is_punctuation(c: char) -> bool {
    matches!(
        c,
        '.' | ','
            | ';'
            | ':'
            | '!'
            | '?'
            | '…'
            | '"'
            | '\''
            | '('
            | ')'
            | '['
            | ']'
            | '{'
            | '}'
            | '-'
            | '¿'
            | '¡'
            | '«'
            | '»'
            | '‹'
            | '›'
            | '、'
            | '。'
            | '，'
            | '！'
            | '？'
            | '：'
            | '；'
    ) || ('\u{2010}'..='\u{201F}').contains(&c)
}

/// Punctuation that stands behind words and gives way to what the person dictates.
fn divides(c: char) -> bool {
    matches!(c, '.' | ',' | ';' | ':' | '!' | '?' | '…' | '-' | '–' | '—' | '、' | '。' | '，' | '！' | '？')
}

/// A word between the punctuation before and behind it. What is nothing but punctuation
/// is a word itself.
pub(super) fn parts(word: &str) -> (&str, &str, &str) {
    let core = word.trim_matches(is_punctuation);
    if core.is_empty() {
        return ("", word, "");
    }
    let (lead, rest) = word.split_at(word.len() - word.trim_start_matches(is_punctuation).len());
    let (core, trail) = rest.split_at(core.len());
    (lead, core, trail)
}

/// What words are compared by.
pub(super) fn key(word: &str) -> String {
    parts(word).1.to_lowercase().replace('’', "'")
}

/// The keys of a phrase.
pub(super) fn keys(phrase: &str) -> Vec<String> {
    phrase.split_whitespace().map(key).collect()
}

/// A word, and the punctuation behind it that may give way.
pub(super) fn divided(word: &str) -> (&str, &str) {
    match word.trim_end_matches(divides) {
        "" => (word, ""),
        core => word.split_at(core.len()),
    }
}

/// Whether a sentence ends here, be it in quotes or brackets.
pub(super) fn ends_sentence(text: &str) -> bool {
    let closed = |c: char| matches!(c, '"' | '\'' | ')' | ']' | '»' | '”' | '’' | '“') || c.is_whitespace();
    text.trim_end_matches(closed).ends_with(['.', '!', '?', '。', '！', '？'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_equal_whatever_a_model_puts_around_them_and_symbols_count() {
        for (word, wanted) in [
            ("Line.", "line"),
            ("“Quote”", "quote"),
            ("ÄNDERN!", "ändern"),
            ("l’été,", "l'été"),
            ("o'clock", "o'clock"),
            ("C++", "c++"),
            ("C#,", "c#"),
            ("--", "--"),
            ("...", "..."),
        ] {
            assert_eq!(key(word), wanted, "{word}");
        }
        assert_eq!(keys(" New  Line. "), ["new", "line"]);
        assert_eq!(parts("(it's)."), ("(", "it's", ")."));
    }

    #[test]
    fn only_punctuation_behind_a_word_divides() {
        assert_eq!(divided("Hello,"), ("Hello", ","));
        assert_eq!(divided("3.5?!"), ("3.5", "?!"));
        assert_eq!(divided("(so)"), ("(so)", ""));
        assert_eq!(divided("..."), ("...", ""));
    }

    #[test]
    fn a_sentence_ends_in_quotes_too() {
        assert!(["so.", "so?!", "so.”", "(so.)", "so ?"].into_iter().all(ends_sentence));
        assert!(["so", "so,", "so…", "3.5", ""].into_iter().all(|text| !ends_sentence(text)));
    }
}
