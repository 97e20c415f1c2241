//! One listening, from its start to its last sample.
//!
//! A [`Capture`] is a thread that lives exactly as long as somebody listens: an
//! idle daemon has none and wakes up for nothing. Orders reach it through a
//! channel and events leave through a callback that runs on that thread, so the
//! callback must not block for longer than the ring holds.

use super::{Spec, pump, wav};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// What a capture has to say, in this order: `Started`, blocks, `Ended`.
#[derive(Clone, Debug, PartialEq)]
pub enum AudioEvent {
    /// The device is open; again after every `Lost` that passed.
    Started {
        /// Samples per second that the device delivers.
        rate: u32,
        /// Channels that the device delivers.
        channels: u16,
        /// The device's name, as people know it.
        device: String,
    },
    /// Audio, right after the block before it.
    Block {
        /// 16 kHz mono samples, nominally -1 to 1; never empty.
        pcm: Vec<f32>,
        /// When the last of them came from the sound server.
        captured: Instant,
        /// 16 kHz samples that were lost right before this block.
        dropped: u64,
    },
    /// Every sample has been exactly zero for 3 s: the microphone is probably
    /// muted. False when that is over.
    Silent(bool),
    /// There is no audio, and why. A microphone is opened again; a file is not.
    Lost(String),
    /// Everything that was captured has been delivered. Nothing follows.
    Ended,
}

/// What a capture's thread is told.
pub(super) enum Order {
    /// Deliver what there is and end.
    Stop,
    /// Everything before this many samples has been used.
    Heard(u64),
    /// The attempt of this number to open a microphone came to this.
    Opened(u32, Result<pump::Line, super::AudioError>),
}

/// A running capture; it stops when dropped.
#[derive(Debug)]
pub struct Capture {
    orders: Sender<Order>,
}

impl Capture {
    /// Starts listening to what [`open`](super::open) understands. Every
    /// trouble, also with `spec` itself, is told as [`AudioEvent::Lost`].
    pub fn start(spec: &str, mut on_event: impl FnMut(AudioEvent) + Send + 'static) -> Self {
        let spec = super::open(spec);
        let (orders, from) = channel();
        let inbox = Inbox { from, orders: orders.clone() };
        let run = move || {
            match spec {
                Ok(Spec::Microphone(name)) => pump::run(name, &inbox, &mut on_event),
                Ok(Spec::File { path, speed }) => wav::play(&path, speed, &inbox, &mut on_event),
                Err(e) => on_event(AudioEvent::Lost(e.to_string())),
            }
            on_event(AudioEvent::Ended);
        };
        if let Err(e) = std::thread::Builder::new().name("audio-pump".into()).spawn(run) {
            tracing::error!("nothing can be captured: the system gives no thread: {e}");
        }
        Self { orders }
    }

    /// Asks for the end; returns at once. `Ended` follows what was captured.
    pub fn stop(&self) {
        drop(self.orders.send(Order::Stop));
    }

    /// Says that the first `samples` 16 kHz samples of this capture, `dropped`
    /// ones not counted, are done with. A file is read at most 4 s ahead of that.
    pub fn heard(&self, samples: u64) {
        drop(self.orders.send(Order::Heard(samples)));
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The thread's end of the channel.
pub(super) struct Inbox {
    from: Receiver<Order>,
    orders: Sender<Order>,
}

impl Inbox {
    /// One that nobody puts an order into.
    #[cfg(test)]
    pub(super) fn empty() -> Self {
        let (orders, from) = channel();
        Self { from, orders }
    }

    /// The next order, or none when there was none until `deadline`.
    pub(super) fn until(&self, deadline: Instant) -> Option<Order> {
        match self.from.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(order) => Some(order),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Order::Stop),
        }
    }

    /// The next order, however long it takes.
    pub(super) fn next(&self) -> Order {
        self.from.recv().unwrap_or(Order::Stop)
    }

    /// True when told to stop before `span` is over; other orders are void.
    pub(super) fn stopped_within(&self, span: Duration) -> bool {
        let deadline = Instant::now() + span;
        while let Some(order) = self.until(deadline) {
            if matches!(order, Order::Stop) {
                return true;
            }
        }
        false
    }

    /// A way for a helping thread to put an order in here.
    pub(super) fn sender(&self) -> Sender<Order> {
        self.orders.clone()
    }
}
