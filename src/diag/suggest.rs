//! Near misses: the word that was probably meant.

/// The candidate nearest to `word` by edit distance, when it is near enough to be
/// what was meant. Case does not count; an equal candidate is no suggestion.
#[must_use]
pub fn suggest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    // Two edits make any short word out of any other.
    let limit = match lower.chars().count() {
        0 | 1 => 0,
        2..=5 => 1,
        _ => 2,
    };
    candidates
        .into_iter()
        .filter(|candidate| *candidate != word)
        .map(|candidate| {
            (
                strsim::osa_distance(&lower, &candidate.to_lowercase()),
                candidate,
            )
        })
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::suggest;

    #[test]
    fn the_nearest_wins() {
        let names = ["RUN", "FROM", "COPY", "ENTRYPOINT", "ENV"];
        for (word, expected) in [
            ("RUNN", Some("RUN")),
            ("FRMO", Some("FROM")),
            ("copi", Some("COPY")),
            ("ENTRYPIONT", Some("ENTRYPOINT")),
            ("ENTRY", None),
            ("EXECUTE", None),
            ("RNU", Some("RUN")),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(suggest(word, names), expected, "{word}");
        }
    }

    #[test]
    fn the_word_itself_is_no_suggestion() {
        assert_eq!(suggest("link", ["link"]), None);
        assert_eq!(suggest("LINK", ["link"]), Some("link"));
    }
}
