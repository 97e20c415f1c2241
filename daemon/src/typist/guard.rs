//! Where text must not go, and what must not go there: decided before each edit, the same
//! for every typist.

use super::focus::{Focus, Focused};
use super::origin::{Origin, UNTOLD};
use super::{Keys, Typist};
use std::sync::Arc;
use swictation_core::config::Config;

/// Terminals by their class, for those that do not tell what they are. Of names with dots
/// only the last part is looked at.
const TERMINALS: [&str; 22] = [
    "alacritty",
    "blackbox",
    "contour",
    "cool-retro-term",
    "console",
    "foot",
    "footclient",
    "ghostty",
    "gnome-terminal",
    "gnome-terminal-server",
    "kgx",
    "kitty",
    "konsole",
    "lxterminal",
    "ptyxis",
    "rio",
    "st-256color",
    "terminator",
    "tilix",
    "urxvt",
    "wezterm",
    "xterm",
];

/// What is known of the focus, and what the person wants.
pub(super) struct Guard {
    focus: Option<Arc<Focus>>,
    /// Passwords may be dictated.
    password_fields: bool,
    /// Return may be pressed in a terminal.
    terminal_enter: bool,
    /// Text goes into one window alone: that one, once it is known.
    home: Option<Option<String>>,
    /// Where what is being dictated began.
    origin: Option<Origin>,
}

impl Guard {
    /// As the configuration has it, with nothing known of the focus.
    pub(super) fn new(config: &Config) -> Self {
        Self {
            focus: None,
            password_fields: config.password_fields,
            terminal_enter: config.terminal_enter,
            home: None,
            origin: None,
        }
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
        self.home = match &self.focus {
            Some(focus) if dictating && keep => Some(focus.now().window),
            _ => None,
        };
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
        self.focus.as_deref().map(Focus::now).unwrap_or_default()
    }

    /// Whether another window has the focus than the one that text is kept to.
    pub(super) fn is_elsewhere(&mut self, now: &Focused) -> bool {
        match &mut self.home {
            Some(Some(home)) if home.is_empty() => {
                home.clone_from(now.window.as_ref().unwrap_or(&String::new()));
                false
            }
            Some(home) => *home != now.window,
            None => false,
        }
    }

    /// Why nothing may be typed now, if so.
    pub(super) fn refuses(&self, now: &Focused) -> Option<&'static str> {
        (now.password && !self.password_fields).then_some(PASSWORD)
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
        let terminal =
            now.terminal || now.class.clone().or_else(class).is_some_and(|class| is_terminal(&class));
        if terminal { text.replace('\n', " ") } else { text }
    }
}

/// Whether windows of this class are terminals.
pub(super) fn is_terminal(class: &str) -> bool {
    let name = class.rsplit('.').next().unwrap_or(class).to_lowercase();
    TERMINALS.contains(&name.as_str())
}

const PASSWORD: &str =
    "a field for passwords has the focus; `password_fields = true` in the configuration allows it";
