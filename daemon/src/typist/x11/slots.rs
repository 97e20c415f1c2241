//! Spare keycodes lent to characters that the layout lacks.
//!
//! Every change of a binding makes all programs on the display read the keyboard
//! map again, and a slow one translates a key with whatever the map says by then.
//! So characters are bound in batches, two to a keycode (without and with Shift),
//! and a binding stays until its place is needed for another character, the
//! longest unused first: the accents of a language cost nothing after their first
//! word. The module decides and remembers; it never talks to the server.

use super::keymap::{Layout, Lent, Press, Symbol};
use std::time::Instant;

/// A place for one character: a keycode without or with Shift.
struct Slot {
    keycode: u8,
    shift: Option<u8>,
    /// The keysym the place is lent to, 0 for none.
    bound: u32,
    pressed: Option<Instant>,
}

/// All places on the keyboard: first those without Shift, then those with it.
#[derive(Default)]
pub(super) struct Slots(Vec<Slot>);

/// Keys that can be pressed one after the other once the bindings are made.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Batch {
    /// One press for each of the leading symbols.
    pub presses: Vec<Press>,
    /// Bindings to make first, in order of keycodes.
    pub binds: Vec<Lent>,
    /// When a place that gets another symbol was pressed last.
    pub recycled: Option<Instant>,
}

impl Slot {
    fn press(&self) -> Press {
        Press { keycode: self.keycode, hold: [self.shift, None, None] }
    }
}

impl Slots {
    /// Takes over what the keyboard map says now, remembering when each place was
    /// pressed. A keyboard without Shift has half the places.
    pub(super) fn renew(&mut self, spare: &[Lent], shift: Option<u8>) {
        let old = std::mem::take(&mut self.0);
        let pressed = |keycode, shift: Option<u8>| {
            let same = |slot: &&Slot| slot.keycode == keycode && slot.shift.is_some() == shift.is_some();
            old.iter().find(same).and_then(|slot| slot.pressed)
        };
        let place = |lent: &Lent, shift: Option<u8>| {
            // A lonely symbol fills both levels of its key.
            let bound = match (shift, lent.levels) {
                (None, [plain, _]) => plain,
                (Some(_), [plain, shifted]) if plain == shifted => 0,
                (Some(_), [_, shifted]) => shifted,
            };
            Slot { keycode: lent.keycode, shift, bound, pressed: pressed(lent.keycode, shift) }
        };
        self.0 = spare.iter().map(|lent| place(lent, None)).collect();
        if shift.is_some() {
            self.0.extend(spare.iter().map(|lent| place(lent, shift)));
        }
    }

    /// Whether there is no place at all.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every keycode with what it is lent to.
    pub(super) fn lent(&self) -> Vec<Lent> {
        self.0.iter().filter(|slot| slot.shift.is_none()).map(|slot| self.key(slot.keycode)).collect()
    }

    /// When any place was pressed last.
    pub(super) fn pressed(&self) -> Option<Instant> {
        self.0.iter().filter_map(|slot| slot.pressed).max()
    }

    /// A keycode with what it is lent to; a lonely symbol fills both levels, so
    /// that Shift does not turn é into É.
    fn key(&self, keycode: u8) -> Lent {
        let bound = |shifted| {
            let level = |slot: &&Slot| slot.keycode == keycode && slot.shift.is_some() == shifted;
            self.0.iter().find(level).map_or(0, |slot| slot.bound)
        };
        let levels = match (bound(false), bound(true)) {
            (plain, 0) => [plain; 2],
            (plain, shifted) => [plain, shifted],
        };
        Lent { keycode, levels }
    }

    /// Plans the longest batch for the start of `symbols`; it is empty only when
    /// the first symbol is neither in the layout nor has a place to be lent.
    pub(super) fn plan(&mut self, layout: &Layout, symbols: &[Symbol]) -> Batch {
        let mut batch = Batch::default();
        let mut taken = vec![false; self.0.len()];
        let mut changed = Vec::new();
        for symbol in symbols {
            if let Some(press) = layout.press(*symbol) {
                batch.presses.push(press);
                continue;
            }
            let ready = self.0.iter().position(|slot| slot.bound == symbol[0]);
            let longest_unused =
                || (0..self.0.len()).filter(|n| !taken[*n]).min_by_key(|n| self.0[*n].pressed);
            let Some(n) = ready.or_else(longest_unused) else { break };
            taken[n] = true;
            let slot = &mut self.0[n];
            if ready.is_none() {
                batch.recycled = batch.recycled.max(slot.pressed);
                changed.push(slot.keycode);
                slot.bound = symbol[0];
            }
            batch.presses.push(slot.press());
        }
        changed.sort_unstable();
        changed.dedup();
        batch.binds = changed.into_iter().map(|keycode| self.key(keycode)).collect();
        batch
    }

