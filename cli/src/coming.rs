//! The time between a key that has the bus start the daemon and the daemon's answer.
//!
//! Nobody has the daemon's name then, and still one is on its way, with the press before
//! it: the release must wait there too. Who presses owns a name of its own until it is
//! answered, and that is what the release looks for.

use swictation_control::COMING;
use zbus::message::Flags;
use zbus::{Connection, Message};

const BUS: &str = "org.freedesktop.DBus";

/// Says that a daemon may be on its way, without waiting for an answer: the bus takes
/// what one connection sends in its order.
pub(crate) async fn say(connection: &Connection) -> zbus::Result<()> {
    const BEHIND_OTHERS: u32 = 0;
    let message = Message::method_call("/org/freedesktop/DBus", "RequestName")
        .destination(BUS)
        .interface(BUS)
        .with_flags(Flags::NO_REPLY_EXPECTED)
        .build(&(COMING, BEHIND_OTHERS))?;
    connection.send(&message).await
}

/// Whether somebody waits for one.
pub(crate) async fn is_said(connection: &Connection) -> bool {
    let asked = connection
        .call_method(Some(BUS), "/org/freedesktop/DBus", Some(BUS), "NameHasOwner", &(COMING))
        .await;
    asked.is_ok_and(|answer| answer.body().deserialize().unwrap_or(false))
}
