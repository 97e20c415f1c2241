//! What is wrong, as sentences for a person: one for each thing that can be wrong at a
//! time, and all of them together.

use super::{Effect, Session};

/// What the session is told of and does not see itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// The configuration on disk is wrong.
    Configuration,
    /// A model that somebody asked for is not in use; said until the next dictation.
    Model,
    /// What is dictated now would not outlive the daemon.
    Journal,
    /// A daemon before this one has left something that was not typed; said until the
    /// next dictation.
    Leftover,
}

/// One line for each thing that can be wrong at a time.
#[derive(Clone, Debug, Default)]
pub(super) struct Troubles {
    pub(super) microphone: String,
    pub(super) engine: String,
    /// The engine works and is too slow.
    pub(super) speed: String,
    /// The text is behind what is said.
    pub(super) behind: String,
    /// Speech that no worker gets over.
    pub(super) speech: String,
    pub(super) typing: String,
    /// What was scratched and stays, said until the next dictation.
    pub(super) scratch: String,
    pub(super) configuration: String,
    /// A model that was asked for is not in use.
    pub(super) model: String,
    /// What is dictated now would not outlive the daemon.
    pub(super) journal: String,
    /// A daemon before this one has left something that was not typed.
    pub(super) leftover: String,
}

impl Session {
    /// What is wrong, one sentence each; empty when all is well.
    pub fn trouble(&self) -> String {
        let all = [
            &self.trouble.configuration,
            &self.trouble.model,
            &self.trouble.engine,
            &self.trouble.speed,
            &self.trouble.behind,
            &self.trouble.speech,
            &self.trouble.microphone,
            &self.trouble.typing,
            &self.trouble.scratch,
            &self.trouble.journal,
            &self.trouble.leftover,
        ];
        all.into_iter().filter(|t| !t.is_empty()).cloned().collect::<Vec<_>>().join("; ")
    }

    /// Says what is wrong outside of dictation, or with an empty text that it is right
    /// again.
    pub fn say(&mut self, about: About, text: String, out: &mut Vec<Effect>) {
        let place = match about {
            About::Configuration => &mut self.trouble.configuration,
            About::Model => &mut self.trouble.model,
            About::Journal => &mut self.trouble.journal,
            About::Leftover => &mut self.trouble.leftover,
        };
        *place = text;
        self.publish(out);
    }
}
