//! The keyboard that we bring along: which of its keys types which character.
//!
//! A virtual keyboard has a keymap of its own. This one has the keys of an American
//! keyboard where a person would press them, because many programs look at the place of
//! a key as well as at its symbol: an "A" from the place of F1 opens a menu there. All
//! other characters come to lie on the third and fourth level of these keys, as letters
//! of a language do on a keyboard with AltGr, in the order in which they are first
//! needed. They stay until there is no room, so that a language needs few keymaps.

use crate::typist::clipboard::Chord;
use std::fmt::Write;

/// The keys that carry characters: evdev codes from the first on, with what they type
/// alone and with Shift.
const ROWS: [(u8, &str, &str); 6] = [
    (2, "1234567890-=", "!@#$%^&*()_+"),
    (16, "qwertyuiop[]", "QWERTYUIOP{}"),
    (30, "asdfghjkl;'`", "ASDFGHJKL:\"~"),
    (43, "\\zxcvbnm,./", "|ZXCVBNM<>?"),
    (57, " ", " "),
    (86, "<", ">"),
];

/// The space bar; nothing else is expected there.
const SPACE: u8 = 57;

/// Keys that type no character, by evdev code.
const NAMED: [(u8, &str); 4] =
    [(BACKSPACE, "BackSpace"), (TAB, "Tab"), (ENTER, "Return"), (PASTE, "XF86Paste")];

/// The key that removes what is before the caret.
pub(super) const BACKSPACE: u8 = 14;
const TAB: u8 = 15;
const ENTER: u8 = 28;
const PASTE: u8 = 135;
const V: u8 = 47;

/// Modifiers as bits of a mask, in the order of XKB's eight.
const SHIFT: u32 = 1;
const CONTROL: u32 = 1 << 2;
const MOD5: u32 = 1 << 7;

/// The modifiers of the four levels of a key.
const LEVELS: [u32; 4] = [0, SHIFT, MOD5, SHIFT | MOD5];

/// How to type one character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Press {
    /// evdev's code of the key.
    pub key: u8,
    /// The mask of modifiers to be down meanwhile.
    pub modifiers: u32,
}

impl Press {
    /// A key by itself.
    pub(super) const fn of(key: u8) -> Self {
        Self { key, modifiers: 0 }
    }
}

/// The keys of an American keyboard and what lies on their further levels.
#[derive(Debug, Default)]
pub(super) struct Keymap {
    further: Vec<char>,
}

impl Keymap {
    /// How to type a character, if it has a key.
    pub(super) fn press(&self, c: char) -> Option<Press> {
        let named = match c {
            '\n' => Some(ENTER),
            '\t' => Some(TAB),
            _ => None,
        };
        let plain = || {
            keys().find_map(|(key, alone, shifted)| match c {
                _ if c == alone => Some(Press::of(key)),
                _ if c == shifted => Some(Press { key, modifiers: SHIFT }),
                _ => None,
            })
        };
        let further = || {
            let at = self.further.iter().position(|known| *known == c)?;
            let key = places().nth(at / 2)?;
            Some(Press { key, modifiers: LEVELS[2 + at % 2] })
        };
        named.map(Press::of).or_else(plain).or_else(further)
    }

    /// What asks a window to paste.
    pub(super) fn chord(chord: Chord) -> Press {
        match chord {
            Chord::Paste => Press::of(PASTE),
            Chord::ControlShiftV => Press { key: V, modifiers: CONTROL | SHIFT },
            Chord::ControlV => Press { key: V, modifiers: CONTROL },
        }
    }

    /// Gives keys to the characters of a text, from its beginning on as far as there is
    /// room. How many characters have one then, which is not zero for a text that is not
    /// empty, and whether the keymap has changed.
    pub(super) fn admit(&mut self, text: &[char]) -> (usize, bool) {
        let before = self.further.clone();
        let mut count = self.admitted(text);
        if count == 0 && !text.is_empty() {
            self.further.clear();
            count = self.admitted(text);
        }
        (count, self.further != before)
    }

    fn admitted(&mut self, text: &[char]) -> usize {
        text.iter().take_while(|c| self.press(**c).is_some() || self.add(**c)).count()
    }

    fn add(&mut self, c: char) -> bool {
        let room = self.further.len() < 2 * places().count();
        if room {
            self.further.push(c);
        }
        room
    }

