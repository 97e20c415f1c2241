//! Passing what was copied through a pipe whose other end may be gone, or hang, and hearing
//! of it on the socket of a connection that another library reads.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::time::timeout;

/// How long a program may take to fetch what it wants.
const FETCHING: Duration = Duration::from_secs(2);

/// The socket of a connection, which never waits for itself: it tells when there is something
/// to read, which it need not be a Unix socket for.
pub(in crate::typist) fn listening(connection: impl AsFd) -> io::Result<UnixStream> {
    let socket = net::UnixStream::from(connection.as_fd().try_clone_to_owned()?);
    socket.set_nonblocking(true)?;
    UnixStream::from_std(socket)
}

/// Writes all of it, if it is fetched in time; whether it was.
pub(in crate::typist) async fn write(sink: OwnedFd, bytes: &[u8]) -> bool {
    timeout(FETCHING, write_all(sink, bytes)).await.is_ok_and(|written| written.is_ok())
}

async fn write_all(sink: OwnedFd, mut bytes: &[u8]) -> io::Result<()> {
    let sink = pipe::Sender::from_owned_fd(sink)?;
    while !bytes.is_empty() {
        sink.writable().await?;
        match sink.try_write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Reads to the end; none when there are more than `most` bytes.
pub(in crate::typist) async fn read(source: OwnedFd, most: usize) -> io::Result<Option<Vec<u8>>> {
    let source = pipe::Receiver::from_owned_fd(source)?;
    let (mut bytes, mut part) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        source.readable().await?;
        match source.try_read(&mut part) {
            Ok(0) => return Ok(Some(bytes)),
            Ok(count) if bytes.len() + count > most => return Ok(None),
            Ok(count) => bytes.extend(&part[..count]),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) => return Err(e),
        }
    }
}
