//! Messages of the Debug Adapter Protocol: a header with their length, and JSON.

use std::io;

use serde_json::Value;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};

/// The longest message that is read, in bytes.
const MOST: usize = 16 << 20;
/// The longest header line.
const LONGEST_LINE: u64 = 8 << 10;

/// What came in.
#[derive(Debug, PartialEq)]
pub(super) enum Incoming {
    Message(Value),
    /// Something that is no message, and why; the next one can be read.
    Malformed(String),
}

/// Reads a message; `None` at the end of the input.
pub(super) async fn read(input: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Incoming>> {
    let mut length = None;
    loop {
        let mut line = Vec::new();
        let count = (&mut *input)
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut line)
            .await?;
        if count == 0 {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            match length {
                Some(length) => return body(input, length).await.map(Some),
                None => continue,
            }
        }
        let Some((name, value)) = text.split_once(':') else {
            let shown: String = text.chars().take(60).collect();
            return Ok(Some(Incoming::Malformed(format!(
                "`{shown}` is no line of a header"
            ))));
        };
        if !name.trim().eq_ignore_ascii_case("content-length") {
            continue;
        }
        match value.trim().parse() {
            Ok(number) if number <= MOST => length = Some(number),
            _ => {
                return Ok(Some(Incoming::Malformed(format!(
                    "`{}` is no length of a message",
                    value.trim()
                ))));
            }
        }
    }
}

async fn body(input: &mut (impl AsyncBufRead + Unpin), length: usize) -> io::Result<Incoming> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(length).unwrap_or(u64::MAX);
    (&mut *input).take(limit).read_to_end(&mut bytes).await?;
    if bytes.len() < length {
        return Ok(Incoming::Malformed("the message is cut off".into()));
    }
    Ok(match serde_json::from_slice(&bytes) {
        Ok(value @ Value::Object(_)) => Incoming::Message(value),
        Ok(_) => Incoming::Malformed("a message is a JSON object".into()),
        Err(error) => Incoming::Malformed(format!("the message is not JSON: {error}")),
    })
}

/// A message with its header.
pub(super) fn frame(message: &Value) -> Vec<u8> {
    let body = message.to_string();
    format!("Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(mut input: &[u8]) -> Vec<Incoming> {
        let mut found = Vec::new();
        while let Some(incoming) = read(&mut input).await.unwrap() {
            found.push(incoming);
        }
        found
    }

    #[tokio::test]
    async fn reads_what_was_framed_and_goes_on_after_nonsense() {
        let message = serde_json::json!({"seq": 1, "type": "request"});
        let mut input = frame(&message);
        input.extend(b"nonsense\r\nContent-Length: x\r\n\r\nContent-Length: 3\r\n\r\n{,}");
        input.extend(b"Content-Length: 2\r\n\r\n[]");
        input.extend(b"content-length: 99999999999\r\n\r\n");
        input.extend(b"X-Other: 1\r\n");
        input.extend(frame(&message));
        input.extend(b"Content-Length: 50\r\n\r\n{}");
        let found = all(&input).await;
        let messages = found
            .iter()
            .filter(|one| **one == Incoming::Message(message.clone()));
        assert_eq!(messages.count(), 2, "{found:?}");
        assert_eq!(found.len(), 8, "{found:?}");
    }
}
