//! The gate of a debug session: decides where the build stops, tells a face of it, and waits for
//! its order. One stop at a time, however many stages run side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};

use super::breakpoint::{Breakpoint, Effect, Extras, Trigger};
use super::catalog::Catalog;
use crate::build::{Gate, Moment, Site, Turn};
use crate::plan::StageIndex;

/// Why the build stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    Entry,
    Step,
    Pause,
    /// At a line that was to be run to.
    Reached,
    Breakpoint(u64),
    CacheMiss,
    Failure,
}

/// What the build shall do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    Continue,
    /// To the next instruction of this stage, or of who waits for it.
    Next,
    /// To the next instruction, of a stage that this one needs too.
    Into,
    /// To the end of this stage.
    Out,
    /// To a line of the Dockerfile.
    Until(usize),
    /// Before an instruction of this stage, `FROM` being 0.
    BackTo {
        line: usize,
        fresh: bool,
    },
    /// Once more, without a look at the cache.
    Retry,
    /// The Dockerfile is read again.
    Reload,
    /// From the beginning, with the Dockerfile read again.
    Restart,
    End,
}

/// What a face hears.
pub enum News {
    Stopped(Stop),
    /// A stage is walked from now on.
    Began(StageIndex),
    Left(StageIndex),
    /// A logpoint's text, and where.
    Log {
        text: String,
        line: usize,
    },
    /// The breakpoint has done its work and is gone.
    Gone(u64),
    /// The build has ended.
    Over,
}

/// The build stands still until the order is given; without one it ends.
pub struct Stop {
    pub site: Arc<Site>,
    pub reason: Reason,
    order: oneshot::Sender<Order>,
}

impl Stop {
    pub fn go(self, order: Order) {
        // A build that was cut off meanwhile takes no order.
        let _ = self.order.send(order);
    }

    /// For a site that no build waits at.
    pub fn after_the_fact(site: Arc<Site>) -> Self {
        Self {
            site,
            reason: Reason::Failure,
            order: oneshot::channel().0,
        }
    }
}

/// How the build goes on.
#[derive(Debug, Clone, Default)]
enum Mode {
    #[default]
    Run,
    Next(From),
    Into(From),
    Out(From),
    Until(usize),
    /// To the first of these instructions, with breakpoints asleep: what was there before the
    /// Dockerfile was read again.
    Return(BTreeSet<(StageIndex, usize)>),
}

/// Where a step began.
#[derive(Debug, Clone)]
struct From {
    stage: StageIndex,
    callers: BTreeSet<StageIndex>,
}

/// Why a build ended by the debugger's will.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Quit,
    Again,
}

/// See the module.
pub struct Stepper {
    state: Mutex<State>,
    floor: tokio::sync::Mutex<()>,
    news: mpsc::UnboundedSender<News>,
}

#[derive(Default)]
struct State {
    breakpoints: Vec<Breakpoint>,
    last_id: u64,
    stop_on_entry: bool,
    stop_on_failure: bool,
    stop_on_miss: bool,
    mode: Mode,
    pausing: bool,
    ending: Option<Ending>,
    catalog: Option<Arc<Catalog>>,
    /// Where each stage is, while it is walked.
    stages: BTreeMap<StageIndex, Arc<Site>>,
}

impl Stepper {
    pub fn new() -> (Arc<Self>, mpsc::UnboundedReceiver<News>) {
        let (news, heard) = mpsc::unbounded_channel();
        let stepper = Self {
            state: Mutex::new(State {
                stop_on_failure: true,
                ..State::default()
            }),
            floor: tokio::sync::Mutex::default(),
            news,
        };
        (Arc::new(stepper), heard)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, news: News) {
        // A face that has gone hears nothing; its stops end the build.
        let _ = self.news.send(news);
    }

    pub fn stop_on_entry(&self, yes: bool) {
        self.state().stop_on_entry = yes;
    }

    pub fn stop_on_failure(&self, yes: bool) {
        self.state().stop_on_failure = yes;
    }

    pub fn stop_on_miss(&self, yes: bool) {
        self.state().stop_on_miss = yes;
    }

