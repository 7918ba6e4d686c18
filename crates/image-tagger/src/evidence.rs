//! Reads what says which version is built.

use std::io;
use std::path::Path;

use deploy_config::ImageSettings;

use crate::Error;
use crate::version::{Evidence, Stated};

/// Takes the evidence from the settings and the files they name.
///
/// # Errors
/// A file that must be there is not, or is not JSON where it must be.
pub fn gather(settings: &ImageSettings) -> Result<Evidence, Error> {
    let path = &settings.package_json;
    let package_json = match std::fs::read_to_string(path) {
        Ok(text) => Some(Stated { file: path.display().to_string(), version: package_version(path, &text)? }),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !settings.package_json_given => None,
        Err(source) => return Err(Error::Read { path: path.clone(), source }),
    };
    let stamp = match &settings.stamp {
        Some(path) => {
            let read = std::fs::read_to_string(path);
            let text = read.map_err(|source| Error::Read { path: path.clone(), source })?;
            Some(Stated { file: path.display().to_string(), version: stamped_version(&text) })
        }
        None => None,
    };
    Ok(Evidence {
        explicit: settings.version.clone(),
        git_tag: settings.pipeline.tag.clone(),
        branch: settings.pipeline.branch.clone(),
        commit: settings.pipeline.commit.clone(),
        package_json,
        stamp,
        package_json_path: path.display().to_string(),
    })
}

fn package_version(path: &Path, text: &str) -> Result<Option<String>, Error> {
    let value: serde_json::Value = serde_json::from_str(text).map_err(|error| Error::Read {
        path: path.to_owned(),
        source: io::Error::new(io::ErrorKind::InvalidData, error),
    })?;
    Ok(value.get("version").and_then(|version| version.as_str()).map(str::to_owned))
}

/// The version in a stamp: of a JSON object, or the whole text.
fn stamped_version(text: &str) -> Option<String> {
    let text = text.trim();
    let version = match serde_json::from_str(text) {
        Ok(serde_json::Value::Object(object)) => object.get("version")?.as_str()?.to_owned(),
        Ok(serde_json::Value::String(version)) => version,
        _ => text.to_owned(),
    };
    (!version.is_empty()).then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps() {
        for text in ["1.4.2", " 1.4.2\n", "\"1.4.2\"", r#"{"version": "1.4.2", "commit": "7f2c0a9"}"#] {
            assert_eq!(stamped_version(text).as_deref(), Some("1.4.2"), "{text}");
        }
        for text in ["", " \n", "{}", r#"{"version": 1}"#] {
            assert_eq!(stamped_version(text), None, "{text}");
        }
    }
}
