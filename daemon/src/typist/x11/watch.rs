//! Which keys reached which window, and whether a person came in between.
//!
//! The X server numbers every event with the last request of ours that it had done by
//! then, and it does a key press of ours as a whole before the next request. So the
//! number of the event that tells of a new focus says exactly which presses came before
//! it, and a raw key event (XInput 2) that bears the number of a press of ours is ours:
//! every other one is a person's, or another program's that types for a person.
//!
//! A person's key that another program has taken (a hotkey) did not reach the window: the
//! server tells of the grab right behind it. Modifiers alone do nothing to a text. The
//! module is pure: it is fed with what the server told and never talks to it.

use std::collections::VecDeque;
use x11rb::protocol::xproto::Window;

/// What the server told, without what does not matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// A key with this keycode went down.
    Key(u8),
    /// A button went down, or a finger.
    Button,
    /// The window lost the focus.
    Left(Window),
    /// The focus is on no window now.
    Nothing,
    /// The window has the focus, but another program gets the keys.
    Grabbed(Window),
    /// The window gets the keys again.
    Released(Window),
}

/// What is known of the window that has the focus.
#[derive(Default)]
pub(super) struct Watch {
    /// The window whose focus the server tells of.
    window: Option<Window>,
    grabbed: bool,
    /// Somebody may take the text back, and raw events come.
    pub people: bool,
    /// Presses of ours that the server has not told of.
    ours: VecDeque<u64>,
    /// A person's key that a grab may have taken.
    doubtful: bool,
    touched: Option<&'static str>,
    /// A key was pressed.
    begun: bool,
    /// Since the last [`Watch::begin`]: from which request on keys went elsewhere.
    lost_from: Option<u64>,
    nothing: bool,
}

impl Watch {
    /// Knows of no window yet; `people` as in the field.
    pub(super) fn new(people: bool) -> Self {
        Self { people, ..Self::default() }
    }

    /// The window that the server tells of.
    pub(super) fn window(&self) -> Option<Window> {
        self.window
    }

    /// Another window has the focus, or none.
    pub(super) fn turn_to(&mut self, window: Option<Window>, grabbed: bool) {
        if self.window.is_some() && self.window != window {
            self.touched.get_or_insert(MOVED);
        }
        (self.window, self.grabbed) = (window, grabbed);
    }

    /// Keys are pressed from here on.
    pub(super) fn begin(&mut self) {
        if !std::mem::replace(&mut self.begun, true) {
            // What came before the first word is nobody's worry.
            (self.doubtful, self.touched) = (false, None);
        }
        (self.lost_from, self.nothing) = (None, false);
    }

    /// The request with this number pressed a key.
    pub(super) fn pressed(&mut self, request: u64) {
        if self.people {
            self.ours.push_back(request);
        }
    }

    /// Takes in what the server told when it had done our request `done`; whether the
    /// focus has gone elsewhere.
    pub(super) fn hear(&mut self, done: u64, told: Told, modifiers: &[u8]) -> bool {
        let watched = self.window;
        let here = |window| watched == Some(window);
        match told {
            Told::Grabbed(window) if here(window) => self.doubtful = false,
            _ => self.settle(),
        }
        match told {
            Told::Key(keycode) => match self.ours.iter().position(|request| *request == done) {
                Some(ours) => {
                    self.ours.drain(..=ours);
                    if self.grabbed {
                        self.touched.get_or_insert(GRABBED);
                    }
                }
                None => self.doubtful = !self.grabbed && !modifiers.contains(&keycode),
            },
            Told::Button => drop(self.touched.get_or_insert("somebody clicked in between")),
            Told::Left(window) if here(window) => {
                self.lost_from.get_or_insert(done);
                self.touched.get_or_insert(MOVED);
            }
            Told::Nothing => {
                self.lost_from.get_or_insert(done);
                self.nothing = true;
            }
            Told::Grabbed(window) if here(window) => {
                self.lost_from.get_or_insert(done);
                (self.grabbed, self.nothing) = (true, true);
            }
            Told::Released(window) if here(window) => self.grabbed = false,
            Told::Left(_) | Told::Grabbed(_) | Told::Released(_) => {}
        }
        matches!(told, Told::Left(window) if here(window)) || told == Told::Nothing
    }

    /// Nothing more has been told: a key that no grab followed reached the window.
    fn settle(&mut self) {
        if std::mem::take(&mut self.doubtful) {
            self.touched.get_or_insert("somebody typed in between");
        }
    }

