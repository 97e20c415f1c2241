//! What is known of the focused window apart from the typist: which it is, of what kind, and
//! whether a field for passwords has the focus in it, what stands before its caret, and what
//! becomes of keys on their way there ([`input_method`]).
//!
//! X servers and compositors of the wlroots family tell their typist which window has the
//! focus. Of the others KWin tells a script of ours ([`kwin`]), and programs tell what assists
//! people ([`accessible`]), as does any program of any desktop of its fields. Both tell over
//! D-Bus, at any time and somewhat late, so this lives on a thread of its own and what is
//! known is looked at before each edit. A desktop that tells nothing costs nothing.

mod accessible;
mod input_method;
mod kwin;

use super::crowding::crowding;
use super::{Keys, terminals};
use crate::bus::{self, listen_for, runtime};
use accessible::Accessible;
use input_method::InputMethods;
use kwin::Kwin;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use zbus::{Connection, Message, MessageStream};

/// What tells of the focus, by their names on the session's bus; one that is started later,
/// or again, is followed from then on.
const KWIN: &str = "org.kde.KWin";
const ACCESSIBILITY: &str = "org.a11y.Bus";

/// How long it is waited for what is known at first.
const FIRST: Duration = Duration::from_secs(2);

/// How often KWin is asked for its windows that has not told of them.
const TRIES: usize = 3;

/// How long programs may keep text waiting, where they are asked for something, on an idle
/// machine.
const TOLD: Duration = Duration::from_millis(200);

/// How long KWin, or a program, may take to answer.
const ANSWER: Duration = Duration::from_secs(1);

/// What is known of the focus now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Focused {
    /// Whoever may tell of the focus has been found, or is not there.
    pub known: bool,
    /// A name of the window that no other has, an empty one while no window has the focus;
    /// none where nobody tells of it.
    pub window: Option<String>,
    /// A name of the field that no other has; none where the program does not tell.
    pub field: Option<String>,
    /// The class of the window, which is mostly the name of its program.
    pub class: Option<String>,
    /// A field for passwords has the focus.
    pub password: bool,
    /// It is a terminal.
    pub terminal: bool,
    /// The program was asked what kind of field it is, and has not answered.
    pub untold: bool,
}

impl Focused {
    /// Whether a terminal has it, as far as somebody tells.
    pub(super) fn is_terminal(&self) -> bool {
        self.terminal || self.class.as_deref().is_some_and(terminals::has)
    }

    /// Whether no window has the focus.
    pub(super) fn is_nowhere(&self) -> bool {
        self.window.as_deref() == Some("")
    }
}

/// What a program tells of the field that has the focus. Its places are counted in the
/// program's own way, which for most is in characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Caret {
    /// A name of the field that no other has.
    pub(super) field: String,
    /// Where the caret is; where the selection begins, if something is selected.
    pub(super) at: i32,
    /// The text from the place that was asked for to the caret; none where something is
    /// selected, or the caret is before that place.
    pub(super) text: Option<String>,
}

/// What is asked of the thread.
enum Question {
    /// For the text before the caret, from a place on or, with none, for the caret alone.
    Caret(Option<i32>, std::sync::mpsc::Sender<Option<Caret>>),
    /// For what becomes of keys.
    Keys(std::sync::mpsc::Sender<Keys>),
    /// For what nobody has told of; it is known when the other end is gone.
    Look(std::sync::mpsc::Sender<()>),
}

/// The focus of one session, followed until this is dropped.
pub struct Focus {
    known: Arc<Mutex<Focused>>,
    /// The answer that came last, for when none comes in time.
    keys: Mutex<Keys>,
    questions: Option<UnboundedSender<Question>>,
    thread: Option<JoinHandle<()>>,
}

impl Focus {
    /// Follows the focus of the session on the bus with this address, or of the person's own.
    /// A script for KWin lies in `folder` for a moment. In the folder `ibus`, IBus writes
    /// where it is.
    ///
    /// # Errors
    /// The system's refusal to start a thread.
    pub fn start(bus: Option<&str>, folder: &Path, ibus: &Path) -> std::io::Result<Self> {
        let known = Arc::new(Mutex::new(Focused::default()));
        let (questions, asked) = unbounded_channel();
        let (first, told) = std::sync::mpsc::channel();
        let (bus, seen) = (bus.map(str::to_owned), Arc::clone(&known));
        let folders = (folder.to_owned(), ibus.to_owned());
        let thread = std::thread::Builder::new().name("focus".into()).spawn(move || {
            let Ok(runtime) = runtime() else { return };
            runtime.block_on(follow(bus, folders, &seen, first, asked));
        })?;
        // Where nothing is known in time, nothing is known yet.
        let _ = told.recv_timeout(FIRST);
        Ok(Self { known, keys: Mutex::default(), questions: Some(questions), thread: Some(thread) })
    }

