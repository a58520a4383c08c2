//! What an object store answers instead of doing what it was asked, in words: it is not reached, or lets nobody in.

use std::error::Error;

use datafusion::error::DataFusionError;
use deltalake::ObjectStoreError;

use crate::diag::Failure;

/// The failure of a request to an object store, where that is what `error` comes from.
pub(crate) fn refusal(doing: impl Into<String>, error: &(dyn Error + 'static)) -> Option<Failure> {
    let error = of_a_cloud(error)?;
    let help = match error {
        ObjectStoreError::NotFound { .. } => "check the URL: its first part names a bucket or a container",
        _ => {
            "check the URL, the network and the credentials; those are read from the environment (AWS_…, AZURE_…, \
             GOOGLE_…): `cohorte explain W413`"
        }
    };
    Some(Failure::world("W413", doing, said(error)).help(help))
}

/// The answer of a store that is not on this machine. Files that are not there are no failure of their store.
fn of_a_cloud<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a ObjectStoreError> {
    let mut next = Some(error);
    while let Some(current) = next {
        if let Some(DataFusionError::External(inner)) = current.downcast_ref::<DataFusionError>() {
            return of_a_cloud(inner.as_ref());
        }
        if let Some(error) = current.downcast_ref::<ObjectStoreError>() {
            let is_remote = match error {
                ObjectStoreError::PermissionDenied { .. } | ObjectStoreError::Unauthenticated { .. } => true,
                ObjectStoreError::Generic { store, .. } => matches!(*store, "S3" | "GCS" | "MicrosoftAzure" | "HTTP"),
                ObjectStoreError::NotFound { source, .. } => {
                    let text = source.to_string();
                    text.contains("NoSuchBucket") || text.contains("ContainerNotFound")
                }
                _ => false,
            };
            return is_remote.then_some(error);
        }
        next = current.source();
    }
    None
}

/// The innermost reason; of an answer in XML, its code and message. Requests are left out: a URL may hold a signature.
fn said(error: &ObjectStoreError) -> String {
    let mut inner: &dyn Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    let text = inner.to_string();
    let element = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(inside, _)| inside.lines().next().unwrap_or_default().to_owned())
    };
    match (element("Code"), element("Message")) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code,
        _ => text.lines().next().unwrap_or_default().trim().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(body: &str) -> ObjectStoreError {
        ObjectStoreError::PermissionDenied { path: "cdp/runs".into(), source: body.into() }
    }

    #[test]
    fn w413_what_a_store_says_is_found_wherever_it_is_wrapped() {
        let body = "<Error><Code>AccessDenied</Code><Message>No.</Message><StringToSign>geheim</StringToSign></Error>";
        let wrapped = DataFusionError::External(Box::new(deltalake::DeltaTableError::from(denied(body))));
        let failure = refusal("reading", &wrapped).unwrap();
        assert_eq!((failure.code, failure.cause.as_str(), failure.exit_code()), ("W413", "AccessDenied: No.", 2));
    }

    #[test]
    fn files_that_are_not_there_are_no_refusal() {
        let missing = |body: &str| ObjectStoreError::NotFound { path: "x".into(), source: body.into() };
        assert_eq!(refusal("reading", &missing("<Code>NoSuchKey</Code>")), None);
        assert!(refusal("reading", &missing("<Code>NoSuchBucket</Code>")).unwrap().help.contains("bucket"));
        let local = ObjectStoreError::Generic { store: "LocalFileSystem", source: "Permission denied".into() };
        assert_eq!(refusal("reading", &local), None);
    }
}
