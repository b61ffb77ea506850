//! `# check=skip=RULE,RULE;error=true`: which rules count, and whether a finding is an error.

use std::collections::BTreeSet;

use super::Rule;

/// What `# check=` or the build argument `BUILDKIT_DOCKERFILE_CHECK` say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    skip_all: bool,
    skip: BTreeSet<String>,
    experimental_all: bool,
    experimental: BTreeSet<String>,
    pub(super) error: bool,
}

impl Config {
    /// Reads the options.
    ///
    /// # Errors
    /// With the option that is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut config = Self::default();
        if text.trim().is_empty() {
            return Ok(config);
        }
        for option in text.trim().splitn(3, ';') {
            let Some((name, value)) = option.split_once('=') else {
                return Err(format!("the check option `{option}` has no value"));
            };
            let value = value.trim();
            match name.trim() {
                "skip" if value == "all" => config.skip_all = true,
                "skip" => config.skip = names(value),
                "experimental" if value == "all" => config.experimental_all = true,
                "experimental" => config.experimental = names(value),
                "error" => config.error = boolean(value)?,
                other => {
                    return Err(format!(
                        "there is no check option `{other}`, only `skip`, `experimental` and `error`"
                    ));
                }
            }
        }
        Ok(config)
    }

    pub(super) fn wants(&self, rule: &Rule) -> bool {
        if rule.experimental {
            self.experimental_all || self.experimental.contains(rule.name)
        } else {
            !self.skip_all && !self.skip.contains(rule.name)
        }
    }
}

fn names(value: &str) -> BTreeSet<String> {
    value
        .split(',')
        .map(|name| name.trim().to_owned())
        .collect()
}

/// As Go reads a boolean.
fn boolean(value: &str) -> Result<bool, String> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!(
            "the check option `error={value}` is neither `true` nor `false`"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::Config;
    use crate::lint::rules::{invalid_definition_description, undefined_var};

    #[test]
    fn options_are_read_as_buildkit_reads_them() {
        // Ordinary rule, experimental rule, error.
        for (text, expected) in [
            ("", (true, false, false)),
            ("skip=UndefinedVar", (false, false, false)),
            ("skip=A, UndefinedVar ,B", (false, false, false)),
            ("skip=all;error=true", (false, false, true)),
            ("experimental=all", (true, true, false)),
            (
                "error=1; experimental=InvalidDefinitionDescription",
                (true, true, true),
            ),
            ("error=false", (true, false, false)),
        ] {
            let config = Config::parse(text).unwrap();
            let found = (
                config.wants(&undefined_var::RULE),
                config.wants(&invalid_definition_description::RULE),
                config.error,
            );
            assert_eq!(found, expected, "{text}");
        }
        for text in ["skip", "error=yes", "other=1", ";"] {
            assert!(Config::parse(text).is_err(), "{text}");
        }
    }
}
