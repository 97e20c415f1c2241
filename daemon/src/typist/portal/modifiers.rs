//! What a person holds down on Plasma, where no other protocol tells: KWin tells it over
//! `org_kde_kwin_keystate` to programs whose desktop file asks for that
//! (`packaging/applications`).

use crate::typist::compositor::{Compositor, later_globals_do_not_matter};
use std::time::Duration;
use wayland_client::globals::registry_queue_init;
use wayland_client::protocol::wl_callback::{self, WlCallback};
use wayland_client::protocol::wl_display::WlDisplay;
use wayland_client::{Connection, Dispatch, QueueHandle};
use wayland_protocols_plasma::keystate::client::org_kde_kwin_keystate::{self, OrgKdeKwinKeystate};

/// The number of Caps Lock in the protocol; those from the first modifier on can be held.
const CAPS_LOCK: u32 = 0;
const FIRST_MODIFIER: u32 = 3;

/// What can be said of a key.
const LOCKED: u32 = 2;
const PRESSED: u32 = 3;

/// The version of the protocol that tells what is held.
const WITH_PRESSED: u32 = 5;

/// How long the compositor may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// The modifiers of one compositor, followed until this is dropped.
pub(super) struct Modifiers {
    display: WlDisplay,
    compositor: Compositor<State>,
    state: State,
}

#[derive(Default)]
struct State {
    /// A bit for each modifier by its number.
    held: u32,
    caps_lock: bool,
    /// The compositor has told all that there was when it was asked.
    told: bool,
}

impl Modifiers {
    /// Follows them; none where the compositor does not tell, or not us.
    pub(super) fn follow(connection: Connection) -> Option<Self> {
        let (globals, mut queue) = registry_queue_init::<State>(&connection).ok()?;
        let range = WITH_PRESSED..=WITH_PRESSED;
        let keys: OrgKdeKwinKeystate = globals.bind(&queue.handle(), range, ()).ok()?;
        keys.fetchStates();
        let mut state = State::default();
        queue.roundtrip(&mut state).ok()?;
        let display = connection.display();
        Some(Self { display, compositor: Compositor::new(connection, queue).ok()?, state })
    }

    /// Takes in all that has happened by now, also what is still on its way.
    ///
    /// # Errors
    /// As for [`Compositor::hear`].
    pub(super) async fn look(&mut self) -> Result<(), String> {
        self.state.told = false;
        self.display.sync(&self.compositor.handle(), ());
        let told = async {
            while !self.state.told {
                self.compositor.hear(&mut self.state).await?;
            }
            Ok(())
        };
        tokio::time::timeout(ANSWER, told).await.unwrap_or_else(|_| Err(SILENT.to_owned()))
    }

    /// See [`Compositor::hear`].
    pub(super) async fn hear(&mut self) -> Result<(), String> {
        self.compositor.hear(&mut self.state).await
    }

    /// See [`Compositor::catch_up`].
    pub(super) fn catch_up(&mut self) -> Result<(), String> {
        self.compositor.catch_up(&mut self.state)
    }

    /// Whether any is held, by whomever.
    pub(super) fn is_held(&self) -> bool {
        self.state.held != 0
    }

    /// Whether Caps Lock is on.
    pub(super) fn caps_lock(&self) -> bool {
        self.state.caps_lock
    }
}

impl Dispatch<OrgKdeKwinKeystate, ()> for State {
    fn event(
        state: &mut Self,
        _: &OrgKdeKwinKeystate,
        event: org_kde_kwin_keystate::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        let org_kde_kwin_keystate::Event::StateChanged { key, state: now } = event else { return };
        match key {
            CAPS_LOCK => state.caps_lock = now == LOCKED,
            FIRST_MODIFIER..32 if now == PRESSED => state.held |= 1 << key,
            FIRST_MODIFIER..32 => state.held &= !(1 << key),
            _ => {}
        }
    }
}

impl Dispatch<WlCallback, ()> for State {
    fn event(
        state: &mut Self,
        _: &WlCallback,
        _: wl_callback::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        state.told = true;
    }
}

later_globals_do_not_matter!(State);

const SILENT: &str = "the Wayland compositor does not answer";
