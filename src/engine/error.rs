//! What can go wrong between us and an engine, as data. The words for the user are made at
//! the edge.

/// A failed call.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Nobody answers there.
    #[error("cannot connect to the Docker Engine at {endpoint}: {reason}")]
    Unreachable { endpoint: String, reason: String },
    /// The socket is there, and we may not use it.
    #[error("permission denied on the Docker Engine's socket {endpoint}")]
    PermissionDenied { endpoint: String },
    /// The engine's API is older than the oldest we speak.
    #[error("the Docker Engine at {endpoint} speaks API {found}; bowline needs {needed} or later")]
    TooOld {
        endpoint: String,
        found: String,
        needed: &'static str,
    },
    #[error("{message}")]
    NotFound { message: String },
    #[error("{message}")]
    Conflict { message: String },
    /// The registry wants credentials that it did not get.
    #[error("{message}")]
    Unauthorized { message: String },
    /// Any other answer that is not a success.
    #[error("{message}")]
    Api { status: u16, message: String },
    /// The engine's disk is full.
    #[error("{message}")]
    NoSpace { message: String },
    /// The connection broke in the middle.
    #[error("the connection to the Docker Engine at {endpoint} broke: {reason}")]
    Broken { endpoint: String, reason: String },
    /// Something on our side: a file that could not be read while its layer was streamed, a
    /// credential helper that failed.
    #[error("{0}")]
    Local(String),
    /// An answer that does not make sense.
    #[error("unexpected answer of the Docker Engine: {0}")]
    Unexpected(String),
}
