//! Limits of RUN steps: sizes, numbers, process limits.

use super::{Result, list};
use crate::cli::args::BuildArgs;
use crate::diag::{Diagnostic, suggest};
use crate::engine::Limits;

const RESOURCES: [&str; 7] = [
    "memory",
    "memory-swap",
    "cpu-shares",
    "cpu-period",
    "cpu-quota",
    "cpuset-cpus",
    "cpuset-mems",
];

const ULIMITS: [&str; 16] = [
    "as",
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

pub(super) fn limits(args: &BuildArgs) -> Result<Limits> {
    let mut limits = Limits {
        cgroup_parent: args
            .cgroup_parent
            .clone()
            .filter(|parent| !parent.is_empty()),
        security_opt: list(&args.security_opt, str::to_owned),
        ..Limits::default()
    };
    if let Some(text) = &args.shm_size {
        limits.shm_size = Some(size(text).ok_or_else(|| invalid("--shm-size", text, "a size"))?);
    }
    for text in &args.ulimit {
        let (name, soft, hard) = ulimit(text)?;
        limits.ulimits.retain(|(known, _, _)| *known != name);
        limits.ulimits.push((name, soft, hard));
    }
    let legacy = &args.legacy;
    for (name, value) in [
        ("memory", &legacy.memory),
        ("memory-swap", &legacy.memory_swap),
        ("cpu-shares", &legacy.cpu_shares),
        ("cpu-period", &legacy.cpu_period),
        ("cpu-quota", &legacy.cpu_quota),
        ("cpuset-cpus", &legacy.cpuset_cpus),
        ("cpuset-mems", &legacy.cpuset_mems),
    ] {
        if let Some(value) = value {
            set(&mut limits, &format!("--{name}"), name, value)?;
        }
    }
    for text in &args.resource {
        let Some((name, value)) = text.split_once('=') else {
            return Err(invalid("--resource", text, "of the form `NAME=VALUE`"));
        };
        set(&mut limits, "--resource", name.trim(), value.trim())?;
    }
    Ok(limits)
}

fn set(limits: &mut Limits, flag: &str, name: &str, value: &str) -> Result<()> {
    let bytes = || size(value).ok_or_else(|| invalid(flag, value, "a size"));
    let number = || {
        let number = value.parse::<i64>();
        number.map_err(|_| invalid(flag, value, "a number"))
    };
    match name {
        "memory" => limits.memory = Some(bytes()?),
        "memory-swap" if value == "-1" => limits.memory_swap = Some(-1),
        "memory-swap" => limits.memory_swap = Some(bytes()?),
        "cpu-shares" => limits.cpu_shares = Some(number()?),
        "cpu-period" => limits.cpu_period = Some(number()?),
        "cpu-quota" => limits.cpu_quota = Some(number()?),
        "cpuset-cpus" => limits.cpuset_cpus = Some(value.to_owned()),
        "cpuset-mems" => limits.cpuset_mems = Some(value.to_owned()),
        _ => {
            let error = Diagnostic::error(format!("unknown `{flag}` `{name}`"));
            return Err(match suggest(name, RESOURCES) {
                Some(near) => error.with_hint(format!("did you mean `{near}`?")),
                None => error.with_hint(format!("there are `{}`", RESOURCES.join("`, `"))),
            });
        }
    }
    Ok(())
}

fn invalid(flag: &str, text: &str, what: &str) -> Diagnostic {
    Diagnostic::error(format!("invalid `{flag}`: `{text}` is not {what}"))
}

/// Docker's sizes: `64m`, `1.5 GiB`, `512kb`, with 1024 to the k.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the range is checked before"
)]
pub(in crate::cli) fn size(text: &str) -> Option<i64> {
    let end = text.rfind(|c: char| c.is_ascii_digit() || c == '.' || c == ' ')? + 1;
    let (number, unit) = text.split_at(end);
    let number = number.strip_suffix(' ').unwrap_or(number);
    let plain = |c: char| c.is_ascii_digit() || c == '.';
    if !number.chars().all(plain) {
        return None;
    }
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        "p" | "pb" | "pib" => 50,
        _ => return None,
    };
    let bytes = number.parse::<f64>().ok()? * f64::powi(2.0, shift);
    (bytes < 9.0e18).then_some(bytes as i64)
}

/// `NAME=SOFT[:HARD]`; -1 is no limit.
fn ulimit(text: &str) -> Result<(String, i64, i64)> {
    let form = || invalid("--ulimit", text, "of the form `NAME=SOFT[:HARD]`");
    let (name, values) = text.split_once('=').ok_or_else(form)?;
    if !ULIMITS.contains(&name) {
        let error = Diagnostic::error(format!("unknown `--ulimit` `{name}`"));
        return Err(match suggest(name, ULIMITS) {
            Some(near) => error.with_hint(format!("did you mean `{near}`?")),
            None => error.with_hint(format!("there are `{}`", ULIMITS.join("`, `"))),
        });
    }
    let number = |text: &str| text.parse::<i64>().map_err(|_| form());
    let (soft, hard) = match values.split_once(':') {
        Some((soft, hard)) => (number(soft)?, number(hard)?),
        None => (number(values)?, number(values)?),
    };
    if hard != -1 && (soft == -1 || soft > hard) {
        let message =
            format!("invalid `--ulimit`: in `{text}` the soft limit is above the hard one");
        return Err(Diagnostic::error(message));
    }
    Ok((name.to_owned(), soft, hard))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_sizes_as_docker_does() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("512", Some(512)),
            ("512b", Some(512)),
            ("64m", Some(64 << 20)),
            ("64MB", Some(64 << 20)),
            ("64 MiB", Some(64 << 20)),
            ("1.5g", Some(3 << 29)),
            ("2T", Some(2 << 40)),
            ("", None),
            ("m", None),
            ("-1", None),
            ("64x", None),
            ("64mbb", None),
            ("6 4m", None),
            ("1e3", None),
            ("99999999p", None),
        ] {
            assert_eq!(size(text), bytes, "{text}");
        }
    }

    #[test]
    fn reads_process_limits() {
        assert_eq!(ulimit("nofile=1024"), Ok(("nofile".into(), 1024, 1024)));
        assert_eq!(ulimit("core=0:-1"), Ok(("core".into(), 0, -1)));
        for text in [
            "nofile",
            "nofile=",
            "nofile=1:2:3",
            "nofile=2:1",
            "nofile=-1:5",
            "x=1",
        ] {
            assert!(ulimit(text).is_err(), "{text}");
        }
        let hint = &ulimit("nofiles=1").unwrap_err().hints[0];
        assert_eq!(hint, "did you mean `nofile`?");
    }
}
