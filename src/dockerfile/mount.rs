//! What a `--mount=` means, once its values are expanded.
//!
//! BuildKit expands every value (the type too) and judges the options only for the
//! steps that it builds; [`Mount::resolve`] does the same, so call it for the steps
//! of reachable stages.

use std::sync::Arc;

use crate::diag::{Diagnostic, suggest};
use crate::dockerfile::ast::{Mount, Word};
use crate::source::{SourceFile, Span};

/// A mount with its values expanded and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedMount {
    /// The whole value of the flag.
    pub span: Span,
    /// `type=`
    pub kind: MountKind,
    /// `from=`; empty means none.
    pub from: String,
    /// `source=`; empty means none.
    pub source: String,
    /// `target=`; empty means none.
    pub target: String,
    /// `id=`; empty means none.
    pub id: String,
    /// `readonly`, with the default of the type (true for bind, secret and ssh).
    pub readonly: bool,
    /// `required`
    pub required: bool,
    /// `size=` in bytes; 0 means no limit.
    pub size: i64,
    /// `sharing=`
    pub sharing: Option<Sharing>,
    /// `mode=`
    pub mode: Option<u32>,
    /// `uid=`
    pub uid: Option<u32>,
    /// `gid=`
    pub gid: Option<u32>,
    /// `env=`; present but empty stands for the default name.
    pub env: Option<String>,
}

/// `type=`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MountKind {
    /// Files of a stage, an image or the context.
    Bind,
    /// A directory that outlives the build.
    Cache,
    /// A directory in memory.
    Tmpfs,
    /// A secret.
    Secret,
    /// The socket of an ssh agent.
    Ssh,
}

/// `sharing=`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sharing {
    /// Several steps write at once.
    Shared,
    /// Each has its own.
    Private,
    /// One waits for the other.
    Locked,
}

/// Expands one word of a mount.
pub type Expand<'a> = dyn FnMut(&Word) -> Result<String, Diagnostic> + 'a;

const KINDS: [(&str, MountKind); 5] = [
    ("bind", MountKind::Bind),
    ("cache", MountKind::Cache),
    ("tmpfs", MountKind::Tmpfs),
    ("secret", MountKind::Secret),
    ("ssh", MountKind::Ssh),
];

const SHARINGS: [(&str, Sharing); 3] = [
    ("shared", Sharing::Shared),
    ("private", Sharing::Private),
    ("locked", Sharing::Locked),
];

const KEYS: [&str; 19] = [
    "type",
    "from",
    "source",
    "src",
    "target",
    "dst",
    "destination",
    "readonly",
    "ro",
    "readwrite",
    "rw",
    "required",
    "size",
    "id",
    "sharing",
    "mode",
    "uid",
    "gid",
    "env",
];

impl MountKind {
    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bind => "bind",
            Self::Cache => "cache",
            Self::Tmpfs => "tmpfs",
            Self::Secret => "secret",
            Self::Ssh => "ssh",
        }
    }
}

impl Mount {
    /// The mount with its values expanded by `expand`.
    ///
    /// # Errors
    /// When an option is unknown, has a bad value, or does not fit the type.
    pub fn resolve(
        &self,
        source: &Arc<SourceFile>,
        expand: &mut Expand<'_>,
    ) -> Result<ResolvedMount, Diagnostic> {
        let mut draft = Draft::new(source, self.span);
        for option in &self.options {
            match &option.value {
                None => draft.set_bare(&option.key)?,
                Some(word) => {
                    let value = Word::new(expand(word)?, word.span);
                    draft.set(&option.key, &value)?;
                }
            }
        }
        draft.finish()
    }
}

/// A mount while its options are read, in their order: `required` and `size` ask
/// for the type that stands before them.
struct Draft<'a> {
    source: &'a Arc<SourceFile>,
    mount: ResolvedMount,
    readonly: Option<bool>,
    sharing_span: Span,
    file_info: Vec<(&'static str, Span)>,
}

impl<'a> Draft<'a> {
    fn new(source: &'a Arc<SourceFile>, span: Span) -> Self {
        Self {
            source,
            mount: ResolvedMount {
                span,
                kind: MountKind::Bind,
                from: String::new(),
                source: String::new(),
                target: String::new(),
                id: String::new(),
                readonly: false,
                required: false,
                size: 0,
                sharing: None,
                mode: None,
                uid: None,
                gid: None,
                env: None,
            },
            readonly: None,
            sharing_span: span,
            file_info: Vec::new(),
        }
    }

    fn error(&self, message: impl Into<String>, span: Span) -> Diagnostic {
        Diagnostic::error(message).with_label(self.source, span, "")
    }

