//! WAV and FLAC files in place of a microphone.
//!
//! A file is delivered without loss: it bypasses the ring, and is read at most
//! 4 s ahead of what its consumer has used, or at the pace of the clock when it
//! plays a microphone. The header is believed about the format and not about the
//! length, which programs that write to a pipe cannot know. Nothing here decodes
//! compressed speech other than FLAC.

use super::AudioError;
use super::capture::{AudioEvent, Inbox, Order};
use super::resample::Converter;
use std::io::{self, Cursor, Read};
use std::path::Path;
use std::time::{Duration, Instant};
use swictation_core::SAMPLE_RATE;

/// 16 kHz samples that may be on the way to a consumer.
const AHEAD: u64 = 4 * SAMPLE_RATE as u64;
/// Data lengths from here on are what sox, ffmpeg and others write to a pipe.
const UNKNOWN_LENGTH: u32 = 0x7FFF_0000;

/// Delivers the file until its end or until told to stop.
pub(super) fn play(path: &Path, speed: Option<f64>, inbox: &Inbox, on_event: &mut dyn FnMut(AudioEvent)) {
    if let Err(e) = try_play(path, speed, inbox, on_event) {
        on_event(AudioEvent::Lost(e.to_string()));
    }
}

fn try_play(
    path: &Path,
    speed: Option<f64>,
    inbox: &Inbox,
    on_event: &mut dyn FnMut(AudioEvent),
) -> Result<(), AudioError> {
    let mut recording = Recording::open(path)?;
    let (rate, channels) = (recording.rate, recording.channels);
    let mut converter = Converter::new(rate, channels)?;
    on_event(AudioEvent::Started { rate, channels, device: recording.name.clone() });
    let begun = Instant::now();
    let (mut frames, mut read, mut given, mut heard) = (Vec::new(), 0u64, 0u64, 0u64);
    // A microphone's blocks have 10 ms; a file in a hurry needs fewer of them.
    let piece = rate.div_ceil(if speed.is_some() { 100 } else { 10 });
    let mut more = Ok(true);
    while matches!(more, Ok(true)) {
        frames.clear();
        more = recording.read(piece as usize, &mut frames);
        read += (frames.len() / usize::from(channels)) as u64;
        let due = speed.map(|speed| begun + Duration::from_secs_f64(read as f64 / f64::from(rate) / speed));
        loop {
            let order = match due {
                Some(due) => inbox.until(due),
                None if given >= heard + AHEAD => Some(inbox.next()),
                None => inbox.until(begun),
            };
            match order {
                Some(Order::Stop) => return flush(&mut converter, on_event),
                Some(Order::Heard(samples)) => heard = heard.max(samples),
                Some(Order::Opened(..)) => {}
                None => break,
            }
        }
        let mut pcm = Vec::new();
        converter.push(&frames, &mut pcm)?;
        given += pcm.len() as u64;
        block(pcm, on_event);
    }
    flush(&mut converter, on_event)?;
    more.map(|_| ())
}

fn flush(converter: &mut Converter, on_event: &mut dyn FnMut(AudioEvent)) -> Result<(), AudioError> {
    let mut rest = Vec::new();
    converter.finish(&mut rest)?;
    block(rest, on_event);
    Ok(())
}

fn block(pcm: Vec<f32>, on_event: &mut dyn FnMut(AudioEvent)) {
    if !pcm.is_empty() {
        on_event(AudioEvent::Block { pcm, captured: Instant::now(), dropped: 0 });
    }
}

type Input = Box<dyn Read>;

enum Decoder {
    Wav(hound::WavReader<io::Chain<Cursor<Vec<u8>>, io::Take<Input>>>),
    Flac(Box<claxon::FlacReader<Input>>),
}

/// An open file of samples; public so that it can be fuzzed without a thread.
pub struct Recording {
    name: String,
    /// Samples per second and channel, as the file says.
    pub rate: u32,
    /// Interleaved channels, as the file says.
    pub channels: u16,
    decoder: Decoder,
    /// Interleaved samples that were decoded and not asked for yet.
    decoded: Vec<f32>,
}

impl Recording {
    fn open(path: &Path) -> Result<Self, AudioError> {
        let stdin = path.as_os_str() == "-";
        let name = if stdin { "standard input".to_owned() } else { path.display().to_string() };
        if stdin {
            return Self::new(name, Box::new(io::stdin()));
        }
        let failed = |reason: String| AudioError::File { path: name.clone(), reason };
        let file = std::fs::File::open(path).map_err(|e| failed(e.to_string()))?;
        if file.metadata().is_ok_and(|about| about.is_dir()) {
            return Err(failed("it is a directory".to_owned()));
        }
        Self::new(name, Box::new(io::BufReader::new(file)))
    }

    /// Reads what the file says of itself, and its first samples.
    ///
    /// # Errors
    /// `File` when it is neither WAV nor FLAC, or damaged; `Empty` without samples.
    pub fn new(name: String, mut input: Box<dyn Read>) -> Result<Self, AudioError> {
        let failed = |reason: String| AudioError::File { path: name.clone(), reason };
        let mut magic = [0; 4];
        input.read_exact(&mut magic).map_err(|_| failed(unknown()))?;
        let (decoder, rate, channels) = if &magic == b"fLaC" {
            let input: Input = Box::new(Cursor::new(magic).chain(input));
            let reader = claxon::FlacReader::new(input).map_err(|e| failed(e.to_string()))?;
            let info = reader.streaminfo();
            (Decoder::Flac(Box::new(reader)), info.sample_rate, info.channels as u16)
        } else if &magic == b"RIFF" {
            let (header, length) = header(&mut input).map_err(|e| failed(e.to_string()))?;
            let whole = Cursor::new(header).chain(input.take(length));
            let reader = hound::WavReader::new(whole).map_err(|e| failed(wav_reason(&e)))?;
            let spec = reader.spec();
            (Decoder::Wav(reader), spec.sample_rate, spec.channels)
        } else {
            return Err(failed(unknown()));
        };
        let mut recording = Self { name, rate, channels, decoder, decoded: Vec::new() };
        recording.decode()?;
        if recording.decoded.is_empty() {
            return Err(AudioError::Empty(recording.name));
        }
        Ok(recording)
    }

