//! `swictation last`: what was dictated last, for when it is not where it should be.
//!
//! The daemon writes the text into a pipe of ours, because whatever is said on the bus
//! others can hear.

use crate::args::Last;
use crate::failure::Failure;
use crate::show;
use std::io::{self, Read};
use swictation_control::{Dictation1Proxy, exit};
use zbus::Fd;

/// Prints or copies the last text; the exit code when that went well.
pub(crate) async fn last(daemon: &Dictation1Proxy<'_>, which: &Last) -> Result<u8, Failure> {
    if which.copy {
        daemon.copy_last().await?;
        return show::line("copied");
    }
    let (mut reader, writer) =
        io::pipe().map_err(|e| Failure::new(exit::FAILURE, format!("the system gives no pipe: {e}")))?;
    daemon.last(Fd::from(&writer), which.untyped).await?;
    drop(writer);
    let mut text = String::new();
    reader
        .read_to_string(&mut text)
        .map_err(|e| Failure::new(exit::FAILURE, format!("the text from the daemon: {e}")))?;
    if text.is_empty() { Ok(exit::OK) } else { show::line(&text) }
}
