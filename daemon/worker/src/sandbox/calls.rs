//! The system calls that a worker has no use for, refused by seccomp.
//!
//! It is a list of what is refused and not of what is allowed: native libraries and
//! drivers call what they like from release to release, and one that misses a call
//! fails without a name. Refused is what leads out of the process: sockets, programs,
//! other processes, and the changes to files that landlock does not know. Whoever
//! calls gets an error, as from a system that does not allow it.

use super::Held;
use libc::{EPERM, c_long};
use seccompiler::SeccompCmpArgLen::Dword;
use seccompiler::SeccompCmpOp::{Eq, MaskedEq, Ne};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    sock_filter,
};
use std::collections::BTreeMap;

/// Refused whatever the arguments.
const REFUSED: &[c_long] = &[
    // Other programs.
    libc::SYS_execve,
    libc::SYS_execveat,
    // Sockets that lead somewhere: what a socket is made for is refused below.
    libc::SYS_connect,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    // Other processes, and their memory.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_kcmp,
    libc::SYS_tkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    // Memory and messages that are shared by number.
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_msgget,
    libc::SYS_semget,
    libc::SYS_mq_open,
    // Ways around this filter, and large pieces of the kernel that nobody here needs.
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    // What landlock lets pass: the rights and the marks of files, and watching them.
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    libc::SYS_utimensat,
    libc::SYS_inotify_init1,
    libc::SYS_fanotify_init,
    libc::SYS_open_by_handle_at,
    // Other views of the system.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsmount,
    libc::SYS_mount_setattr,
];

/// `fchmodat2`, which is younger than the libraries that name calls; it has one number
/// everywhere.
const FCHMODAT2: c_long = 452;

/// What x86-64 has twice, under its older names.
#[cfg(target_arch = "x86_64")]
const OLDER: &[c_long] = &[
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_utime,
    libc::SYS_utimes,
    libc::SYS_futimesat,
    libc::SYS_inotify_init,
];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[c_long] = &[];

pub(super) type Rules = BTreeMap<c_long, Vec<SeccompRule>>;

/// Has the kernel refuse the calls to this thread and all that it starts; with `cuda`
/// what its driver needs is let through.
pub fn hold(cuda: bool) -> Held {
    let programs = refused(cuda).and_then(|refused| Ok([refused, missing()?]));
    for program in programs.map_err(|e| e.to_string())? {
        seccompiler::apply_filter(&program).map_err(|e| format!("this kernel takes no filter: {e}"))?;
    }
    Ok("seccomp".to_owned())
}

/// The filter that answers that it is not permitted.
fn refused(cuda: bool) -> Result<BpfProgram, BackendError> {
    let mut rules = Rules::new();
    for call in REFUSED.iter().chain(OLDER).chain([&FCHMODAT2]) {
        rules.insert(*call, Vec::new());
    }
    // Signals go to this process and to no other; limits are set for it alone.
    let own = u64::from(std::process::id());
    rules.insert(libc::SYS_kill, vec![rule(&[(0, Ne, own)])?]);
    rules.insert(libc::SYS_tgkill, vec![rule(&[(0, Ne, own)])?]);
    rules.insert(libc::SYS_prlimit64, vec![rule(&[(0, Ne, 0)])?]);
    // Threads are started, processes are not: they would outlive the daemon.
    let thread = libc::CLONE_THREAD as u64;
    rules.insert(libc::SYS_clone, vec![rule(&[(0, MaskedEq(thread), 0)])?]);
    // A terminal's input could be written, and with it a command for its shell.
    let on_terminals = [libc::TIOCSTI, libc::TIOCLINUX, libc::TIOCSETD];
    let asked = on_terminals.iter().map(|&request| rule(&[(1, Eq, request)]));
    rules.insert(libc::SYS_ioctl, asked.collect::<Result<_, _>>()?);
    // What keeps this process private, and ends it with the daemon, stays.
    let kept = [libc::PR_SET_DUMPABLE, libc::PR_SET_PDEATHSIG, libc::PR_SET_PTRACER];
    let kept = kept.iter().map(|&option| rule(&[(0, Eq, option as u64)]));
    rules.insert(libc::SYS_prctl, kept.collect::<Result<_, _>>()?);
    let unix = libc::AF_UNIX as u64;
    rules.insert(libc::SYS_socketpair, vec![rule(&[(0, Ne, unix)])?]);
    if cuda {
        // The driver listens on an abstract socket and fails without it; as nothing is
        // accepted, nobody is served. A socket for datagrams needs no connection to
        // reach the log of the system.
        let kind = MaskedEq(0xf);
        let datagram = rule(&[(1, kind, libc::SOCK_DGRAM as u64)])?;
        rules.insert(libc::SYS_socket, vec![rule(&[(0, Ne, unix)])?, datagram]);
    } else {
        for call in [libc::SYS_socket, libc::SYS_bind, libc::SYS_listen] {
            rules.insert(call, Vec::new());
        }
    }
    let mut program = filter(rules, EPERM)?;
    program.splice(0..0, other_numbers());
    Ok(program)
}

