//! Where text must not go, and what must not go there: decided before each edit, the same
//! for every typist.

use super::focus::{Focus, Focused};
use super::origin::{Origin, UNTOLD};
use super::{Keys, Typist, terminals};
use std::sync::Arc;
use swictation_core::config::Config;

/// Which window text goes into.
enum Home {
    /// Whichever has the focus.
    Any,
    /// The first that has it.
    First,
    /// That one alone; all that nobody tells of are one.
    Window(Option<String>),
}

/// What is known of the focus, and what the person wants.
pub(super) struct Guard {
    focus: Option<Arc<Focus>>,
    /// Passwords may be dictated.
    password_fields: bool,
    /// Return may be pressed in a terminal.
    terminal_enter: bool,
    /// A dictation does not run on from the word before it.
    leading_space: bool,
    home: Home,
    /// Where what is being dictated began.
    origin: Option<Origin>,
}

impl Guard {
    /// As the configuration has it, with nothing known of the focus.
    pub(super) fn new(config: &Config) -> Self {
        let mut guard = Self {
            focus: None,
            password_fields: false,
            terminal_enter: false,
            leading_space: false,
            home: Home::Any,
            origin: None,
        };
        guard.configure(config);
        guard
    }

    /// The person wants something else.
    pub(super) fn configure(&mut self, config: &Config) {
        self.password_fields = config.password_fields;
        self.terminal_enter = config.terminal_enter;
        self.leading_space = config.leading_space;
    }

    /// From here on, this tells of the focus.
    pub(super) fn follow(&mut self, focus: Option<Arc<Focus>>) {
        self.focus = focus;
    }

    /// A dictation begins or ends; with `keep`, it is typed into one window alone.
    pub(super) fn watch(&mut self, dictating: bool, keep: bool) {
        if let (Some(focus), true) = (&self.focus, dictating) {
            focus.look();
        }
        self.home = if dictating && keep { Home::First } else { Home::Any };
        self.settle(&self.look());
        self.origin = None;
    }

    /// An edit of a dictation is about to be typed by a typist that does not see what others
    /// do.
    pub(super) fn begin(&mut self, edit: u64, now: &Focused) {
        let before = self.origin.take();
        self.origin = self.focus.as_ref().and_then(|focus| Origin::of(edit, before, now, focus));
    }

    /// Erases the last `characters` of a dictation; `since` is what an edit and those behind
    /// it typed.
    ///
    /// # Errors
    /// Why nothing, or not all, was erased, for a person.
    pub(super) fn take_back<'t>(
        &self,
        typist: &mut dyn Typist,
        characters: usize,
        since: impl FnOnce(u64) -> &'t str,
    ) -> Result<(), String> {
        let (Some(focus), Some(origin)) = (&self.focus, &self.origin) else { return Err(UNTOLD.to_owned()) };
        origin.take_back(focus, typist, since(origin.edit), characters)
    }

    /// What becomes of keys now.
    pub(super) fn keys(&self) -> Keys {
        self.focus.as_ref().map_or(Keys::Direct, |focus| focus.keys())
    }

    /// What is known of the focus now.
    pub(super) fn look(&self) -> Focused {
        let Some(focus) = &self.focus else { return Focused::default() };
        let now = focus.now();
        if now.untold {
            focus.look();
            return focus.now();
        }
        now
    }

    /// The first window that is known is the one that text is kept to.
    fn settle(&mut self, now: &Focused) {
        if matches!(self.home, Home::First) && now.known && !now.is_nowhere() {
            self.home = Home::Window(now.window.clone());
        }
    }

    /// Whether another window has the focus than the one that text is kept to, which is this
    /// one where none was known before.
    pub(super) fn is_elsewhere(&mut self, now: &Focused) -> bool {
        self.settle(now);
        matches!(&self.home, Home::Window(home) if *home != now.window)
    }

    /// Why nothing may be typed now, if so.
    pub(super) fn refuses(&self, now: &Focused) -> Option<&'static str> {
        match now {
            now if now.is_nowhere() => Some(NOWHERE),
            Focused { password: true, .. } if !self.password_fields => Some(PASSWORD),
            Focused { untold: true, .. } if !self.password_fields => Some(UNTOLD_FIELD),
            _ => None,
        }
    }

    /// Whether the first text of a dictation would run on from the word before the caret, as
    /// far as the program tells what stands there. In a terminal that may be a prompt, or a path.
    pub(super) fn runs_on(&self, text: &[char], now: &Focused) -> bool {
        let Some(focus) = self.focus.as_ref().filter(|_| self.leading_space && !now.is_terminal()) else {
            return false;
        };
        now.field.is_some()
            && text.first().is_some_and(|first| begins_word(*first))
            && focus.before_caret().is_some_and(ends_word)
    }

    /// The text as it may be typed: without Return in a terminal, where that runs a command.
    pub(super) fn admit(
        &self,
        text: String,
        now: &Focused,
        class: impl FnOnce() -> Option<String>,
    ) -> String {
        if self.terminal_enter || !text.contains('\n') {
            return text;
        }
        if is_terminal(now, class) { text.replace('\n', " ") } else { text }
    }
}

/// Whether a terminal has the focus, as far as others tell or, by its class, the typist.
pub(super) fn is_terminal(now: &Focused, class: impl FnOnce() -> Option<String>) -> bool {
    now.is_terminal() || class().is_some_and(|class| terminals::has(&class))
}

/// Whether a word begins with this that a space parts from the one before: scripts behind these
/// mostly write without.
fn begins_word(character: char) -> bool {
    character.is_alphanumeric() && character < '\u{e00}'
}

/// Whether what stands before a word has a space behind it.
fn ends_word(character: char) -> bool {
    begins_word(character) || ".,;:!?…)]}%»”".contains(character)
}

const NOWHERE: &str = "no window has the focus";

const UNTOLD_FIELD: &str =
    "the program with the focus does not answer which field has it, and it may be one for passwords";

const PASSWORD: &str =
    "a field for passwords has the focus; `password_fields = true` in the configuration allows it";
