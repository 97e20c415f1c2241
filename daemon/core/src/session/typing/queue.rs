//! The queue of all text that was committed and may still matter.

use super::PAUSE;
use crate::hypothesis::DictationId;
use crate::journal::{Entry, Past};
use crate::metrics::Metrics;
use crate::session::Effect;
use crate::{Edit, Now};
use std::collections::VecDeque;
use std::time::Duration;

/// The longest pause before what could not be typed is tried again.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// How many characters are remembered for `swictation last`, the newest of a text.
const REMEMBERED: usize = 100_000;

/// All text that was committed and may still matter.
pub(in crate::session) struct Typing {
    /// The number of the last edit.
    pub(super) edits: u64,
    /// The number of the last piece.
    committed: u64,
    pub(super) pieces: VecDeque<Piece>,
    /// An edit failed, and the typist takes none before it is told to go on.
    pub(super) halted: bool,
    /// Nothing may be typed now.
    pub(super) held: bool,
    /// What was scratched is being taken back: the number of each report to come, and of
    /// the last piece before it.
    pub(super) scratching: Vec<(u64, u64)>,
    /// What was scratched stays, so a space goes before the next text.
    apart: bool,
    /// The utterances of the dictation that have text.
    utterances: Vec<Utterance>,
    /// A dictation runs.
    pub(super) dictating: bool,
    /// The typist sees to the window of a dictation, as text of it may still come.
    pub(super) watched: bool,
    /// Why the last edit failed; empty when it did not.
    pub(super) why: String,
    pub(super) pause: Duration,
    /// When what waits is tried again.
    pub(super) retry: Option<Now>,
    /// All text of the newest dictation that had any.
    pub(super) last: String,
    /// The next text is another dictation's.
    pub(super) over: bool,
    /// Text that nobody tries to type any more, and the pieces that it is of.
    pub(super) left: String,
    left_of: Vec<u64>,
}

/// What is known of an utterance as long as it may be scratched.
struct Utterance {
    /// Its number in the dictation.
    number: u32,
    /// The first edit of it that typed something, or is on its way.
    edit: Option<u64>,
    /// Its characters.
    length: usize,
}

/// What was committed at once.
pub(super) struct Piece {
    /// Its number in the journal.
    id: u64,
    /// The edit that it is in, while the typist has it.
    pub(super) edit: Option<u64>,
    /// The utterance that it is of.
    utterance: u32,
    /// A space goes before it that is no part of the text.
    apart: bool,
    pub(super) text: String,
    committed: Now,
    /// When each of its words was spoken.
    pub(super) spoken: Vec<Now>,
    /// When the person asked for the end, for the piece that ends a dictation.
    pub(super) stopped: Option<Now>,
    /// When it is given up; none while its dictation runs.
    pub(super) until: Option<Now>,
}

impl Piece {
    /// Counts what it took until it was typed.
    fn measure(&self, now: Now, metrics: &mut Metrics) {
        metrics.committed_to_typed.add(now - self.committed);
        self.spoken.iter().for_each(|spoken| metrics.spoken_to_typed.add(now - *spoken));
        if let Some(stopped) = self.stopped {
            metrics.stop_to_typed.add(now - stopped);
        }
    }
}

impl Default for Typing {
    fn default() -> Self {
        Self {
            edits: 0,
            committed: 0,
            pieces: VecDeque::new(),
            halted: false,
            held: false,
            scratching: Vec::new(),
            apart: false,
            utterances: Vec::new(),
            dictating: false,
            watched: false,
            why: String::new(),
            pause: PAUSE,
            retry: None,
            last: String::new(),
            over: false,
            left: String::new(),
            left_of: Vec::new(),
        }
    }
}

impl Typing {
    /// Adds a text to those that wait; what is to be recorded.
    pub(super) fn take_in(
        &mut self,
        utterance: u32,
        text: String,
        past: Option<(DictationId, Past)>,
        now: Now,
    ) -> Effect {
        if std::mem::take(&mut self.over) {
            self.last.clear();
        }
        self.last.push_str(&text);
        newest(&mut self.last);
        let length = text.chars().count();
        match self.utterances.last_mut().filter(|last| last.number == utterance) {
            Some(last) => last.length += length,
            None => self.utterances.push(Utterance { number: utterance, edit: None, length }),
        }
        self.committed += 1;
        let id = self.committed;
        self.pieces.push_back(Piece {
            id,
            edit: None,
            utterance,
            apart: std::mem::take(&mut self.apart) && !text.starts_with(char::is_whitespace),
            text: text.clone(),
            committed: now,
            spoken: Vec::new(),
            stopped: None,
            until: None,
        });
        Effect::Record(Entry::Text { piece: id, text, past })
    }

