//! Typing on Wayland with a keyboard of our own (`zwp_virtual_keyboard_v1`), which Sway,
//! Hyprland, niri, river, labwc and others offer.
//!
//! The keyboard brings its keymap along ([`keymap`]), so the layout, Caps Lock and the
//! modifiers of the person's own keyboard do not matter: they are another device's. After
//! every character the compositor is asked for an answer, which confirms how far it came
//! and holds the typist back to its pace. Where the compositor tells of its windows, text
//! is not typed while none has the focus ([`seen`]). The keyboard lives as long as the
//! typist: the first one of a seat has to be noticed by all programs before its keys are.
//! Between two edits nothing is watched, and no events pile up.

mod keymap;
mod press;
mod seen;

use super::clipboard::Chord;
use super::paste::Keyboard;
use super::{Keys, Typist, TypistError, compositor};
use keymap::Keymap;
use press::Halt;
use rustix::fs::{MemfdFlags, memfd_create};
use seen::Seen;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};
use swictation_core::Edit;
use wayland_client::globals::{GlobalList, registry_queue_init};
use wayland_client::protocol::wl_keyboard::KeymapFormat;
use wayland_client::protocol::wl_seat::WlSeat;
use wayland_client::{Connection, Dispatch, EventQueue, Proxy, QueueHandle};
use wayland_protocols_misc::zwp_virtual_keyboard_v1::client::zwp_virtual_keyboard_manager_v1::ZwpVirtualKeyboardManagerV1;
use wayland_protocols_misc::zwp_virtual_keyboard_v1::client::zwp_virtual_keyboard_v1::ZwpVirtualKeyboardV1;
use wayland_protocols_wlr::foreign_toplevel::v1::client::zwlr_foreign_toplevel_manager_v1::ZwlrForeignToplevelManagerV1;

/// How long programs get to notice that the seat has a keyboard now.
const NOTICED: Duration = Duration::from_millis(150);

/// A keyboard of one Wayland compositor.
pub struct Wayland {
    connection: Connection,
    queue: EventQueue<Seen>,
    globals: GlobalList,
    seen: Seen,
    keyboard: ZwpVirtualKeyboardV1,
    /// What tells of windows, while they matter.
    windows: Option<ZwlrForeignToplevelManagerV1>,
    keymap: Keymap,
    made: Instant,
    /// Programs may not know yet that there is a keyboard.
    fresh: bool,
    /// The number of the last request for an answer.
    asked: u64,
    modifiers: u32,
}

/// Opens the compositor that the environment names.
///
/// # Errors
/// [`TypistError::Unavailable`] as for [`Wayland::connect`], or where there is none.
pub fn open() -> Result<Box<dyn Typist>, TypistError> {
    let connection = compositor::connect(None).map_err(TypistError::Unavailable)?;
    Ok(Box::new(Wayland::connect(connection)?))
}

impl Wayland {
    /// Makes a keyboard for the first seat of a compositor.
    ///
    /// # Errors
    /// [`TypistError::Unavailable`] when the compositor offers no virtual keyboards, has
    /// no seat, or goes away.
    pub fn connect(connection: Connection) -> Result<Self, TypistError> {
        let failed = |e: &dyn std::fmt::Display| {
            TypistError::Unavailable(format!("the Wayland compositor does not answer: {e}"))
        };
        let (globals, mut queue) = registry_queue_init::<Seen>(&connection).map_err(|e| failed(&e))?;
        let hand = queue.handle();
        let manager = bind::<ZwpVirtualKeyboardManagerV1>(&globals, &hand)?;
        let seat = bind::<WlSeat>(&globals, &hand)?;
        let mut seen = Seen::default();
        // The seat tells what it has without ours.
        queue.roundtrip(&mut seen).map_err(|e| failed(&e))?;
        let mut wayland = Self {
            keyboard: manager.create_virtual_keyboard(&seat, &hand, ()),
            fresh: !seen.keyboard,
            windows: None,
            connection,
            queue,
            globals,
            seen,
            keymap: Keymap::default(),
            made: Instant::now(),
            asked: 0,
            modifiers: 0,
        };
        wayland.give_keymap().and_then(|()| wayland.answer()).map_err(|halt| failed(&halt))?;
        Ok(wayland)
    }

