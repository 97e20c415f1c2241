//! Asking the owner of the clipboard for what it has, which may come part by part (INCR).

use super::parts::Kind;
use super::{X11, window};
use std::sync::Arc;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{Atom, AtomEnum, ConnectionExt as _, Property, Window};
use x11rb::rust_connection::RustConnection;

/// A window to which one thing is given. What comes too late finds it gone.
struct Asker {
    connection: Arc<RustConnection>,
    window: Window,
}

impl X11 {
    /// See [`super::super::Selection::ask`].
    pub(in super::super) async fn ask(&mut self, form: &str, most: usize) -> Option<Vec<u8>> {
        let asker =
            Asker { window: window(&self.connection, self.root).ok()?, connection: self.connection.clone() };
        let (atoms, target) = (self.atoms, self.intern(&[form]).ok()?.pop()?);
        let (clipboard, copied) = (atoms.CLIPBOARD, atoms._SWICTATION_COPIED);
        self.connection.convert_selection(asker.window, clipboard, target, copied, self.since).ok()?;
        loop {
            match self.event().await.ok()? {
                Event::SelectionNotify(answer) if answer.requestor == asker.window => {
                    if answer.property == x11rb::NONE {
                        return None;
                    }
                    break;
                }
                event => self.hear(event).ok()?,
            }
        }
        let (mut kind, mut bytes) = asker.take(copied, most)?;
        if kind.kind == atoms.INCR {
            bytes.clear();
            loop {
                match self.event().await.ok()? {
                    Event::PropertyNotify(part)
                        if part.window == asker.window && part.state == Property::NEW_VALUE =>
                    {
                        let (part_kind, part) = asker.take(copied, most - bytes.len())?;
                        if part.is_empty() {
                            break;
                        }
                        kind = part_kind;
                        bytes.extend(part);
                    }
                    event => self.hear(event).ok()?,
                }
            }
        }
        self.kinds.insert(target, kind);
        Some(bytes)
    }
}

impl Asker {
    /// Takes what was given; none when it is more than so many bytes.
    fn take(&self, name: Atom, most: usize) -> Option<(Kind, Vec<u8>)> {
        let units = u32::try_from(most / 4).ok()?;
        let asked = self.connection.get_property(true, self.window, name, AtomEnum::ANY, 0, units).ok()?;
        let given =
            asked.reply().ok().filter(|given| given.bytes_after == 0 && given.type_ != x11rb::NONE)?;
        Some((Kind { kind: given.type_, format: given.format }, given.value))
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        let _ = self.connection.destroy_window(self.window);
    }
}
