//! Text on its way to the window, and what is left of it when typing fails.
//!
//! Text is one queue of pieces, in the order in which it was spoken. A piece is either
//! at the typist, or it waits because an earlier one could not be typed or because
//! nothing may be typed now; nothing overtakes what waits. What waits is tried again
//! with growing pauses, and with every new word, until a minute after the dictation.
//! Then it is left to the person, who gets it with `swictation last`. Text is held in
//! memory alone; nothing here logs or shows it.
//!
//! An edit has text of one utterance, so that an utterance can be scratched: what waits of
//! it is forgotten, and what the typist has is taken back. Until the typist has answered,
//! the text that follows waits, as it is not known behind what it will stand.

use super::{Effect, Session};
use crate::hypothesis::DictationId;
use crate::journal::{Entry, Past};
use crate::metrics::Metrics;
use crate::text::Said;
use crate::{Edit, Now};
use std::collections::VecDeque;
use std::time::Duration;

/// The pause before what could not be typed is tried again; it doubles each time.
const PAUSE: Duration = Duration::from_millis(500);

/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// How long after its dictation a text is still tried: later the person has gone on to
/// something else, and text that appears by itself would do harm.
const LINGER: Duration = Duration::from_secs(60);

/// How many characters are remembered for `swictation last`, the newest of a text.
const REMEMBERED: usize = 100_000;

/// What came of an edit that was not applied as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untyped {
    /// So many characters at the beginning of it arrived.
    pub typed: usize,
    /// Why the rest did not, for a person.
    pub why: String,
    /// Another window has the focus than the one that text is kept to.
    pub elsewhere: bool,
}

