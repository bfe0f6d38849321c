//! Signatures of requests: ACL 1.0, Alibaba Cloud and 5.x authentication share one algorithm.

use std::fmt;

use super::command::Command;

/// An account. `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    /// Account name, sent in the clear.
    pub(crate) access_key: String,
    /// Never sent.
    pub(crate) secret_key: String,
    /// Token of temporary credentials.
    pub(crate) security_token: Option<String>,
    /// `OnsChannel`, e.g. `ALIYUN`: only when the user asks for it.
    pub(crate) channel: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key", &self.access_key)
            .field("channel", &self.channel)
            .finish_non_exhaustive()
    }
}

/// Signs a request, last of all: every field it has then is part of the content. Signing again replaces.
pub(crate) fn sign(command: &mut Command, credentials: &Credentials) {
    let _ = (command, credentials);
    todo!()
}
