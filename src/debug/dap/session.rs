//! A launched build: what an editor asks of it, and the orders it gives.

use std::path::PathBuf;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};

use serde_json::{Value, json};
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

use super::Debuggee;
use super::answers;
use super::outbox::{Answer, Outbox, Request};
use super::server::Happened;
use super::values::{Frame, Table};
use crate::debug::command::Desk;
use crate::debug::stepper::{Order, Stepper, Stop};
use crate::progress::{Display, Sink};

/// Where the build stands, and what is open there.
#[derive(Clone)]
pub(super) struct Flow {
    pub(super) desk: Arc<Mutex<Desk>>,
    pub(super) table: Arc<Table>,
    pub(super) frames: Arc<StdMutex<Vec<Frame>>>,
    pub(super) stop: Arc<StdMutex<Option<Stop>>>,
}

impl Flow {
    pub(super) fn stop(&self) -> std::sync::MutexGuard<'_, Option<Stop>> {
        self.stop.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn frames(&self) -> std::sync::MutexGuard<'_, Vec<Frame>> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the build go on, if it stands.
    pub(super) fn go(&self, desk: &mut Desk, order: Order) -> bool {
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
pub(super) struct Session {
    pub(super) debuggee: Arc<dyn Debuggee>,
    pub(super) path: PathBuf,
    pub(super) stepper: Arc<Stepper>,
    pub(super) flow: Flow,
    pub(super) sources: Arc<StdMutex<Vec<String>>>,
    pub(super) sink: Arc<dyn Sink>,
    pub(super) display: Arc<Display>,
    pub(super) cancel: CancellationToken,
    pub(super) begun: bool,
    pub(super) building: Option<tokio::task::JoinHandle<()>>,
    pub(super) code: u8,
    pub(super) over: bool,
}

impl Session {
    pub(super) fn begin(&mut self, news: &mpsc::UnboundedSender<Happened>) {
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
    pub(super) async fn go(&self, order: Order) -> bool {
        let mut desk = self.flow.desk.lock().await;
        self.flow.go(&mut desk, order)
    }

    /// The answer to a request; none where it was given already.
    pub(super) async fn answer(
        &mut self,
        request: &Request,
        one: usize,
        out: &Outbox,
    ) -> Option<Answer> {
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
    pub(super) async fn step(&self, request: &Request, out: &Outbox) -> Option<Answer> {
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

    pub(super) async fn order(&self, command: &str) -> Result<Order, String> {
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
}
