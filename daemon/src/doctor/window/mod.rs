//! A window that collects what is typed into it.
//!
//! It is made with the desktop's own protocol and reads keys as every program of the
//! desktop does, so what arrives here arrives in other windows, too.

mod wayland;
mod x11;

use std::time::Duration;

/// What a person sees in the window's frame.
pub(super) const TITLE: &str = "Swictation types here";

/// The size of the window in pixels.
const SIZE: (u16, u16) = (480, 120);

/// A window on the screen.
pub(super) trait Window {
    /// Waits until the window has the focus; false when that does not happen.
    fn wait_for_focus(&mut self, patience: Duration) -> bool;
    /// What was typed since the last call, after waiting so long for it.
    fn collect(&mut self, patience: Duration) -> String;
}

/// Opens a window that the typist of that name can type into.
///
/// # Errors
/// Why there is none, for a person.
pub(super) fn open(typist: &str) -> Result<Box<dyn Window>, String> {
    match typist {
        "stdout" => Err("it prints, and types into no window".to_owned()),
        // They type on the X server whatever else is there.
        "x11" | "enigo" => Ok(Box::new(x11::Collector::open()?)),
        _ if crate::typist::x11::is_session() => Ok(Box::new(x11::Collector::open()?)),
        _ => Ok(Box::new(wayland::Collector::open()?)),
    }
}