    /// What is known now.
    pub fn now(&self) -> Focused {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where the caret is, with the text before it from a place on; none where the program
    /// with the focus does not tell, or not in time.
    pub(super) fn caret(&self, from: Option<i32>) -> Option<Caret> {
        let (reply, answer) = std::sync::mpsc::channel();
        self.questions.as_ref()?.send(Question::Caret(from, reply)).ok()?;
        answer.recv_timeout(TOLD.mul_f64(crowding())).ok().flatten()
    }

    /// The character before the caret; none where there is none, or nobody tells.
    pub fn before_caret(&self) -> Option<char> {
        let at = self.caret(None)?.at;
        let before = self.caret(Some(at.checked_sub(1).filter(|before| *before >= 0)?))?;
        before.text.filter(|_| before.at == at)?.chars().last()
    }

    /// What becomes of keys now.
    pub(super) fn keys(&self) -> Keys {
        let (reply, answer) = std::sync::mpsc::channel();
        let mut last = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if self.questions.as_ref().is_some_and(|asked| asked.send(Question::Keys(reply)).is_ok())
            && let Ok(keys) = answer.recv_timeout(input_method::PATIENCE)
        {
            *last = keys;
        }
        last.clone()
    }

    /// Looks for what no program has told of: one that has just started may tell nothing
    /// before its focus moves. Returns when that is known, or would take too long.
    pub fn look(&self) {
        let (reply, looked) = std::sync::mpsc::channel();
        if let Some(questions) = &self.questions {
            let _ = questions.send(Question::Look(reply));
        }
        let _ = looked.recv_timeout(TOLD.mul_f64(crowding()));
    }
}

impl Drop for Focus {
    fn drop(&mut self) {
        drop(self.questions.take());
        drop(self.thread.take().map(JoinHandle::join));
    }
}

/// Follows KWin, programs and input methods, each as long as it is there, until it is ended.
async fn follow(
    bus: Option<String>,
    (folder, ibus): (PathBuf, PathBuf),
    known: &Mutex<Focused>,
    first: std::sync::mpsc::Sender<()>,
    mut asked: UnboundedReceiver<Question>,
) {
    let bus = bus.as_deref();
    // Before anything is looked for, so that what comes up meanwhile is not missed.
    let mut names = Names::watch(bus).await;
    let (mut kwin, mut accessible, mut methods) =
        tokio::join!(find_kwin(bus, &folder), find_accessible(bus), InputMethods::find(bus, ibus));
    let (mut looked, mut tries) = (None, TRIES);
    // KWin is there and has not told yet: what others tell of windows is not what counts.
    let mut awaited = kwin.is_none() && has_kwin(names.as_ref()).await;
    loop {
        let all = merged(kwin.as_ref().map(Kwin::now), accessible.as_ref().map(Accessible::now));
        *known.lock().unwrap_or_else(PoisonError::into_inner) = Focused { known: !awaited, ..all };
        let _ = first.send(());
        drop(looked.take());
        let told = tokio::select! {
            message = next(kwin.as_mut().map(Kwin::hear)) => Told::Kwin(message),
            message = next(accessible.as_mut().map(Accessible::hear)) => Told::Program(message),
            message = next(names.as_mut().map(Names::hear)) => Told::Name(message),
            question = asked.recv() => match question {
                Some(question) => Told::Question(question),
                None => break,
            },
        };
        match (told, &mut kwin, &mut accessible) {
            (Told::Kwin(Some(message)), Some(kwin), _) => drop(kwin.take_in(&message).await),
            (Told::Program(Some(message)), _, Some(accessible)) => drop(accessible.take_in(&message).await),
            (Told::Question(Question::Caret(from, reply)), _, accessible) => {
                let caret = match accessible {
                    Some(accessible) => accessible.caret(from).await,
                    None => None,
                };
                drop(reply.send(caret));
            }
            (Told::Question(Question::Keys(reply)), ..) => {
                let keys = match &mut methods {
                    Some(methods) => methods.keys().await,
                    None => Keys::Direct,
                };
                drop(reply.send(keys));
            }
            // What is not there may have taken too long to come up.
            (Told::Question(Question::Look(reply)), kwin, accessible) => {
                if awaited {
                    tries -= 1;
                    *kwin = find_kwin(bus, &folder).await;
                    awaited = kwin.is_none() && tries > 0;
                }
                match accessible {
                    Some(accessible) => accessible.look(TOLD).await,
                    None => *accessible = find_accessible(bus).await,
                }
                looked = Some(reply);
            }
            // What has ended knows nothing any more.
            (Told::Kwin(_), ..) => kwin = None,
            (Told::Program(_), ..) => accessible = None,
            (Told::Name(None), ..) => names = None,
            (Told::Name(Some(message)), ..) => match bus::owner_changed(&message) {
                Some((name, is_there)) if name == KWIN => {
                    tries = TRIES;
                    kwin = if is_there { find_kwin(bus, &folder).await } else { None };
                    awaited = is_there && kwin.is_none();
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

async fn has_kwin(names: Option<&Names>) -> bool {
    match names {
        Some(names) => bus::has_owner(&names.connection, KWIN).await.unwrap_or_default(),
        None => false,
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

/// Who told something, or that it has ended; or what is to be told.
enum Told {
    Question(Question),
    Kwin(Option<Message>),
    Program(Option<Message>),
    Name(Option<Message>),
}

/// What comes and goes on the session's bus.
struct Names {
    messages: MessageStream,
    connection: Connection,
}

impl Names {
    async fn watch(bus: Option<&str>) -> Option<Self> {
        let connection = connect(bus).await.ok()?;
        let messages = MessageStream::from(&connection);
        for name in [KWIN, ACCESSIBILITY] {
            let rule = format!(
                "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',arg0='{name}'"
            );
            listen_for(&connection, &rule).await.ok()?;
        }
        Some(Self { messages, connection })
    }

    async fn hear(&mut self) -> Option<Message> {
        bus::next(&mut self.messages).await?.ok()
    }
}

/// A connection to the bus with this address, or to the session's, on which nobody is waited
/// for long.
async fn connect(bus: Option<&str>) -> zbus::Result<Connection> {
    bus::at(bus).method_timeout(ANSWER).build().await
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
    let programs = accessible.unwrap_or_default();
    match kwin {
        Some(Focused { window, class, .. }) => Focused { window, class, ..programs },
        None => programs,
    }
}
