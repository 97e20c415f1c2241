//! A whole Wayland desktop without a screen, and a terminal in it that tells what it
//! gets.
//!
//! DESKTOP names the desktop: gnome, kde, sway or labwc. `scripts/desktops` runs the
//! tests where each is installed. A fixture has a home, a runtime folder and buses of
//! its own, and the layouts that it was asked for.

mod hands;
mod input_method;
mod picture;
mod question;
mod xwayland;

use crate::terminal::Typed;
use hands::Hands;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The longest that a part of a desktop may take to start.
const START: Duration = Duration::from_secs(30);

/// How long a terminal may take to say that it has the focus, where there is a keyboard.
const FOCUSING: Duration = Duration::from_secs(2);

/// Who runs a compositor in the place of root.
const NOBODY: u32 = 65534;

/// The Wayland socket, in the runtime folder.
const DISPLAY: &str = "wayland-0";

/// A menu with all that is installed, as Plasma has one.
const MENU: &str = r#"<!DOCTYPE Menu PUBLIC "-//freedesktop//DTD Menu 1.0//EN" "http://www.freedesktop.org/standards/menu-spec/1.0/menu.dtd">
<Menu><Name>Applications</Name><DefaultAppDirs/><DefaultDirectoryDirs/><Include><All/></Include></Menu>
"#;

/// What the daemon is installed with.
const ENTRY: &str = include_str!("../../packaging/applications/org.swictation.Daemon.desktop");

/// The desktops that typing is tried on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// gnome-shell with the GNOME portal.
    Gnome,
    /// kwin with Plasma's portal.
    Kde,
    /// A tiling compositor of the wlroots family.
    Sway,
    /// A stacking compositor of the wlroots family.
    Labwc,
}

/// What a desktop may have that most tests do without.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extra {
    Nothing,
    /// A person could see it.
    Screen,
    /// The keyboards that the kernel has.
    Keyboards,
    /// An input method.
    InputMethod,
}

/// A running desktop; its processes end with it.
pub struct Desktop {
    /// Which it is.
    pub kind: Kind,
    /// The newest last.
    processes: Vec<Child>,
    /// What programs of this desktop find in their environment.
    environment: Vec<(&'static str, String)>,
    hands: Option<Hands>,
    extra: Extra,
    layouts: Layouts,
    home: TempDir,
}

/// A terminal that has the focus.
pub struct Terminal {
    process: Child,
    typed: Typed,
}

impl Kind {
    /// The desktop that DESKTOP names; says so where it names none.
    ///
    /// # Panics
    /// When it names one that is not known.
    #[allow(clippy::panic)]
    pub fn asked() -> Option<Self> {
        let name = std::env::var("DESKTOP").unwrap_or_default();
        let kind = match name.as_str() {
            "gnome" => Some(Self::Gnome),
            "kde" => Some(Self::Kde),
            "sway" => Some(Self::Sway),
            "labwc" => Some(Self::Labwc),
            "" => None,
            _ => panic!("DESKTOP={name}: gnome, kde, sway and labwc are known"),
        };
        crate::need("desktop", kind.is_some());
        kind
    }
}

impl Kind {
    /// A desktop whose programs may bring a keyboard along: the one that DESKTOP names,
    /// or Sway where this machine has it.
    pub fn of_wlroots() -> Option<Self> {
        if std::env::var_os("DESKTOP").is_some() {
            return Self::asked().filter(|kind| matches!(kind, Self::Sway | Self::Labwc));
        }
        let present = ["sway", "swaymsg", "foot", "setpriv"].iter().all(|name| crate::program(name));
        crate::need("sway", present).then_some(Self::Sway)
    }
}

impl Desktop {
    /// Starts the desktop with these layouts as groups, named as in "us", "us(dvorak)"
    /// or "de,ru".
    ///
    /// # Errors
    /// A program's failure to start, with what to look at.
    pub fn start(kind: Kind, layouts: &str) -> io::Result<Self> {
        Self::start_with(kind, layouts, Extra::Nothing)
    }

