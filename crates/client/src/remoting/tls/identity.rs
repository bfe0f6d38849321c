//! Who we are, for servers that ask.

use super::Unusable;
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Our certificate with its key, if there is one, and whether the server of a connection has asked for it.
#[derive(Debug)]
pub(super) struct Identity {
    own: Option<Arc<CertifiedKey>>,
    asked: AtomicBool,
}

impl Identity {
    pub(super) fn new(
        cert: Option<Vec<u8>>,
        key: Option<Vec<u8>>,
        provider: &CryptoProvider,
    ) -> Result<Self, Unusable> {
        let own = match (cert, key) {
            (None, None) => None,
            (Some(_), None) => return Err(("tls.key", String::from("must be given together with tls.cert"))),
            (None, Some(_)) => return Err(("tls.cert", String::from("must be given together with tls.key"))),
            (Some(cert), Some(key)) => Some(Arc::new(certified(&cert, &key, provider)?)),
        };
        Ok(Self { own, asked: AtomicBool::new(false) })
    }

    /// The same for another connection, whose server has not asked yet.
    pub(super) fn again(&self) -> Self {
        Self { own: self.own.clone(), asked: AtomicBool::new(false) }
    }

    /// Whether we have a certificate.
    pub(super) fn is_some(&self) -> bool {
        self.own.is_some()
    }

    /// Whether the server has asked for a certificate that we do not have.
    pub(super) fn is_missed(&self) -> bool {
        self.own.is_none() && self.asked.load(Ordering::Relaxed)
    }
}

impl ResolvesClientCert for Identity {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        self.own.clone()
    }

    fn has_certs(&self) -> bool {
        // Also without any: we want to hear of it.
        true
    }
}

fn certified(cert: &[u8], key: &[u8], provider: &CryptoProvider) -> Result<CertifiedKey, Unusable> {
    let chain = certificates("tls.cert", cert)?;
    if String::from_utf8_lossy(key).contains("ENCRYPTED") {
        let problem = "is encrypted with a passphrase: decrypt it where it is read (openssl pkey -in key.pem)";
        return Err(("tls.key", String::from(problem)));
    }
    // What exactly is wrong with a key is told to nobody: it may quote it.
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| {
        ("tls.key", String::from("holds no private key as PEM (-----BEGIN PRIVATE KEY-----, of PKCS #8, RSA or EC)"))
    })?;
    CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => ("tls.key", String::from("is not the key of tls.cert")),
        _ => ("tls.key", String::from("is of a kind that is not supported: RSA, ECDSA (P-256, P-384) and Ed25519 are")),
    })
}

/// All certificates of a text; at least one.
pub(super) fn certificates(field: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        _ => Err((field, String::from("holds no certificate as PEM (-----BEGIN CERTIFICATE-----)"))),
    }
}
