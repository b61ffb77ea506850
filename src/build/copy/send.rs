//! Bytes that one thread writes while the engine takes them.

use std::io::{self, Write as _};

use bytes::Bytes;
use futures::StreamExt as _;
use tokio::sync::mpsc;

use crate::engine::ByteStream;

/// How much is handed over at once, and how many such pieces may wait.
pub(in crate::build) const PIECE: usize = 256 * 1024;
const WAITING: usize = 8;

/// What the writer writes to.
pub(in crate::build) type Out = io::BufWriter<Pieces>;

/// What `write` writes, on a thread of its own.
pub(in crate::build) fn written(
    write: impl FnOnce(Out) -> io::Result<Out> + Send + 'static,
) -> ByteStream {
    let (send, receive) = mpsc::channel::<io::Result<Bytes>>(WAITING);
    tokio::task::spawn_blocking(move || {
        let out = io::BufWriter::with_capacity(PIECE, Pieces(send.clone()));
        if let Err(error) = write(out).and_then(|mut out| out.flush()) {
            // Nobody listens any more when the engine has failed; it says why by itself.
            let _ = send.blocking_send(Err(error));
        }
    });
    futures::stream::unfold(receive, |mut receive| async move {
        receive.recv().await.map(|piece| (piece, receive))
    })
    .boxed()
}

/// Hands what is written to the task that sends it.
pub(in crate::build) struct Pieces(mpsc::Sender<io::Result<Bytes>>);

impl io::Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = Bytes::copy_from_slice(bytes);
        match self.0.blocking_send(Ok(piece)) {
            Ok(()) => Ok(bytes.len()),
            Err(_) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
