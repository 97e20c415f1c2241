//! The map that a new keyboard gets in this session, asked anew each time: nothing tells this
//! typist when it changes.

use super::super::layout::{self, Active};
use super::super::{locks, x11};
use std::fs::{self, File};
use std::path::Path;
use wayland_client::globals::{GlobalListContents, registry_queue_init};
use wayland_client::protocol::wl_keyboard::{self, KeymapFormat, WlKeyboard};
use wayland_client::protocol::wl_registry::{self, WlRegistry};
use wayland_client::protocol::wl_seat::{self, Capability, WlSeat};
use wayland_client::{Connection, Dispatch, QueueHandle, WEnum};
use x11rb::connection::{Connection as _, RequestConnection};
use x11rb::protocol::xkb::{self, ConnectionExt as _};
use x11rb::protocol::xproto::{AtomEnum, ConnectionExt as _};
use x11rb::rust_connection::RustConnection;
use xkbcommon::xkb as common;

/// Where the system has its layout, for text consoles and for desktops that have none.
const SYSTEM: &str = "/etc/default/keyboard";

/// Where an X server says which layouts its map was made of.
const NAMES: &[u8] = b"_XKB_RULES_NAMES";

/// What a map is made of, by the names that xkb has for it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Names {
    rules: String,
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
    let lamp = if locks::caps_lock(Path::new(locks::LAMPS)) { Active::CAPS_LOCK } else { 0 };
    let active = Active { locked: lamp, group: 0 };
    if let Some(map) = Connection::connect_to_env().ok().and_then(|connection| wayland(&connection)) {
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

/// The map that a compositor gives to keyboards.
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

/// The map of an X server, as far as it was made of layouts with names, and what is active.
pub(super) fn x11(display: &str) -> Option<(String, Active)> {
    let (connection, screen) = RustConnection::connect(Some(display)).ok()?;
    connection.extension_information(xkb::X11_EXTENSION_NAME).ok()??;
    connection.xkb_use_extension(1, 0).ok()?.reply().ok()?;
    let root = connection.setup().roots.get(screen)?.root;
    let name = connection.intern_atom(false, NAMES).ok()?.reply().ok()?.atom;
    let names = connection.get_property(false, root, name, AtomEnum::STRING, 0, 1024).ok()?.reply().ok()?;
    let state = connection.xkb_get_state(xkb::ID::USE_CORE_KBD.into()).ok()?.reply().ok()?;
    let active = Active { locked: u16::from(state.locked_mods).into(), group: u8::from(state.group).into() };
    Some((of_server(&names.value)?.map()?, active))
}

/// What an X server says, each name with a zero behind it.
fn of_server(value: &[u8]) -> Option<Names> {
    let mut names = value.split(|byte| *byte == 0).map(|name| String::from_utf8_lossy(name).into_owned());
    let mut next = || names.next();
    Some(Names { rules: next()?, model: next()?, layouts: next()?, variants: next()?, options: next()? })
}

/// What the text of [`SYSTEM`] says; what is missing there is xkb's to choose.
fn system(text: &str) -> Names {
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='));
        line.unwrap_or_default().trim().trim_matches(['"', '\'']).to_owned()
    };
    Names {
        rules: String::new(),
        model: value("XKBMODEL"),
        layouts: value("XKBLAYOUT"),
        variants: value("XKBVARIANT"),
        options: value("XKBOPTIONS"),
    }
}

impl Names {
    /// The map in the text form of xkb; none where a name is not installed.
    fn map(&self) -> Option<String> {
        let mut context = common::Context::new(common::CONTEXT_NO_FLAGS);
        context.set_log_level(common::LogLevel::Critical);
        let (options, flags) = (Some(self.options.clone()), common::KEYMAP_COMPILE_NO_FLAGS);
        let Self { rules, model, layouts, variants, .. } = self;
        let map = common::Keymap::new_from_names(&context, rules, model, layouts, variants, options, flags)?;
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

impl Dispatch<WlRegistry, GlobalListContents> for Told {
    fn event(
        _: &mut Self,
        _: &WlRegistry,
        _: wl_registry::Event,
        _: &GlobalListContents,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
    }
}

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
    fn a_server_names_its_layouts_one_behind_the_other() {
        let names = of_server(b"evdev\0pc105\0us,ru\0,\0grp:alt_shift_toggle\0").unwrap();
        assert_eq!((names.rules.as_str(), names.layouts.as_str()), ("evdev", "us,ru"));
        assert_eq!(names.options, "grp:alt_shift_toggle");
        assert_eq!(of_server(b"evdev\0pc105"), None);
    }
}
