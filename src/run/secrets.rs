//! The secrets of a build, read once before anything runs.

use std::io::Read as _;

use super::environment;
use crate::build::Secrets;
use crate::diag::Diagnostic;
use crate::request::{Secret, SecretSource};

/// The largest secret, in bytes, as in BuildKit.
const MAX_SECRET: u64 = 500 * 1024;

/// Reads every secret, whether a step wants it or not.
pub(super) fn read(secrets: &[Secret]) -> Result<Secrets, Diagnostic> {
    let mut values = Vec::new();
    for secret in secrets {
        values.push((secret.id.clone(), value(secret)?));
    }
    Ok(Secrets::new(values))
}

fn value(secret: &Secret) -> Result<Vec<u8>, Diagnostic> {
    let id = &secret.id;
    let path = match &secret.source {
        SecretSource::Value(value) => return Ok(value.clone()),
        SecretSource::File(path) => path,
    };
    let mut value = Vec::new();
    let read = fs_err::File::open(path).and_then(|file| {
        let mut limited = file.take(MAX_SECRET + 1);
        limited.read_to_end(&mut value)
    });
    match read {
        Ok(read) if read as u64 > MAX_SECRET => {
            let message = format!("the secret `{id}` is larger than 500 KiB");
            Err(Diagnostic::error(message))
        }
        Ok(_) => Ok(value),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let message = format!("there is no `{}` for the secret `{id}`", path.display());
            Err(Diagnostic::error(message).with_hint(format!(
                "name the file with `--secret id={id},src=FILE`, or a variable with `env=VARIABLE`"
            )))
        }
        Err(error) => Err(environment(format!(
            "the secret `{id}` cannot be read: {error}"
        ))),
    }
}
