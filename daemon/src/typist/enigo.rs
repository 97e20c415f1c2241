//! Typing through the enigo crate, for desktops where our own mechanisms fail.
//!
//! It is used only when the configuration names it and never probed: it types
//! capitals and punctuation through keycodes that it rebinds without waiting, and
//! lost up to half of a text of Chinese characters, and 2 % of a mixed one, while
//! the machine was busy. One [`Enigo`] lives as long as the daemon, because
//! dropping it takes its bindings back at once and loses the last characters.

use super::{Typist, TypistError};
use ::enigo::{Direction, Enigo, InputError, Key, Keyboard, Settings};
use std::time::Duration;
use swictation_core::Edit;
use swictation_core::edit::insertable;

/// Programs still translate the last keys for this long.
const OUTLIVE: Duration = Duration::from_millis(300);

struct Through(Enigo);

/// Connects enigo to the X server that DISPLAY names.
///
/// # Errors
/// [`TypistError::Unavailable`] when enigo cannot connect.
pub fn open() -> Result<Box<dyn Typist>, TypistError> {
    // enigo does not return an error for a missing variable in every version.
    if std::env::var_os("DISPLAY").is_none_or(|display| display.is_empty()) {
        return Err(TypistError::Unavailable(
            "enigo needs an X display and DISPLAY is not set; start the daemon inside the desktop session"
                .into(),
        ));
    }
    match Enigo::new(&Settings::default()) {
        Ok(enigo) => Ok(Box::new(Through(enigo))),
        Err(e) => Err(TypistError::Unavailable(format!("enigo: {e}; check DISPLAY and XAUTHORITY"))),
    }
}

impl Typist for Through {
    fn name(&self) -> &'static str {
        "enigo"
    }

    fn apply(&mut self, edit: &Edit) -> Result<(), TypistError> {
        for _ in 0..edit.erase {
            self.0.key(Key::Backspace, Direction::Click).map_err(lost(0))?;
        }
        // One call for each character: enigo does not tell how far it came in a text,
        // and what is tried again must not be typed twice.
        let mut buffer = [0; 4];
        for (typed, c) in insertable(&edit.insert).chars().enumerate() {
            match c {
                '\n' => self.0.key(Key::Return, Direction::Click),
                c => self.0.text(c.encode_utf8(&mut buffer)),
            }
            .map_err(lost(typed))?;
        }
        Ok(())
    }
}

/// What it means that enigo failed after so many characters of the insertion.
fn lost(typed: usize) -> impl Fn(InputError) -> TypistError {
    move |e| TypistError::Lost { typed, reason: reason(&e).to_owned() }
}

/// What enigo could not do, without the character, which its own message may hold: reasons
/// are logged.
fn reason(error: &InputError) -> &'static str {
    match error {
        InputError::Mapping(_) => "enigo found no key for a character",
        InputError::Unmapping(_) => "enigo could not give back a key it had borrowed",
        InputError::NoEmptyKeycodes => "enigo found no free key to borrow",
        InputError::Simulate(_) => "enigo could not press a key",
        InputError::InvalidInput(_) => "enigo takes no such character",
    }
}

impl Drop for Through {
    fn drop(&mut self) {
        std::thread::sleep(OUTLIVE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_it_failed_has_nothing_of_what_was_spoken() {
        for error in [InputError::Mapping("spoken".into()), InputError::Unmapping("spoken".into())] {
            let shown = lost(3)(error).to_string();
            assert!(shown.starts_with("enigo ") && !shown.contains("spoken"), "{shown}");
        }
    }
}
