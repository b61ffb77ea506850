//! The person's terminal itself: its size, and its raw mode for the time of a shell.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::stdio::{stdin, stdout};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

use super::shell::Terminal;

/// How often the end of a shell is looked for while nobody types.
const PATIENCE: Duration = Duration::from_millis(50);

/// The terminal of standard input.
pub struct Tty {
    before: Option<Termios>,
}

impl Tty {
    /// Remembers its modes; dropping this gives them back.
    #[must_use]
    pub fn remember() -> Self {
        Self {
            before: tcgetattr(stdin()).ok(),
        }
    }

    /// Columns and rows.
    #[must_use]
    pub fn size() -> Option<(u16, u16)> {
        let size = tcgetwinsize(stdout()).ok()?;
        (size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col, size.ws_row))
    }
}

impl Drop for Tty {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // A terminal that has gone needs no modes.
            let _ = tcsetattr(stdin(), OptionalActions::Now, before);
        }
    }
}

/// A terminal that hands every key on.
pub struct Raw {
    _before: Tty,
    over: Arc<AtomicBool>,
    /// Reads the keys.
    reader: Mutex<Option<JoinHandle<()>>>,
}

impl Raw {
    pub fn enter() -> io::Result<Self> {
        let before = Tty::remember();
        let mut modes = tcgetattr(stdin())?;
        modes.make_raw();
        tcsetattr(stdin(), OptionalActions::Now, &modes)?;
        Ok(Self {
            _before: before,
            over: Arc::default(),
            reader: Mutex::default(),
        })
    }

    /// For [`super::shell::attach`]; to be called inside the runtime.
    pub fn terminal(&self, kind: String) -> Terminal {
        let (send, keys) = mpsc::channel(16);
        let over = Arc::clone(&self.over);
        let reader = std::thread::spawn(move || read_keys(&send, &over));
        *self.reader.lock().unwrap_or_else(PoisonError::into_inner) = Some(reader);
        let (resized, size) = watch::channel(Tty::size().unwrap_or((80, 24)));
        tokio::spawn(async move {
            let Ok(mut changes) = signal(SignalKind::window_change()) else {
                return;
            };
            while changes.recv().await.is_some() && !resized.is_closed() {
                if let Some(size) = Tty::size() {
                    resized.send_replace(size);
                }
            }
        });
        Terminal {
            keys,
            screen: Box::pin(tokio::io::stdout()),
            size,
            kind,
        }
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        let reader = self
            .reader
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(reader) = reader.take() {
            // Otherwise it could take a key from who reads next.
            let _ = reader.join();
        }
    }
}

/// Reads keys only when there are some, so that none is taken from who reads next.
fn read_keys(send: &mpsc::Sender<Vec<u8>>, over: &AtomicBool) {
    let patience = Timespec {
        tv_sec: 0,
        tv_nsec: i64::from(PATIENCE.subsec_nanos()),
    };
    let mut bytes = [0; 4096];
    while !over.load(Ordering::SeqCst) && !send.is_closed() {
        let input = stdin();
        let mut watched = [PollFd::new(&input, PollFlags::IN)];
        match poll(&mut watched, Some(&patience)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => continue,
            Ok(_) => {}
            Err(_) => return,
        }
        match rustix::io::read(stdin(), &mut bytes) {
            Ok(count) if count > 0 => {
                if send.blocking_send(bytes[..count].to_vec()).is_err() {
                    return;
                }
            }
            Err(rustix::io::Errno::INTR) => {}
            _ => return,
        }
    }
}