    /// Whether failures and misses stop.
    pub fn stops_on(&self) -> (bool, bool) {
        let state = self.state();
        (state.stop_on_failure, state.stop_on_miss)
    }

    /// The build stops at the next instruction that begins or ends.
    pub fn pause(&self) {
        self.state().pausing = true;
    }

    /// As [`Stepper::pause`]; no, when it was asked already or stands still.
    pub fn ask_to_pause(&self) -> bool {
        !std::mem::replace(&mut self.state().pausing, true)
    }

    /// From the beginning, with the Dockerfile read again, once the next instruction begins or
    /// ends.
    pub fn restart(&self) {
        let mut state = self.state();
        state.stop_on_entry = true;
        state.mode = Mode::Run;
        state.ending = Some(Ending::Again);
    }

    pub fn tell_over(&self) {
        self.tell(News::Over);
    }

    /// The build ends at the next instruction that begins or ends.
    pub fn end(&self) {
        self.state().ending.get_or_insert(Ending::Quit);
    }

    /// Why the debugger ended the build, if it did; asked once.
    pub fn take_ending(&self) -> Option<Ending> {
        let mut state = self.state();
        state.stages.clear();
        state.ending.take()
    }

    pub fn catalog(&self) -> Option<Arc<Catalog>> {
        self.state().catalog.clone()
    }

    pub fn set_catalog(&self, catalog: Arc<Catalog>) {
        self.state().catalog = Some(catalog);
    }

    /// Where each stage is.
    pub fn stages(&self) -> Vec<Arc<Site>> {
        self.state().stages.values().cloned().collect()
    }

    /// # Errors
    /// When what is asked of it cannot be read, or there is no such place.
    pub fn add(&self, trigger: Trigger, extras: &Extras) -> Result<Breakpoint, String> {
        let mut state = self.state();
        if let Some(catalog) = &state.catalog {
            match &trigger {
                Trigger::Line(line) if catalog.instruction_at(*line).is_none() => {
                    return Err(format!(
                        "no instruction of a stage begins or follows in line {line}"
                    ));
                }
                Trigger::Stage(name) if catalog.stage(name).is_none() => {
                    return Err(format!("there is no stage `{name}`"));
                }
                Trigger::Line(_) | Trigger::Stage(_) => {}
            }
        }
        let breakpoint = Breakpoint::new(state.last_id + 1, trigger, extras)?;
        state.last_id += 1;
        state.breakpoints.push(breakpoint.clone());
        Ok(breakpoint)
    }

    pub fn breakpoints(&self) -> Vec<Breakpoint> {
        self.state().breakpoints.clone()
    }

    /// Changes breakpoints in place; those for which it says no are removed.
    pub fn retain(&self, mut keep: impl FnMut(&mut Breakpoint) -> bool) {
        self.state()
            .breakpoints
            .retain_mut(|breakpoint| keep(breakpoint));
    }

    /// Where a breakpoint stands: the instruction's first line.
    pub fn line_of(&self, trigger: &Trigger) -> Option<usize> {
        self.state().line_of(trigger)
    }

    async fn visit(&self, site: &Arc<Site>) -> Turn {
        // Who stands on the floor is stopped, and nobody passes.
        let _floor = self.floor.lock().await;
        let (reason, logs, gone) = {
            let mut state = self.state();
            if state.ending.is_some() {
                return Turn::Stop;
            }
            let began = state
                .stages
                .insert(site.stage().index, Arc::clone(site))
                .is_none();
            if began {
                self.tell(News::Began(site.stage().index));
            }
            state.decide(site)
        };
        let line = site.line().source.line(site.line().span.start);
        for text in logs {
            self.tell(News::Log { text, line });
        }
        for id in gone {
            self.tell(News::Gone(id));
        }
        let turn = match reason {
            None => Turn::Go,
            Some(reason) => self.stop(site, reason).await,
        };
        self.leave(site, turn);
        turn
    }

