//! Typing into the focused window: one mechanism a file, the first that works wins.
//!
//! A [`Typist`] gets edits one after the other, on one thread, and returns when
//! the text has been handed over as far as its protocol can confirm it. It knows
//! nothing of words, sessions or workers.

use swictation_core::Edit;

/// Something that can change the text at the caret of the focused window.
pub trait Typist: Send {
    /// The name in the configuration and in `status`.
    fn name(&self) -> &'static str;
    /// Applies the edit; on an error, how much of it arrived is in the error.
    fn apply(&mut self, edit: &Edit) -> Result<(), TypistError>;
}

/// Why typing failed, by what can be done about it.
#[derive(Debug, thiserror::Error)]
pub enum TypistError {
    /// This session does not have the mechanism: try the next one.
    #[error("{0}")]
    Unavailable(String),
    /// The connection was lost: open the mechanism again. `typed` characters of
    /// the insertion had been handed over and confirmed.
    #[error("{reason} (after {typed} characters)")]
    Lost {
        /// Characters of `Edit::insert` that had been confirmed.
        typed: usize,
        /// What failed.
        reason: String,
    },
}
