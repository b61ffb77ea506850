//! What a build attests of itself when it is asked to.

/// Attestations of a result.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attest {
    pub provenance: Option<Provenance>,
}

/// How a result came to be, as SLSA provenance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    pub detail: Detail,
    /// The URI of whoever built, as CI names itself; may be empty.
    pub builder_id: String,
    /// Whether it is left out, without a word, where the result cannot carry it.
    pub inline_only: bool,
}

/// How much a provenance tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Nothing that a build argument says.
    Min,
    /// Build arguments, labels and the target too.
    Max,
}
