//! Runs many steps in one container: each over the layers that it stands on, in namespaces of
//! its own, so that it sees what it would see in a container of its own.
//!
//! `init share` takes orders and makes a process of `init room` for each step; see `room.rs`
//! for what that does. `init apply N` makes the layer N the container's own.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;

use super::layer;
use super::wire::SETUP_FAILED;
use super::wire::share::{Frame, LAYERS, LayerFile, LayerKind, Order};

/// How much of a command's output or of a layer goes into a frame.
const PIECE: usize = 128 << 10;

/// How many parts of a layer may wait until they are put in place.
const PARTS: usize = 4;

/// Where the frames go, a whole one at a time.
#[derive(Clone)]
struct Out(Arc<Mutex<io::Stdout>>);

impl Out {
    /// Nobody listens any more when this fails; the container's end is near.
    fn send(&self, number: u32, frame: &Frame) {
        if let Ok(mut out) = self.0.lock() {
            let _ = frame.write(number, &mut *out);
        }
    }
}

/// Takes orders until there are no more.
pub(crate) fn serve() -> i32 {
    let out = Out(Arc::new(Mutex::new(io::stdout())));
    let tried = Command::new(OWN).arg("room").stdin(Stdio::null()).output();
    let unable = match tried {
        Ok(tried) if tried.status.success() => None,
        Ok(tried) => Some(String::from_utf8_lossy(&tried.stderr).trim().to_owned()),
        Err(error) => Some(error.to_string()),
    };
    if let Some(reason) = unable {
        out.send(0, &Frame::Unable(reason));
        return 0;
    }
    out.send(0, &Frame::Ready);
    let mut input = io::stdin().lock();
    let mut puts: BTreeMap<u32, SyncSender<Vec<u8>>> = BTreeMap::new();
    loop {
        match Order::read(&mut input) {
            Ok(Some(Order::Put {
                number,
                below,
                last,
                part,
            })) => {
                let parts = puts.entry(number).or_insert_with(|| {
                    let (parts, coming) = mpsc::sync_channel(PARTS);
                    let out = out.clone();
                    thread::spawn(move || match put(number, &below, &coming) {
                        Ok(()) => out.send(number, &Frame::Taken),
                        Err(error) => out.send(number, &Frame::Failed(error.to_string())),
                    });
                    parts
                });
                // One that failed has said so.
                let _ = parts.send(part);
                if last {
                    puts.remove(&number);
                }
            }
            Ok(Some(order)) => {
                let out = out.clone();
                thread::spawn(move || follow(order, &out));
            }
            Ok(None) => return 0,
            Err(_) => return SETUP_FAILED,
        }
    }
}

/// This very program.
const OWN: &str = "/proc/self/exe";

fn follow(order: Order, out: &Out) {
    match order {
        Order::Run {
            number,
            below,
            request,
        } => {
            let ended = run(number, &below, &request, out);
            let (status, failed) = match ended {
                Ok(status) => (code(status), None),
                Err(error) => (SETUP_FAILED, Some(error.to_string())),
            };
            if let Some(failed) = failed {
                return out.send(number, &Frame::Failed(failed));
            }
            match layer::size(&upper(number)) {
                Ok(size) => out.send(number, &Frame::Ended { status, size }),
                Err(error) => out.send(number, &Frame::Failed(error.to_string())),
            }
        }
        Order::Put { .. } => {}
        Order::Take { number } => match take(number, out) {
            Ok(()) => out.send(number, &Frame::Taken),
            Err(error) => out.send(number, &Frame::Failed(error.to_string())),
        },
    }
}

fn code(status: ExitStatus) -> i32 {
    let killed = status.signal().map(|signal| 128 + signal);
    status.code().or(killed).unwrap_or(SETUP_FAILED)
}

fn run(number: u32, below: &[u32], request: &[u8], out: &Out) -> io::Result<ExitStatus> {
    let numbers = [number].into_iter().chain(below.iter().copied());
    let mut child = Command::new(OWN)
        .arg("room")
        .args(numbers.map(|number| number.to_string()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    feed(&mut child, request);
    let stdout = child.stdout.take().map(|from| {
        let out = out.clone();
        thread::spawn(move || pump(from, |bytes| out.send(number, &Frame::Stdout(bytes))))
    });
    if let Some(from) = child.stderr.take() {
        pump(from, |bytes| out.send(number, &Frame::Stderr(bytes)));
    }
    if let Some(stdout) = stdout {
        let _ = stdout.join();
    }
    child.wait()
}

/// A step that ended before it took this says itself why.
fn feed(child: &mut Child, request: &[u8]) {
    if let Some(mut stdin) = child.stdin.take() {
        let _ = stdin.write_all(request);
    }
}

fn pump(mut from: impl Read, mut send: impl FnMut(Vec<u8>)) {
    let mut buffer = vec![0; PIECE];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => send(buffer[..length].to_vec()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

fn take(number: u32, out: &Out) -> io::Result<()> {
    let mut part = Vec::new();
    layer::walk(&upper(number), &mut |mut file, from| {
        if matches!(file.kind, LayerKind::File) {
            file.content = fs::read(from)?;
        }
        part.extend(file.encode());
        if part.len() >= PIECE {
            out.send(number, &Frame::Part(std::mem::take(&mut part)));
        }
        Ok(())
    })?;
    out.send(number, &Frame::Part(part));
    Ok(())
}

/// Makes a layer of entries that come in parts.
fn put(number: u32, below: &[u32], parts: &Receiver<Vec<u8>>) -> io::Result<()> {
    super::room::prepare(number, below)?;
    let root = upper(number);
    let mut putting = layer::Putting::new(&root);
    for part in parts {
        let files = LayerFile::decode_all(&part);
        for file in files.map_err(|error| io::Error::other(error.to_string()))? {
            putting.put(file, None)?;
        }
    }
    putting.finish()
}

/// The directory of a layer's files.
pub(crate) fn upper(number: u32) -> PathBuf {
    Path::new(LAYERS).join(number.to_string()).join("u")
}
