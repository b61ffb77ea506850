//! An engine's socket with a listener in between: what one client asks, and nothing of anybody
//! else's.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex};
use std::thread;

use tempfile::TempDir;

/// Passes everything on to the engine under test and keeps the request lines.
pub struct Recorder {
    dir: TempDir,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Recorder {
    pub fn start() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let listener = UnixListener::bind(dir.path().join("docker.sock")).expect("a socket");
        let requests = Arc::default();
        let kept = Arc::clone(&requests);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                serve(client, &kept);
            }
        });
        Self { dir, requests }
    }

    /// The address to give as `DOCKER_HOST`.
    pub fn address(&self) -> String {
        format!("unix://{}", self.dir.path().join("docker.sock").display())
    }

    /// The requests so far, as `METHOD /path`, without the API's version.
    pub fn requests(&self) -> Vec<String> {
        self.requests
            .lock()
            .expect("no thread panics with it")
            .clone()
    }

    /// Those that make or change something.
    pub fn changes(&self) -> Vec<String> {
        let mut requests = self.requests();
        requests.retain(|request| !request.starts_with("GET ") && !request.starts_with("HEAD "));
        requests
    }
}

fn serve(client: UnixStream, requests: &Arc<Mutex<Vec<String>>>) {
    let address = super::engine();
    let path = address
        .strip_prefix("unix://")
        .expect("an engine on a unix socket");
    let engine = UnixStream::connect(path).expect("the engine");
    let (from_client, to_engine) = (client.try_clone().unwrap(), engine.try_clone().unwrap());
    let requests = Arc::clone(requests);
    thread::spawn(move || pump(from_client, to_engine, |bytes| note(bytes, &requests)));
    thread::spawn(move || pump(engine, client, |_| ()));
}

fn pump(mut from: UnixStream, mut to: UnixStream, mut see: impl FnMut(&[u8])) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read) = from.read(&mut buffer) {
        if read == 0 {
            break;
        }
        see(&buffer[..read]);
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    drop(to.shutdown(Shutdown::Write));
}

/// A client writes a request's head in one piece, so a request line starts a piece.
fn note(bytes: &[u8], requests: &Mutex<Vec<String>>) {
    let end = bytes.iter().position(|&byte| byte == b'\r').unwrap_or(0);
    let Ok(line) = std::str::from_utf8(&bytes[..end]) else {
        return;
    };
    let Some(request) = line.strip_suffix(" HTTP/1.1") else {
        return;
    };
    let Some((method, path)) = request.split_once(' ') else {
        return;
    };
    let path = path
        .strip_prefix("/v1.")
        .and_then(|rest| rest.split_once('/'))
        .map_or(path.to_owned(), |(_, rest)| format!("/{rest}"));
    requests
        .lock()
        .expect("no thread panics with it")
        .push(format!("{method} {path}"));
}
