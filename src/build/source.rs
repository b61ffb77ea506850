//! placeholder
pub struct ContextFiles;
