//! The name that was probably meant, as BuildKit guesses it.

/// The nearest of `names` at less than three edits; none when `name` is among them.
pub(super) fn nearest<'a>(name: &str, names: &'a [String]) -> Option<&'a str> {
    if names.iter().any(|known| known == name) {
        return None;
    }
    let near = names
        .iter()
        .map(|known| (strsim::levenshtein(name, known), known));
    let near = near.filter(|(distance, _)| *distance < 3);
    near.min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known.as_str())
}
