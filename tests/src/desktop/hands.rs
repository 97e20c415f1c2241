//! A keyboard that a person has under the hands, on GNOME, which lends one over the bus.

use std::io;
use tokio::runtime::Runtime;
use zbus::{Connection, OwnedObjectPath};

const MUTTER: &str = "org.gnome.Mutter.RemoteDesktop";

/// A keyboard that is plugged in as long as this lives.
pub(super) struct Hands {
    runtime: Runtime,
    connection: Connection,
    /// A session of mutter's own.
    session: OwnedObjectPath,
}

impl Hands {
    /// Plugs a keyboard into GNOME.
    pub(super) fn on_gnome(bus: &str) -> io::Result<Self> {
        let (runtime, connection) = connect(bus)?;
        let plug = async {
            let to = (Some(MUTTER), Some(MUTTER));
            let path = "/org/gnome/Mutter/RemoteDesktop";
            let created = connection.call_method(to.0, path, to.1, "CreateSession", &()).await?;
            let session: OwnedObjectPath = created.body().deserialize()?;
            let interface = format!("{MUTTER}.Session");
            connection.call_method(to.0, &session, Some(interface.as_str()), "Start", &()).await?;
            zbus::Result::Ok(session)
        };
        let session = runtime.block_on(plug).map_err(io::Error::other)?;
        Ok(Self { runtime, connection, session })
    }

    /// Presses a key, by the kernel's keycode, or releases it.
    pub(super) fn key(&self, key: u32, down: bool) -> io::Result<()> {
        let (interface, body) = (format!("{MUTTER}.Session"), (key, down));
        let method = "NotifyKeyboardKeycode";
        let press =
            self.connection.call_method(Some(MUTTER), &self.session, Some(interface.as_str()), method, &body);
        self.runtime.block_on(press).map(drop).map_err(io::Error::other)
    }
}

fn connect(bus: &str) -> io::Result<(Runtime, Connection)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let connection = runtime.block_on(zbus::connection::Builder::address(bus).build());
    Ok((runtime, connection.map_err(io::Error::other)?))
}
