//! Certificates and keys of this node, and whom it believes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tensou_config::{Settings, SipTls, TlsFiles};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// Names taken from one certificate; a larger one is made to slow us down.
const MOST_NAMES: usize = 16;

/// A file that a setting names and that does not serve.
#[derive(Debug)]
pub(crate) struct TlsError {
    setting: &'static str,
    path: PathBuf,
    message: String,
}

impl std::fmt::Display for TlsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}: {}", self.setting, self.path.display(), self.message)
    }
}

impl std::error::Error for TlsError {}

fn fault(setting: &'static str, path: &Path, message: impl std::fmt::Display) -> TlsError {
    TlsError { setting, path: path.to_owned(), message: message.to_string() }
}

/// TLS of SIP, in both directions. What is read again serves new connections.
#[derive(Clone)]
pub(crate) struct SipIdentity {
    files: SipTls,
    current: Arc<ArcSwap<Configs>>,
}

/// What new connections are made with.
pub(crate) struct Configs {
    /// Peers connect to us.
    pub(crate) server: Arc<ServerConfig>,
    /// We connect to peers.
    pub(crate) client: Arc<ClientConfig>,
}

impl SipIdentity {
    /// Reads every file that the settings name.
    pub(crate) fn load(files: &SipTls) -> Result<SipIdentity, TlsError> {
        let current = Arc::new(ArcSwap::from_pointee(Configs::load(files)?));
        Ok(SipIdentity { files: files.clone(), current })
    }

    /// Reads the files again; connections that stand keep what they were made with.
    fn reload(&self) -> Result<(), TlsError> {
        self.current.store(Arc::new(Configs::load(&self.files)?));
        Ok(())
    }

    /// What the next connection is made with.
    pub(crate) fn configs(&self) -> Arc<Configs> {
        self.current.load_full()
    }
}

impl Configs {
    fn load(files: &SipTls) -> Result<Configs, TlsError> {
        let names = Names { certificate: "sip.tls.certificate", key: "sip.tls.key" };
        let own = Own::load(&files.own, names)?;
        let builder = ServerConfig::builder();
        let server = match &files.client_ca {
            Some(path) => {
                let roots = Arc::new(authorities("sip.tls.client_ca", path)?);
                // Phones come without a certificate; a trunk that is known by its certificate
                // is nobody without one.
                let verifier = WebPkiClientVerifier::builder(roots)
                    .allow_unauthenticated()
                    .build()
                    .map_err(|error| fault("sip.tls.client_ca", path, error))?;
                builder.with_client_cert_verifier(verifier)
            }
            None => builder.with_no_client_auth(),
        };
        let server = own.serve(server)?;
        let roots = match &files.ca {
            Some(path) => authorities("sip.tls.ca", path)?,
            None => of_the_machine(),
        };
        let client = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_client_auth_cert(own.chain.clone(), own.key.clone_key())
            .map_err(|error| own.mismatch(error))?;
        Ok(Configs { server: Arc::new(server), client: Arc::new(client) })
    }
}

/// All certificates of a node.
#[derive(Clone)]
pub(crate) struct Certificates {
    /// SIP; none without `sip.tls`.
    pub(crate) sip: Option<SipIdentity>,
    /// REST and UI; none without `admin.tls`.
    pub(crate) admin: Option<AdminIdentity>,
}

impl Certificates {
    /// Reads what the settings name.
    pub(crate) fn load(settings: &Settings) -> Result<Certificates, TlsError> {
        Ok(Certificates {
            sip: settings.sip.tls.as_ref().map(SipIdentity::load).transpose()?,
            admin: settings.admin.tls.as_ref().map(AdminIdentity::load).transpose()?,
        })
    }

    /// Reads it again; on a fault the old ones serve on.
    pub(crate) fn reload(&self) -> Result<(), TlsError> {
        self.sip.as_ref().map_or(Ok(()), SipIdentity::reload)?;
        self.admin.as_ref().map_or(Ok(()), AdminIdentity::reload)
    }
}

/// TLS of REST and UI.
#[derive(Clone)]
pub(crate) struct AdminIdentity {
    files: TlsFiles,
    current: Arc<ArcSwap<ServerConfig>>,
}

impl AdminIdentity {
    fn load(files: &TlsFiles) -> Result<AdminIdentity, TlsError> {
        let current = Arc::new(ArcSwap::new(admin_config(files)?));
        Ok(AdminIdentity { files: files.clone(), current })
    }

    fn reload(&self) -> Result<(), TlsError> {
        self.current.store(admin_config(&self.files)?);
        Ok(())
    }

    /// What the next connection is made with.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }
}

