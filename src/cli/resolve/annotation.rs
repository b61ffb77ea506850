//! Annotations, from `--annotation` and from options of outputs.

use super::Result;
use crate::diag::Diagnostic;
use crate::image::Platform;
use crate::request::{Annotation, AnnotationPlace};

/// `[PLACE[PLATFORM][,PLACE…]:]KEY=VALUE`, of the manifest when no place is named.
pub(super) fn flags(values: &[String]) -> Result<Vec<Annotation>> {
    let mut annotations = Vec::new();
    for text in values {
        let invalid = |why: &str| {
            Diagnostic::error(format!("invalid `--annotation {text}`: {why}"))
                .with_hint("write `KEY=VALUE`, or `index,manifest[linux/amd64]:KEY=VALUE`")
        };
        let (name, value) = text
            .split_once('=')
            .ok_or_else(|| invalid("it has no value"))?;
        let places = name.split_once(':').and_then(|(places, key)| {
            let places: Option<Vec<_>> = places.split(',').map(place).collect();
            Some((places?, key))
        });
        let (places, key) = places.unwrap_or((vec![(AnnotationPlace::Manifest, None)], name));
        if key.is_empty() {
            return Err(invalid("it has no name"));
        }
        annotations.extend(places.into_iter().map(|(place, platform)| Annotation {
            place,
            platform,
            key: key.to_owned(),
            value: value.to_owned(),
        }));
    }
    Ok(annotations)
}

/// `annotation[-PLACE[[PLATFORM]]].KEY=VALUE`
pub(super) fn option(name: &str, value: &str) -> Option<Annotation> {
    let rest = name.strip_prefix("annotation")?;
    let (place_text, key) = rest.split_once('.')?;
    let (place, platform) = match place_text {
        "" => (AnnotationPlace::Manifest, None),
        text if text.starts_with('[') => place(&format!("manifest{text}"))?,
        text => place(text.strip_prefix('-')?)?,
    };
    (!key.is_empty()).then(|| Annotation {
        place,
        platform,
        key: key.to_owned(),
        value: value.to_owned(),
    })
}

fn place(text: &str) -> Option<(AnnotationPlace, Option<Platform>)> {
    let (name, platform) = match text.strip_suffix(']') {
        Some(text) => {
            let (name, platform) = text.split_once('[')?;
            let here = Platform::new("linux", std::env::consts::ARCH, None);
            (name, Some(Platform::parse(platform, &here).ok()?))
        }
        None => (text, None),
    };
    let place = match name {
        "manifest" => AnnotationPlace::Manifest,
        "manifest-descriptor" => AnnotationPlace::ManifestDescriptor,
        "index" => AnnotationPlace::Index,
        "index-descriptor" => AnnotationPlace::IndexDescriptor,
        _ => return None,
    };
    Some((place, platform))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(annotation: &Annotation) -> String {
        let platform = annotation.platform.as_ref();
        format!(
            "{:?}{} {}={}",
            annotation.place,
            platform.map_or(String::new(), |p| format!("[{p}]")),
            annotation.key,
            annotation.value
        )
    }

    #[test]
    fn reads_flags_and_options() {
        for (text, expected) in [
            ("a=b", vec!["Manifest a=b"]),
            ("a.b/c=d=e", vec!["Manifest a.b/c=d=e"]),
            ("a:b=c", vec!["Manifest a:b=c"]),
            ("index:a=b", vec!["Index a=b"]),
            (
                "index,manifest-descriptor[linux/arm64]:a=b",
                vec!["Index a=b", "ManifestDescriptor[linux/arm64] a=b"],
            ),
        ] {
            let found: Vec<_> = flags(&[text.into()]).unwrap().iter().map(shown).collect();
            assert_eq!(found, expected, "{text}");
        }
        assert!(flags(&["a".into()]).is_err());
        assert!(flags(&["index:=b".into()]).is_err());
        for (name, expected) in [
            ("annotation.a.b", Some("Manifest a.b=v")),
            ("annotation-index.a", Some("Index a=v")),
            (
                "annotation[linux/amd64].a",
                Some("Manifest[linux/amd64] a=v"),
            ),
            (
                "annotation-manifest-descriptor[linux/amd64].a",
                Some("ManifestDescriptor[linux/amd64] a=v"),
            ),
            ("annotation-nowhere.a", None),
            ("annotation", None),
        ] {
            let found = option(name, "v").as_ref().map(shown);
            assert_eq!(found.as_deref(), expected, "{name}");
        }
    }
}
