//! Pressing keys, a few at a time: no more than the server has confirmed are behind, none
//! for a window that text is not for, and a key becomes another character only when the
//! window has come to it.

use super::keymap::{BACKSPACE, Layout, Press, Symbol};
use super::slots::Batch;
use super::{Halt, X11};
use crate::typist::clipboard::Chord;
use crate::typist::crowding::crowding;
use crate::typist::pace::{PAUSE, STRIDE};
use std::time::{Duration, Instant};
use x11rb::errors::{ConnectionError, ReplyError};

/// How long programs get to notice new bindings; 30 ms lost characters in one of
/// four runs on a machine with more busy processes than cores, 100 ms in none.
const SETTLE: Duration = Duration::from_millis(100);

/// How long a binding outlives the last press of its key, so that a program that cannot be
/// asked translates the press with the right symbol: on an idle machine, see [`X11::outlive`].
const OUTLIVE: Duration = Duration::from_millis(300);

/// How long a hotkey may be held, or a menu be open, before text is given back.
const GRABBED: Duration = Duration::from_millis(300);

/// The same when text is taken back, which a hotkey asks for that is still held.
const HELD: Duration = Duration::from_secs(3);

impl X11 {
    /// Makes the bindings of a batch and lets programs notice them.
    fn bind(&mut self, batch: &Batch) -> Result<(), ReplyError> {
        if batch.binds.is_empty() {
            return Ok(());
        }
        self.outlive(batch.recycled)?;
        self.server.claim(&self.slots.lent())?;
        self.server.bind(&batch.binds)?;
        // That the map changed is our own doing; a new keyboard is not.
        self.stale |= self.server.changes()?.keyboard;
        std::thread::sleep(SETTLE);
        Ok(())
    }

    /// Waits until a binding whose key was pressed at `pressed` may go. A window that tells
    /// nobody how far it is takes the longer the more others want the processors, so the
    /// wait grows with their number.
    pub(super) fn outlive(&mut self, pressed: Option<Instant>) -> Result<(), ReplyError> {
        let (Some(pressed), Some((window, since))) = (pressed, self.reached) else { return Ok(()) };
        // The window before this one may have got keys until this one did.
        let unknown = if self.ping.wait(window)? { since } else { pressed.max(since) };
        std::thread::sleep(OUTLIVE.mul_f64(crowding()).saturating_sub(unknown.elapsed()));
        Ok(())
    }

    /// Presses the keys for all `symbols`; `done` counts those that are confirmed.
    pub(super) fn type_all(&mut self, symbols: &[Symbol], done: &mut usize) -> Result<(), Halt> {
        self.observe()?;
        if let Some(halt) = self.obstacle(GRABBED)? {
            return Err(halt);
        }
        let no_key = |layout: &Layout| symbols.iter().any(|s| layout.press(*s).is_none());
        if self.slots.is_empty() && no_key(&self.layout) {
            return Err(Halt::NoKey);
        }
        while *done < symbols.len() {
            let batch = self.slots.plan(&self.layout, &symbols[*done..]);
            if batch.presses.is_empty() {
                return Err(Halt::NoKey);
            }
            self.bind(&batch)?;
            // Much can happen while programs settle.
            let mut changed = !batch.binds.is_empty() && self.observe()?;
            for stride in batch.presses.chunks(STRIDE) {
                if changed {
                    break;
                }
                if let Some(halt) = self.obstacle(GRABBED)? {
                    return Err(halt);
                }
                let Some(sent) = self.press_at_home(stride)? else { continue };
                changed = self.observe()?;
                let nowhere = self.receiver.is_none() || self.is_elsewhere();
                let arrived = self.watch.arrived(&sent, nowhere);
                *done += arrived;
                // The rest of the stride went nowhere and is planned again.
                changed |= arrived < stride.len();
                if *done < symbols.len() {
                    std::thread::sleep(PAUSE);
                }
            }
            self.slots.note(&batch, Instant::now());
        }
        Ok(())
    }

    /// Presses keys; the numbers of the requests that did.
    fn press(&mut self, presses: &[Press]) -> Result<Vec<u64>, ConnectionError> {
        self.watch.begin();
        let window = self.receiver.map(|receiver| receiver.window);
        if self.reached.map(|(reached, _)| reached) != window {
            self.reached = window.map(|window| (window, Instant::now()));
        }
        let watch = &mut self.watch;
        presses.iter().map(|press| self.server.press(press, |request| watch.pressed(request))).collect()
    }

    /// Presses keys as [`X11::press`] does, but none that would reach another window than
    /// the one that text is kept to: nobody else can move the focus meanwhile.
    fn press_at_home(&mut self, presses: &[Press]) -> Result<Option<Vec<u64>>, ReplyError> {
        if !self.keep {
            return Ok(Some(self.press(presses)?));
        }
        self.server.grab(true)?;
        let (_, focus, _) = self.look()?;
        self.attend(focus)?;
        self.home = self.home.or(self.top);
        let sent = match self.is_elsewhere() || self.receiver.is_none() {
            true => None,
            false => Some(self.press(presses)?),
        };
        self.server.grab(false)?;
        Ok(sent)
    }

    /// Presses what asks the window to paste, if the keyboard has it.
    pub(super) fn ask_to_paste(&mut self, chord: Chord) -> Result<bool, Halt> {
        self.observe()?;
        loop {
            if let Some(halt) = self.obstacle(GRABBED)? {
                return Err(halt);
            }
            let lent = if self.layout.latin { None } else { self.lend_v()? };
            let Some(press) = self.layout.chord(chord, lent) else { return Ok(false) };
            if self.press_at_home(&[press])?.is_some() {
                self.observe()?;
                return Ok(true);
            }
        }
    }

    /// Lends a keycode to V, which commands are made with and this keyboard does not have.
    fn lend_v(&mut self) -> Result<Option<u8>, ReplyError> {
        let batch = self.slots.plan(&self.layout, &[[xkeysym::key::v; 2]]);
        if !batch.binds.is_empty() {
            self.bind(&batch)?;
            // Much can happen while programs settle.
            self.observe()?;
        }
        self.slots.note(&batch, Instant::now());
        Ok(batch.presses.first().filter(|press| press.hold == [None; 3]).map(|press| press.keycode))
    }

    /// Presses BackSpace as long as nobody comes in between; why it stopped.
    pub(super) fn erase(&mut self, characters: usize) -> Result<Option<String>, ReplyError> {
        self.observe()?;
        let obstacle = self.obstacle(HELD)?.and_then(|halt| halt.why());
        if let Some(why) = obstacle.or_else(|| self.watch.touched()) {
            return Ok(Some(why.to_owned()));
        }
        let Some(backspace) = self.layout.press([BACKSPACE; 2]) else {
            return Ok(Some("the keyboard layout has no BackSpace".to_owned()));
        };
        for erased in 1..=characters {
            self.press(&[backspace])?;
            self.observe()?;
            let obstacle = self.obstacle(Duration::ZERO)?.and_then(|halt| halt.why());
            if let Some(why) = obstacle.or_else(|| self.watch.touched()) {
                return Ok(Some(format!("{why}, after {erased} of {characters} characters were erased")));
            }
            if erased % STRIDE == 0 {
                std::thread::sleep(PAUSE);
            }
        }
        Ok(None)
    }
}
