//! The map that a new keyboard gets in this session, asked anew each time: nothing tells this
//! typist when it changes.

use super::super::compositor::{self, later_globals_do_not_matter};
use super::super::layout::{self, Active};
use super::super::{locks, x11};
use std::fs::{self, File};
use std::path::Path;
use wayland_client::globals::registry_queue_init;
use wayland_client::protocol::wl_keyboard::{self, KeymapFormat, WlKeyboard};
use wayland_client::protocol::wl_seat::{self, Capability, WlSeat};
use wayland_client::{Connection, Dispatch, QueueHandle, WEnum};
use x11rb::connection::RequestConnection;
use x11rb::protocol::xkb::{self, ConnectionExt as _};
use x11rb::protocol::xproto::ConnectionExt as _;
use x11rb::rust_connection::RustConnection;
use xkbcommon::xkb as common;

/// Where the system has its layout, for text consoles and for desktops that have none.
const SYSTEM: &str = "/etc/default/keyboard";

/// What a map is made of, by the names that xkb has for it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Names {
    model: String,
    layouts: String,
    variants: String,
    options: String,
}

/// The map of this session, and what is active in it.
///
/// # Errors
/// Why it is not known, for a person.
pub(super) fn read() -> Result<(String, Active), String> {
    let active = lamp();
    if let Some(map) = compositor::connect(None).ok().and_then(|connection| wayland(&connection)) {
        return Ok((map, active));
    }
    if let Some(known) = x11::display().filter(|_| x11::is_session()).and_then(|display| x11(&display)) {
        return Ok(known);
    }
    let names = system(&fs::read_to_string(SYSTEM).unwrap_or_default());
    let map = names.map().ok_or_else(|| {
        format!(
            "no keyboard layout is known: neither the desktop nor {SYSTEM} names one that is installed; \
                 install the package xkb-data"
        )
    })?;
    Ok((map, active))
}

/// What is active where only a lamp tells.
fn lamp() -> Active {
    let locked = if locks::caps_lock(Path::new(locks::LAMPS)) { Active::CAPS_LOCK } else { 0 };
    Active { locked, group: 0 }
}

/// As [`read`], for the compositor at this socket.
pub(super) fn at_socket(socket: &Path) -> Result<(String, Active), String> {
    let connection = compositor::connect(Some(socket))?;
    let map = wayland(&connection).ok_or_else(|| format!("{} tells no layout", socket.display()))?;
    Ok((map, lamp()))
}

/// The map of the keyboard of a compositor that was used last.
pub(super) fn wayland(connection: &Connection) -> Option<String> {
    let (globals, mut queue) = registry_queue_init::<Told>(connection).ok()?;
    let hand = queue.handle();
    let seat: WlSeat = globals.bind(&hand, 1..=1, ()).ok()?;
    let mut told = Told::default();
    queue.roundtrip(&mut told).ok()?;
    if !told.keyboard {
        return None;
    }
    seat.get_keyboard(&hand, ());
    queue.roundtrip(&mut told).ok()?;
    told.map
}

/// The map of the keyboard of an X server that was used last, as far as it was made of parts
/// with names, and what is active.
pub(super) fn x11(display: &str) -> Option<(String, Active)> {
    let (connection, _) = RustConnection::connect(Some(display)).ok()?;
    connection.extension_information(xkb::X11_EXTENSION_NAME).ok()??;
    connection.xkb_use_extension(1, 0).ok()?.reply().ok()?;
    let keyboard = xkb::ID::USE_CORE_KBD.into();
    let parts = [
        xkb::NameDetail::KEYCODES,
        xkb::NameDetail::TYPES,
        xkb::NameDetail::COMPAT,
        xkb::NameDetail::SYMBOLS,
    ];
    let asked = parts.into_iter().fold(xkb::NameDetail::default(), |all, part| all | part);
    let named = connection.xkb_get_names(keyboard, asked).ok()?.reply().ok()?.value_list;
    let name = |atom: Option<u32>| {
        let name = connection.get_atom_name(atom?).ok()?.reply().ok()?.name;
        String::from_utf8(name).ok()
    };
    let map = of_parts(
        &name(named.keycodes_name)?,
        &name(named.types_name)?,
        &name(named.compat_name)?,
        &name(named.symbols_name)?,
    )?;
    let state = connection.xkb_get_state(keyboard).ok()?.reply().ok()?;
    let active = Active { locked: u16::from(state.locked_mods).into(), group: u8::from(state.group).into() };
    Some((map, active))
}

