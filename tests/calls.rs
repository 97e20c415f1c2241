//! Calls over a real bus: they overtake each other, come in thousands, from clients that
//! hang, and the bus goes away. The state is exact, and nothing is left behind.

use crate::away::{Desk, signal};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use swictation_control::{Dictation1Proxy, INTERFACE, NAME, PATH, exit};
use swictation_tests::bus::Bus;
use swictation_tests::note;
use swictation_tests::programs::{Follower, PATIENCE, built};
use zbus::export::futures_core::Stream;
use zbus::message::Type;
use zbus::proxy::CacheProperties;
use zbus::{Connection, Message, MessageStream};

fn wait<T>(what: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, what).await.expect("an answer in time") })
}

async fn connect(bus: &Bus) -> Connection {
    zbus::connection::Builder::address(bus.address()).build().await.unwrap()
}

fn call(method: &str) -> Message {
    Message::method_call(PATH, method).destination(NAME).interface(INTERFACE).build(&()).unwrap()
}

/// Sends so many calls without waiting for an answer, then takes all answers.
async fn pipelined(connection: &Connection, method: &str, count: usize) {
    let mut messages = MessageStream::from(connection);
    let answers = async {
        let mut answered = 0;
        while answered < count {
            let next = std::future::poll_fn(|cx| std::pin::Pin::new(&mut messages).poll_next(cx));
            let message = next.await.unwrap().unwrap();
            assert_ne!(message.message_type(), Type::Error, "{message:?}");
            answered += usize::from(message.message_type() == Type::MethodReturn);
        }
    };
    let calls = async {
        for _ in 0..count {
            connection.send(&call(method)).await.unwrap();
        }
    };
    tokio::join!(calls, answers);
}

/// Threads, open files and kilobytes of memory of a process.
fn holds(pid: u32) -> (usize, usize, u64) {
    let count = |what: &str| fs::read_dir(format!("/proc/{pid}/{what}")).unwrap().count();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    (count("task"), count("fd"), resident.trim().trim_end_matches(" kB").parse().unwrap())
}

