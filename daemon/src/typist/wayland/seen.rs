//! What the compositor has told, in the order in which it did things.
//!
//! Every key that is sent is followed by a request for an answer. A compositor does one
//! request after the other and tells of the focus when it moves, so the answers that come
//! before the news of a lost focus say exactly which keys came before it.

use crate::typist::compositor::later_globals_do_not_matter;
use wayland_client::backend::ObjectId;
use wayland_client::protocol::wl_callback::{self, WlCallback};
use wayland_client::protocol::wl_seat::{self, Capability, WlSeat};
use wayland_client::{Connection, Dispatch, Proxy, QueueHandle, WEnum, delegate_noop, event_created_child};
use wayland_protocols_misc::zwp_virtual_keyboard_v1::client::zwp_virtual_keyboard_manager_v1::ZwpVirtualKeyboardManagerV1;
use wayland_protocols_misc::zwp_virtual_keyboard_v1::client::zwp_virtual_keyboard_v1::ZwpVirtualKeyboardV1;
use wayland_protocols_wlr::foreign_toplevel::v1::client::zwlr_foreign_toplevel_handle_v1::{
    self as handle, ZwlrForeignToplevelHandleV1,
};
use wayland_protocols_wlr::foreign_toplevel::v1::client::zwlr_foreign_toplevel_manager_v1::{
    self as manager, ZwlrForeignToplevelManagerV1,
};

/// The state of a window that has the focus, as a number in the protocol.
const ACTIVATED: u32 = handle::State::Activated as u32;

/// Where keys go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Place {
    /// Into the window that they are meant for, as far as that is known.
    #[default]
    Window,
    /// No window has the focus.
    Nowhere,
    /// Another window has the focus than the one that text is kept to.
    Elsewhere,
}

/// A window, and what is known of it.
struct Window {
    handle: ZwlrForeignToplevelHandleV1,
    focused: bool,
    class: Option<String>,
}

/// What is known of the session.
#[derive(Default)]
pub(super) struct Seen {
    /// The seat has a keyboard already, so programs listen to one.
    pub keyboard: bool,
    /// The number of the last request that was answered.
    pub answered: u64,
    /// The same, while keys went where they were meant to go.
    pub arrived: u64,
    /// Where the first key since [`Seen::begin`] went that went astray.
    pub place: Place,
    /// The windows, while they are watched.
    windows: Option<Vec<Window>>,
    /// Text is kept to one window: that one, once it is known.
    kept: Option<Option<ObjectId>>,
}

impl Seen {
    /// Windows will be told of from here on.
    pub(super) fn watch(&mut self) {
        self.windows = Some(Vec::new());
    }

    /// No window will be told of any more.
    pub(super) fn rest(&mut self) {
        self.windows.take().into_iter().flatten().for_each(|window| window.handle.destroy());
        self.kept = None;
    }

    /// Text is kept to the window that has the focus now, or to the first that gets some.
    pub(super) fn keep(&mut self) {
        self.kept = Some(self.focused());
    }

    /// Keys are pressed from here on.
    pub(super) fn begin(&mut self) {
        let focused = self.focused();
        if let Some(kept @ None) = &mut self.kept {
            *kept = focused;
        }
        self.place = self.now();
    }

    /// Whether the window that text is kept to has the focus, as far as is known.
    pub(super) fn is_home(&self) -> bool {
        self.kept.as_ref().and_then(Option::as_ref).is_none_or(|kept| self.focused().as_ref() == Some(kept))
    }

    /// The class of the window that has the focus.
    pub(super) fn class(&self) -> Option<String> {
        self.active().and_then(|window| window.class.clone())
    }

    fn active(&self) -> Option<&Window> {
        self.windows.iter().flatten().find(|window| window.focused)
    }

    fn focused(&self) -> Option<ObjectId> {
        self.active().map(|window| window.handle.id())
    }

    fn now(&self) -> Place {
        match (self.focused(), &self.kept) {
            _ if self.windows.is_none() => Place::Window,
            (None, _) => Place::Nowhere,
            (Some(focused), Some(Some(kept))) if focused != *kept => Place::Elsewhere,
            (Some(_), _) => Place::Window,
        }
    }

    fn window(&mut self, id: &ObjectId) -> Option<&mut Window> {
        self.windows.iter_mut().flatten().find(|window| window.handle.id() == *id)
    }
}

impl Dispatch<WlCallback, u64> for Seen {
    fn event(
        seen: &mut Self,
        _: &WlCallback,
        _: wl_callback::Event,
        number: &u64,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        seen.answered = *number;
        if seen.place == Place::Window {
            seen.place = seen.now();
        }
        if seen.place == Place::Window {
            seen.arrived = *number;
        }
    }
}

impl Dispatch<WlSeat, ()> for Seen {
    fn event(
        seen: &mut Self,
        _: &WlSeat,
        event: wl_seat::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let wl_seat::Event::Capabilities { capabilities: WEnum::Value(has) } = event {
            seen.keyboard = has.contains(Capability::Keyboard);
        }
    }
}

impl Dispatch<ZwlrForeignToplevelManagerV1, ()> for Seen {
    fn event(
        seen: &mut Self,
        _: &ZwlrForeignToplevelManagerV1,
        event: manager::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let manager::Event::Toplevel { toplevel } = event {
            match &mut seen.windows {
                Some(windows) => windows.push(Window { handle: toplevel, focused: false, class: None }),
                None => toplevel.destroy(),
            }
        }
    }

    event_created_child!(Seen, ZwlrForeignToplevelManagerV1, [
        manager::EVT_TOPLEVEL_OPCODE => (ZwlrForeignToplevelHandleV1, ()),
    ]);
}

impl Dispatch<ZwlrForeignToplevelHandleV1, ()> for Seen {
    fn event(
        seen: &mut Self,
        window: &ZwlrForeignToplevelHandleV1,
        event: handle::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        let Some(window) = seen.window(&window.id()) else { return };
        match event {
            handle::Event::State { state } => {
                let (numbers, _) = state.as_chunks::<4>();
                window.focused = numbers.iter().any(|number| u32::from_ne_bytes(*number) == ACTIVATED);
            }
            handle::Event::AppId { app_id } => window.class = Some(app_id),
            handle::Event::Closed => window.focused = false,
            _ => {}
        }
    }
}

later_globals_do_not_matter!(Seen);

delegate_noop!(Seen: ignore ZwpVirtualKeyboardManagerV1);
delegate_noop!(Seen: ignore ZwpVirtualKeyboardV1);
