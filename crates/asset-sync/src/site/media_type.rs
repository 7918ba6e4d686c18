//! Content types by file name: our own table, so that no host's MIME database decides.

/// What a name that says nothing is served as: browsers download it and never run it.
const UNKNOWN: &str = "application/octet-stream";

/// The content type of a file of this name (its last path segment), by its extension in any case.
///
/// `text/*` types carry `charset=utf-8`, since without one browsers guess. JSON types carry none:
/// RFC 8259 defines no such parameter, the text is UTF-8 by definition. XML types carry none
/// either: RFC 7303 would let it override the encoding the document itself declares.
pub(super) fn of_name(name: &str) -> &'static str {
    // Apple fetches this one by its exact name and refuses it unless it is JSON.
    if name == "apple-app-site-association" {
        return "application/json";
    }
    match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => of_extension(&extension.to_ascii_lowercase()),
        _ => UNKNOWN,
    }
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
    fn types_of_names() {
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
        ] {
            assert_eq!(of_name(name), expected, "{name}");
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
    fn html_is_recognised_with_parameters() {
        assert!(is_html("text/html"));
        assert!(is_html("Text/HTML ; charset=iso-8859-1"));
        assert!(is_html("application/xhtml+xml"));
        assert!(!is_html("text/html-template"));
        assert!(!is_html("text/plain; charset=text/html"));
    }
}
