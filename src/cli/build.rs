//! `bowline build`: carries a request out.

use std::ffi::OsString;
use std::sync::Arc;

use super::args::Global;
use super::connect::{ended, prepare};
use super::environment::Environment;
use super::gc;
use super::last;
use super::result::Outcome;
use super::session::{BuildResult, Session};
use crate::build::Keep;
use crate::request::BuildRequest;
use crate::run;

/// Connects to the engine and builds; `words` are the command line that asks for the same.
pub(super) async fn build(
    request: &BuildRequest,
    words: &[OsString],
    global: &Global,
    environment: &Environment,
    session: Session,
) -> BuildResult {
    let (recipe, mut around) = prepare(request, global, environment, session).await?;
    let keep =
        (request.keep_failed > 0 && request.platforms.len() < 2).then(|| Arc::new(Keep::default()));
    around.keep.clone_from(&keep);
    let built = match run::build(request, &recipe, &around).await {
        Ok(built) => built,
        Err(why) => {
            let kept = keep.and_then(|keep| keep.take());
            let mut said = ended(why);
            if let Some(kept) = kept {
                said.extend(last::keep(request, words, &recipe, &around, kept).await);
            }
            return Err(said);
        }
    };
    gc::start(global, environment);
    Ok(Outcome {
        image: built.image,
        config_digest: built.config_digest,
        digest: built.digest,
        described: built.described,
        names: built.names,
        code: 0,
        facts: built.facts,
    })
}
