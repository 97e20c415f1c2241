//! Microphones of a PulseAudio server, or of PipeWire in its place.
//!
//! One connection and one thread for each listening: the thread reads what the
//! server sends and writes the samples to the ring. The server is asked for one
//! channel, because some claim two for a microphone that fills only the first; at
//! the microphone's own rate, because its conversions are not ours to judge; in
//! blocks of 10 ms, because its own choice is seconds; and to keep as much as it
//! can, because a buffer of a single block loses audio whenever a machine is
//! busy. The stream of the default microphone follows the default; that of a
//! named one ends with it. Nothing here retries, and stopping never waits.

use super::{AudioError, AudioSource, Format, RtSink, choose};
use pulseaudio::protocol::stream::{BufferAttr, StreamFlags};
use pulseaudio::protocol::{
    AuthParams, AuthReply, ChannelMap, Command, CommandReply, CreateRecordStreamReply, DEFAULT_SOURCE,
    DESCRIPTOR_SIZE, Descriptor, GetSourceInfo, MAX_VERSION, Prop, Props, ProtocolError, RecordStreamParams,
    SampleFormat, SampleSpec, SetClientNameReply, SourceInfo, SourceInfoList, read_descriptor,
    read_reply_message, write_command_message,
};
use std::ffi::CStr;
use std::io::{self, BufReader, Cursor, Read};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// How long the server may take for one answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// The channel of commands and answers; all others carry audio.
const CONTROL: u32 = u32::MAX;
/// The longest answer that is believed, in bytes.
const LONGEST: u32 = 16 << 20;
/// The length of a cookie. A server that asks for none still hangs up on one of
/// another length, and a home where only PipeWire ever ran has no cookie.
const COOKIE: usize = 256;
/// What the user's volume control shows.
const NAME: &CStr = c"Swictation";

/// Connects to the server that the environment names and finds the microphone.
pub fn open(device: Option<&str>) -> Result<Box<dyn AudioSource>, AudioError> {
    let mut server = Server::connect().map_err(|e| {
        AudioError::Unavailable(format!("no PulseAudio or PipeWire server answers ({})", reason(&e)))
    })?;
    let refused = |e: ProtocolError| {
        AudioError::Unavailable(format!("the sound server offers no microphone ({})", reason(&e)))
    };
    let source = match device {
        None => {
            let default = GetSourceInfo { index: None, name: Some(DEFAULT_SOURCE.to_owned()) };
            server.ask::<SourceInfo>(&Command::GetSourceInfo(default)).map_err(refused)?
        }
        Some(wanted) => {
            let all: SourceInfoList = server.ask(&Command::GetSourceInfoList).map_err(refused)?;
            let id = |source: &SourceInfo| source.name.to_string_lossy().into_owned();
            choose(all, wanted, |source| (label(source), id(source)))?
        }
    };
    Ok(Box::new(Microphone { server: Some(server), source, named: device.is_some(), socket: None }))
}

fn reason(e: &ProtocolError) -> String {
    match e {
        ProtocolError::Io(e) => e.to_string(),
        other => other.to_string(),
    }
}

fn label(source: &SourceInfo) -> String {
    source.description.as_ref().unwrap_or(&source.name).to_string_lossy().into_owned()
}

struct Microphone {
    server: Option<Server>,
    source: SourceInfo,
    named: bool,
    /// The connection of the running stream.
    socket: Option<UnixStream>,
}

impl AudioSource for Microphone {
    fn device(&self) -> Result<String, AudioError> {
        // The server was asked when it was found.
        Ok(label(&self.source))
    }

    fn start(&mut self, sink: RtSink) -> Result<Format, AudioError> {
        let label = label(&self.source);
        let failed = |e: &dyn std::fmt::Display| {
            AudioError::Unavailable(format!("the sound server does not open {label}: {e}"))
        };
        let mut server = self.server.take().ok_or_else(|| failed(&"it was opened before"))?;
        let rate = self.source.sample_spec.sample_rate;
        let mut props = Props::new();
        props.set(Prop::ApplicationName, NAME);
        props.set(Prop::MediaName, c"Dictation");
        let stream: CreateRecordStreamReply = server
            .ask(&Command::CreateRecordStream(RecordStreamParams {
                sample_spec: SampleSpec { format: SampleFormat::Float32Le, channels: 1, sample_rate: rate },
                channel_map: ChannelMap::mono(),
                source_index: self.named.then_some(self.source.index),
                buffer_attr: BufferAttr {
                    max_length: u32::MAX,
                    fragment_size: rate.div_ceil(100) * 4,
                    ..Default::default()
                },
                flags: StreamFlags { adjust_latency: true, no_move: self.named, ..Default::default() },
                props,
                ..Default::default()
            }))
            .map_err(|e| failed(&reason(&e)))?;
        server.from.get_ref().set_read_timeout(None).map_err(|e| failed(&e))?;
        self.socket = Some(server.from.get_ref().try_clone().map_err(|e| failed(&e))?);
        std::thread::Builder::new()
            .name("audio-pulse".into())
            .spawn(move || server.deliver(stream.channel, sink))
            .map_err(|e| failed(&e))?;
        Ok(Format { rate, channels: 1, device: label })
    }