    /// Notes that the keys of a batch have been pressed.
    pub(super) fn note(&mut self, batch: &Batch, now: Instant) {
        for slot in &mut self.0 {
            if batch.presses.contains(&slot.press()) {
                slot.pressed = Some(now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::keymap::symbol;
    use super::*;
    use std::time::Duration;

    const SHIFT: u8 = 50;

    fn text(text: &str) -> Vec<Symbol> {
        text.chars().map(symbol).collect()
    }

    /// The keycodes pressed, and which of them with Shift.
    fn keys(batch: &Batch) -> Vec<(u8, bool)> {
        batch.presses.iter().map(|p| (p.keycode, p.hold[0] == Some(SHIFT))).collect()
    }

    fn lent(keycode: u8, plain: char, shifted: char) -> Lent {
        Lent { keycode, levels: [symbol(plain)[0], symbol(shifted)[0]] }
    }

    fn two() -> Slots {
        let free = |keycode| Lent { keycode, levels: [0; 2] };
        let mut slots = Slots::default();
        slots.renew(&[free(93), free(97)], Some(SHIFT));
        slots
    }

    fn plan(slots: &mut Slots, characters: &str) -> Batch {
        slots.plan(&Layout::default(), &text(characters))
    }

    #[test]
    fn a_batch_fills_the_plain_levels_first_and_ends_where_the_places_run_out() {
        let batch = plan(&mut two(), "éßéñüöé");
        assert_eq!(keys(&batch), [(93, false), (97, false), (93, false), (93, true), (97, true)]);
        assert_eq!(batch.binds, [lent(93, 'é', 'ñ'), lent(97, 'ß', 'ü')]);
        assert_eq!(batch.recycled, None);
    }

    #[test]
    fn a_lonely_character_fills_both_levels_of_its_key() {
        assert_eq!(plan(&mut two(), "é").binds, [lent(93, 'é', 'é')]);
    }

    #[test]
    fn what_is_bound_already_costs_nothing() {
        let mut slots = two();
        plan(&mut slots, "éßñ");
        let again = plan(&mut slots, "ñßé");
        assert_eq!((keys(&again), again.binds), (vec![(93, true), (97, false), (93, false)], vec![]));
    }

    #[test]
    fn the_longest_unused_place_is_lent_again_and_its_last_press_is_told() {
        let mut slots = two();
        let (early, late) = (Instant::now(), Instant::now() + Duration::from_secs(1));
        let batch = plan(&mut slots, "éßñü");
        slots.note(&batch, early);
        let batch = plan(&mut slots, "éñü");
        slots.note(&batch, late);
        let batch = plan(&mut slots, "ö");
        assert_eq!((batch.binds, batch.recycled), (vec![lent(97, 'ö', 'ü')], Some(early)));
    }

    #[test]
    fn a_renewed_map_keeps_what_it_still_says_and_when_it_was_pressed() {
        let mut slots = two();
        let (batch, early) = (plan(&mut slots, "éßñü"), Instant::now());
        slots.note(&batch, early);
        let kept = slots.lent();
        slots.renew(&kept, Some(SHIFT));
        assert_eq!(plan(&mut slots, "üñßé").binds, []);
        assert_eq!(slots.pressed(), Some(early));
    }

    #[test]
    fn a_keyboard_without_shift_has_half_the_places() {
        let mut slots = Slots::default();
        slots.renew(&[Lent { keycode: 93, levels: [0; 2] }], None);
        let batch = plan(&mut slots, "éß");
        assert_eq!((keys(&batch), batch.binds), (vec![(93, false)], vec![lent(93, 'é', 'é')]));
    }

    #[test]
    fn a_keyboard_without_spare_keycodes_plans_nothing() {
        assert_eq!(plan(&mut Slots::default(), "é"), Batch::default());
    }
}
