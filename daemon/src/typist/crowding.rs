//! How much longer programs take on a machine that has much to do.

/// How many runnable threads share a core now; at least 1, and at most 10, where waiting would
/// be worse than a wrong character.
pub(super) fn crowding() -> f64 {
    let loads = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    of(&loads, std::thread::available_parallelism().map_or(1, usize::from))
}

/// The same from the text of /proc/loadavg.
fn of(loads: &str, cores: usize) -> f64 {
    let runnable = loads.split_whitespace().nth(3).and_then(|threads| threads.split('/').next());
    let runnable: f64 = runnable.and_then(|number| number.parse().ok()).unwrap_or(1.0);
    (runnable / cores as f64).clamp(1.0, 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_take_longer_on_a_busy_machine() {
        assert_eq!(of("0.10 0.20 0.30 1/420 1234", 4), 1.0);
        assert_eq!(of("9.10 4.20 3.30 9/420 1234", 2), 4.5);
        assert_eq!(of("9.10 4.20 3.30 900/980 1234", 2), 10.0);
        assert_eq!(of("", 2), 1.0);
    }
}
