//! `COPY` and `ADD`.

use super::action::{Action, Chmod, Copy, CopyFrom, CopySource, Inline};
use super::errors::{at, expand_failed};
use super::history;
use super::lints::{self, Noticed};
use super::name;
use super::remote;
use super::state::State;
use crate::diag::Diagnostic;
use crate::dockerfile::ast::{self, AddInst, CopyInst, Instruction, Spanned, Word};
use crate::dockerfile::expand::{Mode, expand};

impl State {
    pub(super) fn copy(
        &mut self,
        inst: &Instruction,
        copy: &CopyInst,
        from: CopyFrom,
    ) -> Result<(Action, String), Diagnostic> {
        let sources = self.sources(inst, &copy.sources, false)?;
        let action = Copy {
            add: false,
            from,
            sources,
            dest: self.dest(inst, &copy.dest)?,
            chown: self.expand_optional(inst, copy.chown.as_ref())?,
            chmod: self.chmod(inst, copy.chmod.as_ref())?,
            chmod_text: self.expand_optional(inst, copy.chmod.as_ref())?,
            link: Spanned::is_on(copy.link),
            parents: Spanned::is_on(copy.parents),
            excludes: copy.excludes.iter().map(|word| word.text.clone()).collect(),
            checksum: None,
            keep_git_dir: None,
            unpack: None,
        };
        self.finish_copy(inst, &copy.dest, action)
    }

    pub(super) fn add(
        &mut self,
        inst: &Instruction,
        add: &AddInst,
    ) -> Result<(Action, String), Diagnostic> {
        let sources = self.sources(inst, &add.sources, true)?;
        if let (Some(word), Some(path)) = (&add.checksum, lints::paths(&sources).next()) {
            let message =
                format!("`--checksum` is for what is downloaded, and `{path}` is a local path");
            return Err(at(inst, word.span, message).with_hint("leave `--checksum` out"));
        }
        let action = Copy {
            add: true,
            from: CopyFrom::Context,
            sources,
            dest: self.dest(inst, &add.dest)?,
            chown: self.expand_optional(inst, add.chown.as_ref())?,
            chmod: self.chmod(inst, add.chmod.as_ref())?,
            chmod_text: self.expand_optional(inst, add.chmod.as_ref())?,
            link: Spanned::is_on(add.link),
            parents: false,
            excludes: add.excludes.iter().map(|word| word.text.clone()).collect(),
            checksum: self.expand_optional(inst, add.checksum.as_ref())?,
            keep_git_dir: add.keep_git_dir.map(|flag| flag.value),
            unpack: add.unpack.map(|flag| flag.value),
        };
        let action = remote::checked(inst, add, action)?;
        self.finish_copy(inst, &add.dest, action)
    }

    fn finish_copy(
        &mut self,
        inst: &Instruction,
        dest: &Word,
        action: Copy,
    ) -> Result<(Action, String), Diagnostic> {
        let dest = self.expand(inst, dest)?;
        for path in lints::paths(&action.sources) {
            self.notice(Noticed::Source(path.to_owned()));
        }
        let line = history_line(&action, &dest);
        history::layer(&mut self.image, &line);
        let text = name::shown(self, inst, Mode::word(self.escape));
        Ok((Action::Copy(action), text))
    }

