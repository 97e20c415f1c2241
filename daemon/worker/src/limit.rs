//! How much memory a model may take before anything is known of it.
//!
//! A graph of a few bytes can ask for terabytes. An allocation that fails is an
//! error with a name; a system without memory is a desktop that stands still until
//! something is killed. So while a model loads, and is tested, the worker may take
//! what the system has free and no more. Later growth is the model's own affair.
//!
//! Not for CUDA, which maps far more than it uses.

use libc::{RLIM_INFINITY, RLIMIT_DATA, getrlimit, rlimit, setrlimit};

/// The limit as it was; dropping this brings it back.
pub struct Limit(rlimit);

impl Limit {
    /// Limits the memory of this process to what is free; none where the system does
    /// not tell how much that is.
    pub fn to_what_is_free() -> Option<Self> {
        let free = free(&std::fs::read_to_string("/proc/meminfo").ok()?)?;
        let mut before = rlimit { rlim_cur: RLIM_INFINITY, rlim_max: RLIM_INFINITY };
        // SAFETY: both calls get a valid struct, and the second one lowers only the
        // soft limit, which any process may.
        unsafe {
            if getrlimit(RLIMIT_DATA, &mut before) != 0 {
                return None;
            }
            let limit = rlimit { rlim_cur: free.min(before.rlim_cur), ..before };
            (setrlimit(RLIMIT_DATA, &limit) == 0).then_some(Self(before))
        }
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        // SAFETY: the struct is the one that the system gave.
        unsafe { setrlimit(RLIMIT_DATA, &self.0) };
    }
}

/// The bytes that `/proc/meminfo` says can be had without taking them from others.
fn free(meminfo: &str) -> Option<u64> {
    let kilobytes = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    Some((kilobytes("MemAvailable")? + kilobytes("SwapFree").unwrap_or(0)) << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_is_what_is_available_and_what_can_be_swapped() {
        let text = "MemTotal: 9 kB\nMemAvailable:    2048 kB\nSwapFree:  1024 kB\n";
        assert_eq!(free(text), Some(3 << 20));
        assert_eq!(free("MemTotal: 9 kB\n"), None);
    }
}
