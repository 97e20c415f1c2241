//! A terminal that shows what it gets, and pictures of a screen that is not there.

use super::{Desktop, Kind, Terminal};
use std::io;
use std::path::{Path, PathBuf};

/// The runtime folder of the compositor in whose window another one runs.
const SCREEN: &str = "run/screen";

impl Desktop {
    /// Opens a terminal as [`Desktop::terminal`] does, which also shows what it gets.
    ///
    /// # Errors
    /// A program's failure, or no sign of the terminal.
    pub fn page(&self) -> io::Result<Terminal> {
        let script = r#"stty raw -echo icrnl opost onlcr; printf '\033[?1004h'; exec 3>"$PIPE"
            echo up >&3; exec tee /dev/fd/3"#;
        self.foot(&["-f", "DejaVu Sans Mono:size=12", "--window-size-chars=90x8"], script)
    }

    /// Takes a picture (PNG) of the whole screen once nothing changes there any more.
    ///
    /// # Errors
    /// The desktop's refusal, or the system's.
    pub fn picture(&self) -> io::Result<Vec<u8>> {
        let mut before = self.take()?;
        loop {
            let picture = self.take()?;
            if picture == before {
                return Ok(picture);
            }
            before = picture;
        }
    }

    fn take(&self) -> io::Result<Vec<u8>> {
        let place = self.path("picture.png");
        if self.kind == Kind::Gnome {
            let (name, path) = ("org.gnome.Shell.Screenshot", "/org/gnome/Shell/Screenshot");
            let method = "org.gnome.Shell.Screenshot.Screenshot";
            self.call(name, path, method, &["false", "false", &place])?;
        } else {
            let mut grim = self.command("grim");
            if self.kind == Kind::Kde {
                grim.env("WAYLAND_DISPLAY", self.screen_socket()?);
            }
            let taken = grim.arg(&place).status()?;
            if !taken.success() {
                return Err(io::Error::other(format!("grim: {taken}")));
            }
        }
        std::fs::read(place)
    }

    /// Starts a compositor for another one to run in, as without a GPU Plasma lets nobody
    /// take pictures of it; its socket.
    pub(super) fn screen(&mut self) -> io::Result<PathBuf> {
        std::fs::create_dir(self.path(SCREEN))?;
        self.write("config/screen", "output * resolution 1024x768\ndefault_border none\n")?;
        let mut sway = self.command("sway");
        sway.arg("-c").arg(self.path("config/screen")).env("XDG_RUNTIME_DIR", self.path(SCREEN));
        sway.env("WLR_BACKENDS", "headless")
            .env("WLR_RENDERER", "pixman")
            .env("WLR_LIBINPUT_NO_DEVICES", "1");
        self.part(&mut sway)?;
        self.until("a screen", |desktop| desktop.socket(SCREEN).is_some())?;
        self.screen_socket()
    }

    fn screen_socket(&self) -> io::Result<PathBuf> {
        let socket = self.socket(SCREEN).ok_or_else(|| io::Error::other("nobody could see this desktop"))?;
        Ok(Path::new(&self.path(SCREEN)).join(socket))
    }
}
