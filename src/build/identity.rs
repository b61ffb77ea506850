//! Hands an identity to a step: token files in the container's memory and variables, by way of
//! the request to the program in it. Neither counts for the cache or stays anywhere.
//!
//! Tokens are renewed while a build runs, so that each step gets what the files hold when it
//! starts.

use std::path::{Path, PathBuf};

use crate::engine::{EngineError, Result};
use crate::init::wire::{File, Request};
use crate::request::Identity;

/// Where the files are, in a file system of the container's own that no layer ever holds.
const FOLDER: &str = "/dev/.bowline-identity";

/// Larger than any token; what is larger is no token.
const MAX_FILE: u64 = 1 << 20;

/// Adds the files and variables. What the Dockerfile sets itself stands before it.
pub(super) fn hand_over(identity: &Identity, request: &mut Request) -> Result<()> {
    let mut variables: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let pair = |name: &str, value: &str| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
    for (name, value) in &identity.variables {
        variables.push(pair(name, value));
    }
    for (name, path) in &identity.files {
        let inside = format!("{FOLDER}/{name}");
        let (content, more) = with_source(name, read(path)?)?;
        request.files.push(file(&inside, content));
        request.files.extend(more);
        variables.push(pair(name, &inside));
    }
    variables.append(&mut request.env);
    request.env = variables;
    Ok(())
}

/// The file may be read by whatever user the step has; nobody else is in its container.
fn file(path: &str, content: Vec<u8>) -> File {
    File {
        path: path.as_bytes().to_vec(),
        content,
        mode: 0o444,
        uid: 0,
        gid: 0,
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    use std::io::Read as _;
    let failed = |why: String| EngineError::Local(format!("`--identity`: {why}"));
    let mut bytes = Vec::new();
    let opened = fs_err::File::open(path).map_err(|error| failed(error.to_string()))?;
    let count = opened.take(MAX_FILE + 1).read_to_end(&mut bytes);
    if count.map_err(|error| failed(error.to_string()))? as u64 > MAX_FILE {
        return Err(failed(format!("`{}` is larger than 1 MiB", path.display())));
    }
    Ok(bytes)
}

/// A description of credentials may name another file, with the token: that one goes along, and
/// the description names it where it is then.
fn with_source(name: &str, content: Vec<u8>) -> Result<(Vec<u8>, Option<File>)> {
    let Ok(mut described) = serde_json::from_slice::<serde_json::Value>(&content) else {
        return Ok((content, None));
    };
    let Some(source) = described.pointer_mut("/credential_source/file") else {
        return Ok((content, None));
    };
    let Some(path) = source.as_str().map(PathBuf::from) else {
        return Ok((content, None));
    };
    let inside = format!("{FOLDER}/{name}.token");
    let token = file(&inside, read(&path)?);
    *source = inside.into();
    Ok((described.to_string().into_bytes(), Some(token)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_takes_its_token_along() {
        let folder = tempfile::tempdir().unwrap();
        let (token, description) = (
            folder.path().join("token"),
            folder.path().join("config.json"),
        );
        fs_err::write(&token, "secret").unwrap();
        let text = format!(
            r#"{{"type":"external_account","credential_source":{{"file":"{}"}}}}"#,
            token.display()
        );
        fs_err::write(&description, text).unwrap();
        let identity = Identity {
            variables: vec![("PROJECT".into(), "p".into())],
            files: vec![("CREDENTIALS".into(), description)],
        };
        let mut request = Request {
            env: vec![(b"PATH".to_vec(), b"/bin".to_vec())],
            ..Request::default()
        };
        hand_over(&identity, &mut request).unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let env: Vec<String> = request
            .env
            .iter()
            .map(|(name, value)| format!("{}={}", text(name), text(value)))
            .collect();
        assert_eq!(
            env,
            [
                "PROJECT=p",
                "CREDENTIALS=/dev/.bowline-identity/CREDENTIALS",
                "PATH=/bin"
            ]
        );
        let files: Vec<String> = request
            .files
            .iter()
            .map(|file| format!("{}: {}", text(&file.path), text(&file.content)))
            .collect();
        assert_eq!(
            files,
            [
                r#"/dev/.bowline-identity/CREDENTIALS: {"type":"external_account","credential_source":{"file":"/dev/.bowline-identity/CREDENTIALS.token"}}"#,
                "/dev/.bowline-identity/CREDENTIALS.token: secret",
            ]
        );
    }
}
