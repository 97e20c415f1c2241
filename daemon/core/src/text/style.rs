//! Where the text stands: what goes before the next word, and in which letters it is.

use super::pack::{Attach, Mark};
use super::rules::Rules;
use super::spoken::ends_sentence;
use serde::{Deserialize, Serialize};

/// How the letters of a word are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Case {
    /// As the model wrote them.
    #[default]
    AsHeard,
    /// The first one is a capital.
    Capital,
    /// All are capitals.
    Capitals,
}

impl Case {
    fn write(self, text: &str) -> String {
        match self {
            Case::AsHeard => text.to_owned(),
            Case::Capitals => text.to_uppercase(),
            Case::Capital => match text.char_indices().find(|(_, c)| c.is_alphanumeric()) {
                Some((at, first)) => {
                    let rest = &text[at + first.len_utf8()..];
                    text[..at].chars().chain(first.to_uppercase()).collect::<String>() + rest
                }
                None => text.to_owned(),
            },
        }
    }
}

/// What the words before it mean for the next one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Style {
    /// A word was typed.
    begun: bool,
    /// A space goes before the next word.
    space: bool,
    /// How the next word is written.
    next: Case,
    /// How what is glued to the last word is written.
    last: Case,
    /// All words are in capitals until the person says otherwise.
    capitals: bool,
    /// A quotation was opened.
    quoted: bool,
}

impl Style {
    /// A word, with the space before it.
    pub(super) fn word(&mut self, text: &str, glued: bool, rules: &Rules) -> String {
        let letters = text.contains(char::is_alphanumeric);
        let case = match (glued, letters) {
            (true, _) => self.last,
            (false, true) if self.next == Case::AsHeard && rules.capitalise && !self.begun => Case::Capital,
            (false, true) => self.next,
            (false, false) => Case::AsHeard,
        };
        let written = if self.capitals { Case::Capitals } else { case }.write(text);
        let written = if self.space && !glued { format!(" {written}") } else { written };
        self.last = if case == Case::Capitals { case } else { Case::AsHeard };
        if letters {
            (self.begun, self.next) = (true, Case::AsHeard);
        }
        if rules.capitalise && ends_sentence(text) {
            self.next = Case::Capital;
        }
        self.space = true;
        written
    }

    /// A mark that the person dictated, with the space before it.
    pub(super) fn mark(&mut self, mark: &Mark) -> String {
        let apart = matches!(mark.attach, Attach::Right | Attach::None);
        let written = if self.space && apart { format!(" {}", mark.mark) } else { mark.mark.clone() };
        self.space = matches!(mark.attach, Attach::Left | Attach::None);
        self.last = Case::AsHeard;
        if ends_sentence(&mark.mark) {
            self.next = Case::Capital;
        }
        written
    }

    /// Opens a quotation or closes it; the other one than before, where it is not said which.
    pub(super) fn quote(&mut self, open: Option<bool>, quotes: &[String; 2]) -> String {
        self.quoted = open.unwrap_or(!self.quoted);
        let [opening, closing] = quotes;
        match self.quoted {
            true => self.mark(&Mark { mark: opening.clone(), attach: Attach::Right }),
            false => self.mark(&Mark { mark: closing.clone(), attach: Attach::Left }),
        }
    }

    /// Goes to another line, with a line between where it is a paragraph.
    pub(super) fn line(&mut self, paragraph: bool, rules: &Rules) -> String {
        (self.space, self.last) = (false, Case::AsHeard);
        if rules.capitalise || rules.punctuation {
            self.next = Case::Capital;
        }
        if paragraph { "\n\n" } else { "\n" }.to_owned()
    }

    /// The next word is written so.
    pub(super) fn next_word(&mut self, case: Case) {
        self.next = case;
    }

    /// All words are in capitals from here on, or no longer.
    pub(super) fn all_capitals(&mut self, on: bool) {
        self.capitals = on;
    }

    /// The next word follows without a space.
    pub(super) fn join(&mut self) {
        self.space = false;
    }

    /// Something was typed that a space may follow.
    pub(super) fn wants_space(&self) -> bool {
        self.space
    }
}
