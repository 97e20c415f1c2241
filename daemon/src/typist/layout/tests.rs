//! Layouts as people have them, and that each stroke types what it is for.

use super::*;
use std::path::Path;

const CAPS_LOCK: u32 = Active::CAPS_LOCK;
const NUM_LOCK: u32 = 0b1_0000;

/// The map of some layouts with variants, each list separated by commas; none where the
/// data is not installed.
fn map(layouts: &str, variants: &str) -> Option<String> {
    let present = Path::new("/usr/share/X11/xkb/rules/evdev").exists();
    if !swictation_tests::need("xkb-data", present) {
        return None;
    }
    let context = xkb::Context::new(xkb::CONTEXT_NO_FLAGS);
    let flags = xkb::KEYMAP_COMPILE_NO_FLAGS;
    let map = xkb::Keymap::new_from_names(&context, "evdev", "pc105", layouts, variants, None, flags);
    Some(map.unwrap().get_as_string(xkb::KEYMAP_FORMAT_TEXT_V1))
}

/// What a program takes strokes for; dead keys combine as in the usual table.
fn played(map: &str, active: Active, strokes: &[Stroke]) -> String {
    let context = xkb::Context::new(xkb::CONTEXT_NO_DEFAULT_INCLUDES);
    let (format, flags) = (xkb::KEYMAP_FORMAT_TEXT_V1, xkb::KEYMAP_COMPILE_NO_FLAGS);
    let map = xkb::Keymap::new_from_string(&context, map.to_owned(), format, flags).unwrap();
    let table =
        "<dead_circumflex> <space> : \"^\"\n<dead_grave> <space> : \"`\"\n<dead_tilde> <space> : \"~\"\n";
    let (format, flags) = (xkb::compose::FORMAT_TEXT_V1, xkb::compose::COMPILE_NO_FLAGS);
    let table = xkb::compose::Table::new_from_buffer(&context, table, "C", format, flags).unwrap();
    let mut compose = xkb::compose::State::new(&table, xkb::compose::STATE_NO_FLAGS);
    let press = |stroke: &Stroke| {
        let state = state(&map, active, &stroke.hold);
        let keycode = xkb::Keycode::new(stroke.key + OFFSET);
        compose.feed(state.key_get_one_sym(keycode));
        match compose.status() {
            xkb::compose::Status::Nothing => state.key_get_utf8(keycode),
            xkb::compose::Status::Composed => compose.utf8().unwrap_or_default(),
            _ => String::new(),
        }
    };
    strokes.iter().map(press).collect()
}

fn ascii() -> impl Iterator<Item = char> {
    (' '..='~').chain(['\n'])
}

/// Every character that the layout types is the one that was asked for, and those of
/// `text` are among them.
#[track_caller]
fn types(layouts: &str, variants: &str, active: Active, text: impl Iterator<Item = char>) {
    let Some(map) = map(layouts, variants) else { return };
    let layout = Layout::read(&map, active).unwrap();
    for character in text {
        let strokes = layout.strokes(character).unwrap_or_else(|| panic!("{layouts}: no {character:?}"));
        let expected = if character == '\n' { "\r".into() } else { character.to_string() };
        assert_eq!(played(&map, active, strokes), expected, "{layouts} {active:?}");
    }
}

const LATIN: [[&str; 2]; 4] = [["us", ""], ["de", ""], ["fr", ""], ["us", "dvorak"]];

#[test]
fn latin_layouts_type_all_of_ascii_whatever_is_locked() {
    for [layout, variant] in LATIN {
        for locked in [0, NUM_LOCK, CAPS_LOCK, CAPS_LOCK | NUM_LOCK] {
            types(layout, variant, Active { locked, group: 0 }, ascii());
        }
    }
}

#[test]
fn a_layout_types_its_own_letters() {
    let active = Active::default();
    types("de", "", active, "äöüÄÖÜß€§°".chars());
    types("fr", "", active, "éèçàùÇ€µ£".chars().filter(|c| *c != 'Ç'));
    types("ru", "", active, "Съешь ещё этих мягких французских булок".chars());
    types("gr", "", active, "αβγδΑΒΓΔς".chars());
}

#[test]
fn only_the_active_group_is_typed() {
    let Some(map) = map("gr,us", ",") else { return };
    let typed = |group| -> Vec<bool> {
        let layout = Layout::read(&map, Active { locked: 0, group }).unwrap();
        assert_eq!(layout.groups(), 2);
        "λl7".chars().map(|c| layout.strokes(c).is_some()).collect()
    };
    assert_eq!(typed(0), [true, false, true]);
    assert_eq!(typed(1), [false, true, true]);
}

#[test]
fn caps_lock_never_makes_a_capital_of_a_small_letter() {
    let Some(map) = map("fr", "") else { return };
    let active = Active { locked: CAPS_LOCK, group: 0 };
    let layout = Layout::read(&map, active).unwrap();
    for (character, strokes) in layout.characters.iter().filter(|(character, _)| **character != '\n') {
        assert_eq!(played(&map, active, strokes), character.to_string());
    }
    assert_eq!(layout.strokes('a').map(|strokes| strokes[0].hold.len()), Some(1));
    assert_eq!(layout.strokes('A').map(|strokes| strokes[0].hold.len()), Some(0));
}

#[test]
fn digits_are_not_typed_on_the_keypad() {
    let Some(map) = map("us", "") else { return };
    for locked in [0, NUM_LOCK] {
        let layout = Layout::read(&map, Active { locked, group: 0 }).unwrap();
        let keys = ('0'..='9').map(|digit| layout.strokes(digit).unwrap()[0].key);
        assert!(keys.into_iter().all(|key| key < 12));
    }
}

#[test]
fn dead_keys_are_used_for_nothing_that_another_key_types() {
    let Some(maps) = map("us", "intl").zip(map("de", "")) else { return };
    let read = |map: &str| Layout::read(map, Active::default()).unwrap();
    let strokes = |layout: &Layout, text: &str| -> Vec<Option<usize>> {
        text.chars().map(|c| layout.strokes(c).map(<[Stroke]>::len)).collect()
    };
    assert_eq!(strokes(&read(&maps.0), "é'^ẽ"), [Some(1), Some(1), Some(1), None]);
    assert_eq!(strokes(&read(&maps.1), "ä'^ẽ"), [Some(1), Some(1), Some(2), None]);
}

#[test]
fn keys_for_erasing_and_pasting_are_found_on_layouts_without_latin_letters() {
    let Some(map) = map("ru", "") else { return };
    let layout = Layout::read(&map, Active::default()).unwrap();
    assert_eq!(layout.backspace(), Some(Stroke { key: 14, hold: vec![] }));
    assert_eq!(
        Chord::ALL.map(|chord| layout.chord(chord)),
        [
            Some(Stroke { key: 135, hold: vec![] }),
            Some(Stroke { key: 47, hold: vec![29, 42] }),
            Some(Stroke { key: 47, hold: vec![29] }),
        ]
    );
}

#[test]
fn what_is_no_map_is_not_read() {
    assert!(Layout::read("", Active::default()).is_none());
    assert!(Layout::read("xkb_keymap { nonsense };", Active::default()).is_none());
}

#[test]
fn what_has_no_key_is_named_by_its_kind_alone() {
    for (character, expected) in
        [('你', "Chinese"), ('😀', "emoji"), ('é', "letter"), ('Я', "letter"), ('→', "sign")]
    {
        let kind = kind(character);
        assert!(kind.contains(expected) && !kind.contains(character), "{kind}");
    }
}
