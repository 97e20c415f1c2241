//! A keyboard that the compositor lends (the EI protocol), and what is known of it.
//!
//! The compositor tells the map of the keyboard; a new map comes as a new keyboard. It may
//! tell the modifiers and the group, too, which mutter 48 and KWin 6.3 do not: then they
//! are what [`Keyboard::suppose`] was told. Whatever was pressed has been taken in by the compositor when
//! it answers a sync, which it does in order: if the keyboard is still the same then, no
//! press was lost.

use crate::typist::layout::{self, Active, Layout, Stroke};
use reis::PendingRequestResult;
use reis::ei;
use reis::event::{Device, DeviceCapability, EiEvent, EiEventConverter};
use reis::handshake::{EiHandshaker, HandshakeResp};
use rustix::io::Errno;
use std::cell::Cell;
use std::fs::File;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::io::{Interest, Ready};
use tokio::time::{Instant, timeout_at};

/// How long after a keyboard came programs may not have noticed it: where it is the only
/// one, the first keys were lost in four of nine runs without a pause, in none with 50 ms.
const SETTLE: Duration = Duration::from_millis(150);

/// How long the compositor may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// What a compositor lends.
pub(super) struct Keyboard {
    socket: AsyncFd<ei::Context>,
    events: EiEventConverter,
    /// The keyboard, from when it was announced.
    device: Option<Device>,
    /// When it could be used; none while it cannot.
    resumed: Option<Instant>,
    map: String,
    active: Active,
    /// The compositor tells what is active.
    tells: bool,
    /// Modifiers that somebody holds, or that wait for the next key.
    held: u32,
    layout: Layout,
    /// The keyboard was told that we press its keys.
    emulating: bool,
    sequence: u32,
}

impl Keyboard {
    /// Speaks to a compositor for the first time.
    ///
    /// # Errors
    /// Why it cannot be spoken with, for a person.
    pub(super) async fn connect(socket: UnixStream) -> Result<Self, String> {
        let context = ei::Context::new(socket).map_err(broken)?;
        // SAFETY: the context has the socket for as long as it lives, always the same.
        let socket = unsafe { AsyncFd::register(context) }.map_err(broken)?;
        let greeted = timeout_at(Instant::now() + ANSWER, greet(&socket)).await;
        let greeted = greeted.map_err(|_| SILENT)??;
        let events = EiEventConverter::new(socket.get_ref(), greeted);
        Ok(Self {
            socket,
            events,
            device: None,
            resumed: None,
            map: String::new(),
            active: Active::default(),
            tells: false,
            held: 0,
            layout: Layout::default(),
            emulating: false,
            sequence: 0,
        })
    }

    /// What the keys type now.
    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// What is active as far as others can tell, which counts until the compositor says it.
    ///
    /// # Errors
    /// That the map cannot be read.
    pub(super) fn suppose(&mut self, active: Active) -> Result<(), String> {
        if self.tells { Ok(()) } else { self.activate(active) }
    }

    fn activate(&mut self, active: Active) -> Result<(), String> {
        if std::mem::replace(&mut self.active, active) == active || self.map.is_empty() {
            return Ok(());
        }
        self.read_layout()
    }

    /// Whether keys can be pressed: the keyboard has been there for a while.
    pub(super) fn is_ready(&self) -> bool {
        self.resumed.is_some_and(|resumed| resumed.elapsed() >= SETTLE)
    }

    /// When [`Keyboard::is_ready`] becomes true by itself.
    pub(super) fn settles(&self) -> Option<Instant> {
        self.resumed.map(|resumed| resumed + SETTLE)
    }

    /// Whether a modifier is held by somebody else, or a press of ours is still on its way.
    pub(super) fn is_held(&self) -> bool {
        self.held != 0
    }

