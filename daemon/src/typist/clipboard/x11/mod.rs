//! The clipboard of an X server: the selection CLIPBOARD, as the conventions of X have it
//! (ICCCM, chapter 2). What is copied belongs to a window, and is asked of that window's
//! program in one form after the other.
//!
//! The connection is one of its own, as its events come at any time. The server answers at
//! once, so it is waited for where it is asked; programs may take their time or hang, so
//! their answers are awaited as events.

mod ask;
mod parts;
mod reach;

use super::transfer::listening;
use super::{Sink, TEXT, Told, Wish};
use parts::{Kind, PART, Sending};
use std::collections::{HashMap, VecDeque};
use std::fmt::Display;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use tokio::io::Interest;
use tokio::net::UnixStream;
use x11rb::connection::{Connection, RequestConnection};
use x11rb::errors::{ConnectionError, ReplyError, ReplyOrIdError};
use x11rb::protocol::Event;
use x11rb::protocol::xfixes::{ConnectionExt as _, SelectionEventMask, SelectionNotifyEvent as OwnerEvent};
use x11rb::protocol::xproto::{
    Atom, AtomEnum, ConnectionExt as _, CreateWindowAux, EventMask, PropMode, Property,
    SELECTION_NOTIFY_EVENT, SelectionNotifyEvent, SelectionRequestEvent, Timestamp, Window, WindowClass,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

x11rb::atom_manager! {
    /// Names that the server knows by a number.
    Atoms: AtomsCookie {
        CLIPBOARD,
        TARGETS,
        TIMESTAMP,
        INCR,
        _SWICTATION_TIME,
        _SWICTATION_FORMS,
        _SWICTATION_COPIED,
    }
}

/// What owners list among their forms, and what is none: it is about what is copied, or tells
/// the owner to do something.
const NO_FORMS: [&str; 7] =
    ["TARGETS", "MULTIPLE", "TIMESTAMP", "SAVE_TARGETS", "DELETE", "INSERT_SELECTION", "INSERT_PROPERTY"];

/// So many forms of one thing are looked at.
const MOST_FORMS: u32 = 1024;

/// The clipboard of one X server; what is ours is gone when this is dropped.
pub(in crate::typist) struct X11 {
    connection: Arc<RustConnection>,
    /// Tells when there is something to read.
    socket: UnixStream,
    root: Window,
    atoms: Atoms,
    /// What owns the clipboard while it is ours, and asks others for their forms.
    window: Window,
    /// What owns the clipboard now, and since when.
    owner: Window,
    since: Timestamp,
    /// The owner was asked for its forms and has not answered.
    asking: bool,
    /// What we own, or owned last.
    ours: Ours,
    /// How others gave what they copied, to give it in the same way.
    kinds: HashMap<Atom, Kind>,
    /// What is given in parts.
    sending: Vec<Sending>,
    /// Programs may ask with the time of an earlier key.
    composed: bool,
    /// What nobody has taken in yet.
    told: VecDeque<Told>,
}

/// What is ours to give.
#[derive(Default)]
struct Ours {
    since: Timestamp,
    forms: Vec<(Atom, String)>,
}

impl X11 {
    /// The clipboard of `display` (":0").
    ///
    /// # Errors
    /// Why it cannot be had, for a person.
    pub(in crate::typist) async fn connect(display: &str) -> Result<Self, String> {
        let refused = |e: &dyn Display| format!("the clipboard of X display {display} cannot be had: {e}");
        let (connection, screen) = reach::reach(display).await.map_err(|e| refused(&e))?;
        let root = connection.setup().roots.get(screen).map(|screen| screen.root);
        let root = root.ok_or_else(|| refused(&format!("there is no screen {screen}; correct DISPLAY")))?;
        let fixes = connection.extension_information("XFIXES").map_err(|e| refused(&e))?;
        fixes.ok_or_else(|| refused(&"the server has no XFIXES extension, which tells who copies"))?;
        let socket = listening(connection.stream()).map_err(|e| refused(&e))?;
        let mut clipboard = Self::prepare(Arc::new(connection), socket, root).map_err(|e| refused(&e))?;
        if clipboard.owner != x11rb::NONE {
            clipboard.since = clipboard.time().await?;
            clipboard.ask_for_forms().map_err(gone)?;
        }
        Ok(clipboard)
    }

    fn prepare(
        connection: Arc<RustConnection>,
        socket: UnixStream,
        root: Window,
    ) -> Result<Self, ReplyOrIdError> {
        let atoms = Atoms::new(&*connection)?.reply()?;
        let window = window(&connection, root)?;
        connection.xfixes_query_version(5, 0)?.reply()?;
        let changes = SelectionEventMask::SET_SELECTION_OWNER
            | SelectionEventMask::SELECTION_WINDOW_DESTROY
            | SelectionEventMask::SELECTION_CLIENT_CLOSE;
        connection.xfixes_select_selection_input(window, atoms.CLIPBOARD, changes)?;
        let owner = connection.get_selection_owner(atoms.CLIPBOARD)?.reply()?.owner;
        Ok(Self {
            connection,
            socket,
            root,
            atoms,
            window,
            owner,
            since: x11rb::CURRENT_TIME,
            asking: false,
            ours: Ours::default(),
            kinds: HashMap::new(),
            sending: Vec::new(),
            composed: false,
            told: VecDeque::new(),
        })
    }

    /// See [`super::Selection::next`].
    pub(super) async fn next(&mut self) -> Result<Told, String> {
        loop {
            if let Some(told) = self.told.pop_front() {
                return Ok(told);
            }
            let event = self.event().await?;
            self.hear(event)?;
        }
    }

    /// See [`super::Selection::composed`].
    pub(super) fn composed(&mut self, composed: bool) {
        self.composed = composed;
    }

    /// See [`super::Selection::is_unsure`].
    pub(super) fn is_unsure(&self) -> bool {
        self.asking
    }

    /// See [`super::Selection::own`].
    pub(super) async fn own(&mut self, forms: &[&str]) -> Result<(), String> {
        let since = self.time().await?;
        let atoms = self.intern(forms).map_err(gone)?;
        let forms = atoms.into_iter().zip(forms.iter().map(|form| (*form).to_owned())).collect();
        self.ours = Ours { since, forms };
        self.connection.set_selection_owner(self.window, self.atoms.CLIPBOARD, since).map_err(gone)?;
        self.connection.flush().map_err(gone)
    }

    /// Gives a program what it asked for, or tells it that there is none.
    ///
    /// # Errors
    /// Why the clipboard is of no use any more.
    pub(super) fn give(
        &mut self,
        request: SelectionRequestEvent,
        bytes: Option<&[u8]>,
    ) -> Result<(), String> {
        let Some(bytes) = bytes else { return self.tell(&request, false).map_err(gone) };
        let is_text =
            |(form, name): &(Atom, String)| *form == request.target && TEXT.contains(&name.as_str());
        let kind = match self.kinds.get(&request.target) {
            Some(kind) if !self.ours.forms.iter().any(is_text) => *kind,
            // Text is bytes, whatever somebody else made of it.
            _ => Kind::bytes(request.target),
        };
        let whole = self.connection.maximum_request_bytes().min(PART);
        let given = if bytes.len() < whole {
            kind.set(&self.connection, request.requestor, property(&request), bytes)
        } else {
            let sending = Sending::new(&request, property(&request), kind, bytes);
            let begun = sending.begin(&self.connection, self.atoms.INCR);
            self.sending.push(sending);
            begun
        };
        given.and_then(|()| self.tell(&request, true)).map_err(gone)
    }

    /// The next event. Nothing is lost when this is not waited for to its end.
    async fn event(&self) -> Result<Event, String> {
        loop {
            self.connection.flush().map_err(gone)?;
            // Others than this may have read it from the socket already.
            if let Some(event) = self.connection.poll_for_event().map_err(gone)? {
                return Ok(event);
            }
            self.socket.readable().await.map_err(gone)?;
            let read = self.socket.try_io(Interest::READABLE, || match self.connection.poll_for_event() {
                Ok(event) => event.ok_or_else(|| ErrorKind::WouldBlock.into()),
                Err(e) => Err(io::Error::other(e)),
            });
            match read {
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                read => return read.map_err(gone),
            }
        }
    }

    /// The server's time, which it gives to what changes.
    async fn time(&mut self) -> Result<Timestamp, String> {
        let (window, name) = (self.window, self.atoms._SWICTATION_TIME);
        self.connection
            .change_property8(PropMode::APPEND, window, name, AtomEnum::STRING, &[])
            .map_err(gone)?;
        loop {
            match self.event().await? {
                Event::PropertyNotify(changed) if changed.window == window && changed.atom == name => {
                    return Ok(changed.time);
                }
                event => self.hear(event)?,
            }
        }
    }

    /// Takes in an event.
    fn hear(&mut self, event: Event) -> Result<(), String> {
        let (window, clipboard) = (self.window, self.atoms.CLIPBOARD);
        let heard = match event {
            Event::XfixesSelectionNotify(change) if change.selection == clipboard => self.change(&change),
            Event::SelectionRequest(request) if request.selection == clipboard => self.answer(request),
            Event::SelectionNotify(answer) if answer.requestor == window => self.learn_forms(&answer),
            Event::PropertyNotify(taken) if taken.state == Property::DELETE => {
                parts::go_on(&mut self.sending, &self.connection, taken.window, taken.atom)
                    .map_err(Into::into)
            }
            Event::DestroyNotify(ended) => {
                parts::forget(&mut self.sending, ended.window);
                Ok(())
            }
            // Whoever asked is gone.
            Event::Error(error) => {
                parts::forget(&mut self.sending, error.bad_value);
                Ok(())
            }
            _ => Ok(()),
        };
        heard.map_err(gone)
    }

    /// The clipboard has another owner, or none, or something else of the same.
    fn change(&mut self, change: &OwnerEvent) -> Result<(), ReplyError> {
        (self.owner, self.since, self.asking) = (change.owner, change.timestamp, false);
        if self.owner == self.window {
            // What we owned before that is of no interest any more.
            if change.selection_timestamp == self.ours.since {
                let forms = self.ours.forms.iter().map(|(_, form)| form.clone()).collect();
                self.told.push_back(Told::Owner { ours: true, forms });
            }
            return Ok(());
        }
        self.told.push_back(Told::Owner { ours: false, forms: Vec::new() });
        if self.owner == x11rb::NONE { Ok(()) } else { self.ask_for_forms().map_err(Into::into) }
    }

    fn ask_for_forms(&mut self) -> Result<(), ConnectionError> {
        self.asking = true;
        let Atoms { CLIPBOARD, TARGETS, _SWICTATION_FORMS, .. } = self.atoms;
        self.connection.convert_selection(self.window, CLIPBOARD, TARGETS, _SWICTATION_FORMS, self.since)?;
        self.connection.flush()
    }

    /// The owner said which forms it has.
    fn learn_forms(&mut self, answer: &SelectionNotifyEvent) -> Result<(), ReplyError> {
        if self.owner == self.window || answer.time != self.since {
            return Ok(());
        }
        self.asking = false;
        if answer.property == x11rb::NONE {
            return Ok(());
        }
        let kind = AtomEnum::ANY;
        let told =
            self.connection.get_property(true, self.window, answer.property, kind, 0, MOST_FORMS)?.reply()?;
        let named = told.value32().into_iter().flatten().map(|form| self.connection.get_atom_name(form));
        let mut forms = Vec::new();
        for name in named.collect::<Result<Vec<_>, _>>()? {
            // A number may stand for nothing.
            forms.extend(name.reply().ok().and_then(|reply| String::from_utf8(reply.name).ok()));
        }
        forms.retain(|form| !NO_FORMS.contains(&form.as_str()));
        self.told.push_back(Told::Owner { ours: false, forms });
        Ok(())
    }

    /// Somebody wants what is ours.
    fn answer(&mut self, request: SelectionRequestEvent) -> Result<(), ReplyError> {
        let Atoms { TARGETS, TIMESTAMP, .. } = self.atoms;
        let (requestor, property) = (request.requestor, property(&request));
        let too_early = !self.composed
            && request.time != x11rb::CURRENT_TIME
            && request.time.wrapping_sub(self.ours.since) > Timestamp::MAX / 2;
        if request.owner != self.window || too_early {
            self.tell(&request, false)?;
        } else if request.target == TARGETS {
            let forms = self.ours.forms.iter().map(|(form, _)| *form);
            let targets: Vec<Atom> = [TARGETS, TIMESTAMP].into_iter().chain(forms).collect();
            let (mode, kind) = (PropMode::REPLACE, AtomEnum::ATOM);
            self.connection.change_property32(mode, requestor, property, kind, &targets)?;
            self.tell(&request, true)?;
        } else if request.target == TIMESTAMP {
            let (mode, kind) = (PropMode::REPLACE, AtomEnum::INTEGER);
            self.connection.change_property32(mode, requestor, property, kind, &[self.ours.since])?;
            self.tell(&request, true)?;
        } else if let Some((_, form)) = self.ours.forms.iter().find(|(form, _)| *form == request.target) {
            let wish = Wish { form: form.clone(), sink: Sink::Property(request) };
            self.told.push_back(Told::Wanted(wish));
        } else {
            // MULTIPLE among others, which nobody asks for who can do with less.
            self.tell(&request, false)?;
        }
        Ok(())
    }

    /// Tells whoever asked that it is done, or that it is refused.
    fn tell(&self, request: &SelectionRequestEvent, given: bool) -> Result<(), ConnectionError> {
        let answer = SelectionNotifyEvent {
            response_type: SELECTION_NOTIFY_EVENT,
            sequence: 0,
            time: request.time,
            requestor: request.requestor,
            selection: request.selection,
            target: request.target,
            property: if given { property(request) } else { x11rb::NONE },
        };
        self.connection.send_event(false, request.requestor, EventMask::NO_EVENT, answer)?;
        self.connection.flush()
    }

    fn intern(&self, names: &[&str]) -> Result<Vec<Atom>, ReplyError> {
        let asked: Result<Vec<_>, _> =
            names.iter().map(|name| self.connection.intern_atom(false, name.as_bytes())).collect();
        asked?.into_iter().map(|answer| answer.reply().map(|reply| reply.atom)).collect()
    }
}

/// A window that is never shown and is told of its properties.
fn window(connection: &RustConnection, root: Window) -> Result<Window, ReplyOrIdError> {
    let window = connection.generate_id()?;
    let events = CreateWindowAux::new().event_mask(EventMask::PROPERTY_CHANGE);
    let class = WindowClass::INPUT_ONLY;
    connection.create_window(0, window, root, 0, 0, 1, 1, 0, class, x11rb::COPY_FROM_PARENT, &events)?;
    Ok(window)
}

/// Where to what is asked for goes; old programs name no place.
fn property(request: &SelectionRequestEvent) -> Atom {
    if request.property == x11rb::NONE { request.target } else { request.property }
}

fn gone(e: impl Display) -> String {
    format!("the X server stopped answering: {e}")
}