    /// Hands what waits to the typist, if it may have it now.
    pub(super) fn send(&mut self, out: &mut Vec<Effect>) {
        let answers_are_due = self.pieces.iter().any(|piece| piece.edit.is_some());
        if self.held || !self.scratching.is_empty() || (self.halted && answers_are_due) || !self.waits() {
            return;
        }
        self.retry = None;
        if std::mem::take(&mut self.halted) {
            out.push(Effect::ResumeTyping);
        }
        // A cancel is not to take back what an earlier dictation had said.
        if self.send_part(|piece| piece.until.is_some(), out) && self.dictating {
            self.watched = true;
            out.push(Effect::Watch(true));
        }
        self.send_part(|_| true, out);
    }

    /// Hands what waits of these pieces to the typist, an edit for each utterance;
    /// whether there was any.
    fn send_part(&mut self, part: impl Fn(&Piece) -> bool, out: &mut Vec<Effect>) -> bool {
        let mut edits: Vec<(u32, Edit)> = Vec::new();
        for piece in self.pieces.iter_mut().filter(|piece| piece.edit.is_none() && part(piece)) {
            if edits.last().is_none_or(|(utterance, _)| *utterance != piece.utterance) {
                edits.push((piece.utterance, Edit::default()));
                self.edits += 1;
                let ours = |u: &&mut Utterance| piece.until.is_none() && u.number == piece.utterance;
                if let Some(utterance) = self.utterances.iter_mut().find(ours) {
                    utterance.edit.get_or_insert(self.edits);
                }
            }
            piece.edit = Some(self.edits);
            if let Some((_, edit)) = edits.last_mut() {
                edit.insert.extend(piece.apart.then_some(' '));
                edit.insert.push_str(&piece.text);
            }
        }
        let first = self.edits + 1 - edits.len() as u64;
        let any = !edits.is_empty();
        out.extend((first..).zip(edits).map(|(id, (_, edit))| Effect::Type(id, edit)));
        any
    }

    /// Whether the typist has something to do that it has not answered.
    pub(in crate::session) fn is_busy(&self) -> bool {
        !self.scratching.is_empty() || self.pieces.iter().any(|piece| piece.edit.is_some())
    }

    pub(super) fn waits(&self) -> bool {
        self.pieces.iter().any(|piece| piece.edit.is_none())
    }

    /// The first `typed` characters of an edit are in the window, the rest is not.
    pub(super) fn settle(
        &mut self,
        id: u64,
        mut typed: usize,
        now: Now,
        metrics: &mut Metrics,
        out: &mut Vec<Effect>,
    ) {
        if typed == 0 {
            let nothing = self.utterances.iter_mut().find(|utterance| utterance.edit == Some(id));
            nothing.into_iter().for_each(|utterance| utterance.edit = None);
        }
        self.pieces.retain_mut(|piece| {
            if piece.edit != Some(id) {
                return true;
            }
            if piece.apart && typed > 0 {
                (piece.apart, typed) = (false, typed - 1);
            }
            let length = piece.text.chars().count();
            if typed >= length {
                typed -= length;
                piece.measure(now, metrics);
                out.push(Effect::Record(Entry::Paid { piece: piece.id }));
                return false;
            }
            let characters = std::mem::take(&mut typed);
            if characters > 0 {
                piece.text = piece.text.chars().skip(characters).collect();
                out.push(Effect::Record(Entry::Partly { piece: piece.id, characters }));
            }
            piece.edit = None;
            true
        });
    }

    pub(super) fn failed(&mut self, why: String, elsewhere: bool, now: Now) {
        (self.halted, self.why) = (true, why);
        if self.waits() && self.pieces.iter().all(|piece| piece.edit.is_none()) {
            self.retry = Some(now + self.pause);
            // Nothing is broken: the person comes back, and expects the text there.
            if !elsewhere {
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
            }
        }
    }

    pub(super) fn succeeded(&mut self) {
        self.why.clear();
        self.pause = PAUSE;
    }

