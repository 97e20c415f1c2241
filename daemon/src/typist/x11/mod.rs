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

mod keymap;
mod server;
mod slots;
mod watch;

use super::crowding::crowding;
use super::paste::{Chord, Keyboard};
use super::{ELSEWHERE, Typist, TypistError};
use keymap::{BACKSPACE, Layout, Lent, Press, Symbol, symbol};
use server::{Changes, Receiver, Server};
use slots::{Batch, Slots};
use std::time::{Duration, Instant};
use swictation_core::Edit;
use swictation_core::edit::insertable;
use watch::Watch;
use x11rb::errors::{ConnectionError, ReplyError};
use x11rb::protocol::xkb::GetStateReply;
use x11rb::protocol::xproto::{ModMask, Window};

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

/// How long a hotkey may be held, or a menu be open, before text is given back.
const GRABBED: Duration = Duration::from_millis(300);

/// The same when text is taken back, which a hotkey asks for that is still held.
const HELD: Duration = Duration::from_secs(3);

/// How often the server is asked meanwhile.
const AGAIN: Duration = Duration::from_millis(10);

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
        let mut keyboard = Self {
            server: Server::connect(display)?,
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
        let (mut state, focus, changes) = self.look()?;
        self.attend(focus)?;
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

    /// The keyboard's state, what has the focus, and what has changed since the last look.
    fn look(&mut self) -> Result<(GetStateReply, Window, Changes), ReplyError> {
        let mut changes = Changes::default();
        loop {
            let (state, focus) = self.server.look()?;
            let more = self.server.changes()?;
            (changes.map, changes.keyboard) = (changes.map || more.map, changes.keyboard || more.keyboard);
            let mut lost = false;
            for (done, told) in more.told {
                lost |= self.watch.hear(done, told, &self.modifier_keys);
            }
            // Nobody knows whether the focus was asked for before that or behind it.
            if !lost {
                return Ok((state, focus, changes));
            }
        }
    }

    /// Finds out what gets the keys now, and has the server tell when that ends.
    fn attend(&mut self, mut focus: Window) -> Result<(), ReplyError> {
        if self
            .receiver
            .is_some_and(|old| old.stays && old.window == focus && self.watch.window() == Some(focus))
        {
            return Ok(());
        }
        self.attend_to_nothing()?;
        loop {
            self.receiver = self.server.receiver(focus)?;
            if let (true, Some(receiver)) = (self.keep, self.receiver) {
                self.top = self.server.top(receiver.window)?;
            }
            let Some(Receiver { window, stays: true }) = self.receiver else {
                self.watch.turn_to(None, false);
                return Ok(());
            };
            self.server.tell_of_focus(window, true)?;
            // It may have moved before the server knew that we want to know.
            let (_, now) = self.server.look()?;
            if now == focus {
                // A key that is held may be a hotkey, which another program then gets.
                let held = self.server.down()?.iter().any(|keys| *keys != 0);
                let grabbed = held && self.server.is_grabbed()?;
                self.watch.turn_to(Some(window), grabbed);
                return Ok(());
            }
            self.server.tell_of_focus(window, false)?;
            focus = now;
        }
    }

    /// The server need not tell of the focus any more.
    fn attend_to_nothing(&mut self) -> Result<(), ConnectionError> {
        self.watch.window().map_or(Ok(()), |window| self.server.tell_of_focus(window, false))
    }

    /// Why nothing can be typed now, after some patience with who has the keyboard.
    fn obstacle(&mut self, patience: Duration) -> Result<Option<Halt>, ReplyError> {
        let begun = Instant::now();
        while self.watch.is_grabbed() && begun.elapsed() < patience {
            std::thread::sleep(AGAIN);
            self.observe()?;
        }
        Ok(match self.receiver {
            None => Some(Halt::Nowhere(NO_FOCUS)),
            Some(_) if self.watch.is_grabbed() => Some(Halt::Nowhere(TAKEN)),
            Some(_) if self.is_elsewhere() => Some(Halt::Elsewhere),
            Some(_) => None,
        })
    }

    /// Another window has the focus than the one that text is kept to.
    fn is_elsewhere(&self) -> bool {
        self.keep && self.home.is_some() && self.top != self.home
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
        if let Some(halt) = self.obstacle(GRABBED)? {
            return Err(halt);
        }
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
                if let Some(halt) = self.obstacle(GRABBED)? {
                    return Err(halt);
                }
                let Some(sent) = self.press_at_home(stride)? else { continue };
                changed = self.observe()?;
                let nowhere = self.receiver.is_none() || self.is_elsewhere();
                let arrived = self.watch.arrived(&sent, nowhere);
                *done += arrived;
                // The rest of the stride went nowhere and is planned again.
                changed |= arrived < stride.len();
                if *done < symbols.len() {
                    std::thread::sleep(PAUSE);
                }
            }
            self.slots.note(&batch, Instant::now());
        }
        Ok(())
    }

    /// Presses keys; the numbers of the requests that did.
    fn press(&mut self, presses: &[Press]) -> Result<Vec<u64>, ConnectionError> {
        self.watch.begin();
        let watch = &mut self.watch;
        presses.iter().map(|press| self.server.press(press, |request| watch.pressed(request))).collect()
    }

    /// Presses keys as [`X11::press`] does, but none that would reach another window than
    /// the one that text is kept to: nobody else can move the focus meanwhile.
    fn press_at_home(&mut self, presses: &[Press]) -> Result<Option<Vec<u64>>, ReplyError> {
        if !self.keep {
            return Ok(Some(self.press(presses)?));
        }
        self.server.grab(true)?;
        let (_, focus, _) = self.look()?;
        self.attend(focus)?;
        self.home = self.home.or(self.top);
        let sent = match self.is_elsewhere() || self.receiver.is_none() {
            true => None,
            false => Some(self.press(presses)?),
        };
        self.server.grab(false)?;
        Ok(sent)
    }

    /// Presses what asks the window to paste.
    fn ask_to_paste(&mut self, chord: Chord) -> Result<(), Halt> {
        self.observe()?;
        loop {
            if let Some(halt) = self.obstacle(GRABBED)? {
                return Err(halt);
            }
            let Some(press) = self.layout.chord(chord) else { return Ok(()) };
            if self.press_at_home(&[press])?.is_some() {
                self.observe()?;
                return Ok(());
            }
        }
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

    /// Presses BackSpace as long as nobody comes in between; why it stopped.
    fn erase(&mut self, characters: usize) -> Result<Option<String>, ReplyError> {
        self.observe()?;
        let obstacle = self.obstacle(HELD)?.and_then(|halt| halt.why());
        if let Some(why) = obstacle.or_else(|| self.watch.touched()) {
            return Ok(Some(why.to_owned()));
        }
        let Some(backspace) = self.layout.press([BACKSPACE; 2]) else {
            return Ok(Some("the keyboard layout has no BackSpace".to_owned()));
        };
        for erased in 1..=characters {
            self.press(&[backspace])?;
            self.observe()?;
            let obstacle = self.obstacle(Duration::ZERO)?.and_then(|halt| halt.why());
            if let Some(why) = obstacle.or_else(|| self.watch.touched()) {
                return Ok(Some(format!("{why}, after {erased} of {characters} characters were erased")));
            }
            if erased % STRIDE == 0 {
                std::thread::sleep(PAUSE);
            }
        }
        Ok(None)
    }

    /// Forgets what was seen, and sees people or does not from here on.
    fn see(&mut self, people: bool) -> Result<(), ReplyError> {
        self.attend_to_nothing()?;
        if self.server.tells_of_people {
            self.server.tell_of_people(people)?;
        }
        // What was told before is not about what comes.
        self.server.state()?;
        let changes = self.server.changes()?;
        self.stale |= changes.map || changes.keyboard;
        self.receiver = None;
        self.watch = Watch::new(people && self.server.tells_of_people);
        Ok(())
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
        let span = OUTLIVE.mul_f64(crowding());
        std::thread::sleep(span.saturating_sub(pressed.elapsed()));
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

    fn class(&mut self) -> Option<String> {
        let (_, focus) = self.server.look().ok()?;
        self.server.class(focus).ok().flatten()
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
    fn press_chord(&mut self, chord: Chord) -> Result<(), TypistError> {
        let asked = self.ask_to_paste(chord);
        self.end(asked, 0)
    }
}

const NO_FOCUS: &str = "nothing that takes text has the focus; click into a window";

const TAKEN: &str =
    "another program has taken the keyboard: a hotkey is held, or a menu or a lock screen is open";

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
