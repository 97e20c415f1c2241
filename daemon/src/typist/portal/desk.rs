//! An open session at work: edits become strokes, and what has none is pasted.

use super::ei::Keyboard;
use super::modifiers::Modifiers;
use super::session::Session;
use crate::bus::next;
use crate::typist::clipboard::{Clipboard, Control, Selection, Told, X11};
use crate::typist::compositor;
use crate::typist::focus::Focused;
use crate::typist::layout::{self, Active, Layout, Stroke};
use crate::typist::pace::{PAUSE, STRIDE};
use crate::typist::{Keys, TypistError, locks};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use swictation_core::Edit;
use swictation_core::edit::insertable;
use tokio::time::Instant;
use zbus::MessageStream;

/// How long a keyboard may be missing, as after a change of the layouts.
const MISSING: Duration = Duration::from_secs(3);

/// How long a hotkey may be held before text is given back.
const HELD: Duration = Duration::from_secs(3);

/// What the desktop has to say.
pub(super) enum News {
    /// The session is over, and why.
    Over(String),
    /// Something about the clipboard.
    Clipboard(Told),
}

/// A session with its keyboard.
pub(super) struct Desk {
    session: Arc<Session>,
    closed: MessageStream,
    keyboard: Keyboard,
    clipboard: Option<Clipboard>,
    /// What a person holds down, where that is told.
    modifiers: Option<Modifiers>,
    /// The X server whose clipboard has not been asked for yet.
    x11: Option<String>,
    /// The group that was active when the last edit began.
    group: u32,
    /// What is typed with keys may be other text in the window, and is pasted.
    composed: bool,
}

impl Desk {
    /// Connects to the compositor.
    ///
    /// # Errors
    /// Why that cannot be done, for a person.
    pub(super) async fn open(
        session: Arc<Session>,
        clipboard: Option<MessageStream>,
        display: Option<PathBuf>,
        x11: Option<String>,
    ) -> Result<Self, String> {
        let closed = session.closed().await?;
        let portal = clipboard.map(|told| super::Selection::new(session.clone(), told));
        // A connection for each: they are read at different times.
        let connect = || compositor::connect(display.as_deref()).ok();
        let control = connect().and_then(|connection| Control::connect(connection).ok());
        let selection = control.map(Selection::Control).or(portal.map(Selection::Portal));
        let modifiers = connect().and_then(Modifiers::follow);
        let clipboard = selection.map(Clipboard::new);
        let keyboard = Keyboard::connect(session.eis().await?).await?;
        Ok(Self { session, closed, keyboard, clipboard, modifiers, x11, group: 0, composed: false })
    }

    /// Ends the session.
    pub(super) async fn close(&self) {
        self.session.close().await;
    }

    /// What spares the next question.
    pub(super) fn token(&self) -> Option<&str> {
        self.session.token.as_deref()
    }

    /// Waits for what the desktop has to say. Nothing is lost when this is not waited for
    /// to its end.
    pub(super) async fn attend(&mut self) -> News {
        let clipboard = async {
            match &mut self.clipboard {
                Some(clipboard) => clipboard.next().await,
                None => std::future::pending().await,
            }
        };
        let keyboard = async {
            loop {
                if let Err(why) = self.keyboard.listen().await {
                    return why;
                }
            }
        };
        let modifiers = async {
            while let Some(modifiers) = &mut self.modifiers {
                if let Err(why) = modifiers.hear().await {
                    tracing::debug!("what is held down is not known any more: {why}");
                    self.modifiers = None;
                }
            }
            std::future::pending().await
        };
        tokio::select! {
            why = keyboard => News::Over(why),
            never = modifiers => never,
            told = clipboard => told.map_or_else(News::Over, News::Clipboard),
            _ = next(&mut self.closed) => News::Over("the desktop ended it".into()),
        }
    }

    /// Takes in what was said about the clipboard.
    ///
    /// # Errors
    /// Why the session is of no use any more.
    pub(super) async fn take_in(&mut self, told: Told) -> Result<(), String> {
        match &mut self.clipboard {
            Some(clipboard) => clipboard.take_in(told).await.map(drop),
            None => Ok(()),
        }
    }