    /// Waits for the compositor to tell something, and takes it in. Nothing is lost when
    /// this is not waited for to its end.
    ///
    /// # Errors
    /// Why there will be nothing more.
    pub(super) async fn listen(&mut self) -> Result<(), String> {
        let mut guard = self.socket.readable().await.map_err(broken)?;
        // Together with the last events the end may have come, of which there is no other sign.
        while self.socket.get_ref().read().map_err(broken)? > 0 {}
        guard.clear_ready();
        self.take_in().await
    }

    /// Waits until something is so, at most until `deadline`; whether it is.
    ///
    /// # Errors
    /// As for [`Keyboard::listen`].
    pub(super) async fn until(
        &mut self,
        deadline: Instant,
        so: impl Fn(&Self) -> bool,
    ) -> Result<bool, String> {
        while self.socket.get_ref().read().map_err(broken)? > 0 {}
        self.take_in().await?;
        while !so(self) {
            let wake = self.settles().filter(|settles| *settles > Instant::now() && *settles < deadline);
            match timeout_at(wake.unwrap_or(deadline), self.listen()).await {
                Ok(told) => told?,
                Err(_) if wake.is_some() => {}
                Err(_) => return Ok(so(self)),
            }
        }
        Ok(true)
    }

    /// Presses keys one after the other. False when none was taken, because the keyboard
    /// has been replaced meanwhile.
    ///
    /// # Errors
    /// Why nobody knows how many were pressed.
    pub(super) async fn press(&mut self, strokes: &[Stroke]) -> Result<bool, String> {
        let Some(device) = self.device.clone().filter(|_| self.resumed.is_some()) else { return Ok(false) };
        let Some(keyboard) = device.interface::<ei::Keyboard>() else { return Ok(false) };
        let serial = self.events.connection().serial();
        if !std::mem::replace(&mut self.emulating, true) {
            self.sequence = self.sequence.wrapping_add(1);
            device.device().start_emulating(serial, self.sequence);
        }
        let put = |key, state| {
            keyboard.key(key, state);
            device.device().frame(serial, now());
        };
        for stroke in strokes {
            stroke.hold.iter().for_each(|key| put(*key, ei::keyboard::KeyState::Press));
            put(stroke.key, ei::keyboard::KeyState::Press);
            put(stroke.key, ei::keyboard::KeyState::Released);
            stroke.hold.iter().rev().for_each(|key| put(*key, ei::keyboard::KeyState::Released));
        }
        self.sync().await?;
        Ok(self.device.as_ref() == Some(&device) && self.resumed.is_some())
    }

    /// No more keys are pressed for now.
    pub(super) async fn rest(&mut self) -> Result<(), String> {
        if std::mem::take(&mut self.emulating)
            && let Some(device) = &self.device
        {
            device.device().stop_emulating(self.events.connection().serial());
            self.flush().await?;
        }
        Ok(())
    }

    /// Waits until the compositor has taken in all that was sent.
    async fn sync(&mut self) -> Result<(), String> {
        let done = Rc::new(Cell::new(false));
        let callback = self.events.connection().connection().sync(1);
        let tell = done.clone();
        self.events.add_callback_handler(callback, move |_| tell.set(true));
        self.flush().await?;
        let answered = self.until(Instant::now() + ANSWER, |_| done.get()).await?;
        if answered { Ok(()) } else { Err(SILENT.into()) }
    }

    /// Sends what is to be sent, at the pace of the compositor.
    async fn flush(&mut self) -> Result<(), String> {
        loop {
            match self.socket.get_ref().flush() {
                Ok(()) => return Ok(()),
                Err(Errno::AGAIN) => {}
                Err(e) => return Err(broken(e)),
            }
            let ready = self.socket.ready(Interest::READABLE | Interest::WRITABLE);
            let ready = timeout_at(Instant::now() + ANSWER, ready).await;
            let mut guard = ready.map_err(|_| SILENT)?.map_err(broken)?;
            guard.clear_ready_matching(Ready::WRITABLE);
            if guard.ready().is_readable() {
                while self.socket.get_ref().read().map_err(broken)? > 0 {}
                guard.clear_ready_matching(Ready::READABLE);
                drop(guard);
                self.digest()?;
            }
        }
    }

