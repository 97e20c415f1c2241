//! What KWin tells of its windows, to a script that it runs for us.
//!
//! KWin has no interface that tells an ordinary program which window is active, but runs
//! scripts of the person's, which may call any program. Ours is told of nothing but a
//! window's number and class, and taken out when the daemon ends.

use super::{Focused, KWIN, connect};
use crate::bus::next;
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;
use zbus::{Connection, Message, MessageStream};

const SCRIPTING: &str = "/Scripting";
const SCRIPTS: &str = "org.kde.kwin.Scripting";

/// What the script calls.
const INTERFACE: &str = "org.swictation.Focus1";
const OBJECT: &str = "/org/swictation/Focus1";

/// How long its script may take to begin.
const BEGIN: Duration = Duration::from_secs(5);

/// A running script, and what it told last.
pub(super) struct Kwin {
    connection: Connection,
    messages: MessageStream,
    focused: Focused,
}

impl Kwin {
    /// Has the KWin of this bus run the script.
    ///
    /// # Errors
    /// Why it does not, for the log; mostly, that this is no Plasma.
    pub(super) async fn find(bus: Option<&str>, folder: &Path) -> Result<Self, String> {
        let connection = connect(bus).await.map_err(|e| e.to_string())?;
        let messages = MessageStream::from(&connection);
        let name = connection.unique_name().map(ToString::to_string).ok_or("the bus gives no name")?;
        let mut kwin = Self { connection, messages, focused: Focused::default() };
        kwin.run(&script(&name), folder).await?;
        // It calls as soon as it runs.
        let called = async {
            loop {
                let message = kwin.hear().await?;
                if kwin.take_in(&message).await.is_some() {
                    return Some(());
                }
            }
        };
        let silent = || "its script does not run".to_owned();
        tokio::time::timeout(BEGIN, called).await.ok().flatten().ok_or_else(silent)?;
        Ok(kwin)
    }

    async fn run(&self, script: &str, folder: &Path) -> Result<(), String> {
        // One that a daemon left behind that was killed.
        let _ = self.call(SCRIPTING, SCRIPTS, "unloadScript", &(INTERFACE,)).await?;
        let path = folder.join("swictation-focus.js");
        let write = || {
            fs::create_dir_all(folder)?;
            let mut file =
                fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
            file.write_all(script.as_bytes())
        };
        write().map_err(|e| e.to_string())?;
        let text = path.to_string_lossy();
        let loaded = self.call(SCRIPTING, SCRIPTS, "loadScript", &(text.as_ref(), INTERFACE)).await;
        let ran = match loaded {
            Ok(answer) => match answer.body().deserialize::<i32>() {
                Ok(number) if number >= 0 => {
                    let object = format!("{SCRIPTING}/Script{number}");
                    self.call(&object, "org.kde.kwin.Script", "run", &()).await.map(drop)
                }
                _ => Err("it does not take its script".into()),
            },
            Err(why) => Err(why),
        };
        // It was read when it began to run, or never will be.
        let _ = fs::remove_file(path);
        ran
    }

    async fn call<B>(&self, object: &str, interface: &str, method: &str, body: &B) -> Result<Message, String>
    where
        B: zbus::export::serde::Serialize + zbus::zvariant::DynamicType,
    {
        let called = self.connection.call_method(Some(KWIN), object, Some(interface), method, body);
        called.await.map_err(|e| e.to_string())
    }

    /// Takes the script out.
    pub(super) async fn end(self) {
        let _ = self.call(SCRIPTING, SCRIPTS, "unloadScript", &(INTERFACE,)).await;
    }

    /// What it told last.
    pub(super) fn now(&self) -> Focused {
        self.focused.clone()
    }

    /// The next message of the bus; none when there will be none again. It is lost when it is
    /// not taken in.
    pub(super) async fn hear(&mut self) -> Option<Message> {
        next(&mut self.messages).await?.ok()
    }

    /// Takes in what was told; none where that is nothing about the focus.
    pub(super) async fn take_in(&mut self, message: &Message) -> Option<()> {
        let header = message.header();
        if header.interface()?.as_str() != INTERFACE || header.member()?.as_str() != "Activated" {
            return None;
        }
        let (window, class): (String, String) = message.body().deserialize().ok()?;
        let _ = self.connection.reply(&header, &()).await;
        let class = (!class.is_empty()).then_some(class);
        // Where no window is active there is one without a name.
        self.focused = Focused { window: Some(window), class, ..Focused::default() };
        Some(())
    }
}

/// The script, which calls whoever has this name on the bus.
fn script(name: &str) -> String {
    format!(
        "function tell(window) {{\n\
         callDBus(\"{name}\", \"{OBJECT}\", \"{INTERFACE}\", \"Activated\",\n\
         window ? String(window.internalId) : \"\", window ? String(window.resourceClass) : \"\");\n\
         }}\n\
         workspace.windowActivated.connect(tell);\n\
         tell(workspace.activeWindow);\n"
    )
}
