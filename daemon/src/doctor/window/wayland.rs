//! A window of a Wayland compositor.
//!
//! Keys are read with the keymap that the compositor sends, as libxkbcommon and its
//! compositions have it, and Control with V pastes, as in every other window.

use super::{SIZE, TITLE, Window};
use crate::typist::compositor::{self, later_globals_do_not_matter};
use keys::Keys;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};
use wayland_client::globals::{GlobalList, registry_queue_init};
use wayland_client::protocol::wl_compositor::WlCompositor;
use wayland_client::protocol::wl_data_device::{self, WlDataDevice};
use wayland_client::protocol::wl_data_device_manager::WlDataDeviceManager;
use wayland_client::protocol::wl_data_offer::WlDataOffer;
use wayland_client::protocol::wl_keyboard::{self, KeyState, WlKeyboard};
use wayland_client::protocol::wl_seat::{self, Capability, WlSeat};
use wayland_client::protocol::wl_shm::{Format, WlShm};
use wayland_client::protocol::{wl_buffer::WlBuffer, wl_shm_pool::WlShmPool, wl_surface::WlSurface};
use wayland_client::{
    Connection, Dispatch, DispatchError, EventQueue, Proxy, QueueHandle, WEnum, delegate_noop,
    event_created_child,
};
use wayland_protocols::xdg::shell::client::xdg_surface::{self, XdgSurface};
use wayland_protocols::xdg::shell::client::xdg_toplevel::XdgToplevel;
use wayland_protocols::xdg::shell::client::xdg_wm_base::{self, XdgWmBase};

mod keys;

const TEXT: &str = "text/plain;charset=utf-8";

/// How long whoever owns the clipboard may take to give it.
const PASTE: Duration = Duration::from_secs(3);

pub(super) struct Collector {
    queue: EventQueue<Told>,
    told: Told,
}

/// What the compositor told.
struct Told {
    surface: WlSurface,
    buffer: WlBuffer,
    keyboard: Option<WlKeyboard>,
    /// What is on the clipboard.
    selection: Option<WlDataOffer>,
    keys: Keys,
    focus: bool,
    typed: String,
    connection: Connection,
}

impl Collector {
    pub(super) fn open() -> Result<Self, String> {
        let connection = compositor::connect(None)?;
        let (globals, queue) = registry_queue_init::<Told>(&connection).map_err(|e| e.to_string())?;
        let hand = queue.handle();
        let compositor: WlCompositor = bind(&globals, &hand)?;
        let shell: XdgWmBase = bind(&globals, &hand)?;
        let seat: WlSeat = bind(&globals, &hand)?;
        let surface = compositor.create_surface(&hand, ());
        let toplevel = shell.get_xdg_surface(&surface, &hand, ()).get_toplevel(&hand, ());
        toplevel.set_title(TITLE.to_owned());
        toplevel.set_app_id("swictation-doctor".to_owned());
        if let Ok(manager) = bind::<WlDataDeviceManager>(&globals, &hand) {
            manager.get_data_device(&seat, &hand, ());
        }
        let buffer =
            paper(&bind(&globals, &hand)?, &hand).map_err(|e| format!("no memory for a window: {e}"))?;
        surface.commit();
        let keys = Keys::default();
        let told = Told {
            surface,
            buffer,
            keyboard: None,
            selection: None,
            keys,
            focus: false,
            typed: String::new(),
            connection,
        };
        let mut collector = Self { queue, told };
        collector.queue.roundtrip(&mut collector.told).map_err(|e| e.to_string())?;
        Ok(collector)
    }

    /// Takes in what the compositor tells until it is enough, or for so long.
    fn until(&mut self, patience: Duration, enough: impl Fn(&Told) -> bool) -> Result<(), DispatchError> {
        let deadline = Instant::now() + patience;
        loop {
            self.queue.dispatch_pending(&mut self.told)?;
            let left = deadline.saturating_duration_since(Instant::now());
            if enough(&self.told) || left.is_zero() {
                return Ok(());
            }
            self.queue.flush()?;
            let Some(guard) = self.queue.prepare_read() else { continue };
            let fd = guard.connection_fd();
            let ready = poll(&mut [PollFd::new(&fd, PollFlags::IN)], Timespec::try_from(left).ok().as_ref());
            if ready.is_ok_and(|ready| ready > 0) {
                guard.read()?;
            }
        }
    }
}

impl Window for Collector {
    fn wait_for_focus(&mut self, patience: Duration) -> bool {
        // A compositor that is gone gives no focus.
        let _ = self.until(patience, |told| told.focus);
        self.told.focus
    }

    fn collect(&mut self, patience: Duration) -> String {
        let _ = self.until(patience, |told| !told.typed.is_empty());
        std::mem::take(&mut self.told.typed)
    }
}

