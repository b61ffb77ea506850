//! One JSON object per line, as `docker buildx build --progress=rawjson` writes them: BuildKit's
//! `SolveStatus` with vertexes, statuses, logs and warnings.
//!
//! A step is a vertex; what BuildKit says only of its own graph (inputs, progress groups) is
//! left out. Notes about the build are vertexes that are complete at once. A cancelled step has
//! an error that ends in `context canceled`, which is how BuildKit's clients know it.

use std::collections::HashMap;
use std::io::{self, Write};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{Event, LintWarning, Render, StepId, StepOutcome, StreamKind, text};

/// The renderer of `--progress=rawjson`.
pub struct Json<W> {
    out: W,
    start: Timestamp,
    steps: HashMap<StepId, Step>,
    notes: u32,
}

struct Step {
    vertex: Vertex,
    /// When each part began; `None` when it is over.
    parts: HashMap<String, Option<Timestamp>>,
}

#[derive(Debug, Default, Serialize)]
struct Status<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    vertexes: Vec<&'a Vertex>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    statuses: Vec<VertexStatus<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    logs: Vec<VertexLog<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<VertexWarning>,
}

#[derive(Debug, Clone, Serialize)]
struct Vertex {
    digest: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    started: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed: Option<Timestamp>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cached: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    error: String,
}

#[derive(Debug, Serialize)]
struct VertexStatus<'a> {
    id: &'a str,
    vertex: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    total: u64,
    current: u64,
    timestamp: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    started: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
struct VertexLog<'a> {
    vertex: &'a str,
    stream: u8,
    data: String,
    timestamp: Timestamp,
}

#[derive(Debug, Default, Serialize)]
struct VertexWarning {
    level: u8,
    short: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    detail: Vec<String>,
    #[serde(skip_serializing_if = "str::is_empty")]
    url: String,
    #[serde(rename = "sourceInfo", skip_serializing_if = "Option::is_none")]
    source: Option<SourceInfo>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    range: Vec<Range>,
}

/// The file that a warning is about.
#[derive(Debug, Serialize)]
struct SourceInfo {
    filename: String,
    data: String,
    language: &'static str,
}

#[derive(Debug, Serialize)]
struct Range {
    start: Place,
    end: Place,
}

