//! A recognizer that has the faults of a plan, around one that has none.
//!
//! What it gives is what the one inside gives, and it counts the audio of the
//! dictation to know when something is due. A fault is had before the step that would
//! decode the audio it stands at.

use crate::gpu::{FULL, Gpu};
use crate::plan::{Deed, Faults, Moment};
use std::time::{Duration, Instant};
use swictation_asr::{AsrError, Belief, Recognizer};
use swictation_core::SamplePos;
use swictation_core::time::SAMPLE_RATE;
use swictation_core::wire::EngineInfo;

/// The recognizer and what goes wrong with it.
pub(crate) struct Faulty {
    inner: Box<dyn Recognizer>,
    faults: Faults,
    gpu: Option<Gpu>,
    /// The audio since the beginning of the utterance, and how much of it was decoded.
    start: SamplePos,
    end: SamplePos,
    decoded: SamplePos,
    /// An error after which nothing works.
    broken: Option<String>,
}

impl Faulty {
    /// Puts faults around a recognizer that was just loaded.
    pub(crate) fn load(
        inner: Box<dyn Recognizer>,
        faults: Faults,
        gpu: Option<Gpu>,
    ) -> Result<Self, AsrError> {
        gpu.as_ref().map_or(Ok(()), Gpu::load)?;
        let (start, end, decoded) = Default::default();
        let mut faulty = Self { inner, faults, gpu, start, end, decoded, broken: None };
        if let Err(error) = faulty.suffer(&Moment::Load) {
            // Nothing is on the device yet, so the runtime has nothing to abort over.
            faulty.gpu = None;
            return Err(error);
        }
        Ok(faulty)
    }

    fn heard_from(&mut self, at: SamplePos) {
        (self.start, self.end, self.decoded) = (at, at, at);
    }

    /// Has all that is due now.
    fn suffer(&mut self, moment: &Moment) -> Result<(), AsrError> {
        if let Some(error) = &self.broken {
            return Err(AsrError::of_run(error.clone()));
        }
        while let Some(deed) = self.faults.due(moment) {
            let error = match deed {
                Deed::Error(text) => text,
                Deed::Oom => FULL.to_owned(),
                Deed::Lose => {
                    self.gpu.iter().for_each(Gpu::lose);
                    continue;
                }
                deed => {
                    happen(&deed);
                    continue;
                }
            };
            self.broken = Some(error.clone());
            return Err(AsrError::of_run(error));
        }
        let computed = self.gpu.as_ref().map_or(Ok(()), Gpu::run);
        if let (Err(error), Moment::Step(_) | Moment::Finish(_)) = (&computed, moment) {
            self.broken = Some(error.to_string());
            return computed;
        }
        Ok(())
    }

    /// Calls the recognizer inside, and takes as long as the plan says.
    fn decode<T>(
        &mut self,
        moment: Moment,
        call: impl FnOnce(&mut dyn Recognizer) -> Result<T, AsrError>,
        stepped: impl FnOnce(&T) -> bool,
    ) -> Result<T, AsrError> {
        self.suffer(&moment)?;
        let began = Instant::now();
        let done = call(self.inner.as_mut())?;
        if stepped(&done) {
            let audio = self.end.since(self.decoded) as f64 / f64::from(SAMPLE_RATE);
            let wanted = Duration::from_secs_f64(audio * self.faults.slowness(&moment));
            // A slow model is one whose steps take time: nothing else tells it.
            std::thread::sleep(wanted.saturating_sub(began.elapsed()));
            self.decoded = self.end;
        }
        Ok(done)
    }
}

impl Recognizer for Faulty {
    fn info(&self) -> EngineInfo {
        let info = self.inner.info();
        match &self.gpu {
            Some(gpu) => EngineInfo { provider: gpu.provider.clone(), ..info },
            None => info,
        }
    }

    fn begin(&mut self, at: SamplePos, typed: &[String]) {
        self.faults.read();
        self.heard_from(at);
        self.inner.begin(at, typed);
    }

    fn follow(&mut self, at: SamplePos) {
        self.heard_from(at);
        self.inner.follow(at);
    }

    fn feed(&mut self, pcm: &[f32]) {
        self.end = self.end + pcm.len() as u64;
        self.inner.feed(pcm);
    }

    fn step(&mut self) -> Result<Option<Belief>, AsrError> {
        self.decode(Moment::Step(self.start..self.end), |inner| inner.step(), Option::is_some)
    }

    fn end(&mut self) {
        self.inner.end();
    }

    fn finish(&mut self) -> Result<Belief, AsrError> {
        self.decode(Moment::Finish(self.start..self.end), |inner| inner.finish(), |_| true)
    }

    fn save(&self) -> Result<Vec<u8>, AsrError> {
        let positions = [self.start, self.end, self.decoded].map(|at| at.0.to_le_bytes());
        Ok([positions.concat(), self.inner.save()?].concat())
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), AsrError> {
        self.faults.read();
        let (positions, inner) = state.split_at_checked(24).unwrap_or_default();
        let mut positions = positions.chunks(8).map(|bytes| bytes.try_into().map(u64::from_le_bytes));
        let mut next = || SamplePos(positions.next().and_then(Result::ok).unwrap_or_default());
        (self.start, self.end, self.decoded) = (next(), next(), next());
        self.inner.restore(inner)
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        // As the runtime's own destructors do on a device that is gone.
        if self.gpu.is_some() && self.broken.is_some() {
            happen(&Deed::Abort);
        }
    }
}

/// What ends or stops the process.
fn happen(deed: &Deed) {
    let signal = match deed {
        Deed::Kill => libc::SIGKILL,
        Deed::Segv => libc::SIGSEGV,
        Deed::Stop => libc::SIGSTOP,
        Deed::Hang => loop {
            std::thread::park();
        },
        // SAFETY: it ends the process, and takes nothing.
        Deed::Exit => unsafe { libc::_exit(3) },
        Deed::Abort => std::process::abort(),
        Deed::Error(_) | Deed::Oom | Deed::Lose | Deed::Slow(_) => return,
    };
    // SAFETY: the signals are the system's, and what they are for is to end or stop us;
    // the language's own way of reporting a full stack must not catch one.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
    }
}
