//! Whether Caps Lock is on, for typists whose desktop does not tell.
//!
//! The desktop lights the lamps of the keyboards, and the kernel tells everybody which are
//! lit. A keyboard without the lamp tells nothing, and Caps Lock counts as off then.

use std::fs;
use std::path::Path;

/// Where the kernel has the lamps.
pub const LAMPS: &str = "/sys/class/leds";

/// Whether the lamp of Caps Lock is lit on any keyboard in the folder `lamps`.
pub fn caps_lock(lamps: &Path) -> bool {
    let lamps = fs::read_dir(lamps).into_iter().flatten().flatten();
    let mut caps = lamps.filter(|lamp| lamp.file_name().to_string_lossy().ends_with("::capslock"));
    caps.any(|lamp| {
        let brightness = fs::read_to_string(lamp.path().join("brightness"));
        brightness.is_ok_and(|brightness| brightness.trim() != "0")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caps_lock_is_on_when_the_lamp_of_any_keyboard_is_lit() {
        let lamps = tempfile::tempdir().unwrap();
        let light = |name: &str, brightness: &str| {
            fs::create_dir_all(lamps.path().join(name)).unwrap();
            fs::write(lamps.path().join(name).join("brightness"), brightness).unwrap();
        };
        light("input3::numlock", "1\n");
        light("input3::capslock", "0\n");
        assert!(!caps_lock(lamps.path()));
        light("input9::capslock", "1\n");
        assert!(caps_lock(lamps.path()));
    }

    #[test]
    fn without_lamps_caps_lock_is_off() {
        assert!(!caps_lock(Path::new("nowhere")));
    }
}
