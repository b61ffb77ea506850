//! A bad line to a server: connections that break off in the middle, or fall silent.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// What becomes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It ends after so many bytes of the answer.
    DropAnswer(usize),
    /// It ends after so many bytes of the request.
    DropRequest(usize),
    /// Nothing comes back any more after so many bytes of the answer.
    Stall(usize),
    None,
}

/// A proxy before a server; it lasts as long as the test program.
pub struct BadLine {
    pub address: String,
    connections: Arc<AtomicUsize>,
}

impl BadLine {
    /// `faults` are those of the first connections, one after the other, again and again; every
    /// `None` among them is a good one.
    pub fn to(server: &str, faults: &'static [Fault]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let server = server.to_owned();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let index = counted.fetch_add(1, Ordering::Relaxed);
                let fault = faults[index % faults.len()];
                let server = TcpStream::connect(&server);
                let Ok(server) = server else { continue };
                carry(client, server, fault);
            }
        });
        Self {
            address,
            connections,
        }
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

fn carry(client: TcpStream, server: TcpStream, fault: Fault) {
    let ends = |stream: &TcpStream| stream.try_clone().expect("a socket");
    let (from, to) = (ends(&client), ends(&server));
    let asked = match fault {
        Fault::DropRequest(after) => Some(after),
        _ => None,
    };
    thread::spawn(move || copy(from, to, asked, false));
    let (answered, silent) = match fault {
        Fault::DropAnswer(after) => (Some(after), false),
        Fault::Stall(after) => (Some(after), true),
        _ => (None, false),
    };
    thread::spawn(move || copy(server, client, answered, silent));
}

/// Copies up to a limit, and then ends both, or keeps both open and is silent.
fn copy(mut from: TcpStream, mut to: TcpStream, limit: Option<usize>, silent: bool) {
    let mut buffer = [0; 4096];
    let mut left = limit.unwrap_or(usize::MAX);
    while left > 0 {
        let most = left.min(buffer.len());
        match from.read(&mut buffer[..most]) {
            Ok(read) if read > 0 && to.write_all(&buffer[..read]).is_ok() => left -= read,
            _ => break,
        }
    }
    if silent && left == 0 {
        // Until the client gives up.
        while matches!(from.read(&mut buffer), Ok(read) if read > 0) {}
    }
    drop(to.shutdown(Shutdown::Both));
    drop(from.shutdown(Shutdown::Both));
}
