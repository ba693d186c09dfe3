//! Style, scripts and pictures, embedded in the program. Their addresses contain a hash of their
//! content, so that browsers keep them for a year and never show a stale one.

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_embed::{EmbeddedFile, RustEmbed};

#[derive(RustEmbed)]
#[folder = "assets/"]
struct Assets;

/// A browser may keep what it has for as long as HTTP has a word for.
const FOREVER: &str = "public, max-age=31536000, immutable";

/// The address of an asset: `/assets/1f3a…/app.css`.
pub(crate) fn address(name: &str) -> String {
    let hash = Assets::get(name).map(|file| short_hash(&file)).unwrap_or_default();
    format!("/assets/{hash}/{name}")
}

/// Serves an asset. An address with an old hash (a page opened before an upgrade) gets today's
/// content and must ask again next time.
pub(crate) async fn serve(Path((hash, name)): Path<(String, String)>) -> Response {
    let Some(file) = Assets::get(&name) else { return StatusCode::NOT_FOUND.into_response() };
    let cache = if hash == short_hash(&file) { FOREVER } else { "no-cache" };
    let kind = mime_guess::from_path(&name).first_or_octet_stream();
    let headers = [(header::CONTENT_TYPE, kind.as_ref()), (header::CACHE_CONTROL, cache)];
    (headers, file.data).into_response()
}

/// Eight bytes of SHA-256: enough to tell versions of one file apart.
fn short_hash(file: &EmbeddedFile) -> String {
    file.metadata.sha256_hash().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn cache_of(hash: &str, name: &str) -> Option<String> {
        let answer = serve(Path((hash.to_owned(), name.to_owned()))).await;
        let header = answer.headers().get(header::CACHE_CONTROL)?;
        header.to_str().ok().map(str::to_owned)
    }

    #[tokio::test]
    async fn an_asset_is_kept_forever_under_its_hash_only() {
        let address = address("app.css");
        let hash = address.split('/').nth(2).unwrap();
        assert_eq!(hash.len(), 16);
        assert_eq!(cache_of(hash, "app.css").await.as_deref(), Some(FOREVER));
        assert_eq!(cache_of("0000000000000000", "app.css").await.as_deref(), Some("no-cache"));
        assert_eq!(cache_of(hash, "../Cargo.toml").await, None);
    }

    #[test]
    fn no_page_has_inline_script_or_style_or_unescaped_text() {
        let templates = concat!(env!("CARGO_MANIFEST_DIR"), "/templates");
        let mut folders = vec![std::path::PathBuf::from(templates)];
        let mut seen = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = std::fs::read_to_string(&path).unwrap();
                for forbidden in ["<script>", "<style", " style=", " onclick=", "|safe", "| safe"] {
                    assert!(!text.contains(forbidden), "{forbidden} in {}", path.display());
                }
                seen += 1;
            }
        }
        assert!(seen > 10);
    }
}
