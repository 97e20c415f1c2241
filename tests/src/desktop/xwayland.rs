//! The X server that GNOME has inside, for programs that know nothing else.

use super::Desktop;
use std::io;
use std::os::unix::net::UnixStream;
use x11rb::protocol::xproto::{AccessControl, ConnectionExt};
use x11rb::rust_connection::{DefaultStream, RustConnection};
use x11rb::wrapper::ConnectionExt as _;

/// What proves to the server that a program may come in.
const COOKIE: &[u8] = b"MIT-MAGIC-COOKIE-1";

impl Desktop {
    /// Has every program find the X server and come in, which is otherwise only for those
    /// that the shell has started.
    pub(super) fn xwayland(&mut self) -> io::Result<()> {
        let said = self.shell("[GLib.getenv('DISPLAY'), GLib.getenv('XAUTHORITY')].join()")?;
        let places = said.split('"').nth(1).and_then(|places| places.split_once(','));
        let (display, secrets) = places.ok_or_else(|| io::Error::other(format!("no X server: {said}")))?;
        let number = display.trim_start_matches(':');
        let (stream, _) =
            DefaultStream::from_unix_stream(UnixStream::connect(format!("/tmp/.X11-unix/X{number}"))?)?;
        // The cookie is what the file ends with.
        let secrets = std::fs::read(secrets)?;
        let cookie = secrets[secrets.len().saturating_sub(16)..].to_vec();
        let connection = RustConnection::connect_to_stream_with_auth_info(stream, 0, COOKIE.to_vec(), cookie);
        let connection = connection.map_err(io::Error::other)?;
        connection.set_access_control(AccessControl::DISABLE).map_err(io::Error::other)?;
        connection.sync().map_err(io::Error::other)?;
        self.set("DISPLAY", display);
        Ok(())
    }
}
