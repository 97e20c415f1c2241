//! The requests of the X protocol that typing needs, and nothing that decides.
//!
//! Each method is one request or one question; a failure means that the
//! connection is gone. What follows from an answer is decided in [`super`].

use super::super::TypistError;
use super::keymap::{Keymap, Lent, Press};
use super::watch::Told;
use x11rb::connection::Connection;
use x11rb::errors::{ConnectionError, ReplyError};
use x11rb::protocol::Event;
use x11rb::protocol::xinput::{self, ConnectionExt as _, XIEventMask};
use x11rb::protocol::xkb::{self, ConnectionExt as _, EventType, GetStateReply, MapPart};
use x11rb::protocol::xproto::{
    self, Atom, AtomEnum, ChangeWindowAttributesAux, ConnectionExt as _, EventMask, FocusInEvent,
    FocusOutEvent, GetPropertyReply, GrabMode, GrabStatus, InputFocus, ModMask, NotifyDetail, NotifyMode,
    PropMode, Window,
};
use x11rb::protocol::xtest::ConnectionExt as _;
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

/// Holds what keycodes we bound to which symbols, on the root window, so that the next daemon gets
/// them back when this one is killed.
const CLAIM: &[u8] = b"_SWICTATION_KEYCODES";

/// As much of a window's class is read, in units of four bytes.
const MOST_OF_A_CLASS: u32 = 64;

/// A connection to an X server that has XKB and XTEST.
pub(super) struct Server {
    connection: RustConnection,
    root: Window,
    claim: xproto::Atom,
    /// The server tells of raw key events: it has XInput 2.2.
    pub(super) tells_of_people: bool,
}

/// What happened since the last look.
#[derive(Default)]
pub(super) struct Changes {
    /// Keys were bound to other symbols, by us or by another program.
    pub map: bool,
    /// A whole new map was loaded, or another keyboard took over.
    pub keyboard: bool,
    /// What matters to a [`super::watch::Watch`], each with the number of the last
    /// request that was done before it.
    pub told: Vec<(u64, Told)>,
}

/// A window that gets the keys.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Receiver {
    pub window: Window,
    /// It has the focus itself; otherwise the pointer happens to be over it.
    pub stays: bool,
}

impl Server {
    /// Connects to `display` (":0").
    pub(super) fn connect(display: &str) -> Result<Self, TypistError> {
        let unavailable = |reason: String| TypistError::Unavailable(format!("X display {display}: {reason}"));
        let (connection, screen) = RustConnection::connect(Some(display)).map_err(|e| {
            unavailable(format!("{e}. Is the X server running, and does XAUTHORITY name its cookie file?"))
        })?;
        let Some(root) = connection.setup().roots.get(screen).map(|screen| screen.root) else {
            return Err(unavailable(format!("it has no screen {screen}; correct DISPLAY")));
        };
        for name in ["XTEST", "XKEYBOARD"] {
            let question = connection.query_extension(name.as_bytes()).map_err(ReplyError::from);
            let answer = question.and_then(|q| q.reply()).map_err(|e| unavailable(e.to_string()))?;
            if !answer.present {
                return Err(unavailable(format!(
                    "the server has no {name} extension, which typing needs; start it with {name} enabled"
                )));
            }
        }
        Self::prepare(connection, root).map_err(|e| unavailable(format!("reading the keyboard failed: {e}")))
    }

    fn prepare(connection: RustConnection, root: Window) -> Result<Self, ReplyError> {
        connection.xkb_use_extension(1, 0)?.reply()?;
        let (none, events) = (EventType::from(0_u16), EventType::NEW_KEYBOARD_NOTIFY | EventType::MAP_NOTIFY);
        let details = xkb::SelectEventsAux::new();
        connection.xkb_select_events(CORE, none, events, map_parts(), map_parts(), &details)?;
        let claim = connection.intern_atom(false, CLAIM)?.reply()?.atom;
        // Before 2.1 raw events are withheld while a program has grabbed a device.
        let tells_of_people = connection.query_extension(b"XInputExtension")?.reply()?.present && {
            let version = connection.xinput_xi_query_version(2, 2)?.reply();
            version.is_ok_and(|version| (version.major_version, version.minor_version) >= (2, 1))
        };
        Ok(Self { connection, root, claim, tells_of_people })
    }

