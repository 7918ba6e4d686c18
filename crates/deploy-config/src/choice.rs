//! Settings with a few named values.

use serde::Serialize;

/// A type whose values have names in the environment.
pub(crate) trait Choice: Copy + Sync + 'static {
    /// Every value with its name, in the order of the documentation.
    const NAMES: &'static [(&'static str, Self)];
}

macro_rules! choice {
    ($(#[$outer:meta])* $type:ident { $($(#[$inner:meta])* $variant:ident = $name:literal,)* }) => {
        $(#[$outer])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
        pub enum $type {
            $($(#[$inner])* #[serde(rename = $name)] $variant,)*
        }

        impl Choice for $type {
            const NAMES: &'static [(&'static str, Self)] = &[$(($name, Self::$variant),)*];
        }
    };
}

choice! {
    /// Which paths are invalidated (`DEPLOY_INVALIDATION`).
    Invalidation {
        /// The paths that changed.
        Exact = "exact",
        /// The paths that changed, and what is cached for them under any query string.
        Variants = "variants",
        /// Everything under the URL prefix, by one wildcard.
        All = "all",
    }
}

choice! {
    /// Which file answers an address that no file has as its name (`DEPLOY_ROUTING`).
    Routing {
        /// None, besides `about/index.html` for `/about/`.
        Exact = "exact",
        /// `about/index.html` for `/about/` and `/about`.
        Directory = "directory",
        /// `about.html` for `/about`.
        Html = "html",
        /// The root document, for every address.
        Spa = "spa",
    }
}

choice! {
    /// What is done with a foreign object that stands in the way (`DEPLOY_ADOPT`).
    Adopt {
        /// The deploy stops.
        Refuse = "refuse",
        /// It is archived, then overwritten.
        Take = "take",
    }
}

choice! {
    /// How the store is asked to encrypt what is written (`DEPLOY_SSE`), in the words of S3.
    Encryption {
        /// With keys of S3.
        Aes256 = "AES256",
        /// With a key of AWS KMS.
        Kms = "aws:kms",
    }
}

choice! {
    /// What is done with source maps (`DEPLOY_SOURCE_MAPS`).
    SourceMaps {
        /// They are deployed.
        Allow = "allow",
        /// They are deployed with a warning.
        Warn = "warn",
        /// They stop the deploy.
        Refuse = "refuse",
    }
}

choice! {
    /// Whether the live site is looked at after the switch (`DEPLOY_VERIFY`).
    Verify {
        /// Where its URL is known; what cannot be reached is a warning.
        Auto = "auto",
        /// Always; what cannot be reached is a failure.
        Required = "required",
        /// Never.
        Off = "off",
    }
}

choice! {
    /// What is done when the live site is not what was deployed (`DEPLOY_ON_FAILURE`).
    OnFailure {
        /// The release before it is made live again.
        Rollback = "rollback",
        /// It stays live.
        Keep = "keep",
    }
}

choice! {
    /// How progress and results are written (`DEPLOY_LOG`).
    Log {
        /// Text at a terminal, JSON lines elsewhere.
        Auto = "auto",
        /// For people.
        Text = "text",
        /// One JSON object per line.
        Json = "json",
    }
}

choice! {
    /// Whether a store without conditional writes is accepted (`DEPLOY_CONDITIONAL_WRITES`).
    ConditionalWrites {
        /// It is refused.
        Require = "require",
        /// It is used with a warning: nothing then keeps two deploys apart.
        UnsafeOff = "unsafe-off",
    }
}