fn admin_config(files: &TlsFiles) -> Result<Arc<ServerConfig>, TlsError> {
    let names = Names { certificate: "admin.tls.certificate", key: "admin.tls.key" };
    let own = Own::load(files, names)?;
    let mut config = own.serve(ServerConfig::builder().with_no_client_auth())?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[derive(Clone, Copy)]
struct Names {
    certificate: &'static str,
    key: &'static str,
}

struct Own<'a> {
    files: &'a TlsFiles,
    names: Names,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl<'a> Own<'a> {
    fn load(files: &'a TlsFiles, names: Names) -> Result<Own<'a>, TlsError> {
        let chain = certificates(names.certificate, &files.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&files.key)
            .map_err(|error| fault(names.key, &files.key, error))?;
        Ok(Own { files, names, chain, key })
    }

    fn serve(
        &self,
        builder: rustls::ConfigBuilder<ServerConfig, rustls::server::WantsServerCert>,
    ) -> Result<ServerConfig, TlsError> {
        builder
            .with_single_cert(self.chain.clone(), self.key.clone_key())
            .map_err(|error| self.mismatch(error))
    }

    fn mismatch(&self, error: rustls::Error) -> TlsError {
        let message = format!("does not go with {}: {error}", self.names.certificate);
        fault(self.names.key, &self.files.key, message)
    }
}

fn certificates(
    setting: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| fault(setting, path, error))?;
    if read.is_empty() {
        return Err(fault(setting, path, "holds no certificate in PEM form"));
    }
    Ok(read)
}

fn authorities(setting: &'static str, path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(setting, path)? {
        roots.add(certificate).map_err(|error| fault(setting, path, error))?;
    }
    Ok(roots)
}

fn of_the_machine() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        tracing::warn!("the machine has no certificate authorities: set sip.tls.ca");
    }
    roots
}

/// Makes ring the one provider of cryptography of this process.
pub(crate) fn install_provider() {
    // A second installation in one process changes nothing.
    let _installed_before = rustls::crypto::ring::default_provider().install_default();
}

/// The names that a certificate proves, lower case: DNS names and SIP URIs among its alternative
/// names, and only without those the common name (RFC 5922 7.1).
pub(crate) fn names_of(certificate: &CertificateDer<'_>) -> Vec<Box<str>> {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return Vec::new() };
    let alternatives = certificate.subject_alternative_name().ok().flatten();
    let mut names: Vec<Box<str>> = Vec::new();
    for name in alternatives.iter().flat_map(|found| &found.value.general_names) {
        let name = match name {
            GeneralName::DNSName(name) => Some(*name),
            GeneralName::URI(uri) => uri.strip_prefix("sip:").filter(|host| !host.contains('@')),
            _ => None,
        };
        names.extend(name.map(|name| name.to_ascii_lowercase().into_boxed_str()));
        if names.len() == MOST_NAMES {
            return names;
        }
    }
    if names.is_empty()
        && let Some(name) = certificate.subject().iter_common_name().next()
        && let Ok(name) = name.as_str()
    {
        names.push(name.to_ascii_lowercase().into());
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let path =
                std::env::temp_dir().join(format!("tensou-tls-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Folder(path)
        }

        fn write(&self, name: &str, text: &str) -> PathBuf {
            let path = self.0.join(name);
            std::fs::write(&path, text).unwrap();
            path
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn pair(folder: &Folder, name: &str) -> TlsFiles {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        TlsFiles {
            certificate: folder.write(&format!("{name}.crt"), &made.cert.pem()),
            key: folder.write(&format!("{name}.key"), &made.signing_key.serialize_pem()),
        }
    }

    fn sip(own: TlsFiles) -> SipTls {
        SipTls { own, client_ca: None, ca: None }
    }

    fn complaint(files: &SipTls) -> String {
        SipIdentity::load(files).err().expect("a fault").to_string()
    }

    #[test]
    fn each_wrong_file_is_named_with_its_setting() {
        install_provider();
        let folder = Folder::new("wrong");
        let (one, other) = (pair(&folder, "one.example.jp"), pair(&folder, "two.example.jp"));
        assert!(SipIdentity::load(&sip(one.clone())).is_ok());
        let mixed = TlsFiles { key: other.key, ..one.clone() };
        let told = complaint(&sip(mixed));
        assert!(told.contains("sip.tls.key") && told.contains("does not go with"), "{told}");
        let missing = TlsFiles { certificate: folder.0.join("none.crt"), ..one.clone() };
        assert!(complaint(&sip(missing)).starts_with("sip.tls.certificate"));
        let empty = folder.write("empty.crt", "no certificate\n");
        let told = complaint(&SipTls { client_ca: Some(empty), ..sip(one.clone()) });
        assert!(told.starts_with("sip.tls.client_ca"), "{told}");
        let swapped = TlsFiles { certificate: one.certificate.clone(), key: one.certificate };
        assert!(admin_config(&swapped).err().unwrap().to_string().starts_with("admin.tls.key"));
    }

    #[test]
    fn a_certificate_proves_the_names_it_holds() {
        let made =
            rcgen::generate_simple_self_signed(vec!["SIP.carrier.example".to_owned()]).unwrap();
        assert_eq!(names_of(made.cert.der()), ["sip.carrier.example".into()]);
        assert!(names_of(&CertificateDer::from(vec![1, 2, 3])).is_empty());
    }
}
