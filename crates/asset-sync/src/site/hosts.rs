//! Configuration files of other hosts, which S3 and CloudFront do not read.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// How much of a file is read to see whether it is what its name says, in bytes.
const MAX_READ: u64 = 64 * 1024;

/// A configuration file that a host reads from the folder it serves.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct HostFile {
    /// Its path in the site; for [`Place::Anywhere`] its name, for [`Place::Folder`] that of the folder.
    pub(super) name: &'static str,
    place: Place,
    /// Texts of which the file must hold one. A site may serve a file of its own under a name that is as plain as
    /// `static.json`.
    marks: &'static [&'static str],
    pub(super) host: &'static str,
    pub(super) instead: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    Anywhere,
    Folder,
}

const REDIRECTS: &str =
    "redirect in a CloudFront function, or by rules with `redirect` where an S3 website endpoint serves the site";
const HEADERS: &str =
    "set `cache-control` and the like by rules, and other headers by a response headers policy of the distribution";
const BOTH: &str = "redirect and rewrite in a CloudFront function, set `cache-control` and the like by rules, and other \
    headers by a response headers policy of the distribution";
const CODE: &str = "run code in a CloudFront function or behind another origin of the distribution";
const DOMAIN: &str = "add the domain to the alternate domain names of the distribution";
const BUILD: &str = "nothing is needed: the build and its deployment are steps of the pipeline";

const fn at_root(name: &'static str, host: &'static str, instead: &'static str) -> HostFile {
    HostFile { name, place: Place::Root, marks: &[], host, instead }
}

const fn anywhere(name: &'static str, host: &'static str, instead: &'static str) -> HostFile {
    HostFile { name, place: Place::Anywhere, marks: &[], host, instead }
}

impl HostFile {
    const fn with(self, marks: &'static [&'static str]) -> Self {
        Self { marks, ..self }
    }
}

/// Each by the host's own documentation. `.nojekyll` is not among them: it asks for nothing that S3 does otherwise,
/// and is hidden. Nor are names of files that browsers and crawlers do ask for, such as `browserconfig.xml`,
/// `crossdomain.xml`, `404.html`, `ngsw.json` and `routes.json`.
static HOST_FILES: &[HostFile] = &[
    at_root("_redirects", "Netlify and Cloudflare Pages", REDIRECTS),
    at_root("_headers", "Netlify and Cloudflare Pages", HEADERS),
    at_root("netlify.toml", "Netlify", BOTH),
    at_root("_routes.json", "Cloudflare Pages", CODE),
    // A module with a default export, in "advanced mode"; bundlers write `export{x as default}`.
    at_root("_worker.js", "Cloudflare Pages", CODE).with(&["export default", "as default"]),
    HostFile { name: "_worker.js", place: Place::Folder, marks: &[], host: "Cloudflare Pages", instead: CODE },
    at_root("wrangler.toml", "Cloudflare", BOTH),
    at_root("wrangler.json", "Cloudflare", BOTH),
    at_root("wrangler.jsonc", "Cloudflare", BOTH),
    at_root("vercel.json", "Vercel", BOTH),
    at_root("now.json", "Vercel", BOTH).with(&["\"version\"", "\"builds\"", "\"routes\"", "\"rewrites\"", "\"name\""]),
    at_root("serve.json", "the program serve", BOTH).with(&[
        "\"rewrites\"",
        "\"redirects\"",
        "\"headers\"",
        "\"cleanUrls\"",
        "\"trailingSlash\"",
        "\"directoryListing\"",
        "\"public\"",
    ]),
    at_root("staticwebapp.config.json", "Azure Static Web Apps", BOTH),
    at_root("firebase.json", "Firebase Hosting", BOTH).with(&["\"hosting\""]),
    at_root("amplify.yml", "AWS Amplify", BUILD),
    at_root("customHttp.yml", "AWS Amplify", HEADERS),
    at_root("app.yaml", "Google App Engine", BOTH).with(&["runtime:", "handlers:"]),
    at_root("static.json", "Heroku", BOTH).with(&["\"root\"", "\"routes\"", "\"clean_urls\"", "\"https_only\""]),
    at_root("Staticfile", "Cloud Foundry", BOTH),
    at_root("nginx.conf", "nginx", BOTH),
    at_root("Caddyfile", "Caddy", BOTH),
    at_root("CNAME", "GitHub Pages", DOMAIN),
    anywhere(".htaccess", "Apache", BOTH),
    anywhere("web.config", "IIS", BOTH),
];

