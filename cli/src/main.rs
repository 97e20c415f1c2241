//! `swictation`: one verb, one message to the daemon, one answer.
//!
//! Meant for a hotkey, so it does nothing it need not: one thread, one call, no
//! introspection and no cache of properties. It knows the contract and nothing
//! of speech; the verbs that need a model are passed on to swictationd, and those that
//! fetch and remove models need no daemon.

mod args;
mod began;
mod choice;
mod coming;
mod failure;
mod follow;
mod import;
mod last;
mod model;
mod progress;
mod show;

use args::{Args, Verb};
use clap::Parser;
use failure::Failure;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;
use swictation_control::{Dictation1Proxy, INTERFACE, NAME, OwnedDict, PATH, Status, exit};
use zbus::proxy::{CacheProperties, MethodFlags};
use zbus::{Connection, MatchRule, MessageStream, Proxy};

/// How long the daemon may take to answer, which includes being started.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let args = Args::parse();
    let done = match args.verb {
        Verb::Transcribe(_) | Verb::Recover(_) | Verb::Doctor(_) => Err(hand_over()),
        Verb::Model(model) => model::run(model.verb),
        verb => wait(run(verb)),
    };
    match done {
        Ok(code) => code.into(),
        Err(failure) => {
            let _ = writeln!(io::stderr(), "swictation: {failure}");
            failure.code.into()
        }
    }
}

/// Runs what waits for the bus.
fn wait<T>(what: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::new(exit::FAILURE, format!("no event loop: {e}")))?
        .block_on(what)
}

/// Does what the verb says with the daemon; the exit code when that went well.
async fn run(verb: Verb) -> Result<u8, Failure> {
    let connection = zbus::connection::Builder::session()
        .method_timeout(PATIENCE)
        .build()
        .await
        .map_err(|e| Failure::no_bus(&e))?;
    let daemon = Dictation1Proxy::builder(&connection)
        .cache_properties(CacheProperties::No)
        .build()
        .await
        .map_err(Failure::from)?;
    let answer = match verb {
        Verb::Start => press(&connection, &daemon, "start").await,
        Verb::Toggle => press(&connection, &daemon, "toggle").await,
        Verb::Stop => release(&connection, &daemon, "stop").await,
        Verb::Cancel => release(&connection, &daemon, "cancel").await,
        Verb::Last(which) => return last::last(&daemon, &which).await,
        Verb::Quit => return quit(&connection, &daemon).await,
        Verb::Status(args::Status { follow: true, .. }) => return follow::follow(&connection).await,
        Verb::Status(args::Status { json, .. }) => return status(&connection, json).await,
        Verb::Transcribe(_) | Verb::Recover(_) | Verb::Doctor(_) => return Err(hand_over()),
        Verb::Model(model) => return model::run(model.verb),
    };
    let activates = matches!(verb, Verb::Start | Verb::Toggle);
    match answer {
        Ok(state) => show::line(&state),
        Err(e) if !activates && failure::is_no_daemon(&e) => show::line(show::STOPPED),
        Err(e) => Err(e.into()),
    }
}

/// Calls a verb that has the bus start the daemon. Every call says when this process
/// began: at the press of a key, which another one may have overtaken since.
async fn press(connection: &Connection, daemon: &Dictation1Proxy<'_>, verb: &str) -> zbus::Result<String> {
    coming::say(connection).await?;
    match (began::hundredths(), verb) {
        (Some(began), _) => daemon.at(verb, began, std::process::id()).await,
        (None, "start") => daemon.start().await,
        (None, _) => daemon.toggle().await,
    }
}

/// Calls a verb that has nothing to do where no daemon runs or is on its way.
async fn release(connection: &Connection, daemon: &Dictation1Proxy<'_>, verb: &str) -> zbus::Result<String> {
    let (Some(began), own) = (began::hundredths(), std::process::id()) else {
        return if verb == "stop" { daemon.stop().await } else { daemon.cancel().await };
    };
    match daemon.at_running(verb, began, own).await {
        Err(e) if failure::is_no_daemon(&e) && coming::is_said(connection).await => {
            daemon.at(verb, began, own).await
        }
        answer => answer,
    }
}

async fn status(connection: &Connection, json: bool) -> Result<u8, Failure> {
    let status = match read(connection).await {
        Ok(properties) => Some(Status::from_properties(&properties).map_err(Failure::other)?),
        Err(e) if failure::is_no_daemon(&e) => None,
        Err(e) => return Err(e.into()),
    };
    if json {
        show::line(&Status::line(status.as_ref()).to_string())?;
    } else {
        show::line(&show::status(status.as_ref()))?;
    }
    Ok(if status.is_some() { exit::OK } else { exit::NO_DAEMON })
}

/// All properties in one call, which does not start a daemon.
async fn read(connection: &Connection) -> zbus::Result<OwnedDict> {
    let properties: Proxy<'_> = zbus::proxy::Builder::new(connection)
        .destination(NAME)
        .path(PATH)
        .interface("org.freedesktop.DBus.Properties")
        .cache_properties(CacheProperties::No)
        .build()
        .await?;
    let flags = MethodFlags::NO_AUTO_START;
    let answer = properties.call_with_flags("GetAll", flags, &INTERFACE).await?;
    answer.ok_or(zbus::Error::InvalidReply)
}

/// Ends the daemon and waits until its name is free, so that a new one can be
/// started right after.
async fn quit(connection: &Connection, daemon: &Dictation1Proxy<'_>) -> Result<u8, Failure> {
    let rule = MatchRule::try_from(follow::OWNER_CHANGES).map_err(Failure::from)?;
    let mut owners = MessageStream::for_match_rule(rule, connection, None).await.map_err(Failure::from)?;
    match daemon.quit().await {
        Ok(_) => {}
        Err(e) if failure::is_no_daemon(&e) => return show::line(show::STOPPED),
        Err(e) => return Err(e.into()),
    }
    let gone = async {
        while let Some(Ok(message)) = follow::next(&mut owners).await {
            let owner: Result<(String, String, String), _> = message.body().deserialize();
            if owner.is_ok_and(|(_, _, now)| now.is_empty()) {
                break;
            }
        }
    };
    match tokio::time::timeout(PATIENCE, gone).await {
        Ok(()) => show::line(show::STOPPED),
        Err(_) => Err(Failure::new(
            exit::FAILURE,
            format!(
                "the daemon took the command and still runs after {} s: `systemctl --user kill swictation` \
                 ends it, `journalctl --user -u swictation` may say what it waits for",
                PATIENCE.as_secs()
            ),
        )),
    }
}

/// Becomes swictationd, which has verbs of the same names, with the arguments as they
/// were given. Comes back only when that is not possible.
fn hand_over() -> Failure {
    let program = swictationd();
    let e = Command::new(&program).args(std::env::args_os().skip(1)).exec();
    not_run(&program, &e)
}

/// The daemon's program: beside this one, or found by name.
fn swictationd() -> PathBuf {
    let name = "swictationd";
    let beside =
        std::env::current_exe().ok().map(|own| own.with_file_name(name)).filter(|path| path.is_file());
    beside.unwrap_or_else(|| name.into())
}

fn not_run(program: &Path, e: &io::Error) -> Failure {
    Failure::new(
        exit::FAILURE,
        format!(
            "{} cannot be run: {e}. It belongs beside this program or on the PATH; scripts/install puts it there",
            program.display()
        ),
    )
}
