//! What programs tell of their windows and fields to what assists people (AT-SPI).
//!
//! Each tells when a window of its gets or loses the focus, and which field in it. Programs
//! of GTK do so everywhere; those of Qt, browsers and Electron only where the desktop says
//! that it is wanted; many terminals never. So a window that tells nothing cannot be told
//! from another that tells nothing.

use super::{ACCESSIBILITY as BUS, Caret, Focused, connect};
use crate::bus::{listen_for, next, owner_changed, property};
use std::collections::HashMap;
use std::time::Duration;
use zbus::{Connection, Message, MessageStream, OwnedObjectPath, OwnedVariant};

/// Where it is on the session's bus.
const BUS_OBJECT: &str = "/org/a11y/bus";

const REGISTRY: &str = "org.a11y.atspi.Registry";
const REGISTRY_OBJECT: &str = "/org/a11y/atspi/registry";
const ROOT: &str = "/org/a11y/atspi/accessible/root";
const ACCESSIBLE: &str = "org.a11y.atspi.Accessible";
const TEXT: &str = "org.a11y.atspi.Text";

/// What programs are asked to tell.
const EVENTS: [&str; 4] =
    ["window:activate", "window:deactivate", "object:state-changed:active", "object:state-changed:focused"];
const RULES: [&str; 4] = [
    "type='signal',interface='org.a11y.atspi.Event.Window'",
    "type='signal',interface='org.a11y.atspi.Event.Object',member='StateChanged',arg0='active'",
    "type='signal',interface='org.a11y.atspi.Event.Object',member='StateChanged',arg0='focused'",
    "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',arg2=''",
];

/// Numbers of roles and states in the protocol.
const PASSWORD_TEXT: u32 = 40;
/// Alerts, dialogues, choosers of files, frames, windows.
const WINDOWS: [u32; 5] = [2, 16, 19, 23, 69];
const TERMINAL: u32 = 60;
const ACTIVE: u32 = 1;
const FOCUSED: u32 = 12;

/// How long, and among how many things, the focus is looked for at first.
const LOOKING: Duration = Duration::from_secs(2);
const THINGS: usize = 500;

/// A thing in a program: the program's name on the bus and the thing's own.
type Thing = (String, OwnedObjectPath);

/// The bus of accessibility, and what was told on it last.
pub(super) struct Accessible {
    connection: Connection,
    messages: MessageStream,
    window: Option<Thing>,
    /// What has the focus in it, with its role, once the program has answered what that is.
    field: Option<(Thing, Option<u32>)>,
    class: Option<String>,
}

impl Accessible {
    /// Finds the bus and has programs tell.
    ///
    /// # Errors
    /// Why nothing is told, for the log; mostly, that nothing of the kind is installed.
    pub(super) async fn find(session: Option<&str>) -> Result<Self, String> {
        let session = connect(session).await.map_err(|e| e.to_string())?;
        let answer = session.call_method(Some(BUS), BUS_OBJECT, Some(BUS), "GetAddress", &()).await;
        let address: String =
            answer.and_then(|answer| answer.body().deserialize()).map_err(|e| e.to_string())?;
        let connection = connect(Some(&address)).await.map_err(|e| e.to_string())?;
        let messages = MessageStream::from(&connection);
        for rule in RULES {
            listen_for(&connection, rule).await.map_err(|e| e.to_string())?;
        }
        for event in EVENTS {
            let registered = connection.call_method(
                Some(REGISTRY),
                REGISTRY_OBJECT,
                Some(REGISTRY),
                "RegisterEvent",
                &event,
            );
            registered.await.map_err(|e| e.to_string())?;
        }
        let mut accessible = Self { connection, messages, window: None, field: None, class: None };
        accessible.look(LOOKING).await;
        Ok(accessible)
    }

    /// What was told last.
    pub(super) fn now(&self) -> Focused {
        let role = self.field.as_ref().and_then(|(_, role)| *role);
        Focused {
            window: self.window.as_ref().map(named),
            field: self.field.as_ref().map(|(field, _)| named(field)),
            class: self.class.clone(),
            password: role == Some(PASSWORD_TEXT),
            terminal: role == Some(TERMINAL),
            untold: self.field.is_some() && role.is_none(),
            ..Focused::default()
        }
    }

