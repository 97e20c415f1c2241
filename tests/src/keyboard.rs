//! A keyboard of the kernel's that a person has under the hands.

use evdev::uinput::VirtualDevice;
use evdev::{AttributeSet, BusType, EventType, InputEvent, InputId, KeyCode};
use std::io;

/// Plugged in as long as this lives.
pub struct Keyboard {
    device: VirtualDevice,
    name: String,
}

/// Who made it, and which of theirs it is.
const IDENTITY: (u16, u16) = (7, 11);

impl Keyboard {
    /// Plugs one in that has this name and all keys of a typewriter.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn plug(name: &str) -> io::Result<Self> {
        let keys: AttributeSet<KeyCode> = (1..=127).map(KeyCode::new).collect();
        let identity = InputId::new(BusType::BUS_USB, IDENTITY.0, IDENTITY.1, 1);
        let device = VirtualDevice::builder()?.name(name).input_id(identity).with_keys(&keys)?.build()?;
        Ok(Self { device, name: name.to_owned() })
    }

    /// What Sway calls it.
    pub fn sway_name(&self) -> String {
        format!("{}:{}:{}", IDENTITY.0, IDENTITY.1, self.name)
    }

    /// Presses a key and releases it.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn press(&mut self, key: KeyCode) -> io::Result<()> {
        for value in [1, 0] {
            self.device.emit(&[InputEvent::new(EventType::KEY.0, key.0, value)])?;
        }
        Ok(())
    }
}
