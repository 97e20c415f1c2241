//! Typing into the focused window: one mechanism a file or folder, the first that works wins.
//!
//! A [`Typist`] gets edits one after the other, on one thread ([`thread`]), and
//! returns when the text has been handed over as far as its protocol can confirm
//! it. It knows nothing of words, sessions or workers.

mod clipboard;
pub(crate) mod compositor;
mod crowding;
pub mod enigo;
pub mod focus;
mod guard;
pub mod layout;
mod ledger;
mod listener;
pub mod locks;
mod origin;
mod pace;
pub mod paste;
pub mod portal;
pub mod stdout;
mod terminals;
pub mod thread;
pub mod uinput;
pub mod wayland;
pub mod x11;

use swictation_core::Edit;

/// What becomes of keys on their way to the window that has the focus.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Keys {
    /// It gets them as they are pressed.
    #[default]
    Direct,
    /// An input method passes them on; on Wayland they may mean something else by then.
    Late,
    /// An input method, the name of which this is, may make something else of them.
    Composed(String),
}

/// Something that can change the text at the caret of the focused window.
pub trait Typist: Send {
    /// The name in the configuration and in `status`.
    fn name(&self) -> &'static str;
    /// Applies the edit; on an error, how much of it arrived is in the error.
    fn apply(&mut self, edit: &Edit) -> Result<(), TypistError>;
    /// From here until [`Typist::rest`], sees what [`Typist::take_back`] must know. With
    /// `keep`, text goes into the window that has the focus now, or into the first that
    /// gets some, and into no other, as far as the typist can tell windows apart.
    fn watch(&mut self, keep: bool) {
        let _ = keep;
    }
    /// Whether [`Typist::watch`] can keep text to a window.
    fn knows_windows(&self) -> bool {
        false
    }
    /// Whether the window that text is kept to has the focus, as far as the typist can tell.
    fn is_home(&mut self) -> bool {
        true
    }
    /// The class of the window that has the focus, as far as the typist can tell.
    fn class(&mut self) -> Option<String> {
        None
    }
    /// Takes in what others than the typist tell of the focus, before each edit.
    fn tell(&mut self, focused: &focus::Focused) {
        let _ = focused;
    }
    /// Whether text arrives as it is although, from here on, this becomes of keys.
    fn keys(&mut self, keys: &Keys) -> bool {
        !matches!(keys, Keys::Composed(_))
    }
    /// Takes in what has piled up; called every few seconds while it watches.
    fn tend(&mut self) {}
    /// Nothing will be taken back any more.
    fn rest(&mut self) {}
    /// Whether it sees, from [`Typist::watch`] on, when somebody else types, clicks or moves
    /// the focus, which [`Typist::take_back`] takes.
    fn sees_others(&self) -> bool {
        false
    }
    /// Erases so many characters before the caret if, since [`Typist::watch`], the focus
    /// has not moved and nobody but this typist has come in between.
    ///
    /// # Errors
    /// Why nothing, or not all, was erased, for a person.
    fn take_back(&mut self, characters: usize) -> Result<(), String> {
        let _ = characters;
        Err(format!("{} does not see what others do", self.name()))
    }
}

/// Why typing failed, by what can be done about it.
#[derive(Debug, thiserror::Error)]
pub enum TypistError {
    /// This session does not have the mechanism: try the next one.
    #[error("{0}")]
    Unavailable(String),
    /// Nothing that could take text has the focus: wait until something does. `typed`
    /// characters of the insertion had arrived before.
    #[error("{reason}")]
    Nowhere {
        /// Characters of `Edit::insert` that had arrived.
        typed: usize,
        /// Where the focus is.
        reason: String,
    },
    /// Another window has the focus than the one that text is kept to: wait until that one
    /// has it. `typed` characters of the insertion had arrived before.
    #[error("{ELSEWHERE}")]
    Elsewhere {
        /// Characters of `Edit::insert` that had arrived.
        typed: usize,
    },
    /// The connection was lost: open the mechanism again. `typed` characters of
    /// the insertion had been handed over and confirmed.
    #[error("{reason}")]
    Lost {
        /// Characters of `Edit::insert` that had been confirmed.
        typed: usize,
        /// What failed.
        reason: String,
    },
}

impl TypistError {
    /// Nothing of it arrived, and the connection is lost for this reason.
    fn lost(reason: impl Into<String>) -> Self {
        Self::Lost { typed: 0, reason: reason.into() }
    }

    /// Nothing of it arrived, as nothing takes text now for this reason.
    fn nowhere(reason: impl Into<String>) -> Self {
        Self::Nowhere { typed: 0, reason: reason.into() }
    }

    /// Characters of `Edit::insert` that had arrived.
    fn typed(&self) -> usize {
        match self {
            Self::Nowhere { typed, .. } | Self::Elsewhere { typed } | Self::Lost { typed, .. } => *typed,
            Self::Unavailable(_) => 0,
        }
    }

    /// So many characters had arrived before those that it counts.
    fn add(&mut self, before: usize) {
        match self {
            Self::Nowhere { typed, .. } | Self::Elsewhere { typed } | Self::Lost { typed, .. } => {
                *typed += before
            }
            Self::Unavailable(_) => {}
        }
    }
}

const ELSEWHERE: &str = "another window has the focus than the one that was dictated into";

/// Opens a mechanism, or says why this session does not have it.
pub type Open = fn() -> Result<Box<dyn Typist>, TypistError>;

