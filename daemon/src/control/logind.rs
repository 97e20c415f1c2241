//! What logind tells of the machine and of the session: sleep and lock.
//!
//! A thread of its own on the system bus, as async as that bus demands and asleep
//! between two messages. It holds back sleep with a delay inhibitor until the last
//! words are typed, or until logind would not wait any longer. A machine without a
//! system bus, or without logind, has nothing to tell, and that is no trouble. What
//! becomes of a dictation is not decided here.

use crate::bus::{listen_for, next, owner_changed, property, runtime};
use std::time::Duration;
use swictation_core::session::Away;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;
use zbus::{Connection, Message, MessageStream, OwnedFd, OwnedObjectPath, OwnedVariant};

const LOGIND: &str = "org.freedesktop.login1";
const OBJECT: &str = "/org/freedesktop/login1";
const MANAGER: &str = "org.freedesktop.login1.Manager";
const SESSION: &str = "org.freedesktop.login1.Session";

/// All that is listened to; which session a signal is about shows its path.
const RULES: [&str; 4] = [
    "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',arg0='org.freedesktop.login1'",
    "type='signal',sender='org.freedesktop.login1',member='PrepareForSleep'",
    "type='signal',sender='org.freedesktop.login1',interface='org.freedesktop.login1.Session'",
    "type='signal',sender='org.freedesktop.login1',member='PropertiesChanged',arg0='org.freedesktop.login1.Session'",
];

/// How long logind may take to answer.
const ANSWER: Duration = Duration::from_secs(5);
/// How long logind waits for inhibitors where it does not tell.
const DELAY: Duration = Duration::from_secs(5);

/// The thread that listens; it ends when this is dropped.
pub struct Logind {
    orders: UnboundedSender<()>,
}

impl Logind {
    /// Everything is typed: sleep need not wait any longer.
    pub fn may_sleep(&self) {
        let _ = self.orders.send(());
    }
}

/// Listens to logind; `tell` is called on a thread of its own and must return at once.
///
/// # Errors
/// The system's refusal to start a thread.
pub fn watch(tell: impl Fn(Away) + Send + 'static) -> std::io::Result<Logind> {
    let runtime = runtime()?;
    let (orders, inbox) = unbounded_channel();
    let run = move || {
        if let Err(e) = runtime.block_on(listen(tell, inbox)) {
            tracing::debug!("sleep and lock are not told: the system bus: {e}");
        }
    };
    std::thread::Builder::new().name("logind".into()).spawn(run)?;
    Ok(Logind { orders })
}

