//! Typing on X11, as a client of the XTEST extension.
//!
//! Keys are pressed as a person would press them on the active layout; only
//! characters that it lacks are bound to spare keycodes ([`slots`]). Every few
//! characters a round trip asks for the keyboard's state: it holds the typist back
//! to the pace of the server, confirms what has arrived, and tells whether the
//! user changed the layout, pressed a modifier or turned on Caps Lock meanwhile.
//!
//! A modifier that the user holds is released and never pressed again: had he let
//! go meanwhile, it would stay down for good. While nothing is typed nothing runs
//! here, no thread and no timer.

mod keymap;
mod server;
mod slots;

use super::{Typist, TypistError};
use keymap::{BACKSPACE, Layout, Lent, Symbol, symbol};
use server::Server;
use slots::{Batch, Slots};
use std::time::{Duration, Instant};
use swictation_core::Edit;
use swictation_core::edit::typeable;
use x11rb::errors::{ConnectionError, ReplyError};
use x11rb::protocol::xkb::GetStateReply;
use x11rb::protocol::xproto::ModMask;

/// How long programs get to notice new bindings; 30 ms lost characters in one of
/// four runs on a machine with more busy processes than cores, 100 ms in none.
const SETTLE: Duration = Duration::from_millis(100);

/// How long a binding outlives the last press of its key, so that a slow program
/// translates the press with the right symbol: on an idle machine, see [`outlive`].
const OUTLIVE: Duration = Duration::from_millis(300);

/// Characters between two round trips, and the pause after each but the last:
/// together they bound the pace to 2,000 characters a second.
const STRIDE: usize = 8;
const PAUSE: Duration = Duration::from_millis(4);

/// The keyboard of one X server.
pub struct X11 {
    server: Server,
    layout: Layout,
    /// The group and the locked modifiers that `layout` was read for.
    read_for: (u8, u16),
    /// The keyboard was replaced since `layout` was read.
    stale: bool,
    slots: Slots,
    modifier_keys: Vec<u8>,
    /// Caps Lock was on, and is to be on again after the edit.
    caps: bool,
}

/// Why typing stops before the end.
enum Halt {
    /// The server does not answer, or refuses.
    Server(ReplyError),
    /// A character has no key and no keycode is left to be lent.
    NoKey,
}

/// Opens the X server that the environment names, whatever it is.
///
/// # Errors
/// [`TypistError::Unavailable`] as for [`X11::connect`].
pub fn open() -> Result<Box<dyn Typist>, TypistError> {
    let display = std::env::var("DISPLAY").ok();
    Ok(Box::new(X11::connect(display.as_deref())?))
}

/// Opens the X server of an X11 session. The one inside a Wayland session is left
/// alone: its keys reach only the few windows that still are X11 programs.
///
/// # Errors
/// [`TypistError::Unavailable`] in a Wayland session, and as for [`X11::connect`].
pub fn probe() -> Result<Box<dyn Typist>, TypistError> {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if set("WAYLAND_DISPLAY") || std::env::var("XDG_SESSION_TYPE").is_ok_and(|kind| kind == "wayland") {
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
        let mut keyboard = Self {
            server: Server::connect(display)?,
            layout: Layout::default(),
            read_for: (0, 0),
            stale: true,
            slots: Slots::default(),
            modifier_keys: Vec::new(),
            caps: false,
        };
        keyboard.read_layout().map_err(|e| {
            TypistError::Unavailable(format!("X display {display}: reading the keyboard failed: {e}"))
        })?;
        Ok(keyboard)
    }

    /// Works out what the active layout can type.
    fn read_layout(&mut self) -> Result<(), ReplyError> {
        let (group, locked) = layout_state(&self.server.state()?);
        let map = self.server.keymap()?;
        let spare = map.spare(&self.server.claims()?);
        self.layout = Layout::read(&map, group, locked, &spare);
        self.modifier_keys = map.modifier_keys();
        self.slots.renew(&spare, self.layout.shift);
        (self.read_for, self.stale) = ((group, locked), false);
        Ok(())
    }

    /// Waits until the server has done everything so far, takes the user's
    /// modifiers off the keyboard and follows a change of the layout; `true` when
    /// it is another one now and presses must be planned again.
    fn observe(&mut self) -> Result<bool, ReplyError> {
        let mut state = self.server.state()?;
        let changes = self.server.changes()?;
        if u16::from(state.base_mods) != 0 || state.base_group != 0 {
            self.release_modifiers()?;
            state = self.server.state()?;
        }
        let caps = u16::from(state.locked_mods) & u16::from(ModMask::LOCK) != 0;
        if caps || u16::from(state.latched_mods) != 0 {
            self.caps |= caps;
            self.server.caps_lock(false, state.latched_mods)?;
        }
        let changed = self.stale || changes.map || changes.keyboard || layout_state(&state) != self.read_for;
        if changed {
            self.read_layout()?;
        }
        Ok(changed)
    }

    fn release_modifiers(&self) -> Result<(), ReplyError> {
        let down = self.server.down()?;
        for keycode in &self.modifier_keys {
            if down[usize::from(keycode >> 3)] >> (keycode & 7) & 1 == 1 {
                self.server.release(*keycode)?;
            }
        }
        Ok(())
    }

    /// Makes the bindings of a batch and lets programs notice them.
    fn bind(&mut self, batch: &Batch) -> Result<(), ReplyError> {
        if batch.binds.is_empty() {
            return Ok(());
        }
        outlive(batch.recycled);
        self.server.claim(&self.slots.lent())?;
        self.server.bind(&batch.binds)?;
        // That the map changed is our own doing; a new keyboard is not.
        self.stale |= self.server.changes()?.keyboard;
        std::thread::sleep(SETTLE);
        Ok(())
    }

    /// Presses the keys for all `symbols`; `done` counts those that are confirmed.
    fn type_all(&mut self, symbols: &[Symbol], done: &mut usize) -> Result<(), Halt> {
        self.observe()?;
        let no_key = |layout: &Layout| symbols.iter().any(|s| layout.press(*s).is_none());
        if self.slots.is_empty() && no_key(&self.layout) {
            return Err(Halt::NoKey);
        }
        while *done < symbols.len() {
            let batch = self.slots.plan(&self.layout, &symbols[*done..]);
            if batch.presses.is_empty() {
                return Err(Halt::NoKey);
            }
            self.bind(&batch)?;
            // Much can happen while programs settle.
            let mut changed = !batch.binds.is_empty() && self.observe()?;
            for stride in batch.presses.chunks(STRIDE) {
                if changed {
                    break;
                }
                stride.iter().try_for_each(|press| self.server.press(press))?;
                changed = self.observe()?;
                *done += stride.len();
                if *done < symbols.len() {
                    std::thread::sleep(PAUSE);
                }
            }
            self.slots.note(&batch, Instant::now());
        }
        Ok(())
    }
}

