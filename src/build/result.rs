//! The config of the result: what the plan says, over the layers that were made.

use jiff::Timestamp;

use super::snapshot::Snapshot;
use crate::image::{History, ImageConfig, RootFs};
use crate::plan::Stage;

/// The image config of a stage's result, with the times that BuildKit would give: a layer's item
/// has the time of its layer, any other that of the layer before it, the image that of the last.
/// With an epoch, nothing that this build made is younger than it.
pub fn final_config(stage: &Stage, snapshot: &Snapshot, epoch: Option<i64>) -> ImageConfig {
    let mut config = stage.config.clone();
    config.rootfs = RootFs {
        diff_ids: snapshot
            .layers
            .iter()
            .map(|layer| layer.diff_id.clone())
            .collect(),
        ..RootFs::default()
    };
    // Only a debugger adds layers that no instruction made.
    let planned = config.history.iter().filter(|item| !item.empty_layer);
    let by_hand = snapshot.layers.len().saturating_sub(planned.count());
    config
        .history
        .extend(std::iter::repeat_n(by_hand_item(), by_hand));
    let epoch = epoch.and_then(|secs| Timestamp::from_second(secs).ok());
    // What has a time already is the base image's.
    let made: Vec<bool> = config
        .history
        .iter()
        .map(|item| item.created.is_none())
        .collect();
    let mut layers = snapshot.layers.iter();
    for item in config.history.iter_mut().filter(|item| !item.empty_layer) {
        let layer = layers.next();
        if item.created.is_none() {
            item.created = layer.and_then(|layer| layer.created.clone());
        }
    }
    fill_times(&mut config.history);
    if config.created.is_none() {
        config.created = config
            .history
            .iter()
            .rev()
            .find_map(|item| item.created.clone());
    }
    if let Some(epoch) = epoch {
        let items = config.history.iter_mut().zip(made);
        let items = items
            .filter(|(_, made)| *made)
            .map(|(item, _)| &mut item.created);
        for created in items.chain([&mut config.created]) {
            clamp(created, epoch);
        }
    }
    config
}

fn clamp(created: &mut Option<String>, epoch: Timestamp) {
    let time = created
        .as_deref()
        .and_then(|text| text.parse::<Timestamp>().ok());
    if time.is_none_or(|time| time > epoch) {
        *created = Some(epoch.to_string());
    }
}

fn by_hand_item() -> History {
    History {
        created_by: "changed by hand in bowline debug".into(),
        ..History::default()
    }
}

/// Items without a time get that of the layer before them, the first of this build that of the
/// first new layer.
fn fill_times(history: &mut [History]) {
    let mut created = None;
    let mut missing = false;
    for item in history.iter() {
        match &item.created {
            Some(time) => {
                created = Some(time.clone());
                if missing {
                    break;
                }
            }
            None => missing = true,
        }
    }
    let mut missing = false;
    for item in history.iter_mut() {
        match &item.created {
            Some(time) if missing => created = Some(time.clone()),
            Some(_) => {}
            None => {
                missing = true;
                item.created.clone_from(&created);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_without_a_time_take_that_of_a_layer() {
        let item = |created: Option<&str>| History {
            created: created.map(str::to_owned),
            ..History::default()
        };
        let mut history = [
            item(Some("base")),
            item(None),
            item(Some("one")),
            item(None),
        ];
        fill_times(&mut history);
        let times: Vec<_> = history
            .iter()
            .map(|h| h.created.as_deref().unwrap())
            .collect();
        assert_eq!(times, ["base", "one", "one", "one"]);
    }
}
