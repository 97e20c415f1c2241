//! Reaching an X server that may only be started for that.

use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;
use x11rb::rust_connection::RustConnection;

/// How long a server may take to start: GNOME's took 120 ms.
const STARTING: Duration = Duration::from_secs(5);

/// Connects to `display`, with the number of its screen. It is waited for on a thread of its
/// own, as a server that does not come up is waited for without end.
pub(super) async fn reach(display: &str) -> Result<(RustConnection, usize), String> {
    let (send, connected) = oneshot::channel();
    let display = display.to_owned();
    let connect = move || drop(send.send(RustConnection::connect(Some(&display))));
    std::thread::Builder::new().name("x11".into()).spawn(connect).map_err(|e| e.to_string())?;
    match timeout(STARTING, connected).await {
        Ok(Ok(connection)) => connection.map_err(|e| e.to_string()),
        _ => Err("it does not answer".into()),
    }
}