    /// The state of the keyboard; the answer comes after the effect of every
    /// request made before.
    pub(super) fn state(&self) -> Result<GetStateReply, ReplyError> {
        self.connection.xkb_get_state(CORE)?.reply()
    }

    /// The state of the keyboard and what has the focus, as in [`Server::state`].
    pub(super) fn look(&self) -> Result<(GetStateReply, Window), ReplyError> {
        let (state, focus) = (self.connection.xkb_get_state(CORE)?, self.connection.get_input_focus()?);
        Ok((state.reply()?, focus.reply()?.focus))
    }

    /// The window that gets the keys when this has the focus; none when nothing does.
    pub(super) fn receiver(&self, focus: Window) -> Result<Option<Receiver>, ReplyError> {
        if focus == Window::from(InputFocus::NONE) {
            return Ok(None);
        }
        if focus == Window::from(InputFocus::POINTER_ROOT) || focus == self.root {
            let under_pointer = self.connection.query_pointer(self.root)?.reply()?.child;
            return Ok(
                Some(Receiver { window: under_pointer, stays: false }).filter(|r| r.window != x11rb::NONE)
            );
        }
        let (place, tree) = (self.connection.get_geometry(focus)?, self.connection.query_tree(focus)?);
        let (Ok(place), Ok(tree)) = (place.reply(), tree.reply()) else { return Ok(None) };
        // A window manager without a window to focus has one of its own outside the screen.
        let (right, bottom) =
            (i32::from(place.x) + i32::from(place.width), i32::from(place.y) + i32::from(place.height));
        let unseen = tree.parent == self.root && (right <= 0 || bottom <= 0);
        Ok((!unseen).then_some(Receiver { window: focus, stays: true }))
    }

    /// The window that this one is a part of, as the window manager or the root has it.
    pub(super) fn top(&self, mut window: Window) -> Result<Option<Window>, ReplyError> {
        loop {
            // A window may be gone by now.
            let Ok(tree) = self.connection.query_tree(window)?.reply() else { return Ok(None) };
            if tree.parent == self.root || tree.parent == x11rb::NONE {
                return Ok(Some(window));
            }
            window = tree.parent;
        }
    }

    /// The class of the window that this one is a part of; a window of a toolkit's own in it
    /// has none.
    pub(super) fn class(&self, window: Window) -> Result<Option<String>, ReplyError> {
        let property = (AtomEnum::WM_CLASS.into(), AtomEnum::STRING, MOST_OF_A_CLASS);
        climb(&self.connection, self.root, window, property, |_, told| {
            // The instance, then the class, each with a zero behind it.
            let class = told.value.split(|byte| *byte == 0).nth(1).filter(|class| !class.is_empty())?;
            Some(String::from_utf8_lossy(class).into_owned())
        })
    }

    /// Has the server obey nobody else, or everybody again.
    pub(super) fn grab(&self, alone: bool) -> Result<(), ConnectionError> {
        if alone {
            self.connection.grab_server()?;
        } else {
            self.connection.ungrab_server()?;
        }
        self.connection.flush()
    }

    /// Has the server tell of the focus of a window and of the root, or no longer.
    pub(super) fn tell_of_focus(&self, window: Window, tell: bool) -> Result<(), ConnectionError> {
        let mask = if tell { EventMask::FOCUS_CHANGE } else { EventMask::NO_EVENT };
        for window in [window, self.root] {
            // A window that is gone is an error among the events, which nobody minds.
            let wanted = ChangeWindowAttributesAux::new().event_mask(mask);
            self.connection.change_window_attributes(window, &wanted)?;
        }
        Ok(())
    }

    /// Has the server tell of every key and button that goes down, or no longer.
    pub(super) fn tell_of_people(&self, tell: bool) -> Result<(), ConnectionError> {
        let presses =
            XIEventMask::RAW_KEY_PRESS | XIEventMask::RAW_BUTTON_PRESS | XIEventMask::RAW_TOUCH_BEGIN;
        let mask = if tell { presses } else { XIEventMask::from(0_u32) };
        let wanted = xinput::EventMask { deviceid: xinput::Device::ALL_MASTER.into(), mask: vec![mask] };
        self.connection.xinput_xi_select_events(self.root, &[wanted])?;
        self.connection.flush()
    }

