//! Coming to a Wayland compositor, and hearing of it where something else is waited for at the
//! same time: its library reads, and never waits.

use super::clipboard::listening;
use std::io::{self, ErrorKind};
use std::path::Path;
use tokio::io::Interest;
use tokio::net::UnixStream;
use wayland_client::backend::WaylandError;
use wayland_client::{Connection, EventQueue, QueueHandle};

/// The compositor at this socket, or where the environment says.
///
/// # Errors
/// Why there is none, for a person.
pub(crate) fn connect(socket: Option<&Path>) -> Result<Connection, String> {
    let Some(socket) = socket else {
        return Connection::connect_to_env().map_err(|e| {
            format!(
                "no Wayland compositor: {e}. Start the daemon inside the desktop session, or run \
             `systemctl --user import-environment WAYLAND_DISPLAY` and restart it"
            )
        });
    };
    let there = |e: &dyn std::fmt::Display| format!("no Wayland compositor at {}: {e}", socket.display());
    let stream = std::os::unix::net::UnixStream::connect(socket).map_err(|e| there(&e))?;
    Connection::from_socket(stream).map_err(|e| there(&e))
}

/// For who binds all that is there at first: what comes and goes later does not matter.
macro_rules! later_globals_do_not_matter {
    ($told:ty) => {
        impl
            wayland_client::Dispatch<
                wayland_client::protocol::wl_registry::WlRegistry,
                wayland_client::globals::GlobalListContents,
            > for $told
        {
            fn event(
                _: &mut Self,
                _: &wayland_client::protocol::wl_registry::WlRegistry,
                _: wayland_client::protocol::wl_registry::Event,
                _: &wayland_client::globals::GlobalListContents,
                _: &wayland_client::Connection,
                _: &wayland_client::QueueHandle<Self>,
            ) {
            }
        }
    };
}
pub(crate) use later_globals_do_not_matter;

/// A connection whose events are told to an `S`.
pub(super) struct Compositor<S> {
    connection: Connection,
    /// Tells when there is something to read.
    socket: UnixStream,
    queue: EventQueue<S>,
}

impl<S: 'static> Compositor<S> {
    /// Takes over a connection that nothing else reads.
    ///
    /// # Errors
    /// Why it cannot be waited for.
    pub(super) fn new(connection: Connection, queue: EventQueue<S>) -> Result<Self, String> {
        let socket = listening(&connection).map_err(lost)?;
        Ok(Self { connection, socket, queue })
    }

    /// Waits until something was told. Nothing is lost when this is not waited for to its
    /// end.
    ///
    /// # Errors
    /// Why there will be nothing more.
    pub(super) async fn hear(&mut self, told: &mut S) -> Result<(), String> {
        while self.queue.dispatch_pending(told).map_err(lost)? == 0 {
            self.flush()?;
            let Some(guard) = self.queue.prepare_read() else { continue };
            self.socket.readable().await.map_err(lost)?;
            let read = self.socket.try_io(Interest::READABLE, || match guard.read() {
                Err(WaylandError::Io(e)) => Err(e),
                read => read.map_err(io::Error::other),
            });
            match read {
                Err(e) if e.kind() != ErrorKind::WouldBlock => return Err(lost(e)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Takes in what was told by now.
    ///
    /// # Errors
    /// As for [`Compositor::hear`].
    pub(super) fn catch_up(&mut self, told: &mut S) -> Result<(), String> {
        loop {
            self.queue.dispatch_pending(told).map_err(lost)?;
            let Some(guard) = self.queue.prepare_read() else { continue };
            match guard.read() {
                Ok(_) => {}
                Err(WaylandError::Io(e)) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(lost(e)),
            }
        }
    }

    /// Sends what is to be sent; what the compositor has no room for goes with the next.
    ///
    /// # Errors
    /// As for [`Compositor::hear`].
    pub(super) fn flush(&self) -> Result<(), String> {
        match self.connection.flush() {
            Err(WaylandError::Io(e)) if e.kind() == ErrorKind::WouldBlock => Ok(()),
            flushed => flushed.map_err(lost),
        }
    }

    /// What new objects belong to.
    pub(super) fn handle(&self) -> QueueHandle<S> {
        self.queue.handle()
    }
}

fn lost(error: impl std::fmt::Display) -> String {
    format!("the Wayland compositor is lost: {error}")
}
