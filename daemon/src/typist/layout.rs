//! Which keys of a keyboard map type a character.
//!
//! For typists that press keys of the layout the desktop has: what a key means is the
//! map's affair, so it is not interpreted here but tried out, with the rules that every
//! program of the desktop has (libxkbcommon): each key is looked at while Shift, AltGr
//! and their like are held, in the active group and with the locks that are on. Whatever
//! selects a level then needs no special case, nor does Caps Lock. What dead
//! keys combine to is the window's decision, so they are used for three characters of
//! ASCII alone, in which all windows agree. The module is pure: it gets a map as text and
//! never talks to a desktop.

use super::clipboard::Chord;
use std::collections::HashMap;
use std::fs::File;
use std::ops::RangeInclusive;
use std::os::unix::fs::FileExt;
use xkbcommon::xkb;
use xkbcommon::xkb::keysyms as key;

/// How much the keycodes of xkb are above those of the kernel.
const OFFSET: u32 = 8;

/// The kernel's numbers for the keys that keyboards have, and for those that some have. Behind
/// them come keys that no program of X11 hears of, a dollar sign among them.
const TYPEWRITER: RangeInclusive<u32> = 0..=127;
const REST: RangeInclusive<u32> = 128..=247;

/// Keys that select a level while they are held, with the other keys that do the same.
/// Those that select a group are not among them: mutter does not pass them on.
const SELECTORS: [&[u32]; 3] =
    [&[key::KEY_Shift_L, key::KEY_Shift_R], &[key::KEY_ISO_Level3_Shift], &[key::KEY_ISO_Level5_Shift]];

/// What a dead key and a space make in every table of compositions, and what layouts for
/// languages with accents have on no other key.
const DEAD: [(u32, char); 3] =
    [(key::KEY_dead_circumflex, '^'), (key::KEY_dead_grave, '`'), (key::KEY_dead_tilde, '~')];

/// The kernel's keycode of the key that is V on most layouts, and that programs take for
/// it where the layout has no Latin letters.
const V: u32 = 47;

/// The largest map that is read, in bytes; they have some 60,000.
const LARGEST_MAP: u32 = 4 << 20;

/// The text of a map that a desktop gives as a file of so many bytes, which others hold as
/// well; none where it is too large, or no text.
///
/// # Errors
/// The system's refusal to read it.
pub fn map_in(file: &File, size: u32) -> std::io::Result<Option<String>> {
    if size > LARGEST_MAP {
        return Ok(None);
    }
    let mut bytes = vec![0; size as usize];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(String::from_utf8(bytes).ok().map(|text| text.trim_end_matches('\0').to_owned()))
}

/// What is on besides the keys that are held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Active {
    /// The locked modifiers, a bit for each in the order of the map: Caps Lock, Num Lock.
    pub locked: u32,
    /// The group, which is the layout of several, counted from 0.
    pub group: u32,
}

impl Active {
    /// The bit of Caps Lock, which is the same in every map.
    pub const CAPS_LOCK: u32 = 0b10;
}

/// A key to press, and those to hold meanwhile; keycodes are the kernel's (evdev).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Stroke {
    /// The key.
    pub key: u32,
    /// What is pressed before it and released after it, in reverse order.
    pub hold: Vec<u32>,
}

/// What can be typed with a map while some locks and a group are active.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    characters: HashMap<char, Vec<Stroke>>,
    /// Keys by what they mean while nothing is held.
    keys: HashMap<u32, u32>,
    /// How many groups the map has.
    groups: u32,
}

impl Layout {
    /// Reads a map in the text form of xkb; none where it is no such.
    pub fn read(map: &str, active: Active) -> Option<Self> {
        // A whole map includes nothing, and a context without folders is always there.
        let mut context =
            xkb::Context::new(xkb::CONTEXT_NO_DEFAULT_INCLUDES | xkb::CONTEXT_NO_ENVIRONMENT_NAMES);
        context.set_log_level(xkb::LogLevel::Critical);
        let map = map.trim_end_matches('\0').to_owned();
        let format = xkb::KEYMAP_FORMAT_TEXT_V1;
        let map = xkb::Keymap::new_from_string(&context, map, format, xkb::KEYMAP_COMPILE_NO_FLAGS)?;
        Some(Self::explore(&map, active))
    }

