//! A web server for what is fetched: the files of a folder, on the loopback.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;

/// Serves until it is dropped. A file `NAME.headers` beside a file holds further header lines,
/// its first line the status when it is not 200: `302 Found`.
pub struct Server {
    address: String,
    port: u16,
    folder: Arc<OnceLock<PathBuf>>,
    stop: Arc<AtomicBool>,
}

impl Server {
    pub fn start() -> Result<Self, String> {
        let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
        let port = listener
            .local_addr()
            .map_err(|error| error.to_string())?
            .port();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let folder = Arc::new(OnceLock::new());
        let served: Arc<OnceLock<PathBuf>> = Arc::clone(&folder);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let (Ok(stream), Some(folder)) = (stream, served.get().cloned()) else {
                    continue;
                };
                // A client that goes away is no concern of ours.
                thread::spawn(move || drop(answer(&stream, &folder)));
            }
        });
        Ok(Self {
            address: format!("http://127.0.0.1:{port}"),
            port,
            folder,
            stop,
        })
    }

    /// From now on the files of this folder are there.
    pub fn serve(&self, folder: PathBuf) {
        // There is one folder for the whole case.
        drop(self.folder.set(folder));
    }

    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

fn answer(mut stream: &TcpStream, folder: &Path) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 && !line.trim().is_empty() {
        line.clear();
    }
    let mut words = request.split(' ');
    let method = words.next().unwrap_or_default();
    let path = words.next().unwrap_or_default();
    let path = path.split('?').next().unwrap_or_default();
    let file = folder.join(path.trim_start_matches('/'));
    let named = fs::read_to_string(format!("{}.headers", file.display())).unwrap_or_default();
    let mut status = "200 OK".to_owned();
    let mut headers = String::new();
    for line in named.lines() {
        if line.contains(':') {
            headers.push_str(&format!("{line}\r\n"));
        } else {
            line.clone_into(&mut status);
        }
    }
    let body = match fs::read(&file) {
        Ok(body) => body,
        Err(_) if named.is_empty() => {
            "404 Not Found".clone_into(&mut status);
            Vec::new()
        }
        Err(_) => Vec::new(),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n",
        body.len()
    )?;
    if method != "HEAD" {
        stream.write_all(&body)?;
    }
    stream.flush()
}
