//! Finding, pulling and pinning the image that a replay runs in.

use std::time::Duration;

use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt as _;

use super::{Engine, EngineError, within};

/// An image on the engine's host, by content.
#[derive(Debug, Clone)]
pub struct Image {
    /// `sha256:` and the digest of its configuration.
    pub id: String,
    /// Environment variables that it would set.
    pub env_names: Vec<String>,
    /// Paths at which it would want volumes.
    pub volumes: Vec<String>,
}

/// Where a pull is: bytes so far, and in all as far as known.
pub type ImageProgress<'a> = &'a (dyn Fn(u64, u64) + Send + Sync);

impl Engine {
    /// The image that `reference` names: a name, `name@sha256:…` or an id.
    /// One that is missing is pulled.
    pub async fn image(
        &self,
        reference: &str,
        progress: ImageProgress<'_>,
    ) -> Result<Image, EngineError> {
        let unavailable = || EngineError::ImageUnavailable {
            image: reference.to_owned(),
        };
        match self.local_image(reference).await {
            Err(error) if error.is_not_found() => {}
            // No image can have such a name: nothing is wrong with this host.
            Err(error) if error.is_ill_formed() => return Err(unavailable()),
            found => return found,
        }
        if reference.starts_with("sha256:") {
            return Err(unavailable());
        }
        tracing::info!(image = reference, "pulling");
        let pulled =
            tokio::time::timeout(self.deadlines.pull, self.pull(reference, progress)).await;
        match pulled {
            Ok(Ok(())) => self.local_image(reference).await.map_err(|_| unavailable()),
            Ok(Err(_)) | Err(_) => Err(unavailable()),
        }
    }

    async fn local_image(&self, reference: &str) -> Result<Image, EngineError> {
        let call = self.docker.inspect_image(reference);
        let image = within(self.deadlines.query, "inspect image", call).await?;
        let config = image.config.unwrap_or_default();
        Ok(Image {
            id: image.id.ok_or_else(|| EngineError::lost("inspect image"))?,
            env_names: config
                .env
                .unwrap_or_default()
                .iter()
                .filter_map(|pair| pair.split('=').next().map(str::to_owned))
                .collect(),
            volumes: config.volumes.unwrap_or_default(),
        })
    }

    async fn pull(&self, reference: &str, progress: ImageProgress<'_>) -> Result<(), EngineError> {
        // Without a tag the engine would pull every one that there is.
        let last = reference.rsplit('/').next().unwrap_or(reference);
        let tag = if last.contains(':') || last.contains('@') {
            ""
        } else {
            "latest"
        };
        let options = CreateImageOptionsBuilder::new()
            .from_image(reference)
            .tag(tag)
            .build();
        let mut steps = Box::pin(self.docker.create_image(Some(options), None, None));
        let mut layers = std::collections::HashMap::new();
        // A registry that accepts the connection and then says nothing.
        let silence = Duration::from_mins(2);
        loop {
            let step = tokio::time::timeout(silence, steps.next())
                .await
                .map_err(|_| EngineError::Timeout {
                    call: "pull",
                    deadline: silence,
                })?;
            let Some(step) = step else { return Ok(()) };
            let step = step.map_err(|error| EngineError::classify("pull", &error))?;
            if let (Some(id), Some(detail)) = (step.id, step.progress_detail) {
                layers.insert(id, (detail.current.unwrap_or(0), detail.total.unwrap_or(0)));
                let sum = |pick: fn(&(i64, i64)) -> i64| -> u64 {
                    layers
                        .values()
                        .map(pick)
                        .sum::<i64>()
                        .try_into()
                        .unwrap_or(0)
                };
                progress(sum(|layer| layer.0), sum(|layer| layer.1));
            }
        }
    }
}
