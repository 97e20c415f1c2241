//! What all have in common that talk over a bus, each on a thread of its own.

use std::pin::Pin;
use zbus::export::futures_core::Stream;
use zbus::{Connection, Message, MessageStream, connection};

/// What a thread of a bus runs on.
pub(crate) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// A connection to come to the bus at this address, or to the session's.
pub(crate) fn session(address: Option<&str>) -> connection::Builder<'_> {
    match address {
        Some(address) => connection::Builder::address(address),
        None => connection::Builder::session(),
    }
}

/// Has the bus pass on what fits a rule, and nothing else of what is meant for everybody.
pub(crate) async fn listen_for(connection: &Connection, rule: &str) -> zbus::Result<()> {
    let (name, object) = ("org.freedesktop.DBus", "/org/freedesktop/DBus");
    connection.call_method(Some(name), object, Some(name), "AddMatch", &rule).await.map(drop)
}

/// The next message; none when the bus is gone.
pub(crate) async fn next(messages: &mut MessageStream) -> Option<zbus::Result<Message>> {
    std::future::poll_fn(|cx| Pin::new(&mut *messages).poll_next(cx)).await
}
