//! `status --follow`: a line whenever the daemon's status becomes another one.
//!
//! Everything arrives in one stream in the order in which the bus sent it – that
//! the daemon came or went, what changed, the answer to the question for all
//! properties – so no change can be overtaken by an older answer. Nothing is
//! polled: between changes the process sleeps. The metrics are left out, as they
//! change without being announced.

use crate::failure::{Failure, is_no_daemon};
use crate::show;
use serde_json::Value;
use std::num::NonZeroU32;
use std::pin::Pin;
use swictation_control::{INTERFACE, NAME, OwnedDict, PATH, Status, exit};
use zbus::export::futures_core::Stream;
use zbus::message::{Flags, Type};
use zbus::{Connection, Message, MessageStream};

const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
/// Selects the signals that tell that a daemon came or went.
pub(crate) const OWNER_CHANGES: &str =
    "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',arg0='org.swictation.Dictation1'";

/// Prints the status, and again at every change, until the reader or the bus goes away.
pub(crate) async fn follow(connection: &Connection) -> Result<u8, Failure> {
    let mut messages = MessageStream::from(connection);
    for rule in [
        OWNER_CHANGES.to_owned(),
        format!("type='signal',sender='{NAME}',path='{PATH}',interface='{PROPERTIES}',arg0='{INTERFACE}'"),
    ] {
        let bus = "org.freedesktop.DBus";
        connection
            .call_method(Some(bus), "/org/freedesktop/DBus", Some(bus), "AddMatch", &rule)
            .await
            .map_err(Failure::from)?;
    }
    let mut asked = ask(connection).await.map_err(Failure::from)?;
    let mut status: Option<Status> = None;
    let mut shown: Option<Value> = None;
    while let Some(Ok(message)) = next(&mut messages).await {
        match read(&message, asked) {
            Some(News::Came) => {
                asked = ask(connection).await.map_err(Failure::from)?;
                continue;
            }
            Some(News::Gone) => status = None,
            Some(News::All(properties)) => {
                status = Some(Status::from_properties(&properties).map_err(Failure::other)?);
            }
            Some(News::Changed(properties)) => match &mut status {
                Some(status) => status.apply(&properties).map_err(Failure::other)?,
                // The answer that is under way knows of this change.
                None => continue,
            },
            Some(News::Refused(e)) => return Err(e.into()),
            None => continue,
        }
        if let Some(status) = &mut status {
            status.metrics = Value::Null;
        }
        let line = Status::line(status.as_ref());
        if shown.as_ref() != Some(&line) {
            show::line(&line.to_string())?;
            shown = Some(line);
        }
    }
    Err(Failure::new(exit::NO_BUS, "the session bus went away".into()))
}

/// What a message means here.
enum News {
    /// A daemon took the name.
    Came,
    /// Nobody has the name.
    Gone,
    /// Every property.
    All(OwnedDict),
    /// The properties that changed.
    Changed(OwnedDict),
    /// The question was answered with an error.
    Refused(zbus::Error),
}

fn read(message: &Message, asked: NonZeroU32) -> Option<News> {
    let header = message.header();
    let answers = header.reply_serial() == Some(asked);
    match message.message_type() {
        Type::MethodReturn if answers => {
            Some(message.body().deserialize().map_or_else(News::Refused, News::All))
        }
        Type::Error if answers => {
            let e = zbus::Error::from(message.clone());
            Some(if is_no_daemon(&e) { News::Gone } else { News::Refused(e) })
        }
        Type::Signal if header.member()? == "NameOwnerChanged" => {
            let (_, _, owner): (String, String, String) = message.body().deserialize().ok()?;
            Some(if owner.is_empty() { News::Gone } else { News::Came })
        }
        Type::Signal if header.member()? == "PropertiesChanged" => {
            let (_, changed, _): (String, OwnedDict, Vec<String>) = message.body().deserialize().ok()?;
            Some(News::Changed(changed))
        }
        _ => None,
    }
}

/// Asks for all properties without starting a daemon; the number the answer will have.
async fn ask(connection: &Connection) -> zbus::Result<NonZeroU32> {
    let question = Message::method_call(PATH, "GetAll")
        .destination(NAME)
        .interface(PROPERTIES)
        .with_flags(Flags::NO_AUTO_START)
        .build(&INTERFACE)?;
    connection.send(&question).await?;
    Ok(question.primary_header().serial_num())
}

/// The next message, or None when the bus is gone.
pub(crate) async fn next(messages: &mut MessageStream) -> Option<zbus::Result<Message>> {
    std::future::poll_fn(|cx| Pin::new(&mut *messages).poll_next(cx)).await
}