/// A way of typing that the configuration can name.
pub struct Mechanism {
    /// The name, as in [`Typist::name`].
    pub name: &'static str,
    /// Opens it because the configuration names it.
    pub open: Open,
    /// Opens it only if it serves this whole session; without, "auto" passes it by.
    pub probe: Option<Open>,
}

/// Every mechanism, in the order in which "auto" tries them.
pub const TYPISTS: &[Mechanism] = &[
    Mechanism { name: "wayland", open: wayland::open, probe: Some(wayland::open) },
    Mechanism { name: "x11", open: x11::open, probe: Some(x11::probe) },
    Mechanism { name: "portal", open: portal::open, probe: Some(portal::open) },
    Mechanism { name: "paste", open: paste::open, probe: Some(paste::open) },
    Mechanism { name: "uinput", open: uinput::open, probe: None },
    Mechanism { name: "stdout", open: stdout::open, probe: None },
    Mechanism { name: "enigo", open: enigo::open, probe: None },
];

/// Opens the mechanism of that name; "auto" opens the first that works and is not in
/// `failed`. A mechanism with a name of its own is never replaced by another.
///
/// # Errors
/// [`TypistError::Unavailable`] with the reasons of all that were tried, or with
/// the known names when there is none such.
pub fn open(name: &str, failed: &[&str]) -> Result<Box<dyn Typist>, TypistError> {
    open_from(TYPISTS, name, failed)
}

fn open_from(mechanisms: &[Mechanism], name: &str, failed: &[&str]) -> Result<Box<dyn Typist>, TypistError> {
    if name != "auto" {
        let known = mechanisms.iter().find(|mechanism| mechanism.name == name);
        return match known {
            Some(mechanism) if failed.contains(&name) => {
                Err(TypistError::Unavailable(format!("the configuration names {} alone", mechanism.name)))
            }
            Some(mechanism) => (mechanism.open)(),
            None => Err(unknown(mechanisms, name)),
        };
    }
    let mut reasons = Vec::new();
    for mechanism in mechanisms.iter().filter(|mechanism| !failed.contains(&mechanism.name)) {
        match mechanism.probe.map(|probe| probe()) {
            Some(Ok(typist)) => return Ok(typist),
            Some(Err(e)) => reasons.push(format!("{}: {e}", mechanism.name)),
            None => {}
        }
    }
    if reasons.is_empty() {
        reasons.push("there is no other way to type".to_owned());
    }
    Err(TypistError::Unavailable(format!("nothing here can type. {}", reasons.join("; "))))
}

fn unknown(mechanisms: &[Mechanism], name: &str) -> TypistError {
    let names: Vec<&str> = mechanisms.iter().map(|mechanism| mechanism.name).collect();
    TypistError::Unavailable(format!("no typist is called {name:?}; write auto, {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Named(&'static str);
    impl Typist for Named {
        fn name(&self) -> &'static str {
            self.0
        }
        fn apply(&mut self, _: &Edit) -> Result<(), TypistError> {
            Ok(())
        }
    }

    const ABSENT: Open = || Err(TypistError::Unavailable("no such thing here".into()));
    const BROKEN: Mechanism = Mechanism { name: "broken", open: ABSENT, probe: Some(ABSENT) };
    const ASKED: Mechanism = Mechanism { name: "asked", open: || Ok(Box::new(Named("asked"))), probe: None };
    const GOOD: Mechanism =
        Mechanism { name: "good", open: ABSENT, probe: Some(|| Ok(Box::new(Named("good")))) };

    fn opened(mechanisms: &[Mechanism], name: &str) -> String {
        opened_after(mechanisms, name, &[])
    }

    fn opened_after(mechanisms: &[Mechanism], name: &str, failed: &[&str]) -> String {
        match open_from(mechanisms, name, failed) {
            Ok(typist) => typist.name().into(),
            Err(e) => e.to_string(),
        }
    }

    #[test]
    fn auto_takes_the_first_that_works_and_none_that_must_be_asked_for() {
        assert_eq!(opened(&[BROKEN, ASKED, GOOD], "auto"), "good");
        assert_eq!(opened(&[BROKEN, ASKED], "auto"), "nothing here can type. broken: no such thing here");
    }

    #[test]
    fn a_name_opens_that_mechanism_alone() {
        assert_eq!(opened(&[BROKEN, ASKED, GOOD], "asked"), "asked");
        assert_eq!(opened(&[BROKEN, ASKED, GOOD], "broken"), "no such thing here");
    }

    #[test]
    fn what_failed_is_replaced_by_the_next_that_works_unless_it_was_asked_for_by_its_name() {
        const NEXT: Mechanism =
            Mechanism { name: "next", open: ABSENT, probe: Some(|| Ok(Box::new(Named("next")))) };
        assert_eq!(opened_after(&[GOOD, BROKEN, ASKED, NEXT], "auto", &["good"]), "next");
        assert_eq!(
            opened_after(&[GOOD, ASKED], "auto", &["good"]),
            "nothing here can type. there is no other way to type"
        );
        assert_eq!(opened_after(&[ASKED, NEXT], "asked", &["asked"]), "the configuration names asked alone");
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        assert_eq!(
            opened(TYPISTS, "telepathy"),
            "no typist is called \"telepathy\"; write auto, wayland, x11, portal, paste, uinput, stdout, enigo"
        );
    }
}
