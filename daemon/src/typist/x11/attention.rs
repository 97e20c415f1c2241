//! What the typist sees between its keys: the keyboard's state, what has the focus, and
//! whether another program has taken the keyboard.

use super::keymap::Layout;
use super::server::{Changes, Receiver};
use super::watch::Watch;
use super::{Halt, X11};
use std::time::{Duration, Instant};
use x11rb::errors::{ConnectionError, ReplyError};
use x11rb::protocol::xkb::GetStateReply;
use x11rb::protocol::xproto::{ModMask, Window};

/// How often the server is asked meanwhile.
const AGAIN: Duration = Duration::from_millis(10);

impl X11 {
    /// Works out what the active layout can type.
    pub(super) fn read_layout(&mut self) -> Result<(), ReplyError> {
        let (group, locked) = layout_state(&self.server.state()?);
        let map = self.server.keymap()?;
        let spare = map.spare(&self.server.claims()?);
        self.layout = Layout::read(&map, group, locked, &spare);
        self.modifier_keys = map.modifier_keys();
        self.slots.renew(&spare, self.layout.shift);
        (self.read_for, self.stale) = ((group, locked), false);
        Ok(())
    }

    /// Waits until the server has done everything so far, takes the user's
    /// modifiers off the keyboard and follows a change of the layout; `true` when
    /// it is another one now and presses must be planned again.
    pub(super) fn observe(&mut self) -> Result<bool, ReplyError> {
        let (mut state, focus, changes) = self.look()?;
        self.attend(focus)?;
        if u16::from(state.base_mods) != 0 || state.base_group != 0 {
            self.release_modifiers()?;
            state = self.server.state()?;
        }
        let caps = u16::from(state.locked_mods) & u16::from(ModMask::LOCK) != 0;
        if caps || u16::from(state.latched_mods) != 0 {
            self.caps |= caps;
            self.server.caps_lock(false, state.latched_mods)?;
        }
        let changed = self.stale || changes.map || changes.keyboard || layout_state(&state) != self.read_for;
        if changed {
            self.read_layout()?;
        }
        Ok(changed)
    }

    /// The keyboard's state, what has the focus, and what has changed since the last look.
    pub(super) fn look(&mut self) -> Result<(GetStateReply, Window, Changes), ReplyError> {
        let mut changes = Changes::default();
        loop {
            let (state, focus) = self.server.look()?;
            let more = self.server.changes()?;
            (changes.map, changes.keyboard) = (changes.map || more.map, changes.keyboard || more.keyboard);
            let mut lost = false;
            for (done, told) in more.told {
                lost |= self.watch.hear(done, told, &self.modifier_keys);
            }
            // Nobody knows whether the focus was asked for before that or behind it.
            if !lost {
                return Ok((state, focus, changes));
            }
        }
    }

    /// Finds out what gets the keys now, and has the server tell when that ends.
    pub(super) fn attend(&mut self, mut focus: Window) -> Result<(), ReplyError> {
        if self
            .receiver
            .is_some_and(|old| old.stays && old.window == focus && self.watch.window() == Some(focus))
        {
            return Ok(());
        }
        self.attend_to_nothing()?;
        loop {
            self.receiver = self.server.receiver(focus)?;
            if let (true, Some(receiver)) = (self.keep, self.receiver) {
                self.top = self.server.top(receiver.window)?;
            }
            let Some(Receiver { window, stays: true }) = self.receiver else {
                self.watch.turn_to(None, false);
                return Ok(());
            };
            self.server.tell_of_focus(window, true)?;
            // It may have moved before the server knew that we want to know.
            let (_, now) = self.server.look()?;
            if now == focus {
                // A key that is held may be a hotkey, which another program then gets.
                let held = self.server.down()?.iter().any(|keys| *keys != 0);
                let grabbed = held && self.server.is_grabbed()?;
                self.watch.turn_to(Some(window), grabbed);
                return Ok(());
            }
            self.server.tell_of_focus(window, false)?;
            focus = now;
        }
    }

    /// The server need not tell of the focus any more.
    fn attend_to_nothing(&mut self) -> Result<(), ConnectionError> {
        self.watch.window().map_or(Ok(()), |window| self.server.tell_of_focus(window, false))
    }

    /// Why nothing can be typed now, after some patience with who has the keyboard.
    pub(super) fn obstacle(&mut self, patience: Duration) -> Result<Option<Halt>, ReplyError> {
        let begun = Instant::now();
        while self.watch.is_grabbed() && begun.elapsed() < patience {
            std::thread::sleep(AGAIN);
            self.observe()?;
        }
        Ok(match self.receiver {
            None => Some(Halt::Nowhere(NO_FOCUS)),
            Some(_) if self.watch.is_grabbed() => Some(Halt::Nowhere(TAKEN)),
            Some(_) if self.is_elsewhere() => Some(Halt::Elsewhere),
            Some(_) => None,
        })
    }

    /// Another window has the focus than the one that text is kept to.
    pub(super) fn is_elsewhere(&self) -> bool {
        self.keep && self.home.is_some() && self.top != self.home
    }

    fn release_modifiers(&self) -> Result<(), ReplyError> {
        let down = self.server.down()?;
        for keycode in &self.modifier_keys {
            if down[usize::from(keycode >> 3)] >> (keycode & 7) & 1 == 1 {
                self.server.release(*keycode)?;
            }
        }
        Ok(())
    }

    /// Forgets what was seen, and sees people or does not from here on.
    pub(super) fn see(&mut self, people: bool) -> Result<(), ReplyError> {
        self.attend_to_nothing()?;
        if self.server.tells_of_people {
            self.server.tell_of_people(people)?;
        }
        // What was told before is not about what comes.
        self.server.state()?;
        let changes = self.server.changes()?;
        self.stale |= changes.map || changes.keyboard;
        self.receiver = None;
        self.watch = Watch::new(people && self.server.tells_of_people);
        Ok(())
    }
}

/// What a layout depends on besides the map: the group and the locked modifiers,
/// Caps Lock excepted, which is off while we type.
fn layout_state(state: &GetStateReply) -> (u8, u16) {
    (u8::from(state.group), u16::from(state.locked_mods) & !u16::from(ModMask::LOCK))
}

const NO_FOCUS: &str = "nothing that takes text has the focus; click into a window";

const TAKEN: &str =
    "another program has taken the keyboard: a hotkey is held, or a menu or a lock screen is open";
