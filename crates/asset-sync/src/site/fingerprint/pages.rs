//! Which scripts and styles the pages of a site load, and what that says about their names.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::Read as _;
use std::iter;
use std::path::Path;

use super::super::html::{self, Context, Piece};
use super::name::{Kind, NameParts};
use super::token::{SHORT_HASH, Verdict};
use super::words::is_written;
use super::{ANGULAR_STEMS, Alphabet, Name};

/// Most pages that are read.
const MAX_PAGES: usize = 4;
/// Most bytes of a page that are read. Build tools write their tags into its head.
const MAX_BYTES: u64 = 64 << 10;

/// The scripts and styles that the outermost `index.html` pages of a site load from it.
#[derive(Debug, Default)]
pub(super) struct Pages {
    /// Keys, with how a page loads them.
    loaded: HashMap<String, Tag>,
}

/// What the tags that load a file say about the tool that wrote them.
#[derive(Debug, Clone, Copy, Default)]
struct Tag {
    /// Whether one is a module script.
    is_module: bool,
    /// Whether one is written by Vite.
    is_by_vite: bool,
}

impl Pages {
    /// Reads the pages of the site in `root`, whose files are `keys`. Pages that cannot be read are ignored.
    pub(super) fn read<'a>(root: &Path, keys: impl Iterator<Item = &'a str>) -> Self {
        let depth = |key: &str| key.bytes().filter(|&b| b == b'/').count();
        let is_index =
            |key: &&str| key.strip_suffix("index.html").is_some_and(|dir| dir.is_empty() || dir.ends_with('/'));
        let mut indexes: Vec<_> = keys.filter(is_index).map(|key| (depth(key), key)).collect();
        indexes.sort_unstable();
        let mut pages = Self::default();
        for (_, key) in indexes.into_iter().take(MAX_PAGES) {
            let mut source = Vec::new();
            let read = File::open(root.join(key)).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut source));
            if read.is_ok() {
                pages.add(root, key, &source);
            }
        }
        pages
    }

    fn add(&mut self, root: &Path, page: &str, source: &[u8]) {
        let directory = &page[..page.rfind('/').map_or(0, |at| at + 1)];
        for piece in html::parse(source) {
            let Piece::Tag { name, context: Context::Document, .. } = &piece else { continue };
            let url = match name.as_str() {
                "script" => piece.attribute("src"),
                "link" if piece.attribute("rel").is_some_and(|rel| is_code(&rel.value)) => piece.attribute("href"),
                _ => None,
            };
            let Some(key) = url.and_then(|url| resolve(root, directory, &url.value)) else { continue };
            let tag = self.loaded.entry(key).or_default();
            tag.is_module |= name == "script" && is_module(&piece);
            tag.is_by_vite |= name == "script" && is_by_vite(&piece);
        }
    }

    /// Takes the names that the pages load for certain hashes, where all that they load from a folder is written in
    /// one way that people do not write in.
    pub(super) fn vouch(&self, names: &mut [Option<Name<'_>>]) {
        if self.loaded.is_empty() {
            return;
        }
        let directories: HashSet<&str> = self.loaded.keys().map(|key| directory_of(key)).collect();
        let mut by_directory: HashMap<&str, Vec<(usize, Tag)>> = HashMap::new();
        for (index, name) in names.iter().enumerate() {
            let Some(name) = name else { continue };
            let directory = name.parts.directory;
            if name.kind == Kind::Code
                && directories.contains(directory)
                && let Some(&tag) = self.loaded.get(name.key)
            {
                by_directory.entry(directory).or_default().push((index, tag));
            }
        }
        let all_from = |directory| self.loaded.keys().filter(|key| directory_of(key) == directory).count();
        for (directory, loaded) in by_directory {
            let of: Vec<_> = loaded.iter().filter_map(|&(index, tag)| Some((names[index].as_ref()?, tag))).collect();
            let by_angular = are_of_angular(&of);
            let by_vite = of.iter().any(|(_, tag)| tag.is_by_vite);
            if !by_angular && (of.len() != all_from(directory) || !are_hashes(&of, by_vite)) {
                continue;
            }
            for (index, _) in loaded {
                if let Some(name) = &mut names[index]
                    && (!by_angular || is_of_angular(name))
                {
                    name.verdict = Verdict::Certain;
                    name.is_loaded = true;
                    name.is_by_tool = by_vite || by_angular;
                }
            }
        }
    }
}

