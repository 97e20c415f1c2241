//! A RemoteDesktop session of the desktop's portal, which may type.
//!
//! A request of the portal answers twice: at once with an object, and with a signal of
//! that object when the person has decided. The session lives as long as its connection.

use crate::bus::{self, next};
use std::collections::HashMap;
use std::os::unix::net::UnixStream;
use std::time::Duration;
use zbus::export::serde::Serialize;
use zbus::{
    Connection, MatchRule, Message, MessageStream, ObjectPath, OwnedFd, OwnedObjectPath, OwnedVariant,
    Variant,
};

/// The portal on the session bus.
pub(super) const PORTAL: &str = "org.freedesktop.portal.Desktop";
const OBJECT: &str = "/org/freedesktop/portal/desktop";
const REMOTE_DESKTOP: &str = "org.freedesktop.portal.RemoteDesktop";
pub(super) const CLIPBOARD: &str = "org.freedesktop.portal.Clipboard";
const REQUEST: &str = "org.freedesktop.portal.Request";
const SESSION: &str = "org.freedesktop.portal.Session";

/// The bit for keyboards in the types of devices.
const KEYBOARD: u32 = 1;
/// The leave to type lasts until it is taken back.
const UNTIL_REVOKED: u32 = 2;
/// ConnectToEIS came with this version of the interface.
const WITH_EIS: u32 = 2;
/// Layouts of the person's in one keyboard map of GNOME.
const GNOMES_GROUPS: usize = 3;

/// How long the portal may take where it asks nobody.
pub(super) const ANSWER: Duration = Duration::from_secs(5);

/// Options and results.
pub(super) type Options<'v> = HashMap<&'v str, Variant<'v>>;
type Results = HashMap<String, OwnedVariant>;

/// Why there is no session.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The person said no.
    Denied,
    /// Something failed; why, for a person.
    Failed(String),
}

/// A session that was started.
pub(super) struct Session {
    connection: Connection,
    handle: OwnedObjectPath,
    /// What saves the next question.
    pub(super) token: Option<String>,
}

/// Connects to the bus at this address, or to the session's.
pub(super) async fn connect(bus: Option<&str>) -> Result<Connection, String> {
    let connecting = tokio::time::timeout(ANSWER, bus::at(bus).build());
    let no_bus = |why: String| {
        format!(
            "no session bus: {why}. Start the daemon inside the desktop session, or run it with another typist"
        )
    };
    match connecting.await {
        Ok(connection) => connection.map_err(|e| no_bus(e.to_string())),
        Err(_) => Err(no_bus("it does not answer".into())),
    }
}

/// Says why the portal of this desktop cannot type, if it cannot. Asks no person.
pub(super) async fn check(connection: &Connection) -> Result<(), String> {
    let version = property(connection, "version").await?;
    if version < WITH_EIS {
        return Err(format!(
            "the portal of this desktop has version {version} of RemoteDesktop and not 2; GNOME 45 and Plasma 6 have it"
        ));
    }
    let types = property(connection, "AvailableDeviceTypes").await?;
    if types & KEYBOARD == 0 {
        return Err("the portal of this desktop lends no keyboard".into());
    }
    Ok(())
}

async fn property(connection: &Connection, name: &str) -> Result<u32, String> {
    let asked = bus::property(connection, PORTAL, OBJECT, REMOTE_DESKTOP, name);
    let none = |e: &dyn std::fmt::Display| format!("this desktop has no portal that can type: {e}");
    let answer = tokio::time::timeout(ANSWER, asked).await;
    let value = answer.map_err(|_| "the desktop's portal does not answer")?.map_err(|e| none(&e))?;
    u32::try_from(value).map_err(|e| none(&e))
}

