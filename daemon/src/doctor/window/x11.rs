//! A window of an X server.
//!
//! Keys are read with the core protocol's table of symbols, as programs did before there
//! was XKB: another way than the one that the typist works out its presses with. Control
//! with V pastes.

use super::{SIZE, TITLE, Window};
use std::time::{Duration, Instant};
use x11rb::connection::Connection;
use x11rb::errors::ReplyError;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{
    Atom, AtomEnum, ConnectionExt as _, CreateWindowAux, EventMask, GetKeyboardMappingReply, InputFocus,
    KeyButMask, KeyPressEvent, PropMode, Timestamp, WindowClass,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;
use xkeysym::Keysym;

/// How often the server is asked, which tells of nothing to wait for with a limit.
const AGAIN: Duration = Duration::from_millis(5);

/// Columns of the core protocol's table that are the third and fourth level of a group.
const THIRD: usize = 4;

pub(super) struct Collector {
    connection: RustConnection,
    window: u32,
    symbols: GetKeyboardMappingReply,
    focus: bool,
    /// The property that what is pasted comes in.
    pasted: Atom,
}

impl Collector {
    pub(super) fn open() -> Result<Self, String> {
        let (connection, screen) = RustConnection::connect(None).map_err(|e| format!("the X server: {e}"))?;
        Self::make(connection, screen).map_err(|e| format!("the X server: {e}"))
    }

    fn make(connection: RustConnection, screen: usize) -> Result<Self, ReplyError> {
        let window = connection.generate_id().map_err(|_| x11rb::errors::ConnectionError::UnknownError)?;
        let root = connection.setup().roots[screen].clone();
        let wanted = EventMask::KEY_PRESS | EventMask::FOCUS_CHANGE | EventMask::STRUCTURE_NOTIFY;
        let look = CreateWindowAux::new().event_mask(wanted).background_pixel(root.white_pixel);
        let (width, height) = SIZE;
        let class = WindowClass::INPUT_OUTPUT;
        connection.create_window(
            x11rb::COPY_FROM_PARENT as u8,
            window,
            root.root,
            0,
            0,
            width,
            height,
            0,
            class,
            0,
            &look,
        )?;
        let (name, kind) = (AtomEnum::WM_NAME, AtomEnum::STRING);
        connection.change_property8(PropMode::REPLACE, window, name, kind, TITLE.as_bytes())?;
        connection.map_window(window)?;
        let symbols = symbols(&connection)?;
        let pasted = connection.intern_atom(false, b"SWICTATION_PASTED")?.reply()?.atom;
        Ok(Self { connection, window, symbols, focus: false, pasted })
    }

    /// Takes in what the server told; what was typed.
    fn take_in(&mut self) -> Result<String, ReplyError> {
        let mut typed = String::new();
        while let Some(event) = self.connection.poll_for_event()? {
            match event {
                Event::KeyPress(press) => typed.extend(self.pressed(&press)?),
                Event::SelectionNotify(given) if given.property != x11rb::NONE => typed += &self.pasted()?,
                Event::MappingNotify(_) => self.symbols = symbols(&self.connection)?,
                // Where no window manager gives the focus, it is taken.
                Event::MapNotify(_) => {
                    let now = x11rb::CURRENT_TIME;
                    self.connection.set_input_focus(InputFocus::PARENT, self.window, now)?;
                    self.connection.flush()?;
                }
                Event::FocusIn(_) => self.focus = true,
                Event::FocusOut(_) => self.focus = false,
                _ => {}
            }
        }
        Ok(typed)
    }

    /// What a key press types, or does.
    fn pressed(&self, press: &KeyPressEvent) -> Result<Option<char>, ReplyError> {
        let character = self.character(press);
        if !press.state.contains(KeyButMask::CONTROL) {
            return Ok(character);
        }
        if character.is_some_and(|key| key.eq_ignore_ascii_case(&'v')) {
            self.paste(press.time)?;
        }
        Ok(None)
    }

    /// Asks for what is on the clipboard.
    fn paste(&self, time: Timestamp) -> Result<(), ReplyError> {
        let atom = |name: &[u8]| self.connection.intern_atom(false, name)?.reply().map(|atom| atom.atom);
        let (clipboard, text) = (atom(b"CLIPBOARD")?, atom(b"UTF8_STRING")?);
        self.connection.convert_selection(self.window, clipboard, text, self.pasted, time)?;
        self.connection.flush().map_err(ReplyError::from)
    }

    /// What was on the clipboard; what is too long to be given at once is missed in the text.
    fn pasted(&self) -> Result<String, ReplyError> {
        let asked =
            self.connection.get_property(true, self.window, self.pasted, AtomEnum::ANY, 0, u32::MAX / 4)?;
        Ok(String::from_utf8_lossy(&asked.reply()?.value).into_owned())
    }

    /// The character of a key press by the table.
    fn character(&self, press: &KeyPressEvent) -> Option<char> {
        let state = u16::from(press.state);
        let is = |mask: KeyButMask| usize::from(state & u16::from(mask) != 0);
        let group = usize::from(state >> 13 & 3);
        let column = 2 * group + is(KeyButMask::SHIFT) + THIRD * is(KeyButMask::MOD5);
        let width = usize::from(self.symbols.keysyms_per_keycode);
        let row = usize::from(press.detail.checked_sub(self.connection.setup().min_keycode)?) * width;
        let symbols = self.symbols.keysyms.get(row..row + width)?;
        let symbol = symbols.get(column).copied().filter(|symbol| *symbol != 0);
        // A key without a second level means the same with Shift.
        Keysym::new(symbol.or(symbols.first().copied())?).key_char()
    }

    fn until(&mut self, patience: Duration, mut enough: impl FnMut(&Self, &str) -> bool) -> String {
        let deadline = Instant::now() + patience;
        let mut typed = String::new();
        loop {
            match self.take_in() {
                Ok(more) => typed += &more,
                Err(_) => return typed,
            }
            if enough(self, &typed) || Instant::now() >= deadline {
                return typed;
            }
            std::thread::sleep(AGAIN);
        }
    }
}

impl Window for Collector {
    fn wait_for_focus(&mut self, patience: Duration) -> bool {
        self.until(patience, |window, _| window.focus);
        self.focus
    }

    fn collect(&mut self, patience: Duration) -> String {
        self.until(patience, |_, typed| !typed.is_empty())
    }
}

fn symbols(connection: &RustConnection) -> Result<GetKeyboardMappingReply, ReplyError> {
    let (first, last) = (connection.setup().min_keycode, connection.setup().max_keycode);
    connection.get_keyboard_mapping(first, last - first + 1)?.reply()
}
