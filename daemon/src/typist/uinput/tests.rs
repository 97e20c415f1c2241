//! What is written is played as a desktop would play it, with the same map: the text is the
//! one that was meant, and no key stays down.

use super::*;
use crate::typist::wayland::Wayland;
use std::os::unix::net::UnixStream;
use swictation_tests::desktop::{Desktop, Kind};
use swictation_tests::x11::XServer;
use swictation_tests::{need, texts};
use wayland_client::Connection;
use xkbcommon::xkb;

/// What is typed on every layout with Latin letters.
const TEXT: &str =
    "Sphinx of black quartz, judge my vow! 0123456789 `~!@#$%^&*()-_=+[{]}\\|;:'\",<.>/?\nNext.";

/// How much the keycodes of xkb are above those of the kernel.
const OFFSET: u32 = 8;

/// The map of a layout; none where the data is not installed.
fn map(layout: &str, variant: &str) -> Option<String> {
    let context = xkb::Context::new(xkb::CONTEXT_NO_FLAGS);
    let flags = xkb::KEYMAP_COMPILE_NO_FLAGS;
    let map = xkb::Keymap::new_from_names(&context, "evdev", "pc105", layout, variant, None, flags);
    need("xkb-data", map.is_some()).then(|| map.unwrap().get_as_string(xkb::KEYMAP_FORMAT_TEXT_V1))
}

/// What a session has, in these tests.
type Given = fn() -> Result<(String, Active), String>;

/// A keyboard on which nobody waits for anybody.
fn keyboard(session: Given) -> Uinput<Vec<u8>> {
    let mut keyboard = Uinput::new(Vec::new(), Box::new(session));
    keyboard.made -= NOTICED;
    keyboard
}

/// What a desktop makes of the events; a dead key and a space are its character.
#[track_caller]
fn played(events: &[u8], map: &str, active: Active) -> String {
    let context = xkb::Context::new(xkb::CONTEXT_NO_DEFAULT_INCLUDES);
    let (format, flags) = (xkb::KEYMAP_FORMAT_TEXT_V1, xkb::KEYMAP_COMPILE_NO_FLAGS);
    let map = xkb::Keymap::new_from_string(&context, map.to_owned(), format, flags).unwrap();
    let mut state = xkb::State::new(&map);
    state.update_mask(0, 0, active.locked, 0, 0, active.group);
    let (mut typed, mut dead, mut down) = (String::new(), None, Vec::new());
    for event in events.chunks(size_of::<libc::input_event>()) {
        let said = &event[size_of::<libc::timeval>()..];
        let (kind, code) = ([said[0], said[1]], u16::from_ne_bytes([said[2], said[3]]));
        if u16::from_ne_bytes(kind) != 1 {
            continue;
        }
        assert!(device::KEYS.contains(&code), "the keyboard has no key {code}");
        let keycode = xkb::Keycode::new(u32::from(code) + OFFSET);
        if said[4..].iter().all(|byte| *byte == 0) {
            assert!(down.contains(&code), "{code} was not down");
            down.retain(|other| *other != code);
            state.update_key(keycode, xkb::KeyDirection::Up);
            continue;
        }
        assert!(!down.contains(&code), "{code} was down");
        down.push(code);
        match (state.key_get_one_sym(keycode).raw(), dead.take()) {
            (xkb::keysyms::KEY_space, Some(made)) => typed.push(made),
            (xkb::keysyms::KEY_dead_circumflex, None) => dead = Some('^'),
            (xkb::keysyms::KEY_dead_grave, None) => dead = Some('`'),
            (xkb::keysyms::KEY_dead_tilde, None) => dead = Some('~'),
            (_, made) => {
                let text = state.key_get_utf8(keycode);
                // A modifier in between does not end a dead key.
                dead = made.filter(|_| text.is_empty());
                typed += &text;
            }
        }
        state.update_key(keycode, xkb::KeyDirection::Down);
    }
    assert_eq!((down, dead), (Vec::new(), None), "a key is down still");
    assert_eq!(state.serialize_mods(xkb::STATE_MODS_DEPRESSED), 0, "a modifier is down still");
    typed.replace('\r', "\n")
}

#[track_caller]
fn types(layout: &str, variant: &str, locked: u32, text: &str, session: Given) {
    let Some(map) = map(layout, variant) else { return };
    let mut keyboard = keyboard(session);
    keyboard.apply(&Edit { erase: 2, insert: text.into() }).unwrap();
    let played = played(&keyboard.keys, &map, Active { locked, group: 0 });
    assert_eq!(played, format!("\u{8}\u{8}{text}"), "{layout} {variant}");
}