    fn sources(
        &self,
        inst: &Instruction,
        sources: &[ast::CopySource],
        add: bool,
    ) -> Result<Vec<CopySource>, Diagnostic> {
        let mut found = Vec::new();
        let mut inline = Vec::new();
        for source in sources {
            match source {
                ast::CopySource::Path(word) => {
                    let text = self.expand(inst, word)?;
                    found.push(remote::source(inst, word, text, add)?);
                }
                ast::CopySource::Inline(file) => {
                    let content = if file.expand {
                        let lookup = |name: &str| self.vars.get(name);
                        let body = Word::new(file.content.clone(), file.content_span);
                        let expansion = expand(&file.content, &lookup, Mode::heredoc())
                            .map_err(|error| expand_failed(inst, &body, error))?;
                        self.notice_undefined(file.content_span, &expansion);
                        expansion.text
                    } else {
                        file.content.clone()
                    };
                    if file.name.trim_start_matches('/').contains('/') {
                        let message = format!(
                            "a heredoc is one file, and `{}` names a directory",
                            file.name
                        );
                        return Err(at(inst, file.word.span, message)
                            .with_hint("name the directory in the destination"));
                    }
                    inline.push(CopySource::Inline(Inline {
                        name: file.name.clone(),
                        content,
                    }));
                }
            }
        }
        // BuildKit copies the heredocs after all paths, wherever they stand.
        found.extend(inline);
        Ok(found)
    }

    /// The destination as an absolute path that still says whether it was meant as a directory.
    fn dest(&self, inst: &Instruction, word: &Word) -> Result<String, Diagnostic> {
        let text = self.expand(inst, word)?;
        let text = if text.is_empty() || text == "." {
            "./".to_owned()
        } else {
            text
        };
        let mut path = super::state::join(self.cwd(), &text);
        if text.ends_with('/') && !path.ends_with('/') {
            path.push('/');
        } else if text.ends_with("/.") && !path.ends_with("/.") {
            if path != "/" {
                path.push('/');
            }
            path.push('.');
        }
        Ok(path)
    }

    fn chmod(&self, inst: &Instruction, word: Option<&Word>) -> Result<Option<Chmod>, Diagnostic> {
        let Some(word) = word else { return Ok(None) };
        let text = self.expand(inst, word)?;
        if text.is_empty() {
            return Ok(None);
        }
        let numeric = text.bytes().all(|byte| byte.is_ascii_digit());
        match u32::from_str_radix(&text, 8) {
            Ok(mode) if mode <= 0o7777 => Ok(Some(Chmod::Octal(mode))),
            _ if !numeric && symbolic(&text) => Ok(Some(Chmod::Symbolic(text))),
            _ => {
                let message = format!("`{text}` is not a mode");
                Err(at(inst, word.span, message).with_hint(
                    "a mode is octal from 0 to 07777, or symbolic such as `u=rwX,go=rX`",
                ))
            }
        }
    }
}

impl Copy {
    /// Everything there is, to the root.
    pub(super) fn whole(from: CopyFrom) -> Self {
        Self {
            add: false,
            from,
            sources: vec![CopySource::Path("/".into())],
            dest: "/".into(),
            chown: None,
            chmod: None,
            chmod_text: None,
            link: false,
            parents: false,
            excludes: Vec::new(),
            checksum: None,
            keep_git_dir: None,
            unpack: None,
        }
    }
}

/// `[ugoa]*[-+=][rwxXst]*`, several joined by commas.
fn symbolic(text: &str) -> bool {
    text.split(',').all(|clause| {
        let rest = clause.trim_start_matches(['u', 'g', 'o', 'a']);
        let mut perms = rest.split(['+', '-', '=']);
        rest.starts_with(['+', '-', '='])
            && perms.all(|p| p.chars().all(|c| "rwxXstugo".contains(c)))
    })
}

fn history_line(copy: &Copy, dest: &str) -> String {
    let mut line = String::from(if copy.add { "ADD" } else { "COPY" });
    if copy.parents {
        line.push_str(" --parents");
    }
    if let Some(chown) = &copy.chown {
        line.push_str(&format!(" --chown={chown}"));
    }
    if let Some(chmod) = &copy.chmod_text {
        line.push_str(&format!(" --chmod={chmod}"));
    }
    for source in &copy.sources {
        match source {
            CopySource::Path(text) | CopySource::Url(text) | CopySource::Git { text, .. } => {
                line.push_str(&format!(" {text}"));
            }
            CopySource::Inline(file) => line.push_str(&format!(" <<{}", file.name)),
        }
    }
    line.push_str(&format!(" {dest}"));
    line
}