    /// Applies an edit as far as it can be, where this is told of the focus. Where an input
    /// method composes, only line feeds are typed.
    pub(super) async fn apply(
        &mut self,
        edit: &Edit,
        keys: &Keys,
        focused: &Focused,
    ) -> Result<(), TypistError> {
        self.composed = match keys {
            Keys::Direct => false,
            // It mostly does arrive.
            Keys::Late => self.clipboard.is_some(),
            Keys::Composed(_) => true,
        };
        let text: Vec<char> = insertable(&edit.insert).chars().collect();
        let mut typed = 0;
        let mut result = self.type_all(edit.erase, &text, focused, &mut typed).await;
        result = result.and(self.keyboard.rest().await.map_err(TypistError::lost));
        if let Some(clipboard) = &mut self.clipboard {
            clipboard.put_back().await;
        }
        if let Err(error) = &mut result {
            error.add(typed);
        }
        result
    }

    /// Erases, then types; `typed` counts the characters that are confirmed.
    async fn type_all(
        &mut self,
        erase: usize,
        text: &[char],
        focused: &Focused,
        typed: &mut usize,
    ) -> Result<(), TypistError> {
        let way = Way { composed: self.composed, pastes: self.clipboard.is_some() };
        if let Some(modifiers) = &mut self.modifiers {
            modifiers.look().await.map_err(TypistError::lost)?;
        }
        self.come_in().await?;
        if self.keyboard.layout().groups() > 1 {
            self.group = self.session.group().await.unwrap_or_default();
            self.come_in().await?;
        }
        if !way.pastes
            && let Some(lacking) = text.iter().find(|c| way.strokes(self.keyboard.layout(), **c).is_none())
        {
            if self.composed {
                return Err(TypistError::nowhere(COMPOSED));
            }
            return Err(TypistError::nowhere(cannot_paste(*lacking)));
        }
        let mut erased = 0;
        while erased < erase {
            let stroke =
                self.keyboard.layout().backspace().ok_or_else(|| TypistError::nowhere(NO_BACKSPACE))?;
            let count = (erase - erased).min(STRIDE);
            if self.stride(&vec![stroke; count]).await? {
                erased += count;
            }
            self.pause().await?;
        }
        while *typed < text.len() {
            let (rest, layout) = (&text[*typed..], self.keyboard.layout());
            let strokes: Vec<&[Stroke]> =
                rest.iter().take(STRIDE).map_while(|c| way.strokes(layout, *c)).collect();
            let (count, strokes) = (strokes.len(), strokes.concat());
            if count == 0 {
                let count = span(rest, |c| way.strokes(layout, c).is_some());
                self.paste(&rest[..count], focused).await?;
                *typed += count;
            } else {
                if self.stride(&strokes).await? {
                    *typed += count;
                }
                self.pause().await?;
            }
        }
        Ok(())
    }

    /// Takes the clipboard of the X server inside the session in the place of the portal's,
    /// which breaks easily. Not before it is needed: some desktops start the server then.
    async fn prefer_x11(&mut self) {
        let Some(display) = self.x11.take() else { return };
        if !self.clipboard.as_ref().is_some_and(Clipboard::is_frail) {
            return;
        }
        match X11::connect(&display).await {
            Ok(x11) => self.clipboard = Some(Clipboard::new(Selection::X11(Box::new(x11)))),
            Err(why) => tracing::info!("text is pasted through the desktop's portal: {why}"),
        }
    }

    /// Has the window paste a text.
    async fn paste(&mut self, text: &[char], focused: &Focused) -> Result<(), TypistError> {
        self.prefer_x11().await;
        let Some(mut clipboard) = self.clipboard.take() else {
            return Err(TypistError::nowhere(text.first().copied().map_or_else(String::new, cannot_paste)));
        };
        clipboard.composed(self.composed);
        let press = async |chord| {
            let Some(stroke) = self.keyboard.layout().chord(chord) else { return Ok(false) };
            self.stride(&[stroke]).await?;
            self.pause().await.map(|()| true)
        };
        let pasted = clipboard.paste(&String::from_iter(text), focused, press).await;
        self.clipboard = Some(clipboard);
        pasted
    }

