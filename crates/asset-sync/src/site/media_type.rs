//! Content types by file name: our own table, so that no host's MIME database decides.

/// What a name that says nothing is served as: browsers download it and never run it.
const UNKNOWN: &str = "application/octet-stream";

/// The content type of the file with this key, by its extension in any case.
///
/// `text/*` types carry `charset=utf-8`, since without one browsers guess. JSON types carry none:
/// RFC 8259 defines no such parameter, the text is UTF-8 by definition. XML types carry none
/// either: RFC 7303 would let it override the encoding the document itself declares.
pub(super) fn of_key(key: &str) -> &'static str {
    let (folder, name) = key.rsplit_once('/').unwrap_or(("", key));
    // Apple's servers ask for it at the top as well.
    if name == "apple-app-site-association" {
        return "application/json";
    }
    let known = match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => of_extension(&extension.to_ascii_lowercase()),
        _ => UNKNOWN,
    };
    if known == UNKNOWN && is_well_known(folder) { of_well_known(key) } else { known }
}

/// Whether a folder is a `.well-known` (RFC 8615) or is inside one. `OpenID` issuers with a path have theirs below
/// that path.
fn is_well_known(folder: &str) -> bool {
    folder.split('/').any(|segment| segment == ".well-known")
}

/// The content type of a file without a known extension in a `.well-known`, by the specification that registered
/// its name with IANA, where that asks for a type.
fn of_well_known(key: &str) -> &'static str {
    let path = key.rsplit_once(".well-known/").map_or(key, |(_, path)| path);
    // Some specifications put the path of an issuer after their name.
    match path.split('/').next().unwrap_or_default() {
        // OpenID Connect Discovery 1.0, RFC 8414, RFC 9728, OpenID4VCI, UMA 2.0, SMART App Launch, JWK sets.
        "openid-configuration"
        | "oauth-authorization-server"
        | "oauth-protected-resource"
        | "openid-credential-issuer"
        | "uma2-configuration"
        | "smart-configuration"
        | "jwks"
        // Matrix: `server`, `client`, `support`. NodeInfo. FedCM. Passkeys. WebAuthn's related origins.
        | "matrix"
        | "nodeinfo"
        | "web-identity"
        | "passkey-endpoints"
        | "webauthn" => "application/json",
        "openid-federation" => "application/entity-statement+jwt",
        // RFC 9727, RFC 7033, RFC 6415, the Private Prefetch Proxy.
        "api-catalog" => "application/linkset+json",
        "webfinger" => "application/jrd+json",
        "host-meta" => "application/xrd+xml",
        "traffic-advice" => "application/trafficadvice+json",
        // Apple Pay's domain check, and challenges of certificate authorities (RFC 8555 asks for no type).
        "apple-developer-merchantid-domain-association" | "acme-challenge" | "pki-validation" => {
            "text/plain; charset=utf-8"
        }
        _ => UNKNOWN,
    }
}

/// Whether browsers read files of this type as text, code or markup, and so need to know how they are encoded.
pub(super) fn is_text_like(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.starts_with("text/")
        || essence.ends_with("+json")
        || essence.ends_with("+xml")
        || matches!(
            essence.as_str(),
            "application/json"
                | "application/xml"
                | "application/javascript"
                | "application/wasm"
                | "application/x-ndjson"
                | "application/yaml"
                | "application/toml"
        )
}

/// Whether files of this type are compressed by definition, so that a browser saves them as they are.
pub(super) fn is_compressed_archive(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    matches!(essence.as_str(), "application/gzip" | "application/x-gzip" | "application/zstd")
}

/// Whether the type says nothing about the content.
pub(super) fn is_unknown(content_type: &str) -> bool {
    content_type == UNKNOWN
}

/// Whether a `Content-Type` header names an HTML page.
pub(super) fn is_html(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("text/html") || essence.eq_ignore_ascii_case("application/xhtml+xml")
}

