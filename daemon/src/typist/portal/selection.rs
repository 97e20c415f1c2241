//! The clipboard of a desktop as its portal has it.

use super::session::{CLIPBOARD, Options, Session};
use crate::bus::next;
use crate::typist::clipboard::{Sink, Told, Wish, read, write};
use std::sync::Arc;
use zbus::{Message, MessageStream, OwnedFd, OwnedObjectPath, OwnedVariant};

/// The clipboard of one session.
pub(in crate::typist) struct Selection {
    session: Arc<Session>,
    signals: MessageStream,
}

type Owner = (OwnedObjectPath, std::collections::HashMap<String, OwnedVariant>);

impl Selection {
    /// `signals` are what the portal tells about clipboards.
    pub(super) fn new(session: Arc<Session>, signals: MessageStream) -> Self {
        Self { session, signals }
    }

    /// See [`crate::typist::clipboard::Selection::next`].
    pub(in crate::typist) async fn next(&mut self) -> Result<Told, String> {
        loop {
            let message = next(&mut self.signals).await.ok_or("the session bus went away")?;
            if let Some(told) = self.read(&message.map_err(|e| e.to_string())?) {
                return Ok(told);
            }
        }
    }

    /// What a message says, if it is about this session.
    fn read(&self, message: &Message) -> Option<Told> {
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
                about_us.then_some(Told::Wanted(Wish { form, sink: Sink::Numbered(serial) }))
            }
            _ => None,
        }
    }

    /// See [`crate::typist::clipboard::Selection::own`].
    pub(in crate::typist) async fn own(&self, forms: Vec<&str>) -> Result<(), String> {
        let options = Options::from([("mime_types", forms.into())]);
        self.session.call(CLIPBOARD, "SetSelection", &(self.session.handle(), options)).await.map(drop)
    }

    /// Gives somebody what is wanted under this number, or nothing where there is none.
    pub(in crate::typist) async fn give(&self, serial: u32, bytes: Option<&[u8]>) -> Result<(), String> {
        let session = self.session.handle();
        let mut given = false;
        if let Some(bytes) = bytes {
            let answer = self.session.call(CLIPBOARD, "SelectionWrite", &(session, serial)).await?;
            let sink: OwnedFd = answer.body().deserialize().map_err(|e| e.to_string())?;
            given = write(sink.into(), bytes).await;
        }
        self.session.call(CLIPBOARD, "SelectionWriteDone", &(session, serial, given)).await.map(drop)
    }

    /// See [`crate::typist::clipboard::Selection::ask`].
    pub(in crate::typist) async fn ask(&self, form: &str, most: usize) -> Option<Vec<u8>> {
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
