//! The daemon's object on a real bus, as its clients see it.
//!
//! The daemon here is the real bus side with a main loop of a few lines, in a
//! process of its own: this test executable, started again with [`ROLE`] set.
//! Its stdin is a script of what it publishes, its stderr says what happens.

#![allow(clippy::exit, clippy::print_stderr, clippy::unwrap_used, clippy::expect_used)]

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::{self, Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};
use swictation_control::{
    Dictation1Proxy, Engine, EngineState, INTERFACE, INTROSPECTION, NAME, OwnedDict, PATH, Refused, State,
    Status,
};
use swictation_daemon::control::dbus::{self, News, Published, Request};
use swictation_daemon::control::notify;
use swictation_tests::bus::Bus;
use swictation_tests::programs;
use zbus::proxy::CacheProperties;
use zbus::{Connection, DBusError, MatchRule, Message, MessageStream, Variant};

/// Set in the process that plays the daemon, to the part it plays.
const ROLE: &str = "SWICTATION_TEST_ROLE";
/// How long the daemon of these tests looks for a bus that went away.
const PATIENCE: Duration = Duration::from_secs(2);
/// What the daemon of these tests types.
const SPOKEN: &str = "the quick brown secret";

enum Event {
    News(News),
    Line(String),
}

/// Not a test of its own: the daemon, where [`ROLE`] says so.
#[test]
fn daemon() {
    match std::env::var(ROLE).as_deref() {
        Ok("daemon") => process::exit(serve()),
        Ok("notify") => {
            notify::ready("idle");
            notify::status("listening");
            notify::reloading();
            notify::watchdog();
            notify::stopping();
            process::exit(notify::watchdog_interval().map_or(0, |due| due.as_millis() as i32));
        }
        _ => {}
    }
}

/// The smallest main loop that keeps the rules of the verbs.
fn serve() -> i32 {
    let (events, next) = mpsc::channel();
    let news = events.clone();
    let bus = match dbus::serve(
        PATIENCE,
        move |told| drop(news.send(Event::News(told))),
        || r#"{"typed_ms_p50":120}"#.into(),
    ) {
        Ok(bus) => bus,
        Err(e) => {
            eprintln!("{e}");
            return e.exit_code().into();
        }
    };
    thread::spawn(move || {
        io::stdin().lines().try_for_each(|line| events.send(Event::Line(line?)).map_err(io::Error::other))
    });
    eprintln!("serving");
    let mut now = Published::default();
    let mut typed = String::new();
    for event in next {
        match event {
            Event::News(News::Asked(Request { command, reply, .. })) => {
                let dictating = now.state != State::Idle;
                now.state = match &command {
                    dbus::Command::Start if !dictating => State::Listening,
                    dbus::Command::Toggle if !dictating => State::Listening,
                    dbus::Command::Stop | dbus::Command::Toggle | dbus::Command::Cancel => State::Idle,
                    dbus::Command::Last(pipe, _) => {
                        pipe.clone().write(&typed).unwrap();
                        now.state
                    }
                    dbus::Command::Start
                    | dbus::Command::Quit
                    | dbus::Command::UseModel(_)
                    | dbus::Command::CopyLast => now.state,
                };
                bus.publish(now.clone());
                let _ = reply.send(match now.trouble.as_str() {
                    "" => Ok(now.state),
                    trouble => Err(Refused::Failed(trouble.to_owned())),
                });
                if command == dbus::Command::Quit {
                    return 0;
                }
            }
            Event::Line(line) => {
                match line.split_once(' ') {
                    Some(("trouble", trouble)) => now.trouble = trouble.into(),
                    Some(("hear", words)) => {
                        typed.push_str(words);
                        now.state = State::Speaking;
                        now.typist = "x11".into();
                        now.engine = engine();
                    }
                    _ => return 1,
                }
                bus.publish(now.clone());
                // Nothing changed: nothing may be announced.
                bus.publish(now.clone());
                eprintln!("typed {} characters", typed.len());
            }
            Event::News(News::Away(away)) => eprintln!("{away:?}"),
            Event::News(News::Lost(why)) => {
                eprintln!("lost: {why}");
                return why.exit_code().into();
            }
        }
    }
    1
}

