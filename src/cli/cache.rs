//! `bowline cache`: lists, counts and removes the steps that the engine keeps.

use std::fmt::Write as _;

use jiff::{SpanRelativeTo, Timestamp};
use serde_json::json;

use super::args::{CacheArgs, CacheCommand, Format, Global};
use super::connect::{self, ended};
use super::environment::Environment;
use super::resolve;
use super::result::{self, Outcome};
use super::session::{BuildResult, Session};
use crate::build::CacheVolume;
use crate::cache::{Bounds, Steps};
use crate::diag::Diagnostic;
use crate::run::{self, Surroundings};

/// Connects to the engine and does what is asked.
pub(super) async fn cache(
    args: &CacheArgs,
    global: &Global,
    environment: &Environment,
    session: Session,
) -> BuildResult {
    let one = |diagnostic| vec![diagnostic];
    let wanted = match &args.command {
        CacheCommand::Prune { all, bounds, .. } => {
            let wanted = parse(&bounds.filter, bounds.keep_storage.as_deref()).map_err(one)?;
            if !all && wanted == Bounds::default() {
                let refused = Diagnostic::error("nothing says which steps shall go");
                let hint = "give `--keep-storage 10GB`, `--filter until=30d`, or `--all`";
                return Err(vec![refused.with_hint(hint)]);
            }
            wanted
        }
        CacheCommand::Ls { filter, .. } | CacheCommand::Du { filter, .. } => {
            parse(filter, None).map_err(one)?
        }
    };
    let around = Surroundings {
        engine: connect::connect(global, environment).await.map_err(one)?,
        sink: session.sink,
        logins: connect::logins(environment),
        world: environment.world(),
        cancel: session.cancelled,
        gate: None,
        keep: None,
    };
    let text = match &args.command {
        CacheCommand::Ls { format, .. } => {
            let steps = run::cached_steps(&around).await.map_err(ended)?;
            // A mount has no step, and no age that the engine tells.
            let mounts = if wanted == Bounds::default() {
                run::cache_mounts(&around).await.map_err(ended)?
            } else {
                Vec::new()
            };
            listed(&steps, &mounts, &wanted, *format)
        }
        CacheCommand::Du { format, .. } => {
            let steps = run::cached_steps(&around).await.map_err(ended)?;
            counted(&steps, &wanted, *format)
        }
        CacheCommand::Prune { all, dry_run, .. } => {
            let pruned = run::prune(&around, &wanted, *dry_run)
                .await
                .map_err(ended)?;
            let would = if *dry_run { "would remove" } else { "removed" };
            let size = size(pruned.size);
            let mut text = format!("{would} {} steps of {size}\n", pruned.steps);
            if *all {
                let mounts = if *dry_run {
                    run::cache_mounts(&around).await.map_err(ended)?.len()
                } else {
                    run::remove_cache_mounts(&around).await.map_err(ended)?
                };
                let _ = writeln!(text, "{would} {mounts} cache mounts");
            }
            text
        }
    };
    result::print(&text)?;
    Ok(Outcome::default())
}

/// What filters and a size mean.
pub(super) fn parse(filters: &[String], size: Option<&str>) -> Result<Bounds, Diagnostic> {
    let mut bounds = Bounds::default();
    if let Some(text) = size {
        let bytes = resolve::size(text).and_then(|bytes| u64::try_from(bytes).ok());
        let refused = || Diagnostic::error(format!("`--keep-storage`: `{text}` is no size"));
        let refused = || refused().with_hint("a size is given as `500MB` or `10GB`");
        bounds.size = Some(bytes.ok_or_else(refused)?);
    }
    for filter in filters {
        match filter.split_once('=') {
            Some(("until", time)) => bounds.since = Some(until(time)?),
            Some(("step", text)) => bounds.step = Some(text.to_owned()),
            _ => {
                let refused = Diagnostic::error(format!("`--filter`: `{filter}` is no filter"));
                return Err(refused.with_hint("filters are `until=TIME` and `step=TEXT`"));
            }
        }
    }
    Ok(bounds)
}

