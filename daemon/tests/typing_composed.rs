//! Typing while an input method takes the keys: what is in the field is what was meant, with
//! a real IBus and a real Fcitx 5 that would make Vietnamese of it.

#![allow(clippy::unwrap_used)] // A desk that cannot be set up fails its test there and then.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;
use swictation_core::Edit;
use swictation_core::config::Config;
use swictation_daemon::typist::focus::Focus;
use swictation_daemon::typist::thread::{Report, TypistThread, spawn_with};
use swictation_daemon::typist::x11::X11;
use swictation_daemon::typist::{Typist, TypistError, paste};
use swictation_tests::bus::Bus;
use swictation_tests::entry::{self, Entry};
use swictation_tests::input_method::{Framework, InputMethod};
use swictation_tests::texts;
use swictation_tests::x11::XServer;

/// How long an edit may take while other tests run.
const PATIENCE: Duration = Duration::from_secs(30);

/// What an input method for Vietnamese makes "sê đâ" of.
const SPELT: &str = "see ddaa ";

/// A server with an input method, and a typist.
struct Desk {
    server: XServer,
    bus: Bus,
    method: InputMethod,
    framework: Framework,
}

impl Desk {
    /// One for each input method that is to be had.
    fn each() -> impl Iterator<Item = Self> {
        let present = entry::gtk_is_present().then(Framework::present).into_iter().flatten();
        present.filter_map(|framework| {
            let bus = Bus::start()?;
            let server = XServer::start().unwrap();
            server.layout("us").unwrap();
            let method = InputMethod::start(framework, &server, &bus).unwrap();
            Some(Self { server, bus, method, framework })
        })
    }

    /// A window with the focus, for which the input method composes, or does not.
    fn window(&self, composes: bool) -> Entry {
        self.window_called("Field", composes)
    }

    /// The same with this title, by which it is found.
    fn window_called(&self, title: &str, composes: bool) -> Entry {
        let entry = Entry::composed(&self.server, &self.bus, self.framework, title).unwrap();
        self.method.compose(composes).unwrap();
        entry
    }

    fn focus(&self) -> Option<Arc<Focus>> {
        let (home, ibus) = (self.bus.home(), self.bus.home().join(".config/ibus/bus"));
        Some(Arc::new(Focus::start(Some(self.bus.address()), home, &ibus).unwrap()))
    }

    /// A typist that knows of the focus as much as this, and has these two ways to type.
    fn typist(&self, focus: Option<Arc<Focus>>, pastes: bool) -> (TypistThread, Receiver<Report>) {
        self.typist_with(focus, pastes, &Config::default())
    }

    /// The same with this configuration.
    fn typist_with(
        &self,
        focus: Option<Arc<Focus>>,
        pastes: bool,
        config: &Config,
    ) -> (TypistThread, Receiver<Report>) {
        let display = self.server.display.clone();
        let (send, reports) = mpsc::channel();
        let open = move |failed: &[&str]| match failed.contains(&"x11") {
            false => X11::connect(Some(&display)).map(|x11| Box::new(x11) as Box<dyn Typist>),
            true if pastes => paste::x11(Some(&display)),
            true => Err(TypistError::Unavailable("there is no other way".into())),
        };
        (spawn_with(open, config, || focus, move |report| drop(send.send(report))).unwrap(), reports)
    }
}

fn insert(text: &str) -> Edit {
    Edit { erase: 0, insert: text.into() }
}

#[test]
fn text_is_exact_although_an_input_method_composes_what_is_typed() {
    for desk in Desk::each() {
        // What happens to those who do not ask.
        let window = desk.window(true);
        let (thread, reports) = desk.typist(None, true);
        thread.send(1, insert(&format!("{SPELT}\n")));
        assert_eq!(reports.recv_timeout(PATIENCE).unwrap().result, Ok(()));
        assert_eq!(window.text().unwrap(), "sê đâ ", "{:?}", desk.framework);

        let window = desk.window(true);
        let (thread, reports) = desk.typist(desk.focus(), true);
        let mut expected = String::new();
        thread.watch(true);
        for (id, text) in (1..).zip([SPELT].into_iter().chain(texts::ALL)) {
            thread.send(id, insert(text));
            let report = reports.recv_timeout(PATIENCE).unwrap();
            assert_eq!((report.result, report.typist), (Ok(()), "paste"), "{:?}: {text}", desk.framework);
            expected += text;
        }
        thread.send(100, insert("\n"));
        assert_eq!(reports.recv_timeout(PATIENCE).unwrap().result, Ok(()));
        assert_eq!(window.text().unwrap(), expected, "{:?}", desk.framework);
    }
}

