//! Folders that frameworks keep for files whose names carry a hash.

/// What a name in the folder must have to be a hashed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    /// Nothing: the framework alone writes there.
    Nothing,
    /// A part that is no word.
    NoWord,
    /// A part of ten figures and small letters.
    Base36,
}

/// A convention of a framework.
#[derive(Debug)]
pub(super) struct Convention {
    /// Consecutive path segments, at any depth of the site.
    pub(super) folder: &'static str,
    /// The framework.
    pub(super) tool: &'static str,
    /// What the name must have besides.
    pub(super) needs: Needs,
    /// Folders below it that are something else.
    except: &'static [&'static str],
}

/// The table. The framework's own documentation or hosting adapters ask for `immutable` on each of these folders.
///
/// Two kinds of images are left out whose names hold hashes of the source and of the options, not of what the encoder
/// makes of them, so that another version of it changes them under their names: Gatsby's `static/<32 digits>/…`
/// (`prepareQueue` in `gatsby-plugin-sharp`) and Astro's `_astro/x.<hash>_<hash>.webp` (`hashTransform`).
const CONVENTIONS: [Convention; 6] = [
    // Next.js, documentation of `headers`, "Cache-Control": immutable assets get the header by themselves. The
    // manifests in the folder of a build have no hash, and the build's id may be one that the user keeps constant.
    Convention { folder: "_next/static/", tool: "Next.js", needs: Needs::NoWord, except: &[] },
    // SvelteKit, adapters of Netlify, Vercel and Cloudflare: `/${appDir}/immutable/*`. `version.json` and `env.js` lie
    // beside it.
    Convention { folder: "_app/immutable/", tool: "SvelteKit", needs: Needs::Nothing, except: &[] },
    // Astro, adapters of Netlify, Vercel and Cloudflare: `/_astro/*`.
    Convention { folder: "_astro/", tool: "Astro", needs: Needs::NoWord, except: &[] },
    // Nuxt, `buildAssetsDir` in Nitro's `publicAssets` with the `maxAge` of a year. `builds/` holds `latest.json`, and
    // names that are UUIDs.
    Convention { folder: "_nuxt/", tool: "Nuxt", needs: Needs::NoWord, except: &["builds/"] },
    // rustdoc, rust-lang/rust#101702: "anything in static.files can use Cache-Control: immutable".
    Convention { folder: "static.files/", tool: "rustdoc", needs: Needs::NoWord, except: &[] },
    // Blazor, "Fingerprint": Base36 of the content's SHA-256, from .NET 9 on (dotnet/aspnetcore#47000). Without it the
    // names of assemblies have figures too: `X509Certificates.wasm`. `resource-collection` is a hash of names
    // (dotnet/aspnetcore#64028).
    Convention { folder: "_framework/", tool: "Blazor", needs: Needs::Base36, except: &[] },
];

/// The convention of the folder that `directory` is or lies in. `directory` ends with a slash.
pub(super) fn convention(directory: &str) -> Option<&'static Convention> {
    let mut rest = directory;
    while !rest.is_empty() {
        let found = CONVENTIONS.iter().find_map(|c| Some((c, rest.strip_prefix(c.folder)?)));
        if let Some((convention, below)) = found {
            return (!convention.except.iter().any(|folder| below.starts_with(folder))).then_some(convention);
        }
        rest = rest.split_once('/').map_or("", |(_, rest)| rest);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conventions_hold_at_any_depth_for_whole_segments() {
        let tool = |directory| convention(directory).map(|convention| convention.tool);
        assert_eq!(tool("_next/static/chunks/pages/"), Some("Next.js"));
        assert_eq!(tool("base/path/_astro/"), Some("Astro"));
        assert_eq!(tool("my_astro/"), None);
        assert_eq!(tool("_app/"), None, "version.json lies there");
        assert_eq!((tool("_nuxt/"), tool("_nuxt/builds/meta/")), (Some("Nuxt"), None));
        assert_eq!(tool(""), None);
    }
}
