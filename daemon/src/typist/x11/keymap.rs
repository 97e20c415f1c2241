//! What the active layout can type, and with which keys.
//!
//! A symbol is reached by a keycode and the modifiers that select its level; the
//! types of the XKB map say which modifiers those are, so that AltGr, a third
//! group or Num Lock need no special case. The module is pure: it reads a map
//! that was fetched before and never talks to the server.

use crate::typist::clipboard::Chord;
use std::collections::HashMap;
use x11rb::protocol::xkb::{KeyModMap, KeySymMap, KeyType};
use xkeysym::Keysym;

/// The keysym of the Backspace key.
pub(super) const BACKSPACE: u32 = xkeysym::key::BackSpace;

/// The keycode of the key that is V on most layouts, and that programs take for it where the
/// layout has no Latin letters.
const V: u8 = 55;

/// The keysyms that stand for one character: the traditional one, which old
/// programs know, and the one made from its Unicode number.
pub(super) type Symbol = [u32; 2];

/// The symbol of a character; a line break is the Return key.
pub(super) fn symbol(c: char) -> Symbol {
    if c == '\n' {
        return [xkeysym::key::Return; 2];
    }
    [Keysym::from_char(c).raw(), 0x0100_0000 | c as u32]
}

/// The keyboard map of the server, as fetched with XkbGetMap.
pub(super) struct Keymap {
    /// Keycode of the first entry of `keys`.
    pub first: u8,
    /// Key types, which keys refer to by index.
    pub types: Vec<KeyType>,
    /// The symbols of every keycode, in order of keycodes.
    pub keys: Vec<KeySymMap>,
    /// Which keycodes set which of the eight core modifiers.
    pub modifiers: Vec<KeyModMap>,
}

/// One key to press, and the modifier keys to hold meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Press {
    pub keycode: u8,
    pub hold: [Option<u8>; 3],
}

/// A keycode that the layout does not use, with the keysyms it is lent to without
/// and with Shift; both are 0 while it is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lent {
    pub keycode: u8,
    pub levels: [u32; 2],
}

/// A key that selects a level, and the core modifier it sets.
#[derive(Clone, Copy)]
struct Selector {
    keycode: u8,
    mask: u16,
}

/// The symbols that can be typed in one group with certain modifiers locked.
#[derive(Default)]
pub(super) struct Layout {
    reach: HashMap<u32, Press>,
    /// The keycode of the Shift key.
    pub shift: Option<u8>,
    /// Some group has Latin letters, in which programs look for what a command is.
    pub latin: bool,
}

impl Keymap {
    /// Every keycode with its symbols.
    fn keycodes(&self) -> impl Iterator<Item = (u8, &KeySymMap)> {
        (self.first..=u8::MAX).zip(&self.keys)
    }

    /// The keycodes that may be lent to characters: those without any symbol, and
    /// those that still carry just what a claim says they were lent to.
    pub(super) fn spare(&self, claims: &[Lent]) -> Vec<Lent> {
        let modifies =
            |keycode| self.modifiers.iter().any(|m| m.keycode == keycode && u16::from(m.mods) != 0);
        self.keycodes()
            // Some toolkits take keycode 8 for "no key".
            .filter(|(keycode, _)| *keycode > 8 && !modifies(*keycode))
            .filter_map(|(keycode, key)| {
                if key.syms.iter().all(|keysym| *keysym == 0) {
                    return Some(Lent { keycode, levels: [0; 2] });
                }
                claims.iter().find(|lent| lent.keycode == keycode && key.syms == lent.levels).copied()
            })
            .collect()
    }

    /// The keycodes that hold a modifier or a group while they are down. AltGr is
    /// often missing in the modifier map, so the symbols are asked as well.
    pub(super) fn modifier_keys(&self) -> Vec<u8> {
        let mapped = self.modifiers.iter().filter(|m| u16::from(m.mods) != 0).map(|m| m.keycode);
        let named = self
            .keycodes()
            .filter(|(_, key)| key.syms.iter().any(|s| Keysym::new(*s).is_modifier_key()))
            .map(|(keycode, _)| keycode);
        let mut keycodes: Vec<u8> = mapped.chain(named).collect();
        keycodes.sort_unstable();
        keycodes.dedup();
        keycodes
    }

    /// The symbol of a key in a group while `mods` are in effect, 0 for none.
    fn at(&self, key: &KeySymMap, group: u8, mods: u16) -> u32 {
        let Some(group) = group_of(key, group) else { return 0 };
        let Some(kind) = self.types.get(usize::from(key.kt_index[group])) else { return 0 };
        let mods = mods & u16::from(kind.mods_mask);
        let level = kind
            .map
            .iter()
            .find(|entry| entry.active && u16::from(entry.mods_mask) == mods)
            .map_or(0, |entry| usize::from(entry.level));
        key.syms.get(group * usize::from(key.width) + level).copied().unwrap_or(0)
    }