#[derive(Debug, Serialize)]
struct Place {
    line: usize,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl<W: Write + Send> Json<W> {
    /// `start` is the wall-clock time from which events are counted.
    pub fn new(out: W, start: Timestamp) -> Self {
        Self {
            out,
            start,
            steps: HashMap::new(),
            notes: 0,
        }
    }

    fn time(&self, at: Duration) -> Timestamp {
        // Only a build of thousands of years has no time for its end.
        self.start.checked_add(at).unwrap_or(self.start)
    }

    fn started(&mut self, now: Timestamp, id: StepId, name: &str) -> io::Result<()> {
        let vertex = Vertex::new(&format!("step {id}"), name, now);
        vertexes(&mut self.out, &[&vertex])?;
        let parts = HashMap::new();
        self.steps.insert(id, Step { vertex, parts });
        Ok(())
    }

    fn output(
        &mut self,
        timestamp: Timestamp,
        id: StepId,
        stream: StreamKind,
        bytes: &[u8],
    ) -> io::Result<()> {
        let Some(step) = self.steps.get(&id) else {
            return Ok(());
        };
        // Base64 adds a third; what remains is for names and the frame.
        for piece in bytes.chunks(text::MAX_LINE / 2) {
            let log = VertexLog {
                vertex: &step.vertex.digest,
                stream: match stream {
                    StreamKind::Stdout => 1,
                    StreamKind::Stderr => 2,
                },
                data: STANDARD.encode(piece),
                timestamp,
            };
            let logs = vec![log];
            line(
                &mut self.out,
                &Status {
                    logs,
                    ..Status::default()
                },
            )?;
        }
        Ok(())
    }

    fn progress(
        &mut self,
        now: Timestamp,
        id: StepId,
        (part, name): (&str, &str),
        (done, total): (u64, u64),
    ) -> io::Result<()> {
        let Some(step) = self.steps.get_mut(&id) else {
            return Ok(());
        };
        let label = text::label(name, part);
        let started = step.parts.entry(label.clone()).or_insert(Some(now));
        let Some(began) = *started else {
            return Ok(());
        };
        let over = total > 0 && done >= total;
        if over {
            *started = None;
        }
        let status = VertexStatus {
            id: &label,
            vertex: &step.vertex.digest,
            name,
            total,
            current: done,
            timestamp: now,
            started: Some(began),
            completed: over.then_some(now),
        };
        let statuses = vec![status];
        line(
            &mut self.out,
            &Status {
                statuses,
                ..Status::default()
            },
        )
    }

    fn finished(&mut self, now: Timestamp, id: StepId, outcome: &StepOutcome) -> io::Result<()> {
        let Some(Step { mut vertex, .. }) = self.steps.remove(&id) else {
            return Ok(());
        };
        vertex.completed = Some(now);
        match outcome {
            StepOutcome::Done => {}
            StepOutcome::Cached => vertex.cached = true,
            StepOutcome::Failed(why) => vertex.error = text::one_line(why),
            StepOutcome::Cancelled => vertex.error = "context canceled".into(),
        }
        vertexes(&mut self.out, &[&vertex])
    }

    /// A vertex that is complete at once.
    fn note(&mut self, now: Timestamp, name: &str) -> io::Result<String> {
        self.notes += 1;
        let mut vertex = Vertex::new(&format!("note {}", self.notes), name, now);
        vertex.completed = Some(now);
        vertexes(&mut self.out, &[&vertex])?;
        Ok(vertex.digest)
    }

    fn warning(&mut self, warning: &str) -> io::Result<()> {
        let mut lines = warning.lines().map(|l| STANDARD.encode(text::one_line(l)));
        let warning = VertexWarning {
            level: 1,
            short: lines.next().unwrap_or_default(),
            detail: lines.collect(),
            ..VertexWarning::default()
        };
        self.warnings(vec![warning])
    }

    fn lint(&mut self, found: &LintWarning) -> io::Result<()> {
        let place = |line| Place { line };
        let lines = found.lines.0..=found.lines.1;
        self.warnings(vec![VertexWarning {
            level: 1,
            short: STANDARD.encode(&found.short),
            detail: vec![STANDARD.encode(&found.detail)],
            url: found.url.clone(),
            source: Some(SourceInfo {
                filename: found.file.clone(),
                data: STANDARD.encode(found.text.as_bytes()),
                language: "Dockerfile",
            }),
            range: lines
                .map(|line| Range {
                    start: place(line),
                    end: place(line),
                })
                .collect(),
        }])
    }

    fn warnings(&mut self, warnings: Vec<VertexWarning>) -> io::Result<()> {
        line(
            &mut self.out,
            &Status {
                warnings,
                ..Status::default()
            },
        )
    }

    fn built(&mut self, now: Timestamp, image: &str, tags: &[String]) -> io::Result<()> {
        let vertex = self.note(now, "exporting to image")?;
        let ids = std::iter::once(format!("writing image {image}"))
            .chain(tags.iter().map(|tag| format!("naming to {tag}")));
        for id in ids {
            let status = VertexStatus {
                id: &id,
                vertex: &vertex,
                name: "",
                total: 0,
                current: 0,
                timestamp: now,
                started: Some(now),
                completed: Some(now),
            };
            let statuses = vec![status];
            line(
                &mut self.out,
                &Status {
                    statuses,
                    ..Status::default()
                },
            )?;
        }
        Ok(())
    }
}

impl Vertex {
    fn new(id: &str, name: &str, started: Timestamp) -> Self {
        let mut hash = Sha256::new();
        hash.update(id);
        hash.update([0]);
        hash.update(name);
        let hex: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
        Self {
            digest: format!("sha256:{hex}"),
            name: text::one_line(name),
            started: Some(started),
            completed: None,
            cached: false,
            error: String::new(),
        }
    }
}

fn vertexes(out: &mut impl Write, vertexes: &[&Vertex]) -> io::Result<()> {
    let status = Status {
        vertexes: vertexes.to_vec(),
        ..Status::default()
    };
    line(out, &status)
}

fn line(out: &mut impl Write, status: &Status<'_>) -> io::Result<()> {
    let mut line = serde_json::to_vec(status)?;
    line.push(b'\n');
    out.write_all(&line)?;
    out.flush()
}

impl<W: Write + Send> Render for Json<W> {
    fn event(&mut self, at: Duration, event: &Event) -> io::Result<()> {
        let now = self.time(at);
        match event {
            Event::Note(note) => self.note(now, note).map(drop),
            Event::Warning(warning) => self.warning(warning),
            Event::Lint(found) => self.lint(found),
            Event::Started { step, name } => self.started(now, *step, name),
            Event::Output {
                step,
                stream,
                bytes,
            } => self.output(now, *step, *stream, bytes),
            Event::Progress {
                step,
                part,
                status,
                done,
                total,
            } => self.progress(now, *step, (part, status), (*done, *total)),
            Event::Finished { step, outcome, .. } => self.finished(now, *step, outcome),
            Event::Built { image, tags, .. } => self.built(now, image, tags),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Script, failed, output, progress, started, stopped, warning};
    use super::*;

    fn shown(script: Script) -> String {
        let mut out = Vec::new();
        let start = "2026-01-02T03:04:05Z".parse().unwrap();
        script.play(&mut Json::new(&mut out, start));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_build() {
        let text = shown(
            Script::new()
                .at(0, warning("first\n  second"))
                .at(100, started(1, "[1/2] FROM busybox"))
                .at(200, progress(1, "3153", "downloading", 5, 10))
                .at(300, progress(1, "3153", "downloading", 10, 10))
                .at(400, stopped(1, StepOutcome::Cached, 300))
                .at(500, started(2, "[2/2] RUN false"))
                .at(600, output(2, b"a\n\xff"))
                .at(700, failed(2, "exit code: 1", 200))
                .at(700, started(3, "other"))
                .at(700, stopped(3, StepOutcome::Cancelled, 0))
                .at(
                    900,
                    Event::Built {
                        image: "sha256:59".into(),
                        tags: vec!["app:1".into()],
                        took: Duration::ZERO,
                    },
                ),
        );
        let digest = |id: &str, name: &str| Vertex::new(id, name, Timestamp::UNIX_EPOCH).digest;
        let text = text
            .replace(&digest("step 1", "[1/2] FROM busybox"), "ONE")
            .replace(&digest("step 2", "[2/2] RUN false"), "TWO")
            .replace(&digest("step 3", "other"), "THREE")
            .replace(&digest("note 1", "exporting to image"), "NOTE")
            .replace("2026-01-02T03:04:05", "T");
        assert_eq!(
            text,
            r#"{"warnings":[{"level":1,"short":"Zmlyc3Q=","detail":["ICBzZWNvbmQ="]}]}
{"vertexes":[{"digest":"ONE","name":"[1/2] FROM busybox","started":"T.1Z"}]}
{"statuses":[{"id":"downloading 3153","vertex":"ONE","name":"downloading","total":10,"current":5,"timestamp":"T.2Z","started":"T.2Z"}]}
{"statuses":[{"id":"downloading 3153","vertex":"ONE","name":"downloading","total":10,"current":10,"timestamp":"T.3Z","started":"T.2Z","completed":"T.3Z"}]}
{"vertexes":[{"digest":"ONE","name":"[1/2] FROM busybox","started":"T.1Z","completed":"T.4Z","cached":true}]}
{"vertexes":[{"digest":"TWO","name":"[2/2] RUN false","started":"T.5Z"}]}
{"logs":[{"vertex":"TWO","stream":1,"data":"YQr/","timestamp":"T.6Z"}]}
{"vertexes":[{"digest":"TWO","name":"[2/2] RUN false","started":"T.5Z","completed":"T.7Z","error":"exit code: 1"}]}
{"vertexes":[{"digest":"THREE","name":"other","started":"T.7Z"}]}
{"vertexes":[{"digest":"THREE","name":"other","started":"T.7Z","completed":"T.7Z","error":"context canceled"}]}
{"vertexes":[{"digest":"NOTE","name":"exporting to image","started":"T.9Z","completed":"T.9Z"}]}
{"statuses":[{"id":"writing image sha256:59","vertex":"NOTE","current":0,"timestamp":"T.9Z","started":"T.9Z","completed":"T.9Z"}]}
{"statuses":[{"id":"naming to app:1","vertex":"NOTE","current":0,"timestamp":"T.9Z","started":"T.9Z","completed":"T.9Z"}]}
"#
        );
    }

    #[test]
    fn lines_are_bounded() {
        let text = shown(
            Script::new()
                .at(0, started(1, &"name ".repeat(40_000)))
                .at(0, output(1, &[0xff; 200_000])),
        );
        assert!(text.lines().all(|line| line.len() < text::MAX_LINE));
        assert_eq!(text.matches("\"logs\"").count(), 7);
    }
}