fn engine() -> Engine {
    Engine {
        state: EngineState::Ready,
        model: "a model".into(),
        family: "rnnt".into(),
        provider: "cpu".into(),
        precision: "int8".into(),
        weights: [("fp16".into(), 97.5), ("fp32".into(), 2.5)].into(),
        on_cpu: [("Gather".into(), 12)].into(),
        runtime: "1.24.4".into(),
        context_seconds: 5.6,
        chunk_ms: 80,
        latency_ms: 160,
        hotwords: 3,
        folder: "/models/a".into(),
    }
}

/// The process that plays the daemon; ended with the test.
struct Daemon {
    process: Child,
    says: Receiver<String>,
}

impl Daemon {
    fn start(prepare: impl FnOnce(&mut Command) -> &mut Command) -> Daemon {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "daemon", "--nocapture"]).env(ROLE, "daemon").env_remove("NOTIFY_SOCKET");
        prepare(&mut command);
        let mut process =
            command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let (say, says) = mpsc::channel();
        thread::spawn(move || lines.try_for_each(|line| say.send(line?).map_err(io::Error::other)));
        Daemon { process, says }
    }

    fn on(bus: &Bus) -> Daemon {
        let daemon = Daemon::start(|command| bus.give_to(command));
        assert_eq!(daemon.says(), "serving");
        daemon
    }

    fn says(&self) -> String {
        self.says.recv_timeout(programs::PATIENCE).expect("the daemon says something")
    }

    fn script(&mut self, line: &str) {
        writeln!(self.process.stdin.as_mut().unwrap(), "{line}").unwrap();
        assert!(self.says().starts_with("typed"), "the daemon took {line:?}");
    }

    fn ends_with(&mut self) -> i32 {
        self.process.wait().unwrap().code().unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn connect(bus: &Bus) -> Connection {
    zbus::connection::Builder::address(bus.address()).build().await.unwrap()
}

async fn client(connection: &Connection) -> Dictation1Proxy<'static> {
    Dictation1Proxy::builder(connection).cache_properties(CacheProperties::No).build().await.unwrap()
}

async fn properties(connection: &Connection) -> OwnedDict {
    let call = connection.call_method(
        Some(NAME),
        PATH,
        Some("org.freedesktop.DBus.Properties"),
        "GetAll",
        &INTERFACE,
    );
    call.await.unwrap().body().deserialize().unwrap()
}

async fn next(stream: &mut MessageStream) -> Message {
    let next = std::future::poll_fn(|cx| {
        zbus::export::futures_core::Stream::poll_next(std::pin::Pin::new(&mut *stream), cx)
    });
    tokio::time::timeout(Duration::from_secs(10), next).await.expect("a message").unwrap().unwrap()
}

fn wait<T>(what: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(what)
}

/// The lines from the one that opens our interface to the one that closes it,
/// without their indentation.
fn interface(xml: &str) -> Vec<&str> {
    let ours = format!("<interface name=\"{INTERFACE}\">");
    let mut lines: Vec<_> = xml.lines().map(str::trim).skip_while(|line| *line != ours).collect();
    let end = lines.iter().position(|line| *line == "</interface>").expect("our interface ends");
    lines.truncate(end + 1);
    lines
}

#[test]
fn what_is_served_is_the_contract() {
    let Some(bus) = Bus::start() else { return };
    let _daemon = Daemon::on(&bus);
    let served: String = wait(async {
        let connection = connect(&bus).await;
        let introspectable = Some("org.freedesktop.DBus.Introspectable");
        let answer =
            connection.call_method(Some(NAME), PATH, introspectable, "Introspect", &()).await.unwrap();
        answer.body().deserialize().unwrap()
    });
    assert_eq!(
        interface(INTROSPECTION),
        interface(&served),
        "daemon/control/org.swictation.Dictation1.xml is not what the daemon serves:\n{served}"
    );
}

