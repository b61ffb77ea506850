//! What commands print, as plain text that fits the terminal.

use std::collections::BTreeSet;

use super::breakpoint::Breakpoint;
use super::command::plain;
use super::inspect::Inspector;
use super::stepper::{Reason, Stepper};
use super::words::{bytes, fit, table};
use crate::build::{Moment, Site};
use crate::dockerfile::expand::{Mode, expand as expand_text};
use crate::plan::Variable;

type Result<T> = std::result::Result<T, String>;

/// How much of a file is shown.
const MOST: usize = 256 << 10;

/// What can be done at a failure, in short.
pub(super) const AFTER_FAILURE: &str = "`shell` opens it as it died, `log` shows its output, \
    `retry` runs it again, `continue` ends the build\n";

/// The lines that are shown around one.
pub(super) fn around(line: usize) -> (usize, usize) {
    (
        line.saturating_sub(4).max(1),
        line.saturating_sub(4).max(1) + 9,
    )
}

/// Lines of the Dockerfile: `=>` is here, `*` a breakpoint, `.` where another stage is.
pub(super) fn source(
    stepper: &Stepper,
    here: Option<&Inspector>,
    first: usize,
    last: usize,
    width: usize,
) -> String {
    let Some(catalog) = stepper.catalog() else {
        return String::new();
    };
    let source = &catalog.source;
    let current = here.and_then(Inspector::file_line);
    let others: BTreeSet<usize> = stepper
        .stages()
        .iter()
        .map(|site| site.line())
        .filter(|line| !line.on_build)
        .map(|line| line.source.line(line.span.start))
        .collect();
    let breakpoints: BTreeSet<usize> = stepper
        .breakpoints()
        .iter()
        .filter_map(|breakpoint| stepper.line_of(&breakpoint.trigger))
        .collect();
    let last = last.min(source.line_count());
    let digits = last.to_string().len();
    let mut text = String::new();
    for number in first..=last {
        let written = source.slice(source.line_span(number));
        if number == last && written.is_empty() && number == source.line_count() {
            break;
        }
        let mark = if current == Some(number) {
            "=>"
        } else if others.contains(&number) {
            " ."
        } else {
            "  "
        };
        let breakpoint = if breakpoints.contains(&number) {
            '*'
        } else {
            ' '
        };
        let line = format!("{mark}{breakpoint}{number:>digits$} | {written}");
        text.push_str(fit(&line, width).trim_end());
        text.push('\n');
    }
    text
}

/// The line that says where the build stopped and why.
pub(super) fn headline(reason: &Reason, here: &Inspector) -> String {
    let site = &here.site;
    let stage = Inspector::stage_name(site, site.stage().index);
    let place = match here.file_line() {
        Some(line) => format!("line {line}"),
        None => "a trigger of the base image".into(),
    };
    let why = match reason {
        Reason::Entry => "entry".to_owned(),
        Reason::Step => "step".to_owned(),
        Reason::Pause => "paused".to_owned(),
        Reason::Reached => "reached".to_owned(),
        Reason::Breakpoint(id) => format!("breakpoint {id}"),
        Reason::CacheMiss => "cache miss".to_owned(),
        Reason::Failure => "failed".to_owned(),
    };
    let at = match site.moment() {
        Moment::Before => "before",
        Moment::After => "end of the stage, after",
        Moment::Failed => "at",
    };
    format!("{why}: {stage}, {at} {place}\n")
}

pub(super) fn breakpoints(stepper: &Stepper) -> String {
    let mut text = String::new();
    for breakpoint in stepper.breakpoints() {
        text.push_str(&added(stepper, &breakpoint));
    }
    let (failure, miss) = stepper.stops_on();
    for (stops, what) in [(failure, "failures"), (miss, "cache misses")] {
        if stops {
            text.push_str(&format!("stops on {what}\n"));
        }
    }
    if text.is_empty() {
        text.push_str("there are no breakpoints\n");
    }
    text
}

