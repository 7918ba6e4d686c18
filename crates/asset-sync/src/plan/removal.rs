//! Which files are deleted together with the pages that a release no longer has.

use std::collections::HashSet;

use crate::site::{Key, Role};

/// Where tools put the data of a page, which their scripts fetch in place of the page itself. `{page}` is the page's
/// address: `/about` for `about.html` and `about/index.html`, and nothing for the root page. `*` is any text; directly
/// after a folder it is one path segment. An application may lie in a folder of the site.
const PAGE_DATA: [&str; 17] = [
    // Next.js, App Router with `output: export`: `about.txt`, `about/index.txt` (builds with 15.5 and 16.4).
    "{page}.txt",
    // Next.js 16: one file for each segment, `about/__next._tree.txt` (build with 16.4).
    "{page}/__next.*.txt",
    // Next.js, Pages Router: `_next/data/<build id>/about.json` (builds with 15.5 and 16.4).
    "/_next/data/*{page}.json",
    // Gatsby: gatsby-core-utils, `generatePageDataPath`.
    "/page-data{page}/page-data.json",
    // SvelteKit: @sveltejs/kit, `add_data_suffix` in runtime/pathname.js.
    "{page}/__data.json",
    "{page}.html__data.json",
    // Nuxt: nuxt, app/composables/payload.js; a script where `renderJsonPayloads` is off.
    "{page}/_payload.json",
    "{page}/_payload.js",
    // React Router: @react-router/dev, `prerenderData`; the second with `v8_trailingSlashAwareDataRequests`.
    "{page}.data",
    "{page}/_.data",
    // Qwik City: @builder.io/qwik-city, `getDataFilePath` in static/node.mjs.
    "{page}/q-data.json",
    // Vike: vike, `getPageContextRequestUrl`.
    "{page}/index.pageContext.json",
    // Gridsome: gridsome, app/build/createRenderQueue.js.
    "/assets/data{page}/index.json",
    // Hugo: the output formats RSS, JSON and Markdown of a page (gohugo.io/configuration/output-formats).
    "{page}/index.xml",
    "{page}/index.json",
    "{page}/index.md",
    // Markdown copies of pages (llmstxt.org).
    "{page}.html.md",
];

/// Endings of encoded copies that tools write beside a page or its data.
const ENCODED: [&str; 3] = [".br", ".gz", ".zst"];

/// The pages that a release no longer has.
#[derive(Debug, Default)]
pub(crate) struct RemovedPages {
    addresses: HashSet<String>,
}

impl RemovedPages {
    /// Compares the pages of earlier releases with those of the release that goes live. A page that is only named
    /// otherwise, `about/index.html` in place of `about.html`, has its address still and is not removed.
    pub(crate) fn new<'a>(before: impl Iterator<Item = &'a Key>, live: impl Iterator<Item = &'a Key>) -> Self {
        let mut addresses: HashSet<String> = before.map(|key| address(key.as_str())).collect();
        if !addresses.is_empty() {
            for key in live {
                addresses.remove(&address(key.as_str()));
            }
        }
        Self { addresses }
    }

    /// Whether a file that the live release does not have is deleted with the switch: each page is, and so is the data
    /// of a removed page. All other files wait until the releases that have them expire.
    ///
    /// A fingerprinted file always waits. The archive does not hold its bytes, so a rollback could not restore it.
    pub(crate) fn include(&self, key: &Key, role: Role) -> bool {
        match role {
            Role::Fingerprinted => false,
            Role::Entry => !self.addresses.is_empty() && self.have(key.as_str()),
            Role::Html | Role::Root => true,
        }
    }

    fn have(&self, key: &str) -> bool {
        let encoded = ENCODED.iter().find_map(|ending| key.strip_suffix(ending));
        let path = format!("/{}", encoded.unwrap_or(key));
        let is_removed = |page: &str| self.addresses.contains(&address(page));
        (encoded.is_some() && is_removed(&path))
            || PAGE_DATA.iter().filter_map(|pattern| page_of(pattern, &path)).any(|page| is_removed(&page))
    }
}

/// The address under which a page is linked to, `/docs/about` for `docs/about.html` and `docs/about/index.html`.
fn address(path: &str) -> String {
    let path = path.trim_start_matches('/');
    let path = [".html", ".htm", ".xhtml"].iter().find_map(|ending| path.strip_suffix(ending)).unwrap_or(path);
    let path = path.strip_suffix("index").filter(|rest| rest.is_empty() || rest.ends_with('/')).unwrap_or(path);
    let path = path.trim_end_matches('/');
    if path.is_empty() { String::new() } else { format!("/{path}") }
}