    /// The keymap in XKB's text format, version 1.
    pub(super) fn text(&self) -> String {
        let mut codes = String::new();
        let mut symbols = String::new();
        for (key, alone, shifted) in keys() {
            let mut levels = vec![symbol(alone), symbol(shifted)];
            if let Some(at) = places().position(|place| place == key) {
                levels.extend(self.further.iter().skip(2 * at).take(2).map(|c| symbol(*c)));
            }
            line(&mut codes, &mut symbols, key, &levels);
        }
        for (key, name) in NAMED {
            line(&mut codes, &mut symbols, key, &[name.to_owned()]);
        }
        format!(
            "xkb_keymap {{\n\
             xkb_keycodes \"swictation\" {{ minimum = 8; maximum = 255;\n{codes}}};\n\
             xkb_types \"swictation\" {{ include \"complete\"\n\
             type \"SWICTATION\" {{ modifiers = Shift+Mod5; map[Shift] = Level2; map[Mod5] = Level3; \
             map[Shift+Mod5] = Level4; level_name[Level1] = \"1\"; level_name[Level2] = \"2\"; \
             level_name[Level3] = \"3\"; level_name[Level4] = \"4\"; }};\n}};\n\
             xkb_compatibility \"swictation\" {{ include \"complete\" }};\n\
             xkb_symbols \"swictation\" {{\n{symbols}}};\n}};\n"
        )
    }
}

/// All keys that carry characters: code, alone, with Shift.
fn keys() -> impl Iterator<Item = (u8, char, char)> {
    ROWS.iter().flat_map(|(first, alone, shifted)| {
        (*first..)
            .zip(alone.chars().zip(shifted.chars()))
            .map(|(key, (alone, shifted))| (key, alone, shifted))
    })
}

/// The keys with room on further levels.
fn places() -> impl Iterator<Item = u8> {
    keys().map(|(key, ..)| key).filter(|key| *key != SPACE)
}

/// The symbol of a character, which in this notation every character has.
fn symbol(c: char) -> String {
    format!("U{:04X}", u32::from(c))
}

fn line(codes: &mut String, symbols: &mut String, key: u8, levels: &[String]) {
    // XKB counts from 8 where evdev counts from 0. Writing to a string does not fail.
    let _ = writeln!(codes, "<K{key}> = {};", u32::from(key) + 8);
    let _ = writeln!(symbols, "key <K{key}> {{ type = \"SWICTATION\", [ {} ] }};", levels.join(", "));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chars(text: &str) -> Vec<char> {
        text.chars().collect()
    }

    #[test]
    fn an_american_keyboard_has_its_keys_where_a_person_expects_them() {
        let keymap = Keymap::default();
        assert_eq!(keymap.press('a'), Some(Press::of(30)));
        assert_eq!(keymap.press('A'), Some(Press { key: 30, modifiers: SHIFT }));
        assert_eq!(keymap.press('?'), Some(Press { key: 53, modifiers: SHIFT }));
        assert_eq!(keymap.press('\n'), Some(Press::of(ENTER)));
        assert!((' '..='~').all(|c| keymap.press(c).is_some()));
    }

    #[test]
    fn a_character_keeps_its_key_and_costs_one_change_of_the_keymap() {
        let mut keymap = Keymap::default();
        assert_eq!(keymap.admit(&chars("plain")), (5, false));
        assert_eq!(keymap.admit(&chars("größer €")), (8, true));
        let first = keymap.press('ö');
        assert_eq!(keymap.admit(&chars("ölig 你")), (6, true));
        assert_eq!(keymap.press('ö'), first);
        assert_eq!(keymap.admit(&chars("€你ß")), (3, false));
    }

    #[test]
    fn no_two_characters_have_one_key() {
        let mut keymap = Keymap::default();
        let all: Vec<char> = (' '..='~').chain('à'..='ÿ').collect();
        assert_eq!(keymap.admit(&all), (all.len(), true));
        let mut presses: Vec<_> =
            all.iter().map(|c| keymap.press(*c).unwrap()).map(|p| (p.key, p.modifiers)).collect();
        presses.sort_unstable();
        presses.dedup();
        assert_eq!(presses.len(), all.len());
    }

    #[test]
    fn a_full_keyboard_takes_as_much_of_a_text_as_it_has_room_for_and_then_begins_anew() {
        let mut keymap = Keymap::default();
        let many: Vec<char> = ('一'..).take(200).collect();
        let (room, changed) = keymap.admit(&many);
        assert!(changed && room == 2 * places().count());
        assert_eq!(keymap.admit(&many[room..]), (room, true));
        assert_eq!(keymap.press(many[0]), None);
        assert!(keymap.text().contains(&symbol(many[room])));
    }
}
