//! Language packs: how people say what is no word, as data.
//!
//! A pack is a TOML file. Those of `daemon/core/languages` are built in; a person's own
//! file of the same form takes the place of the one with its name. Every spoken form is
//! one or more words and means one thing.

use super::spoken::keys;
use crate::config::{ConfigError, fault_at, syntax};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use toml::Spanned;

/// The packs that are built in: name and text.
pub const BUILT_IN: &[(&str, &str)] = &[
    ("en", include_str!("../../languages/en.toml")),
    ("de", include_str!("../../languages/de.toml")),
    ("es", include_str!("../../languages/es.toml")),
    ("fr", include_str!("../../languages/fr.toml")),
];

/// What a person can ask for in the middle of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// Go on in another line.
    NewLine,
    /// Go on in another paragraph: there is an empty line between.
    NewParagraph,
    /// Begin a quotation.
    OpenQuote,
    /// End a quotation.
    CloseQuote,
    /// Begin a quotation, or end the one that was begun.
    Quote,
    /// The next word is in capitals.
    AllCaps,
    /// All words are in capitals from here on.
    AllCapsOn,
    /// And no longer.
    AllCapsOff,
    /// The next word begins with a capital.
    Capital,
    /// The next word follows without a space.
    NoSpace,
    /// The words of the command that follows are meant as words.
    Literal,
    /// Take back what was just said.
    ScratchThat,
    /// End the dictation.
    StopDictation,
}

/// What a mark is attached to; there is a space where it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Attach {
    /// To the word before it.
    Left,
    /// To the word behind it.
    Right,
    /// To both.
    Both,
    /// To neither.
    None,
}

/// A mark that can be dictated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) mark: String,
    pub(super) attach: Attach,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Punctuation {
    mark: Spanned<String>,
    attach: Attach,
    spoken: Vec<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PackFile {
    quotes: [Spanned<String>; 2],
    #[serde(default)]
    commands: BTreeMap<Command, Vec<Spanned<String>>>,
    #[serde(default)]
    punctuation: Vec<Punctuation>,
}

/// The spoken forms of a language, each as the keys of its words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pack {
    pub(super) quotes: [String; 2],
    pub(super) commands: Vec<(Vec<String>, Command)>,
    pub(super) punctuation: Vec<(Vec<String>, Mark)>,
}

impl Pack {
    /// The text of the pack with this name, if one is built in.
    pub fn built_in(language: &str) -> Option<&'static str> {
        BUILT_IN.iter().find(|(name, _)| *name == language).map(|(_, text)| *text)
    }

    /// Reads the text of a pack.
    ///
    /// # Errors
    /// The line, and what is wrong in it: an unknown key or command, a form without a
    /// word, one that means two things, or a mark that cannot be typed.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let file: PackFile = toml::from_str(text).map_err(|e| syntax(text, &e))?;
        let mut seen = BTreeSet::new();
        let mut form = |spoken: &Spanned<String>| {
            let words = keys(spoken.get_ref());
            let fault = match () {
                () if words.is_empty() => "is empty: it takes the words that are spoken",
                () if !seen.insert(words.clone()) => "is there twice: it can mean one thing only",
                () => return Ok(words),
            };
            Err(fault_at(text, spoken.span().start, format!("{:?} {fault}", spoken.get_ref())))
        };
        let typed = |mark: &Spanned<String>| match mark.get_ref() {
            m if m.is_empty() || crate::edit::typeable(m) != *m => {
                let message = format!("{m:?} cannot be typed: a mark is text without control characters");
                Err(fault_at(text, mark.span().start, message))
            }
            m => Ok(m.clone()),
        };
        let mut pack = Self { quotes: [typed(&file.quotes[0])?, typed(&file.quotes[1])?], ..Self::default() };
        for (command, forms) in &file.commands {
            for spoken in forms {
                pack.commands.push((form(spoken)?, *command));
            }
        }
        for Punctuation { mark, attach, spoken } in &file.punctuation {
            let mark = Mark { mark: typed(mark)?, attach: *attach };
            for spoken in spoken {
                pack.punctuation.push((form(spoken)?, mark.clone()));
            }
        }
        Ok(pack)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_can_say_every_command_and_the_usual_marks() {
        for (name, text) in BUILT_IN {
            let pack = Pack::parse(text).unwrap_or_else(|e| panic!("{name}.toml, {e}"));
            let commands: BTreeSet<_> = pack.commands.iter().map(|(_, command)| *command).collect();
            assert_eq!(commands.len(), 13, "{name}: {commands:?}");
            for mark in [".", ",", "?", "!", ":", ";", "-", "–", "…", "(", ")", "/", "'", "&", "%", "@"] {
                let has = pack.punctuation.iter().any(|(_, m)| m.mark.trim() == mark);
                assert!(has, "{name}.toml has no {mark}");
            }
        }
    }

    #[test]
    fn what_is_wrong_in_a_pack_is_named_with_its_line() {
        let whole = "quotes = [\"<\", \">\"]\n";
        for (text, parts) in [
            ("", ["line 1", "quotes"]),
            ("quotes = [\"\", \">\"]", ["line 1", "cannot be typed"]),
            ("quotes = [\"<\", \"\\n\"]", ["line 1", "cannot be typed"]),
            ("[commands]\nnew-lines = [\"a\"]", ["line 3", "new-lines"]),
            ("[commands]\nnew-line = [\"a\",\n\" \"]", ["line 4", "is empty"]),
            ("[commands]\nnew-line = [\"new line\"]\nquote = [\"New line.\"]", ["line 4", "twice"]),
            ("[[punctuation]]\nmark = \",\"\nattach = \"up\"\nspoken = []", ["line 4", "up"]),
            ("[[punctuation]]\nmark = \"\"\nattach = \"left\"\nspoken = []", ["line 3", "cannot be typed"]),
            ("[[punctuation]]\nattach = \"left\"\nspoken = []", ["line 2", "mark"]),
        ] {
            let text = if text.starts_with('[') { format!("{whole}{text}") } else { text.to_owned() };
            let message = Pack::parse(&text).unwrap_err().to_string();
            assert!(parts.iter().all(|part| message.contains(part)), "{text:?} gives {message:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_never_a_panic(text in "(?s).{0,80}") {
            let _ = Pack::parse(&text);
        }
    }
}