/// A breakpoint, and where it really stands.
pub(super) fn added(stepper: &Stepper, breakpoint: &Breakpoint) -> String {
    let mut text = format!("{}: {}", breakpoint.id, breakpoint.describe());
    if let (super::Trigger::Line(asked), Some(found)) =
        (&breakpoint.trigger, stepper.line_of(&breakpoint.trigger))
        && *asked != found
    {
        text.push_str(&format!(" (the instruction is in line {found})"));
    }
    if breakpoint.seen > 0 {
        text.push_str(&format!(", reached {} times", breakpoint.seen));
    }
    text + "\n"
}

/// This stage and who waits for it.
pub(super) fn callers(site: &Site) -> String {
    let mut text = String::new();
    let own = (site.stage().index, site.index());
    for (number, (stage, at)) in std::iter::once(&own).chain(site.callers()).enumerate() {
        let Some(found) = site.plan().stage(*stage) else {
            continue;
        };
        let line = &found.lines[*at];
        let name = Inspector::stage_name(site, *stage);
        let written = line.source.line(line.span.start);
        text.push_str(&format!(
            "#{number} {name}, line {written}: {}\n",
            fit(&line.written, 60)
        ));
    }
    text
}

pub(super) fn stages(stepper: &Stepper, site: &Site) -> String {
    let running = stepper.stages();
    let mut rows = Vec::new();
    for stage in &site.plan().stages {
        let name = Inspector::stage_name(site, stage.index);
        let there = running
            .iter()
            .find(|other| other.stage().index == stage.index);
        let state = match there {
            Some(other) => {
                let line = other.line();
                let number = line.source.line(line.span.start);
                format!("at line {number}: {}", line.written)
            }
            None => "not there now".to_owned(),
        };
        let steps = match stage.steps.len() {
            1 => "1 step".to_owned(),
            count => format!("{count} steps"),
        };
        rows.push(vec![name, steps, state]);
    }
    table(&rows, 80)
}

/// Everything of this place on one page.
pub(super) async fn info(here: &Inspector, width: usize) -> String {
    let site = &here.site;
    let (line, scene) = (site.line(), site.scene());
    let config = &scene.config.config;
    let user = if config.user.is_empty() {
        "root"
    } else {
        &config.user
    };
    let stage = site.stage();
    let mut rows = vec![
        vec!["stage".into(), Inspector::stage_name(site, stage.index)],
        vec!["platform".into(), stage.platform.to_string()],
        vec!["written".into(), line.written.clone()],
        vec!["expanded".into(), line.expanded.clone()],
        vec!["user".into(), user.to_owned()],
        vec!["workdir".into(), scene.cwd.clone()],
        vec!["shell".into(), scene.shell.join(" ")],
        vec!["network".into(), here.network().await],
    ];
    for host in site.extra_hosts() {
        rows.push(vec!["host".into(), host.clone()]);
    }
    for mount in site.mounts() {
        rows.push(vec!["mount".into(), mount]);
    }
    rows.push(vec!["cache".into(), here.why()]);
    let mut text = String::new();
    for row in rows {
        text.push_str(&fit(&format!("{:<9} {}", row[0], row[1]), width));
        text.push('\n');
    }
    if let Some(failure) = site.failure() {
        text.push_str(&plain(failure));
        text.push('\n');
    }
    text
}

pub(super) fn variables(site: &Site, name: &str, width: usize) -> Result<String> {
    let variables = &site.scene().variables;
    if !name.is_empty() {
        let found = variables.iter().find(|variable| variable.name == name);
        let found = found.ok_or_else(|| format!("there is no variable `{name}` here"))?;
        return Ok(format!(
            "{}={}\nfrom {}\n",
            found.name, found.value, found.origin
        ));
    }
    let rows: Vec<Vec<String>> = variables
        .iter()
        .map(|variable| {
            vec![
                variable.name.clone(),
                fit(&variable.value, width / 2),
                variable.origin.to_string(),
            ]
        })
        .collect();
    Ok(table(&rows, width))
}

