//! How a result came to be, as SLSA provenance in an in-toto statement: BuildKit's documents, with
//! what bowline knows. No secret and no path of the client is in them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::image::{Digest, Platform, Reference};
use crate::request::attest::{Detail, Provenance};

/// How the parameters are to be read, by everybody who reads BuildKit's.
const BUILD_TYPE: &str = "https://mobyproject.org/buildkit@v1";
const STATEMENT: &str = "https://in-toto.io/Statement/v0.1";
pub(super) const PREDICATE: &str = "https://slsa.dev/provenance/v0.2";
pub(super) const MEDIA_TYPE: &str = "application/vnd.in-toto+json";

/// What is known of a build for one platform.
#[derive(Debug, Clone)]
pub struct Facts {
    pub platform: Platform,
    /// Images that were built upon or copied from.
    pub materials: Vec<Material>,
    /// The Dockerfile's name.
    pub entry_point: String,
    /// The context, where it has an address.
    pub address: Option<String>,
    /// Build arguments, labels and the target, as frontends name them.
    pub arguments: BTreeMap<String, String>,
    pub id: String,
    /// RFC 3339.
    pub started: String,
    pub finished: String,
}

/// An image that a build took something from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Material {
    pub name: Reference,
    pub platform: Platform,
    pub digest: Digest,
}

impl Facts {
    /// What a metadata file holds: it stays with who wrote the arguments, so they are in it.
    pub fn in_metadata(&self, detail: Detail) -> Value {
        let mut predicate = self.predicate(Detail::Max, "");
        if let (Detail::Min, Some(fields)) = (detail, predicate.as_object_mut()) {
            fields.remove("metadata");
        }
        predicate
    }

    /// The statement about an image.
    pub(super) fn statement(
        &self,
        asked: &Provenance,
        names: &[Reference],
        manifest: &Digest,
    ) -> Value {
        let subject = |name: String| json!({ "name": name, "digest": digests(manifest) });
        let mut subjects: Vec<Value> = names
            .iter()
            .map(|name| subject(package(name, &self.platform)))
            .collect();
        if subjects.is_empty() {
            subjects.push(subject("_".into()));
        }
        json!({
            "_type": STATEMENT,
            "predicateType": PREDICATE,
            "subject": subjects,
            "predicate": self.predicate(asked.detail, &asked.builder_id),
        })
    }

    fn predicate(&self, detail: Detail, builder: &str) -> Value {
        let materials = self.materials.iter().map(|one| {
            json!({ "uri": package(&one.name, &one.platform), "digest": digests(&one.digest) })
        });
        let mut materials: Vec<Value> = materials.collect();
        let mut source = Map::new();
        let mut parameters = Map::new();
        if let Some(address) = &self.address {
            source.insert("uri".into(), json!(address));
            materials.push(json!({ "uri": address }));
        }
        source.insert("entryPoint".into(), json!(self.entry_point));
        parameters.insert("frontend".into(), json!("dockerfile.v0"));
        if detail == Detail::Max && !self.arguments.is_empty() {
            parameters.insert("args".into(), json!(self.arguments));
        }
        if self.address.is_none() {
            let locals = json!([{ "name": "context" }, { "name": "dockerfile" }]);
            parameters.insert("locals".into(), locals);
        }
        json!({
            "builder": { "id": builder },
            "buildType": BUILD_TYPE,
            "materials": materials,
            "invocation": {
                "configSource": source,
                "parameters": parameters,
                "environment": { "platform": self.platform.to_string() },
            },
            "metadata": {
                "buildInvocationID": self.id,
                "buildStartedOn": self.started,
                "buildFinishedOn": self.finished,
                "completeness": {
                    "parameters": detail == Detail::Max,
                    "environment": true,
                    "materials": false,
                },
                "reproducible": false,
            },
        })
    }
}

fn digests(digest: &Digest) -> Value {
    json!({ "sha256": digest.hex() })
}

/// The package URL of an image: `pkg:docker/busybox@latest?platform=linux%2Famd64`.
fn package(name: &Reference, platform: &Platform) -> String {
    let version = name.tag.as_deref().or(name.digest.as_deref());
    let version = version.map_or(String::new(), |version| format!("@{version}"));
    let platform = platform.to_string().replace('/', "%2F");
    format!("pkg:docker/{}{version}?platform={platform}", name.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_tells_build_arguments_only_when_all_is_asked_for() {
        let platform = Platform::new("linux", "amd64", None);
        let facts = Facts {
            platform: platform.clone(),
            materials: vec![Material {
                name: Reference::parse("busybox:latest").unwrap(),
                platform,
                digest: Digest::new("sha256:12"),
            }],
            entry_point: "Dockerfile".into(),
            address: None,
            arguments: [("build-arg:A".to_owned(), "secret".to_owned())].into(),
            id: "i".into(),
            started: "s".into(),
            finished: "f".into(),
        };
        let provenance = |detail| Provenance {
            detail,
            builder_id: "ci".into(),
            inline_only: false,
        };
        let names = [Reference::parse("h:5/app:1").unwrap()];
        let image = Digest::new("sha256:34");
        let min = facts.statement(&provenance(Detail::Min), &names, &image);
        assert_eq!(
            min,
            json!({
                "_type": STATEMENT,
                "predicateType": PREDICATE,
                "subject": [{
                    "name": "pkg:docker/h:5/app@1?platform=linux%2Famd64",
                    "digest": { "sha256": "34" },
                }],
                "predicate": {
                    "builder": { "id": "ci" },
                    "buildType": BUILD_TYPE,
                    "materials": [{
                        "uri": "pkg:docker/busybox@latest?platform=linux%2Famd64",
                        "digest": { "sha256": "12" },
                    }],
                    "invocation": {
                        "configSource": { "entryPoint": "Dockerfile" },
                        "parameters": {
                            "frontend": "dockerfile.v0",
                            "locals": [{ "name": "context" }, { "name": "dockerfile" }],
                        },
                        "environment": { "platform": "linux/amd64" },
                    },
                    "metadata": {
                        "buildInvocationID": "i",
                        "buildStartedOn": "s",
                        "buildFinishedOn": "f",
                        "completeness": {
                            "parameters": false, "environment": true, "materials": false,
                        },
                        "reproducible": false,
                    },
                },
            })
        );
        let max = facts.in_metadata(Detail::Max);
        let whole = facts.statement(&provenance(Detail::Max), &names, &image);
        for predicate in [&whole["predicate"], &max, &facts.in_metadata(Detail::Min)] {
            let arguments = &predicate["invocation"]["parameters"]["args"];
            assert_eq!(arguments, &json!({ "build-arg:A": "secret" }));
        }
    }
}
