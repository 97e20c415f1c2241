//! Microphones through cpal: a PulseAudio server (or PipeWire's), else ALSA.
//!
//! The server is asked for one channel, because some claim two for a microphone
//! that fills only the first, and for blocks of 10 ms, because their own choice
//! may be seconds. ALSA is asked for what the device does by itself. A stream is
//! closed on a thread of its own: closing one whose server died can hang for
//! ever. Nothing here retries; the pump does.

use super::{AudioError, AudioSource, Format, RtSink};
use ::cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use ::cpal::{BufferSize, Error, ErrorKind, FromSample, HostId, SampleFormat, SizedSample, StreamConfig};
use std::time::Duration;

/// How long the server may take to make a stream.
const PATIENCE: Duration = Duration::from_secs(3);

/// A microphone of the PulseAudio or PipeWire server.
pub fn pulseaudio(device: Option<&str>) -> Result<Box<dyn AudioSource>, AudioError> {
    find(HostId::PulseAudio, "no PulseAudio or PipeWire server answers", device)
}

/// A microphone of the kernel, or what ALSA's configuration makes the default.
pub fn alsa(device: Option<&str>) -> Result<Box<dyn AudioSource>, AudioError> {
    find(HostId::Alsa, "ALSA cannot be used", device)
}

struct Microphone {
    device: ::cpal::Device,
    host: HostId,
    stream: Option<::cpal::Stream>,
}

fn find(id: HostId, trouble: &str, name: Option<&str>) -> Result<Box<dyn AudioSource>, AudioError> {
    let unusable = |e: Error| AudioError::Unavailable(format!("{trouble} ({e})"));
    let host = ::cpal::host_from_id(id).map_err(unusable)?;
    let device = match name {
        None => host
            .default_input_device()
            .ok_or_else(|| AudioError::Unavailable(format!("{id} has no microphone")))?,
        Some(name) => named(host.input_devices().map_err(unusable)?.collect(), name)?,
    };
    Ok(Box::new(Microphone { device, host: id, stream: None }))
}

/// The device called so; else one whose name contains it, in any case, and
/// rather a microphone than what a loudspeaker plays.
fn named(devices: Vec<::cpal::Device>, name: &str) -> Result<::cpal::Device, AudioError> {
    let wanted = name.to_lowercase();
    let mut best = None;
    let mut there = Vec::new();
    for device in devices {
        let label = device.to_string();
        let id = device.id().map(|id| id.id().to_owned()).unwrap_or_default();
        let exact = label == name || id == name;
        let part = label.to_lowercase().contains(&wanted) || id.to_lowercase().contains(&wanted);
        let rank = if exact { 3 } else { u8::from(part) * (1 + u8::from(!id.ends_with(".monitor"))) };
        if rank > best.as_ref().map_or(0, |(rank, _)| *rank) {
            best = Some((rank, device));
        }
        there.push(label);
    }
    best.map(|(_, device)| device).ok_or_else(|| AudioError::NotFound { name: name.to_owned(), there })
}

impl AudioSource for Microphone {
    fn start(&mut self, sink: RtSink) -> Result<Format, AudioError> {
        let label = self.device.to_string();
        let host = self.host;
        let failed = |e: Error| {
            let reason = e.to_string();
            let reason = reason.trim_end_matches('.');
            AudioError::Unavailable(format!("{label} ({host}) cannot be opened: {reason}"))
        };
        let own = self.device.default_input_config().map_err(failed)?;
        let (channels, sample) = match self.host {
            // The server converts; it is asked for no more than that.
            HostId::PulseAudio => (1, SampleFormat::F32),
            _ => (own.channels(), own.sample_format()),
        };
        let config = StreamConfig {
            channels,
            sample_rate: own.sample_rate(),
            buffer_size: BufferSize::Fixed(own.sample_rate().div_ceil(100)),
        };
        let stream = match sample {
            SampleFormat::F32 => self.build::<f32>(config, sink),
            SampleFormat::I16 => self.build::<i16>(config, sink),
            SampleFormat::I24 => self.build::<::cpal::I24>(config, sink),
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
        let playing = stream.play();
        self.stream = Some(stream);
        playing.map_err(failed)?;
        Ok(Format { rate: config.sample_rate, channels, device: label })
    }

    fn stop(&mut self) {
        if let Some(stream) = self.stream.take() {
            // Without a thread to close it on, the stream is better left open
            // than closed here, where it might never return.
            let stream = std::mem::ManuallyDrop::new(stream);
            let close = move || drop(std::mem::ManuallyDrop::into_inner(stream));
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
    fn build<S>(&self, config: StreamConfig, mut sink: RtSink) -> Result<::cpal::Stream, Error>
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
                _ => alarm(e.to_string()),
            },
            Some(PATIENCE),
        )
    }
}