    /// Forgets what follows the beginning of an utterance, and has taken back what the
    /// typist has of it.
    pub(super) fn scratch(&mut self, from: u32, out: &mut Vec<Effect>) {
        let first = self.utterances.iter().position(|utterance| utterance.number >= from);
        let gone = self.utterances.split_off(first.unwrap_or(self.utterances.len()));
        let length: usize = gone.iter().map(|utterance| utterance.length).sum();
        let rest = self.last.chars().count().saturating_sub(length);
        self.last = self.last.chars().take(rest).collect();
        let theirs = |piece: &Piece| piece.until.is_none() && piece.utterance >= from;
        let on_their_way = self.pieces.iter().filter(|piece| theirs(piece)).filter_map(|piece| piece.edit);
        let first = gone.iter().filter_map(|utterance| utterance.edit).chain(on_their_way).min();
        self.forget(theirs, out);
        if !self.waits() {
            (self.retry, self.pause) = (None, PAUSE);
            self.why.clear();
        }
        if let Some(from) = first {
            self.edits += 1;
            self.scratching.push((self.edits, self.committed));
            out.push(Effect::Scratch { id: self.edits, from });
        }
    }

    /// The first edit of the newest utterance that typed something.
    pub(super) fn newest_utterance(&self) -> u64 {
        self.utterances.iter().rev().find_map(|utterance| utterance.edit).unwrap_or_default()
    }

    /// What was scratched stays: what follows that piece is set apart.
    pub(super) fn set_apart(&mut self, last: u64) {
        match self.pieces.iter_mut().find(|piece| piece.id > last) {
            Some(piece) => piece.apart = !piece.text.starts_with(char::is_whitespace),
            None => self.apart = !self.over,
        }
    }

    /// Gives up the pieces that `gone` picks, as far as the typist does not have them.
    pub(super) fn leave(&mut self, gone: impl Fn(&Piece) -> bool) {
        self.pieces.retain(|piece| {
            let goes = piece.edit.is_none() && gone(piece);
            if goes {
                self.left.push_str(&piece.text);
                self.left_of.push(piece.id);
            }
            !goes
        });
        newest(&mut self.left);
        if !self.waits() {
            self.retry = None;
        }
    }

    /// Forgets the pieces that `theirs` picks.
    pub(super) fn forget(&mut self, theirs: impl Fn(&Piece) -> bool, out: &mut Vec<Effect>) {
        self.pieces.retain(|piece| {
            let goes = theirs(piece);
            if goes {
                out.push(Effect::Record(Entry::Paid { piece: piece.id }));
            }
            !goes
        });
    }

    /// Nothing of the dictation can be scratched any more.
    pub(super) fn forget_utterances(&mut self) {
        self.utterances.clear();
        self.apart = false;
    }

    /// Forgets what nobody tries to type any more.
    pub(super) fn forget_left(&mut self, out: &mut Vec<Effect>) {
        self.left.clear();
        let left = self.left_of.drain(..);
        out.extend(left.map(|piece| Effect::Record(Entry::Paid { piece })));
    }

    /// When there is something to do without an event.
    pub(super) fn deadline(&self) -> Option<Now> {
        if self.held || !self.scratching.is_empty() {
            return None;
        }
        let given_up =
            self.pieces.iter().filter(|piece| piece.edit.is_none()).filter_map(|piece| piece.until);
        self.retry.into_iter().chain(given_up).min()
    }

    /// What of all this a person should know.
    pub(super) fn trouble(&self) -> String {
        let waits: usize =
            self.pieces.iter().filter(|p| p.edit.is_none()).map(|p| p.text.chars().count()).sum();
        match (waits, self.left.chars().count()) {
            // It only waits for its turn.
            (1.., _) if self.why.is_empty() => String::new(),
            (1.., left) => format!(
                "{}; {} characters are kept and typed as soon as that works; \
                 `swictation last --copy` puts them on the clipboard",
                self.why,
                waits + left
            ),
            (0, 1..) => {
                let why = if self.why.is_empty() { "typing failed" } else { &self.why };
                format!(
                    "{why}; {} characters were not typed: `swictation last --copy` puts them on the clipboard, \
                     `swictation cancel` forgets them",
                    self.left.chars().count()
                )
            }
            (0, 0) => String::new(),
        }
    }
}

/// Forgets the beginning of a text that is longer than what is remembered.
fn newest(text: &mut String) {
    if let Some((end, _)) = text.char_indices().rev().nth(REMEMBERED) {
        text.drain(..end + text[end..].chars().next().map_or(0, char::len_utf8));
    }
}
