//! Named contexts: what stands in for a stage or an image of that name.

use std::sync::Arc;

use super::graph::{Base, Graph};
use super::{BaseIndex, BaseWanted, ContextIndex, CopyFrom, StageBase, StageIndex};
use crate::diag::{Diagnostic, suggest};
use crate::image::{Platform, Reference};
use crate::request::NamedContext;
use crate::source::{SourceFile, Span};

/// What a named context stands for, as far as planning must know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stand {
    /// Files without an image: a directory, a repository, what is behind a URL.
    Files(ContextIndex),
    Image(BaseIndex),
    Scratch,
    Stage(StageIndex),
}

impl Graph {
    /// The named context that stands in for a name, if any. `scratch` and `context` are never
    /// replaced, `:latest` and no tag are the same, and so are `busybox` and
    /// `docker.io/library/busybox`.
    pub(super) fn context_named(&self, name: &str) -> Option<ContextIndex> {
        let kept = ["scratch", "context"];
        if self.options.contexts.is_empty()
            || kept.iter().any(|kept| name.eq_ignore_ascii_case(kept))
        {
            return None;
        }
        let name = Reference::parse(name).ok()?.to_string();
        let name = name.strip_suffix(":latest").unwrap_or(&name);
        self.options
            .contexts
            .iter()
            .position(|(known, _)| known == name)
    }

    /// What a named context stands for, where the file uses its name.
    pub(super) fn stand(
        &mut self,
        context: ContextIndex,
        source: &Arc<SourceFile>,
        span: Span,
        platform: Platform,
    ) -> Result<Stand, Diagnostic> {
        let (name, meant) = self.options.contexts[context].clone();
        match meant {
            NamedContext::Directory(_) | NamedContext::Git(_) | NamedContext::Url(_) => {
                Ok(Stand::Files(context))
            }
            NamedContext::Image(reference) if is_scratch(&reference) => Ok(Stand::Scratch),
            NamedContext::Image(reference) => {
                let text = reference.to_string();
                let base = self.add_base(source, span, &text, reference, platform, None);
                Ok(Stand::Image(base))
            }
            NamedContext::OciLayout { .. } => {
                let reference = Reference::parse(&name).map_err(|error| {
                    Diagnostic::error(error.to_string()).with_label(source, span, "")
                })?;
                let base = self.add_base(source, span, &name, reference, platform, Some(context));
                Ok(Stand::Image(base))
            }
            NamedContext::Target(stage) => match self.names.get(&stage.to_lowercase()) {
                Some(&found) => Ok(Stand::Stage(found)),
                None => {
                    let message = format!(
                        "the build context `{name}` is the stage `{stage}`, which is not defined before this"
                    );
                    let refused = Diagnostic::error(message).with_label(source, span, "");
                    let names = self.names.keys().map(String::as_str);
                    Err(match suggest(&stage.to_lowercase(), names) {
                        Some(near) => refused.with_hint(format!("did you mean `target:{near}`?")),
                        None => refused,
                    })
                }
            },
        }
    }

    /// The number of an image that is not a stage; the same one for the same platform is one.
    pub(super) fn add_base(
        &mut self,
        source: &Arc<SourceFile>,
        span: Span,
        text: &str,
        reference: Reference,
        platform: Platform,
        context: Option<ContextIndex>,
    ) -> BaseIndex {
        let same = |base: &Base| {
            let wanted = &base.wanted;
            wanted.reference == reference
                && wanted.platform == platform
                && wanted.context == context
        };
        if let Some(found) = self.bases.iter().position(same) {
            return found;
        }
        let wanted = BaseWanted {
            base: self.bases.len(),
            reference,
            text: text.to_owned(),
            platform,
            context,
            source: Arc::clone(source),
            span,
        };
        self.bases.push(Base {
            wanted,
            config: None,
        });
        self.bases.len() - 1
    }
}

/// The name that is no image: `FROM scratch`.
fn is_scratch(reference: &Reference) -> bool {
    reference.to_string().trim_end_matches(":latest") == "scratch"
}

impl Stand {
    pub(super) fn base(self) -> StageBase {
        match self {
            Self::Files(context) => StageBase::Files(context),
            Self::Image(base) => StageBase::Image(base),
            Self::Scratch => StageBase::Scratch,
            Self::Stage(stage) => StageBase::Stage(stage),
        }
    }
}

impl StageBase {
    /// A stage that is nothing but this, as the source of a copy.
    pub(super) fn as_source(self) -> CopyFrom {
        match self {
            Self::Files(context) => CopyFrom::Named(context),
            Self::Image(base) => CopyFrom::Image(base),
            Self::Stage(stage) => CopyFrom::Stage(stage),
            Self::Scratch => CopyFrom::Nothing,
        }
    }
}
