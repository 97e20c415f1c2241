//! What spoken words mean: the phrases of a language and the person's replacements.

use super::pack::{Command, Mark, Pack};
use super::spoken::keys;
use std::collections::BTreeMap;
use std::ops::Bound;

/// What the person wants of a pack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Sentences begin with a capital by rule, and not only where the model writes one.
    pub capitalise: bool,
    /// Marks are dictated.
    pub punctuation: bool,
    /// Commands are listened for, but for those that are `ignored`.
    pub commands: bool,
    /// Commands that are words like any other.
    pub ignored: Vec<Command>,
}

/// What every phrase means. Made once from a configuration, and shared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Sorted, so that all phrases that begin with the same words lie side by side.
    phrases: BTreeMap<Vec<String>, Meaning>,
    pub(super) quotes: [String; 2],
    pub(super) capitalise: bool,
    pub(super) punctuation: bool,
}

/// What a phrase means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Mark(Mark),
    Command(Command),
    /// It is typed so.
    Replacement(String),
}

/// How words are to be read, from the first one on.
#[derive(Debug, PartialEq)]
pub(super) enum Reading<'r> {
    /// The words that follow decide.
    Open,
    /// The first one is a word.
    Word,
    /// So many of them have a meaning.
    Phrase(usize, &'r Meaning),
    /// So many words say that so many words behind them are words.
    Literal(usize, usize),
}

impl Rules {
    /// The phrases of a pack, as far as they are wanted, and replacements: what is said
    /// and what is typed for it. A replacement goes before a phrase with the same words.
    pub fn new(pack: &Pack, wanted: &Wanted, replacements: &[(String, String)]) -> Self {
        let marks = pack.punctuation.iter().filter(|_| wanted.punctuation);
        let marks = marks.map(|(words, mark)| (words.clone(), Meaning::Mark(mark.clone())));
        let heard = |command: &Command| wanted.commands && !wanted.ignored.contains(command);
        let commands = pack.commands.iter().filter(|(_, command)| heard(command));
        let commands = commands.map(|(words, command)| (words.clone(), Meaning::Command(*command)));
        let replacements =
            replacements.iter().map(|(from, to)| (keys(from), Meaning::Replacement(to.clone())));
        Self {
            phrases: marks.chain(commands).chain(replacements).collect(),
            quotes: pack.quotes.clone(),
            capitalise: wanted.capitalise,
            punctuation: wanted.punctuation,
        }
    }

    /// These commands are words like any other.
    #[must_use]
    pub fn without(mut self, commands: &[Command]) -> Self {
        self.phrases.retain(|_, meaning| !matches!(meaning, Meaning::Command(c) if commands.contains(c)));
        self
    }

    /// Reads words by their keys; with `last`, no word follows them for now.
    pub(super) fn read(&self, words: &[String], last: bool) -> Reading<'_> {
        let (found, open) = self.longest(words);
        if open && !last {
            return Reading::Open;
        }
        match found {
            None => Reading::Word,
            // Before anything but a phrase it is a word itself.
            Some((command, Meaning::Command(Command::Literal))) => match self.longest(&words[command..]) {
                (_, true) if !last => Reading::Open,
                (Some((words, _)), _) => Reading::Literal(command, words),
                (None, _) => Reading::Word,
            },
            Some((words, meaning)) => Reading::Phrase(words, meaning),
        }
    }

    /// The longest phrase that the words begin with, and whether words behind them could
    /// make it longer.
    fn longest(&self, words: &[String]) -> (Option<(usize, &Meaning)>, bool) {
        let mut found = None;
        for count in 1..=words.len() {
            let phrase = &words[..count];
            found = self.phrases.get(phrase).map(|meaning| (count, meaning)).or(found);
            let mut behind = self.phrases.range::<[String], _>((Bound::Excluded(phrase), Bound::Unbounded));
            if !behind.next().is_some_and(|(longer, _)| longer.starts_with(phrase)) {
                return (found, false);
            }
        }
        (found, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(replacements: &[(&str, &str)]) -> Rules {
        let owned: Vec<_> =
            replacements.iter().map(|(from, to)| (from.to_string(), to.to_string())).collect();
        let pack = Pack::parse(Pack::built_in("en").unwrap()).unwrap();
        Rules::new(&pack, &Wanted { commands: true, punctuation: true, ..Wanted::default() }, &owned)
    }

    fn read(rules: &Rules, words: &str, last: bool) -> String {
        match rules.read(&keys(words), last) {
            Reading::Phrase(words, _) => format!("phrase of {words}"),
            reading => format!("{reading:?}").to_lowercase(),
        }
    }

    #[test]
    fn the_longest_phrase_wins_and_is_waited_for() {
        let rules = rules(&[("a b", "x"), ("a b c d", "y")]);
        for (words, now, at_the_end) in [
            ("z", "word", "word"),
            ("a", "open", "word"),
            ("a b", "open", "phrase of 2"),
            ("a b c", "open", "phrase of 2"),
            ("a b c d", "phrase of 4", "phrase of 4"),
            ("a b c z", "phrase of 2", "phrase of 2"),
            ("a z", "word", "word"),
            ("new line", "phrase of 2", "phrase of 2"),
            ("Comma,", "phrase of 1", "phrase of 1"),
        ] {
            assert_eq!(
                (read(&rules, words, false), read(&rules, words, true)),
                (now.into(), at_the_end.into()),
                "{words}"
            );
        }
    }

    #[test]
    fn literal_is_a_command_before_a_phrase_alone() {
        let rules = rules(&[]);
        assert_eq!(read(&rules, "literal", false), "open");
        assert_eq!(read(&rules, "literal", true), "word");
        assert_eq!(read(&rules, "literal new", false), "open");
        assert_eq!(read(&rules, "literal new line", false), "literal(1, 2)");
        assert_eq!(read(&rules, "literal translation", false), "word");
        assert_eq!(read(&rules, "literal literal", true), "literal(1, 1)");
    }

    #[test]
    fn a_replacement_goes_before_a_phrase_and_what_is_not_wanted_is_a_word() {
        let replaced = rules(&[("comma", "Komma")]);
        assert_eq!(
            replaced.read(&keys("comma"), false),
            Reading::Phrase(1, &Meaning::Replacement("Komma".into()))
        );
        let pack = Pack::parse(Pack::built_in("en").unwrap()).unwrap();
        let ignored = vec![Command::NewLine];
        let wanted = Wanted { commands: true, ignored, ..Wanted::default() };
        let rules = Rules::new(&pack, &wanted, &[]).without(&[Command::ScratchThat]);
        for words in ["comma", "new line", "scratch that"] {
            assert_eq!(read(&rules, words, true), "word", "{words}");
        }
        assert_eq!(read(&rules, "new paragraph", true), "phrase of 2");
        let none = Rules::new(&pack, &Wanted::default(), &[]);
        assert_eq!(read(&none, "new", false), "word");
    }
}
