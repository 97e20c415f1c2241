//! What all have in common that talk over a bus, each on a thread of its own.

use std::pin::Pin;
use zbus::export::futures_core::Stream;
use zbus::{Connection, Message, MessageStream, OwnedVariant, connection};

const BUS: &str = "org.freedesktop.DBus";
const OBJECT: &str = "/org/freedesktop/DBus";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// What a thread of a bus runs on.
pub(crate) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// A connection to come to the bus at this address, or to the session's.
pub(crate) fn at(address: Option<&str>) -> connection::Builder<'_> {
    match address {
        Some(address) => connection::Builder::address(address),
        None => connection::Builder::session(),
    }
}

/// Has the bus pass on what fits a rule, and nothing else of what is meant for everybody.
pub(crate) async fn listen_for(connection: &Connection, rule: &str) -> zbus::Result<()> {
    connection.call_method(Some(BUS), OBJECT, Some(BUS), "AddMatch", &rule).await.map(drop)
}

/// The next message; none when the bus is gone.
pub(crate) async fn next(messages: &mut MessageStream) -> Option<zbus::Result<Message>> {
    std::future::poll_fn(|cx| Pin::new(&mut *messages).poll_next(cx)).await
}

/// Whether somebody has this name now; asking for more would start some.
pub(crate) async fn has_owner(connection: &Connection, name: &str) -> zbus::Result<bool> {
    let told = connection.call_method(Some(BUS), OBJECT, Some(BUS), "NameHasOwner", &name).await?;
    told.body().deserialize()
}

/// Whose name a message is about, and whether anybody has it now; none where it is about
/// something else.
pub(crate) fn owner_changed(message: &Message) -> Option<(String, bool)> {
    if message.header().member()?.as_str() != "NameOwnerChanged" {
        return None;
    }
    let (name, _, owner): (String, String, String) = message.body().deserialize().ok()?;
    Some((name, !owner.is_empty()))
}

/// What a property of an interface of somebody's object is.
pub(crate) async fn property(
    connection: &Connection,
    whom: &str,
    object: &str,
    interface: &str,
    name: &str,
) -> zbus::Result<OwnedVariant> {
    let which = (interface, name);
    let told = connection.call_method(Some(whom), object, Some(PROPERTIES), "Get", &which).await?;
    told.body().deserialize()
}