    async fn stop(&self, site: &Arc<Site>, reason: Reason) -> Turn {
        let (order, ordered) = oneshot::channel();
        self.tell(News::Stopped(Stop {
            site: Arc::clone(site),
            reason,
            order,
        }));
        // A face that drops the stop wants no more of it.
        let order = ordered.await.unwrap_or(Order::End);
        self.state().obey(site, &order)
    }

    fn leave(&self, site: &Arc<Site>, turn: Turn) {
        let over = match (site.moment(), turn) {
            (Moment::After, Turn::Go) => site.index() + 1 == site.stage().lines.len(),
            (Moment::Failed, Turn::Go) | (_, Turn::Stop) => true,
            _ => false,
        };
        if over {
            let stage = site.stage().index;
            self.state().stages.remove(&stage);
            self.tell(News::Left(stage));
        }
    }
}

impl State {
    fn line_of(&self, trigger: &Trigger) -> Option<usize> {
        let catalog = self.catalog.as_ref()?;
        match trigger {
            Trigger::Line(line) => catalog.instruction_at(*line).map(|entry| entry.lines.0),
            Trigger::Stage(name) => {
                let stage = catalog.stage(name)?;
                let is_its = |s: &(usize, Option<String>)| s.0 == stage;
                let mut entries = catalog.entries.iter();
                let from = entries.find(|entry| entry.stage.as_ref().is_some_and(is_its));
                from.map(|entry| entry.lines.0)
            }
        }
    }

    /// Why to stop here, what to print, and which breakpoints are used up.
    fn decide(&mut self, site: &Site) -> (Option<Reason>, Vec<String>, Vec<u64>) {
        let (mut logs, mut gone) = (Vec::new(), Vec::new());
        let place = (site.stage().index, written(site));
        let moment = site.moment();
        if let Mode::Return(places) = &self.mode {
            let there =
                moment == Moment::Before && !site.line().on_build && places.contains(&place);
            if !there && moment != Moment::Failed {
                return (None, logs, gone);
            }
            self.mode = Mode::Run;
            if there {
                return (Some(Reason::Reached), logs, gone);
            }
        }
        let mut reason = None;
        if moment == Moment::Failed && self.stop_on_failure {
            reason = Some(Reason::Failure);
        }
        if moment == Moment::Before {
            let hit = self.breakpoint_at(site, &mut logs, &mut gone);
            reason = reason.or(hit.map(Reason::Breakpoint));
            if self.stop_on_miss && site.verdict().is_miss() {
                reason = reason.or(Some(Reason::CacheMiss));
            }
            if std::mem::take(&mut self.stop_on_entry) {
                reason = Some(Reason::Entry);
            }
        }
        if reason.is_none() && self.steps_here(site) {
            reason = Some(match self.mode {
                Mode::Until(_) => Reason::Reached,
                _ => Reason::Step,
            });
        }
        if self.pausing {
            reason = reason.or(Some(Reason::Pause));
        }
        (reason, logs, gone)
    }

    fn breakpoint_at(
        &mut self,
        site: &Site,
        logs: &mut Vec<String>,
        gone: &mut Vec<u64>,
    ) -> Option<u64> {
        let line = site.line();
        if line.on_build {
            return None;
        }
        let number = line.source.line(line.span.start);
        let scene = site.scene();
        let lookup = |name: &str| {
            let mut found = scene.variables.iter().filter(|v| v.name == name);
            found.next_back().map(|variable| variable.value.clone())
        };
        let places: Vec<bool> = self
            .breakpoints
            .iter()
            .map(|breakpoint| self.line_of(&breakpoint.trigger) == Some(number))
            .collect();
        let mut hit = None;
        for (breakpoint, here) in self.breakpoints.iter_mut().zip(places) {
            if !here {
                continue;
            }
            match breakpoint.reached(&lookup) {
                Effect::Nothing => {}
                Effect::Log(text) => logs.push(text),
                Effect::Stop => {
                    hit = hit.or(Some(breakpoint.id));
                    if breakpoint.once {
                        gone.push(breakpoint.id);
                    }
                }
            }
        }
        self.breakpoints
            .retain(|breakpoint| !gone.contains(&breakpoint.id));
        hit
    }

