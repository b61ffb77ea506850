//! Commands in a held container: with their output piece by piece, or on a person's terminal.

use std::pin::Pin;
use std::sync::Arc;

use futures::StreamExt as _;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{mpsc, watch};

use super::command::Say;
use crate::build::{self, Command, Held};
use crate::diag::Diagnostic;
use crate::engine::{Engine, EngineError};

/// Runs a command without an input; gives its exit status.
///
/// # Errors
/// When the engine fails.
pub async fn run(held: &Held, command: &Command, say: Say<'_>) -> Result<i64, Diagnostic> {
    let failed = |error: EngineError| build::of_engine(&error);
    let mut exec = held.start(command).await.map_err(failed)?;
    let mut rest = Vec::new();
    while let Some(piece) = exec.streams.output.next().await {
        let (_, bytes) = piece.map_err(failed)?;
        rest.extend_from_slice(&bytes);
        // A character that is cut in two waits for its other half.
        let whole = match std::str::from_utf8(&rest) {
            Ok(text) => text.len(),
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(_) => rest.len(),
        };
        let text: Vec<u8> = rest.drain(..whole).collect();
        say(&String::from_utf8_lossy(&text));
    }
    say(&String::from_utf8_lossy(&rest));
    let status = held.engine().exec_status(&exec.id).await.map_err(failed)?;
    Ok(status.unwrap_or(-1))
}

/// A terminal with somebody at it.
pub struct Terminal {
    pub keys: mpsc::Receiver<Vec<u8>>,
    pub screen: Pin<Box<dyn AsyncWrite + Send>>,
    /// Columns and rows.
    pub size: watch::Receiver<(u16, u16)>,
    /// `TERM`
    pub kind: String,
}

/// Connects a terminal to a command in a container until the command ends; gives its status.
///
/// # Errors
/// When the engine fails, or the terminal.
pub async fn attach(
    engine: &Arc<dyn Engine>,
    container: &str,
    command: &Command,
    mut terminal: Terminal,
) -> Result<i64, Diagnostic> {
    let failed = |error: EngineError| build::of_engine(&error);
    let broken = |error: std::io::Error| failed(EngineError::Local(error.to_string()));
    let mut command = command.clone();
    command.stdin = true;
    let size = *terminal.size.borrow_and_update();
    command.tty = Some((size, terminal.kind.clone()));
    let mut exec = engine
        .exec(container, &command.spec())
        .await
        .map_err(failed)?;
    let mut typing = true;
    let mut sizing = true;
    loop {
        tokio::select! {
            piece = exec.streams.output.next() => match piece {
                Some(piece) => {
                    let (_, bytes) = piece.map_err(failed)?;
                    terminal.screen.write_all(&bytes).await.map_err(broken)?;
                    terminal.screen.flush().await.map_err(broken)?;
                }
                None => break,
            },
            keys = terminal.keys.recv(), if typing => match keys {
                Some(keys) => {
                    // What is typed after the command's end reaches nobody.
                    let sent = exec.streams.stdin.write_all(&keys).await;
                    typing = sent.is_ok() && exec.streams.stdin.flush().await.is_ok();
                }
                None => typing = false,
            },
            changed = terminal.size.changed(), if sizing => {
                sizing = changed.is_ok();
                let size = *terminal.size.borrow_and_update();
                engine.resize(&exec.id, size).await.map_err(failed)?;
            }
        }
    }
    let status = engine.exec_status(&exec.id).await.map_err(failed)?;
    Ok(status.unwrap_or(-1))
}
