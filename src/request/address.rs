//! Addresses of git repositories, as BuildKit reads them: `#ref:subdirectory` and `?key=value`.

/// A repository, and what of it is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct GitUrl {
    /// What git is given: without fragment and query.
    pub remote: String,
    /// A branch, a tag, a full reference or a commit; empty for the default branch.
    pub reference: String,
    /// Inside the repository; empty for all of it.
    pub subdirectory: String,
    /// The commit that it must be, or the beginning of its name.
    pub commit: Option<String>,
    pub keep_git_dir: Option<bool>,
    pub submodules: Option<bool>,
}

impl GitUrl {
    /// Reads an address. `None` when it is no repository's: an HTTP address is one only when its
    /// path ends in `.git`.
    pub fn parse(text: &str) -> Option<Result<Self, String>> {
        let (remote, query, fragment) = parts(text);
        let remote = match scheme(remote) {
            Some(("git" | "ssh", _)) => remote.to_owned(),
            Some(("http" | "https", rest)) if decoded(rest).ends_with(".git") => remote.to_owned(),
            Some(_) => return None,
            None if is_scp(remote) => remote.to_owned(),
            None => return None,
        };
        Some(Self::with(remote, fragment, query))
    }

    /// As [`parse`](Self::parse), and `github.com/…` too, which as a file's path would be local.
    pub fn parse_context(text: &str) -> Option<Result<Self, String>> {
        if text.starts_with("github.com/") {
            let (remote, query, fragment) = parts(text);
            return Some(Self::with(format!("https://{remote}"), fragment, query));
        }
        Self::parse(text)
    }

    fn with(remote: String, fragment: &str, query: &str) -> Result<Self, String> {
        let fragment = decoded(fragment);
        let (reference, subdirectory) = fragment.split_once(':').unwrap_or((&fragment, ""));
        let mut url = Self {
            remote,
            reference: reference.to_owned(),
            subdirectory: subdirectory.to_owned(),
            ..Self::default()
        };
        url.take_query(query)?;
        url.check()?;
        Ok(url)
    }

    fn take_query(&mut self, query: &str) -> Result<(), String> {
        let (mut tag, mut branch) = (None, None);
        let mut seen: Vec<String> = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (key, value) = (form_decoded(key), form_decoded(value));
            if seen.contains(&key) {
                return Err(format!("`{key}` is given twice"));
            }
            let is_switch = matches!(key.as_str(), "keep-git-dir" | "submodules");
            if value.is_empty() && !is_switch {
                return Err(format!("`{key}` has no value"));
            }
            match key.as_str() {
                "ref" => set(&mut self.reference, value, "ref")?,
                "subdir" => set(&mut self.subdirectory, value, "subdirectory")?,
                "tag" => tag = Some(full("refs/tags/", value)),
                "branch" => branch = Some(full("refs/heads/", value)),
                "commit" | "checksum" => self.commit = Some(value),
                "keep-git-dir" => self.keep_git_dir = Some(switch(&key, &value)?),
                "submodules" => self.submodules = Some(switch(&key, &value)?),
                other => return Err(format!("`{other}` is not a key that it can have")),
            }
            seen.push(key);
        }
        if tag.is_some() && branch.is_some() {
            return Err("it can have a tag or a branch, not both".into());
        }
        if let Some(reference) = tag.or(branch) {
            set(&mut self.reference, reference, "ref")?;
        }
        Ok(())
    }

    /// What git could take for something else than it is meant is refused.
    fn check(&self) -> Result<(), String> {
        let host = match scheme(&self.remote) {
            Some((_, rest)) => rest.split('/').next().unwrap_or_default(),
            None => self.remote.split(':').next().unwrap_or_default(),
        };
        let host = host.rsplit('@').next().unwrap_or_default();
        if host.starts_with('-') {
            return Err(format!("`{host}` is no name of a host"));
        }
        let odd = |c: char| c.is_whitespace() || c.is_control() || "~^:?*[\\".contains(c);
        let reference = &self.reference;
        if reference.starts_with('-') || reference.contains("..") || reference.contains(odd) {
            return Err(format!(
                "`{reference}` is no name of a branch, tag or commit"
            ));
        }
        if self.remote.contains(char::is_control) {
            return Err("it has control characters".into());
        }
        match &self.commit {
            Some(commit) if !is_hex(commit) => Err(format!(
                "`{commit}` is no commit: it has hexadecimal digits only"
            )),
            _ => Ok(()),
        }
    }

    /// The subdirectory, cleaned: `..` leads to the root at most. Empty for the root.
    pub fn directory(&self) -> String {
        let mut parts: Vec<&str> = Vec::new();
        for part in self.subdirectory.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    parts.pop();
                }
                part => parts.push(part),
            }
        }
        parts.join("/")
    }

    /// The commit, when the address names it in full.
    pub fn known_commit(&self) -> Option<&str> {
        let full = |text: &&str| is_commit(text);
        let checked = self.commit.as_deref().filter(full);
        checked.or(Some(self.reference.as_str()).filter(full))
    }
}