    /// The first key that sets a core modifier and carries one of the symbols.
    fn selector(&self, group: u8, symbols: &[u32]) -> Option<Selector> {
        self.keycodes().find_map(|(keycode, key)| {
            let mask = self.modifiers.iter().find(|m| m.keycode == keycode).map(|m| u16::from(m.mods))?;
            (mask != 0 && symbols.contains(&self.at(key, group, 0))).then_some(Selector { keycode, mask })
        })
    }
}

/// The group of a key that the active group means: keys with fewer groups wrap,
/// clamp or redirect, as bits 6 and 7 of their group information say.
fn group_of(key: &KeySymMap, active: u8) -> Option<usize> {
    let (active, count) = (usize::from(active), usize::from(key.group_info & 0x0f));
    match (count, key.group_info & 0xc0) {
        (0, _) => None,
        _ if active < count => Some(active),
        (_, 0x40) => Some(count - 1),
        (_, 0x80) => Some(usize::from(key.group_info >> 4 & 0x03)).filter(|g| *g < count).or(Some(0)),
        _ => Some(active % count),
    }
    .filter(|group| *group < key.kt_index.len())
}

impl Layout {
    /// Reads the layout of one group while the modifiers `locked` stay on.
    ///
    /// Low keycodes and few modifiers come first, which is the key a person would
    /// press; `spare` are keycodes whose symbols may vanish at any time.
    pub(super) fn read(map: &Keymap, group: u8, locked: u16, spare: &[Lent]) -> Self {
        use xkeysym::key::{ISO_Level3_Shift, ISO_Level5_Shift, Shift_L, Shift_R, v};
        let selectors = [&[Shift_L, Shift_R][..], &[ISO_Level3_Shift], &[ISO_Level5_Shift]]
            .map(|symbols| map.selector(group, symbols));
        let (mut reach, mut latin) = (HashMap::new(), false);
        for (keycode, key) in map.keycodes() {
            if spare.iter().any(|lent| lent.keycode == keycode) {
                continue;
            }
            latin |= key.syms.contains(&v);
            for bits in [0b000, 0b001, 0b010, 0b100, 0b011, 0b101, 0b110, 0b111_u8] {
                let chosen = |n: usize| if bits >> n & 1 == 1 { selectors[n] } else { None };
                if (0..3).any(|n| bits >> n & 1 == 1 && selectors[n].is_none()) {
                    continue;
                }
                let hold = [0, 1, 2].map(chosen);
                let mods = hold.iter().flatten().fold(locked, |mods, s| mods | s.mask);
                let found = map.at(key, group, mods);
                // Programs in application mode tell the keypad's digits from the others.
                if found != 0 && !Keysym::new(found).is_keypad_key() {
                    reach.entry(found).or_insert(Press { keycode, hold: hold.map(|s| s.map(|s| s.keycode)) });
                }
            }
        }
        Self { reach, shift: selectors[0].map(|shift| shift.keycode), latin }
    }

    /// How the layout itself types a symbol, if it can.
    pub(super) fn press(&self, symbol: Symbol) -> Option<Press> {
        symbol.iter().find_map(|keysym| self.reach.get(keysym)).copied()
    }

