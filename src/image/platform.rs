//! Platforms as `os/architecture[/variant]`, normalised as containerd does it.

use std::fmt;

/// An operating system, a processor architecture and, for some, a variant of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Platform {
    pub os: String,
    pub architecture: String,
    pub variant: Option<String>,
}

impl Platform {
    pub fn new(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let (architecture, variant) = normalise_arch(architecture, variant.unwrap_or(""));
        Self {
            os: normalise_os(os),
            architecture,
            variant: (!variant.is_empty()).then_some(variant),
        }
    }

    /// Parses `os/arch[/variant]`, or one word that is either; what is not said comes from
    /// `default`.
    pub fn parse(text: &str, default: &Platform) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('/').collect();
        let valid = |p: &&str| {
            !p.is_empty()
                && p.chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '(' | ')'))
        };
        if !parts.iter().all(valid) {
            return Err(format!(
                "`{text}` is not a platform of the form `os/architecture[/variant]`"
            ));
        }
        match parts.as_slice() {
            [one] => {
                let os = normalise_os(one);
                if KNOWN_OS.contains(&os.as_str()) {
                    let variant = (os == default.os)
                        .then(|| default.variant.clone())
                        .flatten();
                    return Ok(Self {
                        os,
                        architecture: default.architecture.clone(),
                        variant,
                    });
                }
                let (arch, variant) = normalise_arch(one, "");
                if KNOWN_ARCH.contains(&arch.as_str()) {
                    return Ok(Self::new(&default.os, &arch, Some(&variant)));
                }
                Err(format!(
                    "`{text}` is neither an operating system nor an architecture"
                ))
            }
            [os, arch] => Ok(Self::new(os, arch, None)),
            [os, arch, variant] => Ok(Self::new(os, arch, Some(variant))),
            _ => Err(format!(
                "`{text}` is not a platform of the form `os/architecture[/variant]`"
            )),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

const KNOWN_OS: &[&str] = &[
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "illumos",
    "ios",
    "js",
    "linux",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "wasip1",
    "windows",
];

const KNOWN_ARCH: &[&str] = &[
    "386", "amd64", "arm", "arm64", "loong64", "mips", "mipsle", "mips64", "mips64le", "ppc64",
    "ppc64le", "riscv64", "s390x", "wasm",
];

fn normalise_os(os: &str) -> String {
    match os.to_ascii_lowercase().as_str() {
        "macos" => "darwin".into(),
        other => other.into(),
    }
}

fn normalise_arch(arch: &str, variant: &str) -> (String, String) {
    let arch = arch.to_ascii_lowercase();
    let variant = variant.to_ascii_lowercase();
    let (arch, variant) = match (arch.as_str(), variant.as_str()) {
        ("i386", _) => ("386", ""),
        ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
        ("x86_64" | "x86-64" | "amd64", v) => ("amd64", v),
        ("aarch64" | "arm64", "8" | "v8") => ("arm64", ""),
        ("aarch64" | "arm64", v) => ("arm64", v),
        ("armhf", _) => ("arm", "v7"),
        ("armel", _) => ("arm", "v6"),
        ("arm", "" | "7") => ("arm", "v7"),
        ("arm", "5") => ("arm", "v5"),
        ("arm", "6") => ("arm", "v6"),
        ("arm", "8") => ("arm", "v8"),
        (a, v) => (a, v),
    };
    (arch.into(), variant.into())
}
