//! Pasting every text: the last resort, for sessions and windows whose keys do not arrive as
//! they were sent.
//!
//! A keyboard is needed all the same, to ask the window to paste and to end its lines: one
//! of the other typists lends its own, and with it what it knows of the focus. What was
//! copied before is there again afterwards, in all its forms.

use super::clipboard::{self, Chord, Clipboard, Control, Selection, Told};
use super::compositor;
use super::focus::Focused;
use super::listener::{Listen, Listener};
use super::wayland::Wayland;
use super::x11::{self, X11};
use super::{Keys, Typist, TypistError};
use swictation_core::Edit;
use swictation_core::edit::insertable;
use wayland_client::Connection;

/// A typist that can press what asks a window to paste.
pub(super) trait Keyboard: Typist {
    /// Presses it once, into the window that text goes into; whether it has the keys.
    ///
    /// # Errors
    /// As for [`Typist::apply`].
    fn press_chord(&mut self, chord: Chord) -> Result<bool, TypistError>;
}

/// Opens the keyboard and the clipboard of the session that the environment names.
///
/// # Errors
/// [`TypistError::Unavailable`] as for [`wayland`] and [`x11`].
pub fn open() -> Result<Box<dyn Typist>, TypistError> {
    // The X server inside a Wayland session reaches few windows.
    if x11::is_session() {
        return x11(x11::display().as_deref());
    }
    let connect = || compositor::connect(None).map_err(TypistError::Unavailable);
    // A connection for each: they are read at different times.
    wayland(connect()?, connect()?)
}

/// Pastes on a Wayland compositor that lends both.
///
/// # Errors
/// [`TypistError::Unavailable`] when the compositor offers no virtual keyboards or does not
/// lend its clipboard.
pub fn wayland(keyboard: Connection, clipboard: Connection) -> Result<Box<dyn Typist>, TypistError> {
    let keyboard = Wayland::connect(keyboard)?;
    start(keyboard, async move || Control::connect(clipboard).map(Selection::Control))
}

/// Pastes on the X server `display` (":0").
///
/// # Errors
/// [`TypistError::Unavailable`] as for [`X11::connect`], and when the server does not tell who
/// copies.
pub fn x11(display: Option<&str>) -> Result<Box<dyn Typist>, TypistError> {
    let keyboard = X11::connect(display)?;
    let display = display.unwrap_or_default().to_owned();
    let open = async move || {
        let selection = clipboard::X11::connect(&display).await?;
        Ok(Selection::X11(Box::new(selection)))
    };
    start(keyboard, open)
}

fn start(
    keyboard: impl Keyboard + 'static,
    selection: impl AsyncFnOnce() -> Result<Selection, String> + Send + 'static,
) -> Result<Box<dyn Typist>, TypistError> {
    let open = async move || {
        let clipboard = Clipboard::new(selection().await?);
        Ok(Desk { keyboard: Box::new(keyboard), clipboard, focused: Focused::default(), lost: None })
    };
    Ok(Box::new(Listener::start("paste", open)?))
}

/// Both at work.
struct Desk {
    keyboard: Box<dyn Keyboard>,
    clipboard: Clipboard,
    /// What others than the keyboard tell of the focus.
    focused: Focused,
    /// Why the clipboard is of no use any more.
    lost: Option<String>,
}

impl Listen for Desk {
    type News = Result<Told, String>;

    async fn attend(&mut self) -> Self::News {
        match self.lost {
            None => self.clipboard.next().await,
            Some(_) => std::future::pending().await,
        }
    }

    async fn take_in(&mut self, news: Self::News) {
        self.lost = match news {
            Ok(told) => self.clipboard.take_in(told).await.err(),
            Err(why) => Some(why),
        };
    }

    fn knows_windows(&self) -> bool {
        self.keyboard.knows_windows()
    }

    async fn apply(&mut self, edit: &Edit) -> Result<(), TypistError> {
        let mut typed = 0;
        let mut result = self.paste_all(edit, &mut typed).await;
        if self.lost.is_none() {
            self.clipboard.put_back().await;
        }
        if let Err(error) = &mut result {
            error.add(typed);
        }
        result
    }

    fn watch(&mut self, keep: bool) {
        self.keyboard.watch(keep);
    }

    fn keys(&mut self, keys: &Keys) -> bool {
        self.clipboard.composed(*keys != Keys::Direct);
        true
    }

    fn is_home(&mut self) -> bool {
        self.keyboard.is_home()
    }

    fn class(&mut self) -> Option<String> {
        self.keyboard.class()
    }

    fn tell(&mut self, focused: Focused) {
        self.focused = focused;
    }

    fn tend(&mut self) {
        self.keyboard.tend();
    }

    fn rest(&mut self) {
        self.keyboard.rest();
    }
}

impl Desk {
    /// Erases, then pastes line by line; `typed` counts the characters that arrived.
    async fn paste_all(&mut self, edit: &Edit, typed: &mut usize) -> Result<(), TypistError> {
        if edit.erase > 0 {
            self.press(edit.erase, "")?;
        }
        for line in insertable(&edit.insert).split_inclusive('\n') {
            let text = line.trim_end_matches('\n');
            if !text.is_empty() {
                self.paste(text).await?;
                *typed += text.chars().count();
            }
            if text.len() < line.len() {
                self.press(0, "\n")?;
                *typed += 1;
            }
        }
        Ok(())
    }

    fn press(&mut self, erase: usize, insert: &str) -> Result<(), TypistError> {
        self.keyboard.apply(&Edit { erase, insert: insert.into() })
    }

    /// Has the window paste a text without a line feed.
    async fn paste(&mut self, text: &str) -> Result<(), TypistError> {
        if let Some(why) = &self.lost {
            return Err(TypistError::lost(why));
        }
        let Self { keyboard, clipboard, focused, .. } = self;
        focused.class = keyboard.class().or(focused.class.take());
        clipboard.paste(text, focused, async |chord| keyboard.press_chord(chord)).await
    }
}
