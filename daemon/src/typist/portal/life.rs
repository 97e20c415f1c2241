//! The life of the portal's session, from the first dictation to the daemon's end.
//!
//! A person may be asked whether Swictation may type, and may take a while: meanwhile what
//! is to be typed is given back at once with that as the reason, and typed when it is tried
//! again. Who says no is asked again with the next dictation and not before.

use super::desk::{self, Desk};
use super::session::{self, Refusal, Session};
use super::token::Token;
use crate::typist::focus::Focused;
use crate::typist::listener::Listen;
use crate::typist::{Keys, TypistError};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use swictation_core::Edit;
use tokio::time::Instant;
use zbus::Connection;

/// How long an edit waits for a session where nobody should have to be asked for it, and
/// where somebody has.
const UNASKED: Duration = Duration::from_secs(10);
const ASKING: Duration = Duration::from_millis(500);

type Opened = Result<Box<Desk>, Refusal>;
type Opening = Pin<Box<dyn Future<Output = Opened>>>;

/// What there is of a session.
enum Stage {
    Absent,
    /// Until then it is waited for; a person may be asked.
    Opening(Opening, Instant),
    Open(Box<Desk>),
    /// The person said no.
    Denied,
}

/// What the desktop has to say.
pub(super) enum News {
    /// What came of the question for a session.
    Opened(Opened),
    /// Something about the session.
    Session(desk::News),
}

/// The portal, and the session with it.
pub(super) struct Life {
    connection: Connection,
    /// Where the compositor is, if not where the environment says.
    display: Option<PathBuf>,
    /// Where the X server inside the session is.
    x11: Option<String>,
    token: Token,
    /// How many sessions were asked for.
    sessions: usize,
    stage: Stage,
    /// What becomes of keys.
    keys: Keys,
    /// What is told of the focus.
    focused: Focused,
}

impl Life {
    /// Finds the portal, and opens no session.
    ///
    /// # Errors
    /// Why there is none, for a person.
    pub(super) async fn find(
        bus: Option<&str>,
        display: Option<PathBuf>,
        x11: Option<String>,
        token: Token,
    ) -> Result<Self, String> {
        let connection = session::connect(bus).await?;
        session::check(&connection).await?;
        let stage = Stage::Absent;
        Ok(Self {
            connection,
            display,
            x11,
            token,
            sessions: 0,
            stage,
            keys: Keys::Direct,
            focused: Focused::default(),
        })
    }

    /// Asks for a session; the answer comes when it is attended to.
    fn begin(&mut self) {
        let token = self.token.read();
        let patience = if token.is_some() { UNASKED } else { ASKING };
        self.sessions += 1;
        let (connection, number) = (self.connection.clone(), self.sessions);
        let opening = open(connection, self.display.clone(), self.x11.clone(), number, token);
        self.stage = Stage::Opening(Box::pin(opening), Instant::now() + patience);
    }

    fn opened(&mut self, opened: Opened) -> Result<(), String> {
        match opened {
            Ok(desk) => {
                self.token.replace(desk.token());
                self.stage = Stage::Open(desk);
                Ok(())
            }
            Err(Refusal::Denied) => {
                // Whatever the token was for: the person was asked all the same.
                self.token.replace(None);
                self.stage = Stage::Denied;
                Ok(())
            }
            Err(Refusal::Failed(why)) => {
                self.stage = Stage::Absent;
                Err(why)
            }
        }
    }

    /// Ends the session.
    async fn close(&mut self) {
        if let Stage::Open(desk) = std::mem::replace(&mut self.stage, Stage::Absent) {
            desk.close().await;
        }
    }
}

impl Listen for Life {
    type News = News;

    async fn attend(&mut self) -> News {
        match &mut self.stage {
            Stage::Absent | Stage::Denied => std::future::pending().await,
            Stage::Opening(opening, _) => News::Opened(opening.await),
            Stage::Open(desk) => News::Session(desk.attend().await),
        }
    }

    async fn take_in(&mut self, news: News) {
        let over = match (news, &mut self.stage) {
            (News::Opened(opened), _) => {
                // Whoever applies an edit next asks again, and is told what fails then.
                if let Err(why) = self.opened(opened) {
                    tracing::info!("the desktop's portal opens no session: {why}");
                }
                return;
            }
            (News::Session(desk::News::Over(why)), _) => why,
            (News::Session(desk::News::Clipboard(told)), Stage::Open(desk)) => match desk.take_in(told).await
            {
                Ok(()) => return,
                Err(why) => why,
            },
            (News::Session(desk::News::Clipboard(_)), _) => return,
        };
        tracing::info!("the session of the desktop's portal is over: {over}");
        self.close().await;
    }

    fn watch(&mut self, _: bool) {
        if let Stage::Absent | Stage::Denied = self.stage {
            self.begin();
        }
    }

    fn keys(&mut self, keys: &Keys) -> bool {
        self.keys = keys.clone();
        true
    }

    fn tell(&mut self, focused: Focused) {
        self.focused = focused;
    }

    async fn apply(&mut self, edit: &Edit) -> Result<(), TypistError> {
        if let Stage::Absent = self.stage {
            self.begin();
        }
        if let Stage::Opening(opening, until) = &mut self.stage {
            let Ok(opened) = tokio::time::timeout_at(*until, opening).await else {
                return Err(TypistError::nowhere(ASKED));
            };
            self.opened(opened).map_err(TypistError::Unavailable)?;
        }
        match &mut self.stage {
            Stage::Open(desk) => {
                let applied = desk.apply(edit, &self.keys, &self.focused).await;
                if let Err(TypistError::Lost { .. }) = applied {
                    self.close().await;
                }
                applied
            }
            _ => Err(TypistError::nowhere(DENIED)),
        }
    }
}

async fn open(
    connection: Connection,
    display: Option<PathBuf>,
    x11: Option<String>,
    number: usize,
    token: Option<String>,
) -> Opened {
    let name = format!("swictation_{number}");
    let (session, clipboard) = match Session::open(connection.clone(), &name, token.as_deref()).await {
        // A token of another desktop, or of one that was set up anew.
        Err(Refusal::Failed(why)) if token.is_some() => {
            tracing::info!("{why}; it is asked again, without the leave it gave before");
            Session::open(connection, &format!("{name}_asked"), None).await?
        }
        opened => opened?,
    };
    let session = Arc::new(session);
    match Desk::open(Arc::clone(&session), clipboard, display, x11).await {
        Ok(desk) => Ok(Box::new(desk)),
        Err(why) => {
            // The desktop would show it for as long as the daemon runs.
            session.close().await;
            Err(Refusal::Failed(why))
        }
    }
}

const ASKED: &str = "the desktop asks whether Swictation may type (remote control of the keyboard): \
                     allow it, once and for all; on GNOME, turn on the switch for remote interaction first";

const DENIED: &str = "the desktop was told that Swictation may not type; it asks again with the next dictation, \
                      or choose another typist in the configuration";
