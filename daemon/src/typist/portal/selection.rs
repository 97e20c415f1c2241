//! The clipboard of a desktop as its portal has it.

use super::session::{CLIPBOARD, Options, Session};
use crate::control::dbus::next;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::unix::pipe;
use tokio::time::timeout;
use zbus::{Message, MessageStream, OwnedFd, OwnedObjectPath, OwnedVariant};

/// How long a program may take to fetch what it wants.
const FETCHING: Duration = Duration::from_secs(2);

/// What the desktop tells.
pub(super) enum Told {
    /// Whose the clipboard is, and in which forms there is what was copied.
    Owner { ours: bool, forms: Vec<String> },
    /// Somebody wants what is ours.
    Wanted(Wish),
}

/// That somebody wants what is ours.
pub(super) struct Wish {
    /// In which form (MIME type).
    pub(super) form: String,
    serial: u32,
}

/// The clipboard of one session.
pub(super) struct Selection {
    session: Arc<Session>,
    signals: MessageStream,
}

type Owner = (OwnedObjectPath, std::collections::HashMap<String, OwnedVariant>);

impl Selection {
    /// `signals` are what the portal tells about clipboards.
    pub(super) fn new(session: Arc<Session>, signals: MessageStream) -> Self {
        Self { session, signals }
    }

    /// The next message about a clipboard.
    pub(super) async fn next(&mut self) -> Result<Message, String> {
        match next(&mut self.signals).await {
            Some(message) => message.map_err(|e| e.to_string()),
            None => Err("the session bus went away".into()),
        }
    }

    /// What a message says, if it is about this session.
    pub(super) fn read(&self, message: &Message) -> Option<Told> {
        let body = message.body();
        match message.header().member()?.as_str() {
            "SelectionOwnerChanged" => {
                let (session, mut told): Owner = body.deserialize().ok()?;
                let ours = told.remove("session_is_owner").and_then(|ours| bool::try_from(ours).ok());
                let forms = told.remove("mime_types").map(forms).unwrap_or_default();
                let about_us = session.as_str() == self.session.handle().as_str();
                about_us.then(|| Told::Owner { ours: ours.unwrap_or_default(), forms })
            }
            "SelectionTransfer" => {
                let (session, form, serial): (OwnedObjectPath, String, u32) = body.deserialize().ok()?;
                let about_us = session.as_str() == self.session.handle().as_str();
                about_us.then_some(Told::Wanted(Wish { form, serial }))
            }
            _ => None,
        }
    }

    /// Makes the clipboard ours, with something in these forms.
    pub(super) async fn own(&self, forms: Vec<&str>) -> Result<(), String> {
        let options = Options::from([("mime_types", forms.into())]);
        self.session.call(CLIPBOARD, "SetSelection", &(self.session.handle(), options)).await.map(drop)
    }

    /// Gives somebody what is wanted, or nothing where there is none.
    pub(super) async fn give(&self, wish: &Wish, bytes: Option<&[u8]>) -> Result<(), String> {
        let session = self.session.handle();
        let mut given = false;
        if let Some(bytes) = bytes {
            let answer = self.session.call(CLIPBOARD, "SelectionWrite", &(session, wish.serial)).await?;
            let sink: OwnedFd = answer.body().deserialize().map_err(|e| e.to_string())?;
            // Whoever wants it may be gone, or hang.
            given = timeout(FETCHING, write(sink.into(), bytes)).await.is_ok_and(|written| written.is_ok());
        }
        let done = (session, wish.serial, given);
        self.session.call(CLIPBOARD, "SelectionWriteDone", &done).await.map(drop)
    }

    /// Asks the owner of the clipboard for a form; none when it does not give it, or more
    /// than so many bytes.
    pub(super) async fn ask(&self, form: &str, most: usize) -> Option<Vec<u8>> {
        let answer =
            self.session.call(CLIPBOARD, "SelectionRead", &(self.session.handle(), form)).await.ok()?;
        let source: OwnedFd = answer.body().deserialize().ok()?;
        read(source.into(), most).await.ok().flatten()
    }
}

/// Names of forms, which some portals wrap in a structure.
fn forms(value: OwnedVariant) -> Vec<String> {
    let plain = value.try_clone().ok().and_then(|value| Vec::<String>::try_from(value).ok());
    plain.or_else(|| <(Vec<String>,)>::try_from(value).ok().map(|(forms,)| forms)).unwrap_or_default()
}

async fn write(sink: std::os::fd::OwnedFd, mut bytes: &[u8]) -> io::Result<()> {
    let sink = pipe::Sender::from_owned_fd(sink)?;
    while !bytes.is_empty() {
        sink.writable().await?;
        match sink.try_write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Reads to the end; none when there are more than `most` bytes.
async fn read(source: std::os::fd::OwnedFd, most: usize) -> io::Result<Option<Vec<u8>>> {
    let source = pipe::Receiver::from_owned_fd(source)?;
    let (mut bytes, mut part) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        source.readable().await?;
        match source.try_read(&mut part) {
            Ok(0) => return Ok(Some(bytes)),
            Ok(count) if bytes.len() + count > most => return Ok(None),
            Ok(count) => bytes.extend(&part[..count]),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) => return Err(e),
        }
    }
}
