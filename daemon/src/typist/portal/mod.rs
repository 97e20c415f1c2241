//! Typing on desktops whose portal lends a keyboard: GNOME from 45 on, Plasma from 6 on.
//!
//! The portal gives, with the person's consent, a session ([`session`]) and a socket to
//! the compositor, over which keys of the desktop's own layouts are pressed ([`ei`]). One
//! session is held for the daemon's life, and a token ([`token`]) spares the question the
//! next time ([`life`]). What the layouts lack is pasted, from the compositor's clipboard
//! where that is lent to any program, and from that of the X server inside the session where
//! it is not, as GNOME shares it; the portal's is what remains.

mod desk;
mod ei;
mod life;
mod modifiers;
mod selection;
mod session;
mod token;

use super::listener::Listener;
use super::{Typist, TypistError, x11};
use life::Life;
use std::path::Path;
use token::Token;

pub(super) use selection::Selection;

/// Finds the portal of this session. Nobody is asked anything before a dictation begins.
///
/// # Errors
/// As for [`connect`].
pub fn open() -> Result<Box<dyn Typist>, TypistError> {
    connect(None, None, x11::display(), &crate::settings::state_dir())
}

/// Finds the portal on the bus with this address, or on the session's; the compositor is at
/// the socket `display`, or where the session says, and the X server inside it, if there is
/// one, at `x11` (":0"). The token that spares questions is in the folder `state`.
///
/// # Errors
/// [`TypistError::Unavailable`] when there is no bus, or no portal that lends keyboards over
/// the EI protocol.
pub fn connect(
    bus: Option<&str>,
    display: Option<&Path>,
    x11: Option<String>,
    state: &Path,
) -> Result<Box<dyn Typist>, TypistError> {
    let (bus, display) = (bus.map(str::to_owned), display.map(Path::to_owned));
    let token = Token::in_folder(state);
    let find = async move || Life::find(bus.as_deref(), display, x11, token).await;
    Ok(Box::new(Listener::start("portal", find)?))
}
