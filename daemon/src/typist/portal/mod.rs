//! Typing on desktops whose portal lends a keyboard: GNOME from 45 on, Plasma from 6 on.
//!
//! The portal gives, with the person's consent, a session ([`session`]) and a socket to
//! the compositor, over which keys of the desktop's own layouts are pressed ([`ei`]). One
//! session is held for the daemon's life, and a token ([`token`]) spares the question the
//! next time ([`life`]). What the layouts lack is pasted, from the compositor's clipboard
//! where that is lent to any program, and from the portal's where it is not.

mod desk;
mod ei;
mod life;
mod selection;
mod session;
mod token;

use super::listener::Listener;
use super::{Typist, TypistError};
use life::Life;
use std::path::Path;
use swictation_core::Edit;
use token::Token;

pub(super) use selection::Selection;

/// The keyboard that the desktop's portal lends.
pub struct Portal(Listener);

/// Finds the portal of this session. Nobody is asked anything before a dictation begins.
///
/// # Errors
/// As for [`Portal::connect`].
pub fn open() -> Result<Box<dyn Typist>, TypistError> {
    Ok(Box::new(Portal::connect(None, None, &crate::settings::state_dir())?))
}

impl Portal {
    /// Finds the portal on the bus with this address, or on the session's; the compositor is
    /// at the socket `display`, or where the session says. The token that spares questions is
    /// in the folder `state`.
    ///
    /// # Errors
    /// [`TypistError::Unavailable`] when there is no bus, or no portal that lends keyboards
    /// over the EI protocol.
    pub fn connect(bus: Option<&str>, display: Option<&Path>, state: &Path) -> Result<Self, TypistError> {
        let (bus, display) = (bus.map(str::to_owned), display.map(Path::to_owned));
        let token = Token::in_folder(state);
        let find = async move || Life::find(bus.as_deref(), display, token).await;
        Listener::start("portal", find).map(Self)
    }
}

impl Typist for Portal {
    fn name(&self) -> &'static str {
        "portal"
    }

    fn apply(&mut self, edit: &Edit) -> Result<(), TypistError> {
        self.0.apply(edit)
    }

    fn watch(&mut self, keep: bool) {
        self.0.watch(keep);
    }

    fn rest(&mut self) {
        self.0.rest();
    }
}
