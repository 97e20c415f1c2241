//! Microphones of the kernel through ALSA, where no sound server answers.
//!
//! The device is asked for its own rate, channels and sample type, in blocks of
//! 10 ms. A stream is closed on a thread of its own: when ALSA leads to a sound
//! server that died, closing hangs for ever. Nothing here retries; the pump does.

use super::{AudioError, AudioSource, Format, RtSink, choose};
use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{
    BufferSize, Error, ErrorKind, FromSample, HostId, SampleFormat, SizedSample, StreamConfig,
    SupportedStreamConfig,
};
use std::mem::ManuallyDrop;
use std::time::Duration;

/// How long the device may take for a block.
const PATIENCE: Duration = Duration::from_secs(3);

/// Finds a device, or what ALSA's configuration makes the default.
pub fn open(device: Option<&str>) -> Result<Box<dyn AudioSource>, AudioError> {
    let unusable = |e: Error| AudioError::Unavailable(format!("ALSA cannot be used ({})", reason(&e)));
    let host = cpal::host_from_id(HostId::Alsa).map_err(unusable)?;
    let device = match device {
        None => host
            .default_input_device()
            .ok_or_else(|| AudioError::Unavailable("ALSA has no microphone".to_owned()))?,
        Some(wanted) => choose(host.input_devices().map_err(unusable)?, wanted, |device| {
            (device.to_string(), device.id().map(|id| id.id().to_owned()).unwrap_or_default())
        })?,
    };
    Ok(Box::new(Microphone { device, stream: None }))
}

fn reason(e: &Error) -> String {
    e.to_string().trim_end_matches('.').to_owned()
}

struct Microphone {
    device: cpal::Device,
    stream: Option<cpal::Stream>,
}

impl AudioSource for Microphone {
    fn device(&self) -> Result<String, AudioError> {
        self.own_config().map(|_| self.device.to_string())
    }

    fn start(&mut self, sink: RtSink) -> Result<Format, AudioError> {
        let own = self.own_config()?;
        let (label, failed) = (self.device.to_string(), |e: Error| self.unopened(&e));
        let (rate, channels) = (own.sample_rate(), own.channels());
        let buffer_size = BufferSize::Fixed(rate.div_ceil(100));
        let config = StreamConfig { channels, sample_rate: rate, buffer_size };
        let stream = match own.sample_format() {
            SampleFormat::F32 => self.build::<f32>(config, sink),
            SampleFormat::I16 => self.build::<i16>(config, sink),
            SampleFormat::I24 => self.build::<cpal::I24>(config, sink),
            SampleFormat::I32 => self.build::<i32>(config, sink),
            SampleFormat::U8 => self.build::<u8>(config, sink),
            SampleFormat::U16 => self.build::<u16>(config, sink),
            SampleFormat::F64 => self.build::<f64>(config, sink),
            other => {
                let reason = format!("{label} delivers samples as {other}, which is not understood");
                return Err(AudioError::Unavailable(reason));
            }
        }
        .map_err(failed)?;
        let playing = stream.play().map_err(failed);
        self.stream = Some(stream);
        playing?;
        Ok(Format { rate, channels, device: label })
    }

    fn stop(&mut self) {
        if let Some(stream) = self.stream.take() {
            // Without a thread to close it on, the stream is better left open
            // than closed here, where it might never return.
            let stream = ManuallyDrop::new(stream);
            let close = move || drop(ManuallyDrop::into_inner(stream));
            if let Err(e) = std::thread::Builder::new().name("audio-close".into()).spawn(close) {
                tracing::warn!("a microphone stays open: no thread to close it on: {e}");
            }
        }
    }
}

impl Drop for Microphone {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Microphone {
    fn unopened(&self, e: &Error) -> AudioError {
        AudioError::Unavailable(format!("ALSA does not open {} ({})", self.device, reason(e)))
    }

    fn own_config(&self) -> Result<SupportedStreamConfig, AudioError> {
        self.device.default_input_config().map_err(|e| self.unopened(&e))
    }

    fn build<S>(&self, config: StreamConfig, mut sink: RtSink) -> Result<cpal::Stream, Error>
    where
        S: SizedSample,
        f32: FromSample<S>,
    {
        let alarm = sink.alarm();
        self.device.build_input_stream::<S, _, _>(
            config,
            move |samples: &[S], _| sink.write_as(samples, f32::from_sample_),
            move |e| match e.kind() {
                ErrorKind::Xrun | ErrorKind::DeviceChanged | ErrorKind::RealtimeDenied => {}
                _ => alarm(reason(&e)),
            },
            Some(PATIENCE),
        )
    }
}
