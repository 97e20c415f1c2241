//! A keyboard that a person has under the hands: GNOME lends one over the bus, Plasma to
//! Wayland clients whose desktop file asks for it.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use tokio::runtime::Runtime;
use wayland_client::globals::{GlobalListContents, registry_queue_init};
use wayland_client::protocol::wl_registry::{self, WlRegistry};
use wayland_client::{Dispatch, QueueHandle, delegate_noop};
use wayland_protocols_plasma::fake_input::client::org_kde_kwin_fake_input::OrgKdeKwinFakeInput;
use zbus::{Connection, OwnedObjectPath};

const MUTTER: &str = "org.gnome.Mutter.RemoteDesktop";

/// A keyboard that is plugged in as long as this lives.
pub(super) struct Hands(Box<dyn Fn(u32, bool) -> io::Result<()> + Send + Sync>);

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
        let key = move |key, down| {
            let (interface, body) = (format!("{MUTTER}.Session"), (key, down));
            let (interface, method) = (Some(interface.as_str()), "NotifyKeyboardKeycode");
            let press = connection.call_method(Some(MUTTER), &session, interface, method, &body);
            runtime.block_on(press).map(drop).map_err(io::Error::other)
        };
        Ok(Self(Box::new(key)))
    }

    /// Plugs a keyboard into Plasma, whose compositor is at this socket.
    pub(super) fn on_kde(display: &Path) -> io::Result<Self> {
        let lost = |e: &dyn std::fmt::Display| io::Error::other(e.to_string());
        let connection =
            wayland_client::Connection::from_socket(UnixStream::connect(display)?).map_err(|e| lost(&e))?;
        let (globals, queue) = registry_queue_init::<Deaf>(&connection).map_err(|e| lost(&e))?;
        let keyboard: OrgKdeKwinFakeInput = globals.bind(&queue.handle(), 4..=4, ()).map_err(|e| lost(&e))?;
        keyboard.authenticate("a person".into(), "types".into());
        let key = move |key, down| {
            keyboard.keyboard_key(key, u32::from(down));
            connection.roundtrip().map(drop).map_err(|e| lost(&e))
        };
        Ok(Self(Box::new(key)))
    }

    /// Presses a key, by the kernel's keycode, or releases it.
    pub(super) fn key(&self, key: u32, down: bool) -> io::Result<()> {
        (self.0)(key, down)
    }
}

/// What a compositor tells is not of interest.
struct Deaf;

impl Dispatch<WlRegistry, GlobalListContents> for Deaf {
    fn event(
        _: &mut Self,
        _: &WlRegistry,
        _: wl_registry::Event,
        _: &GlobalListContents,
        _: &wayland_client::Connection,
        _: &QueueHandle<Self>,
    ) {
    }
}

delegate_noop!(Deaf: ignore OrgKdeKwinFakeInput);

/// A connection to a bus, with what it runs on.
pub(super) fn connect(bus: &str) -> io::Result<(Runtime, Connection)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let connection = runtime.block_on(zbus::connection::Builder::address(bus).build());
    Ok((runtime, connection.map_err(io::Error::other)?))
}
