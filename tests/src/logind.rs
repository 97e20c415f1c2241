//! A logind of one's own, on a bus that stands for the system's.
//!
//! It says what the real one says when a lid is closed or a screen locked, and hands
//! out inhibitors whose end it sees, as the real one does. It puts no machine to sleep.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use crate::bus::Bus;
use crate::programs::PATIENCE;
use std::io::{PipeReader, Read};
use std::process::Command;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use zbus::object_server::SignalEmitter;
use zbus::{ObjectPath, OwnedFd, fdo, interface};

const NAME: &str = "org.freedesktop.login1";
const OBJECT: &str = "/org/freedesktop/login1";
const SESSION: &str = "/org/freedesktop/login1/session/_37";

/// A running logind; it leaves the bus when dropped.
pub struct Logind {
    orders: Option<UnboundedSender<Order>>,
    inhibitors: Receiver<Inhibitor>,
    thread: Option<JoinHandle<()>>,
}

/// What somebody holds to be waited for.
pub struct Inhibitor {
    /// What, who, why and how.
    pub asked: [String; 4],
    held: PipeReader,
}

enum Order {
    Sleep(bool),
    Lock,
    Unlock,
    Hint(bool),
}

impl Logind {
    /// Takes its name on the bus; it waits for inhibitors as long as `delay`.
    ///
    /// # Panics
    /// When that is not possible.
    pub fn on(bus: &Bus, delay: Duration) -> Logind {
        let (orders, inbox) = unbounded_channel();
        let (given, inhibitors) = channel();
        let (up, is_up) = channel();
        let address = bus.address().to_owned();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let serve = move || runtime.block_on(serve(&address, Machine { delay, given }, inbox, &up));
        let thread = std::thread::spawn(serve);
        is_up.recv_timeout(PATIENCE).expect("it serves");
        Logind { orders: Some(orders), inhibitors, thread: Some(thread) }
    }

    /// Has a program take this bus for the system's.
    pub fn give_to<'c>(bus: &Bus, command: &'c mut Command) -> &'c mut Command {
        command.env("DBUS_SYSTEM_BUS_ADDRESS", bus.address())
    }

    fn order(&self, order: Order) {
        assert!(self.orders.as_ref().is_some_and(|orders| orders.send(order).is_ok()), "it serves");
    }

    /// Waits for the next inhibitor.
    ///
    /// # Panics
    /// When nobody takes one.
    pub fn inhibited(&self) -> Inhibitor {
        self.inhibitors.recv_timeout(PATIENCE).expect("an inhibitor is taken")
    }

    /// The machine is about to sleep.
    pub fn sleep(&self) {
        self.order(Order::Sleep(true));
    }

    /// It is awake again.
    pub fn wake(&self) {
        self.order(Order::Sleep(false));
    }

    /// Somebody asks for a lock.
    pub fn lock(&self) {
        self.order(Order::Lock);
    }

    /// Somebody asks for its end.
    pub fn unlock(&self) {
        self.order(Order::Unlock);
    }

    /// The lock says that the screen is locked, or is not any more.
    pub fn hint(&self, locked: bool) {
        self.order(Order::Hint(locked));
    }
}

impl Drop for Logind {
    fn drop(&mut self) {
        self.orders = None;
        drop(self.thread.take().map(JoinHandle::join));
    }
}

impl Inhibitor {
    /// Waits until it is let go.
    ///
    /// # Panics
    /// When it is not.
    pub fn released(self) {
        let (send, released) = channel();
        let mut held = self.held;
        std::thread::spawn(move || send.send(held.read(&mut [0])));
        match released.recv_timeout(PATIENCE) {
            Ok(end) => assert_eq!(end.unwrap(), 0, "nothing is ever written there"),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                panic!("the inhibitor is held after {PATIENCE:?}")
            }
        }
    }
}

async fn serve(address: &str, machine: Machine, mut orders: UnboundedReceiver<Order>, up: &Sender<()>) {
    let connection = zbus::connection::Builder::address(address)
        .serve_at(OBJECT, machine)
        .serve_at(SESSION, Seat { locked: false })
        .name(NAME)
        .build()
        .await
        .unwrap();
    let server = connection.object_server();
    let machine = server.interface::<_, Machine>(OBJECT).await.unwrap();
    let seat = server.interface::<_, Seat>(SESSION).await.unwrap();
    up.send(()).unwrap();
    while let Some(order) = orders.recv().await {
        let said = match order {
            Order::Sleep(sleep) => Machine::prepare_for_sleep(machine.signal_emitter(), sleep).await,
            Order::Lock => Seat::lock(seat.signal_emitter()).await,
            Order::Unlock => Seat::unlock(seat.signal_emitter()).await,
            Order::Hint(locked) => {
                seat.get_mut().await.locked = locked;
                seat.get().await.locked_hint_changed(seat.signal_emitter()).await
            }
        };
        said.unwrap();
    }
    // What was said is on the bus before its name is given back.
    connection.release_name(NAME).await.unwrap();
}

struct Machine {
    delay: Duration,
    given: Sender<Inhibitor>,
}

#[interface(name = "org.freedesktop.login1.Manager")]
impl Machine {
    fn inhibit(&self, what: String, who: String, why: String, how: String) -> fdo::Result<OwnedFd> {
        let (held, handle) = std::io::pipe().map_err(|e| fdo::Error::IOError(e.to_string()))?;
        drop(self.given.send(Inhibitor { asked: [what, who, why, how], held }));
        Ok(OwnedFd::from(std::os::fd::OwnedFd::from(handle)))
    }

    fn get_session(&self, name: &str) -> fdo::Result<ObjectPath<'static>> {
        match name {
            "auto" => Ok(ObjectPath::from_static_str_unchecked(SESSION)),
            _ => Err(fdo::Error::Failed(format!("No session '{name}' known"))),
        }
    }

    #[zbus(property, name = "InhibitDelayMaxUSec")]
    fn inhibit_delay(&self) -> u64 {
        self.delay.as_micros() as u64
    }

    #[zbus(signal)]
    async fn prepare_for_sleep(emitter: &SignalEmitter<'_>, start: bool) -> zbus::Result<()>;
}

struct Seat {
    locked: bool,
}

#[interface(name = "org.freedesktop.login1.Session")]
impl Seat {
    #[zbus(property)]
    fn locked_hint(&self) -> bool {
        self.locked
    }

    #[zbus(signal)]
    async fn lock(emitter: &SignalEmitter<'_>) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn unlock(emitter: &SignalEmitter<'_>) -> zbus::Result<()>;
}