    fn stop(&mut self) {
        if let Some(socket) = self.socket.take() {
            // The thread reads the end of the connection and ends with it.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Microphone {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A connection whose client has introduced itself.
struct Server {
    from: BufReader<UnixStream>,
    version: u16,
    asked: u32,
}

impl Server {
    fn connect() -> Result<Self, ProtocolError> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, "its socket does not exist");
        let socket = UnixStream::connect(pulseaudio::socket_path_from_env().ok_or_else(missing)?)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let cookie = pulseaudio::cookie_path_from_env().and_then(|path| std::fs::read(path).ok());
        let cookie = cookie.filter(|bytes| bytes.len() == COOKIE).unwrap_or_else(|| vec![0; COOKIE]);
        let mut server = Self { from: BufReader::new(socket), version: MAX_VERSION, asked: 0 };
        let auth = AuthParams { version: MAX_VERSION, supports_shm: false, supports_memfd: false, cookie };
        let theirs: AuthReply = server.ask(&Command::Auth(auth))?;
        server.version = theirs.version.min(MAX_VERSION);
        let mut props = Props::new();
        props.set(Prop::ApplicationName, NAME);
        let _: SetClientNameReply = server.ask(&Command::SetClientName(props))?;
        Ok(server)
    }

    /// Sends a command and waits for its answer; what comes between is void.
    fn ask<T: CommandReply>(&mut self, command: &Command) -> Result<T, ProtocolError> {
        self.asked += 1;
        write_command_message(self.from.get_mut(), self.asked, command, self.version)?;
        loop {
            let mut packet = vec![0; DESCRIPTOR_SIZE];
            self.from.read_exact(&mut packet)?;
            let Descriptor { length, channel, .. } = read_descriptor(&mut packet.as_slice())?;
            if length > LONGEST {
                return Err(ProtocolError::Invalid(format!("a message of {length} bytes")));
            }
            packet.resize(DESCRIPTOR_SIZE + length as usize, 0);
            self.from.read_exact(&mut packet[DESCRIPTOR_SIZE..])?;
            if channel != CONTROL {
                continue;
            }
            match read_reply_message(&mut Cursor::new(packet), self.version) {
                Ok((number, answer)) if number == self.asked => return Ok(answer),
                Ok(_) | Err(ProtocolError::UnexpectedCommand(_)) => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// Writes the stream's samples to the sink until the connection ends.
    fn deliver(mut self, stream: u32, mut sink: RtSink) {
        let alarm = sink.alarm();
        let mut block = [0; 16 << 10];
        alarm(match self.pass(stream, &mut sink, &mut block) {
            Ok(()) => "the sound server took the microphone away".to_owned(),
            Err(ProtocolError::Io(e)) if e.kind() == io::ErrorKind::UnexpectedEof => {
                "the sound server has ended".to_owned()
            }
            Err(e) => format!("the connection to the sound server broke: {}", reason(&e)),
        });
    }

    /// What happens for every block: nothing in here allocates, except for the
    /// rare commands. Returns when the server closes the stream.
    fn pass(&mut self, stream: u32, sink: &mut RtSink, block: &mut [u8]) -> Result<(), ProtocolError> {
        loop {
            let packet = read_descriptor(&mut self.from)?;
            if packet.channel == CONTROL {
                let mut body = self.from.by_ref().take(packet.length.into());
                let command = Command::read_tag_prefixed(&mut body, self.version);
                io::copy(&mut body, &mut io::sink())?;
                if matches!(command, Ok((_, Command::RecordStreamKilled(channel))) if channel == stream) {
                    return Ok(());
                }
                continue;
            }
            let mut left = packet.length as usize;
            while left > 0 {
                let count = left.min(block.len());
                self.from.read_exact(&mut block[..count])?;
                if packet.channel == stream {
                    let (samples, _) = block[..count].as_chunks::<4>();
                    sink.write_as(samples, f32::from_le_bytes);
                }
                left -= count;
            }
        }
    }
}