    /// The next that is told; none when nothing ever will be again. It is lost when it is not
    /// taken in.
    pub(super) async fn hear(&mut self) -> Option<Message> {
        next(&mut self.messages).await?.ok()
    }

    /// Takes in what was told; none where that is nothing about the focus.
    pub(super) async fn take_in(&mut self, message: &Message) -> Option<()> {
        let header = message.header();
        let thing = (header.sender()?.to_string(), header.path()?.to_owned().into());
        match (header.interface()?.as_str(), header.member()?.as_str()) {
            ("org.a11y.atspi.Event.Window", "Activate") => self.enter(thing).await,
            ("org.a11y.atspi.Event.Window", "Deactivate") => self.leave(|window| *window == thing)?,
            // A program that dies tells nothing of its window.
            ("org.freedesktop.DBus", "NameOwnerChanged") => {
                let (gone, _) = owner_changed(message)?;
                self.leave(|window| window.0 == gone)?;
            }
            ("org.a11y.atspi.Event.Object", "StateChanged") => match state(message)? {
                // GTK 4 has no other event for a window.
                (Changed::Active, true) if WINDOWS.contains(&self.role(&thing).await?) => {
                    self.enter(thing).await
                }
                (Changed::Active, true) => return None,
                (Changed::Active, false) => self.leave(|window| *window == thing)?,
                (Changed::Focused, true) => {
                    let role = self.role(&thing).await;
                    self.field = Some((thing, role));
                }
                (Changed::Focused, false) => drop(self.field.take_if(|(field, _)| *field == thing)?),
            },
            _ => return None,
        }
        Some(())
    }

    /// A window has got the focus.
    async fn enter(&mut self, window: Thing) {
        self.class = self.name(&window).await;
        // Of its field a program may tell before.
        self.field.take_if(|(field, _)| field.0 != window.0);
        self.window = Some(window);
    }

    /// The window has lost the focus, if it is that one.
    fn leave(&mut self, is_it: impl FnOnce(&mut Thing) -> bool) -> Option<()> {
        self.window.take_if(is_it)?;
        (self.field, self.class) = (None, None);
        Some(())
    }

    /// Looks for the active window and the field that has the focus in it, as far as nobody
    /// has told of them. What cannot be found in time is told when it changes.
    pub(super) async fn look(&mut self, patience: Duration) {
        let look = async {
            if self.window.is_none() {
                let window = self.active().await?;
                self.enter(window).await;
            }
            match (&self.window, &self.field) {
                (Some(window), None) => self.field = self.focused(window.clone()).await,
                (_, Some((field, None))) => {
                    let field = field.clone();
                    let role = self.role(&field).await;
                    self.field = Some((field, role));
                }
                _ => {}
            }
            Some(())
        };
        let _ = tokio::time::timeout(patience, look).await;
    }

    /// The active window of all programs.
    async fn active(&self) -> Option<Thing> {
        let root = (REGISTRY.to_owned(), OwnedObjectPath::try_from(ROOT).ok()?);
        for program in self.children(&root).await? {
            for window in self.children(&program).await.unwrap_or_default() {
                if self.is(&window, ACTIVE).await {
                    return Some(window);
                }
            }
        }
        None
    }

    /// What has the focus in a window, with its role if the program answers.
    async fn focused(&self, window: Thing) -> Option<(Thing, Option<u32>)> {
        let mut things = vec![window];
        for _ in 0..THINGS {
            let thing = things.pop()?;
            if self.is(&thing, FOCUSED).await {
                let role = self.role(&thing).await;
                return Some((thing, role));
            }
            things.extend(self.children(&thing).await.unwrap_or_default());
        }
        None
    }

