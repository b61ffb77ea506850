//! bollard's errors in our words.
//!
//! What an engine says is kept as it is; only its kind is decided here.

use std::error::Error as StdError;
use std::io::ErrorKind;

use bollard::errors::Error;

use crate::engine::EngineError;

/// The kind of a failed call.
pub(super) fn from_bollard(endpoint: &str, error: Error) -> EngineError {
    match error {
        Error::DockerResponseServerError {
            status_code,
            message,
        } => from_answer(status_code, message.trim()),
        Error::DockerStreamError { error } => from_answer(500, error.trim()),
        Error::SocketNotFoundError(path) => EngineError::Unreachable {
            endpoint: endpoint.to_owned(),
            reason: format!("there is no socket `{path}`"),
        },
        Error::RequestTimeoutError => broken(endpoint, "no answer came in time"),
        Error::JsonDataError { .. }
        | Error::JsonSerdeError { .. }
        | Error::URLEncodedError { .. } => EngineError::Unexpected(error.to_string()),
        Error::HyperLegacyError { .. }
        | Error::HyperResponseError { .. }
        | Error::IOError { .. } => from_transport(endpoint, &error),
        other => EngineError::Unexpected(other.to_string()),
    }
}

/// The kind of an answer that is not a success.
pub(super) fn from_answer(status: u16, message: &str) -> EngineError {
    let message = if message.is_empty() {
        format!("the engine answered with status {status}")
    } else {
        message.to_owned()
    };
    if is_no_space(&message) {
        return EngineError::NoSpace { message };
    }
    match status {
        401 => EngineError::Unauthorized { message },
        404 => EngineError::NotFound { message },
        409 => EngineError::Conflict { message },
        _ => EngineError::Api { status, message },
    }
}

/// The kind of a connection that could not be made.
pub(super) fn from_connect(endpoint: &str, error: &std::io::Error) -> EngineError {
    let endpoint = endpoint.to_owned();
    match error.kind() {
        ErrorKind::PermissionDenied => EngineError::PermissionDenied { endpoint },
        ErrorKind::NotFound => EngineError::Unreachable {
            endpoint,
            reason: "there is no such socket".into(),
        },
        ErrorKind::ConnectionRefused => EngineError::Unreachable {
            endpoint,
            reason: "nobody listens there".into(),
        },
        _ => EngineError::Unreachable {
            endpoint,
            reason: error.to_string(),
        },
    }
}

fn from_transport(endpoint: &str, error: &Error) -> EngineError {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    let mut reason = error.to_string();
    while let Some(current) = cause {
        if let Some(io) = current.downcast_ref::<std::io::Error>() {
            match io.kind() {
                ErrorKind::NotFound
                | ErrorKind::ConnectionRefused
                | ErrorKind::PermissionDenied => {
                    return from_connect(endpoint, io);
                }
                _ => {}
            }
        }
        reason = current.to_string();
        cause = current.source();
    }
    broken(endpoint, &reason)
}

fn broken(endpoint: &str, reason: &str) -> EngineError {
    EngineError::Broken {
        endpoint: endpoint.to_owned(),
        reason: reason.to_owned(),
    }
}

fn is_no_space(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    message.contains("no space left on device") || message.contains("disk quota exceeded")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_have_kinds() {
        let kind = |status, message: &str| match from_answer(status, message) {
            EngineError::NoSpace { .. } => "no space",
            EngineError::NotFound { .. } => "not found",
            EngineError::Conflict { .. } => "conflict",
            EngineError::Unauthorized { .. } => "unauthorized",
            EngineError::Api { .. } => "api",
            _ => "other",
        };
        for (status, message, expected) in [
            (404, "No such image: x", "not found"),
            (409, "container is running", "conflict"),
            (401, "who are you", "unauthorized"),
            (500, "write /x: no space left on device", "no space"),
            (500, "server error", "api"),
            (403, "authorization denied by plugin", "api"),
        ] {
            assert_eq!(kind(status, message), expected, "{status} {message}");
        }
        assert_eq!(
            from_answer(404, "").to_string(),
            "the engine answered with status 404"
        );
    }

    #[test]
    fn connection_errors_are_told_apart() {
        let of = |kind: ErrorKind| from_connect("unix:///x", &kind.into());
        assert!(matches!(
            of(ErrorKind::NotFound),
            EngineError::Unreachable { .. }
        ));
        assert!(matches!(
            of(ErrorKind::ConnectionRefused),
            EngineError::Unreachable { .. }
        ));
        assert!(matches!(
            of(ErrorKind::PermissionDenied),
            EngineError::PermissionDenied { .. }
        ));
    }
}