impl Session {
    /// Opens a session that may type and, where the portal has that, paste. Waits for the
    /// person as long as it takes, unless the token spares the question. No other session
    /// of this connection may have had the name.
    ///
    /// The second value is what the portal tells about the clipboard, from the beginning on;
    /// none where it lends none.
    pub(super) async fn open(
        connection: Connection,
        name: &str,
        token: Option<&str>,
    ) -> Result<(Self, Option<MessageStream>), Refusal> {
        let options = Options::from([("session_handle_token", name.into())]);
        let created = request(&connection, "CreateSession", None, None, options).await?;
        let handle = created.get("session_handle").and_then(|handle| String::try_from(handle.clone()).ok());
        let handle = handle.and_then(|handle| OwnedObjectPath::try_from(handle).ok());
        let handle = handle.ok_or_else(|| Refusal::Failed("the portal's session has no name".into()))?;
        let mut options = Options::from([("types", KEYBOARD.into()), ("persist_mode", UNTIL_REVOKED.into())]);
        if let Some(token) = token {
            options.insert("restore_token", token.into());
        }
        request(&connection, "SelectDevices", Some(&handle), None, options).await?;
        let from_portal = "sender='org.freedesktop.portal.Desktop'";
        let told = signals(&connection, CLIPBOARD, from_portal).await.map_err(failed)?;
        // A portal without the interface has none to lend.
        let (to, body) = (Some(PORTAL), (&handle, Options::new()));
        let lent = connection.call_method(to, OBJECT, Some(CLIPBOARD), "RequestClipboard", &body);
        let lent = lent.await.is_ok();
        let started = request(&connection, "Start", Some(&handle), Some(""), Options::new()).await?;
        let is =
            |name: &str| started.get(name).and_then(|value| bool::try_from(value).ok()).unwrap_or_default();
        let devices = started.get("devices").and_then(|value| u32::try_from(value).ok());
        if devices.unwrap_or(KEYBOARD) & KEYBOARD == 0 {
            return Err(Refusal::Denied);
        }
        let token = started.get("restore_token").and_then(|token| String::try_from(token.clone()).ok());
        let told = (lent && is("clipboard_enabled")).then_some(told);
        Ok((Self { connection, handle, token }, told))
    }

    /// A socket to the compositor that speaks the EI protocol.
    pub(super) async fn eis(&self) -> Result<UnixStream, String> {
        let answer = self.call(REMOTE_DESKTOP, "ConnectToEIS", &(&self.handle, Options::new())).await?;
        let socket: OwnedFd = answer.body().deserialize().map_err(|e| e.to_string())?;
        Ok(UnixStream::from(std::os::fd::OwnedFd::from(socket)))
    }

    /// Calls a method of the portal that asks nobody.
    pub(super) async fn call<B>(&self, interface: &str, method: &str, body: &B) -> Result<Message, String>
    where
        B: Serialize + zbus::zvariant::DynamicType,
    {
        let called = self.connection.call_method(Some(PORTAL), OBJECT, Some(interface), method, body);
        match tokio::time::timeout(ANSWER, called).await {
            Ok(answer) => answer.map_err(|e| format!("the desktop's portal failed ({method}): {e}")),
            Err(_) => Err(format!("the desktop's portal does not answer ({method})")),
        }
    }

    /// Which of several layouts is active, as far as the desktop tells.
    pub(super) async fn group(&self) -> Option<u32> {
        match self.setting("mru-sources").await {
            // GNOME has the newest first; before the first change there is none.
            Some(newest) => group(&self.setting("sources").await?, newest.first()?),
            None => {
                let (to, interface) = (Some("org.kde.keyboard"), Some("org.kde.KeyboardLayouts"));
                let asked = self.connection.call_method(to, "/Layouts", interface, "getLayout", &());
                let answer = tokio::time::timeout(ANSWER, asked).await.ok()?.ok()?;
                answer.body().deserialize().ok()
            }
        }
    }

    /// A list of GNOME's keyboard layouts, as kinds and names; none on other desktops.
    async fn setting(&self, name: &str) -> Option<Vec<(String, String)>> {
        let body = ("org.gnome.desktop.input-sources", name);
        let answer = self.call("org.freedesktop.portal.Settings", "ReadOne", &body).await.ok()?;
        let value: OwnedVariant = answer.body().deserialize().ok()?;
        Vec::try_from(value).ok()
    }

