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

mod queue;

use super::{Effect, Session};
use crate::Now;
use crate::config::Focus;
use crate::hypothesis::DictationId;
use crate::journal::Past;
use crate::text::Said;
use queue::Piece;
use std::time::Duration;

pub(super) use queue::Typing;

/// The pause before what could not be typed is tried again; it doubles each time.
const PAUSE: Duration = Duration::from_millis(500);

/// How long after its dictation a text is still tried: later the person has gone on to
/// something else, and text that appears by itself would do harm.
const LINGER: Duration = Duration::from_secs(60);

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
                // Text of the dictation before is no reason to end the one that runs.
                let ours = |piece: &Piece| piece.edit == Some(id) && piece.until.is_none();
                let runs = self.dictations.front().is_some_and(|d| d.stopped.is_none());
                let ours = runs && self.typing.pieces.iter().any(ours);
                let stops = elsewhere && ours && self.taste.focus == Focus::Stop;
                self.typing.settle(id, typed, now, &mut self.metrics, out);
                self.typing.failed(why, elsewhere, now);
                if self.typing.dictating || !self.typing.watched {
                    self.leave_what_was_before();
                }
                if stops {
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
        self.typing.dictating = false;
        if !self.dictations.is_empty() {
            self.dictation_begins(out);
        }
    }

    /// A dictation has the typist from here on.
    pub(super) fn dictation_begins(&mut self, out: &mut Vec<Effect>) {
        // One that is still decoded has it.
        if self.typing.dictating {
            return;
        }
        if self.taste.focus != Focus::Follow {
            self.typing.send(out);
            self.leave_what_was_before();
        }
        (self.typing.dictating, self.typing.watched) = (true, true);
        out.push(Effect::Watch(true));
    }

    /// The window is another dictation's now: what the ones before could not type does not
    /// belong there.
    fn leave_what_was_before(&mut self) {
        if self.taste.focus != Focus::Follow {
            self.typing.leave(|piece| piece.until.is_some());
        }
    }

    /// Tells the typist when no text belongs to a dictation's window any more.
    pub(super) fn unwatch(&mut self, out: &mut Vec<Effect>) {
        let typing = &mut self.typing;
        if !typing.dictating && typing.pieces.is_empty() && std::mem::take(&mut typing.watched) {
            out.push(Effect::Watch(false));
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
            utterance: typing.newest_utterance(),
            erase: self.taste.cancel_erases,
        });
        typing.forget(theirs, out);
        typing.forget_utterances();
        (typing.over, typing.dictating, typing.watched) = (true, false, false);
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
        self.unwatch(out);
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
