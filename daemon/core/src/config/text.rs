//! The keys about the text itself: the language, what is listened for, replacements.

use super::{ConfigError, ConfigFile, fault_at, wrong};
use crate::edit::typeable;
use crate::text::{BUILT_IN, Pack, Rules, Wanted};
use serde::Deserialize;
use std::collections::BTreeSet;
use toml::Spanned;

/// Where capitals come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Capitalise {
    /// The model writes them.
    Model,
    /// A sentence also begins with one where the model wrote none.
    Rule,
}

/// What is typed for what is said.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Replacement {
    from: Spanned<String>,
    to: Spanned<String>,
}

/// A language pack that is not built in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnPack {
    /// What its file is called in messages.
    pub file: String,
    /// The file's text.
    pub text: String,
}

/// The language that holds without another.
pub(super) const DEFAULT: &str = "en";

/// What holds without a configuration.
pub(super) fn default_rules() -> Rules {
    // A test sees to it that what is built in can be read.
    rules(&ConfigFile::default(), "", &|_| Ok(None)).map(|(_, rules)| rules).unwrap_or_default()
}

/// The name of the language, and what its phrases mean.
pub(super) fn rules(
    file: &ConfigFile,
    text: &str,
    own: &dyn Fn(&str) -> Result<Option<OwnPack>, String>,
) -> Result<(String, Rules), ConfigError> {
    let language = file.language.clone().unwrap_or_else(|| DEFAULT.to_owned());
    let wanted = Wanted {
        capitalise: file.capitalise == Some(Capitalise::Rule),
        punctuation: file.spoken_punctuation.unwrap_or(false),
        commands: file.spoken_commands.unwrap_or(true),
        ignored: file.ignored_commands.clone().unwrap_or_default(),
    };
    let pack = pack(&language, text, own)?;
    let replacements = replacements(file.replace.as_deref().unwrap_or_default(), text)?;
    Ok((language, Rules::new(&pack, &wanted, &replacements)))
}

fn pack(
    language: &str,
    text: &str,
    own: &dyn Fn(&str) -> Result<Option<OwnPack>, String>,
) -> Result<Pack, ConfigError> {
    let refused = |message: String| wrong(text, "language", &message);
    let letter = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    // It is a part of a file's name.
    if language.is_empty() || language.len() > 64 || !language.chars().all(letter) {
        return Err(refused(format!(
            "language = {language:?} is no name: it takes letters, digits, - and _"
        )));
    }
    let (file, text) = match own(language).map_err(&refused)? {
        Some(OwnPack { file, text }) => (file, text),
        None => match Pack::built_in(language) {
            Some(text) => (format!("the built-in {language}.toml"), text.to_owned()),
            None => {
                let names: Vec<String> = BUILT_IN.iter().map(|(name, _)| format!("{name:?}")).collect();
                return Err(refused(format!(
                    "language = {language:?} is unknown: it takes {}, or the name of a pack of your own, \
                     which is languages/{language}.toml beside the configuration",
                    names.join(", ")
                )));
            }
        },
    };
    Pack::parse(&text).map_err(|e| refused(format!("language = {language:?} cannot be used: {file}, {e}")))
}

fn replacements(all: &[Replacement], text: &str) -> Result<Vec<(String, String)>, ConfigError> {
    let mut seen = BTreeSet::new();
    let mut known = Vec::new();
    for Replacement { from, to } in all {
        let fault = |at: &Spanned<String>, what: &str| Err(fault_at(text, at.span().start, what.to_owned()));
        let words: Vec<String> = from.get_ref().split_whitespace().map(str::to_lowercase).collect();
        if words.is_empty() {
            return fault(from, "from is empty: it takes the words that are spoken");
        }
        if !seen.insert(words) {
            return fault(from, "from has the words of another replacement: only one can hold");
        }
        if typeable(to.get_ref()) != *to.get_ref() {
            return fault(
                to,
                "to has a line break or another control character: it takes text that can be typed",
            );
        }
        known.push((from.get_ref().clone(), to.get_ref().clone()));
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn error(text: &str) -> String {
        Config::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_wrong_value_is_named_with_its_line_and_what_the_key_takes() {
        for (text, parts) in [
            ("\nlanguage = \"eo\"", ["line 2", "languages/eo.toml"]),
            ("language = \"../en\"", ["line 1", "is no name"]),
            ("capitalise = \"never\"", ["line 1", "`model`"]),
            ("ignored_commands = [\"new-lines\"]", ["line 1", "`new-line`"]),
            ("spoken_commands = \"on\"", ["line 1", "spoken_commands"]),
            (
                "[[replace]]\nfrom = \"a\"\nto = \"b\"\n[[replace]]\nfrom = \"\"\nto = \"c\"",
                ["line 5", "empty"],
            ),
            ("replace = [\n{ from = \" \", to = \"b\" }]", ["line 2", "empty"]),
            ("[[replace]]\nfrom = \"a\"\nto = \"b\\nc\"", ["line 3", "line break"]),
            ("[[replace]]\nfrom = \"a\"", ["line 1", "`to`"]),
            ("[[replace]]\nfrom = \"a\"\nto = \"b\"\nmodel = \"c\"", ["line 4", "model"]),
            (
                "[[replace]]\nfrom = \"A b\"\nto = \"\"\n[[replace]]\nfrom = \"a  B\"\nto = \"\"",
                ["line 5", "another"],
            ),
        ] {
            let message = error(text);
            assert!(parts.iter().all(|p| message.contains(p)), "{text:?} gives {message:?}");
        }
    }

    #[test]
    fn a_pack_of_ones_own_takes_the_place_of_the_built_in_and_its_faults_are_named() {
        let own = |text: &'static str| {
            move |language: &str| {
                let pack = OwnPack { file: format!("mine/{language}.toml"), text: text.to_owned() };
                Ok((language == "en" || language == "eo").then_some(pack))
            }
        };
        let pack = "quotes = [\"<\", \">\"]\n[commands]\nnew-line = [\"nova linio\"]";
        for language in ["en", "eo"] {
            let config = Config::parse_with(&format!("language = {language:?}"), &own(pack)).unwrap();
            assert_ne!(config.rules, Config::default().rules);
        }
        let faulty = own("quotes = [\"<\", \">\"]\n[commands]\nnew-lines = []");
        let message = Config::parse_with("\nlanguage = \"eo\"", &faulty).unwrap_err().to_string();
        let parts = ["line 2: language = \"eo\"", "mine/eo.toml, line 3", "new-lines"];
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
        let denied = |_: &str| Err("mine/en.toml: denied".to_owned());
        let message = Config::parse_with("", &denied).unwrap_err().to_string();
        assert!(message.contains("denied"), "{message}");
    }

    #[test]
    fn the_text_needs_no_other_worker() {
        let next = Config::parse("language = \"de\"\nspoken_punctuation = true").unwrap();
        assert!(!Config::default().needs_other_worker(&next));
        let held = Config::default().with_taste_of(&next);
        assert_eq!((held.language.as_str(), &held.rules), ("de", &next.rules));
        assert_eq!(held.taste().rules, next.rules);
    }
}
