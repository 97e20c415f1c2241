//! The worker process as the daemon sees it: a child on two pipes.
//!
//! A writer thread takes messages from a queue, a reader thread turns frames into
//! calls of `on_news` and, when the pipe ends, into exactly one [`News::Gone`]
//! that says how the child ended. The main loop never waits for the child; a
//! child that hangs fills its own queue. Dropping a [`Worker`] kills the child.
//! Which device comes next is not decided here.

mod environment;

use std::io::{BufReader, BufWriter};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use swictation_core::config::Config;
use swictation_core::hotwords::Hotword;
use swictation_core::policy::Policy;
use swictation_core::supervise::Ending;
use swictation_core::wire::{Expect, FaultKind, FromWorker, ToWorker, WireError, read_frame, write_frame};

/// How long a child that closed its end may take to exit by itself.
const GRACE: Duration = Duration::from_secs(1);

/// What a worker tells.
#[derive(Debug)]
pub enum News {
    /// A message.
    Said(FromWorker),
    /// The last news of every worker.
    Gone(Ending),
}

/// What is needed to start a worker, except the device.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// The program, usually beside this one.
    pub program: PathBuf,
    /// The model's folder.
    pub model: PathBuf,
    /// Ask for [`FromWorker::Step`].
    pub steps: bool,
    /// The worker's log filter.
    pub log: String,
    threads: u32,
    gpu_memory_mb: u32,
    tf32: bool,
    cuda_graph: bool,
    sandbox: bool,
    context_seconds: Option<f32>,
    chunk_ms: Option<u32>,
    wait_k: Option<u32>,
    latency_ms: Option<u32>,
    policy: Option<Policy>,
    hotwords: Vec<Hotword>,
}

impl Recipe {
    /// What the configuration asks for.
    pub fn new(program: PathBuf, model: PathBuf, config: &Config, steps: bool, log: &str) -> Self {
        let Config { threads, context_seconds, chunk_ms, wait_k, latency_ms, policy, .. } = *config;
        let Config { gpu_memory_mb, tf32, cuda_graph, sandbox, .. } = *config;
        Self {
            program,
            model,
            steps,
            log: log.to_owned(),
            threads,
            gpu_memory_mb,
            tf32,
            cuda_graph,
            sandbox,
            context_seconds,
            chunk_ms,
            wait_k,
            latency_ms,
            policy,
            hotwords: config.expected.clone(),
        }
    }

    /// The same for a worker that is not confined; none when this one is not.
    pub fn unconfined(&self) -> Option<Self> {
        self.sandbox.then(|| Self { sandbox: false, ..self.clone() })
    }

    /// How a worker on `device` is confined on this system, as it tells.
    ///
    /// # Errors
    /// Why none could be asked.
    pub fn confinement(&self, device: &str) -> Result<String, String> {
        let asked = self.command(device).arg("--confinement").stdin(Stdio::null()).output();
        let told = asked.map_err(|e| format!("{} cannot be started: {e}", self.program.display()))?;
        match told.status.success() {
            true => Ok(String::from_utf8_lossy(&told.stdout).trim().to_owned()),
            false => Err(format!("{}: {}", told.status, String::from_utf8_lossy(&told.stderr).trim())),
        }
    }