fn of_extension(extension: &str) -> &'static str {
    match extension {
        // Pages, styles, scripts.
        "html" | "htm" => "text/html; charset=utf-8",
        "xhtml" | "xht" => "application/xhtml+xml",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" | "cjs" => "text/javascript; charset=utf-8",
        "wasm" => "application/wasm",
        // Data.
        "json" | "map" | "topojson" => "application/json",
        "webmanifest" => "application/manifest+json",
        "jsonld" => "application/ld+json",
        "geojson" => "application/geo+json",
        "ndjson" | "jsonl" => "application/x-ndjson",
        "xml" | "xsd" => "application/xml",
        "xsl" | "xslt" => "application/xslt+xml",
        "atom" => "application/atom+xml",
        "rss" => "application/rss+xml",
        "yaml" | "yml" => "application/yaml",
        "toml" => "application/toml",
        "parquet" => "application/vnd.apache.parquet",
        // Text. A `.ts` is an MPEG transport stream to a MIME database, but in the output of a web
        // build it is TypeScript, shipped beside a source map or as declarations. A site with HLS
        // segments says so in a rule.
        "txt" | "text" | "log" | "ts" | "mts" | "cts" | "tsx" | "jsx" | "scss" | "sass" | "less" | "vue" | "svelte"
        | "py" => "text/plain; charset=utf-8",
        "md" | "markdown" => "text/markdown; charset=utf-8",
        "csv" => "text/csv; charset=utf-8",
        "tsv" => "text/tab-separated-values; charset=utf-8",
        "vtt" => "text/vtt; charset=utf-8",
        "ics" => "text/calendar; charset=utf-8",
        "vcf" => "text/vcard; charset=utf-8",
        // Images.
        "svg" => "image/svg+xml",
        "ico" | "cur" => "image/vnd.microsoft.icon",
        "png" => "image/png",
        "apng" => "image/apng",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "bmp" => "image/bmp",
        "tif" | "tiff" => "image/tiff",
        "heic" => "image/heic",
        "jxl" => "image/jxl",
        // Fonts.
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "ttf" => "font/ttf",
        "otf" => "font/otf",
        "ttc" => "font/collection",
        "eot" => "application/vnd.ms-fontobject",
        // Sound and video.
        "mp4" | "m4v" => "video/mp4",
        "webm" => "video/webm",
        "ogv" => "video/ogg",
        "mov" => "video/quicktime",
        "mp3" => "audio/mpeg",
        "m4a" => "audio/mp4",
        "aac" => "audio/aac",
        "ogg" | "oga" | "opus" => "audio/ogg",
        "wav" => "audio/wav",
        "flac" => "audio/flac",
        "weba" => "audio/webm",
        "mid" | "midi" => "audio/midi",
        "m3u8" => "application/vnd.apple.mpegurl",
        "mpd" => "application/dash+xml",
        // Documents and archives.
        "pdf" => "application/pdf",
        "zip" => "application/zip",
        "gz" | "tgz" => "application/gzip",
        "bz2" => "application/x-bzip2",
        "xz" => "application/x-xz",
        "zst" => "application/zstd",
        "7z" => "application/x-7z-compressed",
        "tar" => "application/x-tar",
        "rtf" => "application/rtf",
        "epub" => "application/epub+zip",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "pptx" => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        // Models and maps.
        "glb" => "model/gltf-binary",
        "gltf" => "model/gltf+json",
        "obj" => "model/obj",
        "stl" => "model/stl",
        "usdz" => "model/vnd.usdz+zip",
        "kml" => "application/vnd.google-earth.kml+xml",
        _ => UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_keys() {
        for (name, expected) in [
            ("index.html", "text/html; charset=utf-8"),
            ("INDEX.HTM", "text/html; charset=utf-8"),
            ("app.3f2a9c0d.chunk.js", "text/javascript; charset=utf-8"),
            ("worker.mjs", "text/javascript; charset=utf-8"),
            ("app.js.map", "application/json"),
            ("site.webmanifest", "application/manifest+json"),
            ("logo.svg", "image/svg+xml"),
            ("types.d.ts", "text/plain; charset=utf-8"),
            ("data.json", "application/json"),
            ("a.woff2", "font/woff2"),
            ("archive.tar.gz", "application/gzip"),
            ("LICENSE", "application/octet-stream"),
            (".htaccess", "application/octet-stream"),
            ("js", "application/octet-stream"),
            ("strange.q9z", "application/octet-stream"),
            ("apple-app-site-association", "application/json"),
            (".well-known/apple-app-site-association", "application/json"),
            (".well-known/assetlinks.json", "application/json"),
            (".well-known/openid-configuration", "application/json"),
            ("tenants/a/.well-known/openid-configuration", "application/json"),
            (".well-known/oauth-authorization-server/tenants/a", "application/json"),
            (".well-known/matrix/server", "application/json"),
            (".well-known/matrix/client", "application/json"),
            (".well-known/host-meta", "application/xrd+xml"),
            (".well-known/host-meta.json", "application/json"),
            (".well-known/acme-challenge/x2-Gh", "text/plain; charset=utf-8"),
            (".well-known/security.txt", "text/plain; charset=utf-8"),
            (".well-known/strange", "application/octet-stream"),
            ("matrix/server", "application/octet-stream"),
            ("openid-configuration", "application/octet-stream"),
        ] {
            assert_eq!(of_key(name), expected, "{name}");
        }
    }

    #[test]
    fn text_has_a_charset_and_json_has_none() {
        for extension in ["html", "css", "js", "txt", "md", "csv", "vtt", "ics", "ts"] {
            let found = of_extension(extension);
            assert!(found.starts_with("text/") && found.ends_with("; charset=utf-8"), "{found}");
        }
        for extension in ["json", "map", "webmanifest", "jsonld", "geojson", "gltf", "xml", "svg"] {
            assert!(!of_extension(extension).contains("charset"), "{extension}");
        }
    }

    #[test]
    fn what_browsers_read_is_text_like() {
        for key in ["a.html", "a.js", "a.css", "a.json", "a.svg", "a.wasm", "a.webmanifest", "a.xml", "a.rss", "a.csv"]
        {
            assert!(is_text_like(of_key(key)), "{key}");
        }
        for key in ["a.png", "a.pdf", "a.gz", "a.tar", "a.data", "a.glb", "a.woff2", "a.parquet"] {
            assert!(!is_text_like(of_key(key)), "{key}");
        }
    }

    #[test]
    fn html_is_recognised_with_parameters() {
        assert!(is_html("text/html"));
        assert!(is_html("Text/HTML ; charset=iso-8859-1"));
        assert!(is_html("application/xhtml+xml"));
        assert!(!is_html("text/html-template"));
        assert!(!is_html("text/plain; charset=text/html"));
    }
}