    /// Tries all keys out. Those of a typewriter come first, then few held keys and low
    /// keycodes, which is the key a person would press.
    fn explore(map: &xkb::Keymap, active: Active) -> Self {
        let mut layout = Self { groups: map.num_layouts(), ..Self::default() };
        let plain = state(map, active, &[]);
        for keycode in keycodes(map) {
            let symbol = plain.key_get_one_sym(keycode).raw();
            layout.keys.entry(symbol).or_insert(keycode.raw() - OFFSET);
        }
        let selectors = SELECTORS.map(|same| same.iter().find_map(|symbol| layout.keys.get(symbol)).copied());
        let mut choices: Vec<u8> = (0..1 << SELECTORS.len()).collect();
        choices.sort_by_key(|choice| choice.count_ones());
        let mut dead = HashMap::new();
        let all =
            [TYPEWRITER, REST].into_iter().flat_map(|keys| choices.iter().map(move |c| (keys.clone(), c)));
        for (keys, choice) in all {
            let chosen = (0..SELECTORS.len()).filter(|n| choice >> n & 1 == 1).map(|n| selectors[n]);
            let Some(hold) = chosen.collect::<Option<Vec<u32>>>() else { continue };
            let state = state(map, active, &hold);
            for keycode in keycodes(map).filter(|keycode| keys.contains(&(keycode.raw() - OFFSET))) {
                let stroke = || Stroke { key: keycode.raw() - OFFSET, hold: hold.clone() };
                if let Some(character) = character(&state, keycode) {
                    layout.characters.entry(character).or_insert_with(|| vec![stroke()]);
                } else {
                    dead.entry(state.key_get_one_sym(keycode).raw()).or_insert_with(stroke);
                }
            }
        }
        for (symbol, character) in DEAD {
            if let (Some(dead), Some([space])) = (dead.get(&symbol), layout.strokes(' ')) {
                let strokes = vec![dead.clone(), space.clone()];
                layout.characters.entry(character).or_insert(strokes);
            }
        }
        layout
    }

    /// How the character is typed, if it can be; a line feed is Return.
    pub fn strokes(&self, character: char) -> Option<&[Stroke]> {
        self.characters.get(&character).map(Vec::as_slice)
    }

    /// How many groups the map has, each of them a layout of the desktop.
    pub fn groups(&self) -> u32 {
        self.groups
    }

    /// The key that erases the character before the caret.
    pub fn backspace(&self) -> Option<Stroke> {
        self.alone(key::KEY_BackSpace)
    }

    /// What asks a window to paste, if the map has it.
    pub(super) fn chord(&self, chord: Chord) -> Option<Stroke> {
        let hold: &[u32] = match chord {
            Chord::Paste => return self.alone(key::KEY_XF86Paste),
            Chord::ControlShiftV => &[key::KEY_Control_L, key::KEY_Shift_L],
            Chord::ControlV => &[key::KEY_Control_L],
        };
        let hold = hold.iter().map(|symbol| self.keys.get(symbol).copied()).collect::<Option<_>>()?;
        Some(Stroke { key: self.keys.get(&key::KEY_v).copied().unwrap_or(V), hold })
    }

    fn alone(&self, symbol: u32) -> Option<Stroke> {
        Some(Stroke { key: *self.keys.get(&symbol)?, hold: Vec::new() })
    }
}

fn keycodes(map: &xkb::Keymap) -> impl Iterator<Item = xkb::Keycode> {
    let last = map.max_keycode().raw().min(REST.end() + OFFSET);
    (map.min_keycode().raw().max(OFFSET)..=last).map(xkb::Keycode::new)
}

/// The keyboard with some of the kernel's keys held.
fn state(map: &xkb::Keymap, active: Active, hold: &[u32]) -> xkb::State {
    let mut state = xkb::State::new(map);
    state.update_mask(0, 0, active.locked, 0, 0, active.group);
    for keycode in hold {
        state.update_key(xkb::Keycode::new(keycode + OFFSET), xkb::KeyDirection::Down);
    }
    state
}

/// The character that a key types now; none for those of the keypad, which programs in
/// application mode tell from the others.
fn character(state: &xkb::State, keycode: xkb::Keycode) -> Option<char> {
    let symbol = state.key_get_one_sym(keycode);
    if symbol.raw() == key::KEY_Return {
        return Some('\n');
    }
    let character = char::from_u32(state.key_get_utf32(keycode))?;
    (!character.is_control() && !symbol.is_keypad_key()).then_some(character)
}

/// What kind of character this is, for a person who is told that it has no key: which one
/// it is was dictated, and is nobody's business.
pub fn kind(character: char) -> &'static str {
    match character {
        '\u{300}'..='\u{36f}' | '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}' => "a mark on a character",
        '\u{1f000}'.. => "an emoji or a rare character",
        '\u{2e80}'..='\u{ffff}' => "a Chinese, Japanese or Korean character",
        c if c.is_alphabetic() => "a letter with an accent or of another alphabet",
        _ => "a sign",
    }
}

#[cfg(test)]
mod tests;
