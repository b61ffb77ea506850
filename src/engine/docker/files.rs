//! Files in a container, through the archive API.

use bollard::query_parameters::{
    ContainerArchiveInfoOptionsBuilder, DownloadFromContainerOptionsBuilder,
    UploadToContainerOptionsBuilder,
};
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio_util::io::StreamReader;

use super::{DockerEngine, if_there};
use crate::engine::{ByteStream, EngineError, PathStat, Result, TarStream};

impl DockerEngine {
    /// A container that is not there looks like a path that is not there: the answer to a `HEAD`
    /// request has no text.
    pub(super) async fn stat_path(&self, container: &str, path: &str) -> Result<Option<PathStat>> {
        let options = ContainerArchiveInfoOptionsBuilder::new().path(path).build();
        let found = self
            .docker
            .get_container_archive_info(container, Some(options))
            .await;
        let found = match if_there(found.map_err(|error| self.error(error))) {
            // What is wrong is only said in answer to a `GET`.
            Err(EngineError::Api { .. }) => match self.read_path(container, path).await {
                Err(EngineError::Api { message, .. }) if message.contains("not a directory") => {
                    None
                }
                Err(error) => return Err(error),
                Ok(_) => return Err(EngineError::Unexpected(format!("no state of `{path}`"))),
            },
            found => found?,
        };
        Ok(found.map(|found| PathStat {
            name: found.name,
            mode: unix_mode(found.file_mode),
            size: found.size.try_into().unwrap_or_default(),
            link_target: found.link_target,
        }))
    }

    pub(super) async fn read_path(&self, container: &str, path: &str) -> Result<TarStream> {
        let options = DownloadFromContainerOptionsBuilder::new()
            .path(path)
            .build();
        let mut chunks = Box::pin(
            self.docker
                .download_from_container(container, Some(options)),
        );
        // The first chunk tells whether there will be any.
        let first = chunks
            .next()
            .await
            .transpose()
            .map_err(|error| self.error(error))?;
        let first = stream::iter(first.map(Ok::<Bytes, std::io::Error>));
        let rest = chunks.map_err(std::io::Error::other);
        Ok(Box::pin(StreamReader::new(first.chain(rest))))
    }

    pub(super) async fn write_path(
        &self,
        container: &str,
        path: &str,
        tar: ByteStream,
    ) -> Result<()> {
        let body = bollard::body_try_stream(tar);
        let options = UploadToContainerOptionsBuilder::new().path(path).build();
        let written = self
            .docker
            .upload_to_container(container, Some(options), body)
            .await;
        written.map_err(|error| self.error(error))
    }
}

/// Unix `st_mode` from Go's `os.FileMode`, which has bits of its own for all but permissions.
fn unix_mode(go: u32) -> u32 {
    const DIR: u32 = 1 << 31;
    const SYMLINK: u32 = 1 << 27;
    const DEVICE: u32 = 1 << 26;
    const NAMED_PIPE: u32 = 1 << 25;
    const SOCKET: u32 = 1 << 24;
    const SETUID: u32 = 1 << 23;
    const SETGID: u32 = 1 << 22;
    const CHAR_DEVICE: u32 = 1 << 21;
    const STICKY: u32 = 1 << 20;
    let has = |bit: u32| go & bit != 0;
    let kind = if has(DIR) {
        0o040_000
    } else if has(SYMLINK) {
        0o120_000
    } else if has(DEVICE) && has(CHAR_DEVICE) {
        0o020_000
    } else if has(DEVICE) {
        0o060_000
    } else if has(NAMED_PIPE) {
        0o010_000
    } else if has(SOCKET) {
        0o140_000
    } else {
        0o100_000
    };
    let bits = [(SETUID, 0o4000), (SETGID, 0o2000), (STICKY, 0o1000)];
    let special = bits
        .iter()
        .filter(|(go, _)| has(*go))
        .map(|(_, unix)| unix)
        .sum::<u32>();
    kind | special | (go & 0o777)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_modes_of_go() {
        for (go, unix) in [
            (0o644, 0o100_644),
            (1 << 31 | 0o755, 0o040_755),
            (1 << 31 | 1 << 20 | 0o777, 0o041_777),
            (1 << 27 | 0o777, 0o120_777),
            (1 << 26 | 1 << 21 | 0o666, 0o020_666),
            (1 << 26 | 0o660, 0o060_660),
            (1 << 25 | 0o600, 0o010_600),
            (1 << 24 | 0o600, 0o140_600),
            (1 << 23 | 0o755, 0o104_755),
            (1 << 22 | 0o755, 0o102_755),
        ] {
            assert_eq!(unix_mode(go), unix, "{go:o}");
        }
    }
}
