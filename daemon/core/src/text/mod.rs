//! Committed words to text: spacing, capitals, replacements, dictated marks and commands.
//!
//! There is one [`Text`] for each dictation, and words come one at a time. The text only
//! ever grows, but for what the person scratches. A word that may begin a phrase is held
//! until the words behind it decide, or the utterance ends; every other one goes out at
//! once. Where marks are dictated, the punctuation that the model put behind a word waits
//! for the next word, too, as a dictated mark takes its place. So how words are cut into
//! hypotheses does not matter, and a text that is written down and read back goes on as
//! if nothing had happened. Nothing here knows how text is typed.

mod pack;
mod rules;
mod spoken;
mod style;
#[cfg(test)]
mod tests;

use crate::edit::typeable;
use crate::hypothesis::Word;
pub use pack::{BUILT_IN, Command, Pack};
use rules::{Meaning, Reading};
pub use rules::{Rules, Wanted};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fmt;
use style::{Case, Style};

/// How many utterances can be scratched one after the other.
const REMEMBERED: usize = 16;

/// What words come to.
#[derive(Clone, PartialEq, Eq)]
pub enum Said {
    /// This is to be typed behind all before it.
    Text {
        /// Which utterance it belongs to, counted through the dictation.
        utterance: u32,
        /// The characters; the line breaks in it are commands.
        text: String,
    },
    /// What was typed from this utterance on is not wanted; none: there is nothing to
    /// take back.
    Scratch(Option<u32>),
}

/// The text of a dictation as far as it matters for what follows.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    /// Words that may begin a phrase.
    held: Vec<String>,
    /// What the model put behind the last word, and is not typed yet.
    punctuation: String,
    /// The last thing was a phrase: punctuation that comes late belonged to it.
    spent: bool,
    style: Style,
    utterance: u32,
    /// The style when the utterance began.
    before: Style,
    /// The newest utterances that have text, each with the style before it.
    typed: VecDeque<(u32, Style)>,
    /// The person has ended the dictation.
    over: bool,
}

impl Text {
    /// Takes in a committed word.
    pub fn word(&mut self, word: &Word, rules: &Rules, said: &mut Vec<Said>) {
        let text = typeable(&word.text);
        if text.is_empty() || self.over {
            return;
        }
        match self.held.last_mut() {
            Some(held) if word.glued => held.push_str(&text),
            None if word.glued => return self.glue(&text, rules, said),
            _ => self.held.push(text),
        }
        self.decide(false, rules, said);
    }

    /// No word follows for now: what was held goes out.
    pub fn end_utterance(&mut self, rules: &Rules, said: &mut Vec<Said>) {
        self.decide(true, rules, said);
        self.release(rules, said);
        self.utterance += 1;
        self.before = self.style.clone();
    }

    /// Writes a sign that nobody said, as a word of its own.
    pub fn insert(&mut self, sign: &str, rules: &Rules, said: &mut Vec<Said>) {
        if !self.over {
            self.write(sign, rules, said);
        }
    }

    /// What ends the dictation: all that was held, and a space when anything was typed
    /// and one is wanted.
    pub fn end(&mut self, trailing_space: bool, rules: &Rules, said: &mut Vec<Said>) {
        self.end_utterance(rules, said);
        if trailing_space && self.style.wants_space() {
            // It belongs to what was typed last.
            self.utterance = self.typed.back().map_or(self.utterance, |(utterance, _)| *utterance);
            self.put(" ".to_owned(), said);
        }
    }

    /// Something was typed, and not scratched.
    pub fn has_text(&self) -> bool {
        !self.typed.is_empty()
    }

    /// The person has said that the dictation ends; no word has an effect any more.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Whether a dictation can have come this far; bytes from a disk may say anything.
    pub(crate) fn is_plausible(&self) -> bool {
        self.utterance < u32::MAX / 2
    }

    /// Reads as many of the held words as can be understood; with `last`, all.
    fn decide(&mut self, last: bool, rules: &Rules, said: &mut Vec<Said>) {
        while !self.held.is_empty() {
            let keys: Vec<String> = self.held.iter().map(|word| spoken::key(word)).collect();
            match rules.read(&keys, last) {
                Reading::Open => return,
                Reading::Word => self.write_first(1, rules, said),
                Reading::Literal(command, words) => {
                    self.held.drain(..command);
                    self.write_first(words, rules, said);
                }
                Reading::Phrase(count, meaning) => {
                    let phrase: Vec<String> = self.held.drain(..count).collect();
                    self.phrase(&phrase, meaning, rules, said);
                }
            }
        }
    }

    /// Writes so many of the held words as they are.
    fn write_first(&mut self, count: usize, rules: &Rules, said: &mut Vec<Said>) {
        let words: Vec<String> = self.held.drain(..count).collect();
        words.iter().for_each(|word| self.write(word, rules, said));
    }

