//! The linter in a build: what the Dockerfile and the build arguments ask of it, and where its
//! findings go.

use std::path::Path;
use std::sync::Arc;

use crate::context::IgnoreRules;
use crate::diag::{Diagnostic, Diagnostics};
use crate::dockerfile::ast::Dockerfile;
use crate::lint::{self, Config, Lint};
use crate::plan;
use crate::progress::{Event, LintWarning, Sink};
use crate::request::BuildRequest;
use crate::source::SourceFile;

/// The build argument that stands before `# check=`.
const ARGUMENT: &str = "BUILDKIT_DOCKERFILE_CHECK";

/// The linter that the file and the request ask for.
pub(super) fn linter(
    request: &BuildRequest,
    dockerfile: &Dockerfile,
    ignore: Option<&Path>,
) -> Result<Lint, Diagnostic> {
    let config = config(request, dockerfile)?;
    Ok(Lint::new(config).with_ignored(ignore.and_then(ignored)))
}

fn config(request: &BuildRequest, dockerfile: &Dockerfile) -> Result<Config, Diagnostic> {
    let argument = request.build_args.iter().find(|(name, _)| name == ARGUMENT);
    if let Some((_, value)) = argument {
        Config::parse(value)
            .map_err(|why| Diagnostic::error(format!("invalid build argument `{ARGUMENT}`: {why}")))
    } else if let Some(word) = &dockerfile.directives.check {
        // BuildKit reads as far as the first space.
        let value = word.text.split(' ').next().unwrap_or_default();
        Config::parse(value)
            .map_err(|why| Diagnostic::error(why).with_label(&dockerfile.source, word.span, ""))
    } else {
        Ok(Config::default())
    }
}

/// The text without what can be mended safely, or `None` when there is nothing to mend.
pub fn fix(
    request: &BuildRequest,
    source: &Arc<SourceFile>,
) -> Result<Option<String>, Diagnostics> {
    let mut text = None;
    let mut source = Arc::clone(source);
    // Each pass makes the file simpler; a few are enough.
    for _ in 0..9 {
        let parsed = crate::dockerfile::parse(&source)?;
        let config = config(request, &parsed.dockerfile)?;
        let Some(next) = lint::fix::rewritten(&parsed.dockerfile, &config) else {
            break;
        };
        source = SourceFile::new(source.name(), next.as_str());
        text = Some(next);
    }
    Ok(text)
}

/// Which paths the ignore file leaves out for certain: with exceptions in it that is hard to
/// tell without the files. One that cannot be read is told when it is used.
fn ignored(path: &Path) -> Option<lint::Ignored> {
    let text = fs_err::read_to_string(path).ok()?;
    let rules = IgnoreRules::parse(&text, "").ok()?;
    if rules.is_empty() || rules.has_exceptions() {
        return None;
    }
    Some(Box::new(move |path| {
        let path = plan::clean(path);
        let path = path.trim_start_matches('/');
        !path.is_empty() && rules.ignores(path)
    }))
}

/// A linter whose findings are told, also when planning fails on the way.
pub(super) struct Telling<'a> {
    pub(super) lint: Lint,
    /// None where they are known already.
    sink: Option<&'a dyn Sink>,
    /// Whether with lines of the file.
    expanded: bool,
}

impl<'a> Telling<'a> {
    pub(super) fn new(lint: Lint, sink: Option<&'a dyn Sink>, expanded: bool) -> Self {
        Self {
            lint,
            sink,
            expanded,
        }
    }

    /// All is looked at. Fails where the file asks that findings fail the build.
    pub(super) fn end(&self) -> Result<(), Diagnostic> {
        self.lint
            .violation()
            .map_or(Ok(()), |violation| Err(Diagnostic::error(violation)))
    }
}

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        let Some(sink) = self.sink else { return };
        let mut text: Option<Arc<str>> = None;
        for found in self.lint.findings() {
            let text = text.get_or_insert_with(|| found.source.text().into());
            let excerpt = || lint::excerpt(found.source.name(), &found.source, found.lines);
            sink.emit(Event::Lint(Arc::new(LintWarning {
                short: found.short(),
                detail: found.rule.description.to_owned(),
                url: found.rule.url.to_owned(),
                file: found.source.name().to_owned(),
                text: Arc::clone(text),
                lines: found.lines,
                excerpt: self.expanded.then(excerpt),
            })));
        }
    }
}