/// All text that was committed and may still matter.
pub(super) struct Typing {
    /// The number of the last edit.
    edits: u64,
    /// The number of the last piece.
    committed: u64,
    pieces: VecDeque<Piece>,
    /// An edit failed, and the typist takes none before it is told to go on.
    halted: bool,
    /// Nothing may be typed now.
    held: bool,
    /// What was scratched is being taken back: the number of each report to come, and of
    /// the last piece before it.
    scratching: Vec<(u64, u64)>,
    /// What was scratched stays, so a space goes before the next text.
    apart: bool,
    /// The utterances of the dictation that have text.
    utterances: Vec<Utterance>,
    /// A dictation runs.
    dictating: bool,
    /// Why the last edit failed; empty when it did not.
    why: String,
    pause: Duration,
    /// When what waits is tried again.
    retry: Option<Now>,
    /// All text of the newest dictation that had any.
    last: String,
    /// The next text is another dictation's.
    over: bool,
    /// Text that nobody tries to type any more, and the pieces that it is of.
    left: String,
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
struct Piece {
    /// Its number in the journal.
    id: u64,
    /// The edit that it is in, while the typist has it.
    edit: Option<u64>,
    /// The utterance that it is of.
    utterance: u32,
    /// A space goes before it that is no part of the text.
    apart: bool,
    text: String,
    committed: Now,
    /// When each of its words was spoken.
    spoken: Vec<Now>,
    /// When the person asked for the end, for the piece that ends a dictation.
    stopped: Option<Now>,
    /// When it is given up; none while its dictation runs.
    until: Option<Now>,
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
    fn take_in(
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
    fn send(&mut self, out: &mut Vec<Effect>) {
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
    pub(super) fn is_busy(&self) -> bool {
        !self.scratching.is_empty() || self.pieces.iter().any(|piece| piece.edit.is_some())
    }

    fn waits(&self) -> bool {
        self.pieces.iter().any(|piece| piece.edit.is_none())
    }

    /// The first `typed` characters of an edit are in the window, the rest is not.
    fn settle(&mut self, id: u64, mut typed: usize, now: Now, metrics: &mut Metrics, out: &mut Vec<Effect>) {
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

    fn failed(&mut self, why: String, elsewhere: bool, now: Now) {
        (self.halted, self.why) = (true, why);
        if self.waits() && self.pieces.iter().all(|piece| piece.edit.is_none()) {
            self.retry = Some(now + self.pause);
            // Nothing is broken: the person comes back, and expects the text there.
            if !elsewhere {
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
            }
        }
    }

    fn succeeded(&mut self) {
        self.why.clear();
        self.pause = PAUSE;
    }

    /// Forgets what follows the beginning of an utterance, and has taken back what the
    /// typist has of it.
    fn scratch(&mut self, from: u32, out: &mut Vec<Effect>) {
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

    /// What was scratched stays: what follows that piece is set apart.
    fn set_apart(&mut self, last: u64) {
        match self.pieces.iter_mut().find(|piece| piece.id > last) {
            Some(piece) => piece.apart = !piece.text.starts_with(char::is_whitespace),
            None => self.apart = !self.over,
        }
    }

    /// Gives up the pieces that `gone` picks, as far as the typist does not have them.
    fn leave(&mut self, gone: impl Fn(&Piece) -> bool) {
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
    fn forget(&mut self, theirs: impl Fn(&Piece) -> bool, out: &mut Vec<Effect>) {
        self.pieces.retain(|piece| {
            let goes = theirs(piece);
            if goes {
                out.push(Effect::Record(Entry::Paid { piece: piece.id }));
            }
            !goes
        });
    }

    /// Nothing of the dictation can be scratched any more.
    fn forget_utterances(&mut self) {
        self.utterances.clear();
        self.apart = false;
    }

    /// Forgets what nobody tries to type any more.
    fn forget_left(&mut self, out: &mut Vec<Effect>) {
        self.left.clear();
        let left = self.left_of.drain(..);
        out.extend(left.map(|piece| Effect::Record(Entry::Paid { piece })));
    }

    /// When there is something to do without an event.
    fn deadline(&self) -> Option<Now> {
        if self.held || !self.scratching.is_empty() {
            return None;
        }
        let given_up =
            self.pieces.iter().filter(|piece| piece.edit.is_none()).filter_map(|piece| piece.until);
        self.retry.into_iter().chain(given_up).min()
    }

    /// What of all this a person should know.
    fn trouble(&self) -> String {
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

impl Session {
    /// Does what words came to, and records with it how far they bring a dictation.
    pub(super) fn said(
        &mut self,
        said: Vec<Said>,
        mut past: Option<(DictationId, Past)>,
        mut spoken: Vec<Now>,
        stopped: Option<Now>,
        now: Now,
        out: &mut Vec<Effect>,
    ) {
        // What is scratched in the same breath is neither recorded nor typed.
        let mut texts: Vec<(u32, String)> = Vec::new();
        for said in said {
            match said {
                Said::Text { utterance, text } => texts.push((utterance, text)),
                Said::Scratch(Some(from)) => {
                    texts.retain(|(utterance, _)| *utterance < from);
                    self.trouble.scratch.clear();
                    self.typing.scratch(from, out);
                }
                Said::Scratch(None) => {
                    self.trouble.scratch = "there is nothing of this dictation left to scratch".into();
                }
            }
        }
        let count = texts.len();
        for (n, (utterance, text)) in (1..).zip(texts) {
            let past = if n == count { past.take() } else { None };
            out.push(self.typing.take_in(utterance, text, past, now));
            if let Some(piece) = self.typing.pieces.back_mut().filter(|_| n == count) {
                (piece.spoken, piece.stopped) = (std::mem::take(&mut spoken), stopped);
            }
        }
        super::settled(past, out);
        self.typing.send(out);
    }

    /// The typist answered.
    pub(super) fn typed(&mut self, id: u64, result: Result<(), Untyped>, now: Now, out: &mut Vec<Effect>) {
        let awaited = self.typing.scratching.iter().position(|(report, _)| *report == id);
        if let Some((_, last)) = awaited.map(|at| self.typing.scratching.remove(at)) {
            if let Err(Untyped { why, .. }) = result {
                self.trouble.scratch = format!("what was scratched stays in the window: {why}");
                self.typing.set_apart(last);
            }
            return self.typing_deadline_passed(now, out);
        }
        match result {
            Ok(()) => {
                self.typing.settle(id, usize::MAX, now, &mut self.metrics, out);
                self.typing.succeeded();
            }
            Err(Untyped { typed, why, elsewhere }) => {
                self.typing.settle(id, typed, now, &mut self.metrics, out);
                self.typing.failed(why, elsewhere, now);
                if elsewhere && self.taste.stops_elsewhere {
                    self.stop_by_itself(now, out);
                }
            }
        }
        self.typing_deadline_passed(now, out);
    }

    /// When [`Session::typing_deadline_passed`] has something to do.
    pub(super) fn typing_deadline(&self) -> Option<Now> {
        self.typing.deadline()
    }

    /// Tries again what could not be typed, or gives it up.
    pub(super) fn typing_deadline_passed(&mut self, now: Now, out: &mut Vec<Effect>) {
        if self.typing.held || !self.typing.scratching.is_empty() {
            return;
        }
        if self.typing.waits() && self.typing.pieces.iter().all(|piece| piece.edit.is_none()) {
            self.typing.retry.get_or_insert(now);
        }
        if self.typing.retry.is_some_and(|at| at <= now) {
            self.typing.send(out);
        }
        self.typing.leave(|piece| piece.until.is_some_and(|until| until <= now));
    }

    /// A dictation has ended, and `self.dictations` no longer has it.
    pub(super) fn dictation_over(&mut self, now: Now, out: &mut Vec<Effect>) {
        self.typing.over = true;
        self.typing.forget_utterances();
        for piece in &mut self.typing.pieces {
            piece.until.get_or_insert(now + LINGER);
        }
        self.typing.dictating = !self.dictations.is_empty();
        out.push(Effect::Watch(self.typing.dictating));
    }

    /// A dictation begins, and `self.dictations` does not have it yet.
    pub(super) fn dictation_begins(&mut self, out: &mut Vec<Effect>) {
        // One that is still decoded keeps the watch.
        if !std::mem::replace(&mut self.typing.dictating, true) {
            out.push(Effect::Watch(true));
        }
    }

    /// Forgets what the dictations that run have not typed yet, and has the typist take
    /// back what they have; while none runs, forgets all that was not typed.
    pub(super) fn cancel_typing(&mut self, out: &mut Vec<Effect>) {
        let typing = &mut self.typing;
        if self.dictations.is_empty() {
            typing.forget(|piece| piece.edit.is_none(), out);
            typing.forget_left(out);
            (typing.retry, typing.pause) = (None, PAUSE);
            typing.why.clear();
            return;
        }
        let theirs = |piece: &Piece| piece.until.is_none();
        let first = typing.pieces.iter().filter(|piece| theirs(piece)).filter_map(|piece| piece.edit).min();
        out.push(Effect::TakeBack {
            from: first.unwrap_or(typing.edits + 1),
            erase: self.taste.cancel_erases,
        });
        typing.forget(theirs, out);
        typing.forget_utterances();
        (typing.over, typing.dictating) = (true, false);
        if !typing.waits() {
            (typing.retry, typing.pause) = (None, PAUSE);
            typing.why.clear();
        }
    }

    /// Has nothing typed while `held`, as while the screen is locked; what is said
    /// meanwhile is typed as soon as it may be.
    pub fn hold_typing(&mut self, held: bool, now: Now, out: &mut Vec<Effect>) {
        self.typing.held = held;
        if !held {
            for until in self.typing.pieces.iter_mut().filter_map(|piece| piece.until.as_mut()) {
                *until = now + LINGER;
            }
            self.typing.send(out);
        }
        self.publish(out);
    }

    /// All text of the newest dictation, kept until the next one has words.
    pub fn last_text(&self) -> &str {
        &self.typing.last
    }

    /// What was not typed: of the newest dictation, and of earlier ones as far as nobody
    /// has copied or cancelled it.
    pub fn untyped_text(&self) -> String {
        let waiting = self.typing.pieces.iter().filter(|piece| piece.edit.is_none());
        let waiting = waiting.map(|piece| piece.text.as_str());
        std::iter::once(self.typing.left.as_str()).chain(waiting).collect()
    }

    /// What a person gets who asks to copy the last text: what was not typed, if there is
    /// any. It will not be typed any more, as the person puts it where it belongs.
    pub fn text_to_copy(&mut self, out: &mut Vec<Effect>) -> String {
        self.typing.leave(|_| true);
        self.publish(out);
        let typing = &self.typing;
        if typing.left.is_empty() { typing.last.clone() } else { typing.left.clone() }
    }

    /// That text was copied, so what was left of it is nobody's worry any more.
    pub fn text_was_copied(&mut self, text: &str, out: &mut Vec<Effect>) {
        if let Some(rest) = self.typing.left.strip_prefix(text) {
            self.typing.left = rest.to_owned();
        }
        if self.typing.left.is_empty() {
            self.typing.forget_left(out);
        }
        if self.typing.left.is_empty() && !self.typing.waits() {
            self.typing.why.clear();
        }
        self.publish(out);
    }

    /// What is wrong with typing, for a person.
    pub(super) fn typing_trouble(&self) -> String {
        self.typing.trouble()
    }

    /// What must hold of text after every event.
    #[cfg(test)]
    pub(super) fn verify_typing(&self) {
        let typing = &self.typing;
        assert!(typing.pieces.iter().all(|piece| !piece.text.is_empty()), "every piece has text");
        if !typing.halted {
            let sent = typing.pieces.iter().map(|piece| piece.edit.unwrap_or(u64::MAX));
            assert!(sent.is_sorted(), "nothing overtakes what waits");
        }
        let held = typing.held || !typing.scratching.is_empty();
        let stuck = typing.waits() && !held && typing.retry.is_none();
        let answers_are_due = typing.pieces.iter().any(|piece| piece.edit.is_some());
        assert!(!stuck || answers_are_due, "what waits is tried again some time");
    }
}