    /// Presses keys; whether they were taken, which holds also if the session ends then.
    async fn stride(&mut self, strokes: &[Stroke]) -> Result<bool, TypistError> {
        self.keyboard.press(strokes).await.map_err(TypistError::lost)
    }

    /// Waits until the next keys may be pressed.
    async fn pause(&mut self) -> Result<(), TypistError> {
        self.keyboard.until(Instant::now() + PAUSE, |_| false).await.map_err(TypistError::lost)?;
        self.come_in().await
    }

    /// Waits until there is a keyboard and nobody holds a modifier, which would make
    /// commands of the text.
    async fn come_in(&mut self) -> Result<(), TypistError> {
        let caps_lock = match &mut self.modifiers {
            Some(modifiers) => {
                modifiers.catch_up().map_err(TypistError::lost)?;
                let free = async {
                    while modifiers.is_held() {
                        modifiers.hear().await?;
                    }
                    Ok::<_, String>(modifiers.caps_lock())
                };
                let free = tokio::time::timeout(HELD, free).await;
                free.map_err(|_| TypistError::nowhere(MODIFIER))?.map_err(TypistError::lost)?
            }
            None => locks::caps_lock(Path::new(locks::LAMPS)),
        };
        let deadline = Instant::now() + MISSING;
        if !self.keyboard.until(deadline, Keyboard::is_ready).await.map_err(TypistError::lost)? {
            return Err(TypistError::lost("the desktop took its keyboard away"));
        }
        let locked = if caps_lock { Active::CAPS_LOCK } else { 0 };
        self.keyboard.suppose(Active { locked, group: self.group }).map_err(TypistError::lost)?;
        let free = |keyboard: &Keyboard| keyboard.is_ready() && !keyboard.is_held();
        if !self.keyboard.until(Instant::now() + HELD, free).await.map_err(TypistError::lost)? {
            return Err(TypistError::nowhere(MODIFIER));
        }
        Ok(())
    }
}

/// What keys are good for in a window.
#[derive(Clone, Copy)]
struct Way {
    /// An input method composes what is typed.
    composed: bool,
    /// What is not typed can be pasted.
    pastes: bool,
}

impl Way {
    /// How a character is typed, if it is. What dead keys combine to comes from IBus where that
    /// runs, and later than the letters behind it, so it is pasted rather than typed.
    fn strokes(self, layout: &Layout, character: char) -> Option<&[Stroke]> {
        let strokes = layout.strokes(character)?;
        let typed = if self.composed { character == '\n' } else { !self.pastes || strokes.len() == 1 };
        typed.then_some(strokes)
    }
}

/// How many characters are pasted at once: up to the last on this line that has no key.
fn span(text: &[char], has_key: impl Fn(char) -> bool) -> usize {
    let line = text.iter().position(|c| *c == '\n').unwrap_or(text.len());
    text[..line].iter().rposition(|c| !has_key(*c)).map_or(1, |last| last + 1)
}

/// Why a character can neither be typed nor pasted, without saying which.
fn cannot_paste(character: char) -> String {
    format!(
        "the keyboard layouts of this desktop lack {}, and its portal lends no clipboard to paste it from; \
         add a layout that has it",
        layout::kind(character)
    )
}

const NO_BACKSPACE: &str = "the keyboard layout has no BackSpace";

const MODIFIER: &str = "a modifier key is held down, such as Ctrl, Alt or Super: let go of it";

const COMPOSED: &str = "an input method composes what is typed, and the portal of this desktop lends no \
                        clipboard to paste from: switch the input method off";

#[cfg(test)]
mod tests {
    use super::*;

    fn pasted(text: &str) -> String {
        let text: Vec<char> = text.chars().collect();
        String::from_iter(&text[..span(&text, |c| c.is_ascii())])
    }

    #[test]
    fn what_has_no_key_is_pasted_with_what_is_between_and_nothing_behind() {
        assert_eq!(pasted("é"), "é");
        assert_eq!(pasted("你好 (ok?) 😀 and more"), "你好 (ok?) 😀");
    }

    #[test]
    fn a_line_feed_is_never_pasted() {
        assert_eq!(pasted("é one\né two"), "é");
    }
}
