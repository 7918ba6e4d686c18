//! Addresses: which file of the site a reference asks for.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use url::Url;

use super::Key;

/// A host that no reference can name: RFC 6761 reserves `invalid`.
const HOST: &str = "site.invalid";
/// What would end the path of a URL, or be changed in it.
const UNSAFE: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'<').add(b'>').add(b'?').add(b'`');

/// Resolves references as a browser does, for a site under one URL path.
#[derive(Debug, Clone)]
pub(super) struct Addresses {
    /// Starts and ends with `/`, percent-decoded.
    root: String,
}

impl Addresses {
    /// Of a site under the URL path `root`, with or without its outer slashes.
    pub(super) fn under(root: &str) -> Self {
        let inner = root.trim_matches('/');
        Self { root: if inner.is_empty() { "/".to_owned() } else { format!("/{inner}/") } }
    }

    /// The address of a file of the site.
    pub(super) fn of(&self, key: &Key) -> Option<Url> {
        let path = format!("{}{key}", self.root);
        Url::parse(&format!("http://{HOST}{}", utf8_percent_encode(&path, UNSAFE))).ok()
    }

    /// The path within the site that `reference`, found where `base` is the base address, asks
    /// for: without query and fragment, percent-decoded, perhaps empty or ending with `/`. None if
    /// it leads elsewhere.
    pub(super) fn resolve(&self, base: &Url, reference: &str) -> Option<String> {
        self.path(&base.join(reference).ok()?)
    }

    /// The path within the site of an address; none if it lies elsewhere.
    pub(super) fn path(&self, address: &Url) -> Option<String> {
        on_host(address)?.strip_prefix(&self.root).map(str::to_owned)
    }

    /// The path, without its first slash, of an address that is on the site's host and outside of its URL path.
    pub(super) fn path_outside(&self, address: &Url) -> Option<String> {
        let path = on_host(address).filter(|path| !path.starts_with(&self.root))?;
        path.strip_prefix('/').map(str::to_owned)
    }
}

/// The path of an address on the site's host, percent-decoded.
fn on_host(address: &Url) -> Option<std::borrow::Cow<'_, str>> {
    let is_ours = address.scheme() == "http" && address.host_str() == Some(HOST) && address.port().is_none();
    percent_decode_str(address.path()).decode_utf8().ok().filter(|_| is_ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_resolve_as_in_a_browser() {
        for (root, file, reference, expected) in [
            ("/", "index.html", "a.js", Some("a.js")),
            ("/", "index.html", "./a.js?v=1#x", Some("a.js")),
            ("/", "docs/index.html", "a.js", Some("docs/a.js")),
            ("/", "docs/index.html", "../a.js", Some("a.js")),
            ("/", "docs/index.html", "../../../a.js", Some("a.js")),
            ("/", "docs/index.html", "/a.js", Some("a.js")),
            ("/", "a b%/ü.html", "x%20y/%C3%BC.png", Some("a b%/x y/ü.png")),
            ("/", "a?b#c/p.html", "q.js", Some("a?b#c/q.js")),
            ("/", "index.html", " a.js\n", Some("a.js")),
            ("/", "index.html", "a\\b.js", Some("a/b.js")),
            ("/", "index.html", "docs/", Some("docs/")),
            ("/", "index.html", "#top", Some("index.html")),
            ("/", "index.html", "//cdn.example/a.js", None),
            ("/", "index.html", "https://cdn.example/a.js", None),
            ("/", "index.html", "data:text/plain,x", None),
            ("/", "index.html", "blob:http://site/x", None),
            ("/", "index.html", "mailto:a@b.example", None),
            ("/", "index.html", "javascript:void(0)", None),
            ("/", "index.html", "%FF.js", None),
            ("/app/", "index.html", "a.js", Some("a.js")),
            ("app", "index.html", "/app/a.js", Some("a.js")),
            ("/app/", "index.html", "/a.js", None),
            ("/app/", "index.html", "../a.js", None),
            ("/app/", "index.html", "/app2/a.js", None),
            ("/my app/", "d/index.html", "/my%20app/a.js", Some("a.js")),
        ] {
            let addresses = Addresses::under(root);
            let base = addresses.of(&Key::new(file).unwrap()).unwrap();
            assert_eq!(addresses.resolve(&base, reference).as_deref(), expected, "{reference} in {root}{file}");
        }
    }

    #[test]
    fn a_base_moves_references() {
        let addresses = Addresses::under("/app/");
        let page = addresses.of(&Key::new("d/p.html").unwrap()).unwrap();
        let base = page.join("/app/x/").unwrap();
        assert_eq!(addresses.resolve(&base, "a.js").as_deref(), Some("x/a.js"));
        let base = page.join("https://cdn.example/").unwrap();
        assert_eq!(addresses.resolve(&base, "a.js"), None);
    }
}
