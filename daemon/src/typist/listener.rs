//! A thread of its own for a typist that the desktop talks to at any time: that a key was
//! pressed, that somebody wants the clipboard, that it is over. It sleeps until the desktop
//! or the typist has something.

use super::focus::Focused;
use super::{Keys, Typist, TypistError};
use crate::bus::runtime;
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;
use swictation_core::Edit;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// What listens.
pub(super) trait Listen {
    /// What the desktop has to say.
    type News;

    /// Waits for what the desktop has to say. Nothing is lost when this is not waited for to
    /// its end.
    async fn attend(&mut self) -> Self::News;

    /// Takes in what it said.
    async fn take_in(&mut self, news: Self::News);

    /// See [`Typist::knows_windows`].
    fn knows_windows(&self) -> bool {
        false
    }

    /// See [`Typist::apply`].
    async fn apply(&mut self, edit: &Edit) -> Result<(), TypistError>;

    /// See [`Typist::watch`].
    fn watch(&mut self, keep: bool);

    /// See [`Typist::keys`].
    fn keys(&mut self, keys: &Keys) -> bool;

    /// See [`Typist::is_home`].
    fn is_home(&mut self) -> bool {
        true
    }

    /// See [`Typist::class`].
    fn class(&mut self) -> Option<String> {
        None
    }

    /// See [`Typist::tell`].
    fn tell(&mut self, focused: Focused);

    /// See [`Typist::tend`].
    fn tend(&mut self) {}

    /// See [`Typist::rest`].
    fn rest(&mut self) {}
}

enum Order {
    Apply(Edit, Sender<Result<(), TypistError>>),
    Watch(bool),
    Keys(Keys, Sender<bool>),
    IsHome(Sender<bool>),
    Class(Sender<Option<String>>),
    Tell(Focused),
    Tend,
    Rest,
}

/// The other end of the thread, which ends with it.
pub(super) struct Listener {
    name: &'static str,
    knows_windows: bool,
    orders: Option<UnboundedSender<Order>>,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    /// Opens the typist of that name on a thread, and listens there.
    ///
    /// # Errors
    /// [`TypistError::Unavailable`] with why it cannot be opened.
    pub(super) fn start<L: Listen>(
        name: &'static str,
        open: impl AsyncFnOnce() -> Result<L, String> + Send + 'static,
    ) -> Result<Self, TypistError> {
        let (orders, mut inbox) = unbounded_channel();
        let (opened, opening) = mpsc::channel();
        let live = move || {
            let runtime = match runtime() {
                Ok(runtime) => runtime,
                Err(e) => return drop(opened.send(Err(format!("no runtime to listen with: {e}")))),
            };
            runtime.block_on(async {
                match open().await {
                    Ok(mut listens) => {
                        drop(opened.send(Ok(listens.knows_windows())));
                        while let Some(order) = next(&mut listens, &mut inbox).await {
                            obey(&mut listens, order).await;
                        }
                    }
                    Err(why) => drop(opened.send(Err(why))),
                }
            });
        };
        let thread = std::thread::Builder::new().name(name.into()).spawn(live);
        let thread = thread.map_err(|e| TypistError::Unavailable(format!("no thread to listen on: {e}")))?;
        match opening.recv() {
            Ok(Ok(knows_windows)) => {
                Ok(Self { name, knows_windows, orders: Some(orders), thread: Some(thread) })
            }
            Ok(Err(why)) => Err(TypistError::Unavailable(why)),
            Err(_) => Err(TypistError::Unavailable(ENDED.into())),
        }
    }

    fn order(&self, order: Order) {
        if let Some(orders) = &self.orders {
            // A thread that is gone is found out by the next edit.
            let _ = orders.send(order);
        }
    }
}

impl Typist for Listener {
    fn name(&self) -> &'static str {
        self.name
    }

    fn knows_windows(&self) -> bool {
        self.knows_windows
    }

    fn apply(&mut self, edit: &Edit) -> Result<(), TypistError> {
        let (reply, answer) = mpsc::channel();
        self.order(Order::Apply(edit.clone(), reply));
        answer.recv().unwrap_or_else(|_| Err(TypistError::lost(ENDED)))
    }

    fn watch(&mut self, keep: bool) {
        self.order(Order::Watch(keep));
    }

    fn keys(&mut self, keys: &Keys) -> bool {
        let (reply, answer) = mpsc::channel();
        self.order(Order::Keys(keys.clone(), reply));
        // Of one that is gone the next edit tells.
        answer.recv().unwrap_or(true)
    }

    fn is_home(&mut self) -> bool {
        let (reply, answer) = mpsc::channel();
        self.order(Order::IsHome(reply));
        answer.recv().unwrap_or(true)
    }

    fn class(&mut self) -> Option<String> {
        let (reply, answer) = mpsc::channel();
        self.order(Order::Class(reply));
        answer.recv().ok().flatten()
    }

    fn tell(&mut self, focused: &Focused) {
        self.order(Order::Tell(focused.clone()));
    }

    fn tend(&mut self) {
        self.order(Order::Tend);
    }

    fn rest(&mut self) {
        self.order(Order::Rest);
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.orders.take();
        drop(self.thread.take().map(JoinHandle::join));
    }
}

type Inbox = tokio::sync::mpsc::UnboundedReceiver<Order>;

/// The next order; none when nobody can give one any more.
async fn next<L: Listen>(listens: &mut L, inbox: &mut Inbox) -> Option<Order> {
    loop {
        let news = tokio::select! {
            order = inbox.recv() => return order,
            news = listens.attend() => news,
        };
        listens.take_in(news).await;
    }
}

async fn obey<L: Listen>(listens: &mut L, order: Order) {
    match order {
        Order::Apply(edit, reply) => drop(reply.send(listens.apply(&edit).await)),
        Order::Watch(keep) => listens.watch(keep),
        Order::Keys(keys, reply) => drop(reply.send(listens.keys(&keys))),
        Order::IsHome(reply) => drop(reply.send(listens.is_home())),
        Order::Class(reply) => drop(reply.send(listens.class())),
        Order::Tell(focused) => listens.tell(focused),
        Order::Tend => listens.tend(),
        Order::Rest => listens.rest(),
    }
}

const ENDED: &str = "the thread that listens to the desktop ended";