/// The filter that answers that there is no such call: what is started with `clone3`
/// cannot be seen by a filter, and who does not find it takes `clone`.
fn missing() -> Result<BpfProgram, BackendError> {
    filter(Rules::from([(libc::SYS_clone3, Vec::new())]), libc::ENOSYS)
}

/// The filter that answers these calls with an error and lets all others pass.
pub(super) fn filter(rules: Rules, error: i32) -> Result<BpfProgram, BackendError> {
    let architecture = std::env::consts::ARCH.try_into()?;
    let error = SeccompAction::Errno(error as u32);
    SeccompFilter::new(rules, SeccompAction::Allow, error, architecture)?.try_into()
}

/// A rule that all of these must meet: the number of an argument, and what it is.
fn rule(conditions: &[(u8, SeccompCmpOp, u64)]) -> Result<SeccompRule, BackendError> {
    let condition =
        |(at, how, value): &(u8, SeccompCmpOp, u64)| SeccompCondition::new(*at, Dword, how.clone(), *value);
    SeccompRule::new(conditions.iter().map(condition).collect::<Result<_, _>>()?)
}

/// Refuses the second set of numbers that x86-64 kernels may have for the same calls.
fn other_numbers() -> Vec<sock_filter> {
    const X32: u32 = 0x4000_0000;
    if cfg!(not(target_arch = "x86_64")) {
        return Vec::new();
    }
    let step = |code: u32, jf: u8, k: u32| sock_filter { code: code as u16, jt: 0, jf, k };
    let refuse = libc::SECCOMP_RET_ERRNO | EPERM as u32;
    vec![
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 1, X32),
        step(libc::BPF_RET | libc::BPF_K, 0, refuse),
    ]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// What `call` gives on a thread that is held: 0, or the error.
    fn tried(cuda: bool, call: impl FnOnce() -> c_long + Send + 'static) -> i32 {
        let held = move || {
            hold(cuda).unwrap();
            if call() < 0 { std::io::Error::last_os_error().raw_os_error().unwrap() } else { 0 }
        };
        std::thread::spawn(held).join().unwrap()
    }

    fn socket(domain: i32, kind: i32) -> impl FnOnce() -> c_long {
        // SAFETY: plain calls; the descriptor is closed again.
        move || unsafe {
            let fd = libc::socket(domain, kind | libc::SOCK_CLOEXEC, 0);
            c_long::from(if fd < 0 { fd } else { libc::close(fd) })
        }
    }

    #[test]
    fn a_gpus_driver_has_its_socket_and_nobody_has_another() {
        for kind in [libc::SOCK_STREAM, libc::SOCK_SEQPACKET] {
            assert_eq!(tried(true, socket(libc::AF_UNIX, kind)), 0);
            assert_eq!(tried(false, socket(libc::AF_UNIX, kind)), EPERM);
        }
        for (domain, kind) in [
            (libc::AF_UNIX, libc::SOCK_DGRAM),
            (libc::AF_INET, libc::SOCK_STREAM),
            (libc::AF_INET6, libc::SOCK_DGRAM),
            (libc::AF_NETLINK, libc::SOCK_RAW),
        ] {
            assert_eq!(tried(true, socket(domain, kind)), EPERM, "{domain} {kind}");
        }
    }

    #[test]
    fn a_thread_is_started_and_a_process_is_not() {
        let started = tried(false, || std::thread::spawn(|| 7).join().unwrap());
        assert_eq!(started, 0);
        let program = || match std::process::Command::new("true").status() {
            Ok(_) => 0,
            Err(_) => -1,
        };
        assert_eq!(tried(false, program), EPERM);
        // SAFETY: a child, were there one, would end at once.
        let fork = || unsafe {
            match libc::fork() {
                0 => libc::_exit(0),
                pid => c_long::from(pid),
            }
        };
        assert_eq!(tried(false, fork), EPERM);
    }

    #[test]
    fn no_program_takes_the_place_of_this_one() {
        // SAFETY: the lists are empty and end as they must; there is no such program.
        let exec = || unsafe {
            let nothing = [std::ptr::null()];
            libc::execve(c"/nowhere".as_ptr(), nothing.as_ptr(), nothing.as_ptr()).into()
        };
        assert_eq!(tried(false, exec), EPERM);
    }

    #[test]
    fn a_signal_reaches_this_process_and_its_parent_not() {
        // SAFETY: signal 0 does nothing.
        assert_eq!(tried(false, || unsafe { libc::kill(libc::getpid(), 0).into() }), 0);
        // SAFETY: as above.
        assert_eq!(tried(false, || unsafe { libc::kill(libc::getppid(), 0).into() }), EPERM);
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn the_second_numbers_of_the_calls_lead_nowhere() {
        // SAFETY: getpid takes nothing.
        assert_eq!(tried(false, || unsafe { libc::syscall(0x4000_0000 | libc::SYS_getpid) }), EPERM);
    }
}
