//! `--identity`: what carries an identity into RUN steps, from the environment.

use std::path::PathBuf;

use super::output::fields;
use super::{Result, list};
use crate::cli::environment::Environment;
use crate::diag::{Diagnostic, suggest};
use crate::request::Identity;

/// How a cloud hands an identity to a workload.
struct Profile {
    name: &'static str,
    /// Variables that name a file; one of them makes the identity.
    files: &'static [&'static str],
    /// Variables that go with it.
    variables: &'static [&'static str],
}

const PROFILES: [Profile; 3] = [
    Profile {
        name: "aws",
        files: &[
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        ],
        variables: &[
            "AWS_ROLE_ARN",
            "AWS_ROLE_SESSION_NAME",
            "AWS_REGION",
            "AWS_DEFAULT_REGION",
            "AWS_STS_REGIONAL_ENDPOINTS",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        ],
    },
    Profile {
        name: "azure",
        files: &["AZURE_FEDERATED_TOKEN_FILE"],
        variables: &["AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_AUTHORITY_HOST"],
    },
    Profile {
        name: "gcp",
        files: &["GOOGLE_APPLICATION_CREDENTIALS"],
        variables: &["GOOGLE_CLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT"],
    },
];

/// `aws`, `azure`, `gcp`, `auto` for those that are there, `env=NAME`, or
/// `file=PATH,env=NAME` for a file and the variable that is to name it.
pub(super) fn identity(values: &[String], environment: &Environment) -> Result<Identity> {
    let mut identity = Identity::default();
    for value in values {
        if value.contains('=') {
            general(value, environment, &mut identity)?;
            continue;
        }
        for name in list(std::slice::from_ref(value), str::to_owned) {
            named(&name, environment, &mut identity)?;
        }
    }
    Ok(identity)
}

fn named(name: &str, environment: &Environment, identity: &mut Identity) -> Result<()> {
    if name == "auto" {
        for profile in &PROFILES {
            add(profile, environment, identity)?;
        }
        return Ok(());
    }
    let Some(profile) = PROFILES.iter().find(|profile| profile.name == name) else {
        let error = Diagnostic::error(format!(
            "invalid `--identity {name}`: there is no such profile"
        ));
        let names = PROFILES.iter().map(|profile| profile.name).chain(["auto"]);
        return Err(match suggest(name, names) {
            Some(near) => error.with_hint(format!("did you mean `{near}`?")),
            None => error.with_hint(
                "there are `aws`, `azure`, `gcp` and `auto`; anything else is `env=NAME` or `file=PATH,env=NAME`",
            ),
        });
    };
    if add(profile, environment, identity)? {
        return Ok(());
    }
    let files = profile.files.join("` nor `");
    let neither = if profile.files.len() > 1 {
        "neither "
    } else {
        "no "
    };
    Err(
        Diagnostic::error(format!("`--identity {name}`: {neither}`{files}` is set"))
            .with_hint("the pod's service account has no such identity, or the variables do not reach this process"),
    )
}

/// Adds what there is of a profile; `false` when that is nothing.
fn add(profile: &Profile, environment: &Environment, identity: &mut Identity) -> Result<bool> {
    let mut found = false;
    for name in profile.files {
        let value = environment.named(name)?.filter(|value| !value.is_empty());
        if let Some(path) = value {
            identity
                .files
                .push(((*name).to_owned(), PathBuf::from(path)));
            found = true;
        }
    }
    for name in profile.variables.iter().filter(|_| found) {
        if let Some(value) = environment.named(name)? {
            identity
                .variables
                .push(((*name).to_owned(), value.to_owned()));
        }
    }
    Ok(found)
}

fn general(text: &str, environment: &Environment, identity: &mut Identity) -> Result<()> {
    let invalid = |why: &str| Diagnostic::error(format!("invalid `--identity {text}`: {why}"));
    let (mut file, mut name) = (None, None);
    for field in fields(text).ok_or_else(|| invalid("a quote is not closed"))? {
        match field.split_once('=') {
            Some(("file" | "src", value)) if !value.is_empty() => file = Some(PathBuf::from(value)),
            Some(("env", value)) if !value.is_empty() => name = Some(value.to_owned()),
            _ => return Err(invalid("it is made of `file=PATH` and `env=NAME`")),
        }
    }
    let Some(name) = name else {
        return Err(invalid(
            "it has no `env=NAME`, the variable that a step finds it by",
        ));
    };
    if let Some(file) = file {
        identity.files.push((name, file));
    } else {
        let Some(value) = environment.named(&name)? else {
            return Err(invalid(&format!("`{name}` is not set")));
        };
        identity.variables.push((name.clone(), value.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str], variables: &[(&str, &str)]) -> std::result::Result<String, String> {
        let values: Vec<String> = values.iter().map(ToString::to_string).collect();
        let found =
            identity(&values, &Environment::of(variables, false)).map_err(|error| error.message)?;
        let variables = found
            .variables
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        let files = found
            .files
            .iter()
            .map(|(name, path)| format!("{name}@{}", path.display()));
        Ok(files.chain(variables).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn profiles_take_what_their_cloud_sets() {
        let aws = [
            ("AWS_WEB_IDENTITY_TOKEN_FILE", "/t"),
            ("AWS_ROLE_ARN", "arn"),
            ("AWS_SECRET_ACCESS_KEY", "no"),
            ("AZURE_CLIENT_ID", "alone is nothing"),
        ];
        let want = "AWS_WEB_IDENTITY_TOKEN_FILE@/t AWS_ROLE_ARN=arn";
        assert_eq!(of(&["aws"], &aws).as_deref(), Ok(want));
        assert_eq!(of(&["auto"], &aws).as_deref(), Ok(want));
        assert_eq!(of(&["auto"], &[]).as_deref(), Ok(""));
        assert_eq!(
            of(
                &["env=VAULT_ADDR", "file=/run/t,env=VAULT_TOKEN_FILE"],
                &[("VAULT_ADDR", "http://v")]
            )
            .as_deref(),
            Ok("VAULT_TOKEN_FILE@/run/t VAULT_ADDR=http://v")
        );
        for (value, message) in [
            (
                "gcp",
                "`--identity gcp`: no `GOOGLE_APPLICATION_CREDENTIALS` is set",
            ),
            ("asw", "invalid `--identity asw`: there is no such profile"),
            ("env=X", "invalid `--identity env=X`: `X` is not set"),
            (
                "file=/x",
                "invalid `--identity file=/x`: it has no `env=NAME`, the variable that a step finds it by",
            ),
        ] {
            assert_eq!(of(&[value], &[]), Err(message.to_owned()));
        }
    }
}
