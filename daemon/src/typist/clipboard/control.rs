//! The clipboard of a Wayland compositor that lends it to any program
//! (`zwlr_data_control_v1`): Plasma, and those of the wlroots family.

use super::{Sink, Told, Wish, read};
use crate::typist::compositor::{Compositor, later_globals_do_not_matter};
use rustix::pipe::{PipeFlags, pipe_with};
use std::collections::VecDeque;
use std::os::fd::AsFd;
use wayland_client::backend::ObjectId;
use wayland_client::globals::registry_queue_init;
use wayland_client::protocol::wl_seat::WlSeat;
use wayland_client::{Connection, Dispatch, Proxy, QueueHandle, delegate_noop, event_created_child};
use wayland_protocols_wlr::data_control::v1::client::zwlr_data_control_device_v1::{
    self as device, ZwlrDataControlDeviceV1,
};
use wayland_protocols_wlr::data_control::v1::client::zwlr_data_control_manager_v1::ZwlrDataControlManagerV1;
use wayland_protocols_wlr::data_control::v1::client::zwlr_data_control_offer_v1::{
    self as offer, ZwlrDataControlOfferV1,
};
use wayland_protocols_wlr::data_control::v1::client::zwlr_data_control_source_v1::{
    self as source, ZwlrDataControlSourceV1,
};

/// The clipboard of one compositor; what is ours is gone when this is dropped.
pub(in crate::typist) struct Control {
    compositor: Compositor<Seen>,
    seen: Seen,
    manager: ZwlrDataControlManagerV1,
    device: ZwlrDataControlDeviceV1,
}

/// What the compositor has told.
#[derive(Default)]
struct Seen {
    /// What nobody has taken in yet.
    told: VecDeque<Told>,
    /// Things that are offered, with their forms: the newest last.
    offers: Vec<(ZwlrDataControlOfferV1, Vec<String>)>,
    /// What the clipboard has.
    current: Option<ZwlrDataControlOfferV1>,
    /// What we offer, with a form that nobody else has, while it is there.
    ours: Option<(ZwlrDataControlSourceV1, String)>,
    /// How often we offered something.
    count: u64,
    /// The compositor lends its clipboard no more.
    finished: bool,
}

impl Control {
    /// The clipboard of the first seat.
    ///
    /// # Errors
    /// Why it cannot be had, for a person.
    pub(in crate::typist) fn connect(connection: Connection) -> Result<Self, String> {
        let lost = |e: &dyn std::fmt::Display| format!("the Wayland compositor does not answer: {e}");
        let (globals, mut queue) = registry_queue_init::<Seen>(&connection).map_err(|e| lost(&e))?;
        let hand = queue.handle();
        let manager: ZwlrDataControlManagerV1 = globals.bind(&hand, 1..=2, ()).map_err(
            |_| "this Wayland compositor does not lend its clipboard (zwlr_data_control_manager_v1)",
        )?;
        let seat: WlSeat = globals.bind(&hand, 1..=1, ()).map_err(|e| lost(&e))?;
        let device = manager.get_data_device(&seat, &hand, ());
        let mut seen = Seen::default();
        queue.roundtrip(&mut seen).map_err(|e| lost(&e))?;
        Ok(Self { compositor: Compositor::new(connection, queue)?, seen, manager, device })
    }

    /// See [`super::Selection::next`].
    pub(super) async fn next(&mut self) -> Result<Told, String> {
        loop {
            if let Some(told) = self.seen.told.pop_front() {
                return Ok(told);
            }
            if self.seen.finished {
                return Err("the Wayland compositor lends its clipboard no more".into());
            }
            self.compositor.hear(&mut self.seen).await?;
        }
    }

    /// See [`super::Selection::own`].
    pub(super) fn own(&mut self, forms: &[&str]) -> Result<(), String> {
        let source = self.manager.create_data_source(&self.compositor.handle(), ());
        self.seen.count += 1;
        let mark = format!("application/x-swictation-{}-{}", std::process::id(), self.seen.count);
        forms.iter().for_each(|form| source.offer((*form).to_owned()));
        source.offer(mark.clone());
        self.device.set_selection(Some(&source));
        if let Some((before, _)) = self.seen.ours.replace((source, mark)) {
            before.destroy();
        }
        self.compositor.flush()
    }

    /// See [`super::Selection::ask`].
    pub(super) async fn ask(&self, form: &str, most: usize) -> Option<Vec<u8>> {
        let (source, sink) = pipe_with(PipeFlags::CLOEXEC).ok()?;
        self.seen.current.as_ref()?.receive(form.to_owned(), sink.as_fd());
        self.compositor.flush().ok()?;
        // The end of what is copied is seen when nobody can write any more.
        drop(sink);
        read(source, most).await.ok().flatten()
    }
}

impl Seen {
    fn forms(&mut self, offer: &ObjectId) -> Option<&mut Vec<String>> {
        self.offers.iter_mut().find_map(|(known, forms)| (known.id() == *offer).then_some(forms))
    }

    /// The clipboard has something else, or nothing.
    fn change(&mut self, offer: Option<ZwlrDataControlOfferV1>) {
        let forms = offer.as_ref().and_then(|offer| self.forms(&offer.id()).cloned()).unwrap_or_default();
        if let Some(before) = std::mem::replace(&mut self.current, offer) {
            self.forget(&before);
        }
        let ours = self.ours.as_ref().is_some_and(|(_, mark)| forms.contains(mark));
        self.told.push_back(Told::Owner { ours, forms });
    }

    fn forget(&mut self, offer: &ZwlrDataControlOfferV1) {
        self.offers.retain(|(known, _)| known.id() != offer.id());
        offer.destroy();
    }
}

impl Dispatch<ZwlrDataControlDeviceV1, ()> for Seen {
    fn event(
        seen: &mut Self,
        _: &ZwlrDataControlDeviceV1,
        event: device::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        match event {
            device::Event::DataOffer { id } => seen.offers.push((id, Vec::new())),
            device::Event::Selection { id } => seen.change(id),
            // What is selected with the mouse is nothing that was copied.
            device::Event::PrimarySelection { id: Some(id) } => seen.forget(&id),
            device::Event::Finished => seen.finished = true,
            _ => {}
        }
    }

    event_created_child!(Seen, ZwlrDataControlDeviceV1, [
        device::EVT_DATA_OFFER_OPCODE => (ZwlrDataControlOfferV1, ()),
    ]);
}

impl Dispatch<ZwlrDataControlOfferV1, ()> for Seen {
    fn event(
        seen: &mut Self,
        offer: &ZwlrDataControlOfferV1,
        event: offer::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let offer::Event::Offer { mime_type } = event
            && let Some(forms) = seen.forms(&offer.id())
        {
            forms.push(mime_type);
        }
    }
}

impl Dispatch<ZwlrDataControlSourceV1, ()> for Seen {
    fn event(
        seen: &mut Self,
        source: &ZwlrDataControlSourceV1,
        event: source::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        match event {
            source::Event::Send { mime_type: form, fd } => {
                seen.told.push_back(Told::Wanted(Wish { form, sink: Sink::File(fd) }));
            }
            source::Event::Cancelled => {
                source.destroy();
                if seen.ours.as_ref().is_some_and(|(ours, _)| ours.id() == source.id()) {
                    seen.ours = None;
                }
            }
            _ => {}
        }
    }
}

later_globals_do_not_matter!(Seen);

delegate_noop!(Seen: ZwlrDataControlManagerV1);
delegate_noop!(Seen: ignore WlSeat);
