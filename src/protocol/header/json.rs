//! The JSON form of a header.