/// A white buffer of the window's size.
fn paper(shm: &WlShm, hand: &QueueHandle<Told>) -> std::io::Result<WlBuffer> {
    let (width, height) = (i32::from(SIZE.0), i32::from(SIZE.1));
    let bytes = vec![0xff; (4 * width * height) as usize];
    let mut file = File::from(memfd_create("swictation-doctor", MemfdFlags::CLOEXEC)?);
    file.write_all(&bytes)?;
    let pool = shm.create_pool(file.as_fd(), bytes.len() as i32, hand, ());
    Ok(pool.create_buffer(0, width, height, 4 * width, Format::Xrgb8888, hand, ()))
}

fn bind<I>(globals: &GlobalList, hand: &QueueHandle<Told>) -> Result<I, String>
where
    I: Proxy + 'static,
    Told: Dispatch<I, ()>,
{
    globals.bind(hand, 1..=1, ()).map_err(|e| format!("{}: {e}", I::interface().name))
}

impl Told {
    /// Asks for what is on the clipboard, and takes it for typed.
    fn paste(&mut self) -> std::io::Result<()> {
        let Some(selection) = &self.selection else { return Ok(()) };
        let (mut reader, writer) = std::io::pipe()?;
        selection.receive(TEXT.to_owned(), writer.as_fd());
        drop(writer);
        self.connection.flush().map_err(std::io::Error::other)?;
        let deadline = Instant::now() + PASTE;
        let mut pasted = Vec::new();
        let mut bytes = [0; 4096];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = Timespec::try_from(left).ok();
            if poll(&mut [PollFd::new(&reader, PollFlags::IN)], timeout.as_ref())? == 0 {
                return Err(std::io::ErrorKind::TimedOut.into());
            }
            match reader.read(&mut bytes)? {
                0 => break,
                count => pasted.extend_from_slice(&bytes[..count]),
            }
        }
        self.typed += &String::from_utf8_lossy(&pasted);
        Ok(())
    }
}

impl Dispatch<WlKeyboard, ()> for Told {
    fn event(
        told: &mut Self,
        _: &WlKeyboard,
        event: wl_keyboard::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        match event {
            wl_keyboard::Event::Keymap { fd, size, .. } => told.keys.load(fd, size),
            wl_keyboard::Event::Enter { .. } => told.focus = true,
            wl_keyboard::Event::Leave { .. } => told.focus = false,
            wl_keyboard::Event::Key { key, state: WEnum::Value(KeyState::Pressed), .. } => {
                if told.keys.pastes(key) {
                    // What does not come is missed in the text.
                    let _ = told.paste();
                } else {
                    told.typed += &told.keys.text(key);
                }
            }
            wl_keyboard::Event::Modifiers { mods_depressed, mods_latched, mods_locked, group, .. } => {
                told.keys.modify([mods_depressed, mods_latched, mods_locked], group);
            }
            _ => {}
        }
    }
}

impl Dispatch<WlSeat, ()> for Told {
    fn event(
        told: &mut Self,
        seat: &WlSeat,
        event: wl_seat::Event,
        (): &(),
        _: &Connection,
        hand: &QueueHandle<Self>,
    ) {
        if let wl_seat::Event::Capabilities { capabilities: WEnum::Value(has) } = event
            && has.contains(Capability::Keyboard)
            && told.keyboard.is_none()
        {
            told.keyboard = Some(seat.get_keyboard(hand, ()));
        }
    }
}

impl Dispatch<WlDataDevice, ()> for Told {
    fn event(
        told: &mut Self,
        _: &WlDataDevice,
        event: wl_data_device::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let wl_data_device::Event::Selection { id } = event {
            told.selection = id;
        }
    }

    event_created_child!(Told, WlDataDevice, [
        wl_data_device::EVT_DATA_OFFER_OPCODE => (WlDataOffer, ()),
    ]);
}

impl Dispatch<XdgSurface, ()> for Told {
    fn event(
        told: &mut Self,
        shell: &XdgSurface,
        event: xdg_surface::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let xdg_surface::Event::Configure { serial } = event {
            shell.ack_configure(serial);
            told.surface.attach(Some(&told.buffer), 0, 0);
            told.surface.commit();
        }
    }
}

impl Dispatch<XdgWmBase, ()> for Told {
    fn event(
        _: &mut Self,
        shell: &XdgWmBase,
        event: xdg_wm_base::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let xdg_wm_base::Event::Ping { serial } = event {
            shell.pong(serial);
        }
    }
}

later_globals_do_not_matter!(Told);

delegate_noop!(Told: WlCompositor);
delegate_noop!(Told: WlDataDeviceManager);
delegate_noop!(Told: WlShmPool);
delegate_noop!(Told: ignore WlShm);
delegate_noop!(Told: ignore WlBuffer);
delegate_noop!(Told: ignore WlSurface);
delegate_noop!(Told: ignore XdgToplevel);
delegate_noop!(Told: ignore WlDataOffer);