#[test]
fn every_verb_answers_the_state_and_may_be_repeated() {
    let Some(bus) = Bus::start() else { return };
    let mut daemon = Daemon::on(&bus);
    wait(async {
        let connection = connect(&bus).await;
        let client = client(&connection).await;
        for _ in 0..2 {
            assert_eq!(client.start().await.unwrap(), "listening");
            assert_eq!(client.state().await.unwrap(), "listening");
        }
        for _ in 0..2 {
            assert_eq!(client.stop().await.unwrap(), "idle");
            assert_eq!(client.state().await.unwrap(), "idle");
        }
        assert_eq!(client.toggle().await.unwrap(), "listening");
        assert_eq!(client.toggle().await.unwrap(), "idle");
        client.start().await.unwrap();
        for _ in 0..2 {
            assert_eq!(client.cancel().await.unwrap(), "idle");
        }
        assert_eq!(client.quit().await.unwrap(), "idle", "the last answer is sent before the daemon ends");
    });
    assert_eq!(daemon.ends_with(), 0);
}

#[test]
fn a_refused_command_is_an_error_that_says_why() {
    let Some(bus) = Bus::start() else { return };
    let mut daemon = Daemon::on(&bus);
    daemon.script("trouble no microphone");
    wait(async {
        let connection = connect(&bus).await;
        let client = client(&connection).await;
        let refused = client.start().await.unwrap_err();
        assert!(refused.to_string().contains("no microphone"), "{refused}");
        assert_eq!(client.trouble().await.unwrap(), "no microphone");
    });
}

#[test]
fn one_signal_tells_all_that_changed_and_nothing_else() {
    let Some(bus) = Bus::start() else { return };
    let mut daemon = Daemon::on(&bus);
    wait(async {
        let connection = connect(&bus).await;
        let rule = MatchRule::try_from("type='signal',interface='org.freedesktop.DBus.Properties'").unwrap();
        let mut signals = MessageStream::for_match_rule(rule, &connection, None).await.unwrap();
        let mut status = Status::from_properties(&properties(&connection).await).unwrap();
        assert_eq!(status.state, State::Idle);
        assert_eq!(status.metrics["typed_ms_p50"], 120);
        assert_eq!(status.version, env!("CARGO_PKG_VERSION"));

        daemon.script(&format!("hear {SPOKEN}"));
        daemon.script("trouble the worker was started again");
        for names in [vec!["Engine", "State", "Typist"], vec!["Trouble"]] {
            let signal = next(&mut signals).await;
            let (interface, changed, invalidated): (String, OwnedDict, Vec<String>) =
                signal.body().deserialize().unwrap();
            assert_eq!((interface.as_str(), invalidated.len()), (INTERFACE, 0));
            let mut changed_names: Vec<_> = changed.keys().map(String::as_str).collect();
            changed_names.sort();
            assert_eq!(changed_names, names);
            status.apply(&changed).unwrap();
        }
        assert_eq!(status.state, State::Speaking);
        assert_eq!(status.engine, engine());
        assert_eq!(status.trouble, "the worker was started again");
        assert_eq!(status, Status::from_properties(&properties(&connection).await).unwrap());
    });
}

