//! References from one file to another, and what it means when the other is not there.

use std::ops::Range;

/// A reference found in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    /// Where it stands in the file, in bytes: the reference itself or the statement it is part of.
    pub(super) span: Range<usize>,
    /// As the file has it, character references resolved.
    pub(super) text: String,
    pub(super) kind: ReferenceKind,
}

/// How one file asks for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReferenceKind {
    /// A blocking, `defer` or module script of a page.
    Script,
    /// An `async` script of a page.
    AsyncScript,
    /// A style sheet of a page.
    StyleSheet,
    /// A script or style sheet that a page asks browsers to fetch early, or an entry of its import map.
    Preload,
    /// `@import` of a style sheet.
    StyleImport,
    /// `import` and `export … from` of a script.
    StaticImport,
    /// `import(…)` of a script.
    DynamicImport,
    /// A path that Vite's preload helper fetches before a dynamic import. It is relative to the
    /// build's base, which the script alone does not tell, unless it starts with `.` or `/`.
    PreloadList,
    /// `new Worker(new URL(…, import.meta.url))`.
    Worker,
    /// Whatever a page works without: images, icons, fonts, media, `new URL(…)`, what stands in `<noscript>`.
    Resource,
    /// A link to another page.
    Page,
}

/// What it means when a file that is referred to is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Need {
    /// The page does not work.
    Always,
    /// The page does not work if the missing file's name carries a content hash: then it is part of
    /// the application, since a bundler wrote its name.
    IfHashed,
    /// As [`IfHashed`](Self::IfHashed), or if the root page asks for it.
    IfHashedOrFromRoot,
    /// The page works.
    Never,
}

impl ReferenceKind {
    pub(super) fn need(self) -> Need {
        match self {
            Self::Script | Self::StyleSheet | Self::StyleImport | Self::StaticImport => Need::Always,
            // Next and Gatsby load the whole application by hashed `async` scripts. rustdoc asks for
            // `trait.impl/….js`, which it writes only where there is something to say.
            Self::AsyncScript => Need::IfHashedOrFromRoot,
            Self::Preload | Self::DynamicImport | Self::PreloadList => Need::IfHashed,
            Self::Worker | Self::Resource | Self::Page => Need::Never,
        }
    }

    /// Whether what is asked for runs or applies, so that what it refers to counts as well.
    pub(super) fn is_followed(self) -> bool {
        !matches!(self, Self::Resource | Self::Page)
    }
}

/// Whether a style sheet declares fonts only, by its path: without it text shows in another font.
/// javadoc imports `resources/fonts/dejavu.css`, which Debian's packages leave out.
pub(super) fn is_font_sheet(path: &str) -> bool {
    path.split('/').any(|segment| segment.to_ascii_lowercase().contains("font"))
}

/// Whether a reference is to be filled in by a program: by a server, a framework or a script.
pub(super) fn is_template(text: &str) -> bool {
    const SIGNS: [&str; 8] = ["{{", "{%", "<%", "<?", "${", "#{", "[[", "%PUBLIC_URL%"];
    // Style sheets have them percent-encoded.
    let encoded = ["%7B%7B", "%7b%7b", "%3C%", "%3c%"];
    SIGNS.iter().chain(&encoded).any(|sign| text.contains(sign))
}

/// Whether the last segment of a path has an ending, and not that of a program on a server.
pub(super) fn looks_like_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let Some((stem, extension)) = name.rsplit_once('.') else { return false };
    let dynamic = ["php", "asp", "aspx", "ashx", "jsp", "cgi", "do", "action", "axd", "com", "net", "org"];
    !stem.is_empty()
        && (1..=10).contains(&extension.len())
        && extension.bytes().all(|b| b.is_ascii_alphanumeric())
        && extension.bytes().any(|b| b.is_ascii_alphabetic())
        && !dynamic.contains(&extension.to_ascii_lowercase().as_str())
}

/// Whether a path names an HTML page.
pub(super) fn is_page_name(path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    [".html", ".htm"].iter().any(|ending| path.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_known_in_every_form() {
        for text in ["{{ x }}/a.js", "/%7B%7BBASE_PATH%7D%7D/a.css", "<%= x %>.js", "${x}.js", "/%PUBLIC_URL%/a.ico"] {
            assert!(is_template(text), "{text}");
        }
        for text in ["/a%20b.js", "a{b}.js", "a.js?x={}"] {
            assert!(!is_template(text), "{text}");
        }
    }

    #[test]
    fn sheets_of_fonts_are_known_by_their_path() {
        for path in ["resources/fonts/dejavu.css", "google-fonts.css", "css/webfonts/roboto.css"] {
            assert!(is_font_sheet(path), "{path}");
        }
        assert!(!is_font_sheet("css/basic.css"));
    }
}
