//! Who may do what.

pub(crate) mod acl;
pub(crate) mod rights;