#[test]
fn what_was_said_is_never_on_the_bus() {
    let Some(bus) = Bus::start() else { return };
    if !swictation_tests::need("dbus-monitor", swictation_tests::program("dbus-monitor")) {
        return;
    }
    let mut monitor = bus
        .give_to(&mut Command::new("dbus-monitor"))
        .args(["--session", "--monitor"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut recorded = BufReader::new(monitor.stdout.take().unwrap()).lines().map(Result::unwrap);
    // It hears its own name go away once it has become a monitor.
    assert!(recorded.by_ref().any(|line| line.contains("NameLost")));
    let mut daemon = Daemon::on(&bus);
    daemon.script(&format!("hear {SPOKEN}"));
    wait(async {
        let connection = connect(&bus).await;
        properties(&connection).await;
        client(&connection).await.quit().await.unwrap();
    });
    assert_eq!(daemon.ends_with(), 0);
    // The daemon gives its name back as the last thing it does.
    let traffic: Vec<_> = recorded.take_while(|line| !line.contains("member=ReleaseName")).collect();
    let _ = monitor.kill();
    let _ = monitor.wait();
    let traffic = traffic.join("\n");
    assert!(traffic.contains("\"speaking\"") && traffic.contains("typed_ms_p50"), "the monitor saw it all");
    assert!(!traffic.contains("secret"), "what was said is on the bus:\n{traffic}");
}

#[test]
fn garbage_is_refused_and_does_no_harm() {
    let Some(bus) = Bus::start() else { return };
    let _daemon = Daemon::on(&bus);
    wait(async {
        let connection = connect(&bus).await;
        let ours = Some(INTERFACE);
        let properties = Some("org.freedesktop.DBus.Properties");
        let call = |interface, method: &'static str| (interface, method);
        for (interface, method) in
            [call(ours, "Type"), call(ours, "start"), call(Some("org.example.No"), "Start")]
        {
            let refused = connection.call_method(Some(NAME), PATH, interface, method, &()).await;
            assert!(refused.is_err(), "{interface:?}.{method}");
        }
        assert!(
            connection.call_method(Some(NAME), "/org", ours, "Start", &()).await.is_err(),
            "another object"
        );
        let set = (INTERFACE, "State", Variant::from("speaking"));
        assert!(
            connection.call_method(Some(NAME), PATH, properties, "Set", &set).await.is_err(),
            "read only"
        );
        let set = (INTERFACE, "State", Variant::from(7u32));
        assert!(
            connection.call_method(Some(NAME), PATH, properties, "Set", &set).await.is_err(),
            "of another type"
        );
        let get = (INTERFACE, "Text");
        assert!(
            connection.call_method(Some(NAME), PATH, properties, "Get", &get).await.is_err(),
            "no such property"
        );
        let get = (7u32, 8u32);
        assert!(
            connection.call_method(Some(NAME), PATH, properties, "Get", &get).await.is_err(),
            "wrong arguments"
        );
        let odd: HashMap<&str, Vec<u64>> = HashMap::from([("x", vec![1; 1000])]);
        for refused in [
            connection.call_method(Some(NAME), PATH, ours, "Start", &"hello").await,
            connection.call_method(Some(NAME), PATH, ours, "Start", &odd).await,
        ] {
            let refused = refused.expect_err("a verb takes no arguments").to_string();
            assert!(refused.contains("InvalidArgs"), "{refused}");
        }
        assert_eq!(client(&connection).await.state().await.unwrap(), "idle");
        assert_eq!(client(&connection).await.start().await.unwrap(), "listening");
    });
}

#[test]
fn every_refusal_has_the_name_of_its_reason_and_changes_nothing() {
    let Some(bus) = Bus::start() else { return };
    let _daemon = Daemon::on(&bus);
    wait(async {
        let connection = connect(&bus).await;
        let refusal = async |path: &str, interface: &str, method: &str, body: &str| {
            let call = connection.call_method(Some(NAME), path, Some(interface), method, &body);
            match tokio::time::timeout(Duration::from_secs(10), call).await.expect("an answer") {
                Err(zbus::Error::MethodError(name, ..)) => name.to_string(),
                Err(zbus::Error::FDO(refused)) => refused.name().to_string(),
                other => panic!("{interface}.{method} on {path}: {other:?}"),
            }
        };
        let (properties, long) = ("org.freedesktop.DBus.Properties", "x".repeat(4 << 20));
        for (path, interface, method, body, why) in [
            (PATH, INTERFACE, "Nonsense", "", "UnknownMethod"),
            (PATH, "org.example.Nonsense", "Start", "", "UnknownInterface"),
            ("/nowhere", INTERFACE, "Start", "", "UnknownObject"),
            (PATH, INTERFACE, "Start", &long, "InvalidArgs"),
            (PATH, INTERFACE, "Quit", "now", "InvalidArgs"),
            (PATH, INTERFACE, "At", &long, "InvalidArgs"),
            (PATH, properties, "Set", &long, "InvalidArgs"),
            (PATH, properties, "GetAll", &long, "InvalidArgs"),
        ] {
            let name = refusal(path, interface, method, body).await;
            assert_eq!(name, format!("org.freedesktop.DBus.Error.{why}"), "{interface}.{method} on {path}");
        }
        for name in ["State", "Engine", "Trouble", "Typist", "Metrics", "Version"] {
            let set = (INTERFACE, name, Variant::from("x"));
            let refused = connection.call_method(Some(NAME), PATH, Some(properties), "Set", &set).await;
            assert!(format!("{refused:?}").contains("UnknownProperty"), "{name} can be set: {refused:?}");
        }
        assert_eq!(client(&connection).await.state().await.unwrap(), "idle");
    });
}

#[test]
fn a_model_that_nobody_can_mean_is_refused_by_name_and_does_no_harm() {
    let Some(bus) = Bus::start() else { return };
    let _daemon = Daemon::on(&bus);
    wait(async {
        let connection = connect(&bus).await;
        let client = client(&connection).await;
        for name in ["", "  ", "a\nb", "../a", "a/b", &"x".repeat(1 << 20)] {
            let Err(zbus::Error::MethodError(error, Some(text), _)) = client.use_model(name).await else {
                panic!("{:?} is taken", &name[..name.len().min(20)])
            };
            assert_eq!(error, "org.swictation.Dictation1.Error.Name");
            assert!(text.contains("swictation model list") && text.len() < 500, "{text}");
        }
        for arguments in [Some(Variant::from(7u32)), None] {
            let refused = match arguments {
                Some(number) => {
                    connection.call_method(Some(NAME), PATH, Some(INTERFACE), "UseModel", &number).await
                }
                None => connection.call_method(Some(NAME), PATH, Some(INTERFACE), "UseModel", &()).await,
            };
            assert!(refused.is_err(), "one string is wanted");
        }
        assert_eq!(client.use_model("small").await.unwrap(), "idle");
    });
}

#[test]
fn a_second_daemon_is_refused_and_told_which_is_the_first() {
    let Some(bus) = Bus::start() else { return };
    let first = Daemon::on(&bus);
    let mut second = Daemon::start(|command| bus.give_to(command));
    let message = second.says();
    assert_eq!(second.ends_with(), i32::from(swictation_control::exit::ANOTHER_DAEMON));
    assert_eq!(
        message,
        format!("another swictationd runs (pid {}): end it with `swictation quit`", first.process.id())
    );
    let still = wait(async { client(&connect(&bus).await).await.start().await.unwrap() });
    assert_eq!(still, "listening");
}

#[test]
fn without_a_bus_the_daemon_says_what_to_do() {
    let nowhere = tempfile::tempdir().unwrap();
    let address = format!("unix:path={}", nowhere.path().join("bus").display());
    let mut daemon = Daemon::start(|command| command.env("DBUS_SESSION_BUS_ADDRESS", address));
    let message = daemon.says();
    assert_eq!(daemon.ends_with(), i32::from(swictation_control::exit::NO_BUS));
    assert!(message.starts_with("no session bus: ") && message.contains("dbus-run-session"), "{message}");
}

#[test]
fn a_bus_that_hangs_ends_the_daemon_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bus");
    // Whoever connects is let in by the system and never greeted.
    let _hangs = UnixListener::bind(&path).unwrap();
    let address = format!("unix:path={}", path.display());
    let mut daemon = Daemon::start(|command| command.env("DBUS_SESSION_BUS_ADDRESS", address));
    let message = daemon.says();
    assert!(message.starts_with("no session bus: it does not answer within"), "{message}");
    assert_eq!(daemon.ends_with(), i32::from(swictation_control::exit::NO_BUS));
}

#[test]
fn a_bus_that_stays_away_is_looked_for_and_then_told_as_lost() {
    let Some(mut bus) = Bus::start() else { return };
    let mut daemon = Daemon::on(&bus);
    let begun = Instant::now();
    bus.kill();
    assert!(daemon.says().starts_with("lost: no session bus: "));
    assert!(begun.elapsed() >= PATIENCE, "{:?}", begun.elapsed());
    assert_eq!(daemon.ends_with(), i32::from(swictation_control::exit::NO_BUS));
}

/// Waits until somebody has the daemon's name on the bus.
async fn taken(connection: &Connection) {
    let rule =
        MatchRule::try_from("type='signal',member='NameOwnerChanged',arg0='org.swictation.Dictation1'");
    let mut owners = MessageStream::for_match_rule(rule.unwrap(), connection, None).await.unwrap();
    let name = zbus::names::BusName::try_from(NAME).unwrap();
    while !zbus::fdo::DBusProxy::new(connection).await.unwrap().name_has_owner(name.clone()).await.unwrap() {
        next(&mut owners).await;
    }
}

#[test]
fn a_bus_that_comes_back_finds_the_daemon_as_it_is_now() {
    let Some(mut bus) = Bus::start() else { return };
    let mut daemon = Daemon::on(&bus);
    for round in 0..2 {
        bus.kill();
        // Told to nobody, and true all the same.
        daemon.script(&format!("trouble of round {round}"));
        daemon.script(&format!("hear {SPOKEN}"));
        bus.revive();
        wait(async {
            let connection = connect(&bus).await;
            taken(&connection).await;
            let client = client(&connection).await;
            assert_eq!(client.state().await.unwrap(), "speaking");
            assert_eq!(client.trouble().await.unwrap(), format!("of round {round}"));
            let rule =
                MatchRule::try_from("type='signal',interface='org.freedesktop.DBus.Properties'").unwrap();
            let mut signals = MessageStream::for_match_rule(rule, &connection, None).await.unwrap();
            daemon.script("trouble no more");
            assert_eq!(client.trouble().await.unwrap(), "no more");
            next(&mut signals).await;
        });
    }
}

#[test]
fn a_daemon_whose_name_was_taken_while_the_bus_was_away_says_by_whom() {
    let Some(mut bus) = Bus::start() else { return };
    let mut daemon = Daemon::on(&bus);
    bus.kill();
    bus.revive();
    // Whichever of the two is second is told so.
    let other = Daemon::start(|command| bus.give_to(command));
    let (first, line) = (daemon.process.id(), other.says());
    if line == "serving" {
        assert_eq!(
            daemon.says(),
            format!(
                "lost: another swictationd runs (pid {}): end it with `swictation quit`",
                other.process.id()
            )
        );
        assert_eq!(daemon.ends_with(), i32::from(swictation_control::exit::ANOTHER_DAEMON));
    } else {
        assert!(line.contains(&format!("(pid {first})")), "{line}");
    }
}

#[test]
fn screen_savers_tell_when_the_screen_is_locked() {
    let Some(bus) = Bus::start() else { return };
    let daemon = Daemon::on(&bus);
    wait(async {
        let connection = connect(&bus).await;
        for saver in ["org.freedesktop.ScreenSaver", "org.gnome.ScreenSaver", "org.mate.ScreenSaver"] {
            for (active, told) in [(true, "Lock"), (false, "Unlock")] {
                let none: Option<&str> = None;
                connection.emit_signal(none, "/ScreenSaver", saver, "ActiveChanged", &active).await.unwrap();
                assert_eq!(daemon.says(), told, "{saver}");
            }
        }
        let none: Option<&str> = None;
        for (interface, body) in [("org.example.Tab", true), ("org.gnome.ScreenSaver", true)] {
            connection.emit_signal(none, "/", interface, "ActiveChanged", &body).await.unwrap();
        }
        assert_eq!(daemon.says(), "Lock", "another interface tells nothing");
        connection.emit_signal(none, "/", "org.gnome.ScreenSaver", "ActiveChanged", &"odd").await.unwrap();
        assert_eq!(client(&connection).await.start().await.unwrap(), "listening");
    });
}

#[test]
fn a_verb_that_tells_its_time_is_taken_and_an_unknown_one_is_refused_by_name() {
    let Some(bus) = Bus::start() else { return };
    let _daemon = Daemon::on(&bus);
    wait(async {
        let connection = connect(&bus).await;
        let client = client(&connection).await;
        assert_eq!(client.at("start", 1, 2).await.unwrap(), "listening");
        assert_eq!(client.at_running("stop", u64::MAX, u32::MAX).await.unwrap(), "idle");
        for verb in ["", "quit", "Start", "use_model", &"x".repeat(1 << 20)] {
            let Err(zbus::Error::MethodError(error, Some(text), _)) = client.at(verb, 1, 2).await else {
                panic!("{:?} is taken", &verb[..verb.len().min(20)])
            };
            assert_eq!(error, "org.swictation.Dictation1.Error.Verb");
            assert!(text.contains("toggle") && text.len() < 100, "{text}");
        }
        for arguments in [("start", 1u32, 2u32), ("start", 1, 0)] {
            let refused = connection.call_method(Some(NAME), PATH, Some(INTERFACE), "At", &arguments).await;
            assert!(refused.unwrap_err().to_string().contains("InvalidArgs"), "of other types");
        }
        assert_eq!(client.state().await.unwrap(), "idle");
    });
}

#[test]
fn an_idle_bus_thread_sleeps() {
    let Some(bus) = Bus::start() else { return };
    let daemon = Daemon::on(&bus);
    wait(async { client(&connect(&bus).await).await.state().await.unwrap() });
    let threads = || -> HashMap<String, String> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", daemon.process.id())).unwrap();
        tasks
            .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("status")).ok())
            .map(|status| {
                let field = |name: &str| {
                    status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned()
                };
                (field("Name:"), field("voluntary_ctxt_switches:"))
            })
            .collect()
    };
    // The client's disconnection is told to the daemon as well: wait until it is.
    let mut before = threads();
    loop {
        thread::sleep(Duration::from_millis(300));
        let now = threads();
        if now["dbus"] == before["dbus"] {
            break;
        }
        before = now;
    }
    thread::sleep(Duration::from_millis(700));
    assert_eq!(threads()["dbus"], before["dbus"], "the thread woke up with nothing to do");
}

