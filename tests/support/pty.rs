//! A person at a real terminal: types, and reads what its screen shows.

use std::io::{Read as _, Write};
use std::num::NonZeroU16;
use std::process::Command;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use super::scene::LIMIT;

/// More rows than any session fills, so that nothing leaves the screen.
const ROWS: u16 = 2000;

/// How long a person waits for a program that says nothing.
const LOOK: Duration = Duration::from_millis(100);

pub struct Pty {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    pieces: Receiver<Vec<u8>>,
    screen: vt100::Parser,
    /// How much of the screen was read.
    read: usize,
}

impl Pty {
    /// Starts a program at a terminal of 80 columns.
    pub fn start(command: &Command) -> Self {
        let size = PtySize {
            rows: ROWS,
            cols: 80,
            pixel_width: 0,
            pixel_height: 0,
        };
        let pair = native_pty_system().openpty(size).expect("a terminal");
        let mut builder = CommandBuilder::new(command.get_program());
        builder.args(command.get_args());
        builder.env_clear();
        for (name, value) in command.get_envs() {
            builder.env(name, value.expect("a value"));
        }
        builder.env("TERM", "xterm");
        builder.cwd(super::root());
        let child = pair.slave.spawn_command(builder).expect("a program");
        drop(pair.slave);
        let mut output = pair.master.try_clone_reader().expect("the terminal");
        let (send, pieces) = channel();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                if send.send(bytes[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        let keys = pair.master.take_writer().expect("the terminal");
        Self {
            child,
            master: pair.master,
            keys,
            pieces,
            screen: vt100::Parser::new(size_of(ROWS), size_of(80), 0),
            read: 0,
        }
    }

    pub fn resize(&mut self, columns: u16) {
        let size = PtySize {
            rows: ROWS,
            cols: columns,
            pixel_width: 0,
            pixel_height: 0,
        };
        self.master.resize(size).expect("a terminal");
    }

    pub fn keys(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("a terminal");
        self.keys.flush().expect("a terminal");
    }

    fn text(&self) -> String {
        let text = self.screen.screen().contents();
        let lines = text.lines().map(str::trim_end);
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Waits until the screen ends with this; gives what is new on it, that included.
    pub fn until(&mut self, end: &str) -> String {
        let began = Instant::now();
        loop {
            let text = self.text();
            let new = text.get(self.read..).unwrap_or_default();
            if new.trim_end().ends_with(end.trim_end()) && !new.trim().is_empty() {
                let new = new.to_owned();
                self.read = text.len();
                return new;
            }
            match self.pieces.recv_timeout(LOOK) {
                Ok(piece) => self.screen.process(&piece),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("the program ended without `{end}`:\n{text}")
                }
            }
            assert!(
                began.elapsed() < LIMIT,
                "there is no `{end}` on the screen:\n{}",
                self.text()
            );
        }
    }

    /// Waits for the program's end; gives its exit code and what is new on the screen.
    pub fn end(&mut self) -> (u32, String) {
        let began = Instant::now();
        loop {
            match self.pieces.recv_timeout(LOOK) {
                Ok(piece) => self.screen.process(&piece),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    // A terminal may stay open after its program.
                    if self.child.try_wait().expect("a program").is_some() {
                        break;
                    }
                }
            }
            assert!(began.elapsed() < LIMIT, "it does not end:\n{}", self.text());
        }
        let status = self.child.wait().expect("a program");
        let text = self.text();
        let new = text.get(self.read..).unwrap_or_default().to_owned();
        (status.exit_code(), new)
    }
}

fn size_of(count: u16) -> NonZeroU16 {
    NonZeroU16::new(count).expect("more than none")
}

impl Drop for Pty {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
    }
}
