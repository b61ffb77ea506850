//! One connection: requests in, responses and events out.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

use super::answers;
use super::values::{Frame, Table};
use super::wire::{self, Incoming};
use super::{Debuggee, Launch, Launcher};
use crate::debug::breakpoint::{Breakpoint, Extras, Trigger};
use crate::debug::command::{Desk, Done, plain};
use crate::debug::logs::Logs;
use crate::debug::show;
use crate::debug::stepper::{News, Order, Stepper, Stop};
use crate::diag::{Class, Diagnostic};
use crate::progress::{Display, Output, Plain, Sink, Tee};

type Answer = Result<Value, String>;

/// Serves one editor until it has gone; gives the exit code of what was built.
pub async fn serve(
    input: impl AsyncRead + Send + Unpin + 'static,
    output: impl AsyncWrite + Send + Unpin + 'static,
    launcher: Arc<dyn Launcher>,
    cancel: CancellationToken,
) -> u8 {
    let (send, sent) = mpsc::unbounded_channel();
    let writing = tokio::spawn(write(sent, output));
    let (incoming, mut messages) = mpsc::channel(64);
    let reading = tokio::spawn(async move {
        let mut input = BufReader::new(input);
        // A broken input is an editor that has gone.
        while let Ok(Some(message)) = wire::read(&mut input).await {
            if incoming.send(message).await.is_err() {
                break;
            }
        }
    });
    let mut server = Server {
        out: Outbox {
            send,
            sequence: Arc::default(),
        },
        launcher,
        one: 1,
        can_run_in_terminal: false,
        early: Vec::new(),
        session: None,
    };
    let (news_to, mut news) = mpsc::unbounded_channel();
    loop {
        tokio::select! {
            message = messages.recv() => match message {
                Some(message) => {
                    if server.take(message, &news_to).await {
                        break;
                    }
                }
                None => break,
            },
            Some(happened) = news.recv() => server.hear(happened).await,
            () = cancel.cancelled() => break,
        }
    }
    reading.abort();
    let code = server.close().await;
    drop(server);
    // Everything that was said goes out first; an editor that has gone does not take it.
    let _ = writing.await;
    code
}

async fn write(mut messages: mpsc::UnboundedReceiver<Value>, mut output: impl AsyncWrite + Unpin) {
    while let Some(message) = messages.recv().await {
        let framed = wire::frame(&message);
        if output.write_all(&framed).await.is_err() || output.flush().await.is_err() {
            return;
        }
    }
}

/// Where messages to the editor go.
#[derive(Clone)]
struct Outbox {
    send: mpsc::UnboundedSender<Value>,
    sequence: Arc<AtomicI64>,
}

impl Outbox {
    fn put(&self, mut message: Value) {
        message["seq"] = (self.sequence.fetch_add(1, Ordering::SeqCst) + 1).into();
        // An editor that has gone is noticed by its input.
        let _ = self.send.send(message);
    }

    #[expect(clippy::needless_pass_by_value, reason = "bodies are made for it")]
    fn event(&self, event: &str, body: Value) {
        self.put(json!({ "type": "event", "event": event, "body": body }));
    }

    fn output(&self, category: &str, text: &str) {
        self.event("output", json!({ "category": category, "output": text }));
    }

    fn respond(&self, request: &Request, answer: Answer) {
        let mut response = json!({
            "type": "response",
            "request_seq": request.sequence,
            "command": request.command,
            "success": answer.is_ok(),
        });
        match answer {
            // Nothing needs a body here, but there are clients that look for one.
            Ok(Value::Null) => response["body"] = json!({}),
            Ok(body) => response["body"] = body,
            Err(wrong) => {
                let first = wrong.lines().next().unwrap_or_default().to_owned();
                response["message"] = first.into();
                response["body"] = json!({
                    "error": { "id": 1, "format": wrong, "showUser": false },
                });
            }
        }
        self.put(response);
    }
}