    /// Whether another program has grabbed the keyboard: only an attempt of our own tells.
    pub(super) fn is_grabbed(&self) -> Result<bool, ReplyError> {
        let mode = GrabMode::ASYNC;
        let attempt = self.connection.grab_keyboard(true, self.root, x11rb::CURRENT_TIME, mode, mode)?;
        let status = attempt.reply()?.status;
        if status == GrabStatus::SUCCESS {
            self.connection.ungrab_keyboard(x11rb::CURRENT_TIME)?;
        }
        Ok(status != GrabStatus::SUCCESS)
    }

    fn told(&self, event: &Event) -> Option<Told> {
        let lasting = |mode| matches!(mode, NotifyMode::NORMAL | NotifyMode::WHILE_GRABBED);
        match *event {
            Event::XinputRawKeyPress(ref key) => Some(Told::Key(u8::try_from(key.detail).unwrap_or(0))),
            Event::XinputRawButtonPress(_) | Event::XinputRawTouchBegin(_) => Some(Told::Button),
            Event::FocusIn(FocusInEvent { event, mode, .. }) if event != self.root => {
                (mode == NotifyMode::UNGRAB).then_some(Told::Released(event))
            }
            Event::FocusIn(FocusInEvent { mode, detail, .. }) => {
                let through = matches!(detail, NotifyDetail::VIRTUAL | NotifyDetail::NONLINEAR_VIRTUAL);
                (lasting(mode) && !through && detail != NotifyDetail::POINTER).then_some(Told::Nothing)
            }
            Event::FocusOut(FocusOutEvent { event, mode, detail, .. }) if event != self.root => match mode {
                NotifyMode::GRAB => Some(Told::Grabbed(event)),
                mode if lasting(mode) && detail != NotifyDetail::POINTER => Some(Told::Left(event)),
                _ => None,
            },
            _ => None,
        }
    }

    /// What the server has told so far.
    pub(super) fn changes(&self) -> Result<Changes, ConnectionError> {
        let mut changes = Changes::default();
        while let Some((event, done)) = self.connection.poll_for_event_with_sequence()? {
            changes.told.extend(self.told(&event).map(|told| (done, told)));
            match event {
                Event::XkbNewKeyboardNotify(_) => changes.keyboard = true,
                Event::XkbMapNotify(_) | Event::MappingNotify(_) => changes.map = true,
                _ => {}
            }
        }
        Ok(changes)
    }

    /// The keyboard map.
    pub(super) fn keymap(&self) -> Result<Keymap, ReplyError> {
        let (none, mods) = (MapPart::from(0_u16), xkb::VMod::from(0_u16));
        let reply = self
            .connection
            .xkb_get_map(CORE, map_parts(), none, 0, 0, 0, 0, 0, 0, 0, 0, mods, 0, 0, 0, 0, 0, 0)?
            .reply()?;
        Ok(Keymap {
            first: reply.first_key_sym,
            types: reply.map.types_rtrn.unwrap_or_default(),
            keys: reply.map.syms_rtrn.unwrap_or_default(),
            modifiers: reply.map.modmap_rtrn.unwrap_or_default(),
        })
    }

    /// Which keys are down, one bit for each keycode.
    pub(super) fn down(&self) -> Result<[u8; 32], ReplyError> {
        Ok(self.connection.query_keymap()?.reply()?.keys)
    }

    /// Presses and releases a key while its modifiers are held, and tells `pressed` the
    /// numbers of the requests that pressed one; the number of the key's own.
    pub(super) fn press(&self, press: &Press, mut pressed: impl FnMut(u64)) -> Result<u64, ConnectionError> {
        for keycode in press.hold.iter().flatten() {
            pressed(self.key(xproto::KEY_PRESS_EVENT, *keycode)?);
        }
        let own = self.key(xproto::KEY_PRESS_EVENT, press.keycode)?;
        pressed(own);
        self.release(press.keycode)?;
        press.hold.iter().rev().flatten().try_for_each(|keycode| self.release(*keycode))?;
        Ok(own)
    }