/// What a layout depends on besides the map: the group and the locked modifiers,
/// Caps Lock excepted, which is off while we type.
fn layout_state(state: &GetStateReply) -> (u8, u16) {
    (u8::from(state.group), u16::from(state.locked_mods) & !u16::from(ModMask::LOCK))
}

/// Waits until a binding whose key was pressed at `pressed` may go. The window's
/// program tells nobody how far it is, and takes the longer the more others want
/// the processors, so the wait grows with their number.
fn outlive(pressed: Option<Instant>) {
    if let Some(pressed) = pressed {
        let loads = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let span = OUTLIVE.mul_f64(crowding(&loads, cores));
        std::thread::sleep(span.saturating_sub(pressed.elapsed()));
    }
}

/// How many runnable threads share a core, from the text of /proc/loadavg; at
/// least 1, and at most 10, where waiting would be worse than a wrong character.
fn crowding(loads: &str, cores: usize) -> f64 {
    let runnable = loads.split_whitespace().nth(3).and_then(|threads| threads.split('/').next());
    let runnable: f64 = runnable.and_then(|number| number.parse().ok()).unwrap_or(1.0);
    (runnable / cores as f64).clamp(1.0, 10.0)
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
        let symbols: Vec<Symbol> = erase.chain(typeable(&edit.insert).chars().map(symbol)).collect();
        let mut done = 0;
        let mut result = self.type_all(&symbols, &mut done);
        if std::mem::take(&mut self.caps) {
            let restored = self.server.caps_lock(true, ModMask::from(0_u16));
            // What the user finds when the edit is reported must be true.
            let seen = restored.map_err(ReplyError::from).and_then(|()| self.server.state());
            result = result.and(seen.map(|_| ()).map_err(Halt::from));
        }
        let typed = done.saturating_sub(edit.erase);
        match result {
            Ok(()) => Ok(()),
            Err(Halt::NoKey) if done == 0 => Err(TypistError::Unavailable(NO_KEY.into())),
            Err(Halt::NoKey) => Err(TypistError::Lost { typed, reason: NO_KEY.into() }),
            Err(Halt::Server(e)) => {
                Err(TypistError::Lost { typed, reason: format!("the X server stopped answering: {e}") })
            }
        }
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
            outlive(self.slots.pressed());
            let _ = self.server.bind(&free);
            let _ = self.server.claim(&[]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bindings_outlive_longer_on_a_busy_machine() {
        assert_eq!(crowding("0.10 0.20 0.30 1/420 1234", 4), 1.0);
        assert_eq!(crowding("9.10 4.20 3.30 9/420 1234", 2), 4.5);
        assert_eq!(crowding("9.10 4.20 3.30 900/980 1234", 2), 10.0);
        assert_eq!(crowding("", 2), 1.0);
    }
}
