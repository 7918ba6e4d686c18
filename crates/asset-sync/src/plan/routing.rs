//! Which file answers which address of a site.

/// The file that answers the top of a site (there it is the root document), and of a directory.
pub(super) const INDEX: &str = "index.html";

/// How a site's addresses map to its files where none has an address's own name. What is in front of the bucket carries it
/// out: a CloudFront function or a custom error response.
///
/// An *address* here is the path of a URL below the URL prefix, without the slash it begins with: `""` is the top. A file
/// of an address's own name always answers it, as with Netlify (no shadowing) and Cloudflare Pages ("Serving Pages").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Routing {
    /// `about/` is answered by `about/index.html`, if by anything.
    #[default]
    Exact,
    /// `about/` and `about` are answered by `about/index.html` (aws-samples' `url-rewrite-single-page-apps`).
    Directory,
    /// `about` is answered by `about.html`, and `about/` by `about/index.html`.
    Html,
    /// Whatever has no file is answered by the root document.
    Spa,
}

impl Routing {
    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Directory => "directory",
            Self::Html => "html",
            Self::Spa => "spa",
        }
    }

    /// The key that answers `address`, which is not percent-encoded; `None` if nothing does. `is_there` tells which keys
    /// there are.
    pub fn key_for(self, address: &str, is_there: impl Fn(&str) -> bool) -> Option<String> {
        let fallback = (self == Self::Spa).then(|| INDEX.to_owned());
        own(address).into_iter().chain(self.rewritten(address)).chain(fallback).find(|key| is_there(key))
    }

    /// The addresses that `key` answers unless a file has their own name: first the key itself, then the form that links
    /// use, then others. Under [`Spa`](Self::Spa) the root document answers any number of others.
    pub fn addresses_of(self, key: &str) -> Vec<String> {
        let mut addresses = vec![key.to_owned()];
        if let Some(directory) = key.strip_suffix(INDEX).filter(|d| d.is_empty() || d.ends_with('/')) {
            addresses.push(directory.to_owned());
            if self == Self::Directory && !directory.is_empty() {
                addresses.push(directory.trim_end_matches('/').to_owned());
            }
        }
        if self == Self::Html
            && let Some(stem) = key.strip_suffix(".html").filter(|stem| !stem.is_empty() && !stem.ends_with('/'))
        {
            addresses.push(stem.to_owned());
        }
        addresses
    }

    /// All addresses that the file has which answers `address`, as far as that can be told without knowing the files.
    pub(super) fn forms_of(self, address: &str) -> Vec<String> {
        let mut forms = vec![address.to_owned()];
        if matches!(self, Self::Directory | Self::Html) {
            let rewritten = self.rewritten(address).filter(|_| !has_extension(address));
            let keys = own(address).into_iter().chain(rewritten);
            forms.extend(keys.flat_map(|key| self.addresses_of(&key)));
        }
        forms
    }

    /// Whether the URL prefix without its last slash is an address of the root document.
    pub(crate) fn answers_bare_prefix(self) -> bool {
        matches!(self, Self::Directory | Self::Spa)
    }

    /// The key that is asked for where no file has the address's own name.
    fn rewritten(self, address: &str) -> Option<String> {
        if address.is_empty() || address.ends_with('/') {
            return Some(format!("{address}{INDEX}"));
        }
        match self {
            Self::Directory => Some(format!("{address}/{INDEX}")),
            Self::Html => Some(format!("{address}.html")),
            Self::Exact | Self::Spa => None,
        }
    }
}

/// The key that is the address, if one can be.
fn own(address: &str) -> Option<String> {
    (!address.is_empty() && !address.ends_with('/')).then(|| address.to_owned())
}