/// The map that is made of these parts; none where one is not installed.
fn of_parts(keycodes: &str, types: &str, compat: &str, symbols: &str) -> Option<String> {
    // A name with a quotation mark would say more than a name.
    if [keycodes, types, compat, symbols].iter().any(|name| name.contains(['"', '\\'])) {
        return None;
    }
    let text = format!(
        "xkb_keymap {{ xkb_keycodes {{ include \"{keycodes}\" }}; xkb_types {{ include \"{types}\" }}; \
         xkb_compat {{ include \"{compat}\" }}; xkb_symbols {{ include \"{symbols}\" }}; }};"
    );
    let (format, flags) = (common::KEYMAP_FORMAT_TEXT_V1, common::KEYMAP_COMPILE_NO_FLAGS);
    Some(common::Keymap::new_from_string(&context(), text, format, flags)?.get_as_string(format))
}

fn context() -> common::Context {
    let mut context = common::Context::new(common::CONTEXT_NO_FLAGS);
    context.set_log_level(common::LogLevel::Critical);
    context
}

/// What the text of [`SYSTEM`] says; what is missing there is xkb's to choose.
fn system(text: &str) -> Names {
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='));
        line.unwrap_or_default().trim().trim_matches(['"', '\'']).to_owned()
    };
    Names {
        model: value("XKBMODEL"),
        layouts: value("XKBLAYOUT"),
        variants: value("XKBVARIANT"),
        options: value("XKBOPTIONS"),
    }
}

impl Names {
    /// The map in the text form of xkb; none where a name is not installed.
    fn map(&self) -> Option<String> {
        let (options, flags) = (Some(self.options.clone()), common::KEYMAP_COMPILE_NO_FLAGS);
        let Self { model, layouts, variants, .. } = self;
        let map = common::Keymap::new_from_names(&context(), "", model, layouts, variants, options, flags)?;
        Some(map.get_as_string(common::KEYMAP_FORMAT_TEXT_V1))
    }
}

/// What the compositor has told.
#[derive(Default)]
struct Told {
    keyboard: bool,
    map: Option<String>,
}

impl Dispatch<WlKeyboard, ()> for Told {
    fn event(
        told: &mut Self,
        _: &WlKeyboard,
        event: wl_keyboard::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let wl_keyboard::Event::Keymap { format: WEnum::Value(KeymapFormat::XkbV1), fd, size } = event {
            told.map = layout::map_in(&File::from(fd), size).ok().flatten();
        }
    }
}

impl Dispatch<WlSeat, ()> for Told {
    fn event(
        told: &mut Self,
        _: &WlSeat,
        event: wl_seat::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let wl_seat::Event::Capabilities { capabilities: WEnum::Value(has) } = event {
            told.keyboard = has.contains(Capability::Keyboard);
        }
    }
}

later_globals_do_not_matter!(Told);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_names_its_layout_as_a_shell_would() {
        let names = system("# comment\nXKBMODEL=\"pc105\"\nXKBLAYOUT=de,us\nXKBVARIANT='nodeadkeys,'\n");
        assert_eq!((names.model.as_str(), names.layouts.as_str()), ("pc105", "de,us"));
        assert_eq!((names.variants.as_str(), names.options.as_str()), ("nodeadkeys,", ""));
        assert_eq!(system(""), Names::default());
    }

    #[test]
    fn what_is_no_name_of_a_part_makes_no_map() {
        assert_eq!(of_parts("evdev", "complete", "complete", "pc+nosuchlayout"), None);
        assert_eq!(of_parts("evdev", "complete", "complete", "pc\" }; xkb_symbols { \""), None);
    }
}
