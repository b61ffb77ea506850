//! Shows the network that the program finds itself in: `init probe [URL...]`.
//!
//! Writes sections to standard output, each after a line `== NAME`: files of the kernel and of
//! `/etc` as they are, and for each URL one line on how it answered. Of an answer only the
//! status line is shown, because the rest may be a credential.

use std::io::{self, BufRead as _, BufReader, Read as _, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::{Duration, Instant};

/// The files that are shown.
const FILES: [&str; 8] = [
    "/proc/sys/kernel/hostname",
    "/proc/net/dev",
    "/proc/net/fib_trie",
    "/proc/net/if_inet6",
    "/proc/net/route",
    "/proc/net/ipv6_route",
    "/etc/resolv.conf",
    "/etc/hosts",
];

/// How long one address may take to connect, and an answer to come.
const PATIENCE: Duration = Duration::from_secs(4);

/// The longest status line that is read.
const MAX_LINE: u64 = 256;

pub(crate) fn show(urls: &[String], out: &mut impl Write) -> io::Result<()> {
    for path in FILES {
        writeln!(out, "== {path}")?;
        // What this kernel does not have is shown empty.
        out.write_all(&std::fs::read(path).unwrap_or_default())?;
        writeln!(out)?;
    }
    for url in urls {
        writeln!(out, "== {url}")?;
        let began = Instant::now();
        let answer = reach(url);
        let took = began.elapsed().as_millis();
        match answer {
            Ok(answer) => writeln!(out, "{answer}, after {took} ms")?,
            Err(reason) => writeln!(out, "failed after {took} ms: {reason}")?,
        }
    }
    out.flush()
}

/// Connects; over plain HTTP also asks, without following what the answer says.
fn reach(url: &str) -> Result<String, String> {
    let (secure, rest) = match url.split_once("://") {
        Some(("http", rest)) => (false, rest),
        Some(("https", rest)) => (true, rest),
        Some((other, _)) => return Err(format!("`{other}` is neither http nor https")),
        None => (false, url),
    };
    let (host, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let default = if secure { 443 } else { 80 };
    let (name, port) = split_port(host, default).ok_or_else(|| format!("`{host}` has no port number"))?;
    let addresses = (name, port)
        .to_socket_addrs()
        .map_err(|error| format!("cannot resolve `{name}`: {error}"))?;
    let mut reason = format!("`{name}` has no address");
    for address in addresses {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) if secure => {
                drop(stream);
                return Ok(format!("{address} accepts connections (TLS was not tried)"));
            }
            Ok(stream) => {
                let status = ask(stream, host, path).map_err(|error| format!("{address}: {error}"))?;
                return Ok(format!("{address} answers `{status}`"));
            }
            Err(error) => reason = format!("{address}: {error}"),
        }
    }
    Err(reason)
}

fn ask(mut stream: TcpStream, host: &str, path: &str) -> io::Result<String> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: bowline\r\nConnection: close\r\n\r\n"
    )?;
    let mut line = Vec::new();
    BufReader::new(stream.take(MAX_LINE)).read_until(b'\n', &mut line)?;
    let text = String::from_utf8_lossy(&line);
    Ok(text.trim().chars().filter(|char| !char.is_control()).collect())
}

/// `name`, `name:port`, `[v6]`, `[v6]:port`
fn split_port(host: &str, default: u16) -> Option<(&str, u16)> {
    if let Some(rest) = host.strip_prefix('[') {
        let (name, rest) = rest.split_once(']')?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((name, port.parse().ok()?)),
            None => Some((name, default)),
        };
    }
    match host.split_once(':') {
        Some((name, port)) => Some((name, port.parse().ok()?)),
        None => Some((host, default)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports() {
        for (host, want) in [
            ("a", Some(("a", 80))),
            ("a:8080", Some(("a", 8080))),
            ("[fd00::1]", Some(("fd00::1", 80))),
            ("[fd00::1]:81", Some(("fd00::1", 81))),
            ("a:b", None),
        ] {
            assert_eq!(split_port(host, 80), want, "{host}");
        }
    }

    #[test]
    fn an_answer_is_shown_without_its_body() {
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        let answering = std::thread::spawn(move || {
            let (mut stream, _) = server.accept().unwrap();
            let mut request = String::new();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            while !request.ends_with("\r\n\r\n") {
                reader.read_line(&mut request).unwrap();
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nhidden").unwrap();
            request
        });
        let answer = reach(&format!("http://{address}/a/b")).unwrap();
        assert_eq!(answer, format!("{address} answers `HTTP/1.1 200 OK`"));
        let request = answering.join().unwrap();
        assert!(request.starts_with("GET /a/b HTTP/1.1\r\n"), "{request}");
        assert!(reach("ftp://x").unwrap_err().contains("neither"));
    }
}
