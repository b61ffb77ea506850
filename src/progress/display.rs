//! Takes events from many tasks and hands them, in order and with the time at which they came,
//! to renderers on a thread of their own, so that a slow terminal does not hold up the build.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{Event, Sink};

/// How many events may wait; beyond that the build waits for its display.
const WAITING: usize = 8192;

/// How often renderers that show running time are asked to.
const TICK: Duration = Duration::from_millis(100);

/// Shows events. Times are counted from the start of the build.
pub trait Render: Send {
    /// # Errors
    /// When the output cannot be written; the renderer is then not used again.
    fn event(&mut self, at: Duration, event: &Event) -> io::Result<()>;

    /// Called regularly between events.
    ///
    /// # Errors
    /// As for [`event`](Self::event).
    fn tick(&mut self, _at: Duration) -> io::Result<()> {
        Ok(())
    }

    /// Called once, after the last event.
    ///
    /// # Errors
    /// As for [`event`](Self::event).
    fn finish(&mut self, _at: Duration) -> io::Result<()> {
        Ok(())
    }
}

/// A renderer, and what to do when its output breaks (a closed pipe, a full disk): called once
/// at most, from the display's thread. The other renderers go on.
pub struct Output {
    pub render: Box<dyn Render>,
    pub on_broken: Box<dyn FnOnce(io::Error) + Send>,
}

/// A [`Sink`] that shows events on some outputs.
pub struct Display {
    start: Instant,
    queue: SyncSender<Message>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

enum Message {
    Event(Duration, Event),
    Flush(SyncSender<()>),
    Finish,
}

impl Display {
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(outputs: Vec<Output>) -> io::Result<Self> {
        let start = Instant::now();
        let (queue, messages) = sync_channel(WAITING);
        let thread = std::thread::Builder::new()
            .name("display".into())
            .spawn(move || show(outputs, start, &messages))?;
        Ok(Self {
            start,
            queue,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Shows what is still waiting and ends; later events are dropped.
    pub fn finish(&self) {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take() {
            // Neither fails unless the thread panicked, which has been reported by then.
            let _ = self.queue.send(Message::Finish);
            let _ = thread.join();
        }
    }
}

impl Sink for Display {
    fn emit(&self, event: Event) {
        // An event after the end has nobody to see it.
        let _ = self.queue.send(Message::Event(self.start.elapsed(), event));
    }

    fn flush(&self) {
        let (done, wait) = sync_channel(1);
        if self.queue.send(Message::Flush(done)).is_ok() {
            // It fails when the display has ended, and then all was shown.
            let _ = wait.recv();
        }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        self.finish();
    }
}

fn show(outputs: Vec<Output>, start: Instant, messages: &Receiver<Message>) {
    let mut outputs: Vec<Option<Output>> = outputs.into_iter().map(Some).collect();
    let mut each = |what: &mut dyn FnMut(&mut dyn Render) -> io::Result<()>| {
        for slot in &mut outputs {
            if let Some(output) = slot
                && let Err(error) = what(output.render.as_mut())
                && let Some(broken) = slot.take()
            {
                (broken.on_broken)(error);
            }
        }
    };
    let mut next_tick = start + TICK;
    loop {
        let now = Instant::now();
        if now >= next_tick {
            each(&mut |render| render.tick(start.elapsed()));
            next_tick = now + TICK;
        }
        match messages.recv_timeout(next_tick - now) {
            Ok(Message::Event(at, event)) => each(&mut |render| render.event(at, &event)),
            Ok(Message::Flush(done)) => {
                // Nobody waits any more: fine as well.
                let _ = done.send(());
            }
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Message::Finish) | Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    each(&mut |render| render.finish(start.elapsed()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Fails at the n-th event.
    struct Counter {
        seen: Arc<AtomicUsize>,
        fail_at: usize,
    }

    impl Render for Counter {
        fn event(&mut self, _at: Duration, _event: &Event) -> io::Result<()> {
            if self.seen.fetch_add(1, Ordering::SeqCst) + 1 == self.fail_at {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            Ok(())
        }
    }

    #[test]
    fn a_broken_output_is_reported_once_and_left_alone() {
        let (broken, good, reports) = (
            Arc::<AtomicUsize>::default(),
            Arc::<AtomicUsize>::default(),
            Arc::<AtomicUsize>::default(),
        );
        let output = |seen: &Arc<AtomicUsize>, fail_at| {
            let reports = reports.clone();
            Output {
                render: Box::new(Counter {
                    seen: seen.clone(),
                    fail_at,
                }),
                on_broken: Box::new(move |error| {
                    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
                    reports.fetch_add(1, Ordering::SeqCst);
                }),
            }
        };
        let display = Display::start(vec![output(&broken, 2), output(&good, 0)]).unwrap();
        for _ in 0..10 {
            display.emit(Event::Note("x".into()));
        }
        display.finish();
        display.emit(Event::Note("too late".into()));
        display.finish();
        let counts = [&broken, &good, &reports].map(|count| count.load(Ordering::SeqCst));
        assert_eq!(counts, [2, 10, 1]);
    }
}