    /// Takes in what was read, and answers it.
    async fn take_in(&mut self) -> Result<(), String> {
        if self.digest()? { self.flush().await } else { Ok(()) }
    }

    /// Takes in what was read; whether it made something to send.
    fn digest(&mut self) -> Result<bool, String> {
        let mut answers = false;
        while let Some(event) = self.socket.get_ref().pending_event() {
            self.events.handle_event(understood(event)?).map_err(broken)?;
            while let Some(event) = self.events.next_event() {
                answers |= self.hear(event)?;
            }
        }
        Ok(answers)
    }

    /// Takes in one event; whether it made something to send.
    fn hear(&mut self, event: EiEvent) -> Result<bool, String> {
        let ours = |device: &Device| self.device.as_ref() == Some(device);
        match event {
            EiEvent::SeatAdded(added) => {
                added.seat.bind_capabilities(DeviceCapability::Keyboard.into());
                return Ok(true);
            }
            EiEvent::DeviceAdded(added) if added.device.has_capability(DeviceCapability::Keyboard) => {
                if let Some(map) = map_of(&added.device)? {
                    (self.device, self.resumed, self.emulating) = (Some(added.device), None, false);
                    self.map = map;
                    self.read_layout()?;
                }
            }
            EiEvent::DeviceResumed(resumed) if ours(&resumed.device) => {
                (self.resumed, self.emulating) = (Some(Instant::now()), false);
            }
            EiEvent::DevicePaused(paused) if ours(&paused.device) => self.resumed = None,
            EiEvent::DeviceRemoved(removed) if ours(&removed.device) => {
                (self.device, self.resumed) = (None, None);
            }
            EiEvent::KeyboardModifiers(told) if ours(&told.device) => {
                self.held = told.depressed | told.latched;
                self.tells = true;
                self.activate(Active { locked: told.locked, group: told.group })?;
            }
            EiEvent::Disconnected(end) => {
                let why = end.explanation.unwrap_or_else(|| format!("{:?}", end.reason));
                return Err(format!("the desktop took the keyboard away: {why}"));
            }
            _ => {}
        }
        Ok(false)
    }

    fn read_layout(&mut self) -> Result<(), String> {
        self.layout =
            Layout::read(&self.map, self.active).ok_or("the compositor's keyboard map cannot be read")?;
        Ok(())
    }
}

/// Agrees with the compositor on who is who.
async fn greet(socket: &AsyncFd<ei::Context>) -> Result<HandshakeResp, String> {
    let mut handshake = EiHandshaker::new("swictation", ei::handshake::ContextType::Sender);
    loop {
        let mut guard = socket.readable().await.map_err(broken)?;
        while socket.get_ref().read().map_err(broken)? > 0 {}
        guard.clear_ready();
        while let Some(event) = socket.get_ref().pending_event() {
            if let Some(greeted) = handshake.handle_event(understood(event)?).map_err(broken)? {
                return Ok(greeted);
            }
        }
    }
}

fn understood(event: PendingRequestResult<ei::Event>) -> Result<ei::Event, String> {
    match event {
        PendingRequestResult::Request(event) => Ok(event),
        PendingRequestResult::ParseError(e) => Err(broken(e)),
        PendingRequestResult::InvalidObject(object) => Err(broken(format!("there is no object {object}"))),
    }
}

/// The map of a keyboard as text; none where it has none.
fn map_of(device: &Device) -> Result<Option<String>, String> {
    let Some(map) = device.keymap() else { return Ok(None) };
    if map.type_ != ei::keyboard::KeymapType::Xkb {
        return Ok(None);
    }
    let file = File::from(map.fd.try_clone().map_err(broken)?);
    layout::map_in(&file, map.size).map_err(broken)
}

/// The time of an event, in microseconds.
fn now() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000 + now.tv_nsec as u64 / 1000
}

const SILENT: &str = "the compositor does not answer";

fn broken(error: impl std::fmt::Display) -> String {
    format!("the connection to the compositor broke: {error}")
}
