//! A real X server without a screen, and a terminal in it that tells what it gets.
//!
//! There is no window manager; the fixture gives the terminal the focus itself, which
//! no race can take away.

use crate::terminal::Typed;
use crate::{Ended, copied};
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use x11rb::connection::Connection;
use x11rb::protocol::xkb::{self, ConnectionExt as _};
use x11rb::protocol::xproto::{self, ConnectionExt as _, GrabMode, InputFocus, MapState, ModMask, Window};
use x11rb::protocol::xtest::ConnectionExt as _;
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

/// The longest that a part of the fixture may take to start.
const START: Duration = Duration::from_secs(20);

/// Where no window is.
const CORNER: (i16, i16) = (1023, 767);

/// An Xvfb and a connection to it that plays the user's hands.
pub struct XServer {
    process: Child,
    /// The display's name, such as ":7".
    pub display: String,
    hands: RustConnection,
    root: Window,
}

/// An xterm that has the focus.
pub struct Terminal {
    _process: Ended,
    window: Window,
    typed: Typed,
}

/// A key that a program has for itself, as a window manager has its hotkeys.
pub struct Hotkey {
    _owner: RustConnection,
}

/// Whether Xvfb, xterm and setxkbmap are installed; says so when not.
pub fn present() -> bool {
    let present = ["Xvfb", "xterm", "setxkbmap", "mkfifo"].iter().all(|name| crate::program(name));
    crate::need("display", present)
}

impl XServer {
    /// Starts a server on the first free display, with the layout "us".
    ///
    /// # Errors
    /// The server's or the connection's failure.
    pub fn start() -> io::Result<Self> {
        Self::run(None)
    }