#[test]
fn systemd_is_told_and_its_watchdog_is_fed_twice_as_often_as_it_looks() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let systemd = UnixDatagram::bind(&path).unwrap();
    systemd.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let run = |watched: bool| {
        let mut daemon = Daemon::start(|command| {
            command.env(ROLE, "notify").env("NOTIFY_SOCKET", &path).env_remove("WATCHDOG_PID");
            if watched { command.env("WATCHDOG_USEC", "300000") } else { command.env_remove("WATCHDOG_USEC") }
        });
        daemon.ends_with()
    };
    assert_eq!(run(true), 150, "milliseconds");
    let told: Vec<String> = (0..5)
        .map(|_| {
            let mut message = [0; 200];
            let length = systemd.recv(&mut message).unwrap();
            String::from_utf8_lossy(&message[..length]).trim_end().to_owned()
        })
        .collect();
    assert_eq!((told[0].as_str(), told[1].as_str()), ("READY=1\nSTATUS=idle", "STATUS=listening"));
    assert!(told[2].starts_with("RELOADING=1\nMONOTONIC_USEC="), "{}", told[2]);
    assert_eq!((told[3].as_str(), told[4].as_str()), ("WATCHDOG=1", "STOPPING=1"));
    assert_eq!(run(false), 0, "nobody watches");
}
