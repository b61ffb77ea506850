//! The network of RUN steps.

use super::Result;
use crate::cli::environment::{self as names, Environment};
use crate::diag::Diagnostic;
use crate::request::NetworkChoice;

pub(super) fn choice(flag: Option<&str>, environment: &Environment) -> Result<NetworkChoice> {
    let variable = names::BOWLINE_NETWORK;
    match (flag, environment.get(variable)?) {
        (Some(text), _) => parse(text, "--network"),
        (None, Some(text)) => parse(text, variable.name),
        (None, None) => Ok(NetworkChoice::Auto),
    }
}

fn parse(text: &str, from: &str) -> Result<NetworkChoice> {
    Ok(match text {
        "auto" => NetworkChoice::Auto,
        "sandbox" => NetworkChoice::Sandbox,
        "" | "default" => NetworkChoice::Default,
        "none" => NetworkChoice::None,
        "host" => NetworkChoice::Host,
        _ => {
            let (name, choice): (&str, fn(String) -> NetworkChoice) =
                match text.strip_prefix("container:") {
                    Some(name) => (name, NetworkChoice::Container),
                    None => (text, NetworkChoice::Named),
                };
            if !valid(name) {
                let error = Diagnostic::error(format!("invalid `{from}`: `{text}`"));
                return Err(error.with_hint(
                    "a network is `auto`, `sandbox`, `default`, `none`, `host`, \
                     `container:NAME` or the name of a network",
                ));
            }
            choice(name.to_owned())
        }
    })
}

/// The engine's rule for names; a template that was not filled in does not pass.
fn valid(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_stands_before_the_variable() {
        let environment = Environment::of(&[("BOWLINE_NETWORK", "host")], false);
        for (flag, expected) in [
            (None, NetworkChoice::Host),
            (Some("none"), NetworkChoice::None),
            (Some(""), NetworkChoice::Default),
            (Some("bridge"), NetworkChoice::Named("bridge".into())),
            (
                Some("container:A.b-c_1"),
                NetworkChoice::Container("A.b-c_1".into()),
            ),
        ] {
            assert_eq!(choice(flag, &environment), Ok(expected));
        }
        assert_eq!(
            choice(None, &Environment::default()),
            Ok(NetworkChoice::Auto)
        );
    }

    #[test]
    fn names_are_checked() {
        for text in [
            "container:",
            "container:{{.ID}}",
            "container:<no value>",
            "a b",
            "-x",
        ] {
            assert!(parse(text, "--network").is_err(), "{text}");
        }
    }
}
