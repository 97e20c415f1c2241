//! A program of X that has copied something, and one that looks at what was copied.
//!
//! Large forms are given and taken in parts (INCR), as the toolkits do.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use x11rb::connection::Connection;
use x11rb::errors::ReplyOrIdError;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{
    Atom, AtomEnum, ChangeWindowAttributesAux, ClientMessageEvent, ConnectionExt as _, CreateWindowAux,
    EventMask, PropMode, Property, SELECTION_NOTIFY_EVENT, SelectionNotifyEvent, SelectionRequestEvent,
    Window, WindowClass,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

/// What is larger than this is given in parts of this size.
const PART: usize = 200_000;

x11rb::atom_manager! {
    Atoms: AtomsCookie {
        CLIPBOARD,
        TARGETS,
        INCR,
        COPIED,
    }
}

/// Each with the bits of the numbers that it is given as.
type Forms = Vec<(Atom, Vec<u8>, u8)>;

/// A connection with a window of its own.
struct Program {
    connection: RustConnection,
    window: Window,
    atoms: Atoms,
}

/// A program that owns the clipboard until it is dropped, or somebody else copies.
pub struct Copied {
    program: Arc<Program>,
    thread: Option<JoinHandle<()>>,
}

impl Copied {
    /// Copies something, in each of these forms with their names.
    ///
    /// # Errors
    /// The connection's failure.
    pub fn new(display: &str, forms: &[(&str, Vec<u8>)]) -> io::Result<Self> {
        Self::in_numbers(display, 8, forms)
    }

    /// The same as numbers of so many bits, of which the bytes are made up.
    ///
    /// # Errors
    /// The connection's failure.
    pub fn in_numbers(display: &str, bits: u8, forms: &[(&str, Vec<u8>)]) -> io::Result<Self> {
        let program = Arc::new(Program::start(display).map_err(io::Error::other)?);
        let named: Result<Forms, ReplyOrIdError> =
            forms.iter().map(|(name, bytes)| Ok((program.atom(name)?, bytes.clone(), bits))).collect();
        let forms = named.map_err(io::Error::other)?;
        program.own().map_err(io::Error::other)?;
        let gives = program.clone();
        // An error is the end of the server.
        let thread = std::thread::spawn(move || drop(gives.give(&forms)));
        Ok(Self { program, thread: Some(thread) })
    }
}

impl Drop for Copied {
    fn drop(&mut self) {
        let Program { connection, window, atoms } = &*self.program;
        let end = ClientMessageEvent::new(32, *window, atoms.COPIED, [0; 5]);
        let _ = connection.send_event(false, *window, EventMask::NO_EVENT, end);
        let _ = connection.flush();
        drop(self.thread.take().map(JoinHandle::join));
    }
}

/// What is on the clipboard in this form; none when its owner does not give it.
///
/// # Errors
/// The connection's failure.
pub fn paste(display: &str, form: &str) -> io::Result<Option<Vec<u8>>> {
    let program = Program::start(display).map_err(io::Error::other)?;
    program.atom(form).and_then(|form| program.ask(form)).map_err(io::Error::other)
}

/// The forms of what is on the clipboard.
///
/// # Errors
/// The connection's failure.
pub fn forms(display: &str) -> io::Result<Vec<String>> {
    let names = |program: Program| -> Result<Vec<String>, ReplyOrIdError> {
        let atoms = program.ask(program.atoms.TARGETS)?.unwrap_or_default();
        let (atoms, _) = atoms.as_chunks::<4>();
        atoms
            .iter()
            .map(|atom| {
                let name = program.connection.get_atom_name(u32::from_ne_bytes(*atom))?.reply()?.name;
                Ok(String::from_utf8_lossy(&name).into_owned())
            })
            .collect()
    };
    Program::start(display).and_then(names).map_err(io::Error::other)
}

impl Program {
    fn start(display: &str) -> Result<Self, ReplyOrIdError> {
        let failed = |_| ReplyOrIdError::ConnectionError(x11rb::errors::ConnectionError::UnknownError);
        let (connection, screen) = RustConnection::connect(Some(display)).map_err(failed)?;
        let (window, root) = (connection.generate_id()?, connection.setup().roots[screen].root);
        let aux = CreateWindowAux::new().event_mask(EventMask::PROPERTY_CHANGE);
        connection.create_window(0, window, root, 0, 0, 1, 1, 0, WindowClass::INPUT_ONLY, 0, &aux)?;
        let atoms = Atoms::new(&connection)?.reply()?;
        Ok(Self { connection, window, atoms })
    }

    fn atom(&self, name: &str) -> Result<Atom, ReplyOrIdError> {
        Ok(self.connection.intern_atom(false, name.as_bytes())?.reply()?.atom)
    }

    fn own(&self) -> Result<(), ReplyOrIdError> {
        self.connection.set_selection_owner(self.window, self.atoms.CLIPBOARD, x11rb::CURRENT_TIME)?;
        Ok(self.connection.sync()?)
    }

    /// Gives these forms to whoever asks.
    fn give(&self, forms: &Forms) -> Result<(), ReplyOrIdError> {
        let mut sending: Vec<(Window, Atom, Atom, &[u8])> = Vec::new();
        loop {
            match self.connection.wait_for_event()? {
                Event::SelectionRequest(asked) => {
                    let (to, place) = (asked.requestor, asked.property);
                    let form = forms.iter().find(|(form, ..)| *form == asked.target);
                    let replace = PropMode::REPLACE;
                    match form {
                        Some((form, bytes, _)) if bytes.len() > PART => {
                            let aux = ChangeWindowAttributesAux::new().event_mask(EventMask::PROPERTY_CHANGE);
                            self.connection.change_window_attributes(to, &aux)?;
                            self.connection.change_property32(replace, to, place, self.atoms.INCR, &[1])?;
                            sending.push((to, place, *form, bytes));
                        }
                        Some((form, bytes, bits)) => {
                            let count = (bytes.len() * 8 / usize::from(*bits)) as u32;
                            self.connection
                                .change_property(replace, to, place, *form, *bits, count, bytes)?;
                        }
                        None => {
                            let mut targets = vec![self.atoms.TARGETS];
                            targets.extend(forms.iter().map(|(form, ..)| *form));
                            self.connection.change_property32(
                                replace,
                                to,
                                place,
                                AtomEnum::ATOM,
                                &targets,
                            )?;
                        }
                    }
                    let given = form.is_some() || asked.target == self.atoms.TARGETS;
                    self.tell(&asked, if given { place } else { x11rb::NONE })?;
                }
                Event::PropertyNotify(taken) if taken.state == Property::DELETE => {
                    let known = |(to, place, ..): &(Window, Atom, Atom, &[u8])| {
                        (*to, *place) == (taken.window, taken.atom)
                    };
                    if let Some(at) = sending.iter().position(known) {
                        let (to, place, form, bytes) = sending[at];
                        let (part, rest) = bytes.split_at(bytes.len().min(PART));
                        self.connection.change_property8(PropMode::REPLACE, to, place, form, part)?;
                        sending[at].3 = rest;
                        if part.is_empty() {
                            sending.remove(at);
                        }
                    }
                }
                Event::SelectionClear(_) | Event::ClientMessage(_) => break,
                _ => {}
            }
            self.connection.flush()?;
        }
        self.connection.destroy_window(self.window)?;
        Ok(self.connection.sync()?)
    }

    fn tell(&self, asked: &SelectionRequestEvent, property: Atom) -> Result<(), ReplyOrIdError> {
        let SelectionRequestEvent { time, requestor, selection, target, .. } = *asked;
        let response_type = SELECTION_NOTIFY_EVENT;
        let answer =
            SelectionNotifyEvent { response_type, sequence: 0, time, requestor, selection, target, property };
        self.connection.send_event(false, requestor, EventMask::NO_EVENT, answer)?;
        Ok(())
    }

    /// Asks the owner of the clipboard for a form.
    fn ask(&self, form: Atom) -> Result<Option<Vec<u8>>, ReplyOrIdError> {
        let Atoms { CLIPBOARD, COPIED, INCR, .. } = self.atoms;
        self.connection.convert_selection(self.window, CLIPBOARD, form, COPIED, x11rb::CURRENT_TIME)?;
        self.connection.flush()?;
        let take = || -> Result<_, ReplyOrIdError> {
            let given =
                self.connection.get_property(true, self.window, COPIED, AtomEnum::ANY, 0, u32::MAX / 4)?;
            Ok(given.reply()?)
        };
        let mut all = Vec::new();
        loop {
            match self.connection.wait_for_event()? {
                Event::SelectionNotify(answer) if answer.property == x11rb::NONE => return Ok(None),
                Event::SelectionNotify(_) => {
                    let given = take()?;
                    if given.type_ != INCR {
                        return Ok(Some(given.value));
                    }
                    break;
                }
                _ => {}
            }
        }
        loop {
            if let Event::PropertyNotify(part) = self.connection.wait_for_event()?
                && part.state == Property::NEW_VALUE
            {
                let part = take()?.value;
                if part.is_empty() {
                    return Ok(Some(all));
                }
                all.extend(part);
            }
        }
    }
}
