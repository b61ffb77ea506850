//! A container in which many steps run: the orders that go to the program in it, and the frames
//! that come back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt as _;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::build::ledger::Ledger;
use crate::engine::{Attached, ContainerSpec, Engine, EngineError, Result, Stream};
use crate::init::wire::Confinement;
use crate::init::wire::share::{Frame, LayerFile, Order};

type Stdin = std::pin::Pin<Box<dyn AsyncWrite + Send>>;
type Routes = Mutex<Option<HashMap<u32, mpsc::UnboundedSender<Frame>>>>;

/// A container whose program takes orders. It goes away with the last snapshot of its steps.
pub(in crate::build) struct SharedContainer {
    pub(in crate::build) name: String,
    /// What the engine mounts to hold the layers.
    pub(in crate::build) volume: String,
    /// How commands are confined there.
    pub(in crate::build) confinement: (Confinement, String),
    ledger: Arc<Ledger>,
    stdin: tokio::sync::Mutex<Stdin>,
    /// Who waits for frames; `None` once the container has ended.
    routes: Arc<Routes>,
    _listening: AbortOnDropHandle<()>,
}

impl SharedContainer {
    /// Creates and starts it; `None` where its program says that it cannot run steps.
    pub(super) async fn start(
        engine: &Arc<dyn Engine>,
        ledger: &Arc<Ledger>,
        spec: &ContainerSpec,
        volume: String,
        confinement: (Confinement, String),
    ) -> Result<Option<Self>> {
        ledger.create(spec).await?;
        let Attached { stdin, output } = engine.attach(&spec.name).await?;
        engine.start(&spec.name).await?;
        let (tell, mut told) = mpsc::unbounded_channel();
        let routes: Arc<Routes> = Arc::new(Mutex::new(Some(HashMap::from([(0, tell)]))));
        let listening = tokio::spawn(listen(output, Arc::clone(&routes)));
        let shared = Self {
            name: spec.name.clone(),
            volume,
            confinement,
            ledger: Arc::clone(ledger),
            stdin: tokio::sync::Mutex::new(stdin),
            routes,
            _listening: AbortOnDropHandle::new(listening),
        };
        match told.recv().await {
            Some(Frame::Ready) => Ok(Some(shared)),
            Some(Frame::Unable(reason)) => {
                tracing::debug!(%reason, "no container is shared by steps");
                Ok(None)
            }
            Some(_) | None => {
                tracing::debug!("the program in a shared container does not answer");
                Ok(None)
            }
        }
    }

    /// Gives an order; what comes back for its number goes to the receiver, until the container
    /// ends.
    pub(super) async fn order(
        &self,
        number: u32,
        order: &Order,
    ) -> Result<mpsc::UnboundedReceiver<Frame>> {
        let (tell, told) = mpsc::unbounded_channel();
        match &mut *lock(&self.routes) {
            Some(routes) => routes.insert(number, tell),
            None => return Err(self.gone()),
        };
        self.send(order).await?;
        Ok(told)
    }

    async fn send(&self, order: &Order) -> Result<()> {
        let mut stdin = self.stdin.lock().await;
        let sent = stdin.write_all(&order.encode()).await;
        sent.and(stdin.flush().await).map_err(|_| self.gone())
    }

    /// Makes a layer of entries over those below.
    pub(super) async fn put(
        &self,
        number: u32,
        below: &[u32],
        mut parts: mpsc::Receiver<Vec<u8>>,
    ) -> Result<()> {
        let order = |part, last| Order::Put {
            number,
            below: below.to_vec(),
            last,
            part,
        };
        let mut told = self.order(number, &order(Vec::new(), false)).await?;
        while let Some(part) = parts.recv().await {
            self.send(&order(part, false)).await?;
        }
        self.send(&order(Vec::new(), true)).await?;
        match told.recv().await {
            Some(Frame::Taken) => Ok(()),
            Some(Frame::Failed(reason)) => Err(unreadable(&reason)),
            _ => Err(self.gone()),
        }
    }

    /// The entries of a step's layer.
    pub(super) async fn take(&self, number: u32) -> Result<Vec<LayerFile>> {
        let mut told = self.order(number, &Order::Take { number }).await?;
        let mut bytes = Vec::new();
        loop {
            match told.recv().await {
                Some(Frame::Part(part)) => bytes.extend(part),
                Some(Frame::Taken) => break,
                Some(Frame::Failed(reason)) => return Err(unreadable(&reason)),
                Some(_) => return Err(unreadable("it is mixed with something else")),
                None => return Err(self.gone()),
            }
        }
        LayerFile::decode_all(&bytes).map_err(|error| unreadable(&error.to_string()))
    }

    /// The error of a container that has ended under its steps.
    pub(super) fn gone(&self) -> EngineError {
        EngineError::Unexpected(format!(
            "the container `{}`, in which the steps run, has ended",
            self.name
        ))
    }
}

impl Drop for SharedContainer {
    fn drop(&mut self) {
        self.ledger.leave(&self.name);
    }
}

fn unreadable(reason: &str) -> EngineError {
    EngineError::Unexpected(format!("what a step has changed cannot be read: {reason}"))
}

async fn listen(
    mut output: futures::stream::BoxStream<'static, Result<(Stream, bytes::Bytes)>>,
    routes: Arc<Routes>,
) {
    let mut buffer = Vec::new();
    while let Some(Ok((stream, bytes))) = output.next().await {
        if stream == Stream::Stderr {
            tracing::debug!(said = %String::from_utf8_lossy(&bytes), "a shared container");
            continue;
        }
        buffer.extend(bytes);
        loop {
            match Frame::take(&mut buffer) {
                Ok(Some((number, frame))) => {
                    // A step that nobody waits for any more still writes.
                    if let Some(routes) = &*lock(&routes)
                        && let Some(tell) = routes.get(&number)
                    {
                        let _ = tell.send(frame);
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    tracing::debug!(%error, "a shared container");
                    *lock(&routes) = None;
                    return;
                }
            }
        }
    }
    *lock(&routes) = None;
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
