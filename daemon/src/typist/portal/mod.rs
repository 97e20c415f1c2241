//! Typing on desktops whose portal lends a keyboard: GNOME from 45 on, Plasma from 6 on.
//!
//! The portal gives, with the person's consent, a session ([`session`]) and a socket to
//! the compositor, over which keys of the desktop's own layouts are pressed ([`ei`]). One
//! session is held for the daemon's life, and a token ([`token`]) spares the question the
//! next time. What the layouts lack is pasted ([`clipboard`]).
//!
//! Desktop and portal say things at any time: that a key was pressed, that somebody wants
//! the clipboard, that the session is over. So all this lives on a thread of its own
//! ([`life`]), asleep until one of them or the typist has something.

mod clipboard;
mod desk;
mod ei;
mod life;
mod selection;
mod session;
mod token;

use super::{Typist, TypistError};
use crate::control::dbus::runtime;
use life::{Life, Order};
use std::path::Path;
use std::sync::mpsc;
use std::thread::JoinHandle;
use swictation_core::Edit;
use token::Token;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// The keyboard that the desktop's portal lends.
pub struct Portal {
    orders: Option<UnboundedSender<Order>>,
    thread: Option<JoinHandle<()>>,
}

/// Finds the portal of this session. Nobody is asked anything before a dictation begins.
///
/// # Errors
/// As for [`Portal::connect`].
pub fn open() -> Result<Box<dyn Typist>, TypistError> {
    Ok(Box::new(Portal::connect(None, &crate::settings::state_dir())?))
}

impl Portal {
    /// Finds the portal on the bus with this address, or on the session's; the token that
    /// spares questions is in the folder `state`.
    ///
    /// # Errors
    /// [`TypistError::Unavailable`] when there is no bus, or no portal that lends keyboards
    /// over the EI protocol.
    pub fn connect(bus: Option<&str>, state: &Path) -> Result<Self, TypistError> {
        let (bus, token) = (bus.map(str::to_owned), Token::in_folder(state));
        let (orders, inbox) = unbounded_channel();
        let (found, finding) = mpsc::channel();
        let live = move || {
            let runtime = match runtime() {
                Ok(runtime) => runtime,
                Err(e) => return drop(found.send(Err(format!("no runtime for the portal: {e}")))),
            };
            match runtime.block_on(Life::find(bus.as_deref(), token)) {
                Ok(life) => {
                    drop(found.send(Ok(())));
                    runtime.block_on(life.run(inbox));
                }
                Err(why) => drop(found.send(Err(why))),
            }
        };
        let thread = std::thread::Builder::new().name("portal".into()).spawn(live);
        let thread =
            thread.map_err(|e| TypistError::Unavailable(format!("no thread for the portal: {e}")))?;
        match finding.recv() {
            Ok(Ok(())) => Ok(Self { orders: Some(orders), thread: Some(thread) }),
            Ok(Err(why)) => Err(TypistError::Unavailable(why)),
            Err(_) => Err(TypistError::Unavailable("the portal's thread ended".into())),
        }
    }

    fn order(&self, order: Order) {
        if let Some(orders) = &self.orders {
            // A thread that is gone is found out by the next edit.
            let _ = orders.send(order);
        }
    }
}

impl Typist for Portal {
    fn name(&self) -> &'static str {
        "portal"
    }

    fn apply(&mut self, edit: &Edit) -> Result<(), TypistError> {
        let (reply, answer) = mpsc::channel();
        self.order(Order::Apply(edit.clone(), reply));
        let gone = || TypistError::Lost { typed: 0, reason: "the portal's thread ended".into() };
        answer.recv().unwrap_or_else(|_| Err(gone()))
    }

    fn watch(&mut self, _: bool) {
        self.order(Order::Begin);
    }
}

impl Drop for Portal {
    fn drop(&mut self) {
        self.orders.take();
        drop(self.thread.take().map(JoinHandle::join));
    }
}
