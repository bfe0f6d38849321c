//! The two forms of a header.

pub(super) mod binary;
pub(super) mod json;
