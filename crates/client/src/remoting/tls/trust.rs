//! Whom we trust: the authorities of the user, those of the system, or anybody.

use super::identity::certificates;
use super::{Trouble, Unusable};
use crate::env::files;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::path::Path;
use std::sync::Arc;

/// Whoever has a certificate of one of these authorities.
pub(super) fn only(ca: &[Vec<u8>], provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, Unusable> {
    let mut roots = RootCertStore::empty();
    for pem in ca {
        for certificate in certificates("tls.ca", pem)? {
            roots.add(certificate).map_err(|error| {
                ("tls.ca", format!("holds a certificate that cannot be the one of an authority ({error})"))
            })?;
        }
    }
    verifier(roots, provider).map_err(|error| ("tls.ca", error.to_string()))
}

/// Whoever has a certificate of one of the authorities that this system knows, or that the variable of Node.js names.
pub(super) fn system(provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, Trouble> {
    const ADVICE: &str = "give tls.ca, or install the system's authorities (package ca-certificates)";
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if let Some(file) = std::env::var_os("NODE_EXTRA_CA_CERTS").filter(|file| !file.is_empty()) {
        // As Node.js itself does, which warns of a file that cannot be read, and goes on.
        let extra = files::read(Path::new(&file)).ok().flatten().unwrap_or_default();
        roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&extra).flatten());
    }
    if roots.is_empty() {
        let why = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
        return Err(Trouble::new(format!("this system knows no authority that could be trusted{why}: {ADVICE}")));
    }
    verifier(roots, provider).map_err(|error| Trouble::new(format!("{error}: {ADVICE}")))
}

fn verifier(
    roots: RootCertStore,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, rustls::client::VerifierBuilderError> {
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build()?;
    Ok(verifier)
}

/// Anybody at all.
pub(super) fn anybody(provider: &CryptoProvider) -> Arc<dyn ServerCertVerifier> {
    Arc::new(Anybody(provider.signature_verification_algorithms.supported_schemes()))
}

/// Checks nothing: nor what the server has signed, as that shows only that it has the key of a certificate that means nothing, and old
/// certificates (X.509 version 1, which is what many instructions for RocketMQ make) could not be read for it.
#[derive(Debug)]
struct Anybody(Vec<SignatureScheme>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.clone()
    }
}