    fn write(&mut self, word: &str, rules: &Rules, said: &mut Vec<Said>) {
        self.release(rules, said);
        let (word, punctuation) = if rules.punctuation { spoken::divided(word) } else { (word, "") };
        let written = self.style.word(word, false, rules);
        self.put(written, said);
        punctuation.clone_into(&mut self.punctuation);
        self.spent = false;
    }

    /// Takes in what continues a word that is written already.
    fn glue(&mut self, text: &str, rules: &Rules, said: &mut Vec<Said>) {
        let punctuation = !text.contains(char::is_alphanumeric);
        if punctuation && self.spent {
            return;
        }
        if punctuation && rules.punctuation {
            return self.punctuation.push_str(text);
        }
        self.release(rules, said);
        let written = self.style.word(text, true, rules);
        self.put(written, said);
        self.spent = false;
    }

    /// Types the punctuation that waited.
    fn release(&mut self, rules: &Rules, said: &mut Vec<Said>) {
        let punctuation = std::mem::take(&mut self.punctuation);
        if !punctuation.is_empty() {
            let written = self.style.word(&punctuation, true, rules);
            self.put(written, said);
        }
    }

    fn phrase(&mut self, words: &[String], meaning: &Meaning, rules: &Rules, said: &mut Vec<Said>) {
        match meaning {
            Meaning::Mark(mark) => {
                // The model may have heard the pause of the mark before it heard the mark.
                if mark.attach != pack::Attach::Right {
                    self.punctuation.clear();
                }
                self.release(rules, said);
                let written = self.style.mark(mark);
                self.put(written, said);
            }
            Meaning::Replacement(to) => return self.replace(words, to, rules, said),
            Meaning::Command(Command::ScratchThat) => self.scratch(said),
            Meaning::Command(command) => {
                self.release(rules, said);
                self.command(*command, rules, said);
            }
        }
        self.spent = true;
    }

    /// Writes `to` with the punctuation that the model put around the words.
    fn replace(&mut self, words: &[String], to: &str, rules: &Rules, said: &mut Vec<Said>) {
        let to = typeable(to);
        let ends = words.first().zip(words.last());
        if let Some((first, last)) = ends.filter(|_| !to.is_empty()) {
            let ((before, ..), (.., behind)) = (spoken::parts(first), spoken::parts(last));
            self.write(&format!("{before}{to}{behind}"), rules, said);
        } else {
            self.spent = true;
        }
    }

    fn command(&mut self, command: Command, rules: &Rules, said: &mut Vec<Said>) {
        let style = &mut self.style;
        let written = match command {
            Command::NewLine => style.line(false, rules),
            Command::NewParagraph => style.line(true, rules),
            Command::OpenQuote => style.quote(Some(true), &rules.quotes),
            Command::CloseQuote => style.quote(Some(false), &rules.quotes),
            Command::Quote => style.quote(None, &rules.quotes),
            Command::AllCaps => return style.next_word(Case::Capitals),
            Command::Capital => return style.next_word(Case::Capital),
            Command::AllCapsOn => return style.all_capitals(true),
            Command::AllCapsOff => return style.all_capitals(false),
            Command::NoSpace => return style.join(),
            Command::StopDictation => {
                // What is said from here on is not for the window.
                self.held.clear();
                self.over = true;
                return;
            }
            Command::Literal | Command::ScratchThat => return,
        };
        self.put(written, said);
    }

    /// Takes back this utterance, or where it has no text, the one before it that has:
    /// people say it after a pause, which is an utterance of its own.
    fn scratch(&mut self, said: &mut Vec<Said>) {
        self.punctuation.clear();
        let taken = self.typed.pop_back();
        let (number, style) = taken.map_or((None, self.before.clone()), |(n, style)| (Some(n), style));
        (self.style, self.before) = (style.clone(), style);
        said.push(Said::Scratch(number));
    }

    fn put(&mut self, text: String, said: &mut Vec<Said>) {
        if text.is_empty() {
            return;
        }
        let utterance = self.utterance;
        if self.typed.back().is_none_or(|(typed, _)| *typed != utterance) {
            self.typed.push_back((utterance, self.before.clone()));
            if self.typed.len() > REMEMBERED {
                self.typed.pop_front();
            }
        }
        match said.last_mut() {
            Some(Said::Text { utterance: of, text: before }) if *of == utterance => before.push_str(&text),
            _ => said.push(Said::Text { utterance, text }),
        }
    }
}

// What was said is in both, and debug output goes into logs.
impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Said::Text { utterance, text } => {
                write!(f, "Text({} characters of utterance {utterance})", text.chars().count())
            }
            Said::Scratch(from) => write!(f, "Scratch({from:?})"),
        }
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({} words held in utterance {})", self.held.len(), self.utterance)
    }
}
