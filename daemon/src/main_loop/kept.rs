//! A dictation that outlives its daemon: what the journal tells, and going on with one
//! that an earlier daemon began.

use super::MainLoop;
use crate::journal::News as Kept;
use swictation_core::journal::Stretch;
use swictation_core::session::{About, Effect, Event, Microphone};

impl MainLoop {
    /// Goes on with a dictation that an earlier daemon began, whose rest is there already.
    pub(super) fn resume(&mut self, stretch: Stretch) {
        let mut effects = Vec::new();
        self.session.resume(stretch.owed, self.now(), &mut effects);
        let captures = effects.iter().find_map(|effect| match effect {
            Effect::OpenMicrophone(capture) => Some(*capture),
            _ => None,
        });
        effects.retain(|effect| !matches!(effect, Effect::OpenMicrophone(_)));
        self.perform(&mut effects);
        let Some(capture) = captures else { return };
        for (dropped, pcm) in stretch.audio {
            let captured = self.now();
            self.handle(Event::Microphone(capture, Microphone::Block { pcm, captured, dropped }));
        }
        self.handle(Event::Microphone(capture, Microphone::Ended));
    }

    /// What becomes of a dictation if the daemon ends, and what became of an earlier one.
    pub(super) fn kept(&mut self, news: Kept) {
        match news {
            Kept::Trouble(trouble) => self.say(About::Journal, trouble),
            Kept::Left(trouble) => self.say(About::Leftover, trouble),
        }
    }
}
