//! Taking text back where the typist does not see what others do.
//!
//! The program with the focus tells where its caret is and what stands before it, if it tells
//! anything to what assists people. What a dictation typed is erased only while it stands
//! there, all of it, from the place on where the dictation began and up to the caret: then
//! nobody has come in between, or what they did has left no trace.

use super::Typist;
use super::crowding::crowding;
use super::focus::{Focus, Focused};
use std::time::{Duration, Instant};
use swictation_core::Edit;

/// How many characters are erased at most before it is looked again.
const UNSEEN: usize = 20;

/// How long a program may take to do as the keys said, on an idle machine, and how often it
/// is asked whether it has: it tells nobody.
const DONE: Duration = Duration::from_millis(500);
const ASKED: Duration = Duration::from_millis(5);

/// Where the text of a dictation begins in the field it is typed into.
pub(super) struct Origin {
    /// The first edit that went there.
    pub(super) edit: u64,
    field: String,
    /// None where the program does not tell of its caret, and is not asked again.
    at: Option<i32>,
}

impl Origin {
    /// The origin of this edit and those behind it: as for the edits before while the field
    /// is the same, and else where the caret is. None where no field is told of.
    pub(super) fn of(edit: u64, before: Option<Self>, now: &Focused, focus: &Focus) -> Option<Self> {
        let field = now.field.as_ref()?;
        before.filter(|origin| origin.field == *field).or_else(|| {
            let caret = focus.caret(None).filter(|caret| caret.field == *field);
            Some(Self { edit, field: field.clone(), at: caret.map(|caret| caret.at) })
        })
    }

    /// Erases the last `characters` of what was typed from here on.
    ///
    /// # Errors
    /// Why nothing, or not all, was erased, for a person.
    pub(super) fn take_back(
        &self,
        focus: &Focus,
        typist: &mut dyn Typist,
        typed: &str,
        characters: usize,
    ) -> Result<(), String> {
        let at = self.at.ok_or(UNTOLD)?;
        let mut text: Vec<char> = typed.chars().collect();
        if characters > text.len() {
            return Err(SEVERAL.to_owned());
        }
        let mut erased = 0;
        let stopped = |why: &str, erased: usize| match erased {
            0 => why.to_owned(),
            _ => format!("{why}, after {erased} characters were erased"),
        };
        loop {
            if !self.is_followed_by(at, &String::from_iter(&text), focus) {
                return Err(stopped(CHANGED, erased));
            }
            // A key that the program had not come to yet shows itself behind the first.
            let stride = (characters - erased).min(erased.clamp(1, UNSEEN));
            if stride == 0 {
                return Ok(());
            }
            let edit = Edit { erase: stride, insert: String::new() };
            typist.apply(&edit).map_err(|e| stopped(&e.to_string(), erased))?;
            text.truncate(text.len() - stride);
            erased += stride;
        }
    }

    /// Whether this text, and nothing else, stands between this place in the field and the
    /// caret, or does so soon.
    fn is_followed_by(&self, at: i32, text: &str, focus: &Focus) -> bool {
        let deadline = Instant::now() + DONE.mul_f64(crowding());
        loop {
            let caret = focus.caret(Some(at));
            if caret.is_some_and(|caret| caret.field == self.field && caret.text.as_deref() == Some(text)) {
                return true;
            }
            if Instant::now() > deadline {
                return false;
            }
            std::thread::sleep(ASKED);
        }
    }
}

/// Why nothing is erased where nobody tells what stands before the caret.
pub(super) const UNTOLD: &str = "the window does not tell where its caret is";

const SEVERAL: &str = "it went into several fields";

const CHANGED: &str = "the caret has moved, or the text before it is not what was typed any more";
