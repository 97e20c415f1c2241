//! What takes the keys before the window that has the focus does, and may make other text of
//! them: an input method of IBus or of Fcitx 5.
//!
//! Which one is active, both tell when they are asked. Those that only stand for a layout of
//! the keyboard pass keys on; of any other that is not known, as many have a state of their own
//! in which they do nothing. KWin sends keys through the one that it has and modifiers past it,
//! so that a fast key has lost its Shift when it comes back; wlroots has a keyboard's next map
//! overtake it. The IBus of GNOME does neither.

use super::KWIN;
use crate::bus;
use crate::typist::Keys;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use zbus::Connection;
use zbus::zvariant::Variant;

const FCITX: &str = "org.fcitx.Fcitx5";
const FCITX_OBJECT: &str = "/controller";
const CONTROLLER: &str = "org.fcitx.Fcitx.Controller1";

/// On a bus of its own, the address of which it writes into a file.
const IBUS: &str = "org.freedesktop.IBus";
const IBUS_OBJECT: &str = "/org/freedesktop/IBus";
const ADDRESS: &str = "IBUS_ADDRESS=";

const KWIN_OBJECT: &str = "/VirtualKeyboard";
const KWIN_KEYBOARD: &str = "org.kde.kwin.VirtualKeyboard";

/// How long they may take to answer, and text with them: one that does not know yet makes other
/// text of it.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);

/// How the names of those begin that stand for a layout.
const LAYOUTS: [&str; 2] = ["keyboard-", "xkb:"];

/// Both, as far as they are there.
pub(super) struct InputMethods {
    session: Connection,
    /// Where IBus writes its addresses, one file for each display.
    addresses: PathBuf,
    ibus: Option<Connection>,
}

impl InputMethods {
    /// Looks for them on this bus, or on the session's, and in this folder.
    pub(super) async fn find(bus: Option<&str>, addresses: PathBuf) -> Option<Self> {
        let session = bus::at(bus).method_timeout(PATIENCE).build().await.ok()?;
        Some(Self { session, addresses, ibus: None })
    }

    /// What becomes of keys now.
    pub(super) async fn keys(&mut self) -> Keys {
        if self.has(FCITX).await.is_some() {
            return match self.fcitx().await {
                Some(name) if composes(&name) => Keys::Composed(name),
                _ => Keys::Late,
            };
        }
        match self.ibus().await {
            Some(name) if composes(&name) => Keys::Composed(name),
            _ if self.kwin().await == Some(true) => Keys::Late,
            _ => Keys::Direct,
        }
    }

    /// Whether KWin has an input method.
    async fn kwin(&self) -> Option<bool> {
        self.has(KWIN).await?;
        let available = bus::property(&self.session, KWIN, KWIN_OBJECT, KWIN_KEYBOARD, "available").await;
        available.ok()?.downcast_ref().ok()
    }

    /// That somebody has this name now; asking for more would start some.
    async fn has(&self, name: &str) -> Option<()> {
        bus::has_owner(&self.session, name).await.ok()?.then_some(())
    }

    async fn fcitx(&self) -> Option<String> {
        let (method, body) = ("CurrentInputMethod", ());
        let asked = self.session.call_method(Some(FCITX), FCITX_OBJECT, Some(CONTROLLER), method, &body);
        asked.await.ok()?.body().deserialize().ok()
    }

    async fn ibus(&mut self) -> Option<String> {
        if self.ibus.is_none() {
            for address in addresses(&self.addresses) {
                if let Ok(connection) = bus::at(Some(&address)).method_timeout(PATIENCE).build().await {
                    self.ibus = Some(connection);
                    break;
                }
            }
        }
        let ibus = self.ibus.as_ref()?;
        let engine = bus::property(ibus, IBUS, IBUS_OBJECT, IBUS, "GlobalEngine").await;
        if engine.is_err() {
            // It may have been started again, at another address.
            self.ibus = None;
        }
        name(&*engine.ok()?)
    }
}

/// The addresses in the files of this folder, the newest first.
fn addresses(folder: &Path) -> Vec<String> {
    let Ok(files) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<(SystemTime, String)> = files
        .flatten()
        .filter_map(|file| {
            let written = file.metadata().and_then(|about| about.modified()).ok()?;
            let text = std::fs::read_to_string(file.path()).ok()?;
            let address = text.lines().find_map(|line| line.strip_prefix(ADDRESS))?;
            Some((written, address.to_owned()))
        })
        .collect();
    found.sort_by_key(|(written, _)| std::cmp::Reverse(*written));
    found.into_iter().map(|(_, address)| address).collect()
}

/// The name in the description of an engine: what it is a description of, attachments, and
/// then the name.
fn name(engine: &Variant<'_>) -> Option<String> {
    match engine {
        Variant::Variant(engine) => name(engine),
        Variant::Structure(engine) => match engine.fields().get(2)? {
            Variant::Str(name) => Some(name.to_string()),
            _ => None,
        },
        _ => None,
    }
}

fn composes(name: &str) -> bool {
    !name.is_empty() && !LAYOUTS.iter().any(|layout| name.starts_with(layout))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layout_leaves_text_as_it_is_and_anything_else_may_compose_it() {
        assert!(!composes("xkb:us::eng") && !composes("keyboard-de-nodeadkeys") && !composes(""));
        assert!(composes("libpinyin") && composes("anthy") && composes("unikey"));
    }

    #[test]
    fn the_newest_address_comes_first_and_other_files_are_passed_over() {
        let folder = tempfile::TempDir::new().unwrap();
        let write = |name: &str, text: &str, age: u64| {
            let file = folder.path().join(name);
            std::fs::write(&file, text).unwrap();
            let at = SystemTime::now() - Duration::from_secs(age);
            std::fs::File::options().append(true).open(file).unwrap().set_modified(at).unwrap();
        };
        write("machine-unix-0", "# a comment\nIBUS_ADDRESS=unix:path=/old\nIBUS_DAEMON_PID=1\n", 100);
        write("machine-unix-wayland-0", "IBUS_ADDRESS=unix:path=/new,guid=7\n", 10);
        write("other", "nothing of the kind\n", 0);
        assert_eq!(addresses(folder.path()), ["unix:path=/new,guid=7", "unix:path=/old"]);
        assert_eq!(addresses(&folder.path().join("absent")), [""; 0]);
    }
}
