//! Image references: `[registry/]repository[:tag][@digest]`, by the rules of the distribution
//! project's reference grammar.

use std::fmt;

use dockerfile_parser::ImageRef;

/// A reference to an image, in the short form its user wrote.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    /// `None` is Docker Hub.
    pub registry: Option<String>,
    pub repository: String,
    pub tag: Option<String>,
    pub digest: Option<String>,
}

/// Why a text is not an image reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    #[error("an image reference cannot be empty")]
    Empty,
    #[error("the repository name of `{0}` must be lowercase")]
    Uppercase(String),
    #[error("`{0}` is not a valid image reference")]
    Invalid(String),
}

impl Reference {
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if text.is_empty() {
            return Err(ReferenceError::Empty);
        }
        let invalid = || ReferenceError::Invalid(text.to_owned());
        // `name:tag@digest` is legal, and the crate reads one of the two at a time.
        let (named, digest) = match text.split_once('@') {
            Some((named, digest)) => (named, Some(digest.to_owned())),
            None => (text, None),
        };
        let parsed = ImageRef::parse(named);
        let (registry, repository) = match parsed.registry.as_deref() {
            Some("docker.io" | "index.docker.io") => (None, parsed.image.clone()),
            other => (other.map(str::to_owned), parsed.image.clone()),
        };
        if !valid_path(&repository) {
            if valid_path(&repository.to_lowercase()) {
                return Err(ReferenceError::Uppercase(text.to_owned()));
            }
            return Err(invalid());
        }
        if registry.as_deref().is_some_and(|r| !valid_domain(r))
            || parsed.tag.as_deref().is_some_and(|t| !valid_tag(t))
            || digest.as_deref().is_some_and(|d| !valid_digest(d))
        {
            return Err(invalid());
        }
        let repository = match registry {
            None => repository
                .strip_prefix("library/")
                .unwrap_or(&repository)
                .to_owned(),
            Some(_) => repository,
        };
        Ok(Self {
            registry,
            repository,
            tag: parsed.tag,
            digest,
        })
    }

    /// Adds the tag `latest` when there is neither a tag nor a digest.
    #[must_use]
    pub fn with_default_tag(mut self) -> Self {
        if self.tag.is_none() && self.digest.is_none() {
            self.tag = Some("latest".into());
        }
        self
    }

    /// Registry and repository, without tag and digest, in short form.
    pub fn name(&self) -> String {
        match &self.registry {
            Some(registry) => format!("{registry}/{}", self.repository),
            None => self.repository.clone(),
        }
    }

    /// The full form with Docker Hub's host and `library/`: what BuildKit shows and stores.
    pub fn canonical(&self) -> String {
        let mut text = match &self.registry {
            Some(registry) => format!("{registry}/{}", self.repository),
            None if self.repository.contains('/') => format!("docker.io/{}", self.repository),
            None => format!("docker.io/library/{}", self.repository),
        };
        self.push_suffix(&mut text);
        text
    }

    fn push_suffix(&self, text: &mut String) {
        if let Some(tag) = &self.tag {
            text.push(':');
            text.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            text.push('@');
            text.push_str(digest);
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.name();
        self.push_suffix(&mut text);
        f.write_str(&text)
    }
}

/// Path components of lower-case letters and digits, joined by `.`, `_`, `__` or dashes.
fn valid_path(path: &str) -> bool {
    !path.is_empty() && path.len() <= 255 && path.split('/').all(valid_component)
}

fn valid_component(component: &str) -> bool {
    let alnum = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if !component.starts_with(alnum) || !component.ends_with(alnum) {
        return false;
    }
    component
        .split(alnum)
        .all(|sep| matches!(sep, "" | "." | "_" | "__") || sep.bytes().all(|b| b == b'-'))
}

fn valid_domain(domain: &str) -> bool {
    let (host, port) = match domain.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (domain, None),
    };
    let label = |l: &str| {
        !l.is_empty()
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let host_ok = host.starts_with('[') && host.ends_with(']') || host.split('.').all(label);
    host_ok && port.is_none_or(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()))
}

fn valid_tag(tag: &str) -> bool {
    tag.len() <= 128
        && tag.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && tag
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

fn valid_digest(digest: &str) -> bool {
    let Some((algorithm, hex)) = digest.split_once(':') else {
        return false;
    };
    let is_hex =
        |n: usize| hex.len() == n && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    match algorithm {
        "sha256" => is_hex(64),
        "sha512" => is_hex(128),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_docker_reads() {
        for (text, short, canonical) in [
            ("busybox", "busybox", "docker.io/library/busybox"),
            (
                "library/busybox:1",
                "busybox:1",
                "docker.io/library/busybox:1",
            ),
            (
                "docker.io/library/busybox",
                "busybox",
                "docker.io/library/busybox",
            ),
            ("a/b:c", "a/b:c", "docker.io/a/b:c"),
            ("localhost/a", "localhost/a", "localhost/a"),
            (
                "localhost:5000/a/b:c",
                "localhost:5000/a/b:c",
                "localhost:5000/a/b:c",
            ),
            (
                "gcr.io/p/app_x__y-z.w",
                "gcr.io/p/app_x__y-z.w",
                "gcr.io/p/app_x__y-z.w",
            ),
        ] {
            let parsed = Reference::parse(text).unwrap();
            assert_eq!(parsed.to_string(), short);
            assert_eq!(parsed.canonical(), canonical);
        }
    }

    #[test]
    fn a_tag_and_a_digest_stand_together() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let text = format!("localhost:5000/app:1@{digest}");
        let parsed = Reference::parse(&text).unwrap();
        assert_eq!(parsed.tag.as_deref(), Some("1"));
        assert_eq!(parsed.digest.as_deref(), Some(digest.as_str()));
        assert_eq!(parsed.to_string(), text);
    }

    #[test]
    fn refuses_what_docker_refuses() {
        for text in [
            "",
            "A",
            "a:",
            "a:-x",
            "a@sha256:12",
            "a//b",
            "-a",
            "a-",
            "a b",
            "a:x y",
            "a___b",
        ] {
            assert!(Reference::parse(text).is_err(), "{text}");
        }
        assert_eq!(
            Reference::parse("Busybox"),
            Err(ReferenceError::Uppercase("Busybox".into()))
        );
    }
}
