//! Typing on X11, as a client of the XTEST extension.
//!
//! Keys are pressed as a person would press them on the active layout; only
//! characters that it lacks are bound to spare keycodes ([`slots`]). Every few
//! characters a round trip asks for the keyboard's state: it holds the typist back
//! to the pace of the server, confirms what has arrived, and tells whether the
//! user changed the layout, pressed a modifier, turned on Caps Lock or moved the focus
//! meanwhile. What follows the loss of the focus is not typed into nothing, and how much
//! came before it is known to the character ([`watch`]).
//!
//! A modifier that the user holds is released and never pressed again: had he let
//! go meanwhile, it would stay down for good. While nothing is typed nothing runs
//! here, no thread and no timer.

mod attention;
mod keymap;
mod ping;
mod press;
mod server;
mod slots;
mod watch;

use super::clipboard::Chord;
use super::paste::Keyboard;
use super::{ELSEWHERE, Typist, TypistError};
use keymap::{BACKSPACE, Layout, Lent, Symbol, symbol};
use ping::Ping;
use server::{Receiver, Server};
use slots::Slots;
use std::time::Instant;
use swictation_core::Edit;
use swictation_core::edit::insertable;
use watch::Watch;
use x11rb::errors::{ConnectionError, ReplyError};
use x11rb::protocol::xproto::{ModMask, Window};

/// The keyboard of one X server.
pub struct X11 {
    server: Server,
    /// What gets the keys, as of the last look.
    receiver: Option<Receiver>,
    watch: Watch,
    /// Text goes into one window alone.
    keep: bool,
    /// That window, as far as it is known; a child of the root.
    home: Option<Window>,
    /// The window of the receiver, where it matters.
    top: Option<Window>,
    layout: Layout,
    /// The group and the locked modifiers that `layout` was read for.
    read_for: (u8, u16),
    /// The keyboard was replaced since `layout` was read.
    stale: bool,
    slots: Slots,
    ping: Ping,
    /// The window that got keys last, and when it got the first ones.
    reached: Option<(Window, Instant)>,
    modifier_keys: Vec<u8>,
    /// Caps Lock was on, and is to be on again after the edit.
    caps: bool,
}

/// Why typing stops before the end.
enum Halt {
    /// The server does not answer, or refuses.
    Server(ReplyError),
    /// Nothing gets the keys, and why.
    Nowhere(&'static str),
    /// Another window gets the keys than the one that text is kept to.
    Elsewhere,
    /// A character has no key and no keycode is left to be lent.
    NoKey,
}

/// Opens the X server that the environment names, whatever it is.
///
/// # Errors
/// [`TypistError::Unavailable`] as for [`X11::connect`].
pub fn open() -> Result<Box<dyn Typist>, TypistError> {
    Ok(Box::new(X11::connect(display().as_deref())?))
}

/// The X server that the environment names.
pub(crate) fn display() -> Option<String> {
    std::env::var("DISPLAY").ok()
}

/// Whether this is a session of an X server, and not one inside a Wayland session.
pub(crate) fn is_session() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !set("WAYLAND_DISPLAY") && std::env::var("XDG_SESSION_TYPE").map_or(true, |kind| kind != "wayland")
}

/// Opens the X server of an X11 session. The one inside a Wayland session is left
/// alone: its keys reach only the few windows that still are X11 programs.
///
/// # Errors
/// [`TypistError::Unavailable`] in a Wayland session, and as for [`X11::connect`].
pub fn probe() -> Result<Box<dyn Typist>, TypistError> {
    if !is_session() {
        return Err(TypistError::Unavailable(
            "this is a Wayland session, where X11 keys reach only X11 programs; \
             name the typist \"x11\" in the configuration to type into those alone"
                .into(),
        ));
    }
    open()
}

impl X11 {
    /// Connects to `display` (":0") and reads its keyboard.
    ///
    /// # Errors
    /// [`TypistError::Unavailable`] when no display is given, the server cannot be
    /// reached or lacks XKB or XTEST.
    pub fn connect(display: Option<&str>) -> Result<Self, TypistError> {
        let Some(display) = display.filter(|name| !name.is_empty()) else {
            return Err(TypistError::Unavailable(
                "no X display: DISPLAY is not set. Start the daemon inside the desktop session, or run \
                 `systemctl --user import-environment DISPLAY XAUTHORITY` and restart it"
                    .into(),
            ));
        };
        let failed = |e: ReplyError| {
            TypistError::Unavailable(format!("X display {display}: reading the keyboard failed: {e}"))
        };
        let mut keyboard = Self {
            server: Server::connect(display)?,
            ping: Ping::connect(display).map_err(failed)?,
            reached: None,
            receiver: None,
            watch: Watch::default(),
            keep: false,
            home: None,
            top: None,
            layout: Layout::default(),
            read_for: (0, 0),
            stale: true,
            slots: Slots::default(),
            modifier_keys: Vec::new(),
            caps: false,
        };
        keyboard.read_layout().map_err(failed)?;
        Ok(keyboard)
    }