/// Whether an address ends with a file name's extension. `docs/v1.2` does not: no extension begins with a digit there.
fn has_extension(address: &str) -> bool {
    let name = address.rsplit('/').next().unwrap_or(address);
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    extension.starts_with(|c: char| c.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const ALL: [Routing; 4] = [Routing::Exact, Routing::Directory, Routing::Html, Routing::Spa];

    #[test]
    fn an_address_is_answered_as_the_routing_says() {
        let files =
            ["index.html", "about/index.html", "blog.html", "blog/post.html", "raw", "raw/index.html", "raw.html"];
        let answers = |address: &str| ALL.map(|routing| routing.key_for(address, |key| files.contains(&key)));
        let cases: [(&str, [&str; 4]); 11] = [
            ("", ["index.html"; 4]),
            ("index.html", ["index.html"; 4]),
            ("index", ["", "", "index.html", "index.html"]),
            ("about/", ["about/index.html"; 4]),
            ("about", ["", "about/index.html", "", "index.html"]),
            ("about/index", ["", "", "about/index.html", "index.html"]),
            ("blog", ["", "", "blog.html", "index.html"]),
            ("blog/", ["", "", "", "index.html"]),
            ("blog/post", ["", "", "blog/post.html", "index.html"]),
            // A file of the very name wins.
            ("raw", ["raw"; 4]),
            ("gone.js", ["", "", "", "index.html"]),
        ];
        for (address, expected) in cases {
            let expected = expected.map(|key| Some(key.to_owned()).filter(|key| !key.is_empty()));
            assert_eq!(answers(address), expected, "{address:?}");
        }
    }

    #[test]
    fn a_file_has_these_addresses() {
        let of = |key: &str| ALL.map(|routing| routing.addresses_of(key).join(" "));
        for (key, expected) in [
            ("app.js", ["app.js"; 4]),
            (
                "about/index.html",
                [
                    "about/index.html about/",
                    "about/index.html about/ about",
                    "about/index.html about/ about/index",
                    "about/index.html about/",
                ],
            ),
            // A dot is no extension.
            (
                "v1.2/index.html",
                [
                    "v1.2/index.html v1.2/",
                    "v1.2/index.html v1.2/ v1.2",
                    "v1.2/index.html v1.2/ v1.2/index",
                    "v1.2/index.html v1.2/",
                ],
            ),
            ("a/b.html", ["a/b.html", "a/b.html", "a/b.html a/b", "a/b.html"]),
            ("my-index.html", ["my-index.html", "my-index.html", "my-index.html my-index", "my-index.html"]),
            ("a/.html", ["a/.html"; 4]),
        ] {
            assert_eq!(of(key), expected, "{key}");
        }
        assert_eq!(of("index.html"), ["index.html ", "index.html ", "index.html  index", "index.html "]);
    }

    #[test]
    fn each_form_of_an_address_leads_to_the_others() {
        let forms = |routing: Routing, address: &str| {
            routing.forms_of(address).into_iter().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(" ")
        };
        for address in ["docs/a", "docs/a/", "docs/a/index.html"] {
            assert_eq!(forms(Routing::Directory, address), "docs/a docs/a/ docs/a/index.html");
        }
        assert_eq!(forms(Routing::Directory, "docs/v1.2"), "docs/v1.2 docs/v1.2/ docs/v1.2/index.html");
        for address in ["docs/a", "docs/a.html"] {
            assert_eq!(forms(Routing::Html, address), "docs/a docs/a.html");
        }
        assert_eq!(forms(Routing::Html, "docs/"), "docs/ docs/index docs/index.html");
        for routing in ALL {
            assert_eq!(forms(routing, "app.js"), "app.js");
        }
        for routing in [Routing::Exact, Routing::Spa] {
            assert_eq!(forms(routing, "about"), "about");
        }
    }

    proptest! {
        /// An address of a file is answered by that file, unless another has the address's own name.
        #[test]
        fn what_a_file_answers_maps_back_to_it(
            files in proptest::collection::btree_set("([a-c.]{1,3}/){0,2}([a-c]{1,2}|index)(\\.html|\\.js|)", 1..12),
            routing in prop_oneof![Just(ALL[0]), Just(ALL[1]), Just(ALL[2]), Just(ALL[3])],
        ) {
            for key in &files {
                for address in routing.addresses_of(key) {
                    let found = routing.key_for(&address, |key| files.contains(key));
                    let expected = if files.contains(&address) { &address } else { key };
                    prop_assert_eq!(found.as_ref(), Some(expected), "{}", address);
                }
            }
        }
    }
}
