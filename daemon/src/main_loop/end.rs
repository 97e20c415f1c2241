//! The end of a dictation, and of the program.

use super::MainLoop;
use swictation_control::exit;
use swictation_core::SamplePos;
use swictation_core::session::{self, Command, Event};

impl MainLoop {
    /// Ends the program once everything captured is typed; asked twice, at once.
    pub(super) fn end(&mut self, code: u8) {
        self.handle(Event::Command(Command::Stop));
        if self.ending == Some(code) || self.session.state() == session::Published::Idle {
            self.ended.get_or_insert(code);
        }
        self.ending.get_or_insert(code);
    }

    pub(super) fn done(&mut self, end: SamplePos) {
        let took = self.dictating_since.map_or(0.0, |at| at.elapsed().as_secs_f64());
        let info = match self.session.engine() {
            session::Engine::Ready(info) => Some(info.clone()),
            _ => None,
        };
        // A short file is read before its worker has failed.
        if self.fails_without_model() {
            return;
        }
        if end.0 == 0 && self.parts.once {
            return self.fail(exit::AUDIO, "there is no audio in it");
        }
        self.write(|t| t.done(end, took, info.as_ref()));
        let idle = self.session.state() == session::Published::Idle;
        if let Some(code) = self.ending.filter(|_| idle).or(self.parts.once.then_some(exit::OK)) {
            self.ended.get_or_insert(code);
        }
    }

    /// Ends a program that has but one dictation to do when no device has a model for it;
    /// whether that is so.
    pub(super) fn fails_without_model(&mut self) -> bool {
        let (true, session::Engine::Failed(why)) = (self.parts.once, self.session.engine()) else {
            return false;
        };
        let why = why.clone();
        self.fail(exit::MODEL, &why);
        true
    }

    pub(super) fn fail(&mut self, code: u8, why: &str) {
        if self.ended.is_none() {
            tracing::error!("{why}");
            self.ended = Some(code);
        }
    }
}