    /// What is left to do when typing has ended so, and what is told of it: `typed`
    /// characters had arrived.
    fn end(&mut self, mut result: Result<(), Halt>, typed: usize) -> Result<(), TypistError> {
        result = result.and(self.restore().map_err(Halt::from));
        if !self.watch.people {
            // While nothing is typed the server need not tell anything.
            result = result.and(self.see(false).map_err(Halt::from));
        }
        match result {
            Ok(()) => Ok(()),
            Err(Halt::Nowhere(why)) => Err(TypistError::Nowhere { typed, reason: why.into() }),
            Err(Halt::Elsewhere) => Err(TypistError::Elsewhere { typed }),
            Err(Halt::NoKey) => Err(TypistError::Lost { typed, reason: NO_KEY.into() }),
            Err(Halt::Server(e)) => {
                Err(TypistError::Lost { typed, reason: format!("the X server stopped answering: {e}") })
            }
        }
    }

    /// Turns Caps Lock on again if it was on.
    fn restore(&mut self) -> Result<(), ReplyError> {
        if std::mem::take(&mut self.caps) {
            self.server.caps_lock(true, ModMask::from(0_u16))?;
            // What the user finds when the edit is reported must be true.
            self.server.state()?;
        }
        Ok(())
    }
}

impl Halt {
    /// Who has the keyboard instead, for a person.
    fn why(&self) -> Option<&'static str> {
        match self {
            Self::Nowhere(why) => Some(why),
            Self::Elsewhere => Some(ELSEWHERE),
            Self::Server(_) | Self::NoKey => None,
        }
    }
}

impl From<ReplyError> for Halt {
    fn from(error: ReplyError) -> Self {
        Self::Server(error)
    }
}

impl From<ConnectionError> for Halt {
    fn from(error: ConnectionError) -> Self {
        Self::Server(error.into())
    }
}

impl Typist for X11 {
    fn name(&self) -> &'static str {
        "x11"
    }

    fn apply(&mut self, edit: &Edit) -> Result<(), TypistError> {
        let erase = std::iter::repeat_n([BACKSPACE; 2], edit.erase);
        let symbols: Vec<Symbol> = erase.chain(insertable(&edit.insert).chars().map(symbol)).collect();
        let mut done = 0;
        let result = self.type_all(&symbols, &mut done);
        let lacking = matches!(result, Err(Halt::NoKey)) && done == 0;
        match self.end(result, done.saturating_sub(edit.erase)) {
            Err(TypistError::Lost { reason, .. }) if lacking => Err(TypistError::Unavailable(reason)),
            ended => ended,
        }
    }

    fn watch(&mut self, keep: bool) {
        // A server that does not answer says so at the next edit.
        let _ = self.see(true);
        (self.keep, self.home, self.top) = (keep, None, None);
        if keep && self.observe().is_ok() {
            self.home = self.top;
        }
    }

    fn rest(&mut self) {
        let _ = self.see(false);
    }

    fn knows_windows(&self) -> bool {
        true
    }

    fn is_home(&mut self) -> bool {
        let seen = self.observe().and_then(|_| self.restore());
        seen.is_err() || self.home.is_none() || (self.receiver.is_some() && !self.is_elsewhere())
    }

    fn class(&mut self) -> Option<String> {
        let (_, focus) = self.server.look().ok()?;
        self.server.class(focus).ok().flatten()
    }

    fn sees_others(&self) -> bool {
        true
    }

    fn take_back(&mut self, characters: usize) -> Result<(), String> {
        if !self.watch.people {
            return Err("the X server has no XInput 2.1, so it does not tell who else types".to_owned());
        }
        if self.watch.window().is_none() {
            return Err("the keys follow the pointer, so nobody knows where they went".to_owned());
        }
        let erased = self.erase(characters);
        match (erased, self.restore()) {
            (Ok(None), Ok(())) => Ok(()),
            (Ok(Some(why)), _) => Err(why),
            (Err(e), _) | (Ok(None), Err(e)) => Err(format!("the X server stopped answering: {e}")),
        }
    }
}

impl Keyboard for X11 {
    fn press_chord(&mut self, chord: Chord) -> Result<bool, TypistError> {
        let mut pressed = false;
        let asked = self.ask_to_paste(chord).map(|asked| pressed = asked);
        self.end(asked, 0).map(|()| pressed)
    }
}

const NO_KEY: &str = "the keyboard layout lacks a character of the text and has no unused keycode to lend it; \
                      choose a layout that has it, or free a keycode with `xmodmap -e 'keycode 255 ='`";

impl Drop for X11 {
    /// Takes the bindings back, after programs had time to use them. A failure
    /// means that the server is gone, and the bindings with it.
    fn drop(&mut self) {
        let lent = self.slots.lent().into_iter().filter(|lent| lent.levels != [0; 2]);
        let free: Vec<Lent> = lent.map(|lent| Lent { levels: [0; 2], ..lent }).collect();
        if !free.is_empty() {
            let _ = self.outlive(self.slots.pressed());
            let _ = self.server.bind(&free);
            let _ = self.server.claim(&[]);
        }
    }
}
