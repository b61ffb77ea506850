//! Values of `ARG` and `ENV` stay readable in the image.

use crate::dockerfile::ast::Instruction;
use crate::lint::{Lint, Rule};

pub static RULE: Rule = Rule {
    name: "SecretsUsedInArgOrEnv",
    description: "Sensitive data should not be used in the ARG or ENV commands",
    url: "https://docs.docker.com/go/dockerfile/rule/secrets-used-in-arg-or-env/",
    experimental: false,
};

const SECRET: &[&str] = &[
    "apikey",
    "auth",
    "credential",
    "credentials",
    "key",
    "password",
    "pword",
    "passwd",
    "secret",
    "token",
];

const HARMLESS: &[&str] = &["public", "file", "version"];

/// `keyword` in capitals.
pub fn check(lint: &mut Lint, inst: &Instruction, keyword: &str, name: &str) {
    if is_secret(name) {
        let message =
            format!("Do not use ARG or ENV instructions for sensitive data ({keyword} {name:?})");
        lint.report(&RULE, inst, message);
    }
}

/// Whether one of the words of the name, between `_`, speaks of a secret.
fn is_secret(name: &str) -> bool {
    let has = |words: &[&str]| {
        let mut parts = name.split('_');
        parts.any(|part| words.iter().any(|word| word.eq_ignore_ascii_case(part)))
    };
    has(SECRET) && !has(HARMLESS)
}

#[cfg(test)]
mod tests {
    use super::is_secret;

    #[test]
    fn names_of_secrets_are_told_by_their_words() {
        for name in [
            "KEY",
            "api_key",
            "DATABASE_PASSWORD",
            "GITHUB_TOKEN",
            "secret_MESSAGE",
            "a_Auth_b",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in [
            "KEYS",
            "MONKEY",
            "PUBLIC_KEY",
            "KEY_FILE",
            "TOKEN_VERSION",
            "api-key",
            "",
        ] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
