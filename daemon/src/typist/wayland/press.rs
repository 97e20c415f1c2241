//! Presses keys, and counts those that the compositor took where they were meant to go.

use super::Wayland;
use super::keymap::{BACKSPACE, Press};
use super::seen::Place;
use crate::typist::pace::{PAUSE, STRIDE};
use crate::typist::{ELSEWHERE, TypistError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::time::{Duration, Instant};
use swictation_core::Edit;
use swictation_core::edit::insertable;
use wayland_client::DispatchError;
use wayland_client::backend::WaylandError;
use wayland_client::protocol::wl_keyboard::KeyState;

/// How long the compositor may take for a stride.
const PATIENCE: Duration = Duration::from_secs(5);

const NO_FOCUS: &str = "no window has the focus";

impl Wayland {
    /// Presses a key and lets it go, and asks for an answer.
    fn press(&mut self, press: Press) {
        if press.modifiers != self.modifiers {
            self.modifiers = press.modifiers;
            self.keyboard.modifiers(self.modifiers, 0, 0, 0);
        }
        // Only differences between these times matter, and they may wrap around.
        let time = self.made.elapsed().as_millis() as u32;
        for state in [KeyState::Pressed, KeyState::Released] {
            self.keyboard.key(time, press.key.into(), state.into());
        }
        self.ask();
    }

    fn ask(&mut self) {
        self.asked += 1;
        self.connection.display().sync(&self.queue.handle(), self.asked);
    }

    /// Waits until the compositor has done everything so far.
    pub(super) fn answer(&mut self) -> Result<(), Halt> {
        self.ask();
        self.wait()
    }

    /// Waits until every request for an answer has one.
    fn wait(&mut self) -> Result<(), Halt> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.queue.dispatch_pending(&mut self.seen)?;
            if self.seen.answered == self.asked {
                return Ok(());
            }
            let full = match self.connection.flush() {
                Ok(()) => PollFlags::empty(),
                Err(WaylandError::Io(e)) if e.kind() == std::io::ErrorKind::WouldBlock => PollFlags::OUT,
                Err(e) => return Err(e.into()),
            };
            let Some(guard) = self.queue.prepare_read() else { continue };
            let left = deadline.saturating_duration_since(Instant::now());
            let fd = guard.connection_fd();
            let mut waited = [PollFd::new(&fd, PollFlags::IN | full)];
            let timeout = Timespec::try_from(left).ok();
            match poll(&mut waited, timeout.as_ref()) {
                Ok(0) => return Err(Halt::Silent),
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(std::io::Error::from(e).into()),
            }
            match guard.read() {
                Err(WaylandError::Io(e)) if e.kind() == std::io::ErrorKind::WouldBlock => {}
                read => drop(read?),
            }
        }
    }

    /// Types as much of a text as the compositor takes; how many characters that were is
    /// in `typed`, also when it stops before the end.
    fn type_text(&mut self, text: &[char], typed: &mut usize) -> Result<(), Halt> {
        while *typed < text.len() {
            let rest = &text[*typed..];
            let (count, changed) = self.keymap.admit(&rest[..rest.len().min(STRIDE)]);
            if changed {
                self.give_keymap()?;
            }
            let presses: Vec<_> = rest[..count].iter().filter_map(|c| self.keymap.press(*c)).collect();
            self.stride(&presses, typed)?;
            if *typed < text.len() {
                std::thread::sleep(PAUSE);
            }
        }
        Ok(())
    }

    /// Presses some keys and waits for them; adds those that arrived to `typed`.
    pub(super) fn stride(&mut self, presses: &[Press], typed: &mut usize) -> Result<(), Halt> {
        self.seen.begin();
        self.place()?;
        let before = self.asked;
        self.seen.arrived = before;
        presses.iter().for_each(|press| self.press(*press));
        let done = self.wait();
        *typed += (self.seen.arrived - before) as usize;
        done?;
        self.place()
    }

    /// Whether the keys went where they were meant to go.
    fn place(&self) -> Result<(), Halt> {
        match self.seen.place {
            Place::Window => Ok(()),
            Place::Nowhere => Err(Halt::Nowhere),
            Place::Elsewhere => Err(Halt::Elsewhere),
        }
    }

    pub(super) fn edit(&mut self, edit: &Edit, typed: &mut usize) -> Result<(), Halt> {
        let mut erased = 0;
        while erased < edit.erase {
            let presses = [Press::of(BACKSPACE); STRIDE];
            self.stride(&presses[..STRIDE.min(edit.erase - erased)], &mut erased)?;
        }
        let text: Vec<char> = insertable(&edit.insert).chars().collect();
        let done = self.type_text(&text, typed);
        self.let_go()?;
        done
    }

    /// Holds no modifier any more.
    pub(super) fn let_go(&mut self) -> Result<(), Halt> {
        if std::mem::take(&mut self.modifiers) != 0 {
            self.keyboard.modifiers(0, 0, 0, 0);
            self.answer()?;
        }
        Ok(())
    }
}

/// Why typing stops before the end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Halt {
    #[error("{NO_FOCUS}")]
    Nowhere,
    #[error("{ELSEWHERE}")]
    Elsewhere,
    #[error("it has not answered for {} s", PATIENCE.as_secs())]
    Silent,
    #[error("{0}")]
    Connection(#[from] WaylandError),
    #[error("{0}")]
    Protocol(#[from] DispatchError),
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

impl Halt {
    /// What is told when so many characters had arrived.
    pub(super) fn after(self, typed: usize) -> TypistError {
        match self {
            Self::Nowhere => TypistError::Nowhere { typed, reason: self.to_string() },
            Self::Elsewhere => TypistError::Elsewhere { typed },
            _ => TypistError::Lost { typed, reason: format!("the Wayland compositor is lost: {self}") },
        }
    }
}
