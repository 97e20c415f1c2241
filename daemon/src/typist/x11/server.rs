//! The requests of the X protocol that typing needs, and nothing that decides.
//!
//! Each method is one request or one question; a failure means that the
//! connection is gone. What follows from an answer is decided in [`super`].

use super::super::TypistError;
use super::keymap::{Keymap, Lent, Press};
use x11rb::connection::Connection;
use x11rb::errors::{ConnectionError, ReplyError};
use x11rb::protocol::Event;
use x11rb::protocol::xkb::{self, ConnectionExt as _, EventType, GetStateReply, MapPart};
use x11rb::protocol::xproto::{self, AtomEnum, ConnectionExt as _, ModMask, PropMode, Window};
use x11rb::protocol::xtest::ConnectionExt as _;
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

/// Holds what keycodes we bound to which symbols, on the root window, so that the next daemon gets
/// them back when this one is killed.
const CLAIM: &[u8] = b"_SWICTATION_KEYCODES";

/// A connection to an X server that has XKB and XTEST.
pub(super) struct Server {
    connection: RustConnection,
    root: Window,
    claim: xproto::Atom,
}

/// What happened to the keyboard map since the last look.
#[derive(Clone, Copy, Default)]
pub(super) struct Changes {
    /// Keys were bound to other symbols, by us or by another program.
    pub map: bool,
    /// A whole new map was loaded, or another keyboard took over.
    pub keyboard: bool,
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
        Ok(Self { connection, root, claim })
    }

    /// The state of the keyboard; the answer comes after the effect of every
    /// request made before.
    pub(super) fn state(&self) -> Result<GetStateReply, ReplyError> {
        self.connection.xkb_get_state(CORE)?.reply()
    }

    /// The changes of the keyboard map that the server has told so far.
    pub(super) fn changes(&self) -> Result<Changes, ConnectionError> {
        let mut changes = Changes::default();
        while let Some(event) = self.connection.poll_for_event()? {
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

    /// Presses and releases a key while its modifiers are held.
    pub(super) fn press(&self, press: &Press) -> Result<(), ConnectionError> {
        for keycode in press.hold.iter().flatten() {
            self.key(xproto::KEY_PRESS_EVENT, *keycode)?;
        }
        self.key(xproto::KEY_PRESS_EVENT, press.keycode)?;
        self.release(press.keycode)?;
        press.hold.iter().rev().flatten().try_for_each(|keycode| self.release(*keycode))
    }

    /// Releases a key.
    pub(super) fn release(&self, keycode: u8) -> Result<(), ConnectionError> {
        self.key(xproto::KEY_RELEASE_EVENT, keycode)
    }

    fn key(&self, event: u8, keycode: u8) -> Result<(), ConnectionError> {
        self.connection.xtest_fake_input(event, keycode, x11rb::CURRENT_TIME, self.root, 0, 0, 0)?;
        Ok(())
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