/// An address without its query and its fragment, and those two.
fn parts(text: &str) -> (&str, &str, &str) {
    let (address, fragment) = text.split_once('#').unwrap_or((text, ""));
    let (remote, query) = address.split_once('?').unwrap_or((address, ""));
    (remote, query, fragment)
}

/// Whether a text is the whole name of a commit.
pub fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && is_hex(text)
}

/// An address without a password, for messages.
pub fn redacted(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rsplit_once('@') {
        Some((user, _)) if user.contains(':') => {
            let name = user.split(':').next().unwrap_or_default();
            format!("{scheme}://{name}:xxxxx@{}", &rest[user.len() + 1..])
        }
        _ => url.to_owned(),
    }
}

fn scheme(text: &str) -> Option<(&'static str, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    let known = ["http", "https", "ssh", "git"];
    let known = known
        .into_iter()
        .find(|known| scheme.eq_ignore_ascii_case(known));
    Some((known.unwrap_or_default(), rest))
}

/// `user@host:path`
fn is_scp(text: &str) -> bool {
    let Some((host, _)) = text.split_once(':') else {
        return false;
    };
    let Some((user, host)) = host.split_once('@') else {
        return false;
    };
    let word = |text: &str, more: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || more.contains(c);
        !text.is_empty() && text.chars().all(plain)
    };
    word(user, "-_") && word(host, "-.")
}

fn set(field: &mut String, value: String, what: &str) -> Result<(), String> {
    if !field.is_empty() && *field != value {
        return Err(format!("it has the {what} `{field}` and also `{value}`"));
    }
    *field = value;
    Ok(())
}

fn full(prefix: &str, name: String) -> String {
    if name.starts_with(prefix) {
        name
    } else {
        format!("{prefix}{name}")
    }
}

/// As Go reads a boolean.
fn switch(key: &str, value: &str) -> Result<bool, String> {
    match value {
        "" | "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("`{key}={value}` is neither true nor false")),
    }
}

fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn form_decoded(text: &str) -> String {
    decoded(&text.replace('+', " "))
}

