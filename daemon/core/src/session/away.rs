//! The person goes: the machine sleeps, the screen is locked.
//!
//! Both end the dictation as a stop does, so that everything captured is decoded.
//! Sleep waits for that, as long as the system lets it; a locked screen takes no
//! text, because it would go into the field for the password, so it is kept until the
//! person is back. How any of this is learnt is not known here.

use super::{Command, Effect, Engine, Session};
use crate::Now;

/// What is known of the person and the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Away {
    /// The machine is about to sleep, and waits for [`Effect::MaySleep`].
    Sleep,
    /// It is awake again.
    Wake,
    /// Somebody asks for a lock. Not every lock tells when it is open again, so a
    /// dictation that is begun says it, too.
    Locking,
    /// The screen is locked.
    Lock,
    /// It is not locked any more.
    Unlock,
}

/// What the session remembers of it.
#[derive(Debug, Default)]
pub(super) struct Absence {
    /// The machine is about to sleep; whether it was told that it may.
    asleep: Option<bool>,
    /// A lock was asked for, and nobody has said that the screen is locked.
    locking: bool,
    /// The engine is from before the sleep, and on a graphics card.
    stale: bool,
}

impl Session {
    /// The person goes or comes back.
    pub(super) fn away(&mut self, away: Away, now: Now, out: &mut Vec<Effect>) {
        match away {
            Away::Sleep => {
                self.absence.asleep = Some(false);
                self.called(Command::Stop, self.calls.last(), now, out);
            }
            Away::Wake => {
                self.absence.asleep = None;
                // A context of CUDA often does not survive the sleep of its card, and
                // the first words are a bad time to find out.
                self.absence.stale = self.engine_is_on_a_card();
            }
            Away::Locking | Away::Lock => {
                self.absence.locking = away == Away::Locking;
                self.called(Command::Stop, self.calls.last(), now, out);
                self.hold_typing(true, now, out);
            }
            Away::Unlock => {
                self.absence.locking = false;
                self.hold_typing(false, now, out);
            }
        }
    }

    /// Whether a dictation may begin; if so, the person is there.
    pub(super) fn present(&mut self, now: Now, out: &mut Vec<Effect>) -> bool {
        if self.absence.asleep.is_some() {
            return false;
        }
        if std::mem::take(&mut self.absence.locking) {
            self.hold_typing(false, now, out);
        }
        true
    }

    /// Does what was put off until nothing is under way.
    pub(super) fn rest(&mut self, out: &mut Vec<Effect>) {
        // One that did not survive the sleep is being replaced already.
        self.absence.stale &= self.engine_is_on_a_card();
        if !self.dictations.is_empty() {
            return;
        }
        if self.absence.asleep == Some(false) && !self.typing.is_busy() {
            self.absence.asleep = Some(true);
            out.push(Effect::MaySleep);
        }
        if std::mem::take(&mut self.absence.stale) {
            out.push(Effect::Kill);
            self.spawn(out);
        }
    }

    fn engine_is_on_a_card(&self) -> bool {
        matches!(&self.engine, Engine::Ready(info) if info.provider.starts_with("cuda"))
    }
}
