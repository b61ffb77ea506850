//! The engine's own image store.

use crate::engine::{Engine, ImageStore, LoadRequest, Result};
use crate::image::{ImageConfig, Layer};

/// Makes the image and names it; gives its ID. An image that is there already is only named.
///
/// # Errors
/// When the engine refuses.
pub async fn to_engine(
    engine: &dyn Engine,
    config: ImageConfig,
    layers: Vec<Layer>,
    tags: &[String],
) -> Result<String> {
    if engine.info().store == ImageStore::GraphDriver {
        // There the ID is the digest of the config.
        let id = config.digest();
        if let Some(image) = engine.image(id.as_str()).await? {
            for tag in tags {
                engine.tag(&image.id, tag).await?;
            }
            return Ok(image.id);
        }
    }
    let request = LoadRequest {
        take_names: true,
        below: layers,
        new_layer: None,
        config: Box::new(move |_| config),
        tags: tags.to_vec(),
    };
    engine.load(request).await.map(|loaded| loaded.id)
}
