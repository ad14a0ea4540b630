//! A certificate authority for one test.

use std::sync::Arc;

use flotilla_link::fleet_client;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ED25519};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ClientConfig, ServerConfig};

/// What precedes the 32 bytes of an Ed25519 key in PKCS#8 version 1 (RFC 8410, section 7).
const PKCS8_V1_PREFIX: [u8; 16] = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// A CA and what it signs.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) der: Vec<u8>,
    pub(crate) pem: String,
}

/// A certificate and its key.
pub(crate) struct Identity {
    pub(crate) der: Vec<u8>,
    pub(crate) pem: String,
    pub(crate) key: KeyPair,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = ed25519();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "test fleet");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).unwrap();
        let (der, pem) = (certificate.der().to_vec(), certificate.pem());
        Self { issuer: Issuer::new(params, key), der, pem }
    }

    pub(crate) fn server(&self) -> Identity {
        self.sign("broker", vec!["localhost".to_owned()], ExtendedKeyUsagePurpose::ServerAuth)
    }

    pub(crate) fn client(&self, name: &str) -> Identity {
        self.sign(name, Vec::new(), ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// The configuration of a client with an identity of this authority.
    pub(crate) fn client_config(&self, name: &str) -> Arc<ClientConfig> {
        let identity = self.client(name);
        fleet_client(&self.der, &identity.der, identity.key.serialized_der(), None).unwrap()
    }

    /// The configuration of a server that asks for no client certificate.
    pub(crate) fn server_config(&self) -> Arc<ServerConfig> {
        let identity = self.server();
        let key = PrivatePkcs8KeyDer::from(identity.key.serialized_der().to_vec());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![identity.der.into()], key.into())
            .unwrap();
        Arc::new(config)
    }

    fn sign(&self, name: &str, names: Vec<String>, usage: ExtendedKeyUsagePurpose) -> Identity {
        let key = ed25519();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity { der: certificate.der().to_vec(), pem: certificate.pem(), key }
    }
}

/// A key in PKCS#8 version 1, which OpenSSL 3.0 can read; what is generated is version 2, which it cannot.
fn ed25519() -> KeyPair {
    let generated = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let seed = generated.serialized_der().get(16..48).unwrap().to_vec();
    let version_1 = [PKCS8_V1_PREFIX.to_vec(), seed].concat();
    KeyPair::try_from(&PrivatePkcs8KeyDer::from(version_1)).unwrap()
}
