//! Where text must not go, and what must not go there: decided before each edit, the same
//! for every typist.

use super::focus::{Focus, Focused};
use std::borrow::Cow;
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
#[derive(Default)]
pub(super) struct Guard {
    focus: Option<Focus>,
    /// Passwords may be dictated.
    password_fields: bool,
    /// Return may be pressed in a terminal.
    terminal_enter: bool,
    /// Text goes into one window alone: that one, once it is known.
    home: Option<Option<String>>,
}

impl Guard {
    /// As the configuration has it, with nothing known of the focus.
    pub(super) fn new(config: &Config) -> Self {
        Self {
            focus: None,
            password_fields: config.password_fields,
            terminal_enter: config.terminal_enter,
            home: None,
        }
    }

    /// From here on, this tells of the focus.
    pub(super) fn follow(&mut self, focus: Option<Focus>) {
        self.focus = focus;
    }

    /// A dictation begins or ends; with `keep`, it is typed into one window alone.
    pub(super) fn watch(&mut self, keep: bool) {
        self.home = match &self.focus {
            Some(focus) if keep => Some(focus.now().window),
            _ => None,
        };
    }

    /// What is known of the focus now.
    pub(super) fn look(&self) -> Focused {
        self.focus.as_ref().map(Focus::now).unwrap_or_default()
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
    pub(super) fn admit<'t>(
        &self,
        text: &'t str,
        now: &Focused,
        class: impl FnOnce() -> Option<String>,
    ) -> Cow<'t, str> {
        let plain = self.terminal_enter || !text.contains('\n');
        if plain
            || !(now.terminal || now.class.clone().or_else(class).is_some_and(|class| is_terminal(&class)))
        {
            return Cow::Borrowed(text);
        }
        Cow::Owned(text.replace('\n', " "))
    }
}

/// Whether windows of this class are terminals.
pub(super) fn is_terminal(class: &str) -> bool {
    let name = class.rsplit('.').next().unwrap_or(class).to_lowercase();
    TERMINALS.contains(&name.as_str())
}

const PASSWORD: &str =
    "a field for passwords has the focus; `password_fields = true` in the configuration allows it";