    /// Starts one with the keyboards that the kernel has, which get this layout when they are
    /// plugged in.
    ///
    /// # Errors
    /// As for [`XServer::start`].
    pub fn start_plugged(layout: &str, variant: &str) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let (config, log) = (folder.path().join("xorg.conf"), folder.path().join("log"));
        std::fs::write(
            &config,
            format!(
                r#"Section "Device"
                    Identifier "screen in memory"
                    Driver "dummy"
                EndSection
                Section "InputClass"
                    Identifier "keyboards"
                    MatchIsKeyboard "on"
                    Driver "libinput"
                    Option "XkbLayout" "{layout}"
                    Option "XkbVariant" "{variant}"
                EndSection"#
            ),
        )?;
        let mut xorg = Command::new("/usr/lib/xorg/Xorg");
        xorg.arg("-config").arg(config).arg("-logfile").arg(log).args(["-novtswitch", "-sharevts"]);
        Self::ready(xorg)
    }

    fn run(display: Option<&str>) -> io::Result<Self> {
        let mut xvfb = Command::new("Xvfb");
        xvfb.args(display).args(["-screen", "0", "1024x768x24"]);
        Self::ready(xvfb)
    }

    /// Starts a server and waits until it has a name.
    fn ready(mut server: Command) -> io::Result<Self> {
        // Without -noreset the server forgets its layout when the last program leaves.
        let mut process = server
            .args(["-displayfd", "1", "-nolisten", "tcp", "-ac", "-noreset"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut number = String::new();
        if let Some(out) = process.stdout.take() {
            BufReader::new(out).read_line(&mut number)?;
        }
        let display = format!(":{}", number.trim());
        let (hands, screen) = RustConnection::connect(Some(&display)).map_err(io::Error::other)?;
        let root = hands.setup().roots[screen].root;
        hands.xkb_use_extension(1, 0).map_err(io::Error::other)?.reply().map_err(io::Error::other)?;
        // Until somebody gives it away, what is under the pointer has the focus.
        hands.warp_pointer(x11rb::NONE, root, 0, 0, 0, 0, CORNER.0, CORNER.1).map_err(io::Error::other)?;
        hands.sync().map_err(io::Error::other)?;
        Ok(Self { process, display, hands, root })
    }

    /// A program that will run on this display.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env("DISPLAY", &self.display).env_remove("WAYLAND_DISPLAY").env_remove("XDG_SESSION_TYPE");
        command.env("LC_ALL", "C.UTF-8");
        command
    }

    /// Sets the keyboard layout, as the user's settings program would; several,
    /// separated by commas, become groups.
    ///
    /// # Errors
    /// setxkbmap's failure.
    pub fn layout(&self, name: &str) -> io::Result<()> {
        let status = self.command("setxkbmap").arg(name).status()?;
        if status.success() { Ok(()) } else { Err(io::Error::other(format!("setxkbmap {name}: {status}"))) }
    }

    /// Presses a key, by its keycode, and leaves it down.
    ///
    /// # Errors
    /// The connection's failure.
    pub fn press(&self, keycode: u8) -> io::Result<()> {
        self.key(xproto::KEY_PRESS_EVENT, keycode)
    }

    /// Releases a key.
    ///
    /// # Errors
    /// The connection's failure.
    pub fn release(&self, keycode: u8) -> io::Result<()> {
        self.key(xproto::KEY_RELEASE_EVENT, keycode)
    }

    fn key(&self, event: u8, keycode: u8) -> io::Result<()> {
        self.hands
            .xtest_fake_input(event, keycode, x11rb::CURRENT_TIME, self.root, 0, 0, 0)
            .map_err(io::Error::other)?;
        self.hands.sync().map_err(io::Error::other)
    }

    /// Makes one of the layout's groups the active one, counted from 0.
    ///
    /// # Errors
    /// The connection's failure.
    pub fn group(&self, group: u8) -> io::Result<()> {
        let (core, none) = (u16::from(xkb::ID::USE_CORE_KBD), ModMask::from(0_u16));
        self.hands
            .xkb_latch_lock_state(core, none, none, true, group.into(), none, false, 0)
            .map_err(io::Error::other)?;
        self.hands.sync().map_err(io::Error::other)
    }

    /// The modifiers in effect, one bit for each of the eight, Shift first.
    ///
    /// # Errors
    /// The connection's failure.
    pub fn modifiers(&self) -> io::Result<u16> {
        let pointer = self.hands.query_pointer(self.root).map_err(io::Error::other)?;
        Ok(u16::from(pointer.reply().map_err(io::Error::other)?.mask) & 0xff)
    }

    /// Ends the server as a crash would.
    ///
    /// # Errors
    /// The system's refusal.
    pub fn kill(&mut self) -> io::Result<()> {
        self.process.kill()?;
        self.process.wait().map(|_| ())
    }

    /// Starts a server with the same display again, after [`XServer::kill`]; the programs
    /// of the old one are gone.
    ///
    /// # Errors
    /// As for [`XServer::start`].
    pub fn restart(&mut self) -> io::Result<()> {
        *self = Self::run(Some(&self.display))?;
        Ok(())
    }

    /// Takes the focus away from every window.
    ///
    /// # Errors
    /// The connection's failure.
    pub fn focus_nothing(&self) -> io::Result<()> {
        let asked = self.hands.set_input_focus(InputFocus::NONE, InputFocus::NONE, x11rb::CURRENT_TIME);
        asked.map_err(io::Error::other)?;
        self.hands.sync().map_err(io::Error::other)
    }

    /// Has the server hang for every other program, or go on.
    ///
    /// # Errors
    /// The connection's failure.
    pub fn hang(&self, hangs: bool) -> io::Result<()> {
        if hangs { self.hands.grab_server() } else { self.hands.ungrab_server() }
            .map_err(io::Error::other)?;
        self.hands.sync().map_err(io::Error::other)
    }

    /// Takes a terminal's window off the screen; the terminal lives on.
    ///
    /// # Errors
    /// The connection's failure.
    pub fn hide(&self, terminal: &Terminal) -> io::Result<()> {
        self.hands.unmap_window(terminal.window).map_err(io::Error::other)?;
        self.hands.sync().map_err(io::Error::other)
    }

    /// Shows a terminal's window and gives it the focus.
    ///
    /// # Errors
    /// The connection's failure.
    pub fn show(&self, terminal: &Terminal) -> io::Result<()> {
        self.hands.map_window(terminal.window).map_err(io::Error::other)?;
        self.focus(terminal.window)
    }

    /// Clicks the first button where the pointer is.
    ///
    /// # Errors
    /// The connection's failure.
    pub fn click(&self) -> io::Result<()> {
        self.key(xproto::BUTTON_PRESS_EVENT, 1)?;
        self.key(xproto::BUTTON_RELEASE_EVENT, 1)
    }

    /// Has a program of its own take a key for itself, whatever window has the focus.
    ///
    /// # Errors
    /// The connection's failure.
    pub fn hotkey(&self, keycode: u8) -> io::Result<Hotkey> {
        let (owner, _) = RustConnection::connect(Some(&self.display)).map_err(io::Error::other)?;
        let mode = GrabMode::ASYNC;
        owner.grab_key(false, self.root, ModMask::ANY, keycode, mode, mode).map_err(io::Error::other)?;
        owner.sync().map_err(io::Error::other)?;
        Ok(Hotkey { _owner: owner })
    }

    /// The text that is pasted in this display now; none while nobody has copied any.
    ///
    /// # Errors
    /// The connection's failure.
    pub fn clipboard(&self) -> io::Result<Option<String>> {
        let text = copied::paste(&self.display, "UTF8_STRING")?;
        text.map(|text| String::from_utf8(text).map_err(io::Error::other)).transpose()
    }

    fn focus(&self, window: Window) -> io::Result<()> {
        let deadline = Instant::now() + START;
        let viewable = || -> Result<bool, x11rb::errors::ReplyError> {
            Ok(self.hands.get_window_attributes(window)?.reply()?.map_state == MapState::VIEWABLE)
        };
        // The window is about to be shown; which event of which of its parents
        // comes last depends on the program, so its state is asked.
        while !viewable().map_err(io::Error::other)? {
            if Instant::now() > deadline {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the terminal's window is not shown"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.hands
            .set_input_focus(InputFocus::POINTER_ROOT, window, x11rb::CURRENT_TIME)
            .map_err(io::Error::other)?;
        self.hands.sync().map_err(io::Error::other)
    }
}

impl Drop for XServer {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// A terminal with the focus on a server of its own with this layout; none where there is
/// no X server to be had.
#[allow(clippy::unwrap_used)] // A server that cannot be set up fails its test there and then.
pub fn terminal(layout: &str) -> Option<(XServer, Terminal)> {
    if !present() {
        return None;
    }
    let server = XServer::start().unwrap();
    server.layout(layout).unwrap();
    let terminal = Terminal::open(&server).unwrap();
    Some((server, terminal))
}

impl Terminal {
    /// Opens a terminal on the server and gives it the focus.
    ///
    /// # Errors
    /// A program's failure, or 20 seconds without a sign of the terminal.
    pub fn open(server: &XServer) -> io::Result<Self> {
        let typed = Typed::new(false)?;
        // The first line is the window's number, all after it was typed.
        let script = r#"stty raw -echo; exec >"$PIPE"; echo "$WINDOWID"; exec cat"#;
        let process = server
            .command("xterm")
            .args(["-u8", "-e", "sh", "-c", script])
            .env("PIPE", typed.pipe())
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut terminal = Self { _process: Ended(process), window: 0, typed };
        let number = terminal.typed.line(START)?;
        terminal.window = number.trim().parse().map_err(io::Error::other)?;
        server.focus(terminal.window)?;
        Ok(terminal)
    }

    /// Waits until as many bytes as `text` has were typed since the last call, and
    /// returns them; less after `patience`.
    ///
    /// # Errors
    /// None but the end of the terminal.
    pub fn typed(&mut self, text: &str, patience: Duration) -> io::Result<String> {
        self.typed.typed(text, patience)
    }
}
