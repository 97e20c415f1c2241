//! How the daemon comes onto the bus, and back onto it.

use super::BusError;
use super::object::Dictation;
use crate::bus::{self, runtime};
use std::pin::pin;
use std::time::{Duration, Instant};
use swictation_control::{Dict, NAME, PATH};
use tokio::sync::mpsc::UnboundedReceiver;
use zbus::fdo::RequestNameFlags;
use zbus::{Connection, MatchRule, MessageStream};

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long a bus may take to let the daemon in.
const CONNECTING: Duration = Duration::from_secs(5);
/// What screen savers say on the session bus when they come and go.
const SCREEN: &str = "type='signal',member='ActiveChanged'";

/// The process of the daemon that serves this session, if one does; starts none.
///
/// # Errors
/// [`BusError::NoBus`] when there is nothing to ask.
pub fn serving() -> Result<Option<u32>, BusError> {
    let runtime = runtime().map_err(BusError::Thread)?;
    runtime.block_on(async {
        let connection = Connection::session().await.map_err(|e| BusError::NoBus(e.to_string()))?;
        Ok(owner(&connection).await)
    })
}

/// The daemon's connection, and what screen savers tell it.
pub(super) type Connected = (Connection, MessageStream);

/// Connects, serves the object, listens for screen savers, and only then takes the name:
/// a call that the bus kept while it started the daemon must find the object, and who
/// sees the name may lock the screen at once.
pub(super) async fn connect(dictation: &Dictation) -> Result<Connected, BusError> {
    let no_bus = |e: zbus::Error| BusError::NoBus(e.to_string());
    let connecting = async {
        let address = address(std::env::var("DBUS_SESSION_BUS_ADDRESS").ok());
        let connection = bus::at(address.as_deref()).serve_at(PATH, dictation.clone()).build();
        let connection = connection.await.map_err(no_bus)?;
        let rule = MatchRule::try_from(SCREEN).map_err(no_bus)?;
        let screen = MessageStream::for_match_rule(rule, &connection, None).await.map_err(no_bus)?;
        match connection.request_name_with_flags(NAME, RequestNameFlags::DO_NOT_QUEUE).await {
            Ok(_) => Ok((connection, screen)),
            Err(zbus::Error::NameTaken) => Err(BusError::NameTaken { pid: owner(&connection).await }),
            Err(e) => Err(no_bus(e)),
        }
    };
    let hangs = |_| Err(BusError::NoBus(format!("it does not answer within {} s", CONNECTING.as_secs())));
    tokio::time::timeout(CONNECTING, connecting).await.unwrap_or_else(hangs)
}

/// Where the bus is, whichever bus it is: one that was started again has another number.
fn address(set: Option<String>) -> Option<String> {
    let place =
        |way: &str| way.split(',').filter(|part| !part.starts_with("guid=")).collect::<Vec<_>>().join(",");
    Some(set?.split(';').map(place).collect::<Vec<_>>().join(";"))
}

/// Looks for a bus that went away, in growing intervals. None when there can be no more
/// changes, as the daemon ends.
pub(super) async fn find(
    dictation: &Dictation,
    outgoing: &mut UnboundedReceiver<Dict>,
    patience: Duration,
) -> Option<Result<Connected, BusError>> {
    let deadline = Instant::now() + patience;
    let mut pause = FIRST_PAUSE;
    loop {
        let mut paused = pin!(tokio::time::sleep(pause));
        loop {
            tokio::select! {
                // Nobody hears of this change; whoever connects reads the properties.
                change = outgoing.recv() => drop(change?),
                () = &mut paused => break,
            }
        }
        match connect(dictation).await {
            Err(BusError::NoBus(why)) if Instant::now() < deadline => {
                tracing::debug!("the session bus is not there yet: {why}");
            }
            end => return Some(end),
        }
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
}

/// The process that has the daemon's name.
async fn owner(connection: &Connection) -> Option<u32> {
    let bus = "org.freedesktop.DBus";
    let answer = connection
        .call_method(Some(bus), "/org/freedesktop/DBus", Some(bus), "GetConnectionUnixProcessID", &NAME)
        .await
        .ok()?;
    answer.body().deserialize().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bus_is_known_by_its_place_and_not_by_its_number() {
        for (set, place) in [
            ("unix:path=/run/bus,guid=0123abc", "unix:path=/run/bus"),
            ("unix:path=/a,guid=1;unix:abstract=/b,guid=2", "unix:path=/a;unix:abstract=/b"),
            ("unix:path=/run/bus", "unix:path=/run/bus"),
        ] {
            assert_eq!(address(Some(set.into())).as_deref(), Some(place));
        }
        assert_eq!(address(None), None);
    }
}
