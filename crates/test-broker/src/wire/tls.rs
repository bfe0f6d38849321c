//! TLS on the ports of all servers: as real ones, they tell a handshake by its first byte.

use std::io::Cursor;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio_rustls::TlsAcceptor;

use crate::env::Socket;
use crate::error::{Code, Refused};

/// Begins every handshake, and no frame that is shorter than 350 MB.
const HANDSHAKE: u8 = 0x16;

/// How servers speak TLS; all texts are PEM.
#[derive(Debug, Clone)]
pub struct ServerTls {
    /// The certificate of all servers, and those between it and its authority.
    pub cert: String,
    /// Its private key.
    pub key: String,
    /// The authority of the certificates that clients must show. `None`: they need none.
    pub client_ca: Option<String>,
    /// Whether connections without TLS are served as well.
    pub permissive: bool,
}

/// A client's connection, whatever it is made of.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// The doorman of a server that speaks TLS.
#[derive(Clone)]
pub(crate) struct Doorman {
    acceptor: TlsAcceptor,
    permissive: bool,
}

impl std::fmt::Debug for Doorman {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Doorman").field("permissive", &self.permissive).finish_non_exhaustive()
    }
}

impl Doorman {
    pub(crate) fn new(tls: &ServerTls) -> Result<Self, Refused> {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable("tls", &error))?;
        let builder = match &tls.client_ca {
            None => builder.with_no_client_auth(),
            Some(ca) => {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(certificates("tls.clientCa", ca)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.with_client_cert_verifier(verifier.map_err(|error| unusable("tls.clientCa", &error))?)
            }
        };
        let key = PrivateKeyDer::from_pem_slice(tls.key.as_bytes())
            .map_err(|_| unusable("tls.key", &"it holds no private key as PEM"))?;
        let config = builder
            .with_single_cert(certificates("tls.cert", &tls.cert)?, key)
            .map_err(|error| unusable("tls.cert, tls.key", &error))?;
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), permissive: tls.permissive })
    }

    /// Lets a connection in, if it is one for here.
    pub(crate) async fn admit(&self, mut socket: Socket) -> Option<Box<dyn Stream>> {
        let first = socket.read_u8().await.ok()?;
        let (reader, writer) = tokio::io::split(socket);
        let stream = tokio::io::join(Cursor::new([first]).chain(reader), writer);
        if first != HANDSHAKE {
            return self.permissive.then(|| Box::new(stream) as _);
        }
        Some(Box::new(self.acceptor.accept(stream).await.ok()?))
    }
}

fn certificates(field: &str, pem: &str) -> Result<Vec<CertificateDer<'static>>, Refused> {
    match CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>() {
        Ok(all) if !all.is_empty() => Ok(all),
        _ => Err(unusable(field, &"it holds no certificate as PEM")),
    }
}

fn unusable(field: &str, why: &dyn std::fmt::Display) -> Refused {
    Refused::new(Code::InvalidArgument, format!("{field}: {why}"))
}
