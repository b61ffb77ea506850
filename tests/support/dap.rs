//! An editor: a client of the Debug Adapter Protocol, over a program's pipes or TCP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use serde_json::{Value, json};

use super::scene::LIMIT;

pub struct Editor {
    send: Box<dyn Write>,
    messages: Receiver<Value>,
    /// Events that nobody has waited for yet.
    events: Vec<Value>,
    sequence: u64,
}

/// A program that goes with the test.
pub struct Server(pub Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Editor {
    /// One that starts its server, as editors do.
    pub fn start(command: &mut Command) -> (Self, Server) {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("a server");
        let output = child.stdout.take().expect("its output");
        let input = child.stdin.take().expect("its input");
        (Self::new(output, input), Server(child))
    }

    /// Starts a server that listens, and connects to it.
    pub fn connect(command: &mut Command) -> (Self, Server) {
        let mut child = command
            .args(["--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("a server");
        let mut told = BufReader::new(child.stdout.take().expect("its output"));
        let server = Server(child);
        let mut line = String::new();
        told.read_line(&mut line).expect("a line");
        let address = line
            .strip_prefix("listening at ")
            .expect("an address")
            .trim();
        let stream = TcpStream::connect(address).expect("a connection");
        let input = stream.try_clone().expect("a connection");
        (Self::new(stream, input), server)
    }

    fn new(output: impl Read + Send + 'static, input: impl Write + 'static) -> Self {
        let (send, messages) = channel();
        thread::spawn(move || {
            let mut output = BufReader::new(output);
            while let Some(message) = read(&mut output) {
                if send.send(message).is_err() {
                    return;
                }
            }
        });
        Self {
            send: Box::new(input),
            messages,
            events: Vec::new(),
            sequence: 0,
        }
    }

    /// Sends bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.send.write_all(bytes).expect("a server");
        self.send.flush().expect("a server");
    }

    pub fn send(&mut self, message: &Value) {
        let body = message.to_string();
        self.raw(format!("Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
    }

    /// The next message, whatever it is.
    pub fn next(&mut self) -> Value {
        let next = self.messages.recv_timeout(LIMIT);
        next.unwrap_or_else(|_| panic!("the server says nothing; before: {:#?}", self.events))
    }

    /// Asks, and gives the whole response.
    pub fn ask(&mut self, command: &str, arguments: Value) -> Value {
        self.sequence += 1;
        let sequence = self.sequence;
        self.send(&json!({
            "seq": sequence,
            "type": "request",
            "command": command,
            "arguments": arguments,
        }));
        loop {
            let message = self.next();
            if message["type"] != "response" {
                self.events.push(message);
                continue;
            }
            assert_eq!(message["request_seq"], sequence, "{message:#}");
            assert_eq!(message["command"], command, "{message:#}");
            return message;
        }
    }

    /// Asks for what succeeds; gives the response's body.
    pub fn done(&mut self, command: &str, arguments: Value) -> Value {
        let response = self.ask(command, arguments);
        assert_eq!(response["success"], true, "{response:#}");
        response["body"].clone()
    }

    /// Asks for what is refused; gives the reason.
    pub fn refused(&mut self, command: &str, arguments: Value) -> String {
        let response = self.ask(command, arguments);
        assert_eq!(response["success"], false, "{response:#}");
        response["message"].as_str().unwrap_or_default().to_owned()
    }

    /// The next event, or request, of a kind; gives its body, or its arguments. Those before it
    /// are forgotten.
    pub fn event(&mut self, kind: &str) -> Value {
        loop {
            let message = if self.events.is_empty() {
                self.next()
            } else {
                self.events.remove(0)
            };
            if message["event"] == kind {
                return message["body"].clone();
            }
            if message["command"] == kind {
                return message["arguments"].clone();
            }
        }
    }

    /// Where it stops next: the reason, and the top frame's line and name.
    pub fn stopped(&mut self) -> (String, u64, String) {
        let body = self.event("stopped");
        let thread = body["threadId"].clone();
        let stack = self.done("stackTrace", json!({ "threadId": thread }));
        let top = &stack["stackFrames"][0];
        (
            body["reason"].as_str().unwrap_or_default().to_owned(),
            top["line"].as_u64().unwrap_or(0),
            top["name"].as_str().unwrap_or_default().to_owned(),
        )
    }

    /// The scopes of the frame on top of a thread, by name.
    pub fn scopes(&mut self, thread: &Value) -> Vec<(String, Value)> {
        let stack = self.done("stackTrace", json!({ "threadId": thread }));
        let frame = stack["stackFrames"][0]["id"].clone();
        let scopes = self.done("scopes", json!({ "frameId": frame }));
        let scopes = scopes["scopes"].as_array().expect("scopes");
        let scope = |scope: &Value| {
            let name = scope["name"].as_str().expect("a name").to_owned();
            (name, scope["variablesReference"].clone())
        };
        scopes.iter().map(scope).collect()
    }

    /// What is in something, as `name = value`.
    pub fn open(&mut self, reference: &Value) -> Vec<String> {
        let body = self.done("variables", json!({ "variablesReference": reference }));
        let all = body["variables"].as_array().expect("variables");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let row = |row: &Value| format!("{} = {}", text(&row["name"]), text(&row["value"]));
        all.iter().map(row).collect()
    }
}

fn read(output: &mut impl BufRead) -> Option<Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if output.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        let value = line.strip_prefix("Content-Length: ").expect("a header");
        length = value.trim().parse().expect("a length");
    }
    let mut body = vec![0; length];
    output.read_exact(&mut body).ok()?;
    Some(serde_json::from_slice(&body).expect("JSON"))
}
