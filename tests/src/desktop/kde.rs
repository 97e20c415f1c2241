//! KWin with the portal of Plasma, without a screen.

use super::hands::Hands;
use super::{DISPLAY, Desktop, Extra, Layouts};
use std::io;

/// A menu with all that is installed, as Plasma has one.
const MENU: &str = r#"<!DOCTYPE Menu PUBLIC "-//freedesktop//DTD Menu 1.0//EN" "http://www.freedesktop.org/standards/menu-spec/1.0/menu.dtd">
<Menu><Name>Applications</Name><DefaultAppDirs/><DefaultDirectoryDirs/><Include><All/></Include></Menu>
"#;

/// What the daemon is installed with.
const ENTRY: &str = include_str!("../../../packaging/applications/org.swictation.Daemon.desktop");

impl Desktop {
    pub(super) fn start_kde(&mut self, layouts: &Layouts) -> io::Result<()> {
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
}