    /// An error with a near miss, or with everything that there is.
    fn no_such<'n>(
        &self,
        message: String,
        word: &Word,
        names: impl Iterator<Item = &'n str> + Clone,
    ) -> Diagnostic {
        let mut error = self.error(message, word.span);
        if let Some(near) = suggest(&word.text, names.clone()) {
            error.labels[0].text = format!("did you mean `{near}`?");
            return error;
        }
        let names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
        error.with_hint(format!("it can be {}", names.join(", ")))
    }

    fn set_bare(&mut self, key: &Word) -> Result<(), Diagnostic> {
        match key.text.to_lowercase().as_str() {
            "readonly" | "ro" => self.readonly = Some(true),
            "readwrite" | "rw" => self.readonly = Some(false),
            "required" => {
                self.fits(key, &[MountKind::Secret, MountKind::Ssh])?;
                self.mount.required = true;
            }
            known if KEYS.contains(&known) => {
                let message = format!("mount option `{known}` has no value");
                let label = format!("write `{known}=...`");
                return Err(Diagnostic::error(message).with_label(self.source, key.span, label));
            }
            _ => return Err(self.unknown(key)),
        }
        Ok(())
    }

    fn unknown(&self, key: &Word) -> Diagnostic {
        let message = format!("unknown mount option `{}`", key.text);
        self.no_such(message, key, KEYS.into_iter())
    }

    fn fits(&self, key: &Word, kinds: &[MountKind]) -> Result<(), Diagnostic> {
        if kinds.contains(&self.mount.kind) {
            return Ok(());
        }
        let kind = self.mount.kind.name();
        let message = format!("mount option `{}` does not fit type `{kind}`", key.text);
        let names: Vec<_> = kinds
            .iter()
            .map(|kind| format!("`{}`", kind.name()))
            .collect();
        let hint = format!(
            "it is for {}; `type=` has to stand before it",
            names.join(" and ")
        );
        Err(self.error(message, key.span).with_hint(hint))
    }

    fn set(&mut self, key: &Word, value: &Word) -> Result<(), Diagnostic> {
        let name = key.text.to_lowercase();
        match name.as_str() {
            "type" => self.mount.kind = self.choice("mount type", value, &KINDS)?,
            "sharing" => {
                self.mount.sharing = Some(self.choice("sharing mode", value, &SHARINGS)?);
                self.sharing_span = key.span.to(value.span);
            }
            "from" => self.mount.from.clone_from(&value.text),
            "source" | "src" => self.mount.source.clone_from(&value.text),
            "target" | "dst" | "destination" => self.mount.target.clone_from(&value.text),
            "id" => self.mount.id.clone_from(&value.text),
            "env" => self.mount.env = Some(value.text.clone()),
            "readonly" | "ro" => self.readonly = Some(self.bool(key, value)?),
            "readwrite" | "rw" => self.readonly = Some(!self.bool(key, value)?),
            "required" => {
                self.fits(key, &[MountKind::Secret, MountKind::Ssh])?;
                self.mount.required = self.bool(key, value)?;
            }
            "size" => {
                self.fits(key, &[MountKind::Tmpfs])?;
                self.mount.size = parse_size(&value.text).ok_or_else(|| self.bad(key, value))?;
            }
            "mode" => self.mount.mode = Some(self.number("mode", key, value, 8)?),
            "uid" => self.mount.uid = Some(self.number("uid", key, value, 10)?),
            "gid" => self.mount.gid = Some(self.number("gid", key, value, 10)?),
            _ => return Err(self.unknown(key)),
        }
        Ok(())
    }

    fn bad(&self, key: &Word, value: &Word) -> Diagnostic {
        let message = format!(
            "invalid value `{}` for mount option `{}`",
            value.text, key.text
        );
        self.error(message, value.span)
    }

    fn choice<T: Copy>(
        &self,
        what: &str,
        value: &Word,
        choices: &[(&'static str, T)],
    ) -> Result<T, Diagnostic> {
        let lower = value.text.to_lowercase();
        let found = choices.iter().find(|(name, _)| *name == lower);
        found.map(|&(_, choice)| choice).ok_or_else(|| {
            let message = format!("unknown {what} `{}`", value.text);
            self.no_such(message, value, choices.iter().map(|(name, _)| *name))
        })
    }

    fn bool(&self, key: &Word, value: &Word) -> Result<bool, Diagnostic> {
        parse_bool(&value.text).ok_or_else(|| self.bad(key, value))
    }

    fn number(
        &mut self,
        name: &'static str,
        key: &Word,
        value: &Word,
        radix: u32,
    ) -> Result<u32, Diagnostic> {
        self.file_info.push((name, key.span.to(value.span)));
        let is_plain = value.text.bytes().all(|byte| byte.is_ascii_digit());
        let number = u32::from_str_radix(&value.text, radix).ok();
        number
            .filter(|_| is_plain)
            .ok_or_else(|| self.bad(key, value))
    }

    fn finish(mut self) -> Result<ResolvedMount, Diagnostic> {
        let kind = self.mount.kind;
        let has_owner = matches!(kind, MountKind::Secret | MountKind::Ssh | MountKind::Cache);
        if let Some(&(name, span)) = self.file_info.first().filter(|_| !has_owner) {
            let message = format!("mount option `{name}` does not fit type `{}`", kind.name());
            return Err(self.error(message, span));
        }
        let writable = matches!(kind, MountKind::Cache | MountKind::Tmpfs);
        self.mount.readonly = self.readonly.unwrap_or(!writable);
        if kind == MountKind::Secret {
            self.check_secret()?;
        }
        if self.mount.sharing.is_some() && kind != MountKind::Cache {
            let message = format!("mount option `sharing` does not fit type `{}`", kind.name());
            return Err(self.error(message, self.sharing_span));
        }
        Ok(self.mount)
    }

    fn check_secret(&self) -> Result<(), Diagnostic> {
        let mount = &self.mount;
        let is_nameless = mount.source.is_empty() && mount.target.is_empty() && mount.id.is_empty();
        let message = if !mount.from.is_empty() {
            "a secret mount cannot have `from`"
        } else if mount.sharing.is_some() {
            "a secret mount cannot have `sharing`"
        } else if is_nameless {
            "a secret mount requires `id`, `source` or `target`"
        } else if !mount.source.is_empty() && !mount.id.is_empty() {
            "a secret mount cannot have both `source` and `id`"
        } else {
            return Ok(());
        };
        Err(self.error(message, mount.span))
    }
}

/// Truth as Go writes it.
pub(super) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// A size in bytes: a number, perhaps with `b`, `k`, `kb`, `kib` and so on up to `p`.
fn parse_size(text: &str) -> Option<i64> {
    let number_end = text.rfind(|c: char| c.is_ascii_digit() || matches!(c, '.' | ' '))? + 1;
    let (number, unit) = text.split_at(number_end);
    let number = number.strip_suffix(' ').unwrap_or(number);
    let number: f64 = number.parse().ok().filter(|number| *number >= 0.0)?;
    let unit = unit.to_lowercase();
    let power = match unit.as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 1,
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        "t" | "tb" | "tib" => 4,
        "p" | "pb" | "pib" => 5,
        _ => return None,
    };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a float becomes the nearest size"
    )]
    Some((number * 1024_f64.powi(power)) as i64)
}

