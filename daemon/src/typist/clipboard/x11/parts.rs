//! Giving what is too large to be given at once: part by part, the next whenever the one
//! before was taken (INCR).

use x11rb::connection::{Connection, RequestConnection};
use x11rb::errors::ConnectionError;
use x11rb::protocol::xproto::{
    Atom, ChangeWindowAttributesAux, ConnectionExt as _, EventMask, PropMode, SelectionRequestEvent, Window,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

/// So much is given at once, as the toolkits do; a server takes more than that.
pub(super) const PART: usize = 256 << 10;

/// What the bytes of a property are.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    /// The name of what they are.
    pub(super) kind: Atom,
    /// How many bits a number of them has.
    pub(super) format: u8,
}

impl Kind {
    /// Bytes of this name.
    pub(super) fn bytes(kind: Atom) -> Self {
        Self { kind, format: 8 }
    }

    /// Gives a property of somebody's window these bytes.
    pub(super) fn set(
        self,
        connection: &RustConnection,
        window: Window,
        name: Atom,
        bytes: &[u8],
    ) -> Result<(), ConnectionError> {
        let unit = usize::from(self.format / 8).max(1);
        // Whoever copied them may have given them in parts of different numbers.
        let (unit, format) = if bytes.len().is_multiple_of(unit) { (unit, self.format) } else { (1, 8) };
        let count = u32::try_from(bytes.len() / unit).unwrap_or_default();
        connection.change_property(PropMode::REPLACE, window, name, self.kind, format, count, bytes).map(drop)
    }
}

/// What is being given to somebody.
pub(super) struct Sending {
    requestor: Window,
    property: Atom,
    kind: Kind,
    bytes: Vec<u8>,
    sent: usize,
}

impl Sending {
    pub(super) fn new(request: &SelectionRequestEvent, property: Atom, kind: Kind, bytes: &[u8]) -> Self {
        Self { requestor: request.requestor, property, kind, bytes: bytes.to_vec(), sent: 0 }
    }

    /// Announces that parts will come, and has the server tell when one was taken.
    pub(super) fn begin(&self, connection: &RustConnection, incr: Atom) -> Result<(), ConnectionError> {
        self.listen(connection, EventMask::PROPERTY_CHANGE | EventMask::STRUCTURE_NOTIFY)?;
        let size = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        connection
            .change_property32(PropMode::REPLACE, self.requestor, self.property, incr, &[size])
            .map(drop)
    }

    fn listen(&self, connection: &RustConnection, events: EventMask) -> Result<(), ConnectionError> {
        let wanted = ChangeWindowAttributesAux::new().event_mask(events);
        connection.change_window_attributes(self.requestor, &wanted).map(drop)
    }

    /// Gives the next part; whether that was the empty one, which is the last.
    fn part(&mut self, connection: &RustConnection) -> Result<bool, ConnectionError> {
        let most = connection.maximum_request_bytes().min(PART) / 2;
        let part = &self.bytes[self.sent..self.bytes.len().min(self.sent + most / 4 * 4)];
        self.kind.set(connection, self.requestor, self.property, part)?;
        self.sent += part.len();
        connection.flush()?;
        Ok(part.is_empty())
    }
}

/// A property of somebody's window was taken: the next part follows.
pub(super) fn go_on(
    sending: &mut Vec<Sending>,
    connection: &RustConnection,
    requestor: Window,
    property: Atom,
) -> Result<(), ConnectionError> {
    let known = |s: &Sending| s.requestor == requestor && s.property == property;
    let Some(at) = sending.iter().position(known) else { return Ok(()) };
    if sending[at].part(connection)? {
        let done = sending.remove(at);
        if sending.iter().all(|other| other.requestor != requestor) {
            done.listen(connection, EventMask::NO_EVENT)?;
        }
    }
    Ok(())
}

/// The window of somebody who asked is gone.
pub(super) fn forget(sending: &mut Vec<Sending>, requestor: Window) {
    sending.retain(|s| s.requestor != requestor);
}