    /// Another program gets the keys.
    pub(super) fn is_grabbed(&self) -> bool {
        self.grabbed
    }

    /// How many of these presses since [`Watch::begin`] reached a window. Where the focus
    /// went straight to another window, so did the keys.
    pub(super) fn arrived(&self, requests: &[u64], nowhere: bool) -> usize {
        match self.lost_from {
            Some(done) if nowhere || self.nothing => {
                requests.iter().filter(|request| **request <= done).count()
            }
            _ => requests.len(),
        }
    }

    /// Why the caret may not stand right behind what was typed any more.
    pub(super) fn touched(&mut self) -> Option<&'static str> {
        self.settle();
        self.touched
    }
}

const MOVED: &str = "the focus has moved";
const GRABBED: &str = "another program took some of the keys";

#[cfg(test)]
mod tests {
    use super::Told::*;
    use super::*;

    const WINDOW: Window = 7;
    const SHIFT: u8 = 50;

    fn watch(presses: &[u64], told: &[(u64, Told)]) -> Watch {
        let mut watch = Watch::new(true);
        watch.turn_to(Some(WINDOW), false);
        presses.iter().for_each(|request| watch.pressed(*request));
        for (done, told) in told {
            watch.hear(*done, *told, &[SHIFT]);
        }
        watch
    }

    #[test]
    fn keys_that_bear_the_number_of_a_press_of_ours_are_ours() {
        assert_eq!(watch(&[1, 3], &[(1, Key(38)), (3, Key(39))]).touched(), None);
        // A press that the server swallowed is not told of.
        assert_eq!(watch(&[1, 3, 5], &[(1, Key(38)), (5, Key(39))]).touched(), None);
    }

    #[test]
    fn any_other_key_button_or_focus_is_somebody_elses() {
        for told in [&[(1, Key(38)), (1, Key(38))][..], &[(2, Key(38))], &[(9, Button)], &[(2, Left(WINDOW))]]
        {
            assert!(watch(&[1], told).touched().is_some(), "{told:?}");
        }
        let mut moved = watch(&[1], &[]);
        moved.turn_to(Some(8), false);
        assert_eq!(moved.touched(), Some(MOVED));
    }

    #[test]
    fn what_a_person_did_before_the_first_word_does_not_matter() {
        let mut watch = watch(&[], &[(1, Key(38)), (2, Button), (3, Left(WINDOW))]);
        watch.begin();
        assert_eq!(watch.touched(), None);
        watch.hear(4, Button, &[]);
        watch.begin();
        assert!(watch.touched().is_some());
    }

    #[test]
    fn modifiers_and_hotkeys_do_nothing_to_the_text() {
        let hotkey =
            [(9, Key(SHIFT)), (9, Key(67)), (9, Grabbed(WINDOW)), (9, Key(67)), (9, Released(WINDOW))];
        assert_eq!(watch(&[], &hotkey).touched(), None);
        let typed_before = [(9, Key(38)), (9, Key(67)), (9, Grabbed(WINDOW))];
        assert!(watch(&[], &typed_before).touched().is_some());
        let typed_after = [(9, Key(67)), (9, Grabbed(WINDOW)), (9, Released(WINDOW)), (9, Key(38))];
        assert!(watch(&[], &typed_after).touched().is_some());
    }

    #[test]
    fn what_was_pressed_before_the_focus_was_lost_arrived_and_the_rest_did_not() {
        let lost = watch(&[1, 3, 5], &[(3, Left(WINDOW)), (3, Nothing)]);
        assert_eq!(lost.arrived(&[1, 3, 5], true), 2);
        assert_eq!(lost.arrived(&[1, 3, 5], false), 2, "another window got the focus a little later");
        assert_eq!(
            watch(&[1, 3], &[(1, Left(WINDOW))]).arrived(&[1, 3], false),
            2,
            "straight to another window"
        );
        assert_eq!(watch(&[1, 3], &[(1, Grabbed(WINDOW))]).arrived(&[1, 3], false), 1);
        assert_eq!(watch(&[1, 3], &[(1, Left(8))]).arrived(&[1, 3], false), 2, "another window's focus");
    }

    #[test]
    fn what_we_typed_into_somebody_elses_hands_cannot_be_taken_back() {
        assert_eq!(watch(&[3], &[(1, Grabbed(WINDOW)), (3, Key(38))]).touched(), Some(GRABBED));
    }
}
