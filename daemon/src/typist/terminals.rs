//! Which windows are terminals, for those that do not tell it themselves.

/// Their classes in small letters; of names with dots only the last part is looked at.
#[rustfmt::skip]
const TERMINALS: [&str; 48] = [
    "alacritty", "aterm", "blackbox", "console", "contour", "cool-retro-term", "cosmicterm",
    "deepin-terminal", "eterm", "foot", "footclient", "ghostty", "gnome-terminal",
    "gnome-terminal-server", "guake", "havoc", "hyper", "kgx", "kitty", "koi8rxterm", "konsole",
    "lxterm", "lxterminal", "mate-terminal", "mlterm", "ptyxis", "qterminal", "rio", "roxterm", "rxvt",
    "sakura", "st-256color", "stterm", "tabby", "terminator", "terminology", "termite", "tilda", "tilix",
    "urxvt", "uxterm", "warp", "wezterm", "wezterm-gui", "xfce4-terminal", "xterm", "yakuake", "zutty",
];

/// Some have a name that only the parts before the last tell of.
const WHOLE: [&str; 1] = ["io.elementary.terminal"];

/// Whether windows of this class are terminals.
pub(super) fn has(class: &str) -> bool {
    let class = class.to_lowercase();
    let name = class.rsplit('.').next().unwrap_or(&class);
    TERMINALS.contains(&name) || WHOLE.contains(&class.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_known_by_its_class_however_that_is_written() {
        for class in ["XTerm", "org.gnome.Ptyxis", "foot", "io.elementary.terminal", "Xfce4-terminal"] {
            assert!(has(class), "{class}");
        }
        for class in ["", "firefox", "org.gnome.TextEditor", "terminal.example.notes"] {
            assert!(!has(class), "{class}");
        }
    }
}
