//! Asks a window whether its program has come to all the keys that it was sent.
//!
//! A program translates a key with the map that is there when it comes to that key, which is
//! late where it takes long to draw. Window managers ask windows whether they are alive
//! (`_NET_WM_PING`), and the answer comes when all that was sent before has been translated.
//! GTK, Qt and browsers answer everybody; xterm knows no such question.
//!
//! The connection is one of its own: answers come as events, among which nothing that
//! [`super::server`] is told may get lost.

use super::server::climb;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::time::{Duration, Instant};
use x11rb::connection::Connection;
use x11rb::errors::{ConnectError, ConnectionError, ReplyError};
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{
    AtomEnum, ChangeWindowAttributesAux, ClientMessageEvent, ConnectionExt as _, EventMask, Window,
};
use x11rb::rust_connection::RustConnection;

/// A window that has not answered by then hangs, and what it makes of its keys is not waited for.
const HANGS: Duration = Duration::from_secs(5);

/// So many protocols of one window are looked at.
const MOST_PROTOCOLS: u32 = 64;

x11rb::atom_manager! {
    /// Names that the server knows by a number.
    Atoms: AtomsCookie {
        WM_PROTOCOLS,
        _NET_WM_PING,
    }
}

/// Asks the windows of one X server.
pub(super) struct Ping {
    connection: RustConnection,
    root: Window,
    atoms: Atoms,
    /// How often it was asked, which tells a late answer from the one that is waited for.
    asked: u32,
}

impl Ping {
    /// Connects to `display` (":0").
    pub(super) fn connect(display: &str) -> Result<Self, ReplyError> {
        let (connection, screen) = RustConnection::connect(Some(display)).map_err(refused)?;
        let root = connection.setup().roots.get(screen).map_or(x11rb::NONE, |screen| screen.root);
        let atoms = Atoms::new(&connection)?.reply()?;
        Ok(Self { connection, root, atoms, asked: 0 })
    }

    /// Waits until the window's program has come to everything that the server has sent it, and
    /// says whether that is known.
    pub(super) fn wait(&mut self, window: Window) -> Result<bool, ReplyError> {
        // Whoever is connected is told of new bindings, and hears of them here.
        while self.connection.poll_for_event()?.is_some() {}
        let Some(window) = self.who_answers(window)? else { return Ok(false) };
        self.asked = self.asked.wrapping_add(1);
        // Answers go to the root, to whoever wants the one of these (GTK) or the other (Qt).
        self.listen(EventMask::SUBSTRUCTURE_NOTIFY | EventMask::STRUCTURE_NOTIFY)?;
        let question = [self.atoms._NET_WM_PING, x11rb::CURRENT_TIME, window, 0, self.asked];
        let message = ClientMessageEvent::new(32, window, self.atoms.WM_PROTOCOLS, question);
        self.connection.send_event(false, window, EventMask::NO_EVENT, message)?;
        let answered = self.answer(question)?;
        self.listen(EventMask::NO_EVENT)?;
        self.connection.flush()?;
        Ok(answered)
    }

    /// The window that answers for this one, which may be a part of it.
    fn who_answers(&self, window: Window) -> Result<Option<Window>, ReplyError> {
        let property = (self.atoms.WM_PROTOCOLS, AtomEnum::ATOM, MOST_PROTOCOLS);
        climb(&self.connection, self.root, window, property, |window, protocols| {
            let answers = protocols.value32()?.any(|atom| atom == self.atoms._NET_WM_PING);
            answers.then_some(window)
        })
    }

    fn listen(&self, mask: EventMask) -> Result<(), ConnectionError> {
        let wanted = ChangeWindowAttributesAux::new().event_mask(mask);
        self.connection.change_window_attributes(self.root, &wanted).map(drop)
    }

    /// Waits for the answer, which is the question again, sent to the root.
    fn answer(&self, question: [u32; 5]) -> Result<bool, ConnectionError> {
        let deadline = Instant::now() + HANGS;
        self.connection.flush()?;
        loop {
            match self.connection.poll_for_event()? {
                Some(Event::ClientMessage(told))
                    if told.window == self.root && told.data.as_data32() == question =>
                {
                    return Ok(true);
                }
                Some(_) => continue,
                None => {}
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            let mut waited = [PollFd::new(self.connection.stream(), PollFlags::IN)];
            match poll(&mut waited, Timespec::try_from(left).ok().as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(ConnectionError::IoError(e.into())),
            }
        }
    }
}

fn refused(error: ConnectError) -> ReplyError {
    ConnectionError::IoError(std::io::Error::other(error)).into()
}
