//! An open session at work: edits become strokes.

use super::ei::Keyboard;
use super::session::Session;
use crate::typist::TypistError;
use crate::typist::layout::Stroke;
use std::time::Duration;
use swictation_core::Edit;
use swictation_core::edit::insertable;
use tokio::time::Instant;

/// Characters between two syncs, and the pause after each: together they bound the pace to
/// 2,000 characters a second. A compositor drops programs that cannot keep up.
const STRIDE: usize = 8;
const PAUSE: Duration = Duration::from_millis(4);

/// How long a keyboard may be missing, as after a change of the layouts.
const MISSING: Duration = Duration::from_secs(3);

/// How long a hotkey may be held before text is given back.
const HELD: Duration = Duration::from_secs(3);

/// Why typing stops before the end.
enum Halt {
    /// The session is of no use any more.
    Gone(String),
    /// It cannot be typed now.
    Nowhere(String),
}

/// A session with its keyboard.
pub(super) struct Desk {
    session: Session,
    keyboard: Keyboard,
}

impl Desk {
    /// Connects to the compositor.
    ///
    /// # Errors
    /// Why that cannot be done, for a person.
    pub(super) async fn open(session: Session) -> Result<Self, String> {
        let keyboard = Keyboard::connect(session.eis().await?).await?;
        Ok(Self { session, keyboard })
    }

    /// What spares the next question.
    pub(super) fn token(&self) -> Option<&str> {
        self.session.token.as_deref()
    }

    /// Takes in what the desktop says, until the session is over; why it is.
    pub(super) async fn attend(&mut self) -> String {
        loop {
            tokio::select! {
                told = self.keyboard.listen() => if let Err(why) = told { return why },
                () = self.session.closed() => return "the desktop ended it".into(),
            }
        }
    }

    pub(super) async fn apply(&mut self, edit: &Edit) -> Result<(), TypistError> {
        let text: Vec<char> = insertable(&edit.insert).chars().collect();
        let mut typed = 0;
        let mut result = self.type_all(edit.erase, &text, &mut typed).await;
        result = result.and(self.keyboard.rest().await.map_err(Halt::Gone));
        result.map_err(|halt| match halt {
            Halt::Gone(reason) => TypistError::Lost { typed, reason },
            Halt::Nowhere(reason) => TypistError::Nowhere { typed, reason },
        })
    }

    /// Erases, then types; `typed` counts the characters that are confirmed.
    async fn type_all(&mut self, erase: usize, text: &[char], typed: &mut usize) -> Result<(), Halt> {
        self.come_in().await?;
        let mut erased = 0;
        while erased < erase {
            let stroke =
                self.keyboard.layout().backspace().ok_or_else(|| Halt::Nowhere(NO_BACKSPACE.into()))?;
            let count = (erase - erased).min(STRIDE);
            if self.stride(&vec![stroke; count]).await? {
                erased += count;
            }
        }
        while *typed < text.len() {
            let layout = self.keyboard.layout();
            let strokes = text[*typed..].iter().take(STRIDE).map_while(|c| layout.strokes(*c));
            let strokes: Vec<&[Stroke]> = strokes.collect();
            let (count, strokes) = (strokes.len(), strokes.concat());
            if count == 0 {
                return Err(Halt::Nowhere(lacking(&text[*typed..])));
            }
            if self.stride(&strokes).await? {
                *typed += count;
            }
        }
        Ok(())
    }

    /// Presses keys and waits until the next may be pressed; whether they were taken.
    async fn stride(&mut self, strokes: &[Stroke]) -> Result<bool, Halt> {
        let taken = self.keyboard.press(strokes).await.map_err(Halt::Gone)?;
        self.keyboard.until(Instant::now() + PAUSE, |_| false).await.map_err(Halt::Gone)?;
        self.come_in().await?;
        Ok(taken)
    }

    /// Waits until there is a keyboard and nobody holds a modifier, which would make
    /// commands of the text.
    async fn come_in(&mut self) -> Result<(), Halt> {
        let deadline = Instant::now() + MISSING;
        if !self.keyboard.until(deadline, Keyboard::is_ready).await.map_err(Halt::Gone)? {
            return Err(Halt::Gone("the desktop took its keyboard away".into()));
        }
        let free = |keyboard: &Keyboard| keyboard.is_ready() && !keyboard.is_held();
        if !self.keyboard.until(Instant::now() + HELD, free).await.map_err(Halt::Gone)? {
            return Err(Halt::Nowhere(MODIFIER.into()));
        }
        Ok(())
    }
}

/// Why a text cannot be typed, without a word of it.
fn lacking(text: &[char]) -> String {
    let _ = text;
    "the keyboard layout lacks a character of the text".into()
}

const NO_BACKSPACE: &str = "the keyboard layout has no BackSpace";

const MODIFIER: &str = "a modifier key is held down, such as Ctrl, Alt or Super: let go of it";
