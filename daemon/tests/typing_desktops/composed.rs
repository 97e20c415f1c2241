//! Typing while an input method of the desktop takes the keys.

use crate::desk::{Desk, PATIENCE};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;
use swictation_core::Edit;
use swictation_core::config::Config;
use swictation_daemon::typist::focus::Focus;
use swictation_daemon::typist::paste;
use swictation_daemon::typist::thread::{Report, TypistThread, spawn_with};
use swictation_daemon::typist::wayland::Wayland;
use swictation_daemon::typist::{Typist, TypistError};
use swictation_tests::desktop::{Desktop, Kind, Terminal};
use swictation_tests::texts;
use wayland_client::Connection;

/// What an input method for Vietnamese makes "sê đâ" of.
const SPELT: &str = "see ddaa ";

/// How long that may take, which not all desktops do to the end.
const COMPOSED: Duration = Duration::from_secs(2);

/// The daemon's thread in front of a terminal.
struct Careful {
    thread: TypistThread,
    reports: Receiver<Report>,
    terminal: Terminal,
}

impl Careful {
    /// Begins with this typist, and pastes, if it `pastes`, where that has only keys.
    fn new(typist: Box<dyn Typist>, terminal: Terminal, desktop: &Desktop, pastes: bool) -> Self {
        let (state, ibus) = (desktop.path("state"), desktop.path("config/ibus/bus"));
        let bus = desktop.variable("DBUS_SESSION_BUS_ADDRESS");
        let focus = Focus::start(bus, Path::new(&state), Path::new(&ibus)).unwrap();
        let display = desktop.display();
        let (send, reports) = mpsc::channel();
        let mut typist = Some(typist);
        let open = move |failed: &[&str]| {
            let connect = || Connection::from_socket(UnixStream::connect(&display).unwrap()).unwrap();
            match (typist.take(), failed.contains(&"wayland")) {
                (Some(typist), _) => Ok(typist),
                (None, true) if pastes => paste::wayland(connect(), connect()),
                (None, true) => Err(TypistError::Unavailable("there is no other way".into())),
                (None, false) => Ok(Box::new(Wayland::connect(connect())?) as Box<dyn Typist>),
            }
        };
        let (config, focus) = (Config::default(), Some(Arc::new(focus)));
        let thread = spawn_with(open, &config, || focus, move |report| drop(send.send(report))).unwrap();
        Self { thread, reports, terminal }
    }

    #[track_caller]
    fn types(&mut self, text: &str) {
        self.thread.send(1, Edit { erase: 0, insert: text.into() });
        assert_eq!(self.reports.recv_timeout(PATIENCE).unwrap().result, Ok(()), "{text}");
        assert_eq!(self.terminal.typed(text, PATIENCE).unwrap(), text);
    }
}

#[test]
fn text_is_exact_although_an_input_method_composes_what_is_typed() {
    let Some(kind) = Kind::asked() else { return };
    let mut desk = Desk::on(Desktop::start_composed(kind, "us").unwrap(), Desktop::terminal);
    desk.desktop.compose(true).unwrap();
    // What happens to those who do not ask.
    desk.apply(0, SPELT).unwrap();
    assert_ne!(desk.terminal.typed("sê đâ ", COMPOSED).unwrap(), SPELT);
    let Desk { typist, terminal, desktop } = desk;
    drop(terminal);
    let terminal = desktop.terminal().unwrap();
    desktop.compose(true).unwrap();
    let mut careful = Careful::new(typist, terminal, &desktop, true);
    [SPELT].into_iter().chain(texts::ALL).for_each(|text| careful.types(text));
}

#[test]
fn text_is_exact_also_where_an_input_method_passes_on_what_is_typed() {
    let Some(kind) = Kind::asked() else { return };
    let desk = Desk::on(Desktop::start_composed(kind, "de").unwrap(), Desktop::terminal);
    desk.desktop.compose(false).unwrap();
    let mut careful = Careful::new(desk.typist, desk.terminal, &desk.desktop, true);
    texts::six_times("Zwölf Boxkämpfer jagen §5, ÄÖÜß, 20 €", |text| careful.types(text));
}

#[test]
fn what_an_input_method_passes_on_is_typed_where_nothing_can_be_pasted() {
    let Some(kind @ (Kind::Sway | Kind::Labwc)) = Kind::asked() else { return };
    let desk = Desk::on(Desktop::start_composed(kind, "us").unwrap(), Desktop::terminal);
    desk.desktop.compose(false).unwrap();
    let mut careful = Careful::new(desk.typist, desk.terminal, &desk.desktop, false);
    careful.types("words that have ");
    careful.types("been said");
}
