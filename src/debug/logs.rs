//! What steps wrote, kept for whoever asks at a stop; and a sink that waits while one is stopped.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::progress::{Event, Sink, StepId};

/// How much of one step's output is kept: the last bytes of it.
const MOST: usize = 4 << 20;

/// The outputs of steps by their titles.
#[derive(Default)]
pub struct Logs {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    names: HashMap<StepId, Arc<str>>,
    texts: HashMap<Arc<str>, Vec<u8>>,
}

impl Logs {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a step wrote when it last ran in this session.
    pub fn of(&self, title: &str) -> Option<Vec<u8>> {
        self.state().texts.get(title).cloned()
    }
}

impl Sink for Logs {
    fn emit(&self, event: Event) {
        match event {
            Event::Started { step, name } => {
                self.state().names.insert(step, name);
            }
            Event::Output { step, bytes, .. } => {
                let mut state = self.state();
                let Some(name) = state.names.get(&step).cloned() else {
                    return;
                };
                let text = state.texts.entry(name).or_default();
                text.extend_from_slice(&bytes);
                if text.len() > MOST {
                    text.drain(..text.len() - MOST / 2);
                }
            }
            _ => {}
        }
    }
}

/// Hands events on, but keeps them back while somebody types.
pub struct Held {
    to: Arc<dyn Sink>,
    waiting: Mutex<Option<Vec<Event>>>,
}

impl Held {
    pub fn new(to: Arc<dyn Sink>) -> Self {
        Self {
            to,
            waiting: Mutex::new(None),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Option<Vec<Event>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows what has come, and keeps back what comes.
    pub fn hold(&self) {
        let mut waiting = self.waiting();
        if waiting.is_none() {
            *waiting = Some(Vec::new());
        }
        drop(waiting);
        self.to.flush();
    }

    pub fn release(&self) {
        let mut waiting = self.waiting();
        for event in waiting.take().unwrap_or_default() {
            self.to.emit(event);
        }
    }
}

impl Sink for Held {
    fn emit(&self, event: Event) {
        let mut waiting = self.waiting();
        match waiting.as_mut() {
            Some(waiting) => waiting.push(event),
            None => self.to.emit(event),
        }
    }
}
