//! What a round is given: `name=value` pairs of one line.

use std::collections::HashMap;
use std::str::FromStr;
use std::time::Duration;

use crate::Failure;

/// The pairs.
pub(crate) struct Given(HashMap<String, String>);

impl Given {
    pub(crate) fn parse(line: &str) -> Self {
        let pairs = line.split_whitespace().filter_map(|pair| pair.split_once('='));
        Self(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(crate) fn text(&self, name: &str) -> Result<&str, Failure> {
        self.0.get(name).map(String::as_str).ok_or_else(|| format!("`{name}` is missing").into())
    }

    pub(crate) fn number<T: FromStr>(&self, name: &str) -> Result<T, Failure> {
        let text = self.text(name)?;
        text.parse().map_err(|_| format!("`{name}` cannot be {text}").into())
    }

    /// How long a round lasts.
    pub(crate) fn time(&self) -> Result<Duration, Failure> {
        Ok(Duration::from_secs_f64(self.number("seconds")?))
    }
}
