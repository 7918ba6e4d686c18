//! The record of requests.

use std::collections::BTreeMap;

use http::StatusCode;

use super::{RequestInfo, Service};

/// A request as the log keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedRequest {
    /// Its number, from 1 in the order of arrival.
    pub number: u64,
    /// The server it went to.
    pub service: Service,
    /// The name of the operation in the service's API, such as `PutObject`.
    pub operation: &'static str,
    /// The bucket in the path, percent-decoded; for CloudFront the distribution's id.
    pub bucket: Option<String>,
    /// The key in the path, percent-decoded; for CloudFront the invalidation's id.
    pub key: Option<String>,
    /// The status of the answer; `None` while there is none, or if the connection was broken.
    pub status: Option<StatusCode>,
}

#[derive(Debug, Default)]
pub(super) struct Log {
    /// Differs after each clearing, so that a request that outlives one leaves no trace.
    epoch: u64,
    requests: BTreeMap<u64, LoggedRequest>,
    in_flight: usize,
    peak_in_flight: usize,
}

/// Where to note the end of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    epoch: u64,
    number: u64,
}

impl Log {
    pub(super) fn begin(&mut self, info: &RequestInfo) -> Entry {
        self.requests.insert(
            info.number,
            LoggedRequest {
                number: info.number,
                service: info.service,
                operation: info.operation,
                bucket: info.bucket.clone(),
                key: info.key.clone(),
                status: None,
            },
        );
        self.in_flight += 1;
        self.peak_in_flight = self.peak_in_flight.max(self.in_flight);
        Entry { epoch: self.epoch, number: info.number }
    }

    pub(super) fn end(&mut self, entry: Entry, status: Option<StatusCode>) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if entry.epoch == self.epoch
            && let Some(request) = self.requests.get_mut(&entry.number)
        {
            request.status = status;
        }
    }

    pub(super) fn clear(&mut self) {
        self.epoch += 1;
        self.requests.clear();
        self.peak_in_flight = self.in_flight;
    }

    pub(super) fn len(&self) -> usize {
        self.requests.len()
    }

    pub(super) fn requests(&self) -> Vec<LoggedRequest> {
        self.requests.values().cloned().collect()
    }

    pub(super) fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for request in self.requests.values() {
            *counts.entry(request.operation.to_owned()).or_default() += 1;
        }
        counts
    }

    pub(super) fn peak_in_flight(&self) -> usize {
        self.peak_in_flight
    }
}