/// `%41` is `A`; what is no such escape stays.
pub fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let code = digits.filter(|two| is_hex(two));
        match code.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(code) if byte == b'%' => {
                bytes.push(code);
                rest = &after[2..];
            }
            _ => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<Result<GitUrl, String>> {
        GitUrl::parse(text)
    }

    fn url(remote: &str, reference: &str, subdirectory: &str) -> GitUrl {
        GitUrl {
            remote: remote.into(),
            reference: reference.into(),
            subdirectory: subdirectory.into(),
            ..GitUrl::default()
        }
    }

    #[test]
    fn repositories_are_told_from_files() {
        for (text, expected) in [
            ("https://h/a.git", Some(url("https://h/a.git", "", ""))),
            (
                "https://h/a.git#b:c/d",
                Some(url("https://h/a.git", "b", "c/d")),
            ),
            ("https://h/a.git#:c", Some(url("https://h/a.git", "", "c"))),
            (
                "HTTPS://h/a.git#b%2Fc",
                Some(url("HTTPS://h/a.git", "b/c", "")),
            ),
            ("git@h:a/b#c", Some(url("git@h:a/b", "c", ""))),
            ("ssh://git@h:22/a", Some(url("ssh://git@h:22/a", "", ""))),
            ("git://h/a", Some(url("git://h/a", "", ""))),
            (
                "https://h/a.git?branch=x&subdir=y",
                Some(url("https://h/a.git", "refs/heads/x", "y")),
            ),
            (
                "https://h/a.git?tag=v1#refs/tags/v1",
                Some(url("https://h/a.git", "refs/tags/v1", "")),
            ),
            (
                "https://h/a.git?ref=x#x:s",
                Some(url("https://h/a.git", "x", "s")),
            ),
            ("https://h/a.tar.gz", None),
            ("https://h/a", None),
            ("github.com/a/b", None),
            ("./git@h:a", None),
            ("a.git", None),
            ("ftp://h/a.git", None),
            ("file:///a.git", None),
        ] {
            let found = parse(text).map(|url| url.unwrap());
            assert_eq!(found, expected, "{text}");
        }
        for (text, directory) in [
            ("/a/./b/", "a/b"),
            ("../a", "a"),
            ("a/../..", ""),
            (".", ""),
        ] {
            assert_eq!(url("x", "", text).directory(), directory);
        }
        let github = GitUrl::parse_context("github.com/a/b#c").unwrap().unwrap();
        assert_eq!(github, url("https://github.com/a/b", "c", ""));
    }

    #[test]
    fn queries_have_their_rules() {
        for (text, expected) in [
            ("https://h/a.git?x=1", "`x` is not a key that it can have"),
            ("https://h/a.git?ref", "`ref` has no value"),
            ("https://h/a.git?ref=a&ref=b", "`ref` is given twice"),
            ("https://h/a.git?ref=a#b", "it has the ref `b` and also `a`"),
            (
                "https://h/a.git?tag=a&branch=b",
                "it can have a tag or a branch, not both",
            ),
            (
                "https://h/a.git?subdir=a#b:c",
                "it has the subdirectory `c` and also `a`",
            ),
            (
                "https://h/a.git?submodules=x",
                "`submodules=x` is neither true nor false",
            ),
            (
                "https://h/a.git?commit=x",
                "`x` is no commit: it has hexadecimal digits only",
            ),
            (
                "https://h/a.git#-x",
                "`-x` is no name of a branch, tag or commit",
            ),
            (
                "https://h/a.git#a%0ab",
                "`a\nb` is no name of a branch, tag or commit",
            ),
            (
                "https://h/a.git?ref=a:b",
                "`a:b` is no name of a branch, tag or commit",
            ),
            (
                "ssh://-oProxyCommand=x/a",
                "`-oProxyCommand=x` is no name of a host",
            ),
            ("git@-x:a", "`-x` is no name of a host"),
        ] {
            assert_eq!(parse(text).unwrap().unwrap_err(), expected, "{text}");
        }
        let found = parse("git@h:a?keep-git-dir&submodules=0&commit=ab")
            .unwrap()
            .unwrap();
        assert_eq!(found.keep_git_dir, Some(true));
        assert_eq!(found.submodules, Some(false));
        assert_eq!(found.commit.as_deref(), Some("ab"));
    }

    #[test]
    fn passwords_are_not_shown() {
        for (url, shown) in [
            ("https://h/a", "https://h/a"),
            ("https://u@h/a", "https://u@h/a"),
            ("https://u:p@h/a@b", "https://u:xxxxx@h/a@b"),
            ("git@h:a", "git@h:a"),
        ] {
            assert_eq!(redacted(url), shown);
        }
    }
}