/// A time, or an age.
fn until(text: &str) -> Result<i64, Diagnostic> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time.as_second());
    }
    let age = text.parse::<jiff::Span>().ok();
    let days = SpanRelativeTo::days_are_24_hours();
    let age = age.and_then(|age| age.to_duration(days).ok());
    let time = age.and_then(|age| Timestamp::now().checked_sub(age).ok());
    let refused = || {
        Diagnostic::error(format!("`until`: `{text}` is no age"))
            .with_hint("an age is given as `12h` or `30d`, a time as `2026-01-31T12:00:00Z`")
    };
    time.map(Timestamp::as_second).ok_or_else(refused)
}

/// Whether a listing shows a step.
fn is_wanted(created: i64, title: &str, wanted: &Bounds) -> bool {
    wanted.since.is_none_or(|since| created < since)
        && wanted
            .step
            .as_ref()
            .is_none_or(|text| title.contains(text.as_str()))
}

fn listed(steps: &Steps, mounts: &[CacheVolume], wanted: &Bounds, format: Format) -> String {
    let mut all: Vec<_> = steps
        .iter()
        .filter(|(step, _)| is_wanted(step.created, &step.record.title, wanted))
        .collect();
    all.sort_by_key(|(step, _)| std::cmp::Reverse(step.created));
    let time = |seconds| Timestamp::from_second(seconds).unwrap_or_default();
    match format {
        Format::Json => {
            let mut rows: Vec<_> = all
                .iter()
                .map(|(step, own)| {
                    json!({
                        "key": step.record.key,
                        "image": step.id,
                        "names": step.names,
                        "created": time(step.created).to_string(),
                        "size": own,
                        "layers": step.record.layers.len(),
                        "step": step.record.title,
                    })
                })
                .collect();
            let mounts = mounts.iter();
            rows.extend(mounts.map(|one| json!({ "mount": one.id, "volume": one.name })));
            format!("{}\n", serde_json::Value::from(rows))
        }
        Format::Text => {
            let mut text = format!("{:<12}  {:<20}  {:>9}  STEP\n", "KEY", "CREATED", "SIZE");
            for (step, own) in all {
                let key = step.record.key.get(..12).unwrap_or(&step.record.key);
                let title = step.record.title.lines().next().unwrap_or_default();
                let title: String = title.chars().take(100).collect();
                let (time, size) = (time(step.created), size(own));
                // Writing to a string does not fail.
                let _ = writeln!(text, "{key:<12}  {time:<20}  {size:>9}  {title}");
            }
            for one in mounts {
                let _ = writeln!(
                    text,
                    "cache mount `{}` in the volume `{}`",
                    one.id, one.name
                );
            }
            text
        }
    }
}

fn counted(steps: &Steps, wanted: &Bounds, format: Format) -> String {
    let shown: Vec<_> = steps
        .iter()
        .filter(|(step, _)| is_wanted(step.created, &step.record.title, wanted))
        .collect();
    let bytes: u64 = shown.iter().map(|(_, own)| own).sum();
    match format {
        Format::Json => format!("{}\n", json!({ "steps": shown.len(), "size": bytes })),
        Format::Text => format!("{} steps, {}\n", shown.len(), size(bytes)),
    }
}

fn size(bytes: u64) -> String {
    crate::progress::size(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_read() {
        let filters = [
            "until=2026-01-31T12:00:00Z".to_owned(),
            "step=RUN".to_owned(),
        ];
        let bounds = parse(&filters, Some("10GB")).unwrap();
        assert_eq!(bounds.size, Some(10 << 30));
        assert_eq!(bounds.since, Some(1_769_860_800));
        assert_eq!(bounds.step.as_deref(), Some("RUN"));
        for age in ["12h", "30d", "2w", "90m"] {
            assert!(until(age).unwrap() < Timestamp::now().as_second(), "{age}");
        }
        assert!(parse(&["until=soon".to_owned()], None).is_err());
        assert!(parse(&["label=x".to_owned()], None).is_err());
        assert!(parse(&[], Some("much")).is_err());
    }
}