    /// As [`Desktop::start`], where [`Desktop::picture`] sees it.
    ///
    /// # Errors
    /// As for [`Desktop::start`].
    pub fn start_seen(kind: Kind, layouts: &str) -> io::Result<Self> {
        Self::start_with(kind, layouts, Extra::Screen)
    }

    /// As [`Desktop::start`], with the keyboards of the kernel.
    ///
    /// # Errors
    /// As for [`Desktop::start`].
    pub fn start_plugged(kind: Kind, layouts: &str) -> io::Result<Self> {
        Self::start_with(kind, layouts, Extra::Keyboards)
    }

    /// Once more where it does not come up, which was seen of GNOME once; why, the note says.
    fn start_with(kind: Kind, layouts: &str, extra: Extra) -> io::Result<Self> {
        Self::start_once(kind, layouts, extra).or_else(|e| {
            crate::note(&format!("{kind:?} is started once more: {e}"));
            Self::start_once(kind, layouts, extra)
        })
    }

    fn start_once(kind: Kind, layouts: &str, extra: Extra) -> io::Result<Self> {
        let home = tempfile::Builder::new().prefix("swictation-desktop").tempdir()?;
        for folder in ["run", "config", "state", "log"] {
            fs::create_dir(home.path().join(folder))?;
        }
        let layouts = Layouts::new(layouts);
        let mut desktop = Self {
            kind,
            processes: Vec::new(),
            environment: Vec::new(),
            hands: None,
            extra,
            layouts: layouts.clone(),
            home,
        };
        desktop.set("HOME", &desktop.path(""));
        desktop.set("XDG_CONFIG_HOME", &desktop.path("config"));
        desktop.set("XDG_STATE_HOME", &desktop.path("state"));
        desktop.set("XDG_RUNTIME_DIR", &desktop.path("run"));
        desktop.set("XDG_SESSION_TYPE", "wayland");
        if extra == Extra::InputMethod {
            desktop.profile()?;
        }
        match kind {
            Kind::Gnome => desktop.start_gnome(&layouts)?,
            Kind::Kde => desktop.start_kde(&layouts)?,
            Kind::Sway => desktop.start_sway(&layouts)?,
            Kind::Labwc => desktop.start_labwc(&layouts)?,
        }
        Ok(desktop)
    }

    /// A place in the home of this desktop's person, as text for an environment.
    pub fn path(&self, name: &str) -> String {
        self.home.path().join(name).to_string_lossy().into_owned()
    }

    /// A variable that programs of this desktop have.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.environment.iter().find(|(set, _)| *set == name).map(|(_, value)| value.as_str())
    }

    /// The Wayland socket.
    pub fn display(&self) -> PathBuf {
        self.home.path().join("run").join(DISPLAY)
    }