    /// The name of the session, for calls about it.
    pub(super) fn handle(&self) -> &ObjectPath<'_> {
        &self.handle
    }

    /// Ends the session, if the desktop has not done so.
    pub(super) async fn close(&self) {
        let closed = self.connection.call_method(Some(PORTAL), &self.handle, Some(SESSION), "Close", &());
        let _ = tokio::time::timeout(ANSWER, closed).await;
    }

    /// What tells that the desktop has ended the session.
    pub(super) async fn closed(&self) -> Result<MessageStream, String> {
        let about = format!("member='Closed',path='{}'", self.handle);
        signals(&self.connection, SESSION, &about).await.map_err(|e| e.to_string())
    }
}

/// The signals of an interface that fit a rule.
async fn signals(connection: &Connection, interface: &str, about: &str) -> zbus::Result<MessageStream> {
    let rule = format!("type='signal',interface='{interface}',{about}");
    MessageStream::for_match_rule(MatchRule::try_from(rule.as_str())?.to_owned(), connection, None).await
}

/// Makes a request and waits for what comes of it.
async fn request(
    connection: &Connection,
    method: &str,
    session: Option<&OwnedObjectPath>,
    parent: Option<&str>,
    mut options: Options<'_>,
) -> Result<Results, Refusal> {
    let token = format!("swictation_{}", method.to_lowercase());
    let sender = connection.unique_name().map(|name| name.trim_start_matches(':').replace('.', "_"));
    let path = format!("{OBJECT}/request/{}/{token}", sender.unwrap_or_default());
    // The answer may come before the call returns.
    let about = format!("member='Response',path='{path}'");
    let mut responses = signals(connection, REQUEST, &about).await.map_err(failed)?;
    options.insert("handle_token", token.into());
    let (to, interface) = (Some(PORTAL), Some(REMOTE_DESKTOP));
    let called = match (session, parent) {
        (None, _) => connection.call_method(to, OBJECT, interface, method, &(options,)).await,
        (Some(session), None) => {
            connection.call_method(to, OBJECT, interface, method, &(session, options)).await
        }
        (Some(session), Some(parent)) => {
            connection.call_method(to, OBJECT, interface, method, &(session, parent, options)).await
        }
    };
    called.map_err(failed)?;
    let gone = || Refusal::Failed("the session bus went away".into());
    let response = next(&mut responses).await.ok_or_else(gone)?.map_err(failed)?;
    let (code, results): (u32, Results) = response.body().deserialize().map_err(failed)?;
    match code {
        0 => Ok(results),
        1 => Err(Refusal::Denied),
        _ => Err(Refusal::Failed(format!("the desktop's portal failed ({method})"))),
    }
}

fn failed(error: impl std::fmt::Display) -> Refusal {
    Refusal::Failed(format!("the desktop's portal failed: {error}"))
}

/// Which group a source of GNOME's is. Its shell makes maps of three layouts each, as X allows
/// for four groups and it adds one of its own; a layout that stands there twice is one. Which
/// layout an input method brings along is not told: mostly one that is there anyway.
fn group(sources: &[(String, String)], active: &(String, String)) -> Option<u32> {
    let mut layouts: Vec<&(String, String)> = Vec::new();
    for source in sources.iter().filter(|(kind, _)| kind == "xkb") {
        if !layouts.contains(&source) {
            layouts.push(source);
        }
    }
    let place = layouts.iter().position(|layout| *layout == active)?;
    u32::try_from(place % GNOMES_GROUPS).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn active(names: &[&str], active: &str) -> Option<u32> {
        let source = |name: &str| match name.split_once(':') {
            Some((kind, name)) => (kind.to_owned(), name.to_owned()),
            None => ("xkb".to_owned(), name.to_owned()),
        };
        let sources: Vec<_> = names.iter().map(|name| source(name)).collect();
        group(&sources, &source(active))
    }

    #[test]
    fn gnome_has_groups_of_three_layouts() {
        let four = ["us", "de", "fr+bepo", "ru", "gr"];
        let groups = four.map(|layout| active(&four, layout));
        assert_eq!(groups, [Some(0), Some(1), Some(2), Some(0), Some(1)]);
        assert_eq!(active(&["us", "ibus:anthy", "us", "de"], "de"), Some(1));
        assert_eq!(active(&["us", "ibus:anthy"], "ibus:anthy"), None);
        assert_eq!(active(&[], "us"), None);
    }
}
