//! What the person at the keyboard wants of the daemon, as one word.
//!
//! The words are part of the contract: a new one needs a new interface name.
//! Whether the engine can follow is not told here but in [`crate::Engine`].

use serde::Serialize;
use std::fmt;
use std::str::FromStr;

/// The phase of the dictation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The microphone is closed.
    #[default]
    Idle,
    /// The microphone is being opened.
    Starting,
    /// The microphone is open and nobody has spoken yet.
    Listening,
    /// Words are coming in.
    Speaking,
    /// The microphone is closed, the last words are still to be typed.
    Finishing,
}

impl State {
    /// Every state, in the order of a dictation.
    pub const ALL: [State; 5] =
        [State::Idle, State::Starting, State::Listening, State::Speaking, State::Finishing];

    /// The word on the bus.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Idle => "idle",
            State::Starting => "starting",
            State::Listening => "listening",
            State::Speaking => "speaking",
            State::Finishing => "finishing",
        }
    }

    /// The state that a word on the bus means.
    pub fn parse(word: &str) -> Result<State, UnknownState> {
        State::ALL
            .into_iter()
            .find(|state| state.as_str() == word)
            .ok_or_else(|| UnknownState(word.to_owned()))
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for State {
    type Err = UnknownState;

    fn from_str(word: &str) -> Result<State, UnknownState> {
        State::parse(word)
    }
}

/// A daemon of another version said a word that is not in the contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownState(
    /// The word.
    pub String,
);

impl fmt::Display for UnknownState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the daemon is in a state this program does not know, {:?}: \
             use the swictation and swictationd of one installation",
            self.0
        )
    }
}

impl std::error::Error for UnknownState {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_read_back_from_its_word() {
        for state in State::ALL {
            assert_eq!(State::parse(state.as_str()), Ok(state));
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
    }

    #[test]
    fn another_word_is_an_error_that_names_it() {
        assert!(State::parse("Idle").unwrap_err().to_string().contains("\"Idle\""));
    }
}