    /// What asks a window to paste, if the keyboard has it; with the keycode that V was `lent`
    /// where no group has it.
    pub(super) fn chord(&self, chord: Chord, lent: Option<u8>) -> Option<Press> {
        use xkeysym::key::{Control_L, XF86_Paste, v};
        let alone = |symbol: u32| self.reach.get(&symbol).filter(|press| press.hold == [None; 3]).copied();
        let key = alone(v).map(|press| press.keycode).or(lent).unwrap_or(V);
        let control = || alone(Control_L).map(|press| press.keycode);
        match chord {
            Chord::Paste => alone(XF86_Paste),
            Chord::ControlShiftV => {
                Some(Press { keycode: key, hold: [Some(control()?), Some(self.shift?), None] })
            }
            Chord::ControlV => Some(Press { keycode: key, hold: [Some(control()?), None, None] }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use x11rb::protocol::xkb::KTMapEntry;
    use x11rb::protocol::xproto::ModMask;

    const SHIFT: u16 = 0x01;
    const LOCK: u16 = 0x02;
    const MOD5: u16 = 0x80;

    fn kind(mask: u16, levels: u8, map: &[(u16, u8)]) -> KeyType {
        let entry = |(mods, level): &(u16, u8)| KTMapEntry {
            active: true,
            mods_mask: ModMask::from(*mods),
            level: *level,
            mods_mods: ModMask::from(*mods),
            mods_vmods: 0_u16.into(),
        };
        KeyType {
            mods_mask: ModMask::from(mask),
            mods_mods: ModMask::from(mask),
            mods_vmods: 0_u16.into(),
            num_levels: levels,
            has_preserve: false,
            map: map.iter().map(entry).collect(),
            preserve: Vec::new(),
        }
    }

    fn key(kind: u8, groups: u8, width: u8, syms: &[u32]) -> KeySymMap {
        KeySymMap { kt_index: [kind; 4], group_info: groups, width, syms: syms.to_vec() }
    }

    /// Keycodes from 8: nothing, `a A`, `q Q @` with AltGr, Shift, AltGr, nothing,
    /// a foreign binding, a second group, the keypad's 7.
    fn keymap() -> Keymap {
        let l3 = xkeysym::key::ISO_Level3_Shift;
        let modifier = |keycode, mods: u16| KeyModMap { keycode, mods: ModMask::from(mods) };
        Keymap {
            first: 8,
            types: vec![
                kind(0, 1, &[]),
                kind(SHIFT | LOCK, 2, &[(SHIFT, 1), (LOCK, 1)]),
                kind(SHIFT | MOD5, 4, &[(SHIFT, 1), (MOD5, 2), (SHIFT | MOD5, 3)]),
            ],
            keys: vec![
                key(0, 0, 0, &[]),
                key(1, 1, 2, &[0x61, 0x41]),
                key(2, 1, 4, &[0x71, 0x51, 0x40, 0]),
                key(0, 1, 1, &[xkeysym::key::Shift_L]),
                key(0, 1, 1, &[l3]),
                key(0, 0, 0, &[]),
                key(1, 1, 2, &[0xe9, 0xe9]),
                key(1, 2, 2, &[0x79, 0x59, 0x7a, 0x5a]),
                key(0, 1, 1, &[xkeysym::key::KP_7]),
            ],
            modifiers: vec![modifier(11, SHIFT), modifier(12, MOD5)],
        }
    }

    fn press(keycode: u8, shift: bool, altgr: bool) -> Option<Press> {
        Some(Press { keycode, hold: [shift.then_some(11), altgr.then_some(12), None] })
    }

    #[test]
    fn shift_and_altgr_select_levels() {
        let layout = Layout::read(&keymap(), 0, 0, &[]);
        assert_eq!(layout.press(symbol('a')), press(9, false, false));
        assert_eq!(layout.press(symbol('Q')), press(10, true, false));
        assert_eq!(layout.press(symbol('@')), press(10, false, true));
        assert_eq!(layout.press(symbol('€')), None);
    }

    #[test]
    fn a_locked_modifier_turns_the_levels_round() {
        let layout = Layout::read(&keymap(), 0, LOCK, &[]);
        assert_eq!(layout.press(symbol('A')), press(9, false, false));
        assert_eq!(layout.press(symbol('a')), press(9, true, false));
    }

    #[test]
    fn the_active_group_decides_and_keys_with_fewer_groups_wrap() {
        let (first, second) = (Layout::read(&keymap(), 0, 0, &[]), Layout::read(&keymap(), 1, 0, &[]));
        assert_eq!(first.press(symbol('y')), press(15, false, false));
        assert_eq!(second.press(symbol('z')), press(15, false, false));
        assert_eq!(second.press(symbol('y')), None);
        assert_eq!(second.press(symbol('a')), press(9, false, false));
    }

    #[test]
    fn the_keypad_is_not_used_for_digits() {
        let layout = Layout::read(&keymap(), 0, 0, &[]);
        assert_eq!(layout.press([xkeysym::key::KP_7; 2]), None);
    }

    #[test]
    fn a_window_is_asked_to_paste_with_the_key_that_is_v_or_would_be() {
        let mut map = keymap();
        map.keys[5] = key(0, 1, 1, &[xkeysym::key::Control_L]);
        let held = |keycode, shift: Option<u8>| Some(Press { keycode, hold: [Some(13), shift, None] });
        let layout = Layout::read(&map, 0, 0, &[]);
        assert_eq!(layout.chord(Chord::ControlV, None), held(55, None));
        map.keys[1] = key(1, 1, 2, &[0x76, 0x56]);
        let layout = Layout::read(&map, 0, 0, &[]);
        assert_eq!(layout.chord(Chord::ControlV, None), held(9, None));
        assert_eq!(layout.chord(Chord::ControlShiftV, None), held(9, Some(11)));
        assert_eq!(layout.chord(Chord::Paste, None), None);
        assert_eq!(Layout::read(&keymap(), 0, 0, &[]).chord(Chord::ControlV, None), None);
    }

    #[test]
    fn spare_keycodes_are_empty_ones_and_our_own_leavings() {
        let lent = |keycode, levels| Lent { keycode, levels };
        let empty = lent(13, [0, 0]);
        assert_eq!(keymap().spare(&[]), [empty]);
        let leavings = lent(14, [0xe9, 0xe9]);
        assert_eq!(keymap().spare(&[leavings]), [empty, leavings]);
    }

    #[test]
    fn a_keycode_that_a_new_layout_uses_is_no_longer_ours() {
        let before = Lent { keycode: 14, levels: [0xe9, 0xdf] };
        assert!(!keymap().spare(&[before]).contains(&before));
    }

    #[test]
    fn keys_that_hold_modifiers_are_known_by_map_or_by_name() {
        let mut map = keymap();
        map.modifiers.pop();
        assert_eq!(map.modifier_keys(), [11, 12]);
    }
}