    /// Releases a key.
    pub(super) fn release(&self, keycode: u8) -> Result<(), ConnectionError> {
        self.key(xproto::KEY_RELEASE_EVENT, keycode).map(|_| ())
    }

    fn key(&self, event: u8, keycode: u8) -> Result<u64, ConnectionError> {
        let cookie =
            self.connection.xtest_fake_input(event, keycode, x11rb::CURRENT_TIME, self.root, 0, 0, 0)?;
        Ok(cookie.sequence_number())
    }

    /// Turns Caps Lock on or off and lifts the latched modifiers `latched`.
    pub(super) fn caps_lock(&self, on: bool, latched: ModMask) -> Result<(), ConnectionError> {
        let (locks, group) = (if on { ModMask::LOCK } else { ModMask::from(0_u16) }, xkb::Group::M1);
        self.connection.xkb_latch_lock_state(CORE, ModMask::LOCK, locks, false, group, latched, false, 0)?;
        self.connection.flush()
    }

    /// Binds keycodes (in ascending order) to keysyms, one request for each run of
    /// neighbours, because every request makes every program read the map again.
    pub(super) fn bind(&self, binds: &[Lent]) -> Result<(), ReplyError> {
        for run in binds.chunk_by(|a, b| a.keycode.checked_add(1) == Some(b.keycode)) {
            let keysyms: Vec<u32> = run.iter().flat_map(|lent| lent.levels).collect();
            self.connection.change_keyboard_mapping(run.len() as u8, run[0].keycode, 2, &keysyms)?;
        }
        self.connection.sync()?;
        Ok(())
    }

    /// The bindings that we, or a daemon before us, said to have made.
    pub(super) fn claims(&self) -> Result<Vec<Lent>, ReplyError> {
        let kind = AtomEnum::CARDINAL;
        let claim = self.connection.get_property(false, self.root, self.claim, kind, 0, 1024)?.reply()?;
        let values: Vec<u32> = claim.value32().into_iter().flatten().collect();
        let lent = |entry: &[u32]| match *entry {
            [keycode, plain, shifted] => {
                Some(Lent { keycode: u8::try_from(keycode).ok()?, levels: [plain, shifted] })
            }
            _ => None,
        };
        Ok(values.chunks(3).filter_map(lent).collect())
    }

    /// Says which bindings are ours; none takes the statement back.
    pub(super) fn claim(&self, lent: &[Lent]) -> Result<(), ConnectionError> {
        if lent.is_empty() {
            self.connection.delete_property(self.root, self.claim)?;
        } else {
            let values: Vec<u32> =
                lent.iter().flat_map(|l| [u32::from(l.keycode), l.levels[0], l.levels[1]]).collect();
            let kind = AtomEnum::CARDINAL;
            self.connection.change_property32(PropMode::REPLACE, self.root, self.claim, kind, &values)?;
        }
        self.connection.flush()
    }
}

/// The keyboard whose state programs see.
const CORE: u16 = 0x0100;

fn map_parts() -> MapPart {
    MapPart::KEY_TYPES | MapPart::KEY_SYMS | MapPart::MODIFIER_MAP
}

/// What the first of a window, its parent and so on says in a property, by its name, kind and
/// greatest length in units of four bytes; none where none up to the root does.
pub(super) fn climb<T>(
    connection: &RustConnection,
    root: Window,
    mut window: Window,
    (name, kind, most): (Atom, AtomEnum, u32),
    says: impl Fn(Window, GetPropertyReply) -> Option<T>,
) -> Result<Option<T>, ReplyError> {
    while window > 1 && window != root {
        let told = connection.get_property(false, window, name, kind, 0, most)?;
        let tree = connection.query_tree(window)?;
        // A window may be gone by now.
        let (Ok(told), Ok(tree)) = (told.reply(), tree.reply()) else { return Ok(None) };
        if let Some(said) = says(window, told) {
            return Ok(Some(said));
        }
        window = tree.parent;
    }
    Ok(None)
}
