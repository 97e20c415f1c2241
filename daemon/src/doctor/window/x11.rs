//! A window of an X server.
//!
//! Keys are read with the core protocol's table of symbols, as programs did before there
//! was XKB: another way than the one that the typist works out its presses with.

use super::{SIZE, TITLE, Window};
use std::time::{Duration, Instant};
use x11rb::connection::Connection;
use x11rb::errors::ReplyError;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{
    AtomEnum, ConnectionExt as _, CreateWindowAux, EventMask, GetKeyboardMappingReply, InputFocus,
    KeyButMask, KeyPressEvent, PropMode, WindowClass,
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
        Ok(Self { connection, window, symbols, focus: false })
    }

    /// Takes in what the server told; what was typed.
    fn take_in(&mut self) -> Result<String, ReplyError> {
        let mut typed = String::new();
        while let Some(event) = self.connection.poll_for_event()? {
            match event {
                Event::KeyPress(press) => typed.extend(self.character(&press)),
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