async fn listen(tell: impl Fn(Away), mut orders: UnboundedReceiver<()>) -> zbus::Result<()> {
    let connection = zbus::connection::Builder::system().method_timeout(ANSWER).build().await?;
    let mut messages = MessageStream::from(&connection);
    for rule in RULES {
        listen_for(&connection, rule).await?;
    }
    let mut watch = Watch {
        connection,
        tell,
        session: None,
        locked: false,
        inhibitor: None,
        delay: DELAY,
        asleep: false,
        until: None,
    };
    watch.begin().await;
    loop {
        let until = watch.until;
        let patience = async {
            match until {
                Some(until) => tokio::time::sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            message = next(&mut messages) => match message {
                Some(message) => watch.read(&message?).await,
                None => return Ok(()),
            },
            order = orders.recv() => match order {
                Some(()) => watch.let_sleep(),
                None => return Ok(()),
            },
            () = patience => watch.let_sleep(),
        }
    }
}

/// What is known of logind.
struct Watch<F> {
    connection: Connection,
    tell: F,
    /// The session of the person who dictates.
    session: Option<OwnedObjectPath>,
    /// What logind says of its screen.
    locked: bool,
    /// Holds back sleep until it is dropped.
    inhibitor: Option<OwnedFd>,
    /// How long it does.
    delay: Duration,
    /// The machine is about to sleep.
    asleep: bool,
    /// It waits for us, and is let go then at the latest.
    until: Option<Instant>,
}

impl<F: Fn(Away)> Watch<F> {
    /// A logind is there that knows nothing of us.
    async fn begin(&mut self) {
        self.until = None;
        if std::mem::take(&mut self.asleep) {
            // The one before it told of sleep, and cannot tell of the end of it.
            (self.tell)(Away::Wake);
        }
        if let Some(delay) = self.property::<u64>(OBJECT, MANAGER, "InhibitDelayMaxUSec").await {
            self.delay = Duration::from_micros(delay);
        }
        self.inhibit().await;
        self.session = self.find_session().await;
        if let Some(session) = self.session.clone() {
            let locked = self.property::<bool>(session.as_str(), SESSION, "LockedHint").await;
            self.locked(locked.unwrap_or_default());
        }
    }

    async fn inhibit(&mut self) {
        let why = "The last words of a dictation are being typed";
        let answer = self.call("Inhibit", &("sleep", "Swictation", why, "delay")).await;
        let inhibitor = answer.and_then(|answer| answer.body().deserialize());
        self.inhibitor = inhibitor
            .inspect_err(|e| tracing::debug!("sleep will not wait for the end of a dictation: {e}"))
            .ok();
    }

    /// A service that the session bus started belongs to no session: `auto` is the
    /// graphical one of the person then, and `XDG_SESSION_ID` may be that of the services.
    async fn find_session(&self) -> Option<OwnedObjectPath> {
        let named = std::env::var("XDG_SESSION_ID").ok();
        for name in ["auto"].into_iter().chain(named.as_deref()) {
            match self.call("GetSession", &name).await.and_then(|answer| answer.body().deserialize()) {
                Ok(session) => return Some(session),
                Err(e) => tracing::debug!("logind knows no session {name}: {e}"),
            }
        }
        None
    }

    async fn call<B>(&self, method: &'static str, body: &B) -> zbus::Result<Message>
    where
        B: zbus::export::serde::Serialize + zbus::DynamicType,
    {
        self.connection.call_method(Some(LOGIND), OBJECT, Some(MANAGER), method, body).await
    }

    async fn property<T: TryFrom<OwnedVariant>>(&self, path: &str, of: &str, name: &str) -> Option<T> {
        T::try_from(property(&self.connection, LOGIND, path, of, name).await.ok()?).ok()
    }

    async fn read(&mut self, message: &Message) {
        let header = message.header();
        let ours = header.path().zip(self.session.as_ref()).is_some_and(|(path, session)| path == &**session);
        let body = message.body();
        match header.member().map(|member| member.as_str()) {
            Some("NameOwnerChanged") => {
                if let Some((_, true)) = owner_changed(message) {
                    self.begin().await;
                }
            }
            Some("PrepareForSleep") => match body.deserialize() {
                Ok(true) => {
                    // A little earlier than logind, which then sleeps in any case.
                    self.until = Some(Instant::now() + self.delay * 9 / 10);
                    self.asleep = true;
                    (self.tell)(Away::Sleep);
                }
                Ok(false) => {
                    self.until = None;
                    self.asleep = false;
                    (self.tell)(Away::Wake);
                    self.inhibit().await;
                }
                Err(e) => tracing::debug!("logind tells of sleep in another way: {e}"),
            },
            // A lock that logind knows of says itself when it is open again.
            Some("Lock") if ours && !self.locked => (self.tell)(Away::Locking),
            Some("Unlock") if ours && !self.locked => (self.tell)(Away::Unlock),
            Some("PropertiesChanged") if ours => {
                let changed = body.deserialize::<(String, swictation_control::OwnedDict, Vec<String>)>();
                let hint = changed.ok().and_then(|(_, mut changed, _)| changed.remove("LockedHint"));
                if let Some(locked) = hint.and_then(|hint| bool::try_from(hint).ok()) {
                    self.locked(locked);
                }
            }
            _ => {}
        }
    }

    fn locked(&mut self, locked: bool) {
        if self.locked != locked {
            self.locked = locked;
            (self.tell)(if locked { Away::Lock } else { Away::Unlock });
        }
    }

    fn let_sleep(&mut self) {
        // Said too late, it must not end the inhibitor for the next sleep.
        if self.until.take().is_some() {
            self.inhibitor = None;
        }
    }
}