    fn command(&self, device: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--model").arg(&self.model).args(["--device", device]);
        command.args(["--threads", &self.threads.to_string()]);
        let mut option = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                command.args([name, &value]);
            }
        };
        option("--context-seconds", self.context_seconds.map(|v| v.to_string()));
        option("--chunk-ms", self.chunk_ms.map(|v| v.to_string()));
        option("--wait-k", self.wait_k.map(|v| v.to_string()));
        option("--latency-ms", self.latency_ms.map(|v| v.to_string()));
        option("--policy", self.policy.map(|v| v.as_str().to_owned()));
        command.args(["--gpu-memory-mb", &self.gpu_memory_mb.to_string()]);
        let flags = [
            ("--steps", self.steps),
            ("--hotwords", !self.hotwords.is_empty()),
            ("--tf32", self.tf32),
            ("--cuda-graph", self.cuda_graph),
            ("--no-sandbox", !self.sandbox),
        ];
        command.args(flags.into_iter().filter_map(|(flag, on)| on.then_some(flag)));
        command.env_clear().envs(environment::given(std::env::vars_os()));
        command.env("SWICTATION_LOG", &self.log);
        // Since 1.29 the official builds of ONNX Runtime report to their maker and
        // leave an identifier in the person's home, unless this is set from the start.
        command.env("ORT_DISABLE_TELEMETRY", "1");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        // SAFETY: both calls are async-signal-safe and touch nothing of the parent.
        unsafe {
            command.pre_exec(|| {
                // Whatever a library of the daemon left open, or whoever started it, stays
                // with the daemon. A kernel that cannot is none that landlock is in.
                libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
                // The worker also ends when its stdin closes; this covers a
                // worker that hangs while the daemon is killed.
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            });
        }
        command
    }
}

/// A running worker. Dropping it kills the process.
#[derive(Debug)]
pub struct Worker {
    orders: Sender<ToWorker>,
    child: Arc<Mutex<Child>>,
}

impl Worker {
    /// Starts a worker on `device`; `on_news` is called on a thread of its own.
    ///
    /// A worker that cannot be started is told as [`News::Gone`], like one that
    /// ends at once, so there is one place where endings are dealt with.
    pub fn spawn(recipe: &Recipe, device: &str, on_news: impl Fn(News) + Send + 'static) -> Option<Self> {
        let started = recipe.command(device).spawn().and_then(|mut child| {
            let pipes = child.stdin.take().zip(child.stdout.take());
            pipes.map(|(to, from)| (child, to, from)).ok_or_else(|| std::io::Error::other("it has no pipes"))
        });
        let (child, to, from) = match started {
            Ok(parts) => parts,
            Err(error) => {
                let program = recipe.program.display();
                let message =
                    format!("{program} cannot be started: {error}; is Swictation installed completely?");
                on_news(News::Gone(Ending::fault(FaultKind::Runtime, message)));
                return None;
            }
        };
        let child = Arc::new(Mutex::new(child));
        let (orders, queue) = mpsc::channel();
        let expect = Expect(recipe.hotwords.clone());
        let reaped = Arc::clone(&child);
        let threads = std::thread::Builder::new()
            .name("worker-writer".into())
            .spawn(move || write(&expect, &queue, to))
            .and_then(|_| {
                let read = move || read(from, &reaped, &on_news);
                std::thread::Builder::new().name("worker-reader".into()).spawn(read)
            });
        if let Err(error) = threads {
            tracing::error!("the system gives no thread for the worker: {error}");
        }
        Some(Self { orders, child })
    }

    /// Queues a message; a worker that is gone gets none, and its end is news.
    pub fn send(&self, message: ToWorker) {
        drop(self.orders.send(message));
    }

    /// The process, for those who measure it.
    pub fn pid(&self) -> u32 {
        lock(&self.child).id()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(lock(&self.child).kill());
    }
}

fn write(expect: &Expect, queue: &Receiver<ToWorker>, to: ChildStdin) {
    let mut to = BufWriter::new(to);
    if !expect.0.is_empty()
        && let Err(error) = write_frame(&mut to, expect)
    {
        return tracing::debug!("the worker takes no hotwords: {error}");
    }
    for message in queue {
        if let Err(error) = write_frame(&mut to, &message) {
            tracing::debug!("the worker takes no more messages: {error}");
            return;
        }
    }
}

fn read(from: ChildStdout, child: &Mutex<Child>, on_news: &dyn Fn(News)) {
    let mut from = BufReader::new(from);
    let (mut fault, mut nonsense) = (None, None);
    loop {
        match read_frame::<FromWorker>(&mut from) {
            Ok(FromWorker::Fault { kind, message }) => fault = Some((kind, message)),
            Ok(message) => on_news(News::Said(message)),
            // One that is killed in the middle of a frame says nothing with it.
            Err(WireError::Closed | WireError::Io(_)) => break,
            Err(error @ WireError::Malformed { .. }) => {
                nonsense = Some(Ending::crashed(format!("swictation-worker: {error}")));
                break;
            }
        }
    }
    let status = reap(child);
    on_news(News::Gone(match fault {
        Some((kind, message)) => Ending::fault(kind, message),
        None => nonsense.unwrap_or(status),
    }));
}