#[cfg(test)]
mod tests {
    use super::{MountKind, ResolvedMount, Sharing, parse_size};
    use crate::dockerfile::ast::Kind;
    use crate::dockerfile::parse;
    use crate::source::SourceFile;

    fn resolve(mount: &str) -> ResolvedMount {
        let source = SourceFile::new("Dockerfile", format!("FROM a\nRUN --mount={mount} true"));
        let parsed = parse(&source).unwrap();
        let Kind::Run(run) = &parsed.dockerfile.instructions[1].kind else {
            panic!("it is one");
        };
        let mut expand = |word: &crate::dockerfile::ast::Word| Ok(word.text.replace("$T", "cache"));
        run.mounts[0].resolve(&source, &mut expand).unwrap()
    }

    #[test]
    fn types_have_defaults() {
        for (mount, kind, readonly) in [
            ("target=/x", MountKind::Bind, true),
            ("target=/x,rw", MountKind::Bind, false),
            ("target=/x,readonly=false", MountKind::Bind, false),
            ("type=cache,target=/x", MountKind::Cache, false),
            ("type=cache,target=/x,ro", MountKind::Cache, true),
            ("type=$T,target=/x", MountKind::Cache, false),
            ("type=tmpfs,target=/x", MountKind::Tmpfs, false),
            ("type=SECRET,id=x", MountKind::Secret, true),
            ("type=ssh", MountKind::Ssh, true),
        ] {
            let found = resolve(mount);
            assert_eq!((found.kind, found.readonly), (kind, readonly), "{mount}");
        }
    }

    #[test]
    fn options_are_read() {
        let found =
            resolve("type=cache,id=i,dst=/d,from=f,src=s,sharing=Locked,mode=0750,uid=1,gid=2");
        assert_eq!((found.id.as_str(), found.target.as_str()), ("i", "/d"));
        assert_eq!((found.from.as_str(), found.source.as_str()), ("f", "s"));
        assert_eq!(found.sharing, Some(Sharing::Locked));
        assert_eq!(
            (found.mode, found.uid, found.gid),
            (Some(0o750), Some(1), Some(2))
        );
        let found = resolve("type=secret,id=x,env=,required=0");
        assert_eq!((found.env.as_deref(), found.required), (Some(""), false));
        assert!(resolve("type=ssh,required").required);
        assert_eq!(resolve("type=tmpfs,target=/x,size=1.5k").size, 1536);
    }

    #[test]
    fn sizes_have_units() {
        for (text, expected) in [
            ("0", Some(0)),
            ("100", Some(100)),
            ("100b", Some(100)),
            ("2k", Some(2048)),
            ("2KB", Some(2048)),
            ("2 KiB", Some(2048)),
            ("1.5m", Some(1_572_864)),
            ("3g", Some(3_221_225_472)),
            ("1t", Some(1_099_511_627_776)),
            ("-1", None),
            ("", None),
            ("m", None),
            ("1x", None),
            ("1kbb", None),
            ("1 2", None),
        ] {
            assert_eq!(parse_size(text), expected, "{text}");
        }
    }
}
