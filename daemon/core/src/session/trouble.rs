//! What is wrong, as sentences for a person: one for each thing that can be wrong at a
//! time, and all of them together.

use super::{Effect, Session};

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
            &self.trouble.journal,
            &self.trouble.leftover,
        ];
        all.into_iter().filter(|t| !t.is_empty()).cloned().collect::<Vec<_>>().join("; ")
    }

    /// Says that the configuration on disk is wrong, or with an empty text that
    /// it is right again.
    pub fn configuration_trouble(&mut self, text: String, out: &mut Vec<Effect>) {
        self.trouble.configuration = text;
        self.publish(out);
    }

    /// Says that a model somebody asked for is not in use, until the next dictation
    /// or with an empty text.
    pub fn model_trouble(&mut self, text: String, out: &mut Vec<Effect>) {
        self.trouble.model = text;
        self.publish(out);
    }

    /// Says that what is dictated would not outlive the daemon, or with an empty text
    /// that it would again.
    pub fn journal_trouble(&mut self, text: String, out: &mut Vec<Effect>) {
        self.trouble.journal = text;
        self.publish(out);
    }

    /// Says that a daemon before this one has left something that was not typed, until
    /// the next dictation or with an empty text.
    pub fn leftover_trouble(&mut self, text: String, out: &mut Vec<Effect>) {
        self.trouble.leftover = text;
        self.publish(out);
    }
}
