//! `--secret` and `--ssh`.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::Result;
use super::output::fields;
use crate::cli::environment::{self as names, Environment};
use crate::diag::{Diagnostic, suggest};
use crate::request::{LeakGuard, Secret, SecretSource, SshAgent};

/// Of one ID the last counts. A secret without a source is the variable of its name or else the
/// file; a variable that is not there is an empty secret.
pub(super) fn secrets(values: &[String], environment: &Environment) -> Result<Vec<Secret>> {
    let mut secrets: Vec<Secret> = Vec::new();
    for text in values.iter().filter(|text| !text.is_empty()) {
        let secret = secret(text, environment)?;
        secrets.retain(|known| known.id != secret.id);
        secrets.push(secret);
    }
    Ok(secrets)
}

fn secret(text: &str, environment: &Environment) -> Result<Secret> {
    let invalid = |why: &str| Diagnostic::error(format!("invalid `--secret {text}`: {why}"));
    let (mut id, mut file, mut variable, mut is_env) = (None, None, None, false);
    for field in fields(text).ok_or_else(|| invalid("a quote is not closed"))? {
        let Some((key, value)) = field.split_once('=') else {
            return Err(invalid(&format!(
                "`{field}` is not of the form `KEY=VALUE`"
            )));
        };
        let value = value.to_owned();
        match key.to_lowercase().as_str() {
            "id" => id = Some(value),
            "src" | "source" => file = Some(value),
            "env" => variable = Some(value),
            "type" if value == "file" => is_env = false,
            "type" if value == "env" => is_env = true,
            "type" => return Err(invalid(&format!("there is no type `{value}`"))),
            key => {
                let error = invalid(&format!("there is no key `{key}`"));
                let near = suggest(key, ["id", "src", "source", "env", "type"]);
                let hint = near.map(|near| format!("did you mean `{near}`?"));
                return Err(hint.into_iter().fold(error, Diagnostic::with_hint));
            }
        }
    }
    let id = id
        .filter(|id| !id.is_empty())
        .ok_or_else(|| invalid("it has no `id`"))?;
    if is_env && variable.is_none() {
        variable = file.take();
    }
    let value = |name: &str| {
        environment
            .bytes(name)
            .map(|value| value.as_bytes().to_vec())
    };
    let source = match (variable, file) {
        (Some(name), _) => SecretSource::Value(value(&name).unwrap_or_default()),
        (None, Some(path)) => SecretSource::File(PathBuf::from(path)),
        (None, None) => match value(&id) {
            Some(value) => SecretSource::Value(value),
            None => SecretSource::File(PathBuf::from(&id)),
        },
    };
    Ok(Secret { id, source })
}

/// `--leak-guard`
pub(super) fn leak_guard(text: Option<&str>) -> Result<LeakGuard> {
    match text {
        None => Ok(LeakGuard::default()),
        Some("off") => Ok(LeakGuard::Off),
        Some("warn") => Ok(LeakGuard::Warn),
        Some("fail") => Ok(LeakGuard::Fail),
        Some(text) => {
            let unknown = Diagnostic::error(format!("unknown `--leak-guard {text}`"));
            Err(unknown.with_hint("it can be `off`, `warn`, `fail`"))
        }
    }
}

/// `ID[=SOCKET|KEY[,KEY]]`; without a path the running agent.
pub(super) fn agents(values: &[String], environment: &Environment) -> Result<Vec<SshAgent>> {
    let mut agents: Vec<SshAgent> = Vec::new();
    for text in values.iter().filter(|text| !text.is_empty()) {
        let (id, paths) = text.split_once('=').unwrap_or((text, ""));
        let id = if id.is_empty() { "default" } else { id };
        let mut paths: Vec<PathBuf> = paths
            .split(',')
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
            .collect();
        if paths.is_empty() {
            let Some(socket) = environment.path(names::SSH_AUTH_SOCK) else {
                let error = Diagnostic::error(format!("`--ssh {text}` finds no ssh agent"));
                return Err(error.with_hint("start one and set `SSH_AUTH_SOCK`, or name a key"));
            };
            paths.push(socket);
        }
        agents.retain(|known| known.id != id);
        agents.push(SshAgent {
            id: id.to_owned(),
            paths,
        });
    }
    Ok(agents)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_secrets() {
        let environment = Environment::of(&[("TOKEN", "t"), ("id", "v")], false);
        let value = |text: &str| SecretSource::Value(text.into());
        let file = |text: &str| SecretSource::File(text.into());
        for (text, id, source) in [
            ("id=a,src=/x", "a", file("/x")),
            ("id=a,source=x,type=file", "a", file("x")),
            ("id=a,env=TOKEN", "a", value("t")),
            ("type=env,id=a,src=TOKEN", "a", value("t")),
            ("id=TOKEN", "TOKEN", value("t")),
            ("id=NOPE", "NOPE", file("NOPE")),
            ("id=a,env=NOPE", "a", value("")),
            ("ID=a,\"src=x,y\"", "a", file("x,y")),
        ] {
            let expected = Secret {
                id: id.into(),
                source,
            };
            assert_eq!(
                secrets(&[text.into()], &environment),
                Ok(vec![expected]),
                "{text}"
            );
        }
        for text in [
            "src=/x",
            "id=",
            "id",
            "id=a,srcc=x",
            "id=a,type=x",
            "id=a,\"src=x",
        ] {
            assert!(secrets(&[text.into()], &environment).is_err(), "{text}");
        }
    }

    #[test]
    fn reads_agents() {
        let environment = Environment::of(&[("SSH_AUTH_SOCK", "/s")], false);
        let one = |text: &str, environment: &Environment| {
            agents(&[text.into()], environment).map(|mut list| {
                let agent = list.remove(0);
                (agent.id, agent.paths)
            })
        };
        assert_eq!(
            one("default", &environment),
            Ok(("default".into(), vec!["/s".into()]))
        );
        assert_eq!(
            one("k=/a,/b", &environment),
            Ok(("k".into(), vec!["/a".into(), "/b".into()]))
        );
        assert!(one("default", &Environment::default()).is_err());
    }
}