    /// Hands the keymap over; keys that follow are looked up in it. What is held with the old
    /// one, programs forget, and no compositor tells them again unless it changes.
    fn give_keymap(&mut self) -> Result<(), Halt> {
        if std::mem::take(&mut self.modifiers) != 0 {
            self.keyboard.modifiers(0, 0, 0, 0);
        }
        let text = self.keymap.text() + "\0";
        let file = memfd_create("swictation-keymap", MemfdFlags::CLOEXEC).map_err(std::io::Error::from)?;
        let mut file = File::from(file);
        file.write_all(text.as_bytes())?;
        self.keyboard.keymap(KeymapFormat::XkbV1.into(), file.as_fd(), text.len() as u32);
        Ok(())
    }

    /// Has the compositor tell of its windows, if it tells of any.
    fn see_windows(&mut self) {
        if self.windows.is_none() {
            self.windows = self.globals.bind(&self.queue.handle(), 1..=3, ()).ok();
            if self.windows.is_some() {
                self.seen.watch();
            }
        }
    }

    fn see_no_windows(&mut self) {
        if let Some(windows) = self.windows.take() {
            self.seen.rest();
            windows.stop();
        }
    }

    /// Does some work while the compositor tells of its windows.
    fn seeing(&mut self, work: impl FnOnce(&mut Self) -> Result<(), Halt>) -> Result<(), Halt> {
        let watches = self.windows.is_some();
        self.see_windows();
        if std::mem::take(&mut self.fresh) {
            std::thread::sleep(NOTICED.saturating_sub(self.made.elapsed()));
        }
        let done = self.answer().and_then(|()| work(self));
        if !watches {
            self.see_no_windows();
        }
        done
    }
}

impl Typist for Wayland {
    fn name(&self) -> &'static str {
        "wayland"
    }

    fn keys(&mut self, keys: &Keys) -> bool {
        *keys == Keys::Direct
    }

    fn apply(&mut self, edit: &Edit) -> Result<(), TypistError> {
        let mut typed = 0;
        self.seeing(|wayland| wayland.edit(edit, &mut typed)).map_err(|halt| halt.after(typed))
    }

    fn watch(&mut self, keep: bool) {
        self.rest();
        if keep {
            self.see_windows();
            // A compositor that does not answer says so at the next edit.
            if self.answer().is_ok() {
                self.seen.keep();
            }
        }
    }

    fn knows_windows(&self) -> bool {
        self.globals.contents().with_list(|all| {
            all.iter().any(|global| global.interface == ZwlrForeignToplevelManagerV1::interface().name)
        })
    }

    fn is_home(&mut self) -> bool {
        let mut home = true;
        let looked = self.seeing(|wayland| {
            home = wayland.seen.is_home();
            Ok(())
        });
        looked.is_err() || home
    }

    fn class(&mut self) -> Option<String> {
        let mut class = None;
        let looked = self.seeing(|wayland| {
            class = wayland.seen.class();
            Ok(())
        });
        looked.ok().and(class)
    }

    fn tend(&mut self) {
        if self.windows.is_some() {
            let _ = self.answer();
        }
    }

    fn rest(&mut self) {
        self.see_no_windows();
    }
}

impl Keyboard for Wayland {
    fn press_chord(&mut self, chord: Chord) -> Result<bool, TypistError> {
        let pressed = self.seeing(|wayland| {
            let pressed = wayland.stride(&[Keymap::chord(chord)], &mut 0);
            wayland.let_go()?;
            pressed
        });
        pressed.map(|()| true).map_err(|halt| halt.after(0))
    }
}

/// Something that the compositor must offer.
fn bind<I>(globals: &GlobalList, hand: &QueueHandle<Seen>) -> Result<I, TypistError>
where
    I: Proxy + 'static,
    Seen: Dispatch<I, ()>,
{
    globals.bind(hand, 1..=1, ()).map_err(|_| {
        TypistError::Unavailable(format!(
            "this Wayland compositor does not offer {}, as GNOME's and KDE's do not",
            I::interface().name
        ))
    })
}