/// Waits for a child whose pipe has ended; how it ended.
fn reap(child: &Mutex<Child>) -> Ending {
    let until = Instant::now() + GRACE;
    let mut ours = false;
    loop {
        let status = lock(child).try_wait();
        match status {
            Ok(Some(status)) => {
                let Some(signal) = status.signal() else {
                    let code = status.code().unwrap_or(-1);
                    return Ending::crashed(format!("swictation-worker exited with code {code}"));
                };
                let message = format!("swictation-worker was killed by signal {signal}");
                // Nothing in a worker sends itself these.
                let others = matches!(signal, libc::SIGKILL | libc::SIGTERM | libc::SIGINT) && !ours;
                return if others { Ending::killed(message) } else { Ending::crashed(message) };
            }
            Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(5)),
            Ok(None) => {
                ours = true;
                drop(lock(child).kill());
            }
            Err(error) => return Ending::crashed(format!("swictation-worker is gone: {error}")),
        }
    }
}

fn lock(child: &Mutex<Child>) -> std::sync::MutexGuard<'_, Child> {
    child.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// A file that is open for writing cannot be run, and whoever starts a process at
    /// that moment has it open, too.
    static STARTING: Mutex<()> = Mutex::new(());

    /// A worker that is this script, and what it tells.
    fn started(script: &str) -> (tempfile::TempDir, Option<Worker>, Receiver<News>) {
        let _alone = STARTING.lock().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("worker");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        let recipe = Recipe::new(program, folder.path().to_path_buf(), &Config::default(), false, "error");
        let (told, news) = mpsc::channel();
        let worker = Worker::spawn(&recipe, "cpu", move |news| drop(told.send(news)));
        (folder, worker, news)
    }

    fn end(news: &Receiver<News>) -> Ending {
        match news.recv_timeout(Duration::from_secs(60)).unwrap() {
            News::Gone(ending) => ending,
            News::Said(message) => panic!("{message:?}"),
        }
    }

    /// How a worker ends that is this script.
    fn ending(script: &str) -> Ending {
        let (_folder, _worker, news) = started(script);
        end(&news)
    }

    #[test]
    fn one_that_is_killed_in_the_middle_of_a_frame_was_killed_and_said_nothing_wrong() {
        let ended = ending("printf '\\020\\0\\0\\0half'; kill -KILL $$");
        assert_eq!((ended.fault, ended.killed), (None, true), "{ended}");
        let ended = ending("printf '\\020\\0\\0\\0half'; exit 3");
        assert_eq!((ended.fault, ended.killed), (None, false), "{ended}");
        assert!(ended.message.contains("exited with code 3"), "{ended}");
    }

    #[test]
    fn one_that_writes_nonsense_has_crashed() {
        let ended = ending("printf '\\377\\377\\377\\377'; exec sleep 60");
        assert_eq!((ended.fault, ended.killed), (None, false), "{ended}");
        assert!(ended.message.contains("cannot be understood"), "{ended}");
    }

    #[test]
    fn one_that_says_no_more_and_stays_is_ended_and_has_crashed() {
        let ended = ending("exec >&- sleep 600");
        assert_eq!((ended.fault, ended.killed), (None, false), "{ended}");
        assert!(ended.message.contains("signal 9"), "{ended}");
    }

    #[test]
    fn one_that_hangs_ends_when_nobody_wants_it_any_more() {
        let (_folder, worker, news) = started("exec sleep 600");
        drop(worker);
        assert!(end(&news).message.contains("signal 9"));
    }

    #[test]
    fn one_that_hangs_ends_with_a_daemon_that_is_killed() {
        // To the system a parent is the thread that started the process.
        let daemon = std::thread::spawn(|| started("exec sleep 600"));
        let (_folder, _worker, news) = daemon.join().unwrap();
        assert!(end(&news).message.contains("signal 9"));
    }
}
