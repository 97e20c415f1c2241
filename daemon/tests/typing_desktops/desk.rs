//! A typist in front of a terminal, on a desktop of its own.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use swictation_core::Edit;
use swictation_core::config::Config;
use swictation_daemon::typist::focus::Focus;
use swictation_daemon::typist::portal;
use swictation_daemon::typist::thread::{Report, TypistThread, spawn_with};
use swictation_daemon::typist::wayland::Wayland;
use swictation_daemon::typist::{Typist, TypistError};
use swictation_tests::desktop::{Desktop, Kind, TOKEN, Terminal};
use wayland_client::Connection;

/// How long everything may take to arrive while the machine does other things.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A typist in front of a terminal, on a desktop of its own.
pub(crate) struct Desk {
    pub(crate) typist: Box<dyn Typist>,
    pub(crate) terminal: Terminal,
    pub(crate) desktop: Desktop,
}

impl Desk {
    /// Nothing where no desktop is to be had that has this typist.
    pub(crate) fn with(layouts: &str) -> Option<Self> {
        let desktop = Desktop::start(Kind::asked()?, layouts).unwrap();
        Some(Self::on(desktop, Desktop::terminal))
    }

    /// Opens the terminal on a desktop.
    pub(crate) fn on(desktop: Desktop, terminal: fn(&Desktop) -> io::Result<Terminal>) -> Self {
        let typist: Box<dyn Typist> = match desktop.kind {
            Kind::Gnome | Kind::Kde => portal(&desktop),
            Kind::Sway | Kind::Labwc => Box::new(keyboard(&desktop)),
        };
        let terminal = terminal(&desktop).unwrap();
        let mut desk = Self { typist, terminal, desktop };
        desk.open();
        desk
    }

    /// Waits until the desktop lets the typist type.
    pub(crate) fn open(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while let Err(e) = self.apply(0, "") {
            assert!(Instant::now() < deadline, "{e}");
        }
    }

    /// Applies an edit, and once more what of it was lost with the connection, as the
    /// daemon does.
    pub(crate) fn apply(&mut self, erase: usize, insert: &str) -> Result<(), TypistError> {
        match self.typist.apply(&Edit { erase, insert: insert.into() }) {
            Err(TypistError::Lost { typed, reason }) if erase == 0 && self.typist.name() == "portal" => {
                swictation_tests::note(&format!("opened again: {reason}"));
                self.typist = connect(&self.desktop, &self.desktop.display())?;
                self.typist.apply(&Edit { erase, insert: insert.chars().skip(typed).collect() })
            }
            result => result,
        }
    }

    /// Types the text and expects the terminal to get `expected`, and not a byte more.
    #[track_caller]
    pub(crate) fn expect(&mut self, erase: usize, insert: &str, expected: &str) {
        self.apply(erase, insert).unwrap();
        self.apply(0, " ").unwrap();
        let expected = format!("{expected} ");
        assert_eq!(self.terminal.typed(&expected, PATIENCE).unwrap(), expected);
    }

    #[track_caller]
    pub(crate) fn types(&mut self, text: &str) {
        self.expect(0, text, text);
    }

    /// Copies or pastes something, for which a program opens a window where only one with
    /// the focus may do that.
    pub(crate) fn aside(&mut self, work: impl FnOnce(&Desktop)) {
        match self.desktop.kind {
            Kind::Gnome => self.terminal.interrupted(|| work(&self.desktop)).unwrap(),
            _ => work(&self.desktop),
        }
    }
}

/// The daemon's thread with this typist, which it does not open again.
pub(crate) fn thread(
    typist: Box<dyn Typist>,
    config: &Config,
    focus: Option<Arc<Focus>>,
) -> (TypistThread, Receiver<Report>) {
    let typist = Mutex::new(Some(typist));
    let lost = || TypistError::Unavailable("the typist was lost".into());
    let open = move |_: &[&str]| typist.lock().unwrap().take().ok_or_else(lost);
    let (send, reports) = mpsc::channel();
    (spawn_with(open, config, || focus, move |report| drop(send.send(report))).unwrap(), reports)
}

/// The portal of the desktop, with the leave that was given beforehand.
pub(crate) fn portal(desktop: &Desktop) -> Box<dyn Typist> {
    if desktop.kind == Kind::Gnome {
        std::fs::write(Path::new(&desktop.path("state")).join("portal-token"), TOKEN).unwrap();
    }
    connect(desktop, &desktop.display()).unwrap()
}

/// The portal of the desktop, and the compositor at this socket.
pub(crate) fn connect(desktop: &Desktop, display: &Path) -> Result<Box<dyn Typist>, TypistError> {
    let x11 = desktop.variable("DISPLAY").map(str::to_owned);
    connect_with(desktop, display, x11)
}

/// As [`connect`], with this X server inside the session.
pub(crate) fn connect_with(
    desktop: &Desktop,
    display: &Path,
    x11: Option<String>,
) -> Result<Box<dyn Typist>, TypistError> {
    let (bus, state) = (desktop.variable("DBUS_SESSION_BUS_ADDRESS"), desktop.path("state"));
    portal::connect(bus, Some(display), x11, Path::new(&state))
}

/// A keyboard that is brought along.
fn keyboard(desktop: &Desktop) -> Wayland {
    let socket = UnixStream::connect(desktop.display()).unwrap();
    Wayland::connect(Connection::from_socket(socket).unwrap()).unwrap()
}
