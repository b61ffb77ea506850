//! A parsed file as indented text: one line for every part, each word with its place,
//! and with the text under its span where that differs.

use std::fmt::Write as _;

use crate::diag::Style;
use crate::dockerfile::Parsed;
use crate::dockerfile::ast::{
    Command, CopySource, Healthcheck, Instruction, Kind, Pairs, RunInst, Spanned, Word,
};
use crate::source::{SourceFile, Span};

pub(super) fn tree(parsed: &Parsed) -> String {
    let file = &parsed.dockerfile;
    let mut writer = Writer {
        source: &file.source,
        text: String::new(),
        depth: 0,
    };
    let directives = &file.directives;
    let words = [
        ("directive syntax", &directives.syntax),
        ("directive check", &directives.check),
        ("directive escape", &directives.escape_word),
    ];
    for (name, word) in words {
        writer.option(name, word.as_ref());
    }
    for instruction in &file.instructions {
        writer.instruction(instruction);
    }
    for warning in &parsed.warnings {
        writer.text.push_str(&warning.render(Style::default()));
    }
    writer.text
}

struct Writer<'a> {
    source: &'a SourceFile,
    text: String,
    depth: usize,
}

impl Writer<'_> {
    fn line(&mut self, line: &str) {
        let indent = "  ".repeat(self.depth);
        writeln!(self.text, "{indent}{line}").expect("a string takes everything");
    }

    fn place(&self, span: Span) -> String {
        let start = self.source.position(span.start);
        let end = self.source.position(span.end);
        if start.line == end.line {
            format!("{}:{}-{}", start.line, start.column, end.column)
        } else {
            format!(
                "{}:{}-{}:{}",
                start.line, start.column, end.line, end.column
            )
        }
    }

    fn word(&mut self, name: &str, word: &Word) {
        let written = self.source.slice(word.span);
        let mut line = format!("{name} {:?} @{}", word.text, self.place(word.span));
        if written != word.text {
            line += &format!(" from {written:?}");
        }
        self.line(&line);
    }

    fn option(&mut self, name: &str, word: Option<&Word>) {
        if let Some(word) = word {
            self.word(name, word);
        }
    }

    fn words(&mut self, name: &str, words: &[Word]) {
        for word in words {
            self.word(name, word);
        }
    }

    fn bool(&mut self, name: &str, flag: Option<Spanned<bool>>) {
        if let Some(flag) = flag {
            let place = self.place(flag.span);
            self.line(&format!("{name} {} @{place}", flag.value));
        }
    }

    fn instruction(&mut self, instruction: &Instruction) {
        let name = instruction.kind.name();
        let place = self.place(instruction.span);
        self.line(&format!("{name} @{place} {:?}", instruction.original));
        self.depth += 1;
        if instruction.keyword.text != name {
            self.word("keyword", &instruction.keyword);
        }
        self.words("comment", &instruction.comments);
        for span in &instruction.empty_continuations {
            let place = self.place(*span);
            self.line(&format!("empty continuation @{place}"));
        }
        self.kind(&instruction.kind);
        for heredoc in &instruction.heredocs {
            let place = self.place(heredoc.content_span);
            let facts = [
                (heredoc.fd != 0, "fd"),
                (heredoc.expand, "expand"),
                (heredoc.chomp, "chomp"),
            ];
            let facts: Vec<_> = facts
                .iter()
                .filter(|fact| fact.0)
                .map(|fact| fact.1)
                .collect();
            self.word(
                &format!("heredoc {:?} {}", heredoc.name, facts.join("+")),
                &heredoc.word,
            );
            self.line(&format!("  body {:?} @{place}", heredoc.body()));
        }
        self.depth -= 1;
    }

    fn kind(&mut self, kind: &Kind) {
        match kind {
            Kind::From(from) => {
                self.option("platform", from.platform.as_ref());
                self.word("image", &from.image);
                self.option("as", from.as_keyword.as_ref());
                self.option("name", from.name.as_ref());
            }
            Kind::Run(run) => self.run(run),
            Kind::Copy(copy) => {
                self.option("from", copy.from.as_ref());
                self.option("chown", copy.chown.as_ref());
                self.option("chmod", copy.chmod.as_ref());
                self.bool("link", copy.link);
                self.bool("parents", copy.parents);
                self.words("exclude", &copy.excludes);
                self.sources(&copy.sources, &copy.dest, copy.json);
            }
            Kind::Add(add) => {
                self.option("chown", add.chown.as_ref());
                self.option("chmod", add.chmod.as_ref());
                self.option("checksum", add.checksum.as_ref());
                self.bool("link", add.link);
                self.bool("keep-git-dir", add.keep_git_dir);
                self.bool("unpack", add.unpack);
                self.words("exclude", &add.excludes);
                self.sources(&add.sources, &add.dest, add.json);
            }
            Kind::Env(pairs) | Kind::Label(pairs) => self.pairs(pairs),
            Kind::Arg(items) => {
                for item in items {
                    self.word("name", &item.name);
                    self.option("  default", item.default.as_ref());
                }
            }
            Kind::Expose(words) => self.words("port", words),
            Kind::Volume { paths, json } => {
                self.json(*json);
                self.words("path", paths);
            }
            Kind::User(word)
            | Kind::Workdir(word)
            | Kind::StopSignal(word)
            | Kind::Maintainer(word) => {
                self.word("word", word);
            }
            Kind::Cmd(command) | Kind::Entrypoint(command) => self.command(command),
            Kind::Shell(words) => self.words("arg", words),
            Kind::Healthcheck(Healthcheck::None) => self.line("none"),
            Kind::Healthcheck(Healthcheck::Cmd(check)) => {
                let times = [
                    check.interval,
                    check.timeout,
                    check.start_period,
                    check.start_interval,
                ];
                self.line(&format!("times {times:?} retries {}", check.retries));
                self.command(&check.command);
            }
            Kind::Onbuild(onbuild) => {
                self.line(&format!("trigger {:?}", onbuild.trigger));
                if let Some(inner) = &onbuild.inner {
                    self.instruction(inner);
                }
            }
        }
    }

    fn run(&mut self, run: &RunInst) {
        for mount in &run.mounts {
            let place = self.place(mount.span);
            self.line(&format!("mount @{place}"));
            self.depth += 1;
            for option in &mount.options {
                self.word("key", &option.key);
                self.option("  value", option.value.as_ref());
            }
            self.depth -= 1;
        }
        if let Some(network) = run.network {
            let place = self.place(network.span);
            self.line(&format!("network {:?} @{place}", network.value));
        }
        if let Some(security) = run.security {
            let place = self.place(security.span);
            self.line(&format!("security {:?} @{place}", security.value));
        }
        for device in &run.devices {
            self.word(
                &format!("device required={}", device.required),
                &device.name,
            );
        }
        self.command(&run.command);
    }

    fn command(&mut self, command: &Command) {
        match command {
            Command::Shell(word) => self.word("shell", word),
            Command::Exec(words) => {
                self.line("exec");
                self.words("  arg", words);
            }
        }
    }

    fn json(&mut self, json: bool) {
        if json {
            self.line("json");
        }
    }

    fn sources(&mut self, sources: &[CopySource], dest: &Word, json: bool) {
        self.json(json);
        for source in sources {
            match source {
                CopySource::Path(word) => self.word("source", word),
                CopySource::Inline(file) => {
                    self.word("source inline", &file.word);
                    let place = self.place(file.content_span);
                    let line = format!(
                        "  file {:?} expand={} {:?} @{place}",
                        file.name, file.expand, file.content
                    );
                    self.line(&line);
                }
            }
        }
        self.word("dest", dest);
    }

    fn pairs(&mut self, pairs: &Pairs) {
        if pairs.legacy {
            self.line("legacy");
        }
        for pair in &pairs.pairs {
            self.word("key", &pair.key);
            self.word("  value", &pair.value);
        }
    }
}