    /// See [`super::Focus::caret`].
    pub(super) async fn caret(&self, from: Option<i32>) -> Option<Caret> {
        let (field, _) =
            self.field.as_ref().filter(|(_, role)| role.is_some_and(|role| role != PASSWORD_TEXT))?;
        let caret = self.property(field, TEXT, "CaretOffset").await?;
        let caret = i32::try_from(caret).ok().filter(|caret| *caret >= 0)?;
        // Programs without selections tell of none.
        let selections = self.ask(field, TEXT, "GetNSelections", &()).await;
        let selections: i32 = selections.and_then(|told| told.body().deserialize().ok()).unwrap_or_default();
        let name = named(field);
        if selections > 0 {
            let selection = self.ask(field, TEXT, "GetSelection", &0i32).await?;
            let (begin, end): (i32, i32) = selection.body().deserialize().ok()?;
            if begin != end {
                return Some(Caret { field: name, at: begin.min(end), text: None });
            }
        }
        let text = match from.filter(|from| *from <= caret) {
            Some(from) => {
                let text = self.ask(field, TEXT, "GetText", &(from, caret)).await?;
                Some(text.body().deserialize().ok()?)
            }
            None => None,
        };
        Some(Caret { field: name, at: caret, text })
    }

    async fn ask<B>(&self, thing: &Thing, interface: &str, method: &str, body: &B) -> Option<Message>
    where
        B: zbus::export::serde::Serialize + zbus::zvariant::DynamicType,
    {
        let (program, path) = thing;
        self.connection.call_method(Some(program.as_str()), path, Some(interface), method, body).await.ok()
    }

    async fn property(&self, (program, path): &Thing, interface: &str, name: &str) -> Option<OwnedVariant> {
        property(&self.connection, program, path.as_str(), interface, name).await.ok()
    }

    async fn children(&self, thing: &Thing) -> Option<Vec<Thing>> {
        self.ask(thing, ACCESSIBLE, "GetChildren", &()).await?.body().deserialize().ok()
    }

    async fn is(&self, thing: &Thing, state: u32) -> bool {
        let answer = self.ask(thing, ACCESSIBLE, "GetState", &()).await;
        let states: Option<Vec<u32>> = answer.and_then(|answer| answer.body().deserialize().ok());
        states.is_some_and(|states| {
            states.get(state as usize / 32).is_some_and(|bits| bits >> (state % 32) & 1 == 1)
        })
    }

    /// The number of its role, 0 where it has none; none when the program does not answer in
    /// time.
    async fn role(&self, (program, path): &Thing) -> Option<u32> {
        let asked =
            self.connection.call_method(Some(program.as_str()), path, Some(ACCESSIBLE), "GetRole", &());
        match asked.await {
            Ok(answer) => Some(answer.body().deserialize().unwrap_or_default()),
            Err(zbus::Error::MethodError(..)) => Some(0),
            Err(_) => None,
        }
    }

    /// What the program of a thing is called.
    async fn name(&self, thing: &Thing) -> Option<String> {
        let program = (thing.0.clone(), OwnedObjectPath::try_from(ROOT).ok()?);
        let name = self.property(&program, ACCESSIBLE, "Name").await?;
        String::try_from(name).ok().filter(|name| !name.is_empty())
    }
}

/// A name of a thing that no other has.
fn named((program, path): &Thing) -> String {
    format!("{program}{path}")
}

/// What of a thing has changed.
enum Changed {
    Active,
    Focused,
}

/// What an event says that has changed, and to what. What stands behind these parts differs
/// from program to program.
fn state(message: &Message) -> Option<(Changed, bool)> {
    type New = (String, i32, i32, OwnedVariant, HashMap<String, OwnedVariant>);
    type Old = (String, i32, i32, OwnedVariant, Thing);
    let body = message.body();
    let new = body.deserialize::<New>().map(|(what, now, ..)| (what, now));
    let (what, now) = new.or_else(|_| body.deserialize::<Old>().map(|(what, now, ..)| (what, now))).ok()?;
    let changed = match what.as_str() {
        "active" => Changed::Active,
        "focused" => Changed::Focused,
        _ => return None,
    };
    Some((changed, now != 0))
}
