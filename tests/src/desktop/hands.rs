//! A keyboard that a person has under the hands, on desktops that lend such over the bus.

use std::collections::HashMap;
use std::io;
use tokio::runtime::Runtime;
use zbus::{Connection, OwnedObjectPath, Variant};

const MUTTER: &str = "org.gnome.Mutter.RemoteDesktop";
const PORTAL: &str = "org.freedesktop.portal.Desktop";
const PORTAL_OBJECT: &str = "/org/freedesktop/portal/desktop";
const REMOTE_DESKTOP: &str = "org.freedesktop.portal.RemoteDesktop";

/// A keyboard that is plugged in as long as this lives.
pub(super) struct Hands {
    runtime: Runtime,
    connection: Connection,
    keyboard: Keyboard,
}

enum Keyboard {
    /// A session of mutter's own.
    Mutter(OwnedObjectPath),
    /// A session of the portal, which must not have to ask.
    Portal(OwnedObjectPath),
}

type Options = HashMap<&'static str, Variant<'static>>;

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
        let keyboard = Keyboard::Mutter(runtime.block_on(plug).map_err(io::Error::other)?);
        Ok(Self { runtime, connection, keyboard })
    }

    /// Plugs a keyboard into a desktop whose portal lends one without asking.
    pub(super) fn through_portal(bus: &str) -> io::Result<Self> {
        let (runtime, connection) = connect(bus)?;
        let sender = connection.unique_name().map(|name| name.trim_start_matches(':').replace('.', "_"));
        let session = format!("{PORTAL_OBJECT}/session/{}/hands", sender.unwrap_or_default());
        let session = OwnedObjectPath::try_from(session).map_err(io::Error::other)?;
        let plug = async {
            let (to, interface) = (Some(PORTAL), Some(REMOTE_DESKTOP));
            let create = (Options::from([("session_handle_token", "hands".into())]),);
            answered(
                &connection,
                connection.call_method(to, PORTAL_OBJECT, interface, "CreateSession", &create),
            )
            .await?;
            let select = (&session, Options::from([("types", 1_u32.into())]));
            answered(
                &connection,
                connection.call_method(to, PORTAL_OBJECT, interface, "SelectDevices", &select),
            )
            .await?;
            let start = (&session, "", Options::new());
            answered(&connection, connection.call_method(to, PORTAL_OBJECT, interface, "Start", &start)).await
        };
        runtime.block_on(plug).map_err(io::Error::other)?;
        Ok(Self { runtime, connection, keyboard: Keyboard::Portal(session) })
    }

    /// Presses a key, by the kernel's keycode, or releases it.
    pub(super) fn key(&self, key: u32, down: bool) -> io::Result<()> {
        let press = async {
            match &self.keyboard {
                Keyboard::Mutter(session) => {
                    let interface = format!("{MUTTER}.Session");
                    let (interface, body) = (Some(interface.as_str()), (key, down));
                    let method = "NotifyKeyboardKeycode";
                    self.connection.call_method(Some(MUTTER), session, interface, method, &body).await
                }
                Keyboard::Portal(session) => {
                    let body = (session, Options::new(), key as i32, u32::from(down));
                    let (to, interface) = (Some(PORTAL), Some(REMOTE_DESKTOP));
                    self.connection
                        .call_method(to, PORTAL_OBJECT, interface, "NotifyKeyboardKeycode", &body)
                        .await
                }
            }
        };
        self.runtime.block_on(press).map(drop).map_err(io::Error::other)
    }
}

fn connect(bus: &str) -> io::Result<(Runtime, Connection)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let connection = runtime.block_on(zbus::connection::Builder::address(bus).build());
    Ok((runtime, connection.map_err(io::Error::other)?))
}

/// Waits until a request is answered, as this keyboard makes one after the other.
async fn answered(
    connection: &Connection,
    request: impl Future<Output = zbus::Result<zbus::Message>>,
) -> zbus::Result<()> {
    let rule = "type='signal',interface='org.freedesktop.portal.Request',member='Response'";
    let rule = zbus::MatchRule::try_from(rule)?.to_owned();
    let mut answers = zbus::MessageStream::for_match_rule(rule, connection, None).await?;
    request.await?;
    let next = std::future::poll_fn(|cx| {
        zbus::export::futures_core::Stream::poll_next(std::pin::Pin::new(&mut answers), cx)
    });
    let answer = next.await.ok_or(zbus::Error::InvalidReply)??;
    let (code, _): (u32, HashMap<String, zbus::OwnedVariant>) = answer.body().deserialize()?;
    if code == 0 { Ok(()) } else { Err(zbus::Error::Failure(format!("the portal refuses: {code}"))) }
}