#[test]
fn keys_are_pressed_again_once_the_input_method_is_off() {
    for desk in Desk::each() {
        let window = desk.window(false);
        let (thread, reports) = desk.typist(desk.focus(), true);
        let typist_of = |id, text| {
            thread.send(id, insert(text));
            let report = reports.recv_timeout(PATIENCE).unwrap();
            assert_eq!(report.result, Ok(()), "{:?}", desk.framework);
            report.typist
        };
        assert_eq!(typist_of(1, SPELT), "x11");
        desk.method.compose(true).unwrap();
        assert_eq!(typist_of(2, SPELT), "paste");
        desk.method.compose(false).unwrap();
        assert_eq!(typist_of(3, &format!("{SPELT}\n")), "x11");
        assert_eq!(window.text().unwrap(), SPELT.repeat(3), "{:?}", desk.framework);
    }
}

#[test]
fn an_input_method_that_comes_on_in_another_window_does_not_bring_the_text_there() {
    for desk in Desk::each() {
        let config = Config::parse("focus = \"hold\"").unwrap();
        let home = desk.window(false);
        let (thread, reports) = desk.typist_with(desk.focus(), true, &config);
        let typed = |id, text: &str| {
            thread.resume();
            thread.send(id, insert(text));
            reports.recv_timeout(PATIENCE).unwrap()
        };
        thread.watch(true);
        assert_eq!(typed(1, SPELT).result, Ok(()), "{:?}", desk.framework);
        let other = desk.window_called("Other", true);
        for id in [2, 3] {
            let kept = typed(id, SPELT);
            assert!(kept.elsewhere && kept.typed == 0, "{:?}: {kept:?}", desk.framework);
        }
        home.focus(&desk.server).unwrap();
        desk.method.compose(true).unwrap();
        let report = typed(4, SPELT);
        assert_eq!((report.result, report.typist), (Ok(()), "paste"), "{:?}", desk.framework);
        assert_eq!(typed(5, "\n").result, Ok(()));
        assert_eq!(home.text().unwrap(), SPELT.repeat(2), "{:?}", desk.framework);
        drop(other);
    }
}

#[test]
fn text_that_only_keys_could_type_waits_until_the_input_method_is_off() {
    for desk in Desk::each() {
        let window = desk.window(true);
        let (thread, reports) = desk.typist(desk.focus(), false);
        thread.send(1, insert(SPELT));
        let report = reports.recv_timeout(PATIENCE).unwrap();
        let why = report.result.unwrap_err();
        assert!(report.typed == 0 && why.contains("input method") && why.contains("switch it off"), "{why}");
        desk.method.compose(false).unwrap();
        thread.resume();
        thread.send(2, insert(&format!("{SPELT}\n")));
        assert_eq!(reports.recv_timeout(PATIENCE).unwrap().result, Ok(()));
        assert_eq!(window.text().unwrap(), SPELT, "{:?}", desk.framework);
    }
}

#[test]
fn a_word_arrives_at_once_although_an_input_method_is_asked_before() {
    for desk in Desk::each() {
        let window = desk.window(false);
        for (what, focus) in [("unasked", None), ("asked", desk.focus())] {
            let (thread, reports) = desk.typist(focus, true);
            swictation_tests::measure(&format!("a word, {:?} {what}", desk.framework), 60, || {
                thread.send(1, insert("streaming "));
                assert_eq!(reports.recv_timeout(PATIENCE).unwrap().result, Ok(()));
            });
        }
        let (thread, _reports) = desk.typist(None, true);
        thread.send(1, insert("\n"));
        assert_eq!(window.text().unwrap(), "streaming ".repeat(120), "{:?}", desk.framework);
    }
}