/// The page whose data lies at `path` by one line of [`PAGE_DATA`].
fn page_of(pattern: &str, path: &str) -> Option<String> {
    let (folder, ending) = pattern.split_once("{page}")?;
    let page = match ending.split_once('*') {
        None => path.strip_suffix(ending)?,
        Some((start, end)) => {
            let inner = path.strip_suffix(end)?;
            &inner[..inner.find(start)?]
        }
    };
    if folder.is_empty() {
        return Some(page.to_owned());
    }
    let (application, page) = match folder.strip_suffix('*') {
        None => page.split_once(folder)?,
        Some(folder) => {
            let (application, rest) = page.split_once(folder)?;
            (application, &rest[rest.find('/')?..])
        }
    };
    (page.is_empty() || page.starts_with('/')).then(|| format!("{application}{page}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys(names: &[&str]) -> Vec<Key> {
        names.iter().map(|name| Key::new(name).unwrap()).collect()
    }

    /// Which of `files`, all entry files, go with the pages `before` that are not among the pages `live`.
    fn deleted<'a>(before: &[&str], live: &[&str], files: &[&'a str]) -> Vec<&'a str> {
        let removed = RemovedPages::new(keys(before).iter(), keys(live).iter());
        files.iter().copied().filter(|file| removed.include(&Key::new(file).unwrap(), Role::Entry)).collect()
    }

    /// The files that the tools write for a page `about` and a page `docs/more`, in both ways to name pages.
    #[test]
    fn data_of_a_removed_page_is_deleted_with_it() {
        let about = [
            "about.txt",
            "about/index.txt",
            "about/__next._full.txt",
            "about/__next.about.__PAGE__.txt",
            "about/__next.about/__PAGE__.txt",
            "_next/data/BDunzYyMKM7681GoLT6KC/about.json",
            "page-data/about/page-data.json",
            "about/__data.json",
            "about.html__data.json",
            "about/_payload.json",
            "about/_payload.js",
            "about.data",
            "about/_.data",
            "about/q-data.json",
            "about/index.pageContext.json",
            "assets/data/about/index.json",
            "about/index.xml",
            "about/index.json",
            "about/index.md",
            "about.html.md",
            "about.html.br",
            "about/index.html.gz",
            "about/__data.json.zst",
        ];
        for page in ["about.html", "about/index.html"] {
            assert_eq!(deleted(&[page], &["index.html"], &about), about, "{page}");
        }
        let more = ["docs/more.txt", "_next/data/b1/docs/more.json", "page-data/docs/more/page-data.json"];
        assert_eq!(deleted(&["docs/more/index.html"], &[], &more), more);
    }

    #[test]
    fn each_line_of_the_table_is_needed() {
        for pattern in PAGE_DATA {
            let path = pattern.replace("{page}", "/x").replace('*', "/b").replace("//", "/");
            let others = PAGE_DATA.iter().filter(|other| **other != pattern);
            let found: Vec<_> = others.filter_map(|other| page_of(other, &path)).map(|p| address(&p)).collect();
            assert_eq!(page_of(pattern, &path).map(|p| address(&p)).as_deref(), Some("/x"), "{path}");
            assert!(!found.contains(&"/x".to_owned()), "{path}");
        }
    }

    #[test]
    fn data_of_the_root_page_is_known() {
        let root = [
            "index.txt",
            "__next._tree.txt",
            "_next/data/b/index.json",
            "page-data/index/page-data.json",
            "__data.json",
        ];
        assert_eq!(deleted(&["index.html"], &[], &root), root);
        assert_eq!(deleted(&["about.html"], &["index.html"], &root), [""; 0]);
    }

    #[test]
    fn an_application_may_lie_in_a_folder() {
        let data = ["shop/page-data/cart/page-data.json", "shop/_next/data/b/cart.json", "shop/cart/__data.json"];
        assert_eq!(deleted(&["shop/cart/index.html"], &[], &data), data);
        assert_eq!(deleted(&["cart/index.html"], &["shop/cart/index.html"], &data), [""; 0]);
    }

    #[test]
    fn data_of_a_page_that_stays_is_kept() {
        let data = ["about.txt", "about/__data.json", "_next/data/old/about.json", "about.html.br"];
        assert_eq!(deleted(&["other.html"], &["about.html"], &data), [""; 0]);
        assert_eq!(deleted(&[], &[], &data), [""; 0]);
        // Only its name changed: whoever has the old release open goes on to load its data.
        assert_eq!(deleted(&["about.html"], &["about/index.html"], &data), [""; 0]);
        assert_eq!(deleted(&["about/index.html"], &["about.html"], &data), [""; 0]);
    }

    #[test]
    fn other_files_wait_for_the_grace_time() {
        let others = [
            "about.js",
            "about.json",
            "about/photo.jpg",
            "about/data.json",
            "aboutus.txt",
            "about/notes.txt",
            "page-data/app-data.json",
            "page-data/sq/d/1963140206.json",
            "page-database/about/page-data.json",
            "_next/data/about.json",
            "files.br",
        ];
        assert_eq!(deleted(&["about.html", "about/index.html"], &[], &others), [""; 0]);
    }

    #[test]
    fn fingerprinted_files_wait_and_pages_do_not() {
        let removed = RemovedPages::new(keys(&["about.html"]).iter(), [].iter());
        let include = |name, role| removed.include(&Key::new(name).unwrap(), role);
        assert!(!include("about.txt", Role::Fingerprinted) && !include("about.html", Role::Fingerprinted));
        assert!(include("about.html", Role::Html) && include("any.html", Role::Html));
    }

    proptest! {
        /// Whatever the names, no file is deleted for a page whose address the live release has.
        #[test]
        fn nothing_goes_for_a_page_that_is_live(
            pages in prop::collection::vec("([a-c]/){0,2}([a-c]|index)\\.html", 0..6),
            live in prop::collection::vec("([a-c]/){0,2}([a-c]|index)\\.html", 0..6),
            pattern in prop::sample::select(&PAGE_DATA[..]),
            page in "(/[a-c]){1,3}",
        ) {
            let path = pattern.replace("{page}", &page).replace('*', "/b").replace("//", "/");
            let as_text = |names: &[String]| names.iter().map(|n| address(n)).collect::<HashSet<_>>();
            let (before, now) = (as_text(&pages), as_text(&live));
            let names = |all: &[String]| all.iter().map(|n| Key::new(n).unwrap()).collect::<Vec<_>>();
            let removed = RemovedPages::new(names(&pages).iter(), names(&live).iter());
            let goes = removed.include(&Key::new(&path[1..]).unwrap(), Role::Entry);
            prop_assert_eq!(goes, before.contains(&page) && !now.contains(&page), "{}", path);
        }
    }
}
