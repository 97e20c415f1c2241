//! A desktop's question whether a program may type, and a person's answer to it, which is
//! given as those give it who cannot use the mouse: over the bus of accessibility.

use super::hands::connect;
use super::{Desktop, Kind};
use std::io;
use tokio::runtime::Runtime;
use zbus::export::serde::Serialize;
use zbus::zvariant::DynamicType;
use zbus::{Connection, Message, OwnedObjectPath, OwnedVariant};

/// What there is to press in the questions of both desktops.
const YES: &str = "Share";
const NO: &str = "Cancel";

/// What is off in GNOME's question at first.
const SWITCH: &str = "Allow Remote Interaction";

const ACCESSIBLE: &str = "org.a11y.atspi.Accessible";
const ACTION: &str = "org.a11y.atspi.Action";

/// What the toolkits call the action of a button, and of a switch. Labels have actions, too.
const PRESS: [&str; 3] = ["click", "toggle", "Press"];

impl Desktop {
    /// Has the desktop ask about a program that has no token.
    ///
    /// # Errors
    /// The desktop's refusal.
    pub fn forget_leave(&self) -> io::Result<()> {
        if self.kind != Kind::Kde {
            return Ok(());
        }
        let (store, path) =
            ("org.freedesktop.impl.portal.PermissionStore", "/org/freedesktop/impl/portal/PermissionStore");
        let method = format!("{store}.DeletePermission");
        self.call(store, path, &method, &["kde-authorized", "remote-desktop", ""]).map(drop)
    }

    /// Whether the desktop asks its person whether a program may type.
    pub fn asks(&self) -> bool {
        Question::of(self).is_ok_and(|question| question.find(YES).is_ok())
    }

    /// Waits until the desktop asks whether a program may type, and answers.
    ///
    /// # Errors
    /// That it does not ask, or takes no answer.
    pub fn answer(&self, yes: bool) -> io::Result<()> {
        self.until("the question", Self::asks)?;
        let question = Question::of(self)?;
        if yes && self.kind == Kind::Gnome {
            question.press(SWITCH)?;
        }
        // A button cannot be pressed before the switch has come to it.
        self.until("the end of the question", |desktop| {
            let _ = question.press(if yes { YES } else { NO });
            !desktop.asks()
        })
    }
}

/// The windows of the portal.
struct Question {
    runtime: Runtime,
    connection: Connection,
    portal: Thing,
}

/// A thing in a program: the program's name on the bus and the thing's own.
type Thing = (String, OwnedObjectPath);

impl Question {
    fn of(desktop: &Desktop) -> io::Result<Self> {
        let (runtime, session) = connect(desktop.variable("DBUS_SESSION_BUS_ADDRESS").unwrap_or_default())?;
        let bus = Some("org.a11y.Bus");
        let address = runtime.block_on(async {
            let answer = session.call_method(bus, "/org/a11y/bus", bus, "GetAddress", &()).await?;
            answer.body().deserialize::<String>()
        });
        let (runtime, connection) = connect(&address.map_err(io::Error::other)?)?;
        let root = OwnedObjectPath::try_from("/org/a11y/atspi/accessible/root").map_err(io::Error::other)?;
        let root = ("org.a11y.atspi.Registry".to_owned(), root);
        let mut question = Self { runtime, connection, portal: root.clone() };
        let name = format!("xdg-desktop-portal-{}", desktop.backend());
        let portal = question.children(&root)?.into_iter().find(|program| question.is_called(program, &name));
        question.portal = portal.ok_or_else(|| io::Error::other("the portal has no windows"))?;
        Ok(question)
    }

    fn ask<B: Serialize + DynamicType>(
        &self,
        (program, path): &Thing,
        interface: &str,
        method: &str,
        body: &B,
    ) -> io::Result<Message> {
        let call = self.connection.call_method(Some(program.as_str()), path, Some(interface), method, body);
        self.runtime.block_on(call).map_err(io::Error::other)
    }

    fn children(&self, thing: &Thing) -> io::Result<Vec<Thing>> {
        self.ask(thing, ACCESSIBLE, "GetChildren", &())?.body().deserialize().map_err(io::Error::other)
    }

    fn is_called(&self, thing: &Thing, name: &str) -> bool {
        let answer = self.ask(thing, "org.freedesktop.DBus.Properties", "Get", &(ACCESSIBLE, "Name"));
        let told = answer.ok().and_then(|answer| answer.body().deserialize::<OwnedVariant>().ok());
        told.and_then(|told| String::try_from(told).ok()).is_some_and(|told| told == name)
    }

    /// Whether it is a button or a switch.
    fn is_to_press(&self, thing: &Thing) -> bool {
        let first = self.ask(thing, ACTION, "GetName", &0_i32);
        let first = first.ok().and_then(|answer| answer.body().deserialize::<String>().ok());
        first.is_some_and(|first| PRESS.contains(&first.as_str()))
    }

    /// What has this name and can be pressed.
    fn find(&self, name: &str) -> io::Result<Thing> {
        let mut things = vec![self.portal.clone()];
        while let Some(thing) = things.pop() {
            if self.is_called(&thing, name) && self.is_to_press(&thing) {
                return Ok(thing);
            }
            // It may be gone meanwhile.
            things.extend(self.children(&thing).unwrap_or_default());
        }
        Err(io::Error::other(format!("there is no {name} to press")))
    }

    fn press(&self, name: &str) -> io::Result<()> {
        let pressed = self.ask(&self.find(name)?, ACTION, "DoAction", &0_i32)?;
        match pressed.body().deserialize() {
            Ok(true) => Ok(()),
            told => Err(io::Error::other(format!("{name} cannot be pressed: {told:?}"))),
        }
    }
}
