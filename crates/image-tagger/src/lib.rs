//! Cuts the deployment image of a webapp release, without a container daemon.
//!
//! A release image is the base image, which holds `deploy`, and one layer more: the built site. It
//! is put together here and pushed straight to the registry, under a tag made from the version.
//!
//! The way through the crate: [`mod@reference`] names images, [`auth`] finds credentials for a
//! registry, [`registry`] speaks to it; [`cut`], [`tag`] and [`inspect`] are the verbs. What is
//! decided is decided in pure code: [`version`] (which tag), [`identity`] (whether two images are
//! the same release), [`image`] (the JSON of the new image), [`layer`] (the bytes of the layer).

pub mod auth;
pub mod cut;
mod error;
pub mod evidence;
pub mod identity;
pub mod image;
pub mod inspect;
pub mod layer;
pub mod progress;
pub mod reference;
pub mod registry;
mod release;
pub mod site;
pub mod tag;
pub mod version;

pub use asset_sync::ErrorClass;
pub use error::{Error, Taken};