/// A text with this place's variables put in.
pub(super) fn expand(site: &Site, text: &str) -> Result<String> {
    expand_with(&site.scene().variables, text)
}

pub(super) fn expand_with(variables: &[Variable], text: &str) -> Result<String> {
    let lookup = |name: &str| {
        let found = variables.iter().find(|variable| variable.name == name);
        found.map(|variable| variable.value.clone())
    };
    expand_text(text, &lookup, Mode::word('\\'))
        .map(|found| found.text)
        .map_err(|error| error.kind.to_string())
}

pub(super) fn config(site: &Site) -> String {
    let config = &site.scene().config.config;
    let text = serde_json::to_string_pretty(config);
    text.expect("a config is plain data") + "\n"
}

pub(super) async fn list(here: &Inspector, path: &str, width: usize) -> Result<String> {
    let path = if path.is_empty() { "." } else { path };
    let files = here.list(path).await.map_err(|error| plain(&error))?;
    let rows: Vec<_> = files.iter().map(|file| file.row(file.name())).collect();
    Ok(table(&rows, width))
}

pub(super) async fn file(here: &Inspector, path: &str) -> Result<String> {
    if path.is_empty() {
        return Err("`cat` needs a path".into());
    }
    let content = here
        .view(path, MOST + 1)
        .await
        .map_err(|error| plain(&error))?;
    Ok(text_of(content))
}

/// A file's content for people.
pub(super) fn text_of(mut content: Vec<u8>) -> String {
    let more = content.len() > MOST;
    content.truncate(MOST);
    let is_text = |text: &str| !text.contains('\0');
    let valid = match std::str::from_utf8(&content) {
        Ok(text) => Some(text),
        // A cut may go through a character.
        Err(error) if more && error.error_len().is_none() => {
            std::str::from_utf8(&content[..error.valid_up_to()]).ok()
        }
        Err(_) => None,
    };
    let Some(text) = valid.filter(|text| is_text(text)) else {
        return format!("it is no text, {} bytes or more\n", content.len());
    };
    let mut text = text.to_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    if more {
        text.push_str("... it goes on\n");
    }
    text
}

pub(super) async fn sizes(here: &Inspector, path: &str, width: usize) -> Result<String> {
    let path = if path.is_empty() { "." } else { path };
    let (sizes, all) = here.sizes(path).await.map_err(|error| plain(&error))?;
    let mut rows: Vec<Vec<String>> = sizes
        .into_iter()
        .map(|(name, size)| vec![bytes(size), name])
        .collect();
    rows.push(vec![bytes(all), "in all".into()]);
    Ok(table(&rows, width))
}

pub(super) async fn changes(here: &Inspector, rest: &str, width: usize) -> Result<String> {
    let line = match rest {
        "" => None,
        text => Some(
            text.parse()
                .map_err(|_| format!("`changes` takes a line, not `{text}`"))?,
        ),
    };
    let (line, changes) = here.changes(line).await.map_err(|error| plain(&error))?;
    if changes.is_empty() {
        return Ok(format!("line {line} changed no files\n"));
    }
    let rows: Vec<Vec<String>> = changes
        .iter()
        .map(|change| {
            let mut row = change.file.row(&change.file.path);
            row.insert(0, change.kind.letter().to_string());
            row
        })
        .collect();
    Ok(format!("line {line} changed:\n{}", table(&rows, width)))
}

pub(super) fn log(here: &Inspector, rest: &str) -> Result<String> {
    let log = here.log().unwrap_or_default();
    if log.is_empty() {
        return Ok("the instruction wrote nothing in this session\n".into());
    }
    let count = match rest {
        "" => usize::MAX,
        text => text
            .parse()
            .map_err(|_| format!("`log` takes a count of lines, not `{text}`"))?,
    };
    let lines: Vec<&str> = log.lines().collect();
    let first = lines.len().saturating_sub(count);
    Ok(lines[first..]
        .iter()
        .flat_map(|line| [line, "\n"])
        .collect())
}
