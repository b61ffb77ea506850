//! The tar of a layer, written while the engine takes it.

use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;

use super::gather::Problem;
use super::place::{Content, LayerFile, Placed};
use super::send;
use crate::context::{FileTree, LayerError, LayerWriter};
use crate::diag::Diagnostic;
use crate::engine::NewLayer;
use crate::progress::Running;

/// The layer of placed files. Its size is reckoned first, because the archive that carries the
/// layer to the engine must say it.
pub(super) async fn new_layer(
    placed: &Arc<Placed>,
    progress: &Running,
) -> Result<NewLayer, Problem> {
    let placed = Arc::clone(placed);
    let reckoned = {
        let placed = Arc::clone(&placed);
        run(move || size_of(&placed)).await?
    };
    progress.part("layer", "sending", 0, reckoned);
    let content = send::written(move |out| {
        let written = write(LayerWriter::new(out).unhashed(), &placed)
            .and_then(|writer| writer.end().map_err(Problem::from));
        let written = written.map_err(|problem| io::Error::other(problem.text()));
        written.map(|(out, _)| out)
    });
    Ok(NewLayer {
        size: reckoned,
        content,
    })
}

/// The layer of a few directories, in memory.
pub(super) fn of_directories(placed: &Placed) -> Result<NewLayer, Problem> {
    let (bytes, _) = write(LayerWriter::new(Vec::new()).unhashed(), placed)?.end()?;
    let size = bytes.len() as u64;
    let content = futures::stream::once(async move { Ok(Bytes::from(bytes)) }).boxed();
    Ok(NewLayer { size, content })
}

async fn run<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| {
        Err(Problem::Other(crate::build::failure::internal(
            &error.to_string(),
        )))
    })
}

fn write<W: Write>(mut writer: LayerWriter<W>, placed: &Placed) -> Result<LayerWriter<W>, Problem> {
    for file in placed.files.values() {
        write_one(&mut writer, file)?;
    }
    Ok(writer)
}

fn write_one<W: Write>(writer: &mut LayerWriter<W>, file: &LayerFile) -> Result<(), Problem> {
    match &file.content {
        Content::None { xattrs } => writer.add(&file.entry, xattrs)?,
        Content::Bytes(bytes) => writer.add_file(&file.entry, &[], &mut bytes.as_ref())?,
        Content::Tree { tree, entry } => {
            let xattrs = tree.xattrs(entry)?;
            if file.entry.is_file() {
                writer.add_file(&file.entry, &xattrs, &mut *tree.open(entry)?)?;
            } else {
                writer.add(&file.entry, &xattrs)?;
            }
        }
    }
    Ok(())
}

/// The size of the tar, from the same writer with contents of nothing but zeros.
fn size_of(placed: &Placed) -> Result<u64, Problem> {
    let mut writer = LayerWriter::new(io::sink()).unhashed();
    for file in placed.files.values() {
        match &file.content {
            Content::Tree { tree, entry } if file.entry.is_file() => {
                let xattrs = tree.xattrs(entry)?;
                writer.reserve_file(&file.entry, &xattrs)?;
            }
            _ => write_one(&mut writer, file)?,
        }
    }
    Ok(writer.end()?.1)
}

impl From<LayerError> for Problem {
    fn from(error: LayerError) -> Self {
        Self::Other(Diagnostic::error(error.to_string()))
    }
}

impl Problem {
    fn text(&self) -> String {
        match self {
            Self::Context(error) => error.to_string(),
            Self::Engine(error) => error.to_string(),
            Self::Other(diagnostic) => diagnostic.message.clone(),
        }
    }
}

/// The tree that a file of the layer comes from.
pub(super) type Tree = Arc<dyn FileTree>;