    /// A program of this desktop.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.env("LC_ALL", "C.UTF-8").envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null());
        command
    }

    /// Presses a key of the person's keyboard, by the kernel's keycode, and leaves it down.
    ///
    /// # Errors
    /// The desktop's refusal, or that this desktop has no such keyboard here.
    pub fn press(&self, key: u32) -> io::Result<()> {
        self.key(key, true)
    }

    /// Releases a key of the person's keyboard.
    ///
    /// # Errors
    /// As for [`Desktop::press`].
    pub fn release(&self, key: u32) -> io::Result<()> {
        self.key(key, false)
    }

    fn key(&self, key: u32, down: bool) -> io::Result<()> {
        let none = || io::Error::other("nobody has a keyboard here");
        self.hands.as_ref().ok_or_else(none)?.key(key, down)
    }

    /// Makes one of several layouts the active one, counted from 0, as a person would.
    ///
    /// # Errors
    /// The desktop's refusal, or that this is not known of it.
    pub fn layout(&self, number: u32) -> io::Result<()> {
        match self.kind {
            Kind::Gnome => {
                let code = format!(
                    "Main.panel.statusArea.keyboard._inputSourceManager.inputSources[{number}].activate(true)"
                );
                self.shell(&code)?;
                // Without IBus the shell does not write down what it otherwise does.
                let newest = self.layouts.newest(number as usize).sources();
                let schema = "org.gnome.desktop.input-sources";
                self.run("gsettings", &["set", schema, "mru-sources", &newest]).map(drop)
            }
            Kind::Kde => {
                let method = "org.kde.KeyboardLayouts.setLayout";
                self.call("org.kde.keyboard", "/Layouts", method, &[&number.to_string()]).map(drop)
            }
            Kind::Sway | Kind::Labwc => Err(io::Error::other("nobody knows how here")),
        }
    }

    /// Whether its portal types, and pastes what the layouts lack.
    pub fn pastes(&self) -> bool {
        matches!(self.kind, Kind::Gnome | Kind::Kde)
    }

    /// Ends the session that its portal has lent, as a person can.
    ///
    /// # Errors
    /// The desktop's refusal, or that there is none.
    pub fn end_session(&self) -> io::Result<()> {
        let backend = format!("org.freedesktop.impl.portal.desktop.{}", self.name());
        let sessions = "/org/freedesktop/portal/desktop/session";
        let tree =
            ["introspect", "--session", "--recurse", "--only-properties", "-d", &backend, "-o", sessions];
        let tree = self.run("gdbus", &tree)?;
        let session = tree.split_whitespace().rfind(|word| word.starts_with(sessions));
        let session = session.ok_or_else(|| io::Error::other(format!("no session in {tree}")))?;
        self.call(&backend, session, "org.freedesktop.impl.portal.Session.Close", &[]).map(drop)
    }

    /// What the backend of its portal is called.
    fn name(&self) -> &'static str {
        if self.kind == Kind::Gnome { "gnome" } else { "kde" }
    }

    /// Opens a terminal and waits until it has the focus.
    ///
    /// # Errors
    /// A program's failure, or no sign of the terminal.
    pub fn terminal(&self) -> io::Result<Terminal> {
        let script = r#"stty raw -echo; printf '\033[?1004h' >/dev/tty; exec >"$PIPE"; echo up; exec cat"#;
        self.foot(&["-f", "DejaVu Sans Mono:size=10"], script)
    }

    /// Opens a terminal that runs this script, and waits until it has the focus.
    fn foot(&self, options: &[&str], script: &str) -> io::Result<Terminal> {
        let typed = Typed::new(true)?;
        // The terminal has its size when its window is there, and reports the focus.
        let mut foot = self.command("foot");
        foot.arg("--log-level=error").args(options).args(["sh", "-c", script]);
        let process = foot.env("PIPE", typed.pipe()).stderr(Stdio::null()).spawn()?;
        let mut terminal = Terminal { process, typed };
        terminal.typed.line(START)?;
        // Where no keyboard is plugged in nothing has the focus before the typist comes.
        match terminal.typed.until(FOCUSING, |typed| typed.focused() > 0) {
            Err(e) if e.kind() != ErrorKind::TimedOut => Err(e),
            _ => Ok(terminal),
        }
    }

    /// Tells Sway to do something, in its own language.
    ///
    /// # Errors
    /// Sway's refusal.
    pub fn tell(&self, what: &str) -> io::Result<()> {
        let sockets = fs::read_dir(self.home.path().join("run"))?.flatten().map(|entry| entry.path());
        let mut sockets = sockets.filter(|path| path.to_string_lossy().contains("/sway-ipc."));
        let socket = sockets.next().ok_or_else(|| io::Error::other("sway has no socket"))?;
        let told = self.command("swaymsg").arg("-s").arg(socket).arg(what).stdout(Stdio::null()).status()?;
        if told.success() { Ok(()) } else { Err(io::Error::other(format!("swaymsg {what}: {told}"))) }
    }

    /// Ends the compositor as a crash would.
    ///
    /// # Errors
    /// The system's refusal.
    pub fn kill(&mut self) -> io::Result<()> {
        self.processes.last_mut().map_or(Ok(()), |newest| {
            newest.kill()?;
            newest.wait().map(drop)
        })
    }

    fn set(&mut self, name: &'static str, value: &str) {
        self.environment.retain(|(set, _)| *set != name);
        self.environment.push((name, value.to_owned()));
    }

    fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let path = self.home.path().join(name);
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(path, text)
    }

    /// Starts a part of the desktop; what it says goes to a file of its name.
    fn part(&mut self, command: &mut Command) -> io::Result<()> {
        let program = Path::new(command.get_program()).file_name().unwrap_or_default().to_owned();
        let log = fs::File::options().create(true).append(true).open(self.log(&program))?;
        let part = command.stdout(log.try_clone()?).stderr(log).spawn();
        self.processes.push(part.map_err(|e| io::Error::other(format!("{}: {e}", program.display())))?);
        Ok(())
    }

    fn log(&self, program: &OsStr) -> PathBuf {
        self.home.path().join("log").join(program)
    }

    /// Waits until something is so. None of the compositors tells when it is ready.
    fn until(&self, what: &str, so: impl Fn(&Self) -> bool) -> io::Result<()> {
        let deadline = Instant::now() + START;
        while !so(self) {
            if Instant::now() > deadline {
                return Err(self.fault(what));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// That something did not come, with the end of what all parts said.
    fn fault(&self, what: &str) -> io::Error {
        let logs = fs::read_dir(self.home.path().join("log")).into_iter().flatten().flatten();
        let said: String = logs
            .map(|log| {
                let text = fs::read_to_string(log.path()).unwrap_or_default();
                let lines: Vec<&str> = text.lines().collect();
                let end = &lines[lines.len().saturating_sub(5)..];
                format!("\n{}: {}", log.file_name().display(), end.join("\n  "))
            })
            .collect();
        io::Error::new(ErrorKind::TimedOut, format!("{what} does not come up{said}"))
    }

    /// Runs a program to its end; what it said.
    fn run(&self, program: &str, arguments: &[&str]) -> io::Result<String> {
        let output = self.command(program).args(arguments).output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(io::Error::other(format!("{program} {}: {said}", arguments.join(" "))));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Starts a bus and has every program after it find it in this variable.
    fn bus(&mut self, variable: &'static str) -> io::Result<()> {
        let socket = self.path(&format!("run/{variable}"));
        let address = format!("unix:path={socket}");
        let mut bus = self.command("dbus-daemon");
        bus.args(["--session", "--nofork", "--nopidfile"]).arg(format!("--address={address}"));
        self.part(&mut bus)?;
        self.until("a bus", |_| Path::new(&socket).exists())?;
        self.set(variable, &address);
        Ok(())
    }

    /// Waits until somebody has a name on the session bus.
    fn named(&self, name: &str) -> io::Result<()> {
        let waited = self.run("gdbus", &["wait", "--session", "--timeout", "30", name]);
        waited.map(drop).map_err(|_| self.fault(name))
    }

    fn call(&self, name: &str, path: &str, method: &str, arguments: &[&str]) -> io::Result<String> {
        let call = ["call", "--session", "-d", name, "-o", path, "-m", method];
        self.run("gdbus", &[&call[..], arguments].concat())
    }

    /// What the shell of GNOME says to a line of its own language.
    fn shell(&self, code: &str) -> io::Result<String> {
        self.call("org.gnome.Shell", "/org/gnome/Shell", "org.gnome.Shell.Eval", &[code])
    }

    /// The display is there; programs that the bus starts from here on find it.
    fn displayed(&mut self) -> io::Result<()> {
        self.until("the compositor", |desktop| desktop.display().exists())?;
        self.set("WAYLAND_DISPLAY", DISPLAY);
        self.run("dbus-update-activation-environment", &["--all"]).map(drop)
    }

    /// The portal, with leave to type given beforehand by `leave`.
    fn portal(&mut self, backend: Option<&str>, leave: &[&str]) -> io::Result<()> {
        let store = "org.freedesktop.impl.portal.PermissionStore";
        let mut process = self.command("/usr/libexec/xdg-permission-store");
        self.part(&mut process)?;
        self.named(store)?;
        if let [method, arguments @ ..] = leave {
            let path = "/org/freedesktop/impl/portal/PermissionStore";
            self.call(store, path, &format!("{store}.{method}"), arguments)?;
        }
        if self.kind == Kind::Kde {
            // Where it lies depends on the machine's architecture; the bus knows.
            let (bus, path) = ("org.freedesktop.DBus", "/org/freedesktop/DBus");
            let start = ["org.freedesktop.impl.portal.desktop.kde", "0"];
            self.call(bus, path, "org.freedesktop.DBus.StartServiceByName", &start)?;
        }
        if let Some(backend) = backend {
            let mut process = self.command(format!("/usr/libexec/xdg-desktop-portal-{backend}"));
            self.part(&mut process)?;
            self.named(&format!("org.freedesktop.impl.portal.desktop.{backend}"))?;
        }
        let mut process = self.command("/usr/libexec/xdg-desktop-portal");
        self.part(process.arg("-r"))?;
        let portal = "org.freedesktop.portal.Desktop";
        self.named(portal)?;
        // It hears from the compositor later that there are keyboards.
        self.until("a keyboard to lend", |desktop| {
            let asked = ["org.freedesktop.portal.RemoteDesktop", "AvailableDeviceTypes"];
            let (path, get) = ("/org/freedesktop/portal/desktop", "org.freedesktop.DBus.Properties.Get");
            let types = desktop.call(portal, path, get, &asked);
            types.is_ok_and(|types| !types.contains("uint32 0"))
        })
    }
}

/// The token of the leave to type that a person gave GNOME before.
pub const TOKEN: &str = "8ecf7b0c-51d1-4b1d-9e7c-6a0f4b3d2e19";

impl Desktop {
    fn start_gnome(&mut self, layouts: &Layouts) -> io::Result<()> {
        self.set("XDG_CURRENT_DESKTOP", "GNOME");
        self.set("GSETTINGS_BACKEND", "keyfile");
        self.set("GNOME_SHELL_SESSION_MODE", "user");
        self.write(
            "config/glib-2.0/settings/keyfile",
            &format!(
                "[org/gnome/desktop/input-sources]\nsources={}\n\
                 [org/gnome/desktop/interface]\nenable-animations=false\n\
                 [org/gnome/desktop/session]\nidle-delay=uint32 0\n",
                self.with_method(layouts.sources())
            ),
        )?;
        // The shell does not live without logind.
        self.bus("DBUS_SYSTEM_BUS_ADDRESS")?;
        for template in ["logind", "upower"] {
            let mut mock = self.command("python3");
            self.part(mock.args(["-m", "dbusmock", "--system", "--template", template]))?;
        }
        self.run("gdbus", &["wait", "--system", "--timeout", "30", "org.freedesktop.login1"])?;
        self.bus("DBUS_SESSION_BUS_ADDRESS")?;
        let mut shell = self.command("gnome-shell");
        shell.args(["--headless", "--wayland", "--unsafe-mode"]);
        shell.args(["--virtual-monitor", "1024x768", "--wayland-display", DISPLAY]);
        shell.env("PATH", self.path_of_programs());
        self.part(&mut shell)?;
        self.displayed()?;
        // It begins with a view of all windows, which takes what is typed.
        let says = |desktop: &Self, code: &str, value: &str| {
            desktop.shell(code).is_ok_and(|said| said.contains(value))
        };
        self.until("the shell", |desktop| says(desktop, "Main.layoutManager._startingUp", "false"))?;
        self.until("a view of one window", |desktop| {
            says(desktop, "Main.overview.hide(); Main.overview.visible", "false")
        })?;
        self.xwayland()?;
        // Vendor, version, and what was allowed: the keyboard and the clipboard.
        let leave = "<('GNOME', uint32 1, <(int64 0, int64 0, uint32 1, true, @a(uuv) [])>)>";
        self.portal(Some("gnome"), &["Set", "remote-desktop", "true", TOKEN, "{'': ['yes']}", leave])?;
        self.hands = Some(Hands::on_gnome(self.variable("DBUS_SESSION_BUS_ADDRESS").unwrap_or_default())?);
        Ok(())
    }

    fn start_kde(&mut self, layouts: &Layouts) -> io::Result<()> {
        self.set("XDG_CURRENT_DESKTOP", "KDE");
        // The portal's question can be answered by whoever assists people.
        self.set("QT_LINUX_ACCESSIBILITY_ALWAYS_ON", "1");
        // What KWin keeps from others is given to programs in the menu, by their desktop file;
        // a test is installed as the daemon is, and is the person with a keyboard as well.
        self.write("config/menus/applications.menu", MENU)?;
        let own = format!("Exec={}", std::env::current_exe()?.display());
        let lines = ENTRY.lines().map(|line| match line.split_once('=') {
            Some(("Exec", _)) => own.clone(),
            Some(("X-KDE-Wayland-Interfaces", _)) => format!("{line},org_kde_kwin_fake_input"),
            _ => line.to_owned(),
        });
        let entry = lines.collect::<Vec<_>>().join("\n");
        self.write(".local/share/applications/org.swictation.Daemon.desktop", &entry)?;
        let (names, variants) = layouts.names_and_variants();
        self.write(
            "config/kxkbrc",
            &format!("[Layout]\nUse=true\nLayoutList={names}\nVariantList={variants}\n"),
        )?;
        // What a test opens has the focus, although nobody has clicked.
        let method = self.of_kwin();
        self.write("config/kwinrc", &format!("[Windows]\nFocusStealingPreventionLevel=0\n{method}"))?;
        self.bus("DBUS_SESSION_BUS_ADDRESS")?;
        let mut kwin = self.command("kwin_wayland");
        if self.extra == Extra::Screen {
            kwin.arg("--wayland-display").arg(self.screen()?);
        } else {
            kwin.arg("--virtual");
        }
        kwin.args(["--width", "1024", "--height", "768", "--no-lockscreen"]);
        self.part(kwin.args(["--socket", DISPLAY]))?;
        self.named("org.kde.KWin")?;
        self.displayed()?;
        let leave = ["SetPermission", "kde-authorized", "true", "remote-desktop", "", "['yes']"];
        self.portal(None, &leave)?;
        self.hands = Some(Hands::on_kde(&self.display())?);
        Ok(())
    }

    fn start_sway(&mut self, layouts: &Layouts) -> io::Result<()> {
        let (names, variants) = layouts.names_and_variants();
        self.write(
            "config/sway/config",
            &format!(
                "output * resolution 1024x768\n\
                 input type:keyboard {{\n xkb_layout \"{names}\"\n xkb_variant \"{variants}\"\n}}\n"
            ),
        )?;
        if fs::metadata(self.home.path())?.uid() != 0 {
            let sway = self.command("sway");
            return self.start_wlroots(sway);
        }
        // Sway does not run for root, who enters all the same.
        for folder in ["", "run", "config", "config/sway"] {
            chown(self.home.path().join(folder), Some(NOBODY), Some(NOBODY))?;
        }
        let mut sway = self.command("setpriv");
        sway.args([format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")])
            .args(["--clear-groups", "sway"]);
        self.start_wlroots(sway)
    }

    fn start_labwc(&mut self, layouts: &Layouts) -> io::Result<()> {
        let (names, variants) = layouts.names_and_variants();
        let mut labwc = self.command("labwc");
        labwc.env("XKB_DEFAULT_LAYOUT", names).env("XKB_DEFAULT_VARIANT", variants);
        self.start_wlroots(labwc)
    }

    fn start_wlroots(&mut self, mut compositor: Command) -> io::Result<()> {
        self.bus("DBUS_SESSION_BUS_ADDRESS")?;
        let bus = self.variable("DBUS_SESSION_BUS_ADDRESS").unwrap_or_default().to_owned();
        let backends = if self.extra == Extra::Keyboards { "headless,libinput" } else { "headless" };
        compositor.env("DBUS_SESSION_BUS_ADDRESS", bus).env("WLR_BACKENDS", backends);
        compositor.env("WLR_RENDERER", "pixman").env("WLR_LIBINPUT_NO_DEVICES", "1");
        self.part(&mut compositor)?;
        // Both take the first free name. wlroots counts from 1 where it is compiled so.
        self.until("the compositor", |desktop| desktop.socket("run").is_some())?;
        let socket = self.socket("run").unwrap_or_else(|| DISPLAY.into());
        if socket != DISPLAY {
            std::os::unix::fs::symlink(&socket, self.display())?;
        }
        self.displayed()
    }

    /// The Wayland socket that a compositor chose in a runtime folder.
    fn socket(&self, folder: &str) -> Option<String> {
        let names = fs::read_dir(self.home.path().join(folder)).ok()?.flatten();
        let mut names = names.filter_map(|entry| entry.file_name().into_string().ok());
        names.find(|name| name.starts_with("wayland-") && !name.ends_with(".lock"))
    }
}

impl Drop for Desktop {
    fn drop(&mut self) {
        self.hands = None;
        // The newest first, so that nothing sees its server vanish.
        for process in self.processes.iter_mut().rev() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Terminal {
    /// Does something that takes the focus away for a while, and waits until it is back.
    ///
    /// # Errors
    /// The end of the terminal, or that the focus does not come back.
    pub fn interrupted(&mut self, interrupt: impl FnOnce()) -> io::Result<()> {
        let before = self.typed.focused();
        interrupt();
        self.typed.until(START, |typed| typed.focused() > before).map(drop)
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

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Layouts with their variants, in the forms of the desktops.
#[derive(Clone)]
struct Layouts(Vec<(String, String)>);

impl Layouts {
    fn new(names: &str) -> Self {
        let split = |name: &str| match name.trim_end_matches(')').split_once('(') {
            Some((layout, variant)) => (layout.to_owned(), variant.to_owned()),
            None => (name.to_owned(), String::new()),
        };
        Self(names.split(',').map(split).collect())
    }

    /// The same with this one first.
    fn newest(&self, number: usize) -> Self {
        let mut layouts = self.0.clone();
        let count = layouts.len();
        layouts[..=number.min(count - 1)].rotate_right(1);
        Self(layouts)
    }

    /// As xkb has them: both separated by commas.
    fn names_and_variants(&self) -> (String, String) {
        let join =
            |part: fn(&(String, String)) -> &str| self.0.iter().map(part).collect::<Vec<_>>().join(",");
        (join(|layout| &layout.0), join(|layout| &layout.1))
    }

    /// As GNOME has them.
    fn sources(&self) -> String {
        let source = |(layout, variant): &(String, String)| match variant.as_str() {
            "" => format!("('xkb', '{layout}')"),
            variant => format!("('xkb', '{layout}+{variant}')"),
        };
        format!("[{}]", self.0.iter().map(source).collect::<Vec<_>>().join(", "))
    }
}