/// Whether the names of all files that pages load from a folder are hashed ones, as they are written. One token in all
/// of them is rather that of a commit or a version.
fn are_hashes(loaded: &[(&Name<'_>, Tag)], by_vite: bool) -> bool {
    let names = || loaded.iter().map(|(name, _)| *name);
    let Some(first) = names().next().map(|name| &name.parts) else { return false };
    let is_one_style = |parts: &NameParts<'_>| {
        matches!(parts.separator, None | Some('-' | '.')) && parts.token.len() == first.token.len()
    };
    let is_unwritten = |name: &Name<'_>| is_one_style(&name.parts) && !is_written(name.parts.token);
    let differ = names().any(|name| name.parts.token != first.token);
    let are_hex = names().any(|name| name.alphabet == Alphabet::Hex);
    // Without the mark of a tool each name must look hashed by itself.
    let are_probable = differ && names().all(|name| name.verdict >= Verdict::Probable);
    let are_of_vite = by_vite && (differ || !are_hex) && names().any(|name| name.verdict >= Verdict::Possible);
    names().all(is_unwritten) && (are_of_vite || are_probable)
}

/// Whether a page loads these files as those of Angular do: its `main-….js` is a module and stands beside others of its
/// own, each with a hash of its own, and one of these is a hash without doubt. What users load beside them has names of
/// their own.
fn are_of_angular(loaded: &[(&Name<'_>, Tag)]) -> bool {
    let of_angular = || loaded.iter().filter(|(name, _)| is_of_angular(name));
    let Some((main, _)) = of_angular().find(|(name, tag)| name.parts.stem == "main" && tag.is_module) else {
        return false;
    };
    of_angular().any(|(name, _)| name.parts.token != main.parts.token)
        && of_angular().any(|(name, _)| name.verdict == Verdict::Certain)
}

/// Whether the name is one that Angular gives: `polyfills-RFUFZBIV.js`.
fn is_of_angular(name: &Name<'_>) -> bool {
    let NameParts { stem, separator, token, .. } = name.parts;
    (stem == "chunk" || ANGULAR_STEMS.contains(&stem))
        && separator == Some('-')
        && token.len() == SHORT_HASH
        && name.alphabet == Alphabet::Base32
}

fn is_module(piece: &Piece) -> bool {
    piece.attribute("type").is_some_and(|attribute| attribute.value == "module")
}

/// Whether the tag is one that Vite writes for an entry of a build (`toScriptTag` in its `plugins/html.ts`). What its
/// users refer to beside that keeps the tag that they wrote.
fn is_by_vite(piece: &Piece) -> bool {
    let Piece::Tag { flags, .. } = piece else { return false };
    is_module(piece) && flags.iter().any(|flag| flag == "crossorigin")
}

fn is_code(rel: &str) -> bool {
    rel.split_ascii_whitespace().any(|rel| matches!(rel, "stylesheet" | "modulepreload"))
}

fn directory_of(key: &str) -> &str {
    &key[..key.rfind('/').map_or(0, |at| at + 1)]
}

/// The file of the site that the URL of a page in `directory` names. A query says that the name does not change with
/// the content. The base path of the application is not known, so that a path from the top may start with it.
fn resolve(root: &Path, directory: &str, url: &str) -> Option<String> {
    if url.is_empty() || url.starts_with("//") || url.contains([':', '?', '#', '\\', '%']) {
        return None;
    }
    let exists = |key: &str| root.join(key).is_file();
    if let Some(path) = url.strip_prefix('/') {
        if path.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
            return None;
        }
        let starts = path.match_indices('/').map(|(at, _)| at + 1);
        let mut ends = iter::once(0).chain(starts).map(|start| &path[start..]);
        return ends.find(|path| exists(path)).map(str::to_owned);
    }
    let mut segments: Vec<&str> = directory.split_terminator('/').collect();
    for segment in url.split('/') {
        match segment {
            "." => {}
            ".." => drop(segments.pop()?),
            other => segments.push(other),
        }
    }
    let key = segments.join("/");
    exists(&key).then_some(key)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::{Evidence, Fingerprint, Fingerprints, Named, media_type};
    use super::*;
    use crate::site::Key;

    /// The files of a site with this page that are fingerprinted by what the page says.
    fn hashed(page: &str, others: &[&str]) -> Vec<String> {
        hashed_at("index.html", page, others)
    }

    fn hashed_at(at: &str, page: &str, others: &[&str]) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        for path in others.iter().chain(&[at]) {
            fs::create_dir_all(dir.path().join(path).parent().unwrap()).unwrap();
            fs::write(dir.path().join(path), if *path == at { page } else { "" }).unwrap();
        }
        let keys: Vec<_> = others.iter().chain(&[at]).map(|name| Key::new(name).unwrap()).collect();
        let named: Vec<_> =
            keys.iter().map(|key| Named { key, content_type: media_type::of_key(key.as_str()) }).collect();
        let alone = Fingerprints::of(Path::new("no such folder"), &named);
        let with = Fingerprints::of(dir.path(), &named);
        let judged = keys.iter().zip(alone.judgements().iter().zip(with.judgements()));
        let by_page = judged.filter(|(_, (alone, with))| {
            matches!(with, Fingerprint::Certain(_)) && !matches!(alone, Fingerprint::Certain(_))
        });
        by_page.map(|(key, _)| key.as_str().to_owned()).collect()
    }

    fn vite(files: &[&str]) -> String {
        let is_style = |file: &str| Path::new(file).extension().is_some_and(|ending| ending == "css");
        let tag = |file: &&str| {
            if is_style(file) {
                format!("<link rel=\"stylesheet\" crossorigin href=\"{file}\">\n")
            } else {
                format!("<script type=\"module\" crossorigin src=\"{file}\"></script>\n")
            }
        };
        format!("<!doctype html><head>{}</head>", files.iter().map(tag).collect::<String>())
    }

    #[test]
    fn a_page_of_vite_vouches_for_its_files_and_those_beside_them() {
        let files = ["assets/index-TpLatVzk.js", "assets/index-CQKNRskk.css"];
        assert_eq!(hashed(&vite(&files), &files), files);
        assert_eq!(hashed(&vite(&["/some/base/assets/index-TpLatVzk.js"]), &files), files, "the style is shown");
        assert_eq!(hashed_at("app/index.html", &vite(&["../assets/index-TpLatVzk.js"]), &files), files);
        // Rolldown with `hashCharacters: 'base36'`
        let base36 = ["assets/index-jwmcqy1e.css", "assets/index-khphwskw.js"];
        let others = ["assets/lazy-c8bxtd1i.css", "assets/lazy-m6q9z216.js", "assets/logo-ly2rdflo.svg"];
        let site = [&base36[..], &others].concat();
        assert_eq!(hashed(&vite(&base36), &site), site);
        for written in ["IMG_0123", "calendar", "20241122", "MyPage01", "v1beta2x", "640x4800", "mode-csv"] {
            let image = format!("assets/photo-{written}.svg");
            let script = format!("assets/photo-{written}.js");
            assert_eq!(hashed(&vite(&base36), &[&site[..], &[&image, &script]].concat()), site, "{written}");
        }
    }

    #[test]
    fn what_people_write_stays_so_on_a_page_of_vite() {
        for name in [
            "index",
            "index-settings",
            "index-1.2.3",
            "index-20241122",
            "index-1732233600",
            "index-v1beta2x",
            "a-rc10-Bed",
            "admin-dashboard",
            "index-MyPage01",
            "index-640x4800",
            "photo-DSC_0123",
            "jquery-3.6.0.min",
            "x-1a2b3c4",
        ] {
            let script = format!("assets/{name}.js");
            assert_eq!(hashed(&vite(&[&script]), &[&script]), [""; 0], "{name}");
        }
        // The short name of a commit, and a file that was written by hand.
        let commit = ["assets/index-1a2b3c4.js", "assets/index-1a2b3c4.css"];
        assert_eq!(hashed(&vite(&commit), &commit), [""; 0]);
        let mixed = ["assets/index-TpLatVzk.js", "assets/theme-tpLatVz.css"];
        assert_eq!(hashed(&vite(&mixed), &mixed), [""; 0]);
        // A query is what changes with the content.
        let page = vite(&["assets/index-TpLatVzk.js?v=1"]);
        assert_eq!(hashed(&page, &["assets/index-TpLatVzk.js"]), [""; 0]);
    }

    #[test]
    fn a_page_of_angular_vouches_for_its_files() {
        let page = |files: &[&str]| {
            let tag = |file: &&str| match file.strip_suffix(".css") {
                Some(_) => format!("<link rel=\"stylesheet\" href=\"{file}\">"),
                None => format!("<script src=\"{file}\" type=\"module\"></script>"),
            };
            files.iter().map(tag).collect::<String>()
        };
        // Of these only the first is a hash by itself.
        let files = ["main-5Y7SHJON.js", "polyfills-RFUFZBIV.js", "styles-5INURTSO.css"];
        assert_eq!(hashed(&page(&files), &files), files[1..]);
        let with_others = [&files[..], &["scripts-GABRIEL4.js", "chunk-SONATINA.js", "env.js"]].concat();
        assert_eq!(hashed(&page(&with_others), &with_others), with_others[1..4], "a chunk needs no page");
        let in_folder = files.map(|file| format!("fr/{file}"));
        let in_folder = in_folder.each_ref().map(String::as_str);
        assert_eq!(hashed_at("fr/index.html", &page(&files), &in_folder), in_folder[1..]);
        for names in [
            &["main-SETTINGS.js", "styles-OVERVIEW.css"][..],
            &["main-5Y7SHJON.js", "admin-OVERVIEW.js"],
            &["main-5Y7SHJON.js", "styles-overview.css"],
            &["main.5Y7SHJON.js", "styles.OVERVIEW.css"],
            &["polyfills-5Y7SHJON.js", "styles-OVERVIEW.css"],
        ] {
            assert_eq!(hashed(&page(names), names), [""; 0], "{names:?}");
        }
        let classic = page(&files).replace(" type=\"module\"", "");
        assert_eq!(hashed(&classic, &files), [""; 0]);
    }

    #[test]
    fn without_the_mark_of_vite_each_name_must_look_hashed() {
        let page = |names: [&str; 2]| {
            format!("<script src=/{}></script><link href='./{}' rel='stylesheet'>", names[0], names[1])
        };
        let webpack = ["main.8a79a2c.js", "main.e9bdfef.css"];
        assert_eq!(hashed(&page(webpack), &webpack), webpack);
        for names in [
            ["main.8a79a2c.js", "main.8a79a2c.css"],
            ["main.8a79a2c.js", "main.css"],
            ["assets/index-TpLatVzk.js", "assets/index-Ab12Page.css"],
            ["app.1234567.js", "app.7654321.css"],
            ["lib.a1b2c3.js", "lib.d4e5f6.css"],
            ["main_8a79a2c.js", "main_e9bdfef.css"],
        ] {
            assert_eq!(hashed(&page(names), &names), [""; 0], "{names:?}");
        }
        assert_eq!(hashed(&page(webpack).replace("<script", "<template><script"), &webpack), [""; 0]);
    }

    #[test]
    fn few_pages_and_the_start_of_each_are_read() {
        let files = ["assets/index-TpLatVzk.js", "assets/index-CQKNRskk.css"];
        let late = format!("{}{}", " ".repeat(64 << 10), vite(&files));
        assert_eq!(hashed(&late, &files), [""; 0]);
        let inner = [&files[..], &["a/index.html", "b/index.html", "c/index.html", "d/index.html"]].concat();
        assert_eq!(hashed_at("e/index.html", &vite(&["../assets/index-TpLatVzk.js"]), &inner), [""; 0]);
        assert_eq!(hashed_at("index.html", &vite(&files), &inner), files);
        assert_eq!(hashed_at("my-index.html", &vite(&files), &files), [""; 0]);
    }

    #[test]
    fn its_evidence_is_told() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("index-TpLatVzk.js"), "").unwrap();
        fs::write(dir.path().join("index.html"), vite(&["index-TpLatVzk.js"])).unwrap();
        let keys = ["index-TpLatVzk.js", "index.html"].map(|name| Key::new(name).unwrap());
        let named: Vec<_> = keys.iter().map(|key| Named { key, content_type: "text/javascript" }).collect();
        let judged = Fingerprints::of(dir.path(), &named);
        assert_eq!(judged.judgements()[0], Fingerprint::Certain(Evidence::Loaded));
        assert_eq!(Evidence::Loaded.to_string(), "loaded by index.html");
    }
}
