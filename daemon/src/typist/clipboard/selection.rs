//! The clipboards that desktops lend, as one.

use super::{Control, x11};
use crate::typist::portal;
use std::os::fd::OwnedFd;
use x11rb::protocol::xproto::SelectionRequestEvent;

/// What a desktop tells of its clipboard.
pub(in crate::typist) enum Told {
    /// Whose the clipboard is, and in which forms there is what was copied.
    Owner {
        /// What is there was put there by [`Selection::own`].
        ours: bool,
        /// The names of the forms (MIME types).
        forms: Vec<String>,
    },
    /// Somebody wants what is ours.
    Wanted(Wish),
}

/// That somebody wants what is ours.
pub(in crate::typist) struct Wish {
    /// In which form (MIME type).
    pub(in crate::typist) form: String,
    /// Where to.
    pub(in crate::typist) sink: Sink,
}

/// Where what is wanted goes.
pub(in crate::typist) enum Sink {
    /// Into a file that the desktop gives for this number.
    Numbered(u32),
    /// Into this file.
    File(OwnedFd),
    /// Into the property of a window that this names.
    Property(SelectionRequestEvent),
}

/// A clipboard, and what is told of it.
pub(in crate::typist) enum Selection {
    /// The portal's, see [`portal::Selection`].
    Portal(portal::Selection),
    /// The compositor's, see [`Control`].
    Control(Control),
    /// The X server's, see [`x11::X11`].
    X11(Box<x11::X11>),
}

impl Selection {
    /// The next thing that the desktop tells. Nothing is lost when this is not waited for to
    /// its end.
    ///
    /// # Errors
    /// Why nothing will be told any more.
    pub(super) async fn next(&mut self) -> Result<Told, String> {
        match self {
            Self::Portal(selection) => selection.next().await,
            Self::Control(selection) => selection.next().await,
            Self::X11(selection) => selection.next().await,
        }
    }

    /// Makes the clipboard ours, with something in these forms.
    ///
    /// # Errors
    /// Why that cannot be done.
    pub(super) async fn own(&mut self, forms: Vec<&str>) -> Result<(), String> {
        match self {
            Self::Portal(selection) => selection.own(forms).await,
            Self::Control(selection) => selection.own(&forms),
            Self::X11(selection) => selection.own(&forms).await,
        }
    }

    /// Gives somebody what is wanted, or nothing where there is none. Whoever wants it may be
    /// gone: that is no error.
    ///
    /// # Errors
    /// Why the clipboard is of no use any more.
    pub(super) async fn give(&mut self, wish: Wish, bytes: Option<&[u8]>) -> Result<(), String> {
        match (self, wish.sink) {
            (Self::Portal(selection), Sink::Numbered(serial)) => selection.give(serial, bytes).await,
            (_, Sink::File(sink)) => {
                super::write(sink, bytes.unwrap_or_default()).await;
                Ok(())
            }
            (Self::X11(selection), Sink::Property(request)) => selection.give(request, bytes),
            // No desktop asks as another does.
            (_, Sink::Numbered(_) | Sink::Property(_)) => Ok(()),
        }
    }

    /// Asks the owner of the clipboard for a form; none when it does not give it, or more
    /// than so many bytes.
    pub(super) async fn ask(&mut self, form: &str, most: usize) -> Option<Vec<u8>> {
        match self {
            Self::Portal(selection) => selection.ask(form, most).await,
            Self::Control(selection) => selection.ask(form, most).await,
            Self::X11(selection) => selection.ask(form, most).await,
        }
    }

    /// Whether somebody has copied something of which the forms are not told yet.
    pub(super) fn is_unsure(&self) -> bool {
        matches!(self, Self::X11(selection) if selection.is_unsure())
    }

    /// Whether an input method passes keys on with the times of earlier ones, which programs on
    /// an X server then ask with. Without one, whoever asks with an early time wants what there
    /// was before.
    pub(super) fn composed(&mut self, composed: bool) {
        if let Self::X11(selection) = self {
            selection.composed(composed);
        }
    }

    /// To be asked for what was copied as seldom as can be: GNOME's portal 48.0 confuses its
    /// files and may end, and the session with it, when it passes contents on.
    pub(super) fn is_frail(&self) -> bool {
        matches!(self, Self::Portal(_))
    }
}