    /// Whether a step that was ordered ends here.
    fn steps_here(&self, site: &Site) -> bool {
        let stage = site.stage().index;
        let last = site.index() + 1 == site.stage().lines.len();
        let ends = match site.moment() {
            Moment::Before => true,
            // The end of a stage is a place of its own: its result can be looked at.
            Moment::After => last,
            Moment::Failed => false,
        };
        // Those who wait for a stage may run beside it: they count once it has ended.
        let of_caller =
            |from: &From| from.callers.contains(&stage) && !self.stages.contains_key(&from.stage);
        match &self.mode {
            Mode::Run | Mode::Return(_) => false,
            Mode::Next(from) => ends && (stage == from.stage || of_caller(from)),
            Mode::Into(from) => {
                let within = site.callers().iter().any(|(by, _)| *by == from.stage);
                ends && (stage == from.stage || of_caller(from) || within)
            }
            Mode::Out(from) => {
                let end = stage == from.stage && site.moment() == Moment::After && last;
                end || (ends && of_caller(from))
            }
            Mode::Until(wanted) => {
                let line = site.line();
                let (first, end) = line.source.lines(line.span);
                site.moment() == Moment::Before && !line.on_build && (first..=end).contains(wanted)
            }
        }
    }

    fn obey(&mut self, site: &Site, order: &Order) -> Turn {
        self.pausing = false;
        let from = || From {
            stage: site.stage().index,
            callers: site.callers().iter().map(|(stage, _)| *stage).collect(),
        };
        self.mode = match *order {
            Order::Continue => Mode::Run,
            Order::Next => Mode::Next(from()),
            Order::Into => Mode::Into(from()),
            Order::Out => Mode::Out(from()),
            Order::Until(line) => {
                let moved = self.line_of(&Trigger::Line(line));
                Mode::Until(moved.unwrap_or(line))
            }
            Order::Retry => {
                self.mode = Mode::Next(from());
                return Turn::Retry;
            }
            Order::BackTo { line, fresh } => {
                self.mode = Mode::Next(from());
                return Turn::BackTo { line, fresh };
            }
            Order::End => {
                self.ending = Some(Ending::Quit);
                return Turn::Stop;
            }
            Order::Restart => {
                self.stop_on_entry = true;
                self.mode = Mode::Run;
                self.ending = Some(Ending::Again);
                return Turn::Stop;
            }
            Order::Reload => {
                let here = (site.stage().index, written(site));
                self.mode = Mode::Return(BTreeSet::from([here]));
                self.ending = Some(Ending::Again);
                return Turn::Stop;
            }
        };
        Turn::Go
    }
}

/// The number of an instruction among those of its stage that the file has, `FROM` being 0.
fn written(site: &Site) -> usize {
    let before = site.stage().lines[..=site.index()].iter();
    before.filter(|line| !line.on_build).count() - 1
}

impl Stepper {
    /// A new text of the Dockerfile: the build returns to where it was, or to the first
    /// instruction before that has changed.
    pub fn read_again(&self, new: Arc<Catalog>) {
        let mut state = self.state();
        let old = state.catalog.clone();
        if let (Mode::Return(places), Some(old)) = (&mut state.mode, old) {
            let changes = new.changes_since(&old);
            let mut moved: BTreeSet<(StageIndex, usize)> = places
                .iter()
                .map(|&(stage, line)| {
                    let changed = changes.iter().find(|(changed, _)| *changed == stage);
                    (stage, changed.map_or(line, |(_, first)| line.min(*first)))
                })
                .collect();
            moved.extend(changes);
            *places = moved;
        }
        state.catalog = Some(new);
    }
}

#[async_trait]
impl Gate for Stepper {
    fn is_running_freely(&self) -> bool {
        let state = self.state();
        matches!(state.mode, Mode::Run) && !state.pausing && !state.stop_on_entry
    }

    async fn before(&self, site: &Arc<Site>) -> Turn {
        self.visit(site).await
    }

    async fn after(&self, site: &Arc<Site>) -> Turn {
        self.visit(site).await
    }
}
