//! When this process began, on a clock that all processes share.
//!
//! The kernel counts it from the start of the machine, in ticks of which a second has a
//! hundred on every machine that Linux still runs on. It is the time of the fork, which
//! is the order in which keys were pressed, however long this program then took.

/// Hundredths of a second since the machine was started; none where /proc does not tell.
pub(crate) fn hundredths() -> Option<u64> {
    began(&std::fs::read_to_string("/proc/self/stat").ok()?)
}

/// The 22nd field. The second one is the name of the program in parentheses, and may
/// hold spaces and parentheses itself.
fn began(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_found_behind_any_name() {
        let rest = "S 1 7 7 0 -1 4194560 10 0 0 0 1 2 0 0 20 0 1 0 123456 1000 200";
        for name in ["swictation", "a b", "a) R 1 (b", ")"] {
            assert_eq!(began(&format!("7 ({name}) {rest}")), Some(123456), "{name}");
        }
        assert_eq!(began("7 (cut) S 1 7"), None);
        assert_eq!(began(""), None);
    }

    #[test]
    fn this_process_began_after_the_machine_and_not_later_than_now() {
        let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
        let now: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
        let began = hundredths().unwrap() as f64 / 100.0;
        assert!(began > 0.0 && began <= now + 0.01, "{began} s, and it is {now} s");
    }
}
