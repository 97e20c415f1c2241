//! From keys to text, as libxkbcommon has it.

use crate::typist::layout;
use std::fs::File;
use std::os::fd::OwnedFd;
use xkbcommon::xkb;
use xkbcommon::xkb::compose;

/// How much the keycodes of xkb are above those of the kernel.
const OFFSET: u32 = 8;

/// The keyboard's state, and what dead keys have begun.
#[derive(Default)]
pub(super) struct Keys {
    state: Option<xkb::State>,
    composing: Option<compose::State>,
}

impl Keys {
    /// Takes over the keymap of that size in a file; none when it is no keymap.
    pub(super) fn load(&mut self, file: OwnedFd, size: u32) {
        let context = xkb::Context::new(xkb::CONTEXT_NO_FLAGS);
        let (format, flags) = (xkb::KEYMAP_FORMAT_TEXT_V1, xkb::KEYMAP_COMPILE_NO_FLAGS);
        let text = layout::map_in(&File::from(file), size).ok().flatten().unwrap_or_default();
        let keymap = xkb::Keymap::new_from_string(&context, text, format, flags);
        self.state = keymap.map(|keymap| xkb::State::new(&keymap));
        let table =
            compose::Table::new_from_locale(&context, "en_US.UTF-8".as_ref(), compose::COMPILE_NO_FLAGS);
        self.composing = table.ok().map(|table| compose::State::new(&table, compose::STATE_NO_FLAGS));
    }

    /// Modifiers that are held, latched and locked, and the group.
    pub(super) fn modify(&mut self, [held, latched, locked]: [u32; 3], group: u32) {
        if let Some(state) = &mut self.state {
            state.update_mask(held, latched, locked, 0, 0, group);
        }
    }

    /// Whether a key, with what is held, pastes.
    pub(super) fn pastes(&self, key: u32) -> bool {
        self.state.as_ref().is_some_and(|state| {
            let control = state.mod_name_is_active(xkb::MOD_NAME_CTRL, xkb::STATE_MODS_EFFECTIVE);
            let latin = state.key_get_one_sym(xkb::Keycode::new(key + OFFSET)).key_char();
            // evdev's V, for layouts without Latin letters.
            control && (key == 47 || latin.is_some_and(|c| c.eq_ignore_ascii_case(&'v')))
        })
    }

    /// What a key types, with what is held and what dead keys have begun.
    pub(super) fn text(&mut self, key: u32) -> String {
        let Some(state) = &self.state else { return String::new() };
        let keycode = xkb::Keycode::new(key + OFFSET);
        let Some(composing) = &mut self.composing else { return state.key_get_utf8(keycode) };
        composing.feed(state.key_get_one_sym(keycode));
        match composing.status() {
            compose::Status::Composed => composing.utf8().unwrap_or_default(),
            compose::Status::Nothing => state.key_get_utf8(keycode),
            compose::Status::Composing | compose::Status::Cancelled => String::new(),
        }
    }
}
