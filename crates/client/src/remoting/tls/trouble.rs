//! What is wrong with a handshake, in words that say what to do.

use super::identity::Identity;
use crate::env;
use crate::error::{ClientError, Code};
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error};
use std::fmt;
use std::io;
use std::time::Duration;

/// Why there is no TLS with a server: the rest of a sentence that begins with its address.
#[derive(Debug)]
pub(in super::super) struct Trouble {
    text: String,
    /// It may be gone at the next attempt: what listens there may be about to start, or to end.
    passes: bool,
}

impl Trouble {
    /// One that time does not mend.
    pub(super) fn new(text: String) -> Self {
        Self { text, passes: false }
    }

    /// One that may pass.
    pub(super) fn passing(text: String) -> Self {
        Self { text, passes: true }
    }

    /// A host that no certificate could be for.
    pub(super) fn nameless(host: &str) -> Self {
        Self::new(format!("a certificate cannot be for the host {host:?}: give tls.servername the name that it is for"))
    }

    /// A handshake that takes too long.
    pub(in super::super) fn late(limit: Duration) -> Self {
        Self::passing(format!(
            "no handshake within {} ms: does this port take connections with TLS?",
            limit.as_millis()
        ))
    }

    /// What a failure of the library, or of the socket below it, means.
    pub(super) fn of(error: &io::Error, identity: &Identity) -> Self {
        let error = match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(error) => error,
            None if identity.is_missed() => return Self::passing(format!("it closed the connection: {}", missing())),
            None if error.kind() == io::ErrorKind::UnexpectedEof || error.kind() == io::ErrorKind::ConnectionReset => {
                return Self::passing(String::from(
                    "it closed the connection in the handshake: is it a RocketMQ port, and does it take connections with TLS \
                     (tls.server.mode=permissive or enforcing)?",
                ));
            }
            None => return Self::passing(format!("the handshake failed: {error}")),
        };
        Self::new(match error {
            Error::InvalidCertificate(error) => certificate(error),
            Error::AlertReceived(alert) => refusal(*alert, identity),
            Error::InvalidMessage(_) => {
                String::from("it does not speak TLS: is it a RocketMQ port, and does it take connections with TLS?")
            }
            Error::PeerIncompatible(why) => {
                format!("it speaks no TLS that this client speaks, which is 1.2 and 1.3 ({why:?})")
            }
            error => format!("the handshake failed: {error}"),
        })
    }

    /// What the user sees of it.
    pub(in super::super) fn with(&self, address: &str) -> ClientError {
        ClientError::new(Code::Tls, format!("no TLS with {address}: {self}"))
            .with_address(address)
            .with_retriable(self.passes)
    }

    /// The trouble behind a failed read, if it is one.
    pub(in super::super) fn behind(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Trouble {}

impl From<Trouble> for io::Error {
    fn from(trouble: Trouble) -> Self {
        Self::new(io::ErrorKind::InvalidData, trouble)
    }
}

fn certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::UnknownIssuer => String::from(
            "its certificate is not signed by an authority that is trusted: give tls.ca the certificate (PEM) of the one that has signed \
             it",
        ),
        CertificateError::BadSignature => String::from(
            "its certificate is not signed by the authority that is trusted, but by another one of that name: is tls.ca the one of today?",
        ),
        CertificateError::Expired => String::from("its certificate has expired: whoever runs it must renew it"),
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("its certificate has expired, at {}: whoever runs it must renew it", utc(*not_after))
        }
        CertificateError::NotValidYet => String::from("its certificate is not valid yet: are the clocks right?"),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("its certificate is not valid before {}: are the clocks right?", utc(*not_before))
        }
        CertificateError::NotValidForNameContext { expected, presented } if presented.is_empty() => format!(
            "its certificate names no host (it has no subjectAltName), and should be for {}: make another one",
            expected.to_str()
        ),
        CertificateError::NotValidForNameContext { expected, presented } => {
            let names: Vec<_> = presented.iter().map(|name| plain(name)).collect();
            format!(
                "its certificate is for {}, not for {}: give tls.servername one of its names",
                names.join(", "),
                expected.to_str()
            )
        }
        CertificateError::NotValidForName => {
            String::from("its certificate is for another host: give tls.servername its name")
        }
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => String::from(
            "its certificate is the one of an authority (CA:TRUE) and cannot be the one of a server: make one that is signed by it",
        ),
        CertificateError::Other(other) if other.to_string().contains("UnsupportedCertVersion") => String::from(
            "its certificate is of version 1 of X.509, which cannot name its host: make another one, with a subjectAltName",
        ),
        error => format!("its certificate cannot be verified ({error})"),
    }
}

fn refusal(alert: AlertDescription, identity: &Identity) -> String {
    use AlertDescription as Alert;
    match alert {
        Alert::ProtocolVersion | Alert::InsufficientSecurity => {
            format!("it speaks no TLS that this client speaks, which is 1.2 and 1.3 (it said {alert:?})")
        }
        Alert::UnrecognisedName => {
            format!("it knows nothing of the name it was asked for: is tls.servername right? (It said {alert:?})")
        }
        _ if identity.is_missed() || (alert == Alert::CertificateRequired && !identity.is_some()) => {
            format!("it said {alert:?}: {}", missing())
        }
        Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateExpired
        | Alert::CertificateUnknown
        | Alert::UnknownCA
        | Alert::CertificateRequired
        | Alert::AccessDenied
            if identity.is_some() =>
        {
            format!(
                "it does not accept the certificate of this client, tls.cert (it said {alert:?}): is it signed by an authority that the \
                 server trusts, and in its time?"
            )
        }
        _ => format!("it ended the handshake (it said {alert:?})"),
    }
}

fn missing() -> &'static str {
    "it asks for a certificate of its clients: give tls.cert and tls.key"
}

/// What the library calls `DnsName("broker")` is a name for people.
fn plain(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(name).trim_matches('"')
}

fn utc(time: UnixTime) -> String {
    env::utc(i64::try_from(time.as_secs()).unwrap_or(i64::MAX / 1000).saturating_mul(1000))
}