fn given(layout: &str, variant: &str, locked: u32) -> Result<(String, Active), String> {
    Ok((map(layout, variant).ok_or("no data")?, Active { locked, group: 0 }))
}

#[test]
fn what_is_written_is_the_text_on_every_layout_and_no_key_stays_down() {
    types("us", "", 0, TEXT, || given("us", "", 0));
    types("de", "", 0, &format!("{TEXT} äöüÄÖÜß€§°"), || given("de", "", 0));
    types("fr", "", 0, &format!("{TEXT} éèçàù€µ£"), || given("fr", "", 0));
    types("us", "dvorak", 0, TEXT, || given("us", "dvorak", 0));
    types("ru", "", 0, "Съешь ещё этих мягких французских булок, 5 № да!", || given("ru", "", 0));
}

#[test]
fn caps_lock_changes_nothing() {
    types("us", "", Active::CAPS_LOCK, TEXT, || given("us", "", Active::CAPS_LOCK));
    types("de", "", Active::CAPS_LOCK, TEXT, || given("de", "", Active::CAPS_LOCK));
}

#[test]
fn a_text_with_a_character_that_has_no_key_is_given_back_before_anything_is_typed() {
    let Some(map) = map("us", "") else { return };
    for (text, kind) in [("fine, naïve", "accent"), ("ok 你", "Chinese"), (texts::EMOJI, "emoji")] {
        let mut keyboard = keyboard(|| given("us", "", 0));
        match keyboard.apply(&Edit { erase: 1, insert: text.into() }) {
            Err(TypistError::Nowhere { typed: 0, reason }) => {
                assert!(reason.contains(kind) && !reason.contains(text), "{reason}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(played(&keyboard.keys, &map, Active::default()), "");
    }
}

#[test]
fn where_the_kernel_has_no_such_thing_the_reason_says_what_to_do() {
    if std::path::Path::new(device::PATH).exists() {
        return;
    }
    match open().map(|_| ()) {
        Err(TypistError::Unavailable(why)) => assert!(why.contains("modprobe"), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_a_layout_the_text_is_given_back() {
    let mut keyboard = keyboard(|| Err("no keyboard layout is known".into()));
    let given_back = keyboard.apply(&Edit { erase: 0, insert: "text".into() });
    assert!(matches!(given_back, Err(TypistError::Nowhere { typed: 0, .. })), "{given_back:?}");
}

#[test]
fn a_kernel_that_takes_no_more_is_told_with_what_it_had_taken() {
    struct Full(usize);
    impl Write for Full {
        fn write(&mut self, events: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(1).ok_or(io::ErrorKind::NotConnected)?;
            Ok(events.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    if map("us", "").is_none() {
        return;
    }
    let mut keyboard = Uinput::new(Full(6), Box::new(|| given("us", "", 0)));
    keyboard.made -= NOTICED;
    match keyboard.apply(&Edit { erase: 2, insert: "words".into() }) {
        Err(TypistError::Lost { typed: 3, reason }) => assert!(reason.contains(device::PATH), "{reason}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_x_server_tells_its_layouts_and_which_of_them_is_active() {
    if !swictation_tests::x11::present() || map("us", "").is_none() {
        return;
    }
    let server = XServer::start().unwrap();
    server.layout("us,ru").unwrap();
    for (group, text) in [(0, "hello"), (1, "привет")] {
        server.group(group).unwrap();
        let (map, active) = session::x11(&server.display).unwrap();
        assert_eq!(active, Active { locked: 0, group: group.into() });
        let layout = Layout::read(&map, active).unwrap();
        assert!(text.chars().all(|c| layout.strokes(c).is_some()), "{text}");
    }
}

#[test]
fn a_compositor_tells_the_map_without_a_window() {
    let Some(kind) = Kind::of_wlroots() else { return };
    let desktop = Desktop::start(kind, "us").unwrap();
    let connect = || Connection::from_socket(UnixStream::connect(desktop.display()).unwrap()).unwrap();
    assert_eq!(session::wayland(&connect()), None, "nobody has plugged in a keyboard");
    let _keyboard = Wayland::connect(connect()).unwrap();
    let map = session::wayland(&connect()).unwrap();
    let layout = Layout::read(&map, Active::default()).unwrap();
    assert!(layout.backspace().is_some(), "it is the map of that keyboard");
}
