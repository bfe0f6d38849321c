//! The table of answers: what a broker's answer to a send means for the messages in it.

use super::masters::Unsent;
use crate::error::{ClientError, Code};
use crate::protocol::code::response;
use crate::protocol::{Refusal, SendReceipt};

/// What an attempt has come to.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Stored, all of it.
    Stored(SendReceipt),
    /// Nothing was stored and the frame was perhaps not even written: the same again later.
    NotStored {
        /// What happened.
        error: ClientError,
        /// Whether the frame was written.
        wired: bool,
    },
    /// Nobody knows: the same again later, while the lane waits.
    Unknown {
        /// What happened.
        error: ClientError,
        /// A code 1, which is tried again a few times only.
        system_error: bool,
    },
    /// Nothing was stored: batches are not taken here at all.
    BatchesRefused(ClientError),
    /// Nothing was stored: a message is too large or otherwise illegal, or batches are not taken here.
    Illegal(ClientError),
    /// Refused for good.
    Refused {
        /// What the broker said.
        error: ClientError,
        /// Whether it is certain that nothing was stored.
        certain: bool,
        /// Whether the frame was written.
        wired: bool,
    },
}

/// Reads the table; `batch`: the request was a batch (320).
pub(super) fn verdict(answer: Result<SendReceipt, Unsent>, batch: bool) -> Verdict {
    match answer {
        Ok(receipt) => Verdict::Stored(receipt),
        // A new connection is greeted with a heartbeat, and that was refused.
        Err(Unsent::NotSent(error)) if error.code() == Code::AccessDenied => {
            Verdict::Refused { error, certain: true, wired: false }
        }
        Err(Unsent::NotSent(error)) => Verdict::NotStored { error, wired: false },
        Err(Unsent::Unanswered(error)) => Verdict::Unknown { error, system_error: false },
        Err(Unsent::Refused { refusal, error }) => refused(&refusal, error, batch),
    }
}

fn refused(refusal: &Refusal, error: ClientError, batch: bool) -> Verdict {
    let remark = refusal.remark.as_str();
    match refusal.code {
        response::SYSTEM_BUSY | response::SERVICE_NOT_AVAILABLE | response::FLOW_CONTROL | response::GO_AWAY => {
            Verdict::NotStored { error, wired: true }
        }
        // 5.5.0 says 2.
        response::SYSTEM_ERROR if remark.contains("[PC_SYNCHRONIZED]") => Verdict::NotStored { error, wired: true },
        response::REQUEST_CODE_NOT_SUPPORTED if batch => Verdict::BatchesRefused(error),
        // Older Alibaba Cloud instances.
        response::SYSTEM_ERROR if batch && remark.contains("batch send") && remark.contains("not support") => {
            Verdict::BatchesRefused(error)
        }
        response::MESSAGE_ILLEGAL => Verdict::Illegal(error),
        // 5.5.0, of a batch.
        response::SYSTEM_ERROR if remark.contains("message body size exceeded") => Verdict::Illegal(error),
        response::REQUEST_CODE_NOT_SUPPORTED
        | response::NO_PERMISSION
        | response::TOPIC_NOT_EXIST
        | response::SUBSCRIPTION_GROUP_NOT_EXIST
        | response::INVALID_PARAMETER => Verdict::Refused { error, certain: true, wired: true },
        response::SYSTEM_ERROR if refusal.is_access_denied() => Verdict::Refused { error, certain: true, wired: true },
        response::SYSTEM_ERROR => Verdict::Unknown { error, system_error: true },
        // Codes that no broker is known to answer a send with: not tried again, and nothing is claimed about them.
        _ => Verdict::Refused { error, certain: false, wired: true },
    }
}
