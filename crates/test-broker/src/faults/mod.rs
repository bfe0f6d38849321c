//! What goes wrong on purpose, and what is noted of the requests that come.

pub(crate) mod request_names;
pub(crate) mod requests_seen;
pub(crate) mod rules;