/// The lines of a build, to the editor's console.
struct Lines(Outbox);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.output("stdout", &String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

struct Request {
    sequence: Value,
    command: String,
    arguments: Value,
}

/// What the build and the stepper tell the server.
enum Happened {
    News(News),
    Built(Result<Option<String>, Vec<Diagnostic>>),
}

struct Server {
    out: Outbox,
    launcher: Arc<dyn Launcher>,
    /// The number of an editor's first line.
    one: usize,
    can_run_in_terminal: bool,
    /// Requests for breakpoints that came before the launch.
    early: Vec<Value>,
    session: Option<Session>,
}

/// Where the build stands, and what is open there.
#[derive(Clone)]
struct Flow {
    desk: Arc<Mutex<Desk>>,
    table: Arc<Table>,
    frames: Arc<StdMutex<Vec<Frame>>>,
    stop: Arc<StdMutex<Option<Stop>>>,
}

impl Flow {
    fn stop(&self) -> std::sync::MutexGuard<'_, Option<Stop>> {
        self.stop.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn frames(&self) -> std::sync::MutexGuard<'_, Vec<Frame>> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the build go on, if it stands.
    fn go(&self, desk: &mut Desk, order: Order) -> bool {
        let Some(stop) = self.stop().take() else {
            return false;
        };
        desk.leave();
        self.table.clear();
        self.frames().clear();
        stop.go(order);
        true
    }
}

/// A launched build.
struct Session {
    debuggee: Arc<dyn Debuggee>,
    path: PathBuf,
    stepper: Arc<Stepper>,
    flow: Flow,
    sources: Arc<StdMutex<Vec<String>>>,
    sink: Arc<dyn Sink>,
    display: Arc<Display>,
    cancel: CancellationToken,
    begun: bool,
    building: Option<tokio::task::JoinHandle<()>>,
    code: u8,
    over: bool,
}

impl Server {
    /// Takes one message; says whether it was the last.
    async fn take(&mut self, incoming: Incoming, news: &mpsc::UnboundedSender<Happened>) -> bool {
        let refuse = |out: &Outbox, sequence: Value, command: Value, wrong: String| {
            out.put(json!({
                "type": "response",
                "request_seq": sequence,
                "command": command,
                "success": false,
                "message": wrong,
            }));
        };
        let message = match incoming {
            Incoming::Message(message) => message,
            Incoming::Malformed(wrong) => {
                refuse(&self.out, 0.into(), "".into(), wrong);
                return false;
            }
        };
        match message["type"].as_str() {
            // What came of a terminal that was asked for is for the person to see there.
            Some("response") => return false,
            Some("request") => {}
            _ => {
                let wrong = "a message from an editor is a request or a response".to_owned();
                let sequence = message["seq"].as_i64().unwrap_or(0);
                refuse(&self.out, sequence.into(), "".into(), wrong);
                return false;
            }
        }
        let Some(command) = message["command"].as_str() else {
            let sequence = message["seq"].as_i64().unwrap_or(0);
            refuse(
                &self.out,
                sequence.into(),
                "".into(),
                "a request names a command".into(),
            );
            return false;
        };
        let request = Request {
            sequence: message["seq"].as_i64().unwrap_or(0).into(),
            command: command.to_owned(),
            arguments: message["arguments"].clone(),
        };
        self.request(request, news).await
    }

    async fn request(&mut self, request: Request, news: &mpsc::UnboundedSender<Happened>) -> bool {
        let arguments = &request.arguments;
        match request.command.as_str() {
            "initialize" => {
                self.one = usize::from(arguments["linesStartAt1"].as_bool().unwrap_or(true));
                self.can_run_in_terminal = arguments["supportsRunInTerminalRequest"]
                    .as_bool()
                    .unwrap_or(false);
                self.out.respond(&request, Ok(answers::capabilities()));
                return false;
            }
            "launch" => {
                let launched = self.launch(arguments, news).await;
                let good = launched.is_ok();
                self.out.respond(&request, launched);
                if good {
                    self.out.event("initialized", json!({}));
                }
                return false;
            }
            "attach" => {
                let wrong = "bowline launches builds: there is nothing to attach to";
                self.out.respond(&request, Err(wrong.into()));
                return false;
            }
            "disconnect" => {
                self.disconnect(arguments["terminateDebuggee"].as_bool().unwrap_or(true))
                    .await;
                self.out.respond(&request, Ok(Value::Null));
                return true;
            }
            "setBreakpoints" if self.session.is_none() => {
                self.early.push(arguments.clone());
                let asked = arguments["breakpoints"].as_array().map_or(0, Vec::len);
                let later = json!({ "verified": false, "message": "nothing is launched yet" });
                let answer = json!({ "breakpoints": vec![later; asked] });
                self.out.respond(&request, Ok(answer));
                return false;
            }
            "threads" if self.session.is_none() => {
                self.out.respond(&request, Ok(json!({ "threads": [] })));
                return false;
            }
            _ => {}
        }
        let (one, out) = (self.one, self.out.clone());
        let can_run_in_terminal = self.can_run_in_terminal;
        let Some(session) = &mut self.session else {
            let known = KNOWN.contains(&request.command.as_str());
            out.respond(
                &request,
                Err(if known {
                    format!("`{}` comes after `launch`", request.command)
                } else {
                    format!("bowline does not know `{}`", request.command)
                }),
            );
            return false;
        };
        if matches!(request.command.as_str(), "evaluate" | "variables") {
            session.later(request, out, can_run_in_terminal);
            return false;
        }
        let answer = session.answer(&request, one, &out).await;
        if let Some(answer) = answer {
            out.respond(&request, answer);
        }
        if request.command == "configurationDone" {
            session.begin(news);
        }
        false
    }

    async fn launch(
        &mut self,
        arguments: &Value,
        news: &mpsc::UnboundedSender<Happened>,
    ) -> Answer {
        if self.session.is_some() {
            return Err("a build is launched already".into());
        }
        let launch: Launch = serde_json::from_value(arguments.clone())
            .map_err(|error| format!("the launch configuration: {error}"))?;
        let texts = |wrong: Vec<Diagnostic>| {
            let all: Vec<String> = wrong.iter().map(plain).collect();
            all.join("\n")
        };
        let debuggee = self.launcher.launch(&launch).map_err(texts)?;
        let catalog = debuggee.read().await.map_err(texts)?;
        let (stepper, mut heard) = Stepper::new();
        stepper.set_catalog(Arc::new(catalog));
        stepper.stop_on_entry(launch.stop_on_entry && !launch.no_debug);
        stepper.stop_on_failure(!launch.no_debug);
        let logs = Arc::new(Logs::default());
        let lines = Output {
            render: Box::new(Plain::new(Lines(self.out.clone()), false)),
            on_broken: Box::new(|_| {}),
        };
        let display = Display::start(vec![lines]).map_err(|error| error.to_string())?;
        let display = Arc::new(display);
        let news = news.clone();
        tokio::spawn(async move {
            while let Some(heard) = heard.recv().await {
                if news.send(Happened::News(heard)).is_err() {
                    return;
                }
            }
        });
        let mut desk = Desk::new(Arc::clone(&stepper), Arc::clone(&logs), debuggee.clone());
        desk.width = 120;
        let session = Session {
            path: debuggee.path(),
            debuggee,
            stepper,
            flow: Flow {
                desk: Arc::new(Mutex::new(desk)),
                table: Arc::default(),
                frames: Arc::default(),
                stop: Arc::default(),
            },
            sources: Arc::default(),
            sink: Arc::new(Tee(vec![logs, display.clone()])),
            display,
            cancel: CancellationToken::new(),
            begun: false,
            building: None,
            code: 0,
            over: false,
        };
        for early in std::mem::take(&mut self.early) {
            // The editor is told by events what became of them.
            for breakpoint in session.set_breakpoints(&early, self.one) {
                let body = json!({ "reason": "changed", "breakpoint": breakpoint });
                self.out.event("breakpoint", body);
            }
        }
        self.session = Some(session);
        Ok(Value::Null)
    }

    async fn hear(&mut self, happened: Happened) {
        let out = self.out.clone();
        let Some(session) = &mut self.session else {
            return;
        };
        let started = |stage: usize, reason: &str| {
            let body = json!({ "reason": reason, "threadId": answers::thread(stage) });
            out.event("thread", body);
        };
        match happened {
            Happened::News(News::Stopped(stop)) => {
                session.sink.flush();
                session.flow.desk.lock().await.arrive(&stop);
                let body = answers::stopped(&stop);
                *session.flow.stop() = Some(stop);
                out.event("stopped", body);
            }
            Happened::News(News::Began(stage)) => started(stage, "started"),
            Happened::News(News::Left(stage)) => started(stage, "exited"),
            Happened::News(News::Log { text, line }) => {
                let body = json!({
                    "category": "console",
                    "output": format!("{text}\n"),
                    "source": answers::source(&session.path),
                    "line": line - 1 + self.one,
                });
                out.event("output", body);
            }
            Happened::News(News::Gone(id)) => {
                let body =
                    json!({ "reason": "removed", "breakpoint": { "id": id, "verified": false } });
                out.event("breakpoint", body);
            }
            Happened::News(News::Over) => {}
            Happened::Built(built) => {
                session.sink.flush();
                session.display.finish();
                session.over = true;
                match built {
                    Ok(Some(image)) => out.output("important", &format!("built {image}\n")),
                    Ok(None) => {}
                    Err(wrong) => {
                        for diagnostic in &wrong {
                            out.output("stderr", &format!("{}\n", plain(diagnostic)));
                        }
                        let error = wrong.iter().find(|diagnostic| diagnostic.is_error());
                        session.code = error.map_or(Class::Yours, |e| e.class).exit_code();
                    }
                }
                out.event("exited", json!({ "exitCode": session.code }));
                out.event("terminated", json!({}));
            }
        }
    }

    /// Ends the build, or lets it run to its own end.
    async fn disconnect(&mut self, end: bool) {
        let Some(session) = &mut self.session else {
            return;
        };
        if !end && session.begun {
            session.stepper.retain(|_| false);
            session.stepper.stop_on_failure(false);
            session.stepper.stop_on_miss(false);
            session.go(Order::Continue).await;
            if let Some(building) = session.building.take() {
                // It tells its own end.
                let _ = building.await;
            }
        }
    }

    /// Whatever still runs is ended, and waited for.
    async fn close(&mut self) -> u8 {
        let Some(mut session) = self.session.take() else {
            return 0;
        };
        session.cancel.cancel();
        session.stepper.end();
        session.flow.stop().take();
        session.flow.desk.lock().await.leave();
        if let Some(building) = session.building.take() {
            // A build that was cancelled cleans up before it ends.
            let _ = building.await;
        }
        session.display.finish();
        session.code
    }
}

/// What is answered after a launch.
const KNOWN: &[&str] = &[
    "breakpointLocations",
    "completions",
    "configurationDone",
    "continue",
    "evaluate",
    "exceptionInfo",
    "loadedSources",
    "next",
    "pause",
    "restart",
    "restartFrame",
    "reverseContinue",
    "scopes",
    "setExceptionBreakpoints",
    "setFunctionBreakpoints",
    "source",
    "stackTrace",
    "stepBack",
    "stepIn",
    "stepOut",
    "terminate",
    "variables",
];

impl Session {
    fn begin(&mut self, news: &mpsc::UnboundedSender<Happened>) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let (debuggee, stepper) = (self.debuggee.clone(), Arc::clone(&self.stepper));
        let (sink, cancel, news) = (self.sink.clone(), self.cancel.clone(), news.clone());
        self.building = Some(tokio::spawn(async move {
            let built = debuggee.run(stepper, sink, cancel).await;
            // A server that has gone needs no news.
            let _ = news.send(Happened::Built(built));
        }));
    }

    /// Lets the build go on, if it stands.
    async fn go(&self, order: Order) -> bool {
        let mut desk = self.flow.desk.lock().await;
        self.flow.go(&mut desk, order)
    }

    /// The answer to a request; none where it was given already.
    async fn answer(&mut self, request: &Request, one: usize, out: &Outbox) -> Option<Answer> {
        let arguments = &request.arguments;
        Some(match request.command.as_str() {
            "configurationDone" => Ok(Value::Null),
            "setBreakpoints" => {
                let breakpoints = self.set_breakpoints(arguments, one);
                Ok(json!({ "breakpoints": breakpoints }))
            }
            "setFunctionBreakpoints" => Ok(self.set_stages(arguments)),
            "setExceptionBreakpoints" => {
                let filters = arguments["filters"].as_array().cloned().unwrap_or_default();
                let has = |name: &str| filters.iter().any(|filter| filter == name);
                self.stepper.stop_on_failure(has("failure"));
                self.stepper.stop_on_miss(has("cacheMiss"));
                Ok(Value::Null)
            }
            "breakpointLocations" => Ok(self.locations(arguments, one)),
            "threads" => Ok(answers::threads(&self.stepper)),
            "stackTrace" => Ok(self.stack(arguments, one)),
            "scopes" => self
                .frame(arguments)
                .map(|frame| self.flow.table.scopes(&frame)),
            "source" => self.source(arguments),
            "loadedSources" => Ok(json!({ "sources": [answers::source(&self.path)] })),
            "exceptionInfo" => self.exception(),
            "completions" => self.complete(arguments).await,
            "pause" => {
                self.stepper.pause();
                Ok(Value::Null)
            }
            "terminate" => {
                self.stepper.end();
                if !self.go(Order::End).await {
                    self.cancel.cancel();
                }
                Ok(Value::Null)
            }
            "restart" => {
                if self.over {
                    Err("the build is over".into())
                } else {
                    if !self.go(Order::Restart).await {
                        self.stepper.restart();
                    }
                    Ok(Value::Null)
                }
            }
            "continue" | "next" | "stepIn" | "stepOut" | "stepBack" | "reverseContinue"
            | "restartFrame" => self.step(request, out).await?,
            other => Err(format!("bowline does not know `{other}`")),
        })
    }

    /// Carries an order out. Its response stands before the events that follow.
    async fn step(&self, request: &Request, out: &Outbox) -> Option<Answer> {
        let order = match self.order(&request.command).await {
            Ok(order) => order,
            Err(wrong) => return Some(Err(wrong)),
        };
        let body = match request.command.as_str() {
            "continue" => json!({ "allThreadsContinued": true }),
            _ => Value::Null,
        };
        out.respond(request, Ok(body));
        self.go(order).await;
        None
    }

    async fn order(&self, command: &str) -> Result<Order, String> {
        let site = {
            let stop = self.flow.stop();
            let stop = stop.as_ref().ok_or("the build is running")?;
            Arc::clone(&stop.site)
        };
        let index = site.index();
        let name = match command {
            "continue" => "continue",
            "stepIn" => "step",
            "stepOut" => "out",
            "stepBack" => "back",
            "restartFrame" => {
                return Ok(Order::BackTo {
                    line: 0,
                    fresh: true,
                });
            }
            "reverseContinue" => {
                let lines = &site.stage().lines;
                let stands: Vec<Option<usize>> = self
                    .stepper
                    .breakpoints()
                    .iter()
                    .map(|breakpoint| self.stepper.line_of(&breakpoint.trigger))
                    .collect();
                let has = |at: &usize| {
                    let line = &lines[*at];
                    !line.on_build && stands.contains(&Some(line.source.line(line.span.start)))
                };
                let line = (0..index).rev().find(has).unwrap_or(0);
                return Ok(Order::BackTo { line, fresh: false });
            }
            other => other,
        };
        let mut desk = self
            .flow
            .desk
            .try_lock()
            .map_err(|_| "a command is still running")?;
        desk.order_of(name).await
    }

    fn is_the_file(&self, arguments: &Value) -> bool {
        let Some(path) = arguments["source"]["path"].as_str() else {
            return false;
        };
        let whole = |path: &Path| fs_err::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        whole(Path::new(path)) == whole(&self.path)
    }

    /// Sets the breakpoints of a file: all of them, those of before are gone.
    fn set_breakpoints(&self, arguments: &Value, one: usize) -> Vec<Value> {
        let asked = arguments["breakpoints"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        if !self.is_the_file(arguments) {
            let wrong = json!({
                "verified": false,
                "message": "it is not the Dockerfile of this build",
            });
            return vec![wrong; asked.len()];
        }
        self.stepper
            .retain(|breakpoint| !matches!(breakpoint.trigger, Trigger::Line(_)));
        let set = asked.iter().map(|breakpoint| {
            let line = breakpoint["line"].as_u64().unwrap_or(0);
            let line = usize::try_from(line)
                .unwrap_or(usize::MAX)
                .saturating_add(1)
                - one;
            let added = self.stepper.add(Trigger::Line(line), &extras(breakpoint));
            self.shown(added, one)
        });
        set.collect()
    }

    fn set_stages(&self, arguments: &Value) -> Value {
        let asked = arguments["breakpoints"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        self.stepper
            .retain(|breakpoint| !matches!(breakpoint.trigger, Trigger::Stage(_)));
        let set = asked.iter().map(|breakpoint| {
            let name = breakpoint["name"].as_str().unwrap_or_default().to_owned();
            let added = self.stepper.add(Trigger::Stage(name), &extras(breakpoint));
            self.shown(added, 1)
        });
        json!({ "breakpoints": set.collect::<Vec<_>>() })
    }

    fn shown(&self, added: Result<Breakpoint, String>, one: usize) -> Value {
        match added {
            Ok(breakpoint) => {
                let line = self.stepper.line_of(&breakpoint.trigger).unwrap_or(1);
                json!({
                    "id": breakpoint.id,
                    "verified": true,
                    "line": line - 1 + one,
                    "source": answers::source(&self.path),
                })
            }
            Err(wrong) => json!({ "verified": false, "message": wrong }),
        }
    }

    fn locations(&self, arguments: &Value, one: usize) -> Value {
        let number = |name: &str| {
            let number = arguments[name].as_u64()?;
            Some(usize::try_from(number).ok()?.saturating_add(1) - one)
        };
        let first = number("line").unwrap_or(1);
        let last = number("endLine").unwrap_or(first);
        let catalog = self.stepper.catalog();
        let entries = catalog.iter().flat_map(|catalog| &catalog.entries);
        let within = entries
            .filter(|entry| entry.stage.is_some() && (first..=last).contains(&entry.lines.0));
        let found: Vec<Value> = within
            .map(|entry| json!({ "line": entry.lines.0 - 1 + one }))
            .collect();
        json!({ "breakpoints": found })
    }

    fn stack(&self, arguments: &Value, one: usize) -> Value {
        let wanted = arguments["threadId"].as_u64().unwrap_or(0);
        let stages = self.stepper.stages();
        let site = stages
            .into_iter()
            .find(|site| answers::thread(site.stage().index) as u64 == wanted);
        let Some(site) = site else {
            return json!({ "stackFrames": [], "totalFrames": 0 });
        };
        let mut frames = self.flow.frames();
        let mut shown = Vec::new();
        for depth in 0..=site.callers().len() {
            let frame = Frame {
                site: Arc::clone(&site),
                depth,
            };
            frames.push(frame.clone());
            let reference = |text: &str| self.reference(text);
            shown.push(answers::frame(
                &frame,
                frames.len(),
                &self.path,
                one,
                reference,
            ));
        }
        let all = shown.len();
        let count = |name: &str| {
            arguments[name]
                .as_u64()
                .and_then(|n| usize::try_from(n).ok())
        };
        let levels = count("levels").filter(|&levels| levels > 0).unwrap_or(all);
        let first = count("startFrame").unwrap_or(0);
        let shown: Vec<Value> = shown.into_iter().skip(first).take(levels).collect();
        json!({ "stackFrames": shown, "totalFrames": all })
    }

    /// The number of a text that is in no file.
    fn reference(&self, text: &str) -> usize {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let at = sources.iter().position(|known| known == text);
        let at = at.unwrap_or_else(|| {
            sources.push(text.to_owned());
            sources.len() - 1
        });
        at + 1
    }

    fn source(&self, arguments: &Value) -> Answer {
        let number = arguments["sourceReference"]
            .as_u64()
            .or_else(|| arguments["source"]["sourceReference"].as_u64());
        let content = match number.filter(|number| *number > 0) {
            Some(number) => {
                let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
                let at = usize::try_from(number - 1).unwrap_or(usize::MAX);
                sources.get(at).cloned().ok_or("there is no such source")?
            }
            None if self.is_the_file(arguments) => {
                let catalog = self.stepper.catalog().ok_or("there is no Dockerfile yet")?;
                catalog.source.text().to_owned()
            }
            None => return Err("there is no such source".into()),
        };
        Ok(json!({ "content": content, "mimeType": "text/x-dockerfile" }))
    }

    fn frame(&self, arguments: &Value) -> Result<Frame, String> {
        let number = arguments["frameId"].as_u64().unwrap_or(0);
        let at = usize::try_from(number)
            .ok()
            .and_then(|at| at.checked_sub(1));
        let frames = self.flow.frames();
        let found = at.and_then(|at| frames.get(at)).cloned();
        found.ok_or_else(|| "the frame belongs to a stop that is over".into())
    }

    fn exception(&self) -> Answer {
        let stop = self.flow.stop();
        let stop = stop.as_ref().ok_or("the build is running")?;
        Ok(match stop.site.failure() {
            Some(failure) => json!({
                "exceptionId": "failure",
                "description": failure.message,
                "breakMode": "always",
                "details": { "message": plain(failure) },
            }),
            None => json!({
                "exceptionId": "cacheMiss",
                "description": stop.site.line().expanded,
                "breakMode": "always",
            }),
        })
    }

    async fn complete(&self, arguments: &Value) -> Answer {
        let text = arguments["text"].as_str().unwrap_or_default();
        let column = arguments["column"].as_u64().unwrap_or(1).saturating_sub(1);
        let column = usize::try_from(column).unwrap_or(usize::MAX);
        let line: String = text.chars().take(column).collect();
        let (begin, found) = self.flow.desk.lock().await.complete(&line);
        let start = line[..begin].chars().count();
        let length = line[begin..].chars().count();
        let target = |label: String| json!({ "label": label, "start": start, "length": length });
        Ok(json!({ "targets": found.into_iter().map(target).collect::<Vec<_>>() }))
    }

    /// Answers what may take long beside the other requests.
    fn later(&self, request: Request, out: Outbox, can_run_in_terminal: bool) {
        let flow = self.flow.clone();
        if request.command == "variables" {
            tokio::spawn(async move {
                let number = request.arguments["variablesReference"]
                    .as_u64()
                    .unwrap_or(0);
                let number = usize::try_from(number).unwrap_or(0);
                let here = flow.desk.lock().await.inspector().cloned();
                let found = flow.table.open(number, here.as_deref()).await;
                out.respond(
                    &request,
                    found.map(|all| json!({ "variables": part(all, &request) })),
                );
            });
            return;
        }
        let frame = self.frame(&request.arguments).ok();
        let debuggee = self.debuggee.clone();
        tokio::spawn(async move {
            let text = request.arguments["expression"].as_str().unwrap_or_default();
            if request.arguments["context"] == "repl" {
                let Ok(mut desk) = flow.desk.try_lock() else {
                    out.respond(&request, Err("a command is still running".into()));
                    return;
                };
                let evaluated = repl(text, &mut desk, &*debuggee, &out, can_run_in_terminal);
                match evaluated.await {
                    Ok((text, order)) => {
                        let body = json!({ "result": text, "variablesReference": 0 });
                        out.respond(&request, Ok(body));
                        if let Some(order) = order {
                            let body = json!({ "threadId": 1, "allThreadsContinued": true });
                            out.event("continued", body);
                            flow.go(&mut desk, order);
                        }
                    }
                    Err(wrong) => out.respond(&request, Err(wrong)),
                }
                return;
            }
            let here = flow.desk.lock().await.inspector().cloned();
            let site = here.map(|here| Arc::clone(&here.site));
            let answer = match (frame, site) {
                (Some(frame), _) => evaluate(text, &frame),
                (None, Some(site)) => evaluate(text, &Frame { site, depth: 0 }),
                (None, None) => Err("the build is running".into()),
            };
            let body = |text| json!({ "result": text, "variablesReference": 0 });
            out.respond(&request, answer.map(body));
        });
    }
}

/// The part of a list that was asked for.
fn part(all: Vec<Value>, request: &Request) -> Vec<Value> {
    let number = |name: &str| {
        let number = request.arguments[name].as_u64()?;
        usize::try_from(number).ok()
    };
    let count = number("count")
        .filter(|&count| count > 0)
        .unwrap_or(usize::MAX);
    all.into_iter()
        .skip(number("start").unwrap_or(0))
        .take(count)
        .collect()
}

fn extras(breakpoint: &Value) -> Extras {
    let text = |name: &str| breakpoint[name].as_str().map(str::to_owned);
    Extras {
        condition: text("condition"),
        hits: text("hitCondition"),
        log: text("logMessage"),
    }
}

/// A variable's value, or a text with variables in it.
fn evaluate(text: &str, frame: &Frame) -> Result<String, String> {
    let text = text.trim();
    let variables = frame.scene().variables;
    let bare = text
        .trim_start_matches('$')
        .trim_start_matches('{')
        .trim_end_matches('}');
    if let Some(found) = variables.iter().rfind(|variable| variable.name == bare) {
        return Ok(found.value.clone());
    }
    if text.contains('$') {
        return show::expand_with(&variables, text);
    }
    Err(format!("there is no variable `{text}` here"))
}

/// A command of the editor's console: its output, and the order it would be.
async fn repl(
    text: &str,
    desk: &mut Desk,
    debuggee: &dyn Debuggee,
    out: &Outbox,
    can_run_in_terminal: bool,
) -> Result<(String, Option<Order>), String> {
    let mut said = String::new();
    let done = desk.run(text, &mut |piece| said.push_str(piece)).await?;
    match done {
        Done::Nothing | Done::Ran(0) => {}
        Done::Ran(status) => said.push_str(&format!("exit code {status}\n")),
        Done::Go(order) => return Ok((said, Some(order))),
        Done::Quit(_) => return Ok((said, Some(Order::End))),
        Done::Shell { container, command } => {
            if !can_run_in_terminal {
                return Err("the editor opens no terminals: use `exec`, or `!LINE`".into());
            }
            out.put(json!({
                "type": "request",
                "command": "runInTerminal",
                "arguments": {
                    "kind": "integrated",
                    "title": "bowline shell",
                    "cwd": "",
                    "args": debuggee.join(&container, &command),
                },
            }));
            said.push_str("the shell opens in a terminal\n");
        }
    }
    Ok((said.trim_end_matches('\n').to_owned(), None))
}
