//! What is known of an edit that did not arrive as a whole.

use crate::typist::TypistError;

/// Why not all of an edit arrived.
pub(super) struct Failure {
    /// For a person.
    pub(super) why: String,
    /// Another window has the focus than the one that text is kept to.
    pub(super) elsewhere: bool,
}

impl Failure {
    /// Nobody can say any more which window text is kept to.
    pub(super) fn homeless() -> Self {
        Self { why: HOMELESS.to_owned(), elsewhere: true }
    }
}

const HOMELESS: &str = "the typist lost the window that was dictated into, and cannot tell it from others: \
                        dictate again";

impl From<String> for Failure {
    fn from(why: String) -> Self {
        Self { why, elsewhere: false }
    }
}

impl From<TypistError> for Failure {
    fn from(error: TypistError) -> Self {
        Self { why: error.to_string(), elsewhere: matches!(error, TypistError::Elsewhere { .. }) }
    }
}

/// The typists that an edit has lost.
#[derive(Default)]
pub(super) struct Lost {
    /// Those that were opened again.
    reopened: Vec<&'static str>,
    /// Those that are not to be tried again.
    pub(super) failed: Vec<&'static str>,
    /// Why the last was lost.
    pub(super) reason: String,
}

impl Lost {
    /// This one was lost, and why: it is opened again once, and then another.
    pub(super) fn add(&mut self, name: &'static str, error: &TypistError) {
        let again = matches!(error, TypistError::Lost { .. }) && !self.reopened.contains(&name);
        if again {
            self.reopened.push(name)
        } else {
            self.failed.push(name)
        }
        tracing::warn!("{name}: {error}; {}", if again { "opening it again" } else { "trying another way" });
        self.reason = error.to_string();
    }
}
