//! The last text for the person who asks for it: into a pipe, or on the clipboard.
//!
//! The session remembers the text, in memory and bounded; here it is handed over and
//! nothing else. It is in no message that is logged or that others on the bus see.

use super::{MainLoop, Wake};
use crate::clipboard::Clipboard;
use crate::control::dbus::Reply;
use crate::control::pipe::Pipe;
use swictation_control::Refused;

impl MainLoop {
    /// Writes the newest dictation's text, or all that was not typed, into the pipe.
    pub(super) fn write_last(&self, pipe: Pipe, untyped: bool, reply: Reply) {
        let written = match untyped {
            true => pipe.write(&self.session.untyped_text()),
            false => pipe.write(self.session.last_text()),
        };
        let state = super::show::state(self.session.state());
        drop(reply.send(written.map(|()| state).map_err(Refused::Failed)));
    }

    /// Puts what was not typed on the clipboard, else all of the newest dictation.
    pub(super) fn copy_last(&mut self, reply: Reply) {
        if self.copying.is_some() {
            return drop(reply.send(Err(Refused::Failed("another copy is not done yet".into()))));
        }
        let mut effects = Vec::new();
        let text = self.session.text_to_copy(&mut effects);
        self.perform(&mut effects);
        if text.is_empty() {
            let why = "there is nothing to copy: nothing has been dictated since the daemon started";
            return drop(reply.send(Err(Refused::Failed(why.into()))));
        }
        self.copying = Some((text.clone(), reply));
        if self.clipboard.is_none() {
            self.clipboard = Clipboard::start()
                .inspect_err(|error| tracing::error!("the system gives no thread for the clipboard: {error}"))
                .ok();
        }
        let wakes = self.wakes.clone();
        match &self.clipboard {
            Some(clipboard) => clipboard.copy(text, move |result| drop(wakes.send(Wake::Copied(result)))),
            None => self.copied(Err("the system gives no thread for the clipboard".into())),
        }
    }

    /// The clipboard answered.
    pub(super) fn copied(&mut self, result: Result<(), String>) {
        let Some((text, reply)) = self.copying.take() else { return };
        if result.is_ok() {
            let mut effects = Vec::new();
            self.session.text_was_copied(&text, &mut effects);
            self.perform(&mut effects);
        }
        let state = super::show::state(self.session.state());
        drop(reply.send(result.map(|()| state).map_err(Refused::Typing)));
    }
}