/// The configuration file of another host that the file at this path of the site is.
pub(super) fn host_file(root: &Path, path: &str) -> Option<&'static HostFile> {
    let name = path.rsplit('/').next().unwrap_or_default();
    HOST_FILES.iter().find(|file| {
        let is_there = match file.place {
            Place::Root => path == file.name,
            Place::Anywhere => name.eq_ignore_ascii_case(file.name),
            Place::Folder => path.strip_prefix(file.name).is_some_and(|rest| rest.starts_with('/')),
        };
        is_there && (file.marks.is_empty() || holds_one(&root.join(path), file.marks))
    })
}

fn holds_one(path: &Path, marks: &[&str]) -> bool {
    let mut bytes = Vec::new();
    // One that cannot be read is told when it is hashed.
    File::open(path).is_ok_and(|file| file.take(MAX_READ).read_to_end(&mut bytes).is_ok())
        && marks.iter().any(|mark| memchr::memmem::find(&bytes, mark.as_bytes()).is_some())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn name_of(path: &str, content: &str) -> Option<&'static str> {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join(path);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        fs::write(at, content).unwrap();
        host_file(dir.path(), path).map(|file| file.name)
    }

    #[test]
    fn configuration_is_known_by_its_name_where_the_host_reads_it() {
        for path in [
            "_redirects",
            "_headers",
            "vercel.json",
            "staticwebapp.config.json",
            "netlify.toml",
            "_routes.json",
            "wrangler.jsonc",
            "CNAME",
            ".htaccess",
            "docs/.htaccess",
            "a/b/web.config",
            "Web.config",
        ] {
            let name = path.rsplit('/').next().unwrap();
            assert!(name_of(path, "").is_some_and(|found| found.eq_ignore_ascii_case(name)), "{path}");
        }
        for path in [
            "docs/_redirects",
            "api/vercel.json",
            "blog/CNAME",
            "routes.json",
            "_redirects.html",
            "cname",
            "404.html",
            "browserconfig.xml",
            ".nojekyll",
            "assets/_worker.js",
        ] {
            assert_eq!(name_of(path, "export default {}"), None, "{path}");
        }
    }

    #[test]
    fn plain_names_are_configuration_by_their_content_only() {
        for (path, configuration, own) in [
            ("_worker.js", "export default { fetch() {} }", "self.onmessage = () => {}"),
            ("_worker.js", "var a={fetch(){}};export{a as default};", "importScripts('a.js')"),
            ("firebase.json", r#"{"hosting": {"public": "dist"}}"#, r#"{"apiKey": "a", "projectId": "b"}"#),
            ("static.json", r#"{"root": "dist/"}"#, r#"{"items": []}"#),
            ("serve.json", r#"{"cleanUrls": true}"#, r#"{"port": 1}"#),
            ("app.yaml", "runtime: nodejs20\n", "title: x\n"),
        ] {
            assert_eq!(name_of(path, configuration), Some(path));
            assert_eq!(name_of(path, own), None, "{path}");
        }
        assert_eq!(name_of("_worker.js/index.js", ""), Some("_worker.js"));
    }

    #[test]
    fn each_is_a_sentence() {
        for file in HOST_FILES {
            assert!(!file.host.is_empty() && !file.instead.ends_with('.'), "{}", file.name);
            assert!(file.instead.starts_with(|c: char| c.is_ascii_lowercase()), "{}", file.name);
        }
    }
}
