//! TLS: whom we trust, who we are, and the handshake of a new connection. `rustls` does the work; nothing here knows of frames.

mod identity;
mod stream;
mod trouble;
mod trust;

use crate::env;
use identity::Identity;
use rustls::ClientConfig;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::ServerName;
use std::sync::Arc;
use stream::Session;
pub(super) use stream::{Reader, Writer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
pub(super) use trouble::Trouble;

/// What a user says of TLS.
#[derive(Default)]
pub struct TlsSettings {
    /// The authorities to trust, as PEM: instead of those of the system, unless there is none.
    pub ca: Vec<Vec<u8>>,
    /// Our certificate, and those between it and its authority, as PEM.
    pub cert: Option<Vec<u8>>,
    /// The private key of our certificate, as PEM.
    pub key: Option<Vec<u8>>,
    /// The name that the certificates of all servers must have: instead of the host that was connected to.
    pub servername: Option<String>,
    /// Whether any certificate will do.
    pub trusts_anybody: bool,
}

impl std::fmt::Debug for TlsSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsSettings").field("servername", &self.servername).finish_non_exhaustive()
    }
}

/// An unusable setting: which, and what is wrong with it. Never a part of a key.
pub type Unusable = (&'static str, String);

/// How to speak TLS with every server of a client; clones share it.
#[derive(Clone)]
pub struct Tls(Arc<Inner>);

struct Inner {
    servername: Option<ServerName<'static>>,
    /// None: the system's authorities, which are read with the first connection, as that takes a while.
    ca: Option<Arc<dyn ServerCertVerifier>>,
    identity: Identity,
    provider: Arc<CryptoProvider>,
    config: OnceCell<Arc<ClientConfig>>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("servername", &self.0.servername).finish_non_exhaustive()
    }
}

/// A secured connection in its two halves.
pub(super) type Halves<R, W> = (Reader<R>, Writer<W>);

impl Tls {
    /// Checks all that can be known before anybody is asked.
    pub fn new(settings: TlsSettings) -> Result<Self, Unusable> {
        let provider = Arc::new(ring::default_provider());
        let servername = match settings.servername {
            None => None,
            Some(name) => Some(ServerName::try_from(name).map_err(|_| {
                let problem = "must be the name of a host or an IP address, without a port";
                ("tls.servername", String::from(problem))
            })?),
        };
        let ca = match (settings.trusts_anybody, settings.ca.is_empty()) {
            (true, true) => Some(trust::anybody(&provider)),
            (true, false) => {
                let problem =
                    "is of no use with rejectUnauthorized: false, which trusts anybody: leave one of them out";
                return Err(("tls.ca", String::from(problem)));
            }
            (false, false) => Some(trust::only(&settings.ca, &provider)?),
            (false, true) => None,
        };
        let identity = Identity::new(settings.cert, settings.key, &provider)?;
        Ok(Self(Arc::new(Inner { servername, ca, identity, provider, config: OnceCell::new() })))
    }

    /// Does the handshake with the server at `address`, over this connection in its two halves.
    pub(super) async fn secure<R, W>(&self, address: &str, reader: R, writer: W) -> Result<Halves<R, W>, Trouble>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let name = self.name(address)?;
        let config = self.0.config.get_or_try_init(|| self.config()).await?;
        // Of this connection: whether its server has asked who we are.
        let identity = Arc::new(self.0.identity.again());
        let mut config = ClientConfig::clone(config);
        config.client_auth_cert_resolver = Arc::clone(&identity) as _;
        let connector = TlsConnector::from(Arc::new(config));
        let connecting = connector.connect_with(name, tokio::io::join(reader, writer), |session| {
            session.set_buffer_limit(Some(stream::UNSENT));
        });
        let stream = connecting.await.map_err(|error| Trouble::of(&error, &identity))?;
        let (socket, session) = stream.into_inner();
        let (reader, writer) = socket.into_inner();
        Ok(Session::split(identity, session, reader, writer))
    }

    /// Whose certificate the server at `address` must show.
    fn name(&self, address: &str) -> Result<ServerName<'static>, Trouble> {
        if let Some(name) = &self.0.servername {
            return Ok(name.clone());
        }
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        ServerName::try_from(host.to_owned()).map_err(|_| Trouble::nameless(host))
    }

    async fn config(&self) -> Result<Arc<ClientConfig>, Trouble> {
        let inner = &*self.0;
        let verifier = if let Some(verifier) = &inner.ca {
            Arc::clone(verifier)
        } else {
            let provider = Arc::clone(&inner.provider);
            let read = env::spawn_blocking(move || trust::system(&provider));
            read.await.map_err(|_| Trouble::passing(String::from("the system's authorities could not be read")))??
        };
        let builder = ClientConfig::builder_with_provider(Arc::clone(&inner.provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| Trouble::new(error.to_string()))?
            // Not dangerous by itself: `trust` says what each of them checks.
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        Ok(Arc::new(builder.with_client_cert_resolver(Arc::new(inner.identity.again()))))
    }
}

#[cfg(test)]
mod tests;
