//! One connection: requests in, responses and events out.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, BufReader};
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

use super::answers;
use super::outbox::{Answer, Lines, Outbox, Request, write};
use super::session::{Flow, Session};
use super::wire::{self, Incoming};
use super::{Launch, Launcher};
use crate::debug::command::{Desk, plain};
use crate::debug::logs::Logs;
use crate::debug::stepper::{News, Order, Stepper};
use crate::diag::{Class, Diagnostic};
use crate::progress::{Display, Output, Plain, Tee};

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

/// What the build and the stepper tell the server.
pub(super) enum Happened {
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