    /// Appends up to `frames` frames; false when the file ended before that many.
    ///
    /// # Errors
    /// `File` when it is damaged; what was read before is appended all the same.
    pub fn read(&mut self, frames: usize, into: &mut Vec<f32>) -> Result<bool, AudioError> {
        let wanted = frames * usize::from(self.channels);
        let mut more = Ok(true);
        while self.decoded.len() < wanted && matches!(more, Ok(true)) {
            let before = self.decoded.len();
            more = self.decode().map(|()| self.decoded.len() > before);
        }
        let count = wanted.min(self.decoded.len());
        into.extend(self.decoded.drain(..count));
        more
    }

    /// Decodes the next piece, of whole frames; nothing at the end.
    fn decode(&mut self) -> Result<(), AudioError> {
        let failed = |reason: String| AudioError::File { path: self.name.clone(), reason };
        match &mut self.decoder {
            Decoder::Wav(reader) => {
                let count = 4096 * usize::from(self.channels);
                let spec = reader.spec();
                let full = 1.0 / (1u64 << (spec.bits_per_sample.max(1) - 1)) as f32;
                let start = self.decoded.len();
                let end = match spec.sample_format {
                    hound::SampleFormat::Float => {
                        gather(reader.samples::<f32>().take(count), &mut self.decoded)
                    }
                    hound::SampleFormat::Int => {
                        let scaled = reader.samples::<i32>().take(count).map(|s| s.map(|s| s as f32 * full));
                        gather(scaled, &mut self.decoded)
                    }
                };
                let whole = (self.decoded.len() - start) / usize::from(self.channels);
                self.decoded.truncate(start + whole * usize::from(self.channels));
                end.map_err(|e| failed(wav_reason(&e)))
            }
            Decoder::Flac(reader) => {
                let full = 1.0 / (1u64 << (reader.streaminfo().bits_per_sample.max(1) - 1)) as f32;
                let block = reader.blocks().read_next_or_eof(Vec::new());
                if let Some(block) = block.map_err(|e| failed(e.to_string()))? {
                    // Found by fuzzing: each frame says its own, and claxon believes it.
                    if block.channels() != u32::from(self.channels) {
                        return Err(failed(format!(
                            "a frame has {} channels where the file has {}; it is damaged",
                            block.channels(),
                            self.channels
                        )));
                    }
                    self.decoded.reserve(block.len() as usize);
                    for at in 0..block.duration() {
                        let frame = (0..block.channels()).map(|c| block.sample(c, at) as f32 * full);
                        self.decoded.extend(frame);
                    }
                }
                Ok(())
            }
        }
    }
}

/// Appends samples up to the end of the file, wherever the header puts it.
fn gather(
    samples: impl Iterator<Item = hound::Result<f32>>,
    into: &mut Vec<f32>,
) -> Result<(), hound::Error> {
    for sample in samples {
        match sample {
            Ok(sample) => into.push(if sample.is_finite() { sample } else { 0.0 }),
            Err(hound::Error::IoError(e)) if e.raw_os_error().is_none() => return Ok(()),
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Reads a WAV file's chunks up to the samples. Returns a header with the format
/// alone and as long a data chunk as there can be, and the bytes that follow.
fn header(input: &mut Input) -> io::Result<(Vec<u8>, u64)> {
    let mut form = [0; 8];
    input.read_exact(&mut form)?;
    if &form[4..] != b"WAVE" {
        return Err(io::Error::other(unknown()));
    }
    let mut format = Vec::new();
    loop {
        let mut chunk = [0; 8];
        input.read_exact(&mut chunk).map_err(|_| io::Error::other("it ends before its samples begin"))?;
        let [i0, i1, i2, i3, l0, l1, l2, l3] = chunk;
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        // Chunks are padded to an even length.
        let padded = u64::from(length) + u64::from(length % 2);
        match &[i0, i1, i2, i3] {
            b"fmt " if length <= 4096 => {
                input.take(padded).read_to_end(&mut format)?;
                format.truncate(length as usize);
            }
            b"data" => {
                let frame = format.get(12..14).map_or(1, |b| u32::from(b[0]) + 256 * u32::from(b[1]));
                let room = u32::MAX / frame.max(1) * frame.max(1);
                let mut header = b"RIFF\xff\xff\xff\xffWAVEfmt ".to_vec();
                header.extend((format.len() as u32).to_le_bytes());
                header.extend(&format);
                header.extend(b"data");
                header.extend(room.to_le_bytes());
                let unknown = length == 0 || length >= UNKNOWN_LENGTH;
                let samples = if unknown { u64::MAX / 2 } else { u64::from(length) };
                return Ok((header, samples));
            }
            _ => drop(io::copy(&mut input.take(padded), &mut io::sink())?),
        }
    }
}

fn unknown() -> String {
    "it is neither a WAV nor a FLAC file".to_owned()
}

fn wav_reason(e: &hound::Error) -> String {
    match e {
        hound::Error::Unsupported | hound::Error::TooWide => {
            "its samples are neither PCM of 8 to 32 bits nor 32-bit float; convert it, as in \
             ffmpeg -i FILE -c:a pcm_s16le OUT.wav"
                .to_owned()
        }
        other => other.to_string(),
    }
}
