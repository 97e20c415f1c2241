//! What a desktop is put together of: programs, files, variables, buses.

use super::{DISPLAY, Desktop, START};
use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

impl Desktop {
    pub(super) fn set(&mut self, name: &'static str, value: &str) {
        self.environment.retain(|(set, _)| *set != name);
        self.environment.push((name, value.to_owned()));
    }

    pub(super) fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let path = self.home.path().join(name);
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(path, text)
    }

    /// Starts a part of the desktop; what it says goes to a file of its name.
    pub(super) fn part(&mut self, command: &mut Command) -> io::Result<()> {
        let program = Path::new(command.get_program()).file_name().unwrap_or_default().to_owned();
        let log = fs::File::options().create(true).append(true).open(self.log(&program))?;
        let part = command.stdout(log.try_clone()?).stderr(log).spawn();
        self.processes.push(part.map_err(|e| io::Error::other(format!("{}: {e}", program.display())))?);
        Ok(())
    }

    pub(super) fn log(&self, program: &OsStr) -> PathBuf {
        self.home.path().join("log").join(program)
    }

    /// Waits until something is so. None of the compositors tells when it is ready.
    pub(super) fn until(&self, what: &str, so: impl Fn(&Self) -> bool) -> io::Result<()> {
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
    pub(super) fn fault(&self, what: &str) -> io::Error {
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
    pub(super) fn run(&self, program: &str, arguments: &[&str]) -> io::Result<String> {
        let output = self.command(program).args(arguments).output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(io::Error::other(format!("{program} {}: {said}", arguments.join(" "))));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Starts a bus and has every program after it find it in this variable.
    pub(super) fn bus(&mut self, variable: &'static str) -> io::Result<()> {
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
    pub(super) fn named(&self, name: &str) -> io::Result<()> {
        let waited = self.run("gdbus", &["wait", "--session", "--timeout", "30", name]);
        waited.map(drop).map_err(|_| self.fault(name))
    }

    pub(super) fn call(
        &self,
        name: &str,
        path: &str,
        method: &str,
        arguments: &[&str],
    ) -> io::Result<String> {
        let call = ["call", "--session", "-d", name, "-o", path, "-m", method];
        self.run("gdbus", &[&call[..], arguments].concat())
    }

    /// The display is there; programs that the bus starts from here on find it.
    pub(super) fn displayed(&mut self) -> io::Result<()> {
        self.until("the compositor", |desktop| desktop.display().exists())?;
        self.set("WAYLAND_DISPLAY", DISPLAY);
        self.run("dbus-update-activation-environment", &["--all"]).map(drop)
    }
}
