//! The kernel's side: what a keyboard is made with, and its events as bytes.

use super::super::layout::Stroke;
use rustix::ioctl::{IntegerSetter, NoArg, Opcode, Setter, ioctl, opcode};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::mem::size_of;
use std::os::unix::fs::OpenOptionsExt;

/// Where the kernel takes keyboards from programs.
pub(super) const PATH: &str = "/dev/uinput";

/// What the desktop calls the keyboard.
const NAME: &[u8] = b"Swictation";

/// The keys of keyboards, which X11 and xkb have numbers for; buttons come behind them.
pub(super) const KEYS: std::ops::RangeInclusive<u16> = 1..=247;

/// What an event is about: that all is said up to here, and a key.
const EV_SYN: u16 = 0;
const EV_KEY: u16 = 1;

/// That no hardware is behind it.
const BUS_VIRTUAL: u16 = 6;

/// The requests of `linux/uinput.h`.
const UI_DEV_CREATE: Opcode = opcode::none(b'U', 1);
const UI_DEV_SETUP: Opcode = opcode::write::<libc::uinput_setup>(b'U', 3);
const UI_SET_EVBIT: Opcode = opcode::write::<libc::c_int>(b'U', 100);
const UI_SET_KEYBIT: Opcode = opcode::write::<libc::c_int>(b'U', 101);

/// Makes a keyboard, which is there until this is dropped; no key is down then.
///
/// # Errors
/// Why there is none, and what to do, for a person.
pub(super) fn open() -> Result<File, String> {
    let device = OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(PATH);
    device.and_then(|device| make(&device).map(|()| device)).map_err(|e| advice(&e))
}

fn make(device: &File) -> io::Result<()> {
    let mut name = [0; 80];
    for (to, from) in name.iter_mut().zip(NAME) {
        *to = *from as libc::c_char;
    }
    let id = libc::input_id { bustype: BUS_VIRTUAL, vendor: 0, product: 0, version: 1 };
    let setup = libc::uinput_setup { id, name, ff_effects_max: 0 };
    // SAFETY: these are the kernel's requests with the arguments that it has for them.
    unsafe {
        ioctl(device, IntegerSetter::<UI_SET_EVBIT>::new_usize(EV_KEY.into()))?;
        for key in KEYS {
            ioctl(device, IntegerSetter::<UI_SET_KEYBIT>::new_usize(key.into()))?;
        }
        ioctl(device, Setter::<UI_DEV_SETUP, _>::new(setup))?;
        ioctl(device, NoArg::<UI_DEV_CREATE>::new())?;
    }
    Ok(())
}

/// What a person can do when there is no keyboard.
fn advice(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => format!(
            "{PATH} is missing: load the kernel's part for it with `sudo modprobe uinput`, and at every start \
             with `echo uinput | sudo tee /etc/modules-load.d/uinput.conf`"
        ),
        ErrorKind::PermissionDenied => format!(
            "you may not write to {PATH}. `sudo groupadd --system uinput` and `sudo usermod --append \
             --groups uinput $USER` make a group for that; write the line \
             KERNEL==\"uinput\", GROUP=\"uinput\", MODE=\"0660\", OPTIONS+=\"static_node=uinput\" \
             into /etc/udev/rules.d/70-uinput.rules, and start the computer again"
        ),
        _ => format!("{PATH} gives no keyboard: {error}; the kernel's log (`sudo dmesg`) may say why"),
    }
}

/// An event as the kernel has it.
type Event = [u8; size_of::<libc::input_event>()];

/// The events of a stroke: what is held goes down first and up last.
pub(super) fn events(stroke: &Stroke) -> Vec<Event> {
    let keys = || stroke.hold.iter().chain([&stroke.key]);
    let pressed = keys().map(|key| (*key, 1));
    let released = keys().rev().map(|key| (*key, 0));
    let all = pressed.chain(released);
    all.flat_map(|(key, value)| [event(EV_KEY, key, value), event(EV_SYN, 0, 0)]).collect()
}

/// An event at no time: the kernel takes its own.
fn event(kind: u16, code: u32, value: i32) -> Event {
    let mut event = Event::default();
    // All numbers of keys are smaller than that.
    let code = u16::try_from(code).unwrap_or_default();
    let said = kind.to_ne_bytes().into_iter().chain(code.to_ne_bytes()).chain(value.to_ne_bytes());
    event.iter_mut().skip(size_of::<libc::timeval>()).zip(said).for_each(|(to, from)| *to = from);
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stroke_presses_what_is_held_first_and_releases_it_last() {
        let events = events(&Stroke { key: 30, hold: vec![42, 100] });
        let said: Vec<[u8; 8]> =
            events.iter().map(|event| event[size_of::<libc::timeval>()..].try_into().unwrap()).collect();
        let key = |code: u8, value: u8| {
            let [low, high] = 1_u16.to_ne_bytes();
            let ([code, _], [value, ..]) = (u16::from(code).to_le_bytes(), i32::from(value).to_le_bytes());
            [low, high, code, 0, value, 0, 0, 0]
        };
        let keys = [key(42, 1), key(100, 1), key(30, 1), key(30, 0), key(100, 0), key(42, 0)];
        assert_eq!(said, keys.map(|key| [key, [0; 8]]).concat());
    }

    #[test]
    fn what_is_missing_or_not_permitted_is_said_with_what_to_do() {
        for (kind, todo) in [
            (ErrorKind::NotFound, "modprobe uinput"),
            (ErrorKind::PermissionDenied, "/etc/udev/rules.d"),
            (ErrorKind::InvalidInput, "dmesg"),
        ] {
            let why = advice(&kind.into());
            assert!(why.contains(PATH) && why.contains(todo), "{why}");
        }
    }
}