/// Waits until the process holds as many threads and files as before, and no more; how
/// much memory it has then.
fn settled(pid: u32, (threads, files, _): (usize, usize, u64)) -> u64 {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let now = holds(pid);
        if now.0 <= threads && now.1 <= files {
            return now.2;
        }
        assert!(Instant::now() < deadline, "{threads} threads and {files} files became {now:?}");
        // Nobody is told that a thread has ended.
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn dictations(desk: &Desk) -> u64 {
    desk.now()["metrics"]["dictations"].as_u64().unwrap()
}

#[test]
fn a_release_that_overtakes_its_press_leaves_the_microphone_closed() {
    let Some(desk) = Desk::hearing(9.0, "?realtime", |_| {}) else { return };
    // A process that begins, is held up, and is a press only then.
    let command = desk.home.command("swictation");
    let (program, environment) = (built("swictation"), command.get_envs());
    let mut press = Command::new("sh");
    press.env_clear().envs(environment.filter_map(|(key, value)| Some((key, value?))));
    desk.bus.give_to(&mut press).arg("-c").arg("echo begun; kill -STOP $$; exec \"$0\" start").arg(program);
    let mut press = press.stdout(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(press.stdout.take().unwrap()).lines();
    assert_eq!(said.next().unwrap().unwrap(), "begun");
    assert_eq!(desk.verb("stop"), "idle");
    let stopped = || fs::read_to_string(format!("/proc/{}/stat", press.id())).unwrap().contains(") T ");
    let deadline = Instant::now() + PATIENCE;
    while !stopped() {
        assert!(Instant::now() < deadline, "the press is not held up");
        std::thread::yield_now();
    }
    signal("CONT", press.id());
    assert_eq!(said.next().unwrap().unwrap(), "idle", "the key is up");
    press.wait().unwrap();
    assert_eq!(dictations(&desk), 0);
    // The next press is a press.
    assert_ne!(desk.verb("start"), "idle");
}

#[test]
fn a_call_of_the_future_counts_as_one_of_now() {
    let Some(desk) = Desk::hearing(9.0, "?realtime", |_| {}) else { return };
    let [started, stopped] = wait(async {
        let connection = connect(&desk.bus).await;
        let client = Dictation1Proxy::new(&connection).await.unwrap();
        [client.at("start", u64::MAX, u32::MAX).await.unwrap(), client.stop().await.unwrap()]
    });
    assert_ne!(started, "idle");
    assert!(["finishing", "idle"].contains(&stopped.as_str()), "the stop came too late: {stopped}");
}

#[test]
fn ten_thousand_toggles_at_once_are_five_thousand_dictations_and_leave_nothing_behind() {
    let Some(mut desk) = Desk::hearing(9.0, "?realtime", |_| {}) else { return };
    desk.verb("toggle");
    desk.verb("toggle");
    desk.status.state("idle");
    let before = settled_first(&desk);
    let mut memory = Vec::new();
    let mut floods = 0;
    // How much waits at once, and so what a flood takes, is up to the machine: what is used by
    // the next one is seen when that takes no more, and what leaks is taken by each.
    let grows = |memory: &[u64]| !matches!(memory, [.., before, last] if *last < before + 4_000);
    while floods < 3 || (floods < 6 && grows(&memory)) {
        floods += 1;
        let flood = floods;
        let begun = Instant::now();
        let worker = desk.worker();
        if flood == 2 {
            // All of them wait for the worker.
            signal("STOP", worker);
        }
        wait(async { pipelined(&connect(&desk.bus).await, "Toggle", 10_000).await });
        let answered = begun.elapsed();
        signal("CONT", worker);
        desk.status = Follower::on(&desk.bus, &desk.home);
        desk.status.state("idle");
        let idle = begun.elapsed();
        assert_eq!(dictations(&desk), 1 + flood * 5_000);
        memory.push(settled(desk.daemon.pid(), before));
        note(&format!("10,000 toggles: answered in {answered:?}, idle after {idle:?}, {memory:?} kB"));
    }
    assert!(!grows(&memory), "{} kB became {memory:?}", before.2);
    // An odd one more is a dictation, and one only.
    assert_ne!(desk.verb("toggle"), "idle");
    assert_eq!(dictations(&desk), floods * 5_000 + 2);
    assert_eq!(desk.verb("cancel"), "idle");
}

/// What the daemon holds when it has rested.
fn settled_first(desk: &Desk) -> (usize, usize, u64) {
    let mut last = holds(desk.daemon.pid());
    let deadline = Instant::now() + PATIENCE;
    loop {
        // Nobody is told that nothing happens.
        std::thread::sleep(Duration::from_millis(300));
        let now = holds(desk.daemon.pid());
        if (now.0, now.1) == (last.0, last.1) {
            return now;
        }
        assert!(Instant::now() < deadline, "{last:?} became {now:?}");
        last = now;
    }
}

#[test]
fn fifty_clients_at_once_are_all_answered_and_counted() {
    let Some(mut desk) = Desk::hearing(9.0, "?realtime", |_| {}) else { return };
    let before = settled_first(&desk);
    let address = desk.bus.address().to_owned();
    std::thread::scope(|scope| {
        for _ in 0..50 {
            scope.spawn(|| {
                wait(async {
                    let connection =
                        zbus::connection::Builder::address(address.as_str()).build().await.unwrap();
                    let daemon = Dictation1Proxy::builder(&connection).cache_properties(CacheProperties::No);
                    let daemon = daemon.build().await.unwrap();
                    for _ in 0..10 {
                        daemon.toggle().await.unwrap();
                        daemon.start().await.unwrap();
                        daemon.stop().await.unwrap();
                        daemon.toggle().await.unwrap();
                    }
                });
            });
        }
    });
    desk.verb("stop");
    desk.status.state("idle");
    let count = dictations(&desk);
    assert!((10..=1000).contains(&count), "{count} dictations of 2000 calls");
    settled(desk.daemon.pid(), before);
    assert!(desk.daemon.runs());
}

#[test]
fn a_client_that_never_reads_its_answers_holds_nobody_up() {
    let Some(desk) = Desk::hearing(9.0, "?realtime", |_| {}) else { return };
    let path = desk.bus.address().strip_prefix("unix:path=").unwrap().split(',').next().unwrap();
    let mut deaf = UnixStream::connect(path).unwrap();
    let own = std::os::unix::fs::MetadataExt::uid(&fs::metadata("/proc/self").unwrap());
    let hex: String = own.to_string().bytes().map(|digit| format!("{digit:02x}")).collect();
    write!(deaf, "\0AUTH EXTERNAL {hex}\r\n").unwrap();
    let mut answer = String::new();
    BufReader::new(deaf.try_clone().unwrap()).read_line(&mut answer).unwrap();
    assert!(answer.starts_with("OK"), "{answer}");
    deaf.write_all(b"BEGIN\r\n").unwrap();
    let bus = "org.freedesktop.DBus";
    let hello = Message::method_call("/org/freedesktop/DBus", "Hello").destination(bus).interface(bus);
    deaf.write_all(hello.build(&()).unwrap().data()).unwrap();
    for _ in 0..1000 {
        let all = Message::method_call(PATH, "GetAll").destination(NAME);
        let all = all.interface("org.freedesktop.DBus.Properties").build(&INTERFACE).unwrap();
        for message in [call("Toggle"), all, call("Toggle")] {
            deaf.write_all(message.data()).unwrap();
        }
    }
    // The bus hands on in order: what is asked after them is answered after them.
    let deadline = Instant::now() + PATIENCE;
    while dictations(&desk) < 1000 {
        assert!(Instant::now() < deadline, "only {} dictations of 1000", dictations(&desk));
    }
    assert_ne!(desk.verb("start"), "idle");
    assert_eq!(desk.verb("cancel"), "idle");
}

#[test]
fn a_session_bus_that_starts_again_in_mid_dictation_costs_no_word() {
    let Some(mut desk) = Desk::hearing(9.0, "?realtime", |_| {}) else { return };
    assert_ne!(desk.verb("start"), "idle");
    let mut typed = desk.daemon.printed(1);
    desk.bus.kill();
    desk.bus.revive();
    desk.status = Follower::on(&desk.bus, &desk.home);
    let back = desk.status.until("the daemon", |line| line["state"].is_string() && line["alt"] != "stopped");
    assert_ne!(back["state"], "idle", "the dictation goes on");
    desk.status.state("idle");
    let said = desk.text(144_000);
    typed += &desk.daemon.printed(said.len() - typed.len());
    assert_eq!(typed, said);
    assert_ne!(desk.verb("toggle"), "idle");
    assert_eq!(dictations(&desk), 2);
}

#[test]
fn a_daemon_whose_name_is_taken_on_the_new_bus_types_everything_and_ends() {
    let Some(mut desk) = Desk::hearing(3.0, "", |_| {}) else { return };
    let worker = desk.worker();
    signal("STOP", worker);
    desk.verb("start");
    desk.status.state("finishing");
    desk.bus.kill();
    signal("STOP", desk.daemon.pid());
    desk.bus.revive();
    let taken = wait(async {
        let connection = connect(&desk.bus).await;
        connection.request_name(NAME).await.unwrap();
        signal("CONT", desk.daemon.pid());
        // It asks for its name, is told who has it, and asks who that is.
        while !desk.daemon.log().contains("another swictationd runs") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        connection
    });
    assert!(desk.daemon.runs(), "words are still to be typed");
    signal("CONT", worker);
    assert_eq!(desk.daemon.ended(), i32::from(exit::ANOTHER_DAEMON));
    let said = desk.text(48_000);
    assert_eq!(desk.daemon.printed(said.len()), said);
    drop(taken);
}
