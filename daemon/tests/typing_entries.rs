//! Typing into a field of GTK and into one of Qt on a real X server: what is in the field is
//! what was meant, whatever the layout, and also while the machine is busy.

#![allow(clippy::unwrap_used)] // A desk that cannot be set up fails its test there and then.

use std::io;
use std::time::Duration;
use swictation_core::Edit;
use swictation_daemon::typist::Typist;
use swictation_daemon::typist::x11::X11;
use swictation_tests::entry::{self, Entry};
use swictation_tests::texts::{self, ACCENTS, CJK, EMOJI};
use swictation_tests::x11::XServer;

/// A typist in front of a field, on a server of its own.
struct Desk {
    typist: X11,
    entry: Entry,
    _server: XServer,
}

impl Desk {
    fn with(layouts: &str, open: Open) -> Self {
        let server = XServer::start().unwrap();
        server.layout(layouts).unwrap();
        let entry = open(&server, "Field").unwrap();
        let typist = X11::connect(Some(&server.display)).unwrap();
        Self { typist, entry, _server: server }
    }

    fn types(&mut self, text: &str) {
        self.typist.apply(&Edit { erase: 0, insert: text.into() }).unwrap();
    }

    /// Presses Return, and says what is in the field then.
    fn text(mut self) -> String {
        self.types("\n");
        self.entry.text().unwrap()
    }
}

/// Opens a field under a title.
type Open = fn(&XServer, &str) -> io::Result<Entry>;

/// The fields that are to be had.
fn entries() -> impl Iterator<Item = Open> {
    let gtk = entry::gtk_is_present().then_some(Entry::of_gtk as Open);
    gtk.into_iter().chain(entry::qt_is_present().then_some(Entry::of_qt as Open))
}

/// Types every text and the letters that the layout has as its `own`, three times while the
/// machine is idle and three times while it is busy.
fn every_script_on(layouts: &str, own: &str) {
    for open in entries() {
        let mut desk = Desk::with(layouts, open);
        let mut expected = String::new();
        texts::six_times(own, |text| {
            desk.types(text);
            expected += text;
        });
        assert_eq!(desk.text(), expected);
    }
}

swictation_tests::every_layout!(every_script_on);

#[test]
fn a_window_that_hangs_for_a_while_gets_what_was_meant() {
    for open in entries() {
        let mut desk = Desk::with("us", open);
        desk.types("warm");
        desk.entry.hang(true).unwrap();
        std::thread::scope(|scope| {
            let Desk { typist, entry, .. } = &mut desk;
            let insert = [ACCENTS, CJK, EMOJI].concat();
            let typing = scope.spawn(move || typist.apply(&Edit { erase: 0, insert }));
            // Longer than keys keep what they were lent to where a window cannot be asked.
            std::thread::sleep(Duration::from_secs(2));
            entry.hang(false).unwrap();
            typing.join().unwrap().unwrap();
        });
        assert_eq!(desk.text(), ["warm", ACCENTS, CJK, EMOJI].concat());
    }
}
