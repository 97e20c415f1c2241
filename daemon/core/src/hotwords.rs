//! Hotwords: names and terms that the recognizer is to expect, one a line.
//!
//! A line is a phrase as it is to be typed, and where a person wants more or less of
//! it than of the others, a weight behind a tab or a colon: `Swictation: 2`. A line that
//! begins with `#` is a comment; a `#` elsewhere is part of a phrase, such as C#.

use crate::config::ConfigError;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// The largest file, in bytes.
pub const MOST_BYTES: u64 = 256 << 10;
/// Phrases of a list: each is looked for at every step, and a long list makes every
/// word of it more likely to be heard where something else was said.
pub const MOST: usize = 1000;
/// Characters of a phrase.
pub const LONGEST: usize = 100;
/// What a weight may be.
const WEIGHTS: RangeInclusive<f32> = 0.1..=10.0;

/// A phrase to expect.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Hotword {
    /// As it is to be typed, its words separated by one space each.
    pub phrase: String,
    /// How much it is favoured, 1 being what suits most phrases; 0.1 to 10.
    pub weight: f32,
}

impl std::fmt::Debug for Hotword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Whom somebody writes about is private, and debug output goes into logs.
        write!(f, "Hotword({} characters, {})", self.phrase.chars().count(), self.weight)
    }
}

/// Reads a list.
///
/// # Errors
/// The line, what is wrong with it and what would do.
pub fn parse(text: &str) -> Result<Vec<Hotword>, ConfigError> {
    let mut hotwords = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let fail = |message: String| Err(ConfigError { line: i + 1, message });
        let line = line.trim_start_matches('\u{feff}').trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (phrase, weight) = match weighted(line) {
            Ok(parts) => parts,
            Err(why) => return fail(why),
        };
        let phrase = phrase.split_whitespace().collect::<Vec<_>>().join(" ");
        let length = phrase.chars().count();
        if length > LONGEST {
            return fail(format!("a phrase of {length} characters is too long: {LONGEST} are the most"));
        }
        if !phrase.contains(char::is_alphanumeric) || phrase.contains(char::is_control) {
            return fail("there is no word that could be said".to_owned());
        }
        if !WEIGHTS.contains(&weight) {
            let (low, high) = (WEIGHTS.start(), WEIGHTS.end());
            return fail(format!("the weight {weight} is out of range: it takes {low} to {high}"));
        }
        if hotwords.len() == MOST {
            return fail(format!("there are more than {MOST} phrases: keep those that are misheard"));
        }
        hotwords.push(Hotword { phrase, weight });
    }
    Ok(hotwords)
}

/// A line's phrase and weight. Behind a tab stands a weight; behind a colon it may also
/// be what follows in the phrase.
fn weighted(line: &str) -> Result<(&str, f32), String> {
    if let Some((phrase, weight)) = line.rsplit_once('\t') {
        let number = weight.trim().parse();
        return number
            .map(|weight| (phrase, weight))
            .map_err(|_| "what stands behind the tab is no weight: it takes a number, such as 2".to_owned());
    }
    let number = |(phrase, weight): (_, &str)| Some((phrase, weight.trim().parse().ok()?));
    Ok(line.rsplit_once(':').and_then(number).unwrap_or((line, 1.0)))
}

/// What a recognizer expects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// Phrases that the model can write.
    pub phrases: u32,
    /// The [`digest`] of the list.
    pub digest: u64,
}

/// A number that two lists share only if they are the same, but for a chance of one in
/// 2⁶⁴; 0 for none.
pub fn digest(hotwords: &[Hotword]) -> u64 {
    // FNV-1a: it must be the same in every process of a release, and need not be more.
    let bytes = |hotword: &Hotword| {
        let end = [&[0], hotword.weight.to_le_bytes().as_slice()].concat();
        [hotword.phrase.as_bytes(), &end].concat()
    };
    let mix = |sum: u64, byte: u8| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    match hotwords {
        [] => 0,
        all => all.iter().flat_map(bytes).fold(0xcbf2_9ce4_8422_2325, mix),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, f32)> {
        parse(text).unwrap().into_iter().map(|hotword| (hotword.phrase, hotword.weight)).collect()
    }

    #[test]
    fn a_line_is_a_phrase_and_perhaps_a_weight() {
        let text = "\u{feff}# names\nSwictation\n\n  Anna   Karenina : 2.5\nC#\nKubernetes\t0.5\n";
        let wanted = [("Swictation", 1.0), ("Anna Karenina", 2.5), ("C#", 1.0), ("Kubernetes", 0.5)];
        assert_eq!(read(text), wanted.map(|(phrase, weight)| (phrase.to_owned(), weight)));
        assert_eq!(read("Alien: Romulus"), [("Alien: Romulus".to_owned(), 1.0)]);
    }

    #[test]
    fn what_cannot_be_is_named_with_its_line_and_what_would_do() {
        let (long, many) = ("x".repeat(101), "word\n".repeat(MOST + 1));
        for (text, line, part) in [
            ("good\nbad\tvery", 2, "a number"),
            ("# mine\n\nAnna: 11", 3, "0.1 to 10"),
            ("Anna: NaN", 1, "0.1 to 10"),
            ("\n...", 2, "no word"),
            ("a\u{7}b", 1, "no word"),
            (&long, 1, "100 are the most"),
            (&many, MOST + 1, "more than 1000"),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.line, line, "{error}");
            assert!(error.message.contains(part), "{error}");
        }
    }

    #[test]
    fn lists_that_differ_in_a_word_or_a_weight_have_other_digests() {
        let texts = ["", "a b", "a\nb", "a:2\nb", "b\na"];
        let digests: std::collections::HashSet<u64> =
            texts.iter().map(|text| digest(&parse(text).unwrap())).collect();
        assert_eq!(digests.len(), texts.len());
        assert_eq!(digest(&[]), 0);
    }

    #[test]
    fn a_phrase_is_not_in_debug_output() {
        let shown = format!("{:?}", parse("Karenina").unwrap());
        assert!(!shown.contains("Karenina"), "{shown}");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_never_a_panic(text in "(?s).{0,80}") {
            let _ = parse(&text);
        }
    }
}
