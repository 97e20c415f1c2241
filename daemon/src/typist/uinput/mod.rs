//! Typing with a keyboard that the kernel has from us (`/dev/uinput`): for sessions that lend
//! no other way, and for whoever asks for it by its name.
//!
//! To the desktop it is one more keyboard that somebody plugged in. So it has the layout
//! that the desktop gives to keyboards, and what that lacks cannot be typed. Nothing tells
//! where the keys go, nor that they arrived: no window is known here, text is not kept to
//! one, and nothing is taken back. Of several layouts the first counts as the active one
//! where the desktop does not tell.
//!
//! Keyboards of one desktop may have different layouts, as where one was set before ours was
//! plugged in. What a desktop tells is the layout of the keyboard that was used last, so ours
//! is used before it is asked.

mod device;
mod session;

use super::crowding::crowding;
use super::layout::{self, Active, Layout, Stroke};
use super::{Typist, TypistError};
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use swictation_core::Edit;
use swictation_core::edit::insertable;

/// How long the desktop and its programs get to notice that there is a new keyboard: udev
/// looks at it first, and keys that come before that are lost.
const NOTICED: Duration = Duration::from_secs(1);

/// How long an idle desktop gets for each event. The kernel keeps 64 for it and drops them all
/// when there are more, and nobody tells how far it has come: so it may be busy for 128 ms, and
/// longer where others want the processors, and 125 small letters a second are typed.
const EACH: Duration = Duration::from_millis(2);

/// A key that keyboards have and layouts do not: KEY_UNKNOWN of the kernel.
const MEANINGLESS: u32 = 240;

/// How long a keyboard outlives its last key, which is lost with it when nobody has read it.
const OUTLIVE: Duration = Duration::from_millis(300);

/// How long the desktop gets to see that our keyboard is the one in use.
const USED: Duration = Duration::from_millis(20);

/// What the keyboard that was used last has for a map, in the text form of xkb, and what is
/// active.
type Session = Box<dyn Fn() -> Result<(String, Active), String> + Send>;

/// A keyboard whose events go to `keys`.
struct Uinput<K> {
    keys: K,
    made: Instant,
    /// When the last key was written.
    written: Option<Instant>,
    session: Session,
    /// What `layout` was read from.
    read_from: (String, Active),
    layout: Layout,
}

/// Makes a keyboard for the session that the environment names.
///
/// # Errors
/// [`TypistError::Unavailable`] when that is not possible or not permitted, with what to do.
pub fn open() -> Result<Box<dyn Typist>, TypistError> {
    plug(Box::new(session::read))
}

/// Makes a keyboard for the compositor at this socket.
///
/// # Errors
/// As for [`open`].
pub fn wayland(socket: PathBuf) -> Result<Box<dyn Typist>, TypistError> {
    plug(Box::new(move || session::at_socket(&socket)))
}

/// Makes a keyboard for the X server `display` (":0").
///
/// # Errors
/// As for [`open`].
pub fn x11(display: String) -> Result<Box<dyn Typist>, TypistError> {
    plug(Box::new(move || session::x11(&display).ok_or_else(|| format!("{display} tells no layout"))))
}

fn plug(session: Session) -> Result<Box<dyn Typist>, TypistError> {
    let keys = device::open().map_err(TypistError::Unavailable)?;
    Ok(Box::new(Uinput::<File>::new(keys, session)))
}

impl<K: Write> Uinput<K> {
    fn new(keys: K, session: Session) -> Self {
        let (read_from, layout) = Default::default();
        Self { keys, made: Instant::now(), written: None, session, read_from, layout }
    }

    /// Uses the keyboard without typing anything.
    fn show(&mut self) -> io::Result<()> {
        std::thread::sleep(NOTICED.saturating_sub(self.made.elapsed()));
        self.keys.write_all(device::events(&Stroke { key: MEANINGLESS, hold: Vec::new() }).as_flattened())?;
        self.written = Some(Instant::now());
        std::thread::sleep(USED);
        Ok(())
    }

    /// Follows the session to its layout of now.
    fn look(&mut self) -> Result<(), String> {
        let now = (self.session)()?;
        if now != self.read_from {
            self.layout =
                Layout::read(&now.0, now.1).ok_or("the keyboard map of this session has mistakes")?;
            self.read_from = now;
        }
        Ok(())
    }

    /// How everything is typed, each character by itself, or why it is not.
    fn plan(&self, edit: &Edit) -> Result<Vec<Vec<Stroke>>, String> {
        let backspace = self.layout.backspace().map(|stroke| vec![stroke]);
        let erase = std::iter::repeat_n(backspace.ok_or("the keyboard layout has no BackSpace"), edit.erase);
        let insert = insertable(&edit.insert);
        let insert = insert.chars().map(|character| {
            let strokes = self.layout.strokes(character).map(<[Stroke]>::to_vec);
            strokes.ok_or_else(|| lacks(character))
        });
        erase.map(|strokes| strokes.map_err(str::to_owned)).chain(insert).collect()
    }

    /// Types everything; `done` counts the characters that were written.
    fn write(&mut self, plan: &[Vec<Stroke>], done: &mut usize) -> io::Result<()> {
        for strokes in plan {
            let events: Vec<_> = strokes.iter().flat_map(device::events).collect();
            self.keys.write_all(events.as_flattened())?;
            *done += 1;
            self.written = Some(Instant::now());
            std::thread::sleep(EACH.mul_f64(events.len() as f64 * crowding()));
        }
        Ok(())
    }
}

impl<K: Write + Send> Typist for Uinput<K> {
    fn name(&self) -> &'static str {
        "uinput"
    }

    fn apply(&mut self, edit: &Edit) -> Result<(), TypistError> {
        let lost = |typed, e| TypistError::Lost {
            typed,
            reason: format!("the kernel takes no keys through {}: {e}", device::PATH),
        };
        self.show().map_err(|e| lost(0, e))?;
        self.look().map_err(TypistError::nowhere)?;
        let plan = self.plan(edit).map_err(TypistError::nowhere)?;
        let mut done = 0;
        self.write(&plan, &mut done).map_err(|e| lost(done.saturating_sub(edit.erase), e))
    }
}

impl<K> Drop for Uinput<K> {
    fn drop(&mut self) {
        if let Some(written) = self.written {
            std::thread::sleep(OUTLIVE.saturating_sub(written.elapsed()));
        }
    }
}

/// Why a character cannot be typed, without saying which.
fn lacks(character: char) -> String {
    format!(
        "the keyboard layout lacks {}, and the typist \"uinput\" has keys alone; add a layout that has it, \
         or choose another typist",
        layout::kind(character)
    )
}

#[cfg(test)]
mod tests;
