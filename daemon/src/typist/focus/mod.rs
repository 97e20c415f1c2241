//! What is known of the focused window apart from the typist: which it is, of what kind, and
//! whether a field for passwords has the focus in it.
//!
//! X servers and compositors of the wlroots family tell their typist which window has the
//! focus. Of the others KWin tells a script of ours ([`kwin`]), and programs tell what assists
//! people ([`accessible`]), as does any program of any desktop of its fields. Both tell over
//! D-Bus, at any time and somewhat late, so this lives on a thread of its own and what is
//! known is looked at before each edit. A desktop that tells nothing costs nothing.

mod accessible;
mod kwin;

use crate::control::dbus::runtime;
use accessible::Accessible;
use kwin::Kwin;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;
use zbus::{Connection, Message, MessageStream};

/// What tells of the focus, by their names on the session's bus; one that is started later,
/// or again, is followed from then on.
const KWIN: &str = "org.kde.KWin";
const ACCESSIBILITY: &str = "org.a11y.Bus";

/// How long it is waited for what is known at first.
const FIRST: Duration = Duration::from_millis(500);

/// How long KWin, or a program, may take to answer.
const ANSWER: Duration = Duration::from_secs(1);

const DBUS: &str = "org.freedesktop.DBus";

/// What is known of the focus now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Focused {
    /// A name of the window that no other has; none where that is not known.
    pub window: Option<String>,
    /// The class of the window, which is mostly the name of its program.
    pub class: Option<String>,
    /// A field for passwords has the focus.
    pub password: bool,
    /// It is a terminal.
    pub terminal: bool,
}

/// The focus of one session, followed until this is dropped.
pub struct Focus {
    known: Arc<Mutex<Focused>>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Focus {
    /// Follows the focus of the session on the bus with this address, or of the person's own.
    /// A script for KWin lies in `folder` for a moment.
    ///
    /// # Errors
    /// The system's refusal to start a thread.
    pub fn start(bus: Option<&str>, folder: &Path) -> std::io::Result<Self> {
        let known = Arc::new(Mutex::new(Focused::default()));
        let (end, ended) = oneshot::channel();
        let (first, told) = std::sync::mpsc::channel();
        let (bus, folder, seen) = (bus.map(str::to_owned), folder.to_owned(), Arc::clone(&known));
        let thread = std::thread::Builder::new().name("focus".into()).spawn(move || {
            let Ok(runtime) = runtime() else { return };
            runtime.block_on(follow(bus, folder, &seen, first, ended));
        })?;
        // Where nothing is known in time, nothing is known yet.
        let _ = told.recv_timeout(FIRST);
        Ok(Self { known, end: Some(end), thread: Some(thread) })
    }

    /// What is known now.
    pub fn now(&self) -> Focused {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Focus {
    fn drop(&mut self) {
        drop(self.end.take());
        drop(self.thread.take().map(JoinHandle::join));
    }
}

/// Follows both, each as long as it is there, until it is ended.
async fn follow(
    bus: Option<String>,
    folder: PathBuf,
    known: &Mutex<Focused>,
    first: std::sync::mpsc::Sender<()>,
    mut ended: oneshot::Receiver<()>,
) {
    let bus = bus.as_deref();
    let (mut kwin, mut accessible, mut names) =
        tokio::join!(find_kwin(bus, &folder), find_accessible(bus), Names::watch(bus));
    loop {
        *known.lock().unwrap_or_else(PoisonError::into_inner) =
            merged(kwin.as_ref().map(Kwin::now), accessible.as_ref().map(Accessible::now));
        let _ = first.send(());
        let told = tokio::select! {
            message = next(kwin.as_mut().map(Kwin::hear)) => Told::Kwin(message),
            message = next(accessible.as_mut().map(Accessible::hear)) => Told::Program(message),
            message = next(names.as_mut().map(Names::hear)) => Told::Name(message),
            _ = &mut ended => break,
        };
        match (told, &mut kwin, &mut accessible) {
            (Told::Kwin(Some(message)), Some(kwin), _) => drop(kwin.take_in(&message).await),
            (Told::Program(Some(message)), _, Some(accessible)) => drop(accessible.take_in(&message).await),
            // What has ended knows nothing any more.
            (Told::Kwin(_), ..) => kwin = None,
            (Told::Program(_), ..) => accessible = None,
            (Told::Name(None), ..) => names = None,
            (Told::Name(Some(message)), ..) => match started(&message) {
                Some((name, is_there)) if name == KWIN => {
                    kwin = if is_there { find_kwin(bus, &folder).await } else { None };
                }
                // That it is gone, its own bus tells.
                Some((name, true)) if name == ACCESSIBILITY && accessible.is_none() => {
                    accessible = find_accessible(bus).await;
                }
                _ => {}
            },
        }
    }
    if let Some(kwin) = kwin {
        kwin.end().await;
    }
}

async fn find_kwin(bus: Option<&str>, folder: &Path) -> Option<Kwin> {
    let found = Kwin::find(bus, folder).await;
    found.inspect_err(|why| tracing::debug!("KWin does not tell of the focus: {why}")).ok()
}

async fn find_accessible(bus: Option<&str>) -> Option<Accessible> {
    let found = Accessible::find(bus).await;
    found.inspect_err(|why| tracing::debug!("programs do not tell of the focus: {why}")).ok()
}

/// Who told something, or that it has ended.
enum Told {
    Kwin(Option<Message>),
    Program(Option<Message>),
    Name(Option<Message>),
}

/// What comes and goes on the session's bus.
struct Names {
    messages: MessageStream,
    _connection: Connection,
}

impl Names {
    async fn watch(bus: Option<&str>) -> Option<Self> {
        let connection = connect(bus).await.ok()?;
        let messages = MessageStream::from(&connection);
        for name in [KWIN, ACCESSIBILITY] {
            let rule = format!("type='signal',sender='{DBUS}',member='NameOwnerChanged',arg0='{name}'");
            let object = "/org/freedesktop/DBus";
            connection.call_method(Some(DBUS), object, Some(DBUS), "AddMatch", &rule).await.ok()?;
        }
        Some(Self { messages, _connection: connection })
    }

    async fn hear(&mut self) -> Option<Message> {
        crate::control::dbus::next(&mut self.messages).await?.ok()
    }
}

/// Whose name a message is about, and whether anybody has it now.
fn started(message: &Message) -> Option<(String, bool)> {
    if message.header().member()?.as_str() != "NameOwnerChanged" {
        return None;
    }
    let (name, _, owner): (String, String, String) = message.body().deserialize().ok()?;
    Some((name, !owner.is_empty()))
}

/// A connection to the bus with this address, or to the session's, on which nobody is waited
/// for long.
async fn connect(bus: Option<&str>) -> zbus::Result<Connection> {
    let builder = match bus {
        Some(address) => zbus::connection::Builder::address(address),
        None => zbus::connection::Builder::session(),
    };
    builder.method_timeout(ANSWER).build().await
}

/// What comes next from one that is there.
async fn next(told: Option<impl Future<Output = Option<Message>>>) -> Option<Message> {
    match told {
        Some(told) => told.await,
        None => std::future::pending().await,
    }
}

/// KWin knows windows, all of them; programs know their fields.
fn merged(kwin: Option<Focused>, accessible: Option<Focused>) -> Focused {
    match (kwin, accessible.unwrap_or_default()) {
        (Some(kwin), programs) => {
            Focused { password: programs.password, terminal: programs.terminal, ..kwin }
        }
        (None, programs) => programs,
    }
}
